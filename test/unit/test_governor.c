/* SPDX-License-Identifier: ISC */
/*
 * governor.c: the golden table of the rules that ship (a change of a score is
 * a change of policy and shows here), every mode at every edge, and matching.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/governor.h"
#include "common/util.h"

static struct governor *
base_rules(void)
{
	const char *top = getenv("srcdir");
	struct governor *g = governor_new();
	char path[1024], err[512], *text;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/etc/governor.d/10-base.json",
	    top == NULL ? "." : top);
	if ((text = ax_read_file(AT_FDCWD, path, 1 << 20, &len)) == NULL)
		fail_msg("cannot read %s", path);
	if (governor_add(g, "10-base.json", text, len, err, sizeof(err)) == -1)
		fail_msg("%s", err);
	free(text);
	return (g);
}

static struct governor *
rules(const char *text)
{
	struct governor *g = governor_new();
	char err[512];

	if (governor_add(g, "t.json", text, strlen(text), err, sizeof(err)) ==
	    -1)
		fail_msg("%s", err);
	return (g);
}

/* skill, operation, source, path (NULL: none); score at the default rules */
static const struct golden {
	const char *skill, *operation, *source, *path;
	int score;
} golden[] = {
	{ "code_exec", NULL, "api", NULL, 45 },
	{ "code_exec", NULL, "ctl", NULL, 45 },
	{ "code_exec", NULL, "agent", NULL, 45 },
	{ "code_exec", NULL, "cron", NULL, 90 },
	/* D-25: "skill" holds "kill", "information" holds "format" */
	{ "text_stats", NULL, "api", NULL, 0 },
	{ "text_stats", NULL, "cron", NULL, 10 },
	{ "web_search", NULL, "cron", NULL, 10 },
	{ "information", NULL, "api", "/srv/data/information", 0 },
	{ "skill_kill_exec", "formatted", "api", "/srv/rm -rf/delete", 0 },
	{ "file_ops", "read", "api", "/srv/data/a", 0 },
	{ "file_ops", "read", "cron", "/srv/data/a", 10 },
	{ "file_ops", "read", "api", "/etc/passwd", 30 },
	{ "file_ops", "read", "cron", "/etc/passwd", 40 },
	{ "file_ops", "list", "api", "/srv/data", 0 },
	{ "file_ops", "list", "cron", "/srv/data", 10 },
	{ "file_ops", "exists", "api", "/srv/data", 0 },
	{ "file_ops", "exists", "cron", "/srv/data", 10 },
	{ "file_ops", "exists", "api", "/root", 30 },
	{ "file_ops", "stat", "api", "/srv/data", 0 },
	{ "file_ops", "stat", "cron", "/srv/data", 10 },
	{ "file_ops", "mkdir", "api", "/srv/data/d", 0 },
	{ "file_ops", "mkdir", "cron", "/srv/data/d", 10 },
	{ "file_ops", "mkdir", "api", "/etc/d", 45 },
	{ "file_ops", "write", "api", "/srv/data/a", 40 },
	{ "file_ops", "write", "cron", "/srv/data/a", 50 },
	{ "file_ops", "write", "api", "/etc/a", 85 },
	{ "file_ops", "write", "cron", "/etc/a", 95 },
	{ "file_ops", "delete", "api", "/srv/data/a", 55 },
	{ "file_ops", "delete", "cron", "/srv/data/a", 65 },
	{ "file_ops", "delete", "api", "/etc/a", 100 },
	{ "file_ops", "delete", "cron", "/etc/a", 100 },
	/* the same place written another way */
	{ "file_ops", "delete", "api", "//etc///a", 100 },
	{ "file_ops", "delete", "api", "/srv/../etc/./a", 100 },
	{ "file_ops", "delete", "api", "/../../etc", 100 },
	{ "file_ops", " DELETE\n", "api", "/etc/a", 100 },
	{ "file_ops", "read", "api", "../../etc/passwd", 30 },
	{ "file_ops", "read", "api", "a/../../etc/passwd", 30 },
	/* another place that looks the same */
	{ "file_ops", "read", "api", "/etcetera/a", 0 },
	{ "file_ops", "read", "api", "/srv/etc/a", 0 },
	{ "file_ops", "read", "api", "etc/a", 0 },
	{ "file_ops", "read", "api", "/etc/../srv", 0 },
	{ "file_ops", "read", "api", "/home/u/.ssh/id", 30 },
	{ "file_ops", "read", "api", "/home/u/.sshx/id", 0 },
	{ "file_ops", "read", "api", "~/.config/x", 30 },
	{ "file_ops", "read", "api", "", 0 },
};

