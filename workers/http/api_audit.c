/* SPDX-License-Identifier: ISC */
/*
 * Reading the records (contract 3.4): four questions to the store that differ
 * only in what they take and in the key of the answer. Reads go direct; nothing
 * here may change anything.
 */
#include "workers/http/api.h"

static const struct query_how page = {
	.query = Q_AUDIT_PAGE,
	.mask = QP_PAGE,
	.path = "/v1/audit",
	.key = "entries",
};
static const struct query_how summary = {
	.query = Q_AUDIT_SUMMARY,
	.mask = QP_FILTERS,
	.key = "summary",
};
static const struct query_how actions = {
	.query = Q_AUDIT_ACTIONS,
	.mask = QP_BIT(QP_DECISION) | QP_BIT(QP_ACTION_PREFIX),
	.key = "actions",
};
static const struct query_how decisions = {
	.query = Q_AUDIT_DECISIONS,
	.mask = QP_BIT(QP_ACTION),
	.key = "decisions",
};

void
api_audit_page(struct http_req *req, const char *name)
{
	api_query(req, &page);
}

void
api_audit_summary(struct http_req *req, const char *name)
{
	api_query(req, &summary);
}

void
api_audit_actions(struct http_req *req, const char *name)
{
	api_query(req, &actions);
}

void
api_audit_decisions(struct http_req *req, const char *name)
{
	api_query(req, &decisions);
}
