/* SPDX-License-Identifier: ISC */
/*
 * The table of open permits: a hash by number and a list by age. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/audit/permits.h"

#define HASH_MIN 256

int
permits_init(struct permits *t)
{
	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->list);
	t->nhash = HASH_MIN;
	t->hash = calloc(t->nhash, sizeof(*t->hash));
	return (t->hash != NULL ? 0 : -1);
}

void
permits_clear(struct permits *t)
{
	struct permit *p;

	while ((p = TAILQ_FIRST(&t->list)) != NULL) {
		permits_remove(t, p);
		permit_free(p);
	}
	free(t->hash);
	t->hash = NULL;
}

struct permit *
permit_new(const char *skill, const char *actor, const char *request_id)
{
	struct permit *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return (NULL);
	p->skill = strdup(skill);
	p->actor = strdup(actor);
	p->request_id = request_id != NULL ? strdup(request_id) : NULL;
	if (p->skill == NULL || p->actor == NULL ||
	    (request_id != NULL && p->request_id == NULL)) {
		permit_free(p);
		return (NULL);
	}
	return (p);
}

void
permit_free(struct permit *p)
{
	if (p == NULL)
		return;
	free(p->skill);
	free(p->actor);
	free(p->request_id);
	free(p->inputs);
	free(p->error);
	json_decref(p->args);
	buf_free(&p->context);
	buf_free(&p->output);
	free(p);
}

static struct permit **
slot(const struct permits *t, uint64_t number)
{
	return (&t->hash[number & (t->nhash - 1)]);
}

/* Twice the slots; numbers are consecutive, so slots fill evenly. */
static int
grow(struct permits *t)
{
	struct permit **old = t->hash, *p;
	size_t n = t->nhash;

	if ((t->hash = calloc(n * 2, sizeof(*t->hash))) == NULL) {
		t->hash = old;
		return (-1);
	}
	t->nhash = n * 2;
	free(old);
	TAILQ_FOREACH(p, &t->list, entry) {
		p->hash_next = *slot(t, p->number);
		*slot(t, p->number) = p;
	}
	return (0);
}

int
permits_add(struct permits *t, struct permit *p)
{
	if (t->n >= t->nhash && grow(t) == -1)
		return (-1);
	p->hash_next = *slot(t, p->number);
	*slot(t, p->number) = p;
	TAILQ_INSERT_TAIL(&t->list, p, entry);
	t->n++;
	t->nsandboxed += p->sandboxed;
	return (0);
}

void
permits_remove(struct permits *t, struct permit *p)
{
	struct permit **pp = slot(t, p->number);

	while (*pp != p)
		pp = &(*pp)->hash_next;
	*pp = p->hash_next;
	TAILQ_REMOVE(&t->list, p, entry);
	t->n--;
	t->nsandboxed -= p->sandboxed;
}

struct permit *
permits_find(const struct permits *t, uint64_t number)
{
	struct permit *p = *slot(t, number);

	while (p != NULL && p->number != number)
		p = p->hash_next;
	return (p);
}

bool
origin_same(const struct origin *a, const struct origin *b)
{
	return (a->role == b->role && a->instance == b->instance &&
	    a->life == b->life && a->life != 0);
}

struct permit *
permits_of(const struct permits *t, const struct origin *o, uint64_t id)
{
	struct permit *p;

	TAILQ_FOREACH(p, &t->list, entry) {
		if (p->id == id && origin_same(&p->origin, o))
			return (p);
	}
	return (NULL);
}

uint64_t
permits_lowest(const struct permits *t)
{
	const struct permit *p;
	uint64_t low = 0;

	TAILQ_FOREACH(p, &t->list, entry) {
		if (low == 0 || p->number < low)
			low = p->number;
	}
	return (low);
}
