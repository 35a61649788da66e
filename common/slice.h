/* SPDX-License-Identifier: ISC */
#ifndef AX_SLICE_H
#define AX_SLICE_H

#include <stddef.h>

/* A piece of text that someone else owns; p is NULL for JSON null. */
struct slice {
	const char *p;
	size_t n;
};

#endif
