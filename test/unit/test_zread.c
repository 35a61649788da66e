/* SPDX-License-Identifier: ISC */
/*
 * Reading segments, plain and compressed: the text at every position, and
 * every way in which a file can fail to be exactly one whole frame.
 */
#include <sys/mman.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "common/util.h"
#include "common/zread.h"

#define TEXT_MAX (3u << 20)

static char *text;   /* TEXT_MAX bytes, half of them hard to compress */
static char *packed; /* a frame of any of it */

static int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("zread", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(ax_write_all(fd, p, n), 0);
	return (fd);
}

/* One frame of text[0..n) in packed; its size. */
static size_t
pack(size_t n, int size_flag, int checksum)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t r;

	assert_non_null(c);
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 3);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, size_flag);
	r = ZSTD_compress2(c, packed, ZSTD_compressBound(TEXT_MAX), text, n);
	assert_false(ZSTD_isError(r));
	ZSTD_freeCCtx(c);
	return (r);
}

/* Reads all in pieces of `piece`: 0 when it is text[0..n), else errno. */
static int
read_all(int fd, bool zstd, size_t n, size_t piece)
{
	struct zread *z = zread_open(fd, zstd, NULL);
	char *b = malloc(piece);
	size_t at = 0;
	ssize_t r;
	int e = 0;

	assert_non_null(b);
	if (z == NULL) {
		free(b);
		return (errno);
	}
	assert_int_equal(zread_size(z), n);
	while ((r = zread_read(z, b, piece)) > 0) {
		assert_true(at + (size_t)r <= n);
		assert_memory_equal(b, text + at, (size_t)r);
		at += (size_t)r;
	}
	if (r == -1)
		e = errno;
	else
		assert_int_equal(at, n);
	zread_free(z);
	free(b);
	return (e);
}

static void
test_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 65536, 131072, 131073,
		TEXT_MAX };
	static const size_t pieces[] = { 1 << 10, 65536, 1 << 20, TEXT_MAX };
	size_t i, k, n;
	int fd;

	(void)state;
	for (i = 0; i < AX_NELEM(sizes); i++) {
		n = pack(sizes[i], 1, 1);
		fd = file_of(packed, n);
		for (k = 0; k < AX_NELEM(pieces); k++)
			assert_int_equal(read_all(fd, true, sizes[i],
					     pieces[k]),
			    0);
		close(fd);
		fd = file_of(text, sizes[i]);
		for (k = 0; k < AX_NELEM(pieces); k++)
			assert_int_equal(read_all(fd, false, sizes[i],
					     pieces[k]),
			    0);
		close(fd);
	}
}

static void
seek_about(int fd, bool zstd, size_t size)
{
	static const size_t to[] = { 100000, 99999, 0, TEXT_MAX - 1, 7,
		TEXT_MAX / 2, TEXT_MAX / 2 + 1 };
	struct zread *z = zread_open(fd, zstd, NULL);
	char b[300];
	size_t i, want;
	ssize_t r;

	assert_non_null(z);
	for (i = 0; i < AX_NELEM(to); i++) {
		want = size - to[i] < sizeof(b) ? size - to[i] : sizeof(b);
		assert_int_equal(zread_seek(z, to[i]), 0);
		r = zread_read(z, b, sizeof(b));
		assert_int_equal(r, want);
		assert_memory_equal(b, text + to[i], want);
	}
	assert_int_equal(zread_seek(z, size), 0);
	assert_int_equal(zread_read(z, b, sizeof(b)), 0);
	if (zstd) {
		assert_int_equal(zread_seek(z, size + 1), -1);
		assert_int_equal(errno, EINVAL);
	}
	zread_free(z);
}

static void
test_seek(void **state)
{
	int fd = file_of(packed, pack(TEXT_MAX, 1, 1));

	(void)state;
	seek_about(fd, true, TEXT_MAX);
	close(fd);
	fd = file_of(text, TEXT_MAX);
	seek_about(fd, false, TEXT_MAX);
	close(fd);
}

/* Every cut, also one byte before the end, and of a frame of nothing. */
static void
test_cut(void **state)
{
	size_t n = pack(3000, 1, 1), i;
	int fd;

	(void)state;
	for (i = 0; i < n; i++) {
		fd = file_of(packed, i);
		assert_int_equal(read_all(fd, true, 3000, 3000), EBADMSG);
		assert_int_equal(read_all(fd, true, 3000, 7), EBADMSG);
		close(fd);
	}
	n = pack(0, 1, 1);
	for (i = 0; i < n; i++) {
		fd = file_of(packed, i);
		assert_int_equal(read_all(fd, true, 0, 100), EBADMSG);
		close(fd);
	}
}

