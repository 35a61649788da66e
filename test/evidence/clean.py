#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Clean logs: whatever a log goes through in its life, no verifier may raise a
false alarm.  Each is judged by archillx-verify and by verify.py, with an
off-host checkpoint from its past; they must find nothing, count what is
uncovered rightly, and say the same.

usage: clean.py [--build DIR] [--count N] [--jobs N]
"""
import argparse
import collections
import multiprocessing
import os
import random
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import both  # noqa: E402
import mklog  # noqa: E402
import tlog  # noqa: E402

SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512, 513, 767, 768, 769, 1000,
         1023, 1024, 1025)
BIG = (65535, 65536, 65537)
LIVES = {}


def life(fn):
    LIVES[fn.__name__] = fn
    return fn


class Clean:
    """files; what the verdict must be: exit status, uncovered; first: --from;
    old: off-host checkpoints (bytes)."""

    def __init__(self, files, uncovered, log, code=0, first=1, old=None,
                 keys=None):
        self.files, self.uncovered, self.code = files, uncovered, code
        self.first = first
        self.keys = keys or [log.key.vkey]
        self.old = old if old is not None else off_host(log, log.sizes[
            len(log.sizes) // 2:][:1])


def off_host(log, sizes):
    tree = tlog.Tree(map(tlog.leaf, log.lines()))
    return [log.key.checkpoint(s, tree.root(s)) for s in sizes]


def some(rng, n=None, **kw):
    """A log of any size, segments, packed archives, checkpoints."""
    n = n if n is not None else rng.choice(SIZES)
    borders = sorted(rng.sample(range(1, n), min(n - 1, rng.randrange(5)))) \
        if n > 1 else []
    covered = n - rng.randrange(min(n, 4))
    return mklog.make(n, [b for b in borders if b <= covered],
                      rng.choice((1, 7, 50, 256, 1000)) if n < 2000 else 5000,
                      covered, packed=range(rng.randrange(len(borders) + 1)),
                      **kw)


def whole(log, **kw):
    return Clean(log.files(), len(log.lines()) - max(log.sizes), log, **kw)


@life
def plain(rng):
    return whole(some(rng))


@life
def tile_border(rng):
    """Exactly at and around the borders of tiles and segments."""
    n = 256 * rng.randrange(1, 5) + rng.randrange(-1, 2)
    border = 256 * rng.randrange(1, 5)
    return whole(mklog.make(n, [border] if border < n else [], 256, packed=(0,)
                            if border < n and rng.random() < .5 else ()))


@life
def nothing_yet(rng):
    """No record at all: there is nothing to verify against."""
    log = mklog.Log([[]], [])
    return Clean(log.journal_files(), 0, log, code=3, old=[])


@life
def empty_tree(rng):
    """A checkpoint of nothing; perhaps lines since."""
    log = some(rng, rng.randrange(1, 5))
    log.sizes = [0]
    log.packed = set()
    log.segments = [log.lines()]
    return Clean(log.files(), len(log.lines()), log)


@life
def restarts(rng):
    """Markers, two in a row, between decisions and outcomes."""
    log = some(rng)
    n = 0
    for s in log.segments:
        for i in range(len(s)):
            n += 1
            if n % rng.randrange(3, 30) < 2:
                s[i] = mklog.record(n, "event", "started")
    return whole(log)


@life
def clock_steps(rng):
    """Times that jump back and forth."""
    log, n = some(rng), 0
    for s in log.segments:
        for i in range(len(s)):
            n += 1
            s[i] = mklog.record(n, at=rng.randrange(-10 ** 9, 10 ** 9))
    return whole(log)


@life
def odd_texts(rng):
    """Long lines, empty texts, anything that JSON may hold."""
    log, n = some(rng, rng.choice((5, 40, 257))), 0
    for s in log.segments:
        for i in range(len(s)):
            n += 1
            s[i] = mklog.record(n, text=rng.choice(
                ("", "\u2014 \u0000\n\r\t\"\\", "x" * 19000, '"seq": 1,',
                 "\U0001f512\u2028")))
    return whole(log)


@life
def restored(rng):
    """Restored from a backup, then more lines: what the backup's own
    checkpoint says still holds."""
    log = some(rng, rng.randrange(60, 600))
    at = rng.choice(log.sizes)
    old = off_host(log, [s for s in log.sizes if s <= at][-2:])
    lines = log.lines()[:at]
    lines += [mklog.record(at + i + 1, text="after the restore")
              for i in range(rng.randrange(1, 300))]
    sizes = [s for s in log.sizes if s <= at] + [len(lines)]
    cut = rng.randrange(1, at) if at > 1 else 0
    segments = [lines[:cut], lines[cut:]] if cut else [lines]
    log = mklog.Log(segments, sizes)
    return Clean(log.files(), 0, log, old=old)


@life
def new_key(rng):
    """Another key of the same origin since a certain size."""
    log = some(rng, rng.randrange(100, 700))
    new = mklog.Key(salt="new")
    at = rng.choice(log.sizes)
    old = off_host(log, log.sizes[:1])
    log.keys = {s: new for s in log.sizes if s >= at}
    return whole(log, keys=[log.key.vkey, new.vkey], old=old)


@life
def half_a_line(rng):
    """The last line is being written."""
    log = some(rng)
    line = mklog.record(len(log.lines()) + 1)
    log.tail = line[:rng.randrange(1, len(line) + 1)]
    return whole(log)


@life
def power_cut(rng):
    """What was never committed: bytes behind the last line, above the tree."""
    log = some(rng)
    log.tail = rng.randbytes(rng.randrange(1, 3000)).replace(b"{", b"") + b"\n"
    return whole(log)


@life
def just_rotated(rng):
    """The live file is empty or not there; the last archive is not packed."""
    log = some(rng)
    log.segments.append([])
    log.packed.discard(len(log.segments) - 2)
    files = log.files()
    if rng.random() < .5:
        del files[mklog.LIVE]
    return Clean(files, len(log.lines()) - max(log.sizes), log)


@life
def being_packed(rng):
    """A crash left the plain file beside the compressed one, or a part."""
    log = some(rng, rng.choice((300, 513)))
    log.segments = [log.lines()[:200], log.lines()[200:]]
    log.packed = set()
    files = log.files()
    log.packed = {0}
    packed = log.journal_files()[log.name(0)]
    cut = rng.randrange(len(packed)) if rng.random() < .5 else None
    if rng.random() < .5:
        files[log.name(0)] = packed[:cut]
    else:
        folder, base = log.name(0).split("/")
        files["%s/.%s.part" % (folder, base[:-4])] = packed[:cut]
    return Clean(files, len(log.lines()) - max(log.sizes), log)


@life
def pruned(rng):
    """The oldest archives are gone, and the auditor knows."""
    log = some(rng, rng.randrange(600, 1100))
    lines = log.lines()
    log.segments = [lines[:257], lines[257:500], lines[500:]]
    log.packed = {0, 1}
    drop = rng.randrange(1, 3)
    files = log.files()
    for i in range(drop):
        del files[log.name(i)]
    first = 1 + sum(map(len, log.segments[:drop]))
    return Clean(files, len(lines) - max(log.sizes), log, first=first)


@life
def live_copy(rng):
    """A copy while lines arrive: the checkpoint first, the journal last, and
    between them anything has grown."""
    n = rng.choice(SIZES[6:])
    late = mklog.make(n + rng.randrange(1, 300), every=rng.choice((1, 50)))
    lines = late.lines()
    sizes = [s for s in late.sizes if s < n] + [n]
    early = mklog.Log([lines[:n]], sizes).files()
    files = {"log/checkpoint": early["log/checkpoint"]}
    files.update({k: v for k, v in early.items() if "checkpoints/" in k})
    then = rng.choice((n, len(lines)))
    leaves = [tlog.leaf(x) for x in lines]
    files.update(mklog.tile_files(leaves, then,
                                  sizes if rng.random() < .5 else ()))
    files[mklog.LIVE] = b"".join(x + b"\n" for x in lines) + \
        lines[0][:rng.randrange(40)]
    old = mklog.Log([lines], [max(1, n - 3)])
    return Clean(files, len(lines) - n, late, old=off_host(old, old.sizes))


@life
def rotated_in_copy(rng):
    """The live file was copied, then rotated, then copied as an archive."""
    log = some(rng, rng.choice((40, 300, 513)))
    rows = log.lines()
    cut, early = sorted((rng.randrange(1, len(rows)),
                         rng.randrange(1, len(rows))))
    log = mklog.Log([rows[:cut], rows[cut:], []], [len(rows) - 1, len(rows)],
                    packed=range(rng.randrange(3)))
    files = log.files()
    files[mklog.LIVE] = b"".join(x + b"\n" for x in rows[cut:early + 1]) + \
        (rows[early + 1][:9] if early + 1 < len(rows) else b"")
    if rng.random() < .5:
        del files["log/checkpoint"]
        files.update(checkpoint_only(log, len(rows) - 1))
    return Clean(files, 0, log)


def checkpoint_only(log, size):
    """An older checkpoint than the newest of the history."""
    tree = tlog.Tree(map(tlog.leaf, log.lines()))
    return {"log/checkpoint": log.key.checkpoint(size, tree.root(size))}


@life
def no_tiles(rng):
    """The tiles are derived: a copy without them is a whole one."""
    log = some(rng)
    return Clean({k: v for k, v in log.files().items() if "/tile/" not in k},
                 len(log.lines()) - max(log.sizes), log)


@life
def history_gone(rng):
    """Only the newest checkpoint was kept."""
    log = some(rng)
    files = {k: v for k, v in log.files().items() if "checkpoints/" not in k}
    return Clean(files, len(log.lines()) - max(log.sizes), log)


def all_cases(count):
    """(life, seed) of so many logs; a few of them are large."""
    names = sorted(LIVES)
    out = [("big", n) for n in BIG[:max(0, count // 100)]]
    return out + [(names[i % len(names)], i) for i in range(count - len(out))]


def one(program, name, seed, top):
    rng = random.Random("%s %d" % (name, seed))
    c = whole(some(rng, seed)) if name == "big" else LIVES[name](rng)
    try:
        mklog.write(top, {k: v for k, v in c.files.items()})
        old = []
        for i, data in enumerate(c.old):
            old.append("%s.old-%d" % (top, i))
            with open(old[-1], "wb") as f:
                f.write(data)
        said = [("verify.py", both.second(top, c.keys, old, c.first))]
        if program:
            said.append(("archillx-verify", both.first(
                program, top, c.keys, old, c.first)))
        errors = ["%s %d: %s: %r" % (name, seed, who, s) for who, s in said
                  if (s.code, s.uncovered) != (c.code, c.uncovered)]
        if program:
            errors += ["%s %d: %s" % (name, seed, e)
                       for e in both.differences(*[s for _, s in said])]
        return errors
    finally:
        shutil.rmtree(top, ignore_errors=True)


def run_some(work):
    program, cases = work
    top = tempfile.mkdtemp(prefix="ax-clean-", dir="/dev/shm" if
                           os.path.isdir("/dev/shm") else None)
    try:
        return [e for i, (name, seed) in enumerate(cases)
                for e in one(program, name, seed, "%s/%d" % (top, i))]
    finally:
        shutil.rmtree(top)


def run(program, count, jobs=2):
    """(cases by life, errors)"""
    cases = all_cases(count)
    work = [(program, cases[i::jobs * 4]) for i in range(jobs * 4)]
    with multiprocessing.Pool(jobs) as pool:
        errors = [e for some in pool.imap(run_some, work) for e in some]
    return collections.Counter(name for name, _ in cases), errors


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", default=os.environ.get("AX_BUILD"))
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    a = p.parse_args()
    counts, errors = run(both.find_verifier(a.build) if a.build else None,
                         a.count, a.jobs)
    for e in errors[:50]:
        print(e)
    for name in sorted(counts):
        print("%-14s %4d" % (name, counts[name]))
    print("clean: %d logs, %d false alarms%s" % (
        sum(counts.values()), len(errors), "" if a.build else
        " (verify.py alone: no --build)"))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
