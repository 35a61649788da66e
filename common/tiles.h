/* SPDX-License-Identifier: ISC */
#ifndef AX_TILES_H
#define AX_TILES_H

#include <stddef.h>
#include <stdint.h>
#include "common/merkle.h"

/*
 * Reading C2SP hash tiles (tlog-tiles.md) below EVIDENCE_DIR/log: the layout
 *
 *	log/checkpoint                  the newest signed checkpoint
 *	log/checkpoints/SIZE            older ones, SIZE with 20 digits
 *	log/tile/L/NNN[.p/W]            256 (or W) hashes of 32 bytes
 *
 * Writing them is archillx-notary's alone (workers/notary/).
 */
#define TILE_WIDTH    256u
#define TILE_LEVELS   8
#define TILE_PATH_MAX 64

#define LOG_DIR		"log" /* below EVIDENCE_DIR */
#define LOG_CHECKPOINT	"checkpoint"
#define LOG_CHECKPOINTS "checkpoints"

/*
 * "tile/0/x001/234" or, with 0 < width < 256, "tile/0/x001/234.p/17".
 */
void tile_path(char out[TILE_PATH_MAX], unsigned level, uint64_t index,
    unsigned width);

/*
 * The tree of `size` leaves whose tiles lie below dirfd (EVIDENCE_DIR/log; may
 * be O_PATH). Keeps the last tile of each level, so that walking a tree in
 * order reads each tile once. Not owned: dirfd.
 */
struct tiles {
	int dirfd;
	uint64_t size;
	struct {
		uint64_t index;
		unsigned width; /* 0: nothing is kept */
		uint8_t hash[TILE_WIDTH][MERKLE_HASH];
	} last[TILE_LEVELS];
};

void tiles_init(struct tiles *, int dirfd, uint64_t size);
/*
 * Hash number `index` of tile level `level` (each level is 8 of the tree's).
 * A partial tile that grew meanwhile is read at its full width. 0, or -1 with
 * errno: ENOENT (no such tile), EBADMSG (not of its size), or of read(2).
 */
int tiles_hash(struct tiles *, unsigned level, uint64_t index,
    uint8_t out[MERKLE_HASH]);
/* merkle_get over tiles: arg is the struct tiles. */
int
tiles_get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH]);

#endif
