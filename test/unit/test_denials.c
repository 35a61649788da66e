/* SPDX-License-Identifier: ISC */
/* The table of denials, with clocks of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/audit/denials.h"

#define SECOND 1000000ull

static struct denials *t;
static uint64_t now, nseq, told;

static int
set_up(void **state)
{
	t = denials_new();
	now = 5 * SECOND;
	nseq = told = 0;
	return (t != NULL ? 0 : -1);
}

static int
tear_down(void **state)
{
	denials_free(t);
	return (0);
}

static struct denial *
note(enum denial_kind kind, const char *address, const char *id, bool *first)
{
	const struct denial_facts f = { .kind = kind,
		.address = address,
		.request_id = id,
		.count = 1 };

	return (denials_note(t, &f, now, now + 1000, first));
}

static void
record(struct denial *d)
{
	assert_true(d->recording);
	told += d->pending.n;
	denials_recorded(t, d, ++nseq, now);
}

/* One that is recorded when it is a first. */
static void
deny(const char *address)
{
	struct denial *d;
	bool first;

	d = note(DENIAL_AUTH, address, "r", &first);
	if (first)
		record(d);
}

static unsigned
flush(bool all)
{
	struct denial *d;
	unsigned n = 0;

	while ((d = denials_due(t, now, all)) != NULL) {
		record(d);
		n++;
	}
	return (n);
}

static void
first_then_counted(void **state)
{
	struct denial *d;
	bool first;
	unsigned i;

	d = note(DENIAL_AUTH, "::1", "a", &first);
	assert_true(first);
	assert_int_equal(d->pending.n, 1);
	record(d);
	for (i = 0; i < 99; i++) {
		now += 10000;
		assert_ptr_equal(note(DENIAL_AUTH, "::1", i < 50 ? "b" : "c",
				     &first),
		    d);
		assert_false(first);
	}
	assert_null(denials_due(t, now, false));
	now = 5 * SECOND + DENIALS_WINDOW_US;
	assert_ptr_equal(denials_due(t, now, false), d);
	assert_int_equal(d->pending.n, 99);
	assert_int_equal(d->pending.request_ids, 2);
	assert_false(d->pending.more_ids);
	assert_int_equal(d->pending.first_at, 5 * SECOND + 11000);
	assert_int_equal(d->pending.last_at, 5 * SECOND + 991000);
	assert_int_equal(d->seq, 1);
	record(d);
	assert_int_equal(told, 100);
	assert_int_equal(denials_n(t), 0);
	(void)note(DENIAL_AUTH, "::1", "a", &first);
	assert_true(first);
}

static void
what_tells_them_apart(void **state)
{
	struct denial_facts f = { .kind = DENIAL_ACL,
		.actor = "key:a",
		.address = "::1",
		.reason = "allow_roles",
		.skill = "s",
		.count = 1 };
	bool first;

	denials_note(t, &f, now, now, &first);
	f.address = "::2"; /* an actor is the same from everywhere */
	denials_note(t, &f, now, now, &first);
	assert_false(first);
	f.skill = "t";
	denials_note(t, &f, now, now, &first);
	assert_true(first);
	f.reason = "deny_sources";
	denials_note(t, &f, now, now, &first);
	assert_true(first);
	f.actor = "key:b";
	denials_note(t, &f, now, now, &first);
	assert_true(first);
	f.actor = NULL;
	f.address = "key:b"; /* an address is no actor */
	denials_note(t, &f, now, now, &first);
	assert_true(first);
	f.kind = DENIAL_POLICY;
	denials_note(t, &f, now, now, &first);
	assert_true(first);
}

static void
a_quiet_row_goes(void **state)
{
	deny("::1");
	now += DENIALS_WINDOW_US - 1;
	assert_int_equal(flush(false), 0);
	assert_int_equal(denials_n(t), 1);
	now++;
	assert_int_equal(flush(false), 0);
	assert_int_equal(denials_n(t), 0);
}

