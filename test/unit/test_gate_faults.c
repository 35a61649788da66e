/* SPDX-License-Identifier: ISC */
/*
 * The gate over a disk that fails as told, and lives that were cut short.
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

/* ---- a life cut short ---- */

static void
interrupted(void **state)
{
	struct stage *s = *state;

	stage_open(s);
	stage_ask_file(s, 1, "k");
	stage_ask_code(s, 2);
	stage_loop(s);
	assert_int_equal(gate_npermits(s->g), 2);
	stage_end(s);
	stage_begin(s);
	assert_int_equal(gate_npermits(s->g), 2);
	assert_false(gate_is_open(s->g));
	/* an end that comes from the old life changes nothing */
	assert_int_equal(gate_file_done(s->g, s->files[0], true, "{}"), -1);
	stage_open(s);
	assert_int_equal(gate_npermits(s->g), 0);
	assert_true(stage_journal_has(s, "\"state\": \"interrupted\""));
	assert_true(stage_journal_has(s, "may have run, fully or in part"));
	stage_ask_file(s, 3, "k");
	stage_answer(s, 0, 3, GS_INTERRUPTED);
	assert_int_equal(s->nfiles, 1);
	stage_end(s);
	stage_begin(s);
	stage_open(s);
	stage_ask_file(s, 4, "k");
	stage_answer(s, 1, 4, GS_INTERRUPTED);
}

static void
interrupted_lines_wait_for_the_disk(void **state)
{
	struct stage *s = *state;
	unsigned i;

	stage_open(s);
	stage_ask_code(s, 1);
	stage_loop(s);
	stage_end(s);
	stage_begin(s);
	stage_faults("op=write,count=4,err=ENOSPC");
	gate_swept(s->g);
	stage_loop(s);
	assert_false(gate_is_open(s->g));
	for (i = 0; i < 20 && !gate_is_open(s->g); i++) {
		gate_tick(s->g);
		stage_loop(s);
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

	stage_open(s);
	for (i = 0; i < AX_NELEM(how); i++) {
		stage_faults(how[i]);
		stage_ask_code(s, i);
		stage_loop(s);
		stage_answer(s, 2 * i, i, GS_UNAVAILABLE);
		assert_int_equal(s->nexec, 0);
		assert_int_equal(gate_npermits(s->g), 0);
		assert_false(gate_is_open(s->g));
		stage_ask_code(s, i);
		stage_answer(s, 2 * i + 1, i, GS_UNAVAILABLE);
		gate_tick(s->g);
		stage_loop(s);
		assert_true(gate_is_open(s->g));
	}
	assert_true(stage_journal_has(s, "\"action\": \"audit_unavailable\""));
}

static void
an_outcome_that_fails_is_kept(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	struct answer *a;

	stage_open(s);
	stage_ask_code(s, 1);
	stage_loop(s);
	d = stage_exec_done(s->exec[0]);
	stage_faults("op=fdatasync,err=EIO");
	gate_exec_done(s->g, &d);
	stage_loop(s);
	a = stage_answer(s, 0, 1, GS_NOT_RECORDED);
	assert_int_equal(a->permit, s->exec[0]);
	assert_int_equal(gate_npermits(s->g), 1);
	gate_tick(s->g);
	stage_loop(s);
	assert_int_equal(gate_npermits(s->g), 0);
	assert_int_equal(s->nanswers, 1);
	assert_true(
	    stage_journal_has(s, "\"action\": \"sandbox_execute_done\""));
}

static void
no_space(void **state)
{
	struct stage *s = *state;
	struct exec_done d;
	unsigned i;

	stage_open(s);
	stage_ask_code(s, 1);
	stage_loop(s);
	stage_faults("op=fallocate,count=0,err=ENOSPC");
	for (i = 0; i < 60 && gate_is_open(s->g); i++) {
		stage_ask_code(s, 10 + i);
		stage_loop(s);
	}
	assert_false(gate_is_open(s->g));
	stage_answer(s, 0, 10 + i - 1, GS_UNAVAILABLE);
	/* what runs is still recorded, out of the reserve */
	d = stage_exec_done(s->exec[0]);
	gate_exec_done(s->g, &d);
	stage_loop(s);
	stage_answer(s, 1, 1, GS_DONE);
	gate_tick(s->g);
	assert_false(gate_is_open(s->g));
	stage_faults("");
	gate_tick(s->g);
	stage_loop(s);
	assert_true(gate_is_open(s->g));
	assert_true(stage_journal_has(s, "no space can be reserved"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
		T(interrupted),
		T(interrupted_lines_wait_for_the_disk),
		T(a_decision_that_fails_starts_nothing),
		T(an_outcome_that_fails_is_kept),
		T(no_space),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
