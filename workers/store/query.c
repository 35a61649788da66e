/* SPDX-License-Identifier: ISC */
/*
 * Counting queries. Filters on action, decision and risk select classes, which
 * are in memory; what remains is adding up n and latest per class over a range
 * of time: whole days, hours and minutes from the rollups, the partial minutes
 * at both ends from the index (class, created_at). Exact for every range, and
 * it must never walk rows outside those two minutes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/util.h"
#include "workers/store/query.h"
#include "workers/store/rollup.h"

struct tally {
	int64_t n;
	int64_t latest;
};

/* A name of the answer: an action or a decision. */
struct named {
	const char *name;
	struct tally t;
};

static bool
class_passes(const struct class *c, const struct query_args *q)
{
	if (q->decision != NULL && *q->decision != '\0' &&
	    strcmp(c->decision, q->decision) != 0)
		return (false);
	if (q->action != NULL && *q->action != '\0' &&
	    strcmp(c->action, q->action) != 0)
		return (false);
	if (q->action_prefix != NULL &&
	    strncmp(c->action, q->action_prefix, strlen(q->action_prefix)) != 0)
		return (false);
	if (q->risk_min >= 0 && c->risk < q->risk_min)
		return (false);
	return (q->risk_max < 0 || c->risk <= q->risk_max);
}

static int
class_set_make(struct class_set *set, const struct classes *c,
    const struct query_args *q)
{
	size_t i;

	set->n = c->n;
	set->count = 0;
	if ((set->in = calloc(c->n + 1, sizeof(*set->in))) == NULL)
		return (-1);
	for (i = 0; i < c->n; i++) {
		set->in[i] = class_passes(&c->v[i], q);
		set->count += set->in[i];
	}
	return (0);
}

static struct time_range
range_make(const struct query_args *q)
{
	struct time_range r = { INT64_MIN, INT64_MAX };

	if (q->after_us > 0)
		r.from = q->after_us < INT64_MAX ? (int64_t)q->after_us :
						   INT64_MAX;
	if (q->before_us > 0 && q->before_us < INT64_MAX)
		r.below = (int64_t)q->before_us + 1;
	return (r);
}

static void
tally_add(struct tally *t, int64_t n, int64_t latest)
{
	t->n += n;
	if (n > 0 && latest > t->latest)
		t->latest = latest;
}

/* Adds the rollups of one span with from <= start < below. */
static enum db_rc
add_rollups(struct db *db, const struct class_set *set, struct tally *t,
    enum rollup_span span, int64_t from, int64_t below)
{
	struct db_stmt *st;
	enum db_rc rc;
	int64_t c;

	if (from >= below)
		return (DB_OK);
	if ((st = db_query(db, DBQ_ROLLUP_SUM)) == NULL)
		return (DB_ERROR);
	db_bind_int(st, 1, span);
	db_bind_int(st, 2, from);
	db_bind_int(st, 3, below);
	while ((rc = db_step(st)) == DB_ROW) {
		c = db_col_int(st, 0);
		if (c >= 1 && (uint64_t)c <= set->n && set->in[c - 1])
			tally_add(&t[c - 1], db_col_int(st, 1),
			    db_col_int(st, 2));
	}
	return (rc);
}

/* Adds the rows with from <= created_at < below. */
static enum db_rc
add_rows(struct db *db, const struct class_set *set, struct tally *t,
    int64_t from, int64_t below)
{
	struct db_stmt *st;
	enum db_rc rc;
	size_t i;

	if (from >= below)
		return (DB_OK);
	for (i = 0; i < set->n; i++) {
		if (!set->in[i])
			continue;
		if ((st = db_query(db, DBQ_RANGE_SUM)) == NULL)
			return (DB_ERROR);
		db_bind_int(st, 1, (int64_t)i + 1);
		db_bind_int(st, 2, from);
		db_bind_int(st, 3, below);
		if ((rc = db_step(st)) != DB_ROW)
			return (rc == DB_OK ? DB_ERROR : rc);
		tally_add(&t[i], db_col_int(st, 0), db_col_int(st, 1));
		db_reset(st);
	}
	return (DB_OK);
}

static int64_t
div_up(int64_t v, int64_t unit)
{
	return (v / unit + (v % unit > 0));
}

