/* SPDX-License-Identifier: ISC */
/*
 * The classes of audit rows in memory, and their two tables. Numbers are given
 * out in order inside the projection's transaction; what a rollback took back
 * in the database is taken back here too. It must never renumber a class.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/store/class.h"

#define SLOTS_MIN 256

static uint32_t
class_hash(struct slice action, struct slice decision, int risk)
{
	uint32_t h = 2166136261u ^ (uint32_t)risk; /* FNV-1a */
	size_t i;

	for (i = 0; i < action.n; i++)
		h = (h ^ (uint8_t)action.p[i]) * 16777619u;
	h = (h ^ 0xff) * 16777619u;
	for (i = 0; i < decision.n; i++)
		h = (h ^ (uint8_t)decision.p[i]) * 16777619u;
	return (h);
}

static bool
same_text(const char *s, struct slice t)
{
	return (strlen(s) == t.n && (t.n == 0 || memcmp(s, t.p, t.n) == 0));
}

/* Text up to its first NUL: names with one inside are cut there. */
static char *
slice_dup(struct slice t)
{
	return (t.p == NULL ? strdup("") : strndup(t.p, t.n));
}

static struct slice
slice_cut(struct slice t)
{
	const char *nul;

	if (t.p == NULL)
		return ((struct slice){ "", 0 });
	if ((nul = memchr(t.p, '\0', t.n)) != NULL)
		t.n = (size_t)(nul - t.p);
	return (t);
}

static void
slots_fill(struct classes *c)
{
	size_t i, k;

	memset(c->slot, 0, c->nslots * sizeof(*c->slot));
	for (i = 0; i < c->n; i++) {
		k = c->v[i].hash & (c->nslots - 1);
		while (c->slot[k] != 0)
			k = (k + 1) & (c->nslots - 1);
		c->slot[k] = (uint32_t)i + 1;
	}
}

/* Room for one more class, and slots at most half full. */
static int
class_room(struct classes *c)
{
	size_t cap = c->cap != 0 ? c->cap * 2 : SLOTS_MIN / 2;
	struct class *v;
	uint32_t *slot;

	if (c->n < c->cap)
		return (0);
	if ((v = realloc(c->v, cap * sizeof(*v))) == NULL)
		return (-1);
	c->v = v;
	slot = realloc(c->slot, cap * 2 * sizeof(*slot));
	if (slot == NULL)
		return (-1);
	c->slot = slot;
	c->nslots = cap * 2;
	c->cap = cap;
	slots_fill(c);
	return (0);
}

static int
class_add(struct classes *c, struct slice action, struct slice decision,
    int risk)
{
	struct class k = { .risk = risk };
	size_t i;

	if (class_room(c) == -1)
		return (-1);
	k.action = slice_dup(action);
	k.decision = slice_dup(decision);
	if (k.action == NULL || k.decision == NULL) {
		free(k.action);
		free(k.decision);
		return (-1);
	}
	k.hash = class_hash(action, decision, risk);
	i = k.hash & (c->nslots - 1);
	while (c->slot[i] != 0)
		i = (i + 1) & (c->nslots - 1);
	c->v[c->n++] = k;
	c->slot[i] = (uint32_t)c->n;
	return (0);
}

static int
node_add(struct classes *c, struct slice name)
{
	char **v;

	v = realloc(c->node, (c->nnodes + 1) * sizeof(*v));
	if (v == NULL)
		return (-1);
	c->node = v;
	if ((v[c->nnodes] = slice_dup(name)) == NULL)
		return (-1);
	c->nnodes++;
	return (0);
}

static enum db_rc
load_classes(struct classes *c, struct db *db)
{
	struct db_stmt *st = db_query(db, DBQ_CLASS_ALL);
	struct slice a, d;
	enum db_rc rc;

	if (st == NULL)
		return (DB_ERROR);
	while ((rc = db_step(st)) == DB_ROW) {
		a.p = db_col_text(st, 1, &a.n);
		d.p = db_col_text(st, 2, &d.n);
		if (db_col_int(st, 0) != (int64_t)c->n + 1 ||
		    class_add(c, a, d, (int)db_col_int(st, 3)) == -1) {
			db_reset(st);
			return (DB_ERROR);
		}
	}
	return (rc);
}

