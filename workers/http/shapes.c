/* SPDX-License-Identifier: ISC */
/*
 * What the bodies look like, one table per shape, and the small writer that
 * turns a table into JSON Schema. Whoever adds a key to an answer adds it here;
 * test/api/test_openapi.py fails otherwise.
 */
#include <string.h>

#include "common/util.h"
#include "workers/http/shapes.h"

/* clang-format off */
#define END { NULL, NULL, 0, NULL }

static const struct field root_fields[] = {
	{ "system", "string", 0, NULL },
	{ "version", "string", 0, NULL },
	{ "docs", "string", 0, "Where this document is." },
	{ "health", "string", 0, NULL },
	{ "ui", "string", FIELD_NULL, "The console; null: there is none." },
	END
};
static const struct field live_fields[] = {
	{ "status", "alive", 0, NULL },
	{ "system", "string", 0, NULL },
	{ "version", "string", 0, NULL },
	END
};
static const struct field provider_fields[] = {
	{ "provider", "string", 0, NULL },
	{ "type", "string", 0, NULL },
	END
};
static const struct field healthz_fields[] = {
	{ "status", "ok", 0, NULL },
	{ "system", "string", 0, NULL },
	{ "version", "string", 0, NULL },
	{ "ai_providers", "[Provider]", 0, "Always empty." },
	END
};
static const struct field health_fields[] = {
	{ "status", "ok", 0, NULL },
	{ "system", "string", 0, NULL },
	{ "version", "string", 0, NULL },
	{ "ai_providers", "[Provider]", 0, "Always empty." },
	{ "loaded_skills", "[string]", 0, "In registry order." },
	{ "cron_active", "boolean", 0, NULL },
	END
};
static const struct field checks_fields[] = {
	{ "db", "boolean", 0, "The database answers." },
	{ "skills", "boolean", 0, "At least one skill is loaded." },
	{ "cron", "boolean", 0, "The scheduler runs." },
	{ "audit_dir", "boolean", 0, "Actions can be recorded." },
	{ "migration", "boolean", 0, "The schema is as required." },
	{ "sandbox", "boolean", FIELD_OPT,
	    "The back end can run; only where code_exec is on." },
	END
};
static const struct field ready_db_fields[] = {
	{ "channel", "boolean", 0, NULL },
	{ "applied_seq", "integer", 0, "Last record in the database." },
	END
};
static const struct field ready_skills_fields[] = {
	{ "count", "integer", 0, NULL },
	END
};
static const struct field ready_cron_fields[] = {
	{ "started", "boolean", 0, NULL },
	END
};
static const struct field ready_audit_fields[] = {
	{ "channel", "boolean", 0, NULL },
	{ "journal_seq", "integer", 0, "Last durable record." },
	{ "open_permits", "integer", 0, "Actions without an outcome yet." },
	END
};
static const struct field ready_migration_fields[] = {
	{ "enabled", "boolean", 0, NULL },
	{ "required", "boolean", 0, NULL },
	{ "ok", "boolean", 0, NULL },
	END
};
static const struct field ready_sandbox_fields[] = {
	{ "backend", "string", 0, NULL },
	{ "degraded", "boolean", 0, "No usable cgroup." },
	{ "cgroup", "string", FIELD_NULL, NULL },
	END
};
static const struct field ready_signing_fields[] = {
	{ "required", "boolean", 0, NULL },
	{ "degraded", "boolean", 0, "Required, and nothing is signed now." },
	{ "reason", "string", FIELD_NULL, NULL },
	{ "checkpoint_seq", "integer", 0, "Last record under a checkpoint." },
	END
};
static const struct field ready_details_fields[] = {
	{ "db", "ReadyDb", 0, NULL },
	{ "skills", "ReadySkills", 0, NULL },
	{ "cron", "ReadyCron", 0, NULL },
	{ "audit_dir", "ReadyAudit", 0, NULL },
	{ "migration", "ReadyMigration", 0, NULL },
	{ "sandbox", "ReadySandbox", 0, NULL },
	{ "signing", "ReadySigning", 0, NULL },
	END
};
static const struct field ready_fields[] = {
	{ "status", "ready|degraded", 0, NULL },
	{ "system", "string", 0, NULL },
	{ "version", "string", 0, NULL },
	{ "checks", "ReadyChecks", 0, NULL },
	{ "errors", "[string]", 0, "One word per failed check." },
	{ "details", "ReadyDetails", FIELD_OPT, "Only with a credential." },
	END
};
static const struct field migration_fields[] = {
	{ "enabled", "boolean", 0, NULL },
	{ "required", "boolean", 0, NULL },
	{ "head", "string", FIELD_NULL, NULL },
	{ "current", "string", FIELD_NULL, NULL },
	{ "status", "disabled|head|behind|unversioned|unknown", 0, NULL },
	{ "ok", "boolean", 0, NULL },
	{ "drift", "boolean", 0, "The schema is not what it should be." },
	{ "error", "string", FIELD_OPT, NULL },
	END
};
static const struct field governor_fields[] = {
	{ "mode", "off|audit_only|soft_block|hard_block", 0, NULL },
	{ "risk_block_threshold", "integer", 0, NULL },
	{ "risk_warn_threshold", "integer", 0, NULL },
	{ "adaptive", "boolean", 0, NULL },
	{ "consensus", "boolean", 0, NULL },
	{ "multi_agent", "boolean", 0, NULL },
	{ "rule_files", "[string]", 0, "In the order they apply." },
	{ "skill_acl", "boolean", 0, "ACLs of skills are enforced." },
	{ "skill_validation", "boolean", 0, "Inputs are checked." },
	{ "code_exec", "boolean", 0, "Master switch of code_exec." },
	{ "sandbox_backend", "string", 0, NULL },
	{ "config_generation", "integer", 0, NULL },
	END
};
static const struct field calls_fields[] = {
	{ "invoked", "integer", 0, NULL },
	{ "succeeded", "integer", 0, NULL },
	{ "failed", "integer", 0, NULL },
	{ "denied", "integer", 0, NULL },
	END
};
static const struct field skill_fields[] = {
	{ "name", "string", 0, NULL },
	{ "manifest", "object", 0, "As loaded." },
	{ "enabled", "boolean", 0, "The operator's flag." },
	{ "calls", "SkillCalls", 0, NULL },
	END
};
static const struct field skills_fields[] = {
	{ "skills", "[Skill]", 0, "In registry order." },
	END
};
static const struct field skill_changed_fields[] = {
	{ "name", "string", 0, NULL },
	{ "enabled", "boolean", 0, NULL },
	{ "seq", "integer", FIELD_NULL, "The record of the change." },
	END
};
static const struct field invoke_fields[] = {
	{ "name", "string", 0, "The skill." },
	{ "inputs", "object", FIELD_OPT, "Checked against its schema." },
	END
};
static const struct field invoked_fields[] = {
	{ "success", "boolean", 0, NULL },
	{ "output", "any", 0, "What the skill gave back." },
	{ "error", "string", FIELD_NULL, NULL },
	{ "elapsed_s", "number", 0, NULL },
	{ "decision", "APPROVED|WARNED", FIELD_NULL, "The governor's." },
	{ "risk_score", "integer", 0, NULL },
	{ "permit", "integer", FIELD_NULL, NULL },
	{ "seq", "integer", FIELD_NULL, "The record of the decision." },
	END
};
static const struct field entry_fields[] = {
	{ "id", "integer", 0, "Key of the row." },
	{ "seq", "integer", 0, NULL },
	{ "node", "string", 0, NULL },
	{ "kind", "string", 0, "decision, outcome, event or import." },
	{ "action", "string", 0, NULL },
	{ "decision", "string", 0, NULL },
	{ "risk_score", "integer", 0, NULL },
	{ "reason", "string", FIELD_NULL, NULL },
	{ "actor", "string", FIELD_NULL, NULL },
	{ "request_id", "string", FIELD_NULL, NULL },
	{ "permit", "integer", FIELD_NULL, NULL },
	{ "created_at", "time", 0, NULL },
	END
};
static const struct field whole_fields[] = {
	{ "id", "integer", 0, "Key of the row." },
	{ "seq", "integer", 0, NULL },
	{ "node", "string", 0, NULL },
	{ "action", "string", 0, NULL },
	{ "decision", "string", 0, NULL },
	{ "risk_score", "integer", 0, NULL },
	{ "reason", "string", FIELD_NULL, NULL },
	{ "context", "object", FIELD_NULL,
	    "null to all but administrators." },
	{ "created_at", "time", 0, NULL },
	{ "kind", "string", 0, "decision, outcome, event or import." },
	{ "actor", "string", FIELD_NULL, NULL },
	{ "request_id", "string", FIELD_NULL, NULL },
	{ "permit", "integer", FIELD_NULL, NULL },
	END
};
#define SUMMARY_FILTERS                                                 \
	{ "decision", "string", FIELD_NULL, NULL },                     \
	{ "action", "string", FIELD_NULL, NULL },                       \
	{ "action_prefix", "string", FIELD_NULL, NULL },                \
	{ "risk_score_min", "integer", FIELD_NULL, NULL },              \
	{ "risk_score_max", "integer", FIELD_NULL, NULL },              \
	{ "created_after", "time", FIELD_NULL, NULL },                  \
	{ "created_before", "time", FIELD_NULL, NULL }
