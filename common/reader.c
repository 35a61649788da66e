/* SPDX-License-Identifier: ISC */
/*
 * The reader of committed journal bytes. It only ever reads, from descriptors
 * that audit opened for it, and never beyond what audit said is durable: a
 * line that might still be taken back must not reach the database.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/line.h"
#include "common/reader.h"
#include "common/zread.h"

#define BUF_SIZE     (4 * (LINE_MAX_BYTES + 1))
#define OTHER_FDS    160 /* of the process: channels, database, files */
#define SEGMENTS_MIN 8

struct segment {
	uint64_t no;
	uint64_t first_seq;
	uint64_t committed; /* 0: not told; then the successor decides */
	int fd;
	enum { FORM_UNKNOWN, FORM_PLAIN, FORM_ZSTD } form;
};

struct reader {
	struct segment *v; /* by number */
	size_t n, max;
	uint64_t segment, offset; /* of the next line; segment 0: the first */
	uint64_t next_seq;
	size_t at, len;		/* unread part of the buffer */
	uint64_t told_no, told; /* audit's last word, for a segment to come */
	struct zread *z;	/* of the compressed segment being read */
	uint64_t z_no;
	char buf[BUF_SIZE];
};

struct reader *
reader_new(size_t max)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->max = max != 0 ? max : READER_SEGMENTS;
	return (r);
}

size_t
reader_segments(size_t nofile)
{
	if (nofile >= READER_SEGMENTS + OTHER_FDS)
		return (READER_SEGMENTS);
	return (nofile > OTHER_FDS + SEGMENTS_MIN ? nofile - OTHER_FDS :
						    SEGMENTS_MIN);
}

static void
drop_zread(struct reader *r)
{
	zread_free(r->z);
	r->z = NULL;
}

void
reader_free(struct reader *r)
{
	size_t i;

	if (r == NULL)
		return;
	drop_zread(r);
	for (i = 0; i < r->n; i++)
		(void)close(r->v[i].fd);
	free(r->v);
	free(r);
}

static struct segment *
segment_find(struct reader *r, uint64_t no)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->v[i].no == no)
			return (&r->v[i]);
	return (NULL);
}

int
reader_segment(struct reader *r, uint64_t no, uint64_t first_seq, int fd)
{
	struct segment *s = segment_find(r, no);
	size_t i;

	if (s != NULL) {
		if (r->z_no == no)
			drop_zread(r);
		(void)close(s->fd);
		s->fd = fd;
		s->first_seq = first_seq;
		s->form = FORM_UNKNOWN;
		return (0);
	}
	if (r->n >= r->max) {
		(void)close(fd);
		errno = EMFILE;
		return (-1);
	}
	s = realloc(r->v, (r->n + 1) * sizeof(*s));
	if (s == NULL) {
		(void)close(fd);
		return (-1);
	}
	r->v = s;
	for (i = r->n; i > 0 && s[i - 1].no > no; i--)
		s[i] = s[i - 1];
	s[i] = (struct segment){ no, first_seq, 0, fd, FORM_UNKNOWN };
	if (no == r->told_no)
		s[i].committed = r->told;
	r->n++;
	return (0);
}

void
reader_committed(struct reader *r, uint64_t no, uint64_t committed)
{
	struct segment *s = segment_find(r, no);

	r->told_no = no;
	r->told = committed;
	if (s != NULL && committed > s->committed)
		s->committed = committed;
}

void
reader_seek(struct reader *r, uint64_t segment, uint64_t offset,
    uint64_t next_seq)
{
	r->segment = segment;
	r->offset = offset;
	r->next_seq = next_seq;
	r->at = r->len = 0;
}

static bool
has_next(const struct reader *r, const struct segment *s)
{
	return (s + 1 < r->v + r->n);
}

/*
 * The segment to read, on to its successor once everything before that one's
 * first seq was read. NULL with errno: ENOENT, or 0 when it is yet to come.
 */
static struct segment *
current(struct reader *r)
{
	struct segment *s;

	errno = 0;
	if (r->n == 0)
		return (NULL);
	if (r->segment == 0)
		r->segment = r->v[0].no;
	if ((s = segment_find(r, r->segment)) == NULL) {
		if (r->segment < r->v[r->n - 1].no)
			errno = ENOENT;
		return (NULL);
	}
	while (has_next(r, s) && r->next_seq >= s[1].first_seq) {
		s++;
		reader_seek(r, s->no, 0, r->next_seq);
	}
	return (s);
}

static ssize_t
read_some(int fd, void *p, size_t n, uint64_t at)
{
	ssize_t r;

	do
		r = pread(fd, p, n, (off_t)at);
	while (r == -1 && errno == EINTR);
	return (r);
}

