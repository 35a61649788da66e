/* SPDX-License-Identifier: ISC */
/*
 * Readiness (contract 13), read from the status slots that every process
 * keeps: so that it answers, and truly, while audit or the store is down. It
 * must never ask anyone and never wait.
 */
#include <string.h>

#include "workers/http/api.h"

uint64_t
health_gauge(const struct http_ctx *ctx, enum proc_role role,
    enum metric_gauge g)
{
	const struct metrics_slot *s = ctx->slots[role][0];

	return (s != NULL ? metric_gauge_get(s, g) : 0);
}

static bool
migration_ok(const struct http_ctx *ctx)
{
	const struct settings *s = ctx->settings;

	if (!settings_bool(s, SET_ENABLE_MIGRATION_CHECK) ||
	    !settings_bool(s, SET_REQUIRE_MIGRATION_HEAD))
		return (true);
	return (health_gauge(ctx, PROC_STORE, MG_MIGRATION_OK) == 1);
}

/* Without limits on memory and processes only by the operator's word. */
static bool
sandbox_ok(const struct http_ctx *ctx)
{
	if (health_gauge(ctx, PROC_BROKER, MG_SANDBOX_OK) != 1)
		return (false);
	return (health_gauge(ctx, PROC_BROKER, MG_SANDBOX_DEGRADED) == 0 ||
	    settings_bool(ctx->settings, SET_SANDBOX_ALLOW_NO_CGROUP));
}

void
health_get(const struct http_ctx *ctx, struct health *h)
{
	memset(h, 0, sizeof(*h));
	/* A slot outlives its process: the channel tells that it lives. */
	h->db = ctx->store != NULL &&
	    health_gauge(ctx, PROC_STORE, MG_STORE_OK) == 1;
	h->audit_dir = ctx->audit != NULL &&
	    health_gauge(ctx, PROC_AUDIT, MG_GATE_OPEN) == 1;
	h->skills = ctx->nskills > 0;
	h->cron = health_gauge(ctx, PROC_SCHEDULER, MG_SCHED_OK) == 1;
	h->migration = migration_ok(ctx);
	h->sandbox_needed = settings_bool(ctx->settings, SET_ENABLE_CODE_EXEC);
	h->sandbox = sandbox_ok(ctx);
	h->signing_needed =
	    strcmp(settings_str(ctx->settings, SET_AUDIT_SIGNING),
		"required") == 0;
	h->signing = health_gauge(ctx, PROC_NOTARY, MG_SIGNING_OK) == 1;
	h->ready = h->db && h->audit_dir && h->skills && h->cron &&
	    h->migration && (h->sandbox || !h->sandbox_needed);
}
