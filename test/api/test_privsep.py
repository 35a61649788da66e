# SPDX-License-Identifier: ISC
"""Promises P2 and P3: who is what, who holds what, who can talk to whom.

Everything is read from outside, from /proc and UNIX_DIAG, of the running
processes, and compared with the tables here; docs/PRIVSEP.md says the same in
words.  What landlock denies does not show in /proc: a test build
(--enable-probe, $AX_FAULT_BUILD) makes every worker try it.
"""
import errno
import json
import os
import re
import stat

import pytest

import axlib
import sockdiag

pytestmark = [pytest.mark.root, pytest.mark.quick]
AX_SETTINGS = {"HTTP_WORKERS": 2}

WORKERS = ("http", "audit", "notary", "files", "store", "scheduler", "broker",
           "launcher")
# The whole list of channels (ARCHITECTURE section 3).
CHANNELS = {
    ("audit", "http"), ("http", "store"), ("audit", "scheduler"),
    ("audit", "broker"), ("broker", "launcher"), ("audit", "files"),
    ("audit", "store"), ("audit", "notary"),
}
# The caps of /proc that must all be empty.
CAPS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def all_ready(ax):
    r = ax.ctl("--json", "status")
    return r.returncode == 0 and json.loads(r.stdout)["ready"]


def each_worker(ax):
    """Of the finished service: one front may answer while another starts."""
    axlib.wait_until(lambda: all_ready(ax), 20, "every worker")
    procs = ax.procs()
    assert set(procs) == set(WORKERS) | {"parent"}, procs
    for role in WORKERS:
        for pid in procs[role]:
            yield role, pid


def unsanitized(ax):
    if axlib.build_has(ax.build, "AX_SANITIZERS"):
        pytest.skip("sanitizers need system calls that the filter denies")


def test_every_worker_runs_once(ax):
    n = {r: len(p) for r, p in ax.procs().items()}
    assert n == {"parent": 1, "http": 2, "audit": 1, "files": 1, "store": 1,
                 "notary": 1, "scheduler": 1, "broker": 1, "launcher": 1}


def test_uids_gids_groups(ax):
    seen = set()
    for role, pid in each_worker(ax):
        pw = axlib.user_exists(role)
        assert pw, "no service user for " + role
        st = axlib.proc_status(pid)
        assert st["Uid"].split() == [str(pw.pw_uid)] * 4, role
        assert st["Gid"].split() == [str(pw.pw_gid)] * 4, role
        assert st["Groups"].split() in ([], [str(pw.pw_gid)]), role
        if role != "http":
            assert pw.pw_uid not in seen, role + " shares its uid"
        seen.add(pw.pw_uid)
    assert 0 not in seen


def test_capabilities(ax):
    for role, pid in each_worker(ax):
        st = axlib.proc_status(pid)
        for c in CAPS:
            assert int(st[c], 16) == 0, (role, c, st[c])


def test_no_new_privs_and_seccomp(ax):
    unsanitized(ax)
    for role, pid in each_worker(ax):
        st = axlib.proc_status(pid)
        assert st["NoNewPrivs"].strip() == "1", role
        assert st["Seccomp"].strip() == "2", role
    # no filter that children would inherit: sandboxes need to mount
    assert axlib.proc_status(ax.pid)["Seccomp"].strip() == "0"


def test_not_dumpable(ax):
    """PR_SET_DUMPABLE 0 gives the files of /proc/PID to root."""
    for role, pid in each_worker(ax):
        assert os.stat("/proc/%d/environ" % pid).st_uid == 0, role


def test_limits(ax):
    for role, pid in each_worker(ax):
        with open("/proc/%d/limits" % pid) as f:
            text = f.read()
        core = re.search(r"Max core file size\s+(\S+)\s+(\S+)", text)
        assert core.groups() == ("0", "0"), role
        n = re.search(r"Max open files\s+(\d+)", text)
        assert n and int(n.group(1)) < 70000, role
        if role != "launcher" and not axlib.build_has(ax.build,
                                                      "AX_SANITIZERS"):
            p = re.search(r"Max processes\s+(\S+)\s+(\S+)", text)
            assert p.groups() == ("0", "0"), role


def test_roots(ax):
    want = {"audit": ax.evidence, "files": ax.files, "launcher": "/",
            "notary": os.path.join(ax.evidence, "log")}
    for role, pid in each_worker(ax):
        root = os.readlink("/proc/%d/root" % pid)
        if role in want:
            assert root == want[role], role
        elif role == "store":
            assert root == "/" or root.startswith(ax.state), root
            assert root != "/", "store sees the whole machine"
        else:
            assert root != "/", role + " sees the whole machine"
            assert os.listdir("/proc/%d/root/" % pid) == [], role
            st = os.stat("/proc/%d/root/" % pid)
            assert st.st_uid == 0 and st.st_mode & 0o022 == 0, \
                role + " could write to its root"
        cwd = os.readlink("/proc/%d/cwd" % pid)
        assert cwd == root, (role, cwd)


