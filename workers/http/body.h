/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_BODY_H
#define AX_HTTP_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "workers/http/invalid.h"

/* Request bodies: JSON text to checked values. Pure. */

#define BODY_MAX_DEPTH 64

/*
 * Parses a whole JSON text: valid UTF-8 without NUL, no key twice in one
 * object, at most BODY_MAX_DEPTH levels. The caller owns the result. NULL, and
 * one item in *invalid, when it is not that.
 */
json_t *body_parse(const char *text, size_t len, struct invalid *);

/* The body of POST /v1/skills/invoke; both belong to the parsed value. */
struct body_invoke {
	const char *name;
	json_t *inputs; /* NULL: not given, meaning {} */
};

/* 0, or -1 and items. Unknown keys are ignored. */
int body_invoke(const json_t *root, struct body_invoke *, struct invalid *);

/* True for a name that a skill can have: [A-Za-z0-9_.-]{1,64}. */
bool body_skill_name(const char *);

#endif
