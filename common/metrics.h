/* SPDX-License-Identifier: ISC */
#ifndef AX_METRICS_H
#define AX_METRICS_H

#include <stddef.h>
#include <stdint.h>

/*
 * One shared-memory slot per process: it alone writes it, the http workers read
 * all of them and add up. Slots outlive a restart of their process, so counters
 * never go back. All words are 64-bit and written with relaxed atomics.
 */
#define METRICS_MAGIC  0x61785f6d65747231ull
#define METRICS_SKILLS 64 /* most skills */

/* METRIC(id, prometheus name without archillx_, labels or NULL, help) */
#define METRICS_COUNTERS(M)                                                  \
	M(HTTP_REQUESTS, "http_requests_total", NULL, "Responses sent.")     \
	M(HTTP_2XX, "http_status_2xx_total", NULL, "Responses 2xx.")         \
	M(HTTP_3XX, "http_status_3xx_total", NULL, "Responses 3xx.")         \
	M(HTTP_4XX, "http_status_4xx_total", NULL, "Responses 4xx.")         \
	M(HTTP_5XX, "http_status_5xx_total", NULL, "Responses 5xx.")         \
	M(HTTP_PARSE_ERRORS, "http_parse_errors_total", NULL,                \
	    "Requests refused by the parser.")                               \
	M(HTTP_CONNECTIONS, "http_connections_total", NULL,                  \
	    "Connections accepted.")                                         \
	M(HTTP_STREAMS, "http_streams_total", NULL, "Streams begun.")        \
	M(HTTP_STREAMS_REFUSED, "http_streams_refused_total", NULL,          \
	    "Streams refused: too many at once.")                            \
	M(HTTP_STREAMS_CUT, "http_streams_cut_total", NULL,                  \
	    "Streams that ended before their end.")                          \
	M(AUTH_FAILED, "auth_failed_total", NULL, "Responses 401.")          \
	M(FORBIDDEN, "forbidden_total", NULL, "Responses 403 for the role.") \
	M(RATE_LIMITED, "rate_limited_total", NULL, "Responses 429.")        \
	M(GOV_EVALUATIONS, "governor_evaluations_total", NULL,               \
	    "Governor evaluations.")                                         \
	M(GOV_APPROVED, "governor_decision_approved_total", NULL,            \
	    "Decisions APPROVED.")                                           \
	M(GOV_WARNED, "governor_decision_warned_total", NULL,                \
	    "Decisions WARNED.")                                             \
	M(GOV_BLOCKED, "governor_decision_blocked_total", NULL,              \
	    "Decisions BLOCKED.")                                            \
	M(SKILL_INVOKE, "skill_invoke_total", NULL, "Skill calls.")          \
	M(SKILL_SUCCESS, "skill_invoke_success_total", NULL,                 \
	    "Skill calls that succeeded.")                                   \
	M(SKILL_FAILURE, "skill_invoke_failure_total", NULL,                 \
	    "Skill calls that ran and failed.")                              \
	M(SKILL_NOT_FOUND, "skill_not_found_total", NULL, "Unknown skill.")  \
	M(SKILL_DISABLED, "skill_disabled_total", NULL, "Disabled skill.")   \
	M(SKILL_DENIED, "skill_access_denied_total", NULL, "ACL denials.")   \
	M(SKILL_INVALID, "skill_validation_error_total", NULL,               \
	    "Invalid inputs.")                                               \
	M(JOURNAL_RECORDS, "journal_records_total", NULL,                    \
	    "Lines made durable.")                                           \
	M(JOURNAL_SYNCS, "journal_syncs_total", NULL, "Group commits.")      \
	M(JOURNAL_BYTES, "journal_bytes_total", NULL, "Bytes made durable.") \
	M(AUDIT_WRITE_FAILURES, "audit_write_failures_total", NULL,          \
	    "Journal writes or syncs that failed.")                          \
	M(GATE_UNAVAILABLE, "gate_unavailable_total", NULL,                  \
	    "Requests refused because the gate was closed.")                 \
	M(INTERRUPTED, "gate_interrupted_total", NULL,                       \
	    "Permits that ended as interrupted.")                            \
	M(SANDBOX_RUNS, "sandbox_runs_total", NULL, "Sandboxes started.")    \
	M(SANDBOX_FAILED, "sandbox_failed_total", NULL,                      \
	    "Runs that did not end ok.")                                     \
	M(SANDBOX_BUSY, "sandbox_busy_total", NULL,                          \
	    "Runs refused: queue full.")                                     \
	M(FILE_OPS, "file_ops_total", NULL, "file_ops executed.")            \
	M(STORE_APPLIED, "store_applied_total", NULL,                        \
	    "Journal lines projected.")                                      \
	M(STORE_QUERIES, "store_queries_total", NULL, "Queries answered.")   \
	M(STORE_ERRORS, "store_errors_total", NULL, "Database errors.")      \
	M(IPC_DROPPED, "ipc_dropped_total", NULL,                            \
	    "Late or unknown answers dropped.")                              \
	M(IPC_VIOLATIONS, "ipc_violations_total", NULL,                      \
	    "Channels dropped for breaking the rules.")                      \
	M(DENIALS_COALESCED, "denials_coalesced_total", NULL,                \
	    "Refusals counted in a record of an earlier one.")               \
	M(CHECKPOINTS, "checkpoints_total", NULL, "Checkpoints signed.")     \
	M(CHECKPOINT_FAILURES, "checkpoint_failures_total", NULL,            \
	    "Tiles or checkpoints that could not be written.")               \
	M(TILES, "checkpoint_tiles_total", NULL, "Hash tiles written.")      \
	M(SINK_SENT, "checkpoint_sink_total", NULL,                          \
	    "Checkpoints the sink took.")                                    \
	M(SINK_FAILURES, "checkpoint_sink_failures_total", NULL,             \
	    "Runs of the sink that failed.")                                 \
	M(ROTATIONS, "journal_rotations_total", NULL, "Segments closed.")    \
	M(ARCHIVED, "journal_archived_total", NULL, "Segments compressed.")  \
	M(ARCHIVE_FAILURES, "journal_archive_failures_total", NULL,          \
	    "Segments that could not be compressed.")                        \
	M(RESTARTS, "worker_restarts_total", NULL, "Workers restarted.")     \
	M(CONF_RELOADS, "config_reloads_total", NULL, "Reloads applied.")    \
	M(CONF_REJECTS, "config_rejects_total", NULL, "Reloads rejected.")

