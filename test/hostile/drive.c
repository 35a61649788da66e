/* SPDX-License-Identifier: ISC */
/*
 * Drives the real broker and launcher without the rest of the service: it
 * plays the parent and audit. Each line of standard input is a JSON object
 * {"skill": NAME, "inputs": {...}} and is answered, in the order of the ends,
 * by a line on standard output. Several run at once, as many as come in.
 *
 *   drive [-e EPOCH] [-n] [-u USER] BUILD_DIR SKILLS_DIR [SETTING=VALUE]...
 *
 * -n gives the launcher no control group; -u runs the workers as that user (as
 * root only). For tests and measurements; never installed.
 */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/cgroup.h"
#include "common/ipc.h"
#include "common/jw.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/msg.h"
#include "common/setup.h"
#include "common/settings.h"
#include "common/util.h"

struct proc {
	enum proc_role role;
	pid_t pid;
	struct ipc *chan;
	bool ready;
};

static struct {
	struct event_base *base;
	struct proc launcher, broker;
	struct ipc *audit; /* our end as audit, towards the broker */
	struct cgroup_set cg;
	const char *build, *skills;
	uint64_t epoch, permit, sent_at[65536];
	unsigned open;
	uid_t uid;
	gid_t gid;
	bool eof, swept, no_cgroup;
	struct buf in;
	struct event *in_ev;
	char **settings;
} me = { .epoch = 1 };

static void
finish(int status)
{
	struct proc *p[] = { &me.broker, &me.launcher };
	size_t i;

	for (i = 0; i < AX_NELEM(p); i++) {
		if (p[i]->pid <= 0)
			continue;
		(void)kill(p[i]->pid, SIGKILL);
		(void)waitpid(p[i]->pid, NULL, 0);
	}
	cgroup_remove(&me.cg);
	exit(status);
}

static void
lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	if (me.eof && me.open == 0)
		return;
	(void)fprintf(stderr, "drive: %s is lost: %s\n", proc_name(ipc_peer(c)),
	    why);
	finish(1);
}

/* ---- playing audit ---- */

static void
on_line(const char *line)
{
	struct exec_request q = { .epoch = me.epoch, .request_id = "drive" };
	struct buf b = BUF_INITIALIZER;
	json_t *o, *in;
	char *text = NULL;

	o = json_loads(line, JSON_ALLOW_NUL, NULL);
	in = json_object_get(o, "inputs");
	if (o == NULL || (text = json_dumps(in, JSON_COMPACT)) == NULL) {
		(void)fprintf(stderr, "drive: not a request: %s\n", line);
		finish(2);
	}
	q.permit = ++me.permit;
	q.skill = json_string_value(json_object_get(o, "skill"));
	q.skill = q.skill != NULL ? q.skill : "code_exec";
	q.inputs = text;
	exec_request_put(&b, &q);
	me.open++;
	me.sent_at[q.permit % AX_NELEM(me.sent_at)] = ax_mono_us();
	if (ipc_send_buf(me.audit, MSG_EXEC, 0, &b) == -1)
		finish(1);
	buf_free(&b);
	free(text);
	json_decref(o);
}

static void
on_stdin(evutil_socket_t fd, short what, void *arg)
{
	char chunk[65536], *nl;
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n <= 0) {
		me.eof = true;
		(void)event_del(me.in_ev);
		if (me.open == 0)
			finish(0);
		return;
	}
	buf_add(&me.in, chunk, (size_t)n);
	while ((nl = memchr(me.in.d, '\n', me.in.len)) != NULL) {
		*nl = '\0';
		if (nl != me.in.d)
			on_line(me.in.d);
		buf_consume(&me.in, (size_t)(nl - me.in.d) + 1);
	}
}

static void
on_done(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct buf b = BUF_INITIALIZER;
	struct exec_done d;
	struct jw w;

	if (exec_done_get(m->body, m->len, &d) == -1)
		finish(1);
	jw_init(&w, &b, true);
	jw_obj(&w);
	jw_kuint(&w, "permit", d.permit);
	jw_kstr(&w, "state", end_state_name(d.state));
	jw_kint(&w, "exit_code", d.exit_code);
	jw_kint(&w, "signal", d.signal);
	jw_kuint(&w, "wall_us", d.wall_us);
	jw_kuint(&w, "cpu_us", d.cpu_us);
	jw_kuint(&w, "total_us",
	    ax_mono_us() - me.sent_at[d.permit % AX_NELEM(me.sent_at)]);
	jw_kuint(&w, "peak_mem", d.peak_mem);
	jw_kuint(&w, "stdout_total", d.stdout_total);
	jw_kuint(&w, "stderr_total", d.stderr_total);
	jw_key(&w, "stdout");
	jw_strn(&w, d.out, d.out_len);
	jw_key(&w, "stderr");
	jw_strn(&w, d.err, d.err_len);
	jw_kstr(&w, "error", d.error);
	jw_obj_end(&w);
	(void)printf("%s\n", buf_str(&b));
	(void)fflush(stdout);
	buf_free(&b);
	me.open--;
	if (me.eof && me.open == 0)
		finish(0);
}