/*
 * Whole units [u0, u1) of level i of the spans, counted in the largest units
 * that fit: smaller ones only at the ends.
 */
static enum db_rc
add_units(struct db *db, const struct class_set *set, struct tally *t,
    unsigned i, int64_t u0, int64_t u1)
{
	static const struct {
		enum rollup_span span;
		int64_t per_next; /* 0: the largest */
	} level[] = { { ROLLUP_MINUTE, 60 }, { ROLLUP_HOUR, 24 },
		{ ROLLUP_DAY, 0 } };
	int64_t per = level[i].per_next, n0 = 0, n1 = 0;
	enum db_rc rc;

	if (per > 0) {
		n0 = div_up(u0, per);
		n1 = u1 / per;
	}
	if (n0 >= n1)
		return (add_rollups(db, set, t, level[i].span, u0, u1));
	rc = add_rollups(db, set, t, level[i].span, u0, n0 * per);
	if (rc == DB_OK)
		rc = add_units(db, set, t, i + 1, n0, n1);
	if (rc == DB_OK)
		rc = add_rollups(db, set, t, level[i].span, n1 * per, u1);
	return (rc);
}

static enum db_rc
count_range(struct db *db, const struct class_set *set, struct time_range r,
    struct tally *t)
{
	/* No time is before 1970, nor after the year 200000. */
	const int64_t far = 72000000 * ROLLUP_DAY_US;
	int64_t lo = r.from < 0 ? 0 : r.from;
	int64_t hi = r.below > far ? far : r.below, m0, m1;
	enum db_rc rc;

	if (r.from == INT64_MIN && r.below == INT64_MAX)
		return (add_rollups(db, set, t, ROLLUP_ALL, 0, 1));
	m0 = div_up(lo, ROLLUP_MINUTE_US);
	m1 = hi / ROLLUP_MINUTE_US;
	if (m0 >= m1)
		return (add_rows(db, set, t, lo, hi));
	rc = add_rows(db, set, t, lo, m0 * ROLLUP_MINUTE_US);
	if (rc == DB_OK)
		rc = add_units(db, set, t, 0, m0, m1);
	if (rc == DB_OK)
		rc = add_rows(db, set, t, m1 * ROLLUP_MINUTE_US, hi);
	return (rc);
}

static int
by_name(const void *a, const void *b)
{
	return (strcmp(((const struct named *)a)->name,
	    ((const struct named *)b)->name));
}

static int
by_latest(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	if (x->t.latest != y->t.latest)
		return (x->t.latest < y->t.latest ? 1 : -1);
	return (by_name(a, b));
}

/* Groups the classes' tallies by action or decision, sorted by name. */
static size_t
group(const struct classes *c, const struct tally *t, bool action,
    struct named *out)
{
	size_t i, n = 0, k = 0;

	for (i = 0; i < c->n; i++) {
		if (t[i].n == 0)
			continue;
		out[n].name = action ? c->v[i].action : c->v[i].decision;
		if (*out[n].name == '\0')
			out[n].name = action ? "unknown" : "UNKNOWN";
		out[n++].t = t[i];
	}
	qsort(out, n, sizeof(*out), by_name);
	for (i = 0; i < n; i++) {
		if (k > 0 && strcmp(out[k - 1].name, out[i].name) == 0)
			tally_add(&out[k - 1].t, out[i].t.n, out[i].t.latest);
		else
			out[k++] = out[i];
	}
	return (k);
}

static void
put_map(struct jw *w, const char *key, struct named *v, size_t n)
{
	size_t i;

	/* Newest first: the order of first appearance in the page. */
	qsort(v, n, sizeof(*v), by_latest);
	jw_key(w, key);
	jw_obj(w);
	for (i = 0; i < n; i++)
		jw_kint(w, v[i].name, v[i].t.n);
	jw_obj_end(w);
}

static void
put_buckets(struct jw *w, const struct classes *c, const struct tally *t)
{
	static const struct {
		const char *name;
		int below;
	} bucket[] = { { "low", 40 }, { "medium", 70 }, { "high", 90 },
		{ "critical", 101 } };
	int64_t n[AX_NELEM(bucket)] = { 0 };
	size_t i, k;

	for (i = 0; i < c->n; i++) {
		for (k = 0; c->v[i].risk >= bucket[k].below; k++)
			continue;
		n[k] += t[i].n;
	}
	jw_key(w, "risk_buckets");
	jw_obj(w);
	for (k = 0; k < AX_NELEM(bucket); k++)
		jw_kint(w, bucket[k].name, n[k]);
	jw_obj_end(w);
}

