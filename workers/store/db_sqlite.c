/* SPDX-License-Identifier: ISC */
/*
 * The SQLite engine. The journal is the truth and the database a projection
 * of it that carries its own high-water mark, so synchronous=NORMAL is right
 * here: in WAL mode a power cut may lose the newest transactions, never the
 * order of them nor the file, and what is lost is applied again from the
 * journal. Only the migrator creates tables; nothing here waits
 * longer than the busy time.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/util.h"
#include "workers/store/db.h"

struct lite {
	sqlite3 *db;
	char *name;
	dev_t dev;
	ino_t ino;
};

/*
 * Keys of pages: newest first by (created_at, id). The bound is written as a
 * range on created_at plus a filter on its ties, which both engines turn into
 * one walk down an index; a row comparison would not be. The seq is part of
 * the id (PROJECT_SEQ_MASK).
 */
#define PAGE_BOUND                               \
	" created_at <= ?1 AND created_at >= ?2" \
	" AND (created_at < ?3 OR id < ?4)"      \
	" AND id & 0xffffffffff <= ?5"           \
	" ORDER BY created_at DESC, id DESC LIMIT ?6"

/* The columns of an entry, in the order of entry.c. */
#define ENTRY                                                       \
	"a.id, a.seq, n.name, a.kind, a.action, a.decision,"        \
	" a.risk_score, a.reason, a.actor, a.request_id, a.permit," \
	" a.created_at"
#define ENTRY_FROM                                       \
	" FROM ah_audit_log a LEFT JOIN ah_audit_node n" \
	" ON n.id = a.node WHERE a.id = ?1"

/* Milliseconds since 1970 by the database's clock. */
#define NOW_MS "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

