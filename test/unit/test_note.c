/* SPDX-License-Identifier: ISC */
/*
 * Signed notes, keys and checkpoints: the vectors of the C2SP pages and of
 * Go's sumdb/note, that what is written reads back, and that nothing else
 * than that is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/note.h"
#include "common/util.h"

/* golang.org/x/mod/sumdb/note */
#define PETER_V \
	"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETER_S                              \
	"PRIVATE+KEY+PeterNeumann+c74f20a3+" \
	"AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define PETER_TEXT                                                   \
	"If you think cryptography is the answer to your problem,\n" \
	"then you don't know what your problem is.\n"
#define PETER_SIG                                                        \
	"\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8" \
	"pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
#define PETER_NOTE PETER_TEXT "\n" PETER_SIG
#define OTHER_SIG  "\xe2\x80\x94 other.example AAAAAQI=\n"

/* ---- base64 ---- */

static void
base64_reads_back(void **state)
{
	uint8_t in[100], out[100];
	char text[B64_LEN(sizeof(in))];
	size_t n;

	ax_random(in, sizeof(in));
	for (n = 0; n <= sizeof(in); n++) {
		b64_encode(in, n, text);
		assert_int_equal(strlen(text) + 1, B64_LEN(n));
		assert_int_equal(b64_decode(text, strlen(text), out, n),
		    (long)n);
		assert_memory_equal(in, out, n);
		if (n > 0)
			assert_int_equal(b64_decode(text, strlen(text), out,
					     n - 1),
			    -1);
	}
}

static void
base64_is_strict(void **state)
{
	/* RFC 4648 section 10, and what it forbids */
	static const struct {
		const char *text;
		long n;
	} t[] = { { "", 0 }, { "Zg==", 1 }, { "Zm8=", 2 }, { "Zm9v", 3 },
		{ "Zm9vYg==", 4 }, { "Zm9vYmFy", 6 }, { "Z", -1 }, { "Zg", -1 },
		{ "Zg=", -1 }, { "Zh==", -1 }, { "Zm9=", -1 },
		{ "Zg==Zg==", -1 }, { "====", -1 }, { "Z===", -1 },
		{ "Zg= ", -1 }, { "Zm9v\n", -1 }, { "Zm-_", -1 },
		{ "Z=9v", -1 }, { "=m9v", -1 } };
	uint8_t out[16];
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++)
		if (b64_decode(t[i].text, strlen(t[i].text), out,
			sizeof(out)) != t[i].n)
			fail_msg("\"%s\"", t[i].text);
}

/* ---- keys ---- */

static void
known_keys(void **state)
{
	static const char *const texts[] = { PETER_V,
		"EnochRoot+af0cfe78+"
		"ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
		/* with a plus in its base64 */
		"TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" };
	char out[VKEY_TEXT_MAX], line[VKEY_TEXT_MAX + 1];
	struct vkey v, w;
	size_t i;

	for (i = 0; i < AX_NELEM(texts); i++) {
		assert_int_equal(vkey_parse(texts[i], &v), 0);
		vkey_format(&v, out);
		assert_string_equal(out, texts[i]);
		(void)snprintf(line, sizeof(line), "%s\n", out);
		assert_int_equal(vkey_parse(line, &w), 0);
		assert_memory_equal(&v, &w, sizeof(v));
	}
}

