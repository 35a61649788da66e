# SPDX-License-Identifier: ISC
"""Outages of the database while the service works: locked by another process,
deleted, replaced by an older copy, not to be written, its disk full.  Actions
go on, and afterwards every row is the journal's, line by line
(projection.py).

AX_LOCK_SECONDS: how long the lock is held (5; 30 in the long form)."""
import os
import signal
import sqlite3
import subprocess
import tempfile
import time

import pytest

import axlib
from axlib import wait_until
from test_store import Load, compare, db_path, exists, remove_db, store_pid

LOCK_S = float(os.environ.get("AX_LOCK_SECONDS", "5"))


def ready_status(ax):
    return ax.get("/v1/ready").status


def audit_status(ax):
    return ax.get("/v1/audit?limit=1", token=ax.api_key).status


def more(load, n=20):
    """Waits until so many further actions were done."""
    before = load.done
    wait_until(lambda: load.done >= before + n, 30, "actions to go on")


@pytest.mark.limit(180)
def test_locked_by_another_process(make_ax):
    """Nothing can be written for a while: reads and actions go on, what was
    recorded meanwhile comes late and whole."""
    ax = make_ax()
    for _ in range(10):
        exists(ax)
    compare(ax)
    locker = subprocess.Popen(
        ["/usr/bin/python3", "-c",
         "import sqlite3, sys\n"
         "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
         "c.execute('BEGIN IMMEDIATE')\n"
         "print('locked', flush=True)\n"
         "sys.stdin.read()\n", db_path(ax)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert locker.stdout.readline() == "locked\n"
        stood = ax.metric("archillx_store_seq")
        end = time.monotonic() + LOCK_S
        with Load(ax, 2) as load:
            while time.monotonic() < end:
                more(load)
                assert audit_status(ax) == 200
                assert ax.metric("archillx_store_seq") == stood
    finally:
        locker.communicate()
    t = time.monotonic()
    assert compare(ax) >= load.done
    assert "locked by another process" in ax.log()
    assert "no longer locked" in ax.log()
    print("caught up %d runs in %.2f s" % (load.done, time.monotonic() - t))


@pytest.mark.limit(240)
def test_deleted_under_load(make_ax):
    """Degraded until a migration has run; then all of it again from the first
    line, over segments that were compressed meanwhile."""
    ax = make_ax(AUDIT_FILE_MAX_BYTES="1M")
    with Load(ax, 8):
        wait_until(lambda: len(ax.journal_files()) >= 4, 120, "rotations")
    wait_until(lambda: any(f.endswith(".zst") for f in ax.journal_files()),
               30, "a compressed segment")
    before = compare(ax)
    with Load(ax, 2) as load:
        remove_db(ax)
        wait_until(lambda: audit_status(ax) == 503, 30, "reads to fail")
        assert ready_status(ax) == 503
        more(load, 50)
        assert audit_status(ax) == 503  # nothing made it by itself
        assert not os.path.exists(db_path(ax))
        ax.migrate()
        ax.wait_ready()
        more(load)
    assert compare(ax) > before + 50


@pytest.mark.limit(180)
def test_replaced_by_an_older_copy(make_ax):
    """A copy from earlier is caught up, not believed; cursors that have seen
    more than it holds wait or go on, and never see less."""
    ax = make_ax()
    for _ in range(20):
        exists(ax)
    compare(ax)
    copy = os.path.join(os.path.dirname(db_path(ax)), "copy")
    src, dst = sqlite3.connect(db_path(ax)), sqlite3.connect(copy)
    src.backup(dst)
    src.close()
    dst.close()
    st = os.stat(db_path(ax))
    os.chown(copy, st.st_uid, st.st_gid)
    os.chmod(copy, st.st_mode & 0o777)
    with Load(ax, 2) as load:
        more(load, 100)
        page = ax.get("/v1/audit?limit=10", token=ax.api_key).json()
        for suffix in ("-wal", "-shm"):
            if os.path.exists(db_path(ax) + suffix):
                os.unlink(db_path(ax) + suffix)
        os.rename(copy, db_path(ax))
        wait_until(lambda: "was replaced" in ax.log(), 30, "it to be noticed")
        more(load)
    compare(ax)
    r = ax.get("/v1/audit?limit=10&cursor=" + page["next_cursor"],
               token=ax.api_key)
    assert r.status == 200
    last = page["entries"][-1]["seq"]
    assert r.json()["entries"][0]["seq"] == last - 1


@pytest.mark.root
@pytest.mark.limit(180)
def test_not_to_be_written(make_ax):
    """The file and its folder are read-only for the store."""
    ax = make_ax()
    for _ in range(10):
        exists(ax)
    compare(ax)
    folder = os.path.dirname(db_path(ax))
    paths = [folder] + [os.path.join(folder, n) for n in os.listdir(folder)]
    modes = {p: os.stat(p).st_mode & 0o777 for p in paths}
    for p in paths:
        os.chmod(p, modes[p] & 0o555)
    with Load(ax, 2) as load:
        # what it has open stays open: only a new one finds out
        os.kill(store_pid(ax), signal.SIGKILL)
        wait_until(lambda: ready_status(ax) == 503, 30, "degraded")
        more(load, 50)
        wait_until(lambda: ready_status(ax) == 503, 30, "still degraded")
        for p in paths:
            if os.path.exists(p):
                os.chmod(p, modes[p])
        ax.wait_ready()
        more(load)
    compare(ax)


@pytest.fixture
def small_disk():
    """A tmpfs of 6 MiB, outside pytest's private folders."""
    d = tempfile.mkdtemp(prefix="ax-disk-", dir=os.environ.get("AX_TMP",
                                                               "/tmp"))
    os.chmod(d, 0o755)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0755",
                        "ax-test", d], capture_output=True, text=True)
    if r.returncode != 0:
        os.rmdir(d)
        pytest.skip("can't mount here: " + r.stderr.strip())
    try:
        yield d
    finally:
        subprocess.run(["umount", "-l", d], check=True)
        os.rmdir(d)


@pytest.mark.root
@pytest.mark.limit(180)
def test_disk_full(make_ax, small_disk):
    """The database's disk fills up, the journal's does not: degraded, and well
    again once there is space."""
    ax = make_ax(dirs={"state": os.path.join(small_disk, "state")})
    for _ in range(10):
        exists(ax)
    compare(ax)
    ballast = os.path.join(small_disk, "ballast")
    with Load(ax, 4) as load:
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                pass
        wait_until(lambda: ready_status(ax) == 503, 60, "degraded")
        more(load, 50)
        os.unlink(ballast)
        ax.wait_ready()
        more(load)
    compare(ax)
    assert "projection: " in ax.log() and axlib.alive(store_pid(ax))
    ax.stop()
