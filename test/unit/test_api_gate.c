/* SPDX-License-Identifier: ISC */
/*
 * Actions through the gate: every verdict has its answer, and whatever is lost
 * on the way never says that nothing was started when it may have been.
 */
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

/* ---- the gate ---- */

/* clang-format off */
static const struct {
	enum gate_status status;
	int http;
	const char *code;
	bool retry;
	const char *text; /* must be in the body */
} verdict_table[] = {
	{ GS_DONE, 200, NULL, false, "{\"success\":true,\"output\":{\"n\":1},"
	    "\"error\":null,\"elapsed_s\":0.012,\"decision\":\"WARNED\","
	    "\"risk_score\":77,\"permit\":5,\"seq\":6}" },
	{ GS_CHANGED, 200, NULL, false,
	    "{\"name\":\"s1\",\"enabled\":false,\"seq\":6}" },
	{ GS_UNAUTHORIZED, 401, "UNAUTHORIZED", false, "\"}}" },
	{ GS_FORBIDDEN, 403, "FORBIDDEN", false, "\"details\":{}" },
	{ GS_SKILL_NOT_FOUND, 404, "SKILL_NOT_FOUND", false,
	    "\"details\":{}" },
	{ GS_SKILL_DISABLED, 503, "SKILL_DISABLED", true,
	    "\"details\":{\"name\":\"s1\"}" },
	{ GS_ACL_DENIED, 403, "SKILL_ACCESS_DENIED", false,
	    "\"details\":{\"name\":\"s1\"}" },
	{ GS_INPUT_INVALID, 400, "SKILL_INPUT_INVALID", false,
	    "\"details\":{\"name\":\"s1\",\"errors\":[7]}" },
	{ GS_BLOCKED, 403, "GOVERNOR_BLOCKED", false,
	    "\"details\":{\"decision\":\"WARNED\",\"risk_score\":77,"
	    "\"reason\":\"why\",\"rules\":[7],\"seq\":6}" },
	{ GS_UNAVAILABLE, 503, "AUDIT_UNAVAILABLE", true, NULL },
	{ GS_BUSY, 503, "BUSY", true, NULL },
	{ GS_NOT_RECORDED, 500, "OUTCOME_NOT_RECORDED", false,
	    "\"details\":{\"permit\":5,\"seq\":6}" },
	{ GS_INTERRUPTED, 500, "RUN_INTERRUPTED", false,
	    "\"details\":{\"permit\":5,\"seq\":6}" },
	{ GS_INTERNAL, 500, "INTERNAL_SERVER_ERROR", false,
	    "\"request_id\":\"rid-1\"" },
};
/* clang-format on */

static void
answer(uint64_t id, enum gate_status status)
{
	struct buf b = BUF_INITIALIZER;
	struct gate_result g = {
		.status = status,
		.success = 1,
		.decision = "WARNED",
		.risk_score = 77,
		.reason = "why",
		.permit = 5,
		.seq = 6,
		.elapsed_us = 12345,
		.retry_after_s = 3,
		.output = "{\"n\":1}",
		.detail = "[7]",
	};

	gate_result_put(&b, &g);
	assert_int_equal(ipc_send_buf(audit_end, MSG_GATE_RESULT, id, &b), 0);
	buf_free(&b);
	assert_int_equal(ipc_recv_blocking(ctx.audit, 1000), 0);
}

#define INVOKE_BODY "{\"name\":\"s1\",\"inputs\":{\"a\": [1, \"\xc3\xa9\"]}}"

static void
test_verdicts(void **state)
{
	struct http_req req;
	size_t i;

	assert_int_equal(AX_NELEM(verdict_table), GATE_STATUS_MAX);
	for (i = 0; i < AX_NELEM(verdict_table); i++) {
		enum gate_status s = verdict_table[i].status;

		req = request(HTTP_POST,
		    s == GS_CHANGED ? "/v1/skills/s1/disable" :
				      "/v1/skills/invoke",
		    "admin");
		run(post(&req, INVOKE_BODY));
		assert_int_equal(got.count, 0);
		assert_non_null(req.on_gone);
		pump(audit_end);
		assert_int_equal(seen.requests, i + 1);
		assert_string_equal(seen.token, "secret");
		assert_string_equal(seen.skill, "s1");
		assert_string_equal(seen.inputs,
		    s == GS_CHANGED ? "{}" : "{\"a\":[1,\"\xc3\xa9\"]}");
		assert_int_equal(seen.action,
		    s == GS_CHANGED ? GATE_SKILL_DISABLE : GATE_INVOKE);
		answer(seen.id, s);
		want(verdict_table[i].http, verdict_table[i].code);
		assert_null(req.on_gone);
		assert_int_equal(strstr(got.headers, "retry-after: 3\n") !=
			NULL,
		    verdict_table[i].retry);
		if (verdict_table[i].text != NULL &&
		    strstr(got.body, verdict_table[i].text) == NULL)
			fail_msg("%s", got.body);
	}
	assert_int_equal(api.inflight.used, 0);
}

/* The gate says itself what it did to the files. */
static void
test_archive(void **state)
{
	struct http_req req = request(HTTP_POST, "/v1/audit/archive", "admin");

	run(&req);
	pump(audit_end);
	assert_int_equal(seen.action, GATE_ARCHIVE);
	assert_string_equal(seen.skill, "");
	answer(seen.id, GS_CHANGED);
	want(200, NULL);
	assert_string_equal(got.body, "{\"n\":1}");
	req = request(HTTP_POST, "/v1/audit/archive", "admin");
	run(&req);
	pump(audit_end);
	answer(seen.id, GS_UNAVAILABLE);
	want(503, "AUDIT_UNAVAILABLE");
}

