/* SPDX-License-Identifier: ISC */
/* What an operator is told about the sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "common/buf.h"
#include "workers/broker/preflight.h"

static json_t *
told(const struct preflight *p, bool allow)
{
	struct buf b = BUF_INITIALIZER;
	json_t *o;

	preflight_json(p, allow, &b);
	o = json_loads(buf_str(&b), 0, NULL);
	assert_non_null(o);
	buf_free(&b);
	return (o);
}

static void
expect(const struct preflight *p, bool allow, bool ok, size_t errors,
    size_t warnings)
{
	json_t *o = told(p, allow);

	assert_int_equal(json_is_true(json_object_get(o, "ok")), ok);
	assert_int_equal(json_array_size(json_object_get(o, "errors")), errors);
	assert_int_equal(json_array_size(json_object_get(o, "warnings")),
	    warnings);
	assert_string_equal(json_string_value(json_object_get(o, "backend")),
	    "process");
	assert_true(
	    json_integer_value(json_object_get(o, "syscalls_allowed")) > 100);
	json_decref(o);
}

static void
outcomes(void **state)
{
	struct preflight p = { .cgroup = "v2" };

	preflight_set(&p, true, "");
	assert_true(p.known && p.ok && p.error[0] == '\0');
	expect(&p, false, true, 0, 0);
	p.degraded = true;
	p.cgroup = "none";
	expect(&p, false, false, 1, 0);
	expect(&p, true, true, 0, 1);
	preflight_set(&p, false, "bwrap: no");
	expect(&p, true, false, 1, 1);
	expect(&p, false, false, 2, 0);
}

/* The step that failed, and behind it what to do about it. */
static void
names_the_switch(void **state)
{
	struct preflight p = { .cgroup = "v1" };

	(void)snprintf(p.hint, sizeof(p.hint),
	    "user.max_user_namespaces is 0: change it with sysctl(8)");
	preflight_set(&p, false, "sandbox set-up failed: bwrap: No space");
	assert_string_equal(p.error,
	    "sandbox set-up failed: bwrap: No space; "
	    "user.max_user_namespaces is 0: change it with sysctl(8)");
	preflight_set(&p, true, "");
	assert_string_equal(p.error, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcomes),
		cmocka_unit_test(names_the_switch),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
