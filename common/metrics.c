/* SPDX-License-Identifier: ISC */
/* Names of the metrics and the one operation that is more than a store. */
#include "metrics.h"

const struct metric_desc metric_counters[MC_MAX] = {
#define M(id, n, l, h) { n, l, h },
	METRICS_COUNTERS(M)
#undef M
};

const struct metric_desc metric_gauges[MG_MAX] = {
#define M(id, n, l, h) { n, l, h },
	METRICS_GAUGES(M)
#undef M
};

const uint64_t metric_bounds_us[MH_BUCKETS - 1] = { 100, 250, 500, 1000, 2500,
	5000, 10000, 25000, 50000, 100000, 500000, 1000000, 5000000 };

void
metric_observe_us(struct metrics_slot *s, enum metric_hist h, uint64_t us)
{
	unsigned i;

	for (i = 0; i < MH_BUCKETS - 1 && us > metric_bounds_us[i]; i++)
		;
	__atomic_fetch_add(&s->bucket[h][i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->sum_us[h], us, __ATOMIC_RELAXED);
}
