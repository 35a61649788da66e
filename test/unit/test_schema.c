/* SPDX-License-Identifier: ISC */
/*
 * schema.c: which schemas are accepted, and the error items for values.
 * Tables of text, so that a case is one line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema.h"
#include "common/util.h"

static json_t *
load(const char *text)
{
	json_error_t je;
	json_t *j = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);

	if (j == NULL)
		fail_msg("%s in %s", je.text, text);
	return (j);
}

/* err NULL: a good schema; else what the message must contain. */
static const struct check_row {
	const char *schema, *err;
} checks[] = {
	{ "{}", NULL },
	{ "{\"type\":[\"string\",\"null\"]}", NULL },
	{ "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\","
	  "\"minimum\":0,\"default\":1,\"title\":\"A\",\"secret\":true}},"
	  "\"required\":[\"a\"],\"additionalProperties\":false,"
	  "\"maxProperties\":3}",
	    NULL },
	{ "{\"additionalProperties\":{\"type\":\"string\"}}", NULL },
	{ "{\"pattern\":\"^[a-z{}(]{1,64}$\"}", NULL },
	{ "[]", "#: must be an object" },
	{ "{\"type\":\"strin\"}", "#/type: \"strin\" is not one of string" },
	{ "{\"type\":[]}", "#/type: must be" },
	{ "{\"type\":[\"string\",7]}", "item 1" },
	{ "{\"$ref\":\"#\"}", "#/$ref: unknown keyword" },
	{ "{\"anyOf\":[]}", "unknown keyword" },
	{ "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"minLenght\":1}}}}}",
	    "#/properties/a/properties/b/minLenght: unknown keyword" },
	{ "{\"properties\":[]}", "#/properties: must be an object" },
	{ "{\"properties\":{\"a\":true}}", "#/properties/a: must be an obj" },
	{ "{\"items\":[{}]}", "#/items: must be an object" },
	{ "{\"items\":{\"enum\":[]}}", "#/items/enum: must be a list" },
	{ "{\"required\":[1]}", "#/required: item 0" },
	{ "{\"minItems\":-1}", "#/minItems" },
	{ "{\"maxLength\":1.5}", "#/maxLength" },
	{ "{\"minimum\":\"1\"}", "#/minimum: must be a number" },
	{ "{\"title\":1}", "#/title: must be a string" },
	{ "{\"secret\":1}", "#/secret: must be true or false" },
	{ "{\"pattern\":\"^(\"}", "#/pattern: " },
	{ "{\"pattern\":\"^[a\"}", "#/pattern: " },
	{ "{\"pattern\":\"^(a+)\\\\1\"}", "back-references" },
	{ "{\"pattern\":\"^((a{1,100}){1,100}){1,100}\"}", "repetitions" },
	{ "{\"pattern\":\"^a++++++++++++++++++++\"}", "repetitions" },
	{ "{\"pattern\":\"^((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+\"}",
	    "repetitions" },
	{ "{\"pattern\":\"^((((((((((((((((((a))))))))))))))))))\"}",
	    "nested too deep" },
	{ "{\"pattern\":\"^[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-"
	  "[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+\"}",
	    NULL },
	{ "{\"pattern\":\"^[]+{99}(]+[^]({9999}]+\\\\(\"}", NULL },
	{ "{\"pattern\":\"^a{1,99999999999}\"}", "repetition" },
	{ "{\"pattern\":\"a\"}", "must begin with ^" },
	{ "{\"pattern\":\"^a|b\"}", "in parentheses" },
	{ "{\"pattern\":\"^(a*)*\"}", "may be empty" },
	{ "{\"pattern\":\"^(a*b*|c)+\"}", "may be empty" },
	{ "{\"pattern\":\"^(a|){2}\"}", "may be empty" },
	{ "{\"pattern\":\"^(^|$)+\"}", "may be empty" },
	{ "{\"pattern\":\"^a*+\"}", "may be empty" },
	{ "{\"pattern\":\"^a{0,3}{2}\"}", "may be empty" },
	{ "{\"pattern\":\"^*a\"}", "may be empty" },
	{ "{\"pattern\":\"^[a-z]+(-[a-z0-9]*x)*(\\\\.[a-z]{2,}){1,3}$\"}",
	    NULL },
	{ "{\"pattern\":\"^(/[^/]+)+/?$\"}", NULL },
	{ "{\"pattern\":\"^a\\u0000b\"}", "#/pattern: must be" },
};

