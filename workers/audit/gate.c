/* SPDX-License-Identifier: ISC */
/*
 * The gate's life: configuration, what the journal tells at the start, opening,
 * group commit, repair, drain. It opens only when the journal is sound, nothing
 * of an earlier life is left, and every run of that life has an outcome in the
 * journal. Must never be open while a line could not be recorded.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/event.h"
#include "workers/audit/gpriv.h"
#include "workers/audit/gtext.h"

#define EXEC_GRACE_US 10000000u
#define FILE_LIMIT_US 30000000u
#define DRAIN_GIVE_UP 10000000u /* with a journal that cannot be written */

#define INTERRUPTED_NOTE "may have run, fully or in part"

/* ---- configuration ---- */

struct gate_conf *
gate_conf_new(void)
{
	struct gate_conf *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return (NULL);
	c->skills = registry_new();
	c->governor = governor_new();
	c->keys = keys_new();
	if (c->skills == NULL || c->governor == NULL || c->keys == NULL) {
		gate_conf_free(c);
		return (NULL);
	}
	return (c);
}

void
gate_conf_free(struct gate_conf *c)
{
	if (c == NULL)
		return;
	registry_free(c->skills);
	if (c->governor != NULL)
		governor_free(c->governor);
	keys_free(c->keys);
	free(c);
}

void
gate_conf_settings(struct gate_conf *c, const struct settings *s)
{
	size_t at_once = (size_t)settings_int(s, SET_SANDBOX_CONCURRENCY);
	size_t queue = (size_t)settings_int(s, SET_SANDBOX_QUEUE);
	uint64_t longest = (uint64_t)settings_int(s, SET_SANDBOX_TIMEOUT_MAX);

	governor_digest(c->governor, c->policy);
	(void)ax_strlcpy(c->backend, settings_str(s, SET_SANDBOX_BACKEND),
	    sizeof(c->backend));
	c->mode = (enum gov_mode)settings_enum(s, SET_GOVERNOR_MODE);
	c->block = (int)settings_int(s, SET_RISK_BLOCK_THRESHOLD);
	c->warn = (int)settings_int(s, SET_RISK_WARN_THRESHOLD);
	c->acl = settings_bool(s, SET_ENABLE_SKILL_ACL);
	c->validate = settings_bool(s, SET_ENABLE_SKILL_VALIDATION);
	c->code_exec = settings_bool(s, SET_ENABLE_CODE_EXEC);
	c->auth_off = settings_enum(s, SET_AUTH) == 1;
	c->max_inflight = (size_t)settings_int(s, SET_GATE_MAX_INFLIGHT);
	c->min_free = (uint64_t)settings_int(s, SET_AUDIT_MIN_FREE);
	c->max_sandboxed = at_once + queue;
	/* A run may first wait for all that stand before it in the queue. */
	c->exec_limit_us = longest * 1000000u * (2 + queue / at_once) +
	    EXEC_GRACE_US;
	c->file_limit_us = FILE_LIMIT_US;
}

void
gate_configure(struct gate *g, struct gate_conf *c)
{
	gate_conf_free(g->conf);
	g->conf = c;
	gate_gauges(g);
}

struct gate *
gate_new(const struct gate_ops *ops, void *arg, struct metrics_slot *slot,
    struct gate_conf *conf, uint64_t epoch)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL || (g->denials = denials_new()) == NULL ||
	    permits_init(&g->permits) == -1 || idems_init(&g->idems) == -1) {
		if (g != NULL)
			denials_free(g->denials);
		free(g);
		return (NULL);
	}
	g->ops = ops;
	g->arg = arg;
	g->slot = slot;
	g->conf = conf;
	g->epoch = epoch;
	TAILQ_INIT(&g->closings);
	/* The slot still tells of the life before. */
	metric_set(slot, MG_GATE_OPEN, 0);
	return (g);
}

void
gate_secrets(struct gate *g, const struct secret_key *k)
{
	g->secrets = *k;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	gate_archive_forget(g);
	denials_free(g->denials);
	explicit_bzero(&g->secrets, sizeof(g->secrets));
	permits_clear(&g->permits);
	idems_clear(&g->idems);
	flags_clear(&g->flags);
	gate_conf_free(g->conf);
	free(g);
}

/* ---- the journal's lines at the start ---- */

static int
replay_flag(struct gate *g, const struct line_view *v, bool enabled)
{
	json_t *ctx = json_loadb(v->context.p, v->context.n, 0, NULL);
	const char *name = json_string_value(json_object_get(ctx, "skill"));
	int r = 0;

	if (name != NULL)
		r = flags_set(&g->flags, name, enabled);
	json_decref(ctx);
	return (r);
}

