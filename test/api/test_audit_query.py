# SPDX-License-Identifier: ISC
"""Bad input to every parameter of every audit endpoint: each gets the
contract's status and code, in bounded time, and nothing leaks; and the paging
that stands beside it."""
import json
import re
import time

import pytest

AX_SETTINGS = {"ENABLE_RATE_LIMIT": "no"}

PAGE, SUMMARY = "/v1/audit", "/v1/audit/summary"
ACTIONS, DECISIONS = "/v1/audit/actions", "/v1/audit/decisions"
EXPORT, FOLLOW = "/v1/audit/export", "/v1/audit/follow"
PROOF, CONSISTENCY = "/v1/audit/proof", "/v1/audit/consistency"
ONE, CHECKPOINT = "/v1/audit/1", "/v1/audit/checkpoint"

FILTERED = (PAGE, SUMMARY, EXPORT)
INTS = {
    "limit": {PAGE: (1, 200), EXPORT: (1, 1000)},
    "offset": {PAGE: (0, 10000), EXPORT: (0, 2**63 - 1)},
    "risk_score_min": dict.fromkeys(FILTERED, (0, 100)),
    "risk_score_max": dict.fromkeys(FILTERED, (0, 100)),
    "seq": {PROOF: (1, 2**63 - 1)},
    "from": {CONSISTENCY: (1, 2**63 - 1)},
    "to": {CONSISTENCY: (1, 2**63 - 1)},
    "after": {FOLLOW: (0, 2**63 - 1)},
}
TIMES = ("created_after", "created_before")
TEXTS = {
    "decision": ((PAGE, SUMMARY, ACTIONS, EXPORT, FOLLOW), 64),
    "action": ((PAGE, SUMMARY, DECISIONS, EXPORT, FOLLOW), 256),
    "action_prefix": ((PAGE, SUMMARY, ACTIONS, EXPORT, FOLLOW), 256),
    "cursor": ((PAGE, EXPORT), 256),
}
# What must never be in an answer to bad input.
LEAKS = re.compile(rb"SELECT|sqlite|/work|/tmp|/usr|\.c:\d|Traceback|0x[0-9a-f]"
                   rb"{8}", re.I)


@pytest.fixture(scope="module")
def q(ax):
    for i in range(4):
        ax.invoke("file_ops", {"operation": "exists", "path": "x%d" % i})
    ax.wait_projected()
    # probes while it started
    ax.errors = ax.metric("archillx_http_status_5xx_total")

    def ask(path, query, headers=None):
        began = time.monotonic()
        with ax.stream(path + "?" + query, ax.admin_token, headers) as s:
            sse = s.headers.get("content-type") == "text/event-stream"
            r = type("R", (), {})()
            r.status, r.headers = s.status, s.headers
            r.body = b"" if sse else s.read()
        assert time.monotonic() - began < 5, (path, query)
        if r.status >= 400:
            assert not LEAKS.search(r.body), (path, query, r.body)
            assert r.status < 500, (path, query, r.body)
            assert len(r.body) < 8192
            r.code = json.loads(r.body)["detail"]["code"]
        return r
    return ask


def invalid(r, name, kind=None, where="query"):
    assert (r.status, r.code) == (422, "REQUEST_VALIDATION_FAILED"), r.body
    first = json.loads(r.body)["detail"]["errors"][0]
    assert first["loc"] == ([where, name] if name else [where])
    if kind:
        assert first["type"] == kind, first


def others(path, name):
    """What the endpoint cannot do without, besides this one."""
    need = {PROOF: "seq", CONSISTENCY: "from"}.get(path)
    return "" if need in (None, name) else need + "=1&"


INT_CASES = [(p, n, b) for n, where in INTS.items() for p, b in where.items()]


@pytest.mark.parametrize("path,name,bounds", INT_CASES)
def test_numbers(q, path, name, bounds):
    low, high = bounds
    for v in (low - 1, -2**63, -2**63 - 1, -10**40):
        invalid(q(path, "%s%s=%d" % (others(path, name), name, v)), name,
                "greater_than_equal")
    for v in (high + 1, 2**64, 10**40):
        invalid(q(path, "%s%s=%d" % (others(path, name), name, v)), name,
                "less_than_equal")
    for v in ("x", "1.5", "0x1", "1e3", "+1", "%2B1", "%201", "1%20", "1,2",
              "%D9%A1", "true", "null", "%5B%5D", "-", "--1", "1%0A", "9" * 4000 + "x"):
        invalid(q(path, "%s%s=%s" % (others(path, name), name, v)), name,
                "int_parsing")
    r = q(path, "%s%s=%d&%s=%d" % (others(path, name), name, low, name, low))
    invalid(r, name, "multiple_argument_values")


