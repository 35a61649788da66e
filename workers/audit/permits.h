/* SPDX-License-Identifier: ISC */
#ifndef AX_PERMITS_H
#define AX_PERMITS_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "common/buf.h"
#include "common/governor.h"
#include "common/manifest.h"
#include "common/messages.h"
#include "common/secret.h"

/*
 * The open permits: every decision that let something run and whose outcome is
 * not recorded yet. A permit's number is the seq of its decision's line. It
 * leaves the table only when its outcome is durable, or when its decision was
 * refused and so never was.
 */

/* Where an answer goes: a channel in one of its lives. */
struct origin {
	enum proc_role role;
	unsigned instance;
	uint64_t life; /* counts the channels to that peer; 0: nowhere */
};

enum permit_state {
	PERMIT_DECIDED, /* the decision's line is not durable yet */
	PERMIT_RUNNING, /* the executor has it */
	PERMIT_ENDING,	/* the outcome's line is not durable yet */
	PERMIT_KEPT	/* the outcome could not be recorded; kept for later */
};

struct permit {
	TAILQ_ENTRY(permit) entry; /* by age */
	struct permit *hash_next;
	void *gate;

	uint64_t number;
	enum permit_state state;
	struct origin origin;
	uint64_t id; /* the request's */
	bool cancelled;
	bool sandboxed;
	bool recovered;	  /* found in the journal: no one waits */
	bool not_started; /* it ended before an executor had it */

	char *skill, *actor, *request_id;
	enum skill_runtime runtime;
	enum gov_decision decision;
	int risk_score;
	char reason[160];
	char idem_key[65]; /* "" when there is none */
	char *inputs;	   /* JSON text, until it is sent */
	json_t *args;	   /* the same, parsed; RUN_FILES only */
	uint64_t started;  /* CLOCK_MONOTONIC us */
	uint64_t deadline; /* the executor is silent after it */

	/* the outcome, once there is one */
	bool success;
	enum end_state end;
	const struct secret_key *keyed; /* what it gives back is keyed */
	struct buf context;		/* of its line */
	struct buf output;		/* JSON for the answer; empty: null */
	char *error;
};

struct permits {
	TAILQ_HEAD(, permit) list;
	struct permit **hash;
	size_t nhash, n, nsandboxed;
};

int permits_init(struct permits *); /* -1 ENOMEM */
void permits_clear(struct permits *);
/* A zeroed permit with copies of the texts, in no table; NULL with ENOMEM. */
struct permit *
permit_new(const char *skill, const char *actor, const char *request_id);
void permit_free(struct permit *);
/* Takes it over under p->number, which must be new. -1 ENOMEM. */
int permits_add(struct permits *, struct permit *);
void permits_remove(struct permits *, struct permit *); /* does not free */
struct permit *permits_find(const struct permits *, uint64_t number);
/* The permit of a request; walks all: for cancellations, which are rare. */
struct permit *
permits_of(const struct permits *, const struct origin *, uint64_t id);
/* The lowest number; 0 when none is open. */
uint64_t permits_lowest(const struct permits *);
bool origin_same(const struct origin *, const struct origin *);

#endif
