/* SPDX-License-Identifier: ISC */
/*
 * archillx-store as its parent, audit and a front see it: the real executable,
 * confined as in service, over real channels. This process plays the others.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zstd.h>

#include "store_help.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/merkle.h"
#include "common/metrics.h"
#include "common/msg.h"
#include "common/note.h"
#include "common/settings.h"
#include "common/setup.h"
#include "workers/store/record.h"

#define PROGRAM "workers/store/archillx-store"
#define BASE_US UINT64_C(1767225600000000)
#define WAIT_MS 20000 /* most that anything may take */
#define SLOTS	(sizeof(struct metrics_slot))

static struct {
	char program[4200];
	pid_t pid;
	struct ipc *parent, *audit, *front;
	struct metrics_slot *slot;
	int slot_fd;
	/* the last message of each kind */
	bool ready, marked;
	uint64_t mark_seq, mark_id;
	uint8_t mark_leaf[32];
	unsigned nrows;
	enum rows_status status;
	char json[60000];
	/* the journal that audit plays with */
	int journal;
	uint64_t segment, first, old_first, size, seq;
	uint8_t leaf[32];
} t;

/* ---- what comes from the store ---- */

static void
ignore(struct ipc *c, struct ipc_msg *m, void *arg)
{
}

static void
on_ready(struct ipc *c, struct ipc_msg *m, void *arg)
{
	t.ready = true;
}

static void
on_mark(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const void *leaf;
	size_t n;

	mr_init(&r, m->body, m->len);
	t.mark_seq = mr_u64(&r);
	leaf = mr_blob(&r, &n);
	assert_int_equal(mr_end(&r), 0);
	assert_int_equal(n, t.mark_seq > 0 ? 32 : 0);
	if (n == 32)
		memcpy(t.mark_leaf, leaf, 32);
	t.mark_id = m->id;
	t.marked = true;
}

static void
on_rows(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct msg_r r;
	const char *json;

	mr_init(&r, m->body, m->len);
	t.status = (enum rows_status)mr_u8(&r);
	json = mr_str(&r);
	(void)mr_str(&r);
	assert_int_equal(mr_end(&r), 0);
	t.json[0] = '\0';
	if (json != NULL)
		assert_true(
		    ax_strlcpy(t.json, json, sizeof(t.json)) < sizeof(t.json));
	t.nrows++;
}

static void
on_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	struct ipc **at = arg;

	assert_int_not_equal(how, IPC_VIOLATION);
	ipc_free(c);
	*at = NULL;
}

static struct ipc *
channel(int fd, enum proc_role self, struct ipc **at)
{
	static const struct ipc_route special[] = {
		{ MSG_READY, on_ready },
		{ MSG_MARK, on_mark },
		{ MSG_ROWS, on_rows },
	};
	static struct ipc_route routes[PROC_MAX][MSG_MAX];
	const struct msg_rule *rule;
	struct ipc *c;
	size_t n = 0, k;
	unsigned i;

	for (i = 1; i < MSG_MAX; i++) {
		rule = msg_rule(i);
		if (rule == NULL || !(rule->from & PROC_BIT(PROC_STORE)) ||
		    !(rule->to & PROC_BIT(self)))
			continue;
		routes[self][n] = (struct ipc_route){ i, ignore };
		for (k = 0; k < AX_NELEM(special); k++)
			if (special[k].type == (enum msg_type)i)
				routes[self][n] = special[k];
		n++;
	}
	c = ipc_new(NULL, fd, self, PROC_STORE, 0, routes[self], n, on_lost,
	    at);
	assert_non_null(c);
	ipc_set_state(c, PS_RUN);
	return (c);
}

/* Takes messages until *flag, or fails. */
static void
await(struct ipc **c, const bool *flag)
{
	while (!*flag) {
		assert_non_null(*c);
		assert_int_equal(ipc_recv_blocking(*c, WAIT_MS), 0);
	}
}

/* ---- parent ---- */

static void
conf_setting(enum setting_id id, const char *value)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, CONF_SETTING);
	mw_str(&b, setting_defs[id].name);
	mw_str(&b, value);
	assert_int_equal(ipc_send_buf(t.parent, MSG_CONF_ITEM, 0, &b), 0);
	buf_free(&b);
}

static void
send_u64(struct ipc *c, enum msg_type type, uint64_t v)
{
	assert_int_equal(ipc_send(c, type, 0, &v, sizeof(v)), 0);
}

