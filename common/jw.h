/* SPDX-License-Identifier: ISC */
#ifndef AX_JW_H
#define AX_JW_H

#include <stdbool.h>
#include <stdint.h>
#include "buf.h"

/*
 * A streaming JSON writer (RFC 8259) onto a struct buf: keeps track of commas,
 * escapes strings, replaces invalid UTF-8 by U+FFFD. Used where the answer or
 * the record is built once and in order; anything read goes through jansson.
 * Errors are the buf's (`b->err`).
 */
#define JW_MAX_DEPTH 31

struct jw {
	struct buf *b;
	uint32_t has_item; /* bit per depth */
	unsigned depth;
	bool spaced; /* ", " and ": " as the audit line has them */
	bool after_key;
};

void jw_init(struct jw *, struct buf *, bool spaced);
void jw_obj(struct jw *);
void jw_obj_end(struct jw *);
void jw_arr(struct jw *);
void jw_arr_end(struct jw *);
void jw_key(struct jw *, const char *);
void jw_str(struct jw *, const char *); /* NULL writes null */
void jw_strn(struct jw *, const char *, size_t);
void jw_int(struct jw *, int64_t);
void jw_uint(struct jw *, uint64_t);
void jw_bool(struct jw *, bool);
void jw_null(struct jw *);
/* Seconds with three decimals, from microseconds. */
void jw_seconds3(struct jw *, uint64_t usec);
/* Text that is JSON already. */
void jw_raw(struct jw *, const char *, size_t);
/* Key and value in one call. */
void jw_kstr(struct jw *, const char *k, const char *v);
void jw_kint(struct jw *, const char *k, int64_t v);
void jw_kuint(struct jw *, const char *k, uint64_t v);
void jw_kbool(struct jw *, const char *k, bool v);
void jw_knull(struct jw *, const char *k);

/* True if s[0..n) is well-formed UTF-8 (RFC 3629), NUL allowed. */
bool utf8_valid(const char *s, size_t n);

#endif
