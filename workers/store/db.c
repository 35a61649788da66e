/* SPDX-License-Identifier: ISC */
/*
 * The engine-independent half of the database: finds the engine, keeps the
 * service's statements prepared, and gives statements back clean. It knows no
 * SQL and must never retry by itself: who may wait decides about DB_BUSY.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "workers/store/db.h"

struct db_stmt {
	struct db *db;
	const struct db_engine *eng;
	void *h;
};

struct db {
	const struct db_engine *eng;
	void *conn;
	char err[200]; /* kept: a rollback would overwrite the engine's */
	struct db_stmt cache[DBQ_MAX];
};

static const struct db_engine *const engines[] = { &db_sqlite };

static const struct db_engine *
engine_find(const char *name)
{
	size_t i;

	for (i = 0; i < AX_NELEM(engines); i++)
		if (strcmp(engines[i]->name, name) == 0)
			return (engines[i]);
	return (NULL);
}

void
db_warm_up(void)
{
	size_t i;

	for (i = 0; i < AX_NELEM(engines); i++)
		engines[i]->warm_up();
}

struct db *
db_open(const char *engine, const char *name, unsigned flags, int busy_ms,
    char *err, size_t errlen)
{
	struct db *db;

	if ((db = calloc(1, sizeof(*db))) == NULL) {
		(void)snprintf(err, errlen, "out of memory");
		return (NULL);
	}
	if ((db->eng = engine_find(engine)) == NULL) {
		(void)snprintf(err, errlen, "no engine %s", engine);
		free(db);
		return (NULL);
	}
	db->conn = db->eng->open(name, flags, busy_ms, err, errlen);
	if (db->conn == NULL) {
		free(db);
		return (NULL);
	}
	return (db);
}

void
db_close(struct db *db)
{
	size_t i;

	if (db == NULL)
		return;
	for (i = 0; i < DBQ_MAX; i++)
		if (db->cache[i].h != NULL)
			db->eng->finalize(db->cache[i].h);
	db->eng->close(db->conn);
	free(db);
}

const char *
db_error(const struct db *db)
{
	return (db->err);
}

static enum db_rc
keep_error(struct db *db, enum db_rc rc)
{
	if (rc == DB_ERROR || rc == DB_BUSY)
		(void)ax_strlcpy(db->err, db->eng->errmsg(db->conn),
		    sizeof(db->err));
	return (rc);
}

bool
db_replaced(const struct db *db)
{
	return (db->eng->replaced(db->conn));
}

enum db_rc
db_fingerprint(struct db *db, char hex[65])
{
	return (keep_error(db, db->eng->fingerprint(db->conn, hex)));
}

enum db_rc
db_exec(struct db *db, const char *sql)
{
	return (keep_error(db, db->eng->exec(db->conn, sql)));
}

enum db_rc
db_migrator_tables(struct db *db)
{
	return (db_exec(db, db->eng->migrator_tables));
}

static enum db_rc
run_query(struct db *db, enum db_query q)
{
	struct db_stmt *st = db_query(db, q);

	return (st == NULL ? DB_ERROR : db_run(st));
}

enum db_rc
db_begin(struct db *db)
{
	return (run_query(db, DBQ_BEGIN));
}

enum db_rc
db_begin_read(struct db *db)
{
	return (run_query(db, DBQ_BEGIN_READ));
}

enum db_rc
db_commit(struct db *db)
{
	return (run_query(db, DBQ_COMMIT));
}

void
db_rollback(struct db *db)
{
	struct db_stmt *st = db_query(db, DBQ_ROLLBACK);

	/* Fails when the engine has rolled back by itself: that is fine. */
	if (st != NULL) {
		(void)st->eng->step(st->h);
		st->eng->reset(st->h);
	}
}

int
db_changes(struct db *db)
{
	return (db->eng->changes(db->conn));
}

struct db_stmt *
db_query(struct db *db, enum db_query q)
{
	struct db_stmt *st = &db->cache[q];

	if (st->h != NULL) {
		db->eng->reset(st->h);
		return (st);
	}
	st->db = db;
	st->eng = db->eng;
	st->h = db->eng->prepare(db->conn, db->eng->sql[q]);
	if (st->h == NULL)
		(void)keep_error(db, DB_ERROR);
	return (st->h == NULL ? NULL : st);
}

void
db_bind_int(struct db_stmt *st, int i, int64_t v)
{
	st->eng->bind_int(st->h, i, v);
}

void
db_bind_text(struct db_stmt *st, int i, const char *s, size_t n)
{
	if (s == NULL)
		st->eng->bind_null(st->h, i);
	else
		st->eng->bind_text(st->h, i, s, n);
}

void
db_bind_str(struct db_stmt *st, int i, const char *s)
{
	db_bind_text(st, i, s, s == NULL ? 0 : strlen(s));
}

void
db_bind_blob(struct db_stmt *st, int i, const void *p, size_t n)
{
	st->eng->bind_blob(st->h, i, p, n);
}

void
db_bind_null(struct db_stmt *st, int i)
{
	st->eng->bind_null(st->h, i);
}

enum db_rc
db_step(struct db_stmt *st)
{
	enum db_rc rc = keep_error(st->db, st->eng->step(st->h));

	if (rc != DB_ROW)
		st->eng->reset(st->h);
	return (rc);
}

void
db_reset(struct db_stmt *st)
{
	st->eng->reset(st->h);
}

enum db_rc
db_run(struct db_stmt *st)
{
	enum db_rc rc;

	while ((rc = db_step(st)) == DB_ROW)
		continue;
	return (rc);
}

int64_t
db_col_int(struct db_stmt *st, int i)
{
	return (st->eng->col_int(st->h, i));
}

const char *
db_col_text(struct db_stmt *st, int i, size_t *n)
{
	return (st->eng->col_text(st->h, i, n));
}

const void *
db_col_blob(struct db_stmt *st, int i, size_t *n)
{
	return (st->eng->col_blob(st->h, i, n));
}
