/* SPDX-License-Identifier: ISC */
/*
 * archillx-runner: process 1 of every sandbox. It waits on descriptor 3 for
 * the descriptors of its one job, writes the job's files, starts the program
 * under its limits and its system call filter, reaps, reports the program's
 * exact wait status on descriptor 3 and ends, which ends the sandbox. What
 * goes wrong before the program runs is said on stderr, without a status.
 *
 * It must never interpret what the job contains, never outlive the program,
 * and never let it have a descriptor above 2. No library besides libc: it is
 * linked statically.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/job.h"

#define EXIT_SETUP 125

struct job {
	const struct job_head *head;
	const struct sock_filter *filter;
	char *argv[JOB_ARG_MAX + 1];
	char *envp[JOB_ENV_MAX + 1];
	char *files; /* the first job_file_head */
	char *end;
};

/* Says which step failed, with errno unless it is 0; ends the process. */
static void __attribute__((noreturn)) fail(const char *step, int err)
{
	dprintf(2, "archillx-runner: %s%s%s\n", step, err != 0 ? ": " : "",
	    err != 0 ? strerror(err) : "");
	_exit(EXIT_SETUP);
}

/* ---- the job ---- */

/* n strings from *p on; *p moves behind them. */
static void
take_strings(char **p, char *end, uint32_t n, char **out)
{
	uint32_t i;
	char *nul;

	for (i = 0; i < n; i++) {
		nul = memchr(*p, '\0', (size_t)(end - *p));
		if (nul == NULL)
			fail("job: a string has no end", 0);
		out[i] = *p;
		*p = nul + 1;
	}
	out[n] = NULL;
}

/* Waits for the job; stdin, stdout and stderr become the program's. */
static int
receive_job(void)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} c;
	int fds[4], i;
	char go;
	struct iovec iov = { &go, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &c,
		.msg_controllen = sizeof(c.space) };
	ssize_t n;

	do {
		n = recvmsg(JOB_SOCK, &m, MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == 0)
		_exit(0); /* not needed any more */
	if (n != 1 || m.msg_controllen < CMSG_LEN(sizeof(fds)) ||
	    c.h.cmsg_type != SCM_RIGHTS ||
	    c.h.cmsg_len != CMSG_LEN(sizeof(fds)))
		fail("job: malformed message", n == -1 ? errno : 0);
	memcpy(fds, CMSG_DATA(&c.h), sizeof(fds));
	for (i = 1; i < 4; i++) {
		if (dup2(fds[i], i - 1) == -1 || close(fds[i]) == -1)
			fail("job: descriptors", errno);
	}
	return (fds[0]);
}

static void
load_job(struct job *j, int fd)
{
	struct stat st;
	uint64_t filter;
	char *p;

	if (fstat(fd, &st) == -1)
		fail("job", errno);
	if (st.st_size < (off_t)sizeof(*j->head))
		fail("job: too short", 0);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		fail("job: mmap", errno);
	(void)close(fd);
	j->head = (const struct job_head *)(const void *)p;
	j->end = p + st.st_size;
	filter = (uint64_t)j->head->filter_len * sizeof(struct sock_filter);
	if (j->head->magic != JOB_MAGIC || j->head->total != st.st_size ||
	    j->head->argc < 1 || j->head->argc > JOB_ARG_MAX ||
	    j->head->envc > JOB_ENV_MAX || j->head->filter_len > BPF_MAXINSNS ||
	    filter > (uint64_t)st.st_size - sizeof(*j->head))
		fail("job: malformed head", 0);
	p += sizeof(*j->head);
	j->filter = (const struct sock_filter *)(const void *)p;
	p += filter;
	take_strings(&p, j->end, j->head->argc, j->argv);
	take_strings(&p, j->end, j->head->envc, j->envp);
	j->files = p;
}

/*
 * The death signal comes from bubblewrap's death, which the launcher's brings
 * about. Had they died before we asked for it, the socket would tell.
 */
