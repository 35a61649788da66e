/* SPDX-License-Identifier: ISC */
/*
 * The life of every worker from exec to READY and the messages that all of
 * them understand. A worker learns everything from descriptor 3; it opens no
 * configuration, resolves no name, and ends when descriptor 3 ends.
 *
 * This file never knows what a worker is for.
 */
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/setup.h"
#include "common/util.h"
#include "confine.h"
#include "worker.h"

#define PARENT_FD	 3
#define SETUP_TIMEOUT_MS 20000

struct peer {
	LIST_ENTRY(peer) entry;
	struct ipc *chan;
	enum proc_role role;
	unsigned instance;
	uint64_t epoch;
	bool announced;
};

/* What main.c of a worker need not see; one per process. */
static struct {
	struct worker w;
	struct worker_setup setup;
	char root[4096];
	LIST_HEAD(, peer) peers;
	uint64_t gen;	 /* pending generation, 0: none */
	char *gen_error; /* first rejected item of it */
	bool got_setup, committed, running;
	int landlock_abi;
} me;

#ifdef AX_SANITIZERS
/* The leak checker forks and ptraces, which a confined worker cannot. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return ("detect_leaks=0:abort_on_error=0:handle_segv=1");
}
#endif

/* ---- peers ---- */

static struct peer *
peer_find(enum proc_role role, unsigned instance)
{
	struct peer *p;

	LIST_FOREACH(p, &me.peers, entry)
	{
		if (p->role == role && p->instance == instance)
			return (p);
	}
	return (NULL);
}

struct ipc *
worker_peer(struct worker *w, enum proc_role role, unsigned instance)
{
	struct peer *p = peer_find(role, instance);

	return (p != NULL ? p->chan : NULL);
}

static void
peer_drop(struct peer *p)
{
	enum proc_role role = p->role;
	unsigned instance = p->instance;
	bool announced = p->announced;

	LIST_REMOVE(p, entry);
	ipc_free(p->chan);
	free(p);
	if (announced && me.w.ops->peer_down != NULL)
		me.w.ops->peer_down(&me.w, role, instance);
}

static void
report_lost(enum proc_role role, unsigned instance, const char *why)
{
	struct buf b = BUF_INITIALIZER;

	log_warnx("channel: %s %u broke the rules: %s", proc_name(role),
	    instance, why);
	metric_inc(me.w.slot, MC_IPC_VIOLATIONS);
	mw_u16(&b, (uint16_t)role);
	mw_u16(&b, (uint16_t)instance);
	mw_str(&b, why);
	(void)ipc_send_buf(me.w.parent, MSG_CHANNEL_LOST, 0, &b);
	buf_free(&b);
}

static void
peer_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	struct peer *p = peer_find(ipc_peer(c), ipc_instance(c));

	if (p == NULL || p->chan != c)
		return;
	/* After an error of ours the peer lives on: nobody else would have
	 * the two joined again. */
	if (how != IPC_EOF)
		report_lost(p->role, p->instance, why);
	else
		log_debug("channel: %s %u: %s", proc_name(p->role), p->instance,
		    why);
	peer_drop(p);
}

void
worker_peer_violation(struct worker *w, struct ipc *c, const char *why)
{
	ipc_violation(c, why);
}

static void
peer_announce(struct peer *p)
{
	p->announced = true;
	ipc_set_state(p->chan, me.w.draining ? PS_DRAIN : PS_RUN);
	if (me.w.ops->peer_up != NULL)
		me.w.ops->peer_up(&me.w, p->chan, p->role, p->instance,
		    p->epoch);
}

static void
worker_on_peer(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	struct peer *p;
	enum proc_role role;
	unsigned instance;
	uint64_t epoch;

	mr_init(&r, m->body, m->len);
	role = (enum proc_role)mr_u16(&r);
	instance = mr_u16(&r);
	epoch = mr_u64(&r);
	if (mr_end(&r) == -1)
		return;
	if ((p = peer_find(role, instance)) != NULL)
		peer_drop(p);
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return;
	p->role = role;
	p->instance = instance;
	p->epoch = epoch;
	p->chan = ipc_new(me.w.base, m->fds[0], me.w.ops->role, role, instance,
	    me.w.ops->peer_routes, me.w.ops->npeer_routes, peer_lost, &me.w);
	if (p->chan == NULL) {
		free(p);
		return;
	}
	m->fds[0] = -1;
	LIST_INSERT_HEAD(&me.peers, p, entry);
	if (me.running)
		peer_announce(p);
}

