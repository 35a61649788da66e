# SPDX-License-Identifier: ISC
"""CHECKPOINT_SINK: checkpoints reach a folder or a command, whatever it does
the service goes on, and a folder's memory is never overwritten."""
import base64
import os
import pwd
import signal
import stat
import subprocess
import time

import pytest

import axlib
from axlib import wait_until


def note(size, origin="test/archillx", root=b"\x07", sig=b"sig"):
    return ("%s\n%d\n%s\n\n\u2014 %s %s\n" % (
        origin, size, base64.b64encode(root * 32).decode(), origin,
        base64.b64encode(b"keyx" + sig).decode())).encode()


# ---- archillx-sink by itself ----

@pytest.fixture
def put(tmp_path):
    exe = os.path.join(axlib.find_build(), "workers", "sink", "archillx-sink")
    d = tmp_path / "sink"
    d.mkdir()

    def run(data, folder=d, **kw):
        return subprocess.run([exe, str(folder)], input=data,
                              capture_output=True, timeout=30, **kw)

    run.dir = d
    return run


def files(d):
    return {str(p.relative_to(d)): p.read_bytes()
            for p in d.rglob("*") if p.is_file()}


@pytest.mark.quick
def test_history_and_newest(put):
    notes = [note(n) for n in (1, 7, 20000)]
    for n in notes:
        r = put(n)
        assert r.returncode == 0 and not r.stderr, r.stderr
    assert files(put.dir) == {
        "checkpoint": notes[2],
        "checkpoints/00000000000000000001": notes[0],
        "checkpoints/00000000000000000007": notes[1],
        "checkpoints/00000000000000020000": notes[2]}
    # the same again changes nothing; signed anew, the first one stays
    before = os.stat(put.dir / "checkpoints/00000000000000020000").st_ino
    assert put(notes[2]).returncode == 0
    assert put(note(20000, sig=b"other")).returncode == 0
    kept = put.dir / "checkpoints/00000000000000020000"
    assert kept.read_bytes() == notes[2] and os.stat(kept).st_ino == before


