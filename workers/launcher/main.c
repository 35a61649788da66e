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
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/worker.h"
#include "box.h"

#define SWEEP_TRIES 1000 /* of 10 ms */
/* Two launches within this time are a busy service: a box is prepared for the
 * next one, and waits no longer than this. An idle service holds none. */
#define SPARE_US 1000000u

static struct {
	struct worker *w;
	struct boxes boxes;
	struct box *spare;
	struct box_recipe recipe; /* of the last launch */
	uint64_t last_launch_us;
	struct event *spare_ev, *unspare_ev, *sweep_ev;
	unsigned sweep_tries;
	bool sweeping;
	int lock_fd; /* held for life, never used */
} me = { .lock_fd = -1 };

/* What LAUNCH says; argv points into the message. */
struct launch {
	uint64_t run, epoch;
	struct cgrun_limits limits;
	uint32_t wall_ms;
	uint16_t argc;
	const char *argv[BOX_ARGC_MAX + 1];
};

/* ---- what becomes of a box ---- */

static void
launcher_box_ended(struct box *b, const struct box_end *e)
{
	struct ipc *broker = worker_peer(me.w, PROC_BROKER, 0);
	struct buf out = BUF_INITIALIZER;

	if (b->run == 0)
		return; /* a spare */
	mw_u64(&out, b->run);
	mw_i32(&out, e->status);
	mw_u64(&out, e->cpu_us);
	mw_u64(&out, ax_mono_us() - b->fed_us);
	mw_u64(&out, e->peak);
	mw_u8(&out, (uint8_t)e->hint);
	if (broker != NULL && ipc_send_buf(broker, MSG_EXITED, 0, &out) == -1)
		log_warn("run: EXITED");
	buf_free(&out);
}

static void
launcher_box_gone(struct box *b)
{
	if (me.spare == b)
		me.spare = NULL;
	if (me.w->draining && TAILQ_EMPTY(&me.boxes.all))
		worker_drained(me.w);
}

static struct box *
box_of_run(uint64_t run)
{
	struct box *b;

	TAILQ_FOREACH(b, &me.boxes.all, entry) {
		if (b->run == run)
			return (b);
	}
	return (NULL);
}

static void
kill_all(void)
{
	struct box *b;

	TAILQ_FOREACH(b, &me.boxes.all, entry)
		box_kill(b, HINT_KILLED);
}

/* ---- the spare ---- */

static void
spare_drop(void)
{
	if (me.spare != NULL)
		box_kill(me.spare, HINT_KILLED);
	me.spare = NULL;
}

static void
launcher_on_spare(evutil_socket_t fd, short events, void *arg)
{
	static const struct timeval tv = { 0, SPARE_US - 1 };
	const char *what;

	if (me.spare != NULL || me.w->draining || me.sweeping)
		return;
	me.spare = box_start(&me.boxes, &me.recipe, &what);
	if (me.spare != NULL)
		(void)event_add(me.unspare_ev, &tv);
	else
		log_warn("spare: %s", what);
}

static void
launcher_on_unspare(evutil_socket_t fd, short events, void *arg)
{
	spare_drop();
}

/* The spare if it fits this recipe; one that does not is of no more use. */
static struct box *
spare_take(const struct box_recipe *r)
{
	struct box *b = me.spare;

	if (b == NULL)
		return (NULL);
	if (b->pid == 0 || !box_recipe_equal(&b->recipe, r)) {
		spare_drop();
		return (NULL);
	}
	me.spare = NULL;
	(void)event_del(me.unspare_ev);
	return (b);
}

static void
spare_plan(const struct box_recipe *r)
{
	static const struct timeval soon = { 0, 1000 };
	uint64_t now = ax_mono_us();
	bool busy = me.last_launch_us != 0 &&
	    now - me.last_launch_us < SPARE_US;

	me.last_launch_us = now;
	if (!box_recipe_equal(&me.recipe, r)) {
		box_recipe_free(&me.recipe);
		if (box_recipe_copy(&me.recipe, r) == -1)
			return;
	}
	if (busy)
		(void)event_add(me.spare_ev, &soon);
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
	if (l->run == 0 || l->argc < 1 || l->argc > BOX_ARGC_MAX)
		return (-1);
	for (i = 0; i < l->argc; i++)
		l->argv[i] = mr_str_req(&r);
	return (mr_end(&r));
}

