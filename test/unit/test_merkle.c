/* SPDX-License-Identifier: ISC */
/*
 * The Merkle tree: the known tree of certificate-transparency, and every size
 * up to 130 against the definitions of RFC 6962, written down as they stand
 * there. Every proof with a bit changed, a hash too many or one too few is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/merkle.h"
#include "common/util.h"

#define SIZE_MAX_TESTED 130

typedef uint8_t hash[MERKLE_HASH];

/* ---- RFC 6962 section 2.1, literally ---- */

static hash leaves[SIZE_MAX_TESTED];

/* The largest power of two smaller than n. */
static uint64_t
k_of(uint64_t n)
{
	uint64_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return (k);
}

static void
mth(uint64_t from, uint64_t n, hash out)
{
	hash l, r;

	if (n == 1) {
		memcpy(out, leaves[from], sizeof(hash));
		return;
	}
	mth(from, k_of(n), l);
	mth(from + k_of(n), n - k_of(n), r);
	merkle_node(l, r, out);
}

/* PATH(m, D[from:from + n]); the number of hashes. */
static int
path_of(uint64_t m, uint64_t from, uint64_t n, hash *out)
{
	uint64_t k;
	int at;

	if (n == 1)
		return (0);
	k = k_of(n);
	if (m < k) {
		at = path_of(m, from, k, out);
		mth(from + k, n - k, out[at]);
	} else {
		at = path_of(m - k, from + k, n - k, out);
		mth(from, k, out[at]);
	}
	return (at + 1);
}

/* SUBPROOF(m, D[from:from + n], b) */
static int
subproof(uint64_t m, uint64_t from, uint64_t n, int b, hash *out)
{
	uint64_t k;
	int at;

	if (m == n) {
		if (b)
			return (0);
		mth(from, n, out[0]);
		return (1);
	}
	k = k_of(n);
	if (m <= k) {
		at = subproof(m, from, k, b, out);
		mth(from + k, n - k, out[at]);
	} else {
		at = subproof(m - k, from + k, n - k, 0, out);
		mth(from, k, out[at]);
	}
	return (at + 1);
}

/* merkle_get over `leaves`; arg: the size, behind which nothing is asked. */
static int
get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	assert_true((index + 1) << level <= *(uint64_t *)arg);
	mth(index << level, 1ull << level, out);
	return (0);
}

static int
fill(void **state)
{
	uint8_t i;

	for (i = 0; i < SIZE_MAX_TESTED; i++)
		merkle_leaf(&i, 1, leaves[i]);
	return (0);
}

/* ---- the known tree ---- */

static void
unhex(const char *s, hash out)
{
	assert_int_equal(ax_unhex(s, out, MERKLE_HASH), 0);
}