static const char *const texts[DBQ_MAX] = {
	[DBQ_BEGIN] = "BEGIN IMMEDIATE",
	[DBQ_BEGIN_READ] = "BEGIN",
	[DBQ_COMMIT] = "COMMIT",
	[DBQ_ROLLBACK] = "ROLLBACK",
	[DBQ_REVISION] = "SELECT version_num FROM alembic_version",
	[DBQ_FINGERPRINT] =
	    "SELECT fingerprint FROM ah_migration_version WHERE revision = ?1",
	[DBQ_MARK_GET] =
	    "SELECT segment, offset, seq, leaf, skipped, cursor_key"
	    " FROM ah_projection WHERE id = 1",
	[DBQ_MARK_PUT] =
	    "INSERT INTO ah_projection"
	    " (id, segment, offset, seq, leaf, skipped, cursor_key)"
	    " VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)"
	    " ON CONFLICT (id) DO UPDATE SET segment = excluded.segment,"
	    " offset = excluded.offset, seq = excluded.seq,"
	    " leaf = excluded.leaf, skipped = excluded.skipped,"
	    " cursor_key = excluded.cursor_key",
	[DBQ_ROW_PUT] =
	    "INSERT INTO ah_audit_log (id, node, seq, kind, actor, request_id,"
	    " permit, action, decision, risk_score, reason, context,"
	    " created_at, class)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
	    " ?14)",
	[DBQ_ROW_BRIEF] = "SELECT " ENTRY ENTRY_FROM,
	[DBQ_ROW_WHOLE] = "SELECT " ENTRY ", a.context" ENTRY_FROM,
	[DBQ_ROW_AFTER] = "SELECT id, class, created_at FROM ah_audit_log"
			  " WHERE id > ?1 AND id <= ?2 ORDER BY id",
	[DBQ_CLASS_ALL] =
	    "SELECT id, action, decision, risk_score FROM ah_audit_class"
	    " ORDER BY id",
	[DBQ_CLASS_PUT] =
	    "INSERT INTO ah_audit_class (id, action, decision, risk_score)"
	    " VALUES (?1, ?2, ?3, ?4)",
	[DBQ_NODE_ALL] = "SELECT id, name FROM ah_audit_node ORDER BY id",
	[DBQ_NODE_PUT] = "INSERT INTO ah_audit_node (id, name) VALUES (?1, ?2)",
	[DBQ_ROLLUP_PUT] =
	    "INSERT INTO ah_audit_rollup (span, start, class, n, latest)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT (span, start, class) DO UPDATE SET"
	    " n = n + excluded.n, latest = max(latest, excluded.latest)",
	[DBQ_ROLLUP_SUM] = "SELECT class, n, latest FROM ah_audit_rollup"
			   " WHERE span = ?1 AND start >= ?2 AND start < ?3",
	[DBQ_RANGE_SUM] =
	    "SELECT count(*), max(created_at) FROM ah_audit_log"
	    " WHERE class = ?1 AND created_at >= ?2 AND created_at < ?3",
	[DBQ_SKILL_PUT] =
	    "INSERT INTO ah_skills (name, enabled, created_at, updated_at)"
	    " VALUES (?1, ?2, ?3, ?3)"
	    " ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled,"
	    " updated_at = excluded.updated_at",
	[DBQ_PAGE_TIME] =
	    "SELECT created_at, id FROM ah_audit_log WHERE" PAGE_BOUND,
	[DBQ_PAGE_CLASS] =
	    "SELECT created_at, id FROM ah_audit_log WHERE class = ?7 AND" PAGE_BOUND,
	[DBQ_WIPE_AUDIT] =
	    "DELETE FROM ah_audit_log WHERE id IN"
	    " (SELECT id FROM ah_audit_log ORDER BY id LIMIT ?1)",
	[DBQ_WIPE_CLASS] = "DELETE FROM ah_audit_class",
	[DBQ_WIPE_NODE] = "DELETE FROM ah_audit_node",
	[DBQ_WIPE_ROLLUP] = "DELETE FROM ah_audit_rollup",
	[DBQ_WIPE_SKILLS] = "DELETE FROM ah_skills",
	[DBQ_VERSION_CLEAR] = "DELETE FROM alembic_version",
	[DBQ_VERSION_SET] =
	    "INSERT INTO alembic_version (version_num) VALUES (?1)",
	[DBQ_FINGER_PUT] =
	    "INSERT OR REPLACE INTO ah_migration_version"
	    " (revision, fingerprint, applied_at) VALUES (?1, ?2, " NOW_MS ")",
	[DBQ_FINGER_DEL] =
	    "DELETE FROM ah_migration_version WHERE revision = ?1",
	[DBQ_STEP_GET] =
	    "SELECT state, sha256 FROM ah_migration_step"
	    " WHERE revision = ?1 AND direction = ?2 AND step = ?3",
	[DBQ_STEP_ALL] =
	    "SELECT revision, direction, step, state, sha256"
	    " FROM ah_migration_step ORDER BY revision, direction, step",
	[DBQ_STEP_RUNNING] =
	    "INSERT INTO ah_migration_step (revision, direction, step, sha256,"
	    " state, runs, started_at)"
	    " VALUES (?1, ?2, ?3, ?4, 'running', 1, " NOW_MS ")"
	    " ON CONFLICT (revision, direction, step) DO UPDATE SET"
	    " sha256 = excluded.sha256, state = 'running', runs = runs + 1,"
	    " started_at = excluded.started_at",
	[DBQ_STEP_DONE] =
	    "INSERT INTO ah_migration_step (revision, direction, step, sha256,"
	    " state, runs, finished_at)"
	    " VALUES (?1, ?2, ?3, ?4, 'done', 0, " NOW_MS ")"
	    " ON CONFLICT (revision, direction, step) DO UPDATE SET"
	    " sha256 = excluded.sha256, state = 'done',"
	    " finished_at = excluded.finished_at",
	[DBQ_STEP_DEL] = "DELETE FROM ah_migration_step WHERE revision = ?1",
	[DBQ_LEASE_TAKE] =
	    "UPDATE ah_migration_lease SET owner = ?1, until = " NOW_MS " + ?2"
	    " WHERE id = 1 AND until <= " NOW_MS,
	[DBQ_LEASE_RENEW] = "UPDATE ah_migration_lease SET until = " NOW_MS
			    " + ?2"
			    " WHERE id = 1 AND owner = ?1 AND until > " NOW_MS,
	[DBQ_LEASE_DROP] = "UPDATE ah_migration_lease SET until = 0"
			   " WHERE id = 1 AND owner = ?1",
};

