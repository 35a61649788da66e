/* SPDX-License-Identifier: ISC */
/*
 * What a fresh worker is given between its HELLO and its READY (identity,
 * descriptors, channels, configuration), and the parent's side of the
 * messages that every worker may send.
 */
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cgroup.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "generation.h"
#include "notify.h"
#include "parent.h"
#include "sink.h"

static void
send_setup(struct proc *p)
{
	struct worker_setup s = { 0 };
	struct buf b = BUF_INITIALIZER;

	s.role = p->desc->role;
	s.instance = p->instance;
	s.epoch = parent.epoch;
	s.uid = parent.ids[p->desc->role].uid;
	s.gid = parent.ids[p->desc->role].gid;
	s.as_root = parent.as_root;
	s.confinement =
	    (enum confinement)settings_enum(parent.settings, SET_SANDBOX_MODE);
	s.log_level = (uint8_t)log_get_level();
	s.parent_pid = (uint32_t)getpid();
	switch (p->desc->root) {
	case ROOT_NONE:
		break;
	case ROOT_EMPTY:
		s.root = parent.empty_root;
		break;
	case ROOT_EVIDENCE:
		s.root = settings_str(parent.settings, SET_EVIDENCE_DIR);
		break;
	case ROOT_LOG:
		s.root = parent.log_dir;
		break;
	case ROOT_DB:
		s.root = parent.db_dir;
		break;
	case ROOT_FILES:
		s.root = parent.files_root;
		break;
	}
	worker_setup_put(&b, &s);
	(void)ipc_send_buf(p->chan, MSG_SETUP, 0, &b);
	buf_free(&b);
}

/* Sends a dup of fd; the parent keeps its own. */
static void
send_resource(struct proc *p, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	struct buf b = BUF_INITIALIZER;
	int copy;

	if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 4)) == -1) {
		log_warn("equip: dup");
		return;
	}
	mw_u16(&b, (uint16_t)kind);
	mw_u32(&b, arg);
	mw_str(&b, name);
	if (ipc_send_fds(p->chan, MSG_RESOURCE, 0, b.d, b.len, &copy, 1) == -1)
		log_warn("equip: resource for %s", proc_name(p->desc->role));
	buf_free(&b);
}

/*
 * A descriptor with an offset of its own: what one life of a worker has read
 * must not be read over for the next.
 */
static void
send_key(struct proc *p, enum res_kind kind, int key)
{
	char path[64];
	int fd;

	if (key == -1)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", key);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		log_warn("equip: key for %s", proc_name(p->desc->role));
		return;
	}
	send_resource(p, kind, 0, "", fd);
	(void)close(fd);
}

void
equip_resource(struct proc *p, enum res_kind kind, const char *name, int fd)
{
	send_resource(p, kind, 0, name, fd);
}

/* Everybody's metrics, read-only: a description that cannot be written. */
static void
send_slots(struct proc *p)
{
	char path[64];
	unsigned i;
	int fd;

	for (i = 0; i <= parent.nprocs; i++) {
		bool own_parent = i == parent.nprocs;
		const struct proc *o = own_parent ? NULL : &parent.procs[i];

		if (o == p)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d",
		    own_parent ? parent.slot_fd : o->slot_fd);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
			log_warn("equip: metrics slot");
			continue;
		}
		send_resource(p, RES_SLOT_PEER,
		    own_parent ? 0 :
				 (uint32_t)o->desc->role << 16 | o->instance,
		    "", fd);
		(void)close(fd);
	}
}

static void
send_file_roots(struct proc *p)
{
	const char *item;
	unsigned i;

	if (settings_item(parent.settings, SET_FILE_WHITELIST, 0) == NULL) {
		send_resource(p, RES_FILE_ROOT, 1, parent.files_root,
		    parent.root_fds[0]);
		return;
	}
	for (i = 0; (item = settings_item(parent.settings, SET_FILE_WHITELIST,
			 i)) != NULL &&
	     i < parent.nroots;
	     i++)
		send_resource(p, RES_FILE_ROOT, 1, item, parent.root_fds[i]);
}

static void
send_cgroups(struct proc *p)
{
	unsigned i;

	if (parent.cgroup == NULL)
		return;
	for (i = 0; i < parent.cgroup->ndirs; i++)
		send_resource(p, RES_CGROUP, 0, parent.cgroup->dir[i].name,
		    parent.cgroup->dir[i].fd);
}

