/* SPDX-License-Identifier: ISC */
/*
 * The parent's side of control groups: finding what this machine has, making
 * one folder for the service's sandboxes and handing it to the launcher. Runs
 * in the parent only, before and after the workers live.
 *
 * It must never touch a group that is not below the service's own.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "util.h"

#define OWN_PREFIX "archillx-"
#define SUPERVISOR "supervisor"
#define LAUNCHER   "launcher"
#define KILL_TRIES 200 /* of 10 ms */

const char *
cgroup_variant_name(enum cgroup_variant v)
{
	return (v == CGROUP_V2 ? "v2" : v == CGROUP_V1 ? "v1" : "none");
}

/* ---- small files ---- */

static int
write_at(int dirfd, const char *file, const char *text)
{
	int fd, r;

	if ((fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC)) == -1)
		return (-1);
	r = ax_write_all(fd, text, strlen(text));
	(void)close(fd);
	return (r);
}

/* A kernel file says its size is 0. NUL-terminated; -1 or the length. */
static ssize_t
read_at(int dirfd, const char *file, char *out, size_t size)
{
	size_t have = 0;
	ssize_t n = 0;
	int fd;

	if ((fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	while (
	    have < size - 1 && (n = read(fd, out + have, size - 1 - have)) > 0)
		have += (size_t)n;
	(void)close(fd);
	out[have] = '\0';
	return (n == -1 ? -1 : (ssize_t)have);
}

/* Kills every process of a group; returns how many there were. */
static unsigned
kill_listed(int dirfd)
{
	char text[16384], *line, *save = NULL;
	unsigned n = 0;
	int64_t pid;

	/* A list cut short is read again on the next try. */
	if (read_at(dirfd, "cgroup.procs", text, sizeof(text)) == -1)
		return (0);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		n++;
		if (ax_strtonum(line, 2, INT_MAX, &pid) == 0 && pid != getpid())
			(void)kill((pid_t)pid, SIGKILL);
	}
	return (n);
}

/* Kills and removes the groups below dirfd, then those named there. */
static void
sweep(int dirfd, const char *name, int depth)
{
	struct timespec ms10 = { 0, 10000000 };
	struct dirent *e;
	DIR *d;
	int fd, i;

	if (depth > 4)
		return;
	fd = openat(dirfd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			sweep(fd, e->d_name, depth + 1);
	}
	for (i = 0; i < KILL_TRIES; i++) {
		(void)kill_listed(fd);
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			break;
		(void)nanosleep(&ms10, NULL);
	}
	(void)closedir(d);
}

/* Folders of parents that are gone: their pid is in the name. */
static void
sweep_dead(int basefd)
{
	struct dirent *e;
	int64_t pid;
	DIR *d;
	int fd;

	fd = openat(basefd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, OWN_PREFIX, strlen(OWN_PREFIX)) != 0 ||
		    ax_strtonum(e->d_name + strlen(OWN_PREFIX), 2, INT_MAX,
			&pid) == -1)
			continue;
		if (kill((pid_t)pid, 0) == -1 && errno == ESRCH)
			sweep(basefd, e->d_name, 0);
	}
	(void)closedir(d);
}

/* ---- where the hierarchies are ---- */

char *
cgroup_visible_path(const char *mount_point, const char *mount_root,
    const char *line_path)
{
	size_t n = strlen(mount_root);
	const char *rest = line_path;
	char *out;

	if (strcmp(mount_root, "/") != 0) {
		if (strncmp(line_path, mount_root, n) != 0 ||
		    (line_path[n] != '/' && line_path[n] != '\0'))
			return (NULL);
		rest = line_path + n;
	}
	if (strcmp(rest, "/") == 0)
		rest = "";
	if (strstr(rest, "/..") != NULL)
		return (NULL); /* outside of our cgroup namespace */
	if (asprintf(&out, "%s%s", mount_point, rest) == -1)
		return (NULL);
	return (out);
}

/* True if `word` is an element of the comma separated list. */
static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	while (p != NULL && *p != '\0') {
		if (strncmp(p, word, n) == 0 &&
		    (p[n] == ',' || p[n] == '\0' || p[n] == '\n'))
			return (true);
		if ((p = strchr(p, ',')) != NULL)
			p++;
	}
	return (false);
}

