/* SPDX-License-Identifier: ISC */
/*
 * The stage of the gate's tests, see gate_stage.h. Checks by itself that no
 * executor is given, and no answer names, a line that is not durable.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "test/unit/gate_stage.h"
#include "workers/audit/jfault.h"

static const char code_manifest[] =
    "{\"name\": \"code_exec\", \"permissions\": [\"exec\"],"
    " \"acl\": {\"allow_roles\": [\"admin\"]},"
    " \"inputs\": {\"type\": \"object\", \"required\": [\"code\"],"
    "  \"properties\": {\"code\": {\"type\": \"string\"},"
    "   \"pw\": {\"type\": \"string\", \"secret\": true}}},"
    " \"runtime\": {\"kind\": \"code\"}}";
static const char file_manifest[] =
    "{\"name\": \"file_ops\", \"permissions\": [\"filesystem\"],"
    " \"inputs\": {\"type\": \"object\", \"required\": [\"operation\","
    "  \"path\"], \"properties\": {\"operation\": {\"type\": \"string\"},"
    "  \"path\": {\"type\": \"string\"}}},"
    " \"runtime\": {\"kind\": \"files\"}}";
static const char rules[] =
    "{\"version\": 1, \"rules\": [{\"id\": \"deny-evil\","
    " \"description\": \"evil\", \"points\": 100,"
    " \"match\": {\"operation\": \"write\"}}]}";

const struct origin stage_front = { PROC_HTTP, 0, 1 };

void
stage_durable(struct stage *s, uint64_t seq)
{
	assert_true(seq != 0 && seq <= journal_seq(s->j));
}

static char *
copy(const char *t)
{
	return (t != NULL ? strdup(t) : NULL);
}

static void
on_result(void *arg, const struct origin *o, uint64_t id,
    const struct gate_result *r)
{
	struct stage *s = arg;
	struct answer *a = &s->answers[s->nanswers++];

	a->id = id;
	a->status = r->status;
	a->success = r->success;
	a->permit = r->permit;
	a->seq = r->seq;
	a->output = copy(r->output);
	a->error = copy(r->error);
	a->detail = copy(r->detail);
	if (r->seq != 0)
		stage_durable(s, r->seq);
}

static int
on_exec(void *arg, const struct exec_request *e)
{
	struct stage *s = arg;

	stage_durable(s, e->permit);
	assert_int_equal(e->epoch, 5);
	s->exec[s->nexec++] = e->permit;
	return (0);
}

static int
on_file_op(void *arg, uint64_t permit, enum file_op op, const char *path,
    const char *content, size_t len)
{
	struct stage *s = arg;

	stage_durable(s, permit);
	s->files[s->nfiles++] = permit;
	return (0);
}

static bool
on_up(void *arg, enum skill_runtime rt)
{
	return (!((struct stage *)arg)->executors_down);
}

static void
on_kill(void *arg, uint64_t permit, enum end_state how)
{
	struct stage *s = arg;

	assert_int_equal(how, END_KILLED);
	s->killed[s->nkilled++] = permit;
}

static void
on_overdue(void *arg, enum skill_runtime rt, uint64_t permit)
{
	((struct stage *)arg)->overdue++;
}

static void
on_wake(void *arg)
{
	((struct stage *)arg)->wakes++;
}

static void
on_nothing(void *arg)
{
}

static void
on_flags(void *arg)
{
	((struct stage *)arg)->flags++;
}

static void
on_drained(void *arg)
{
	((struct stage *)arg)->drained++;
}

static void
on_damaged(void *arg, const char *why)
{
	fail_msg("damaged: %s", why);
}

static const struct gate_ops gate_ops = { on_result, on_exec, on_file_op, on_up,
	on_kill, on_overdue, on_wake, on_nothing, on_flags, on_drained,
	on_damaged };

static void
add_key(struct gate_conf *c, const char *name, const char *role,
    const char *token)
{
	uint8_t sum[32];
	char hex[65], value[100], err[100];

	ax_sha256(token, strlen(token), sum);
	ax_hex(sum, 32, hex);
	snprintf(value, sizeof(value), "%s %s", role, hex);
	assert_int_equal(keys_add(c->keys, name, value, err, sizeof(err)), 0);
}

static struct gate_conf *
conf(void)
{
	struct gate_conf *c = gate_conf_new();
	struct settings *s = settings_new();
	char err[300];

	if (registry_add(c->skills, "code_exec", code_manifest, err,
		sizeof(err)) == -1 ||
	    registry_add(c->skills, "file_ops", file_manifest, err,
		sizeof(err)) == -1 ||
	    governor_add(c->governor, "t.json", rules, strlen(rules), err,
		sizeof(err)) == -1)
		fail_msg("%s", err);
	add_key(c, "ops", "admin", ADMIN);
	add_key(c, "user", "api_key", USER);
	assert_int_equal(settings_set(s, SET_ENABLE_CODE_EXEC, "yes", "", err,
			     sizeof(err)),
	    0);
	gate_conf_settings(c, s);
	settings_free(s);
	return (c);
}

void
stage_faults(const char *spec)
{
	char err[100];

	if (jfault_set(spec, err, sizeof(err)) == -1)
		fail_msg("%s", err);
}

/* A gate with its journal open, still closed itself. */
void
stage_begin(struct stage *s)
{
	struct journal_conf jc = { .io = &jio_fault,
		.dirfd = s->dirfd,
		.node = "n",
		.reserve = 65536,
		.max_bytes = 1 << 30 };
	char err[300] = "";

	s->g = gate_new(&gate_ops, s, &s->slot, conf(), 5);
	if (snapshot_load(&jio_fault, s->dirfd, &s->snap, gate_flags_mut(s->g),
		gate_idems(s->g), err, sizeof(err)) == -1)
		fail_msg("%s", err);
	jc.replay_from = s->snap.replay_from;
	s->j = journal_open(&jc, gate_replay, s->g, err, sizeof(err));
	if (s->j == NULL)
		fail_msg("%s", err);
	gate_attach(s->g, s->j);
}

