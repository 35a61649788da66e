/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_ASK_H
#define AX_HTTP_ASK_H

#include <stdint.h>
#include "common/messages.h"
#include "workers/http/http.h"

/*
 * Questions to the store. Each has an id and a deadline, and is answered once,
 * from the event loop; never from within ask_store(). Nothing here blocks.
 */
struct inflight;

struct ask_how {
	/*
	 * text is the store's with ROWS_OK, else NULL; next is its cursor or
	 * NULL; both live until done() returns. A store that is lost or does
	 * not answer in time is ROWS_UNAVAILABLE.
	 */
	void (*done)(void *arg, enum rows_status, const char *text,
	    const char *next);
};

/*
 * Sends the question. NULL: there is no store, or too much is on its way to
 * it; done() will not be called then.
 */
struct inflight *ask_store(struct http_ctx *, const struct query_args *,
    const struct ask_how *, void *arg);
/* The answer is not wanted any more; NULL is nothing. */
void ask_forget(struct inflight *);

/* Those whose time is up; UINT64_MAX: all, the store is lost. */
void ask_expire(uint64_t mono_us);

#endif
