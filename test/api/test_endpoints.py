# SPDX-License-Identifier: ISC
"""Every endpoint: who may call it, what it answers, in which shape."""
import json
import os
import re
import signal
import time

import pytest

import axlib

KEY_ROUTES = [
    "/v1/skills", "/v1/skills/file_ops", "/v1/governor/config",
    "/v1/migration/state", "/v1/audit", "/v1/audit/summary",
    "/v1/audit/actions", "/v1/audit/decisions",
]
PUBLIC_ROUTES = [
    "/", "/healthz", "/livez", "/readyz", "/v1/health", "/v1/live",
    "/v1/ready", "/metrics", "/v1/metrics", "/openapi.json",
]
PAGE_KEYS = ["id", "seq", "node", "kind", "action", "decision", "risk_score",
             "reason", "actor", "request_id", "permit", "created_at"]
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


def exists(ax, **kw):
    return ax.invoke("file_ops", {"operation": "exists",
                                  "path": ax.files + "/nothing"}, **kw)


# ---- who may call ----

@pytest.mark.quick
@pytest.mark.parametrize("path", PUBLIC_ROUTES)
def test_public(ax, path):
    assert ax.get(path).status == 200
    # a bad credential is no worse than none where none is needed
    assert ax.get(path, token="wrong").status == 200


@pytest.mark.parametrize("path", KEY_ROUTES)
def test_needs_a_credential(ax, path):
    for token in (None, "wrong", "", ax.api_key[:-1], ax.api_key + "x"):
        r = ax.get(path, token=token)
        assert r.status == 401, r
        assert r.json() == {"detail": {
            "code": "UNAUTHORIZED",
            "message": r.json()["detail"]["message"]}}
        assert r.headers["www-authenticate"].startswith("Bearer")
    assert ax.get(path, token=ax.api_key).status == 200
    assert ax.get(path, token=ax.admin_token).status == 200
    assert ax.get(path, headers={"x-api-key": ax.api_key}).status == 200
    # a wrong x-api-key is not rescued by a right authorization
    assert ax.get(path, token=ax.api_key,
                  headers={"x-api-key": "wrong"}).status == 401


def test_needs_an_admin(ax):
    for verb in ("enable", "disable"):
        path = "/v1/skills/file_ops/" + verb
        assert ax.post(path).status == 401
        r = ax.post(path, token=ax.api_key)
        assert (r.status, r.code) == (403, "FORBIDDEN")


def test_refusals_are_recorded(make_ax):
    ax = make_ax()
    for _ in range(50):
        assert ax.get("/v1/audit", token="wrong").status == 401
    assert ax.post("/v1/skills/file_ops/enable",
                   token=ax.api_key).status == 403
    axlib.wait_until(
        lambda: any("auth" in r["action"] for r in ax.journal())
        and any("forbidden" in r["action"] for r in ax.journal()),
        10, "records of refusals")
    # a flood of refusals is no flood of records
    assert len(ax.journal()) < 40
    assert all("wrong" not in json.dumps(r) for r in ax.journal())


# ---- methods ----

@pytest.mark.parametrize("path", PUBLIC_ROUTES + KEY_ROUTES)
def test_methods(ax, path):
    full = ax.get(path, token=ax.api_key)
    r = ax.request("HEAD", path, token=ax.api_key)
    assert (r.status, r.body) == (200, b"")
    assert r.headers["content-type"] == full.headers["content-type"]
    if not path.endswith("metrics"):
        assert abs(int(r.headers["content-length"])
                   - int(full.headers["content-length"])) < 16
    r = ax.request("OPTIONS", path, token=ax.api_key)
    assert (r.status, r.body) == (204, b"")
    assert r.headers["allow"] == "GET, HEAD, OPTIONS"
    for m in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
        r = ax.request(m, path, token=ax.api_key)
        assert r.status == 405, (m, r)
        assert r.headers["allow"] == "GET, HEAD, OPTIONS"
        assert r.json() == {"detail": "Method Not Allowed"}


def test_methods_of_actions(ax):
    for path in ("/v1/skills/invoke", "/v1/skills/file_ops/enable"):
        r = ax.get(path, token=ax.admin_token)
        assert (r.status, r.headers["allow"]) == (405, "POST, OPTIONS")
        r = ax.request("OPTIONS", path)
        assert (r.status, r.headers["allow"]) == (204, "POST, OPTIONS")


