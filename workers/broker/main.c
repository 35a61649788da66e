/* SPDX-License-Identifier: ISC */
/*
 * archillx-broker: turns a permit into one enumerated sandbox request and its
 * end into an outcome; nothing else. The policy decides what runs, the
 * launcher runs it, audit has decided and recorded it before.
 *
 * It must never start anything without an EXEC of the current epoch, and never
 * forget one: every EXEC is answered by exactly one EXEC_DONE.
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/ipc.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/worker.h"
#include "preflight.h"
#include "run.h"
#include "syscalls.h"

#define SKILLS_MAX	  256
#define PREFLIGHT_RETRY_S 5
#define WAITING_MAX	  16

struct registry {
	struct skill *list[SKILLS_MAX];
	unsigned n;
};

static struct {
	struct worker *w;
	struct run_env env;
	char runner[PATH_MAX];
	struct registry *skills, *next;
	char cgroup[8], next_cgroup[8];
	struct run_list queue, active;
	unsigned queued, running;
	uint64_t last_id;
	bool sweep_asked, swept;
	struct preflight pre;
	struct run *pre_run;
	struct event *pre_retry;
	uint64_t waiting[WAITING_MAX]; /* ids of PREFLIGHT not yet answered */
	unsigned nwaiting;
} me;

static void next_runs(void);

/* ---- configuration ---- */

static void
registry_free(struct registry *g)
{
	unsigned i;

	if (g == NULL)
		return;
	for (i = 0; i < g->n; i++)
		skill_free(g->list[i]);
	free(g);
}

static int
broker_conf_begin(struct worker *w, uint64_t gen)
{
	registry_free(me.next);
	me.next = calloc(1, sizeof(*me.next));
	return (me.next != NULL ? 0 : -1);
}

static int
conf_skill(const char *name, const char *value, char **err)
{
	char why[300];
	struct skill *s;

	if (me.next == NULL || me.next->n == SKILLS_MAX) {
		*err = strdup("too many skills");
		return (-1);
	}
	s = skill_parse(value, strlen(value), name, why, sizeof(why));
	if (s == NULL) {
		*err = strdup(why);
		return (-1);
	}
	me.next->list[me.next->n++] = s;
	return (0);
}

static int
broker_conf_item(struct worker *w, enum conf_kind kind, const char *name,
    const char *value, char **err)
{
	if (kind == CONF_SKILL)
		return (conf_skill(name, value, err));
	if (kind == CONF_FACT && strcmp(name, "cgroup") == 0)
		(void)ax_strlcpy(me.next_cgroup, value, sizeof(me.next_cgroup));
	return (0);
}

static void
broker_conf_commit(struct worker *w)
{
	registry_free(me.skills);
	me.skills = me.next;
	me.next = NULL;
	memcpy(me.cgroup, me.next_cgroup, sizeof(me.cgroup));
	me.pre.cgroup = me.cgroup[0] != '\0' ? me.cgroup : "none";
	me.pre.degraded = strcmp(me.pre.cgroup, "none") == 0;
	metric_set(w->slot, MG_SANDBOX_DEGRADED, me.pre.degraded);
	if (me.w != NULL)
		next_runs(); /* there may be more places now */
}

static void
broker_conf_abort(struct worker *w)
{
	registry_free(me.next);
	me.next = NULL;
}

static const struct skill *
skill_find(const char *name)
{
	unsigned i;

	for (i = 0; me.skills != NULL && i < me.skills->n; i++) {
		if (strcmp(me.skills->list[i]->name, name) == 0)
			return (me.skills->list[i]);
	}
	return (NULL);
}

static bool
allow_no_cgroup(void)
{
	return (settings_bool(me.w->settings, SET_SANDBOX_ALLOW_NO_CGROUP));
}

