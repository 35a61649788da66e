/* SPDX-License-Identifier: ISC */
/*
 * Queries against brute force over random rows; pages under inserts; cursors
 * that nobody made.
 */
#include <jansson.h>

#include "store_help.h"
#include "workers/store/query.h"
#include "workers/store/rollup.h"

#define BASE_US UINT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
#define NROWS	3000

struct row {
	uint64_t us;
	const char *action, *decision;
	int risk;
};

static const char *const actions[] = { "invoke_skill:code_exec",
	"invoke_skill:file_ops", "invoke%", "auth_failed", "a", "" };
static const char *const decisions[] = { "APPROVED", "WARNED", "BLOCKED", "" };

static struct row rows[NROWS * 2]; /* rows[i] has seq i + 1 */
static size_t nrows;
static struct db *db;
static struct projector *p;
static uint32_t rnd_state = 12345;

static uint32_t
rnd(uint32_t below)
{
	rnd_state = rnd_state * 1664525u + 1013904223u;
	return ((rnd_state >> 8) % below);
}

/* Rows over three days, many at the same microsecond, clocks going back. */
static void
add_rows(size_t n)
{
	static uint64_t us = BASE_US + 11 * UINT64_C(3600000000);
	struct buf b = BUF_INITIALIZER;
	const char *why;
	struct row *r;
	int full;

	assert_int_equal(projector_begin(p), DB_OK);
	while (n-- > 0) {
		r = &rows[nrows++];
		if (rnd(3) > 0)
			us += rnd(180000000);
		if (rnd(50) == 0)
			us -= rnd(60000000);
		r->us = us;
		r->action = actions[rnd(AX_NELEM(actions))];
		r->decision = decisions[rnd(AX_NELEM(decisions))];
		r->risk = (int)rnd(101);
		if (rnd(3) == 0) { /* one class of many rows */
			r->action = actions[0];
			r->decision = decisions[0];
			r->risk = 20;
		}
		buf_reset(&b);
		line_make(&b, nrows, r->us, r->action, r->decision, r->risk);
		assert_int_equal(projector_line(p, b.d, b.len, 1, nrows, &why,
				     &full),
		    DB_OK);
		assert_null(why);
	}
	assert_int_equal(projector_commit(p), DB_OK);
	buf_free(&b);
}

static int
group_set_up(void **state)
{
	enum db_rc rc;

	if (scratch_make(state) == -1)
		return (-1);
	db = db_at_head("q");
	p = projector_new(db, &rc);
	add_rows(NROWS);
	return (p == NULL ? -1 : 0);
}

static int
group_tear_down(void **state)
{
	projector_free(p);
	db_close(db);
	return (scratch_remove(state));
}

/* ---- brute force ---- */

static bool
row_passes(const struct row *r, const struct query_args *q)
{
	return (
	    (q->decision == NULL || strcmp(r->decision, q->decision) == 0) &&
	    (q->action == NULL || strcmp(r->action, q->action) == 0) &&
	    (q->action_prefix == NULL ||
		strncmp(r->action, q->action_prefix,
		    strlen(q->action_prefix)) == 0) &&
	    (q->risk_min < 0 || r->risk >= q->risk_min) &&
	    (q->risk_max < 0 || r->risk <= q->risk_max) &&
	    (q->after_us == 0 || r->us >= q->after_us) &&
	    (q->before_us == 0 || r->us <= q->before_us));
}

static int
newest_first(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	if (rows[x].us != rows[y].us)
		return (rows[x].us < rows[y].us ? 1 : -1);
	return (x < y ? 1 : -1);
}

static size_t
brute(const struct query_args *q, size_t *out)
{
	size_t i, n = 0;

	for (i = 0; i < nrows; i++)
		if (row_passes(&rows[i], q))
			out[n++] = i;
	qsort(out, n, sizeof(*out), newest_first);
	return (n);
}

static struct query_args
no_filter(enum query what)
{
	return ((struct query_args){ .query = what,
	    .limit = 50,
	    .risk_min = -1,
	    .risk_max = -1 });
}

