# SPDX-License-Identifier: ISC
"""The evidence of a running daemon, in the hands of strangers: proofs, the
tree in tiles, copies made at any moment, after kills and rotations.

AX_REAL=N: how many real logs are made by kills and rotations (default 4).
"""
import base64
import os
import signal
import subprocess
import threading

import pytest

import axlib
import both
import lines
import mklog
import tlog

REAL = int(os.environ.get("AX_REAL", "4"))


def exists(d):
    r = d.invoke("file_ops", {"operation": "exists", "path": d.files})
    assert r.status == 200, r


def newest(d):
    """(size, root) of the checkpoint that is served."""
    r = d.get("/v1/audit/checkpoint", token=d.api_key)
    assert r.status == 200, r
    return tlog.checkpoint(r.body, [d.vkey])


def settled(d, n=None):
    """Waits until all records (or n of them) are covered; the checkpoint."""
    def done():
        size, root = newest(d)
        last = d.journal()[-1]["seq"] if n is None else n
        return (size, root) if size >= last else None
    return axlib.wait_until(done, 15, "a checkpoint over the last record", .1)


def raw_lines(d):
    """The bytes of every line, straight from the files."""
    return [x[0] for x in lines.journal(d.evidence)[0]]


def copy_of(d, top):
    """A copy of the running log, made as docs/EVIDENCE.md says."""
    e = d.evidence
    r = subprocess.run(
        "mkdir -p COPY/log &&"
        " cp -a EV/log/checkpoint EV/log/checkpoints COPY/log/ &&"
        " cp -a EV/log/tile COPY/log/ &&"
        " cp -a EV/security_audit.jsonl EV/archive COPY/".replace(
            "EV", e).replace("COPY", top), shell=True, capture_output=True,
        text=True)
    # cp tells of a file that was compressed away under its hands
    assert not r.stderr or "cannot stat" in r.stderr, r.stderr
    return top if not r.stderr else copy_of(d, top + "-again")


def judged(verifier, top, d, old=(), code=0):
    """Both verifiers, who must agree; what the second one says."""
    theirs = both.second(top, [d.vkey], old)
    ours = both.first(verifier, top, [d.vkey], old)
    assert not both.differences(theirs, ours), (theirs, ours)
    assert theirs.code == code, theirs
    return theirs


def test_a_record_is_proved(ax, tmp_path):
    for _ in range(3):
        exists(ax)
    settled(ax)
    rows = raw_lines(ax)
    for seq in (1, len(rows) // 2, len(rows)):
        out = tmp_path / ("%d.tlog-proof" % seq)
        r = ax.ctl("audit", "prove", "-o", out, seq)
        assert r.returncode == 0, r.stderr
        served = ax.get("/v1/audit/proof?seq=%d" % seq, token=ax.admin_token)
        assert served.status == 200, served
        for data in (out.read_bytes(), served.body):
            index, size = tlog.check_proof(data, [ax.vkey])
            assert index == seq - 1 and size >= len(rows)
            tlog.check_proof(data, [ax.vkey], rows[seq - 1])
            with pytest.raises(tlog.Bad):
                tlog.check_proof(data, [ax.vkey], rows[seq - 1] + b" ")
        r = ax.ctl("audit", "check-proof", "--key", ax.vkey, out)
        assert r.returncode == 0, r.stderr
        assert rows[seq - 1].decode() in r.stdout
        out.write_bytes(out.read_bytes().replace(b"index ", b"index 1"))
        assert ax.ctl("audit", "check-proof", "--key", ax.vkey,
                      out).returncode == 1


def test_the_log_only_grows(ax):
    """Every checkpoint seen is a prefix of every later one."""
    seen = []
    for _ in range(4):
        exists(ax)
        seen.append(settled(ax))
    for i, (m, old) in enumerate(seen):
        for n, new in seen[i:]:
            r = ax.get("/v1/audit/consistency?from=%d&to=%d" % (m, n),
                       token=ax.api_key)
            assert r.status == 200, r
            path = [base64.b64decode(x) for x in r.json()["path"]]
            assert tlog.grow(m, n, old, path) == (old, new)
            tlog.checkpoint(r.json()["checkpoint"].encode(), [ax.vkey])
            if path:
                path[0] = bytes(32)
                assert tlog.grow(m, n, old, path) != (old, new)


def entries(log, size):
    """The entries of the bundles: what a stranger's tlog client reads."""
    for n in range((size + 255) // 256):
        want = min(256, size - 256 * n)
        data = tlog.read_tile(log, "entries", n, want)
        for _ in range(want):
            k = int.from_bytes(data[:2], "big")
            assert len(data) >= 2 + k
            yield data[2:2 + k]
            data = data[2 + k:]


@pytest.mark.limit(180)
def test_the_exported_tree(ax, tmp_path):
    while len(raw_lines(ax)) < 270:     # more than one tile
        exists(ax)
    settled(ax)
    out = tmp_path / "tree"
    r = ax.ctl("audit", "export", "--tiles", out)
    assert r.returncode == 0, r.stdout + r.stderr
    size, root = tlog.checkpoint((out / "checkpoint").read_bytes(), [ax.vkey])
    leaves = tlog.tile_hashes(str(out), size)
    tree = tlog.Tree(leaves)
    assert len(leaves) == size and tree.root(size) == root
    assert tlog.tile_hashes(str(out), size // 256, 1) == tree[8]
    got = list(entries(str(out), size))
    assert [tlog.leaf(x) for x in got] == leaves
    assert got == raw_lines(ax)[:size]


def test_archive_then_verify(make_ax, tmp_path, verifier):
    d = make_ax()
    old = tmp_path / "off-host"
    for i in range(3):
        for _ in range(5):
            exists(d)
        settled(d)
        if i == 0:
            old.write_bytes(d.get("/v1/audit/checkpoint",
                                  token=d.api_key).body)
        r = d.post("/v1/audit/archive", token=d.admin_token)
        assert r.status == 200 and r.json()["rotated"] is True, r
        assert os.path.exists(r.json()["archived_to"]) or \
            os.path.exists(r.json()["archived_to"] + ".zst")
    axlib.wait_until(lambda: sum(n.endswith(".zst") for n in os.listdir(
        os.path.join(d.evidence, "archive"))) == 3, 15, "three archives")
    settled(d)
    said = judged(verifier, copy_of(d, str(tmp_path / "copy")), d, [str(old)])
    assert said.uncovered == 0
    assert d.stop() == 0
    judged(verifier, d.evidence, d, [str(old)])
    r = d.ctl("audit", "verify", d.evidence, "--key", d.vkey, "--checkpoint",
              old)
    assert r.returncode == 0, r.stdout + r.stderr
    path = os.path.join(d.evidence, "archive", sorted(os.listdir(
        os.path.join(d.evidence, "archive")))[1])
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 0xff]))
    judged(verifier, d.evidence, d, code=1)


