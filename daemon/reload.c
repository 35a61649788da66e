/* SPDX-License-Identifier: ISC */
/*
 * Two-phase reload: load and check a new generation, send it to every worker,
 * and only when all have answered READY tell them to commit. One REJECT, one
 * death or silence, and nothing changes anywhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/msg.h"
#include "generation.h"
#include "notify.h"
#include "parent.h"
#include "sink.h"

#define ANSWER_LIMIT_S 10

static struct {
	struct generation *next; /* NULL: no reload in progress */
	struct buf report;	 /* what changed, JSON */
	struct event *limit;
	reload_done done;
	void *arg;
} pending;

static bool again; /* SIGHUP came when no reload was possible */

static void
finish(bool ok, const char *text)
{
	reload_done done = pending.done;
	void *arg = pending.arg;

	if (pending.limit != NULL)
		(void)evtimer_del(pending.limit);
	pending.done = NULL;
	notify_send(ok ? "READY=1\nSTATUS=ready" :
			 "READY=1\nSTATUS=ready; the last reload was rejected");
	metric_set(parent.slot, MG_LAST_RELOAD_OK, ok);
	metric_inc(parent.slot, ok ? MC_CONF_RELOADS : MC_CONF_REJECTS);
	if (ok)
		log_info("reload: %s", text);
	else
		log_warnx("reload rejected, nothing changed: %s", text);
	if (done != NULL)
		done(ok, text, arg);
	reload_retry();
}

static void
tell_all(enum msg_type type, uint64_t gen)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		struct proc *p = &parent.procs[i];

		if (p->chan != NULL && p->gen_sent == gen)
			(void)ipc_send(p->chan, type, 0, &gen, sizeof(gen));
	}
}

static void
reject(const char *why)
{
	struct generation *g = pending.next;

	pending.next = NULL;
	tell_all(MSG_CONF_ABORT, g->number);
	generation_free(g);
	finish(false, why);
}

/* Written down by the gate like any other act of an operator. */
static void
record_reload(void)
{
	struct proc *audit = proc_find(PROC_AUDIT, 0);
	struct buf b = BUF_INITIALIZER;

	if (audit == NULL || audit->chan == NULL)
		return;
	mw_str(&b, "os:parent");
	mw_str(&b, "reload");
	mw_str(&b, buf_str(&pending.report));
	(void)ipc_send_buf(audit->chan, MSG_CTL_GATE, 0, &b);
	buf_free(&b);
}

static void
commit(void)
{
	struct generation *old = parent.gen;
	enum log_level level;

	tell_all(MSG_CONF_COMMIT, pending.next->number);
	parent.gen = pending.next;
	parent.settings = parent.gen->settings;
	pending.next = NULL;
	generation_free(old);
	metric_set(parent.slot, MG_CONF_GENERATION, parent.gen->number);
	if (log_level_parse(settings_str(parent.settings, SET_LOG_LEVEL),
		&level) == 0)
		log_set_level(level);
	sink_on_reload();
	record_reload();
	finish(true, buf_str(&pending.report));
}

void
reload_on_answer(struct proc *p, uint64_t gen, const char *rejected)
{
	char why[1024];
	unsigned i;

	if (pending.next == NULL || gen != pending.next->number)
		return;
	if (rejected != NULL) {
		(void)snprintf(why, sizeof(why), "%s: %s",
		    proc_name(p->desc->role), rejected);
		reject(why);
		return;
	}
	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart != RC_ONESHOT &&
		    !parent.procs[i].gen_ready)
			return;
	}
	commit();
}

void
reload_on_death(struct proc *p)
{
	char why[128];

	if (pending.next == NULL)
		return;
	again = again || pending.done == NULL;
	(void)snprintf(why, sizeof(why), "%s died during the reload: try again",
	    proc_name(p->desc->role));
	reject(why);
}

static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	if (pending.next != NULL)
		reject("a worker did not answer in time");
}

/*
 * What differs: live settings are taken over, others keep their running value
 * and are named.
 */
static void
compare(struct generation *g)
{
	struct buf restart = BUF_INITIALIZER;
	struct jw w, r;
	char err[512];
	unsigned i;

	buf_reset(&pending.report);
	jw_init(&w, &pending.report, false);
	jw_init(&r, &restart, false);
	jw_obj(&w);
	jw_kuint(&w, "generation", g->number);
	jw_key(&w, "changed");
	jw_arr(&w);
	jw_arr(&r);
	for (i = 0; i < SET_MAX; i++) {
		enum setting_id id = (enum setting_id)i;

		if (settings_equal(parent.settings, g->settings, id))
			continue;
		if ((setting_defs[i].flags & SF_LIVE) != 0) {
			jw_str(&w, setting_defs[i].name);
			continue;
		}
		jw_str(&r, setting_defs[i].name);
		(void)settings_set(g->settings, id,
		    settings_str(parent.settings, id),
		    settings_origin(parent.settings, id), err, sizeof(err));
	}
	jw_arr_end(&w);
	jw_arr_end(&r);
	jw_key(&w, "needs_restart");
	jw_raw(&w, buf_str(&restart), restart.len);
	jw_kuint(&w, "skills", g->nskills);
	jw_kuint(&w, "governor_files", g->nrules);
	jw_kuint(&w, "keys", g->nkeys);
	jw_obj_end(&w);
	buf_free(&restart);
}

/* NULL, or why a reload cannot start now. */
static const char *
busy(void)
{
	if (pending.next != NULL)
		return ("busy: another reload is in progress");
	if (!proc_all_in(PROC_READY))
		return ("busy: a worker is starting or stopping; see "
			"archillxctl status");
	return (NULL);
}

void
reload_retry(void)
{
	if (!again || parent.ending || busy() != NULL)
		return;
	again = false;
	reload_start(NULL, NULL);
}

void
reload_start(reload_done done, void *arg)
{
	static const struct timeval limit = { ANSWER_LIMIT_S, 0 };
	struct conf_errors errs = { 0 };
	struct generation *g;
	const char *why = busy();
	unsigned i;

	if (why != NULL && done != NULL) {
		done(false, why, arg);
		return;
	}
	if (why != NULL) {
		log_info("reload: as soon as it is possible (%s)", why);
		again = true;
		return;
	}
	notify_reloading();
	pending.done = done;
	pending.arg = arg;
	g = generation_load(parent.conf_file, parent.overrides,
	    parent.noverrides, &errs);
	if (g == NULL) {
		if (errs.len > 0)
			errs.text[errs.len - 1] = '\0';
		finish(false, errs.text != NULL ? errs.text : "out of memory");
		conf_errors_free(&errs);
		return;
	}
	g->number = parent.gen->number + 1;
	compare(g);
	pending.next = g;
	if (pending.limit == NULL)
		pending.limit = evtimer_new(parent.base, too_late, NULL);
	(void)evtimer_add(pending.limit, &limit);
	/* A one-shot keeps the configuration that it started with. */
	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart != RC_ONESHOT)
			generation_send(g, &parent.procs[i]);
	}
}
