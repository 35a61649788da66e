# SPDX-License-Identifier: ISC
"""The battery: programs as data.  (id, what, program, expected end states, a
pattern that stdout must match or None, further inputs).  The ids are those of
the field's common battery: F processes, M memory, C time, O output, D disk,
N network, P processes of others, S system calls, L results."""

LIMIT = ("process_limit", "timeout_wall")
PY = "python"
FD = "import os\nprint([f for f in os.listdir('/proc/self/fd') if int(f) > 3])"
TRY = """
import os
def t(name, f):
    try: print('GOT', name, f())
    except (OSError, MemoryError, AttributeError) as e: print('no', name, e)
"""
HIDE = """
import os, signal, time
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: time.sleep(60)
        os._exit(0)
"""

CASES = [
    ("F1", "fork bomb", "import os\nwhile True:\n try: os.fork()\n"
     " except OSError: pass", LIMIT, None, {"timeout_s": 1}),
    ("F1s", "shell fork bomb", "f() { f | f & }; f; sleep 9", LIMIT + (
     "nonzero",), None, {"timeout_s": 1, "language": "sh"}),
    ("F2", "children that hide", HIDE + "print('left')", ("ok",), "left",
     {}),
    ("F3", "thread bomb", "import threading, time\nwhile True:\n"
     " threading.Thread(target=time.sleep, args=(9,)).start()", LIMIT, None,
     {"timeout_s": 1}),
    ("F4", "exec loop", "import os, sys\n"
     "os.execv(sys.executable, [sys.executable, '-I', '-S'] + sys.argv)",
     ("timeout_wall",), None, {"timeout_s": 1}),
    ("M1", "memory bomb", "x = []\nwhile True: x.append(bytearray(1 << 20))",
     ("out_of_memory",), None, {}),
    ("M2", "memory in many processes", """
import os, time
for i in range(12):
    if os.fork() == 0:
        b = bytearray(b'x') * (16 << 20)
        time.sleep(9)
        os._exit(0)
bad = 0
for i in range(12):
    bad += os.wait()[1] != 0
    if bad: raise SystemExit(1)
""", ("out_of_memory",), None, {}),
    ("M3", "memory through memfd", "import os\nf = os.memfd_create('x')\n"
     "while True: os.write(f, bytes(1 << 20))",
     ("out_of_memory", "nonzero"), None, {}),
    ("M5", "much reserved, little used", "import mmap\n"
     "m = mmap.mmap(-1, 4 << 30); m[0] = 1; print('fine')", ("ok",), "fine",
     {}),
    ("C1", "busy loop", "while True: pass", ("timeout_wall",), None,
     {"timeout_s": 1}),
    ("C1c", "CPU limit", "import resource\n"
     "resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass",
     ("timeout_cpu", "timeout_wall"), None, {}),
    ("C2a", "sleep", "import time; time.sleep(99)", ("timeout_wall",), None,
     {"timeout_s": 1}),
    ("C2b", "stops itself", "kill -STOP $$", ("timeout_wall",), None,
     {"timeout_s": 1, "language": "sh"}),
    ("C2c", "waits on a fifo", "mkfifo f && cat f", ("timeout_wall",), None,
     {"timeout_s": 1, "language": "sh"}),
    ("C3", "ignores every signal", HIDE + "while True: time.sleep(1)",
     ("timeout_wall",), None, {"timeout_s": 1}),
    ("O1", "endless output", "while True: print('x' * 4000)",
     ("output_limit",), "^x{1000}", {}),
    ("O3", "both streams without end", "import sys\nwhile True:\n"
     " sys.stdout.write('o' * 9999); sys.stderr.write('e' * 9999)",
     ("output_limit",), "^o{1000}", {}),
    ("O1t", "more than is kept", "print('x' * 100000)", ("ok",),
     "^x{4096}$", {}),
    ("O4", "binary output", "import sys\n"
     "sys.stdout.buffer.write(bytes(range(256)) + b'\\xed\\xa0\\x80')",
     ("ok",), None, {}),
    ("O5", "an orphan keeps stdout", "sleep 60 & echo done", ("ok",),
     "^done$", {"language": "sh"}),
    ("O5c", "closes its stdout", "exec >&- 2>&-; sleep 0.1", ("ok",), "^$",
     {"language": "sh"}),
    ("O6", "never reads stdin", "print('ok')", ("ok",), "ok",
     {"stdin": "x" * 1000000}),
    ("O6b", "reads one byte", "import sys; print(sys.stdin.read(1))",
     ("ok",), "^x$", {"stdin": "x" * 1000000}),
    ("D1", "fills the disk", TRY + """
def fill(p):
    n = 0
    with open(p, 'wb', buffering=0) as f:
        try:
            while True: n += f.write(bytes(65536))
        except OSError: return n
n = fill('/work/a') + fill('/tmp/b') + fill('/dev/shm/c')
print(0 < n <= 16 << 20)
""", ("ok",), "True", {}),
    ("D1f", "fallocate of 1 TiB", TRY + "f = os.open('x', 66)\n"
     "t('fallocate', lambda: os.posix_fallocate(f, 0, 1 << 40))", ("ok",
     "file_limit"), "^(no .*)?$", {}),
    ("D2", "files without end", "i = 0\nwhile True:\n"
     " open('/tmp/f%d' % i, 'w').close(); i += 1", ("out_of_memory",
     "nonzero", "timeout_wall"), None, {"timeout_s": 2}),
    ("D2d", "a deep folder", "import os\nfor i in range(3000):\n"
     " os.mkdir('d'); os.chdir('d')\nprint('deep')", ("ok",), "deep", {}),
    ("D4", "files nobody may read", "mkdir -m 0 d; touch f; chmod 0 f; "
     "echo left", ("ok",), "left", {"language": "sh"}),
    ("DF", "file size limit", "ulimit -f 1; exec head -c 9999999 /dev/zero "
     ">big", ("file_limit",), None, {"language": "sh"}),
    ("N1", "network families", TRY + "import socket\n"
     "for f in (2, 10, 16, 17, 38, 40, 31):\n"
     " t(f, lambda: socket.socket(f))", ("ok",), "(?s)^(?!.*GOT)", {}),
    ("N2", "interfaces", "cat /proc/net/dev | grep -c : || true", ("ok",),
     "^[01]$", {"language": "sh"}),
    ("N4", "sockets of the host", TRY + "import socket\n"
     "for p in ('/run/docker.sock', '/var/run/docker.sock',\n"
     "          '/run/archillx/archillx.sock', '/run/systemd/private',\n"
     "          '/proc/1/root/run/docker.sock', '\\0/tmp/.X11-unix/X0'):\n"
     " t(p, lambda: socket.socket(socket.AF_UNIX).connect(p))", ("ok",),
     "(?s)^(?!.*GOT)", {}),
    ("P1", "environment", "import os; print(sorted(os.environ))", ("ok",),
     r"^\['HOME', 'LANG', 'LC_ALL', 'PATH', 'PYTHONDONTWRITEBYTECODE', "
     r"'PYTHONNOUSERSITE', 'TMPDIR'\]$", {}),
    ("P1a", "other environments", TRY + "for p in os.listdir('/proc'):\n"
     " if p.isdigit() and int(p) != os.getpid():\n"
     "  t(p, lambda: open('/proc/%s/environ' % p, 'rb').read())", ("ok",),
     "(?s)^(?!.*GOT)", {}),
    ("P1b", "processes it sees", "import os\n"
     "print(len([p for p in os.listdir('/proc') if p.isdigit()]))", ("ok",),
     "^2$", {}),
    ("P1c", "process 1", TRY + "for f in ('root', 'cwd', 'exe', 'fd/3'):\n"
     " t(f, lambda: os.readlink('/proc/1/' + f))\n"
     "t('ls', lambda: os.listdir('/proc/1/root'))\n"
     "t('mem', lambda: open('/proc/1/mem', 'rb'))\n"
     "t('maps', lambda: open('/proc/1/maps').read(1))", ("ok",),
     "(?s)^(?!.*GOT)", {}),
    ("P2", "writes to /proc", TRY + "for p in ('sys/kernel/core_pattern',\n"
     " 'sys/kernel/hostname', 'sysrq-trigger', '1/oom_score_adj',\n"
     " 'self/uid_map', 'sys/user/max_user_namespaces'):\n"
     " t(p, lambda: open('/proc/' + p, 'wb', 0).write(b'0'))", ("ok",),
     "(?s)^(?!.*GOT)", {}),
    ("P3", "descriptors above 2", FD, ("ok",), r"^\[\]$", {}),
    ("P4a", "kills process 1", "import os\nos.kill(1, 9)\nprint('alive')",
     ("ok",), "alive", {}),
    ("P4b", "kills everything", "import os\nos.kill(-1, 9)\nprint('alive')",
     ("ok", "nonzero"), None, {}),
    ("P4c", "kills its group", "import os; os.kill(0, 9)", ("signal",), None,
     {}),
    ("P5", "10,000 zombies", "import os\nfor i in range(200):\n"
     " try:\n  if os.fork() == 0: os._exit(0)\n except OSError: pass\n"
     "print('fine')", ("ok",), "fine", {}),
    ("P7", "set-uid programs", "su root -c id 2>&1; id -u", ("ok",), "65534$",
     {"language": "sh"}),
    ("P7c", "capabilities and no-new-privileges",
     "grep -E 'Cap(Eff|Prm|Bnd|Inh|Amb)|NoNewPrivs|Seccomp:' "
     "/proc/self/status | tr -d '[:blank:]' | sort -u | tr '\\n' ' '",
     ("ok",), r"CapBnd:0{16} CapEff:0{16} CapInh:0{16} CapPrm:0{16} "
     r"NoNewPrivs:1 Seccomp:2", {"language": "sh"}),
    ("S1", "writes to the system", TRY + "for p in ('/x', '/usr/x', '/etc/x',"
     " '/usr/bin/x', '/dev/x', '/bin/sh', '/.runner', '/lib/x'):\n"
     " t(p, lambda: open(p, 'a'))", ("ok",), "(?s)^(?!.*GOT)", {}),
    ("S2", "what is mounted writable", "import re\n"
     "print([l.split()[4] for l in open('/proc/self/mountinfo')\n"
     "       if l.split()[5].startswith('rw')])", ("ok",),
     r"^\['/proc', '/dev/null', '/dev/zero', '/dev/urandom', '/work'\]$", {}),
    ("S3", "secrets by path", TRY + "for p in ('/etc/passwd', '/etc/shadow',"
     " '/etc/archillx', '/root', '/home', '/var', '/run', '/srv', '/opt',"
     " '/sys', '/boot', '/usr/local', '/etc/hostname', '/dev/mem',"
     " '/dev/kmsg', '/dev/vda', '/dev/sda', '/dev/fuse', '/dev/kvm',"
     " '/dev/net/tun', '/proc/kcore'):\n t(p, lambda: os.stat(p) and "
     "open(p, 'rb').read(1))", ("ok",), "(?s)^(?!.*GOT)", {}),
    ("S5", "terminal tricks", TRY + "import fcntl\n"
     "for n in (0x5412, 0x541c): t(n, lambda: fcntl.ioctl(0, n, b'x'))",
     ("ok",), "(?s)^(?!.*GOT)", {}),
    ("S6", "locks on shared files", TRY + "import fcntl\n"
     "f = open('/usr/bin/python3', 'rb')\n"
     "t('flock', lambda: fcntl.flock(f, 6))\n"
     "t('lease', lambda: fcntl.fcntl(f, 1024, 0))\n"
     "t('lockf', lambda: fcntl.lockf(f, 5))", ("ok",), "(?s)^(?!.*GOT)", {}),
    ("L4a", "odd arguments", "import sys; print(sys.argv[1:])", ("ok",),
     r"^\['\$\(id\)', '--help', 'a\\nb', \"'\", ''\]$",
     {"args": ["$(id)", "--help", "a\nb", "'", ""]}),
    ("L4b", "CRLF, BOM, NUL", "\ufeffprint('fine')\r\n", ("ok",), "fine", {}),
    ("L4c", "NUL in the source", "print(1)\0", ("ok", "nonzero"), None, {}),
    ("L5", "files given", "cat d/e x; wc -c <bin", ("ok",), "^onetwo3$",
     {"language": "sh", "files": [
         {"path": "d/e", "content": "one"}, {"path": "x", "content": "two"},
         {"path": "bin", "content_b64": "AP+A"}]}),
    ("L6", "files that leave", "1", ("refused_by_policy",), None,
     {"files": [{"path": "../x"}]}),
    ("L7", "an unknown language", "1", ("refused_by_policy",), None,
     {"language": "perl"}),
] + [
    ("L2-%d" % n, "exit code %d" % n, "import os; os._exit(%d)" % n,
     ("nonzero" if n else "ok",), "^$", {}) for n in
    (0, 1, 2, 125, 126, 127, 137, 139, 255)
] + [
    ("L2s-%d" % n, "signal %d" % n, "kill -%d $$" % n,
     ({24: "timeout_cpu", 25: "file_limit"}.get(n, "signal"),), None,
     {"language": "sh"}) for n in
    (1, 2, 3, 4, 6, 8, 9, 11, 13, 14, 15, 24, 25, 31)
]
