/* SPDX-License-Identifier: ISC */
/*
 * Turns the table of system calls into a filter, once, while the broker
 * starts. The runner loads it in every sandbox.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <seccomp.h>

#include "common/util.h"
#include "syscalls.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define NEW_NAMESPACES                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

enum verdict { V_ALLOW, V_ALLOW_IF, V_PROBE };

struct row {
	int nr;
	enum verdict verdict;
	unsigned arg;
	enum scmp_compare op;
	uint64_t a, b;
};

static const struct row rows[] = {
#define ALLOW(name)		   { SCMP_SYS(name), V_ALLOW, 0, 0, 0, 0 },
#define ALLOW_IF(name, n, o, x, y) { SCMP_SYS(name), V_ALLOW_IF, n, o, x, y },
#define PROBE(name)		   { SCMP_SYS(name), V_PROBE, 0, 0, 0, 0 },
#include "syscalls.def.h"
#undef ALLOW
#undef ALLOW_IF
#undef PROBE
};

static int
add_row(scmp_filter_ctx ctx, const struct row *r)
{
	struct scmp_arg_cmp cmp = { r->arg, r->op, r->a, r->b };
	int rc;

	if (r->verdict == V_PROBE)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), r->nr, 0);
	else if (r->verdict == V_ALLOW)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, r->nr, 0);
	else
		rc =
		    seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, 1, &cmp);
	/* A call that this architecture lacks needs no rule. */
	return (rc == -EDOM ? 0 : rc);
}

static scmp_filter_ctx
build(void)
{
	scmp_filter_ctx ctx;
	size_t i;
	int rc;

	if ((ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM))) == NULL) {
		errno = ENOMEM;
		return (NULL);
	}
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	/* A binary tree instead of a list: few comparisons for each call. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (i = 0; rc == 0 && i < AX_NELEM(rows); i++)
		rc = add_row(ctx, &rows[i]);
	if (rc != 0) {
		seccomp_release(ctx);
		errno = -rc;
		return (NULL);
	}
	return (ctx);
}

/* All of the file, from its start; malloc'ed. */
static void *
slurp(int fd, size_t *len)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char *p;

	if (end <= 0 || lseek(fd, 0, SEEK_SET) == -1 ||
	    (p = malloc((size_t)end)) == NULL)
		return (NULL);
	if (read(fd, p, (size_t)end) != end) {
		free(p);
		return (NULL);
	}
	*len = (size_t)end;
	return (p);
}

struct sock_filter *
syscalls_compile(size_t *n)
{
	scmp_filter_ctx ctx;
	void *prog = NULL;
	size_t len = 0;
	int fd, rc;

	if ((ctx = build()) == NULL)
		return (NULL);
	if ((fd = memfd_create("ax-filter", MFD_CLOEXEC)) != -1) {
		rc = seccomp_export_bpf(ctx, fd);
		if (rc == 0)
			prog = slurp(fd, &len);
		else
			errno = -rc;
		(void)close(fd);
	}
	seccomp_release(ctx);
	*n = len / sizeof(struct sock_filter);
	return (prog);
}

void
syscalls_count(unsigned *allowed, unsigned *conditional)
{
	size_t i;
	int last = -1;

	*allowed = *conditional = 0;
	for (i = 0; i < AX_NELEM(rows); i++) {
		if (rows[i].verdict == V_ALLOW)
			(*allowed)++;
		else if (rows[i].verdict == V_ALLOW_IF && rows[i].nr != last)
			(*conditional)++;
		last = rows[i].nr;
	}
}
