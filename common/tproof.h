/* SPDX-License-Identifier: ISC */
#ifndef AX_TPROOF_H
#define AX_TPROOF_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/merkle.h"
#include "common/note.h"

/*
 * C2SP tlog-proof files (tlog-proof.md): one text with a leaf's index, its
 * inclusion proof and the checkpoint, which a stranger checks offline. The
 * "extra" line, which the format leaves to the application, carries the
 * journal line itself, so that the file is complete. It is authenticated by
 * nothing but its place in the tree: tproof_check() first. Pure: no I/O.
 */
struct tproof {
	uint64_t index;
	uint8_t path[MERKLE_PATH][MERKLE_HASH];
	size_t npath;
	const char *extra; /* not owned: the leaf; NULL: none */
	size_t extra_len;
	const char *note; /* not owned: the signed checkpoint */
	size_t note_len;
};

int tproof_put(struct buf *b, const struct tproof *); /* -1: no memory */
/*
 * Reads one; `extra` is decoded into scratch, `note` points into text. 0, or
 * -1 and *why, a literal that goes behind "the proof cannot be used: ".
 */
int tproof_parse(const char *text, size_t n, struct tproof *,
    struct buf *scratch, const char **why);
/*
 * Checks the whole: a checkpoint of the log that one of the keys names, its
 * signature by that key, and the leaf under its root. 0, or -1 and *why, a literal.
 */
int tproof_check(const struct tproof *, const char *leaf, size_t leaf_len,
    const struct vkey *keys, size_t nkeys, struct checkpoint *,
    const char **why);

#endif
