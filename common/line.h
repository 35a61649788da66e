/* SPDX-License-Identifier: ISC */
#ifndef AX_LINE_H
#define AX_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/slice.h"

/*
 * One line of the journal (contract 9.2, ARCHITECTURE section 5): a JSON
 * object with fourteen keys in sorted order, every one of them always there,
 * ", " and ": " between them, at most LINE_MAX_BYTES with its newline.
 */
#define LINE_MAX_BYTES	 32768
#define LINE_CONTEXT_MAX 20480
/* No outcome's line is longer: the reserve is counted in these. */
#define LINE_OUTCOME_MAX 6144

/* Longer texts are cut at these many bytes, at a character's end. */
#define LINE_ACTION_MAX	 256
#define LINE_REASON_MAX	 512
#define LINE_ACTOR_MAX	 128
#define LINE_REQUEST_MAX 128
#define LINE_NODE_MAX	 64

enum line_kind { LK_DECISION, LK_OUTCOME, LK_EVENT, LK_IMPORT, LK_MAX };
const char *line_kind_name(enum line_kind);

struct line {
	enum line_kind kind;
	const char *action;
	const char *decision; /* APPROVED, WARNED, BLOCKED */
	int risk_score;
	const char *reason; /* NULL: null; so below */
	const char *actor;
	const char *request_id;
	const char *idem_key;  /* hex digest of actor, route and key */
	const char *idem_body; /* hex digest of the body */
	uint64_t permit;       /* 0: null */
	const char *context;   /* a JSON object, keys sorted; NULL: {} */
	size_t context_len;
};

/*
 * Appends the line and its newline to b. Pure. 0, or -1 with errno EMSGSIZE
 * (context too long) or ENOMEM; b is as before then.
 */
int line_build(struct buf *b, const struct line *, const char *node,
    uint64_t seq, uint64_t real_us);

/*
 * A line as found on the disk. Slices point into it; texts are slices of the
 * JSON string without its quotes, escapes as they stand. `n` 0 with p NULL: the
 * value is null.
 */
struct line_view {
	enum line_kind kind;
	uint64_t seq;
	uint64_t permit;
	int risk_score;
	struct slice action, actor, context, decision, id, idem_body, idem_key,
	    node, reason, request_id, ts;
};

/*
 * Reads one line (without newline): 0, or -1 if it is not exactly of the shape
 * that line_build() makes. Strict, pure, no allocation.
 */
int line_parse(const char *s, size_t n, struct line_view *);
bool slice_is(struct slice, const char *text);
/* A copy with escapes resolved, NULL for null or without memory. */
char *slice_dup(struct slice);
/* Length of s cut to at most max bytes at the end of a character. */
size_t line_cut(const char *s, size_t max);
/* Key and text, cut so; NULL writes null. Errors are the buf's. */
struct jw;
void line_put_text(struct jw *, const char *key, const char *text, size_t max);

#endif
