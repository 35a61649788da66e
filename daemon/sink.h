/* SPDX-License-Identifier: ISC */
#ifndef AX_SINK_H
#define AX_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include "common/settings.h"

/*
 * CHECKPOINT_SINK: each new checkpoint is handed to a program of its own, one
 * at a time; the newest wins while one runs; a failure is retried. Nothing here
 * waits for a file system or a network, which may hang.
 */

/* A new checkpoint: opaque bytes, copied. */
void sink_put(const char *note, size_t n);
/* The settings have changed, perhaps ours. */
void sink_on_reload(void);
/*
 * The service ends, and the workers have ended: hands out the last checkpoint
 * on the disk if it was not yet. True while there is something to wait for;
 * stop_on_progress() is called when there no longer is.
 */
bool sink_last(void);
/* Kills what runs and forgets the rest. */
void sink_abandon(void);

/*
 * Adds an error if the value cannot work. Looks at it in a child, for 5 s at
 * most, and not at all if it is the one in force.
 */
void sink_check(const struct settings *, struct conf_errors *);

#endif
