# SPDX-License-Identifier: ISC
"""The parent's work: restart with back-off, the shared life of audit, broker,
launcher and files, the restart burst, draining, a second instance, and what
becomes of everything when the parent itself dies."""
import json
import os
import signal
import threading
import time

import pytest

import axlib
from axlib import alive, all_pids, wait_until

AX_SETTINGS = {"HTTP_WORKERS": 2}
SHARED = ("audit", "broker", "launcher", "files")
APART = ("notary", "store", "scheduler", "http")


def kill_and_wait(ax, role, pid=None):
    """SIGKILLs one worker; the new process table once all is back."""
    before = ax.procs()
    pid = pid or before[role][0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), 5, "%s to die" % role)
    want = {r: len(p) for r, p in before.items()}
    wait_until(lambda: {r: len(p) for r, p in ax.procs().items()} == want
               and pid not in all_pids(ax.procs()), 15, "a new " + role)
    ax.wait_ready()
    return before, ax.procs()


def invoke_ok(ax):
    r = ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
    assert r.status == 200 and r.json()["success"], r
    return r


@pytest.mark.quick
@pytest.mark.parametrize("role", SHARED)
def test_shared_life(ax, role):
    """One of the four dies: all four are replaced, nobody else is."""
    before, after = kill_and_wait(ax, role)
    for r in SHARED:
        assert set(before[r]).isdisjoint(after[r]), r + " survived"
    for r in APART + ("parent",):
        assert before[r] == after[r], r + " was replaced"
    invoke_ok(ax)


@pytest.mark.quick
@pytest.mark.parametrize("role", APART)
def test_lives_apart(ax, role):
    before, after = kill_and_wait(ax, role)
    assert before[role] != after[role]
    for r in before:
        if r != role:
            assert before[r] == after[r], r + " was replaced"
    invoke_ok(ax)


def test_other_front_answers_meanwhile(ax):
    """A dead http worker takes only its own connections with it."""
    bad, done = [], threading.Event()

    def ask():
        while not done.is_set():
            try:
                if ax.get("/v1/live", timeout=3).status != 200:
                    bad.append("status")
            except (ConnectionResetError, ConnectionAbortedError,
                    axlib.http.client.HTTPException):
                bad.append("reset")
            except OSError as e:
                bad.append(repr(e))

    t = threading.Thread(target=ask)
    t.start()
    try:
        kill_and_wait(ax, "http")
    finally:
        done.set()
        t.join()
    # at most the request it was answering when it died; none hangs
    assert len(bad) <= 2 and set(bad) <= {"reset"}, bad


def test_reads_go_on_while_audit_is_away(ax):
    """Fronts answer reads and refuse actions while the shared life is new."""
    ax.wait_projected()
    seen = {}
    os.kill(ax.procs()["audit"][0], signal.SIGKILL)
    end = time.monotonic() + 3 * axlib.SLOW
    while time.monotonic() < end:
        r = ax.get("/v1/audit?limit=1", token=ax.api_key)
        assert r.status == 200, r
        r = ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
        seen[r.status] = seen.get(r.status, 0) + 1
        if r.status == 503:
            assert r.code == "AUDIT_UNAVAILABLE", r
            assert "retry-after" in r.headers
        if r.status == 500:
            assert r.code == "RUN_INTERRUPTED", r
        if seen.get(200) and seen.get(503):
            break
    # A request that a dying process had taken may have run.
    assert seen.pop(500, 0) <= 1 and set(seen) <= {200, 503}, seen
    ax.wait_ready()
    invoke_ok(ax)


@pytest.mark.parametrize("role", SHARED)
def test_a_cut_run_is_recorded_as_interrupted(ax, role):
    rid = "cut-%s-%d" % (role, time.monotonic_ns())
    answer = {}

    def run():
        answer["r"] = ax.invoke(
            "code_exec", {"code": "import time; time.sleep(6)",
                          "timeout_s": 7}, headers={"X-Request-Id": rid})

    t = threading.Thread(target=run)
    t.start()

    def started():
        return [r for r in ax.journal() if r["request_id"] == rid]

    wait_until(started, 10, "the run's decision")
    wait_until(lambda: axlib.descendants(ax.procs()["launcher"][0]), 10,
               "the sandbox")
    kill_and_wait(ax, role)
    t.join(20)
    assert not t.is_alive()
    assert answer["r"].status >= 500, answer["r"]
    rows = wait_until(lambda: [r for r in started()
                               if r["kind"] == "outcome"], 10,
                      "its outcome")
    assert len(rows) == 1
    assert "interrupted" in json.dumps(rows[0])
    permit = rows[0]["permit"]
    assert [r["kind"] for r in ax.journal() if r["permit"] == permit] == \
        ["decision", "outcome"]


