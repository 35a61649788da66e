/* SPDX-License-Identifier: ISC */
#ifndef AX_BROKER_POLICY_H
#define AX_BROKER_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/job.h"
#include "common/manifest.h"

struct buf;
struct sock_filter;

/*
 * The security boundary between what a client sent and what runs: an
 * enumerated template per kind of skill. A byte of the client ends up as
 * source text, standard input, one argument behind the program's own, or the
 * contents of a file below /work, and nowhere else. Pure.
 */
#define POLICY_ARGS	  64
#define POLICY_ARG_LEN	  4096
#define POLICY_ARGS_TOTAL 65536
#define POLICY_FILES	  32
#define POLICY_PATH_LEN	  255
#define POLICY_PATH_DEPTH 8
#define POLICY_FILE_LEN	  65536
#define POLICY_FILES_LEN  262144
#define POLICY_STDIN_LEN  1048576
#define POLICY_TIMEOUT_S  5 /* when the client asks for none */

/* The settings and facts that bound a job. */
struct policy_limits {
	bool code_enabled;
	bool no_cgroup; /* only rlimits stand between a job and the memory */
	size_t code_max;
	uint64_t max_stdout, max_stderr;
	uint64_t memory;
	uint64_t disk;
	uint32_t pids;
	uint32_t cpu_percent;
	uint32_t timeout_max_s;
};

struct job_file {
	char *path;
	char *data;
	size_t len;
};

/* Everything that the sandbox engine needs for one run. */
struct job {
	char *argv[JOB_ARG_MAX + 1];
	unsigned argc;
	const char *const *env; /* constant, NULL-terminated */
	struct job_file files[POLICY_FILES + 1];
	unsigned nfiles;
	char *input; /* standard input; NULL: empty */
	size_t input_len;
	char *host_path; /* the skill's folder; NULL: none */
	struct job_limits limits;
	uint32_t wall_ms;
	uint64_t memory;
	uint64_t disk;
	uint32_t pids;
	uint32_t cpu_percent;
	uint64_t max_stdout, max_stderr;
};

/*
 * The job for these inputs, or NULL with the reason in err, naming the field
 * ("files[3].path: ..."): nothing may be started then.
 */
struct job *policy_job(const struct skill *, const json_t *inputs,
    const struct policy_limits *, char *err, size_t errlen);
/* The job of the preflight: proves that the whole path works. */
struct job *policy_preflight(const struct policy_limits *);
void policy_job_free(struct job *); /* NULL is fine */

/* Appends the job as common/job.h lays it out; check b->err. */
void policy_encode(struct buf *, const struct job *, const struct sock_filter *,
    size_t nfilter);

/* Strict base64 (RFC 4648 section 4, padded, no white space): malloc'ed. */
char *policy_base64(const char *, size_t n, size_t *len);

#endif
