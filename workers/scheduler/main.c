/* SPDX-License-Identifier: ISC */
/*
 * archillx-scheduler: decides when a job is due and asks the gate to run it.
 *
 * It has no jobs yet: it holds its place in the table of processes, its
 * channel to audit and its confinement, so that schedules add nothing but
 * their own logic. It must never run anything itself, and holds no file, no
 * socket and no credential.
 */
#include "common/log.h"
#include "common/util.h"
#include "workers/worker.h"

static void
scheduler_confined(struct worker *w)
{
	metric_set(w->slot, MG_SCHED_OK, 1);
}

/* Nothing was asked, so an answer belongs to no request. */
static void
scheduler_on_gate_result(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct worker *w = arg;

	metric_inc(w->slot, MC_IPC_DROPPED);
	log_debug("scheduler: answer %llu belongs to no request",
	    (unsigned long long)m->id);
}

static const struct ipc_route peer_routes[] = {
	{ MSG_GATE_RESULT, scheduler_on_gate_result },
};

static const struct worker_ops ops = {
	.role = PROC_SCHEDULER,
	.confined = scheduler_confined,
	.peer_routes = peer_routes,
	.npeer_routes = AX_NELEM(peer_routes),
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops, NULL));
}