static void
secret_keys(void **state)
{
	char out[SKEY_TEXT_MAX], pub[VKEY_TEXT_MAX];
	struct skey s, again;
	struct vkey v;

	assert_int_equal(skey_parse(PETER_S, &s), 0);
	assert_int_equal(vkey_parse(PETER_V, &v), 0);
	assert_memory_equal(&s.pub, &v, sizeof(v));
	skey_format(&s, out);
	assert_string_equal(out, PETER_S);

	assert_int_equal(skey_new(&s, "node1/archillx"), 0);
	skey_format(&s, out);
	assert_int_equal(skey_parse(out, &again), 0);
	assert_memory_equal(&s, &again, sizeof(s));
	vkey_format(&s.pub, pub);
	assert_int_equal(vkey_parse(pub, &v), 0);
	assert_memory_equal(&s.pub, &v, sizeof(v));
	assert_int_equal(skey_new(&again, "node1/archillx"), 0);
	assert_memory_not_equal(s.seed, again.seed, sizeof(s.seed));
	skey_wipe(&s);
	skey_wipe(&again);
	assert_int_equal(again.seed[0] | again.pub.key[0], 0);
}

static void
bad_keys(void **state)
{
	static const char *const texts[] = { "", "\n", "a", "+", "++",
		"PeterNeumann", "PeterNeumann+c74f20a3",
		"PeterNeumann+c74f20a3+",
		"+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		/* another id, name, key, type, spelling of the id */
		"PeterNeumann+c74f20a4+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumanm+c74f20a3+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+c74f20a3+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX",
		"PeterNeumann+c74f20a3+"
		"Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+C74F20A3+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+0c74f20a3+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"Peter Neumann+c74f20a3+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		PETER_V " ", PETER_V "\n\n", PETER_V "\r\n", " " PETER_V,
		PETER_V "AAAA" };
	struct vkey v;
	struct skey s;
	char text[SKEY_TEXT_MAX + 64];
	size_t i;

	for (i = 0; i < AX_NELEM(texts); i++) {
		if (vkey_parse(texts[i], &v) != -1)
			fail_msg("vkey \"%s\"", texts[i]);
		(void)snprintf(text, sizeof(text), "PRIVATE+KEY+%s", texts[i]);
		if (skey_parse(text, &s) != -1)
			fail_msg("skey \"%s\"", text);
	}
	assert_int_equal(vkey_parse(PETER_S, &v), -1);
	assert_int_equal(skey_parse(PETER_V, &s), -1);
	assert_int_equal(skey_parse("PRIVATE+KEY+" PETER_V, &s), -1);
	assert_int_equal(skey_parse(PETER_S "=", &s), -1);
}

static void
names(void **state)
{
	static const char *const good[] = { "a", "example.com/log",
		"node-1/archillx", "\xc3\xa9" };
	static const char *const bad[] = { "", " ", "a b", "a+b", "a\n", "a\tb",
		"\x7f\x80", "a\xc2\xa0z", "a\xe2\x80\x83z", "a\xe3\x80\x80z",
		"\xe1\x9a\x80", "a\xc2\x85", "\xff", "\xc0\xaf", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "a\xe2\x80" };
	char longest[NOTE_NAME_MAX + 2];
	size_t i;

	for (i = 0; i < AX_NELEM(good); i++)
		assert_true(note_name_ok(good[i]));
	for (i = 0; i < AX_NELEM(bad); i++)
		if (note_name_ok(bad[i]))
			fail_msg("name %zu", i);
	memset(longest, 'x', sizeof(longest));
	longest[NOTE_NAME_MAX] = '\0';
	assert_true(note_name_ok(longest));
	longest[NOTE_NAME_MAX] = 'x';
	longest[NOTE_NAME_MAX + 1] = '\0';
	assert_false(note_name_ok(longest));
}

/* ---- notes ---- */

static void
known_note(void **state)
{
	struct buf b = BUF_INITIALIZER;
	struct skey s;
	struct vkey v;
	uint64_t which;
	size_t len;

	assert_int_equal(skey_parse(PETER_S, &s), 0);
	assert_int_equal(vkey_parse(PETER_V, &v), 0);
	assert_int_equal(note_sign(&b, PETER_TEXT, strlen(PETER_TEXT), &s), 0);
	assert_string_equal(buf_str(&b), PETER_NOTE);
	assert_int_equal(note_verify(b.d, b.len, &v, 1, &len, &which), 1);
	assert_int_equal(len, strlen(PETER_TEXT));
	assert_int_equal(which, 1);
	assert_int_equal(note_verify(b.d, b.len, NULL, 0, &len, NULL), 0);
	buf_free(&b);
}

