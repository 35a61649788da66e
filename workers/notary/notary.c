/* SPDX-License-Identifier: ISC */
/*
 * The notary's life between its messages: what it knows of the journal, the
 * lines it reads, its failures and its end. Must never take a line that audit
 * did not call durable, and never go on once the evidence disagrees.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/notary/npriv.h"

#define SLICE_LINES   2048
#define BACKOFF_FIRST 250000u
#define BACKOFF_MAX   8000000u

struct notary *
notary_new(const struct notary_conf *conf, const struct notary_ops *ops,
    void *arg, struct metrics_slot *slot)
{
	struct notary *n;

	if ((n = calloc(1, sizeof(*n))) == NULL ||
	    (n->queue = calloc(QUEUE_MAX, sizeof(*n->queue))) == NULL) {
		free(n);
		return (NULL);
	}
	n->conf = *conf;
	n->ops = ops;
	n->arg = arg;
	n->slot = slot;
	tilefile_init(&n->files, conf->io, conf->dirfd);
	return (n);
}

void
notary_free(struct notary *n)
{
	if (n == NULL)
		return;
	notary_end(n);
	history_free(&n->history);
	buf_free(&n->cut.note);
	free(n->queue);
	free(n);
}

void
notary_interval(struct notary *n, uint64_t interval_us)
{
	n->conf.interval_us = interval_us;
}

/* ---- audit comes and goes ---- */

void
notary_begin(struct notary *n)
{
	notary_end(n);
	if ((n->reader = reader_new(n->conf.segments)) == NULL)
		notary_failed(n, "reader");
}

void
notary_end(struct notary *n)
{
	ncut_drop(n);
	reader_free(n->reader);
	n->reader = NULL;
	free(n->segs);
	n->segs = NULL;
	n->nsegs = 0;
	n->live = false;
	n->told = n->told_num = 0;
	n->opened = false;
	if (n->state != NOTARY_BROKEN)
		n->state = NOTARY_WAIT;
}

void
notary_set_stop(struct notary *n)
{
	uint64_t at = UINT64_MAX, size = notary_size(n);
	size_t i;

	if (n->rebuild_to > 0 && n->rebuild_to >= size)
		at = n->rebuild_to;
	for (i = 0; i < n->nsegs; i++)
		if (n->segs[i].first_seq > size && n->segs[i].first_seq <= at)
			at = n->segs[i].first_seq - 1;
	n->stop_at = at;
}

static int
keep_segment(struct notary *n, uint64_t num, uint64_t first_seq)
{
	struct nsegment *v;

	if (n->nsegs > 0 && n->segs[n->nsegs - 1].num >= num)
		return (0); /* sent again: its file was replaced */
	v = reallocarray(n->segs, n->nsegs + 1, sizeof(*v));
	if (v == NULL)
		return (-1);
	n->segs = v;
	v[n->nsegs].num = num;
	v[n->nsegs++].first_seq = first_seq;
	return (0);
}

int
notary_segment(struct notary *n, uint64_t num, uint64_t first_seq, bool live,
    int fd)
{
	if (n->reader == NULL) {
		(void)close(fd);
		return (0);
	}
	if (reader_segment(n->reader, num, first_seq, fd) == -1 ||
	    keep_segment(n, num, first_seq) == -1)
		return (-1);
	if (n->nsegs > 0 && n->segs[n->nsegs - 1].num == num)
		n->live = live;
	notary_set_stop(n);
	n->more = true;
	return (0);
}

void
notary_journal_at(struct notary *n, uint64_t num, uint64_t committed,
    uint64_t next_seq)
{
	if (n->reader == NULL || next_seq == 0)
		return;
	reader_committed(n->reader, num, committed);
	n->told = next_seq - 1;
	n->told_num = num;
	n->more = true;
}

const struct nsegment *
notary_segment_of(const struct notary *n, uint64_t seq)
{
	size_t i = n->nsegs;

	while (i > 0 && n->segs[i - 1].first_seq > seq)
		i--;
	return (i > 0 ? &n->segs[i - 1] : NULL);
}

/* ---- lines ---- */

void
notary_place(struct notary *n, const struct nsegment *s)
{
	reader_seek(n->reader, s->num, 0, s->first_seq);
	n->reading = s->num;
	n->more = true;
	notary_set_stop(n);
}

/* The first line of another segment: is it the one that is due? */
static int
check_segment(struct notary *n, uint64_t num)
{
	const struct nsegment *s = notary_segment_of(n, notary_size(n) + 1);

	if (s != NULL && s->num == num && s->first_seq == notary_size(n) + 1) {
		n->reading = num;
		return (0);
	}
	notary_broken(n,
	    "segment %" PRIu64 " of the journal ends with line %" PRIu64
	    ", and segment %" PRIu64 " does not begin with the next one",
	    n->reading, notary_size(n), num);
	return (-1);
}

