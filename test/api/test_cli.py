# SPDX-License-Identifier: ISC
"""The command lines that scripts and operators rely on."""
import json
import os
import subprocess
import time

import pytest

import axlib

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def conf(tmp_path):
    """check(text, *arguments): archillxd -n over a configuration file."""
    build = axlib.find_build()
    path = tmp_path / "archillx.conf"
    base = ("EVIDENCE_DIR=%s/e\nSTATE_DIR=%s/s\nRUN_DIR=%s/r\n"
            "SKILLS_DIR=%s/etc/skills.d\nGOVERNOR_DIR=%s/etc/governor.d\n"
            "ADMIN_TOKEN=adm-%s\nAPI_KEY=key-%s\nAUDIT_SIGNING=off\n"
            % (tmp_path, tmp_path, tmp_path, axlib.SRC, axlib.SRC, SECRET,
               SECRET))

    def check(text, *args, base=base, env=None):
        mine = {x.split("=")[0] for x in text.splitlines()}
        base = "".join(x + "\n" for x in base.splitlines()
                       if x.split("=")[0] not in mine)
        path.write_text(base + text)
        os.chmod(path, 0o600)
        r = subprocess.run(
            [axlib.find_program(build, "archillxd"), "-n", "-f", str(path)]
            + list(args), capture_output=True, text=True, timeout=20,
            env={"PATH": "/usr/bin:/bin", **(env or {})}, cwd="/")
        r.line = base.count("\n") + 1
        r.path = str(path)
        return r

    return check


@pytest.mark.quick
def test_good_configuration(conf):
    r = conf("PORT=8123\n# a comment\n\nLOG_LEVEL=DEBUG\n")
    assert r.returncode == 0, r.stderr


BAD = {
    "unknown key": "NO_SUCH_SETTING=1",
    "no equals sign": "PORT",
    "empty name": "=1",
    "not a number": "PORT=eighty",
    "number with junk": "PORT=80x",
    "number too big": "PORT=70000",
    "number below minimum": "HTTP_WORKERS=0",
    "number past 64 bits": "PORT=99999999999999999999999",
    "negative": "RESTART_BURST=-1",
    "bad enum": "GOVERNOR_MODE=hardblock",
    "enum in the wrong place": "DB_TYPE=oracle",
    "bad boolean": "ENABLE_SKILL_ACL=perhaps",
    "bad size": "HTTP_MAX_BODY=12Q",
    "size too big": "HTTP_MAX_BODY=999G",
    "unterminated quote": 'HOST="127.0.0.1',
    "weak secret": "ADMIN_TOKEN=secret",
    "backend typo": "ARCHILLX_SANDBOX_BACKEND=proces",
    "auth typo": "AUTH=none",
    "thresholds crossed": "RISK_WARN_THRESHOLD=95",
    "set twice": "PORT=1\nPORT=2",
    "control byte": "NODE_NAME=a\x01b",
    "invalid utf-8": "NODE_NAME=\udcff",
}


@pytest.mark.quick
@pytest.mark.parametrize("what", sorted(BAD))
def test_bad_line(conf, what, tmp_path):
    text = BAD[what]
    if "\udcff" in text:
        r = conf("")
        with open(r.path, "ab") as f:
            f.write(b"NODE_NAME=\xff\xfe\n")
        r2 = subprocess.run(
            [axlib.find_program(axlib.find_build(), "archillxd"), "-n", "-f",
             r.path], capture_output=True, text=True, errors="replace",
            timeout=20)
        r2.line, r2.path = r.line, r.path
        r = r2
    else:
        r = conf(text + "\n")
    r.line += text.count("\n")
    assert r.returncode == 1, (r.stdout, r.stderr)
    # the place; a crossed pair has no line of its own to blame
    if what == "thresholds crossed":
        assert "RISK_WARN_THRESHOLD" in r.stderr
    else:
        assert "%s:%d:" % (r.path, r.line) in r.stderr, r.stderr
    if what == "weak secret":  # a value is no part of the message
        assert "=secret" not in r.stderr and '"secret"' not in r.stderr


def test_every_error_is_reported(conf):
    r = conf("PORT=x\nNOPE=1\nAUTH=y\n")
    assert r.returncode == 1
    for i in range(3):
        assert "%s:%d:" % (r.path, r.line + i) in r.stderr


