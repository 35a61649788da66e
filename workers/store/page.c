/* SPDX-License-Identifier: ISC */
/*
 * Paging by key. Without a filter a page is a walk down the index on time.
 * With one, each class that passes is a walk down the index (class, time), and
 * a heap merges them newest first; so a filter that few rows pass costs no
 * more than one that most do. It must never look at a row that is neither
 * skipped by the offset nor shown.
 */
#include <stdlib.h>

#include "common/util.h"
#include "workers/store/query.h"

#define CHUNK 16

struct key {
	int64_t created, id;
};

/* What is left of a pass: keys in the range, older than below, up to a seq. */
struct span {
	struct time_range range;
	struct key below;
	uint64_t upto;
};

/* One class's keys, newest first, a chunk at a time. */
struct walk {
	int64_t class;
	struct key key[CHUNK];
	unsigned at, n;
};

struct merge {
	struct db *db;
	struct span span; /* below is the walk's own */
	struct walk *heap;
	size_t n;
};

/* ---- walking ---- */

static bool
newer(struct key a, struct key b)
{
	return (
	    a.created > b.created || (a.created == b.created && a.id > b.id));
}

/* Binds the part that both kinds of walk share. */
static struct db_stmt *
walk_query(struct db *db, enum db_query q, const struct span *s, int64_t limit)
{
	struct db_stmt *st = db_query(db, q);
	int64_t newest = s->range.below - 1;

	if (st == NULL)
		return (NULL);
	if (s->below.created < newest)
		newest = s->below.created;
	db_bind_int(st, 1, newest);
	db_bind_int(st, 2, s->range.from);
	db_bind_int(st, 3, s->below.created);
	db_bind_int(st, 4, s->below.id);
	db_bind_int(st, 5, (int64_t)s->upto);
	db_bind_int(st, 6, limit);
	return (st);
}

static enum db_rc
walk_fill(struct merge *m, struct walk *k, struct key below)
{
	struct span s = m->span;
	struct db_stmt *st;
	enum db_rc rc;

	k->at = k->n = 0;
	s.below = below;
	if ((st = walk_query(m->db, DBQ_PAGE_CLASS, &s, CHUNK)) == NULL)
		return (DB_ERROR);
	db_bind_int(st, 7, k->class);
	while ((rc = db_step(st)) == DB_ROW && k->n < CHUNK) {
		k->key[k->n].created = db_col_int(st, 0);
		k->key[k->n++].id = db_col_int(st, 1);
	}
	db_reset(st);
	return (rc == DB_ROW ? DB_OK : rc);
}

static bool
walk_before(const struct walk *a, const struct walk *b)
{
	return (newer(a->key[a->at], b->key[b->at]));
}

static void
sift_down(struct merge *m, size_t i)
{
	struct walk tmp;
	size_t k;

	while ((k = 2 * i + 1) < m->n) {
		if (k + 1 < m->n && walk_before(&m->heap[k + 1], &m->heap[k]))
			k++;
		if (!walk_before(&m->heap[k], &m->heap[i]))
			return;
		tmp = m->heap[i];
		m->heap[i] = m->heap[k];
		m->heap[k] = tmp;
		i = k;
	}
}

static enum db_rc
merge_start(struct merge *m, const struct class_set *set)
{
	enum db_rc rc;
	size_t i;

	m->heap = calloc(set->count + 1, sizeof(*m->heap));
	if (m->heap == NULL)
		return (DB_ERROR);
	for (i = 0; i < set->n; i++) {
		if (!set->in[i])
			continue;
		m->heap[m->n].class = (int64_t)i + 1;
		if ((rc = walk_fill(m, &m->heap[m->n], m->span.below)) != DB_OK)
			return (rc);
		if (m->heap[m->n].n > 0)
			m->n++;
	}
	for (i = m->n / 2; i-- > 0;)
		sift_down(m, i);
	return (DB_OK);
}

/* DB_ROW and the newest key left, or DB_OK: there is none. */
static enum db_rc
merge_next(struct merge *m, struct key *out)
{
	struct walk *top = &m->heap[0];
	enum db_rc rc;

	if (m->n == 0)
		return (DB_OK);
	*out = top->key[top->at++];
	if (top->at == top->n) {
		if (top->n == CHUNK) {
			if ((rc = walk_fill(m, top, *out)) != DB_OK)
				return (rc);
		} else {
			top->n = 0;
		}
		if (top->n == 0)
			*top = m->heap[--m->n];
	}
	sift_down(m, 0);
	return (DB_ROW);
}

/* Up to `want` keys behind `skip` others; *n of them. */
static enum db_rc
keys_merged(const struct question *qu, const struct span *s, size_t skip,
    size_t want, struct key *out, size_t *n)
{
	struct merge m = { .db = qu->db, .span = *s };
	enum db_rc rc;
	struct key k;

	rc = merge_start(&m, &qu->set);
	while (
	    rc == DB_OK && *n < want && (rc = merge_next(&m, &k)) == DB_ROW) {
		rc = DB_OK;
		if (skip > 0)
			skip--;
		else
			out[(*n)++] = k;
		if (m.n == 0)
			break;
	}
	free(m.heap);
	return (rc);
}