static struct policy_limits
limits_now(void)
{
	const struct settings *s = me.w->settings;

	return ((struct policy_limits){
	    .code_enabled = settings_bool(s, SET_ENABLE_CODE_EXEC),
	    .no_cgroup = me.pre.degraded,
	    .code_max = (size_t)settings_int(s, SET_CODE_MAX_BYTES),
	    .max_stdout = (uint64_t)settings_int(s, SET_CODE_MAX_STDOUT_BYTES),
	    .max_stderr = (uint64_t)settings_int(s, SET_CODE_MAX_STDERR_BYTES),
	    .memory = (uint64_t)settings_int(s, SET_SANDBOX_MEMORY),
	    .disk = (uint64_t)settings_int(s, SET_SANDBOX_DISK),
	    .pids = (uint32_t)settings_int(s, SET_SANDBOX_PIDS),
	    .cpu_percent = (uint32_t)settings_int(s, SET_SANDBOX_CPU_PERCENT),
	    .timeout_max_s = (uint32_t)settings_int(s, SET_SANDBOX_TIMEOUT_MAX),
	});
}

/* ---- answers ---- */

static void
send_done(struct exec_done *d)
{
	struct ipc *audit = worker_peer(me.w, PROC_AUDIT, 0);
	struct buf b = BUF_INITIALIZER;
	uint8_t id[16];
	char hex[33];

	ax_random(id, sizeof(id));
	ax_hex(id, sizeof(id), hex);
	d->backend = "process";
	d->run_id = hex;
	d->degraded = me.pre.degraded;
	if (d->state != END_OK)
		metric_inc(me.w->slot, MC_SANDBOX_FAILED);
	exec_done_put(&b, d);
	if (audit != NULL && ipc_send_buf(audit, MSG_EXEC_DONE, 0, &b) == -1)
		log_warn("exec: EXEC_DONE");
	buf_free(&b);
}

/* The end of a permit that never ran. */
static void
send_not_run(uint64_t permit, enum end_state state, const char *error)
{
	struct exec_done d = { .permit = permit,
		.state = state,
		.exit_code = -1,
		.out = "",
		.err = "",
		.error = error };

	send_done(&d);
}

static void
maybe_drained(void)
{
	if (me.w->draining && me.running == 0 && me.queued == 0)
		worker_drained(me.w);
}

/* ---- preflight ---- */

static void
answer_preflight(uint64_t id)
{
	struct ipc *audit = worker_peer(me.w, PROC_AUDIT, 0);
	struct buf json = BUF_INITIALIZER, b = BUF_INITIALIZER;

	preflight_json(&me.pre, allow_no_cgroup(), &json);
	mw_u8(&b, me.pre.ok && (!me.pre.degraded || allow_no_cgroup()));
	mw_str(&b, buf_str(&json));
	if (audit != NULL &&
	    ipc_send_buf(audit, MSG_PREFLIGHT_RESULT, id, &b) == -1)
		log_warn("preflight: PREFLIGHT_RESULT");
	buf_free(&json);
	buf_free(&b);
}

static void
preflight_done(bool ok, const char *error)
{
	static const struct timeval tv = { PREFLIGHT_RETRY_S, 0 };
	bool was_ok = me.pre.known && me.pre.ok;

	preflight_set(&me.pre, ok, error);
	metric_set(me.w->slot, MG_SANDBOX_OK, ok);
	if (!ok) {
		log_warnx("preflight: %s", me.pre.error);
		(void)event_add(me.pre_retry, &tv);
	} else if (!was_ok)
		log_info("preflight: the sandbox works, cgroup %s",
		    me.pre.cgroup);
	while (me.nwaiting > 0)
		answer_preflight(me.waiting[--me.nwaiting]);
	next_runs();
}

static void
preflight_start(void)
{
	struct policy_limits l = limits_now();
	struct ipc *launcher = worker_peer(me.w, PROC_LAUNCHER, 0);
	const char *what = "no launcher";
	struct job *j;
	char why[128];

	if (me.pre_run != NULL || !me.swept || me.w->draining)
		return;
	if ((j = policy_preflight(&l)) == NULL ||
	    (me.pre_run = run_new(++me.last_id, 0, j)) == NULL) {
		preflight_done(false, "out of memory");
		return;
	}
	if (launcher != NULL &&
	    run_launch(me.pre_run, &me.env, launcher, &what) == 0)
		return;
	(void)snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
	run_free(me.pre_run);
	me.pre_run = NULL;
	preflight_done(false, why);
}

