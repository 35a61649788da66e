/* SPDX-License-Identifier: ISC */
/* Query strings: what is taken, what is refused and with which item. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/query.h"

/* Every kind of value that a page takes, and what becomes of it. */
static void
test_values(void **state)
{
	struct query_values q;
	struct invalid inv;

	invalid_init(&inv);
	assert_int_equal(
	    query_parse(&q,
		"limit=7&decision=blocked"
		"&action=a%26b+c&action_prefix=x%2By&risk_score_min=1"
		"&risk_score_max=99&created_after=1970-01-01T00:00:01Z"
		"&created_before=2026-01-01&cursor=c",
		QP_PAGE, &inv),
	    0);
	assert_int_equal(q.v[QP_LIMIT].num, 7);
	assert_string_equal(q.v[QP_DECISION].str, "BLOCKED");
	assert_string_equal(q.v[QP_ACTION].str, "a&b c");
	assert_string_equal(q.v[QP_ACTION_PREFIX].str, "x+y");
	assert_int_equal(q.v[QP_RISK_MIN].num, 1);
	assert_int_equal(q.v[QP_RISK_MAX].num, 99);
	assert_int_equal(q.v[QP_AFTER].us, 1000000);
	assert_true(q.v[QP_BEFORE].set);
	assert_string_equal(q.v[QP_CURSOR].str, "c");
	assert_int_equal(inv.n, 0);
	query_free(&q);
	invalid_free(&inv);
}

static void
test_defaults(void **state)
{
	static const char *const nothing[] = { NULL, "", "&&", "limit=",
		"limit=&offset=&decision=&action=&risk_score_min=&cursor=",
		"unknown=1&unknown=2&Limit=9", "x", "=", "=&=1" };
	struct query_values q;
	struct query_args a;
	struct invalid inv;
	size_t i;

	for (i = 0; i < AX_NELEM(nothing); i++) {
		invalid_init(&inv);
		assert_int_equal(query_parse(&q, nothing[i], QP_PAGE, &inv), 0);
		query_to_args(&q, Q_AUDIT_PAGE, &a);
		assert_int_equal(a.limit, 50);
		assert_int_equal(a.offset, 0);
		assert_int_equal(a.risk_min, -1);
		assert_int_equal(a.risk_max, -1);
		assert_null(a.decision);
		assert_null(a.action);
		assert_null(a.cursor);
		assert_int_equal(a.after_us, 0);
		query_free(&q);
		invalid_free(&inv);
	}
}

/* clang-format off */
static const struct {
	const char *qs, *items;
} bad[] = {
	{ "limit=0", "[{\"type\":\"greater_than_equal\",\"loc\":[\"query\","
	    "\"limit\"],\"msg\":\"Input should be greater than or equal to "
	    "1\",\"input\":\"0\",\"ctx\":{\"ge\":1}}]" },
	{ "limit=201", "[{\"type\":\"less_than_equal\",\"loc\":[\"query\","
	    "\"limit\"],\"msg\":\"Input should be less than or equal to 200"
	    "\",\"input\":\"201\",\"ctx\":{\"le\":200}}]" },
	{ "limit=99999999999999999999", "less_than_equal" },
	{ "limit=-99999999999999999999", "greater_than_equal" },
	{ "limit=ten", "[{\"type\":\"int_parsing\",\"loc\":[\"query\","
	    "\"limit\"],\"msg\":\"Input should be a valid integer, unable to "
	    "parse string as an integer\",\"input\":\"ten\"}]" },
	{ "limit=1.0", "int_parsing" },
	{ "limit=+1", "int_parsing" }, /* '+' is a space here */
	{ "limit=%201", "int_parsing" },
	{ "limit=0x10", "int_parsing" },
	{ "offset=10001", "less_than_equal" },
	{ "offset=-1", "greater_than_equal" },
	{ "risk_score_max=101", "\"ctx\":{\"le\":100}" },
	{ "limit=1&limit=1", "multiple_argument_values" },
	{ "limit=1&limit=", "multiple_argument_values" },
	{ "limit=&%6cimit=2", "multiple_argument_values" },
	{ "created_after=yesterday", "datetime_from_date_parsing" },
	{ "created_after=2026-13-01", "datetime_from_date_parsing" },
	{ "action=%", "string_unicode" },
	{ "action=%4", "string_unicode" },
	{ "action=%zz", "string_unicode" },
	{ "action=%00", "string_unicode" },
	{ "action=%ff", "string_unicode" },
	{ "action=%c0%af", "string_unicode" },
	{ "limit%00x=1", "\"loc\":[\"query\"]" },
	{ "%=1", "\"loc\":[\"query\"]" },
};
/* clang-format on */

