/* SPDX-License-Identifier: ISC */
/* The control group of a run, in a real hierarchy where one is writable. */
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
#include "workers/launcher/cgrun.h"

static struct cgroup_set set;
static struct cgrun_base base;
static const struct cgrun_limits limits = { 32u << 20, 8, 50 };

static int
setup(void **state)
{
	char name[64];
	unsigned i;

	(void)snprintf(name, sizeof(name), "axcgrun-%d", (int)getpid());
	cgrun_base_init(&base);
	if (cgroup_prepare(getuid(), name, &set) == -1) {
		print_message("no cgroup: %s\n", set.why);
		return (0);
	}
	for (i = 0; i < set.ndirs; i++)
		assert_int_equal(cgrun_base_add(&base, set.dir[i].name,
				     dup(set.dir[i].fd)),
		    0);
	return (0);
}

static int
teardown(void **state)
{
	cgroup_remove(&set);
	return (0);
}

static pid_t
child_in(uint64_t run)
{
	int fds[CGRUN_DIRS], n, i;
	pid_t pid;

	n = cgrun_open_procs(&base, run, fds);
	assert_true(n > 0);
	if ((pid = fork()) == 0) {
		for (i = 0; i < n; i++) {
			if (write(fds[i], "0", 1) != 1)
				_exit(1);
		}
		for (;;)
			(void)getppid();
	}
	for (i = 0; i < n; i++)
		(void)close(fds[i]);
	return (pid);
}

static void
names(void **state)
{
	struct cgrun_base b;

	cgrun_base_init(&b);
	assert_false(cgrun_usable(&b));
	assert_int_equal(cgrun_base_add(&b, "freezer", dup(0)), -1);
	assert_int_equal(cgrun_base_add(&b, "memory", 100), 0);
	assert_false(cgrun_usable(&b));
	assert_int_equal(cgrun_base_add(&b, "pids", 101), 0);
	assert_true(cgrun_usable(&b));
	cgrun_base_init(&b);
	assert_int_equal(cgrun_base_add(&b, "v2", 100), 0);
	assert_true(cgrun_usable(&b));
}

static void
life(void **state)
{
	struct cgrun_usage u;
	const char *what;
	int status, i;
	pid_t pid;

	if (!cgrun_usable(&base))
		skip();
	assert_int_equal(cgrun_make(&base, 7, &limits, &what), 0);
	assert_int_equal(cgrun_make(&base, 7, &limits, &what), -1);
	/* the failed second attempt removed the empty group */
	assert_int_equal(cgrun_make(&base, 7, &limits, &what), 0);
	pid = child_in(7);
	for (i = 0; i < 500 && cgrun_cpu_now(&base, 7) < 20000; i++)
		(void)usleep(10000);
	assert_true(cgrun_cpu_now(&base, 7) >= 20000);
	assert_int_equal(cgrun_remove(&base, 7), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(cgrun_kill(&base, 7, pid), 1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(cgrun_kill(&base, 7, 0), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	cgrun_usage(&base, 7, &u);
	assert_int_equal(u.oom, 0);
	assert_int_equal(u.pids_max, 0);
	for (i = 0; i < 500 && cgrun_remove(&base, 7) == -1; i++)
		(void)usleep(10000);
	assert_true(i < 500);
}

static void
sweeping(void **state)
{
	const char *what;
	int status, i;
	pid_t pid;

	if (!cgrun_usable(&base))
		skip();
	assert_int_equal(cgrun_make(&base, 1, &limits, &what), 0);
	assert_int_equal(cgrun_make(&base, 2, &limits, &what), 0);
	pid = child_in(2);
	for (i = 0; i < 500 && cgrun_kill(&base, 2, pid) == 0; i++)
		(void)usleep(10000);
	assert_true(cgrun_sweep(&base) > 0 || i < 500);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	for (i = 0; i < 500 && cgrun_sweep(&base) > 0; i++)
		(void)usleep(10000);
	assert_true(i < 500);
	assert_int_equal(cgrun_kill(&base, 1, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(life),
		cmocka_unit_test(sweeping),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
