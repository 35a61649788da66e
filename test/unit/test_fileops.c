/* SPDX-License-Identifier: ISC */
/*
 * fileops.c on real files: results and errors of the contract, and what must
 * not get out of a root: symbolic links, "..", renames at the wrong moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/util.h"
#include "workers/files/fileops.h"

struct world {
	char top[64]; /* holds root, ro, outside */
	char root[80];
	char ro[80];
	struct fileops *f;
};

static struct world w;

static void
put(const char *dir, const char *name, const char *data, size_t len)
{
	char path[400];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd != -1);
	assert_int_equal(ax_write_all(fd, data, len), 0);
	(void)close(fd);
}

static void
add_root(const char *path, bool rw)
{
	int fd = open(path, O_PATH | O_DIRECTORY);

	assert_true(fd != -1);
	assert_int_equal(fileops_add_root(w.f, fd, path, rw), 0);
}

static void
at(char *out, size_t size, const char *name)
{
	(void)snprintf(out, size, "%s/%s", w.root, name);
}

static int
set_up(void **state)
{
	char path[400];

	(void)state;
	(void)umask(027);
	(void)snprintf(w.top, sizeof(w.top), "%s", "/tmp/ax-fileops.XXXXXX");
	assert_non_null(mkdtemp(w.top));
	(void)snprintf(w.root, sizeof(w.root), "%s/root", w.top);
	(void)snprintf(w.ro, sizeof(w.ro), "%s/ro", w.top);
	assert_int_equal(mkdir(w.root, 0755), 0);
	assert_int_equal(mkdir(w.ro, 0755), 0);
	at(path, sizeof(path), "dir");
	assert_int_equal(mkdir(path, 0755), 0);
	at(path, sizeof(path), "empty");
	assert_int_equal(mkdir(path, 0755), 0);
	at(path, sizeof(path), "fifo");
	assert_int_equal(mkfifo(path, 0644), 0);
	put(w.top, "secret", "secret", 6);
	put(w.top, "root2", "x", 1);
	put(w.root, "a.txt", "gr\xc3\xbc\xc3\x9f\n", 7);
	put(w.root, "dir/b", "", 0);
	put(w.root, "bin", "a\0b\xff", 4);
	put(w.ro, "r", "r", 1);
	at(path, sizeof(path), "out");
	assert_int_equal(symlink("../secret", path), 0);
	at(path, sizeof(path), "in");
	assert_int_equal(symlink("a.txt", path), 0);
	at(path, sizeof(path), "dangling");
	assert_int_equal(symlink("nowhere", path), 0);
	at(path, sizeof(path), "updir");
	assert_int_equal(symlink("..", path), 0);
	w.f = fileops_new();
	assert_non_null(w.f);
	add_root(w.root, true);
	add_root(w.ro, false);
	return (0);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return (remove(path));
}