static void
on_preflight(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *json;

	mr_init(&r, m->body, m->len);
	(void)mr_u8(&r);
	json = mr_str_req(&r);
	if (getenv("DRIVE_VERBOSE") != NULL)
		(void)fprintf(stderr, "drive: preflight %s\n", json);
	(void)event_add(me.in_ev, NULL);
}

static void
on_swept(struct ipc *c, struct ipc_msg *m, void *arg)
{
	if (me.swept)
		return;
	me.swept = true;
	(void)ipc_send(me.audit, MSG_PREFLIGHT, 7, NULL, 0);
}

static void
on_output(struct ipc *c, struct ipc_msg *m, void *arg)
{
}

static const struct ipc_route audit_routes[] = {
	{ MSG_EXEC_DONE, on_done },
	{ MSG_PREFLIGHT_RESULT, on_preflight },
	{ MSG_OUTPUT, on_output },
	{ MSG_SWEPT, on_swept },
};

/* ---- playing the parent ---- */

static void
send_peer(struct proc *to, enum proc_role about, int fd)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, (uint16_t)about);
	mw_u16(&b, 0);
	mw_u64(&b, me.epoch);
	(void)ipc_send_fds(to->chan, MSG_PEER, 0, b.d, b.len, &fd, 1);
	buf_free(&b);
}

static void
on_ready(struct ipc *c, struct ipc_msg *m, void *arg)
{
	int sv[2], av[2];

	if (ipc_peer(c) == PROC_BROKER)
		me.broker.ready = true;
	else
		me.launcher.ready = true;
	if (!me.broker.ready || !me.launcher.ready)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, av) == -1)
		fatal("socketpair");
	send_peer(&me.launcher, PROC_BROKER, sv[0]);
	send_peer(&me.broker, PROC_LAUNCHER, sv[1]);
	me.audit = ipc_new(me.base, av[0], PROC_AUDIT, PROC_BROKER, 0,
	    audit_routes, AX_NELEM(audit_routes), lost, NULL);
	ipc_set_state(me.audit, PS_RUN);
	send_peer(&me.broker, PROC_AUDIT, av[1]);
}

static void
nothing(struct ipc *c, struct ipc_msg *m, void *arg)
{
}

static void
on_reject(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	(void)mr_u64(&r);
	(void)fprintf(stderr, "drive: rejected: %s\n", mr_str_req(&r));
	finish(1);
}

static const struct ipc_route parent_routes[] = {
	{ MSG_HELLO, nothing },
	{ MSG_CONF_READY, nothing },
	{ MSG_CONF_REJECT, on_reject },
	{ MSG_READY, on_ready },
	{ MSG_DRAINED, nothing },
	{ MSG_PONG, nothing },
	{ MSG_CHANNEL_LOST, nothing },
	{ MSG_PROBE_RESULT, nothing },
};

static void
send_resource(struct proc *p, enum res_kind kind, const char *name, int fd)
{
	struct buf b = BUF_INITIALIZER;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 4);

	mw_u16(&b, (uint16_t)kind);
	mw_u32(&b, 0);
	mw_str(&b, name);
	if (ipc_send_fds(p->chan, MSG_RESOURCE, 0, b.d, b.len, &copy, 1) == -1)
		fatal("resource");
	buf_free(&b);
}

static void
send_item(struct proc *p, enum conf_kind kind, const char *name,
    const char *value)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, (uint16_t)kind);
	mw_str(&b, name);
	mw_str(&b, value);
	(void)ipc_send_buf(p->chan, MSG_CONF_ITEM, 0, &b);
	buf_free(&b);
}

static void
send_skills(struct proc *p)
{
	struct dirent *e;
	char *text, name[256];
	size_t len, size;
	DIR *d;

	if ((d = opendir(me.skills)) == NULL)
		fatal("%s", me.skills);
	while ((e = readdir(d)) != NULL) {
		len = strlen(e->d_name);
		if (len < 6 || strcmp(e->d_name + len - 5, ".json") != 0)
			continue;
		text = ax_read_file(dirfd(d), e->d_name, 1 << 20, &size);
		if (text == NULL)
			fatal("%s", e->d_name);
		(void)snprintf(name, sizeof(name), "%.*s", (int)len - 5,
		    e->d_name);
		send_item(p, CONF_SKILL, name, text);
		free(text);
	}
	(void)closedir(d);
}

