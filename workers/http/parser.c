/* SPDX-License-Identifier: ISC */
/*
 * The HTTP/1.x request parser. A table of states, each with one function that
 * uses as many bytes as belong to it; a table of character classes; nothing
 * else decides what is accepted. It holds to one reading of every request:
 * whatever RFC 9112 lets a recipient repair (bare LF, folded lines, lists of
 * equal lengths, a length beside a transfer coding) is an error here, because
 * two programs repairing differently is what request smuggling is made of.
 *
 * It must never look at a byte twice with a different result, never read at or
 * above `len`, and never accept a request that it has not framed exactly.
 */
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "workers/http/parser.h"

/* ---- character classes ---- */

#define C_TOKEN	 0x01 /* tchar, RFC 9110 5.6.2 */
#define C_TARGET 0x02 /* pchar "/" "?" "%", RFC 3986 */
#define C_VALUE	 0x04 /* field-vchar SP HTAB, RFC 9110 5.5 */
#define C_HEX	 0x08
#define C_DIGIT	 0x10
#define C_HOST	 0x20 /* reg-name without escapes */

/* What each byte may be part of; test_http_parser.c spells it out. */
static const uint8_t classes[256] = {
	/* clang-format off */
	/* 0x00 */ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	           0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* 0x10 */ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	           0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* 0x20 */ 0x04, 0x27, 0x04, 0x05, 0x27, 0x07, 0x27, 0x27,
	           0x26, 0x26, 0x27, 0x27, 0x06, 0x27, 0x27, 0x06,
	/* 0x30 */ 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	           0x3f, 0x3f, 0x06, 0x26, 0x04, 0x26, 0x04, 0x06,
	/* 0x40 */ 0x06, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x27,
	           0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27,
	/* 0x50 */ 0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27,
	           0x27, 0x27, 0x27, 0x04, 0x04, 0x04, 0x05, 0x27,
	/* 0x60 */ 0x05, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x27,
	           0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27,
	/* 0x70 */ 0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27, 0x27,
	           0x27, 0x27, 0x27, 0x04, 0x05, 0x04, 0x27, 0x00,
	[0x80 ... 0xff] = C_VALUE, /* obs-text */
	/* clang-format on */
};

static inline bool
is(char c, uint8_t class)
{
	return ((classes[(unsigned char)c] & class) != 0);
}

static unsigned
hex_value(char c)
{
	if (is(c, C_DIGIT))
		return ((unsigned)(c - '0'));
	return ((unsigned)((c | 0x20) - 'a' + 10));
}

/* ---- states ---- */

enum state {
	/* the head: below max_head */
	S_START,
	S_START_LF,
	S_METHOD,
	S_TARGET,
	S_VERSION,
	S_LINE_CR,
	S_LINE_LF,
	S_FIELD,
	S_NAME,
	S_OWS,
	S_VALUE,
	S_VALUE_LF,
	S_HEAD_LF,
	/* the body */
	S_BODY,
	S_CHUNK_SIZE,
	S_CHUNK_EXT,
	S_CHUNK_LF,
	S_CHUNK_DATA,
	S_DATA_CR,
	S_DATA_LF,
	S_TRAILER,
	S_TRAILER_NAME,
	S_TRAILER_VALUE,
	S_TRAILER_LF,
	S_LAST_LF,
	S_DONE,
	S_ERROR,
	S_MAX
};

enum step {
	STEP_ON,   /* the state has changed: go on */
	STEP_MORE, /* all bytes are used */
	STEP_HEAD,
	STEP_FAILED
};

typedef enum step (*step_fn)(struct http_parser *, char *, size_t);

static enum step
fail(struct http_parser *p, uint16_t status, const char *why)
{
	p->status = status;
	p->why = why;
	p->state = S_ERROR;
	return (STEP_FAILED);
}

static enum step
bad(struct http_parser *p, const char *why)
{
	return (fail(p, 400, why));
}