static const char migrator_tables[] =
    "CREATE TABLE IF NOT EXISTS alembic_version ("
    " version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
    "CREATE TABLE IF NOT EXISTS ah_migration_version ("
    " revision VARCHAR(32) NOT NULL PRIMARY KEY,"
    " fingerprint VARCHAR(64) NOT NULL, applied_at INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS ah_migration_step ("
    " revision VARCHAR(32) NOT NULL, direction VARCHAR(4) NOT NULL,"
    " step INTEGER NOT NULL, sha256 VARCHAR(64) NOT NULL,"
    " state VARCHAR(8) NOT NULL, runs INTEGER NOT NULL,"
    " started_at INTEGER, finished_at INTEGER,"
    " PRIMARY KEY (revision, direction, step));"
    "CREATE TABLE IF NOT EXISTS ah_migration_lease ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), owner VARCHAR(128) NOT NULL,"
    " until INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO ah_migration_lease (id, owner, until)"
    " VALUES (1, '', 0);";

/*
 * No temporary files: the store may make none outside its folder. 4 MiB of
 * cache hold the hot ends of three B-trees; a checkpoint each 16 MiB of log
 * keeps its two syncs rare.
 */
static const char pragmas[] = "PRAGMA temp_store = MEMORY;"
			      "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = NORMAL;"
			      "PRAGMA foreign_keys = ON;"
			      "PRAGMA cache_size = -4096;"
			      "PRAGMA wal_autocheckpoint = 4000;"
			      "PRAGMA journal_size_limit = 33554432;"
			      "PRAGMA trusted_schema = OFF;";

static enum db_rc
to_rc(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
		return (DB_OK);
	case SQLITE_ROW:
		return (DB_ROW);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return (DB_BUSY);
	default:
		return (DB_ERROR);
	}
}

