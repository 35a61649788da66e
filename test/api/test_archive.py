# SPDX-License-Identifier: ISC
"""Rotation and compression: closed segments become one zstd frame each, with
nothing lost in between, whatever dies meanwhile."""
import glob
import hashlib
import json
import os
import signal
import subprocess

import pytest

import axlib

BIG = "x" * 3500


def fill(ax, n=1, most=3000):
    """Invokes until n more segments are closed."""
    have = len(closed(ax))
    for i in range(most):
        if len(closed(ax)) >= have + n:
            return
        r = ax.invoke("file_ops", {
            "operation": "exists", "path": "%s/%d%s" % (ax.files, i, BIG)})
        assert r.status == 200, r
    pytest.fail("no rotation")


def closed(ax):
    return [f for f in ax.journal_files()
            if os.path.basename(os.path.dirname(f)) == "archive"]


def plain(ax):
    return [f for f in closed(ax) if f.endswith(".jsonl")]


def parts(ax):
    return glob.glob(os.path.join(ax.evidence, "archive", ".*.part"))


def until_compressed(ax, timeout=30):
    axlib.wait_until(lambda: closed(ax) and not plain(ax), timeout,
                     "all closed segments to be compressed")
    assert parts(ax) == []


def check_lines(ax):
    rows = ax.journal()
    seqs = [r["seq"] for r in rows]
    assert seqs == list(range(1, len(seqs) + 1))
    return rows


@pytest.fixture(params=[True, False], ids=["signed", "unsigned"])
def small(request, make_ax):
    return make_ax(AUDIT_FILE_MAX_BYTES="1M", signing=request.param)


def test_closed_segments_are_compressed(small):
    ax = small
    fill(ax, 2)
    until_compressed(ax)
    rows = check_lines(ax)
    assert [r for r in rows if r["action"] == "journal_rotated"]
    assert ax.metric("archillx_journal_rotations_total") >= 2
    assert ax.metric("archillx_journal_archived_total") >= 2
    assert ax.metric("archillx_journal_archive_failures_total") == 0
    for f in closed(ax):
        text = axlib.segment_bytes(f)
        assert len(text) >= 1 << 20
        assert os.path.getsize(f) < len(text) / 4
        r = subprocess.run(["zstd", "-tq", f])
        assert r.returncode == 0
    # nobody keeps the plain file's space
    for name, pids in ax.procs().items():
        for pid in pids:
            for fd, to in axlib.proc_fds(pid).items():
                assert not ("security_audit" in to and "(deleted)" in to), \
                    (name, to)
    # the next life starts from them, and the database is made anew of them
    ax.stop()
    for f in glob.glob(os.path.join(ax.state, "db", "*")):
        os.unlink(f)
    ax.migrate()
    ax.start()
    ax.wait_projected(60)
    assert ax.get("/v1/audit?limit=1", token=ax.api_key).status == 200
    check_lines(ax)


def test_compression_can_be_switched_on_by_a_reload(make_ax):
    ax = make_ax(AUDIT_FILE_MAX_BYTES="1M", AUDIT_COMPRESS="no",
                 signing=False)
    fill(ax, 2)
    names = closed(ax)
    sums = [hashlib.sha256(axlib.segment_bytes(f)).digest() for f in names]
    ax.restart()
    assert closed(ax) == names
    ax.write_conf(AUDIT_COMPRESS="yes")
    assert ax.reload().returncode == 0
    until_compressed(ax)
    assert closed(ax) == [f + ".zst" for f in names]
    assert sums == [hashlib.sha256(axlib.segment_bytes(f)).digest()
                    for f in closed(ax)]


@pytest.mark.limit(180)
def test_an_old_archive_is_put_away(make_ax):
    """While all runs, after a backup: those who start anew do without it, and
    those behind it are compressed."""
    ax = make_ax(AUDIT_FILE_MAX_BYTES="1M", AUDIT_COMPRESS="no")
    fill(ax, 3)

    def covered():
        return ax.metric("archillx_checkpoint_seq") >= \
            ax.metric("archillx_journal_seq")

    axlib.wait_until(covered, 30, "a checkpoint over all")
    os.unlink(sorted(closed(ax))[0])
    for role in ("notary", "store"):
        os.kill(ax.procs()[role][0], signal.SIGKILL)
    assert ax.invoke("file_ops", {"operation": "exists",
                                  "path": ax.files}).status == 200
    axlib.wait_until(covered, 30, "a checkpoint")
    ax.wait_projected(30)
    ax.write_conf(AUDIT_COMPRESS="yes")
    assert ax.reload().returncode == 0
    until_compressed(ax)
    assert len(closed(ax)) == 2
    # a line for each who reads, and one for the archiver
    assert ax.log().count("is not there any more") <= 4
    assert ax.metric("archillx_journal_archive_failures_total") == 0
    ax.restart()
    axlib.wait_until(covered, 30, "a checkpoint")


