/* SPDX-License-Identifier: ISC */
/*
 * The API without a server: real handlers and real channels, and in place of
 * the connection a recorder of what was answered. The other ends of the
 * channels are played by the test, so that every verdict of the gate and every
 * way to lose it can be shown.
 */
#include <sys/socket.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/manifest.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/http/api.h"
#include "workers/http/shapes.h"

/* ---- the server's side, as a recorder ---- */

static struct {
	int status, count;
	char *body;
	char headers[1024]; /* "name: value\n" */
	const char *content_type, *idem_key, *sent_type;
	bool rate_ok;
} got;

const char *
http_fact(const struct http_ctx *ctx, const char *name)
{
	return (strcmp(name, "version") == 0 ? "9.9.9" : NULL);
}

const char *
http_req_header(const struct http_req *req, const char *name)
{
	if (strcmp(name, "content-type") == 0)
		return (got.sent_type);
	return (strcmp(name, "idempotency-key") == 0 ? got.idem_key : NULL);
}

void
http_reply_header(struct http_req *req, const char *name, const char *value)
{
	size_t n = strlen(got.headers);

	snprintf(got.headers + n, sizeof(got.headers) - n, "%s: %s\n", name,
	    value);
}

void
http_reply(struct http_req *req, int status, const char *type, const void *body,
    size_t len)
{
	got.status = status;
	got.content_type = type;
	got.count++;
	free(got.body);
	got.body = calloc(1, len + 1);
	if (len > 0)
		memcpy(got.body, body, len);
}

bool
http_rate_admit(struct http_req *req, enum http_bucket b, unsigned *limit,
    unsigned *reset_s)
{
	*limit = 15;
	*reset_s = 7;
	return (got.rate_ok);
}

void
expo_write(struct buf *b, const struct http_ctx *ctx, uint64_t now)
{
	buf_adds(b, "# text\n");
}

/* ---- the other ends of the channels ---- */

static struct metrics_slot own_slot, audit_slot, store_slot, sched_slot,
    broker_slot;
static struct settings *settings;
static struct skill *skill_list[1];
static struct http_ctx ctx;
static struct ipc *audit_end, *store_end;

static struct {
	unsigned requests, cancels, events, queries;
	uint64_t id, event_count;
	enum gate_action action;
	char token[64], skill[64], inputs[256], key[140];
	struct query_args args;
	char action_filter[64];
} seen;

static void
copy(char *dst, const char *src, size_t size)
{
	snprintf(dst, size, "%s", src != NULL ? src : "(null)");
}

static void
on_request(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct gate_request g;

	assert_int_equal(gate_request_get(m->body, m->len, &g), 0);
	assert_int_equal(g.source, SRC_API);
	seen.requests++;
	seen.id = m->id;
	seen.action = g.action;
	copy(seen.token, g.token, sizeof(seen.token));
	copy(seen.skill, g.skill, sizeof(seen.skill));
	copy(seen.inputs, g.inputs, sizeof(seen.inputs));
	copy(seen.key, g.idem_key, sizeof(seen.key));
}

static void
on_cancel(struct ipc *c, struct ipc_msg *m, void *arg)
{
	seen.cancels++;
	seen.id = m->id;
}

static void
on_event(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	assert_true(mr_u8(&r) < AE_MAX);
	assert_non_null(mr_str_req(&r));
	assert_non_null(mr_str_req(&r));
	assert_true(strlen(mr_str_req(&r)) < 256);
	seen.event_count += mr_u64(&r);
	assert_int_equal(mr_end(&r), 0);
	seen.events++;
}

static void
on_query(struct ipc *c, struct ipc_msg *m, void *arg)
{
	assert_int_equal(query_args_get(m->body, m->len, &seen.args), 0);
	seen.queries++;
	seen.id = m->id;
	copy(seen.action_filter, seen.args.action, sizeof(seen.action_filter));
}

static void
on_any(struct ipc *c, struct ipc_msg *m, void *arg)
{
	fail_msg("unexpected %s", msg_name(m->type));
}

static void
on_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	fail_msg("channel lost: %s", why);
}

