/* SPDX-License-Identifier: ISC */
/*
 * A request, up to the decision: who asks, may he, for what, is there room,
 * what does the governor say. Derives actor and role itself from the token and
 * believes nothing else about them. Ends in a line of the journal, or in an
 * answer that started nothing. Must never keep a token.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/schema.h"
#include "common/util.h"
#include "workers/audit/gpriv.h"
#include "workers/audit/gtext.h"

#define INVOKE_ROUTE "POST /v1/skills/invoke"

static void
refuse(const struct asking *a, enum gate_status status)
{
	const struct gate_result r = {
		.status = status,
		.retry_after_s = status == GS_BUSY ? 1 : 0,
		.elapsed_us = ax_mono_us() - a->started,
	};

	gate_answer(a->g, a->origin, a->id, &r);
}

/* ---- who ---- */

static bool
identify(struct asking *a)
{
	const char *token = a->req->token;
	const struct key *k;

	if (token == NULL && a->g->conf->auth_off) {
		(void)ax_strlcpy(a->actor, "anonymous", sizeof(a->actor));
		(void)ax_strlcpy(a->role, "anonymous", sizeof(a->role));
		return (true);
	}
	if (token == NULL || (k = keys_find(a->g->conf->keys, token)) == NULL)
		return (false);
	(void)snprintf(a->actor, sizeof(a->actor), "key:%s", k->name);
	(void)ax_strlcpy(a->role, k->role, sizeof(a->role));
	return (true);
}

/* ---- what ---- */

static void
refuse_inputs(struct asking *a, json_t *errors)
{
	char *text = json_dumps(errors, JSON_COMPACT);
	const struct gate_result r = { .status = GS_INPUT_INVALID,
		.detail = text,
		.elapsed_us = ax_mono_us() - a->started };

	metric_inc(a->g->slot, MC_SKILL_INVALID);
	gate_answer(a->g, a->origin, a->id, &r);
	free(text);
	json_decref(errors);
}

static void
refuse_input(struct asking *a, const char *type, const char *msg)
{
	refuse_inputs(a,
	    json_pack("[{s:s, s:[s,s], s:s, s:{}}]", "type", type, "loc",
		"body", "inputs", "msg", msg, "ctx"));
}

/* Parses the inputs, and takes the secrets out of a copy; false: answered. */
static bool
read_inputs(struct asking *a)
{
	const struct skill *s = a->skill;

	/* The parser's own words would repeat a piece of the text. */
	a->inputs = json_loads(a->req->inputs, JSON_REJECT_DUPLICATES, NULL);
	if (a->inputs == NULL) {
		refuse_input(a, "json_invalid", "Input should be valid JSON");
		return (false);
	}
	if (!json_is_object(a->inputs)) {
		refuse_input(a, "dict_type", "Input should be an object");
		return (false);
	}
	a->shown = s->has_secrets ?
	    secret_redact(&a->g->secrets, s->inputs, a->inputs) :
	    json_incref(a->inputs);
	if (a->shown == NULL)
		refuse(a, GS_BUSY);
	return (a->shown != NULL);
}

/* Holds them against the schema; false: answered. */
static bool
check_inputs(struct asking *a)
{
	json_t *errors;

	if (!a->g->conf->validate)
		return (true);
	errors = json_array();
	if (schema_validate(a->skill->inputs, a->inputs, errors) > 0) {
		refuse_inputs(a, errors);
		return (false);
	}
	json_decref(errors);
	return (true);
}

/* ---- asked before? ---- */

/* The permit still runs; its answer goes to whoever asked last. */
static void
join(struct asking *a, const struct idem *e)
{
	struct permit *p = permits_find(&a->g->permits, e->permit);

	if (p == NULL || p->origin.life != 0 || p->recovered ||
	    p->state == PERMIT_KEPT) {
		refuse(a, GS_BUSY);
		return;
	}
	p->origin = *a->origin;
	p->id = a->id;
}

static void
replay(struct asking *a, const struct idem *e)
{
	struct gate_result r;

	if (e->answer != NULL &&
	    gate_result_get(e->answer, e->answer_len, &r) == 0) {
		gate_answer(a->g, a->origin, a->id, &r);
		return;
	}
	memset(&r, 0, sizeof(r));
	r.status = e->state == IDEM_INTERRUPTED ? GS_INTERRUPTED : GS_DONE;
	r.success = e->success;
	r.permit = r.seq = e->permit;
	if (!e->success)
		r.error = "this run failed; its answer is no longer held";
	gate_answer(a->g, a->origin, a->id, &r);
}

