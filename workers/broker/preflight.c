/* SPDX-License-Identifier: ISC */
/*
 * Can this machine run a sandbox, and if not, what must its operator do? The
 * answer comes from one real run, not from a list of versions.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/jw.h"
#include "common/util.h"
#include "preflight.h"
#include "syscalls.h"

static const struct sysctl {
	const char *path;
	const char *name;
	long off; /* the value that forbids */
} switches[] = {
	{ "/proc/sys/kernel/unprivileged_userns_clone",
	    "kernel.unprivileged_userns_clone", 0 },
	{ "/proc/sys/user/max_user_namespaces", "user.max_user_namespaces", 0 },
	{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
	    "kernel.apparmor_restrict_unprivileged_userns", 1 },
};

static int
read_number(const char *path, long *out)
{
	char text[32];
	ssize_t n;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return (-1);
	text[n] = '\0';
	*out = strtol(text, NULL, 10);
	return (0);
}

void
preflight_look(struct preflight *p)
{
	size_t i;
	long v;

	if (access(AX_BWRAP, X_OK) == -1) {
		(void)snprintf(p->hint, sizeof(p->hint),
		    "%s is not there: "
		    "install bubblewrap",
		    AX_BWRAP);
		return;
	}
	for (i = 0; i < AX_NELEM(switches); i++) {
		if (read_number(switches[i].path, &v) == 0 &&
		    v == switches[i].off) {
			(void)snprintf(p->hint, sizeof(p->hint),
			    "%s is %ld: change it with sysctl(8)",
			    switches[i].name, v);
			return;
		}
	}
}

void
preflight_set(struct preflight *p, bool ok, const char *error)
{
	p->known = true;
	p->ok = ok;
	p->error[0] = '\0';
	if (!ok)
		(void)snprintf(p->error, sizeof(p->error), "%s%s%s", error,
		    p->hint[0] != '\0' ? "; " : "", p->hint);
}

static void
requirements(struct jw *w, bool cgroup)
{
	static const char *const always[] = { "network_none", "non_root_user",
		"seccomp_profile", "read_only_rootfs", "cap_drop_all",
		"no_new_privileges" };
	size_t i;

	jw_key(w, "requirements");
	jw_obj(w);
	for (i = 0; i < AX_NELEM(always); i++)
		jw_kbool(w, always[i], true);
	jw_kbool(w, "cgroup", cgroup);
	jw_obj_end(w);
}

void
preflight_json(const struct preflight *p, bool allow_no_cgroup, struct buf *b)
{
	static const char no_cgroup[] =
	    "no writable memory and pids cgroup: "
	    "runs are not limited in memory and processes together";
	unsigned allowed, conditional;
	struct jw w;

	syscalls_count(&allowed, &conditional);
	jw_init(&w, b, false);
	jw_obj(&w);
	jw_kbool(&w, "ok", p->ok && (!p->degraded || allow_no_cgroup));
	jw_key(&w, "errors");
	jw_arr(&w);
	if (!p->ok)
		jw_str(&w, p->error);
	if (p->degraded && !allow_no_cgroup)
		jw_str(&w, no_cgroup);
	jw_arr_end(&w);
	jw_key(&w, "warnings");
	jw_arr(&w);
	if (p->degraded && allow_no_cgroup)
		jw_str(&w, no_cgroup);
	jw_arr_end(&w);
	jw_kstr(&w, "backend", "process");
	jw_kstr(&w, "cgroup", p->cgroup);
	jw_kuint(&w, "syscalls_allowed", allowed);
	jw_kuint(&w, "syscalls_conditional", conditional);
	requirements(&w, !p->degraded);
	jw_obj_end(&w);
}
