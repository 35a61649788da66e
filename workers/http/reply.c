/* SPDX-License-Identifier: ISC */
/*
 * The envelopes of answers. Every error that the API can give stands in one
 * table with its status, its code and a fixed message: nothing that went wrong
 * inside may reach a client in other words than these.
 */
#include <stdio.h>
#include <string.h>

#include "common/jw.h"
#include "workers/http/reply.h"

/* clang-format off */
const struct error_def error_defs[ERR_MAX] = {
	[ERR_BAD_REQUEST] = { 400, "BAD_REQUEST",
	    "The request is not well-formed HTTP.", 0 },
	[ERR_CREDENTIAL_IN_QUERY] = { 400, "CREDENTIAL_IN_QUERY",
	    "A credential belongs in a header, not in the URL.", 0 },
	[ERR_UNAUTHORIZED] = { 401, "UNAUTHORIZED",
	    "A valid credential is required.", 0 },
	[ERR_FORBIDDEN] = { 403, "FORBIDDEN",
	    "The credential's role does not allow this.", 0 },
	[ERR_RATE_LIMITED] = { 429, "RATE_LIMITED",
	    "Too many requests.", 0 },
	[ERR_TOO_LARGE] = { 413, "PAYLOAD_TOO_LARGE",
	    "The body is longer than the server accepts.", 0 },
	[ERR_MEDIA_TYPE] = { 415, "UNSUPPORTED_MEDIA_TYPE",
	    "The body must be sent as application/json.", 0 },
	[ERR_VALIDATION] = { 422, "REQUEST_VALIDATION_FAILED",
	    "The request does not have the expected form.", 0 },
	[ERR_IDEM_KEY] = { 400, "IDEMPOTENCY_KEY_INVALID",
	    "Idempotency-Key must be 1 to 128 printable characters.", 0 },
	[ERR_RISK_RANGE] = { 400, "AUDIT_INVALID_RISK_RANGE",
	    "risk_score_min is above risk_score_max.", 0 },
	[ERR_DATE_RANGE] = { 400, "AUDIT_INVALID_DATE_RANGE",
	    "created_after is later than created_before.", 0 },
	[ERR_CURSOR] = { 400, "AUDIT_INVALID_CURSOR",
	    "The cursor is not one that this server gave.", 0 },
	[ERR_TREE_RANGE] = { 400, "AUDIT_INVALID_TREE_RANGE",
	    "It must be that from <= to <= size of the newest checkpoint.",
	    0 },
	[ERR_AUDIT_NOT_FOUND] = { 404, "AUDIT_NOT_FOUND",
	    "There is no record of this number.", 0 },
	[ERR_NO_CHECKPOINT] = { 404, "CHECKPOINT_NOT_FOUND",
	    "There is no signed checkpoint. An administrator makes the key "
	    "with archillxctl key new-signing, sets AUDIT_SIGNING=required "
	    "and restarts the service.", 5 },
	[ERR_NOT_COVERED] = { 404, "NOT_COVERED",
	    "No signed checkpoint covers this yet.", 1 },
	[ERR_STREAMS] = { 503, "TOO_MANY_STREAMS",
	    "Too many exports and followers are open.", 5 },
	[ERR_SKILL_NOT_FOUND] = { 404, "SKILL_NOT_FOUND",
	    "There is no skill of this name.", 0 },
	[ERR_SKILL_DISABLED] = { 503, "SKILL_DISABLED",
	    "The skill is switched off.", 60 },
	[ERR_SKILL_DENIED] = { 403, "SKILL_ACCESS_DENIED",
	    "The skill's access rules do not allow this caller.", 0 },
	[ERR_SKILL_INPUT] = { 400, "SKILL_INPUT_INVALID",
	    "The inputs do not match the skill's schema.", 0 },
	[ERR_BLOCKED] = { 403, "GOVERNOR_BLOCKED",
	    "The governor blocked this request.", 0 },
	[ERR_AUDIT_UNAVAILABLE] = { 503, "AUDIT_UNAVAILABLE",
	    "Actions cannot be recorded now; nothing was started.", 2 },
	[ERR_DB_UNAVAILABLE] = { 503, "DATABASE_UNAVAILABLE",
	    "The database does not answer now.", 2 },
	[ERR_BUSY] = { 503, "BUSY",
	    "Too much is in flight; nothing was started.", 1 },
	[ERR_NOT_RECORDED] = { 500, "OUTCOME_NOT_RECORDED",
	    "The action ran, but its outcome could not be recorded.", 0 },
	[ERR_INTERRUPTED] = { 500, "RUN_INTERRUPTED",
	    "The action was interrupted; it may have run in part.", 0 },
	[ERR_METRICS_DISABLED] = { 503, "METRICS_DISABLED",
	    "Metrics are switched off.", 60 },
	[ERR_INTERNAL] = { 500, "INTERNAL_SERVER_ERROR",
	    "The server failed; the log has the request id.", 0 },
};
/* clang-format on */