/* What a note may be, and what it may not; by PeterNeumann's key. */
static void
notes_by_table(void **state)
{
#define N(expect, text)                        \
	{                                      \
		expect, text, sizeof(text) - 1 \
	}
	static const struct {
		int expect;
		const char *text;
		size_t n;
	} t[] = {
		N(1, PETER_NOTE),
		N(1, PETER_NOTE OTHER_SIG),
		N(1, PETER_TEXT "\n" OTHER_SIG PETER_SIG),
		N(1, PETER_NOTE PETER_SIG),
		N(0, PETER_TEXT "\n" OTHER_SIG),
		N(0, "\n\n" OTHER_SIG),
		N(0, "a\n\nb\n\n" OTHER_SIG),
		/* another key of that name; another name with that id */
		N(0, "a\n\n\xe2\x80\x94 PeterNeumann AAAAAQI=\n"),
		N(0, "a\n\n\xe2\x80\x94 Peter x08go/Y=\n"),
		/* known, and does not hold */
		N(-1, "a\n\n\xe2\x80\x94 PeterNeumann x08go/Y=\n"),
		N(-1, "a\n\n" PETER_SIG),
		N(-1, "x" PETER_NOTE),
		N(-1, PETER_TEXT "\n\n" PETER_SIG),
		N(-1, PETER_NOTE "\xe2\x80\x94 PeterNeumann x08go/Y=\n"),
		/* no note */
		N(-1, ""),
		N(-1, "\n"),
		N(-1, "\n\n"),
		N(-1, "\n\n\n"),
		N(-1, "a"),
		N(-1, PETER_TEXT),
		N(-1, PETER_TEXT "\n"),
		N(-1, PETER_TEXT PETER_SIG),
		N(-1, "\n" OTHER_SIG),
		N(-1, PETER_NOTE "\n"),
		N(-1, PETER_NOTE "more\n"),
		N(-1, PETER_NOTE "\n" OTHER_SIG "x"),
		N(-1, "a\n\n\xe2\x80\x94 \n"),
		N(-1, "a\n\n\xe2\x80\x94 name\n"),
		N(-1, "a\n\n\xe2\x80\x94 name \n"),
		N(-1, "a\n\n\xe2\x80\x94 name AAAAAQ==\n"), /* empty */
		N(-1, "a\n\n\xe2\x80\x94 name AAAAAQI\n"),
		N(-1, "a\n\n\xe2\x80\x94 name AAAAAQI= \n"),
		N(-1, "a\n\n\xe2\x80\x94 name  AAAAAQI=\n"),
		N(-1, "a\n\n\xe2\x80\x94 a+b AAAAAQI=\n"),
		N(-1, "a\n\n\xe2\x80\x94  AAAAAQI=\n"),
		N(-1, "a\n\n\xe2\x80\x94 a\xc2\xa0z AAAAAQI=\n"),
		N(-1, "a\n\n- name AAAAAQI=\n"),
		N(-1, "a\n\n\xe2\x80\x94name AAAAAQI=\n"),
		N(-1, "a\n\n" OTHER_SIG "\n"),
		N(-1, "a\r\n\n" OTHER_SIG),
		N(-1, "a\tb\n\n" OTHER_SIG),
		N(-1, "a\0b\n\n" OTHER_SIG),
		N(-1, "a\xff\n\n" OTHER_SIG),
		N(-1, "a\xc3\n\n" OTHER_SIG),
	};
#undef N
	struct vkey v;
	size_t i, len;

	assert_int_equal(vkey_parse(PETER_V, &v), 0);
	for (i = 0; i < AX_NELEM(t); i++)
		if (note_verify(t[i].text, t[i].n, &v, 1, &len, NULL) !=
		    t[i].expect)
			fail_msg("note %zu", i);
}

