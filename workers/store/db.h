/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_DB_H
#define AX_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The database behind one interface. An engine is a table of functions; the
 * rest of the store knows no SQL dialect but the texts of enum db_query, which
 * each engine supplies, and what stands in sql/ENGINE/. All calls block, for
 * at most the busy time given to db_open() when another process holds a lock.
 */

enum db_rc {
	DB_OK,	 /* done; of a step: no further row */
	DB_ROW,	 /* db_step(): a row is there */
	DB_BUSY, /* locked by another process: try again later */
	DB_ERROR /* db_error() tells */
};

/* The prepared statements of the service; each is prepared once. */
enum db_query {
	DBQ_BEGIN,	/* takes the write lock */
	DBQ_BEGIN_READ, /* one view of the database until COMMIT */
	DBQ_COMMIT,
	DBQ_ROLLBACK,
	DBQ_REVISION,	 /* > version_num */
	DBQ_FINGERPRINT, /* revision > fingerprint after it was applied */
	DBQ_MARK_GET,	 /* > segment, offset, seq, leaf, skipped, key */
	DBQ_MARK_PUT,	 /* segment, offset, seq, leaf, skipped, key */
	DBQ_ROW_PUT,	 /* see project.c */
	DBQ_ROW_BRIEF,	 /* id > the columns of an entry, see entry.c */
	DBQ_ROW_WHOLE,	 /* id > the same and context */
	DBQ_ROW_AFTER,	 /* above id, up to id > id, class, created_at */
	DBQ_CLASS_ALL,	 /* > id, action, decision, risk_score */
	DBQ_CLASS_PUT,	 /* id, action, decision, risk_score */
	DBQ_NODE_ALL,	 /* > id, name */
	DBQ_NODE_PUT,	 /* id, name */
	DBQ_ROLLUP_PUT,	 /* span, start, class, n, latest: added */
	DBQ_ROLLUP_SUM,	 /* span, from, below > class, n, latest */
	DBQ_RANGE_SUM,	 /* class, from, below > n, latest */
	DBQ_SKILL_PUT,	 /* name, enabled, at */
	DBQ_PAGE_TIME, /* newest, oldest, tie, id, seq, limit > created_at, id */
	DBQ_PAGE_CLASS, /* the same, class */
	DBQ_WIPE_AUDIT, /* n: deletes so many rows */
	DBQ_WIPE_CLASS,
	DBQ_WIPE_NODE,
	DBQ_WIPE_ROLLUP,
	DBQ_WIPE_SKILLS,
	/* the migrator's */
	DBQ_VERSION_CLEAR,
	DBQ_VERSION_SET,  /* revision */
	DBQ_FINGER_PUT,	  /* revision, fingerprint */
	DBQ_FINGER_DEL,	  /* revision */
	DBQ_STEP_GET,	  /* revision, direction, step > state, sha256 */
	DBQ_STEP_ALL,	  /* > revision, direction, step, state, sha256 */
	DBQ_STEP_RUNNING, /* revision, direction, step, sha256 */
	DBQ_STEP_DONE,	  /* revision, direction, step, sha256 */
	DBQ_STEP_DEL,	  /* revision */
	DBQ_LEASE_TAKE,	  /* owner, ms: changes one row if it was free */
	DBQ_LEASE_RENEW,  /* owner, ms: the same if it is still held */
	DBQ_LEASE_DROP,	  /* owner */
	DBQ_MAX
};

#define DB_CREATE 1u /* make the file if it is missing: the migrator only */

struct db;
struct db_stmt;

/* Before confinement: lets the engines read what they read only once. */
void db_warm_up(void);

/*
 * Opens `name` (SQLite: a path relative to the current folder is fine). NULL,
 * and a text in err. Nothing is created without DB_CREATE.
 */
struct db *db_open(const char *engine, const char *name, unsigned flags,
    int busy_ms, char *err, size_t errlen);
void db_close(struct db *); /* NULL is fine */
/* The last failure in words; valid until the next one. */
const char *db_error(const struct db *);
/* The file at `name` is no longer the one that was opened. */
bool db_replaced(const struct db *);
/*
 * SHA-256, in hex, over the definitions of all tables and indexes but the
 * migrator's own, in a fixed order and without regard to white space.
 */
enum db_rc db_fingerprint(struct db *, char hex[65]);

/* Runs SQL without parameters or rows: for the migrator. */
enum db_rc db_exec(struct db *, const char *sql);
/* Makes the tables in which the migrator keeps its books, if missing. */
enum db_rc db_migrator_tables(struct db *);
enum db_rc db_begin(struct db *);
/* For several reads of one state; ended by db_commit(). */
enum db_rc db_begin_read(struct db *);
enum db_rc db_commit(struct db *);
void db_rollback(struct db *);
/* Rows changed by the last statement. */
int db_changes(struct db *);

/*
 * The statement of a query, reset; it is the db's, never freed by the caller.
 * NULL: it could not be prepared, see db_error().
 */
struct db_stmt *db_query(struct db *, enum db_query);

/* Parameters count from 1. Text and blobs must live until the next reset. */
void db_bind_int(struct db_stmt *, int i, int64_t);
void db_bind_text(struct db_stmt *, int i, const char *, size_t);
void db_bind_str(struct db_stmt *, int i, const char *); /* NULL: null */
void db_bind_blob(struct db_stmt *, int i, const void *, size_t);
void db_bind_null(struct db_stmt *, int i);
/* DB_ROW, DB_OK (and the statement is reset), DB_BUSY or DB_ERROR (reset). */
enum db_rc db_step(struct db_stmt *);
void db_reset(struct db_stmt *);
/* For statements without rows: DB_OK, DB_BUSY or DB_ERROR. */
enum db_rc db_run(struct db_stmt *);

/* Columns count from 0; pointers live until the next step or reset. */
int64_t db_col_int(struct db_stmt *, int i);
/* NULL for SQL NULL; NUL-terminated. n may be NULL. */
const char *db_col_text(struct db_stmt *, int i, size_t *n);
const void *db_col_blob(struct db_stmt *, int i, size_t *n);

/* ---- for engines ---- */

struct db_engine {
	const char *name;
	const char *const *sql; /* DBQ_MAX texts */
	const char *migrator_tables;
	void (*warm_up)(void);
	void *(*open)(const char *name, unsigned flags, int busy_ms, char *err,
	    size_t errlen);
	void (*close)(void *conn);
	const char *(*errmsg)(void *conn);
	bool (*replaced)(void *conn);
	enum db_rc (*fingerprint)(void *conn, char hex[65]);
	enum db_rc (*exec)(void *conn, const char *sql);
	int (*changes)(void *conn);
	void *(*prepare)(void *conn, const char *sql);
	void (*finalize)(void *stmt);
	void (*bind_int)(void *stmt, int, int64_t);
	void (*bind_text)(void *stmt, int, const char *, size_t);
	void (*bind_blob)(void *stmt, int, const void *, size_t);
	void (*bind_null)(void *stmt, int);
	enum db_rc (*step)(void *stmt);
	void (*reset)(void *stmt);
	int64_t (*col_int)(void *stmt, int);
	const char *(*col_text)(void *stmt, int, size_t *);
	const void *(*col_blob)(void *stmt, int, size_t *);
};

extern const struct db_engine db_sqlite;

#endif
