/* SPDX-License-Identifier: ISC */
#ifndef AX_BROKER_VERDICT_H
#define AX_BROKER_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/messages.h"

/* What is known when a run has ended. */
struct verdict_facts {
	int wait_status;	 /* of the program; of bwrap with HINT_SETUP */
	enum end_hint hint;	 /* the launcher's */
	enum end_state killed;	 /* why the broker had it killed; END_OK: not */
	uint32_t wall_ms;	 /* the limit */
	uint64_t memory;	 /* the limit */
	uint32_t pids;		 /* the limit */
	const char *stderr_text; /* the set-up's message; may be NULL */
};

struct verdict {
	enum end_state state;
	int32_t exit_code; /* -1: none */
	int32_t signal;	   /* 0: none */
	char error[256];   /* empty when it ended well */
};

/* Tells the ends of a run apart. Pure. */
void verdict_of(const struct verdict_facts *, struct verdict *);

#endif
