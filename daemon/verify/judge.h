/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_JUDGE_H
#define AX_VERIFY_JUDGE_H

#include <stdint.h>
#include "daemon/verify/proof.h"
#include "daemon/verify/walk.h"

/*
 * Tells what was done to the lines. Each line is either genuine (its hash is
 * the one that the tiles give for some number), or forged (they give another),
 * or says its number itself where no tile tells. From the numbers in the order
 * in which they come, looking one line ahead, follows what was deleted,
 * inserted, exchanged or doubled. What waits for its other half stands in
 * tables of a fixed size.
 */
#define JUDGE_TABLE 256

enum item_kind { IT_GENUINE, IT_CLAIM, IT_FORGED };

struct item {
	enum item_kind kind;
	uint64_t seq; /* IT_FORGED: what it says, 0: nothing */
	struct place at;
	uint64_t segment; /* its number */
	uint8_t hash[MERKLE_HASH];
};

/* A line seen where another belongs. */
struct astray {
	uint64_t seq;	/* its own number */
	uint64_t stead; /* the line before which, or in whose place, it is */
	struct place at;
};

struct gap {
	enum verify_kind kind;
	uint64_t from, to;
	struct place at;
	char text[VERIFY_TEXT_MAX];
};

struct judge {
	struct verify_report *r;
	struct proof *proof;
	struct trust *trust;
	uint64_t size;	 /* of the newest checkpoint */
	uint64_t begin;	 /* the first line that should be here */
	uint64_t expect; /* 0: no line has come yet */
	uint64_t accepted, forged;
	int error; /* errno of what cannot be read */

	bool holding; /* a line from further on, until the next is seen */
	struct item held;
	struct item run[JUDGE_TABLE]; /* forged lines since the last good one */
	uint64_t nrun;
	struct astray early[JUDGE_TABLE];    /* inserted before their place */
	struct astray exchange[JUDGE_TABLE]; /* in another's place */
	size_t nearly, nexchange;
	struct gap gap[JUDGE_TABLE];
	size_t ngap;

	struct place end;      /* behind the last line */
	uint64_t last_segment; /* of the last line */
	uint8_t last_hash[MERKLE_HASH];
	bool damaged; /* a segment could not be read to its end */
	struct place damage;
	bool tail_bad; /* above the checkpoint: no line */
	struct place bad_at;
};

void judge_init(struct judge *, struct verify_report *, struct proof *,
    uint64_t from);
/* What the walk gives, one after the other; -1: error is set. */
int judge_event(struct judge *, enum walk_event, const struct walk_line *);
/* After the last one: what waited is told. */
int judge_end(struct judge *);

#endif
