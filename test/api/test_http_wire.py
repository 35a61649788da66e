# SPDX-License-Identifier: ISC
"""HTTP as bytes on the wire: framing, limits, time-outs, order, closing.

What the parser accepts is tested case by case in test/unit/test_http_parser.c;
here the questions are what the client gets and what becomes of the connection.
"""
import contextlib
import re
import socket
import struct
import threading
import time

import pytest

from axlib import SLOW, wait_until

AX_SETTINGS = {
    "HTTP_HEADER_TIMEOUT": 1, "HTTP_BODY_TIMEOUT": 1, "HTTP_IDLE_TIMEOUT": 3,
    "HTTP_MAX_BODY": "256K", "HTTP_MAX_HEADER": "16K",
}
HOST = b"Host: localhost\r\n"
LIVE = b"GET /v1/live HTTP/1.1\r\n" + HOST + b"\r\n"


class Wire:
    """A raw connection that reads responses by their Content-Length."""

    def __init__(self, ax, timeout=10.0):
        self.s = socket.create_connection(("127.0.0.1", ax.port),
                                          timeout * SLOW)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)
        return self

    def fill(self):
        data = self.s.recv(65536)
        self.buf += data
        return data

    def response(self, head_only=False):
        """(status, fields, body); None at the end of the stream."""
        while b"\r\n\r\n" not in self.buf:
            if not self.fill():
                assert self.buf == b"", self.buf
                return None
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        assert lines[0].startswith("HTTP/1.1 "), lines[0]
        fields = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in fields, "twice: " + name
            fields[name.lower()] = value
        status = int(lines[0].split()[1])
        empty = head_only or status < 200 or status in (204, 304)
        n = 0 if empty else int(fields["content-length"])
        while len(self.buf) < n:
            assert self.fill(), "the body was cut"
        body, self.buf = self.buf[:n], self.buf[n:]
        return status, fields, body

    def closed(self):
        """True if nothing but the end of the stream follows."""
        return self.buf == b"" and self.s.recv(1) == b""


def one(ax, data, head_only=False):
    """One exchange; the response and whether the connection stays usable."""
    with Wire(ax) as w:
        r = w.send(data).response(head_only)
        assert r is not None, "closed without an answer to %r" % data[:80]
        if r[1].get("connection") == "close":
            assert w.closed()
            return r, False
        assert w.send(LIVE).response()[0] == 200
        return r, True


def post(path, body=b"", *fields, length=None):
    n = len(body) if length is None else length
    return (b"POST " + path + b" HTTP/1.1\r\n" + HOST +
            b"Content-Type: application/json\r\n" +
            b"".join(f + b"\r\n" for f in fields) +
            b"Content-Length: %d\r\n\r\n" % n + body)


def key(ax):
    return b"X-Api-Key: " + ax.api_key.encode()


# ---- what every answer has ----

def test_fields_of_every_answer(ax):
    for data in (LIVE, b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n",
                 b"GET / HTTP/1.1\r\n\r\n"):
        (status, f, body), _ = one(ax, data)
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]"
                            r"[0-9a-f]{3}-[0-9a-f]{12}", f["x-request-id"])
        assert f["x-elapsed-ms"].isdigit()
        assert f["x-content-type-options"] == "nosniff"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
                            f["date"])
        assert f["content-type"] == "application/json"


@pytest.mark.parametrize("given,echoed", [
    (b"abc-1_2.Z", True), (b"x" * 128, True), (b"x" * 129, False),
    (b"a b", False), (b"a\xff", False), (b"", False), (b"<script>", False)])
def test_request_id(ax, given, echoed):
    (_, f, _), _ = one(ax, b"GET /v1/live HTTP/1.1\r\n" + HOST +
                       b"X-Request-Id: " + given + b"\r\n\r\n")
    assert (f["x-request-id"].encode() == given) is echoed


# ---- keep-alive, pipelining ----

def test_keep_alive(ax):
    with Wire(ax) as w:
        for _ in range(50):
            assert w.send(LIVE).response()[0] == 200