static void
send_resource(enum res_kind kind, int fd)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, (uint16_t)kind);
	mw_u32(&b, 0);
	mw_str(&b, "");
	assert_int_equal(ipc_send_fds(t.parent, MSG_RESOURCE, 0, b.d, b.len,
			     &fd, 1),
	    0);
	buf_free(&b);
}

static void
send_peer(enum proc_role role, int fd)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, (uint16_t)role);
	mw_u16(&b, 0);
	mw_u64(&b, 1);
	assert_int_equal(ipc_send_fds(t.parent, MSG_PEER, 0, b.d, b.len, &fd,
			     1),
	    0);
	buf_free(&b);
}

static void
connect_peer(enum proc_role role, struct ipc **at)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     sv),
	    0);
	send_peer(role, sv[1]);
	*at = channel(sv[0], role, at);
}

static void
send_setup(void)
{
	struct worker_setup s = { .role = PROC_STORE,
		.epoch = 1,
		.confinement = CF_KILL,
		.log_level = LOG_L_WARN,
		.parent_pid = (uint32_t)getpid() };
	struct buf b = BUF_INITIALIZER;

	worker_setup_put(&b, &s);
	assert_int_equal(ipc_send_buf(t.parent, MSG_SETUP, 0, &b), 0);
	buf_free(&b);
	send_resource(RES_SLOT_OWN, dup(t.slot_fd));
	send_resource(RES_STATE_DIR,
	    open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	(void)mkdir("log", 0755);
	send_resource(RES_LOG_DIR,
	    open("log", O_PATH | O_DIRECTORY | O_CLOEXEC));
	send_u64(t.parent, MSG_CONF_BEGIN, 1);
	conf_setting(SET_DB_TYPE, "sqlite");
	conf_setting(SET_DB_NAME, "w");
	send_u64(t.parent, MSG_CONF_END, 1);
	send_u64(t.parent, MSG_CONF_COMMIT, 1);
}

static void
start_store(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     sv),
	    0);
	if ((t.pid = fork()) == 0) {
		if (sv[1] == 3)
			(void)fcntl(3, F_SETFD, 0);
		else
			(void)dup2(sv[1], 3);
		(void)execl(t.program, "archillx-store", (char *)NULL);
		_exit(127);
	}
	(void)close(sv[1]);
	t.ready = t.marked = false;
	t.parent = channel(sv[0], PROC_PARENT, &t.parent);
	send_setup();
	await(&t.parent, &t.ready);
}

static void
stop_store(void)
{
	int status;

	ipc_free(t.parent);
	if (t.audit != NULL)
		ipc_free(t.audit);
	if (t.front != NULL)
		ipc_free(t.front);
	t.parent = t.audit = t.front = NULL;
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_true(WIFEXITED(status)); /* seccomp would be a signal */
	t.pid = 0;
}

/* ---- audit ---- */

static void
write_new(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd != -1);
	assert_int_equal(ax_write_all(fd, p, n), 0);
	(void)close(fd);
}

static void
journal_append(unsigned n)
{
	struct buf b = BUF_INITIALIZER;

	while (n-- > 0) {
		buf_reset(&b);
		t.seq++;
		line_make(&b, t.seq, BASE_US + t.seq * 1000, "act",
		    t.seq % 2 ? "APPROVED" : "BLOCKED", 50);
		merkle_leaf(b.d, b.len, t.leaf);
		buf_addc(&b, '\n');
		assert_int_equal(ax_write_all(t.journal, b.d, b.len), 0);
		t.size += b.len;
	}
	buf_free(&b);
}

static void
journal_new(unsigned n)
{
	(void)unlink("journal");
	t.journal = open("journal", O_RDWR | O_CREAT | O_APPEND, 0600);
	assert_true(t.journal != -1);
	t.segment = t.first = 1;
	t.size = t.seq = 0;
	journal_append(n);
}

/* The live segment becomes "old", compressed, and a new one begins. */
static void
journal_rotate(unsigned n)
{
	size_t bound = ZSTD_compressBound(t.size);
	char *plain = malloc(t.size), *z = malloc(bound);

	assert_int_equal(pread(t.journal, plain, t.size, 0), t.size);
	bound = ZSTD_compress(z, bound, plain, t.size, 3);
	write_new("old", z, bound);
	free(plain);
	free(z);
	(void)close(t.journal);
	(void)unlink("journal");
	t.journal = open("journal", O_RDWR | O_CREAT | O_APPEND, 0600);
	t.old_first = t.first;
	t.first = t.seq + 1;
	t.segment++;
	t.size = 0;
	journal_append(n);
}

