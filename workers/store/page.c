/* SPDX-License-Identifier: ISC */
/*
 * Paging by key. Without a filter a page is a walk down the index on time.
 * With one, each class that passes is a walk down the index (class, time), and
 * a heap merges them newest first; so a filter that few rows pass costs no
 * more than one that most do. It must never look at a row that is neither
 * skipped by the offset nor shown.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/util.h"
#include "workers/store/query.h"

#define CHUNK 16

struct key {
	int64_t created, id;
};

/* One class's keys, newest first, a chunk at a time. */
struct walk {
	int64_t class;
	struct key key[CHUNK];
	unsigned at, n;
};

struct merge {
	struct db *db;
	struct time_range range;
	struct walk *heap;
	size_t n;
};

/* ---- cursors: base64url(created, id, 8 bytes of SHA-256 with the key) ---- */

static const char b64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define CURSOR_BYTES 24 /* encodes to exactly 32 characters */

static void
cursor_pack(const uint8_t *key, struct key k, uint8_t out[CURSOR_BYTES])
{
	uint8_t in[PROJECT_KEY_LEN + 16], hash[32];
	unsigned i;

	for (i = 0; i < 8; i++) {
		out[i] = (uint8_t)((uint64_t)k.created >> (56 - 8 * i));
		out[8 + i] = (uint8_t)((uint64_t)k.id >> (56 - 8 * i));
	}
	memcpy(in, key, PROJECT_KEY_LEN);
	memcpy(in + PROJECT_KEY_LEN, out, 16);
	ax_sha256(in, sizeof(in), hash);
	memcpy(out + 16, hash, 8);
}