static void
put_summary(struct jw *w, const struct classes *c, const struct tally *t,
    struct named *v)
{
	struct tally all = { 0, 0 };
	char ts[AX_TS_LEN];
	size_t i;

	for (i = 0; i < c->n; i++)
		tally_add(&all, t[i].n, t[i].latest);
	jw_obj(w);
	jw_kint(w, "total", all.n);
	put_map(w, "by_decision", v, group(c, t, false, v));
	put_map(w, "by_action", v, group(c, t, true, v));
	put_buckets(w, c, t);
	if (all.n > 0) {
		ax_ts_format((uint64_t)all.latest, ts);
		jw_kstr(w, "latest_created_at", ts);
	} else {
		jw_knull(w, "latest_created_at");
	}
	jw_obj_end(w);
}

static void
put_list(struct jw *w, const char *key, const struct named *v, size_t n)
{
	size_t i;

	jw_arr(w);
	for (i = 0; i < n; i++) {
		jw_obj(w);
		jw_kstr(w, key, v[i].name);
		jw_kint(w, "count", v[i].t.n);
		jw_obj_end(w);
	}
	jw_arr_end(w);
}

static enum db_rc
count_run(const struct question *qu, struct query_result *res)
{
	const struct classes *c = projector_classes(qu->proj);
	struct tally *t = calloc(c->n + 1, sizeof(*t));
	struct named *v = calloc(c->n + 1, sizeof(*v));
	enum db_rc rc = DB_ERROR;
	struct jw w;

	if (t == NULL || v == NULL ||
	    (rc = count_range(qu->db, &qu->set, qu->range, t)) != DB_OK)
		goto done;
	jw_init(&w, &res->json, false);
	if (qu->args->query == Q_AUDIT_SUMMARY)
		put_summary(&w, c, t, v);
	else if (qu->args->query == Q_AUDIT_ACTIONS)
		put_list(&w, "action", v, group(c, t, true, v));
	else
		put_list(&w, "decision", v, group(c, t, false, v));
done:
	free(t);
	free(v);
	return (rc);
}

static enum db_rc (*const runs[Q_MAX])(const struct question *,
    struct query_result *) = {
	[Q_AUDIT_PAGE] = page_run,
	[Q_AUDIT_SUMMARY] = count_run,
	[Q_AUDIT_ACTIONS] = count_run,
	[Q_AUDIT_DECISIONS] = count_run,
	[Q_AUDIT_ONE] = entry_run,
	[Q_AUDIT_EXPORT] = page_run,
	[Q_AUDIT_AFTER] = after_run,
};

/* All reads of one query see one state of the database. */
static enum db_rc
run_in_tx(const struct question *qu, struct query_result *res)
{
	enum db_rc rc;

	if ((rc = db_begin_read(qu->db)) != DB_OK)
		return (rc);
	rc = runs[qu->args->query](qu, res);
	if (rc != DB_OK || db_commit(qu->db) != DB_OK)
		db_rollback(qu->db);
	return (rc);
}

void
query_run(struct db *db, const struct projector *p, const struct query_args *q,
    struct query_result *res)
{
	struct question qu = { .db = db,
		.proj = p,
		.args = q,
		.range = range_make(q) };
	enum db_rc rc = DB_ERROR;

	memset(res, 0, sizeof(*res));
	if (q->query >= Q_MAX || runs[q->query] == NULL) {
		res->status = ROWS_UNAVAILABLE;
		return;
	}
	if (class_set_make(&qu.set, projector_classes(p), q) == 0) {
		rc = run_in_tx(&qu, res);
		free(qu.set.in);
	}
	if (rc == DB_ERROR)
		log_warnx("query: %s", db_error(db));
	if (rc != DB_OK || res->json.err) {
		buf_free(&res->json);
		memset(&res->json, 0, sizeof(res->json));
		res->next_cursor[0] = '\0';
		res->status = ROWS_UNAVAILABLE;
	}
}
