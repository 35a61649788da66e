/* SPDX-License-Identifier: ISC */
/*
 * The gate over a real journal and a disk that fails as told, with executors
 * and fronts played by the test. What must hold: nothing is handed to an
 * executor, and nothing answered, before its line is durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/gate.h"
#include "workers/audit/jfault.h"
#include "workers/audit/snapshot.h"

#define ADMIN "admin-token"
#define USER  "user-token"

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

#define SEEN_MAX 256

struct stage {
	char path[64];
	int dirfd;
	struct metrics_slot slot;
	struct journal *j;
	struct gate *g;
	struct snapshot snap;
	unsigned wakes, drained, flags, overdue;
	bool executors_down;
	/* what executors were given */
	uint64_t exec[SEEN_MAX], files[SEEN_MAX], killed[SEEN_MAX];
	unsigned nexec, nfiles, nkilled;
	/* the answers */
	struct answer {
		uint64_t id;
		enum gate_status status;
		bool success;
		uint64_t permit, seq;
		char *output, *error, *detail;
	} answers[SEEN_MAX];
	unsigned nanswers;
};

static const struct origin front = { PROC_HTTP, 0, 1 };

static void
must_be_durable(struct stage *s, uint64_t seq)
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
		must_be_durable(s, r->seq);
}

static int
on_exec(void *arg, const struct exec_request *e)
{
	struct stage *s = arg;

	must_be_durable(s, e->permit);
	assert_int_equal(e->epoch, 5);
	s->exec[s->nexec++] = e->permit;
	return (0);
}

