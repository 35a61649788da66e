/* SPDX-License-Identifier: ISC */
/*
 * Segments of the journal as lines. What is found is only what a file says:
 * whether it is true, the tree tells. Must never write, and never follow a
 * symbolic link.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/line.h"
#include "common/zread.h"
#include "lines.h"

#define ARCHIVE "archive"
#define CHUNK	65536

struct lines {
	int fd;
	off_t off;	 /* plain: read so far */
	struct zread *z; /* compressed; else NULL */
	struct buf b;
	size_t at; /* of the next line in b */
};

void
lines_close(struct lines *l)
{
	if (l == NULL)
		return;
	zread_free(l->z);
	buf_free(&l->b);
	if (l->fd != -1)
		(void)close(l->fd);
	free(l);
}

struct lines *
lines_open(int dirfd, const char *name)
{
	struct lines *l;
	int save;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return (NULL);
	l->fd =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (l->fd != -1 && zread_is_zstd(name))
		l->z = zread_open(l->fd, true, NULL);
	if (l->fd != -1 && (l->z != NULL || !zread_is_zstd(name)))
		return (l);
	save = errno;
	lines_close(l);
	errno = save;
	return (NULL);
}

static ssize_t
more(struct lines *l, char *to)
{
	ssize_t got;

	if (l->z != NULL)
		return (zread_read(l->z, to, CHUNK));
	do {
		got = pread(l->fd, to, CHUNK, l->off);
	} while (got == -1 && errno == EINTR);
	if (got > 0)
		l->off += got;
	return (got);
}

int
lines_next(struct lines *l, const char **line, size_t *n)
{
	const char *nl;
	ssize_t got;
	char *to;

	for (;;) {
		nl = l->b.len == l->at ?
		    NULL :
		    memchr(l->b.d + l->at, '\n', l->b.len - l->at);
		if (nl != NULL) {
			*line = l->b.d + l->at;
			*n = (size_t)(nl - *line);
			l->at += *n + 1;
			return (1);
		}
		buf_consume(&l->b, l->at);
		l->at = 0;
		if (l->b.len > 4 * LINE_MAX_BYTES) {
			errno = EBADMSG;
			return (-1);
		}
		if ((to = buf_reserve(&l->b, CHUNK)) == NULL) {
			errno = ENOMEM;
			return (-1);
		}
		if ((got = more(l, to)) <= 0)
			return ((int)got);
		l->b.len += (size_t)got;
	}
}

/* security_audit.<digits>.<...>.jsonl or .jsonl.zst */
static int
is_segment(const struct dirent *d)
{
	static const char prefix[] = "security_audit.";
	const char *p = d->d_name;
	size_t n = strlen(p);

	return (strncmp(p, prefix, sizeof(prefix) - 1) == 0 &&
	    p[sizeof(prefix) - 1] >= '0' && p[sizeof(prefix) - 1] <= '9' &&
	    ((n > 6 && strcmp(p + n - 6, ".jsonl") == 0) || zread_is_zstd(p)));
}

/* The plain form sorts first. */
static bool
is_second_form(const char *plain, const char *name)
{
	size_t n = strlen(plain);

	return (strncmp(plain, name, n) == 0 && zread_is_zstd(name) &&
	    !zread_is_zstd(plain));
}

void
lines_names_free(char **names, int n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}

int
lines_archived(int dirfd, char ***out)
{
	struct dirent **found;
	char **names, path[300];
	int count, i, n = 0;

	if ((count = scandirat(dirfd, ARCHIVE, &found, is_segment,
		 alphasort)) == -1)
		return (-1);
	names = calloc((size_t)count + 1, sizeof(*names));
	for (i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), ARCHIVE "/%s",
		    found[i]->d_name);
		free(found[i]);
		if (names == NULL ||
		    (n > 0 && is_second_form(names[n - 1], path)))
			continue;
		if ((names[n] = strdup(path)) != NULL)
			n++;
	}
	free(found);
	if (names == NULL)
		errno = ENOMEM;
	*out = names;
	return (names != NULL ? n : -1);
}
