/* SPDX-License-Identifier: ISC */
/*
 * The control group of one run: made with its limits before bubblewrap starts,
 * read when it has ended, emptied and removed. Works on descriptors only.
 *
 * It must never touch a group whose name is not that of a run.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "cgrun.h"

#define PREFIX	   "run-"
#define CPU_PERIOD 100000u /* microseconds */

/* Processes besides the program's own: bubblewrap and the runner. */
#define OWN_PIDS 2u

void
cgrun_base_init(struct cgrun_base *b)
{
	b->v2 = false;
	b->memory = b->pids = b->cpu = -1;
}

int
cgrun_base_add(struct cgrun_base *b, const char *name, int fd)
{
	if (strcmp(name, "v2") == 0) {
		b->v2 = true;
		b->memory = fd;
	} else if (strcmp(name, "memory") == 0)
		b->memory = fd;
	else if (strcmp(name, "pids") == 0)
		b->pids = fd;
	else if (strcmp(name, "cpu") == 0)
		b->cpu = fd;
	else {
		(void)close(fd);
		return (-1);
	}
	return (0);
}

bool
cgrun_usable(const struct cgrun_base *b)
{
	return (b->memory != -1 && (b->v2 || b->pids != -1));
}

/* ---- files of a group ---- */

static void
path_of(char *out, size_t size, uint64_t run, const char *file)
{
	(void)snprintf(out, size, PREFIX "%llu%s%s", (unsigned long long)run,
	    *file != '\0' ? "/" : "", file);
}

static int
put(int dirfd, uint64_t run, const char *file, const char *text)
{
	char path[96];
	int fd, r, save;

	path_of(path, sizeof(path), run, file);
	if ((fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC)) == -1)
		return (-1);
	r = ax_write_all(fd, text, strlen(text));
	save = errno;
	(void)close(fd);
	errno = save;
	return (r);
}

static int
put_number(int dirfd, uint64_t run, const char *file, uint64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return (put(dirfd, run, file, text));
}

