/* SPDX-License-Identifier: ISC */
#ifndef AX_MESSAGES_H
#define AX_MESSAGES_H

#include <stddef.h>
#include <stdint.h>
#include "procs.h"

/*
 * Every message between two processes: its type, its body (in the comment, in
 * the order of mw_*()), and in messages.c one row of rules. Messages are
 * intents, never mechanisms. AX_PROTO is raised with every change here.
 */
#define AX_PROTO 3

enum msg_type {
	MSG_NONE,

	/* ---- parent and worker, over descriptor 3 ---- */
	/* w>p u32 proto, str build_id */
	MSG_HELLO,
	/* p>w see struct worker_setup in worker.h */
	MSG_SETUP,
	/* p>w +fd u16 enum res_kind, u32 arg, str name */
	MSG_RESOURCE,
	/* p>w +fd u16 role, u16 instance, u64 epoch: a channel to that peer */
	MSG_PEER,
	/* p>w u64 generation */
	MSG_CONF_BEGIN,
	/* p>w u16 enum conf_kind, str name, str value (often a memfd body) */
	MSG_CONF_ITEM,
	/* p>w u64 generation: validate, then answer READY or REJECT */
	MSG_CONF_END,
	/* w>p u64 generation */
	MSG_CONF_READY,
	/* w>p u64 generation, str reason */
	MSG_CONF_REJECT,
	/* p>w u64 generation */
	MSG_CONF_COMMIT,
	/* p>w u64 generation */
	MSG_CONF_ABORT,
	/* w>p u32 landlock ABI, u8 seccomp mode in force, u8 mdwe in force */
	MSG_READY,
	/* p>w (empty; to the notary u64, what audit said): stop taking work,
	 * finish, answer DRAINED */
	MSG_DRAIN,
	/* w>p (empty; of audit u64, the journal's last seq) */
	MSG_DRAINED,
	/* p>w u64 cookie, and back */
	MSG_PING,
	MSG_PONG,
	/* p>w u8 enum log_level */
	MSG_LOG_LEVEL,
	/* w>p u16 role, u16 instance, str reason: that peer broke the rules */
	MSG_CHANNEL_LOST,
	/* p>w (empty), test builds only: try open, connect, mount */
	MSG_PROBE,
	/* w>p str JSON */
	MSG_PROBE_RESULT,
	/* p>audit str actor ("os:<uid>"), str verb, str args (JSON object) */
	MSG_CTL_GATE,
	/* audit>p u8 ok, str result (JSON) or error text */
	MSG_CTL_GATE_RESULT,

	/* ---- http, scheduler > audit ---- */
	/* see struct gate_request */
	MSG_GATE_REQUEST,
	/* see struct gate_result */
	MSG_GATE_RESULT,
	/* (empty; id = that of the request): the client went away */
	MSG_CANCEL,
	/* u8 enum audit_event, str address, str request_id, str detail (null:
	 * not one of all), u64 count, u64 different request ids */
	MSG_AUDIT_EVENT,

	/* ---- http > store ---- */
	/* u16 enum query, u16 limit, u32 offset, str cursor, str decision,
	 * str action, str action_prefix, i32 risk_min, i32 risk_max (-1 none),
	 * u64 after_us, u64 before_us (0 none), u64 from, u64 to */
	MSG_QUERY,
	/* u8 enum rows_status, str JSON or text (null unless ROWS_OK), str
	 * next_cursor (null: none); see enum query */
	MSG_ROWS,

	/* ---- audit and broker ---- */
	/* see struct exec_request */
	MSG_EXEC,
	/* u64 permit, u8 enum end_state to report */
	MSG_KILL,
	/* (empty) */
	MSG_PREFLIGHT,
	/* u8 ok, str JSON (the contract's preflight object) */
	MSG_PREFLIGHT_RESULT,
	/* see struct exec_done */
	MSG_EXEC_DONE,
	/* b>audit u64 permit, u8 stream (1, 2), blob */
	MSG_OUTPUT,
	/* b>audit, launcher>b u64 epoch, u8 ok, str reason: nothing of an
	 * earlier life is left */
	MSG_SWEPT,

	/* ---- broker and launcher ---- */
	/* +4 fds: job memfd, stdin, stdout, stderr;
	 * u64 run, u64 epoch, u64 memory bytes, u32 pids, u32 cpu percent,
	 * u32 wall ms, u16 argc, argc * str */
	MSG_LAUNCH,
	/* u64 run, i32 error (0: running) */
	MSG_LAUNCHED,
	/* u64 run, i32 wait status as of wait4(2), u64 cpu us, u64 wall us,
	 * u64 peak memory bytes, u8 enum end_hint */
	MSG_EXITED,
	/* u64 run */
	MSG_LAUNCH_KILL,
	/* (empty): broker asks the launcher to sweep */
	MSG_SWEEP,

