/* SPDX-License-Identifier: ISC */
#ifndef AX_BROKER_RUN_H
#define AX_BROKER_RUN_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/messages.h"
#include "policy.h"
#include "verdict.h"

struct event;
struct event_base;
struct ipc;

/*
 * One run: from a job to a verdict. Its owner (main.c) decides when it may
 * start and what becomes of the result.
 */
#define RUN_FLOOD (64u << 20) /* bytes on one stream that end a run */

struct capture {
	struct run *run;
	struct event *ev;
	int fd; /* -1: closed */
	char *kept;
	size_t len, max;
	uint64_t total;
};

struct run {
	TAILQ_ENTRY(run) entry;
	uint64_t id;	 /* towards the launcher */
	uint64_t permit; /* 0: the preflight */
	bool running;
	struct job *job;
	struct capture out, err;
	enum end_state killed; /* END_OK: not */
	void (*flooded)(struct run *);
};
TAILQ_HEAD(run_list, run);

/* What every run needs and no client can choose. */
struct run_env {
	struct event_base *base;
	const char *runner; /* archillx-runner's path on the host */
	struct sock_filter *filter;
	size_t nfilter;
	uint64_t epoch;
};

/* Takes the job over; NULL when out of memory (the job is freed then). */
struct run *run_new(uint64_t id, uint64_t permit, struct job *);
void run_free(struct run *);

/*
 * Makes the job and stdin memfds and the output pipes and sends LAUNCH.
 * 0, or -1 with errno; *what then names the step.
 */
int run_launch(struct run *, const struct run_env *, struct ipc *launcher,
    const char **what);

/* What MSG_EXITED says. */
struct run_exit {
	int32_t status;
	uint64_t cpu_us, wall_us, peak;
	enum end_hint hint;
};

/*
 * The program has ended: takes what the pipes still hold, without waiting for
 * those who may keep them open, and fills in the result. Its pointers live as
 * long as the run and the verdict.
 */
void run_result(struct run *, const struct run_exit *, struct verdict *,
    struct exec_done *);

#endif
