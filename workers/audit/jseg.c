/* SPDX-License-Identifier: ISC */
/*
 * The segments of a journal on the disk: names whose order is evident, the
 * list of what is in archive/, and reading lines. Must never write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "common/zread.h"
#include "workers/audit/jseg.h"

#define CHUNK (1u << 20)

int
segment_add(struct segment_list *l, const struct segment *s)
{
	struct segment *v;
	size_t cap;

	if (l->n == l->cap) {
		cap = l->cap == 0 ? 8 : l->cap * 2;
		if ((v = reallocarray(l->v, cap, sizeof(*v))) == NULL)
			return (-1);
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *s;
	return (0);
}

void
segment_name(char *out, size_t size, const char *folder, uint64_t num,
    uint64_t real_us, const char *suffix)
{
	char ts[24];
	time_t t = (time_t)(real_us / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(ts, sizeof(ts), "%Y%m%dT%H%M%SZ", &tm) == 0)
		(void)snprintf(ts, sizeof(ts), "00000000T000000Z");
	(void)snprintf(out, size, "%s/security_audit.%08" PRIu64 ".%s.%s",
	    folder, num, ts, suffix);
}

int
segment_parse(const char *base, uint64_t *num)
{
	static const char head[] = "security_audit.";
	char *dot, *rest, copy[112];
	int64_t v;

	if (ax_strlcpy(copy, base, sizeof(copy)) >= sizeof(copy) ||
	    strncmp(copy, head, sizeof(head) - 1) != 0)
		return (-1);
	rest = copy + sizeof(head) - 1;
	if ((dot = strchr(rest, '.')) == NULL || dot - rest < 8 ||
	    dot - rest > 18)
		return (-1);
	*dot = '\0';
	while (rest[0] == '0' && rest[1] != '\0')
		rest++;
	if (ax_strtonum(rest, 1, INT64_MAX, &v) == -1)
		return (-1);
	*num = (uint64_t)v;
	rest = dot + 1;
	if ((dot = strchr(rest, '.')) == NULL || dot - rest != 16)
		return (-1);
	if (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".jsonl.zst") == 0)
		return (0);
	return (-1);
}

const char *
segment_error(int e)
{
	return (e == EBADMSG ? "not one whole zstd frame" : strerror(e));
}

static int
open_segment(const struct jio *io, int dirfd, const struct segment *s)
{
	return (
	    io->openat(dirfd, s->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0));
}

/* How much text there is in it. */
static int
segment_size(const struct jio *io, int fd, struct segment *s)
{
	struct zread *z;
	struct stat st;

	if (io->fstat(fd, &st) == -1)
		return (-1);
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return (-1);
	}
	s->committed = (uint64_t)st.st_size;
	if (!zread_is_zstd(s->name))
		return (0);
	if ((z = zread_open(fd, true, io->pread)) == NULL)
		return (-1);
	s->committed = zread_size(z);
	zread_free(z);
	return (0);
}

static int
segment_stat(const struct jio *io, int dirfd, struct segment *s)
{
	int fd, r, saved;

	if ((fd = open_segment(io, dirfd, s)) == -1)
		return (-1);
	r = segment_size(io, fd, s);
	saved = errno;
	(void)io->close(fd);
	errno = saved;
	return (r);
}

static int
by_num(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return (x->num < y->num ? -1 : x->num > y->num);
}

static int
list_check(const struct segment_list *l, char *err, size_t errlen)
{
	size_t i;

	for (i = 1; i < l->n; i++) {
		if (l->v[i].num == l->v[i - 1].num) {
			(void)snprintf(err, errlen,
			    "%s and %s have the same "
			    "number",
			    l->v[i - 1].name, l->v[i].name);
			return (-1);
		}
		if (l->v[i].num != l->v[i - 1].num + 1) {
			(void)snprintf(err, errlen,
			    "a segment is missing "
			    "between %s and %s",
			    l->v[i - 1].name, l->v[i].name);
			return (-1);
		}
	}
	return (0);
}

static int
list_dir(struct segment_list *l, const struct jio *io, int dirfd, DIR *d,
    char *err, size_t errlen)
{
	struct segment s;
	struct dirent *e;

	for (;;) {
		errno = 0;
		if ((e = readdir(d)) == NULL)
			break;
		memset(&s, 0, sizeof(s));
		if (segment_parse(e->d_name, &s.num) == -1)
			continue;
		(void)snprintf(s.name, sizeof(s.name), JOURNAL_ARCHIVE "/%.*s",
		    (int)(sizeof(s.name) - sizeof(JOURNAL_ARCHIVE) - 1),
		    e->d_name);
		if (segment_stat(io, dirfd, &s) == -1 ||
		    segment_add(l, &s) == -1) {
			(void)snprintf(err, errlen, "%s: %s", s.name,
			    segment_error(errno));
			return (-1);
		}
	}
	if (errno != 0) {
		(void)snprintf(err, errlen, JOURNAL_ARCHIVE ": %s",
		    strerror(errno));
		return (-1);
	}
	return (0);
}

