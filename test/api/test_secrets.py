# SPDX-License-Identifier: ISC
"""What a skill's schema calls secret is nowhere in evidence, database or log:
not as it came, not in an error, not as a digest that anyone could guess from.
"""
import glob
import hashlib
import hmac
import json
import os
import subprocess
import urllib.parse

import pytest

import axlib

# A program that gives back all that it was given, and more ways to say it.
ECHO = """import json,sys
v=json.load(sys.stdin)
sys.stderr.write(json.dumps(v))
if v.get("fail"):
    print(json.dumps({"error": "cannot use " + json.dumps(v)}))
elif v.get("crash"):
    sys.exit(json.dumps(v))
else:
    print(json.dumps(v))
"""
MANIFEST = {
    "name": "keeper", "inputs": {
        "type": "object", "additionalProperties": False, "properties": {
            "who": {"type": "string"},
            "fail": {"type": "boolean"}, "crash": {"type": "boolean"},
            "pw": {"type": "string", "secret": True, "maxLength": 40},
            "pin": {"type": "integer", "secret": True, "maximum": 10 ** 15},
            "flag": {"type": "boolean", "secret": True},
            "list": {"type": "array", "secret": True, "maxItems": 3},
            "db": {"type": "object", "properties": {
                "host": {"type": "string"},
                "pw": {"type": "string", "secret": True}}},
            "box": {"type": "object", "secret": True,
                    "additionalProperties": False,
                    "properties": {"a": {"type": "string"}}}}},
    "runtime": {"kind": "program",
                "argv": ["/usr/bin/python3", "-c", ECHO]}}
# file_ops whose path and content are secret: the executor's errors name paths
SECRET_FILES = {
    "name": "vault", "permissions": ["filesystem"], "inputs": {
        "type": "object", "properties": {
            "operation": {"type": "string", "secret": True},
            "path": {"type": "string", "secret": True},
            "content": {"type": "string", "secret": True}}},
    "runtime": {"kind": "files"}}

WORD = "Zq7-hunter2-Vx9"
NUMBER = 918273645546372


@pytest.fixture(scope="module")
def ax(request):
    import conftest
    before = list(conftest.live)
    try:
        d = conftest._start(autostart=False, LOG_LEVEL="debug")
        skills = os.path.join(d.base, "skills.d")
        os.mkdir(skills)
        os.chmod(skills, 0o755)
        for m in (MANIFEST, SECRET_FILES):
            with open(os.path.join(skills, m["name"] + ".json"), "w") as f:
                json.dump(m, f)
        d.write_conf(SKILLS_DIR=skills, ENABLE_SKILL_ACL="no")
        d.start()
        yield d
    finally:
        conftest._end_all([d for d in conftest.live if d not in before])


def key(ax):
    with open(os.path.join(ax.state, "secrets.key"), "rb") as f:
        return f.read()


def keyed(ax, value, domain=b"archillx-secret-v1:"):
    text = value if isinstance(value, bytes) else json.dumps(
        value, sort_keys=True, separators=(",", ":")).encode()
    return "hmac-sha256:" + hmac.new(key(ax), domain + text,
                                     hashlib.sha256).hexdigest()


def needles():
    """The secrets in all forms that a guess could be checked against."""
    out = set()
    for v in (WORD, NUMBER, [WORD, NUMBER], {"a": WORD}):
        for t in (json.dumps(v), json.dumps(v, separators=(",", ":")),
                  v if isinstance(v, str) else str(v)):
            for tail in ("", "\n"):
                out.add(hashlib.sha256((t + tail).encode()).hexdigest())
    out |= {WORD, WORD.encode().hex(), str(NUMBER),
            urllib.parse.quote(WORD, safe="")}
    return [x.encode() for x in out]


def files_of(ax):
    """Everything that is kept: evidence, state (database), log."""
    for top in (ax.evidence, ax.state, ax.run):
        for folder, _, names in os.walk(top):
            for n in names:
                p = os.path.join(folder, n)
                if os.path.isfile(p) and not n.endswith(".key"):
                    yield p
    yield ax.log_path


def nowhere(ax):
    ax.wait_projected(30)
    found, seen = [], []
    for p in files_of(ax):
        if p.endswith(".zst"):
            data = subprocess.run(["zstd", "-dc", p], capture_output=True,
                                  check=True).stdout
        else:
            with open(p, "rb") as f:
                data = f.read()
        seen.append(p)
        found += [(p, n) for n in needles() if n in data]
    assert any(p.endswith(".jsonl") for p in seen)
    assert any(".db" in p or "sqlite" in p for p in seen), seen
    assert not found, found


