/* SPDX-License-Identifier: ISC */
#ifndef AX_SNAPSHOT_H
#define AX_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include "workers/audit/idem.h"
#include "common/jio.h"
#include "workers/audit/registry.h"

/*
 * EVIDENCE_DIR/.gate/snapshot.json: what the gate knows from the journal up to
 * `seq`, so that a start reads only the lines from `replay_from` on. Derived:
 * without it the whole journal is read.
 */
#define SNAPSHOT_DIR  ".gate"
#define SNAPSHOT_NAME ".gate/snapshot.json"

struct snapshot {
	uint64_t seq;	      /* 0: there is none */
	uint64_t replay_from; /* <= seq + 1: the first decision still open */
};

/* Replaces the file atomically and durably; 0, or -1 with errno. Blocks. */
int snapshot_save(const struct jio *, int dirfd, const struct snapshot *,
    const struct flags *, const struct idems *);
/*
 * 0: read, or there is none (seq 0). -1: there is one that cannot be used, and
 * err tells why; flags and idems are empty then.
 */
int snapshot_load(const struct jio *, int dirfd, struct snapshot *,
    struct flags *, struct idems *, char *err, size_t errlen);

#endif
