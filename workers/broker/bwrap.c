/* SPDX-License-Identifier: ISC */
/*
 * What a sandbox sees, as bubblewrap's arguments: new namespaces of every
 * kind, an unprivileged uid, the system's programs and libraries read-only,
 * one small writable file system, a private /proc, three devices. Nothing of
 * /etc but the loader's cache and Debian's alternatives, nothing of /var,
 * /home, /root, /run, /usr/local or /srv.
 *
 * It must never contain a word that a client chose.
 */
#include <stdio.h>

#include "common/job.h"
#include "common/log.h"
#include "common/util.h"
#include "bwrap.h"

static const char *const isolation[] = {
	"bwrap",
	"--unshare-user",
	"--unshare-pid",
	"--unshare-net",
	"--unshare-ipc",
	"--unshare-uts",
	"--unshare-cgroup-try",
	"--disable-userns", /* the filter refuses them as well */
	"--uid",
	"65534",
	"--gid",
	"65534",
	"--hostname",
	"sandbox",
	"--die-with-parent",
	"--new-session",
	"--as-pid-1",
	"--cap-drop",
	"ALL",
};

static const char *const file_system[] = {
	"--ro-bind",
	"/usr/bin",
	"/usr/bin",
	"--ro-bind",
	"/usr/lib",
	"/usr/lib",
	"--ro-bind-try",
	"/usr/lib64",
	"/usr/lib64",
	"--symlink",
	"usr/bin",
	"/bin",
	"--symlink",
	"usr/lib",
	"/lib",
	"--symlink",
	"usr/lib64",
	"/lib64",
	"--ro-bind-try",
	"/etc/ld.so.cache",
	"/etc/ld.so.cache",
	"--ro-bind-try",
	"/etc/alternatives",
	"/etc/alternatives",
	"--proc",
	"/proc",
	"--dev-bind",
	"/dev/null",
	"/dev/null",
	"--dev-bind",
	"/dev/zero",
	"/dev/zero",
	"--dev-bind",
	"/dev/urandom",
	"/dev/urandom",
	"--symlink",
	"urandom",
	"/dev/random",
	"--symlink",
	"/proc/self/fd",
	"/dev/fd",
	"--symlink",
	"/proc/self/fd/0",
	"/dev/stdin",
	"--symlink",
	"/proc/self/fd/1",
	"/dev/stdout",
	"--symlink",
	"/proc/self/fd/2",
	"/dev/stderr",
	"--symlink",
	"/tmp",
	"/dev/shm",
	"--symlink",
	("work/" JOB_TMP),
	"/tmp",
};

static void
put(struct bwrap_args *a, const char *word)
{
	if (a->argc == BWRAP_ARGS_MAX - 1)
		fatalx("bwrap: more arguments than BWRAP_ARGS_MAX");
	a->argv[a->argc++] = word;
}

static void
put_list(struct bwrap_args *a, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		put(a, list[i]);
}

void
bwrap_args(struct bwrap_args *a, const struct bwrap_view *v)
{
	const char *const tail[] = { "--size", a->size, "--tmpfs", JOB_DIR,
		"--ro-bind", v->runner, JOB_RUNNER, "--remount-ro", "/",
		"--chdir", JOB_DIR, "--", JOB_RUNNER };

	a->argc = 0;
	(void)snprintf(a->size, sizeof(a->size), "%llu",
	    (unsigned long long)v->disk);
	put_list(a, isolation, AX_NELEM(isolation));
	put_list(a, file_system, AX_NELEM(file_system));
	if (v->host_path != NULL) {
		put(a, "--ro-bind");
		put(a, v->host_path);
		put(a, "/skill");
	}
	put_list(a, tail, AX_NELEM(tail));
	a->argv[a->argc] = NULL;
}
