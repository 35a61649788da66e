/* SPDX-License-Identifier: ISC */
/* Questions to the store, and the ways not to get an answer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "test/unit/api_help.h"

/* ---- the store ---- */

static void
test_page(void **state)
{
	struct http_req req = query("/v1/audit", "limit=2&action=a%20b");

	run(&req);
	pump(store_end);
	assert_int_equal(seen.args.query, Q_AUDIT_PAGE);
	assert_int_equal(seen.args.limit, 2);
	assert_string_equal(seen.action_filter, "a b");
	rows(seen.id, ROWS_OK, "[{\"id\":\"n-1\"}]", "c/1");
	want(200, NULL);
	assert_string_equal(got.body,
	    "{\"entries\":[{\"id\":\"n-1\"}],"
	    "\"filters\":{\"limit\":2,\"offset\":0,\"decision\":null,"
	    "\"action\":\"a b\",\"action_prefix\":null,"
	    "\"risk_score_min\":null,\"risk_score_max\":null,"
	    "\"created_after\":null,\"created_before\":null},"
	    "\"next_cursor\":\"c/1\"}");
	assert_string_equal(got.headers,
	    "link: </v1/audit?limit=2&action="
	    "a%20b&cursor=c%2F1>; rel=\"next\"\n");

	req = query("/v1/audit", "cursor=end");
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, "[]", NULL);
	want(200, NULL);
	assert_non_null(strstr(got.body, "\"next_cursor\":null}"));
	assert_string_equal(got.headers, "");
	assert_int_equal(api.inflight.used, 0);
}

static void
test_other_queries(void **state)
{
	static const struct {
		const char *path;
		enum query q;
		const char *start;
	} cases[] = {
		{ "/v1/audit/summary", Q_AUDIT_SUMMARY,
		    "{\"summary\":[9],"
		    "\"filters\":{\"decision\":null,\"action\":null," },
		{ "/v1/audit/actions", Q_AUDIT_ACTIONS,
		    "{\"actions\":[9],"
		    "\"filters\":{\"decision\":null,\"action_prefix\":null}}" },
		{ "/v1/audit/decisions", Q_AUDIT_DECISIONS,
		    "{\"decisions\":"
		    "[9],\"filters\":{\"action\":null}}" },
	};
	struct http_req req;
	size_t i;

	for (i = 0; i < AX_NELEM(cases); i++) {
		req = query(cases[i].path, NULL);
		run(&req);
		pump(store_end);
		assert_int_equal(seen.args.query, cases[i].q);
		rows(seen.id, ROWS_OK, "[9]", NULL);
		want(200, NULL);
		if (strncmp(got.body, cases[i].start, strlen(cases[i].start)) !=
		    0)
			fail_msg("%s", got.body);
	}
}

static void
test_query_errors(void **state)
{
	struct http_req req = query("/v1/audit", "limit=x&offset=-1");

	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
	assert_non_null(strstr(got.body, "\"request_id\":\"rid-1\""));
	req = query("/v1/audit", "risk_score_min=9&risk_score_max=1");
	run(&req);
	want(400, "AUDIT_INVALID_RISK_RANGE");
	assert_non_null(strstr(got.body,
	    "\"details\":{\"risk_score_min\":9,"
	    "\"risk_score_max\":1}"));
	req = query("/v1/audit/summary", "created_after=2&created_before=1");
	run(&req);
	want(400, "AUDIT_INVALID_DATE_RANGE");
	assert_non_null(strstr(got.body,
	    "{\"created_after\":"
	    "\"1970-01-01T00:00:02.000000Z\",\"created_before\":"));
	pump(store_end);
	assert_int_equal(seen.queries, 0);

	req = query("/v1/audit", "cursor=x");
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_BAD_CURSOR, NULL, NULL);
	want(400, "AUDIT_INVALID_CURSOR");
	req = query("/v1/audit", NULL);
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_UNAVAILABLE, NULL, NULL);
	want(503, "DATABASE_UNAVAILABLE");
	assert_non_null(strstr(got.headers, "retry-after: "));
}

static void
test_store_lost(void **state)
{
	struct http_req req = query("/v1/audit", NULL);
	struct ipc *store = ctx.store;

	run(&req);
	api_peer_down(&ctx, PROC_STORE);
	want(503, "DATABASE_UNAVAILABLE");
	req = query("/v1/audit", NULL);
	run(&req);
	api_tick(&ctx, ax_mono_us() + 60000000);
	want(503, "DATABASE_UNAVAILABLE");
	req = query("/v1/audit", NULL);
	run(&req);
	req.on_gone(&req);
	assert_int_equal(got.count, 0);
	ctx.store = NULL;
	req = query("/v1/audit", NULL);
	run(&req);
	want(503, "DATABASE_UNAVAILABLE");
	req = query("/v1/migration/state", NULL);
	run(&req);
	want(503, NULL);
	assert_non_null(strstr(got.body, "\"status\":\"unknown\""));
	ctx.store = store;
	assert_int_equal(api.inflight.used, 0);
}

