/* SPDX-License-Identifier: ISC */
/*
 * The control socket, RUN_DIR/archillx.sock: one JSON object in, one JSON
 * object out, one line each, then the connection ends. Only root and the user
 * that runs the service get in (SO_PEERCRED); what must be recorded goes
 * through the gate with the caller's uid as the actor.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <jansson.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "generation.h"
#include "parent.h"

#define REQUEST_MAX 65536
#define CONNS_MAX   32

struct control_conn {
	struct bufferevent *bev;
	uint64_t id; /* of a request under way, 0: none */
	uid_t uid;
	bool answered;
	bool at_stop; /* answered when the service has stopped */
	/* probe: answers are collected */
	struct buf probe;
	unsigned probes_due;
};

static struct {
	int fd;
	struct event *ev;
	char path[108];
	struct control_conn *conns[CONNS_MAX];
	uint64_t last_id;
} ctl = { .fd = -1 };

static void
conn_free(struct control_conn *c)
{
	unsigned i;

	for (i = 0; i < CONNS_MAX; i++) {
		if (ctl.conns[i] == c)
			ctl.conns[i] = NULL;
	}
	bufferevent_free(c->bev);
	buf_free(&c->probe);
	free(c);
}

static void
conn_sent(struct bufferevent *bev, void *arg)
{
	struct control_conn *c = arg;

	if (c->answered)
		conn_free(c);
}

static void
conn_event(struct bufferevent *bev, short what, void *arg)
{
	conn_free(arg);
}

/* ok: `result` is JSON; else it is a sentence. */
static void
answer(struct control_conn *c, bool ok, const char *result)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kbool(&w, "ok", ok);
	jw_key(&w, ok ? "result" : "error");
	if (ok)
		jw_raw(&w, result, strlen(result));
	else
		jw_str(&w, result);
	jw_obj_end(&w);
	buf_addc(&b, '\n');
	c->answered = true;
	(void)bufferevent_disable(c->bev, EV_READ);
	if (b.err || bufferevent_write(c->bev, b.d, b.len) == -1)
		conn_free(c);
	buf_free(&b);
}

/* ---- verbs ---- */

static void
put_proc(struct jw *w, const struct proc *p)
{
	static const char *const modes[] = { "kill", "errno", "log", "off" };
	uint64_t up = p->state == PROC_DOWN ?
	    0 :
	    (ax_mono_us() - p->started_us) / 1000000;

	jw_obj(w);
	jw_kstr(w, "name", proc_name(p->desc->role));
	jw_kuint(w, "instance", p->instance);
	jw_kstr(w, "state", proc_state_name(p->state));
	jw_kint(w, "pid", p->state == PROC_DOWN ? 0 : p->pid);
	jw_kuint(w, "uptime_s", up);
	jw_kuint(w, "restarts", p->restarts);
	jw_kuint(w, "landlock_abi", p->landlock_abi);
	jw_kstr(w, "seccomp", modes[p->confinement & 3]);
	jw_kbool(w, "mdwe", p->mdwe != 0);
	jw_obj_end(w);
}

static bool
gauge_of(enum proc_role role, enum metric_gauge g)
{
	const struct proc *p = proc_find(role, 0);

	return (p != NULL && p->state == PROC_READY &&
	    metric_gauge_get(p->slot, g) != 0);
}

/* What proves the journal, and whether it leaves the host. */
static void
put_evidence(struct jw *w)
{
	const char *sink = settings_str(parent.settings, SET_CHECKPOINT_SINK);

	jw_kstr(w, "evidence_dir",
	    settings_str(parent.settings, SET_EVIDENCE_DIR));
	jw_kstr(w, "signing", settings_str(parent.settings, SET_AUDIT_SIGNING));
	jw_kstr(w, "signing_key",
	    *parent.signing != '\0' ? parent.signing : NULL);
	jw_kbool(w, "signing_ok", gauge_of(PROC_NOTARY, MG_SIGNING_OK));
	jw_kuint(w, "checkpoint_seq",
	    metric_gauge_get(proc_find(PROC_NOTARY, 0)->slot,
		MG_CHECKPOINT_SEQ));
	jw_kstr(w, "sink", *sink != '\0' ? sink : NULL);
	jw_kbool(w, "sink_ok", metric_gauge_get(parent.slot, MG_SINK_OK) != 0);
}