static void
every_bit_counts(void **state)
{
	char note[] = PETER_NOTE;
	struct vkey v;
	size_t i, len, n = sizeof(note) - 1;
	unsigned bit;

	assert_int_equal(vkey_parse(PETER_V, &v), 0);
	for (i = 0; i < n; i++)
		for (bit = 0; bit < 8; bit++) {
			note[i] = (char)(note[i] ^ 1 << bit);
			if (note_verify(note, n, &v, 1, &len, NULL) > 0)
				fail_msg("byte %zu bit %u", i, bit);
			note[i] = (char)(note[i] ^ 1 << bit);
		}
	for (i = 0; i < n; i++)
		assert_true(note_verify(note, i, &v, 1, &len, NULL) <= 0);
}

static void
many_keys(void **state)
{
	struct buf b = BUF_INITIALIZER, one = BUF_INITIALIZER;
	struct skey s[3];
	struct vkey keys[3];
	size_t i, len;
	uint64_t which;

	buf_adds(&b, "text\n\n");
	for (i = 0; i < 3; i++) {
		assert_int_equal(skey_new(&s[i], i < 2 ? "same" : "third"), 0);
		keys[i] = s[i].pub;
		buf_reset(&one);
		assert_int_equal(note_sign(&one, "text\n", 5, &s[i]), 0);
		if (i != 1)
			buf_add(&b, one.d + 6, one.len - 6);
	}
	assert_int_equal(note_verify(b.d, b.len, keys, 3, &len, &which), 2);
	assert_int_equal(which, 5);
	assert_int_equal(note_verify(b.d, b.len, keys + 1, 1, &len, &which), 0);
	assert_int_equal(which, 0);
	/* as many as a note may have, and one more */
	buf_reset(&one);
	buf_adds(&one, "t\n\n");
	for (i = 0; i < NOTE_SIGS_MAX; i++)
		buf_adds(&one, OTHER_SIG);
	assert_int_equal(note_verify(one.d, one.len, keys, 3, &len, NULL), 0);
	buf_adds(&one, OTHER_SIG);
	assert_int_equal(note_verify(one.d, one.len, keys, 3, &len, NULL), -1);
	buf_free(&b);
	buf_free(&one);
}

static void
no_text_no_signature(void **state)
{
	static const char *const bad[] = { "", "a", "a\tb\n", "\xff\n" };
	struct buf b = BUF_INITIALIZER;
	struct skey s;
	size_t i;

	buf_adds(&b, "before");
	assert_int_equal(skey_parse(PETER_S, &s), 0);
	for (i = 0; i < AX_NELEM(bad); i++) {
		assert_int_equal(note_sign(&b, bad[i], strlen(bad[i]), &s), -1);
		assert_int_equal(b.len, 6);
	}
	buf_free(&b);
}

/* ---- checkpoints ---- */

#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define SOFA "example.com/behind-the-sofa\n20852163\n" ROOT "\n"