static void
test_refused(void **state)
{
	struct query_values q;
	struct invalid inv;
	const char *items;
	size_t i;

	for (i = 0; i < AX_NELEM(bad); i++) {
		invalid_init(&inv);
		assert_int_equal(query_parse(&q, bad[i].qs, QP_PAGE, &inv), -1);
		assert_int_equal(inv.n, 1);
		items = invalid_json(&inv);
		assert_non_null(items);
		if (strstr(items, bad[i].items) == NULL)
			fail_msg("%s: %s", bad[i].qs, items);
		query_free(&q);
		invalid_free(&inv);
	}
}

static void
test_too_long(void **state)
{
	struct query_values q;
	struct invalid inv;
	char qs[400] = "action=";
	const char *items;

	memset(qs + 7, 'a', 256);
	invalid_init(&inv);
	assert_int_equal(query_parse(&q, qs, QP_PAGE, &inv), 0);
	query_free(&q);
	qs[7 + 256] = 'a';
	assert_int_equal(query_parse(&q, qs, QP_PAGE, &inv), -1);
	items = invalid_json(&inv);
	assert_non_null(strstr(items, "\"ctx\":{\"max_length\":256}"));
	assert_null(strstr(items, "\"input\"")); /* too long to send back */
	query_free(&q);
	invalid_free(&inv);
}

/* A parameter that the route does not take is an unknown one. */
static void
test_mask(void **state)
{
	struct query_values q;
	struct invalid inv;

	invalid_init(&inv);
	assert_int_equal(query_parse(&q, "limit=zero&action=x",
			     QP_BIT(QP_ACTION), &inv),
	    0);
	assert_false(q.v[QP_LIMIT].set);
	assert_true(q.v[QP_ACTION].set);
	query_free(&q);
	invalid_free(&inv);
}

static void
test_ranges(void **state)
{
	static const struct {
		const char *qs;
		enum query_range want;
	} cases[] = {
		{ "risk_score_min=2&risk_score_max=1", QR_RISK },
		{ "risk_score_min=1&risk_score_max=1", QR_OK },
		{ "risk_score_min=2", QR_OK },
		{ "created_after=2&created_before=1", QR_DATE },
		{ "created_after=1&created_before=1", QR_OK },
		/* one with an offset, one without (D-17) */
		{ "created_after=2026-01-01T01:00:00%2B02:00"
		  "&created_before=2026-01-01T00:00:00",
		    QR_OK },
		{ "created_after=2026-01-01T01:00:00"
		  "&created_before=2026-01-01T02:00:00%2B02:00",
		    QR_DATE },
	};
	struct query_values q;
	struct invalid inv;
	size_t i;

	for (i = 0; i < AX_NELEM(cases); i++) {
		invalid_init(&inv);
		assert_int_equal(query_parse(&q, cases[i].qs, QP_PAGE, &inv),
		    0);
		assert_int_equal(query_ranges(&q), cases[i].want);
		query_free(&q);
		invalid_free(&inv);
	}
}

static void
test_echo_and_next(void **state)
{
	struct buf b = BUF_INITIALIZER;
	struct query_values q;
	struct invalid inv;
	struct jw w;

	invalid_init(&inv);
	assert_int_equal(query_parse(&q,
			     "limit=2&offset=9&action=a%20%26b"
			     "&created_after=0",
			     QP_PAGE, &inv),
	    0);
	jw_init(&w, &b, false);
	jw_obj(&w);
	query_filters(&w, &q, QP_PAGE);
	jw_obj_end(&w);
	assert_string_equal(buf_str(&b),
	    "{\"filters\":{\"limit\":2,"
	    "\"offset\":9,\"decision\":null,\"action\":\"a &b\","
	    "\"action_prefix\":null,\"risk_score_min\":null,"
	    "\"risk_score_max\":null,"
	    "\"created_after\":\"1970-01-01T00:00:00.000000Z\","
	    "\"created_before\":null}}");
	buf_reset(&b);
	query_next(&b, "/v1/audit", &q, QP_PAGE, "n/w>");
	assert_string_equal(buf_str(&b),
	    "/v1/audit?limit=2&action=a%20%26b"
	    "&created_after=1970-01-01T00%3A00%3A00.000000Z&cursor=n%2Fw%3E");
	buf_free(&b);
	query_free(&q);
	invalid_free(&inv);
}

/* 0 means "none" in the message: the epoch must not turn into it. */
static void
test_epoch(void **state)
{
	struct query_values q;
	struct query_args a;
	struct invalid inv;

	invalid_init(&inv);
	assert_int_equal(query_parse(&q, "created_before=0", QP_PAGE, &inv), 0);
	query_to_args(&q, Q_AUDIT_PAGE, &a);
	assert_int_equal(a.before_us, 1);
	assert_int_equal(a.after_us, 0);
	query_free(&q);
	invalid_free(&inv);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_echo_and_next),
		cmocka_unit_test(test_epoch),
	};

	return (cmocka_run_group_tests_name("query", tests, NULL, NULL));
}
