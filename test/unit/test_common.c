/* SPDX-License-Identifier: ISC */
/*
 * The small tools everything rests on: the JSON writer (read back with
 * jansson), numbers, times, hex, UTF-8, and the grammar of the configuration
 * with an error line for every kind of mistake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/jw.h"
#include "common/settings.h"
#include "common/util.h"

static void
jw_numbers(void **state)
{
	static const int64_t v[] = { 0, 1, -1, 9, 10, -10, 1000000007,
		INT64_MAX, INT64_MIN, INT64_MIN + 1 };
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	json_t *j;
	size_t i;

	jw_init(&w, &b, true);
	jw_arr(&w);
	for (i = 0; i < AX_NELEM(v); i++)
		jw_int(&w, v[i]);
	jw_uint(&w, 1234567890123456789u);
	jw_arr_end(&w);
	j = json_loads(buf_str(&b), 0, NULL);
	assert_non_null(j);
	for (i = 0; i < AX_NELEM(v); i++)
		assert_int_equal(json_integer_value(json_array_get(j, i)),
		    v[i]);
	assert_int_equal(json_integer_value(json_array_get(j, i)),
	    1234567890123456789);
	json_decref(j);
	buf_reset(&b);
	jw_init(&w, &b, false);
	jw_uint(&w, UINT64_MAX);
	assert_string_equal(buf_str(&b), "18446744073709551615");
	buf_free(&b);
}

/* Whatever the bytes, the text is JSON and UTF-8; good text comes back. */
static void
jw_strings(void **state)
{
	struct buf b = BUF_INITIALIZER;
	char raw[64];
	struct jw w;
	json_t *j;
	unsigned i, k, n;

	srandom(7);
	for (i = 0; i < 20000; i++) {
		n = (unsigned)random() % sizeof(raw);
		for (k = 0; k < n; k++)
			raw[k] = (char)(random() % 3 == 0 ?
				random() :
				' ' + random() % 95);
		buf_reset(&b);
		jw_init(&w, &b, false);
		jw_strn(&w, raw, n);
		assert_true(utf8_valid(b.d, b.len));
		j = json_loadb(b.d, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
		    NULL);
		assert_non_null(j);
		if (utf8_valid(raw, n)) {
			assert_int_equal(json_string_length(j), n);
			assert_memory_equal(json_string_value(j), raw, n);
		}
		json_decref(j);
	}
	buf_free(&b);
}

static void
jw_layout(void **state)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	jw_init(&w, &b, true);
	jw_obj(&w);
	jw_kstr(&w, "a", NULL);
	jw_key(&w, "b");
	jw_arr(&w);
	jw_obj(&w);
	jw_obj_end(&w);
	jw_bool(&w, true);
	jw_seconds3(&w, 1234567);
	jw_arr_end(&w);
	jw_kint(&w, "c", 3);
	jw_obj_end(&w);
	assert_string_equal(buf_str(&b),
	    "{\"a\": null, \"b\": [{}, true, 1.234], \"c\": 3}");
	assert_false(b.err);
	buf_free(&b);
}

static void
utf8(void **state)
{
	static const struct {
		const char *s;
		bool good;
	} t[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc3\xa9", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\xc0\xaf", false },
		{ "\xe0\x80\xaf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xff", false },
		{ "\xc3", false },
		{ "\x80", false },
	};
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++)
		assert_int_equal(utf8_valid(t[i].s, strlen(t[i].s)), t[i].good);
}

