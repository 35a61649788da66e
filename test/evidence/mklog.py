# SPDX-License-Identifier: ISC
"""Makes evidence without the daemon, from the formats alone: journal lines in
segments (some compressed), a Merkle tree in tiles, signed checkpoints.

A Log is kept in memory; files() tells what EVIDENCE_DIR would hold.  Nothing
here is random: the same arguments give the same bytes (and the same keys).
"""
import base64
import datetime
import functools
import hashlib
import json
import os

import zstandard
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import \
    Ed25519PrivateKey

import tlog

ORIGIN = "archillx.test/log"
LIVE = "security_audit.jsonl"


class Key:
    """An Ed25519 key of a log; `salt` makes another one of the same name."""

    def __init__(self, name=ORIGIN, salt=""):
        self.name = name
        self.key = Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256((name + salt).encode()).digest())
        pub = b"\1" + self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = tlog.sha(name.encode(), b"\n", pub)[:4]
        self.vkey = "%s+%s+%s" % (name, self.id.hex(),
                                  base64.b64encode(pub).decode())

    def note(self, text):
        sig = base64.b64encode(self.id + self.key.sign(text.encode()))
        return ("%s\n\u2014 %s %s\n" % (text, self.name,
                                        sig.decode())).encode()

    def checkpoint(self, size, root):
        return self.note("%s\n%d\n%s\n" % (self.name, size, base64.b64encode(
            root).decode()))


def stamp(seconds):
    t = datetime.datetime(2026, 1, 2) + datetime.timedelta(seconds=seconds)
    return t.isoformat(timespec="microseconds") + "Z"


def text_of(row):
    """The one way in which a line is written."""
    return json.dumps(row, sort_keys=True).encode()


@functools.lru_cache(maxsize=20000)
def record(seq, kind=None, text="", at=None):
    """The line of a record, without its newline; keys sorted."""
    kind = kind or ("outcome" if seq % 2 == 0 else "decision")
    row = {
        "action": "skill:file_ops", "actor": "key:%04x" % (seq % 7),
        "context": {"path": "/srv/data/%d" % (seq * 7919 % 1000003),
                    "text": text},
        "decision": ("APPROVED", "WARNED", "BLOCKED")[seq % 3],
        "id": "node-1-%d" % seq, "idem": None, "kind": kind,
        "node": "node-1", "permit": seq - 1 if kind == "outcome" else None,
        "reason": "score below the limit", "request_id": "r-%08x" % seq,
        "risk_score": seq * 37 % 100, "seq": seq,
        "ts": stamp(seq if at is None else at),
    }
    return text_of(row)


@functools.lru_cache(maxsize=20000)
def renumber(line, seq):
    """The same record under another number."""
    row = json.loads(line)
    row["seq"] = seq
    return text_of(row)


def tile_files(leaves, size, old=()):
    """{path: bytes} of the tiles of a tree of `size` leaves; `old`: also the
    partial tiles of these sizes, as a log leaves them behind."""
    out = {}
    level, hashes, unit = 0, leaves[:size], 1
    while hashes:
        sizes = sorted({s // unit for s in list(old) + [size]})
        for n in range((len(hashes) + 255) // 256):
            part = hashes[256 * n:256 * n + 256]
            path = "log/" + tlog.tile_path(level, n)
            if len(part) == 256:
                out[path] = b"".join(part)
            for w in {s - 256 * n for s in sizes}:
                if 0 < w < 256 and (w == len(part) or len(part) < 256):
                    out["%s.p/%d" % (path, w)] = b"".join(part[:w])
        tree = tlog.Tree(hashes)
        hashes = tree[8] if len(tree) > 8 else []
        level, unit = level + 1, unit * 256
    return out


class Log:
    """segments: lists of lines, the last one live; packed: the indices of
    those that are compressed; sizes: of the checkpoints, ascending."""

    def __init__(self, segments, sizes, key=None, packed=(), tail=b"",
                 first_segment=1):
        self.segments = [list(s) for s in segments]
        self.sizes = list(sizes)
        self.key = key or Key()
        self.keys = {}                  # size: another key
        self.packed = set(packed)
        self.tail = tail                # of a line that is being written
        self.first_segment = first_segment

    def lines(self):
        return [line for s in self.segments for line in s]

    def name(self, i):
        if i == len(self.segments) - 1:
            return LIVE
        num = self.first_segment + i
        return "archive/security_audit.%08d.202601%02dT000000Z.jsonl%s" % (
            num, num % 28 + 1, ".zst" if i in self.packed else "")

    def journal_files(self):
        out = {}
        for i, s in enumerate(self.segments):
            data = b"".join(line + b"\n" for line in s)
            if i in self.packed and self.name(i) != LIVE:
                data = zstandard.ZstdCompressor(
                    level=1, write_checksum=True).compress(data)
            out[self.name(i)] = data
        out[LIVE] += self.tail
        return out

    def log_files(self, lines=None, sizes=None, key=None):
        """Tiles and checkpoints over `lines` (default: our own)."""
        leaves = [tlog.leaf(x) for x in
                  (self.lines() if lines is None else lines)]
        sizes = [s for s in (self.sizes if sizes is None else sizes)
                 if s <= len(leaves)]
        out = tile_files(leaves, max(sizes, default=0))
        out.update(checkpoint_files(leaves, sizes,
                                    lambda s: self.keys.get(s, key
                                                            or self.key)))
        return out

    def files(self):
        return {**self.journal_files(), **self.log_files()}


def checkpoint_files(leaves, sizes, key_of):
    out = {}
    tree = tlog.Tree(leaves)
    for s in sizes:
        data = key_of(s).checkpoint(s, tree.root(s))
        out["log/checkpoints/%020d" % s] = out["log/checkpoint"] = data
    return out


def make(n, borders=(), every=50, covered=None, key=None, packed=(), **kw):
    """A Log of n records: a new segment behind each of `borders`, checkpoints
    `every` so many records and at the borders, the newest at `covered`."""
    lines = [record(i + 1, **kw) for i in range(n)]
    covered = n if covered is None else covered
    edges = [0] + sorted(borders) + [n]
    sizes = {s for s in list(range(every, covered, every)) + list(borders) +
             [covered] if 0 <= s <= covered}
    return Log([lines[a:b] for a, b in zip(edges, edges[1:])], sorted(sizes),
               key, packed)


def write(top, files, was=None):
    """Makes the folder hold these files; `was` is what it holds already."""
    was = was if was is not None else {}
    for path in was:
        if path not in files:
            os.unlink(os.path.join(top, path))
    for path, data in files.items():
        if was.get(path) == data:
            continue
        full = os.path.join(top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)
    return files