/* 0, or an errno and the box is on its way out. */
static int
try_feed(struct box *b, const struct launch *l, const int fds[4])
{
	int err;

	if (box_feed(b, l->run, fds, l->wall_ms) == 0)
		return (0);
	err = errno;
	b->run = 0;
	box_kill(b, HINT_KILLED);
	return (err);
}

/* 0 or an errno. */
static int
launch(const struct launch *l, const int fds[4])
{
	const char *what = "memory";
	struct box_recipe r;
	struct box *b;
	int err = 0;

	if (l->epoch != me.w->epoch)
		return (ESTALE);
	if (me.sweeping)
		return (EBUSY);
	if (box_recipe_set(&r, &l->limits, l->argc, l->argv) == -1)
		return (ENOMEM);
	if ((b = spare_take(&r)) == NULL || try_feed(b, l, fds) != 0) {
		/* A spare that died while it waited has begun nothing. */
		if ((b = box_start(&me.boxes, &r, &what)) == NULL)
			err = errno;
		else
			err = try_feed(b, l, fds);
	}
	if (err != 0)
		log_warnx("run: %s: %s", what, strerror(err));
	else
		spare_plan(&r);
	box_recipe_free(&r);
	return (err);
}

static void
launcher_on_launch(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct buf b = BUF_INITIALIZER;
	struct launch l;
	int err;

	if (launch_get(m, &l) == -1 || box_of_run(l.run) != NULL) {
		worker_peer_violation(me.w, c, "malformed LAUNCH");
		return;
	}
	err = launch(&l, m->fds);
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
	struct box *b;
	uint64_t run;

	mr_init(&r, m->body, m->len);
	run = mr_u64(&r);
	if (run != 0 && (b = box_of_run(run)) != NULL)
		box_kill(b, HINT_KILLED);
}

static void
send_swept(bool ok, const char *reason)
{
	struct buf b = BUF_INITIALIZER;
	struct ipc *broker = worker_peer(me.w, PROC_BROKER, 0);

	me.sweeping = false;
	(void)event_del(me.sweep_ev);
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
	unsigned left;

	/* Once SWEPT is said, what runs is this life's own. */
	if (!me.sweeping)
		return;
	left = cgrun_sweep(&me.boxes.cg);
	if (left == 0 && TAILQ_EMPTY(&me.boxes.all)) {
		send_swept(true,
		    cgrun_usable(&me.boxes.cg) ?
			"no cgroup is left" :
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
	me.sweeping = true;
	me.sweep_tries = 0;
	kill_all();
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
		if (cgrun_base_add(&me.boxes.cg, name, fd) == -1)
			log_warnx("resource: unknown cgroup %s", name);
	} else
		(void)close(fd);
}

static void
launcher_start(struct worker *w)
{
	me.w = w;
	boxes_init(&me.boxes, w->base);
	me.boxes.ended = launcher_box_ended;
	me.boxes.gone = launcher_box_gone;
	me.sweep_ev = evtimer_new(w->base, launcher_on_sweep_timer, NULL);
	me.spare_ev = evtimer_new(w->base, launcher_on_spare, NULL);
	me.unspare_ev = evtimer_new(w->base, launcher_on_unspare, NULL);
	if (me.sweep_ev == NULL || me.spare_ev == NULL || me.unspare_ev == NULL)
		fatalx("event");
}

/* Nobody is left to report to; the parent ends us as well. */
static void
launcher_peer_down(struct worker *w, enum proc_role role, unsigned instance)
{
	kill_all();
}

static void
launcher_drain(struct worker *w)
{
	spare_drop();
	if (TAILQ_EMPTY(&me.boxes.all))
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
	cgrun_base_init(&me.boxes.cg);
	return (worker_main(argc, argv, &ops, NULL));
}
