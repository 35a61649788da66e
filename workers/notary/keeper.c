/* SPDX-License-Identifier: ISC */
/*
 * The growing tree and its tiles (RFC 6962, C2SP tlog-tiles.md). Knows nothing
 * of files, lines or signatures. Must never forget a hash that no full tile
 * holds.
 */
#include <string.h>

#include "workers/notary/keeper.h"

void
keeper_init(struct keeper *k)
{
	memset(k, 0, sizeof(*k));
}

static int
load_open_tile(struct keeper *k, unsigned level, struct tiles *t)
{
	uint64_t hashes = k->tree.size >> (8 * level);
	unsigned i;

	k->open[level].index = hashes / TILE_WIDTH;
	k->open[level].n = (unsigned)(hashes % TILE_WIDTH);
	for (i = 0; i < k->open[level].n; i++)
		if (tiles_hash(t, level, hashes - k->open[level].n + i,
			k->open[level].hash[i]) == -1)
			return (-1);
	return (0);
}

int
keeper_load(struct keeper *k, uint64_t size, struct tiles *t)
{
	unsigned level;

	keeper_init(k);
	if (merkle_load(&k->tree, size, tiles_get, t) == -1)
		return (-1);
	for (level = 0; level < TILE_LEVELS; level++)
		if (load_open_tile(k, level, t) == -1)
			return (-1);
	return (0);
}

static void
put(struct keeper *k, unsigned level, const uint8_t hash[MERKLE_HASH],
    keeper_full full, void *arg)
{
	memcpy(k->open[level].hash[k->open[level].n++], hash, MERKLE_HASH);
	if (k->open[level].n < TILE_WIDTH)
		return;
	full(arg, level, k->open[level].index,
	    (const uint8_t(*)[MERKLE_HASH])k->open[level].hash);
	k->open[level].n = 0;
	k->open[level].index++;
}

/* merkle_append(), with a look at every eighth level on the way up. */
void
keeper_append(struct keeper *k, const uint8_t leaf[MERKLE_HASH],
    keeper_full full, void *arg)
{
	uint8_t h[MERKLE_HASH];
	unsigned i;

	memcpy(h, leaf, sizeof(h));
	for (i = 0;; i++) {
		if (i % 8 == 0)
			put(k, i / 8, h, full, arg);
		if ((k->tree.size >> i & 1) == 0)
			break;
		merkle_node(k->tree.edge[i], h, h);
	}
	memcpy(k->tree.edge[i], h, sizeof(h));
	k->tree.size++;
}