static int
on_file_op(void *arg, uint64_t permit, enum file_op op, const char *path,
    const char *content, size_t len)
{
	struct stage *s = arg;

	must_be_durable(s, permit);
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

static void
faults(const char *spec)
{
	char err[100];

	if (jfault_set(spec, err, sizeof(err)) == -1)
		fail_msg("%s", err);
}

/* A gate with its journal open, still closed itself. */
static void
begin(struct stage *s)
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
static void
loop(struct stage *s)
{
	while (s->wakes > 0) {
		s->wakes = 0;
		gate_commit(s->g);
	}
}

static void
open_gate(struct stage *s)
{
	gate_swept(s->g);
	loop(s);
	assert_true(gate_is_open(s->g));
}

static void
end(struct stage *s)
{
	gate_free(s->g);
	journal_close(s->j);
	jfault_forget();
	faults("");
	s->wakes = 0;
}

static int
set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	faults("");
	snprintf(s->path, sizeof(s->path), "/tmp/ax-gate-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	s->dirfd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	begin(s);
	*state = s;
	return (0);
}

static int
tear_down(void **state)
{
	struct stage *s = *state;
	char cmd[100];
	unsigned i;

	end(s);
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

static void
ask_as(struct stage *s, uint64_t id, const char *token, const char *skill,
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

	gate_request(s->g, &front, id, &r);
}

static void
ask_code(struct stage *s, uint64_t id)
{
	ask_as(s, id, ADMIN, "code_exec", "{\"code\": \"print(1)\"}", NULL);
}

static void
ask_file(struct stage *s, uint64_t id, const char *key)
{
	ask_as(s, id, ADMIN, "file_ops",
	    "{\"operation\": \"exists\", \"path\": \"/x\"}", key);
}

static struct exec_done
done(uint64_t permit)
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

static struct answer *
answer(struct stage *s, unsigned i, uint64_t id, enum gate_status status)
{
	if (s->nanswers <= i)
		fail_msg("answer %u is missing", i);
	if (s->answers[i].id != id || s->answers[i].status != status)
		fail_msg("answer %u: id %llu status %d", i,
		    (unsigned long long)s->answers[i].id,
		    (int)s->answers[i].status);
	return (&s->answers[i]);
}

static bool
journal_has(struct stage *s, const char *text)
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

/* ---- the normal life ---- */

static void
closed_until_swept(void **state)
{
	struct stage *s = *state;

	ask_code(s, 1);
	answer(s, 0, 1, GS_UNAVAILABLE);
	open_gate(s);
	assert_true(journal_has(s, "\"action\": \"service_start\""));
	ask_code(s, 2);
	assert_int_equal(s->nanswers, 1);
}

static void
a_run(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	struct answer *a;

	open_gate(s);
	ask_code(s, 1);
	assert_int_equal(s->nexec, 0); /* not before the commit */
	loop(s);
	assert_int_equal(s->nexec, 1);
	d = done(s->exec[0]);
	assert_int_equal(gate_exec_done(s->g, &d), 0);
	assert_int_equal(s->nanswers, 0); /* not before its line */
	loop(s);
	a = answer(s, 0, 1, GS_DONE);
	assert_true(a->success);
	assert_int_equal(a->permit, s->exec[0]);
	assert_non_null(strstr(a->output, "\"stdout\":\"1\\n\""));
	assert_true(journal_has(s, "\"action\": \"sandbox_execute_done\""));
	assert_false(journal_has(s, "1\\n"));
	assert_int_equal(gate_npermits(s->g), 0);
	/* a second end of the same permit is dropped */
	assert_int_equal(gate_exec_done(s->g, &d), -1);
}

static void
failures_and_bytes(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	struct answer *a;

	open_gate(s);
	ask_code(s, 1);
	loop(s);
	d = done(s->exec[0]);
	d.state = END_NONZERO;
	d.exit_code = 3;
	d.out = "\xff\xfe";
	gate_exec_done(s->g, &d);
	loop(s);
	a = answer(s, 0, 1, GS_DONE);
	assert_false(a->success);
	assert_string_equal(a->error, "sandbox worker exit 3");
	assert_non_null(strstr(a->output, "\"stdout_b64\":\"//4=\""));
}

static void
secrets_stay_out(void **state)
{
	struct stage *s = *state;

	open_gate(s);
	ask_as(s, 1, ADMIN, "code_exec",
	    "{\"code\": \"x\", \"pw\": \"hunter2\"}", NULL);
	loop(s);
	assert_true(journal_has(s, "\"pw\": \"[secret]\""));
	assert_false(journal_has(s, "hunter2"));
	assert_false(journal_has(s, ADMIN));
}

static void
large_and_deep_inputs_by_digest(void **state)
{
	struct stage *s = *state;
	struct buf big = BUF_INITIALIZER;
	size_t i;

	open_gate(s);
	buf_adds(&big, "{\"code\": \"");
	memset(buf_reserve(&big, 200000), 'x', 200000);
	big.len += 200000;
	buf_adds(&big, "\"}");
	ask_as(s, 1, ADMIN, "code_exec", buf_str(&big), NULL);
	buf_reset(&big);
	buf_adds(&big, "{\"code\": \"x\", \"d\": ");
	for (i = 0; i < 100; i++)
		buf_addc(&big, '[');
	for (i = 0; i < 100; i++)
		buf_addc(&big, ']');
	buf_addc(&big, '}');
	ask_as(s, 2, ADMIN, "code_exec", buf_str(&big), NULL);
	loop(s);
	assert_int_equal(s->nexec, 2);
	assert_true(journal_has(s, "\"inputs\": {\"bytes\": 200012, "));
	buf_free(&big);
}

/* ---- refusals ---- */

static void
refusals(void **state)
{
	struct stage *s = *state;
	struct answer *a;

	open_gate(s);
	ask_as(s, 1, NULL, "code_exec", "{}", NULL);
	answer(s, 0, 1, GS_UNAUTHORIZED);
	ask_as(s, 2, "", "code_exec", "{}", NULL);
	answer(s, 1, 2, GS_UNAUTHORIZED);
	ask_as(s, 3, "guess", "code_exec", "{}", NULL);
	answer(s, 2, 3, GS_UNAUTHORIZED);
	ask_as(s, 4, ADMIN, "nothing", "{}", NULL);
	answer(s, 3, 4, GS_SKILL_NOT_FOUND);
	ask_as(s, 5, ADMIN, "code_exec", "{\"code\": ", NULL);
	answer(s, 4, 5, GS_INPUT_INVALID);
	ask_as(s, 6, ADMIN, "code_exec", "[]", NULL);
	answer(s, 5, 6, GS_INPUT_INVALID);
	ask_as(s, 7, ADMIN, "code_exec", "{\"code\": 1}", NULL);
	a = answer(s, 6, 7, GS_INPUT_INVALID);
	assert_non_null(strstr(a->detail, "\"loc\""));
	ask_as(s, 8, ADMIN, "code_exec", "{\"code\": \"a\", \"code\": \"b\"}",
	    NULL);
	answer(s, 7, 8, GS_INPUT_INVALID);
	/* recorded before it is answered */
	ask_as(s, 9, USER, "code_exec", "{\"code\": \"x\"}", NULL);
	assert_int_equal(s->nanswers, 8);
	loop(s);
	a = answer(s, 8, 9, GS_ACL_DENIED);
	must_be_durable(s, a->seq);
	assert_true(journal_has(s, "\"action\": \"skill_access_denied\""));
	assert_int_equal(s->nexec + s->nfiles, 0);
}

static void
blocked(void **state)
{
	struct stage *s = *state;
	struct answer *a;

	open_gate(s);
	ask_as(s, 1, ADMIN, "file_ops",
	    "{\"operation\": \"write\", \"path\": \"/evil/x\"}", NULL);
	assert_int_equal(s->nanswers, 0);
	loop(s);
	a = answer(s, 0, 1, GS_BLOCKED);
	must_be_durable(s, a->seq);
	assert_non_null(strstr(a->detail, "deny-evil"));
	assert_int_equal(a->permit, 0);
	assert_int_equal(s->nfiles, 0);
	assert_int_equal(gate_npermits(s->g), 0);
}

static void
executor_away(void **state)
{
	struct stage *s = *state;

	open_gate(s);
	s->executors_down = true;
	ask_code(s, 1);
	answer(s, 0, 1, GS_UNAVAILABLE);
	assert_int_equal(s->wakes, 0);
}

static void
too_many(void **state)
{
	struct stage *s = *state;
	unsigned i;

	open_gate(s);
	for (i = 0; i < 68; i++) /* concurrency 4 and queue 64 */
		ask_code(s, i);
	assert_int_equal(s->nanswers, 0);
	ask_code(s, 100);
	answer(s, 0, 100, GS_BUSY);
	loop(s);
	assert_int_equal(s->nexec, 68);
}

static void
cancelled(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	const struct origin other = { PROC_HTTP, 1, 1 };

	open_gate(s);
	ask_code(s, 1);
	gate_cancel(s->g, &front, 1);
	loop(s);
	assert_int_equal(s->nexec, 0);
	assert_true(journal_has(s, "\"state\": \"not_started\""));
	ask_code(s, 2);
	loop(s);
	gate_cancel(s->g, &other, 2);
	assert_int_equal(s->nkilled, 0);
	gate_cancel(s->g, &front, 2);
	assert_int_equal(s->nkilled, 1);
	d = done(s->exec[0]);
	d.state = END_KILLED;
	gate_exec_done(s->g, &d);
	loop(s);
	assert_int_equal(s->nanswers, 0);
	assert_int_equal(gate_npermits(s->g), 0);
}

/* ---- flags ---- */

static void
switch_skill(struct stage *s, uint64_t id, const char *token,
    enum gate_action what)
{
	struct gate_request r = { .action = what,
		.source = SRC_API,
		.token = token,
		.address = "::1",
		.request_id = "r",
		.skill = "code_exec",
		.inputs = "{}" };

	gate_request(s->g, &front, id, &r);
	loop(s);
}

static void
flags_survive(void **state)
{
	struct stage *s = *state;
	struct snapshot snap;

	open_gate(s);
	switch_skill(s, 1, USER, GATE_SKILL_DISABLE);
	answer(s, 0, 1, GS_FORBIDDEN);
	switch_skill(s, 2, ADMIN, GATE_SKILL_DISABLE);
	answer(s, 1, 2, GS_CHANGED);
	assert_int_equal(s->flags, 1);
	ask_code(s, 3);
	answer(s, 2, 3, GS_SKILL_DISABLED);
	end(s);
	begin(s); /* from the journal alone */
	open_gate(s);
	ask_code(s, 4);
	answer(s, 3, 4, GS_SKILL_DISABLED);
	snap.seq = journal_seq(s->j);
	snap.replay_from = snap.seq + 1;
	assert_int_equal(snapshot_save(&jio_fault, s->dirfd, &snap,
			     gate_flags(s->g), gate_idems(s->g)),
	    0);
	end(s);
	begin(s); /* from the snapshot */
	assert_int_equal(s->snap.seq, snap.seq);
	open_gate(s);
	ask_code(s, 5);
	answer(s, 4, 5, GS_SKILL_DISABLED);
	gate_ctl(s->g, &(struct origin){ PROC_PARENT, 0, 1 }, 6, "os:0",
	    "skill.enable", "{\"name\": \"code_exec\"}");
	loop(s);
	answer(s, 5, 6, GS_CHANGED);
	assert_true(journal_has(s, "\"actor\": \"os:0\""));
	ask_code(s, 7);
	assert_int_equal(s->nanswers, 6);
}

static void
ask_archive(struct stage *s, uint64_t id, const char *token)
{
	const struct gate_request r = { .action = GATE_ARCHIVE,
		.source = SRC_API,
		.token = token,
		.address = "::1",
		.request_id = "req-archive",
		.skill = "",
		.inputs = "{}" };

	gate_request(s->g, &front, id, &r);
}

static void
archived_on_request(void **state)
{
	struct stage *s = *state;
	size_t n;

	open_gate(s);
	n = journal_nsegments(s->j);
	ask_archive(s, 1, USER);
	answer(s, 0, 1, GS_FORBIDDEN);
	/* two in one batch close one file, and both are told so */
	ask_archive(s, 2, ADMIN);
	ask_archive(s, 3, ADMIN);
	assert_int_equal(s->nanswers, 1);
	loop(s);
	answer(s, 1, 2, GS_CHANGED);
	answer(s, 2, 3, GS_CHANGED);
	assert_int_equal(journal_nsegments(s->j), n + 1);
	assert_string_equal(s->answers[1].output, s->answers[2].output);
	assert_non_null(strstr(s->answers[1].output, "\"rotated\":true"));
	assert_non_null(
	    strstr(s->answers[1].output, journal_segment(s->j, n - 1)->name));
	assert_true(journal_has(s, "\"action\": \"journal_rotated\""));
	gate_ctl(s->g, &(struct origin){ PROC_PARENT, 0, 1 }, 4, "os:0",
	    "audit.archive", "{}");
	loop(s);
	answer(s, 3, 4, GS_CHANGED);
	assert_int_equal(journal_nsegments(s->j), n + 2);
	assert_string_not_equal(s->answers[1].output, s->answers[3].output);
	end(s);
	begin(s);
	open_gate(s);
	assert_int_equal(journal_nsegments(s->j), n + 2);
}

static void
what_could_not_be_archived_is_not_said_to_be(void **state)
{
	struct stage *s = *state;
	size_t n;

	open_gate(s);
	n = journal_nsegments(s->j);
	faults("op=write,err=EIO");
	ask_archive(s, 1, ADMIN);
	loop(s);
	answer(s, 0, 1, GS_UNAVAILABLE);
	gate_tick(s->g);
	loop(s);
	assert_int_equal(journal_nsegments(s->j), n);
	faults("op=rename,err=EIO");
	ask_archive(s, 2, ADMIN);
	loop(s);
	answer(s, 1, 2, GS_INTERNAL);
	assert_int_equal(journal_nsegments(s->j), n);
	/* put aside, and then a folder that cannot be synced: it waits */
	faults("op=fsync,err=EIO");
	ask_archive(s, 3, ADMIN);
	loop(s);
	assert_int_equal(s->nanswers, 2);
	faults("");
	gate_tick(s->g);
	loop(s);
	answer(s, 2, 3, GS_CHANGED);
	assert_int_equal(journal_nsegments(s->j), n + 1);
}

static void
a_flag_that_is_not_recorded_does_not_change(void **state)
{
	struct stage *s = *state;

	open_gate(s);
	faults("op=write,err=EIO");
	switch_skill(s, 1, ADMIN, GATE_SKILL_DISABLE);
	answer(s, 0, 1, GS_UNAVAILABLE);
	assert_int_equal(s->flags, 0);
	gate_tick(s->g);
	loop(s);
	ask_code(s, 2);
	assert_int_equal(s->nanswers, 1);
}

static void
snapshot_errors(void **state)
{
	static const char *const faulty[] = { "op=open,err=EIO",
		"op=fsync,err=EIO", "op=rename,err=EIO",
		"op=fsync,nth=2,err=EIO" };
	struct stage *s = *state;
	struct snapshot a = { 3, 2 }, b;
	struct flags f = { 0 };
	struct idems t;
	char err[200];
	size_t i;
	int fd;

	assert_int_equal(idems_init(&t), 0);
	assert_int_equal(flags_set(&f, "x", true), 0);
	assert_int_equal(snapshot_save(&jio_fault, s->dirfd, &a, &f, &t), 0);
	a.seq = 9;
	for (i = 0; i < AX_NELEM(faulty); i++) {
		faults(faulty[i]);
		assert_int_equal(snapshot_save(&jio_fault, s->dirfd, &a, &f,
				     &t),
		    -1);
		faults("");
		/* the old one or the new one, never half of one */
		assert_int_equal(snapshot_load(&jio_fault, s->dirfd, &b, &f, &t,
				     err, sizeof(err)),
		    0);
		assert_true(b.seq == (i < 3 ? 3 : 9));
	}
	fd = openat(s->dirfd, SNAPSHOT_NAME, O_WRONLY | O_TRUNC);
	assert_int_equal(ax_write_all(fd, "{\"seq\": 1", 9), 0);
	close(fd);
	assert_int_equal(snapshot_load(&jio_fault, s->dirfd, &b, &f, &t, err,
			     sizeof(err)),
	    -1);
	assert_int_equal(b.seq, 0);
	assert_int_equal(unlinkat(s->dirfd, SNAPSHOT_NAME, 0), 0);
	flags_clear(&f);
	idems_clear(&t);
}

/* ---- idempotency ---- */

static void
keys_run_once(void **state)
{
	struct stage *s = *state;
	struct answer *a;

	open_gate(s);
	ask_file(s, 1, "k");
	loop(s);
	assert_int_equal(s->nfiles, 1);
	ask_file(s, 2, "k"); /* while it runs */
	answer(s, 0, 2, GS_BUSY);
	assert_int_equal(gate_file_done(s->g, s->files[0], true,
			     "{\"exists\":true}"),
	    0);
	loop(s);
	answer(s, 1, 1, GS_DONE);
	ask_file(s, 3, "k");
	a = answer(s, 2, 3, GS_DONE);
	assert_string_equal(a->output, "{\"exists\":true}");
	assert_int_equal(a->permit, s->files[0]);
	ask_as(s, 4, ADMIN, "file_ops",
	    "{\"operation\": \"exists\", \"path\": \"/y\"}", "k");
	answer(s, 3, 4, GS_INPUT_INVALID);
	end(s);
	begin(s);
	open_gate(s);
	ask_file(s, 5, "k");
	a = answer(s, 4, 5, GS_DONE);
	assert_true(a->success);
	assert_int_equal(s->nfiles, 1);
}

static void
a_refused_key_may_be_used_again(void **state)
{
	struct stage *s = *state;

	open_gate(s);
	faults("op=write,err=ENOSPC");
	ask_file(s, 1, "k");
	loop(s);
	answer(s, 0, 1, GS_UNAVAILABLE);
	gate_tick(s->g);
	loop(s);
	ask_file(s, 2, "k");
	loop(s);
	assert_int_equal(s->nfiles, 1);
}

static void
a_key_whose_run_never_started_may_run(void **state)
{
	struct stage *s = *state;

	open_gate(s);
	ask_file(s, 1, "k");
	gate_cancel(s->g, &front, 1);
	loop(s);
	assert_int_equal(s->nfiles, 0);
	assert_true(journal_has(s, "not_started"));
	end(s);
	begin(s);
	open_gate(s);
	ask_file(s, 2, "k");
	loop(s);
	assert_int_equal(s->nfiles, 1);
}

/* ---- events ---- */

static void
events_while_closed_are_counted(void **state)
{
	struct stage *s = *state;
	const struct origin os = { PROC_PARENT, 0, 1 };

	gate_audit_event(s->g, AE_AUTH_FAILED, "::1", "r", "d", 3);
	gate_audit_event(s->g, AE_AUTH_FAILED, "::1", "r", "d", 4);
	gate_ctl(s->g, &os, 1, "os:parent", "reload", "{\"a\": 1}");
	answer(s, 0, 1, GS_UNAVAILABLE);
	open_gate(s);
	gate_tick(s->g);
	loop(s);
	assert_true(journal_has(s, "\"action\": \"auth_failed\""));
	assert_true(journal_has(s, "\"count\": 7, "));
	assert_true(journal_has(s, "recorded late"));
	gate_audit_event(s->g, AE_FORBIDDEN, "::1", "r", "d", 1);
	gate_ctl(s->g, &os, 2, "os:parent", "reload", "{\"b\": [1, 2]}");
	gate_ctl(s->g, &os, 3, "os:0", "format.disk", "{}");
	answer(s, 1, 3, GS_INPUT_INVALID);
	loop(s);
	answer(s, 2, 2, GS_CHANGED);
	assert_true(journal_has(s, "\"changes\": {\"b\": [1, 2]}"));
	assert_true(journal_has(s, "\"action\": \"forbidden\""));
}

/* ---- a life cut short ---- */

static void
interrupted(void **state)
{
	struct stage *s = *state;

	open_gate(s);
	ask_file(s, 1, "k");
	ask_code(s, 2);
	loop(s);
	assert_int_equal(gate_npermits(s->g), 2);
	end(s);
	begin(s);
	assert_int_equal(gate_npermits(s->g), 2);
	assert_false(gate_is_open(s->g));
	/* an end that comes from the old life changes nothing */
	assert_int_equal(gate_file_done(s->g, s->files[0], true, "{}"), -1);
	open_gate(s);
	assert_int_equal(gate_npermits(s->g), 0);
	assert_true(journal_has(s, "\"state\": \"interrupted\""));
	assert_true(journal_has(s, "may have run, fully or in part"));
	ask_file(s, 3, "k");
	answer(s, 0, 3, GS_INTERRUPTED);
	assert_int_equal(s->nfiles, 1);
	end(s);
	begin(s);
	open_gate(s);
	ask_file(s, 4, "k");
	answer(s, 1, 4, GS_INTERRUPTED);
}

static void
interrupted_lines_wait_for_the_disk(void **state)
{
	struct stage *s = *state;
	unsigned i;

	open_gate(s);
	ask_code(s, 1);
	loop(s);
	end(s);
	begin(s);
	faults("op=write,count=4,err=ENOSPC");
	gate_swept(s->g);
	loop(s);
	assert_false(gate_is_open(s->g));
	for (i = 0; i < 20 && !gate_is_open(s->g); i++) {
		gate_tick(s->g);
		loop(s);
	}
	assert_true(gate_is_open(s->g));
	assert_int_equal(gate_npermits(s->g), 0);
}

/* ---- the disk fails ---- */

static void
a_decision_that_fails_starts_nothing(void **state)
{
	static const char *const how[] = { "op=write,err=EIO",
		"op=write,err=ENOSPC", "op=fdatasync,err=EIO",
		"op=fdatasync,err=EINTR",
		("op=write,short=50;op=write,nth=2,err=EDQUOT") };
	struct stage *s = *state;
	unsigned i;

	open_gate(s);
	for (i = 0; i < AX_NELEM(how); i++) {
		faults(how[i]);
		ask_code(s, i);
		loop(s);
		answer(s, 2 * i, i, GS_UNAVAILABLE);
		assert_int_equal(s->nexec, 0);
		assert_int_equal(gate_npermits(s->g), 0);
		assert_false(gate_is_open(s->g));
		ask_code(s, i);
		answer(s, 2 * i + 1, i, GS_UNAVAILABLE);
		gate_tick(s->g);
		loop(s);
		assert_true(gate_is_open(s->g));
	}
	assert_true(journal_has(s, "\"action\": \"audit_unavailable\""));
}

static void
an_outcome_that_fails_is_kept(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	struct answer *a;

	open_gate(s);
	ask_code(s, 1);
	loop(s);
	d = done(s->exec[0]);
	faults("op=fdatasync,err=EIO");
	gate_exec_done(s->g, &d);
	loop(s);
	a = answer(s, 0, 1, GS_NOT_RECORDED);
	assert_int_equal(a->permit, s->exec[0]);
	assert_int_equal(gate_npermits(s->g), 1);
	gate_tick(s->g);
	loop(s);
	assert_int_equal(gate_npermits(s->g), 0);
	assert_int_equal(s->nanswers, 1);
	assert_true(journal_has(s, "\"action\": \"sandbox_execute_done\""));
}

static void
no_space(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	unsigned i;

	open_gate(s);
	ask_code(s, 1);
	loop(s);
	faults("op=fallocate,count=0,err=ENOSPC");
	for (i = 0; i < 60 && gate_is_open(s->g); i++) {
		ask_code(s, 10 + i);
		loop(s);
	}
	assert_false(gate_is_open(s->g));
	answer(s, 0, 10 + i - 1, GS_UNAVAILABLE);
	/* what runs is still recorded, out of the reserve */
	d = done(s->exec[0]);
	gate_exec_done(s->g, &d);
	loop(s);
	answer(s, 1, 1, GS_DONE);
	gate_tick(s->g);
	assert_false(gate_is_open(s->g));
	faults("");
	gate_tick(s->g);
	loop(s);
	assert_true(gate_is_open(s->g));
	assert_true(journal_has(s, "no space can be reserved"));
}

/* ---- the end ---- */

static void
drains(void **state)
{
	struct stage *s = *state;
	struct exec_done d;

	open_gate(s);
	ask_code(s, 1);
	loop(s);
	gate_drain(s->g);
	ask_code(s, 2);
	answer(s, 0, 2, GS_UNAVAILABLE);
	loop(s);
	assert_int_equal(s->drained, 0);
	d = done(s->exec[0]);
	gate_exec_done(s->g, &d);
	loop(s);
	answer(s, 1, 1, GS_DONE);
	assert_int_equal(s->drained, 1);
	assert_true(journal_has(s, "\"action\": \"service_stop\""));
	gate_tick(s->g);
	assert_int_equal(s->drained, 1);
}

static void
drains_before_it_opened(void **state)
{
	struct stage *s = *state;

	gate_drain(s->g);
	assert_int_equal(s->drained, 1);
	gate_swept(s->g);
	assert_false(gate_is_open(s->g));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(closed_until_swept),
		T(a_run),
		T(failures_and_bytes),
		T(secrets_stay_out),
		T(large_and_deep_inputs_by_digest),
		T(refusals),
		T(blocked),
		T(executor_away),
		T(too_many),
		T(cancelled),
		T(archived_on_request),
		T(what_could_not_be_archived_is_not_said_to_be),
		T(flags_survive),
		T(a_flag_that_is_not_recorded_does_not_change),
		T(snapshot_errors),
		T(keys_run_once),
		T(a_refused_key_may_be_used_again),
		T(a_key_whose_run_never_started_may_run),
		T(events_while_closed_are_counted),
		T(interrupted),
		T(interrupted_lines_wait_for_the_disk),
		T(a_decision_that_fails_starts_nothing),
		T(an_outcome_that_fails_is_kept),
		T(no_space),
		T(drains),
		T(drains_before_it_opened),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
