/* SPDX-License-Identifier: ISC */
#ifndef AX_EVENT_H
#define AX_EVENT_H

#include "common/buf.h"
#include "common/jw.h"
#include "common/line.h"

/*
 * An event's line while it is put together: what happened without a run. Pure.
 * Between event_begin() and event_line() the caller writes keys, sorted, into
 * `ctx`; it may set line.actor ("system" until then), line.reason and
 * line.request_id, whose texts must live as long as the line.
 */
struct event {
	struct line line;
	struct buf b;
	struct jw ctx;
};

/* `decision`: APPROVED for what was done, WARNED, BLOCKED. Not to be moved
 * from here on. */
void event_begin(struct event *, const char *action, const char *decision,
    int risk_score);
/* Ends the context: the line, valid until event_done(), or NULL without
 * memory. Once. */
const struct line *event_line(struct event *);
/* Never event_free(): libevent's would be taken for it at link time. */
void event_done(struct event *);

#endif