@pytest.mark.parametrize("name", TEXTS)
def test_texts(q, name):
    paths, most = TEXTS[name]
    for path in paths:
        invalid(q(path, "%s=%s" % (name, "a" * (most + 1))), name,
                "string_too_long")
        invalid(q(path, "%s=%s" % (name, "%41" * 2000)), name,
                "string_too_long")
        invalid(q(path, "%s=a&%s=b" % (name, name)), name,
                "multiple_argument_values")
        # escapes that are none, NUL, UTF-8 that is none, overlong, surrogate
        for v in ("%", "%4", "%zz", "a%", "%00", "a%00b"):
            r = q(path, "%s=%s" % (name, v))
            assert (r.status, r.code) == (400, "BAD_REQUEST"), v
        for v in ("%ff", "%c3", "%c0%af",
                  "%e0%80%80", "%f0%80%80%80", "%ed%a0%80", "%f4%90%80%80",
                  "%f8%88%80%80%80"):
            invalid(q(path, "%s=%s" % (name, v)), name, "string_unicode")


@pytest.mark.parametrize("path", FILTERED)
@pytest.mark.parametrize("name", TIMES)
def test_times(q, path, name):
    for v in ("x", "2026-13-01", "2026-02-30", "2026-01-01T24:00:01Z",
              "2026-01-01T25:00:00Z", "2026-01-01T00:60:00Z",
              "2026-01-01T00:00:00%2B99:00", "2026-01-01T00:00:00Zx",
              "0000-01-01", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z",
              "99999-01-01", "-1", "-99999999999", "9" * 30, "1e9", "NaN",
              "2026-1-1", "2026-01-01T00:00:00.Z", "26-01-01", "%2B2026-01-01",
              "2026-01-01T00:00:00+01:00+01:00", "2026" * 500):
        invalid(q(path, "%s=%s" % (name, v)), name,
                "datetime_from_date_parsing")
    for v in ("0", "1795475280", "9999-12-31T23:59:59.999999Z", "2026-01-01",
              "2026-01-01T00:00:00", "2026-01-01%2000:00:00",
              "2026-01-01T00:00:00.123456Z", "2024-02-29",
              "2026-01-01T00:00:00-12:00", "2026-01-01T00:00:00%2B05:45"):
        assert q(path, "%s=%s" % (name, v)).status == 200, v
    invalid(q(path, "%s=0&%s=0" % (name, name)), name,
            "multiple_argument_values")
    # a leap second is a time or is none; it never breaks anything
    assert q(path, name + "=2016-12-31T23:59:60Z").status in (200, 422)


@pytest.mark.parametrize("path", FILTERED)
def test_ranges(q, path):
    r = q(path, "risk_score_min=7&risk_score_max=6")
    assert (r.status, r.code) == (400, "AUDIT_INVALID_RISK_RANGE")
    assert json.loads(r.body)["detail"]["details"] == {
        "risk_score_min": 7, "risk_score_max": 6}
    assert q(path, "risk_score_min=7&risk_score_max=7").status == 200
    for after, before in (
            ("2026-01-02", "2026-01-01"), ("2", "1"),
            # naive is UTC: one hour later than what the offset says
            ("2026-01-01T12:00:00", "2026-01-01T12:00:00%2B01:00"),
            ("2026-01-01T12:00:00-01:00", "2026-01-01T12:59:59Z"),
            ("9999-12-31T23:59:59Z", "1970-01-01")):
        r = q(path, "created_after=%s&created_before=%s" % (after, before))
        assert (r.status, r.code) == (400, "AUDIT_INVALID_DATE_RANGE"), after
        d = json.loads(r.body)["detail"]["details"]
        assert all(d[n].endswith("Z") for n in TIMES)
    for after, before in (
            ("2026-01-01T12:00:00%2B01:00", "2026-01-01T12:00:00"),
            ("2026-01-01T13:00:00%2B01:00", "2026-01-01T12:00:00Z")):
        assert q(path, "created_after=%s&created_before=%s"
                 % (after, before)).status == 200


def test_format(q):
    for v in ("xml", "JSON", "json,jsonl", "json%20", "jsonl" * 300):
        invalid(q(EXPORT, "format=" + v), "format", "string_pattern_mismatch")
    invalid(q(EXPORT, "format=json&format=json"), "format",
            "multiple_argument_values")
    assert q(EXPORT, "format=").headers["content-type"] \
        == "application/x-ndjson"
    assert q(EXPORT, "limit=all").status == 200
    invalid(q(EXPORT, "limit=ALL"), "limit", "int_parsing")
    invalid(q(PAGE, "limit=all"), "limit", "int_parsing")


def test_missing(q):
    invalid(q(PROOF, ""), "seq", "missing")
    invalid(q(PROOF, "seq="), "seq", "missing")
    invalid(q(CONSISTENCY, "to=5"), "from", "missing")


