/* SPDX-License-Identifier: ISC */
/*
 * Answers: the status line, the fields that every answer has, and the counting
 * of answers, in this one place for everything that leaves the process: also
 * for 400, 401, 408, 429 and 503 that never reach an endpoint. It must never
 * write a field that could be read as two.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/util.h"
#include "workers/http/conn.h"

#define HEAD_MAX 1024 /* of the fields made here */

#define LEN_UNKNOWN SIZE_MAX /* a stream: its end is told by its framing */

static const char *const status_text[600] = {
	[100] = "100 Continue",
	[200] = "200 OK",
	[201] = "201 Created",
	[202] = "202 Accepted",
	[204] = "204 No Content",
	[304] = "304 Not Modified",
	[307] = "307 Temporary Redirect",
	[400] = "400 Bad Request",
	[401] = "401 Unauthorized",
	[403] = "403 Forbidden",
	[404] = "404 Not Found",
	[405] = "405 Method Not Allowed",
	[406] = "406 Not Acceptable",
	[408] = "408 Request Timeout",
	[409] = "409 Conflict",
	[411] = "411 Length Required",
	[412] = "412 Precondition Failed",
	[413] = "413 Content Too Large",
	[414] = "414 URI Too Long",
	[415] = "415 Unsupported Media Type",
	[417] = "417 Expectation Failed",
	[422] = "422 Unprocessable Content",
	[429] = "429 Too Many Requests",
	[431] = "431 Request Header Fields Too Large",
	[500] = "500 Internal Server Error",
	[501] = "501 Not Implemented",
	[503] = "503 Service Unavailable",
	[504] = "504 Gateway Timeout",
	[505] = "505 HTTP Version Not Supported",
};

static const struct {
	int status;
	const char *code;
} codes[] = {
	{ 400, "BAD_REQUEST" },
	{ 408, "REQUEST_TIMEOUT" },
	{ 413, "PAYLOAD_TOO_LARGE" },
	{ 414, "URI_TOO_LONG" },
	{ 417, "EXPECTATION_FAILED" },
	{ 431, "HEADERS_TOO_LARGE" },
	{ 501, "NOT_IMPLEMENTED" },
	{ 503, "OVERLOADED" },
	{ 505, "HTTP_VERSION_NOT_SUPPORTED" },
};

const char *
answer_code(int status)
{
	size_t i;

	for (i = 0; i < AX_NELEM(codes); i++) {
		if (codes[i].status == status)
			return (codes[i].code);
	}
	return ("BAD_REQUEST");
}

/* ---- fields of the API ---- */

static bool
field_valid(const char *name, const char *value)
{
	if (name[0] == '\0')
		return (false);
	for (; *name != '\0'; name++) {
		if (*name <= ' ' || *name == ':' || *name == 0x7f)
			return (false);
	}
	for (; *value != '\0'; value++) {
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return (false);
	}
	return (true);
}

void
http_reply_header(struct http_req *req, const char *name, const char *value)
{
	struct conn *c = conn_of(req);

	if (!field_valid(name, value)) {
		log_warnx("http: a bad field for an answer was dropped");
		return;
	}
	if (strcmp(name, "cache-control") == 0)
		c->cache_set = true;
	buf_adds(&c->extra, name);
	buf_add(&c->extra, ": ", 2);
	buf_adds(&c->extra, value);
	buf_add(&c->extra, "\r\n", 2);
}

/* ---- the head ---- */

static char *
put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return (p + n);
}

#define PUT_LIT(p, lit) put(p, lit, sizeof(lit) - 1)

static char *
put_str(char *p, const char *s)
{
	return (put(p, s, strlen(s)));
}

static char *
put_num(char *p, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
	} while ((n /= 10) > 0);
	return (put(p, digits + i, sizeof(digits) - i));
}

static char *
put_status(char *p, int status)
{
	const char *text = status_text[status];

	p = PUT_LIT(p, "HTTP/1.1 ");
	if (text != NULL)
		p = put_str(p, text);
	else
		p = put_str(put_num(p, (uint64_t)status), " Status");
	return (PUT_LIT(p, "\r\n"));
}

/* RFC 9110 8.6: none of these has content, 204 not even a length. */
static bool
has_content(int status)
{
	return (status >= 200 && status != 204 && status != 304);
}

/* RFC 9112 6.1, 6.3: to a client of HTTP/1.0 the end is that of the bytes. */
static char *
put_framing(char *p, const struct conn *c, size_t len)
{
	if (len != LEN_UNKNOWN) {
		p = PUT_LIT(p, "\r\ncontent-length: ");
		return (put_num(p, len));
	}
	if (c->parser.http10)
		return (p);
	return (PUT_LIT(p, "\r\ntransfer-encoding: chunked"));
}

