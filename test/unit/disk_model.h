/* SPDX-License-Identifier: ISC */
#ifndef AX_DISK_MODEL_H
#define AX_DISK_MODEL_H

#include <stddef.h>
#include "common/jio.h"

/*
 * A disk that loses, when the power goes, what was not synced: data and names
 * alike; or has written it, or some of it. A test runs a script in a child on
 * model_io, once for each call that changes something, the power going before
 * that call, and looks at each of the disks that may then be left.
 */
#define MODEL_VARIANTS 8 /* disks that a cut leaves */
#define MODEL_FINISHED 7 /* exit status of a script: the power never went */
#define MODEL_WORSE    8 /* ... the script itself failed: model_text() */

/* The modelled disk, in the child; and one that syncs nothing, to be quick. */
extern struct jio model_io, model_quick;

/* Once, before all. 0 or -1. */
int model_setup(void);
/* Memory that a child shares with its parent, or NULL. */
void *model_shared(size_t);

/*
 * Runs fn in a child on the disk that the folder `path` holds, all of it
 * durable, and cuts the power before call number `cut` (0: never): the folders
 * `left`0 to `left`7 are then what may be left. 0 when the power went, else
 * the exit status of fn: MODEL_FINISHED, or MODEL_WORSE.
 */
int
model_run(void (*fn)(void), const char *path, const char *left, unsigned cut);
const char *model_text(void);

/* ---- in the child ---- */

int model_root(void); /* O_PATH descriptor of the disk */
/* Ends the child: the script itself failed. */
void __attribute__((noreturn)) model_give_up(const char *what);
/* The power goes now. */
void __attribute__((noreturn)) model_cut(void);
/* fn is called at the chosen call, and no power cut. */
void model_instead(void (*fn)(void));
/* The nth fdatasync from now on fails with EIO. */
void model_fail_sync(unsigned nth);

/* ---- helpers ---- */

int model_nothing(int fd); /* for a sync that does nothing */
/* All of a file; freed by the caller. Ends the child on errors. */
char *model_content(int fd, size_t *len);
/* A new folder, in memory if possible: what is tried is not this machine's
 * disk. 0 or -1. */
int model_folder(char *path, size_t);
/* system(3), which must succeed. */
void __attribute__((format(printf, 1, 2))) model_shell(const char *fmt, ...);

#endif
