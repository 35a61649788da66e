/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_ROLLUP_H
#define AX_STORE_ROLLUP_H

#include <stddef.h>
#include <stdint.h>
#include "workers/store/db.h"

/*
 * Counts by time and class. Four spans are kept: minutes, hours and days
 * (since 1970, UTC) for ranges, and one row a class for all time, so that a
 * summary reads few rows however many there are. Added up in memory for one
 * batch, then put into the database in the batch's transaction.
 */
enum rollup_span {
	ROLLUP_ALL,
	ROLLUP_MINUTE,
	ROLLUP_HOUR,
	ROLLUP_DAY,
	ROLLUP_SPANS
};

#define ROLLUP_MINUTE_US INT64_C(60000000)
#define ROLLUP_HOUR_US	 (60 * ROLLUP_MINUTE_US)
#define ROLLUP_DAY_US	 (24 * ROLLUP_HOUR_US)

struct rollup;

struct rollup *rollup_new(void); /* NULL with ENOMEM */
void rollup_free(struct rollup *);
/* One row of this class at created_us; 0, or -1: full, commit first. */
int rollup_add(struct rollup *, int64_t class, int64_t created_us);
/* Writes all counts; they stay until rollup_clear(). */
enum db_rc rollup_put(const struct rollup *, struct db *);
void rollup_clear(struct rollup *);
/* The next rollup_add() could fail. */
int rollup_full(const struct rollup *);

#endif