static enum db_rc
keys_by_time(const struct question *qu, const struct span *s, size_t skip,
    size_t want, struct key *out, size_t *n)
{
	struct db_stmt *st;
	enum db_rc rc;

	st = walk_query(qu->db, DBQ_PAGE_TIME, s, (int64_t)(skip + want));
	if (st == NULL)
		return (DB_ERROR);
	while ((rc = db_step(st)) == DB_ROW) {
		if (skip > 0) {
			skip--;
			continue;
		}
		out[*n].created = db_col_int(st, 0);
		out[(*n)++].id = db_col_int(st, 1);
	}
	return (rc);
}

static enum db_rc
keys_find(const struct question *qu, const struct cursor *at, size_t skip,
    size_t want, struct key *out, size_t *n)
{
	struct span s = { .range = qu->range,
		.below = { at->created, at->id },
		.upto = at->upto };

	*n = 0;
	if (qu->set.count == qu->set.n)
		return (keys_by_time(qu, &s, skip, want, out, n));
	return (keys_merged(qu, &s, skip, want, out, n));
}

/* ---- the pass ---- */

/* Where the pass begins or goes on. */
static enum rows_status
pass_at(const struct question *qu, struct cursor *at)
{
	const struct query_args *q = qu->args;
	uint64_t seq = projector_mark(qu->proj)->seq;

	if (q->cursor == NULL || *q->cursor == '\0') {
		*at = (struct cursor){ INT64_MAX, INT64_MAX, seq, q->offset };
		return (ROWS_OK);
	}
	if (cursor_parse(q->cursor, projector_key(qu->proj), q->query, at) ==
	    -1)
		return (ROWS_BAD_CURSOR);
	if (q->query == Q_AUDIT_PAGE)
		at->skip = q->offset;
	/* An older copy of the database, which has yet to catch up. */
	return (at->upto > seq ? ROWS_UNAVAILABLE : ROWS_OK);
}

static void
pass_goes_on(const struct question *qu, struct cursor *at, struct key last,
    uint32_t skip, struct query_result *res)
{
	at->created = last.created;
	at->id = last.id;
	at->skip = skip;
	cursor_format(at, projector_key(qu->proj), qu->args->query,
	    res->next_cursor);
}

/* An offset too large for one answer: passed over in several. */
static enum db_rc
pass_over(const struct question *qu, struct cursor *at,
    struct query_result *res)
{
	struct key last;
	enum db_rc rc;
	size_t n;

	rc = keys_find(qu, at, QUERY_OFFSET_MAX - 1, 1, &last, &n);
	if (rc == DB_OK && n == 1)
		pass_goes_on(qu, at, last, at->skip - QUERY_OFFSET_MAX, res);
	return (rc);
}

static enum db_rc
pass_show(const struct question *qu, struct cursor *at, struct key *key,
    int64_t *id, size_t limit, struct query_result *res)
{
	bool page = qu->args->query == Q_AUDIT_PAGE;
	size_t n, i, shown;
	enum db_rc rc;

	/* One key more than shown tells whether another page follows. */
	if ((rc = keys_find(qu, at, at->skip, limit + 1, key, &n)) != DB_OK)
		return (rc);
	for (i = 0; i < n; i++)
		id[i] = key[i].id;
	rc = entries_put(qu->db, page ? ENTRY_BRIEF : ENTRY_WHOLE, id,
	    n < limit ? n : limit, page ? QUERY_JSON_MAX : QUERY_TEXT_MAX,
	    &res->json, &shown);
	if (rc == DB_OK && shown < n && shown > 0)
		pass_goes_on(qu, at, key[shown - 1], 0, res);
	return (rc);
}

enum db_rc
page_run(const struct question *qu, struct query_result *res)
{
	const struct query_args *q = qu->args;
	size_t limit = q->limit < QUERY_LIMIT_MAX ? q->limit : QUERY_LIMIT_MAX;
	enum db_rc rc = DB_ERROR;
	struct cursor at;
	struct key *key;
	int64_t *id;

	if ((res->status = pass_at(qu, &at)) != ROWS_OK)
		return (DB_OK);
	if (at.skip > QUERY_OFFSET_MAX && q->query == Q_AUDIT_EXPORT)
		return (pass_over(qu, &at, res));
	if (at.skip > QUERY_OFFSET_MAX)
		at.skip = QUERY_OFFSET_MAX;
	key = calloc(limit + 1, sizeof(*key));
	id = calloc(limit + 1, sizeof(*id));
	if (key != NULL && id != NULL)
		rc = pass_show(qu, &at, key, id, limit, res);
	free(key);
	free(id);
	return (rc);
}
