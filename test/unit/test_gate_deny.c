/* SPDX-License-Identifier: ISC */
/*
 * The gate: what it refuses before the governor is asked, what fronts refuse,
 * and that no secret input gets into a line or an answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "common/secret.h"
#include "test/unit/gate_stage.h"

static void
secrets_stay_out(void **state)
{
	struct stage *s = *state;

	stage_open(s);
	stage_ask(s, 1, ADMIN, "code_exec",
	    "{\"code\": \"x\", \"pw\": \"hunter2\"}", NULL);
	stage_loop(s);
	assert_true(stage_journal_has(s, "\"pw\": \"[secret]\""));
	assert_false(stage_journal_has(s, "hunter2"));
	assert_false(stage_journal_has(s, ADMIN));
}

/* ---- events ---- */

static void
events_while_closed_are_counted(void **state)
{
	struct stage *s = *state;
	const struct origin os = { PROC_PARENT, 0, 1 };

	stage_front_event(s, AE_AUTH_FAILED, 3);
	stage_front_event(s, AE_AUTH_FAILED, 4);
	gate_ctl(s->g, &os, 1, "os:parent", "reload", "{\"a\": 1}");
	stage_answer(s, 0, 1, GS_UNAVAILABLE);
	stage_open(s);
	gate_tick(s->g);
	stage_loop(s);
	assert_true(stage_journal_has(s, "\"action\": \"auth_failed\""));
	assert_true(stage_journal_has(s, "\"count\": 7, "));
	assert_true(stage_journal_has(s, "recorded late"));
	stage_front_event(s, AE_FORBIDDEN, 1);
	gate_ctl(s->g, &os, 2, "os:parent", "reload", "{\"b\": [1, 2]}");
	gate_ctl(s->g, &os, 3, "os:0", "format.disk", "{}");
	stage_answer(s, 1, 3, GS_INPUT_INVALID);
	stage_loop(s);
	stage_answer(s, 2, 2, GS_CHANGED);
	assert_true(stage_journal_has(s, "\"changes\": {\"b\": [1, 2]}"));
	assert_true(stage_journal_has(s, "\"action\": \"forbidden\""));
}

/* ---- secrets ---- */

static const struct secret_key test_key = { true,
	"0123456789abcdef0123456789abcde" };

static void
secrets_are_keyed(void **state)
{
	struct stage *s = *state;
	char want[SECRET_TEXT_MAX];
	struct exec_done d;
	json_t *v = json_string("hunter2");

	gate_secrets(s->g, &test_key);
	stage_open(s);
	stage_ask(s, 1, ADMIN, "code_exec",
	    "{\"code\": \"x\", \"pw\": \"hunter2\", \"Pw\": \"hunter2\"}",
	    NULL);
	stage_loop(s);
	secret_text(&test_key, v, want);
	json_decref(v);
	assert_true(stage_journal_has(s, want));
	/* what the run gives back may repeat it */
	d = stage_exec_done(s->exec[0]);
	d.state = END_SANDBOX_ERROR;
	d.out = d.err = "hunter2";
	d.out_len = d.err_len = d.stdout_total = d.stderr_total = 7;
	d.error = "cannot use hunter2";
	gate_exec_done(s->g, &d);
	stage_loop(s);
	stage_answer(s, 0, 1, GS_DONE);
	assert_non_null(strstr(s->answers[0].error, "hunter2"));
	assert_false(stage_journal_has(s, "hunter2"));
	/* no plain digest of it either */
	assert_false(stage_journal_has(s,
	    "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"));
	secret_output_text(&test_key, "hunter2", 7, want);
	assert_true(stage_journal_has(s, want));
}

static void
errors_do_not_repeat_secrets(void **state)
{
	static const char *const bad[] = {
		"{\"code\": \"x\", \"pw\": [\"hunter2\"]}",
		"{\"code\": \"x\", \"pw\": 4711}",
		"{\"code\": \"x\", \"pw\": {\"hunter2\": 4711}}",
		"{\"code\": \"x\", \"pw\": \"hunter2\" \"hunter2\"}",
		"{\"code\": \"x\", \"pw\": hunter2}",
		"[\"hunter2\"]",
		"{\"pw\": \"hunter2\"}",
	};
	struct stage *s = *state;
	struct answer *a;
	unsigned i;

	stage_open(s);
	for (i = 0; i < AX_NELEM(bad); i++) {
		stage_ask(s, i, ADMIN, "code_exec", bad[i], NULL);
		a = stage_answer(s, i, i, GS_INPUT_INVALID);
		assert_null(strstr(a->detail, "hunter2"));
		assert_null(strstr(a->detail, "4711"));
	}
	stage_loop(s);
	assert_false(stage_journal_has(s, "hunter2"));
}

/* The digest of a body with a secret tells nobody without the key. */
static void
keys_with_secrets(void **state)
{
	static const char one[] = "{\"code\": \"x\", \"pw\": \"1234\"}";
	struct stage *s = *state;
	struct exec_done d;
	char plain[65];

	gate_secrets(s->g, &test_key);
	stage_open(s);
	stage_ask(s, 1, ADMIN, "code_exec", one, "k");
	stage_loop(s);
	d = stage_exec_done(s->exec[0]);
	gate_exec_done(s->g, &d);
	stage_loop(s);
	idem_digest_body("code_exec", one, plain);
	assert_false(stage_journal_has(s, plain));
	stage_ask(s, 2, ADMIN, "code_exec", one, "k");
	stage_answer(s, 1, 2, GS_DONE);
	assert_int_equal(s->nexec, 1);
	stage_ask(s, 3, ADMIN, "code_exec",
	    "{\"code\": \"x\", \"pw\": \"1235\"}", "k");
	stage_answer(s, 2, 3, GS_INPUT_INVALID);
}

