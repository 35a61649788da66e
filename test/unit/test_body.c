/* SPDX-License-Identifier: ISC */
/* Request bodies: broken JSON at every cut point, wrong types, depth. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "common/util.h"
#include "workers/http/body.h"

static void
refuse(const char *text, size_t len, const char *want)
{
	struct invalid inv;
	const char *items;

	invalid_init(&inv);
	assert_null(body_parse(text, len, &inv));
	assert_int_equal(inv.n, 1);
	items = invalid_json(&inv);
	if (strstr(items, want) == NULL)
		fail_msg("%.*s: %s", (int)len, text, items);
	invalid_free(&inv);
}

static void
test_cut(void **state)
{
	static const char whole[] =
	    "{\"name\":\"code_exec\",\"inputs\":"
	    "{\"code\":\"print(\\\"\\u00e9\\\")\",\"n\":[1,-2.5e3,true,null],"
	    "\"s\":\"\xc3\xa9\"}}";
	struct invalid inv;
	json_t *root;
	char *cut;
	size_t n;

	invalid_init(&inv);
	root = body_parse(whole, sizeof(whole) - 1, &inv);
	assert_non_null(root);
	json_decref(root);
	invalid_free(&inv);
	refuse(whole, 0, "\"type\":\"missing\",\"loc\":[\"body\"]");
	for (n = 1; n < sizeof(whole) - 1; n++) {
		/* exactly as long as the text: ASan sees any look beyond */
		cut = malloc(n);
		assert_non_null(cut);
		memcpy(cut, whole, n);
		refuse(cut, n, "json_invalid");
		free(cut);
	}
}

static void
test_not_json(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
#define T(s) { s, sizeof(s) - 1 }
		T("{\"name\":\"a\0b\"}"),
		T("\0"),
		T("{}\0"),
		T("{\"name\":\"\\u0000\"}"),
		T("{\"name\":\"\xff\"}"),
		T("{\"name\":\"\xc0\xaf\"}"),
		T("{\"name\":\"\xed\xa0\x80\"}"),
		T("{\"name\":\"\\ud800\"}"),
		T("{\"name\":\"a\",\"name\":\"b\"}"),
		T("{\"inputs\":{\"x\":1,\"x\":1}}"),
		T("{} {}"),
		T("{},"),
		T("{'name':'a'}"),
		T("{\"name\":\"a\",}"),
		T("[1,]"),
		T("NaN"),
		T("{\"n\":Infinity}"),
		T("{\"n\":1e999}"),
		T("{\"n\":99999999999999999999}"),
		T("{\"n\":01}"),
		T("{\"n\":+1}"),
		T("{\"s\":\"\n\"}"),
		T("\xef\xbb\xbf{}"),
		T("   "),
		T("}"),
		T("]]]]"),
#undef T
	};
	/* clang-format on */
	size_t i;

	for (i = 0; i < AX_NELEM(bad); i++)
		refuse(bad[i].text, bad[i].len, "json_invalid");
}

/* The item tells the byte at which reading stopped. */
static void
test_offset(void **state)
{
	refuse("{\"a\":x}", 7, "\"loc\":[\"body\",6]");
	refuse("[[[[}", 5, "\"loc\":[\"body\",5]");
}

static void
nest(char *s, unsigned depth)
{
	memset(s, '[', depth);
	memset(s + depth, ']', depth);
}