def test_unknown_paths(ax):
    for path in ("/v1", "/v1/", "/v1/skills/", "/v1/audit/x", "/V1/live",
                 "/v1/live/", "/v1/skills/file_ops/enable/x", "//",
                 "/v1/skills%2Ffile_ops"):
        assert ax.get(path).status == 401, path
        r = ax.get(path, token=ax.api_key)
        assert r.status == 404, (path, r)
        assert r.json() == {"detail": "Not Found"}


# ---- fields of every answer ----

def test_request_id(ax):
    for path in ("/v1/live", "/v1/audit", "/nowhere"):
        r = ax.get(path, headers={"x-request-id": "my-id.1_2"})
        assert r.headers["x-request-id"] == "my-id.1_2"
        for bad in ("a b", "x" * 129, "a/b", "é".encode()):
            r = ax.get(path, headers={"x-request-id": bad})
            assert re.match(r"^[0-9a-f-]{36}$", r.headers["x-request-id"])
        assert int(r.headers["x-elapsed-ms"]) >= 0
        assert r.headers["x-content-type-options"] == "nosniff"


# ---- probes ----

def test_probes(ax):
    live = {"status": "alive", "system": "ArcHillx"}
    v = ax.get("/").json()["version"]
    assert ax.get("/v1/live").json() == dict(live, version=v)
    assert ax.get("/livez").json() == dict(live, version=v)
    assert ax.get("/healthz").json() == {
        "status": "ok", "system": "ArcHillx", "version": v,
        "ai_providers": []}
    h = ax.get("/v1/health").json()
    assert list(h) == ["status", "system", "version", "ai_providers",
                       "loaded_skills", "cron_active"]
    assert {"code_exec", "file_ops"} <= set(h["loaded_skills"])
    assert h["cron_active"] is True


def test_ready(ax):
    r = ax.get("/v1/ready").json()
    assert r["status"] == "ready"
    assert r["checks"] == dict.fromkeys(
        ["db", "skills", "cron", "audit_dir", "migration", "sandbox"], True)
    assert r["errors"] == []
    assert "details" not in r  # D-64
    r = ax.get("/v1/ready", token=ax.api_key).json()
    assert r["details"]["skills"]["count"] >= 2
    for secret in (ax.base, ax.api_key, "://"):
        assert secret not in json.dumps(r)


def test_not_ready_without_schema(make_ax):
    ax = make_ax(migrate=False, ready=False)
    r = axlib.wait_until(lambda: ax.get("/v1/ready"), 20, "an answer")
    assert r.status == 503
    assert r.json()["status"] == "degraded"
    r = axlib.wait_until(
        lambda: (lambda a: a.status == 503 and
                 a.json()["checks"]["audit_dir"] and a)(ax.get("/v1/ready")),
        20, "an open gate")
    assert r.json()["checks"]["migration"] is False
    r = ax.get("/v1/migration/state", token=ax.api_key)
    assert r.status == 503 and r.json()["ok"] is False
    r = ax.get("/v1/audit", token=ax.api_key)
    assert (r.status, r.code) == (503, "DATABASE_UNAVAILABLE")
    assert int(r.headers["retry-after"]) >= 1
    # actions go on: the journal is the write path
    assert exists(ax).status == 200


def test_migration_state(ax):
    s = ax.get("/v1/migration/state", token=ax.api_key).json()
    assert (s["enabled"], s["required"], s["status"], s["ok"]) \
        == (True, True, "head", True)
    assert s["head"] == s["current"]


def test_migration_disabled(make_ax):
    ax = make_ax(ENABLE_MIGRATION_CHECK="no")
    s = ax.get("/v1/migration/state", token=ax.api_key)
    assert s.status == 200
    assert (s.json()["status"], s.json()["ok"]) == ("disabled", True)


# ---- governor, metrics ----

def test_governor_config(make_ax):
    ax = make_ax(GOVERNOR_MODE="hard_block", RISK_BLOCK_THRESHOLD=80,
                 RISK_WARN_THRESHOLD=60)
    c = ax.get("/v1/governor/config", token=ax.api_key).json()
    assert list(c)[:6] == ["mode", "risk_block_threshold",
                           "risk_warn_threshold", "adaptive", "consensus",
                           "multi_agent"]
    assert (c["mode"], c["risk_block_threshold"], c["risk_warn_threshold"]) \
        == ("hard_block", 80, 60)
    assert (c["adaptive"], c["consensus"], c["multi_agent"]) \
        == (False, False, False)
    assert c["rule_files"]


