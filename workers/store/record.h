/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_RECORD_H
#define AX_STORE_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/slice.h"

#define RECORD_LINE_MAX	 32768 /* ARCHITECTURE section 5 */
#define RECORD_DEPTH_MAX 64    /* nesting of the context */

/*
 * One line of the journal as the projection needs it. Slices point into the
 * line, or into the scratch buffer where the text held escapes.
 */
struct record {
	struct slice action, decision, kind, node, actor, reason, request_id;
	struct slice context; /* its JSON text, unchanged */
	struct slice ts;
	uint64_t seq;
	uint64_t permit; /* 0: none */
	uint64_t risk_score;
	uint64_t ts_us; /* UTC microseconds */
};

/*
 * Reads one line (without its newline): the whole line is checked to be one
 * JSON object of at most RECORD_LINE_MAX bytes. Pure. The slices live as long
 * as the line and the scratch buffer, which is reset first. 0, or -1 and *why
 * (a literal) tells what is wrong.
 */
int record_parse(struct record *, const char *line, size_t len,
    struct buf *scratch, const char **why);

/*
 * The string member `key` of the JSON object `obj`, decoded into scratch
 * (appended). 0, or -1 if there is none or the text is no object.
 */
int record_member(struct slice obj, const char *key, struct buf *scratch,
    struct slice *out);

#endif
