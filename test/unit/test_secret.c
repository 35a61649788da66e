/* SPDX-License-Identifier: ISC */
/* Secret inputs: their text, and what of a value is taken for one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/secret.h"

static struct secret_key key;

static json_t *
parse(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	if (v == NULL)
		fail_msg("not JSON: %s", text);
	return (v);
}

/* From another implementation: hmac.new(bytes(range(32)), b"archillx-"
 * b"secret-v1:" + text, "sha256") of Python. */
static void
known_texts(void **state)
{
	static const struct {
		const char *value, *hex;
	} t[] = {
		{ "\"1234\"",
		    "368fbb5d899897ae3522ca18b4d87700d2bc4893d099a30d9d3b8f8ed1841d7d" },
		{ "1234",
		    "fec3486d1217d0ba0bc8e6ed78241c26aad65f773d8ea409997916eb19e6156c" },
		{ "{\"b\": [1, true, null], \"a\": \"x\"}",
		    "a480c7f41e9e06ea6a5017edd7e4f7fba7140b043b5e61063e79463c4cf874da" },
	};
	char out[SECRET_TEXT_MAX];
	json_t *v;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		v = parse(t[i].value);
		secret_text(&key, v, out);
		assert_memory_equal(out, "hmac-sha256:", 12);
		assert_string_equal(out + 12, t[i].hex);
		secret_text(NULL, v, out);
		assert_string_equal(out, "[secret]");
		secret_text(&(struct secret_key){ 0 }, v, out);
		assert_string_equal(out, "[secret]");
		json_decref(v);
	}
	secret_output_text(&key, "1234", 4, out);
	assert_string_equal(out + 12,
	    "ff3c44b95a641bb7250ca7bc90227d6e15989b845be2c1ab114d037d66976642");
	secret_output_text(&key, NULL, 0, out);
	assert_int_equal(strlen(out), 76);
}

static void
key_files(void **state)
{
	struct secret_key k = { 0 };
	int fd = memfd_create("key", 0);
	char b[40] = "0123456789abcdef0123456789abcdef";

	assert_int_equal(write(fd, b, 31), 31);
	assert_int_equal(secret_key_read(&k, fd), -1);
	assert_int_equal(errno, EINVAL);
	assert_false(k.set);
	assert_int_equal(write(fd, b, 1), 1);
	assert_int_equal(secret_key_read(&k, fd), 0);
	assert_int_equal(secret_key_read(&k, fd), 0); /* from its start */
	assert_true(k.set);
	assert_int_equal(write(fd, b, 1), 1);
	k.set = false;
	assert_int_equal(secret_key_read(&k, fd), -1);
	close(fd);
	assert_int_equal(secret_key_read(&k, -1), -1);
	assert_int_equal(errno, EBADF);
}

/* S stands for any text of a secret. */
static void
redactions(void **state)
{
	static const struct {
		const char *schema, *value, *want;
	} t[] = {
		{ "{}", "{\"pin\": 1}", "{\"pin\":1}" },
		{ "{\"properties\": {\"pin\": {\"secret\": true},"
		  " \"a\": {}}}",
		    "{\"pin\": 1, \"a\": 2}", "{\"a\":2,\"pin\":\"S\"}" },
		/* a name that the schema does not know, beside a secret */
		{ "{\"properties\": {\"pin\": {\"secret\": true}}}",
		    "{\"Pin\": 1}", "{\"Pin\":\"S\"}" },
		{ "{\"properties\": {\"pin\": {\"secret\": true}},"
		  " \"additionalProperties\": {\"type\": \"string\"}}",
		    "{\"x\": \"open\"}", "{\"x\":\"open\"}" },
		/* inside */
		{ "{\"properties\": {\"db\": {\"properties\": {\"pw\":"
		  " {\"secret\": true}, \"host\": {}}}}}",
		    "{\"db\": {\"pw\": \"x\", \"host\": \"h\"}}",
		    "{\"db\":{\"host\":\"h\",\"pw\":\"S\"}}" },
		{ "{\"properties\": {\"l\": {\"items\": {\"secret\": true}}}}",
		    "{\"l\": [1, [2]]}", "{\"l\":[\"S\",\"S\"]}" },
		{ "{\"additionalProperties\": {\"secret\": true}}",
		    "{\"k\": false}", "{\"k\":\"S\"}" },
		/* not of the shape that the schema says */
		{ "{\"properties\": {\"db\": {\"properties\": {\"pw\":"
		  " {\"secret\": true}}}}}",
		    "{\"db\": \"x\"}", "{\"db\":\"S\"}" },
		{ "{\"properties\": {\"l\": {\"items\": {\"secret\": true}}}}",
		    "{\"l\": {\"a\": 1}}", "{\"l\":\"S\"}" },
		{ "{\"secret\": true}", "{\"a\": 1}", "\"S\"" },
		{ "{\"properties\": {\"pin\": {\"secret\": false}}}",
		    "{\"pin\": 1}", "{\"pin\":1}" },
	};
	json_t *schema, *value, *before, *shown;
	char *text, *p;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		schema = parse(t[i].schema);
		value = parse(t[i].value);
		before = json_deep_copy(value);
		shown = secret_redact(&key, schema, value);
		assert_true(json_equal(before, value));
		text = json_dumps(shown,
		    JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
		while ((p = strstr(text, "hmac-sha256:")) != NULL) {
			*p = 'S';
			memmove(p + 1, p + 76, strlen(p + 76) + 1);
		}
		assert_string_equal(text, t[i].want);
		assert_true(secret_in_schema(schema) ==
		    (strstr(t[i].schema, "true") != NULL));
		free(text);
		json_decref(shown);
		json_decref(before);
		json_decref(value);
		json_decref(schema);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_texts),
		cmocka_unit_test(key_files),
		cmocka_unit_test(redactions),
	};
	unsigned i;

	log_init("test");
	for (i = 0; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)i;
	key.set = true;
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
