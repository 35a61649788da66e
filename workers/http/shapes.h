/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_SHAPES_H
#define AX_HTTP_SHAPES_H

#include "common/jw.h"

/*
 * The shapes of bodies as tables, from which the OpenAPI document takes its
 * schemas. The tests validate real answers against them and refuse any member
 * that is not described, so that they cannot drift.
 */
#define FIELD_OPT  1u /* may be absent */
#define FIELD_NULL 2u /* may be null */

/*
 * A field's type is one of
 *	string integer number boolean object any time
 *	a|b|c		one of these strings
 *	Name		another shape
 *	[type]		an array
 *	{type}		an object whose members are all of that type
 */
struct field {
	const char *name; /* NULL ends a list */
	const char *type;
	unsigned flags;
	const char *help;
};

struct shape {
	const char *name;
	const char *help;
	const struct field *fields;
};

extern const struct shape shapes[];
extern const unsigned nshapes;

/* Writes the JSON Schema (2020-12) of one type. */
void shape_type(struct jw *, const char *type);
/* Writes the schema of one shape. */
void shape_schema(struct jw *, const struct shape *);

#endif
