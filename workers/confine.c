/* SPDX-License-Identifier: ISC */
/*
 * The confinement of a worker: limits, identity, landlock, seccomp. Mechanism
 * only; what a worker is allowed stands in its struct worker_ops. Nothing here
 * may be called after READY.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <linux/landlock.h>
#include <seccomp.h>

#include "common/log.h"
#include "common/util.h"
#include "confine.h"
#include "worker.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define MDWE_REFUSE_EXEC_GAIN 1UL
#define MDWE_NO_INHERIT	      2UL

/* ---- landlock: kernel headers here know ABI 2, the kernel may know more ---- */

struct ll_ruleset_attr {
	uint64_t fs, net, scoped;
};
#define LL_NET_ALL 3u /* bind and connect TCP, ABI 4 */
/* ABI 6 */
#define LL_SCOPE_SOCKETS 1u /* abstract unix sockets */
#define LL_SCOPE_SIGNALS 2u

static uint64_t
landlock_fs_rights(int abi)
{
	static const unsigned bits[] = { 0, 13, 14, 15, 15, 16 };

	return ((1ull << bits[abi >= 5 ? 5 : abi]) - 1);
}

int
confine_landlock_new(bool fs, int *abi)
{
	struct ll_ruleset_attr a = { 0 };
	size_t size = sizeof(a.fs);
	long fd;

	*abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (*abi <= 0) {
		*abi = 0;
		return (-1);
	}
	if (fs)
		a.fs = landlock_fs_rights(*abi);
	if (*abi >= 4) {
		a.net = LL_NET_ALL;
		size = sizeof(a.fs) + sizeof(a.net);
	}
	if (*abi >= 6) {
		a.scoped = LL_SCOPE_SOCKETS;
		/*
		 * The launcher (fs false) must be able to end what a launcher
		 * before it has started: a signal scope would refuse.
		 */
		if (fs)
			a.scoped |= LL_SCOPE_SIGNALS;
		size = sizeof(a);
	}
	if (a.fs == 0 && a.net == 0)
		return (-1);
	fd = syscall(SYS_landlock_create_ruleset, &a, size, 0);
	if (fd == -1)
		fatal("landlock_create_ruleset");
	return ((int)fd);
}

int
confine_landlock_allow(int ruleset, int abi, int dirfd, uint64_t access)
{
	struct landlock_path_beneath_attr pb = { .parent_fd = dirfd,
		.allowed_access = access & landlock_fs_rights(abi) };

	if (ruleset == -1)
		return (0);
	return (syscall(SYS_landlock_add_rule, ruleset,
		    LANDLOCK_RULE_PATH_BENEATH, &pb, 0) == -1 ?
		-1 :
		0);
}

void
confine_landlock_enforce(int ruleset)
{
	if (ruleset == -1)
		return;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
		fatal("landlock_restrict_self");
	(void)close(ruleset);
}

/* ---- limits ---- */

static void
limit(int what, rlim_t v, const char *name)
{
	struct rlimit rl = { v, v };

	if (setrlimit((__rlimit_resource_t)what, &rl) == -1)
		fatal("setrlimit %s", name);
}

void
confine_rlimits(const struct worker_ops *ops)
{
	limit(RLIMIT_CORE, 0, "CORE");
	limit(RLIMIT_FSIZE,
	    ops->rlimit_fsize != 0 ? ops->rlimit_fsize : IPC_BIG_MAX * 2,
	    "FSIZE");
	limit(RLIMIT_NOFILE, ops->rlimit_nofile != 0 ? ops->rlimit_nofile : 256,
	    "NOFILE");
#ifndef AX_SANITIZERS
	if (!ops->may_fork)
		limit(RLIMIT_NPROC, 0, "NPROC");
#endif
}

/* ---- identity ---- */

static void
drop_bounding_set(void)
{
	int cap;

	for (cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			fatal("PR_CAPBSET_DROP %d", cap);
	}
}

static void
verify_identity(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg, groups[2];

	if (getresuid(&r, &e, &s) == -1 || r != uid || e != uid || s != uid ||
	    getresgid(&rg, &eg, &sg) == -1 || rg != gid || eg != gid ||
	    sg != gid)
		fatalx("identity was not changed");
	if (getgroups(2, groups) > 1)
		fatalx("supplementary groups were not dropped");
	if (uid != 0 && setuid(0) == 0)
		fatalx("root can be regained");
}

void
confine_identity(const struct worker_setup *s)
{
	gid_t gid = s->gid;

	if (!s->as_root)
		return;
	if (s->root != NULL) {
		if (chroot(s->root) == -1)
			fatal("chroot %s", s->root);
		if (chdir("/") == -1)
			fatal("chdir /");
	}
	drop_bounding_set();
	if (setgroups(1, &gid) == -1)
		fatal("setgroups");
	if (setresgid(s->gid, s->gid, s->gid) == -1)
		fatal("setresgid");
	if (setresuid(s->uid, s->uid, s->uid) == -1)
		fatal("setresuid");
	verify_identity(s->uid, s->gid);
}

