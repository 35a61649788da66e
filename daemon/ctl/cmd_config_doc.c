/* SPDX-License-Identifier: ISC */
/*
 * archillx.conf(5), printed from the settings table, so that the manual cannot
 * tell another story than the parser. docs/archillx.conf.5 is this output.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const char head[] =
    ".\\\" Printed by archillxctl config doc; do not edit.\n"
    ".Dd November 23, 2026\n"
    ".Dt ARCHILLX.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm archillx.conf\n"
    ".Nd configuration of ArcHillx\n"
    ".Sh DESCRIPTION\n"
    "Lines of\n"
    ".Ar NAME Ns = Ns Ar VALUE ,\n"
    "as systemd's EnvironmentFile takes them.\n"
    "Empty lines and lines that start with # or ; are passed over.\n"
    "A value may stand between single quotes (taken as it is) or double\n"
    "quotes (where a backslash takes the meaning from \\(dq, \\e, ` and $); a\n"
    "backslash at the end of a line joins the next one.\n"
    "A # behind an unquoted value is an error, because some readers would take\n"
    "it for a comment and others for a part of the value.\n"
    ".Pp\n"
    "The file is read first, then\n"
    ".Pa conf.d/*.conf\n"
    "beside it in the order of their names, then the environment, then\n"
    ".Fl D\n"
    "on the command line; the last one wins.\n"
    "Relative paths start from the folder of the file.\n"
    "An unknown name, a bad value and a weak secret are errors with the file\n"
    "and the line, never warnings; names that start with COMPOSE_, MYSQL_,\n"
    "BACKUP_ and DRILL_ belong to the scripts and are passed over.\n"
    ".Pp\n"
    "Settings marked\n"
    ".Em live\n"
    "change on SIGHUP or\n"
    ".Ic archillxctl reload ;\n"
    "the others keep their running value until a restart, and the reload names\n"
    "them.\n"
    ".Sh SETTINGS\n"
    ".Bl -tag -width Ds\n";

static const char tail[] = ".El\n"
			   ".Sh FILES\n"
			   ".Bl -tag -width Ds -compact\n"
			   ".It Pa /etc/archillx/archillx.conf\n"
			   "read when\n"
			   ".Fl f\n"
			   "is not given\n"
			   ".El\n"
			   ".Sh SEE ALSO\n"
			   ".Xr archillx-governor 5 ,\n"
			   ".Xr archillx-skills 5 ,\n"
			   ".Xr archillxctl 8 ,\n"
			   ".Xr archillxd 8\n";

/* "32M" rather than 33554432. */
static void
print_size(int64_t v)
{
	static const char unit[] = " KMG";
	int u = 0;

	while (v != 0 && v % 1024 == 0 && u < 3) {
		v /= 1024;
		u++;
	}
	(void)printf("%" PRId64, v);
	if (u > 0)
		(void)putchar(unit[u]);
}

static void
print_bounds(const struct setting_def *d)
{
	const char *p;

	switch (d->type) {
	case ST_BOOL:
		(void)printf("yes or no");
		break;
	case ST_ENUM:
		for (p = d->words; *p != '\0'; p++)
			(void)printf(*p == '|' ? ", " : "%c", *p);
		break;
	case ST_INT:
		(void)printf("number from %" PRId64 " to %" PRId64, d->min,
		    d->max);
		break;
	case ST_SIZE:
		(void)printf("size from ");
		print_size(d->min);
		(void)printf(" to ");
		print_size(d->max);
		break;
	case ST_LIST:
		(void)printf("comma-separated list");
		break;
	case ST_PATH:
		(void)printf("path");
		break;
	case ST_STR:
		(void)printf("text");
		break;
	}
}

int
cmd_config_doc(struct ctl *c, int argc, char **argv)
{
	const struct setting_def *d;
	unsigned i;

	if (argc != 0)
		return (ctl_usage("config doc takes no argument"));
	(void)fputs(head, stdout);
	for (i = 0; i < SET_MAX; i++) {
		d = &setting_defs[i];
		(void)printf(".It Ev %s\n%s\n.br\n", d->name, d->help);
		print_bounds(d);
		if (*d->dflt != '\0')
			(void)printf("; default %s", d->dflt);
		(void)printf("%s%s.\n",
		    (d->flags & SF_LIVE) != 0 ? "; live" : "; needs a restart",
		    (d->flags & SF_SECRET) != 0 ? "; secret" : "");
	}
	(void)fputs(tail, stdout);
	return (CTL_DONE);
}
