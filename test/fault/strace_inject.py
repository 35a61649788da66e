#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Fails the system calls of the audit process, one at a time, by strace, while
requests run, and holds what happened against the journal.

Each case is one call, one error and one position: "the third fdatasync says
EIO".  Cases of kind `run` attach to the running process; cases of kind `start`
kill it and attach to its parent, with a filter on the paths of the evidence,
so that the call fails in the process that takes its place.  Every request
writes a file, so that an action that happened is seen.  After each case:

  no answer 200 without its decision and its outcome on the disk,
  no file without an approved decision, none where "nothing started" was said,
  every line whole, seq without a gap,
  requests are answered 200 again, by itself (or, where the parent ended, once
  the service manager has started it again, as it does).

At the end a clean stop, and the whole evidence is verified by the second
verifier (test/evidence).  The processes run with CONFINEMENT=errno: strace
makes a call fail by letting the kernel see a number that no call has, and that
is death where the filter kills.

No close fails at a start: strace leaves the descriptor open, which no kernel
does, and where it is the parent's of the lock the life before never ends.

What strace cannot do is a short write that is one: an injected result tells
the process that bytes were written which were not.  Only retval=0 is honest,
and is here; others are test/api/test_faults.py (short=K) and test_full_disk.

usage: strace_inject.py [--build DIR] [--short] [--kind run|start]
	[--only CALL,CALL] [--table FILE]
