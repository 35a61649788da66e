/* SPDX-License-Identifier: ISC */
/*
 * The table of requests in flight. The low bits of an id are the slot, the
 * rest counts up, so that finding is one comparison and no answer can be taken
 * for that of an earlier use of the slot. It never looks at what it holds.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/http/inflight.h"

#define SLOT_BITS 16
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define NO_SLOT	  UINT32_MAX

_Static_assert(INFLIGHT_MAX <= SLOT_MASK + 1, "slots fit their bits");

void
inflight_init(struct inflight_table *t)
{
	memset(t, 0, sizeof(*t));
	t->free_head = NO_SLOT;
}

static struct inflight *
at(const struct inflight_table *t, uint32_t slot)
{
	return (&t->chunks[slot / INFLIGHT_CHUNK][slot % INFLIGHT_CHUNK]);
}

void
inflight_clear(struct inflight_table *t)
{
	uint32_t i;

	for (i = 0; i < t->size / INFLIGHT_CHUNK; i++)
		free(t->chunks[i]);
	inflight_init(t);
}

/* One more chunk; its first slot ends up at the head of the free list. */
static int
grow(struct inflight_table *t)
{
	struct inflight *chunk;
	uint32_t i;

	if (t->size >= INFLIGHT_MAX)
		return (-1);
	if ((chunk = calloc(INFLIGHT_CHUNK, sizeof(*chunk))) == NULL)
		return (-1);
	t->chunks[t->size / INFLIGHT_CHUNK] = chunk;
	for (i = INFLIGHT_CHUNK; i-- > 0;) {
		chunk[i].slot = t->size + i;
		chunk[i].next_free = t->free_head;
		t->free_head = t->size + i;
	}
	t->size += INFLIGHT_CHUNK;
	return (0);
}

struct inflight *
inflight_add(struct inflight_table *t, enum inflight_kind kind,
    uint64_t deadline_us)
{
	struct inflight *f;

	if (t->free_head == NO_SLOT && grow(t) == -1)
		return (NULL);
	f = at(t, t->free_head);
	t->free_head = f->next_free;
	f->id = (++t->turns << SLOT_BITS) | f->slot;
	f->kind = kind;
	f->deadline_us = deadline_us;
	t->used++;
	return (f);
}

struct inflight *
inflight_find(struct inflight_table *t, uint64_t id, enum inflight_kind kind)
{
	uint32_t slot = id & SLOT_MASK;
	struct inflight *f;

	if (slot >= t->size)
		return (NULL);
	f = at(t, slot);
	return (f->kind == kind && f->id == id ? f : NULL);
}

void
inflight_drop(struct inflight_table *t, struct inflight *f)
{
	uint32_t slot = f->slot;

	memset(f, 0, sizeof(*f));
	f->slot = slot;
	f->next_free = t->free_head;
	t->free_head = slot;
	t->used--;
}

struct inflight *
inflight_next(struct inflight_table *t, uint32_t *cursor,
    enum inflight_kind kind, uint64_t due_us)
{
	struct inflight *f;

	if (t->used == 0)
		return (NULL);
	while (*cursor < t->size) {
		f = at(t, (*cursor)++);
		if (f->kind == kind && f->deadline_us <= due_us)
			return (f);
	}
	return (NULL);
}
