/* SPDX-License-Identifier: ISC */
/*
 * Actions: the request goes to the audit process with the token as it was
 * presented, and the gate's verdict comes back as one of a closed list of
 * states, each with one answer. The front decides nothing here; it must never
 * say that something was not started when it cannot know that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipc.h"
#include "common/jw.h"
#include "common/util.h"
#include "workers/http/api.h"

/* Only the executor ends runs; this ends the wait for a gate that is mute. */
#define GATE_DEADLINE_US 600000000u
#define IDEM_KEY_MAX	 128

/* What an answer says under "details". */
enum details { D_NONE, D_NAME, D_ERRORS, D_VERDICT, D_PERMIT };

/* GS_DONE and GS_CHANGED are answers, no refusals. */
static const struct {
	enum api_error error;
	enum details details;
} verdicts[GATE_STATUS_MAX] = {
	[GS_UNAUTHORIZED] = { ERR_UNAUTHORIZED, D_NONE },
	[GS_FORBIDDEN] = { ERR_FORBIDDEN, D_NONE },
	[GS_SKILL_NOT_FOUND] = { ERR_SKILL_NOT_FOUND, D_NONE },
	[GS_SKILL_DISABLED] = { ERR_SKILL_DISABLED, D_NAME },
	[GS_ACL_DENIED] = { ERR_SKILL_DENIED, D_NAME },
	[GS_INPUT_INVALID] = { ERR_SKILL_INPUT, D_ERRORS },
	[GS_BLOCKED] = { ERR_BLOCKED, D_VERDICT },
	[GS_UNAVAILABLE] = { ERR_AUDIT_UNAVAILABLE, D_NONE },
	[GS_BUSY] = { ERR_BUSY, D_NONE },
	[GS_NOT_RECORDED] = { ERR_NOT_RECORDED, D_PERMIT },
	[GS_INTERRUPTED] = { ERR_INTERRUPTED, D_PERMIT },
	[GS_INTERNAL] = { ERR_INTERNAL, D_NONE },
};

/* What waits for the gate: f->data. */
struct action {
	enum gate_action what;
	char skill[]; /* its name */
};

static struct action *
release(struct inflight *f)
{
	struct action *a = f->data;

	f->req->on_gone = NULL;
	f->req->app = NULL;
	inflight_drop(&api.inflight, f);
	return (a);
}

static void
cancel(uint64_t id)
{
	if (api.ctx->audit != NULL)
		(void)ipc_send(api.ctx->audit, MSG_CANCEL, id, NULL, 0);
}

static void
gone(struct http_req *req)
{
	struct inflight *f = req->app;

	cancel(f->id);
	free(release(f));
}

/* The outcome will not come: it may have run. */
static void
give_up(struct inflight *f)
{
	struct http_req *req = f->req;

	free(release(f));
	reply_error(req, ERR_INTERRUPTED, NULL);
}

/* The client's Idempotency-Key; false: answered. NULL: none was sent. */
static bool
idem_key(struct http_req *req, const char **key)
{
	const char *s = http_req_header(req, "idempotency-key");
	size_t i, n;

	*key = s;
	if (s == NULL)
		return (true);
	n = strlen(s);
	for (i = 0; i < n && s[i] > ' ' && s[i] < 0x7f; i++)
		;
	if (n > 0 && n <= IDEM_KEY_MAX && i == n)
		return (true);
	reply_error(req, ERR_IDEM_KEY, NULL);
	return (false);
}

static size_t
request_size(const struct gate_request *g)
{
	const char *const text[] = { g->token, g->address, g->request_id,
		g->skill, g->inputs, g->idem_key };
	size_t i, n = 64;

	for (i = 0; i < AX_NELEM(text); i++)
		n += text[i] != NULL ? strlen(text[i]) + 8 : 8;
	return (n);
}

/* Nothing was started. Lost: a channel may be dead before we are told so. */
static void
refuse_unsent(struct http_req *req, bool lost)
{
	if (lost)
		metric_inc(req->ctx->slot, MC_GATE_UNAVAILABLE);
	reply_error(req, lost ? ERR_AUDIT_UNAVAILABLE : ERR_BUSY, NULL);
}

/* -1 with errno; EPIPE: the gate is away. */
static int
send_request(struct http_req *req, const struct gate_request *g, uint64_t id)
{
	struct buf b = BUF_INITIALIZER;
	int r = -1, e;

	/* room for all at once: growing would leave the token behind */
	(void)buf_reserve(&b, request_size(g));
	gate_request_put(&b, g);
	if (!b.err)
		r = ipc_send_buf(req->ctx->audit, MSG_GATE_REQUEST, id, &b);
	e = b.err ? ENOMEM : errno;
	buf_wipe(&b); /* held the token */
	errno = e;
	return (r);
}

static struct inflight *
enter(struct http_req *req, enum gate_action what, const char *skill)
{
	size_t n = strlen(skill) + 1;
	struct inflight *f;
	struct action *a;

	if ((a = malloc(sizeof(*a) + n)) == NULL)
		return (NULL);
	f = inflight_add(&api.inflight, IF_GATE,
	    ax_mono_us() + GATE_DEADLINE_US);
	if (f == NULL) {
		free(a);
		return (NULL);
	}
	a->what = what;
	memcpy(a->skill, skill, n);
	f->req = req;
	f->data = a;
	req->app = f;
	req->on_gone = gone;
	/* a run that nobody waits for is ended, a change is not */
	req->gone_on_eof = what == GATE_INVOKE;
	return (f);
}

