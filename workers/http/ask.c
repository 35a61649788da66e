/* SPDX-License-Identifier: ISC */
/*
 * Questions to the store: a question goes out with an id and a deadline, and
 * what comes back is given to whoever asked, if they are still there. It must
 * never wait, and never give an answer to a stranger.
 */
#include "common/ipc.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/http/api.h"
#include "workers/http/ask.h"

#define DEADLINE_US 10000000u

struct inflight *
ask_store(struct http_ctx *ctx, const struct query_args *args,
    const struct ask_how *how, void *arg)
{
	struct buf b = BUF_INITIALIZER;
	struct inflight *f;
	int r = -1;

	if (ctx->store == NULL || ipc_congested(ctx->store))
		return (NULL);
	f = inflight_add(&api.inflight, IF_QUERY, ax_mono_us() + DEADLINE_US);
	if (f == NULL)
		return (NULL);
	query_args_put(&b, args);
	if (!b.err)
		r = ipc_send_buf(ctx->store, MSG_QUERY, f->id, &b);
	buf_free(&b);
	if (r == -1) {
		inflight_drop(&api.inflight, f);
		return (NULL);
	}
	f->how = how;
	f->data = arg;
	return (f);
}

void
ask_forget(struct inflight *f)
{
	if (f != NULL)
		inflight_drop(&api.inflight, f);
}

static void
give(struct inflight *f, enum rows_status status, const char *text,
    const char *next)
{
	const struct ask_how *how = f->how;
	void *arg = f->data;

	inflight_drop(&api.inflight, f);
	how->done(arg, status, text, next);
}

void
http_on_rows(struct ipc *ipc, struct ipc_msg *m, void *arg)
{
	struct http_ctx *ctx = arg;
	const char *text, *next;
	struct inflight *f;
	struct msg_r r;
	unsigned status;

	mr_init(&r, m->body, m->len);
	status = mr_u8(&r);
	text = mr_str(&r);
	next = mr_str(&r);
	if (mr_end(&r) == -1 || status >= ROWS_STATUS_MAX ||
	    (status == ROWS_OK && text == NULL)) {
		ipc_violation(ipc, "malformed ROWS");
		return;
	}
	if ((f = inflight_find(&api.inflight, m->id, IF_QUERY)) == NULL) {
		metric_inc(ctx->slot, MC_IPC_DROPPED);
		return;
	}
	give(f, status, text, next);
}

void
ask_expire(uint64_t mono_us)
{
	struct inflight_table *t = &api.inflight;
	struct inflight *f;
	uint32_t at = 0;

	while ((f = inflight_next(t, &at, IF_QUERY, mono_us)) != NULL)
		give(f, ROWS_UNAVAILABLE, NULL, NULL);
}
