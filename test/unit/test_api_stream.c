/* SPDX-License-Identifier: ISC */
/*
 * Exports and followers: what is asked of the store and when, the exact text
 * that comes of it, and that no end but the real one looks like it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "common/util.h"
#include "test/unit/api_help.h"
#include "workers/http/ask.h"
#include "workers/http/jtext.h"

#define LINE(n)	 "{\"id\": " n ", \"seq\": " n ", \"reason\": \"a, b: \\\"c\"}"
#define TIGHT(n) "{\"id\":" n ",\"seq\":" n ",\"reason\":\"a, b: \\\"c\"}"

static struct http_req export(const char *qs)
{
	struct http_req req = query("/v1/audit/export", qs);

	req.role = "admin";
	return (req);
}

static void
stream_is(const char *text)
{
	assert_string_equal(buf_str(&got.text), text);
}

/* ---- exports ---- */

static void
test_lines(void **state)
{
	struct http_req req = export("action=a&risk_score_min=3&offset=7");

	run(&req);
	assert_int_equal(got.count, 0);
	pump(store_end);
	assert_int_equal(seen.args.query, Q_AUDIT_EXPORT);
	assert_int_equal(seen.args.limit, 100);
	assert_int_equal(seen.args.offset, 7);
	assert_int_equal(seen.args.risk_min, 3);
	assert_string_equal(seen.action_filter, "a");
	rows(seen.id, ROWS_OK, LINE("3") "\n" LINE("2") "\n", NULL);
	want(200, NULL);
	assert_string_equal(got.content_type, "application/x-ndjson");
	stream_is(LINE("3") "\n" LINE("2"));
	assert_true(got.ended);
	assert_null(req.on_gone);

	req = export(NULL);
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, "", NULL);
	want(200, NULL);
	stream_is("");
	assert_true(got.ended);
	assert_int_equal(api.inflight.used, 0);
}

static void
test_json(void **state)
{
	struct http_req req = export("format=json&limit=2&decision=blocked");

	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, LINE("3") "\n" LINE("2") "\n", "c1");
	assert_string_equal(got.content_type, "application/json");
	stream_is("{\"items\":[" TIGHT("3") "," TIGHT(
	    "2") "],\"count\":2,"
		 "\"filters\":{\"limit\":2,\"offset\":0,"
		 "\"decision\":\"BLOCKED\",\"action\":null,"
		 "\"action_prefix\":null,\"risk_score_min\":null,"
		 "\"risk_score_max\":null,\"created_after\":null,"
		 "\"created_before\":null},\"next_cursor\":\"c1\"}");
	assert_true(got.ended);

	req = export("format=json&cursor=c1&limit=all");
	run(&req);
	pump(store_end);
	assert_string_equal(seen.cursor, "c1");
	rows(seen.id, ROWS_OK, "", NULL);
	assert_non_null(strstr(buf_str(&got.text),
	    "{\"items\":[],\"count\":0,"
	    "\"filters\":{\"limit\":"
	    "\"all\",\"offset\":0,"));
	assert_non_null(strstr(buf_str(&got.text), "\"next_cursor\":null}"));
}

/* Answer after answer, each when there is room; limits hold across them. */
static void
test_pages(void **state)
{
	struct http_req req = export("limit=4");

	run(&req);
	pump(store_end);
	assert_int_equal(seen.args.limit, 4);
	rows(seen.id, ROWS_OK, LINE("9") "\n" LINE("8") "\n", "c1");
	pump(store_end);
	assert_int_equal(seen.queries, 2);
	assert_int_equal(seen.args.limit, 2);
	assert_string_equal(seen.cursor, "c1");
	got.no_room = true;
	rows(seen.id, ROWS_OK, LINE("7") "\n", "c2");
	pump(store_end);
	assert_int_equal(seen.queries, 2);
	assert_false(got.ended);
	got.no_room = false;
	got.more(&req);
	pump(store_end);
	assert_int_equal(seen.queries, 3);
	assert_int_equal(seen.args.limit, 1);
	/* an answer may be empty and still not be the last */
	rows(seen.id, ROWS_OK, "", "c3");
	pump(store_end);
	assert_string_equal(seen.cursor, "c3");
	rows(seen.id, ROWS_OK, LINE("6") "\n", "c4");
	pump(store_end);
	assert_int_equal(seen.queries, 4);
	assert_true(got.ended);
	stream_is(LINE("9") "\n" LINE("8") "\n" LINE("7") "\n" LINE("6"));
	assert_int_equal(api.inflight.used, 0);
}

