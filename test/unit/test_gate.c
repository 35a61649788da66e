/* SPDX-License-Identifier: ISC */
/*
 * The gate over a real journal, with executors and fronts played by the test:
 * the normal life, refusals, the end. What must hold: nothing is handed to an
 * executor, and nothing answered, before its line is durable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "test/unit/gate_stage.h"

/* ---- the normal life ---- */

static void
closed_until_swept(void **state)
{
	struct stage *s = *state;

	stage_ask_code(s, 1);
	stage_answer(s, 0, 1, GS_UNAVAILABLE);
	stage_open(s);
	assert_true(stage_journal_has(s, "\"action\": \"service_start\""));
	stage_ask_code(s, 2);
	assert_int_equal(s->nanswers, 1);
}

static void
a_run(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	struct answer *a;

	stage_open(s);
	stage_ask_code(s, 1);
	assert_int_equal(s->nexec, 0); /* not before the commit */
	stage_loop(s);
	assert_int_equal(s->nexec, 1);
	d = stage_exec_done(s->exec[0]);
	assert_int_equal(gate_exec_done(s->g, &d), 0);
	assert_int_equal(s->nanswers, 0); /* not before its line */
	stage_loop(s);
	a = stage_answer(s, 0, 1, GS_DONE);
	assert_true(a->success);
	assert_int_equal(a->permit, s->exec[0]);
	assert_non_null(strstr(a->output, "\"stdout\":\"1\\n\""));
	assert_true(
	    stage_journal_has(s, "\"action\": \"sandbox_execute_done\""));
	assert_false(stage_journal_has(s, "1\\n"));
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

	stage_open(s);
	stage_ask_code(s, 1);
	stage_loop(s);
	d = stage_exec_done(s->exec[0]);
	d.state = END_NONZERO;
	d.exit_code = 3;
	d.out = "\xff\xfe";
	gate_exec_done(s->g, &d);
	stage_loop(s);
	a = stage_answer(s, 0, 1, GS_DONE);
	assert_false(a->success);
	assert_string_equal(a->error, "sandbox worker exit 3");
	assert_non_null(strstr(a->output, "\"stdout_b64\":\"//4=\""));
}

static void
large_and_deep_inputs_by_digest(void **state)
{
	struct stage *s = *state;
	struct buf big = BUF_INITIALIZER;
	size_t i;

	stage_open(s);
	buf_adds(&big, "{\"code\": \"");
	memset(buf_reserve(&big, 200000), 'x', 200000);
	big.len += 200000;
	buf_adds(&big, "\"}");
	stage_ask(s, 1, ADMIN, "code_exec", buf_str(&big), NULL);
	buf_reset(&big);
	buf_adds(&big, "{\"code\": \"x\", \"d\": ");
	for (i = 0; i < 100; i++)
		buf_addc(&big, '[');
	for (i = 0; i < 100; i++)
		buf_addc(&big, ']');
	buf_addc(&big, '}');
	stage_ask(s, 2, ADMIN, "code_exec", buf_str(&big), NULL);
	stage_loop(s);
	assert_int_equal(s->nexec, 2);
	assert_true(stage_journal_has(s, "\"inputs\": {\"bytes\": 200012, "));
	buf_free(&big);
}

/* ---- refusals ---- */

static void
refusals(void **state)
{
	struct stage *s = *state;
	struct answer *a;

	stage_open(s);
	stage_ask(s, 1, NULL, "code_exec", "{}", NULL);
	stage_answer(s, 0, 1, GS_UNAUTHORIZED);
	stage_ask(s, 2, "", "code_exec", "{}", NULL);
	stage_answer(s, 1, 2, GS_UNAUTHORIZED);
	stage_ask(s, 3, "guess", "code_exec", "{}", NULL);
	stage_answer(s, 2, 3, GS_UNAUTHORIZED);
	stage_ask(s, 4, ADMIN, "nothing", "{}", NULL);
	stage_answer(s, 3, 4, GS_SKILL_NOT_FOUND);
	stage_ask(s, 5, ADMIN, "code_exec", "{\"code\": ", NULL);
	stage_answer(s, 4, 5, GS_INPUT_INVALID);
	stage_ask(s, 6, ADMIN, "code_exec", "[]", NULL);
	stage_answer(s, 5, 6, GS_INPUT_INVALID);
	stage_ask(s, 7, ADMIN, "code_exec", "{\"code\": 1}", NULL);
	a = stage_answer(s, 6, 7, GS_INPUT_INVALID);
	assert_non_null(strstr(a->detail, "\"loc\""));
	stage_ask(s, 8, ADMIN, "code_exec",
	    "{\"code\": \"a\", \"code\": \"b\"}", NULL);
	stage_answer(s, 7, 8, GS_INPUT_INVALID);
	/* recorded before it is answered */
	stage_ask(s, 9, USER, "code_exec", "{\"code\": \"x\"}", NULL);
	assert_int_equal(s->nanswers, 8);
	stage_loop(s);
	a = stage_answer(s, 8, 9, GS_ACL_DENIED);
	stage_durable(s, a->seq);
	assert_true(
	    stage_journal_has(s, "\"action\": \"skill_access_denied\""));
	assert_int_equal(s->nexec + s->nfiles, 0);
}

