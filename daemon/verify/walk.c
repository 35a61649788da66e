/* SPDX-License-Identifier: ISC */
/*
 * Hands out the lines of the segments one after the other, out of one buffer
 * of a fixed size. Judges nothing but where a line ends. Must never hand out a
 * line that is not wholly there, and never keep more than its buffer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/line.h"
#include "common/zread.h"
#include "daemon/verify/walk.h"

#define BUFFER (1u << 20)

struct walk {
	struct layout *layout;
	size_t next; /* segment to open next */
	const struct layout_segment *seg;
	int fd;
	struct zread *z; /* NULL: no segment is open */
	bool eof;
	bool skipping; /* the rest of a long line */
	uint64_t base; /* offset of b[0] in the text */
	uint64_t long_at;
	size_t pos, have;
	char b[BUFFER];
};

struct walk *
walk_new(struct layout *l)
{
	struct walk *w = malloc(sizeof(*w));

	if (w == NULL)
		return (NULL);
	w->layout = l;
	w->next = 0;
	w->seg = NULL;
	w->fd = -1;
	w->z = NULL;
	return (w);
}

static void
close_segment(struct walk *w)
{
	zread_free(w->z);
	w->z = NULL;
	if (w->fd != -1)
		(void)close(w->fd);
	w->fd = -1;
}

void
walk_free(struct walk *w)
{
	if (w == NULL)
		return;
	close_segment(w);
	free(w);
}

/* The next segment; -1 with errno: it cannot be read, and is done with. */
static int
open_segment(struct walk *w)
{
	size_t i = w->next++;

	w->seg = &w->layout->seg[i];
	w->eof = w->skipping = false;
	w->base = 0;
	w->pos = w->have = 0;
	if ((w->fd = layout_segment_fd(w->layout, i)) == -1)
		return (-1);
	if (!w->seg->zstd)
		(void)posix_fadvise(w->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if ((w->z = zread_open(w->fd, w->seg->zstd, NULL)) == NULL) {
		(void)close(w->fd);
		w->fd = -1;
		return (-1);
	}
	return (0);
}

/* More bytes behind what is left; 0, or -1 with errno. */
static int
fill(struct walk *w)
{
	ssize_t r;

	memmove(w->b, w->b + w->pos, w->have - w->pos);
	w->base += w->pos;
	w->have -= w->pos;
	w->pos = 0;
	if ((r = zread_read(w->z, w->b + w->have, BUFFER - w->have)) == -1)
		return (-1);
	w->have += (size_t)r;
	w->eof = r == 0;
	return (0);
}

/* A whole line from the buffer: true, or false: more bytes are needed. */
static bool
take(struct walk *w, struct walk_line *l, enum walk_event *e)
{
	const char *from = w->b + w->pos, *nl;
	size_t n = w->have - w->pos;

	nl = n > 0 ? memchr(from, '\n', n) : NULL;
	if (nl == NULL && n < LINE_MAX_BYTES)
		return (false);
	l->seg = w->seg;
	l->offset = w->base + w->pos;
	if (nl == NULL) {
		if (!w->skipping)
			w->long_at = l->offset;
		w->skipping = true;
		w->pos = w->have;
		return (false);
	}
	l->p = from;
	l->n = (size_t)(nl - from);
	w->pos += l->n + 1;
	*e = WALK_LINE;
	if (w->skipping || l->n >= LINE_MAX_BYTES) {
		if (w->skipping)
			l->offset = w->long_at;
		l->p = NULL;
		l->n = 0;
		*e = WALK_LONG;
	}
	w->skipping = false;
	return (true);
}

/* The segment ends: is there something without a newline? */
static bool
torn(struct walk *w, struct walk_line *l)
{
	bool rest = w->have > w->pos || w->skipping;

	l->seg = w->seg;
	l->p = NULL;
	l->n = w->have - w->pos;
	l->offset = w->skipping ? w->long_at : w->base + w->pos;
	close_segment(w);
	return (rest);
}

static enum walk_event
damaged(struct walk *w, struct walk_line *l)
{
	l->error = errno;
	l->p = NULL;
	l->n = 0;
	l->seg = w->seg;
	l->offset = w->base + w->pos;
	close_segment(w);
	return (WALK_DAMAGED);
}

enum walk_event
walk_next(struct walk *w, struct walk_line *l)
{
	enum walk_event e;

	for (;;) {
		if (w->z == NULL) {
			if (w->next == w->layout->nseg)
				return (WALK_END);
			if (open_segment(w) == -1)
				return (damaged(w, l));
		}
		if (take(w, l, &e))
			return (e);
		if (w->eof) {
			if (torn(w, l))
				return (WALK_TORN);
		} else if (fill(w) == -1)
			return (damaged(w, l));
	}
}
