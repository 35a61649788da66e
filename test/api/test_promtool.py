# SPDX-License-Identifier: ISC
"""/metrics as Prometheus' own checker sees it."""
import os
import shutil
import subprocess

import pytest

PROMTOOL = os.environ.get("AX_PROMTOOL") or shutil.which("promtool")


@pytest.mark.skipif(not (PROMTOOL and os.access(PROMTOOL, os.X_OK)),
                    reason="no promtool: in Debian's package prometheus")
def test_promtool(ax):
    ax.invoke("file_ops", {"operation": "exists", "path": "x"})
    for path in ("/metrics", "/v1/metrics"):
        r = subprocess.run([PROMTOOL, "check", "metrics"], timeout=30,
                           input=ax.get(path).body, capture_output=True)
        assert (r.returncode, r.stdout, r.stderr) == (0, b"", b"")
