# SPDX-License-Identifier: ISC
"""Bad requests to the API get a clear error, start nothing and harm nothing.
(What is below the API, the framing of HTTP, has its own tests.)"""
import http.client
import json
import socket

import pytest

import axlib

pytestmark = pytest.mark.quick

BODY = {"name": "file_ops",
        "inputs": {"operation": "exists", "path": "/é", "n": [1, -2.5e3]}}


@pytest.fixture
def harmless(ax):
    """Whatever the test does: no action, and the service is as before."""
    pids = ax.procs()
    before = len([r for r in ax.journal() if r["permit"]])
    yield ax
    assert ax.procs() == pids
    assert len([r for r in ax.journal() if r["permit"]]) == before
    r = ax.invoke("file_ops", {"operation": "exists",
                               "path": ax.files + "/x"})
    assert r.status == 200, r


def send(ax, data, ctype="application/json", conn=None, token=None):
    h = {"content-type": ctype} if ctype is not None else {}
    return ax.request("POST", "/v1/skills/invoke", body=data, headers=h,
                      token=ax.admin_token if token is None else token,
                      conn=conn)


def items(r):
    assert r.status == 422, r
    d = r.json()["detail"]
    assert list(d) == ["code", "message", "errors", "request_id"]
    assert d["code"] == "REQUEST_VALIDATION_FAILED"
    assert d["request_id"] == r.headers["x-request-id"]
    assert d["errors"]
    for e in d["errors"]:
        assert set(e) <= {"type", "loc", "msg", "input", "ctx"}
        assert {"type", "loc", "msg"} <= set(e)
    return d["errors"]


def test_cut_everywhere(harmless):
    whole = json.dumps(BODY, ensure_ascii=False).encode()
    conn = harmless.connection()
    for n in range(len(whole)):
        e = items(send(harmless, whole[:n], conn=conn))
        assert len(e) == 1
        if n == 0:
            assert (e[0]["type"], e[0]["loc"]) == ("missing", ["body"])
        else:
            assert e[0]["type"] == "json_invalid"
            assert e[0]["loc"][0] == "body"
            assert 0 <= e[0]["loc"][1] <= n
    conn.close()


NOT_JSON = [
    b"\0", b"{}\0", b'{"name":"a\0b"}', b'{"name":"\\u0000"}',
    b'{"name":"\xff"}', b'{"name":"\xc0\xaf"}', b'{"name":"\xed\xa0\x80"}',
    b'{"name":"\\ud800"}', b'{"name":"a","name":"b"}',
    b'{"name":"a","inputs":{"x":1,"x":2}}', b"{} {}", b"{},", b"nul",
    b"{'name':'a'}", b'{"name":"a",}', b"NaN", b'{"n":Infinity}',
    b'{"n":1e999}', b'{"n":99999999999999999999}', b'{"n":01}',
    b"\xef\xbb\xbf{}", b" ", b"}", b"//x\n{}", b"\xfe\xff\0{\0}",
    b"[" * 65 + b"]" * 65, b"[" * 100000, b'{"a":' * 100000,
    b'{"name":"a","inputs":' + b'{"a":' * 64 + b"1" + b"}" * 65,
]


@pytest.mark.parametrize("data", NOT_JSON, ids=range(len(NOT_JSON)))
def test_not_json(harmless, data):
    e = items(send(harmless, data))
    assert [x["type"] for x in e] == ["json_invalid"]
    assert e[0]["input"] == {}
    assert e[0]["ctx"]["error"]


WRONG = [
    (b"[]", "model_attributes_type", ["body"]),
    (b"5", "model_attributes_type", ["body"]),
    (b"null", "model_attributes_type", ["body"]),
    (b'"x"', "model_attributes_type", ["body"]),
    (b"{}", "missing", ["body", "name"]),
    (b'{"Name":"a"}', "missing", ["body", "name"]),
    (b'{"name":5}', "string_type", ["body", "name"]),
    (b'{"name":null}', "string_type", ["body", "name"]),
    (b'{"name":["a"]}', "string_type", ["body", "name"]),
    (b'{"name":{"a":1}}', "string_type", ["body", "name"]),
    (b'{"name":"a","inputs":[]}', "dict_type", ["body", "inputs"]),
    (b'{"name":"a","inputs":null}', "dict_type", ["body", "inputs"]),
    (b'{"name":"a","inputs":"{}"}', "dict_type", ["body", "inputs"]),
    (b'{"name":"a","inputs":0}', "dict_type", ["body", "inputs"]),
]


