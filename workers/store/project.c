/* SPDX-License-Identifier: ISC */
/*
 * From journal lines to rows. Everything here is derived: a row's key is made
 * of its node and seq, so inserting a line twice fails loudly instead of
 * counting double. It must never decide anything nor write anything that a
 * second pass over the journal would not write again.
 */
#include <stdlib.h>
#include <string.h>

#include "common/merkle.h"
#include "common/util.h"
#include "workers/store/project.h"
#include "workers/store/record.h"
#include "workers/store/rollup.h"

#define NODE_MAX   (1 << 12)
#define WIPE_CHUNK 10000 /* rows deleted in one transaction */

struct projector {
	struct db *db;
	struct classes classes;
	struct rollup *rollup;
	struct mark done; /* committed */
	struct mark next; /* of the open batch */
	uint64_t before;  /* lines that are gone at the journal's beginning */
	uint8_t key[PROJECT_KEY_LEN];
	unsigned pending;
	bool in_tx;
	struct buf scratch, member;
	struct buf last; /* the batch's last line, for its leaf hash */
};

static void
mark_read(struct projector *p, struct db_stmt *st)
{
	const void *leaf, *key;
	size_t n;

	p->done.segment = (uint64_t)db_col_int(st, 0);
	p->done.offset = (uint64_t)db_col_int(st, 1);
	p->done.seq = (uint64_t)db_col_int(st, 2);
	leaf = db_col_blob(st, 3, &n);
	if (n == sizeof(p->done.leaf))
		memcpy(p->done.leaf, leaf, n);
	p->done.skipped = (uint64_t)db_col_int(st, 4);
	key = db_col_blob(st, 5, &n);
	if (n == sizeof(p->key))
		memcpy(p->key, key, n);
}

static enum db_rc
mark_load(struct projector *p)
{
	struct db_stmt *st = db_query(p->db, DBQ_MARK_GET);
	enum db_rc rc;

	if (st == NULL)
		return (DB_ERROR);
	ax_random(p->key, sizeof(p->key));
	if ((rc = db_step(st)) == DB_ROW) {
		mark_read(p, st);
		db_reset(st);
		rc = DB_OK;
	}
	return (rc);
}

static enum db_rc
mark_put(struct projector *p, const struct mark *m)
{
	struct db_stmt *st = db_query(p->db, DBQ_MARK_PUT);

	if (st == NULL)
		return (DB_ERROR);
	db_bind_int(st, 1, (int64_t)m->segment);
	db_bind_int(st, 2, (int64_t)m->offset);
	db_bind_int(st, 3, (int64_t)m->seq);
	db_bind_blob(st, 4, m->leaf, sizeof(m->leaf));
	db_bind_int(st, 5, (int64_t)m->skipped);
	db_bind_blob(st, 6, p->key, sizeof(p->key));
	return (db_run(st));
}

struct projector *
projector_new(struct db *db, enum db_rc *rc)
{
	struct projector *p;

	*rc = DB_ERROR;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return (NULL);
	p->db = db;
	if ((p->rollup = rollup_new()) == NULL ||
	    (*rc = mark_load(p)) != DB_OK ||
	    (*rc = classes_load(&p->classes, db)) != DB_OK) {
		projector_free(p);
		return (NULL);
	}
	return (p);
}

void
projector_free(struct projector *p)
{
	if (p == NULL)
		return;
	projector_rollback(p);
	classes_free(&p->classes);
	rollup_free(p->rollup);
	buf_free(&p->scratch);
	buf_free(&p->member);
	buf_free(&p->last);
	free(p);
}

const struct mark *
projector_mark(const struct projector *p)
{
	return (&p->done);
}

const struct classes *
projector_classes(const struct projector *p)
{
	return (&p->classes);
}

const uint8_t *
projector_key(const struct projector *p)
{
	return (p->key);
}

unsigned
projector_pending(const struct projector *p)
{
	return (p->pending);
}

void
projector_from(struct projector *p, uint64_t first_seq)
{
	p->before = first_seq > 0 ? first_seq - 1 : 0;
}

enum db_rc
projector_begin(struct projector *p)
{
	enum db_rc rc;

	if ((rc = db_begin(p->db)) != DB_OK)
		return (rc);
	p->in_tx = true;
	p->pending = 0;
	p->next = p->done;
	if (p->next.seq == 0)
		p->next.seq = p->before;
	buf_reset(&p->last);
	return (DB_OK);
}

static void
bind_slice(struct db_stmt *st, int i, struct slice s)
{
	db_bind_text(st, i, s.p, s.n);
}

static enum db_rc
row_put(struct projector *p, const struct record *r, int64_t node,
    int64_t class)
{
	static const struct slice none = { "{}", 2 }, empty = { "", 0 };
	struct db_stmt *st = db_query(p->db, DBQ_ROW_PUT);

	if (st == NULL)
		return (DB_ERROR);
	db_bind_int(st, 1, node << PROJECT_NODE_SHIFT | (int64_t)r->seq);
	db_bind_int(st, 2, node);
	db_bind_int(st, 3, (int64_t)r->seq);
	bind_slice(st, 4, r->kind);
	bind_slice(st, 5, r->actor);
	bind_slice(st, 6, r->request_id);
	if (r->permit != 0)
		db_bind_int(st, 7, (int64_t)r->permit);
	else
		db_bind_null(st, 7);
	bind_slice(st, 8, r->action);
	bind_slice(st, 9, r->decision.p != NULL ? r->decision : empty);
	db_bind_int(st, 10, (int64_t)r->risk_score);
	bind_slice(st, 11, r->reason);
	bind_slice(st, 12, r->context.p != NULL ? r->context : none);
	db_bind_int(st, 13, (int64_t)r->ts_us);
	db_bind_int(st, 14, class);
	return (db_run(st));
}

