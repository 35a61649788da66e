/* SPDX-License-Identifier: ISC */
#ifndef AX_NOTE_H
#define AX_NOTE_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/merkle.h"

/*
 * C2SP signed notes (signed-note.md) with Ed25519 keys, and the checkpoints
 * (tlog-checkpoint.md) that they carry. Pure: no I/O. What is parsed is
 * judged strictly: anything that two readers could read differently is
 * refused.
 */
#define NOTE_NAME_MAX 128  /* of a key, which is the log's origin */
#define NOTE_MAX      8192 /* bytes of a whole note that is made here */
/* Of what is read: others may have added signatures, also long ones. */
#define NOTE_READ_MAX 131072
#define NOTE_SIGS_MAX 64
#define NOTE_SIG_MAX  6144

/* The public half: "name+hex id+base64(0x01 || key)". */
struct vkey {
	char name[NOTE_NAME_MAX + 1];
	uint32_t id; /* first 4 bytes of SHA-256(name \n 0x01 key) */
	uint8_t key[32];
};
#define VKEY_TEXT_MAX (NOTE_NAME_MAX + 64) /* with NUL */

/* A name that may stand in a key: not empty, no white space, no plus. */
int note_name_ok(const char *);
/*
 * 0 or -1. This and skey_parse() pass over one newline at the end, as a file
 * has it; otherwise the text must be the one that *_format() writes.
 */
int vkey_parse(const char *, struct vkey *);
void vkey_format(const struct vkey *, char out[VKEY_TEXT_MAX]);

/* The private half: "PRIVATE+KEY+name+hex id+base64(0x01 || seed)". */
struct skey {
	struct vkey pub;
	uint8_t seed[32];
};
#define SKEY_TEXT_MAX (VKEY_TEXT_MAX + 16)

/* A new key from the kernel's random numbers; -1: bad name, or libcrypto has
 * no Ed25519. */
int skey_new(struct skey *, const char *name);
/* Also derives and compares the public half. */
int skey_parse(const char *, struct skey *);
void skey_format(const struct skey *, char out[SKEY_TEXT_MAX]);
void skey_wipe(struct skey *);

/*
 * Appends the signed note: the text, which ends with a newline, an empty line
 * and one signature. 0, or -1 (b is as before).
 */
int note_sign(struct buf *b, const char *text, size_t n, const struct skey *);

/*
 * How many of the keys (64 at most) have signed the note: 0 when none of them
 * has; -1 when it is no note, or when a signature by a known name and id does
 * not hold. Signatures by others are passed over. *text_len: the text begins where the
 * note does and ends with its newline. which: bit i for keys[i]; may be NULL.
 */
int note_verify(const char *note, size_t n, const struct vkey *keys,
    size_t nkeys, size_t *text_len, uint64_t *which);

struct checkpoint {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size;
	uint8_t root[MERKLE_HASH];
};

/* "origin\nsize\nbase64 root\n"; -1: bad origin, or b ran out of memory. */
int checkpoint_put(struct buf *b, const struct checkpoint *);
/*
 * From a note's text or a whole note, whose signatures are not looked at;
 * extension lines are passed over. 0 or -1.
 */
int checkpoint_parse(const char *text, size_t n, struct checkpoint *);
/*
 * Parses a checkpoint that one of the keys has signed, and whose origin is
 * that key's name. 0, or -1 and *why, a literal.
 */
int checkpoint_open(const char *note, size_t n, const struct vkey *keys,
    size_t nkeys, struct checkpoint *, const char **why);

/* Decimal digits without leading zeroes, of n bytes. 0 or -1. */
int note_number(const char *, size_t n, uint64_t *);

/* Standard base64 with padding; n bytes in, text with NUL out. */
void b64_encode(const void *, size_t n, char *out);
#define B64_LEN(n) (((n) + 2) / 3 * 4 + 1)
/* Strict (canonical padding, no white space). The bytes, or -1. */
long b64_decode(const char *, size_t n, void *out, size_t size);

#endif
