# SPDX-License-Identifier: ISC
"""Promise P4: the journal on a file system that fills up.  Actions get 503
AUDIT_UNAVAILABLE and did not start, reads go on, and when there is space again
the gate opens by itself."""
import os
import shutil
import subprocess
import tempfile

import pytest

import axlib

pytestmark = pytest.mark.root


def mount(kind, d, image):
    """A file system of a few MiB; what went wrong, or ""."""
    if kind == "tmpfs":
        how = ["-t", "tmpfs", "-o", "size=6m,mode=0755", "ax-test"]
    else:
        with open(image, "wb") as f:
            f.truncate(12 << 20)
        if shutil.which("mkfs.ext4") is None:
            return "no mkfs.ext4"
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        how = ["-o", "loop", image]
    r = subprocess.run(["mount", *how, d], capture_output=True, text=True)
    return "" if r.returncode == 0 else r.stderr.strip()


@pytest.fixture
def small_disk(request):
    """A small tmpfs, or ext4, outside pytest's private folders."""
    d = tempfile.mkdtemp(prefix="ax-disk-", dir=os.environ.get("AX_TMP",
                                                               "/tmp"))
    os.chmod(d, 0o755)
    image = d + ".img"
    why = mount(getattr(request, "param", "tmpfs"), d, image)
    try:
        if why != "":
            pytest.skip("can't mount here: " + why)
        yield d
    finally:
        if why == "":
            subprocess.run(["umount", "-l", d], check=True)
        os.rmdir(d)
        if os.path.exists(image):
            os.unlink(image)


@pytest.fixture
def full(make_ax, small_disk):
    """(daemon on the small disk, fill(), empty())."""
    ax = make_ax(dirs={"evidence": os.path.join(small_disk, "evidence")},
                 AUDIT_RESERVE="256K", AUDIT_MIN_FREE="0")
    ballast = os.path.join(small_disk, "ballast")

    def fill():
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                pass

    yield ax, fill, lambda: os.unlink(ballast)
    ax.stop()


def write(ax, n, **kw):
    return ax.invoke("file_ops", {
        "operation": "write", "path": "%s/f%d" % (ax.files, n),
        "content": str(n), **kw})


def until_refused(ax, start, most=20000):
    """Writes until the first refusal; the number of that write."""
    for n in range(start, start + most):
        r = write(ax, n)
        if r.status != 200:
            assert r.status == 503 and r.code == "AUDIT_UNAVAILABLE", r
            assert int(r.headers["retry-after"]) >= 1
            return n
        assert r.json()["success"], r
    pytest.fail("a full disk was never noticed")


def check_books(ax):
    rows = ax.journal()
    seqs = [r["seq"] for r in rows]
    assert seqs == list(range(1, len(seqs) + 1))
    d = [r["permit"] for r in rows if r["kind"] == "decision" and r["permit"]]
    o = [r["permit"] for r in rows if r["kind"] == "outcome"]
    assert sorted(o) == sorted(p for p in d if p in set(o))
    return rows


@pytest.mark.limit(180)
@pytest.mark.parametrize("small_disk", ["tmpfs", "ext4"], indirect=True)
def test_full_disk(full):
    ax, fill, empty = full
    assert write(ax, 0).status == 200
    fill()
    n = until_refused(ax, 1)
    # refused means not started, again and again
    for i in range(n, n + 20):
        r = write(ax, i)
        assert r.status == 503 and r.code == "AUDIT_UNAVAILABLE"
        assert not os.path.exists("%s/f%d" % (ax.files, i))
    r = ax.invoke("code_exec", {"code": "print(1)"})
    assert r.status == 503 and r.code == "AUDIT_UNAVAILABLE"
    # reads go on
    r = ax.get("/v1/audit?limit=5", token=ax.api_key)
    assert r.status == 200 and len(r.json()["entries"]) == 5
    assert ax.get("/v1/live").status == 200
    assert ax.get("/v1/skills", token=ax.api_key).status == 200
    assert ax.get("/metrics").status == 200
    assert ax.metric("archillx_gate_open") == 0
    # what was answered before is there
    rows = check_books(ax)
    assert len([r for r in rows if r["kind"] == "outcome"]) == n
    # and back by itself
    empty()
    axlib.wait_until(lambda: write(ax, n).status == 200, 15,
                     "the gate to open again")
    assert os.path.exists("%s/f%d" % (ax.files, n))
    assert ax.metric("archillx_gate_open") == 1
    # nobody touched the file but we
    assert not [r for r in check_books(ax)
                if r["action"] == "journal_replaced"]