void
page_cursor_format(const uint8_t *key, int64_t created, int64_t id,
    char out[QUERY_CURSOR_LEN])
{
	uint8_t raw[CURSOR_BYTES];
	uint32_t v;
	unsigned i;

	cursor_pack(key, (struct key){ created, id }, raw);
	for (i = 0; i < CURSOR_BYTES / 3; i++) {
		v = (uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 |
		    raw[3 * i + 2];
		out[4 * i] = b64[v >> 18];
		out[4 * i + 1] = b64[v >> 12 & 63];
		out[4 * i + 2] = b64[v >> 6 & 63];
		out[4 * i + 3] = b64[v & 63];
	}
	out[4 * i] = '\0';
}

int
page_cursor_parse(const char *text, const uint8_t *key, int64_t *created,
    int64_t *id)
{
	uint8_t raw[CURSOR_BYTES], want[CURSOR_BYTES];
	uint64_t c = 0, d = 0;
	uint32_t v = 0;
	const char *at;
	unsigned i;

	if (strlen(text) != QUERY_CURSOR_LEN - 1)
		return (-1);
	for (i = 0; i < QUERY_CURSOR_LEN - 1; i++) {
		if ((at = strchr(b64, text[i])) == NULL)
			return (-1);
		v = v << 6 | (uint32_t)(at - b64);
		if (i % 4 == 3) {
			raw[i / 4 * 3] = (uint8_t)(v >> 16);
			raw[i / 4 * 3 + 1] = (uint8_t)(v >> 8);
			raw[i / 4 * 3 + 2] = (uint8_t)v;
			v = 0;
		}
	}
	for (i = 0; i < 8; i++) {
		c = c << 8 | raw[i];
		d = d << 8 | raw[8 + i];
	}
	*created = (int64_t)c;
	*id = (int64_t)d;
	cursor_pack(key, (struct key){ *created, *id }, want);
	return (CRYPTO_memcmp(raw, want, sizeof(raw)) == 0 ? 0 : -1);
}

/* ---- walking ---- */

static bool
newer(struct key a, struct key b)
{
	return (
	    a.created > b.created || (a.created == b.created && a.id > b.id));
}

/* Binds the part that both kinds of walk share: keys older than `below`. */
static struct db_stmt *
walk_query(struct db *db, enum db_query q, struct time_range r,
    struct key below, int64_t limit)
{
	struct db_stmt *st = db_query(db, q);
	int64_t newest = r.below - 1;

	if (st == NULL)
		return (NULL);
	if (below.created < newest)
		newest = below.created;
	db_bind_int(st, 1, newest);
	db_bind_int(st, 2, r.from);
	db_bind_int(st, 3, below.created);
	db_bind_int(st, 4, below.id);
	db_bind_int(st, 5, limit);
	return (st);
}

static enum db_rc
walk_fill(struct merge *m, struct walk *k, struct key below)
{
	struct db_stmt *st;
	enum db_rc rc;

	k->at = k->n = 0;
	st = walk_query(m->db, DBQ_PAGE_CLASS, m->range, below, CHUNK);
	if (st == NULL)
		return (DB_ERROR);
	db_bind_int(st, 6, k->class);
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
merge_start(struct merge *m, const struct class_set *set, struct key below)
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
		if ((rc = walk_fill(m, &m->heap[m->n], below)) != DB_OK)
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
keys_merged(struct db *db, const struct class_set *set, struct time_range r,
    struct key below, size_t skip, size_t want, struct key *out, size_t *n)
{
	struct merge m = { .db = db, .range = r };
	enum db_rc rc;
	struct key k;

	rc = merge_start(&m, set, below);
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
keys_by_time(struct db *db, struct time_range r, struct key below, size_t skip,
    size_t want, struct key *out, size_t *n)
{
	struct db_stmt *st;
	enum db_rc rc;

	st = walk_query(db, DBQ_PAGE_TIME, r, below, (int64_t)(skip + want));
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

/* ---- the answer ---- */

static void
put_text(struct jw *w, const char *key, struct db_stmt *st, int col)
{
	const char *s;
	size_t n;

	jw_key(w, key);
	if ((s = db_col_text(st, col, &n)) == NULL)
		jw_null(w);
	else
		jw_strn(w, s, n);
}

static void
put_entry(struct jw *w, struct db_stmt *st)
{
	char ts[AX_TS_LEN];

	jw_obj(w);
	jw_kint(w, "id", db_col_int(st, 0));
	jw_kint(w, "seq", db_col_int(st, 1));
	put_text(w, "node", st, 2);
	put_text(w, "kind", st, 3);
	put_text(w, "action", st, 4);
	put_text(w, "decision", st, 5);
	jw_kint(w, "risk_score", db_col_int(st, 6));
	put_text(w, "reason", st, 7);
	put_text(w, "actor", st, 8);
	put_text(w, "request_id", st, 9);
	if (db_col_text(st, 10, NULL) == NULL)
		jw_knull(w, "permit");
	else
		jw_kint(w, "permit", db_col_int(st, 10));
	ax_ts_format((uint64_t)db_col_int(st, 11), ts);
	jw_kstr(w, "created_at", ts);
	jw_obj_end(w);
}

/* Writes the rows of `key`; *shown of n fitted. */
static enum db_rc
put_rows(struct db *db, const struct key *key, size_t n, struct buf *b,
    size_t *shown)
{
	struct db_stmt *st;
	struct jw w;
	enum db_rc rc;
	size_t i;

	jw_init(&w, b, false);
	jw_arr(&w);
	for (i = 0; i < n && b->len < QUERY_JSON_MAX; i++) {
		if ((st = db_query(db, DBQ_ROW_GET)) == NULL)
			return (DB_ERROR);
		db_bind_int(st, 1, key[i].id);
		if ((rc = db_step(st)) != DB_ROW)
			return (rc == DB_OK ? DB_ERROR : rc);
		put_entry(&w, st);
		db_reset(st);
	}
	jw_arr_end(&w);
	*shown = i;
	return (DB_OK);
}

enum db_rc
page_run(struct db *db, const struct projector *p, const struct query_args *q,
    const struct class_set *set, struct time_range r, struct query_result *res)
{
	struct key below = { INT64_MAX, INT64_MAX }, *key;
	size_t limit = q->limit < QUERY_LIMIT_MAX ? q->limit : QUERY_LIMIT_MAX;
	size_t skip = q->offset < QUERY_OFFSET_MAX ? q->offset :
						     QUERY_OFFSET_MAX;
	size_t n = 0, shown;
	enum db_rc rc;

	if (q->cursor != NULL && *q->cursor != '\0' &&
	    page_cursor_parse(q->cursor, projector_key(p), &below.created,
		&below.id) == -1) {
		res->status = ROWS_BAD_CURSOR;
		return (DB_OK);
	}
	/* One key more than shown tells whether another page follows. */
	if ((key = calloc(limit + 1, sizeof(*key))) == NULL)
		return (DB_ERROR);
	if (set->count == set->n)
		rc = keys_by_time(db, r, below, skip, limit + 1, key, &n);
	else
		rc = keys_merged(db, set, r, below, skip, limit + 1, key, &n);
	if (rc == DB_OK)
		rc = put_rows(db, key, n < limit ? n : limit, &res->json,
		    &shown);
	if (rc == DB_OK && shown < n && shown > 0)
		page_cursor_format(projector_key(p), key[shown - 1].created,
		    key[shown - 1].id, res->next_cursor);
	free(key);
	return (rc);
}
