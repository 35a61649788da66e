/* SPDX-License-Identifier: ISC */
/*
 * Entries: how a row is written, one of them, and those behind a seq. The
 * context is passed on as the journal has it. What follows a seq is found by
 * keys, which are made of node and seq: a window of them at a time, however few
 * of its rows pass the filters. It must never look at a row when the caller has
 * seen all there is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "common/util.h"
#include "workers/store/query.h"

/* The columns of DBQ_ROW_BRIEF and DBQ_ROW_WHOLE. */
enum column {
	COL_ID,
	COL_SEQ,
	COL_NODE,
	COL_KIND,
	COL_ACTION,
	COL_DECISION,
	COL_RISK,
	COL_REASON,
	COL_ACTOR,
	COL_REQUEST,
	COL_PERMIT,
	COL_CREATED,
	COL_CONTEXT, /* of the whole only */
	COL_MAX
};

static const struct {
	const char *key;
	enum { TEXT, JSON, TIME } type; /* a number's text is JSON */
} columns[COL_MAX] = {
	[COL_ID] = { "id", JSON },
	[COL_SEQ] = { "seq", JSON },
	[COL_NODE] = { "node", TEXT },
	[COL_KIND] = { "kind", TEXT },
	[COL_ACTION] = { "action", TEXT },
	[COL_DECISION] = { "decision", TEXT },
	[COL_RISK] = { "risk_score", JSON },
	[COL_REASON] = { "reason", TEXT },
	[COL_ACTOR] = { "actor", TEXT },
	[COL_REQUEST] = { "request_id", TEXT },
	[COL_PERMIT] = { "permit", JSON },
	[COL_CREATED] = { "created_at", TIME },
	[COL_CONTEXT] = { "context", JSON },
};

static const enum column brief[] = { COL_ID, COL_SEQ, COL_NODE, COL_KIND,
	COL_ACTION, COL_DECISION, COL_RISK, COL_REASON, COL_ACTOR, COL_REQUEST,
	COL_PERMIT, COL_CREATED };
static const enum column whole[] = { COL_ID, COL_SEQ, COL_NODE, COL_ACTION,
	COL_DECISION, COL_RISK, COL_REASON, COL_CONTEXT, COL_CREATED, COL_KIND,
	COL_ACTOR, COL_REQUEST, COL_PERMIT };

static void
put_value(struct jw *w, struct db_stmt *st, enum column c)
{
	char ts[AX_TS_LEN];
	const char *s;
	size_t n;

	jw_key(w, columns[c].key);
	if (columns[c].type == TIME) {
		ax_ts_format((uint64_t)db_col_int(st, (int)c), ts);
		jw_str(w, ts);
	} else if ((s = db_col_text(st, (int)c, &n)) == NULL) {
		jw_null(w);
	} else if (columns[c].type == JSON) {
		jw_raw(w, s, n);
	} else {
		jw_strn(w, s, n);
	}
}

static void
put_entry(struct jw *w, struct db_stmt *st, enum entry_shape shape)
{
	const enum column *c = shape == ENTRY_BRIEF ? brief : whole;
	size_t i, n = shape == ENTRY_BRIEF ? AX_NELEM(brief) : AX_NELEM(whole);

	jw_obj(w);
	for (i = 0; i < n; i++)
		put_value(w, st, c[i]);
	jw_obj_end(w);
}

/* DB_ROW and the statement at the row; DB_OK: there is none. */
static enum db_rc
row_get(struct db *db, enum entry_shape shape, int64_t id, struct db_stmt **st)
{
	*st =
	    db_query(db, shape == ENTRY_BRIEF ? DBQ_ROW_BRIEF : DBQ_ROW_WHOLE);
	if (*st == NULL)
		return (DB_ERROR);
	db_bind_int(*st, 1, id);
	return (db_step(*st));
}

enum db_rc
entries_put(struct db *db, enum entry_shape shape, const int64_t *id, size_t n,
    size_t max, struct buf *b, size_t *shown)
{
	bool lines = shape == ENTRY_WHOLE;
	struct db_stmt *st;
	struct jw w;
	enum db_rc rc;
	size_t i;

	jw_init(&w, b, lines);
	if (!lines)
		jw_arr(&w);
	for (i = 0; i < n && (i == 0 || b->len < max); i++) {
		if ((rc = row_get(db, shape, id[i], &st)) != DB_ROW)
			return (rc == DB_OK ? DB_ERROR : rc);
		if (lines)
			jw_init(&w, b, true);
		put_entry(&w, st, shape);
		if (lines)
			buf_addc(b, '\n');
		db_reset(st);
	}
	if (!lines)
		jw_arr_end(&w);
	*shown = i;
	return (DB_OK);
}

/* ---- one ---- */