static int
replay_event(struct gate *g, const struct line_view *v)
{
	if (slice_is(v->action, "skill_enable"))
		return (replay_flag(g, v, true));
	if (slice_is(v->action, "skill_disable"))
		return (replay_flag(g, v, false));
	return (0);
}

/* "api:execute_skill:NAME" */
static char *
skill_of_action(const struct line_view *v)
{
	const char *p = memrchr(v->action.p, ':', v->action.n);

	p = p != NULL ? p + 1 : v->action.p;
	return (strndup(p, v->action.n - (size_t)(p - v->action.p)));
}

static uint64_t
time_of(const struct line_view *v)
{
	char ts[40];
	uint64_t at = 0;

	if (v->ts.n < sizeof(ts)) {
		memcpy(ts, v->ts.p, v->ts.n);
		ts[v->ts.n] = '\0';
		(void)ax_ts_parse(ts, &at);
	}
	return (at);
}

static void
slice_copy(struct slice s, char *out, size_t size)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;

	if (s.p != NULL)
		memcpy(out, s.p, n);
	out[s.p != NULL ? n : 0] = '\0';
}

/* A permit whose outcome may still come further on in the journal. */
static int
replay_decision(struct gate *g, const struct line_view *v)
{
	char *skill = skill_of_action(v), *actor = slice_dup(v->actor);
	char *rid = slice_dup(v->request_id), body[65];
	struct permit *p = NULL;
	int r = -1;

	if (skill != NULL)
		p = permit_new(skill, actor != NULL ? actor : "", rid);
	free(skill);
	free(actor);
	free(rid);
	if (p == NULL)
		return (-1);
	p->gate = g;
	p->number = v->permit;
	p->state = PERMIT_RUNNING;
	p->recovered = true;
	slice_copy(v->idem_key, p->idem_key, sizeof(p->idem_key));
	slice_copy(v->idem_body, body, sizeof(body));
	if (strlen(p->idem_key) != 64)
		p->idem_key[0] = '\0';
	if (p->idem_key[0] == '\0' ||
	    idems_put(&g->idems, p->idem_key, body, p->number, time_of(v)) !=
		NULL)
		r = permits_find(&g->permits, p->number) != NULL ?
		    -1 :
		    permits_add(&g->permits, p);
	if (r == -1)
		permit_free(p);
	return (r);
}

/* The context is ours: quotes inside its texts are escaped. */
static bool
context_has(const struct line_view *v, const char *what)
{
	return (memmem(v->context.p, v->context.n, what, strlen(what)) != NULL);
}

static int
replay_outcome(struct gate *g, const struct line_view *v)
{
	struct permit *p = permits_find(&g->permits, v->permit);
	bool cut = context_has(v, "\"state\": \"interrupted\"");

	if (p == NULL)
		return (0);
	if (p->idem_key[0] != '\0' &&
	    context_has(v, "\"state\": \"not_started\""))
		idems_drop(&g->idems, p->idem_key, p->number);
	else if (p->idem_key[0] != '\0')
		idems_end(&g->idems, p->idem_key, p->number,
		    cut ? IDEM_INTERRUPTED : IDEM_DONE,
		    context_has(v, "\"success\": true"), NULL, 0);
	permits_remove(&g->permits, p);
	permit_free(p);
	return (0);
}

int
gate_replay(void *arg, const struct line_view *v)
{
	struct gate *g = arg;

	switch (v->kind) {
	case LK_EVENT:
		return (replay_event(g, v));
	case LK_DECISION:
		return (v->permit != 0 ? replay_decision(g, v) : 0);
	case LK_OUTCOME:
		return (v->permit != 0 ? replay_outcome(g, v) : 0);
	default:
		return (0);
	}
}

/* ---- opening ---- */

/* Keys whose decision the snapshot saw coming and the journal never got. */
static void
drop_lost_keys(struct gate *g)
{
	struct idem *e, *next;

	for (e = TAILQ_FIRST(&g->idems.list); e != NULL; e = next) {
		next = TAILQ_NEXT(e, entry);
		if (e->state == IDEM_RUNNING &&
		    permits_find(&g->permits, e->permit) == NULL)
			idems_drop(&g->idems, e->key, e->permit);
	}
}

