/* SPDX-License-Identifier: ISC */
/*
 * From method and path to a row of the route table. With some twenty rows a
 * walk that compares the first differing byte is faster than any hash. It must
 * stay free of knowledge about the routes: they are data.
 */
#include <stdbool.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/router.h"

static const char *const method_names[HTTP_METHOD_MAX] = {
	[HTTP_GET] = "GET",
	[HTTP_HEAD] = "HEAD",
	[HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",
	[HTTP_DELETE] = "DELETE",
	[HTTP_PATCH] = "PATCH",
	[HTTP_OPTIONS] = "OPTIONS",
};

/* "{seq}" stands for digits, any other for anything. */
static size_t
segment_len(const char *brace, const char *s)
{
	size_t n = strcspn(s, "/");

	if (strncmp(brace, "{seq}", 5) == 0 && strspn(s, "0123456789") != n)
		return (0);
	return (n);
}

/* Compares with one "{name}" in the pattern; `name` gets its segment. */
static bool
pattern_match(const char *pattern, const char *path, char *name)
{
	size_t prefix, n;
	const char *brace;

	if ((brace = strchr(pattern, '{')) == NULL)
		return (false);
	prefix = (size_t)(brace - pattern);
	if (strncmp(pattern, path, prefix) != 0)
		return (false);
	n = segment_len(brace, path + prefix);
	if (n == 0 || n >= ROUTE_NAME_MAX)
		return (false);
	if (strcmp(strchr(brace, '}') + 1, path + prefix + n) != 0)
		return (false);
	memcpy(name, path + prefix, n);
	name[n] = '\0';
	return (true);
}

static void
put_allow(struct route_match *m, unsigned methods)
{
	unsigned i;

	if ((methods & (1u << HTTP_GET)) != 0)
		methods |= 1u << HTTP_HEAD;
	methods |= 1u << HTTP_OPTIONS;
	for (i = 0; i < HTTP_OTHER; i++) {
		if ((methods & (1u << i)) == 0)
			continue;
		if (m->allow[0] != '\0')
			strncat(m->allow, ", ",
			    sizeof(m->allow) - strlen(m->allow) - 1);
		strncat(m->allow, method_names[i],
		    sizeof(m->allow) - strlen(m->allow) - 1);
	}
}

static void
note(struct route_match *m, const struct route *r, enum http_method method,
    unsigned *methods)
{
	*methods |= 1u << r->method;
	m->known = true;
	if (r->access == ACCESS_PUBLIC)
		m->public = true;
	if (r->method == method)
		m->route = r;
}

void
router_find(const struct route *routes, unsigned n, enum http_method method,
    const char *path, struct route_match *m)
{
	const char *pattern;
	unsigned i, methods = 0;

	m->route = NULL;
	m->known = m->public = false;
	m->name[0] = m->allow[0] = '\0';
	if (method == HTTP_HEAD)
		method = HTTP_GET;
	pattern = path;
	for (i = 0; i < n; i++)
		if (strcmp(routes[i].path, path) == 0 &&
		    strchr(path, '{') == NULL)
			break;
	if (i == n) {
		for (i = 0; i < n; i++)
			if (pattern_match(routes[i].path, path, m->name))
				break;
		if (i == n)
			return;
		pattern = routes[i].path;
	}
	for (; i < n; i++)
		if (strcmp(routes[i].path, pattern) == 0)
			note(m, &routes[i], method, &methods);
	if (m->route == NULL)
		put_allow(m, methods);
}
