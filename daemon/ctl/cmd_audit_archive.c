/* SPDX-License-Identifier: ISC */
/*
 * audit archive: has the gate close the journal's live file and put it into
 * archive/. Must never touch a file itself.
 */
#include <stdio.h>

#include "ctl.h"

int
cmd_audit_archive(struct ctl *c, int argc, char **argv)
{
	json_t *r;
	int status;

	if (argc != 0)
		return (ctl_usage("audit archive takes no arguments"));
	status = ctl_request(c, "audit.archive", json_object(), &r);
	if (status != CTL_DONE)
		return (status);
	if (c->json)
		(void)ctl_print_json(r);
	else
		(void)printf("%s: %lld bytes\n",
		    json_string_value(json_object_get(r, "archived_to")),
		    (long long)json_integer_value(json_object_get(r, "size")));
	json_decref(r);
	return (CTL_DONE);
}
