/* SPDX-License-Identifier: ISC */
/*
 * The JSON writer. Pure: writes into a struct buf and nothing else. Whatever
 * the input, the output is one well-formed JSON text in UTF-8.
 */
#include <inttypes.h>
#include <string.h>

#include "jw.h"

/*
 * Length of the well-formed UTF-8 sequence at s (RFC 3629, section 4), 0 if
 * there is none.
 */
static size_t
utf8_seq(const unsigned char *s, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len, i;

	if (s[0] < 0x80)
		return (1);
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		if (s[0] == 0xe0)
			lo = 0xa0;
		else if (s[0] == 0xed)
			hi = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		if (s[0] == 0xf0)
			lo = 0x90;
		else if (s[0] == 0xf4)
			hi = 0x8f;
	} else
		return (0);
	if (n < len || s[1] < lo || s[1] > hi)
		return (0);
	for (i = 2; i < len; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return (0);
	}
	return (len);
}

bool
utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len;

	while (n > 0) {
		if ((len = utf8_seq(p, n)) == 0)
			return (false);
		p += len;
		n -= len;
	}
	return (true);
}

void
jw_init(struct jw *w, struct buf *b, bool spaced)
{
	memset(w, 0, sizeof(*w));
	w->b = b;
	w->spaced = spaced;
}

/* Before every value or key: the comma, if one is due. */
static void
jw_sep(struct jw *w)
{
	uint32_t bit = 1u << w->depth;

	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth > 0 && (w->has_item & bit) != 0)
		buf_add(w->b, ", ", w->spaced ? 2 : 1);
	w->has_item |= bit;
}

static void
jw_open(struct jw *w, char c)
{
	jw_sep(w);
	buf_addc(w->b, c);
	if (w->depth >= JW_MAX_DEPTH) {
		w->b->err = 1;
		return;
	}
	w->depth++;
	w->has_item &= ~(1u << w->depth);
}

static void
jw_close(struct jw *w, char c)
{
	buf_addc(w->b, c);
	if (w->depth == 0)
		w->b->err = 1;
	else
		w->depth--;
}

void
jw_obj(struct jw *w)
{
	jw_open(w, '{');
}

void
jw_obj_end(struct jw *w)
{
	jw_close(w, '}');
}

void
jw_arr(struct jw *w)
{
	jw_open(w, '[');
}

void
jw_arr_end(struct jw *w)
{
	jw_close(w, ']');
}

/* One byte or sequence that cannot stand as it is. */
static void
jw_escape(struct buf *b, unsigned char c)
{
	static const char shorts[] = "btn\0fr";

	switch (c) {
	case '"':
	case '\\':
		buf_addc(b, '\\');
		buf_addc(b, (char)c);
		break;
	case '\b':
	case '\t':
	case '\n':
	case '\f':
	case '\r':
		buf_addc(b, '\\');
		buf_addc(b, shorts[c - '\b']);
		break;
	default:
		buf_printf(b, "\\u%04x", c);
	}
}

static void
jw_quoted(struct jw *w, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t run = 0, len;

	buf_addc(w->b, '"');
	while (run < n) {
		if (p[run] < 0x20 || p[run] == '"' || p[run] == '\\' ||
		    p[run] == 0x7f) {
			buf_add(w->b, p, run);
			jw_escape(w->b, p[run]);
			len = 1;
		} else if ((len = utf8_seq(p + run, n - run)) == 0) {
			buf_add(w->b, p, run);
			buf_adds(w->b, "\xef\xbf\xbd");
			len = 1;
		} else {
			run += len;
			continue;
		}
		p += run + len;
		n -= run + len;
		run = 0;
	}
	buf_add(w->b, p, run);
	buf_addc(w->b, '"');
}

void
jw_key(struct jw *w, const char *k)
{
	jw_sep(w);
	jw_quoted(w, k, strlen(k));
	buf_add(w->b, ": ", w->spaced ? 2 : 1);
	w->after_key = true;
}

void
jw_strn(struct jw *w, const char *s, size_t n)
{
	jw_sep(w);
	jw_quoted(w, s, n);
}

void
jw_str(struct jw *w, const char *s)
{
	if (s == NULL)
		jw_null(w);
	else
		jw_strn(w, s, strlen(s));
}

/* Decimal digits of v: most of what a page of rows costs is numbers. */
static void
add_digits(struct buf *b, uint64_t v)
{
	char num[20];
	size_t at = sizeof(num);

	do {
		num[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	buf_add(b, num + at, sizeof(num) - at);
}

void
jw_int(struct jw *w, int64_t v)
{
	jw_sep(w);
	if (v < 0)
		buf_addc(w->b, '-');
	add_digits(w->b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void
jw_uint(struct jw *w, uint64_t v)
{
	jw_sep(w);
	add_digits(w->b, v);
}

void
jw_bool(struct jw *w, bool v)
{
	jw_sep(w);
	buf_adds(w->b, v ? "true" : "false");
}

void
jw_null(struct jw *w)
{
	jw_sep(w);
	buf_adds(w->b, "null");
}

void
jw_seconds3(struct jw *w, uint64_t usec)
{
	jw_sep(w);
	buf_printf(w->b, "%" PRIu64 ".%03u", usec / 1000000,
	    (unsigned)(usec % 1000000 / 1000));
}

void
jw_raw(struct jw *w, const char *s, size_t n)
{
	jw_sep(w);
	buf_add(w->b, s, n);
}

void
jw_kstr(struct jw *w, const char *k, const char *v)
{
	jw_key(w, k);
	jw_str(w, v);
}

void
jw_kint(struct jw *w, const char *k, int64_t v)
{
	jw_key(w, k);
	jw_int(w, v);
}

void
jw_kuint(struct jw *w, const char *k, uint64_t v)
{
	jw_key(w, k);
	jw_uint(w, v);
}

void
jw_kbool(struct jw *w, const char *k, bool v)
{
	jw_key(w, k);
	jw_bool(w, v);
}

void
jw_knull(struct jw *w, const char *k)
{
	jw_key(w, k);
	jw_null(w);
}
