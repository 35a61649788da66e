/* SPDX-License-Identifier: ISC */
/*
 * /openapi.json (OpenAPI 3.1): written from the route table, the parameter
 * table, the error table and the shapes, the same tables that the code runs on.
 * It must not contain a statement that is not in one of them.
 */
#include <stdio.h>
#include <string.h>

#include "common/jw.h"
#include "workers/http/api.h"
#include "workers/http/shapes.h"

static void
put_media(struct jw *w, const char *media, const char *type)
{
	jw_key(w, media);
	jw_obj(w);
	jw_key(w, "schema");
	shape_type(w, type);
	jw_obj_end(w);
}

static void
put_content(struct jw *w, const char *media, const char *type)
{
	jw_key(w, "content");
	jw_obj(w);
	put_media(w, media, type);
	jw_obj_end(w);
}

static void
put_response(struct jw *w, int status, const char *help, const char *media,
    const char *type)
{
	char key[16];

	snprintf(key, sizeof(key), "%d", status);
	jw_key(w, key);
	jw_obj(w);
	jw_kstr(w, "description", help);
	put_content(w, media, type);
	jw_obj_end(w);
}

/* What any request can meet before its handler. */
static uint32_t
route_errors(const struct route *r)
{
	uint32_t mask = r->errors | ERR_BIT(ERR_INTERNAL) |
	    ERR_BIT(ERR_BAD_REQUEST) | ERR_BIT(ERR_CREDENTIAL_IN_QUERY);

	if (r->access != ACCESS_PUBLIC)
		mask |= ERR_BIT(ERR_UNAUTHORIZED);
	if (r->access == ACCESS_ADMIN)
		mask |= ERR_BIT(ERR_FORBIDDEN);
	if ((r->flags & ROUTE_UNLIMITED) == 0)
		mask |= ERR_BIT(ERR_RATE_LIMITED);
	return (mask);
}

/* All codes of one status are one response. */
static void
put_errors(struct jw *w, const struct route *r)
{
	static const int statuses[] = { 400, 401, 403, 404, 413, 415, 422, 429,
		500, 503 };
	uint32_t mask = route_errors(r);
	struct buf help = BUF_INITIALIZER;
	unsigned s, e;

	for (s = 0; s < sizeof(statuses) / sizeof(statuses[0]); s++) {
		if (statuses[s] == 503 && (r->flags & ROUTE_OR_503) != 0)
			continue;
		buf_reset(&help);
		for (e = 0; e < ERR_MAX; e++) {
			if ((mask & ERR_BIT(e)) == 0 ||
			    error_defs[e].status != statuses[s])
				continue;
			buf_printf(&help, "%s%s", help.len > 0 ? ", " : "",
			    error_defs[e].code);
		}
		if (help.len > 0)
			put_response(w, statuses[s], buf_str(&help), JSON_TYPE,
			    statuses[s] == 422 ? "ValidationError" : "Error");
	}
	buf_free(&help);
}

/* In all the forms that it has. */
static void
put_good(struct jw *w, const struct route *r)
{
	jw_key(w, "200");
	jw_obj(w);
	jw_kstr(w, "description", "OK");
	jw_key(w, "content");
	jw_obj(w);
	if ((r->flags & ROUTE_TEXT) != 0)
		put_media(w, "text/plain", "string");
	if ((r->flags & ROUTE_EVENTS) != 0)
		put_media(w, "text/event-stream", "string");
	if ((r->flags & ROUTE_LINES) != 0)
		put_media(w, "application/x-ndjson", "string");
	if (r->answer != NULL)
		put_media(w, JSON_TYPE, r->answer);
	jw_obj_end(w);
	jw_obj_end(w);
}

static void
put_responses(struct jw *w, const struct route *r)
{
	jw_key(w, "responses");
	jw_obj(w);
	put_good(w, r);
	if ((r->flags & ROUTE_OR_503) != 0)
		put_response(w, 503, "The same, when it is not so", JSON_TYPE,
		    r->answer);
	put_errors(w, r);
	jw_obj_end(w);
}

static void
put_integer(struct jw *w, const struct qp_def *d)
{
	jw_kstr(w, "type", "integer");
	jw_kint(w, "minimum", d->min);
	jw_kint(w, "maximum", d->max);
	if (d->dflt != -1)
		jw_kint(w, "default", d->dflt);
}

static void
put_query_schema(struct jw *w, const struct qp_def *d)
{
	if (d->type == QPT_WORD) {
		shape_type(w, d->words);
		return;
	}
	jw_obj(w);
	if (d->type == QPT_INT) {
		put_integer(w, d);
	} else if (d->type == QPT_COUNT) {
		jw_key(w, "anyOf");
		jw_arr(w);
		jw_obj(w);
		put_integer(w, d);
		jw_obj_end(w);
		shape_type(w, "all");
		jw_arr_end(w);
	} else {
		jw_kstr(w, "type", "string");
		if (d->type == QPT_TIME)
			jw_kstr(w, "format", "date-time");
		else
			jw_kint(w, "maxLength", d->max);
	}
	jw_obj_end(w);
}

