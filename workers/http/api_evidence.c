/* SPDX-License-Identifier: ISC */
/*
 * One record, and what proves the records: the signed checkpoint, the proof of
 * one line under it, the proof that a newer tree extends an older one; and the
 * order to close the live file. The front has no key and no file: it passes on
 * what the store read and must never change a byte of a proof.
 */
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/api.h"
#include "workers/http/jtext.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

/* ---- one record ---- */

static void
on_one(struct http_req *req, const char *entry)
{
	struct buf b = BUF_INITIALIZER, shown = BUF_INITIALIZER;

	if (!api_sees_context(req)) {
		jtext_hide(&shown, entry, strlen(entry), "context");
		entry = buf_str(&shown);
	}
	if (entry != NULL)
		jtext_compact(&b, entry, strlen(entry));
	else
		b.err = 1;
	buf_free(&shown);
	reply_buf(req, 200, &b);
}

static void
no_entry(struct http_req *req)
{
	reply_error(req, ERR_AUDIT_NOT_FOUND, NULL);
}

static const struct query_how one = {
	.query = Q_AUDIT_ONE,
	.rows = on_one,
	.missing = no_entry,
};

/* The router saw that these are digits. */
void
api_audit_one(struct http_req *req, const char *name)
{
	int64_t seq;

	if (ax_strtonum(name, 1, INT64_MAX, &seq) == 0)
		api_query_number(req, &one, (uint64_t)seq);
	else
		no_entry(req);
}

/* ---- the checkpoint ---- */

/* RFC 9110 13.1.2: weak comparison with each tag of the list. */
static bool
tag_matches(const char *list, const char *tag)
{
	if (list == NULL)
		return (false);
	return (strcmp(list, "*") == 0 || strstr(list, tag) != NULL);
}

static void
on_checkpoint(struct http_req *req, const char *note)
{
	char hex[33], tag[40];
	uint8_t digest[32];

	ax_sha256(note, strlen(note), digest);
	ax_hex(digest, 16, hex);
	snprintf(tag, sizeof(tag), "\"%s\"", hex);
	http_reply_header(req, "etag", tag);
	if (tag_matches(http_req_header(req, "if-none-match"), tag))
		http_reply(req, 304, NULL, NULL, 0);
	else
		http_reply(req, 200, TEXT_TYPE, note, strlen(note));
}

static void
no_checkpoint(struct http_req *req)
{
	reply_error(req, ERR_NO_CHECKPOINT, NULL);
}

static const struct query_how checkpoint = {
	.query = Q_CHECKPOINT,
	.rows = on_checkpoint,
	.missing = no_checkpoint,
};

void
api_audit_checkpoint(struct http_req *req, const char *name)
{
	api_query(req, &checkpoint);
}

/* ---- proofs ---- */

static void
on_proof(struct http_req *req, const char *proof)
{
	http_reply(req, 200, TEXT_TYPE, proof, strlen(proof));
}

/* No checkpoint at all, or none that reaches so far. */
static void
not_covered(struct http_req *req)
{
	uint64_t size;
	char details[64];

	size = health_gauge(req->ctx, PROC_NOTARY, MG_CHECKPOINT_SEQ);
	if (size == 0) {
		no_checkpoint(req);
		return;
	}
	snprintf(details, sizeof(details), "{\"checkpoint_size\":%llu}",
	    (unsigned long long)size);
	reply_error(req, ERR_NOT_COVERED, details);
}

static const struct query_how proof = {
	.query = Q_PROOF,
	.mask = QP_BIT(QP_SEQ),
	.rows = on_proof,
	.missing = not_covered,
};

void
api_audit_proof(struct http_req *req, const char *name)
{
	api_query(req, &proof);
}

static void
on_consistency(struct http_req *req, const char *text)
{
	reply_json(req, 200, text, strlen(text));
}

static const struct query_how consistency = {
	.query = Q_CONSISTENCY,
	.mask = QP_BIT(QP_FROM) | QP_BIT(QP_TO),
	.rows = on_consistency,
	.missing = no_checkpoint,
};

void
api_audit_consistency(struct http_req *req, const char *name)
{
	api_query(req, &consistency);
}

/* ---- archiving ---- */

void
api_audit_archive(struct http_req *req, const char *name)
{
	api_gate(req, GATE_ARCHIVE, "", "{}");
}
