/* SPDX-License-Identifier: ISC */
/*
 * archillx-store: keeps the database a projection of the journal and answers
 * queries about it. Wiring only: audit says how far the journal is durable,
 * lines are applied batch by batch between queries, and once a second the
 * database is looked at, so that a migration, a replaced file or a full disk
 * is noticed and got over without a restart. It never creates a table, never
 * blocks the loop for longer than one short batch, and never writes anything
 * that the journal does not say.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>
#include <linux/landlock.h>
#include <seccomp.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/store/migcli.h"
#include "workers/store/migrate.h"
#include "workers/store/project.h"
#include "workers/store/proof.h"
#include "workers/store/query.h"
#include "common/reader.h"
#include "workers/worker.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define BUSY_MS	      250	   /* the longest wait for a lock */
#define BATCH_US      30000	   /* then queries get their turn */
#define PUMP_PAUSE_US 15000	   /* gathers lines into batches */
#define RETRY_US      200000	   /* after DB_BUSY */
#define LOCKED_US     2000000	   /* then it is worth a line in the log */
#define CHECK_US      1000000	   /* schema and file looked at */
#define DB_FILE_MAX   (1ULL << 42) /* RLIMIT_FSIZE */
#define NOFILE	      4352	   /* a descriptor per segment, at most */

/* Where we are with audit. */
enum link {
	LINK_NONE,   /* no channel, or no usable database */
	LINK_ASKED,  /* MARK sent */
	LINK_WIPE,   /* from the first line: rows are to be deleted */
	LINK_START,  /* agreed: the reader is to be placed */
	LINK_FOLLOWS /* applying what is committed */
};

static struct {
	struct worker *w;
	int dirfd;
	int logfd; /* EVIDENCE_DIR/log, to read */
	char file[160];
	struct db *db;
	struct projector *proj;
	struct reader *reader;
	enum link link;
	uint64_t mark_id; /* of the last MARK: an older answer is none */
	bool began;	  /* from the first line there is */
	bool wiping;	  /* rows of another journal are still there */
	struct ipc *audit;
	struct event *pump, *check;
	struct migrate_state state;
	char open_error[256];
	char logged[256]; /* the last trouble that was logged */
	bool trouble;	  /* of reader or database, now */
	uint64_t locked_since;
	bool locked_said;
} st = { .dirfd = -1, .logfd = -1 };

/* ---- health ---- */

static void
report_health(void)
{
	struct metrics_slot *slot = st.w->slot;
	const struct mark *m;

	metric_set(slot, MG_MIGRATION_OK, st.state.ok);
	if (st.proj == NULL) {
		metric_set(slot, MG_STORE_OK, 0);
		return;
	}
	m = projector_mark(st.proj);
	/* In this order: who sees the database up starts at this seq. */
	metric_set(slot, MG_STORE_SEQ, m->seq);
	metric_set(slot, MG_STORE_OK,
	    !st.trouble && !st.wiping && m->skipped == 0);
}

/* Degraded from now on; logged when it is another trouble than the last. */
static void
degraded(const char *what, const char *why)
{
	char text[256];

	st.trouble = true;
	(void)snprintf(text, sizeof(text), "%s: %s", what, why);
	if (strcmp(text, st.logged) != 0)
		log_warnx("%s", text);
	(void)ax_strlcpy(st.logged, text, sizeof(st.logged));
	report_health();
}

static void
trouble(const char *what, const char *why)
{
	metric_inc(st.w->slot, MC_STORE_ERRORS);
	degraded(what, why);
}

static void
trouble_over(void)
{
	if (!st.trouble)
		return;
	st.trouble = false;
	st.logged[0] = '\0';
	log_info("store: works again");
	report_health();
}

static void
schedule(struct event *ev, long us)
{
	struct timeval tv = { us / 1000000, us % 1000000 };

	if (!event_pending(ev, EV_TIMEOUT, NULL))
		(void)event_add(ev, &tv);
}

/* ---- the database comes and goes ---- */

static void
stop_projecting(void)
{
	projector_free(st.proj);
	st.proj = NULL;
	st.link = LINK_NONE;
	st.wiping = st.began = false;
	(void)event_del(st.pump);
}