static void
test_idempotency_key(void **state)
{
	static const char *const bad[] = { "", "a b", "\x7f", "\xc3\xa9" };
	struct http_req req;
	char key[130];
	size_t i;

	for (i = 0; i < AX_NELEM(bad) + 1; i++) {
		memset(key, 'k', 129);
		key[129] = '\0';
		req = request(HTTP_POST, "/v1/skills/invoke", "admin");
		got.idem_key = i < AX_NELEM(bad) ? bad[i] : key;
		run(post(&req, INVOKE_BODY));
		want(400, "IDEMPOTENCY_KEY_INVALID");
	}
	key[128] = '\0';
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	got.idem_key = key;
	run(post(&req, INVOKE_BODY));
	pump(audit_end);
	assert_string_equal(seen.key, key);
	answer(seen.id, GS_DONE);
	want(200, NULL);
	assert_int_equal(seen.requests, 1);
}

/* Nothing starts, and the answer says so. */
static void
test_gate_closed(void **state)
{
	struct http_req req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	struct ipc *audit = ctx.audit;

	ctx.audit = NULL;
	run(post(&req, INVOKE_BODY));
	want(503, "AUDIT_UNAVAILABLE");
	assert_non_null(strstr(got.headers, "retry-after: "));
	ctx.audit = audit;
	ctx.draining = true;
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	run(post(&req, INVOKE_BODY));
	want(503, "BUSY");
	assert_non_null(strstr(got.headers, "retry-after: "));
	ctx.draining = false;
	pump(audit_end);
	assert_int_equal(seen.requests, 0);
	assert_int_equal(api.inflight.used, 0);

	/* a name that cannot be is not sent */
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	run(post(&req, "{\"name\":\"../x\"}"));
	want(404, "SKILL_NOT_FOUND");
	pump(audit_end);
	assert_int_equal(seen.requests, 0);
	assert_int_equal(own_slot.counter[MC_SKILL_NOT_FOUND], 1);
}

static void
test_gate_full(void **state)
{
	struct http_req req;
	unsigned i;

	/* nobody reads: the kernel's queue, then ours up to the high mark */
	for (i = 0; i < 100000; i++) {
		req = request(HTTP_POST, "/v1/skills/invoke", "admin");
		run(post(&req, INVOKE_BODY));
		if (got.count != 0)
			break;
		api_gate_audit_down(); /* lets the entry go */
	}
	want(503, "BUSY");
	assert_true(i > 0 && i < 100000);
	assert_int_equal(api.inflight.used, 0);
}

/* The client left: CANCEL, and what comes late reaches nobody. */
static void
test_client_gone(void **state)
{
	struct http_req req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	uint64_t id;

	run(post(&req, INVOKE_BODY));
	pump(audit_end);
	id = seen.id;
	req.on_gone(&req);
	assert_int_equal(api.inflight.used, 0);
	seen.id = 0;
	pump(audit_end);
	assert_int_equal(seen.cancels, 1);
	assert_int_equal(seen.id, id);
	answer(id, GS_DONE);
	assert_int_equal(got.count, 0);
	assert_int_equal(own_slot.counter[MC_IPC_DROPPED], 1);
	answer(12345, GS_DONE);
	assert_int_equal(own_slot.counter[MC_IPC_DROPPED], 2);
}

static void
test_audit_lost(void **state)
{
	struct http_req req = request(HTTP_POST, "/v1/skills/invoke", "admin");

	run(post(&req, INVOKE_BODY));
	api_peer_down(&ctx, PROC_STORE);
	assert_int_equal(got.count, 0);
	api_peer_down(&ctx, PROC_AUDIT);
	want(500, "RUN_INTERRUPTED");
	assert_null(strstr(got.headers, "retry-after"));
	assert_int_equal(api.inflight.used, 0);
}

static void
test_gate_mute(void **state)
{
	struct http_req req = request(HTTP_POST, "/v1/skills/invoke", "admin");

	run(post(&req, INVOKE_BODY));
	api_tick(&ctx, ax_mono_us());
	assert_int_equal(got.count, 0);
	api_tick(&ctx, ax_mono_us() + 3600ull * 1000000);
	want(500, "RUN_INTERRUPTED");
	pump(audit_end);
	assert_int_equal(seen.cancels, 1);
	assert_int_equal(api.inflight.used, 0);
}

/* A flood of refusals is few records, and none of it is lost to the count. */

static void
test_events(void **state)
{
	struct http_req req;
	uint64_t now;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		req = request(HTTP_GET, "/v1/audit", NULL);
		run(&req);
		want(401, "UNAUTHORIZED");
	}
	assert_non_null(strstr(got.headers, "www-authenticate: Bearer"));
	pump(audit_end);
	assert_in_range(seen.events, 1, 8);
	now = ax_mono_us();
	api_tick(&ctx, now + 2000000);
	pump(audit_end);
	/* the earlier tests' refusals were held back as well */
	assert_true(seen.event_count >= 1000);
	assert_in_range(seen.events, 2, 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_verdicts),
		T(test_archive),
		T(test_idempotency_key),
		T(test_gate_closed),
		T(test_gate_full),
		T(test_client_gone),
		T(test_audit_lost),
		T(test_gate_mute),
		T(test_events),
	};

	return (cmocka_run_group_tests_name("api_gate", tests, NULL, NULL));
}
