/* SPDX-License-Identifier: ISC */
/*
 * Rollups of one batch: a fixed hash table from (span, start, class) to a
 * count and the newest time. A batch of thousands of lines becomes a few dozen
 * upserts. It must never be larger than its fixed size: a full table ends the
 * batch, it does not grow.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/store/rollup.h"

#define CELLS	  16384 /* power of two */
#define CELLS_MAX (CELLS / 2)

struct cell {
	int64_t start;
	int64_t latest;
	uint32_t class;
	uint32_t n; /* 0: free */
	uint8_t span;
};

struct rollup {
	struct cell cell[CELLS];
	uint16_t used[CELLS_MAX]; /* taken cells, in order */
	size_t nused;
};

struct rollup *
rollup_new(void)
{
	return (calloc(1, sizeof(struct rollup)));
}

void
rollup_free(struct rollup *r)
{
	free(r);
}

static struct cell *
cell_get(struct rollup *r, enum rollup_span span, int64_t start, uint32_t class)
{
	uint64_t h = (uint64_t)start * 2654435761u + class * 40503u + span;
	size_t i = (size_t)(h ^ h >> 17) & (CELLS - 1);
	struct cell *c;

	for (c = &r->cell[i]; c->n != 0; c = &r->cell[i]) {
		if (c->class == class && c->start == start && c->span == span)
			return (c);
		i = (i + 1) & (CELLS - 1);
	}
	r->used[r->nused++] = (uint16_t)i;
	c->span = (uint8_t)span;
	c->start = start;
	c->class = class;
	c->latest = 0;
	return (c);
}

int
rollup_full(const struct rollup *r)
{
	return (r->nused + ROLLUP_SPANS > CELLS_MAX);
}

int
rollup_add(struct rollup *r, int64_t class, int64_t created_us)
{
	static const int64_t unit[ROLLUP_SPANS] = {
		[ROLLUP_ALL] = INT64_MAX,
		[ROLLUP_MINUTE] = ROLLUP_MINUTE_US,
		[ROLLUP_HOUR] = ROLLUP_HOUR_US,
		[ROLLUP_DAY] = ROLLUP_DAY_US,
	};
	struct cell *c;
	unsigned span;

	if (rollup_full(r))
		return (-1);
	for (span = 0; span < ROLLUP_SPANS; span++) {
		c = cell_get(r, span, created_us / unit[span],
		    (uint32_t) class);
		c->n++;
		if (created_us > c->latest)
			c->latest = created_us;
	}
	return (0);
}

enum db_rc
rollup_put(const struct rollup *r, struct db *db)
{
	const struct cell *c;
	struct db_stmt *st;
	enum db_rc rc;
	size_t i;

	for (i = 0; i < r->nused; i++) {
		c = &r->cell[r->used[i]];
		if ((st = db_query(db, DBQ_ROLLUP_PUT)) == NULL)
			return (DB_ERROR);
		db_bind_int(st, 1, c->span);
		db_bind_int(st, 2, c->start);
		db_bind_int(st, 3, c->class);
		db_bind_int(st, 4, c->n);
		db_bind_int(st, 5, c->latest);
		if ((rc = db_run(st)) != DB_OK)
			return (rc);
	}
	return (DB_OK);
}

void
rollup_clear(struct rollup *r)
{
	size_t i;

	for (i = 0; i < r->nused; i++)
		r->cell[r->used[i]].n = 0;
	r->nused = 0;
}
