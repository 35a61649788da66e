/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_CLI_H
#define AX_VERIFY_CLI_H

#include <stdbool.h>
#include "daemon/verify/verify.h"

/* The arguments of archillx-verify and of archillxctl audit verify. */
struct verify_args {
	const char *dir; /* NULL: not given */
	struct vkey keys[VERIFY_KEYS_MAX];
	size_t nkeys;
	const char *old;
	uint64_t from;
	bool json, quiet, help;
};

#define VERIFY_USAGE_ARGS \
	"[--key PUB]... [--checkpoint OLD] [--from SEQ] [--json] [DIR]"

/*
 * argv[0] is the first argument. 0, or -1 with a text for the user in why.
 * Reads the files that --key names.
 */
int verify_args(struct verify_args *, int argc, char **argv, char *why,
    size_t size);
/* A vkey text, or a file with one or more, one a line. As above. */
int verify_add_key(struct verify_args *, const char *, char *why, size_t size);
/* Runs and prints; the exit status. dir and a key must be there. */
int verify_cli(const struct verify_args *);

#endif
