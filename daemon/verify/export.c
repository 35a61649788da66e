/* SPDX-License-Identifier: ISC */
/*
 * Publishes a log as static files that any web server can hand out and any
 * tlog client can read. Must never write a hash or an entry that does not hang
 * under the checkpoint it is published with, and never a new checkpoint before
 * everything that it covers.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/line.h"
#include "common/util.h"
#include "daemon/verify/export.h"
#include "daemon/verify/history.h"
#include "daemon/verify/trust.h"
#include "daemon/verify/walk.h"

#define ENTRIES "tile/entries"

struct export
{
	struct layout layout;
	struct trust trust;
	int outfd;
	uint64_t size;	/* of the checkpoint */
	uint64_t index; /* of the next line */
	bool begun, skipping;
	unsigned n; /* entries in the bundle */
	struct buf bundle;
	struct export_result *result;
	char *err;
	size_t errlen;
};

static int
refuse(struct export *x, const char *what, const char *why)
{
	(void)snprintf(x->err, x->errlen, "%s: %s", what, why);
	return (-1);
}

/* ---- files ---- */

static int
make_parents(int dirfd, const char *path)
{
	char copy[TILE_PATH_MAX + 16], *p;

	if (ax_strlcpy(copy, path, sizeof(copy)) >= sizeof(copy)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	for (p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdirat(dirfd, copy, 0755) == -1 && errno != EEXIST)
			return (-1);
		*p = '/';
	}
	return (0);
}

/* By a temporary name, so that a reader sees all of it or nothing. */
static int
put(struct export *x, const char *path, const void *data, size_t n)
{
	static const char temp[] = ".archillx-export";
	int fd, r = -1;

	(void)unlinkat(x->outfd, temp, 0);
	fd = openat(x->outfd, temp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd != -1) {
		r = ax_write_all(fd, data, n);
		if (close(fd) == -1)
			r = -1;
	}
	if (r == 0 && renameat(x->outfd, temp, x->outfd, path) == -1 &&
	    (errno != ENOENT || make_parents(x->outfd, path) == -1 ||
		renameat(x->outfd, temp, x->outfd, path) == -1))
		r = -1;
	return (r == -1 ? refuse(x, path, strerror(errno)) : 0);
}

/* ---- tiles ---- */

static int
put_tile(struct export *x, unsigned level, uint64_t index)
{
	const struct trust_tile *t;
	char path[TILE_PATH_MAX];

	t = trust_tile(&x->trust, level, index);
	tile_path(path, level, index / TILE_WIDTH,
	    t != NULL ? t->width : TILE_WIDTH);
	if (t == NULL || !trust_proven(&x->trust, level, index, NULL))
		return (refuse(x, path,
		    "the tile is missing, or not what the checkpoint signs "
		    "(archillxctl audit verify tells)"));
	return (put(x, path, t->hash, (size_t)t->width * MERKLE_HASH));
}

static int
put_tiles(struct export *x)
{
	unsigned level;
	uint64_t i;

	for (level = 0; level < TILE_LEVELS; level++) {
		for (i = 0; i < x->size >> (8 * level); i += TILE_WIDTH) {
			if (put_tile(x, level, i) == -1)
				return (-1);
		}
	}
	return (0);
}

/* ---- entries ---- */

static int
put_bundle(struct export *x)
{
	char tile[TILE_PATH_MAX], path[TILE_PATH_MAX + 16];

	if (x->n == 0)
		return (0);
	tile_path(tile, 0, (x->index - 1) / TILE_WIDTH, x->n);
	(void)snprintf(path, sizeof(path), ENTRIES "%s",
	    tile + sizeof("tile/0") - 1);
	if (x->bundle.err)
		return (refuse(x, path, strerror(ENOMEM)));
	if (put(x, path, x->bundle.d, x->bundle.len) == -1)
		return (-1);
	x->result->entries += x->n;
	x->n = 0;
	buf_reset(&x->bundle);
	return (0);
}

static int
not_signed(struct export *x, const struct walk_line *l)
{
	(void)snprintf(x->err, x->errlen,
	    "%s byte %" PRIu64 ": not the line %" PRIu64
	    " that was signed (archillxctl audit verify tells)",
	    l->seg->name, l->offset, x->index + 1);
	return (-1);
}

