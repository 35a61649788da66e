/* SPDX-License-Identifier: ISC */
#ifndef AX_BUF_H
#define AX_BUF_H

#include <stddef.h>
#include <stdint.h>

/*
 * A growable byte buffer. A failed allocation sets `err` and makes every later
 * addition a no-op, so that a chain of additions is checked once at its end.
 * There is always room for a NUL behind `len`; buf_str() puts it there.
 */
struct buf {
	char *d;
	size_t len;
	size_t cap;
	int err;
};

#define BUF_INITIALIZER \
	{               \
		0       \
	}

void buf_add(struct buf *, const void *, size_t);
void buf_addc(struct buf *, char);
void buf_adds(struct buf *, const char *);
void buf_printf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for n more bytes; returns where they start, or NULL (and sets err). */
char *buf_reserve(struct buf *, size_t n);
/* The contents as a C string, or NULL after an error. Owned by the buf. */
char *buf_str(struct buf *);
/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *, size_t n);
void buf_reset(struct buf *); /* len = 0, keeps the memory */
void buf_free(struct buf *);
void buf_wipe(struct buf *); /* explicit_bzero, then free */

#endif