@pytest.mark.heavy
@pytest.mark.limit(180)
def test_killed_archivers_and_gates(make_ax):
    """Archiver and audit killed while it works: never a segment less."""
    ax = make_ax(AUDIT_FILE_MAX_BYTES="8M", AUDIT_COMPRESS="no",
                 signing=False)
    fill(ax, 1, 4000)
    sum_ = hashlib.sha256(axlib.segment_bytes(closed(ax)[0])).digest()
    ax.write_conf(AUDIT_COMPRESS="yes")
    for role in ("archiver", "audit", "archiver", "audit"):
        pids = []
        ax.reload()
        axlib.wait_until(lambda: pids.extend(ax.procs().get("archiver", []))
                         or pids or not plain(ax), 60, "an archiver")
        try:
            os.kill(pids[0] if role == "archiver"
                    else ax.procs()["audit"][0], signal.SIGKILL)
        except (IndexError, ProcessLookupError):
            pass
        if role == "audit":
            ax.wait_ready(30)
    until_compressed(ax, 90)
    assert sum_ == hashlib.sha256(axlib.segment_bytes(closed(ax)[0])).digest()
    check_lines(ax)
    ax.restart()
    check_lines(ax)


def test_archive_on_request(make_ax):
    ax = make_ax(signing=False)
    r = ax.ctl("--json", "audit", "archive")
    assert r.returncode == 0, r
    a = json.loads(r.stdout)
    assert a["rotated"] is True and a["threshold"] == 1
    assert a["path"] == os.path.join(ax.evidence, "security_audit.jsonl")
    assert a["archive_dir"] == os.path.join(ax.evidence, "archive")
    assert os.path.dirname(a["archived_to"]) == a["archive_dir"]
    assert os.path.exists(a["path"]) is a["current_exists"]
    until_compressed(ax)
    text = axlib.segment_bytes(a["archived_to"] + ".zst")
    assert len(text) == a["size"]
    assert b'"audit_archive"' in text
    # any number of them in one second: no name is used twice
    names = {a["archived_to"]}
    for _ in range(5):
        r = ax.ctl("audit", "archive")
        assert r.returncode == 0 and r.stdout.count("\n") == 1, r
        names.add(r.stdout.split(":")[0])
    assert len(names) == 6
    until_compressed(ax)
    assert len(closed(ax)) == 6
    rows = check_lines(ax)
    mine = [r for r in rows if r["action"] == "audit_archive"]
    assert len(mine) == 6
    assert all(r["actor"] == "os:%d" % os.geteuid() for r in mine)
    ax.restart()
    check_lines(ax)


def test_the_runbooks_script(make_ax):
    """Its answer on stdout, curl's status."""
    ax = make_ax(signing=False)

    def run(key, url=ax.url):
        return subprocess.run(
            [os.path.join(axlib.SRC, "scripts", "archive_audit.sh")],
            env={"PATH": "/usr/bin:/bin", "ARCHILLX_BASE_URL": url,
                 "API_KEY": key}, capture_output=True, text=True)

    r = run(ax.admin_token)
    assert r.returncode == 0 and json.loads(r.stdout)["rotated"] is True, r
    for key in (ax.api_key, "", "wrong"):
        r = run(key)
        assert r.returncode == 22 and r.stdout == "", r
    assert run(ax.admin_token, "http://127.0.0.1:1").returncode == 7
    assert len(closed(ax)) == 1


def test_start_over_many_segments(make_ax):
    """More than the C library sorts without asking the kernel for anything."""
    ax = make_ax(AUDIT_COMPRESS="no")
    for _ in range(80):
        r = ax.post("/v1/audit/archive", token=ax.admin_token)
        assert r.status == 200 and r.json()["rotated"], r
    ax.restart()
    assert len(closed(ax)) >= 80
    check_lines(ax)
