/* SPDX-License-Identifier: ISC */
/*
 * The migrator: there and back again, killed after each recorded change, two
 * at once, and files edited behind its back.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_help.h"

#define NSTEPS_ALL "SELECT count(*) FROM ah_migration_step"

static char err[MIG_ERR_LEN];

static void
fingerprint(const char *name, char hex[65])
{
	struct db *db = must_open(name);

	assert_int_equal(db_fingerprint(db, hex), DB_OK);
	db_close(db);
}

static int
upgrade(const char *name, const char *target, const struct migrate_opts *o)
{
	struct migset set;
	struct db *db = must_open(name);
	int rc;

	must_load(&set);
	rc = migrate_upgrade(db, &set, target, o, err, sizeof(err));
	migset_free(&set);
	db_close(db);
	return (rc);
}

static int
downgrade(const char *name, const char *target, const struct migrate_opts *o)
{
	struct migset set;
	struct db *db = must_open(name);
	int rc;

	must_load(&set);
	rc = migrate_downgrade(db, &set, target, o, err, sizeof(err));
	migset_free(&set);
	db_close(db);
	return (rc);
}

static void
head_is_the_newest_folder(void **state)
{
	struct migset set;

	must_load(&set);
	assert_true(set.n >= 2);
	assert_string_equal(set.v[0].rev, "20260227_000001");
	assert_string_equal(set.v[set.n - 1].rev, STORE_REVISION);
	migset_free(&set);
}

/* Each version's schema is the recorded one, on the way up and down. */
static void
up_down_up(void **state)
{
	struct migrate_opts o = migrate_defaults;
	char at[16][65], now[65], base[65];
	struct migset set;
	size_t i;

	must_load(&set);
	db_close(must_open("a"));
	fingerprint("a", base);
	for (i = 0; i < set.n; i++) {
		assert_int_equal(upgrade("a", "+1", &o), 0);
		fingerprint("a", at[i]);
		if (strcmp(at[i], set.v[i].fingerprint) != 0)
			fail_msg("%s/fingerprint should be %s", set.v[i].name,
			    at[i]);
	}
	o.destroy_audit = true;
	for (i = set.n; i-- > 0;) {
		fingerprint("a", now);
		assert_string_equal(now, at[i]);
		assert_int_equal(downgrade("a", "-1", &o), 0);
	}
	fingerprint("a", now);
	assert_string_equal(now, base);
	assert_int_equal(downgrade("a", "-1", &o), -1);
	assert_non_null(strstr(err, "base"));
	assert_int_equal(upgrade("a", "head", &o), 0);
	fingerprint("a", now);
	assert_string_equal(now, at[set.n - 1]);
	assert_int_equal(upgrade("a", "head", &o), 0);
	assert_int_equal(upgrade("a", "20260227_000001", &o), -1);
	assert_int_equal(upgrade("a", "nonsense", &o), -1);
	migset_free(&set);
}

static void
audit_rows_survive_one_step_back(void **state)
{
	db_close(db_at_head("keep"));
	(void)peek("keep",
	    "INSERT INTO ah_audit_log (id, node, seq, kind, "
	    "action, decision, created_at, class) VALUES "
	    "(7, 0, 7, 'event', 'a', 'b', 1, 1) RETURNING id");
	assert_int_equal(downgrade("keep", "-1", &migrate_defaults), 0);
	assert_int_equal(peek("keep", "SELECT id FROM ah_audit_log"), 7);
	assert_int_equal(downgrade("keep", "-1", &migrate_defaults), -1);
	assert_non_null(strstr(err, "--yes-destroy-audit"));
	assert_int_equal(downgrade("keep", "base", &migrate_defaults), -1);
	assert_int_equal(peek("keep", "SELECT id FROM ah_audit_log"), 7);
	assert_int_equal(upgrade("keep", "head", &migrate_defaults), 0);
	assert_int_equal(peek("keep", "SELECT id FROM ah_audit_log"), 7);
}

/* ---- killed ---- */

static void
die_at(void *arg, enum migrate_event e)
{
	if (--*(int *)arg == 0)
		_exit(9);
}

/*
 * Runs in a child that dies after its n-th recorded change: 1 if it did. The
 * first one's lease runs out by itself, the others' are taken away.
 */
static int
run_killed(const char *name, int n,
    int (*fn)(const char *, const char *, const struct migrate_opts *),
    const char *target)
{
	struct migrate_opts o = migrate_defaults;
	bool expire = n == 1;
	int status;
	pid_t pid;

	o.lease_ms = expire ? 1000 : 15000;
	o.hook = die_at;
	o.arg = &n;
	o.destroy_audit = true;
	if ((pid = fork()) == 0)
		_exit(fn(name, target, &o) == 0 ? 0 : 1);
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 1);
	if (!expire)
		(void)peek(name,
		    "UPDATE ah_migration_lease SET until = 0 "
		    "RETURNING 1");
	return (WEXITSTATUS(status) == 9);
}

