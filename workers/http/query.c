/* SPDX-License-Identifier: ISC */
/*
 * Query strings: from raw bytes to bounded, typed values, and back to text for
 * the echo and for the link to the next page. It decides nothing about what a
 * value means to the database, and it must never let a value pass that was not
 * checked against its row of the table.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/http.h"
#include "workers/http/query.h"

/* clang-format off */
const struct qp_def qp_defs[QP_MAX] = {
	[QP_FORMAT] = { "format", QPT_WORD, 0, 0, 0, false,
	    "jsonl (the default): a line per entry; json: one object.",
	    "json|jsonl", false },
	[QP_LIMIT] = { "limit", QPT_INT, 1, 200, 50, true,
	    "Most entries of one page.", NULL, false },
	[QP_EXPORT_LIMIT] = { "limit", QPT_COUNT, 1, 1000, 100, true,
	    "Most entries, or all.", NULL, false },
	[QP_OFFSET] = { "offset", QPT_INT, 0, 10000, 0, true,
	    "Entries to skip. A cursor is cheaper and stable; not both.",
	    NULL, false },
	[QP_EXPORT_OFFSET] = { "offset", QPT_INT, 0, INT64_MAX, 0, true,
	    "Entries to skip; not with a cursor.", NULL, false },
	[QP_DECISION] = { "decision", QPT_UPPER, 0, 64, 0, true,
	    "Exactly this decision, in any case.", NULL, false },
	[QP_ACTION] = { "action", QPT_STR, 0, 256, 0, true,
	    "Exactly this action.", NULL, false },
	[QP_ACTION_PREFIX] = { "action_prefix", QPT_STR, 0, 256, 0, true,
	    "Actions that begin with this text.", NULL, false },
	[QP_RISK_MIN] = { "risk_score_min", QPT_INT, 0, 100, -1, true,
	    "Lowest risk score, inclusive.", NULL, false },
	[QP_RISK_MAX] = { "risk_score_max", QPT_INT, 0, 100, -1, true,
	    "Highest risk score, inclusive.", NULL, false },
	[QP_AFTER] = { "created_after", QPT_TIME, 0, 0, 0, true,
	    "Earliest time, inclusive, 1970 or later; UTC unless it has "
	    "an offset.", NULL, false },
	[QP_BEFORE] = { "created_before", QPT_TIME, 0, 0, 0, true,
	    "Latest time, inclusive, 1970 or later; UTC unless it has "
	    "an offset.", NULL, false },
	[QP_CURSOR] = { "cursor", QPT_STR, 0, 256, 0, false,
	    "next_cursor of the page before.", NULL, false },
	[QP_SEQ] = { "seq", QPT_INT, 1, INT64_MAX, -1, false,
	    "Number of the record.", NULL, true },
	[QP_FROM] = { "from", QPT_INT, 1, INT64_MAX, -1, false,
	    "Size of the older tree.", NULL, true },
	[QP_TO] = { "to", QPT_INT, 1, INT64_MAX, -1, false,
	    "Size of the newer tree; absent: that of the newest checkpoint.",
	    NULL, false },
	[QP_SINCE] = { "after", QPT_INT, 0, INT64_MAX, -1, false,
	    "Number of the last record seen; absent: only what comes. "
	    "Last-Event-ID wins.", NULL, false },
};
/* clang-format on */

static enum qp
lookup(const char *name, uint32_t mask)
{
	unsigned i;

	for (i = 0; i < QP_MAX; i++)
		if ((mask & QP_BIT(i)) != 0 &&
		    strcmp(name, qp_defs[i].name) == 0)
			return (i);
	return (QP_MAX);
}

int
query_number(enum qp p, const char *where, const char *name, const char *s,
    int64_t *out, struct invalid *inv)
{
	const struct qp_def *d = &qp_defs[p];
	struct invalid_more more = { .text = s };
	int64_t below;

	errno = 0;
	if (ax_strtonum(s, d->min, d->max, out) == 0)
		return (0);
	if (errno != ERANGE) {
		invalid_add(inv, INV_INT, where, name, &more);
		return (-1);
	}
	if (s[0] == '-' || ax_strtonum(s, INT64_MIN, d->min, &below) == 0) {
		more.bound = d->min;
		invalid_add(inv, INV_GE, where, name, &more);
	} else {
		more.bound = d->max;
		invalid_add(inv, INV_LE, where, name, &more);
	}
	return (-1);
}

/* One value of a known parameter; items on error. */
static void
set_int(struct query_values *q, enum qp p, char *s, struct invalid *inv)
{
	(void)query_number(p, "query", qp_defs[p].name, s, &q->v[p].num, inv);
}

