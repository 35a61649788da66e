/* SPDX-License-Identifier: ISC */
/*
 * Finds the files of an evidence folder or of a copy of it. The file being
 * written is opened before archive/ is listed, so that a rotation in between
 * shows it twice (and once is left out) rather than not at all. Must never
 * write, and never wait for something that is not a regular file.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/tiles.h"
#include "common/util.h"
#include "common/zread.h"
#include "daemon/verify/layout.h"

#define LIVE	   "security_audit.jsonl"
#define ARCHIVE	   "archive"
#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

static int
open_regular(int dirfd, const char *path, int flags)
{
	struct stat st;
	int fd = openat(dirfd, path, READ_FLAGS | flags);

	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))) {
		(void)close(fd);
		errno = EINVAL;
		fd = -1;
	}
	return (fd);
}

char *
layout_read(int dirfd, const char *path, size_t max, size_t *len)
{
	int fd = open_regular(dirfd, path, 0), saved;
	char *b = NULL;
	ssize_t r = 0;

	if (fd == -1)
		return (NULL);
	*len = 0;
	if ((b = malloc(max + 2)) != NULL) {
		while (*len <= max &&
		    (r = read(fd, b + *len, max + 1 - *len)) != 0) {
			if (r == -1 && errno == EINTR)
				continue;
			if (r == -1)
				break;
			*len += (size_t)r;
		}
	}
	if (b != NULL && r != -1 && *len > max) {
		errno = EFBIG;
		r = -1;
	}
	saved = errno;
	(void)close(fd);
	if (b == NULL || r == -1) {
		free(b);
		errno = saved;
		return (NULL);
	}
	b[*len] = '\0';
	return (b);
}

/* The name goes to a terminal; whoever made the folder chose it. */
static bool
printable(const char *s)
{
	while (*s > ' ' && *s < 0x7f)
		s++;
	return (*s == '\0');
}

/* "security_audit.00000007.20260101T000000Z.jsonl[.zst]" */
static int
parse_name(const char *base, struct layout_segment *s)
{
	static const char head[] = "security_audit.";
	const char *p = base + sizeof(head) - 1, *q;
	char digits[24];
	int64_t num;

	if (strncmp(base, head, sizeof(head) - 1) != 0 || !printable(base))
		return (-1);
	if ((q = strchr(p, '.')) == NULL || q - p < 8 || q - p > 18)
		return (-1);
	while (*p == '0' && p + 1 < q)
		p++;
	(void)snprintf(digits, sizeof(digits), "%.*s", (int)(q - p), p);
	if (ax_strtonum(digits, 1, INT64_MAX, &num) == -1)
		return (-1);
	if ((p = strchr(q + 1, '.')) == NULL || p - q != 17)
		return (-1);
	if (strcmp(p, ".jsonl") != 0 && strcmp(p, ".jsonl.zst") != 0)
		return (-1);
	s->num = (uint64_t)num;
	s->zstd = zread_is_zstd(base);
	return (snprintf(s->name, sizeof(s->name), ARCHIVE "/%s", base) <
		    (int)sizeof(s->name) ?
		0 :
		-1);
}

static int
add(struct layout *l, const struct layout_segment *s)
{
	struct layout_segment *v;
	size_t cap;

	if (l->nseg == l->cap) {
		cap = l->cap == 0 ? 16 : l->cap * 2;
		if ((v = reallocarray(l->seg, cap, sizeof(*v))) == NULL)
			return (-1);
		l->seg = v;
		l->cap = cap;
	}
	l->seg[l->nseg++] = *s;
	return (0);
}

static bool
same_file(const struct layout *l, const char *name)
{
	struct stat a, b;

	return (l->livefd != -1 && fstat(l->livefd, &a) == 0 &&
	    fstatat(l->dirfd, name, &b, 0) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino);
}

