/* SPDX-License-Identifier: ISC */
/*
 * Which hashes of the tiles can be believed. Pure but for reading the tiles.
 * Must never call a hash proven that was not hashed up to the signed root.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/verify/layout.h"
#include "daemon/verify/trust.h"

/* The width of a tile in the tree of `size`; 0: there is no such tile. */
static unsigned
width_of(const struct trust *t, unsigned level, uint64_t index)
{
	uint64_t n = t->size >> (8 * level);

	if (n <= index * TILE_WIDTH)
		return (0);
	n -= index * TILE_WIDTH;
	return (n < TILE_WIDTH ? (unsigned)n : TILE_WIDTH);
}

/* Reads exactly `width` hashes. 0 or an errno. */
static int
read_tile(const struct trust *t, unsigned level, uint64_t index, unsigned width,
    struct trust_tile *out)
{
	char path[TILE_PATH_MAX], *text;
	size_t len;

	tile_path(path, level, index, width);
	text = layout_read(t->dirfd, path, sizeof(out->hash), &len);
	if (text == NULL)
		return (errno == EFBIG ? EBADMSG : errno);
	if (len == (size_t)width * MERKLE_HASH)
		memcpy(out->hash, text, len);
	free(text);
	return (len == (size_t)width * MERKLE_HASH ? 0 : EBADMSG);
}

/* A partial tile may have grown since: then any wider one serves. */
static void
load(const struct trust *t, unsigned level, uint64_t index, unsigned width,
    struct trust_tile *out)
{
	unsigned w;

	out->index = index;
	out->width = width;
	out->known = out->proven = false;
	out->error = read_tile(t, level, index, width, out);
	if (out->error == ENOENT && width < TILE_WIDTH)
		out->error = read_tile(t, level, index, TILE_WIDTH, out);
	for (w = width + 1; out->error == ENOENT && w < TILE_WIDTH; w++)
		out->error = read_tile(t, level, index, w, out);
}

/* The root of `n` (a power of two) hashes. */
static void
fold(const uint8_t (*hash)[MERKLE_HASH], unsigned n, uint8_t out[MERKLE_HASH])
{
	uint8_t h[TILE_WIDTH / 2][MERKLE_HASH];
	unsigned i;

	if (n == 1) {
		memcpy(out, hash[0], MERKLE_HASH);
		return;
	}
	for (n /= 2, i = 0; i < n; i++)
		merkle_node(hash[2 * i], hash[2 * i + 1], h[i]);
	for (; n > 1; n /= 2) {
		for (i = 0; i < n / 2; i++)
			merkle_node(h[2 * i], h[2 * i + 1], h[i]);
	}
	memcpy(out, h[0], MERKLE_HASH);
}

/* merkle_get for the right edge alone: the partial tiles, as read. */
static int
edge_get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	const struct trust *t = arg;
	const struct trust_tile *r = &t->right[level / 8];
	unsigned n = 1u << level % 8;
	uint64_t first = index * n;

	if (r->width == 0 || r->error != 0 || first / TILE_WIDTH != r->index)
		return (-1);
	fold((const uint8_t(*)[MERKLE_HASH])r->hash + first % TILE_WIDTH, n,
	    out);
	return (0);
}

void
trust_init(struct trust *t, int dirfd, uint64_t size,
    const uint8_t root[MERKLE_HASH])
{
	uint8_t got[MERKLE_HASH];
	struct merkle m;
	unsigned level, width;
	uint64_t index;

	memset(t, 0, sizeof(*t));
	t->dirfd = dirfd;
	t->size = size;
	if (dirfd == -1)
		return;
	for (level = 0; level < TILE_LEVELS; level++) {
		index = size >> (8 * level) >> 8;
		if ((width = width_of(t, level, index)) == 0)
			continue;
		load(t, level, index, width, &t->right[level]);
		t->any = t->any || t->right[level].error == 0;
	}
	if (merkle_load(&m, size, edge_get, t) == 0) {
		merkle_root(&m, got);
		t->usable = memcmp(got, root, MERKLE_HASH) == 0;
	}
	for (level = 0; level < TILE_LEVELS; level++) {
		t->right[level].known = true;
		t->right[level].proven = t->usable;
	}
}

