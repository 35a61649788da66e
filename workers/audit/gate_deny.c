/* SPDX-License-Identifier: ISC */
/*
 * Who was refused, and why: by the fronts (no credential, role, rate) and by
 * the gate before the governor was asked (list of who may, policy). The first
 * of a kind gets its line, its repetitions are counted (denials.h). What the
 * governor blocks is a decision and never comes here. Must never answer that a
 * denial is recorded before the line that tells of it is durable.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "workers/audit/event.h"
#include "workers/audit/gpriv.h"
#include "workers/audit/gtext.h"

/* A denial, and what only its first record tells. */
struct deny {
	struct denial_facts f;
	const char *detail, *role, *source;
};

static const struct {
	const char *action, *decision;
	int risk;
} kinds[DENIAL_MAX] = {
	[DENIAL_AUTH] = { "auth_failed", "WARNED", 40 },
	[DENIAL_RATE] = { "rate_limited", "WARNED", 40 },
	[DENIAL_FORBIDDEN] = { "forbidden", "WARNED", 50 },
	[DENIAL_ACL] = { "skill_access_denied", "BLOCKED", 95 },
	[DENIAL_POLICY] = { "sandbox_denied", "BLOCKED", 95 },
};

/* ---- lines ---- */

static bool
can_record(struct gate *g)
{
	return (g->journal != NULL &&
	    (g->phase == GATE_OPEN || g->phase == GATE_DRAINING) &&
	    gate_room(g));
}

static void
recorded(void *arg, bool ok, uint64_t seq)
{
	struct denial *d = arg;
	struct gate *g = d->owner;
	struct reply *waiters = d->waiters;

	d->waiters = NULL;
	if (ok)
		denials_recorded(g->denials, d, seq, ax_mono_us());
	else
		denials_refused(d);
	gate_reply_all(waiters, ok, seq);
}

static void
append(struct gate *g, struct denial *d, struct event *e)
{
	const struct line *l = event_line(e);

	d->owner = g;
	if (l == NULL || gate_append(g, l, recorded, d) == 0)
		denials_refused(d);
	event_done(e);
}

static void
put_text(struct jw *w, const char *key, const char *text, size_t max)
{
	if (text == NULL || text[0] == '\0')
		return;
	jw_key(w, key);
	jw_strn(w, text, line_cut(text, max));
}

static void
put_address(struct jw *w, const char *address)
{
	if (address == NULL || address[0] == '\0')
		jw_knull(w, "address");
	else
		put_text(w, "address", address, 64);
}

static void
record_first(struct gate *g, struct denial *d, const struct deny *n)
{
	struct event e;

	event_begin(&e, kinds[d->kind].action, kinds[d->kind].decision,
	    kinds[d->kind].risk);
	e.line.actor = n->f.actor;
	e.line.reason = n->f.reason;
	e.line.request_id = n->f.request_id;
	put_address(&e.ctx, n->f.address);
	jw_kuint(&e.ctx, "count", d->pending.n);
	put_text(&e.ctx, "detail", n->detail, 512);
	put_text(&e.ctx, "role", n->role, 64);
	put_text(&e.ctx, "skill", n->f.skill, 64);
	put_text(&e.ctx, "source", n->source, 16);
	append(g, d, &e);
}

static void
put_time(struct jw *w, const char *key, uint64_t real_us)
{
	char ts[AX_TS_LEN];

	ax_ts_format(real_us, ts);
	jw_kstr(w, key, ts);
}

static void
record_count(struct gate *g, struct denial *d)
{
	const struct denial_count *c = &d->pending;
	struct event e;

	event_begin(&e, kinds[d->kind].action, kinds[d->kind].decision,
	    kinds[d->kind].risk);
	e.line.actor = d->has_actor ? d->actor : NULL;
	e.line.reason = d->reason[0] != '\0' ? d->reason : NULL;
	put_address(&e.ctx, d->address);
	jw_kbool(&e.ctx, "coalesced", true);
	jw_kuint(&e.ctx, "count", c->n);
	put_time(&e.ctx, "first_at", c->first_at);
	if (d->seq != 0)
		jw_kuint(&e.ctx, "first_seq", d->seq);
	put_time(&e.ctx, "last_at", c->last_at);
	jw_kuint(&e.ctx, "request_ids", c->request_ids);
	if (c->more_ids)
		jw_kbool(&e.ctx, "request_ids_more", true);
	put_text(&e.ctx, "skill", d->skill, 64);
	append(g, d, &e);
}

