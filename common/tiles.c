/* SPDX-License-Identifier: ISC */
/*
 * Reading C2SP hash tiles: https://c2sp.org/tlog-tiles. Files are judged by
 * their size alone; whether the hashes are right shows when they are hashed up
 * to a signed root. Reads one small file at a time, never writes, follows no
 * symbolic link at a tile's name, and blocks no longer than the disk does.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/tiles.h"

/* Elements of three digits: 2^56 is less than 1000^6. */
#define ELEMENTS 7

void
tile_path(char out[TILE_PATH_MAX], unsigned level, uint64_t index,
    unsigned width)
{
	unsigned part[ELEMENTS], n = 0;
	size_t at;

	do {
		part[n++] = (unsigned)(index % 1000);
		index /= 1000;
	} while (index > 0);
	at = (size_t)snprintf(out, TILE_PATH_MAX, "tile/%u", level);
	while (n-- > 0)
		at += (size_t)snprintf(out + at, TILE_PATH_MAX - at, "/%s%03u",
		    n > 0 ? "x" : "", part[n]);
	if (width > 0 && width < TILE_WIDTH)
		(void)snprintf(out + at, TILE_PATH_MAX - at, ".p/%u", width);
}

void
tiles_init(struct tiles *t, int dirfd, uint64_t size)
{
	unsigned i;

	t->dirfd = dirfd;
	t->size = size;
	for (i = 0; i < TILE_LEVELS; i++)
		t->last[i].width = 0;
}

/* All of it, and no more than it should be. */
static int
read_exactly(int fd, void *out, size_t n)
{
	struct stat st;
	size_t have = 0;
	ssize_t got;

	if (fstat(fd, &st) == -1)
		return (-1);
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)n) {
		errno = EBADMSG;
		return (-1);
	}
	while (have < n) {
		got = pread(fd, (char *)out + have, n - have, (off_t)have);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EBADMSG;
		if (got <= 0)
			return (-1);
		have += (size_t)got;
	}
	return (0);
}

static int
read_tile(struct tiles *t, unsigned level, uint64_t index, unsigned width)
{
	char path[TILE_PATH_MAX];
	int fd, r, save;

	tile_path(path, level, index, width);
	/* O_NONBLOCK: a pipe in the place of a tile must not hang us. */
	fd = openat(t->dirfd, path,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	t->last[level].width = 0;
	r = read_exactly(fd, t->last[level].hash, width * MERKLE_HASH);
	save = errno;
	(void)close(fd);
	errno = save;
	if (r == 0) {
		t->last[level].index = index;
		t->last[level].width = width;
	}
	return (r);
}

/* Makes sure that the first `need` hashes of a tile are kept. */
static int
load(struct tiles *t, unsigned level, uint64_t index, unsigned need)
{
	uint64_t there = (t->size >> (8 * level)) - index * TILE_WIDTH;
	unsigned width = there < TILE_WIDTH ? (unsigned)there : TILE_WIDTH;

	if (t->last[level].width >= need && t->last[level].index == index)
		return (0);
	if (read_tile(t, level, index, width) == 0)
		return (0);
	if (errno != ENOENT || width == TILE_WIDTH)
		return (-1);
	/* Partial tiles may go once the full one is there. */
	return (read_tile(t, level, index, TILE_WIDTH));
}

int
tiles_hash(struct tiles *t, unsigned level, uint64_t index,
    uint8_t out[MERKLE_HASH])
{
	unsigned at = (unsigned)(index % TILE_WIDTH);

	if (level >= TILE_LEVELS || index >= t->size >> (8 * level)) {
		errno = ENOENT;
		return (-1);
	}
	if (load(t, level, index / TILE_WIDTH, at + 1) == -1)
		return (-1);
	memcpy(out, t->last[level].hash[at], MERKLE_HASH);
	return (0);
}

int
tiles_get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	struct tiles *t = arg;
	unsigned low = level % 8, n = 1u << low, at, i;
	uint8_t h[TILE_WIDTH / 2][MERKLE_HASH];
	uint64_t end;

	if (level >= MERKLE_LEVELS ||
	    __builtin_mul_overflow(index + 1, (uint64_t)n, &end) || end == 0 ||
	    end > t->size >> (level - low)) {
		errno = ENOENT;
		return (-1);
	}
	at = (unsigned)((end - n) % TILE_WIDTH);
	if (load(t, level / 8, (end - n) / TILE_WIDTH, at + n) == -1)
		return (-1);
	memcpy(h, t->last[level / 8].hash[at], n * MERKLE_HASH);
	for (; n > 1; n /= 2)
		for (i = 0; i < n / 2; i++)
			merkle_node(h[2 * i], h[2 * i + 1], h[i]);
	memcpy(out, h[0], MERKLE_HASH);
	return (0);
}