/* The same, to be changed. */
static struct trust_tile *
tile(struct trust *t, unsigned level, uint64_t index)
{
	struct trust_tile *k;
	unsigned width;

	if (t->dirfd == -1 || level >= TILE_LEVELS)
		return (NULL);
	index /= TILE_WIDTH;
	k = &t->right[level];
	if (k->width != 0 && k->index == index)
		return (k);
	k = &t->tile[level];
	if (k->width != 0 && k->index == index)
		return (k);
	if ((width = width_of(t, level, index)) == 0)
		return (NULL);
	load(t, level, index, width, k);
	t->any = t->any || k->error == 0;
	return (k);
}

const struct trust_tile *
trust_tile(struct trust *t, unsigned level, uint64_t index)
{
	return (tile(t, level, index));
}

int
trust_raw(struct trust *t, unsigned level, uint64_t index,
    const uint8_t hash[MERKLE_HASH])
{
	const struct trust_tile *k = tile(t, level, index);
	unsigned at = (unsigned)(index % TILE_WIDTH);

	if (k == NULL || k->error != 0 || at >= k->width)
		return (-1);
	return (memcmp(k->hash[at], hash, MERKLE_HASH) == 0);
}

bool
trust_proven(struct trust *t, unsigned level, uint64_t index,
    uint8_t out[MERKLE_HASH])
{
	struct trust_tile *k = tile(t, level, index);
	unsigned at = (unsigned)(index % TILE_WIDTH);
	uint8_t h[MERKLE_HASH], above[MERKLE_HASH];

	if (k == NULL || k->error != 0 || !t->usable || at >= k->width)
		return (false);
	if (!k->known) {
		fold((const uint8_t(*)[MERKLE_HASH])k->hash, TILE_WIDTH, h);
		k->proven = trust_proven(t, level + 1, k->index, above) &&
		    memcmp(h, above, sizeof(h)) == 0;
		k->known = true;
	}
	if (k->proven && out != NULL)
		memcpy(out, k->hash[at], MERKLE_HASH);
	return (k->proven);
}

/* What both tiles have of the tree must be the same. */
static int
partial_fits(const struct trust *t, unsigned level, unsigned width)
{
	const struct trust_tile *r = &t->right[level];
	struct trust_tile other;
	unsigned both = width < r->width ? width : r->width;
	int error = read_tile(t, level, r->index, width, &other);

	if (error == ENOENT) /* a daemon at work took it away */
		return (0);
	return (error == 0 &&
		    memcmp(other.hash, r->hash, (size_t)both * MERKLE_HASH) ==
			0 ?
		0 :
		-1);
}

int
trust_partials(const struct trust *t, unsigned level, char path[TILE_PATH_MAX])
{
	const struct trust_tile *r = &t->right[level];
	struct dirent *e;
	int64_t width;
	int fd, bad = 0;
	DIR *d;

	if (t->dirfd == -1 || r->width == 0 || !r->proven)
		return (0);
	tile_path(path, level, r->index, 1);
	path[strlen(path) - 2] = '\0'; /* the folder */
	fd = openat(t->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return (0);
	if ((d = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return (0);
	}
	while (bad == 0 && (e = readdir(d)) != NULL) {
		if (ax_strtonum(e->d_name, 1, TILE_WIDTH - 1, &width) == -1 ||
		    (unsigned)width == r->width)
			continue;
		bad = partial_fits(t, level, (unsigned)width);
		if (bad == -1)
			tile_path(path, level, r->index, (unsigned)width);
	}
	(void)closedir(d);
	return (bad);
}

int
trust_get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	struct trust *t = arg;
	unsigned n = 1u << level % 8;
	uint64_t first = index * n;
	const struct trust_tile *k;

	if (!trust_proven(t, level / 8, first + n - 1, NULL))
		return (-1);
	k = tile(t, level / 8, first);
	fold((const uint8_t(*)[MERKLE_HASH])k->hash + first % TILE_WIDTH, n,
	    out);
	return (0);
}
