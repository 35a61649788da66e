#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Kills every process of a loaded ArcHillx at random moments and then holds
the journal against what the clients saw.

Clients keep a log of every request: what was asked, when, what came back.
A killer sends SIGKILL to a random process (each worker and the parent), as
often as --kills says, and starts the parent again when it was the parent.
Now and then the live file is closed on request, so that rotation and archiving
are cut short as well. After every 25 kills all checkpoints that were seen are
held against the journal. Then, from the journal alone and the clients' log:

 1. every line is whole and valid, seq is consecutive from 1, no line twice;
 2. every permit has one decision, before its one outcome;
 3. every answer a client got about a run has its decision and its outcome,
    written before the answer was read, and they say the same;
 4. everything that happened outside (a file) has an approved decision;
 5. what was answered "nothing started" left no trace outside;
 6. one idempotency key ran at most once, however often it was sent;
 7. runs cut short are recorded as such, and there were some;
 8. nothing of any sandbox is left;
 9. every checkpoint that was ever on the disk is one of this journal, none was
    smaller than one seen before, and after the clean stop the second verifier
    (test/evidence) finds nothing wrong, with each of them as one kept
    elsewhere, and no line uncovered.

More kills than --round are done in rounds, each with a service and a journal of
its own, --jobs of them at a time; --state keeps their counts, so that a run
that was broken off goes on. The last thing printed is the table of docs/CRASH.md.

usage: crash.py [--build DIR] [--kills N] [--clients N] [--seed N]
	[--round N] [--jobs N] [--state FILE]
