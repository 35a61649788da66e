/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_TRUST_H
#define AX_VERIFY_TRUST_H

#include <stdbool.h>
#include <stdint.h>
#include "common/merkle.h"
#include "common/tiles.h"

/*
 * The hash tiles of a tree whose root is signed. What a tile says is one thing
 * (raw), whether it hangs under the root is another (proven): a tile is proven
 * when it hashes to what the tile above it says, up to the tiles of the right
 * edge, which together give the root. Proving is done only where it is asked
 * for, since a line whose hash fits is proven by the root anyway.
 */
struct trust_tile {
	uint64_t index;
	unsigned width; /* 0: none is kept */
	int error;	/* of reading it; 0: it is here */
	bool known;	/* `proven` was found out */
	bool proven;
	uint8_t hash[TILE_WIDTH][MERKLE_HASH];
};

struct trust {
	int dirfd;
	uint64_t size;
	bool usable; /* the right edge gives the root */
	bool any;    /* a tile of this tree can be read */
	struct trust_tile tile[TILE_LEVELS];  /* the last one of each level */
	struct trust_tile right[TILE_LEVELS]; /* partial ones of the edge */
};

/* dirfd -1: no tiles. Reads the right edge. */
void trust_init(struct trust *, int dirfd, uint64_t size,
    const uint8_t root[MERKLE_HASH]);

/*
 * The tile that has hash `index` of a level, with what reading it gave; NULL
 * when the tree has no such hash or there are no tiles.
 */
const struct trust_tile *
trust_tile(struct trust *, unsigned level, uint64_t index);
/* 1: the tile says this; 0: it says something else; -1: it is not there. */
int trust_raw(struct trust *, unsigned level, uint64_t index,
    const uint8_t hash[MERKLE_HASH]);
/* Is the tile of this hash proven? Then its hash, if out is not NULL. */
bool trust_proven(struct trust *, unsigned level, uint64_t index,
    uint8_t out[MERKLE_HASH]);
/*
 * Are all partial tiles beside that of the right edge of a level what it
  * begins with, if that is proven? 0, or -1 and the path of one that is not.
 */
int
trust_partials(const struct trust *, unsigned level, char path[TILE_PATH_MAX]);
/* merkle_get of proven hashes only. */
int
trust_get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH]);

#endif
