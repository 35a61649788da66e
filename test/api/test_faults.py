# SPDX-License-Identifier: ISC
"""Promise P1 and P4 over a disk that fails or forgets.

A build with --enable-fault-io ($AX_FAULT_BUILD) has a layer below the journal
that fails single calls, cuts writes short, loses what was not synced, or kills
the process; workers/audit/jfault.h says how it is told.  Under load of clients
that keep a log, each fault must leave: no action without a durable decision,
no answer without its record, no damaged journal, and a gate that opens again
by itself.
"""
import os
import re
import subprocess
import sys
import time

import pytest

import axlib
from test_ordering import unescape

sys.path.insert(0, os.path.join(axlib.SRC, "test", "crash"))
import crash  # noqa: E402

pytestmark = pytest.mark.heavy
FAULT_FILE = ".fault"  # in EVIDENCE_DIR, read by the test build


class Faulty:
    """A daemon of the fault build, clients, and the rules in force."""

    def __init__(self, make_ax, **settings):
        self.d = make_ax(build=axlib.test_build("AX_FAULT_IO"),
                         HTTP_WORKERS=2, **settings)
        self.path = os.path.join(self.d.evidence, FAULT_FILE)
        self.clients = []

    def rules(self, text, wait=True):
        """Puts rules in force; waits until the disk's layer says so (it looks
        at its next call)."""
        said = "fault: rules: " + text
        n = self.d.log().count(said)
        tmp = self.d.base + "/rules"
        with open(tmp, "w") as f:
            f.write(text)
        os.chmod(tmp, 0o644)
        os.rename(tmp, self.path)
        if wait:
            axlib.wait_until(lambda: self.d.log().count(said) > n, 10,
                             "the rules to be taken")

    def clear(self):
        if os.path.exists(self.path):
            os.unlink(self.path)

    def load(self, n=6):
        self.clients = [crash.Client(self.d, i, "faults") for i in range(n)]
        for c in self.clients:
            c.start()

    def asked(self):
        return [a for c in self.clients for a in c.log]

    def answered(self, status, since=0.0):
        return [a for a in self.asked() if a.status == status
                and a.done_at >= since]

    def wait_more(self, n, what="answers"):
        """n more 200s than there are now."""
        have = len(self.answered(200))
        axlib.wait_until(lambda: len(self.answered(200)) >= have + n, 30,
                         "%d more %s" % (n, what))

    def end(self):
        for c in self.clients:
            c.stop.set()
        for c in self.clients:
            c.join(60)
        self.clear()
        crash.settle(self.d)
        self.d.stop()
        v, rows, books, asked = crash.judge(self.d, self.clients)
        assert not v.errors, "\n".join(v.errors[:20])
        return rows, books, asked


@pytest.fixture
def faulty(make_ax):
    return lambda **kw: Faulty(make_ax, **kw)


ERRORS = [("write", e) for e in ("EIO", "ENOSPC", "EDQUOT", "EINTR")] + \
    [("fdatasync", e) for e in ("EIO", "ENOSPC", "EDQUOT", "EINTR")] + \
    [("ftruncate", "EIO"), ("fallocate", "ENOSPC"), ("rename", "EIO"),
     ("open", "EMFILE"), ("fsync", "EIO")]


@pytest.mark.parametrize("op,err", ERRORS)
def test_one_call_fails(faulty, op, err):
    """A single failure under load, then the disk is well again."""
    f = faulty(AUDIT_FILE_MAX_BYTES="1M")
    f.load()
    f.wait_more(20)
    f.rules("op=%s,nth=3,count=1,err=%s" % (op, err))
    f.wait_more(60)
    if op == "write" or op == "fdatasync":
        # the same again while the first is hardly over
        f.rules("op=%s,nth=2,count=3,err=%s" % (op, err))
        f.wait_more(40)
    f.end()


@pytest.mark.parametrize("short", [0, 1, 7, 100, 700])
def test_short_writes(faulty, short):
    f = faulty()
    f.load()
    f.wait_more(10)
    for nth in (1, 2, 5):
        f.rules("op=write,nth=%d,short=%d" % (nth, short))
        f.wait_more(15)
    f.end()


@pytest.mark.parametrize("op", ["write", "fdatasync"])
def test_a_disk_that_stays_broken(faulty, op):
    """For as long as it lasts: 503, nothing starts, reads go on."""
    f = faulty()
    f.load()
    f.wait_more(20)
    f.rules("op=%s,nth=1,count=0,err=EIO" % op)
    axlib.wait_until(lambda: any(a.code == "AUDIT_UNAVAILABLE"
                                 for a in f.asked()), 10, "a refusal")
    time.sleep(0.3)  # what was in flight has its answer
    t0 = time.time()
    have = len(f.answered(200, t0))
    for _ in range(10):
        r = f.d.get("/v1/audit?limit=1", token=f.d.api_key)
        assert r.status == 200, r
        r = f.d.invoke("file_ops", {"operation": "write",
                                    "path": f.d.files + "/never",
                                    "content": ""})
        assert r.status == 503 and r.code == "AUDIT_UNAVAILABLE", r
        assert "retry-after" in r.headers
    assert len(f.answered(200, t0)) == have == 0
    assert not os.path.exists(f.d.files + "/never")
    f.clear()
    f.wait_more(20, "answers after the disk is well again")
    f.end()


