/* SPDX-License-Identifier: ISC */
/*
 * The text of a journal segment, out of a plain file or out of one zstd frame,
 * piece by piece and in a bounded amount of memory. A frame counts only when it
 * tells its size, decompresses to exactly that, agrees with its checksum and
 * nothing stands behind it; the last bytes of any other are never handed out.
 * Must never write, and never allocate by a number that stands in the file.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/zread.h"

#define IN_SIZE	   65536
#define SKIP_SIZE  16384
#define WINDOW_LOG 24 /* 16 MiB: what a frame may make us keep */

static const uint8_t magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

struct zread {
	zread_pread pread;
	int fd;
	uint64_t size;
	uint64_t at;	  /* of the text */
	off_t off;	  /* of the file */
	ZSTD_DCtx *dctx;  /* NULL: a plain file */
	bool ended;	  /* the frame is whole and nothing follows */
	int error;	  /* sticks until zread_seek() starts over */
	ZSTD_inBuffer in; /* into buf */
	char buf[];	  /* IN_SIZE of a frame, nothing of a plain file */
};

bool
zread_is_zstd(const char *name)
{
	size_t n = strlen(name);

	return (n > 4 && strcmp(name + n - 4, ".zst") == 0);
}

/* More of the file behind *off. */
static ssize_t
read_some(struct zread *z, void *p, size_t n, off_t off)
{
	ssize_t r;

	do
		r = z->pread(z->fd, p, n, off);
	while (r == -1 && errno == EINTR);
	return (r);
}

static int
refill(struct zread *z)
{
	ssize_t r = read_some(z, z->buf, IN_SIZE, z->off);

	if (r == -1)
		return (-1);
	z->off += r;
	z->in = (ZSTD_inBuffer){ z->buf, (size_t)r, 0 };
	return (0);
}

static int
rewind_frame(struct zread *z)
{
	z->off = 0;
	z->at = 0;
	z->ended = false;
	z->error = 0;
	z->in = (ZSTD_inBuffer){ z->buf, 0, 0 };
	if (ZSTD_isError(ZSTD_DCtx_reset(z->dctx, ZSTD_reset_session_only))) {
		errno = EBADMSG;
		return (-1);
	}
	return (0);
}

static int
open_frame(struct zread *z)
{
	unsigned long long size;

	if ((z->dctx = ZSTD_createDCtx()) == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(z->dctx, ZSTD_d_windowLogMax,
		WINDOW_LOG))) {
		errno = ENOMEM;
		return (-1);
	}
	if (rewind_frame(z) == -1 || refill(z) == -1)
		return (-1);
	size = ZSTD_getFrameContentSize(z->buf, z->in.size);
	if (z->in.size < sizeof(magic) ||
	    memcmp(z->buf, magic, sizeof(magic)) != 0 ||
	    size == ZSTD_CONTENTSIZE_ERROR ||
	    size == ZSTD_CONTENTSIZE_UNKNOWN) {
		errno = EBADMSG;
		return (-1);
	}
	z->size = size;
	return (0);
}

static int
open_plain(struct zread *z)
{
	struct stat st;

	if (fstat(z->fd, &st) == -1)
		return (-1);
	z->size = (uint64_t)st.st_size;
	return (0);
}

struct zread *
zread_open(int fd, bool zstd, zread_pread fn)
{
	struct zread *z = calloc(1, sizeof(*z) + (zstd ? IN_SIZE : 0));
	int saved;

	if (z == NULL)
		return (NULL);
	z->fd = fd;
	z->pread = fn != NULL ? fn : pread;
	if ((zstd ? open_frame(z) : open_plain(z)) == -1) {
		saved = errno;
		zread_free(z);
		errno = saved;
		return (NULL);
	}
	return (z);
}

void
zread_free(struct zread *z)
{
	if (z == NULL)
		return;
	(void)ZSTD_freeDCtx(z->dctx);
	free(z);
}

uint64_t
zread_size(const struct zread *z)
{
	return (z->size);
}

static int
damaged(void)
{
	errno = EBADMSG;
	return (-1);
}

/* The frame is decoded up to its last byte: is it the last of the file? */
static int
end_of_frame(struct zread *z, uint64_t at)
{
	ssize_t r;
	char c;

	if (at != z->size || z->in.pos < z->in.size)
		return (damaged());
	if ((r = read_some(z, &c, 1, z->off)) == -1)
		return (-1);
	if (r > 0)
		return (damaged());
	z->ended = true;
	return (0);
}

/* One step of the decoder. 0 or -1. */
static int
step(struct zread *z, ZSTD_outBuffer *out)
{
	size_t left;

	if (z->in.pos == z->in.size) {
		if (refill(z) == -1)
			return (-1);
		if (z->in.size == 0) /* cut short */
			return (damaged());
	}
	left = ZSTD_decompressStream(z->dctx, out, &z->in);
	/* That includes a decoder that waits for room which it has not. */
	if (ZSTD_isError(left) || z->at + out->pos > z->size)
		return (damaged());
	return (left == 0 ? end_of_frame(z, z->at + out->pos) : 0);
}

static ssize_t
read_frame(struct zread *z, void *p, size_t n)
{
	ZSTD_outBuffer out = { p, n, 0 };

	if (z->error != 0) {
		errno = z->error;
		return (-1);
	}
	/* With the last byte of the text also what stands behind it. */
	while (!z->ended && (out.pos < n || z->at + n == z->size)) {
		if (step(z, &out) == -1) {
			z->error = errno;
			return (-1);
		}
	}
	z->at += out.pos;
	return ((ssize_t)out.pos);
}

ssize_t
zread_read(struct zread *z, void *p, size_t n)
{
	ssize_t r;

	if (z->dctx != NULL)
		return (read_frame(z, p, n));
	r = read_some(z, p, n, (off_t)z->at);
	if (r > 0)
		z->at += (uint64_t)r;
	return (r);
}

int
zread_seek(struct zread *z, uint64_t at)
{
	char skip[SKIP_SIZE];
	uint64_t left;
	ssize_t r;

	if (z->dctx == NULL) {
		z->at = at;
		return (0);
	}
	if (at > z->size) {
		errno = EINVAL;
		return (-1);
	}
	if ((at < z->at || z->error != 0) && rewind_frame(z) == -1)
		return (-1);
	while (z->at < at) {
		left = at - z->at;
		r = read_frame(z, skip,
		    left < sizeof(skip) ? (size_t)left : sizeof(skip));
		if (r == -1)
			return (-1);
	}
	return (0);
}
