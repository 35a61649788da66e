/* SPDX-License-Identifier: ISC */
/*
 * C2SP signed notes, their Ed25519 keys and the checkpoints that they carry:
 * https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint. Judges
 * bytes that may come from an attacker: there is one way to write everything,
 * and whatever is written another way is refused. Must never say "signed" of
 * a text that the key has not signed, and never keep a private key longer than
 * its caller does.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/note.h"
#include "common/util.h"

#define TYPE_ED25519 0x01 /* assigned by signed-note.md */
#define SIG_LEN	     64
#define ID_LEN	     4
#define DASH	     "\xe2\x80\x94 " /* U+2014 and a space */
#define DASH_LEN     (sizeof(DASH) - 1)
#define SKEY_PREFIX  "PRIVATE+KEY+"

/* ---- base64 ---- */

void
b64_encode(const void *p, size_t n, char *out)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = p;
	uint32_t v;
	size_t i, k, have;

	for (i = 0; i < n; i += 3) {
		have = n - i < 3 ? n - i : 3;
		for (v = 0, k = 0; k < 3; k++)
			v = v << 8 | (k < have ? in[i + k] : 0);
		for (k = 0; k < 4; k++)
			*out++ = k <= have ? set[v >> (18 - 6 * k) & 63] : '=';
	}
	*out = '\0';
}

static int
b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (c - '0' + 52);
	return (c == '+' ? 62 : c == '/' ? 63 : -1);
}

long
b64_decode(const char *s, size_t n, void *out, size_t size)
{
	size_t pad, len, i, k, at = 0;
	uint8_t *to = out;
	uint32_t v;
	int c;

	if (n % 4 != 0)
		return (-1);
	pad = n == 0 || s[n - 1] != '=' ? 0 : s[n - 2] != '=' ? 1 : 2;
	if ((len = n / 4 * 3 - pad) > size)
		return (-1);
	for (i = 0; i < n; i += 4) {
		for (v = 0, k = 0; k < 4; k++) {
			if (i + k >= n - pad)
				c = 0;
			else if ((c = b64_value(s[i + k])) == -1)
				return (-1);
			v = v << 6 | (uint32_t)c;
		}
		for (k = 0; k < 3; k++) {
			if (at < len)
				to[at++] = (uint8_t)(v >> (16 - 8 * k));
			else if ((v >> (16 - 8 * k) & 255) != 0)
				return (-1); /* bits that no byte holds */
		}
	}
	return ((long)len);
}

/* ---- text ---- */

/* Length of the UTF-8 character at p, *c its value; 0 when it is none. */
static size_t
utf8_next(const char *p, size_t n, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *u = (const uint8_t *)p;
	size_t len, i;

	if (u[0] < 0x80) {
		*c = u[0];
		return (1);
	}
	if (u[0] < 0xc2 || u[0] > 0xf4)
		return (0);
	len = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return (0);
	*c = u[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return (0);
		*c = *c << 6 | (u[i] & 0x3f);
	}
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return (0);
	return (len);
}

