/* SPDX-License-Identifier: ISC */
/*
 * Secret inputs as the journal may hold them, see secret.h. Walks along a
 * checked schema, which bounds its depth. In doubt a value is secret: a text
 * that slipped into evidence cannot be taken out of it again. Must never let
 * a secret's plain digest out: short values are found from it by trying.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/keyfile.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/util.h"

_Static_assert(SECRET_KEY_BYTES == SECRETS_KEY_LEN, "the key's file");

#define PREFIX	      "hmac-sha256:"
#define DOMAIN_INPUT  "archillx-secret-v1:"
#define DOMAIN_OUTPUT "archillx-output-v1:"

int
secret_key_read(struct secret_key *k, int fd)
{
	uint8_t b[SECRET_KEY_BYTES + 1];
	ssize_t n = pread(fd, b, sizeof(b), 0);

	if (n == SECRET_KEY_BYTES) {
		memcpy(k->bytes, b, SECRET_KEY_BYTES);
		k->set = true;
	} else if (n != -1)
		errno = EINVAL;
	explicit_bzero(b, sizeof(b));
	return (n == SECRET_KEY_BYTES ? 0 : -1);
}

static void
keyed_text(const struct secret_key *k, const char *domain, const void *p,
    size_t n, char out[SECRET_TEXT_MAX])
{
	size_t dlen = strlen(domain);
	uint8_t sum[32], *b;
	unsigned len = sizeof(sum);

	if (k == NULL || !k->set || p == NULL) {
		(void)ax_strlcpy(out, SECRET_WITHHELD, SECRET_TEXT_MAX);
		return;
	}
	if ((b = malloc(dlen + n)) == NULL)
		fatalx("secret: out of memory");
	memcpy(b, domain, dlen);
	memcpy(b + dlen, p, n);
	if (HMAC(EVP_sha256(), k->bytes, SECRET_KEY_BYTES, b, dlen + n, sum,
		&len) == NULL)
		fatalx("secret: HMAC-SHA256 failed");
	explicit_bzero(b, dlen + n);
	free(b);
	memcpy(out, PREFIX, sizeof(PREFIX));
	ax_hex(sum, sizeof(sum), out + sizeof(PREFIX) - 1);
}

void
secret_text(const struct secret_key *k, const json_t *value,
    char out[SECRET_TEXT_MAX])
{
	char *text =
	    json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	keyed_text(k, DOMAIN_INPUT, text, text != NULL ? strlen(text) : 0, out);
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void
secret_output_text(const struct secret_key *k, const void *p, size_t n,
    char out[SECRET_TEXT_MAX])
{
	keyed_text(k, DOMAIN_OUTPUT, p != NULL ? p : "", n, out);
}

/* ---- along a schema ---- */

static bool
is_secret(const json_t *schema)
{
	return (json_is_true(json_object_get(schema, "secret")));
}

bool
secret_in_schema(const json_t *schema)
{
	const json_t *extra = json_object_get(schema, "additionalProperties");
	json_t *props = json_object_get(schema, "properties"), *sub;
	const char *key;

	if (!json_is_object(schema))
		return (false);
	if (is_secret(schema) || secret_in_schema(extra) ||
	    secret_in_schema(json_object_get(schema, "items")))
		return (true);
	json_object_foreach(props, key, sub) {
		if (secret_in_schema(sub))
			return (true);
	}
	return (false);
}

static json_t *
withhold(const struct secret_key *k, const json_t *value)
{
	char text[SECRET_TEXT_MAX];

	secret_text(k, value, text);
	return (json_string(text));
}

static json_t *
redact_array(const struct secret_key *k, const json_t *schema,
    const json_t *value)
{
	const json_t *items = json_object_get(schema, "items"), *v;
	json_t *out = json_array();
	size_t i;

	json_array_foreach(value, i, v) {
		if (json_array_append_new(out, secret_redact(k, items, v)) ==
		    -1) {
			json_decref(out);
			return (NULL);
		}
	}
	return (out);
}

/* The schema of a member, or NULL: the schema does not name it. */
static const json_t *
member_schema(const json_t *schema, const char *key)
{
	const json_t *s;

	s = json_object_get(json_object_get(schema, "properties"), key);
	if (s == NULL)
		s = json_object_get(schema, "additionalProperties");
	return (json_is_object(s) ? s : NULL);
}

static json_t *
redact_object(const struct secret_key *k, const json_t *schema,
    const json_t *value)
{
	json_t *out = json_object(), *v, *shown;
	const json_t *sub;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)value, key, v) {
		sub = member_schema(schema, key);
		shown = sub != NULL ? secret_redact(k, sub, v) : withhold(k, v);
		if (json_object_set_new(out, key, shown) == -1) {
			json_decref(out);
			return (NULL);
		}
	}
	return (out);
}

json_t *
secret_redact(const struct secret_key *k, const json_t *schema,
    const json_t *value)
{
	if (is_secret(schema))
		return (withhold(k, value));
	if (!secret_in_schema(schema))
		return (json_incref((json_t *)(uintptr_t)value));
	if (json_is_object(value) &&
	    (json_object_get(schema, "properties") != NULL ||
		json_object_get(schema, "additionalProperties") != NULL))
		return (redact_object(k, schema, value));
	if (json_is_array(value) && json_object_get(schema, "items") != NULL)
		return (redact_array(k, schema, value));
	return (withhold(k, value));
}
