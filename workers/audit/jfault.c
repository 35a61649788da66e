/* SPDX-License-Identifier: ISC */
/*
 * TEST ONLY. A disk that fails or forgets, as told; see jfault.h. Must never be
 * part of a normal build: the Makefile links it with --enable-fault-io alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/util.h"
#include "workers/audit/jfault.h"

enum op {
	OP_WRITE,
	OP_FDATASYNC,
	OP_FSYNC,
	OP_FTRUNCATE,
	OP_FALLOCATE,
	OP_RENAME,
	OP_OPEN,
	OP_UNLINK,
	OP_MKDIR,
	OP_READ,
	OP_MAX
};

static const char *const op_names[OP_MAX] = {
	"write",
	"fdatasync",
	"fsync",
	"ftruncate",
	"fallocate",
	"rename",
	"open",
	"unlink",
	"mkdir",
	"read",
};

struct rule {
	enum op op;
	unsigned nth, count;
	int err;
	long short_n; /* -1: not short */
	bool kill, drop;
};

#define RULES_MAX 16

static struct {
	struct rule rules[RULES_MAX];
	unsigned nrules;
	unsigned calls[OP_MAX];
	bool stub, buffer;
	unsigned powercut;
	bool free_set;
	uint64_t free;
	/* the file that is held back */
	int held_fd;
	struct buf held;
	/* rules from a file */
	int watch_dir;
	const char *watch_name;
	struct timespec watch_time;
} F = { .held_fd = -1, .watch_dir = -1 };

/* ---- the rules ---- */

static const struct {
	const char *name;
	int err;
} errors[] = {
	{ "EIO", EIO },
	{ "ENOSPC", ENOSPC },
	{ "EDQUOT", EDQUOT },
	{ "EINTR", EINTR },
	{ "EROFS", EROFS },
	{ "EACCES", EACCES },
	{ "EMFILE", EMFILE },
	{ "EEXIST", EEXIST },
	{ "ENOMEM", ENOMEM },
	{ "EINVAL", EINVAL },
	{ "EOPNOTSUPP", EOPNOTSUPP },
};

static int
find_error(const char *s)
{
	size_t i;

	for (i = 0; i < AX_NELEM(errors); i++) {
		if (strcmp(errors[i].name, s) == 0)
			return (errors[i].err);
	}
	return (0);
}

static int
find_op(const char *s)
{
	int i;

	for (i = 0; i < OP_MAX; i++) {
		if (strcmp(op_names[i], s) == 0)
			return (i);
	}
	return (-1);
}

/* One "key=value"; false when it is not known. */
static bool
rule_field(struct rule *r, bool *has_op, const char *key, const char *value)
{
	int64_t n = 0;
	int op;

	if (strcmp(key, "op") == 0) {
		if ((op = find_op(value)) == -1)
			return (false);
		r->op = (enum op)op;
		*has_op = true;
		return (true);
	}
	if (strcmp(key, "err") == 0)
		return ((r->err = find_error(value)) != 0);
	if (strcmp(key, "fdatasync") == 0)
		return ((F.stub = strcmp(value, "stub") == 0));
	if (ax_strtonum(value, 0, UINT_MAX, &n) == -1)
		return (false);
	if (strcmp(key, "nth") == 0)
		r->nth = (unsigned)n;
	else if (strcmp(key, "count") == 0)
		r->count = (unsigned)n;
	else if (strcmp(key, "short") == 0)
		r->short_n = (long)n;
	else if (strcmp(key, "kill") == 0)
		r->kill = n != 0;
	else if (strcmp(key, "drop") == 0)
		r->drop = n != 0;
	else if (strcmp(key, "buffer") == 0)
		F.buffer = n != 0;
	else if (strcmp(key, "powercut") == 0)
		F.powercut = (unsigned)n;
	else if (strcmp(key, "free") == 0) {
		F.free = (uint64_t)n;
		F.free_set = true;
	} else
		return (false);
	return (true);
}

