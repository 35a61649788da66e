# SPDX-License-Identifier: ISC
"""The API against its own description, with generated requests.

The checks are those of Schemathesis that apply here: no server error, only
statuses that are documented, bodies and content types as documented, bad data
refused and good data taken, methods that do not exist, the allow field, no
way past a required credential.  Schemas are made strict before they are used:
a member that is not described is a failure."""
import copy
import datetime
import json
import os
import re
import urllib.parse

import pytest
import jsonschema
from hypothesis import HealthCheck, configuration
from hypothesis import given, settings
from hypothesis import strategies as st

import axlib

# its tables of characters; the source tree may be read-only
configuration.set_hypothesis_home_dir(os.path.join(
    os.environ.get("AX_TMP", "/tmp"), "ax-hypothesis-%d" % os.getuid()))
N = int(os.environ.get("AX_EXAMPLES", "60"))
relaxed = settings(max_examples=N, deadline=None, database=None,
                   suppress_health_check=list(HealthCheck))


def strict(v):
    """additionalProperties false wherever properties are listed."""
    if isinstance(v, dict):
        v = {k: strict(w) for k, w in v.items()}
        if isinstance(v.get("properties"), dict) and "type" in v:
            v.setdefault("additionalProperties", False)
        return v
    return [strict(w) for w in v] if isinstance(v, list) else v


# What a GET needs besides its path.
NEEDS = {"/v1/audit/proof": "?seq=1", "/v1/audit/consistency": "?from=1"}


def url_of(path):
    return path.replace("{name}", "file_ops").replace("{seq}", "1")


class Api:
    def __init__(self, ax):
        self.ax = ax
        self.doc = ax.get("/openapi.json").json()
        self.components = strict(copy.deepcopy(self.doc["components"]))
        self.conn = ax.connection()
        self.errors = self.server_errors()
        self.ops = [(p, m, op) for p, item in self.doc["paths"].items()
                    for m, op in item.items()]

    def server_errors(self):
        return self.ax.metric("archillx_http_status_5xx_total") or 0

    def validator(self, schema):
        s = {"$schema": "https://json-schema.org/draft/2020-12/schema",
             "components": self.components}
        s.update(strict(copy.deepcopy(schema)))
        return jsonschema.Draft202012Validator(
            s, format_checker=jsonschema.FormatChecker())

    def conforms(self, op, r):
        """The answer is one that the operation documents."""
        assert str(r.status) in op["responses"], (op["operationId"], r)
        content = op["responses"][str(r.status)]["content"]
        media = r.headers["content-type"].split(";")[0]
        assert media in content, (op["operationId"], r)
        if media == "application/json":
            self.validator(content[media]["schema"]).validate(r.json())
        code = r.code
        if code is not None:
            assert code in op["responses"][str(r.status)]["description"] \
                or r.status == 422, (op["operationId"], r)

    def begin(self, path, **kw):
        """A GET that may never end: its head, and the body if it has one."""
        with self.ax.stream(path, **kw) as s:
            body = b""
            if s.headers.get("content-type") != "text/event-stream":
                body = s.read()
            return axlib.Response(s.status, s.header_list, body)

    def call(self, method, path, **kw):
        if method == "GET" and path.startswith("/v1/audit/follow"):
            return self.begin(path, **kw)
        try:
            return self.ax.request(method, path, conn=self.conn, **kw)
        except Exception:
            self.conn = self.ax.connection()
            return self.ax.request(method, path, conn=self.conn, **kw)


@pytest.fixture(scope="module")
def api(ax):
    for _ in range(3):
        ax.invoke("file_ops", {"operation": "exists",
                               "path": ax.files + "/x"})
    ax.wait_projected()
    axlib.wait_until(lambda: ax.get("/v1/audit/proof?seq=1",
                                    token=ax.admin_token).status == 200,
                     what="a checkpoint")
    return Api(ax)


# ---- the document ----

@pytest.mark.quick
def test_document(api):
    d = api.doc
    assert d["openapi"] == "3.1.0"
    ids = [op["operationId"] for _, _, op in api.ops]
    assert len(ids) == len(set(ids))
    for name, schema in d["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert set(schema["required"]) <= set(schema["properties"]), name
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(d)))
    assert used == set(d["components"]["schemas"])
    for path, _, op in api.ops:
        names = re.findall(r"{(\w+)}", path)
        assert names == [p["name"] for p in op.get("parameters", [])
                         if p["in"] == "path"]
        assert "200" in op["responses"] and "500" in op["responses"]
        assert ("401" in op["responses"]) == bool(op["security"])


def test_document_is_the_router(api):
    """Each documented operation exists with exactly its methods."""
    for path, item in api.doc["paths"].items():
        url = url_of(path)
        methods = {m.upper() for m in item}
        if "GET" in methods:
            methods.add("HEAD")
        r = api.call("OPTIONS", url, token=api.ax.admin_token)
        assert r.status == 204
        assert set(r.headers["allow"].split(", ")) == methods | {"OPTIONS"}
        for m in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE",
                  "QUERY"):
            if m in methods:
                continue
            r = api.call(m, url, token=api.ax.admin_token)
            assert r.status == 405, (m, url, r)
            assert set(r.headers["allow"].split(", ")) \
                == methods | {"OPTIONS"}