def test_metrics(ax):
    r = ax.get("/metrics")
    assert r.headers["content-type"] == \
        "text/plain; version=0.0.4; charset=utf-8"
    assert "archillx_http_requests_total" in r.text
    assert ax.get("/v1/metrics").text.count("# HELP") == \
        r.text.count("# HELP")


def test_metrics_disabled(make_ax):
    ax = make_ax(ENABLE_METRICS="no")
    for path in ("/metrics", "/v1/metrics"):
        r = ax.get(path)
        assert (r.status, r.code) == (503, "METRICS_DISABLED")


# ---- skills ----

def test_skills(ax):
    skills = ax.get("/v1/skills", token=ax.api_key).json()["skills"]
    assert [s["name"] for s in skills] == \
        ax.get("/v1/health").json()["loaded_skills"]
    for s in skills:
        assert s["manifest"]["name"] == s["name"]
        assert set(s["calls"]) == {"invoked", "succeeded", "failed",
                                   "denied"}
        one = ax.get("/v1/skills/" + s["name"], token=ax.api_key)
        assert one.json() == s
    r = ax.get("/v1/skills/nothing", token=ax.api_key)
    assert (r.status, r.code) == (404, "SKILL_NOT_FOUND")


def calls(ax, name):
    return ax.get("/v1/skills/" + name, token=ax.api_key).json()["calls"]


def test_invoke(ax):
    before = calls(ax, "file_ops")
    r = exists(ax, headers={"x-request-id": "inv-1"})
    assert r.status == 200
    a = r.json()
    assert list(a) == ["success", "output", "error", "elapsed_s", "decision",
                       "risk_score", "permit", "seq"]
    assert a["success"] is True and a["error"] is None
    assert a["output"]["exists"] is False
    assert a["decision"] in ("APPROVED", "WARNED")
    mine = [x for x in ax.journal() if x["request_id"] == "inv-1"]
    assert [x["kind"] for x in mine] == ["decision", "outcome"]
    assert mine[0]["seq"] == a["seq"]
    assert mine[0]["permit"] == mine[1]["permit"] == a["permit"]
    after = calls(ax, "file_ops")
    assert after["invoked"] == before["invoked"] + 1
    assert after["succeeded"] == before["succeeded"] + 1


def test_invoke_that_fails(ax):
    r = ax.invoke("file_ops", {"operation": "read",
                               "path": ax.files + "/nothing"})
    assert r.status == 200
    assert r.json()["success"] is False and r.json()["error"]


def test_invoke_code(ax):
    r = ax.invoke("code_exec", {"code": "print(6 * 7)"})
    assert r.status == 200, r
    assert r.json()["success"] is True, r
    assert r.json()["output"]["stdout"] == "42\n"


def test_invoke_unknown(ax):
    for name in ("nothing", "", "../etc", "a" * 65, "é"):
        r = ax.invoke(name)
        assert (r.status, r.code) == (404, "SKILL_NOT_FOUND"), name


def test_invoke_acl(ax):
    r = ax.invoke("code_exec", {"code": "print(1)"}, token=ax.api_key)
    assert (r.status, r.code) == (403, "SKILL_ACCESS_DENIED")
    assert r.json()["detail"]["details"] == {"name": "code_exec"}
    r = exists(ax, token=ax.api_key)
    assert (r.status, r.code) == (403, "SKILL_ACCESS_DENIED")


def test_invoke_invalid(ax):
    for inputs in ({}, {"operation": "exists"},
                   {"operation": "burn", "path": "/x"},
                   {"operation": "exists", "path": 5},
                   {"operation": "exists", "path": "/x", "more": 1}):
        r = ax.invoke("file_ops", inputs)
        assert (r.status, r.code) == (400, "SKILL_INPUT_INVALID"), inputs
        d = r.json()["detail"]["details"]
        assert d["name"] == "file_ops" and d["errors"]
        for e in d["errors"]:
            assert e["loc"][:2] == ["body", "inputs"]