/* A plain digest of a body with a secret would let anyone try values: with
 * secrets it is taken over what the journal may hold. */
static void
digest_body(struct asking *a)
{
	char *text;

	if (!a->skill->has_secrets) {
		idem_digest_body(a->req->skill, a->req->inputs, a->idem_body);
		return;
	}
	if ((text = json_dumps(a->shown, JSON_COMPACT | JSON_SORT_KEYS)) ==
	    NULL)
		fatalx("gate: out of memory for a digest");
	idem_digest_body(a->req->skill, text, a->idem_body);
	free(text);
}

/* True when the key was seen before: answered, or will be. */
static bool
seen_before(struct asking *a)
{
	const struct idem *e;

	if (a->req->idem_key == NULL)
		return (false);
	idem_digest_key(a->actor, INVOKE_ROUTE, a->req->idem_key, a->idem_key);
	digest_body(a);
	e = idems_find(&a->g->idems, a->idem_key, ax_real_us());
	if (e == NULL)
		return (false);
	if (strcmp(e->body, a->idem_body) != 0)
		refuse_input(a, "idempotency_key_reused",
		    "this "
		    "Idempotency-Key came with another request before");
	else if (e->state == IDEM_RUNNING)
		join(a, e);
	else
		replay(a, e);
	return (true);
}

/* ---- the decision ---- */

static struct permit *
make_permit(const struct asking *a, const struct gov_verdict *v)
{
	const struct gate_conf *c = a->g->conf;
	struct permit *p;

	p = permit_new(a->skill->name, a->actor, a->req->request_id);
	if (p == NULL)
		return (NULL);
	p->gate = a->g;
	p->origin = *a->origin;
	p->id = a->id;
	p->runtime = a->skill->runtime;
	p->sandboxed = p->runtime != RUN_FILES;
	p->keyed = a->skill->has_secrets ? &a->g->secrets : NULL;
	p->decision = v->decision;
	p->risk_score = v->score;
	(void)ax_strlcpy(p->reason, v->reason, sizeof(p->reason));
	(void)ax_strlcpy(p->idem_key, a->idem_key, sizeof(p->idem_key));
	p->started = a->started;
	p->deadline = a->started +
	    (p->sandboxed ? c->exec_limit_us : c->file_limit_us);
	if (p->sandboxed)
		p->inputs = strdup(a->req->inputs);
	else
		p->args = json_incref(a->inputs);
	if (p->sandboxed && p->inputs == NULL) {
		permit_free(p);
		return (NULL);
	}
	return (p);
}

/* Into the tables under the number its line got. */
static void
enter_permit(struct asking *a, struct permit *p, uint64_t seq)
{
	struct gate *g = a->g;

	p->number = seq;
	if (permits_add(&g->permits, p) == -1)
		fatalx("gate: out of memory for a permit");
	if (p->idem_key[0] != '\0' &&
	    idems_put(&g->idems, p->idem_key, a->idem_body, seq,
		ax_real_us()) == NULL)
		fatalx("gate: out of memory for a key");
}

static void
approve(struct asking *a, struct line *l, const struct gov_verdict *v)
{
	struct permit *p = make_permit(a, v);
	uint64_t seq;

	if (p == NULL) {
		refuse(a, GS_BUSY);
		return;
	}
	l->permit = PERMIT_IS_SEQ;
	if ((seq = gate_append(a->g, l, gate_decided, p)) == 0) {
		if (errno == EMSGSIZE || errno == EINVAL) {
			log_warn("gate: a decision's line");
			refuse(a, GS_INTERNAL);
		} else
			gate_unavailable(a->g, a->origin, a->id);
		permit_free(p);
		return;
	}
	enter_permit(a, p, seq);
}

static void
block(struct asking *a, const struct line *l, const struct gov_verdict *v)
{
	struct buf rules = BUF_INITIALIZER;
	struct gate_result r = {
		.status = GS_BLOCKED,
		.decision = gov_decision_name(v->decision),
		.risk_score = (uint32_t)v->score,
		.reason = v->reason,
		.elapsed_us = ax_mono_us() - a->started,
	};

	gtext_rules(&rules, v);
	r.detail = buf_str(&rules);
	gate_answer_after(a->g, a->origin, a->id, l, &r, NULL, false);
	buf_free(&rules);
}

static void
count_verdict(struct gate *g, const struct gov_verdict *v)
{
	static const enum metric_counter by[] = {
		[GOV_APPROVED] = MC_GOV_APPROVED,
		[GOV_WARNED] = MC_GOV_WARNED,
		[GOV_BLOCKED] = MC_GOV_BLOCKED,
	};

	metric_inc(g->slot, MC_GOV_EVALUATIONS);
	metric_inc(g->slot, by[v->decision]);
	metric_set(g->slot, MG_LAST_RISK, (uint64_t)v->score);
}