def last(ax, action_end, kind):
    rows = [r for r in ax.journal() if r["kind"] == kind]
    return [r for r in rows if r["action"].endswith(action_end)][-1]


def test_every_kind_of_value(ax):
    inputs = {"who": "me", "pw": WORD, "pin": NUMBER, "flag": True,
              "list": [WORD, NUMBER], "db": {"host": "h", "pw": WORD},
              "box": {"a": WORD}}
    r = ax.invoke("keeper", inputs)
    assert r.status == 200 and r.json()["success"], r
    assert r.json()["output"]["pw"] == WORD  # the skill itself gets it
    got = last(ax, ":keeper", "decision")["context"]["inputs"]
    assert got == {
        "who": "me", "pw": keyed(ax, WORD), "pin": keyed(ax, NUMBER),
        "flag": keyed(ax, True), "list": keyed(ax, [WORD, NUMBER]),
        "db": {"host": "h", "pw": keyed(ax, WORD)},
        "box": keyed(ax, {"a": WORD})}
    out = last(ax, "done", "outcome")["context"]
    assert out["stdout"]["sha256"].startswith("hmac-sha256:")
    assert out["stderr"]["sha256"] == keyed(
        ax, json.dumps(r.json()["output"]).encode(), b"archillx-output-v1:")
    nowhere(ax)


def test_failures(ax):
    for inputs in ({"pw": WORD, "fail": True}, {"pin": NUMBER, "fail": True},
                   {"list": [WORD], "crash": True}):
        r = ax.invoke("keeper", inputs)
        assert r.status == 200 and not r.json()["success"], r
    assert WORD in ax.invoke("keeper", {"pw": WORD, "fail": True}).text
    assert last(ax, "failed", "outcome")["context"]["error"] == "[secret]"
    nowhere(ax)


def test_large_inputs(ax):
    r = ax.invoke("keeper", {"who": "x" * 6000, "pw": WORD})
    assert r.status == 200, r
    got = last(ax, ":keeper", "decision")["context"]["inputs"]
    want = json.dumps({"who": "x" * 6000, "pw": keyed(ax, WORD)},
                      sort_keys=True).encode()
    assert got == {"bytes": len(want),
                   "sha256": hashlib.sha256(want).hexdigest()}
    nowhere(ax)


def test_errors_of_validation(ax):
    for inputs in ({"pw": [WORD]}, {"pw": NUMBER}, {"pw": WORD * 5},
                   {"pin": WORD}, {"pin": NUMBER * 1000},
                   {"list": [WORD, NUMBER, 1, 2]}, {"box": {WORD: 1}},
                   {"box": {"a": NUMBER}}, {"box": [WORD]},
                   {"db": {"pw": NUMBER}}):
        r = ax.invoke("keeper", inputs)
        assert r.status == 400, (inputs, r)
        assert r.code == "SKILL_INPUT_INVALID"
        assert WORD not in r.text and str(NUMBER) not in r.text, r
        assert "actual_length" not in r.text
    for body in ({"name": "keeper", "inputs": WORD},
                 {"inputs": {"pw": WORD}},
                 {"name": "keeper", "inputs": [NUMBER]}):
        r = ax.post("/v1/skills/invoke", json=body, token=ax.admin_token)
        assert r.status == 422 and WORD not in r.text, r
        assert str(NUMBER) not in r.text
    broken = b'{"name":"keeper","inputs":{"pw":%s' % WORD.encode()
    r = ax.post("/v1/skills/invoke", data=broken, token=ax.admin_token,
                headers={"Content-Type": "application/json"})
    assert r.status == 422 and WORD.encode()[:5] not in r.body, r
    nowhere(ax)


def test_without_validation(ax):
    """Nothing checks the shape then; what may hold a secret is one."""
    ax.write_conf(ENABLE_SKILL_VALIDATION="no")
    assert ax.reload().returncode == 0
    try:
        for inputs in ({"db": WORD}, {"Pw": WORD}, {"box": NUMBER},
                       {"db": {"PW": WORD}}, {"db": [WORD]}):
            r = ax.invoke("keeper", inputs)
            assert r.status == 200, r
    finally:
        ax.write_conf(ENABLE_SKILL_VALIDATION="yes")
        assert ax.reload().returncode == 0
    nowhere(ax)


