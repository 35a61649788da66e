/* SPDX-License-Identifier: ISC */
#ifndef AX_GATE_H
#define AX_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/governor.h"
#include "common/messages.h"
#include "common/metrics.h"
#include "common/secret.h"
#include "common/settings.h"
#include "workers/audit/idem.h"
#include "workers/audit/journal.h"
#include "workers/audit/keys.h"
#include "workers/audit/permits.h"
#include "workers/audit/registry.h"

/*
 * The gate: the life of an invocation (ARCHITECTURE section 4) from the
 * request to its answer, over a journal. It knows no sockets and no event
 * loop: main.c, or a test, gives it struct gate_ops. Nothing it sends to an
 * executor or to a front rests on a line that is not durable.
 */

/* How the gate reaches the world. Each copies what it needs. */
struct gate_ops {
	/* The answer to a request; the front may be gone: then it is dropped.
	 * Origins with role PROC_PARENT are the control socket's. */
	void (*result)(void *arg, const struct origin *, uint64_t id,
	    const struct gate_result *);
	/* To the broker, to files; -1: it is not there, nothing was sent. */
	int (*exec)(void *arg, const struct exec_request *);
	int (*file_op)(void *arg, uint64_t permit, enum file_op,
	    const char *path, const char *content, size_t len);
	bool (*executor_up)(void *arg, enum skill_runtime);
	void (*kill)(void *arg, uint64_t permit, enum end_state);
	/* An executor is silent past its deadline. */
	void (*overdue)(void *arg, enum skill_runtime, uint64_t permit);
	/* A line waits: call gate_commit() when the loop has drained. */
	void (*wake)(void *arg);
	/* Durable lines were added, or the segments changed. */
	void (*advanced)(void *arg);
	/* A flag changed durably: time for a snapshot. */
	void (*flags_changed)(void *arg);
	void (*drained)(void *arg);
	/* Committed lines are not on the disk any more: ends the process. */
	void (*damaged)(void *arg, const char *why);
};

/* One generation of the configuration. Taken over by gate_configure(). */
struct gate_conf {
	uint64_t generation;
	struct registry *skills;
	struct governor *governor;
	struct keys *keys;
	uint8_t policy[32]; /* digest of the rules */
	char backend[16];
	char evidence_dir[4096]; /* absolute, for answers only */
	char files_root[4096];	 /* where relative paths start; "": unknown */
	enum gov_mode mode;
	int block, warn;
	bool acl, validate, code_exec, auth_off;
	size_t max_inflight, max_sandboxed;
	uint64_t min_free; /* bytes left for evidence; below: closed */
	uint64_t exec_limit_us, file_limit_us; /* silent past this: overdue */
};

struct gate_conf *gate_conf_new(void); /* NULL with ENOMEM */
/* Takes the values out of the settings; call after the items. */
void gate_conf_settings(struct gate_conf *, const struct settings *);
void gate_conf_free(struct gate_conf *);

struct gate;

/* `conf` is taken over. NULL with ENOMEM. */
struct gate *gate_new(const struct gate_ops *, void *arg, struct metrics_slot *,
    struct gate_conf *conf, uint64_t epoch);
void gate_free(struct gate *);
void gate_configure(struct gate *, struct gate_conf *);
/* The key for secret inputs; without one they are withheld. Before anything
 * is asked. */
void gate_secrets(struct gate *, const struct secret_key *);

/* ---- the start ---- */

/* The visitor for journal_open(): takes in flags, permits and keys. The arg
 * is the gate. */
int gate_replay(void *gate, const struct line_view *);
/* Throws away what was replayed: journal_open() failed, to be tried again. */
void gate_forget(struct gate *);
/* The recovered journal, not taken over. Still closed. */
void gate_attach(struct gate *, struct journal *);
/* Nothing of an earlier life is left: records what was interrupted and the
 * start, and opens as soon as that is durable. */
void gate_swept(struct gate *);
bool gate_is_open(const struct gate *);

/* ---- what arrives ---- */

/* The token is read, never kept; the caller wipes it. */
void gate_request(struct gate *, const struct origin *, uint64_t id,
    const struct gate_request *);
void gate_cancel(struct gate *, const struct origin *, uint64_t id);
/* -1: the executor has no such permit (dropped and counted). */
int gate_exec_done(struct gate *, const struct exec_done *);
int gate_file_done(struct gate *, uint64_t permit, bool ok, const char *text);
/* The front's channel is gone: its answers are dropped, its runs go on. */
void gate_front_lost(struct gate *, const struct origin *);
/* What a front refused; texts may be NULL. */
struct audit_event_facts {
	const char *address, *request_id, *detail;
	uint64_t count, request_ids; /* so many, with so many request ids */
};
void gate_audit_event(struct gate *, enum audit_event,
    const struct audit_event_facts *);
/* An operator's verb. Answered through ops->result with GS_CHANGED, or any
 * other status and its error text. */
void gate_ctl(struct gate *, const struct origin *, uint64_t id,
    const char *actor, const char *verb, const char *args);

/* ---- time ---- */

/* Makes durable what waits and lets go what waited for it. Blocks. */
void gate_commit(struct gate *);
#define GATE_TICK_MS 250
/* Every GATE_TICK_MS: repairs, retries, watches deadlines. */
void gate_tick(struct gate *);
/* Takes no more work; ops->drained() once everything is recorded. */
void gate_drain(struct gate *);

/* ---- for the snapshot ---- */
const struct flags *gate_flags(const struct gate *);
struct flags *gate_flags_mut(struct gate *); /* before gate_attach() only */
struct idems *gate_idems(struct gate *);
uint64_t gate_lowest_permit(const struct gate *);
size_t gate_npermits(const struct gate *);

#endif
