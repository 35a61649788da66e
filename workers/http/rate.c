/* SPDX-License-Identifier: ISC */
/*
 * Counting requests in shared memory without locks. A counter word carries the
 * number of its window beside the count, so that a stale one is known as such
 * and counts as zero: an entry torn by a killed worker is right again after its
 * window. It must never block, and never trust a word to be sane.
 */
#include <string.h>

#include "common/util.h"
#include "workers/http/rate.h"

#define PROBES 8 /* entries a key may live in */

/* A counter word: the window's number and the count in it. */
static inline uint64_t
word(uint32_t window, uint32_t count)
{
	return ((uint64_t)window << 32 | count);
}

static inline uint32_t
word_window(uint64_t w)
{
	return ((uint32_t)(w >> 32));
}

static inline uint32_t
word_count(uint64_t w)
{
	return ((uint32_t)w);
}

static inline uint64_t
load(const uint64_t *p)
{
	return (__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline bool
swap(uint64_t *p, uint64_t *old, uint64_t new)
{
	return (__atomic_compare_exchange_n(p, old, new, false,
	    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

uint64_t
rate_key(unsigned bucket, const void *who, size_t len)
{
	uint8_t in[1 + 128], digest[32];
	uint64_t key;

	if (len > sizeof(in) - 1)
		len = sizeof(in) - 1;
	in[0] = (uint8_t)bucket;
	memcpy(in + 1, who, len);
	ax_sha256(in, len + 1, digest);
	memcpy(&key, digest, sizeof(key));
	return (key != 0 ? key : 1);
}

/* True when nothing of it matters in this or the next window. */
static bool
entry_stale(const struct rate_entry *e, uint32_t now)
{
	uint32_t w = word_window(load(&e->window));

	return (w != now && w != now - 1);
}

/* The entry of key; a free, stale or the least used one becomes it. */
static struct rate_entry *
entry_find(struct rate_table *t, uint64_t key, uint32_t now)
{
	struct rate_entry *e, *victim = NULL;
	uint64_t old = 0, had;
	uint32_t least = UINT32_MAX, count;
	unsigned i;

	for (i = 0; i < PROBES; i++) {
		e = &t->e[(key + i) & (RATE_TABLE_ENTRIES - 1)];
		had = load(&e->key);
		if (had == key)
			return (e);
		count = 0;
		if (had != 0 && !entry_stale(e, now))
			count = word_count(load(&e->window)) + 1;
		if (victim == NULL || count < least) {
			victim = e;
			least = count;
			old = had;
		}
	}
	if (swap(&victim->key, &old, key) || old == key) {
		if (least > 0)
			__atomic_store_n(&victim->window, word(now, 0),
			    __ATOMIC_RELEASE);
		return (victim);
	}
	/* Another worker was faster: its client shares the entry this once. */
	return (victim);
}

/* Makes `window` the current one; returns the word as it now stands. */
static uint64_t
entry_roll(struct rate_entry *e, uint32_t now)
{
	uint64_t w = load(&e->window);

	while (word_window(w) != now) {
		/* A clock a little ahead elsewhere: its window is ours. */
		if (word_window(w) == now + 1)
			return (w);
		if (swap(&e->window, &w, word(now, 0))) {
			__atomic_store_n(&e->before, w, __ATOMIC_RELEASE);
			return (word(now, 0));
		}
	}
	return (w);
}

/* Seconds until one more fits: see rate.h for the estimate. */
static unsigned
reset_after(uint32_t count, uint32_t before, unsigned limit, uint64_t into)
{
	uint64_t need, wait;

	if (count >= limit) {
		/* In the next window, when count has decayed far enough. */
		need = (uint64_t)(count - limit + 1) * RATE_WINDOW_US / count;
		wait = RATE_WINDOW_US - into + need;
	} else {
		need = RATE_WINDOW_US -
		    (uint64_t)(limit - 1 - count) * RATE_WINDOW_US / before;
		wait = need > into ? need - into : 0;
	}
	wait = (wait + 999999) / 1000000;
	return (wait == 0 ? 1 : (unsigned)wait);
}

void
rate_take(struct rate_table *t, uint64_t key, unsigned limit, uint64_t now_us,
    struct rate_verdict *v)
{
	uint32_t now = (uint32_t)(now_us / RATE_WINDOW_US) + 2;
	uint64_t into = now_us % RATE_WINDOW_US, w, b;
	struct rate_entry *e = entry_find(t, key, now);
	uint32_t before;
	uint64_t used;

	if (limit == 0)
		limit = 1;
	v->limit = limit;
	w = entry_roll(e, now);
	do {
		b = load(&e->before);
		before = word_window(b) == word_window(w) - 1 ? word_count(b) :
								0;
		/* Rounded up: the estimate never favours the client. */
		used = word_count(w) +
		    (before * (RATE_WINDOW_US - into) + RATE_WINDOW_US - 1) /
			RATE_WINDOW_US;
		if (used >= limit) {
			v->admitted = false;
			v->remaining = 0;
			v->reset_s =
			    reset_after(word_count(w), before, limit, into);
			return;
		}
	} while (!swap(&e->window, &w, w + 1));
	v->admitted = true;
	v->remaining = (unsigned)(limit - used - 1);
	v->reset_s = RATE_WINDOW_US / 1000000;
}
