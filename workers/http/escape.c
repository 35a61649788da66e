/* SPDX-License-Identifier: ISC */
/*
 * Percent-encoding, for paths and queries. Pure. What comes out is text that
 * the rest of the program may treat as a C string: never a NUL inside it, never
 * anything but UTF-8, so that nobody behind here has to ask again.
 */
#include "common/jw.h"
#include "workers/http/http.h"

/* The digit's value, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	c |= 0x20;
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* The byte that the two digits at s stand for, or -1. */
static int
escaped_byte(const char *s)
{
	int high = hex_digit(s[0]), low = hex_digit(s[1]);

	return (high == -1 || low == -1 ? -1 : high << 4 | low);
}

long
http_unescape(char *dst, const char *src, size_t n, bool plus)
{
	size_t i, len = 0;
	int c;

	for (i = 0; i < n; i++) {
		c = (unsigned char)src[i];
		if (c == '+' && plus)
			c = ' ';
		if (c == '%') {
			if (n - i < 3 || (c = escaped_byte(src + i + 1)) == -1)
				return (-1);
			i += 2;
		}
		if (c == '\0')
			return (-1);
		dst[len++] = (char)c;
	}
	if (!utf8_valid(dst, len))
		return (-1);
	dst[len] = '\0';
	return ((long)len);
}
