/* SPDX-License-Identifier: ISC */
/*
 * manifest.c: the manifests that ship, every kind of error with its place, and
 * the ACL of the contract, 6.3.
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

#include "common/manifest.h"
#include "common/settings.h"
#include "common/util.h"

static char *
source_file(const char *name, size_t *len)
{
	const char *top = getenv("srcdir");
	char path[1024], *text;

	(void)snprintf(path, sizeof(path), "%s/%s", top == NULL ? "." : top,
	    name);
	text = ax_read_file(AT_FDCWD, path, 1 << 20, len);
	if (text == NULL)
		fail_msg("cannot read %s", path);
	return (text);
}

static struct skill *
shipped(const char *name)
{
	char path[128], err[512], *text;
	struct skill *s;
	size_t len;

	(void)snprintf(path, sizeof(path), "etc/skills.d/%s.json", name);
	text = source_file(path, &len);
	s = skill_parse(text, len, name, err, sizeof(err));
	if (s == NULL)
		fail_msg("%s: %s", name, err);
	free(text);
	return (s);
}

static void
test_shipped(void **state)
{
	struct skill *s = shipped("code_exec");

	(void)state;
	assert_int_equal(s->runtime, RUN_CODE);
	assert_true(s->enabled && s->governor_required && s->high_risk);
	assert_string_equal(s->allow_sources[0], "api");
	assert_null(s->allow_sources[1]);
	assert_null(s->argv);
	assert_int_equal(s->memory, 0); /* the setting's */
	skill_free(s);

	s = shipped("file_ops");
	assert_int_equal(s->runtime, RUN_FILES);
	assert_true(s->high_risk);
	skill_free(s);

	s = shipped("text_stats");
	assert_int_equal(s->runtime, RUN_PROGRAM);
	assert_false(s->high_risk);
	assert_string_equal(s->argv[0], "/usr/bin/python3");
	assert_int_equal(s->timeout_ms, 2000);
	skill_free(s);
}

#define M(rest)	 "{\"name\":\"x\"," rest "}"
#define PROGRAM	 "\"runtime\":{\"kind\":\"program\",\"argv\":[\"/bin/true\"]}"
#define MP(rest) M(PROGRAM "," rest)

