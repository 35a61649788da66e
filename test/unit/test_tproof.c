/* SPDX-License-Identifier: ISC */
/*
 * tlog-proof files: what is written reads back and holds; the C2SP page's
 * shape and nothing else is read; nothing that was changed holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/tproof.h"
#include "common/util.h"

#define LEAVES 7

typedef uint8_t hash[MERKLE_HASH];

static struct skey key;
static struct buf note;
static hash leaves[LEAVES];

static const char *
leaf_text(uint64_t i)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "{\"seq\": %u}", (unsigned)i + 1);
	return (text);
}

static int
get(void *arg, unsigned level, uint64_t index, uint8_t out[MERKLE_HASH])
{
	struct merkle m = { 0 };
	uint64_t i;

	(void)arg;
	for (i = index << level; i < (index + 1) << level; i++)
		merkle_append(&m, leaves[i]);
	merkle_root(&m, out);
	return (0);
}

static int
set_up(void **state)
{
	struct checkpoint c = { .origin = "log.example/a", .size = LEAVES };
	struct buf text = BUF_INITIALIZER;
	struct merkle m = { 0 };
	unsigned i;

	for (i = 0; i < LEAVES; i++) {
		merkle_leaf(leaf_text(i), strlen(leaf_text(i)), leaves[i]);
		merkle_append(&m, leaves[i]);
	}
	merkle_root(&m, c.root);
	if (skey_new(&key, c.origin) == -1 || checkpoint_put(&text, &c) == -1 ||
	    note_sign(&note, text.d, text.len, &key) == -1)
		return (-1);
	buf_free(&text);
	return (0);
}

static int
tear_down(void **state)
{
	buf_free(&note);
	return (0);
}

static void
make(uint64_t i, struct tproof *t, struct buf *out)
{
	int n;

	memset(t, 0, sizeof(*t));
	t->index = i;
	n = merkle_inclusion(i, LEAVES, get, NULL, t->path);
	assert_true(n >= 0);
	t->npath = (size_t)n;
	t->extra = leaf_text(i);
	t->extra_len = strlen(t->extra);
	t->note = note.d;
	t->note_len = note.len;
	buf_reset(out);
	assert_int_equal(tproof_put(out, t), 0);
}

/* Parses and checks with the record that it carries. */
static int
check(const char *text, size_t n, const char **why)
{
	struct buf scratch = BUF_INITIALIZER;
	struct checkpoint c;
	struct tproof t;
	int r;

	*why = NULL;
	r = tproof_parse(text, n, &t, &scratch, why);
	if (r == 0 && t.extra == NULL) {
		*why = "no extra";
		r = -1;
	}
	if (r == 0)
		r = tproof_check(&t, t.extra, t.extra_len, &key.pub, 1, &c,
		    why);
	assert_true(r == 0 ? *why == NULL : *why != NULL);
	buf_free(&scratch);
	return (r);
}

static void
reads_back(void **state)
{
	struct buf text = BUF_INITIALIZER, scratch = BUF_INITIALIZER,
		   again = BUF_INITIALIZER;
	struct tproof t, r;
	const char *why;
	uint64_t i;

	for (i = 0; i < LEAVES; i++) {
		make(i, &t, &text);
		assert_int_equal(tproof_parse(text.d, text.len, &r, &scratch,
				     &why),
		    0);
		assert_int_equal(r.index, i);
		assert_int_equal(r.npath, t.npath);
		assert_memory_equal(r.path, t.path, t.npath * sizeof(hash));
		assert_int_equal(r.extra_len, t.extra_len);
		assert_memory_equal(r.extra, leaf_text(i), r.extra_len);
		assert_int_equal(r.note_len, note.len);
		assert_memory_equal(r.note, note.d, note.len);
		buf_reset(&again);
		assert_int_equal(tproof_put(&again, &r), 0);
		assert_int_equal(again.len, text.len);
		assert_memory_equal(again.d, text.d, text.len);
		assert_int_equal(check(text.d, text.len, &why), 0);
	}
	buf_free(&text);
	buf_free(&scratch);
	buf_free(&again);
}

/* Bytes other than base64's spare ones: no flip may still hold. */
static void
every_bit_counts(void **state)
{
	struct buf text = BUF_INITIALIZER;
	struct tproof t;
	const char *why;
	unsigned bit;
	size_t i;

	make(4, &t, &text);
	for (i = 0; i < text.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			text.d[i] = (char)(text.d[i] ^ 1 << bit);
			if (check(text.d, text.len, &why) == 0)
				fail_msg("byte %zu bit %u", i, bit);
			text.d[i] = (char)(text.d[i] ^ 1 << bit);
		}
	}
	for (i = 0; i < text.len; i++)
		assert_int_equal(check(text.d, i, &why), -1);
	buf_free(&text);
}