static void
tell_journal_at(void)
{
	uint64_t body[3] = { t.segment, t.size, t.seq + 1 };

	assert_int_equal(ipc_send(t.audit, MSG_JOURNAL_AT, 0, body,
			     sizeof(body)),
	    0);
}

static void
send_segment(uint64_t segment, uint64_t first, const char *name)
{
	struct buf b = BUF_INITIALIZER;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	mw_u64(&b, segment);
	mw_u64(&b, first);
	mw_str(&b, name);
	assert_int_equal(ipc_send_fds(t.audit, MSG_SEGMENT_FD, 0, b.d, b.len,
			     &fd, 1),
	    0);
	buf_free(&b);
}

/* Audit comes up and sends what it has, unasked and once. */
static void
audit_up(void)
{
	connect_peer(PROC_AUDIT, &t.audit);
	if (access("old", F_OK) == 0)
		send_segment(t.segment - 1, t.old_first, "old");
	send_segment(t.segment, t.first, "journal");
	tell_journal_at();
}

/* Then it hears the mark and says whether it agrees. */
static void
play_audit(bool agrees)
{
	uint8_t verdict = agrees;

	if (t.audit == NULL)
		audit_up();
	await(&t.audit, &t.marked);
	t.marked = false;
	assert_int_equal(ipc_send(t.audit, MSG_MARK_VERDICT, t.mark_id,
			     &verdict, 1),
	    0);
}

/* ---- front ---- */

static enum rows_status
ask_from(enum query what, uint64_t from)
{
	struct query_args q = { .query = what,
		.limit = 5,
		.from = from,
		.risk_min = -1,
		.risk_max = -1 };
	struct buf b = BUF_INITIALIZER;
	unsigned before = t.nrows;

	if (t.front == NULL)
		connect_peer(PROC_HTTP, &t.front);
	query_args_put(&b, &q);
	assert_int_equal(ipc_send_buf(t.front, MSG_QUERY, 7, &b), 0);
	buf_free(&b);
	while (t.nrows == before)
		assert_int_equal(ipc_recv_blocking(t.front, WAIT_MS), 0);
	return (t.status);
}

static enum rows_status
ask(enum query what)
{
	return (ask_from(what, 0));
}

static uint64_t
gauge(enum metric_gauge g)
{
	return (metric_gauge_get(t.slot, g));
}

static void
await_gauge(enum metric_gauge g, uint64_t want)
{
	uint64_t end = ax_mono_us() + WAIT_MS * 1000;

	while (gauge(g) != want) {
		if (ax_mono_us() > end)
			fail_msg("gauge %d is %llu, not %llu", (int)g,
			    (unsigned long long)gauge(g),
			    (unsigned long long)want);
		(void)usleep(2000);
	}
}

static void
migrate_w(void)
{
	db_close(db_at_head("w.db"));
}

static void
remove_w(void)
{
	assert_int_equal(system("rm -f w.db w.db-wal w.db-shm"), 0);
}

/* ---- tests ---- */

static void
without_schema_it_is_degraded_until_migrated(void **state)
{
	journal_new(100);
	start_store();
	assert_int_equal(ask(Q_AUDIT_PAGE), ROWS_UNAVAILABLE);
	assert_int_equal(ask(Q_PING), ROWS_UNAVAILABLE);
	assert_int_equal(ask(Q_MIGRATION_STATE), ROWS_OK);
	assert_non_null(strstr(t.json, "\"status\":\"unknown\""));
	assert_int_equal(gauge(MG_STORE_OK), 0);
	assert_int_equal(gauge(MG_MIGRATION_OK), 0);
	assert_int_equal(access("w.db", F_OK), -1); /* made nothing */
	audit_up();
	migrate_w();
	play_audit(true);
	assert_int_equal(t.mark_seq, 0);
	await_gauge(MG_STORE_SEQ, 100);
	assert_int_equal(gauge(MG_STORE_OK), 1);
	assert_int_equal(gauge(MG_MIGRATION_OK), 1);
	assert_int_equal(ask(Q_PING), ROWS_OK);
	assert_string_equal(t.json, "{\"db\":true}");
	assert_int_equal(ask(Q_AUDIT_SUMMARY), ROWS_OK);
	assert_non_null(strstr(t.json, "\"total\":100,"));
	assert_int_equal(ask(Q_MIGRATION_STATE), ROWS_OK);
	assert_non_null(strstr(t.json, "\"status\":\"head\",\"ok\":true"));
	stop_store();
}

