/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_QUERY_H
#define AX_HTTP_QUERY_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/jw.h"
#include "common/messages.h"
#include "workers/http/invalid.h"

/*
 * The query parameters of the API (contract 3.4): one table that the parser,
 * the echo in the answer, the link to the next page and the OpenAPI document
 * all read. A route names the ones it takes by a mask. Pure.
 */
enum qp {
	QP_FORMAT,
	QP_LIMIT,
	QP_EXPORT_LIMIT,
	QP_OFFSET,
	QP_EXPORT_OFFSET,
	QP_DECISION,
	QP_ACTION,
	QP_ACTION_PREFIX,
	QP_RISK_MIN,
	QP_RISK_MAX,
	QP_AFTER,
	QP_BEFORE,
	QP_CURSOR,
	QP_SEQ,
	QP_FROM,
	QP_TO,
	QP_SINCE,
	QP_MAX
};
#define QP_BIT(p) (1u << (p))

/* The filters of a page and of a summary. */
/* clang-format off */
#define QP_FILTERS                                                         \
	(QP_BIT(QP_DECISION) | QP_BIT(QP_ACTION) | QP_BIT(QP_ACTION_PREFIX) | \
	    QP_BIT(QP_RISK_MIN) | QP_BIT(QP_RISK_MAX) | QP_BIT(QP_AFTER) |    \
	    QP_BIT(QP_BEFORE))
#define QP_PAGE \
	(QP_FILTERS | QP_BIT(QP_LIMIT) | QP_BIT(QP_OFFSET) | QP_BIT(QP_CURSOR))
#define QP_EXPORT                                                          \
	(QP_FILTERS | QP_BIT(QP_FORMAT) | QP_BIT(QP_EXPORT_LIMIT) |           \
	    QP_BIT(QP_EXPORT_OFFSET) | QP_BIT(QP_CURSOR))
#define QP_FOLLOW                                                          \
	(QP_BIT(QP_DECISION) | QP_BIT(QP_ACTION) | QP_BIT(QP_ACTION_PREFIX) | \
	    QP_BIT(QP_SINCE))
/* clang-format on */

enum qp_type {
	QPT_INT,   /* min..max */
	QPT_COUNT, /* the same, or "all", which is QP_ALL */
	QPT_STR,   /* at most max bytes */
	QPT_UPPER, /* the same, then upper-cased */
	QPT_WORD,  /* one of words */
	QPT_TIME   /* ax_ts_parse() */
};
#define QP_ALL 0

struct qp_def {
	const char *name;
	enum qp_type type;
	int64_t min, max;
	int64_t dflt; /* QPT_INT, QPT_COUNT; -1: none */
	bool echo;    /* shown under "filters" */
	const char *help;
	const char *words; /* QPT_WORD: "a|b" */
	bool required;
};
extern const struct qp_def qp_defs[QP_MAX];

struct query_values {
	char *mem; /* a decoded copy that the strings point into */
	struct {
		bool set;
		int64_t num;	 /* numbers: the value or the default */
		const char *str; /* texts and words; NULL unless set */
		uint64_t us;	 /* QPT_TIME */
	} v[QP_MAX];
};

/*
 * One number of the path or of a field, by the row of p: 0 and *out set, or -1
 * and an item that says "<where>", "<name>" is wrong.
 */
int query_number(enum qp p, const char *where, const char *name, const char *,
    int64_t *out, struct invalid *);

/*
 * Parses a raw query string (NULL: none). Names outside `mask` are ignored, an
 * empty value counts as absent, a name given twice is an error, and so are a
 * cursor with an offset and the absence of what is required. 0, or -1 and
 * items in *invalid (or none of them: out of memory). query_free() in either
 * case.
 */
int query_parse(struct query_values *, const char *qs, uint32_t mask,
    struct invalid *);
void query_free(struct query_values *);

/* Which pair of bounds is the wrong way round. */
enum query_range { QR_OK, QR_RISK, QR_DATE };
enum query_range query_ranges(const struct query_values *);

/* The message to the store; strings belong to the values. */
void
query_to_args(const struct query_values *, enum query, struct query_args *);

/* Writes "name":value for parameter p: a number, a string, a time or null. */
void query_put(struct jw *, const struct query_values *, enum qp p);
/* Writes "filters":{...} with all parameters of the mask that are echoed. */
void query_filters(struct jw *, const struct query_values *, uint32_t mask);
/*
 * Writes the target of the next page: path, the parameters that were set
 * (without offset), and the cursor, percent-encoded.
 */
void query_next(struct buf *, const char *path, const struct query_values *,
    uint32_t mask, const char *cursor);

#endif