static const struct field page_filters_fields[] = {
	{ "limit", "integer", 0, NULL },
	{ "offset", "integer", 0, NULL },
	SUMMARY_FILTERS,
	END
};
static const struct field page_fields[] = {
	{ "entries", "[AuditEntry]", 0, "Newest first." },
	{ "filters", "AuditPageFilters", 0, NULL },
	{ "next_cursor", "string", FIELD_NULL,
	    "For the next page; null at the end." },
	END
};
static const struct field export_filters_fields[] = {
	{ "limit", "any", 0, "A number, or all." },
	{ "offset", "integer", 0, NULL },
	SUMMARY_FILTERS,
	END
};
static const struct field export_fields[] = {
	{ "items", "[AuditWhole]", 0, "Newest first." },
	{ "count", "integer", 0, "How many there are." },
	{ "filters", "AuditExportFilters", 0, NULL },
	{ "next_cursor", "string", FIELD_NULL,
	    "Where the limit cut; null at the end." },
	END
};
static const struct field consistency_fields[] = {
	{ "from", "integer", 0, NULL },
	{ "to", "integer", 0, NULL },
	{ "path", "[string]", 0, "RFC 6962 2.1.2, base64." },
	{ "from_root", "string", 0, "base64" },
	{ "to_root", "string", 0, "base64" },
	{ "checkpoint", "string", 0, "The newest, as signed." },
	END
};
static const struct field archived_fields[] = {
	{ "rotated", "boolean", 0, NULL },
	{ "path", "string", 0, NULL },
	{ "archived_to", "string", FIELD_OPT, NULL },
	{ "size", "integer", FIELD_OPT, NULL },
	{ "threshold", "integer", FIELD_OPT, NULL },
	{ "reason", "string", FIELD_OPT, NULL },
	{ "current_exists", "boolean", 0, NULL },
	{ "archive_dir", "string", 0, NULL },
	{ "seq", "integer", FIELD_OPT, "The record of it." },
	END
};
static const struct field buckets_fields[] = {
	{ "low", "integer", 0, "Below 40." },
	{ "medium", "integer", 0, "40 to 69." },
	{ "high", "integer", 0, "70 to 89." },
	{ "critical", "integer", 0, "90 and above." },
	END
};
static const struct field summary_object_fields[] = {
	{ "total", "integer", 0, NULL },
	{ "by_decision", "{integer}", 0, NULL },
	{ "by_action", "{integer}", 0, NULL },
	{ "risk_buckets", "RiskBuckets", 0, NULL },
	{ "latest_created_at", "time", FIELD_NULL, NULL },
	END
};
static const struct field summary_filters_fields[] = {
	SUMMARY_FILTERS,
	END
};
static const struct field summary_fields[] = {
	{ "summary", "AuditSummaryObject", 0, NULL },
	{ "filters", "AuditFilters", 0, NULL },
	END
};
static const struct field action_count_fields[] = {
	{ "action", "string", 0, NULL },
	{ "count", "integer", 0, NULL },
	END
};
static const struct field actions_filters_fields[] = {
	{ "decision", "string", FIELD_NULL, NULL },
	{ "action_prefix", "string", FIELD_NULL, NULL },
	END
};
static const struct field actions_fields[] = {
	{ "actions", "[ActionCount]", 0, "Sorted by action." },
	{ "filters", "ActionsFilters", 0, NULL },
	END
};
static const struct field decision_count_fields[] = {
	{ "decision", "string", 0, NULL },
	{ "count", "integer", 0, NULL },
	END
};
static const struct field decisions_filters_fields[] = {
	{ "action", "string", FIELD_NULL, NULL },
	END
};
static const struct field decisions_fields[] = {
	{ "decisions", "[DecisionCount]", 0, "Sorted by decision." },
	{ "filters", "DecisionsFilters", 0, NULL },
	END
};
static const struct field problem_fields[] = {
	{ "code", "string", 0, "What clients match on." },
	{ "message", "string", 0, "For people; may change." },
	{ "details", "object", FIELD_OPT, NULL },
	{ "request_id", "string", FIELD_OPT, NULL },
	{ "bucket", "default|high_risk", FIELD_OPT, "With 429." },
	{ "limit", "integer", FIELD_OPT, "With 429: requests a minute." },
	{ "reset_after_s", "integer", FIELD_OPT, "With 429." },
	END
};
static const struct field error_fields[] = {
	{ "detail", "Problem", 0, NULL },
	END
};
static const struct field item_fields[] = {
	{ "type", "string", 0, NULL },
	{ "loc", "[any]", 0, "Where: query, path or body, then names." },
	{ "msg", "string", 0, NULL },
	{ "input", "any", FIELD_OPT, "What was sent, if it was short." },
	{ "ctx", "object", FIELD_OPT, NULL },
	END
};
static const struct field invalid_problem_fields[] = {
	{ "code", "REQUEST_VALIDATION_FAILED", 0, NULL },
	{ "message", "string", 0, NULL },
	{ "errors", "[ValidationItem]", 0, NULL },
	{ "request_id", "string", 0, NULL },
	END
};
static const struct field invalid_fields[] = {
	{ "detail", "ValidationProblem", 0, NULL },
	END
};

