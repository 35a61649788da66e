/* SPDX-License-Identifier: ISC */
#ifndef AX_KEYS_H
#define AX_KEYS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Credentials as the audit process knows them: the SHA-256 of each token, the
 * name of its key and its role. Tokens themselves are never kept.
 */
struct key {
	char *name;
	char *role;
	uint8_t digest[32];
};

struct keys;

struct keys *keys_new(void); /* NULL with ENOMEM */
void keys_free(struct keys *);
/* One CONF_KEY item: its name and "role sha256hex". -1 and err if it is none. */
int keys_add(struct keys *, const char *name, const char *value, char *err,
    size_t errlen);
/*
 * Whose token this is; NULL: nobody's. An empty token is nobody's. The time
 * taken tells nothing about the digests.
 */
const struct key *keys_find(const struct keys *, const char *token);

#endif