	/* ---- audit and files ---- */
	/* u64 permit, u64 epoch, u8 enum file_op, str path, u8 has_content,
	 * blob content */
	MSG_FILE_OP,
	/* u64 permit, u8 ok, str output (JSON object) or error text */
	MSG_FILE_DONE,

	/* ---- audit and store ---- */
	/* u64 segment, u64 committed bytes, u64 next seq */
	MSG_JOURNAL_AT,
	/* +fd (read-only) u64 segment, u64 first seq, str name */
	MSG_SEGMENT_FD,
	/* store>audit u64 seq (0: nothing applied), blob leaf hash (32) */
	MSG_MARK,
	/* audit>store u8 agrees (0: rebuild from the first segment) */
	MSG_MARK_VERDICT,

	/* ---- evidence: audit > notary also JOURNAL_AT and SEGMENT_FD ---- */
	/* notary>p str note: a new checkpoint is on the disk */
	MSG_CHECKPOINT,
	/* notary>audit u64 size: a checkpoint over so many lines is on the
	 * disk; only segments below it may be compressed */
	MSG_COVERED,
	/* audit>p +2 fds (segment, read-only; empty new file, read-write)
	 * u64 segment: have it compressed; at most one at a time */
	MSG_ARCHIVE,
	/* archiver>p, p>audit u64 segment, u8 ok, u64 bytes of text, u64 bytes
	 * of the file, str error: the file is whole, on the disk and read back
	 * (ok), or worth nothing */
	MSG_ARCHIVED,

	MSG_MAX
};

enum res_kind {
	RES_LISTENER,	  /* http: the shared listening socket */
	RES_EVIDENCE_DIR, /* audit: O_PATH|O_DIRECTORY */
	RES_LOCK,	  /* shared life: EVIDENCE_DIR/.lock, not yet locked */
	RES_SLOT_OWN,	  /* metrics slot, rw */
	RES_SLOT_PEER,	  /* http: another's slot, ro; arg = role<<16 | inst */
	RES_RATE_TABLE,	  /* http: rw */
	RES_FILE_ROOT,	  /* files: O_PATH dirfd; name = path; arg = 1 if rw */
	RES_STATE_DIR,	  /* store: O_PATH dirfd of STATE_DIR/db */
	RES_LOG_DIR,	  /* notary: EVIDENCE_DIR/log; store: the same */
	RES_SIGNING_KEY,  /* notary: the text of an skey (note.h), read-only */
	RES_SECRETS_KEY,  /* audit: 32 bytes, read-only */
	RES_ARCHIVE_IN,	  /* archiver: the segment; name = its number */
	RES_ARCHIVE_OUT,  /* archiver: the file to write */
	RES_CGROUP, /* launcher: dirfd; name "v2", "memory", "pids", "cpu" */
	RES_MAX
};

enum conf_kind {
	CONF_SETTING,  /* name, value */
	CONF_SKILL,    /* name, manifest JSON; in registry order */
	CONF_GOVERNOR, /* file name, rules JSON; in order */
	CONF_KEY,      /* key name, "role sha256hex" */
	CONF_FACT,     /* things the parent found out: "version", "node",
			 * "cgroup" (v2, v1, none), "workers",
			 * "files_root" (audit: where a relative path of
			 * file_ops starts) ... */
	CONF_MAX
};

/* ---- the gate ---- */

enum gate_source { SRC_API, SRC_CRON, SRC_CTL, SRC_AGENT, SRC_MAX };
const char *gate_source_name(enum gate_source);

enum gate_action {
	GATE_INVOKE,	    /* run a skill */
	GATE_SKILL_ENABLE,  /* admin */
	GATE_SKILL_DISABLE, /* admin */
	GATE_ARCHIVE,	    /* admin: close the journal's live file */
	GATE_ACTION_MAX
};

/*
 * MSG_GATE_REQUEST: u8 action, u8 source, str token (null: none), str address,
 * str request_id, str skill, str inputs (JSON object), str idempotency key
 * (null: none). Encoded and decoded by gate_request_*() in messages.c.
 */
struct gate_request {
	enum gate_action action;
	enum gate_source source;
	const char *token;
	const char *address;
	const char *request_id;
	const char *skill;
	const char *inputs;
	const char *idem_key;
};

