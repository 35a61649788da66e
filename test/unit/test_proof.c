/* SPDX-License-Identifier: ISC */
/*
 * Proofs out of tiles, checked as a stranger would; and trees, lines and
 * checkpoints that do not fit each other, which give none.
 */
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <zstd.h>

#include "store_help.h"
#include "common/merkle.h"
#include "common/note.h"
#include "common/tiles.h"
#include "common/tproof.h"
#include "workers/store/proof.h"

#define LINES	700 /* two full tiles, a partial one and a level above */
#define SEGMENT 300 /* lines of the first segment */
#define BASE_US UINT64_C(1767225600000000)

static struct skey key;
static struct buf text[2]; /* the segments */
static uint8_t leaf[LINES][MERKLE_HASH];
static int logfd;
static struct reader *reader;

static struct slice
line_at(uint64_t seq)
{
	const struct buf *b = &text[seq > SEGMENT];
	const char *p = b->d, *nl;
	uint64_t s = seq > SEGMENT ? SEGMENT + 1 : 1;

	for (; (nl = memchr(p, '\n', (size_t)(b->d + b->len - p))) != NULL;
	     s++) {
		if (s == seq)
			return ((struct slice){ p, (size_t)(nl - p) });
		p = nl + 1;
	}
	fail();
	return ((struct slice){ NULL, 0 });
}

static void
write_file(const char *path, const void *p, size_t n)
{
	char cmd[200];
	int fd;

	(void)snprintf(cmd, sizeof(cmd), "mkdir -p \"$(dirname '%s')\"", path);
	assert_int_equal(system(cmd), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd != -1);
	assert_int_equal(ax_write_all(fd, p, n), 0);
	(void)close(fd);
}

/* All tiles of the tree of so many lines, as the notary lays them out. */
static void
write_tiles(uint64_t size)
{
	static uint8_t level[2][LINES][MERKLE_HASH];
	char path[TILE_PATH_MAX + 8], rel[TILE_PATH_MAX];
	uint64_t i, n = size, w;
	struct merkle m;
	unsigned l;

	memcpy(level[0], leaf, sizeof(leaf));
	for (l = 0; n > 0; l++, n = n >> 8) {
		for (i = 0; i < n; i += TILE_WIDTH) {
			w = n - i < TILE_WIDTH ? n - i : TILE_WIDTH;
			tile_path(rel, l, i / TILE_WIDTH, (unsigned)w);
			(void)snprintf(path, sizeof(path), "log/%s", rel);
			write_file(path, level[l % 2][i], w * MERKLE_HASH);
			memset(&m, 0, sizeof(m));
			for (; w == TILE_WIDTH && m.size < w;)
				merkle_append(&m, level[l % 2][i + m.size]);
			if (w == TILE_WIDTH)
				merkle_root(&m,
				    level[1 - l % 2][i / TILE_WIDTH]);
		}
	}
}

static void
tree_root(uint64_t size, uint8_t root[MERKLE_HASH])
{
	struct merkle m;

	memset(&m, 0, sizeof(m));
	while (m.size < size)
		merkle_append(&m, leaf[m.size]);
	merkle_root(&m, root);
}

static void
write_checkpoint(uint64_t size)
{
	struct buf t = BUF_INITIALIZER, note = BUF_INITIALIZER;
	struct checkpoint c = { .origin = "test.example/log", .size = size };

	tree_root(size, c.root);
	assert_int_equal(checkpoint_put(&t, &c), 0);
	assert_int_equal(note_sign(&note, t.d, t.len, &key), 0);
	write_file("log/checkpoint", note.d, note.len);
	buf_free(&t);
	buf_free(&note);
}

static void
seal(uint64_t size)
{
	write_tiles(size);
	write_checkpoint(size);
}

static int
segment_file(unsigned i, bool zstd)
{
	size_t n = ZSTD_compressBound(text[i].len);
	char name[16], *z = malloc(n);
	int fd;

	(void)snprintf(name, sizeof(name), "seg%u", i);
	if (zstd) {
		n = ZSTD_compress(z, n, text[i].d, text[i].len, 3);
		write_file(name, z, n);
	} else {
		write_file(name, text[i].d, text[i].len);
	}
	free(z);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(fd != -1);
	return (fd);
}

static void
open_journal(bool zstd)
{
	reader_free(reader);
	reader = reader_new(0);
	assert_int_equal(reader_segment(reader, 1, 1, segment_file(0, zstd)),
	    0);
	assert_int_equal(reader_segment(reader, 2, SEGMENT + 1,
			     segment_file(1, false)),
	    0);
	reader_committed(reader, 2, text[1].len);
	reader_seek(reader, 0, 0, 1);
}

