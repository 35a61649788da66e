/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_RATE_H
#define AX_HTTP_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/rate_table.h"

/*
 * The rate limit over the table that all http workers share. Pure: the caller
 * brings the table and the time.
 *
 * The last 60 s are estimated by two counters: what the current minute has
 * admitted, and the part of the minute before that the last 60 s still cover.
 */
#define RATE_WINDOW_US 60000000u

struct rate_verdict {
	bool admitted;
	unsigned limit;
	unsigned remaining;
	unsigned reset_s; /* 60 when admitted, else when to try again; >= 1 */
};

/* The client's key: never 0. `who` is its credential's digest or address. */
uint64_t rate_key(unsigned bucket, const void *who, size_t len);

/*
 * Admits one request of `key`, or not; a refused one is not counted. now_us is
 * CLOCK_MONOTONIC, the same for all processes. Safe against other processes in
 * the same call and against their death in the middle of it.
 */
void rate_take(struct rate_table *, uint64_t key, unsigned limit,
    uint64_t now_us, struct rate_verdict *);

#endif
