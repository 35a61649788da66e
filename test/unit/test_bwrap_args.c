/* SPDX-License-Identifier: ISC */
/* What a sandbox sees, read back from the arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "workers/broker/bwrap.h"

static const struct bwrap_view plain = { "/lib/runner", 4096, NULL };

static int
has(const struct bwrap_args *a, const char *word)
{
	unsigned i;

	for (i = 0; i < a->argc; i++) {
		if (strcmp(a->argv[i], word) == 0)
			return ((int)i);
	}
	return (-1);
}

static void
isolation(void **state)
{
	static const char *const needed[] = { "--unshare-user", "--unshare-pid",
		"--unshare-net", "--unshare-ipc", "--unshare-uts",
		"--unshare-cgroup-try", "--die-with-parent", "--new-session",
		"--as-pid-1", "--disable-userns" };
	struct bwrap_args a;
	unsigned i;

	bwrap_args(&a, &plain);
	for (i = 0; i < AX_NELEM(needed); i++)
		assert_true(has(&a, needed[i]) > 0);
	assert_string_equal(a.argv[has(&a, "--cap-drop") + 1], "ALL");
	assert_string_equal(a.argv[has(&a, "--uid") + 1], "65534");
	assert_null(a.argv[a.argc]);
	assert_string_equal(a.argv[a.argc - 1], "/.runner");
	assert_string_equal(a.argv[a.argc - 2], "--");
}

/* Writable: one file system of the size given, and nothing of the host. */
static void
writable(void **state)
{
	struct bwrap_args a;
	unsigned i, tmpfs = 0;

	bwrap_args(&a, &plain);
	for (i = 0; i < a.argc; i++) {
		assert_string_not_equal(a.argv[i], "--bind");
		assert_string_not_equal(a.argv[i], "--bind-try");
		assert_string_not_equal(a.argv[i], "--dev");
		if (strcmp(a.argv[i], "--tmpfs") == 0) {
			tmpfs++;
			assert_string_equal(a.argv[i - 2], "--size");
			assert_string_equal(a.argv[i - 1], "4096");
			assert_string_equal(a.argv[i + 1], "/work");
		}
	}
	assert_int_equal(tmpfs, 1);
	assert_true(has(&a, "--remount-ro") > has(&a, "--tmpfs"));
}

static void
host_files(void **state)
{
	static const char *const allowed[] = { "/usr/bin", "/usr/lib",
		"/usr/lib64", "/etc/ld.so.cache", "/etc/alternatives",
		"/dev/null", "/dev/zero", "/dev/urandom", "/lib/runner" };
	struct bwrap_args a;
	unsigned i, k;

	bwrap_args(&a, &plain);
	for (i = 0; i < a.argc; i++) {
		if (strstr(a.argv[i], "bind") == NULL)
			continue;
		for (k = 0; k < AX_NELEM(allowed) &&
		     strcmp(a.argv[i + 1], allowed[k]) != 0;
		     k++)
			;
		if (k == AX_NELEM(allowed))
			fail_msg("%s is visible", a.argv[i + 1]);
	}
}

static void
skill_folder(void **state)
{
	const struct bwrap_view v = { "/lib/runner", 1, "/opt/skill" };
	struct bwrap_args a;
	int i;

	bwrap_args(&a, &v);
	assert_true((i = has(&a, "/opt/skill")) > 0);
	assert_string_equal(a.argv[i - 1], "--ro-bind");
	assert_string_equal(a.argv[i + 1], "/skill");
	assert_true(i < has(&a, "--remount-ro"));
	bwrap_args(&a, &plain);
	assert_int_equal(has(&a, "/skill"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(isolation),
		cmocka_unit_test(writable),
		cmocka_unit_test(host_files),
		cmocka_unit_test(skill_folder),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