/* ---- denials ---- */

static unsigned
count_in_journal(struct stage *s, const char *text)
{
	unsigned n = 0;
	char *t, *p;
	size_t len;

	t = ax_read_file(s->dirfd, JOURNAL_NAME, 1 << 24, &len);
	assert_non_null(t);
	for (p = t; (p = strstr(p, text)) != NULL; p++)
		n++;
	free(t);
	return (n);
}

static void
deny_user(struct stage *s, uint64_t id)
{
	stage_ask(s, id, USER, "code_exec", "{\"code\": \"x\"}", NULL);
}

static void
denials_share_a_record(void **state)
{
	struct stage *s = *state;
	uint64_t seq;
	unsigned i;

	stage_open(s);
	for (i = 0; i < 50; i++)
		deny_user(s, i);
	/* all of them wait for the record of the first */
	assert_int_equal(s->nanswers, 0);
	stage_loop(s);
	assert_int_equal(s->nanswers, 50);
	seq = s->answers[0].seq;
	for (i = 50; i < 100; i++)
		deny_user(s, i);
	assert_int_equal(s->wakes, 0); /* nothing more to write */
	for (i = 0; i < 100; i++) {
		assert_int_equal(s->answers[i].status, GS_ACL_DENIED);
		assert_int_equal(s->answers[i].seq, seq);
	}
	assert_int_equal(s->slot.counter[MC_DENIALS_COALESCED], 99);
	assert_int_equal(s->slot.counter[MC_SKILL_DENIED], 100);
	assert_int_equal(count_in_journal(s, "skill_access_denied"), 1);
	gate_drain(s->g);
	stage_loop(s);
	assert_int_equal(s->drained, 1);
	assert_int_equal(count_in_journal(s, "skill_access_denied"), 2);
	assert_true(stage_journal_has(s, "\"coalesced\": true, \"count\": 99"));
	assert_true(stage_journal_has(s, "\"request_ids\": 1, "));
}

static void
a_denial_that_is_not_recorded(void **state)
{
	struct stage *s = *state;
	unsigned i;

	stage_open(s);
	stage_faults("op=write,err=EIO");
	for (i = 0; i < 3; i++)
		deny_user(s, i);
	stage_loop(s);
	assert_int_equal(s->nanswers, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(s->answers[i].status, GS_UNAVAILABLE);
	gate_tick(s->g); /* repairs, and records what was counted */
	stage_loop(s);
	assert_true(stage_journal_has(s, "\"coalesced\": true, \"count\": 3"));
	deny_user(s, 4);
	stage_loop(s);
	stage_durable(s, stage_answer(s, 3, 4, GS_ACL_DENIED)->seq);
}

static void
a_count_that_is_not_recorded(void **state)
{
	struct stage *s = *state;
	unsigned i;

	stage_open(s);
	stage_front_event(s, AE_AUTH_FAILED, 1);
	stage_loop(s);
	stage_front_event(s, AE_AUTH_FAILED, 40);
	stage_faults("op=write,count=3,err=ENOSPC");
	gate_drain(s->g);
	for (i = 0; i < 10 && s->drained == 0; i++) {
		stage_loop(s);
		gate_tick(s->g);
	}
	assert_int_equal(s->drained, 1);
	assert_int_equal(count_in_journal(s, "\"action\": \"auth_failed\""), 2);
	assert_true(stage_journal_has(s, "\"count\": 40, "));
}

static void
refused_roles_and_tokens(void **state)
{
	struct stage *s = *state;
	struct gate_request r = { .action = GATE_SKILL_DISABLE,
		.source = SRC_API,
		.token = USER,
		.address = "192.0.2.1",
		.request_id = "r",
		.skill = "code_exec",
		.inputs = "{}" };

	stage_open(s);
	gate_request(s->g, &stage_front, 1, &r);
	stage_answer(s, 0, 1, GS_FORBIDDEN);
	r.token = "a-guess";
	gate_request(s->g, &stage_front, 2, &r);
	stage_answer(s, 1, 2, GS_UNAUTHORIZED);
	stage_loop(s);
	assert_true(stage_journal_has(s, "\"actor\": \"key:user\", "));
	assert_true(stage_journal_has(s, "\"action\": \"forbidden\""));
	assert_true(stage_journal_has(s, "\"action\": \"auth_failed\""));
	assert_false(stage_journal_has(s, "a-guess"));
}

/* Every block is a decision of its own, however many there are. */
static void
blocks_are_never_coalesced(void **state)
{
	struct stage *s = *state;
	unsigned i;

	stage_open(s);
	for (i = 0; i < 20; i++)
		stage_ask(s, i, ADMIN, "file_ops",
		    "{\"operation\": \"write\", \"path\": \"/evil/x\"}", NULL);
	stage_loop(s);
	for (i = 1; i < 20; i++)
		assert_int_equal(s->answers[i].seq, s->answers[i - 1].seq + 1);
	assert_int_equal(count_in_journal(s, "\"decision\": \"BLOCKED\""), 20);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
		T(secrets_stay_out),
		T(events_while_closed_are_counted),
		T(secrets_are_keyed),
		T(errors_do_not_repeat_secrets),
		T(keys_with_secrets),
		T(denials_share_a_record),
		T(a_denial_that_is_not_recorded),
		T(a_count_that_is_not_recorded),
		T(refused_roles_and_tokens),
		T(blocks_are_never_coalesced),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
