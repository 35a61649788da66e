/* SPDX-License-Identifier: ISC */
/*
 * Lines become rows once, in whatever batches; records that are none are
 * noticed; a rebuild gives the same database.
 */
#include "common/merkle.h"
#include "store_help.h"
#include "workers/store/project.h"
#include "workers/store/record.h"

#define BASE_US UINT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

static struct projector *
must_project(struct db *db)
{
	enum db_rc rc;
	struct projector *p = projector_new(db, &rc);

	assert_non_null(p);
	return (p);
}

static void
must_begin(struct projector *p)
{
	assert_int_equal(projector_begin(p), DB_OK);
}

/* Feeds one text; returns what was wrong with it. */
static const char *
feed_text(struct projector *p, const char *text, uint64_t end)
{
	const char *why;
	int full;

	assert_int_equal(projector_line(p, text, strlen(text), 1, end, &why,
			     &full),
	    DB_OK);
	return (why);
}

static void
feed(struct projector *p, uint64_t seq)
{
	static const char *const actions[] = { "invoke_skill:code_exec",
		"invoke_skill:file_ops", "auth_failed" };
	struct buf b = BUF_INITIALIZER;

	line_make(&b, seq, BASE_US + seq * 1000000, actions[seq % 3],
	    seq % 5 == 0 ? "BLOCKED" : "APPROVED", (int)(seq % 101));
	assert_null(feed_text(p, buf_str(&b), seq * 100));
	buf_free(&b);
}

static int64_t
count(const char *name)
{
	return (peek(name, "SELECT count(*) FROM ah_audit_log"));
}

/* What must be equal whatever the batches were: no mark, no cursor key. */
static int64_t
digest(const char *name)
{
	return (peek(name,
	    "SELECT (SELECT total(id * 7 + created_at % 1000 + "
	    "class * 13 + risk_score) FROM ah_audit_log) + (SELECT total(n * "
	    "(start % 997 + 1) * class + span + latest % 1009) FROM "
	    "ah_audit_rollup)"));
}

static void
batches_do_not_matter(void **state)
{
	static const unsigned sizes[] = { 1, 2, 7, 64, 1000 };
	char name[16];
	int64_t want = 0;
	struct projector *p;
	struct db *db;
	unsigned i;
	uint64_t seq;

	for (i = 0; i < AX_NELEM(sizes); i++) {
		(void)snprintf(name, sizeof(name), "b%u", i);
		db = db_at_head(name);
		p = must_project(db);
		must_begin(p);
		for (seq = 1; seq <= 1000; seq++) {
			feed(p, seq);
			if (seq % sizes[i] == 0) {
				assert_int_equal(projector_commit(p), DB_OK);
				must_begin(p);
			}
		}
		assert_int_equal(projector_commit(p), DB_OK);
		assert_int_equal(projector_mark(p)->seq, 1000);
		assert_int_equal(projector_mark(p)->offset, 100000);
		projector_free(p);
		db_close(db);
		assert_int_equal(count(name), 1000);
		if (i == 0)
			want = digest(name);
		assert_int_equal(digest(name), want);
	}
}

static void
applying_twice_changes_nothing(void **state)
{
	struct db *db = db_at_head("twice");
	struct projector *p = must_project(db);
	struct buf b = BUF_INITIALIZER;
	uint64_t seq;
	int64_t want;

	must_begin(p);
	for (seq = 1; seq <= 50; seq++)
		feed(p, seq);
	assert_int_equal(projector_commit(p), DB_OK);
	want = digest("twice");
	/* a restart, and a reader that begins too early */
	projector_free(p);
	p = must_project(db);
	must_begin(p);
	line_make(&b, 50, BASE_US, "x", "APPROVED", 1);
	assert_non_null(feed_text(p, buf_str(&b), 5000));
	assert_int_equal(projector_commit(p), DB_OK);
	assert_int_equal(projector_mark(p)->seq, 50);
	assert_int_equal(projector_mark(p)->skipped, 1);
	assert_int_equal(digest("twice"), want);
	buf_free(&b);
	projector_free(p);
	db_close(db);
}

