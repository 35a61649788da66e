/* SPDX-License-Identifier: ISC */
/*
 * Answers to requests: at once, or when the line that they rest on is durable.
 * Must never say of a line that it is recorded before it is, and never keep
 * anybody waiting for one that was refused.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/gpriv.h"

/* An answer that waits for its line. */
struct reply {
	struct reply *next;
	struct gate *g;
	struct origin origin;
	uint64_t id;
	struct gate_result result; /* its texts are the copies below */
	char *reason, *output, *error, *detail;
	char *flag; /* skill to switch, or NULL */
	bool flag_value;
};

void
gate_answer(struct gate *g, const struct origin *o, uint64_t id,
    const struct gate_result *r)
{
	if (o->life != 0)
		g->ops->result(g->arg, o, id, r);
}

void
gate_unavailable(struct gate *g, const struct origin *o, uint64_t id)
{
	const struct gate_result r = { .status = GS_UNAVAILABLE,
		.retry_after_s = 1 };

	metric_inc(g->slot, MC_GATE_UNAVAILABLE);
	g->space.refused += !gate_has_space(g);
	gate_answer(g, o, id, &r);
}

static void
reply_free(struct reply *w)
{
	free(w->reason);
	free(w->output);
	free(w->error);
	free(w->detail);
	free(w->flag);
	free(w);
}

static char *
copy(const char *s, const char **out, bool *failed)
{
	char *c = s != NULL ? strdup(s) : NULL;

	if (s != NULL && c == NULL)
		*failed = true;
	*out = c;
	return (c);
}

struct reply *
gate_reply_new(struct gate *g, const struct origin *o, uint64_t id,
    const struct gate_result *r, const char *flag)
{
	struct reply *w = calloc(1, sizeof(*w));
	const char *unused;
	bool failed = false;

	if (w == NULL)
		return (NULL);
	w->g = g;
	w->origin = *o;
	w->id = id;
	w->result = *r;
	w->reason = copy(r->reason, &w->result.reason, &failed);
	w->output = copy(r->output, &w->result.output, &failed);
	w->error = copy(r->error, &w->result.error, &failed);
	w->detail = copy(r->detail, &w->result.detail, &failed);
	w->flag = copy(flag, &unused, &failed);
	if (failed) {
		reply_free(w);
		return (NULL);
	}
	return (w);
}

static void
reply_now(void *arg, bool ok, uint64_t seq)
{
	struct reply *w = arg;
	struct gate *g = w->g;

	if (ok) {
		if (w->flag != NULL &&
		    flags_set(&g->flags, w->flag, w->flag_value) == -1)
			fatalx("gate: out of memory for a flag");
		w->result.seq = seq;
		gate_answer(g, &w->origin, w->id, &w->result);
		if (w->flag != NULL) {
			gate_gauges(g);
			g->ops->flags_changed(g->arg);
		}
	} else
		gate_unavailable(g, &w->origin, w->id);
	reply_free(w);
}

void
gate_answer_after(struct gate *g, const struct origin *o, uint64_t id,
    const struct line *l, const struct gate_result *r, const char *flag,
    bool flag_value)
{
	struct reply *w;

	if (l == NULL || !gate_room(g) ||
	    (w = gate_reply_new(g, o, id, r, flag)) == NULL) {
		gate_unavailable(g, o, id);
		return;
	}
	w->flag_value = flag_value;
	if (gate_append(g, l, reply_now, w) == 0) {
		log_warn("gate: line %s", l->action);
		gate_unavailable(g, o, id);
		reply_free(w);
	}
}

struct reply *
gate_reply_chain(struct reply *w, struct reply *rest)
{
	w->next = rest;
	return (w);
}

void
gate_reply_all(struct reply *w, bool ok, uint64_t seq)
{
	struct reply *next;

	for (; w != NULL; w = next) {
		next = w->next;
		reply_now(w, ok, seq);
	}
}
