# SPDX-License-Identifier: ISC
"""The governor in the service: an operator's rules, modes, reload, and the
tool that says beforehand what would be decided."""
import json
import os
import shutil

import axlib
import pytest

KEPT = {
    "version": 1,
    "rules": [{
        "id": "kept", "description": "is kept", "points": 100,
        "match": {"skill": "file_ops", "operation": ["write", "delete"],
                  "path_under": "@/kept", "not": {"role": "api_key"}},
    }],
}


def rules_dir(ax, name, rules=None):
    """A folder with the rules that ship and, beside them, ours."""
    d = os.path.join(ax.base, "governor.d")
    if not os.path.isdir(d):
        shutil.copytree(os.path.join(axlib.SRC, "etc", "governor.d"), d)
    path = os.path.join(d, name)
    if rules is None:
        os.unlink(path)
    else:
        text = rules if isinstance(rules, str) else json.dumps(rules)
        with open(path, "w") as f:
            f.write(text.replace("@", ax.files))
    return d


@pytest.fixture
def ruled(make_ax):
    ax = make_ax(autostart=False)
    ax.write_conf(GOVERNOR_DIR=rules_dir(ax, "50-local.json", KEPT))
    ax.start()
    return ax


def decision(ax):
    return [x for x in ax.journal() if x["kind"] == "decision"][-1]


def write(ax, path):
    return ax.invoke("file_ops", {"operation": "write", "path": path,
                                  "content": "x"})


def test_no_spelling_gets_around_a_rule(ruled):
    for path in ("kept/a", "./kept/a", "x/../kept/a", " kept/a", "kept//a",
                 ruled.files + "/kept/a", ruled.files + "/./y/../kept/a",
                 "../files/kept/a", "kept"):
        r = write(ruled, path)
        assert r.status == 403, (path, r)
        assert decision(ruled)["decision"] == "BLOCKED"
    assert not os.path.exists(os.path.join(ruled.files, "kept"))
    for path in ("keptx", "x/kept", ruled.files + "/keep"):
        assert write(ruled, path).json()["success"] is True, path


def test_the_tool_and_the_gate_agree(ruled):
    cases = [
        ("file_ops", {"operation": "exists", "path": "a"}),
        ("file_ops", {"operation": "write", "path": "a", "content": "1"}),
        ("file_ops", {"operation": "delete", "path": "a"}),
        ("file_ops", {"operation": "write", "path": "kept", "content": ""}),
        ("file_ops", {"operation": "write", "path": "/etc/x", "content": ""}),
        ("file_ops", {"operation": "delete", "path": "/etc/x"}),
        ("text_stats", {"text": "information about skills"}),
        ("code_exec", {"code": "print(1)"}),
    ]
    for skill, inputs in cases:
        ruled.invoke(skill, inputs)
        line = decision(ruled)
        said = ruled.ctl_json("governor", "test", "--skill", skill,
                              "--inputs", json.dumps(inputs))
        for key in ("decision", "risk_score", "reason"):
            assert said[key] == line[key], (skill, inputs, said, line)


def test_a_file_of_expectations(ruled):
    path = os.path.join(ruled.base, "cases.json")
    cases = [{"skill": "code_exec", "inputs": {"code": "1"},
              "expect": {"decision": "APPROVED", "risk_score": 45}},
             {"skill": "code_exec", "source": "cron",
              "expect": {"decision": "BLOCKED"}}]
    with open(path, "w") as f:
        json.dump(cases, f)
    assert ruled.ctl("governor", "test", path).returncode == 0
    cases[0]["expect"]["risk_score"] = 44
    with open(path, "w") as f:
        json.dump(cases, f)
    r = ruled.ctl("governor", "test", path)
    assert r.returncode == 1 and "not expected" in r.stderr


def test_rules_reload_and_a_bad_file_changes_nothing(ruled):
    assert write(ruled, "kept/a").status == 403
    rules_dir(ruled, "50-local.json", "{\"version\": 1, \"rules\": [{}]}")
    r = ruled.reload()
    assert r.returncode == 1 and "50-local.json" in r.stderr, r
    assert ruled.ctl("governor", "check").returncode == 1
    assert write(ruled, "kept/a").status == 403
    rules_dir(ruled, "50-local.json")
    assert ruled.reload().returncode == 0
    assert write(ruled, "kept/a").json()["success"] is True


@pytest.mark.parametrize("mode,status,word", [
    ("off", 200, "APPROVED"), ("audit_only", 200, "APPROVED"),
    ("soft_block", 200, "WARNED"), ("hard_block", 403, "BLOCKED")])
def test_modes(make_ax, mode, status, word):
    ax = make_ax(GOVERNOR_MODE=mode, RISK_WARN_THRESHOLD=40,
                 RISK_BLOCK_THRESHOLD=90)
    r = write(ax, "a")
    assert r.status == status, r
    line = decision(ax)
    assert line["decision"] == word
    if mode == "off":
        assert (line["risk_score"], line["reason"]) == (0, "governor_off")
    else:
        assert line["risk_score"] == 40
    assert os.path.exists(os.path.join(ax.files, "a")) == (status == 200)
