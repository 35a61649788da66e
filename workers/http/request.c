/* SPDX-License-Identifier: ISC */
/*
 * From a parsed head to the struct http_req that the API sees: where the
 * strings stand, who asks (address, credential) and under which request id, and
 * the rate limit that depends on both. It must never let a header decide an
 * address unless the peer is a trusted proxy.
 */
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/http/conn.h"

const char *
http_req_header(const struct http_req *req, const char *name)
{
	const struct conn *c = (const struct conn *)(const void *)req;

	if (!c->headed)
		return (NULL);
	return (http_parser_field(&c->parser, c->in + c->off, name, 0));
}

/* ---- request id ---- */

static bool
request_id_valid(const char *s)
{
	size_t n = strspn(s,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return (n >= 1 && n <= 128 && s[n] == '\0');
}

static void
bind_request_id(struct conn *c)
{
	const char *given = http_req_header(&c->req, "x-request-id");

	if (given != NULL && request_id_valid(given))
		ax_strlcpy(c->request_id, given, sizeof(c->request_id));
	else
		server_uuid(c->srv, c->request_id);
	c->req.request_id = c->request_id;
}

/* ---- address ---- */

static bool
is_trusted(const struct settings *s, const char *address)
{
	const char *item;
	unsigned i;

	for (i = 0; (item = settings_item(s, SET_TRUSTED_PROXIES, i)) != NULL;
	     i++) {
		if (strcmp(item, address) == 0)
			return (true);
	}
	return (false);
}

static bool
is_address(const char *s)
{
	unsigned char bin[16];

	return (inet_pton(AF_INET, s, bin) == 1 ||
	    inet_pton(AF_INET6, s, bin) == 1);
}

/* Copies s[from..to) without the spaces around it; false if it is too long. */
static bool
copy_trimmed(char *dst, size_t size, const char *s, size_t from, size_t to)
{
	while (from < to && (s[from] == ' ' || s[from] == '\t'))
		from++;
	while (to > from && (s[to - 1] == ' ' || s[to - 1] == '\t'))
		to--;
	if (to - from >= size)
		return (false);
	memcpy(dst, s + from, to - from);
	dst[to - from] = '\0';
	return (true);
}

/*
 * The right-most address that is no trusted proxy's: everything to the left of
 * it was written by the client.
 */
static bool
forwarded_for(struct conn *c, const char *list)
{
	char one[sizeof(c->address)];
	size_t to = strlen(list), from;

	for (;;) {
		for (from = to; from > 0 && list[from - 1] != ','; from--)
			continue;
		if (!copy_trimmed(one, sizeof(one), list, from, to) ||
		    !is_address(one))
			return (false);
		memcpy(c->address, one, sizeof(one));
		if (from == 0 || !is_trusted(c->srv->ctx->settings, one))
			return (true);
		to = from - 1;
	}
}

static void
bind_address(struct conn *c)
{
	const char *list = NULL, *v;
	unsigned n;

	c->req.address = c->peer;
	if (!is_trusted(c->srv->ctx->settings, c->peer))
		return;
	/* The nearest proxy added to the last one. */
	for (n = 0; (v = http_parser_field(&c->parser, c->in + c->off,
			 "x-forwarded-for", n)) != NULL;
	     n++)
		list = v;
	if (list != NULL && forwarded_for(c, list))
		c->req.address = c->address;
}

/* ---- credential ---- */

static void
bind_role(struct conn *c, const char *role, const char *actor)
{
	ax_strlcpy(c->role, role, sizeof(c->role));
	ax_strlcpy(c->actor, actor, sizeof(c->actor));
	c->req.role = c->role;
	c->req.actor = c->actor;
	c->req.auth = HTTP_AUTH_OK;
}

/* Two of a kind are never a good credential. */
static bool
is_repeated(const struct conn *c, const char *name)
{
	return (http_parser_field(&c->parser, c->in + c->off, name, 1) != NULL);
}

static void
bind_credential(struct conn *c)
{
	struct http_req *req = &c->req;
	const struct auth_entry *e = NULL;
	enum auth_presented how;

	how = auth_pick(http_req_header(req, "x-api-key"),
	    http_req_header(req, "authorization"), &req->token);
	if (how != AUTH_ABSENT &&
	    (is_repeated(c, "x-api-key") || is_repeated(c, "authorization")))
		how = AUTH_UNUSABLE;
	if (how == AUTH_TOKEN)
		e = auth_find(c->srv->auth, req->token, c->who);
	c->has_who = e != NULL;
	if (e != NULL)
		bind_role(c, e->role, e->name);
	else if (c->srv->auth_off)
		bind_role(c, "anonymous", "anonymous");
	else
		req->auth = how == AUTH_ABSENT ? HTTP_AUTH_NONE : HTTP_AUTH_BAD;
	if (e == NULL)
		req->token = NULL;
}

/* ---- the whole ---- */

void
request_point(struct conn *c)
{
	struct http_req *req = &c->req;
	const struct http_parser *p = &c->parser;
	char *b = c->in + c->off;

	req->method_text = b + p->method_off;
	req->raw_path = b + p->path_off;
	req->path = c->path != NULL ? c->path : req->raw_path;
	req->query = p->query_off != 0 ? b + p->query_off : NULL;
	if (req->token != NULL)
		(void)auth_pick(http_req_header(req, "x-api-key"),
		    http_req_header(req, "authorization"), &req->token);
	if (!c->whole)
		return;
	req->body = p->body_len > 0 ? b + p->body_off : "";
	req->body_len = p->body_len;
}

static int
bind_path(struct conn *c)
{
	const struct http_parser *p = &c->parser;

	if (!p->path_escaped)
		return (0);
	if ((c->path = malloc((size_t)p->path_len + 1)) == NULL)
		return (-1);
	if (http_unescape(c->path, c->in + c->off + p->path_off, p->path_len,
		false) == -1) {
		free(c->path);
		c->path = NULL;
		return (-1);
	}
	return (0);
}

int
request_bind(struct conn *c)
{
	struct http_req *req = &c->req;
	const struct http_parser *p = &c->parser;
	int ret;

	req->method = p->method;
	req->has_body = p->chunked || p->content_length > 0;
	req->content_length = p->has_length ? (int64_t)p->content_length : -1;
	req->max_body = p->max_body;
	ret = bind_path(c);
	request_point(c);
	bind_request_id(c);
	bind_address(c);
	bind_credential(c);
	return (ret);
}

void
request_blank(struct conn *c)
{
	struct http_req *req = &c->req;

	req->method = HTTP_OTHER;
	req->method_text = req->path = req->raw_path = "";
	req->address = c->peer;
	server_uuid(c->srv, c->request_id);
	req->request_id = c->request_id;
	if (req->start_us == 0)
		req->start_us = ax_mono_us();
}

void
request_forget_token(struct conn *c)
{
	const char *token = c->req.token;

	/* The token stands in the buffer: nobody needs it any longer. */
	if (token != NULL && c->in != NULL)
		explicit_bzero((char *)(uintptr_t)token, strlen(token));
	c->req.token = NULL;
}

void
request_clear(struct conn *c)
{
	struct http_ctx *ctx = c->req.ctx;

	request_forget_token(c);
	if (c->path != NULL) {
		free(c->path);
		c->path = NULL;
	}
	memset(&c->req, 0, sizeof(c->req));
	c->req.ctx = ctx;
	c->has_who = false;
	buf_reset(&c->extra);
}

/* ---- rate limit ---- */

static void
reply_number(struct http_req *req, const char *name, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	http_reply_header(req, name, text);
}

bool
http_rate_admit(struct http_req *req, enum http_bucket bucket, unsigned *limit,
    unsigned *reset_s)
{
	struct conn *c = conn_of(req);
	struct http_server *s = c->srv;
	struct rate_verdict v;
	uint64_t key;

	if (!s->rate_on || s->rate == NULL)
		return (true);
	key = c->has_who ? rate_key(bucket, c->who, sizeof(c->who)) :
			   rate_key(bucket, req->address, strlen(req->address));
	rate_take(s->rate, key, s->rate_limit[bucket], ax_mono_us(), &v);
	reply_number(req, "x-ratelimit-limit", v.limit);
	reply_number(req, "x-ratelimit-remaining", v.remaining);
	reply_number(req, "x-ratelimit-reset", v.reset_s);
	*limit = v.limit;
	*reset_s = v.reset_s;
	if (!v.admitted) {
		reply_number(req, "retry-after", v.reset_s);
		metric_inc(req->ctx->slot, MC_RATE_LIMITED);
	}
	return (v.admitted);
}