static void
evaluate(const struct governor *g, const struct golden *r,
    struct gov_verdict *v)
{
	struct gov_request rq = { .skill = r->skill,
		.source = r->source,
		.role = "admin" };
	char action[128];
	json_t *inputs = json_object();

	(void)snprintf(action, sizeof(action), "%s:execute_skill:%s", r->source,
	    r->skill);
	rq.action = action;
	if (r->operation != NULL)
		json_object_set_new(inputs, "operation",
		    json_string(r->operation));
	if (r->path != NULL)
		json_object_set_new(inputs, "path", json_string(r->path));
	rq.inputs = inputs;
	governor_evaluate(g, &rq, GOV_SOFT_BLOCK, 90, 70, v);
	json_decref(inputs);
}

static void
test_golden(void **state)
{
	struct governor *g = base_rules();
	struct gov_verdict v;
	const struct golden *r;
	unsigned i;
	int sum;

	(void)state;
	for (r = golden; r < golden + AX_NELEM(golden); r++) {
		evaluate(g, r, &v);
		if (v.score != r->score)
			fail_msg("%s %s %s %s: %d, not %d", r->skill,
			    r->operation == NULL ? "-" : r->operation,
			    r->source, r->path == NULL ? "-" : r->path, v.score,
			    r->score);
		assert_int_equal(v.decision,
		    v.score >= 90     ? GOV_BLOCKED :
			v.score >= 70 ? GOV_WARNED :
					GOV_APPROVED);
		for (i = 0, sum = 0; i < v.nhits; i++)
			sum += v.hits[i].points;
		assert_int_equal(sum > 100 ? 100 : sum, v.score);
	}
	governor_free(g);
}

/* Every rule that ships is reached by the table above. */
static void
test_coverage(void **state)
{
	struct governor *g = base_rules();
	struct gov_verdict v;
	char seen[4096] = " ";
	unsigned n = 0, i;
	size_t k;
	char id[80];

	(void)state;
	for (k = 0; k < AX_NELEM(golden); k++) {
		evaluate(g, &golden[k], &v);
		for (i = 0; i < v.nhits; i++) {
			(void)snprintf(id, sizeof(id), " %s ", v.hits[i].id);
			if (strstr(seen, id) != NULL)
				continue;
			(void)strncat(seen, id + 1,
			    sizeof(seen) - strlen(seen) - 1);
			n++;
		}
	}
	assert_int_equal(n, governor_nrules(g));
	governor_free(g);
}

#define DASH "\xe2\x80\x94"

