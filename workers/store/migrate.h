/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_MIGRATE_H
#define AX_STORE_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/buf.h"
#include "workers/store/db.h"
#include "workers/store/migset.h"

/* The revision this store works on: the last folder below sql/ENGINE/. */
#define STORE_REVISION "20260615_000002"

/*
 * The migrator. Each step of a revision is recorded as `running` before and
 * `done` after it, with the SHA-256 of its text; on SQLite the statement and
 * its `done` are one transaction. A killed migration is finished by calling
 * again. A lease row is the lock: it runs out by the database's clock, and
 * every transaction renews it or fails, so two migrators never interleave.
 */
enum migrate_event { MIGRATE_RUNNING, MIGRATE_DONE };

struct migrate_opts {
	int lease_ms;	    /* 15000 */
	int wait_ms;	    /* how long to wait for another's lease */
	bool destroy_audit; /* a downgrade may drop audit rows */
	/* Progress for the operator; may be NULL. */
	void (*note)(void *arg, const char *text);
	/* Tests: called after each recorded change; may end the process. */
	void (*hook)(void *arg, enum migrate_event);
	void *arg;
};

extern const struct migrate_opts migrate_defaults;

/*
 * Target: "head", "+N" or a revision. 0, or -1 and a message in err that names
 * revision, file and line. Reaching a target that is reached already is fine.
 */
int migrate_upgrade(struct db *, const struct migset *, const char *target,
    const struct migrate_opts *, char *err, size_t errlen);
/* Target: "-N", "base" or a revision. Refuses at base. */
int migrate_downgrade(struct db *, const struct migset *, const char *target,
    const struct migrate_opts *, char *err, size_t errlen);
/* Says that the schema is at this revision ("head" too), running nothing. */
int migrate_stamp(struct db *, const struct migset *, const char *target,
    const struct migrate_opts *, char *err, size_t errlen);
/*
 * Compares what was applied with what stands on disk: edited or missing steps
 * and revisions. 0, or -1 and a message. Changes nothing.
 */
int migrate_check_past(struct db *, const struct migset *, char *err,
    size_t errlen);
/* Appends the SQL an upgrade to the target would run, with its comments. */
int migrate_plan(struct db *, const struct migset *, const char *target,
    struct buf *out, char *err, size_t errlen);

/* ---- the state object of the contract, 12.3 ---- */

struct migrate_state {
	bool enabled, required;
	const char *head; /* not owned */
	char current[33]; /* "": none */
	const char *status;
	bool ok;
	bool drift;	 /* the schema is not the one its revision made */
	char error[256]; /* "": none */
};

/*
 * Reads the state; db NULL: it could not be opened, and `why` tells. Never
 * fails: what cannot be read is in the state. With enabled false the database
 * is not read.
 */
void migrate_state_read(struct migrate_state *, struct db *db, const char *why,
    const char *head, bool enabled, bool required);
/* {"enabled","required","head","current","status","ok","drift"[,"error"]} */
void migrate_state_json(const struct migrate_state *, struct buf *);

#endif
