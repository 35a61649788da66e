/* SPDX-License-Identifier: ISC */
/*
 * The real system calls below the journal and the notary's files, and two
 * helpers on top of any such table. Must never decide anything: what an error
 * means is the caller's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "common/jio.h"

static int
real_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (openat(dirfd, path, flags, mode));
}

static int
real_fstat(int fd, struct stat *st)
{
	return (fstat(fd, st));
}

static int
real_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return (fstatat(dirfd, path, st, flags));
}

const struct jio jio_real = {
	.writev = writev,
	.pread = pread,
	.fdatasync = fdatasync,
	.fsync = fsync,
	.ftruncate = ftruncate,
	.fallocate = fallocate,
	.openat = real_openat,
	.renameat2 = renameat2,
	.unlinkat = unlinkat,
	.mkdirat = mkdirat,
	.fstat = real_fstat,
	.fstatat = real_fstatat,
	.fstatvfs = fstatvfs,
	.close = close,
};

int
jio_write_all(const struct jio *io, int fd, const void *p, size_t n)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	ssize_t w;

	while (iov.iov_len > 0) {
		if ((w = io->writev(fd, &iov, 1)) == -1) {
			if (errno == EINTR)
				continue;
			return (-1);
		}
		if (w == 0) {
			errno = EIO;
			return (-1);
		}
		iov.iov_base = (char *)iov.iov_base + w;
		iov.iov_len -= (size_t)w;
	}
	return (0);
}

int
jio_sync_dir(const struct jio *io, int dirfd, const char *path)
{
	int fd, saved;

	fd = io->openat(dirfd, path,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	if (io->fsync(fd) == -1) {
		saved = errno;
		(void)io->close(fd);
		errno = saved;
		return (-1);
	}
	(void)io->close(fd);
	return (0);
}
