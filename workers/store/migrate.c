/* SPDX-License-Identifier: ISC */
/*
 * The migrator: applies and takes back the steps of migset.c, one statement at
 * a time, so that it can be killed anywhere and finished later. Nobody but the
 * operator runs it. It must never run a step whose `running` row is not
 * committed, never without the lease, and never touch rows of the audit log
 * unless it was told to in so many words.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "workers/store/migrate.h"

const struct migrate_opts migrate_defaults = {
	.lease_ms = 15000,
	.wait_ms = 30000,
};

struct run {
	struct db *db;
	const struct migset *set;
	const struct migrate_opts *o;
	char owner[80];
	int at; /* index of the current revision; -1: base */
	char *err;
	size_t errlen;
};

static int __attribute__((format(printf, 2, 3)))
fail(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->err, r->errlen, fmt, ap);
	va_end(ap);
	return (-1);
}

static int
fail_db(struct run *r, const char *what)
{
	return (fail(r, "%s: %s", what, db_error(r->db)));
}

static void __attribute__((format(printf, 2, 3)))
note(struct run *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (r->o->note == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->o->note(r->o->arg, text);
}

static void
hook(struct run *r, enum migrate_event e)
{
	if (r->o->hook != NULL)
		r->o->hook(r->o->arg, e);
}

/* ---- the lease ---- */

static bool
lease_query(struct run *r, enum db_query q)
{
	struct db_stmt *st = db_query(r->db, q);

	if (st == NULL)
		return (false);
	db_bind_str(st, 1, r->owner);
	if (q != DBQ_LEASE_DROP)
		db_bind_int(st, 2, r->o->lease_ms);
	return (db_run(st) == DB_OK && db_changes(r->db) == 1);
}

static int
lease_take(struct run *r)
{
	uint64_t end = ax_mono_us() + (uint64_t)r->o->wait_ms * 1000;
	struct timespec nap = { 0, 50000000 };
	char host[40] = "", rnd[17];
	uint8_t b[8];
	bool told = false;

	(void)gethostname(host, sizeof(host) - 1);
	ax_random(b, sizeof(b));
	ax_hex(b, sizeof(b), rnd);
	(void)snprintf(r->owner, sizeof(r->owner), "%s:%ld:%s", host,
	    (long)getpid(), rnd);
	while (!lease_query(r, DBQ_LEASE_TAKE)) {
		if (ax_mono_us() >= end)
			return (fail(r, "another migrator holds the lease"));
		if (!told)
			note(r, "waiting for another migrator");
		told = true;
		(void)nanosleep(&nap, NULL);
	}
	return (0);
}

/* A transaction that holds the lease; ended by tx_end() or db_rollback(). */
static int
tx_begin(struct run *r)
{
	if (db_begin(r->db) != DB_OK)
		return (fail_db(r, "begin"));
	if (lease_query(r, DBQ_LEASE_RENEW))
		return (0);
	db_rollback(r->db);
	return (fail(r, "the lease was lost to another migrator"));
}

static int
tx_end(struct run *r)
{
	if (db_commit(r->db) == DB_OK)
		return (0);
	(void)fail_db(r, "commit");
	db_rollback(r->db);
	return (-1);
}

/* ---- the books ---- */

static bool
put1(struct db *db, enum db_query q, const char *a, const char *b)
{
	struct db_stmt *st = db_query(db, q);

	if (st == NULL)
		return (false);
	if (a != NULL)
		db_bind_str(st, 1, a);
	if (b != NULL)
		db_bind_str(st, 2, b);
	return (db_run(st) == DB_OK);
}

static bool
put_step(struct run *r, enum db_query q, const struct migration *m,
    enum mig_dir d, unsigned i)
{
	struct db_stmt *st = db_query(r->db, q);

	if (st == NULL)
		return (false);
	db_bind_str(st, 1, m->rev);
	db_bind_str(st, 2, mig_dir_name(d));
	db_bind_int(st, 3, i + 1);
	db_bind_str(st, 4, m->step[d][i].sha256);
	return (db_run(st) == DB_OK);
}

/* 1: done with this very text; 0: not done; -1: done with another text. */
static int
step_is_done(struct run *r, const struct migration *m, enum mig_dir d,
    unsigned i)
{
	struct db_stmt *st = db_query(r->db, DBQ_STEP_GET);
	const char *state, *sha;
	int done = 0;

	if (st == NULL)
		return (fail_db(r, "ah_migration_step"));
	db_bind_str(st, 1, m->rev);
	db_bind_str(st, 2, mig_dir_name(d));
	db_bind_int(st, 3, i + 1);
	if (db_step(st) != DB_ROW)
		return (0);
	state = db_col_text(st, 0, NULL);
	sha = db_col_text(st, 1, NULL);
	if (strcmp(state, "done") == 0)
		done = strcmp(sha, m->step[d][i].sha256) == 0 ? 1 : -1;
	db_reset(st);
	if (done == -1)
		return (fail(r,
		    "%s/%s.sql:%u: step %u was changed after it "
		    "had been applied",
		    m->name, mig_dir_name(d), m->step[d][i].line, i + 1));
	return (done);
}

static int
current_read(struct run *r)
{
	struct db_stmt *st = db_query(r->db, DBQ_REVISION);
	char rev[33] = "";
	const char *v;
	enum db_rc rc;

	if (st == NULL)
		return (fail_db(r, "alembic_version"));
	if ((rc = db_step(st)) == DB_ROW) {
		if ((v = db_col_text(st, 0, NULL)) != NULL)
			(void)ax_strlcpy(rev, v, sizeof(rev));
		db_reset(st);
	} else if (rc != DB_OK) {
		return (fail_db(r, "alembic_version"));
	}
	r->at = -1;
	if (rev[0] != '\0' && (r->at = migset_find(r->set, rev)) == -1)
		return (fail(r,
		    "the database is at revision %s, which this "
		    "program does not know",
		    rev));
	return (0);
}

/* One row of ah_migration_step against the files. */
static int
check_row(struct run *r, const char *rev, const char *dir, int64_t step,
    const char *state, const char *sha, unsigned *done)
{
	int i = migset_find(r->set, rev);
	const struct migration *m;
	enum mig_dir d = strcmp(dir, "up") == 0 ? MIG_UP : MIG_DOWN;

	if (i == -1)
		return (fail(r,
		    "revision %s was applied, but its folder is "
		    "missing",
		    rev));
	if (strcmp(state, "done") != 0)
		return (0);
	m = &r->set->v[i];
	if (step < 1 || step > m->nsteps[d])
		return (fail(r,
		    "%s/%s.sql: step %lld was applied, but is "
		    "missing",
		    m->name, dir, (long long)step));
	if (strcmp(sha, m->step[d][step - 1].sha256) != 0)
		return (fail(r,
		    "%s/%s.sql:%u: step %lld was changed after it "
		    "had been applied",
		    m->name, dir, m->step[d][step - 1].line, (long long)step));
	if (d == MIG_UP)
		done[i]++;
	return (0);
}

static int
check_past(struct run *r)
{
	struct db_stmt *st = db_query(r->db, DBQ_STEP_ALL);
	unsigned done[256] = { 0 };
	enum db_rc rc;
	int i;

	if (st == NULL)
		return (fail_db(r, "ah_migration_step"));
	if (r->set->n > AX_NELEM(done))
		return (fail(r, "too many revisions"));
	while ((rc = db_step(st)) == DB_ROW)
		if (check_row(r, db_col_text(st, 0, NULL),
			db_col_text(st, 1, NULL), db_col_int(st, 2),
			db_col_text(st, 3, NULL), db_col_text(st, 4, NULL),
			done) == -1) {
			db_reset(st);
			return (-1);
		}
	if (rc != DB_OK)
		return (fail_db(r, "ah_migration_step"));
	for (i = 0; i <= r->at; i++)
		if (done[i] != r->set->v[i].nsteps[MIG_UP])
			return (fail(r,
			    "revision %s is in force, but %u of "
			    "its %u steps are on record: if the schema is "
			    "right, use stamp",
			    r->set->v[i].rev, done[i],
			    r->set->v[i].nsteps[MIG_UP]));
	return (0);
}

/*
 * A direction that was interrupted must be finished first: its opposite would
 * start from a schema that is neither.
 */
static int
check_unfinished(struct run *r, enum mig_dir wanted)
{
	struct db_stmt *st = db_query(r->db, DBQ_STEP_ALL);
	char rev[33] = "", dir[8] = "";
	enum db_rc rc;
	int i;

	if (st == NULL)
		return (fail_db(r, "ah_migration_step"));
	while ((rc = db_step(st)) == DB_ROW) {
		i = migset_find(r->set, db_col_text(st, 0, NULL));
		(void)ax_strlcpy(dir, db_col_text(st, 1, NULL), sizeof(dir));
		if ((strcmp(dir, "up") == 0 ? i > r->at : true) &&
		    strcmp(dir, mig_dir_name(wanted)) != 0) {
			(void)ax_strlcpy(rev, db_col_text(st, 0, NULL),
			    sizeof(rev));
			db_reset(st);
			return (fail(r,
			    "%sgrade of %s was interrupted: "
			    "finish it first",
			    dir, rev));
		}
	}
	return (rc == DB_OK ? 0 : fail_db(r, "ah_migration_step"));
}

/* ---- running ---- */

static int
step_run(struct run *r, const struct migration *m, enum mig_dir d, unsigned i)
{
	const struct mig_step *s = &m->step[d][i];

	if (tx_begin(r) == -1)
		return (-1);
	if (!put_step(r, DBQ_STEP_RUNNING, m, d, i)) {
		db_rollback(r->db);
		return (fail_db(r, "ah_migration_step"));
	}
	if (tx_end(r) == -1)
		return (-1);
	hook(r, MIGRATE_RUNNING);
	if (tx_begin(r) == -1)
		return (-1);
	if (db_exec(r->db, s->sql) != DB_OK) {
		(void)fail(r, "%s/%s.sql:%u: step %u: %s", m->name,
		    mig_dir_name(d), s->line, i + 1, db_error(r->db));
		db_rollback(r->db);
		return (-1);
	}
	if (!put_step(r, DBQ_STEP_DONE, m, d, i)) {
		(void)fail_db(r, "ah_migration_step");
		db_rollback(r->db);
		return (-1);
	}
	if (tx_end(r) == -1)
		return (-1);
	hook(r, MIGRATE_DONE);
	return (0);
}

/* The fingerprint to hold the schema to: the expected one where known. */
static bool
fingerprint_put(struct run *r, const struct migration *m)
{
	const char *want = m->fingerprint;
	char now[65];

	if (db_fingerprint(r->db, now) != DB_OK)
		return (false);
	if (*want != '\0' && strcmp(want, now) != 0)
		note(r, "%s: the schema differs from the expected one (drift)",
		    m->rev);
	return (
	    put1(r->db, DBQ_FINGER_PUT, m->rev, *want != '\0' ? want : now));
}

/* In one transaction: the books say that this direction is complete. */
static int
version_finish(struct run *r, int i, enum mig_dir d)
{
	const struct migration *m = &r->set->v[i];
	int at = d == MIG_UP ? i : i - 1;
	bool ok;

	if (tx_begin(r) == -1)
		return (-1);
	ok = put1(r->db, DBQ_VERSION_CLEAR, NULL, NULL) &&
	    (at == -1 || put1(r->db, DBQ_VERSION_SET, r->set->v[at].rev, NULL));
	if (ok && d == MIG_UP)
		ok = fingerprint_put(r, m);
	else if (ok)
		ok = put1(r->db, DBQ_FINGER_DEL, m->rev, NULL) &&
		    put1(r->db, DBQ_STEP_DEL, m->rev, NULL);
	if (!ok) {
		(void)fail_db(r, m->rev);
		db_rollback(r->db);
		return (-1);
	}
	if (tx_end(r) == -1)
		return (-1);
	r->at = at;
	hook(r, MIGRATE_DONE);
	return (0);
}

static int
version_run(struct run *r, int i, enum mig_dir d)
{
	const struct migration *m = &r->set->v[i];
	unsigned k;
	int done;

	note(r, "%sgrade %s", mig_dir_name(d), m->name);
	for (k = 0; k < m->nsteps[d]; k++) {
		if ((done = step_is_done(r, m, d, k)) == -1)
			return (-1);
		if (!done && step_run(r, m, d, k) == -1)
			return (-1);
	}
	return (version_finish(r, i, d));
}

static int
run_open(struct run *r, struct db *db, const struct migset *set,
    const struct migrate_opts *o, char *err, size_t errlen)
{
	*r = (struct run){ .db = db,
		.set = set,
		.o = o,
		.at = -1,
		.err = err,
		.errlen = errlen };
	if (db_migrator_tables(db) != DB_OK)
		return (fail_db(r, "the migrator's tables"));
	if (lease_take(r) == -1)
		return (-1);
	if (current_read(r) == -1) {
		(void)lease_query(r, DBQ_LEASE_DROP);
		return (-1);
	}
	return (0);
}

static int
run_close(struct run *r, int rc)
{
	(void)lease_query(r, DBQ_LEASE_DROP);
	return (rc);
}

static int
target_find(struct run *r, const char *target, int *to)
{
	int64_t n;

	if (strcmp(target, "head") == 0)
		*to = (int)r->set->n - 1;
	else if (strcmp(target, "base") == 0)
		*to = -1;
	else if (target[0] == '+' && ax_strtonum(target + 1, 1, 1000, &n) == 0)
		*to = r->at + (int)n;
	else if (target[0] == '-' && ax_strtonum(target + 1, 1, 1000, &n) == 0)
		*to = r->at - (int)n;
	else if ((*to = migset_find(r->set, target)) == -1)
		return (fail(r, "no revision %s", target));
	if (*to < -1 || *to >= (int)r->set->n)
		return (fail(r, "%s leads beyond the known revisions", target));
	return (0);
}

int
migrate_upgrade(struct db *db, const struct migset *set, const char *target,
    const struct migrate_opts *o, char *err, size_t errlen)
{
	struct run r;
	int to, rc;

	if (run_open(&r, db, set, o, err, errlen) == -1)
		return (-1);
	rc = check_past(&r);
	if (rc == 0)
		rc = check_unfinished(&r, MIG_UP);
	if (rc == 0)
		rc = target_find(&r, target, &to);
	if (rc == 0 && to < r.at)
		rc = fail(&r,
		    "%s is older than the current revision: use "
		    "downgrade",
		    target);
	while (rc == 0 && r.at < to)
		rc = version_run(&r, r.at + 1, MIG_UP);
	return (run_close(&r, rc));
}

static int
check_destroys(struct run *r, int to)
{
	int i;

	for (i = r->at; i > to && !r->o->destroy_audit; i--)
		if (r->set->v[i].destroys_audit)
			return (fail(r,
			    "the downgrade of %s drops the audit "
			    "log's tables: say --yes-destroy-audit to do it",
			    r->set->v[i].rev));
	return (0);
}

int
migrate_downgrade(struct db *db, const struct migset *set, const char *target,
    const struct migrate_opts *o, char *err, size_t errlen)
{
	struct run r;
	int to, rc;

	if (run_open(&r, db, set, o, err, errlen) == -1)
		return (-1);
	rc = check_past(&r);
	if (rc == 0)
		rc = check_unfinished(&r, MIG_DOWN);
	if (rc == 0 && r.at == -1)
		rc = fail(&r, "the database is at base already");
	if (rc == 0)
		rc = target_find(&r, target, &to);
	if (rc == 0 && to > r.at)
		rc = fail(&r,
		    "%s is newer than the current revision: use "
		    "upgrade",
		    target);
	if (rc == 0)
		rc = check_destroys(&r, to);
	while (rc == 0 && r.at > to)
		rc = version_run(&r, r.at, MIG_DOWN);
	return (run_close(&r, rc));
}

static bool
stamp_books(struct run *r, int to)
{
	const struct migration *m;
	size_t i;
	unsigned k;

	for (i = 0; i < r->set->n; i++) {
		m = &r->set->v[i];
		if (!put1(r->db, DBQ_STEP_DEL, m->rev, NULL) ||
		    !put1(r->db, DBQ_FINGER_DEL, m->rev, NULL))
			return (false);
		for (k = 0; (int)i <= to && k < m->nsteps[MIG_UP]; k++)
			if (!put_step(r, DBQ_STEP_DONE, m, MIG_UP, k))
				return (false);
	}
	if (!put1(r->db, DBQ_VERSION_CLEAR, NULL, NULL))
		return (false);
	return (to == -1 ||
	    (put1(r->db, DBQ_VERSION_SET, r->set->v[to].rev, NULL) &&
		fingerprint_put(r, &r->set->v[to])));
}

int
migrate_stamp(struct db *db, const struct migset *set, const char *target,
    const struct migrate_opts *o, char *err, size_t errlen)
{
	struct run r = { .db = db,
		.set = set,
		.o = o,
		.at = -1,
		.err = err,
		.errlen = errlen };
	int to, rc;

	/* The revision in force may be one that nobody knows. */
	if (db_migrator_tables(db) != DB_OK)
		return (fail_db(&r, "the migrator's tables"));
	if (lease_take(&r) == -1)
		return (-1);
	rc = target_find(&r, target, &to);
	if (rc == 0)
		rc = tx_begin(&r);
	if (rc == 0 && !stamp_books(&r, to)) {
		rc = fail_db(&r, "stamp");
		db_rollback(db);
	} else if (rc == 0) {
		rc = tx_end(&r);
	}
	return (run_close(&r, rc));
}

int
migrate_check_past(struct db *db, const struct migset *set, char *err,
    size_t errlen)
{
	struct run r = { .db = db,
		.set = set,
		.o = &migrate_defaults,
		.at = -1,
		.err = err,
		.errlen = errlen };

	return (current_read(&r) == -1 ? -1 : check_past(&r));
}

int
migrate_plan(struct db *db, const struct migset *set, const char *target,
    struct buf *out, char *err, size_t errlen)
{
	struct run r = { .db = db,
		.set = set,
		.o = &migrate_defaults,
		.at = -1,
		.err = err,
		.errlen = errlen };
	const struct migration *m;
	unsigned k;
	int i, to;

	if ((db != NULL && current_read(&r) == -1) ||
	    target_find(&r, target, &to) == -1)
		return (-1);
	for (i = r.at + 1; i <= to; i++) {
		m = &set->v[i];
		for (k = 0; k < m->nsteps[MIG_UP]; k++)
			buf_printf(out, "-- %s step %u of %u\n%s;\n", m->name,
			    k + 1, m->nsteps[MIG_UP], m->step[MIG_UP][k].sql);
	}
	return (out->err ? fail(&r, "out of memory") : 0);
}
