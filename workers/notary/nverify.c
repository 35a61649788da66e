/* SPDX-License-Identifier: ISC */
/*
 * The notary's start: finds the newest checkpoint, and holds the journal
 * against it before anything new is signed. It reads the right edge at the
 * beginning of the segment that the checkpoint ends in from the tiles, hashes
 * that segment's lines on top, and must come to the root that was signed. Must
 * never write a tile: until the root has agreed, the tiles on the disk are
 * evidence of what the journal was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "workers/notary/npriv.h"

#define SLICE_LINES 4096
#define SLICE_TILES 512

#define WHAT_TO_DO \
	": nothing more is signed; archillxctl audit verify tells more"

static void
begin_follow(struct notary *n)
{
	n->state = NOTARY_FOLLOW;
	n->covered = n->newest.c.size;
	metric_set(n->slot, MG_CHECKPOINT_SEQ, n->covered);
	metric_set(n->slot, MG_CHECKPOINT_AT, n->newest.at);
	notary_set_stop(n);
	notary_works(n);
}

/* ---- the log ---- */

static bool
judge_newest(struct notary *n, enum checkpoint_found found)
{
	switch (found) {
	case CHECKPOINT_UNREADABLE:
		notary_failed(n, "checkpoint");
		return (false);
	case CHECKPOINT_DAMAGED:
		notary_broken(n,
		    "the newest checkpoint is damaged, or was signed by "
		    "somebody else in our name" WHAT_TO_DO);
		return (false);
	case CHECKPOINT_NONE:
		memset(&n->newest, 0, sizeof(n->newest));
		break;
	case CHECKPOINT_FOREIGN:
		if (n->conf.key != NULL && !n->said_foreign)
			log_warnx("checkpoint: the newest one was signed by "
				  "another key: goes on with the new key");
		n->said_foreign = true;
		break;
	case CHECKPOINT_OURS:
		break;
	}
	return (true);
}

static bool
open_log(struct notary *n)
{
	const struct vkey *key = n->conf.key ? &n->conf.key->pub : NULL;

	history_free(&n->history);
	/* What an earlier life renamed may not be durable yet. */
	if (tilefile_sweep(n->conf.io, n->conf.dirfd) == -1 ||
	    jio_sync_dir(n->conf.io, n->conf.dirfd, ".") == -1 ||
	    (jio_sync_dir(n->conf.io, n->conf.dirfd, LOG_CHECKPOINTS) == -1 &&
		errno != ENOENT) ||
	    history_load(&n->history, n->conf.io, n->conf.dirfd) == -1) {
		notary_failed(n, "log folder");
		return (false);
	}
	n->opened =
	    judge_newest(n, checkpoint_newest(&n->history, key, &n->newest));
	return (n->opened);
}

/* ---- from the first line ---- */

/* Writes every tile that is missing or wrong, from the first line on. */
static void
begin_rebuild(struct notary *n)
{
	if (n->segs[0].first_seq != 1) {
		notary_broken(n,
		    "the tree cannot be built: the journal's older segments "
		    "are not here, and tiles are missing" WHAT_TO_DO);
		return;
	}
	if (n->newest.c.size > 0)
		log_warnx("tiles: some are missing or damaged: all are made "
			  "anew from the journal");
	keeper_init(&n->keeper);
	n->rebuild_to = n->newest.c.size;
	begin_follow(n);
	notary_place(n, &n->segs[0]);
}

/* ---- waiting ---- */

/* Is the checkpoint's last line there? */
static bool
wait_for_journal(struct notary *n)
{
	uint64_t size = n->newest.c.size;

	if (!n->opened && !open_log(n))
		return (false);
	size = n->newest.c.size;
	if (n->nsegs == 0 || n->told == 0)
		return (false);
	if (n->told < size) {
		/* Of a closed segment the next one's first line is told. */
		if (n->live && n->told_num == n->segs[n->nsegs - 1].num)
			notary_broken(n,
			    "the journal ends with line %" PRIu64
			    ", but the checkpoint counts %" PRIu64
			    " lines" WHAT_TO_DO,
			    n->told, size);
		return (false);
	}
	memset(n->ondisk, 0, sizeof(n->ondisk));
	n->damaged = false;
	n->first_diff = n->rebuild_to = 0;
	n->look_level = 0;
	n->look_index = 0;
	if (size == 0)
		begin_rebuild(n);
	else
		n->state = NOTARY_LOOK;
	return (n->state != NOTARY_BROKEN);
}

/* ---- looking ---- */

