/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_INVALID_H
#define AX_HTTP_INVALID_H

#include <jansson.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/jw.h"

/*
 * The items of a 422 answer (contract 2.6): `type`, `loc` and `ctx` are those
 * of pydantic 2, so that clients of the older service go on matching them.
 * Pure.
 */
enum invalid_kind {
	INV_MISSING,  /* a required field is not there */
	INV_INT,      /* not a whole number */
	INV_GE,	      /* below `bound` */
	INV_LE,	      /* above `bound` */
	INV_TOO_LONG, /* more than `bound` characters */
	INV_STRING,   /* not a string */
	INV_DICT,     /* not an object */
	INV_BODY,     /* the body is JSON, but not an object */
	INV_DATETIME, /* not a date-time */
	INV_ENCODING, /* percent-encoding or UTF-8 is broken */
	INV_TWICE,    /* a query parameter was given more than once */
	INV_PATTERN,  /* not what the pattern `error` takes */
	INV_CONFLICT, /* does not go with another one; `error` says why */
	INV_JSON,     /* the body is not JSON; `offset` and `error` tell */
	INV_MAX
};

#define INVALID_ITEMS_MAX 32
#define INVALID_INPUT_MAX 256 /* bytes: a longer input is not echoed */

struct invalid {
	struct buf b; /* the array's members */
	struct jw w;
	unsigned n;
};

/* What goes with a kind; everything else is left out. */
struct invalid_more {
	int64_t bound;
	int64_t offset;	     /* INV_JSON: bytes from the body's start */
	const char *error;   /* the kinds that name it */
	const char *text;    /* the input, as text */
	const json_t *value; /* or the input, as JSON */
};

void invalid_init(struct invalid *);
void invalid_free(struct invalid *);
/*
 * Adds one item with loc [where, name] (or [where] when name is NULL). `more`
 * may be NULL. Above INVALID_ITEMS_MAX items nothing is added.
 */
void invalid_add(struct invalid *, enum invalid_kind, const char *where,
    const char *name, const struct invalid_more *more);
/* Closes the array and returns it as JSON text, or NULL after ENOMEM. */
const char *invalid_json(struct invalid *);

#endif