const struct shape shapes[] = {
	{ "Root", "What this service is.", root_fields },
	{ "Live", "The process answers.", live_fields },
	{ "Provider", "A provider of a language model.", provider_fields },
	{ "Healthz", "The process answers.", healthz_fields },
	{ "Health", "What is loaded; checks nothing.", health_fields },
	{ "Ready", "Whether work can be done.", ready_fields },
	{ "ReadyChecks", "The parts of readiness.", checks_fields },
	{ "ReadyDetails", "More on each part.", ready_details_fields },
	{ "ReadyDb", NULL, ready_db_fields },
	{ "ReadySkills", NULL, ready_skills_fields },
	{ "ReadyCron", NULL, ready_cron_fields },
	{ "ReadyAudit", NULL, ready_audit_fields },
	{ "ReadyMigration", NULL, ready_migration_fields },
	{ "ReadySandbox", NULL, ready_sandbox_fields },
	{ "ReadySigning", NULL, ready_signing_fields },
	{ "MigrationState", "The schema's revision.", migration_fields },
	{ "GovernorConfig", "The governor in force.", governor_fields },
	{ "SkillCalls", "Calls since the service started.", calls_fields },
	{ "Skill", "One skill.", skill_fields },
	{ "Skills", "All skills.", skills_fields },
	{ "SkillChanged", "A change that is recorded.", skill_changed_fields },
	{ "Invocation", "What to run.", invoke_fields },
	{ "Invoked", "What came of it, recorded.", invoked_fields },
	{ "AuditEntry", "One record.", entry_fields },
	{ "AuditPageFilters", "The filters as understood.",
	    page_filters_fields },
	{ "AuditPage", "A page of records.", page_fields },
	{ "AuditWhole", "One whole record.", whole_fields },
	{ "AuditExportFilters", "The filters as understood.",
	    export_filters_fields },
	{ "AuditExport", "Whole records.", export_fields },
	{ "Consistency", "Proof that the log only grew.",
	    consistency_fields },
	{ "Archived", "What became of the live file.", archived_fields },
	{ "RiskBuckets", "Records by risk score.", buckets_fields },
	{ "AuditSummaryObject", "Counts.", summary_object_fields },
	{ "AuditFilters", "The filters as understood.",
	    summary_filters_fields },
	{ "AuditSummary", "Counts over the matching records.",
	    summary_fields },
	{ "ActionCount", NULL, action_count_fields },
	{ "ActionsFilters", NULL, actions_filters_fields },
	{ "AuditActions", "How often each action was recorded.",
	    actions_fields },
	{ "DecisionCount", NULL, decision_count_fields },
	{ "DecisionsFilters", NULL, decisions_filters_fields },
	{ "AuditDecisions", "How often each decision was recorded.",
	    decisions_fields },
	{ "Problem", "What went wrong.", problem_fields },
	{ "Error", "An error with a code.", error_fields },
	{ "ValidationItem", "One thing that is wrong.", item_fields },
	{ "ValidationProblem", NULL, invalid_problem_fields },
	{ "ValidationError", "The request has a wrong form.",
	    invalid_fields },
};
const unsigned nshapes = AX_NELEM(shapes);
/* clang-format on */

