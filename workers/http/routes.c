/* SPDX-License-Identifier: ISC */
/*
 * The API: one row per method and path. This table is all there is: what has
 * no row does not exist, what a row does not allow does not happen, and the
 * OpenAPI document is these rows in another notation.
 */
#include "common/util.h"
#include "workers/http/api.h"

/* clang-format off */
/* What every action through the gate can answer. */
#define ERR_GATE                                                             \
	(ERR_BIT(ERR_SKILL_NOT_FOUND) | ERR_BIT(ERR_IDEM_KEY) |               \
	    ERR_BIT(ERR_FORBIDDEN) | ERR_BIT(ERR_AUDIT_UNAVAILABLE) |         \
	    ERR_BIT(ERR_BUSY) | ERR_BIT(ERR_NOT_RECORDED) |                   \
	    ERR_BIT(ERR_INTERRUPTED))
#define ERR_INVOKE                                                         \
	(ERR_GATE | ERR_BIT(ERR_VALIDATION) | ERR_BIT(ERR_TOO_LARGE) |       \
	    ERR_BIT(ERR_MEDIA_TYPE) | ERR_BIT(ERR_SKILL_DISABLED) |         \
	    ERR_BIT(ERR_SKILL_DENIED) | ERR_BIT(ERR_SKILL_INPUT) |          \
	    ERR_BIT(ERR_BLOCKED))
#define ERR_QUERY (ERR_BIT(ERR_VALIDATION) | ERR_BIT(ERR_DB_UNAVAILABLE))
#define ERR_RANGES (ERR_BIT(ERR_RISK_RANGE) | ERR_BIT(ERR_DATE_RANGE))

#define PROBE(p, fn, oid, s, shape, fl)                                     \
	{ .method = HTTP_GET, .path = p, .access = ACCESS_PUBLIC,           \
		.flags = ROUTE_UNLIMITED | (fl), .handler = fn, .id = oid,  \
		.tag = "probes", .summary = s, .answer = shape }
#define SCRAPE(p, oid)                                                      \
	{ .method = HTTP_GET, .path = p, .access = ACCESS_PUBLIC,           \
		.flags = ROUTE_UNLIMITED | ROUTE_TEXT,                      \
		.handler = api_metrics, .id = oid, .tag = "metrics",        \
		.summary = "Prometheus text",                               \
		.errors = ERR_BIT(ERR_METRICS_DISABLED) }

