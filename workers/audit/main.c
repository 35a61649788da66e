/* SPDX-License-Identifier: ISC */
/*
 * archillx-audit: wires the gate, the journal and the feed to messages, timers
 * and the files of EVIDENCE_DIR. Decides nothing itself; what is decided stands
 * in gate_*.c. Must never touch a file but through the journal's table of
 * calls, and never send what the gate did not say.
 */
#include <sys/file.h>
#include <sys/syscall.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <linux/landlock.h>
#include <event2/event.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/audit/archive.h"
#include "workers/audit/feed.h"
#include "workers/audit/gate.h"
#include "workers/audit/snapshot.h"
#include "workers/worker.h"
#ifdef AX_FAULT_IO
#include "workers/audit/jfault.h"
#endif

/* Newer than the kernel headers of Debian 12. */
#define LL_REFER    (1ull << 13)
#define LL_TRUNCATE (1ull << 14)

#define AUDIT_SIGNED 0 /* AUDIT_SIGNING=required */

#define EXIT_CONFIG 78 /* starting again is no use */

#define SNAPSHOT_LINES 50000 /* replayed at a start, at most about */

struct audit {
	struct worker *w;
	const struct jio *io;
	struct gate *gate;
	struct gate_conf *next; /* the generation that is arriving */
	char next_node[LINE_NODE_MAX + 1];
	char node[LINE_NODE_MAX + 1];
	struct journal *journal;
	struct feed store, notary;
	int dirfd, lockfd;
	struct archive *archive; /* with the journal */
	struct event *commit, *tick, *archive_step;
	struct secret_key secrets;
	bool lock_said, journal_said;
	struct snapshot snap; /* the last one saved or read */
	bool want_snapshot;
	uint64_t covered; /* lines under a checkpoint */
	uint64_t lives;	  /* channels so far */
	uint64_t http_life[PROC_HTTP_MAX], sched_life;
};

static struct audit A = { .io = &jio_real, .dirfd = -1, .lockfd = -1 };

/* ---- channels ---- */

static uint64_t *
life_of(enum proc_role role, unsigned instance)
{
	if (role == PROC_SCHEDULER)
		return (&A.sched_life);
	if (role == PROC_HTTP && instance < PROC_HTTP_MAX)
		return (&A.http_life[instance]);
	return (NULL);
}

/* Who is told of every line that is durable. */
static struct feed *
feed_of(enum proc_role role)
{
	return (role == PROC_STORE  ? &A.store :
		role == PROC_NOTARY ? &A.notary :
				      NULL);
}

static void
push_feeds(void)
{
	feed_push(&A.notary);
	feed_push(&A.store);
}

static struct origin
origin_of(const struct ipc *c)
{
	struct origin o = { .role = ipc_peer(c), .instance = ipc_instance(c) };
	const uint64_t *life = life_of(o.role, o.instance);

	o.life = life != NULL ? *life : 0;
	return (o);
}

static void
audit_peer_up(struct worker *w, struct ipc *c, enum proc_role role,
    unsigned instance, uint64_t epoch)
{
	uint64_t *life = life_of(role, instance);

	if (life != NULL)
		*life = ++A.lives;
	else if (feed_of(role) != NULL)
		feed_up(feed_of(role), c);
}

static void
audit_peer_down(struct worker *w, enum proc_role role, unsigned instance)
{
	uint64_t *life = life_of(role, instance);
	struct origin o = { .role = role, .instance = instance };

	if (life != NULL) {
		o.life = *life;
		*life = 0;
		gate_front_lost(A.gate, &o);
	} else if (feed_of(role) != NULL)
		feed_down(feed_of(role));
}

/* ---- what the gate wants done ---- */

static void
answer_parent(uint64_t id, const struct gate_result *r)
{
	struct buf b = BUF_INITIALIZER;
	bool ok = r->status == GS_CHANGED;

	mw_u8(&b, ok);
	if (ok)
		mw_str(&b, r->output != NULL ? r->output : "{}");
	else
		mw_str(&b,
		    r->error != NULL ?
			r->error :
			"the gate is closed: nothing was changed");
	if (ipc_send_buf(A.w->parent, MSG_CTL_GATE_RESULT, id, &b) == -1)
		log_warn("answer to the parent");
	buf_free(&b);
}