static void
ctl_on_status(struct control_conn *c, json_t *args)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	unsigned i;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kstr(&w, "version", PACKAGE_VERSION);
	jw_kint(&w, "pid", getpid());
	jw_kstr(&w, "listen", parent.listen_text);
	jw_kbool(&w, "root", parent.as_root);
	jw_kstr(&w, "reduced",
	    parent.as_root ? NULL : "not root: users and chroots are given up");
	jw_kbool(&w, "ready", proc_all_in(PROC_READY));
	jw_kbool(&w, "stopping", parent.ending);
	jw_kuint(&w, "generation", parent.gen->number);
	jw_kbool(&w, "gate_open", gauge_of(PROC_AUDIT, MG_GATE_OPEN));
	/* a restart of the gate does not take back what is durable */
	jw_kuint(&w, "journal_seq",
	    metric_gauge_get(proc_find(PROC_AUDIT, 0)->slot, MG_JOURNAL_SEQ));
	jw_kbool(&w, "store_ok", gauge_of(PROC_STORE, MG_STORE_OK));
	jw_kbool(&w, "sandbox_ok", gauge_of(PROC_BROKER, MG_SANDBOX_OK));
	put_evidence(&w);
	jw_kstr(&w, "cgroup", parent.cgroup_kind);
	jw_key(&w, "processes");
	jw_arr(&w);
	for (i = 0; i < parent.nprocs; i++)
		put_proc(&w, &parent.procs[i]);
	jw_arr_end(&w);
	jw_obj_end(&w);
	answer(c, true, buf_str(&b));
	buf_free(&b);
}

static void
ctl_on_version(struct control_conn *c, json_t *args)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kstr(&w, "version", PACKAGE_VERSION);
	jw_kuint(&w, "protocol", AX_PROTO);
	jw_kstr(&w, "libevent", event_get_version());
	jw_kstr(&w, "jansson", jansson_version_str());
	jw_obj_end(&w);
	answer(c, true, buf_str(&b));
	buf_free(&b);
}

static void
ctl_on_config(struct control_conn *c, json_t *args)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	unsigned i;

	jw_init(&w, &b, false);
	jw_obj(&w);
	for (i = 0; i < SET_MAX; i++) {
		const char *v =
		    settings_str(parent.settings, (enum setting_id)i);
		bool secret = (setting_defs[i].flags & SF_SECRET) != 0;

		jw_key(&w, setting_defs[i].name);
		jw_obj(&w);
		jw_kstr(&w, "value", secret && *v != '\0' ? "***" : v);
		jw_kstr(&w, "origin",
		    settings_origin(parent.settings, (enum setting_id)i));
		jw_obj_end(&w);
	}
	jw_obj_end(&w);
	answer(c, true, buf_str(&b));
	buf_free(&b);
}

static struct control_conn *
conn_by_id(uint64_t id)
{
	unsigned i;

	for (i = 0; id != 0 && i < CONNS_MAX; i++) {
		if (ctl.conns[i] != NULL && ctl.conns[i]->id == id)
			return (ctl.conns[i]);
	}
	return (NULL);
}

static void
reload_answer(bool ok, const char *text, void *arg)
{
	/* The caller may have gone: it is found by number, not by pointer. */
	struct control_conn *c = conn_by_id((uint64_t)(uintptr_t)arg);

	if (c != NULL)
		answer(c, ok, text);
}

static void
ctl_on_reload(struct control_conn *c, json_t *args)
{
	c->id = ++ctl.last_id;
	reload_start(reload_answer, (void *)(uintptr_t)c->id);
}

static void
ctl_on_stop(struct control_conn *c, json_t *args)
{
	c->at_stop = true;
	stop_start("archillxctl stop");
}

