/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_WALK_H
#define AX_VERIFY_WALK_H

#include <stdint.h>
#include "daemon/verify/layout.h"

/*
 * The lines of all segments in order, with one fixed buffer. Whatever cannot
 * be read as lines is told as an event of its own, and the walk goes on behind
 * it.
 */
struct walk;

enum walk_event {
	WALK_LINE,    /* p and n */
	WALK_LONG,    /* a line longer than any of a journal; no p */
	WALK_TORN,    /* bytes without a newline at the end of a segment */
	WALK_DAMAGED, /* the rest of the segment is not to be had: error */
	WALK_END
};

struct walk_line {
	const char *p; /* without the newline; until the next call */
	size_t n;
	const struct layout_segment *seg;
	uint64_t offset; /* where it begins in the segment's text */
	int error;	 /* errno of WALK_DAMAGED */
};

struct walk *walk_new(struct layout *); /* NULL with ENOMEM */
void walk_free(struct walk *);
enum walk_event walk_next(struct walk *, struct walk_line *);

#endif