/* However many there are: bounded records, every one of them counted. */
static void
others_are_counted_together(void **state)
{
	char address[32];
	struct denial *d;
	unsigned i, n;
	bool first;

	for (i = 0; i < 10000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16,
		    i >> 8 & 255, i & 255);
		deny(address);
	}
	assert_int_equal(denials_n(t), DENIALS_MAX + 1);
	assert_int_equal(nseq, DENIALS_MAX + 1);
	d = note(DENIAL_AUTH, "192.0.2.1", "r", &first);
	assert_false(first);
	assert_string_equal(d->address, DENIALS_OTHERS);
	/* another kind has another row */
	d = note(DENIAL_RATE, "192.0.2.1", "r", &first);
	assert_true(first);
	assert_string_equal(d->address, DENIALS_OTHERS);
	record(d);
	for (i = 0; i < 100; i++)
		deny("10.0.0.7");
	now += DENIALS_WINDOW_US;
	n = flush(false);
	assert_int_equal(n, 2);
	assert_int_equal(told, 10000 + 1 + 1 + 100);
	assert_int_equal(denials_n(t), 0);
	for (i = 0; i < 10000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16,
		    i >> 8 & 255, i & 255);
		deny(address);
	}
	assert_int_equal(flush(true), 1);
	assert_int_equal(told, 10102 + 10000);
	assert_int_equal(denials_n(t), 0);
}

static void
refused_records_lose_nothing(void **state)
{
	struct denial *d;
	bool first;

	d = note(DENIAL_AUTH, "::1", "a", &first);
	(void)note(DENIAL_AUTH, "::1", "b", &first);
	assert_false(first);
	assert_null(denials_due(t, now, true)); /* while it is recorded */
	denials_refused(d);
	/* nothing tells of it yet: due at once */
	assert_ptr_equal(denials_due(t, now, false), d);
	assert_int_equal(d->pending.n, 2);
	assert_int_equal(d->pending.first_at, now + 1000);
	now += SECOND;
	(void)note(DENIAL_AUTH, "::1", "c", &first);
	denials_refused(d);
	assert_ptr_equal(denials_due(t, now, false), d);
	assert_int_equal(d->pending.n, 3);
	assert_int_equal(d->pending.request_ids, 3);
	/* one comes while the count is recorded: a window of its own */
	(void)note(DENIAL_AUTH, "::1", "d", &first);
	assert_false(first);
	record(d);
	assert_int_equal(denials_n(t), 1);
	assert_null(denials_due(t, now, false));
	assert_int_equal(flush(true), 1);
	assert_int_equal(told, 4);
}

static void
many_at_once(void **state)
{
	struct denial_facts f = { .kind = DENIAL_RATE,
		.count = 50,
		.request_ids = 17 };
	struct denial *d;
	char id[16];
	bool first;
	unsigned i;

	d = denials_note(t, &f, now, now, &first);
	assert_true(first);
	assert_int_equal(d->pending.n, 50);
	record(d);
	denials_note(t, &f, now, now, &first);
	f.count = 1;
	f.request_id = id;
	for (i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "%u", i);
		denials_note(t, &f, now, now, &first);
	}
	assert_int_equal(d->counted.n, 70);
	assert_int_equal(d->counted.request_ids, 17 + DENIALS_IDS);
	assert_true(d->counted.more_ids);
}

/* Texts longer than a row: cut, the same way every time. */
static void
long_texts(void **state)
{
	char text[1000];
	struct denial_facts f = { .kind = DENIAL_ACL,
		.actor = text,
		.address = text,
		.reason = text,
		.skill = text,
		.count = 1 };
	bool first;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	denials_note(t, &f, now, now, &first);
	assert_true(first);
	denials_note(t, &f, now, now, &first);
	assert_false(first);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(first_then_counted),
		T(what_tells_them_apart),
		T(a_quiet_row_goes),
		T(others_are_counted_together),
		T(refused_records_lose_nothing),
		T(many_at_once),
		T(long_texts),
	};
#undef T

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
