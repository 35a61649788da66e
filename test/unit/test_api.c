/* SPDX-License-Identifier: ISC */
/*
 * The dispatcher (who may, in which form, how often), readiness, and the
 * document that is made from the same tables.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "test/unit/api_help.h"

/* ---- the dispatcher ---- */

/* clang-format off */
static const struct {
	enum http_method method;
	const char *path, *role;
	int status;
	const char *code; /* or the allow field */
} gatekeeping[] = {
	{ HTTP_GET, "/v1/live", NULL, 200, NULL },
	{ HTTP_HEAD, "/v1/live", NULL, 200, NULL },
	{ HTTP_GET, "/livez", NULL, 200, NULL },
	{ HTTP_GET, "/", NULL, 200, NULL },
	{ HTTP_GET, "/healthz", NULL, 200, NULL },
	{ HTTP_GET, "/v1/health", NULL, 200, NULL },
	{ HTTP_GET, "/metrics", NULL, 200, NULL },
	{ HTTP_GET, "/v1/metrics", NULL, 200, NULL },
	{ HTTP_GET, "/openapi.json", NULL, 200, NULL },
	{ HTTP_GET, "/v1/skills", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/skills", "api_key", 200, NULL },
	{ HTTP_GET, "/v1/skills/s1", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/skills/s1", "api_key", 200, NULL },
	{ HTTP_GET, "/v1/skills/s2", "api_key", 404, "SKILL_NOT_FOUND" },
	{ HTTP_GET, "/v1/governor/config", "anonymous", 200, NULL },
	{ HTTP_GET, "/v1/audit", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/audit/export", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/audit/export", "api_key", 403, "FORBIDDEN" },
	{ HTTP_GET, "/v1/audit/proof", "api_key", 403, "FORBIDDEN" },
	{ HTTP_POST, "/v1/audit/archive", "api_key", 403, "FORBIDDEN" },
	{ HTTP_GET, "/v1/audit/archive", "admin", 405, "POST, OPTIONS" },
	{ HTTP_POST, "/v1/audit/export", "admin", 405, "GET, HEAD, OPTIONS" },
	{ HTTP_POST, "/v1/audit/follow", "admin", 405, "GET, HEAD, OPTIONS" },
	{ HTTP_POST, "/v1/audit/17", "admin", 405, "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/v1/audit/17", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/v1/audit/x", "api_key", 404, NULL },
	{ HTTP_GET, "/v1/audit/1x", "api_key", 404, NULL },
	{ HTTP_GET, "/v1/audit/-1", "api_key", 404, NULL },
	{ HTTP_GET, "/v1/audit/0", "api_key", 404, "AUDIT_NOT_FOUND" },
	{ HTTP_GET, "/v1/audit/99999999999999999999", "api_key", 404,
	    "AUDIT_NOT_FOUND" },
	{ HTTP_GET, "/v1/audit/", "api_key", 404, NULL },
	{ HTTP_GET, "/v1/audit/1/2", "api_key", 404, NULL },
	{ HTTP_POST, "/v1/skills/s1/enable", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_POST, "/v1/skills/s1/enable", "api_key", 403, "FORBIDDEN" },
	{ HTTP_POST, "/v1/skills/s1/disable", "anonymous", 403, "FORBIDDEN" },
	{ HTTP_POST, "/v1/skills/s1/disable", "adminx", 403, "FORBIDDEN" },
	{ HTTP_GET, "/nowhere", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_GET, "/nowhere", "api_key", 404, NULL },
	{ HTTP_GET, "/v1/skills%2Fs1", "api_key", 404, NULL },
	{ HTTP_POST, "/v1/skills", NULL, 401, "UNAUTHORIZED" },
	{ HTTP_POST, "/v1/skills", "api_key", 405, "GET, HEAD, OPTIONS" },
	{ HTTP_PUT, "/v1/live", NULL, 405, "GET, HEAD, OPTIONS" },
	{ HTTP_OTHER, "/v1/live", NULL, 405, "GET, HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/v1/live", NULL, 204, "GET, HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/v1/skills/invoke", NULL, 204, "POST, OPTIONS" },
	{ HTTP_GET, "/v1/skills/invoke", "admin", 405, "POST, OPTIONS" },
};
/* clang-format on */

static void
test_gatekeeping(void **state)
{
	struct http_req req;
	char allow[80];
	size_t i;

	for (i = 0; i < AX_NELEM(gatekeeping); i++) {
		req = request(gatekeeping[i].method, gatekeeping[i].path,
		    gatekeeping[i].role);
		run(&req);
		if (gatekeeping[i].status == 405 ||
		    gatekeeping[i].status == 204) {
			want(gatekeeping[i].status, NULL);
			snprintf(allow, sizeof(allow), "allow: %s\n",
			    gatekeeping[i].code);
			assert_string_equal(got.headers, allow);
		} else
			want(gatekeeping[i].status, gatekeeping[i].code);
	}
	/* what was an escaped slash does not separate */
	req = request(HTTP_GET, "/v1/skills/s1", "api_key");
	req.raw_path = "/v1/skills%2fs1";
	run(&req);
	want(404, NULL);
	assert_string_equal(got.body, "{\"detail\":\"Not Found\"}");
	assert_int_equal(own_slot.counter[MC_FORBIDDEN], 6);
	assert_int_equal(seen.requests, 0);
}

static void
test_rate(void **state)
{
	struct http_req req = request(HTTP_GET, "/v1/skills", "api_key");

	got.rate_ok = false;
	run(&req);
	want(429, "RATE_LIMITED");
	assert_non_null(strstr(got.body,
	    "\"bucket\":\"default\",\"limit\":15,"
	    "\"reset_after_s\":7"));
	req = request(HTTP_POST, "/v1/skills/invoke", NULL);
	run(&req);
	want(429, "RATE_LIMITED");
	assert_non_null(strstr(got.body, "\"bucket\":\"high_risk\""));
	req = request(HTTP_GET, "/v1/ready", NULL);
	run(&req);
	assert_int_not_equal(got.status, 429);
	req = request(HTTP_GET, "/metrics", NULL);
	run(&req);
	assert_int_equal(got.status, 200);
}

static void
test_media_type(void **state)
{
	static const struct {
		const char *type;
		int status;
	} cases[] = {
		{ "application/json", 422 },
		{ "Application/JSON; charset=utf-8", 422 },
		{ "application/json ;x", 422 },
		{ "application/jsonx", 415 },
		{ "text/json", 415 },
		{ "", 415 },
		{ NULL, 415 },
	};
	struct http_req req;
	size_t i;

	for (i = 0; i < AX_NELEM(cases); i++) {
		req = request(HTTP_POST, "/v1/skills/invoke", "admin");
		post(&req, "{}");
		got.sent_type = cases[i].type;
		run(&req);
		want(cases[i].status, NULL);
	}
	/* no body at all is a missing body, whatever its type would be */
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	run(&req);
	want(422, "REQUEST_VALIDATION_FAILED");
	req = request(HTTP_POST, "/v1/skills/invoke", "admin");
	post(&req, "{}");
	req.content_length = 2000001;
	run(&req);
	want(413, "PAYLOAD_TOO_LARGE");
	assert_int_equal(seen.requests, 0);
}

/* ---- readiness ---- */

static void
ready(const char *role, int status, const char *text)
{
	struct http_req req = request(HTTP_GET, "/v1/ready", role);

	run(&req);
	want(status, NULL);
	if (strstr(got.body, text) == NULL)
		fail_msg("%s", got.body);
	assert_int_equal(strstr(got.body, "\"details\":{") != NULL,
	    role != NULL);
	assert_int_equal(strstr(got.headers, "retry-after: ") != NULL,
	    status == 503);
	api_tick(&ctx, ax_mono_us());
	assert_int_equal(own_slot.gauge[MG_READY], status == 200);
}

static void
test_ready(void **state)
{
	struct ipc *audit = ctx.audit;
	char err[200];

	ready(NULL, 503,
	    "\"errors\":[\"db:unavailable\",\"cron:stopped\","
	    "\"audit_dir:closed\",\"migration:not_at_head\"]");
	metric_set(&store_slot, MG_STORE_OK, 1);
	metric_set(&store_slot, MG_MIGRATION_OK, 1);
	metric_set(&sched_slot, MG_SCHED_OK, 1);
	metric_set(&audit_slot, MG_GATE_OPEN, 1);
	ready(NULL, 200,
	    "\"checks\":{\"db\":true,\"skills\":true,"
	    "\"cron\":true,\"audit_dir\":true,\"migration\":true}");
	ready("api_key", 200, "\"status\":\"ready\"");
	ctx.audit = NULL;
	ready(NULL, 503, "\"errors\":[\"audit_dir:closed\"]");
	ctx.audit = audit;

	assert_int_equal(settings_set(settings, SET_ENABLE_CODE_EXEC, "yes",
			     "test", err, sizeof(err)),
	    0);
	ready(NULL, 503, "\"errors\":[\"sandbox:unavailable\"]");
	metric_set(&broker_slot, MG_SANDBOX_OK, 1);
	ready(NULL, 200, "\"sandbox\":true");
	metric_set(&broker_slot, MG_SANDBOX_DEGRADED, 1);
	ready(NULL, 503, "\"sandbox\":false");
	assert_int_equal(settings_set(settings, SET_SANDBOX_ALLOW_NO_CGROUP,
			     "yes", "test", err, sizeof(err)),
	    0);
	ready(NULL, 200, "\"sandbox\":true");
	metric_set(&store_slot, MG_MIGRATION_OK, 0);
	ready(NULL, 503, "migration:not_at_head");
	assert_int_equal(settings_set(settings, SET_REQUIRE_MIGRATION_HEAD,
			     "no", "test", err, sizeof(err)),
	    0);
	ready(NULL, 200, "\"migration\":true");
}

/* ---- the document ---- */

/* Every reference leads somewhere; returns how many there were. */
static unsigned
check_refs(const json_t *v, const json_t *schemas)
{
	static const char prefix[] = "#/components/schemas/";
	const char *key;
	const json_t *m;
	unsigned n = 0;
	json_t *w;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, key, w) {
			if (strcmp(key, "$ref") == 0) {
				const char *s = json_string_value(w);

				assert_memory_equal(s, prefix,
				    sizeof(prefix) - 1);
				assert_non_null(json_object_get(schemas,
				    s + sizeof(prefix) - 1));
				n++;
			} else
				n += check_refs(w, schemas);
		}
	} else
		json_array_foreach(v, i, m)
			n += check_refs(m, schemas);
	return (n);
}

static void
test_document(void **state)
{
	struct http_req req = request(HTTP_GET, "/openapi.json", NULL);
	json_t *doc, *op, *paths, *item;
	const char *path;
	unsigned i, n = 0;

	run(&req);
	want(200, NULL);
	doc = json_loads(got.body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "openapi")),
	    "3.1.0");
	paths = json_object_get(doc, "paths");
	for (i = 0; i < api_nroutes; i++) {
		item = json_object_get(paths, api_routes[i].path);
		op = json_object_get(item,
		    api_routes[i].method == HTTP_GET ? "get" : "post");
		assert_non_null(op);
		assert_string_equal(json_string_value(
					json_object_get(op, "operationId")),
		    api_routes[i].id);
		assert_int_equal(json_array_size(
				     json_object_get(op, "security")),
		    api_routes[i].access == ACCESS_PUBLIC ? 0 : 2);
		assert_true(api_routes[i].method == HTTP_GET ||
		    api_routes[i].method == HTTP_POST);
	}
	json_object_foreach(paths, path, item)
		n += json_object_size(item);
	assert_int_equal(n, api_nroutes);
	assert_true(check_refs(doc,
			json_object_get(json_object_get(doc, "components"),
			    "schemas")) > 30);
	json_decref(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_gatekeeping),
		T(test_rate),
		T(test_media_type),
		T(test_ready),
		T(test_document),
	};

	return (cmocka_run_group_tests_name("api", tests, NULL, NULL));
}
