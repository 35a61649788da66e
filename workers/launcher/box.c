/* SPDX-License-Identifier: ISC */
/*
 * One sandbox, from fork to the removal of its control group: started, fed,
 * watched, killed, reaped, read.
 *
 * It must never feed a box twice, and never forget one that still has a
 * process.
 */
#include <sys/resource.h>
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

#include "common/job.h"
#include "common/log.h"
#include "common/util.h"
#include "box.h"
#include "start.h"

#define KILL_AGAIN_MS	 20
#define KILL_OUTER_TRIES 10 /* then bubblewrap itself */
#define REMOVE_TRIES	 500

static struct boxes *boxes;

/* ---- recipes ---- */

int
box_recipe_set(struct box_recipe *r, const struct cgrun_limits *l,
    unsigned argc, const char *const *argv)
{
	unsigned i;
	char *p;

	memset(r, 0, sizeof(*r));
	r->limits = *l;
	r->argc = argc;
	for (i = 0; i < argc; i++)
		r->len += strlen(argv[i]) + 1;
	if ((r->args = p = malloc(r->len)) == NULL)
		return (-1);
	for (i = 0; i < argc; i++) {
		memcpy(p, argv[i], strlen(argv[i]) + 1);
		p += strlen(argv[i]) + 1;
	}
	return (0);
}

int
box_recipe_copy(struct box_recipe *to, const struct box_recipe *r)
{
	char *args = malloc(r->len);

	if (args == NULL)
		return (-1);
	memcpy(args, r->args, r->len);
	*to = *r;
	to->args = args;
	return (0);
}

bool
box_recipe_equal(const struct box_recipe *a, const struct box_recipe *b)
{
	return (a->len == b->len && a->argc == b->argc &&
	    a->limits.memory == b->limits.memory &&
	    a->limits.pids == b->limits.pids &&
	    a->limits.cpu_percent == b->limits.cpu_percent &&
	    memcmp(a->args, b->args, a->len) == 0);
}

void
box_recipe_free(struct box_recipe *r)
{
	free(r->args);
	memset(r, 0, sizeof(*r));
}

/* ---- the end ---- */

