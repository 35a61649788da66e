/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_AUTH_H
#define AX_HTTP_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Credentials as the front knows them: SHA-256 digests with a name and a role,
 * never the secrets. Pure. The front's verdict serves early answers and reads;
 * for actions the audit process derives the role again from the token.
 */
#define AUTH_NAME_MAX 64
#define AUTH_ROLE_MAX 32
#define AUTH_DIGEST   32

struct auth_entry {
	char name[AUTH_NAME_MAX + 1];
	char role[AUTH_ROLE_MAX + 1];
	uint8_t digest[AUTH_DIGEST];
};

struct auth_table;

struct auth_table *auth_new(void); /* NULL: no memory */
void auth_free(struct auth_table *);
/*
 * Adds one CONF_KEY item; spec is "role sha256hex". 0, or -1 and a message in
 * err. The digest of the empty string is refused: nothing matches it.
 */
int auth_add(struct auth_table *, const char *name, const char *spec, char *err,
    size_t errlen);
size_t auth_count(const struct auth_table *);

/*
 * The entry of that token, or NULL. Takes the same time for every token of one
 * length, wherever and whether it matches. digest gets the token's SHA-256.
 */
const struct auth_entry *auth_find(const struct auth_table *, const char *token,
    uint8_t digest[AUTH_DIGEST]);

enum auth_presented {
	AUTH_ABSENT,
	AUTH_TOKEN,   /* *token is set and not empty */
	AUTH_UNUSABLE /* another scheme, or an empty token */
};
/*
 * What a request presents: x-api-key unless absent or empty, else
 * authorization with "Bearer " (any case) or a bare token (contract 2.2).
 * NULL stands for an absent field.
 */
enum auth_presented
auth_pick(const char *x_api_key, const char *authorization, const char **token);

/* True if a parameter of the raw query is named like a credential. */
bool auth_in_query(const char *query);

#endif
