/* SPDX-License-Identifier: ISC */
/*
 * archillx-notary: keeps the Merkle tree over the durable lines of the journal,
 * writes its tiles and signs its checkpoints. It reads the journal through
 * descriptors that audit sends, and can write below EVIDENCE_DIR/log only: the
 * gate cannot sign, and the signer cannot write the journal. This file wires
 * notary.c to messages and timers and decides nothing.
 */
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/landlock.h>
#include <event2/event.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/reader.h"
#include "common/util.h"
#include "workers/notary/checkpoint.h"
#include "workers/notary/notary.h"
#include "workers/worker.h"

/* Newer than the kernel headers of Debian 12. */
#define LL_REFER    (1ull << 13)
#define LL_TRUNCATE (1ull << 14)

#define EXIT_CONFIG 78 /* starting again is no use */
#define LIVE_NAME   "security_audit.jsonl"
#define LOCK_FILE   ".lock"
#define LOCK_RETRY  50000   /* us */
#define WAIT_MAX    1000000 /* us; metrics and history are looked after */
#define NOFILE	    4352    /* a descriptor per segment, at most */

static struct {
	struct worker *w;
	int dirfd, lockfd;
	struct skey key;
	bool have_key, signing;
	struct notary *notary;
	struct ipc *audit;
	struct event *work;
	bool locked, lock_said, broken_said, drained;
} N = { .dirfd = -1, .lockfd = -1 };

/* ---- the work ---- */

static void
schedule(uint64_t us)
{
	struct timeval tv;

	if (us > WAIT_MAX)
		us = WAIT_MAX;
	tv.tv_sec = (time_t)(us / 1000000);
	tv.tv_usec = (suseconds_t)(us % 1000000);
	(void)event_add(N.work, &tv);
}

/* Two notaries never write at once: the other one is about to end. */
static bool
take_lock(void)
{
	if (N.lockfd == -1)
		N.lockfd = openat(N.dirfd, LOCK_FILE,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	N.locked = N.lockfd != -1 && flock(N.lockfd, LOCK_EX | LOCK_NB) == 0;
	if (N.locked)
		return (true);
	if (!N.lock_said)
		log_warn("checkpoint: waits for the lock of the log folder");
	N.lock_said = true;
	metric_set(N.w->slot, MG_SIGNING_OK, 0);
	return (false);
}

/*
 * The evidence disagrees with itself. The gate would go on without proof, so
 * the whole service ends: an operator must see it.
 */
static void
give_up(void)
{
	if (N.broken_said)
		return;
	N.broken_said = true;
	log_warnx("checkpoint: %s", notary_why(N.notary));
	if (N.signing)
		_exit(EXIT_CONFIG);
}

static void
drained(void)
{
	if (N.drained)
		return;
	N.drained = true;
	log_info("checkpoint: %" PRIu64 " lines covered",
	    notary_covered(N.notary));
	worker_drained(N.w);
}

static void
work_due(evutil_socket_t fd, short what, void *arg)
{
	uint64_t wait;

	if (!N.locked && !take_lock()) {
		if (N.w->draining)
			drained();
		schedule(LOCK_RETRY);
		return;
	}
	wait = notary_step(N.notary);
	if (notary_state(N.notary) == NOTARY_BROKEN)
		give_up();
	if (N.w->draining && notary_drained(N.notary))
		drained();
	schedule(wait);
}

static void
on_covered(void *arg, uint64_t size, const char *note)
{
	struct buf b = BUF_INITIALIZER;

	if (N.audit != NULL)
		(void)ipc_send(N.audit, MSG_COVERED, 0, &size, sizeof(size));
	if (note == NULL)
		return;
	mw_str(&b, note);
	if (ipc_send_buf(N.w->parent, MSG_CHECKPOINT, 0, &b) == -1)
		log_warn("checkpoint: telling the parent");
	buf_free(&b);
}

static const struct notary_ops notary_ops = { .covered = on_covered };

/* ---- audit ---- */

static void
notary_on_segment_fd(struct ipc *c, struct ipc_msg *m, void *arg)
{
	uint64_t segment, first;
	struct msg_r r;
	const char *name;
	int fd = m->fds[0];

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	first = mr_u64(&r);
	name = mr_str_req(&r);
	if (mr_end(&r) == -1 || first == 0) {
		ipc_violation(c, "malformed SEGMENT_FD");
		return;
	}
	m->fds[0] = -1;
	/* Without it the tree cannot go on; the gate can. */
	if (notary_segment(N.notary, segment, first,
		strcmp(name, LIVE_NAME) == 0, fd) == -1) {
		log_warn("checkpoint: nothing is signed until the next start: "
			 "segment %" PRIu64 "%s",
		    segment,
		    errno == EMFILE ?
			": put the oldest archives away, or raise the limit of "
			"open files" :
			"");
		notary_end(N.notary);
		metric_set(N.w->slot, MG_SIGNING_OK, 0);
	}
	schedule(0);
}

static void
notary_on_journal_at(struct ipc *c, struct ipc_msg *m, void *arg)
{
	uint64_t segment, committed, next;
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	committed = mr_u64(&r);
	next = mr_u64(&r);
	if (mr_end(&r) == -1) {
		ipc_violation(c, "malformed JOURNAL_AT");
		return;
	}
	notary_journal_at(N.notary, segment, committed, next);
	schedule(0);
}

static void
notary_peer_up(struct worker *w, struct ipc *c, enum proc_role role,
    unsigned instance, uint64_t epoch)
{
	if (role != PROC_AUDIT)
		return;
	N.audit = c;
	notary_begin(N.notary);
	schedule(0);
}

static void
notary_peer_down(struct worker *w, enum proc_role role, unsigned instance)
{
	if (role != PROC_AUDIT)
		return;
	N.audit = NULL;
	notary_end(N.notary);
	schedule(0);
}

/* ---- the worker ---- */

static void
take_key(int fd)
{
	char text[SKEY_TEXT_MAX];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n == -1)
		fatal("signing key");
	text[n] = '\0';
	if (skey_parse(text, &N.key) == -1)
		fatalx("signing key: the file holds none: archillxctl key "
		       "new-signing makes one");
	explicit_bzero(text, sizeof(text));
	N.have_key = true;
}

