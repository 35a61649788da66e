/* SPDX-License-Identifier: ISC */
/*
 * archillxctl audit export --tiles OUT: the log as a static C2SP tlog-tiles
 * tree, for a web server. Works on files; the daemon is not asked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/verify/export.h"
#include "ctl.h"

static const char usage[] = "audit export --tiles OUT [DIR]";

int
cmd_audit_export(struct ctl *c, int argc, char **argv)
{
	const char *out = NULL, *dir = NULL;
	struct export_result r;
	char err[300];
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--tiles") == 0 && i + 1 < argc)
			out = argv[++i];
		else if (argv[i][0] != '-' && dir == NULL)
			dir = argv[i];
		else
			return (ctl_usage(usage));
	}
	if (out == NULL)
		return (ctl_usage(usage));
	if (dir == NULL && (dir = ctl_evidence_dir(c)) == NULL)
		return (CTL_FAILED);
	if (export_tiles(dir, out, &r, err, sizeof(err)) == -1) {
		(void)fprintf(stderr, "archillxctl: %s\n", err);
		return (CTL_FAILED);
	}
	if (c->json)
		(void)printf("{\"size\": %" PRIu64 ", \"entries\": %" PRIu64
			     "}\n",
		    r.size, r.entries);
	else
		(void)printf("%s: a tree of %" PRIu64 " lines, %" PRIu64
			     " of them in bundles\n",
		    out, r.size, r.entries);
	return (CTL_DONE);
}
