/* SPDX-License-Identifier: ISC */
/*
 * Fuzzes what a front may ask the store: the bytes are a QUERY's body, as they
 * are or behind a good one's head, and are asked of a small database. Answers
 * are well-formed and bounded, whatever was asked; a cursor is good only if it
 * was given out.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "test/load/rows.h"
#include "workers/store/proof.h"
#include "workers/store/query.h"

#define ROWS 100

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char dir[64];
static struct db *db;
static struct projector *p;
static char given[CURSOR_LEN]; /* by an export */

static void
die(const char *what)
{
	(void)fprintf(stderr, "fuzz_query: %s\n", what);
	abort();
}

static void
clean(void)
{
	char cmd[100];

	projector_free(p);
	db_close(db);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", dir);
	if (system(cmd) != 0)
		(void)fprintf(stderr, "fuzz_query: %s stays\n", dir);
}

static void
fill(void)
{
	struct query_args q = { .query = Q_AUDIT_EXPORT,
		.limit = 7,
		.risk_min = -1,
		.risk_max = -1 };
	struct buf b = BUF_INITIALIZER;
	struct query_result res;
	const char *why;
	int full;
	long i;

	if (projector_begin(p) != DB_OK)
		die("begin");
	for (i = 1; i <= ROWS; i++) {
		buf_reset(&b);
		row_line(&b, i, ROWS, 100);
		if (projector_line(p, b.d, b.len, 1, (uint64_t)i, &why,
			&full) != DB_OK)
			die("line");
	}
	if (projector_commit(p) != DB_OK)
		die("commit");
	buf_free(&b);
	query_run(db, p, &q, &res);
	memcpy(given, res.next_cursor, sizeof(given));
	buf_free(&res.json);
}

static void
start(void)
{
	char name[80];
	enum db_rc rc;

	log_set_level(LOG_L_ERROR);
	(void)snprintf(dir, sizeof(dir), "/tmp/ax-fuzz-query-XXXXXX");
	if (mkdtemp(dir) == NULL)
		die("scratch folder");
	/* Not our current folder: the seeds may be relative to that. */
	(void)snprintf(name, sizeof(name), "%s/q.db", dir);
	db = fresh_db(name);
	if ((p = projector_new(db, &rc)) == NULL)
		die("projector");
	fill();
	(void)atexit(clean);
}

static void
check_json(const char *s, size_t n)
{
	json_t *j = json_loadb(s, n, JSON_REJECT_DUPLICATES, NULL);

	if (j == NULL)
		die("not JSON");
	json_decref(j);
}

static void
check_text(const struct buf *b)
{
	const char *line = b->d, *end, *nl;

	if (b->len == 0)
		return;
	for (end = line + b->len; line < end; line = nl + 1) {
		if ((nl = memchr(line, '\n', (size_t)(end - line))) == NULL)
			die("a line without an end");
		check_json(line, (size_t)(nl - line));
	}
}

static void
check_cursor(const struct query_args *q)
{
	struct cursor c;

	if (q->cursor != NULL && *q->cursor != '\0' &&
	    cursor_parse(q->cursor, projector_key(p), q->query, &c) == 0 &&
	    (strcmp(q->cursor, given) != 0 || q->query != Q_AUDIT_EXPORT))
		die("a cursor that was not given");
}

static void
ask(const struct query_args *q)
{
	struct query_result res;

	check_cursor(q);
	if (q->query >= Q_CHECKPOINT)
		proof_run(-1, NULL, q, &res);
	else
		query_run(db, p, q, &res);
	if (res.status >= ROWS_STATUS_MAX ||
	    memchr(res.next_cursor, '\0', sizeof(res.next_cursor)) == NULL)
		die("status or cursor");
	if (res.status != ROWS_OK && (res.json.len > 0 || *res.next_cursor))
		die("a refusal with an answer");
	if (res.status == ROWS_OK &&
	    (q->query == Q_AUDIT_EXPORT || q->query == Q_AUDIT_AFTER))
		check_text(&res.json);
	else if (res.status == ROWS_OK)
		check_json(res.json.d, res.json.len);
	buf_free(&res.json);
}

/* The head: which query; how the rest is to be read. */
static void
ask_about(const uint8_t *data, size_t size)
{
	struct query_args q = { .query = data[0] % Q_MAX,
		.limit = data[1],
		.offset = data[2],
		.risk_min = (int)(data[3] % 103) - 1,
		.risk_max = (int)(data[4] % 103) - 1,
		.after_us = data[5] * UINT64_C(1000000000000000) / 128,
		.before_us = data[6] * UINT64_C(4000000000000000) / 128,
		.from = data[7] };
	char text[128];
	size_t n = size - 8 < sizeof(text) - 1 ? size - 8 : sizeof(text) - 1;

	memcpy(text, data + 8, n);
	text[n] = '\0';
	q.cursor = data[0] & 0x40 ? text : data[0] & 0x20 ? given : NULL;
	q.action = data[1] & 0x80 ? text : NULL;
	q.action_prefix = data[2] & 0x80 ? text : NULL;
	q.decision = data[3] & 0x80 ? text : NULL;
	ask(&q);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct query_args q;
	uint8_t *copy;

	if (db == NULL)
		start();
	if (size < 8 || (copy = malloc(size)) == NULL)
		return (0);
	memcpy(copy, data, size); /* exactly as long: overruns show */
	if (query_args_get(copy, size, &q) == 0 &&
	    q.query != Q_MIGRATION_STATE && q.query != Q_PING)
		ask(&q);
	free(copy);
	if (data[0] % Q_MAX != Q_MIGRATION_STATE && data[0] % Q_MAX != Q_PING)
		ask_about(data, size);
	return (0);
}
