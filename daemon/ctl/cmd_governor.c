/* SPDX-License-Identifier: ISC */
/*
 * governor check and governor test: the rules as the service would read them,
 * evaluated by the same code with the configured mode and thresholds. Nothing
 * is run and nothing is recorded; no daemon is needed.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/governor.h"
#include "common/util.h"
#include "ctl.h"
#include "folder.h"

/* ---- the rules ---- */

static int
add_file(const char *path, const char *name, const char *text, size_t len,
    void *arg)
{
	char err[512];

	if (governor_add(arg, name, text, len, err, sizeof(err)) == 0)
		return (0);
	(void)fprintf(stderr, "%.*s%s\n", (int)(strlen(path) - strlen(name)),
	    path, err);
	return (-1);
}

/* NULL when a file is wrong: half the rules would be another policy. */
static struct governor *
load_rules(struct ctl *c)
{
	struct governor *g = governor_new();
	char dir[4096];

	conf_governor_dir(c->settings, conf_path(c->conf_file), dir,
	    sizeof(dir));
	if (g != NULL && folder_each(dir, add_file, g) != 0) {
		governor_free(g);
		return (NULL);
	}
	return (g);
}

/* Collects {file, id, points, description} for the list. */
static int
list_file(const char *path, const char *name, const char *text, size_t len,
    void *arg)
{
	json_t *doc = json_loadb(text, len, 0, NULL), *rule;
	size_t i;

	(void)path;
	json_array_foreach(json_object_get(doc, "rules"), i, rule) {
		(void)json_object_set_new(rule, "file", json_string(name));
		(void)json_array_append(arg, rule);
	}
	json_decref(doc);
	return (0);
}

static void
print_rules(const json_t *rules, const char *digest)
{
	const char *file, *id, *why;
	json_t *r;
	size_t i;
	int points;

	json_array_foreach(rules, i, r) {
		why = "";
		if (json_unpack(r, "{s:s, s:s, s:i, s?s}", "file", &file, "id",
			&id, "points", &points, "description", &why) == 0)
			(void)printf("%+4d  %-24s %-18s %s\n", points, id, file,
			    why);
	}
	(void)printf("%zu rules, sha256 %s\n", json_array_size(rules), digest);
}

int
cmd_governor_check(struct ctl *c, int argc, char **argv)
{
	struct governor *g;
	char dir[4096], hex[65];
	uint8_t digest[32];
	json_t *rules, *j;

	(void)argv;
	if (argc != 0)
		return (ctl_usage("governor check takes no argument"));
	if ((g = load_rules(c)) == NULL)
		return (CTL_FAILED);
	governor_digest(g, digest);
	governor_free(g);
	ax_hex(digest, sizeof(digest), hex);
	conf_governor_dir(c->settings, conf_path(c->conf_file), dir,
	    sizeof(dir));
	rules = json_array();
	(void)folder_each(dir, list_file, rules);
	if (c->json) {
		j = json_pack("{s:O, s:s}", "rules", rules, "sha256", hex);
		(void)ctl_print_json(j);
		json_decref(j);
	} else
		print_rules(rules, hex);
	json_decref(rules);
	return (CTL_DONE);
}

/* ---- one request ---- */

struct trial {
	struct ctl *ctl;
	struct governor *g;
	json_t *results; /* --json */
	unsigned wrong;	 /* expectations that did not hold */
};

static json_t *
verdict_json(const json_t *request, const struct gov_verdict *v)
{
	json_t *hits = json_array();
	unsigned i;

	for (i = 0; i < v->nhits; i++)
		(void)json_array_append_new(hits,
		    json_pack("{s:s, s:i, s:s}", "id", v->hits[i].id, "points",
			v->hits[i].points, "description", v->hits[i].why));
	return (json_pack("{s:O, s:s, s:i, s:s, s:o}", "request", request,
	    "decision", gov_decision_name(v->decision), "risk_score", v->score,
	    "reason", v->reason, "rules", hits));
}

static void
verdict_print(const struct gov_request *rq, const struct gov_verdict *v)
{
	unsigned i;

	(void)printf("%s from %s as %s\n", rq->action, rq->source, rq->role);
	for (i = 0; i < v->nhits; i++)
		(void)printf("  %+4d  %-24s %s\n", v->hits[i].points,
		    v->hits[i].id, v->hits[i].why);
	(void)printf("  %4d  %s: %s\n", v->score,
	    gov_decision_name(v->decision), v->reason);
}

/* {"decision": "BLOCKED", "risk_score": 90}, either of them. */
static bool
as_expected(const json_t *expect, const struct gov_verdict *v)
{
	const json_t *d = json_object_get(expect, "decision");
	const json_t *s = json_object_get(expect, "risk_score");

	return ((d == NULL ||
		    (json_is_string(d) &&
			strcmp(json_string_value(d),
			    gov_decision_name(v->decision)) == 0)) &&
	    (s == NULL || json_integer_value(s) == v->score));
}

static const char *
text_of(const json_t *request, const char *key, const char *dflt)
{
	const char *s = json_string_value(json_object_get(request, key));

	return (s != NULL ? s : dflt);
}

static bool
request_valid(const json_t *request)
{
	static const char *const keys[] = { "action", "skill", "source", "role",
		"inputs", "expect" };
	const char *key;
	json_t *v;
	size_t i;

	if (!json_is_object(request))
		return (false);
	json_object_foreach((json_t *)(uintptr_t)request, key, v) {
		for (i = 0; i < AX_NELEM(keys); i++)
			if (strcmp(keys[i], key) == 0)
				break;
		if (i == AX_NELEM(keys) ||
		    (i < 4 ? !json_is_string(v) : !json_is_object(v)))
			return (false);
	}
	return (true);
}

