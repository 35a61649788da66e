/* SPDX-License-Identifier: ISC */
/*
 * The journal while all is well: the batch, the group commit, the reserve. The
 * rule everything else rests on stands in journal_commit(): nobody is told
 * that a line counts before an fdatasync that covers it has returned 0. What
 * to do after an error is in jrepair.c, the start in jrecover.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/merkle.h"
#include "common/util.h"
#include "workers/audit/jpriv.h"

struct journal *
journal_open(const struct journal_conf *conf, journal_visit visit, void *arg,
    char *err, size_t errlen)
{
	struct journal *j;

	if ((j = calloc(1, sizeof(*j))) == NULL ||
	    (j->sum = EVP_MD_CTX_new()) == NULL) {
		(void)snprintf(err, errlen, "out of memory");
		free(j);
		return (NULL);
	}
	j->conf = *conf;
	j->io = conf->io;
	j->dirfd = conf->dirfd;
	j->fd = -1;
	j->rotate_at = conf->max_bytes;
	if (journal_recover(j, visit, arg, err, errlen) == -1) {
		journal_close(j);
		return (NULL);
	}
	return (j);
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->fd != -1)
		(void)j->io->close(j->fd);
	EVP_MD_CTX_free(j->sum);
	buf_free(&j->batch);
	free(j->waiting.v);
	free(j->calling.v);
	free(j->segs.v);
	free(j);
}

/* ---- the batch ---- */

static int
ticket_add(struct tickets *t, journal_done fn, void *arg)
{
	struct ticket *v;
	size_t cap;

	if (t->n == t->cap) {
		cap = t->cap == 0 ? 64 : t->cap * 2;
		if ((v = reallocarray(t->v, cap, sizeof(*v))) == NULL)
			return (-1);
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n].fn = fn;
	t->v[t->n].arg = arg;
	t->n++;
	return (0);
}

uint64_t
journal_append(struct journal *j, const struct line *line, journal_done fn,
    void *arg)
{
	struct line l = *line;
	struct line_view v;
	uint64_t seq = j->next_seq;
	size_t start = j->batch.len;

	if (j->state != JOURNAL_OK) {
		j->refused++;
		errno = EAGAIN;
		return (0);
	}
	if (l.permit == PERMIT_IS_SEQ)
		l.permit = seq;
	if (line_build(&j->batch, &l, j->conf.node, seq, ax_real_us()) == -1)
		return (0);
	/* What recovery could not read back must never get in. */
	if (line_parse(j->batch.d + start, j->batch.len - start - 1, &v) ==
	    -1) {
		j->batch.len = start;
		errno = EINVAL;
		return (0);
	}
	if (ticket_add(&j->waiting, fn, arg) == -1) {
		j->batch.len = start;
		return (0);
	}
	j->next_seq++;
	return (seq);
}

size_t
journal_pending(const struct journal *j)
{
	return (j->waiting.n);
}

/* ---- commit ---- */

void
journal_fail(struct journal *j, enum journal_state state, const char *what)
{
	int saved = errno;
	char why[sizeof(j->why)];

	(void)snprintf(why, sizeof(why), "%s%s%s", what, saved != 0 ? ": " : "",
	    saved != 0 ? strerror(saved) : "");
	if (j->down_since == 0)
		j->down_since = ax_mono_us();
	/* Said once, not with every try. */
	if (strcmp(why, j->why) != 0)
		log_warnx("journal: closed: %s", why);
	memcpy(j->why, why, sizeof(why));
	j->state = state;
	j->stats.failures++;
	errno = saved;
}

/* Tells everybody in the batch; `calling` lets a callback append. */
static void
call_back(struct journal *j, bool ok, uint64_t first_seq)
{
	struct tickets t = j->calling;
	size_t i;

	j->calling = j->waiting;
	j->waiting = t;
	j->waiting.n = 0;
	j->busy = true;
	for (i = 0; i < j->calling.n; i++) {
		if (j->calling.v[i].fn != NULL)
			j->calling.v[i].fn(j->calling.v[i].arg, ok,
			    first_seq + i);
	}
	j->calling.n = 0;
	j->busy = false;
}

static int
refuse_batch(struct journal *j)
{
	uint64_t first = j->durable + 1;

	j->refused += j->waiting.n;
	j->next_seq = first;
	buf_reset(&j->batch);
	call_back(j, false, first);
	return (-1);
}

static void
batch_durable(struct journal *j, uint64_t started)
{
	struct segment *s = journal_active(j);
	uint64_t first = j->durable + 1;

	j->stats.last_sync_us = ax_mono_us() - started;
	j->stats.syncs++;
	j->stats.lines += j->waiting.n;
	j->stats.bytes += j->batch.len;
	if (EVP_DigestUpdate(j->sum, j->batch.d, j->batch.len) != 1)
		fatalx("journal: SHA-256 failed");
	s->committed += j->batch.len;
	j->durable += j->waiting.n;
	buf_reset(&j->batch);
	call_back(j, true, first);
}

