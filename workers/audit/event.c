/* SPDX-License-Identifier: ISC */
/*
 * Putting an event's line together, see event.h: the one place that knows how
 * an event differs from a decision. Must never append a line itself: whoever
 * owns the journal does.
 */
#include <string.h>

#include "workers/audit/event.h"

void
event_begin(struct event *e, const char *action, const char *decision,
    int risk_score)
{
	memset(e, 0, sizeof(*e));
	e->line.kind = LK_EVENT;
	e->line.action = action;
	e->line.decision = decision;
	e->line.risk_score = risk_score;
	e->line.actor = "system";
	jw_init(&e->ctx, &e->b, true);
	jw_obj(&e->ctx);
}

const struct line *
event_line(struct event *e)
{
	jw_obj_end(&e->ctx);
	e->line.context = buf_str(&e->b);
	e->line.context_len = e->b.len;
	return (e->line.context != NULL ? &e->line : NULL);
}

void
event_done(struct event *e)
{
	buf_free(&e->b);
}
