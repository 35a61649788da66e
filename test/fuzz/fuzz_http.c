/* SPDX-License-Identifier: ISC */
/*
 * Fuzzes the HTTP parser. The first byte chooses where the input is cut; the
 * rest is read whole and in parts, as pipelined requests, and both readings
 * must agree to the byte. Memory is exactly as long as what was fed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "workers/http/parser.h"

#define REQUESTS 8
#define STRIDE	 256

struct outcome {
	int ends[REQUESTS];
	size_t body[REQUESTS];
	size_t path[REQUESTS];
	unsigned n;
};

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Everything that a caller would look at lies inside the request. */
static void
check_head(const struct http_parser *p, const char *b, size_t len)
{
	unsigned i;

	if (p->path_off + p->path_len >= len || p->body_off > len)
		abort();
	if (p->query_off != 0 && strlen(b + p->query_off) > len)
		abort();
	for (i = 0; i < p->nfields; i++) {
		if (p->field[i].value + p->field[i].value_len >= len ||
		    strlen(b + p->field[i].name) != p->field[i].name_len ||
		    strlen(b + p->field[i].value) != p->field[i].value_len)
			abort();
	}
}

/* Reads requests out of data, `piece` bytes at a time. */
static void
read_all(const uint8_t *data, size_t size, size_t piece, struct outcome *o)
{
	struct http_parser p = { .max_head = 1024, .max_body = 512 };
	char *b = NULL, *t;
	size_t len = 0, fed = 0, n;
	enum http_event ev;

	memset(o, 0, sizeof(*o));
	http_parser_reset(&p);
	while (o->n < REQUESTS) {
		ev = http_parser_feed(&p, b, len);
		if (ev == HTTP_EV_HEAD) {
			check_head(&p, b, len);
			continue;
		}
		if (ev == HTTP_EV_MORE) {
			len = http_parser_compact(&p);
			n = size - fed < piece ? size - fed : piece;
			if (n == 0)
				break;
			if ((t = malloc(len + n)) == NULL)
				abort();
			if (len > 0)
				memcpy(t, b, len);
			memcpy(t + len, data + fed, n);
			free(b);
			b = t;
			len += n;
			fed += n;
			continue;
		}
		o->ends[o->n] = ev == HTTP_EV_DONE ? 1 : p.status;
		o->body[o->n] = p.body_len;
		o->path[o->n++] = p.path_len;
		if (ev == HTTP_EV_ERROR)
			break;
		memmove(b, b + p.pos, len - p.pos);
		len -= p.pos;
		http_parser_reset(&p);
	}
	free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, parts;
	char *out;

	if (size < 1)
		return (0);
	read_all(data + 1, size - 1, size, &whole);
	read_all(data + 1, size - 1, 1 + data[0] % STRIDE, &parts);
	if (memcmp(&whole, &parts, sizeof(whole)) != 0)
		abort();
	if ((out = malloc(size)) == NULL)
		abort();
	(void)http_unescape(out, (const char *)data + 1, size - 1, data[0] & 1);
	free(out);
	return (0);
}
