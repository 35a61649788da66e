/* SPDX-License-Identifier: ISC */
#ifndef AX_MERKLE_H
#define AX_MERKLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The Merkle tree of RFC 6962 section 2.1 (SHA-256). A leaf is a line of the
 * journal without its newline; leaf i is the line with seq i + 1. Pure: no
 * I/O, no allocation. Fails only if libcrypto cannot do SHA-256, which ends
 * the process.
 */
#define MERKLE_HASH   32
#define MERKLE_LEVELS 64 /* a size is a uint64_t */

/* SHA-256(0x00 || leaf), SHA-256(0x01 || left || right). */
void merkle_leaf(const void *leaf, size_t n, uint8_t out[MERKLE_HASH]);
void merkle_node(const uint8_t left[MERKLE_HASH],
    const uint8_t right[MERKLE_HASH], uint8_t out[MERKLE_HASH]);

/*
 * A tree that only grows, as its right edge: edge[k] is the root of the
 * perfect subtree of 2^k leaves that ends where bit k of size says so. All
 * zeroes is the empty tree.
 */
struct merkle {
	uint64_t size;
	uint8_t edge[MERKLE_LEVELS][MERKLE_HASH];
};

void merkle_append(struct merkle *, const uint8_t leaf[MERKLE_HASH]);
/* SHA-256 of nothing for the empty tree. */
void merkle_root(const struct merkle *, uint8_t out[MERKLE_HASH]);

/*
 * Gives the root of the perfect subtree number `index` of 2^level leaves:
 * 0, or -1 when it is not to be had. Called only for subtrees that lie wholly
 * inside the tree it is asked for.
 */
typedef int (*merkle_get)(void *arg, unsigned level, uint64_t index,
    uint8_t out[MERKLE_HASH]);

/* The right edge of the first `size` leaves. 0, or -1 from get. */
int merkle_load(struct merkle *, uint64_t size, merkle_get, void *arg);

/* At most this many hashes in a proof. */
#define MERKLE_PATH 64

/*
 * PATH(index, D[size]) and PROOF(from, D[to]) of the RFC, lowest first. The
 * number of hashes, or -1: out of range (index < size; 0 < from <= to), or
 * from get. A proof from == to is empty.
 */
int merkle_inclusion(uint64_t index, uint64_t size, merkle_get, void *arg,
    uint8_t path[MERKLE_PATH][MERKLE_HASH]);
int merkle_consistency(uint64_t from, uint64_t to, merkle_get, void *arg,
    uint8_t path[MERKLE_PATH][MERKLE_HASH]);

/* RFC 9162 2.1.3.2 and 2.1.4.2: 0 when the proof holds, else -1. */
int merkle_check_inclusion(uint64_t index, uint64_t size,
    const uint8_t leaf[MERKLE_HASH], const uint8_t (*path)[MERKLE_HASH],
    size_t npath, const uint8_t root[MERKLE_HASH]);
int merkle_check_consistency(uint64_t from, uint64_t to,
    const uint8_t from_root[MERKLE_HASH], const uint8_t to_root[MERKLE_HASH],
    const uint8_t (*path)[MERKLE_HASH], size_t npath);

#endif
