/* SPDX-License-Identifier: ISC */
/*
 * The step from the launcher to bubblewrap: what the child does between fork
 * and exec. Only calls that are safe there.
 *
 * It must never leave the child a descriptor, a signal setting or a variable
 * of the launcher.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/job.h"
#include "start.h"

#define HIGH_FD 64 /* above everything that is put in place */

static void __attribute__((noreturn)) child_fail(const char *step)
{
	static const char *const lead = "archillx-launcher: ";
	const char *why = strerrordesc_np(errno);
	const char *const parts[] = { lead, step, ": ", why != NULL ? why : "?",
		"\n" };
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		(void)!write(2, parts[i], strlen(parts[i]));
	_exit(126);
}

/* Descriptors 0 to 3, in two passes so that none is overwritten too early. */
static int
place(int sock, int err)
{
	int high_sock = fcntl(sock, F_DUPFD, HIGH_FD);
	int high_err = fcntl(err, F_DUPFD, HIGH_FD);

	if (high_sock == -1 || high_err == -1 || dup2(0, 1) == -1 ||
	    dup2(high_err, 2) == -1 || dup2(high_sock, JOB_SOCK) == -1)
		return (-1);
	return (0);
}

static void __attribute__((noreturn)) child(pid_t parent, char *const *argv,
    int sock, int err, const int *procs, int nprocs)
{
	static char *const no_env[] = { NULL };
	sigset_t none;
	int i, sig;

	/* The launcher's death ends the sandbox; --die-with-parent repeats it
	 * after bubblewrap's own changes of identity. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(126);
	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	for (i = 0; i < nprocs; i++) {
		if (write(procs[i], "0", 1) != 1) {
			(void)dup2(err, 2);
			child_fail("cgroup.procs");
		}
	}
	if (place(sock, err) == -1)
		child_fail("descriptors");
	if (syscall(SYS_close_range, (unsigned)JOB_SOCK + 1, ~0u, 0) == -1)
		child_fail("close_range");
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(AX_BWRAP, argv, no_env);
	child_fail(AX_BWRAP);
}

pid_t
start_bwrap(char *const *argv, int sock, int err, const int *procs, int nprocs)
{
	pid_t parent = getpid(), pid;

	pid = fork();
	if (pid == 0)
		child(parent, argv, sock, err, procs, nprocs);
	return (pid);
}
