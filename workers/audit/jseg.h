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
 * and the same with ".zst" behind it, one zstd frame (common/zread.h). All
 * sizes and offsets are those of the text.
 */
struct segment_list {
	struct segment *v;
	size_t n, cap;
};

int segment_add(struct segment_list *, const struct segment *);
/* Writes "<folder>/security_audit.<number>.<UTC time>.<suffix>". */
void segment_name(char *out, size_t size, const char *folder, uint64_t num,
    uint64_t real_us, const char *suffix);
/* Reads a base name in archive/: 0 and the number, or -1. */
int segment_parse(const char *base, uint64_t *num);
/*
 * The archived segments in order, sizes set, first_seq not. 0, or -1 with err:
 * one that cannot be read, a number twice or a number missing in the middle.
 */
int segment_list_load(struct segment_list *, const struct jio *, int dirfd,
    char *err, size_t errlen);

/* strerror(3), and what EBADMSG means of a segment. */
const char *segment_error(int);

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
/* Both again for a segment in archive/, by its name, in either form. EBADMSG:
 * it should be one whole zstd frame and is not. */
int segment_scan_closed(const struct jio *, int dirfd, const struct segment *,
    segment_line, void *arg, uint64_t *at);
uint64_t
segment_closed_first_seq(const struct jio *, int dirfd, const struct segment *);

#endif
