/* SPDX-License-Identifier: ISC */
/*
 * What the store's queries cost as the journal grows. Databases of several
 * sizes are made through the real projector; then every query is asked of each
 * of them in turn, so that a noisy machine is noisy to all.
 *
 *	bench_rows HOURS ROWS [ROWS...]
 *
 * The rows are spread over HOURS: 720 is a month, 1 is what the gate can write
 * at its fastest. Works in a scratch folder that it removes. Prints medians;
 * fails on errors, never on time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rows.h"
#include "workers/store/project.h"
#include "workers/store/query.h"

#define SIZES 8
#define TURNS 41

static struct size {
	long rows;
	struct db *db;
	struct projector *p;
	double seconds; /* to project */
} size[SIZES];
static size_t nsizes;
static long hours;

static void
die(const char *what)
{
	(void)fprintf(stderr, "bench_rows: %s\n", what);
	exit(1);
}

static void
fill(struct size *s)
{
	struct buf b = BUF_INITIALIZER;
	uint64_t t = ax_mono_us();
	const char *why;
	int full = 0;
	long i;

	for (i = 1; i <= s->rows; i++) {
		buf_reset(&b);
		row_line(&b, i, s->rows, hours);
		if ((projector_pending(s->p) == 0 &&
			projector_begin(s->p) != DB_OK) ||
		    projector_line(s->p, b.d, b.len, 1, (uint64_t)i * 471, &why,
			&full) != DB_OK ||
		    why != NULL)
			die("projector");
		if ((full || i == s->rows) && projector_commit(s->p) != DB_OK)
			die("commit");
	}
	buf_free(&b);
	s->seconds = (double)(ax_mono_us() - t) / 1e6;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

static double
ask(const struct size *s, const struct query_args *q, const char *what)
{
	struct query_result res;
	uint64_t t = ax_mono_us();
	int i, n = 0;

	/* long enough for the clock, short enough for a turn */
	do {
		for (i = 0; i < 4; i++, n++) {
			query_run(s->db, s->p, q, &res);
			if (res.status != ROWS_OK)
				die(what);
			buf_free(&res.json);
		}
	} while (ax_mono_us() - t < 2000);
	return ((double)(ax_mono_us() - t) / n);
}

/* ---- the queries ---- */

#define END_US (BASE_US + (uint64_t)hours * UINT64_C(3600000000))

struct ask {
	const char *what;
	struct query_args q;
	int64_t after, before; /* from the end, in seconds; 0: none */
};

#define NONE .limit = 50, .risk_min = -1, .risk_max = -1
#define PAGE .query = Q_AUDIT_PAGE, NONE
#define SUM  .query = Q_AUDIT_SUMMARY, NONE

static const struct ask asks[] = {
	{ "page", { PAGE }, 0, 0 },
	{ "page, decision", { PAGE, .decision = "BLOCKED" }, 0, 0 },
	{ "page, action", { PAGE, .action = "auth_failed" }, 0, 0 },
	{ "page, prefix", { PAGE, .action_prefix = "invoke_skill:" }, 0, 0 },
	{ "page, risk 20..60",
	    { .query = Q_AUDIT_PAGE,
		.limit = 50,
		.risk_min = 20,
		.risk_max = 60 },
	    0, 0 },
	{ "page, decision, prefix, risk >= 20",
	    { .query = Q_AUDIT_PAGE,
		.limit = 50,
		.risk_min = 20,
		.risk_max = -1,
		.decision = "APPROVED",
		.action_prefix = "invoke_skill:f" },
	    0, 0 },
	{ "page, decision, older than 1/3", { PAGE, .decision = "APPROVED" }, 0,
	    -3 },
	{ "page, nothing passes", { PAGE, .action = "none" }, 0, 0 },
	{ "page, offset 900", { PAGE, .offset = 900 }, 0, 0 },
	{ "page, offset 10000", { PAGE, .offset = 10000 }, 0, 0 },
	{ "page, decision, offset 10000",
	    { PAGE, .decision = "APPROVED", .offset = 10000 }, 0, 0 },
	{ "summary", { SUM }, 0, 0 },
	{ "summary, decision, prefix",
	    { SUM, .decision = "BLOCKED", .action_prefix = "invoke_skill:" }, 0,
	    0 },
	{ "summary, a range with partial minutes", { SUM }, -3, 61 },
	{ "summary, the last 100.5 s", { SUM }, 100, 0 },
	{ "summary, from 1/3, decision", { SUM, .decision = "BLOCKED" }, -3,
	    0 },
	{ "actions", { .query = Q_AUDIT_ACTIONS, NONE }, 0, 0 },
	{ "decisions of an action",
	    { .query = Q_AUDIT_DECISIONS, NONE, .action = "auth_failed" }, 0,
	    0 },
	{ "export, 100",
	    { .query = Q_AUDIT_EXPORT,
		.limit = 100,
		.risk_min = -1,
		.risk_max = -1 },
	    0, 0 },
};

static uint64_t
when(int64_t s)
{
	uint64_t span = END_US - BASE_US;

	if (s == 0)
		return (0);
	if (s < 0) /* a third of the way */
		return (BASE_US + span / (uint64_t)-s + 1234567);
	return (END_US - (uint64_t)s * 1000000 - 500000);
}

static void
measure(const struct ask *a)
{
	struct query_args q = a->q;
	double v[SIZES][TURNS], first = 0, m = 0;
	size_t i, k;

	q.after_us = when(a->after);
	q.before_us = when(a->before);
	for (k = 0; k < TURNS; k++)
		for (i = 0; i < nsizes; i++)
			v[i][k] = ask(&size[i], &q, a->what);
	(void)printf("  %-38s", a->what);
	for (i = 0; i < nsizes; i++) {
		qsort(v[i], TURNS, sizeof(v[i][0]), by_value);
		m = v[i][TURNS / 2];
		if (i == 0)
			first = m;
		(void)printf(" %9.1f", m);
	}
	(void)printf("   x%.2f\n", m / first);
	(void)fflush(stdout);
}

static void
open_all(int argc, char **argv)
{
	char name[32];
	enum db_rc rc;
	int64_t v;
	int i;

	if (argc < 3 || argc - 2 > SIZES ||
	    ax_strtonum(argv[1], 1, 87600, &v) == -1)
		die("usage: bench_rows HOURS ROWS [ROWS...]");
	hours = v;
	for (i = 2; i < argc; i++) {
		if (ax_strtonum(argv[i], 1, 100000000, &v) == -1)
			die("ROWS");
		size[nsizes].rows = v;
		(void)snprintf(name, sizeof(name), "%d.db", i);
		size[nsizes].db = fresh_db(name);
		size[nsizes].p = projector_new(size[nsizes].db, &rc);
		if (size[nsizes].p == NULL)
			die("projector");
		fill(&size[nsizes++]);
	}
}

int
main(int argc, char **argv)
{
	char dir[64], cmd[100];
	size_t i;

	(void)snprintf(dir, sizeof(dir), "%.40s/ax-rows-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		die("scratch folder");
	open_all(argc, argv);
	(void)printf("  %-38s", "rows (us a query, median of 41 turns)");
	for (i = 0; i < nsizes; i++)
		(void)printf(" %9ld", size[i].rows);
	(void)printf("   last/first\n");
	for (i = 0; i < AX_NELEM(asks); i++)
		measure(&asks[i]);
	(void)printf("  projected at %.0f lines/s\n",
	    (double)size[nsizes - 1].rows / size[nsizes - 1].seconds);
	for (i = 0; i < nsizes; i++) {
		projector_free(size[i].p);
		db_close(size[i].db);
	}
	(void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", dir);
	return (chdir("/") == 0 ? system(cmd) : 1);
}