/* The types that JSON Schema knows by name. */
static const struct {
	const char *type, *name, *format;
} simple_types[] = {
	{ "string", "string", NULL },
	{ "integer", "integer", NULL },
	{ "number", "number", NULL },
	{ "boolean", "boolean", NULL },
	{ "object", "object", NULL },
	{ "time", "string", "date-time" },
};

static bool
put_simple(struct jw *w, const char *type)
{
	unsigned i;

	for (i = 0; i < AX_NELEM(simple_types); i++) {
		if (strcmp(simple_types[i].type, type) != 0)
			continue;
		jw_kstr(w, "type", simple_types[i].name);
		if (simple_types[i].format != NULL)
			jw_kstr(w, "format", simple_types[i].format);
		return (true);
	}
	return (false);
}

static bool
put_reference(struct jw *w, const char *type)
{
	struct buf b = BUF_INITIALIZER;
	unsigned i;

	for (i = 0; i < nshapes; i++)
		if (strcmp(shapes[i].name, type) == 0)
			break;
	if (i == nshapes)
		return (false);
	buf_printf(&b, "#/components/schemas/%s", type);
	jw_kstr(w, "$ref", buf_str(&b));
	buf_free(&b);
	return (true);
}

/* a|b|c */
static void
put_words(struct jw *w, const char *words)
{
	size_t n;

	jw_kstr(w, "type", "string");
	jw_key(w, "enum");
	jw_arr(w);
	for (;;) {
		n = strcspn(words, "|");
		jw_strn(w, words, n);
		if (words[n] == '\0')
			break;
		words += n + 1;
	}
	jw_arr_end(w);
}