/* Scores are exact: one rule for the role "s<N>" gives N points. */
static const struct mode_row {
	enum gov_mode mode;
	int score, block, warn;
	enum gov_decision decision;
	int shown;
	const char *reason;
} modes[] = {
	{ GOV_OFF, 100, 90, 70, GOV_APPROVED, 0, "governor_off" },
	{ GOV_OFF, 0, 0, 0, GOV_APPROVED, 0, "governor_off" },
	{ GOV_AUDIT_ONLY, 100, 90, 70, GOV_APPROVED, 100,
	    "audit_only (score=100)" },
	{ GOV_AUDIT_ONLY, 0, 0, 0, GOV_APPROVED, 0, "audit_only (score=0)" },
	{ GOV_SOFT_BLOCK, 90, 90, 70, GOV_BLOCKED, 90,
	    "risk_score=90 >= block_threshold=90" },
	{ GOV_SOFT_BLOCK, 89, 90, 70, GOV_WARNED, 89,
	    "risk_score=89 " DASH " proceed with caution" },
	{ GOV_SOFT_BLOCK, 70, 90, 70, GOV_WARNED, 70,
	    "risk_score=70 " DASH " proceed with caution" },
	{ GOV_SOFT_BLOCK, 69, 90, 70, GOV_APPROVED, 69,
	    "risk_score=69 " DASH " ok" },
	{ GOV_SOFT_BLOCK, 0, 0, 0, GOV_BLOCKED, 0,
	    "risk_score=0 >= block_threshold=0" },
	{ GOV_SOFT_BLOCK, 100, 100, 100, GOV_BLOCKED, 100,
	    "risk_score=100 >= block_threshold=100" },
	{ GOV_SOFT_BLOCK, 99, 100, 100, GOV_APPROVED, 99,
	    "risk_score=99 " DASH " ok" },
	{ GOV_HARD_BLOCK, 90, 90, 70, GOV_BLOCKED, 90,
	    "risk_score=90 >= block_threshold=90" },
	{ GOV_HARD_BLOCK, 89, 90, 70, GOV_BLOCKED, 89,
	    "risk_score=89 >= warn_threshold=70 (hard_block)" },
	{ GOV_HARD_BLOCK, 70, 90, 70, GOV_BLOCKED, 70,
	    "risk_score=70 >= warn_threshold=70 (hard_block)" },
	{ GOV_HARD_BLOCK, 69, 90, 70, GOV_APPROVED, 69,
	    "risk_score=69 " DASH " ok" },
};

static void
test_modes(void **state)
{
	struct gov_request rq = { .source = "api" };
	const struct mode_row *m;
	struct gov_verdict v;
	struct governor *g;
	char text[256];

	(void)state;
	for (m = modes; m < modes + AX_NELEM(modes); m++) {
		(void)snprintf(text, sizeof(text),
		    "{\"version\":1,\"rules\":"
		    "[{\"id\":\"r\",\"points\":%d,\"match\":{\"source\":"
		    "\"api\"}}]}",
		    m->score);
		g = rules(text);
		governor_evaluate(g, &rq, m->mode, m->block, m->warn, &v);
		assert_int_equal(v.decision, m->decision);
		assert_int_equal(v.score, m->shown);
		assert_string_equal(v.reason, m->reason);
		assert_int_equal(v.nhits, m->mode == GOV_OFF ? 0 : 1);
		governor_free(g);
	}
	assert_string_equal(gov_decision_name(GOV_APPROVED), "APPROVED");
	assert_string_equal(gov_decision_name(GOV_WARNED), "WARNED");
	assert_string_equal(gov_decision_name(GOV_BLOCKED), "BLOCKED");
}

#define R(match)                                                \
	"{\"version\":1,\"rules\":[{\"id\":\"r\",\"points\":1," \
	"\"match\":{" match "}}]}"

