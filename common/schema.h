/* SPDX-License-Identifier: ISC */
#ifndef AX_SCHEMA_H
#define AX_SCHEMA_H

#include <jansson.h>
#include <stddef.h>

/*
 * The subset of JSON Schema 2020-12 that manifests may use: type, enum, const,
 * required, properties, additionalProperties (boolean or schema), items,
 * minItems, maxItems, minLength, maxLength (code points), pattern (POSIX ERE
 * that begins with ^; what would take long to match is refused), minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum, maxProperties, title, description, default, secret.
 * Any other keyword makes the schema invalid: nothing is silently ignored.
 */

/* 0, or -1 and a message that names the place. */
int schema_check(const json_t *schema, char *err, size_t errlen);

/*
 * Appends the contract's items (2.6: {"type","loc","msg","ctx"}) for every
 * violation, at most 32, to `errors`, loc starting with "body","inputs".
 * Returns the number of violations. Never fails on any value.
 */
int schema_validate(const json_t *schema, const json_t *value, json_t *errors);

#endif
