/* SPDX-License-Identifier: ISC */
/*
 * Starting, watching and restarting the workers. The only file that forks them.
 * Children are reaped by pidfd, never by a bare pid.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cgroup.h"
#include "common/log.h"
#include "common/util.h"
#include "generation.h"
#include "parent.h"
#include "sink.h"

#define EXIT_BURST     70
#define DELAY_FIRST_MS 100
#define DELAY_FRONT_MS 1000
#define GOOD_LIFE_US   60000000ull
#define SETUP_LIMIT_S  20

static void proc_exited(evutil_socket_t, short, void *);
static void proc_timer(evutil_socket_t, short, void *);
static void start_shared(void);

const char *
proc_state_name(enum proc_state s)
{
	static const char *const n[] = { "down", "started", "setting_up",
		"ready", "draining", "drained", "lost" };

	return (n[s]);
}

struct proc *
proc_find(enum proc_role role, unsigned instance)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->role == role &&
		    parent.procs[i].instance == instance)
			return (&parent.procs[i]);
	}
	return (NULL);
}

bool
proc_all_in(enum proc_state s)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart != RC_ONESHOT &&
		    parent.procs[i].state != s)
			return (false);
	}
	return (true);
}

static void
proc_add(enum proc_role role, unsigned instance)
{
	struct proc *p = &parent.procs[parent.nprocs++];

	memset(p, 0, sizeof(*p));
	p->desc = &proc_table[role];
	p->instance = instance;
	p->pidfd = p->slot_fd = -1;
	p->start_ev = evtimer_new(parent.base, proc_timer, p);
	if (p->start_ev == NULL)
		fatalx("event_new");
}

void
proc_init_all(void)
{
	unsigned i, n;

	for (i = PROC_PARENT + 1; i < PROC_MAX; i++) {
		n = i == PROC_HTTP ?
		    (unsigned)settings_int(parent.settings, SET_HTTP_WORKERS) :
		    1;
		while (n-- > 0)
			proc_add((enum proc_role)i, n);
	}
}

/* ---- fork and exec ---- */

/* In the child: descriptor 3, a clean slate, the worker's executable. */
static void
child_exec(const struct proc *p, int sock)
{
	char path[4200];
	char *argv[2], *envp[8];
	unsigned n = 0;
	sigset_t none;
	static const char *const keep[] = { "AX_FAULT", "ASAN_OPTIONS",
		"UBSAN_OPTIONS", "JOURNAL_STREAM" };
	static char kept[4][512];
	const char *v;
	size_t i;

	for (i = 0; i < AX_NELEM(keep); i++) {
		if ((v = getenv(keep[i])) != NULL &&
		    (size_t)snprintf(kept[i], sizeof(kept[i]), "%s=%s", keep[i],
			v) < sizeof(kept[i]))
			envp[n++] = kept[i];
	}
	envp[n] = NULL;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (sock == 3) {
		if (fcntl(3, F_SETFD, 0) == -1)
			_exit(127);
	} else if (dup2(sock, 3) == -1)
		_exit(127);
	if (p->desc->role == PROC_LAUNCHER && parent.cgroup != NULL &&
	    cgroup_enter(parent.cgroup) == -1)
		log_warn("launcher: cannot enter the sandbox cgroup");
	(void)close_range(4, ~0U, 0);
	(void)snprintf(path, sizeof(path),
	    parent.in_build_tree ? "%s/%s/%s" : "%s%.0s/%s", parent.workers_dir,
	    proc_name(p->desc->role), proc_exec_name(p->desc->role));
	argv[0] = path;
	argv[1] = NULL;
	(void)execve(path, argv, envp);
	log_warn("exec %s", path);
	_exit(127);
}

static void proc_lost(struct ipc *, enum ipc_lost, const char *, void *);

static int
watch(struct proc *p)
{
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd == -1)
		return (-1);
	p->exit_ev = event_new(parent.base, p->pidfd, EV_READ, proc_exited, p);
	if (p->exit_ev == NULL || event_add(p->exit_ev, NULL) == -1)
		return (-1);
	return (0);
}

void
proc_start(struct proc *p)
{
	static const struct timeval limit = { SETUP_LIMIT_S, 0 };
	static const struct timeval retry = { 1, 0 };
	int sv[2];

	if (p->state != PROC_DOWN || parent.ending)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("proc: socketpair");
		goto later;
	}
	if ((p->pid = fork()) == 0)
		child_exec(p, sv[1]);
	(void)close(sv[1]);
	if (p->pid == -1) {
		log_warn("proc: fork");
		(void)close(sv[0]);
		goto later;
	}
	if (watch(p) == -1)
		fatal("proc: cannot watch a child");
	p->state = PROC_STARTED;
	p->expected = false;
	p->gen_ready = false;
	p->started_us = ax_mono_us();
	p->chan = ipc_new(parent.base, sv[0], PROC_PARENT, p->desc->role,
	    p->instance, parent_routes, nparent_routes, proc_lost, p);
	if (p->chan == NULL)
		fatalx("proc: out of memory");
	ipc_set_state(p->chan, PS_RUN);
	(void)evtimer_add(p->start_ev, &limit);
	return;
