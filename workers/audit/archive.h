/* SPDX-License-Identifier: ISC */
#ifndef AX_ARCHIVE_H
#define AX_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/metrics.h"
#include "workers/audit/journal.h"

/*
 * Replaces closed segments that a checkpoint covers by compressed ones, one at
 * a time, the oldest first. Another process compresses (MSG_ARCHIVE); what it
 * made counts only after every byte of the text it holds was compared here with
 * the plain file. Then: rename without replacing, fsync of archive/, unlink of
 * the plain file, fsync again. At every moment one whole file of the segment
 * has a name on the disk.
 *
 * Each call does a few milliseconds of work and at most one fsync.
 */
struct archive;

struct archive_ops {
	/* Has `in` (read-only) compressed into `out` (empty). Takes both over.
	 * -1: not now. archive_answer() follows otherwise. */
	int (*request)(void *arg, uint64_t segment, int in, int out);
	/* archive_step() in that many milliseconds, once. */
	void (*later)(void *arg, unsigned ms);
	/* The segment has a new file; the old one has lost its name. */
	void (*replaced)(void *arg, uint64_t segment);
};

/* NULL with ENOMEM. The journal and the slot outlive it. */
struct archive *archive_new(const struct archive_ops *, void *arg,
    struct journal *, const struct jio *, int dirfd, struct metrics_slot *);
void archive_free(struct archive *);
/* Every quarter of a second, and when `covered` lines are under a checkpoint:
 * begins with the next segment if there is one and `on`. */
void archive_tick(struct archive *, bool on, uint64_t covered);
/* The archiver's end. -1: nobody asked. */
int archive_answer(struct archive *, uint64_t segment, bool ok, uint64_t text,
    uint64_t file, const char *error);
void archive_step(struct archive *);

#endif
