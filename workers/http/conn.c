/* SPDX-License-Identifier: ISC */
/*
 * One client connection: bytes in, requests to the API one after the other,
 * answers out in the same order. A turn reads once, takes as many requests from
 * the buffer as are whole, and writes all their answers with one system call.
 * While an answer is pending nothing is parsed and nothing is read.
 *
 * It must never wait, never hold more memory than the limits allow, and never
 * touch a connection after conn_close().
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/http/conn.h"

#define ROOM	   1024 /* least free bytes to read into */
#define PARTIAL	   2048 /* first room for the rest of a request */
#define DISCARDS   64	/* reads of one turn while lingering */
#define WRITE_STEP 16384

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void conn_turn(struct conn *);
static void conn_settle(struct conn *);

/* ---- events ---- */

static void
want_read(struct conn *c, bool on)
{
	if (c->reading == on)
		return;
	if (on)
		event_add(&c->ev_read, NULL);
	else
		event_del(&c->ev_read);
	c->reading = on;
}

static void
want_write(struct conn *c, bool on)
{
	if (c->writing == on)
		return;
	if (on)
		event_add(&c->ev_write, NULL);
	else
		event_del(&c->ev_write);
	c->writing = on;
}

/* ---- memory ---- */

/* Tells the server how much this connection holds now. */
static void
account(struct conn *c)
{
	size_t now = (c->own ? c->cap : 0) + c->out.cap;

	c->srv->memory += now - c->memory;
	c->memory = now;
}

static void
drop_input(struct conn *c)
{
	if (c->own)
		free(c->in);
	c->in = NULL;
	c->own = false;
	c->off = c->len = c->cap = 0;
}

/* The strings of the request have moved with the buffer. */
static void
moved(struct conn *c)
{
	if (c->headed)
		request_point(c);
}

/* Room for at least ROOM bytes; -1 when there is no memory to be had. */
static int
grow_input(struct conn *c)
{
	size_t cap;
	char *in;

	if (c->in == NULL) {
		c->in = c->srv->in;
		c->cap = CONN_SCRATCH;
		return (0);
	}
	if (c->off > 0) {
		memmove(c->in, c->in + c->off, c->len - c->off);
		c->len -= c->off;
		c->off = 0;
		moved(c);
	}
	if (c->cap - c->len >= ROOM)
		return (0);
	cap = c->cap * 2;
	if (c->srv->memory + (cap - c->cap) > CONN_MEMORY_MAX ||
	    (in = realloc(c->in, cap + 1)) == NULL)
		return (-1);
	c->in = in;
	c->cap = cap;
	moved(c);
	account(c);
	return (0);
}

/* A turn ends with input left over: it moves out of the scratch buffer. */
static int
keep_partial(struct conn *c)
{
	size_t left = c->len - c->off, cap = left + PARTIAL;
	char *in;

	if (c->srv->memory + cap > CONN_MEMORY_MAX ||
	    (in = malloc(cap + 1)) == NULL)
		return (-1);
	memcpy(in, c->in + c->off, left);
	explicit_bzero(c->in + c->off, left);
	c->in = in;
	c->own = true;
	c->off = 0;
	c->len = left;
	c->cap = cap;
	moved(c);
	return (0);
}

/* The API holds pointers into the scratch buffer: it becomes ours. */
static int
keep_pending(struct conn *c)
{
	char *scratch = malloc(CONN_SCRATCH + 1);

	if (scratch == NULL)
		return (-1);
	c->srv->in = scratch;
	c->own = true;
	return (0);
}

static void
keep_input(struct conn *c)
{
	int ret = 0;

	if (c->in == NULL)
		return;
	if (c->len == c->off && !c->headed)
		drop_input(c);
	else if (!c->own)
		ret = c->pending ? keep_pending(c) : keep_partial(c);
	if (ret == -1)
		c->dead = true;
	account(c);
}

/* ---- output ---- */

size_t
conn_waiting(const struct conn *c)
{
	size_t scratch = c->busy ? c->srv->out.len : 0;

	return (c->out.len - c->out_off + scratch);
}

struct buf *
conn_out(struct conn *c)
{
	return (c->busy && c->out.len == 0 ? &c->srv->out : &c->out);
}