static enum step
go(struct http_parser *p, enum state state)
{
	p->state = (uint8_t)state;
	return (STEP_ON);
}

/* Uses one byte, which must be c. */
static enum step
expect(struct http_parser *p, const char *b, size_t len, char c,
    enum state next, const char *why)
{
	if (p->pos == len)
		return (STEP_MORE);
	if (b[p->pos] != c)
		return (bad(p, why));
	p->pos++;
	return (go(p, next));
}

/* Uses bytes of a class; true when one of another class stands at pos. */
static inline bool
span(struct http_parser *p, const char *b, size_t len, uint8_t class)
{
	size_t i = p->pos;

	while (i < len && is(b[i], class))
		i++;
	p->pos = i;
	return (i < len);
}

/* ---- the request line ---- */

static const struct {
	const char *name;
	uint8_t len;
	enum http_method method;
} methods[] = {
	{ "GET", 3, HTTP_GET },
	{ "HEAD", 4, HTTP_HEAD },
	{ "POST", 4, HTTP_POST },
	{ "PUT", 3, HTTP_PUT },
	{ "DELETE", 6, HTTP_DELETE },
	{ "PATCH", 5, HTTP_PATCH },
	{ "OPTIONS", 7, HTTP_OPTIONS },
};

static enum http_method
method_lookup(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < AX_NELEM(methods); i++) {
		if (methods[i].len == len &&
		    memcmp(methods[i].name, s, len) == 0)
			return (methods[i].method);
	}
	return (HTTP_OTHER);
}

/* RFC 9112 2.2: one empty line before a request line is ignored. */
static enum step
step_start(struct http_parser *p, char *b, size_t len)
{
	if (p->pos == len)
		return (STEP_MORE);
	if (b[p->pos] == '\r' && !p->skipped_line) {
		p->skipped_line = true;
		p->pos++;
		return (go(p, S_START_LF));
	}
	p->method_off = (uint32_t)p->pos;
	return (go(p, S_METHOD));
}

static enum step
step_start_lf(struct http_parser *p, char *b, size_t len)
{
	return (expect(p, b, len, '\n', S_START, "bare CR before the request"));
}

static enum step
step_method(struct http_parser *p, char *b, size_t len)
{
	bool end = span(p, b, len, C_TOKEN);
	size_t n = p->pos - p->method_off;

	if (n > HTTP_METHOD_LEN)
		return (fail(p, 501, "method too long"));
	if (!end)
		return (STEP_MORE);
	if (n == 0 || b[p->pos] != ' ')
		return (bad(p, "bad method"));
	p->method = method_lookup(b + p->method_off, n);
	b[p->pos++] = '\0';
	p->mark = (uint32_t)p->pos;
	return (go(p, S_TARGET));
}

/*
 * Host, RFC 9110 7.2 and RFC 3986 3.2: a name, an IPv4 address or an IPv6
 * literal in brackets, and a port. Never empty, never with user information.
 */
static bool
host_valid(const char *s, size_t n)
{
	size_t i = 0;

	if (n > 0 && s[0] == '[') {
		for (i = 1;
		     i < n && (is(s[i], C_HEX) || s[i] == ':' || s[i] == '.');
		     i++)
			continue;
		if (i < 3 || i == n || s[i] != ']')
			return (false);
		i++;
	} else {
		while (i < n && is(s[i], C_HOST))
			i++;
		if (i == 0)
			return (false);
	}
	if (i == n)
		return (true);
	if (s[i++] != ':' || n - i > 5)
		return (false);
	for (; i < n; i++) {
		if (!is(s[i], C_DIGIT))
			return (false);
	}
	return (true);
}

/* Bytes of "http://host" in front of the path, 0 for none, -1 for bad. */
static long
target_authority(const char *t, size_t n)
{
	size_t scheme, i;

	if (n > 7 && strncasecmp(t, "http://", 7) == 0)
		scheme = 7;
	else if (n > 8 && strncasecmp(t, "https://", 8) == 0)
		scheme = 8;
	else
		return (-1);
	for (i = scheme; i < n && t[i] != '/' && t[i] != '?'; i++)
		continue;
	if (!host_valid(t + scheme, i - scheme))
		return (-1);
	return ((long)i);
}