def test_idempotency_keys(ax):
    h = {"Idempotency-Key": "k1"}
    a = ax.invoke("keeper", {"pw": WORD}, headers=h)
    b = ax.invoke("keeper", {"pw": WORD}, headers=h)
    assert a.status == b.status == 200
    assert a.json()["permit"] == b.json()["permit"]
    c = ax.invoke("keeper", {"pw": WORD + "2"}, headers=h)
    assert c.status == 400 and WORD not in c.text
    body = last(ax, ":keeper", "decision")["idem"]["body"]
    for t in ('{"pw":"%s"}', '{"pw": "%s"}'):
        for name in (b"keeper\0", b""):
            for tail in (b"", b"\0"):
                assert body != hashlib.sha256(
                    name + (t % WORD).encode() + tail).hexdigest()
    nowhere(ax)


def test_paths_and_operations(ax):
    p = os.path.join(ax.files, WORD)
    for inputs in ({"operation": "write", "path": p, "content": WORD},
                   {"operation": "read", "path": p},
                   {"operation": "read", "path": p + "/nothing"},
                   {"operation": "read", "path": "/" + WORD},
                   {"operation": WORD, "path": p},
                   {"operation": "read"}):
        r = ax.invoke("vault", inputs)
        assert r.status in (200, 403), (inputs, r)
    nowhere(ax)


def test_tokens_and_bad_requests(ax):
    for tok in (WORD, WORD + "x"):
        assert ax.get("/v1/audit", token=tok).status == 401
        assert ax.invoke("keeper", {"pw": WORD}, token=tok).status == 401
    ax.get("/v1/audit?api_key=" + WORD)
    ax.get("/v1/audit?decision=" + WORD, token=ax.admin_token)
    r = ax.invoke("no_such", {"pw": WORD})
    assert r.status == 404 and WORD not in r.text
    nowhere(ax)
    for t in (ax.admin_token, ax.api_key):
        for p in files_of(ax):
            with open(p, "rb") as f:
                assert t.encode() not in f.read(), p


def test_hash_checks_a_guess(ax):
    r = ax.ctl("audit", "hash", WORD)
    assert r.returncode == 0 and r.stdout.strip() == keyed(ax, WORD)
    r = ax.ctl("audit", "hash", "-", input=WORD + "\n")
    assert r.stdout.strip() == keyed(ax, WORD)
    r = ax.ctl("audit", "hash", "--json-value", " %d " % NUMBER)
    assert r.stdout.strip() == keyed(ax, NUMBER)
    r = ax.ctl("audit", "hash", "--json-value", '{"b": [1], "a": "x"}')
    assert r.stdout.strip() == keyed(ax, {"a": "x", "b": [1]})
    r = ax.ctl("audit", "hash", str(NUMBER))  # a string is another value
    assert r.stdout.strip() == keyed(ax, str(NUMBER))
    assert ax.ctl_json("audit", "hash", WORD) == {"text": keyed(ax, WORD)}
    assert ax.ctl("audit", "hash").returncode == 2
    assert ax.ctl("audit", "hash", "a", "b").returncode == 2
    assert ax.ctl("audit", "hash", "--json-value", "{").returncode == 1


def test_the_key_is_the_gates_alone(ax):
    """The file's descriptor does not stay open anywhere but in the parent."""
    ino = os.stat(os.path.join(ax.state, "secrets.key")).st_ino
    for role, pids in ax.procs().items():
        for pid in pids:
            held = [n for n in axlib.proc_fds(pid)
                    if os.stat("/proc/%d/fd/%d" % (pid, n)).st_ino == ino]
            assert not held or role == "parent", (role, held)


def test_without_a_key(make_ax):
    ax = make_ax(signing=False, autostart=False, AUDIT_SIGNING="off")
    for p in glob.glob(ax.state + "/*.key"):
        os.unlink(p)
    skills = os.path.join(ax.base, "skills.d")
    os.mkdir(skills)
    os.chmod(skills, 0o755)
    with open(os.path.join(skills, "keeper.json"), "w") as f:
        json.dump(MANIFEST, f)
    ax.write_conf(SKILLS_DIR=skills, ENABLE_SKILL_ACL="no")
    ax.start()
    h = {"Idempotency-Key": "k1"}
    assert ax.invoke("keeper", {"pw": WORD, "pin": NUMBER},
                     headers=h).status == 200
    got = last(ax, ":keeper", "decision")["context"]["inputs"]
    assert got == {"pw": "[secret]", "pin": "[secret]"}
    nowhere(ax)
    assert ax.ctl("audit", "hash", WORD).returncode == 1