static void
notary_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	if (kind == RES_LOG_DIR && N.dirfd == -1) {
		N.dirfd = fd;
		return;
	}
	if (kind == RES_SIGNING_KEY)
		take_key(fd);
	(void)close(fd);
}

/* libcrypto reads its files with the first signature: now it can. */
static void
warm_up(void)
{
	static const uint8_t root[MERKLE_HASH];
	struct buf b = BUF_INITIALIZER;
	uint8_t leaf[MERKLE_HASH];

	merkle_leaf("", 0, leaf);
	if (N.have_key && checkpoint_sign(&b, &N.key, 1, root) == -1)
		fatalx("signing key: it cannot sign");
	buf_wipe(&b);
}

static uint64_t
interval(const struct worker *w)
{
	return (
	    (uint64_t)settings_int(w->settings, SET_AUDIT_CHECKPOINT_INTERVAL) *
	    1000000);
}

static void
notary_start(struct worker *w)
{
	struct notary_conf conf = { .io = &jio_real,
		.dirfd = N.dirfd,
		.segments = reader_segments((size_t)w->ops->rlimit_nofile),
		.interval_us = interval(w) };

	N.w = w;
	if (N.dirfd == -1)
		fatalx("set-up: no log folder");
	N.signing = strcmp(settings_str(w->settings, SET_AUDIT_SIGNING),
			"required") == 0;
	if (N.signing && !N.have_key) {
		log_warnx("set-up: no signing key");
		exit(EXIT_CONFIG);
	}
	conf.key = N.signing ? &N.key : NULL;
	/* The store reads what we write; EVIDENCE_DIR keeps others out. */
	(void)umask(022);
	if (worker_landlock_allow(w, N.dirfd,
		LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		    LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE |
		    LANDLOCK_ACCESS_FS_REMOVE_DIR | LL_REFER | LL_TRUNCATE) ==
	    -1)
		fatal("landlock rule of the log folder");
	warm_up();
	N.notary = notary_new(&conf, &notary_ops, NULL, w->slot);
	N.work = evtimer_new(w->base, work_due, NULL);
	if (N.notary == NULL || N.work == NULL)
		fatalx("out of memory");
	/* Messages go first. */
	(void)event_priority_set(N.work, 1);
}

static void
notary_confined(struct worker *w)
{
	if (!N.signing)
		log_warnx("AUDIT_SIGNING=off: nothing is signed, and nothing "
			  "proves the journal");
	(void)take_lock();
	schedule(0);
}

static void
notary_conf_commit(struct worker *w)
{
	if (N.notary != NULL)
		notary_interval(N.notary, interval(w));
}

static void
notary_drain_asked(struct worker *w)
{
	notary_drain(N.notary, w->drain_seq);
	schedule(0);
}

static const struct ipc_route peer_routes[] = {
	{ MSG_SEGMENT_FD, notary_on_segment_fd },
	{ MSG_JOURNAL_AT, notary_on_journal_at },
};

static const int extra_syscalls[] = {
	/* The C library's renameat2() without flags is renameat. */
	__NR_openat, __NR_renameat2, __NR_renameat, __NR_unlinkat, __NR_mkdirat,
	__NR_fsync, __NR_sync_file_range, __NR_flock, __NR_pread64,
	__NR_getdents64, -1
};

static struct worker_ops ops = {
	.role = PROC_NOTARY,
	.resource = notary_resource,
	.conf_commit = notary_conf_commit,
	.start = notary_start,
	.confined = notary_confined,
	.peer_up = notary_peer_up,
	.peer_down = notary_peer_down,
	.drain = notary_drain_asked,
	.peer_routes = peer_routes,
	.npeer_routes = AX_NELEM(peer_routes),
	.extra_syscalls = extra_syscalls,
};

int
main(int argc, char **argv)
{
	struct rlimit rl;

	/* Without privilege a limit can only go down. */
	ops.rlimit_nofile = NOFILE;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max < NOFILE)
		ops.rlimit_nofile = rl.rlim_max;
	return (worker_main(argc, argv, &ops, NULL));
}