bool
confine_prctl(const struct worker_ops *ops, uint32_t parent_pid)
{
	unsigned long mdwe = MDWE_REFUSE_EXEC_GAIN;

	/* After the change of uid, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fatal("PR_SET_PDEATHSIG");
	if ((uint32_t)getppid() != parent_pid)
		fatalx("the parent died during set-up");
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		fatal("PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	if (ops->may_fork)
		mdwe |= MDWE_NO_INHERIT; /* interpreters may need it */
#ifdef AX_SANITIZERS
	(void)mdwe; /* shadow memory is mapped as the runtime likes */
	return (false);
#else
	/* Linux 6.3; older kernels simply lack it. */
	return (prctl(PR_SET_MDWE, mdwe, 0, 0, 0) == 0);
#endif
}

/* ---- seccomp ---- */

/* Needed by the C library, libevent and the channels of every worker. */
static const int common_syscalls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(munmap),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(pipe2),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(membarrier),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(memfd_create),
	SCMP_SYS(munlock),
	SCMP_SYS(sched_yield),
	SCMP_SYS(tgkill),
	/* qsort(3) asks it before it sorts more than a kilobyte. */
	SCMP_SYS(sysinfo),
};

/* Probed by libraries that fall back when the kernel lacks them. */
static const int enosys_syscalls[] = {
	SCMP_SYS(clone3),
	SCMP_SYS(openat2),
	SCMP_SYS(faccessat2),
	SCMP_SYS(statx),
	SCMP_SYS(rseq),
	SCMP_SYS(futex_waitv),
	SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
	SCMP_SYS(signalfd4),
};

/* The launcher must make namespaces and mounts; what it never needs. */
static const int denied_syscalls[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(bpf),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(quotactl),
	SCMP_SYS(syslog),
	SCMP_SYS(vmsplice),
	SCMP_SYS(move_pages),
	SCMP_SYS(migrate_pages),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(lookup_dcookie),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(uselib),
	SCMP_SYS(ustat),
	SCMP_SYS(nfsservctl),
	SCMP_SYS(vhangup),
	SCMP_SYS(kcmp),
};

static bool
listed(const int *list, int nr)
{
	for (; list != NULL && *list != -1; list++) {
		if (*list == nr)
			return (true);
	}
	return (false);
}

static void
add_rule(scmp_filter_ctx ctx, uint32_t action, int nr)
{
	int r = seccomp_rule_add(ctx, action, nr, 0);

	/* A call that this architecture does not have is not a hole. */
	if (r != 0 && r != -EDOM && r != -EEXIST && r != -EACCES)
		fatalx("seccomp rule %d: %s", nr, strerror(-r));
}

/* Calls that are allowed with certain arguments only. */
static void
add_argument_rules(scmp_filter_ctx ctx, const struct worker_ops *ops)
{
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) != 0 ||
	    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) != 0)
		fatalx("seccomp rules of mmap");
	/* fstat(3) is newfstatat with an empty path in today's C library. */
	if (!listed(ops->extra_syscalls, SCMP_SYS(newfstatat)) &&
	    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
		SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)) != 0)
		fatalx("seccomp rule of newfstatat");
}

static scmp_filter_ctx
allow_list(const struct worker_ops *ops, uint32_t dflt)
{
	scmp_filter_ctx ctx;
	const int *p;
	size_t i;

	if ((ctx = seccomp_init(dflt)) == NULL)
		fatalx("seccomp_init");
	for (i = 0; i < AX_NELEM(enosys_syscalls); i++) {
		if (!listed(ops->extra_syscalls, enosys_syscalls[i]))
			add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS),
			    enosys_syscalls[i]);
	}
	for (i = 0; i < AX_NELEM(common_syscalls); i++) {
		if (!listed(ops->fewer_syscalls, common_syscalls[i]))
			add_rule(ctx, SCMP_ACT_ALLOW, common_syscalls[i]);
	}
	for (p = ops->extra_syscalls; p != NULL && *p != -1; p++)
		add_rule(ctx, SCMP_ACT_ALLOW, *p);
	add_argument_rules(ctx, ops);
	return (ctx);
}

static scmp_filter_ctx
deny_list(void)
{
	scmp_filter_ctx ctx;
	size_t i;

	if ((ctx = seccomp_init(SCMP_ACT_ALLOW)) == NULL)
		fatalx("seccomp_init");
	for (i = 0; i < AX_NELEM(denied_syscalls); i++)
		add_rule(ctx, SCMP_ACT_ERRNO(EPERM), denied_syscalls[i]);
	return (ctx);
}

void
confine_seccomp(const struct worker_ops *ops, enum confinement mode)
{
	static const uint32_t action[CF_MAX] = {
		[CF_KILL] = SCMP_ACT_KILL_PROCESS,
		[CF_ERRNO] = SCMP_ACT_ERRNO(EPERM),
		[CF_LOG] = SCMP_ACT_LOG,
	};
	scmp_filter_ctx ctx;
	int r;

	if (mode == CF_OFF)
		return;
	ctx = ops->may_fork ? deny_list() : allow_list(ops, action[mode]);
	if ((r = seccomp_load(ctx)) != 0)
		fatalx("seccomp_load: %s", strerror(-r));
	seccomp_release(ctx);
}
