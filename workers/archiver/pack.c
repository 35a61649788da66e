/* SPDX-License-Identifier: ISC */
/*
 * The archiver's work. What it says of a file it has seen on the disk: the
 * digest of the text is taken while reading it, and compared with that of what
 * the written file yields. Must never open anything.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zstd.h>

#include "common/util.h"
#include "common/zread.h"
#include "workers/archiver/pack.h"

#define LEVEL 6
#define PIECE (256u << 10)

struct pack {
	int in, out;
	uint64_t size, done, written;
	int (*stage)(struct pack *);
	ZSTD_CCtx *z;
	EVP_MD_CTX *sum;
	uint8_t want[32];
	struct zread *back;
	char text[PIECE];
	char packed[PIECE];
};

static int compress_piece(struct pack *);

struct pack *
pack_new(int in, int out)
{
	struct pack *p = calloc(1, sizeof(*p));
	struct stat st;

	if (p == NULL)
		return (NULL);
	p->in = in;
	p->out = out;
	p->stage = compress_piece;
	if (fstat(in, &st) == -1) {
		free(p);
		return (NULL);
	}
	p->size = (uint64_t)st.st_size;
	if ((p->z = ZSTD_createCCtx()) == NULL ||
	    (p->sum = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(p->sum, EVP_sha256(), NULL) != 1 ||
	    ZSTD_isError(
		ZSTD_CCtx_setParameter(p->z, ZSTD_c_compressionLevel, LEVEL)) ||
	    ZSTD_isError(
		ZSTD_CCtx_setParameter(p->z, ZSTD_c_checksumFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(p->z, p->size))) {
		pack_free(p);
		errno = ENOMEM;
		return (NULL);
	}
	return (p);
}

void
pack_free(struct pack *p)
{
	if (p == NULL)
		return;
	(void)ZSTD_freeCCtx(p->z);
	EVP_MD_CTX_free(p->sum);
	zread_free(p->back);
	free(p);
}

/* Digest of what came so far, and ready for another. */
static int
take_digest(struct pack *p, uint8_t out[32])
{
	if (EVP_DigestFinal_ex(p->sum, out, NULL) == 1 &&
	    EVP_DigestInit_ex(p->sum, EVP_sha256(), NULL) == 1)
		return (0);
	errno = ENOMEM;
	return (-1);
}

/* ---- reading back ---- */

static int
check_piece(struct pack *p)
{
	uint8_t have[32];
	ssize_t n;

	if ((n = zread_read(p->back, p->text, PIECE)) == -1)
		return (-1);
	if (n > 0) {
		if (EVP_DigestUpdate(p->sum, p->text, (size_t)n) == 1)
			return (1);
		errno = ENOMEM;
		return (-1);
	}
	if (take_digest(p, have) == -1)
		return (-1);
	if (memcmp(have, p->want, sizeof(have)) == 0)
		return (0);
	errno = EBADMSG;
	return (-1);
}

static int
sync_file(struct pack *p)
{
	if (take_digest(p, p->want) == -1 || fdatasync(p->out) == -1)
		return (-1);
	/* What is read back shall come from the disk. */
	(void)posix_fadvise(p->out, 0, 0, POSIX_FADV_DONTNEED);
	if ((p->back = zread_open(p->out, true, NULL)) == NULL)
		return (-1);
	if (zread_size(p->back) != p->size) {
		errno = EBADMSG;
		return (-1);
	}
	p->stage = check_piece;
	return (1);
}

/* ---- writing ---- */

/* All of `in` to the file; with `last` the end of the frame, too. */
static int
feed(struct pack *p, size_t n, bool last)
{
	ZSTD_inBuffer in = { p->text, n, 0 };
	ZSTD_outBuffer out;
	size_t left;

	do {
		out = (ZSTD_outBuffer){ p->packed, PIECE, 0 };
		left = ZSTD_compressStream2(p->z, &out, &in,
		    last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left)) {
			errno = EINVAL;
			return (-1);
		}
		if (ax_write_all(p->out, p->packed, out.pos) == -1)
			return (-1);
		p->written += out.pos;
	} while (last ? left > 0 : in.pos < in.size);
	return (0);
}

static int
compress_piece(struct pack *p)
{
	uint64_t left = p->size - p->done;
	size_t want = left < PIECE ? (size_t)left : PIECE;
	ssize_t n = 0;

	if (want > 0) {
		do
			n = pread(p->in, p->text, want, (off_t)p->done);
		while (n == -1 && errno == EINTR);
		if (n == -1)
			return (-1);
		if (n == 0) { /* it became shorter */
			errno = EBADMSG;
			return (-1);
		}
	}
	if (EVP_DigestUpdate(p->sum, p->text, (size_t)n) != 1) {
		errno = ENOMEM;
		return (-1);
	}
	p->done += (uint64_t)n;
	if (feed(p, (size_t)n, p->done == p->size) == -1)
		return (-1);
	if (p->done == p->size)
		p->stage = sync_file;
	return (1);
}

int
pack_step(struct pack *p)
{
	return (p->stage(p));
}

uint64_t
pack_text_size(const struct pack *p)
{
	return (p->size);
}

uint64_t
pack_file_size(const struct pack *p)
{
	return (p->written);
}