/* err NULL: good. */
static const struct row {
	const char *text, *err;
} rows[] = {
	{ MP("\"version\":\"2\""), NULL },
	{ MP("\"acl\":{\"allow_roles\":\"admin\"}"), NULL },
	{ MP("\"limits\":{\"memory\":\"64M\",\"max_stdout\":4096}"), NULL },
	{ "", "line 1" },
	{ "{\"name\":\"x\"", "line 1, column" },
	{ "{\"name\":\"x\",\"name\":\"x\"}", "line 1" },
	{ "[]", "manifest: must be an object" },
	{ "{" PROGRAM "}", "name: missing" },
	{ "{\"name\":7}", "name: must be a string" },
	{ "{\"name\":\"../x\"}", "name: \"../x\" must be letters" },
	{ "{\"name\":\".\"}", "name: \".\" must be letters" },
	{ "{\"name\":\"\"}", "name: must be 1 to 64 bytes" },
	{ "{\"name\":\"y\"," PROGRAM "}", "name: \"y\" does not match" },
	{ MP("\"enable\":true"), "manifest: unknown key \"enable\"" },
	{ MP("\"enabled\":\"yes\""), "enabled: must be true or false" },
	{ MP("\"permissions\":[\"execute\"]"),
	    "permissions: \"execute\" is "
	    "not one of exec, filesystem, network" },
	{ MP("\"permissions\":[]"), "permissions: is empty" },
	{ MP("\"permissions\":[7]"), "permissions: item 0" },
	{ MP("\"tags\":[7]"), "tags: item 0" },
	{ MP("\"acl\":[]"), "acl: must be an object" },
	{ MP("\"acl\":{\"allow_role\":[]}"),
	    "acl: unknown key \"allow_role\"" },
	{ MP("\"acl\":{\"allow_roles\":[\"root\"]}"),
	    "acl.allow_roles: \"root\" is not one of anonymous, api_key" },
	{ MP("\"acl\":{\"deny_sources\":[\"crn\"]}"),
	    "acl.deny_sources: \"crn\" is not one of api, cron, ctl, agent" },
	{ MP("\"inputs\":{}"), "inputs: needs \"type\": \"object\"" },
	{ MP("\"inputs\":[]"), "inputs: must be an object" },
	{ MP("\"inputs\":{\"type\":\"object\",\"properties\":{\"a\":"
	     "{\"format\":\"uri\"}}}"),
	    "inputs/properties/a/format: unknown keyword" },
	{ M("\"version\":\"1\""), "runtime.kind: missing" },
	{ M("\"runtime\":{}"), "runtime.kind: missing" },
	{ M("\"runtime\":{\"kind\":\"dockr\"}"),
	    "runtime.kind: \"dockr\" is "
	    "not one of code, program, files" },
	{ M("\"runtime\":{\"kind\":\"program\"}"), "runtime.argv: missing" },
	{ M("\"runtime\":{\"kind\":\"program\",\"argv\":[\"ls\"]}"),
	    "runtime.argv: item 0 \"ls\" must be an absolute path" },
	{ M("\"runtime\":{\"kind\":\"program\",\"argv\":[\"/a\\u0000b\"]}"),
	    "line 1" },
	{ M("\"permissions\":[\"exec\"],\"runtime\":{\"kind\":\"code\","
	    "\"argv\":[\"/bin/sh\"]}"),
	    "runtime.argv: only for kind" },
	{ M("\"runtime\":{\"kind\":\"code\"}"),
	    "permissions: runtime kind \"code\" needs \"exec\"" },
	{ M("\"runtime\":{\"kind\":\"files\"}"),
	    "permissions: runtime kind \"files\" needs \"filesystem\"" },
	{ M("\"runtime\":{\"kind\":\"program\",\"argv\":[\"/a\"],"
	    "\"host_path\":\"/srv/../etc\"}"),
	    "runtime.host_path: " },
	{ M("\"runtime\":{\"kind\":\"program\",\"argv\":[\"/a\"],"
	    "\"host_path\":\"//srv\"}"),
	    "runtime.host_path: " },
	{ M("\"runtime\":{\"kind\":\"program\",\"argv\":[\"/a\"],"
	    "\"host_path\":\"/srv/x/\"}"),
	    "runtime.host_path: " },
	{ M("\"runtime\":{\"kind\":\"program\",\"argv\":[\"/a\"],"
	    "\"host_path\":\"/srv/..x\"}"),
	    NULL },
	{ MP("\"limits\":{\"timeout_ms\":0}"),
	    "limits.timeout_ms: 0 is not in 1..3600000" },
	{ MP("\"limits\":{\"timeout_ms\":1.5}"),
	    "limits.timeout_ms: must be an integer" },
	{ MP("\"limits\":{\"memory\":\"64X\"}"), "limits.memory: must be" },
	{ MP("\"limits\":{\"memory\":\"99999999999G\"}"),
	    "limits.memory: must be" },
	{ MP("\"limits\":{\"memory\":1}"), "limits.memory: 1 is not in" },
	{ MP("\"limits\":{\"cpu\":1}"), "limits: unknown key \"cpu\"" },
};

static void
test_errors(void **state)
{
	struct skill *s;
	char err[512];
	size_t i;

	(void)state;
	for (i = 0; i < AX_NELEM(rows); i++) {
		err[0] = '\0';
		s = skill_parse(rows[i].text, strlen(rows[i].text), "x", err,
		    sizeof(err));
		if (rows[i].err == NULL && s == NULL)
			fail_msg("%s: %s", rows[i].text, err);
		if (rows[i].err != NULL &&
		    (s != NULL || strstr(err, rows[i].err) == NULL))
			fail_msg("%s: got \"%s\", not \"%s\"", rows[i].text,
			    err, rows[i].err);
		skill_free(s);
	}
}

