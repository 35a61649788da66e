/* SPDX-License-Identifier: ISC */
/*
 * skill lint and skill list: manifests as the service would read them, checked
 * by the same code. They need no daemon and change nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/manifest.h"
#include "ctl.h"
#include "folder.h"

static const char *
kind_name(const struct skill *s)
{
	return (s->runtime == RUN_CODE	  ? "code" :
		s->runtime == RUN_PROGRAM ? "program" :
					    "files");
}

/* The manifest of a file named NAME.json, or NULL and a line on stderr. */
static struct skill *
load(const char *path, const char *name, const char *text, size_t len)
{
	char err[512], want[256];
	struct skill *s;
	size_t n;

	(void)snprintf(want, sizeof(want), "%s", name);
	n = strlen(want);
	if (n > 5 && strcmp(want + n - 5, ".json") == 0)
		want[n - 5] = '\0';
	if ((s = skill_parse(text, len, want, err, sizeof(err))) == NULL)
		(void)fprintf(stderr, "%s: %s\n", path, err);
	return (s);
}

static int
lint_one(const char *path, const char *name, const char *text, size_t len,
    void *arg)
{
	struct skill *s = load(path, name, text, len);

	if (s == NULL)
		return (-1);
	if (!((struct ctl *)arg)->json)
		(void)printf("%s: ok: %s %s, kind %s%s\n", path, s->name,
		    s->version, kind_name(s),
		    s->high_risk ? ", high risk" : "");
	skill_free(s);
	return (0);
}

int
cmd_skill_lint(struct ctl *c, int argc, char **argv)
{
	json_t *j;
	int i, failed = 0;

	if (argc == 0)
		return (ctl_usage("skill lint needs a file"));
	for (i = 0; i < argc; i++)
		failed += folder_file(argv[i], lint_one, c) == -1;
	if (c->json) {
		j = json_pack("{s:i, s:i}", "checked", argc, "failed", failed);
		(void)ctl_print_json(j);
		json_decref(j);
	}
	return (failed > 0 ? CTL_FAILED : CTL_DONE);
}

static int
list_one(const char *path, const char *name, const char *text, size_t len,
    void *arg)
{
	struct skill *s = load(path, name, text, len);

	if (s == NULL)
		return (-1);
	(void)json_array_append_new(arg,
	    json_pack("{s:s, s:s, s:s, s:b, s:b, "
		      "s:s}",
		"name", s->name, "version", s->version, "kind", kind_name(s),
		"enabled", s->enabled, "high_risk", s->high_risk, "description",
		s->description));
	skill_free(s);
	return (0);
}

static void
list_print(const json_t *skills)
{
	const char *name, *version, *kind, *description;
	int enabled, high_risk;
	json_t *e;
	size_t i;

	json_array_foreach(skills, i, e) {
		if (json_unpack(e, "{s:s, s:s, s:s, s:b, s:b, s:s}", "name",
			&name, "version", &version, "kind", &kind, "enabled",
			&enabled, "high_risk", &high_risk, "description",
			&description) == -1)
			continue;
		(void)printf("%-20s %-8s %-8s %-9s %-10s %.60s\n", name,
		    version, kind, enabled ? "enabled" : "disabled",
		    high_risk ? "high-risk" : "-", description);
	}
}

/* What the manifests say: an operator's switch is in the daemon's hands. */
int
cmd_skill_list(struct ctl *c, int argc, char **argv)
{
	json_t *skills = json_array();
	char dir[4096];
	int failed;

	(void)argv;
	if (argc != 0 || skills == NULL) {
		json_decref(skills);
		return (ctl_usage("skill list takes no argument"));
	}
	conf_skills_dir(c->settings, conf_path(c->conf_file), dir, sizeof(dir));
	failed = folder_each(dir, list_one, skills);
	if (c->json)
		(void)ctl_print_json(skills);
	else
		list_print(skills);
	json_decref(skills);
	return (failed != 0 ? CTL_FAILED : CTL_DONE);
}