/* A table with a handler for whatever the rules let the peer send. */
static struct ipc *
end_of(int fd, enum proc_role self, enum proc_role peer,
    const struct ipc_route *mine, size_t n)
{
	static struct ipc_route all[MSG_MAX];
	const struct msg_rule *rule;
	size_t i, nall = 0;
	unsigned t;
	struct ipc *c;

	for (t = 1; t < MSG_MAX; t++) {
		rule = msg_rule(t);
		if (rule == NULL || (rule->from & PROC_BIT(peer)) == 0 ||
		    (rule->to & PROC_BIT(self)) == 0)
			continue;
		all[nall].type = t;
		all[nall].fn = on_any;
		for (i = 0; i < n; i++)
			if (mine[i].type == t)
				all[nall].fn = mine[i].fn;
		nall++;
	}
	c = ipc_new(NULL, fd, self, peer, 0, all, nall, on_lost, &ctx);
	assert_non_null(c);
	ipc_set_state(c, PS_RUN);
	return (c);
}

static void
connect_all(void)
{
	static const struct ipc_route http[] = {
		{ MSG_GATE_RESULT, http_on_gate_result },
		{ MSG_ROWS, http_on_rows },
	};
	static const struct ipc_route audit[] = {
		{ MSG_GATE_REQUEST, on_request },
		{ MSG_CANCEL, on_cancel },
		{ MSG_AUDIT_EVENT, on_event },
	};
	static const struct ipc_route store[] = {
		{ MSG_QUERY, on_query },
	};
	int a[2], s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	ctx.audit = end_of(a[0], PROC_HTTP, PROC_AUDIT, http, AX_NELEM(http));
	ctx.store = end_of(s[0], PROC_HTTP, PROC_STORE, http, AX_NELEM(http));
	audit_end = end_of(a[1], PROC_AUDIT, PROC_HTTP, audit, AX_NELEM(audit));
	store_end = end_of(s[1], PROC_STORE, PROC_HTTP, store, AX_NELEM(store));
}

static int
setup(void **state)
{
	static const char manifest[] =
	    "{\"name\":\"s1\",\"version\":\"1\","
	    "\"description\":\"d\",\"permissions\":[\"filesystem\"],"
	    "\"runtime\":{\"kind\":\"files\"}}";
	char err[200] = "";

	memset(&ctx, 0, sizeof(ctx));
	memset(&seen, 0, sizeof(seen));
	memset(&got, 0, sizeof(got));
	memset(&own_slot, 0, sizeof(own_slot));
	got.rate_ok = true;
	settings = settings_new();
	assert_non_null(settings);
	skill_list[0] =
	    skill_parse(manifest, sizeof(manifest) - 1, "s1", err, sizeof(err));
	if (skill_list[0] == NULL)
		fail_msg("%s", err);
	ctx.settings = settings;
	ctx.skills = skill_list;
	ctx.nskills = 1;
	ctx.slot = &own_slot;
	ctx.slots[PROC_HTTP][0] = &own_slot;
	ctx.slots[PROC_AUDIT][0] = &audit_slot;
	ctx.slots[PROC_STORE][0] = &store_slot;
	ctx.slots[PROC_SCHEDULER][0] = &sched_slot;
	ctx.slots[PROC_BROKER][0] = &broker_slot;
	connect_all();
	api_init(&ctx);
	api_conf_changed(&ctx);
	return (0);
}

static int
teardown(void **state)
{
	ipc_free(ctx.audit);
	ipc_free(ctx.store);
	ipc_free(audit_end);
	ipc_free(store_end);
	inflight_clear(&api.inflight);
	buf_free(&api.root);
	buf_free(&api.live);
	buf_free(&api.healthz);
	buf_free(&api.openapi);
	skill_free(skill_list[0]);
	settings_free(settings);
	free(got.body);
	return (0);
}

/* Everything that waits on the channel's end, without waiting for more. */
static void
pump(struct ipc *c)
{
	while (ipc_recv_blocking(c, 0) == 0)
		;
}