static void
test_behind(void **state)
{
	size_t n = pack(200000, 1, 1), m;
	static const unsigned char skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 0, 0,
		0, 0 };
	char b[8192];
	struct zread *z;
	int fd;

	(void)state;
	fd = file_of(packed, n);
	assert_int_equal(ax_write_all(fd, "", 1), 0);
	assert_int_equal(read_all(fd, true, 200000, 8192), EBADMSG);
	/* Also for one who asks for exactly what is there. */
	assert_int_equal(read_all(fd, true, 200000, 200000), EBADMSG);
	z = zread_open(fd, true, NULL);
	assert_non_null(z);
	assert_int_equal(zread_seek(z, 200000 - 100), 0);
	assert_int_equal(zread_read(z, b, 99), 99);
	assert_int_equal(zread_read(z, b, 1), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(zread_read(z, b, 1), -1);
	zread_free(z);
	close(fd);
	fd = file_of(packed, n);
	m = pack(1000, 1, 1);
	assert_int_equal(ax_write_all(fd, packed, m), 0);
	assert_int_equal(read_all(fd, true, 200000, 8192), EBADMSG);
	close(fd);
	n = pack(200000, 1, 1);
	fd = file_of(packed, n);
	assert_int_equal(ax_write_all(fd, skippable, sizeof(skippable)), 0);
	assert_int_equal(read_all(fd, true, 200000, 8192), EBADMSG);
	close(fd);
	/* ... and in front. */
	fd = file_of(skippable, sizeof(skippable));
	assert_int_equal(ax_write_all(fd, packed, n), 0);
	assert_int_equal(read_all(fd, true, 200000, 8192), EBADMSG);
	close(fd);
}

/* No changed bit anywhere yields another text without an error. */
static void
test_flipped(void **state)
{
	size_t n = pack(2000, 1, 1), i;
	struct zread *z;
	char b[4096];
	ssize_t r;
	int fd;

	(void)state;
	for (i = 0; i < n * 8; i++) {
		packed[i / 8] = (char)(packed[i / 8] ^ (1 << (i % 8)));
		fd = file_of(packed, n);
		if ((z = zread_open(fd, true, NULL)) != NULL) {
			r = zread_read(z, b, 2000);
			/* Some bits of the header mean nothing. */
			if (r != -1) {
				assert_int_equal(r, 2000);
				assert_memory_equal(b, text, 2000);
			}
			zread_free(z);
		}
		close(fd);
		packed[i / 8] = (char)(packed[i / 8] ^ (1 << (i % 8)));
	}
}

static void
test_not_one(void **state)
{
	int fd = file_of(text, 5000);

	(void)state;
	assert_int_equal(read_all(fd, true, 5000, 100), EBADMSG);
	close(fd);
	/* A frame that does not tell its size. */
	fd = file_of(packed, pack(5000, 0, 1));
	assert_int_equal(read_all(fd, true, 5000, 100), EBADMSG);
	close(fd);
	assert_true(zread_is_zstd("archive/a.jsonl.zst"));
	assert_false(zread_is_zstd("archive/a.jsonl"));
	assert_false(zread_is_zstd(".zst"));
	assert_false(zread_is_zstd("a.zst.part"));
	fd = file_of(packed, pack(5000, 1, 0));
	assert_int_equal(read_all(fd, true, 5000, 100), 0);
	close(fd);
}

static int fail_once;

static ssize_t
flaky(int fd, void *p, size_t n, off_t at)
{
	if (fail_once > 0 && --fail_once == 0) {
		errno = EIO;
		return (-1);
	}
	return (pread(fd, p, n < 1000 ? n : 1000, at));
}

/* Short reads are no matter; a failed one is the caller's, once. */
static void
test_disk(void **state)
{
	int fd = file_of(packed, pack(1 << 20, 1, 1));
	struct zread *z = zread_open(fd, true, flaky);
	char b[5000];

	(void)state;
	assert_non_null(z);
	assert_int_equal(zread_read(z, b, sizeof(b)), sizeof(b));
	fail_once = 1;
	assert_int_equal(zread_seek(z, 900000), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(zread_read(z, b, sizeof(b)), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(zread_seek(z, 900000), 0);
	assert_int_equal(zread_read(z, b, sizeof(b)), sizeof(b));
	assert_memory_equal(b, text + 900000, sizeof(b));
	zread_free(z);
	fail_once = 1;
	assert_null(zread_open(fd, true, flaky));
	assert_int_equal(errno, EIO);
	close(fd);
}

static int
set_up(void **state)
{
	uint64_t x = 88172645463325252ull;
	size_t i;

	(void)state;
	text = malloc(TEXT_MAX);
	packed = malloc(ZSTD_compressBound(TEXT_MAX));
	if (text == NULL || packed == NULL)
		return (-1);
	for (i = 0; i < TEXT_MAX; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[i] = i % 8192 < 4096 ? (char)x : (char)('a' + i % 13);
	}
	return (0);
}

static int
tear_down(void **state)
{
	(void)state;
	free(text);
	free(packed);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_seek),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_not_one),
		cmocka_unit_test(test_disk),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