def test_missing_file():
    r = subprocess.run(
        [axlib.find_program(axlib.find_build(), "archillxd"), "-n", "-f",
         "/nonexistent/archillx.conf"], capture_output=True, text=True)
    assert r.returncode == 1
    assert "/nonexistent/archillx.conf" in r.stderr


def test_missing_credentials(conf, tmp_path):
    base = ("EVIDENCE_DIR=%s/e\nSTATE_DIR=%s/s\nRUN_DIR=%s/r\n"
            "AUDIT_SIGNING=off\n" % ((tmp_path,) * 3))
    assert conf("", base=base).returncode == 1
    assert conf("AUTH=off\n", base=base).returncode == 0


def test_override(conf):
    assert conf("PORT=70000\n").returncode == 1
    r = conf("", "-D", "PORT=70000")
    assert r.returncode == 1 and "PORT" in r.stderr
    assert conf("", "-D", "PORT=1", "-D", "PORT=2").returncode == 0
    # the last one wins, and it is the last one that is judged
    assert conf("", "-D", "HTTP_WORKERS=2", "-D", "PORT=x").returncode == 1
    assert conf("", "-D", "NO_SUCH=1").returncode == 1


def test_environment_is_read_after_the_file(conf):
    r = conf("PORT=1\n", env={"PORT": "notanumber"})
    assert r.returncode == 1 and "environment" in r.stderr


def test_conf_d(conf, tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-a.conf").write_text("PORT=1\n")
    (tmp_path / "conf.d" / "20-b.conf").write_text("\nPORT=x\n")
    (tmp_path / "conf.d" / "ignored.txt").write_text("PORT=y\n")
    r = conf("")
    assert r.returncode == 1
    assert "20-b.conf:2:" in r.stderr and "ignored" not in r.stderr


def test_broken_manifest_and_rules(conf, tmp_path):
    """-n reads what the service would read."""
    for key, name in (("SKILLS_DIR", "skills"), ("GOVERNOR_DIR", "rules")):
        d = tmp_path / name
        d.mkdir()
        (d / "10-x.json").write_text("{ not json")
        r = conf("%s=%s\n" % (key, d))
        assert r.returncode == 1, key
        assert "10-x.json" in r.stderr, r.stderr


def test_n_changes_nothing(conf, tmp_path):
    assert conf("").returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["archillx.conf"]


def test_daemon_usage(conf):
    b = axlib.find_program(axlib.find_build(), "archillxd")
    r = subprocess.run([b, "-Z"], capture_output=True, text=True)
    assert r.returncode == 2 and "usage" in r.stderr
    r = subprocess.run([b, "-n", "-D"], capture_output=True, text=True)
    assert r.returncode == 2


def test_worker_by_hand():
    """A worker says what it is instead of doing something."""
    build = axlib.find_build()
    import glob
    progs = [p for p in glob.glob(build + "/workers/*/archillx-*")
             if os.access(p, os.X_OK) and "." not in os.path.basename(p)
             and not p.endswith("-runner")]  # started inside the sandbox
    assert len(progs) >= 7
    for p in progs:
        r = subprocess.run([p], capture_output=True, text=True, timeout=10,
                           stdin=subprocess.DEVNULL)
        assert r.returncode == 2, p
        assert "archillxd" in r.stderr


# ---- archillxctl ----

@pytest.mark.quick
def test_status(ax):
    r = ax.ctl("status")
    assert r.returncode == 0, r.stderr
    s = ax.ctl_json("status")
    text = json.dumps(s)
    for role in ("audit", "store", "files", "launcher", "broker",
                 "scheduler", "http"):
        assert role in r.stdout and role in text
    assert str(ax.pid) in text


def test_version(ax):
    r = ax.ctl("version")
    assert r.returncode == 0 and r.stdout.strip()
    assert isinstance(ax.ctl_json("version"), dict)


def test_help(ax):
    r = ax.ctl("--help")
    assert r.returncode == 0
    for word in ("status", "reload", "stop", "config", "migrate", "key"):
        assert word in r.stdout, word


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["status", "extra"], ["config"], ["config", "nonsense"],
    ["--nonsense"], ["migrate"], ["migrate", "sideways"],
])
def test_usage_is_2(ax, args):
    r = ax.ctl(*args)
    assert r.returncode == 2, (r.returncode, r.stdout, r.stderr)
    assert r.stderr


