/* SPDX-License-Identifier: ISC */
#ifndef AX_KEEPER_H
#define AX_KEEPER_H

#include <stdint.h>
#include "common/merkle.h"
#include "common/tiles.h"

/*
 * The tree as it grows, and the tiles that lie on its right edge. Pure.
 */
struct keeper {
	struct merkle tree;
	/* The tile of each level that is not full yet: its first hashes. */
	struct {
		uint64_t index;
		unsigned n;
		uint8_t hash[TILE_WIDTH][MERKLE_HASH];
	} open[TILE_LEVELS];
};

/* A tile is full: 256 hashes, to be copied. */
typedef void (*keeper_full)(void *arg, unsigned level, uint64_t index,
    const uint8_t (*hash)[MERKLE_HASH]);

void keeper_init(struct keeper *); /* the empty tree */
/*
 * The first `size` leaves of the tree whose tiles `t` reads, which must have
 * at least as many. 0, or -1 with tiles_hash()'s errno.
 */
int keeper_load(struct keeper *, uint64_t size, struct tiles *t);
/* `full` is called for each tile that this leaf fills, lowest first. */
void keeper_append(struct keeper *, const uint8_t leaf[MERKLE_HASH],
    keeper_full full, void *arg);

#endif
