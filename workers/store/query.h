/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_QUERY_H
#define AX_STORE_QUERY_H

#include "common/buf.h"
#include "common/messages.h"
#include "workers/store/project.h"

/*
 * The enumerated queries over the projection. All are bounded: a page touches
 * as many rows as it skips and shows, a count reads rollups plus the rows of
 * at most two partial minutes.
 */
#define QUERY_LIMIT_MAX	 1000
#define QUERY_OFFSET_MAX 10000
#define QUERY_JSON_MAX	 (4u << 20) /* a page ends early beyond this */
#define QUERY_CURSOR_LEN 33	    /* text and NUL */

struct query_result {
	enum rows_status status;
	struct buf json;		    /* the caller frees it */
	char next_cursor[QUERY_CURSOR_LEN]; /* "": no further page */
};

/*
 * Answers Q_AUDIT_PAGE, Q_AUDIT_SUMMARY, Q_AUDIT_ACTIONS or
 * Q_AUDIT_DECISIONS with the JSON described in messages.h. result is filled in
 * any case; ROWS_UNAVAILABLE when the database failed or is locked. Blocks on
 * the database for at most its busy time. Not inside a batch.
 */
void query_run(struct db *, const struct projector *, const struct query_args *,
    struct query_result *result);

/* ---- shared between query.c and page.c ---- */

/* The classes that pass the filters; class i + 1 at [i]. */
struct class_set {
	bool *in;
	size_t n;     /* classes in all */
	size_t count; /* of which are in */
};
/* Half-open range of created_at; INT64_MIN/INT64_MAX when unbounded. */
struct time_range {
	int64_t from, below;
};

enum db_rc
page_run(struct db *, const struct projector *, const struct query_args *,
    const struct class_set *, struct time_range, struct query_result *);
/* -1: not a cursor that page_run() made with this key. */
int page_cursor_parse(const char *text, const uint8_t *key, int64_t *created,
    int64_t *id);
void page_cursor_format(const uint8_t *key, int64_t created, int64_t id,
    char out[QUERY_CURSOR_LEN]);

#endif
