/* SPDX-License-Identifier: ISC */
/*
 * Journal lines: the exact bytes, the bounds, and that the reader takes what
 * the builder writes and nothing else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/util.h"
#include "common/line.h"
#include "common/merkle.h"

static const struct line full = {
	.kind = LK_DECISION,
	.action = "api:execute_skill:code_exec",
	.decision = "WARNED",
	.risk_score = 72,
	.reason = "a \"reason\"\nof two lines",
	.actor = "key:ops",
	.request_id = "r-1",
	.idem_key = "aa",
	.idem_body = "bb",
	.permit = 7,
	.context = "{\"skill\": \"code_exec\"}",
	.context_len = 22,
};

static void
exact_bytes(void **state)
{
	struct buf b = BUF_INITIALIZER;

	assert_int_equal(line_build(&b, &full, "n1", 7, 1700000000123456), 0);
	assert_string_equal(buf_str(&b),
	    "{\"action\": \"api:execute_skill:code_exec\", "
	    "\"actor\": \"key:ops\", "
	    "\"context\": {\"skill\": \"code_exec\"}, "
	    "\"decision\": \"WARNED\", \"id\": \"n1-7\", "
	    "\"idem\": {\"body\": \"bb\", \"key\": \"aa\"}, "
	    "\"kind\": \"decision\", \"node\": \"n1\", \"permit\": 7, "
	    "\"reason\": \"a \\\"reason\\\"\\nof two lines\", "
	    "\"request_id\": \"r-1\", \"risk_score\": 72, \"seq\": 7, "
	    "\"ts\": \"2023-11-14T22:13:20.123456Z\"}\n");
	buf_free(&b);
}

static void
empty_keys_are_null(void **state)
{
	static const char *const keys[] = { "actor", "idem", "permit", "reason",
		"request_id" };
	struct line l = { .kind = LK_EVENT,
		.action = "a",
		.decision = "APPROVED" };
	struct buf b = BUF_INITIALIZER;
	json_t *o;
	size_t i;

	assert_int_equal(line_build(&b, &l, "n", 1, 0), 0);
	o = json_loadb(b.d, b.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	assert_int_equal(json_object_size(o), 14);
	for (i = 0; i < AX_NELEM(keys); i++)
		assert_true(json_is_null(json_object_get(o, keys[i])));
	json_decref(o);
	buf_free(&b);
}

/* Texts of any length and content still give a line within the bound. */
static void
bounds(void **state)
{
	static char text[70000], context[LINE_CONTEXT_MAX + 2];
	struct line l = full;
	struct buf b = BUF_INITIALIZER;
	struct line_view v;

	memset(text, 1, sizeof(text) - 1); /* six bytes each when escaped */
	memset(context, ' ', sizeof(context));
	memcpy(context, "{\"a\": \"", 7);
	memcpy(context + LINE_CONTEXT_MAX - 2, "\"}", 2);
	l.action = l.reason = l.actor = l.request_id = text;
	l.context = context;
	l.context_len = LINE_CONTEXT_MAX;
	assert_int_equal(line_build(&b, &l, text, UINT64_MAX, 0), 0);
	assert_true(b.len <= LINE_MAX_BYTES);
	assert_int_equal(line_parse(b.d, b.len - 1, &v), 0);
	l.context_len++;
	buf_reset(&b);
	assert_int_equal(line_build(&b, &l, "n", 1, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void
cuts_at_characters(void **state)
{
	assert_int_equal(line_cut("abc", 3), 3);
	assert_int_equal(line_cut("abc", 2), 2);
	assert_int_equal(line_cut("a\xc3\xa4", 2), 1);
	assert_int_equal(line_cut("a\xe2\x82\xac", 3), 1);
}

static void
reads_back(void **state)
{
	struct buf b = BUF_INITIALIZER;
	struct line_view v;
	char *s;

	assert_int_equal(line_build(&b, &full, "n1", 9, 0), 0);
	assert_int_equal(line_parse(b.d, b.len - 1, &v), 0);
	assert_int_equal(v.kind, LK_DECISION);
	assert_int_equal(v.seq, 9);
	assert_int_equal(v.permit, 7);
	assert_int_equal(v.risk_score, 72);
	assert_true(slice_is(v.id, "n1-9"));
	assert_true(slice_is(v.idem_key, "aa"));
	assert_true(slice_is(v.idem_body, "bb"));
	s = slice_dup(v.reason);
	assert_string_equal(s, full.reason);
	free(s);
	buf_free(&b);
}

/* A line cut anywhere, or with any byte changed to a NUL, is no line. */
static void
refuses_torn_lines(void **state)
{
	struct buf b = BUF_INITIALIZER;
	struct line_view v;
	char keep;
	size_t i;

	assert_int_equal(line_build(&b, &full, "n1", 9, 0), 0);
	for (i = 0; i < b.len - 1; i++) {
		assert_int_equal(line_parse(b.d, i, &v), -1);
		keep = b.d[i];
		b.d[i] = '\0';
		assert_int_equal(line_parse(b.d, b.len - 1, &v), -1);
		b.d[i] = keep;
	}
	assert_int_equal(line_parse(b.d, b.len, &v), -1);
	buf_free(&b);
}

static void
refuses_other_values(void **state)
{
	static const char *const bad[] = { "{", "{}", "[1, 2", "{\"a\":1}",
		"{\"a\": 01}", "{\"a\": 1.}", "{\"a\": +1}", "{\"a\": tru}",
		"{\"a\": \"\\x\"}", "{\"a\": \"\\u12g4\"}", "{\"a\": \"\xff\"}",
		"{\"a\": 1,}", "{\"a\" : 1}", "[]", "1" };
	static const char *const good[] = {
		"{}", "{\"a\": -1.5e+7}",
		"{\"a\": [1, \"\\u00e4\", {\"b\": [], \"c\": {}}, true, null]}"
	};
	struct line l = full;
	struct buf b = BUF_INITIALIZER;
	struct line_view v;
	size_t i;

	for (i = 0; i < AX_NELEM(bad); i++) {
		if (i == 1)
			continue;
		buf_reset(&b);
		l.context = bad[i];
		l.context_len = strlen(bad[i]);
		assert_int_equal(line_build(&b, &l, "n", 1, 0), 0);
		if (line_parse(b.d, b.len - 1, &v) != -1)
			fail_msg("taken: %s", bad[i]);
	}
	for (i = 0; i < AX_NELEM(good); i++) {
		buf_reset(&b);
		l.context = good[i];
		l.context_len = strlen(good[i]);
		assert_int_equal(line_build(&b, &l, "n", 1, 0), 0);
		if (line_parse(b.d, b.len - 1, &v) != 0)
			fail_msg("refused: %s", good[i]);
	}
	buf_free(&b);
}

/* RFC 6962 section 2.1: the leaf of the empty string. */
static void
leaf(void **state)
{
	uint8_t h[32];
	char hex[65];

	merkle_leaf("", 0, h);
	ax_hex(h, 32, hex);
	assert_string_equal(hex,
	    "6e340b9cffb37a989ca544e6bb780a2c"
	    "78901d3fb33738768511a30617afa01d");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(empty_keys_are_null),
		cmocka_unit_test(bounds),
		cmocka_unit_test(cuts_at_characters),
		cmocka_unit_test(reads_back),
		cmocka_unit_test(refuses_torn_lines),
		cmocka_unit_test(refuses_other_values),
		cmocka_unit_test(leaf),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
