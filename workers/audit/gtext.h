/* SPDX-License-Identifier: ISC */
#ifndef AX_GTEXT_H
#define AX_GTEXT_H

#include <jansson.h>
#include "common/buf.h"
#include "common/governor.h"
#include "common/manifest.h"
#include "common/messages.h"
#include "common/secret.h"

/*
 * The texts of the gate: contexts of journal lines (keys sorted, ", " and ": "
 * between) and outputs of answers. Pure. No text of a run's output goes into a
 * context, only its size and digest; inputs are given without their secrets
 * (common/secret.h), and above GTEXT_INPUTS_MAX bytes only size and digest of
 * that text go in.
 */
#define GTEXT_INPUTS_MAX 4096

struct decision_facts {
	const struct skill *skill;
	const char *source, *role, *address;
	const json_t *shown; /* the inputs, secrets taken out */
	const struct gov_verdict *verdict;
	const uint8_t *policy; /* 32 bytes */
};
void gtext_decision(struct buf *, const struct decision_facts *);
/* [{"id","points","why"}] for the answer. */
void gtext_rules(struct buf *, const struct gov_verdict *);

/*
 * The context of a sandbox's outcome; success: as answered. `keyed` not NULL:
 * the run had secret inputs, which its output or error may repeat: digests
 * are made with that key, and the error is withheld.
 */
void
gtext_exec_context(struct buf *, const char *skill, const struct exec_done *,
    bool success, const char *error, const struct secret_key *keyed);
/* Contract 6.7, with the keys of the issue beside it. */
void gtext_exec_output(struct buf *, const struct exec_done *, bool success,
    const char *error);
/* What the contract says went wrong; NULL when nothing did. Static or in
 * `scratch`. */
const char *
gtext_exec_error(const struct exec_done *, char *scratch, size_t size);
void gtext_file_context(struct buf *, const char *skill, bool ok,
    const char *text, uint64_t wall_us, const struct secret_key *keyed);
/* The end of a run that no executor reported: `state` and why. */
void gtext_end_context(struct buf *, const char *skill, const char *state,
    const char *note);
/* The output object of code_exec switched off by policy. */
void gtext_disabled_output(struct buf *, const char *backend, const char *error,
    const char *run_id);

#endif