/* Where a relative path of file_ops starts, as the service has it. */
static const char *
files_root(const struct settings *s, char *out, size_t size)
{
	const char *first = settings_item(s, SET_FILE_WHITELIST, 0);

	if (first != NULL)
		return (first);
	(void)snprintf(out, size, "%s/files", settings_str(s, SET_STATE_DIR));
	return (out);
}

static int
try_one(struct trial *t, const json_t *request)
{
	const struct settings *s = t->ctl->settings;
	struct gov_request rq = { 0 };
	struct gov_verdict v;
	char action[160], root[4096];

	if (!request_valid(request)) {
		(void)fprintf(stderr,
		    "archillxctl: a request is an object of "
		    "the strings action, skill, source, role and the objects "
		    "inputs, expect\n");
		return (-1);
	}
	rq.skill = text_of(request, "skill", "");
	rq.source = text_of(request, "source", "api");
	rq.role = text_of(request, "role", "admin");
	(void)snprintf(action, sizeof(action), "%.32s:execute_skill:%.100s",
	    rq.source, rq.skill);
	rq.action = text_of(request, "action", action);
	rq.inputs = json_object_get(request, "inputs");
	rq.base = files_root(s, root, sizeof(root));
	governor_evaluate(t->g, &rq,
	    (enum gov_mode)settings_enum(s, SET_GOVERNOR_MODE),
	    (int)settings_int(s, SET_RISK_BLOCK_THRESHOLD),
	    (int)settings_int(s, SET_RISK_WARN_THRESHOLD), &v);
	if (t->ctl->json)
		(void)json_array_append_new(t->results,
		    verdict_json(request, &v));
	else
		verdict_print(&rq, &v);
	if (!as_expected(json_object_get(request, "expect"), &v)) {
		(void)fprintf(stderr,
		    "archillxctl: %s: %s with score %d was "
		    "not expected\n",
		    rq.action, gov_decision_name(v.decision), v.score);
		t->wrong++;
	}
	return (0);
}

/* A file holds one request or a list of them. */
static int
try_file(const char *path, const char *name, const char *text, size_t len,
    void *arg)
{
	json_error_t je;
	json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je), *e;
	size_t i;
	int r = 0;

	(void)name;
	if (doc == NULL) {
		(void)fprintf(stderr, "%s: line %d, column %d: %s\n", path,
		    je.line, je.column, je.text);
		return (-1);
	}
	if (!json_is_array(doc))
		r = try_one(arg, doc);
	json_array_foreach(doc, i, e)
		if (r == 0)
			r = try_one(arg, e);
	json_decref(doc);
	return (r);
}

/* ---- options ---- */

static int
set_inputs(json_t *request, const char *text)
{
	json_t *given = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	int r = -1;

	if (json_is_object(given))
		r = json_object_update(json_object_get(request, "inputs"),
		    given);
	json_decref(given);
	return (r);
}

/* -1: usage; else 0, and *file the operand or NULL. */
static int
parse_options(int argc, char **argv, json_t *request, const char **file)
{
	static const struct option longs[] = {
		{ "action", required_argument, NULL, 'a' },
		{ "skill", required_argument, NULL, 'k' },
		{ "operation", required_argument, NULL, 'o' },
		{ "path", required_argument, NULL, 'p' },
		{ "source", required_argument, NULL, 's' },
		{ "role", required_argument, NULL, 'r' },
		{ "inputs", required_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *inputs = json_object();
	int ch, which, r = 0;

	(void)json_object_set_new(request, "inputs", inputs);
	optind = 0; /* start over: main() has used getopt, too */
	while (r == 0 &&
	    (ch = getopt_long(argc, argv, "+", longs, &which)) != -1) {
		if (ch == '?')
			r = -1;
		else if (ch == 'i')
			r = set_inputs(request, optarg);
		else
			r = json_object_set_new(ch == 'o' || ch == 'p' ?
				inputs :
				request,
			    longs[which].name, json_string(optarg));
	}
	*file = optind < argc ? argv[optind] : NULL;
	return (r == 0 && argc - optind <= 1 ? 0 : -1);
}

/* getopt_long() skips argv[0]; a verb's argv has none to skip. */
static int
options(int argc, char **argv, json_t *request, const char **file)
{
	char **shifted = calloc((size_t)argc + 2, sizeof(*shifted));
	char name[] = "archillxctl";
	int r;

	if (shifted == NULL)
		return (-1);
	shifted[0] = name;
	memcpy(shifted + 1, argv, (size_t)argc * sizeof(*argv));
	r = parse_options(argc + 1, shifted, request, file);
	free(shifted);
	return (r);
}

static int
run_trial(struct trial *t, const json_t *request, const char *file)
{
	int r;

	t->results = json_array();
	r = file != NULL ? folder_file(file, try_file, t) : try_one(t, request);
	if (t->ctl->json && r == 0)
		(void)ctl_print_json(
		    file != NULL ? t->results : json_array_get(t->results, 0));
	json_decref(t->results);
	return (r == -1 || t->wrong > 0 ? CTL_FAILED : CTL_DONE);
}

int
cmd_governor_test(struct ctl *c, int argc, char **argv)
{
	struct trial t = { .ctl = c };
	json_t *request = json_object();
	const char *file;
	int r;

	if (options(argc, argv, request, &file) == -1 ||
	    (file == NULL && json_object_get(request, "skill") == NULL &&
		json_object_get(request, "action") == NULL))
		r = ctl_usage("governor test needs --skill, --action or a "
			      "file of requests; --inputs takes a JSON object");
	else if ((t.g = load_rules(c)) == NULL)
		r = CTL_FAILED;
	else
		r = run_trial(&t, request, file);
	governor_free(t.g);
	json_decref(request);
	return (r);
}