static void
test_check(void **state)
{
	char err[256];
	json_t *schema;
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < AX_NELEM(checks); i++) {
		schema = load(checks[i].schema);
		err[0] = '\0';
		r = schema_check(schema, err, sizeof(err));
		json_decref(schema);
		if (checks[i].err == NULL && r != 0)
			fail_msg("%s: %s", checks[i].schema, err);
		if (checks[i].err != NULL &&
		    (r != -1 || strstr(err, checks[i].err) == NULL))
			fail_msg("%s: got \"%s\", not \"%s\"", checks[i].schema,
			    err, checks[i].err);
	}
}

static void
test_check_depth(void **state)
{
	char err[256], text[4096] = "{}", next[4096];
	json_t *schema;
	int i, r = 0;

	(void)state;
	for (i = 0; i < 40 && r == 0; i++) {
		(void)snprintf(next, sizeof(next), "{\"items\":%.4000s}", text);
		memcpy(text, next, sizeof(text));
		schema = load(text);
		r = schema_check(schema, err, sizeof(err));
		json_decref(schema);
	}
	assert_int_equal(r, -1);
	assert_int_equal(i, 16); /* the 17th level is one too many */
	assert_non_null(strstr(err, "nested deeper"));
}

#define OBJ(props)                                             \
	"{\"type\":\"object\",\"additionalProperties\":false," \
	"\"required\":[\"a\"],\"properties\":{\"a\":" props "}}"
#define ITEM(type, loc, msg, ctx)                   \
	"[{\"type\":\"" type "\",\"loc\":[\"body\"" \
	",\"inputs\"" loc "],\"msg\":\"" msg "\"" ctx "}]"