static void
checkpoints_by_table(void **state)
{
#define N(expect, text)                        \
	{                                      \
		expect, text, sizeof(text) - 1 \
	}
	static const struct {
		int expect;
		const char *text;
		size_t n;
	} t[] = {
		N(0, SOFA),
		N(0, SOFA "extension\nmore\n"),
		N(0, SOFA "\n" OTHER_SIG),
		N(0, SOFA "ext\n\n" OTHER_SIG OTHER_SIG),
		N(0, "o\n0\n" ROOT "\n"),
		N(0, "o\n18446744073709551615\n" ROOT "\n"),
		N(0, "an origin with + and spaces\n1\n" ROOT "\n"),
		N(-1, ""),
		N(-1, "o\n1\n"),
		N(-1, "o\n1\n" ROOT),
		N(-1, "\n1\n" ROOT "\n"),
		N(-1, "o\n01\n" ROOT "\n"),
		N(-1, "o\n\n" ROOT "\n"),
		N(-1, "o\n+1\n" ROOT "\n"),
		N(-1, "o\n-1\n" ROOT "\n"),
		N(-1, "o\n1 \n" ROOT "\n"),
		N(-1, "o\n18446744073709551616\n" ROOT "\n"),
		N(-1, "o\n99999999999999999999\n" ROOT "\n"),
		N(-1, "o\n1\nAAAA\n"),
		N(-1, "o\n1\n" ROOT " \n"),
		N(-1, "o\n1\n" ROOT "\n\n"),
		N(-1, "o\n1\n" ROOT "\n\nmore\n"),
		N(-1, "o\n1\n" ROOT "\n\n" OTHER_SIG "more\n"),
		N(-1, "o\n1\n" ROOT "\n\nmore\n\n" OTHER_SIG),
		N(-1, "o\r\n1\n" ROOT "\n"),
	};
#undef N
	struct checkpoint c;
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++)
		if (checkpoint_parse(t[i].text, t[i].n, &c) != t[i].expect)
			fail_msg("checkpoint %zu", i);
	assert_int_equal(checkpoint_parse(SOFA, strlen(SOFA), &c), 0);
	assert_string_equal(c.origin, "example.com/behind-the-sofa");
	assert_int_equal(c.size, 20852163);
	assert_int_equal(c.root[0], 0x0a);
	assert_int_equal(c.root[31], 0x62);
}

static void
checkpoint_reads_back(void **state)
{
	struct checkpoint c = { .origin = "node/archillx", .size = UINT64_MAX },
			  d;
	struct buf b = BUF_INITIALIZER;

	memset(c.root, 0x5a, sizeof(c.root));
	assert_int_equal(checkpoint_put(&b, &c), 0);
	assert_int_equal(checkpoint_parse(b.d, b.len, &d), 0);
	assert_memory_equal(&c, &d, sizeof(c));
	buf_free(&b);
	(void)ax_strlcpy(c.origin, "not good", sizeof(c.origin));
	assert_int_equal(checkpoint_put(&b, &c), -1);
}

static int
open_signed(const char *text, const struct skey *s, const struct vkey *v)
{
	struct buf b = BUF_INITIALIZER;
	struct checkpoint c;
	const char *why = NULL;
	int r;

	assert_int_equal(note_sign(&b, text, strlen(text), s), 0);
	r = checkpoint_open(b.d, b.len, v, 1, &c, &why);
	assert_true(r == 0 || why != NULL);
	buf_free(&b);
	return (r);
}

static void
checkpoint_is_of_its_key(void **state)
{
	struct skey s, other;

	assert_int_equal(skey_new(&s, "mine"), 0);
	assert_int_equal(skey_new(&other, "mine"), 0);
	assert_int_equal(open_signed("mine\n1\n" ROOT "\n", &s, &s.pub), 0);
	assert_int_equal(open_signed("mine\n1\n" ROOT "\n", &other, &s.pub),
	    -1);
	assert_int_equal(open_signed("theirs\n1\n" ROOT "\n", &s, &s.pub), -1);
	assert_int_equal(open_signed("mine\nx\n" ROOT "\n", &s, &s.pub), -1);
	/* an empty line inside what is signed */
	assert_int_equal(open_signed("mine\n1\n" ROOT "\n\n" OTHER_SIG, &s,
			     &s.pub),
	    -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_reads_back),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(known_keys),
		cmocka_unit_test(secret_keys),
		cmocka_unit_test(bad_keys),
		cmocka_unit_test(names),
		cmocka_unit_test(known_note),
		cmocka_unit_test(notes_by_table),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(no_text_no_signature),
		cmocka_unit_test(checkpoints_by_table),
		cmocka_unit_test(checkpoint_reads_back),
		cmocka_unit_test(checkpoint_is_of_its_key),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
