/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_JTEXT_H
#define AX_HTTP_JTEXT_H

#include <stddef.h>
#include "common/buf.h"

/*
 * JSON text that is passed on as it was written, with small changes to its
 * form: numbers keep their digits, members their order. The text must be valid
 * JSON; of other text the result is text of no greater length plus four.
 * Pure.
 */

/* Appends s[0..n) without the blanks between its parts. */
void jtext_compact(struct buf *, const char *s, size_t n);

/*
 * Appends the object s[0..n) with null in place of the value of its own member
 * `name` (not of members of its members).
 */
void jtext_hide(struct buf *, const char *s, size_t n, const char *name);

#endif
