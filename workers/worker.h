/* SPDX-License-Identifier: ISC */
#ifndef AX_WORKER_H
#define AX_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include "common/ipc.h"
#include "common/messages.h"
#include "common/settings.h"
#include "common/metrics.h"

struct event_base;
struct worker;

/*
 * What a worker's main.c fills in. worker_main() does all that is common, in
 * this order: descriptor 3, HELLO, SETUP, RESOURCE*, PEER*, the first
 * configuration, start(), the drop sequence, confined(), READY, the loop.
 * A worker exits when descriptor 3 reads EOF.
 */
struct worker_ops {
	enum proc_role role;

	/* A resource arrived; takes fd over. Set-up only. */
	void (*resource)(struct worker *, enum res_kind, uint32_t arg,
	    const char *name, int fd);
	/* One configuration item of generation `gen`; 0, or -1 and *err set
	 * (malloc'ed text): the generation is rejected. */
	int (*conf_begin)(struct worker *, uint64_t gen);
	int (*conf_item)(struct worker *, enum conf_kind, const char *name,
	    const char *value, char **err);
	/* Everything arrived: validate. Nothing may change yet. */
	int (*conf_end)(struct worker *, char **err);
	/* Make it current / throw it away. The first commit comes before
	 * start(). */
	void (*conf_commit)(struct worker *);
	void (*conf_abort)(struct worker *);

	/* Still privileged, root still visible: libraries that read files. */
	void (*start)(struct worker *);
	/* Confined: open the gate, start timers. */
	void (*confined)(struct worker *);
	/* A channel to a peer came up (also after its restart), or was lost. */
	void (*peer_up)(struct worker *, struct ipc *, enum proc_role,
	    unsigned instance, uint64_t epoch);
	void (*peer_down)(struct worker *, enum proc_role, unsigned instance);
	/* Finish and call worker_drained(). NULL: at once. */
	void (*drain)(struct worker *);

	/* Handlers for messages of peers; one table for all of them. */
	const struct ipc_route *peer_routes;
	size_t npeer_routes;
	/* Further messages of the parent (audit: CTL_GATE). */
	const struct ipc_route *parent_routes;
	size_t nparent_routes;

	/* Confinement, besides what all workers get. */
	const int *extra_syscalls; /* allowed too; ends with -1 */
	const int *fewer_syscalls; /* taken from the common list; -1 ends */
	uint64_t rlimit_fsize;
	uint64_t rlimit_nofile;
	bool may_fork; /* launcher: deny-list filter, no fs landlock */
};

struct worker {
	const struct worker_ops *ops;
	struct event_base *base;
	struct ipc *parent;
	struct settings *settings; /* current; only what this role may see */
	struct settings *next;	   /* while a generation is pending */
	struct metrics_slot *slot; /* own; never NULL after set-up */
	unsigned instance;
	uint64_t epoch; /* of the shared life */
	bool as_root;	/* false: uids and chroot were given up */
	bool draining;
	uint64_t drain_seq; /* notary: the journal's last line; 0: unknown */
	int landlock_fd;    /* start() may add rules; -1: none */
	void *priv;	    /* the worker's own */
};

/* Never returns normally: the exit status of the process. */
int worker_main(int argc, char **argv, const struct worker_ops *, void *priv);
void worker_drained(struct worker *);
/* Audit's: also tells the journal's last line. */
void worker_drained_at(struct worker *, uint64_t seq);
/* The channel to a peer, or NULL while there is none. */
struct ipc *worker_peer(struct worker *, enum proc_role, unsigned instance);
/* The peer broke a rule that the table cannot see: drops its channel and asks
 * the parent to restart it. */
void worker_peer_violation(struct worker *, struct ipc *, const char *why);
/*
 * For start(): allow `access` (LANDLOCK_ACCESS_FS_*) below an open directory.
 * Everything not allowed is denied. 0, or -1 with errno; 0 also where the
 * kernel has no landlock.
 */
int worker_landlock_allow(struct worker *, int dirfd, uint64_t access);

#endif