static bool
is_space(uint32_t c)
{
	return ((c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 ||
	    c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	    c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
	    c == 0x3000);
}

/* UTF-8, and no control character but newline. */
static bool
text_ok(const char *s, size_t n)
{
	size_t i, len;
	uint32_t c;

	for (i = 0; i < n; i += len) {
		len = utf8_next(s + i, n - i, &c);
		if (len == 0 || (c < 0x20 && c != '\n'))
			return (false);
	}
	return (true);
}

/* Not longer than a note: the names of others' keys have no other limit. */
static bool
name_valid(const char *s, size_t n)
{
	size_t i, len;
	uint32_t c;

	for (i = 0; i < n; i += len) {
		len = utf8_next(s + i, n - i, &c);
		if (len == 0 || c < 0x20 || c == '+' || is_space(c))
			return (false);
	}
	return (n > 0);
}

int
note_name_ok(const char *s)
{
	size_t n = strlen(s);

	return (n <= NOTE_NAME_MAX && name_valid(s, n));
}

/* Takes a line without its newline off the front; false: no newline. */
static bool
next_line(const char **p, size_t *n, const char **line, size_t *len)
{
	const char *nl = *n == 0 ? NULL : memchr(*p, '\n', *n);

	if (nl == NULL)
		return (false);
	*line = *p;
	*len = (size_t)(nl - *p);
	*p += *len + 1;
	*n -= *len + 1;
	return (true);
}

/* ---- keys ---- */

/* SHA-256(name \n type key), its first four bytes. */
static uint32_t
key_id(const struct vkey *v)
{
	uint8_t in[NOTE_NAME_MAX + 2 + sizeof(v->key)], digest[32];
	size_t n = strlen(v->name);

	memcpy(in, v->name, n);
	in[n++] = '\n';
	in[n++] = TYPE_ED25519;
	memcpy(in + n, v->key, sizeof(v->key));
	ax_sha256(in, n + sizeof(v->key), digest);
	return ((uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
	    (uint32_t)digest[2] << 8 | digest[3]);
}

/* "name+id+base64(type || 32 bytes)" */
static void
key_format(const struct vkey *v, const uint8_t raw[32], char out[VKEY_TEXT_MAX])
{
	uint8_t body[33];
	char b64[B64_LEN(sizeof(body))];

	body[0] = TYPE_ED25519;
	memcpy(body + 1, raw, 32);
	b64_encode(body, sizeof(body), b64);
	(void)snprintf(out, VKEY_TEXT_MAX, "%s+%08" PRIx32 "+%s", v->name,
	    v->id, b64);
	explicit_bzero(body, sizeof(body));
	explicit_bzero(b64, sizeof(b64));
}

/* The same, read: name and the 32 bytes. The id is judged by who knows it. */
static int
key_split(const char *s, size_t n, char name[NOTE_NAME_MAX + 1],
    uint8_t raw[32])
{
	const char *plus = memchr(s, '+', n);
	size_t len = plus == NULL ? 0 : (size_t)(plus - s);
	uint8_t body[33];
	int r = -1;

	if (len == 0 || len > NOTE_NAME_MAX || !name_valid(s, len) ||
	    n - len < 10 || plus[9] != '+')
		return (-1);
	if (b64_decode(plus + 10, n - len - 10, body, sizeof(body)) ==
		sizeof(body) &&
	    body[0] == TYPE_ED25519) {
		memcpy(name, s, len);
		name[len] = '\0';
		memcpy(raw, body + 1, 32);
		r = 0;
	}
	explicit_bzero(body, sizeof(body));
	return (r);
}

/* Length without the newline that a file's text ends with. */
static size_t
key_len(const char *s)
{
	size_t n = strlen(s);

	return (n > 0 && s[n - 1] == '\n' ? n - 1 : n);
}

void
vkey_format(const struct vkey *v, char out[VKEY_TEXT_MAX])
{
	key_format(v, v->key, out);
}

int
vkey_parse(const char *s, struct vkey *v)
{
	char again[VKEY_TEXT_MAX];
	size_t n = key_len(s);

	memset(v, 0, sizeof(*v));
	if (key_split(s, n, v->name, v->key) == -1)
		return (-1);
	v->id = key_id(v);
	/* Also the id, and only in the one way to write it. */
	key_format(v, v->key, again);
	if (strlen(again) == n && memcmp(again, s, n) == 0)
		return (0);
	memset(v, 0, sizeof(*v));
	return (-1);
}

/* The public half of the seed. */
static int
derive(struct skey *s)
{
	size_t len = sizeof(s->pub.key);
	EVP_PKEY *k;
	int r = -1;

	k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->seed,
	    sizeof(s->seed));
	if (k != NULL &&
	    EVP_PKEY_get_raw_public_key(k, s->pub.key, &len) == 1 &&
	    len == sizeof(s->pub.key)) {
		s->pub.id = key_id(&s->pub);
		r = 0;
	}
	EVP_PKEY_free(k);
	return (r);
}

int
skey_new(struct skey *s, const char *name)
{
	memset(s, 0, sizeof(*s));
	if (!note_name_ok(name))
		return (-1);
	(void)ax_strlcpy(s->pub.name, name, sizeof(s->pub.name));
	ax_random(s->seed, sizeof(s->seed));
	if (derive(s) == 0)
		return (0);
	skey_wipe(s);
	return (-1);
}

void
skey_format(const struct skey *s, char out[SKEY_TEXT_MAX])
{
	memcpy(out, SKEY_PREFIX, sizeof(SKEY_PREFIX) - 1);
	key_format(&s->pub, s->seed, out + sizeof(SKEY_PREFIX) - 1);
}

int
skey_parse(const char *text, struct skey *s)
{
	const size_t prefix = sizeof(SKEY_PREFIX) - 1;
	char again[SKEY_TEXT_MAX];
	size_t n = key_len(text);
	int r = -1;

	memset(s, 0, sizeof(*s));
	if (n > prefix && memcmp(text, SKEY_PREFIX, prefix) == 0 &&
	    key_split(text + prefix, n - prefix, s->pub.name, s->seed) == 0 &&
	    derive(s) == 0) {
		skey_format(s, again);
		if (strlen(again) == n && memcmp(again, text, n) == 0)
			r = 0;
		explicit_bzero(again, sizeof(again));
	}
	if (r == -1)
		skey_wipe(s);
	return (r);
}

void
skey_wipe(struct skey *s)
{
	explicit_bzero(s, sizeof(*s));
}

/* ---- signatures ---- */

static int
ed25519_sign(const uint8_t seed[32], const void *text, size_t n,
    uint8_t sig[SIG_LEN])
{
	EVP_PKEY *k =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIG_LEN;
	int r = -1;

	if (k != NULL && ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, k) == 1 &&
	    EVP_DigestSign(ctx, sig, &len, text, n) == 1 && len == SIG_LEN)
		r = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	return (r);
}

