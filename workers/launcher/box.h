/* SPDX-License-Identifier: ISC */
#ifndef AX_LAUNCHER_BOX_H
#define AX_LAUNCHER_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/messages.h"
#include "cgrun.h"

struct event;
struct event_base;

/*
 * One sandbox: a control group, bubblewrap in it, and archillx-runner inside,
 * which waits on a socket for the descriptors of its one job. It is started
 * from a recipe, fed at most once and never used twice. Kept until nothing of
 * it is left.
 */
#define BOX_ARGC_MAX 192

/* What a box is made from: equal recipes make interchangeable boxes. */
struct box_recipe {
	struct cgrun_limits limits;
	unsigned argc;
	size_t len; /* of args: argc strings, each with its NUL */
	char *args;
};

int box_recipe_set(struct box_recipe *, const struct cgrun_limits *,
    unsigned argc, const char *const *argv); /* 0, or -1: out of memory */
int box_recipe_copy(struct box_recipe *, const struct box_recipe *);
bool box_recipe_equal(const struct box_recipe *, const struct box_recipe *);
void box_recipe_free(struct box_recipe *);

/* How bubblewrap ended. */
struct box_end {
	int status;	 /* the program's wait status, or bubblewrap's */
	bool has_status; /* it is the program's */
	uint64_t cpu_us, peak;
	enum end_hint hint;
};

struct box {
	TAILQ_ENTRY(box) entry;
	uint64_t id;	 /* of the group */
	uint64_t run;	 /* the broker's; 0: not fed */
	uint64_t fed_us; /* monotonic */
	struct box_recipe recipe;
	struct event *exit_ev, *again_ev, *wall_ev;
	pid_t pid; /* bubblewrap; 0 once reaped */
	int pidfd, sock;
	int set_up; /* what bubblewrap says while it sets up */
	int err;    /* the job's stderr, for that text */
	enum end_hint ended_by;
	uint64_t cpu_us; /* when we ended it: the kernel forgets it */
	unsigned tries;
	bool in_cgroup;
};
TAILQ_HEAD(box_list, box);

struct boxes {
	struct event_base *base;
	struct cgrun_base cg;
	struct box_list all;
	uint64_t last_id;
	/* Bubblewrap has ended; called once, before the group goes. */
	void (*ended)(struct box *, const struct box_end *);
	/* Nothing is left of it; it is freed behind this call. */
	void (*gone)(struct box *);
};

void boxes_init(struct boxes *, struct event_base *);

/* Starts one. NULL with errno; *what then names the step. */
struct box *
box_start(struct boxes *, const struct box_recipe *, const char **what);
/*
 * Hands it its job: four descriptors (job, stdin, stdout, stderr), which stay
 * the caller's, and a deadline. 0, or -1 with errno.
 */
int box_feed(struct box *, uint64_t run, const int fds[4], uint32_t wall_ms);
/* Ends it; `ended` follows. The first reason counts. */
void box_kill(struct box *, enum end_hint why);

#endif
