/* SPDX-License-Identifier: ISC */
/*
 * What is recorded without running anything: skills switched on and off by
 * administrators and operators, and reloads. A flag changes only when its line
 * is durable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/event.h"
#include "workers/audit/gpriv.h"
#include "workers/audit/gtext.h"

#define CTL_TEXT_MAX 2048

static void
change_flag(struct gate *g, const struct origin *o, uint64_t id,
    const char *actor, const char *request_id, const char *skill, bool enable)
{
	struct gate_result r = { .status = GS_CHANGED, .success = 1 };
	struct buf out = BUF_INITIALIZER;
	struct event e;
	struct jw w;

	event_begin(&e, enable ? "skill_enable" : "skill_disable", "APPROVED",
	    0);
	e.line.actor = actor;
	e.line.request_id = request_id;
	jw_kstr(&e.ctx, "skill", skill);
	jw_init(&w, &out, false);
	jw_obj(&w);
	jw_kstr(&w, "name", skill);
	jw_kbool(&w, "enabled", enable);
	jw_obj_end(&w);
	r.output = buf_str(&out);
	gate_answer_after(g, o, id, event_line(&e), &r, skill, enable);
	event_done(&e);
	buf_free(&out);
}

void
gate_ask_flag(struct asking *a)
{
	struct gate *g = a->g;
	struct gate_result r = { .status = GS_FORBIDDEN };

	if (strcmp(a->role, "admin") != 0) {
		metric_inc(g->slot, MC_FORBIDDEN);
		gate_deny_asked(a, DENIAL_FORBIDDEN, "role");
		gate_answer(g, a->origin, a->id, &r);
		return;
	}
	if (registry_find(g->conf->skills, a->req->skill, NULL) == NULL) {
		r.status = GS_SKILL_NOT_FOUND;
		gate_answer(g, a->origin, a->id, &r);
		return;
	}
	change_flag(g, a->origin, a->id, a->actor, a->req->request_id,
	    a->req->skill, a->req->action == GATE_SKILL_ENABLE);
}

/* ---- the control socket ---- */

struct ctl {
	struct gate *g;
	const struct origin *origin;
	uint64_t id;
	const char *actor;
	const json_t *args;
};

static void
ctl_error(const struct ctl *c, enum gate_status status, const char *text)
{
	const struct gate_result r = { .status = status, .error = text };

	gate_answer(c->g, c->origin, c->id, &r);
}

static void
ctl_flag(const struct ctl *c, bool enable)
{
	const char *name = json_string_value(json_object_get(c->args, "name"));

	if (name == NULL)
		ctl_error(c, GS_INPUT_INVALID, "a skill's name is needed");
	else if (registry_find(c->g->conf->skills, name, NULL) == NULL)
		ctl_error(c, GS_SKILL_NOT_FOUND, "there is no such skill");
	else
		change_flag(c->g, c->origin, c->id, c->actor, NULL, name,
		    enable);
}

static void
ctl_enable(const struct ctl *c)
{
	ctl_flag(c, true);
}

static void
ctl_disable(const struct ctl *c)
{
	ctl_flag(c, false);
}

static void
ctl_archive(const struct ctl *c)
{
	gate_ctl_archive(c->g, c->origin, c->id, c->actor);
}

static void
reload_begin(struct event *e, const char *actor, const json_t *changes,
    uint64_t generation)
{
	uint8_t sum[32];
	char hex[65], *text;

	text = json_dumps(changes, JSON_SORT_KEYS);
	event_begin(e, "config_reload", "APPROVED", 0);
	e->line.actor = actor;
	jw_key(&e->ctx, "changes");
	if (text == NULL)
		jw_null(&e->ctx);
	else if (strlen(text) <= CTL_TEXT_MAX)
		jw_raw(&e->ctx, text, strlen(text));
	else {
		ax_sha256(text, strlen(text), sum);
		ax_hex(sum, sizeof(sum), hex);
		jw_str(&e->ctx, hex);
	}
	jw_kuint(&e->ctx, "generation", generation);
	free(text);
}

/* What changed, as the parent tells; large reports by digest. */
static void
ctl_reload(const struct ctl *c)
{
	const struct gate_result r = { .status = GS_CHANGED,
		.success = 1,
		.output = "{}" };
	struct event e;

	reload_begin(&e, c->actor, c->args, c->g->conf->generation);
	gate_answer_after(c->g, c->origin, c->id, event_line(&e), &r, NULL,
	    false);
	event_done(&e);
}

void
gate_ctl(struct gate *g, const struct origin *o, uint64_t id, const char *actor,
    const char *verb, const char *args)
{
	static const struct {
		const char *verb;
		void (*fn)(const struct ctl *);
	} verbs[] = {
		{ "skill.enable", ctl_enable },
		{ "skill.disable", ctl_disable },
		{ "audit.archive", ctl_archive },
		{ "reload", ctl_reload },
	};
	json_t *o_args = json_loads(args, JSON_REJECT_DUPLICATES, NULL);
	const struct ctl c = { .g = g,
		.origin = o,
		.id = id,
		.actor = actor,
		.args = o_args };
	size_t i;

	for (i = 0; i < AX_NELEM(verbs); i++) {
		if (strcmp(verb, verbs[i].verb) == 0)
			break;
	}
	if (i == AX_NELEM(verbs) || !json_is_object(o_args))
		ctl_error(&c, GS_INPUT_INVALID, "the gate does not know this");
	else if (!gate_is_open(g)) {
		/* A reload has happened already; its line comes later. */
		g->missed_reload |= verbs[i].fn == ctl_reload;
		ctl_error(&c, GS_UNAVAILABLE,
		    "the gate is closed: nothing "
		    "can be recorded now, so nothing was changed");
	} else
		verbs[i].fn(&c);
	json_decref(o_args);
}

static void
record_missed_reload(struct gate *g)
{
	const struct line *l;
	struct event e;

	reload_begin(&e, "os:parent", NULL, g->conf->generation);
	e.line.reason = "recorded late: the gate was closed";
	if ((l = event_line(&e)) != NULL && gate_append(g, l, NULL, NULL) != 0)
		g->missed_reload = false;
	event_done(&e);
}

void
gate_record_missed(struct gate *g)
{
	if (g->missed_reload && gate_is_open(g) && gate_room(g))
		record_missed_reload(g);
}