static int
tear_down(void **state)
{
	(void)state;
	fileops_free(w.f);
	return (nftw(w.top, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

/* Runs and returns the text, malloc'ed; *ok is how it ended. */
static char *
run(enum file_op op, const char *path, const char *content, bool *ok)
{
	struct buf out = BUF_INITIALIZER;
	char *text;

	*ok = fileops_run(w.f, op, path, content,
		  content == NULL ? 0 : strlen(content), &out) == 0;
	assert_int_equal(out.err, 0);
	text = strdup(buf_str(&out));
	buf_free(&out);
	return (text);
}

/* Replaces each @ of the pattern by the root's path and compares. */
static void
same(const char *got, const char *pattern)
{
	char want[2048];
	size_t n = 0;

	for (; *pattern != '\0'; pattern++)
		n += (size_t)snprintf(want + n, sizeof(want) - n,
		    *pattern == '@' ? "%s" : "%.1s",
		    *pattern == '@' ? w.root : pattern);
	assert_string_equal(got, want);
}

static const struct row {
	enum file_op op;
	const char *path; /* @ is the root */
	const char *content;
	bool ok;
	const char *text;
} rows[] = {
	{ FOP_READ, "@/a.txt", NULL, true,
	    "{\"content\":\"gr\xc3\xbc\xc3\x9f\\n\",\"size\":7,"
	    "\"path\":\"@/a.txt\"}" },
	{ FOP_READ, " a.txt\n", NULL, true,
	    "{\"content\":\"gr\xc3\xbc\xc3\x9f\\n\",\"size\":7,"
	    "\"path\":\"@/a.txt\"}" },
	{ FOP_READ, "@//dir/../dir/./b/", NULL, true,
	    "{\"content\":\"\",\"size\":0,\"path\":\"@/dir/b\"}" },
	{ FOP_READ, "bin", NULL, true,
	    "{\"content_b64\":\"YQBi/w==\",\"size\":4,\"path\":\"@/bin\"}" },
	{ FOP_READ, "@/none", NULL, false, "'@/none' not found" },
	{ FOP_READ, "@/dir", NULL, false, "'@/dir' is not a file" },
	{ FOP_READ, "@/fifo", NULL, false, "'@/fifo' is not a file" },
	{ FOP_READ, "@/a.txt/x", NULL, false,
	    "Path not found: '@/a.txt/x' "
	    "leads through something that is not a directory" },
	{ FOP_READ, "", NULL, false, "operation and path required" },
	{ FOP_READ, " \t", NULL, false, "operation and path required" },
	/* out of the root, by every way */
	{ FOP_READ, "/etc/passwd", NULL, false,
	    "Path '/etc/passwd' not in allowed whitelist." },
	{ FOP_READ, "@/../../../../etc/passwd", NULL, false,
	    "Path '/etc/passwd' not in allowed whitelist." },
	{ FOP_READ, "../../../etc/passwd", NULL, false,
	    "Path '/etc/passwd' not in allowed whitelist." },
	{ FOP_READ, "@2", NULL, false,
	    "Path '@2' not in allowed "
	    "whitelist." },
	{ FOP_READ, "/", NULL, false, "Path '/' not in allowed whitelist." },
	{ FOP_READ, "@/out", NULL, false,
	    "Path '@/out' rejected because "
	    "symlink traversal is not allowed." },
	{ FOP_READ, "@/in", NULL, false,
	    "Path '@/in' rejected because "
	    "symlink traversal is not allowed." },
	{ FOP_READ, "@/dangling", NULL, false,
	    "Path '@/dangling' rejected "
	    "because symlink traversal is not allowed." },
	{ FOP_READ, "@/updir/secret", NULL, false,
	    "Path '@/updir/secret' "
	    "rejected because symlink traversal is not allowed." },
	{ FOP_EXISTS, "@/out", NULL, false,
	    "Path '@/out' rejected because "
	    "symlink traversal is not allowed." },
	{ FOP_WRITE, "@/dangling", "x", false,
	    "Path '@/dangling' rejected "
	    "because symlink traversal is not allowed." },
	{ FOP_WRITE, "@/updir/new", "x", false,
	    "Path '@/updir/new' rejected "
	    "because symlink traversal is not allowed." },
	{ FOP_WRITE, "@/updir/new/new", "x", false,
	    "Path '@/updir/new/new' "
	    "rejected because symlink traversal is not allowed." },
	{ FOP_MKDIR, "@/updir/new", NULL, false,
	    "Path '@/updir/new' rejected "
	    "because symlink traversal is not allowed." },
	{ FOP_DELETE, "@/out", NULL, false,
	    "Path '@/out' rejected because "
	    "symlink traversal is not allowed." },
	{ FOP_DELETE, "@/updir/secret", NULL, false,
	    "Path '@/updir/secret' "
	    "rejected because symlink traversal is not allowed." },
	{ FOP_LIST, "@/updir", NULL, false,
	    "Path '@/updir' rejected because "
	    "symlink traversal is not allowed." },
	{ FOP_STAT, "@/dangling", NULL, false,
	    "Path '@/dangling' rejected "
	    "because symlink traversal is not allowed." },
	/* writing */
	{ FOP_WRITE, "@/new",
	    "\xc3\xbc"
	    "a",
	    true, "{\"written\":2,\"path\":\"@/new\"}" },
	{ FOP_READ, "@/new", NULL, true,
	    "{\"content\":\"\xc3\xbc"
	    "a\",\"size\":3,\"path\":\"@/new\"}" },
	{ FOP_WRITE, "@/p/q/r", NULL, true,
	    "{\"written\":0,\"path\":\"@/p/q/r\"}" },
	{ FOP_WRITE, "@/p/q", "x", false,
	    "Expected file but got directory: '@/p/q'" },
	{ FOP_WRITE, "@", "x", false, "Expected file but got directory: '@'" },
	{ FOP_WRITE, "@/fifo", "x", false, "'@/fifo' is not a file" },
	{ FOP_WRITE, "@/a.txt/x", "x", false,
	    "Path not found: '@/a.txt/x' "
	    "leads through something that is not a directory" },
	/* existence */
	{ FOP_EXISTS, "@", NULL, true,
	    "{\"exists\":true,\"is_file\":false,"
	    "\"is_dir\":true,\"path\":\"@\"}" },
	{ FOP_EXISTS, "a.txt", NULL, true,
	    "{\"exists\":true,\"is_file\":true,"
	    "\"is_dir\":false,\"path\":\"@/a.txt\"}" },
	{ FOP_EXISTS, "@/none/none", NULL, true,
	    "{\"exists\":false,"
	    "\"is_file\":false,\"is_dir\":false,\"path\":\"@/none/none\"}" },
	{ FOP_EXISTS, "@/a.txt/none", NULL, true,
	    "{\"exists\":false,"
	    "\"is_file\":false,\"is_dir\":false,\"path\":\"@/a.txt/none\"}" },
	{ FOP_EXISTS, "@/fifo", NULL, true,
	    "{\"exists\":true,"
	    "\"is_file\":false,\"is_dir\":false,\"path\":\"@/fifo\"}" },
	/* directories */
	{ FOP_MKDIR, "@/d1/d2", NULL, true, "{\"created\":\"@/d1/d2\"}" },
	{ FOP_MKDIR, "@/d1/d2", NULL, true, "{\"created\":\"@/d1/d2\"}" },
	{ FOP_MKDIR, "@", NULL, true, "{\"created\":\"@\"}" },
	{ FOP_MKDIR, "@/a.txt", NULL, false, "'@/a.txt' is not a directory" },
	{ FOP_LIST, "@/d1", NULL, true,
	    "{\"entries\":[{\"name\":\"d2\","
	    "\"is_dir\":true,\"size\":0}],\"count\":1,\"path\":\"@/d1\"}" },
	{ FOP_LIST, "@/a.txt", NULL, false, "'@/a.txt' is not a directory" },
	{ FOP_LIST, "@/none", NULL, false, "'@/none' not found" },
	/* deleting */
	{ FOP_DELETE, "@", NULL, false,
	    "Refusing to delete whitelist root: '@'" },
	{ FOP_DELETE, "@/dir/..", NULL, false,
	    "Refusing to delete whitelist root: '@'" },
	{ FOP_DELETE, "@/dir", NULL, false,
	    "'@/dir' is a directory that is not empty" },
	{ FOP_DELETE, "@/empty", NULL, true,
	    "{\"deleted\":\"@/empty\",\"type\":\"directory\"}" },
	{ FOP_DELETE, "@/dir/b", NULL, true, "{\"deleted\":\"@/dir/b\"}" },
	{ FOP_DELETE, "@/dir/b", NULL, false, "'@/dir/b' not found" },
	{ FOP_DELETE, "@/fifo", NULL, false, "'@/fifo' is not a file" },
	{ FOP_MAX, "@", NULL, false, "unknown operation" },
};

static void
test_rows(void **state)
{
	char path[512], *text;
	const char *p;
	size_t i, n;
	bool ok;

	(void)state;
	for (i = 0; i < AX_NELEM(rows); i++) {
		n = 0;
		path[0] = '\0';
		for (p = rows[i].path; *p != '\0'; p++)
			n += (size_t)snprintf(path + n, sizeof(path) - n,
			    *p == '@' ? "%s" : "%.1s", *p == '@' ? w.root : p);
		text = run(rows[i].op, path, rows[i].content, &ok);
		if (ok != rows[i].ok)
			fail_msg("%d %s: %s", (int)rows[i].op, path, text);
		same(text, rows[i].text);
		free(text);
	}
	/* nothing outside the root was made, changed or taken away */
	(void)snprintf(path, sizeof(path), "%s/new", w.top);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof(path), "%s/secret", w.top);
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof(path), "%s/nowhere", w.root);
	assert_int_equal(access(path, F_OK), -1);
}

static void
expect(enum file_op op, const char *name, const char *content, bool want,
    const char *part)
{
	char path[9000], *text;
	bool ok;

	(void)snprintf(path, sizeof(path), "%s/%s", w.root, name);
	text = run(op, path, content, &ok);
	if (ok != want || strstr(text, part) == NULL)
		fail_msg("%.200s: %.300s", path, text);
	free(text);
}

static void
test_names(void **state)
{
	char name[8000];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	expect(FOP_READ, name, NULL, false, "is too long");
	expect(FOP_WRITE, name, "x", false, "is too long");
	expect(FOP_MKDIR, name, NULL, false, "is too long");
	name[256] = 'x';
	name[sizeof(name) - 1] = '\0';
	expect(FOP_READ, name, NULL, false, "too long");
	expect(FOP_WRITE, "new\nline \"q\" \x01", "x", true, "\\n");
	expect(FOP_LIST, "", NULL, true, "\"new\\nline \\\"q\\\" \\u0001\"");
	/* a name that is not UTF-8 still gives valid JSON */
	put(w.root, "bad\xff", "x", 1);
	expect(FOP_LIST, "", NULL, true, "\"bad\xef\xbf\xbd\"");
}

static void
test_read_only_root(void **state)
{
	char path[200], *text;
	bool ok;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/r", w.ro);
	free(text = run(FOP_READ, path, NULL, &ok));
	assert_true(ok);
	text = run(FOP_WRITE, path, "x", &ok);
	assert_false(ok);
	assert_non_null(strstr(text, "Permission denied"));
	free(text);
	free(run(FOP_DELETE, path, NULL, &ok));
	assert_false(ok);
	(void)snprintf(path, sizeof(path), "%s/n", w.ro);
	free(run(FOP_MKDIR, path, NULL, &ok));
	assert_false(ok);
}

static void
test_limits(void **state)
{
	char data[3000];

	(void)state;
	fileops_set_limits(w.f, 2048, 1024);
	memset(data, 'd', sizeof(data));
	put(w.root, "fits", data, 2048);
	put(w.root, "big", data, 2049);
	expect(FOP_READ, "fits", NULL, true, "\"size\":2048");
	expect(FOP_READ, "big", NULL, false,
	    "File too large to read safely "
	    "(2049 bytes > 2048 bytes).");
	data[1025] = '\0';
	expect(FOP_WRITE, "w", data, false,
	    "Content too large to write "
	    "safely (1025 bytes > 1024 bytes).");
	expect(FOP_EXISTS, "w", NULL, true, "\"exists\":false");
	data[1024] = '\0';
	expect(FOP_WRITE, "w", data, true, "\"written\":1024");
}

/* Control characters are six bytes each in JSON: such text goes as base64. */
static void
test_escapes_bounded(void **state)
{
	size_t n = 4 << 20;
	char *data = malloc(n), *text, path[200];
	bool ok;

	(void)state;
	fileops_set_limits(w.f, n, n);
	memset(data, 1, n);
	put(w.root, "ctl", data, n);
	at(path, sizeof(path), "ctl");
	text = run(FOP_READ, path, NULL, &ok);
	assert_true(ok);
	assert_true(strlen(text) < 7u << 20);
	assert_memory_equal(text, "{\"content_b64\":", 15);
	free(text);
	free(data);
}

static void
test_list_bounded(void **state)
{
	char dir[200], name[400], *text;
	json_t *j;
	bool ok;
	int i, fd;

	(void)state;
	at(dir, sizeof(dir), "many");
	assert_int_equal(mkdir(dir, 0755), 0);
	for (i = 0; i < FILEOPS_LIST_MAX + 5; i++) {
		(void)snprintf(name, sizeof(name), "%s/%05d%s", dir, i,
		    i % 2 == 0 ?
			"" :
			"-a-name-that-makes-the-list-longer-"
			"than-a-megabyte-if-only-every-entry-of-it-is-shown-in-"
			"full-with-its-size-and-kind-as-the-contract-says");
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		assert_true(fd != -1);
		(void)close(fd);
	}
	text = run(FOP_LIST, dir, NULL, &ok);
	assert_true(ok);
	assert_true(strlen(text) < FILEOPS_LIST_BYTES + 1000);
	j = json_loads(text, 0, NULL);
	assert_true(json_is_true(json_object_get(j, "truncated")));
	assert_int_equal(json_integer_value(json_object_get(j, "count")),
	    json_array_size(json_object_get(j, "entries")));
	json_decref(j);
	free(text);
}

static void
test_stat(void **state)
{
	char path[200], *text;
	json_t *j;
	bool ok;

	(void)state;
	at(path, sizeof(path), "a.txt");
	assert_int_equal(chmod(path, 0640), 0);
	text = run(FOP_STAT, path, NULL, &ok);
	assert_true(ok);
	j = json_loads(text, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(j, "type")),
	    "file");
	assert_string_equal(json_string_value(json_object_get(j, "mode")),
	    "0640");
	assert_int_equal(json_integer_value(json_object_get(j, "size")), 7);
	json_decref(j);
	free(text);
}