def test_environment_is_empty_of_secrets(ax):
    for role, pid in each_worker(ax):
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            args = f.read()
        with open("/proc/%d/environ" % pid, "rb") as f:
            env = f.read()
        for secret in (ax.admin_token, ax.api_key):
            assert secret.encode() not in args + env, role


# ---- sockets ----

def test_channels_are_the_whole_list(ax):
    """Pairs every unix socket of every process with its peer."""
    owner = {}  # inode -> (role, instance pid)
    procs = ax.procs()
    for role, pids in procs.items():
        for pid in pids:
            for fd, ino in sockdiag.socket_inodes(pid).items():
                owner.setdefault(ino, set()).add((role, pid))
    diag = sockdiag.unix_sockets()
    pairs, strange = set(), []
    for ino, holders in owner.items():
        s = diag.get(ino)
        if s is None:
            continue  # not a unix socket
        if s.listening:
            assert s.name == ax.sock, s.name
            assert holders == {("parent", ax.pid)}
            continue
        assert len(holders) == 1, "a channel end that two hold: %s" % holders
        assert s.kind == "seqpacket" or not s.peer, (holders, s.kind)
        if s.peer not in owner:
            strange.append((holders, s.name, s.kind))
            continue
        (a,), (b,) = holders, owner[s.peer]
        pairs.add(tuple(sorted((a, b))))
    assert not strange, "sockets with an unknown other end: %s" % strange
    want = set()
    for r, s in CHANNELS:
        for p in procs[r]:
            for q in procs[s]:
                want.add(tuple(sorted(((r, p), (s, q)))))
    for role in WORKERS:
        for pid in procs[role]:
            want.add(tuple(sorted((("parent", ax.pid), (role, pid)))))
    assert pairs == want, "too many: %s, missing: %s" % (pairs - want,
                                                         want - pairs)


def test_only_the_front_listens(ax):
    procs = ax.procs()
    for role, pid in each_worker(ax):
        tcp = sockdiag.listening_tcp(pid)
        if role == "http":
            assert list(tcp.values()) == [("127.0.0.1", ax.port)]
        else:
            assert tcp == {}, role
    a, b = (set(sockdiag.listening_tcp(p)) for p in procs["http"])
    assert a == b, "the front's workers do not share one listening socket"


# ---- descriptors ----

# What a worker may hold besides its channels: pattern -> how many at most.
# 0-2 and 3 (the parent) are checked apart.
# The pipe is libevent's, both ends of it its own.
ANY = {r"anon_inode:\[eventpoll\]": 1, r"pipe:\[\d+\]": 2}


def holds(ax, role):
    """pattern -> most of them, of this role beyond ANY."""
    ev, st = re.escape(ax.evidence), re.escape(ax.state)
    return {
        # slots and the rate table are mapped, not held
        "http": {},
        "audit": {ev: 1, ev + r"/security_audit\.jsonl": 1,
                  ev + r"/\.lock": 1},
        "files": {re.escape(ax.files): 1, ev + r"/\.lock": 1},
        "store": {st + r"/db/archillx\.db(-wal|-shm)?": 3,
                  ev + r"/security_audit\.jsonl": 1, ev + "/log": 1},
        "notary": {ev + "/log": 1, ev + r"/log/\.lock": 1,
                   ev + r"/security_audit\.jsonl": 1},
        "scheduler": {},
        "broker": {ev + r"/\.lock": 1},
        "launcher": {ev + r"/\.lock": 1, r"/sys/fs/cgroup/.*": 3},
    }[role]


def test_descriptors(ax):
    """The complete list of each worker, nothing left over."""
    diag = sockdiag.unix_sockets()
    for role, pid in each_worker(ax):
        fds = axlib.proc_fds(pid)
        inodes = sockdiag.socket_inodes(pid)
        listen = sockdiag.listening_tcp(pid)
        allowed = dict(ANY)
        allowed.update(holds(ax, role))
        count = {}
        assert 3 in inodes and inodes[3] in diag, role
        for fd, target in sorted(fds.items()):
            if fd < 3:
                assert target in ("/dev/null", ax.log_path), (role, fd,
                                                              target)
                continue
            if fd in inodes:
                assert inodes[fd] in diag or inodes[fd] in listen or \
                    role == "http", (role, fd, target)
                continue
            for pat in allowed:
                if re.fullmatch(pat, target):
                    count[pat] = count.get(pat, 0) + 1
                    assert count[pat] <= allowed[pat], (role, fd, target,
                                                        fds)
                    break
            else:
                pytest.fail("%s holds %d -> %s" % (role, fd, target))
        pipes = {t for t in fds.values() if t.startswith("pipe:")}
        assert len(pipes) <= 1, "%s shares a pipe: %s" % (role, pipes)