static bool
blocked(const struct conn *c)
{
	return (c->out.len > 0);
}

/* Sends from p; returns how many bytes the socket took, marks errors. */
static size_t
send_some(struct conn *c, const char *p, size_t n)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = send(c->fd, p + done, n - done, MSG_NOSIGNAL);
		if (r > 0) {
			done += (size_t)r;
			continue;
		}
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1 && errno != EAGAIN)
			c->dead = true;
		break;
	}
	return (done);
}

/* What the scratch buffer holds at the end of a turn. */
static void
flush_scratch(struct conn *c)
{
	struct buf *b = &c->srv->out;
	size_t done;

	if (b->len > 0 && !c->dead) {
		done = send_some(c, b->d, b->len);
		if (done < b->len && !c->dead) {
			buf_add(&c->out, b->d + done, b->len - done);
			account(c);
			if (c->out.err || c->srv->memory > CONN_MEMORY_MAX)
				c->dead = true;
		}
	}
	buf_reset(b);
	if (b->cap > 2 * CONN_OUT_HIGH)
		buf_free(b);
}

/*
 * A client must take WRITE_STEP bytes within each write time-out: one that
 * takes a byte now and then does not hold its buffers for ever.
 */
static void
flush_own(struct conn *c)
{
	size_t left = c->out.len - c->out_off, done;

	if (!blocked(c) || c->dead)
		return;
	done = send_some(c, c->out.d + c->out_off, left);
	c->out_off += done;
	c->taken += done;
	if (c->taken >= WRITE_STEP) {
		c->taken = 0;
		c->phase = PH_NONE; /* a new deadline */
	}
	if (c->out_off == c->out.len) {
		buf_free(&c->out);
		c->out_off = 0;
		account(c);
	}
}

/* ---- the end of a request, and of the connection ---- */

static void
tell_gone(struct conn *c)
{
	void (*fn)(struct http_req *) = c->req.on_gone;

	c->req.on_gone = NULL;
	c->pending = false;
	if (fn != NULL)
		fn(&c->req);
}

void
conn_close(struct conn *c)
{
	struct http_server *s = c->srv;

	c->dead = true;
	stream_forget(c);
	tell_gone(c);
	want_read(c, false);
	want_write(c, false);
	request_clear(c);
	drop_input(c);
	buf_free(&c->out);
	buf_free(&c->extra);
	account(c);
	close(c->fd);
	server_forget(s, c);
	free(c);
}

/* Answered to its end: ready for the next. */
static void
finish(struct conn *c)
{
	if (c->body_end != NULL)
		*c->body_end = c->body_saved;
	c->body_end = NULL;
	request_clear(c);
	c->off += c->parser.pos;
	if (c->off == c->len)
		c->off = c->len = 0;
	http_parser_reset(&c->parser);
	c->parser.max_head = c->srv->limits.max_head;
	c->parser.max_body = c->srv->limits.max_body;
	c->headed = c->whole = c->answered = c->discard = false;
	c->cache_set = false;
	c->phase = PH_NONE;
}

/*
 * RFC 9112 9.6: closing with unread bytes makes the kernel reset the
 * connection, and the answer could be lost. So: stop sending, read on a while.
 */
static void
linger(struct conn *c)
{
	drop_input(c);
	c->unread = true;
	if (c->eof || shutdown(c->fd, SHUT_WR) == -1) {
		conn_close(c);
		return;
	}
	c->phase = PH_LINGER;
	c->deadline = ax_mono_us() + CONN_LINGER_US;
	want_read(c, true);
}

static void
linger_read(struct conn *c)
{
	ssize_t n = 0;
	unsigned i;

	for (i = 0; i < DISCARDS; i++) {
		n = recv(c->fd, c->srv->in, CONN_SCRATCH, 0);
		if (n <= 0)
			break;
	}
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		conn_close(c);
}

/* ---- what the parser reports ---- */

static void
on_more(struct conn *c)
{
	c->starved = true;
	c->len = c->off + http_parser_compact(&c->parser);
	if (c->req.start_us == 0 && c->len > c->off)
		c->req.start_us = ax_mono_us();
}