"""
import argparse
import collections
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "api"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "evidence"))
import axlib  # noqa: E402
import tlog  # noqa: E402
import verify  # noqa: E402

# What cuts a run short, in context.state of an outcome.
CUT = ("interrupted", "not_started")
# Codes that promise that nothing was started.
NOT_STARTED = ("AUDIT_UNAVAILABLE", "GATE_BUSY", "BUSY", "OVERLOADED",
               "RATE_LIMITED", "UNAUTHORIZED")


class Asked:
    """One request of a client."""
    __slots__ = ("rid", "key", "kind", "inputs", "path", "status", "body",
                 "code", "done_at")

    def __init__(self, rid, kind, inputs, path=None, key=None):
        self.rid, self.kind, self.inputs = rid, kind, inputs
        self.path, self.key = path, key
        self.status = self.body = self.code = self.done_at = None


class Client(threading.Thread):
    timeout = 30

    def __init__(self, d, n, seed):
        super().__init__(daemon=True)
        self.d, self.n = d, n
        self.rng = random.Random("%s/%d" % (seed, n))
        self.log = []
        self.stop = threading.Event()
        self.conn = None

    def next_asked(self, i):
        rid = "c%d-%d" % (self.n, i)
        what = self.rng.random()
        if what < 0.45:
            p = os.path.join(self.d.files, rid)
            return Asked(rid, "file_ops", {"operation": "write", "path": p,
                                           "content": rid}, p,
                         key=rid if self.rng.random() < 0.5 else None)
        if what < 0.75:
            return Asked(rid, "file_ops",
                         {"operation": "exists", "path": self.d.files})
        wait = self.rng.choice((0, 0, 0.05, 0.3))
        code = "import time; time.sleep(%r); print(%r)" % (wait, rid)
        return Asked(rid, "code_exec", {"code": code})

    def send(self, a):
        """One try on our kept connection; True when an answer came."""
        head = {"Authorization": "Bearer " + self.d.admin_token,
                "Content-Type": "application/json", "X-Request-Id": a.rid}
        if a.key:
            head["Idempotency-Key"] = a.key
        body = json.dumps({"name": a.kind, "inputs": a.inputs})
        try:
            if self.conn is None:
                self.conn = http.client.HTTPConnection(
                    "127.0.0.1", self.d.port, timeout=self.timeout * axlib.SLOW)
            self.conn.request("POST", "/v1/skills/invoke", body, head)
            r = self.conn.getresponse()
            data = r.read()
        except (OSError, http.client.HTTPException):
            self.conn.close()
            self.conn = None
            return False
        a.done_at = time.time()
        a.status = r.status
        try:
            a.body = json.loads(data)
            det = a.body.get("detail")
            a.code = det.get("code") if isinstance(det, dict) else None
            if a.kind == "file_ops" and r.status == 200:
                # what is judged later; there may be very many
                a.body = {k: a.body.get(k) for k in ("success", "error")}
        except ValueError:
            a.code = "not JSON: %r" % data[:200]
        return True

    def run(self):
        i = 0
        while not self.stop.is_set():
            i += 1
            a = self.next_asked(i)
            tries = 5 if a.key else 1
            for _ in range(tries):
                # each try is logged: an answer of any of them must hold
                t = Asked(a.rid, a.kind, a.inputs, a.path, a.key)
                self.log.append(t)
                if self.send(t) and t.status < 500:
                    break
                if self.stop.wait(self.rng.random() * 0.3):
                    break
            if self.log[-1].status is None or self.log[-1].status >= 500:
                self.stop.wait(0.05)


class Killer:
    def __init__(self, d, rng, seen):
        self.d, self.rng, self.seen = d, rng, seen
        self.closed = 0
        self.count = collections.Counter()
        self.starting = False
        self.parents = {d.pid}

    def victim(self):
        procs = self.d.procs()
        # the archiver lives for milliseconds only
        roles = sorted(r for r in procs
                       if r in axlib.ROLES or r == "archiver")
        if len(roles) < 2:
            return None
        # the parent costs a whole start: less often than the others
        w = [0.5 if r == "parent" else 2.0 if r in ("audit", "notary")
             else 20.0 if r == "archiver" else 1.0 for r in roles]
        role = self.rng.choices(roles, w)[0]
        return role, self.rng.choice(procs[role])

    def strike(self):
        v = self.victim()
        if v is None:
            return
        role, pid = v
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.count[role] += 1
        if role == "parent":
            self.d.proc.wait()
            self.start_again()

    def start_again(self):
        """What the service manager does."""
        self.d.proc = None
        self.d.start(ready=False)
        self.starting = True
        self.parents.add(self.d.pid)

    def must_live(self):
        """A start-up fails as a whole when a worker dies during it; apart
        from that the service never ends by itself."""
        if self.d.running():
            return
        if not self.starting or "start-up failed" not in self.d.log_tail(3):
            raise axlib.TestError("archillxd ended by itself: %r\n%s" % (
                self.d.proc.returncode, self.d.log_tail()))
        self.start_again()

    def recovered(self):
        def ready():
            self.must_live()
            return self.d.get("/v1/ready").status == 200
        axlib.wait_until(ready, 60, "the service to recover")
        self.starting = False

    def run(self, kills):
        while sum(self.count.values()) < kills:
            self.must_live()
            self.strike()
            if self.rng.random() < 0.7:
                # let it recover, and then hit it under load
                self.recovered()
                self.seen.look()
                if self.rng.random() < 0.25:
                    self.close_file()
                time.sleep(self.rng.random() * 0.15)
            else:
                time.sleep(self.rng.random() * 0.1)
            n = sum(self.count.values())
            if n % 25 == 0 and n and self.seen.at != n:
                self.seen.at = n
                self.seen.check()
                print("crash: %d kills" % n, flush=True)

    def close_file(self):
        """Rotation, and for half of the times the archiver's work: waits for
        it to be there, so that it can be hit."""
        try:
            r = self.d.post("/v1/audit/archive", token=self.d.admin_token)
        except (OSError, http.client.HTTPException):
            return
        self.closed += r.status == 200
        end = time.monotonic() + (1.5 if self.rng.random() < 0.3 else 0)
        while time.monotonic() < end:
            if "archiver" in self.d.procs():
                return
            time.sleep(0.002)


class Checkpoints:
    """Every checkpoint that was seen on the disk, held against the journal."""

    def __init__(self, d):
        self.d, self.roots, self.newest, self.at = d, {}, 0, 0
        self.unchecked, self.leaves, self.errors = {}, {}, []
        self.checked = 0
        self.folder = os.path.join(d.base, "seen")
        os.mkdir(self.folder)

    def look(self):
        try:
            with open(os.path.join(self.d.evidence, "log", "checkpoint"),
                      "rb") as f:
                data = f.read()
        except FileNotFoundError:
            if self.newest:
                self.errors.append("checkpoint %d is gone" % self.newest)
            return
        try:
            size, root = tlog.checkpoint(data, [self.d.vkey])
        except tlog.Bad as e:
            self.errors.append("a checkpoint that is none: %s: %r" % (e, data))
            return
        if size < self.newest:
            self.errors.append("rolled back from %d to %d" % (self.newest,
                                                              size))
        if self.roots.setdefault(size, root) != root:
            self.errors.append("two checkpoints of size %d" % size)
        elif size not in self.unchecked:
            with open(os.path.join(self.folder, str(size)), "wb") as f:
                f.write(data)
            self.unchecked[size] = root
        self.newest = max(size, self.newest)

    def journal(self):
        """Leaf hashes of all lines; those of closed files are kept."""
        out = []
        for path in self.d.journal_files():
            name = os.path.basename(path)
            key = name[:-4] if name.endswith(".zst") else name
            have = self.leaves.get(key)
            if have is None:
                data = axlib.segment_bytes(path)
                have = [tlog.leaf(x)
                        for x in data[:data.rfind(b"\n") + 1].split(b"\n")
                        [:-1]]
                if key != "security_audit.jsonl":
                    self.leaves[key] = have
            out += have
        return out

    def check(self):
        self.look()

        def long_enough():
            # a file may be closed and renamed while we read
            leaves = self.journal()
            return leaves if len(leaves) >= self.newest else None
        leaves = axlib.wait_until(long_enough, 20, "all lines of checkpoint "
                                  "%d" % self.newest)
        tree = tlog.Tree(leaves)
        for size, root in self.unchecked.items():
            if tree.root(size) != root:
                self.errors.append("checkpoint %d is not of this journal"
                                   % size)
        self.checked += len(self.unchecked)
        self.unchecked = {}

    def end(self):
        """After the clean stop: the second verifier, every 20th of them (and
        the last) as one that was kept elsewhere."""
        sizes = sorted(self.roots)
        old = [os.path.join(self.folder, str(s))
               for s in sizes[::20] + sizes[-1:]]
        r = verify.verify(self.d.evidence, [self.d.vkey], old)
        if r.code != 0:
            self.errors.append("the second verifier says %d: %r" % (
                r.code, r.findings[:5]))
        if r.uncovered:
            self.errors.append("%d lines uncovered after a clean stop"
                               % r.uncovered)
        return self.errors


class Verdict:
    def __init__(self):
        self.errors = []

    def bad(self, fmt, *args):
        self.errors.append(fmt % args)

    def check(self, cond, fmt, *args):
        if not cond:
            self.bad(fmt, *args)


def read_lines(d, v, closed=None):
    """Check 1; every line in the order of its seq.  closed: a dict that keeps
    the lines of closed files from one call to the next."""
    rows = []
    for path in d.journal_files():
        name = os.path.basename(path)
        name = name[:-4] if name.endswith(".zst") else name
        if closed and name in closed:
            rows += closed[name]
            continue
        first = len(rows)
        data = axlib.segment_bytes(path)
        v.check(data == b"" or data.endswith(b"\n"),
                "%s: torn last line %r", path, data[-80:])
        for n, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                row = json.loads(line)
            except ValueError as e:
                v.bad("%s:%d: not JSON (%s): %r", path, n, e, line[:120])
                continue
            v.check(len(line) < 32768, "%s:%d: %d bytes", path, n, len(line))
            rows.append(row)
        if closed is not None and name != "security_audit.jsonl":
            closed[name] = rows[first:]
    seqs = [r.get("seq") for r in rows]
    v.check(seqs == list(range(1, len(rows) + 1)),
            "seq is not 1..%d: %s", len(rows), first_gap(seqs))
    return rows


def first_gap(seqs):
    for want, got in enumerate(seqs, 1):
        if want != got:
            return "at position %d stands %r" % (want, got)
    return "no gap"


def epoch_of(ts):
    import datetime
    t = datetime.datetime.strptime(ts.rstrip("Z"), "%Y-%m-%dT%H:%M:%S.%f")
    return t.replace(tzinfo=datetime.timezone.utc).timestamp()


def state_of(outcome):
    c = outcome.get("context") or {}
    return c.get("state") or c.get("end_state") or ""


def approved(row):
    return row["decision"] in ("APPROVED", "WARNED")


class Books:
    """The journal by permit and by request."""

    def __init__(self, rows, v):
        self.decision, self.outcome = {}, {}
        self.by_rid = collections.defaultdict(list)
        for r in rows:
            if r["kind"] == "decision":
                self.by_rid[r["request_id"]].append(r)
            p = r.get("permit")
            if not p or r["kind"] not in ("decision", "outcome"):
                continue
            book = getattr(self, r["kind"])
            v.check(p not in book, "permit %r: two %ss (seq %r and %r)", p,
                    r["kind"], book.get(p, r)["seq"], r["seq"])
            book[p] = r
        for p, o in self.outcome.items():
            d = self.decision.get(p)
            v.check(d is not None, "permit %r: outcome seq %d without "
                    "decision", p, o["seq"])
            v.check(d is None or d["seq"] < o["seq"],
                    "permit %r: outcome before decision", p)
        for p, d in self.decision.items():
            v.check(not approved(d) or p in self.outcome,
                    "permit %r (seq %d, %s): no outcome", p, d["seq"],
                    d.get("request_id"))


def check_same(a, outcomes, v):
    """The answer says what the outcome says: a run that an executor could no
    longer take fails in both, one that succeeded did so in both."""
    said = a.body.get("success")
    if said is True:
        v.check([o for o in outcomes if state_of(o) == "ok"],
                "%s succeeded, its outcome is %s", a.rid,
                [state_of(o) for o in outcomes])
    else:
        v.check(a.body.get("error"), "%s failed without a word", a.rid)
        v.check([o for o in outcomes if state_of(o) != "ok"],
                "%s failed, its outcome says ok: %r", a.rid, a.body)


def check_answers(asked, books, v):
    """Check 3 for one answered request."""
    for a in asked:
        if a.status != 200:
            continue
        ds = [d for d in books.by_rid[a.rid] if d.get("permit")]
        v.check(ds, "%s was answered 200 and has no decision", a.rid)
        os_ = [books.outcome[d["permit"]] for d in ds
               if d["permit"] in books.outcome]
        v.check(os_, "%s was answered 200 and has no outcome", a.rid)
        for o in os_:
            v.check(epoch_of(o["ts"]) <= a.done_at + 0.001,
                    "%s: outcome of %s after the answer of %r", a.rid,
                    o["ts"], a.done_at)
        check_same(a, os_, v)
        if a.kind == "code_exec" and a.body.get("success"):
            v.check(a.body["output"]["stdout"] == a.rid + "\n",
                    "%s got another's output: %r", a.rid, a.body)


def check_effects(d, asked, books, v):
    """Checks 4 and 5: files are the only thing that shows outside."""
    by_rid = collections.defaultdict(list)
    for a in asked:
        by_rid[a.rid].append(a)
    there = set(os.listdir(d.files))
    # the first half of an atomic write that was cut: never the file itself
    cut = {x for x in there if x.startswith(".archillx-")}
    there -= cut
    v.check(len(cut) <= len(asked) // 20, "%d unfinished files", len(cut))
    for rid in there:
        v.check(rid in by_rid, "file %s that nobody asked for", rid)
        v.check(any(approved(x) and x.get("permit")
                    for x in books.by_rid[rid]),
                "file %s was written without an approved decision", rid)
    for rid, tries in by_rid.items():
        if all(a.status is not None and a.code in NOT_STARTED for a in tries):
            v.check(rid not in there, "%s: nothing started, they said (%s), "
                    "and yet there is a file", rid, tries[0].code)
        for a in tries:
            if a.status == 200 and a.path and a.body.get("success"):
                v.check(rid in there, "%s: written, they said; no file", rid)


def check_keys(asked, books, v):
    """Check 6."""
    for rid in {a.rid for a in asked if a.key}:
        ran = [d["permit"] for d in books.by_rid[rid]
               if d.get("permit") and approved(d) and
               state_of(books.outcome.get(d["permit"], {})) != "not_started"]
        v.check(len(set(ran)) <= 1, "key %s ran %d times: permits %s", rid,
                len(ran), ran)


def sandbox_left(parents):
    """Processes of the sandbox's user in a control group of these parents;
    other services on the machine have sandboxes of their own."""
    pw = axlib.user_exists("launcher")
    if not axlib.cgroups_writable() or pw is None:
        return []
    out = []
    for p in os.listdir("/proc"):
        try:
            if not p.isdigit() or os.stat("/proc/" + p).st_uid != pw.pw_uid \
                    or not axlib.alive(int(p)):
                continue
            with open("/proc/%s/cgroup" % p) as f:
                text = f.read()
        except OSError:
            continue
        m = re.search(r"archillx-(\d+)/", text)
        if m and int(m.group(1)) in parents:
            out.append((int(p), axlib.exe_name(int(p))))
    return out


def settle(d):
    """Everything that was interrupted is back and has ended its permits."""
    d.wait_ready(60)
    axlib.wait_until(lambda: d.metric("archillx_gate_open_permits") == 0, 60,
                     "open permits to end")
    d.wait_projected(60)


def judge(d, clients):
    """Everything that can be said from the journal and the clients' logs."""
    v = Verdict()
    rows = read_lines(d, v)
    books = Books(rows, v)
    asked = [a for c in clients for a in c.log]
    check_answers(asked, books, v)
    check_effects(d, asked, books, v)
    check_keys(asked, books, v)
    failed = [a for a in asked if a.status == 200 and not a.body["success"]]
    v.check(len(failed) <= 2 + len(asked) // 100,
            "%d harmless runs failed: %r", len(failed),
            [a.body for a in failed[:3]])
    return v, rows, books, asked


