/* SPDX-License-Identifier: ISC */
#ifndef AX_RATE_TABLE_H
#define AX_RATE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The rate table all http workers share (RES_RATE_TABLE): the parent makes a
 * memfd of rate_table_size() zero bytes, the workers map it. All zeroes is an
 * empty table. Words are 64-bit atomics, there are no locks: a worker killed
 * in the middle of an update leaves an entry that is right again after its
 * window. How the words are used is in workers/http/rate.c alone.
 */
#define RATE_TABLE_ENTRIES 16384u /* a power of two */

struct rate_entry {
	uint64_t key;	 /* 0: free; else a hash of bucket and client */
	uint64_t window; /* number of the window << 32 | count in it */
	uint64_t before; /* the same of the window before it */
	uint64_t unused;
};

struct rate_table {
	struct rate_entry e[RATE_TABLE_ENTRIES];
};

static inline size_t
rate_table_size(void)
{
	return (sizeof(struct rate_table));
}

#endif
