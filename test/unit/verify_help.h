/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_HELP_H
#define AX_VERIFY_HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/note.h"

/*
 * Evidence folders made from nothing, without any code of the notary: lines,
 * segments, tiles, checkpoints. For tests and for the bench.
 */
struct made {
	const char *dir;
	uint64_t lines;	  /* covered */
	uint64_t above;	  /* lines above the checkpoint */
	uint64_t rotate;  /* lines in a segment; 0: all in one */
	uint64_t history; /* a checkpoint every so many; 0: none */
	uint64_t first;	  /* segments that end below it are left out */
	bool zstd;	  /* compress every other archive */
	bool no_tiles;
	bool partial;  /* a last line without its end */
	unsigned salt; /* other lines */
	struct skey key;
};

/* Aborts the program when it fails. */
void made_log(const struct made *);
/* The line without its newline; its length. */
size_t made_line(unsigned salt, uint64_t seq, char *out, size_t size);
/* A signed checkpoint over the first `size` lines, into a file. */
void made_checkpoint(const struct made *, uint64_t size, const char *file);
void write_file(const char *dir, const char *name, const void *, size_t);
/* The whole file; malloc'ed. */
uint8_t *read_file(const char *dir, const char *name, size_t *len);
/* Removes a folder made for a test and what is in it. */
void remove_tree(const char *dir);

#endif
