/* SPDX-License-Identifier: ISC */
/*
 * The tables of the audit process: keys, the registry with the operators'
 * flags, open permits, idempotency keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "workers/audit/idem.h"
#include "workers/audit/keys.h"
#include "workers/audit/permits.h"
#include "workers/audit/registry.h"

static void
keys(void **state)
{
	static const char *const bad[] = { "", "admin", "admin ", " ",
		"admin 12", "admin zz", "admin" };
	struct keys *k = keys_new();
	const struct key *f;
	uint8_t sum[32];
	char hex[65], value[80], err[100];
	size_t i;

	for (i = 0; i < AX_NELEM(bad); i++)
		assert_int_equal(keys_add(k, "x", bad[i], err, sizeof(err)),
		    -1);
	ax_sha256("secret", 6, sum);
	ax_hex(sum, 32, hex);
	snprintf(value, sizeof(value), "admin %s", hex);
	assert_int_equal(keys_add(k, "ops", value, err, sizeof(err)), 0);
	/* a digest of nothing opens nothing */
	ax_sha256("", 0, sum);
	ax_hex(sum, 32, hex);
	snprintf(value, sizeof(value), "admin %s", hex);
	assert_int_equal(keys_add(k, "none", value, err, sizeof(err)), 0);
	f = keys_find(k, "secret");
	assert_non_null(f);
	assert_string_equal(f->name, "ops");
	assert_string_equal(f->role, "admin");
	assert_null(keys_find(k, ""));
	assert_null(keys_find(k, "secre"));
	assert_null(keys_find(k, "secrets"));
	keys_free(k);
}

static void
registry(void **state)
{
	static const char text[] = "{\"name\": \"a\", \"enabled\": false,"
				   " \"permissions\": [\"filesystem\"],"
				   " \"inputs\": {\"type\": \"object\"},"
				   " \"runtime\": {\"kind\": \"files\"}}";
	struct registry *r = registry_new();
	struct flags f = { 0 };
	const struct skill *s;
	unsigned i = 9;
	char err[300];

	assert_int_equal(registry_add(r, "b", text, err, sizeof(err)), -1);
	assert_int_equal(registry_add(r, "a", "{", err, sizeof(err)), -1);
	if (registry_add(r, "a", text, err, sizeof(err)) == -1)
		fail_msg("%s", err);
	assert_int_equal(registry_add(r, "a", text, err, sizeof(err)), -1);
	s = registry_find(r, "a", &i);
	assert_non_null(s);
	assert_int_equal(i, 0);
	assert_null(registry_find(r, "A", NULL));
	/* the manifest's default, until an operator says something */
	assert_false(flags_enabled(&f, s));
	assert_int_equal(flags_set(&f, "a", true), 0);
	assert_true(flags_enabled(&f, s));
	assert_int_equal(flags_set(&f, "a", false), 0);
	assert_false(flags_enabled(&f, s));
	assert_int_equal(f.n, 1);
	flags_clear(&f);
	registry_free(r);
}

static void
permits(void **state)
{
	const struct origin a = { PROC_HTTP, 0, 1 }, b = { PROC_HTTP, 0, 2 };
	const struct origin nowhere = { PROC_HTTP, 0, 0 };
	struct permits t;
	struct permit *p;
	uint64_t n;

	assert_int_equal(permits_init(&t), 0);
	for (n = 10; n < 3010; n += 2) {
		p = permit_new("s", "a", NULL);
		p->number = n;
		p->id = n;
		p->origin = a;
		p->sandboxed = n % 4 == 0;
		assert_int_equal(permits_add(&t, p), 0);
	}
	assert_int_equal(t.n, 1500);
	assert_int_equal(t.nsandboxed, 750);
	assert_int_equal(permits_lowest(&t), 10);
	for (n = 9; n < 3011; n++) {
		p = permits_find(&t, n);
		assert_true((p != NULL) == (n % 2 == 0 && n >= 10 && n < 3010));
	}
	assert_non_null(permits_of(&t, &a, 12));
	assert_null(permits_of(&t, &b, 12));
	assert_null(permits_of(&t, &nowhere, 12));
	for (n = 10; n < 2000; n += 2) {
		p = permits_find(&t, n);
		permits_remove(&t, p);
		permit_free(p);
		assert_null(permits_find(&t, n));
	}
	assert_int_equal(permits_lowest(&t), 2000);
	permits_clear(&t);
}

static void
key_of(unsigned n, char out[65])
{
	char text[20];

	snprintf(text, sizeof(text), "%u", n);
	idem_digest_key("actor", "route", text, out);
}

static void
idempotency(void **state)
{
	struct idems t;
	struct idem *e;
	char key[65], other[65], big[300000];
	unsigned i;

	assert_int_equal(idems_init(&t), 0);
	/* no text runs into the next */
	idem_digest_key("a", "bc", "d", key);
	idem_digest_key("ab", "c", "d", other);
	assert_string_not_equal(key, other);

	key_of(0, key);
	assert_null(idems_find(&t, key, 1));
	assert_non_null(idems_put(&t, key, "body", 7, 1000));
	e = idems_find(&t, key, 2000);
	assert_non_null(e);
	assert_int_equal(e->state, IDEM_RUNNING);
	/* somebody else's end changes nothing */
	idems_end(&t, key, 8, IDEM_DONE, true, "x", 1);
	assert_int_equal(e->state, IDEM_RUNNING);
	/* what runs is never forgotten */
	assert_non_null(idems_find(&t, key, 1000 + 2 * IDEM_KEEP_US));
	idems_end(&t, key, 7, IDEM_DONE, true, "x", 1);
	assert_int_equal(e->answer_len, 1);
	assert_non_null(idems_find(&t, key, 2000));
	assert_null(idems_find(&t, key, 1000 + IDEM_KEEP_US));
	assert_int_equal(t.n, 0);
	assert_int_equal(t.answers, 0);

	/* answers give way, keys stay, up to the bounds */
	memset(big, 'x', sizeof(big));
	for (i = 0; i < IDEM_MAX + 100; i++) {
		key_of(i, key);
		assert_non_null(idems_put(&t, key, "b", i + 1, 5000 + i));
		idems_end(&t, key, i + 1, IDEM_DONE, true, big, 200000);
		assert_true(t.answers <= IDEM_ANSWERS_MAX);
	}
	assert_true(t.n <= IDEM_MAX + 1);
	e = idems_find(&t, key, 30000);
	assert_int_equal(e->answer_len, 200000);
	key_of(50, key);
	assert_null(idems_find(&t, key, 30000));
	key_of(5000, key);
	e = idems_find(&t, key, 30000);
	assert_non_null(e);
	assert_null(e->answer);
	idems_end(&t, key, 5001, IDEM_DONE, true, big, sizeof(big));
	assert_null(e->answer); /* too large to hold */
	idems_drop(&t, key, 5001);
	assert_null(idems_find(&t, key, 30000));
	idems_clear(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(registry),
		cmocka_unit_test(permits),
		cmocka_unit_test(idempotency),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
