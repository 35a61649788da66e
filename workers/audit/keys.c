/* SPDX-License-Identifier: ISC */
/*
 * Token to identity. Pure. Compares digests of fixed length in constant time
 * and always all of them; must never keep a token or write one anywhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/util.h"
#include "workers/audit/keys.h"

struct keys {
	struct key *v;
	size_t n;
};

struct keys *
keys_new(void)
{
	return (calloc(1, sizeof(struct keys)));
}

void
keys_free(struct keys *k)
{
	size_t i;

	if (k == NULL)
		return;
	for (i = 0; i < k->n; i++) {
		free(k->v[i].name);
		free(k->v[i].role);
	}
	if (k->v != NULL)
		explicit_bzero(k->v, k->n * sizeof(*k->v));
	free(k->v);
	free(k);
}

int
keys_add(struct keys *k, const char *name, const char *value, char *err,
    size_t errlen)
{
	const char *hex = strchr(value, ' ');
	struct key key, *v;

	if (hex == NULL || hex == value || strlen(hex + 1) != 64 ||
	    ax_unhex(hex + 1, key.digest, sizeof(key.digest)) == -1) {
		(void)snprintf(err, errlen, "key %s: not a role and a digest",
		    name);
		return (-1);
	}
	key.name = strdup(name);
	key.role = strndup(value, (size_t)(hex - value));
	v = reallocarray(k->v, k->n + 1, sizeof(*v));
	if (v != NULL)
		k->v = v;
	if (v == NULL || key.name == NULL || key.role == NULL) {
		free(key.name);
		free(key.role);
		(void)snprintf(err, errlen, "out of memory");
		return (-1);
	}
	k->v[k->n++] = key;
	return (0);
}

const struct key *
keys_find(const struct keys *k, const char *token)
{
	const struct key *found = NULL;
	uint8_t digest[32];
	size_t i;

	ax_sha256(token, strlen(token), digest);
	for (i = 0; i < k->n; i++) {
		if (CRYPTO_memcmp(k->v[i].digest, digest, sizeof(digest)) == 0)
			found = &k->v[i];
	}
	explicit_bzero(digest, sizeof(digest));
	return (token[0] != '\0' ? found : NULL);
}
