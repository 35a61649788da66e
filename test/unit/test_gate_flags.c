/* SPDX-License-Identifier: ISC */
/*
 * The gate: what outlives a run: flags, the snapshot, idempotency keys.
 */
#include <fcntl.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "test/unit/gate_stage.h"

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

	gate_request(s->g, &stage_front, id, &r);
	stage_loop(s);
}

static void
flags_survive(void **state)
{
	struct stage *s = *state;
	struct snapshot snap;

	stage_open(s);
	switch_skill(s, 1, USER, GATE_SKILL_DISABLE);
	stage_answer(s, 0, 1, GS_FORBIDDEN);
	switch_skill(s, 2, ADMIN, GATE_SKILL_DISABLE);
	stage_answer(s, 1, 2, GS_CHANGED);
	assert_int_equal(s->flags, 1);
	stage_ask_code(s, 3);
	stage_answer(s, 2, 3, GS_SKILL_DISABLED);
	stage_end(s);
	stage_begin(s); /* from the journal alone */
	stage_open(s);
	stage_ask_code(s, 4);
	stage_answer(s, 3, 4, GS_SKILL_DISABLED);
	snap.seq = journal_seq(s->j);
	snap.replay_from = snap.seq + 1;
	assert_int_equal(snapshot_save(&jio_fault, s->dirfd, &snap,
			     gate_flags(s->g), gate_idems(s->g)),
	    0);
	stage_end(s);
	stage_begin(s); /* from the snapshot */
	assert_int_equal(s->snap.seq, snap.seq);
	stage_open(s);
	stage_ask_code(s, 5);
	stage_answer(s, 4, 5, GS_SKILL_DISABLED);
	gate_ctl(s->g, &(struct origin){ PROC_PARENT, 0, 1 }, 6, "os:0",
	    "skill.enable", "{\"name\": \"code_exec\"}");
	stage_loop(s);
	stage_answer(s, 5, 6, GS_CHANGED);
	assert_true(stage_journal_has(s, "\"actor\": \"os:0\""));
	stage_ask_code(s, 7);
	assert_int_equal(s->nanswers, 6);
}

static void
a_flag_that_is_not_recorded_does_not_change(void **state)
{
	struct stage *s = *state;

	stage_open(s);
	stage_faults("op=write,err=EIO");
	switch_skill(s, 1, ADMIN, GATE_SKILL_DISABLE);
	stage_answer(s, 0, 1, GS_UNAVAILABLE);
	assert_int_equal(s->flags, 0);
	gate_tick(s->g);
	stage_loop(s);
	stage_ask_code(s, 2);
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
		stage_faults(faulty[i]);
		assert_int_equal(snapshot_save(&jio_fault, s->dirfd, &a, &f,
				     &t),
		    -1);
		stage_faults("");
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

	stage_open(s);
	stage_ask_file(s, 1, "k");
	stage_loop(s);
	assert_int_equal(s->nfiles, 1);
	stage_ask_file(s, 2, "k"); /* while it runs */
	stage_answer(s, 0, 2, GS_BUSY);
	assert_int_equal(gate_file_done(s->g, s->files[0], true,
			     "{\"exists\":true}"),
	    0);
	stage_loop(s);
	stage_answer(s, 1, 1, GS_DONE);
	stage_ask_file(s, 3, "k");
	a = stage_answer(s, 2, 3, GS_DONE);
	assert_string_equal(a->output, "{\"exists\":true}");
	assert_int_equal(a->permit, s->files[0]);
	stage_ask(s, 4, ADMIN, "file_ops",
	    "{\"operation\": \"exists\", \"path\": \"/y\"}", "k");
	stage_answer(s, 3, 4, GS_INPUT_INVALID);
	stage_end(s);
	stage_begin(s);
	stage_open(s);
	stage_ask_file(s, 5, "k");
	a = stage_answer(s, 4, 5, GS_DONE);
	assert_true(a->success);
	assert_int_equal(s->nfiles, 1);
}

static void
a_refused_key_may_be_used_again(void **state)
{
	struct stage *s = *state;

	stage_open(s);
	stage_faults("op=write,err=ENOSPC");
	stage_ask_file(s, 1, "k");
	stage_loop(s);
	stage_answer(s, 0, 1, GS_UNAVAILABLE);
	gate_tick(s->g);
	stage_loop(s);
	stage_ask_file(s, 2, "k");
	stage_loop(s);
	assert_int_equal(s->nfiles, 1);
}

static void
a_key_whose_run_never_started_may_run(void **state)
{
	struct stage *s = *state;

	stage_open(s);
	stage_ask_file(s, 1, "k");
	gate_cancel(s->g, &stage_front, 1);
	stage_loop(s);
	assert_int_equal(s->nfiles, 0);
	assert_true(stage_journal_has(s, "not_started"));
	stage_end(s);
	stage_begin(s);
	stage_open(s);
	stage_ask_file(s, 2, "k");
	stage_loop(s);
	assert_int_equal(s->nfiles, 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
		T(flags_survive),
		T(a_flag_that_is_not_recorded_does_not_change),
		T(snapshot_errors),
		T(keys_run_once),
		T(a_refused_key_may_be_used_again),
		T(a_key_whose_run_never_started_may_run),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
