/* SPDX-License-Identifier: ISC */
#ifndef AX_CONFINE_H
#define AX_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/setup.h"

struct worker_ops;

/*
 * The pieces of the drop sequence, in the order worker.c calls them (docs/
 * PRIVSEP.md tells why in this order). Each ends the process with fatal() when
 * it cannot do its work: a worker is confined or it does not run.
 */

/* Landlock ruleset of every right the kernel knows: its fd, or -1 where there
 * is no landlock. `fs` false leaves the file system and the signal scope
 * out (launcher). */
int confine_landlock_new(bool fs, int *abi);
int confine_landlock_allow(int ruleset, int abi, int dirfd, uint64_t access);
void confine_landlock_enforce(int ruleset);

void confine_rlimits(const struct worker_ops *);
void confine_identity(const struct worker_setup *);
/* PDEATHSIG, dumpable, no_new_privs, MDWE. True if MDWE is in force. */
bool confine_prctl(const struct worker_ops *, uint32_t parent_pid);
void confine_seccomp(const struct worker_ops *, enum confinement);

#ifdef AX_PROBE
/* Tries what must not work; JSON object of name: errno (0: it worked). */
struct buf;
void confine_probe(struct buf *);
#endif

#endif
