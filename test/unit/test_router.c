/* SPDX-License-Identifier: ISC */
/* The router on a table of its own, and the table of in-flight requests. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/inflight.h"
#include "workers/http/router.h"

static const struct route table[] = {
	{ .method = HTTP_GET, .path = "/", .access = ACCESS_PUBLIC },
	{ .method = HTTP_POST, .path = "/a/run", .access = ACCESS_KEY },
	{ .method = HTTP_GET, .path = "/a", .access = ACCESS_KEY },
	{ .method = HTTP_GET, .path = "/a/{name}", .access = ACCESS_KEY },
	{ .method = HTTP_POST, .path = "/a/{name}/on", .access = ACCESS_ADMIN },
	{ .method = HTTP_DELETE, .path = "/a/{name}", .access = ACCESS_ADMIN },
};

/* clang-format off */
static const struct {
	enum http_method method;
	const char *path;
	int row; /* -1: unknown, -2: not this method */
	const char *detail; /* name or allow */
} cases[] = {
	{ HTTP_GET, "/", 0, "" },
	{ HTTP_HEAD, "/", 0, "" },
	{ HTTP_POST, "/", -2, "GET, HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/", -2, "GET, HEAD, OPTIONS" },
	{ HTTP_OTHER, "/", -2, "GET, HEAD, OPTIONS" },
	{ HTTP_POST, "/a/run", 1, "" },
	{ HTTP_GET, "/a/run", -2, "POST, OPTIONS" },
	{ HTTP_GET, "/a", 2, "" },
	{ HTTP_GET, "/a/x", 3, "x" },
	{ HTTP_HEAD, "/a/x", 3, "x" },
	{ HTTP_DELETE, "/a/x", 5, "x" },
	{ HTTP_PUT, "/a/x", -2, "GET, HEAD, DELETE, OPTIONS" },
	{ HTTP_POST, "/a/x/on", 4, "x" },
	{ HTTP_POST, "/a/run/on", 4, "run" },
	{ HTTP_GET, "/a/x/on", -2, "POST, OPTIONS" },
	{ HTTP_GET, "/a/", -1, NULL },
	{ HTTP_GET, "/a//on", -1, NULL },
	{ HTTP_GET, "/a/x/", -1, NULL },
	{ HTTP_GET, "/a/x/on/", -1, NULL },
	{ HTTP_GET, "/a/x/y", -1, NULL },
	{ HTTP_GET, "/A", -1, NULL },
	{ HTTP_GET, "", -1, NULL },
	{ HTTP_GET, "a", -1, NULL },
	{ HTTP_GET, "/a/{name}", 3, "{name}" }, /* a name like any other */
};
/* clang-format on */

static void
test_find(void **state)
{
	struct route_match m;
	size_t i;

	for (i = 0; i < AX_NELEM(cases); i++) {
		router_find(table, AX_NELEM(table), cases[i].method,
		    cases[i].path, &m);
		assert_int_equal(m.known, cases[i].row != -1);
		if (cases[i].row < 0)
			assert_null(m.route);
		if (cases[i].row >= 0) {
			assert_ptr_equal(m.route, &table[cases[i].row]);
			assert_string_equal(m.name, cases[i].detail);
		} else if (cases[i].row == -2)
			assert_string_equal(m.allow, cases[i].detail);
	}
}

static void
test_long_name(void **state)
{
	char path[ROUTE_NAME_MAX + 8] = "/a/";
	struct route_match m;

	memset(path + 3, 'x', ROUTE_NAME_MAX - 1);
	router_find(table, AX_NELEM(table), HTTP_GET, path, &m);
	assert_true(m.known);
	assert_int_equal(strlen(m.name), ROUTE_NAME_MAX - 1);
	path[3 + ROUTE_NAME_MAX - 1] = 'x';
	router_find(table, AX_NELEM(table), HTTP_GET, path, &m);
	assert_false(m.known);
}

static void
test_inflight(void **state)
{
	static struct inflight_table t;
	struct inflight *f, *first;
	uint64_t ids[300];
	uint32_t cursor = 0;
	unsigned i, n = 0;

	inflight_init(&t);
	assert_null(inflight_find(&t, 0, IF_GATE));
	assert_null(inflight_find(&t, 1, IF_GATE));
	for (i = 0; i < AX_NELEM(ids); i++) {
		f = inflight_add(&t, i % 2 ? IF_GATE : IF_QUERY, 1000 + i);
		assert_non_null(f);
		ids[i] = f->id;
	}
	first = inflight_find(&t, ids[0], IF_QUERY);
	assert_non_null(first);
	assert_null(inflight_find(&t, ids[0], IF_GATE));
	inflight_drop(&t, first);
	assert_null(inflight_find(&t, ids[0], IF_QUERY));
	assert_null(inflight_find(&t, ids[0], IF_FREE));

	/* the slot is used again, under another id */
	f = inflight_add(&t, IF_QUERY, 1000);
	assert_ptr_equal(f, first);
	assert_int_not_equal(f->id, ids[0]);
	assert_null(inflight_find(&t, ids[0], IF_QUERY));

	/* due ones only, of one kind, while they are dropped */
	while ((f = inflight_next(&t, &cursor, IF_GATE, 1101)) != NULL) {
		assert_true(f->deadline_us <= 1101);
		inflight_drop(&t, f);
		n++;
	}
	assert_int_equal(n, 51);
	assert_null(inflight_find(&t, ids[1], IF_GATE));
	assert_non_null(inflight_find(&t, ids[103], IF_GATE));
	assert_non_null(inflight_find(&t, ids[2], IF_QUERY));
	inflight_clear(&t);
}

static void
test_inflight_full(void **state)
{
	static struct inflight_table t;
	unsigned i;

	inflight_init(&t);
	for (i = 0; i < INFLIGHT_MAX; i++)
		assert_non_null(inflight_add(&t, IF_GATE, 1));
	assert_null(inflight_add(&t, IF_GATE, 1));
	inflight_clear(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_inflight),
		cmocka_unit_test(test_inflight_full),
	};

	return (cmocka_run_group_tests_name("router", tests, NULL, NULL));
}
