# SPDX-License-Identifier: ISC
"""Both verifiers behind one face: what each says of a copy of EVIDENCE_DIR."""
import functools
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lines  # noqa: E402
import tlog  # noqa: E402
import verify  # noqa: E402


class Said:
    """A verdict in words that both verifiers share."""

    def __init__(self, code, by_key=False, by_old=False, kind=None, seq=None,
                 last=None, file=None, offset=None, uncovered=None,
                 integrity=None, completeness=None, verified=0, all=()):
        self.code, self.by_key, self.by_old = code, by_key, by_old
        self.kind, self.seq, self.last = kind, seq, last
        self.file, self.offset, self.uncovered = file, offset, uncovered
        self.integrity, self.completeness = integrity, completeness
        self.all = set(all)             # (kind, file) of all that was found
        self.verified = verified        # lines shown to be what was signed

    def __repr__(self):
        return "<%s>" % ", ".join("%s=%r" % x for x in vars(self).items())


def remember():
    """Makes verify.py faster where the same bytes come again and again."""
    cache = functools.lru_cache(maxsize=200000)
    tlog.leaf = verify.leaf = cache(tlog.leaf)
    tlog.node = cache(tlog.node)
    verify.seq_of = lines.seq_of = cache(lines.seq_of)
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
                word or ("damaged" if r.bad(True) else "ok"),
                all=[(x["kind"], x["file"]) for x in r.findings])


def find_verifier(build):
    for sub in ("daemon", "daemon/verify"):
        p = os.path.join(build, sub, "archillx-verify")
        if os.access(p, os.X_OK):
            return p
    raise RuntimeError("no archillx-verify in %s: build first" % build)


def first(program, top, keys, old=(), start=1):
    """archillx-verify, run as a process."""
    args = [program, "--json", "--quiet"]
    for k in keys:
        args += ["--key", k]
    for path in old:
        args += ["--checkpoint", path]
    if start > 1:
        args += ["--from", str(start)]
    r = subprocess.run(args + [top], capture_output=True, text=True)
    try:
        j = json.loads(r.stdout)
    except ValueError:
        return Said(r.returncode, kind="no JSON: " + r.stdout + r.stderr)
    found = j["findings"]
    size = (j["kept"] or {"size": 0})["size"]
    by_old = j["extends_kept"] is False or any(
        0 < (x["seq"] or 0) <= size - (x["kind"] == "duplicated")
        for x in found)
    by_key = bool(found)
    if found and old and all(x["kind"] in ("rolled back", "replaced")
                             for x in found):
        by_key = first(program, top, keys, (), start).by_key
        by_old = by_old or not by_key
    f = next((x for x in found if x["seq"]), found[0] if found else {})
    return Said(r.returncode, by_key, by_old,
                f["kind"].replace(" ", "_") if f else None,
                f.get("seq") or None, f.get("last") or None, f.get("file"),
                f.get("offset"), j["uncovered"], j["integrity"],
                j["completeness"], j["verified"],
                [(x["kind"].replace(" ", "_"), x["file"]) for x in found])


def differences(one, two, vague=False):
    """What two verdicts do not agree on.  In a damaged log it is a matter of
    taste which lines to call uncovered, and what to name first where no hash
    that can be trusted tells (vague)."""
    what = ["code"] + ["kind", "seq"] * (not vague) + \
        ["uncovered"] * (one.code == 0)
    same = {"replaced": "edited"}       # all of them
    return ["they differ in %s: %r and %r" % (k, one, two) for k in what
            if same.get(getattr(one, k), getattr(one, k)) !=
            same.get(getattr(two, k), getattr(two, k))]