/* A seq stands once in a journal, whatever its node was called then. */
enum db_rc
entry_run(const struct question *qu, struct query_result *res)
{
	uint64_t from = qu->args->from, node, nodes;
	struct db_stmt *st;
	enum db_rc rc = DB_OK;
	struct jw w;

	nodes = from >> PROJECT_NODE_SHIFT > 0 ?
	    1 :
	    projector_classes(qu->proj)->nnodes;
	for (node = 0; node < nodes && rc == DB_OK && from <= INT64_MAX; node++)
		rc = row_get(qu->db, ENTRY_WHOLE,
		    (int64_t)(node << PROJECT_NODE_SHIFT | from), &st);
	if (rc == DB_ROW) {
		jw_init(&w, &res->json, false);
		put_entry(&w, st, ENTRY_WHOLE);
		db_reset(st);
		return (DB_OK);
	}
	if (rc == DB_OK)
		res->status = ROWS_NOT_FOUND;
	return (rc);
}

/* ---- what follows a seq ---- */

struct window {
	uint64_t from, to; /* seqs above from, up to to */
	int64_t *id;
	size_t n, cap; /* no more than cap are of use */
};

static uint64_t
seq_of(int64_t id)
{
	return ((uint64_t)id & PROJECT_SEQ_MASK);
}

static int
by_seq(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	if (seq_of(x) != seq_of(y))
		return (seq_of(x) < seq_of(y) ? -1 : 1);
	return (x < y ? -1 : x > y);
}

static bool
passes(const struct question *qu, struct db_stmt *st)
{
	int64_t class = db_col_int(st, 1), created = db_col_int(st, 2);

	return (class >= 1 && (uint64_t) class <= qu->set.n &&
	    qu->set.in[class - 1] && created >= qu->range.from &&
	    created < qu->range.below);
}

/* Adds the window's rows of one node that pass. */
static enum db_rc
window_read(const struct question *qu, struct window *w, uint64_t node)
{
	struct db_stmt *st = db_query(qu->db, DBQ_ROW_AFTER);
	uint64_t base = node << PROJECT_NODE_SHIFT;
	enum db_rc rc = DB_OK;

	if (st == NULL)
		return (DB_ERROR);
	db_bind_int(st, 1, (int64_t)(base + w->from));
	db_bind_int(st, 2, (int64_t)(base + w->to));
	while (w->n < w->cap && (rc = db_step(st)) == DB_ROW)
		if (passes(qu, st))
			w->id[w->n++] = db_col_int(st, 0);
	db_reset(st);
	return (rc == DB_ROW ? DB_OK : rc);
}

static enum db_rc
window_show(const struct question *qu, struct window *w, size_t limit,
    struct query_result *res)
{
	size_t n = w->n < limit ? w->n : limit, shown;
	enum db_rc rc;

	qsort(w->id, w->n, sizeof(*w->id), by_seq);
	rc = entries_put(qu->db, ENTRY_WHOLE, w->id, n, QUERY_TEXT_MAX,
	    &res->json, &shown);
	if (rc == DB_OK && shown < w->n)
		w->to = shown > 0 ? seq_of(w->id[shown - 1]) : w->from;
	return (rc);
}

static enum db_rc
window_run(const struct question *qu, struct window *w,
    struct query_result *res)
{
	size_t limit = qu->args->limit < QUERY_LIMIT_MAX ? qu->args->limit :
							   QUERY_LIMIT_MAX;
	uint64_t node, nodes = projector_classes(qu->proj)->nnodes;
	enum db_rc rc = DB_OK;

	if ((w->id = calloc(QUERY_WINDOW, sizeof(*w->id))) == NULL)
		return (DB_ERROR);
	/* Rows of several nodes are in order only once all were found. */
	w->cap = nodes == 1 ? limit + 1 : QUERY_WINDOW;
	for (node = 0; rc == DB_OK && node < nodes; node++)
		rc = window_read(qu, w, node);
	if (rc == DB_OK)
		rc = window_show(qu, w, limit, res);
	free(w->id);
	return (rc);
}

enum db_rc
after_run(const struct question *qu, struct query_result *res)
{
	const struct query_args *q = qu->args;
	uint64_t last = projector_mark(qu->proj)->seq;
	struct window w = { .from = q->from, .to = q->from };
	enum db_rc rc = DB_OK;

	if (q->cursor != NULL && *q->cursor != '\0') {
		res->status = ROWS_BAD_CURSOR;
		return (DB_OK);
	}
	if (w.from < last) {
		w.to = last - w.from > QUERY_WINDOW ? w.from + QUERY_WINDOW :
						      last;
		rc = window_run(qu, &w, res);
	}
	(void)snprintf(res->next_cursor, sizeof(res->next_cursor), "%" PRIu64,
	    w.to);
	return (rc);
}
