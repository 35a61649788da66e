/* SPDX-License-Identifier: ISC */
/*
 * The rules of every message, and the encoders of the bodies that two parts
 * share. A frame whose row does not allow it never reaches a handler.
 */
#include <string.h>

#include "ipc.h"
#include "messages.h"
#include "msg.h"
#include "util.h"

#define B(role) PROC_BIT(PROC_##role)
#define ALL	PROC_WORKERS
#define SMALL	512
#define BIG	IPC_BIG_MAX

/*   type		 from		  to		 states	  min max nfds memfd */
#define R(t, f, o, s, mn, mx, n, m) [t] = { t, #t, f, o, s, mn, mx, n, m }

static const struct msg_rule rules[MSG_MAX] = {
	R(MSG_HELLO, ALL, B(PARENT), PS_ANY, 9, SMALL, 0, 0),
	R(MSG_SETUP, B(PARENT), ALL, PS_SETUP, 16, 8192, 0, 0),
	R(MSG_RESOURCE, B(PARENT), ALL, PS_SETUP, 10, 8192, 1, 0),
	R(MSG_PEER, B(PARENT), ALL, PS_ANY, 12, 12, 1, 0),
	R(MSG_CONF_BEGIN, B(PARENT), ALL, PS_ANY, 8, 8, 0, 0),
	R(MSG_CONF_ITEM, B(PARENT), ALL, PS_ANY, 12, BIG, 0, 1),
	R(MSG_CONF_END, B(PARENT), ALL, PS_ANY, 8, 8, 0, 0),
	R(MSG_CONF_READY, ALL, B(PARENT), PS_ANY, 8, 8, 0, 0),
	R(MSG_CONF_REJECT, ALL, B(PARENT), PS_ANY, 13, 8192, 0, 0),
	R(MSG_CONF_COMMIT, B(PARENT), ALL, PS_ANY, 8, 8, 0, 0),
	R(MSG_CONF_ABORT, B(PARENT), ALL, PS_ANY, 8, 8, 0, 0),
	R(MSG_READY, ALL, B(PARENT), PS_ANY, 6, 6, 0, 0),
	R(MSG_DRAIN, B(PARENT), ALL, PS_ANY, 0, 8, 0, 0),
	R(MSG_DRAINED, ALL, B(PARENT), PS_ANY, 0, 8, 0, 0),
	R(MSG_PING, B(PARENT), ALL, PS_LIVE, 8, 8, 0, 0),
	R(MSG_PONG, ALL, B(PARENT), PS_ANY, 8, 8, 0, 0),
	R(MSG_LOG_LEVEL, B(PARENT), ALL, PS_ANY, 1, 1, 0, 0),
	R(MSG_CHANNEL_LOST, ALL, B(PARENT), PS_ANY, 9, 1024, 0, 0),
	R(MSG_PROBE, B(PARENT), ALL, PS_LIVE, 0, 0, 0, 0),
	R(MSG_PROBE_RESULT, ALL, B(PARENT), PS_ANY, 5, 8192, 0, 0),
	R(MSG_CTL_GATE, B(PARENT), B(AUDIT), PS_LIVE, 15, 8192, 0, 0),
	R(MSG_CTL_GATE_RESULT, B(AUDIT), B(PARENT), PS_ANY, 5, 65536, 0, 1),

	R(MSG_GATE_REQUEST, B(HTTP) | B(SCHEDULER), B(AUDIT), PS_LIVE, 26, BIG,
	    0, 1),
	R(MSG_GATE_RESULT, B(AUDIT), B(HTTP) | B(SCHEDULER), PS_LIVE, 30, BIG,
	    0, 1),
	R(MSG_CANCEL, B(HTTP) | B(SCHEDULER), B(AUDIT), PS_LIVE, 0, 0, 0, 0),
	R(MSG_AUDIT_EVENT, B(HTTP) | B(SCHEDULER), B(AUDIT), PS_LIVE, 29, 4096,
	    0, 0),
	R(MSG_QUERY, B(HTTP), B(STORE), PS_LIVE, 64, 8192, 0, 0),
	R(MSG_ROWS, B(STORE), B(HTTP), PS_LIVE, 9, BIG, 0, 1),

	R(MSG_EXEC, B(AUDIT), B(BROKER), PS_LIVE, 28, BIG, 0, 1),
	R(MSG_KILL, B(AUDIT), B(BROKER), PS_LIVE, 9, 9, 0, 0),
	R(MSG_PREFLIGHT, B(AUDIT), B(BROKER), PS_LIVE, 0, 0, 0, 0),
	R(MSG_PREFLIGHT_RESULT, B(BROKER), B(AUDIT), PS_LIVE, 6, 65536, 0, 1),
	R(MSG_EXEC_DONE, B(BROKER), B(AUDIT), PS_LIVE, 60, BIG, 0, 1),
	R(MSG_OUTPUT, B(BROKER), B(AUDIT), PS_LIVE, 13, BIG, 0, 1),
	R(MSG_SWEPT, B(BROKER) | B(LAUNCHER), B(AUDIT) | B(BROKER), PS_LIVE, 13,
	    SMALL, 0, 0),
	R(MSG_LAUNCH, B(BROKER), B(LAUNCHER), PS_LIVE, 38, 65536, 4, 1),
	R(MSG_LAUNCHED, B(LAUNCHER), B(BROKER), PS_LIVE, 12, 12, 0, 0),
	R(MSG_EXITED, B(LAUNCHER), B(BROKER), PS_LIVE, 37, 37, 0, 0),
	R(MSG_LAUNCH_KILL, B(BROKER), B(LAUNCHER), PS_LIVE, 8, 8, 0, 0),
	R(MSG_SWEEP, B(BROKER), B(LAUNCHER), PS_LIVE, 0, 0, 0, 0),

	R(MSG_FILE_OP, B(AUDIT), B(FILES), PS_LIVE, 27, BIG, 0, 1),
	R(MSG_FILE_DONE, B(FILES), B(AUDIT), PS_LIVE, 14, BIG, 0, 1),

	R(MSG_JOURNAL_AT, B(AUDIT), B(STORE) | B(NOTARY), PS_LIVE, 24, 24, 0,
	    0),
	R(MSG_SEGMENT_FD, B(AUDIT), B(STORE) | B(NOTARY), PS_LIVE, 21, 4096, 1,
	    0),
	R(MSG_MARK, B(STORE), B(AUDIT), PS_LIVE, 12, 44, 0, 0),
	R(MSG_MARK_VERDICT, B(AUDIT), B(STORE), PS_LIVE, 1, 1, 0, 0),
	R(MSG_CHECKPOINT, B(NOTARY), B(PARENT), PS_ANY, 5, 8192, 0, 0),
	R(MSG_COVERED, B(NOTARY), B(AUDIT), PS_LIVE, 8, 8, 0, 0),
	R(MSG_ARCHIVE, B(AUDIT), B(PARENT), PS_ANY, 8, 8, 2, 0),
	R(MSG_ARCHIVED, B(ARCHIVER) | B(PARENT), B(PARENT) | B(AUDIT), PS_ANY,
	    29, SMALL, 0, 0),
};
#undef R
#undef B

