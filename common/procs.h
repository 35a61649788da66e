/* SPDX-License-Identifier: ISC */
#ifndef AX_PROCS_H
#define AX_PROCS_H

#include <stdint.h>

/* The processes of ARCHITECTURE section 3, in the order they are started. */
enum proc_role {
	PROC_PARENT,
	PROC_AUDIT,
	PROC_NOTARY, /* the tree over the journal, and the signing key */
	PROC_STORE,
	PROC_FILES,
	PROC_LAUNCHER,
	PROC_BROKER,
	PROC_SCHEDULER,
	PROC_HTTP,
	PROC_ARCHIVER, /* one-shot: compresses a closed segment */
	PROC_MAX
};

#define PROC_BIT(role) (1u << (role))
#define PROC_WORKERS   ((1u << PROC_MAX) - 1 - PROC_BIT(PROC_PARENT))
#define PROC_HTTP_MAX  16 /* most http workers */

/* "parent", "audit", ...; "?" when out of range. */
const char *proc_name(enum proc_role);
/* Executable's base name: "archillx-audit". */
const char *proc_exec_name(enum proc_role);

/*
 * The whole list of worker-to-worker channels (ARCHITECTURE section 3). A pair
 * that is not here has no socketpair.
 */
struct proc_channel {
	enum proc_role a, b;
};
extern const struct proc_channel proc_channels[];
extern const unsigned proc_nchannels;

#endif
