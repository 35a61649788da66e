/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_HISTORY_H
#define AX_VERIFY_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include "common/note.h"
#include "daemon/verify/layout.h"
#include "daemon/verify/verify.h"

/* What became of a file that should be a signed checkpoint. */
enum note_state {
	NS_SIGNED,    /* by one of the keys */
	NS_FOREIGN,   /* a checkpoint, signed by none of them */
	NS_EDITED,    /* no checkpoint, or a signature that does not hold */
	NS_UNREADABLE /* with errno */
};

/* key, if NS_SIGNED: the one that signed. Judges `len` bytes of a note. */
enum note_state note_judge(const char *note, size_t len,
    const struct verify_options *, struct checkpoint *, struct vkey *key);
/* The same of a file. */
enum note_state note_judge_file(int dirfd, const char *path,
    const struct verify_options *, struct checkpoint *, struct vkey *key);

/*
 * The older checkpoints in the order of their sizes, as their names say
 * (20 digits), however many there are: a part of the folder is kept in memory
 * at a time.
 */
struct history {
	int fd; /* not owned; -1: there are none */
	uint64_t *size;
	size_t n, at;
	uint64_t after; /* all up to this size were handed out */
	bool begun, more;
};

int history_init(struct history *, const struct layout *); /* -1: ENOMEM */
void history_free(struct history *);
/* The next size above all before: 1, 0 at the end, -1 with errno. */
int history_next(struct history *, uint64_t *size);
/* The largest size below `below`; 0 when there is none, -1 with errno. */
int history_largest(const struct history *, uint64_t below, uint64_t *size);
void history_name(uint64_t size, char out[24]);

#endif
