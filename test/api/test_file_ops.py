# SPDX-License-Identifier: ISC
"""file_ops through the API: the contract's results and errors (6.6), nothing
outside the folders, every call recorded, and the governor in between."""
import base64
import os
import threading

import axlib
import pytest

AX_SETTINGS = {
    "ARCHILLX_FILE_MAX_READ_BYTES": "200000",
    "ARCHILLX_FILE_MAX_WRITE_BYTES": "100000",
}


def op(ax, operation, path, **more):
    """The answer's body of one call that was let through."""
    r = ax.invoke("file_ops", dict(more, operation=operation, path=path))
    assert r.status == 200, r
    return r.json()


def good(ax, operation, path, **more):
    b = op(ax, operation, path, **more)
    assert b["success"] is True and b["error"] is None, b
    return b["output"]


def bad(ax, operation, path, **more):
    b = op(ax, operation, path, **more)
    assert b["success"] is False, b
    return b["error"]


def own(ax, path):
    """A file made by the test belongs to the worker, as its folder does."""
    pw = axlib.user_exists("files") if axlib.IS_ROOT else None
    if pw:
        os.chown(path, pw.pw_uid, pw.pw_gid, follow_symlinks=False)
    return path


def put(ax, name, data):
    path = os.path.join(ax.files, name)
    with open(path, "wb") as f:
        f.write(data)
    return own(ax, path)


def test_write_read_delete(ax):
    path = os.path.join(ax.files, "a", "b", "grüße.txt")
    assert good(ax, "write", path, content="schön\n") == {
        "written": 6, "path": path}
    assert good(ax, "read", path) == {
        "content": "schön\n", "size": 7, "path": path}
    with open(path, encoding="utf-8") as f:
        assert f.read() == "schön\n"
    assert good(ax, "delete", path) == {"deleted": path}
    assert bad(ax, "read", path) == "'%s' not found" % path


def test_relative_paths_start_at_the_first_folder(ax):
    out = good(ax, "write", "rel/x", content="r")
    assert out["path"] == os.path.join(ax.files, "rel", "x")
    assert good(ax, "exists", "rel/../rel//x")["exists"] is True


def test_list_stat_mkdir(ax):
    d = os.path.join(ax.files, "listed")
    assert good(ax, "mkdir", d) == {"created": d}
    assert good(ax, "mkdir", d) == {"created": d}
    good(ax, "write", d + "/b", content="22")
    good(ax, "mkdir", d + "/a")
    assert good(ax, "list", d) == {
        "entries": [{"name": "a", "is_dir": True, "size": 0},
                    {"name": "b", "is_dir": False, "size": 2}],
        "count": 2, "path": d}
    st = good(ax, "stat", d + "/b")
    assert (st["type"], st["size"]) == ("file", 2)
    assert st["modified"].endswith("Z")
    assert "not empty" in bad(ax, "delete", d)
    good(ax, "delete", d + "/a")
    good(ax, "delete", d + "/b")
    assert good(ax, "delete", d) == {"deleted": d, "type": "directory"}


def test_list_many(ax):
    """In order, also where the sorting of the C library asks for memory."""
    d = os.path.join(ax.files, "many")
    good(ax, "mkdir", d)
    names = ["n%04d" % (i * 7919 % 1000) for i in range(1000)]
    for name in names:
        put(ax, os.path.join("many", name), b"")
    out = good(ax, "list", d)
    assert [e["name"] for e in out["entries"]] == sorted(names)


def test_binary_contents_come_as_base64(ax):
    data = bytes(range(256)) * 3
    out = good(ax, "read", put(ax, "bin", data))
    assert base64.b64decode(out["content_b64"]) == data
    assert out["size"] == len(data) and "content" not in out


def test_limits(ax):
    big = put(ax, "big", b"x" * 200001)
    assert bad(ax, "read", big) == (
        "File too large to read safely (200001 bytes > 200000 bytes).")
    good(ax, "read", put(ax, "fits", b"x" * 200000))
    path = os.path.join(ax.files, "toobig")
    assert "too large" in bad(ax, "write", path, content="x" * 100001)
    assert good(ax, "exists", path)["exists"] is False


@pytest.mark.parametrize("operation", ["read", "list", "exists", "stat"])
@pytest.mark.parametrize("path", [
    "/etc/passwd", "/", "/proc/self/environ", "../../../../etc/passwd"])
def test_nothing_outside(ax, operation, path):
    assert "not in allowed whitelist" in bad(ax, operation, path)


def test_nothing_outside_beside(ax):
    """A folder whose name starts as that of the allowed one."""
    assert "not in allowed whitelist" in bad(ax, "exists", ax.files + "2/x")
    for inside in (ax.evidence, ax.state, ax.conf, ax.run):
        assert "not in allowed whitelist" in bad(ax, "read", inside)


