/* SPDX-License-Identifier: ISC */
/* Credentials: what is presented, what matches, what never does. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "workers/http/auth.h"

static int
add(struct auth_table *t, const char *name, const char *role, const char *token)
{
	uint8_t digest[AUTH_DIGEST];
	char hex[2 * AUTH_DIGEST + 1], spec[256], err[128];

	ax_sha256(token, strlen(token), digest);
	ax_hex(digest, sizeof(digest), hex);
	snprintf(spec, sizeof(spec), "%s %s", role, hex);
	return (auth_add(t, name, spec, err, sizeof(err)));
}

static void
test_find(void **state)
{
	struct auth_table *t = auth_new();
	const struct auth_entry *e;
	uint8_t digest[AUTH_DIGEST];
	char name[16], token[32];
	unsigned i;

	assert_non_null(t);
	assert_null(auth_find(t, "anything", digest));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		snprintf(token, sizeof(token), "token-of-%u", i);
		assert_int_equal(add(t, name, i == 0 ? "admin" : "api_key",
				     token),
		    0);
	}
	assert_int_equal(auth_count(t), 100);
	e = auth_find(t, "token-of-0", digest);
	assert_non_null(e);
	assert_string_equal(e->name, "key-0");
	assert_string_equal(e->role, "admin");
	e = auth_find(t, "token-of-99", digest);
	assert_non_null(e);
	assert_string_equal(e->name, "key-99");
	assert_memory_equal(e->digest, digest, sizeof(digest));
	assert_null(auth_find(t, "token-of-100", digest));
	assert_null(auth_find(t, "token-of-", digest));
	assert_null(auth_find(t, "Token-of-0", digest));
	assert_null(auth_find(t, "token-of-0 ", digest));
	assert_null(auth_find(t, "", digest));
	auth_free(t);
	auth_free(NULL);
}

static void
test_refused_items(void **state)
{
	static const char hex64[] = "00112233445566778899aabbccddeeff"
				    "00112233445566778899aabbccddeeff";
	/* SHA-256 of nothing: D-01, the empty token must match nothing. */
	static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb924"
				    "27ae41e4649b934ca495991b7852b855";
	struct auth_table *t = auth_new();
	char spec[256], err[128], longname[80];

	snprintf(spec, sizeof(spec), "admin %s", empty);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), -1);
	snprintf(spec, sizeof(spec), "admin %.63s", hex64);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), -1);
	snprintf(spec, sizeof(spec), "admin %s0", hex64);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), -1);
	snprintf(spec, sizeof(spec), "admin %.63sg", hex64);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), -1);
	snprintf(spec, sizeof(spec), " %s", hex64);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), -1);
	assert_int_equal(auth_add(t, "a", hex64, err, sizeof(err)), -1);
	assert_int_equal(auth_add(t, "a", "", err, sizeof(err)), -1);
	snprintf(spec, sizeof(spec), "%033d %s", 1, hex64);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), -1);
	snprintf(spec, sizeof(spec), "admin %s", hex64);
	assert_int_equal(auth_add(t, "", spec, err, sizeof(err)), -1);
	snprintf(longname, sizeof(longname), "%065d", 1);
	assert_int_equal(auth_add(t, longname, spec, err, sizeof(err)), -1);
	assert_int_equal(auth_count(t), 0);
	assert_int_equal(auth_add(t, "a", spec, err, sizeof(err)), 0);
	auth_free(t);
}

static void
test_pick(void **state)
{
	static const struct {
		const char *key, *authorization;
		enum auth_presented want;
		const char *token;
	} c[] = {
		{ NULL, NULL, AUTH_ABSENT, NULL },
		{ "", NULL, AUTH_ABSENT, NULL },
		{ "", "", AUTH_ABSENT, NULL },
		{ "k", NULL, AUTH_TOKEN, "k" },
		{ "k", "Bearer t", AUTH_TOKEN, "k" },
		{ "", "Bearer t", AUTH_TOKEN, "t" },
		{ NULL, "Bearer t", AUTH_TOKEN, "t" },
		{ NULL, "bEARER t", AUTH_TOKEN, "t" },
		{ NULL, "Bearer  t", AUTH_TOKEN, "t" },
		{ NULL, "t", AUTH_TOKEN, "t" },
		{ NULL, "Bearer ", AUTH_UNUSABLE, NULL },
		{ NULL, "Bearer", AUTH_UNUSABLE, NULL },
		{ NULL, "Basic dTpw", AUTH_UNUSABLE, NULL },
		{ NULL, "Bearer a b", AUTH_UNUSABLE, NULL },
	};
	const char *token;
	size_t i;

	for (i = 0; i < AX_NELEM(c); i++) {
		assert_int_equal(auth_pick(c[i].key, c[i].authorization,
				     &token),
		    c[i].want);
		if (c[i].token == NULL)
			assert_null(token);
		else
			assert_string_equal(token, c[i].token);
	}
}

static void
test_in_query(void **state)
{
	assert_false(auth_in_query(NULL));
	assert_false(auth_in_query(""));
	assert_false(auth_in_query("limit=5&action=token"));
	assert_false(auth_in_query("tokens=5&keyx&&="));
	assert_true(auth_in_query("api_key=x"));
	assert_true(auth_in_query("a=b&&TOKEN"));
	assert_true(auth_in_query("a&x-api-key="));
	assert_true(auth_in_query("access_token=1&b=2"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_refused_items),
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_in_query),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
