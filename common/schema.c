/* SPDX-License-Identifier: ISC */
/*
 * The subset of JSON Schema 2020-12 that skill manifests may use: checking a
 * schema when its manifest is loaded, and values against it.
 *
 * Both walk along the schema, never along the value alone, and a checked
 * schema is at most SCHEMA_DEPTH levels deep: no value can make the recursion
 * deeper. An unknown keyword is an error, never ignored. Nothing here does
 * I/O, keeps state between calls, or prints a value that it was given; of a
 * value that is called secret it tells neither size nor keys.
 */
#include <regex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pattern.h"
#include "common/schema.h"
#include "common/util.h"

#define SCHEMA_DEPTH	 16
#define SCHEMA_ERRORS	 32 /* items in one answer */
#define SCHEMA_ENUM_MAX	 256
#define SCHEMA_PROPS_MAX 256
#define PATTERN_MAX	 512 /* bytes */
#define PATTERN_CACHE	 8
#define LOC_KEY_MAX	 128 /* bytes of a client's key that are repeated */

/* The types of JSON, as the keyword "type" and the error items name them. */
static const struct type_row {
	const char *word;
	const char *error; /* pydantic 2's word */
	const char *noun;
} types[] = {
	{ "string", "string_type", "string" },
	{ "integer", "int_type", "integer" },
	{ "number", "float_type", "number" },
	{ "boolean", "bool_type", "boolean" },
	{ "object", "dict_type", "dictionary" },
	{ "array", "list_type", "list" },
	{ "null", "none_required", "null" },
};

static const struct type_row *
type_lookup(const char *word)
{
	size_t i;

	for (i = 0; word != NULL && i < AX_NELEM(types); i++)
		if (strcmp(types[i].word, word) == 0)
			return (&types[i]);
	return (NULL);
}

/* Integers are JSON integers: 1.0 is a number only. */
static bool
type_matches(const char *word, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return (strcmp(word, "string") == 0);
	case JSON_INTEGER:
		return (strcmp(word, "integer") == 0 ||
		    strcmp(word, "number") == 0);
	case JSON_REAL:
		return (strcmp(word, "number") == 0);
	case JSON_TRUE:
	case JSON_FALSE:
		return (strcmp(word, "boolean") == 0);
	case JSON_OBJECT:
		return (strcmp(word, "object") == 0);
	case JSON_ARRAY:
		return (strcmp(word, "array") == 0);
	case JSON_NULL:
		return (strcmp(word, "null") == 0);
	}
	return (false);
}

/* ---- checking a schema ---- */

struct check {
	char place[512]; /* a JSON pointer: "#/properties/code" */
	unsigned depth;
	char *err;
	size_t errlen;
};

static int check_schema(struct check *, const json_t *);

static int check_fail(struct check *, const char *, const char *, ...)
    __attribute__((format(printf, 3, 4)));