later:
	(void)evtimer_add(p->start_ev, &retry);
}

/* Either a restart is due, or set-up took too long. */
static void
proc_timer(evutil_socket_t fd, short what, void *arg)
{
	struct proc *p = arg;

	if (p->state == PROC_DOWN) {
		if (p->desc->restart == RC_SHARED && parent.lock_fd == -1)
			start_shared();
		else
			proc_start(p);
	} else if (p->state == PROC_STARTED || p->state == PROC_SETTING_UP) {
		log_warnx("%s: not ready after %d s: killed",
		    proc_name(p->desc->role), SETUP_LIMIT_S);
		proc_kill(p, SIGKILL);
	}
}

/* ---- the shared life ---- */

static bool
shared_all_down(void)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart == RC_SHARED &&
		    parent.procs[i].state != PROC_DOWN)
			return (false);
	}
	return (true);
}

static void
shared_retry(evutil_socket_t fd, short what, void *arg)
{
	start_shared();
}

static void
shared_later(void)
{
	static const struct timeval soon = { 0, 20000 };

	if (parent.lock_ev == NULL)
		parent.lock_ev = evtimer_new(parent.base, shared_retry, NULL);
	if (parent.lock_ev == NULL || evtimer_add(parent.lock_ev, &soon) == -1)
		fatalx("proc: out of memory");
}

/*
 * Starts audit, broker, launcher and files together, once all four are reaped
 * and every process of the life before has let go of the lock, also those of
 * a killed parent.
 */
static void
start_shared(void)
{
	static bool told;
	unsigned i;

	if (parent.ending)
		return;
	if (!shared_all_down()) {
		shared_later();
		return;
	}
	if (parent.lock_fd == -1 && (parent.lock_fd = resources_lock()) == -1) {
		if (!told)
			log_info("waiting for processes of an earlier life, "
				 "or another archillxd, to let go of %s/.lock",
			    settings_str(parent.settings, SET_EVIDENCE_DIR));
		told = true;
		shared_later();
		return;
	}
	told = false;
	parent.epoch = ax_real_us();
	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart == RC_SHARED)
			proc_start(&parent.procs[i]);
	}
}

void
proc_start_all(void)
{
	unsigned i;

	start_shared();
	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart != RC_SHARED &&
		    parent.procs[i].desc->restart != RC_ONESHOT)
			proc_start(&parent.procs[i]);
	}
}

/* ---- death ---- */

void
proc_kill(struct proc *p, int sig)
{
	if (p->pidfd != -1)
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

static void
proc_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	struct proc *p = arg;

	if (how == IPC_VIOLATION)
		log_warnx("%s: broke the rules towards the parent: %s",
		    proc_name(p->desc->role), why);
	ipc_free(p->chan);
	p->chan = NULL;
	p->state = PROC_LOST;
	/* A worker without its channel has no reason to live. */
	proc_kill(p, SIGKILL);
}

static void
describe_death(const struct proc *p, const siginfo_t *si, char *out, size_t n)
{
	if (si->si_code == CLD_EXITED)
		(void)snprintf(out, n, "exited with status %d%s", si->si_status,
		    si->si_status == 127 ?
			" (its executable could not be started)" :
			"");
	else if (si->si_status == SIGSYS)
		(void)snprintf(out, n,
		    "killed for a system call outside its "
		    "list (SIGSYS); CONFINEMENT=log tells which");
	else
		(void)snprintf(out, n, "killed by signal %d (%s)",
		    si->si_status, strsignal(si->si_status));
}

/* Deaths of p within the last minute, this one included. */
static unsigned
count_death(struct proc *p, uint64_t now)
{
	unsigned i, n = 0;

	p->deaths[p->ndeaths++ % PROC_DEATHS] = now;
	for (i = 0; i < PROC_DEATHS && i < p->ndeaths; i++)
		n += now - p->deaths[i] < GOOD_LIFE_US;
	return (n);
}

void
parent_abort(int status, const char *why)
{
	unsigned i;

	log_warnx("%s: the service ends", why);
	parent.ending = true;
	parent.exit_status = status;
	sink_abandon();
	for (i = 0; i < parent.nprocs; i++)
		proc_kill(&parent.procs[i], SIGKILL);
	(void)event_base_loopbreak(parent.base);
}