static void
it_follows_and_survives_restarts(void **state)
{
	unsigned i;

	remove_w();
	migrate_w();
	journal_new(10);
	for (i = 0; i < 4; i++) {
		start_store();
		play_audit(true);
		assert_int_equal(t.mark_seq, t.seq == 10 ? 0 : t.seq);
		if (t.mark_seq > 0)
			assert_memory_equal(t.mark_leaf, t.leaf, 32);
		journal_append(500);
		tell_journal_at();
		await_gauge(MG_STORE_SEQ, t.seq);
		if (i % 2 == 0) { /* and not at a quiet moment */
			assert_int_equal(kill(t.pid, SIGKILL), 0);
			(void)waitpid(t.pid, NULL, 0);
			t.pid = 0;
			ipc_free(t.parent);
			ipc_free(t.audit);
			t.parent = t.audit = NULL;
		} else {
			stop_store();
		}
	}
	assert_int_equal(peek("w.db", "SELECT count(*) FROM ah_audit_log"),
	    (int64_t)t.seq);
	assert_int_equal(
	    peek("w.db", "SELECT sum(n) FROM ah_audit_rollup WHERE span = 0"),
	    (int64_t)t.seq);
}

static void
killed_in_the_middle(void **state)
{
	unsigned i, n;

	remove_w();
	migrate_w();
	journal_new(20000);
	for (i = 0; i < 6; i++) {
		start_store();
		play_audit(true);
		for (n = 0;
		     n < 200 && gauge(MG_STORE_SEQ) < t.seq * (i + 1) / 8; n++)
			(void)usleep(1000);
		assert_int_equal(kill(t.pid, SIGKILL), 0);
		(void)waitpid(t.pid, NULL, 0);
		ipc_free(t.parent);
		ipc_free(t.audit);
		t.parent = t.audit = NULL;
	}
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, t.seq);
	stop_store();
	assert_int_equal(peek("w.db", "SELECT count(*) FROM ah_audit_log"),
	    20000);
	assert_int_equal(
	    peek("w.db", "SELECT sum(n) FROM ah_audit_rollup WHERE span = 1"),
	    20000);
	assert_int_equal(peek("w.db", "SELECT skipped FROM ah_projection"), 0);
}

static void
another_journal_means_a_rebuild(void **state)
{
	remove_w();
	migrate_w();
	journal_new(30000);
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 30000);
	/* audit comes back with another journal */
	ipc_free(t.audit);
	t.audit = NULL;
	(void)close(t.journal);
	journal_new(40);
	play_audit(false);
	assert_int_equal(t.mark_seq, 30000);
	await_gauge(MG_STORE_SEQ, 40);
	assert_int_equal(ask(Q_AUDIT_SUMMARY), ROWS_OK);
	assert_non_null(strstr(t.json, "\"total\":40,"));
	stop_store();
}

static void
a_replaced_database_is_noticed(void **state)
{
	remove_w();
	migrate_w();
	journal_new(50);
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 50);
	remove_w();
	await_gauge(MG_STORE_OK, 0);
	migrate_w();
	play_audit(true);
	assert_int_equal(t.mark_seq, 0);
	await_gauge(MG_STORE_SEQ, 50);
	await_gauge(MG_STORE_OK, 1);
	stop_store();
}

/* One step back and forth under the running store. */
static void
a_downgrade_is_got_over(void **state)
{
	char err[MIG_ERR_LEN];
	struct migset set;
	struct db *db;

	remove_w();
	migrate_w();
	journal_new(60);
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 60);
	must_load(&set);
	db = must_open("w.db");
	if (migrate_downgrade(db, &set, "-1", &migrate_defaults, err,
		sizeof(err)) == -1)
		fail_msg("%s", err);
	journal_append(5);
	tell_journal_at();
	await_gauge(MG_MIGRATION_OK, 0);
	assert_int_equal(ask(Q_MIGRATION_STATE), ROWS_OK);
	assert_non_null(strstr(t.json, "\"status\":\"behind\""));
	if (migrate_upgrade(db, &set, "head", &migrate_defaults, err,
		sizeof(err)) == -1)
		fail_msg("%s", err);
	db_close(db);
	migset_free(&set);
	/* The rows stayed, the mark is gone: audit is asked from the start. */
	play_audit(true);
	assert_int_equal(t.mark_seq, 0);
	await_gauge(MG_STORE_SEQ, 65);
	await_gauge(MG_STORE_OK, 1);
	assert_int_equal(ask(Q_AUDIT_SUMMARY), ROWS_OK);
	assert_non_null(strstr(t.json, "\"total\":65,"));
	stop_store();
}