static void
ctl_on_log_level(struct control_conn *c, json_t *args)
{
	const char *word = json_string_value(json_object_get(args, "level"));
	enum log_level level;
	unsigned i;
	uint8_t v;

	if (word == NULL || log_level_parse(word, &level) == -1) {
		answer(c, false, "level is one of ERROR, WARNING, INFO, DEBUG");
		return;
	}
	log_set_level(level);
	v = (uint8_t)level;
	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].chan != NULL)
			(void)ipc_send(parent.procs[i].chan, MSG_LOG_LEVEL, 0,
			    &v, 1);
	}
	answer(c, true, "{}");
}

/* Acts that must be recorded: the gate answers. */
static void
to_gate(struct control_conn *c, const char *verb, json_t *args)
{
	struct proc *audit = proc_find(PROC_AUDIT, 0);
	struct buf b = BUF_INITIALIZER;
	char actor[32], *text;

	text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	if (audit == NULL || audit->state != PROC_READY || text == NULL) {
		free(text);
		answer(c, false,
		    "the audit process is not there: nothing was "
		    "changed; see archillxctl status");
		return;
	}
	c->id = ++ctl.last_id;
	(void)snprintf(actor, sizeof(actor), "os:%u", (unsigned)c->uid);
	mw_str(&b, actor);
	mw_str(&b, verb);
	mw_str(&b, text);
	if (ipc_send_buf(audit->chan, MSG_CTL_GATE, c->id, &b) == -1)
		answer(c, false,
		    "the audit process does not take requests: "
		    "nothing was changed");
	buf_free(&b);
	free(text);
}

static void
ctl_on_skill_enable(struct control_conn *c, json_t *args)
{
	to_gate(c, "skill.enable", args);
}

static void
ctl_on_skill_disable(struct control_conn *c, json_t *args)
{
	to_gate(c, "skill.disable", args);
}

static void
ctl_on_audit_archive(struct control_conn *c, json_t *args)
{
	to_gate(c, "audit.archive", args);
}

void
control_on_gate_result(uint64_t id, bool ok, const char *text)
{
	struct control_conn *c = conn_by_id(id);

	if (c != NULL)
		answer(c, ok, text);
}

static void
ctl_on_probe(struct control_conn *c, json_t *args)
{
#ifdef AX_PROBE
	unsigned i;

	c->id = ++ctl.last_id;
	buf_addc(&c->probe, '{');
	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].state != PROC_READY)
			continue;
		(void)ipc_send(parent.procs[i].chan, MSG_PROBE, c->id, NULL, 0);
		c->probes_due++;
	}
#else
	answer(c, false, "probe needs a test build (configure --enable-probe)");
#endif
}

void
control_on_probe_result(struct proc *p, const char *json)
{
	struct control_conn *c = NULL;
	unsigned i;

	for (i = 0; i < CONNS_MAX; i++) {
		if (ctl.conns[i] != NULL && ctl.conns[i]->probes_due > 0)
			c = ctl.conns[i];
	}
	if (c == NULL)
		return;
	buf_printf(&c->probe, "\"%s-%u\":%s", proc_name(p->desc->role),
	    p->instance, json);
	buf_addc(&c->probe, --c->probes_due > 0 ? ',' : '}');
	if (c->probes_due == 0)
		answer(c, true, buf_str(&c->probe));
}

static const struct {
	const char *verb;
	void (*fn)(struct control_conn *, json_t *args);
} verbs[] = {
	{ "status", ctl_on_status },
	{ "version", ctl_on_version },
	{ "config", ctl_on_config },
	{ "reload", ctl_on_reload },
	{ "stop", ctl_on_stop },
	{ "log-level", ctl_on_log_level },
	{ "skill.enable", ctl_on_skill_enable },
	{ "skill.disable", ctl_on_skill_disable },
	{ "audit.archive", ctl_on_audit_archive },
	{ "probe", ctl_on_probe },
};

/* ---- connections ---- */

