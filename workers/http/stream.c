/* SPDX-License-Identifier: ISC */
/*
 * Streams: framing, the books of how many are open, and their ends. Bytes go
 * through the connection's buffer and conn.c like those of any other answer.
 * It must never let a broken stream look like a complete one, and never hold
 * more than the producer was asked for.
 */
#include <stdio.h>

#include "workers/http/conn.h"
#include "workers/http/stream.h"

static void
count_open(struct http_server *s, int change)
{
	s->nstreams += (unsigned)change;
	metric_set(s->ctx->slot, MG_HTTP_STREAMS_OPEN, s->nstreams);
}

static void
leave(struct conn *c)
{
	c->streaming = c->hungry = false;
	c->more = NULL;
	count_open(c->srv, -1);
}

void
stream_forget(struct conn *c)
{
	if (!c->streaming)
		return;
	metric_inc(c->srv->ctx->slot, MC_HTTP_STREAMS_CUT);
	leave(c);
}

enum stream_begun
http_stream_begin(struct http_req *req, int status, const char *type,
    void (*more)(struct http_req *))
{
	struct conn *c = conn_of(req);
	struct http_server *s = c->srv;

	if (req->method != HTTP_HEAD && s->nstreams >= s->max_streams) {
		metric_inc(req->ctx->slot, MC_HTTP_STREAMS_REFUSED);
		return (STREAM_FULL);
	}
	request_forget_token(c);
	answer_stream(c, status, type);
	if (req->method == HTTP_HEAD) {
		conn_answered(c);
		return (STREAM_DONE);
	}
	metric_inc(req->ctx->slot, MC_HTTP_STREAMS);
	c->streaming = true;
	c->more = more;
	count_open(s, 1);
	conn_push(c);
	return (STREAM_OPEN);
}

static bool
has_room(const struct conn *c)
{
	return (c->streaming && !c->dead && conn_waiting(c) < STREAM_LOW);
}

bool
stream_is_due(const struct conn *c)
{
	return (c->hungry && c->more != NULL && has_room(c));
}

bool
http_stream_room(struct http_req *req)
{
	struct conn *c = conn_of(req);

	c->hungry = !has_room(c);
	return (!c->hungry);
}

/* A chunk of no bytes would be the last one. */
void
http_stream_write(struct http_req *req, const void *data, size_t n)
{
	struct conn *c = conn_of(req);
	struct buf *out = conn_out(c);

	if (!c->streaming || c->dead || n == 0)
		return;
	if (out == &c->out && c->out_off > 0) {
		buf_consume(out, c->out_off);
		c->out_off = 0;
	}
	if (c->parser.http10) {
		buf_add(out, data, n);
	} else {
		buf_printf(out, "%zx\r\n", n);
		buf_add(out, data, n);
		buf_add(out, "\r\n", 2);
	}
	conn_push(c);
}

void
http_stream_end(struct http_req *req)
{
	struct conn *c = conn_of(req);

	if (!c->streaming)
		return;
	if (!c->parser.http10)
		buf_add(conn_out(c), "0\r\n\r\n", 5);
	leave(c);
	if (req->ctx->draining)
		c->last = true;
	conn_answered(c);
}

void
http_stream_abort(struct http_req *req)
{
	struct conn *c = conn_of(req);

	req->on_gone = NULL;
	if (!c->streaming)
		return;
	stream_forget(c);
	c->dead = true;
	if (!c->busy)
		server_again(c->srv, c);
}
