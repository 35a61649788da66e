/* SPDX-License-Identifier: ISC */
/*
 * The dispatcher: every request passes api_head(), which enforces its row of
 * the route table (credential, role, budget, method, media type, length)
 * before a byte of the body is looked at, and then api_request(), which runs
 * the row's handler. No handler may check access by itself, and nothing here
 * may depend on what a handler does.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/http/api.h"
#include "workers/http/ask.h"

struct api api;

void
api_init(struct http_ctx *ctx)
{
	uint32_t start;

	memset(&api, 0, sizeof(api));
	api.ctx = ctx;
	inflight_init(&api.inflight);
	/* Ids of an earlier life must fit no request of this one. */
	ax_random(&start, sizeof(start));
	api.inflight.turns = start;
}

void
api_conf_changed(struct http_ctx *ctx)
{
	api_root_build(&api);
	api_openapi_build(&api);
	api_follow_reload();
}

const char *
api_version(const struct http_ctx *ctx)
{
	const char *v;

	v = settings_str(ctx->settings, SET_APP_VERSION);
	if (v != NULL && v[0] != '\0')
		return (v);
	v = http_fact(ctx, "version");
	return (v != NULL && v[0] != '\0' ? v : PACKAGE_VERSION);
}

/* An escaped slash is not a separator: such a path is nobody's. */
static void
find(const struct http_req *req, struct route_match *m)
{
	const char *p;

	for (p = req->raw_path; (p = strchr(p, '%')) != NULL; p++)
		if (strncasecmp(p, "%2f", 3) == 0) {
			memset(m, 0, sizeof(*m));
			return;
		}
	router_find(api_routes, api_nroutes, req->method, req->path, m);
}

/* True: admitted. Unknown paths cost as much as known ones. */
static bool
admit(struct http_req *req, const struct route_match *m)
{
	enum http_bucket bucket = HTTP_BUCKET_DEFAULT;
	unsigned limit, reset_s;

	if (m->route != NULL && (m->route->flags & ROUTE_UNLIMITED) != 0)
		return (true);
	if (m->route != NULL && (m->route->flags & ROUTE_HIGH_RISK) != 0)
		bucket = HTTP_BUCKET_HIGH_RISK;
	if (http_rate_admit(req, bucket, &limit, &reset_s))
		return (true);
	api_event(req, AE_RATE_LIMITED);
	reply_rate_limited(req, bucket, limit, reset_s);
	return (false);
}

static bool
is_admin(const struct http_req *req)
{
	return (req->role != NULL && strcmp(req->role, "admin") == 0);
}

bool
api_sees_context(const struct http_req *req)
{
	return (is_admin(req));
}

/* Whether anyone may have this answer, be it only 405 or the methods. */
static bool
is_public(const struct http_req *req, const struct route_match *m)
{
	if (m->route != NULL)
		return (m->route->access == ACCESS_PUBLIC);
	return (m->public || (req->method == HTTP_OPTIONS && m->known));
}

/* Who may call: public, any credential, or an administrator's. */
static bool
authorize(struct http_req *req, const struct route_match *m)
{
	if (is_public(req, m))
		return (true);
	if (req->auth != HTTP_AUTH_OK) {
		api_event(req, AE_AUTH_FAILED);
		reply_error(req, ERR_UNAUTHORIZED, NULL);
		return (false);
	}
	if (m->route != NULL && m->route->access == ACCESS_ADMIN &&
	    !is_admin(req)) {
		metric_inc(req->ctx->slot, MC_FORBIDDEN);
		api_event(req, AE_FORBIDDEN);
		reply_error(req, ERR_FORBIDDEN, NULL);
		return (false);
	}
	return (true);
}

/* "application/json", in any case, perhaps with parameters. */
static bool
is_json(const char *type)
{
	size_t n = strlen(JSON_TYPE);

	if (type == NULL || strncasecmp(type, JSON_TYPE, n) != 0)
		return (false);
	type += n + strspn(type + n, " \t");
	return (*type == '\0' || *type == ';');
}

static bool
body_allowed(struct http_req *req, const struct route *r)
{
	char details[64];

	if (!req->has_body)
		return (true);
	if (req->content_length > 0 &&
	    (uint64_t)req->content_length > req->max_body) {
		snprintf(details, sizeof(details), "{\"max_bytes\":%zu}",
		    req->max_body);
		reply_error(req, ERR_TOO_LARGE, details);
		return (false);
	}
	if ((r->flags & ROUTE_BODY) != 0 &&
	    !is_json(http_req_header(req, "content-type"))) {
		reply_error(req, ERR_MEDIA_TYPE, NULL);
		return (false);
	}
	return (true);
}

/* OPTIONS * (RFC 9110 9.3.7) asks about the server, not about a resource. */
static bool
asks_server(const struct http_req *req)
{
	return (req->method == HTTP_OPTIONS && strcmp(req->path, "*") == 0);
}

int
api_head(struct http_req *req)
{
	struct route_match m;

	find(req, &m);
	if (asks_server(req)) {
		reply_method(req, "GET, HEAD, POST, OPTIONS");
		return (-1);
	}
	if (!admit(req, &m) || !authorize(req, &m))
		return (-1);
	if (!m.known) {
		reply_not_found(req);
		return (-1);
	}
	if (m.route == NULL) {
		reply_method(req, m.allow);
		return (-1);
	}
	return (body_allowed(req, m.route) ? 0 : -1);
}

void
api_request(struct http_req *req)
{
	struct route_match m;

	find(req, &m);
	if (m.route == NULL) {
		reply_not_found(req);
		return;
	}
	m.route->handler(req, m.name);
}

void
api_tick(struct http_ctx *ctx, uint64_t mono_us)
{
	struct health h;

	ask_expire(mono_us);
	api_gate_expire(mono_us);
	api_event_tick(mono_us);
	health_get(ctx, &h);
	metric_set(ctx->slot, MG_READY, h.ready);
}

void
api_peer_up(struct http_ctx *ctx, enum proc_role role)
{
	log_debug("api: %s is here", proc_name(role));
}

void
api_peer_down(struct http_ctx *ctx, enum proc_role role)
{
	if (role == PROC_AUDIT)
		api_gate_audit_down();
	else if (role == PROC_STORE)
		ask_expire(UINT64_MAX);
}
