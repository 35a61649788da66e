/* SPDX-License-Identifier: ISC */
/*
 * The boundary between a client and a sandbox: every refusal, every place a
 * client's byte may end up, and that no limit can be raised.
 */
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/util.h"
#include "workers/broker/policy.h"

static char why[256];

/* The module's own allocations, by the linker's --wrap: the one after this
 * many fails; negative: none. */
static int fail_after = -1;

void *__real_malloc(size_t);
void *__wrap_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__wrap_calloc(size_t, size_t);

void *
__wrap_malloc(size_t n)
{
	if (fail_after >= 0 && fail_after-- == 0)
		return (NULL);
	return (__real_malloc(n));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	if (fail_after >= 0 && fail_after-- == 0)
		return (NULL);
	return (__real_calloc(n, size));
}

static struct policy_limits
limits(void)
{
	return ((struct policy_limits){ .code_enabled = true,
	    .code_max = 12000,
	    .max_stdout = 4096,
	    .max_stderr = 2048,
	    .memory = 128u << 20,
	    .disk = 16u << 20,
	    .pids = 64,
	    .cpu_percent = 100,
	    .timeout_max_s = 8 });
}

static struct skill
code_skill(void)
{
	return ((struct skill){ .name = (char *)(uintptr_t) "code_exec",
	    .runtime = RUN_CODE });
}

static struct job *
make_with(const struct skill *s, const struct policy_limits *l,
    const char *json)
{
	json_t *in = json_loads(json, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	struct job *j;

	assert_non_null(in);
	why[0] = '\0';
	j = policy_job(s, in, l, why, sizeof(why));
	json_decref(in);
	assert_int_equal(j == NULL, why[0] != '\0');
	return (j);
}

static struct job *
make(const char *json)
{
	struct policy_limits l = limits();
	struct skill s = code_skill();

	return (make_with(&s, &l, json));
}

static void
refused(const char *json, const char *with)
{
	assert_null(make(json));
	if (strstr(why, with) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", json, why, with);
}

static void
python(void **state)
{
	static const char *const argv[] = { "/usr/bin/python3", "-I", "-S",
		"-B", "/work/main.py", "--version", "$(id)", "a\nb", "" };
	struct job *j;
	unsigned i;

	j = make("{\"code\":\"print(1)\",\"args\":[\"--version\",\"$(id)\","
		 "\"a\\nb\",\"\"],\"stdin\":\"x\\u0000y\"}");
	assert_int_equal(j->argc, AX_NELEM(argv));
	for (i = 0; i < j->argc; i++)
		assert_string_equal(j->argv[i], argv[i]);
	assert_null(j->argv[i]);
	assert_int_equal(j->nfiles, 1);
	assert_string_equal(j->files[0].path, "main.py");
	assert_string_equal(j->files[0].data, "print(1)");
	assert_int_equal(j->input_len, 3);
	assert_memory_equal(j->input, "x\0y", 3);
	assert_int_equal(j->wall_ms, 5000);
	assert_null(j->host_path);
	policy_job_free(j);
}

static void
shell(void **state)
{
	struct job *j = make("{\"code\":\"echo\",\"language\":\"sh\"}");

	assert_int_equal(j->argc, 2);
	assert_string_equal(j->argv[0], "/bin/sh");
	assert_string_equal(j->argv[1], "/work/main.sh");
	assert_string_equal(j->files[0].path, "main.sh");
	assert_null(j->input);
	policy_job_free(j);
}

static void
environment_is_constant(void **state)
{
	struct job *j = make("{\"code\":\"1\"}");
	unsigned i;

	for (i = 0; j->env[i] != NULL; i++)
		assert_non_null(strchr(j->env[i], '='));
	assert_int_equal(i, 7);
	policy_job_free(j);
}

static void
wrong_fields(void **state)
{
	refused("[]", "inputs");
	refused("{}", "code required");
	refused("{\"code\":\"\"}", "code required");
	refused("{\"code\":1}", "code: must be a string");
	refused("{\"code\":\"1\",\"env\":{}}", "env: unknown field");
	refused("{\"code\":\"1\",\"language\":\"perl\"}", "language");
	refused("{\"code\":\"1\",\"language\":7}", "language");
	refused("{\"code\":\"1\",\"args\":\"x\"}", "args: must be an array");
	refused("{\"code\":\"1\",\"args\":[\"a\",1]}", "args[1]");
	refused("{\"code\":\"1\",\"args\":[\"a\\u0000b\"]}", "args[0]");
	refused("{\"code\":\"1\",\"stdin\":[]}", "stdin");
	refused("{\"code\":\"1\",\"timeout_s\":\"5\"}", "timeout_s");
	refused("{\"code\":\"1\",\"files\":{}}", "files: must be an array");
	refused("{\"code\":\"1\",\"files\":[1]}", "files[0]");
	refused("{\"code\":\"1\",\"files\":[{}]}", "files[0].path");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\",\"mode\":1}]}",
	    "files[0].mode: unknown field");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\",\"content\":1}]}",
	    "files[0].content");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\",\"content\":\"\","
		"\"content_b64\":\"\"}]}",
	    "exclude each other");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\","
		"\"content_b64\":1}]}",
	    "files[0].content_b64");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\","
		"\"content_b64\":\"####\"}]}",
	    "not base64");
}

