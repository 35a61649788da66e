/* SPDX-License-Identifier: ISC */
#ifndef AX_SECRET_H
#define AX_SECRET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How inputs that a skill's schema calls secret stand in the journal: as
 *
 *	"hmac-sha256:" and 64 hex digits of
 *	HMAC-SHA256(key, "archillx-secret-v1:" || canonical JSON of the value)
 *
 * so that who holds the key can check a guess and nobody else can make one.
 * Canonical: no blanks, keys sorted, a string with its quotes; numbers,
 * booleans, null, objects and arrays the same way. Without a key the text is
 * "[secret]". Pure, but for the key's file.
 */
#define SECRET_KEY_BYTES 32
#define SECRET_TEXT_MAX	 80
#define SECRET_WITHHELD	 "[secret]"

struct secret_key {
	bool set;
	uint8_t bytes[SECRET_KEY_BYTES];
};

/* Reads the 32 bytes that `fd` holds, from its start; 0, or -1 with errno
 * (EINVAL: not exactly 32 bytes). The fd stays open. */
int secret_key_read(struct secret_key *, int fd);
/* The text of one value; key may be NULL or not set. */
void secret_text(const struct secret_key *, const json_t *value,
    char out[SECRET_TEXT_MAX]);
/* The same for what a run with secret inputs gave back, whose plain digest
 * would let anyone try values: over "archillx-output-v1:" || bytes. */
void secret_output_text(const struct secret_key *, const void *, size_t n,
    char out[SECRET_TEXT_MAX]);

/* Does the schema call anything secret, at any depth? */
bool secret_in_schema(const json_t *schema);
/*
 * A new reference to the value with every secret replaced by its text. What
 * the schema does not name beside a secret, and what is not of the shape that
 * the schema gives a part with secrets in it, is taken for secret as well.
 * NULL without memory.
 */
json_t *secret_redact(const struct secret_key *, const json_t *schema,
    const json_t *value);

#endif