static void
close_db(void)
{
	stop_projecting();
	db_close(st.db);
	st.db = NULL;
}

/* Something failed in a way that only a fresh start can tell apart. */
static void
database_failed(const char *what)
{
	trouble(what, db_error(st.db));
	close_db();
	report_health();
}

static void
open_db(void)
{
	st.db = db_open(settings_str(st.w->settings, SET_DB_TYPE), st.file, 0,
	    BUSY_MS, st.open_error, sizeof(st.open_error));
	if (st.db != NULL)
		st.open_error[0] = '\0';
}

/* Tells audit how far we are; it answers whether its journal agrees. */
static void
send_mark(void)
{
	const struct mark *m = projector_mark(st.proj);
	struct buf b = BUF_INITIALIZER;

	mw_u64(&b, m->seq);
	mw_blob(&b, m->leaf, m->seq > 0 ? sizeof(m->leaf) : 0);
	if (ipc_send_buf(st.audit, MSG_MARK, ++st.mark_id, &b) == 0)
		st.link = LINK_ASKED;
	buf_free(&b);
}

static void
start_projecting(void)
{
	const struct mark *m;
	enum db_rc rc;

	if ((st.proj = projector_new(st.db, &rc)) == NULL) {
		if (rc != DB_BUSY)
			database_failed("projection");
		return;
	}
	m = projector_mark(st.proj);
	if (m->skipped > 0)
		log_warnx("projection: %llu lines of the journal could not be "
			  "applied",
		    (unsigned long long)m->skipped);
	log_info("projection: at seq %llu", (unsigned long long)m->seq);
	if (st.audit != NULL)
		send_mark();
}

static void
read_state(void)
{
	migrate_state_read(&st.state, st.db, st.open_error, STORE_REVISION,
	    true, true);
}

/* What is reported follows the settings; what works does not. */
static void
apply_settings_to_state(void)
{
	if (!settings_bool(st.w->settings, SET_ENABLE_MIGRATION_CHECK))
		migrate_state_read(&st.state, NULL, "", STORE_REVISION, false,
		    false);
	else if (!settings_bool(st.w->settings, SET_REQUIRE_MIGRATION_HEAD)) {
		st.state.required = false;
		st.state.ok = true;
	}
}

static void
look_at_database(void)
{
	bool at_head;

	if (st.db != NULL && db_replaced(st.db)) {
		log_info("store: the database file was replaced");
		close_db();
	}
	if (st.db == NULL)
		open_db();
	read_state();
	at_head = st.db != NULL && strcmp(st.state.status, "head") == 0;
	if (!at_head && st.proj != NULL)
		stop_projecting();
	if (!at_head)
		degraded("schema",
		    st.state.error[0] != '\0' ?
			st.state.error :
			"not at head: run archillxctl migrate upgrade head");
	apply_settings_to_state();
	if (at_head && st.proj == NULL) {
		start_projecting();
		if (st.proj != NULL && st.audit == NULL)
			trouble_over(); /* else the first batch tells */
	}
	report_health();
}

static void
on_check(evutil_socket_t fd, short what, void *arg)
{
	look_at_database();
	/* Asked, and the answer was lost with a full queue or a busy peer. */
	if (st.link == LINK_NONE && st.proj != NULL && st.audit != NULL)
		send_mark();
	else if (st.link >= LINK_WIPE)
		schedule(st.pump, 0);
	schedule(st.check, CHECK_US);
}

/* ---- projecting ---- */

static void
place_reader(void)
{
	const struct mark *m = projector_mark(st.proj);

	reader_seek(st.reader, m->segment, m->offset, m->seq + 1);
}

/* Late is not degraded: reads go on. But an operator should know why. */
static void
locked(void)
{
	uint64_t now = ax_mono_us();

	if (st.locked_since == 0)
		st.locked_since = now;
	if (st.locked_said || now - st.locked_since < LOCKED_US)
		return;
	st.locked_said = true;
	log_warnx("projection: waits: the database is locked by another "
		  "process");
}

static void
locked_over(void)
{
	if (st.locked_said)
		log_info("projection: the database is no longer locked");
	st.locked_since = 0;
	st.locked_said = false;
}

