/* SPDX-License-Identifier: ISC */
/* Growable byte buffers with a sticky error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t cap;
	char *d;

	if (b->err)
		return (NULL);
	if (n >= SIZE_MAX - b->len - 1) {
		b->err = 1;
		return (NULL);
	}
	if (b->len + n + 1 > b->cap) {
		cap = b->cap != 0 ? b->cap : 256;
		while (cap < b->len + n + 1)
			cap = cap > SIZE_MAX / 2 ? b->len + n + 1 : cap * 2;
		if ((d = realloc(b->d, cap)) == NULL) {
			b->err = 1;
			return (NULL);
		}
		b->d = d;
		b->cap = cap;
	}
	return (b->d + b->len);
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);

	if (at != NULL && n > 0) {
		memcpy(at, p, n);
		b->len += n;
	}
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *at;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (at = buf_reserve(b, (size_t)n)) == NULL) {
		b->err = 1;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(at, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

char *
buf_str(struct buf *b)
{
	if (buf_reserve(b, 0) == NULL)
		return (NULL);
	b->d[b->len] = '\0';
	return (b->d);
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->d, b->d + n, b->len - n);
	b->len -= n;
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

void
buf_free(struct buf *b)
{
	free(b->d);
	memset(b, 0, sizeof(*b));
}

void
buf_wipe(struct buf *b)
{
	if (b->d != NULL)
		explicit_bzero(b->d, b->cap);
	buf_free(b);
}
