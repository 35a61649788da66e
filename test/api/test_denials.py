# SPDX-License-Identifier: ISC
"""A flood of denials is a handful of records, and every one is counted."""
import threading
import time

import axlib

FLOOD = 5000
DENIED = ("auth_failed", "rate_limited", "forbidden", "skill_access_denied",
          "sandbox_denied")


def flood(ax, total, one, threads=8):
    """`one(conn, i)` for i below total, on kept connections."""
    def run(k):
        c = ax.connection()
        for i in range(k, total, threads):
            one(c, i)
        c.close()

    ts = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()


def denials(ax, action):
    return [r for r in ax.journal() if r["action"] == action]


def total(rows):
    return sum(r["context"]["count"] for r in rows)


def test_bad_tokens(make_ax):
    ax = make_ax(HTTP_WORKERS=2)
    t0 = time.monotonic()
    answers = []

    def one(conn, i):
        conn.request("GET", "/v1/audit", headers={
            "Authorization": "Bearer guess-%d" % i,
            "X-Request-Id": "r%d" % (i % 7)})
        r = conn.getresponse()
        r.read()
        answers.append(r.status)

    flood(ax, FLOOD, one)
    assert answers == [401] * FLOOD
    took = time.monotonic() - t0
    # at once: the first one
    axlib.wait_until(lambda: denials(ax, "auth_failed"), 5, "the first")
    assert denials(ax, "auth_failed")[0]["context"]["count"] >= 1
    axlib.wait_until(
        lambda: ax.metric("archillx_denials_coalesced_total")
        + denials(ax, "auth_failed")[0]["context"]["count"] >= FLOOD, 10,
        "the fronts to tell all")
    assert ax.stop() == 0
    rows = denials(ax, "auth_failed")
    # first and sum of each window of a minute
    assert len(rows) <= 2 + 2 * int(1 + took / 60), rows
    assert total(rows) == FLOOD, rows
    many = rows[-1]["context"]
    assert many["coalesced"] and many["address"] == "127.0.0.1"
    assert many["first_at"] <= many["last_at"] <= rows[-1]["ts"]
    assert many["first_seq"] == rows[0]["seq"]
    assert 7 <= many["request_ids"]
    assert "guess" not in str(rows)


def test_rate_limited(make_ax):
    ax = make_ax(ENABLE_RATE_LIMIT="yes", RATE_LIMIT_PER_MIN=5)
    status = []

    def one(conn, i):
        conn.request("GET", "/v1/audit", headers={
            "Authorization": "Bearer " + ax.api_key})
        r = conn.getresponse()
        r.read()
        status.append(r.status)

    flood(ax, 400, one, threads=4)
    n = status.count(429)
    assert n >= 300
    assert ax.stop() == 0
    rows = denials(ax, "rate_limited")
    # the requests of wait_ready() are none of ours
    assert len(rows) <= 4 and total(rows) == n, rows


def test_acl_denials_have_the_seq_of_the_first(make_ax):
    ax = make_ax(ENABLE_SKILL_ACL="yes")
    answers = []

    def one(conn, i):
        r = ax.invoke("code_exec", {"code": "print(1)"}, token=ax.api_key,
                      conn=conn)
        answers.append((r.status, r.code))

    flood(ax, 200, one, threads=8)
    assert set(answers) == {(403, "SKILL_ACCESS_DENIED")}
    rows = denials(ax, "skill_access_denied")
    assert len(rows) == 1 and rows[0]["context"]["skill"] == "code_exec"
    assert ax.stop() == 0
    rows = denials(ax, "skill_access_denied")
    assert len(rows) == 2 and total(rows) == 200
    assert rows[1]["actor"] == rows[0]["actor"] == "key:api_key"
    assert rows[1]["context"]["first_seq"] == rows[0]["seq"]


def test_blocks_are_each_recorded(make_ax):
    """What the governor blocks is a decision, not a denial."""
    ax = make_ax()
    n = 30
    for _ in range(n):
        r = ax.invoke("file_ops", {"operation": "delete", "path": "/etc/x"})
        assert r.status == 403 and r.code == "GOVERNOR_BLOCKED", r
    rows = [r for r in ax.journal() if r["kind"] == "decision"
            and r["decision"] == "BLOCKED"]
    assert len(rows) == n


def test_a_killed_gate_loses_no_first(make_ax):
    """Counts are memory; the first of each is on the disk."""
    ax = make_ax()
    assert ax.get("/v1/audit", token="guess").status == 401
    axlib.wait_until(lambda: denials(ax, "auth_failed"), 5, "the first")
    ax.kill()
    assert total(denials(ax, "auth_failed")) == 1


def test_all_kinds_have_a_count(make_ax):
    ax = make_ax(ARCHILLX_ENABLE_CODE_EXEC="no")
    for _ in range(3):
        ax.get("/v1/audit", token="guess")
        ax.post("/v1/skills/file_ops/disable", token=ax.api_key)
        r = ax.invoke("code_exec", {"code": "print(1)"})
        assert r.status == 200 and not r.json()["success"]
        assert r.json()["seq"]
    assert ax.stop() == 0
    for action in ("auth_failed", "sandbox_denied"):
        rows = denials(ax, action)
        assert total(rows) == 3, (action, rows)
        assert len(rows) <= 2, rows