"""
import argparse
import collections
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for sub in ("api", "crash", "evidence"):
    sys.path.insert(0, os.path.join(HERE, "..", sub))
import axlib  # noqa: E402
import crash  # noqa: E402
import verify  # noqa: E402

DISK = ("EIO", "ENOSPC", "EDQUOT", "EINTR")
# call: what it may give.  retval=0: a write that took nothing.
RUN = [
    ("write", DISK + ("retval=0",)), ("fdatasync", DISK), ("fsync", DISK),
    ("openat", DISK + ("ENOMEM",)), ("renameat2", ("EIO", "ENOSPC", "EDQUOT",
                                                   "ENOMEM")),
    ("ftruncate", ("EIO", "EINTR")), ("fallocate", DISK),
    ("unlinkat", ("EIO", "ENOMEM")), ("newfstatat", ("EIO", "ENOMEM")),
    ("fstatfs", ("EIO", "EINTR", "ENOMEM")),
    ("close", ("EIO", "EINTR", "ENOSPC", "EDQUOT")),
    ("pread64", ("EIO", "EINTR")), ("fcntl", ("EINTR", "ENOMEM")),
    ("sendmsg", ("EINTR", "ENOMEM", "EIO")),
    ("recvmsg", ("EINTR", "ENOMEM", "EIO")),
    ("epoll_wait", ("EINTR", "EIO")), ("brk", ("ENOMEM",)),
    ("mmap", ("ENOMEM",)),
]
START = [
    ("openat", DISK + ("ENOMEM",)), ("newfstatat", ("EIO", "ENOMEM")),
    ("mkdirat", ("EIO", "ENOSPC", "EDQUOT", "ENOMEM")),
    ("getdents64", ("EIO", "ENOMEM")), ("flock", ("EINTR", "ENOMEM", "EIO")),
    ("pread64", ("EIO", "EINTR")), ("read", ("EIO", "EINTR")),
    ("fadvise64", ("EIO",)), ("fallocate", DISK), ("write", DISK),
    ("fdatasync", DISK), ("fsync", DISK), ("ftruncate", ("EIO", "EINTR")),
    ("renameat2", ("EIO", "ENOSPC", "EDQUOT")),
    ("fcntl", ("EINTR", "ENOMEM")), ("fstatfs", ("EIO",)),
]
AT = {"run": (1, 2, 3, 5, 9), "start": (1, 2, 4, 7)}
# The short form: cases that are met for certain.
SHORT = [("run", c, e, n) for c, e, n in (
    ("write", "EIO", 1), ("write", "ENOSPC", 2), ("write", "retval=0", 1),
    ("fdatasync", "EIO", 1), ("fdatasync", "EDQUOT", 3),
    ("fdatasync", "EINTR", 2), ("newfstatat", "EIO", 2),
    ("openat", "EIO", 1), ("fsync", "EIO", 1), ("renameat2", "EIO", 1),
    ("sendmsg", "ENOMEM", 3), ("recvmsg", "EINTR", 2),
    ("epoll_wait", "EINTR", 2))] + [("start", c, e, n) for c, e, n in (
        ("openat", "EIO", 4), ("pread64", "EIO", 1), ("fdatasync", "EIO", 1),
        ("write", "ENOSPC", 1))]


def long_form():
    return [(kind, call, err, n) for kind, table in (("run", RUN),
                                                     ("start", START))
            for call, errs in table for err in errs for n in AT[kind]]


class Case:
    def __init__(self, kind, call, err, n):
        self.kind, self.call, self.err, self.n = kind, call, err, n
        self.met = self.died = self.restarted = False
        self.answers = collections.Counter()
        self.errors = []

    def __str__(self):
        return "%s %s %s at %d" % (self.kind, self.call, self.err, self.n)


class Strace:
    """One injection into a process and all that it starts."""

    def __init__(self, pid, case, path, only=()):
        what = case.err if "=" in case.err else "error=" + case.err
        self.path = path
        cmd = ["strace", "-f", "-o", path, "-e", "trace=" + case.call,
               "-e", "inject=%s:%s:when=%d" % (case.call, what, case.n)]
        for p in only:
            cmd += ["-P", p]
        self.p = subprocess.Popen(cmd + ["-p", str(pid)], text=True,
                                  stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL)
        line = self.p.stderr.readline()
        if "attached" not in line:
            self.stop()
            raise axlib.TestError("strace cannot attach: " + line.strip())
        threading.Thread(target=self.p.stderr.read, daemon=True).start()

    def met(self):
        with open(self.path, errors="replace") as f:
            return "(INJECTED)" in f.read()

    def stop(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGINT)
            try:
                self.p.wait(20)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()


class Bench:
    """One daemon for all cases, and the clients' logs since its start."""

    def __init__(self, build=None, clients=6):
        self.d = axlib.Daemon(build=build, CONFINEMENT="errno",
                              HTTP_WORKERS=1, RESTART_BURST=0,
                              RESTART_DELAY_MAX=1)
        self.clients = [crash.Client(self.d, i, "inject")
                        for i in range(clients)]
        for c in self.clients:
            c.timeout = 6  # an answer whose sending failed does not come
        self.count, self.closed = 0, {}

    def write_request(self, c, case):
        self.count += 1
        rid = "c%d-%d" % (c.n, self.count)
        p = os.path.join(self.d.files, rid)
        a = crash.Asked(rid, "file_ops", {"operation": "write", "path": p,
                                          "content": rid}, p)
        c.log.append(a)
        c.send(a)
        case.answers["none" if a.status is None else
                     "200" if a.status == 200 else
                     "%d %s" % (a.status, a.code)] += 1
        return a.status

    def load(self, case, each=3):
        def run(c):
            for _ in range(each):
                self.write_request(c, case)

        ts = [threading.Thread(target=run, args=(c,)) for c in self.clients]
        for t in ts:
            t.start()
        try:
            # opens, renames, syncs folders, reserves; compressed afterwards
            self.d.post("/v1/audit/archive", token=self.d.admin_token,
                        timeout=6)
        except OSError:
            pass
        for t in ts:
            t.join(60 * axlib.SLOW)

    def audit_pid(self):
        return axlib.wait_until(lambda: self.d.procs().get("audit"), 30,
                                "an audit process")[0]

    def well(self, case):
        """Waits until requests run again."""
        def ok():
            if not self.d.running():
                case.restarted = True
                self.d.proc = None
                self.d.start(ready=False)
            return self.write_request(self.clients[0], Case(
                "", "", "", 0)) == 200
        axlib.wait_until(ok, 60, "requests to be answered after " + str(case),
                         0.05)
        axlib.wait_until(lambda: self.d.metric("archillx_gate_open_permits")
                         == 0, 60, "open permits to end")

    def one_run(self, case):
        pid = self.audit_pid()
        st = Strace(pid, case, os.path.join(self.d.base, "strace"))
        try:
            self.load(case)
            # compressing comes after the next checkpoint
            end = time.monotonic() + 1.2 * axlib.SLOW
            while not st.met() and axlib.alive(pid) and \
                    time.monotonic() < end:
                time.sleep(0.05)
            case.met = st.met()
        finally:
            st.stop()
        case.died = not axlib.alive(pid)

    def one_start(self, case):
        e = self.d.evidence
        only = [e] + [os.path.join(e, x) for x in (
            "security_audit.jsonl", "archive", "recovered", ".gate", ".lock",
            ".gate/snapshot.json")]
        pid = self.audit_pid()
        st = Strace(self.d.pid, case, os.path.join(self.d.base, "strace"),
                    only)
        try:
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 3 * axlib.SLOW

            def through():
                return st.met() or not self.d.running() or (
                    self.d.procs().get("audit", [pid]) != [pid] and
                    self.d.metric("archillx_gate_open") == 1)
            while time.monotonic() < end:
                try:
                    if through():
                        break
                except OSError:
                    pass
                time.sleep(0.02)
            case.met = st.met()
        finally:
            st.stop()  # or every process that follows would meet it as well
        self.load(case, 1)

    def do(self, case):
        getattr(self, "one_" + case.kind)(case)
        self.well(case)
        v = crash.Verdict()
        rows = crash.read_lines(self.d, v, self.closed)
        books = crash.Books(rows, v)
        asked = [a for c in self.clients for a in c.log]
        crash.check_answers(asked, books, v)
        crash.check_effects(self.d, asked, books, v)
        case.errors = v.errors
        return case

    def end(self):
        """Clean stop; what the second verifier finds."""
        self.d.wait_ready(60)
        if self.d.stop() != 0:
            return ["the clean stop failed"]
        r = verify.verify(self.d.evidence, [self.d.vkey])
        if r.code != 0:
            return ["second verifier: %d: %s" % (r.code, r.findings[:5])]
        if r.uncovered:
            return ["%d lines are under no checkpoint" % r.uncovered]
        print("inject: %d lines, all under the last checkpoint" % r.lines)
        return []


