/* SPDX-License-Identifier: ISC */
#ifndef AX_JSEG_H
#define AX_JSEG_H

#include <stdbool.h>
#include <stdint.h>
#include "workers/audit/journal.h"

/*
 * The segments of a journal: their names, their list, and reading lines out of
 * one. For journal.c and jrecover.c only.
 *
 * archive/security_audit.<number, 8 digits>.<UTC time>.jsonl
 * archive/security_audit.<number>.<UTC time>.cut-<bytes>.jsonl: only the first
 * <bytes> count; the rest are lines that were refused when fdatasync failed.
 */
struct segment_list {
	struct segment *v;
	size_t n, cap;
};

int segment_add(struct segment_list *, const struct segment *);
/* Writes the archive name (with the folder). */
void segment_name(char *out, size_t size, uint64_t num, uint64_t real_us,
    bool cut, uint64_t committed);
/* Reads a base name: 0 and number, *cut (-1: none), or -1. */
int segment_parse(const char *base, uint64_t *num, int64_t *cut);
/*
 * The archived segments in order, sizes set, first_seq not. 0, or -1 with err:
 * a number twice or a number missing in the middle.
 */
int segment_list_load(struct segment_list *, const struct jio *, int dirfd,
    char *err, size_t errlen);

/* One complete line without newline at offset `at`. -1 stops. */
typedef int (*segment_line)(void *arg, const char *s, size_t n, uint64_t at);
enum { SCAN_END, SCAN_STOPPED, SCAN_RAGGED, SCAN_ERROR };
/*
 * Hands out the lines in [from, limit). SCAN_END; SCAN_STOPPED by the callback;
 * SCAN_RAGGED: what is left has no newline within LINE_MAX_BYTES; SCAN_ERROR
 * with errno. *at is where it stopped.
 */
int segment_scan(const struct jio *, int fd, uint64_t from, uint64_t limit,
    segment_line, void *arg, uint64_t *at);
/* The seq of the first line; 0 if there is no valid line. */
uint64_t segment_first_seq(const struct jio *, int fd, uint64_t limit);

#endif
