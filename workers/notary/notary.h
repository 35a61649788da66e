/* SPDX-License-Identifier: ISC */
#ifndef AX_NOTARY_H
#define AX_NOTARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/jio.h"
#include "common/metrics.h"
#include "common/note.h"

/*
 * The notary without its sockets: takes descriptors of the journal's segments
 * and audit's word on what of them is durable, and keeps tiles and checkpoints
 * below one folder. It signs only trees that extend the newest checkpoint
 * found there, and holds the journal against that checkpoint before the first
 * new one. notary_step() does a little of the work each time and blocks for
 * the disk only.
 */
struct notary;

struct notary_conf {
	const struct jio *io;
	int dirfd;		/* EVIDENCE_DIR/log; not owned */
	const struct skey *key; /* not copied; NULL: tiles, nothing signed */
	uint64_t interval_us;	/* between checkpoints */
	size_t segments;	/* open at most; 0: READER_SEGMENTS */
};

struct notary_ops {
	/* So many lines are covered by what is on the disk: by a checkpoint,
	 * or with key NULL by tiles. note: the checkpoint that was just
	 * signed, NULL when it is an older one or there is none. */
	void (*covered)(void *arg, uint64_t size, const char *note);
};

enum notary_state {
	NOTARY_WAIT,   /* for the segment that the checkpoint ends in */
	NOTARY_LOOK,   /* whether the tiles are all there */
	NOTARY_VERIFY, /* the journal against the checkpoint */
	NOTARY_FOLLOW, /* the journal; tiles and checkpoints */
	NOTARY_BROKEN  /* the evidence disagrees: never signs again */
};

/* ops and slot are not copied. NULL with ENOMEM. */
struct notary *notary_new(const struct notary_conf *, const struct notary_ops *,
    void *arg, struct metrics_slot *);
void notary_free(struct notary *);
void notary_interval(struct notary *, uint64_t interval_us);

/* Audit is there, or there anew: everything is read again from the start. */
void notary_begin(struct notary *);
/* Audit's channel is gone: what was not finished is given up. */
void notary_end(struct notary *);
/* A segment, in order of their numbers; takes fd over. `live`: it is the file
 * that audit writes, or was when this was sent. 0, or -1 with errno. */
int notary_segment(struct notary *, uint64_t num, uint64_t first_seq, bool live,
    int fd);
/* So much of the segment is durable; next_seq - 1 is its last line. */
void notary_journal_at(struct notary *, uint64_t num, uint64_t committed,
    uint64_t next_seq);

/* Does some work. Microseconds until it wants to be called again, unless there
 * is news before; UINT64_MAX: not at all. */
uint64_t notary_step(struct notary *);

/* The service stops; `seq` is the journal's last line (0: unknown). A last
 * checkpoint is made over it. */
void notary_drain(struct notary *, uint64_t seq);
/* Nothing more is to be done, or nothing more can be. */
bool notary_drained(const struct notary *);

enum notary_state notary_state(const struct notary *);
/* What is wrong when it is NOTARY_BROKEN, for the operator. */
const char *notary_why(const struct notary *);
/* Lines covered by what is on the disk. */
uint64_t notary_covered(const struct notary *);

#endif