/* The start of a kernel file, NUL-terminated; -1 when it is not there. */
static int
get(int dirfd, const char *path, char *out, size_t size)
{
	ssize_t n;
	int fd;

	if ((fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = read(fd, out, size - 1);
	(void)close(fd);
	if (n == -1)
		return (-1);
	out[n] = '\0';
	return (0);
}

/* The number behind `key` at a line's start; key "": the first number. */
static uint64_t
number_in(int dirfd, uint64_t run, const char *file, const char *key)
{
	char path[96], text[1024], *p;
	size_t n = strlen(key);

	path_of(path, sizeof(path), run, file);
	if (get(dirfd, path, text, sizeof(text)) == -1)
		return (0);
	for (p = text; p != NULL; p = strchr(p, '\n')) {
		if (*p == '\n')
			p++;
		if (strncmp(p, key, n) == 0 && (n == 0 || p[n] == ' '))
			return (strtoull(p + n, NULL, 10));
	}
	return (0);
}

/* ---- limits ---- */

static int
limits_v2(int d, uint64_t run, const struct cgrun_limits *l)
{
	char quota[48];

	(void)put(d, run, "memory.swap.max", "0"); /* without swap: not there */
	(void)put(d, run, "memory.oom.group", "1");
	(void)snprintf(quota, sizeof(quota), "%llu %u",
	    (unsigned long long)l->cpu_percent * CPU_PERIOD / 100, CPU_PERIOD);
	(void)put(d, run, "cpu.max", quota);
	if (put_number(d, run, "memory.max", l->memory) == -1 ||
	    put_number(d, run, "pids.max", l->pids + OWN_PIDS) == -1)
		return (-1);
	return (0);
}

static int
limits_v1(const struct cgrun_base *b, uint64_t run,
    const struct cgrun_limits *l)
{
	(void)put_number(b->memory, run, "memory.swappiness", 0);
	if (put_number(b->memory, run, "memory.limit_in_bytes", l->memory) ==
		-1 ||
	    put_number(b->pids, run, "pids.max", l->pids + OWN_PIDS) == -1)
		return (-1);
	/* Memory and swap together; only there with swap accounting. */
	(void)put_number(b->memory, run, "memory.memsw.limit_in_bytes",
	    l->memory);
	if (b->cpu != -1)
		(void)put_number(b->cpu, run, "cpu.cfs_quota_us",
		    (uint64_t)l->cpu_percent * CPU_PERIOD / 100);
	return (0);
}

int
cgrun_make(const struct cgrun_base *b, uint64_t run,
    const struct cgrun_limits *l, const char **what)
{
	const int dirs[CGRUN_DIRS] = { b->memory, b->pids, b->cpu };
	char name[40];
	unsigned i;
	int save;

	path_of(name, sizeof(name), run, "");
	*what = "cgroup: mkdir";
	for (i = 0; i < CGRUN_DIRS; i++) {
		if (dirs[i] != -1 && mkdirat(dirs[i], name, 0755) == -1)
			goto fail;
	}
	*what = "cgroup: limits";
	if ((b->v2 ? limits_v2(b->memory, run, l) : limits_v1(b, run, l)) == 0)
		return (0);
fail:
	save = errno;
	(void)cgrun_remove(b, run);
	errno = save;
	return (-1);
}

int
cgrun_open_procs(const struct cgrun_base *b, uint64_t run, int fds[CGRUN_DIRS])
{
	const int dirs[CGRUN_DIRS] = { b->memory, b->pids, b->cpu };
	char path[64];
	unsigned i;
	int n = 0;

	path_of(path, sizeof(path), run, "cgroup.procs");
	for (i = 0; i < CGRUN_DIRS; i++) {
		if (dirs[i] == -1)
			continue;
		fds[n] = openat(dirs[i], path, O_WRONLY | O_CLOEXEC);
		if (fds[n] == -1) {
			while (n > 0)
				(void)close(fds[--n]);
			return (-1);
		}
		n++;
	}
	return (n);
}

void
cgrun_usage(const struct cgrun_base *b, uint64_t run, struct cgrun_usage *u)
{
	int d = b->memory;

	memset(u, 0, sizeof(*u));
	if (!cgrun_usable(b))
		return;
	if (b->v2) {
		u->peak = number_in(d, run, "memory.peak", "");
		u->cpu_us = number_in(d, run, "cpu.stat", "usage_usec");
		u->oom = number_in(d, run, "memory.events", "oom_kill");
		u->pids_max = number_in(d, run, "pids.events", "max");
		return;
	}
	u->peak = number_in(d, run, "memory.max_usage_in_bytes", "");
	u->oom = number_in(d, run, "memory.oom_control", "oom_kill");
	u->pids_max = number_in(b->pids, run, "pids.events", "max");
}

/* ---- the end ---- */

/* Calls fn for every process of a group; returns how many there were. */
static unsigned
each_process(int dirfd, const char *name, void (*fn)(pid_t, void *), void *arg)
{
	char path[300], text[32768], *line, *save = NULL;
	unsigned n = 0;
	int64_t pid;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", name);
	if (get(dirfd, path, text, sizeof(text)) == -1)
		return (0);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (ax_strtonum(line, 2, INT_MAX, &pid) == -1)
			continue;
		n++;
		fn((pid_t)pid, arg);
	}
	return (n);
}

static void
kill_one(pid_t pid, void *except)
{
	if (pid != *(pid_t *)except)
		(void)kill(pid, SIGKILL);
}

/* utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5). */
static void
add_cpu(pid_t pid, void *sum)
{
	char path[40], text[1024], *p;
	unsigned long u = 0, s = 0, cu = 0, cs = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (get(AT_FDCWD, path, text, sizeof(text)) == -1 ||
	    (p = strrchr(text, ')')) == NULL ||
	    sscanf(p + 2,
		"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu "
		"%lu %lu %lu",
		&u, &s, &cu, &cs) != 4)
		return;
	*(uint64_t *)sum += (uint64_t)(u + s + cu + cs) * 1000000u /
	    (uint64_t)sysconf(_SC_CLK_TCK);
}

uint64_t
cgrun_cpu_now(const struct cgrun_base *b, uint64_t run)
{
	uint64_t sum = 0;
	char name[40];

	path_of(name, sizeof(name), run, "");
	(void)each_process(b->v2 ? b->memory : b->pids, name, add_cpu, &sum);
	return (sum);
}

unsigned
cgrun_kill(const struct cgrun_base *b, uint64_t run, pid_t except)
{
	char name[40];
	int d = b->v2 ? b->memory : b->pids;

	path_of(name, sizeof(name), run, "");
	return (each_process(d, name, kill_one, &except));
}

int
cgrun_remove(const struct cgrun_base *b, uint64_t run)
{
	const int dirs[CGRUN_DIRS] = { b->memory, b->pids, b->cpu };
	char name[40];
	unsigned i;
	int r = 0;

	path_of(name, sizeof(name), run, "");
	for (i = 0; i < CGRUN_DIRS; i++) {
		if (dirs[i] != -1 &&
		    unlinkat(dirs[i], name, AT_REMOVEDIR) == -1 &&
		    errno != ENOENT)
			r = -1;
	}
	if (r == -1)
		errno = EBUSY;
	return (r);
}

static unsigned
sweep_dir(int dirfd)
{
	struct dirent *e;
	unsigned left = 0;
	pid_t none = 0;
	DIR *d;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return (0);
	if ((d = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return (0);
	}
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		(void)each_process(dirfd, e->d_name, kill_one, &none);
		if (unlinkat(dirfd, e->d_name, AT_REMOVEDIR) == -1 &&
		    errno != ENOENT)
			left++;
	}
	(void)closedir(d);
	return (left);
}

unsigned
cgrun_sweep(const struct cgrun_base *b)
{
	const int dirs[CGRUN_DIRS] = { b->pids, b->memory, b->cpu };
	unsigned i, left = 0;

	for (i = 0; i < CGRUN_DIRS; i++) {
		if (dirs[i] != -1)
			left += sweep_dir(dirs[i]);
	}
	return (left);
}
