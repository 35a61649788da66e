# SPDX-License-Identifier: ISC
"""The keys of the evidence: made once, never replaced, never shown, and not
trusted when others could have read them."""
import base64
import hashlib
import os
import re
import socket
import stat
import subprocess

import pytest

import axlib

VKEY = re.compile(r"^([^ +]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$")


@pytest.fixture
def ax(make_ax):
    """Configured, with a schema, but neither keys nor a running daemon."""
    return make_ax(autostart=False, migrate=False, signing=False,
                   AUDIT_SIGNING=None)


def key(ax, name="signing.key"):
    return os.path.join(ax.state, name)


def check(ax, args=("-n",), **kw):
    return subprocess.run([ax.bin, *args, "-f", ax.conf], timeout=30,
                          capture_output=True, text=True, cwd="/",
                          env=ax.environ(), **kw)


@pytest.mark.quick
def test_made_once(ax):
    r = ax.ctl("key", "new-signing", "--name", "log.example/one")
    assert r.returncode == 0, r.stderr
    name, kid, body = VKEY.match(r.stdout.strip()).groups()
    raw = base64.b64decode(body)
    assert name == "log.example/one" and len(raw) == 33 and raw[0] == 1
    want = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    assert kid == want
    for f, size in (("signing.key", None), ("secrets.key", 32)):
        st = os.stat(key(ax, f))
        assert stat.S_IMODE(st.st_mode) == 0o600
        assert size is None or st.st_size == size
    assert sorted(os.listdir(ax.state)) == ["secrets.key", "signing.key"]
    private = open(key(ax)).read()
    assert private.startswith("PRIVATE+KEY+log.example/one+" + kid + "+")
    assert private.strip().split("+", 4)[4] not in r.stdout + r.stderr

    # neither of them is made anew
    secrets = open(key(ax, "secrets.key"), "rb").read()
    r2 = ax.ctl("key", "new-signing")
    assert r2.returncode == 1 and not r2.stdout
    assert "never overwritten" in r2.stderr and "show-signing" in r2.stderr
    assert ax.ctl("key", "new-signing", "--force").returncode == 2
    assert open(key(ax)).read() == private
    assert open(key(ax, "secrets.key"), "rb").read() == secrets
    assert sorted(os.listdir(ax.state)) == ["secrets.key", "signing.key"]

    assert ax.ctl("key", "show-signing").stdout == r.stdout
    j = ax.ctl_json("key", "show-signing")
    assert j == {"name": name, "id": kid, "vkey": r.stdout.strip()}


def test_name_of_the_node(ax):
    r = ax.ctl("key", "new-signing")
    assert r.stdout.startswith(socket.gethostname() + "/archillx+"), r.stderr
    os.unlink(key(ax))
    ax.write_conf(NODE_NAME="n7")
    assert ax.ctl("key", "new-signing").stdout.startswith("n7/archillx+")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "x" * 129,
                                  "a\nb"])
def test_bad_names(ax, name):
    r = ax.ctl("key", "new-signing", "--name", name)
    assert r.returncode == 1 and "--name" in r.stderr
    assert not os.path.exists(key(ax))


@pytest.mark.quick
def test_required_but_missing(ax):
    for args, status in ((("-n",), 1), (("-d",), 78), ((), 78)):
        r = check(ax, args)
        assert r.returncode == status, (args, r.stderr)
        assert "AUDIT_SIGNING=required" in r.stderr
        assert "archillxctl key new-signing" in r.stderr
        assert not os.path.exists(ax.evidence)
    # the place in the file, where it is written there
    ax.write_conf(AUDIT_SIGNING="required")
    line = open(ax.conf).read().splitlines().index("AUDIT_SIGNING=required")
    assert "%s:%d: AUDIT_SIGNING" % (ax.conf, line + 1) in check(ax).stderr
    r = ax.ctl("key", "show-signing")
    assert r.returncode == 1 and "new-signing" in r.stderr
    ax.write_conf(AUDIT_SIGNING="off")
    assert check(ax).returncode == 0


def damage_link(path):
    os.rename(path, path + ".moved")
    os.symlink(path + ".moved", path)


