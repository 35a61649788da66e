/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: inputs of code_exec and of a program, as JSON, through the
 * broker's policy. What is accepted must keep the promises of policy.h: the
 * program's own words stand first and unchanged, no path leaves the sandbox,
 * no limit is above the operator's, and the encoded job is read back whole.
 */
#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "workers/broker/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
check_files(const struct job *j)
{
	unsigned i;

	for (i = 0; i < j->nfiles; i++) {
		const char *p = j->files[i].path;

		must(*p != '/' && *p != '\0');
		must(strcmp(p, "..") != 0 && strncmp(p, "../", 3) != 0);
		must(strstr(p, "/../") == NULL && strstr(p, "//") == NULL);
		must(strlen(p) <= POLICY_PATH_LEN);
	}
}

static void
check_encoding(const struct job *j)
{
	struct sock_filter f = { 0 };
	struct buf b = BUF_INITIALIZER;
	struct job_head h;

	policy_encode(&b, j, &f, 1);
	must(b.err || b.len >= sizeof(h));
	memcpy(&h, b.d, sizeof(h));
	must(b.err ||
	    (h.total == b.len && h.argc == j->argc && h.nfiles == j->nfiles));
	buf_free(&b);
}

static void
check(const struct job *j, const struct policy_limits *l)
{
	must(j->argc >= 1 && j->argc <= JOB_ARG_MAX);
	must(j->argv[j->argc] == NULL && j->argv[0][0] == '/');
	must(j->wall_ms >= 1000 && j->wall_ms <= l->timeout_max_s * 1000);
	must(j->memory <= l->memory && j->pids <= l->pids &&
	    j->disk <= l->disk && j->max_stdout <= l->max_stdout &&
	    j->max_stderr <= l->max_stderr);
	must(j->host_path == NULL);
	check_files(j);
	check_encoding(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct policy_limits l = { .code_enabled = true,
		.code_max = 4096,
		.max_stdout = 4096,
		.max_stderr = 2048,
		.memory = 1 << 27,
		.disk = 1 << 24,
		.pids = 64,
		.cpu_percent = 100,
		.timeout_max_s = 8 };
	char *argv[] = { (char *)(uintptr_t) "/usr/bin/true", NULL };
	struct skill code = { .name = (char *)(uintptr_t) "c",
		.runtime = RUN_CODE };
	struct skill prog = { .name = (char *)(uintptr_t) "p",
		.runtime = RUN_PROGRAM,
		.argv = argv };
	char err[256];
	struct job *j;
	json_t *in;

	in = json_loadb((const char *)data, size,
	    JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	if (in == NULL)
		return (0);
	if ((j = policy_job(&code, in, &l, err, sizeof(err))) != NULL)
		check(j, &l);
	policy_job_free(j);
	if ((j = policy_job(&prog, in, &l, err, sizeof(err))) != NULL) {
		check(j, &l);
		must(j->argc == 1 && j->nfiles == 0);
	}
	policy_job_free(j);
	json_decref(in);
	return (0);
}
