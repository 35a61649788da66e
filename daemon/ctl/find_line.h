/* SPDX-License-Identifier: ISC */
#ifndef AX_CTL_FIND_LINE_H
#define AX_CTL_FIND_LINE_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"

/*
 * The line with this seq, without its newline, out of the segments below an
 * open EVIDENCE_DIR, plain or compressed. Reads only. 0, or -1 and the reason
 * in err.
 */
int find_line(int dirfd, uint64_t seq, struct buf *line, char *err, size_t n);

#endif