def damage_fifo(path):
    os.unlink(path)
    os.mkfifo(path, 0o600)


def damage_directory(path):
    os.unlink(path)
    os.mkdir(path, 0o700)


def write(data):
    def damage(path):
        with open(path, "wb") as f:
            f.write(data)
    return damage


def flip(path):
    with open(path, "r+b") as f:
        b = f.read()
        f.seek(len(b) - 3)
        f.write(b"A" if b[-3:-2] != b"A" else b"B")


DAMAGE = {
    "readable by the group": lambda p: os.chmod(p, 0o640),
    "readable by all": lambda p: os.chmod(p, 0o604),
    "a link": damage_link,
    "a pipe": damage_fifo,
    "a directory": damage_directory,
    "empty": write(b""),
    "too long": write(b"x" * 4096),
    "a NUL": write(b"PRIVATE+KEY+a\0"),
}


@pytest.mark.parametrize("name", ["signing.key", "secrets.key"])
@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_not_trusted(ax, name, what):
    ax.make_keys()
    DAMAGE[what](key(ax, name))
    for args, status in ((("-n",), 1), (("-d",), 78)):
        r = check(ax, args)
        assert r.returncode == status, (args, r.stderr)
        assert key(ax, name) in r.stderr


def test_damaged_signing_key(ax):
    ax.make_keys()
    flip(key(ax))
    r = check(ax)
    assert r.returncode == 1 and "not a signing key" in r.stderr
    assert ax.ctl("key", "show-signing").returncode == 1


@pytest.mark.root
def test_others_learn_nothing(ax):
    """archillxd -n by one who may not look says nothing of the keys."""
    os.makedirs(ax.state, exist_ok=True)
    os.chmod(ax.state, 0o700)
    os.chmod(ax.conf, 0o644)
    assert check(ax).returncode == 1
    r = check(ax, user=65534, group=65534, extra_groups=[])
    assert r.returncode == 0, r.stderr


def test_links_and_holders(make_ax):
    """Only the parent has both keys open, the notary one, audit the other;
    the names at the top of the evidence lead to the checkpoints."""
    ax = make_ax()
    for n in ("checkpoint", "checkpoints"):
        assert os.readlink(os.path.join(ax.evidence, n)) == "log/" + n
    holders = {}
    for role, pids in ax.procs().items():
        for pid in pids:
            for target in axlib.proc_fds(pid).values():
                if target.endswith(".key"):
                    holders.setdefault(os.path.basename(target),
                                       set()).add(role)
    assert holders["signing.key"] <= {"parent", "notary"}, holders
    s = ax.ctl_json("status")
    assert s["signing"] == "required" and s["signing_key"] == ax.vkey
    assert holders["secrets.key"] <= {"parent", "audit"}, holders


def test_signing_off(make_ax):
    ax = make_ax(signing=False)
    assert ax.get("/v1/live").status == 200
    assert not os.path.exists(key(ax))
    assert "AUDIT_SIGNING=off" in ax.log()
    assert "signing off" in ax.ctl("status").stdout
    s = ax.ctl_json("status")
    assert s["signing"] == "off" and s["signing_key"] is None


def test_another_key(make_ax):
    """Moved away and made anew, as docs/EVIDENCE.md says: the log goes on, and
    both public halves together verify all of it."""
    ax = make_ax()

    def act():
        assert ax.invoke("text_stats", {"text": "a"}).status == 200
        assert ax.stop() == 0

    act()
    old = ax.vkey
    os.rename(key(ax), key(ax) + ".old")
    ax.make_keys()
    assert ax.vkey != old
    ax.start()
    act()

    def verify(*keys):
        return ax.ctl("audit", "verify", *[x for k in keys
                                           for x in ("--key", k)])

    r = verify(old, ax.vkey)
    assert r.returncode == 0, r.stdout + r.stderr
    # the newest one is signed by the new key alone
    assert verify(old).returncode != 0
    with open(ax.evidence + "/checkpoint", "rb") as f:
        assert int(f.read().split(b"\n")[1]) == ax.journal()[-1]["seq"]