static void
killed_after_each_change(void **state)
{
	char want[65], now[65], name[16];
	struct migrate_opts o = migrate_defaults;
	int n;

	o.destroy_audit = true;
	db_close(db_at_head("whole"));
	fingerprint("whole", want);
	for (n = 1;; n++) {
		(void)snprintf(name, sizeof(name), "k%d", n);
		if (!run_killed(name, n, upgrade, "head"))
			break;
		assert_int_equal(upgrade(name, "head", &o), 0);
		fingerprint(name, now);
		assert_string_equal(now, want);
		assert_int_equal(peek(name,
				     "SELECT count(*) FROM "
				     "ah_migration_step WHERE state <> 'done'"),
		    0);
	}
	/* every step twice (running, done) and each version's end */
	assert_int_equal(n - 1, 2 * peek("whole", NSTEPS_ALL) + 2);
}

static void
killed_on_the_way_down(void **state)
{
	struct migrate_opts o = migrate_defaults;
	char want[65], now[65], name[16];
	int n;

	o.destroy_audit = true;
	db_close(db_at_head("w2"));
	fingerprint("w2", want);
	for (n = 1; n < 12; n++) {
		(void)snprintf(name, sizeof(name), "d%d", n);
		db_close(db_at_head(name));
		if (!run_killed(name, n, downgrade, "-1"))
			break;
		/* nobody starts the other way from a half-way schema */
		if (peek(name,
			"SELECT count(*) FROM ah_migration_step WHERE "
			"direction = 'down'") > 0) {
			assert_int_equal(upgrade(name, "head", &o), -1);
			assert_non_null(strstr(err, "interrupted"));
			assert_int_equal(downgrade(name, "-1", &o), 0);
		}
		assert_int_equal(upgrade(name, "head", &o), 0);
		fingerprint(name, now);
		assert_string_equal(now, want);
	}
	assert_true(n > 5);
}

/* ---- two at once ---- */

static void
two_migrators_never_double_a_step(void **state)
{
	struct migrate_opts o = migrate_defaults;
	pid_t pid[3];
	char name[16];
	int i, k, status;

	for (k = 0; k < 10; k++) {
		(void)snprintf(name, sizeof(name), "race%d", k);
		db_close(must_open(name));
		for (i = 0; i < 3; i++)
			if ((pid[i] = fork()) == 0)
				_exit(upgrade(name, "head", &o) == 0 ? 0 : 1);
		for (i = 0; i < 3; i++) {
			assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
			assert_int_equal(status, 0);
		}
		assert_int_equal(peek(name,
				     "SELECT count(*) FROM "
				     "ah_migration_step WHERE runs <> 1"),
		    0);
		assert_int_equal(peek(name,
				     "SELECT count(*) FROM alembic_version"),
		    1);
	}
}

static void
a_lost_lease_ends_the_run(void **state)
{
	struct migrate_opts o = migrate_defaults;

	/* A lease of 0 ms has run out before the first transaction. */
	o.lease_ms = 0;
	assert_int_equal(upgrade("lost", "head", &o), -1);
	assert_non_null(strstr(err, "lease was lost"));
	assert_int_equal(peek("lost", NSTEPS_ALL), 0);
	/* A lease held by another for a day. */
	(void)peek("lost",
	    "UPDATE ah_migration_lease SET owner = 'x', until ="
	    " CAST((julianday('now') - 2440586.5) * 86400000 AS INTEGER)"
	    " RETURNING until");
	o = migrate_defaults;
	o.wait_ms = 120;
	assert_int_equal(upgrade("lost", "head", &o), -1);
	assert_non_null(strstr(err, "another migrator"));
}

/* ---- files edited, missing, malformed ---- */

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
make_rev(const char *dir, const char *up, const char *down)
{
	char path[200];

	(void)mkdir("sql", 0700);
	(void)snprintf(path, sizeof(path), "sql/%s", dir);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "sql/%s/up.sql", dir);
	write_file(path, up);
	(void)snprintf(path, sizeof(path), "sql/%s/down.sql", dir);
	write_file(path, down);
}

static int
upgrade_scratch(const char *name)
{
	struct db *db = must_open(name);
	struct migset set;
	int rc;

	rc = migset_load(&set, "sql", err, sizeof(err));
	if (rc == 0) {
		rc = migrate_upgrade(db, &set, "head", &migrate_defaults, err,
		    sizeof(err));
		migset_free(&set);
	}
	db_close(db);
	return (rc);
}

