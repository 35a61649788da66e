/* SPDX-License-Identifier: ISC */
/*
 * The exposition: every series has HELP and TYPE, names and types follow the
 * conventions that promtool checks, and the sums are those of all slots.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/manifest.h"
#include "common/util.h"
#include "workers/http/http.h"

/* main.c of the worker is not linked. */
const char *
http_fact(const struct http_ctx *ctx, const char *name)
{
	return (strcmp(name, "version") == 0 ? "1\"2\\3\n" : NULL);
}

static struct metrics_slot own, other, audit, parent;
static struct skill skills[2] = { { .name = (char *)(uintptr_t) "a.b" },
	{ .name = (char *)(uintptr_t) "c" } };
static struct skill *registry[2] = { &skills[0], &skills[1] };
static struct http_ctx ctx;

static char *
expose(void)
{
	static struct buf b;

	buf_reset(&b);
	expo_write(&b, &ctx, 1000 * 1000000ull);
	assert_int_equal(b.err, 0);
	return (buf_str(&b));
}

static int
setup(void **state)
{
	ctx.slots[PROC_HTTP][0] = &own;
	ctx.slots[PROC_HTTP][1] = &other;
	ctx.slots[PROC_AUDIT][0] = &audit;
	ctx.slots[PROC_PARENT][0] = &parent;
	ctx.slot = &own;
	ctx.skills = registry;
	ctx.nskills = 2;
	metric_set(&parent, MG_STARTED_AT, 400);
	metric_add(&own, MC_HTTP_REQUESTS, 3);
	metric_add(&other, MC_HTTP_REQUESTS, 4);
	metric_set(&own, MG_HTTP_OPEN, 2);
	metric_set(&other, MG_HTTP_OPEN, 5);
	metric_set(&own, MG_READY, 1);
	metric_set(&other, MG_READY, 1);
	own.status[100] = 2;
	other.status[100] = 1;
	own.status[304] = 9;
	metric_observe_us(&own, MH_HTTP, 90);
	metric_observe_us(&other, MH_HTTP, 2000);
	metric_observe_us(&other, MH_HTTP, 60000000);
	audit.skill[1][MS_INVOKE] = 6;
	audit.skill_enabled[0] = 1;
	return (0);
}

#define HAS(line) assert_non_null(strstr(text, "\narchillx_" line "\n"))

static void
test_values(void **state)
{
	const char *text = expose();

	HAS("uptime_seconds 600");
	HAS("build_info{version=\"1\\\"2\\\\3\\n\"} 1");
	HAS("http_requests_total 7");
	HAS("http_open_connections 7");
	HAS("ready 1");
	HAS("http_responses_total{code=\"200\"} 3");
	HAS("http_responses_total{code=\"404\"} 9");
	HAS("http_request_seconds_bucket{le=\"0.0001\"} 1");
	HAS("http_request_seconds_bucket{le=\"0.0025\"} 2");
	HAS("http_request_seconds_bucket{le=\"5\"} 2");
	HAS("http_request_seconds_bucket{le=\"+Inf\"} 3");
	HAS("http_request_seconds_count 3");
	HAS("http_request_seconds_sum 60.002090");
	HAS("skill_calls_total{skill=\"c\"} 6");
	HAS("skill_enabled{skill=\"a.b\"} 1");
	assert_null(strstr(text, "code=\"500\""));
}

/* The family that HELP and TYPE announced before a sample. */
struct family {
	char name[128], type[16];
};

static void
check_comment(const char *line, struct family *f)
{
	char name[128], rest[256];

	if (sscanf(line, "# HELP %127s %255[^\n]", name, rest) == 2) {
		assert_true(strlen(rest) > 3);
		ax_strlcpy(f->name, name, sizeof(f->name));
		f->type[0] = '\0';
		return;
	}
	assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, f->type), 2);
	assert_string_equal(name, f->name);
}

static void
check_sample(const char *line, const struct family *f)
{
	size_t n = strlen(f->name);
	bool counter = strcmp(f->type, "counter") == 0;

	assert_true(f->type[0] != '\0');
	assert_int_equal(strncmp(line, f->name, n), 0);
	assert_int_equal(strncmp(line, "archillx_", 9), 0);
	/* _total on counters, and on nothing else. */
	assert_int_equal(counter,
	    n > 6 && strcmp(f->name + n - 6, "_total") == 0);
	if (strcmp(f->type, "histogram") == 0)
		line += strcspn(line + n, "{ ") + n;
	else
		line += n;
	assert_true(*line == ' ' || *line == '{');
}

static void
test_form(void **state)
{
	char *text = expose(), *line, *save = NULL, whole[256];
	struct buf seen = BUF_INITIALIZER;
	struct family f = { "", "" };

	buf_addc(&seen, '\n');
	assert_int_equal(text[strlen(text) - 1], '\n');
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '#')
			check_comment(line, &f);
		else
			check_sample(line, &f);
		/* No line twice: a family stands in one place. */
		snprintf(whole, sizeof(whole), "\n%s\n", line);
		assert_null(strstr(buf_str(&seen), whole));
		buf_adds(&seen, whole + 1);
	}
	buf_free(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_form),
	};

	return (cmocka_run_group_tests(tests, setup, NULL));
}
