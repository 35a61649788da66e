/* SPDX-License-Identifier: ISC */
/*
 * The shared rate table: never more than the limit in any 60 s, whoever counts;
 * torn and foreign words heal.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "workers/http/rate.h"

#define SECOND 1000000ull
#define T0     (1000ull * RATE_WINDOW_US) /* a window's start */

static struct rate_table *t;

static int
setup(void **state)
{
	t = mmap(NULL, rate_table_size(), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return (t == MAP_FAILED ? -1 : 0);
}

static int
teardown(void **state)
{
	return (munmap(t, rate_table_size()));
}

static bool
take(uint64_t key, unsigned limit, uint64_t now, struct rate_verdict *v)
{
	struct rate_verdict own;

	if (v == NULL)
		v = &own;
	rate_take(t, key, limit, now, v);
	return (v->admitted);
}

static void
test_limit(void **state)
{
	struct rate_verdict v;
	unsigned i;

	for (i = 0; i < 10; i++) {
		assert_true(take(7, 10, T0 + i * SECOND, &v));
		assert_int_equal(v.limit, 10);
		assert_int_equal(v.remaining, 9 - i);
		assert_int_equal(v.reset_s, 60);
	}
	assert_false(take(7, 10, T0 + 10 * SECOND, &v));
	assert_int_equal(v.remaining, 0);
	assert_in_range(v.reset_s, 1, 120);
	/* A refused request is not counted, and others are not touched. */
	assert_false(take(7, 10, T0 + 10 * SECOND, NULL));
	assert_true(take(8, 10, T0 + 10 * SECOND, NULL));
	assert_false(take(7, 10, T0 + 59 * SECOND, NULL));
}

/* When the answer says "in n seconds", one more fits then, and not before. */
static void
test_reset_is_true(void **state)
{
	struct rate_verdict v;
	uint64_t now;
	unsigned limit, used, second;

	for (limit = 1; limit < 40; limit += 3) {
		for (second = 0; second < 60; second += 13) {
			now = T0 + second * SECOND + 123456;
			for (used = 0;
			     take(100 + limit * 64 + second, limit, now, &v);
			     used++)
				continue;
			assert_int_equal(used, limit);
			assert_false(take(100 + limit * 64 + second, limit,
			    now + (v.reset_s - 1) * SECOND, NULL));
			assert_true(take(100 + limit * 64 + second, limit,
			    now + v.reset_s * SECOND, NULL));
		}
	}
}

/* At a steady rate far above the limit, each minute admits about the limit. */
static void
test_sliding(void **state)
{
	unsigned admitted[20] = { 0 }, i;
	uint64_t s;

	for (s = 0; s < 20 * 60 * 10; s++) {
		if (take(9, 60, T0 + s * SECOND / 10, NULL))
			admitted[s / 600]++;
	}
	for (i = 0; i < 20; i++)
		assert_in_range(admitted[i], i == 0 ? 60 : 25, 65);
}

static void
test_forgets(void **state)
{
	unsigned i;

	for (i = 0; i < 5; i++)
		assert_true(take(7, 5, T0, NULL));
	assert_false(take(7, 5, T0 + 30 * SECOND, NULL));
	for (i = 0; i < 5; i++)
		assert_true(take(7, 5, T0 + 121 * SECOND, NULL));
	assert_false(take(7, 5, T0 + 121 * SECOND, NULL));
	/* The first minute after boot is a window like others. */
	assert_true(take(11, 1, 0, NULL));
	assert_false(take(11, 1, SECOND, NULL));
	assert_true(take(12, 0, 5, NULL));
	assert_false(take(12, 0, 5, NULL));
}

/* Any bytes: no crash, and right again after the window. */
static void
test_garbage_heals(void **state)
{
	struct rate_verdict v;
	unsigned i, n;

	for (i = 0; i < 200; i++) {
		ax_random(t, sizeof(t->e[0]) * 64);
		t->e[i % 64].key = i % 64 + 1;
		if (i % 3 == 0)
			t->e[i % 64].window = (T0 / RATE_WINDOW_US + 2) << 32 |
			    UINT32_MAX;
		(void)take(i % 64 + 1, 3, T0 + SECOND, &v);
		assert_in_range(v.reset_s, 1, 121);
		for (n = 0;
		     n < 10 && take(i % 64 + 1, 3, T0 + 181 * SECOND, NULL);
		     n++)
			continue;
		assert_in_range(n, 0, 3);
		assert_true(take(i % 64 + 1, 3, T0 + 400 * SECOND, NULL));
	}
}

/* More clients than entries: the newest are limited, nothing breaks. */
static void
test_full_table(void **state)
{
	uint64_t i;

	for (i = 1; i <= 4ull * RATE_TABLE_ENTRIES; i++)
		assert_true(take(i * 0x9e3779b97f4a7c15ull | 1, 2, T0, NULL));
	assert_true(take(5, 2, T0, NULL));
	assert_true(take(5, 2, T0, NULL));
	assert_false(take(5, 2, T0, NULL));
}

static void
test_keys(void **state)
{
	static const char a[] = "127.0.0.1";
	uint8_t big[300] = { 1 };

	assert_int_equal(rate_key(0, a, 9), rate_key(0, a, 9));
	assert_int_not_equal(rate_key(0, a, 9), rate_key(1, a, 9));
	assert_int_not_equal(rate_key(0, a, 9), rate_key(0, a, 8));
	assert_int_not_equal(rate_key(0, a, 0), 0);
	(void)rate_key(0, big, sizeof(big));
}

/* Several processes, one key: together exactly the limit. */
static void
test_processes(void **state)
{
	unsigned i, n, total = 0;
	pid_t pids[4];
	int status;

	for (i = 0; i < 4; i++) {
		if ((pids[i] = fork()) == 0) {
			for (n = 0; take(77, 400, T0 + SECOND, NULL); n++)
				continue;
			t->e[RATE_TABLE_ENTRIES - 1 - i].unused = n;
			_exit(0);
		}
		assert_true(pids[i] > 0);
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
		total += (unsigned)t->e[RATE_TABLE_ENTRIES - 1 - i].unused;
	}
	assert_int_equal(total, 400);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_limit),
		T(test_reset_is_true),
		T(test_sliding),
		T(test_forgets),
		T(test_garbage_heals),
		T(test_full_table),
		T(test_keys),
		T(test_processes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
