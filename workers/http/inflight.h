/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_INFLIGHT_H
#define AX_HTTP_INFLIGHT_H

#include <stddef.h>
#include <stdint.h>

/*
 * The requests that wait for an answer of audit or the store: found by the
 * 64-bit id of their message, each with a deadline. An id is never given twice
 * in the life of a process, so that a late answer cannot reach a stranger.
 * Pure.
 */
enum inflight_kind { IF_FREE, IF_GATE, IF_QUERY };

struct http_req;
struct inflight {
	uint64_t id;
	uint64_t deadline_us; /* CLOCK_MONOTONIC */
	struct http_req *req;
	/* What to do with the answer; the API's own. */
	const void *how;
	void *data; /* owned by whoever put it there */
	enum inflight_kind kind;
	uint32_t slot, next_free;
};

#define INFLIGHT_MAX   65536 /* entries at once */
#define INFLIGHT_CHUNK 64

struct inflight_table {
	struct inflight *chunks[INFLIGHT_MAX / INFLIGHT_CHUNK];
	uint32_t size, used;
	uint32_t free_head;
	uint64_t turns; /* entries given out so far */
};

void inflight_init(struct inflight_table *);
/* All entries must be gone. */
void inflight_clear(struct inflight_table *);
/*
 * A new entry with its id; it stays where it is until inflight_drop(). NULL
 * when full or out of memory.
 */
struct inflight *
inflight_add(struct inflight_table *, enum inflight_kind, uint64_t deadline_us);
/* The entry of that id and kind, or NULL: late, or never given. */
struct inflight *
inflight_find(struct inflight_table *, uint64_t id, enum inflight_kind);
void inflight_drop(struct inflight_table *, struct inflight *);
/*
 * The next entry at or after *cursor (start with 0) that has the kind and
 * whose deadline is not later than `due_us` (UINT64_MAX: any), or NULL. The
 * caller may drop it before asking again.
 */
struct inflight *inflight_next(struct inflight_table *, uint32_t *cursor,
    enum inflight_kind, uint64_t due_us);

#endif
