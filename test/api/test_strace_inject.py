# SPDX-License-Identifier: ISC
"""The short form of test/fault/strace_inject.py: system calls of the audit
process fail, one at a time, and nothing unrecorded happens."""
import os
import shutil
import sys

import pytest

import axlib

sys.path.insert(0, os.path.join(axlib.SRC, "test", "fault"))
import strace_inject  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.root, pytest.mark.limit(180)]


def test_short_form():
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    done, errors = strace_inject.run(strace_inject.SHORT)
    assert not errors, "\n".join(errors)
    assert len(done) == len(strace_inject.SHORT)
    # most were met: which ones is up to the kernel's timing
    assert sum(c.met for c in done) >= len(done) - 4, [
        str(c) for c in done if not c.met]


def test_the_judge_sees_an_unrecorded_action(tmp_path):
    """A file that no decision stands behind is found."""
    bench = strace_inject.Bench()
    try:
        case = strace_inject.Case("run", "write", "EIO", 65535)
        with open(os.path.join(bench.d.files, "c0-0"), "w"):
            pass
        bench.do(case)
        assert any("nobody asked for" in e for e in case.errors)
    finally:
        bench.d.close()