/* Where the lines begin: a bundle is written only if all of it is here. */
static int
begin(struct export *x, const struct walk_line *l)
{
	struct line_view v;

	if (line_parse(l->p, l->n, &v) == -1)
		return (not_signed(x, l));
	x->index = v.seq - 1;
	x->begun = true;
	x->skipping = x->index % TILE_WIDTH != 0;
	return (0);
}

static int
put_line(struct export *x, const struct walk_line *l)
{
	uint8_t h[MERKLE_HASH];

	if (l->p == NULL || (!x->begun && begin(x, l) == -1))
		return (not_signed(x, l));
	if (x->index >= x->size)
		return (0);
	merkle_leaf(l->p, l->n, h);
	if (trust_raw(&x->trust, 0, x->index, h) != 1 ||
	    !trust_proven(&x->trust, 0, x->index, NULL))
		return (not_signed(x, l));
	x->skipping = x->skipping && x->index % TILE_WIDTH != 0;
	x->index++;
	if (x->skipping)
		return (0);
	buf_addc(&x->bundle, (char)(l->n >> 8));
	buf_addc(&x->bundle, (char)(l->n & 0xff));
	buf_add(&x->bundle, l->p, l->n);
	x->n++;
	return (x->n == TILE_WIDTH || x->index == x->size ? put_bundle(x) : 0);
}

static int
put_entries(struct export *x)
{
	struct walk *w = walk_new(&x->layout);
	struct walk_line l;
	enum walk_event e;
	int r = 0;

	if (w == NULL)
		return (refuse(x, ENTRIES, strerror(ENOMEM)));
	while (r == 0 && (!x->begun || x->index < x->size) &&
	    (e = walk_next(w, &l)) != WALK_END) {
		if (e == WALK_DAMAGED)
			r = refuse(x, l.seg->name, strerror(l.error));
		else
			r = put_line(x, &l);
	}
	walk_free(w);
	if (r == 0 && x->index < x->size)
		r = refuse(x, ENTRIES,
		    "lines below the checkpoint are missing");
	return (r);
}

/* ---- the whole ---- */

static int
export_all(struct export *x)
{
	struct checkpoint cp;
	size_t len;
	char *note;
	int r;

	if (x->layout.checkpoint == NULL)
		return (refuse(x, "checkpoint", "there is none"));
	note = layout_read(x->layout.dirfd, x->layout.checkpoint, NOTE_READ_MAX,
	    &len);
	if (note == NULL)
		return (refuse(x, x->layout.checkpoint, strerror(errno)));
	if (checkpoint_parse(note, len, &cp) == -1)
		r = refuse(x, x->layout.checkpoint, "not a checkpoint");
	else {
		x->size = x->result->size = cp.size;
		trust_init(&x->trust,
		    x->layout.have_tiles ? x->layout.logfd : -1, cp.size,
		    cp.root);
		r = cp.size > 0 ? put_tiles(x) : 0;
	}
	if (r == 0 && cp.size > 0)
		r = put_entries(x);
	if (r == 0)
		r = put(x, LOG_CHECKPOINT, note, len);
	free(note);
	return (r);
}

int
export_tiles(const char *dir, const char *out, struct export_result *result,
    char *err, size_t errlen)
{
	struct export *x = calloc(1, sizeof(*x));
	const char *what;
	int r;

	memset(result, 0, sizeof(*result));
	if (x == NULL) {
		(void)snprintf(err, errlen, "%s", strerror(errno));
		return (-1);
	}
	x->result = result;
	x->err = err;
	x->errlen = errlen;
	x->outfd = -1;
	if (layout_open(&x->layout, dir, &what) == -1)
		r = refuse(x, what, strerror(errno));
	else if ((mkdir(out, 0755) == -1 && errno != EEXIST) ||
	    (x->outfd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		r = refuse(x, out, strerror(errno));
	else
		r = export_all(x);
	if (x->outfd != -1)
		(void)close(x->outfd);
	layout_close(&x->layout);
	buf_free(&x->bundle);
	free(x);
	return (r);
}