static struct http_req
request(enum http_method method, const char *path, const char *role)
{
	struct http_req req = {
		.ctx = &ctx,
		.method = method,
		.method_text = method == HTTP_POST ? "POST" : "GET",
		.path = path,
		.raw_path = path,
		.content_length = -1,
		.max_body = 2000000,
		.request_id = "rid-1",
		.address = "127.0.0.1",
		.auth = role != NULL ? HTTP_AUTH_OK : HTTP_AUTH_NONE,
		.role = role,
		.actor = role,
		.token = role != NULL ? "secret" : NULL,
	};

	got.status = got.count = 0;
	got.headers[0] = '\0';
	return (req);
}

static void
run(struct http_req *req)
{
	if (api_head(req) == 0)
		api_request(req);
}

static struct http_req *
post(struct http_req *req, const char *body)
{
	req->has_body = true;
	req->body = body;
	req->body_len = strlen(body);
	req->content_length = (int64_t)req->body_len;
	got.sent_type = "application/json";
	return (req);
}

static void
want(int status, const char *code)
{
	char key[80];

	if (got.status != status || got.count != 1)
		fail_msg("%d (%d answers): %s", got.status, got.count,
		    got.body);
	if (code == NULL)
		return;
	snprintf(key, sizeof(key), "{\"detail\":{\"code\":\"%s\",", code);
	if (strncmp(got.body, key, strlen(key)) != 0)
		fail_msg("%s", got.body);
}

/* ---- the dispatcher ---- */

