# SPDX-License-Identifier: ISC
"""archillxctl audit tail: the newest records across rotations, and following
over rotations and the death of the gate."""
import json
import os
import signal
import subprocess

import pytest

from axlib import wait_until


def act(ax, n=1):
    for _ in range(n):
        wait_until(lambda: ax.invoke(
            "file_ops", {"operation": "exists", "path": "x"}).status == 200,
            30, "the gate")


def seqs(text):
    return [json.loads(line)["seq"] for line in text.splitlines()]


def rotate(ax):
    r = ax.post("/v1/audit/archive", token=ax.admin_token)
    assert r.status == 200 and r.json()["rotated"], r


@pytest.fixture(scope="module")
def rotated(ax):
    for _ in range(3):
        act(ax, 4)
        rotate(ax)
    act(ax, 2)
    return ax


def test_newest(rotated):
    lines = rotated.journal()
    for n in (1, 3, 9, 20, 1000):
        r = rotated.ctl("audit", "tail", "--json", "-n", n)
        assert r.returncode == 0, r
        assert [json.loads(x) for x in r.stdout.splitlines()] == lines[-n:]
    r = rotated.ctl("audit", "tail")
    assert len(r.stdout.splitlines()) == 10
    last = lines[-1]
    assert r.stdout.splitlines()[-1].split(" ")[:5] == [
        last["ts"], str(last["seq"]), last["decision"],
        str(last["risk_score"]), last["actor"]]
    assert rotated.ctl("audit", "tail", "-n", "0").stdout == ""


def test_filters(rotated):
    lines = rotated.journal()
    for args, want in (
            (["--action-prefix", "skill_done:"],
             lambda r: r["action"].startswith("skill_done:")),
            (["--action", "service_start"],
             lambda r: r["action"] == "service_start"),
            (["--decision", "BLOCKED"], lambda r: r["decision"] == "BLOCKED"),
            (["--actor", "key:admin_token"],
             lambda r: r["actor"] == "key:admin_token")):
        r = rotated.ctl("audit", "tail", "--json", "-n", "7", *args)
        assert r.returncode == 0
        assert seqs(r.stdout) == [x["seq"] for x in lines if want(x)][-7:]


@pytest.mark.parametrize("args", [
    ["-n"], ["-n", "x"], ["-n", "-1"], ["-n", "100001"], ["--nothing", "x"],
    ["x"], ["--action"]])
def test_usage(rotated, args):
    r = rotated.ctl("audit", "tail", *args)
    assert (r.returncode, r.stdout) == (2, "")


class Tail:
    def __init__(self, ax, *args):
        self.out = os.path.join(ax.base, "tail")
        with open(self.out, "w") as f:
            self.p = subprocess.Popen(
                [ax.ctl_bin, "-f", ax.conf, "-s", ax.sock, "audit", "tail",
                 "-f", "--json", *args], stdout=f,
                stderr=subprocess.DEVNULL, env=ax.environ(), cwd="/")

    def seqs(self):
        with open(self.out) as f:
            text = f.read()
        return seqs(text[:text.rfind("\n") + 1])

    def end(self):
        assert self.p.poll() is None
        self.p.terminate()
        self.p.wait(10)


def test_follow(rotated):
    ax = rotated
    start = ax.journal()[-1]["seq"]
    t = Tail(ax, "-n", "0")
    try:
        # it is there once it shows the first
        wait_until(lambda: act(ax) or t.seqs(), 20, "the first line", 0.2)
        for _ in range(2):
            act(ax, 3)
            rotate(ax)
            rotate_again = ax.post("/v1/audit/archive", token=ax.admin_token)
            assert rotate_again.status == 200
        pid = ax.procs()["audit"][0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ax.procs().get("audit", [pid])[0] != pid, 20,
                   "a new gate")
        act(ax, 3)
        last = ax.journal()[-1]["seq"]
        wait_until(lambda: t.seqs()[-1:] == [last], 20, "the last line")
        got = t.seqs()
        assert got == list(range(got[0], last + 1)) and got[0] > start
    finally:
        t.end()


def test_without_the_daemon(make_ax):
    """The files are shown as they are; -f waits, and goes on after it."""
    ax = make_ax()
    act(ax, 2)
    ax.stop()
    want = [r["seq"] for r in ax.journal()]
    r = ax.ctl("audit", "tail", "--json", "-n", "1000")
    assert (r.returncode, seqs(r.stdout)) == (0, want)
    t = Tail(ax, "-n", "1000")
    try:
        wait_until(lambda: t.seqs() == want, 10, "what there is")
        ax.start()
        act(ax)
        want = [r["seq"] for r in ax.journal()]
        wait_until(lambda: t.seqs() == want, 20, "what came")
    finally:
        t.end()