static void
check_launcher(void)
{
	char c;

	if (recv(JOB_SOCK, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		_exit(0);
}

/* ---- files ---- */

static void
make_folders(const char *path)
{
	char part[4096];
	size_t i, n = strlen(path);

	if (n >= sizeof(part))
		fail("files: path too long", 0);
	for (i = 0; i < n; i++) {
		if (path[i] == '/') {
			part[i] = '\0';
			if (mkdir(part, 0755) == -1 && errno != EEXIST)
				fail("files: mkdir", errno);
		}
		part[i] = path[i];
	}
}

static void
write_file(const char *path, const char *data, size_t len)
{
	ssize_t n;
	int fd;

	make_folders(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
	if (fd == -1)
		fail("files: open", errno);
	for (; len > 0; data += n, len -= (size_t)n) {
		if ((n = write(fd, data, len)) <= 0)
			fail("files: the sandbox's disk is too small", errno);
	}
	if (close(fd) == -1)
		fail("files: close", errno);
}

static void
write_files(const struct job *j)
{
	struct job_file_head h;
	char *p = j->files;
	uint32_t i;

	(void)umask(0);
	if (chdir(JOB_DIR) == -1 || mkdir(JOB_TMP, 01777) == -1)
		fail("files: " JOB_DIR, errno);
	(void)umask(022);
	for (i = 0; i < j->head->nfiles; i++) {
		if ((size_t)(j->end - p) < sizeof(h))
			fail("files: malformed", 0);
		memcpy(&h, p, sizeof(h));
		p += sizeof(h);
		if (h.path_len < 2 || h.path_len > (size_t)(j->end - p) ||
		    p[h.path_len - 1] != '\0' ||
		    h.data_len > (size_t)(j->end - p) - h.path_len)
			fail("files: malformed", 0);
		write_file(p, p + h.path_len, h.data_len);
		p += h.path_len + h.data_len;
	}
	if (p != j->end)
		fail("files: bytes left over", 0);
}

/* ---- the program ---- */

static int
limit(int what, uint64_t soft, uint64_t hard)
{
	struct rlimit rl = { soft, hard };

	return (setrlimit((__rlimit_resource_t)what, &rl));
}

static int
set_limits(const struct job_limits *l)
{
	if (limit(RLIMIT_CPU, l->cpu_s, l->cpu_s + 1) == -1 ||
	    limit(RLIMIT_FSIZE, l->fsize, l->fsize) == -1 ||
	    limit(RLIMIT_NOFILE, l->nofile, l->nofile) == -1 ||
	    limit(RLIMIT_STACK, l->stack, l->stack) == -1 ||
	    limit(RLIMIT_DATA, l->data, l->data) == -1 ||
	    limit(RLIMIT_CORE, 0, 0) == -1 ||
	    limit(RLIMIT_MEMLOCK, 0, 0) == -1 ||
	    limit(RLIMIT_MSGQUEUE, 0, 0) == -1 ||
	    limit(RLIMIT_NPROC, l->nproc, l->nproc) == -1)
		return (-1);
	return (0);
}

static int
load_filter(const struct job *j)
{
	struct sock_fprog prog;

	prog.len = (unsigned short)j->head->filter_len;
	prog.filter = (struct sock_filter *)(uintptr_t)j->filter;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return (-1);
	return ((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

struct failure {
	char step[16];
	int err;
};

static void __attribute__((noreturn)) child_fail(int fd, const char *step)
{
	struct failure f = { .err = errno };

	(void)snprintf(f.step, sizeof(f.step), "%s", step);
	(void)!write(fd, &f, sizeof(f));
	_exit(127);
}

/* In the child: never returns. `report` is close-on-exec. */
static void __attribute__((noreturn))
run_program(const struct job *j, int report)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() == -1)
		child_fail(report, "setsid");
	/* The report pipe becomes 3, the only one left above 2, until exec. */
	if (report != 3 && dup3(report, 3, O_CLOEXEC) == -1)
		child_fail(report, "descriptors");
	if (syscall(SYS_close_range, 4u, ~0u, 0) == -1)
		child_fail(3, "descriptors");
	if (set_limits(&j->head->limits) == -1)
		child_fail(3, "limits");
	if (load_filter(j) == -1)
		child_fail(3, "seccomp");
	(void)execve(j->argv[0], j->argv, j->envp);
	child_fail(3, "exec");
}

/* Starts the program; returns its pid once it has passed its execve. */
static pid_t
start_program(const struct job *j)
{
	struct failure f;
	int p[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(p, O_CLOEXEC) == -1)
		fail("pipe", errno);
	if ((pid = fork()) == -1)
		fail("fork", errno);
	if (pid == 0)
		run_program(j, p[1]);
	(void)close(p[1]);
	do {
		n = read(p[0], &f, sizeof(f));
	} while (n == -1 && errno == EINTR);
	(void)close(p[0]);
	if (n == (ssize_t)sizeof(f)) {
		f.step[sizeof(f.step) - 1] = '\0';
		fail(f.step, f.err);
	}
	return (pid);
}

int
main(void)
{
	static struct job j;
	struct job_status s = { .magic = JOB_MAGIC };
	struct rusage ru;
	int status;
	pid_t main_pid, pid;

	/* The program has our uid: keep it out of our /proc and memory. */
	if (fcntl(JOB_SOCK, F_SETFD, FD_CLOEXEC) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0) == -1 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fail("prctl", errno);
	load_job(&j, receive_job());
	check_launcher();
	write_files(&j);
	main_pid = start_program(&j);
	/* A pipe held by us would hide the end of the program's output. */
	(void)syscall(SYS_close_range, 0u, (unsigned)JOB_SOCK - 1, 0);
	do {
		pid = wait4(-1, &status, 0, &ru);
	} while (pid != main_pid && (pid != -1 || errno == EINTR));
	if (pid == -1)
		_exit(EXIT_SETUP);
	s.wait_status = status;
	s.maxrss = (uint64_t)ru.ru_maxrss * 1024;
	_exit(write(JOB_SOCK, &s, sizeof(s)) == (ssize_t)sizeof(s) ?
		0 :
		EXIT_SETUP);
}