static void
preflight_on_retry(evutil_socket_t fd, short what, void *arg)
{
	preflight_start();
}

static void
preflight_end(const struct run_exit *x)
{
	struct run *r = me.pre_run;
	struct exec_done d = { 0 };
	struct verdict v;
	bool ok;

	run_result(r, x, &v, &d);
	ok = v.state == END_OK && d.out_len == 3 &&
	    memcmp(d.out, "ok\n", 3) == 0;
	if (!ok && v.error[0] == '\0')
		(void)ax_strlcpy(v.error,
		    "the test program ran, but its "
		    "output did not arrive",
		    sizeof(v.error));
	me.pre_run = NULL;
	preflight_done(ok, v.error);
	run_free(r);
}

static void
broker_on_preflight(struct ipc *c, struct ipc_msg *m, void *arg)
{
	if (me.pre.known)
		answer_preflight(m->id);
	else if (me.nwaiting < WAITING_MAX)
		me.waiting[me.nwaiting++] = m->id;
}

/* ---- runs ---- */

static struct run *
find(const struct run_list *l, uint64_t permit, uint64_t id)
{
	struct run *r;

	TAILQ_FOREACH(r, l, entry) {
		if ((permit != 0 && r->permit == permit) ||
		    (id != 0 && r->id == id))
			return (r);
	}
	return (NULL);
}

static void
count_running(int by)
{
	me.running = (unsigned)((int)me.running + by);
	metric_set(me.w->slot, MG_SANDBOX_RUNNING, me.running);
}

static void
kill_run(struct run *r)
{
	struct ipc *launcher = worker_peer(me.w, PROC_LAUNCHER, 0);

	if (launcher != NULL &&
	    ipc_send(launcher, MSG_LAUNCH_KILL, 0, &r->id, sizeof(r->id)) == -1)
		log_warn("run: LAUNCH_KILL");
}

static void
start(struct run *r)
{
	struct ipc *launcher = worker_peer(me.w, PROC_LAUNCHER, 0);
	const char *what = "no launcher";
	char why[128];

	r->flooded = kill_run;
	errno = ENOTCONN;
	if (launcher != NULL && run_launch(r, &me.env, launcher, &what) == 0) {
		TAILQ_INSERT_TAIL(&me.active, r, entry);
		count_running(1);
		metric_inc(me.w->slot, MC_SANDBOX_RUNS);
		return;
	}
	(void)snprintf(why, sizeof(why), "cannot start: %s: %s", what,
	    strerror(errno));
	send_not_run(r->permit, END_SANDBOX_ERROR, why);
	run_free(r);
}

/* Starts what may start; what cannot, because the sandbox is broken, ends. */
static void
next_runs(void)
{
	unsigned max =
	    (unsigned)settings_int(me.w->settings, SET_SANDBOX_CONCURRENCY);
	struct run *r;

	while (me.pre.known && me.running < max &&
	    (r = TAILQ_FIRST(&me.queue)) != NULL) {
		TAILQ_REMOVE(&me.queue, r, entry);
		me.queued--;
		if (me.pre.ok) {
			start(r);
			continue;
		}
		send_not_run(r->permit, END_PREFLIGHT_FAILED, me.pre.error);
		run_free(r);
	}
	maybe_drained();
}

static void
enqueue(uint64_t permit, struct job *job)
{
	unsigned max =
	    (unsigned)settings_int(me.w->settings, SET_SANDBOX_CONCURRENCY);
	unsigned room =
	    (unsigned)settings_int(me.w->settings, SET_SANDBOX_QUEUE);
	struct run *r;

	/* What is waiting for a free place does not count as queued. */
	if (me.running + me.queued >= max + room) {
		metric_inc(me.w->slot, MC_SANDBOX_BUSY);
		send_not_run(permit, END_REFUSED, "sandbox queue full");
		policy_job_free(job);
		return;
	}
	if ((r = run_new(++me.last_id, permit, job)) == NULL) {
		send_not_run(permit, END_SANDBOX_ERROR, "out of memory");
		return;
	}
	TAILQ_INSERT_TAIL(&me.queue, r, entry);
	me.queued++;
	next_runs();
}

