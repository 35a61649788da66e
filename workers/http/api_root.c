/* SPDX-License-Identifier: ISC */
/*
 * The root and the probes (contract 3.1, 13). What cannot change between two
 * reloads is written once and only copied, so that a probe costs next to
 * nothing. Without a credential nothing about the inside is told (D-64).
 */
#include <string.h>

#include "common/jw.h"
#include "common/manifest.h"
#include "workers/http/api.h"

static void
put_identity(struct jw *w, const char *status)
{
	jw_kstr(w, "status", status);
	jw_kstr(w, "system", "ArcHillx");
	jw_kstr(w, "version", api_version(api.ctx));
}

/* Routing of language models is out of scope: the list stays empty. */
static void
put_providers(struct jw *w)
{
	jw_key(w, "ai_providers");
	jw_arr(w);
	jw_arr_end(w);
}

static void
build_root(struct buf *b)
{
	struct jw w;

	jw_init(&w, b, false);
	jw_obj(&w);
	jw_kstr(&w, "system", "ArcHillx");
	jw_kstr(&w, "version", api_version(api.ctx));
	jw_kstr(&w, "docs", "/openapi.json");
	jw_kstr(&w, "health", "/v1/health");
	jw_knull(&w, "ui"); /* there is no console yet */
	jw_obj_end(&w);
}

static void
build_status(struct buf *b, const char *status, bool providers)
{
	struct jw w;

	jw_init(&w, b, false);
	jw_obj(&w);
	put_identity(&w, status);
	if (providers)
		put_providers(&w);
	jw_obj_end(&w);
}

void
api_root_build(struct api *a)
{
	buf_reset(&a->root);
	buf_reset(&a->live);
	buf_reset(&a->healthz);
	build_root(&a->root);
	build_status(&a->live, "alive", false);
	build_status(&a->healthz, "ok", true);
}

static void
reply_built(struct http_req *req, const struct buf *b)
{
	if (b->err)
		reply_error(req, ERR_INTERNAL, NULL);
	else
		reply_json(req, 200, b->d, b->len);
}

void
api_root(struct http_req *req, const char *name)
{
	reply_built(req, &api.root);
}

void
api_live(struct http_req *req, const char *name)
{
	reply_built(req, &api.live);
}

void
api_healthz(struct http_req *req, const char *name)
{
	reply_built(req, &api.healthz);
}

/* Checks nothing: that is what ready is for. */
void
api_health(struct http_req *req, const char *name)
{
	const struct http_ctx *ctx = req->ctx;
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	unsigned i;

	jw_init(&w, &b, false);
	jw_obj(&w);
	put_identity(&w, "ok");
	put_providers(&w);
	jw_key(&w, "loaded_skills");
	jw_arr(&w);
	for (i = 0; i < ctx->nskills; i++)
		jw_str(&w, ctx->skills[i]->name);
	jw_arr_end(&w);
	jw_kbool(&w, "cron_active",
	    health_gauge(ctx, PROC_SCHEDULER, MG_SCHED_OK) == 1);
	jw_obj_end(&w);
	reply_buf(req, 200, &b);
}

/* name, value and the word under "errors" when it is false */
struct check {
	const char *name;
	bool ok;
	const char *error;
};
#define NCHECKS 6

static unsigned
list_checks(const struct health *h, struct check c[NCHECKS])
{
	unsigned n = 0;

	c[n++] = (struct check){ "db", h->db, "db:unavailable" };
	c[n++] = (struct check){ "skills", h->skills, "skills:none" };
	c[n++] = (struct check){ "cron", h->cron, "cron:stopped" };
	c[n++] =
	    (struct check){ "audit_dir", h->audit_dir, "audit_dir:closed" };
	c[n++] = (struct check){ "migration", h->migration,
		"migration:not_at_head" };
	if (h->sandbox_needed)
		c[n++] = (struct check){ "sandbox", h->sandbox,
			"sandbox:unavailable" };
	return (n);
}

static void
put_checks(struct jw *w, const struct check *c, unsigned n)
{
	unsigned i;

	jw_key(w, "checks");
	jw_obj(w);
	for (i = 0; i < n; i++)
		jw_kbool(w, c[i].name, c[i].ok);
	jw_obj_end(w);
	jw_key(w, "errors");
	jw_arr(w);
	for (i = 0; i < n; i++)
		if (!c[i].ok)
			jw_str(w, c[i].error);
	jw_arr_end(w);
}