static bool
ed25519_holds(const uint8_t key[32], const void *text, size_t n,
    const uint8_t *sig, size_t len)
{
	EVP_PKEY *k;
	EVP_MD_CTX *ctx;
	bool ok;

	if (len != SIG_LEN)
		return (false);
	k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
	ctx = EVP_MD_CTX_new();
	ok = k != NULL && ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k) == 1 &&
	    EVP_DigestVerify(ctx, sig, len, text, n) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	return (ok);
}

int
note_sign(struct buf *b, const char *text, size_t n, const struct skey *s)
{
	uint8_t sig[ID_LEN + SIG_LEN];
	char b64[B64_LEN(sizeof(sig))];
	size_t was = b->len;

	if (n == 0 || text[n - 1] != '\n' || !text_ok(text, n) ||
	    !note_name_ok(s->pub.name) ||
	    ed25519_sign(s->seed, text, n, sig + ID_LEN) == -1)
		return (-1);
	sig[0] = (uint8_t)(s->pub.id >> 24);
	sig[1] = (uint8_t)(s->pub.id >> 16);
	sig[2] = (uint8_t)(s->pub.id >> 8);
	sig[3] = (uint8_t)s->pub.id;
	b64_encode(sig, sizeof(sig), b64);
	buf_add(b, text, n);
	buf_printf(b, "\n" DASH "%s %s\n", s->pub.name, b64);
	if (b->err == 0 && b->len - was <= NOTE_MAX)
		return (0);
	b->len = was;
	return (-1);
}

/* One signature line, without its newline. */
struct sig_line {
	const char *name;
	size_t name_len;
	uint32_t id;
	uint8_t sig[NOTE_SIG_MAX];
	size_t len;
};

static int
sig_parse(const char *line, size_t n, struct sig_line *s)
{
	uint8_t raw[ID_LEN + NOTE_SIG_MAX];
	const char *space;
	long len;

	if (n <= DASH_LEN || memcmp(line, DASH, DASH_LEN) != 0)
		return (-1);
	line += DASH_LEN;
	n -= DASH_LEN;
	if ((space = memchr(line, ' ', n)) == NULL)
		return (-1);
	s->name = line;
	s->name_len = (size_t)(space - line);
	len = b64_decode(space + 1, n - s->name_len - 1, raw, sizeof(raw));
	if (!name_valid(s->name, s->name_len) || len <= ID_LEN)
		return (-1);
	s->id = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 |
	    (uint32_t)raw[2] << 8 | raw[3];
	s->len = (size_t)len - ID_LEN;
	memcpy(s->sig, raw + ID_LEN, s->len);
	return (0);
}

/*
 * Where the signatures begin: behind the last empty line. 0 when the text is
 * no note.
 */
static size_t
note_split(const char *note, size_t n)
{
	size_t i;

	if (n < 4 || n > NOTE_READ_MAX || note[n - 1] != '\n')
		return (0);
	/* The text has at least its newline. */
	for (i = n - 1; i >= 2; i--) {
		if (note[i - 1] == '\n' && note[i - 2] == '\n')
			return (i);
	}
	return (0);
}

