/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the first byte chooses between a manifest, governor rules and
 * a schema with a value (separated by a newline). Whatever is accepted is
 * used, too: a manifest's schema validates, rules evaluate.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/governor.h"
#include "common/manifest.h"
#include "common/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
validate(const json_t *schema, const json_t *value)
{
	json_t *errors = json_array();
	int n = schema_validate(schema, value, errors);

	must(n >= 0 && n <= 32 && (size_t)n == json_array_size(errors));
	json_decref(errors);
}

static void
one_manifest(const char *text, size_t len)
{
	char err[128] = "";
	struct skill *s = skill_parse(text, len, NULL, err, sizeof(err));

	must(s != NULL || err[0] != '\0');
	if (s == NULL)
		return;
	must(s->name != NULL && s->inputs != NULL && s->version != NULL);
	must(s->runtime != RUN_PROGRAM || s->argv != NULL);
	(void)skill_acl(s, "api_key", "api");
	validate(s->inputs, s->doc);
	skill_free(s);
}

static void
one_rules(const char *text, size_t len)
{
	struct governor *g = governor_new();
	struct gov_request rq = { .action = "invoke_skill:file_ops",
		.skill = "file_ops",
		.source = "cron",
		.role = "admin" };
	json_t *inputs = json_pack("{s:s,s:s}", "operation", "delete", "path",
	    "/a/../../etc//x");
	struct gov_verdict v;
	char err[128] = "";

	must(governor_add(g, "f", text, len, err, sizeof(err)) == 0 ||
	    err[0] != '\0');
	rq.inputs = inputs;
	governor_evaluate(g, &rq, GOV_HARD_BLOCK, 90, 70, &v);
	must(v.score >= 0 && v.score <= 100 && v.nhits <= GOV_HITS_MAX);
	json_decref(inputs);
	governor_free(g);
}

static void
one_schema(const char *text, size_t len)
{
	const char *nl = memchr(text, '\n', len);
	json_t *schema, *value;
	char err[128] = "";

	if (nl == NULL)
		return;
	schema = json_loadb(text, (size_t)(nl - text), JSON_DECODE_ANY, NULL);
	value = json_loadb(nl + 1, len - (size_t)(nl + 1 - text),
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (schema != NULL && schema_check(schema, err, sizeof(err)) == 0)
		validate(schema, value);
	json_decref(schema);
	json_decref(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return (0);
	if (data[0] % 3 == 0)
		one_manifest(text, size - 1);
	else if (data[0] % 3 == 1)
		one_rules(text, size - 1);
	else
		one_schema(text, size - 1);
	return (0);
}
