/* SPDX-License-Identifier: ISC */
#ifndef AX_MANIFEST_H
#define AX_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

/*
 * A skill's manifest, etc/skills.d/NAME.json (archillx-skills(5)): parsed and
 * checked once, read by the parent, audit, the broker and the fronts.
 */
enum skill_runtime {
	RUN_CODE,    /* code_exec: source text in a sandbox */
	RUN_PROGRAM, /* argv in a sandbox, JSON on stdin and stdout */
	RUN_FILES    /* file_ops */
};

#define SKILL_ROLES 8

struct skill {
	char *name; /* [A-Za-z0-9_.-]{1,64} */
	char *version;
	char *description;
	enum skill_runtime runtime;
	bool enabled; /* default only: the operator's flag wins */
	bool governor_required;
	bool high_risk;	  /* permission exec or filesystem */
	bool has_secrets; /* its schema calls some input secret */
	/* ACL: NULL-terminated lists of names, NULL when absent */
	char **permissions, **allow_roles, **allow_sources, **deny_sources;
	json_t *inputs;	 /* JSON Schema subset, an object; never NULL */
	json_t *doc;	 /* the whole manifest as loaded */
	char **argv;	 /* RUN_PROGRAM */
	char *host_path; /* RUN_PROGRAM: folder mounted read-only, or NULL */
	/* limits; 0 = the setting's */
	uint32_t timeout_ms;
	uint64_t memory;
	uint32_t pids;
	uint64_t max_stdout, max_stderr;
};

/*
 * Parses one manifest. Pure. NULL, and a message for the operator in err
 * ("runtime.kind: \"dockr\" is not one of code, program, files"). The name must
 * equal `expect_name` unless that is NULL.
 */
struct skill *skill_parse(const char *text, size_t len, const char *expect_name,
    char *err, size_t errlen);
void skill_free(struct skill *);

/*
 * The ACL of the contract, 6.3: NULL when allowed, else the rule that denies
 * ("deny_sources", "allow_sources", "allow_roles", "high_risk_permission").
 */
const char *
skill_acl(const struct skill *, const char *role, const char *source);

#endif
