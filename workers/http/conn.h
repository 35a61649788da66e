/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_CONN_H
#define AX_HTTP_CONN_H

#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/buf.h"
#include "workers/http/auth.h"
#include "workers/http/http.h"
#include "workers/http/parser.h"
#include "workers/http/rate.h"

/*
 * Private to server.c, conn.c, answer.c and stream.c.
 *
 * The loop is libevent's; the buffers are our own, not bufferevents: those cost
 * an ioctl, a timer and several allocations per request (an evhttp server needs
 * twice nginx's CPU, this one about the same). An idle connection holds no
 * buffer at all: the server's scratch buffers serve it while it is worked on,
 * and only what is left over is copied to the connection.
 */

#define CONN_SCRATCH	16384  /* bytes read at once */
#define CONN_BATCH	64     /* pipelined requests per turn */
#define CONN_OUT_HIGH	262144 /* bytes of answers per turn */
#define CONN_DISCARD	65536  /* a refused body that is read on */
#define CONN_OVER	64     /* connections above the cap: get a 503 */
#define CONN_LINGER_US	5000000
#define CONN_MEMORY_MAX (64u << 20) /* of all buffers of connections */

/* What a connection's deadline is about. */
enum conn_phase {
	PH_NONE,  /* no deadline: an answer is being made */
	PH_FIRST, /* nothing received yet */
	PH_IDLE,
	PH_HEAD,
	PH_BODY,
	PH_WRITE,
	PH_STREAM, /* a stream's client must read on */
	PH_LINGER,
	PH_MAX
};

struct conn {
	struct http_req req; /* first: conn_of() */
	struct http_server *srv;
	TAILQ_ENTRY(conn) entry;
	TAILQ_ENTRY(conn) again_entry;
	struct event ev_read, ev_write;
	int fd;

	enum conn_phase phase;
	uint64_t deadline; /* CLOCK_MONOTONIC us; 0: none */

	/* in + off: the request being read; in is NULL, the server's scratch
	 * buffer (only during a turn), or the connection's own. cap leaves one
	 * byte for a NUL. */
	char *in;
	size_t off, len, cap;
	struct buf out; /* what the socket did not take */
	size_t out_off;
	size_t taken;	  /* of out, since the deadline was set */
	struct buf extra; /* fields for the coming answer */

	bool own;     /* in is the connection's own */
	bool reading; /* ev_read is registered */
	bool writing; /* ev_write is registered */
	bool busy;    /* conn_turn() is on the stack */
	bool queued;  /* on the server's again list */
	bool starved; /* the parser wants more bytes */
	bool headed;  /* api_head() has been called */
	bool whole;   /* the request has been read to its end */
	bool pending; /* api_request() has been called, no answer yet */
	bool answered;
	bool discard;	/* answered; the body is read and thrown away */
	bool cache_set; /* the API gave its own cache-control */
	bool streaming; /* the answer's head is out, its end is not */
	bool last;	/* the answer said "connection: close" */
	bool unread;	/* the client may still be sending: linger */
	bool eof;	/* the client has closed its side */
	bool dead;	/* broken: close without more */
	size_t memory;	/* counted in the server's */

	bool hungry; /* the stream's producer was told to wait */
	/* A stream's producer, called when there is room; NULL: none. */
	void (*more)(struct http_req *);

	char *body_end; /* where a NUL was put, or NULL */
	char body_saved;
	char *path; /* decoded path, if it had escapes */
	char request_id[129];
	char peer[48]; /* numeric address */
	char address[48];
	char role[AUTH_ROLE_MAX + 1];
	char actor[AUTH_NAME_MAX + 1];
	uint8_t who[AUTH_DIGEST]; /* digest of a good credential */
	bool has_who;
	struct http_parser parser; /* last: it is large */
};

TAILQ_HEAD(conn_list, conn);

struct http_limits {
	size_t max_head, max_body;
	uint64_t timeout_us[PH_MAX];
};

struct http_server {
	struct http_ctx *ctx;
	int listener;
	struct event *ev_accept, *ev_tick, *ev_again;
	struct conn_list conns, again;
	unsigned nconns, max_conns;
	unsigned nstreams, max_streams;
	bool accept_paused; /* said so in the log */
	struct http_limits limits;
	struct auth_table *auth;
	struct rate_table *rate;
	bool auth_off, rate_on;
	unsigned rate_limit[2]; /* by enum http_bucket */
	uint64_t now_us;	/* of the last tick */
	size_t memory;		/* of connections' own buffers */
	char *in;		/* scratch, CONN_SCRATCH + 1 bytes */
	struct buf out;		/* scratch */
	char date[32];		/* "Mon, 23 Nov 2026 19:00:00 GMT" */
	uint8_t random[1024];
	size_t random_left;
	void (*drained)(void *);
	void *drained_arg;
};

static inline struct conn *
conn_of(struct http_req *req)
{
	return ((struct conn *)(void *)req);
}

/* ---- conn.c ---- */

/* A new connection on fd (taken over); NULL: no memory, fd is closed. */
struct conn *conn_new(struct http_server *, int fd, const char *peer);
/* It is one too many: it gets a 503 and goes. */
void conn_refuse(struct conn *);
/* Ends it at once; tells the API if a request is unanswered. */
void conn_close(struct conn *);
/* Its deadline has passed. */
void conn_expired(struct conn *);
/* True while closing it would lose nothing. */
bool conn_is_idle(const struct conn *);
/* Goes on after an answer that was given outside a turn. */
void conn_resume(struct conn *);
/* For answer.c: the answer is in the buffer. */
void conn_answered(struct conn *);
/* Where answers go: behind what the socket has not taken yet. */
struct buf *conn_out(struct conn *);
/* For stream.c: sends what waits, as far as the socket takes it. */
void conn_push(struct conn *);
/* Bytes that the socket has not taken yet. */
size_t conn_waiting(const struct conn *);

/* ---- answer.c ---- */

/* Answers with the error envelope of the contract (2.5). */
void answer_error(struct http_req *, int status, const char *code,
    const char *message);
/* The head of an answer whose length is not known; counts the answer. */
void answer_stream(struct conn *, int status, const char *type);
/* The code for an error of the parser or of the server itself. */
const char *answer_code(int status);

/* ---- stream.c ---- */

/* The connection ends: takes its stream, if there is one, off the books. */
void stream_forget(struct conn *);
/* There is room again, and the producer waits to hear of it. */
bool stream_is_due(const struct conn *);

/* ---- server.c ---- */

void server_forget(struct http_server *, struct conn *);
void server_again(struct http_server *, struct conn *);
/* A version 4 UUID, RFC 9562 (36 bytes and NUL). */
void server_uuid(struct http_server *, char out[37]);

/* ---- request.c ---- */

/* Fills req from the parsed head; -1 when the path is not valid UTF-8. */
int request_bind(struct conn *);
/* Points the strings of req into the buffer again. */
void request_point(struct conn *);
/* Makes req answerable when there is no parsed head. */
void request_blank(struct conn *);
/* Wipes the token before the request ends. */
void request_forget_token(struct conn *);
/* Wipes what must not outlive the request. */
void request_clear(struct conn *);

#endif
