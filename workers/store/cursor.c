/* SPDX-License-Identifier: ISC */
/*
 * Cursors. What a client sends back is compared byte by byte with what this
 * store would have given out: nothing of it is used before that, so that a
 * forged, cut or mixed-up cursor is told from a good one and reaches no
 * statement.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "common/util.h"
#include "workers/store/cursor.h"
#include "workers/store/project.h"

#define BODY  28 /* created, id, upto, skip */
#define CHECK 8
#define BYTES (BODY + CHECK) /* encodes to 48 characters, without padding */

static const char b64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint8_t *
put(uint8_t *p, uint64_t v, unsigned n)
{
	while (n-- > 0)
		*p++ = (uint8_t)(v >> (8 * n));
	return (p);
}

static uint64_t
get(const uint8_t **p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *(*p)++;
	return (v);
}

static void
pack(const struct cursor *c, const uint8_t *key, enum query query,
    uint8_t out[BYTES])
{
	uint8_t in[PROJECT_KEY_LEN + 1 + BODY], hash[32], *p = out;

	p = put(p, (uint64_t)c->created, 8);
	p = put(p, (uint64_t)c->id, 8);
	p = put(p, c->upto, 8);
	p = put(p, c->skip, 4);
	memcpy(in, key, PROJECT_KEY_LEN);
	in[PROJECT_KEY_LEN] = (uint8_t)query;
	memcpy(in + PROJECT_KEY_LEN + 1, out, BODY);
	ax_sha256(in, sizeof(in), hash);
	memcpy(p, hash, CHECK);
}

void
cursor_format(const struct cursor *c, const uint8_t *key, enum query query,
    char out[CURSOR_LEN])
{
	uint8_t raw[BYTES];
	uint32_t v;
	unsigned i;

	pack(c, key, query, raw);
	for (i = 0; i < BYTES / 3; i++) {
		v = (uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 |
		    raw[3 * i + 2];
		out[4 * i] = b64[v >> 18];
		out[4 * i + 1] = b64[v >> 12 & 63];
		out[4 * i + 2] = b64[v >> 6 & 63];
		out[4 * i + 3] = b64[v & 63];
	}
	out[4 * i] = '\0';
}

static int
decode(const char *text, uint8_t raw[BYTES])
{
	uint32_t v = 0;
	const char *at;
	unsigned i;

	if (strnlen(text, CURSOR_LEN) != CURSOR_LEN - 1)
		return (-1);
	for (i = 0; i < CURSOR_LEN - 1; i++) {
		if ((at = strchr(b64, text[i])) == NULL)
			return (-1);
		v = v << 6 | (uint32_t)(at - b64);
		if (i % 4 == 3) {
			raw[i / 4 * 3] = (uint8_t)(v >> 16);
			raw[i / 4 * 3 + 1] = (uint8_t)(v >> 8);
			raw[i / 4 * 3 + 2] = (uint8_t)v;
			v = 0;
		}
	}
	return (0);
}

int
cursor_parse(const char *text, const uint8_t *key, enum query query,
    struct cursor *c)
{
	uint8_t raw[BYTES], want[BYTES];
	const uint8_t *p = raw;

	if (decode(text, raw) == -1)
		return (-1);
	c->created = (int64_t)get(&p, 8);
	c->id = (int64_t)get(&p, 8);
	c->upto = get(&p, 8);
	c->skip = (uint32_t)get(&p, 4);
	pack(c, key, query, want);
	return (CRYPTO_memcmp(raw, want, sizeof(raw)) == 0 ? 0 : -1);
}
