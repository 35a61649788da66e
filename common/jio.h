/* SPDX-License-Identifier: ISC */
#ifndef AX_JIO_H
#define AX_JIO_H

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * The system calls below the evidence, as a table, so that a test can put a
 * failing or forgetful disk in their place. Each has the meaning and errors of
 * the call of that name. Everything the journal, the snapshot, the recovery
 * and the notary do to a file goes through such a table; nothing else may.
 */
struct jio {
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*pread)(int, void *, size_t, off_t);
	int (*fdatasync)(int);
	int (*fsync)(int);
	int (*ftruncate)(int, off_t);
	int (*fallocate)(int, int mode, off_t, off_t);
	int (*openat)(int, const char *, int flags, mode_t);
	int (*renameat2)(int, const char *, int, const char *, unsigned);
	int (*unlinkat)(int, const char *, int);
	int (*mkdirat)(int, const char *, mode_t);
	int (*fstat)(int, struct stat *);
	int (*fstatat)(int, const char *, struct stat *, int);
	int (*fstatvfs)(int, struct statvfs *);
	int (*close)(int);
};

/* The kernel's own. */
extern const struct jio jio_real;

/* Writes all of it; retries EINTR and short writes; 0 or -1 with errno. */
int jio_write_all(const struct jio *, int fd, const void *, size_t);
/* fsync of the directory `path` below dirfd, which may be an O_PATH fd. */
int jio_sync_dir(const struct jio *, int dirfd, const char *path);

#endif
