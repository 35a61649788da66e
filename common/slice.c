/* SPDX-License-Identifier: ISC */
/*
 * What can be done with a text of a journal line. Apart from common/line.c, so
 * that those who only read lines link no JSON library. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/line.h"

char *
slice_dup(struct slice s)
{
	json_t *v;
	char *out = NULL;

	if (s.p == NULL)
		return (NULL);
	/* The slice is always followed by the quote that ends it. */
	v = json_loadb(s.p - 1, s.n + 2, JSON_DECODE_ANY, NULL);
	if (v != NULL && json_is_string(v))
		out = strdup(json_string_value(v));
	json_decref(v);
	return (out);
}