/* Answers an error of ours; the rest of what the client sends is dropped. */
static void
refuse(struct conn *c, int status, const char *code, const char *why)
{
	if (c->answered) {
		c->last = c->unread = true;
		return;
	}
	tell_gone(c);
	if (!c->headed)
		request_blank(c);
	c->unread = true;
	if (status == 503)
		http_reply_header(&c->req, "retry-after", "1");
	answer_error(&c->req, status, code, why);
}

static void
on_error(struct conn *c)
{
	metric_inc(c->srv->ctx->slot, MC_HTTP_PARSE_ERRORS);
	refuse(c, c->parser.status, answer_code(c->parser.status),
	    c->parser.why);
}

/* RFC 9110 10.1.1: only while the body is still to come. */
static void
send_continue(struct conn *c)
{
	if (c->parser.expect_continue && c->len == c->off + c->parser.body_off)
		buf_add(conn_out(c), continue_line, sizeof(continue_line) - 1);
}

static void
on_head(struct conn *c)
{
	if (c->req.start_us == 0)
		c->req.start_us = ax_mono_us();
	c->headed = true;
	if (request_bind(c) == -1) {
		refuse(c, 400, "BAD_REQUEST", "the path is not valid UTF-8");
		return;
	}
	if (auth_in_query(c->req.query)) {
		answer_error(&c->req, 400, "CREDENTIAL_IN_QUERY",
		    "send credentials in a header, not in the URL");
	} else if (api_head(&c->req) == 0 && !c->answered) {
		c->parser.max_body = c->req.max_body;
		send_continue(c);
		return;
	}
	if (!c->answered) {
		log_warnx("http: a refused request got no answer");
		c->dead = true;
	}
	c->discard = true;
	if (c->last && c->req.has_body)
		c->unread = true;
}

static void
on_done(struct conn *c)
{
	c->whole = true;
	if (c->discard) {
		if (!c->last)
			finish(c);
		return;
	}
	if (c->parser.body_len > 0) {
		c->body_end = c->in + c->off + c->parser.body_off +
		    c->parser.body_len;
		c->body_saved = *c->body_end;
		*c->body_end = '\0';
	}
	request_point(c);
	c->pending = true;
	api_request(&c->req);
	if (c->answered && !c->last)
		finish(c);
}

static void (*const on_event[])(struct conn *) = {
	[HTTP_EV_MORE] = on_more,
	[HTTP_EV_HEAD] = on_head,
	[HTTP_EV_DONE] = on_done,
	[HTTP_EV_ERROR] = on_error,
};

/* ---- turns ---- */

static bool
can_go_on(const struct conn *c)
{
	return (!c->starved && !c->pending && !c->dead && !blocked(c) &&
	    !(c->answered && c->last) && c->in != NULL &&
	    (c->len > c->off || c->headed));
}

static void
conn_turn(struct conn *c)
{
	unsigned n;

	c->busy = true;
	c->starved = false;
	for (n = 0;
	     n < CONN_BATCH && can_go_on(c) && c->srv->out.len < CONN_OUT_HIGH;
	     n++)
		on_event[http_parser_feed(&c->parser, c->in + c->off,
		    c->len - c->off)](c);
	c->busy = false;
	flush_scratch(c);
	conn_settle(c);
}

/* Sets the deadline of what the connection waits for now. */
static void
arm(struct conn *c)
{
	enum conn_phase phase = PH_IDLE;

	if (blocked(c))
		phase = c->streaming ? PH_STREAM : PH_WRITE;
	else if (c->pending || c->queued)
		phase = PH_NONE;
	else if (c->headed)
		phase = PH_BODY;
	else if (c->len > c->off)
		phase = PH_HEAD;
	else if (c->phase == PH_FIRST)
		return;
	if (phase == c->phase && phase != PH_IDLE)
		return;
	c->phase = phase;
	/* The last tick is near enough, and costs nothing. */
	c->deadline = phase == PH_NONE ?
	    0 :
	    c->srv->now_us + c->srv->limits.timeout_us[phase];
}

