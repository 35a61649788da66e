/* SPDX-License-Identifier: ISC */
/*
 * Finding one line of the journal in the files as they lie there. Segments are
 * tried from the newest back, by the seq of their first line. What is found is
 * only what a file says: whether it is true, the tree tells.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/line.h"
#include "common/zread.h"
#include "find_line.h"

#define LIVE	"security_audit.jsonl"
#define ARCHIVE "archive"
#define CHUNK	65536

/* Reads a segment line by line. */
struct lines {
	struct zread *z;
	struct buf b;
	size_t at; /* of the next line in b */
};

/* 1 and a line, 0 at the end (an unfinished line is none), -1 with errno. */
static int
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
		if ((got = zread_read(l->z, to, CHUNK)) <= 0)
			return ((int)got);
		l->b.len += (size_t)got;
	}
}

/* Goes through one segment. 1 found, 0 the line is older, -1 with err. */
static int
search(struct lines *l, const char *name, uint64_t seq, struct buf *out,
    char *err, size_t errlen)
{
	struct line_view v;
	const char *line = NULL;
	bool first = true;
	size_t n = 0;
	int r;

	while ((r = lines_next(l, &line, &n)) == 1) {
		if (line_parse(line, n, &v) == -1) {
			(void)snprintf(err, errlen,
			    "%s: a line is damaged; see archillxctl audit "
			    "verify",
			    name);
			return (-1);
		}
		if (v.seq == seq) {
			buf_add(out, line, n);
			return (out->err ? -1 : 1);
		}
		if (v.seq > seq)
			break;
		first = false;
	}
	if (r == -1)
		(void)snprintf(err, errlen, "%s: %s", name, strerror(errno));
	else if (!first) /* it would have to stand here */
		(void)snprintf(err, errlen, "not in %s where it should be",
		    name);
	return (r == -1 || !first ? -1 : 0);
}

static int
search_file(int dirfd, const char *name, uint64_t seq, struct buf *out,
    char *err, size_t errlen)
{
	struct lines l = { 0 };
	int fd, r = -1;

	fd =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return (0);
	if (fd == -1 ||
	    (l.z = zread_open(fd, zread_is_zstd(name), NULL)) == NULL)
		(void)snprintf(err, errlen, "%s: %s", name, strerror(errno));
	else
		r = search(&l, name, seq, out, err, errlen);
	zread_free(l.z);
	buf_free(&l.b);
	if (fd != -1)
		(void)close(fd);
	return (r);
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

int
find_line(int dirfd, uint64_t seq, struct buf *line, char *err, size_t n)
{
	struct dirent **names;
	char path[300];
	int count, i, r;

	(void)snprintf(err, n, "not in the journal");
	if ((r = search_file(dirfd, LIVE, seq, line, err, n)) != 0)
		return (r == 1 ? 0 : -1);
	count = scandirat(dirfd, ARCHIVE, &names, is_segment, alphasort);
	if (count == -1) {
		(void)snprintf(err, n, ARCHIVE ": %s", strerror(errno));
		return (-1);
	}
	/* Of a plain and a compressed one the plain one counts: it sorts first,
	 * and the other holds the same lines. */
	for (i = count - 1; i >= 0; i--) {
		(void)snprintf(path, sizeof(path), ARCHIVE "/%s",
		    names[i]->d_name);
		free(names[i]);
		if (r == 0)
			r = search_file(dirfd, path, seq, line, err, n);
	}
	free(names);
	return (r == 1 ? 0 : -1);
}
