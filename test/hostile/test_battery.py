# SPDX-License-Identifier: ISC
"""The battery of cases.py against the real broker and launcher, without the
rest of the service, so that the exact end state can be compared.  Prints a
table; afterwards the host is as it was."""
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time

import pytest

from cases import CASES

HERE = os.path.dirname(os.path.abspath(__file__))
SKILLS = os.path.join(HERE, "..", "..", "etc", "skills.d")
BUILD = os.environ.get("AX_BUILD", os.path.join(HERE, "..", ".."))
DRIVE = os.path.join(BUILD, "test", "hostile", "drive")
CANARY = "canary-5f1e0c7a"
IS_ROOT = os.getuid() == 0
# Without a control group the kernel counts nothing for us.
NEEDS_CGROUP = {"F1", "F1s", "F3", "M1", "M2", "M3", "D2"}
pytestmark = [
    pytest.mark.limit(300),
    pytest.mark.skipif(not os.access(DRIVE, os.X_OK), reason="no " + DRIVE)]


def sandbox_user():
    for name in ("_archillx_sandbox", "nobody"):
        try:
            return ["-u", pwd.getpwnam(name).pw_name]
        except KeyError:
            pass
    return []


def drive(requests, *settings, concurrency=2):
    cmd = [DRIVE] + (sandbox_user() if IS_ROOT else []) + [
        BUILD, SKILLS, "ARCHILLX_ENABLE_CODE_EXEC=yes",
        "SANDBOX_MEMORY=64M", "SANDBOX_PIDS=32", "SANDBOX_QUEUE=1000",
        "SANDBOX_CONCURRENCY=%d" % concurrency,
        "SANDBOX_ALLOW_NO_CGROUP=yes"] + list(settings)
    text = "".join(json.dumps(r) + "\n" for r in requests)
    p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE,
                         env=dict(os.environ, CANARY=CANARY))
    try:
        answers, log = p.communicate(text.encode(), timeout=280)
    finally:
        p.kill()
    log = log.decode()
    assert p.returncode == 0, log
    assert not groups_of(p.pid), "a control group was left"
    out = [json.loads(line) for line in answers.decode().splitlines()]
    return sorted(out, key=lambda o: o["permit"]), log


def groups_of(pid):
    return [os.path.join(d, n) for d, names, _ in os.walk("/sys/fs/cgroup")
            for n in names if n == "archillx-%d" % pid]


def host():
    """What a sandbox must not change."""
    with open("/proc/self/mountinfo") as f:
        mounts = sorted(line.split()[4] for line in f)
    return {"mounts": mounts, "hostname": os.uname().nodename,
            "core": open("/proc/sys/kernel/core_pattern").read()}


@pytest.fixture(scope="module")
def results():
    before = host()
    requests = [{"inputs": dict(inputs, code=code)}
                for _, _, code, _, _, inputs in CASES]
    out, log = drive(requests)
    assert host() == before
    for case, o in zip(CASES, out):
        print("%-7s %-36s %-18s %s" % (case[0], case[1], o["state"],
                                       o["error"] or ""), file=sys.stderr)
    return {c[0]: o for c, o in zip(CASES, out)}, log


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_case(results, case):
    name, _, code, states, pattern, inputs = case
    o, log = results[0][name], results[1]
    if name in NEEDS_CGROUP and "no cgroup" in log:
        pytest.skip("no writable cgroup")
    assert o["state"] in states, o
    assert CANARY not in o["stdout"] + o["stderr"], o
    if pattern is not None:
        assert re.search(pattern, o["stdout"].rstrip("\n")), o
    if name.startswith("L2-"):
        assert o["exit_code"] == int(name[3:]) and o["signal"] == 0, o
    if name.startswith("L2s-"):
        assert o["signal"] == int(name[4:]) and o["exit_code"] == -1, o
    if "timeout_wall" in states:
        assert o["wall_us"] < 4_000_000, o
    if o["state"] == "out_of_memory":
        assert o["peak_mem"] <= 64 << 20, o


def test_counts_and_limits(results):
    o = results[0]["O1t"]
    assert o["stdout_total"] == 100001 and len(o["stdout"]) == 4096
    o = results[0]["O1"]
    assert o["stdout_total"] > 64 << 20


def test_nothing_stays_between_runs():
    code = ("import os\nfor d in ('/tmp', '/work', '/dev/shm'):\n"
            " p = d + '/left'\n print(os.path.exists(p))\n"
            " open(p, 'w').close()")
    out, _ = drive([{"inputs": {"code": code}}] * 3, concurrency=1)
    for o in out:
        assert o["state"] == "ok" and o["stdout"].startswith("False\n"), o
        assert o["stdout"].split()[1] == "False", o


def test_queue_is_bounded():
    out, _ = drive([{"inputs": {"code": "import time; time.sleep(0.5)"}}] * 9,
                   "SANDBOX_QUEUE=3", concurrency=2)
    states = [o["state"] for o in out]
    assert states.count("refused_by_policy") == 4, states
    assert states.count("ok") == 5, states
    full = [o["error"] for o in out if o["state"] != "ok"]
    assert full == ["sandbox queue full"] * 4


def test_many_runs_leave_nothing():
    """60 runs, also in prepared sandboxes; drive() looks for what is left."""
    out, log = drive([{"inputs": {"code": "print(1)"}}] * 60, concurrency=3)
    assert [o["stdout"] for o in out] == ["1\n"] * 60, log


def with_word(word):
    """Processes that have this word in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if word.encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def wait_for(condition, what):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_death_of_the_launcher_ends_its_sandboxes():
    word = "marker-%d-7f3a" % os.getpid()
    code = "import time\nwhile True: time.sleep(1)"
    cmd = [DRIVE] + (sandbox_user() if IS_ROOT else []) + [
        BUILD, SKILLS, "ARCHILLX_ENABLE_CODE_EXEC=yes",
        "SANDBOX_ALLOW_NO_CGROUP=yes"]
    p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    request = {"inputs": {"code": code, "args": [word], "timeout_s": 8}}
    p.stdin.write(json.dumps(request).encode() + b"\n")
    p.stdin.flush()
    wait_for(lambda: with_word(word), "the program to start")
    with open("/proc/%d/task/%d/children" % (p.pid, p.pid)) as f:
        children = [int(c) for c in f.read().split()]
    launcher = [c for c in children
                if "launcher" in open("/proc/%d/cmdline" % c).read()]
    os.kill(launcher[0], signal.SIGKILL)
    wait_for(lambda: not with_word(word), "the program to end")
    assert p.wait(timeout=10) == 1
    assert not groups_of(p.pid)


@pytest.mark.skipif(not IS_ROOT, reason="needs a control group")
def test_refuses_without_a_cgroup():
    cmd = [DRIVE, "-n"] + sandbox_user() + [
        BUILD, SKILLS, "ARCHILLX_ENABLE_CODE_EXEC=yes"]
    p = subprocess.run(cmd, input=b'{"inputs":{"code":"print(1)"}}\n',
                       stdout=subprocess.PIPE, timeout=60)
    o = json.loads(p.stdout)
    assert o["state"] == "preflight_failed", o
    assert "SANDBOX_ALLOW_NO_CGROUP" in o["error"], o