const struct msg_rule *
msg_rule(unsigned type)
{
	if (type >= MSG_MAX || rules[type].name == NULL)
		return (NULL);
	return (&rules[type]);
}

const char *
msg_name(unsigned type)
{
	const struct msg_rule *r = msg_rule(type);

	return (r != NULL ? r->name : "unknown message");
}

/* ---- names ---- */

static const char *
pick(const char *const *names, unsigned n, unsigned i)
{
	return (i < n ? names[i] : "unknown");
}

const char *
gate_source_name(enum gate_source s)
{
	static const char *const n[] = { "api", "cron", "ctl", "agent" };

	return (pick(n, AX_NELEM(n), s));
}

const char *
end_state_name(enum end_state s)
{
	static const char *const n[END_STATE_MAX] = {
		[END_OK] = "ok",
		[END_NONZERO] = "nonzero",
		[END_SIGNAL] = "signal",
		[END_TIMEOUT_WALL] = "timeout_wall",
		[END_TIMEOUT_CPU] = "timeout_cpu",
		[END_OUT_OF_MEMORY] = "out_of_memory",
		[END_OUTPUT_LIMIT] = "output_limit",
		[END_FILE_LIMIT] = "file_limit",
		[END_PROCESS_LIMIT] = "process_limit",
		[END_KILLED] = "killed_by_operator",
		[END_REFUSED] = "refused_by_policy",
		[END_PREFLIGHT_FAILED] = "preflight_failed",
		[END_INTERRUPTED] = "interrupted",
		[END_SANDBOX_ERROR] = "sandbox_error",
	};

	return (pick(n, END_STATE_MAX, s));
}