static void
send_resources(struct proc *p)
{
	send_resource(p, RES_SLOT_OWN, 0, "", p->slot_fd);
	if (p->desc->holds_lock)
		send_resource(p, RES_LOCK, 0, "", parent.lock_fd);
	if (p->desc->sees_slots)
		send_slots(p);
	switch (p->desc->role) {
	case PROC_AUDIT:
		send_resource(p, RES_EVIDENCE_DIR, 0, "", parent.evidence_fd);
		send_key(p, RES_SECRETS_KEY, parent.secrets_fd);
		break;
	case PROC_STORE:
		send_resource(p, RES_STATE_DIR, 0, "", parent.db_fd);
		send_resource(p, RES_LOG_DIR, 0, "", parent.log_fd);
		break;
	case PROC_NOTARY:
		send_resource(p, RES_LOG_DIR, 0, "", parent.log_fd);
		send_key(p, RES_SIGNING_KEY, parent.signing_fd);
		break;
	case PROC_FILES:
		send_file_roots(p);
		break;
	case PROC_ARCHIVER:
		archive_equip(p);
		break;
	case PROC_LAUNCHER:
		send_cgroups(p);
		break;
	case PROC_HTTP:
		send_resource(p, RES_LISTENER, 0, parent.listen_text,
		    parent.listen_fd);
		send_resource(p, RES_RATE_TABLE, 0, "", parent.rate_fd);
		break;
	default:
		break;
	}
}

/* ---- channels between workers ---- */

static void
send_peer(struct proc *to, const struct proc *about, int fd)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, (uint16_t)about->desc->role);
	mw_u16(&b, (uint16_t)about->instance);
	mw_u64(&b, parent.epoch);
	(void)ipc_send_fds(to->chan, MSG_PEER, 0, b.d, b.len, &fd, 1);
	buf_free(&b);
}

static void
connect_pair(struct proc *a, struct proc *b)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("equip: socketpair");
		return;
	}
	send_peer(a, b, sv[0]);
	send_peer(b, a, sv[1]);
}

static bool
is_up(const struct proc *p)
{
	return (p->chan != NULL &&
	    (p->state == PROC_SETTING_UP || p->state == PROC_READY));
}

/* A channel to every peer of the list that is up; the others do the same
 * when they come up. */
static void
connect_peers(struct proc *p)
{
	unsigned i, k;

	for (i = 0; i < proc_nchannels; i++) {
		enum proc_role other;

		if (proc_channels[i].a == p->desc->role)
			other = proc_channels[i].b;
		else if (proc_channels[i].b == p->desc->role)
			other = proc_channels[i].a;
		else
			continue;
		for (k = 0; k < parent.nprocs; k++) {
			struct proc *o = &parent.procs[k];

			if (o != p && o->desc->role == other && is_up(o))
				connect_pair(p, o);
		}
	}
}

void
equip(struct proc *p)
{
	send_setup(p);
	send_resources(p);
	p->state = PROC_SETTING_UP;
	connect_peers(p);
	generation_send(parent.gen, p);
}

/* ---- messages of the workers ---- */

static struct proc *
sender(struct ipc *c)
{
	return (proc_find(ipc_peer(c), ipc_instance(c)));
}

static void
parent_on_hello(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = sender(c);
	struct msg_r r;
	uint32_t proto;
	const char *build;

	mr_init(&r, m->body, m->len);
	proto = mr_u32(&r);
	build = mr_str_req(&r);
	if (mr_end(&r) == -1 || proto != AX_PROTO ||
	    strcmp(build, AX_BUILD_ID) != 0) {
		log_warnx("%s is of another build than archillxd: restart the "
			  "service",
		    proc_exec_name(p->desc->role));
		proc_kill(p, SIGKILL);
		return;
	}
	if (p->state == PROC_STARTED)
		equip(p);
}

static void
parent_on_conf_ready(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = sender(c);
	uint64_t gen;

	memcpy(&gen, m->body, sizeof(gen));
	if (gen != p->gen_sent)
		return;
	p->gen_ready = true;
	if (p->state == PROC_SETTING_UP)
		(void)ipc_send(c, MSG_CONF_COMMIT, 0, &gen, sizeof(gen));
	else
		reload_on_answer(p, gen, NULL);
}

static void
parent_on_conf_reject(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = sender(c);
	struct msg_r r;
	uint64_t gen;
	const char *why;

	mr_init(&r, m->body, m->len);
	gen = mr_u64(&r);
	why = mr_str_req(&r);
	if (mr_end(&r) == -1)
		return;
	if (p->state == PROC_SETTING_UP) {
		log_warnx("%s rejects the configuration: %s",
		    proc_name(p->desc->role), why);
		proc_kill(p, SIGKILL);
	} else
		reload_on_answer(p, gen, why);
}

