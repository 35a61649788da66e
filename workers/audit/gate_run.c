/* SPDX-License-Identifier: ISC */
/*
 * From the durable decision to the recorded outcome: starts the run, takes its
 * end, records it, answers. A run starts only in gate_decided() with ok, an
 * answer about a run leaves only after its outcome's line; what ran and cannot
 * be recorded is said to be that, and kept until it can.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/gpriv.h"
#include "workers/audit/gtext.h"

static void recorded(void *, bool, uint64_t);

/* ---- the end of a permit ---- */

static void
count_end(struct gate *g, const struct permit *p)
{
	unsigned i;

	metric_inc(g->slot, p->success ? MC_SKILL_SUCCESS : MC_SKILL_FAILURE);
	metric_observe_us(g->slot, MH_SKILL, ax_mono_us() - p->started);
	if (registry_find(g->conf->skills, p->skill, &i) != NULL)
		__atomic_fetch_add(&g->slot->skill[i][p->success ? MS_SUCCESS :
								   MS_FAILURE],
		    1, __ATOMIC_RELAXED);
}

static void
permit_close(struct permit *p)
{
	struct gate *g = p->gate;

	if (p->state == PERMIT_KEPT)
		g->nkept--;
	permits_remove(&g->permits, p);
	permit_free(p);
}

static void
fill_result(struct permit *p, struct gate_result *r)
{
	memset(r, 0, sizeof(*r));
	r->status = GS_DONE;
	r->success = p->success;
	r->decision = gov_decision_name(p->decision);
	r->risk_score = (uint32_t)p->risk_score;
	r->reason = p->reason;
	r->permit = p->number;
	r->seq = p->number;
	r->elapsed_us = ax_mono_us() - p->started;
	r->output = p->output.len > 0 ? buf_str(&p->output) : NULL;
	r->error = p->error;
}

/* Remembers the answer under the request's idempotency key. */
static void
remember(struct gate *g, const struct permit *p, const struct gate_result *r)
{
	struct buf b = BUF_INITIALIZER;

	if (p->idem_key[0] == '\0')
		return;
	if (p->not_started) {
		idems_drop(&g->idems, p->idem_key, p->number);
		return;
	}
	if (p->end == END_INTERRUPTED) {
		idems_end(&g->idems, p->idem_key, p->number, IDEM_INTERRUPTED,
		    false, NULL, 0);
		return;
	}
	gate_result_put(&b, r);
	idems_end(&g->idems, p->idem_key, p->number, IDEM_DONE, p->success, b.d,
	    b.err ? 0 : b.len);
	buf_free(&b);
}

/* ---- the outcome's line ---- */

static const char *
outcome_action(const struct permit *p, char *out, size_t size)
{
	bool done = p->success || p->end == END_NONZERO;

	if (p->sandboxed)
		return (
		    done ? "sandbox_execute_done" : "sandbox_execute_failed");
	(void)snprintf(out, size, "%s:%s",
	    p->success ? "skill_done" : "skill_failed", p->skill);
	return (out);
}

void
gate_record_outcome(struct permit *p)
{
	struct gate *g = p->gate;
	char action[128];
	struct line l = {
		.kind = LK_OUTCOME,
		.actor = p->actor,
		.request_id = p->request_id,
		.permit = p->number,
		.decision = p->success ? "APPROVED" : "WARNED",
		.risk_score = p->success ? 15 : 70,
	};

	l.action = p->recovered ? "run_interrupted" :
				  outcome_action(p, action, sizeof(action));
	l.reason = p->recovered ? "interrupted" :
	    p->success		? NULL :
				  end_state_name(p->end);
	l.context = buf_str(&p->context);
	l.context_len = p->context.len;
	if (p->state == PERMIT_KEPT)
		g->nkept--;
	p->state = PERMIT_ENDING;
	if (gate_append(g, &l, recorded, p) != 0)
		return;
	if (errno == EMSGSIZE || errno == EINVAL) {
		/* Too little is better than nothing. */
		log_warn("gate: outcome of permit %" PRIu64, p->number);
		l.context = NULL;
		if (gate_append(g, &l, recorded, p) != 0)
			return;
	}
	recorded(p, false, 0);
}