/* ---- messages of the parent ---- */

static void
worker_on_setup(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct worker_setup s;

	if (worker_setup_get(m->body, m->len, &s) == -1 ||
	    s.role != me.w.ops->role)
		fatalx("set-up: the parent's SETUP does not fit this program");
	if (s.root != NULL) {
		if (ax_strlcpy(me.root, s.root, sizeof(me.root)) >=
		    sizeof(me.root))
			fatalx("set-up: the root's path is too long");
		s.root = me.root;
	}
	me.setup = s;
	me.got_setup = true;
	me.w.instance = s.instance;
	me.w.epoch = s.epoch;
	me.w.as_root = s.as_root != 0;
	log_set_level((enum log_level)s.log_level);
}

static void
take_slot(int fd)
{
	void *p;

	p = mmap(NULL, sizeof(struct metrics_slot), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	(void)close(fd);
	if (p == MAP_FAILED)
		fatal("set-up: cannot map the metrics slot");
	me.w.slot = p;
}

static void
worker_on_resource(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *name;
	uint16_t kind;
	uint32_t a;
	int fd = m->fds[0];

	mr_init(&r, m->body, m->len);
	kind = mr_u16(&r);
	a = mr_u32(&r);
	name = mr_str_req(&r);
	if (mr_end(&r) == -1 || kind >= RES_MAX)
		fatalx("set-up: malformed RESOURCE");
	m->fds[0] = -1;
	if (kind == RES_SLOT_OWN)
		take_slot(fd);
	else if (me.w.ops->resource != NULL)
		me.w.ops->resource(&me.w, (enum res_kind)kind, a, name, fd);
	else
		(void)close(fd);
}

static void
conf_fail(char *why)
{
	if (me.gen_error == NULL)
		me.gen_error = why != NULL ? why : strdup("out of memory");
	else
		free(why);
}

static void
worker_on_conf_begin(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	me.gen = mr_u64(&r);
	free(me.gen_error);
	me.gen_error = NULL;
	settings_free(me.w.next);
	if ((me.w.next = settings_new()) == NULL)
		conf_fail(NULL);
	else if (me.w.ops->conf_begin != NULL &&
	    me.w.ops->conf_begin(&me.w, me.gen) == -1)
		conf_fail(NULL);
}

static void
worker_on_conf_item(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *name, *value;
	char err[512], *why = NULL;
	enum setting_id id;
	uint16_t kind;

	mr_init(&r, m->body, m->len);
	kind = mr_u16(&r);
	name = mr_str_req(&r);
	value = mr_str_req(&r);
	if (mr_end(&r) == -1 || kind >= CONF_MAX || me.w.next == NULL) {
		conf_fail(strdup("malformed configuration item"));
		return;
	}
	if (kind == CONF_SETTING) {
		id = settings_lookup(name);
		if (id == SET_MAX ||
		    settings_set(me.w.next, id, value, "", err, sizeof(err)) ==
			-1)
			conf_fail(strdup(id == SET_MAX ? name : err));
	}
	if (me.w.ops->conf_item != NULL &&
	    me.w.ops->conf_item(&me.w, (enum conf_kind)kind, name, value,
		&why) == -1)
		conf_fail(why);
}

static void
worker_on_conf_end(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct buf b = BUF_INITIALIZER;
	char *why = NULL;

	if (me.gen_error == NULL && me.w.ops->conf_end != NULL &&
	    me.w.ops->conf_end(&me.w, &why) == -1)
		conf_fail(why);
	mw_u64(&b, me.gen);
	if (me.gen_error != NULL)
		mw_str(&b, me.gen_error);
	(void)ipc_send_buf(me.w.parent,
	    me.gen_error != NULL ? MSG_CONF_REJECT : MSG_CONF_READY, 0, &b);
	buf_free(&b);
}

static void
worker_on_conf_commit(struct ipc *c, struct ipc_msg *m, void *arg)
{
	enum log_level l;

	if (me.w.next == NULL)
		return;
	settings_free(me.w.settings);
	me.w.settings = me.w.next;
	me.w.next = NULL;
	me.committed = true;
	metric_set(me.w.slot, MG_CONF_GENERATION, me.gen);
	if (log_level_parse(settings_str(me.w.settings, SET_LOG_LEVEL), &l) ==
		0 &&
	    me.running)
		log_set_level(l);
	if (me.w.ops->conf_commit != NULL)
		me.w.ops->conf_commit(&me.w);
}

static void
worker_on_conf_abort(struct ipc *c, struct ipc_msg *m, void *arg)
{
	settings_free(me.w.next);
	me.w.next = NULL;
	free(me.gen_error);
	me.gen_error = NULL;
	if (me.w.ops->conf_abort != NULL)
		me.w.ops->conf_abort(&me.w);
}

static void
worker_on_ping(struct ipc *c, struct ipc_msg *m, void *arg)
{
	(void)ipc_send(c, MSG_PONG, m->id, m->body, m->len);
}

static void
worker_on_log_level(struct ipc *c, struct ipc_msg *m, void *arg)
{
	if (m->body[0] <= LOG_L_DEBUG)
		log_set_level((enum log_level)m->body[0]);
}

void
worker_drained(struct worker *w)
{
	(void)ipc_send(w->parent, MSG_DRAINED, 0, NULL, 0);
}

void
worker_drained_at(struct worker *w, uint64_t seq)
{
	(void)ipc_send(w->parent, MSG_DRAINED, 0, &seq, sizeof(seq));
}

static void
worker_on_drain(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct peer *p;

	if (me.w.draining)
		return;
	me.w.draining = true;
	if (m->len == sizeof(me.w.drain_seq))
		memcpy(&me.w.drain_seq, m->body, m->len);
	LIST_FOREACH(p, &me.peers, entry)
	ipc_set_state(p->chan, PS_DRAIN);
	ipc_set_state(c, me.running ? PS_DRAIN : PS_SETUP);
	if (me.w.ops->drain != NULL && me.running)
		me.w.ops->drain(&me.w);
	else
		worker_drained(&me.w);
}

static void
worker_on_probe(struct ipc *c, struct ipc_msg *m, void *arg)
{
#ifdef AX_PROBE
	struct buf json = BUF_INITIALIZER, b = BUF_INITIALIZER;

	confine_probe(&json);
	mw_str(&b, buf_str(&json));
	(void)ipc_send_buf(c, MSG_PROBE_RESULT, m->id, &b);
	buf_free(&json);
	buf_free(&b);
#else
	log_warnx("probe: this is not a test build");
#endif
}

static void
parent_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	if (how == IPC_VIOLATION)
		log_warnx("parent's channel: %s", why);
	/* Nothing may be left half done by exit handlers: end now. */
	_exit(how == IPC_VIOLATION ? 1 : 0);
}

