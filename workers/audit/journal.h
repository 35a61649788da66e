/* SPDX-License-Identifier: ISC */
#ifndef AX_JOURNAL_H
#define AX_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/jio.h"
#include "common/line.h"

/*
 * The journal, EVIDENCE_DIR/security_audit.jsonl, and its older segments
 * (ARCHITECTURE section 5). Lines are appended to a batch; journal_commit()
 * makes the batch durable with one writev and one fdatasync, and only then
 * tells those who wait. What a failed commit refused never had a sequence
 * number. After an error the journal is closed until journal_repair() has put
 * it right; a file whose fdatasync failed is never written again.
 *
 * Everything below blocks for the disk and for nothing else.
 */
#define JOURNAL_NAME	  "security_audit.jsonl"
#define JOURNAL_ARCHIVE	  "archive"
#define JOURNAL_RECOVERED "recovered"

struct journal;

struct journal_conf {
	const struct jio *io;
	int dirfd;	      /* EVIDENCE_DIR; may be O_PATH; not taken over */
	const char *node;     /* not copied */
	uint64_t reserve;     /* bytes kept allocated ahead */
	uint64_t max_bytes;   /* a segment rotates above it */
	uint64_t replay_from; /* first seq to hand to `visit`; 0: all */
};

/* One segment; the last one is the file being written. */
struct segment {
	uint64_t num;
	uint64_t first_seq; /* of its first line, there or to come */
	uint64_t committed; /* bytes that count */
	char name[112];	    /* below EVIDENCE_DIR */
};

enum journal_state {
	JOURNAL_OK,
	JOURNAL_CUT,	/* a write failed: cut back to committed */
	JOURNAL_VERIFY, /* fdatasync failed: read back past the cache, copy */
	JOURNAL_RETIRE, /* the copy stands; put the failed file aside */
	JOURNAL_MOVE,	/* put a healthy or empty file aside */
	JOURNAL_CREATE, /* start the next segment */
	JOURNAL_DAMAGED /* committed lines are not on the disk: for good */
};

/* A line found at the start, in order. -1 stops the recovery. */
typedef int (*journal_visit)(void *arg, const struct line_view *);

/*
 * Recovers: finds the segments, checks the lines from conf->replay_from's
 * segment on, puts bytes behind the last valid line under recovered/, makes
 * what it keeps durable. NULL and a text for the operator in err when the
 * journal is damaged in the middle, the disk fails, or (errno
 * ENOTRECOVERABLE) the journal is not the one that the newest checkpoint in
 * EVIDENCE_DIR/log covers. Nothing that a checkpoint covers is ever cut.
 */
struct journal *journal_open(const struct journal_conf *, journal_visit,
    void *arg, char *err, size_t errlen);
void journal_close(struct journal *); /* commits nothing */

/*
 * Called when a line's fate is known, in the order of the lines: ok and its
 * seq; or not ok: it was refused and is nowhere. May append, must not commit.
 */
typedef void (*journal_done)(void *arg, bool ok, uint64_t seq);

/*
 * Adds a line to the batch. The sequence number it will have, or 0 with errno:
 * EAGAIN (closed), ENOSPC, EMSGSIZE, EINVAL, ENOMEM; done is not called then.
 * A line with permit UINT64_MAX gets its own seq as permit.
 */
#define PERMIT_IS_SEQ UINT64_MAX
uint64_t
journal_append(struct journal *, const struct line *, journal_done, void *arg);
/* Lines that wait for a commit. */
size_t journal_pending(const struct journal *);
/*
 * Makes the batch durable and calls back. 0, or -1: all were refused and the
 * journal is closed. Rotates afterwards when the segment is full.
 */
int journal_commit(struct journal *);

/* Asks for a rotation although the segment is not full: with the next commit
 * that leaves nothing waiting. A segment without a line is left alone. */
void journal_rotate_soon(struct journal *);
/* It was asked for and not tried yet. */
bool journal_rotates_soon(const struct journal *);

/* Makes sure that n more bytes fit beside the batch; -1: no space now. */
int journal_room(struct journal *, uint64_t n);
/* After a -1: 0 only when the reserve could be filled up again, so that an
 * almost full disk does not open and close the gate with every line. */
int journal_room_again(struct journal *, uint64_t n);
/* Tries to put right what an error left; 0 when open. Never call it inside
 * journal_done. A successful repair has recorded the outage. */
int journal_repair(struct journal *);

/*
 * Looks whether the live file is still there under its name and as we left it;
 * -1: it is not, and the journal is closed until journal_repair() has gone on
 * in a new segment with what was committed. Cheap: two calls.
 */
int journal_watch(struct journal *);
/* Bytes that may still be written below EVIDENCE_DIR, the reserve not among
 * them; UINT64_MAX when the file system does not tell. */
uint64_t journal_free_bytes(const struct journal *);

enum journal_state journal_state(const struct journal *);
/* "write: No space left on device"; "" when nothing is wrong. */
const char *journal_why(const struct journal *);
uint64_t journal_seq(const struct journal *);	    /* last durable; 0: none */
uint64_t journal_committed(const struct journal *); /* of the last segment */
size_t journal_nsegments(const struct journal *);
const struct segment *journal_segment(const struct journal *, size_t i);
/* A read-only fd, or -1 with errno; ESTALE: the live file was replaced, which
 * journal_watch() is about to find. */
int journal_segment_fd(const struct journal *, size_t i);
/* The closed segment `num` is in the file `name` from now on, its text the
 * same. */
void journal_archived(struct journal *, uint64_t num, const char *name);
/* The leaf hash of the durable line seq: 0, or -1 when there is none. */
int journal_leaf_at(const struct journal *, uint64_t seq, uint8_t out[32]);
/* What the last journal_open() cut off, in bytes. */
uint64_t journal_cut_bytes(const struct journal *);

struct journal_stats {
	uint64_t lines, syncs, bytes, failures, rotations;
	uint64_t last_sync_us; /* how long the last fdatasync took */
};
const struct journal_stats *journal_stats(const struct journal *);

#endif