/* Another name of the same file keeps the old contents; the mode stays. */
static void
test_replace(void **state)
{
	char a[200], b[200], *text;
	struct stat st;
	bool ok;

	(void)state;
	at(a, sizeof(a), "a.txt");
	at(b, sizeof(b), "hard");
	assert_int_equal(link(a, b), 0);
	assert_int_equal(chmod(a, 0604), 0);
	expect(FOP_WRITE, "a.txt", "new", true, "\"written\":3");
	text = run(FOP_READ, b, NULL, &ok);
	assert_true(ok && strstr(text, "gr") != NULL);
	free(text);
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	expect(FOP_WRITE, "fresh", "x", true, "written");
	at(a, sizeof(a), "fresh");
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static int
count_temps(const char *dir)
{
	char cmd[300];
	int n = -1;
	FILE *p;

	(void)snprintf(cmd, sizeof(cmd),
	    "find '%s' -name '.archillx-*' | "
	    "wc -l",
	    dir);
	p = popen(cmd, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%d", &n), 1);
	(void)pclose(p);
	return (n);
}

/* A write that fails half way leaves the old file and no other. */
static void
test_failed_write(void **state)
{
	struct rlimit old, rl;
	char data[70000];

	(void)state;
	memset(data, 'd', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	rl = old;
	rl.rlim_cur = 10000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
	expect(FOP_WRITE, "a.txt", data, false, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect(FOP_READ, "a.txt", NULL, true, "gr\xc3\xbc");
	assert_int_equal(count_temps(w.root), 0);
}

/* Own mounts; as somebody who is not root, by a user namespace. */
static int
own_mounts(void)
{
	uid_t uid = geteuid();
	char map[64];
	int fd, n, r;

	if (uid == 0)
		return (unshare(CLONE_NEWNS) == -1 ?
			-1 :
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ||
	    (fd = open("/proc/self/uid_map", O_WRONLY)) == -1)
		return (-1);
	n = snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	r = write(fd, map, (size_t)n) == n ? 0 : -1;
	(void)close(fd);
	return (r);
}

/* In a child with its own mounts: a full file system of 64 KiB. Returns 77
 * where there are no user namespaces, else 0 or what went wrong. */
static int
full_disk_child(void)
{
	char path[200], data[200000], *text;
	bool ok, right;
	int fd;

	at(path, sizeof(path), "full");
	if (own_mounts() == -1 || mkdir(path, 0755) == -1 ||
	    mount("none", path, "tmpfs", 0, "size=64k") == -1)
		return (77);
	if ((fd = open(path, O_PATH | O_DIRECTORY)) == -1 ||
	    fileops_add_root(w.f, fd, path, true) == -1)
		return (1);
	memset(data, 'd', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	(void)strncat(path, "/f", 3);
	free(run(FOP_WRITE, path, "old", &ok));
	if (!ok)
		return (2);
	text = run(FOP_WRITE, path, data, &ok);
	right = !ok && strstr(text, "No space left on device") != NULL;
	free(text);
	if (!right)
		return (3);
	text = run(FOP_READ, path, NULL, &ok);
	right = ok && strstr(text, "\"old\"") != NULL;
	free(text);
	path[strlen(path) - 2] = '\0';
	return (!right ? 4 : count_temps(path) != 0 ? 5 : 0);
}

static void
test_full_disk(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if ((pid = fork()) == 0)
		_exit(full_disk_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no user namespaces here */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* One process swaps a directory and a link to the outside as fast as it can;
 * no operation may ever see or make anything outside. */
static void
swap_forever(const char *dir, const char *other, const char *lnk)
{
	for (;;) {
		(void)rename(dir, other);
		(void)rename(lnk, dir);
		(void)rename(dir, lnk);
		(void)rename(other, dir);
	}
}

static void
test_race(void **state)
{
	char d[200], o[200], l[200], path[300], *text;
	unsigned good = 0, refused = 0;
	pid_t pid;
	bool ok;
	int i;

	(void)state;
	at(d, sizeof(d), "swap");
	at(o, sizeof(o), "swap-real");
	at(l, sizeof(l), "swap-link");
	assert_int_equal(mkdir(d, 0755), 0);
	put(d, "secret", "inside", 6);
	assert_int_equal(symlink(w.top, l), 0);
	if ((pid = fork()) == 0)
		swap_forever(d, o, l);
	(void)snprintf(path, sizeof(path), "%s/secret", d);
	for (i = 0; i < 8000; i++) {
		text = run(FOP_READ, path, NULL, &ok);
		if (ok) {
			assert_non_null(strstr(text, "\"inside\""));
			good++;
		} else
			refused++;
		free(text);
		if (i % 10 != 0)
			continue;
		free(run(FOP_WRITE, path, "inside", &ok));
		(void)snprintf(path, sizeof(path), "%s/planted", d);
		free(run(FOP_WRITE, path, "p", &ok));
		free(run(FOP_DELETE, path, NULL, &ok));
		(void)snprintf(path, sizeof(path), "%s/secret", d);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_true(good > 0);
	assert_true(refused > 0);
	(void)snprintf(path, sizeof(path), "%s/planted", w.top);
	assert_int_equal(access(path, F_OK), -1);
	text = ax_read_file(AT_FDCWD,
	    (snprintf(path, sizeof(path), "%s/secret", w.top), path), 100,
	    &(size_t){ 0 });
	assert_string_equal(text, "secret");
	free(text);
}

static void
test_nested_roots(void **state)
{
	char path[200], *text;
	bool ok;

	(void)state;
	at(path, sizeof(path), "dir/in");
	assert_int_equal(mkdir(path, 0755), 0);
	put(w.root, "dir/in/f", "f", 1);
	add_root(path, false); /* the longer name counts: read-only */
	expect(FOP_READ, "dir/in/f", NULL, true, "\"f\"");
	expect(FOP_WRITE, "dir/in/f", "x", false, "read-only");
	expect(FOP_DELETE, "dir", NULL, false, "Refusing to delete");
	expect(FOP_WRITE, "dir/inx", "x", true, "written");
	text = run(FOP_LIST, path, NULL, &ok);
	assert_true(ok);
	free(text);
}

static void
test_no_roots(void **state)
{
	struct fileops *f = fileops_new();
	struct buf out = BUF_INITIALIZER;

	(void)state;
	assert_int_equal(fileops_run(f, FOP_READ, "a", NULL, 0, &out), -1);
	assert_non_null(strstr(buf_str(&out), "not in allowed whitelist"));
	buf_free(&out);
	assert_int_equal(fileops_add_root(f, open("/tmp", O_PATH), "tmp", true),
	    -1);
	assert_int_equal(fileops_add_root(f, open("/etc/passwd", O_PATH), "/x",
			     true),
	    -1);
	fileops_free(f);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_rows),
		T(test_names),
		T(test_read_only_root),
		T(test_limits),
		T(test_escapes_bounded),
		T(test_list_bounded),
		T(test_stat),
		T(test_replace),
		T(test_failed_write),
		T(test_full_disk),
		T(test_race),
		T(test_nested_roots),
		T(test_no_roots),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
