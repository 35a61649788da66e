/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the first byte chooses between a note, a checkpoint, a
 * tlog-proof, a public key, a private key and a text to sign. Whatever is read
 * is written again and must be the same; whatever is signed must verify, and
 * nothing that was not signed may.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/note.h"
#include "common/tproof.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The key of the corpus: golang.org/x/mod/sumdb/note. */
static const char known[] = "PRIVATE+KEY+PeterNeumann+c74f20a3+"
			    "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

static void
must(int ok)
{
	if (!ok)
		abort();
}

static const struct skey *
key(void)
{
	static struct skey k;

	if (k.pub.id == 0)
		must(skey_parse(known, &k) == 0);
	return (&k);
}

static void
one_note(const char *text, size_t n)
{
	struct buf again = BUF_INITIALIZER;
	struct checkpoint c;
	const char *why;
	uint64_t which;
	size_t len;
	int r = note_verify(text, n, &key()->pub, 1, &len, &which);

	must(r >= -1 && r <= 1 && (r == 1) == (which == 1));
	must(r == -1 || (len >= 1 && len < n && text[len - 1] == '\n'));
	if (r == 1) {
		/* Only we could have made it, and there is one signature. */
		must(note_sign(&again, text, len, key()) == 0);
		must(memmem(text, n, again.d + len, again.len - len) != NULL);
	}
	if (checkpoint_open(text, n, &key()->pub, 1, &c, &why) == 0)
		must(r == 1 && strcmp(c.origin, "PeterNeumann") == 0);
	buf_free(&again);
}

static void
one_checkpoint(const char *text, size_t n)
{
	struct buf b = BUF_INITIALIZER;
	struct checkpoint c, d;

	if (checkpoint_parse(text, n, &c) == 0 && note_name_ok(c.origin)) {
		must(checkpoint_put(&b, &c) == 0);
		must(b.len <= n && memcmp(b.d, text, b.len) == 0);
		must(checkpoint_parse(b.d, b.len, &d) == 0);
		must(memcmp(&c, &d, sizeof(c)) == 0);
	}
	buf_free(&b);
}

static void
one_proof(const char *text, size_t n)
{
	struct buf scratch = BUF_INITIALIZER, b = BUF_INITIALIZER;
	struct checkpoint c;
	struct tproof t;
	const char *why = NULL;

	if (tproof_parse(text, n, &t, &scratch, &why) == 0) {
		must(why == NULL && t.npath <= MERKLE_PATH);
		must(tproof_put(&b, &t) == 0);
		must(b.len == n && memcmp(b.d, text, n) == 0);
		(void)tproof_check(&t, t.extra != NULL ? t.extra : "",
		    t.extra_len, &key()->pub, 1, &c, &why);
	} else
		must(why != NULL);
	buf_free(&scratch);
	buf_free(&b);
}

/* The same but for one newline at the end. */
static void
must_be(const char *text, const char *again)
{
	size_t n = strlen(again);

	must(strncmp(text, again, n) == 0);
	must(text[n] == '\0' || strcmp(text + n, "\n") == 0);
}

static void
one_key(const char *text, int private)
{
	char out[SKEY_TEXT_MAX];
	struct skey s;
	struct vkey v;

	if (private && skey_parse(text, &s) == 0) {
		skey_format(&s, out);
		must_be(text, out);
		must(note_name_ok(s.pub.name));
	}
	if (!private && vkey_parse(text, &v) == 0) {
		vkey_format(&v, out);
		must_be(text, out);
		must(note_name_ok(v.name));
	}
}

static void
one_text(const char *text, size_t n)
{
	struct buf b = BUF_INITIALIZER;
	size_t len;

	if (note_sign(&b, text, n, key()) == 0) {
		must(note_verify(b.d, b.len, &key()->pub, 1, &len, NULL) == 1);
		must(len == n);
	} else
		must(b.len == 0);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 1 || size > 1 << 18)
		return (0);
	if ((text = malloc(size)) == NULL)
		return (0);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'n':
		one_note(text, size - 1);
		break;
	case 'c':
		one_checkpoint(text, size - 1);
		break;
	case 'p':
		one_proof(text, size - 1);
		break;
	case 'v':
	case 's':
		one_key(text, data[0] == 's');
		break;
	default:
		one_text(text, size - 1);
	}
	free(text);
	return (0);
}
