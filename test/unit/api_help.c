/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the API share: the recorder in place of the server, and
 * the other ends of the channels. It must be as strict as what it stands for.
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

#include <event2/event.h>

#include "common/util.h"
#include "test/unit/api_help.h"
#include "workers/http/stream.h"

/* ---- the server's side, as a recorder ---- */

struct got got;

const char *
http_fact(const struct http_ctx *c, const char *name)
{
	return (strcmp(name, "version") == 0 ? "9.9.9" : NULL);
}

const char *
http_req_header(const struct http_req *req, const char *name)
{
	if (strcmp(name, "content-type") == 0)
		return (got.sent_type);
	if (strcmp(name, "last-event-id") == 0)
		return (got.last_event_id);
	if (strcmp(name, "if-none-match") == 0)
		return (got.if_none_match);
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

enum stream_begun
http_stream_begin(struct http_req *req, int status, const char *type,
    void (*more)(struct http_req *))
{
	if (got.full)
		return (STREAM_FULL);
	http_reply(req, status, type, NULL, 0);
	req->token = NULL;
	got.streaming = req->method != HTTP_HEAD;
	got.more = more;
	return (got.streaming ? STREAM_OPEN : STREAM_DONE);
}

bool
http_stream_room(struct http_req *req)
{
	assert_true(got.streaming);
	return (!got.no_room);
}

void
http_stream_write(struct http_req *req, const void *p, size_t n)
{
	assert_true(got.streaming);
	buf_add(&got.text, p, n);
}

void
http_stream_end(struct http_req *req)
{
	assert_true(got.streaming);
	got.streaming = false;
	got.ended = true;
}

void
http_stream_abort(struct http_req *req)
{
	assert_true(got.streaming);
	got.streaming = false;
	got.aborted = true;
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
expo_write(struct buf *b, const struct http_ctx *c, uint64_t now)
{
	buf_adds(b, "# text\n");
}

/* ---- the other ends of the channels ---- */

struct metrics_slot own_slot, audit_slot, notary_slot, store_slot, sched_slot,
    broker_slot;
struct settings *settings;
static struct skill *skill_list[1];
struct http_ctx ctx;
struct ipc *audit_end, *store_end;

struct seen seen;

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
	const char *detail;
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	assert_true(mr_u8(&r) < AE_MAX);
	assert_non_null(mr_str(&r));
	(void)mr_str(&r);
	detail = mr_str(&r);
	assert_true(detail == NULL || strlen(detail) < 256);
	seen.event_count += mr_u64(&r);
	(void)mr_u64(&r);
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
	copy(seen.cursor, seen.args.cursor, sizeof(seen.cursor));
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

int
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
	ctx.base = event_base_new();
	assert_non_null(ctx.base);
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
	ctx.slots[PROC_NOTARY][0] = &notary_slot;
	ctx.slots[PROC_STORE][0] = &store_slot;
	ctx.slots[PROC_SCHEDULER][0] = &sched_slot;
	ctx.slots[PROC_BROKER][0] = &broker_slot;
	connect_all();
	api_init(&ctx);
	api_conf_changed(&ctx);
	return (0);
}

int
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
	buf_free(&got.text);
	event_base_free(ctx.base);
	return (0);
}

void
pump(struct ipc *c)
{
	while (ipc_recv_blocking(c, 0) == 0)
		;
}

struct http_req
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
	got.streaming = got.ended = got.aborted = false;
	buf_reset(&got.text);
	return (req);
}

void
run(struct http_req *req)
{
	if (api_head(req) == 0)
		api_request(req);
}

struct http_req *
post(struct http_req *req, const char *body)
{
	req->has_body = true;
	req->body = body;
	req->body_len = strlen(body);
	req->content_length = (int64_t)req->body_len;
	got.sent_type = "application/json";
	return (req);
}

void
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

struct http_req
query(const char *path, const char *qs)
{
	struct http_req req = request(HTTP_GET, path, "api_key");

	req.query = qs;
	return (req);
}

void
rows(uint64_t id, enum rows_status status, const char *text, const char *next)
{
	struct buf b = BUF_INITIALIZER;

	mw_u8(&b, (uint8_t)status);
	mw_str(&b, text);
	mw_str(&b, next);
	assert_int_equal(ipc_send_buf(store_end, MSG_ROWS, id, &b), 0);
	buf_free(&b);
	assert_int_equal(ipc_recv_blocking(ctx.store, 1000), 0);
}
