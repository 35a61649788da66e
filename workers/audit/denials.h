/* SPDX-License-Identifier: ISC */
#ifndef AX_DENIALS_H
#define AX_DENIALS_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/line.h"

/*
 * Denials, so that a flood of them is no flood of records: the first of an
 * (actor or address, kind, reason, skill) is for the caller to record at once;
 * what repeats it within DENIALS_WINDOW_US is counted, and the count is for
 * one more record at the end of the window. The table never grows: what finds
 * no row is counted in the one of its kind that is called "others". Nothing
 * that was noted is lost to the counts. Pure; the caller brings the clocks.
 */
#define DENIALS_MAX	  1024
#define DENIALS_WINDOW_US 60000000u
#define DENIALS_IDS	  16 /* request ids told apart in one window */
#define DENIALS_OTHERS	  "others"

enum denial_kind {
	DENIAL_AUTH,	  /* no credential, or nobody's */
	DENIAL_RATE,	  /* too many requests */
	DENIAL_FORBIDDEN, /* the role is too low */
	DENIAL_ACL,	  /* the skill's list of who may */
	DENIAL_POLICY,	  /* switched off by configuration */
	DENIAL_MAX
};

/* What is denied. NULL for what does not apply. */
struct denial_facts {
	enum denial_kind kind;
	const char *actor; /* else the address tells floods apart */
	const char *address;
	const char *reason, *skill;
	const char *request_id; /* of one denial */
	uint64_t count;		/* >= 1: so many at once */
	uint64_t request_ids;	/* count > 1: how many ids they had */
};

struct denial_count {
	uint64_t n;
	uint64_t first_at, last_at; /* real us */
	uint64_t request_ids;	    /* different ones, as far as told apart */
	bool more_ids;		    /* and some more */
};

struct denial {
	TAILQ_ENTRY(denial) entry;
	struct denial *hash_next;
	enum denial_kind kind;
	bool has_actor, others;
	char actor[LINE_ACTOR_MAX + 1], address[65], reason[160], skill[65];
	uint64_t since;		     /* start of the window, monotonic us */
	struct denial_count counted; /* not recorded yet */
	struct denial_count pending; /* while `recording`: being recorded */
	bool recording, summing;
	uint64_t seq;	       /* of the last record; 0: none */
	void *owner, *waiters; /* the caller's */
	unsigned nids;
	uint64_t ids[DENIALS_IDS];
};

struct denials;

struct denials *denials_new(void); /* NULL with ENOMEM */
void denials_free(struct denials *);
/*
 * Counts them in their row; never NULL. *first: the row is new, its `pending`
 * is to be recorded now: the caller must call one of the two below.
 */
struct denial *denials_note(struct denials *, const struct denial_facts *,
    uint64_t mono_us, uint64_t real_us, bool *first);
/*
 * A row whose `pending` is to be recorded now, since its window is over, no
 * record tells of it, or `all`; again one of the two below must follow. Rows
 * without a count are dropped on the way, none while `recording`. NULL: no
 * more.
 */
struct denial *denials_due(struct denials *, uint64_t mono_us, bool all);
/* What was pending stands in line `seq`. After denials_due() a row without
 * anything new is dropped: the next of its kind is a first again. */
void denials_recorded(struct denials *, struct denial *, uint64_t seq,
    uint64_t mono_us);
/* It could not be recorded: counted again, and due. */
void denials_refused(struct denial *);
size_t denials_n(const struct denials *);

#endif