def test_page_about_the_api(api):
    """docs/API.md names every path and every code, and no others."""
    with open(os.path.join(axlib.SRC, "docs", "API.md")) as f:
        text = f.read()
    assert set(re.findall(r"`(?:GET |POST )?(/[^`\s]*)`", text)) \
        == set(api.doc["paths"])
    table = text[text.index("| status | code |"):]
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+|[A-Z]+)`", table))
    known = {c for _, _, op in api.ops for r in op["responses"].values()
             for c in re.findall(r"\b[A-Z][A-Z_]+[A-Z]\b", r["description"])}
    assert named == known - {"OK"}


# ---- ignored auth ----

@pytest.mark.parametrize("headers", [
    {}, {"authorization": "Bearer x"}, {"authorization": "Bearer "},
    {"x-api-key": "x"}, {"x-api-key": "", "authorization": ""}])
def test_ignored_auth(api, headers):
    for path, method, op in api.ops:
        url = url_of(path)
        r = api.call(method.upper(), url, headers=dict(headers))
        if op["security"]:
            assert r.status == 401, (method, url, r)
            api.conforms(op, r)
        else:
            assert r.status != 401, (method, url, r)


def test_roles(api):
    for path, method, op in api.ops:
        url = url_of(path)
        r = api.call(method.upper(), url, token=api.ax.api_key)
        assert r.status != 401
        if "role admin" in op.get("description", ""):
            assert (r.status, r.code) == (403, "FORBIDDEN")
            api.conforms(op, r)


# ---- good and bad data ----

def good_value(schema):
    if "anyOf" in schema:
        return st.one_of(*[good_value(s) for s in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"]).map(str)
    if schema.get("format") == "date-time":
        times = st.datetimes(datetime.datetime(1970, 1, 1))
        return times.map(lambda t: t.isoformat() + "Z") \
            | times.map(lambda t: t.isoformat(" ")) \
            | st.integers(0, 4102444800).map(str)
    # surrogates are no text, NUL is refused
    return st.text(st.characters(blacklist_categories=("Cs",),
                                 blacklist_characters="\0"),
                   max_size=schema["maxLength"] // 4)


def bad_value(schema):
    if "anyOf" in schema:
        return bad_value(schema["anyOf"][0])
    if "enum" in schema:
        return st.sampled_from(["x", "ALL", "JSON", "json,jsonl", "json "])
    if schema["type"] == "integer":
        return (st.integers(max_value=schema["minimum"] - 1)
                | st.integers(min_value=schema["maximum"] + 1)).map(str) \
            | st.sampled_from(["x", "1.5", "0x1", "1 ", " 1", "१", "--1"])
    if schema.get("format") == "date-time":
        return st.sampled_from(["x", "2026-13-01", "2026-01-01T25:00:00Z",
                                "2026-01-01T00:00:00+99:00", "now", "-"])
    return st.text(st.characters(whitelist_categories=("Ll",)),
                   min_size=schema["maxLength"] + 1,
                   max_size=schema["maxLength"] + 5)


QUERIES = ["/v1/audit", "/v1/audit/summary", "/v1/audit/actions",
           "/v1/audit/decisions", "/v1/audit/export"]


def parameters(api, path):
    return [p for p in api.doc["paths"][path]["get"]["parameters"]
            if p["in"] == "query"]


@pytest.mark.parametrize("path", QUERIES)
def test_good_queries(api, path):
    """Taken, or refused for what the values say together (400)."""
    op = api.doc["paths"][path]["get"]
    ps = parameters(api, path)

    @relaxed
    @given(st.data())
    def run(data):
        chosen = data.draw(st.lists(st.sampled_from(ps), unique_by=lambda p:
                                    p["name"], max_size=4))
        q = {p["name"]: data.draw(good_value(p["schema"])) for p in chosen}
        r = api.call("GET", path + "?" + urllib.parse.urlencode(q),
                     token=api.ax.admin_token)
        api.conforms(op, r)
        if q.get("cursor") and q.get("offset"):
            assert r.status == 422 and r.json()["detail"]["errors"][0][
                "loc"] == ["query", "offset"]
            return
        assert r.status in (200, 400), (q, r)
        if r.status == 400:
            assert r.code == "AUDIT_INVALID_CURSOR" and q.get("cursor") \
                or "RANGE" in r.code, (q, r)
            return
        if not r.headers["content-type"].startswith("application/json"):
            return
        for p in chosen:
            want = q[p["name"]]
            if "type" not in p["schema"] or "enum" in p["schema"]:
                continue
            if p["schema"]["type"] == "integer":
                assert r.json()["filters"][p["name"]] == int(want)
            elif p["name"].startswith("action"):
                assert r.json()["filters"][p["name"]] == (want or None)

    run()


@pytest.mark.parametrize("path", QUERIES)
def test_bad_queries(api, path):
    op = api.doc["paths"][path]["get"]
    ps = parameters(api, path)

    @relaxed
    @given(st.data())
    def run(data):
        p = data.draw(st.sampled_from(ps))
        v = data.draw(bad_value(p["schema"]))
        r = api.call("GET", "%s?%s" % (path, urllib.parse.urlencode(
            {p["name"]: v})), token=api.ax.admin_token)
        assert r.status == 422, (p["name"], v, r)
        api.conforms(op, r)
        assert r.json()["detail"]["errors"][0]["loc"] == ["query", p["name"]]

    run()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs",)), max_size=20),
    lambda c: st.lists(c, max_size=4) | st.dictionaries(
        st.text(st.characters(blacklist_categories=("Cs",),
                              blacklist_characters="\0"), max_size=10), c,
        max_size=4), max_leaves=12)


def post(api, data, ctype="application/json", token=None):
    return api.call("POST", "/v1/skills/invoke", body=data,
                    token=token or api.ax.admin_token,
                    headers={"content-type": ctype})


def test_any_json(api):
    """Whatever JSON it is: documented, no server error, no action without
    a permit on record."""
    op = api.doc["paths"]["/v1/skills/invoke"]["post"]
    body = api.validator({"$ref": "#/components/schemas/Invocation"})

    @relaxed
    @given(st.one_of(
        json_values,
        st.fixed_dictionaries({"name": st.sampled_from(
            ["file_ops", "code_exec", "nothing"]) | st.text(
                st.characters(blacklist_categories=("Cs",)), max_size=8),
            "inputs": json_values}),
        st.fixed_dictionaries({"name": st.just("file_ops"), "inputs":
                               st.fixed_dictionaries({
                                   "operation": st.just("exists"),
                                   "path": st.text(st.characters(
                                       blacklist_categories=("Cs",)),
                                       max_size=30)})})))
    def run(value):
        text = json.dumps(value)
        r = post(api, text.encode())
        assert r.status < 500, (text, r)
        api.conforms(op, r)
        if not body.is_valid(value) and isinstance(value, dict) \
                and not set(value) - {"name", "inputs"}:
            assert r.status == 422, (text, r)
        if r.status == 200:
            assert body.is_valid(value) or set(value) - {"name", "inputs"}

    run()


def test_any_bytes(api):
    op = api.doc["paths"]["/v1/skills/invoke"]["post"]

    @relaxed
    @given(st.binary(max_size=200))
    def run(data):
        r = post(api, data)
        assert r.status in (422, 404, 400), (data, r)
        api.conforms(op, r)

    run()


def test_good_invocations(api):
    """Inputs made from the skill's own schema are taken."""
    op = api.doc["paths"]["/v1/skills/invoke"]["post"]

    @relaxed
    @given(st.sampled_from(["exists", "stat", "list"]),
           st.text("abc./", min_size=1, max_size=20))
    def run(operation, name):
        r = post(api, json.dumps({"name": "file_ops", "inputs": {
            "operation": operation,
            "path": api.ax.files + "/" + name}}).encode())
        assert r.status == 200, (name, r)
        api.conforms(op, r)
        assert r.json()["permit"] is not None

    run()


def test_names(api):
    op = api.doc["paths"]["/v1/skills/{name}"]["get"]

    @relaxed
    @given(st.text(st.characters(blacklist_categories=("Cs",),
                                 blacklist_characters="\0/"), min_size=1,
                   max_size=60))
    def run(name):
        url = "/v1/skills/" + urllib.parse.quote(name, safe="")
        r = api.call("GET", url, token=api.ax.api_key)
        if name in (".", ".."):
            assert r.status in (400, 404)
        elif name == "invoke":
            assert r.status == 405
        else:
            assert r.status in (200, 404), (name, r)
            if len(name.encode()) < 128:
                api.conforms(op, r)

    run()


def test_paths(api):
    known = set(api.doc["paths"])

    @relaxed
    @given(st.text("abcdefghijklmnopqrstuvwxyz0123456789/._-", max_size=30),
           st.sampled_from(["", "/v1", "/v1/skills", "/v1/audit"]))
    def run(tail, base):
        path = base + "/" + tail
        if path in known or path.startswith("//") or re.match(
                r"^/v1/(skills/[^/]+(/(en|dis)able)?|audit/[0-9]+)$", path):
            return
        r = api.call("GET", path, token=api.ax.api_key)
        assert r.status == 404, (path, r)
        assert r.json() == {"detail": "Not Found"}

    run()


def test_every_get(api):
    """Each documented GET, as it is, conforms for both roles."""
    for path, method, op in api.ops:
        if method != "get":
            continue
        url = url_of(path) + NEEDS.get(path, "")
        for token in (api.ax.api_key, api.ax.admin_token):
            r = api.call("GET", url, token=token)
            if token == api.ax.api_key \
                    and "role admin" in op.get("description", ""):
                assert r.status == 403, (url, r)
            else:
                assert r.status == 200, (url, r)
            api.conforms(op, r)


def test_nothing_broke(api):
    """No request of this file was a 5xx or ended a worker."""
    assert api.server_errors() == api.errors
    assert api.ax.metric("archillx_worker_restarts_total") == 0
    axlib.wait_until(lambda: api.ax.get("/v1/ready").status == 200, 10)