def test_no_sandbox_survives_its_launcher(ax):
    t = threading.Thread(target=lambda: ax.invoke(
        "code_exec", {"code": "import time; time.sleep(6)", "timeout_s": 7}))
    t.start()
    inside = wait_until(
        lambda: axlib.descendants(ax.procs()["launcher"][0]), 10,
        "the sandbox")
    kill_and_wait(ax, "launcher")
    t.join()
    assert not [p for p in inside if alive(p)]


def test_no_zombies(ax):
    for role in ("store", "audit"):
        kill_and_wait(ax, role)
    z = [p for p in axlib.children(ax.pid) if not alive(p)]
    assert z == []


def test_a_stopped_worker_delays_nobody_else(ax):
    """SIGSTOP on the store: the front still answers what needs no store."""
    pid = ax.procs()["store"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert ax.get("/v1/live", timeout=3).status == 200
        invoke_ok(ax)
    finally:
        os.kill(pid, signal.SIGCONT)
    ax.wait_projected()


# ---- daemons of their own ----

def test_restart_burst_ends_the_service(make_ax):
    ax = make_ax(RESTART_BURST=2, RESTART_DELAY_MAX=1)
    for _ in range(2):
        procs = ax.procs()
        if "store" not in procs:
            procs = wait_until(lambda: "store" in ax.procs() and ax.procs(),
                               10, "the store")
        os.kill(procs["store"][0], signal.SIGKILL)
        wait_until(lambda: not ax.running() or
                   ax.procs().get("store", procs["store"]) != procs["store"],
                   10, "the parent's answer")
    assert ax.wait_exit(20) == 70
    assert "store" in ax.log_tail()


def test_http_workers_never_end_the_service(make_ax):
    ax = make_ax(RESTART_BURST=2, RESTART_DELAY_MAX=1)
    for _ in range(5):
        pid = wait_until(lambda: ax.procs().get("http"), 10, "a front")[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), 5, "it to die")
    ax.wait_ready()


def test_back_off_doubles_to_its_ceiling(make_ax):
    ax = make_ax(RESTART_BURST=0, RESTART_DELAY_MAX=2)
    gaps = []
    for _ in range(5):
        pid = wait_until(lambda: ax.procs().get("store"), 10, "a store")[0]
        t = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ax.procs().get("store", [pid]) != [pid], 10,
                   "a new store", interval=0.005)
        gaps.append(time.monotonic() - t)
    assert gaps[0] < 1.0, gaps
    assert gaps[-1] > gaps[0] * 1.5, gaps
    assert max(gaps) < 2.0 * 1.5 + 1, gaps


def test_sigterm_drains(make_ax):
    """A run in flight is answered and recorded; then all ends, status 0."""
    ax = make_ax(DRAIN_TIMEOUT=10)
    got = {}

    def run():
        got["r"] = ax.invoke("code_exec", {
            "code": "import time; time.sleep(1.5); print('done')",
            "timeout_s": 5})

    t = threading.Thread(target=run)
    t.start()
    wait_until(lambda: axlib.descendants(ax.procs()["launcher"][0]), 10,
               "the sandbox")
    pids = all_pids(ax.procs())
    os.kill(ax.pid, signal.SIGTERM)
    t.join(20)
    assert got["r"].status == 200, got
    assert got["r"].json()["output"]["stdout"] == "done\n"
    assert ax.wait_exit(15) == 0
    assert not [p for p in pids if alive(p)]
    kinds = [r["kind"] for r in ax.journal() if r["permit"]]
    assert kinds.count("decision") == kinds.count("outcome") == 1


def test_sigterm_refuses_new_work(make_ax):
    ax = make_ax(DRAIN_TIMEOUT=5)
    t = threading.Thread(target=lambda: ax.invoke("code_exec", {
        "code": "import time; time.sleep(2)", "timeout_s": 5}))
    t.start()
    wait_until(lambda: axlib.descendants(ax.procs()["launcher"][0]), 10,
               "the sandbox")
    os.kill(ax.pid, signal.SIGTERM)

    def refused():
        try:
            return ax.invoke("file_ops", {"operation": "exists",
                                          "path": ax.files}).status == 503
        except OSError:
            return True
    wait_until(refused, 3, "refusal of new work")
    t.join()
    assert ax.wait_exit(15) == 0