static struct query_args
random_filter(enum query what)
{
	static const char *const prefixes[] = { "invoke_skill:", "invoke%", "i",
		"a", "_", "invoke_skill:code_exec" };
	struct query_args q = no_filter(what);
	uint64_t lo = rows[0].us, span = rows[nrows - 1].us - lo;

	if (rnd(3) == 0)
		q.decision = decisions[rnd(3)];
	if (rnd(4) == 0)
		q.action = actions[rnd(5)];
	if (rnd(4) == 0)
		q.action_prefix = prefixes[rnd(AX_NELEM(prefixes))];
	if (rnd(3) == 0)
		q.risk_min = (int)rnd(101);
	if (rnd(3) == 0)
		q.risk_max = (int)rnd(101);
	if (rnd(3) == 0)
		q.after_us = lo + (uint64_t)rnd(10000) * span / 10000;
	if (rnd(3) == 0)
		q.before_us = lo + (uint64_t)rnd(10000) * span / 10000;
	if (rnd(6) == 0) /* whole hours, where off by one would hide */
		q.after_us -= q.after_us % (uint64_t)ROLLUP_HOUR_US;
	if (rnd(6) == 0)
		q.before_us -= q.before_us % (uint64_t)ROLLUP_DAY_US;
	if (rnd(6) == 0)
		q.after_us -= q.after_us % (uint64_t)ROLLUP_MINUTE_US;
	if (rnd(6) == 0) /* exactly a row's time */
		q.before_us = rows[rnd((uint32_t)nrows)].us;
	return (q);
}

static json_t *
run(const struct query_args *q, struct query_result *res)
{
	json_error_t e;
	json_t *j;

	query_run(db, p, q, res);
	assert_int_equal(res->status, ROWS_OK);
	j = json_loadb(res->json.d, res->json.len, JSON_REJECT_DUPLICATES, &e);
	if (j == NULL)
		fail_msg("%s", e.text);
	buf_free(&res->json);
	return (j);
}

static int64_t
num(const json_t *j, const char *key)
{
	return (json_integer_value(json_object_get(j, key)));
}

/* ---- pages ---- */

static void
an_entry_has_its_shape(void **state)
{
	static const char *const keys[] = { "id", "seq", "node", "kind",
		"action", "decision", "risk_score", "reason", "actor",
		"request_id", "permit", "created_at" };
	struct query_args q = no_filter(Q_AUDIT_PAGE);
	struct query_result res;
	char ts[AX_TS_LEN];
	size_t all[NROWS * 2], i;
	json_t *j, *e;

	(void)brute(&q, all);
	j = run(&q, &res);
	e = json_array_get(j, 0);
	assert_int_equal(json_object_size(e), AX_NELEM(keys));
	for (i = 0; i < AX_NELEM(keys); i++)
		assert_non_null(json_object_get(e, keys[i]));
	assert_int_equal(num(e, "id"), num(e, "seq"));
	ax_ts_format(rows[all[0]].us, ts);
	assert_string_equal(json_string_value(json_object_get(e, "created_at")),
	    ts);
	assert_string_equal(json_string_value(json_object_get(e, "node")),
	    "n1");
	json_decref(j);
}

static void
check_page(const json_t *j, const size_t *want, size_t n)
{
	size_t i;

	assert_int_equal(json_array_size(j), n);
	for (i = 0; i < n; i++)
		assert_int_equal(num(json_array_get(j, i), "seq"), want[i] + 1);
}

static void
pages_are_exact(void **state)
{
	static size_t want[NROWS * 2];
	struct query_result res;
	struct query_args q;
	size_t n, left;
	json_t *j;
	int i;

	for (i = 0; i < 400; i++) {
		q = random_filter(Q_AUDIT_PAGE);
		q.limit = (uint16_t)(1 + rnd(200));
		q.offset = rnd(3) == 0 ? rnd(500) : 0;
		n = brute(&q, want);
		left = n > q.offset ? n - q.offset : 0;
		j = run(&q, &res);
		check_page(j, want + q.offset, left < q.limit ? left : q.limit);
		assert_int_equal(res.next_cursor[0] != '\0', left > q.limit);
		json_decref(j);
	}
}