/* Rolls back; what the batch had read is read again later. */
static void
abandon_batch(enum db_rc rc)
{
	projector_rollback(st.proj);
	if (rc != DB_BUSY) {
		database_failed("projection");
		return;
	}
	locked();
	place_reader();
	schedule(st.pump, RETRY_US);
}

static void
wipe(void)
{
	enum db_rc rc;
	bool done;

	if ((rc = projector_reset(st.proj, &done)) != DB_OK) {
		abandon_batch(rc);
		return;
	}
	st.wiping = !done;
	st.began = false;
	if (done)
		st.link = LINK_START;
	else
		schedule(st.pump, 0);
}

static void
skipped_line(const struct reader_line *l, const char *why)
{
	metric_inc(st.w->slot, MC_STORE_ERRORS);
	log_warnx("projection: segment %llu, line ending at %llu: %s",
	    (unsigned long long)l->segment, (unsigned long long)l->end, why);
}

/* Rebuilt from what is left: segments may be taken away when they are old. */
static void
begin_where_it_begins(void)
{
	uint64_t first = reader_first_seq(st.reader);

	if (st.began || first == 0 || projector_mark(st.proj)->seq > 0)
		return;
	st.began = true;
	projector_from(st.proj, first);
	if (first == 1)
		return;
	metric_inc(st.w->slot, MC_STORE_ERRORS);
	log_warnx("projection: begins at seq %llu: the segments before it are "
		  "gone",
	    (unsigned long long)first);
}

/* The next line; a segment that was taken away is passed over. */
static int
next_line(struct reader_line *l)
{
	uint64_t next = projector_pending(st.proj), first;
	int more;

	if ((more = reader_next(st.reader, l)) != -1 || errno != ENOENT ||
	    next > 0)
		return (more);
	next = projector_mark(st.proj)->seq + 1;
	if ((first = reader_pass_gap(st.reader)) > next)
		log_warnx(
		    "journal: the segments of lines %llu to %llu are gone",
		    (unsigned long long)next, (unsigned long long)first - 1);
	return (reader_next(st.reader, l));
}

/* Applies lines for a while; 1: there is more, 0: up to date, -1: gave up. */
static int
apply_batch(void)
{
	uint64_t end = ax_mono_us() + BATCH_US;
	struct reader_line l;
	const char *why;
	enum db_rc rc;
	unsigned n = 0;
	int more, full = 0;

	begin_where_it_begins();
	while ((more = next_line(&l)) == 1) {
		rc = n == 0 ? projector_begin(st.proj) : DB_OK;
		if (rc == DB_OK)
			rc = projector_line(st.proj, l.p, l.n, l.segment, l.end,
			    &why, &full);
		if (rc != DB_OK) {
			abandon_batch(rc);
			return (-1);
		}
		if (why != NULL)
			skipped_line(&l, why);
		n++;
		if (full || (n % 64 == 0 && ax_mono_us() >= end))
			break;
	}
	if (more == -1)
		trouble("journal", strerror(errno));
	if (n > 0 && (rc = projector_commit(st.proj)) != DB_OK) {
		abandon_batch(rc);
		return (-1);
	}
	if (n > 0)
		locked_over();
	metric_add(st.w->slot, MC_STORE_APPLIED, n);
	return (more);
}

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	int more;

	if (st.link == LINK_WIPE)
		wipe();
	if (st.link == LINK_START) {
		place_reader();
		st.link = LINK_FOLLOWS;
	}
	if (st.link != LINK_FOLLOWS)
		return;
	if ((more = apply_batch()) == 1)
		schedule(st.pump, 0);
	if (more != -1)
		trouble_over();
	report_health();
}

/* ---- messages of audit ---- */

static void
store_on_segment_fd(struct ipc *c, struct ipc_msg *m, void *arg)
{
	uint64_t segment, first;
	struct msg_r r;
	int fd = m->fds[0];

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	first = mr_u64(&r);
	(void)mr_str_req(&r);
	if (mr_end(&r) == -1) {
		ipc_violation(c, "malformed SEGMENT_FD");
		return;
	}
	if (st.reader == NULL)
		return;
	m->fds[0] = -1;
	if (reader_segment(st.reader, segment, first, fd) == -1)
		trouble("segment", strerror(errno));
}

