/* SPDX-License-Identifier: ISC */
/*
 * The gate and the disk's space. Two reasons close it: the reserve for the
 * lines to come cannot be had, or less than AUDIT_MIN_FREE is left, long before
 * anything fails. The line that tells so comes out of the reserve, at once; it
 * opens again by itself. Must never let a run begin whose outcome might find no
 * room.
 */
#include <inttypes.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/event.h"
#include "workers/audit/gpriv.h"

#define CLOSING_LINE 1024 /* what tells that it is closed */

static const char no_reserve[] = "no space can be reserved for the journal";
static const char too_little[] = "less than AUDIT_MIN_FREE is left";

static uint64_t
room_needed(const struct gate *g)
{
	return ((g->permits.n + 1) * (uint64_t)LINE_OUTCOME_MAX +
	    LINE_MAX_BYTES + CLOSING_LINE);
}

static void
record_closed(struct gate *g)
{
	const struct line *l;
	struct event e;

	event_begin(&e, "audit_unavailable", "WARNED", 70);
	e.line.reason = g->space.why;
	jw_kuint(&e.ctx, "free_bytes", g->space.free);
	jw_kuint(&e.ctx, "min_free_bytes", g->conf->min_free);
	if ((l = event_line(&e)) != NULL)
		(void)gate_append(g, l, NULL, NULL);
	event_done(&e);
}

static void
record_open(struct gate *g)
{
	const struct line *l;
	struct event e;

	event_begin(&e, "audit_available", "APPROVED", 0);
	e.line.reason = g->space.why;
	jw_kuint(&e.ctx, "free_bytes", g->space.free);
	jw_kuint(&e.ctx, "refused", g->space.refused);
	jw_key(&e.ctx, "seconds");
	jw_seconds3(&e.ctx, ax_mono_us() - g->space.since);
	if ((l = event_line(&e)) != NULL)
		(void)gate_append(g, l, NULL, NULL);
	event_done(&e);
}

static void
close_for(struct gate *g, const char *why)
{
	if (g->space.why != NULL) {
		g->space.why = why;
		return;
	}
	g->space.why = why;
	g->space.since = ax_mono_us();
	g->space.refused = 0;
	log_warnx("gate: closed: %s; %" PRIu64 " bytes are free", why,
	    g->space.free);
	metric_inc(g->slot, MC_AUDIT_WRITE_FAILURES);
	record_closed(g);
	gate_gauges(g);
}

bool
gate_has_space(const struct gate *g)
{
	return (g->space.why == NULL);
}

bool
gate_room(struct gate *g)
{
	if (g->journal == NULL || journal_state(g->journal) != JOURNAL_OK)
		return (false);
	if (g->space.why == NULL &&
	    journal_room(g->journal, room_needed(g)) == 0)
		return (true);
	if (g->space.why == NULL && journal_state(g->journal) == JOURNAL_OK)
		close_for(g, no_reserve);
	return (false);
}

/* Enough, and when closed an eighth more, so that it does not flutter. */
static bool
enough(const struct gate *g)
{
	uint64_t want = g->conf->min_free;

	if (g->space.why != NULL)
		want += want / 8;
	return (g->space.free >= want);
}

void
gate_watch_space(struct gate *g)
{
	g->space.free = journal_free_bytes(g->journal);
	metric_set(g->slot, MG_AUDIT_FREE, g->space.free);
	if (journal_state(g->journal) != JOURNAL_OK)
		return;
	if (!enough(g)) {
		close_for(g, too_little);
		return;
	}
	if (g->space.why == NULL ||
	    journal_room_again(g->journal, room_needed(g)) == -1)
		return;
	log_info("gate: there is room again after %.1f s",
	    (double)(ax_mono_us() - g->space.since) / 1e6);
	record_open(g);
	g->space.why = NULL;
	gate_gauges(g);
}
