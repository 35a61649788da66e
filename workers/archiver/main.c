/* SPDX-License-Identifier: ISC */
/*
 * archillx-archiver: one-shot. Gets a closed segment and an empty file as two
 * descriptors, compresses the one into the other, reads it back, tells the
 * parent, ends. It has no channel to anybody else and no folder at all.
 */
#include <unistd.h>

#include "workers/worker.h"

static void
archiver_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	(void)close(fd);
}

static const struct worker_ops ops = {
	.role = PROC_ARCHIVER,
	.resource = archiver_resource,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops, NULL));
}