def battery(d, args):
    rng = random.Random(args.seed)
    clients = [Client(d, i, args.seed) for i in range(args.clients)]
    for c in clients:
        c.start()
    seen = Checkpoints(d)
    killer = Killer(d, rng, seen)
    try:
        killer.run(args.kills)
        killer.recovered()
        seen.check()
    finally:
        for c in clients:
            c.stop.set()
        for c in clients:
            c.join(60 * axlib.SLOW)
    settle(d)
    summary = d.get("/v1/audit/summary", token=d.admin_token).json()["summary"]
    d.stop()
    v, rows, books, asked = judge(d, clients)
    cut = collections.Counter(state_of(o) for o in books.outcome.values())
    v.check(cut["interrupted"] > 0 or args.kills < 100,
            "not one run was interrupted in %d kills", args.kills)
    left = sandbox_left(killer.parents)
    v.check(not left, "sandbox processes left: %s", left)
    v.errors += seen.end()
    v.check(set(killer.count) >= set(axlib.ROLES) or args.kills < 100,
            "not every process was killed: %s", dict(killer.count))
    v.check(summary["total"] > 0, "the projection is empty")
    report(args, killer, asked, rows, cut, d)
    print("crash: %d files closed, %d compressed; %d checkpoints seen, all "
          "checked" % (killer.closed, sum(
              p.endswith(".zst") for p in d.journal_files()), seen.checked))
    if args.counts:
        write_counts(args.counts, killer, asked, rows, cut, seen, v)
    return v.errors


