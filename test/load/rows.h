/* SPDX-License-Identifier: ISC */
/*
 * Rows for the store's benchmarks: the lines of a journal as the gate writes
 * them, two a run (a decision and its outcome), and a fresh database to project
 * them into. Included once by each program, which defines die().
 */
#ifndef AX_LOAD_ROWS_H
#define AX_LOAD_ROWS_H

#include <stdint.h>

#include "common/buf.h"
#include "common/util.h"
#include "workers/store/migrate.h"

#define BASE_US UINT64_C(1767225600000000)

static void __attribute__((noreturn)) die(const char *what);

static struct db *
fresh_db(const char *name)
{
	char err[MIG_ERR_LEN];
	struct migset set;
	struct db *db = NULL;

	if (migset_load(&set, AX_SRCDIR "/sql/sqlite", err, sizeof(err)) ==
		-1 ||
	    (db = db_open("sqlite", name, DB_CREATE, 1000, err, sizeof(err))) ==
		NULL ||
	    migrate_upgrade(db, &set, "head", &migrate_defaults, err,
		sizeof(err)) == -1)
		die(err);
	migset_free(&set);
	return (db);
}

/* Line i of `lines` that are spread evenly over so many hours; no newline. */
static void
row_line(struct buf *b, long i, long lines, long hours)
{
	static const char *const actions[] = { "invoke_skill:file_ops",
		"invoke_skill:code_exec", "invoke_skill:report",
		"auth_failed" };
	static const char *const decisions[] = { "APPROVED", "APPROVED",
		"WARNED", "BLOCKED" };
	char ts[AX_TS_LEN];

	ax_ts_format(BASE_US +
		(uint64_t)((double)i / (double)lines * (double)hours * 3600e6),
	    ts);
	buf_printf(b,
	    "{\"action\": \"%s\", \"actor\": "
	    "\"api_key:operations\", \"context\": {\"inputs\": "
	    "{\"operation\": \"exists\", \"path\": \"reports/%ld\"}, "
	    "\"request_context\": {\"request_id\": \"01J%012ld\", "
	    "\"session_id\": null, \"task_id\": null}}, \"decision\": "
	    "\"%s\", \"id\": \"node-a-%ld\", \"idem\": null, \"kind\": "
	    "\"%s\", \"node\": \"node-a\", \"permit\": %ld, \"reason\":"
	    " \"low risk\", \"request_id\": \"01J%012ld\", "
	    "\"risk_score\": %ld, \"seq\": %ld, \"ts\": \"%s\"}",
	    actions[i / 2 % 7 % 4], i, i, decisions[i / 2 % 11 % 4], i,
	    i % 2 ? "decision" : "outcome", (i + 1) / 2, i, i / 2 % 5 * 20, i,
	    ts);
}

#endif