enum gate_status {
	GS_DONE,	 /* ran; `success` tells how it ended */
	GS_CHANGED,	 /* an administrative change was made */
	GS_UNAUTHORIZED, /* token unknown */
	GS_FORBIDDEN,	 /* role too low for this action */
	GS_SKILL_NOT_FOUND,
	GS_SKILL_DISABLED,
	GS_ACL_DENIED,
	GS_INPUT_INVALID, /* detail: JSON array of error items */
	GS_BLOCKED,	  /* by the governor */
	GS_UNAVAILABLE,	  /* the gate is closed: nothing started */
	GS_BUSY,	  /* too much in flight: nothing started */
	GS_NOT_RECORDED,  /* ran, but the outcome is not on disk */
	GS_INTERRUPTED,	  /* may have run, fully or in part */
	GS_INTERNAL,
	GATE_STATUS_MAX
};

/*
 * MSG_GATE_RESULT: u8 status, u8 success, str decision (null before the
 * governor), u32 risk_score, str reason, u64 permit (0: none), u64 seq of the
 * decision's record (0: none), u64 elapsed us, u32 retry_after_s, str output
 * (JSON), str error (null: none), str detail (JSON).
 */
struct gate_result {
	enum gate_status status;
	int success;
	const char *decision;
	uint32_t risk_score;
	const char *reason;
	uint64_t permit;
	uint64_t seq;
	uint64_t elapsed_us;
	uint32_t retry_after_s;
	const char *output;
	const char *error;
	const char *detail;
};

enum audit_event { AE_AUTH_FAILED, AE_RATE_LIMITED, AE_FORBIDDEN, AE_MAX };

/* ---- the sandbox ---- */

/* Each a distinct end of a run; names by end_state_name(). */
enum end_state {
	END_OK,
	END_NONZERO,
	END_SIGNAL,
	END_TIMEOUT_WALL,
	END_TIMEOUT_CPU,
	END_OUT_OF_MEMORY,
	END_OUTPUT_LIMIT,
	END_FILE_LIMIT,
	END_PROCESS_LIMIT,
	END_KILLED,  /* by an operator or a client */
	END_REFUSED, /* by policy, before anything started */
	END_PREFLIGHT_FAILED,
	END_INTERRUPTED,
	END_SANDBOX_ERROR,
	END_STATE_MAX
};
const char *end_state_name(enum end_state);

/* What the launcher saw besides the wait status. */
enum end_hint {
	HINT_NONE,
	HINT_OOM,    /* the kernel killed for memory */
	HINT_WALL,   /* the deadline */
	HINT_KILLED, /* LAUNCH_KILL, or a sweep */
	HINT_PIDS,   /* the process limit refused at least once */
	HINT_SETUP,  /* the program never started; stderr says why */
	HINT_MAX
};

/*
 * MSG_EXEC: u64 permit, u64 epoch, str skill, str inputs (JSON object, already
 * validated against the skill's schema), str request_id.
 * The limits are the skill's, from its manifest; the inputs may only lower
 * them.
 */
struct exec_request {
	uint64_t permit;
	uint64_t epoch;
	const char *skill;
	const char *inputs;
	const char *request_id;
};

/*
 * MSG_EXEC_DONE: u64 permit, u8 state, i32 exit code (-1: none), i32 signal
 * (0: none), u64 wall us, u64 cpu us, u64 peak memory bytes, u64 stdout bytes
 * seen, u64 stderr bytes seen, blob stdout kept, blob stderr kept, str backend,
 * str error (null: none), str run_id (32 hex), u8 degraded (no cgroup).
 */
struct exec_done {
	uint64_t permit;
	enum end_state state;
	int32_t exit_code;
	int32_t signal;
	uint64_t wall_us, cpu_us, peak_mem;
	uint64_t stdout_total, stderr_total;
	const char *out;
	size_t out_len;
	const char *err;
	size_t err_len;
	const char *backend;
	const char *error;
	const char *run_id;
	int degraded;
};

enum file_op {
	FOP_READ,
	FOP_WRITE,
	FOP_LIST,
	FOP_DELETE,
	FOP_EXISTS,
	FOP_MKDIR,
	FOP_STAT,
	FOP_MAX
};
const char *file_op_name(enum file_op);
/* FOP_MAX when unknown. */
enum file_op file_op_parse(const char *);

/* ---- queries ---- */

