/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_API_H
#define AX_HTTP_API_H

#include "common/buf.h"
#include "workers/http/http.h"
#include "workers/http/inflight.h"
#include "workers/http/query.h"
#include "workers/http/reply.h"
#include "workers/http/router.h"

/*
 * What the endpoints share. There is one API per process and one thread.
 */
struct api {
	struct http_ctx *ctx;
	struct inflight_table inflight;
	/* Answers that change only with the configuration. */
	struct buf root, live, healthz, openapi;
};
extern struct api api;

/*
 * Whether the caller may see what was recorded in full: the inputs of other
 * callers' actions. Administrators may.
 */
bool api_sees_context(const struct http_req *);

/* The version to report (contract 1.2). */
const char *api_version(const struct http_ctx *);

/* ---- api_query.c: questions to the store ---- */

struct query_how {
	enum query query;
	uint32_t mask;	  /* parameters it takes */
	const char *path; /* for the link to the next page, or NULL */
	const char *key;  /* {"<key>":rows,"filters":{...}} */
	/* Instead of the wrapping by key. */
	void (*rows)(struct http_req *, const char *json);
	/* Instead of 503 DATABASE_UNAVAILABLE. */
	void (*away)(struct http_req *);
	/* What the question is about is not there. */
	void (*missing)(struct http_req *);
};
/* Checks the query string, asks the store, answers later. */
void api_query(struct http_req *, const struct query_how *);
/* The same about one number out of the path. */
void
api_query_number(struct http_req *, const struct query_how *, uint64_t from);
/*
 * Only checks: true, and *q is to be freed with query_free(); false: answered
 * with 400 or 422, and freed likewise.
 */
bool api_query_parse(struct http_req *, uint32_t mask, struct query_values *q);

/* ---- api_gate.c: actions, through the audit process ---- */

/* Sends the request to the gate and answers later. inputs: JSON text. */
void api_gate(struct http_req *, enum gate_action, const char *skill,
    const char *inputs);
void api_gate_expire(uint64_t mono_us);
void api_gate_audit_down(void);

/* ---- api_event.c: what the audit process should know of refusals ---- */

/* Fire and forget; bounded per second, what is held back is counted. */
void api_event(const struct http_req *, enum audit_event);
void api_event_tick(uint64_t mono_us);

/* ---- api_follow.c: those who watch the records come in ---- */

/* The configuration has changed: they come again and show who they are. */
void api_follow_reload(void);

/* ---- health.c: readiness out of the status slots ---- */

struct health {
	bool db, skills, cron, audit_dir, migration, sandbox;
	bool sandbox_needed;
	bool signing, signing_needed; /* degraded, but ready without */
	bool ready;
};
void health_get(const struct http_ctx *, struct health *);
/* A gauge of the first instance of a role; 0 when it has no slot. */
uint64_t
health_gauge(const struct http_ctx *, enum proc_role, enum metric_gauge);

/* ---- the endpoints, one file per subject ---- */

void api_root(struct http_req *, const char *name);
void api_healthz(struct http_req *, const char *name);
void api_health(struct http_req *, const char *name);
void api_live(struct http_req *, const char *name);
void api_ready(struct http_req *, const char *name);
void api_audit_page(struct http_req *, const char *name);
void api_audit_summary(struct http_req *, const char *name);
void api_audit_actions(struct http_req *, const char *name);
void api_audit_decisions(struct http_req *, const char *name);
void api_audit_one(struct http_req *, const char *name);
void api_audit_checkpoint(struct http_req *, const char *name);
void api_audit_proof(struct http_req *, const char *name);
void api_audit_consistency(struct http_req *, const char *name);
void api_audit_archive(struct http_req *, const char *name);
void api_audit_export(struct http_req *, const char *name);
void api_audit_follow(struct http_req *, const char *name);
void api_governor_config(struct http_req *, const char *name);
void api_metrics(struct http_req *, const char *name);
void api_migration_state(struct http_req *, const char *name);
void api_openapi(struct http_req *, const char *name);
void api_skills_list(struct http_req *, const char *name);
void api_skills_get(struct http_req *, const char *name);
void api_skills_enable(struct http_req *, const char *name);
void api_skills_disable(struct http_req *, const char *name);
void api_skills_invoke(struct http_req *, const char *name);

/* Rebuild the answers of struct api after a change of the configuration. */
void api_root_build(struct api *);
void api_openapi_build(struct api *);

#endif