static const char *const file_op_names[FOP_MAX] = {
	[FOP_READ] = "read",
	[FOP_WRITE] = "write",
	[FOP_LIST] = "list",
	[FOP_DELETE] = "delete",
	[FOP_EXISTS] = "exists",
	[FOP_MKDIR] = "mkdir",
	[FOP_STAT] = "stat",
};

const char *
file_op_name(enum file_op op)
{
	return (pick(file_op_names, FOP_MAX, op));
}

enum file_op
file_op_parse(const char *s)
{
	unsigned i;

	for (i = 0; i < FOP_MAX; i++) {
		if (strcmp(file_op_names[i], s) == 0)
			break;
	}
	return ((enum file_op)i);
}

/* ---- bodies ---- */

void
gate_request_put(struct buf *b, const struct gate_request *g)
{
	mw_u8(b, (uint8_t)g->action);
	mw_u8(b, (uint8_t)g->source);
	mw_str(b, g->token);
	mw_str(b, g->address);
	mw_str(b, g->request_id);
	mw_str(b, g->skill);
	mw_str(b, g->inputs);
	mw_str(b, g->idem_key);
}

int
gate_request_get(const void *p, size_t n, struct gate_request *g)
{
	struct msg_r r;
	uint8_t action, source;

	mr_init(&r, p, n);
	action = mr_u8(&r);
	source = mr_u8(&r);
	g->action = (enum gate_action)action;
	g->source = (enum gate_source)source;
	g->token = mr_str(&r);
	g->address = mr_str_req(&r);
	g->request_id = mr_str_req(&r);
	g->skill = mr_str_req(&r);
	g->inputs = mr_str_req(&r);
	g->idem_key = mr_str(&r);
	if (action >= GATE_ACTION_MAX || source >= SRC_MAX)
		return (-1);
	return (mr_end(&r));
}

void
gate_result_put(struct buf *b, const struct gate_result *g)
{
	mw_u8(b, (uint8_t)g->status);
	mw_u8(b, g->success != 0);
	mw_str(b, g->decision);
	mw_u32(b, g->risk_score);
	mw_str(b, g->reason);
	mw_u64(b, g->permit);
	mw_u64(b, g->seq);
	mw_u64(b, g->elapsed_us);
	mw_u32(b, g->retry_after_s);
	mw_str(b, g->output);
	mw_str(b, g->error);
	mw_str(b, g->detail);
}

int
gate_result_get(const void *p, size_t n, struct gate_result *g)
{
	struct msg_r r;
	uint8_t status;

	mr_init(&r, p, n);
	status = mr_u8(&r);
	g->status = (enum gate_status)status;
	g->success = mr_u8(&r);
	g->decision = mr_str(&r);
	g->risk_score = mr_u32(&r);
	g->reason = mr_str(&r);
	g->permit = mr_u64(&r);
	g->seq = mr_u64(&r);
	g->elapsed_us = mr_u64(&r);
	g->retry_after_s = mr_u32(&r);
	g->output = mr_str(&r);
	g->error = mr_str(&r);
	g->detail = mr_str(&r);
	if (status >= GATE_STATUS_MAX)
		return (-1);
	return (mr_end(&r));
}