def test_drain_has_a_bound(make_ax):
    """DRAIN_TIMEOUT ends runs that go on: recorded as cut."""
    ax = make_ax(DRAIN_TIMEOUT=1)

    def run():
        try:
            ax.invoke("code_exec", {"code": "import time; time.sleep(7)",
                                    "timeout_s": 8})
        except (OSError, axlib.http.client.HTTPException):
            pass

    t = threading.Thread(target=run)
    t.start()
    wait_until(lambda: axlib.descendants(ax.procs()["launcher"][0]), 10,
               "the sandbox")
    t0 = time.monotonic()
    os.kill(ax.pid, signal.SIGTERM)
    ax.wait_exit(10)
    assert time.monotonic() - t0 < 5 * axlib.SLOW
    t.join()
    ax.proc = None
    ax.start()
    by = {}
    for r in ax.journal():
        if r["permit"]:
            by.setdefault(r["permit"], []).append(r["kind"])
    assert all(k == ["decision", "outcome"] for k in by.values()), by


@pytest.mark.quick
def test_workers_die_with_their_parent(make_ax):
    ax = make_ax()
    invoke_ok(ax)
    pids = [p for r, v in ax.procs().items() if r != "parent" for p in v]
    os.kill(ax.pid, signal.SIGKILL)
    ax.proc.wait()
    ax.proc = None
    wait_until(lambda: not [p for p in pids if alive(p)], 5,
               "workers to die with their parent")
    ax.start()
    invoke_ok(ax)


def test_start_right_after_the_parent_was_killed(make_ax):
    """Its orphans may still hold the evidence: the new one waits for them."""
    ax = make_ax()
    for _ in range(5):
        invoke_ok(ax)
        os.kill(ax.pid, signal.SIGKILL)
        ax.proc.wait()
        ax.proc = None
        ax.start()
    seqs = [r["seq"] for r in ax.journal()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_one_evidence_one_service(make_ax):
    """A second service on the same evidence never writes into it."""
    a = make_ax()
    b = make_ax(dirs={"evidence": a.evidence}, autostart=False)
    b.start(ready=False)
    # it may wait or end, but it may not become ready
    t_end = time.monotonic() + 3
    while time.monotonic() < t_end and b.running():
        try:
            assert b.get("/v1/ready").status != 200
            r = b.invoke("file_ops", {"operation": "exists",
                                      "path": b.files})
            assert r.status == 503
        except OSError:
            pass
        time.sleep(0.1)
    invoke_ok(a)
    b.kill()
    invoke_ok(a)
    seqs = [r["seq"] for r in a.journal()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_two_instances_side_by_side(make_ax):
    a, b = make_ax(), make_ax()
    invoke_ok(a)
    invoke_ok(b)
    a.stop()
    invoke_ok(b)
    b.stop()


def test_taken_port_is_a_clear_error(make_ax):
    a = make_ax()
    b = make_ax(PORT=a.port, autostart=False)
    b.start(ready=False)
    assert b.wait_exit(10) == 1
    assert str(a.port) in b.log()
    invoke_ok(a)


@pytest.mark.skipif(not axlib.IS_ROOT, reason="needs root")
def test_not_root(make_ax, tmp_path):
    """A developer's checkout: uids and chroot given up, said so, the rest
    kept."""
    ax = make_ax(autostart=False, migrate=False)
    for top in (ax.base, ax.files, ax.state):
        os.chown(top, 65534, 65534)
        for name in os.listdir(top):
            os.chown(os.path.join(top, name), 65534, 65534)
    ax.wrap = ["setpriv", "--reuid=65534", "--regid=65534",
               "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    open(ax.log_path, "w").close()
    ax.write_conf(SANDBOX_ALLOW_NO_CGROUP="yes")
    os.chown(ax.conf, 65534, 65534)
    import subprocess
    r = subprocess.run(ax.wrap + [ax.ctl_bin, "-f", ax.conf, "migrate",
                                  "upgrade", "head"], capture_output=True,
                       text=True, env=ax.environ())
    assert r.returncode == 0, r.stderr
    ax.start()
    for role, pids in ax.procs().items():
        st = axlib.proc_status(pids[0])
        assert st["Uid"].split()[0] == "65534", role
        if role != "parent" and not axlib.build_has(ax.build,
                                                    "AX_SANITIZERS"):
            assert st["NoNewPrivs"].strip() == "1"
            assert st["Seccomp"].strip() == "2", role
    invoke_ok(ax)
    assert "root" in ax.log()
