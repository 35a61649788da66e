/* SPDX-License-Identifier: ISC */
/*
 * Following the records: server-sent events (WHATWG HTML 9.2), one per entry,
 * oldest first, each once, from where the client left off. A record shows here
 * when the database has it, which is after it is on the disk.
 *
 * One timer looks at the store's gauge for all followers; the store is asked
 * only for those that are behind it, have no question on its way and room for
 * the answer. A slow client waits; it must never lose a record or get one
 * twice.
 */
#include <sys/queue.h>

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/api.h"
#include "workers/http/ask.h"
#include "workers/http/jtext.h"
#include "workers/http/stream.h"

#define EVENTS_TYPE "text/event-stream"
#define LOOK_US	    50000    /* between two looks at the gauge */
#define ALIVE_US    15000000 /* silence after which a comment is sent */
#define RETRY_US    1000000  /* after an answer that was none */
#define ASK_MAX	    100	     /* entries of one answer */

struct follower {
	TAILQ_ENTRY(follower) entry;
	struct http_req *req;
	struct inflight *asked;
	struct query_values q;
	uint64_t at;	   /* all up to this seq has been looked at */
	uint64_t spoke_us; /* when something was sent last */
	uint64_t retry_us; /* not to be asked for before; 0: at once */
	bool away;	   /* the client knows that the store is away */
	bool whole;	   /* with the context */
};

static TAILQ_HEAD(, follower) followers = TAILQ_HEAD_INITIALIZER(followers);
static struct event *timer; /* runs while there are followers */

static void go_on(struct follower *);

static void
follower_free(struct follower *f)
{
	TAILQ_REMOVE(&followers, f, entry);
	if (TAILQ_EMPTY(&followers)) {
		event_free(timer);
		timer = NULL;
	}
	ask_forget(f->asked);
	query_free(&f->q);
	free(f);
}

static void
gone(struct http_req *req)
{
	follower_free(req->app);
}

static struct http_req *
release(struct follower *f)
{
	struct http_req *req = f->req;

	req->on_gone = NULL;
	req->app = NULL;
	follower_free(f);
	return (req);
}

/* ---- what is sent ---- */

static void
say(struct follower *f, const char *text)
{
	http_stream_write(f->req, text, strlen(text));
	f->spoke_us = ax_mono_us();
}

static void
end(struct follower *f, const char *reason)
{
	char text[80];

	snprintf(text, sizeof(text),
	    "event: end\ndata: {\"reason\":\"%s\"}\n\n", reason);
	say(f, text);
	http_stream_end(release(f));
}

/* Text that the store gave: the number stands near its start. */
static unsigned long long
seq_of(const char *line)
{
	const char *s = strstr(line, "\"seq\": ");

	return (s != NULL ? strtoull(s + 7, NULL, 10) : 0);
}

static void
put_event(struct follower *f, struct buf *b, const char *line, size_t n)
{
	buf_printf(b, "id: %llu\nevent: audit\ndata: ", seq_of(line));
	if (f->whole)
		buf_add(b, line, n);
	else
		jtext_hide(b, line, n, "context");
	buf_add(b, "\n\n", 2);
}

/* ---- asking ---- */

static uint64_t
newest(const struct http_ctx *ctx)
{
	return (health_gauge(ctx, PROC_STORE, MG_STORE_SEQ));
}

static bool
store_is_away(const struct http_ctx *ctx)
{
	return (ctx->store == NULL ||
	    health_gauge(ctx, PROC_STORE, MG_STORE_OK) != 1);
}

/* Says once that nothing will come for a while. */
static void
note_away(struct follower *f, bool away)
{
	if (away == f->away || (away && !http_stream_room(f->req)))
		return;
	f->away = away;
	if (away)
		say(f,
		    "event: unavailable\n"
		    "data: {\"code\":\"DATABASE_UNAVAILABLE\"}\n\n");
}

/* The store tells how far it has looked, whether it found something or not. */
static void
advance(struct follower *f, const char *next)
{
	int64_t seq;

	if (next != NULL && ax_strtonum(next, 0, INT64_MAX, &seq) == 0 &&
	    (uint64_t)seq > f->at)
		f->at = (uint64_t)seq;
	else
		f->retry_us = ax_mono_us() + RETRY_US;
}

static void
on_rows(void *arg, enum rows_status status, const char *text, const char *next)
{
	struct follower *f = arg;
	struct buf b = BUF_INITIALIZER;
	const char *nl;

	f->asked = NULL;
	f->retry_us = 0;
	if (status == ROWS_OK) {
		for (; (nl = strchr(text, '\n')) != NULL; text = nl + 1)
			put_event(f, &b, text, (size_t)(nl - text));
	}
	if (status != ROWS_OK || b.err) {
		buf_free(&b);
		f->retry_us = ax_mono_us() + RETRY_US;
		note_away(f, true);
		return;
	}
	advance(f, next);
	note_away(f, false);
	if (b.len > 0)
		say(f, buf_str(&b));
	buf_free(&b);
	go_on(f);
}