static const struct match_row {
	const char *rule;
	const char *action, *skill, *role, *inputs;
	int hit;
} matches[] = {
	{ R("\"action\":\"api:execute_skill:*\""), "api:execute_skill:x", "x",
	    "admin", "{}", 1 },
	{ R("\"action\":\"api:execute_skill:*\""), "skill_enable:x", "x",
	    "admin", "{}", 0 },
	{ R("\"action\":\"api:execute_skill:x\""), "api:execute_skill:xy", "xy",
	    "admin", "{}", 0 },
	{ R("\"action\":[\"a\",\"b*\"]"), "bc", NULL, NULL, "{}", 1 },
	{ R("\"action\":\"a\""), NULL, NULL, NULL, "{}", 0 },
	{ R("\"skill\":\"x\",\"role\":\"admin\""), "a", "x", "admin", "{}", 1 },
	{ R("\"skill\":\"x\",\"role\":\"admin\""), "a", "x", "api_key", "{}",
	    0 },
	{ R("\"not\":{\"role\":\"admin\"}"), "a", "x", "api_key", "{}", 1 },
	{ R("\"not\":{\"role\":\"admin\"}"), "a", "x", "admin", "{}", 0 },
	{ R("\"any_of\":[{\"skill\":\"y\"},{\"role\":\"admin\"}]"), "a", "x",
	    "admin", "{}", 1 },
	{ R("\"any_of\":[{\"skill\":\"y\"},{\"role\":\"b\"}]"), "a", "x",
	    "admin", "{}", 0 },
	{ R("\"all_of\":[{\"skill\":\"x\"},{\"role\":\"admin\"}]"), "a", "x",
	    "admin", "{}", 1 },
	{ R("\"all_of\":[{\"skill\":\"x\"},{\"role\":\"b\"}]"), "a", "x",
	    "admin", "{}", 0 },
	{ R("\"input\":{\"language\":\"sh\"}"), "a", "x", "admin",
	    "{\"language\":\"sh\"}", 1 },
	{ R("\"input\":{\"language\":\"sh\"}"), "a", "x", "admin",
	    "{\"language\":\"shh\"}", 0 },
	{ R("\"input\":{\"n\":[1,2],\"b\":true}"), "a", "x", "admin",
	    "{\"n\":2,\"b\":true}", 1 },
	{ R("\"input\":{\"n\":[1,2],\"b\":true}"), "a", "x", "admin",
	    "{\"n\":2}", 0 },
	{ R("\"path_under\":\"/\""), "a", "x", "admin",
	    "{\"path\":\"/anything\"}", 1 },
	{ R("\"path_under\":\"/\""), "a", "x", "admin",
	    "{\"path\":\"anything\"}", 0 },
	{ R("\"path_under\":\"/a/b/../c//\""), "a", "x", "admin",
	    "{\"path\":\"/a/c\"}", 1 },
	{ R("\"path_under\":\"/a\""), "a", "x", "admin", "{\"path\":7}", 0 },
	{ R("\"path_under\":\"/a\""), "a", "x", "admin", "{}", 0 },
	{ R("\"operation\":\"Delete\""), "a", "x", "admin",
	    "{\"operation\":\"deLETE\"}", 1 },
	{ R("\"operation\":\"delete\""), "a", "x", "admin",
	    "{\"operation\":\"undelete\"}", 0 },
};

static void
test_matching(void **state)
{
	struct gov_request rq = { .source = "api" };
	const struct match_row *m;
	struct gov_verdict v;
	struct governor *g;
	json_t *inputs;

	(void)state;
	for (m = matches; m < matches + AX_NELEM(matches); m++) {
		g = rules(m->rule);
		inputs = json_loads(m->inputs, 0, NULL);
		rq.action = m->action;
		rq.skill = m->skill;
		rq.role = m->role;
		rq.inputs = inputs;
		governor_evaluate(g, &rq, GOV_SOFT_BLOCK, 90, 70, &v);
		if (v.score != m->hit)
			fail_msg("%s on %s %s: %d", m->rule,
			    m->action == NULL ? "-" : m->action, m->inputs,
			    v.score);
		json_decref(inputs);
		governor_free(g);
	}
}

/* A path too long to normalise is not let off. */
static void
test_long_path(void **state)
{
	struct governor *g = rules(R("\"path_under\":\"/etc\""));
	struct gov_request rq = { .action = "a" };
	struct gov_verdict v;
	char path[9000];
	json_t *inputs;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, "/srv/", 5);
	memcpy(path + sizeof(path) - 20, "/../../etc/passwd", 17);
	path[sizeof(path) - 3] = '\0';
	inputs = json_pack("{s:s}", "path", path);
	rq.inputs = inputs;
	governor_evaluate(g, &rq, GOV_SOFT_BLOCK, 90, 70, &v);
	assert_int_equal(v.score, 1);
	json_decref(inputs);
	governor_free(g);
}