static int
check_fail(struct check *c, const char *keyword, const char *fmt, ...)
{
	char msg[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	(void)snprintf(c->err, c->errlen, "%.200s%s%.64s: %s", c->place,
	    keyword == NULL ? "" : "/", keyword == NULL ? "" : keyword, msg);
	return (-1);
}

/* Goes down to PLACE/keyword[/name]; place_leave() comes back. */
static size_t
place_enter(struct check *c, const char *keyword, const char *name)
{
	size_t was = strlen(c->place);

	(void)snprintf(c->place + was, sizeof(c->place) - was, "/%s%s%s",
	    keyword, name == NULL ? "" : "/", name == NULL ? "" : name);
	return (was);
}

static void
place_leave(struct check *c, size_t was)
{
	c->place[was] = '\0';
}

static int
check_sub(struct check *c, const char *keyword, const char *name,
    const json_t *sub)
{
	size_t was = place_enter(c, keyword, name);
	int r = check_schema(c, sub);

	place_leave(c, was);
	return (r);
}

static int
check_type(struct check *c, const char *kw, const json_t *v)
{
	static const char known[] =
	    "string, integer, number, boolean, object, array, null";
	const json_t *e;
	size_t i;

	if (json_is_string(v)) {
		if (type_lookup(json_string_value(v)) == NULL)
			return (check_fail(c, kw, "\"%.40s\" is not one of %s",
			    json_string_value(v), known));
		return (0);
	}
	if (!json_is_array(v) || json_array_size(v) == 0 ||
	    json_array_size(v) > AX_NELEM(types))
		return (check_fail(c, kw,
		    "must be one of %s, or a list of them", known));
	json_array_foreach(v, i, e)
		if (type_lookup(json_string_value(e)) == NULL)
			return (check_fail(c, kw, "item %zu is not one of %s",
			    i, known));
	return (0);
}

static int
check_enum(struct check *c, const char *kw, const json_t *v)
{
	if (!json_is_array(v) || json_array_size(v) == 0 ||
	    json_array_size(v) > SCHEMA_ENUM_MAX)
		return (check_fail(c, kw, "must be a list of 1 to %d values",
		    SCHEMA_ENUM_MAX));
	return (0);
}

static int
check_any(struct check *c, const char *kw, const json_t *v)
{
	(void)c;
	(void)kw;
	(void)v;
	return (0);
}

static int
check_string(struct check *c, const char *kw, const json_t *v)
{
	return (json_is_string(v) ? 0 : check_fail(c, kw, "must be a string"));
}

static int
check_bool(struct check *c, const char *kw, const json_t *v)
{
	return (json_is_boolean(v) ?
		0 :
		check_fail(c, kw, "must be true or false"));
}

static int
check_number(struct check *c, const char *kw, const json_t *v)
{
	return (json_is_number(v) ? 0 : check_fail(c, kw, "must be a number"));
}

static int
check_count(struct check *c, const char *kw, const json_t *v)
{
	return (json_is_integer(v) && json_integer_value(v) >= 0 ?
		0 :
		check_fail(c, kw, "must be an integer of 0 or more"));
}

static int
check_required(struct check *c, const char *kw, const json_t *v)
{
	const json_t *e;
	size_t i;

	if (!json_is_array(v))
		return (check_fail(c, kw, "must be a list of names"));
	json_array_foreach(v, i, e)
		if (!json_is_string(e))
			return (
			    check_fail(c, kw, "item %zu is not a string", i));
	return (0);
}

static int
check_properties(struct check *c, const char *kw, const json_t *v)
{
	const char *name;
	json_t *sub;

	if (!json_is_object(v) || json_object_size(v) > SCHEMA_PROPS_MAX)
		return (
		    check_fail(c, kw, "must be an object of at most %d schemas",
			SCHEMA_PROPS_MAX));
	json_object_foreach((json_t *)(uintptr_t)v, name, sub)
		if (check_sub(c, kw, name, sub) == -1)
			return (-1);
	return (0);
}

static int
check_items(struct check *c, const char *kw, const json_t *v)
{
	return (check_sub(c, kw, NULL, v));
}

static int
check_additional(struct check *c, const char *kw, const json_t *v)
{
	if (json_is_boolean(v))
		return (0);
	return (check_sub(c, kw, NULL, v));
}

static int
check_pattern(struct check *c, const char *kw, const json_t *v)
{
	const char *p = json_string_value(v), *why;
	char text[96];
	regex_t re;
	int r;

	if (p == NULL || json_string_length(v) > PATTERN_MAX ||
	    json_string_length(v) != strlen(p))
		return (check_fail(c, kw,
		    "must be an extended regular expression of at most %d "
		    "bytes",
		    PATTERN_MAX));
	if ((why = pattern_costly(p)) != NULL)
		return (check_fail(c, kw, "%s", why));
	if ((r = regcomp(&re, p, REG_EXTENDED | REG_NOSUB)) != 0) {
		(void)regerror(r, &re, text, sizeof(text));
		return (check_fail(c, kw, "%s", text));
	}
	regfree(&re);
	return (0);
}

static const struct keyword {
	const char *name;
	int (*check)(struct check *, const char *, const json_t *);
} keywords[] = {
	{ "type", check_type },
	{ "enum", check_enum },
	{ "const", check_any },
	{ "required", check_required },
	{ "properties", check_properties },
	{ "additionalProperties", check_additional },
	{ "items", check_items },
	{ "minItems", check_count },
	{ "maxItems", check_count },
	{ "minLength", check_count },
	{ "maxLength", check_count },
	{ "pattern", check_pattern },
	{ "minimum", check_number },
	{ "maximum", check_number },
	{ "exclusiveMinimum", check_number },
	{ "exclusiveMaximum", check_number },
	{ "maxProperties", check_count },
	{ "title", check_string },
	{ "description", check_string },
	{ "default", check_any },
	{ "secret", check_bool },
};

static int
check_keyword(struct check *c, const char *name, const json_t *v)
{
	size_t i;

	for (i = 0; i < AX_NELEM(keywords); i++)
		if (strcmp(keywords[i].name, name) == 0)
			return (keywords[i].check(c, name, v));
	return (check_fail(c, name,
	    "unknown keyword; archillx-skills(5) lists those that work"));
}

static int
check_schema(struct check *c, const json_t *schema)
{
	const char *name;
	json_t *v;
	int r = 0;

	if (!json_is_object(schema))
		return (check_fail(c, NULL, "must be an object (a schema)"));
	if (c->depth == SCHEMA_DEPTH)
		return (check_fail(c, NULL, "nested deeper than %d levels",
		    SCHEMA_DEPTH));
	c->depth++;
	json_object_foreach((json_t *)(uintptr_t)schema, name, v)
		if ((r = check_keyword(c, name, v)) == -1)
			break;
	c->depth--;
	return (r);
}

int
schema_check(const json_t *schema, char *err, size_t errlen)
{
	struct check c = { .place = "#", .err = err, .errlen = errlen };

	return (check_schema(&c, schema));
}

/* ---- validating a value ---- */

struct step { /* the way from the root to a value */
	const struct step *up;
	const char *key; /* NULL: an index */
	size_t index;
};

struct validation {
	json_t *errors;
	int n;
	bool hiding; /* inside a secret: nothing of the value is repeated */
	const struct step *secret; /* where it is */
	struct {
		const char *text; /* as it stands in the schema */
		regex_t re;
	} cache[PATTERN_CACHE];
	unsigned ncache;
};

static void value_validate(struct validation *, const json_t *, const json_t *,
    const struct step *);

/* A client's key, cut to LOC_KEY_MAX bytes between two characters. */
static json_t *
loc_key(const char *key)
{
	size_t n = strlen(key);

	if (n > LOC_KEY_MAX) {
		n = LOC_KEY_MAX;
		while (n > 0 && ((unsigned char)key[n] & 0xc0) == 0x80)
			n--;
	}
	return (json_stringn(key, n));
}

static void
loc_append(json_t *loc, const struct step *at)
{
	if (at == NULL)
		return;
	loc_append(loc, at->up);
	json_array_append_new(loc,
	    at->key == NULL ? json_integer((json_int_t)at->index) :
			      loc_key(at->key));
}

/* Adds one item; takes ctx over (NULL: none). */
static void
violation(struct validation *v, const struct step *at, const char *type,
    json_t *ctx, const char *msg)
{
	json_t *loc, *item;

	if (v->n >= SCHEMA_ERRORS) {
		json_decref(ctx);
		return;
	}
	v->n++;
	loc = json_pack("[s,s]", "body", "inputs");
	loc_append(loc, v->hiding ? v->secret : at);
	item =
	    json_pack("{s:s, s:o, s:s}", "type", type, "loc", loc, "msg", msg);
	if (ctx != NULL)
		json_object_set_new(item, "ctx", ctx);
	json_array_append_new(v->errors, item);
}

/* ---- text of the messages ---- */

static void
violation_type(struct validation *v, const struct step *at, const json_t *type)
{
	const struct type_row *row, *first = NULL;
	char msg[160] = "Input should be a valid ";
	size_t i, len = strlen(msg);

	if (json_is_string(type)) {
		first = type_lookup(json_string_value(type));
		if (first != NULL)
			(void)snprintf(msg + len, sizeof(msg) - len, "%s",
			    first->noun);
	}
	for (i = 0; json_is_array(type) && i < json_array_size(type); i++) {
		row = type_lookup(json_string_value(json_array_get(type, i)));
		if (row == NULL)
			continue;
		(void)snprintf(msg + len, sizeof(msg) - len, "%s%s",
		    first == NULL ? "" : " or ", row->noun);
		len = strlen(msg);
		first = first == NULL ? row : first;
	}
	if (first != NULL)
		violation(v, at, first->error, NULL, msg);
}

/* Takes an incomplete character off the end of a text that was cut. */
static void
utf8_cut(char *s)
{
	size_t n = strlen(s), tail = 0, want;
	unsigned char lead;

	while (tail < 3 && tail < n &&
	    ((unsigned char)s[n - 1 - tail] & 0xc0) == 0x80)
		tail++;
	if (tail == n)
		return;
	lead = (unsigned char)s[n - 1 - tail];
	want = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (tail < want)
		s[n - 1 - tail] = '\0';
}

static void
expected_add(char *out, size_t size, const json_t *e, const char *before)
{
	char *text = json_is_string(e) ?
	    NULL :
	    json_dumps(e, JSON_ENCODE_ANY | JSON_COMPACT);
	size_t len = strlen(out);

	if (json_is_string(e))
		(void)snprintf(out + len, size - len, "%s'%s'", before,
		    json_string_value(e));
	else
		(void)snprintf(out + len, size - len, "%s%s", before,
		    text == NULL ? "?" : text);
	free(text);
}

/* "Input should be 'a', 'b' or 'c'". */
static void
violation_literal(struct validation *v, const struct step *at,
    const json_t *allowed, const json_t *only)
{
	char expected[400] = "", msg[440];
	size_t i, n = only != NULL ? 1 : json_array_size(allowed);

	for (i = 0; i < n; i++)
		expected_add(expected, sizeof(expected),
		    only != NULL ? only : json_array_get(allowed, i),
		    i == 0	   ? "" :
			i + 1 == n ? " or " :
				     ", ");
	utf8_cut(expected);
	(void)snprintf(msg, sizeof(msg), "Input should be %s", expected);
	violation(v, at, "literal_error",
	    json_pack("{s:s}", "expected", expected), msg);
}

/* Items with a bound: "... at least 3 ..." and ctx {"min_length": 3}. */
static void
violation_count(struct validation *v, const struct step *at, const char *type,
    const char *what, json_int_t bound, json_int_t actual)
{
	bool min = strstr(type, "short") != NULL;
	bool text = strncmp(type, "string", 6) == 0;
	const char *key = min ? "min_length" : "max_length";
	char msg[160];
	json_t *ctx;

	if (text) {
		(void)snprintf(msg, sizeof(msg),
		    "String should have at %s %" JSON_INTEGER_FORMAT
		    " character%s",
		    min ? "least" : "most", bound, bound == 1 ? "" : "s");
		ctx = json_pack("{s:I}", key, bound);
	} else {
		(void)snprintf(msg, sizeof(msg),
		    "%s should have at %s %" JSON_INTEGER_FORMAT
		    " item%s after validation, not %" JSON_INTEGER_FORMAT,
		    what, min ? "least" : "most", bound, bound == 1 ? "" : "s",
		    actual);
		ctx = json_pack("{s:s, s:I, s:I}", "field_type", what, key,
		    bound, "actual_length", actual);
	}
	if (v->hiding && !text) {
		*strstr(msg, ", not ") = '\0';
		(void)json_object_del(ctx, "actual_length");
	}
	violation(v, at, type, ctx, msg);
}

/* ---- one kind of value each ---- */

static json_int_t
code_points(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t i, n = json_string_length(v);
	json_int_t points = 0;

	for (i = 0; i < n; i++)
		points += ((unsigned char)s[i] & 0xc0) != 0x80;
	return (points);
}

/* Compiled once per call of schema_validate(), as far as the cache reaches. */
static bool
pattern_matches(struct validation *v, const char *pattern, const char *text)
{
	regex_t re;
	unsigned i;
	bool ok;

	for (i = 0; i < v->ncache; i++)
		if (v->cache[i].text == pattern)
			return (
			    regexec(&v->cache[i].re, text, 0, NULL, 0) == 0);
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return (false);
	ok = regexec(&re, text, 0, NULL, 0) == 0;
	if (v->ncache < PATTERN_CACHE) {
		v->cache[v->ncache].text = pattern;
		v->cache[v->ncache++].re = re;
	} else
		regfree(&re);
	return (ok);
}

static void
string_validate(struct validation *v, const json_t *schema, const json_t *value,
    const struct step *at)
{
	const json_t *bound;
	const char *pattern, *s = json_string_value(value);
	json_int_t n = code_points(value);
	char msg[PATTERN_MAX + 64];

	bound = json_object_get(schema, "minLength");
	if (bound != NULL && n < json_integer_value(bound))
		violation_count(v, at, "string_too_short", "String",
		    json_integer_value(bound), n);
	bound = json_object_get(schema, "maxLength");
	if (bound != NULL && n > json_integer_value(bound)) {
		violation_count(v, at, "string_too_long", "String",
		    json_integer_value(bound), n);
		return;
	}
	pattern = json_string_value(json_object_get(schema, "pattern"));
	/* regexec() ends at a NUL: a text that holds one matches nothing */
	if (pattern == NULL ||
	    (strlen(s) == json_string_length(value) &&
		pattern_matches(v, pattern, s)))
		return;
	(void)snprintf(msg, sizeof(msg), "String should match pattern '%s'",
	    pattern);
	violation(v, at, "string_pattern_mismatch",
	    json_pack("{s:s}", "pattern", pattern), msg);
}

static long double
number_of(const json_t *v)
{
	return (json_is_integer(v) ? (long double)json_integer_value(v) :
				     (long double)json_real_value(v));
}

static const struct bound_row {
	const char *keyword, *error, *key, *words;
	int side;  /* -1: value must not be below, 1: not above */
	bool open; /* the bound itself is outside */
} bounds[] = {
	{ "minimum", "greater_than_equal", "ge", "greater than or equal to", -1,
	    false },
	{ "exclusiveMinimum", "greater_than", "gt", "greater than", -1, true },
	{ "maximum", "less_than_equal", "le", "less than or equal to", 1,
	    false },
	{ "exclusiveMaximum", "less_than", "lt", "less than", 1, true },
};

static void
number_validate(struct validation *v, const json_t *schema, const json_t *value,
    const struct step *at)
{
	const struct bound_row *b;
	long double diff;
	json_t *bound;
	char msg[128], *text;

	for (b = bounds; b < bounds + AX_NELEM(bounds); b++) {
		if ((bound = json_object_get(schema, b->keyword)) == NULL)
			continue;
		diff = (number_of(value) - number_of(bound)) * b->side;
		if (diff < 0 || (diff == 0 && !b->open))
			continue;
		text = json_dumps(bound,
		    JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
		(void)snprintf(msg, sizeof(msg), "Input should be %s %s",
		    b->words, text == NULL ? "its bound" : text);
		free(text);
		violation(v, at, b->error, json_pack("{s:O}", b->key, bound),
		    msg);
	}
}

static void
array_validate(struct validation *v, const json_t *schema, const json_t *value,
    const struct step *at)
{
	const json_t *bound, *items = json_object_get(schema, "items");
	json_int_t n = (json_int_t)json_array_size(value);
	struct step here = { .up = at };

	bound = json_object_get(schema, "minItems");
	if (bound != NULL && n < json_integer_value(bound))
		violation_count(v, at, "too_short", "List",
		    json_integer_value(bound), n);
	bound = json_object_get(schema, "maxItems");
	if (bound != NULL && n > json_integer_value(bound)) {
		violation_count(v, at, "too_long", "List",
		    json_integer_value(bound), n);
		return;
	}
	if (items == NULL)
		return;
	for (; here.index < (size_t)n && v->n < SCHEMA_ERRORS; here.index++)
		value_validate(v, items, json_array_get(value, here.index),
		    &here);
}

static void
member_validate(struct validation *v, const json_t *schema, const char *key,
    const json_t *member, const struct step *at)
{
	struct step here = { .up = at, .key = key };
	const json_t *sub;

	sub = json_object_get(json_object_get(schema, "properties"), key);
	if (sub == NULL)
		sub = json_object_get(schema, "additionalProperties");
	if (json_is_object(sub))
		value_validate(v, sub, member, &here);
	else if (json_is_false(sub))
		violation(v, &here, "extra_forbidden", NULL,
		    "Extra inputs are not permitted");
}

static void
object_validate(struct validation *v, const json_t *schema, const json_t *value,
    const struct step *at)
{
	const json_t *required = json_object_get(schema, "required"), *e;
	const json_t *bound = json_object_get(schema, "maxProperties");
	json_int_t n = (json_int_t)json_object_size(value);
	struct step here = { .up = at };
	const char *key;
	json_t *member;
	size_t i;

	json_array_foreach(required, i, e) {
		here.key = json_string_value(e);
		if (json_object_get(value, here.key) == NULL)
			violation(v, &here, "missing", NULL, "Field required");
	}
	if (bound != NULL && n > json_integer_value(bound)) {
		violation_count(v, at, "too_long", "Dictionary",
		    json_integer_value(bound), n);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, member) {
		if (v->n >= SCHEMA_ERRORS)
			return;
		member_validate(v, schema, key, member, at);
	}
}

static bool
type_allowed(const json_t *type, const json_t *value)
{
	const json_t *e;
	size_t i;

	if (type == NULL)
		return (true);
	if (json_is_string(type))
		return (type_matches(json_string_value(type), value));
	json_array_foreach(type, i, e)
		if (type_matches(json_string_value(e), value))
			return (true);
	return (false);
}

static bool
literal_allowed(const json_t *allowed, const json_t *value)
{
	const json_t *e;
	size_t i;

	json_array_foreach(allowed, i, e)
		if (json_equal(e, value))
			return (true);
	return (allowed == NULL);
}

static void
open_validate(struct validation *v, const json_t *schema, const json_t *value,
    const struct step *at)
{
	const json_t *type = json_object_get(schema, "type");
	const json_t *allowed = json_object_get(schema, "enum");
	const json_t *only = json_object_get(schema, "const");

	if (!type_allowed(type, value)) {
		violation_type(v, at, type);
		return;
	}
	if (!literal_allowed(allowed, value) ||
	    (only != NULL && !json_equal(only, value))) {
		violation_literal(v, at, allowed,
		    literal_allowed(allowed, value) ? only : NULL);
		return;
	}
	if (json_is_string(value))
		string_validate(v, schema, value, at);
	else if (json_is_number(value))
		number_validate(v, schema, value, at);
	else if (json_is_array(value))
		array_validate(v, schema, value, at);
	else if (json_is_object(value))
		object_validate(v, schema, value, at);
}

static void
value_validate(struct validation *v, const json_t *schema, const json_t *value,
    const struct step *at)
{
	bool outermost = !v->hiding &&
	    json_is_true(json_object_get(schema, "secret"));

	if (outermost) {
		v->hiding = true;
		v->secret = at;
	}
	open_validate(v, schema, value, at);
	if (outermost)
		v->hiding = false;
}

int
schema_validate(const json_t *schema, const json_t *value, json_t *errors)
{
	struct validation v = { .errors = errors };
	unsigned i;

	value_validate(&v, schema, value == NULL ? json_null() : value, NULL);
	for (i = 0; i < v.ncache; i++)
		regfree(&v.cache[i].re);
	return (v.n);
}
