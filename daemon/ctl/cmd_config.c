/* SPDX-License-Identifier: ISC */
/* Verbs about the configuration; they need no daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "ctl.h"

static bool
wanted(enum setting_id id, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(setting_defs[id].name, argv[i]) == 0)
			return (true);
	}
	return (argc == 0);
}

/* What is shown of a value: never a secret. */
static const char *
shown(const struct settings *s, enum setting_id id)
{
	const char *v = settings_str(s, id);

	return ((setting_defs[id].flags & SF_SECRET) != 0 && *v != '\0' ?
		"***" :
		v);
}

static void
show_one(struct ctl *c, enum setting_id id, json_t *all)
{
	const struct setting_def *d = &setting_defs[id];
	bool live = (d->flags & SF_LIVE) != 0;

	if (c->json)
		(void)json_object_set_new(all, d->name,
		    json_pack("{s:s, s:s, s:b}", "value",
			shown(c->settings, id), "origin",
			settings_origin(c->settings, id), "live", live));
	else
		(void)printf("%s=%s\t# %s%s\n", d->name, shown(c->settings, id),
		    settings_origin(c->settings, id),
		    live ? "" : ", change needs a restart");
}

int
cmd_config_show(struct ctl *c, int argc, char **argv)
{
	json_t *all = json_object();
	unsigned i;
	int k;

	for (k = 0; k < argc; k++) {
		if (settings_lookup(argv[k]) == SET_MAX) {
			(void)fprintf(stderr,
			    "archillxctl: there is no "
			    "setting %s\n",
			    argv[k]);
			json_decref(all);
			return (CTL_FAILED);
		}
	}
	for (i = 0; i < SET_MAX; i++) {
		if (wanted((enum setting_id)i, argc, argv))
			show_one(c, (enum setting_id)i, all);
	}
	if (c->json)
		(void)ctl_print_json(all);
	json_decref(all);
	return (CTL_DONE);
}

/* The one check is the daemon's own: it is run, not repeated. */
int
cmd_config_check(struct ctl *c, int argc, char **argv)
{
	char self[4096], path[4200], *slash;
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return (CTL_FAILED);
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) != NULL)
		*slash = '\0';
	(void)snprintf(path, sizeof(path), "%s/archillxd", self);
	if (access(path, X_OK) == -1)
		(void)snprintf(path, sizeof(path), "%s/../sbin/archillxd",
		    self);
	if (c->conf_file != NULL)
		(void)execl(path, "archillxd", "-n", "-f", c->conf_file,
		    (char *)NULL);
	else
		(void)execl(path, "archillxd", "-n", (char *)NULL);
	perror(path);
	return (CTL_FAILED);
}