void
reply_json(struct http_req *req, int status, const char *text, size_t len)
{
	http_reply(req, status, JSON_TYPE, text, len);
}

void
reply_buf(struct http_req *req, int status, struct buf *b)
{
	if (b->err)
		reply_error(req, ERR_INTERNAL, NULL);
	else
		reply_json(req, status, b->d, b->len);
	buf_free(b);
}

/* {"detail":{"code":...,"message":... and leaves the object open. */
static void
begin(struct jw *w, struct buf *b, enum api_error e)
{
	jw_init(w, b, false);
	jw_obj(w);
	jw_key(w, "detail");
	jw_obj(w);
	jw_kstr(w, "code", error_defs[e].code);
	jw_kstr(w, "message", error_defs[e].message);
}

/* Closes it and answers; out of memory it still answers, shortly. */
static void
finish(struct http_req *req, struct jw *w, enum api_error e)
{
	static const char last[] =
	    "{\"detail\":{\"code\":"
	    "\"INTERNAL_SERVER_ERROR\",\"message\":\"Out of memory.\"}}";

	jw_obj_end(w);
	jw_obj_end(w);
	if (w->b->err)
		reply_json(req, 500, last, sizeof(last) - 1);
	else
		reply_json(req, error_defs[e].status, w->b->d, w->b->len);
	buf_free(w->b);
}

static void
retry_after(struct http_req *req, unsigned seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", seconds);
	http_reply_header(req, "retry-after", text);
}

void
reply_error_retry(struct http_req *req, enum api_error e, unsigned retry_s,
    const char *details)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	begin(&w, &b, e);
	if (e == ERR_UNAUTHORIZED)
		http_reply_header(req, "www-authenticate",
		    "Bearer realm=\"archillx\"");
	else {
		if (details == NULL)
			details = "{}";
		jw_key(&w, "details");
		jw_raw(&w, details, strlen(details));
	}
	if (e == ERR_INTERNAL)
		jw_kstr(&w, "request_id", req->request_id);
	/* A time to come back belongs only to what may be repeated. */
	if (error_defs[e].retry_s != 0)
		retry_after(req,
		    retry_s != 0 ? retry_s : error_defs[e].retry_s);
	finish(req, &w, e);
}

void
reply_error(struct http_req *req, enum api_error e, const char *details)
{
	reply_error_retry(req, e, 0, details);
}

void
reply_invalid(struct http_req *req, struct invalid *inv)
{
	struct buf b = BUF_INITIALIZER;
	const char *items;
	struct jw w;

	items = invalid_json(inv);
	if (items == NULL || inv->n == 0) {
		reply_error(req, ERR_INTERNAL, NULL);
		invalid_free(inv);
		return;
	}
	begin(&w, &b, ERR_VALIDATION);
	jw_key(&w, "errors");
	jw_raw(&w, items, strlen(items));
	jw_kstr(&w, "request_id", req->request_id);
	finish(req, &w, ERR_VALIDATION);
	invalid_free(inv);
}

void
reply_rate_limited(struct http_req *req, enum http_bucket bucket,
    unsigned limit, unsigned reset_s)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	begin(&w, &b, ERR_RATE_LIMITED);
	jw_kstr(&w, "bucket",
	    bucket == HTTP_BUCKET_HIGH_RISK ? "high_risk" : "default");
	jw_kuint(&w, "limit", limit);
	jw_kuint(&w, "reset_after_s", reset_s);
	finish(req, &w, ERR_RATE_LIMITED);
}

void
reply_not_found(struct http_req *req)
{
	static const char text[] = "{\"detail\":\"Not Found\"}";

	reply_json(req, 404, text, sizeof(text) - 1);
}

void
reply_method(struct http_req *req, const char *allow)
{
	static const char text[] = "{\"detail\":\"Method Not Allowed\"}";

	http_reply_header(req, "allow", allow);
	if (req->method == HTTP_OPTIONS)
		http_reply(req, 204, NULL, NULL, 0);
	else
		reply_json(req, 405, text, sizeof(text) - 1);
}
