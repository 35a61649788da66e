/* SPDX-License-Identifier: ISC */
#ifndef AX_ZREAD_H
#define AX_ZREAD_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads a segment of the journal from its beginning, whether it is plain or
 * one zstd frame (name ending in ".zst"). The positions are those of the text.
 */
struct zread;

/* Like pread(2); NULL means pread(2) itself. */
typedef ssize_t (*zread_pread)(int, void *, size_t, off_t);

bool zread_is_zstd(const char *name);
/*
 * fd is not owned. NULL: ENOMEM, EBADMSG (not one zstd frame that tells its
 * size), or of pread(2).
 */
struct zread *zread_open(int fd, bool zstd, zread_pread);
void zread_free(struct zread *);
/* Bytes of text in the whole file; a plain file's at the time of opening. */
uint64_t zread_size(const struct zread *);
/* The next bytes: their number, 0 at the end, -1 with errno (EBADMSG: the
 * frame is damaged or cut). Retries EINTR. */
ssize_t zread_read(struct zread *, void *, size_t);
/* Goes to byte `at`; backwards in a frame starts over. 0 or -1. */
int zread_seek(struct zread *, uint64_t at);

#endif
