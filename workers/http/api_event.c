/* SPDX-License-Identifier: ISC */
/*
 * Refusals that the journal should know of (401, 403 for the role, 429). They
 * are fire and forget: a flood of bad requests must never become a flood of
 * records, so each kind has a small budget per second, and what is above it is
 * added to the count of the next one.
 */
#include <stdio.h>
#include <string.h>

#include "common/ipc.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/http/api.h"

#define EVENTS_PER_WINDOW 4
#define WINDOW_US	  1000000u
#define DETAIL_MAX	  200

static struct {
	uint64_t window_us; /* its start */
	unsigned sent;	    /* in it */
	uint64_t held;	    /* not told yet */
} budget[AE_MAX];

static bool
may_send(enum audit_event e, uint64_t now_us)
{
	if (now_us - budget[e].window_us >= WINDOW_US) {
		budget[e].window_us = now_us;
		budget[e].sent = 0;
	}
	return (api.ctx->audit != NULL && !ipc_congested(api.ctx->audit) &&
	    budget[e].sent < EVENTS_PER_WINDOW);
}

/* Sends one record that stands for everything held back as well. */
static void
send_event(enum audit_event e, const char *address, const char *request_id,
    const char *detail)
{
	struct buf b = BUF_INITIALIZER;

	mw_u8(&b, (uint8_t)e);
	mw_str(&b, address);
	mw_str(&b, request_id);
	mw_str(&b, detail);
	mw_u64(&b, budget[e].held);
	if (!b.err &&
	    ipc_send_buf(api.ctx->audit, MSG_AUDIT_EVENT, http_next_id(api.ctx),
		&b) == 0) {
		budget[e].sent++;
		budget[e].held = 0;
	}
	buf_free(&b);
}

void
api_event(const struct http_req *req, enum audit_event e)
{
	char detail[DETAIL_MAX];

	budget[e].held++;
	if (!may_send(e, ax_mono_us()))
		return;
	/* cut to fit: the log of refusals needs no more of it */
	if (snprintf(detail, sizeof(detail), "%s %s", req->method_text,
		req->raw_path) < 0)
		detail[0] = '\0';
	send_event(e, req->address, req->request_id, detail);
}

void
api_event_tick(uint64_t mono_us)
{
	unsigned e;

	for (e = 0; e < AE_MAX; e++)
		if (budget[e].held != 0 && may_send(e, mono_us))
			send_event(e, "", "", "held back");
}
