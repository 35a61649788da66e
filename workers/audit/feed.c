/* SPDX-License-Identifier: ISC */
/*
 * Tells the store and the notary what of the journal is durable. Must never
 * tell of a byte beyond `committed`, and never wait for either.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/audit/feed.h"

#define BURST	 32	 /* descriptors in one push */
#define MARK_GAP 1000000 /* us between two answers */

static int
tell(struct feed *f, const struct segment *s, uint64_t next_seq)
{
	struct buf b = BUF_INITIALIZER;
	int r;

	mw_u64(&b, s->num);
	mw_u64(&b, s->committed);
	mw_u64(&b, next_seq);
	r = ipc_send_buf(f->peer, MSG_JOURNAL_AT, 0, &b);
	buf_free(&b);
	return (r);
}

static int
send_descriptor(struct feed *f, size_t i)
{
	const struct segment *s = journal_segment(f->journal, i);
	struct buf b = BUF_INITIALIZER;
	int fd, r;

	if ((fd = journal_segment_fd(f->journal, i)) == -1)
		return (-1);
	mw_u64(&b, s->num);
	mw_u64(&b, s->first_seq);
	mw_str(&b, s->name);
	r = ipc_send_fds(f->peer, MSG_SEGMENT_FD, 0, b.d, b.len, &fd, 1);
	buf_free(&b);
	return (r);
}

/* A closed one that an operator has put away is passed over: who reads sees the
 * gap, and need not come to it. */
static int
send_segment(struct feed *f, size_t i)
{
	const struct segment *s = journal_segment(f->journal, i);
	bool closed = i + 1 < journal_nsegments(f->journal);
	int r = send_descriptor(f, i);

	if (r == -1 && errno == ENOENT && closed) {
		log_info("feed: %s is not there any more", s->name);
		return (0);
	}
	if (r == -1)
		log_warn("feed: %s", s->name);
	if (r == 0 && closed)
		r = tell(f, s, journal_segment(f->journal, i + 1)->first_seq);
	return (r);
}

void
feed_again(struct feed *f, uint64_t segment)
{
	size_t i;

	if (f->journal == NULL || f->peer == NULL || ipc_congested(f->peer))
		return;
	for (i = 0; i < f->next; i++) {
		if (journal_segment(f->journal, i)->num == segment)
			(void)send_descriptor(f, i);
	}
}

/* ---- the mark ---- */

static void
judge_mark(struct feed *f)
{
	uint8_t ours[32], agrees = f->mark.seq == 0;

	if (!f->mark.held || f->journal == NULL || f->peer == NULL ||
	    ax_mono_us() < f->mark.not_before)
		return;
	f->mark.held = 0;
	f->mark.not_before = ax_mono_us() + MARK_GAP;
	if (f->mark.seq != 0 &&
	    journal_leaf_at(f->journal, f->mark.seq, ours) == 0)
		agrees = memcmp(ours, f->mark.leaf, sizeof(ours)) == 0;
	if (!agrees)
		log_warnx("feed: the store's line %llu is not ours: it will "
			  "be rebuilt",
		    (unsigned long long)f->mark.seq);
	(void)ipc_send(f->peer, MSG_MARK_VERDICT, f->mark.id, &agrees, 1);
}

/* ---- the feed ---- */

void
feed_push(struct feed *f)
{
	const struct segment *last;
	unsigned n = 0;
	size_t all;

	judge_mark(f);
	if (f->journal == NULL || f->peer == NULL ||
	    journal_state(f->journal) != JOURNAL_OK)
		return;
	all = journal_nsegments(f->journal);
	/* A repair may have replaced the last file, under the same number or
	 * by a copy in the archive. */
	if (journal_stats(f->journal)->failures != f->failures && f->next > 0)
		f->next--;
	f->failures = journal_stats(f->journal)->failures;
	for (; f->next < all; f->next++) {
		if (n++ == BURST || ipc_queued(f->peer) > 0 ||
		    send_segment(f, f->next) == -1)
			return;
		f->told = 0;
	}
	last = journal_segment(f->journal, all - 1);
	if (last->committed == f->told || ipc_congested(f->peer))
		return;
	if (tell(f, last, journal_seq(f->journal) + 1) == 0)
		f->told = last->committed;
}

void
feed_mark(struct feed *f, uint64_t id, uint64_t seq, const uint8_t *leaf,
    size_t leaf_len)
{
	if (f->peer == NULL)
		return;
	memset(f->mark.leaf, 0, sizeof(f->mark.leaf));
	f->mark.id = id;
	f->mark.seq = seq;
	if (leaf_len == sizeof(f->mark.leaf))
		memcpy(f->mark.leaf, leaf, leaf_len);
	f->mark.held = 1;
	judge_mark(f);
}

/* ---- both ends ---- */

void
feed_start(struct feed *f, struct journal *j)
{
	f->journal = j;
	feed_push(f);
}

void
feed_up(struct feed *f, struct ipc *peer)
{
	f->peer = peer;
	f->next = 0;
	f->told = 0;
	f->mark.held = 0;
	feed_push(f);
}

void
feed_down(struct feed *f)
{
	f->peer = NULL;
	f->mark.held = 0;
}