/* The end of every turn: what comes next? The connection may be gone after. */
static void
conn_settle(struct conn *c)
{
	bool ended = c->answered && c->last;

	if (c->dead) {
		conn_close(c);
		return;
	}
	if (ended && !blocked(c)) {
		if (c->unread || c->len > c->off + c->parser.pos)
			linger(c);
		else
			conn_close(c);
		return;
	}
	keep_input(c);
	if (c->dead ||
	    (c->eof && !c->pending && !blocked(c) && !can_go_on(c))) {
		conn_close(c);
		return;
	}
	if (can_go_on(c) || stream_is_due(c))
		server_again(c->srv, c);
	want_write(c, blocked(c));
	if (blocked(c) || c->eof)
		want_read(c, false);
	else if (!c->pending)
		want_read(c, true);
	arm(c);
}

void
conn_resume(struct conn *c)
{
	if (stream_is_due(c)) {
		c->hungry = false;
		c->more(&c->req);
	}
	if (c->answered && c->whole && !c->last)
		finish(c);
	conn_turn(c);
}

void
conn_answered(struct conn *c)
{
	c->answered = true;
	c->pending = false;
	c->req.on_gone = NULL;
	if (c->busy)
		return;
	flush_own(c);
	account(c);
	server_again(c->srv, c);
}

void
conn_push(struct conn *c)
{
	if (c->busy)
		return; /* the turn will */
	flush_own(c);
	account(c);
	if (c->out.err || c->srv->memory > CONN_MEMORY_MAX)
		c->dead = true;
	if (c->dead) {
		server_again(c->srv, c);
		return;
	}
	want_write(c, blocked(c));
	arm(c);
}

/* ---- reading ---- */

/* Something arrived while an answer is pending: is the client still there? */
static void
peek(struct conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1 || (n == 0 && c->pending && c->req.gone_on_eof)) {
		conn_close(c);
		return;
	}
	/* A next request waits in the kernel until this one is answered. */
	c->eof = n == 0;
	want_read(c, false);
}

static void
read_some(struct conn *c)
{
	ssize_t n;

	if ((c->in == NULL || c->cap - c->len < ROOM) && grow_input(c) == -1) {
		refuse(c, 503, "OVERLOADED", "too much is being received");
		return;
	}
	n = recv(c->fd, c->in + c->len, c->cap - c->len, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1)
		c->dead = true;
	else if (n == 0)
		c->eof = true;
	else
		c->len += (size_t)n;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	if (c->phase == PH_LINGER)
		linger_read(c);
	else if (c->pending)
		peek(c);
	else if (!c->queued) {
		read_some(c);
		conn_turn(c);
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	flush_own(c);
	if (c->dead || !blocked(c) || stream_is_due(c))
		conn_resume(c);
	else
		arm(c);
}

/* ---- for the server ---- */

struct conn *
conn_new(struct http_server *s, int fd, const char *peer)
{
	struct conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return (NULL);
	}
	c->srv = s;
	c->req.ctx = s->ctx;
	c->fd = fd;
	ax_strlcpy(c->peer, peer, sizeof(c->peer));
	c->parser.max_head = s->limits.max_head;
	c->parser.max_body = s->limits.max_body;
	http_parser_reset(&c->parser);
	event_assign(&c->ev_read, s->ctx->base, fd, EV_READ | EV_PERSIST,
	    on_readable, c);
	event_assign(&c->ev_write, s->ctx->base, fd, EV_WRITE | EV_PERSIST,
	    on_writable, c);
	c->phase = PH_FIRST;
	c->deadline = s->now_us + s->limits.timeout_us[PH_FIRST];
	want_read(c, true);
	return (c);
}

void
conn_refuse(struct conn *c)
{
	refuse(c, 503, "TOO_MANY_CONNECTIONS", "too many connections");
}

bool
conn_is_idle(const struct conn *c)
{
	return (!c->headed && !c->queued && !blocked(c) && c->len == c->off &&
	    c->phase != PH_LINGER);
}

void
conn_expired(struct conn *c)
{
	static const char *const why[PH_MAX] = {
		[PH_HEAD] = "the request head took too long",
		[PH_BODY] = "the request body took too long",
	};

	if (why[c->phase] == NULL) {
		conn_close(c);
		return;
	}
	refuse(c, 408, answer_code(408), why[c->phase]);
	/* Already answered, and now not even its body ends. */
	if (!c->queued)
		server_again(c->srv, c);
}
