/* SPDX-License-Identifier: ISC */
/*
 * Contexts and outputs of the gate, see gtext.h. Pure: what goes in comes out
 * in one way only. Must never put the output of a run, or a secret input, into
 * a context.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/jw.h"
#include "common/util.h"
#include "workers/audit/gtext.h"
#include "common/line.h"

#define PATH_MAX_SHOWN	1024
#define ERROR_MAX_SHOWN 200
#define INPUTS_DEPTH	16

/* Under the key when what is digested may repeat a secret. */
static void
put_digest(struct jw *w, const void *p, size_t n,
    const struct secret_key *keyed)
{
	char text[SECRET_TEXT_MAX];
	uint8_t sum[32];

	if (keyed != NULL)
		secret_output_text(keyed, p, n, text);
	else {
		ax_sha256(p, n, sum);
		ax_hex(sum, sizeof(sum), text);
	}
	jw_kstr(w, "sha256", text);
}

/* {"bytes", "sha256"} */
static void
put_sized(struct jw *w, const char *key, const void *p, size_t n,
    const struct secret_key *keyed)
{
	jw_key(w, key);
	jw_obj(w);
	jw_kuint(w, "bytes", n);
	put_digest(w, p, n, keyed);
	jw_obj_end(w);
}

/* ---- decisions ---- */

/* Is the value deeper than what a line may hold? */
static bool
too_deep(const json_t *v, unsigned depth)
{
	const char *key;
	json_t *item;
	size_t i;

	if (depth == 0)
		return (true);
	if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, key, item) {
			if (too_deep(item, depth - 1))
				return (true);
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, item) {
			if (too_deep(item, depth - 1))
				return (true);
		}
	}
	return (false);
}

static void
put_inputs(struct jw *w, const json_t *shown)
{
	char *text = json_dumps(shown, JSON_SORT_KEYS | JSON_ENCODE_ANY);
	size_t n = text != NULL ? strlen(text) : 0;

	if (text == NULL) {
		jw_knull(w, "inputs");
	} else if (n > GTEXT_INPUTS_MAX || too_deep(shown, INPUTS_DEPTH)) {
		put_sized(w, "inputs", text, n, NULL);
	} else {
		jw_key(w, "inputs");
		jw_raw(w, text, n);
	}
	free(text);
}

static void
put_rule_ids(struct jw *w, const struct gov_verdict *v)
{
	unsigned i;

	jw_key(w, "rules");
	jw_arr(w);
	for (i = 0; i < v->nhits; i++)
		jw_strn(w, v->hits[i].id, line_cut(v->hits[i].id, 64));
	jw_arr_end(w);
}

void
gtext_decision(struct buf *b, const struct decision_facts *f)
{
	const json_t *code = json_object_get(f->shown, "code");
	const json_t *op = json_object_get(f->shown, "operation");
	const json_t *path = json_object_get(f->shown, "path");
	char policy[65];
	struct jw w;

	ax_hex(f->policy, 32, policy);
	jw_init(&w, b, true);
	jw_obj(&w);
	line_put_text(&w, "address", f->address, 64);
	if (f->skill->runtime == RUN_CODE && json_is_string(code))
		put_sized(&w, "code", json_string_value(code),
		    json_string_length(code), NULL);
	put_inputs(&w, f->shown);
	if (json_is_string(op))
		line_put_text(&w, "operation", json_string_value(op), 64);
	if (json_is_string(path))
		line_put_text(&w, "path", json_string_value(path),
		    PATH_MAX_SHOWN);
	jw_kstr(&w, "policy", policy);
	jw_kstr(&w, "role", f->role);
	put_rule_ids(&w, f->verdict);
	jw_kstr(&w, "skill", f->skill->name);
	jw_kstr(&w, "source", f->source);
	jw_obj_end(&w);
}

void
gtext_rules(struct buf *b, const struct gov_verdict *v)
{
	struct jw w;
	unsigned i;

	jw_init(&w, b, false);
	jw_arr(&w);
	for (i = 0; i < v->nhits; i++) {
		jw_obj(&w);
		jw_kstr(&w, "id", v->hits[i].id);
		jw_kint(&w, "points", v->hits[i].points);
		jw_kstr(&w, "why", v->hits[i].why);
		jw_obj_end(&w);
	}
	jw_arr_end(&w);
}

/* ---- outcomes ---- */

static void
put_stream(struct jw *w, const char *key, const char *p, size_t kept,
    uint64_t total, const struct secret_key *keyed)
{
	jw_key(w, key);
	jw_obj(w);
	jw_kuint(w, "bytes", total);
	jw_kuint(w, "kept", kept);
	put_digest(w, p, kept, keyed);
	jw_kbool(w, "truncated", total > kept);
	jw_obj_end(w);
}

void
gtext_exec_context(struct buf *b, const char *skill, const struct exec_done *d,
    bool success, const char *error, const struct secret_key *keyed)
{
	struct jw w;

	if (keyed != NULL && error != NULL)
		error = SECRET_WITHHELD;
	jw_init(&w, b, true);
	jw_obj(&w);
	line_put_text(&w, "backend", d->backend, 32);
	jw_kuint(&w, "cpu_us", d->cpu_us);
	jw_kbool(&w, "degraded", d->degraded != 0);
	line_put_text(&w, "error", error, ERROR_MAX_SHOWN);
	jw_kint(&w, "exit_code", d->exit_code);
	jw_kuint(&w, "peak_memory_bytes", d->peak_mem);
	line_put_text(&w, "run_id", d->run_id, 64);
	jw_kint(&w, "signal", d->signal);
	jw_kstr(&w, "skill", skill);
	jw_kstr(&w, "state", end_state_name(d->state));
	put_stream(&w, "stderr", d->err, d->err_len, d->stderr_total, keyed);
	put_stream(&w, "stdout", d->out, d->out_len, d->stdout_total, keyed);
	jw_kbool(&w, "success", success);
	jw_kuint(&w, "wall_us", d->wall_us);
	jw_obj_end(&w);
}

