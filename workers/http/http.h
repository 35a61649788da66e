/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_H
#define AX_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/messages.h"
#include "common/metrics.h"
#include "common/procs.h"
#include "common/settings.h"

/*
 * The line between the server (parser, connections, credentials, rate limit,
 * metrics: server.c, conn.c) and the API (router and endpoints). The server
 * calls api_*(); the API calls http_*(). One thread, nothing here blocks.
 */

struct event_base;
struct ipc;
struct ipc_msg;
struct skill;

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_PATCH,
	HTTP_OPTIONS,
	HTTP_OTHER, /* any other token; see method_text */
	HTTP_METHOD_MAX
};

/* What the request's credential turned out to be. */
enum http_auth {
	HTTP_AUTH_NONE, /* none was presented */
	HTTP_AUTH_BAD,	/* one was presented and matches nothing */
	HTTP_AUTH_OK,	/* matched, or AUTH=off: role and actor are set */
};

enum http_bucket { HTTP_BUCKET_DEFAULT, HTTP_BUCKET_HIGH_RISK };

struct http_conf_item {
	char *name;
	char *value;
};

/*
 * What the whole worker knows; one per process. The configuration part is
 * replaced as a whole between two requests (api_conf_changed()), never while
 * an api_*() call runs: pointers taken from it do not outlive the call.
 */
struct http_ctx {
	struct event_base *base;
	struct metrics_slot *slot; /* own */
	/* Everyone's slots by role and instance, own included; NULL: absent. */
	const struct metrics_slot *slots[PROC_MAX][PROC_HTTP_MAX];

	const struct settings *settings;
	struct skill **skills; /* in registry order, as in skill[] of a slot */
	unsigned nskills;
	const struct http_conf_item *rules; /* CONF_GOVERNOR: file, JSON */
	unsigned nrules;
	const struct http_conf_item *facts; /* CONF_FACT */
	unsigned nfacts;
	uint64_t conf_generation;

	struct ipc *audit; /* NULL while the channel is down */
	struct ipc *store;
	uint64_t next_id; /* for messages: http_next_id() */
	bool draining;
};

static inline uint64_t
http_next_id(struct http_ctx *ctx)
{
	return (++ctx->next_id);
}

/* The value of a CONF_FACT ("cgroup", "version", ...), or NULL. */
const char *http_fact(const struct http_ctx *, const char *name);

/*
 * One request. Lives inside its connection, so there is at most one per
 * connection at a time. All strings are NUL-terminated, belong to the server
 * and live until the request is answered or gone; only between api_head() and
 * api_request() may they move: read the pointers again.
 */
struct http_req {
	struct http_ctx *ctx;
	enum http_method method;
	const char *method_text;
	const char *path; /* decoded; valid UTF-8 without NUL */
	const char *raw_path;
	const char *query; /* raw, behind the '?'; NULL when there was none */
	/* Whole in api_request(); NULL and 0 in api_head(). A NUL stands
	 * behind body[body_len]. */
	const char *body;
	size_t body_len;
	bool has_body;		/* known in api_head() already */
	int64_t content_length; /* -1: chunked or none */
	/* Bytes above which the server answers 413: api_head() may lower it. */
	size_t max_body;
	const char *request_id; /* [A-Za-z0-9._-]{1,128} */
	const char *address;	/* of the client: numeric, no port */
	uint64_t start_us;	/* CLOCK_MONOTONIC, first byte of the head */

	enum http_auth auth;
	const char *role;  /* "admin", "api_key", ..., "anonymous"; or NULL */
	const char *actor; /* the key's name, "anonymous"; or NULL */
	const char *token; /* as presented, for MSG_GATE_REQUEST; or NULL */

	void *app; /* the API's own */
	/*
	 * Set by whoever answers later. Called once when the client went away
	 * (or the server gave up) before http_reply(): release `app`, send
	 * CANCEL. The request must not be touched afterwards.
	 */
	void (*on_gone)(struct http_req *);
	/*
	 * Whether the end of the client's stream counts as gone. False: it may
	 * have closed only its sending side and still gets the answer.
	 */
	bool gone_on_eof;
};

/* ---- the API gives these; the server calls them ---- */

/* Before the gate opens, once. */
void api_init(struct http_ctx *);
/* A new configuration is in force (also once before the first request). */
void api_conf_changed(struct http_ctx *);
/*
 * The head is complete, the body not yet read: route, credential, role, rate
 * limit, content type, length. 0: go on. -1: http_reply() was called (401, 403,
 * 404, 405, 413, 415, 429, ...); the server then discards a small body, or
 * closes the connection, so that the answer arrives.
 */
int api_head(struct http_req *);
/*
 * Head and body are complete. Answers with http_reply() before it returns, or
 * sets on_gone and answers later, from a message or a timer.
 */
void api_request(struct http_req *);
/* About four times a second, for the API's own deadlines. */
void api_tick(struct http_ctx *, uint64_t mono_us);
/* Before this front ends: tells the gate what is held back. */
void api_event_flush(void);
/* ctx->audit or ctx->store (role) has come up or was lost. */
void api_peer_up(struct http_ctx *, enum proc_role);
void api_peer_down(struct http_ctx *, enum proc_role);
/* Messages of audit and store; arg is the struct http_ctx. */
void http_on_gate_result(struct ipc *, struct ipc_msg *, void *arg);
void http_on_rows(struct ipc *, struct ipc_msg *, void *arg);

/* ---- the server gives these; the API calls them ---- */

/* A field's value (name in lower case), or NULL. Repeated: the first. */
const char *http_req_header(const struct http_req *, const char *name);

/*
 * Adds a field to the coming answer. name and value are copied and must hold
 * no control bytes (a broken one is dropped and logged). Before http_reply().
 */
void http_reply_header(struct http_req *, const char *name, const char *value);

/*
 * Answers: exactly once per request. The body is copied; NULL and 0 for none;
 * content_type NULL for none. Adds date, content-length, connection,
 * x-request-id, x-elapsed-ms, x-content-type-options and cache-control
 * ("no-store", unless added before); a HEAD gets the fields without the body.
 * All counting of answers (status, latency) happens here, nowhere else.
 * The request stays readable until the caller returns to the event loop;
 * on_gone will not be called any more.
 */
void http_reply(struct http_req *, int status, const char *content_type,
    const void *body, size_t len);

/*
 * Takes one request from the client's budget and adds x-ratelimit-limit,
 * -remaining and -reset. True: admitted (also, without the fields, when
 * limiting is off). False: answer 429; *limit and *reset_s tell why, and
 * retry-after has been added. Not for probes and scrapes.
 */
bool http_rate_admit(struct http_req *, enum http_bucket, unsigned *limit,
    unsigned *reset_s);

/*
 * Percent-decodes src[0..n) into dst (at least n + 1 bytes; may be src itself)
 * and puts a NUL behind. `plus`: '+' is a space, as in a query. Returns the
 * length, or -1: an invalid escape, a NUL, or not valid UTF-8.
 */
long http_unescape(char *dst, const char *src, size_t n, bool plus);

/*
 * Writes the Prometheus text (0.0.4) of all slots. Content type of it:
 */
#define EXPO_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
struct buf;
void expo_write(struct buf *, const struct http_ctx *, uint64_t now_real_us);

#endif
