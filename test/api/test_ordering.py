# SPDX-License-Identifier: ISC
"""Promise P1, ordering: seen from the kernel's side, by strace on the audit
process, no permit and no answer leaves it before an fdatasync that returned 0
has followed the write of the line it rests on.

The same check must fail on a build whose fdatasync does nothing: a check that
passes there would prove nothing.
"""
import ast
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import threading

import pytest

import axlib

pytestmark = [pytest.mark.root, pytest.mark.heavy]
CALLS = "write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,sendmsg"
GS_DONE, GS_NOT_RECORDED, GS_INTERRUPTED = "GS_DONE", "GS_NOT_RECORDED", \
    "GS_INTERRUPTED"


def enum_of(header, first):
    """Names of a C enum, in order, by the name of its first member."""
    with open(os.path.join(axlib.SRC, header)) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    body = text[text.index(first):]
    body = body[:body.index("}")]
    return [x.strip() for x in body.split(",") if x.strip()]


MSG = enum_of("common/messages.h", "MSG_NONE")
STATUS = enum_of("common/messages.h", "GS_DONE")


def unescape(s):
    """A string of strace -xx."""
    return ast.literal_eval('b"%s"' % s)


class Body:
    def __init__(self, data):
        self.d, self.at = data, 0

    def num(self, fmt):
        v, = struct.unpack_from("=" + fmt, self.d, self.at)
        self.at += struct.calcsize("=" + fmt)
        return v

    def str(self):
        n = self.num("I")
        if n == 0xffffffff:
            return None
        v = self.d[self.at:self.at + n]
        self.at += n + 1
        return v


def gate_result(data):
    b = Body(data)
    status = STATUS[b.num("B")]
    b.num("B")
    b.str()
    b.num("I")
    b.str()
    return status, b.num("Q"), b.num("Q")


class Watch:
    """Replays a trace: which lines are written, which of them are durable."""

    def __init__(self):
        self.pending = {}  # path -> lines written and not yet synced
        self.decisions, self.outcomes, self.seqs = set(), set(), set()
        self.sent, self.errors = {}, []
        self.partial = b""

    def wrote(self, path, data):
        *lines, self.partial = (self.partial + data).split(b"\n")
        self.pending.setdefault(path, []).extend(map(json.loads, lines))

    def synced(self, path):
        for row in self.pending.pop(path, []):
            self.seqs.add(row["seq"])
            if row["kind"] == "decision":
                self.decisions.add(row["permit"])
            elif row["kind"] == "outcome":
                self.outcomes.add(row["permit"])

    def sends(self, data):
        if len(data) < 16:
            return
        t, flags, _, _ = struct.unpack_from("=HHIQ", data)
        name = MSG[t] if t < len(MSG) else None
        if flags or name not in ("MSG_EXEC", "MSG_FILE_OP",
                                 "MSG_GATE_RESULT"):
            return
        self.sent[name] = self.sent.get(name, 0) + 1
        body = data[16:]
        if name != "MSG_GATE_RESULT":
            permit, = struct.unpack_from("=Q", body)
            if permit not in self.decisions:
                self.errors.append("%s of permit %d before its decision was "
                                   "durable" % (name, permit))
            return
        status, permit, seq = gate_result(body)
        if status in (GS_DONE, GS_INTERRUPTED):
            if permit not in self.outcomes:
                self.errors.append("answer %s of permit %d before its outcome"
                                   " was durable" % (status, permit))
        elif seq and seq not in self.seqs:
            self.errors.append("answer %s before line %d was durable"
                               % (status, seq))
        self.sent[status] = self.sent.get(status, 0) + 1


STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
FD = re.compile(r"\d+<((?:\\x[0-9a-f]{2})*)>")
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\)\s+= (-?\d+)")


def replay(path):
    w = Watch()
    with open(path, errors="replace") as f:
        for line in f:
            m = CALL.match(line)
            if not m:
                continue
            call, args, ret = m.group(1), m.group(2), int(m.group(3))
            if ret < 0:
                continue
            m = FD.match(args)
            path = unescape(m.group(1)) if m else b""
            journal = path.endswith(b".jsonl")
            if call in ("fdatasync", "fsync"):
                if ret == 0 and journal:
                    w.synced(path)
                continue
            data = b"".join(unescape(s) for s, cut in STRING.findall(args)
                            if not cut)
            if call == "sendmsg":
                w.sends(data)
            elif journal:
                w.wrote(path, data[:ret])
    return w


class Strace:
    def __init__(self, pid, path):
        self.p = subprocess.Popen(
            ["strace", "-f", "-y", "-v", "-xx", "-s", "40000", "-e",
             "trace=" + CALLS, "-o", path, "-p", str(pid)],
            stderr=subprocess.PIPE, text=True)
        line = self.p.stderr.readline()
        if "attached" not in line:
            self.p.kill()
            pytest.skip("strace can't attach here: " + line.strip())
        threading.Thread(target=self.p.stderr.read, daemon=True).start()

    def stop(self):
        self.p.send_signal(signal.SIGINT)
        self.p.wait(20)


def traced_run(ax):
    """Some of everything, alone and concurrently, under strace."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    path = os.path.join(ax.base, "strace")
    st = Strace(ax.procs()["audit"][0], path)
    try:
        for i in range(10):
            ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
            ax.invoke("code_exec", {"code": "print(%d)" % i})
            ax.invoke("no_such_skill", {})
            ax.invoke("file_ops", {"operation": "exists"})
        ts = [threading.Thread(target=lambda: [
            ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
            for _ in range(20)]) for _ in range(8)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
    finally:
        st.stop()
    return replay(path)


def enough(w):
    assert w.sent.get("MSG_EXEC", 0) >= 10, w.sent
    assert w.sent.get("MSG_FILE_OP", 0) >= 170, w.sent
    assert w.sent.get("GS_DONE", 0) >= 180, w.sent


def test_nothing_leaves_before_its_line_is_durable(make_ax):
    w = traced_run(make_ax())
    enough(w)
    assert w.errors == []
    assert w.pending == {}


def test_the_check_fails_when_fdatasync_is_stubbed(make_ax):
    build = axlib.test_build("AX_FAULT_IO")
    w = traced_run(make_ax(build=build, env={"AX_FAULT": "fdatasync=stub"}))
    enough(w)
    assert len(w.errors) >= 300
    assert not w.seqs


def test_decisions_share_a_commit(make_ax):
    """Group commit: 64 at once cost far fewer syncs than one each."""
    ax = make_ax()
    n0 = ax.metric("archillx_journal_syncs_total")
    r0 = ax.metric("archillx_journal_records_total")
    ts = [threading.Thread(target=lambda: [
        ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
        for _ in range(10)]) for _ in range(32)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    syncs = ax.metric("archillx_journal_syncs_total") - n0
    records = ax.metric("archillx_journal_records_total") - r0
    assert records >= 640
    assert syncs < records / 1.5, (syncs, records)