def access_mode(pid, fd):
    with open("/proc/%d/fdinfo/%d" % (pid, fd)) as f:
        flags = int(re.search(r"flags:\s+(\d+)", f.read()).group(1), 8)
    return flags & os.O_ACCMODE, flags


def test_who_can_write_the_journal(ax):
    """Audit alone holds the journal for writing, store and notary read."""
    for role, pid in each_worker(ax):
        for fd, target in axlib.proc_fds(pid).items():
            if not target.endswith(".jsonl"):
                continue
            mode, _ = access_mode(pid, fd)
            assert role in ("audit", "store", "notary"), role
            if role != "audit":
                assert mode == os.O_RDONLY
    st = os.stat(os.path.join(ax.evidence, "security_audit.jsonl"))
    assert st.st_uid == axlib.user_exists("audit").pw_uid
    assert st.st_mode & 0o077 == 0, oct(st.st_mode)


def test_mappings_of_the_front(ax):
    """Shared memory: its own slot and the rate table for writing, others'
    slots for reading; nobody maps anything writable and executable."""
    for role, pid in each_worker(ax):
        rw, ro, wx = 0, 0, []
        with open("/proc/%d/maps" % pid) as f:
            for line in f:
                perms = line.split()[1]
                if "w" in perms and "x" in perms:
                    wx.append(line)
                if "memfd:" in line and perms[3] == "s":
                    if "w" in perms:
                        rw += 1
                    else:
                        ro += 1
        if not axlib.build_has(ax.build, "AX_SANITIZERS"):
            assert not wx, (role, wx)
        if role == "http":
            assert rw <= 2, "the front maps %d shared areas to write" % rw
            assert ro >= len(WORKERS), "the front sees %d slots" % ro
        else:
            assert rw <= 1, (role, rw)


def test_secret_files_are_private(ax):
    """Tiles and checkpoints are read by the store too, behind a folder that
    only audit may enter."""
    assert os.stat(ax.evidence).st_mode & 0o077 == 0
    log = os.path.join(ax.evidence, "log")
    for top in (ax.evidence, ax.state):
        for d, _, names in os.walk(top):
            if d == log or d.startswith(log + "/"):
                continue
            for n in names:
                st = os.lstat(os.path.join(d, n))
                if stat.S_ISLNK(st.st_mode):  # into log/, made by the parent
                    assert os.readlink(os.path.join(d, n)).startswith("log/")
                    continue
                assert st.st_mode & 0o007 == 0, (d, n, oct(st.st_mode))


# ---- what landlock and the filter deny ----

# Attempts that may succeed: the thing lies inside what the role is for.
MAY = {
    "audit": {"open_root"},     # its root is the evidence folder
    "files": {"open_root"},     # its root is its first file root
    "store": {"open_root"},     # its root is its database's folder
    "notary": {"open_root"},    # its root is EVIDENCE_DIR/log
    # sees / and makes namespaces for the sandboxes; everything else is refused
    "launcher": {"open_root", "open_passwd", "unshare_net", "create_file"},
}
ATTEMPTS = {"open_root", "open_passwd", "create_file", "connect_tcp",
            "connect_unix", "mount", "chroot", "setuid", "kill_parent",
            "unshare_net"}


@pytest.mark.heavy
@pytest.mark.parametrize("mode", ["errno", "off"])
def test_probe(make_ax, mode):
    build = axlib.test_build("AX_PROBE")
    ax = make_ax(build=build, CONFINEMENT=mode)
    answer = ax.ctl_json("probe")
    got = answer.get("workers", answer)
    rows = got.items() if isinstance(got, dict) else \
        [(r["role"], r["probe"]) for r in got]
    rows = [(re.sub(r"[ /.-]?\d+$", "", k), v) for k, v in rows]
    assert {k for k, _ in rows} == set(WORKERS), answer
    for role, tries in rows:
        assert set(tries) == ATTEMPTS, role
        for what, err in tries.items():
            if what in MAY.get(role, ()):
                continue
            assert err != 0, "%s could do %s (CONFINEMENT=%s)" % (
                role, what, mode)
            assert err in (errno.EPERM, errno.EACCES, errno.ENOSYS,
                           errno.ENOENT, errno.EXDEV), (role, what, err)
    assert not os.path.exists("/tmp/archillx-probe") or \
        "create_file" in MAY["launcher"]
    if os.path.exists("/tmp/archillx-probe"):
        os.unlink("/tmp/archillx-probe")