def run(cases, build=None, say=print):
    """(list of done cases, errors)"""
    bench = Bench(build)
    done, errors = [], []
    try:
        for i, (kind, call, err, n) in enumerate(cases, 1):
            case = Case(kind, call, err, n)
            bench.do(case)
            done.append(case)
            errors += ["%s: %s" % (case, e) for e in case.errors]
            say("inject: %d/%d %s: %s%s" % (
                i, len(cases), case, "met" if case.met else "not met",
                ", %d errors" % len(case.errors) if case.errors else ""))
            if len(errors) > 20:
                break
        errors += bench.end()
    except axlib.TestError as e:
        errors.append("%s\n%s" % (e, bench.d.log_tail(30)))
    if errors:
        bench.d.keep = True
        errors.append("kept: " + bench.d.base)
    bench.d.close()
    return done, errors


def table(done):
    """By call, in the form of docs/FAULTS.md."""
    by = collections.OrderedDict()
    for c in done:
        by.setdefault((c.kind, c.call), []).append(c)
    out = ["| when | call | errors | cases | met | gate died | service "
           "started again | answers 200 / refused / none | violations |",
           "|---|---|---|---|---|---|---|---|---|"]
    for (kind, call), cs in by.items():
        n = collections.Counter()
        for c in cs:
            for k, v in c.answers.items():
                n["200" if k == "200" else
                  "none" if k == "none" else "refused"] += v
        out.append("| %s | `%s` | %s | %d | %d | %d | %d | %d / %d / %d | %d |"
                   % (kind, call, ", ".join(dict.fromkeys(
                       c.err for c in cs)), len(cs),
                      sum(c.met for c in cs), sum(c.died for c in cs),
                      sum(c.restarted for c in cs), n["200"], n["refused"],
                      n["none"], sum(len(c.errors) for c in cs)))
    out.append("| all | | | %d | %d | %d | %d | | %d |" % (
        len(done), sum(c.met for c in done), sum(c.died for c in done),
        sum(c.restarted for c in done), sum(len(c.errors) for c in done)))
    return "\n".join(out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build")
    ap.add_argument("--short", action="store_true")
    ap.add_argument("--only", help="these calls, with commas between")
    ap.add_argument("--kind", choices=("run", "start"))
    ap.add_argument("--table", help="write the table here, too")
    args = ap.parse_args()
    cases = [c for c in (SHORT if args.short else long_form())
             if (not args.only or c[1] in args.only.split(","))
             and args.kind in (None, c[0])]
    t0 = time.monotonic()
    done, errors = run(cases, args.build, lambda s: print(s, flush=True))
    print(table(done))
    if args.table:
        with open(args.table, "w") as f:
            f.write(table(done) + "\n")
    for e in errors:
        print("inject: FAIL: " + e)
    print("inject: %d cases in %.0f s, %d errors" % (
        len(done), time.monotonic() - t0, len(errors)))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