static const struct ipc_route parent_routes[] = {
	{ MSG_SETUP, worker_on_setup },
	{ MSG_RESOURCE, worker_on_resource },
	{ MSG_PEER, worker_on_peer },
	{ MSG_CONF_BEGIN, worker_on_conf_begin },
	{ MSG_CONF_ITEM, worker_on_conf_item },
	{ MSG_CONF_END, worker_on_conf_end },
	{ MSG_CONF_COMMIT, worker_on_conf_commit },
	{ MSG_CONF_ABORT, worker_on_conf_abort },
	{ MSG_DRAIN, worker_on_drain },
	{ MSG_PING, worker_on_ping },
	{ MSG_LOG_LEVEL, worker_on_log_level },
	{ MSG_PROBE, worker_on_probe },
};

/* ---- the life ---- */

/* A worker is started by the parent and by nobody else. */
static void
check_parent_fd(const char *progname)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(PARENT_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_SEQPACKET)
		return;
	(void)fprintf(stderr,
	    "%s is a part of ArcHillx and is started by "
	    "archillxd, not by hand.\n",
	    progname);
	exit(2);
}

static void
clean_process(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1,
		SIGUSR2, SIGPIPE };
	struct sigaction sa = { .sa_handler = SIG_IGN };
	sigset_t none;
	size_t i;

	(void)umask(077);
	(void)setsid();
	if (chdir("/") == -1)
		fatal("chdir /");
	for (i = 0; i < AX_NELEM(ignored); i++)
		(void)sigaction(ignored[i], &sa, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (clearenv() != 0 || setenv("PATH", "/usr/bin:/bin", 1) == -1 ||
	    setenv("LANG", "C.UTF-8", 1) == -1 || setenv("TZ", "UTC", 1) == -1)
		fatal("environment");
}