static void
test_export_refused(void **state)
{
	struct http_req req = query("/v1/audit/export", NULL);

	run(&req);
	want(403, "FORBIDDEN");
	req = export("format=xml&limit=0&offset=-1&limit=5");
	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
	assert_non_null(strstr(got.body, "string_pattern_mismatch"));
	req = export("cursor=a&offset=0");
	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
	req = export("risk_score_min=9&risk_score_max=1");
	run(&req);
	want(400, "AUDIT_INVALID_RISK_RANGE");
	assert_int_equal(seen.queries, 0);
	req = export("cursor=x");
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_BAD_CURSOR, NULL, NULL);
	want(400, "AUDIT_INVALID_CURSOR");
	req = export(NULL);
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_UNAVAILABLE, NULL, NULL);
	want(503, "DATABASE_UNAVAILABLE");
	req = export(NULL);
	got.full = true;
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, "", NULL);
	want(503, "TOO_MANY_STREAMS");
	assert_non_null(strstr(got.headers, "retry-after: "));
	got.full = false;
	req = export(NULL);
	req.method = HTTP_HEAD;
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, "", "more");
	want(200, NULL);
	assert_int_equal(api.inflight.used, 0);
}

/* Whatever goes wrong behind the head: no end, and nothing is left behind. */
static void
test_export_cut(void **state)
{
	struct http_req req;
	unsigned i;

	for (i = 0; i < 3; i++) {
		req = export("limit=all");
		run(&req);
		pump(store_end);
		rows(seen.id, ROWS_OK, LINE("9") "\n", "c1");
		pump(store_end);
		if (i == 0)
			rows(seen.id, ROWS_UNAVAILABLE, NULL, NULL);
		else if (i == 1)
			ask_expire(ax_mono_us() + 3600000000u);
		else
			rows(seen.id, ROWS_BAD_CURSOR, NULL, NULL);
		assert_true(got.aborted);
		assert_false(got.ended);
		assert_int_equal(got.count, 1);
		assert_int_equal(api.inflight.used, 0);
	}
	req = export("limit=all");
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, LINE("9") "\n", "c1");
	req.on_gone(&req);
	assert_false(got.ended);
	assert_int_equal(api.inflight.used, 0);
}

/* ---- followers ---- */

static void
look(void)
{
	const struct timeval t = { 0, 120000 };

	event_base_loopexit(ctx.base, &t);
	event_base_dispatch(ctx.base);
	pump(store_end);
}

static void
store_at(uint64_t seq)
{
	metric_set(&store_slot, MG_STORE_OK, 1);
	metric_set(&store_slot, MG_STORE_SEQ, seq);
}

static const char entry[] = "{\"id\": 12, \"seq\": 12, \"context\": {\"a\": "
			    "[1, \"}\"]}, \"kind\": \"event\"}\n";

static void
test_follow(void **state)
{
	struct http_req req = query("/v1/audit/follow", "action=x");

	store_at(10);
	run(&req);
	want(200, NULL);
	assert_string_equal(got.content_type, "text/event-stream");
	assert_null(req.token);
	stream_is("retry: 1000\nid: 10\n\n");
	look();
	assert_int_equal(seen.queries, 0);
	store_at(15);
	look();
	assert_int_equal(seen.queries, 1);
	assert_int_equal(seen.args.query, Q_AUDIT_AFTER);
	assert_int_equal(seen.args.from, 10);
	assert_string_equal(seen.action_filter, "x");
	buf_reset(&got.text);
	rows(seen.id, ROWS_OK, entry, "13");
	stream_is("id: 12\nevent: audit\ndata: {\"id\": 12, \"seq\": 12, "
		  "\"context\": null, \"kind\": \"event\"}\n\n");
	/* there is more, and nothing of it may match */
	pump(store_end);
	assert_int_equal(seen.queries, 2);
	assert_int_equal(seen.args.from, 13);
	buf_reset(&got.text);
	rows(seen.id, ROWS_OK, "", "15");
	look();
	assert_int_equal(seen.queries, 2);
	stream_is("");
	req.on_gone(&req);
	assert_int_equal(event_base_get_num_events(ctx.base,
			     EVENT_BASE_COUNT_ADDED),
	    0);
}

