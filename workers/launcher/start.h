/* SPDX-License-Identifier: ISC */
#ifndef AX_LAUNCHER_START_H
#define AX_LAUNCHER_START_H

#include <sys/types.h>

/*
 * Forks and executes bubblewrap with this argument vector and no environment.
 * The child first joins the groups behind `procs`. Its descriptors: 0 and 1
 * are the caller's 0, 2 is `err`, 3 is `sock`, nothing else. The caller keeps
 * its own. The pid, or -1 with errno.
 */
pid_t
start_bwrap(char *const *argv, int sock, int err, const int *procs, int nprocs);

#endif
