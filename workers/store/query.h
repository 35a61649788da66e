/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_QUERY_H
#define AX_STORE_QUERY_H

#include "common/buf.h"
#include "common/messages.h"
#include "workers/store/cursor.h"
#include "workers/store/project.h"

/*
 * The enumerated queries over the projection. All are bounded: a page touches
 * as many rows as it skips and shows, what follows a seq a window of rows, a
 * count reads rollups plus the rows of at most two partial minutes.
 */
#define QUERY_LIMIT_MAX	 1000
#define QUERY_OFFSET_MAX 10000	      /* entries passed over in one answer */
#define QUERY_JSON_MAX	 (4u << 20)   /* a page ends early beyond this */
#define QUERY_TEXT_MAX	 (256u << 10) /* so does a list of whole entries */
#define QUERY_WINDOW	 4096	      /* rows looked at behind a seq */

struct query_result {
	enum rows_status status;
	struct buf json;	      /* the caller frees it */
	char next_cursor[CURSOR_LEN]; /* "": no further page */
};

/*
 * Answers Q_AUDIT_* with what messages.h says. result is filled in any case;
 * ROWS_UNAVAILABLE when the database failed or is locked, or is behind what a
 * cursor has seen. Blocks on the database for at most its busy time. Not inside
 * a batch.
 */
void query_run(struct db *, const struct projector *, const struct query_args *,
    struct query_result *result);

/* ---- shared by query.c, page.c and entry.c ---- */

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

/* A query on its way: asked of one state of the database. */
struct question {
	struct db *db;
	const struct projector *proj;
	const struct query_args *args;
	struct class_set set;
	struct time_range range;
};

/* Q_AUDIT_PAGE and Q_AUDIT_EXPORT, Q_AUDIT_ONE, Q_AUDIT_AFTER. */
enum db_rc page_run(const struct question *, struct query_result *);
enum db_rc entry_run(const struct question *, struct query_result *);
enum db_rc after_run(const struct question *, struct query_result *);

enum entry_shape { ENTRY_BRIEF, ENTRY_WHOLE };
/*
 * Writes the entries of these ids while there are fewer than max bytes: BRIEF
 * ones as an array, WHOLE ones a line each. *shown of n were written, the first
 * one always. DB_ERROR when one of them is not there.
 */
enum db_rc entries_put(struct db *, enum entry_shape, const int64_t *id,
    size_t n, size_t max, struct buf *, size_t *shown);

#endif