def test_switching(make_ax):
    ax = make_ax()
    r = ax.post("/v1/skills/file_ops/disable", token=ax.admin_token,
                headers={"x-request-id": "off-1"})
    assert r.status == 200
    assert (r.json()["name"], r.json()["enabled"]) == ("file_ops", False)
    assert any(x["request_id"] == "off-1" for x in ax.journal())
    r = exists(ax)
    assert (r.status, r.code) == (503, "SKILL_DISABLED")
    assert int(r.headers["retry-after"]) >= 1
    get = ax.get("/v1/skills/file_ops", token=ax.api_key)
    assert get.json()["enabled"] is False
    ax.restart()
    assert exists(ax).code == "SKILL_DISABLED"
    r = ax.post("/v1/skills/file_ops/enable", token=ax.admin_token)
    assert r.json()["enabled"] is True
    assert exists(ax).status == 200
    for verb in ("enable", "disable"):
        r = ax.post("/v1/skills/nothing/" + verb, token=ax.admin_token)
        assert (r.status, r.code) == (404, "SKILL_NOT_FOUND")


def test_blocked(make_ax):
    ax = make_ax(GOVERNOR_MODE="hard_block", RISK_BLOCK_THRESHOLD=0,
                 RISK_WARN_THRESHOLD=0)
    r = exists(ax)
    assert (r.status, r.code) == (403, "GOVERNOR_BLOCKED")
    d = r.json()["detail"]["details"]
    assert d["decision"] == "BLOCKED"
    assert d["reason"] and isinstance(d["rules"], list)


# ---- the audit ----

@pytest.fixture(scope="module")
def filled(ax):
    for _ in range(30):
        assert exists(ax).status == 200
    ax.invoke("nothing")
    ax.wait_projected()
    return ax


def audit(ax, query="", status=200):
    r = ax.get("/v1/audit" + query, token=ax.api_key)
    assert r.status == status, r
    return r


def test_audit_page(filled):
    r = audit(filled, "?limit=5")
    a = r.json()
    assert list(a) == ["entries", "filters", "next_cursor"]
    assert len(a["entries"]) == 5
    for e in a["entries"]:
        assert list(e) == PAGE_KEYS
        assert TIME.match(e["created_at"])
    assert a["filters"] == {
        "limit": 5, "offset": 0, "decision": None, "action": None,
        "action_prefix": None, "risk_score_min": None,
        "risk_score_max": None, "created_after": None,
        "created_before": None}
    times = [e["created_at"] for e in a["entries"]]
    assert times == sorted(times, reverse=True)


def test_audit_walk(filled):
    """Following the links shows each record once, and all of them."""
    path, seen = "/v1/audit?limit=7", []
    while path:
        r = filled.get(path, token=filled.api_key)
        seen += [e["seq"] for e in r.json()["entries"]]
        link = r.headers.get("link")
        m = re.match(r'^<(/v1/audit\?[^>]*)>; rel="next"$', link or "")
        assert (r.json()["next_cursor"] is None) == (link is None)
        path = m.group(1) if m else None
    assert len(seen) == len(set(seen))
    assert set(seen) >= {x["seq"] for x in filled.journal()
                         if x["seq"] <= max(seen)}


def test_audit_offset(filled):
    a = audit(filled, "?limit=10&created_before=2999-01-01").json()["entries"]
    before = a[0]["created_at"]
    q = "?limit=4&created_before=%s" % before
    first = audit(filled, q).json()["entries"]
    second = audit(filled, q + "&offset=2").json()["entries"]
    assert first[2:] == second[:2]
    assert audit(filled, "?offset=10000").json()["entries"] == []


def test_audit_filters(filled):
    every = audit(filled, "?limit=200").json()["entries"]
    action = every[-1]["action"]
    some = audit(filled, "?limit=200&action=" + action).json()
    assert some["filters"]["action"] == action
    assert some["entries"]
    assert all(e["action"] == action for e in some["entries"])
    lower = audit(filled, "?decision=approved").json()
    assert lower["filters"]["decision"] == "APPROVED"
    assert all(e["decision"] == "APPROVED" for e in lower["entries"])
    assert audit(filled, "?decision=NOTHING").json()["entries"] == []
    # % and _ are characters like any other (D-18)
    for p in ("%25", "_", "%25invoke"):
        assert audit(filled, "?action_prefix=" + p).json()["entries"] == []
    assert audit(filled, "?risk_score_min=100").json()["entries"] == []
    assert audit(filled, "?created_after=2999-01-01").json()["entries"] == []
    assert audit(filled, "?created_before=2000-01-01").json()["entries"] == []


