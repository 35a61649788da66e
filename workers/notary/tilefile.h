/* SPDX-License-Identifier: ISC */
#ifndef AX_TILEFILE_H
#define AX_TILEFILE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/jio.h"
#include "common/tiles.h"

/*
 * A batch of small files that appear below a folder whole or not at all: each
 * is written under TILEFILE_TMP, synced, renamed to its place, and its folder
 * synced. A batch shares the file system's work: all are written and their
 * writeback started before the first is waited for.
 *
 * Every step blocks for the disk once at most, so that the caller can look
 * after other things in between.
 */
#define TILEFILE_TMP   ".tmp"
#define TILEFILE_MAX   64 /* in one batch */
#define TILEFILE_KNOWN 16 /* two folders for each level */

enum tilefile_phase { TF_WRITE, TF_SYNC, TF_RENAME, TF_FOLDERS };

struct tilefile {
	const struct jio *io;
	int dirfd; /* not owned; may be O_PATH */
	enum tilefile_phase phase;
	unsigned n, at;
	struct {
		char path[TILE_PATH_MAX];
		const void *data;
		size_t len;
		mode_t mode;
		int fd; /* of the temporary file; -1: not open */
	} v[TILEFILE_MAX];
	char dir[TILEFILE_MAX][TILE_PATH_MAX]; /* to sync */
	unsigned ndirs;
	bool deep; /* folders were made: sync those above, too */
	/* Of these, all above was synced in this life; a ring. */
	char known[TILEFILE_KNOWN][TILE_PATH_MAX];
	unsigned nknown;
	const char *what; /* the step that failed, for the log */
};

void tilefile_init(struct tilefile *, const struct jio *, int dirfd);
/* Empties TILEFILE_TMP, and makes it: 0 or -1 with errno. At a start. */
int tilefile_sweep(const struct jio *, int dirfd);
/*
 * Adds a file to an idle batch; it replaces one of that name. data is not
 * copied and must last until the batch is done. False: the batch is full.
 */
bool tilefile_add(struct tilefile *, const char *path, const void *data,
    size_t len, mode_t mode);
static inline bool
tilefile_full(const struct tilefile *t)
{
	return (t->n == TILEFILE_MAX);
}
/*
 * One step. 1: all of the batch is durable, and forgotten; 0: call again; -1
 * with errno: nothing half-written is visible, the next call begins the batch
 * anew.
 */
int tilefile_step(struct tilefile *);
/* Gives the batch up. */
void tilefile_drop(struct tilefile *);

/* Is there a file `path` of just these bytes? */
bool tilefile_same(const struct jio *, int dirfd, const char *path,
    const void *data, size_t len);
/* Is there a regular file `path` of this size? */
bool
tilefile_there(const struct jio *, int dirfd, const char *path, size_t len);
/*
 * Removes the partial tiles of one tile, but for those of width keep and
 * keep2 (0: none). Best effort: what stays does no harm.
 */
void tilefile_drop_partials(const struct jio *, int dirfd, unsigned level,
    uint64_t index, unsigned keep, unsigned keep2);

#endif
