/* SPDX-License-Identifier: ISC */
/*
 * What the schema is, in the words of the contract: read by the service each
 * second, by /v1/migration/state and by `archillxctl migrate check`, so that
 * all three agree. It only reads, and must never depend on the files in sql/.
 */
#include <stdio.h>
#include <string.h>

#include "common/jw.h"
#include "common/util.h"
#include "workers/store/migrate.h"

/* 0: current is filled (maybe empty); -1: the query failed. */
static int
read_current(struct migrate_state *s, struct db *db)
{
	struct db_stmt *st = db_query(db, DBQ_REVISION);
	const char *v;
	enum db_rc rc;

	if (st == NULL)
		return (-1);
	if ((rc = db_step(st)) != DB_ROW)
		return (rc == DB_OK ? 0 : -1);
	if ((v = db_col_text(st, 0, NULL)) != NULL)
		(void)ax_strlcpy(s->current, v, sizeof(s->current));
	db_reset(st);
	return (0);
}

static bool
read_drift(struct db *db, const char *rev)
{
	struct db_stmt *st = db_query(db, DBQ_FINGERPRINT);
	bool same = false;
	char now[65];
	const char *v;

	if (st == NULL)
		return (true);
	db_bind_str(st, 1, rev);
	if (db_step(st) == DB_ROW) {
		v = db_col_text(st, 0, NULL);
		same = v != NULL && db_fingerprint(db, now) == DB_OK &&
		    strcmp(v, now) == 0;
		db_reset(st);
	}
	return (!same);
}

void
migrate_state_read(struct migrate_state *s, struct db *db, const char *why,
    const char *head, bool enabled, bool required)
{
	memset(s, 0, sizeof(*s));
	s->enabled = enabled;
	s->required = required;
	s->head = head;
	s->status = "unknown";
	if (!enabled) {
		s->status = "disabled";
		s->ok = true;
		return;
	}
	if (db == NULL || read_current(s, db) == -1) {
		(void)ax_strlcpy(s->error, db == NULL ? why : db_error(db),
		    sizeof(s->error));
	} else if (s->current[0] == '\0') {
		s->status = "unversioned";
	} else {
		s->status = strcmp(s->current, head) == 0 ? "head" : "behind";
		s->drift = read_drift(db, s->current);
	}
	s->ok = !required || strcmp(s->status, "head") == 0;
}

void
migrate_state_json(const struct migrate_state *s, struct buf *b)
{
	struct jw w;

	jw_init(&w, b, false);
	jw_obj(&w);
	jw_kbool(&w, "enabled", s->enabled);
	jw_kbool(&w, "required", s->required);
	jw_kstr(&w, "head", s->head);
	jw_kstr(&w, "current", s->current[0] != '\0' ? s->current : NULL);
	jw_kstr(&w, "status", s->status);
	jw_kbool(&w, "ok", s->ok);
	jw_kbool(&w, "drift", s->drift);
	if (s->error[0] != '\0')
		jw_kstr(&w, "error", s->error);
	jw_obj_end(&w);
}