def test_audit_errors(filled):
    r = audit(filled, "?risk_score_min=9&risk_score_max=8", 400)
    assert r.code == "AUDIT_INVALID_RISK_RANGE"
    assert r.json()["detail"]["details"] == {"risk_score_min": 9,
                                             "risk_score_max": 8}
    # one with an offset, one without: both are UTC (D-17)
    r = audit(filled, "?created_after=2026-01-02T00:00:00"
              "&created_before=2026-01-02T00:00:00%2B01:00", 400)
    assert r.code == "AUDIT_INVALID_DATE_RANGE"
    assert r.json()["detail"]["details"] == {
        "created_after": "2026-01-02T00:00:00.000000Z",
        "created_before": "2026-01-01T23:00:00.000000Z"}
    for c in ("x", "A" * 32, "%22", "0" * 256):
        assert audit(filled, "?cursor=" + c, 400).code == \
            "AUDIT_INVALID_CURSOR"


def test_audit_summary(filled):
    r = filled.get("/v1/audit/summary", token=filled.api_key).json()
    s = r["summary"]
    assert list(s) == ["total", "by_decision", "by_action", "risk_buckets",
                       "latest_created_at"]
    assert s["total"] == sum(s["by_decision"].values()) \
        == sum(s["by_action"].values()) == sum(s["risk_buckets"].values())
    assert list(s["risk_buckets"]) == ["low", "medium", "high", "critical"]
    assert TIME.match(s["latest_created_at"])
    none = filled.get("/v1/audit/summary?created_before=2000-01-01",
                      token=filled.api_key).json()["summary"]
    assert (none["total"], none["latest_created_at"]) == (0, None)


def test_audit_counts(filled):
    a = filled.get("/v1/audit/actions", token=filled.api_key).json()
    names = [x["action"] for x in a["actions"]]
    assert names == sorted(names) and names
    assert a["filters"] == {"decision": None, "action_prefix": None}
    d = filled.get("/v1/audit/decisions", token=filled.api_key).json()
    assert d["filters"] == {"action": None}
    assert sum(x["count"] for x in a["actions"]) == \
        sum(x["count"] for x in d["decisions"])


# ---- rate limit, auth off ----

def test_rate_limit(make_ax):
    ax = make_ax(ENABLE_RATE_LIMIT="yes", RATE_LIMIT_PER_MIN=5,
                 HIGH_RISK_RATE_LIMIT_PER_MIN=2)
    for left in (1, 0):
        r = exists(ax)
        assert r.status == 200
        assert r.headers["x-ratelimit-remaining"] == str(left)
    r = exists(ax)
    assert r.status == 429
    d = r.json()["detail"]
    assert (d["code"], d["bucket"], d["limit"]) \
        == ("RATE_LIMITED", "high_risk", 2)
    assert 1 <= d["reset_after_s"] <= 120
    assert r.headers["retry-after"] == str(d["reset_after_s"])
    for _ in range(20):  # probes and scrapes are not limited
        assert ax.get("/v1/live").status == 200
        assert ax.get("/metrics").status == 200
    got = [ax.get("/v1/skills", token=ax.api_key).status for _ in range(6)]
    assert got == [200] * 5 + [429]
    # the administrator has a budget of his own
    assert ax.get("/v1/skills", token=ax.admin_token).status == 200


def test_auth_off(make_ax):
    ax = make_ax(AUTH="off")
    assert ax.get("/v1/skills").status == 200
    r = exists(ax, token="whatever")
    assert (r.status, r.code) == (403, "SKILL_ACCESS_DENIED")
    for token in (None, "whatever", ax.api_key):
        r = ax.post("/v1/skills/file_ops/disable", token=token)
        assert (r.status, r.code) == (403, "FORBIDDEN")
    r = ax.post("/v1/skills/file_ops/disable", token=ax.admin_token)
    assert r.status == 200


# ---- idempotency ----

