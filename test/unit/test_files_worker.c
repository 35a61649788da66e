/* SPDX-License-Identifier: ISC */
/*
 * archillx-files as a program, confined as in service (a system call outside
 * its list kills it), with this test as its parent and its audit: every
 * operation, large bodies, a permit of another epoch, a malformed message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ipc.h"
#include "common/metrics.h"
#include "common/msg.h"
#include "common/setup.h"
#include "common/util.h"

#define EPOCH	7
#define WAIT_MS 20000

static struct {
	pid_t pid;
	struct ipc *parent; /* our end as the parent */
	struct ipc *audit;  /* our end as audit */
	char top[64], root[80];
	unsigned got[MSG_MAX];
	uint64_t permit;
	bool ok;
	char *text; /* of the last FILE_DONE */
} t;

static void
on_parent(struct ipc *c, struct ipc_msg *m, void *arg)
{
	(void)c;
	(void)arg;
	t.got[m->type]++;
}

static const struct ipc_route parent_routes[] = {
	{ MSG_HELLO, on_parent },
	{ MSG_CONF_READY, on_parent },
	{ MSG_CONF_REJECT, on_parent },
	{ MSG_READY, on_parent },
	{ MSG_DRAINED, on_parent },
	{ MSG_PONG, on_parent },
	{ MSG_CHANNEL_LOST, on_parent },
	{ MSG_PROBE_RESULT, on_parent },
};

static void
on_file_done(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;

	(void)c;
	(void)arg;
	mr_init(&r, m->body, m->len);
	t.permit = mr_u64(&r);
	t.ok = mr_u8(&r) != 0;
	free(t.text);
	t.text = strdup(mr_str_req(&r));
	assert_int_equal(mr_end(&r), 0);
	t.got[MSG_FILE_DONE]++;
}

static const struct ipc_route audit_routes[] = {
	{ MSG_FILE_DONE, on_file_done },
};

static void
on_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	(void)c;
	(void)how;
	(void)why;
	(void)arg;
}

static void
await(struct ipc *c, enum msg_type type)
{
	unsigned was = t.got[type];

	while (t.got[type] == was)
		if (ipc_recv_blocking(c, WAIT_MS) == -1)
			fail_msg("nothing instead of %s", msg_name(type));
}

static void
send_buf(struct ipc *c, enum msg_type type, uint64_t id, struct buf *b)
{
	assert_int_equal(ipc_send_buf(c, type, id, b), 0);
	assert_int_equal(ipc_flush_blocking(c, WAIT_MS), 0);
	buf_free(b);
}

static void
send_resource(enum res_kind kind, uint32_t arg, const char *name, int fd)
{
	struct buf b = BUF_INITIALIZER;

	assert_true(fd != -1);
	mw_u16(&b, (uint16_t)kind);
	mw_u32(&b, arg);
	mw_str(&b, name);
	assert_int_equal(ipc_send_fds(t.parent, MSG_RESOURCE, 0, b.d, b.len,
			     &fd, 1),
	    0);
	buf_free(&b);
}

static void
send_setup(void)
{
	struct buf b = BUF_INITIALIZER;
	struct worker_setup s = { .role = PROC_FILES,
		.epoch = EPOCH,
		.uid = geteuid(),
		.gid = getegid(),
		.confinement = CF_KILL,
		.parent_pid = (uint32_t)getpid() };

	worker_setup_put(&b, &s);
	send_buf(t.parent, MSG_SETUP, 0, &b);
}

static void
send_gen(enum msg_type type)
{
	struct buf b = BUF_INITIALIZER;

	mw_u64(&b, 1);
	send_buf(t.parent, type, 0, &b);
}

static void
send_peer(int fd)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, PROC_AUDIT);
	mw_u16(&b, 0);
	mw_u64(&b, EPOCH);
	assert_int_equal(ipc_send_fds(t.parent, MSG_PEER, 0, b.d, b.len, &fd,
			     1),
	    0);
	buf_free(&b);
}

static void
start_worker(int fd)
{
	const char *top = getenv("top_builddir");
	char path[1024];

	if ((t.pid = fork()) != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/workers/files/archillx-files",
	    top == NULL ? "." : top);
	(void)dup2(fd, 3);
	(void)execl(path, "archillx-files", (char *)NULL);
	_exit(127);
}

static void
make_folders(void)
{
	(void)snprintf(t.top, sizeof(t.top), "/tmp/ax-files.XXXXXX");
	assert_non_null(mkdtemp(t.top));
	(void)snprintf(t.root, sizeof(t.root), "%s/root", t.top);
	assert_int_equal(mkdir(t.root, 0755), 0);
}

static int
slot(void)
{
	int fd = memfd_create("slot", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, sizeof(struct metrics_slot)), 0);
	return (fd);
}

