/* SPDX-License-Identifier: ISC */
/*
 * The state of the schema (contract 12.3): 200 when it is as required, else
 * 503, always in the same shape, also when nobody can say what the state is.
 */
#include <jansson.h>
#include <string.h>

#include "common/jw.h"
#include "workers/http/api.h"

/* Every 503 tells when to come back. */
static void
reply_state(struct http_req *req, bool ok, const char *text, size_t len)
{
	if (!ok)
		http_reply_header(req, "retry-after", "2");
	reply_json(req, ok ? 200 : 503, text, len);
}

/* The answer that needs no database. */
static void
reply_without(struct http_req *req, const char *status, const char *error)
{
	const struct settings *s = req->ctx->settings;
	bool enabled = settings_bool(s, SET_ENABLE_MIGRATION_CHECK);
	bool required = settings_bool(s, SET_REQUIRE_MIGRATION_HEAD);
	bool ok = !enabled || !required;
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kbool(&w, "enabled", enabled);
	jw_kbool(&w, "required", required);
	jw_knull(&w, "head");
	jw_knull(&w, "current");
	jw_kstr(&w, "status", status);
	jw_kbool(&w, "ok", ok);
	jw_kbool(&w, "drift", false);
	if (error != NULL)
		jw_kstr(&w, "error", error);
	jw_obj_end(&w);
	if (b.err)
		reply_error(req, ERR_INTERNAL, NULL);
	else
		reply_state(req, ok, b.d, b.len);
	buf_free(&b);
}

static void
on_away(struct http_req *req)
{
	reply_without(req, "unknown", "the database does not answer");
}

static void
on_state(struct http_req *req, const char *text)
{
	json_t *state;
	bool ok;

	state = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(state)) {
		json_decref(state);
		reply_error(req, ERR_INTERNAL, NULL);
		return;
	}
	ok = json_is_true(json_object_get(state, "ok"));
	json_decref(state);
	reply_state(req, ok, text, strlen(text));
}

static const struct query_how state_query = {
	.query = Q_MIGRATION_STATE,
	.rows = on_state,
	.away = on_away,
};

void
api_migration_state(struct http_req *req, const char *name)
{
	if (settings_bool(req->ctx->settings, SET_ENABLE_MIGRATION_CHECK))
		api_query(req, &state_query);
	else
		reply_without(req, "disabled", NULL);
}