static const struct ask_how rows = { on_rows };

static void
ask(struct follower *f)
{
	struct query_args args;

	query_to_args(&f->q, Q_AUDIT_AFTER, &args);
	args.limit = ASK_MAX;
	args.from = f->at;
	f->asked = ask_store(f->req->ctx, &args, &rows, f);
}

static void
go_on(struct follower *f)
{
	const struct http_ctx *ctx = f->req->ctx;

	if (f->asked != NULL || newest(ctx) <= f->at || store_is_away(ctx) ||
	    ctx->draining || ax_mono_us() < f->retry_us)
		return;
	if (http_stream_room(f->req))
		ask(f);
}

static void
on_room(struct http_req *req)
{
	go_on(req->app);
}

static void
look(struct follower *f)
{
	struct http_ctx *ctx = f->req->ctx;

	if (ctx->draining) {
		end(f, "drain");
		return;
	}
	if (store_is_away(ctx))
		note_away(f, true);
	else if (f->retry_us == 0)
		note_away(f, false);
	go_on(f);
	if (ax_mono_us() - f->spoke_us >= ALIVE_US && http_stream_room(f->req))
		say(f, ":\n\n");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct follower *f, *next;

	for (f = TAILQ_FIRST(&followers); f != NULL; f = next) {
		next = TAILQ_NEXT(f, entry);
		look(f);
	}
}

void
api_follow_reload(void)
{
	struct follower *f, *next;

	for (f = TAILQ_FIRST(&followers); f != NULL; f = next) {
		next = TAILQ_NEXT(f, entry);
		end(f, "reload");
	}
}

/* ---- the beginning ---- */

static int
enter(struct follower *f)
{
	const struct timeval look_us = { 0, LOOK_US };

	if (timer == NULL) {
		timer = event_new(f->req->ctx->base, -1, EV_PERSIST, on_timer,
		    NULL);
		if (timer == NULL)
			return (-1);
		event_add(timer, &look_us);
	}
	TAILQ_INSERT_TAIL(&followers, f, entry);
	return (0);
}

/*
 * From where: the last event that the client has seen (a browser repeats the
 * URL when it comes again, so the field wins), `after`, or only what comes.
 * 0, or -1: answered.
 */
static int
start_at(struct follower *f)
{
	struct http_req *req = f->req;
	const char *last = http_req_header(req, "last-event-id");
	struct invalid inv;
	int64_t seq = f->q.v[QP_SINCE].num;

	if (last != NULL && last[0] != '\0') {
		invalid_init(&inv);
		if (query_number(QP_SINCE, "header", "last-event-id", last,
			&seq, &inv) == -1) {
			reply_invalid(req, &inv);
			return (-1);
		}
		invalid_free(&inv);
	}
	if (seq == -1 && store_is_away(req->ctx)) {
		reply_error(req, ERR_DB_UNAVAILABLE, NULL);
		return (-1);
	}
	f->at = seq == -1 ? newest(req->ctx) : (uint64_t)seq;
	return (0);
}

/* A client that named no place is told where it stands. */
static void
greet(struct follower *f, bool placed)
{
	char text[64];

	if (placed)
		snprintf(text, sizeof(text), "retry: 1000\n\n");
	else
		snprintf(text, sizeof(text), "retry: 1000\nid: %llu\n\n",
		    (unsigned long long)f->at);
	say(f, text);
}

static void
begin(struct follower *f)
{
	struct http_req *req = f->req;
	bool placed = f->q.v[QP_SINCE].set ||
	    http_req_header(req, "last-event-id") != NULL;

	f->whole = api_sees_context(req);
	/* nginx would keep events back until its buffer is full */
	http_reply_header(req, "x-accel-buffering", "no");
	req->gone_on_eof = true;
	req->app = f;
	req->on_gone = gone;
	switch (http_stream_begin(req, 200, EVENTS_TYPE, on_room)) {
	case STREAM_OPEN:
		greet(f, placed);
		go_on(f);
		break;
	case STREAM_FULL:
		reply_error(release(f), ERR_STREAMS, NULL);
		break;
	case STREAM_DONE:
		(void)release(f);
		break;
	}
}

void
api_audit_follow(struct http_req *req, const char *name)
{
	struct follower *f;

	if ((f = calloc(1, sizeof(*f))) == NULL) {
		reply_error(req, ERR_INTERNAL, NULL);
		return;
	}
	f->req = req;
	if (!api_query_parse(req, QP_FOLLOW, &f->q) || start_at(f) == -1) {
		query_free(&f->q);
		free(f);
		return;
	}
	if (enter(f) == -1) {
		reply_error(req, ERR_INTERNAL, NULL);
		query_free(&f->q);
		free(f);
		return;
	}
	begin(f);
}
