/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_PARSER_H
#define AX_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "workers/http/http.h"

/*
 * A strict, incremental parser of HTTP/1.x requests (RFC 9110, 9112). Pure: it
 * does no I/O and allocates nothing. It works in the caller's buffer, which
 * holds one request from its first byte on, and rewrites what it has passed:
 * field names in lower case, a NUL behind the method, target, names and values,
 * chunked bodies without their chunk lines. All positions are offsets, so the
 * buffer may move between two calls. Which bytes come in which call never
 * changes the outcome.
 */

#define HTTP_FIELDS_MAX	  100	/* fields of one head; beyond, 431 */
#define HTTP_METHOD_LEN	  32	/* longer is 501 */
#define HTTP_TARGET_MAX	  8192	/* longer is 414 */
#define HTTP_CHUNK_EXT	  256	/* bytes of one chunk's extensions */
#define HTTP_CHUNK_EXTS	  16384 /* of all of one body */
#define HTTP_TRAILERS_MAX 8192	/* bytes of the trailer section */

enum http_event {
	HTTP_EV_MORE, /* every byte was used: feed again with more */
	HTTP_EV_HEAD, /* once: the head is complete. Feed again (same bytes) */
	HTTP_EV_DONE, /* the request is complete; the next starts at `pos` */
	HTTP_EV_ERROR /* answer `status`, close, throw the buffer away */
};

struct http_field {
	uint32_t name;
	uint32_t value;
	uint32_t value_len;
	uint16_t name_len;
};

struct http_parser {
	/* Limits. max_body may be changed at HTTP_EV_HEAD. */
	size_t max_head;
	size_t max_body;

	/* The error: 400, 413, 414, 417, 431, 501 or 505, and a literal. */
	uint16_t status;
	const char *why;

	/* The head, valid from HTTP_EV_HEAD on. */
	enum http_method method;
	uint32_t method_off;
	uint32_t path_off; /* raw; "*" for OPTIONS * */
	uint32_t path_len;
	uint32_t query_off; /* 0: no '?' */
	bool path_escaped;  /* holds a '%' */
	bool http10;
	bool keep_alive;
	bool expect_continue;
	bool chunked;
	bool has_length;
	uint64_t content_length;
	unsigned nfields;
	struct http_field field[HTTP_FIELDS_MAX];

	/* The body: so far, or at HTTP_EV_DONE the whole. */
	size_t body_off;
	size_t body_len;

	size_t pos; /* bytes used */

	/* Private. */
	uint8_t state;
	uint8_t nhost;
	uint8_t count; /* of digits or of a literal's bytes */
	bool skipped_line;
	bool has_te;
	bool said_close;
	bool said_keep;
	uint32_t mark; /* where the element being read starts */
	uint64_t chunk;
	uint32_t ext, exts, trailers;
};

/* Ready for a first or next request; the limits stay as they are. */
void http_parser_reset(struct http_parser *);

/*
 * Goes on with buf[0..len), the request so far. The bytes before `pos` must be
 * those of the last call (as rewritten). After an error or HTTP_EV_DONE only
 * http_parser_reset() may follow.
 */
enum http_event http_parser_feed(struct http_parser *, char *buf, size_t len);

/*
 * After HTTP_EV_MORE: forgets the chunk lines already used. Returns the new
 * length of the buffer's contents; later bytes go there.
 */
size_t http_parser_compact(struct http_parser *);

/* True while nothing of a request has been seen (an empty line at most). */
bool http_parser_idle(const struct http_parser *);
/* True from HTTP_EV_HEAD on. */
bool http_parser_in_body(const struct http_parser *);

/*
 * The n-th (0: first) field of that name (lower case): its value in buf, or
 * NULL.
 */
const char *http_parser_field(const struct http_parser *, const char *buf,
    const char *name, unsigned n);

#endif