/*
 * What MSG_ROWS carries with ROWS_OK; "text" is not JSON as a whole. An entry
 * is, on all of them with its keys in this order,
 *
 *	PAGE	{"id","seq","node","kind","action","decision","risk_score",
 *		"reason","actor","request_id","permit","created_at"}
 *	whole	{"id","seq","node","action","decision","risk_score","reason",
 *		"context","created_at","kind","actor","request_id","permit"}
 *
 * context is an object, created_at UTC with Z, permit a number; actor, reason,
 * request_id and permit may be null. A list of whole entries is text: one
 * entry a line, each ended by \n, with ", " and ": " between its parts and
 * {"id": N, "seq": N, at its start; the empty text when there is none.
 *
 * Cursors are opaque text of at most 64 characters and good for the query that
 * gave them; all filters must be sent again with them. A pass on one cursor
 * sees the entries that were there when it began, each once, whatever comes
 * meanwhile. An EXPORT answer is bounded in bytes: it may hold fewer entries
 * than `limit`, or none, and still have a next_cursor; the pass ends with the
 * answer that has none. With a cursor EXPORT passes over `offset`, which the
 * cursor holds.
 */
enum query {
	Q_AUDIT_PAGE,
	Q_AUDIT_SUMMARY,
	Q_AUDIT_ACTIONS,
	Q_AUDIT_DECISIONS,
	Q_MIGRATION_STATE,
	Q_PING, /* the readiness part */
	/* The entry with seq `from` (or id, above 2^40), whole: one object.
	 * ROWS_NOT_FOUND. */
	Q_AUDIT_ONE,
	/* Whole entries, newest first: text. limit up to 1000 an answer, any
	 * offset. */
	Q_AUDIT_EXPORT,
	/* Whole entries with seq > from, oldest first: text. No cursor goes in;
	 * next_cursor is always there: the seq, in decimal, up to which all was
	 * looked at, to be sent as `from` next. While it is below the gauge
	 * MG_STORE_SEQ there is more to ask for, also after an empty text.
	 * Costs nothing when from is not below that gauge. */
	Q_AUDIT_AFTER,
	/* The newest signed checkpoint, as it is on the disk: text. Needs no
	 * database. ROWS_NOT_FOUND: none yet. */
	Q_CHECKPOINT,
	/* C2SP tlog-proof of line `from` under the newest checkpoint, with the
	 * line (tproof.h): text. Needs no database. ROWS_NOT_FOUND: no
	 * checkpoint, or none that covers it. */
	Q_PROOF,
	/* {"from","to","path":[base64...],"from_root","to_root" (base64),
	 * "checkpoint" (text of the newest)}: the tree of size `to` (0: of the
	 * newest checkpoint) extends that of size `from`; RFC 6962 2.1.2. Needs
	 * no database. ROWS_BAD_RANGE unless 1 <= from <= to <= checkpoint;
	 * ROWS_NOT_FOUND: no checkpoint. */
	Q_CONSISTENCY,
	Q_MAX
};
enum rows_status {
	ROWS_OK,
	ROWS_UNAVAILABLE, /* database away, locked or without schema */
	ROWS_BAD_CURSOR,
	ROWS_NOT_FOUND, /* no such entry, or not covered yet */
	ROWS_BAD_RANGE, /* from and to do not fit the tree */
	ROWS_STATUS_MAX
};

struct query_args {
	enum query query;
	uint16_t limit;
	uint32_t offset;
	const char *cursor, *decision, *action, *action_prefix;
	int32_t risk_min, risk_max;   /* -1: none */
	uint64_t after_us, before_us; /* inclusive; 0: none */
	uint64_t from, to;	      /* sequence numbers or tree sizes */
};

struct buf;
struct msg_r;
void gate_request_put(struct buf *, const struct gate_request *);
int gate_request_get(const void *, size_t, struct gate_request *);
void gate_result_put(struct buf *, const struct gate_result *);
int gate_result_get(const void *, size_t, struct gate_result *);
void exec_request_put(struct buf *, const struct exec_request *);
int exec_request_get(const void *, size_t, struct exec_request *);
void exec_done_put(struct buf *, const struct exec_done *);
int exec_done_get(const void *, size_t, struct exec_done *);
void query_args_put(struct buf *, const struct query_args *);
int query_args_get(const void *, size_t, struct query_args *);

/* ---- rules ---- */

/* The receiver's life, as bits of the state column. */
#define PS_SETUP 1u /* before READY */
#define PS_RUN	 2u
#define PS_DRAIN 4u
#define PS_LIVE	 (PS_RUN | PS_DRAIN)
#define PS_ANY	 (PS_SETUP | PS_LIVE)

struct msg_rule {
	enum msg_type type;
	const char *name;
	uint32_t from; /* PROC_BIT mask */
	uint32_t to;
	uint32_t states;
	uint32_t min, max; /* body bytes */
	uint8_t nfds;	   /* exactly this many, besides a memfd body */
	uint8_t memfd_ok;  /* the body may come as a sealed memfd */
};

/* The row, or NULL for a type that does not exist. */
const struct msg_rule *msg_rule(unsigned type);
const char *msg_name(unsigned type);

#endif
