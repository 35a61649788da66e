/* SPDX-License-Identifier: ISC */
/*
 * RFC 6962 trees: hashing, the growing right edge, and proofs. Everything that
 * makes or judges evidence rests on this file, so it knows nothing of files,
 * lines or signatures.
 */
#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/log.h"
#include "common/merkle.h"

/* Fetched once: a look-up by name costs as much as a short hash. */
static EVP_MD *sha256;
static EVP_MD_CTX *ctx;

static void
hash(const void *a, size_t an, const void *b, size_t bn,
    uint8_t out[MERKLE_HASH])
{
	if (ctx == NULL &&
	    ((sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL ||
		(ctx = EVP_MD_CTX_new()) == NULL))
		fatalx("SHA-256 is not to be had");
	if (EVP_DigestInit_ex2(ctx, sha256, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, a, an) != 1 ||
	    (bn > 0 && EVP_DigestUpdate(ctx, b, bn) != 1) ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		fatalx("SHA-256 failed");
}

void
merkle_leaf(const void *leaf, size_t n, uint8_t out[MERKLE_HASH])
{
	static const uint8_t zero = 0;

	hash(&zero, 1, leaf, n, out);
}

void
merkle_node(const uint8_t left[MERKLE_HASH], const uint8_t right[MERKLE_HASH],
    uint8_t out[MERKLE_HASH])
{
	uint8_t both[1 + 2 * MERKLE_HASH];

	/* In one piece: this runs once for every leaf. */
	both[0] = 1;
	memcpy(both + 1, left, MERKLE_HASH);
	memcpy(both + 1 + MERKLE_HASH, right, MERKLE_HASH);
	hash(both, sizeof(both), NULL, 0, out);
}

/* ---- the right edge ---- */

void
merkle_append(struct merkle *m, const uint8_t leaf[MERKLE_HASH])
{
	uint8_t h[MERKLE_HASH];
	unsigned k;

	memcpy(h, leaf, sizeof(h));
	for (k = 0; (m->size >> k & 1) != 0; k++)
		merkle_node(m->edge[k], h, h);
	memcpy(m->edge[k], h, sizeof(h));
	m->size++;
}

void
merkle_root(const struct merkle *m, uint8_t out[MERKLE_HASH])
{
	bool have = false;
	unsigned k;

	for (k = 0; k < MERKLE_LEVELS; k++) {
		if ((m->size >> k & 1) == 0)
			continue;
		if (have)
			merkle_node(m->edge[k], out, out);
		else
			memcpy(out, m->edge[k], MERKLE_HASH);
		have = true;
	}
	if (!have && EVP_Digest("", 0, out, NULL, EVP_sha256(), NULL) != 1)
		fatalx("SHA-256 failed");
}

int
merkle_load(struct merkle *m, uint64_t size, merkle_get get, void *arg)
{
	unsigned k;

	memset(m, 0, sizeof(*m));
	for (k = 0; k < MERKLE_LEVELS; k++) {
		if ((size >> k & 1) != 0 &&
		    get(arg, k, (size >> k) - 1, m->edge[k]) == -1)
			return (-1);
	}
	m->size = size;
	return (0);
}

/* ---- proofs ---- */

/* The largest power of two below n, as its exponent; n >= 2. */
static unsigned
split(uint64_t n)
{
	return (63 - (unsigned)__builtin_clzll(n - 1));
}

/* MTH(D[from:from + n]); `from` is a multiple of a power of two >= n. */
static int
subtree(uint64_t from, uint64_t n, merkle_get get, void *arg,
    uint8_t out[MERKLE_HASH])
{
	uint8_t right[MERKLE_HASH];
	unsigned k;

	if ((n & (n - 1)) == 0) {
		k = (unsigned)__builtin_ctzll(n);
		return (get(arg, k, from >> k, out));
	}
	k = split(n);
	if (get(arg, k, from >> k, out) == -1 ||
	    subtree(from + (1ull << k), n - (1ull << k), get, arg, right) == -1)
		return (-1);
	merkle_node(out, right, out);
	return (0);
}

/* The path is found from the top down, and wanted from the bottom up. */
static void
reverse(uint8_t path[MERKLE_PATH][MERKLE_HASH], int n)
{
	uint8_t t[MERKLE_HASH];
	int i;

	for (i = 0; i < n / 2; i++) {
		memcpy(t, path[i], sizeof(t));
		memcpy(path[i], path[n - 1 - i], sizeof(t));
		memcpy(path[n - 1 - i], t, sizeof(t));
	}
}

int
merkle_inclusion(uint64_t index, uint64_t size, merkle_get get, void *arg,
    uint8_t path[MERKLE_PATH][MERKLE_HASH])
{
	uint64_t from = 0, half, other, n;
	int found = 0;

	if (index >= size)
		return (-1);
	while (size > 1) {
		half = 1ull << split(size);
		if (index < half) {
			other = from + half;
			n = size - half;
			size = half;
		} else {
			other = from;
			n = half;
			from += half;
			index -= half;
			size -= half;
		}
		if (subtree(other, n, get, arg, path[found++]) == -1)
			return (-1);
	}
	reverse(path, found);
	return (found);
}

int
merkle_consistency(uint64_t from, uint64_t to, merkle_get get, void *arg,
    uint8_t path[MERKLE_PATH][MERKLE_HASH])
{
	uint64_t base = 0, half, other, n;
	bool whole = true; /* SUBPROOF's b */
	int found = 0;

	if (from == 0 || from > to)
		return (-1);
	while (from != to) {
		half = 1ull << split(to);
		if (from <= half) {
			other = base + half;
			n = to - half;
			to = half;
		} else {
			other = base;
			n = half;
			base += half;
			from -= half;
			to -= half;
			whole = false;
		}
		if (subtree(other, n, get, arg, path[found++]) == -1)
			return (-1);
	}
	if (!whole && subtree(base, to, get, arg, path[found++]) == -1)
		return (-1);
	reverse(path, found);
	return (found);
}

/* ---- judging ---- */

int
merkle_check_inclusion(uint64_t index, uint64_t size,
    const uint8_t leaf[MERKLE_HASH], const uint8_t (*path)[MERKLE_HASH],
    size_t npath, const uint8_t root[MERKLE_HASH])
{
	uint8_t r[MERKLE_HASH];
	uint64_t fn = index, sn;
	size_t i;

	if (index >= size)
		return (-1);
	sn = size - 1;
	memcpy(r, leaf, sizeof(r));
	for (i = 0; i < npath; i++) {
		if (sn == 0)
			return (-1);
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(path[i], r, r);
			while (fn != 0 && (fn & 1) == 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else
			merkle_node(r, path[i], r);
		fn >>= 1;
		sn >>= 1;
	}
	return (sn == 0 && memcmp(r, root, sizeof(r)) == 0 ? 0 : -1);
}

int
merkle_check_consistency(uint64_t from, uint64_t to,
    const uint8_t from_root[MERKLE_HASH], const uint8_t to_root[MERKLE_HASH],
    const uint8_t (*path)[MERKLE_HASH], size_t npath)
{
	uint8_t fr[MERKLE_HASH], sr[MERKLE_HASH];
	uint64_t fn = from - 1, sn = to - 1;
	size_t i = 0;

	if (from == 0 || from > to)
		return (-1);
	if (from == to)
		return (
		    npath == 0 && memcmp(from_root, to_root, sizeof(fr)) == 0 ?
			0 :
			-1);
	while ((fn & 1) != 0) {
		fn >>= 1;
		sn >>= 1;
	}
	/* A power of two stands for itself at the head of its path. */
	if ((from & (from - 1)) == 0)
		memcpy(fr, from_root, sizeof(fr));
	else if (npath > 0)
		memcpy(fr, path[i++], sizeof(fr));
	else
		return (-1);
	memcpy(sr, fr, sizeof(sr));
	for (; i < npath; i++) {
		if (sn == 0)
			return (-1);
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(path[i], fr, fr);
			merkle_node(path[i], sr, sr);
			while (fn != 0 && (fn & 1) == 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else
			merkle_node(sr, path[i], sr);
		fn >>= 1;
		sn >>= 1;
	}
	return (sn == 0 && memcmp(fr, from_root, sizeof(fr)) == 0 &&
		    memcmp(sr, to_root, sizeof(sr)) == 0 ?
		0 :
		-1);
}
