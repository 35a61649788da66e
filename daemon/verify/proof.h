/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_PROOF_H
#define AX_VERIFY_PROOF_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/verify/history.h"
#include "daemon/verify/trust.h"
#include "daemon/verify/verify.h"

/* Where something stands. */
struct place {
	const char *file; /* lives as long as the layout */
	uint64_t offset;
};

/*
 * The tree, grown line by line, held against every signed root on its way and
 * against the tiles. Where a line is not there or is not the signed one, its
 * hash comes from a proven tile; where there is none, what lies above it is
 * unknown until a proven tile ends that.
 */
#define PROOF_SUSPECTS 16
#define PROOF_AGAINST  16

struct suspect {
	unsigned level; /* of the tile that disagrees */
	uint64_t index; /* of its hash */
	uint64_t from, seq;
	struct place at;
};

struct proof {
	struct verify_report *r;
	const struct verify_options *o;
	struct trust *trust;
	struct history *history;
	const char *history_name;

	struct merkle tree;
	uint64_t unknown;		   /* bit k: edge[k] is not known */
	uint64_t pending[TILE_LEVELS + 1]; /* lines accepted, not yet proven */
	uint64_t proven; /* a signed root was met at this size */
	int newest;	 /* 1: its root was met; 0: another; -1: unknown */
	bool newest_seen;

	uint64_t next; /* size of the next older checkpoint; 0 with !more */
	bool more;
	uint64_t judged; /* older checkpoints */
	struct {
		uint64_t size;
		bool old;	  /* the kept one */
	} against[PROOF_AGAINST]; /* signed roots that were not met */
	uint64_t nagainst;
	struct suspect suspect[PROOF_SUSPECTS];
	unsigned nsuspect;
	uint64_t told[TILE_LEVELS]; /* 1 + index of the last tile told of */
};

/* The report has the newest checkpoint. 0, or -1 with errno. */
int proof_init(struct proof *, struct verify_report *,
    const struct verify_options *, struct trust *, struct history *,
    const char *history_name);
/* The next leaf is this line's. 0, or -1 with errno (the history). */
int proof_line(struct proof *, const uint8_t hash[MERKLE_HASH],
    const struct place *);
/*
 * The lines up to number `upto` are not here, or not the signed ones. As above.
 */
int proof_missing(struct proof *, uint64_t upto);
/* Everything was walked: what does it mean? As above. */
int proof_end(struct proof *);

#endif
