/* SPDX-License-Identifier: ISC */
/*
 * Signed checkpoints in files, and the folder of older ones. A year of
 * checkpoints is more than should stand in memory, so the folder is read again
 * for every part of it. Must never trust a file's name for what the note says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/verify/history.h"

#define PART	    32768 /* sizes in memory at a time */
#define NAME_DIGITS 20

/* ---- one note ---- */

enum note_state
note_judge(const char *note, size_t len, const struct verify_options *o,
    struct checkpoint *cp, struct vkey *key)
{
	size_t text, i;
	uint64_t which = 0;
	int n;

	n = note_verify(note, len, o->keys, o->nkeys, &text, &which);
	if (n == -1 || checkpoint_parse(note, n == 0 ? len : text, cp) == -1)
		return (NS_EDITED);
	for (i = 0; n > 0 && i < o->nkeys; i++) {
		/* A log's checkpoint is signed by the key of its origin. */
		if ((which >> i & 1) != 0 &&
		    strcmp(o->keys[i].name, cp->origin) == 0) {
			*key = o->keys[i];
			return (NS_SIGNED);
		}
	}
	return (NS_FOREIGN);
}

enum note_state
note_judge_file(int dirfd, const char *path, const struct verify_options *o,
    struct checkpoint *cp, struct vkey *key)
{
	enum note_state s;
	size_t len;
	char *text = layout_read(dirfd, path, NOTE_READ_MAX, &len);

	if (text == NULL)
		return (errno == EFBIG ? NS_EDITED : NS_UNREADABLE);
	s = note_judge(text, len, o, cp, key);
	free(text);
	return (s);
}

/* ---- the folder ---- */

void
history_name(uint64_t size, char out[24])
{
	(void)snprintf(out, 24, "%020" PRIu64, size);
}

static int
parse_name(const char *s, uint64_t *size)
{
	char *end;

	if (strlen(s) != NAME_DIGITS || strspn(s, "0123456789") != NAME_DIGITS)
		return (-1);
	errno = 0;
	*size = strtoull(s, &end, 10);
	return (errno == 0 ? 0 : -1);
}

int
history_init(struct history *h, const struct layout *l)
{
	memset(h, 0, sizeof(*h));
	h->fd = l->histfd;
	if (h->fd == -1)
		return (0);
	h->more = true;
	return ((h->size = calloc(PART, sizeof(*h->size))) == NULL ? -1 : 0);
}

void
history_free(struct history *h)
{
	free(h->size);
}

/* Calls fn with every size in the folder. 0, or -1 with errno. */
static int
each(int fd, void (*fn)(void *, uint64_t), void *arg)
{
	struct dirent *e;
	uint64_t size;
	DIR *d;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (copy == -1)
		return (-1);
	if ((d = fdopendir(copy)) == NULL) {
		(void)close(copy);
		return (-1);
	}
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (parse_name(e->d_name, &size) == 0)
			fn(arg, size);
	}
	copy = errno;
	(void)closedir(d);
	errno = copy;
	return (copy == 0 ? 0 : -1);
}

/* size[] is a heap with the largest on top while it is collected. */
static void
sift(uint64_t *v, size_t n, size_t i)
{
	uint64_t t;
	size_t c;

	while ((c = 2 * i + 1) < n) {
		if (c + 1 < n && v[c + 1] > v[c])
			c++;
		if (v[i] >= v[c])
			break;
		t = v[i];
		v[i] = v[c];
		v[c] = t;
		i = c;
	}
}

/* Keeps the smallest sizes above `after`. */
static void
collect(void *arg, uint64_t size)
{
	struct history *h = arg;
	size_t i;

	if (h->begun && size <= h->after)
		return;
	if (h->n < PART) {
		h->size[h->n++] = size;
		if (h->n == PART) {
			for (i = PART / 2; i-- > 0;)
				sift(h->size, PART, i);
		}
		return;
	}
	h->more = true;
	if (size < h->size[0]) {
		h->size[0] = size;
		sift(h->size, PART, 0);
	}
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

int
history_next(struct history *h, uint64_t *size)
{
	if (h->at == h->n) {
		if (!h->more)
			return (0);
		h->more = false;
		h->at = h->n = 0;
		if (each(h->fd, collect, h) == -1)
			return (-1);
		if (h->n == 0)
			return (0);
		qsort(h->size, h->n, sizeof(*h->size), by_size);
	}
	*size = h->after = h->size[h->at++];
	h->begun = true;
	return (1);
}

struct largest {
	uint64_t below, size;
	bool any;
};

static void
larger(void *arg, uint64_t size)
{
	struct largest *l = arg;

	if (size < l->below && (!l->any || size > l->size)) {
		l->size = size;
		l->any = true;
	}
}

int
history_largest(const struct history *h, uint64_t below, uint64_t *size)
{
	struct largest l = { .below = below };

	if (h->fd == -1)
		return (0);
	if (each(h->fd, larger, &l) == -1)
		return (-1);
	*size = l.size;
	return (l.any ? 1 : 0);
}