/* Every '%' is followed by two hex digits and never makes a NUL. */
static bool
escapes_valid(const char *s, size_t n, bool *any)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] != '%')
			continue;
		if (n - i < 3 || !is(s[i + 1], C_HEX) || !is(s[i + 2], C_HEX))
			return (false);
		if (s[i + 1] == '0' && s[i + 2] == '0')
			return (false);
		*any = true;
		i += 2;
	}
	return (true);
}

/* Takes the target apart: origin-form, absolute-form, or "*" for OPTIONS. */
static enum step
target_done(struct http_parser *p, char *b)
{
	char *t = b + p->mark, *q;
	size_t n = p->pos - p->mark;
	long skip;
	bool query_escaped = false;

	p->path_off = p->mark;
	p->path_len = (uint32_t)n;
	if (n == 1 && t[0] == '*' && p->method == HTTP_OPTIONS)
		return (STEP_ON);
	if (n == 0 || t[0] != '/') {
		if ((skip = target_authority(t, n)) == -1)
			return (bad(p, "bad request target"));
		/* The byte before an absent path becomes the path. */
		if ((size_t)skip == n || t[skip] == '?') {
			memmove(t, t + 1, (size_t)skip - 1);
			t[--skip] = '/';
		}
		p->path_off += (uint32_t)skip;
		t += skip;
		n -= (size_t)skip;
	}
	p->path_len = (uint32_t)n;
	if ((q = memchr(t, '?', n)) != NULL) {
		p->path_len = (uint32_t)(q - t);
		p->query_off = p->path_off + p->path_len + 1;
		if (!escapes_valid(q + 1, n - p->path_len - 1, &query_escaped))
			return (bad(p, "bad escape in the query"));
		*q = '\0';
	}
	if (!escapes_valid(t, p->path_len, &p->path_escaped))
		return (bad(p, "bad escape in the path"));
	return (STEP_ON);
}

static enum step
step_target(struct http_parser *p, char *b, size_t len)
{
	bool end = span(p, b, len, C_TARGET);

	if (p->pos - p->mark > HTTP_TARGET_MAX)
		return (fail(p, 414, "request target too long"));
	if (!end)
		return (STEP_MORE);
	if (b[p->pos] != ' ')
		return (bad(p, "bad byte in the request target"));
	if (target_done(p, b) == STEP_FAILED)
		return (STEP_FAILED);
	b[p->pos++] = '\0';
	p->count = 0;
	return (go(p, S_VERSION));
}

static enum step
step_version(struct http_parser *p, char *b, size_t len)
{
	static const char pattern[] = "HTTP/0.0";

	for (; p->count < sizeof(pattern) - 1; p->count++, p->pos++) {
		if (p->pos == len)
			return (STEP_MORE);
		if (pattern[p->count] == '0' ? !is(b[p->pos], C_DIGIT) :
					       b[p->pos] != pattern[p->count])
			return (bad(p, "bad protocol version"));
	}
	if (b[p->pos - 3] != '1' ||
	    (b[p->pos - 1] != '0' && b[p->pos - 1] != '1'))
		return (fail(p, 505, "only HTTP/1.0 and HTTP/1.1"));
	p->http10 = b[p->pos - 1] == '0';
	return (go(p, S_LINE_CR));
}

static enum step
step_line_cr(struct http_parser *p, char *b, size_t len)
{
	return (expect(p, b, len, '\r', S_LINE_LF,
	    "bytes behind the protocol version"));
}

static enum step
step_line_lf(struct http_parser *p, char *b, size_t len)
{
	return (
	    expect(p, b, len, '\n', S_FIELD, "bare CR in the request line"));
}

/* ---- fields that frame the message ---- */