/* Rows that come in while a client pages do not move what it has yet to see. */
static void
pages_are_stable_under_inserts(void **state)
{
	static size_t want[NROWS * 2];
	char cursor[CURSOR_LEN];
	struct query_result res;
	struct query_args q;
	size_t n, at;
	json_t *j;
	int i;

	for (i = 0; i < 10; i++) {
		q = i == 0 ? no_filter(Q_AUDIT_PAGE) :
			     random_filter(Q_AUDIT_PAGE);
		if (i > 0)
			q.before_us = rows[nrows - 1].us - 120000000;
		q.limit = 37;
		n = brute(&q, want);
		for (at = 0;; at += 37) {
			j = run(&q, &res);
			check_page(j, want + at, n - at < 37 ? n - at : 37);
			json_decref(j);
			if (res.next_cursor[0] == '\0')
				break;
			memcpy(cursor, res.next_cursor, sizeof(cursor));
			q.cursor = cursor;
			if (i == 0 && at < 370)
				add_rows(20);
		}
		assert_true(at + 37 >= n);
	}
}

static void
cursors_nobody_made(void **state)
{
	static const char *const bad_ones[] = { "x", "=", "AAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
	struct cursor c = { 123456789, 42, 77, 9 }, d;
	struct query_args q = no_filter(Q_AUDIT_PAGE);
	uint8_t other[PROJECT_KEY_LEN] = { 1 };
	char text[CURSOR_LEN + 1], bad[CURSOR_LEN + 1];
	struct query_result res;
	unsigned i, k;

	cursor_format(&c, projector_key(p), Q_AUDIT_PAGE, text);
	assert_int_equal(strlen(text), CURSOR_LEN - 1);
	assert_int_equal(cursor_parse(text, projector_key(p), Q_AUDIT_PAGE, &d),
	    0);
	assert_int_equal(d.created, 123456789);
	assert_int_equal(d.id, 42);
	assert_int_equal(d.upto, 77);
	assert_int_equal(d.skip, 9);
	assert_int_equal(cursor_parse(text, other, Q_AUDIT_PAGE, &d), -1);
	assert_int_equal(cursor_parse(text, projector_key(p), Q_AUDIT_EXPORT,
			     &d),
	    -1);
	for (i = 0; i < CURSOR_LEN - 1; i++) {
		for (k = 1; k < 127; k++) {
			memcpy(bad, text, CURSOR_LEN);
			if (bad[i] == (char)k)
				continue;
			bad[i] = (char)k;
			assert_int_equal(cursor_parse(bad, projector_key(p),
					     Q_AUDIT_PAGE, &d),
			    -1);
		}
		memcpy(bad, text, CURSOR_LEN);
		bad[i] = '\0';
		assert_int_equal(cursor_parse(bad, projector_key(p),
				     Q_AUDIT_PAGE, &d),
		    -1);
	}
	memcpy(bad, text, CURSOR_LEN);
	memcpy(bad + CURSOR_LEN - 1, "A", 2);
	assert_int_equal(cursor_parse(bad, projector_key(p), Q_AUDIT_PAGE, &d),
	    -1);
	for (i = 0; i < AX_NELEM(bad_ones); i++)
		for (k = 0; k < 3; k++) {
			q.query = k == 0 ? Q_AUDIT_PAGE :
			    k == 1	 ? Q_AUDIT_EXPORT :
					   Q_AUDIT_AFTER;
			q.cursor = bad_ones[i];
			query_run(db, p, &q, &res);
			assert_int_equal(res.status, ROWS_BAD_CURSOR);
			assert_int_equal(res.json.len, 0);
		}
}

/* A cursor serves the query that gave it and no other. */
static void
cursors_are_not_mixed_up(void **state)
{
	static const enum query kinds[] = { Q_AUDIT_PAGE, Q_AUDIT_EXPORT,
		Q_AUDIT_AFTER };
	struct query_args q;
	struct query_result res;
	char cursor[CURSOR_LEN];
	size_t i, k;

	for (i = 0; i < AX_NELEM(kinds); i++) {
		q = no_filter(kinds[i]);
		query_run(db, p, &q, &res);
		assert_int_equal(res.status, ROWS_OK);
		assert_true(res.next_cursor[0] != '\0');
		memcpy(cursor, res.next_cursor, sizeof(cursor));
		buf_free(&res.json);
		for (k = 0; k < AX_NELEM(kinds); k++) {
			q = no_filter(kinds[k]);
			q.cursor = cursor;
			query_run(db, p, &q, &res);
			assert_int_equal(res.status,
			    i == k && kinds[i] != Q_AUDIT_AFTER ?
				ROWS_OK :
				ROWS_BAD_CURSOR);
			buf_free(&res.json);
		}
	}
}

/* ---- whole entries ---- */

static const char *const whole_keys[] = { "id", "seq", "node", "action",
	"decision", "risk_score", "reason", "context", "created_at", "kind",
	"actor", "request_id", "permit" };

/* All keys, in their order, and the row's own values. */
static void
check_whole(const json_t *e, size_t at)
{
	const struct row *r = &rows[at];
	const char *key;
	char ts[AX_TS_LEN];
	size_t i = 0;
	json_t *v;

	json_object_foreach((json_t *)e, key, v) {
		assert_true(i < AX_NELEM(whole_keys));
		assert_string_equal(key, whole_keys[i++]);
	}
	assert_int_equal(i, AX_NELEM(whole_keys));
	assert_int_equal(num(e, "seq"), at + 1);
	assert_int_equal(num(e, "id"), at + 1);
	assert_int_equal(num(e, "permit"), at + 1);
	assert_int_equal(num(e, "risk_score"), r->risk);
	assert_string_equal(json_string_value(json_object_get(e, "action")),
	    r->action);
	assert_string_equal(json_string_value(json_object_get(e, "reason")),
	    "low \"risk\" \u00e9");
	ax_ts_format(r->us, ts);
	assert_string_equal(json_string_value(json_object_get(e, "created_at")),
	    ts);
	v = json_object_get(e, "context");
	assert_string_equal(json_string_value(json_object_get(v, "operation")),
	    "exists");
}

static void
one_entry(void **state)
{
	static const uint64_t none[] = { 0, NROWS * 2 + 1, UINT64_C(1) << 40,
		(UINT64_C(1) << 40) + 1, INT64_MAX, UINT64_MAX };
	struct query_args q = no_filter(Q_AUDIT_ONE);
	struct query_result res;
	json_t *j;
	size_t i;

	for (i = 0; i < nrows; i += 1 + rnd(100)) {
		q.from = i + 1;
		j = run(&q, &res);
		check_whole(j, i);
		json_decref(j);
	}
	for (i = 0; i < AX_NELEM(none); i++) {
		q.from = none[i];
		query_run(db, p, &q, &res);
		assert_int_equal(res.status, ROWS_NOT_FOUND);
		assert_int_equal(res.json.len, 0);
	}
}

/* Takes the lines of a text; row want[*at] and those behind it. */
static size_t
check_lines(struct buf *b, const size_t *want, size_t n)
{
	char start[64], *nl, *line = b->d;
	json_error_t err;
	size_t i = 0;
	json_t *j;

	while (line < b->d + b->len) {
		nl = memchr(line, '\n', (size_t)(b->d + b->len - line));
		assert_non_null(nl);
		assert_true(i < n);
		(void)snprintf(start, sizeof(start),
		    "{\"id\": %zu, \"seq\": %zu, ", want[i] + 1, want[i] + 1);
		assert_memory_equal(line, start, strlen(start));
		j = json_loadb(line, (size_t)(nl - line),
		    JSON_REJECT_DUPLICATES, &err);
		assert_non_null(j);
		check_whole(j, want[i++]);
		json_decref(j);
		line = nl + 1;
	}
	buf_free(b);
	return (i);
}

/* A pass holds what was there when it began, whatever comes meanwhile. */
static void
an_export_is_one_stable_pass(void **state)
{
	static size_t want[NROWS * 2];
	char cursor[CURSOR_LEN];
	struct query_result res;
	struct query_args q;
	size_t n, at;
	int i;

	for (i = 0; i < 30; i++) {
		q = i == 0 ? no_filter(Q_AUDIT_EXPORT) :
			     random_filter(Q_AUDIT_EXPORT);
		q.limit = (uint16_t)(1 + rnd(1000));
		q.offset = rnd(2) == 0 ? rnd(200) : 0;
		n = brute(&q, want);
		at = q.offset < n ? q.offset : n;
		for (;;) {
			query_run(db, p, &q, &res);
			assert_int_equal(res.status, ROWS_OK);
			at += check_lines(&res.json, want + at, n - at);
			if (res.next_cursor[0] == '\0')
				break;
			memcpy(cursor, res.next_cursor, sizeof(cursor));
			q.cursor = cursor;
			if (i < 5 && nrows + 60 < NROWS * 2)
				add_rows(60); /* some with older times */
		}
		assert_int_equal(at, n);
	}
}

static void
an_export_passes_over_any_offset(void **state)
{
	struct query_args q = no_filter(Q_AUDIT_EXPORT);
	char cursor[CURSOR_LEN];
	struct query_result res;
	struct cursor c;

	q.offset = UINT32_MAX;
	query_run(db, p, &q, &res);
	assert_int_equal(res.status, ROWS_OK);
	assert_int_equal(res.json.len, 0);
	assert_string_equal(res.next_cursor, ""); /* fewer rows than that */
	/* as if there were many: what is left to pass over is in the cursor */
	c = (struct cursor){ INT64_MAX, INT64_MAX, 10, 3 };
	cursor_format(&c, projector_key(p), Q_AUDIT_EXPORT, cursor);
	q.cursor = cursor;
	query_run(db, p, &q, &res);
	assert_int_equal(res.status, ROWS_OK);
	assert_non_null(strstr(buf_str(&res.json), "\"seq\": "));
	buf_free(&res.json);
}

/* A copy of the database that is older than the pass: not less, but later. */
static void
a_cursor_from_the_future_waits(void **state)
{
	struct query_args q = no_filter(Q_AUDIT_PAGE);
	struct cursor c = { INT64_MAX, INT64_MAX, nrows + 1, 0 };
	char cursor[CURSOR_LEN];
	struct query_result res;

	cursor_format(&c, projector_key(p), Q_AUDIT_PAGE, cursor);
	q.cursor = cursor;
	query_run(db, p, &q, &res);
	assert_int_equal(res.status, ROWS_UNAVAILABLE);
	assert_string_equal(res.next_cursor, "");
}

static int
by_number(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x < y ? -1 : x > y);
}

