# SPDX-License-Identifier: ISC
"""archillxctl skill lint and list: the service's own opinion of a manifest,
without the service."""
import json
import os


GOOD = {"name": "x", "runtime": {"kind": "program", "argv": ["/bin/true"]}}


def manifest(ax, name, doc):
    path = os.path.join(ax.base, name)
    with open(path, "w") as f:
        f.write(doc if isinstance(doc, str) else json.dumps(doc))
    return path


def test_lint(make_ax):
    ax = make_ax(autostart=False, migrate=False)
    assert ax.ctl("skill", "lint", manifest(ax, "x.json", GOOD)).returncode == 0
    for name, doc, says in (
            ("y.json", GOOD, "does not match the file name"),
            ("x.json", "{", "line 1"),
            ("x.json", dict(GOOD, enable=True), "unknown key \"enable\""),
            ("x.json", dict(GOOD, runtime={"kind": "dockr"}),
             "\"dockr\" is not one of code, program, files"),
            ("x.json", dict(GOOD, inputs={"type": "object", "properties": {
                "a": {"pattern": "^(a*)*$"}}}),
             "inputs/properties/a/pattern: repeats what may be empty")):
        r = ax.ctl("skill", "lint", manifest(ax, name, doc))
        assert r.returncode == 1 and says in r.stderr, (doc, r)
    assert ax.ctl("skill", "lint", "/nonexistent").returncode == 1
    assert ax.ctl("skill", "lint").returncode == 2


def test_list(make_ax):
    ax = make_ax(autostart=False, migrate=False)
    names = [s["name"] for s in ax.ctl_json("skill", "list")]
    assert names == ["code_exec", "file_ops", "text_stats"]
    assert ax.ctl("skill", "list").returncode == 0
    assert ax.ctl("skill", "list", "x").returncode == 2


def test_a_bad_manifest_keeps_the_service_from_starting(make_ax):
    ax = make_ax(autostart=False, migrate=False)
    d = os.path.join(ax.base, "skills.d")
    os.mkdir(d)
    manifest(ax, "skills.d/x.json", dict(GOOD, limits={"pids": 0}))
    ax.write_conf(SKILLS_DIR=d)
    ax.start(ready=False)
    assert ax.wait_exit() != 0
    assert "x.json: limits.pids: 0 is not in 2..4096" in ax.log()
    ax.proc = None
    r = ax.ctl("skill", "list")
    assert r.returncode == 1 and "limits.pids" in r.stderr
