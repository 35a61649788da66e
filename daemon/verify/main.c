/* SPDX-License-Identifier: ISC */
/*
 * archillx-verify: the verifier as a small static program of its own, to be
 * run on a machine that the log's keeper has no hand in. Opens no network, no
 * configuration and nothing for writing.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/log.h"
#include "daemon/verify/cli.h"

static const char usage[] =
    "usage: archillx-verify " VERIFY_USAGE_ARGS "\n\n"
    "Judges a copy of EVIDENCE_DIR by its signed checkpoints.\n\n"
    "  --key PUB         public key of the log, or a file with one or more;\n"
    "                    may be given again\n"
    "  --checkpoint OLD  a checkpoint kept off the host: proves that the log\n"
    "                    extends it\n"
    "  --from SEQ        the copy begins at this line, older archives were\n"
    "                    put away\n"
    "  --json            one JSON object\n"
    "  --quiet           no progress\n\n"
    "Exit status: 0 all well, 1 damaged or incomplete, 2 usage or unreadable,\n"
    "3 nothing to verify against.\n";

int
main(int argc, char **argv)
{
	static struct verify_args a;
	char why[200];

	log_init("archillx-verify");
	/* No configuration of the host says what SHA-256 is. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)puts("archillx-verify " PACKAGE_VERSION);
		return (VERIFY_OK);
	}
	if (verify_args(&a, argc - 1, argv + 1, why, sizeof(why)) == -1) {
		(void)fprintf(stderr, "archillx-verify: %s\n%s", why, usage);
		return (VERIFY_USAGE);
	}
	if (a.help) {
		(void)fputs(usage, stdout);
		return (VERIFY_OK);
	}
	if (a.dir == NULL)
		a.dir = ".";
	return (verify_cli(&a));
}