static void
on_result(void *arg, const struct origin *o, uint64_t id,
    const struct gate_result *r)
{
	const uint64_t *life;
	struct buf b = BUF_INITIALIZER;
	struct ipc *c;

	if (o->role == PROC_PARENT) {
		answer_parent(id, r);
		return;
	}
	life = life_of(o->role, o->instance);
	c = worker_peer(A.w, o->role, o->instance);
	if (life == NULL || *life != o->life || c == NULL)
		return;
	gate_result_put(&b, r);
	if (ipc_send_buf(c, MSG_GATE_RESULT, id, &b) == -1)
		log_warn("answer to %s", proc_name(o->role));
	buf_free(&b);
}

static struct ipc *
executor(enum skill_runtime rt)
{
	return (
	    worker_peer(A.w, rt == RUN_FILES ? PROC_FILES : PROC_BROKER, 0));
}

static bool
on_executor_up(void *arg, enum skill_runtime rt)
{
	struct ipc *c = executor(rt);

	return (c != NULL && !ipc_congested(c));
}

static int
on_exec(void *arg, const struct exec_request *e)
{
	struct ipc *c = executor(RUN_CODE);
	struct buf b = BUF_INITIALIZER;
	int r = -1;

	exec_request_put(&b, e);
	if (c != NULL)
		r = ipc_send_buf(c, MSG_EXEC, e->permit, &b);
	buf_free(&b);
	return (r);
}

static int
on_file_op(void *arg, uint64_t permit, enum file_op op, const char *path,
    const char *content, size_t len)
{
	struct ipc *c = executor(RUN_FILES);
	struct buf b = BUF_INITIALIZER;
	int r = -1;

	mw_u64(&b, permit);
	mw_u64(&b, A.w->epoch);
	mw_u8(&b, (uint8_t)op);
	mw_str(&b, path);
	mw_u8(&b, content != NULL);
	mw_blob(&b, content != NULL ? content : "", len);
	if (c != NULL)
		r = ipc_send_buf(c, MSG_FILE_OP, permit, &b);
	buf_free(&b);
	return (r);
}

static void
on_kill(void *arg, uint64_t permit, enum end_state how)
{
	struct ipc *c = executor(RUN_CODE);
	struct buf b = BUF_INITIALIZER;

	mw_u64(&b, permit);
	mw_u8(&b, (uint8_t)how);
	if (c != NULL)
		(void)ipc_send_buf(c, MSG_KILL, permit, &b);
	buf_free(&b);
}

static void
on_overdue(void *arg, enum skill_runtime rt, uint64_t permit)
{
	struct ipc *c = executor(rt);

	if (c != NULL)
		worker_peer_violation(A.w, c, "silent past its deadline");
}

static void
on_wake(void *arg)
{
	event_active(A.commit, EV_TIMEOUT, 1);
}

static void
on_advanced(void *arg)
{
	push_feeds();
}

static void
on_flags_changed(void *arg)
{
	A.want_snapshot = true;
}

static void
save_snapshot(void)
{
	struct snapshot s = { .seq = journal_seq(A.journal) };
	uint64_t lowest = gate_lowest_permit(A.gate);

	A.want_snapshot = false;
	s.replay_from = lowest != 0 && lowest <= s.seq ? lowest : s.seq + 1;
	if (snapshot_save(A.io, A.dirfd, &s, gate_flags(A.gate),
		gate_idems(A.gate)) == -1)
		log_warn("snapshot: the next start reads more of the journal");
	/* Also after a failure: not with every commit again. */
	A.snap = s;
}

static void
on_drained(void *arg)
{
	uint64_t seq = 0;

	if (A.journal != NULL) {
		save_snapshot();
		seq = journal_seq(A.journal);
		/* The notary has it before the parent asks it to end. */
		feed_push(&A.notary);
	}
	worker_drained_at(A.w, seq);
}

/*
 * A restart would go on with what is left as if nothing had been: the snapshot
 * remembers how far the journal went, and the service ends.
 */