static void
paths(void **state)
{
	static const char *const bad[] = { "", "/", "/etc/passwd", "..", ".",
		"../x", "a/../b", "a/..", "a//b", "a/", "./a", ".tmp", ".tmp/x",
		"main.py", "main.py/x", "a/b/c/d/e/f/g/h/i" };
	static const char *const good[] = { "..foo", "a/b", "main.pyc", "...",
		".tmpx", "a b", "-rf", "a/b/c/d/e/f/g/h" };
	char json[512];
	struct job *j;
	unsigned i;

	for (i = 0; i < AX_NELEM(bad); i++) {
		(void)snprintf(json, sizeof(json),
		    "{\"code\":\"1\",\"files\":"
		    "[{\"path\":\"%s\"}]}",
		    bad[i]);
		refused(json, "files[0].path");
	}
	for (i = 0; i < AX_NELEM(good); i++) {
		(void)snprintf(json, sizeof(json),
		    "{\"code\":\"1\",\"files\":"
		    "[{\"path\":\"%s\",\"content\":\"x\"}]}",
		    good[i]);
		if ((j = make(json)) == NULL)
			fail_msg("%s: %s", good[i], why);
		assert_string_equal(j->files[1].path, good[i]);
		policy_job_free(j);
	}
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\\u0000b\"}]}",
	    "files[0].path");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\"},{\"path\":\"a\"}]"
		"}",
	    "files[1].path");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a\"},"
		"{\"path\":\"a/b\"}]}",
	    "files[1].path");
	refused("{\"code\":\"1\",\"files\":[{\"path\":\"a/b\"},"
		"{\"path\":\"a\"}]}",
	    "files[1].path");
}

static json_t *
string_of(size_t n)
{
	char *s = malloc(n + 1);
	json_t *v;

	memset(s, 'A', n);
	s[n] = '\0';
	v = json_stringn_nocheck(s, n);
	free(s);
	return (v);
}

/* A request with `field` of n bytes, or a list of `count` of them. */
static int
fits(const char *field, size_t n, unsigned count)
{
	struct policy_limits l = limits();
	struct skill s = code_skill();
	json_t *in = json_pack("{s:s}", "code", "1"), *list, *f;
	struct job *j;
	unsigned i;
	char path[16];

	if (strcmp(field, "args") != 0 && strncmp(field, "content", 7) != 0)
		json_object_set_new(in, field, string_of(n));
	else {
		list = json_array();
		for (i = 0; i < count; i++) {
			(void)snprintf(path, sizeof(path), "f%u", i);
			f = *field == 'a' ? string_of(n) :
					    json_pack("{s:s,s:o}", "path", path,
						field, string_of(n));
			json_array_append_new(list, f);
		}
		json_object_set_new(in, *field == 'a' ? "args" : "files", list);
	}
	j = policy_job(&s, in, &l, why, sizeof(why));
	json_decref(in);
	policy_job_free(j);
	return (j != NULL);
}

static void
bounds(void **state)
{
	assert_true(fits("code", 12000, 0));
	assert_false(fits("code", 12001, 0));
	assert_string_equal(why, "code exceeds max allowed size (12000 bytes)");
	assert_true(fits("stdin", POLICY_STDIN_LEN, 0));
	assert_false(fits("stdin", POLICY_STDIN_LEN + 1, 0));
	assert_true(fits("args", 1, POLICY_ARGS));
	assert_false(fits("args", 1, POLICY_ARGS + 1));
	assert_true(fits("args", POLICY_ARG_LEN, 16));
	assert_false(fits("args", POLICY_ARG_LEN, 17));
	assert_false(fits("args", POLICY_ARG_LEN + 1, 1));
	assert_true(fits("content", 1, POLICY_FILES));
	assert_false(fits("content", 1, POLICY_FILES + 1));
	assert_true(fits("content", POLICY_FILE_LEN, 4));
	assert_false(fits("content", POLICY_FILE_LEN, 5));
	assert_false(fits("content", POLICY_FILE_LEN + 1, 1));
	assert_true(fits("content_b64", POLICY_FILE_LEN / 3 * 4, 1));
	assert_false(fits("content_b64", POLICY_FILE_LEN / 3 * 4 + 4, 1));
	assert_false(fits("content_b64", POLICY_FILE_LEN / 3 * 4 + 8, 1));
}

