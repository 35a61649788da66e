/* SPDX-License-Identifier: ISC */
/*
 * The table of denials, see denials.h. Rows are allocated once; the last ones
 * are those called "others", one for each kind. Who floods can fill the table
 * and so make others share a row, but can neither make it grow nor have
 * anything go uncounted. Must never drop a row with a count in it by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "workers/audit/denials.h"

#define HEADS 2048 /* a power of two */

struct denials {
	TAILQ_HEAD(rows, denial) used, spare;
	struct denial *heads[HEADS];
	struct denial rows[DENIALS_MAX + DENIAL_MAX];
	size_t n;
};

struct denials *
denials_new(void)
{
	struct denials *t = calloc(1, sizeof(*t));
	size_t i;

	if (t == NULL)
		return (NULL);
	TAILQ_INIT(&t->used);
	TAILQ_INIT(&t->spare);
	for (i = 0; i < DENIALS_MAX; i++)
		TAILQ_INSERT_TAIL(&t->spare, &t->rows[i], entry);
	return (t);
}

void
denials_free(struct denials *t)
{
	free(t);
}

size_t
denials_n(const struct denials *t)
{
	return (t->n);
}

/* FNV-1a, 64 bits: whoever makes two collide makes them share a chain. */
static uint64_t
hash_text(uint64_t h, const char *s)
{
	do {
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	} while (*s++ != '\0');
	return (h);
}

static struct denial **
head_of(struct denials *t, const struct denial *d)
{
	uint64_t h = 0xcbf29ce484222325ull + d->kind;

	h = hash_text(h, d->has_actor ? d->actor : d->address);
	h = hash_text(h, d->reason);
	h = hash_text(h, d->skill);
	return (&t->heads[(h ^ h >> 32) & (HEADS - 1)]);
}

static bool
same(const struct denial *a, const struct denial *b)
{
	return (a->kind == b->kind && a->has_actor == b->has_actor &&
	    strcmp(a->has_actor ? a->actor : a->address,
		b->has_actor ? b->actor : b->address) == 0 &&
	    strcmp(a->reason, b->reason) == 0 &&
	    strcmp(a->skill, b->skill) == 0);
}

static void
put(char *out, size_t size, const char *s)
{
	if (s == NULL)
		s = "";
	(void)ax_strlcpy(out, s, line_cut(s, size - 1) + 1);
}

/* The facts as a row would hold them. */
static void
row_of(const struct denial_facts *f, struct denial *d)
{
	memset(d, 0, sizeof(*d));
	d->kind = f->kind;
	d->has_actor = f->actor != NULL;
	put(d->actor, sizeof(d->actor), f->actor);
	put(d->address, sizeof(d->address), f->address);
	put(d->reason, sizeof(d->reason), f->reason);
	put(d->skill, sizeof(d->skill), f->skill);
}

static struct denial *
lookup(struct denials *t, const struct denial *key)
{
	struct denial *d = *head_of(t, key);

	while (d != NULL && !same(d, key))
		d = d->hash_next;
	return (d);
}

static void
enter(struct denials *t, struct denial *d, const struct denial *key,
    uint64_t mono_us)
{
	struct denial **head;

	*d = *key;
	d->since = mono_us;
	TAILQ_INSERT_TAIL(&t->used, d, entry);
	t->n++;
	if (d->others)
		return;
	head = head_of(t, d);
	d->hash_next = *head;
	*head = d;
}

/* A row for the key; *first tells that it is new. */
static struct denial *
find_or_enter(struct denials *t, struct denial *key, uint64_t mono_us,
    bool *first)
{
	struct denial *d = lookup(t, key);

	*first = false;
	if (d != NULL)
		return (d);
	if ((d = TAILQ_FIRST(&t->spare)) != NULL)
		TAILQ_REMOVE(&t->spare, d, entry);
	else {
		d = &t->rows[DENIALS_MAX + key->kind];
		if (d->others) /* in use */
			return (d);
		memset(key, 0, sizeof(*key));
		key->kind = (enum denial_kind)(d - &t->rows[DENIALS_MAX]);
		key->others = true;
		put(key->address, sizeof(key->address), DENIALS_OTHERS);
	}
	enter(t, d, key, mono_us);
	*first = true;
	return (d);
}

/* One more request id, if it is one. */
static void
count_id(struct denial *d, const char *id)
{
	uint64_t h;
	unsigned i;

	if (id == NULL)
		return;
	h = hash_text(0xcbf29ce484222325ull, id);
	for (i = 0; i < d->nids; i++) {
		if (d->ids[i] == h)
			return;
	}
	if (d->nids == DENIALS_IDS) {
		d->counted.more_ids = true;
		return;
	}
	d->ids[d->nids++] = h;
	d->counted.request_ids++;
}

static void
count(struct denial *d, const struct denial_facts *f, uint64_t real_us)
{
	struct denial_count *c = &d->counted;

	if (c->n == 0)
		c->first_at = real_us;
	c->last_at = real_us;
	c->n += f->count;
	if (f->count == 1)
		count_id(d, f->request_id);
	else
		c->request_ids += f->request_ids;
}

/* What is counted goes to be recorded. */
static void
take(struct denial *d)
{
	d->pending = d->counted;
	memset(&d->counted, 0, sizeof(d->counted));
	d->nids = 0;
	d->recording = true;
}

struct denial *
denials_note(struct denials *t, const struct denial_facts *f, uint64_t mono_us,
    uint64_t real_us, bool *first)
{
	struct denial key, *d;

	row_of(f, &key);
	d = find_or_enter(t, &key, mono_us, first);
	count(d, f, real_us);
	if (*first)
		take(d);
	return (d);
}

static void
drop(struct denials *t, struct denial *d)
{
	struct denial **pp;

	TAILQ_REMOVE(&t->used, d, entry);
	t->n--;
	if (d->others) {
		d->others = false;
		return;
	}
	for (pp = head_of(t, d); *pp != d; pp = &(*pp)->hash_next)
		;
	*pp = d->hash_next;
	TAILQ_INSERT_TAIL(&t->spare, d, entry);
}

struct denial *
denials_due(struct denials *t, uint64_t mono_us, bool all)
{
	struct denial *d, *next;

	for (d = TAILQ_FIRST(&t->used); d != NULL; d = next) {
		next = TAILQ_NEXT(d, entry);
		if (d->recording ||
		    (!all && d->seq != 0 &&
			mono_us - d->since < DENIALS_WINDOW_US))
			continue;
		if (d->counted.n == 0) {
			drop(t, d);
			continue;
		}
		take(d);
		d->summing = true;
		return (d);
	}
	return (NULL);
}

void
denials_recorded(struct denials *t, struct denial *d, uint64_t seq,
    uint64_t mono_us)
{
	d->recording = false;
	d->seq = seq;
	if (!d->summing)
		return;
	d->summing = false;
	d->since = mono_us;
	if (d->counted.n == 0)
		drop(t, d);
}

void
denials_refused(struct denial *d)
{
	struct denial_count *c = &d->counted;
	const struct denial_count *p = &d->pending;

	if (c->n == 0)
		c->last_at = p->last_at;
	c->first_at = p->first_at;
	c->n += p->n;
	c->request_ids += p->request_ids;
	c->more_ids |= p->more_ids;
	d->recording = d->summing = false;
	d->seq = 0;
}
