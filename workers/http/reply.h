/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_REPLY_H
#define AX_HTTP_REPLY_H

#include <stdint.h>
#include "common/buf.h"
#include "workers/http/http.h"
#include "workers/http/invalid.h"

/*
 * Answers: the one table of error codes (contract 2.5; clients match on
 * `code`), and the envelopes around them. Routes name the errors they can give
 * by a mask of these, and the OpenAPI document is made from the same table.
 */
enum api_error {
	/* the server's own, here for the document */
	ERR_BAD_REQUEST,
	ERR_CREDENTIAL_IN_QUERY,

	ERR_UNAUTHORIZED,
	ERR_FORBIDDEN,
	ERR_RATE_LIMITED,
	ERR_TOO_LARGE,
	ERR_MEDIA_TYPE,
	ERR_VALIDATION, /* 422: reply_invalid() */
	ERR_IDEM_KEY,
	ERR_RISK_RANGE,
	ERR_DATE_RANGE,
	ERR_CURSOR,
	ERR_TREE_RANGE,
	ERR_AUDIT_NOT_FOUND,
	ERR_NO_CHECKPOINT,
	ERR_NOT_COVERED,
	ERR_STREAMS,
	ERR_SKILL_NOT_FOUND,
	ERR_SKILL_DISABLED,
	ERR_SKILL_DENIED,
	ERR_SKILL_INPUT,
	ERR_BLOCKED,
	ERR_AUDIT_UNAVAILABLE,
	ERR_DB_UNAVAILABLE,
	ERR_BUSY,
	ERR_NOT_RECORDED,
	ERR_INTERRUPTED,
	ERR_METRICS_DISABLED,
	ERR_INTERNAL,
	ERR_MAX
};
#define ERR_BIT(e) (1u << (e))

struct error_def {
	int status;
	const char *code;
	const char *message;
	unsigned retry_s; /* Retry-After, seconds; 0: none */
};
extern const struct error_def error_defs[ERR_MAX];

#define JSON_TYPE "application/json"

/* Answers with JSON text that is complete. */
void reply_json(struct http_req *, int status, const char *, size_t);
/* Answers with a buf's contents and frees it; 500 if the buf has failed. */
void reply_buf(struct http_req *, int status, struct buf *);
/*
 * Answers with {"detail":{"code","message","details":{...}}}. `details` is
 * JSON text of an object; NULL is {}.
 */
void reply_error(struct http_req *, enum api_error, const char *details);
/* The same with a Retry-After of the caller's; 0: as the table says. */
void reply_error_retry(struct http_req *, enum api_error, unsigned retry_s,
    const char *details);
/* 422 with the items; frees them. No items at all means ENOMEM: 500. */
void reply_invalid(struct http_req *, struct invalid *);
void reply_rate_limited(struct http_req *, enum http_bucket, unsigned limit,
    unsigned reset_s);
void reply_not_found(struct http_req *);
void reply_method(struct http_req *, const char *allow);

#endif
