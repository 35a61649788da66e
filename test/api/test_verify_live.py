# SPDX-License-Identifier: ISC
"""The verifier over the folder of a running service: while lines come, while
segments are closed and compressed, and after kill -9.  Never an alarm."""
import json
import os
import subprocess
import threading

import axlib

CALLS = 150


def verify(ax, *more):
    r = subprocess.run(
        [os.path.join(ax.build, "daemon", "verify", "archillx-verify"),
         "--json", "--key", ax.vkey, *more, ax.evidence],
        capture_output=True, text=True)
    return r.returncode, json.loads(r.stdout)


def covered(ax):
    """Waits until a checkpoint covers all lines that are there now."""
    n = len(ax.journal())
    axlib.wait_until(lambda: verify(ax)[1]["verified"] >= n, 30,
                     "a checkpoint over %d lines" % n)
    return n


def test_while_it_works(make_ax, tmp_path):
    ax = make_ax()
    errors = []

    def call():
        try:
            for i in range(CALLS):
                ax.invoke("file_ops", {"operation": "exists",
                                       "path": ax.files})
                if i % 50 == 25:
                    ax.post("/v1/audit/archive", token=ax.admin_token)
        except Exception as e:          # told below
            errors.append(e)

    t = threading.Thread(target=call)
    t.start()
    runs = 0
    while t.is_alive():
        code, said = verify(ax)
        if code == 3 and runs == 0:     # not one checkpoint yet
            continue
        assert code == 0, said
        assert said["verified"] == said["checkpoint"]["size"]
        runs += 1
    t.join()
    assert not errors and runs >= 3
    n = covered(ax)
    assert n >= CALLS
    kept = tmp_path / "kept"
    kept.write_bytes(open(os.path.join(ax.evidence, "checkpoint"),
                          "rb").read())
    ax.kill()
    code, said = verify(ax, "--checkpoint", str(kept))
    assert code == 0 and said["extends_kept"] is True, said
    ax.start()
    ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
    covered(ax)
    code, said = verify(ax, "--checkpoint", str(kept))
    assert code == 0 and said["extends_kept"] is True, said
    assert said["verified"] > n


def test_ctl_takes_the_folder_of_the_configuration(ax):
    ax.invoke("file_ops", {"operation": "exists", "path": ax.files})
    covered(ax)
    r = ax.ctl("audit", "verify", "--key", ax.vkey)
    assert r.returncode == 0, r.stdout + r.stderr
    assert "integrity     ok" in r.stdout and "result: ok" in r.stdout
    assert "cannot be excluded" in r.stdout
    r = ax.ctl("audit", "verify")
    assert r.returncode == 2 and "--key" in r.stderr
