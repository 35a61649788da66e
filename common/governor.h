/* SPDX-License-Identifier: ISC */
#ifndef AX_GOVERNOR_H
#define AX_GOVERNOR_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The governor: scores a request by rules that are data
 * (etc/governor.d/NN-name.json, archillx-governor(5)) and decides by mode and
 * thresholds (contract 5.3). Pure: same rules and request, same verdict.
 */
enum gov_mode { GOV_OFF, GOV_AUDIT_ONLY, GOV_SOFT_BLOCK, GOV_HARD_BLOCK };
enum gov_decision { GOV_APPROVED, GOV_WARNED, GOV_BLOCKED };

const char *gov_decision_name(enum gov_decision); /* "APPROVED", ... */

struct governor; /* a rule set */

struct gov_request {
	const char *action; /* "api:execute_skill:code_exec" */
	const char *skill;
	const char *source; /* api, cron, ... */
	const char *role;
	const json_t
	    *inputs;	  /* object; operation and path are looked up here */
	const char *base; /* where a relative path starts: the first folder
			       * of file_ops; NULL: not known */
};

#define GOV_HITS_MAX 32

struct gov_verdict {
	enum gov_decision decision;
	int score; /* 0..100 */
	char reason[160];
	/* the rules that matched, in order; owned by the governor */
	struct {
		const char *id;
		int points;
		const char *why;
	} hits[GOV_HITS_MAX];
	unsigned nhits;
};

struct governor *governor_new(void);
/* Adds one file's rules; 0, or -1 and a message that names the rule. */
int governor_add(struct governor *, const char *file, const char *text,
    size_t len, char *err, size_t errlen);
void governor_free(struct governor *);
/* SHA-256 over the rules in order, for records. */
void governor_digest(const struct governor *, uint8_t out[32]);
unsigned governor_nrules(const struct governor *);

void governor_evaluate(const struct governor *, const struct gov_request *,
    enum gov_mode, int block_threshold, int warn_threshold,
    struct gov_verdict *);

#endif