static void
store_on_journal_at(struct ipc *c, struct ipc_msg *m, void *arg)
{
	uint64_t segment, committed;
	struct msg_r r;

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	committed = mr_u64(&r);
	(void)mr_u64(&r);
	if (mr_end(&r) == -1) {
		ipc_violation(c, "malformed JOURNAL_AT");
		return;
	}
	if (st.reader == NULL)
		return;
	reader_committed(st.reader, segment, committed);
	if (st.link >= LINK_WIPE)
		schedule(st.pump, PUMP_PAUSE_US);
}

static void
store_on_mark_verdict(struct ipc *c, struct ipc_msg *m, void *arg)
{
	if (st.link != LINK_ASKED || m->id != st.mark_id) {
		metric_inc(st.w->slot, MC_IPC_DROPPED);
		return;
	}
	if (m->body[0] == 0)
		log_warnx(
		    "projection: audit's journal is another than the one "
		    "that was applied: rebuilding from its first segment");
	/* Without a mark there may be rows all the same: a downgrade keeps
	 * them and drops the mark. */
	st.link = m->body[0] != 0 && projector_mark(st.proj)->seq > 0 ?
	    LINK_START :
	    LINK_WIPE;
	schedule(st.pump, PUMP_PAUSE_US);
}

/* ---- queries ---- */

static void
answer(struct ipc *c, uint64_t id, enum rows_status status, struct buf *json,
    const char *cursor)
{
	struct buf b = BUF_INITIALIZER;

	mw_u8(&b, (uint8_t)status);
	mw_str(&b, status == ROWS_OK ? buf_str(json) : NULL);
	mw_str(&b, cursor != NULL && *cursor != '\0' ? cursor : NULL);
	if (ipc_send_buf(c, MSG_ROWS, id, &b) == -1)
		log_debug("query: answer");
	buf_free(&b);
}

static void
answer_state(struct ipc *c, uint64_t id)
{
	struct buf json = BUF_INITIALIZER;

	migrate_state_json(&st.state, &json);
	answer(c, id, json.err ? ROWS_UNAVAILABLE : ROWS_OK, &json, NULL);
	buf_free(&json);
}

static void
answer_ping(struct ipc *c, uint64_t id)
{
	struct buf json = BUF_INITIALIZER;

	buf_adds(&json, "{\"db\":true}");
	answer(c, id, st.proj == NULL || st.wiping ? ROWS_UNAVAILABLE : ROWS_OK,
	    &json, NULL);
	buf_free(&json);
}

static void
answer_run(struct ipc *c, uint64_t id, const struct query_args *q)
{
	struct query_result res;

	if (q->query >= Q_CHECKPOINT)
		proof_run(st.logfd, st.reader, q, &res);
	else
		query_run(st.db, st.proj, q, &res);
	if (res.status == ROWS_UNAVAILABLE)
		metric_inc(st.w->slot, MC_STORE_ERRORS);
	answer(c, id, res.status, &res.json, res.next_cursor);
	buf_free(&res.json);
}

static void
store_on_query(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct query_args q;

	if (query_args_get(m->body, m->len, &q) == -1) {
		ipc_violation(c, "malformed QUERY");
		return;
	}
	metric_inc(st.w->slot, MC_STORE_QUERIES);
	if (q.query == Q_MIGRATION_STATE)
		answer_state(c, m->id);
	else if (q.query == Q_PING)
		answer_ping(c, m->id);
	else if (q.query < Q_CHECKPOINT && (st.proj == NULL || st.wiping))
		answer(c, m->id, ROWS_UNAVAILABLE, NULL, NULL);
	else
		answer_run(c, m->id, &q);
}

/* ---- the worker ---- */

static void
store_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	if (kind == RES_STATE_DIR && st.dirfd == -1)
		st.dirfd = fd;
	else if (kind == RES_LOG_DIR && st.logfd == -1)
		st.logfd = fd;
	else
		(void)close(fd);
}