static void
on_damaged(void *arg, const char *why)
{
	save_snapshot();
	log_warnx("journal: %s: stop, keep " JOURNAL_NAME " and what is in "
		  "archive/, and look at the disk and at who was there",
	    why);
	exit(EX_CONFIG);
}

static const struct gate_ops gate_ops = {
	.result = on_result,
	.exec = on_exec,
	.file_op = on_file_op,
	.executor_up = on_executor_up,
	.kill = on_kill,
	.overdue = on_overdue,
	.wake = on_wake,
	.advanced = on_advanced,
	.flags_changed = on_flags_changed,
	.drained = on_drained,
	.damaged = on_damaged,
};

/* ---- what the archiving wants done ---- */

static int
on_archive_request(void *arg, uint64_t segment, int in, int out)
{
	const int fds[2] = { in, out };

	return (ipc_send_fds(A.w->parent, MSG_ARCHIVE, 0, &segment,
	    sizeof(segment), fds, 2));
}

static void
on_archive_later(void *arg, unsigned ms)
{
	const struct timeval tv = { 0, (suseconds_t)ms * 1000 };

	if (event_add(A.archive_step, &tv) == -1)
		fatalx("archive: timer");
}

static void
on_archive_replaced(void *arg, uint64_t segment)
{
	feed_again(&A.notary, segment);
	feed_again(&A.store, segment);
}

static const struct archive_ops archive_ops = {
	.request = on_archive_request,
	.later = on_archive_later,
	.replaced = on_archive_replaced,
};

static void
archive_due(evutil_socket_t fd, short what, void *arg)
{
	archive_step(A.archive);
}

/* What a checkpoint will never cover need not wait for it. */
static void
archive_more(void)
{
	bool signing = settings_enum(A.w->settings, SET_AUDIT_SIGNING) ==
	    AUDIT_SIGNED;

	if (A.archive != NULL && !A.w->draining)
		archive_tick(A.archive,
		    settings_bool(A.w->settings, SET_AUDIT_COMPRESS),
		    signing ? A.covered : journal_seq(A.journal));
}

/* ---- messages ---- */

/* The frame's buffer is ours while the handler runs; a mapped body is not. */
static void
wipe_token(const struct ipc_msg *m, const char *token)
{
	if (token != NULL && m->len <= IPC_BODY_MAX)
		explicit_bzero((void *)(uintptr_t)token, strlen(token));
}

static bool
source_fits(enum proc_role role, enum gate_source source)
{
	if (role == PROC_SCHEDULER)
		return (source == SRC_CRON);
	return (source == SRC_API || source == SRC_AGENT);
}

static void
audit_on_gate_request(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct origin o = origin_of(c);
	struct gate_request req;

	if (gate_request_get(m->body, m->len, &req) == -1 ||
	    !source_fits(o.role, req.source)) {
		worker_peer_violation(A.w, c, "malformed GATE_REQUEST");
		return;
	}
	gate_request(A.gate, &o, m->id, &req);
	wipe_token(m, req.token);
}

static void
audit_on_cancel(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct origin o = origin_of(c);

	gate_cancel(A.gate, &o, m->id);
}

static void
audit_on_audit_event(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct audit_event_facts f;
	struct msg_r r;
	uint8_t e;

	mr_init(&r, m->body, m->len);
	e = mr_u8(&r);
	f.address = mr_str(&r);
	f.request_id = mr_str(&r);
	f.detail = mr_str(&r);
	f.count = mr_u64(&r);
	f.request_ids = mr_u64(&r);
	if (mr_end(&r) == -1 || e >= AE_MAX) {
		worker_peer_violation(A.w, c, "malformed AUDIT_EVENT");
		return;
	}
	gate_audit_event(A.gate, (enum audit_event)e, &f);
}

static void
audit_on_exec_done(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct exec_done d;

	if (exec_done_get(m->body, m->len, &d) == -1) {
		worker_peer_violation(A.w, c, "malformed EXEC_DONE");
		return;
	}
	(void)gate_exec_done(A.gate, &d);
}

static void
audit_on_file_done(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *text;
	uint64_t permit;
	uint8_t ok;

	mr_init(&r, m->body, m->len);
	permit = mr_u64(&r);
	ok = mr_u8(&r);
	text = mr_str_req(&r);
	if (mr_end(&r) == -1) {
		worker_peer_violation(A.w, c, "malformed FILE_DONE");
		return;
	}
	(void)gate_file_done(A.gate, permit, ok != 0, text);
}