def test_connection_close(ax):
    with Wire(ax) as w:
        w.send(LIVE[:-2] + b"Connection: close\r\n\r\n" + LIVE)
        status, f, _ = w.response()
        assert status == 200 and f["connection"] == "close"
        assert w.closed(), "the request behind a close was answered"


def test_http10(ax):
    with Wire(ax) as w:
        status, f, _ = w.send(b"GET /v1/live HTTP/1.0\r\n\r\n").response()
        assert status == 200 and f["connection"] == "close" and w.closed()
    with Wire(ax) as w:
        for _ in range(2):
            w.send(b"GET /v1/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            status, f, _ = w.response()
            assert status == 200 and f["connection"] == "keep-alive"


def test_pipelining_keeps_order(ax):
    """Answers that come at once, later, and refusals, in one packet."""
    ids = ["r%d" % i for i in range(300)]
    paths = [b"/v1/live", b"/v1/audit?limit=1", b"/nothing", b"/v1/skills"]
    data = b"".join(
        b"GET " + paths[i % 4] + b" HTTP/1.1\r\n" + HOST + key(ax) +
        b"\r\nX-Request-Id: " + ids[i].encode() + b"\r\n\r\n"
        for i in range(len(ids)))
    with Wire(ax, 60) as w:
        t = threading.Thread(target=w.s.sendall, args=(data,))
        t.start()
        got = [w.response() for _ in ids]
        t.join()
    assert [g[1]["x-request-id"] for g in got] == ids
    assert [g[0] for g in got[0::4]] == [200] * 75
    assert [g[0] for g in got[2::4]] == [404] * 75


def test_pipelining_with_bodies(ax):
    body = b'{"x": "' + b"y" * 5000 + b'"}'
    with Wire(ax) as w:
        w.send((post(b"/nothing", body, key(ax)) + LIVE) * 10)
        for _ in range(10):
            assert w.response()[0] == 404
            assert w.response()[0] == 200


def test_client_that_reads_late(ax):
    """Much output and no reader: bounded, and nothing is lost."""
    data = (b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 400
    with Wire(ax) as w:
        w.send(data)
        assert ax.get("/v1/live").status == 200
        first = w.response()
        assert first[0] == 200
        for _ in range(399):
            assert w.response()[2] == first[2]


def test_byte_by_byte(ax):
    with Wire(ax) as w:
        for byte in LIVE:
            w.send(bytes([byte]))
        assert w.response()[0] == 200


# ---- HEAD and OPTIONS ----

def test_head(ax):
    with Wire(ax) as w:
        _, f, body = w.send(LIVE).response()
        w.send(b"HEAD" + LIVE[3:])
        status, g, _ = w.response(head_only=True)
        assert status == 200
        assert int(g["content-length"]) == len(body)
        assert w.send(LIVE).response()[2] == body


def test_options(ax):
    for target in (b"/v1/live", b"*"):
        (status, f, _), alive = one(
            ax, b"OPTIONS " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert status in (200, 204, 401, 404) and alive


# ---- refusals of the parser: an answer, then the end ----

@pytest.mark.parametrize("want,data", [
    (400, b"GARBAGE\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: \0\r\n\r\n"),
    (400, b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%ff HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST +
     b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 20000 +
     b"\r\n\r\n"),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 101 + b"\r\n"),
    (417, b"POST / HTTP/1.1\r\n" + HOST + b"Expect: more\r\n\r\n"),
    (501, b"A" * 40 + b" / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (501, b"POST / HTTP/1.1\r\n" + HOST +
     b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
])
def test_refused_and_closed(ax, want, data):
    (status, f, body), alive = one(ax, data + LIVE)
    assert (status, alive) == (want, False)
    assert b'"detail"' in body and b'"code"' in body


def test_refusals_are_counted(ax):
    def counter(name):
        text = ax.get("/metrics").text
        return int(re.search(r"^%s (\d+)" % re.escape(name), text,
                             re.M).group(1))
    before = counter("archillx_http_parse_errors_total")
    bad = counter("archillx_http_status_4xx_total")
    one(ax, b"GET / HTTP/1.1\r\n\r\n")
    assert counter("archillx_http_parse_errors_total") == before + 1
    assert counter("archillx_http_status_4xx_total") == bad + 1
    assert counter('archillx_http_responses_total{code="400"}') >= 1


# ---- size ----

def answer_while_sending(w, data):
    """Sends in a thread; the answer must arrive although much is unread."""
    def push():
        with contextlib.suppress(OSError):
            w.s.sendall(data)
    t = threading.Thread(target=push)
    t.start()
    r = w.response()
    t.join()
    return r


def test_header_of_1_mib(ax):
    with Wire(ax) as w:
        r = answer_while_sending(w, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " +
                                 b"a" * (1 << 20) + b"\r\n\r\n")
        assert r[0] == 431 and r[1]["connection"] == "close"


def test_100k_headers(ax):
    with Wire(ax) as w:
        r = answer_while_sending(w, b"GET / HTTP/1.1\r\n" + HOST +
                                 b"X-A: b\r\n" * 100000 + b"\r\n")
        assert r[0] == 431 and r[1]["connection"] == "close"


@pytest.mark.parametrize("fields", ["key", "none"])
def test_body_of_10_mib(ax, fields):
    big = b"x" * (10 << 20)
    extra = [key(ax)] if fields == "key" else []
    with Wire(ax) as w:
        r = answer_while_sending(w, post(b"/v1/skills/invoke", big, *extra))
        assert r[0] == (413 if extra else 401)
        assert r[1]["connection"] == "close"


def test_chunked_body_too_large(ax):
    head = (b"POST /v1/skills/invoke HTTP/1.1\r\n" + HOST + key(ax) +
            b"\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
    with Wire(ax) as w:
        r = answer_while_sending(
            w, head + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 20)
        assert r[0] == 413 and r[1]["connection"] == "close"


def test_small_refused_body_keeps_the_connection(ax):
    _, alive = one(ax, post(b"/nothing", b"x" * 1000))
    assert alive


def test_chunked_equals_plain(ax):
    body = b'{"name": "no-such-skill", "inputs": {}}'
    plain, _ = one(ax, post(b"/v1/skills/invoke", body, key(ax)))
    chunked = b"".join(b"1;e=1\r\n%c\r\n" % c for c in body) + b"0\r\n\r\n"
    other, alive = one(
        ax, b"POST /v1/skills/invoke HTTP/1.1\r\n" + HOST + key(ax) +
        b"\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
    assert plain[0] == other[0] and alive


# ---- Expect ----

def test_expect_continue(ax):
    body = b'{"name": "no-such-skill", "inputs": {}}'
    data = post(b"/v1/skills/invoke", body, key(ax), b"Expect: 100-continue")
    head, _ = data.split(b"\r\n\r\n")
    with Wire(ax) as w:
        assert w.send(head + b"\r\n\r\n").response()[0] == 100
        assert w.send(body).response()[0] >= 200
        assert w.send(LIVE).response()[0] == 200


def test_expect_is_answered_without_the_body(ax):
    with Wire(ax) as w:
        w.send(post(b"/v1/skills/invoke", b"", b"Expect: 100-continue",
                    length=100))
        status, f, _ = w.response()
        assert status == 401 and f["connection"] == "close"


def test_expect_with_the_body_needs_no_continue(ax):
    body = b'{"name": "no-such-skill", "inputs": {}}'
    r, alive = one(ax, post(b"/v1/skills/invoke", body, key(ax),
                            b"Expect: 100-continue"))
    assert r[0] >= 200 and alive


# ---- time ----

def until_closed(w):
    """Seconds until the stream ends, and what came before."""
    start = time.monotonic()
    while w.fill():
        pass
    return time.monotonic() - start


def test_slow_head_is_cut_off(ax):
    """One byte now and then does not extend the time for a head."""
    with Wire(ax) as w:
        start = time.monotonic()
        with contextlib.suppress(OSError):
            w.send(b"GET / HTTP/1.1\r\n")
            w.s.settimeout(0.2)
            while time.monotonic() - start < 8 * SLOW:
                w.send(b"X-A: b\r\n")
                with contextlib.suppress(socket.timeout):
                    if not w.fill():
                        break
        assert time.monotonic() - start < 5 * SLOW
        assert w.buf.startswith(b"HTTP/1.1 408 ")


def test_slow_body_is_cut_off(ax):
    with Wire(ax) as w:
        w.send(post(b"/v1/skills/invoke", b"{", key(ax), length=100))
        assert until_closed(w) < 5 * SLOW
        assert w.buf.startswith(b"HTTP/1.1 408 ")


def test_silent_connection_is_closed(ax):
    with Wire(ax) as w:
        assert until_closed(w) < 4 * SLOW
        assert w.buf == b""


def test_idle_connection_is_closed_without_a_word(ax):
    with Wire(ax) as w:
        w.send(LIVE).response()
        assert 1.5 < until_closed(w) < 8 * SLOW
        assert w.buf == b""


def test_many_slow_clients_hurt_nobody(ax):
    slow = [Wire(ax) for _ in range(300)]
    try:
        for w in slow:
            w.send(b"GET / HTTP/1.1\r\n")
        start = time.monotonic()
        for _ in range(100):
            assert ax.get("/v1/live").status == 200
        assert time.monotonic() - start < 5 * SLOW
    finally:
        for w in slow:
            w.s.close()


# ---- ends ----

def test_half_close(ax):
    for path in (b"/v1/live", b"/v1/audit?limit=1"):
        with Wire(ax) as w:
            w.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + key(ax) +
                   b"\r\n\r\n")
            w.s.shutdown(socket.SHUT_WR)
            assert w.response() is not None
            assert w.closed()


def test_half_request_then_close(ax):
    with Wire(ax) as w:
        w.send(LIVE[:-2])
        w.s.shutdown(socket.SHUT_WR)
        assert w.closed()


def open_connections(ax):
    m = re.search(r"^archillx_http_open_connections (\d+)",
                  ax.get("/metrics").text, re.M)
    return int(m.group(1))


def test_reset_frees_the_connection(ax):
    wait_until(lambda: open_connections(ax) == 1, 15, "idle server")
    for data in (b"", b"GET /", LIVE * 50, post(b"/x", b"", length=9)):
        with Wire(ax) as w:
            w.send(data)
            w.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           struct.pack("ii", 1, 0))
    wait_until(lambda: open_connections(ax) == 1, 5, "connections to go")


# ---- credentials ----

@pytest.mark.parametrize("q", [b"api_key=x", b"a=1&token=x", b"X-API-KEY=x"])
def test_credential_in_the_url(ax, q):
    (status, _, body), _ = one(ax, b"GET /v1/live?" + q + b" HTTP/1.1\r\n" +
                               HOST + b"\r\n")
    assert status == 400 and b"CREDENTIAL_IN_QUERY" in body


@pytest.mark.parametrize("fields,good", [
    ("X-Api-Key: {key}", True), ("Authorization: Bearer {key}", True),
    ("Authorization: bEaReR {key}", True), ("Authorization: {key}", True),
    ("X-Api-Key: wrong\r\nAuthorization: Bearer {key}", False),
    ("X-Api-Key: \r\nAuthorization: Bearer {key}", True),
    ("X-Api-Key: {key}\r\nX-Api-Key: {key}", False),
    ("X-Api-Key: {key}x", False), ("X-Api-Key: ", False),
    ("Authorization: Bearer ", False), ("Authorization: Basic {key}", False),
    ("X-None: 1", False)])
def test_credentials(ax, fields, good):
    (status, _, _), _ = one(
        ax, b"GET /nothing HTTP/1.1\r\n" + HOST +
        fields.format(key=ax.api_key).encode() + b"\r\n\r\n")
    assert status == (404 if good else 401)


# ---- caps ----

def test_connection_cap(make_ax):
    ax = make_ax(HTTP_MAX_CONNECTIONS=8, HTTP_IDLE_TIMEOUT=60,
                 HTTP_HEADER_TIMEOUT=60)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(Wire(ax)) for _ in range(8)]
        for w in held:
            assert w.send(LIVE).response()[0] == 200
        for _ in range(20):
            with Wire(ax) as w:
                status, f, _ = w.send(LIVE).response()
                assert status == 503 and f["retry-after"] == "1"
                assert w.closed()
        for w in held:
            assert w.send(LIVE).response()[0] == 200
    wait_until(lambda: ax.get("/v1/live").status == 200, 10, "room again")


def test_rate_limit(make_ax):
    ax = make_ax(ENABLE_RATE_LIMIT="yes", RATE_LIMIT_PER_MIN=5)
    for i in range(5):
        r = ax.get("/v1/skills", token=ax.api_key)
        assert r.status == 200
        assert r.headers["x-ratelimit-limit"] == "5"
        assert r.headers["x-ratelimit-remaining"] == str(4 - i)
        assert r.headers["x-ratelimit-reset"] == "60"
    r = ax.get("/v1/skills", token=ax.api_key)
    assert r.status == 429 and r.code == "RATE_LIMITED"
    assert r.headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(r.headers["x-ratelimit-reset"]) <= 120
    assert r.headers["retry-after"] == r.headers["x-ratelimit-reset"]
    assert ax.get("/v1/skills", token=ax.admin_token).status == 200
    for path in ("/v1/live", "/metrics"):
        r = ax.get(path)
        assert r.status == 200 and "x-ratelimit-limit" not in r.headers


def test_rate_limit_is_shared_by_all_workers(make_ax):
    ax = make_ax(HTTP_WORKERS=3, ENABLE_RATE_LIMIT="yes",
                 RATE_LIMIT_PER_MIN=20)
    got = [ax.get("/v1/skills", token=ax.api_key).status for _ in range(60)]
    assert (got.count(200), got.count(429)) == (20, 40)
    assert got[:20] == [200] * 20


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
def test_forwarded_for(make_ax, trusted):
    """Only a trusted proxy may say who asks, and only its own addition."""
    ax = make_ax(ENABLE_RATE_LIMIT="yes", RATE_LIMIT_PER_MIN=2,
                 TRUSTED_PROXIES=trusted)

    def ask(value):
        return ax.get("/nothing", headers={"X-Forwarded-For": value}).status

    assert [ask("198.51.100.1") for _ in range(3)] == [401, 401, 429]
    new = 401 if trusted == "127.0.0.1" else 429
    assert ask("198.51.100.2") == new
    assert ask("10.9.8.7, 198.51.100.3, 127.0.0.1") == new
    # What the client wrote in front changes nothing.
    assert ask("10.1.1.1, 198.51.100.1") == 429
    # Junk counts for the proxy's own address.
    assert [ask("junk"), ask(""), ask("198.51.100.9, junk")][2] == 429


def test_reload_reaches_open_connections(make_ax):
    ax = make_ax()
    old, body = ax.api_key, b" " * 100000
    with Wire(ax) as w:
        assert w.send(post(b"/v1/skills/invoke", body,
                           key(ax))).response()[0] == 422
        ax.api_key = "another-" + old
        ax.write_conf(HTTP_MAX_BODY="64K", API_KEY=ax.api_key)
        r = ax.reload()
        assert r.returncode == 0, r.stderr
        w.send(b"GET /v1/skills HTTP/1.1\r\n" + HOST + b"X-Api-Key: " +
               old.encode() + b"\r\n\r\n")
        assert w.response()[0] == 401
        w.send(b"GET /v1/skills HTTP/1.1\r\n" + HOST + key(ax) +
               b"\r\n\r\n")
        assert w.response()[0] == 200
        assert w.send(post(b"/v1/skills/invoke", body,
                           key(ax))).response()[0] == 413


def test_drain_finishes_what_has_begun(make_ax):
    ax = make_ax()
    with Wire(ax) as begun, Wire(ax) as idle:
        assert idle.send(LIVE).response()[0] == 200
        begun.send(post(b"/v1/skills/invoke", b"{", key(ax), length=2))
        wait_until(lambda: open_connections(ax) >= 3, 5, "the connections")
        stopper = threading.Thread(target=ax.stop)
        stopper.start()
        try:
            assert idle.closed()
            status, f, _ = begun.send(b"}").response()
            assert status >= 400 and f["connection"] == "close"
            assert begun.closed()
        finally:
            stopper.join()
