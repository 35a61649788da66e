/* SPDX-License-Identifier: ISC */
/*
 * The sandbox's filter, tried for real: a child loads it and makes calls; what
 * it got comes back through its exit status.
 */
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "workers/broker/syscalls.h"

#define LET 255 /* allowed, whatever the kernel then said */

static struct sock_filter *filter;
static size_t nfilter;

static int
setup(void **state)
{
	filter = syscalls_compile(&nfilter);
	return (filter != NULL ? 0 : -1);
}

static int
teardown(void **state)
{
	free(filter);
	return (0);
}

static void
load(void)
{
	struct sock_fprog prog = { (unsigned short)nfilter, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == -1)
		_exit(254);
}

/* The errno of a call under the filter, LET, or the signal plus 256. */
static int
outcome(long nr, long a, long b, long c, long d)
{
	int status;
	pid_t pid;
	long r;

	if ((pid = fork()) == 0) {
		load();
		r = syscall(nr, a, b, c, d, 0, 0);
		syscall(SYS_exit_group,
		    r == -1 && (errno == EPERM || errno == ENOSYS) ? errno :
								     LET);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return (
	    WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void
shape(void **state)
{
	unsigned allowed, conditional;

	assert_true(nfilter > 100 && nfilter < 4096);
	syscalls_count(&allowed, &conditional);
	assert_true(allowed > 100 && allowed <= 205);
	assert_int_equal(conditional, 8);
}

/* Refused to everybody; with arguments that would not fail with EPERM
 * without the filter where that is possible. */
static void
refused(void **state)
{
	static const struct {
		long nr, a, b, c;
	} t[] = {
		{ SYS_ptrace, 0, 0, 0 }, /* PTRACE_TRACEME */
		{ SYS_process_vm_readv, 1, 0, 0 },
		{ SYS_process_vm_writev, 1, 0, 0 },
		{ SYS_kcmp, 1, 1, 0 },
		{ SYS_mount, 0, 0, 0 },
		{ SYS_umount2, 0, 0, 0 },
		{ SYS_pivot_root, 0, 0, 0 },
		{ SYS_chroot, 0, 0, 0 },
		{ 428 /* open_tree */, 0, 0, 0 },
		{ 429 /* move_mount */, 0, 0, 0 },
		{ 430 /* fsopen */, 0, 0, 0 },
		{ 442 /* mount_setattr */, 0, 0, 0 },
		{ SYS_unshare, CLONE_NEWUSER, 0, 0 },
		{ SYS_unshare, 0, 0, 0 },
		{ SYS_setns, 0, 0, 0 },
		{ 425 /* io_uring_setup */, 1, 0, 0 },
		{ 426 /* io_uring_enter */, 0, 0, 0 },
		{ 427 /* io_uring_register */, 0, 0, 0 },
		{ SYS_bpf, 0, 0, 0 },
		{ SYS_perf_event_open, 0, 0, 0 },
		{ SYS_userfaultfd, 1, 0, 0 },
		{ SYS_add_key, 0, 0, 0 },
		{ SYS_keyctl, 0, 0, 0 },
		{ SYS_request_key, 0, 0, 0 },
		{ SYS_init_module, 0, 0, 0 },
		{ SYS_finit_module, 0, 0, 0 },
		{ SYS_kexec_load, 0, 0, 0 },
		{ SYS_reboot, 0, 0, 0 },
		{ SYS_swapon, 0, 0, 0 },
		{ SYS_acct, 0, 0, 0 },
		{ SYS_settimeofday, 0, 0, 0 },
		{ SYS_clock_settime, 0, 0, 0 },
		{ SYS_quotactl, 0, 0, 0 },
		{ SYS_syslog, 10, 0, 0 },
		{ SYS_open_by_handle_at, 0, 0, 0 },
		{ SYS_name_to_handle_at, 0, 0, 0 },
		{ SYS_fanotify_init, 0, 0, 0 },
		{ SYS_inotify_init1, 0, 0, 0 },
		{ SYS_vmsplice, 0, 0, 0 },
		{ SYS_personality, -1, 0, 0 },
		{ SYS_seccomp, 0, 0, 0 },
		{ SYS_setuid, 0, 0, 0 },
		{ SYS_setgroups, 0, 0, 0 },
		{ SYS_sync, 0, 0, 0 },
		{ SYS_flock, 0, 0, 0 },
		{ SYS_mlockall, 1, 0, 0 },
		{ 447 /* memfd_secret */, 0, 0, 0 },
		{ 438 /* pidfd_getfd */, 0, 0, 0 },
		{ 440 /* process_madvise */, 0, 0, 0 },
		{ SYS_shmget, 0, 4096, 01600 },
#ifdef SYS_modify_ldt
		{ SYS_modify_ldt, 0, 0, 0 },
		{ SYS_iopl, 0, 0, 0 },
		{ SYS_ioperm, 0, 0, 0 },
#endif
		/* by their arguments */
		{ SYS_socket, AF_INET, SOCK_STREAM, 0 },
		{ SYS_socket, AF_INET6, SOCK_DGRAM, 0 },
		{ SYS_socket, AF_NETLINK, SOCK_RAW, 0 },
		{ SYS_socket, AF_PACKET, SOCK_RAW, 0 },
		{ SYS_socket, AF_ALG, SOCK_SEQPACKET, 0 },
		{ SYS_socket, AF_VSOCK, SOCK_STREAM, 0 },
		{ SYS_socket, (long)(1ul << 32 | AF_UNIX), SOCK_STREAM, 0 },
		{ SYS_prctl, PR_SET_MM, 0, 0 },
		{ SYS_prctl, PR_SET_SECCOMP, 2, 0 },
		{ SYS_ioctl, 0, TIOCSTI, 0 },
		{ SYS_ioctl, 0, TIOCLINUX, 0 },
		{ SYS_fcntl, 0, F_SETLK, 0 },
		{ SYS_fcntl, 0, F_SETLEASE, 0 },
		{ SYS_fcntl, 0, F_NOTIFY, 0 },
		{ SYS_mknodat, AT_FDCWD, 0, S_IFBLK },
		{ SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0 },
		{ SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0 },
		{ SYS_clone, CLONE_NEWNET | CLONE_NEWPID, 0, 0 },
	};
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++) {
		int got = outcome(t[i].nr, t[i].a, t[i].b, t[i].c, 0);

		if (got != EPERM)
			fail_msg("row %zu (call %ld): %d", i, t[i].nr, got);
	}
}

static void
allowed(void **state)
{
	static const struct {
		long nr, a, b, c;
	} t[] = {
		{ SYS_getpid, 0, 0, 0 },
		{ SYS_read, -1, 0, 0 },
		{ SYS_openat, AT_FDCWD, 0, 0 },
		{ SYS_execve, 0, 0, 0 },
		{ SYS_socket, AF_UNIX, SOCK_STREAM, 0 },
		{ SYS_fcntl, 0, F_GETFL, 0 },
		{ SYS_ioctl, 0, FIONREAD, 0 },
		{ SYS_prctl, PR_GET_NAME, 0, 0 },
		{ SYS_futex, 0, 0, 0 },
		{ SYS_kill, 0, 0, 0 },
		{ SYS_memfd_create, 0, 0, 0 },
		{ SYS_mknodat, AT_FDCWD, 0, S_IFIFO },
		{ SYS_clone, SIGCHLD | CLONE_FS, 0, 0 },
	};
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++) {
		int got = outcome(t[i].nr, t[i].a, t[i].b, t[i].c, 0);

		if (got != LET)
			fail_msg("row %zu (call %ld): %d", i, t[i].nr, got);
	}
	assert_int_equal(outcome(435 /* clone3 */, 0, 0, 0, 0), ENOSYS);
}

#ifdef __x86_64__
static void
call_int80(void)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(20 /* getpid */)
			 : "memory", "cc");
	_exit(LET);
}

static void
call_x32(void)
{
	(void)syscall(0x40000000l | SYS_getpid);
	_exit(LET);
}

/* Calls of another architecture would be read with the wrong numbers. */
static void
other_architectures(void **state)
{
	void (*const calls[])(void) = { call_int80, call_x32 };
	int status;
	size_t i;
	pid_t pid;

	for (i = 0; i < AX_NELEM(calls); i++) {
		if ((pid = fork()) == 0) {
			load();
			calls[i]();
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		/* SIGSEGV: a kernel without 32-bit emulation */
		assert_true(
		    WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shape),
		cmocka_unit_test(refused),
		cmocka_unit_test(allowed),
#ifdef __x86_64__
		cmocka_unit_test(other_architectures),
#endif
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