static void
put_projection(struct jw *w, const struct http_ctx *ctx)
{
	jw_key(w, "db");
	jw_obj(w);
	jw_kbool(w, "channel", ctx->store != NULL);
	jw_kuint(w, "applied_seq", health_gauge(ctx, PROC_STORE, MG_STORE_SEQ));
	jw_obj_end(w);
}

static void
put_gate(struct jw *w, const struct http_ctx *ctx)
{
	jw_key(w, "audit_dir");
	jw_obj(w);
	jw_kbool(w, "channel", ctx->audit != NULL);
	jw_kuint(w, "journal_seq",
	    health_gauge(ctx, PROC_AUDIT, MG_JOURNAL_SEQ));
	jw_kuint(w, "open_permits",
	    health_gauge(ctx, PROC_AUDIT, MG_OPEN_PERMITS));
	jw_obj_end(w);
}

static void
put_sandbox(struct jw *w, const struct http_ctx *ctx)
{
	const char *cgroup = http_fact(ctx, "cgroup");

	jw_key(w, "sandbox");
	jw_obj(w);
	jw_kstr(w, "backend", settings_str(ctx->settings, SET_SANDBOX_BACKEND));
	jw_kbool(w, "degraded",
	    health_gauge(ctx, PROC_BROKER, MG_SANDBOX_DEGRADED) != 0);
	jw_kstr(w, "cgroup", cgroup);
	jw_obj_end(w);
}

/* Actions are recorded without it: it is no part of readiness. */
static void
put_signing(struct jw *w, const struct http_ctx *ctx, const struct health *h)
{
	jw_key(w, "signing");
	jw_obj(w);
	jw_kbool(w, "required", h->signing_needed);
	jw_kbool(w, "degraded", h->signing_needed && !h->signing);
	jw_kstr(w, "reason",
	    !h->signing_needed ? "AUDIT_SIGNING=off: nothing proves the "
				 "journal" :
		!h->signing ? "no checkpoints are signed now; the log of the "
			      "notary tells why" :
			      NULL);
	jw_kuint(w, "checkpoint_seq",
	    health_gauge(ctx, PROC_NOTARY, MG_CHECKPOINT_SEQ));
	jw_obj_end(w);
}

static void
put_details(struct jw *w, const struct http_ctx *ctx, const struct health *h)
{
	jw_key(w, "details");
	jw_obj(w);
	put_projection(w, ctx);
	jw_key(w, "skills");
	jw_obj(w);
	jw_kuint(w, "count", ctx->nskills);
	jw_obj_end(w);
	jw_key(w, "cron");
	jw_obj(w);
	jw_kbool(w, "started", h->cron);
	jw_obj_end(w);
	put_gate(w, ctx);
	jw_key(w, "migration");
	jw_obj(w);
	jw_kbool(w, "enabled",
	    settings_bool(ctx->settings, SET_ENABLE_MIGRATION_CHECK));
	jw_kbool(w, "required",
	    settings_bool(ctx->settings, SET_REQUIRE_MIGRATION_HEAD));
	jw_kbool(w, "ok", h->migration);
	jw_obj_end(w);
	put_sandbox(w, ctx);
	put_signing(w, ctx, h);
	jw_obj_end(w);
}

void
api_ready(struct http_req *req, const char *name)
{
	struct buf b = BUF_INITIALIZER;
	struct check checks[NCHECKS];
	struct health h;
	struct jw w;
	unsigned n;

	health_get(req->ctx, &h);
	n = list_checks(&h, checks);
	jw_init(&w, &b, false);
	jw_obj(&w);
	put_identity(&w, h.ready ? "ready" : "degraded");
	put_checks(&w, checks, n);
	if (req->auth == HTTP_AUTH_OK)
		put_details(&w, req->ctx, &h);
	jw_obj_end(&w);
	if (!h.ready)
		http_reply_header(req, "retry-after", "2");
	reply_buf(req, h.ready ? 200 : 503, &b);
}