#define METRICS_GAUGES(M)                                                      \
	M(READY, "ready", NULL, "1 when the service is ready.")                \
	M(MIGRATION_OK, "migration_ok", NULL, "1 when the schema is right.")   \
	M(GATE_OPEN, "gate_open", NULL, "1 when actions can be recorded.")     \
	M(LAST_RISK, "governor_last_risk_score", NULL, "Last score.")          \
	M(OPEN_PERMITS, "gate_open_permits", NULL, "Permits without outcome.") \
	M(JOURNAL_SEQ, "journal_seq", NULL, "Last durable sequence number.")   \
	M(AUDIT_FREE, "audit_free_bytes", NULL, "Free space for evidence.")    \
	M(CHECKPOINT_SEQ, "checkpoint_seq", NULL,                              \
	    "Last sequence number under a signed checkpoint.")                 \
	M(CHECKPOINT_AT, "checkpoint_time_seconds", NULL,                      \
	    "Unix time of the newest checkpoint.")                             \
	M(SIGNING_OK, "signing_ok", NULL, "1 when checkpoints are signed.")    \
	M(SINK_OK, "checkpoint_sink_ok", NULL,                                 \
	    "1 when the sink took the last checkpoint.")                       \
	M(STORE_SEQ, "store_seq", NULL, "Last projected sequence number.")     \
	M(STORE_OK, "store_ok", NULL, "1 when the database answers.")          \
	M(SANDBOX_OK, "sandbox_ok", NULL, "1 when the back end can run.")      \
	M(SANDBOX_DEGRADED, "sandbox_degraded", NULL,                          \
	    "1 when there is no usable cgroup.")                               \
	M(SANDBOX_RUNNING, "sandbox_running", NULL, "Sandboxes now.")          \
	M(SCHED_OK, "scheduler_ok", NULL, "1 when the scheduler runs.")        \
	M(HTTP_OPEN, "http_open_connections", NULL, "Connections now.")        \
	M(HTTP_STREAMS_OPEN, "http_open_streams", NULL, "Streams now.")        \
	M(CONF_GENERATION, "config_generation", NULL, "Generation in force.")  \
	M(LAST_RELOAD_OK, "config_last_reload_successful", NULL,               \
	    "1 when the last reload was applied.")                             \
	M(STARTED_AT, "start_time_seconds", NULL, "Unix time of the start.")

enum metric_counter {
#define M(id, n, l, h) MC_##id,
	METRICS_COUNTERS(M)
#undef M
	    MC_MAX
};
enum metric_gauge {
#define M(id, n, l, h) MG_##id,
	METRICS_GAUGES(M)
#undef M
	    MG_MAX
};

/* Latency histograms: upper bounds in microseconds, then +Inf. */
enum metric_hist { MH_HTTP, MH_SKILL, MH_SYNC, MH_MAX };
#define MH_BUCKETS 14
extern const uint64_t metric_bounds_us[MH_BUCKETS - 1];

enum metric_skill { MS_INVOKE, MS_SUCCESS, MS_FAILURE, MS_DENIED, MS_MAX };

struct metrics_slot {
	uint64_t magic;
	uint64_t counter[MC_MAX];
	uint64_t gauge[MG_MAX];
	uint64_t bucket[MH_MAX][MH_BUCKETS];
	uint64_t sum_us[MH_MAX];
	/* audit's slot only: by position in the skill registry */
	uint64_t skill[METRICS_SKILLS][MS_MAX];
	uint64_t skill_enabled[METRICS_SKILLS];
	/* http: responses by exact status, 100..599 */
	uint64_t status[500];
};

struct metric_desc {
	const char *name, *labels, *help;
};
extern const struct metric_desc metric_counters[MC_MAX];
extern const struct metric_desc metric_gauges[MG_MAX];

static inline void
metric_add(struct metrics_slot *s, enum metric_counter c, uint64_t n)
{
	__atomic_fetch_add(&s->counter[c], n, __ATOMIC_RELAXED);
}

static inline void
metric_inc(struct metrics_slot *s, enum metric_counter c)
{
	metric_add(s, c, 1);
}

static inline void
metric_set(struct metrics_slot *s, enum metric_gauge g, uint64_t v)
{
	__atomic_store_n(&s->gauge[g], v, __ATOMIC_RELAXED);
}

static inline uint64_t
metric_gauge_get(const struct metrics_slot *s, enum metric_gauge g)
{
	return (__atomic_load_n(&s->gauge[g], __ATOMIC_RELAXED));
}

void metric_observe_us(struct metrics_slot *, enum metric_hist, uint64_t us);

#endif
