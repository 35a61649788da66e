/* SPDX-License-Identifier: ISC */
/* The reader at every cut point, over segments, and with what is no journal. */
#include <errno.h>
#include <fcntl.h>
#include <zstd.h>

#include "store_help.h"
#include "common/reader.h"

static int
file_with(const char *name, const char *text, size_t n)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd != -1);
	assert_int_equal(ax_write_all(fd, text, n), 0);
	return (fd);
}

static void
expect(struct reader *r, const char *text, uint64_t segment, uint64_t end)
{
	struct reader_line l;

	assert_int_equal(reader_next(r, &l), 1);
	assert_int_equal(l.n, strlen(text));
	assert_memory_equal(l.p, text, l.n);
	assert_int_equal(l.segment, segment);
	assert_int_equal(l.end, end);
}

static void
expect_end(struct reader *r)
{
	struct reader_line l;

	assert_int_equal(reader_next(r, &l), 0);
}

/* However little is committed: whole lines only, each once, in order. */
static void
every_cut_point(void **state)
{
	static const char text[] = "one\n\ntwo-two\nthree\n";
	static const size_t ends[] = { 4, 5, 13, 19 };
	struct reader *r;
	struct reader_line l;
	size_t cut, step, seen;

	for (step = 1; step < sizeof(text); step++) {
		r = reader_new(0);
		assert_int_equal(reader_segment(r, 1, 1,
				     file_with("c", text, sizeof(text) - 1)),
		    0);
		reader_seek(r, 0, 0, 1);
		seen = 0;
		for (cut = 0; cut < sizeof(text) - 1 + step; cut += step) {
			if (cut > sizeof(text) - 1)
				cut = sizeof(text) - 1;
			reader_committed(r, 1, cut);
			while (reader_next(r, &l) == 1) {
				assert_int_equal(l.end, ends[seen]);
				assert_true(l.end <= cut);
				seen++;
			}
			assert_true(seen == 4 || ends[seen] > cut);
		}
		assert_int_equal(seen, 4);
		reader_free(r);
	}
}

static void
a_seek_starts_anywhere(void **state)
{
	struct reader *r = reader_new(0);

	assert_int_equal(reader_segment(r, 3, 10,
			     file_with("s", "a\nb\nc\n", 6)),
	    0);
	reader_committed(r, 3, 6);
	reader_seek(r, 3, 2, 11);
	expect(r, "b", 3, 4);
	reader_seek(r, 3, 0, 10);
	expect(r, "a", 3, 2);
	expect(r, "b", 3, 4);
	expect(r, "c", 3, 6);
	expect_end(r);
	reader_free(r);
}

static void
on_to_the_next_segment(void **state)
{
	struct reader *r = reader_new(0);

	/* given out of order; the first holds junk behind its last line */
	assert_int_equal(reader_segment(r, 2, 3, file_with("t2", "c\nd\n", 4)),
	    0);
	assert_int_equal(reader_segment(r, 1, 1,
			     file_with("t1", "a\nb\nJUNK\nMORE", 13)),
	    0);
	reader_seek(r, 0, 0, 1);
	expect(r, "a", 1, 2);
	expect(r, "b", 1, 4);
	expect_end(r); /* nothing of the second is committed yet */
	reader_committed(r, 2, 2);
	expect(r, "c", 2, 2);
	expect_end(r);
	/* a third, while in the middle of the second, and told of before */
	reader_committed(r, 3, 2);
	assert_int_equal(reader_segment(r, 3, 5, file_with("t3", "e\n", 2)), 0);
	expect(r, "d", 2, 4);
	expect(r, "e", 3, 2);
	expect_end(r);
	reader_seek(r, 0, 0, 1); /* and all over again */
	expect(r, "a", 1, 2);
	expect(r, "b", 1, 4);
	expect(r, "c", 2, 2);
	reader_free(r);
}

/* A closed segment shorter than its successor says: go on, not hang. */
static void
a_short_segment_is_left(void **state)
{
	struct reader *r = reader_new(0);

	assert_int_equal(reader_segment(r, 1, 1, file_with("u1", "a\nb", 3)),
	    0);
	assert_int_equal(reader_segment(r, 2, 9, file_with("u2", "i\n", 2)), 0);
	reader_committed(r, 2, 2);
	reader_seek(r, 1, 0, 1);
	expect(r, "a", 1, 2);
	expect(r, "i", 2, 2);
	reader_free(r);
}