void
proc_reap_all(void)
{
	siginfo_t si;
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].pidfd != -1)
			(void)waitid((idtype_t)P_PIDFD,
			    (id_t)parent.procs[i].pidfd, &si, WEXITED);
	}
}

static void
schedule_restart(struct proc *p, uint64_t now)
{
	uint32_t max =
	    (uint32_t)settings_int(parent.settings, SET_RESTART_DELAY_MAX) *
	    1000;
	struct timeval tv;

	if (p->desc->restart == RC_FRONT && max > DELAY_FRONT_MS)
		max = DELAY_FRONT_MS;
	if (now - p->started_us > GOOD_LIFE_US || p->delay_ms == 0)
		p->delay_ms = DELAY_FIRST_MS;
	else if ((p->delay_ms *= 2) > max)
		p->delay_ms = max;
	tv.tv_sec = p->delay_ms / 1000;
	tv.tv_usec = (suseconds_t)(p->delay_ms % 1000) * 1000;
	(void)evtimer_add(p->start_ev, &tv);
	p->restarts++;
	metric_inc(parent.slot, MC_RESTARTS);
}

/* One of the four died: the others must not go on without it. */
static void
end_shared_life(struct proc *dead)
{
	unsigned i;

	if (parent.lock_fd != -1) {
		(void)close(parent.lock_fd);
		parent.lock_fd = -1;
	}
	archive_kill(); /* nobody waits for its answer */
	for (i = 0; i < parent.nprocs; i++) {
		struct proc *p = &parent.procs[i];

		if (p == dead || p->desc->restart != RC_SHARED ||
		    p->state == PROC_DOWN)
			continue;
		p->expected = true;
		proc_kill(p, SIGKILL);
	}
}

/* What it said of itself is no longer so; its counters stay. */
static void
clear_gauges(struct proc *p)
{
	unsigned i;

	for (i = 0; i < MG_MAX; i++)
		metric_set(p->slot, (enum metric_gauge)i, 0);
}

static void
proc_forget(struct proc *p)
{
	clear_gauges(p);
	if (p->exit_ev != NULL)
		event_free(p->exit_ev);
	p->exit_ev = NULL;
	(void)close(p->pidfd);
	p->pidfd = -1;
	ipc_free(p->chan);
	p->chan = NULL;
	p->state = PROC_DOWN;
	(void)evtimer_del(p->start_ev);
}

static void
judge_death(struct proc *p, const siginfo_t *si, const char *how)
{
	uint64_t now = ax_mono_us();
	int64_t burst = settings_int(parent.settings, SET_RESTART_BURST);
	unsigned deaths = count_death(p, now);
	char why[256];

	if (!parent.all_ready_once) {
		(void)snprintf(why, sizeof(why), "start-up failed: %s %s",
		    proc_exec_name(p->desc->role), how);
		parent_abort(si->si_code == CLD_EXITED &&
			    si->si_status == EX_CONFIG_STATUS ?
			EX_CONFIG_STATUS :
			1,
		    why);
		return;
	}
	if (si->si_code == CLD_EXITED && si->si_status == EX_CONFIG_STATUS) {
		(void)snprintf(why, sizeof(why), "%s cannot go on",
		    proc_name(p->desc->role));
		parent_abort(EX_CONFIG_STATUS, why);
		return;
	}
	if (p->desc->restart != RC_FRONT && burst > 0 &&
	    deaths >= (uint64_t)burst) {
		(void)snprintf(why, sizeof(why), "%s died %u times in 60 s",
		    proc_name(p->desc->role), deaths);
		parent_abort(EXIT_BURST, why);
		return;
	}
	schedule_restart(p, now);
	if (p->desc->restart == RC_SHARED)
		end_shared_life(p);
}

static void
proc_exited(evutil_socket_t fd, short what, void *arg)
{
	struct proc *p = arg;
	siginfo_t si = { 0 };
	char how[160];

	if (waitid((idtype_t)P_PIDFD, (id_t)p->pidfd, &si, WEXITED) == -1)
		fatal("waitid %s", proc_name(p->desc->role));
	describe_death(p, &si, how, sizeof(how));
	if (p->desc->restart != RC_ONESHOT)
		reload_on_death(p);
	proc_forget(p);
	if (p->desc->role == PROC_ARCHIVER)
		archive_on_exit(how);
	if (parent.ending) {
		stop_on_progress();
		return;
	}
	if (p->desc->restart == RC_ONESHOT)
		return;
	if (p->expected) {
		/* The death of another brought it here. */
		if (p->desc->restart == RC_SHARED)
			p->restarts++;
		return;
	}
	log_warnx("%s[%d] %s", proc_exec_name(p->desc->role), (int)p->pid, how);
	judge_death(p, &si, how);
}
