/* SPDX-License-Identifier: ISC */
#ifndef AX_CHECKPOINT_H
#define AX_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/jio.h"
#include "common/note.h"
#include "common/tiles.h"

/*
 * The checkpoints on the disk: log/checkpoint, the newest, and the history
 * log/checkpoints/SIZE. Every one is kept for an hour, one of each hour for 30
 * days, then one of each day; those whose file nobody may write (mode 0444)
 * are kept for good: of rotations and of clean stops. Their age is the file's.
 */
#define CHECKPOINT_MODE	     0644
#define CHECKPOINT_MODE_KEPT 0444

struct history {
	const struct jio *io;
	int dirfd; /* EVIDENCE_DIR/log; not owned */
	struct history_entry {
		uint64_t size;
		uint64_t at; /* Unix time */
		bool kept;   /* for good */
	} * v;		     /* by size */
	size_t n, cap;
	size_t cursor; /* where pruning goes on */
};

/* "checkpoints/00000000000000000123" */
void history_path(char out[TILE_PATH_MAX], uint64_t size);
/* Reads the folder; without one the history is empty. 0, or -1 with errno. */
int history_load(struct history *, const struct jio *, int dirfd);
void history_free(struct history *);
/* A file that was just written; one of that size is replaced. Without memory
 * it is taken in at the next start. */
void history_add(struct history *, uint64_t size, uint64_t at, bool kept);
/* The entry of that size, or NULL. */
const struct history_entry *history_find(const struct history *, uint64_t size);
/* Looks at `look` entries from where it stopped, removes those that are no
 * longer wanted; how many. */
size_t history_prune(struct history *, uint64_t now, size_t look);

/* What the disk says was signed last. */
enum checkpoint_found {
	CHECKPOINT_NONE,
	CHECKPOINT_OURS,
	CHECKPOINT_FOREIGN, /* well-formed, and not signed by this key */
	CHECKPOINT_DAMAGED,
	CHECKPOINT_UNREADABLE /* errno */
};

struct checkpoint_file {
	struct checkpoint c;
	char note[NOTE_MAX];
	size_t len;
	uint64_t at; /* Unix time of the file */
};

/*
 * The newest: log/checkpoint, or the history's last when that is larger. key
 * NULL: nobody's signature is looked at, and it is never OURS.
 */
enum checkpoint_found checkpoint_newest(const struct history *,
    const struct vkey *key, struct checkpoint_file *);

/* A signed note over the tree of this size and root: 0 or -1. */
int checkpoint_sign(struct buf *, const struct skey *, uint64_t size,
    const uint8_t root[MERKLE_HASH]);

#endif