static void
a_locked_database_delays_and_loses_nothing(void **state)
{
	struct db *db;

	remove_w();
	migrate_w();
	journal_new(5);
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 5);
	db = must_open("w.db");
	assert_int_equal(db_begin(db), DB_OK);
	journal_append(20);
	tell_journal_at();
	(void)usleep(600000); /* longer than its busy time */
	assert_int_equal(gauge(MG_STORE_SEQ), 5);
	assert_int_equal(ask(Q_AUDIT_SUMMARY), ROWS_OK); /* reads go on */
	db_rollback(db);
	db_close(db);
	await_gauge(MG_STORE_SEQ, 25);
	stop_store();
}

static void
a_broken_line_degrades(void **state)
{
	static const char junk[] = "{\"this is\": no record\n";

	remove_w();
	migrate_w();
	journal_new(3);
	assert_int_equal(ax_write_all(t.journal, junk, sizeof(junk) - 1), 0);
	t.size += sizeof(junk) - 1;
	t.seq++;
	journal_append(3);
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 7);
	assert_int_equal(gauge(MG_STORE_OK), 0);
	assert_int_equal(ask(Q_AUDIT_SUMMARY), ROWS_OK);
	assert_non_null(strstr(t.json, "\"total\":6,"));
	stop_store();
	start_store(); /* not forgotten */
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 7);
	assert_int_equal(gauge(MG_STORE_OK), 0);
	stop_store();
}

/* What is left of the journal is what the database is made of. */
static void
old_segments_may_be_gone(void **state)
{
	uint64_t errors;

	remove_w();
	migrate_w();
	journal_new(50);
	journal_rotate(60); /* 1: lines 1-50, compressed; 2: 51-110 */
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 110);
	stop_store();
	journal_rotate(40); /* 1 is gone; 2: compressed; 3: 111-150 */
	start_store();
	play_audit(true);
	assert_int_equal(t.mark_seq, 110);
	await_gauge(MG_STORE_SEQ, 150);
	assert_int_equal(gauge(MG_STORE_OK), 1);
	stop_store();
	assert_int_equal(unlink("old"), 0); /* and the one of its mark */
	start_store();
	play_audit(true);
	journal_append(5);
	tell_journal_at();
	await_gauge(MG_STORE_SEQ, 155);
	stop_store();
	assert_int_equal(peek("w.db", "SELECT count(*) FROM ah_audit_log"),
	    155);
	errors = t.slot->counter[MC_STORE_ERRORS];
	journal_rotate(7); /* 3: 111-155, compressed; 4: 156-162 */
	remove_w();
	migrate_w();
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 162);
	assert_int_equal(gauge(MG_STORE_OK), 1);
	assert_int_equal(t.slot->counter[MC_STORE_ERRORS], errors + 1);
	stop_store();
	assert_int_equal(peek("w.db", "SELECT count(*) FROM ah_audit_log"), 52);
	assert_int_equal(peek("w.db", "SELECT min(seq) FROM ah_audit_log"),
	    111);
	assert_int_equal(peek("w.db", "SELECT skipped FROM ah_projection"), 0);
	/* gone before they were applied: missed, and said */
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_OK, 1);
	stop_store();
	journal_append(3);
	journal_rotate(4);
	assert_int_equal(unlink("old"), 0);
	start_store();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, t.seq);
	assert_int_equal(gauge(MG_STORE_OK), 0);
	stop_store();
	assert_int_equal(peek("w.db", "SELECT skipped FROM ah_projection"), 3);
}

