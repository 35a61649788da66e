/* SPDX-License-Identifier: ISC */
/*
 * archillx-files: does what file_ops asks for, below the folders it was given.
 *
 * It acts only on FILE_OP from audit, which sends one only when the decision
 * is on the disk; it decides nothing itself. It holds nothing but the folders
 * (as descriptors), the lock of the shared life and its channels.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/landlock.h>
#include <seccomp.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/files/fileops.h"
#include "workers/worker.h"

#define ROOT_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* bit 14 is LANDLOCK_ACCESS_FS_TRUNCATE, which older headers lack */
#define ROOT_WRITE                                                         \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |   \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	    LANDLOCK_ACCESS_FS_MAKE_REG | (1ull << 14))

struct files {
	struct fileops *ops;
	int lock; /* of the shared life: held, never used */
};

static void
files_take_root(struct worker *w, struct files *f, uint32_t rw,
    const char *name, int fd)
{
	/* the rule first: fileops_add_root() takes the descriptor over */
	if (worker_landlock_allow(w, fd, ROOT_READ | (rw ? ROOT_WRITE : 0)) ==
	    -1)
		fatal("landlock: %s", name);
	if (fileops_add_root(f->ops, fd, name, rw != 0) == -1)
		fatal("root %s", name);
}

static void
files_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	struct files *f = w->priv;

	if (kind == RES_FILE_ROOT)
		files_take_root(w, f, arg, name, fd);
	else if (kind == RES_LOCK)
		f->lock = fd;
	else
		fatalx("resource %d is not for files", (int)kind);
}

static void
files_conf_commit(struct worker *w)
{
	struct files *f = w->priv;

	fileops_set_limits(f->ops,
	    (size_t)settings_int(w->settings, SET_FILE_MAX_READ_BYTES),
	    (size_t)settings_int(w->settings, SET_FILE_MAX_WRITE_BYTES));
}

/* What the group of the service may read; nobody else. */
static void
files_start(struct worker *w)
{
	struct files *f = w->priv;

	if (f->lock == -1)
		fatalx("the lock of the shared life is missing");
	(void)umask(027);
}

static void
answer(struct ipc *c, const struct ipc_msg *m, uint64_t permit, bool ok,
    const char *text)
{
	struct buf b = BUF_INITIALIZER;

	mw_u64(&b, permit);
	mw_u8(&b, ok);
	mw_str(&b, text);
	if (ipc_send_buf(c, MSG_FILE_DONE, m->id, &b) == -1)
		log_warn("files: answer for permit %llu",
		    (unsigned long long)permit);
	buf_free(&b);
}

static void
files_on_file_op(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct worker *w = arg;
	struct files *f = w->priv;
	struct buf out = BUF_INITIALIZER;
	uint64_t permit, epoch;
	const char *path, *text;
	const void *content;
	uint8_t op, has_content;
	struct msg_r r;
	size_t len;
	int ok;

	mr_init(&r, m->body, m->len);
	permit = mr_u64(&r);
	epoch = mr_u64(&r);
	op = mr_u8(&r);
	path = mr_str_req(&r);
	has_content = mr_u8(&r);
	content = mr_blob(&r, &len);
	if (mr_end(&r) == -1 || op >= FOP_MAX) {
		worker_peer_violation(w, c, "malformed FILE_OP");
		return;
	}
	if (epoch != w->epoch) {
		log_warnx("files: permit %llu is of epoch %llu, not %llu",
		    (unsigned long long)permit, (unsigned long long)epoch,
		    (unsigned long long)w->epoch);
		answer(c, m, permit, false,
		    "refused: the permit is of an "
		    "earlier life of the service");
		return;
	}
	ok = fileops_run(f->ops, (enum file_op)op, path,
		 has_content ? content : NULL, len, &out) == 0;
	text = buf_str(&out);
	answer(c, m, permit, ok && text != NULL,
	    text != NULL ? text : "out of memory");
	buf_free(&out);
}

static const struct ipc_route peer_routes[] = {
	{ MSG_FILE_OP, files_on_file_op },
};

static const int extra_syscalls[] = { SCMP_SYS(openat2), SCMP_SYS(mkdirat),
	SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(newfstatat), SCMP_SYS(getdents64), SCMP_SYS(fchmod),
	SCMP_SYS(fsync), -1 };

static const struct worker_ops ops = {
	.role = PROC_FILES,
	.resource = files_resource,
	.conf_commit = files_conf_commit,
	.start = files_start,
	.peer_routes = peer_routes,
	.npeer_routes = AX_NELEM(peer_routes),
	.extra_syscalls = extra_syscalls,
};

int
main(int argc, char **argv)
{
	struct files f = { .lock = -1 };

	if ((f.ops = fileops_new()) == NULL)
		fatal("files");
	return (worker_main(argc, argv, &ops, &f));
}
