/* SPDX-License-Identifier: ISC */
/*
 * The skill registry of a generation, and the operators' flags that stand
 * above it. Pure. Must never turn on what an operator turned off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/audit/registry.h"

struct registry *
registry_new(void)
{
	return (calloc(1, sizeof(struct registry)));
}

void
registry_free(struct registry *r)
{
	unsigned i;

	if (r == NULL)
		return;
	for (i = 0; i < r->n; i++)
		skill_free(r->v[i]);
	free(r);
}

int
registry_add(struct registry *r, const char *name, const char *text, char *err,
    size_t errlen)
{
	char why[256];
	struct skill *s;

	if (registry_find(r, name, NULL) != NULL || r->n == METRICS_SKILLS) {
		(void)snprintf(err, errlen, "skill %s: %s", name,
		    r->n == METRICS_SKILLS ? "too many skills" :
					     "there already");
		return (-1);
	}
	if ((s = skill_parse(text, strlen(text), name, why, sizeof(why))) ==
	    NULL) {
		(void)snprintf(err, errlen, "skill %s: %s", name, why);
		return (-1);
	}
	r->v[r->n++] = s;
	return (0);
}

const struct skill *
registry_find(const struct registry *r, const char *name, unsigned *index)
{
	unsigned i;

	for (i = 0; i < r->n; i++) {
		if (strcmp(r->v[i]->name, name) == 0) {
			if (index != NULL)
				*index = i;
			return (r->v[i]);
		}
	}
	return (NULL);
}

static struct flag *
flag_find(const struct flags *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (strcmp(f->v[i].name, name) == 0)
			return (&f->v[i]);
	}
	return (NULL);
}

int
flags_set(struct flags *f, const char *name, bool enabled)
{
	struct flag *v = flag_find(f, name);
	char *copy;

	if (v != NULL) {
		v->enabled = enabled;
		return (0);
	}
	if ((copy = strdup(name)) == NULL)
		return (-1);
	if ((v = reallocarray(f->v, f->n + 1, sizeof(*v))) == NULL) {
		free(copy);
		return (-1);
	}
	f->v = v;
	f->v[f->n].name = copy;
	f->v[f->n++].enabled = enabled;
	return (0);
}

bool
flags_enabled(const struct flags *f, const struct skill *s)
{
	const struct flag *v = flag_find(f, s->name);

	return (v != NULL ? v->enabled : s->enabled);
}

void
flags_clear(struct flags *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		free(f->v[i].name);
	free(f->v);
	f->v = NULL;
	f->n = 0;
}
