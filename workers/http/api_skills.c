/* SPDX-License-Identifier: ISC */
/*
 * The skills: what there is (from the configuration and audit's slot, so it
 * answers while audit is down), switching one on or off, and running one. The
 * last two go through the gate and are never decided here.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "common/manifest.h"
#include "workers/http/api.h"
#include "workers/http/body.h"

/* Counters and the flag of the i-th skill; zeros while there is no slot. */
struct skill_state {
	bool enabled;
	uint64_t calls[MS_MAX];
};

static void
state_get(const struct http_ctx *ctx, unsigned i, struct skill_state *st)
{
	const struct metrics_slot *s = ctx->slots[PROC_AUDIT][0];
	unsigned c;

	memset(st, 0, sizeof(*st));
	if (s == NULL || i >= METRICS_SKILLS)
		return;
	st->enabled = __atomic_load_n(&s->skill_enabled[i], __ATOMIC_RELAXED) !=
	    0;
	for (c = 0; c < MS_MAX; c++)
		st->calls[c] =
		    __atomic_load_n(&s->skill[i][c], __ATOMIC_RELAXED);
}

static void
put_manifest(struct jw *w, const struct skill *skill)
{
	char *text = json_dumps(skill->doc, JSON_COMPACT);

	jw_key(w, "manifest");
	if (text != NULL)
		jw_raw(w, text, strlen(text));
	else {
		jw_null(w);
		w->b->err = 1;
	}
	free(text);
}

static void
put_skill(struct jw *w, const struct http_ctx *ctx, unsigned i)
{
	struct skill_state st;

	state_get(ctx, i, &st);
	jw_obj(w);
	jw_kstr(w, "name", ctx->skills[i]->name);
	put_manifest(w, ctx->skills[i]);
	jw_kbool(w, "enabled", st.enabled);
	jw_key(w, "calls");
	jw_obj(w);
	jw_kuint(w, "invoked", st.calls[MS_INVOKE]);
	jw_kuint(w, "succeeded", st.calls[MS_SUCCESS]);
	jw_kuint(w, "failed", st.calls[MS_FAILURE]);
	jw_kuint(w, "denied", st.calls[MS_DENIED]);
	jw_obj_end(w);
	jw_obj_end(w);
}

void
api_skills_list(struct http_req *req, const char *name)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	unsigned i;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_key(&w, "skills");
	jw_arr(&w);
	for (i = 0; i < req->ctx->nskills; i++)
		put_skill(&w, req->ctx, i);
	jw_arr_end(&w);
	jw_obj_end(&w);
	reply_buf(req, 200, &b);
}

void
api_skills_get(struct http_req *req, const char *name)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	unsigned i;

	for (i = 0; i < req->ctx->nskills; i++)
		if (strcmp(req->ctx->skills[i]->name, name) == 0)
			break;
	if (i == req->ctx->nskills) {
		reply_error(req, ERR_SKILL_NOT_FOUND, NULL);
		return;
	}
	jw_init(&w, &b, false);
	put_skill(&w, req->ctx, i);
	reply_buf(req, 200, &b);
}

/*
 * A name that no skill can have is answered here; whether a possible one
 * exists is the gate's to say, and its record to make.
 */
static void
to_gate(struct http_req *req, enum gate_action what, const char *name,
    const char *inputs)
{
	if (body_skill_name(name))
		api_gate(req, what, name, inputs);
	else {
		metric_inc(req->ctx->slot, MC_SKILL_NOT_FOUND);
		reply_error(req, ERR_SKILL_NOT_FOUND, NULL);
	}
}

void
api_skills_enable(struct http_req *req, const char *name)
{
	to_gate(req, GATE_SKILL_ENABLE, name, "{}");
}

void
api_skills_disable(struct http_req *req, const char *name)
{
	to_gate(req, GATE_SKILL_DISABLE, name, "{}");
}

static void
invoke(struct http_req *req, const struct body_invoke *body)
{
	char *inputs = NULL;

	if (body->inputs != NULL) {
		inputs = json_dumps(body->inputs, JSON_COMPACT);
		if (inputs == NULL) {
			reply_error(req, ERR_INTERNAL, NULL);
			return;
		}
	}
	to_gate(req, GATE_INVOKE, body->name, inputs != NULL ? inputs : "{}");
	free(inputs);
}

void
api_skills_invoke(struct http_req *req, const char *name)
{
	struct body_invoke body;
	struct invalid inv;
	json_t *root;

	invalid_init(&inv);
	root = body_parse(req->body, req->body_len, &inv);
	if (root == NULL || body_invoke(root, &body, &inv) == -1)
		reply_invalid(req, &inv);
	else {
		invalid_free(&inv);
		invoke(req, &body);
	}
	json_decref(root);
}