/* Is tile look_index of look_level there? False: that was the level's last. */
static bool
look_at_tile(struct notary *n)
{
	uint64_t hashes = n->newest.c.size >> (8 * n->look_level);
	uint64_t left = hashes - n->look_index * TILE_WIDTH;
	unsigned width = left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH;
	char path[TILE_PATH_MAX];

	if (width == 0)
		return (false);
	tile_path(path, n->look_level, n->look_index, width);
	if (!tilefile_there(n->conf.io, n->conf.dirfd, path,
		(size_t)width * MERKLE_HASH))
		n->damaged = true;
	n->look_index++;
	return (width == TILE_WIDTH);
}

/* The tree up to where the segment begins: from tiles, else from line 1. */
static void
begin_verify(struct notary *n)
{
	const struct nsegment *s = notary_segment_of(n, n->newest.c.size);

	tiles_init(&n->tiles, n->conf.dirfd, n->newest.c.size);
	if (s == NULL ||
	    keeper_load(&n->keeper, s->first_seq - 1, &n->tiles) == -1) {
		n->damaged = true;
		s = &n->segs[0];
		if (s->first_seq != 1) {
			begin_rebuild(n); /* says why it cannot */
			return;
		}
		keeper_init(&n->keeper);
	}
	n->state = NOTARY_VERIFY;
	notary_place(n, s);
}

static bool
look_for_tiles(struct notary *n)
{
	unsigned i;

	for (i = 0; i < SLICE_TILES && n->look_level < TILE_LEVELS; i++)
		if (!look_at_tile(n)) {
			n->look_level++;
			n->look_index = 0;
		}
	if (n->look_level == TILE_LEVELS)
		begin_verify(n);
	return (true);
}

/* ---- verifying ---- */

static void
ignore_full(void *arg, unsigned level, uint64_t index,
    const uint8_t (*hash)[MERKLE_HASH])
{
}

static void
compare_leaf(struct notary *n, const uint8_t leaf[MERKLE_HASH])
{
	uint8_t was[MERKLE_HASH];

	if (tiles_hash(&n->tiles, 0, notary_size(n), was) == -1) {
		n->damaged = true;
		return;
	}
	if (memcmp(was, leaf, sizeof(was)) != 0 && n->first_diff == 0)
		n->first_diff = notary_size(n) + 1;
}

static void
contradicted(struct notary *n)
{
	if (n->first_diff != 0)
		notary_broken(n,
		    "line %" PRIu64 " of the journal is not the one that the "
		    "checkpoint over %" PRIu64 " lines covers" WHAT_TO_DO,
		    n->first_diff, n->newest.c.size);
	else
		notary_broken(n,
		    "lines 1 to %" PRIu64 " of the journal are not those that "
		    "the checkpoint covers, and no tile tells which "
		    "differ" WHAT_TO_DO,
		    n->newest.c.size);
}

/* What an earlier life could not remove. */
static void
clean_partials(struct notary *n)
{
	uint64_t hashes;
	unsigned i;

	for (i = 0; i < TILE_LEVELS; i++) {
		hashes = n->newest.c.size >> (8 * i);
		n->ondisk[i].index = hashes / TILE_WIDTH;
		n->ondisk[i].width = (unsigned)(hashes % TILE_WIDTH);
		tilefile_drop_partials(n->conf.io, n->conf.dirfd, i,
		    n->ondisk[i].index, n->ondisk[i].width, 0);
		if (n->ondisk[i].index > 0)
			tilefile_drop_partials(n->conf.io, n->conf.dirfd, i,
			    n->ondisk[i].index - 1, 0, 0);
	}
}

static void
verified(struct notary *n)
{
	uint8_t root[MERKLE_HASH];

	merkle_root(&n->keeper.tree, root);
	if (memcmp(root, n->newest.c.root, sizeof(root)) != 0) {
		contradicted(n);
		return;
	}
	if (n->first_diff != 0)
		n->damaged = true; /* the line is right: the tile is not */
	if (n->damaged && n->segs[0].first_seq == 1)
		begin_rebuild(n);
	else {
		if (n->damaged)
			log_warnx("tiles: some are missing, and cannot be made "
				  "anew: the journal's older segments are not "
				  "here");
		clean_partials(n);
		begin_follow(n);
	}
	n->ops->covered(n->arg, n->covered, NULL);
}

static bool
verify_lines(struct notary *n)
{
	uint8_t leaf[MERKLE_HASH];
	unsigned i;
	int r;

	for (i = 0; i < SLICE_LINES; i++) {
		if (notary_size(n) == n->newest.c.size) {
			verified(n);
			return (true);
		}
		if ((r = notary_line(n, leaf)) != 1)
			return (false);
		compare_leaf(n, leaf);
		keeper_append(&n->keeper, leaf, ignore_full, n);
	}
	return (true);
}

bool
nverify_step(struct notary *n)
{
	switch (n->state) {
	case NOTARY_WAIT:
		return (wait_for_journal(n));
	case NOTARY_LOOK:
		return (look_for_tiles(n));
	case NOTARY_VERIFY:
		return (verify_lines(n));
	default:
		return (false);
	}
}
