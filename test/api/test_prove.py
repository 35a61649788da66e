# SPDX-License-Identifier: ISC
"""audit prove and audit check-proof on a service's own evidence: while it
runs, after rotation, compressed, after it has stopped."""
import json
import os

import pytest

from axlib import wait_until


def covered(ax):
    with open(ax.evidence + "/checkpoint", "rb") as f:
        return int(f.read().split(b"\n")[1])


def act(ax, n=1):
    for _ in range(n):
        assert ax.invoke("text_stats", {"text": "a"}).status == 200
    seq = ax.journal()[-1]["seq"]
    wait_until(lambda: covered(ax) >= seq, 30, "the checkpoint")
    return seq


def prove(ax, seq, *args):
    return ax.ctl("audit", "prove", *args, seq)


def check(ax, path, key=None):
    return ax.ctl("audit", "check-proof", "--key", key or ax.vkey, path)


def write(ax, text, name="p.tlog-proof"):
    p = os.path.join(ax.base, name)
    with open(p, "w") as f:
        f.write(text)
    return p


@pytest.mark.quick
def test_every_record(ax):
    """Each line of the journal is proved, also those of archived segments,
    and is given back byte for byte."""
    act(ax, 3)
    for _ in range(2):
        r = ax.ctl("audit", "archive")
        assert r.returncode == 0, r.stderr
        act(ax, 2)
    wait_until(lambda: len([f for f in ax.journal_files()
                            if f.endswith(".zst")]) >= 2, 30, "compression")
    rows = ax.journal()
    size = covered(ax)
    assert size >= len(rows)
    for row in rows:
        r = prove(ax, row["seq"])
        assert r.returncode == 0, r.stderr
        assert r.stdout.startswith("c2sp.org/tlog-proof@v1\nextra ")
        p = write(ax, r.stdout)
        r = check(ax, p)
        assert r.returncode == 0, r.stderr
        first, line = r.stdout.rstrip("\n").split("\n")
        assert first.startswith("proved: record %d of test/archillx"
                                % row["seq"])
        assert json.loads(line) == row
    j = ax.ctl_json("audit", "check-proof", "--key", ax.vkey, p)
    assert j["ok"] is True and j["record"] == rows[-1]
    assert j["seq"] == rows[-1]["seq"] and j["origin"] == "test/archillx"


def test_not_there(ax):
    n = act(ax)
    for seq in (n + 100, 2 ** 62):
        r = prove(ax, seq)
        assert r.returncode == 1 and not r.stdout
        assert "not covered yet" in r.stderr
    for seq in ("0", "-1", "x", "1x", "", "99999999999999999999"):
        assert prove(ax, seq).returncode == 2
    assert ax.ctl("audit", "prove").returncode == 2
    assert ax.ctl("audit", "prove", "1", "2").returncode == 2
    r = ax.ctl("audit", "prove", "--dir", "/nonexistent", "1")
    assert r.returncode == 1 and "/nonexistent" in r.stderr


def test_output_file(ax):
    act(ax)
    out = os.path.join(ax.base, "one.tlog-proof")
    assert prove(ax, 1, "-o", out).returncode == 0
    assert check(ax, out).returncode == 0
    # never over another
    r = prove(ax, 2, "-o", out)
    assert r.returncode == 1 and "File exists" in r.stderr
    assert "record 1 of" in check(ax, out).stdout


def test_refused(ax):
    """Exit 1 and why for a proof that does not hold, 2 for what cannot be
    looked at."""
    act(ax)
    text = prove(ax, 1).stdout
    other = prove(ax, 2).stdout
    lines, olines = text.split("\n"), other.split("\n")
    assert check(ax, write(ax, text)).returncode == 0
    changed = {
        "another record": [lines[0], olines[1]] + lines[2:],
        "another index": lines[:2] + ["index 1"] + lines[3:],
        "no record": [lines[0]] + lines[2:],
        "cut": lines[:-4],
    }
    for what, x in changed.items():
        r = check(ax, write(ax, "\n".join(x)))
        assert r.returncode == 1 and "proves nothing" in r.stderr, what
        assert not r.stdout
        j = ax.ctl("--json", "audit", "check-proof", "--key", ax.vkey,
                   write(ax, "\n".join(x)))
        assert j.returncode == 1 and json.loads(j.stdout)["ok"] is False
    r = check(ax, write(ax, text), key="other+7997405c+AQcC+FTVKf0jlTdHDY3rbe"
              "vmnKxxPjigCXlVtGe6RIr6")
    assert r.returncode == 2
    r = check(ax, write(ax, text), key="TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbe"
              "vmnKxxPjigCXlVtGe6RIr6")
    assert r.returncode == 1 and "not signed by this key" in r.stderr
    assert check(ax, "/nonexistent").returncode == 2
    assert ax.ctl("audit", "check-proof", "/dev/null").returncode == 2
    key = write(ax, ax.vkey + "\n", "pub")
    assert check(ax, write(ax, text), key=key).returncode == 0


def test_changed_journal(make_ax):
    """What the checkpoint does not cover is not proved."""
    ax = make_ax()
    n = act(ax, 2)
    assert ax.stop() == 0
    live = os.path.join(ax.evidence, "security_audit.jsonl")
    with open(live) as f:
        lines = f.readlines()
    with open(live, "w") as f:
        f.writelines(x.replace("APPROVED", "WARNED") if x == lines[n - 1]
                     else x for x in lines)
    r = prove(ax, n)
    assert r.returncode == 1 and not r.stdout, r.stdout
    assert prove(ax, n - 1).returncode == 0