static void
of_another(void **state)
{
	struct buf text = BUF_INITIALIZER;
	struct checkpoint c;
	struct skey other;
	struct tproof t;
	const char *why;

	make(2, &t, &text);
	assert_int_equal(skey_new(&other, key.pub.name), 0);
	assert_int_equal(tproof_check(&t, t.extra, t.extra_len, &other.pub, 1,
			     &c, &why),
	    -1);
	assert_int_equal(tproof_check(&t, "other", 5, &key.pub, 1, &c, &why),
	    -1);
	assert_int_equal(tproof_check(&t, t.extra, t.extra_len, NULL, 0, &c,
			     &why),
	    -1);
	t.index = LEAVES;
	assert_int_equal(tproof_check(&t, t.extra, t.extra_len, &key.pub, 1, &c,
			     &why),
	    -1);
	assert_string_equal(why, "the line lies above the checkpoint");
	buf_free(&text);
}

#define H64  "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define HEAD "c2sp.org/tlog-proof@v1\n"

static void
shapes(void **state)
{
	static const struct {
		int expect;
		const char *text;
	} t[] = {
		{ 0, HEAD "index 0\n\nnote\n" },
		{ 0, HEAD "extra Zg==\nindex 1\n" H64 H64 "\nnote\n" },
		{ 0, HEAD "index 18446744073709551615\n\nnote\n" },
		{ -1, "" },
		{ -1, "\n" },
		{ -1, HEAD },
		{ -1, "c2sp.org/tlog-proof@v2\nindex 0\n\nnote\n" },
		{ -1, "c2sp.org/tlog-proof@v1\r\nindex 0\n\nnote\n" },
		{ -1, " " HEAD "index 0\n\nnote\n" },
		{ -1, HEAD "\nindex 0\n\nnote\n" },
		{ -1, HEAD "index 0\n\n" },
		{ -1, HEAD "index 0\nnote\n" },
		{ -1, HEAD "index 0\n" H64 },
		{ -1, HEAD "index 0\n" H64 "note\n" },
		{ -1, HEAD "index 0\n" H64 "AAAA\n\nnote\n" },
		{ -1, HEAD "index 0 \n\nnote\n" },
		{ -1, HEAD "index  0\n\nnote\n" },
		{ -1, HEAD "index 00\n\nnote\n" },
		{ -1, HEAD "index +1\n\nnote\n" },
		{ -1, HEAD "index\n\nnote\n" },
		{ -1, HEAD "index \n\nnote\n" },
		{ -1, HEAD "index 18446744073709551616\n\nnote\n" },
		{ -1, HEAD "extra \nindex 0\n\nnote\n" },
		{ -1, HEAD "extra\nindex 0\n\nnote\n" },
		{ -1, HEAD "extra Zg\nindex 0\n\nnote\n" },
		{ -1, HEAD "extra Zg==\n" },
		{ -1, HEAD "extra Zg==\nextra Zg==\nindex 0\n\nnote\n" },
		{ -1, HEAD "index 0\nextra Zg==\n\nnote\n" },
	};
	struct buf scratch = BUF_INITIALIZER;
	struct tproof p;
	const char *why;
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++)
		if (tproof_parse(t[i].text, strlen(t[i].text), &p, &scratch,
			&why) != t[i].expect)
			fail_msg("shape %zu: %s", i, why);
	buf_free(&scratch);
}

static void
longest_path(void **state)
{
	struct buf b = BUF_INITIALIZER, scratch = BUF_INITIALIZER;
	struct tproof t;
	const char *why;
	unsigned i, n;

	for (n = MERKLE_PATH; n <= MERKLE_PATH + 1; n++) {
		buf_reset(&b);
		buf_adds(&b, HEAD "index 5\n");
		for (i = 0; i < n; i++)
			buf_adds(&b, H64);
		buf_adds(&b, "\nnote\n");
		assert_int_equal(tproof_parse(b.d, b.len, &t, &scratch, &why),
		    n == MERKLE_PATH ? 0 : -1);
	}
	buf_free(&b);
	buf_free(&scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(of_another),
		cmocka_unit_test(shapes),
		cmocka_unit_test(longest_path),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
