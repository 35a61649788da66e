/* SPDX-License-Identifier: ISC */
/*
 * Which checkpoints there are, which is the newest, which may go. Must never
 * remove the newest, one that is kept for good, or one whose time it cannot
 * tell to have come.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/notary/checkpoint.h"

#define HOUR	    3600u
#define DAY	    (24 * HOUR)
#define HOURLY_FOR  (30 * (uint64_t)DAY)
#define NAME_DIGITS 20

void
history_path(char out[TILE_PATH_MAX], uint64_t size)
{
	(void)snprintf(out, TILE_PATH_MAX, LOG_CHECKPOINTS "/%0*" PRIu64,
	    NAME_DIGITS, size);
}

/* ---- the list ---- */

/* Where an entry of this size is, or belongs. */
static size_t
place(const struct history *h, uint64_t size)
{
	size_t lo = 0, hi = h->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (h->v[mid].size < size)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo);
}

const struct history_entry *
history_find(const struct history *h, uint64_t size)
{
	size_t i = place(h, size);

	return (i < h->n && h->v[i].size == size ? &h->v[i] : NULL);
}

static bool
grow(struct history *h)
{
	struct history_entry *v;
	size_t cap = h->cap == 0 ? 256 : h->cap * 2;

	if (h->n < h->cap)
		return (true);
	if ((v = reallocarray(h->v, cap, sizeof(*v))) == NULL)
		return (false);
	h->v = v;
	h->cap = cap;
	return (true);
}

void
history_add(struct history *h, uint64_t size, uint64_t at, bool kept)
{
	size_t i = place(h, size);

	if (i == h->n || h->v[i].size != size) {
		if (!grow(h))
			return;
		memmove(&h->v[i + 1], &h->v[i], (h->n - i) * sizeof(*h->v));
		h->n++;
	}
	h->v[i] = (struct history_entry){ size, at, kept };
}

static bool
size_of_name(const char *name, uint64_t *size)
{
	size_t i;

	for (*size = 0, i = 0; name[i] >= '0' && name[i] <= '9'; i++)
		if (__builtin_mul_overflow(*size, 10u, size) ||
		    __builtin_add_overflow(*size, (unsigned)(name[i] - '0'),
			size))
			return (false);
	return (i == NAME_DIGITS && name[i] == '\0' && *size > 0);
}

