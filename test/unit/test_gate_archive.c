/* SPDX-License-Identifier: ISC */
/*
 * The gate: closing the live file on request.
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

	gate_request(s->g, &stage_front, id, &r);
}

static void
archived_on_request(void **state)
{
	struct stage *s = *state;
	size_t n;

	stage_open(s);
	n = journal_nsegments(s->j);
	ask_archive(s, 1, USER);
	stage_answer(s, 0, 1, GS_FORBIDDEN);
	/* two in one batch close one file, and both are told so */
	ask_archive(s, 2, ADMIN);
	ask_archive(s, 3, ADMIN);
	assert_int_equal(s->nanswers, 1);
	stage_loop(s);
	stage_answer(s, 1, 2, GS_CHANGED);
	stage_answer(s, 2, 3, GS_CHANGED);
	assert_int_equal(journal_nsegments(s->j), n + 1);
	assert_string_equal(s->answers[1].output, s->answers[2].output);
	assert_non_null(strstr(s->answers[1].output, "\"rotated\":true"));
	assert_non_null(
	    strstr(s->answers[1].output, journal_segment(s->j, n - 1)->name));
	assert_true(stage_journal_has(s, "\"action\": \"journal_rotated\""));
	gate_ctl(s->g, &(struct origin){ PROC_PARENT, 0, 1 }, 4, "os:0",
	    "audit.archive", "{}");
	stage_loop(s);
	stage_answer(s, 3, 4, GS_CHANGED);
	assert_int_equal(journal_nsegments(s->j), n + 2);
	assert_string_not_equal(s->answers[1].output, s->answers[3].output);
	stage_end(s);
	stage_begin(s);
	stage_open(s);
	assert_int_equal(journal_nsegments(s->j), n + 2);
}

static void
what_could_not_be_archived_is_not_said_to_be(void **state)
{
	struct stage *s = *state;
	size_t n;

	stage_open(s);
	n = journal_nsegments(s->j);
	stage_faults("op=write,err=EIO");
	ask_archive(s, 1, ADMIN);
	stage_loop(s);
	stage_answer(s, 0, 1, GS_UNAVAILABLE);
	gate_tick(s->g);
	stage_loop(s);
	assert_int_equal(journal_nsegments(s->j), n);
	stage_faults("op=rename,err=EIO");
	ask_archive(s, 2, ADMIN);
	stage_loop(s);
	stage_answer(s, 1, 2, GS_INTERNAL);
	assert_int_equal(journal_nsegments(s->j), n);
	/* put aside, and then a folder that cannot be synced: it waits */
	stage_faults("op=fsync,err=EIO");
	ask_archive(s, 3, ADMIN);
	stage_loop(s);
	assert_int_equal(s->nanswers, 2);
	stage_faults("");
	gate_tick(s->g);
	stage_loop(s);
	stage_answer(s, 2, 3, GS_CHANGED);
	assert_int_equal(journal_nsegments(s->j), n + 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
		T(archived_on_request),
		T(what_could_not_be_archived_is_not_said_to_be),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
