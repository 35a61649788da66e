/* SPDX-License-Identifier: ISC */
/*
 * The process table: who runs as whom, where, and what its death means. The
 * one list of things that this program starts.
 */
#include "parent.h"

const struct proc_desc proc_table[PROC_MAX] = {
	[PROC_AUDIT] = { PROC_AUDIT, "audit", RC_SHARED, ROOT_EVIDENCE, true,
	    false },
	[PROC_NOTARY] = { PROC_NOTARY, "notary", RC_OPEN, ROOT_LOG, false,
	    false },
	[PROC_STORE] = { PROC_STORE, "store", RC_OPEN, ROOT_DB, false, false },
	[PROC_FILES] = { PROC_FILES, "files", RC_SHARED, ROOT_FILES, true,
	    false },
	/* Must see the whole tree to make mounts of it for a sandbox. */
	[PROC_LAUNCHER] = { PROC_LAUNCHER, "sandbox", RC_SHARED, ROOT_NONE,
	    true, false },
	[PROC_BROKER] = { PROC_BROKER, "broker", RC_SHARED, ROOT_EMPTY, true,
	    false },
	[PROC_SCHEDULER] = { PROC_SCHEDULER, "sched", RC_OPEN, ROOT_EMPTY,
	    false, false },
	[PROC_HTTP] = { PROC_HTTP, "http", RC_FRONT, ROOT_EMPTY, false, true },
	/* Holds two descriptors of audit's, and nothing else. */
	[PROC_ARCHIVER] = { PROC_ARCHIVER, "audit", RC_ONESHOT, ROOT_EMPTY,
	    false, false },
};
