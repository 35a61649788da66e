/* SPDX-License-Identifier: ISC */
#ifndef AX_CTL_LINES_H
#define AX_CTL_LINES_H

#include <stddef.h>

/*
 * The journal's files as they lie there, line by line, plain or compressed.
 * Reads only, and judges nothing. Blocks on the disk.
 */
#define LINES_LIVE "security_audit.jsonl"

struct lines;

/* A segment below an open EVIDENCE_DIR; NULL with errno. */
struct lines *lines_open(int dirfd, const char *name);
void lines_close(struct lines *); /* NULL is nothing */

/*
 * 1 and a line without its newline, good until the next call; 0 at the end (an
 * unfinished line is none; a plain file may have grown at the next call); -1
 * with errno.
 */
int lines_next(struct lines *, const char **line, size_t *n);

/*
 * The closed segments, oldest first, as names for lines_open(); one that lies
 * there in both forms is the plain one. Their number, or -1 with errno.
 */
int lines_archived(int dirfd, char ***names);
void lines_names_free(char **names, int n);

#endif
