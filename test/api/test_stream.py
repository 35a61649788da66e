# SPDX-License-Identifier: ISC
"""Exports and followers against a running service: big ones in little memory,
clients that stop reading or go away, and followers across the death of every
process that a record passes through."""
import http.client
import json
import os
import signal
import socket
import struct
import threading
import time

import pytest

import axlib
from axlib import wait_until

AX_SETTINGS = {"HTTP_MAX_STREAMS": 4, "HTTP_IDLE_TIMEOUT": 2,
               "ENABLE_RATE_LIMIT": "no"}


def open_streams(ax):
    return ax.metric("archillx_http_open_streams")


def journal_seqs(ax):
    return [r["seq"] for r in ax.journal()]


def act(ax, n=1):
    """n recorded actions; those the gate takes, within a bound."""
    for _ in range(n):
        wait_until(lambda: ax.invoke(
            "file_ops", {"operation": "exists", "path": "x"}).status == 200,
            30, "the gate")


def small(ax, path, token=None, headers=None):
    """A stream whose client has a small buffer."""
    return axlib.Stream(ax.port, path, token or ax.admin_token, headers,
                        timeout=20 * axlib.SLOW, rcvbuf=4096)


def vanish(s):
    """Goes away with a reset."""
    s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, 0))
    s.close()


@pytest.fixture(scope="module")
def many(ax):
    """Records enough for several answers of the store."""
    c = ax.connection()
    for _ in range(700):
        r = ax.request("POST", "/v1/skills/invoke", conn=c,
                       token=ax.admin_token, headers={
                           "content-type": "application/json"},
                       body=json.dumps({"name": "file_ops", "inputs": {
                           "operation": "exists", "path": "x" * 300}}))
        assert r.status == 200
    ax.wait_projected(60)
    return ax


# ---- exports ----

@pytest.mark.quick
def test_export_is_the_journal(many):
    want = list(reversed(many.journal()))
    with many.stream("/v1/audit/export?limit=all", many.admin_token) as s:
        assert s.headers["transfer-encoding"] == "chunked"
        assert s.headers["content-type"] == "application/x-ndjson"
        text = s.read().decode()
    assert not text.endswith("\n")
    rows = [json.loads(line) for line in text.split("\n")]
    assert [r["seq"] for r in rows] == [w["seq"] for w in want]
    for r, w in zip(rows, want):
        for k in ("action", "decision", "risk_score", "reason", "context"):
            assert r[k] == w[k], (k, r, w)
        assert r["created_at"] == w["ts"]
    assert ', "context": {' in text.split("\n")[0]


def test_export_json(many):
    seqs = journal_seqs(many)
    r = many.get("/v1/audit/export?format=json&limit=all",
                 token=many.admin_token)
    d = r.json()
    assert list(d) == ["items", "count", "filters", "next_cursor"]
    assert d["count"] == len(d["items"]) == len(seqs)
    assert d["next_cursor"] is None and d["filters"]["limit"] == "all"
    # no blanks but those inside of strings
    assert json.dumps(d, separators=(",", ":"), ensure_ascii=False) == r.text


