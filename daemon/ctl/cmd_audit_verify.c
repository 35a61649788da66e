/* SPDX-License-Identifier: ISC */
/*
 * archillxctl audit verify: the verifier over EVIDENCE_DIR or a copy. It is
 * the same code as archillx-verify; the daemon is not asked.
 */
#include <stdio.h>

#include "daemon/verify/cli.h"
#include "ctl.h"

int
cmd_audit_verify(struct ctl *c, int argc, char **argv)
{
	static struct verify_args a;
	char why[200];

	if (verify_args(&a, argc, argv, why, sizeof(why)) == -1) {
		(void)fprintf(stderr, "archillxctl: %s\n", why);
		return (ctl_usage("audit verify " VERIFY_USAGE_ARGS));
	}
	if (a.help) {
		(void)puts("audit verify " VERIFY_USAGE_ARGS);
		return (CTL_DONE);
	}
	if (a.dir == NULL && (a.dir = ctl_evidence_dir(c)) == NULL)
		return (VERIFY_USAGE);
	a.json = a.json || c->json;
	return (verify_cli(&a));
}