@pytest.mark.parametrize("args", [["status"], ["reload"], ["stop"],
                                  ["version"]])
def test_not_reachable_is_3(ax, args):
    r = ax.ctl(*args, sock=ax.base + "/nobody.sock", conf=False)
    if args == ["version"] and r.returncode == 0:
        return  # knows its own
    assert r.returncode == 3, (r.returncode, r.stderr)
    assert "nobody.sock" in r.stderr


def test_socket_from_the_environment(ax):
    r = subprocess.run([ax.ctl_bin, "status"], capture_output=True, text=True,
                       env={**ax.environ(), "ARCHILLX_SOCKET": ax.sock})
    assert r.returncode == 0, r.stderr
    r = subprocess.run([ax.ctl_bin, "-s", ax.base + "/x", "status"],
                       capture_output=True, text=True,
                       env={**ax.environ(), "ARCHILLX_SOCKET": ax.sock})
    assert r.returncode == 3


def test_config_show_masks_secrets(ax):
    r = ax.ctl("config", "show")
    assert r.returncode == 0, r.stderr
    for s in (ax.admin_token, ax.api_key):
        assert s not in r.stdout + r.stderr
    assert "ADMIN_TOKEN" in r.stdout and "GOVERNOR_MODE" in r.stdout
    j = json.dumps(ax.ctl_json("config", "show"))
    assert ax.admin_token not in j and "GOVERNOR_MODE" in j


def test_config_show_tells_where_from(ax):
    r = ax.ctl("config", "show")
    line = [x for x in r.stdout.splitlines() if "RESTART_BURST" in x]
    assert line and "archillx.conf" in line[0]


def test_override_reaches_the_service(make_ax):
    ax = make_ax(autostart=False)
    ax.start(args=["-D", "GOVERNOR_MODE=audit_only",
                   "-D", "GOVERNOR_MODE=hard_block"])
    r = ax.get("/v1/governor/config", token=ax.api_key)
    assert r.json()["mode"] == "hard_block"
    # an override outlives a reload
    assert ax.reload().returncode == 0
    r = ax.get("/v1/governor/config", token=ax.api_key)
    assert r.json()["mode"] == "hard_block"


@pytest.mark.quick
def test_reload(make_ax):
    ax = make_ax()

    def mode():
        return ax.get("/v1/governor/config", token=ax.api_key).json()["mode"]

    assert mode() == "soft_block"
    ax.write_conf(GOVERNOR_MODE="hard_block")
    r = ax.reload()
    assert r.returncode == 0, r.stderr
    assert mode() == "hard_block"
    # a bad one changes nothing, not even its good lines
    pids = ax.procs()
    ax.write_conf(GOVERNOR_MODE="audit_only", extra="PORT=70000\n")
    r = ax.reload()
    assert r.returncode == 1
    n = open(ax.conf).read().count("\n")
    assert "%s:%d:" % (ax.conf, n) in r.stderr
    assert mode() == "hard_block"
    assert ax.procs() == pids
    assert ax.metric("archillx_config_last_reload_successful") == 0
    # and the next good one works again
    ax.write_conf()
    assert ax.reload().returncode == 0
    assert mode() == "audit_only"
    assert ax.metric("archillx_config_last_reload_successful") == 1


def test_reload_names_what_needs_a_restart(make_ax):
    ax = make_ax()
    ax.write_conf(NODE_NAME="elsewhere")
    r = ax.reload()
    assert r.returncode == 0, r.stderr
    assert "NODE_NAME" in r.stdout + r.stderr
    assert ax.get("/v1/live").status == 200


def test_reload_of_credentials(make_ax):
    ax = make_ax()
    old = ax.admin_token
    new = "adm-" + "f" * 40
    ax.write_conf(ADMIN_TOKEN=new)
    assert ax.reload().returncode == 0
    assert ax.get("/v1/skills", token=old).status == 401
    assert ax.get("/v1/skills", token=new).status == 200
    assert ax.invoke("file_ops", {"operation": "exists", "path": ax.files},
                     token=new).status == 200