def test_export_bounds(many):
    seqs = journal_seqs(many)[::-1]

    def got(q):
        r = many.get("/v1/audit/export?format=json&" + q,
                     token=many.admin_token)
        assert r.status == 200, r
        return [i["seq"] for i in r.json()["items"]], r.json()["next_cursor"]

    assert got("")[0] == seqs[:100]
    assert got("limit=1000")[0] == seqs[:1000]
    assert got("limit=3&offset=5")[0] == seqs[5:8]
    assert got("offset=99999999999")[0] == []
    all_of_it, cursor, n = [], None, 0
    while n == 0 or cursor:
        page, cursor = got("limit=333" + ("&cursor=" + cursor
                                          if cursor else ""))
        all_of_it += page
        n += 1
    assert all_of_it == seqs and n == -(-len(seqs) // 333)
    r = many.get("/v1/audit/export?limit=2", token=many.admin_token)
    assert len(r.text.split("\n")) == 2
    r = many.get("/v1/audit/export?action=none", token=many.admin_token)
    assert (r.status, r.body) == (200, b"")


def test_export_http10(many):
    raw = many.raw(b"GET /v1/audit/export?limit=all HTTP/1.0\r\n"
                   b"x-api-key: %s\r\n\r\n" % many.admin_token.encode(), 20)
    head, body = raw.split(b"\r\n\r\n", 1)
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert len(body.split(b"\n")) == len(journal_seqs(many))


def test_too_many(many):
    open_ones = [many.stream("/v1/audit/follow", many.api_key)
                 for _ in range(4)]
    for path in ("/v1/audit/follow", "/v1/audit/export"):
        r = many.get(path, token=many.admin_token)
        assert (r.status, r.code) == (503, "TOO_MANY_STREAMS")
        assert int(r.headers["retry-after"]) > 0
    assert many.get("/v1/audit", token=many.api_key).status == 200
    for s in open_ones:
        s.close()
    wait_until(lambda: open_streams(many) == 0, 30, "the streams to end")
    assert many.get("/v1/audit/export",
                    token=many.admin_token).status == 200


# ---- following ----

def test_follow(many):
    ax = many
    with ax.stream("/v1/audit/follow", ax.admin_token) as s:
        assert s.headers["content-type"] == "text/event-stream"
        last = journal_seqs(ax)[-1]
        act(ax)
        want = [r for r in ax.journal() if r["seq"] > last]
        events = s.events()
        for w in want:
            ev, name, data = next(events)
            assert (int(ev), name) == (w["seq"], "audit")
            assert json.loads(data)["context"] == w["context"]
    with ax.stream("/v1/audit/follow?action=skill_done:file_ops&after=%d"
                   % last, ax.api_key) as s:
        ev, name, data = next(s.events())
        assert json.loads(data)["action"] == "skill_done:file_ops"
        # the inputs are for administrators
        assert json.loads(data)["context"] is None
        assert '"secret"' not in data


def test_follow_slow_reader(many):
    """Paused, not dropped: everything, in order, once."""
    seqs = journal_seqs(many)
    with small(many, "/v1/audit/follow?after=0") as s:
        got = []
        for ev, name, _ in s.events():
            assert name == "audit"
            got.append(int(ev))
            if len(got) % 200 == 0:
                time.sleep(0.05)  # slow, but never silent for long
            if len(got) == len(seqs):
                break
    assert got == seqs


def test_follow_ends(make_ax):
    """At a reload and at a stop; the client comes again behind its last."""
    ax = make_ax()
    with ax.stream("/v1/audit/follow?after=0", ax.admin_token) as s:
        events = s.events()
        assert next(events)[1] == "audit"
        ax.reload()
        rest = list(events)
        assert rest[-1][1:] == ("end", '{"reason":"reload"}')
    with ax.stream("/v1/audit/follow?after=0", ax.admin_token) as s:
        events = s.events()
        assert next(events)[1] == "audit"
        assert ax.stop() == 0
        rest = list(events)
        assert rest[-1][1:] == ("end", '{"reason":"drain"}')


class Follower(threading.Thread):
    """A client as it should be: comes again with the last id it has seen."""

    def __init__(self, ax):
        super().__init__(daemon=True)
        self.ax, self.seen, self.names = ax, [], []
        self.over = threading.Event()
        self.error = None

    def run(self):
        last = "0"
        while not self.over.is_set():
            try:
                with self.ax.stream("/v1/audit/follow", self.ax.admin_token,
                                    {"last-event-id": last},
                                    timeout=2) as s:
                    for ev, name, data in s.events():
                        self.names.append(name)
                        if name == "audit":
                            last = ev
                            self.seen.append(json.loads(data)["seq"])
                            if int(ev) != self.seen[-1]:
                                self.error = (ev, data)
                        if self.over.is_set():
                            return
            except (OSError, http.client.HTTPException):
                self.over.wait(0.05)


@pytest.mark.limit(180)
def test_follow_across_deaths(make_ax):
    """kill -9 of the store, of audit, of the front: every record once."""
    ax = make_ax()
    f = Follower(ax)
    f.start()
    act(ax, 3)
    for role in ("store", "audit", "http", "store", "http"):
        pid = ax.procs()[role][0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ax.procs().get(role, [pid])[0] != pid, 30,
                   "a new " + role)
        act(ax, 3)
    ax.wait_ready()
    ax.wait_projected(30)
    want = journal_seqs(ax)
    wait_until(lambda: len(f.seen) >= len(want), 30, "the follower")
    f.over.set()
    act(ax)
    f.join(20)
    assert f.error is None
    assert f.seen[:len(want)] == want
    assert f.seen == sorted(set(f.seen))


def test_follow_store_stopped(make_ax):
    """While the store is gone the client is told so, once."""
    ax = make_ax()
    with ax.stream("/v1/audit/follow?after=0", ax.admin_token,
                   timeout=30) as s:
        events = s.events()
        assert next(events)[1] == "audit"
        pid = ax.procs()["store"][0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ax.procs().get("store", [pid])[0] != pid, 30,
                   "a new store")
        act(ax)
        last = journal_seqs(ax)[-1]
        names = []
        for ev, name, _ in events:
            names.append(name)
            if name == "audit" and int(ev) == last:
                break
        assert names.count("unavailable") <= 1
        assert set(names) <= {"audit", "unavailable"}


# ---- exports that fit into no buffer ----

ROWS = 50000


@pytest.fixture(scope="module")
def big(request):
    """A service with ROWS more lines in its journal, as the gate writes them."""
    ax = axlib.Daemon(**AX_SETTINGS)
    try:
        sample = ax.journal()[-1]
        ax.stop()
        start = journal_seqs(ax)[-1] + 1
        with open(os.path.join(ax.evidence, "security_audit.jsonl"),
                  "ab") as f:
            for seq in range(start, start + ROWS):
                rec = dict(sample, seq=seq, reason="generated",
                           id="%s:%d" % (sample["node"], seq),
                           context={"note": "n" * 80})
                f.write(json.dumps(rec, sort_keys=True,
                                   ensure_ascii=False).encode() + b"\n")
        ax.start()
        ax.wait_projected(120)
        yield ax
    finally:
        ax.close()


@pytest.mark.heavy
@pytest.mark.limit(240)
def test_export_in_constant_memory(big):
    pid = big.procs()["http"][0]
    big.get("/v1/audit/export?limit=1000", token=big.admin_token)
    before, most, lines, size = axlib.pss_kb(pid), 0, 1, 0
    with big.stream("/v1/audit/export?limit=all", big.admin_token,
                    timeout=60) as s:
        while True:
            d = s.r.read(262144)
            if not d:
                break
            lines += d.count(b"\n")
            size += len(d)
            most = max(most, axlib.pss_kb(pid))
    assert lines == len(big.journal()) > ROWS
    assert size > 10 << 20
    assert most - before < 4096, (before, most)


@pytest.mark.heavy
def test_reader_that_stops(big):
    """The store is not asked on; after the time-out the stream is closed."""
    cut = big.metric("archillx_http_streams_cut_total")
    with small(big, "/v1/audit/export?limit=all") as s:
        assert s.status == 200
        wait_until(lambda: big.metric("archillx_http_streams_cut_total")
                   == cut + 1, 30, "the stream to be closed")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            s.read()
    wait_until(lambda: open_streams(big) == 0, 30, "the stream to end")


@pytest.mark.heavy
def test_reader_that_goes(big):
    cut = big.metric("archillx_http_streams_cut_total")
    for i in range(4):
        s = small(big, "/v1/audit/export?limit=all")
        assert s.status == 200
        vanish(s) if i % 2 else s.close()
    wait_until(lambda: open_streams(big) == 0, 30, "the streams to end")
    assert big.metric("archillx_http_streams_cut_total") == cut + 4


@pytest.mark.heavy
def test_store_dies_meanwhile(big):
    """What was cut does not look complete, in either format."""
    for form in ("jsonl", "json"):
        pid = big.procs()["store"][0]
        with small(big, "/v1/audit/export?limit=all&format=" + form) as s:
            assert s.r.read(100)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises((http.client.IncompleteRead,
                                ConnectionError)):
                s.read()
        wait_until(lambda: big.procs().get("store", [pid])[0] != pid, 30,
                   "a new store")
        big.wait_ready()
    assert big.get("/v1/audit/export", token=big.admin_token).status == 200
