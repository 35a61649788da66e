/* SPDX-License-Identifier: ISC */
/*
 * Questions with one answer: the query string is checked, the store is asked,
 * and the rows that come back are put into the route's envelope. It must never
 * wait, and never hand the store a value that was not bounded first.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "workers/http/api.h"
#include "workers/http/ask.h"

/* One request that waits for its rows. */
struct waiting {
	struct http_req *req;
	const struct query_how *how;
	struct inflight *asked;
	struct query_values q;
};

static void
waiting_free(struct waiting *w)
{
	query_free(&w->q);
	free(w);
}

static void
gone(struct http_req *req)
{
	struct waiting *w = req->app;

	ask_forget(w->asked);
	waiting_free(w);
}

/* The bounds of one pair are the wrong way round: 400, with both echoed. */
static void
reply_range(struct http_req *req, const struct query_values *q,
    enum query_range which)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	query_put(&w, q, which == QR_RISK ? QP_RISK_MIN : QP_AFTER);
	query_put(&w, q, which == QR_RISK ? QP_RISK_MAX : QP_BEFORE);
	jw_obj_end(&w);
	reply_error(req, which == QR_RISK ? ERR_RISK_RANGE : ERR_DATE_RANGE,
	    buf_str(&b));
	buf_free(&b);
}

bool
api_query_parse(struct http_req *req, uint32_t mask, struct query_values *q)
{
	enum query_range range;
	struct invalid inv;

	invalid_init(&inv);
	if (query_parse(q, req->query, mask, &inv) == -1) {
		reply_invalid(req, &inv);
		return (false);
	}
	invalid_free(&inv);
	if ((range = query_ranges(q)) != QR_OK) {
		reply_range(req, q, range);
		return (false);
	}
	return (true);
}

static void
link_next(struct http_req *req, const struct query_how *how,
    const struct query_values *q, const char *next)
{
	struct buf b = BUF_INITIALIZER;

	buf_addc(&b, '<');
	query_next(&b, how->path, q, how->mask, next);
	buf_adds(&b, ">; rel=\"next\"");
	if (buf_str(&b) != NULL)
		http_reply_header(req, "link", b.d);
	buf_free(&b);
}

/* {"<key>":rows,"filters":{...}} and, for pages, "next_cursor". */
static void
wrap(struct http_req *req, const struct query_how *how,
    const struct query_values *q, const char *rows, const char *next)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_key(&w, how->key);
	jw_raw(&w, rows, strlen(rows));
	query_filters(&w, q, how->mask);
	if ((how->mask & QP_BIT(QP_CURSOR)) != 0)
		jw_kstr(&w, "next_cursor", next);
	jw_obj_end(&w);
	if (next != NULL && how->path != NULL)
		link_next(req, how, q, next);
	reply_buf(req, 200, &b);
}

/* What is no rows at all. */
static void
refuse(struct http_req *req, const struct query_how *how,
    enum rows_status status)
{
	if (status == ROWS_BAD_CURSOR)
		reply_error(req, ERR_CURSOR, NULL);
	else if (status == ROWS_BAD_RANGE)
		reply_error(req, ERR_TREE_RANGE, NULL);
	else if (status == ROWS_NOT_FOUND && how->missing != NULL)
		how->missing(req);
	else if (how->away != NULL)
		how->away(req);
	else
		reply_error(req, ERR_DB_UNAVAILABLE, NULL);
}

static void
on_rows(void *arg, enum rows_status status, const char *rows, const char *next)
{
	struct waiting *w = arg;
	struct http_req *req = w->req;

	req->on_gone = NULL;
	req->app = NULL;
	if (status != ROWS_OK)
		refuse(req, w->how, status);
	else if (w->how->rows != NULL)
		w->how->rows(req, rows);
	else
		wrap(req, w->how, &w->q, rows, next);
	waiting_free(w);
}

static const struct ask_how one_answer = { on_rows };

static void
ask(struct waiting *w, const struct query_args *args)
{
	struct http_req *req = w->req;

	w->asked = ask_store(req->ctx, args, &one_answer, w);
	if (w->asked == NULL) {
		refuse(req, w->how, ROWS_UNAVAILABLE);
		waiting_free(w);
		return;
	}
	req->app = w;
	req->on_gone = gone;
}

void
api_query_number(struct http_req *req, const struct query_how *how,
    uint64_t from)
{
	struct query_args args;
	struct waiting *w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		reply_error(req, ERR_INTERNAL, NULL);
		return;
	}
	w->req = req;
	w->how = how;
	if (!api_query_parse(req, how->mask, &w->q)) {
		waiting_free(w);
		return;
	}
	query_to_args(&w->q, how->query, &args);
	if (from != 0)
		args.from = from;
	ask(w, &args);
}

void
api_query(struct http_req *req, const struct query_how *how)
{
	api_query_number(req, how, 0);
}