static int
parse_rule(char *text, char *err, size_t errlen)
{
	struct rule r = { .nth = 1, .count = 1, .short_n = -1 };
	char *f, *eq;
	bool has_op = false;

	while ((f = strsep(&text, ", \n")) != NULL) {
		if (*f == '\0')
			continue;
		if ((eq = strchr(f, '=')) != NULL)
			*eq = '\0';
		if (eq == NULL || !rule_field(&r, &has_op, f, eq + 1)) {
			(void)snprintf(err, errlen, "fault: what is \"%s\"?",
			    f);
			return (-1);
		}
	}
	if (has_op && F.nrules < RULES_MAX)
		F.rules[F.nrules++] = r;
	return (0);
}

int
jfault_set(const char *spec, char *err, size_t errlen)
{
	char *copy, *p, *next;
	int r = 0;

	F.nrules = 0;
	F.stub = F.buffer = F.free_set = false;
	F.powercut = 0;
	memset(F.calls, 0, sizeof(F.calls));
	if ((copy = strdup(spec)) == NULL)
		return (-1);
	for (p = copy; p != NULL && r == 0; p = next) {
		if ((next = strchr(p, ';')) != NULL)
			*next++ = '\0';
		r = parse_rule(p, err, errlen);
	}
	free(copy);
	return (r);
}

void
jfault_start(int dirfd)
{
	F.watch_dir = dirfd;
	F.watch_name = ".fault";
}

const struct jio *
jfault_from_environment(void)
{
	const char *spec = getenv("AX_FAULT");
	char err[120];

	if (spec != NULL && jfault_set(spec, err, sizeof(err)) == -1)
		fatalx("%s", err);
	return (&jio_fault);
}

static void
reload(void)
{
	char err[120], *text;
	struct stat st;
	size_t n;

	if (F.watch_name == NULL)
		return;
	if (fstatat(F.watch_dir, F.watch_name, &st, AT_SYMLINK_NOFOLLOW) ==
	    -1) {
		if (F.watch_time.tv_sec != 0)
			(void)jfault_set("", err, sizeof(err));
		F.watch_time.tv_sec = 0;
		return;
	}
	if (st.st_mtim.tv_sec == F.watch_time.tv_sec &&
	    st.st_mtim.tv_nsec == F.watch_time.tv_nsec)
		return;
	F.watch_time = st.st_mtim;
	text = ax_read_file(F.watch_dir, F.watch_name, 4096, &n);
	if (text == NULL || jfault_set(text, err, sizeof(err)) == -1)
		log_warnx("fault: rules not taken");
	else
		log_warnx("fault: rules: %s", text);
	free(text);
}

unsigned
jfault_calls(const char *op)
{
	int i = find_op(op);

	return (i == -1 ? 0 : F.calls[i]);
}

/* The rule that this call of op meets, or NULL. */
static const struct rule *
hit(enum op op)
{
	const struct rule *r;
	unsigned i, n;

	reload();
	n = ++F.calls[op];
	for (i = 0; i < F.nrules; i++) {
		r = &F.rules[i];
		if (r->op != op || n < r->nth ||
		    (r->count != 0 && n >= r->nth + r->count))
			continue;
		if (r->kill)
			(void)kill(getpid(), SIGKILL);
		return (r);
	}
	return (NULL);
}

/* True, and errno set, when this call has to fail. */
static bool
fails(enum op op)
{
	const struct rule *r = hit(op);

	if (r == NULL || r->err == 0)
		return (false);
	errno = r->err;
	return (true);
}

/* ---- a disk that forgets ---- */

void
jfault_forget(void)
{
	F.held_fd = -1;
	buf_reset(&F.held);
}

static int
flush(size_t n)
{
	int r = ax_write_all(F.held_fd, F.held.d, n);

	buf_reset(&F.held);
	return (r);
}

static ssize_t
write_some(int fd, const struct iovec *iov, int n, size_t limit)
{
	size_t done = 0, len;
	ssize_t w;
	int i;

	if (F.buffer && F.held_fd != fd) {
		jfault_forget();
		F.held_fd = fd;
	}
	for (i = 0; i < n && done < limit; i++) {
		len = iov[i].iov_len;
		if (len > limit - done)
			len = limit - done;
		if (F.buffer)
			buf_add(&F.held, iov[i].iov_base, len);
		else if ((w = write(fd, iov[i].iov_base, len)) == -1)
			return (done > 0 ? (ssize_t)done : -1);
		else
			len = (size_t)w;
		done += len;
	}
	return ((ssize_t)done);
}

