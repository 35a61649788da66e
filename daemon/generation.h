/* SPDX-License-Identifier: ISC */
#ifndef AX_GENERATION_H
#define AX_GENERATION_H

#include <stdint.h>
#include "common/settings.h"

struct proc;

/*
 * One generation of the configuration: settings, skill manifests, governor
 * rules and credentials' digests, as loaded and checked at one moment.
 */
struct conf_text {
	char *name;
	char *text;
};

struct generation {
	uint64_t number;
	struct settings *settings;
	struct conf_text *skills, *rules, *keys;
	unsigned nskills, nrules, nkeys;
};

/*
 * Loads everything. NULL when anything is wrong; errs then tells all of it
 * with file and line. Blocks on files.
 */
struct generation *generation_load(const char *conf_file,
    char *const *overrides, unsigned noverrides, struct conf_errors *errs);
void generation_free(struct generation *);

/* Queues the generation's items for one worker, BEGIN to END. */
void generation_send(const struct generation *, struct proc *);

#endif