/* The caller's group of a controller ("" for v2), from /proc/self/cgroup. */
static char *
own_group(const char *controller)
{
	char line[PATH_MAX + 128], *list, *path, *out = NULL;
	FILE *f;

	if ((f = fopen("/proc/self/cgroup", "re")) == NULL)
		return (NULL);
	while (out == NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if ((list = strchr(line, ':')) == NULL ||
		    (path = strchr(++list, ':')) == NULL)
			continue;
		*path++ = '\0';
		if (*controller == '\0' ? *list == '\0' :
					  has_word(list, controller))
			out = strdup(path);
	}
	(void)fclose(f);
	return (out);
}

/*
 * The folder of the caller's own group of a controller ("": v2), malloc'ed, or
 * NULL. A mountinfo line: id parent major:minor root point options ... - type
 * source superoptions (proc_pid_mountinfo(5)).
 */
static char *
own_folder(const char *controller)
{
	char line[PATH_MAX * 2], root[PATH_MAX], point[PATH_MAX];
	char type[32], super[1024], *sep, *group, *out = NULL;
	FILE *f;

	if ((group = own_group(controller)) == NULL)
		return (NULL);
	if ((f = fopen("/proc/self/mountinfo", "re")) == NULL) {
		free(group);
		return (NULL);
	}
	while (out == NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) !=
			2 ||
		    (sep = strstr(line, " - ")) == NULL ||
		    sscanf(sep + 3, "%31s %*s %1023s", type, super) != 2)
			continue;
		if (*controller == '\0' ? strcmp(type, "cgroup2") == 0 :
					  strcmp(type, "cgroup") == 0 &&
			    has_word(super, controller))
			out = cgroup_visible_path(point, root, group);
	}
	(void)fclose(f);
	free(group);
	return (out);
}

/* ---- making them ---- */

static int
give(int fd, uid_t uid, const char *const *files)
{
	if (geteuid() != 0)
		return (0);
	if (fchown(fd, uid, (gid_t)-1) == -1)
		return (-1);
	for (; *files != NULL; files++) {
		if (fchownat(fd, *files, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) ==
			-1 &&
		    errno != ENOENT)
			return (-1);
	}
	return (0);
}

/* Makes base/name, fresh, for uid, and adds it to the set. */
static int
add_folder(struct cgroup_set *s, const char *label, const char *base, int bfd,
    const char *name, uid_t uid)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.threads",
		"tasks", "cgroup.subtree_control", NULL };
	unsigned i = s->ndirs;
	int fd;

	sweep_dead(bfd);
	sweep(bfd, name, 0);
	if (mkdirat(bfd, name, 0755) == -1 && errno != EEXIST)
		return (-1);
	fd = openat(bfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	if (give(fd, uid, files) == -1 ||
	    asprintf(&s->dir[i].path, "%s/%s", base, name) == -1) {
		(void)close(fd);
		(void)unlinkat(bfd, name, AT_REMOVEDIR);
		return (-1);
	}
	s->dir[i].fd = fd;
	s->dir[i].name = label;
	s->ndirs++;
	return (0);
}

static void
set_why(struct cgroup_set *s, const char *what)
{
	(void)snprintf(s->why, sizeof(s->why), "%s: %s", what, strerror(errno));
}