/* The job of an EXEC, or NULL: answered already. */
static struct job *
admit(const struct exec_request *q)
{
	struct policy_limits l = limits_now();
	const struct skill *s = skill_find(q->skill);
	struct job *job;
	char why[256];
	json_t *in;

	if (s == NULL) {
		send_not_run(q->permit, END_REFUSED, "unknown skill");
		return (NULL);
	}
	if (me.pre.degraded && !allow_no_cgroup()) {
		send_not_run(q->permit, END_PREFLIGHT_FAILED,
		    "no writable memory and pids cgroup on this machine: run "
		    "the service as root or under systemd with Delegate=yes, "
		    "or set SANDBOX_ALLOW_NO_CGROUP=yes to run without these "
		    "limits");
		return (NULL);
	}
	in = json_loads(q->inputs, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
	    NULL);
	job = policy_job(s, in, &l, why, sizeof(why));
	json_decref(in);
	if (job == NULL)
		send_not_run(q->permit, END_REFUSED, why);
	return (job);
}

static void
broker_on_exec(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct exec_request q;
	struct job *job;

	if (exec_request_get(m->body, m->len, &q) == -1 || q.permit == 0 ||
	    find(&me.queue, q.permit, 0) != NULL ||
	    find(&me.active, q.permit, 0) != NULL) {
		worker_peer_violation(me.w, c, "malformed EXEC");
		return;
	}
	if (q.epoch != me.w->epoch) {
		log_warnx("exec: permit %llu is of another epoch",
		    (unsigned long long)q.permit);
		return;
	}
	if ((job = admit(&q)) != NULL)
		enqueue(q.permit, job);
}

static void
broker_on_kill(struct ipc *c, struct ipc_msg *m, void *arg)
{
	enum end_state state;
	uint64_t permit;
	struct msg_r mr;
	struct run *r;

	mr_init(&mr, m->body, m->len);
	permit = mr_u64(&mr);
	state = (enum end_state)mr_u8(&mr);
	if (mr_end(&mr) == -1 || state >= END_STATE_MAX || state == END_OK)
		state = END_KILLED;
	if ((r = find(&me.active, permit, 0)) != NULL) {
		if (r->killed == END_OK)
			r->killed = state;
		kill_run(r);
	} else if ((r = find(&me.queue, permit, 0)) != NULL) {
		TAILQ_REMOVE(&me.queue, r, entry);
		me.queued--;
		send_not_run(permit, state, "killed before it started");
		run_free(r);
		maybe_drained();
	}
}

static void
run_ended(uint64_t id, const struct run_exit *x)
{
	struct exec_done d = { 0 };
	struct verdict v;
	struct run *r;

	if (me.pre_run != NULL && me.pre_run->id == id) {
		preflight_end(x);
		return;
	}
	if ((r = find(&me.active, 0, id)) == NULL) {
		metric_inc(me.w->slot, MC_IPC_DROPPED);
		return;
	}
	run_result(r, x, &v, &d);
	TAILQ_REMOVE(&me.active, r, entry);
	count_running(-1);
	send_done(&d);
	run_free(r);
	if (v.state == END_SANDBOX_ERROR)
		preflight_start(); /* is it the machine, or was it this run? */
	next_runs();
}

/* ---- messages of the launcher ---- */

static void
broker_on_launched(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct run_exit x = { .status = 126 << 8, .hint = HINT_SETUP };
	struct capture *cap;
	struct msg_r r;
	struct run *run;
	uint64_t id;
	int32_t err;

	mr_init(&r, m->body, m->len);
	id = mr_u64(&r);
	err = mr_i32(&r);
	if (mr_end(&r) == -1 || err == 0)
		return;
	run = me.pre_run != NULL && me.pre_run->id == id ?
	    me.pre_run :
	    find(&me.active, 0, id);
	if (run == NULL)
		return;
	cap = &run->err;
	cap->len = ax_strlcpy(cap->kept, strerror(err), cap->max);
	run_ended(id, &x);
}