static void
send_conf(struct proc *p)
{
	uint64_t gen = 1;
	char **s, name[128];

	(void)ipc_send(p->chan, MSG_CONF_BEGIN, 0, &gen, sizeof(gen));
	for (s = me.settings; *s != NULL; s++) {
		(void)ax_strlcpy(name, *s, sizeof(name));
		name[strcspn(name, "=")] = '\0';
		send_item(p, CONF_SETTING, name, strchr(*s, '=') + 1);
	}
	send_item(p, CONF_FACT, "cgroup", cgroup_variant_name(me.cg.variant));
	if (p->role == PROC_BROKER)
		send_skills(p);
	(void)ipc_send(p->chan, MSG_CONF_END, 0, &gen, sizeof(gen));
	(void)ipc_send(p->chan, MSG_CONF_COMMIT, 0, &gen, sizeof(gen));
}

static void
equip(struct proc *p)
{
	struct worker_setup s = { .role = p->role,
		.epoch = me.epoch,
		.as_root = getuid() == 0,
		.uid = me.uid,
		.gid = me.gid,
		.confinement = CF_KILL,
		.log_level = LOG_L_INFO,
		.parent_pid = (uint32_t)getpid(),
		.root = p->role == PROC_BROKER ? "/proc/self/fdinfo" : NULL };
	struct metrics_slot slot = { .magic = METRICS_MAGIC };
	struct buf b = BUF_INITIALIZER;
	unsigned i;
	int fd;

	worker_setup_put(&b, &s);
	(void)ipc_send_buf(p->chan, MSG_SETUP, 0, &b);
	buf_free(&b);
	if ((fd = memfd_create("slot", MFD_CLOEXEC)) == -1 ||
	    ax_write_all(fd, &slot, sizeof(slot)) == -1)
		fatal("slot");
	send_resource(p, RES_SLOT_OWN, "", fd);
	(void)close(fd);
	if (p->role == PROC_LAUNCHER) {
		for (i = 0; i < me.cg.ndirs; i++)
			send_resource(p, RES_CGROUP, me.cg.dir[i].name,
			    me.cg.dir[i].fd);
	}
	send_conf(p);
}

static void
start(struct proc *p, enum proc_role role)
{
	char path[4096];
	char *argv[] = { path, NULL }, *envp[] = { NULL, NULL };
	int sv[2];

	p->role = role;
	envp[0] = getenv("ASAN_OPTIONS") != NULL ?
	    getenv("ASAN_OPTIONS") - strlen("ASAN_OPTIONS=") :
	    NULL;
	(void)snprintf(path, sizeof(path), "%s/workers/%s/%s", me.build,
	    proc_name(role), proc_exec_name(role));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		fatal("socketpair");
	if ((p->pid = fork()) == 0) {
		(void)dup2(open("/dev/null", O_RDWR), 0);
		if (role == PROC_LAUNCHER && cgroup_enter(&me.cg) == -1)
			log_warn("cgroup_enter");
		if (dup2(sv[1], 3) == -1 ||
		    (sv[1] == 3 && fcntl(3, F_SETFD, 0) == -1))
			_exit(127);
		(void)execve(path, argv, envp);
		log_warn("%s", path);
		_exit(127);
	}
	(void)close(sv[1]);
	p->chan = ipc_new(me.base, sv[0], PROC_PARENT, role, 0, parent_routes,
	    AX_NELEM(parent_routes), lost, NULL);
	ipc_set_state(p->chan, PS_RUN);
	equip(p);
}

static void
options(int argc, char **argv)
{
	struct passwd *pw;
	int c;

	me.uid = getuid();
	me.gid = getgid();
	while ((c = getopt(argc, argv, "e:nu:")) != -1) {
		if (c == 'e')
			me.epoch = strtoull(optarg, NULL, 10);
		else if (c == 'n')
			me.no_cgroup = true;
		else if (c == 'u' && (pw = getpwnam(optarg)) != NULL) {
			me.uid = pw->pw_uid;
			me.gid = pw->pw_gid;
		} else
			exit(2);
	}
	if (argc - optind < 2)
		exit(2);
	me.build = argv[optind];
	me.skills = argv[optind + 1];
	me.settings = argv + optind + 2;
}

int
main(int argc, char **argv)
{
	char name[64];

	log_init("drive");
	(void)signal(SIGPIPE, SIG_IGN);
	options(argc, argv);
	(void)snprintf(name, sizeof(name), "archillx-%d", (int)getpid());
	if (!me.no_cgroup && cgroup_prepare(me.uid, name, &me.cg) == -1)
		log_warnx("no cgroup: %s", me.cg.why);
	if ((me.base = event_base_new()) == NULL)
		fatalx("event_base_new");
	/* A file cannot be watched by epoll; tests give a pipe. */
	me.in_ev = event_new(me.base, 0, EV_READ | EV_PERSIST, on_stdin, NULL);
	start(&me.launcher, PROC_LAUNCHER);
	start(&me.broker, PROC_BROKER);
	(void)event_base_dispatch(me.base);
	finish(1);
}
