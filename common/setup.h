/* SPDX-License-Identifier: ISC */
#ifndef AX_SETUP_H
#define AX_SETUP_H

#include <stdint.h>
#include <stddef.h>
#include "messages.h"

/* How a process answers system calls outside its list. */
enum confinement { CF_KILL, CF_ERRNO, CF_LOG, CF_OFF, CF_MAX };

/*
 * MSG_SETUP: what a worker must know before anything else: u16 role,
 * u16 instance, u64 epoch, u32 uid, u32 gid, u8 as_root, u8 confinement,
 * u8 log level, u32 parent pid, str chroot (null: none).
 */
struct worker_setup {
	enum proc_role role;
	unsigned instance;
	uint64_t epoch;
	uint32_t uid, gid;
	int as_root;
	enum confinement confinement;
	uint8_t log_level;
	uint32_t parent_pid;
	const char *root;
};

void worker_setup_put(struct buf *, const struct worker_setup *);
int worker_setup_get(const void *, size_t, struct worker_setup *);

/* Identifies this build; parent and worker must agree on it. */
#define AX_BUILD_ID PACKAGE_VERSION

#endif