def test_symlinks_are_refused(ax):
    links = {"out": "/etc/passwd", "up": "..", "dangling": "nowhere",
             "loop": "loop", "in": "target"}
    put(ax, "target", b"t")
    for name, to in links.items():
        path = os.path.join(ax.files, name)
        os.symlink(to, path)
        own(ax, path)
        for operation in ("read", "write", "delete", "list", "exists",
                          "mkdir", "stat"):
            more = {"content": "x"} if operation == "write" else {}
            assert "symlink" in bad(ax, operation, path, **more), (
                name, operation)
    assert "symlink" in bad(ax, "read", os.path.join(ax.files, "up", "conf"))
    assert not os.path.exists(os.path.join(ax.files, "nowhere"))
    with open(os.path.join(ax.files, "target"), "rb") as f:
        assert f.read() == b"t"


def test_a_fifo_does_not_hang_the_service(ax):
    path = os.path.join(ax.files, "fifo")
    os.mkfifo(path)
    own(ax, path)
    for operation in ("read", "write", "delete"):
        more = {"content": "x"} if operation == "write" else {}
        assert bad(ax, operation, path, **more) == (
            "'%s' is not a file" % path)


def test_the_folder_itself_stays(ax):
    assert bad(ax, "delete", ax.files) == (
        "Refusing to delete whitelist root: '%s'" % ax.files)
    assert os.path.isdir(ax.files)


def test_a_reader_never_sees_half_a_write(ax):
    path = os.path.join(ax.files, "atomic")
    texts = ("a" * 90000, "b" * 90000)
    good(ax, "write", path, content=texts[0])
    stop, torn = threading.Event(), []

    def watch():
        while not stop.is_set():
            with open(path) as f:
                if f.read() not in texts:
                    torn.append(1)

    t = threading.Thread(target=watch)
    t.start()
    for i in range(40):
        good(ax, "write", path, content=texts[i % 2])
    stop.set()
    t.join()
    assert not torn
    left = [n for n in os.listdir(ax.files) if n.endswith(".part")]
    assert not left


def test_bad_inputs(ax):
    for inputs in ({}, {"operation": "read"}, {"path": "x"},
                   {"operation": "chmod", "path": "x"},
                   {"operation": "read", "path": ""},
                   {"operation": "read", "path": "x", "recursive": True},
                   {"operation": "read", "path": 7},
                   {"operation": "read", "path": "x" * 5000},
                   {"operation": "write", "path": "x", "content": [1]}):
        r = ax.invoke("file_ops", inputs)
        assert (r.status, r.code) == (400, "SKILL_INPUT_INVALID"), (inputs, r)
    r = ax.invoke("file_ops", {"operation": "read", "path": "a\0b"})
    assert r.status == 422, r


def test_bad_inputs_without_validation(make_ax):
    ax = make_ax(ENABLE_SKILL_VALIDATION="no")
    put(ax, "keep", b"k")
    for inputs, says in (
            ({}, "operation and path required"),
            ({"operation": "read"}, "operation and path required"),
            ({"operation": 7, "path": "x"}, "operation and path required"),
            ({"operation": "", "path": "x"}, "operation and path required"),
            ({"operation": "chmod", "path": "x"}, "unknown operation: chmod"),
            ({"operation": "write", "path": "keep", "content": 5},
             "content must be a string")):
        r = ax.invoke("file_ops", inputs)
        assert r.status == 200 and r.json()["success"] is False, (inputs, r)
        assert r.json()["error"] == says
    assert good(ax, " READ ", "keep")["content"] == "k"


def test_names_at_their_limits(ax):
    name = "n" * 255
    good(ax, "write", name, content="x")
    assert good(ax, "read", name)["content"] == "x"
    assert "too long" in bad(ax, "write", name + "n", content="x")
    odd = "two\nlines \"quoted\" \\ \t\x7f"
    good(ax, "write", odd + "!", content="x")
    names = [e["name"] for e in good(ax, "list", ax.files)["entries"]]
    assert odd + "!" in names


def test_the_governor_stands_before(ax):
    r = ax.invoke("file_ops", {"operation": "delete", "path": "/etc/passwd"})
    assert r.status == 403, r
    assert os.path.exists("/etc/passwd")
    r = ax.invoke("file_ops", {"operation": "delete",
                               "path": "../../../../../../etc/passwd"})
    assert r.status == 403, r


def test_only_an_administrator(ax):
    r = ax.invoke("file_ops", {"operation": "exists", "path": ax.files},
                  token=ax.api_key)
    assert (r.status, r.code) == (403, "SKILL_ACCESS_DENIED")


def test_every_call_is_recorded(ax):
    path = os.path.join(ax.files, "recorded")
    before = len(ax.journal())
    good(ax, "write", path, content="x")
    bad(ax, "read", path + "-none")
    lines = ax.journal()[before:]
    assert [x["kind"] for x in lines] == ["decision", "outcome"] * 2
    assert all("file_ops" in x["action"] for x in lines
               if x["kind"] == "decision")


def test_a_text_skill_of_one_program(ax):
    """The example skill that ships: a program in the sandbox."""
    r = ax.invoke("text_stats", {"text": "one two\nTWO three"},
                  token=ax.api_key)
    assert r.status == 200 and r.json()["success"] is True, r
    out = r.json()["output"]
    assert (out["words"], out["distinct_words"], out["lines"]) == (4, 3, 2)