static void
dispatch(struct control_conn *c, const char *line, size_t len)
{
	json_error_t err;
	json_t *req, *args;
	const char *verb;
	size_t i;

	req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err);
	verb = json_string_value(json_object_get(req, "verb"));
	args = json_object_get(req, "args");
	if (verb == NULL || !json_is_object(args)) {
		json_decref(req);
		answer(c, false, "expected {\"verb\": ..., \"args\": {...}}");
		return;
	}
	for (i = 0; i < AX_NELEM(verbs); i++) {
		if (strcmp(verbs[i].verb, verb) == 0) {
			verbs[i].fn(c, args);
			json_decref(req);
			return;
		}
	}
	json_decref(req);
	answer(c, false,
	    "unknown verb: archillxctl and archillxd are of "
	    "different versions");
}

static void
conn_read(struct bufferevent *bev, void *arg)
{
	struct control_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len;
	char *line;

	if ((line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF)) == NULL) {
		if (evbuffer_get_length(in) > REQUEST_MAX)
			conn_free(c);
		return;
	}
	(void)bufferevent_disable(bev, EV_READ);
	dispatch(c, line, len);
	free(line);
}

/* True for root and for the user that runs the service. */
static bool
may_control(int fd, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return (false);
	*uid = cred.uid;
	return (cred.uid == 0 || cred.uid == geteuid());
}

static void
control_accept(evutil_socket_t lfd, short what, void *arg)
{
	struct control_conn *c;
	unsigned slot;
	uid_t uid;
	int fd;

	fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return;
	for (slot = 0; slot < CONNS_MAX && ctl.conns[slot] != NULL; slot++)
		;
	if (slot == CONNS_MAX || !may_control(fd, &uid) ||
	    (c = calloc(1, sizeof(*c))) == NULL) {
		(void)close(fd);
		return;
	}
	c->uid = uid;
	c->bev = bufferevent_socket_new(parent.base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		(void)close(fd);
		free(c);
		return;
	}
	ctl.conns[slot] = c;
	bufferevent_setcb(c->bev, conn_read, conn_sent, conn_event, c);
	(void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* A socket file without a listener behind it is a leftover. */
static void
remove_stale(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		fatal("socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		fatalx("another archillxd answers on %s: stop it first, or "
		       "choose another RUN_DIR",
		    sun->sun_path);
	(void)close(fd);
	(void)unlink(sun->sun_path);
}

void
control_open(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t old;
	int n;

	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/archillx.sock",
	    settings_str(parent.settings, SET_RUN_DIR));
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		fatalx("RUN_DIR is too long for a socket in it (%d bytes at "
		       "most)",
		    (int)sizeof(sun.sun_path) - 15);
	(void)ax_strlcpy(ctl.path, sun.sun_path, sizeof(ctl.path));
	remove_stale(&sun);
	ctl.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	old = umask(0177);
	if (ctl.fd == -1 ||
	    bind(ctl.fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(ctl.fd, 16) == -1)
		fatal("cannot listen on %s", sun.sun_path);
	(void)umask(old);
	ctl.ev = event_new(parent.base, ctl.fd, EV_READ | EV_PERSIST,
	    control_accept, NULL);
	if (ctl.ev == NULL || event_add(ctl.ev, NULL) == -1)
		fatalx("cannot watch the control socket");
}

/* The loop is over: what waits for the end is told with a plain write. */
void
control_on_stopped(void)
{
	static const char done[] = "{\"ok\":true,\"result\":{}}\n";
	unsigned i;

	for (i = 0; i < CONNS_MAX; i++) {
		if (ctl.conns[i] != NULL && ctl.conns[i]->at_stop &&
		    !ctl.conns[i]->answered)
			(void)ax_write_all(bufferevent_getfd(ctl.conns[i]->bev),
			    done, sizeof(done) - 1);
	}
}

void
control_close(void)
{
	unsigned i;

	if (ctl.fd == -1)
		return;
	for (i = 0; i < CONNS_MAX; i++) {
		if (ctl.conns[i] != NULL)
			conn_free(ctl.conns[i]);
	}
	event_free(ctl.ev);
	(void)close(ctl.fd);
	(void)unlink(ctl.path);
	ctl.fd = -1;
}