static int
set_up(void **state)
{
	struct buf b = BUF_INITIALIZER;
	uint64_t seq;

	if (scratch_make(state) == -1 ||
	    skey_new(&key, "test.example/log") == -1)
		return (-1);
	for (seq = 1; seq <= LINES; seq++) {
		buf_reset(&b);
		line_make(&b, seq, BASE_US + seq, "act", "APPROVED", 1);
		merkle_leaf(b.d, b.len, leaf[seq - 1]);
		buf_addc(&b, '\n');
		buf_add(&text[seq > SEGMENT], b.d, b.len);
	}
	buf_free(&b);
	if (mkdir("log", 0755) == -1 ||
	    (logfd = open("log", O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		return (-1);
	open_journal(false);
	return (0);
}

static int
tear_down(void **state)
{
	reader_free(reader);
	return (scratch_remove(state));
}

static struct query_result
ask(enum query what, uint64_t from, uint64_t to)
{
	struct query_args q = { .query = what, .from = from, .to = to };
	struct query_result res;

	proof_run(logfd, reader, &q, &res);
	if (res.status != ROWS_OK)
		assert_int_equal(res.json.len, 0);
	return (res);
}

static enum rows_status
status(enum query what, uint64_t from, uint64_t to)
{
	struct query_result res = ask(what, from, to);

	buf_free(&res.json);
	return (res.status);
}

static void
without_a_checkpoint(void **state)
{
	struct query_args q = { .query = Q_CHECKPOINT };
	struct query_result res;

	(void)unlink("log/checkpoint");
	assert_int_equal(status(Q_CHECKPOINT, 0, 0), ROWS_NOT_FOUND);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_NOT_FOUND);
	assert_int_equal(status(Q_CONSISTENCY, 1, 0), ROWS_NOT_FOUND);
	proof_run(-1, reader, &q, &res);
	assert_int_equal(res.status, ROWS_UNAVAILABLE);
}

static void
check_proof(uint64_t seq, uint64_t size)
{
	struct query_result res = ask(Q_PROOF, seq, 0);
	struct buf mem = BUF_INITIALIZER;
	struct slice line = line_at(seq);
	struct checkpoint cp;
	struct tproof t;
	const char *why;

	assert_int_equal(res.status, ROWS_OK);
	assert_int_equal(tproof_parse(res.json.d, res.json.len, &t, &mem, &why),
	    0);
	assert_int_equal(t.index, seq - 1);
	assert_int_equal(t.extra_len, line.n);
	assert_memory_equal(t.extra, line.p, line.n);
	assert_int_equal(tproof_check(&t, t.extra, t.extra_len, &key.pub, 1,
			     &cp, &why),
	    0);
	assert_int_equal(cp.size, size);
	buf_free(&mem);
	buf_free(&res.json);
}

static void
every_line_has_its_proof(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 255, 256, 257, 512, 600,
		LINES };
	struct query_result res;
	uint64_t seq;
	size_t i;

	for (i = 0; i < AX_NELEM(sizes); i++) {
		seal(sizes[i]);
		res = ask(Q_CHECKPOINT, 0, 0);
		assert_int_equal(res.status, ROWS_OK);
		assert_memory_equal(res.json.d, "test.example/log\n", 17);
		buf_free(&res.json);
		for (seq = 1; seq <= sizes[i]; seq += 1 + sizes[i] / 60)
			check_proof(seq, sizes[i]);
		check_proof(sizes[i], sizes[i]);
		assert_int_equal(status(Q_PROOF, 0, 0), ROWS_NOT_FOUND);
		assert_int_equal(status(Q_PROOF, sizes[i] + 1, 0),
		    ROWS_NOT_FOUND);
		assert_int_equal(status(Q_PROOF, UINT64_MAX, 0),
		    ROWS_NOT_FOUND);
	}
}

static void
lines_of_a_compressed_segment(void **state)
{
	seal(LINES);
	open_journal(true);
	check_proof(1, LINES);
	check_proof(SEGMENT, LINES);
	check_proof(SEGMENT + 1, LINES);
	open_journal(false);
}

/* A proof does not move the projection's place in the journal. */
static void
a_proof_moves_nobody(void **state)
{
	struct reader_line l;
	uint64_t n = 0;

	seal(LINES);
	reader_seek(reader, 0, 0, 1);
	while (reader_next(reader, &l) == 1) {
		n++;
		if (n % 50 == 0)
			check_proof(1 + n * 7 % LINES, LINES);
		assert_int_equal(l.n, line_at(n).n);
		assert_memory_equal(l.p, line_at(n).p, l.n);
	}
	assert_int_equal(n, LINES);
}

/* ---- consistency ---- */

static void
hash_of(const json_t *v, uint8_t out[MERKLE_HASH])
{
	assert_int_equal(b64_decode(json_string_value(v), json_string_length(v),
			     out, MERKLE_HASH),
	    MERKLE_HASH);
}

static void
check_extends(uint64_t from, uint64_t to, uint64_t size)
{
	struct query_result res = ask(Q_CONSISTENCY, from, to);
	uint8_t path[MERKLE_PATH][MERKLE_HASH], root[2][MERKLE_HASH],
	    want[MERKLE_HASH];
	json_t *j, *p;
	size_t i;

	assert_int_equal(res.status, ROWS_OK);
	j = json_loadb(res.json.d, res.json.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	to = to == 0 ? size : to;
	assert_int_equal(json_integer_value(json_object_get(j, "from")), from);
	assert_int_equal(json_integer_value(json_object_get(j, "to")), to);
	p = json_object_get(j, "path");
	for (i = 0; i < json_array_size(p); i++)
		hash_of(json_array_get(p, i), path[i]);
	hash_of(json_object_get(j, "from_root"), root[0]);
	hash_of(json_object_get(j, "to_root"), root[1]);
	tree_root(from, want);
	assert_memory_equal(root[0], want, MERKLE_HASH);
	tree_root(to, want);
	assert_memory_equal(root[1], want, MERKLE_HASH);
	assert_int_equal(merkle_check_consistency(from, to, root[0], root[1],
			     (const uint8_t(*)[MERKLE_HASH])path, i),
	    0);
	assert_memory_equal(json_string_value(json_object_get(j, "checkpoint")),
	    "test.example/log\n", 17);
	json_decref(j);
	buf_free(&res.json);
}

static void
trees_extend_each_other(void **state)
{
	static const uint64_t at[] = { 1, 2, 3, 255, 256, 257, 511, 512, 513,
		LINES };
	size_t i, k;

	seal(LINES);
	for (i = 0; i < AX_NELEM(at); i++) {
		check_extends(at[i], 0, LINES);
		for (k = i; k < AX_NELEM(at); k++)
			check_extends(at[i], at[k], LINES);
	}
	assert_int_equal(status(Q_CONSISTENCY, 0, 0), ROWS_BAD_RANGE);
	assert_int_equal(status(Q_CONSISTENCY, 0, 5), ROWS_BAD_RANGE);
	assert_int_equal(status(Q_CONSISTENCY, 6, 5), ROWS_BAD_RANGE);
	assert_int_equal(status(Q_CONSISTENCY, LINES + 1, 0), ROWS_BAD_RANGE);
	assert_int_equal(status(Q_CONSISTENCY, 1, LINES + 1), ROWS_BAD_RANGE);
	assert_int_equal(status(Q_CONSISTENCY, UINT64_MAX, UINT64_MAX),
	    ROWS_BAD_RANGE);
}

/* ---- damage ---- */

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	(void)close(fd);
}

static void
what_does_not_fit_is_no_proof(void **state)
{
	seal(LINES);
	/* the line in the segment */
	flip("seg0", 20);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	check_proof(2, LINES);
	flip("seg0", 20);
	/* its tile */
	flip("log/tile/0/000", 40);
	assert_int_equal(status(Q_PROOF, 2, 0), ROWS_UNAVAILABLE);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	flip("log/tile/0/000", 40);
	/* a tile beside it */
	flip("log/tile/1/000.p/2", 40);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	assert_int_equal(status(Q_CONSISTENCY, 256, 0), ROWS_UNAVAILABLE);
	flip("log/tile/1/000.p/2", 40);
	check_proof(1, LINES);
	/* cut, gone */
	assert_int_equal(truncate("log/tile/0/000", 8000), 0);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	assert_int_equal(unlink("log/tile/0/000"), 0);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	seal(LINES);
	/* the checkpoint: no note, a link, another size */
	write_file("log/checkpoint", "what\n", 5);
	assert_int_equal(status(Q_CHECKPOINT, 0, 0), ROWS_UNAVAILABLE);
	assert_int_equal(unlink("log/checkpoint"), 0);
	assert_int_equal(symlink("/etc/hostname", "log/checkpoint"), 0);
	assert_int_equal(status(Q_CHECKPOINT, 0, 0), ROWS_UNAVAILABLE);
	assert_int_equal(unlink("log/checkpoint"), 0);
	write_checkpoint(LINES);
	assert_int_equal(unlink("log/tile/0/002.p/188"), 0);
	assert_int_equal(status(Q_PROOF, LINES, 0), ROWS_UNAVAILABLE);
	assert_int_equal(status(Q_CONSISTENCY, 5, 0), ROWS_UNAVAILABLE);
	seal(LINES);
}

/* The journal's oldest segment was taken away, or audit is not there. */
static void
without_the_line_there_is_no_proof(void **state)
{
	struct reader *keep = reader;

	seal(LINES);
	reader = reader_new(0);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	assert_int_equal(reader_segment(reader, 2, SEGMENT + 1,
			     segment_file(1, false)),
	    0);
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	assert_int_equal(status(Q_PROOF, SEGMENT + 1, 0), ROWS_UNAVAILABLE);
	reader_committed(reader, 2, text[1].len);
	check_proof(SEGMENT + 1, LINES);
	assert_int_equal(reader_first_seq(reader), SEGMENT + 1);
	reader_free(reader);
	reader = NULL;
	assert_int_equal(status(Q_PROOF, 1, 0), ROWS_UNAVAILABLE);
	assert_int_equal(status(Q_CHECKPOINT, 1, 0), ROWS_OK);
	reader = keep;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_checkpoint),
		cmocka_unit_test(every_line_has_its_proof),
		cmocka_unit_test(lines_of_a_compressed_segment),
		cmocka_unit_test(a_proof_moves_nobody),
		cmocka_unit_test(trees_extend_each_other),
		cmocka_unit_test(what_does_not_fit_is_no_proof),
		cmocka_unit_test(without_the_line_there_is_no_proof),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