def write_counts(path, killer, asked, rows, cut, seen, v):
    """What the table of docs/CRASH.md is made of."""
    with open(path, "w") as f:
        json.dump({
            "kills": sum(killer.count.values()), "by": dict(killer.count),
            "requests": len(asked), "lines": len(rows),
            "200": sum(a.status == 200 for a in asked),
            "no answer": sum(a.status is None for a in asked),
            "interrupted": cut["interrupted"],
            "not started": cut["not_started"], "closed": killer.closed,
            "checkpoints": seen.checked, "errors": len(v.errors)}, f)


def report(args, killer, asked, rows, cut, d):
    answers = collections.Counter(
        "no answer" if a.status is None else
        "%d %s" % (a.status, a.code or ("" if a.body.get("success")
                                        else "failed")) for a in asked)
    print("crash: seed %s, %d kills: %s" % (
        args.seed, sum(killer.count.values()),
        ", ".join("%s %d" % x for x in sorted(killer.count.items()))))
    print("crash: %d requests: %s" % (
        len(asked), ", ".join("%s: %d" % (k.strip(), n)
                              for k, n in answers.most_common())))
    print("crash: %d lines; outcomes: %s; cut pieces kept: %d" % (
        len(rows), ", ".join("%s %d" % (k or "ran", n)
                             for k, n in cut.most_common()),
        len(os.listdir(os.path.join(d.evidence, "recovered")))
        if os.path.isdir(os.path.join(d.evidence, "recovered")) else 0))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build")
    ap.add_argument("--kills", type=int,
                    default=int(os.environ.get("AX_KILLS", "200")))
    ap.add_argument("--clients", type=int, default=6)
    ap.add_argument("--seed", default=str(int(time.time())))
    ap.add_argument("--round", type=int, default=500)
    ap.add_argument("--jobs", type=int, default=1)
    ap.add_argument("--state")
    ap.add_argument("--counts", help="write this round's counts there")
    args = ap.parse_args()
    if args.build:
        os.environ["AX_BUILD"] = os.path.abspath(args.build)
    if args.kills > args.round or args.state:
        return rounds(args)
    return one_round(args)