static int
list_archive(struct layout *l)
{
	struct layout_segment s;
	struct dirent *e;
	int fd, r = 0;
	DIR *d;

	fd = openat(l->dirfd, ARCHIVE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return (errno == ENOENT ? 0 : -1);
	if ((d = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return (-1);
	}
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (parse_name(e->d_name, &s) == -1)
			continue;
		if (same_file(l, s.name)) {
			/* Rotated after it was opened as the live one. */
			(void)close(l->livefd);
			l->livefd = -1;
		}
		r = add(l, &s);
	}
	(void)closedir(d);
	return (r);
}

/* By number; the plain one before the compressed one. */
static int
by_num(const void *a, const void *b)
{
	const struct layout_segment *x = a, *y = b;

	if (x->num != y->num)
		return (x->num < y->num ? -1 : 1);
	if (x->zstd != y->zstd)
		return (x->zstd ? 1 : -1);
	return (strcmp(x->name, y->name));
}

/* Of one segment in both forms the compressed one is unfinished. */
static void
drop_twins(struct layout *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->nseg; i++) {
		if (n > 0 && l->seg[i].num == l->seg[n - 1].num &&
		    l->seg[i].zstd && !l->seg[n - 1].zstd)
			continue;
		l->seg[n++] = l->seg[i];
	}
	l->nseg = n;
}

static int
open_folder(int dirfd, const char *name)
{
	return (openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* The checkpoint and its history: below log/, or copied without it. */
static void
find_log(struct layout *l)
{
	static const char *const names[] = { LOG_DIR "/" LOG_CHECKPOINT,
		LOG_CHECKPOINT };
	static const char *const folders[] = { LOG_DIR "/" LOG_CHECKPOINTS,
		LOG_CHECKPOINTS };
	struct stat st;
	size_t i;

	for (i = 0; i < AX_NELEM(names) && l->checkpoint == NULL; i++) {
		if (fstatat(l->dirfd, names[i], &st, 0) == 0)
			l->checkpoint = names[i];
	}
	for (i = 0; i < AX_NELEM(folders) && l->histfd == -1; i++) {
		l->histfd = open_folder(l->dirfd, folders[i]);
		l->history = folders[i];
	}
	/* A published tree has its tiles beside the checkpoint. */
	if ((l->logfd = open_folder(l->dirfd, LOG_DIR)) == -1)
		l->logfd = open_folder(l->dirfd, ".");
	l->have_tiles = l->logfd != -1 &&
	    fstatat(l->logfd, "tile", &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int
layout_open(struct layout *l, const char *dir, const char **what)
{
	struct layout_segment live = { .num = UINT64_MAX, .name = LIVE };

	memset(l, 0, sizeof(*l));
	l->logfd = l->histfd = l->livefd = -1;
	*what = dir;
	if ((l->dirfd = open_folder(AT_FDCWD, dir)) == -1)
		return (-1);
	*what = LIVE;
	l->livefd = open_regular(l->dirfd, LIVE, 0);
	if (l->livefd == -1 && errno != ENOENT)
		return (-1);
	*what = ARCHIVE;
	if (list_archive(l) == -1)
		return (-1);
	if (l->nseg > 1)
		qsort(l->seg, l->nseg, sizeof(*l->seg), by_num);
	drop_twins(l);
	if (l->livefd != -1 && add(l, &live) == -1)
		return (-1);
	find_log(l);
	return (0);
}

void
layout_close(struct layout *l)
{
	const int fds[] = { l->dirfd, l->logfd, l->histfd, l->livefd };
	size_t i;

	for (i = 0; i < AX_NELEM(fds); i++) {
		if (fds[i] != -1)
			(void)close(fds[i]);
	}
	free(l->seg);
}

int
layout_segment_fd(struct layout *l, size_t i)
{
	struct layout_segment *s = &l->seg[i];
	char other[LAYOUT_NAME_MAX + 8];
	int fd;

	if (s->num == UINT64_MAX)
		return (dup(l->livefd));
	fd = open_regular(l->dirfd, s->name, O_NOFOLLOW);
	if (fd != -1 || errno != ENOENT || s->zstd)
		return (fd);
	(void)snprintf(other, sizeof(other), "%s.zst", s->name);
	fd = open_regular(l->dirfd, other, O_NOFOLLOW);
	if (fd == -1 ||
	    ax_strlcpy(s->name, other, sizeof(s->name)) >= sizeof(s->name))
		return (fd);
	s->zstd = true;
	return (fd);
}