static void
put_query_parameters(struct jw *w, uint32_t mask)
{
	unsigned p;

	for (p = 0; p < QP_MAX; p++) {
		if ((mask & QP_BIT(p)) == 0)
			continue;
		jw_obj(w);
		jw_kstr(w, "name", qp_defs[p].name);
		jw_kstr(w, "in", "query");
		jw_kstr(w, "description", qp_defs[p].help);
		jw_kbool(w, "required", qp_defs[p].required);
		jw_key(w, "schema");
		put_query_schema(w, &qp_defs[p]);
		jw_obj_end(w);
	}
}

/* The segment in braces: a name, or a number. */
static void
put_path_parameter(struct jw *w, const char *brace)
{
	bool number = strncmp(brace, "{seq}", 5) == 0;

	jw_obj(w);
	jw_kstr(w, "name", number ? "seq" : "name");
	jw_kstr(w, "in", "path");
	jw_kbool(w, "required", true);
	jw_key(w, "schema");
	if (number)
		put_query_schema(w, &qp_defs[QP_SEQ]);
	else {
		jw_obj(w);
		jw_kstr(w, "type", "string");
		jw_kstr(w, "pattern", "^[A-Za-z0-9_.-]{1,64}$");
		jw_obj_end(w);
	}
	jw_obj_end(w);
}

static void
put_parameters(struct jw *w, const struct route *r)
{
	const char *brace = strchr(r->path, '{');

	if (brace == NULL && r->query == 0)
		return;
	jw_key(w, "parameters");
	jw_arr(w);
	if (brace != NULL)
		put_path_parameter(w, brace);
	put_query_parameters(w, r->query);
	jw_arr_end(w);
}

static void
put_scheme_use(struct jw *w, const char *name)
{
	jw_obj(w);
	jw_key(w, name);
	jw_arr(w);
	jw_arr_end(w);
	jw_obj_end(w);
}

static void
put_security(struct jw *w, const struct route *r)
{
	jw_key(w, "security");
	jw_arr(w);
	if (r->access != ACCESS_PUBLIC) {
		put_scheme_use(w, "bearer");
		put_scheme_use(w, "apiKey");
	}
	jw_arr_end(w);
}

static void
put_operation(struct jw *w, const struct route *r)
{
	jw_key(w, r->method == HTTP_GET ? "get" : "post");
	jw_obj(w);
	jw_kstr(w, "operationId", r->id);
	jw_kstr(w, "summary", r->summary);
	jw_key(w, "tags");
	jw_arr(w);
	jw_str(w, r->tag);
	jw_arr_end(w);
	if (r->access == ACCESS_ADMIN)
		jw_kstr(w, "description", "Needs the role admin.");
	put_security(w, r);
	put_parameters(w, r);
	if (r->body != NULL) {
		jw_key(w, "requestBody");
		jw_obj(w);
		jw_kbool(w, "required", true);
		put_content(w, JSON_TYPE, r->body);
		jw_obj_end(w);
	}
	put_responses(w, r);
	jw_obj_end(w);
}

/* Rows of one path stand together in the document, wherever they are. */
static void
put_paths(struct jw *w)
{
	unsigned i, j;

	jw_key(w, "paths");
	jw_obj(w);
	for (i = 0; i < api_nroutes; i++) {
		for (j = 0; j < i; j++)
			if (strcmp(api_routes[j].path, api_routes[i].path) == 0)
				break;
		if (j < i)
			continue;
		jw_key(w, api_routes[i].path);
		jw_obj(w);
		for (j = i; j < api_nroutes; j++)
			if (strcmp(api_routes[j].path, api_routes[i].path) == 0)
				put_operation(w, &api_routes[j]);
		jw_obj_end(w);
	}
	jw_obj_end(w);
}

static void
put_schemes(struct jw *w)
{
	jw_key(w, "securitySchemes");
	jw_obj(w);
	jw_key(w, "bearer");
	jw_obj(w);
	jw_kstr(w, "type", "http");
	jw_kstr(w, "scheme", "bearer");
	jw_obj_end(w);
	jw_key(w, "apiKey");
	jw_obj(w);
	jw_kstr(w, "type", "apiKey");
	jw_kstr(w, "in", "header");
	jw_kstr(w, "name", "x-api-key");
	jw_obj_end(w);
	jw_obj_end(w);
}

static void
put_components(struct jw *w)
{
	unsigned i;

	jw_key(w, "components");
	jw_obj(w);
	put_schemes(w);
	jw_key(w, "schemas");
	jw_obj(w);
	for (i = 0; i < nshapes; i++) {
		jw_key(w, shapes[i].name);
		shape_schema(w, &shapes[i]);
	}
	jw_obj_end(w);
	jw_obj_end(w);
}

void
api_openapi_build(struct api *a)
{
	struct jw w;

	buf_reset(&a->openapi);
	jw_init(&w, &a->openapi, false);
	jw_obj(&w);
	jw_kstr(&w, "openapi", "3.1.0");
	jw_key(&w, "info");
	jw_obj(&w);
	jw_kstr(&w, "title", "ArcHillx");
	jw_kstr(&w, "version", api_version(a->ctx));
	jw_kstr(&w, "description", "Governed, recorded, sandboxed runs.");
	jw_obj_end(&w);
	put_paths(&w);
	put_components(&w);
	jw_obj_end(&w);
}

void
api_openapi(struct http_req *req, const char *name)
{
	if (api.openapi.err)
		reply_error(req, ERR_INTERNAL, NULL);
	else
		reply_json(req, 200, api.openapi.d, api.openapi.len);
}
