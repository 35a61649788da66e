/* SPDX-License-Identifier: ISC */
/*
 * Finding one line of the journal in the files as they lie there. Segments are
 * tried from the newest back, by the seq of their first line. What is found is
 * only what a file says: whether it is true, the tree tells.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/line.h"
#include "find_line.h"
#include "lines.h"

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
	struct lines *l;
	int r;

	if ((l = lines_open(dirfd, name)) == NULL) {
		if (errno == ENOENT)
			return (0);
		(void)snprintf(err, errlen, "%s: %s", name, strerror(errno));
		return (-1);
	}
	r = search(l, name, seq, out, err, errlen);
	lines_close(l);
	return (r);
}

int
find_line(int dirfd, uint64_t seq, struct buf *line, char *err, size_t n)
{
	char **names;
	int count, i, r;

	(void)snprintf(err, n, "not in the journal");
	if ((r = search_file(dirfd, LINES_LIVE, seq, line, err, n)) != 0)
		return (r == 1 ? 0 : -1);
	if ((count = lines_archived(dirfd, &names)) == -1) {
		(void)snprintf(err, n, "archive: %s", strerror(errno));
		return (-1);
	}
	for (i = count - 1; i >= 0 && r == 0; i--)
		r = search_file(dirfd, names[i], seq, line, err, n);
	lines_names_free(names, count);
	return (r == 1 ? 0 : -1);
}
