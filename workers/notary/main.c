/* SPDX-License-Identifier: ISC */
/*
 * archillx-notary: keeps the Merkle tree over the durable lines of the journal,
 * writes its tiles and signs its checkpoints. It reads the journal through
 * descriptors that audit sends, and can write below EVIDENCE_DIR/log only: the
 * gate cannot sign, and the signer cannot write the journal.
 */
#include <unistd.h>

#include "common/util.h"
#include "workers/worker.h"

static void
notary_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	(void)close(fd);
}

static void
notary_on_segment_fd(struct ipc *c, struct ipc_msg *m, void *arg)
{
	(void)close(m->fds[0]);
}

static void
notary_on_journal_at(struct ipc *c, struct ipc_msg *m, void *arg)
{
}

static const struct ipc_route peer_routes[] = {
	{ MSG_SEGMENT_FD, notary_on_segment_fd },
	{ MSG_JOURNAL_AT, notary_on_journal_at },
};

static const struct worker_ops ops = {
	.role = PROC_NOTARY,
	.resource = notary_resource,
	.peer_routes = peer_routes,
	.npeer_routes = AX_NELEM(peer_routes),
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops, NULL));
}