/* All four of the shared life hold the lock: the parent lets go of it. */
static void
release_lock(void)
{
	unsigned i;

	for (i = 0; i < parent.nprocs; i++) {
		if (parent.procs[i].desc->restart == RC_SHARED &&
		    parent.procs[i].state != PROC_READY)
			return;
	}
	if (parent.lock_fd != -1)
		(void)close(parent.lock_fd);
	parent.lock_fd = -1;
}

static unsigned
count_ready(void)
{
	unsigned i, n = 0;

	for (i = 0; i < parent.nprocs; i++)
		n += parent.procs[i].state == PROC_READY;
	return (n);
}

static void
first_ready(void)
{
	char ok = 0;

	parent.all_ready_once = true;
	notify_send("READY=1\nSTATUS=ready");
	log_info("ready: listening on %s, %u processes", parent.listen_text,
	    count_ready() + 1);
	if (parent.ready_fd != -1) {
		(void)ax_write_all(parent.ready_fd, &ok, 1);
		(void)close(parent.ready_fd);
		parent.ready_fd = -1;
	}
}

static void
parent_on_ready(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = sender(c);
	struct msg_r r;

	if (p->state != PROC_SETTING_UP)
		return;
	mr_init(&r, m->body, m->len);
	p->landlock_abi = mr_u32(&r);
	p->confinement = mr_u8(&r);
	p->mdwe = mr_u8(&r);
	p->state = PROC_READY;
	(void)evtimer_del(p->start_ev);
	log_info("%s[%d] ready", proc_exec_name(p->desc->role), (int)p->pid);
	release_lock();
	if (!parent.all_ready_once && proc_all_in(PROC_READY))
		first_ready();
	reload_retry();
}

static void
parent_on_drained(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = sender(c);

	if (p->state != PROC_DRAINING)
		return;
	p->state = PROC_DRAINED;
	if (p->desc->role == PROC_AUDIT && m->len == sizeof(parent.last_seq))
		memcpy(&parent.last_seq, m->body, m->len);
	stop_on_progress();
}

static void
parent_on_pong(struct ipc *c, struct ipc_msg *m, void *arg)
{
	log_debug("pong from %s", proc_name(ipc_peer(c)));
}

static void
parent_on_channel_lost(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	struct proc *guilty;
	enum proc_role role;
	unsigned instance;
	const char *why;

	mr_init(&r, m->body, m->len);
	role = (enum proc_role)mr_u16(&r);
	instance = mr_u16(&r);
	why = mr_str_req(&r);
	if (mr_end(&r) == -1 || (guilty = proc_find(role, instance)) == NULL)
		return;
	log_warnx("%s reports that %s broke the rules (%s): restarting it",
	    proc_name(ipc_peer(c)), proc_name(role), why);
	proc_kill(guilty, SIGKILL);
}

static void
parent_on_probe_result(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *json;

	mr_init(&r, m->body, m->len);
	json = mr_str_req(&r);
	if (mr_end(&r) == 0)
		control_on_probe_result(sender(c), json);
}

static void
parent_on_ctl_gate_result(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	uint8_t ok;
	const char *text;

	mr_init(&r, m->body, m->len);
	ok = mr_u8(&r);
	text = mr_str_req(&r);
	if (mr_end(&r) == 0)
		control_on_gate_result(m->id, ok != 0, text);
}

static void
parent_on_checkpoint(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *note;

	mr_init(&r, m->body, m->len);
	note = mr_str_req(&r);
	if (mr_end(&r) == 0)
		sink_put(note, strlen(note));
}

const struct ipc_route parent_routes[] = {
	{ MSG_CHECKPOINT, parent_on_checkpoint },
	{ MSG_ARCHIVE, archive_on_request },
	{ MSG_ARCHIVED, archive_on_answer },
	{ MSG_HELLO, parent_on_hello },
	{ MSG_CONF_READY, parent_on_conf_ready },
	{ MSG_CONF_REJECT, parent_on_conf_reject },
	{ MSG_READY, parent_on_ready },
	{ MSG_DRAINED, parent_on_drained },
	{ MSG_PONG, parent_on_pong },
	{ MSG_CHANNEL_LOST, parent_on_channel_lost },
	{ MSG_PROBE_RESULT, parent_on_probe_result },
	{ MSG_CTL_GATE_RESULT, parent_on_ctl_gate_result },
};
const size_t nparent_routes = AX_NELEM(parent_routes);
