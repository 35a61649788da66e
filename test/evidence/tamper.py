#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The tamper battery: twelve attacks at every record of a log of 1 000 records
with rotation inside, by attackers of three kinds, and what finds them.

    plain     changes journal files and leaves everything else alone
    numbered  also gives all records behind the change fitting numbers
    tiles     also makes the hash tiles anew, so that they fit
    signed    holds the signing key: everything fits; what finds this is a
              checkpoint kept off the host

What has to be found follows from the lines alone (expect() below), not from a
verifier.  archillx-verify and verify.py both judge every case; they must say
what is expected, and the same.

usage: tamper.py [--build DIR] [--short | --every N] [--jobs N] [--write FILE]
                 [ATTACK...]
       --write puts the table between the marks in docs/EVIDENCE.md
exit:  0 if nothing was missed and nothing was named wrongly
"""
import argparse
import functools
import json
import multiprocessing
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import both  # noqa: E402
import mklog  # noqa: E402
import tlog  # noqa: E402

N, BORDERS, PACKED = 1000, (300, 520, 800), (0,)
COVERED = 960           # by the newest checkpoint; the rest is uncovered
EVERY = 40              # a checkpoint in so many records, kept as history
OFFHOST = 700           # of the checkpoint kept off the host
ATTACKS = {}


def base():
    return mklog.make(N, BORDERS, EVERY, COVERED, packed=PACKED)


@functools.lru_cache()
def original():
    """(the log, its files, its lines)"""
    log = base()
    return log, log.files(), log.lines()


def attack(title, variants, last=N):
    def add(fn):
        ATTACKS[fn.__name__] = (fn, title, variants, last)
        return fn
    return add


class Case:
    """What one attack leaves behind: files, and what they hold for who reads
    them: lines, and the size of the newest checkpoint that counts."""

    def __init__(self, files, lines, covered=COVERED, kinds=(), bad_file=None,
                 signed=False, vague=False, twice=False):
        self.files, self.lines, self.covered = files, lines, covered
        self.kinds = kinds          # names that fit the first damage
        self.bad_file = bad_file    # damage that is no record's
        self.signed = signed        # no key tells this from the truth
        self.vague = vague          # no tile tells where it is
        self.named = None           # the record to be named, if not the first
                                    # that is not what it was
        self.twice = twice          # two bear one number, and no hash tells
                                    # which of them was there


def spread(lines, where=None):
    """Lines in segments as the log has them; `where` tells that so many lines
    more (or fewer) stand behind a position."""
    segments, at = [], 0
    for edge in list(BORDERS) + [None]:
        if edge is not None and where and edge >= where[0]:
            edge = max(at, edge + where[1])
        segments.append(lines[at:edge])
        at = edge if edge is not None else at
    return segments


def laid(lines, where, variant, kinds, sizes=None):
    """The case that `variant` makes of a changed journal."""
    log, files, old = original()
    if variant != "plain":
        lines = [line if i < len(old) and line is old[i] else
                 mklog.renumber(line, i + 1) for i, line in enumerate(lines)]
    fake = mklog.Log(spread(lines, where), log.sizes, packed=PACKED)
    journal = {k: v for k, v in fake.journal_files().items()
               if v and fake_has(fake, k)}
    covered = min(COVERED, len(lines))
    rest = {k: v for k, v in files.items() if k.startswith("log/")}
    if variant == "tiles":
        leaves = [tlog.leaf(x) for x in lines]
        rest = {k: v for k, v in rest.items() if "tile" not in k}
        rest.update(mklog.tile_files(leaves, covered))
    elif variant == "signed":
        rest = fake.log_files(sizes=sorted(
            {s for s in log.sizes if s < covered} | {covered}))
    if variant == "numbered" or variant == "tiles":
        kinds = kinds + ("edited", "replaced")
    return Case({**journal, **rest}, lines,
                covered if variant == "signed" else COVERED, kinds,
                signed=variant == "signed", vague=variant == "tiles")


def fake_has(log, path):
    """Empty archives are not left lying about."""
    return path == mklog.LIVE or any(
        log.name(i) == path and s for i, s in enumerate(log.segments))


ALL = ("plain", "numbered", "tiles", "signed")


@attack("edit a record", ("plain", "tiles", "signed"))
def edit(p, variant):
    lines = list(original()[2])
    row = json.loads(lines[p - 1])
    row["risk_score"] = (row["risk_score"] + 1) % 100
    if p % 2:
        row["context"]["text"] = "x" * (p % 5)
    lines[p - 1] = mklog.text_of(row)
    return laid(lines, None, variant, ("edited",))


@attack("insert a record", ALL)
def insert(p, variant):
    lines = list(original()[2])
    lines.insert(p - 1, mklog.record(p, text="never happened"))
    case = laid(lines, (p, 1), variant, ("inserted",))
    if p > COVERED and variant == "plain":
        case.kinds, case.twice = ("duplicated", "inserted"), True
    return case


@attack("delete a record", ALL)
def delete(p, variant):
    lines = list(original()[2])
    del lines[p - 1]
    return laid(lines, (p, -1), variant, ("deleted", "cut_tail", "cut_head"))


@attack("swap two records", ALL, N - 1)
def swap(p, variant):
    lines = list(original()[2])
    lines[p - 1:p + 1] = lines[p], lines[p - 1]
    kinds = ("swapped", "inserted") if p == COVERED else ("swapped",)
    return laid(lines, None, variant, kinds)


@attack("duplicate a record", ALL)
def duplicate(p, variant):
    lines = list(original()[2])
    lines.insert(p, lines[p - 1])
    case = laid(lines, (p + 1, 1), variant, ("duplicated",))
    case.named = p if variant == "plain" else None
    return case


@attack("cut the tail", ("plain", "tiles", "signed"))
def cut_tail(p, variant):
    return laid(original()[2][:p - 1], None, variant, ("cut_tail",))


@attack("cut the head", ALL)
def cut_head(p, variant):
    return laid(original()[2][p:], (1, -p), variant, ("cut_head", "cut_tail"))


@attack("roll back to an old copy", ("whole", "history left",
                                     "checkpoints only"))
def roll_back(p, variant):
    log, files, lines = original()
    covered = min(p, COVERED)
    old = mklog.Log(spread(lines[:p]), sorted(
        {s for s in log.sizes if s < covered} | {covered}), packed=PACKED)
    out = {k: v for k, v in old.files().items() if v}
    if variant == "whole":
        return Case(out, lines[:p], covered, signed=True)
    if variant == "checkpoints only":   # the journal is as it was
        out = {k: v for k, v in out.items() if k.startswith("log/")}
        out.update({k: v for k, v in files.items() if "log/" not in k})
        return Case(out, lines, covered, signed=True, vague=True)
    out.update({k: v for k, v in files.items() if "checkpoints/" in k})
    return Case(out, lines[:p], COVERED, ("cut_tail",), vague=True)


@attack("replace the log", ("plain", "tiles", "own key", "signed"))
def replace(p, variant):
    lines = list(original()[2])
    for i in range(p - 1, N):
        lines[i] = mklog.record(i + 1, text="another history")
    if variant != "own key":
        return laid(lines, None, variant, ("edited", "replaced"))
    return foreign(lines)


def foreign(lines):
    """Everything fits, under a key that nobody was given."""
    log = original()[0]
    fake = mklog.Log(spread(lines), log.sizes, mklog.Key(salt="other"), PACKED)
    return Case(fake.files(), lines, 0, ("wrong_key",), "log/checkpoint")


@attack("re-sign with another key", ("all of it", "checkpoint only"))
def resign(p, variant):
    if variant == "all of it":
        return foreign(edit(p, "plain").lines)
    log, files, lines = original()
    size = min(p, COVERED)
    data = mklog.Key(salt="other").checkpoint(
        size, tlog.Tree(map(tlog.leaf, lines)).root(size))
    return Case({**files, "log/checkpoint": data}, lines, COVERED,
                ("wrong_key",), "log/checkpoint")


def place(p):
    """(index of the segment, index in it) of record p."""
    edges = (0,) + BORDERS
    i = max(i for i, e in enumerate(edges) if e < p)
    return i, p - 1 - edges[i]


@attack("edit an archive", ("record", "byte", "cut", "twin", "remove"),
        BORDERS[-1])
def archive(p, variant):
    log, files, lines = original()
    i, k = place(p)
    name, rows = log.name(i), log.segments[i]
    offset = sum(len(x) + 1 for x in rows[:k])
    first = p - k
    if variant == "record" or (variant == "twin" and i not in PACKED):
        return edit(p, "plain")
    files, new = dict(files), list(lines)
    if variant == "twin":               # the plain one counts
        made = edit(p, "plain")
        files[name[:-4]] = b"".join(x + b"\n" for x in
                                    made.lines[first - 1:first - 1
                                               + len(rows)])
        return Case(files, made.lines, COVERED, ("edited",))
    if variant == "remove":
        del files[name]
        return Case(files, lines[:first - 1] + lines[first - 1 + len(rows):],
                    COVERED, ("deleted", "cut_head"))
    data = files[name]
    if i in PACKED:                     # the frame cannot be read any more
        at = len(data) * offset // sum(len(x) + 1 for x in rows)
        files[name] = data[:at] if variant == "cut" else \
            data[:at] + bytes([data[at] ^ 0xff]) + data[at + 1:]
        return Case(files, lines[:first - 1] + lines[first - 1 + len(rows):],
                    COVERED, ("archive_damaged",), name)
    if variant == "cut":
        files[name] = data[:offset + 10]
        return Case(files, lines[:p - 1] + lines[first - 1 + len(rows):],
                    COVERED, ("deleted", "edited"))
    at = offset + p % len(rows[k])
    files[name] = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    new[p - 1] = files[name][offset:offset + len(rows[k])]
    if b"\n" in new[p - 1]:
        new[p - 1:p] = new[p - 1].split(b"\n")
    return Case(files, new, COVERED, ("edited",))


@attack("edit a checkpoint", ("size", "root", "signature", "history",
                              "wrong name"))
def edit_checkpoint(p, variant):
    log, files, lines = original()
    name = "log/checkpoint"
    if variant in ("history", "wrong name"):
        name = "log/checkpoints/%020d" % min(s for s in log.sizes
                                          if s >= min(p, COVERED))
    origin, size, root, *rest = files[name].split(b"\n")
    if variant == "wrong name":
        wrong = "log/checkpoints/%020d" % (COVERED + p)
        return Case({**files, wrong: files[name]}, lines, COVERED,
                    ("checkpoint_edited",), wrong)
    if variant == "size" or (variant == "history" and p % 2):
        size = b"%d" % (p if p != int(size) else p + 1)
    elif variant in ("root", "history"):
        root = b"%c" % (root[0] ^ 3) + root[1:]
    else:
        sig = bytearray(rest[1])
        at = len(sig) - 60 + p % 50
        sig[at] = ord("A") if sig[at] != ord("A") else ord("B")
        rest[1] = bytes(sig)
    return Case({**files, name: b"\n".join([origin, size, root] + rest)},
                lines, COVERED, ("checkpoint_edited",), name)


def expect(case):
    """What is to be found, told by the lines alone: (by the key, by the
    off-host checkpoint, by the numbering), the first record that is not what
    it was, the lines that no checkpoint covers."""
    old = original()[2]
    diff = next((i for i, (a, b) in enumerate(zip(old, case.lines))
                 if a != b), min(len(case.lines), N))
    key = bool(case.bad_file) or (not case.signed and diff < COVERED)
    off = min(diff, case.covered or N) < OFFHOST
    seqs = [row_seq(x) for x in case.lines]
    form = seqs != list(range(1, len(seqs) + 1))
    covered = max(case.covered, 0 if off else OFFHOST)
    return (key, off, form, case.named or diff + 1,
            max(0, len(case.lines) - covered))


@functools.lru_cache()
def signed_lines():
    return frozenset(original()[2][:COVERED])


@functools.lru_cache(maxsize=200000)
def row_seq(line):
    try:
        return json.loads(line)["seq"]
    except (ValueError, KeyError):
        return None


def judge(name, variant, p, case, said, who, expected):
    """What a verifier's verdict lacks: a list of sentences."""
    key, off, form, seq, uncovered = expected
    out = []

    def want(ok, fmt, *args):
        if not ok:
            out.append("%s %s at %d: %s: %s" % (name, variant, p, who,
                                                fmt % args))

    want(said.by_key == key or (form and said.by_key), "by the key: %s",
         said.by_key)
    want(said.by_old == off, "by the off-host checkpoint: %s", said.by_old)
    want(said.code == (1 if key or off or form else 0), "exit %d", said.code)
    if case.bad_file is None and said.code == 1 and (key or form):
        want(said.kind in case.kinds, "%s is no name for it", said.kind)
        if case.vague and not form:
            known = said.kind == "cut_tail" and \
                len(case.lines) + 1 == said.seq <= COVERED
            want(known or (said.seq or N) <= seq <= (said.last or 0),
                 "says %s to %s, it is %d", said.seq, said.last, seq)
        else:
            want(said.seq in (seq, seq + case.twice), "says %s, it is %d",
                 said.seq, seq)
    elif case.bad_file:
        want(any((k, case.bad_file) in said.all for k in case.kinds),
             "names %s", said.all)
    if said.code == 0:
        want(said.uncovered == uncovered, "uncovered: %s, not %d",
             said.uncovered, uncovered)
    if not case.signed:
        want(said.verified <= len(set(case.lines) & signed_lines()),
             "says that %d lines are verified", said.verified)
    return out