/* A good manifest, cut at every byte, never parses and never crashes. */
static void
test_cut(void **state)
{
	size_t len, i;
	char *text = source_file("etc/skills.d/code_exec.json", &len);
	char err[512];

	(void)state;
	while (len > 0 && text[len - 1] != '}')
		len--;
	for (i = 0; i < len; i++) {
		assert_null(skill_parse(text, i, NULL, err, sizeof(err)));
		assert_true(err[0] != '\0');
	}
	free(text);
}

#define ACL(acl) "{\"name\":\"x\"," PROGRAM ",\"acl\":{" acl "}}"
#define HIGH	 "{\"name\":\"x\"," PROGRAM ",\"permissions\":[\"exec\"]}"

static const struct acl_row {
	const char *text, *role, *source, *denied;
} acls[] = {
	{ "{\"name\":\"x\"," PROGRAM "}", "anonymous", "api", NULL },
	{ "{\"name\":\"x\"," PROGRAM "}", NULL, NULL, NULL },
	{ ACL("\"deny_sources\":[\"cron\"]"), "admin", "cron", "deny_sources" },
	{ ACL("\"deny_sources\":[\"cron\"]"), "admin", "api", NULL },
	{ ACL("\"deny_sources\":[\"api\"],\"allow_sources\":[\"api\"]"),
	    "admin", "api", "deny_sources" },
	{ ACL("\"allow_sources\":[\"api\"]"), "admin", "cron",
	    "allow_sources" },
	{ ACL("\"allow_sources\":[\"api\"]"), "admin", NULL, "allow_sources" },
	{ ACL("\"allow_roles\":[\"admin\"]"), "api_key", "api", "allow_roles" },
	{ ACL("\"allow_roles\":[\"admin\"]"), NULL, "api", "allow_roles" },
	{ ACL("\"allow_roles\":[\"admin\"]"), "admin", "api", NULL },
	{ HIGH, "api_key", "api", "high_risk_permission" },
	{ HIGH, "admin", "api", NULL },
	{ HIGH, "system", "cron", NULL },
};

static void
test_acl(void **state)
{
	const struct acl_row *r;
	const char *denied;
	struct skill *s;
	char err[512];

	(void)state;
	for (r = acls; r < acls + AX_NELEM(acls); r++) {
		s = skill_parse(r->text, strlen(r->text), "x", err,
		    sizeof(err));
		if (s == NULL)
			fail_msg("%s: %s", r->text, err);
		denied = skill_acl(s, r->role, r->source);
		if (r->denied == NULL)
			assert_null(denied);
		else
			assert_string_equal(denied, r->denied);
		skill_free(s);
	}
}

/* etc/archillx.conf names every setting with its default, and no other. */
static void
test_shipped_conf(void **state)
{
	char *text, *line, *save = NULL, *eq;
	bool seen[SET_MAX] = { false };
	enum setting_id id;
	size_t len, i;

	(void)state;
	text = source_file("etc/archillx.conf", &len);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		assert_true(line[0] == '#'); /* nothing set by default */
		if (line[1] < 'A' || line[1] > 'Z' ||
		    (eq = strchr(line, '=')) == NULL)
			continue;
		*eq = '\0';
		if ((id = settings_lookup(line + 1)) == SET_MAX)
			fail_msg("%s is no setting", line + 1);
		assert_string_equal(eq + 1, setting_defs[id].dflt);
		seen[id] = true;
	}
	for (i = 0; i < SET_MAX; i++)
		if (!seen[i])
			fail_msg("%s is missing", setting_defs[i].name);
	free(text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_acl),
		cmocka_unit_test(test_shipped_conf),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