static bool
slice_is(struct slice s, const char *text)
{
	return (
	    s.p != NULL && s.n == strlen(text) && memcmp(s.p, text, s.n) == 0);
}

/* An administrative change of a skill: the flag follows the journal. */
static enum db_rc
skill_put(struct projector *p, const struct record *r)
{
	bool on = slice_is(r->action, "skill_enable");
	struct db_stmt *st;
	struct slice name;

	if ((!on && !slice_is(r->action, "skill_disable")) ||
	    !slice_is(r->kind, "event"))
		return (DB_OK);
	buf_reset(&p->member);
	if (record_member(r->context, "skill", &p->member, &name) == -1)
		return (DB_OK);
	if ((st = db_query(p->db, DBQ_SKILL_PUT)) == NULL)
		return (DB_ERROR);
	bind_slice(st, 1, name);
	db_bind_int(st, 2, on);
	db_bind_int(st, 3, (int64_t)r->ts_us);
	return (db_run(st));
}

static enum db_rc
apply(struct projector *p, const struct record *r)
{
	int64_t node, class;
	enum db_rc rc;

	if ((node = classes_node(&p->classes, p->db, r->node, &rc)) == -1)
		return (rc);
	if (node >= NODE_MAX)
		return (DB_ERROR);
	class = classes_get(&p->classes, p->db, r->action, r->decision,
	    (int)r->risk_score, &rc);
	if (class == -1)
		return (rc);
	if ((rc = row_put(p, r, node, class)) != DB_OK ||
	    (rc = skill_put(p, r)) != DB_OK)
		return (rc);
	return (rollup_add(p->rollup, class, (int64_t)r->ts_us) == 0 ?
		DB_OK :
		DB_ERROR);
}

enum db_rc
projector_line(struct projector *p, const char *line, size_t len,
    uint64_t segment, uint64_t offset, const char **why, int *full)
{
	struct record r;
	enum db_rc rc;

	p->next.segment = segment;
	p->next.offset = offset;
	p->pending++;
	if (record_parse(&r, line, len, &p->scratch, why) == -1) {
		if (p->scratch.err) { /* memory: no fault of the line */
			buf_free(&p->scratch);
			return (DB_ERROR);
		}
		p->next.skipped++;
		p->next.seq++; /* it had one: the next must still follow */
	} else if (r.seq <= p->next.seq) {
		*why = "its seq was there before";
		p->next.skipped++;
		return (DB_OK);
	} else {
		if (r.seq != p->next.seq + 1)
			*why = "lines before it are missing";
		p->next.skipped += r.seq - p->next.seq - 1;
		p->next.seq = r.seq;
		if ((rc = apply(p, &r)) != DB_OK)
			return (rc);
	}
	buf_reset(&p->last);
	buf_add(&p->last, line, len);
	*full = p->pending >= PROJECT_BATCH_MAX || rollup_full(p->rollup);
	return (p->last.err ? DB_ERROR : DB_OK);
}

enum db_rc
projector_commit(struct projector *p)
{
	enum db_rc rc;

	if (p->last.len > 0)
		merkle_leaf(p->last.d, p->last.len, p->next.leaf);
	if ((rc = rollup_put(p->rollup, p->db)) != DB_OK ||
	    (rc = mark_put(p, &p->next)) != DB_OK ||
	    (rc = db_commit(p->db)) != DB_OK) {
		projector_rollback(p);
		return (rc);
	}
	p->in_tx = false;
	p->done = p->next;
	p->pending = 0;
	classes_commit(&p->classes);
	rollup_clear(p->rollup);
	return (DB_OK);
}

void
projector_rollback(struct projector *p)
{
	if (!p->in_tx)
		return;
	db_rollback(p->db);
	p->in_tx = false;
	p->pending = 0;
	classes_rollback(&p->classes);
	rollup_clear(p->rollup);
}

static enum db_rc
wipe_tables(struct projector *p, bool *done)
{
	static const enum db_query wipe[] = { DBQ_WIPE_ROLLUP, DBQ_WIPE_CLASS,
		DBQ_WIPE_NODE, DBQ_WIPE_SKILLS };
	struct db_stmt *st;
	enum db_rc rc;
	size_t i;

	for (i = 0; i < AX_NELEM(wipe); i++) {
		if ((st = db_query(p->db, wipe[i])) == NULL)
			return (DB_ERROR);
		if ((rc = db_run(st)) != DB_OK)
			return (rc);
	}
	if ((st = db_query(p->db, DBQ_WIPE_AUDIT)) == NULL)
		return (DB_ERROR);
	db_bind_int(st, 1, WIPE_CHUNK);
	if ((rc = db_run(st)) == DB_OK)
		*done = db_changes(p->db) < WIPE_CHUNK;
	return (rc);
}

enum db_rc
projector_reset(struct projector *p, bool *done)
{
	static const struct mark zero;
	enum db_rc rc;

	*done = false;
	projector_rollback(p);
	if ((rc = projector_begin(p)) != DB_OK)
		return (rc);
	p->next = zero;
	p->before = 0;
	ax_random(p->key, sizeof(p->key)); /* of another journal's rows */
	if ((rc = wipe_tables(p, done)) != DB_OK) {
		projector_rollback(p);
		return (rc);
	}
	if ((rc = projector_commit(p)) == DB_OK)
		classes_free(&p->classes);
	return (rc);
}
