/* SPDX-License-Identifier: ISC */
#ifndef AX_BROKER_SYSCALLS_H
#define AX_BROKER_SYSCALLS_H

#include <stddef.h>

struct sock_filter;

/*
 * The system call filter of every sandbox, compiled from syscalls.def.h with
 * libseccomp. Needs memfd_create, lseek and read; to be called once, at start.
 * Returns malloc'ed instructions and their number in *n, or NULL with errno.
 */
struct sock_filter *syscalls_compile(size_t *n);

/* How many calls the table allows without and with conditions. Pure. */
void syscalls_count(unsigned *allowed, unsigned *conditional);

#endif
