/* SPDX-License-Identifier: ISC */
#ifndef AX_TEST_API_HELP_H
#define AX_TEST_API_HELP_H

#include "common/ipc.h"
#include "common/manifest.h"
#include "common/msg.h"
#include "workers/http/api.h"

/*
 * The API without a server: real handlers and real channels, and in place of
 * the connection a recorder of what was answered. The other ends of the
 * channels are played by the test, so that every verdict of the gate and every
 * way to lose it can be shown.
 */

/* What the API answered. */
struct got {
	int status, count;
	char *body;
	char headers[1024]; /* "name: value\n" */
	const char *content_type, *idem_key, *sent_type;
	const char *last_event_id, *if_none_match;
	bool rate_ok;
	/* a stream: its text so far, and how it ended */
	struct buf text;
	bool full, no_room; /* what the server would say */
	bool streaming, ended, aborted;
	void (*more)(struct http_req *);
};
extern struct got got;

/* What the other ends of the channels were told. */
struct seen {
	unsigned requests, cancels, events, queries;
	uint64_t id, event_count;
	enum gate_action action;
	char token[64], skill[64], inputs[256], key[140];
	struct query_args args;
	char action_filter[64], cursor[64];
};
extern struct seen seen;

extern struct metrics_slot own_slot, audit_slot, notary_slot, store_slot,
    sched_slot, broker_slot;
extern struct settings *settings;
extern struct http_ctx ctx;
extern struct ipc *audit_end, *store_end;

int setup(void **state);
int teardown(void **state);

/* Everything that waits on the channel's end, without waiting for more. */
void pump(struct ipc *);

/* A request as the server would give it; forgets what was answered before. */
struct http_req request(enum http_method, const char *path, const char *role);
/* The same, a GET by an API key, with a query string. */
struct http_req query(const char *path, const char *qs);
struct http_req *post(struct http_req *, const char *body);
/* Through the dispatcher. */
void run(struct http_req *);
/* Exactly one answer, with this status and, if not NULL, this code. */
void want(int status, const char *code);
/* The store answers. */
void rows(uint64_t id, enum rows_status, const char *text, const char *next);

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
