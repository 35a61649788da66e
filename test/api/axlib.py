# SPDX-License-Identifier: ISC
"""A private ArcHillx for tests.

Daemon starts archillxd from a build tree in a temporary folder of its own, on
loopback, with its own tokens, and gives tests everything they may look at:
HTTP, raw sockets, the journal, the control program, the processes.

Only Debian's Python and its standard library are used.  The build tree is
$AX_BUILD, else the current folder, else build/ in the source tree.

Environment: AX_BUILD (build tree), AX_TMP (where the temporary folders go,
default /tmp; must be reachable by the service users), AX_KEEP=1 (never remove
them), AX_SLOW=N (multiply every bound by N, for sanitizer builds).
"""
import glob
import gzip
import http.client
import json as jsonlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SRC = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLOW = float(os.environ.get("AX_SLOW", "1"))
IS_ROOT = os.geteuid() == 0
USER_PREFIX = "_archillx_"
# role of a worker -> its service user (behind USER_PREFIX)
USERS = {
    "http": "http", "audit": "audit", "files": "files", "store": "store",
    "notary": "notary", "scheduler": "sched", "broker": "broker",
    "launcher": "sandbox", "archiver": "audit",
}
ROLES = ("parent", "audit", "notary", "store", "files", "launcher", "broker",
         "scheduler", "http")
# What a report of a sanitizer looks like in the log.
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "runtime error:",
                   "ERROR: LeakSanitizer")


class TestError(Exception):
    """The test's own machinery failed (not an assertion about the product)."""


def find_build():
    """The build tree: where daemon/archillxd is."""
    tried = [os.environ.get("AX_BUILD"), os.getcwd(),
             os.path.join(SRC, "build"), SRC]
    for d in tried:
        if d and os.access(os.path.join(d, "daemon", "archillxd"), os.X_OK):
            return os.path.realpath(d)
    raise TestError("no daemon/archillxd in any of %s; build first or set "
                    "AX_BUILD" % [d for d in tried if d])


def find_program(build, name):
    for sub in ("daemon", "daemon/ctl"):
        p = os.path.join(build, sub, name)
        if os.access(p, os.X_OK):
            return p
    raise TestError("no %s in %s" % (name, build))


def build_has(build, define):
    """True if config.h of the build defines the name."""
    try:
        with open(os.path.join(build, "config.h")) as f:
            return ("#define %s 1" % define) in f.read()
    except OSError:
        return False


def wait_until(cond, timeout=10.0, what="condition", interval=0.02):
    """Calls cond() until it is true and returns its value; a bound, no guess.
    Exceptions of cond() count as "not yet" except AssertionError."""
    end = time.monotonic() + timeout * SLOW
    last = None
    while True:
        try:
            v = cond()
            if v:
                return v
            last = v
        except AssertionError:
            raise
        except Exception as e:  # not yet there: refused, reset, missing file
            last = e
        if time.monotonic() > end:
            raise TestError("gave up after %.1f s waiting for %s (last: %r)"
                            % (timeout * SLOW, what, last))
        time.sleep(interval)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def user_exists(role):
    try:
        return pwd.getpwnam(USER_PREFIX + USERS[role])
    except KeyError:
        return None


def cgroups_writable():
    """True when the launcher can be given memory and pids limits."""
    if not IS_ROOT:
        return False
    base = "/sys/fs/cgroup"
    if os.path.exists(base + "/cgroup.controllers"):
        return os.access(base + "/cgroup.subtree_control", os.W_OK)
    return all(os.access("%s/%s" % (base, c), os.W_OK)
               for c in ("memory", "pids"))