static void
numbers(void **state)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "0x10",
		"1e3", "99999999999999999999", "11", "-1" };
	int64_t v;
	size_t i;

	assert_int_equal(ax_strtonum("10", 0, 10, &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(ax_strtonum("-7", -7, 0, &v), 0);
	assert_int_equal(v, -7);
	for (i = 0; i < AX_NELEM(bad); i++)
		assert_int_equal(ax_strtonum(bad[i], 0, 10, &v), -1);
}

static void
times(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "2026-02-28T23:59:59.5+01:00",
		    "2026-02-28T22:59:59.500000Z" },
		{ "2024-02-29", "2024-02-29T00:00:00.000000Z" },
		{ "1970-01-01 00:00", "1970-01-01T00:00:00.000000Z" },
		{ "1772323199", "2026-02-28T23:59:59.000000Z" },
		{ "2026-01-01T00:00:00-23:30", "2026-01-01T23:30:00.000000Z" },
		{ "2000-12-31T23:59:59.123456789Z",
		    "2000-12-31T23:59:59.123456Z" },
	};
	static const char *const bad[] = { "", "2026-", "2026-13-01",
		"2026-02-29", "2026-01-01T24:00", "2026-01-01T00:00:00.",
		"2026-01-01T00:00Zx", "2026-01-01T00:00+24:00", "1969-12-31",
		"2026-01-01x", "-1" };
	char out[AX_TS_LEN];
	uint64_t us;
	size_t i;

	for (i = 0; i < AX_NELEM(good); i++) {
		assert_int_equal(ax_ts_parse(good[i].in, &us), 0);
		ax_ts_format(us, out);
		assert_string_equal(out, good[i].out);
	}
	for (i = 0; i < AX_NELEM(bad); i++)
		assert_int_equal(ax_ts_parse(bad[i], &us), -1);
}

static void
hex(void **state)
{
	uint8_t d[3];
	char out[7];

	assert_int_equal(ax_unhex("00fFa1", d, 3), 0);
	ax_hex(d, 3, out);
	assert_string_equal(out, "00ffa1");
	assert_int_equal(ax_unhex("00fFa", d, 3), -1);
	assert_int_equal(ax_unhex("00fFa1b", d, 3), -1);
	assert_int_equal(ax_unhex("00fFag", d, 3), -1);
}

/* ---- the configuration's grammar ---- */

static unsigned
parse(struct settings *s, const char *text, struct conf_errors *e)
{
	memset(e, 0, sizeof(*e));
	return (settings_parse(s, "f", text, strlen(text), e));
}

static void
grammar_good(void **state)
{
	static const struct {
		const char *text;
		enum setting_id id;
		const char *value;
	} t[] = {
		{ "PORT=80\n", SET_PORT, "80" },
		{ "PORT=80", SET_PORT, "80" },
		{ "  PORT=80  \r\n", SET_PORT, "80" },
		{ "# c\n; c\n\nPORT=81\n", SET_PORT, "81" },
		{ "API_KEY='a b # \\ \"c'\n", SET_API_KEY, "a b # \\ \"c" },
		{ "API_KEY=\"a\\\"b\\\\c\\$d\\x\"\n", SET_API_KEY,
		    "a\"b\\c$d\\x" },
		{ "API_KEY=ab\\\ncd\n", SET_API_KEY, "abcd" },
		{ "API_KEY=a#b\n", SET_API_KEY, "a#b" },
		{ "API_KEY=a=b\n", SET_API_KEY, "a=b" },
		{ "API_KEY=\n", SET_API_KEY, "" },
		{ "COMPOSE_FILE=x\nPORT=82\n", SET_PORT, "82" },
	};
	struct conf_errors e;
	struct settings *s;
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++) {
		s = settings_new();
		assert_int_equal(parse(s, t[i].text, &e), 0);
		assert_string_equal(settings_str(s, t[i].id), t[i].value);
		settings_free(s);
	}
}

