/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_PROOF_H
#define AX_STORE_PROOF_H

#include "common/messages.h"
#include "common/reader.h"
#include "workers/store/query.h"

/*
 * What the log says about itself: Q_CHECKPOINT, Q_PROOF and Q_CONSISTENCY, out
 * of the checkpoint and the tiles below EVIDENCE_DIR/log and the segments of
 * the journal. Needs no database.
 */

/*
 * Answers one of the three. dirfd: EVIDENCE_DIR/log, or -1; reader: NULL while
 * audit is away. result is filled in any case: ROWS_UNAVAILABLE when something
 * is missing, or when tiles, line and checkpoint do not fit each other, which
 * is logged. Every proof was checked against the checkpoint's root before. It
 * blocks for as long as reading a segment from its beginning takes (Q_PROOF).
 */
void proof_run(int dirfd, struct reader *, const struct query_args *,
    struct query_result *result);

#endif
