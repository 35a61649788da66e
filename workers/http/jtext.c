/* SPDX-License-Identifier: ISC */
/*
 * Walks over JSON text, string by string and bracket by bracket. It must never
 * read behind the end, whatever the text is.
 */
#include <stdbool.h>
#include <string.h>

#include "workers/http/jtext.h"

/* Bytes of the string that begins at s[0], with its quotes. */
static size_t
string_len(const char *s, size_t n)
{
	size_t i;

	for (i = 1; i < n; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '"')
			return (i + 1);
	}
	return (n);
}

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

void
jtext_compact(struct buf *b, const char *s, size_t n)
{
	size_t i = 0, len;

	while (i < n) {
		if (s[i] == '"') {
			len = string_len(s + i, n - i);
			buf_add(b, s + i, len);
			i += len;
			continue;
		}
		if (!is_blank(s[i]))
			buf_addc(b, s[i]);
		i++;
	}
}

/* Bytes of the value that begins at s[0], up to the , or } behind it. */
static size_t
value_len(const char *s, size_t n)
{
	unsigned depth = 0;
	size_t i = 0;

	while (i < n) {
		if (s[i] == '"') {
			i += string_len(s + i, n - i);
			continue;
		}
		if (depth == 0 && (s[i] == ',' || s[i] == '}' || s[i] == ']'))
			break;
		if (s[i] == '{' || s[i] == '[')
			depth++;
		else if (s[i] == '}' || s[i] == ']')
			depth--;
		i++;
	}
	return (i);
}

/* Where the value of the member begins; n: there is no such member. */
static size_t
find_value(const char *s, size_t n, const char *name)
{
	size_t i = 0, len, want = strlen(name);
	bool found;

	while (i < n && s[i] != '"')
		i++;
	while (i < n) {
		len = string_len(s + i, n - i);
		found = len == want + 2 && memcmp(s + i + 1, name, want) == 0;
		for (i += len; i < n && (s[i] == ':' || is_blank(s[i])); i++)
			;
		if (found)
			break;
		i += value_len(s + i, n - i);
		while (i < n && s[i] != '"')
			i++;
	}
	return (i);
}

void
jtext_hide(struct buf *b, const char *s, size_t n, const char *name)
{
	size_t at = find_value(s, n, name);

	buf_add(b, s, at);
	if (at == n)
		return;
	buf_adds(b, "null");
	at += value_len(s + at, n - at);
	buf_add(b, s + at, n - at);
}