@pytest.mark.limit(180)
def test_full_disk_at_start_and_restart(full):
    """Started on a full disk: reads work, actions wait for space."""
    ax, fill, empty = full
    assert write(ax, 0).status == 200
    ax.stop()
    fill()
    ax.start(ready=False)
    axlib.wait_until(lambda: ax.get("/v1/live").status == 200, 15, "a front")
    axlib.wait_until(
        lambda: ax.get("/v1/audit", token=ax.api_key).status == 200, 15,
        "reads")
    r = write(ax, 1)
    if r.status != 200:  # the reserve may still carry it
        assert r.code == "AUDIT_UNAVAILABLE", r
    n = until_refused(ax, 2)
    assert not os.path.exists("%s/f%d" % (ax.files, n))
    empty()
    axlib.wait_until(lambda: write(ax, n).status == 200, 15,
                     "the gate to open")
    ax.restart()
    check_books(ax)


@pytest.mark.limit(180)
def test_run_that_started_before_the_disk_was_full_is_recorded(full):
    """The reserve is there for the outcomes of what already runs."""
    import threading
    ax, fill, empty = full
    got = {}

    def run():
        got["r"] = ax.invoke("code_exec", {
            "code": "import time; time.sleep(2); print('x')",
            "timeout_s": 5})

    t = threading.Thread(target=run)
    t.start()
    axlib.wait_until(
        lambda: axlib.descendants(ax.procs()["launcher"][0]), 10,
        "the sandbox")
    fill()
    until_refused(ax, 1)
    t.join()
    assert got["r"].status == 200, got
    rows = [r for r in ax.journal() if r["permit"] and
            r["context"].get("skill") == "code_exec"]
    assert [r["kind"] for r in rows] == ["decision", "outcome"]
    assert rows[0]["permit"] == rows[1]["permit"]
    assert rows[1]["context"]["state"] == "ok"
    empty()


@pytest.mark.limit(180)
def test_closes_before_the_disk_is_full(make_ax, small_disk):
    """AUDIT_MIN_FREE: refused, and said so in the journal, while there is still
    space; open again by itself with some more of it."""
    ax = make_ax(dirs={"evidence": os.path.join(small_disk, "evidence")},
                 AUDIT_RESERVE="256K", AUDIT_MIN_FREE="2M")
    ballast = os.path.join(small_disk, "ballast")

    def fill(left):
        st = os.statvfs(small_disk)
        n = st.f_bavail * st.f_frsize - left
        with open(ballast, "ab", buffering=0) as f:
            f.write(b"\0" * max(n, 0))

    def gate():
        return ax.metric("archillx_gate_open")

    def events(action):
        return [r for r in ax.journal() if r["action"] == action]

    assert write(ax, 0).status == 200
    assert ax.metric("archillx_audit_free_bytes") > 2 << 20
    fill((2 << 20) - 65536)
    axlib.wait_until(lambda: gate() == 0, 5, "the gate to close")
    r = write(ax, 1)
    assert r.status == 503 and r.code == "AUDIT_UNAVAILABLE", r
    assert not os.path.exists("%s/f1" % ax.files)
    assert ax.get("/v1/audit?limit=1", token=ax.api_key).status == 200
    # recorded when it closed, not afterwards
    axlib.wait_until(lambda: events("audit_unavailable"), 5, "the event")
    e = events("audit_unavailable")[0]
    assert e["context"]["free_bytes"] < 2 << 20
    assert ax.metric("archillx_audit_free_bytes") < 2 << 20
    # a little more than the limit does not open it
    os.truncate(ballast, os.path.getsize(ballast) - 131072)
    axlib.wait_until(
        lambda: ax.metric("archillx_audit_free_bytes") > 2 << 20, 5,
        "the gauge")
    assert gate() == 0 and write(ax, 2).status == 503
    os.unlink(ballast)
    axlib.wait_until(lambda: write(ax, 3).status == 200, 5,
                     "the gate to open")
    assert gate() == 1
    assert len(events("audit_unavailable")) == 1
    e = events("audit_available")
    assert len(e) == 1 and e[0]["context"]["refused"] >= 2
    # the limit is live
    fill((2 << 20) - 65536)
    axlib.wait_until(lambda: gate() == 0, 5, "the gate to close")
    ax.write_conf(AUDIT_MIN_FREE="1M")
    assert ax.reload().returncode == 0
    axlib.wait_until(lambda: write(ax, 4).status == 200, 5,
                     "the gate to open")
    check_books(ax)
    ax.stop()