void
gate_deny_flush(struct gate *g, bool all)
{
	struct denial *d;

	while (denials_n(g->denials) > 0 && can_record(g) &&
	    (d = denials_due(g->denials, ax_mono_us(), all)) != NULL) {
		record_count(g, d);
		if (!d->recording)
			return; /* refused: the next try is the next tick's */
	}
}

/* ---- denials ---- */

/* Counts it, or records it as the first of its kind; w (NULL: nobody waits)
 * is answered when that is durable. */
static void
deny(struct gate *g, const struct deny *n, struct reply *w)
{
	struct denial *d;
	bool first;

	d = denials_note(g->denials, &n->f, ax_mono_us(), ax_real_us(), &first);
	if (!first)
		metric_add(g->slot, MC_DENIALS_COALESCED, n->f.count);
	else if (can_record(g))
		record_first(g, d, n);
	else
		denials_refused(d);
	if (w == NULL)
		return;
	if (d->recording)
		d->waiters = gate_reply_chain(w, d->waiters);
	else
		gate_reply_all(w, d->seq != 0, d->seq);
}

void
gate_audit_event(struct gate *g, enum audit_event e,
    const struct audit_event_facts *f)
{
	static const enum denial_kind of[AE_MAX] = {
		[AE_AUTH_FAILED] = DENIAL_AUTH,
		[AE_RATE_LIMITED] = DENIAL_RATE,
		[AE_FORBIDDEN] = DENIAL_FORBIDDEN,
	};
	const struct deny n = { .f = { .kind = of[e],
				    .address = f->address,
				    .request_id = f->request_id,
				    .count = f->count,
				    .request_ids = f->request_ids },
		.detail = f->detail };

	if (f->count > 0)
		deny(g, &n, NULL);
}

void
gate_deny_asked(struct asking *a, enum denial_kind kind, const char *reason)
{
	const struct deny n = { .f = { .kind = kind,
				    .actor = a->actor[0] != '\0' ? a->actor :
								   NULL,
				    .address = a->req->address,
				    .reason = reason,
				    .request_id = a->req->request_id,
				    .count = 1 },
		.role = a->role,
		.source = gate_source_name(a->req->source) };

	deny(a->g, &n, NULL);
}

/* The skill and the rule are said in the record; answers with r. */
static void
deny_skill(struct asking *a, enum denial_kind kind, const char *reason,
    const struct gate_result *r)
{
	const struct deny n = { .f = { .kind = kind,
				    .actor = a->actor,
				    .address = a->req->address,
				    .reason = reason,
				    .skill = a->skill->name,
				    .request_id = a->req->request_id,
				    .count = 1 },
		.role = a->role,
		.source = gate_source_name(a->req->source) };
	struct reply *w = gate_reply_new(a->g, a->origin, a->id, r, NULL);

	if (w == NULL)
		gate_unavailable(a->g, a->origin, a->id);
	deny(a->g, &n, w);
}

void
gate_deny_acl(struct asking *a, const char *rule)
{
	const struct gate_result r = { .status = GS_ACL_DENIED,
		.reason = rule,
		.elapsed_us = ax_mono_us() - a->started };

	metric_inc(a->g->slot, MC_SKILL_DENIED);
	__atomic_fetch_add(&a->g->slot->skill[a->index][MS_DENIED], 1,
	    __ATOMIC_RELAXED);
	deny_skill(a, DENIAL_ACL, rule, &r);
}

void
gate_deny_disabled(struct asking *a)
{
	static const char error[] =
	    "code_exec disabled by policy: set "
	    "ARCHILLX_ENABLE_CODE_EXEC=yes and reload to enable it";
	struct buf out = BUF_INITIALIZER;
	struct gate_result r = { .status = GS_DONE,
		.error = error,
		.decision = "BLOCKED",
		.risk_score = 95,
		.reason = "disabled" };
	uint8_t raw[16];
	char run_id[33];

	ax_random(raw, sizeof(raw));
	ax_hex(raw, sizeof(raw), run_id);
	gtext_disabled_output(&out, a->g->conf->backend, error, run_id);
	r.output = buf_str(&out);
	r.elapsed_us = ax_mono_us() - a->started;
	deny_skill(a, DENIAL_POLICY, "disabled", &r);
	buf_free(&out);
}