static void
what_is_missing_is_an_error(void **state)
{
	struct reader *r = reader_new(0);
	struct reader_line l;
	char *big = malloc(200000);

	assert_int_equal(reader_next(r, &l), 0);
	assert_int_equal(reader_segment(r, 5, 50, file_with("w", "x\n", 2)), 0);
	reader_seek(r, 6, 0, 60); /* may still come */
	assert_int_equal(reader_next(r, &l), 0);
	reader_seek(r, 4, 0, 40);
	assert_int_equal(reader_next(r, &l), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(reader_pass_gap(r), 50);
	reader_committed(r, 5, 2);
	expect(r, "x", 5, 2);
	expect_end(r);
	reader_seek(r, 6, 0, 60);
	assert_int_equal(reader_pass_gap(r), 0);
	memset(big, 'x', 200000);
	assert_int_equal(reader_segment(r, 6, 60, file_with("v", big, 200000)),
	    0);
	reader_committed(r, 6, 200000);
	reader_seek(r, 6, 0, 60);
	assert_int_equal(reader_next(r, &l), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(reader_segment(r, 7, 70, -1), 0);
	reader_committed(r, 7, 10);
	reader_seek(r, 7, 0, 70);
	assert_int_equal(reader_next(r, &l), -1);
	assert_int_equal(errno, EBADF);
	free(big);
	reader_free(r);
}

static void
expect_find(struct reader *r, uint64_t seq, const char *text)
{
	struct buf b = BUF_INITIALIZER;

	assert_int_equal(reader_find(r, seq, &b), text != NULL);
	if (text != NULL)
		assert_string_equal(buf_str(&b), text);
	buf_free(&b);
}

/* A line by its seq, while the reader stands elsewhere and stays there. */
static void
found_by_seq(void **state)
{
	struct reader *r = reader_new(0);

	expect_find(r, 1, NULL);
	assert_int_equal(reader_first_seq(r), 0);
	assert_int_equal(reader_segment(r, 1, 3,
			     file_with("f1", "c\nd\nJUNK\n", 9)),
	    0);
	assert_int_equal(reader_segment(r, 2, 5, file_with("f2", "e\nf\n", 4)),
	    0);
	assert_int_equal(reader_segment(r, 4, 9, file_with("f4", "i\nj\n", 4)),
	    0);
	reader_committed(r, 4, 2);
	reader_seek(r, 0, 0, 3);
	assert_int_equal(reader_first_seq(r), 3);
	expect(r, "c", 1, 2);
	expect_find(r, 6, "f");
	expect_find(r, 3, "c");
	expect_find(r, 4, "d");
	expect_find(r, 5, "e");
	expect_find(r, 9, "i");
	expect_find(r, 0, NULL);
	expect_find(r, 2, NULL);
	expect_find(r, 7, NULL); /* in the hole */
	expect_find(r, 8, NULL);
	expect_find(r, 10, NULL); /* not committed */
	expect_find(r, UINT64_MAX, NULL);
	expect(r, "d", 1, 4);
	expect(r, "e", 2, 2);
	reader_free(r);
}

/* Lines of all lengths around the buffer's end. */
static void
long_lines(void **state)
{
	struct reader *r = reader_new(0);
	struct buf b = BUF_INITIALIZER;
	struct reader_line l;
	size_t i, n;

	for (i = 0; i < 200; i++) {
		n = 32768 - i * 97 % 32768;
		while (n-- > 0)
			buf_addc(&b, (char)('a' + i % 26));
		buf_addc(&b, '\n');
	}
	assert_int_equal(reader_segment(r, 1, 1, file_with("l", b.d, b.len)),
	    0);
	reader_committed(r, 1, b.len);
	reader_seek(r, 0, 0, 1);
	for (i = 0; i < 200; i++) {
		assert_int_equal(reader_next(r, &l), 1);
		assert_int_equal(l.n, 32768 - i * 97 % 32768);
		assert_int_equal(l.p[0], 'a' + i % 26);
		assert_int_equal(l.p[l.n - 1], 'a' + i % 26);
	}
	expect_end(r);
	buf_free(&b);
	reader_free(r);
}

/* The text as one frame; `cut` bytes of it are left out. */
static int
frame_with(const char *name, const char *text, size_t n, size_t cut)
{
	size_t room = ZSTD_compressBound(n), len;
	char *b = malloc(room);
	int fd;

	assert_non_null(b);
	len = ZSTD_compress(b, room, text, n, 3);
	assert_false(ZSTD_isError(len));
	fd = file_with(name, b, len - cut);
	free(b);
	return (fd);
}

/* A compressed segment is read as the plain one was, from any offset. */
static void
compressed_segments(void **state)
{
	struct reader *r = reader_new(0);

	assert_int_equal(reader_segment(r, 1, 1,
			     frame_with("z1", "a\nb\n", 4, 0)),
	    0);
	assert_int_equal(reader_segment(r, 2, 3,
			     frame_with("z2", "c\nd\n", 4, 0)),
	    0);
	assert_int_equal(reader_segment(r, 3, 5, file_with("z3", "e\nf\n", 4)),
	    0);
	reader_committed(r, 3, 4);
	reader_seek(r, 0, 0, 1);
	expect(r, "a", 1, 2);
	expect(r, "b", 1, 4);
	expect(r, "c", 2, 2);
	reader_seek(r, 1, 2, 2); /* back into the one before */
	expect(r, "b", 1, 4);
	reader_seek(r, 2, 2, 4);
	expect(r, "d", 2, 4);
	expect(r, "e", 3, 2);
	/* The live one is closed and compressed meanwhile. */
	assert_int_equal(reader_segment(r, 3, 5,
			     frame_with("z4", "e\nf\n", 4, 0)),
	    0);
	assert_int_equal(reader_segment(r, 4, 7, file_with("z5", "g\n", 2)), 0);
	reader_committed(r, 4, 2);
	expect(r, "f", 3, 4);
	expect(r, "g", 4, 2);
	expect_end(r);
	reader_seek(r, 3, 2, 6);
	expect(r, "f", 3, 4);
	reader_free(r);
}

/* Larger than every buffer on the way, replaced in the middle of a read. */
static void
replaced_while_read(void **state)
{
	struct reader *r = reader_new(0);
	struct buf b = BUF_INITIALIZER;
	struct reader_line l;
	char want[64];
	int i, fd;

	for (i = 0; i < 100000; i++)
		buf_printf(&b, "line %d of a segment\n", i);
	fd = file_with("p", b.d, b.len);
	assert_int_equal(reader_segment(r, 1, 1, fd), 0);
	assert_int_equal(reader_segment(r, 2, 100001, file_with("q", "", 0)),
	    0);
	reader_seek(r, 0, 0, 1);
	for (i = 0; i < 100000; i++) {
		if (i % 20000 == 10000) {
			fd = i == 50000 ? file_with("p", b.d, b.len) :
					  frame_with("p", b.d, b.len, 0);
			assert_int_equal(reader_segment(r, 1, 1, fd), 0);
		}
		assert_int_equal(reader_next(r, &l), 1);
		(void)snprintf(want, sizeof(want), "line %d of a segment", i);
		assert_int_equal(l.n, strlen(want));
		assert_memory_equal(l.p, want, l.n);
	}
	expect_end(r);
	buf_free(&b);
	reader_free(r);
}

static void
a_damaged_frame_is_an_error(void **state)
{
	struct reader *r = reader_new(0);
	struct reader_line l;

	assert_int_equal(reader_segment(r, 1, 1,
			     frame_with("d1", "a\nb\n", 4, 1)),
	    0);
	assert_int_equal(reader_segment(r, 2, 3, file_with("d2", "c\n", 2)), 0);
	reader_committed(r, 2, 2);
	reader_seek(r, 0, 0, 1);
	assert_int_equal(reader_next(r, &l), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(reader_next(r, &l), -1);
	/* Put right, it goes on where it was. */
	assert_int_equal(reader_segment(r, 1, 1,
			     frame_with("d1", "a\nb\n", 4, 0)),
	    0);
	expect(r, "a", 1, 2);
	/* An offset that the text does not have. */
	reader_seek(r, 1, 9, 2);
	assert_int_equal(reader_next(r, &l), -1);
	assert_int_equal(errno, EBADMSG);
	reader_free(r);
}

/* Descriptors are left for what else the process does. */
static void
no_more_than_it_may(void **state)
{
	struct reader *r = reader_new(2);
	uint64_t i;

	for (i = 1; i <= 3; i++)
		assert_int_equal(reader_segment(r, i, i,
				     file_with("c", "x\n", 2)),
		    i < 3 ? 0 : -1);
	assert_int_equal(errno, EMFILE);
	/* one that is known is replaced all the same */
	assert_int_equal(reader_segment(r, 2, 2, file_with("c", "y\n", 2)), 0);
	reader_free(r);
	assert_int_equal(reader_segments(1u << 20), READER_SEGMENTS);
	assert_true(reader_segments(1024) < 1024 - 100);
	assert_true(reader_segments(1024) > 700);
	assert_true(reader_segments(10) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_than_it_may),
		cmocka_unit_test(every_cut_point),
		cmocka_unit_test(a_seek_starts_anywhere),
		cmocka_unit_test(on_to_the_next_segment),
		cmocka_unit_test(a_short_segment_is_left),
		cmocka_unit_test(what_is_missing_is_an_error),
		cmocka_unit_test(found_by_seq),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(compressed_segments),
		cmocka_unit_test(replaced_while_read),
		cmocka_unit_test(a_damaged_frame_is_an_error),
	};

	return (cmocka_run_group_tests(tests, scratch_make, scratch_remove));
}
