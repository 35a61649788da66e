/* SPDX-License-Identifier: ISC */
/*
 * archillx-launcher: the hands that start untrusted programs. It makes a
 * control group, starts bubblewrap with the arguments that the broker's policy
 * made, watches the deadline, kills, reaps and reports. It holds no secret, no
 * socket but its channels, and no file but the folders of the control groups
 * and the lock of the shared life.
 *
 * It must never open a path that came with a message, and never look at what a
 * job or its output contains.
 */
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/job.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/worker.h"
#include "cgrun.h"
#include "start.h"

#define ARGC_MAX	192
#define KILL_AGAIN_MS	20
#define KILL_OUTER_TRIES 10 /* then bubblewrap itself */
#define REMOVE_TRIES	500
#define SWEEP_TRIES	1000

struct run {
	TAILQ_ENTRY(run) entry;
	uint64_t id;
	pid_t pid; /* bubblewrap; 0 once reaped */
	int pidfd;
	int status_fd; /* the runner's record */
	uint64_t started_us;
	struct event *exit_ev, *wall_ev, *again_ev;
	enum end_hint ended_by; /* HINT_WALL, HINT_KILLED */
	uint64_t cpu_us;	/* when we ended it; the kernel forgets it */
	unsigned tries;
	bool in_cgroup;
};

static struct {
	struct worker *w;
	TAILQ_HEAD(, run) runs;
	struct cgrun_base cg;
	int lock_fd; /* held for life, never used */
	struct event *sweep_ev;
	unsigned sweep_tries;
	bool sweeping;
} me = { .lock_fd = -1 };

/* What LAUNCH says; argv points into the message. */
struct launch {
	uint64_t run, epoch;
	struct cgrun_limits limits;
	uint32_t wall_ms;
	uint16_t argc;
	char *argv[ARGC_MAX + 1];
};

static struct run *
run_find(uint64_t id)
{
	struct run *r;

	TAILQ_FOREACH(r, &me.runs, entry) {
		if (r->id == id)
			return (r);
	}
	return (NULL);
}

static void
run_free(struct run *r)
{
	TAILQ_REMOVE(&me.runs, r, entry);
	if (r->exit_ev != NULL)
		event_free(r->exit_ev);
	if (r->wall_ev != NULL)
		event_free(r->wall_ev);
	if (r->again_ev != NULL)
		event_free(r->again_ev);
	if (r->pidfd != -1)
		(void)close(r->pidfd);
	if (r->status_fd != -1)
		(void)close(r->status_fd);
	free(r);
	if (me.w->draining && TAILQ_EMPTY(&me.runs))
		worker_drained(me.w);
}

static void
again(struct run *r)
{
	static const struct timeval tv = { 0, KILL_AGAIN_MS * 1000 };

	(void)event_add(r->again_ev, &tv);
}

/* ---- ending a run ---- */

/*
 * Process 1 of the sandbox is among those killed, and with it the kernel ends
 * its whole pid namespace; bubblewrap, outside of it, then reports. It is
 * killed too only if that does not happen, or if there is no group to list.
 */
static void
run_kill(struct run *r, enum end_hint why)
{
	if (r->pid == 0)
		return;
	if (r->ended_by == HINT_NONE) {
		r->ended_by = why;
		if (r->in_cgroup)
			r->cpu_us = cgrun_cpu_now(&me.cg, r->id);
	}
	if (!r->in_cgroup || cgrun_kill(&me.cg, r->id, r->pid) <= 1 ||
	    r->tries++ > KILL_OUTER_TRIES)
		(void)kill(r->pid, SIGKILL);
	again(r);
}

/* Kill again, or remove the group, until there is nothing left to do. */
static void
run_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	if (r->pid != 0) {
		run_kill(r, r->ended_by);
		return;
	}
	(void)cgrun_kill(&me.cg, r->id, 0);
	if (cgrun_remove(&me.cg, r->id) == -1 && r->tries++ < REMOVE_TRIES) {
		again(r);
		return;
	}
	if (r->tries >= REMOVE_TRIES)
		log_warnx("run: a cgroup cannot be removed");
	run_free(r);
}

static void
run_on_wall(evutil_socket_t fd, short what, void *arg)
{
	run_kill(arg, HINT_WALL);
}

static enum end_hint
hint_of(const struct run *r, const struct cgrun_usage *u, bool has_status,
    int status)
{
	bool well = has_status && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0;

	if (r->ended_by != HINT_NONE)
		return (r->ended_by);
	if (u->oom > 0 && !well)
		return (HINT_OOM);
	if (!has_status)
		return (HINT_SETUP);
	return (u->pids_max > 0 && !well ? HINT_PIDS : HINT_NONE);
}

static uint64_t
tv_us(const struct timeval *tv)
{
	return ((uint64_t)tv->tv_sec * 1000000u + (uint64_t)tv->tv_usec);
}

/* The group's own count if there is one. What process 1 did not reap itself
 * is missing from rusage; it was looked up when we ended the run. */