static enum step
on_host(struct http_parser *p, const char *v, size_t n)
{
	if (p->nhost++ > 0)
		return (bad(p, "more than one host"));
	if (!host_valid(v, n))
		return (bad(p, "bad host"));
	return (STEP_ON);
}

static enum step
on_content_length(struct http_parser *p, const char *v, size_t n)
{
	uint64_t value = 0;
	size_t i;

	if (p->has_length)
		return (bad(p, "more than one content-length"));
	if (n == 0 || n > 19)
		return (bad(p, "bad content-length"));
	for (i = 0; i < n; i++) {
		if (!is(v[i], C_DIGIT))
			return (bad(p, "bad content-length"));
		value = value * 10 + (uint64_t)(v[i] - '0');
	}
	if (value > INT64_MAX)
		return (bad(p, "bad content-length"));
	p->has_length = true;
	p->content_length = value;
	return (STEP_ON);
}

/*
 * RFC 9112 6.1, 6.3: chunked alone; another coding below it is not
 * implemented; anything that does not end in it cannot be framed.
 */
static enum step
on_transfer_encoding(struct http_parser *p, const char *v, size_t n)
{
	size_t i, name = strlen("chunked");

	if (p->has_te)
		return (bad(p, "more than one transfer-encoding"));
	p->has_te = true;
	if (n == name && strncasecmp(v, "chunked", n) == 0) {
		p->chunked = true;
		return (STEP_ON);
	}
	for (i = 0; i < n; i++) {
		if (!is(v[i], C_TOKEN) && v[i] != ',' && v[i] != ' ')
			return (bad(p, "bad transfer-encoding"));
	}
	if (n < name + 2 || strncasecmp(v, "chunked", name) == 0 ||
	    v[0] == ',' || strncasecmp(v + n - name, "chunked", name) != 0 ||
	    (v[n - name - 1] != ',' && v[n - name - 1] != ' '))
		return (bad(p, "bad transfer-encoding"));
	return (fail(p, 501, "transfer coding not implemented"));
}

static enum step
on_connection(struct http_parser *p, const char *v, size_t n)
{
	size_t i = 0, start, end;

	while (i < n) {
		while (i < n && (v[i] == ' ' || v[i] == '\t' || v[i] == ','))
			i++;
		for (start = i; i < n && v[i] != ','; i++)
			continue;
		for (end = i;
		     end > start && (v[end - 1] == ' ' || v[end - 1] == '\t');
		     end--)
			continue;
		if (end - start == 5 && strncasecmp(v + start, "close", 5) == 0)
			p->said_close = true;
		if (end - start == 10 &&
		    strncasecmp(v + start, "keep-alive", 10) == 0)
			p->said_keep = true;
	}
	return (STEP_ON);
}

static enum step
on_expect(struct http_parser *p, const char *v, size_t n)
{
	if (n != 12 || strncasecmp(v, "100-continue", 12) != 0)
		return (fail(p, 417, "unknown expectation"));
	p->expect_continue = true;
	return (STEP_ON);
}

static const struct {
	const char *name;
	size_t len;
	enum step (*fn)(struct http_parser *, const char *, size_t);
} framing[] = {
	{ "host", 4, on_host },
	{ "content-length", 14, on_content_length },
	{ "transfer-encoding", 17, on_transfer_encoding },
	{ "connection", 10, on_connection },
	{ "expect", 6, on_expect },
};

static enum step
framing_field(struct http_parser *p, const char *b, const struct http_field *f)
{
	size_t i;

	for (i = 0; i < AX_NELEM(framing); i++) {
		if (framing[i].len == f->name_len &&
		    memcmp(framing[i].name, b + f->name, f->name_len) == 0)
			return (framing[i].fn(p, b + f->value, f->value_len));
	}
	return (STEP_ON);
}

/* ---- fields ---- */

