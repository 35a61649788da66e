/* SPDX-License-Identifier: ISC */
/*
 * Refusals that the journal should know of (401, 403 for the role, 429). They
 * are fire and forget: the first of a kind from an address is told at once,
 * what follows within a second is counted and told as one. The table never
 * grows: addresses that find no row are counted together, without a name. A
 * count must never be put down to an address that it did not come from.
 */
#include <stdio.h>
#include <string.h>

#include "common/ipc.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/http/api.h"

#define ROWS	   64
#define WINDOW_US  1000000u
#define DETAIL_MAX 200
#define IDS	   16

static struct row {
	enum audit_event event;
	char address[46]; /* "": the row is free, or that of all others */
	uint64_t window_us;
	uint64_t held; /* not told yet */
	uint64_t ids;  /* different request ids among them: IDS and more */
	uint32_t seen[IDS];
} rows[ROWS], others[AE_MAX];

static struct row *
row_of(enum audit_event e, const char *address, uint64_t now_us)
{
	struct row *spare = NULL, *r;

	for (r = rows; r < rows + ROWS; r++) {
		if (r->event == e && strcmp(r->address, address) == 0)
			return (r);
		if (r->address[0] == '\0')
			spare = r;
		else if (r->held == 0 && now_us - r->window_us >= WINDOW_US)
			spare = r;
	}
	if (spare == NULL)
		return (&others[e]);
	memset(spare, 0, sizeof(*spare));
	spare->event = e;
	(void)ax_strlcpy(spare->address, address, sizeof(spare->address));
	return (spare);
}

static void
hold(struct row *r, const char *request_id)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	size_t i;

	r->held++;
	for (; *request_id != '\0'; request_id++)
		h = (h ^ (unsigned char)*request_id) * 16777619u;
	for (i = 0; i < r->ids && i < IDS; i++) {
		if (r->seen[i] == h)
			return;
	}
	if (r->ids < IDS)
		r->seen[r->ids] = h;
	if (r->ids <= IDS)
		r->ids++;
}

static bool
is_due(const struct row *r, uint64_t now_us)
{
	return (r->held != 0 && now_us - r->window_us >= WINDOW_US);
}

/* One message for all that is held; request_id and detail are of one. */
static void
tell(struct row *r, const char *request_id, const char *detail, uint64_t now_us)
{
	struct ipc *audit = api.ctx->audit;
	struct buf b = BUF_INITIALIZER;

	if (audit == NULL || ipc_congested(audit))
		return;
	mw_u8(&b, (uint8_t)r->event);
	mw_str(&b, r->address[0] != '\0' ? r->address : NULL);
	mw_str(&b, request_id);
	mw_str(&b, detail);
	mw_u64(&b, r->held);
	mw_u64(&b, r->ids);
	if (!b.err &&
	    ipc_send_buf(audit, MSG_AUDIT_EVENT, http_next_id(api.ctx), &b) ==
		0) {
		r->held = r->ids = 0;
		r->window_us = now_us;
	}
	buf_free(&b);
}

void
api_event(const struct http_req *req, enum audit_event e)
{
	uint64_t now_us = ax_mono_us();
	struct row *r = row_of(e, req->address, now_us);
	char detail[DETAIL_MAX];

	r->event = e;
	hold(r, req->request_id);
	if (r->held > 1 || !is_due(r, now_us))
		return;
	/* cut to fit: the log of refusals needs no more of it */
	if (snprintf(detail, sizeof(detail), "%s %s", req->method_text,
		req->raw_path) < 0)
		detail[0] = '\0';
	tell(r, req->request_id, detail, now_us);
}

static void
tell_due(struct row *r, size_t n, uint64_t now_us, bool all)
{
	for (; n > 0; r++, n--) {
		if (all ? r->held != 0 : is_due(r, now_us))
			tell(r, NULL, NULL, now_us);
	}
}

void
api_event_tick(uint64_t mono_us)
{
	tell_due(rows, ROWS, mono_us, false);
	tell_due(others, AE_MAX, mono_us, false);
}

void
api_event_flush(void)
{
	tell_due(rows, ROWS, ax_mono_us(), true);
	tell_due(others, AE_MAX, ax_mono_us(), true);
}
