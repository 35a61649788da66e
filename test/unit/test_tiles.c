/* SPDX-License-Identifier: ISC */
/*
 * Tiles on the disk: the names of the C2SP page, and that a tree read through
 * its tiles is the tree, at the sizes where tiles begin, fill and grow. Missing,
 * short, long and strange files are errors, never hashes.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tiles.h"
#include "common/util.h"

typedef uint8_t hash[MERKLE_HASH];

static char dir[] = "/tmp/ax-tiles-XXXXXX";
static int dirfd;

/* ---- names ---- */

static void
names(void **state)
{
	static const struct {
		unsigned level;
		uint64_t index;
		unsigned width;
		const char *want;
	} t[] = {
		{ 0, 0, 0, "tile/0/000" },
		{ 0, 0, 256, "tile/0/000" },
		{ 0, 1, 17, "tile/0/001.p/17" },
		{ 0, 273, 112, "tile/0/273.p/112" },
		{ 1, 999, 0, "tile/1/999" },
		{ 2, 1000, 0, "tile/2/x001/000" },
		{ 0, 1234, 255, "tile/0/x001/234.p/255" },
		{ 0, 1234067, 0, "tile/0/x001/x234/067" },
		{ 7, 1234067, 1, "tile/7/x001/x234/067.p/1" },
		{ 63, UINT64_MAX, 255,
		    "tile/63/x018/x446/x744/x073/x709/x551/615.p/255" },
	};
	char path[TILE_PATH_MAX];
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++) {
		tile_path(path, t[i].level, t[i].index, t[i].width);
		assert_string_equal(path, t[i].want);
	}
}

/* ---- a tree on the disk ---- */

#define LEAVES 66000 /* more than one full tile of level 1 */

static hash *level0, *level1;

static void
put_file(const char *path, const void *p, size_t n)
{
	char part[TILE_PATH_MAX];
	size_t i;
	int fd;

	for (i = 0; path[i] != '\0'; i++) {
		part[i] = path[i];
		part[i + 1] = '\0';
		if (path[i + 1] == '/')
			(void)mkdirat(dirfd, part, 0755);
	}
	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd != -1);
	assert_int_equal(ax_write_all(fd, p, n), 0);
	(void)close(fd);
}

static void
put_tile(unsigned level, uint64_t index, unsigned width, const hash *h)
{
	char path[TILE_PATH_MAX];

	tile_path(path, level, index, width);
	put_file(path, h[index * TILE_WIDTH], width * sizeof(hash));
}

/* Every tile of a tree of n leaves. */
static void
put_tree(uint64_t n)
{
	const hash *of[3] = { (const hash *)level0, (const hash *)level1,
		NULL };
	hash top[1];
	struct merkle m = { 0 };
	unsigned level;
	uint64_t i, there;

	for (i = 0; i < TILE_WIDTH && n >= 65536; i++)
		merkle_append(&m, level1[i]);
	merkle_root(&m, top[0]);
	of[2] = (const hash *)top;
	for (level = 0; level < 3; level++) {
		there = n >> (8 * level);
		for (i = 0; i < there / TILE_WIDTH; i++)
			put_tile(level, i, TILE_WIDTH, of[level]);
		if (there % TILE_WIDTH != 0)
			put_tile(level, i, (unsigned)(there % TILE_WIDTH),
			    of[level]);
	}
}

static void
wipe(void)
{
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s/tile", dir);
	assert_int_equal(system(cmd), 0);
}

static int
set_up(void **state)
{
	struct merkle m = { 0 };
	uint32_t i;

	if (mkdtemp(dir) == NULL ||
	    (dirfd = open(dir, O_PATH | O_DIRECTORY)) == -1 ||
	    (level0 = calloc(LEAVES, sizeof(hash))) == NULL ||
	    (level1 = calloc(LEAVES / TILE_WIDTH, sizeof(hash))) == NULL)
		return (-1);
	for (i = 0; i < LEAVES; i++) {
		merkle_leaf(&i, sizeof(i), level0[i]);
		merkle_append(&m, level0[i]);
		if (m.size == TILE_WIDTH) {
			merkle_root(&m, level1[i / TILE_WIDTH]);
			memset(&m, 0, sizeof(m));
		}
	}
	return (0);
}