/* A frame's magic number is the beginning of no line. 0, or -1. */
static int
find_form(struct segment *s)
{
	static const char magic[4] = { 0x28, (char)0xb5, 0x2f, (char)0xfd };
	char b[sizeof(magic)];
	ssize_t n;

	if (s->form != FORM_UNKNOWN)
		return (0);
	if ((n = read_some(s->fd, b, sizeof(b), 0)) == -1)
		return (-1);
	if (n == (ssize_t)sizeof(b))
		s->form = memcmp(b, magic, sizeof(b)) == 0 ? FORM_ZSTD :
							     FORM_PLAIN;
	return (0);
}

/* Bytes of the text of a compressed segment. */
static ssize_t
unpack(struct reader *r, const struct segment *s, void *p, size_t n,
    uint64_t at)
{
	if (r->z != NULL && r->z_no != s->no)
		drop_zread(r);
	if (r->z == NULL) {
		r->z = zread_open(s->fd, true, NULL);
		r->z_no = s->no;
	}
	if (r->z == NULL)
		return (-1);
	if (at >= zread_size(r->z)) {
		if (at == zread_size(r->z))
			return (0);
		errno = EBADMSG;
		return (-1);
	}
	if (zread_seek(r->z, at) == -1)
		return (-1);
	return (zread_read(r->z, p, n));
}

/*
 * More bytes behind the unread part of the buffer. How many; 0: nothing more
 * is committed now; -1.
 */
static ssize_t
fill(struct reader *r, struct segment *s)
{
	uint64_t at = r->offset + r->len;
	size_t room;
	ssize_t n;

	if (r->at > 0) {
		memmove(r->buf, r->buf + r->at, r->len);
		r->at = 0;
	}
	room = sizeof(r->buf) - r->len;
	/* With a successor the end of the file bounds it, else audit's word:
	 * of a segment that was left behind, audit need not have the last. */
	if (!has_next(r, s)) {
		if (at >= s->committed)
			return (0);
		if (room > s->committed - at)
			room = (size_t)(s->committed - at);
	}
	if (find_form(s) == -1)
		return (-1);
	if (s->form == FORM_ZSTD)
		n = unpack(r, s, r->buf + r->len, room, at);
	else
		n = read_some(s->fd, r->buf + r->len, room, at);
	if (n > 0)
		r->len += (size_t)n;
	return (n);
}

/* A whole line at the start of the buffer. */
static bool
line_here(struct reader *r, struct reader_line *l, size_t *searched)
{
	const char *p = r->buf + r->at, *nl;

	nl = memchr(p + *searched, '\n', r->len - *searched);
	if (nl == NULL) {
		*searched = r->len;
		return (false);
	}
	l->p = p;
	l->n = (size_t)(nl - p);
	r->at += l->n + 1;
	r->len -= l->n + 1;
	r->offset += l->n + 1;
	r->next_seq++;
	l->segment = r->segment;
	l->end = r->offset;
	return (true);
}

int
reader_next(struct reader *r, struct reader_line *l)
{
	struct segment *s;
	size_t searched = 0;
	ssize_t n;

	for (;;) {
		if ((s = current(r)) == NULL)
			return (errno == 0 ? 0 : -1);
		if (line_here(r, l, &searched))
			return (1);
		if (r->len == sizeof(r->buf)) {
			errno = EBADMSG;
			return (-1);
		}
		if ((n = fill(r, s)) == -1 || (n == 0 && !has_next(r, s)))
			return ((int)n);
		if (n == 0) { /* cut short: who counts seqs will notice */
			reader_seek(r, s[1].no, 0, r->next_seq);
			searched = 0;
		}
	}
}

uint64_t
reader_pass_gap(struct reader *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->v[i].no > r->segment) {
			reader_seek(r, r->v[i].no, 0, r->v[i].first_seq);
			return (r->v[i].first_seq);
		}
	return (0);
}

/* The segment that a seq stands in, if it stands anywhere. */
static const struct segment *
segment_of(const struct reader *r, uint64_t seq)
{
	size_t i = r->n;

	while (i > 0 && r->v[i - 1].first_seq > seq)
		i--;
	return (i == 0 ? NULL : &r->v[i - 1]);
}

/* Goes through a second reader over the same segments. */
int
reader_find(struct reader *r, uint64_t seq, struct buf *line)
{
	const struct segment *s = segment_of(r, seq);
	struct reader_line l;
	struct reader *t;
	int more = 0;

	if (s == NULL)
		return (0);
	if ((t = reader_new(0)) == NULL)
		return (-1);
	t->v = r->v;
	t->n = r->n;
	reader_seek(t, s->no, 0, s->first_seq);
	while (t->next_seq <= seq && (more = reader_next(t, &l)) == 1)
		if (l.segment != s->no)
			break; /* cut short: it is missing */
		else if (t->next_seq == seq + 1)
			buf_add(line, l.p, l.n);
	if (more == 1 && (l.segment != s->no || t->next_seq != seq + 1))
		more = 0;
	if (line->err) {
		errno = ENOMEM;
		more = -1;
	}
	drop_zread(t);
	free(t);
	return (more);
}

uint64_t
reader_first_seq(const struct reader *r)
{
	return (r->n == 0 ? 0 : r->v[0].first_seq);
}