static enum db_rc
load_nodes(struct classes *c, struct db *db)
{
	struct db_stmt *st = db_query(db, DBQ_NODE_ALL);
	struct slice name;
	enum db_rc rc;

	if (st == NULL)
		return (DB_ERROR);
	while ((rc = db_step(st)) == DB_ROW) {
		name.p = db_col_text(st, 1, &name.n);
		if (db_col_int(st, 0) != (int64_t)c->nnodes ||
		    node_add(c, name) == -1) {
			db_reset(st);
			return (DB_ERROR);
		}
	}
	return (rc);
}

enum db_rc
classes_load(struct classes *c, struct db *db)
{
	enum db_rc rc;

	classes_free(c);
	if ((rc = load_classes(c, db)) == DB_OK)
		rc = load_nodes(c, db);
	if (rc == DB_OK)
		classes_commit(c);
	else
		classes_free(c);
	return (rc);
}

static int64_t
class_find(const struct classes *c, struct slice action, struct slice decision,
    int risk)
{
	uint32_t h = class_hash(action, decision, risk);
	const struct class *k;
	size_t i;

	if (c->nslots == 0)
		return (-1);
	for (i = h & (c->nslots - 1); c->slot[i] != 0;
	     i = (i + 1) & (c->nslots - 1)) {
		k = &c->v[c->slot[i] - 1];
		if (k->hash == h && k->risk == risk &&
		    same_text(k->action, action) &&
		    same_text(k->decision, decision))
			return (c->slot[i]);
	}
	return (-1);
}

int64_t
classes_get(struct classes *c, struct db *db, struct slice action,
    struct slice decision, int risk, enum db_rc *rc)
{
	struct db_stmt *st;
	int64_t id;

	action = slice_cut(action);
	decision = slice_cut(decision);
	if ((id = class_find(c, action, decision, risk)) != -1)
		return (id);
	*rc = DB_ERROR;
	if ((st = db_query(db, DBQ_CLASS_PUT)) == NULL)
		return (-1);
	db_bind_int(st, 1, (int64_t)c->n + 1);
	db_bind_text(st, 2, action.p, action.n);
	db_bind_text(st, 3, decision.p, decision.n);
	db_bind_int(st, 4, risk);
	if ((*rc = db_run(st)) != DB_OK)
		return (-1);
	if (class_add(c, action, decision, risk) == -1) {
		*rc = DB_ERROR;
		return (-1);
	}
	return ((int64_t)c->n);
}

int64_t
classes_node(struct classes *c, struct db *db, struct slice name,
    enum db_rc *rc)
{
	struct db_stmt *st;
	size_t i;

	name = slice_cut(name);
	for (i = c->nnodes; i-- > 0;) /* the newest is the likely one */
		if (same_text(c->node[i], name))
			return ((int64_t)i);
	*rc = DB_ERROR;
	if ((st = db_query(db, DBQ_NODE_PUT)) == NULL)
		return (-1);
	db_bind_int(st, 1, (int64_t)c->nnodes);
	db_bind_text(st, 2, name.p, name.n);
	if ((*rc = db_run(st)) != DB_OK)
		return (-1);
	if (node_add(c, name) == -1) {
		*rc = DB_ERROR;
		return (-1);
	}
	return ((int64_t)c->nnodes - 1);
}

void
classes_commit(struct classes *c)
{
	c->clean = c->n;
	c->clean_nodes = c->nnodes;
}

void
classes_rollback(struct classes *c)
{
	bool dirty = c->n > c->clean;

	while (c->n > c->clean) {
		c->n--;
		free(c->v[c->n].action);
		free(c->v[c->n].decision);
	}
	while (c->nnodes > c->clean_nodes)
		free(c->node[--c->nnodes]);
	if (dirty)
		slots_fill(c);
}

void
classes_free(struct classes *c)
{
	c->clean = c->clean_nodes = 0;
	classes_rollback(c);
	free(c->v);
	free(c->slot);
	free(c->node);
	memset(c, 0, sizeof(*c));
}