static uint64_t
cpu_of(const struct run *r, const struct cgrun_usage *u,
    const struct rusage *ru)
{
	uint64_t reaped = tv_us(&ru->ru_utime) + tv_us(&ru->ru_stime);

	if (u->cpu_us != 0)
		return (u->cpu_us);
	return (r->cpu_us > reaped ? r->cpu_us : reaped);
}

static void
report(struct run *r, int status, const struct rusage *ru)
{
	struct buf b = BUF_INITIALIZER;
	struct job_status s = { 0 };
	struct cgrun_usage u = { 0 };
	struct ipc *broker = worker_peer(me.w, PROC_BROKER, 0);
	bool has;

	has = read(r->status_fd, &s, sizeof(s)) == (ssize_t)sizeof(s) &&
	    s.magic == JOB_MAGIC;
	if (r->in_cgroup)
		cgrun_usage(&me.cg, r->id, &u);
	if (has)
		status = s.wait_status;
	mw_u64(&b, r->id);
	mw_i32(&b, status);
	mw_u64(&b, cpu_of(r, &u, ru));
	mw_u64(&b, ax_mono_us() - r->started_us);
	mw_u64(&b, u.peak != 0 ? u.peak : s.maxrss);
	mw_u8(&b, (uint8_t)hint_of(r, &u, has, status));
	if (broker != NULL &&
	    ipc_send_buf(broker, MSG_EXITED, 0, &b) == -1)
		log_warn("run: EXITED");
	buf_free(&b);
}

static void
run_on_exit(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	struct rusage ru;
	int status;

	if (wait4(r->pid, &status, WNOHANG, &ru) != r->pid)
		return;
	r->pid = 0;
	r->tries = 0;
	(void)event_del(r->exit_ev);
	(void)event_del(r->wall_ev);
	(void)event_del(r->again_ev);
	report(r, status, &ru);
	if (r->in_cgroup)
		run_on_again(-1, 0, r);
	else
		run_free(r);
}

/* ---- starting one ---- */

static struct run *
run_new(uint64_t id)
{
	struct event_base *base = me.w->base;
	struct run *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return (NULL);
	r->id = id;
	r->pidfd = r->status_fd = -1;
	TAILQ_INSERT_TAIL(&me.runs, r, entry);
	r->wall_ev = evtimer_new(base, run_on_wall, r);
	r->again_ev = evtimer_new(base, run_on_again, r);
	if (r->wall_ev == NULL || r->again_ev == NULL) {
		run_free(r);
		errno = ENOMEM;
		return (NULL);
	}
	return (r);
}

/* Forks, and watches; 0 or an errno. */
static int
run_fork(struct run *r, const struct launch *l, struct start_fds *f)
{
	int procs[CGRUN_DIRS], n = 0, i, p[2], err = 0;

	if (pipe2(p, O_CLOEXEC) == -1)
		return (errno);
	r->status_fd = p[0];
	f->status = p[1];
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	if (r->in_cgroup && (n = cgrun_open_procs(&me.cg, r->id, procs)) == -1)
		err = errno;
	r->started_us = ax_mono_us();
	if (err == 0 &&
	    (r->pid = start_bwrap(l->argv, f, procs, n)) == -1) {
		err = errno;
		r->pid = 0;
	}
	for (i = 0; i < n; i++)
		(void)close(procs[i]);
	(void)close(p[1]);
	return (err);
}

static int
run_watch(struct run *r, uint32_t wall_ms)
{
	struct timeval tv = { wall_ms / 1000, wall_ms % 1000 * 1000 };

	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->pidfd == -1)
		return (errno);
	r->exit_ev = event_new(me.w->base, r->pidfd, EV_READ, run_on_exit, r);
	if (r->exit_ev == NULL || event_add(r->exit_ev, NULL) == -1 ||
	    event_add(r->wall_ev, &tv) == -1)
		return (ENOMEM);
	return (0);
}

static void
run_abandon(struct run *r)
{
	if (r->pid != 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
		r->pid = 0;
	}
	if (r->in_cgroup)
		run_on_again(-1, 0, r);
	else
		run_free(r);
}

static int
run_start(const struct launch *l, struct start_fds *f)
{
	const char *what = "fork";
	struct run *r;
	int err = 0;

	if (l->epoch != me.w->epoch)
		return (ESTALE);
	if (me.sweeping)
		return (EBUSY);
	if ((r = run_new(l->run)) == NULL)
		return (errno);
	if (cgrun_usable(&me.cg)) {
		if (cgrun_make(&me.cg, r->id, &l->limits, &what) == -1)
			err = errno;
		else
			r->in_cgroup = true;
	}
	if (err == 0)
		err = run_fork(r, l, f);
	if (err == 0)
		err = run_watch(r, l->wall_ms);
	if (err != 0) {
		log_warnx("run: %s: %s", what, strerror(err));
		run_abandon(r);
	}
	return (err);
}