const char *
gtext_exec_error(const struct exec_done *d, char *scratch, size_t size)
{
	if (d->error != NULL && d->error[0] != '\0')
		return (d->error);
	switch (d->state) {
	case END_OK:
		return (NULL);
	case END_NONZERO:
		(void)snprintf(scratch, size, "sandbox worker exit %d",
		    (int)d->exit_code);
		break;
	case END_SIGNAL:
		(void)snprintf(scratch, size, "sandbox worker exit %d",
		    -(int)d->signal);
		break;
	case END_TIMEOUT_WALL:
		(void)snprintf(scratch, size, "timeout after %.0fs",
		    (double)d->wall_us / 1e6);
		break;
	default:
		return (end_state_name(d->state));
	}
	return (scratch);
}

/* Text as text; anything else in base64 under another name. */
static void
put_output(struct jw *w, const char *key, const char *p, size_t n)
{
	char name[32];
	unsigned char *b64;
	int len;

	if (utf8_valid(p, n)) {
		jw_key(w, key);
		jw_strn(w, p, n);
		return;
	}
	jw_kstr(w, key, "");
	(void)snprintf(name, sizeof(name), "%s_b64", key);
	if ((b64 = malloc((n + 2) / 3 * 4 + 1)) == NULL) {
		w->b->err = 1;
		return;
	}
	len = EVP_EncodeBlock(b64, (const unsigned char *)p, (int)n);
	jw_key(w, name);
	jw_strn(w, (const char *)b64, (size_t)len);
	free(b64);
}

void
gtext_exec_output(struct buf *b, const struct exec_done *d, bool success,
    const char *error)
{
	struct jw w;

	jw_init(&w, b, false);
	jw_obj(&w);
	jw_kbool(&w, "success", success);
	jw_kstr(&w, "error", error);
	put_output(&w, "stdout", d->out, d->out_len);
	put_output(&w, "stderr", d->err, d->err_len);
	jw_kint(&w, "exit_code", d->exit_code);
	jw_kbool(&w, "truncated",
	    d->stdout_total > d->out_len || d->stderr_total > d->err_len);
	jw_kbool(&w, "worker_mode", true);
	jw_kstr(&w, "backend", d->backend);
	jw_kstr(&w, "run_id", d->run_id);
	jw_kstr(&w, "state", end_state_name(d->state));
	if (d->signal != 0)
		jw_kint(&w, "signal", d->signal);
	else
		jw_knull(&w, "signal");
	jw_key(&w, "wall_s");
	jw_seconds3(&w, d->wall_us);
	jw_key(&w, "cpu_s");
	jw_seconds3(&w, d->cpu_us);
	jw_kuint(&w, "peak_memory_bytes", d->peak_mem);
	jw_kuint(&w, "stdout_bytes", d->stdout_total);
	jw_kuint(&w, "stderr_bytes", d->stderr_total);
	jw_kbool(&w, "degraded", d->degraded != 0);
	jw_obj_end(&w);
}

void
gtext_file_context(struct buf *b, const char *skill, bool ok, const char *text,
    uint64_t wall_us, const struct secret_key *keyed)
{
	struct jw w;

	jw_init(&w, b, true);
	jw_obj(&w);
	line_put_text(&w, "error",
	    ok		      ? NULL :
		keyed != NULL ? SECRET_WITHHELD :
				text,
	    ERROR_MAX_SHOWN);
	if (ok)
		put_sized(&w, "output", text, strlen(text), keyed);
	jw_kstr(&w, "skill", skill);
	jw_kstr(&w, "state", ok ? "ok" : "failed");
	jw_kbool(&w, "success", ok);
	jw_kuint(&w, "wall_us", wall_us);
	jw_obj_end(&w);
}

void
gtext_end_context(struct buf *b, const char *skill, const char *state,
    const char *note)
{
	struct jw w;

	jw_init(&w, b, true);
	jw_obj(&w);
	line_put_text(&w, "note", note, ERROR_MAX_SHOWN);
	line_put_text(&w, "skill", skill, 64);
	jw_kstr(&w, "state", state);
	jw_kbool(&w, "success", false);
	jw_obj_end(&w);
}

void
gtext_disabled_output(struct buf *b, const char *backend, const char *error,
    const char *run_id)
{
	struct jw w;

	jw_init(&w, b, false);
	jw_obj(&w);
	jw_kbool(&w, "success", false);
	jw_kstr(&w, "error", error);
	jw_kstr(&w, "stdout", "");
	jw_kstr(&w, "stderr", "code_exec disabled by policy");
	jw_kint(&w, "exit_code", 1);
	jw_kbool(&w, "worker_mode", true);
	jw_kstr(&w, "backend", backend);
	jw_kstr(&w, "run_id", run_id);
	jw_kstr(&w, "state", end_state_name(END_REFUSED));
	jw_obj_end(&w);
}
