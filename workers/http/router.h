/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_ROUTER_H
#define AX_HTTP_ROUTER_H

#include <stdint.h>
#include "workers/http/http.h"

/*
 * The route table: one row per method and path, with who may call it, what it
 * takes, what it answers and the handler. The dispatcher enforces the row
 * before the handler runs, and the OpenAPI document is written from it.
 */
enum route_access {
	ACCESS_PUBLIC, /* everyone (contract 2.2) */
	ACCESS_KEY,    /* any accepted credential */
	ACCESS_ADMIN   /* role admin */
};

#define ROUTE_BODY	1u  /* takes a JSON body: 415 unless it is one */
#define ROUTE_UNLIMITED 2u  /* a probe or a scrape: not rate limited */
#define ROUTE_HIGH_RISK 4u  /* counts in the smaller budget */
#define ROUTE_TEXT	8u  /* answers with text/plain */
#define ROUTE_OR_503	16u /* the same shape comes with 503 as well */
#define ROUTE_LINES	32u /* answers with application/x-ndjson as well */
#define ROUTE_EVENTS	64u /* answers with text/event-stream */

struct route {
	enum http_method method; /* HTTP_GET stands for HEAD too */
	const char *path;	 /* "{name}" is one segment, "{seq}" digits */
	enum route_access access;
	unsigned flags;
	/* name: the segment that the braces stood for, or "" */
	void (*handler)(struct http_req *, const char *name);

	/* for the document */
	const char *id, *tag, *summary;
	uint32_t query;	    /* mask of enum qp */
	uint32_t errors;    /* mask of enum api_error, beyond the common */
	const char *body;   /* shape of the request, or NULL */
	const char *answer; /* shape of the 200 answer */
};

/* The API's table, in the order of the document. */
extern const struct route api_routes[];
extern const unsigned api_nroutes;

#define ROUTE_NAME_MAX	128
#define ROUTE_ALLOW_MAX 64

struct route_match {
	const struct route *route; /* NULL: no such path, or not this method */
	bool known;		   /* the path exists */
	bool public;		   /* and some method of it is public */
	char name[ROUTE_NAME_MAX]; /* of {name}; "" when there is none */
	char allow[ROUTE_ALLOW_MAX]; /* complete, when known */
};

/*
 * Looks a request up. An exact path wins over one with {name}; a {name}
 * segment is not empty, holds no slash and is shorter than ROUTE_NAME_MAX.
 * Pure.
 */
void router_find(const struct route *, unsigned n, enum http_method,
    const char *path, struct route_match *);

#endif