void
exec_request_put(struct buf *b, const struct exec_request *e)
{
	mw_u64(b, e->permit);
	mw_u64(b, e->epoch);
	mw_str(b, e->skill);
	mw_str(b, e->inputs);
	mw_str(b, e->request_id);
}

int
exec_request_get(const void *p, size_t n, struct exec_request *e)
{
	struct msg_r r;

	mr_init(&r, p, n);
	e->permit = mr_u64(&r);
	e->epoch = mr_u64(&r);
	e->skill = mr_str_req(&r);
	e->inputs = mr_str_req(&r);
	e->request_id = mr_str_req(&r);
	return (mr_end(&r));
}

void
exec_done_put(struct buf *b, const struct exec_done *e)
{
	mw_u64(b, e->permit);
	mw_u8(b, (uint8_t)e->state);
	mw_i32(b, e->exit_code);
	mw_i32(b, e->signal);
	mw_u64(b, e->wall_us);
	mw_u64(b, e->cpu_us);
	mw_u64(b, e->peak_mem);
	mw_u64(b, e->stdout_total);
	mw_u64(b, e->stderr_total);
	mw_blob(b, e->out, e->out_len);
	mw_blob(b, e->err, e->err_len);
	mw_str(b, e->backend);
	mw_str(b, e->error);
	mw_str(b, e->run_id);
	mw_u8(b, e->degraded != 0);
}

int
exec_done_get(const void *p, size_t n, struct exec_done *e)
{
	struct msg_r r;
	uint8_t state;

	mr_init(&r, p, n);
	e->permit = mr_u64(&r);
	state = mr_u8(&r);
	e->state = (enum end_state)state;
	e->exit_code = mr_i32(&r);
	e->signal = mr_i32(&r);
	e->wall_us = mr_u64(&r);
	e->cpu_us = mr_u64(&r);
	e->peak_mem = mr_u64(&r);
	e->stdout_total = mr_u64(&r);
	e->stderr_total = mr_u64(&r);
	e->out = mr_blob(&r, &e->out_len);
	e->err = mr_blob(&r, &e->err_len);
	e->backend = mr_str_req(&r);
	e->error = mr_str(&r);
	e->run_id = mr_str_req(&r);
	e->degraded = mr_u8(&r);
	if (state >= END_STATE_MAX)
		return (-1);
	return (mr_end(&r));
}

void
query_args_put(struct buf *b, const struct query_args *q)
{
	mw_u16(b, (uint16_t)q->query);
	mw_u16(b, q->limit);
	mw_u32(b, q->offset);
	mw_str(b, q->cursor);
	mw_str(b, q->decision);
	mw_str(b, q->action);
	mw_str(b, q->action_prefix);
	mw_i32(b, q->risk_min);
	mw_i32(b, q->risk_max);
	mw_u64(b, q->after_us);
	mw_u64(b, q->before_us);
	mw_u64(b, q->from);
	mw_u64(b, q->to);
}

int
query_args_get(const void *p, size_t n, struct query_args *q)
{
	struct msg_r r;
	uint16_t query;

	mr_init(&r, p, n);
	query = mr_u16(&r);
	q->query = (enum query)query;
	q->limit = mr_u16(&r);
	q->offset = mr_u32(&r);
	q->cursor = mr_str(&r);
	q->decision = mr_str(&r);
	q->action = mr_str(&r);
	q->action_prefix = mr_str(&r);
	q->risk_min = mr_i32(&r);
	q->risk_max = mr_i32(&r);
	q->after_us = mr_u64(&r);
	q->before_us = mr_u64(&r);
	q->from = mr_u64(&r);
	q->to = mr_u64(&r);
	if (query >= Q_MAX)
		return (-1);
	return (mr_end(&r));
}