@pytest.mark.parametrize("data,kind,loc", WRONG)
def test_wrong_types(harmless, data, kind, loc):
    e = items(send(harmless, data))
    assert [(x["type"], x["loc"]) for x in e] == [(kind, loc)]


def test_both_wrong(harmless):
    e = items(send(harmless, b'{"name":1,"inputs":2}'))
    assert len(e) == 2


def test_depth_that_is_allowed(ax):
    inputs = 1
    for _ in range(62):
        inputs = {"a": inputs}
    r = ax.post("/v1/skills/invoke", token=ax.admin_token,
                json={"name": "file_ops", "inputs": inputs})
    assert (r.status, r.code) == (400, "SKILL_INPUT_INVALID")


def test_unknown_keys_are_ignored(ax):
    r = ax.post("/v1/skills/invoke", token=ax.admin_token, json={
        "name": "file_ops", "x": [1], "token": "y",
        "inputs": {"operation": "exists", "path": ax.files + "/x"}})
    assert r.status == 200, r


@pytest.mark.parametrize("ctype", [
    "text/plain", "application/jsonx", "application/xml", "json", "",
    "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_media_type(harmless, ctype):
    r = send(harmless, json.dumps(BODY).encode(), ctype=ctype)
    assert (r.status, r.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_too_large(harmless):
    big = b'{"name":"' + b"a" * (10 << 20) + b'"}'
    h = {"content-type": "application/json"}
    try:
        r = send(harmless, big)
    except (BrokenPipeError, ConnectionResetError):
        r = None  # closed before we had sent it all: read by hand below
    if r is not None:
        assert (r.status, r.code) == (413, "PAYLOAD_TOO_LARGE")
    # by the announced length alone, before a byte of it
    out = harmless.raw(
        b"POST /v1/skills/invoke HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n"
        % (harmless.admin_token.encode(), len(big)))
    assert out.startswith(b"HTTP/1.1 413 "), out[:200]
    assert b"PAYLOAD_TOO_LARGE" in out
    # chunked, with no length told
    with harmless.connect() as s:
        s.sendall(b"POST /v1/skills/invoke HTTP/1.1\r\nHost: x\r\n"
                  b"Authorization: Bearer %s\r\n"
                  b"Content-Type: application/json\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n"
                  % harmless.admin_token.encode())
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        try:
            for _ in range(160):
                s.sendall(chunk)
        except OSError:
            pass
        try:
            assert s.recv(4096).startswith(b"HTTP/1.1 413 ")
        except ConnectionResetError:
            pass


def test_largest_body(ax):
    """Just below the limit it is read and judged: 2 MiB of one string."""
    n = (2 << 20) - 200
    body = b'{"name":"nothing","inputs":{"x":"' + b"a" * n + b'"}}'
    assert len(body) <= 2 << 20
    r = send(ax, body)
    assert (r.status, r.code) == (404, "SKILL_NOT_FOUND")


BAD_QUERIES = [
    ("limit=0", "greater_than_equal", "limit"),
    ("limit=201", "less_than_equal", "limit"),
    ("limit=x", "int_parsing", "limit"),
    ("limit=1e1", "int_parsing", "limit"),
    ("limit=" + "9" * 400, "less_than_equal", "limit"),
    ("offset=-1", "greater_than_equal", "offset"),
    ("offset=10001", "less_than_equal", "offset"),
    ("risk_score_min=-1", "greater_than_equal", "risk_score_min"),
    ("risk_score_max=101", "less_than_equal", "risk_score_max"),
    ("created_after=soon", "datetime_from_date_parsing", "created_after"),
    ("created_before=2026-02-30", "datetime_from_date_parsing",
     "created_before"),
    ("limit=1&limit=2", "multiple_argument_values", "limit"),
    ("action=%ff", "string_unicode", "action"),
    ("action=" + "a" * 257, "string_too_long", "action"),
    ("cursor=" + "a" * 257, "string_too_long", "cursor"),
]


@pytest.mark.parametrize("q,kind,name", BAD_QUERIES)
def test_bad_queries(harmless, q, kind, name):
    e = items(harmless.get("/v1/audit?" + q, token=harmless.api_key))
    assert [(x["type"], x["loc"]) for x in e] == [(kind, ["query", name])]


def test_bad_escapes(harmless):
    for q in ("action=%00", "action=%4", "action=%", "%zz=1", "x=%g0"):
        r = harmless.get("/v1/audit?" + q, token=harmless.api_key)
        assert (r.status, r.code) == (400, "BAD_REQUEST")


def test_query_noise(ax):
    for q in ("?", "?&&", "?limit=", "?x=1&x=2", "?Limit=x", "?limit=&x",
              "?decision=&action=&action_prefix=&created_after="):
        r = ax.get("/v1/audit" + q, token=ax.api_key)
        assert r.status == 200, (q, r)
        assert r.json()["filters"]["limit"] == 50


def test_sql_in_filters(harmless):
    for v in ("'", "''%20OR%201=1--", "%25", "_", "%22;DROP%20TABLE%20x;"):
        for p in ("action", "action_prefix", "decision"):
            r = harmless.get("/v1/audit?%s=%s" % (p, v),
                             token=harmless.api_key)
            assert r.status == 200, r
            assert r.json()["entries"] == []


def test_paths(harmless):
    tok = b"Authorization: Bearer %s\r\n" % harmless.api_key.encode()
    for path in (b"/%", b"/%zz", b"/%00", b"/%ff", b"/v1/%2e%2e/audit",
                 b"/" + b"a" * 5000, b"/v1/skills/" + b"x" * 200,
                 b"/v1/skills/%7Bname%7D", b"/v1/skills/..",
                 b"/v1/skills/%E2%80%AE"):
        out = harmless.raw(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n"
                           + tok + b"Connection: close\r\n\r\n")
        assert out.split(b" ")[1] in (b"400", b"404"), (path, out[:200])


def test_tokens(harmless):
    for value in (b"Bearer", b"Bearer ", b"Bearer  x", b"Basic eDp5",
                  b"\xff\xfe", b"Bearer " + b"x" * 4000, b"bearer x"):
        out = harmless.raw(b"GET /v1/audit HTTP/1.1\r\nHost: x\r\n"
                           b"Connection: close\r\nAuthorization: " + value
                           + b"\r\n\r\n")
        assert out.split(b" ")[1] in (b"401", b"400"), (value, out[:200])
    # never in the URL
    r = harmless.get("/v1/audit?token=%s&api_key=%s"
                     % (harmless.api_key, harmless.api_key))
    assert r.status in (400, 401)
    assert harmless.api_key not in r.text


def test_refused_before_the_body(harmless):
    """Nobody has to be sent a body that will not be looked at."""
    for head, status in ((b"", b"401"),
                         (b"Authorization: Bearer %s\r\n"
                          % harmless.admin_token.encode(), b"415")):
        with harmless.connect(5) as s:
            s.sendall(b"POST /v1/skills/invoke HTTP/1.1\r\nHost: x\r\n" + head
                      + b"Content-Length: 1000000\r\n\r\n")
            assert s.recv(4096).split(b" ")[1] == status


def test_client_that_leaves(harmless, ax):
    """Gone before the answer: the run is cancelled or ends, nothing leaks."""
    body = json.dumps({"name": "file_ops", "inputs": {
        "operation": "burn"}}).encode()
    for _ in range(50):
        s = harmless.connect()
        s.sendall(b"POST /v1/skills/invoke HTTP/1.1\r\nHost: x\r\n"
                  b"Authorization: Bearer %s\r\n"
                  b"Content-Type: application/json\r\n"
                  b"Content-Length: %d\r\n\r\n"
                  % (harmless.admin_token.encode(), len(body)) + body)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     b"\1\0\0\0\0\0\0\0")
        s.close()
    for _ in range(50):
        s = harmless.connect()
        s.sendall(b"GET /v1/audit HTTP/1.1\r\nHost: x\r\n"
                  b"Authorization: Bearer %s\r\n\r\n"
                  % harmless.api_key.encode())
        s.close()
    axlib.wait_until(
        lambda: ax.metric("archillx_http_open_connections") <= 2, 10,
        "the connections to go")


def test_many_on_one_connection(harmless):
    """Errors of the API leave the connection usable."""
    conn = harmless.connection()
    for i in range(300):
        r = send(harmless, NOT_JSON[i % 20], conn=conn)
        assert r.status == 422
        assert isinstance(conn, http.client.HTTPConnection)
        r = harmless.get("/nowhere", token=harmless.api_key, conn=conn)
        assert r.status == 404
    conn.close()
