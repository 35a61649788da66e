# SPDX-License-Identifier: ISC
"""The journal's lines, for the second verifier: where they stand, and what
was done to them where they differ from what was signed."""
import json
import os
import re

import zstandard

SEGMENT = re.compile(r"security_audit\.\d{8,18}\.\d{8}T\d{6}Z\.jsonl(\.zst)?")
LIVE = "security_audit.jsonl"


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def listdir(*path):
    p = os.path.join(*path)
    return os.listdir(p) if os.path.isdir(p) else []


def segment(path):
    """(bytes of a segment, whether all of it could be read)."""
    data = read(path) if os.path.exists(path) else b""
    if not path.endswith(".zst"):
        return data, True
    try:
        z = zstandard.ZstdDecompressor().decompressobj()
        text = z.decompress(data)
        return (text, True) if z.eof and not z.unused_data else (b"", False)
    except zstandard.ZstdError:
        return b"", False


def twins(live, segments):
    """True if the live file is an archive as well: it was rotated while it
    was copied, or a crash left both.  What both have must be the same."""
    return any(live[:1] and live.split(b"\n")[0] == old.split(b"\n")[0] and
               live[:len(old)] == old[:len(live)] for old in segments)


def journal(top):
    """([(line, file, offset)] of all segments in order, the live one last,
    [(file, index of its first line)] of those that can't be read)."""
    names = sorted(n for n in listdir(top, "archive") if SEGMENT.fullmatch(n))
    names = ["archive/" + n for n in names if n[:-4] not in names]
    live = segment(os.path.join(top, LIVE))[0]  # first: see twins()
    texts = [segment(os.path.join(top, n)) for n in names]
    if not twins(live, [t for t, _ in texts]):
        names, texts = names + [LIVE], texts + [(live, True)]
    out, bad = [], []
    for name, (text, whole) in zip(names, texts):
        at, lines = 0, text.split(b"\n")
        if not whole:
            bad.append((name, len(out)))
        if name == LIVE or not lines[-1]:
            lines.pop()         # no newline in the live file: not a line yet
        for line in lines:
            out.append((line, name, at))
            at += len(line) + 1
    return out, bad


def seq_of(line):
    try:
        return int(json.loads(line)["seq"])
    except (ValueError, KeyError, TypeError):
        return None


def differ(have, want, where, seqs):
    """(kind, index, how many) of the first place where `have` differs from
    `want`; where(x) is the index of x in `want`, or None."""
    for i, h in enumerate(have[:len(want)]):
        if h == want[i]:
            continue
        k, after = where(h), have[i + 1:i + 2]
        if k is None and after == [want[i]]:
            return "inserted", i, 1
        if k is None and ((i + 1 < len(want) and after == [want[i + 1]]) or
                          (seqs[i] or 0) <= i + 1):
            return "edited", i, 1
        if k is not None and k < i:
            return "duplicated", i, 1
        if want[i] in have[i + 1:]:
            return "swapped", i, 1
        return "deleted", i, (k or seqs[i] - 1) - i
    if len(have) < len(want):
        return "cut_tail", len(have), len(want) - len(have)
    return None