static void
a_rollback_leaves_no_trace(void **state)
{
	struct db *db = db_at_head("roll");
	struct projector *p = must_project(db);
	uint64_t seq;
	int64_t want;

	must_begin(p);
	for (seq = 1; seq <= 20; seq++)
		feed(p, seq);
	assert_int_equal(projector_commit(p), DB_OK);
	want = digest("roll");
	must_begin(p);
	for (seq = 21; seq <= 90; seq++) /* brings new classes */
		feed(p, seq);
	projector_rollback(p);
	assert_int_equal(digest("roll"), want);
	assert_int_equal(projector_mark(p)->seq, 20);
	must_begin(p);
	for (seq = 21; seq <= 90; seq++)
		feed(p, seq);
	assert_int_equal(projector_commit(p), DB_OK);
	assert_int_equal(count("roll"), 90);
	assert_int_equal(
	    peek("roll",
		"SELECT count(*) FROM ah_audit_log a "
		"JOIN ah_audit_class c ON c.id = a.class WHERE c.action = a.action"
		" AND c.decision = a.decision AND c.risk_score = a.risk_score"),
	    90);
	projector_free(p);
	db_close(db);
}

static void
the_mark_carries_the_leaf(void **state)
{
	struct db *db = db_at_head("mark");
	struct projector *p = must_project(db);
	struct buf b = BUF_INITIALIZER;
	uint8_t want[33], leaf[32];
	char *in;

	line_make(&b, 1, BASE_US, "a", "APPROVED", 5);
	must_begin(p);
	assert_null(feed_text(p, buf_str(&b), 400));
	assert_int_equal(projector_commit(p), DB_OK);
	/* RFC 6962: SHA-256(0x00 || leaf) by the other hash function */
	in = calloc(1, b.len + 1);
	memcpy(in + 1, b.d, b.len);
	ax_sha256(in, b.len + 1, want);
	free(in);
	assert_memory_equal(projector_mark(p)->leaf, want, 32);
	merkle_leaf(b.d, b.len, leaf);
	assert_memory_equal(leaf, want, 32);
	projector_free(p);
	p = must_project(db);
	assert_memory_equal(projector_mark(p)->leaf, want, 32);
	assert_int_equal(projector_mark(p)->segment, 1);
	buf_free(&b);
	projector_free(p);
	db_close(db);
}

static void
a_rebuild_gives_the_same(void **state)
{
	struct db *db = db_at_head("again");
	struct projector *p = must_project(db);
	uint8_t key[PROJECT_KEY_LEN];
	uint64_t seq;
	int64_t want;
	bool done;
	int i;

	must_begin(p);
	for (seq = 1; seq <= 300; seq++)
		feed(p, seq);
	assert_int_equal(projector_commit(p), DB_OK);
	want = digest("again");
	for (i = 0; i < 2; i++) {
		memcpy(key, projector_key(p), sizeof(key));
		assert_int_equal(projector_reset(p, &done), DB_OK);
		assert_true(done);
		assert_int_equal(count("again"), 0);
		assert_int_equal(projector_mark(p)->seq, 0);
		/* cursors over the rows before are none any more */
		assert_memory_not_equal(projector_key(p), key, sizeof(key));
		memcpy(key, projector_key(p), sizeof(key));
		if (i == 1) { /* and with a restart in between */
			projector_free(p);
			p = must_project(db);
			assert_memory_equal(projector_key(p), key, sizeof(key));
		}
		must_begin(p);
		for (seq = 1; seq <= 300; seq++)
			feed(p, seq);
		assert_int_equal(projector_commit(p), DB_OK);
		assert_int_equal(digest("again"), want);
	}
	projector_free(p);
	db_close(db);
}

/* Many rows go in several transactions, and a kill in between is fine. */
static void
a_large_reset_goes_in_steps(void **state)
{
	struct db *db = db_at_head("large");
	struct projector *p = must_project(db);
	uint64_t seq;
	bool done;
	int n = 1;

	must_begin(p);
	for (seq = 1; seq <= 25000; seq++) {
		feed(p, seq);
		if (seq % 1000 == 0) {
			assert_int_equal(projector_commit(p), DB_OK);
			must_begin(p);
		}
	}
	assert_int_equal(projector_reset(p, &done), DB_OK);
	assert_false(done);
	assert_int_equal(projector_mark(p)->seq, 0);
	projector_free(p);
	p = must_project(db);
	assert_int_equal(projector_mark(p)->seq, 0);
	assert_int_equal(count("large"), 15000);
	for (; !done; n++)
		assert_int_equal(projector_reset(p, &done), DB_OK);
	assert_int_equal(n, 3);
	assert_int_equal(count("large"), 0);
	must_begin(p);
	feed(p, 1);
	assert_int_equal(projector_commit(p), DB_OK);
	projector_free(p);
	db_close(db);
}