def test_what_is_tampered_with_is_found(make_ax, tmp_path, verifier):
    """A real log, stopped, edited by hand at one record."""
    d = make_ax()
    for _ in range(10):
        exists(d)
    assert d.stop() == 0
    judged(verifier, d.evidence, d)
    path = os.path.join(d.evidence, mklog.LIVE)
    with open(path, "rb") as f:
        rows = f.read().split(b"\n")
    rows[6] = rows[6].replace(b"APPROVED", b"REJECTED")
    with open(path, "wb") as f:
        f.write(b"\n".join(rows))
    said = judged(verifier, d.evidence, d, code=1)
    assert (said.kind, said.seq) == ("edited", 7)


def clients(d, stop, n=4):
    """Threads that go on asking until `stop`, whatever they are told."""
    def work():
        while not stop.is_set():
            try:
                d.invoke("file_ops", {"operation": "exists", "path": d.files})
            except OSError:
                stop.wait(.05)
    threads = [threading.Thread(target=work) for _ in range(n)]
    for t in threads:
        t.start()
    return threads


@pytest.mark.limit(60 + 30 * REAL)
def test_real_logs_are_clean(make_ax, tmp_path, verifier):
    """Copies of a log under load, over kill -9, rotation by size and on
    demand: never an alarm, and every old checkpoint still holds."""
    d = make_ax(AUDIT_FILE_MAX_BYTES=1 << 20)
    kept = []
    for i in range(REAL):
        stop = threading.Event()
        threads = clients(d, stop)
        try:
            n = newest(d)[0] if kept else 1
            settled(d, n + 700)
            if i % 2:
                d.post("/v1/audit/archive", token=d.admin_token)
            top = copy_of(d, str(tmp_path / ("copy-%d" % i)))
            judged(verifier, top, d, kept[-1:])
            kept.append(str(tmp_path / ("old-%d" % i)))
            with open(kept[-1], "wb") as f:
                f.write(d.get("/v1/audit/checkpoint", token=d.api_key).body)
            if i % 3 == 0:
                d.kill()
            else:
                os.kill(d.procs()[("notary", "audit")[i % 3 - 1]][0],
                        signal.SIGKILL)
        finally:
            stop.set()
            for t in threads:
                t.join()
        if not d.running():
            for old in kept[-3:]:
                judged(verifier, d.evidence, d, [old])
            d.start()
        d.wait_ready()
    assert d.stop() == 0
    said = judged(verifier, d.evidence, d, kept[:1])
    assert said.uncovered == 0
    assert len(os.listdir(os.path.join(d.evidence, "archive"))) > 1