def test_eio_of_the_outcome_is_said(faulty):
    """It ran, but its outcome can't be written: 500 with the permit, and the
    outcome is written once the gate recovers."""
    f = faulty()
    d = f.d
    rid = "lost-outcome"
    import threading
    got = {}

    def run():
        got["r"] = d.invoke(
            "code_exec", {"code": "import time; time.sleep(1); print(1)"},
            headers={"X-Request-Id": rid})

    t = threading.Thread(target=run)
    t.start()
    axlib.wait_until(lambda: [r for r in d.journal()
                              if r["request_id"] == rid], 10, "the decision")
    f.rules("op=write,nth=1,count=0,err=EIO", wait=False)
    t.join()
    r = got["r"]
    assert r.status == 500 and r.code == "OUTCOME_NOT_RECORDED", r
    assert "retry-after" not in r.headers
    permit = r.json()["detail"]["details"]["permit"]
    f.clear()
    axlib.wait_until(lambda: [x for x in d.journal()
                              if x["kind"] == "outcome"
                              and x["permit"] == permit], 15,
                     "the outcome's line")
    assert d.invoke("file_ops", {"operation": "exists",
                                 "path": d.files}).status == 200


@pytest.mark.parametrize("turn", range(12))
def test_power_cut(faulty, turn):
    """Lost writes: everything not synced is lost or torn at a random byte."""
    f = faulty()
    f.load()
    f.wait_more(10)
    for n in (1 + turn, 7 + 3 * turn):
        pid = f.d.procs()["audit"][0]
        f.rules("buffer=1;powercut=%d" % n)
        axlib.wait_until(lambda: not axlib.alive(pid), 20, "the power cut")
        f.clear()
        f.d.wait_ready(60)
        f.wait_more(10)
    f.end()


@pytest.mark.parametrize("op", ["write", "fdatasync", "ftruncate", "rename",
                                "fallocate", "open"])
def test_killed_before_a_call(faulty, op):
    f = faulty(AUDIT_FILE_MAX_BYTES="1M")
    f.load()
    f.wait_more(10)
    for nth in (1, 2, 4):
        pid = f.d.procs()["audit"][0]
        f.rules("op=%s,nth=%d,kill=1" % (op, nth))
        end = time.monotonic() + 3
        while axlib.alive(pid) and time.monotonic() < end:
            time.sleep(0.02)  # a rare call may not come
        f.clear()
        f.d.wait_ready(60)
        f.wait_more(10)
    f.end()


def test_the_judge_sees_a_lost_line(faulty):
    """The battery itself must be able to fail: a write that is dropped though
    the disk said yes is found."""
    f = faulty()
    f.load()
    f.wait_more(10)
    f.rules("op=write,nth=3,drop=1")
    axlib.wait_until(lambda: len(f.asked()) > 200 or
                     not f.d.running(), 20, "some more load")
    for c in f.clients:
        c.stop.set()
    for c in f.clients:
        c.join(60)
    f.clear()
    f.d.kill()
    v, _, _, _ = crash.judge(f.d, f.clients)
    assert v.errors


# ---- the kernel's own errors, on a normal build ----

FDATASYNC_ONCE = re.compile(r"^\d+ +(\w+)\((\d+)<((?:\\x[0-9a-f]{2})*)>(.*)")


@pytest.mark.root
def test_never_again_after_a_failed_fdatasync(make_ax):
    """ext4 says EIO once and success ever after: a file whose fdatasync failed
    is never written or synced again, not even through another descriptor."""
    import shutil
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    ax = make_ax(CONFINEMENT="off")
    assert ax.invoke("file_ops", {"operation": "exists",
                                  "path": ax.files}).status == 200
    pid = ax.procs()["audit"][0]
    out = os.path.join(ax.base, "strace")
    p = subprocess.Popen(
        ["strace", "-f", "-y", "-xx", "-s", "16", "-o", out, "-p", str(pid),
         "-e", "trace=write,writev,pwritev,pwritev2,fdatasync,fsync,"
         "ftruncate,close,openat,renameat2",
         "-e", "inject=fdatasync:error=EIO:when=4"],
        stderr=subprocess.PIPE, text=True)
    if "attached" not in p.stderr.readline():
        pytest.skip("strace can't attach here")
    inode = os.stat(ax.evidence + "/security_audit.jsonl").st_ino
    seen = [ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
            for _ in range(12)]
    axlib.wait_until(lambda: ax.invoke("file_ops", {
        "operation": "exists", "path": ax.files}).status == 200, 15,
        "the gate to open again")
    p.terminate()
    p.wait(10)
    assert any(r.status == 503 or r.code == "OUTCOME_NOT_RECORDED"
               for r in seen)
    # it goes on in a new file
    assert os.stat(ax.evidence + "/security_audit.jsonl").st_ino != inode
    failed, again = None, []
    with open(out) as f:
        for line in f:
            m = FDATASYNC_ONCE.match(line)
            if not m:
                continue
            call, fd, path, rest = m.groups()
            if not unescape(path).endswith(b".jsonl"):
                continue
            if call == "fdatasync" and "INJECTED" in rest:
                failed = fd
            elif call == "close" and fd == failed:
                failed = "closed"
            elif failed == fd and call in ("write", "writev", "pwritev",
                                           "pwritev2", "fdatasync", "fsync",
                                           "ftruncate"):
                again.append(line)
    assert failed, "the injected error was never met"
    assert not again, again
    seqs = [r["seq"] for r in ax.journal()]
    assert seqs == list(range(1, len(seqs) + 1))
