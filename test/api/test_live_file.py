# SPDX-License-Identifier: ISC
"""The journal's live file under somebody else's hands while the service runs:
noticed within a second, nothing committed lost where it can be saved, and the
end of the service, with its name, where it cannot."""
import os
import shutil
import time

import pytest

import axlib


def live(ax):
    return os.path.join(ax.evidence, "security_audit.jsonl")


def invoke(ax):
    return ax.invoke("file_ops", {"operation": "exists",
                                  "path": ax.files + "/x"})


def delete(path):
    os.unlink(path)


def replace(path):
    shutil.copy(path, path + ".copy")
    os.rename(path + ".copy", path)


def append(path):
    with open(path, "ab") as f:
        f.write(b'{"action": "forged"}\n')


@pytest.mark.parametrize("act,found", [
    (delete, "deleted"), (replace, "replaced"), (append, "written to")])
def test_noticed_and_survived(make_ax, act, found):
    ax = make_ax(signing=False)
    for _ in range(5):
        assert invoke(ax).status == 200
    before = ax.journal()
    time.sleep(0.02)  # another tick of the file's clock
    act(live(ax))
    t = time.monotonic()
    axlib.wait_until(lambda: os.path.exists(live(ax)) and any(
        r["action"] == "journal_replaced" for r in ax.journal()), 30,
        "the event")
    # Within a second, and the time that a busy machine takes to show it.
    assert time.monotonic() - t < 4 * axlib.SLOW
    axlib.wait_until(lambda: invoke(ax).status == 200, 30, "the gate")
    rows = ax.journal()
    assert [r["seq"] for r in rows] == list(range(1, len(rows) + 1))
    assert rows[:len(before)] == before
    event = [r for r in rows if r["action"] == "journal_replaced"]
    assert len(event) == 1
    assert event[0]["context"]["found"] == found
    assert event[0]["risk_score"] >= 90
    assert not [r for r in rows if r["action"] == "forged"]
    kept = event[0]["context"]["kept_in"]
    if act is not delete:
        assert os.path.exists(os.path.join(ax.evidence, kept))
    ax.restart()
    assert invoke(ax).status == 200
    ax.wait_projected()


@pytest.mark.parametrize("how", ["truncate", "overwrite"])
def test_lost_lines_end_the_service(make_ax, how):
    ax = make_ax(signing=False)
    for _ in range(5):
        assert invoke(ax).status == 200
    n = os.path.getsize(live(ax))
    time.sleep(0.02)
    with open(live(ax), "r+b") as f:
        if how == "truncate":
            data = f.read()
            f.truncate(data[:n - 200].rfind(b"\n") + 1)
        else:
            f.seek(100)
            f.write(b"@@")
    assert ax.wait_exit(10) == 78
    assert "committed lines are not on the disk" in ax.log()
    # and nobody starts it again as if nothing had been
    ax.proc = None
    ax.start(ready=False)
    assert ax.wait_exit(10) not in (0, None)