static const struct value_row {
	const char *schema, *value;
	const char *errors; /* as JSON */
} values[] = {
	{ OBJ("{\"type\":\"string\"}"), "{\"a\":\"x\"}", "[]" },
	{ OBJ("{\"type\":\"string\"}"), "{}",
	    ITEM("missing", ",\"a\"", "Field required", "") },
	{ OBJ("{\"type\":\"string\"}"), "{\"a\":null}",
	    ITEM("string_type", ",\"a\"", "Input should be a valid string",
		"") },
	{ OBJ("{}"), "[]",
	    ITEM("dict_type", "", "Input should be a valid dictionary", "") },
	{ OBJ("{}"), "{\"a\":[{}],\"b\":1}",
	    ITEM("extra_forbidden", ",\"b\"", "Extra inputs are not permitted",
		"") },
	/* of a secret neither keys nor sizes are told */
	{ OBJ("{\"secret\":true,\"additionalProperties\":false}"),
	    "{\"a\":{\"hunter2\":1}}",
	    ITEM("extra_forbidden", ",\"a\"", "Extra inputs are not permitted",
		"") },
	{ OBJ("{\"secret\":true,\"minItems\":3}"), "{\"a\":[1]}",
	    ITEM("too_short", ",\"a\"",
		"List should have at least 3 items after validation",
		",\"ctx\":{\"field_type\":\"List\",\"min_length\":3}") },
	{ "{\"type\":\"integer\"}", "7", "[]" },
	{ "{\"type\":\"integer\"}", "\"7\"",
	    ITEM("int_type", "", "Input should be a valid integer", "") },
	{ "{\"type\":\"integer\"}", "7.0",
	    ITEM("int_type", "", "Input should be a valid integer", "") },
	{ "{\"type\":\"integer\"}", "true",
	    ITEM("int_type", "", "Input should be a valid integer", "") },
	{ "{\"type\":[\"integer\",\"string\"]}", "\"7\"", "[]" },
	{ "{\"type\":[\"integer\",\"string\"]}", "[]",
	    ITEM("int_type", "", "Input should be a valid integer or string",
		"") },
	{ "{\"type\":\"number\"}", "7", "[]" },
	{ "{\"type\":\"number\"}", "\"x\"",
	    ITEM("float_type", "", "Input should be a valid number", "") },
	{ "{\"type\":\"boolean\"}", "1",
	    ITEM("bool_type", "", "Input should be a valid boolean", "") },
	{ "{\"type\":\"array\"}", "{}",
	    ITEM("list_type", "", "Input should be a valid list", "") },
	{ "{\"type\":\"null\"}", "null", "[]" },
	{ "{\"minimum\":3}", "3", "[]" },
	{ "{\"minimum\":3}", "2",
	    ITEM("greater_than_equal", "",
		"Input should be greater than or equal to 3",
		",\"ctx\":{\"ge\":3}") },
	{ "{\"maximum\":3}", "4",
	    ITEM("less_than_equal", "",
		"Input should be less than or equal to 3",
		",\"ctx\":{\"le\":3}") },
	{ "{\"exclusiveMinimum\":3}", "3",
	    ITEM("greater_than", "", "Input should be greater than 3",
		",\"ctx\":{\"gt\":3}") },
	{ "{\"exclusiveMaximum\":3}", "3",
	    ITEM("less_than", "", "Input should be less than 3",
		",\"ctx\":{\"lt\":3}") },
	{ "{\"exclusiveMaximum\":3}", "2.999", "[]" },
	/* 2^53 + 1 against 2^53: doubles could not tell them apart */
	{ "{\"maximum\":9007199254740992}", "9007199254740993",
	    ITEM("less_than_equal", "",
		"Input should be less than or equal to 9007199254740992",
		",\"ctx\":{\"le\":9007199254740992}") },
	/* code points, not bytes */
	{ "{\"maxLength\":3}", "\"\\u00e4\\u20ac\\ud83d\\ude00\"", "[]" },
	{ "{\"maxLength\":2}", "\"\\u00e4\\u20ac\\ud83d\\ude00\"",
	    ITEM("string_too_long", "",
		"String should have at most 2 characters",
		",\"ctx\":{\"max_length\":2}") },
	{ "{\"minLength\":1}", "\"\"",
	    ITEM("string_too_short", "",
		"String should have at least 1 character",
		",\"ctx\":{\"min_length\":1}") },
	{ "{\"pattern\":\"^a+$\"}", "\"aaa\"", "[]" },
	{ "{\"pattern\":\"^.*b\"}", "\"abc\"", "[]" },
	{ "{\"pattern\":\"^(a|b{2})+$\"}", "\"abbabb\"", "[]" },
	{ "{\"pattern\":\"^a+$\"}", "\"ab\"",
	    ITEM("string_pattern_mismatch", "",
		"String should match pattern '^a+$'",
		",\"ctx\":{\"pattern\":\"^a+$\"}") },
	{ "{\"pattern\":\"^a+$\"}", "\"a\\u0000b\"",
	    ITEM("string_pattern_mismatch", "",
		"String should match pattern '^a+$'",
		",\"ctx\":{\"pattern\":\"^a+$\"}") },
	{ "{\"minItems\":1}", "[]",
	    ITEM("too_short", "",
		"List should have at least 1 item after validation, not 0",
		",\"ctx\":{\"field_type\":\"List\",\"min_length\":1,"
		"\"actual_length\":0}") },
	{ "{\"maxItems\":1,\"items\":{\"type\":\"string\"}}", "[1,2]",
	    ITEM("too_long", "",
		"List should have at most 1 item after validation, not 2",
		",\"ctx\":{\"field_type\":\"List\",\"max_length\":1,"
		"\"actual_length\":2}") },
	{ "{\"maxProperties\":0}", "{\"a\":1}",
	    ITEM("too_long", "",
		"Dictionary should have at most 0 items after "
		"validation, not 1",
		",\"ctx\":{\"field_type\":\"Dictionary\","
		"\"max_length\":0,\"actual_length\":1}") },
	{ "{\"items\":{\"type\":\"string\"}}", "[\"a\",5]",
	    ITEM("string_type", ",1", "Input should be a valid string", "") },
	{ "{\"enum\":[\"a\",\"b\",3]}", "\"b\"", "[]" },
	{ "{\"enum\":[\"a\",\"b\",3]}", "\"B\"",
	    ITEM("literal_error", "", "Input should be 'a', 'b' or 3",
		",\"ctx\":{\"expected\":\"'a', 'b' or 3\"}") },
	{ "{\"const\":\"a\"}", "\"b\"",
	    ITEM("literal_error", "", "Input should be 'a'",
		",\"ctx\":{\"expected\":\"'a'\"}") },
	{ "{\"enum\":[{\"a\":1}]}", "{\"a\":1}", "[]" },
	{ "{\"additionalProperties\":{\"type\":\"string\"}}", "{\"z\":1}",
	    ITEM("string_type", ",\"z\"", "Input should be a valid string",
		"") },
};