/* It ran, and that is not on the disk: say so, and keep it. */
static void
not_recorded(struct permit *p)
{
	struct gate *g = p->gate;
	const struct gate_result r = { .status = GS_NOT_RECORDED,
		.decision = gov_decision_name(p->decision),
		.risk_score = (uint32_t)p->risk_score,
		.reason = p->reason,
		.permit = p->number,
		.seq = p->number,
		.elapsed_us = ax_mono_us() - p->started };

	p->state = PERMIT_KEPT;
	g->nkept++;
	gate_answer(g, &p->origin, p->id, &r);
	p->origin.life = 0;
}

static void
recorded(void *arg, bool ok, uint64_t seq)
{
	struct permit *p = arg;
	struct gate *g = p->gate;
	struct gate_result r;

	(void)seq;
	if (!ok) {
		not_recorded(p);
		return;
	}
	fill_result(p, &r);
	remember(g, p, &r);
	if (p->recovered)
		metric_inc(g->slot, MC_INTERRUPTED);
	else
		count_end(g, p);
	gate_answer(g, &p->origin, p->id, &r);
	permit_close(p);
}

void
gate_record_kept(struct gate *g)
{
	struct permit *p, *next;

	if (g->nkept == 0 || journal_state(g->journal) != JOURNAL_OK)
		return;
	for (p = TAILQ_FIRST(&g->permits.list); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->state == PERMIT_KEPT)
			gate_record_outcome(p);
	}
}

void
gate_end_without(struct permit *p, enum end_state end, const char *state,
    const char *error)
{
	p->success = false;
	p->end = end;
	p->not_started = strcmp(state, "not_started") == 0;
	free(p->error);
	p->error = strdup(error);
	buf_reset(&p->context);
	gtext_end_context(&p->context, p->skill, state, error);
	gate_record_outcome(p);
}

/* ---- starting ---- */

/* Without blanks around it, in lower case; FOP_MAX when unknown. */
static enum file_op
operation_of(const char *text)
{
	char lower[16];
	size_t i, n;

	text += strspn(text, " \t\r\n");
	n = strcspn(text, " \t\r\n");
	if (n >= sizeof(lower) || text[n + strspn(text + n, " \t\r\n")] != '\0')
		return (FOP_MAX);
	for (i = 0; i < n; i++)
		lower[i] = text[i] >= 'A' && text[i] <= 'Z' ?
		    (char)(text[i] - 'A' + 'a') :
		    text[i];
	lower[n] = '\0';
	return (file_op_parse(lower));
}

/*
 * Why the inputs are no file operation, or NULL. The schema says it earlier
 * and better, but ENABLE_SKILL_VALIDATION may be off.
 */
static const char *
files_refusal(const json_t *args, bool keyed, char *out, size_t size)
{
	const char *op = json_string_value(json_object_get(args, "operation"));
	const char *path = json_string_value(json_object_get(args, "path"));
	const json_t *content = json_object_get(args, "content");

	if (op == NULL || *op == '\0' || path == NULL || *path == '\0')
		return ("operation and path required");
	if (content != NULL && !json_is_string(content))
		return ("content must be a string");
	if (operation_of(op) != FOP_MAX)
		return (NULL);
	(void)snprintf(out, size, "unknown operation%s%s", keyed ? "" : ": ",
	    keyed ? "" : op);
	return (out);
}

static int
start_files(struct permit *p)
{
	struct gate *g = p->gate;
	const json_t *content = json_object_get(p->args, "content");

	metric_inc(g->slot, MC_FILE_OPS);
	return (g->ops->file_op(g->arg, p->number,
	    operation_of(
		json_string_value(json_object_get(p->args, "operation"))),
	    json_string_value(json_object_get(p->args, "path")),
	    json_string_value(content), json_string_length(content)));
}

static int
start_sandbox(struct permit *p)
{
	struct gate *g = p->gate;
	const struct exec_request e = { .permit = p->number,
		.epoch = g->epoch,
		.skill = p->skill,
		.inputs = p->inputs,
		.request_id = p->request_id != NULL ? p->request_id : "" };

	return (g->ops->exec(g->arg, &e));
}

static void
start(struct permit *p)
{
	const char *why = NULL;
	char text[128];
	int r;

	p->state = PERMIT_RUNNING;
	if (p->cancelled) {
		gate_end_without(p, END_KILLED, "not_started",
		    "cancelled before it started");
		return;
	}
	if (!p->sandboxed)
		why = files_refusal(p->args, p->keyed != NULL, text,
		    sizeof(text));
	if (why != NULL) {
		gate_end_without(p, END_REFUSED, "not_started", why);
		return;
	}
	r = p->sandboxed ? start_sandbox(p) : start_files(p);
	/* What the executor has, nobody here needs any more. */
	free(p->inputs);
	p->inputs = NULL;
	json_decref(p->args);
	p->args = NULL;
	if (r == -1)
		gate_end_without(p, END_SANDBOX_ERROR, "not_started",
		    "the executor could not take it");
}

