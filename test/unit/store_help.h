/* SPDX-License-Identifier: ISC */
/*
 * What the store's tests share: a scratch folder, a database at head, lines of
 * a journal. Included once by each test.
 */
#ifndef AX_TEST_STORE_HELP_H
#define AX_TEST_STORE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/util.h"
#include "workers/store/db.h"
#include "workers/store/migrate.h"

static char scratch[64];

static int
scratch_make(void **state)
{
	ax_strlcpy(scratch, "/tmp/ax-store-XXXXXX", sizeof(scratch));
	if (mkdtemp(scratch) == NULL || chdir(scratch) == -1)
		return (-1);
	return (0);
}

static int
scratch_remove(void **state)
{
	char cmd[100];

	if (chdir("/") == -1)
		return (-1);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", scratch);
	return (system(cmd));
}

static inline struct db *
must_open(const char *name)
{
	char err[200];
	struct db *db =
	    db_open("sqlite", name, DB_CREATE, 5000, err, sizeof(err));

	if (db == NULL)
		fail_msg("%s", err);
	return (db);
}

static inline void
must_load(struct migset *set)
{
	char err[MIG_ERR_LEN];

	if (migset_load(set, AX_SRCDIR "/sql/sqlite", err, sizeof(err)) == -1)
		fail_msg("%s", err);
}

/* A fresh database at head. */
static inline struct db *
db_at_head(const char *name)
{
	char err[MIG_ERR_LEN];
	struct migset set;
	struct db *db;

	must_load(&set);
	db = must_open(name);
	if (migrate_upgrade(db, &set, "head", &migrate_defaults, err,
		sizeof(err)) == -1)
		fail_msg("%s", err);
	migset_free(&set);
	return (db);
}

/* One journal line as audit writes it, without its newline. */
static inline void
line_make(struct buf *b, uint64_t seq, uint64_t us, const char *action,
    const char *decision, int risk)
{
	char ts[AX_TS_LEN];

	ax_ts_format(us, ts);
	buf_printf(b,
	    "{\"action\": \"%s\", \"actor\": \"key:ops\", "
	    "\"context\": {\"operation\": \"exists\", \"request_context\": "
	    "{\"request_id\": \"r-%llu\"}}, \"decision\": \"%s\", "
	    "\"id\": \"n1-%llu\", \"idem\": null, \"kind\": \"decision\", "
	    "\"node\": \"n1\", \"permit\": %llu, \"reason\": \"low \\\"risk"
	    "\\\" \\u00e9\", \"request_id\": \"r-%llu\", \"risk_score\": %d, "
	    "\"seq\": %llu, \"ts\": \"%s\"}",
	    action, (unsigned long long)seq, decision, (unsigned long long)seq,
	    (unsigned long long)seq, (unsigned long long)seq, risk,
	    (unsigned long long)seq, ts);
}

/* First column of the first row, or -1: for looking behind the interface. */
int64_t peek(const char *name, const char *sql);

#endif
