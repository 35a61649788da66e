# SPDX-License-Identifier: ISC
"""A small client of transparency logs, written from RFC 6962 and the C2SP
pages signed-note, tlog-checkpoint, tlog-tiles and tlog-proof alone: it shares
nothing with ours.  Whatever is wrong raises Bad (or InvalidSignature)."""
import base64
import binascii
import functools
import hashlib
import os
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    """What was read is not what it should be."""


class Unknown(Bad):
    """Not signed by a key that was given: it is nobody's word."""


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(data):
    return sha(b"\0", data)


def node(left, right):
    return sha(b"\1", left, right)


def unb64(text, size=None):
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise Bad("bad base64: %s" % e)
    if base64.b64encode(raw) != text or size not in (None, len(raw)):
        raise Bad("bad base64")
    return raw


@functools.lru_cache()
def vkey(text):
    """(name, id, key) of NAME+ID+BASE64(type, public key)."""
    m = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text.strip())
    raw = unb64(m[3].encode(), 33) if m else b"\0"
    kid = sha(m[1].encode(), b"\n", raw)[:4] if m else b""
    if raw[0] != 1 or kid.hex() != m[2]:
        raise Bad("not an Ed25519 verifier key: " + text)
    return m[1].encode(), kid, Ed25519PublicKey.from_public_bytes(raw[1:])


def open_note(data, keys):
    """(text, names of those of `keys` that signed it) of a signed note."""
    known = {(n, i): k for n, i, k in map(vkey, keys)}
    text, _, signatures = data.rpartition(b"\n\n")
    names = []
    if signatures[-1:] != b"\n" or re.search(rb"[\0-\x09\x0b-\x1f]", data) \
            or data.decode(errors="replace").encode() != data:
        raise Bad("not a signed note")
    for line in signatures[:-1].split(b"\n"):
        m = re.fullmatch(rb"\xe2\x80\x94 ([^ +]+) (\S+)", line)
        raw = unb64(m[2]) if m else b""
        if len(raw) < 5:
            raise Bad("bad signature line")
        if (m[1], raw[:4]) in known:
            try:
                known[m[1], raw[:4]].verify(raw[4:], text + b"\n")
            except InvalidSignature:
                raise Bad("wrong signature")
            names.append(m[1])
    if not names:
        raise Unknown("not signed by a given key")
    return text + b"\n", names


def checkpoint(data, keys):
    """(size, root) of a checkpoint that the log itself has signed."""
    text, names = open_note(data, keys)
    lines = text[:-1].split(b"\n")
    if len(lines) < 3 or b"" in lines or lines[0] not in names or \
            not re.fullmatch(rb"0|[1-9]\d{0,18}", lines[1]):
        raise Bad("not a checkpoint of this log")
    return int(lines[1]), unb64(lines[2], 32)


class Tree(list):
    """RFC 6962, 2.1: level by level, the complete subtrees over leaf hashes."""

    def __init__(self, leaves):
        super().__init__([list(leaves)])
        while len(self[-1]) > 1:
            self.append(list(map(node, self[-1][:-1:2], self[-1][1::2])))

    def root(self, size):
        """The Merkle tree hash of the first `size` leaves."""
        h = None
        for k in range(size.bit_length()):
            if size >> k & 1:
                left = self[k][(size >> k) - 1]
                h = left if h is None else node(left, h)
        return sha() if h is None else h


def half(n):
    return 1 << (n - 1).bit_length() - 1


def climb(i, n, h, path):
    """RFC 6962, 2.1.1: the root of n leaves that PATH(i, D[n]) leads to."""
    if not 0 <= i < n or (n == 1) != (not path):
        raise Bad("a proof of the wrong length")
    if n == 1:
        return h
    if i < half(n):
        return node(climb(i, half(n), h, path[:-1]), path[-1])
    return node(path[-1], climb(i - half(n), n - half(n), h, path[:-1]))


def grow(m, n, old, path, whole=True):
    """RFC 6962, 2.1.2: the roots (of m leaves, of n) that SUBPROOF leads to;
    `old` is the root of m that the verifier knows."""
    if not 0 < m <= n or len(path) < (m < n or not whole) or \
            (m == n and len(path) > (not whole)):
        raise Bad("a proof of the wrong length")
    if m == n:
        return (old, old) if whole else (path[0], path[0])
    if m <= half(n):
        a, b = grow(m, half(n), old, path[:-1], whole)
        return a, node(b, path[-1])
    a, b = grow(m - half(n), n - half(n), old, path[:-1], False)
    return node(path[-1], a), node(path[-1], b)


def check_proof(data, keys, record=None):
    """The index of the record (if not given, the extra data is the record)
    that a tlog-proof proves, and the size of the tree."""
    m = re.fullmatch(rb"c2sp\.org/tlog-proof@v1\n(?:extra (\S*)\n)?"
                     rb"index (0|[1-9]\d{0,18})\n((?:\S+\n)*)\n(.*)", data, re.S)
    if not m:
        raise Bad("not a tlog-proof")
    size, root = checkpoint(m[4], keys)
    if record is None:
        record = unb64(m[1] or b"")
    path = [unb64(x, 32) for x in m[3].split()]
    if climb(int(m[2]), size, leaf(record), path) != root:
        raise Bad("the record is not in the tree of this checkpoint")
    return int(m[2]), size


def tile_path(level, n):
    parts = ["%03d" % (n % 1000)]
    while n >= 1000:
        n //= 1000
        parts.insert(0, "x%03d" % (n % 1000))
    return os.path.join("tile", str(level), *parts)


def read_tile(log, level, n, want):
    """Bytes of the tile that has at least `want` hashes or entries: the
    partial one, a wider one, the full one; b"" if there is none."""
    at = os.path.join(log, tile_path(level, n))
    wide = os.listdir(at + ".p") if os.path.isdir(at + ".p") else []
    for p in [at + ".p/%d" % w for w in sorted(int(x) for x in wide
                                               if x.isdigit())
              if w >= want] + [at]:
        if os.path.exists(p):
            with open(p, "rb") as f:
                return f.read()
    return b""


def tile_hashes(log, count, level=0):
    """The first `count` hashes of a level, or those before the first gap."""
    out = b""
    for n in range((count + 255) // 256):
        want = min(256, count - 256 * n)
        out += read_tile(log, level, n, want)[:32 * want]
        if len(out) < 32 * (256 * n + want):
            break
    return [out[i:i + 32] for i in range(0, len(out) & ~31, 32)]
