/* SPDX-License-Identifier: ISC */
/*
 * Closing the journal's live file because somebody asks for it: the request is
 * a line of its own, the last one or nearly so of the segment that it closes,
 * and the answer comes when the segment stands in archive/. Must never answer
 * "rotated" of a segment that still is the live file.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "workers/audit/event.h"
#include "workers/audit/gpriv.h"

struct closing {
	TAILQ_ENTRY(closing) entry;
	struct gate *g;
	struct origin origin;
	uint64_t id;
	uint64_t seq;	  /* of its line */
	uint64_t segment; /* the one to be closed; 0: not recorded yet */
};

static void
closing_free(struct closing *c)
{
	TAILQ_REMOVE(&c->g->closings, c, entry);
	free(c);
}

void
gate_archive_forget(struct gate *g)
{
	while (!TAILQ_EMPTY(&g->closings))
		closing_free(TAILQ_FIRST(&g->closings));
}

static void
recorded(void *arg, bool ok, uint64_t seq)
{
	struct closing *c = arg;
	const struct journal *j = c->g->journal;

	if (!ok) {
		gate_unavailable(c->g, &c->origin, c->id);
		closing_free(c);
		return;
	}
	c->seq = seq;
	c->segment = journal_segment(j, journal_nsegments(j) - 1)->num;
	journal_rotate_soon(c->g->journal);
}

static void
begin(struct gate *g, const struct origin *o, uint64_t id, const char *actor,
    const char *request_id)
{
	struct closing *c = calloc(1, sizeof(*c));
	const struct line *l;
	struct event e;

	event_begin(&e, "audit_archive", "APPROVED", 0);
	e.line.actor = actor;
	e.line.request_id = request_id;
	l = event_line(&e);
	if (c == NULL || l == NULL || !gate_room(g)) {
		free(c);
		gate_unavailable(g, o, id);
	} else {
		c->g = g;
		c->origin = *o;
		c->id = id;
		TAILQ_INSERT_TAIL(&g->closings, c, entry);
		if (gate_append(g, l, recorded, c) == 0) {
			gate_unavailable(g, o, id);
			closing_free(c);
		}
	}
	event_done(&e);
}

void
gate_ask_archive(struct asking *a)
{
	const struct gate_result r = { .status = GS_FORBIDDEN };

	if (strcmp(a->role, "admin") != 0) {
		metric_inc(a->g->slot, MC_FORBIDDEN);
		gate_answer(a->g, a->origin, a->id, &r);
		return;
	}
	begin(a->g, a->origin, a->id, a->actor, a->req->request_id);
}

void
gate_ctl_archive(struct gate *g, const struct origin *o, uint64_t id,
    const char *actor)
{
	begin(g, o, id, actor, NULL);
}

/* ---- the answer ---- */

static void
put_path(struct jw *w, const char *key, const struct gate *g, const char *name)
{
	struct buf b = BUF_INITIALIZER;

	buf_printf(&b, "%s/%s", g->conf->evidence_dir, name);
	jw_kstr(w, key, buf_str(&b));
	buf_free(&b);
}

/* Contract 3.4.6; the new live file is there already. */
static void
answer_closed(const struct closing *c, const struct segment *s)
{
	struct gate_result r = { .status = GS_CHANGED,
		.success = 1,
		.seq = c->seq };
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kbool(&w, "rotated", true);
	put_path(&w, "path", c->g, JOURNAL_NAME);
	put_path(&w, "archived_to", c->g, s->name);
	jw_kuint(&w, "size", s->committed);
	jw_kuint(&w, "threshold", 1);
	jw_kbool(&w, "current_exists", true);
	put_path(&w, "archive_dir", c->g, JOURNAL_ARCHIVE);
	jw_obj_end(&w);
	r.output = buf_str(&b);
	gate_answer(c->g, &c->origin, c->id, &r);
	buf_free(&b);
}

static void
answer_failed(const struct closing *c)
{
	const struct gate_result r = { .status = GS_INTERNAL,
		.seq = c->seq,
		.error = "the live file could not be put aside; the log "
			 "tells why" };

	gate_answer(c->g, &c->origin, c->id, &r);
}

/* NULL while it is the live file. */
static const struct segment *
closed_segment(const struct journal *j, uint64_t num)
{
	size_t i;

	for (i = 0; i + 1 < journal_nsegments(j); i++) {
		if (journal_segment(j, i)->num == num)
			return (journal_segment(j, i));
	}
	return (NULL);
}

void
gate_archive_answer(struct gate *g)
{
	struct closing *c, *next;
	const struct segment *s;

	for (c = TAILQ_FIRST(&g->closings); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->segment == 0)
			continue;
		s = closed_segment(g->journal, c->segment);
		/* Still to come, or after a repair. */
		if (s == NULL &&
		    (journal_rotates_soon(g->journal) ||
			journal_state(g->journal) != JOURNAL_OK))
			continue;
		if (s != NULL)
			answer_closed(c, s);
		else
			answer_failed(c);
		closing_free(c);
	}
}
