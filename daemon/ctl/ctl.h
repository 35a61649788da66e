/* SPDX-License-Identifier: ISC */
#ifndef AX_CTL_H
#define AX_CTL_H

#include <stdbool.h>
#include <jansson.h>
#include "common/settings.h"

/* Exit statuses of archillxctl. */
#define CTL_DONE	0
#define CTL_FAILED	1 /* refused or failed; the reason is on stderr */
#define CTL_USAGE	2
#define CTL_UNREACHABLE 3 /* the daemon does not answer */

struct ctl {
	const char *conf_file; /* -f, or NULL */
	const char *socket;    /* path of the control socket */
	bool json;
	bool quiet; /* nothing is said of a daemon that does not answer */
	struct settings *settings; /* loaded for verbs that need them */
};

/* A verb: argv[0] is the first word behind "NOUN VERB". */
typedef int (*ctl_fn)(struct ctl *, int argc, char **argv);

struct ctl_verb {
	const char *noun, *verb; /* verb NULL: the noun alone */
	const char *args;	 /* for the help */
	const char *help;
	bool needs_settings; /* -f is read before it runs */
	ctl_fn fn;
};

/*
 * One request to the daemon: CTL_DONE and *result (a new reference) set, else
 * an exit status; the reason was printed. Blocks until the daemon answers.
 * args is taken over.
 */
int ctl_request(struct ctl *, const char *verb, json_t *args, json_t **result);
/* Prints j as JSON. Returns CTL_DONE. */
int ctl_print_json(const json_t *j);
int ctl_usage(const char *why);
/*
 * EVIDENCE_DIR of the configuration, which is read if it was not; NULL: it
 * cannot be, told on stderr.
 */
const char *ctl_evidence_dir(struct ctl *);

/* The verbs of the journal, by cmd_audit.c. */
extern const struct ctl_verb audit_verbs[];
extern const size_t naudit_verbs;

/* The verbs, by file. */
int cmd_status(struct ctl *, int, char **);
int cmd_version(struct ctl *, int, char **);
int cmd_reload(struct ctl *, int, char **);
int cmd_stop(struct ctl *, int, char **);
int cmd_log_level(struct ctl *, int, char **);
int cmd_probe(struct ctl *, int, char **);
int cmd_config_show(struct ctl *, int, char **);
int cmd_config_doc(struct ctl *, int, char **);
int cmd_config_check(struct ctl *, int, char **);
int cmd_key_new(struct ctl *, int, char **);
int cmd_key_list(struct ctl *, int, char **);
int cmd_key_new_signing(struct ctl *, int, char **);
int cmd_key_show_signing(struct ctl *, int, char **);
int cmd_skill_enable(struct ctl *, int, char **);
int cmd_skill_disable(struct ctl *, int, char **);
int cmd_skill_lint(struct ctl *, int, char **);
int cmd_skill_list(struct ctl *, int, char **);
int cmd_governor_test(struct ctl *, int, char **);
int cmd_governor_check(struct ctl *, int, char **);
int cmd_migrate(struct ctl *, int, char **);
int cmd_audit_archive(struct ctl *, int, char **);
int cmd_audit_hash(struct ctl *, int, char **);
int cmd_audit_prove(struct ctl *, int, char **);
int cmd_audit_check_proof(struct ctl *, int, char **);
int cmd_audit_tail(struct ctl *, int, char **);
int cmd_audit_verify(struct ctl *, int, char **);
int cmd_audit_export(struct ctl *, int, char **);

#endif
