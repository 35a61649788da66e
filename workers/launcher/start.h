/* SPDX-License-Identifier: ISC */
#ifndef AX_LAUNCHER_START_H
#define AX_LAUNCHER_START_H

#include <sys/types.h>

/* What becomes descriptors 0 to 4 of bubblewrap; the caller keeps its own. */
struct start_fds {
	int job, in, out, err, status;
};

/*
 * Forks and executes bubblewrap with this argument vector and no environment.
 * The child first joins the groups behind `procs`. Its pid, or -1 with errno.
 */
pid_t start_bwrap(char *const *argv, const struct start_fds *,
    const int *procs, int nprocs);

#endif