static void
grammar_bad(void **state)
{
	static const struct {
		const char *text, *error;
	} t[] = {
		{ "PORT\n", "f:1: expected =" },
		{ "\nPORT =1\n", "f:2: expected =" },
		{ "1PORT=1\n", "f:1: a name cannot start" },
		{ "=1\n", "f:1: expected NAME=VALUE" },
		{ "PORT=x\n", "f:1: PORT: \"x\" is not a number" },
		{ "PORT=70000\n", "f:1: PORT: 70000 is above" },
		{ "HTTP_MAX_BODY=1T\n", "f:1: HTTP_MAX_BODY: \"1T\" is not" },
		{ "HTTP_MAX_BODY=1\n", "is below the minimum 1024" },
		{ "AUTH=maybe\n", "is not one of required|off" },
		{ "ENABLE_METRICS=si\n", "is not yes or no" },
		{ "NOPE=1\n", "f:1: unknown setting NOPE" },
		{ "CODE_MAX_BYTES=1\n",
		    "did you mean ARCHILLX_CODE_MAX_BYTES?" },
		{ "PORT=1\nPORT=2\n", "f:2: PORT is set twice" },
		{ "PORT=1 # one\n", "f:1: a comment behind a value" },
		{ "API_KEY=\"abc\n", "f:1: a line ends inside quotes" },
		{ "API_KEY='abc", "f:1: the closing quote is missing" },
		{ "API_KEY='a' b\n", "f:1: text behind the closing quote" },
		{ "API_KEY=a'b\n", "f:1: a quote inside" },
		{ "API_KEY=a\x01z\n", "control characters" },
		{ "API_KEY=a\\\nb\nNOPE=1\n", "f:3: unknown setting" },
	};
	struct conf_errors e;
	struct settings *s;
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++) {
		s = settings_new();
		assert_int_equal(parse(s, t[i].text, &e), 1);
		if (strstr(e.text, t[i].error) == NULL)
			fail_msg("%s: %s", t[i].error, e.text);
		conf_errors_free(&e);
		settings_free(s);
	}
}

/* Every mistake is told, not only the first; good lines still count. */
static void
grammar_all_errors(void **state)
{
	struct settings *s = settings_new();
	struct conf_errors e;

	assert_int_equal(parse(s, "PORT=x\nHTTP_WORKERS=2\nNOPE=1\n", &e), 2);
	assert_non_null(strstr(e.text, "f:1:"));
	assert_non_null(strstr(e.text, "f:3:"));
	assert_int_equal(settings_int(s, SET_HTTP_WORKERS), 2);
	assert_string_equal(settings_origin(s, SET_HTTP_WORKERS), "f:2");
	assert_string_equal(settings_origin(s, SET_PORT), "default");
	conf_errors_free(&e);
	settings_free(s);
}

static void
settings_values(void **state)
{
	struct settings *s = settings_new(), *d;
	char err[256];

	assert_int_equal(settings_set(s, SET_TRUSTED_PROXIES, "a, b ,,c", "x",
			     err, sizeof(err)),
	    0);
	assert_string_equal(settings_item(s, SET_TRUSTED_PROXIES, 0), "a");
	assert_string_equal(settings_item(s, SET_TRUSTED_PROXIES, 1), "b");
	assert_string_equal(settings_item(s, SET_TRUSTED_PROXIES, 2), "c");
	assert_null(settings_item(s, SET_TRUSTED_PROXIES, 3));
	assert_int_equal(settings_set_base(s, "/base"), 0);
	assert_int_equal(settings_set(s, SET_STATE_DIR, "./st/", "x", err,
			     sizeof(err)),
	    0);
	assert_string_equal(settings_str(s, SET_STATE_DIR), "/base/st");
	assert_int_equal(settings_set(s, SET_SANDBOX_MEMORY, "128m", "x", err,
			     sizeof(err)),
	    0);
	assert_int_equal(settings_int(s, SET_SANDBOX_MEMORY), 128 << 20);
	assert_int_equal(settings_set(s, SET_PORT, "99999", "x", err,
			     sizeof(err)),
	    -1);
	assert_int_equal(settings_int(s, SET_PORT), 8000);
	d = settings_dup(s);
	assert_true(settings_equal(s, d, SET_STATE_DIR));
	assert_string_equal(settings_item(d, SET_TRUSTED_PROXIES, 2), "c");
	settings_free(d);
	settings_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jw_numbers),
		cmocka_unit_test(jw_strings),
		cmocka_unit_test(jw_layout),
		cmocka_unit_test(utf8),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(hex),
		cmocka_unit_test(grammar_good),
		cmocka_unit_test(grammar_bad),
		cmocka_unit_test(grammar_all_errors),
		cmocka_unit_test(settings_values),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