static void
following_sees_each_once(void **state)
{
	static size_t want[NROWS * 2];
	struct query_result res;
	struct query_args q;
	uint64_t before;
	size_t n, at;
	int i;

	for (i = 0; i < 60; i++) {
		q = i == 0 ? no_filter(Q_AUDIT_AFTER) :
			     random_filter(Q_AUDIT_AFTER);
		q.limit = (uint16_t)(1 + rnd(300));
		n = brute(&q, want);
		qsort(want, n, sizeof(*want), by_number);
		for (at = 0; q.from < nrows;) {
			before = q.from;
			query_run(db, p, &q, &res);
			assert_int_equal(res.status, ROWS_OK);
			at += check_lines(&res.json, want + at, n - at);
			q.from = strtoull(res.next_cursor, NULL, 10);
			assert_true(q.from > before && q.from <= nrows);
			if (i == 0 && nrows + 100 < NROWS * 2)
				add_rows(10);
			if (i == 0)
				n = brute(&q, want);
			if (i == 0)
				qsort(want, n, sizeof(*want), by_number);
		}
		assert_int_equal(at, n);
		query_run(db, p, &q, &res); /* nothing new */
		assert_int_equal(res.json.len, 0);
		assert_int_equal(strtoull(res.next_cursor, NULL, 10), q.from);
		q.from = UINT64_MAX;
		query_run(db, p, &q, &res);
		assert_int_equal(res.json.len, 0);
		assert_string_equal(res.next_cursor, "18446744073709551615");
	}
}