int
segment_list_load(struct segment_list *l, const struct jio *io, int dirfd,
    char *err, size_t errlen)
{
	DIR *d;
	int fd, r;

	fd = io->openat(dirfd, JOURNAL_ARCHIVE,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		(void)snprintf(err, errlen, JOURNAL_ARCHIVE ": %s",
		    strerror(errno));
		if (fd != -1)
			(void)io->close(fd);
		return (-1);
	}
	r = list_dir(l, io, dirfd, d, err, errlen);
	(void)closedir(d);
	if (r == -1)
		return (-1);
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_num);
	return (list_check(l, err, errlen));
}

/* ---- reading ---- */

/* Where text comes from: a file as it is, or what a frame holds. */
struct source {
	const struct jio *io;
	int fd;
	struct zread *z; /* NULL: the file itself */
};

/* The next bytes, at `off`; a frame is read from its beginning on. */
static ssize_t
source_read(const struct source *s, void *b, size_t n, uint64_t off)
{
	if (s->z != NULL)
		return (zread_read(s->z, b, n));
	return (s->io->pread(s->fd, b, n, (off_t)off));
}

/* Fills the buffer behind `have` from *off; what it holds then, or -1. */
static ssize_t
fill(const struct source *s, char *b, size_t have, uint64_t *off,
    uint64_t limit)
{
	size_t want = CHUNK - have;
	ssize_t r;

	if (*off + want > limit)
		want = (size_t)(limit - *off);
	while (want > 0) {
		if ((r = source_read(s, b + have, want, *off)) == -1) {
			if (errno == EINTR)
				continue;
			return (-1);
		}
		if (r == 0) {
			errno = EIO; /* shorter than its size said */
			return (-1);
		}
		have += (size_t)r;
		want -= (size_t)r;
		*off += (uint64_t)r;
	}
	return ((ssize_t)have);
}

/* Hands out the complete lines of b[0..have); how many bytes, or -1. */
static ssize_t
hand_out(const char *b, size_t have, segment_line fn, void *arg, uint64_t *at)
{
	const char *nl;
	size_t done = 0, n;

	while ((nl = memchr(b + done, '\n', have - done)) != NULL) {
		n = (size_t)(nl - (b + done));
		if (fn(arg, b + done, n, *at) == -1)
			return (-1);
		done += n + 1;
		*at += n + 1;
	}
	return ((ssize_t)done);
}

static int
scan(const struct source *s, uint64_t from, uint64_t limit, segment_line fn,
    void *arg, uint64_t *at)
{
	char *b = malloc(CHUNK);
	uint64_t off = from;
	ssize_t have = 0, done;
	int r = SCAN_ERROR;

	*at = from;
	while (b != NULL) {
		if ((have = fill(s, b, (size_t)have, &off, limit)) == -1)
			break;
		if ((done = hand_out(b, (size_t)have, fn, arg, at)) == -1) {
			r = SCAN_STOPPED;
			break;
		}
		have -= done;
		memmove(b, b + done, (size_t)have);
		if (off == limit || have >= LINE_MAX_BYTES) {
			r = have == 0 ? SCAN_END : SCAN_RAGGED;
			break;
		}
	}
	free(b);
	return (r);
}

int
segment_scan(const struct jio *io, int fd, uint64_t from, uint64_t limit,
    segment_line fn, void *arg, uint64_t *at)
{
	const struct source s = { io, fd, NULL };

	return (scan(&s, from, limit, fn, arg, at));
}

static int
scan_closed(const struct jio *io, int dirfd, const struct segment *seg,
    uint64_t limit, segment_line fn, void *arg, uint64_t *at)
{
	struct source s = { .io = io };
	int r = SCAN_ERROR, saved;

	*at = 0;
	if ((s.fd = open_segment(io, dirfd, seg)) == -1)
		return (SCAN_ERROR);
	if (zread_is_zstd(seg->name))
		s.z = zread_open(s.fd, true, io->pread);
	if (s.z != NULL || !zread_is_zstd(seg->name))
		r = scan(&s, 0, limit, fn, arg, at);
	saved = errno;
	zread_free(s.z);
	(void)io->close(s.fd);
	errno = saved;
	return (r);
}

int
segment_scan_closed(const struct jio *io, int dirfd, const struct segment *s,
    segment_line fn, void *arg, uint64_t *at)
{
	return (scan_closed(io, dirfd, s, s->committed, fn, arg, at));
}

static int
first_line(void *arg, const char *s, size_t n, uint64_t at)
{
	struct line_view v;

	(void)at;
	if (line_parse(s, n, &v) == 0)
		*(uint64_t *)arg = v.seq;
	return (-1);
}

uint64_t
segment_first_seq(const struct jio *io, int fd, uint64_t limit)
{
	uint64_t seq = 0, at;

	if (limit > LINE_MAX_BYTES)
		limit = LINE_MAX_BYTES;
	(void)segment_scan(io, fd, 0, limit, first_line, &seq, &at);
	return (seq);
}

uint64_t
segment_closed_first_seq(const struct jio *io, int dirfd,
    const struct segment *s)
{
	uint64_t seq = 0, at, limit = s->committed;

	if (limit > LINE_MAX_BYTES)
		limit = LINE_MAX_BYTES;
	(void)scan_closed(io, dirfd, s, limit, first_line, &seq, &at);
	return (seq);
}