/* The key that has this name and id, or -1. */
static long
find_key(const struct sig_line *s, const struct vkey *keys, size_t nkeys)
{
	size_t i;

	for (i = 0; i < nkeys; i++) {
		if (keys[i].id == s->id &&
		    strlen(keys[i].name) == s->name_len &&
		    memcmp(keys[i].name, s->name, s->name_len) == 0)
			return ((long)i);
	}
	return (-1);
}

int
note_verify(const char *note, size_t n, const struct vkey *keys, size_t nkeys,
    size_t *text_len, uint64_t *which)
{
	size_t sigs = note_split(note, n), left = n - sigs, len, count = 0;
	const char *p = note + sigs, *line;
	uint64_t found = 0;
	struct sig_line s;
	long k;

	*text_len = 0;
	if (which != NULL)
		*which = 0;
	if (sigs == 0 || left == 0 || nkeys > 64 || !text_ok(note, n))
		return (-1);
	while (left > 0) {
		if (!next_line(&p, &left, &line, &len) ||
		    ++count > NOTE_SIGS_MAX || sig_parse(line, len, &s) == -1)
			return (-1);
		if ((k = find_key(&s, keys, nkeys)) == -1)
			continue;
		if (!ed25519_holds(keys[k].key, note, sigs - 1, s.sig, s.len))
			return (-1);
		found |= 1ull << k;
	}
	*text_len = sigs - 1;
	if (which != NULL)
		*which = found;
	return (__builtin_popcountll(found));
}

/* ---- checkpoints ---- */

int
note_number(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (n == 0 || n > 20 || (n > 1 && s[0] == '0'))
		return (-1);
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
			return (-1);
	}
	*out = v;
	return (0);
}

int
checkpoint_put(struct buf *b, const struct checkpoint *c)
{
	char root[B64_LEN(MERKLE_HASH)];

	if (!note_name_ok(c->origin))
		return (-1);
	b64_encode(c->root, sizeof(c->root), root);
	buf_printf(b, "%s\n%" PRIu64 "\n%s\n", c->origin, c->size, root);
	return (b->err ? -1 : 0);
}

/* The note's text alone: no empty line in it. */
static int
body_parse(const char *text, size_t n, struct checkpoint *c)
{
	const char *line;
	size_t len;

	memset(c, 0, sizeof(*c));
	if (!text_ok(text, n) || !next_line(&text, &n, &line, &len) ||
	    len == 0 || len > NOTE_NAME_MAX)
		return (-1);
	memcpy(c->origin, line, len);
	if (!next_line(&text, &n, &line, &len) ||
	    note_number(line, len, &c->size) == -1)
		return (-1);
	if (!next_line(&text, &n, &line, &len) ||
	    b64_decode(line, len, c->root, MERKLE_HASH) != MERKLE_HASH)
		return (-1);
	while (n > 0) {
		if (!next_line(&text, &n, &line, &len) || len == 0)
			return (-1);
	}
	return (0);
}

int
checkpoint_parse(const char *text, size_t n, struct checkpoint *c)
{
	size_t sigs = note_split(text, n), at;

	if (sigs == 0)
		return (body_parse(text, n, c));
	/* Behind an empty line there is nothing but signatures. */
	for (at = sigs; at < n;) {
		if (n - at < DASH_LEN || memcmp(text + at, DASH, DASH_LEN) != 0)
			return (-1);
		at = (size_t)((const char *)memchr(text + at, '\n', n - at) +
		    1 - text);
	}
	return (body_parse(text, sigs - 1, c));
}

int
checkpoint_open(const char *note, size_t n, const struct vkey *keys,
    size_t nkeys, struct checkpoint *c, const char **why)
{
	uint64_t which;
	size_t len, i;
	int signers = note_verify(note, n, keys, nkeys, &len, &which);

	memset(c, 0, sizeof(*c));
	if (signers == -1) {
		*why = "the checkpoint is not a signed note, or its signature "
		       "does not hold";
		return (-1);
	}
	if (signers == 0) {
		*why = "the checkpoint is not signed by this key";
		return (-1);
	}
	if (body_parse(note, len, c) == -1) {
		*why = "the signed note is not a checkpoint";
		return (-1);
	}
	for (i = 0; i < nkeys; i++) {
		if ((which >> i & 1) != 0 &&
		    strcmp(keys[i].name, c->origin) == 0)
			return (0);
	}
	*why = "the checkpoint is of another log than the key that signed it";
	return (-1);
}
