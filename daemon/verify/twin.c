/* SPDX-License-Identifier: ISC */
/*
 * Is the file being written a second copy of an archive? Must never leave it
 * out when a single byte that both have is different.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/line.h"
#include "common/zread.h"
#include "daemon/verify/twin.h"

#define CHUNK (1u << 17)

struct twin {
	int fd;
	struct zread *z;
	char b[CHUNK];
};

static int
open_twin(struct layout *l, size_t i, struct twin *t)
{
	t->z = NULL;
	if ((t->fd = layout_segment_fd(l, i)) == -1)
		return (-1);
	t->z = zread_open(t->fd, l->seg[i].zstd, NULL);
	return (t->z == NULL ? -1 : 0);
}

static void
close_twin(struct twin *t)
{
	zread_free(t->z);
	if (t->fd != -1)
		(void)close(t->fd);
}

/* Fills the buffer as far as it goes; what it holds, or -1. */
static ssize_t
fill(struct twin *t)
{
	size_t have = 0;
	ssize_t r;

	do {
		if ((r = zread_read(t->z, t->b + have, CHUNK - have)) == -1)
			return (-1);
		have += (size_t)r;
	} while (r > 0 && have < CHUNK);
	return ((ssize_t)have);
}

/* The number of the first line; 0: there is none. */
static uint64_t
first_seq(struct layout *l, size_t i, struct twin *t)
{
	struct line_view v;
	uint64_t seq = 0;
	const char *nl;
	ssize_t n;

	if (open_twin(l, i, t) == 0 && (n = fill(t)) > 0 &&
	    (nl = memchr(t->b, '\n', (size_t)n)) != NULL &&
	    line_parse(t->b, (size_t)(nl - t->b), &v) == 0)
		seq = v.seq;
	close_twin(t);
	return (seq);
}

static bool
same(struct layout *l, size_t i, size_t k, struct twin *a, struct twin *b)
{
	ssize_t an, bn;
	bool equal = false;

	a->fd = b->fd = -1;
	a->z = b->z = NULL;
	if (open_twin(l, i, a) == 0 && open_twin(l, k, b) == 0) {
		do {
			an = fill(a);
			bn = fill(b);
			equal = an >= 0 && bn >= 0 &&
			    memcmp(a->b, b->b, (size_t)(an < bn ? an : bn)) ==
				0;
		} while (equal && an == bn && an == CHUNK);
	}
	close_twin(a);
	close_twin(b);
	return (equal);
}

const char *
twin_leave_out(struct layout *l)
{
	struct twin *a, *b;
	const char *name = NULL;
	size_t i, live = l->nseg - 1;
	uint64_t seq, other;

	if (l->nseg < 2 || l->seg[live].num != UINT64_MAX)
		return (NULL);
	a = malloc(sizeof(*a));
	b = malloc(sizeof(*b));
	if (a != NULL && b != NULL && (seq = first_seq(l, live, a)) != 0) {
		for (i = live; i-- > 0;) {
			other = first_seq(l, i, a);
			if (other == seq && same(l, i, live, a, b)) {
				name = l->seg[i].name;
				l->nseg--;
			}
			if (other != 0 && other <= seq)
				break;
		}
	}
	free(a);
	free(b);
	return (name);
}