const struct route api_routes[] = {
	PROBE("/v1/live", api_live, "live", "The process answers", "Live", 0),
	PROBE("/livez", api_live, "livez", "The process answers", "Live", 0),
	PROBE("/v1/ready", api_ready, "ready", "Whether work can be done",
	    "Ready", ROUTE_OR_503),
	PROBE("/readyz", api_ready, "readyz", "Whether work can be done",
	    "Ready", ROUTE_OR_503),
	PROBE("/v1/health", api_health, "health", "What is loaded", "Health",
	    0),
	PROBE("/healthz", api_healthz, "healthz", "The process answers",
	    "Healthz", 0),
	PROBE("/", api_root, "root", "What this service is", "Root", 0),
	SCRAPE("/metrics", "scrape"),
	SCRAPE("/v1/metrics", "metrics"),
	{ .method = HTTP_GET, .path = "/openapi.json",
	    .access = ACCESS_PUBLIC, .flags = ROUTE_UNLIMITED,
	    .handler = api_openapi, .id = "openapi", .tag = "description",
	    .summary = "This document", .answer = "object" },

	{ .method = HTTP_POST, .path = "/v1/skills/invoke",
	    .access = ACCESS_KEY, .flags = ROUTE_BODY | ROUTE_HIGH_RISK,
	    .handler = api_skills_invoke, .id = "invokeSkill",
	    .tag = "skills", .summary = "Run a skill; governed and recorded",
	    .errors = ERR_INVOKE, .body = "Invocation", .answer = "Invoked" },
	{ .method = HTTP_GET, .path = "/v1/skills", .access = ACCESS_KEY,
	    .handler = api_skills_list, .id = "listSkills", .tag = "skills",
	    .summary = "All skills", .answer = "Skills" },
	{ .method = HTTP_GET, .path = "/v1/skills/{name}",
	    .access = ACCESS_KEY, .handler = api_skills_get,
	    .id = "getSkill", .tag = "skills", .summary = "One skill",
	    .errors = ERR_BIT(ERR_SKILL_NOT_FOUND), .answer = "Skill" },
	{ .method = HTTP_POST, .path = "/v1/skills/{name}/enable",
	    .access = ACCESS_ADMIN, .handler = api_skills_enable,
	    .id = "enableSkill", .tag = "skills",
	    .summary = "Switch a skill on; recorded", .errors = ERR_GATE,
	    .answer = "SkillChanged" },
	{ .method = HTTP_POST, .path = "/v1/skills/{name}/disable",
	    .access = ACCESS_ADMIN, .handler = api_skills_disable,
	    .id = "disableSkill", .tag = "skills",
	    .summary = "Switch a skill off; recorded", .errors = ERR_GATE,
	    .answer = "SkillChanged" },

	{ .method = HTTP_GET, .path = "/v1/audit", .access = ACCESS_KEY,
	    .handler = api_audit_page, .id = "listAudit", .tag = "audit",
	    .summary = "Records, newest first", .query = QP_PAGE,
	    .errors = ERR_QUERY | ERR_RANGES | ERR_BIT(ERR_CURSOR),
	    .answer = "AuditPage" },
	{ .method = HTTP_GET, .path = "/v1/audit/summary",
	    .access = ACCESS_KEY, .handler = api_audit_summary,
	    .id = "auditSummary", .tag = "audit", .summary = "Counts",
	    .query = QP_FILTERS, .errors = ERR_QUERY | ERR_RANGES,
	    .answer = "AuditSummary" },
	{ .method = HTTP_GET, .path = "/v1/audit/actions",
	    .access = ACCESS_KEY, .handler = api_audit_actions,
	    .id = "auditActions", .tag = "audit",
	    .summary = "How often each action was recorded",
	    .query = QP_BIT(QP_DECISION) | QP_BIT(QP_ACTION_PREFIX),
	    .errors = ERR_QUERY, .answer = "AuditActions" },
	{ .method = HTTP_GET, .path = "/v1/audit/decisions",
	    .access = ACCESS_KEY, .handler = api_audit_decisions,
	    .id = "auditDecisions", .tag = "audit",
	    .summary = "How often each decision was recorded",
	    .query = QP_BIT(QP_ACTION), .errors = ERR_QUERY,
	    .answer = "AuditDecisions" },
	{ .method = HTTP_GET, .path = "/v1/audit/export",
	    .access = ACCESS_ADMIN, .flags = ROUTE_LINES,
	    .handler = api_audit_export, .id = "exportAudit", .tag = "audit",
	    .summary = "Whole records, newest first, streamed",
	    .query = QP_EXPORT,
	    .errors = ERR_QUERY | ERR_RANGES | ERR_BIT(ERR_CURSOR) |
		ERR_BIT(ERR_STREAMS), .answer = "AuditExport" },
	{ .method = HTTP_GET, .path = "/v1/audit/follow",
	    .access = ACCESS_KEY, .flags = ROUTE_EVENTS,
	    .handler = api_audit_follow, .id = "followAudit", .tag = "audit",
	    .summary = "Records as they come, as server-sent events",
	    .query = QP_FOLLOW, .errors = ERR_QUERY | ERR_BIT(ERR_STREAMS) },
	{ .method = HTTP_GET, .path = "/v1/audit/checkpoint",
	    .access = ACCESS_KEY, .flags = ROUTE_TEXT,
	    .handler = api_audit_checkpoint, .id = "auditCheckpoint",
	    .tag = "evidence", .summary = "The newest signed checkpoint",
	    .errors = ERR_BIT(ERR_DB_UNAVAILABLE) |
		ERR_BIT(ERR_NO_CHECKPOINT) },
	{ .method = HTTP_GET, .path = "/v1/audit/proof",
	    .access = ACCESS_ADMIN, .flags = ROUTE_TEXT,
	    .handler = api_audit_proof, .id = "auditProof",
	    .tag = "evidence",
	    .summary = "C2SP tlog-proof of one record, with its line",
	    .query = QP_BIT(QP_SEQ),
	    .errors = ERR_QUERY | ERR_BIT(ERR_NOT_COVERED) |
		ERR_BIT(ERR_NO_CHECKPOINT) },
	{ .method = HTTP_GET, .path = "/v1/audit/consistency",
	    .access = ACCESS_KEY, .handler = api_audit_consistency,
	    .id = "auditConsistency", .tag = "evidence",
	    .summary = "Proof that the log only grew",
	    .query = QP_BIT(QP_FROM) | QP_BIT(QP_TO),
	    .errors = ERR_QUERY | ERR_BIT(ERR_TREE_RANGE) |
		ERR_BIT(ERR_NO_CHECKPOINT), .answer = "Consistency" },
	{ .method = HTTP_POST, .path = "/v1/audit/archive",
	    .access = ACCESS_ADMIN, .handler = api_audit_archive,
	    .id = "archiveAudit", .tag = "evidence",
	    .summary = "Close the live file and begin a new one; recorded",
	    .errors = ERR_GATE & ~ERR_BIT(ERR_SKILL_NOT_FOUND),
	    .answer = "Archived" },
	{ .method = HTTP_GET, .path = "/v1/audit/{seq}",
	    .access = ACCESS_KEY, .handler = api_audit_one,
	    .id = "getAudit", .tag = "audit", .summary = "One whole record",
	    .errors = ERR_BIT(ERR_DB_UNAVAILABLE) |
		ERR_BIT(ERR_AUDIT_NOT_FOUND),
	    .answer = "AuditWhole" },

	{ .method = HTTP_GET, .path = "/v1/governor/config",
	    .access = ACCESS_KEY, .handler = api_governor_config,
	    .id = "governorConfig", .tag = "governor",
	    .summary = "The governor in force", .answer = "GovernorConfig" },
	{ .method = HTTP_GET, .path = "/v1/migration/state",
	    .access = ACCESS_KEY, .flags = ROUTE_OR_503,
	    .handler = api_migration_state, .id = "migrationState",
	    .tag = "migration", .summary = "The schema's revision",
	    .answer = "MigrationState" },
};
const unsigned api_nroutes = AX_NELEM(api_routes);
/* clang-format on */
