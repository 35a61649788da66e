/* SPDX-License-Identifier: ISC */
#ifndef AX_PARENT_H
#define AX_PARENT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ipc.h"
#include "common/metrics.h"
#include "common/note.h"
#include "common/settings.h"
#include "common/setup.h"

struct event;
struct event_base;
struct generation;
struct control_conn;

/*
 * The parent's state. It parses the configuration, opens, binds, starts and
 * watches; it never reads a byte that came from the network, from a database
 * or from a sandbox.
 */

#define EX_CONFIG_STATUS 78 /* starting again is no use */

enum proc_state {
	PROC_DOWN,	 /* not running, perhaps waiting to be started */
	PROC_STARTED,	 /* exec'd, HELLO expected */
	PROC_SETTING_UP, /* got its resources and configuration */
	PROC_READY,	 /* its channel is there */
	PROC_DRAINING,
	PROC_DRAINED,
	PROC_LOST /* killed, because its channel ended; not reaped yet */
};

/* What the death of a process means (docs/PRIVSEP.md). */
enum restart_class {
	RC_SHARED, /* audit, broker, launcher, files live and die together */
	RC_OPEN,   /* restarted alone */
	RC_FRONT,  /* restarted alone, quickly, never ends the service */
	RC_ONESHOT /* started for one job, never restarted */
};

/* One row of the process table: proc_table.c. Nothing else is started, but for
 * the operator's CHECKPOINT_SINK (sink.c). */
struct proc_desc {
	enum proc_role role;
	const char *user; /* behind USER_PREFIX */
	enum restart_class restart;
	enum {
		ROOT_NONE,
		ROOT_EMPTY,
		ROOT_EVIDENCE,
		ROOT_LOG,
		ROOT_DB,
		ROOT_FILES
	} root;
	bool holds_lock;
	bool sees_slots;
};
extern const struct proc_desc proc_table[PROC_MAX];

#define PROC_DEATHS 64

struct proc {
	const struct proc_desc *desc;
	unsigned instance;
	enum proc_state state;
	pid_t pid;
	int pidfd;
	struct event *exit_ev;
	struct ipc *chan;
	struct event *start_ev; /* delayed start, or set-up time limit */
	uint32_t delay_ms;
	uint64_t started_us;
	uint64_t deaths[PROC_DEATHS]; /* ring of times, monotonic us */
	unsigned ndeaths;
	unsigned restarts;
	uint64_t gen_sent;
	bool gen_ready;
	bool expected; /* its death was asked for */
	int slot_fd;
	struct metrics_slot *slot;
	uint32_t landlock_abi;
	uint8_t confinement, mdwe;
};

#define PROCS_MAX (PROC_MAX + PROC_HTTP_MAX)

struct parent {
	struct event_base *base;
	const char *conf_file; /* as given with -f, or NULL */
	char *const *overrides;
	unsigned noverrides;
	bool foreground;
	bool as_root;
	int ready_fd; /* the waiting foreground process, or -1 */

	struct generation *gen;
	struct settings *settings; /* of the current generation */

	struct proc procs[PROCS_MAX];
	unsigned nprocs;
	uint64_t epoch;
	bool all_ready_once;
	bool ending; /* drain in progress, or worse */
	int exit_status;
	uint64_t last_seq; /* of the journal, when audit had drained */

	struct ids {
		uid_t uid;
		gid_t gid;
	} ids[PROC_MAX];
	int listen_fd;
	char listen_text[80];
	int lock_fd; /* of this shared life, until all four hold it */
	struct event *lock_ev;
	int rate_fd;
	int evidence_fd, log_fd, db_fd;
	int signing_fd, secrets_fd; /* read-only; -1: there is none */
	char
	    signing[VKEY_TEXT_MAX]; /* the public half; "": AUDIT_SIGNING=off */
	int *root_fds;
	unsigned nroots;
	char empty_root[4096], files_root[4096], db_dir[4096];
	char log_dir[4096];
	char workers_dir[4096];
	bool in_build_tree;
	struct cgroup_set *cgroup;
	const char *cgroup_kind;
	struct metrics_slot *slot; /* the parent's own */
	int slot_fd;
};

extern struct parent parent;

/* ---- proc.c: starting, watching, restarting ---- */
void proc_init_all(void);
/* Starts every process that is down and due. */
void proc_start_all(void);
void proc_start(struct proc *);
struct proc *proc_find(enum proc_role, unsigned instance);
bool proc_all_in(enum proc_state);
void proc_kill(struct proc *, int sig);
/* Ends the service: kills every worker and leaves the loop. */
void parent_abort(int status, const char *why);
/* After the loop: waits for whoever is still dying. */
void proc_reap_all(void);
const char *proc_state_name(enum proc_state);

/* ---- equip.c: what a fresh worker is given ---- */
void equip(struct proc *);
/* Messages of the workers. */
extern const struct ipc_route parent_routes[];
extern const size_t nparent_routes;

/* One more descriptor for a fresh worker; the caller keeps its own. */
void equip_resource(struct proc *, enum res_kind, const char *name, int fd);

/* ---- archive.c: the one-shot archiver ---- */
/* MSG_ARCHIVE of audit, MSG_ARCHIVED of the archiver. */
void archive_on_request(struct ipc *, struct ipc_msg *, void *);
void archive_on_answer(struct ipc *, struct ipc_msg *, void *);
void archive_equip(struct proc *);
void archive_on_exit(const char *how); /* reaped */
void archive_kill(void);	       /* if there is one */

/* ---- resources.c: folders, users, sockets; before READY only ---- */
void resources_open(void);
void resources_close(void);
/* A descriptor of the lock file of a new shared life, locked; -1: not yet. */
int resources_lock(void);

/* ---- privdrop.c: no_new_privs, and only the capabilities it needs ---- */
void privdrop_parent(void);

/* ---- reload.c ---- */
/* Starts a reload; the answer goes to `done` (may be NULL: log only). */
typedef void (*reload_done)(bool ok, const char *json_or_error, void *arg);
void reload_start(reload_done done, void *arg);
void reload_on_answer(struct proc *, uint64_t gen, const char *rejected);
void reload_on_death(struct proc *);
/* Does what SIGHUP asked for while no reload was possible. */
void reload_retry(void);

/* ---- control.c ---- */
void control_open(void);
void control_close(void);
void control_on_gate_result(uint64_t id, bool ok, const char *text);
void control_on_probe_result(struct proc *, const char *json);
void control_on_stopped(void);

/* ---- stop.c ---- */
void stop_start(const char *why);
void stop_on_progress(void); /* a worker drained or died while ending */

#endif
