/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_STREAM_H
#define AX_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include "workers/http/http.h"

/*
 * Answers that are made while they are sent: `chunked` to HTTP/1.1 (RFC 9112
 * 7.1), to HTTP/1.0 unframed with the connection's end behind them. The
 * producer writes a piece when there is room, and is told when there is room
 * again; so a stream holds STREAM_LOW bytes and one piece at most, however
 * slow its client is. Nothing here blocks.
 *
 * While a stream is open, req->on_gone is called once if the client goes away,
 * or reads nothing for HTTP_IDLE_TIMEOUT; the request must not be touched
 * afterwards. A client's next request waits until the stream has ended.
 */
#define STREAM_LOW 16384 /* bytes waiting: below it there is room */

enum stream_begun {
	STREAM_OPEN,
	STREAM_DONE, /* to a HEAD: the fields are all there is */
	STREAM_FULL, /* HTTP_MAX_STREAMS are open: nothing was answered */
};

/*
 * Begins the answer to a request that is whole, instead of http_reply();
 * fields are those of http_reply_header(). more() is called from the event
 * loop after http_stream_room() said no, when there is room again. The credential is
 * forgotten: a stream may last for days.
 */
enum stream_begun http_stream_begin(struct http_req *, int status,
    const char *content_type, void (*more)(struct http_req *));

/* Whether another piece is wanted; if not, more() will be called once. */
bool http_stream_room(struct http_req *);

/* Sends or keeps a copy of n bytes, in one chunk. Errors show as on_gone. */
void http_stream_write(struct http_req *, const void *, size_t n);

/*
 * The answer is complete. The request is the server's again when the caller
 * returns to the event loop; on_gone will not be called.
 */
void http_stream_end(struct http_req *);

/*
 * The answer can't be completed: the connection is closed without the last
 * chunk, so that the client knows. on_gone will not be called.
 */
void http_stream_abort(struct http_req *);

#endif