static void
decide(struct asking *a)
{
	const struct gate_conf *c = a->g->conf;
	const char *source = gate_source_name(a->req->source);
	struct buf ctx = BUF_INITIALIZER;
	struct gov_verdict v;
	char action[128];
	const struct gov_request gr = { .action = action,
		.skill = a->skill->name,
		.source = source,
		.role = a->role,
		.inputs = a->inputs,
		.base = c->files_root[0] != '\0' ? c->files_root : NULL };
	const struct decision_facts f = { .skill = a->skill,
		.source = source,
		.role = a->role,
		.address = a->req->address,
		.shown = a->shown,
		.verdict = &v,
		.policy = c->policy };
	struct line l = { .kind = LK_DECISION,
		.action = action,
		.actor = a->actor,
		.request_id = a->req->request_id };

	(void)snprintf(action, sizeof(action), "%s:execute_skill:%s", source,
	    a->skill->name);
	memset(&v, 0, sizeof(v));
	governor_evaluate(c->governor, &gr, c->mode, c->block, c->warn, &v);
	count_verdict(a->g, &v);
	gtext_decision(&ctx, &f);
	l.decision = gov_decision_name(v.decision);
	l.risk_score = v.score;
	l.reason = v.reason;
	l.context = buf_str(&ctx);
	l.context_len = ctx.len;
	if (a->idem_key[0] != '\0') {
		l.idem_key = a->idem_key;
		l.idem_body = a->idem_body;
	}
	if (l.context == NULL)
		refuse(a, GS_INTERNAL);
	else if (v.decision == GOV_BLOCKED)
		block(a, &l, &v);
	else
		approve(a, &l, &v);
	buf_free(&ctx);
}

/* ---- the order of the questions ---- */

static bool
too_much(const struct asking *a)
{
	const struct gate *g = a->g;

	if (g->permits.n >= g->conf->max_inflight)
		return (true);
	if (a->skill->runtime == RUN_FILES ||
	    g->permits.nsandboxed < g->conf->max_sandboxed)
		return (false);
	metric_inc(g->slot, MC_SANDBOX_BUSY);
	return (true);
}

static void
decide_if_possible(struct asking *a)
{
	struct gate *g = a->g;

	if (too_much(a))
		refuse(a, GS_BUSY);
	else if (!gate_room(g) ||
	    !g->ops->executor_up(g->arg, a->skill->runtime))
		gate_unavailable(g, a->origin, a->id);
	else
		decide(a);
}

static void
ask_invoke(struct asking *a)
{
	const struct gate_conf *c = a->g->conf;
	const char *rule;

	metric_inc(a->g->slot, MC_SKILL_INVOKE);
	a->skill = registry_find(c->skills, a->req->skill, &a->index);
	if (a->skill == NULL) {
		metric_inc(a->g->slot, MC_SKILL_NOT_FOUND);
		refuse(a, GS_SKILL_NOT_FOUND);
		return;
	}
	__atomic_fetch_add(&a->g->slot->skill[a->index][MS_INVOKE], 1,
	    __ATOMIC_RELAXED);
	if (!flags_enabled(&a->g->flags, a->skill)) {
		metric_inc(a->g->slot, MC_SKILL_DISABLED);
		refuse(a, GS_SKILL_DISABLED);
	} else if (c->acl &&
	    (rule = skill_acl(a->skill, a->role,
		 gate_source_name(a->req->source))) != NULL) {
		gate_deny_acl(a, rule);
	} else if (read_inputs(a) && !seen_before(a) && check_inputs(a)) {
		if (a->skill->runtime == RUN_CODE && !c->code_exec)
			gate_deny_disabled(a);
		else
			decide_if_possible(a);
	}
}

void
gate_request(struct gate *g, const struct origin *o, uint64_t id,
    const struct gate_request *req)
{
	struct asking a = { .g = g,
		.origin = o,
		.id = id,
		.req = req,
		.started = ax_mono_us() };

	if (!identify(&a)) {
		gate_deny_asked(&a, DENIAL_AUTH, "credential");
		refuse(&a, GS_UNAUTHORIZED);
	} else if (!gate_is_open(g))
		gate_unavailable(g, o, id);
	else if (req->action == GATE_INVOKE)
		ask_invoke(&a);
	else if (req->action == GATE_ARCHIVE)
		gate_ask_archive(&a);
	else
		gate_ask_flag(&a);
	json_decref(a.shown);
	json_decref(a.inputs);
}
