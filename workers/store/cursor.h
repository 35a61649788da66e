/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_CURSOR_H
#define AX_STORE_CURSOR_H

#include <stdint.h>
#include "common/messages.h"

/*
 * Where a pass over the entries stands, as text for the client: base64url of
 * the position and a keyed hash over it and the query it belongs to. The key is
 * the database's (projector_key()): a cursor of a database that was made anew
 * is none. Pure.
 */
#define CURSOR_LEN 49 /* text and NUL */

struct cursor {
	int64_t created, id; /* of the last entry seen */
	uint64_t upto;	     /* the pass ends with this seq */
	uint32_t skip;	     /* entries still to be passed over */
};

void cursor_format(const struct cursor *, const uint8_t *key, enum query,
    char out[CURSOR_LEN]);
/* 0, or -1: not what cursor_format() made with this key for this query. */
int
cursor_parse(const char *text, const uint8_t *key, enum query, struct cursor *);

#endif