static int
tear_down(void **state)
{
	char cmd[128];

	free(level0);
	free(level1);
	(void)close(dirfd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return (system(cmd));
}

/* The root, through the tiles and from all leaves. */
static void
root_agrees(uint64_t n, struct tiles *t)
{
	struct merkle m, all = { 0 };
	hash want, have;
	uint64_t i;

	for (i = 0; i < n; i++)
		merkle_append(&all, level0[i]);
	merkle_root(&all, want);
	assert_int_equal(merkle_load(&m, n, tiles_get, t), 0);
	merkle_root(&m, have);
	assert_memory_equal(have, want, sizeof(hash));
}

/* Proofs of this leaf, and of this many being a part, hold. */
static void
proofs_hold(uint64_t i, uint64_t n, struct tiles *t)
{
	hash path[MERKLE_PATH], root, old;
	struct merkle m;
	int np;

	assert_int_equal(merkle_load(&m, n, tiles_get, t), 0);
	merkle_root(&m, root);
	np = merkle_inclusion(i, n, tiles_get, t, path);
	assert_true(np >= 0);
	assert_int_equal(merkle_check_inclusion(i, n, level0[i],
			     (const uint8_t(*)[MERKLE_HASH])path, (size_t)np,
			     root),
	    0);
	assert_int_equal(merkle_load(&m, i + 1, tiles_get, t), 0);
	merkle_root(&m, old);
	np = merkle_consistency(i + 1, n, tiles_get, t, path);
	assert_true(np >= 0);
	assert_int_equal(merkle_check_consistency(i + 1, n, old, root,
			     (const uint8_t(*)[MERKLE_HASH])path, (size_t)np),
	    0);
}

static void
trees_at_their_edges(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 127, 128, 255, 256, 257, 511,
		512, 513, 1000, 65280, 65535, 65536, 65537, 65793, LEAVES };
	static struct tiles t;
	uint64_t n, i;
	size_t k;

	for (k = 0; k < AX_NELEM(sizes); k++) {
		n = sizes[k];
		wipe();
		put_tree(n);
		tiles_init(&t, dirfd, n);
		root_agrees(n, &t);
		for (i = 0; i < n; i += n / 97 + 1)
			proofs_hold(i, n, &t);
		proofs_hold(n - 1, n, &t);
	}
}

static void
hashes_of_each_level(void **state)
{
	static struct tiles t;
	hash h;
	uint64_t i;

	wipe();
	put_tree(LEAVES);
	tiles_init(&t, dirfd, LEAVES);
	for (i = 0; i < LEAVES; i++) {
		assert_int_equal(tiles_hash(&t, 0, i, h), 0);
		assert_memory_equal(h, level0[i], sizeof(hash));
	}
	for (i = 0; i < LEAVES / 256; i++) {
		assert_int_equal(tiles_hash(&t, 1, i, h), 0);
		assert_memory_equal(h, level1[i], sizeof(hash));
	}
	assert_int_equal(tiles_hash(&t, 0, LEAVES, h), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(tiles_hash(&t, 1, LEAVES / 256, h), -1);
	assert_int_equal(tiles_hash(&t, 8, 0, h), -1);
	assert_int_equal(tiles_get(&t, 64, 0, h), -1);
	assert_int_equal(tiles_get(&t, 63, 1, h), -1);
	assert_int_equal(tiles_get(&t, 3, UINT64_MAX, h), -1);
	assert_int_equal(tiles_get(&t, 3, LEAVES / 8, h), -1);
}

/* ---- files that are not as they should be ---- */

static void
partial_grew_meanwhile(void **state)
{
	static struct tiles t;
	hash h;

	wipe();
	put_tile(0, 0, TILE_WIDTH, (const hash *)level0);
	tiles_init(&t, dirfd, 17);
	assert_int_equal(tiles_hash(&t, 0, 16, h), 0);
	assert_memory_equal(h, level0[16], sizeof(hash));
	/* what the smaller tree does not have is not given out */
	assert_int_equal(tiles_hash(&t, 0, 17, h), -1);
	assert_int_equal(errno, ENOENT);
	root_agrees(17, &t);
}

static void
bad_files(void **state)
{
	static struct tiles t;
	char path[TILE_PATH_MAX + 64];
	hash h;
	size_t n;

	for (n = 0; n <= 3 * 32 + 1; n++) {
		if (n == 3 * 32)
			continue;
		wipe();
		put_file("tile/0/000.p/3", level0, n);
		tiles_init(&t, dirfd, 3);
		assert_int_equal(tiles_hash(&t, 0, 0, h), -1);
		assert_int_equal(errno, EBADMSG);
	}
	wipe();
	tiles_init(&t, dirfd, 3);
	assert_int_equal(tiles_hash(&t, 0, 0, h), -1);
	assert_int_equal(errno, ENOENT);
	/* a pipe, a link, a folder in its place */
	put_file("tile/0/000.p/x", "", 0);
	(void)snprintf(path, sizeof(path), "%s/tile/0/000.p/3", dir);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(tiles_hash(&t, 0, 0, h), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(unlink(path), 0);
	put_file("tile/0/elsewhere", level0, 96);
	assert_int_equal(symlink("../elsewhere", path), 0);
	assert_int_equal(tiles_hash(&t, 0, 0, h), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(tiles_hash(&t, 0, 0, h), -1);
	assert_int_equal(errno, EBADMSG);
}

/* After a failed read nothing of the tile before is taken for it. */
static void
failure_leaves_nothing(void **state)
{
	static struct tiles t;
	hash h;

	wipe();
	put_tree(600);
	tiles_init(&t, dirfd, 600);
	assert_int_equal(tiles_hash(&t, 0, 10, h), 0);
	put_file("tile/0/001", "short", 5);
	assert_int_equal(tiles_hash(&t, 0, 300, h), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(tiles_hash(&t, 0, 300, h), -1);
	assert_int_equal(tiles_hash(&t, 0, 10, h), 0);
	assert_memory_equal(h, level0[10], sizeof(hash));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(trees_at_their_edges),
		cmocka_unit_test(hashes_of_each_level),
		cmocka_unit_test(partial_grew_meanwhile),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(failure_leaves_nothing),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