static void
audit_on_swept(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *why;
	uint64_t epoch;
	uint8_t ok;

	mr_init(&r, m->body, m->len);
	epoch = mr_u64(&r);
	ok = mr_u8(&r);
	why = mr_str(&r);
	if (mr_end(&r) == -1) {
		worker_peer_violation(A.w, c, "malformed SWEPT");
		return;
	}
	if (epoch != A.w->epoch)
		metric_inc(A.w->slot, MC_IPC_DROPPED);
	else if (ok)
		gate_swept(A.gate);
	else
		log_warnx("gate: stays closed: the sandbox of an earlier life "
			  "is not gone: %s",
		    why != NULL ? why : "no reason given");
}

/* Output is taken whole from EXEC_DONE; pieces of it are not kept. */
static void
audit_on_output(struct ipc *c, struct ipc_msg *m, void *arg)
{
	metric_inc(A.w->slot, MC_IPC_DROPPED);
}

static void
audit_on_preflight_result(struct ipc *c, struct ipc_msg *m, void *arg)
{
	metric_inc(A.w->slot, MC_IPC_DROPPED);
}

static void
audit_on_mark(struct ipc *c, struct ipc_msg *m, void *arg)
{
	const uint8_t *leaf;
	struct msg_r r;
	uint64_t seq;
	size_t n;

	mr_init(&r, m->body, m->len);
	seq = mr_u64(&r);
	leaf = mr_blob(&r, &n);
	if (mr_end(&r) == -1) {
		worker_peer_violation(A.w, c, "malformed MARK");
		return;
	}
	feed_mark(&A.store, m->id, seq, leaf, n);
}

static void
audit_on_ctl_gate(struct ipc *c, struct ipc_msg *m, void *arg)
{
	const struct origin o = { .role = PROC_PARENT, .life = 1 };
	const char *actor, *verb, *args;
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	actor = mr_str_req(&r);
	verb = mr_str_req(&r);
	args = mr_str_req(&r);
	if (mr_end(&r) == -1)
		return;
	gate_ctl(A.gate, &o, m->id, actor, verb, args);
}

static void
audit_on_covered(struct ipc *c, struct ipc_msg *m, void *arg)
{
	memcpy(&A.covered, m->body, sizeof(A.covered));
}

static void
audit_on_archived(struct ipc *c, struct ipc_msg *m, void *arg)
{
	uint64_t segment, text, file;
	struct msg_r r;
	const char *error;
	uint8_t ok;

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	ok = mr_u8(&r);
	text = mr_u64(&r);
	file = mr_u64(&r);
	error = mr_str_req(&r);
	if (mr_end(&r) == -1 || A.archive == NULL ||
	    archive_answer(A.archive, segment, ok != 0, text, file, error) ==
		-1)
		metric_inc(A.w->slot, MC_IPC_DROPPED);
}

static const struct ipc_route peer_routes[] = {
	{ MSG_GATE_REQUEST, audit_on_gate_request },
	{ MSG_CANCEL, audit_on_cancel },
	{ MSG_AUDIT_EVENT, audit_on_audit_event },
	{ MSG_EXEC_DONE, audit_on_exec_done },
	{ MSG_OUTPUT, audit_on_output },
	{ MSG_PREFLIGHT_RESULT, audit_on_preflight_result },
	{ MSG_SWEPT, audit_on_swept },
	{ MSG_FILE_DONE, audit_on_file_done },
	{ MSG_MARK, audit_on_mark },
	{ MSG_COVERED, audit_on_covered },
};

static const struct ipc_route parent_routes[] = {
	{ MSG_ARCHIVED, audit_on_archived },
	{ MSG_CTL_GATE, audit_on_ctl_gate },
};

/* ---- configuration ---- */

static int
audit_conf_begin(struct worker *w, uint64_t gen)
{
	gate_conf_free(A.next);
	if ((A.next = gate_conf_new()) == NULL)
		return (-1);
	A.next->generation = gen;
	return (0);
}

