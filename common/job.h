/* SPDX-License-Identifier: ISC */
#ifndef AX_JOB_H
#define AX_JOB_H

#include <stdint.h>

/*
 * Between the launcher and archillx-runner, process 1 of every sandbox: over a
 * SOCK_SEQPACKET socket the runner gets one byte with four descriptors (job,
 * stdin, stdout, stderr), once, and answers with one struct job_status.
 *
 * The job is a memfd: what the broker tells the runner. Host byte order, both ends are the same build. The
 * head; then filter_len struct sock_filter; then argc and envc strings, each
 * with its NUL; then nfiles times struct job_file_head, the path with its NUL,
 * the contents. Nothing in between and nothing behind.
 */
#define JOB_MAGIC   0x316a7861u /* "axj1" */
#define JOB_ARG_MAX 96
#define JOB_ENV_MAX 16
#define JOB_SOCK    3 /* in the runner: to and from the launcher */
#define JOB_RUNNER  "/.runner"
#define JOB_DIR	    "/work"
#define JOB_TMP	    ".tmp" /* below JOB_DIR; /tmp leads here */

/* setrlimit(2) of the program, set inside its namespaces. */
struct job_limits {
	uint64_t cpu_s; /* soft: SIGXCPU; hard one second later */
	uint64_t fsize;
	uint64_t nofile;
	uint64_t nproc;
	uint64_t stack;
	uint64_t data; /* private writable memory, not address space */
};

struct job_head {
	uint32_t magic;
	uint32_t filter_len; /* instructions */
	uint32_t argc, envc, nfiles;
	uint32_t total; /* bytes of the whole job */
	struct job_limits limits;
};

struct job_file_head {
	uint32_t path_len; /* with the NUL */
	uint32_t data_len;
};

/* One record, written when the program has ended; none: it never started. */
struct job_status {
	uint32_t magic;
	int32_t wait_status; /* as of wait4(2), of the program itself */
	uint64_t maxrss;     /* bytes */
};

#endif