static void
bad_lines_are_counted_and_passed_over(void **state)
{
	struct db *db = db_at_head("bad");
	struct projector *p = must_project(db);
	struct buf b = BUF_INITIALIZER;

	must_begin(p);
	feed(p, 1);
	assert_non_null(feed_text(p, "{\"seq\": 2, broken", 150));
	feed(p, 3);
	line_make(&b, 7, BASE_US, "a", "APPROVED", 5);
	assert_non_null(feed_text(p, buf_str(&b), 500));
	feed(p, 8);
	assert_int_equal(projector_commit(p), DB_OK);
	assert_int_equal(projector_mark(p)->skipped, 1 + 3);
	assert_int_equal(projector_mark(p)->seq, 8);
	assert_int_equal(count("bad"), 4);
	buf_free(&b);
	projector_free(p);
	db_close(db);
}

static void
skills_follow_the_journal(void **state)
{
	static const char fmt[] =
	    "{\"action\": \"skill_%s\", \"actor\": null, "
	    "\"context\": {\"a\": [1, {\"skill\": \"no\"}], \"skill\": "
	    "\"caf\\u00e9\"}, \"decision\": \"APPROVED\", \"kind\": \"%s\", "
	    "\"node\": \"n\", \"risk_score\": 0, \"seq\": %d, \"ts\": "
	    "\"2026-01-01T00:00:00.000000Z\"}";
	static const char sql[] =
	    "SELECT enabled FROM ah_skills WHERE name = 'caf\xc3\xa9'";
	struct db *db = db_at_head("skills");
	struct projector *p = must_project(db);
	char line[400];

	must_begin(p);
	(void)snprintf(line, sizeof(line), fmt, "disable", "event", 1);
	assert_null(feed_text(p, line, 1));
	assert_int_equal(projector_commit(p), DB_OK);
	assert_int_equal(peek("skills", sql), 0);
	must_begin(p);
	(void)snprintf(line, sizeof(line), fmt, "enable", "event", 2);
	assert_null(feed_text(p, line, 2));
	(void)snprintf(line, sizeof(line), fmt, "disable", "decision", 3);
	assert_null(feed_text(p, line, 3));
	assert_int_equal(projector_commit(p), DB_OK);
	assert_int_equal(peek("skills", sql), 1);
	assert_int_equal(peek("skills", "SELECT count(*) FROM ah_skills"), 1);
	projector_free(p);
	db_close(db);
}

/* ---- records ---- */

static void
records_keep_their_text(void **state)
{
	struct buf b = BUF_INITIALIZER, scr = BUF_INITIALIZER;
	const char *why;
	struct record r;

	line_make(&b, 42, BASE_US + 7, "act", "WARNED", 70);
	assert_int_equal(record_parse(&r, b.d, b.len, &scr, &why), 0);
	assert_int_equal(r.seq, 42);
	assert_int_equal(r.permit, 42);
	assert_int_equal(r.risk_score, 70);
	assert_int_equal(r.ts_us, BASE_US + 7);
	assert_int_equal(r.reason.n, strlen("low \"risk\" \xc3\xa9"));
	assert_memory_equal(r.reason.p, "low \"risk\" \xc3\xa9", r.reason.n);
	assert_memory_equal(r.context.p, "{\"operation\": ", 14);
	assert_int_equal(r.context.p[r.context.n - 1], '}');
	buf_free(&b);
	buf_free(&scr);
}

static void
every_cut_and_every_flip_is_safe(void **state)
{
	struct buf b = BUF_INITIALIZER, scr = BUF_INITIALIZER;
	const char *why;
	struct record r;
	char *copy;
	size_t i;

	line_make(&b, 42, BASE_US, "act", "WARNED", 70);
	for (i = 0; i < b.len; i++) {
		copy = malloc(i); /* exact size: an overrun is seen */
		memcpy(copy, b.d, i);
		assert_int_equal(record_parse(&r, copy, i, &scr, &why), -1);
		assert_non_null(why);
		free(copy);
	}
	for (i = 0; i < b.len; i++) {
		copy = malloc(b.len);
		memcpy(copy, b.d, b.len);
		copy[i] ^= 0x11;
		(void)record_parse(&r, copy, b.len, &scr, &why);
		free(copy);
	}
	buf_free(&b);
	buf_free(&scr);
}