static char *
put_head(char *p, struct conn *c, int status, const char *type, size_t len,
    uint64_t us)
{
	p = put_status(p, status);
	p = PUT_LIT(p, "date: ");
	p = put_str(p, c->srv->date);
	if (type != NULL) {
		p = PUT_LIT(p, "\r\ncontent-type: ");
		p = put_str(p, type);
	}
	if (has_content(status))
		p = put_framing(p, c, len);
	p = PUT_LIT(p, "\r\nx-request-id: ");
	p = put_str(p, c->req.request_id);
	p = PUT_LIT(p, "\r\nx-elapsed-ms: ");
	p = put_num(p, us / 1000);
	p = PUT_LIT(p, "\r\nx-content-type-options: nosniff\r\n");
	if (!c->cache_set)
		p = PUT_LIT(p, "cache-control: no-store\r\n");
	if (c->last)
		p = PUT_LIT(p, "connection: close\r\n");
	else if (c->parser.http10)
		p = PUT_LIT(p, "connection: keep-alive\r\n");
	return (p);
}

static void
write_answer(struct conn *c, int status, const char *type, const void *body,
    size_t len, uint64_t us)
{
	struct buf *out = conn_out(c);
	size_t send = len, type_len = type != NULL ? strlen(type) : 0;
	char *start, *p;

	if (c->req.method == HTTP_HEAD || !has_content(status) ||
	    len == LEN_UNKNOWN)
		send = 0;
	start = buf_reserve(out, HEAD_MAX + type_len + c->extra.len + send);
	if (start == NULL || c->extra.err) {
		c->dead = true;
		return;
	}
	p = put_head(start, c, status, type, len, us);
	if (c->extra.len > 0)
		p = put(p, c->extra.d, c->extra.len);
	p = PUT_LIT(p, "\r\n");
	if (send > 0)
		p = put(p, body, send);
	out->len += (size_t)(p - start);
}

/* ---- counting ---- */

static void
count_answer(struct metrics_slot *m, int status, uint64_t us)
{
	static const enum metric_counter classes[] = { MC_HTTP_2XX, MC_HTTP_3XX,
		MC_HTTP_4XX, MC_HTTP_5XX };

	metric_inc(m, MC_HTTP_REQUESTS);
	if (status >= 200)
		metric_inc(m, classes[status / 100 - 2]);
	if (status == 401)
		metric_inc(m, MC_AUTH_FAILED);
	__atomic_fetch_add(&m->status[status - 100], 1, __ATOMIC_RELAXED);
	metric_observe_us(m, MH_HTTP, us);
}

/* The contract's http_request event; only at debug level, it costs a write. */
static void
log_answer(const struct http_req *req, int status, uint64_t us)
{
	struct buf b = BUF_INITIALIZER;
	struct jw j;

	if (log_get_level() < LOG_L_DEBUG)
		return;
	jw_init(&j, &b, false);
	jw_obj(&j);
	jw_kuint(&j, "elapsed_ms", us / 1000);
	jw_kstr(&j, "event", "http_request");
	jw_kstr(&j, "method", req->method_text);
	jw_kstr(&j, "path", req->path);
	jw_kstr(&j, "request_id", req->request_id);
	jw_kint(&j, "status_code", status);
	jw_obj_end(&j);
	if (buf_str(&b) != NULL)
		log_debug("%s", buf_str(&b));
	buf_free(&b);
}

/* ---- answering ---- */

/*
 * Whether the connection ends with this answer: it must, unless the request's
 * end is known and near.
 */
static bool
ends_with_answer(const struct conn *c)
{
	const struct http_parser *p = &c->parser;

	if (!p->keep_alive || c->unread || c->eof || c->req.ctx->draining)
		return (true);
	if (c->whole || !c->req.has_body)
		return (false);
	return (p->chunked || p->expect_continue ||
	    p->content_length > CONN_DISCARD);
}

void
http_reply(struct http_req *req, int status, const char *content_type,
    const void *body, size_t len)
{
	struct conn *c = conn_of(req);
	uint64_t us;

	if (c->answered || c->streaming || c->dead) {
		log_warnx("http: a second answer (%d) was dropped", status);
		return;
	}
	if (status < 200 || status > 599)
		fatalx("http: no such status: %d", status);
	us = ax_mono_us() - req->start_us;
	c->last = ends_with_answer(c);
	write_answer(c, status, content_type, body, len, us);
	count_answer(req->ctx->slot, status, us);
	log_answer(req, status, us);
	conn_answered(c);
}

void
answer_stream(struct conn *c, int status, const char *type)
{
	uint64_t us = ax_mono_us() - c->req.start_us;

	c->last = c->parser.http10 || ends_with_answer(c);
	write_answer(c, status, type, NULL, LEN_UNKNOWN, us);
	count_answer(c->req.ctx->slot, status, us);
	log_answer(&c->req, status, us);
}

void
answer_error(struct http_req *req, int status, const char *code,
    const char *message)
{
	struct buf b = BUF_INITIALIZER;
	struct jw j;

	jw_init(&j, &b, false);
	jw_obj(&j);
	jw_key(&j, "detail");
	jw_obj(&j);
	jw_kstr(&j, "code", code);
	jw_kstr(&j, "message", message);
	jw_key(&j, "details");
	jw_obj(&j);
	jw_obj_end(&j);
	jw_obj_end(&j);
	jw_obj_end(&j);
	http_reply(req, status, "application/json", b.err ? NULL : b.d,
	    b.err ? 0 : b.len);
	buf_free(&b);
}
