/* SPDX-License-Identifier: ISC */
/*
 * Questions to the store: the query string is checked, the question goes out
 * with an id and a deadline, and the rows that come back are put into the
 * route's envelope. It must never wait, and never hand the store a value that
 * was not bounded first.
 */
#include <stdlib.h>
#include <string.h>

#include "common/ipc.h"
#include "common/jw.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/http/api.h"

#define QUERY_DEADLINE_US 10000000u

static void
away(struct http_req *req, const struct query_how *how)
{
	if (how->away != NULL)
		how->away(req);
	else
		reply_error(req, ERR_DB_UNAVAILABLE, NULL);
}

/* Ends an entry: the request is the caller's to answer, the values to free. */
static struct query_values *
release(struct inflight *f)
{
	struct query_values *q = f->data;

	f->req->on_gone = NULL;
	f->req->app = NULL;
	inflight_drop(&api.inflight, f);
	return (q);
}

static void
values_free(struct query_values *q)
{
	if (q != NULL)
		query_free(q);
	free(q);
}

static void
gone(struct http_req *req)
{
	values_free(release(req->app));
}

static void
give_up(struct inflight *f)
{
	const struct query_how *how = f->how;
	struct http_req *req = f->req;

	values_free(release(f));
	away(req, how);
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

/* True: *q is good. False: answered. */
static bool
parse(struct http_req *req, const struct query_how *how, struct query_values *q)
{
	enum query_range range;
	struct invalid inv;

	invalid_init(&inv);
	if (query_parse(q, req->query, how->mask, &inv) == -1) {
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

/* The question leaves, or there is no entry left behind. */
static int
ask(struct http_req *req, const struct query_how *how, struct query_values *q)
{
	struct http_ctx *ctx = req->ctx;
	struct buf b = BUF_INITIALIZER;
	struct query_args args;
	struct inflight *f;
	int r = -1;

	if (ctx->store == NULL || ipc_congested(ctx->store))
		return (-1);
	f = inflight_add(&api.inflight, IF_QUERY,
	    ax_mono_us() + QUERY_DEADLINE_US);
	if (f == NULL)
		return (-1);
	query_to_args(q, how->query, &args);
	query_args_put(&b, &args);
	if (!b.err)
		r = ipc_send_buf(ctx->store, MSG_QUERY, f->id, &b);
	buf_free(&b);
	if (r == -1) {
		inflight_drop(&api.inflight, f);
		return (-1);
	}
	f->req = req;
	f->how = how;
	f->data = q;
	req->app = f;
	req->on_gone = gone;
	return (0);
}

void
api_query(struct http_req *req, const struct query_how *how)
{
	struct query_values *q;

	if ((q = calloc(1, sizeof(*q))) == NULL) {
		reply_error(req, ERR_INTERNAL, NULL);
		return;
	}
	if (parse(req, how, q)) {
		if (ask(req, how, q) == 0)
			return;
		away(req, how);
	}
	values_free(q);
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

void
http_on_rows(struct ipc *ipc, struct ipc_msg *m, void *arg)
{
	struct http_ctx *ctx = arg;
	const struct query_how *how;
	const char *rows, *next;
	struct query_values *q;
	struct http_req *req;
	struct inflight *f;
	struct msg_r r;
	unsigned status;

	mr_init(&r, m->body, m->len);
	status = mr_u8(&r);
	rows = mr_str(&r);
	next = mr_str(&r);
	if (mr_end(&r) == -1 || status >= ROWS_STATUS_MAX ||
	    (status == ROWS_OK && rows == NULL)) {
		ipc_violation(ipc, "malformed ROWS");
		return;
	}
	if ((f = inflight_find(&api.inflight, m->id, IF_QUERY)) == NULL) {
		metric_inc(ctx->slot, MC_IPC_DROPPED);
		return;
	}
	how = f->how;
	req = f->req;
	q = release(f);
	if (status == ROWS_BAD_CURSOR)
		reply_error(req, ERR_CURSOR, NULL);
	else if (status == ROWS_UNAVAILABLE)
		away(req, how);
	else if (how->rows != NULL)
		how->rows(req, rows);
	else
		wrap(req, how, q, rows, next);
	values_free(q);
}

void
api_query_expire(uint64_t mono_us)
{
	struct inflight_table *t = &api.inflight;
	struct inflight *f;
	uint32_t at = 0;

	while ((f = inflight_next(t, &at, IF_QUERY, mono_us)) != NULL)
		give_up(f);
}

void
api_query_store_down(void)
{
	api_query_expire(UINT64_MAX);
}