static enum step
step_field(struct http_parser *p, char *b, size_t len)
{
	if (p->pos == len)
		return (STEP_MORE);
	if (b[p->pos] == '\r') {
		p->pos++;
		return (go(p, S_HEAD_LF));
	}
	if (b[p->pos] == ' ' || b[p->pos] == '\t')
		return (bad(p, "folded field line"));
	if (p->nfields == HTTP_FIELDS_MAX)
		return (fail(p, 431, "too many fields"));
	p->mark = (uint32_t)p->pos;
	return (go(p, S_NAME));
}

static enum step
step_name(struct http_parser *p, char *b, size_t len)
{
	struct http_field *f = &p->field[p->nfields];
	size_t i = p->pos;

	for (; i < len && is(b[i], C_TOKEN); i++) {
		if (b[i] >= 'A' && b[i] <= 'Z')
			b[i] |= 0x20;
	}
	p->pos = i;
	/* Longer than its 16 bits: max_head may be as large as 1 MiB. */
	if (i - p->mark > UINT16_MAX)
		return (fail(p, 431, "field name too long"));
	if (i == len)
		return (STEP_MORE);
	if (b[i] != ':' || i == p->mark)
		return (bad(p, "bad field name"));
	f->name = p->mark;
	f->name_len = (uint16_t)(i - p->mark);
	b[p->pos++] = '\0';
	return (go(p, S_OWS));
}

static enum step
step_ows(struct http_parser *p, char *b, size_t len)
{
	while (p->pos < len && (b[p->pos] == ' ' || b[p->pos] == '\t'))
		p->pos++;
	if (p->pos == len)
		return (STEP_MORE);
	p->mark = (uint32_t)p->pos;
	return (go(p, S_VALUE));
}

static enum step
step_value(struct http_parser *p, char *b, size_t len)
{
	struct http_field *f = &p->field[p->nfields];
	size_t end;

	if (!span(p, b, len, C_VALUE))
		return (STEP_MORE);
	if (b[p->pos] != '\r')
		return (bad(p, "bad byte in a field value"));
	for (end = p->pos;
	     end > p->mark && (b[end - 1] == ' ' || b[end - 1] == '\t'); end--)
		continue;
	b[end] = '\0';
	p->pos++;
	f->value = p->mark;
	f->value_len = (uint32_t)(end - p->mark);
	p->nfields++;
	if (framing_field(p, b, f) == STEP_FAILED)
		return (STEP_FAILED);
	return (go(p, S_VALUE_LF));
}

static enum step
step_value_lf(struct http_parser *p, char *b, size_t len)
{
	return (expect(p, b, len, '\n', S_FIELD, "bare CR in a field value"));
}

/* How the message is framed: RFC 9112 6.3 without its leniencies. */
static enum step
step_head_lf(struct http_parser *p, char *b, size_t len)
{
	enum step step;

	step = expect(p, b, len, '\n', S_BODY, "bare CR behind the fields");
	if (step != STEP_ON)
		return (step);
	if (p->nhost == 0 && !p->http10)
		return (bad(p, "no host"));
	if (p->has_te && p->has_length)
		return (bad(p, "content-length beside transfer-encoding"));
	if (p->has_te && p->http10)
		return (bad(p, "transfer-encoding in HTTP/1.0"));
	p->keep_alive = !p->said_close && (!p->http10 || p->said_keep);
	/* RFC 9110 10.1.1 */
	if (p->http10 || (!p->chunked && p->content_length == 0))
		p->expect_continue = false;
	p->body_off = p->pos;
	return (STEP_HEAD);
}

/* ---- the body ---- */

static enum step
too_large(struct http_parser *p)
{
	return (fail(p, 413, "request body too large"));
}

static enum step
step_body(struct http_parser *p, char *b, size_t len)
{
	size_t left;

	if (p->chunked) {
		p->count = 0;
		p->chunk = 0;
		return (go(p, S_CHUNK_SIZE));
	}
	if (p->content_length > p->max_body)
		return (too_large(p));
	left = (size_t)p->content_length - p->body_len;
	if (left > len - p->pos) {
		p->body_len += len - p->pos;
		p->pos = len;
		return (STEP_MORE);
	}
	p->body_len += left;
	p->pos += left;
	return (go(p, S_DONE));
}