/* ---- counts ---- */

static void
check_count(const json_t *map, const char *name, int64_t want)
{
	const json_t *v = json_object_get(map, name);

	if (want == 0)
		assert_null(v);
	else
		assert_int_equal(json_integer_value(v), want);
}

static void
check_summary(const json_t *j, const size_t *want, size_t n)
{
	static const char *const names[] = { "low", "medium", "high",
		"critical" };
	int64_t bucket[4] = { 0 }, by[8];
	const json_t *buckets = json_object_get(j, "risk_buckets");
	char ts[AX_TS_LEN];
	size_t i, k;
	int r;

	assert_int_equal(num(j, "total"), n);
	for (i = 0; i < n; i++) {
		r = rows[want[i]].risk;
		bucket[r >= 90 ? 3 : r >= 70 ? 2 : r >= 40 ? 1 : 0]++;
	}
	for (k = 0; k < 4; k++)
		assert_int_equal(num(buckets, names[k]), bucket[k]);
	for (k = 0; k < AX_NELEM(actions); k++) {
		for (by[k] = 0, i = 0; i < n; i++)
			by[k] += rows[want[i]].action == actions[k];
		check_count(json_object_get(j, "by_action"),
		    *actions[k] != '\0' ? actions[k] : "unknown", by[k]);
	}
	for (k = 0; k < AX_NELEM(decisions); k++) {
		for (by[k] = 0, i = 0; i < n; i++)
			by[k] += rows[want[i]].decision == decisions[k];
		check_count(json_object_get(j, "by_decision"),
		    *decisions[k] != '\0' ? decisions[k] : "UNKNOWN", by[k]);
	}
	if (n == 0) {
		assert_true(
		    json_is_null(json_object_get(j, "latest_created_at")));
		return;
	}
	ax_ts_format(rows[want[0]].us, ts);
	assert_string_equal(json_string_value(
				json_object_get(j, "latest_created_at")),
	    ts);
}