int
journal_commit(struct journal *j)
{
	uint64_t started;

	if (j->busy)
		fatalx("journal: commit inside a callback");
	if (j->waiting.n == 0)
		return (0);
	if (j->state != JOURNAL_OK)
		return (refuse_batch(j));
	/* Ahead of the write if there is space; it is not asked for twice. */
	(void)journal_room(j, 0);
	if (journal_check_file(j) == -1)
		return (refuse_batch(j));
	if (jio_write_all(j->io, j->fd, j->batch.d, j->batch.len) == -1) {
		journal_fail(j, JOURNAL_CUT, "write");
		return (refuse_batch(j));
	}
	started = ax_mono_us();
	if (j->io->fdatasync(j->fd) == -1) {
		journal_fail(j, JOURNAL_VERIFY, "fdatasync");
		return (refuse_batch(j));
	}
	journal_note_written(j);
	batch_durable(j, started);
	if (j->waiting.n == 0 &&
	    (journal_active(j)->committed >= j->rotate_at || j->rotate_soon))
		journal_rotate(j);
	return (0);
}

void
journal_rotate_soon(struct journal *j)
{
	j->rotate_soon = journal_active(j)->committed > 0;
}

bool
journal_rotates_soon(const struct journal *j)
{
	return (j->rotate_soon);
}

/* ---- space ---- */

int
journal_reserve(struct journal *j, uint64_t end)
{
	uint64_t from = journal_active(j)->committed;
	int r, saved;

	if (j->no_reserve || end <= j->reserved)
		return (0);
	if (journal_check_file(j) == -1)
		return (-1);
	do
		r = j->io->fallocate(j->fd, FALLOC_FL_KEEP_SIZE, (off_t)from,
		    (off_t)(end - from));
	while (r == -1 && errno == EINTR);
	saved = errno;
	/* It may have set the file's time, on ext4 also when it failed. */
	journal_note_written(j);
	errno = saved;
	if (r == -1 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
		log_warnx("journal: the file system reserves no space; a full "
			  "disk is noticed when writing");
		j->no_reserve = true;
		return (0);
	}
	if (r == 0)
		j->reserved = end;
	return (r);
}

uint64_t
journal_free_bytes(const struct journal *j)
{
	struct statvfs v;

	if (j->io->fstatvfs(j->dirfd, &v) == -1)
		return (UINT64_MAX);
	return ((uint64_t)v.f_bavail * v.f_frsize);
}

/* 1: n more bytes fit, and half the reserve behind them; 0: they fit; -1. */
static int
room(struct journal *j, uint64_t n)
{
	uint64_t end, half = j->conf.reserve / 2;

	if (j->state != JOURNAL_OK) {
		errno = EAGAIN;
		return (-1);
	}
	end = journal_active(j)->committed + j->batch.len + n;
	if (j->no_reserve || j->reserved >= end + half ||
	    journal_reserve(j, end + j->conf.reserve) == 0)
		return (1);
	return (j->reserved >= end ? 0 : -1);
}

int
journal_room(struct journal *j, uint64_t n)
{
	return (room(j, n) == -1 ? -1 : 0);
}

int
journal_room_again(struct journal *j, uint64_t n)
{
	return (room(j, n) == 1 ? 0 : -1);
}

/* ---- reading ---- */

enum journal_state
journal_state(const struct journal *j)
{
	return (j->state);
}

const char *
journal_why(const struct journal *j)
{
	return (j->why);
}

uint64_t
journal_seq(const struct journal *j)
{
	return (j->durable);
}

uint64_t
journal_committed(const struct journal *j)
{
	return (journal_active(j)->committed);
}

size_t
journal_nsegments(const struct journal *j)
{
	return (j->segs.n);
}

const struct segment *
journal_segment(const struct journal *j, size_t i)
{
	return (&j->segs.v[i]);
}

void
journal_archived(struct journal *j, uint64_t num, const char *name)
{
	size_t i;

	for (i = 0; i + 1 < j->segs.n; i++) {
		if (j->segs.v[i].num == num)
			(void)ax_strlcpy(j->segs.v[i].name, name,
			    sizeof(j->segs.v[i].name));
	}
}

int
journal_segment_fd(const struct journal *j, size_t i)
{
	int fd = j->io->openat(j->dirfd, j->segs.v[i].name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);

	/* Nobody shall sign what somebody else put in its place. */
	if (fd != -1 && i + 1 == j->segs.n && j->fd != -1 &&
	    !journal_is_live(j, fd)) {
		(void)j->io->close(fd);
		errno = ESTALE;
		return (-1);
	}
	return (fd);
}

uint64_t
journal_cut_bytes(const struct journal *j)
{
	return (j->cut_bytes);
}

const struct journal_stats *
journal_stats(const struct journal *j)
{
	return (&j->stats);
}

struct nth_line {
	uint64_t skip;
	uint8_t *out;
	bool found;
};

static int
nth_line(void *arg, const char *s, size_t n, uint64_t at)
{
	struct nth_line *f = arg;

	(void)at;
	if (f->skip > 0) {
		f->skip--;
		return (0);
	}
	merkle_leaf(s, n, f->out);
	f->found = true;
	return (-1);
}

int
journal_leaf_at(const struct journal *j, uint64_t seq, uint8_t out[32])
{
	struct nth_line f = { .out = out };
	const struct segment *s;
	uint64_t at;
	size_t i = j->segs.n;

	if (seq == 0 || seq > j->durable)
		return (-1);
	while (i > 0 && j->segs.v[i - 1].first_seq > seq)
		i--;
	if (i == 0 || j->segs.v[i - 1].first_seq == 0)
		return (-1);
	s = &j->segs.v[i - 1];
	f.skip = seq - s->first_seq;
	(void)segment_scan_closed(j->io, j->dirfd, s, nth_line, &f, &at);
	return (f.found ? 0 : -1);
}
