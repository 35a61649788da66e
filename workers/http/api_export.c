/* SPDX-License-Identifier: ISC */
/*
 * Exports (contract 3.4.5): whole entries, newest first, as one JSON object or
 * a line each. The store is asked for one bounded answer after the other, and
 * only when the client has taken the last, so that ten million rows cost what
 * one answer costs. An export that can't go on must not look complete.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/http/api.h"
#include "workers/http/ask.h"
#include "workers/http/jtext.h"
#include "workers/http/stream.h"

#define LINES_TYPE "application/x-ndjson"
#define ASK_MAX	   500 /* entries of one answer of the store */
#define CURSOR_MAX 256

struct export
{
	struct http_req *req;
	struct inflight *asked;
	struct query_values q;
	uint64_t left;	/* UINT64_MAX: all */
	uint64_t count; /* written */
	bool json, begun;
	bool more; /* cursor tells where to go on */
	char cursor[CURSOR_MAX + 1];
};

static void go_on(struct export *);

static void
export_free(struct export *e)
{
	ask_forget(e->asked);
	query_free(&e->q);
	free(e);
}

static void
gone(struct http_req *req)
{
	export_free(req->app);
}

/* The request is no longer ours. */
static struct http_req *
release(struct export *e)
{
	struct http_req *req = e->req;

	req->on_gone = NULL;
	req->app = NULL;
	export_free(e);
	return (req);
}

/* ---- the text ---- */

static void
put_entry(struct export *e, struct buf *b, const char *line, size_t n)
{
	if (e->count++ > 0)
		buf_addc(b, e->json ? ',' : '\n');
	if (e->json)
		jtext_compact(b, line, n);
	else
		buf_add(b, line, n);
}

static void
put_entries(struct export *e, struct buf *b, const char *text)
{
	const char *nl;

	for (; (nl = strchr(text, '\n')) != NULL && e->left > 0;
	     text = nl + 1) {
		put_entry(e, b, text, (size_t)(nl - text));
		if (e->left != UINT64_MAX)
			e->left--;
	}
}

/* ],"count":...,"filters":{...},"next_cursor":...} */
static void
put_end(struct export *e, struct buf *b)
{
	struct buf rest = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &rest, false);
	jw_obj(&w);
	jw_kuint(&w, "count", e->count);
	query_filters(&w, &e->q, QP_EXPORT);
	jw_kstr(&w, "next_cursor", e->more ? e->cursor : NULL);
	jw_obj_end(&w);
	if (rest.err)
		b->err = 1;
	else {
		buf_adds(b, "],");
		buf_add(b, rest.d + 1, rest.len - 1);
	}
	buf_free(&rest);
}

/* ---- the flow ---- */

static void
cut(struct export *e, const char *why)
{
	log_warnx("export: cut after %llu entries: %s",
	    (unsigned long long)e->count, why);
	http_stream_abort(release(e));
}

static void
on_room(struct http_req *req)
{
	struct export *e = req->app;

	if (e->asked == NULL)
		go_on(e);
}

/* False: answered, and e is gone. */
static bool
begin(struct export *e)
{
	enum stream_begun begun;

	begun = http_stream_begin(e->req, 200, e->json ? JSON_TYPE : LINES_TYPE,
	    on_room);
	if (begun == STREAM_OPEN)
		e->begun = true;
	else if (begun == STREAM_FULL)
		reply_error(release(e), ERR_STREAMS, NULL);
	else
		(void)release(e);
	return (begun == STREAM_OPEN);
}

static void
refuse(struct export *e, enum rows_status status)
{
	if (e->begun)
		cut(e, "the store does not answer");
	else if (status == ROWS_BAD_CURSOR)
		reply_error(release(e), ERR_CURSOR, NULL);
	else
		reply_error(release(e), ERR_DB_UNAVAILABLE, NULL);
}

static void
remember(struct export *e, const char *next)
{
	e->more = next != NULL && next[0] != '\0';
	if (e->more)
		(void)ax_strlcpy(e->cursor, next, sizeof(e->cursor));
}

static void
on_rows(void *arg, enum rows_status status, const char *text, const char *next)
{
	struct export *e = arg;
	struct buf b = BUF_INITIALIZER;
	bool first = !e->begun, last;

	e->asked = NULL;
	if (status != ROWS_OK) {
		refuse(e, status);
		return;
	}
	if (first && !begin(e))
		return;
	if (first && e->json)
		buf_adds(&b, "{\"items\":[");
	put_entries(e, &b, text);
	remember(e, next);
	last = !e->more || e->left == 0;
	if (last && e->json)
		put_end(e, &b);
	if (b.err) {
		buf_free(&b);
		cut(e, "out of memory");
		return;
	}
	http_stream_write(e->req, b.d, b.len);
	buf_free(&b);
	if (last)
		http_stream_end(release(e));
	else if (http_stream_room(e->req))
		go_on(e);
}

static const struct ask_how rows = { on_rows };

static void
go_on(struct export *e)
{
	struct query_args args;

	query_to_args(&e->q, Q_AUDIT_EXPORT, &args);
	args.limit = e->left < ASK_MAX ? (uint16_t)e->left : ASK_MAX;
	if (e->more)
		args.cursor = e->cursor;
	e->asked = ask_store(e->req->ctx, &args, &rows, e);
	if (e->asked == NULL)
		refuse(e, ROWS_UNAVAILABLE);
}

void
api_audit_export(struct http_req *req, const char *name)
{
	struct export *e;
	int64_t limit;

	if ((e = calloc(1, sizeof(*e))) == NULL) {
		reply_error(req, ERR_INTERNAL, NULL);
		return;
	}
	e->req = req;
	if (!api_query_parse(req, QP_EXPORT, &e->q)) {
		export_free(e);
		return;
	}
	limit = e->q.v[QP_EXPORT_LIMIT].num;
	e->left = limit == QP_ALL ? UINT64_MAX : (uint64_t)limit;
	e->json = e->q.v[QP_FORMAT].set &&
	    strcmp(e->q.v[QP_FORMAT].str, "json") == 0;
	req->app = e;
	req->on_gone = gone;
	go_on(e);
}
