/* SPDX-License-Identifier: ISC */
#ifndef AX_FEED_H
#define AX_FEED_H

#include <stdint.h>
#include "common/ipc.h"
#include "workers/audit/journal.h"

/*
 * The journal's way to one reader, the store or the notary: read-only
 * descriptors of the segments, in order, and how much of them is durable.
 * Sends ahead as far as the channel takes it; what it does not take now goes
 * with the next push.
 */
struct feed {
	struct journal *journal; /* NULL: nothing to send yet */
	struct ipc *peer;	 /* NULL: not there */
	size_t next;		 /* first segment not sent */
	uint64_t told;		 /* committed of the last segment, as sent */
	uint64_t failures;	 /* of the journal, when the last was sent */
	struct {
		uint64_t id, seq;
		uint8_t leaf[32];
		int held;	     /* not answered yet */
		uint64_t not_before; /* CLOCK_MONOTONIC us */
	} mark;
};

void feed_start(struct feed *, struct journal *);
void feed_up(struct feed *, struct ipc *peer);
void feed_down(struct feed *);
/* After every commit, and now and then. */
void feed_push(struct feed *);
/* The segment has another file, of the same text: a peer that has the old one
 * open gets the new one, so that the old one's space is free. */
void feed_again(struct feed *, uint64_t segment);
/* The store's mark: answers whether our line of that seq is the same, once
 * there is a journal to ask. Reads a segment for that, so it does it once a
 * second at most, however often it is asked: the newest question counts. */
void feed_mark(struct feed *, uint64_t id, uint64_t seq, const uint8_t *leaf,
    size_t leaf_len);

#endif
