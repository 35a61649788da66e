# SPDX-License-Identifier: ISC
"""Promise P5: the journal is the truth, the database a projection of it.  The
store is killed, its database deleted, damaged, locked and taken a revision
back; the audited path does not notice, and in the end every row is the
journal's."""
import json
import os
import signal
import sqlite3
import threading
import time

import pytest

import projection
from axlib import alive, wait_until

def db_path(ax):
    return os.path.join(ax.state, "db", "archillx.db")


def compare(ax, first=1):
    """Everything, column by column, up to what the journal holds now; and the
    count that the API gives."""
    want = projection.last_seq(ax.evidence)
    wait_until(lambda: (projection.mark_seq(db_path(ax)) or 0) >= want, 60,
               "the projection to catch up", 0.05)
    n = projection.compare(ax.evidence, db_path(ax), first)
    s = ax.get("/v1/audit/summary", token=ax.api_key).json()["summary"]
    assert s["total"] >= n
    return n


def remove_db(ax):
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(db_path(ax) + suffix):
            os.unlink(db_path(ax) + suffix)


def exists(ax):
    return ax.invoke("file_ops", {"operation": "exists", "path": ax.files})


class Load:
    """Clients that call while something happens to the store."""
    def __init__(self, ax, n=4):
        self.ax, self.stop, self.bad, self.done = ax, False, [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]

    def run(self):
        while not self.stop:
            r = exists(self.ax)
            self.done += 1
            if r.status != 200:
                self.bad.append((r.status, r.code))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop = True
        for t in self.threads:
            t.join()
        if exc[0] is None:
            assert self.done > 0 and not self.bad, self.bad[:5]


def store_pid(ax):
    """Of the store, once there is one: between fork and exec it is not."""
    found = []
    wait_until(lambda: found.extend(ax.procs().get("store", [])) or found,
               10, "a store")
    return found[0]


def test_rows_are_the_journal(ax):
    for _ in range(20):
        assert exists(ax).status == 200
    ax.invoke("nothing")
    ax.get("/v1/audit", token="wrong")
    assert compare(ax) > 20


@pytest.mark.root
def test_killed_under_load(ax):
    with Load(ax) as load:
        for _ in range(5):
            before = load.done
            pid = store_pid(ax)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 5, "the store to die")
            wait_until(lambda: load.done > before + 10, 10, "actions go on")
            assert store_pid(ax) != pid
    compare(ax)


def test_database_deleted(make_ax):
    """While it runs: actions go on, reads say 503, a migration is enough."""
    ax = make_ax()
    for _ in range(10):
        exists(ax)
    compare(ax)
    with Load(ax, 2):
        remove_db(ax)
        wait_until(lambda: ax.get("/v1/audit", token=ax.api_key).status ==
                   503, 5, "reads to fail")
        assert ax.get("/v1/migration/state", token=ax.api_key).status == 503
        assert ax.get("/v1/ready").status == 503
        ax.migrate()
        ax.wait_ready()
    compare(ax)


def test_one_revision_back_and_forth(make_ax):
    ax = make_ax()
    for _ in range(10):
        exists(ax)
    compare(ax)
    with Load(ax, 2):
        out = ax.ctl("migrate", "downgrade", "-1").stdout
        assert "(head)" not in out
        wait_until(lambda: ax.get("/v1/migration/state", token=ax.api_key)
                   .json().get("status") == "behind", 5, "status behind")
        ax.migrate()
        ax.wait_ready()
    compare(ax)


def test_locked_by_another(make_ax):
    """Someone holds the write lock for a while: late, not lost."""
    ax = make_ax()
    exists(ax)
    ax.wait_projected()
    db = sqlite3.connect(db_path(ax), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with Load(ax, 2):
        time.sleep(1.5)
        assert ax.get("/v1/audit", token=ax.api_key).status == 200
    db.execute("ROLLBACK")
    db.close()
    compare(ax)


def test_damaged_file(make_ax):
    """A file that is no database: degraded, and a new one heals it."""
    ax = make_ax()
    for _ in range(10):
        exists(ax)
    compare(ax)
    ax.stop()
    path = db_path(ax)
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with open(path, "r+b") as f:
        f.write(b"not a database" * 100)
    ax.start(ready=False)
    wait_until(lambda: ax.get("/v1/live").status == 200, 10, "life")
    wait_until(lambda: exists(ax).status == 200, 10, "actions")
    assert ax.get("/v1/audit", token=ax.api_key).status == 503
    assert ax.ctl("migrate", "current").returncode == 1
    remove_db(ax)
    ax.migrate()
    ax.wait_ready()
    compare(ax)


@pytest.mark.limit(180)
def test_over_segments(make_ax):
    """Rotation under load, then a rebuild over all segments."""
    ax = make_ax(AUDIT_FILE_MAX_BYTES="1M")
    with Load(ax, 8):
        wait_until(lambda: len(ax.journal_files()) >= 4, 120, "rotations")
    n = compare(ax)
    ax.stop()
    remove_db(ax)
    ax.migrate()
    ax.start()
    assert compare(ax) >= n


def test_commands(make_ax):
    ax = make_ax(migrate=False, autostart=False)
    assert ax.ctl("migrate", "check").returncode == 1
    assert ax.ctl("migrate", "current").returncode == 1
    assert ax.ctl("migrate").returncode == 2
    assert ax.ctl("migrate", "sideways").returncode == 2
    r = ax.ctl("migrate", "upgrade", "head")
    assert r.returncode == 0 and r.stdout.rstrip().endswith("(head)")
    head = r.stdout.split()[-2]
    r = ax.ctl("migrate", "current")
    assert r.stdout == head + " (head)\n"
    assert ax.ctl("migrate", "history").stdout.startswith(
        "20260227_000001 -> " + head)
    state = json.loads(ax.ctl("--json", "migrate", "check").stdout)
    assert state == {"enabled": True, "required": True, "head": head,
                     "current": head, "status": "head", "ok": True,
                     "drift": False}
    r = ax.ctl("migrate", "downgrade", "base")
    assert r.returncode == 1 and "--yes-destroy-audit" in r.stderr
    r = ax.ctl("migrate", "downgrade", "base", "--yes-destroy-audit")
    assert r.returncode == 0
    r = ax.ctl("migrate", "downgrade", "-1")
    assert r.returncode == 1 and "base" in r.stderr
    assert "CREATE TABLE ah_audit_log" in ax.ctl("migrate", "plan").stdout
    assert ax.ctl("migrate", "stamp", "nothing").returncode == 1
    st = os.stat(os.path.dirname(db_path(ax)))
    assert st.st_mode & 0o777 == 0o700