/* Libraries that read files do it now, while files can be read. */
static void
warm_up(void)
{
	struct event_config *cfg;
	char junk[8];

	tzset();
	json_object_seed(0);
	ax_random(junk, sizeof(junk));
	if ((cfg = event_config_new()) == NULL)
		fatalx("event_config_new");
	(void)event_config_set_flag(cfg,
	    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	if ((me.w.base = event_base_new_with_config(cfg)) == NULL)
		fatalx("event_base_new");
	event_config_free(cfg);
	(void)event_base_priority_init(me.w.base, 2);
}

static void
open_parent(const struct worker_ops *ops)
{
	static struct ipc_route routes[AX_NELEM(parent_routes) + 8];
	size_t n = AX_NELEM(parent_routes);

	if (ops->nparent_routes > 8)
		fatalx("too many routes");
	memcpy(routes, parent_routes, sizeof(parent_routes));
	if (ops->nparent_routes > 0)
		memcpy(routes + n, ops->parent_routes,
		    ops->nparent_routes * sizeof(*routes));
	if (fcntl(PARENT_FD, F_SETFD, FD_CLOEXEC) == -1)
		fatal("descriptor 3");
	me.w.parent = ipc_new(NULL, PARENT_FD, ops->role, PROC_PARENT, 0,
	    routes, n + ops->nparent_routes, parent_lost, &me.w);
	if (me.w.parent == NULL)
		fatal("channel to the parent");
}

static void
say_hello(void)
{
	struct buf b = BUF_INITIALIZER;

	mw_u32(&b, AX_PROTO);
	mw_str(&b, AX_BUILD_ID);
	(void)ipc_send_buf(me.w.parent, MSG_HELLO, 0, &b);
	buf_free(&b);
}

static void
say_ready(bool mdwe, enum confinement mode)
{
	struct buf b = BUF_INITIALIZER;

	mw_u32(&b, (uint32_t)me.landlock_abi);
	mw_u8(&b, (uint8_t)mode);
	mw_u8(&b, mdwe);
	(void)ipc_send_buf(me.w.parent, MSG_READY, 0, &b);
	buf_free(&b);
}

int
worker_landlock_allow(struct worker *w, int dirfd, uint64_t access)
{
	return (confine_landlock_allow(w->landlock_fd, me.landlock_abi, dirfd,
	    access));
}

static bool
confine(const struct worker_ops *ops)
{
	enum confinement mode = me.setup.confinement;
	bool mdwe;

#ifdef AX_SANITIZERS
	/* The sanitizers' runtime makes system calls of its own. */
	mode = me.setup.confinement = CF_OFF;
#endif
	confine_rlimits(ops);
	confine_identity(&me.setup);
	mdwe = confine_prctl(ops, me.setup.parent_pid);
	confine_landlock_enforce(me.w.landlock_fd);
	me.w.landlock_fd = -1;
	confine_seccomp(ops, mode);
	return (mdwe);
}

static void
set_up(void)
{
	while (!me.committed) {
		if (ipc_recv_blocking(me.w.parent, SETUP_TIMEOUT_MS) == -1)
			fatal("set-up: nothing from the parent");
	}
	if (!me.got_setup || me.w.slot == NULL)
		fatalx("set-up: the parent left something out");
}

int
worker_main(int argc, char **argv, const struct worker_ops *ops, void *priv)
{
	struct peer *p, *next;
	bool mdwe;

	log_init(proc_name(ops->role));
	check_parent_fd(argc > 0 ? argv[0] : proc_exec_name(ops->role));
	(void)close_range(PARENT_FD + 1, ~0U, 0);
	clean_process();
	LIST_INIT(&me.peers);
	me.w.ops = ops;
	me.w.priv = priv;
	warm_up();
	open_parent(ops);
	me.w.landlock_fd =
	    confine_landlock_new(!ops->may_fork, &me.landlock_abi);
	say_hello();
	set_up();
	if (ops->start != NULL)
		ops->start(&me.w);
	mdwe = confine(ops);
	me.running = true;
	ipc_set_state(me.w.parent, PS_RUN);
	ipc_attach(me.w.parent, me.w.base);
	if (ops->confined != NULL)
		ops->confined(&me.w);
	say_ready(mdwe, me.setup.confinement);
	for (p = LIST_FIRST(&me.peers); p != NULL; p = next) {
		next = LIST_NEXT(p, entry);
		peer_announce(p);
	}
	if (event_base_dispatch(me.w.base) == -1)
		log_warn("event loop");
	return (1);
}