def one_round(args):
    d = axlib.Daemon(HTTP_WORKERS=2, RESTART_BURST=0, RESTART_DELAY_MAX=1,
                     SANDBOX_CONCURRENCY=4)
    try:
        errors = battery(d, args)
    except axlib.TestError as e:
        errors = [str(e)]
    if errors:
        d.keep = True
        for e in errors[:40]:
            print("crash: FAIL: %s" % e)
        print("crash: %d errors (seed %s); kept: %s" % (
            len(errors), args.seed, d.base))
    else:
        print("crash: ok")
    d.close()
    return 1 if errors else 0


# ---- many rounds ----

class Total:
    """The counts of all rounds, kept in a file when there is one."""

    def __init__(self, path):
        self.path = path
        self.n = collections.Counter()
        self.by = collections.Counter()
        if path and os.path.exists(path):
            with open(path) as f:
                was = json.load(f)
            self.by.update(was.pop("by"))
            self.n.update(was)

    def add(self, counts, seconds):
        self.by.update(counts.pop("by"))
        self.n.update(counts)
        self.n["rounds"] += 1
        self.n["seconds"] += round(seconds)
        if self.path:
            with open(self.path + ".new", "w") as f:
                json.dump(dict(self.n, by=self.by), f)
            os.rename(self.path + ".new", self.path)

    def table(self):
        n = self.n
        rows = [
            ("kills", "%d in %d rounds, %.1f/s" % (
                n["kills"], n["rounds"],
                n["kills"] / max(1, n["seconds"]))),
            ("of", ", ".join("%s %d" % x for x in sorted(self.by.items()))),
            ("requests", "%d (%d answered 200, %d without an answer)" % (
                n["requests"], n["200"], n["no answer"])),
            ("journal", "%d lines, %d files closed while it ran" % (
                n["lines"], n["closed"])),
            ("runs cut short", "%d interrupted, %d not started" % (
                n["interrupted"], n["not started"])),
            ("checkpoints held against the journal", n["checkpoints"]),
            ("lines lost, actions without a record, roll-backs and all else",
             n["errors"])]
        return "\n".join(["| what | how many |", "|---|---|"] +
                         ["| %s | %s |" % r for r in rows])