static void
test_values(void **state)
{
	json_t *schema, *value, *want, *got;
	char err[256], *text;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < AX_NELEM(values); i++) {
		schema = load(values[i].schema);
		value = load(values[i].value);
		want = load(values[i].errors);
		got = json_array();
		if (schema_check(schema, err, sizeof(err)) != 0)
			fail_msg("%s: %s", values[i].schema, err);
		n = schema_validate(schema, value, got);
		assert_int_equal(n, json_array_size(got));
		text = json_dumps(got, JSON_COMPACT);
		if (!json_equal(want, got))
			fail_msg("%s on %s: %s", values[i].schema,
			    values[i].value, text);
		free(text);
		json_decref(schema);
		json_decref(value);
		json_decref(want);
		json_decref(got);
	}
}

/* The answer stays small whatever a client sends. */
static void
test_bounded(void **state)
{
	json_t *schema = load("{\"type\":\"object\","
			      "\"additionalProperties\":false}");
	json_t *value = json_object(), *errors = json_array();
	char key[100000];
	char *text;
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		memset(key, 'k', sizeof(key) - 1);
		(void)snprintf(key, 8, "%06d", i);
		key[6] = 'k';
		key[sizeof(key) - 1] = '\0';
		json_object_set_new(value, key, json_true());
	}
	assert_int_equal(schema_validate(schema, value, errors), 32);
	text = json_dumps(errors, JSON_COMPACT);
	assert_true(strlen(text) < 32 * 300);
	free(text);
	json_decref(schema);
	json_decref(value);
	json_decref(errors);
}

/* Texts that are cut stay UTF-8, else jansson would refuse them. */
static void
test_cut_utf8(void **state)
{
	json_t *schema, *value = json_object(), *errors, *wide;
	char long_word[700] = "";
	int shift;
	size_t i;

	(void)state;
	for (shift = 0; shift < 4; shift++) {
		memset(long_word, 'x', (size_t)shift);
		long_word[shift] = '\0';
		for (i = 0; i < 150; i++)
			(void)strncat(long_word, "\xf0\x9f\x98\x80", 5);
		wide = json_object();
		json_object_set_new(wide, long_word, json_integer(1));
		schema = json_pack("{s:[s], s:b}", "enum", long_word,
		    "additionalProperties", 0);
		errors = json_array();
		assert_int_equal(schema_validate(schema, value, errors), 1);
		assert_non_null(
		    json_object_get(json_array_get(errors, 0), "ctx"));
		json_object_del(schema, "enum");
		assert_int_equal(schema_validate(schema, wide, errors), 1);
		assert_int_equal(json_array_size(
				     json_object_get(json_array_get(errors, 1),
					 "loc")),
		    3);
		json_decref(schema);
		json_decref(errors);
		json_decref(wide);
	}
	json_decref(value);
}

/* More patterns than the cache holds, and no value at all. */
static void
test_many_patterns(void **state)
{
	json_t *schema = json_pack("{s:{}}", "properties");
	json_t *value = json_object(), *errors = json_array();
	char name[8], pattern[16];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		(void)snprintf(pattern, sizeof(pattern), "^%d$", i);
		json_object_set_new(json_object_get(schema, "properties"), name,
		    json_pack("{s:s}", "pattern", pattern));
		json_object_set_new(value, name, json_string(pattern + 1));
	}
	assert_int_equal(schema_validate(schema, value, errors), 20);
	assert_int_equal(schema_validate(schema, NULL, errors), 0);
	json_decref(schema);
	json_decref(value);
	json_decref(errors);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_depth),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_cut_utf8),
		cmocka_unit_test(test_many_patterns),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
