/* SPDX-License-Identifier: ISC */
/*
 * A clean stop, in stages: the fronts finish what they have; audit waits for
 * the open permits and writes its last line; the notary signs over that line,
 * whose number audit has told; then the others end, and audit last, so that
 * whatever happened until then is on disk.
 */
#include <signal.h>

#include <event2/event.h>

#include "common/log.h"
#include "notify.h"
#include "parent.h"
#include "sink.h"

enum stage { ST_NONE, ST_FRONT, ST_AUDIT, ST_NOTARY, ST_OTHERS, ST_LAST };

static enum stage stage;
static struct event *limit_ev;

static bool
in_stage(const struct proc *p, enum stage s)
{
	switch (s) {
	case ST_FRONT:
		return (p->desc->role == PROC_HTTP ||
		    p->desc->role == PROC_SCHEDULER);
	case ST_AUDIT:
		return (p->desc->role == PROC_AUDIT);
	case ST_NOTARY:
		return (p->desc->role == PROC_NOTARY);
	default:
		return (true);
	}
}

/* Drain is a request; it is over when the worker has answered or is gone. */
static bool
stage_over(enum stage s)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		const struct proc *p = &parent.procs[i];

		if (!in_stage(p, s))
			continue;
		if (s == ST_OTHERS ?
			p->desc->role != PROC_AUDIT && p->state != PROC_DOWN :
			s == ST_LAST ?
			p->state != PROC_DOWN :
			p->state != PROC_DRAINED && p->state != PROC_DOWN)
			return (false);
	}
	return (true);
}

static void
drain(enum stage s)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		struct proc *p = &parent.procs[i];

		if (!in_stage(p, s) || p->state == PROC_DOWN)
			continue;
		if (p->state != PROC_READY) {
			proc_kill(p, SIGKILL);
			continue;
		}
		p->state = PROC_DRAINING;
		(void)ipc_send(p->chan, MSG_DRAIN, 0, &parent.last_seq,
		    s == ST_NOTARY ? sizeof(parent.last_seq) : 0);
	}
}

/* A worker ends by itself when its channel ends. */
static void
hang_up(bool audit)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		struct proc *p = &parent.procs[i];

		if ((p->desc->role == PROC_AUDIT) != audit)
			continue;
		ipc_free(p->chan);
		p->chan = NULL;
		if (p->state == PROC_STARTED || p->state == PROC_SETTING_UP)
			proc_kill(p, SIGKILL);
	}
}

void
stop_on_progress(void)
{
	while (stage != ST_NONE && stage_over(stage)) {
		if (stage == ST_LAST) {
			if (sink_last())
				return;
			stage = ST_NONE;
			log_info("stopped");
			(void)event_base_loopbreak(parent.base);
			return;
		}
		stage++;
		if (stage == ST_AUDIT || stage == ST_NOTARY)
			drain(stage);
		else
			hang_up(stage == ST_LAST);
	}
}

static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	unsigned i;

	log_warnx("stop: not finished after DRAIN_TIMEOUT: killing what is "
		  "left");
	sink_abandon();
	for (i = 0; i < parent.nprocs; i++)
		proc_kill(&parent.procs[i], SIGKILL);
	stage = ST_LAST;
	stop_on_progress();
}

void
stop_start(const char *why)
{
	struct timeval tv = { settings_int(parent.settings, SET_DRAIN_TIMEOUT),
		0 };
	unsigned i;

	if (parent.ending) {
		log_warnx("stop: asked again: killing at once");
		sink_abandon();
		for (i = 0; i < parent.nprocs; i++)
			proc_kill(&parent.procs[i], SIGKILL);
		if (stage == ST_NONE)
			return;
		stage = ST_LAST;
		stop_on_progress(); /* perhaps only the sink was left */
		return;
	}
	log_info("stopping: %s", why);
	notify_send("STOPPING=1");
	parent.ending = true;
	parent.exit_status = 0;
	limit_ev = evtimer_new(parent.base, too_late, NULL);
	if (limit_ev != NULL)
		(void)evtimer_add(limit_ev, &tv);
	archive_kill();
	stage = ST_FRONT;
	drain(ST_FRONT);
	stop_on_progress();
}