int
notary_line(struct notary *n, uint8_t leaf[MERKLE_HASH])
{
	struct reader_line l;
	int r = reader_next(n->reader, &l);

	if (r == -1)
		notary_failed(n, "journal");
	if (r == 1 && l.segment != n->reading)
		r = check_segment(n, l.segment) == -1 ? -1 : 1;
	if (r == 1)
		merkle_leaf(l.p, l.n, leaf);
	return (r);
}

/* Takes in what is durable, for a while. True: there is more. */
static bool
pump(struct notary *n)
{
	uint8_t leaf[MERKLE_HASH];
	unsigned lines;

	for (lines = 0; n->more && lines < SLICE_LINES; lines++) {
		if (n->qn + TILE_LEVELS > QUEUE_MAX)
			return (false);
		if (notary_size(n) == n->stop_at) {
			if (ncut_hold(n))
				return (false);
			n->stop_at = UINT64_MAX;
		}
		switch (notary_line(n, leaf)) {
		case 1:
			if (n->failing && n->files.n == 0)
				notary_works(n);
			keeper_append(&n->keeper, leaf, ncut_take, n);
			if (n->stop_at == UINT64_MAX)
				notary_set_stop(n);
			break;
		case 0:
			n->more = false;
			break;
		default:
			return (false);
		}
	}
	return (n->more);
}

/* ---- trouble ---- */

void
notary_broken(struct notary *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(n->why, sizeof(n->why), fmt, ap);
	va_end(ap);
	n->state = NOTARY_BROKEN;
	metric_inc(n->slot, MC_CHECKPOINT_FAILURES);
	metric_set(n->slot, MG_SIGNING_OK, 0);
}

void
notary_failed(struct notary *n, const char *what)
{
	char text[sizeof(n->said)];

	(void)snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	if (strcmp(text, n->said) != 0)
		log_warnx("checkpoint: %s: tried again until it works", text);
	memcpy(n->said, text, sizeof(n->said));
	n->failing = true;
	n->backoff = n->backoff == 0 ? BACKOFF_FIRST : n->backoff * 2;
	if (n->backoff > BACKOFF_MAX)
		n->backoff = BACKOFF_MAX;
	n->retry_at = ax_mono_us() + n->backoff;
	metric_inc(n->slot, MC_CHECKPOINT_FAILURES);
	metric_set(n->slot, MG_SIGNING_OK, 0);
}

void
notary_works(struct notary *n)
{
	if (n->failing)
		log_info("checkpoint: works again");
	n->failing = false;
	n->said[0] = '\0';
	n->backoff = 0;
}

/* ---- steps ---- */

static void
report(const struct notary *n)
{
	metric_set(n->slot, MG_SIGNING_OK,
	    n->conf.key != NULL && n->state == NOTARY_FOLLOW && !n->failing &&
		n->rebuild_to == 0);
}

/* Something is to be written as soon as its time has come. */
static uint64_t
until_cut(const struct notary *n, uint64_t now)
{
	if (n->state != NOTARY_FOLLOW || notary_size(n) <= n->covered)
		return (UINT64_MAX);
	return (n->next_cut > now ? n->next_cut - now : 0);
}

uint64_t
notary_step(struct notary *n)
{
	uint64_t now = ax_mono_us();
	bool again;

	if (n->state == NOTARY_BROKEN || n->reader == NULL)
		return (UINT64_MAX);
	if (n->failing && now < n->retry_at)
		return (n->retry_at - now);
	if (n->state != NOTARY_FOLLOW)
		again = nverify_step(n);
	else {
		again = pump(n);
		if (n->state == NOTARY_FOLLOW)
			again = ncut_step(n, now) || again;
	}
	report(n);
	if (n->state == NOTARY_BROKEN)
		return (UINT64_MAX);
	if (n->failing && n->retry_at > now)
		return (n->retry_at - now);
	return (again ? 0 : until_cut(n, now));
}

/* ---- the end ---- */

void
notary_drain(struct notary *n, uint64_t seq)
{
	n->draining = true;
	n->drain_to = seq;
	n->more = true;
}

bool
notary_drained(const struct notary *n)
{
	if (n->state == NOTARY_BROKEN || n->reader == NULL || n->failing ||
	    (n->told == 0 && n->drain_to == 0))
		return (true);
	return (n->state == NOTARY_FOLLOW && !n->more &&
	    notary_size(n) >= n->drain_to && ncut_idle(n));
}

enum notary_state
notary_state(const struct notary *n)
{
	return (n->state);
}

const char *
notary_why(const struct notary *n)
{
	return (n->why);
}

uint64_t
notary_covered(const struct notary *n)
{
	return (n->covered);
}