static void
not_records(void **state)
{
#define REST                                             \
	"\"kind\": \"event\", \"node\": \"n\", \"ts\": " \
	"\"2026-01-01T00:00:00.000000Z\""
	static const char *const bad[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"action\": \"a\", " REST "}",
		"{\"action\": \"a\", \"seq\": 0, " REST "}",
		"{\"action\": \"a\", \"seq\": -1, " REST "}",
		"{\"action\": \"a\", \"seq\": 1.5, " REST "}",
		"{\"action\": \"a\", \"seq\": 99999999999999999999, " REST "}",
		"{\"action\": \"a\", \"seq\": 1, \"seq\": 1, " REST "}",
		"{\"action\": null, \"seq\": 1, " REST "}",
		"{\"action\": 5, \"seq\": 1, " REST "}",
		"{\"action\": \"a\", \"risk_score\": 101, \"seq\": 1, " REST
		"}",
		"{\"action\": \"a\", \"seq\": 1, " REST "} x",
		"{\"action\": \"a\", \"seq\": 1, " REST ",}",
		"{\"action\": \"a\nb\", \"seq\": 1, " REST "}",
		"{\"action\": \"a\\x\", \"seq\": 1, " REST "}",
		"{\"action\": \"a\\u12g4\", \"seq\": 1, " REST "}",
		"{\"action\": \"a\", \"context\": {\"a\": }, \"seq\": 1, " REST
		"}",
		"{\"action\": \"a\", \"context\": {\"a\" 1}, \"seq\": 1, " REST
		"}",
		"{\"action\": \"a\", \"context\": [1,], \"seq\": 1, " REST "}",
		"{\"action\": \"a\", \"context\": [1}, \"seq\": 1, " REST "}",
		"{\"action\": \"a\", \"context\": 01, \"seq\": 1, " REST "}",
		"{\"action\": \"a\", \"context\": 1., \"seq\": 1, " REST "}",
		"{\"action\": \"a\", \"context\": nul, \"seq\": 1, " REST "}",
		("{\"action\": \"a\", \"seq\": 1, \"kind\": \"e\", "
		 "\"node\": \"n\", \"ts\": \"yesterday\"}"),
	};
	static const char good[] =
	    "{\"action\": \"a\", \"context\": [[], {}, "
	    "{\"a\": [-1.5e+3, true, null, \"\\\\\"]}], \"new_key\": {}, "
	    "\"seq\": 1, " REST "}";
	struct buf scr = BUF_INITIALIZER, deep = BUF_INITIALIZER;
	const char *why;
	struct record r;
	size_t i;

	for (i = 0; i < AX_NELEM(bad); i++)
		if (record_parse(&r, bad[i], strlen(bad[i]), &scr, &why) == 0)
			fail_msg("taken: %s", bad[i]);
	if (record_parse(&r, good, strlen(good), &scr, &why) == -1)
		fail_msg("%s", why);
	buf_adds(&deep,
	    "{\"action\": \"a\", " REST ", \"seq\": 1, "
	    "\"context\": ");
	for (i = 0; i < 5000; i++)
		buf_addc(&deep, '[');
	assert_int_equal(record_parse(&r, deep.d, deep.len, &scr, &why), -1);
	buf_free(&scr);
	buf_free(&deep);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_keep_their_text),
		cmocka_unit_test(every_cut_and_every_flip_is_safe),
		cmocka_unit_test(not_records),
		cmocka_unit_test(batches_do_not_matter),
		cmocka_unit_test(applying_twice_changes_nothing),
		cmocka_unit_test(a_rollback_leaves_no_trace),
		cmocka_unit_test(the_mark_carries_the_leaf),
		cmocka_unit_test(a_rebuild_gives_the_same),
		cmocka_unit_test(a_large_reset_goes_in_steps),
		cmocka_unit_test(bad_lines_are_counted_and_passed_over),
		cmocka_unit_test(skills_follow_the_journal),
	};

	return (cmocka_run_group_tests(tests, scratch_make, scratch_remove));
}