static void
store_start(struct worker *w)
{
	st.w = w;
	if (st.dirfd == -1)
		fatalx("the parent sent no database folder");
	(void)snprintf(st.file, sizeof(st.file), "%s.db",
	    settings_str(w->settings, SET_DB_NAME));
	/* As root the folder becomes our root; else it is where we stay. */
	if (fchdir(st.dirfd) == -1)
		fatal("the database's folder");
	if (worker_landlock_allow(w, st.dirfd,
		LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE |
		    LANDLOCK_ACCESS_FS_TRUNCATE) == -1)
		fatal("landlock: the database's folder");
	(void)close(st.dirfd);
	st.dirfd = -1;
	if (st.logfd != -1 &&
	    worker_landlock_allow(w, st.logfd, LANDLOCK_ACCESS_FS_READ_FILE) ==
		-1)
		fatal("landlock: the log's folder");
	db_warm_up();
	st.pump = evtimer_new(w->base, on_pump, NULL);
	st.check = evtimer_new(w->base, on_check, NULL);
	if (st.pump == NULL || st.check == NULL)
		fatalx("timers");
	/* Queries go first: a batch waits until none is there. */
	(void)event_priority_set(st.pump, 1);
}

static void
store_confined(struct worker *w)
{
	look_at_database();
	schedule(st.check, CHECK_US);
}

static void
store_peer_up(struct worker *w, struct ipc *c, enum proc_role role,
    unsigned instance, uint64_t epoch)
{
	if (role != PROC_AUDIT)
		return;
	/* Audit sends its segments once, unasked, whatever the database does
	 * meanwhile: the reader lives as long as the channel. */
	if ((st.reader = reader_new(
		 reader_segments((size_t)w->ops->rlimit_nofile))) == NULL) {
		trouble("journal", strerror(errno));
		return;
	}
	st.audit = c;
	if (st.proj != NULL)
		send_mark();
}

static void
store_peer_down(struct worker *w, enum proc_role role, unsigned instance)
{
	if (role != PROC_AUDIT)
		return;
	st.audit = NULL;
	st.link = LINK_NONE;
	reader_free(st.reader);
	st.reader = NULL;
	(void)event_del(st.pump);
}

static void
store_conf_commit(struct worker *w)
{
	if (st.w == NULL)
		return; /* the first one comes before start() */
	read_state();
	apply_settings_to_state();
	report_health();
}

/* What is committed now is applied; what comes later, after the restart. */
static void
store_drain(struct worker *w)
{
	uint64_t end = ax_mono_us() + CHECK_US;

	while (
	    st.link == LINK_FOLLOWS && ax_mono_us() < end && apply_batch() == 1)
		continue;
	report_health();
	worker_drained(w);
}

static const struct ipc_route peer_routes[] = {
	{ MSG_QUERY, store_on_query },
	{ MSG_JOURNAL_AT, store_on_journal_at },
	{ MSG_SEGMENT_FD, store_on_segment_fd },
	{ MSG_MARK_VERDICT, store_on_mark_verdict },
};

/* What SQLite does to its files, and nothing else. */
static const int extra_syscalls[] = { SCMP_SYS(openat), SCMP_SYS(newfstatat),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(fchmod),
	SCMP_SYS(fchown), -1 };

static struct worker_ops ops = {
	.role = PROC_STORE,
	.resource = store_resource,
	.conf_commit = store_conf_commit,
	.start = store_start,
	.confined = store_confined,
	.peer_up = store_peer_up,
	.peer_down = store_peer_down,
	.drain = store_drain,
	.peer_routes = peer_routes,
	.npeer_routes = AX_NELEM(peer_routes),
	.extra_syscalls = extra_syscalls,
};

/* Without privilege a limit can only go down. */
static uint64_t
at_most_hard(__rlimit_resource_t what, uint64_t want)
{
	struct rlimit rl;

	if (getrlimit(what, &rl) == 0 && rl.rlim_max < want)
		return (rl.rlim_max);
	return (want);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-m") == 0)
		return (migcli_main(argc - 1, argv + 1));
	ops.rlimit_fsize = at_most_hard(RLIMIT_FSIZE, DB_FILE_MAX);
	ops.rlimit_nofile = at_most_hard(RLIMIT_NOFILE, NOFILE);
	return (worker_main(argc, argv, &ops, NULL));
}