static bool
v2_has(int fd, const char *controller)
{
	size_t n = strlen(controller);
	char text[4096], *p;
	bool found = false;

	if (read_at(fd, "cgroup.controllers", text, sizeof(text)) == -1)
		return (false);
	for (p = text; (p = strstr(p, controller)) != NULL; p += n) {
		if ((p == text || p[-1] == ' ') &&
		    (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
			found = true;
	}
	return (found);
}

/* Moves the caller out of the group, so that it may hand out controllers. */
static int
v2_step_aside(int bfd)
{
	int fd, r;

	if (faccessat(bfd, "cgroup.type", F_OK, 0) == -1)
		return (0); /* the root group: may hold processes */
	if (mkdirat(bfd, SUPERVISOR, 0755) == -1 && errno != EEXIST)
		return (-1);
	fd = openat(bfd, SUPERVISOR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	r = write_at(fd, "cgroup.procs", "0");
	(void)close(fd);
	return (r);
}

static int
v2_enable(int fd)
{
	if (write_at(fd, "cgroup.subtree_control", "+memory +pids") == -1)
		return (-1);
	(void)write_at(fd, "cgroup.subtree_control", "+cpu");
	return (0);
}

static int
v2_fill(struct cgroup_set *s, int bfd, const char *base, const char *name,
    uid_t uid)
{
	static const char *const procs[] = { "cgroup.procs", NULL };
	int fd, r;

	if (v2_step_aside(bfd) == -1 || v2_enable(bfd) == -1) {
		set_why(s,
		    "cgroup v2: the service's group cannot hand out "
		    "memory and pids (Delegate=yes is needed)");
		return (-1);
	}
	if (add_folder(s, "v2", base, bfd, name, uid) == -1 ||
	    v2_enable(s->dir[0].fd) == -1 ||
	    (mkdirat(s->dir[0].fd, LAUNCHER, 0755) == -1 && errno != EEXIST)) {
		set_why(s, "cgroup v2: cannot make the service's folder");
		return (-1);
	}
	fd = openat(s->dir[0].fd, LAUNCHER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	r = give(fd, uid, procs);
	(void)close(fd);
	return (r);
}

static int
prepare_v2(struct cgroup_set *s, const char *name, uid_t uid)
{
	char *base = own_folder("");
	int fd, r = -1;

	if (base == NULL)
		return (-1);
	fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd != -1 && v2_has(fd, "memory") && v2_has(fd, "pids")) {
		if ((r = v2_fill(s, fd, base, name, uid)) == -1)
			cgroup_remove(s);
		else
			s->variant = CGROUP_V2;
	}
	if (fd != -1)
		(void)close(fd);
	free(base);
	return (r);
}

static int
prepare_v1(struct cgroup_set *s, const char *name, uid_t uid)
{
	static const char *const controllers[CGROUP_DIRS] = { "memory", "pids",
		"cpu" };
	unsigned i;
	char *base;
	int fd, r;

	for (i = 0; i < CGROUP_DIRS; i++) {
		r = -1;
		if ((base = own_folder(controllers[i])) != NULL &&
		    (fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) !=
			-1) {
			r = add_folder(s, controllers[i], base, fd, name, uid);
			if (r == -1)
				set_why(s, base);
			(void)close(fd);
		}
		free(base);
		if (r == -1 && i < 2) { /* cpu may be missing */
			cgroup_remove(s);
			return (-1);
		}
	}
	s->variant = CGROUP_V1;
	return (0);
}

int
cgroup_prepare(uid_t uid, const char *name, struct cgroup_set *s)
{
	memset(s, 0, sizeof(*s));
	if (*name == '\0' || *name == '.' || strchr(name, '/') != NULL) {
		(void)snprintf(s->why, sizeof(s->why),
		    "\"%s\" is not a name for a cgroup", name);
		return (-1);
	}
	if (prepare_v2(s, name, uid) == 0 || prepare_v1(s, name, uid) == 0) {
		s->why[0] = '\0';
		return (0);
	}
	s->variant = CGROUP_NONE;
	if (s->why[0] == '\0')
		(void)snprintf(s->why, sizeof(s->why),
		    "no cgroup hierarchy with memory and pids is mounted");
	return (-1);
}

int
cgroup_enter(const struct cgroup_set *s)
{
	if (s->variant != CGROUP_V2)
		return (0);
	return (write_at(s->dir[0].fd, LAUNCHER "/cgroup.procs", "0"));
}

void
cgroup_remove(struct cgroup_set *s)
{
	unsigned i;

	for (i = 0; i < s->ndirs; i++) {
		sweep(AT_FDCWD, s->dir[i].path, 0);
		(void)close(s->dir[i].fd);
		free(s->dir[i].path);
	}
	memset(s->dir, 0, sizeof(s->dir));
	s->ndirs = 0;
	s->variant = CGROUP_NONE;
}
