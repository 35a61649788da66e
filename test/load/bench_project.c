/* SPDX-License-Identifier: ISC */
/*
 * How many journal lines a second the store's reader and projector take into
 * SQLite, and how long queries then need.
 *
 *	bench_project [LINES [LINES_A_BATCH [HOURS]]]
 *
 * Works in a scratch folder that it removes. Prints; fails on errors, never on
 * time.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"
#include "workers/store/project.h"
#include "workers/store/query.h"
#include "common/reader.h"

static void
die(const char *what)
{
	(void)fprintf(stderr, "bench_project: %s\n", what);
	exit(1);
}

static int
write_journal(long lines, long hours)
{
	struct buf b = BUF_INITIALIZER;
	FILE *f = fopen("journal", "w");
	long i;

	if (f == NULL)
		die("journal");
	for (i = 1; i <= lines; i++) {
		buf_reset(&b);
		row_line(&b, i, lines, hours);
		buf_addc(&b, '\n');
		(void)fwrite(b.d, 1, b.len, f);
	}
	buf_free(&b);
	if (fclose(f) != 0)
		die("journal");
	return (open("journal", O_RDONLY));
}

static void
project_all(struct projector *p, struct reader *r, long batch)
{
	struct reader_line l;
	const char *why;
	long n = 0;
	int full, more;

	for (;;) {
		if ((more = reader_next(r, &l)) == -1)
			die("reader");
		if (n > 0 && (more == 0 || n == batch || full)) {
			if (projector_commit(p) != DB_OK)
				die("commit");
			n = 0;
		}
		if (more == 0)
			return;
		if ((n == 0 && projector_begin(p) != DB_OK) ||
		    projector_line(p, l.p, l.n, l.segment, l.end, &why,
			&full) != DB_OK ||
		    why != NULL)
			die(why != NULL ? why : "apply");
		n++;
	}
}

static double
cpu_seconds(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return ((double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

static void
time_query(struct db *db, struct projector *p, const char *what,
    struct query_args q)
{
	struct query_result res;
	uint64_t t = ax_mono_us(), n = 0;

	do {
		query_run(db, p, &q, &res);
		if (res.status != ROWS_OK)
			die(what);
		buf_free(&res.json);
		n++;
	} while (n < 20 && ax_mono_us() - t < 2000000);
	(void)printf("  %-44s %9.3f ms\n", what,
	    (double)(ax_mono_us() - t) / 1e3 / (double)n);
}

static void
time_queries(struct db *db, struct projector *p, long hours)
{
	struct query_args q = { .query = Q_AUDIT_PAGE,
		.limit = 50,
		.risk_min = -1,
		.risk_max = -1 };

	time_query(db, p, "page, newest 50", q);
	q.offset = 10000;
	time_query(db, p, "page, offset 10000", q);
	q.decision = "BLOCKED";
	time_query(db, p, "page, BLOCKED, offset 10000", q);
	q.offset = 0;
	time_query(db, p, "page, BLOCKED", q);
	q.action_prefix = "auth";
	q.risk_min = 80;
	time_query(db, p, "page, BLOCKED, prefix, risk >= 80", q);
	q = (struct query_args){ .query = Q_AUDIT_SUMMARY,
		.risk_min = -1,
		.risk_max = -1 };
	time_query(db, p, "summary, all", q);
	q.after_us = BASE_US + 1234567;
	q.before_us = BASE_US + (uint64_t)hours * 3600000000 - 1234567;
	time_query(db, p, "summary, a range with partial minutes", q);
	q.before_us = 0;
	q.after_us = BASE_US + (uint64_t)hours * 3600000000 - 100000000;
	time_query(db, p, "summary, the last 100 s", q);
	q.query = Q_AUDIT_ACTIONS;
	q.after_us = 0;
	time_query(db, p, "actions", q);
}

static long
arg(int argc, char **argv, int i, long dflt)
{
	int64_t v = dflt;

	if (i < argc && ax_strtonum(argv[i], 1, 1000000000, &v) == -1)
		die("usage: bench_project [LINES [LINES_A_BATCH [HOURS]]]");
	return ((long)v);
}

int
main(int argc, char **argv)
{
	long lines = arg(argc, argv, 1, 200000),
	     batch = arg(argc, argv, 2, PROJECT_BATCH_MAX),
	     hours = arg(argc, argv, 3, 48);
	char dir[64], cmd[100];
	struct projector *p = NULL;
	struct reader *r = NULL;
	struct stat sb;
	struct db *db;
	enum db_rc rc;
	uint64_t t;
	double cpu;
	int fd;

	(void)snprintf(dir, sizeof(dir), "%.40s/ax-bench-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		die("scratch folder");
	db = fresh_db("bench.db");
	fd = write_journal(lines, hours);
	if (fd == -1 || fstat(fd, &sb) == -1 || (r = reader_new(0)) == NULL ||
	    (p = projector_new(db, &rc)) == NULL ||
	    reader_segment(r, 1, 1, fd) == -1)
		die("set-up");
	reader_committed(r, 1, (uint64_t)sb.st_size);
	reader_seek(r, 0, 0, 1);
	cpu = cpu_seconds();
	t = ax_mono_us();
	project_all(p, r, batch);
	t = ax_mono_us() - t;
	cpu = cpu_seconds() - cpu;
	(void)printf("projected %ld lines of %ld bytes in batches of %ld: %.0f"
		     " lines/s, %.1f us of CPU a line\n",
	    lines, (long)sb.st_size / lines, batch,
	    (double)lines * 1e6 / (double)t, cpu * 1e6 / (double)lines);
	time_queries(db, p, hours);
	if (stat("bench.db", &sb) == 0)
		(void)printf("  database %.0f bytes a line\n",
		    (double)sb.st_size / (double)lines);
	projector_free(p);
	reader_free(r);
	db_close(db);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", dir);
	return (chdir("/") == 0 ? system(cmd) : 1);
}