static void
test_follow_resumes(void **state)
{
	struct http_req req = query("/v1/audit/follow", "after=3");

	store_at(12);
	got.last_event_id = "11";
	req.role = "admin";
	run(&req);
	stream_is("retry: 1000\n\n");
	pump(store_end);
	assert_int_equal(seen.args.from, 11);
	buf_reset(&got.text);
	rows(seen.id, ROWS_OK, entry, "12");
	assert_non_null(strstr(buf_str(&got.text), "\"context\": {\"a\""));
	/* no room: no question */
	got.no_room = true;
	store_at(14);
	look();
	assert_int_equal(seen.queries, 1);
	got.no_room = false;
	got.more(&req);
	pump(store_end);
	assert_int_equal(seen.queries, 2);
	req.on_gone(&req);
	assert_int_equal(api.inflight.used, 0);

	got.last_event_id = "-4";
	req = query("/v1/audit/follow", NULL);
	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
	assert_non_null(strstr(got.body, "[\"header\",\"last-event-id\"]"));
	got.last_event_id = NULL;
	req = query("/v1/audit/follow", "after=x");
	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
}

static void
test_follow_outage(void **state)
{
	static const char away[] = "event: unavailable\n"
				   "data: {\"code\":"
				   "\"DATABASE_UNAVAILABLE\"}\n\n";
	struct http_req req = query("/v1/audit/follow", NULL);

	/* the newest is not known now */
	metric_set(&store_slot, MG_STORE_OK, 0);
	run(&req);
	want(503, "DATABASE_UNAVAILABLE");
	req = query("/v1/audit/follow", "after=10");
	run(&req);
	want(200, NULL);
	buf_reset(&got.text);
	look();
	look();
	stream_is(away);
	assert_int_equal(seen.queries, 0);
	/* and on it goes */
	store_at(12);
	look();
	assert_int_equal(seen.queries, 1);
	assert_int_equal(seen.args.from, 10);
	buf_reset(&got.text);
	rows(seen.id, ROWS_UNAVAILABLE, NULL, NULL);
	look();
	stream_is(away);
	req.on_gone(&req);
}

static void
test_follow_ends(void **state)
{
	struct http_req req = query("/v1/audit/follow", "after=1");

	store_at(1);
	run(&req);
	buf_reset(&got.text);
	api_conf_changed(&ctx);
	stream_is("event: end\ndata: {\"reason\":\"reload\"}\n\n");
	assert_true(got.ended);
	assert_null(req.on_gone);
	req = query("/v1/audit/follow", "after=1");
	run(&req);
	buf_reset(&got.text);
	ctx.draining = true;
	look();
	stream_is("event: end\ndata: {\"reason\":\"drain\"}\n\n");
	assert_true(got.ended);
	assert_int_equal(api.inflight.used, 0);
}

/* ---- JSON text ---- */

static void
test_jtext(void **state)
{
	static const char *const hidden[][2] = {
		{ "{\"a\": 1, \"c\": {\"c\": [2, \"}\"]}, \"d\": 3}",
		    "{\"a\": 1, \"c\": null, \"d\": 3}" },
		{ "{\"a\": {\"c\": 1}, \"c\": \"x,\\\"}\"}",
		    "{\"a\": {\"c\": 1}, \"c\": null}" },
		{ "{\"a\": \"c\", \"b\": 1}", "{\"a\": \"c\", \"b\": 1}" },
		{ "{\"c\":7}", "{\"c\":null}" },
		{ "{}", "{}" },
		{ "", "" },
		{ "{\"c", "{\"c" },
		{ "{\"c\\", "{\"c\\" },
	};
	struct buf b = BUF_INITIALIZER;
	size_t i;

	for (i = 0; i < AX_NELEM(hidden); i++) {
		buf_reset(&b);
		jtext_hide(&b, hidden[i][0], strlen(hidden[i][0]), "c");
		assert_string_equal(buf_str(&b), hidden[i][1]);
	}
	buf_reset(&b);
	jtext_compact(&b, " { \"a b\" : [ 1.50 , \"\\\" \" ] }\n", 31);
	assert_string_equal(buf_str(&b), "{\"a b\":[1.50,\"\\\" \"]}");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lines),
		T(test_json),
		T(test_pages),
		T(test_export_refused),
		T(test_export_cut),
		T(test_follow),
		T(test_follow_resumes),
		T(test_follow_outage),
		T(test_follow_ends),
		T(test_jtext),
	};

	return (cmocka_run_group_tests_name("api_stream", tests, NULL, NULL));
}
