/* SPDX-License-Identifier: ISC */
#ifndef AX_CGROUP_H
#define AX_CGROUP_H

#include <sys/types.h>

/*
 * The parent's side of control groups: one folder of the service's own, handed
 * to the launcher's uid. What happens inside it is workers/launcher/cgrun.h.
 */
enum cgroup_variant {
	CGROUP_NONE, /* nothing usable: `why` says why */
	CGROUP_V1,   /* one folder in each of memory, pids and (maybe) cpu */
	CGROUP_V2    /* one folder in the unified tree */
};

#define CGROUP_DIRS 3

struct cgroup_set {
	enum cgroup_variant variant;
	struct {
		const char *name; /* for RES_CGROUP: v2, memory, pids, cpu */
		char *path;
		int fd; /* O_DIRECTORY|O_CLOEXEC, or -1 */
	} dir[CGROUP_DIRS];
	unsigned ndirs;
	char why[256];
};

/*
 * Finds the hierarchies in /proc/self/mountinfo and /proc/self/cgroup, makes
 * the folder `name` below the caller's own group, enables the controllers (v2:
 * the caller first moves itself to a group "supervisor" beside it, because a
 * group that hands out controllers may not hold processes), and gives it to
 * `uid` when the caller is root. Whatever an earlier life left in a folder of
 * that name, or in one named archillx-<pid> whose process is gone, is killed
 * and removed. Blocks for short file operations only. Returns 0 with a usable
 * variant, or -1 with CGROUP_NONE and `why` set.
 */
int cgroup_prepare(uid_t uid, const char *name, struct cgroup_set *);

/*
 * For the launcher's process, between fork and exec and still privileged (v2
 * moves need write access to a common ancestor): joins the service's folder.
 * 0, or -1 with errno. Nothing to do for v1.
 */
int cgroup_enter(const struct cgroup_set *);

/* Kills what is left, removes the folders, closes the descriptors. */
void cgroup_remove(struct cgroup_set *);

/* "v2", "v1", "none": the value of CONF_FACT "cgroup". */
const char *cgroup_variant_name(enum cgroup_variant);

/*
 * The folder of the group `line_path` that
 * /proc/self/cgroup names, given the mount's root in mountinfo. NULL if the
 * group is not visible there. Pure; malloc'ed.
 */
char *cgroup_visible_path(const char *mount_point, const char *mount_root,
    const char *line_path);

#endif
