/* SPDX-License-Identifier: ISC */
#ifndef AX_PACK_H
#define AX_PACK_H

#include <stdint.h>

/*
 * Compresses one file into another as one zstd frame with its size and a
 * checksum, makes it durable and reads it back from the disk, piece by piece.
 * Knows no channel and no loop.
 */
struct pack;

/* `in` from its first byte to its size now; `out` empty, readable too. Both
 * stay the caller's. NULL with errno. */
struct pack *pack_new(int in, int out);
void pack_free(struct pack *);
/*
 * The next piece, a few milliseconds of work. 1: there is more; 0: the file is
 * whole, on the disk, and what was read back from it has the digest of what was
 * read from `in`; -1 with errno: it is worth nothing (EBADMSG: it was read back
 * and is another text, or `in` changed).
 */
int pack_step(struct pack *);
uint64_t pack_text_size(const struct pack *);
uint64_t pack_file_size(const struct pack *); /* so far */

#endif