void
gate_forget(struct gate *g)
{
	permits_clear(&g->permits);
	idems_clear(&g->idems);
	flags_clear(&g->flags);
	if (permits_init(&g->permits) == -1 || idems_init(&g->idems) == -1)
		fatalx("gate: out of memory");
}

void
gate_attach(struct gate *g, struct journal *j)
{
	struct permit *p;

	g->journal = j;
	TAILQ_FOREACH(p, &g->permits.list, entry) {
		p->state = PERMIT_KEPT;
		p->end = END_INTERRUPTED;
		gtext_end_context(&p->context, p->skill, "interrupted",
		    INTERRUPTED_NOTE);
		g->nkept++;
	}
	if (g->nkept > 0)
		log_warnx("gate: %zu runs of an earlier life have no outcome",
		    g->nkept);
	gate_gauges(g);
	g->recovered = true;
	drop_lost_keys(g);
	gate_watch_space(g);
	if (journal_pending(j) > 0)
		g->ops->wake(g->arg);
	if (g->swept)
		gate_swept(g);
}

static void
started(void *arg, bool ok, uint64_t seq)
{
	struct gate *g = arg;

	(void)seq;
	g->announced = ok;
}

static void
announce(struct gate *g)
{
	const struct line *l;
	struct event e;

	event_begin(&e, "service_start", "APPROVED", 0);
	jw_kuint(&e.ctx, "epoch", g->epoch);
	jw_kuint(&e.ctx, "interrupted", g->nkept);
	if ((l = event_line(&e)) != NULL && gate_append(g, l, started, g) != 0)
		g->announced = true;
	event_done(&e);
}

/* Everything that has to be on the disk before the first action. */
static void
settle(struct gate *g)
{
	if (journal_pending(g->journal) > 0 || !gate_room(g))
		return;
	if (g->nkept > 0)
		gate_record_kept(g);
	else if (!g->announced)
		announce(g);
	else {
		g->phase = GATE_OPEN;
		log_info("gate: open; %" PRIu64 " lines in the journal",
		    journal_seq(g->journal));
		gate_gauges(g);
	}
}

void
gate_swept(struct gate *g)
{
	g->swept = true;
	if (!g->recovered || g->phase != GATE_WAITING)
		return;
	g->phase = GATE_SETTLING;
	settle(g);
}

bool
gate_is_open(const struct gate *g)
{
	return (g->phase == GATE_OPEN && gate_has_space(g) &&
	    journal_state(g->journal) == JOURNAL_OK);
}

/* ---- lines ---- */

uint64_t
gate_append(struct gate *g, const struct line *l, journal_done fn, void *arg)
{
	uint64_t seq = journal_append(g->journal, l, fn, arg);

	if (seq != 0)
		g->ops->wake(g->arg);
	return (seq);
}

/* What the journal counted since the last time. */
static void
count(struct gate *g)
{
	const struct journal_stats *s = journal_stats(g->journal);

	metric_add(g->slot, MC_JOURNAL_RECORDS, s->lines - g->seen.lines);
	metric_add(g->slot, MC_JOURNAL_SYNCS, s->syncs - g->seen.syncs);
	metric_add(g->slot, MC_JOURNAL_BYTES, s->bytes - g->seen.bytes);
	metric_add(g->slot, MC_AUDIT_WRITE_FAILURES,
	    s->failures - g->seen.failures);
	metric_add(g->slot, MC_ROTATIONS, s->rotations - g->seen.rotations);
	if (s->syncs != g->seen.syncs)
		metric_observe_us(g->slot, MH_SYNC, s->last_sync_us);
	g->seen = *s;
}

void
gate_gauges(struct gate *g)
{
	unsigned i;

	metric_set(g->slot, MG_OPEN_PERMITS, g->permits.n);
	if (g->journal == NULL)
		return;
	metric_set(g->slot, MG_GATE_OPEN, gate_is_open(g));
	metric_set(g->slot, MG_JOURNAL_SEQ, journal_seq(g->journal));
	for (i = 0; i < g->conf->skills->n; i++)
		__atomic_store_n(&g->slot->skill_enabled[i],
		    flags_enabled(&g->flags, g->conf->skills->v[i]),
		    __ATOMIC_RELAXED);
}

