/* SPDX-License-Identifier: ISC */
#ifndef AX_REGISTRY_H
#define AX_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include "common/manifest.h"
#include "common/metrics.h"

/* The skills of one generation, in registry order (that of metrics_slot). */
struct registry {
	struct skill *v[METRICS_SKILLS];
	unsigned n;
};

struct registry *registry_new(void); /* NULL with ENOMEM */
void registry_free(struct registry *);
/* One CONF_SKILL item. -1 and err: no manifest, a name twice, too many. */
int registry_add(struct registry *, const char *name, const char *text,
    char *err, size_t errlen);
/* NULL when unknown; *index may be NULL. */
const struct skill *
registry_find(const struct registry *, const char *name, unsigned *index);

/*
 * What operators switched on or off. Comes from the journal, outlives
 * generations and restarts, and wins over the manifest's default; a name whose
 * manifest is gone keeps its flag.
 */
struct flags {
	struct flag {
		char *name;
		bool enabled;
	} * v;
	size_t n;
};

int flags_set(struct flags *, const char *name, bool enabled); /* -1 ENOMEM */
/* The flag, or the default. */
bool flags_enabled(const struct flags *, const struct skill *);
void flags_clear(struct flags *);

#endif