/* A relative path means what it means to file_ops. */
static void
test_base(void **state)
{
	struct governor *g = rules(R("\"path_under\":\"/srv/data/keys\""));
	static const struct {
		const char *path;
		int score;
	} t[] = { { "keys/a", 1 }, { " keys", 1 }, { "./x/../keys", 1 },
		{ "a/keys", 0 }, { "../data/keys", 1 }, { "keysx", 0 },
		{ "/keys", 0 } };
	struct gov_request rq = { .action = "a", .base = "/srv/data" };
	struct gov_verdict v;
	json_t *inputs;
	size_t i;

	(void)state;
	for (i = 0; i < AX_NELEM(t); i++) {
		inputs = json_pack("{s:s}", "path", t[i].path);
		rq.inputs = inputs;
		governor_evaluate(g, &rq, GOV_SOFT_BLOCK, 90, 70, &v);
		if (v.score != t[i].score)
			fail_msg("%s: %d", t[i].path, v.score);
		json_decref(inputs);
	}
	governor_free(g);
}

static const struct error_row {
	const char *text, *err;
} errors[] = {
	{ "", "t.json: line 1" },
	{ "[]", "t.json: must be an object" },
	{ "{\"rules\":[]}", "t.json.version: must be 1" },
	{ "{\"version\":2,\"rules\":[]}", "t.json.version: must be 1" },
	{ "{\"version\":1}", "t.json.rules: must be a list" },
	{ "{\"version\":1,\"rules\":[],\"x\":1}", "t.json.x: unknown key" },
	{ "{\"version\":1,\"rules\":[7]}", "t.json.id: must be" },
	{ "{\"version\":1,\"rules\":[{\"id\":\"a b\"}]}", "t.json.id" },
	{ "{\"version\":1,\"rules\":[{\"id\":\"a\"}]}",
	    "t.json: rule \"a\".points: must be an integer" },
	{ "{\"version\":1,\"rules\":[{\"id\":\"a\",\"points\":101,"
	  "\"match\":{\"skill\":\"x\"}}]}",
	    "in -100..100" },
	{ "{\"version\":1,\"rules\":[{\"id\":\"a\",\"points\":1}]}",
	    "rule \"a\": match: missing" },
	{ "{\"version\":1,\"rules\":[{\"id\":\"a\",\"points\":1,"
	  "\"match\":{\"skill\":\"x\"},\"weight\":1}]}",
	    "rule \"a\".weight: unknown key" },
	{ "{\"version\":1,\"rules\":[{\"id\":\"a\",\"points\":1,\"match\":"
	  "{\"skill\":\"x\"}},{\"id\":\"a\",\"points\":1,\"match\":"
	  "{\"skill\":\"x\"}}]}",
	    "\"a\" is taken" },
	{ R(""), "rule \"r\": match: is empty" },
	{ R("\"skil\":\"x\""), "rule \"r\": match.skil: unknown key" },
	{ R("\"skill\":[]"), "match.skill: must hold" },
	{ R("\"skill\":7"), "match.skill: must be a string" },
	{ R("\"skill\":\"x*\""), "match.skill: \"x*\": only an action" },
	{ R("\"action\":\"*\""), "match.action" },
	{ R("\"action\":\"a*b\""), "match.action" },
	{ R("\"path_under\":\"etc\""), "match.path_under: \"etc\" must" },
	{ R("\"path_component\":\"a/b\""), "match.path_component" },
	{ R("\"input\":{}"), "match.input: must be" },
	{ R("\"input\":{\"a\":{}}"), "match.input: \"a\" must be" },
	{ R("\"not\":[]"), "match.not: must be one match" },
	{ R("\"any_of\":{}"), "match.any_of: must be a list" },
	{ R("\"any_of\":[{\"skill\":\"x\"},{\"y\":1}]"),
	    "match.any_of[1].y: unknown key" },
	{ R("\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":"
	    "{\"not\":{\"not\":{\"skill\":\"x\"}}}}}}}}}"),
	    "nested deeper" },
};