static void
blocked(void **state)
{
	struct stage *s = *state;
	struct answer *a;

	stage_open(s);
	stage_ask(s, 1, ADMIN, "file_ops",
	    "{\"operation\": \"write\", \"path\": \"/evil/x\"}", NULL);
	assert_int_equal(s->nanswers, 0);
	stage_loop(s);
	a = stage_answer(s, 0, 1, GS_BLOCKED);
	stage_durable(s, a->seq);
	assert_non_null(strstr(a->detail, "deny-evil"));
	assert_int_equal(a->permit, 0);
	assert_int_equal(s->nfiles, 0);
	assert_int_equal(gate_npermits(s->g), 0);
}

static void
executor_away(void **state)
{
	struct stage *s = *state;

	stage_open(s);
	s->executors_down = true;
	stage_ask_code(s, 1);
	stage_answer(s, 0, 1, GS_UNAVAILABLE);
	assert_int_equal(s->wakes, 0);
}

static void
too_many(void **state)
{
	struct stage *s = *state;
	unsigned i;

	stage_open(s);
	for (i = 0; i < 68; i++) /* concurrency 4 and queue 64 */
		stage_ask_code(s, i);
	assert_int_equal(s->nanswers, 0);
	stage_ask_code(s, 100);
	stage_answer(s, 0, 100, GS_BUSY);
	stage_loop(s);
	assert_int_equal(s->nexec, 68);
}

static void
cancelled(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	const struct origin other = { PROC_HTTP, 1, 1 };

	stage_open(s);
	stage_ask_code(s, 1);
	gate_cancel(s->g, &stage_front, 1);
	stage_loop(s);
	assert_int_equal(s->nexec, 0);
	assert_true(stage_journal_has(s, "\"state\": \"not_started\""));
	stage_ask_code(s, 2);
	stage_loop(s);
	gate_cancel(s->g, &other, 2);
	assert_int_equal(s->nkilled, 0);
	gate_cancel(s->g, &stage_front, 2);
	assert_int_equal(s->nkilled, 1);
	d = stage_exec_done(s->exec[0]);
	d.state = END_KILLED;
	gate_exec_done(s->g, &d);
	stage_loop(s);
	assert_int_equal(s->nanswers, 0);
	assert_int_equal(gate_npermits(s->g), 0);
}

/* ---- the end ---- */

static void
drains(void **state)
{
	struct stage *s = *state;
	struct exec_done d;

	stage_open(s);
	stage_ask_code(s, 1);
	stage_loop(s);
	gate_drain(s->g);
	stage_ask_code(s, 2);
	stage_answer(s, 0, 2, GS_UNAVAILABLE);
	stage_loop(s);
	assert_int_equal(s->drained, 0);
	d = stage_exec_done(s->exec[0]);
	gate_exec_done(s->g, &d);
	stage_loop(s);
	stage_answer(s, 1, 1, GS_DONE);
	assert_int_equal(s->drained, 1);
	assert_true(stage_journal_has(s, "\"action\": \"service_stop\""));
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
#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
		T(closed_until_swept),
		T(a_run),
		T(failures_and_bytes),
		T(large_and_deep_inputs_by_digest),
		T(refusals),
		T(blocked),
		T(executor_away),
		T(too_many),
		T(cancelled),
		T(drains),
		T(drains_before_it_opened),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