static void
take_in(struct history *h, int folder, const char *name)
{
	struct stat st;
	uint64_t size;
	int fd;

	if (!size_of_name(name, &size))
		return;
	fd = h->io->openat(folder, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd == -1)
		return;
	if (h->io->fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		history_add(h, size,
		    st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0,
		    (st.st_mode & 0200) == 0);
	(void)h->io->close(fd);
}

int
history_load(struct history *h, const struct jio *io, int dirfd)
{
	struct dirent *e;
	DIR *d;
	int fd;

	memset(h, 0, sizeof(*h));
	h->io = io;
	h->dirfd = dirfd;
	fd = io->openat(dirfd, LOG_CHECKPOINTS,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd == -1)
		return (errno == ENOENT ? 0 : -1);
	if ((d = fdopendir(fd)) == NULL) {
		(void)io->close(fd);
		return (-1);
	}
	while ((e = readdir(d)) != NULL)
		take_in(h, fd, e->d_name);
	(void)closedir(d);
	return (0);
}

void
history_free(struct history *h)
{
	free(h->v);
	memset(h, 0, sizeof(*h));
}

/* ---- pruning ---- */

/* A later one of the same hour, or day, stands for it. */
static bool
dispensable(const struct history *h, size_t i, uint64_t now)
{
	const struct history_entry *e = &h->v[i];
	uint64_t age = now > e->at ? now - e->at : 0, step;

	if (e->kept || i + 1 >= h->n || age <= HOUR)
		return (false);
	step = age <= HOURLY_FOR ? HOUR : DAY;
	return (h->v[i + 1].at / step == e->at / step);
}

size_t
history_prune(struct history *h, uint64_t now, size_t look)
{
	char path[TILE_PATH_MAX];
	size_t removed = 0;

	while (look-- > 0 && h->n > 0) {
		if (h->cursor >= h->n)
			h->cursor = 0;
		if (!dispensable(h, h->cursor, now)) {
			h->cursor++;
			continue;
		}
		history_path(path, h->v[h->cursor].size);
		if (h->io->unlinkat(h->dirfd, path, 0) == -1 &&
		    errno != ENOENT) {
			h->cursor++; /* in the next round */
			continue;
		}
		memmove(&h->v[h->cursor], &h->v[h->cursor + 1],
		    (h->n - h->cursor - 1) * sizeof(*h->v));
		h->n--;
		removed++;
	}
	return (removed);
}

/* ---- the newest ---- */

/* 0, or -1 with errno (EFBIG: longer than any note). */
static int
read_note(const struct history *h, const char *path, struct checkpoint_file *f)
{
	struct stat st;
	ssize_t n = -1;
	int fd, saved;

	fd = h->io->openat(h->dirfd, path,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	if (h->io->fstat(fd, &st) == 0) {
		errno = EFBIG;
		if (S_ISREG(st.st_mode) && st.st_size <= (off_t)sizeof(f->note))
			n = h->io->pread(fd, f->note, sizeof(f->note), 0);
	}
	saved = errno;
	(void)h->io->close(fd);
	errno = saved;
	if (n == -1)
		return (-1);
	f->len = (size_t)n;
	f->at = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
	return (0);
}

static enum checkpoint_found
judge(struct checkpoint_file *f, const struct vkey *key)
{
	size_t text;
	int signers;

	signers = note_verify(f->note, f->len, key, key != NULL, &text, NULL);
	if (signers == -1 || checkpoint_parse(f->note, text, &f->c) == -1 ||
	    f->c.size == 0)
		return (CHECKPOINT_DAMAGED);
	return (signers > 0 ? CHECKPOINT_OURS : CHECKPOINT_FOREIGN);
}

static enum checkpoint_found
look(const struct history *h, const char *path, const struct vkey *key,
    struct checkpoint_file *f)
{
	if (read_note(h, path, f) == 0)
		return (judge(f, key));
	if (errno == ENOENT)
		return (CHECKPOINT_NONE);
	return (errno == EFBIG || errno == ELOOP ? CHECKPOINT_DAMAGED :
						   CHECKPOINT_UNREADABLE);
}

enum checkpoint_found
checkpoint_newest(const struct history *h, const struct vkey *key,
    struct checkpoint_file *f)
{
	enum checkpoint_found found = look(h, LOG_CHECKPOINT, key, f), older;
	char path[TILE_PATH_MAX];
	uint64_t size = found == CHECKPOINT_NONE ? 0 : f->c.size;

	if (found == CHECKPOINT_DAMAGED || found == CHECKPOINT_UNREADABLE ||
	    h->n == 0 || h->v[h->n - 1].size <= size)
		return (found);
	history_path(path, h->v[h->n - 1].size);
	log_warnx("checkpoint: %s is larger than log/" LOG_CHECKPOINT
		  ", which counts lines 1 to %" PRIu64,
	    path, size);
	older = look(h, path, key, f);
	/* Its name is not its content: that one was not written by us. */
	if (older != CHECKPOINT_DAMAGED && older != CHECKPOINT_UNREADABLE &&
	    f->c.size != h->v[h->n - 1].size)
		return (CHECKPOINT_DAMAGED);
	return (older);
}

int
checkpoint_sign(struct buf *b, const struct skey *key, uint64_t size,
    const uint8_t root[MERKLE_HASH])
{
	struct buf text = BUF_INITIALIZER;
	struct checkpoint c = { .size = size };
	int r;

	(void)ax_strlcpy(c.origin, key->pub.name, sizeof(c.origin));
	memcpy(c.root, root, sizeof(c.root));
	r = checkpoint_put(&text, &c);
	if (r == 0)
		r = note_sign(b, (const char *)text.d, text.len, key);
	buf_free(&text);
	return (r);
}
