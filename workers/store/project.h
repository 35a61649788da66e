/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_PROJECT_H
#define AX_STORE_PROJECT_H

#include <stddef.h>
#include <stdint.h>
#include "workers/store/class.h"
#include "workers/store/db.h"

/*
 * The projection: journal lines become rows. A batch of lines and the mark
 * behind its last line are one transaction, so a line is applied once or not
 * at all, whatever is killed when.
 */
#define PROJECT_BATCH_MAX 4096 /* lines in one transaction */

/* A row's id is node << 40 | seq; node 0: the id is the seq. */
#define PROJECT_NODE_SHIFT 40
#define PROJECT_SEQ_MASK   ((UINT64_C(1) << PROJECT_NODE_SHIFT) - 1)

/* How far the journal was applied. */
struct mark {
	uint64_t segment;
	uint64_t offset; /* behind the newline of the last line */
	uint64_t seq;	 /* 0: nothing applied */
	uint8_t leaf[32];
	uint64_t skipped; /* lines unreadable, repeated or missing */
};

#define PROJECT_KEY_LEN 32

struct projector;

/*
 * Works on a database whose schema is at head; reads mark and classes. NULL
 * and *rc when that failed. The classes belong to the projector.
 */
struct projector *projector_new(struct db *, enum db_rc *rc);
void projector_free(struct projector *);
/* The mark as committed. */
const struct mark *projector_mark(const struct projector *);
const struct classes *projector_classes(const struct projector *);
/* Random, made with the database and at every reset: signs cursors.
 * PROJECT_KEY_LEN bytes. */
const uint8_t *projector_key(const struct projector *);

/*
 * The journal's first line here has this seq: those before it are gone, and not
 * missed. Before anything was applied; without effect later.
 */
void projector_from(struct projector *, uint64_t first_seq);
enum db_rc projector_begin(struct projector *);
/*
 * One line (without its newline) that ends at `offset` of `segment`. A line
 * that is no record or came before is passed over, and lines missing before
 * it are noticed: both are counted in mark.skipped and *why tells (else
 * NULL). *full is set when the batch must be committed before the next line.
 */
enum db_rc projector_line(struct projector *, const char *line, size_t len,
    uint64_t segment, uint64_t offset, const char **why, int *full);
/* Anything but DB_OK: everything since begin was rolled back. */
enum db_rc projector_commit(struct projector *);
void projector_rollback(struct projector *);
/* Lines in the open batch. */
unsigned projector_pending(const struct projector *);

/*
 * Forgets everything, so that the journal is applied from its first line
 * again. Ten million rows take a while to delete: one call is one short
 * transaction, the first of which takes the mark back, and *done is false as
 * long as rows are left. Killed in between, a mark of 0 over rows tells that
 * this is to be gone on with. DB_BUSY or DB_ERROR: nothing changed.
 */
enum db_rc projector_reset(struct projector *, bool *done);

#endif