static void
timeouts(void **state)
{
	static const struct {
		const char *json;
		unsigned ms;
	} t[] = { { "1", 1000 }, { "8", 8000 }, { "9", 8000 }, { "0", 1000 },
		{ "-5", 1000 }, { "1e300", 8000 }, { "2.5", 2500 } };
	char json[64];
	struct job *j;
	unsigned i;

	for (i = 0; i < AX_NELEM(t); i++) {
		(void)snprintf(json, sizeof(json),
		    "{\"code\":\"1\",\"timeout_s\":%s}", t[i].json);
		assert_non_null(j = make(json));
		assert_int_equal(j->wall_ms, t[i].ms);
		assert_int_equal(j->limits.cpu_s, (t[i].ms + 999) / 1000);
		policy_job_free(j);
	}
}

/* A skill may lower the operator's limits, and nothing may raise them. */
static void
limits_only_sink(void **state)
{
	struct policy_limits l = limits();
	struct skill s = code_skill();
	struct job *j;

	s.memory = 1ull << 40;
	s.pids = 4096;
	s.max_stdout = s.max_stderr = 1u << 30;
	s.timeout_ms = 3600000;
	j = make_with(&s, &l, "{\"code\":\"1\",\"timeout_s\":100}");
	assert_int_equal(j->memory, l.memory);
	assert_int_equal(j->pids, l.pids);
	assert_int_equal(j->max_stdout, l.max_stdout);
	assert_int_equal(j->max_stderr, l.max_stderr);
	assert_int_equal(j->wall_ms, 8000);
	assert_true(j->limits.data == UINT64_MAX);
	policy_job_free(j);

	s.memory = 8u << 20;
	s.pids = 3;
	s.max_stdout = s.max_stderr = 10;
	s.timeout_ms = 1500;
	l.no_cgroup = true;
	j = make_with(&s, &l, "{\"code\":\"1\",\"timeout_s\":100}");
	assert_int_equal(j->memory, 8u << 20);
	assert_int_equal(j->disk, 8u << 20);
	assert_int_equal(j->pids, 3);
	assert_int_equal(j->limits.nproc, 7);
	assert_int_equal(j->max_stdout, 10);
	assert_int_equal(j->max_stderr, 10);
	assert_int_equal(j->wall_ms, 1500);
	assert_int_equal(j->limits.data, 8u << 20);
	policy_job_free(j);
}

static void
switched_off(void **state)
{
	struct policy_limits l = limits();
	struct skill s = code_skill();

	l.code_enabled = false;
	assert_null(make_with(&s, &l, "{\"code\":\"1\"}"));
	assert_non_null(strstr(why, "code_exec disabled by policy"));
	s.runtime = RUN_FILES;
	assert_null(make_with(&s, &l, "{\"code\":\"1\"}"));
	assert_non_null(strstr(why, "does not run in a sandbox"));
}

static void
programs(void **state)
{
	struct policy_limits l = limits();
	char *argv[] = { (char *)(uintptr_t) "/usr/bin/prog",
		(char *)(uintptr_t) "-x", NULL };
	struct skill s = { .name = (char *)(uintptr_t) "p",
		.runtime = RUN_PROGRAM,
		.argv = argv,
		.host_path = (char *)(uintptr_t) "/opt/p" };
	struct job *j;

	l.code_enabled = false; /* a switch for code_exec only */
	j = make_with(&s, &l, "{\"code\":\"1\",\"args\":[\"x\"]}");
	assert_int_equal(j->argc, 2);
	assert_string_equal(j->argv[0], "/usr/bin/prog");
	assert_int_equal(j->nfiles, 0);
	assert_string_equal(j->input, "{\"code\":\"1\",\"args\":[\"x\"]}");
	assert_string_equal(j->host_path, "/opt/p");
	assert_int_equal(j->wall_ms, 5000);
	policy_job_free(j);
	s.timeout_ms = 7000;
	j = make_with(&s, &l, "{}");
	assert_int_equal(j->wall_ms, 7000);
	policy_job_free(j);
	argv[0] = (char *)(uintptr_t) "prog";
	assert_null(make_with(&s, &l, "{}"));
	s.argv = NULL;
	assert_null(make_with(&s, &l, "{}"));
}

static void
preflight(void **state)
{
	struct policy_limits l = limits();
	struct job *j;

	l.code_enabled = false;
	j = policy_preflight(&l);
	assert_non_null(j);
	assert_string_equal(j->argv[0], "/bin/sh");
	policy_job_free(j);
}

