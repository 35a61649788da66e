/* SPDX-License-Identifier: ISC */
#ifndef AX_NPRIV_H
#define AX_NPRIV_H

#include "common/buf.h"
#include "common/reader.h"
#include "common/tiles.h"
#include "workers/notary/checkpoint.h"
#include "workers/notary/keeper.h"
#include "workers/notary/notary.h"
#include "workers/notary/tilefile.h"

/* What notary.c, nverify.c and ncut.c share; nobody else includes it. */

#define QUEUE_MAX 256 /* full tiles in memory */

struct full_tile {
	unsigned level;
	uint64_t index;
	uint8_t hash[TILE_WIDTH][MERKLE_HASH];
};

enum cut_stage { CUT_TILES, CUT_PARTIALS, CUT_NOTE, CUT_DONE };

/* A checkpoint in the making: the tree as it was at one size. */
struct cut {
	bool active;
	bool sign;	/* else only its tiles */
	bool only_note; /* the newest checkpoint into the history */
	bool kept;	/* for good */
	uint64_t size;
	uint8_t root[MERKLE_HASH];
	size_t ahead; /* full tiles of the queue that it needs */
	enum cut_stage stage;
	unsigned npartials;
	struct {
		unsigned level, width;
		uint64_t index;
		uint8_t hash[TILE_WIDTH][MERKLE_HASH];
	} partial[TILE_LEVELS];
	struct buf note;
};

struct notary {
	struct notary_conf conf;
	const struct notary_ops *ops;
	void *arg;
	struct metrics_slot *slot;
	enum notary_state state;
	char why[400];

	/* the journal, as audit tells of it */
	struct reader *reader; /* NULL: audit is not there */
	struct nsegment {
		uint64_t num, first_seq;
	} * segs;
	size_t nsegs;
	bool live;	   /* the last of them is the file being written */
	uint64_t told;	   /* last durable line */
	uint64_t told_num; /* the segment it is in */
	uint64_t reading;  /* segment of the last line read */
	uint64_t stop_at;  /* look around before line stop_at + 1 */
	bool more;	   /* lines may be waiting */

	/* the log, as it was found */
	bool opened;
	struct history history;
	struct checkpoint_file newest;
	struct tiles tiles;
	unsigned look_level;
	uint64_t look_index;
	bool damaged;	     /* tiles are missing or wrong */
	uint64_t first_diff; /* first line that differs from its tile */
	uint64_t rebuild_to; /* tiles are written anew up to this size */
	bool said_foreign;

	/* the tree, and what is on its way to the disk */
	struct keeper keeper;
	uint64_t covered; /* lines */
	struct full_tile *queue;
	size_t qhead, qn;
	struct tilefile files;
	size_t taking; /* tiles of the queue in this batch */
	struct cut cut;
	struct {
		uint64_t index;
		unsigned width; /* 0: unknown */
	} ondisk[TILE_LEVELS];
	uint64_t next_cut; /* CLOCK_MONOTONIC us */

	bool failing;
	char said[128]; /* the failure that was logged */
	uint64_t retry_at, backoff;

	bool draining;
	uint64_t drain_to;
};

static inline uint64_t
notary_size(const struct notary *n)
{
	return (n->keeper.tree.size);
}

/* notary.c */
void notary_broken(struct notary *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Something failed with errno: tried again after a while. */
void notary_failed(struct notary *, const char *what);
void notary_works(struct notary *);
/* The next line. 1, 0: none yet, -1: failed or broken. */
int notary_line(struct notary *, uint8_t leaf[MERKLE_HASH]);
/* The segment that holds line seq, or NULL. */
const struct nsegment *notary_segment_of(const struct notary *, uint64_t seq);
/* Looks for the next size at which something may have to be done before going
 * on: from the tree as it is. */
void notary_set_stop(struct notary *);
/* From the line behind the keeper's tree on. */
void notary_place(struct notary *, const struct nsegment *);

/* nverify.c: until the state is NOTARY_FOLLOW. True: call again at once. */
bool nverify_step(struct notary *);

/* ncut.c */
/* Takes a full tile into the queue: keeper_full. */
void ncut_take(void *arg, unsigned level, uint64_t index,
    const uint8_t (*hash)[MERKLE_HASH]);
/* True: lines must wait until something is on the disk. */
bool ncut_hold(const struct notary *);
/* True: call again at once. */
bool ncut_step(struct notary *, uint64_t now);
/* True: nothing is left to be done for the tree as it is. */
bool ncut_idle(const struct notary *);
/* Gives up what is on its way. */
void ncut_drop(struct notary *);

#endif