/* Its random numbers are seeded from /dev/urandom at first use. */
static void
lite_warm_up(void)
{
	char junk[8];

	/* One thread: no locks. Nobody asks for its memory statistics. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_initialize();
	sqlite3_randomness((int)sizeof(junk), junk);
}

static void
lite_close(void *conn)
{
	struct lite *l = conn;

	if (l->db != NULL)
		(void)sqlite3_close(l->db);
	free(l->name);
	free(l);
}

static int
lite_setup(struct lite *l, unsigned flags, int busy_ms)
{
	struct stat st;
	int mode = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;

	if (flags & DB_CREATE)
		mode |= SQLITE_OPEN_CREATE;
	if (sqlite3_open_v2(l->name, &l->db, mode, NULL) != SQLITE_OK)
		return (-1);
	(void)sqlite3_busy_timeout(l->db, busy_ms);
	(void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_exec(l->db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return (-1);
	if (stat(l->name, &st) == -1)
		return (-1);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return (0);
}

static void *
lite_open(const char *name, unsigned flags, int busy_ms, char *err,
    size_t errlen)
{
	struct lite *l;

	(void)snprintf(err, errlen, "out of memory");
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return (NULL);
	if ((l->name = strdup(name)) == NULL ||
	    lite_setup(l, flags, busy_ms) == -1) {
		if (l->db != NULL)
			(void)snprintf(err, errlen, "%s: %s", name,
			    sqlite3_errmsg(l->db));
		lite_close(l);
		return (NULL);
	}
	return (l);
}

static const char *
lite_errmsg(void *conn)
{
	struct lite *l = conn;

	return (sqlite3_errmsg(l->db));
}

static bool
lite_replaced(void *conn)
{
	struct lite *l = conn;
	struct stat st;

	return (stat(l->name, &st) == -1 || st.st_dev != l->dev ||
	    st.st_ino != l->ino);
}

/* Appends a definition with white space reduced to what separates words. */
static void
normalise(struct buf *b, const char *sql)
{
	static const char tight[] = "(),";
	bool gap = false;

	for (; *sql != '\0'; sql++) {
		if (strchr(" \t\r\n", *sql) != NULL) {
			gap = true;
			continue;
		}
		if (gap && strchr(tight, *sql) == NULL && b->len > 0 &&
		    strchr(tight, b->d[b->len - 1]) == NULL)
			buf_addc(b, ' ');
		gap = false;
		buf_addc(b, *sql);
	}
	buf_addc(b, '\n');
}

static enum db_rc
lite_fingerprint(void *conn, char hex[65])
{
	static const char sql[] =
	    "SELECT type || ' ' || name || ' ' || sql FROM sqlite_schema"
	    " WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'sqlite\\_%'"
	    " ESCAPE '\\' AND tbl_name NOT LIKE 'ah\\_migration\\_%'"
	    " ESCAPE '\\' AND tbl_name <> 'alembic_version'"
	    " ORDER BY type, name";
	struct lite *l = conn;
	struct buf b = BUF_INITIALIZER;
	sqlite3_stmt *st;
	uint8_t hash[32];
	int rc;

	rc = sqlite3_prepare_v2(l->db, sql, -1, &st, NULL);
	if (rc != SQLITE_OK)
		return (to_rc(rc));
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		normalise(&b, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE && !b.err) {
		ax_sha256(b.d, b.len, hash);
		ax_hex(hash, sizeof(hash), hex);
	}
	rc = b.err ? SQLITE_NOMEM : rc;
	buf_free(&b);
	return (to_rc(rc));
}

static enum db_rc
lite_exec(void *conn, const char *sql)
{
	struct lite *l = conn;

	return (to_rc(sqlite3_exec(l->db, sql, NULL, NULL, NULL)));
}

static int
lite_changes(void *conn)
{
	struct lite *l = conn;

	return (sqlite3_changes(l->db));
}

static void *
lite_prepare(void *conn, const char *sql)
{
	struct lite *l = conn;
	sqlite3_stmt *st;

	if (sqlite3_prepare_v3(l->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st,
		NULL) != SQLITE_OK)
		return (NULL);
	return (st);
}

static void
lite_finalize(void *stmt)
{
	(void)sqlite3_finalize(stmt);
}

static void
lite_bind_int(void *stmt, int i, int64_t v)
{
	(void)sqlite3_bind_int64(stmt, i, v);
}

static void
lite_bind_text(void *stmt, int i, const char *s, size_t n)
{
	(void)sqlite3_bind_text(stmt, i, s, (int)n, SQLITE_STATIC);
}

static void
lite_bind_blob(void *stmt, int i, const void *p, size_t n)
{
	(void)sqlite3_bind_blob(stmt, i, p, (int)n, SQLITE_STATIC);
}

static void
lite_bind_null(void *stmt, int i)
{
	(void)sqlite3_bind_null(stmt, i);
}

static enum db_rc
lite_step(void *stmt)
{
	return (to_rc(sqlite3_step(stmt)));
}

static void
lite_reset(void *stmt)
{
	(void)sqlite3_reset(stmt);
}

static int64_t
lite_col_int(void *stmt, int i)
{
	return (sqlite3_column_int64(stmt, i));
}

static const char *
lite_col_text(void *stmt, int i, size_t *n)
{
	const char *s = (const char *)sqlite3_column_text(stmt, i);

	if (n != NULL)
		*n = (size_t)sqlite3_column_bytes(stmt, i);
	return (s);
}

static const void *
lite_col_blob(void *stmt, int i, size_t *n)
{
	const void *p = sqlite3_column_blob(stmt, i);

	*n = (size_t)sqlite3_column_bytes(stmt, i);
	return (p);
}

const struct db_engine db_sqlite = {
	.name = "sqlite",
	.sql = texts,
	.migrator_tables = migrator_tables,
	.warm_up = lite_warm_up,
	.open = lite_open,
	.close = lite_close,
	.errmsg = lite_errmsg,
	.replaced = lite_replaced,
	.fingerprint = lite_fingerprint,
	.exec = lite_exec,
	.changes = lite_changes,
	.prepare = lite_prepare,
	.finalize = lite_finalize,
	.bind_int = lite_bind_int,
	.bind_text = lite_bind_text,
	.bind_blob = lite_bind_blob,
	.bind_null = lite_bind_null,
	.step = lite_step,
	.reset = lite_reset,
	.col_int = lite_col_int,
	.col_text = lite_col_text,
	.col_blob = lite_col_blob,
};