static bool
appends(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	return (fl != -1 && (fl & O_APPEND) != 0);
}

static ssize_t
fault_writev(int fd, const struct iovec *iov, int n)
{
	const struct rule *r;
	ssize_t all = 0;
	int i;

	/* Only the journal itself is opened for appending. */
	if (!appends(fd))
		return (writev(fd, iov, n));
	r = hit(OP_WRITE);
	if (r != NULL && r->err != 0) {
		errno = r->err;
		return (-1);
	}
	for (i = 0; i < n; i++)
		all += (ssize_t)iov[i].iov_len;
	if (r != NULL && r->drop)
		return (all);
	if (r != NULL && r->short_n >= 0 && r->short_n < all)
		all = r->short_n;
	return (write_some(fd, iov, n, (size_t)all));
}

static int
fault_fdatasync(int fd)
{
	uint32_t dice;

	if (fails(OP_FDATASYNC))
		return (-1);
	if (F.powercut != 0 && F.calls[OP_FDATASYNC] >= F.powercut) {
		ax_random(&dice, sizeof(dice));
		if (F.held_fd == fd && F.held.len > 0) {
			(void)flush(dice % (F.held.len + 1));
			(void)fdatasync(fd);
		}
		(void)kill(getpid(), SIGKILL);
	}
	if (F.stub)
		return (0);
	if (F.held_fd == fd && flush(F.held.len) == -1)
		return (-1);
	return (fdatasync(fd));
}

static int
fault_fsync(int fd)
{
	return (fails(OP_FSYNC) ? -1 : fsync(fd));
}

static int
fault_ftruncate(int fd, off_t len)
{
	struct stat st;

	if (fails(OP_FTRUNCATE))
		return (-1);
	if (F.held_fd == fd && fstat(fd, &st) == 0) {
		if (len < st.st_size)
			buf_reset(&F.held);
		else if ((size_t)(len - st.st_size) < F.held.len)
			F.held.len = (size_t)(len - st.st_size);
		if (len >= st.st_size)
			return (0);
	}
	return (ftruncate(fd, len));
}

static ssize_t
fault_pread(int fd, void *b, size_t n, off_t at)
{
	return (fails(OP_READ) ? -1 : pread(fd, b, n, at));
}

static int
fault_fallocate(int fd, int mode, off_t at, off_t n)
{
	return (fails(OP_FALLOCATE) ? -1 : fallocate(fd, mode, at, n));
}

static int
fault_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (fails(OP_OPEN) ? -1 : openat(dirfd, path, flags, mode));
}

static int
fault_renameat2(int a, const char *from, int b, const char *to, unsigned f)
{
	return (fails(OP_RENAME) ? -1 : renameat2(a, from, b, to, f));
}

static int
fault_unlinkat(int dirfd, const char *path, int flags)
{
	return (fails(OP_UNLINK) ? -1 : unlinkat(dirfd, path, flags));
}

static int
fault_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return (fails(OP_MKDIR) ? -1 : mkdirat(dirfd, path, mode));
}

static int
fault_fstat(int fd, struct stat *st)
{
	return (fstat(fd, st));
}

static int
fault_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return (fstatat(dirfd, path, st, flags));
}

/* "free=N": so many bytes are left, whatever the file system says. */
static int
fault_fstatvfs(int fd, struct statvfs *v)
{
	if (fstatvfs(fd, v) == -1)
		return (-1);
	reload();
	if (F.free_set) {
		v->f_frsize = 1;
		v->f_bavail = F.free;
	}
	return (0);
}

static int
fault_close(int fd)
{
	if (fd == F.held_fd)
		jfault_forget();
	return (close(fd));
}

const struct jio jio_fault = {
	.writev = fault_writev,
	.pread = fault_pread,
	.fdatasync = fault_fdatasync,
	.fsync = fault_fsync,
	.ftruncate = fault_ftruncate,
	.fallocate = fault_fallocate,
	.openat = fault_openat,
	.renameat2 = fault_renameat2,
	.unlinkat = fault_unlinkat,
	.mkdirat = fault_mkdirat,
	.fstat = fault_fstat,
	.fstatat = fault_fstatat,
	.fstatvfs = fault_fstatvfs,
	.close = fault_close,
};