void
api_gate(struct http_req *req, enum gate_action what, const char *skill,
    const char *inputs)
{
	struct http_ctx *ctx = req->ctx;
	struct gate_request g = {
		.action = what,
		.source = SRC_API,
		.token = req->token,
		.address = req->address,
		.request_id = req->request_id,
		.skill = skill,
		.inputs = inputs,
	};
	struct inflight *f;
	bool lost;

	if (!idem_key(req, &g.idem_key))
		return;
	if (ctx->audit == NULL) {
		refuse_unsent(req, true);
		return;
	}
	if (ctx->draining || ipc_congested(ctx->audit) ||
	    (f = enter(req, what, skill)) == NULL) {
		reply_error(req, ERR_BUSY, NULL);
		return;
	}
	if (send_request(req, &g, f->id) == -1) {
		lost = errno == EPIPE;
		free(release(f));
		refuse_unsent(req, lost);
	}
}

/* JSON text of the gate, or `none` where it gave no text. */
static void
put_json(struct jw *w, const char *key, const char *text, const char *none)
{
	if (text == NULL || text[0] == '\0')
		text = none;
	jw_key(w, key);
	jw_raw(w, text, strlen(text));
}

static void
put_number(struct jw *w, const char *key, uint64_t n)
{
	if (n != 0)
		jw_kuint(w, key, n);
	else
		jw_knull(w, key);
}

/* Skill-level success and failure alike (contract 3.6). */
static void
reply_done(struct http_req *req, const struct gate_result *g)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kbool(&w, "success", g->success);
	put_json(&w, "output", g->output, "null");
	jw_kstr(&w, "error", g->error);
	jw_key(&w, "elapsed_s");
	jw_seconds3(&w, g->elapsed_us);
	jw_kstr(&w, "decision", g->decision);
	jw_kuint(&w, "risk_score", g->risk_score);
	put_number(&w, "permit", g->permit);
	put_number(&w, "seq", g->seq);
	jw_obj_end(&w);
	reply_buf(req, 200, &b);
}

static void
reply_changed(struct http_req *req, const struct gate_result *g,
    const struct action *a)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	/* the gate describes what it did to the files itself */
	if (a->what == GATE_ARCHIVE && g->output != NULL) {
		reply_json(req, 200, g->output, strlen(g->output));
		return;
	}
	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kstr(&w, "name", a->skill);
	jw_kbool(&w, "enabled", a->what == GATE_SKILL_ENABLE);
	put_number(&w, "seq", g->seq);
	jw_obj_end(&w);
	reply_buf(req, 200, &b);
}

static void
put_details(struct jw *w, enum details which, const struct gate_result *g,
    const struct action *a)
{
	jw_obj(w);
	switch (which) {
	case D_NONE:
		break;
	case D_NAME:
		jw_kstr(w, "name", a->skill);
		break;
	case D_ERRORS:
		jw_kstr(w, "name", a->skill);
		put_json(w, "errors", g->detail, "[]");
		break;
	case D_VERDICT:
		jw_kstr(w, "decision", g->decision);
		jw_kuint(w, "risk_score", g->risk_score);
		jw_kstr(w, "reason", g->reason);
		put_json(w, "rules", g->detail, "[]");
		put_number(w, "seq", g->seq);
		break;
	case D_PERMIT:
		put_number(w, "permit", g->permit);
		put_number(w, "seq", g->seq);
		break;
	}
	jw_obj_end(w);
}

static void
reply_refused(struct http_req *req, const struct gate_result *g,
    const struct action *a)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	put_details(&w, verdicts[g->status].details, g, a);
	reply_error_retry(req, verdicts[g->status].error, g->retry_after_s,
	    buf_str(&b));
	buf_free(&b);
}

void
http_on_gate_result(struct ipc *ipc, struct ipc_msg *m, void *arg)
{
	struct http_ctx *ctx = arg;
	struct gate_result g;
	struct http_req *req;
	struct inflight *f;
	struct action *a;

	if (gate_result_get(m->body, m->len, &g) == -1) {
		ipc_violation(ipc, "malformed GATE_RESULT");
		return;
	}
	if ((f = inflight_find(&api.inflight, m->id, IF_GATE)) == NULL) {
		metric_inc(ctx->slot, MC_IPC_DROPPED);
		return;
	}
	req = f->req;
	a = release(f);
	if (g.status == GS_CHANGED ||
	    (g.status == GS_DONE && a->what != GATE_INVOKE))
		reply_changed(req, &g, a);
	else if (g.status == GS_DONE)
		reply_done(req, &g);
	else
		reply_refused(req, &g, a);
	free(a);
}

void
api_gate_expire(uint64_t mono_us)
{
	struct inflight_table *t = &api.inflight;
	struct inflight *f;
	uint32_t at = 0;

	while ((f = inflight_next(t, &at, IF_GATE, mono_us)) != NULL) {
		cancel(f->id);
		give_up(f);
	}
}

void
api_gate_audit_down(void)
{
	api_gate_expire(UINT64_MAX);
}