static const struct {
	const char *leaf; /* hex */
	const char *root; /* of the tree that ends here */
} known[] = {
	{ "",
	    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
	{ "00",
	    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
	{ "10",
	    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
	{ "2021",
	    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
	{ "3031",
	    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
	{ "40414243",
	    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
	{ "5051525354555657",
	    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
	{ "606162636465666768696a6b6c6d6e6f",
	    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
};

static void
known_leaf(size_t i, hash out)
{
	uint8_t data[16];
	size_t n = strlen(known[i].leaf) / 2;

	assert_int_equal(ax_unhex(known[i].leaf, data, n), 0);
	merkle_leaf(data, n, out);
}

static void
known_hashes(void **state)
{
	struct merkle m = { 0 };
	hash want, have, l;

	merkle_root(&m, have);
	unhex(
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	    want);
	assert_memory_equal(have, want, sizeof(hash));
	merkle_leaf("L123456", 7, have);
	unhex(
	    "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56",
	    want);
	assert_memory_equal(have, want, sizeof(hash));
	/* one node over two known ones: the root of the first two leaves */
	known_leaf(0, l);
	known_leaf(1, have);
	merkle_node(l, have, have);
	unhex(known[1].root, want);
	assert_memory_equal(have, want, sizeof(hash));
}

static void
known_roots(void **state)
{
	struct merkle m = { 0 };
	hash want, have;
	size_t i;

	for (i = 0; i < AX_NELEM(known); i++) {
		known_leaf(i, have);
		merkle_append(&m, have);
		assert_int_equal(m.size, i + 1);
		merkle_root(&m, have);
		unhex(known[i].root, want);
		assert_memory_equal(have, want, sizeof(hash));
	}
}

/* The proof of leaf 5 among 8, and that 8 extend 6. */
static void
known_proofs(void **state)
{
	static const char *const inclusion[] = {
		"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d8859"
		"9e6b",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a"
		"0ae0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd952096"
		"14b7"
	};
	static const char *const consistency[] = {
		"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558"
		"ef6a",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a"
		"0ae0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd952096"
		"14b7"
	};
	hash path[3], root6, root8, leaf;
	size_t i;

	unhex(known[5].root, root6);
	unhex(known[7].root, root8);
	for (i = 0; i < 3; i++)
		unhex(inclusion[i], path[i]);
	known_leaf(5, leaf);
	assert_int_equal(merkle_check_inclusion(5, 8, leaf,
			     (const uint8_t(*)[MERKLE_HASH])path, 3, root8),
	    0);
	for (i = 0; i < 3; i++)
		unhex(consistency[i], path[i]);
	assert_int_equal(merkle_check_consistency(6, 8, root6, root8,
			     (const uint8_t(*)[MERKLE_HASH])path, 3),
	    0);
}

/* ---- every size ---- */

static void
every_root(void **state)
{
	struct merkle m = { 0 }, again;
	hash want, have;
	uint64_t n;

	for (n = 1; n <= SIZE_MAX_TESTED; n++) {
		merkle_append(&m, leaves[n - 1]);
		merkle_root(&m, have);
		mth(0, n, want);
		assert_memory_equal(have, want, sizeof(hash));
		assert_int_equal(merkle_load(&again, n, get, &n), 0);
		merkle_root(&again, have);
		assert_memory_equal(have, want, sizeof(hash));
	}
}

/* Goes on from a loaded edge as if it had been there all the time. */
static void
edge_goes_on(void **state)
{
	struct merkle m;
	hash want, have;
	uint64_t n, i;

	mth(0, SIZE_MAX_TESTED, want);
	for (n = 0; n <= SIZE_MAX_TESTED; n++) {
		assert_int_equal(merkle_load(&m, n, get, &n), 0);
		for (i = n; i < SIZE_MAX_TESTED; i++)
			merkle_append(&m, leaves[i]);
		merkle_root(&m, have);
		assert_memory_equal(have, want, sizeof(hash));
	}
}

#define CONST(p) ((const uint8_t(*)[MERKLE_HASH])(p))

/* All bits of a hash in small trees, one of them in others. */
static void
bits(uint64_t n, unsigned salt, unsigned *from, unsigned *to)
{
	*from = n <= 17 ? 0 : salt % 256;
	*to = n <= 17 ? 256 : *from + 1;
}

static void
flip(hash h, unsigned bit)
{
	h[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* No bit of what is proved may be another. */
static void
refuse_inclusion(uint64_t i, uint64_t n, hash *path, size_t np, hash root)
{
	hash leaf;
	size_t k;
	unsigned bit, to;

	memcpy(leaf, leaves[i], sizeof(hash));
	for (k = 0; k < np; k++) {
		bits(n, (unsigned)(i * 7 + n * 3 + k), &bit, &to);
		for (; bit < to; bit++) {
			flip(path[k], bit);
			assert_int_equal(merkle_check_inclusion(i, n, leaf,
					     CONST(path), np, root),
			    -1);
			flip(path[k], bit);
		}
	}
	assert_int_equal(merkle_check_inclusion(i, n, root, CONST(path), np,
			     leaf),
	    n == 1 ? 0 : -1);
	leaf[i % 32] ^= 1;
	assert_int_equal(merkle_check_inclusion(i, n, leaf, CONST(path), np,
			     root),
	    -1);
	leaf[i % 32] ^= 1;
	root[n % 32] ^= 0x80;
	assert_int_equal(merkle_check_inclusion(i, n, leaf, CONST(path), np,
			     root),
	    -1);
	root[n % 32] ^= 0x80;
	assert_int_equal(merkle_check_inclusion(i, n, leaf, CONST(path), np + 1,
			     root),
	    -1);
	if (np > 0)
		assert_int_equal(merkle_check_inclusion(i, n, leaf, CONST(path),
				     np - 1, root),
		    -1);
	for (k = 0; k < n; k++)
		if (k != i)
			assert_int_equal(merkle_check_inclusion(k, n, leaf,
					     CONST(path), np, root),
			    -1);
	assert_int_equal(merkle_check_inclusion(n, n, leaf, CONST(path), np,
			     root),
	    -1);
	assert_int_equal(merkle_check_inclusion(UINT64_MAX, n, leaf,
			     CONST(path), np, root),
	    -1);
}

static void
every_inclusion(void **state)
{
	hash want[MERKLE_PATH + 1] = { 0 }, have[MERKLE_PATH + 1] = { 0 }, root;
	uint64_t n, i;
	int np;

	for (n = 1; n <= SIZE_MAX_TESTED; n++) {
		mth(0, n, root);
		for (i = 0; i < n; i++) {
			np = merkle_inclusion(i, n, get, &n, have);
			assert_int_equal(np, path_of(i, 0, n, want));
			assert_memory_equal(have, want,
			    (size_t)np * sizeof(hash));
			assert_int_equal(merkle_check_inclusion(i, n, leaves[i],
					     CONST(have), (size_t)np, root),
			    0);
			refuse_inclusion(i, n, have, (size_t)np, root);
		}
		assert_int_equal(merkle_inclusion(n, n, get, &n, have), -1);
	}
	n = 0;
	assert_int_equal(merkle_inclusion(0, 0, get, &n, have), -1);
}

static void
refuse_consistency(uint64_t m, uint64_t n, hash *path, size_t np, hash old,
    hash new)
{
	size_t k;
	unsigned bit, to;

	for (k = 0; k < np; k++) {
		bits(n, (unsigned)(m * 7 + n * 3 + k), &bit, &to);
		for (; bit < to; bit++) {
			flip(path[k], bit);
			assert_int_equal(merkle_check_consistency(m, n, old,
					     new, CONST(path), np),
			    -1);
			flip(path[k], bit);
		}
	}
	old[n % 32] ^= 4;
	assert_int_equal(merkle_check_consistency(m, n, old, new, CONST(path),
			     np),
	    -1);
	old[n % 32] ^= 4;
	new[m % 32] ^= 4;
	assert_int_equal(merkle_check_consistency(m, n, old, new, CONST(path),
			     np),
	    -1);
	new[m % 32] ^= 4;
	assert_int_equal(merkle_check_consistency(m, n, old, new, CONST(path),
			     np + 1),
	    -1);
	if (np > 0)
		assert_int_equal(merkle_check_consistency(m, n, old, new,
				     CONST(path), np - 1),
		    -1);
	if (m != n)
		assert_int_equal(merkle_check_consistency(n, m, new, old,
				     CONST(path), np),
		    -1);
	assert_int_equal(merkle_check_consistency(0, n, old, new, CONST(path),
			     np),
	    -1);
}

static void
every_consistency(void **state)
{
	hash want[MERKLE_PATH + 1] = { 0 }, have[MERKLE_PATH + 1] = { 0 }, old,
				new;
	uint64_t n, m;
	int np;

	for (n = 1; n <= SIZE_MAX_TESTED; n++) {
		mth(0, n, new);
		for (m = 1; m <= n; m++) {
			mth(0, m, old);
			np = merkle_consistency(m, n, get, &n, have);
			assert_int_equal(np, subproof(m, 0, n, 1, want));
			assert_memory_equal(have, want,
			    (size_t)np * sizeof(hash));
			assert_int_equal(merkle_check_consistency(m, n, old,
					     new, CONST(have), (size_t)np),
			    0);
			refuse_consistency(m, n, have, (size_t)np, old, new);
		}
		assert_int_equal(merkle_consistency(0, n, get, &n, have), -1);
		assert_int_equal(merkle_consistency(n + 1, n, get, &n, have),
		    -1);
	}
}

/* ---- the ends of the numbers ---- */

static int
get_same(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	(void)arg;
	memset(out, 0x42, MERKLE_HASH);
	out[0] = (uint8_t)level;
	out[1] = (uint8_t)index;
	return (0);
}

static int
get_nothing(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	(void)arg, (void)level, (void)index, (void)out;
	return (-1);
}

static void
largest_trees(void **state)
{
	hash path[MERKLE_PATH];
	struct merkle m;

	assert_int_equal(merkle_inclusion(0, UINT64_MAX, get_same, NULL, path),
	    64);
	assert_int_equal(merkle_inclusion(UINT64_MAX - 1, UINT64_MAX, get_same,
			     NULL, path),
	    63);
	assert_true(merkle_consistency(1, UINT64_MAX, get_same, NULL, path) <=
	    MERKLE_PATH);
	assert_true(merkle_consistency(UINT64_MAX - 1, UINT64_MAX, get_same,
			NULL, path) <= MERKLE_PATH);
	assert_int_equal(merkle_load(&m, UINT64_MAX, get_same, NULL), 0);
	assert_int_equal(m.edge[63][0], 63);
}

static void
errors_come_through(void **state)
{
	hash path[MERKLE_PATH];
	struct merkle m;

	assert_int_equal(merkle_inclusion(3, 9, get_nothing, NULL, path), -1);
	assert_int_equal(merkle_consistency(3, 9, get_nothing, NULL, path), -1);
	assert_int_equal(merkle_load(&m, 9, get_nothing, NULL), -1);
	/* nothing is asked for where nothing is needed */
	assert_int_equal(merkle_inclusion(0, 1, get_nothing, NULL, path), 0);
	assert_int_equal(merkle_consistency(9, 9, get_nothing, NULL, path), 0);
	assert_int_equal(merkle_load(&m, 0, get_nothing, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_hashes),
		cmocka_unit_test(known_roots),
		cmocka_unit_test(known_proofs),
		cmocka_unit_test(every_root),
		cmocka_unit_test(edge_goes_on),
		cmocka_unit_test(every_inclusion),
		cmocka_unit_test(every_consistency),
		cmocka_unit_test(largest_trees),
		cmocka_unit_test(errors_come_through),
	};

	return (cmocka_run_group_tests(tests, fill, NULL));
}