void
gate_decided(void *arg, bool ok, uint64_t seq)
{
	struct permit *p = arg;
	struct gate *g = p->gate;

	(void)seq;
	if (ok) {
		start(p);
		return;
	}
	if (p->idem_key[0] != '\0')
		idems_drop(&g->idems, p->idem_key, p->number);
	gate_unavailable(g, &p->origin, p->id);
	permit_close(p);
}

/* ---- ends that executors report ---- */

static struct permit *
running(struct gate *g, uint64_t number, bool sandboxed)
{
	struct permit *p = permits_find(&g->permits, number);

	if (p != NULL && p->state == PERMIT_RUNNING &&
	    p->sandboxed == sandboxed && !p->recovered)
		return (p);
	metric_inc(g->slot, MC_IPC_DROPPED);
	log_warnx("gate: an end of permit %" PRIu64 ", which does not run",
	    number);
	return (NULL);
}

/* What a program printed is its answer: JSON. NULL, and *error set if not. */
static void
take_program_output(struct permit *p, const struct exec_done *d)
{
	json_t *v, *e;
	char *text;

	v = json_loadb(d->out, d->out_len,
	    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (v == NULL) {
		p->success = false;
		p->error = strdup(d->stdout_total > d->out_len ?
			"the program's answer is longer than max_stdout" :
			"the program's answer is not JSON");
		return;
	}
	e = json_object_get(v, "error");
	if (json_is_string(e) && json_string_length(e) > 0) {
		p->success = false;
		p->error = strdup(json_string_value(e));
	}
	if ((text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY)) != NULL)
		buf_adds(&p->output, text);
	free(text);
	json_decref(v);
}

int
gate_exec_done(struct gate *g, const struct exec_done *d)
{
	struct permit *p = running(g, d->permit, true);
	char scratch[64];
	const char *error;

	if (p == NULL)
		return (-1);
	metric_inc(g->slot, MC_SANDBOX_RUNS);
	if (d->state != END_OK)
		metric_inc(g->slot, MC_SANDBOX_FAILED);
	p->end = d->state;
	p->success = d->state == END_OK;
	if (p->runtime == RUN_PROGRAM && p->success)
		take_program_output(p, d);
	else if ((error = gtext_exec_error(d, scratch, sizeof(scratch))) !=
	    NULL) {
		p->success = false;
		p->error = strdup(error);
	}
	if (p->output.len == 0 && (p->runtime == RUN_CODE || !p->success))
		gtext_exec_output(&p->output, d, p->success, p->error);
	gtext_exec_context(&p->context, p->skill, d, p->success, p->error,
	    p->keyed);
	gate_record_outcome(p);
	return (0);
}

int
gate_file_done(struct gate *g, uint64_t permit, bool ok, const char *text)
{
	struct permit *p = running(g, permit, false);
	json_t *v;

	if (p == NULL)
		return (-1);
	p->success = ok;
	p->end = ok ? END_OK : END_NONZERO;
	if (ok)
		buf_adds(&p->output, text);
	else {
		p->error = strdup(text);
		v = json_pack("{s:s}", "error", text);
		if (v != NULL) {
			char *s = json_dumps(v, JSON_COMPACT);

			buf_adds(&p->output, s != NULL ? s : "null");
			free(s);
		}
		json_decref(v);
	}
	gtext_file_context(&p->context, p->skill, ok, text,
	    ax_mono_us() - p->started, p->keyed);
	gate_record_outcome(p);
	return (0);
}

/* ---- fronts ---- */

void
gate_cancel(struct gate *g, const struct origin *o, uint64_t id)
{
	struct permit *p = permits_of(&g->permits, o, id);

	if (p == NULL)
		return;
	p->origin.life = 0; /* nobody waits */
	p->cancelled = true;
	if (p->state == PERMIT_RUNNING && p->sandboxed)
		g->ops->kill(g->arg, p->number, END_KILLED);
}

void
gate_front_lost(struct gate *g, const struct origin *o)
{
	struct permit *p;

	TAILQ_FOREACH(p, &g->permits.list, entry) {
		if (origin_same(&p->origin, o))
			p->origin.life = 0;
	}
}
