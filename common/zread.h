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
 * size), or of pread(2). Nothing is allocated by the size that the frame tells.
 */
struct zread *zread_open(int fd, bool zstd, zread_pread);
void zread_free(struct zread *);
/* Bytes of text in the whole file; a plain file's at the time of opening. */
uint64_t zread_size(const struct zread *);
/*
 * The next bytes: their number, 0 at the end, -1 with errno. Of a frame as many
 * as asked for if there are; EBADMSG: it is damaged, cut, or something follows
 * it (the last byte of the text is handed out only when all that is known to
 * be right); after an error only zread_seek() goes on. Retries EINTR.
 */
ssize_t zread_read(struct zread *, void *, size_t);
/* Goes to byte `at`; backwards in a frame starts over. 0, or -1 with errno:
 * EINVAL behind a frame's end, or as zread_read(). */
int zread_seek(struct zread *, uint64_t at);

#endif