static void
an_edited_past_is_named(void **state)
{
	make_rev("20260101_000001_one",
	    "-- step\nCREATE TABLE t (a)\n-- step\n"
	    "CREATE TABLE u (a)\n",
	    "-- step\nDROP TABLE u\n-- step\n"
	    "DROP TABLE t\n");
	assert_int_equal(upgrade_scratch("e"), 0);
	make_rev("20260101_000001_one",
	    "-- step\nCREATE TABLE t (a)\n-- step\n"
	    "CREATE TABLE u (b)\n",
	    "-- step\nDROP TABLE u\n-- step\n"
	    "DROP TABLE t\n");
	assert_int_equal(upgrade_scratch("e"), -1);
	assert_non_null(strstr(err, "20260101_000001_one/up.sql:4: step 2"));
	make_rev("20260101_000001_one", "-- step\nCREATE TABLE t (a)\n",
	    "-- step\nDROP TABLE t\n");
	assert_int_equal(upgrade_scratch("e"), -1);
	assert_non_null(strstr(err, "step 2 was applied, but is missing"));
	make_rev("20260101_000002_two", "-- step\nCREATE TABLE v (a)\n",
	    "-- step\nDROP TABLE v\n");
	assert_int_equal(system("rm -r sql/20260101_000001_one"), 0);
	assert_int_equal(upgrade_scratch("e"), -1);
	assert_non_null(strstr(err, "20260101_000001"));
}

static void
a_failed_step_is_named_and_resumed(void **state)
{
	assert_int_equal(system("rm -rf sql"), 0);
	make_rev("20260101_000001_one",
	    "-- step\nCREATE TABLE t (a)\n-- step\n"
	    "\nCREATE TABEL u (a)\n",
	    "-- step\nDROP TABLE t\n");
	assert_int_equal(upgrade_scratch("f"), -1);
	assert_non_null(strstr(err, "up.sql:4: step 2"));
	make_rev("20260101_000001_one",
	    "-- step\nCREATE TABLE t (a)\n-- step\n"
	    "\nCREATE TABLE u (a)\n",
	    "-- step\nDROP TABLE t\n");
	assert_int_equal(upgrade_scratch("f"), 0);
	make_rev("20260101_000002_bad", "no marker\n", "-- step\nx\n");
	assert_int_equal(upgrade_scratch("f"), -1);
	assert_non_null(strstr(err, "20260101_000002_bad/up.sql:1"));
}

static void
a_foreign_database_is_refused(void **state)
{
	db_close(must_open("alien"));
	(void)peek("alien",
	    "CREATE TABLE alembic_version (version_num "
	    "VARCHAR(32) NOT NULL PRIMARY KEY)");
	(void)peek("alien",
	    "INSERT INTO alembic_version VALUES ('abc') "
	    "RETURNING 1");
	assert_int_equal(upgrade("alien", "head", &migrate_defaults), -1);
	assert_non_null(strstr(err, "abc"));
	(void)peek("alien",
	    "UPDATE alembic_version SET version_num = "
	    "'20260227_000001' RETURNING 1");
	assert_int_equal(upgrade("alien", "head", &migrate_defaults), -1);
	assert_non_null(strstr(err, "0 of its"));
}

/* ---- state ---- */

static void
check_state(struct db *db, const char *status, bool ok, bool drift)
{
	struct migrate_state s;
	struct buf b = BUF_INITIALIZER;

	migrate_state_read(&s, db, "gone", STORE_REVISION, true, true);
	migrate_state_json(&s, &b);
	if (strcmp(s.status, status) != 0 || s.ok != ok || s.drift != drift)
		fail_msg("%s", buf_str(&b));
	buf_free(&b);
}

static void
the_state_tells(void **state)
{
	struct migset set;
	struct db *db = must_open("s");

	must_load(&set);
	check_state(NULL, "unknown", false, false);
	check_state(db, "unknown", false, false);
	assert_int_equal(migrate_stamp(db, &set, "base", &migrate_defaults, err,
			     sizeof(err)),
	    0);
	check_state(db, "unversioned", false, false);
	assert_int_equal(migrate_upgrade(db, &set, "+1", &migrate_defaults, err,
			     sizeof(err)),
	    0);
	check_state(db, "behind", false, false);
	assert_int_equal(migrate_upgrade(db, &set, "head", &migrate_defaults,
			     err, sizeof(err)),
	    0);
	check_state(db, "head", true, false);
	(void)peek("s", "CREATE INDEX surplus ON ah_skills (enabled)");
	check_state(db, "head", true, true);
	assert_int_equal(migrate_check_past(db, &set, err, sizeof(err)), 0);
	assert_int_equal(migrate_stamp(db, &set, "20260227_000001",
			     &migrate_defaults, err, sizeof(err)),
	    0);
	check_state(db, "behind", false, true);
	migset_free(&set);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_is_the_newest_folder),
		cmocka_unit_test(up_down_up),
		cmocka_unit_test(audit_rows_survive_one_step_back),
		cmocka_unit_test(killed_after_each_change),
		cmocka_unit_test(killed_on_the_way_down),
		cmocka_unit_test(two_migrators_never_double_a_step),
		cmocka_unit_test(a_lost_lease_ends_the_run),
		cmocka_unit_test(an_edited_past_is_named),
		cmocka_unit_test(a_failed_step_is_named_and_resumed),
		cmocka_unit_test(a_foreign_database_is_refused),
		cmocka_unit_test(the_state_tells),
	};

	return (cmocka_run_group_tests(tests, scratch_make, scratch_remove));
}