def test_idempotency_key(ax):
    h = {"idempotency-key": "k-%s" % ax.port}
    a = exists(ax, headers=h)
    n = len(ax.journal())
    b = exists(ax, headers=h)
    assert (a.status, b.status) == (200, 200)
    assert a.json()["permit"] == b.json()["permit"]
    assert len([x for x in ax.journal()[n:] if x["kind"] == "outcome"]) == 0
    for bad in ("a b", "k" * 129):
        r = exists(ax, headers={"idempotency-key": bad})
        assert (r.status, r.code) == (400, "IDEMPOTENCY_KEY_INVALID")


# ---- while something is away ----
# (only root sees which of these processes is which: they are not dumpable)

def start_sleep(ax, seconds, rid):
    """A connection on which code_exec runs; it runs for certain."""
    c = ax.connection()
    c.request("POST", "/v1/skills/invoke", body=json.dumps({
        "name": "code_exec", "inputs": {
            "code": "import time; time.sleep(%d)" % seconds,
            "timeout_s": seconds + 1}}), headers={
        "authorization": "Bearer " + ax.admin_token,
        "content-type": "application/json", "x-request-id": rid})
    axlib.wait_until(lambda: [r for r in ax.journal()
                              if r["request_id"] == rid], 10, "its decision")
    axlib.wait_until(lambda: ax.metric("archillx_sandbox_running"), 10,
                     "its run")
    return c


def outcome(ax, rid, timeout):
    return axlib.wait_until(
        lambda: [r for r in ax.journal() if r["request_id"] == rid
                 and r["kind"] == "outcome"], timeout, "an outcome")[0]


def test_client_leaves_a_run(make_ax):
    ax = make_ax()
    c = start_sleep(ax, 6, "gone-1")
    c.close()
    r = outcome(ax, "gone-1", 4)
    assert "killed" in json.dumps(r), r


@pytest.mark.root
def test_audit_dies_under_a_run(make_ax):
    ax = make_ax()
    c = start_sleep(ax, 7, "dead-1")
    os.kill(ax.procs()["audit"][0], signal.SIGKILL)
    killed = time.monotonic()
    r = c.getresponse()
    body = json.loads(r.read())
    assert (r.status, body["detail"]["code"]) == (500, "RUN_INTERRUPTED")
    assert r.getheader("retry-after") is None
    assert "interrupted" in json.dumps(outcome(ax, "dead-1", 15))
    # the run was ended, not waited for
    assert time.monotonic() - killed < 5


@pytest.mark.root
def test_reads_while_audit_is_away(make_ax):
    """Killed again and again: nothing starts, everything else answers."""
    ax = make_ax()
    wanted = {p: ax.get(p, token=ax.api_key).status
              for p in KEY_ROUTES + PUBLIC_ROUTES}
    refused = 0
    for _ in range(5):
        for p in ax.procs().get("audit", []):
            os.kill(p, signal.SIGKILL)
        for path in wanted:
            if "ready" not in path:
                assert ax.get(path, token=ax.api_key).status == 200, path
        r = exists(ax)
        assert r.code in (None, "AUDIT_UNAVAILABLE", "RUN_INTERRUPTED"), r
        refused += r.code == "AUDIT_UNAVAILABLE"
    assert refused
    ax.wait_ready()
    assert exists(ax).status == 200


@pytest.mark.root
def test_store_dies(make_ax):
    ax = make_ax()
    assert exists(ax).status == 200
    for _ in range(5):
        for p in ax.procs().get("store", []):
            os.kill(p, signal.SIGKILL)
        r = ax.get("/v1/audit", token=ax.api_key)
        assert r.status == 200 or r.code == "DATABASE_UNAVAILABLE", r
        assert exists(ax).status == 200
    ax.wait_ready()
    ax.wait_projected()
    assert ax.get("/v1/audit/summary", token=ax.api_key).json()[
        "summary"]["total"] >= 6


def test_reload_shows(make_ax):
    ax = make_ax()
    ax.write_conf(APP_VERSION="7.7.7", GOVERNOR_MODE="audit_only",
                  ENABLE_METRICS="no")
    assert ax.reload().returncode == 0
    assert ax.get("/v1/live").json()["version"] == "7.7.7"
    assert ax.get("/openapi.json").json()["info"]["version"] == "7.7.7"
    assert ax.get("/v1/governor/config", token=ax.api_key).json()[
        "mode"] == "audit_only"
    assert ax.get("/metrics").code == "METRICS_DISABLED"