/* The notary's part: one tile and a checkpoint over the first two lines. */
static void
seal_two(void)
{
	struct buf b = BUF_INITIALIZER, text = BUF_INITIALIZER,
		   note = BUF_INITIALIZER;
	struct checkpoint c = { .origin = "w.example/log", .size = 2 };
	uint8_t tile[2][MERKLE_HASH];
	struct merkle m = { .size = 0 };
	struct skey key;
	unsigned i;

	for (i = 0; i < 2; i++) {
		buf_reset(&b);
		line_make(&b, i + 1, BASE_US + (i + 1) * 1000, "act",
		    i == 0 ? "APPROVED" : "BLOCKED", 50);
		merkle_leaf(b.d, b.len, tile[i]);
		merkle_append(&m, tile[i]);
	}
	merkle_root(&m, c.root);
	assert_int_equal(system("mkdir -p log/tile/0/000.p"), 0);
	write_new("log/tile/0/000.p/2", tile, sizeof(tile));
	assert_int_equal(skey_new(&key, c.origin), 0);
	assert_int_equal(checkpoint_put(&text, &c), 0);
	assert_int_equal(note_sign(&note, text.d, text.len, &key), 0);
	write_new("log/checkpoint", note.d, note.len);
	buf_free(&b);
	buf_free(&text);
	buf_free(&note);
}

/* Also without a database, and confined as in service. */
static void
the_log_is_served(void **state)
{
	remove_w();
	journal_new(40);
	start_store();
	assert_int_equal(ask(Q_CHECKPOINT), ROWS_NOT_FOUND);
	seal_two();
	assert_int_equal(ask_from(Q_PROOF, 2), ROWS_UNAVAILABLE);
	audit_up();
	assert_int_equal(ask(Q_CHECKPOINT), ROWS_OK);
	assert_memory_equal(t.json, "w.example/log\n2\n", 16);
	while (ask_from(Q_PROOF, 2) == ROWS_UNAVAILABLE)
		(void)usleep(2000); /* until audit was heard */
	assert_int_equal(t.status, ROWS_OK);
	assert_memory_equal(t.json, "c2sp.org/tlog-proof@v1\nextra ", 29);
	assert_int_equal(ask_from(Q_PROOF, 3), ROWS_NOT_FOUND);
	assert_int_equal(ask_from(Q_CONSISTENCY, 1), ROWS_OK);
	assert_non_null(strstr(t.json, "{\"from\":1,\"to\":2,\"path\":["));
	assert_int_equal(ask_from(Q_CONSISTENCY, 3), ROWS_BAD_RANGE);
	assert_int_equal(ask_from(Q_AUDIT_ONE, 2), ROWS_UNAVAILABLE);
	migrate_w();
	play_audit(true);
	await_gauge(MG_STORE_SEQ, 40);
	assert_int_equal(ask_from(Q_AUDIT_ONE, 40), ROWS_OK);
	assert_memory_equal(t.json, "{\"id\":40,\"seq\":40,", 18);
	assert_int_equal(ask_from(Q_AUDIT_ONE, 41), ROWS_NOT_FOUND);
	assert_int_equal(ask_from(Q_AUDIT_AFTER, 39), ROWS_OK);
	assert_memory_equal(t.json, "{\"id\": 40, \"seq\": 40, ", 22);
	assert_int_equal(ask_from(Q_AUDIT_AFTER, 40), ROWS_OK);
	assert_string_equal(t.json, "");
	stop_store();
}

static int
set_up(void **state)
{
	char cwd[4096];

	if (getcwd(cwd, sizeof(cwd)) == NULL || scratch_make(state) == -1)
		return (-1);
	(void)snprintf(t.program, sizeof(t.program), "%s/" PROGRAM, cwd);
	t.slot_fd = memfd_create("slot", MFD_CLOEXEC);
	if (t.slot_fd == -1 || ftruncate(t.slot_fd, SLOTS) == -1)
		return (-1);
	t.slot =
	    mmap(NULL, SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, t.slot_fd, 0);
	return (t.slot == MAP_FAILED ? -1 : 0);
}

static int
reset_slot(void **state)
{
	memset(t.slot, 0, SLOTS);
	return (0);
}

static int
tear_down(void **state)
{
	if (t.pid > 0) {
		(void)kill(t.pid, SIGKILL);
		(void)waitpid(t.pid, NULL, 0);
	}
	return (scratch_remove(state));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, reset_slot)
	const struct CMUnitTest tests[] = {
		T(without_schema_it_is_degraded_until_migrated),
		T(it_follows_and_survives_restarts),
		T(killed_in_the_middle),
		T(another_journal_means_a_rebuild),
		T(a_replaced_database_is_noticed),
		T(a_downgrade_is_got_over),
		T(a_locked_database_delays_and_loses_nothing),
		T(a_broken_line_degrades),
		T(the_log_is_served),
		T(old_segments_may_be_gone),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
