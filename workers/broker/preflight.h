/* SPDX-License-Identifier: ISC */
#ifndef AX_BROKER_PREFLIGHT_H
#define AX_BROKER_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* What the last preflight found. */
struct preflight {
	bool known, ok;
	bool degraded;	    /* no cgroup */
	const char *cgroup; /* "v2", "v1", "none" */
	char error[512];    /* names the step that failed and what to do */
	char hint[256];	    /* from preflight_look() */
};

/*
 * Reads, while files can still be read, the switches of the kernel that turn
 * user namespaces off, and keeps a hint for the operator if one does.
 */
void preflight_look(struct preflight *);

/* ok, or the text of what failed. */
void preflight_set(struct preflight *, bool ok, const char *error);

/* The contract's object (7.4), as far as it has a meaning for processes. */
void
preflight_json(const struct preflight *, bool allow_no_cgroup, struct buf *);

#endif