void
gate_commit(struct gate *g)
{
	uint64_t before;

	if (g->journal == NULL)
		return;
	before = journal_seq(g->journal);
	(void)journal_commit(g->journal);
	count(g);
	if (journal_seq(g->journal) != before)
		g->ops->advanced(g->arg);
	gate_archive_answer(g);
	if (g->phase == GATE_SETTLING)
		settle(g);
	metric_set(g->slot, MG_OPEN_PERMITS, g->permits.n);
	metric_set(g->slot, MG_JOURNAL_SEQ, journal_seq(g->journal));
	metric_set(g->slot, MG_GATE_OPEN, gate_is_open(g));
	/* Callbacks, a rotation or settling may have added lines. */
	if (journal_pending(g->journal) > 0)
		g->ops->wake(g->arg);
	gate_check_drained(g);
}

static void
repair(struct gate *g)
{
	if (journal_state(g->journal) == JOURNAL_OK &&
	    journal_why(g->journal)[0] == '\0')
		return;
	if (journal_repair(g->journal) == -1) {
		if (journal_state(g->journal) == JOURNAL_DAMAGED)
			g->ops->damaged(g->arg, journal_why(g->journal));
		count(g);
		return;
	}
	count(g);
	g->ops->advanced(g->arg);
	gate_archive_answer(g);
	if (g->phase != GATE_SETTLING)
		gate_record_kept(g);
	gate_gauges(g);
}

/* ---- time ---- */

static void
watch_deadlines(struct gate *g)
{
	uint64_t now = ax_mono_us();
	struct permit *p;

	TAILQ_FOREACH(p, &g->permits.list, entry) {
		if (p->state != PERMIT_RUNNING || p->deadline == 0 ||
		    now < p->deadline)
			continue;
		log_warnx("gate: permit %" PRIu64 " (%s): its executor is "
			  "silent",
		    p->number, p->skill);
		p->deadline = 0;
		g->ops->overdue(g->arg, p->runtime, p->number);
		return; /* that ends this life */
	}
}

void
gate_tick(struct gate *g)
{
	if (g->journal == NULL)
		return;
	(void)journal_watch(g->journal);
	repair(g);
	gate_watch_space(g);
	if (g->phase == GATE_SETTLING)
		settle(g);
	gate_record_missed(g);
	gate_deny_flush(g, false);
	watch_deadlines(g);
	gate_gauges(g);
	gate_check_drained(g);
}

/* ---- the end ---- */

static void
stopped(void *arg, bool ok, uint64_t seq)
{
	struct gate *g = arg;

	(void)seq;
	g->phase = ok ? GATE_DRAINED : GATE_DRAINING;
}

static void
record_stop(struct gate *g)
{
	const struct line *l;
	struct event e;

	event_begin(&e, "service_stop", "APPROVED", 0);
	if ((l = event_line(&e)) != NULL && gate_append(g, l, stopped, g) != 0)
		g->phase = GATE_STOPPING;
	event_done(&e);
}

void
gate_check_drained(struct gate *g)
{
	bool late = ax_mono_us() > g->drain_since + DRAIN_GIVE_UP;

	if (g->phase == GATE_DRAINED) {
		if (g->drain_since != 0)
			g->ops->drained(g->arg);
		g->drain_since = 0;
		return;
	}
	if (g->phase != GATE_DRAINING)
		return;
	if (g->journal == NULL || !g->swept ||
	    (late && journal_state(g->journal) != JOURNAL_OK)) {
		/* What is not recorded will be, as interrupted. */
		g->phase = GATE_DRAINED;
		g->drain_since = 0;
		g->ops->drained(g->arg);
		return;
	}
	if (g->permits.n > 0 || journal_pending(g->journal) > 0)
		return;
	gate_deny_flush(g, true);
	if (journal_pending(g->journal) == 0)
		record_stop(g);
}

void
gate_drain(struct gate *g)
{
	if (g->phase >= GATE_DRAINING)
		return;
	if (g->phase != GATE_OPEN)
		g->swept = false; /* it never worked: nothing to wait for */
	g->phase = GATE_DRAINING;
	g->drain_since = ax_mono_us();
	/* What the fronts told before they ended may still be unread. */
	if (g->journal != NULL && g->swept)
		g->ops->wake(g->arg);
	else
		gate_check_drained(g);
}

/* ---- for the snapshot ---- */

const struct flags *
gate_flags(const struct gate *g)
{
	return (&g->flags);
}

struct flags *
gate_flags_mut(struct gate *g)
{
	return (&g->flags);
}

struct idems *
gate_idems(struct gate *g)
{
	return (&g->idems);
}

uint64_t
gate_lowest_permit(const struct gate *g)
{
	return (permits_lowest(&g->permits));
}

size_t
gate_npermits(const struct gate *g)
{
	return (g->permits.n);
}