/* ---- messages ---- */

static int
launch_get(const struct ipc_msg *m, struct launch *l)
{
	struct msg_r r;
	unsigned i;

	memset(l, 0, sizeof(*l));
	mr_init(&r, m->body, m->len);
	l->run = mr_u64(&r);
	l->epoch = mr_u64(&r);
	l->limits.memory = mr_u64(&r);
	l->limits.pids = mr_u32(&r);
	l->limits.cpu_percent = mr_u32(&r);
	l->wall_ms = mr_u32(&r);
	l->argc = mr_u16(&r);
	if (l->argc < 1 || l->argc > ARGC_MAX)
		return (-1);
	for (i = 0; i < l->argc; i++)
		l->argv[i] = (char *)(uintptr_t)mr_str_req(&r);
	return (mr_end(&r));
}

static void
launcher_on_launch(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct buf b = BUF_INITIALIZER;
	struct start_fds f = { m->fds[0], m->fds[1], m->fds[2], m->fds[3], -1 };
	struct launch l;
	int err;

	if (launch_get(m, &l) == -1 || run_find(l.run) != NULL) {
		ipc_violation(c, "malformed LAUNCH");
		return;
	}
	err = run_start(&l, &f);
	mw_u64(&b, l.run);
	mw_i32(&b, err);
	if (ipc_send_buf(c, MSG_LAUNCHED, m->id, &b) == -1)
		log_warn("run: LAUNCHED");
	buf_free(&b);
}

static void
launcher_on_kill(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	struct run *run;

	mr_init(&r, m->body, m->len);
	run = run_find(mr_u64(&r));
	if (run != NULL && run->pid != 0)
		run_kill(run, HINT_KILLED);
}

static void
send_swept(bool ok, const char *reason)
{
	struct buf b = BUF_INITIALIZER;
	struct ipc *broker = worker_peer(me.w, PROC_BROKER, 0);

	me.sweeping = false;
	mw_u64(&b, me.w->epoch);
	mw_u8(&b, ok);
	mw_str(&b, reason);
	if (broker != NULL && ipc_send_buf(broker, MSG_SWEPT, 0, &b) == -1)
		log_warn("sweep: SWEPT");
	buf_free(&b);
}

/* Kills what is there until nothing is; then answers. */
static void
launcher_on_sweep_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tv = { 0, 10000 };
	unsigned left = cgrun_sweep(&me.cg);

	if (left == 0 && TAILQ_EMPTY(&me.runs)) {
		send_swept(true, cgrun_usable(&me.cg) ? "no cgroup is left" :
		    "no cgroup: sandboxes end with their launcher");
		return;
	}
	if (me.sweep_tries++ > SWEEP_TRIES) {
		send_swept(false, "processes of an earlier life do not end");
		return;
	}
	(void)event_add(me.sweep_ev, &tv);
}

static void
launcher_on_sweep(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct run *r;

	me.sweeping = true;
	me.sweep_tries = 0;
	TAILQ_FOREACH(r, &me.runs, entry)
		run_kill(r, HINT_KILLED);
	launcher_on_sweep_timer(-1, 0, NULL);
}

/* ---- the life of the worker ---- */

static void
launcher_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	if (kind == RES_LOCK)
		me.lock_fd = fd;
	else if (kind == RES_CGROUP) {
		if (cgrun_base_add(&me.cg, name, fd) == -1)
			log_warnx("resource: unknown cgroup %s", name);
	} else
		(void)close(fd);
}

static void
launcher_start(struct worker *w)
{
	me.w = w;
	TAILQ_INIT(&me.runs);
	me.sweep_ev = evtimer_new(w->base, launcher_on_sweep_timer, NULL);
	if (me.sweep_ev == NULL)
		fatalx("event");
}

static void
launcher_peer_down(struct worker *w, enum proc_role role, unsigned instance)
{
	struct run *r;

	/* Nobody is left to report to; the parent ends us as well. */
	TAILQ_FOREACH(r, &me.runs, entry)
		run_kill(r, HINT_KILLED);
}

static void
launcher_drain(struct worker *w)
{
	if (TAILQ_EMPTY(&me.runs))
		worker_drained(w);
}

static const struct ipc_route routes[] = {
	{ MSG_LAUNCH, launcher_on_launch },
	{ MSG_LAUNCH_KILL, launcher_on_kill },
	{ MSG_SWEEP, launcher_on_sweep },
};

static const struct worker_ops ops = {
	.role = PROC_LAUNCHER,
	.resource = launcher_resource,
	.start = launcher_start,
	.peer_down = launcher_peer_down,
	.drain = launcher_drain,
	.peer_routes = routes,
	.npeer_routes = AX_NELEM(routes),
	.rlimit_fsize = 1u << 30,
	.rlimit_nofile = 4096,
	.may_fork = true,
};

int
main(int argc, char **argv)
{
	cgrun_base_init(&me.cg);
	return (worker_main(argc, argv, &ops, NULL));
}
