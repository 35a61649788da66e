/* SPDX-License-Identifier: ISC */
/* Looks into a test's database, or changes it, behind the store's back. */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>

int64_t peek(const char *name, const char *sql);

int64_t
peek(const char *name, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t v = -1;
	int rc;

	rc = sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK)
		(void)sqlite3_busy_timeout(db, 5000);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	else if (rc != SQLITE_DONE)
		(void)fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
	sqlite3_finalize(st);
	sqlite3_close(db);
	return (v);
}