static void
base64(void **state)
{
	static const struct {
		const char *in, *out;
	} ok[] = { { "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" },
		{ "Zm9v", "foo" }, { "Zm9vYg==", "foob" },
		{ "Zm9vYmE=", "fooba" }, { "Zm9vYmFy", "foobar" } };
	static const char *const bad[] = { "Z", "Zg",
		"Zg=", "====", "Z===", "Zm9v=", "Zm 9", "Zm9\n",
		"Zg==Zg==", "Zm9*" };
	size_t n, i;
	char *p;

	for (i = 0; i < AX_NELEM(ok); i++) {
		p = policy_base64(ok[i].in, strlen(ok[i].in), &n);
		assert_non_null(p);
		assert_int_equal(n, strlen(ok[i].out));
		assert_string_equal(p, ok[i].out);
		free(p);
	}
	for (i = 0; i < AX_NELEM(bad); i++) {
		p = policy_base64(bad[i], strlen(bad[i]), &n);
		if (p != NULL)
			fail_msg("%s was taken", bad[i]);
	}
}

/* Whichever allocation fails, the answer is a refusal and nothing leaks. */
static void
out_of_memory(void **state)
{
	static const char json[] =
	    "{\"code\":\"1\",\"args\":[\"a\"],"
	    "\"stdin\":\"x\",\"files\":[{\"path\":\"a\",\"content\":\"b\"},"
	    "{\"path\":\"c\",\"content_b64\":\"AAAA\"}]}";
	char *argv[] = { (char *)(uintptr_t) "/usr/bin/prog", NULL };
	struct skill prog = { .name = (char *)(uintptr_t) "p",
		.runtime = RUN_PROGRAM,
		.argv = argv,
		.host_path = (char *)(uintptr_t) "/opt/p" };
	struct skill code = code_skill();
	const struct skill *skills[] = { &code, &prog };
	struct policy_limits l = limits();
	json_t *in = json_loads(json, 0, NULL);
	struct job *j;
	unsigned i;
	int n;

	for (i = 0; i < AX_NELEM(skills); i++) {
		for (n = 0; n < 100; n++) {
			why[0] = '\0';
			fail_after = n;
			j = policy_job(skills[i], in, &l, why, sizeof(why));
			fail_after = -1;
			if (j != NULL)
				break;
			assert_true(why[0] != '\0');
		}
		assert_in_range(n, 4, 99);
		policy_job_free(j);
	}
	json_decref(in);
}

static void
too_many_words(void **state)
{
	struct policy_limits l = limits();
	char *argv[JOB_ARG_MAX + 2];
	struct skill s = { .name = (char *)(uintptr_t) "p",
		.runtime = RUN_PROGRAM,
		.argv = argv };
	struct job *j;
	unsigned i;

	for (i = 0; i < JOB_ARG_MAX; i++)
		argv[i] = (char *)(uintptr_t) "/x";
	argv[i] = NULL;
	assert_non_null(j = make_with(&s, &l, "{}"));
	policy_job_free(j);
	argv[i] = (char *)(uintptr_t) "/x";
	argv[i + 1] = NULL;
	assert_null(make_with(&s, &l, "{}"));
}

static void
encoding(void **state)
{
	struct sock_filter f[3] = { { .k = 1 }, { .k = 2 }, { .k = 3 } };
	struct buf b = BUF_INITIALIZER;
	struct job_file_head fh;
	struct job_head h;
	struct job *j;
	char *p;

	j = make("{\"code\":\"1\",\"files\":[{\"path\":\"d/e\","
		 "\"content_b64\":\"AAE=\"}]}");
	policy_encode(&b, j, f, 3);
	assert_int_equal(b.err, 0);
	memcpy(&h, b.d, sizeof(h));
	assert_int_equal(h.magic, JOB_MAGIC);
	assert_int_equal(h.total, b.len);
	assert_int_equal(h.argc, 5);
	assert_int_equal(h.envc, 7);
	assert_int_equal(h.nfiles, 2);
	assert_int_equal(h.filter_len, 3);
	assert_memory_equal(b.d + sizeof(h), f, sizeof(f));
	assert_string_equal(b.d + sizeof(h) + sizeof(f), "/usr/bin/python3");
	p = b.d + b.len - 2 - 4 - sizeof(fh);
	memcpy(&fh, p, sizeof(fh));
	assert_int_equal(fh.path_len, 4);
	assert_int_equal(fh.data_len, 2);
	assert_memory_equal(p + sizeof(fh), "d/e\0\0\1", 6);
	policy_job_free(j);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(python),
		cmocka_unit_test(shell),
		cmocka_unit_test(environment_is_constant),
		cmocka_unit_test(wrong_fields),
		cmocka_unit_test(paths),
		cmocka_unit_test(bounds),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(limits_only_sink),
		cmocka_unit_test(switched_off),
		cmocka_unit_test(programs),
		cmocka_unit_test(preflight),
		cmocka_unit_test(base64),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(too_many_words),
		cmocka_unit_test(encoding),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