def test_last_event_id(q):
    for v in ("x", "-1", "1.5", "9" * 30, "1 2"):
        invalid(q(FOLLOW, "", {"last-event-id": v}), "last-event-id",
                where="header")
    assert q(FOLLOW, "after=3", {"last-event-id": ""}).status == 200


@pytest.mark.parametrize("path", [PAGE, EXPORT])
def test_cursors(q, path):
    first = json.loads(q(path, "limit=2&format=json").body)["next_cursor"]
    flipped = first[:-1] + ("A" if first[-1] != "A" else "B")
    other = first[0] + ("A" if first[1] != "A" else "B") + first[2:]
    for v in ("x", "0", "-1", first[:-1], first + "A", flipped, other,
              first * 2, first.swapcase(), "A" * len(first), "%F0%9F%98%80",
              "' OR 1=1 --".replace(" ", "%20"), "..%2F..%2Fetc"):
        r = q(path, "cursor=" + v)
        assert (r.status, r.code) == (400, "AUDIT_INVALID_CURSOR"), v
    for off in ("0", "7"):
        invalid(q(path, "cursor=%s&offset=%s" % (first, off)), "offset",
                "value_error")
    assert q(path, "cursor=" + first).status == 200
    # both empty count as absent
    assert q(path, "cursor=&offset=").status == 200


def test_cursor_of_another_query(q):
    """It is of the query that gave it."""
    page = json.loads(q(PAGE, "limit=2").body)["next_cursor"]
    for path, query in ((EXPORT, ""), (PAGE, "&action=other")):
        r = q(path, "cursor=" + page + query)
        assert r.status == 200 or (r.status, r.code) == (
            400, "AUDIT_INVALID_CURSOR")


@pytest.mark.parametrize("path", [PAGE, SUMMARY, ACTIONS, DECISIONS, EXPORT,
                                  FOLLOW, CHECKPOINT, ONE])
def test_unknown_is_ignored(q, path):
    for s in ("nothing=1", "nothing=1&nothing=2", "Limit=0", "limit%5B%5D=0", "&&&",
              "=", "=x", "a" * 3000 + "=1", "%E2%82%AC=1", ";limit=0"):
        assert q(path, s).status in (200, 404), s
    r = q(path, "%ff=1")  # a name that is no text
    if path not in (CHECKPOINT, ONE):
        invalid(r, None, "string_unicode")


def test_many_errors_are_bounded(q):
    r = q(PAGE, "limit=x&" * 400)
    assert r.status == 422
    assert len(json.loads(r.body)["detail"]["errors"]) <= 32


def test_one(q, ax):
    assert json.loads(q(ONE, "").body)["seq"] == 1
    for v in ("0", "00", "999999999", "9" * 30, "18446744073709551617"):
        r = q("/v1/audit/" + v, "")
        assert (r.status, r.code) == (404, "AUDIT_NOT_FOUND"), v
    for v in ("x", "-1", "1.0", "1e3", "%31x", "1%20", "1/", "1/2", "%00"):
        r = ax.get("/v1/audit/" + v, token=ax.admin_token)
        assert r.status in (400, 404) and not LEAKS.search(r.body), v
    assert ax.get("/v1/audit/%31", token=ax.api_key).json()["seq"] == 1


def test_trees(q, ax):
    for s in ("from=2&to=1", "from=999999999", "from=1&to=999999999"):
        r = q(CONSISTENCY, s)
        assert (r.status, r.code) in ((400, "AUDIT_INVALID_TREE_RANGE"),
                                      (404, "CHECKPOINT_NOT_FOUND")), s
    r = q(PROOF, "seq=999999999")
    assert r.code in ("NOT_COVERED", "CHECKPOINT_NOT_FOUND")
    assert int(r.headers["retry-after"]) > 0


def test_link(q, ax):
    """Link and next_cursor are the same way, and lead once past each row."""
    path, seen = PAGE + "?limit=3&action_prefix=skill", []
    while path:
        r = ax.get(path, token=ax.api_key)
        d = r.json()
        seen += [e["seq"] for e in d["entries"]]
        link = r.headers.get("link")
        assert (link is None) == (d["next_cursor"] is None)
        path = None
        if link:
            m = re.fullmatch(r'<(/v1/audit\?[^<>]*)>; rel="next"', link)
            path = m.group(1)
            assert "cursor=" + d["next_cursor"] in path
            assert "action_prefix=skill" in path and "offset" not in path
            # what comes meanwhile is not in this pass
            ax.invoke("file_ops", {"operation": "exists", "path": "new"})
            ax.wait_projected()
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 4
    page = ax.get(PAGE + "?limit=2&offset=1", token=ax.api_key).json()
    whole = ax.get(PAGE, token=ax.api_key).json()
    assert page["entries"] == whole["entries"][1:3]


def test_nothing_broke(ax):
    assert ax.metric("archillx_http_status_5xx_total") == ax.errors
    assert ax.metric("archillx_worker_restarts_total") == 0
