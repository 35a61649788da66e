/* SPDX-License-Identifier: ISC */
/*
 * Request bodies. The JSON itself is read by jansson; what is bounded here is
 * what jansson does not bound tightly enough (the depth) and what the API asks
 * of the values. It must never pass on text that was not parsed whole.
 */
#include <stdbool.h>
#include <string.h>

#include "workers/http/body.h"

/*
 * The offset at which the text nests too deep, or -1. Only brackets outside
 * strings count; whether they match is jansson's business.
 */
static int64_t
too_deep(const char *s, size_t len)
{
	bool in_string = false;
	unsigned depth = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (in_string) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				in_string = false;
		} else if (s[i] == '"')
			in_string = true;
		else if (s[i] == '{' || s[i] == '[') {
			if (++depth > BODY_MAX_DEPTH)
				return ((int64_t)i);
		} else if ((s[i] == '}' || s[i] == ']') && depth > 0)
			depth--;
	}
	return (-1);
}

json_t *
body_parse(const char *text, size_t len, struct invalid *inv)
{
	struct invalid_more more = { 0 };
	json_error_t err;
	json_t *root;
	char *near;

	if (len == 0) {
		invalid_add(inv, INV_MISSING, "body", NULL, NULL);
		return (NULL);
	}
	if ((more.offset = too_deep(text, len)) != -1) {
		more.error = "nested too deep";
		invalid_add(inv, INV_JSON, "body", NULL, &more);
		return (NULL);
	}
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
	    &err);
	if (root != NULL)
		return (root);
	/* The rest would repeat a piece of the text. */
	if ((near = strstr(err.text, " near ")) != NULL)
		*near = '\0';
	more.offset = err.position;
	more.error = err.text;
	invalid_add(inv, INV_JSON, "body", NULL, &more);
	return (NULL);
}

int
body_invoke(const json_t *root, struct body_invoke *out, struct invalid *inv)
{
	struct invalid_more more = { .value = root };
	const json_t *name;

	memset(out, 0, sizeof(*out));
	if (!json_is_object(root)) {
		invalid_add(inv, INV_BODY, "body", NULL, &more);
		return (-1);
	}
	/* What may hold a secret is not repeated. */
	out->inputs = json_object_get(root, "inputs");
	if ((name = json_object_get(root, "name")) == NULL)
		invalid_add(inv, INV_MISSING, "body", "name",
		    out->inputs == NULL ? &more : NULL);
	else if (!json_is_string(name)) {
		more.value = name;
		invalid_add(inv, INV_STRING, "body", "name", &more);
	} else
		out->name = json_string_value(name);

	if (out->inputs != NULL && !json_is_object(out->inputs))
		invalid_add(inv, INV_DICT, "body", "inputs", NULL);
	return (inv->n == 0 ? 0 : -1);
}

bool
body_skill_name(const char *s)
{
	size_t n = strspn(s,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_.-");

	return (n >= 1 && n <= 64 && s[n] == '\0');
}