/* As the loop does: commit as long as somebody asks for it. */
void
stage_loop(struct stage *s)
{
	while (s->wakes > 0) {
		s->wakes = 0;
		gate_commit(s->g);
	}
}

void
stage_open(struct stage *s)
{
	gate_swept(s->g);
	stage_loop(s);
	assert_true(gate_is_open(s->g));
}

void
stage_end(struct stage *s)
{
	gate_free(s->g);
	journal_close(s->j);
	jfault_forget();
	stage_faults("");
	s->wakes = 0;
}

int
stage_set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	stage_faults("");
	snprintf(s->path, sizeof(s->path), "/tmp/ax-gate-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	s->dirfd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	stage_begin(s);
	*state = s;
	return (0);
}

int
stage_tear_down(void **state)
{
	struct stage *s = *state;
	char cmd[100];
	unsigned i;

	stage_end(s);
	close(s->dirfd);
	for (i = 0; i < s->nanswers; i++) {
		free(s->answers[i].output);
		free(s->answers[i].error);
		free(s->answers[i].detail);
	}
	snprintf(cmd, sizeof(cmd), "rm -rf %s", s->path);
	assert_int_equal(system(cmd), 0);
	free(s);
	return (0);
}

void
stage_ask(struct stage *s, uint64_t id, const char *token, const char *skill,
    const char *inputs, const char *key)
{
	struct gate_request r = { .action = GATE_INVOKE,
		.source = SRC_API,
		.token = token,
		.address = "127.0.0.1",
		.request_id = "rid",
		.skill = skill,
		.inputs = inputs,
		.idem_key = key };

	gate_request(s->g, &stage_front, id, &r);
}

void
stage_ask_code(struct stage *s, uint64_t id)
{
	stage_ask(s, id, ADMIN, "code_exec", "{\"code\": \"print(1)\"}", NULL);
}

void
stage_ask_file(struct stage *s, uint64_t id, const char *key)
{
	stage_ask(s, id, ADMIN, "file_ops",
	    "{\"operation\": \"exists\", \"path\": \"/x\"}", key);
}

struct exec_done
stage_exec_done(uint64_t permit)
{
	struct exec_done d = { .permit = permit,
		.out = "1\n",
		.out_len = 2,
		.err = "",
		.stdout_total = 2,
		.backend = "process",
		.run_id = "0123",
		.wall_us = 1000 };

	return (d);
}

struct answer *
stage_answer(struct stage *s, unsigned i, uint64_t id, enum gate_status status)
{
	if (s->nanswers <= i)
		fail_msg("answer %u is missing", i);
	if (s->answers[i].id != id || s->answers[i].status != status)
		fail_msg("answer %u: id %llu status %d", i,
		    (unsigned long long)s->answers[i].id,
		    (int)s->answers[i].status);
	return (&s->answers[i]);
}

bool
stage_journal_has(struct stage *s, const char *text)
{
	char *t;
	size_t n;
	bool has;

	t = ax_read_file(s->dirfd, JOURNAL_NAME, 1 << 24, &n);
	assert_non_null(t);
	has = strstr(t, text) != NULL;
	free(t);
	return (has);
}

void
stage_front_event(struct stage *s, enum audit_event e, uint64_t n)
{
	const struct audit_event_facts f = { "::1", "r", "d", n, n };

	gate_audit_event(s->g, e, &f);
}
