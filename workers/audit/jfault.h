/* SPDX-License-Identifier: ISC */
#ifndef AX_JFAULT_H
#define AX_JFAULT_H

#include <stddef.h>
#include "common/jio.h"

/*
 * TEST ONLY: a disk that fails or forgets, in the place of jio_real. Linked
 * into unit tests, and into archillx-audit with --enable-fault-io alone.
 *
 * A specification is a list of rules with ';' between them (AX_FAULT):
 *
 *   op=OP,nth=N,count=C,err=EIO   the N-th call of OP (from 1, since the rules
 *                                 were set) and the C-1 after it fail; C 0:
 *                                 for ever. OP: write fdatasync fsync
 *                                 ftruncate fallocate rename open unlink
 *                                 mkdir read
 *   op=write,nth=N,short=K        that write takes K bytes only
 *   op=OP,nth=N,kill=1            SIGKILL to the process before that call
 *   op=write,nth=N,drop=1         that write says it was done and was not
 *   fdatasync=stub                fdatasync returns 0 and does nothing
 *   buffer=1                      what is written stays in memory until
 *                                 fdatasync: death loses exactly the unsynced
 *   powercut=N                    (with buffer) at the N-th fdatasync a random
 *                                 part of what is held is written, then
 *                                 SIGKILL
 *   free=N                        fstatvfs says that N bytes are left
 */

/* Sets the rules anew, counters at zero; -1 and err for a bad text. */
int jfault_set(const char *spec, char *err, size_t errlen);
/*
 * For archillx-audit: takes AX_FAULT from the environment; the table to use.
 * A file named ".fault" in EVIDENCE_DIR, from jfault_start() on, replaces the
 * rules whenever it changed; when it goes, so do they.
 */
const struct jio *jfault_from_environment(void);
void jfault_start(int dirfd);
/* Drops what is held back, as a power cut would. */
void jfault_forget(void);
/* How often the operation was called since jfault_set(). */
unsigned jfault_calls(const char *op);

extern const struct jio jio_fault;

#endif