static void
summaries_are_exact(void **state)
{
	static size_t want[NROWS * 2];
	struct query_result res;
	struct query_args q;
	json_t *j;
	int i;

	for (i = 0; i < 600; i++) {
		q = i == 0 ? no_filter(Q_AUDIT_SUMMARY) :
			     random_filter(Q_AUDIT_SUMMARY);
		j = run(&q, &res);
		check_summary(j, want, brute(&q, want));
		json_decref(j);
	}
}

static void
lists_are_sorted_and_exact(void **state)
{
	static size_t want[NROWS * 2];
	struct query_result res;
	struct query_args q;
	const char *name, *before;
	size_t i, n, sum;
	json_t *j, *e;
	int k;

	for (k = 0; k < 200; k++) {
		q = random_filter(k % 2 ? Q_AUDIT_ACTIONS : Q_AUDIT_DECISIONS);
		n = brute(&q, want);
		j = run(&q, &res);
		sum = 0;
		before = "";
		json_array_foreach(j, i, e) {
			name = json_string_value(
			    json_object_get(e, k % 2 ? "action" : "decision"));
			assert_true(strcmp(name, before) > 0);
			before = name;
			assert_true(num(e, "count") > 0);
			sum += (size_t)num(e, "count");
		}
		assert_int_equal(sum, n);
		json_decref(j);
	}
}

static void
an_empty_database_answers(void **state)
{
	struct query_args q = no_filter(Q_AUDIT_SUMMARY);
	struct db *empty = db_at_head("empty");
	struct query_result res;
	struct projector *none;
	enum db_rc rc;

	none = projector_new(empty, &rc);
	query_run(empty, none, &q, &res);
	assert_string_equal(buf_str(&res.json),
	    "{\"total\":0,"
	    "\"by_decision\":{},\"by_action\":{},\"risk_buckets\":{\"low\":0,"
	    "\"medium\":0,\"high\":0,\"critical\":0},"
	    "\"latest_created_at\":null}");
	buf_free(&res.json);
	q.query = Q_AUDIT_PAGE;
	query_run(empty, none, &q, &res);
	assert_string_equal(buf_str(&res.json), "[]");
	buf_free(&res.json);
	projector_free(none);
	db_close(empty);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_has_its_shape),
		cmocka_unit_test(pages_are_exact),
		cmocka_unit_test(pages_are_stable_under_inserts),
		cmocka_unit_test(cursors_nobody_made),
		cmocka_unit_test(cursors_are_not_mixed_up),
		cmocka_unit_test(one_entry),
		cmocka_unit_test(an_export_is_one_stable_pass),
		cmocka_unit_test(an_export_passes_over_any_offset),
		cmocka_unit_test(a_cursor_from_the_future_waits),
		cmocka_unit_test(following_sees_each_once),
		cmocka_unit_test(summaries_are_exact),
		cmocka_unit_test(lists_are_sorted_and_exact),
		cmocka_unit_test(an_empty_database_answers),
	};

	return (cmocka_run_group_tests(tests, group_set_up, group_tear_down));
}
