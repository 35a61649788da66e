/* SPDX-License-Identifier: ISC */
#ifndef AX_JPROOF_H
#define AX_JPROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/note.h"
#include "common/tiles.h"
#include "workers/audit/jseg.h"

/*
 * The newest checkpoint against the journal that a start finds. Reads
 * EVIDENCE_DIR/log, which the notary writes; whose signature it is does not
 * matter here, only what was said of the lines. For jrecover.c only.
 */
struct jproof {
	bool on;     /* there is a checkpoint */
	bool failed; /* it contradicts the journal */
	struct checkpoint c;
	struct merkle tree;
	struct tiles *tiles;
	int logfd;
	uint64_t diff;	     /* first line that its tile knows otherwise */
	uint64_t diff_at;    /* where it begins */
	char diff_name[112]; /* in which file */
};

/* 0 (also without a checkpoint), or -1 with err: it cannot be read. */
int jproof_open(struct jproof *, const struct jio *, int dirfd, char *err,
    size_t errlen);
void jproof_close(struct jproof *);
/*
 * Which segment to scan from, at or before `start`, so that the checkpoint can
 * be judged. -1 with err: the lines before it are nowhere to be had.
 */
int jproof_begin(struct jproof *, const struct segment_list *, size_t *start,
    char *err, size_t errlen);
/* A line, in order, of file `name` at byte `at`. -1 with err: contradicted. */
int jproof_line(struct jproof *, const char *name, uint64_t at,
    const char *line, size_t n, char *err, size_t errlen);
/* Is line seq under the checkpoint? Then it may be neither cut nor missing. */
bool jproof_covers(const struct jproof *, uint64_t seq);
/* That was the last line. -1 with err: the checkpoint counts more. */
int jproof_end(struct jproof *, char *err, size_t errlen);

#endif