static int
audit_conf_item(struct worker *w, enum conf_kind kind, const char *name,
    const char *value, char **err)
{
	char why[400] = "";
	int r = 0;

	if (kind == CONF_SKILL)
		r = registry_add(A.next->skills, name, value, why, sizeof(why));
	else if (kind == CONF_GOVERNOR)
		r = governor_add(A.next->governor, name, value, strlen(value),
		    why, sizeof(why));
	else if (kind == CONF_KEY)
		r = keys_add(A.next->keys, name, value, why, sizeof(why));
	else if (kind == CONF_FACT && strcmp(name, "node") == 0)
		(void)ax_strlcpy(A.next_node, value, sizeof(A.next_node));
	else if (kind == CONF_FACT && strcmp(name, "evidence_dir") == 0)
		(void)ax_strlcpy(A.next->evidence_dir, value,
		    sizeof(A.next->evidence_dir));
	else if (kind == CONF_FACT && strcmp(name, "files_root") == 0)
		(void)ax_strlcpy(A.next->files_root, value,
		    sizeof(A.next->files_root));
	if (r == -1)
		*err = strdup(why);
	return (r);
}

static void
audit_conf_commit(struct worker *w)
{
	struct gate_conf *c = A.next;

	A.next = NULL;
	gate_conf_settings(c, w->settings);
	if (A.gate != NULL) {
		gate_configure(A.gate, c);
		return;
	}
	/* A node keeps its name as long as the process lives. */
	(void)ax_strlcpy(A.node,
	    A.next_node[0] != '\0' ? A.next_node : "localhost", sizeof(A.node));
	A.gate = gate_new(&gate_ops, NULL, w->slot, c, w->epoch);
	if (A.gate == NULL)
		fatalx("gate: out of memory");
	gate_secrets(A.gate, &A.secrets);
}

static void
audit_conf_abort(struct worker *w)
{
	gate_conf_free(A.next);
	A.next = NULL;
}

/* ---- the start ---- */

static void
audit_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	if (kind == RES_EVIDENCE_DIR)
		A.dirfd = fd;
	else if (kind == RES_LOCK)
		A.lockfd = fd;
	else {
		if (kind == RES_SECRETS_KEY &&
		    secret_key_read(&A.secrets, fd) == -1)
			fatal("secrets key");
		(void)close(fd);
	}
}

static void
audit_start(struct worker *w)
{
	A.w = w;
	if (A.dirfd == -1 || A.lockfd == -1)
		fatalx("set-up: no evidence directory or no lock");
	if (worker_landlock_allow(w, A.dirfd,
		LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		    LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE | LL_REFER | LL_TRUNCATE) ==
	    -1)
		fatal("landlock rule of the evidence directory");
#ifdef AX_FAULT_IO
	jfault_start(A.dirfd);
#endif
}

/* True once nobody else can still write here. */
static bool
take_lock(void)
{
	if (flock(A.lockfd, LOCK_EX | LOCK_NB) == 0)
		return (true);
	if (errno != EWOULDBLOCK && errno != EINTR)
		fatal("evidence lock");
	if (!A.lock_said)
		log_warnx("gate: waits for the end of an earlier life, which "
			  "still holds the lock");
	A.lock_said = true;
	return (false);
}

static void
read_snapshot(void)
{
	char err[200];

	if (snapshot_load(A.io, A.dirfd, &A.snap, gate_flags_mut(A.gate),
		gate_idems(A.gate), err, sizeof(err)) == -1)
		log_warnx("snapshot: %s: the whole journal is read instead",
		    err);
}

