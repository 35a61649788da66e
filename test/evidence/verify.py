#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A second verifier of EVIDENCE_DIR, over tlog.py and lines.py; it shares
nothing with archillx-verify and must come to the same verdicts.

usage: verify.py DIR --key VKEY... [--checkpoint FILE]... [--from SEQ]
       verify.py --proof FILE --key VKEY... [--record FILE]
exit:  0 well, 1 damage, 2 usage, 3 nothing to verify against
"""
import argparse
import os
import sys

from lines import differ, journal, listdir, read, seq_of
from tlog import (Bad, Tree, Unknown, check_proof, checkpoint, leaf,
                  tile_hashes, tile_path)

INCOMPLETE = ("deleted", "cut_head", "cut_tail", "rolled_back",
              "archive_damaged")


class Result:
    """code: the exit status.  findings: dicts, the first damage first, with
    kind, by (key: a checkpoint on the disk; old: one given; form: the lines
    alone), seq and last (records), file, offset.  size: records covered."""

    def __init__(self):
        self.code, self.findings = 3, []
        self.lines = self.size = self.uncovered = 0

    def found(self, kind, by, seq=None, last=None, file=None, offset=None):
        self.findings.append({"kind": kind, "by": by, "seq": seq, "last": last
                              or seq, "file": file, "offset": offset})

    def bad(self, complete):
        """Damage to completeness, or to integrity."""
        return any((f["kind"] in INCOMPLETE) == complete
                   for f in self.findings)


def signed_trees(log, keys, res):
    """{size: root} of the checkpoints on the disk that can be believed."""
    out = {}
    history = sorted((n for n in listdir(log, "checkpoints") if n.isdigit()),
                     key=int)
    for name in ["checkpoint"] + ["checkpoints/" + n for n in history]:
        try:
            size, root = checkpoint(read(log, name), keys)
            if name not in ("checkpoint", "checkpoints/%020d" % size) or \
                    out.setdefault(size, root) != root:
                raise Bad("another tree")
        except FileNotFoundError:
            if history:                 # it was there
                res.found("checkpoint_edited", "key", file="log/" + name)
        except Unknown:
            if name == "checkpoint":    # the history may be another key's
                res.found("wrong_key", "key", file="log/" + name)
        except (Bad, ValueError):
            res.found("checkpoint_edited", "key", file="log/" + name)
    return out


def kept_trees(paths, keys, res):
    """{size: root} of the checkpoints that were kept elsewhere."""
    out = {}
    for path in paths:
        try:
            out.update([checkpoint(read(path), keys)])
        except Bad:
            res.found("checkpoint_edited", "old", file=path)
    return out


def verify(top, keys, old=(), first=1):
    """A Result.  keys: texts; old: paths of checkpoints kept elsewhere;
    first: the oldest record that has to be there (pruned archives)."""
    res, log = Result(), os.path.join(top, "log")
    trees, kept = signed_trees(log, keys, res), kept_trees(old, keys, res)
    size = max(trees, default=0)
    lines, unreadable = journal(top)
    while len(lines) > size and seq_of(lines[-1][0]) is None:
        lines.pop()                     # what a power cut left is no line
    for name, i in unreadable:
        res.found("archive_damaged", "form", i + 1, file=name)
    base = first - 1
    if first > 1 and lines:
        base = min(base, (seq_of(lines[0][0]) or 1) - 1)
    leaves = tile_hashes(log, max(size, base))
    have = leaves[:base] + [leaf(x[0]) for x in lines]
    lines = [(None, None, None)] * len(leaves[:base]) + lines
    seqs = list(range(1, base + 1)) + [seq_of(x[0]) for x in lines[base:]]
    tree, n = Tree(have), len(have)

    def at(kind, by, i, count=1):
        line = lines[i] if i < n else (None, None, None)
        if kind == "deleted" and i == base:
            kind = "cut_head"
        seq = i + 1 if kind != "duplicated" else seqs[i]
        res.found(kind, by, seq, seq + count - 1, line[1], line[2])

    every = {**kept, **trees}
    wrong = [s for s in sorted(every) if s <= n and tree.root(s) != every[s]]
    form = differ(seqs, range(1, n + 1),
                  lambda s: s - 1 if s and s > 0 else None, seqs)
    if size and len(leaves) >= size and Tree(leaves).root(size) == trees[size]:
        where = {h: i for i, h in enumerate(leaves[:size])}
        d = differ(have, leaves[:size], where.get, seqs)
        if d and d[0] == "edited" and not where.keys() & set(have[base:]):
            res.found("replaced", "key", d[1] + 1, size)
        elif d:                         # the tiles are signed: name it by them
            at(d[0], "key", *d[1:])
        for s in (s for s in wrong if s in trees and not d):
            res.found("checkpoint_edited", "key",
                      file="log/checkpoints/%020d" % s)
    elif any(s in trees for s in wrong) or n < size:
        good = max((s for s in every if s <= n and s < (wrong or [n + 1])[0]),
                   default=0)           # the damage lies above this tree
        if form and good <= form[1] < (wrong or [size])[0]:
            at(form[0], "key", *form[1:])
        elif wrong:
            res.found("edited", "key", good + 1, wrong[0])
        else:                           # nothing is known of good + 1 to n
            at("cut_tail", "key", n, size - n)
    elif leaves[:n] != have[:len(leaves)]:
        i = [a == b for a, b in zip(leaves, have)].index(False)
        res.found("tile_damaged", "key", file="log/" + tile_path(0, i // 256))
    if form and not any(f["seq"] for f in res.findings):
        at(form[0], "form", *form[1:])
    for s in kept:
        if s > n or s > size > 0:
            res.found("rolled_back", "old", min(n, size) + 1, s)
        elif tree.root(s) != kept[s]:
            res.found("replaced", "old", 1, s)
        else:
            size = max(size, s)
    res.findings.sort(key=lambda f: (f["by"] == "old", f["seq"] or 0))
    res.lines, res.size, res.uncovered = n, size, max(0, n - size)
    res.code = 1 if res.findings else 0 if every else 3
    return res


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("dir", nargs="?")
    p.add_argument("--key", action="append", required=True)
    p.add_argument("--checkpoint", action="append", default=[])
    p.add_argument("--from", dest="first", type=int, default=1)
    p.add_argument("--proof")
    p.add_argument("--record")
    a = p.parse_args()
    if (a.dir is None) == (a.proof is None):
        p.error("give DIR or --proof FILE")
    if a.proof:
        try:
            index, size = check_proof(read(a.proof), a.key,
                                      read(a.record) if a.record else None)
            print("proved: record %d, in the tree of %d" % (index + 1, size))
        except (Bad, OSError) as e:
            sys.exit("bad proof: %s" % e)
        return 0
    r = verify(a.dir, a.key, a.checkpoint, a.first)
    for f in r.findings:
        print("%(kind)s (by %(by)s): records %(seq)s to %(last)s, "
              "%(file)s at %(offset)s" % f)
    word = {0: "ok", 1: "damaged", 3: "unknown"}
    for what, complete in (("integrity", False), ("completeness", True)):
        code = r.code if r.code != 1 else int(r.bad(complete))
        print("%s: %s" % (what, word[code]))
    print("lines: %d\ncovered: %d\nuncovered: %d" % (r.lines, r.size,
                                                     r.uncovered))
    return r.code


if __name__ == "__main__":
    sys.exit(main())
