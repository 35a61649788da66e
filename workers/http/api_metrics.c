/* SPDX-License-Identifier: ISC */
/*
 * Scrapes: the text itself is written by expo.c from everyone's slots; this
 * only serves it, and says so when it is switched off.
 */
#include "common/util.h"
#include "workers/http/api.h"

void
api_metrics(struct http_req *req, const char *name)
{
	struct buf b = BUF_INITIALIZER;

	if (!settings_bool(req->ctx->settings, SET_ENABLE_METRICS)) {
		reply_error(req, ERR_METRICS_DISABLED, NULL);
		return;
	}
	expo_write(&b, req->ctx, ax_real_us());
	if (b.err)
		reply_error(req, ERR_INTERNAL, NULL);
	else
		http_reply(req, 200, EXPO_CONTENT_TYPE, b.d, b.len);
	buf_free(&b);
}
