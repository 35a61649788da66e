/* SPDX-License-Identifier: ISC */
/*
 * Finding and making control groups. The part that needs a writable hierarchy
 * is skipped, with the reason, where there is none.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/cgroup.h"
#include "common/util.h"

static void
expect_path(const char *point, const char *root, const char *line,
    const char *want)
{
	char *got = cgroup_visible_path(point, root, line);

	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
	free(got);
}

static void
paths(void **state)
{
	expect_path("/sys/fs/cgroup", "/", "/", "/sys/fs/cgroup");
	expect_path("/sys/fs/cgroup", "/", "/a/b", "/sys/fs/cgroup/a/b");
	expect_path("/m", "/docker/1", "/docker/1/x", "/m/x");
	expect_path("/m", "/docker/1", "/docker/1", "/m");
	expect_path("/m", "/docker/1", "/docker/12", NULL);
	expect_path("/m", "/docker/1", "/other", NULL);
	expect_path("/m", "/", "/../up", NULL);
}

static void
bad_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/" };
	struct cgroup_set s;
	unsigned i;

	for (i = 0; i < AX_NELEM(bad); i++) {
		assert_int_equal(cgroup_prepare(getuid(), bad[i], &s), -1);
		assert_int_equal(s.variant, CGROUP_NONE);
		assert_true(s.why[0] != '\0');
	}
}

static pid_t
sleeper_in(const char *dir)
{
	char path[5000];
	pid_t pid;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	if ((pid = fork()) == 0) {
		fd = open(path, O_WRONLY);
		if (fd == -1 || write(fd, "0", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	return (pid);
}

/* A second life finds a process and folders of the first, and ends them. */
static void
make_and_sweep(void **state)
{
	struct cgroup_set a, b;
	char name[64], sub[4200];
	struct stat st;
	int status, i;
	pid_t pid;

	(void)snprintf(name, sizeof(name), "axtest-%d", (int)getpid());
	if (cgroup_prepare(getuid(), name, &a) == -1) {
		print_message("skipped: %s\n", a.why);
		skip();
	}
	assert_true(a.ndirs >= 1);
	(void)snprintf(sub, sizeof(sub), "%s/run-1", a.dir[0].path);
	assert_int_equal(mkdir(sub, 0755), 0);
	pid = sleeper_in(sub);
	for (i = 0; i < 500; i++) {
		char f[4300], t[16];
		ssize_t n;
		int fd;

		(void)snprintf(f, sizeof(f), "%s/cgroup.procs", sub);
		fd = open(f, O_RDONLY);
		n = read(fd, t, sizeof(t));
		(void)close(fd);
		if (n > 0)
			break;
		(void)usleep(10000);
	}
	/* Reaped as it dies, so that the group empties. */
	(void)signal(SIGCHLD, SIG_IGN);
	assert_int_equal(cgroup_prepare(getuid(), name, &b), 0);
	assert_int_equal(stat(sub, &st), -1);
	assert_int_equal(waitpid(pid, &status, 0), -1);
	(void)signal(SIGCHLD, SIG_DFL);
	cgroup_remove(&b);
	assert_int_equal(stat(a.dir[0].path, &st), -1);
	assert_int_equal(errno, ENOENT);
	cgroup_remove(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(make_and_sweep),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