/* clang-format off */
static const struct {
	enum http_method method;
	const char *path, *role;
	int status;
	const char *code; /* or the allow field */
} gatekeeping[] = {
	{ HTTP_GET, "/v1/live", NULL, 200, NULL },
	{ HTTP_HEAD, "/v1/live", NULL, 200, NULL },
	{ HTTP_GET, "/livez", NULL, 200, NULL },
	{ HTTP_GET, "/", NULL, 200, NULL },
	{ HTTP_GET, "/healthz", NULL, 200, NULL },
	{ HTTP_GET, "/v1/health", NULL, 200, NULL },
	{ HTTP_GET, "/metrics", NULL, 200, NULL },
	{ HTTP_GET, "/v1/metrics", NULL, 200, NULL },
	{ HTTP_GET, "/openapi.json", NULL, 200, NULL },
	{ HTTP_GET, "/v1/skills", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/skills", "api_key", 200, NULL },
	{ HTTP_GET, "/v1/skills/s1", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/skills/s1", "api_key", 200, NULL },
	{ HTTP_GET, "/v1/skills/s2", "api_key", 404, "SKILL_NOT_FOUND" },
	{ HTTP_GET, "/v1/governor/config", "anonymous", 200, NULL },
	{ HTTP_GET, "/v1/audit", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_POST, "/v1/skills/s1/enable", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_POST, "/v1/skills/s1/enable", "api_key", 403, "FORBIDDEN" },
	{ HTTP_POST, "/v1/skills/s1/disable", "anonymous", 403, "FORBIDDEN" },
	{ HTTP_POST, "/v1/skills/s1/disable", "adminx", 403, "FORBIDDEN" },
	{ HTTP_GET, "/nowhere", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/nowhere", "api_key", 404, NULL },
	{ HTTP_GET, "/v1/skills%2Fs1", "api_key", 404, NULL },
	{ HTTP_POST, "/v1/skills", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_POST, "/v1/skills", "api_key", 405, "GET, HEAD, OPTIONS" },
	{ HTTP_PUT, "/v1/live", NULL, 405, "GET, HEAD, OPTIONS" },
	{ HTTP_OTHER, "/v1/live", NULL, 405, "GET, HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/v1/live", NULL, 204, "GET, HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/v1/skills/invoke", NULL, 204, "POST, OPTIONS" },
	{ HTTP_GET, "/v1/skills/invoke", "admin", 405, "POST, OPTIONS" },
};
/* clang-format on */

static void
test_gatekeeping(void **state)
{
	struct http_req req;
	char allow[80];
	size_t i;

	for (i = 0; i < AX_NELEM(gatekeeping); i++) {
		req = request(gatekeeping[i].method, gatekeeping[i].path,
		    gatekeeping[i].role);
		run(&req);
		if (gatekeeping[i].status == 405 ||
		    gatekeeping[i].status == 204) {
			want(gatekeeping[i].status, NULL);
			snprintf(allow, sizeof(allow), "allow: %s\n",
			    gatekeeping[i].code);
			assert_string_equal(got.headers, allow);
		} else
			want(gatekeeping[i].status, gatekeeping[i].code);
	}
	/* what was an escaped slash does not separate */
	req = request(HTTP_GET, "/v1/skills/s1", "api_key");
	req.raw_path = "/v1/skills%2fs1";
	run(&req);
	want(404, NULL);
	assert_string_equal(got.body, "{\"detail\":\"Not Found\"}");
	assert_int_equal(own_slot.counter[MC_FORBIDDEN], 3);
	assert_int_equal(seen.requests, 0);
}

static void
test_rate(void **state)
{
	struct http_req req = request(HTTP_GET, "/v1/skills", "api_key");

	got.rate_ok = false;
	run(&req);
	want(429, "RATE_LIMITED");
	assert_non_null(strstr(got.body,
	    "\"bucket\":\"default\",\"limit\":15,"
	    "\"reset_after_s\":7"));
	req = request(HTTP_POST, "/v1/skills/invoke", NULL);
	run(&req);
	want(429, "RATE_LIMITED");
	assert_non_null(strstr(got.body, "\"bucket\":\"high_risk\""));
	req = request(HTTP_GET, "/v1/ready", NULL);
	run(&req);
	assert_int_not_equal(got.status, 429);
	req = request(HTTP_GET, "/metrics", NULL);
	run(&req);
	assert_int_equal(got.status, 200);
}

static void
test_media_type(void **state)
{
	static const struct {
		const char *type;
		int status;
	} cases[] = {
		{ "application/json", 422 },
		{ "Application/JSON; charset=utf-8", 422 },
		{ "application/json ;x", 422 },
		{ "application/jsonx", 415 },
		{ "text/json", 415 },
		{ "", 415 },
		{ NULL, 415 },
	};
	struct http_req req;
	size_t i;

	for (i = 0; i < AX_NELEM(cases); i++) {
		req = request(HTTP_POST, "/v1/skills/invoke", "admin");
		post(&req, "{}");
		got.sent_type = cases[i].type;
		run(&req);
		want(cases[i].status, NULL);
	}
	/* no body at all is a missing body, whatever its type would be */
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	post(&req, "{}");
	req.content_length = 2000001;
	run(&req);
	want(413, "PAYLOAD_TOO_LARGE");
	assert_int_equal(seen.requests, 0);
}

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

/* ---- the store ---- */

static void
rows(uint64_t id, enum rows_status status, const char *json, const char *next)
{
	struct buf b = BUF_INITIALIZER;

	mw_u8(&b, (uint8_t)status);
	mw_str(&b, json);
	mw_str(&b, next);
	assert_int_equal(ipc_send_buf(store_end, MSG_ROWS, id, &b), 0);
	buf_free(&b);
	assert_int_equal(ipc_recv_blocking(ctx.store, 1000), 0);
}

static struct http_req
query(const char *path, const char *qs)
{
	struct http_req req = request(HTTP_GET, path, "api_key");

	req.query = qs;
	return (req);
}

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

/* ---- readiness ---- */

static void
ready(const char *role, int status, const char *text)
{
	struct http_req req = request(HTTP_GET, "/v1/ready", role);

	run(&req);
	want(status, NULL);
	if (strstr(got.body, text) == NULL)
		fail_msg("%s", got.body);
	assert_int_equal(strstr(got.body, "\"details\":{") != NULL,
	    role != NULL);
	assert_int_equal(strstr(got.headers, "retry-after: ") != NULL,
	    status == 503);
	api_tick(&ctx, ax_mono_us());
	assert_int_equal(own_slot.gauge[MG_READY], status == 200);
}

static void
test_ready(void **state)
{
	struct ipc *audit = ctx.audit;
	char err[200];

	ready(NULL, 503,
	    "\"errors\":[\"db:unavailable\",\"cron:stopped\","
	    "\"audit_dir:closed\",\"migration:not_at_head\"]");
	metric_set(&store_slot, MG_STORE_OK, 1);
	metric_set(&store_slot, MG_MIGRATION_OK, 1);
	metric_set(&sched_slot, MG_SCHED_OK, 1);
	metric_set(&audit_slot, MG_GATE_OPEN, 1);
	ready(NULL, 200,
	    "\"checks\":{\"db\":true,\"skills\":true,"
	    "\"cron\":true,\"audit_dir\":true,\"migration\":true}");
	ready("api_key", 200, "\"status\":\"ready\"");
	ctx.audit = NULL;
	ready(NULL, 503, "\"errors\":[\"audit_dir:closed\"]");
	ctx.audit = audit;

	assert_int_equal(settings_set(settings, SET_ENABLE_CODE_EXEC, "yes",
			     "test", err, sizeof(err)),
	    0);
	ready(NULL, 503, "\"errors\":[\"sandbox:unavailable\"]");
	metric_set(&broker_slot, MG_SANDBOX_OK, 1);
	ready(NULL, 200, "\"sandbox\":true");
	metric_set(&broker_slot, MG_SANDBOX_DEGRADED, 1);
	ready(NULL, 503, "\"sandbox\":false");
	assert_int_equal(settings_set(settings, SET_SANDBOX_ALLOW_NO_CGROUP,
			     "yes", "test", err, sizeof(err)),
	    0);
	ready(NULL, 200, "\"sandbox\":true");
	metric_set(&store_slot, MG_MIGRATION_OK, 0);
	ready(NULL, 503, "migration:not_at_head");
	assert_int_equal(settings_set(settings, SET_REQUIRE_MIGRATION_HEAD,
			     "no", "test", err, sizeof(err)),
	    0);
	ready(NULL, 200, "\"migration\":true");
}

/* ---- the document ---- */

/* Every reference leads somewhere; returns how many there were. */
static unsigned
check_refs(const json_t *v, const json_t *schemas)
{
	static const char prefix[] = "#/components/schemas/";
	const char *key;
	const json_t *m;
	unsigned n = 0;
	json_t *w;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, key, w) {
			if (strcmp(key, "$ref") == 0) {
				const char *s = json_string_value(w);

				assert_memory_equal(s, prefix,
				    sizeof(prefix) - 1);
				assert_non_null(json_object_get(schemas,
				    s + sizeof(prefix) - 1));
				n++;
			} else
				n += check_refs(w, schemas);
		}
	} else
		json_array_foreach(v, i, m)
			n += check_refs(m, schemas);
	return (n);
}

static void
test_document(void **state)
{
	struct http_req req = request(HTTP_GET, "/openapi.json", NULL);
	json_t *doc, *op, *paths, *item;
	const char *path;
	unsigned i, n = 0;

	run(&req);
	want(200, NULL);
	doc = json_loads(got.body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "openapi")),
	    "3.1.0");
	paths = json_object_get(doc, "paths");
	for (i = 0; i < api_nroutes; i++) {
		item = json_object_get(paths, api_routes[i].path);
		op = json_object_get(item,
		    api_routes[i].method == HTTP_GET ? "get" : "post");
		assert_non_null(op);
		assert_string_equal(json_string_value(
					json_object_get(op, "operationId")),
		    api_routes[i].id);
		assert_int_equal(json_array_size(
				     json_object_get(op, "security")),
		    api_routes[i].access == ACCESS_PUBLIC ? 0 : 2);
		assert_true(api_routes[i].method == HTTP_GET ||
		    api_routes[i].method == HTTP_POST);
	}
	json_object_foreach(paths, path, item)
		n += json_object_size(item);
	assert_int_equal(n, api_nroutes);
	assert_true(check_refs(doc,
			json_object_get(json_object_get(doc, "components"),
			    "schemas")) > 30);
	json_decref(doc);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_gatekeeping),
		T(test_rate),
		T(test_media_type),
		T(test_verdicts),
		T(test_idempotency_key),
		T(test_gate_closed),
		T(test_gate_full),
		T(test_client_gone),
		T(test_audit_lost),
		T(test_gate_mute),
		T(test_events),
		T(test_page),
		T(test_other_queries),
		T(test_query_errors),
		T(test_store_lost),
		T(test_migration),
		T(test_ready),
		T(test_document),
	};

	return (cmocka_run_group_tests_name("api", tests, NULL, NULL));
}