def positions(short, every=1):
    if not short and every == 1:
        return list(range(1, N + 1))
    some = {1, 2, N - 1, N, OFFHOST - 1, OFFHOST, OFFHOST + 1, COVERED - 1,
            COVERED, COVERED + 1, COVERED + 2}
    for e in BORDERS + (256, 512, 768, EVERY * 10):
        some |= {e - 1, e, e + 1, e + 2}
    return sorted(some | set(range(37, N, 173 if short else every)))


class Bench:
    """A folder that holds one case after the other, and a checkpoint that is
    kept elsewhere."""

    def __init__(self, program):
        self.program = program
        self.top = tempfile.mkdtemp(prefix="ax-tamper-", dir="/dev/shm" if
                                    os.path.isdir("/dev/shm") else None)
        self.log, files, lines = original()
        self.has = mklog.write(self.top + "/evidence", files)
        self.old = os.path.join(self.top, "off-host")
        with open(self.old, "wb") as f:
            f.write(self.log.key.checkpoint(OFFHOST, tlog.Tree(
                map(tlog.leaf, lines)).root(OFFHOST)))

    def try_one(self, name, p, variant):
        """(what is expected, what was said: by whom, errors)"""
        case = ATTACKS[name][0](p, variant)
        self.has = mklog.write(self.top + "/evidence", case.files, self.has)
        args = self.top + "/evidence", [self.log.key.vkey], [self.old]
        said = {"verify.py": both.second(*args)}
        if self.program:
            said["archillx-verify"] = both.first(self.program, *args)
        expected = expect(case)
        errors = [e for who, s in said.items()
                  for e in judge(name, variant, p, case, s, who, expected)]
        if len(said) == 2:
            errors += both.differences(
                *said.values(), case.twice or case.vague or case.bad_file)
        return expected, said, errors

    def close(self):
        shutil.rmtree(self.top)