def test_sighup_reloads(make_ax):
    import signal
    ax = make_ax()
    ax.write_conf(GOVERNOR_MODE="off")
    os.kill(ax.pid, signal.SIGHUP)
    axlib.wait_until(
        lambda: ax.get("/v1/governor/config", token=ax.api_key)
        .json()["mode"] == "off", 5, "the new mode")


def test_sighup_is_not_lost(make_ax):
    """It comes while a worker is away: done as soon as all are back."""
    import signal
    ax = make_ax(RESTART_BURST=0)
    old = ax.procs()["store"][0]
    ax.write_conf(RISK_WARN_THRESHOLD="55")
    os.kill(old, signal.SIGKILL)
    axlib.wait_until(lambda: old not in ax.procs().get("store", []), 5,
                     "the store's end")
    os.kill(ax.pid, signal.SIGHUP)
    axlib.wait_until(
        lambda: ax.get("/v1/governor/config", token=ax.api_key).json()
        ["risk_warn_threshold"] == 55, 10, "the reload")


def test_sighup_in_the_moment_of_a_death(make_ax):
    """Between the end of a channel and the reaping nothing is sent."""
    import signal
    ax = make_ax(RESTART_BURST=0, RESTART_DELAY_MAX=1)
    for i, role in enumerate(["store", "scheduler", "http", "store"] * 2):
        ax.write_conf(RISK_WARN_THRESHOLD=str(40 + i))
        os.kill(ax.procs()[role][0], signal.SIGKILL)
        time.sleep(0.0005 * i)
        os.kill(ax.pid, signal.SIGHUP)
        axlib.wait_until(lambda: ax.get(
            "/v1/governor/config", token=ax.api_key).json()
            ["risk_warn_threshold"] == 40 + i, 10, "the reload")


def test_reload_under_load(make_ax):
    """No request is lost to fifty reloads."""
    import threading
    ax = make_ax(HTTP_WORKERS=2)
    bad, done = [], threading.Event()

    def ask():
        c = ax.connection()
        while not done.is_set():
            r = ax.request("GET", "/v1/governor/config", token=ax.api_key,
                           conn=c)
            if r.status != 200:
                bad.append(r)

    ts = [threading.Thread(target=ask) for _ in range(4)]
    for t in ts:
        t.start()
    for i in range(50):
        ax.write_conf(GOVERNOR_MODE=("off", "audit_only")[i % 2])
        assert ax.reload().returncode == 0
    done.set()
    for t in ts:
        t.join()
    assert not bad, bad[:3]


def test_stop(make_ax):
    ax = make_ax()
    pids = axlib.all_pids(ax.procs())
    r = ax.ctl("stop")
    assert r.returncode == 0, r.stderr
    assert ax.wait_exit() == 0
    assert not [p for p in pids if axlib.alive(p)]
    assert not os.path.exists(ax.sock)


@pytest.mark.root
def test_control_socket_is_private(ax):
    st = os.stat(ax.sock)
    assert st.st_mode & 0o007 == 0, oct(st.st_mode)
    r = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         ax.ctl_bin, "-s", ax.sock, "stop"], capture_output=True, text=True,
        env=ax.environ())
    assert r.returncode in (1, 3), (r.returncode, r.stdout, r.stderr)
    assert ax.get("/v1/live").status == 200


def test_migrate_states(make_ax):
    ax = make_ax(migrate=False, autostart=False)
    ax.start(ready=False)
    axlib.wait_until(lambda: ax.get("/v1/live").status == 200, 10, "a front")
    # without a schema: reads of the store are degraded, actions go on
    assert ax.get("/v1/migration/state", token=ax.api_key).status == 503
    axlib.wait_until(lambda: ax.invoke("file_ops", {
        "operation": "exists", "path": ax.files}).status == 200, 10,
        "the gate to open")
    assert ax.get("/v1/migration/state", token=ax.api_key).status == 503
    ax.migrate()
    ax.wait_ready()
    r = ax.get("/v1/migration/state", token=ax.api_key)
    assert r.status == 200 and r.json()["ok"] is True
    assert ax.migrate().returncode == 0  # again: nothing to do
