#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""make bench: what matters to users, measured, as ratios taken
in one run on one machine.  Prints; judges nothing; never fails on time.

Everything is measured in short turns that alternate with what it is compared
with, so that a noisy machine is noisy to both; the figures are medians of the
turns.  All traffic is on 127.0.0.1 and bounded.

usage: bench.py [--turns N] [--seconds N] [--sustain SECONDS] [ONLY...]
                [--rows N,N,N]
       ONLY: http invoke sustain decisions stall
             code memory start rows verify
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "api"))
import axlib  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
NGINX_CONF = """
worker_processes 1;
daemon off;
pid %(dir)s/pid;
error_log %(dir)s/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p;
    fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u;
    scgi_temp_path %(dir)s/s;
    server { listen 127.0.0.1:%(port)d; location / { return 200 "ok"; } }
}
"""


def say(fmt="", *args):
    print(fmt % args if args else fmt, flush=True)


def med(values):
    return statistics.median(values) if values else float("nan")


def spread(values):
    return "%s..%s" % (num(min(values)), num(max(values)))


def num(v):
    if v >= 1000:
        return "{:,.0f}".format(v).replace(",", " ")
    return "%.1f" % v if v >= 10 else "%.2f" % v


def wrk(url, seconds, connections, lua=None, headers=(), env=None):
    """(requests/s, p50 ms, p99 ms, bad answers) of one bounded run."""
    cmd = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--latency"]
    for h in headers:
        cmd += ["-H", h]
    if lua:
        cmd += ["-s", os.path.join(HERE, lua)]
    r = subprocess.run(cmd + [url], capture_output=True, text=True,
                       env={**os.environ, **(env or {})})
    out = r.stdout + r.stderr
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if not rate:
        raise axlib.TestError("wrk: " + out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    err = re.search(r"Socket errors: (.*)", out)
    if err:
        say("    wrk: socket errors: %s", err.group(1))
    if "first bad" in out:
        say("    %s", [x for x in out.splitlines() if "first bad" in x][0])
    return (float(rate.group(1)), ms(out, 50), ms(out, 99),
            int(bad.group(1)) if bad else 0)


def ms(out, pct):
    m = re.search(r"^\s+%d%%\s+([\d.]+)(us|ms|s)" % pct, out, re.M)
    if not m:
        return float("nan")
    return float(m.group(1)) * {"us": 1e-3, "ms": 1, "s": 1e3}[m.group(2)]


class Nginx:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ax-nginx-")
        os.chmod(self.dir, 0o755)
        self.port = axlib.free_port()
        conf = os.path.join(self.dir, "conf")
        with open(conf, "w") as f:
            f.write(NGINX_CONF % {"dir": self.dir, "port": self.port})
        self.p = subprocess.Popen(["nginx", "-c", conf, "-e",
                                   self.dir + "/error.log"],
                                  stderr=subprocess.DEVNULL)
        import socket
        axlib.wait_until(lambda: socket.create_connection(
            ("127.0.0.1", self.port), 1).close() or True, 10, "nginx")
        self.url = "http://127.0.0.1:%d/" % self.port

    def close(self):
        self.p.terminate()
        self.p.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


def have(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        say("  skipped: not installed: %s (Debian packages wrk, nginx-light)",
            ", ".join(missing))
    return not missing


def bench_http(a):
    say("\n== HTTP: requests/s per http worker, 64 connections, beside nginx "
        "`return 200` with one worker")
    if not have("wrk", "nginx"):
        return
    d, ng = daemon(), Nginx()
    got = {"nginx": [], "live": [], "audit": []}
    try:
        for i in range(120):
            d.invoke("file_ops", {"operation": "exists", "path": d.files})
        d.wait_projected()
        auth = ["Authorization: Bearer " + d.api_key]
        for _ in range(a.turns):
            got["nginx"].append(wrk(ng.url, a.seconds, 64)[0])
            got["live"].append(wrk(d.url + "/v1/live", a.seconds, 64)[0])
            got["audit"].append(wrk(d.url + "/v1/audit?limit=50", a.seconds,
                                    64, headers=auth)[0])
    finally:
        ng.close()
        d.close()
    n = med(got["nginx"])
    say("  nginx return 200          %10s  (%s)", num(n),
        spread(got["nginx"]))
    for k, path, goal in (("live", "GET /v1/live", "0.50 now, 1.00 later"),
                          ("audit", "GET /v1/audit?limit=50", None)):
        say("  %-24s  %10s  (%s)  %.2f x nginx%s", path, num(med(got[k])),
            spread(got[k]), med(got[k]) / n,
            "  [aim %s]" % goal if goal else "")


def floor(d, seconds, clients=()):
    prog = os.path.join(d.build, "test", "load", "fsync_floor")
    r = subprocess.run([prog, d.base, str(seconds)] + list(map(str, clients)),
                       capture_output=True, text=True, check=True)
    return {k: float(v) for k, v in (x.split() for x in
                                     r.stdout.splitlines())}


def exists(d, seconds, connections):
    return wrk(d.url + "/v1/skills/invoke", seconds, connections,
               lua="exists.lua", env={"AX_TOKEN": d.admin_token,
                                      "AX_PATH": d.files})


def bench_invoke(a):
    say("\n== Recorded invocations/s of file_ops exists (two durable lines "
        "each), beside the machine's own fdatasync")
    if not have("wrk"):
        return
    d = daemon()
    rates = {1: [], 16: [], 64: []}
    floors, lat, bad = [], {}, 0
    try:
        for _ in range(a.turns):
            floors.append(floor(d, max(1, a.seconds // 2)))
            for c in rates:
                r, p50, p99, b = exists(d, a.seconds, c)
                rates[c].append(r)
                lat.setdefault(c, []).append((p50, p99))
                bad += b
        syncs = d.metric("archillx_journal_syncs_total")
        records = d.metric("archillx_journal_records_total")
    finally:
        d.close()
    alone = med([f["alone"] for f in floors])
    say("  fdatasync alone           %10s /s", num(alone))
    for c in rates:
        g = med([f["group_%d" % c] for f in floors])
        r = med(rates[c])
        say("  %2d connections            %10s /s  (%s)  p50 %.2f p99 %.2f ms"
            "  %.2f x alone  %.2f x bare group commit (%s)", c, num(r),
            spread(rates[c]), med([x[0] for x in lat[c]]),
            med([x[1] for x in lat[c]]), r / alone, r / g, num(g))
    say("  lines per group commit, mean: %.1f; answers that were not 200: %d",
        records / max(1, syncs), bad)


IN_FLIGHT = (1, 8, 64, 256)


def bench_decisions(a):
    say("\n== Recorded decisions/s at so many in flight, beside the bare group "
        "commit of as many clients (same disk, same run)")
    if not have("wrk"):
        return
    kinds = (("blocked: one line", {"GOVERNOR_MODE": "hard_block",
                                    "RISK_BLOCK_THRESHOLD": 1,
                                    "RISK_WARN_THRESHOLD": 1}, 1),
             ("run: two lines, two commits", {}, 2))
    got = {(k, c): [] for k, _, _ in kinds for c in IN_FLIGHT}
    floors = {c: [] for c in IN_FLIGHT}
    ds = [(k, daemon(**cfg), lines) for k, cfg, lines in kinds]
    try:
        for _ in range(a.turns):
            for c in IN_FLIGHT:
                floors[c].append(floor(ds[0][1], max(1, a.seconds // 2),
                                       [c])["group_%d" % c])
                for k, d, _ in ds:
                    n = d.metric("archillx_journal_records_total")
                    t = time.monotonic()
                    r, p50, p99, _ = exists(d, a.seconds, c)
                    n = d.metric("archillx_journal_records_total") - n
                    got[k, c].append((r, p50, p99,
                                      n / (time.monotonic() - t)))
    finally:
        for _, d, _ in ds:
            d.close()
    for k, _, lines in kinds:
        for c in IN_FLIGHT:
            v = list(zip(*got[k, c]))
            g = med(floors[c])
            say("  %-28s %3d in flight %9s /s (%s)  p50 %.2f p99 %.2f ms  "
                "records %.2f x bare (%s)%s", k, c, num(med(v[0])),
                spread(v[0]), med(v[1]), med(v[2]), med(v[0]) * lines / g,
                num(g), "  [aim 10 000/s, p99 15 ms, 0.5]" if c == 64 else "")
            if med(v[3]) < .7 * med(v[0]) * lines:
                say("    but only %s records/s were counted", num(med(v[3])))


def steady(d, until, out):
    """One client on one connection: (when, how long in ms) of every answer."""
    c = d.connection()
    while time.perf_counter() < until:
        t = time.perf_counter()
        r = d.request("POST", "/v1/skills/invoke", body='{"name":"file_ops",'
                      '"inputs":{"operation":"exists","path":"%s"}}' % d.files,
                      token=d.admin_token, conn=c,
                      headers={"Content-Type": "application/json"})
        out.append((t, (time.perf_counter() - t) * 1e3))
        if r.status != 200:
            raise axlib.TestError("not recorded: %r" % r)
    c.close()


def bench_stall(a):
    say("\n== The gate while a segment is rotated and compressed: answer times "
        "of one steady client, POST /v1/audit/archive in the middle")
    if not have("wrk"):
        return
    d = daemon()
    calm, around, sizes = [], [], []
    try:
        for _ in range(a.turns * 2):
            exists(d, a.seconds, 64)    # something to compress
            sizes.append(os.path.getsize(os.path.join(
                d.evidence, "security_audit.jsonl")) / 1e6)
            got, t = [], time.perf_counter()
            th = threading.Thread(target=steady, args=(d, t + 4, got))
            th.start()
            time.sleep(1)
            at = time.perf_counter()
            r = d.post("/v1/audit/archive", token=d.admin_token)
            th.join()
            if r.status != 200 or not r.json()["rotated"]:
                raise axlib.TestError("not archived: %r" % r)
            calm += [x for s, x in got if s + x / 1e3 < at]
            around += [x for s, x in got if s + x / 1e3 >= at]
    finally:
        d.close()
    say("  segments of %.0f MB, compressed while the client goes on",
        med(sizes))
    for name, v in (("before", calm), ("rotating, compressing", around)):
        say("  %-24s  p50 %.2f  p99 %.2f  p99.9 %.2f  p100 %.2f ms  (%d "
            "answers)%s", name, pct(v, 50), pct(v, 99), pct(v, 99.9), max(v),
            len(v), "  [aim p100 < 50 ms]" if v is around else "")


def bench_sustain(a):
    say("\n== Sustained: file_ops exists at 64 connections for %d s with the "
        "projection", a.sustain)
    if not have("wrk"):
        return
    for name, cfg in (("with projection", {}),):
        d = daemon(**cfg)
        try:
            r, p50, p99, bad = exists(d, a.sustain, 64)
            t0 = time.monotonic()
            behind = d.metric("archillx_journal_seq") - \
                d.metric("archillx_store_seq")
            axlib.wait_until(
                lambda: d.metric("archillx_store_seq") >=
                d.metric("archillx_journal_seq"), 300, "the projection")
            lag = time.monotonic() - t0
        finally:
            d.close()
        say("  %-24s  %10s /s  p50 %.2f p99 %.2f ms, not 200: %d  "
            "[aim 10 000]", name, num(r), p50, p99, bad)
        say("  projection at the end     %10.0f lines behind, %.2f s  "
            "[aim < 5 s]", behind, lag)
    d = daemon(migrate=False, ready=False)  # no schema: nothing is projected
    try:
        axlib.wait_until(lambda: d.get("/v1/live").status == 200, 20, "start")
        r, p50, p99, bad = exists(d, min(10, a.sustain), 64)
    finally:
        d.close()
    say("  burst without projection  %10s /s  p50 %.2f p99 %.2f ms, not 200: "
        "%d", num(r), p50, p99, bad)


def timed(n, fn):
    out = []
    for _ in range(n):
        t = time.perf_counter()
        fn()
        out.append((time.perf_counter() - t) * 1e3)
    return out


def pct(v, p):
    v = sorted(v)
    return v[min(len(v) - 1, int(len(v) * p / 100))]


def bench_code(a):
    say("\n== code_exec print(1), one at a time, beside bare python3 and plain "
        "bwrap (ms)")
    d = daemon()
    c = d.connection()
    py = ["/usr/bin/python3", "-I", "-S", "-c", "print(1)"]
    bw = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink",
          "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc",
          "/proc", "--dev", "/dev", "--"] + py

    def run(cmd):
        return lambda: subprocess.run(cmd, capture_output=True, check=True)

    def ask():
        import json
        r = d.request("POST", "/v1/skills/invoke",
                      json.dumps({"name": "code_exec",
                                  "inputs": {"code": "print(1)"}}),
                      token=d.admin_token, conn=c,
                      headers={"Content-Type": "application/json"})
        assert r.status == 200 and r.json()["success"], r

    got = {"code_exec": [], "bare python3": [], "plain bwrap": []}
    try:
        timed(5, ask)
        for _ in range(a.turns):
            got["bare python3"] += timed(20, run(py))
            try:
                got["plain bwrap"] += timed(20, run(bw))
            except (OSError, subprocess.CalledProcessError) as e:
                say("  plain bwrap does not run here: %s", e)
            got["code_exec"] += timed(20, ask)
    finally:
        d.close()
    base = pct(got["bare python3"], 50)
    for k, v in got.items():
        if v:
            say("  %-24s  p50 %7.2f  p99 %7.2f  %+.2f ms over bare python3%s",
                k, pct(v, 50), pct(v, 99), pct(v, 50) - base,
                "  [aim +10]" if k == "code_exec" else "")


def bench_memory(a):
    say("\n== Resident memory (PSS, MB)")
    d = daemon()
    try:
        def total():
            return {r: sum(axlib.pss_kb(p) for p in ps) / 1024
                    for r, ps in d.procs().items()}
        idle = total()
        for _ in range(200):
            d.invoke("file_ops", {"operation": "exists", "path": d.files})
        for _ in range(10):
            d.invoke("code_exec", {"code": "print(1)"})
            d.get("/v1/audit/summary", token=d.api_key)
        used = total()
    finally:
        d.close()
    for r in sorted(idle):
        say("  %-12s  idle %6.2f  after use %6.2f", r, idle[r], used[r])
    say("  all           idle %6.2f  after use %6.2f  [aim < 30]",
        sum(idle.values()), sum(used.values()))


def bench_start(a):
    say("\n== Start to the first 200 of /v1/live and of /v1/ready (ms)")
    live, ready = [], []
    d = daemon(autostart=False)
    try:
        for _ in range(max(5, a.turns)):
            t = time.perf_counter()
            d.start(ready=False)
            live.append(first(d, "/v1/live", t))
            ready.append(first(d, "/v1/ready", t))
            d.stop()
    finally:
        d.close()
    say("  /v1/live  median %.0f (%s)  [aim 150]", med(live), spread(live))
    say("  /v1/ready median %.0f (%s)", med(ready), spread(ready))


def first(d, path, t):
    def ok():
        return d.get(path).status == 200
    axlib.wait_until(ok, 20, path, interval=0.001)
    return (time.perf_counter() - t) * 1e3


def bench_rows(a):
    prog = os.path.join(axlib.find_build(), "test", "load", "bench_rows")
    if not os.access(prog, os.X_OK):
        raise axlib.TestError("no %s: make check builds it" % prog)
    for hours, what in ((720, "over a month"),
                        (1, "within an hour, as fast as the gate writes")):
        say("\n== The store's queries as rows grow, %s  "
            "[aim: last/first <= 1.5]", what)
        p = subprocess.run([prog, str(hours)] + a.rows.split(","),
                           stdout=subprocess.PIPE, text=True)
        say("%s", p.stdout.rstrip())
        if p.returncode != 0:
            raise axlib.TestError("bench_rows: %d" % p.returncode)


def daemon(**kw):
    return axlib.Daemon(**{"HTTP_WORKERS": 1, "LOG_LEVEL": "WARNING", **kw})


def bench_verify(a):
    say("\n== archillx-verify: records/s over 2 000 000 records, all of them "
        "covered (median of 3)")
    build = axlib.find_build()
    work = tempfile.mkdtemp(prefix="ax-verify-")
    try:
        key = subprocess.run(
            [os.path.join(build, "test/load/make_log"), work, "2000000"],
            capture_output=True, text=True, check=True).stdout.strip()
        rates, cpu = [], []
        for _ in range(3):
            t = time.perf_counter()
            p = subprocess.Popen(
                [os.path.join(build, "daemon/verify/archillx-verify"),
                 "--key", key, "--json", work], stdout=subprocess.PIPE)
            out = p.stdout.read()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            if p.returncode != 0 or b'"verified": 2000000' not in out:
                raise axlib.TestError("archillx-verify: %r" % out)
            rates.append(2e6 / (time.perf_counter() - t))
            cpu.append(2e6 / (usage.ru_utime + usage.ru_stime))
        say("  verified a second         %10s  (%s)  [aim 500 000]",
            num(med(rates)), spread(rates))
        say("  a second of one CPU       %10s  (%s)", num(med(cpu)),
            spread(cpu))
    finally:
        shutil.rmtree(work, ignore_errors=True)


ALL = {"http": bench_http, "invoke": bench_invoke, "sustain": bench_sustain,
       "decisions": bench_decisions, "stall": bench_stall,
       "code": bench_code, "memory": bench_memory, "start": bench_start,
       "rows": bench_rows, "verify": bench_verify}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--turns", type=int, default=5)
    ap.add_argument("--seconds", type=int, default=3)
    ap.add_argument("--sustain", type=int, default=60)
    ap.add_argument("--rows", default="1000,100000,10000000")
    ap.add_argument("only", nargs="*", choices=list(ALL) + [[]])
    a = ap.parse_args()
    say("ArcHillx, %d cores, %s", os.cpu_count(), os.uname().release)
    say("build %s", axlib.find_build())
    for name in a.only or ALL:
        try:
            ALL[name](a)
        except axlib.TestError as e:
            say("  could not be measured: %s", e)
    return 0


if __name__ == "__main__":
    sys.exit(main())