@pytest.mark.parametrize("what,second,says", [
    ("rolled back", note(5), b"rolled back"),
    ("another root", note(9, root=b"\x08"), b"another root"),
    ("another log", note(12, origin="other/log"), b"another log"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_memory_is_kept(put, what, second, says):
    assert put(note(5, root=b"\x05")).returncode == 0
    assert put(note(9)).returncode == 0
    before = files(put.dir)
    r = put(second)
    assert r.returncode == 1 and says in r.stderr, r.stderr
    assert files(put.dir) == before


@pytest.mark.parametrize("data", [
    b"", b"\n", b"x", note(1)[:-1], b"a\n1\nAAAA\n", note(1) + b"junk\n",
    b"\0" * 100, b"x" * 200000], ids=range(8))
def test_no_checkpoint(put, data):
    r = put(data)
    assert r.returncode == 1 and r.stderr
    assert files(put.dir) == {}


def test_left_over_part(put):
    (put.dir / ".checkpoint.part").write_bytes(b"of a run that was killed")
    assert put(note(3)).returncode == 0
    assert sorted(files(put.dir)) == ["checkpoint",
                                      "checkpoints/00000000000000000003"]


def test_sink_folder_is_strange(put):
    assert put(note(1), folder=put.dir / "none").returncode == 1
    (put.dir / "checkpoint").write_bytes(b"not a checkpoint")
    assert put(note(1)).returncode == 1
    assert (put.dir / "checkpoint").read_bytes() == b"not a checkpoint"


# ---- the daemon ----

def folder(ax, name="sink", mode=0o755):
    d = os.path.join(ax.base, name)
    os.mkdir(d, mode)
    os.chmod(d, mode)
    if axlib.IS_ROOT:
        pw = pwd.getpwnam(axlib.USER_PREFIX + "notary")
        os.chown(d, pw.pw_uid, pw.pw_gid)
    return d


def script(ax, text, name="sink.sh"):
    p = os.path.join(ax.base, name)
    with open(p, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(p, 0o755)
    return p


def make(make_ax, value, **kw):
    """A daemon whose sink is what value(ax) says."""
    ax = make_ax(autostart=False, **kw)
    ax.write_conf(CHECKPOINT_SINK=value(ax))
    ax.start()
    return ax


def act(ax):
    r = ax.invoke("text_stats", {"text": "a b c"})
    assert r.status == 200, r
    return ax.journal()[-1]["seq"]


def newest(path):
    """The size that the checkpoint in a file tells, 0: there is none."""
    try:
        with open(path, "rb") as f:
            return int(f.read().split(b"\n")[1])
    except (OSError, IndexError):
        return 0


def sent(ax):
    return ax.metric("archillx_checkpoint_sink_total")


@pytest.mark.quick
def test_folder(make_ax):
    ax = make(make_ax, folder)
    d = os.path.join(ax.base, "sink")
    for _ in range(2):
        seq = act(ax)
        wait_until(lambda: newest(d + "/checkpoint") >= seq, 30, "the sink")
    assert sent(ax) >= 2
    assert ax.metric("archillx_checkpoint_sink_ok") == 1
    assert ax.log().count("takes the checkpoints") == 1
    s = ax.ctl_json("status")
    assert s["sink"] == d and s["sink_ok"] is True
    # the last one gets there, too, before the service has ended
    act(ax)
    assert ax.stop() == 0
    last = ax.journal()[-1]["seq"]
    assert newest(d + "/checkpoint") == last
    with open(ax.evidence + "/checkpoint", "rb") as f:
        data = f.read()
    for name in ("checkpoint", "checkpoints/%020d" % last):
        with open(os.path.join(d, name), "rb") as f:
            assert f.read() == data
    names = os.listdir(d + "/checkpoints")
    assert all(len(n) == 20 and newest("%s/checkpoints/%s" % (d, n)) == int(n)
               for n in names)


def test_command(make_ax):
    """Its words, its user, its environment, its descriptors."""
    def value(ax):
        out = folder(ax, "out")
        return script(ax, 'exec 3>"$1/new"; id >&3; pwd >&3; env >&3; '
                      'ls /proc/self/fd >&3; echo "args: $2 $3" >&3\n'
                      'grep -E "NoNewPrivs|CapEff|CapBnd" /proc/self/status '
                      '>&3\ncat >"$1/note"; mv "$1/new" "$1/told"\n'
                      ) + " %s  two   words" % out

    ax = make(make_ax, value)
    out = os.path.join(ax.base, "out")
    seq = act(ax)
    wait_until(lambda: newest(out + "/note") >= seq, 30, "the command")
    told = open(out + "/told").read()
    assert "args: two words" in told
    assert "\n/\n" in told
    assert "ADMIN_TOKEN" not in told and "PATH=/" in told
    assert "NoNewPrivs:\t1" in told
    fds = told.split("args:")[0].splitlines()[-6:]
    assert {x for x in fds if x.isdigit()} <= {"0", "1", "2", "3", "4"}
    if axlib.IS_ROOT:
        pw = pwd.getpwnam(axlib.USER_PREFIX + "notary")
        assert "uid=%d" % pw.pw_uid in told and "groups=0" not in told
        assert "CapEff:\t0000000000000000" in told


def test_failing_command(make_ax):
    """The reason is said once; the newest is tried again and arrives."""
    def value(ax):
        out = folder(ax, "out")
        return script(
            ax, 'if [ -e "$1/good" ]; then cat >"$1/note"; exit 0; fi\n'
            'echo "no  luck \033[31m here" >&2; echo more; exit 3\n'
            ) + " " + out

    ax = make(make_ax, value)
    out = os.path.join(ax.base, "out")
    act(ax)
    wait_until(lambda: ax.metric("archillx_checkpoint_sink_failures_total")
               >= 2, 30, "two failures")
    assert ax.metric("archillx_checkpoint_sink_ok") == 0
    assert ax.log().count("did not take a checkpoint") == 1
    assert "HAS NOT TAKEN A CHECKPOINT" in ax.ctl("status").stdout
    assert "no  luck \\x1b[31m here (exit status 3)" in ax.log()
    seq = act(ax)
    open(out + "/good", "w").close()
    wait_until(lambda: newest(out + "/note") >= seq, 30, "the newest")
    wait_until(lambda: ax.metric("archillx_checkpoint_sink_ok") == 1, 30)
    assert ax.log().count("takes the checkpoints") == 1
    # good again, and bad again: each change is said once
    os.unlink(out + "/good")
    act(ax)
    wait_until(lambda: ax.log().count("did not take a checkpoint") == 2, 30)


@pytest.mark.limit(150)
@pytest.mark.heavy
def test_hanging_command(make_ax):
    """Killed after 30 s with what it has started; the service does not care,
    and later checkpoints arrive."""
    def value(ax):
        out = folder(ax, "out")
        return script(
            ax, 'if [ -e "$1/good" ]; then cat >"$1/note"; exit 0; fi\n'
            'trap "" TERM INT HUP\nsleep 1000 & echo $! >"$1/pid"\nwait\n'
            'sleep 1000\n') + " " + out

    ax = make(make_ax, value)
    out = os.path.join(ax.base, "out")
    act(ax)
    wait_until(lambda: os.path.exists(out + "/pid"), 30, "the command")
    child = int(open(out + "/pid").read())
    t0 = time.monotonic()
    for _ in range(20):
        t = time.monotonic()
        act(ax)
        assert ax.get("/v1/live").status == 200
        assert ax.ctl("status").returncode == 0
        assert time.monotonic() - t < 15 * axlib.SLOW
    assert ax.reload().returncode == 0
    sleeping = [p for p in axlib.children(ax.pid)
                if not axlib.exe_name(p).startswith("archillx")]
    assert len(sleeping) == 1
    open(out + "/good", "w").close()
    wait_until(lambda: "has not taken a checkpoint for" in ax.log(), 45)
    assert time.monotonic() - t0 > 20
    wait_until(lambda: not axlib.alive(child), 30, "its child to be killed")
    wait_until(lambda: newest(out + "/note") >= ax.journal()[-1]["seq"], 30,
               "the newest")
    assert ax.metric("archillx_worker_restarts_total") == 0


def test_hanging_at_the_end(make_ax):
    """A stop does not wait long for the sink."""
    ax = make(make_ax, lambda ax: "/bin/sleep 1000", DRAIN_TIMEOUT=60)
    act(ax)
    t = time.monotonic()
    assert ax.stop() == 0
    assert time.monotonic() - t < 30 * axlib.SLOW
    assert "has not taken the last checkpoint" in ax.log()


def test_asked_to_stop_again(make_ax):
    """A second signal ends the wait for the last hand-over at once."""
    ax = make(make_ax, lambda ax: "/bin/sleep 1000", DRAIN_TIMEOUT=60)
    act(ax)
    os.kill(ax.pid, signal.SIGTERM)
    wait_until(lambda: list(ax.procs()) == ["parent"], 30,
               "the workers to end")
    t = time.monotonic()
    os.kill(ax.pid, signal.SIGTERM)
    ax.wait_exit(40)
    assert time.monotonic() - t < 8 * axlib.SLOW
    assert "has not taken the last checkpoint" in ax.log()


def test_reload(make_ax):
    ax = make(make_ax, lambda ax: folder(ax, "one"))
    one, two = os.path.join(ax.base, "one"), folder(ax, "two")
    seq = act(ax)
    wait_until(lambda: newest(one + "/checkpoint") >= seq, 30)
    # a new one gets the newest at once, without news
    ax.write_conf(CHECKPOINT_SINK=two)
    r = ax.reload()
    assert r.returncode == 0 and "CHECKPOINT_SINK" in r.stdout, r.stderr
    wait_until(lambda: newest(two + "/checkpoint") >= seq, 30)
    # none
    ax.write_conf(CHECKPOINT_SINK="")
    assert ax.reload().returncode == 0
    n, seq = sent(ax), act(ax)
    wait_until(lambda: newest(ax.evidence + "/checkpoint") >= seq, 30)
    assert sent(ax) == n and newest(two + "/checkpoint") < seq
    # from one that hangs to one that does not, at once
    ax.write_conf(CHECKPOINT_SINK="/bin/sleep 1000")
    assert ax.reload().returncode == 0
    wait_until(lambda: any(axlib.exe_name(p) == "sleep"
                           for p in axlib.children(ax.pid)), 30)
    ax.write_conf(CHECKPOINT_SINK=two)
    assert ax.reload().returncode == 0
    wait_until(lambda: newest(two + "/checkpoint") >= seq, 15)
    wait_until(lambda: not any(axlib.exe_name(p) == "sleep"
                               for p in axlib.children(ax.pid)), 15)


@pytest.mark.parametrize("value", [
    "relative/path", "/nonexistent", "/nonexistent/command with words",
    "/etc/passwd", "/dev/null", "sh -c true", "/etc/passwd x"])
def test_bad_values(make_ax, value):
    ax = make_ax(autostart=False)
    ax.write_conf(CHECKPOINT_SINK=value)
    line = [i for i, x in enumerate(open(ax.conf).read().splitlines(), 1)
            if x.startswith("CHECKPOINT_SINK=")][0]
    r = subprocess.run([ax.bin, "-n", "-f", ax.conf], capture_output=True,
                       text=True, timeout=30, env=ax.environ())
    assert r.returncode == 1
    assert "%s:%d: CHECKPOINT_SINK:" % (ax.conf, line) in r.stderr, r.stderr


def test_bad_value_on_reload(make_ax):
    ax = make(make_ax, folder)
    ax.write_conf(CHECKPOINT_SINK="/nonexistent")
    r = ax.reload()
    assert r.returncode == 1 and "CHECKPOINT_SINK" in r.stderr
    # one in force that has gone since does not stand in a reload's way
    d = os.path.join(ax.base, "sink")
    ax.write_conf(CHECKPOINT_SINK=d, LOG_LEVEL="DEBUG")
    os.rename(d, d + ".gone")
    assert ax.reload().returncode == 0


@pytest.mark.root
def test_folder_of_another(make_ax):
    """The notary's user may not write there: said once, with the reason."""
    def value(ax):
        d = os.path.join(ax.base, "roots")
        os.mkdir(d, 0o755)
        return d

    ax = make(make_ax, value)
    act(ax)
    wait_until(lambda: "did not take a checkpoint" in ax.log(), 30)
    assert "Permission denied" in ax.log()
    assert stat.S_IMODE(os.stat(ax.base + "/roots").st_mode) == 0o755
    assert os.listdir(ax.base + "/roots") == []


@pytest.mark.root
def test_out_of_reach(make_ax):
    """Though it runs as the notary's user, a command gets neither at the
    notary, which has the key, nor at its files."""
    def value(ax):
        out = folder(ax, "out")
        return script(
            ax, 'exec 3>"$1/new"\n'
            'for f in "$2/log/checkpoint" "$2/checkpoint" "$3/signing.key" '
            '"$3/secrets.key"; do\n'
            '  cat "$f" >/dev/null 2>&1 && echo "read $f" >&3; done\n'
            'for p in /proc/[0-9]*; do\n'
            '  n=$(sed -n "s/^Name:.//p" $p/status 2>/dev/null)\n'
            '  case $n in archillx-notary) ;; *) continue ;; esac\n'
            '  echo "seen $p" >&3\n'
            '  ls $p/fd >/dev/null 2>&1 && echo "fds $p" >&3\n'
            '  cat $p/maps >/dev/null 2>&1 && echo "maps $p" >&3\n'
            '  (exec 4<$p/mem) 2>/dev/null && echo "mem $p" >&3\n'
            'done\nmv "$1/new" "$1/told"\n') + " %s %s %s" % (
                out, ax.evidence, ax.state)

    ax = make(make_ax, value)
    act(ax)
    told = os.path.join(ax.base, "out", "told")
    wait_until(lambda: os.path.exists(told), 30, "the command")
    lines = open(told).read().splitlines()
    assert any(x.startswith("seen /proc/%d" % ax.procs()["notary"][0])
               for x in lines)
    assert [x for x in lines if not x.startswith("seen ")] == []
