/* SPDX-License-Identifier: ISC */
/*
 * Fuzzes the reader of journal lines against jansson: what it takes must be an
 * object for jansson too, with the same seq, action and context. Memory is
 * exactly as long as the line.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "workers/store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What jansson refuses for reasons that are none of ours. */
static int
beyond_jansson(const char *s, size_t n, const json_error_t *e)
{
	size_t i;

	if (json_error_code(e) == json_error_numeric_overflow ||
	    json_error_code(e) == json_error_null_byte_in_key)
		return (1);
	for (i = 0; i + 2 < n; i++) /* half a surrogate pair */
		if (s[i] == '\\' && s[i + 1] == 'u' && (s[i + 2] | 32) == 'd')
			return (1);
	return (!utf8_valid(s, n));
}

static void
compare(const struct record *r, const char *s, size_t n)
{
	json_error_t e;
	json_t *j, *ctx;
	const json_t *v;

	j = json_loadb(s, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &e);
	if (j == NULL) {
		if (!beyond_jansson(s, n, &e))
			abort();
		return;
	}
	/* Keys are compared as written, without escapes: audit uses none. */
	if (memmem(s, n, "\\u", 2) != NULL) {
		json_decref(j);
		return;
	}
	v = json_object_get(j, "seq");
	if (json_real_value(v) != (double)r->seq)
		abort();
	v = json_object_get(j, "action");
	if (json_string_length(v) != r->action.n ||
	    memcmp(json_string_value(v), r->action.p, r->action.n) != 0)
		abort();
	if (r->context.p != NULL) {
		ctx = json_loadb(r->context.p, r->context.n,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
		    &e);
		if (ctx == NULL ||
		    !json_equal(ctx, json_object_get(j, "context")))
			abort();
		json_decref(ctx);
	}
	json_decref(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf scratch = BUF_INITIALIZER, more = BUF_INITIALIZER;
	struct slice skill = { NULL, 0 };
	char *line = malloc(size);
	const char *why;
	struct record r;

	if (line == NULL && size > 0)
		return (0);
	if (size > 0)
		memcpy(line, data, size);
	if (record_parse(&r, line, size, &scratch, &why) == 0) {
		compare(&r, line, size);
		(void)record_member(r.context, "skill", &more, &skill);
	} else if (why == NULL) {
		abort();
	}
	buf_free(&scratch);
	buf_free(&more);
	free(line);
	return (0);
}