static bool
open_journal(void)
{
	struct journal_conf c = {
		.io = A.io,
		.dirfd = A.dirfd,
		.node = A.node,
		.reserve =
		    (uint64_t)settings_int(A.w->settings, SET_AUDIT_RESERVE),
		.max_bytes = (uint64_t)settings_int(A.w->settings,
		    SET_AUDIT_FILE_MAX_BYTES),
	};
	char err[400];

	read_snapshot();
	c.replay_from = A.snap.replay_from;
	errno = 0;
	A.journal = journal_open(&c, gate_replay, A.gate, err, sizeof(err));
	if (A.journal == NULL && errno == ENOTRECOVERABLE) {
		log_warnx("journal: %s: nothing was changed; an operator has "
			  "to look at it",
		    err);
		_exit(EXIT_CONFIG);
	}
	if (A.journal == NULL && errno != ENOSPC && errno != EDQUOT)
		fatalx("journal: %s: nothing was changed; an operator has to "
		       "look at it",
		    err);
	if (A.journal == NULL) {
		if (!A.journal_said)
			log_warnx("journal: %s: tried again until there is "
				  "space",
			    err);
		A.journal_said = true;
		gate_forget(A.gate);
		return (false);
	}
	if (journal_seq(A.journal) < A.snap.seq)
		fatalx("journal: ends at line %" PRIu64 ", but line %" PRIu64
		       " was durable when the snapshot was taken: lines were "
		       "removed",
		    journal_seq(A.journal), A.snap.seq);
	return (true);
}

static void
try_start(void)
{
	if (A.journal != NULL || !take_lock() || !open_journal())
		return;
	A.archive = archive_new(&archive_ops, NULL, A.journal, A.io, A.dirfd,
	    A.w->slot);
	if (A.archive == NULL)
		fatalx("archive: out of memory");
	gate_attach(A.gate, A.journal);
	feed_start(&A.notary, A.journal);
	feed_start(&A.store, A.journal);
}

/* ---- events ---- */

static void
snapshot_if_due(void)
{
	if (A.journal != NULL &&
	    (A.want_snapshot ||
		journal_seq(A.journal) > A.snap.seq + SNAPSHOT_LINES))
		save_snapshot();
}

/* Runs behind everything that was ready in this pass of the loop. */
static void
commit_due(evutil_socket_t fd, short what, void *arg)
{
	gate_commit(A.gate);
	snapshot_if_due();
}

static void
tick_due(evutil_socket_t fd, short what, void *arg)
{
	try_start();
	gate_tick(A.gate);
	push_feeds();
	archive_more();
}

static void
audit_confined(struct worker *w)
{
	static const struct timeval every = { 0, GATE_TICK_MS * 1000 };

	A.commit = event_new(w->base, -1, 0, commit_due, NULL);
	A.tick = event_new(w->base, -1, EV_PERSIST, tick_due, NULL);
	A.archive_step = evtimer_new(w->base, archive_due, NULL);
	if (A.commit == NULL || A.tick == NULL || A.archive_step == NULL ||
	    event_add(A.tick, &every) == -1)
		fatalx("gate: timers");
	try_start();
}

static void
audit_drain(struct worker *w)
{
	gate_drain(A.gate);
}

static const int extra_syscalls[] = {
	/* The C library's renameat2() without flags is renameat. */
	__NR_openat, __NR_renameat2, __NR_renameat, __NR_ftruncate,
	__NR_fallocate, __NR_fdatasync, __NR_fsync, __NR_flock, __NR_pread64,
	__NR_newfstatat, __NR_unlinkat, __NR_mkdirat, __NR_getdents64,
	__NR_fadvise64, __NR_fstatfs,
#ifdef AX_FAULT_IO
	__NR_kill,
#endif
	-1
};

static const struct worker_ops ops = {
	.role = PROC_AUDIT,
	.resource = audit_resource,
	.conf_begin = audit_conf_begin,
	.conf_item = audit_conf_item,
	.conf_commit = audit_conf_commit,
	.conf_abort = audit_conf_abort,
	.start = audit_start,
	.confined = audit_confined,
	.peer_up = audit_peer_up,
	.peer_down = audit_peer_down,
	.drain = audit_drain,
	.peer_routes = peer_routes,
	.npeer_routes = AX_NELEM(peer_routes),
	.parent_routes = parent_routes,
	.nparent_routes = AX_NELEM(parent_routes),
	.extra_syscalls = extra_syscalls,
	.rlimit_fsize = UINT64_MAX,
	.rlimit_nofile = 512,
};

int
main(int argc, char **argv)
{
#ifdef AX_FAULT_IO
	/* The environment is gone when worker_main() is through. */
	A.io = jfault_from_environment();
#endif
	return (worker_main(argc, argv, &ops, NULL));
}