static void
broker_on_exited(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct run_exit x;
	struct msg_r r;
	uint64_t id;
	uint8_t hint;

	mr_init(&r, m->body, m->len);
	id = mr_u64(&r);
	x.status = mr_i32(&r);
	x.cpu_us = mr_u64(&r);
	x.wall_us = mr_u64(&r);
	x.peak = mr_u64(&r);
	hint = mr_u8(&r);
	x.hint = hint < HINT_MAX ? (enum end_hint)hint : HINT_NONE;
	if (mr_end(&r) == 0)
		run_ended(id, &x);
}

/* The launcher's sweep is all of ours too: we hold nothing that runs. */
static void
broker_on_swept(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct ipc *audit = worker_peer(me.w, PROC_AUDIT, 0);

	if (audit != NULL &&
	    ipc_send(audit, MSG_SWEPT, 0, m->body, m->len) == -1)
		log_warn("sweep: SWEPT");
	me.swept = true;
	preflight_start();
}

/* ---- the life of the worker ---- */

/* archillx-runner lies beside us, or in the build tree beside the launcher. */
static void
find_runner(void)
{
	static const char *const places[] = { "", "/../launcher" };
	char self[PATH_MAX], *slash;
	ssize_t n;
	size_t i;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		fatal("runner: /proc/self/exe");
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) == NULL)
		fatalx("runner: %s", self);
	for (i = 0; i < AX_NELEM(places); i++) {
		n = snprintf(me.runner, sizeof(me.runner),
		    "%.*s%s/archillx-runner", (int)(slash - self), self,
		    places[i]);
		if ((size_t)n < sizeof(me.runner) &&
		    access(me.runner, X_OK) == 0)
			return;
	}
	log_warnx("runner: archillx-runner is not beside %s", self);
}

static void
broker_start(struct worker *w)
{
	me.w = w;
	TAILQ_INIT(&me.queue);
	TAILQ_INIT(&me.active);
	find_runner();
	preflight_look(&me.pre);
	me.env.base = w->base;
	me.env.runner = me.runner;
	me.env.epoch = w->epoch;
	me.env.filter = syscalls_compile(&me.env.nfilter);
	if (me.env.filter == NULL)
		fatal("system call filter");
	me.last_id = w->epoch << 32;
	me.pre_retry = evtimer_new(w->base, preflight_on_retry, NULL);
	if (me.pre_retry == NULL)
		fatalx("event");
}

/*
 * SWEPT goes on to audit, so both peers must be there. Asked once: the three
 * live and die together, and a second sweep would end runs of this life.
 */
static void
broker_peer_up(struct worker *w, struct ipc *c, enum proc_role role,
    unsigned instance, uint64_t epoch)
{
	struct ipc *launcher = worker_peer(w, PROC_LAUNCHER, 0);

	if (me.sweep_asked || launcher == NULL ||
	    worker_peer(w, PROC_AUDIT, 0) == NULL)
		return;
	me.sweep_asked = true;
	if (ipc_send(launcher, MSG_SWEEP, 0, NULL, 0) == -1)
		log_warn("sweep: SWEEP");
}

static void
broker_drain(struct worker *w)
{
	maybe_drained();
}

static const struct ipc_route routes[] = {
	{ MSG_EXEC, broker_on_exec },
	{ MSG_KILL, broker_on_kill },
	{ MSG_PREFLIGHT, broker_on_preflight },
	{ MSG_LAUNCHED, broker_on_launched },
	{ MSG_EXITED, broker_on_exited },
	{ MSG_SWEPT, broker_on_swept },
};

static void
broker_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	if (kind != RES_LOCK) /* held for life, never used */
		(void)close(fd);
}

static const struct worker_ops ops = {
	.role = PROC_BROKER,
	.resource = broker_resource,
	.conf_begin = broker_conf_begin,
	.conf_item = broker_conf_item,
	.conf_commit = broker_conf_commit,
	.conf_abort = broker_conf_abort,
	.start = broker_start,
	.peer_up = broker_peer_up,
	.drain = broker_drain,
	.peer_routes = routes,
	.npeer_routes = AX_NELEM(routes),
	.rlimit_nofile = 2048,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops, NULL));
}