static void
test_depth(void **state)
{
	char s[2 * BODY_MAX_DEPTH + 4];
	struct invalid inv;
	json_t *root;
	char *deep;

	nest(s, BODY_MAX_DEPTH);
	invalid_init(&inv);
	root = body_parse(s, 2 * BODY_MAX_DEPTH, &inv);
	assert_non_null(root);
	json_decref(root);
	invalid_free(&inv);
	nest(s, BODY_MAX_DEPTH + 1);
	refuse(s, 2 * BODY_MAX_DEPTH + 2, "nested too deep");

	deep = malloc(2000000);
	assert_non_null(deep);
	memset(deep, '[', 2000000);
	refuse(deep, 2000000, "nested too deep");
	memset(deep, '{', 2000000);
	refuse(deep, 2000000, "nested too deep");
	free(deep);

	/* brackets inside a string are not levels */
	memset(s, '[', sizeof(s));
	s[0] = '"';
	s[sizeof(s) - 2] = '\\';
	s[sizeof(s) - 1] = '"';
	refuse(s, sizeof(s), "json_invalid"); /* the quote is escaped */
	s[sizeof(s) - 2] = '[';
	s[1] = '\\'; /* nor behind an escaped quote */
	s[2] = '"';
	invalid_init(&inv);
	root = body_parse(s, sizeof(s), &inv);
	assert_non_null(root);
	json_decref(root);
	invalid_free(&inv);
}

/* clang-format off */
static const struct {
	const char *text, *item; /* NULL: good */
} invokes[] = {
	{ "{\"name\":\"a\"}", NULL },
	{ "{\"name\":\"a\",\"inputs\":{}}", NULL },
	{ "{\"name\":\"a\",\"inputs\":{\"x\":1},\"other\":[]}", NULL },
	{ "{\"name\":\"\"}", NULL }, /* no such skill: the gate's 404 */
	{ "{}", "[{\"type\":\"missing\",\"loc\":[\"body\",\"name\"],"
	    "\"msg\":\"Field required\",\"input\":{}}]" },
	{ "{\"name\":5}", "[{\"type\":\"string_type\",\"loc\":[\"body\","
	    "\"name\"],\"msg\":\"Input should be a valid string\","
	    "\"input\":5}]" },
	{ "{\"name\":null}", "string_type" },
	/* not repeated: it may hold what a schema calls secret */
	{ "{\"name\":\"a\",\"inputs\":[]}",
	    "[{\"type\":\"dict_type\",\"loc\":[\"body\",\"inputs\"],"
	    "\"msg\":\"Input should be a valid dictionary\"}]" },
	{ "{\"name\":\"a\",\"inputs\":null}", "dict_type" },
	{ "{\"name\":\"a\",\"inputs\":\"x\"}", "dict_type" },
	{ "{\"name\":[],\"inputs\":1}", "dict_type" },
	{ "5", "model_attributes_type" },
	{ "[]", "model_attributes_type" },
	{ "null", "model_attributes_type" },
	{ "\"x\"", "model_attributes_type" },
	{ "true", "model_attributes_type" },
};
/* clang-format on */

static void
test_invoke(void **state)
{
	struct body_invoke body;
	struct invalid inv;
	const char *items;
	json_t *root;
	size_t i;
	int r;

	for (i = 0; i < AX_NELEM(invokes); i++) {
		invalid_init(&inv);
		root =
		    body_parse(invokes[i].text, strlen(invokes[i].text), &inv);
		assert_non_null(root);
		r = body_invoke(root, &body, &inv);
		items = invalid_json(&inv);
		if (invokes[i].item == NULL) {
			assert_int_equal(r, 0);
			assert_non_null(body.name);
		} else {
			assert_int_equal(r, -1);
			if (strstr(items, invokes[i].item) == NULL)
				fail_msg("%s: %s", invokes[i].text, items);
		}
		json_decref(root);
		invalid_free(&inv);
	}
}

static void
test_name(void **state)
{
	char s[66];

	memset(s, 'a', 65);
	s[65] = '\0';
	assert_false(body_skill_name(s));
	s[64] = '\0';
	assert_true(body_skill_name(s));
	assert_true(body_skill_name("A.b-c_9"));
	assert_false(body_skill_name(""));
	assert_false(body_skill_name("a/b"));
	assert_false(body_skill_name("a b"));
	assert_false(body_skill_name("\xc3\xa9"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_not_json),
		cmocka_unit_test(test_offset),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_invoke),
		cmocka_unit_test(test_name),
	};

	return (cmocka_run_group_tests_name("body", tests, NULL, NULL));
}
