/* SPDX-License-Identifier: ISC */
#ifndef AX_FILEOPS_H
#define AX_FILEOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/messages.h"

/*
 * The operations of file_ops (contract 6.6) below a few open directories, the
 * roots. Every lookup is one openat2(2) below a root's descriptor that refuses
 * symbolic links and never leaves the root, so there is no moment between a
 * check and a use. Knows nothing of messages or of who asks.
 */
#define FILEOPS_ROOTS	   64
#define FILEOPS_LIST_MAX   10000	 /* entries of one list */
#define FILEOPS_LIST_BYTES (1024 * 1024) /* JSON of one list */
#define FILEOPS_PATH_MAX   4096

struct fileops;

struct fileops *fileops_new(void);   /* NULL with ENOMEM */
void fileops_free(struct fileops *); /* closes the roots */

/*
 * Adds a root: an open directory (O_PATH will do; taken over, closed in every
 * case) and the absolute path under which clients name it. Relative paths
 * start at the root added first. -1 with EINVAL (not absolute, not a
 * directory, too many) or ENOMEM.
 */
int fileops_add_root(struct fileops *, int dirfd, const char *name, bool rw);
/* Largest file read and written, bytes. */
void fileops_set_limits(struct fileops *, size_t max_read, size_t max_write);

/*
 * Does one operation; blocks as long as the file system takes. `content` is
 * for FOP_WRITE (NULL: empty). Returns 0 and appends the result, a JSON
 * object, to out; or -1 and appends the error's text. A write is durable, and
 * other readers see the old contents or the new, never a part. Allocation
 * failure shows as out->err.
 */
int fileops_run(struct fileops *, enum file_op, const char *path,
    const void *content, size_t content_len, struct buf *out);

#endif