def start_round(args, i, kills):
    """One round as a process of its own, its output in a file."""
    out = "%s/crash-%d-%s-%d" % (os.environ.get("AX_TMP", "/tmp"),
                                 os.getpid(), args.seed, i)
    with open(out + ".log", "w") as log:
        p = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--kills", str(kills),
             "--round", str(kills), "--clients", str(args.clients),
             "--seed", "%s.%d" % (args.seed, i), "--counts", out + ".json"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    p.out, p.kills = out, kills
    return p


def finish_round(p, total, seconds):
    """True when it found nothing; else its output is shown and kept."""
    if p.returncode == 0:
        with open(p.out + ".json") as f:
            total.add(json.load(f), seconds)
        os.unlink(p.out + ".json")
        os.unlink(p.out + ".log")
        return True
    with open(p.out + ".log") as f:
        print("".join(f.readlines()[-30:]))
    print("crash: a round failed, see %s.log" % p.out)
    return False


def rounds(args):
    total, running, i = Total(args.state), [], 0
    last, ok = time.monotonic(), True
    while ok or running:
        todo = args.kills - total.n["kills"] - sum(p.kills for p in running)
        while ok and todo > 0 and len(running) < args.jobs:
            i += 1
            running.append(start_round(args, i, min(args.round, todo)))
            todo -= running[-1].kills
        if not running:
            break
        done = [p for p in running if p.poll() is not None]
        for p in done:
            running.remove(p)
            now = time.monotonic()
            ok = finish_round(p, total, now - last) and ok
            last = now
            print("crash: %d of %d kills, %d requests, %d checkpoints" % (
                total.n["kills"], args.kills, total.n["requests"],
                total.n["checkpoints"]), flush=True)
        time.sleep(0 if done else 0.2)
    print(total.table())
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