static void
set_count(struct query_values *q, enum qp p, char *s, struct invalid *inv)
{
	if (strcmp(s, "all") == 0)
		q->v[p].num = QP_ALL;
	else
		set_int(q, p, s, inv);
}

static void
set_str(struct query_values *q, enum qp p, char *s, struct invalid *inv)
{
	const struct qp_def *d = &qp_defs[p];
	struct invalid_more more = { .text = s, .bound = d->max };
	char *c;

	if (strlen(s) > (size_t)d->max) {
		invalid_add(inv, INV_TOO_LONG, "query", d->name, &more);
		return;
	}
	if (d->type == QPT_UPPER)
		for (c = s; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
	q->v[p].str = s;
}

static void
set_word(struct query_values *q, enum qp p, char *s, struct invalid *inv)
{
	const struct qp_def *d = &qp_defs[p];
	struct invalid_more more = { .text = s };
	const char *w = d->words;
	char pattern[64];
	size_t n;

	for (; *w != '\0'; w += n + (w[n] == '|')) {
		n = strcspn(w, "|");
		if (strlen(s) == n && strncmp(s, w, n) == 0) {
			q->v[p].str = s;
			return;
		}
	}
	(void)snprintf(pattern, sizeof(pattern), "^(%s)$", d->words);
	more.error = pattern;
	invalid_add(inv, INV_PATTERN, "query", d->name, &more);
}

static void
set_time(struct query_values *q, enum qp p, char *s, struct invalid *inv)
{
	struct invalid_more more = { .text = s,
		.error = "not an ISO 8601 date-time, date or Unix time" };

	if (ax_ts_parse(s, &q->v[p].us) == -1)
		invalid_add(inv, INV_DATETIME, "query", qp_defs[p].name, &more);
}

static void (*const set_value[])(struct query_values *, enum qp, char *,
    struct invalid *) = {
	[QPT_INT] = set_int,
	[QPT_COUNT] = set_count,
	[QPT_STR] = set_str,
	[QPT_UPPER] = set_str,
	[QPT_WORD] = set_word,
	[QPT_TIME] = set_time,
};

/* `pair` is "name=value" or "name", NUL-terminated, and is decoded in place. */
static void
set_pair(struct query_values *q, char *pair, uint32_t mask, uint32_t *seen,
    struct invalid *inv)
{
	char *value;
	enum qp p;

	if ((value = strchr(pair, '=')) != NULL)
		*value++ = '\0';
	else
		value = pair + strlen(pair);
	if (http_unescape(pair, pair, strlen(pair), true) == -1) {
		invalid_add(inv, INV_ENCODING, "query", NULL, NULL);
		return;
	}
	if ((p = lookup(pair, mask)) == QP_MAX)
		return;
	if ((*seen & QP_BIT(p)) != 0) {
		invalid_add(inv, INV_TWICE, "query", qp_defs[p].name, NULL);
		return;
	}
	*seen |= QP_BIT(p);
	if (http_unescape(value, value, strlen(value), true) == -1) {
		invalid_add(inv, INV_ENCODING, "query", qp_defs[p].name, NULL);
		return;
	}
	if (value[0] == '\0')
		return;
	q->v[p].set = true;
	set_value[qp_defs[p].type](q, p, value, inv);
}

/* What no value shows by itself. */
static void
check_whole(const struct query_values *q, uint32_t mask, struct invalid *inv)
{
	const struct invalid_more more = {
		.error = "a cursor holds its own offset"
	};
	unsigned i;

	for (i = 0; i < QP_MAX; i++)
		if ((mask & QP_BIT(i)) != 0 && qp_defs[i].required &&
		    !q->v[i].set)
			invalid_add(inv, INV_MISSING, "query", qp_defs[i].name,
			    NULL);
	if (q->v[QP_CURSOR].set &&
	    (q->v[QP_OFFSET].set || q->v[QP_EXPORT_OFFSET].set))
		invalid_add(inv, INV_CONFLICT, "query", qp_defs[QP_OFFSET].name,
		    &more);
}

int
query_parse(struct query_values *q, const char *qs, uint32_t mask,
    struct invalid *inv)
{
	char *pair, *next;
	uint32_t seen = 0;
	unsigned i;

	memset(q, 0, sizeof(*q));
	for (i = 0; i < QP_MAX; i++)
		q->v[i].num = qp_defs[i].dflt;
	if (qs == NULL)
		qs = "";
	if ((q->mem = strdup(qs)) == NULL)
		return (-1);
	for (pair = q->mem; pair != NULL; pair = next) {
		if ((next = strchr(pair, '&')) != NULL)
			*next++ = '\0';
		if (pair[0] != '\0')
			set_pair(q, pair, mask, &seen, inv);
	}
	check_whole(q, mask, inv);
	return (inv->n == 0 ? 0 : -1);
}

void
query_free(struct query_values *q)
{
	free(q->mem);
	q->mem = NULL;
}

enum query_range
query_ranges(const struct query_values *q)
{
	if (q->v[QP_RISK_MIN].set && q->v[QP_RISK_MAX].set &&
	    q->v[QP_RISK_MIN].num > q->v[QP_RISK_MAX].num)
		return (QR_RISK);
	if (q->v[QP_AFTER].set && q->v[QP_BEFORE].set &&
	    q->v[QP_AFTER].us > q->v[QP_BEFORE].us)
		return (QR_DATE);
	return (QR_OK);
}

/* 0 means "none" on the wire, so that the epoch itself becomes 1 us. */
static uint64_t
wire_time(const struct query_values *q, enum qp p)
{
	if (!q->v[p].set)
		return (0);
	return (q->v[p].us == 0 ? 1 : q->v[p].us);
}

static uint64_t
wire_number(const struct query_values *q, enum qp p)
{
	return (q->v[p].set ? (uint64_t)q->v[p].num : 0);
}

void
query_to_args(const struct query_values *q, enum query what,
    struct query_args *a)
{
	int64_t skip = q->v[QP_EXPORT_OFFSET].num;

	memset(a, 0, sizeof(*a));
	a->query = what;
	a->limit = (uint16_t)q->v[QP_LIMIT].num;
	a->offset = (uint32_t)q->v[QP_OFFSET].num;
	a->cursor = q->v[QP_CURSOR].str;
	a->decision = q->v[QP_DECISION].str;
	a->action = q->v[QP_ACTION].str;
	a->action_prefix = q->v[QP_ACTION_PREFIX].str;
	a->risk_min = (int32_t)q->v[QP_RISK_MIN].num;
	a->risk_max = (int32_t)q->v[QP_RISK_MAX].num;
	a->after_us = wire_time(q, QP_AFTER);
	a->before_us = wire_time(q, QP_BEFORE);
	a->from = wire_number(q, q->v[QP_SEQ].set ? QP_SEQ : QP_FROM);
	a->to = wire_number(q, QP_TO);
	if (what == Q_AUDIT_EXPORT)
		a->offset = skip < UINT32_MAX ? (uint32_t)skip : UINT32_MAX;
}

void
query_put(struct jw *w, const struct query_values *q, enum qp p)
{
	const struct qp_def *d = &qp_defs[p];
	char ts[AX_TS_LEN];

	jw_key(w, d->name);
	if (d->type == QPT_COUNT && q->v[p].num == QP_ALL)
		jw_str(w, "all");
	else if ((d->type == QPT_INT || d->type == QPT_COUNT) &&
	    (q->v[p].set || d->dflt != -1))
		jw_int(w, q->v[p].num);
	else if (!q->v[p].set)
		jw_null(w);
	else if (d->type == QPT_TIME) {
		ax_ts_format(q->v[p].us, ts);
		jw_str(w, ts);
	} else
		jw_str(w, q->v[p].str);
}

void
query_filters(struct jw *w, const struct query_values *q, uint32_t mask)
{
	unsigned i;

	jw_key(w, "filters");
	jw_obj(w);
	for (i = 0; i < QP_MAX; i++)
		if ((mask & QP_BIT(i)) != 0 && qp_defs[i].echo)
			query_put(w, q, i);
	jw_obj_end(w);
}

static void
put_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~", *s) != NULL)
			buf_addc(b, *s);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
	}
}

void
query_next(struct buf *b, const char *path, const struct query_values *q,
    uint32_t mask, const char *cursor)
{
	char ts[AX_TS_LEN];
	unsigned i;

	buf_adds(b, path);
	buf_addc(b, '?');
	for (i = 0; i < QP_MAX; i++) {
		if ((mask & QP_BIT(i)) == 0 || !q->v[i].set || i == QP_OFFSET ||
		    i == QP_CURSOR)
			continue;
		buf_printf(b, "%s=", qp_defs[i].name);
		if (qp_defs[i].type == QPT_INT)
			buf_printf(b, "%lld", (long long)q->v[i].num);
		else if (qp_defs[i].type == QPT_TIME) {
			ax_ts_format(q->v[i].us, ts);
			put_escaped(b, ts);
		} else
			put_escaped(b, q->v[i].str);
		buf_addc(b, '&');
	}
	buf_adds(b, "cursor=");
	put_escaped(b, cursor);
}
