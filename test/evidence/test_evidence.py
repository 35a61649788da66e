# SPDX-License-Identifier: ISC
"""The evidence proves itself: the short forms of the batteries (tamper.py and
clean.py say how the full ones are run), and the whole way through a running
daemon."""
import subprocess

import pytest

import axlib
import clean
import mklog
import tamper
import tlog

C2SP_KEY = ("example.com/foo+530d903a+"
            "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
C2SP_NOTE = ("This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1"
             "yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRK"
             "uwHjG1Yu72IneyaQM=\n").encode()


def test_the_published_note_opens():
    text, names = tlog.open_note(C2SP_NOTE, [C2SP_KEY])
    assert text == b"This is an example message.\n"
    assert names == [b"example.com/foo"]


@pytest.mark.parametrize("note, key", [
    (C2SP_NOTE.replace(b"This", b"That"), C2SP_KEY),
    (C2SP_NOTE.replace(b"RlL1", b"RlL2"), C2SP_KEY),
    (C2SP_NOTE.replace(b"\n\n", b"\n"), C2SP_KEY),
    (C2SP_NOTE[:-1], C2SP_KEY),
    (C2SP_NOTE.replace(b"foo ", b"bar "), C2SP_KEY),
    (C2SP_NOTE, C2SP_KEY.replace("530d903a", "530d903b")),
])
def test_another_note_does_not(note, key):
    with pytest.raises(tlog.Bad):
        tlog.open_note(note, [key])


def proof_of(i, leaves):
    """PATH(i, D[n]) of RFC 6962, 2.1.1, straight from its definition."""
    if len(leaves) == 1:
        return []
    k = tlog.half(len(leaves))
    a, b = leaves[:k], leaves[k:]
    if i < k:
        return proof_of(i, a) + [root(b)]
    return proof_of(i - k, b) + [root(a)]


def subproof(m, leaves, whole=True):
    """SUBPROOF(m, D[n], whole) of 2.1.2."""
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = tlog.half(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], whole) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def root(leaves):
    return tlog.Tree(leaves).root(len(leaves))


def test_proofs_of_small_trees():
    leaves = [tlog.leaf(b"%d" % i) for i in range(35)]
    for n in range(1, 36):
        d = leaves[:n]
        for i in range(n):
            assert tlog.climb(i, n, d[i], proof_of(i, d)) == root(d)
            assert i == 0 or tlog.climb(
                i, n, d[i - 1], proof_of(i, d)) != root(d)
        for m in range(1, n + 1):
            a = root(d[:m])
            assert tlog.grow(m, n, a, subproof(m, d)) == (a, root(d))
            with pytest.raises(tlog.Bad):
                tlog.grow(m, n, a, subproof(m, d) + [a])


@pytest.mark.limit(900)
def test_tamper_battery(verifier):
    rows = tamper.run(verifier, short=True)
    print(tamper.table(rows))
    errors = [e for r in rows for e in r[6]]
    assert not errors, "\n".join(errors[:30])
    assert len({r[0] for r in rows}) == 12


@pytest.mark.limit(600)
def test_clean_logs(verifier):
    counts, errors = clean.run(verifier, 100)
    assert not errors, "\n".join(errors[:30])
    assert sum(counts.values()) == 100 and len(counts) == len(clean.LIVES) + 1


def proofs(tmp_path):
    """(a tlog-proof of archillxctl, the key, the record) of a made log."""
    log = mklog.make(600, (300,), covered=590, packed=(0,))
    mklog.write(str(tmp_path / "ev"), log.files())
    out = tmp_path / "p.tlog-proof"
    r = ctl("audit", "prove", "--dir", tmp_path / "ev", "-o", out, 258)
    assert r.returncode == 0, r.stderr
    return out.read_bytes(), log.key.vkey, log.lines()[257]


def ctl(*args):
    return subprocess.run(
        [axlib.find_program(axlib.find_build(), "archillxctl")] +
        [str(a) for a in args], capture_output=True, text=True)


def test_a_proof_of_ours(tmp_path):
    data, key, record = proofs(tmp_path)
    assert tlog.check_proof(data, [key]) == (257, 590)
    assert tlog.check_proof(data, [key], record) == (257, 590)
    with pytest.raises(tlog.Bad):
        tlog.check_proof(data, [key], record + b" ")
    with pytest.raises(tlog.Unknown):
        tlog.check_proof(data, [mklog.Key(salt="other").vkey])


@pytest.mark.limit(300)
def test_both_refuse_the_same_proofs(tmp_path):
    """Any byte changed, any line taken out or doubled (but not a signature's:
    the same one twice says nothing else)."""
    data, key, _ = proofs(tmp_path)
    lines = data.split(b"\n")
    bad = [b"\n".join(lines[:i] + lines[i + 1:]) for i in range(len(lines))]
    bad += [b"\n".join(lines[:i] + [lines[i]] + lines[i:])
            for i in range(len(lines) - 2)]
    bad += [data[:i] + bytes([data[i] ^ 1]) + data[i + 1:]
            for i in range(0, len(data), 7)]
    bad += [data[:i] for i in range(0, len(data), 41)] + [data + b"\n"]
    path = tmp_path / "bad.tlog-proof"
    odd = []
    for n, x in enumerate(bad):
        try:
            tlog.check_proof(x, [key])
            ours = True
        except tlog.Bad:
            ours = False
        path.write_bytes(x)
        r = ctl("audit", "check-proof", "--key", key, path)
        if ours or r.returncode == 0:
            odd.append((n, ours, r.returncode, x))
    assert not odd, odd[:3]