def run_some(work):
    """One process's share of the cases: rows for the table."""
    program, cases = work
    both.remember()
    b = Bench(program)
    rows = []
    try:
        for name, variant, p in cases:
            (key, off, form, _, uncovered), said, errors = b.try_one(
                name, p, variant)
            s = said["verify.py"]
            how = "both" if s.by_key and s.by_old else "key" if s.by_key \
                else "off-host" if s.by_old else "neither"
            rows.append((name, variant, p, how, not key and form, uncovered,
                         errors))
    finally:
        b.close()
    return rows


def run(program, short, jobs=2, only=(), every=1):
    cases = [(name, v, p) for name, (_, _, variants, last) in ATTACKS.items()
             if not only or name in only for v in variants
             for p in positions(short, every) if p <= last]
    size = max(1, min(200, len(cases) // jobs + 1))
    work = [(program, cases[i:i + size]) for i in range(0, len(cases), size)]
    with multiprocessing.Pool(jobs) as pool:
        return [row for rows in pool.imap(run_some, work) for row in rows]


def table(rows):
    """Markdown: what found what, how often."""
    out = ["| attack | attacker | cases | public key | off-host checkpoint | "
           "both | neither | named wrongly |", "|" + "---|" * 8]
    for name, (_, title, variants, _) in ATTACKS.items():
        for v in variants:
            mine = [r for r in rows if r[:2] == (name, v)]
            if not mine:
                continue
            n = {h: sum(r[3] == h for r in mine)
                 for h in ("key", "off-host", "both", "neither")}
            out.append("| %s | %s | %d | %d | %d | %d | %d | %d |" % (
                title, v, len(mine), n["key"], n["off-host"], n["both"],
                n["neither"], sum(bool(r[6]) for r in mine)))
    return "\n".join(out)


MARKS = "<!-- tamper battery: begin -->", "<!-- tamper battery: end -->"


def write_table(path, text):
    with open(path) as f:
        page = f.read()
    before, _, rest = page.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    if not after:
        sys.exit("no marks in " + path)
    with open(path, "w") as f:
        f.write(before + MARKS[0] + "\n\n" + text + "\n\n" + MARKS[1] + after)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", default=os.environ.get("AX_BUILD"))
    p.add_argument("--short", action="store_true")
    p.add_argument("--every", type=int, default=1)
    p.add_argument("--write")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("attack", nargs="*")
    a = p.parse_args()
    program = both.find_verifier(a.build) if a.build else None
    rows = run(program, a.short, a.jobs, a.attack, a.every)
    errors = [e for r in rows for e in r[6]]
    for e in errors[:50]:
        print(e)
    last = "tamper: %d cases at %d positions, %d errors%s" % (
        len(rows), len({r[2] for r in rows}), len(errors), "" if program else
        " (verify.py alone: no --build)")
    print(table(rows))
    print(last)
    if a.write:
        write_table(a.write, table(rows) + "\n\n`" + last + "`")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
