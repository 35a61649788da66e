/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_LAYOUT_H
#define AX_VERIFY_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where the files of an evidence folder are. Archives are listed (one small
 * entry a file, in order of their numbers); of the same number the plain file
 * counts.
 */
#define LAYOUT_NAME_MAX 128

struct layout_segment {
	uint64_t num; /* UINT64_MAX: the file being written */
	bool zstd;
	char name[LAYOUT_NAME_MAX]; /* below the folder */
};

struct layout {
	int dirfd;
	int logfd;  /* folder with tile/, or -1 */
	int histfd; /* folder of older checkpoints, or -1 */
	int livefd; /* the file being written, opened first, or -1 */
	bool have_tiles;
	const char *checkpoint; /* name below dirfd, or NULL */
	const char *history;	/* its name, for messages */
	struct layout_segment *seg;
	size_t nseg, cap;
};

/* 0, or -1 with errno; *what names the file or folder at fault. */
int layout_open(struct layout *, const char *dir, const char **what);
void layout_close(struct layout *);
/*
 * A read-only descriptor of segment i, which is the caller's. If the plain
 * file was compressed meanwhile, the other one, and the entry changes. -1 with
 * errno.
 */
int layout_segment_fd(struct layout *, size_t i);
/* A regular file's contents, at most max bytes, NUL behind; NULL with errno.
 * Never hangs on something that is no file. */
char *layout_read(int dirfd, const char *path, size_t max, size_t *len);

#endif