/* [type] and {type} */
static void
put_container(struct jw *w, const char *type)
{
	char inner[64];
	size_t n = strlen(type);

	ax_strlcpy(inner, type + 1, sizeof(inner));
	if (n - 2 < sizeof(inner))
		inner[n - 2] = '\0';
	jw_kstr(w, "type", type[0] == '[' ? "array" : "object");
	jw_key(w, type[0] == '[' ? "items" : "additionalProperties");
	shape_type(w, inner);
}

void
shape_type(struct jw *w, const char *type)
{
	jw_obj(w);
	if (type[0] == '[' || type[0] == '{')
		put_container(w, type);
	else if (strcmp(type, "any") != 0 && !put_simple(w, type) &&
	    !put_reference(w, type))
		put_words(w, type);
	jw_obj_end(w);
}

static void
put_field(struct jw *w, const struct field *f)
{
	jw_key(w, f->name);
	if ((f->flags & FIELD_NULL) == 0 && f->help == NULL) {
		shape_type(w, f->type);
		return;
	}
	jw_obj(w);
	if (f->help != NULL)
		jw_kstr(w, "description", f->help);
	jw_key(w, "anyOf");
	jw_arr(w);
	shape_type(w, f->type);
	if ((f->flags & FIELD_NULL) != 0) {
		jw_obj(w);
		jw_kstr(w, "type", "null");
		jw_obj_end(w);
	}
	jw_arr_end(w);
	jw_obj_end(w);
}

void
shape_schema(struct jw *w, const struct shape *s)
{
	const struct field *f;

	jw_obj(w);
	jw_kstr(w, "type", "object");
	if (s->help != NULL)
		jw_kstr(w, "description", s->help);
	jw_key(w, "required");
	jw_arr(w);
	for (f = s->fields; f->name != NULL; f++)
		if ((f->flags & FIELD_OPT) == 0)
			jw_str(w, f->name);
	jw_arr_end(w);
	jw_key(w, "properties");
	jw_obj(w);
	for (f = s->fields; f->name != NULL; f++)
		put_field(w, f);
	jw_obj_end(w);
	jw_obj_end(w);
}
