/* SPDX-License-Identifier: ISC */
/*
 * The items of a 422 answer. One table gives each kind its type, its message
 * and the name of its context value; the code below only puts them together.
 * It must never echo more than INVALID_INPUT_MAX bytes of what was sent.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/http/invalid.h"

enum ctx_form { CTX_NONE, CTX_BOUND, CTX_ERROR };

/* clang-format off */
static const struct {
	const char *type;
	const char *msg;   /* the bound or the error text follows ... */
	const char *after; /* ... and then this */
	const char *ctx;
	enum ctx_form form;
} kinds[INV_MAX] = {
	[INV_MISSING] = { "missing", "Field required", "", NULL, CTX_NONE },
	[INV_INT] = { "int_parsing", "Input should be a valid integer, "
	    "unable to parse string as an integer", "", NULL, CTX_NONE },
	[INV_GE] = { "greater_than_equal",
	    "Input should be greater than or equal to ", "", "ge", CTX_BOUND },
	[INV_LE] = { "less_than_equal",
	    "Input should be less than or equal to ", "", "le", CTX_BOUND },
	[INV_TOO_LONG] = { "string_too_long", "String should have at most ",
	    " characters", "max_length", CTX_BOUND },
	[INV_STRING] = { "string_type", "Input should be a valid string", "",
	    NULL, CTX_NONE },
	[INV_DICT] = { "dict_type", "Input should be a valid dictionary", "",
	    NULL, CTX_NONE },
	[INV_BODY] = { "model_attributes_type", "Input should be a valid "
	    "dictionary or object to extract fields from", "", NULL,
	    CTX_NONE },
	[INV_DATETIME] = { "datetime_from_date_parsing",
	    "Input should be a valid datetime or date, ", "", "error",
	    CTX_ERROR },
	[INV_ENCODING] = { "string_unicode", "Input should be a valid string, "
	    "correctly percent-encoded UTF-8", "", NULL, CTX_NONE },
	[INV_TWICE] = { "multiple_argument_values",
	    "Got multiple values for argument", "", NULL, CTX_NONE },
	[INV_PATTERN] = { "string_pattern_mismatch",
	    "String should match pattern '", "'", "pattern", CTX_ERROR },
	[INV_CONFLICT] = { "value_error", "Value error, ", "", "error",
	    CTX_ERROR },
	[INV_JSON] = { "json_invalid", "JSON decode error", "", "error",
	    CTX_NONE },
};
/* clang-format on */

void
invalid_init(struct invalid *v)
{
	memset(v, 0, sizeof(*v));
	jw_init(&v->w, &v->b, false);
	jw_arr(&v->w);
}

void
invalid_free(struct invalid *v)
{
	buf_free(&v->b);
}

static void
put_loc(struct jw *w, enum invalid_kind kind, const char *where,
    const char *name, const struct invalid_more *more)
{
	jw_key(w, "loc");
	jw_arr(w);
	jw_str(w, where);
	if (kind == INV_JSON)
		jw_int(w, more->offset);
	else if (name != NULL)
		jw_str(w, name);
	jw_arr_end(w);
}

static void
put_msg(struct jw *w, enum invalid_kind kind, const struct invalid_more *more)
{
	struct buf m = BUF_INITIALIZER;

	buf_adds(&m, kinds[kind].msg);
	if (kinds[kind].form == CTX_BOUND)
		buf_printf(&m, "%lld", (long long)more->bound);
	else if (kinds[kind].form == CTX_ERROR)
		buf_adds(&m, more->error);
	buf_adds(&m, kinds[kind].after);
	jw_kstr(w, "msg", buf_str(&m));
	buf_free(&m);
}

/* Only small inputs are worth sending back. */
static void
put_input(struct jw *w, enum invalid_kind kind, const struct invalid_more *more)
{
	char *text;
	size_t n;

	if (kind == INV_JSON) {
		jw_key(w, "input");
		jw_raw(w, "{}", 2);
		return;
	}
	if (more->text != NULL && strlen(more->text) <= INVALID_INPUT_MAX)
		jw_kstr(w, "input", more->text);
	if (more->value == NULL)
		return;
	n = json_dumpb(more->value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	if (n == 0 || n > INVALID_INPUT_MAX)
		return;
	text = json_dumps(more->value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text == NULL)
		return;
	jw_key(w, "input");
	jw_raw(w, text, strlen(text));
	free(text);
}

static void
put_ctx(struct jw *w, enum invalid_kind kind, const struct invalid_more *more)
{
	if (kinds[kind].ctx == NULL)
		return;
	jw_key(w, "ctx");
	jw_obj(w);
	if (kinds[kind].form == CTX_BOUND)
		jw_kint(w, kinds[kind].ctx, more->bound);
	else
		jw_kstr(w, kinds[kind].ctx, more->error);
	jw_obj_end(w);
}

void
invalid_add(struct invalid *v, enum invalid_kind kind, const char *where,
    const char *name, const struct invalid_more *more)
{
	static const struct invalid_more nothing;
	struct jw *w = &v->w;

	if (v->n >= INVALID_ITEMS_MAX)
		return;
	if (more == NULL)
		more = &nothing;
	v->n++;
	jw_obj(w);
	jw_kstr(w, "type", kinds[kind].type);
	put_loc(w, kind, where, name, more);
	put_msg(w, kind, more);
	put_input(w, kind, more);
	put_ctx(w, kind, more);
	jw_obj_end(w);
}

const char *
invalid_json(struct invalid *v)
{
	jw_arr_end(&v->w);
	return (buf_str(&v->b));
}
