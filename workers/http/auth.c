/* SPDX-License-Identifier: ISC */
/*
 * The table of credential digests and the rules for what a request presents.
 * It must never keep a token, never let an empty one match, and never answer
 * sooner for a near miss than for a far one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "common/util.h"
#include "workers/http/auth.h"

struct auth_table {
	struct auth_entry *e;
	size_t n, cap;
};

struct auth_table *
auth_new(void)
{
	return (calloc(1, sizeof(struct auth_table)));
}

void
auth_free(struct auth_table *t)
{
	if (t == NULL)
		return;
	free(t->e);
	free(t);
}

size_t
auth_count(const struct auth_table *t)
{
	return (t->n);
}

static struct auth_entry *
auth_room(struct auth_table *t)
{
	size_t cap = t->cap != 0 ? t->cap * 2 : 8;
	struct auth_entry *e;

	if (t->n == t->cap) {
		if ((e = reallocarray(t->e, cap, sizeof(*e))) == NULL)
			return (NULL);
		t->e = e;
		t->cap = cap;
	}
	return (&t->e[t->n]);
}

int
auth_add(struct auth_table *t, const char *name, const char *spec, char *err,
    size_t errlen)
{
	const char *space = strchr(spec, ' ');
	struct auth_entry *e = auth_room(t);
	uint8_t empty[AUTH_DIGEST];

	if (e == NULL) {
		snprintf(err, errlen, "no memory for keys");
		return (-1);
	}
	memset(e, 0, sizeof(*e));
	ax_sha256("", 0, empty);
	if (name[0] == '\0' ||
	    ax_strlcpy(e->name, name, sizeof(e->name)) >= sizeof(e->name)) {
		snprintf(err, errlen, "key: bad name");
		return (-1);
	}
	if (space == NULL || space == spec ||
	    (size_t)(space - spec) > AUTH_ROLE_MAX) {
		snprintf(err, errlen, "key %s: bad role", name);
		return (-1);
	}
	memcpy(e->role, spec, (size_t)(space - spec));
	if (ax_unhex(space + 1, e->digest, AUTH_DIGEST) == -1 ||
	    memcmp(e->digest, empty, AUTH_DIGEST) == 0) {
		snprintf(err, errlen, "key %s: bad digest", name);
		return (-1);
	}
	t->n++;
	return (0);
}

const struct auth_entry *
auth_find(const struct auth_table *t, const char *token,
    uint8_t digest[AUTH_DIGEST])
{
	const struct auth_entry *found = NULL;
	size_t i, len = strlen(token);

	ax_sha256(token, len, digest);
	for (i = 0; i < t->n; i++) {
		if (CRYPTO_memcmp(t->e[i].digest, digest, AUTH_DIGEST) == 0)
			found = &t->e[i];
	}
	return (len > 0 ? found : NULL);
}

enum auth_presented
auth_pick(const char *x_api_key, const char *authorization, const char **token)
{
	const char *v = authorization;

	*token = NULL;
	if (x_api_key != NULL && x_api_key[0] != '\0') {
		*token = x_api_key;
		return (AUTH_TOKEN);
	}
	if (v == NULL || v[0] == '\0')
		return (AUTH_ABSENT);
	if (strncasecmp(v, "Bearer ", 7) == 0) {
		for (v += 7; *v == ' '; v++)
			continue;
	}
	if (v[0] == '\0' || strchr(v, ' ') != NULL ||
	    strcasecmp(v, "Bearer") == 0)
		return (AUTH_UNUSABLE);
	*token = v;
	return (AUTH_TOKEN);
}

/* Credentials in URLs end in logs and histories. */
static const char *const secret_names[] = { "api_key", "apikey", "api-key",
	"x-api-key", "x_api_key", "key", "token", "access_token", "auth_token",
	"admin_token", "authorization", "bearer" };

bool
auth_in_query(const char *query)
{
	const char *p = query;
	size_t i, n;

	while (p != NULL && *p != '\0') {
		n = strcspn(p, "=&");
		for (i = 0; i < AX_NELEM(secret_names); i++) {
			if (strlen(secret_names[i]) == n &&
			    strncasecmp(p, secret_names[i], n) == 0)
				return (true);
		}
		p += strcspn(p, "&");
		p += *p == '&';
	}
	return (false);
}
