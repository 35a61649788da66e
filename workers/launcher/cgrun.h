/* SPDX-License-Identifier: ISC */
#ifndef AX_LAUNCHER_CGRUN_H
#define AX_LAUNCHER_CGRUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The control group of one run, below the folders that the parent made and
 * handed over as descriptors: cgroup v2, or v1's memory, pids and cpu. All
 * paths are relative to those descriptors. Blocks for short file operations.
 */
#define CGRUN_DIRS 3

struct cgrun_base {
	bool v2;
	int memory, pids, cpu; /* v2: memory only; -1: none */
};

struct cgrun_limits {
	uint64_t memory;
	uint32_t pids;
	uint32_t cpu_percent;
};

struct cgrun_usage {
	uint64_t peak;	   /* bytes; 0: not known */
	uint64_t cpu_us;   /* 0: not known */
	uint64_t oom;	   /* kills for memory */
	uint64_t pids_max; /* refused forks */
};

void cgrun_base_init(struct cgrun_base *);
/* A RES_CGROUP; takes fd over. -1 for a name it does not know. */
int cgrun_base_add(struct cgrun_base *, const char *name, int fd);
/* True when memory and processes can be limited. */
bool cgrun_usable(const struct cgrun_base *);

/*
 * Makes the group of a run with its limits. 0, or -1 with errno and nothing
 * left behind; *what then names the step.
 */
int cgrun_make(const struct cgrun_base *, uint64_t run,
    const struct cgrun_limits *, const char **what);
/*
 * Opens what a child writes "0" to between fork and exec: at most CGRUN_DIRS
 * descriptors, close-on-exec; their number, or -1.
 */
int
cgrun_open_procs(const struct cgrun_base *, uint64_t run, int fds[CGRUN_DIRS]);
void cgrun_usage(const struct cgrun_base *, uint64_t run, struct cgrun_usage *);
/* CPU time of the processes that are in it now, in microseconds. */
uint64_t cgrun_cpu_now(const struct cgrun_base *, uint64_t run);
/* SIGKILLs every process in it except one (0: none); how many there are. */
unsigned cgrun_kill(const struct cgrun_base *, uint64_t run, pid_t except);
/* 0 when nothing is left of it; -1 with errno EBUSY: kill and try again. */
int cgrun_remove(const struct cgrun_base *, uint64_t run);

/*
 * One round over what an earlier life left: kills, removes what is empty. The
 * number of groups still there.
 */
unsigned cgrun_sweep(const struct cgrun_base *);

#endif