static enum step
step_chunk_size(struct http_parser *p, char *b, size_t len)
{
	for (; p->pos < len && is(b[p->pos], C_HEX); p->pos++) {
		if (++p->count > 15)
			return (bad(p, "chunk size too long"));
		p->chunk = p->chunk << 4 | hex_value(b[p->pos]);
	}
	if (p->pos == len)
		return (STEP_MORE);
	if (p->count == 0 || (b[p->pos] != '\r' && b[p->pos] != ';'))
		return (bad(p, "bad chunk size"));
	if (p->chunk > p->max_body - p->body_len)
		return (too_large(p));
	p->ext = 0;
	return (go(p, b[p->pos++] == '\r' ? S_CHUNK_LF : S_CHUNK_EXT));
}

/* Extensions are allowed, bounded, and mean nothing. */
static enum step
step_chunk_ext(struct http_parser *p, char *b, size_t len)
{
	for (; p->pos < len && is(b[p->pos], C_VALUE); p->pos++) {
		if (++p->ext > HTTP_CHUNK_EXT || ++p->exts > HTTP_CHUNK_EXTS)
			return (bad(p, "chunk extensions too long"));
	}
	return (expect(p, b, len, '\r', S_CHUNK_LF, "bad chunk extension"));
}

static enum step
step_chunk_lf(struct http_parser *p, char *b, size_t len)
{
	return (expect(p, b, len, '\n',
	    p->chunk == 0 ? S_TRAILER : S_CHUNK_DATA, "bare CR in a chunk"));
}

static enum step
step_chunk_data(struct http_parser *p, char *b, size_t len)
{
	size_t n = len - p->pos;

	if (n > p->chunk)
		n = (size_t)p->chunk;
	memmove(b + p->body_off + p->body_len, b + p->pos, n);
	p->body_len += n;
	p->pos += n;
	p->chunk -= n;
	return (p->chunk > 0 ? STEP_MORE : go(p, S_DATA_CR));
}

static enum step
step_data_cr(struct http_parser *p, char *b, size_t len)
{
	return (
	    expect(p, b, len, '\r', S_DATA_LF, "chunk longer than its size"));
}

static enum step
step_data_lf(struct http_parser *p, char *b, size_t len)
{
	p->count = 0;
	return (expect(p, b, len, '\n', S_CHUNK_SIZE, "bare CR in a chunk"));
}

/* ---- trailers: checked as fields are, bounded, dropped ---- */

static enum step
trailer_span(struct http_parser *p, char *b, size_t len, uint8_t class,
    bool *end)
{
	size_t from = p->pos;

	*end = span(p, b, len, class);
	p->trailers += (uint32_t)(p->pos - from);
	if (p->trailers > HTTP_TRAILERS_MAX)
		return (fail(p, 431, "trailers too long"));
	return (*end ? STEP_ON : STEP_MORE);
}

static enum step
step_trailer(struct http_parser *p, char *b, size_t len)
{
	if (p->pos == len)
		return (STEP_MORE);
	if (b[p->pos] == '\r') {
		p->pos++;
		return (go(p, S_LAST_LF));
	}
	if (!is(b[p->pos], C_TOKEN))
		return (bad(p, "bad trailer name"));
	/* What a line costs besides its bytes. */
	p->trailers += 4;
	return (go(p, S_TRAILER_NAME));
}

static enum step
step_trailer_name(struct http_parser *p, char *b, size_t len)
{
	bool end;
	enum step step = trailer_span(p, b, len, C_TOKEN, &end);

	if (step != STEP_ON)
		return (step);
	return (expect(p, b, len, ':', S_TRAILER_VALUE, "bad trailer name"));
}

static enum step
step_trailer_value(struct http_parser *p, char *b, size_t len)
{
	bool end;
	enum step step = trailer_span(p, b, len, C_VALUE, &end);

	if (step != STEP_ON)
		return (step);
	return (expect(p, b, len, '\r', S_TRAILER_LF,
	    "bad byte in a trailer value"));
}