static int
set_up(void **state)
{
	int p[2], a[2], type = SOCK_SEQPACKET | SOCK_CLOEXEC;

	(void)state;
	memset(&t, 0, sizeof(t));
	make_folders();
	assert_int_equal(socketpair(AF_UNIX, type, 0, p), 0);
	assert_int_equal(socketpair(AF_UNIX, type, 0, a), 0);
	start_worker(p[1]);
	(void)close(p[1]);
	t.parent = ipc_new(NULL, p[0], PROC_PARENT, PROC_FILES, 0,
	    parent_routes, AX_NELEM(parent_routes), on_lost, NULL);
	t.audit = ipc_new(NULL, a[0], PROC_AUDIT, PROC_FILES, 0, audit_routes,
	    AX_NELEM(audit_routes), on_lost, NULL);
	assert_non_null(t.parent);
	assert_non_null(t.audit);
	ipc_set_state(t.audit, PS_RUN);
	await(t.parent, MSG_HELLO);
	send_setup();
	send_resource(RES_SLOT_OWN, 0, "", slot());
	send_resource(RES_LOCK, 0, "", memfd_create("lock", MFD_CLOEXEC));
	send_resource(RES_FILE_ROOT, 1, t.root,
	    open(t.root, O_PATH | O_DIRECTORY | O_CLOEXEC));
	send_peer(a[1]);
	send_gen(MSG_CONF_BEGIN);
	send_gen(MSG_CONF_END);
	await(t.parent, MSG_CONF_READY);
	send_gen(MSG_CONF_COMMIT);
	await(t.parent, MSG_READY);
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
	int status;

	(void)state;
	ipc_free(t.parent); /* the worker ends when its parent does */
	ipc_free(t.audit);
	free(t.text);
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return (nftw(t.top, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

static void
ask(uint64_t permit, uint64_t epoch, enum file_op op, const char *path,
    const char *content)
{
	struct buf b = BUF_INITIALIZER;

	mw_u64(&b, permit);
	mw_u64(&b, epoch);
	mw_u8(&b, (uint8_t)op);
	mw_str(&b, path);
	mw_u8(&b, content != NULL);
	mw_blob(&b, content != NULL ? content : "",
	    content != NULL ? strlen(content) : 0);
	send_buf(t.audit, MSG_FILE_OP, permit, &b);
	await(t.audit, MSG_FILE_DONE);
	assert_int_equal(t.permit, permit);
}

static void
test_operations(void **state)
{
	static const struct {
		enum file_op op;
		const char *path, *content;
		bool ok;
		const char *part;
	} steps[] = {
		{ FOP_WRITE, "a/b/c", "hello", true, "\"written\":5" },
		{ FOP_WRITE, "a/b/c", "again", true, "\"written\":5" },
		{ FOP_READ, "a/b/c", NULL, true, "\"content\":\"again\"" },
		{ FOP_LIST, "a/b", NULL, true, "\"count\":1" },
		{ FOP_STAT, "a/b/c", NULL, true, "\"mode\":\"0640\"" },
		{ FOP_EXISTS, "a/b/c", NULL, true, "\"exists\":true" },
		{ FOP_MKDIR, "d/e", NULL, true, "created" },
		{ FOP_DELETE, "a/b", NULL, false, "not empty" },
		{ FOP_DELETE, "a/b/c", NULL, true, "deleted" },
		{ FOP_DELETE, "d/e", NULL, true, "directory" },
		{ FOP_READ, "/etc/passwd", NULL, false, "whitelist" },
		{ FOP_READ, "../x", NULL, false, "whitelist" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < AX_NELEM(steps); i++) {
		ask(i + 1, EPOCH, steps[i].op, steps[i].path, steps[i].content);
		if (t.ok != steps[i].ok ||
		    strstr(t.text, steps[i].part) == NULL)
			fail_msg("step %zu: %s", i, t.text);
	}
}

static void
test_large(void **state)
{
	size_t n = 900000;
	char *data = malloc(n + 1);

	(void)state;
	memset(data, 'x', n);
	data[n] = '\0';
	ask(1, EPOCH, FOP_WRITE, "big", data);
	assert_true(t.ok);
	ask(2, EPOCH, FOP_READ, "big", NULL);
	assert_true(t.ok);
	assert_non_null(strstr(t.text, "\"size\":900000"));
	free(data);
}

static void
test_other_epoch(void **state)
{
	(void)state;
	ask(1, EPOCH - 1, FOP_WRITE, "late", "x");
	assert_false(t.ok);
	ask(2, EPOCH, FOP_EXISTS, "late", NULL);
	assert_non_null(strstr(t.text, "\"exists\":false"));
}

static void
test_malformed(void **state)
{
	char junk[40];

	(void)state;
	memset(junk, 0xff, sizeof(junk));
	assert_int_equal(ipc_send(t.audit, MSG_FILE_OP, 1, junk, sizeof(junk)),
	    0);
	await(t.parent, MSG_CHANNEL_LOST);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_operations),
		T(test_large),
		T(test_other_epoch),
		T(test_malformed),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