static void
close_fd(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

static void
drop_event(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

static void
box_free(struct box *b)
{
	TAILQ_REMOVE(&boxes->all, b, entry);
	boxes->gone(b);
	drop_event(&b->exit_ev);
	drop_event(&b->wall_ev);
	drop_event(&b->again_ev);
	close_fd(&b->pidfd);
	close_fd(&b->sock);
	close_fd(&b->set_up);
	close_fd(&b->err);
	box_recipe_free(&b->recipe);
	free(b);
}

static void
again(struct box *b)
{
	static const struct timeval tv = { 0, KILL_AGAIN_MS * 1000 };

	(void)event_add(b->again_ev, &tv);
}

/* Without a group: bubblewrap's only child is process 1 of the sandbox. */
static unsigned
kill_children(pid_t pid)
{
	char path[64], text[256], *p = text, *end;
	unsigned n = 0;
	ssize_t len;
	long child;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)pid, (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (0);
	len = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[len > 0 ? len : 0] = '\0';
	while ((child = strtol(p, &end, 10)) > 1 && end != p) {
		(void)kill((pid_t)child, SIGKILL);
		n++;
		p = end;
	}
	return (n);
}

/*
 * Process 1 of the sandbox is among those killed, and with it the kernel ends
 * its whole pid namespace; bubblewrap, outside of it, then reports. It is
 * killed too only if there is nothing else to kill or that does not help.
 */
void
box_kill(struct box *b, enum end_hint why)
{
	if (b->pid == 0)
		return;
	if (b->ended_by == HINT_NONE) {
		b->ended_by = why;
		if (b->in_cgroup)
			b->cpu_us = cgrun_cpu_now(&boxes->cg, b->id);
	}
	/* The group's count includes bubblewrap itself. */
	if ((b->in_cgroup ? cgrun_kill(&boxes->cg, b->id, b->pid) <= 1 :
			    kill_children(b->pid) == 0) ||
	    b->tries++ > KILL_OUTER_TRIES)
		(void)kill(b->pid, SIGKILL);
	again(b);
}

/* Kill again, or remove the group, until there is nothing left to do. */
static void
box_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct box *b = arg;

	if (b->pid != 0) {
		box_kill(b, b->ended_by);
		return;
	}
	if (b->in_cgroup) {
		(void)cgrun_kill(&boxes->cg, b->id, 0);
		if (cgrun_remove(&boxes->cg, b->id) == -1 &&
		    b->tries++ < REMOVE_TRIES) {
			again(b);
			return;
		}
		if (b->tries >= REMOVE_TRIES)
			log_warnx("box: a cgroup cannot be removed");
	}
	box_free(b);
}

static void
box_on_wall(evutil_socket_t fd, short what, void *arg)
{
	box_kill(arg, HINT_WALL);
}

static enum end_hint
hint_of(const struct box *b, const struct cgrun_usage *u,
    const struct box_end *e)
{
	bool well = e->has_status && WIFEXITED(e->status) &&
	    WEXITSTATUS(e->status) == 0;

	if (b->ended_by != HINT_NONE)
		return (b->ended_by);
	if (u->oom > 0 && !well)
		return (HINT_OOM);
	if (!e->has_status)
		return (HINT_SETUP);
	return (u->pids_max > 0 && !well ? HINT_PIDS : HINT_NONE);
}

static uint64_t
tv_us(const struct timeval *tv)
{
	return ((uint64_t)tv->tv_sec * 1000000u + (uint64_t)tv->tv_usec);
}

/* The group's own count if there is one. What process 1 did not reap itself
 * is missing from rusage; it was looked up when we ended the box. */
static uint64_t
cpu_of(const struct box *b, const struct cgrun_usage *u,
    const struct rusage *ru)
{
	uint64_t reaped = tv_us(&ru->ru_utime) + tv_us(&ru->ru_stime);

	if (u->cpu_us != 0)
		return (u->cpu_us);
	return (b->cpu_us > reaped ? b->cpu_us : reaped);
}

/* bubblewrap's last words become the run's stderr. */
static void
pass_on_message(struct box *b)
{
	char text[1024];
	ssize_t n = read(b->set_up, text, sizeof(text));

	if (n > 0 && b->err != -1)
		(void)!write(b->err, text, (size_t)n);
}

static void
box_read_end(struct box *b, int status, const struct rusage *ru,
    struct box_end *e)
{
	struct cgrun_usage u = { 0 };
	struct job_status s = { 0 };

	memset(e, 0, sizeof(*e));
	e->has_status = recv(b->sock, &s, sizeof(s), MSG_DONTWAIT) ==
		(ssize_t)sizeof(s) &&
	    s.magic == JOB_MAGIC;
	e->status = e->has_status ? s.wait_status : status;
	if (b->in_cgroup)
		cgrun_usage(&boxes->cg, b->id, &u);
	e->cpu_us = cpu_of(b, &u, ru);
	e->peak = u.peak != 0 ? u.peak : s.maxrss;
	e->hint = hint_of(b, &u, e);
	if (e->hint == HINT_SETUP)
		pass_on_message(b);
}

static void
box_on_exit(evutil_socket_t fd, short what, void *arg)
{
	struct box *b = arg;
	struct box_end e;
	struct rusage ru;
	int status;

	if (wait4(b->pid, &status, WNOHANG, &ru) != b->pid)
		return;
	b->pid = 0;
	b->tries = 0;
	(void)event_del(b->exit_ev);
	(void)event_del(b->wall_ev);
	(void)event_del(b->again_ev);
	box_read_end(b, status, &ru, &e);
	close_fd(&b->err);
	boxes->ended(b, &e);
	box_on_again(-1, 0, b);
}

/* ---- the start ---- */

void
boxes_init(struct boxes *s, struct event_base *base)
{
	boxes = s;
	s->base = base;
	TAILQ_INIT(&s->all);
}

static struct box *
box_new(const struct box_recipe *r)
{
	struct box *b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return (NULL);
	b->id = ++boxes->last_id;
	b->pidfd = b->sock = b->set_up = b->err = -1;
	TAILQ_INSERT_TAIL(&boxes->all, b, entry);
	b->wall_ev = evtimer_new(boxes->base, box_on_wall, b);
	b->again_ev = evtimer_new(boxes->base, box_on_again, b);
	if (b->wall_ev == NULL || b->again_ev == NULL ||
	    box_recipe_copy(&b->recipe, r) == -1) {
		box_free(b);
		errno = ENOMEM;
		return (NULL);
	}
	return (b);
}

static int
box_fork(struct box *b)
{
	char *argv[BOX_ARGC_MAX + 1], *p = b->recipe.args;
	int procs[CGRUN_DIRS], n = 0, i, sv[2], pe[2], save;
	unsigned k;

	for (k = 0; k < b->recipe.argc; k++, p += strlen(p) + 1)
		argv[k] = p;
	argv[k] = NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		return (-1);
	b->sock = sv[0];
	if (pipe2(pe, O_CLOEXEC | O_NONBLOCK) == -1) {
		(void)close(sv[1]);
		return (-1);
	}
	b->set_up = pe[0];
	if (b->in_cgroup)
		n = cgrun_open_procs(&boxes->cg, b->id, procs);
	b->pid = n == -1 ? -1 : start_bwrap(argv, sv[1], pe[1], procs, n);
	save = errno;
	for (i = 0; i < n; i++)
		(void)close(procs[i]);
	(void)close(sv[1]);
	(void)close(pe[1]);
	errno = save;
	if (b->pid != -1)
		return (0);
	b->pid = 0;
	return (-1);
}

static int
box_watch(struct box *b)
{
	b->pidfd = (int)syscall(SYS_pidfd_open, b->pid, 0);
	if (b->pidfd == -1)
		return (-1);
	b->exit_ev = event_new(boxes->base, b->pidfd, EV_READ, box_on_exit, b);
	if (b->exit_ev == NULL || event_add(b->exit_ev, NULL) == -1) {
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

struct box *
box_start(struct boxes *s, const struct box_recipe *r, const char **what)
{
	struct box *b;
	int save;

	*what = "memory";
	if ((b = box_new(r)) == NULL)
		return (NULL);
	if (cgrun_usable(&s->cg)) {
		if (cgrun_make(&s->cg, b->id, &r->limits, what) == -1)
			goto fail;
		b->in_cgroup = true;
	}
	*what = "fork";
	if (box_fork(b) == 0 && box_watch(b) == 0)
		return (b);
fail:
	save = errno;
	if (b->pid != 0) {
		(void)kill(b->pid, SIGKILL);
		(void)waitpid(b->pid, NULL, 0);
		b->pid = 0;
	}
	box_on_again(-1, 0, b);
	errno = save;
	return (NULL);
}

int
box_feed(struct box *b, uint64_t run, const int fds[4], uint32_t wall_ms)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} c;
	struct timeval tv = { wall_ms / 1000, wall_ms % 1000 * 1000 };
	char go = 'j';
	struct iovec iov = { &go, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &c,
		.msg_controllen = sizeof(c.space) };

	memset(&c, 0, sizeof(c));
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(4 * sizeof(int));
	memcpy(CMSG_DATA(&c.h), fds, 4 * sizeof(int));
	b->err = fcntl(fds[3], F_DUPFD_CLOEXEC, 3);
	b->run = run;
	b->fed_us = ax_mono_us();
	if (b->err == -1 || event_add(b->wall_ev, &tv) == -1 ||
	    sendmsg(b->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return (-1);
	return (0);
}