def segment_bytes(path):
    """What counts of a segment: all of it, or what stood before its fdatasync
    failed; such a file is never touched again, and its name says the length
    (security_audit.NNNNNNNN.TIME.cut-LENGTH.jsonl)."""
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True,
                              stdout=subprocess.PIPE).stdout
    op = gzip.open if path.endswith(".gz") else open
    try:
        with op(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        if not os.path.exists(path + ".zst"):
            raise
        return segment_bytes(path + ".zst")  # exchanged since it was listed
    cut = re.search(r"\.cut-(\d+)\.jsonl", path)
    return data[:int(cut.group(1))] if cut else data


class Response:
    """status, headers (names in lower case; the last of a kind wins), body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.header_list = [(k.lower(), v) for k, v in headers]
        self.headers = dict(self.header_list)
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return jsonlib.loads(self.body)

    @property
    def code(self):
        """detail.code of an error envelope, or None."""
        try:
            d = self.json()["detail"]
            return d["code"] if isinstance(d, dict) else None
        except (ValueError, KeyError, TypeError):
            return None

    def __repr__(self):
        return "<%d %r>" % (self.status, self.body[:300])


class Stream:
    """An answer that is read while it comes.  read() gives all of it or
    raises http.client.IncompleteRead where it was cut."""

    def __init__(self, port, path, token=None, headers=None, timeout=10.0,
                 rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.conn = http.client.HTTPConnection("127.0.0.1", port)
        self.conn.sock = self.sock
        h = dict(headers or {})
        if token is not None:
            h.setdefault("Authorization", "Bearer " + token)
        self.conn.request("GET", path, headers=h)
        self.r = self.conn.getresponse()
        self.status = self.r.status
        self.header_list = [(k.lower(), v) for k, v in self.r.getheaders()]
        self.headers = dict(self.header_list)

    def read(self):
        return self.r.read()

    def events(self):
        """Server-sent events as (id or None, name or None, data)."""
        ev, name, data = None, None, []
        for line in self.r:
            line = line.decode().rstrip("\n")
            if line == "":
                if data:
                    yield ev, name, "\n".join(data)
                name, data = None, []
            elif line.startswith("id: "):
                ev = line[4:]
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])

    def close(self):
        self.conn.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Daemon:
    """One running instance.  Settings are those of the configuration file;
    a value None takes a default of ours out again.  signing=False: no keys,
    AUDIT_SIGNING=off."""

    def __init__(self, build=None, autostart=True, migrate=True, ready=True,
                 wrap=(), env=None, dirs=None, signing=True, **settings):
        self.build = build or find_build()
        self.bin = find_program(self.build, "archillxd")
        self.ctl_bin = find_program(self.build, "archillxctl")
        self.base = tempfile.mkdtemp(prefix="ax-",
                                     dir=os.environ.get("AX_TMP", "/tmp"))
        os.chmod(self.base, 0o755)
        self.evidence = os.path.join(self.base, "evidence")
        self.state = os.path.join(self.base, "state")
        self.run = os.path.join(self.base, "run")
        self.files = os.path.join(self.base, "files")
        for k, v in (dirs or {}).items():
            setattr(self, k, v)
        self.conf = os.path.join(self.base, "archillx.conf")
        self.log_path = os.path.join(self.base, "log")
        self.sock = os.path.join(self.run, "archillx.sock")
        self.admin_token = "adm-" + secrets.token_hex(24)
        self.api_key = "key-" + secrets.token_hex(24)
        self.port = free_port()
        self.wrap = list(wrap)
        self.env = dict(env or {})
        self.proc = None
        self.vkey = None  # None: no signing key was made
        self.keep = bool(os.environ.get("AX_KEEP"))
        self.settings = {
            "HOST": "127.0.0.1", "PORT": self.port,
            "EVIDENCE_DIR": self.evidence, "STATE_DIR": self.state,
            "RUN_DIR": self.run,
            "SKILLS_DIR": os.path.join(SRC, "etc", "skills.d"),
            "GOVERNOR_DIR": os.path.join(SRC, "etc", "governor.d"),
            "ADMIN_TOKEN": self.admin_token, "API_KEY": self.api_key,
            "ARCHILLX_ENABLE_CODE_EXEC": "yes",
            "ARCHILLX_FILE_WHITELIST": self.files,
            "DRAIN_TIMEOUT": 5, "RESTART_DELAY_MAX": 1, "RESTART_BURST": 0,
        }
        if not cgroups_writable():
            self.settings["SANDBOX_ALLOW_NO_CGROUP"] = "yes"
        if not signing:
            self.settings["AUDIT_SIGNING"] = "off"
        self.settings.update(settings)
        self.make_dirs()
        self.write_conf()
        if signing:
            self.make_keys()
        if migrate:
            self.migrate()
        if autostart:
            self.start(ready=ready)

    # ---- the files ----

    def make_dirs(self):
        os.makedirs(self.files, exist_ok=True)
        os.chmod(self.files, 0o755)
        pw = user_exists("files") if IS_ROOT else None
        if pw:
            os.chown(self.files, pw.pw_uid, pw.pw_gid)

    def make_keys(self):
        """The keys of the evidence, if they are not there yet; the public
        one is self.vkey."""
        if not os.path.exists(os.path.join(self.state, "signing.key")):
            r = self.ctl("key", "new-signing", "--name", "test/archillx")
            if r.returncode != 0:
                raise TestError("key new-signing failed (%d): %s%s"
                                % (r.returncode, r.stdout, r.stderr))
        r = self.ctl("key", "show-signing")
        if r.returncode != 0:
            raise TestError("key show-signing failed: %s" % r.stderr)
        self.vkey = r.stdout.strip()

    def write_conf(self, extra=None, **settings):
        """(Re)writes the configuration; settings given here stay."""
        self.settings.update(settings)
        if "PORT" in settings:
            self.port = int(settings["PORT"])
        lines = ["%s=%s\n" % (k, v) for k, v in self.settings.items()
                 if v is not None]
        with open(self.conf, "w") as f:
            f.write("# made by axlib\n" + "".join(lines) + (extra or ""))
        os.chmod(self.conf, 0o600)

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def log_tail(self, n=60):
        return "\n".join(self.log().splitlines()[-n:])

    def journal_files(self):
        files = glob.glob(os.path.join(self.evidence, "archive", "*.jsonl*"))
        # While a segment is exchanged there are both forms of it.
        files = [f for f in files
                 if not (f.endswith(".zst") and f[:-4] in files)]
        live = os.path.join(self.evidence, "security_audit.jsonl")
        return sorted(files) + ([live] if os.path.exists(live) else [])

    def journal(self):
        """Every line of every segment as a dict, in order of seq.  Bytes
        behind the last newline of the live segment are a line being written:
        they are left out."""
        rows = []
        for path in self.journal_files():
            data = segment_bytes(path)
            for line in data[:data.rfind(b"\n") + 1].split(b"\n"):
                if line:
                    rows.append(jsonlib.loads(line))
        rows.sort(key=lambda r: r.get("seq", 0))
        return rows

    # ---- life ----

    def environ(self):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        for k in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if k in os.environ:
                env[k] = os.environ[k]
        env.update(self.env)
        return env

    def migrate(self, *args):
        r = self.ctl("migrate", *(args or ("upgrade", "head")))
        if r.returncode != 0:
            raise TestError("migrate failed (%d): %s%s"
                            % (r.returncode, r.stdout, r.stderr))
        return r

    def start(self, ready=True, args=()):
        assert self.proc is None, "already running"
        with open(self.log_path, "a") as log:
            self.proc = subprocess.Popen(
                self.wrap + [self.bin, "-d", "-f", self.conf] + list(args),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environ(), cwd="/", start_new_session=True)
        if ready:
            try:
                self.wait_ready()
            except TestError as e:
                tail = self.log_tail()
                self.kill()
                raise TestError("%s\n---- log ----\n%s" % (e, tail)) from None

    @property
    def pid(self):
        if not self.wrap:
            return self.proc.pid
        for p in descendants(self.proc.pid):
            if exe_name(p) == "archillxd":
                return p
        return self.proc.pid

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def running(self):
        return self.proc is not None and self.proc.poll() is None

    def wait_ready(self, timeout=20.0):
        def ok():
            if not self.running():
                raise AssertionError(
                    "archillxd ended with %r before it was ready\n%s"
                    % (self.proc.returncode, self.log_tail()))
            return self.get("/v1/ready").status == 200
        try:
            wait_until(ok, timeout, "/v1/ready of %s" % self.base)
        except AssertionError as e:
            raise TestError(str(e)) from None

    def wait_exit(self, timeout=15.0):
        try:
            return self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise TestError("archillxd did not end within %.0f s"
                            % (timeout * SLOW)) from None

    def stop(self, timeout=20.0):
        """SIGTERM, wait; the exit status.  KILLs and raises if it hangs."""
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.wait_exit(timeout)
            except TestError:
                self.kill()
                raise
        rc = self.proc.returncode
        self.proc = None
        return rc

    def kill(self):
        """SIGKILLs the parent; its workers end by themselves."""
        if self.proc is None:
            return
        left = all_pids(self.procs()) if self.proc.poll() is None else []
        if self.proc.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.proc.wait()
        try:
            wait_until(lambda: not any(alive(p) for p in left), 10,
                       "orphaned workers to end")
        finally:
            for p in left:
                if alive(p) and exe_name(p).startswith("archillx"):
                    os.kill(p, signal.SIGKILL)
            self.proc = None

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        return self.ctl("reload")

    def close(self):
        """Ends it and removes the folder (unless it is to be kept)."""
        try:
            self.stop()
        finally:
            if self.proc is not None:
                self.kill()
            marks = [m for m in SANITIZER_MARKS if m in self.log()]
            if marks:
                self.keep = True
            if not self.keep:
                shutil.rmtree(self.base, ignore_errors=True)
        if marks:
            raise AssertionError("sanitizer report in %s\n%s"
                                 % (self.log_path, self.log_tail(120)))

    # ---- talking to it ----

    def request(self, method, path, body=None, token=None, headers=None,
                timeout=30.0, conn=None):
        """One request.  token None: no credential.  conn: a
        http.client.HTTPConnection to use instead of a fresh one."""
        h = dict(headers or {})
        if token is not None:
            h.setdefault("Authorization", "Bearer " + token)
        c = conn or http.client.HTTPConnection("127.0.0.1", self.port,
                                               timeout=timeout * SLOW)
        try:
            c.request(method, path, body=body, headers=h)
            r = c.getresponse()
            return Response(r.status, r.getheaders(), r.read())
        finally:
            if conn is None:
                c.close()

    def get(self, path, token=None, headers=None, **kw):
        return self.request("GET", path, token=token, headers=headers, **kw)

    def post(self, path, json=None, data=None, token=None, headers=None, **kw):
        h = dict(headers or {})
        if json is not None:
            data = jsonlib.dumps(json).encode()
            h.setdefault("Content-Type", "application/json")
        return self.request("POST", path, body=data if data is not None
                            else b"", token=token, headers=h, **kw)

    def invoke(self, name, inputs=None, token=None, headers=None, **kw):
        """POST /v1/skills/invoke, as the administrator unless told."""
        return self.post("/v1/skills/invoke",
                         json={"name": name, "inputs": inputs or {}},
                         token=token or self.admin_token, headers=headers,
                         **kw)

    def stream(self, path, token=None, headers=None, timeout=10.0):
        """A GET that is read piece by piece: a Stream."""
        return Stream(self.port, path, token, headers, timeout * SLOW)

    def connection(self, timeout=30.0):
        return http.client.HTTPConnection("127.0.0.1", self.port,
                                          timeout=timeout * SLOW)

    def connect(self, timeout=10.0):
        return socket.create_connection(("127.0.0.1", self.port),
                                        timeout=timeout * SLOW)

    def raw(self, data, timeout=5.0, half_close=False):
        """Sends bytes as they are, returns everything that comes back until
        the server closes or is silent for `timeout` seconds."""
        out = b""
        with self.connect(timeout) as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # answered and closed before we were done: read on
            try:
                while True:
                    d = s.recv(65536)
                    if not d:
                        break
                    out += d
            except (socket.timeout, ConnectionResetError):
                pass
        return out

    def ctl(self, *args, timeout=60.0, sock=None, conf=True, input=None):
        cmd = [self.ctl_bin]
        if conf:
            cmd += ["-f", self.conf]
        cmd += ["-s", sock or self.sock] + [str(a) for a in args]
        return subprocess.run(cmd, capture_output=True, text=True,
                              timeout=timeout * SLOW, env=self.environ(),
                              input=input if input is not None else "",
                              cwd="/")

    def ctl_json(self, *args):
        r = self.ctl("--json", *args)
        if r.returncode != 0:
            raise TestError("archillxctl --json %s: %d %s"
                            % (" ".join(args), r.returncode, r.stderr))
        return jsonlib.loads(r.stdout)

    def metric(self, name):
        """A value of /metrics without labels, by its full name."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return None

    def procs(self):
        """{role: [pids]}, from /proc."""
        out = {"parent": [self.pid]}
        for p in children(self.pid):
            name = exe_name(p)
            if name.startswith("archillx-"):
                out.setdefault(name[len("archillx-"):], []).append(p)
        for v in out.values():
            v.sort()
        return out

    def wait_projected(self, timeout=10.0):
        """Waits until the store has applied every line of the journal."""
        wait_until(lambda: self.metric("archillx_store_seq") is not None
                   and self.metric("archillx_store_seq")
                   >= (self.journal() or [{"seq": 0}])[-1]["seq"],
                   timeout, "the projection to catch up", 0.05)


# ---- /proc ----

def alive(pid):
    """True unless gone or a zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def exe_name(pid):
    try:
        p = os.readlink("/proc/%d/exe" % pid)
        return os.path.basename(p.replace(" (deleted)", ""))
    except OSError:
        return ""


def ppid(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


def children(pid):
    out = []
    for t in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(t) as f:
                out += [int(x) for x in f.read().split()]
        except OSError:
            pass
    if out or os.path.exists("/proc/self/task/%d/children" % os.getpid()):
        return out
    return [int(d) for d in os.listdir("/proc")
            if d.isdigit() and ppid(int(d)) == pid]


def descendants(pid):
    out, todo = [], [pid]
    while todo:
        for c in children(todo.pop()):
            out.append(c)
            todo.append(c)
    return out


def all_pids(procs):
    return [p for v in procs.values() for p in v]


def proc_status(pid):
    """/proc/PID/status as a dict of strings."""
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":", 1) for line in f
                    if ":" in line)


def proc_fds(pid):
    """{fd: link target}."""
    d = "/proc/%d/fd" % pid
    out = {}
    for n in os.listdir(d):
        try:
            out[int(n)] = os.readlink(os.path.join(d, n))
        except OSError:
            pass
    return out


def pss_kb(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


# ---- test builds ----

def test_build(*defines):
    """The build tree with test-only options ($AX_FAULT_BUILD, or the one
    under test if it has them); skips the calling test where there is none."""
    import pytest
    for b in (os.environ.get("AX_FAULT_BUILD"), find_build()):
        if b and all(build_has(b, d) for d in defines):
            return os.path.realpath(b)
    pytest.skip("needs a build with %s: set AX_FAULT_BUILD"
                % ", ".join(defines))


test_build.__test__ = False
TestError.__test__ = False
