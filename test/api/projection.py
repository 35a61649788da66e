# SPDX-License-Identifier: ISC
"""The database against the journal, line by line: every column of every row,
the classes and nodes, every rollup recomputed, the skills' flags, the mark.
Written from the tables' definitions (sql/sqlite/) and the journal's (ARCHITECTURE
section 5) alone.

usage: projection.py EVIDENCE_DIR DATABASE
"""
import calendar
import hashlib
import json
import os
import re
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from axlib import segment_bytes  # noqa: E402

NODE_SHIFT = 40
MINUTE, HOUR, DAY = 60 * 10**6, 3600 * 10**6, 86400 * 10**6


class Mismatch(AssertionError):
    pass


def check(ok, *what):
    if not ok:
        raise Mismatch(" ".join(str(w) for w in what))


def micros(ts):
    m = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z$", ts)
    check(m, "not a time:", ts)
    return calendar.timegm(time.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S")) \
        * 10**6 + int(m.group(2))


def segments(evidence):
    """The journal's files in order; of two forms of one the plain counts."""
    archive = os.path.join(evidence, "archive")
    names = [n for n in os.listdir(archive) if not n.startswith(".")
             and re.search(r"\.jsonl(\.zst)?$", n)] \
        if os.path.isdir(archive) else []
    names = sorted(n for n in names
                   if not (n.endswith(".zst") and n[:-4] in names))
    out = [os.path.join(archive, n) for n in names]
    live = os.path.join(evidence, "security_audit.jsonl")
    return out + ([live] if os.path.exists(live) else [])


def read_segment(path):
    try:
        return segment_bytes(path)
    except FileNotFoundError:  # compressed just now
        return segment_bytes(path + ".zst")


def journal(evidence):
    """(line, what it says) of every whole line, in order; also while segments
    are closed and compressed: what a rename hid is looked for again."""
    seen, hidden = 0, 0
    while hidden < 5:
        before, hidden = seen, hidden + 1
        for path in segments(evidence):
            for line, x in lines_of(read_segment(path)):
                if seen and x["seq"] > seen + 1:
                    break
                if x["seq"] > seen:
                    seen = x["seq"]
                    yield line, x
            else:
                continue
            break
        else:
            return
        if seen > before:
            hidden = 0
    raise Mismatch("the journal lacks the line behind seq %d" % seen)


def lines_of(data):
    for line in data[:data.rfind(b"\n") + 1].split(b"\n")[:-1]:
        yield line, json.loads(line)


def last_seq(evidence):
    seq = 0
    for _, x in journal(evidence):
        seq = x["seq"]
    return seq


def mark_seq(db):
    """How far the database is; None when that cannot be read now."""
    try:
        c = sqlite3.connect("file:%s?mode=ro" % db, uri=True, timeout=5)
        try:
            row = c.execute("SELECT seq FROM ah_projection").fetchone()
        finally:
            c.close()
        return row[0] if row else 0
    except sqlite3.Error:
        return None


def compare_row(row, line, x, nodes, classes):
    check(row["seq"] == x["seq"], "seq", row["seq"], x["seq"])
    check(row["id"] == row["node"] << NODE_SHIFT | row["seq"], "id", row["id"])
    check(nodes.get(row["node"]) == x["node"], "node of", x["seq"])
    check(row["created_at"] == micros(x["ts"]), "created_at of", x["seq"])
    for k in ("kind", "actor", "request_id", "permit", "action", "decision",
              "risk_score", "reason"):
        check(row[k] == x[k], k, "of", x["seq"], repr(row[k]), repr(x[k]))
    # the context is the journal's text, byte for byte
    check(('"context": %s, "decision"' % row["context"]).encode() in line,
          "context of", x["seq"])
    check(json.loads(row["context"]) == x["context"], "context", x["seq"])
    check(classes.get(row["class"]) ==
          (x["action"], x["decision"], x["risk_score"]), "class of", x["seq"])


def add_rollup(rollup, row):
    us, cl = row["created_at"], row["class"]
    for key in ((0, 0, cl), (1, us // MINUTE, cl), (2, us // HOUR, cl),
                (3, us // DAY, cl)):
        n, latest = rollup.get(key, (0, 0))
        rollup[key] = (n + 1, max(latest, us))


def add_skill(skills, x):
    if x["kind"] == "event" and x["action"] in ("skill_enable",
                                                "skill_disable"):
        name = x["context"].get("skill")
        if isinstance(name, str):
            skills[name] = (int(x["action"] == "skill_enable"),
                            micros(x["ts"]))


def compare(evidence, db, first=1):
    """Raises Mismatch, or returns the number of rows.  Compares all that the
    database says it has applied; `first`: the oldest line that must be there."""
    c = sqlite3.connect("file:%s?mode=ro" % db, uri=True, timeout=20,
                        isolation_level=None)
    c.row_factory = sqlite3.Row
    try:
        c.execute("BEGIN")  # one state, whatever the store does meanwhile
        return _compare(evidence, c, first)
    finally:
        c.close()


def _compare(evidence, c, first):
    mark = c.execute("SELECT * FROM ah_projection").fetchone()
    check(mark is not None, "no mark")
    check(mark["skipped"] == 0, "skipped", mark["skipped"])
    nodes = dict(map(tuple, c.execute("SELECT id, name FROM ah_audit_node")))
    classes = {r[0]: tuple(r)[1:] for r in c.execute(
        "SELECT id, action, decision, risk_score FROM ah_audit_class")}
    rows = c.execute("SELECT * FROM ah_audit_log ORDER BY seq")
    rollup, skills, n, leaf, used = {}, {}, 0, None, set()
    for line, x in journal(evidence):
        if x["seq"] < first:
            continue
        if x["seq"] > mark["seq"]:
            break
        row = rows.fetchone()
        check(row is not None, "no row of line", x["seq"])
        compare_row(row, line, x, nodes, classes)
        add_rollup(rollup, row)
        add_skill(skills, x)
        used.add(row["class"])
        n, leaf = n + 1, hashlib.sha256(b"\0" + line).digest()
    check(rows.fetchone() is None, "more rows than lines")
    check(mark["seq"] == first - 1 + n, "mark", mark["seq"], "rows", n)
    check(n == 0 or mark["leaf"] == leaf, "the mark's leaf")
    check(used == set(classes), "classes without rows",
          set(classes) - used)
    got = {tuple(r)[:3]: tuple(r)[3:] for r in c.execute(
        "SELECT span, start, class, n, latest FROM ah_audit_rollup")}
    check(got == rollup, "rollups", set(got.items()) ^ set(rollup.items()))
    got = {r[0]: tuple(r)[1:] for r in c.execute(
        "SELECT name, enabled, updated_at FROM ah_skills")}
    check(got == skills, "skills", got, skills)
    return n


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    try:
        print("%d rows equal the journal" % compare(*sys.argv[1:]))
    except Mismatch as e:
        sys.exit("not equal: %s" % e)
