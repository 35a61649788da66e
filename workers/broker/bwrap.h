/* SPDX-License-Identifier: ISC */
#ifndef AX_BROKER_BWRAP_H
#define AX_BROKER_BWRAP_H

#include <stdint.h>

/*
 * bubblewrap's argument vector: what a sandbox sees. Pure. Every word is a
 * constant of bwrap.c, except those of struct bwrap_view, none of which a
 * client can choose.
 */
#define BWRAP_ARGS_MAX 160

struct bwrap_view {
	const char *runner;    /* archillx-runner on the host */
	uint64_t disk;	       /* bytes of the writable file system */
	const char *host_path; /* seen as /skill, read-only; NULL: none */
};

struct bwrap_args {
	const char *argv[BWRAP_ARGS_MAX];
	unsigned argc;
	char size[24];
};

/* The strings belong to the view, to `a` and to the program. */
void bwrap_args(struct bwrap_args *a, const struct bwrap_view *);

#endif