static void
test_migration(void **state)
{
	static const char ok[] = "{\"status\":\"head\",\"ok\":true}";
	static const char bad[] = "{\"status\":\"behind\",\"ok\":false}";
	struct http_req req = query("/v1/migration/state", NULL);

	run(&req);
	pump(store_end);
	assert_int_equal(seen.args.query, Q_MIGRATION_STATE);
	rows(seen.id, ROWS_OK, ok, NULL);
	want(200, NULL);
	assert_string_equal(got.body, ok);
	req = query("/v1/migration/state", NULL);
	run(&req);
	pump(store_end);
	rows(seen.id, ROWS_OK, bad, NULL);
	want(503, NULL);
	assert_string_equal(got.body, bad);
}

/* ---- evidence ---- */

static void
ask_for(const char *path, const char *qs, const char *role, enum query q,
    enum rows_status status, const char *text)
{
	static struct http_req req;

	req = query(path, qs);
	req.role = role;
	run(&req);
	pump(store_end);
	assert_int_equal(seen.args.query, q);
	rows(seen.id, status, text, NULL);
}

static void
test_one(void **state)
{
	static const char entry[] = "{\"id\": 7, \"context\": {\"b\": 1}}";

	ask_for("/v1/audit/7", NULL, "admin", Q_AUDIT_ONE, ROWS_OK, entry);
	want(200, NULL);
	assert_int_equal(seen.args.from, 7);
	assert_string_equal(got.body, "{\"id\":7,\"context\":{\"b\":1}}");
	ask_for("/v1/audit/7", NULL, "api_key", Q_AUDIT_ONE, ROWS_OK, entry);
	assert_string_equal(got.body, "{\"id\":7,\"context\":null}");
	ask_for("/v1/audit/8", NULL, "api_key", Q_AUDIT_ONE, ROWS_NOT_FOUND,
	    NULL);
	want(404, "AUDIT_NOT_FOUND");
	ask_for("/v1/audit/8", NULL, "api_key", Q_AUDIT_ONE, ROWS_UNAVAILABLE,
	    NULL);
	want(503, "DATABASE_UNAVAILABLE");
}

static void
test_checkpoint(void **state)
{
	static const char path[] = "/v1/audit/checkpoint";
	char tag[64];

	ask_for(path, NULL, "api_key", Q_CHECKPOINT, ROWS_OK, "o\n1\nr\n");
	want(200, NULL);
	assert_string_equal(got.body, "o\n1\nr\n");
	assert_string_equal(got.content_type, "text/plain; charset=utf-8");
	assert_int_equal(sscanf(got.headers, "etag: %63s", tag), 1);
	assert_int_equal(strlen(tag), 34);
	got.if_none_match = tag;
	ask_for(path, NULL, "api_key", Q_CHECKPOINT, ROWS_OK, "o\n1\nr\n");
	want(304, NULL);
	ask_for(path, NULL, "api_key", Q_CHECKPOINT, ROWS_OK, "o\n2\nr\n");
	want(200, NULL);
	ask_for(path, NULL, "api_key", Q_CHECKPOINT, ROWS_NOT_FOUND, NULL);
	want(404, "CHECKPOINT_NOT_FOUND");
	assert_non_null(strstr(got.body, "archillxctl key new-signing"));
}

static void
test_proofs(void **state)
{
	static const char proof[] = "/v1/audit/proof";
	static const char cons[] = "/v1/audit/consistency";

	ask_for(proof, "seq=9", "admin", Q_PROOF, ROWS_OK, "text\n");
	want(200, NULL);
	assert_int_equal(seen.args.from, 9);
	assert_string_equal(got.body, "text\n");
	metric_set(&notary_slot, MG_CHECKPOINT_SEQ, 8);
	ask_for(proof, "seq=9", "admin", Q_PROOF, ROWS_NOT_FOUND, NULL);
	want(404, "NOT_COVERED");
	assert_non_null(strstr(got.headers, "retry-after: "));
	assert_non_null(strstr(got.body, "{\"checkpoint_size\":8}"));
	metric_set(&notary_slot, MG_CHECKPOINT_SEQ, 0);
	ask_for(proof, "seq=9", "admin", Q_PROOF, ROWS_NOT_FOUND, NULL);
	want(404, "CHECKPOINT_NOT_FOUND");
	ask_for(cons, "from=2&to=5", "api_key", Q_CONSISTENCY, ROWS_OK, "{}");
	want(200, NULL);
	assert_int_equal(seen.args.from, 2);
	assert_int_equal(seen.args.to, 5);
	ask_for(cons, "from=2", "api_key", Q_CONSISTENCY, ROWS_BAD_RANGE, NULL);
	want(400, "AUDIT_INVALID_TREE_RANGE");
	assert_int_equal(seen.args.to, 0);
	ask_for(cons, "from=2", "api_key", Q_CONSISTENCY, ROWS_NOT_FOUND, NULL);
	want(404, "CHECKPOINT_NOT_FOUND");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_page),
		T(test_other_queries),
		T(test_query_errors),
		T(test_store_lost),
		T(test_migration),
		T(test_one),
		T(test_checkpoint),
		T(test_proofs),
	};

	return (cmocka_run_group_tests_name("api_store", tests, NULL, NULL));
}
