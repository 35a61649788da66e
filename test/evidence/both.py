# SPDX-License-Identifier: ISC
"""Both verifiers behind one face: what each says of a copy of EVIDENCE_DIR."""
import functools
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tlog  # noqa: E402
import verify  # noqa: E402


class Said:
    """A verdict in words that both verifiers share."""

    def __init__(self, code, by_key=False, by_old=False, kind=None, seq=None,
                 last=None, file=None, offset=None, uncovered=None,
                 integrity=None, completeness=None):
        self.code, self.by_key, self.by_old = code, by_key, by_old
        self.kind, self.seq, self.last = kind, seq, last
        self.file, self.offset, self.uncovered = file, offset, uncovered
        self.integrity, self.completeness = integrity, completeness

    def __repr__(self):
        return "<%s>" % ", ".join("%s=%r" % x for x in vars(self).items())


def remember():
    """Makes verify.py faster where the same bytes come again and again."""
    cache = functools.lru_cache(maxsize=200000)
    tlog.leaf = verify.leaf = cache(tlog.leaf)
    tlog.node = cache(tlog.node)
    verify.seq_of = cache(verify.seq_of)
    check = functools.lru_cache(maxsize=10000)(
        lambda data, keys: tlog.checkpoint(data, keys))
    verify.checkpoint = lambda data, keys: check(data, tuple(keys))


def second(top, keys, old=(), first=1):
    r = verify.verify(top, keys, old, first)
    f = r.findings[0] if r.findings else {}
    word = {0: "ok", 3: "unknown"}.get(r.code)
    return Said(r.code, any(x["by"] != "old" for x in r.findings),
                any(x["by"] == "old" for x in r.findings), f.get("kind"),
                f.get("seq"), f.get("last"), f.get("file"), f.get("offset"),
                r.uncovered, word or ("damaged" if r.bad(False) else "ok"),
                word or ("damaged" if r.bad(True) else "ok"))


def find_verifier(build):
    for sub in ("daemon", "daemon/verify"):
        p = os.path.join(build, sub, "archillx-verify")
        if os.access(p, os.X_OK):
            return p
    raise RuntimeError("no archillx-verify in %s: build first" % build)