/* A refused file leaves the rule set as it was, its digest too. */
static void
test_errors(void **state)
{
	struct governor *g = base_rules();
	uint8_t before[32], after[32];
	unsigned n = governor_nrules(g);
	char err[512];
	size_t i;
	int r;

	(void)state;
	governor_digest(g, before);
	for (i = 0; i < AX_NELEM(errors); i++) {
		err[0] = '\0';
		r = governor_add(g, "t.json", errors[i].text,
		    strlen(errors[i].text), err, sizeof(err));
		if (r != -1 || strstr(err, errors[i].err) == NULL)
			fail_msg("%s: got \"%s\", not \"%s\"", errors[i].text,
			    err, errors[i].err);
		assert_int_equal(governor_nrules(g), n);
	}
	governor_digest(g, after);
	assert_memory_equal(before, after, sizeof(before));
	governor_free(g);
}

/* The digest depends on rules and their order, not on how they are written. */
static void
test_digest(void **state)
{
	static const char a[] = "{\"version\":1,\"rules\":[{\"id\":\"a\","
				"\"points\":1,\"match\":{\"skill\":\"x\"}}]}";
	static const char a2[] =
	    "{\n\"rules\": [ {\"match\": {\"skill\": "
	    "\"x\"}, \"points\": 1, \"id\":\"a\"} ],\n\"version\": 1}";
	struct governor *g = rules(a), *h = rules(a2);
	struct governor *k = rules(R("\"skill\":\"x\""));
	uint8_t d1[32], d2[32], d3[32], want[32];
	static const char line[] =
	    "{\"id\":\"a\",\"match\":{\"skill\":\"x\"},\"points\":1}\n";

	(void)state;
	governor_digest(g, d1);
	governor_digest(h, d2);
	governor_digest(k, d3);
	ax_sha256(line, sizeof(line) - 1, want);
	assert_memory_equal(d1, want, sizeof(d1));
	assert_memory_equal(d1, d2, sizeof(d1));
	assert_memory_not_equal(d1, d3, sizeof(d1));
	governor_free(g);
	governor_free(h);
	governor_free(k);
}

/* More hits than are listed still count; negative points; the caps. */
static void
test_many_rules(void **state)
{
	struct gov_request rq = { .source = "api" };
	struct governor *g = governor_new();
	struct gov_verdict v;
	char text[256], err[256];
	int i;

	(void)state;
	for (i = 0; i < 60; i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"version\":1,\"rules\":"
		    "[{\"id\":\"r%d\",\"points\":1,\"match\":{\"source\":"
		    "\"api\"}}]}",
		    i);
		assert_int_equal(governor_add(g, "t", text, strlen(text), err,
				     sizeof(err)),
		    0);
	}
	governor_evaluate(g, &rq, GOV_SOFT_BLOCK, 90, 70, &v);
	assert_int_equal(v.score, 60);
	assert_int_equal(v.nhits, GOV_HITS_MAX);
	(void)snprintf(text, sizeof(text),
	    "{\"version\":1,\"rules\":"
	    "[{\"id\":\"less\",\"points\":-100,\"match\":{\"source\":"
	    "\"api\"}}]}");
	assert_int_equal(governor_add(g, "t", text, strlen(text), err,
			     sizeof(err)),
	    0);
	governor_evaluate(g, &rq, GOV_SOFT_BLOCK, 90, 70, &v);
	assert_int_equal(v.score, 0);
	governor_free(g);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_matching),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_many_rules),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