static enum step
step_trailer_lf(struct http_parser *p, char *b, size_t len)
{
	return (expect(p, b, len, '\n', S_TRAILER, "bare CR in a trailer"));
}

static enum step
step_last_lf(struct http_parser *p, char *b, size_t len)
{
	return (expect(p, b, len, '\n', S_DONE, "bare CR behind the trailers"));
}

/* ---- the machine ---- */

static const step_fn steps[S_DONE] = {
	[S_START] = step_start,
	[S_START_LF] = step_start_lf,
	[S_METHOD] = step_method,
	[S_TARGET] = step_target,
	[S_VERSION] = step_version,
	[S_LINE_CR] = step_line_cr,
	[S_LINE_LF] = step_line_lf,
	[S_FIELD] = step_field,
	[S_NAME] = step_name,
	[S_OWS] = step_ows,
	[S_VALUE] = step_value,
	[S_VALUE_LF] = step_value_lf,
	[S_HEAD_LF] = step_head_lf,
	[S_BODY] = step_body,
	[S_CHUNK_SIZE] = step_chunk_size,
	[S_CHUNK_EXT] = step_chunk_ext,
	[S_CHUNK_LF] = step_chunk_lf,
	[S_CHUNK_DATA] = step_chunk_data,
	[S_DATA_CR] = step_data_cr,
	[S_DATA_LF] = step_data_lf,
	[S_TRAILER] = step_trailer,
	[S_TRAILER_NAME] = step_trailer_name,
	[S_TRAILER_VALUE] = step_trailer_value,
	[S_TRAILER_LF] = step_trailer_lf,
	[S_LAST_LF] = step_last_lf,
};

static void
head_too_large(struct http_parser *p)
{
	if (p->state == S_TARGET)
		fail(p, 414, "request target too long");
	else
		fail(p, 431, "request head too large");
}

enum http_event
http_parser_feed(struct http_parser *p, char *b, size_t len)
{
	size_t limit;
	enum step step;

	for (;;) {
		if (p->state == S_DONE)
			return (HTTP_EV_DONE);
		if (p->state == S_ERROR)
			return (HTTP_EV_ERROR);
		limit = len;
		if (p->state < S_BODY && limit > p->max_head)
			limit = p->max_head;
		step = steps[p->state](p, b, limit);
		if (step == STEP_HEAD)
			return (HTTP_EV_HEAD);
		if (step == STEP_MORE && limit == len)
			return (HTTP_EV_MORE);
		if (step == STEP_MORE)
			head_too_large(p);
	}
}

void
http_parser_reset(struct http_parser *p)
{
	size_t max_head = p->max_head, max_body = p->max_body;

	/* The table of fields is as long as nfields says. */
	memset(p, 0, offsetof(struct http_parser, field));
	memset((char *)p + offsetof(struct http_parser, body_off), 0,
	    sizeof(*p) - offsetof(struct http_parser, body_off));
	p->max_head = max_head;
	p->max_body = max_body;
}

size_t
http_parser_compact(struct http_parser *p)
{
	if (p->state > S_BODY && p->state < S_DONE)
		p->pos = p->body_off + p->body_len;
	return (p->pos);
}

bool
http_parser_idle(const struct http_parser *p)
{
	return (p->state <= S_START_LF);
}

bool
http_parser_in_body(const struct http_parser *p)
{
	return (p->state >= S_BODY && p->state < S_DONE);
}

const char *
http_parser_field(const struct http_parser *p, const char *b, const char *name,
    unsigned n)
{
	size_t len = strlen(name);
	unsigned i;

	for (i = 0; i < p->nfields; i++) {
		if (p->field[i].name_len != len ||
		    memcmp(b + p->field[i].name, name, len) != 0)
			continue;
		if (n-- == 0)
			return (b + p->field[i].value);
	}
	return (NULL);
}
