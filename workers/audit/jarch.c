/* SPDX-License-Identifier: ISC */
/*
 * What a death in the middle of an archiving leaves behind in archive/: files
 * that were still being written (".NAME.zst.part"), and a compressed file
 * whose plain one was not removed yet. The plain one counts then; the other is
 * made again. Must never remove a file that ends in ".jsonl", nor a compressed
 * one that stands alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/zread.h"
#include "workers/audit/jpriv.h"

#define PART_TAIL ".zst.part"

static bool
is_part(const char *base)
{
	size_t n = strlen(base), tail = sizeof(PART_TAIL) - 1;

	return (base[0] == '.' && n > tail &&
	    strcmp(base + n - tail, PART_TAIL) == 0);
}

/* Whether this is a compressed segment that stands beside the plain one; -1
 * when that cannot be known: it may be the only one. */
static int
is_second(const struct journal *j, const char *base)
{
	char plain[sizeof(((struct segment *)NULL)->name)];
	uint64_t num;
	int fd;

	if (!zread_is_zstd(base) || segment_parse(base, &num) == -1 ||
	    snprintf(plain, sizeof(plain), JOURNAL_ARCHIVE "/%.*s",
		(int)(strlen(base) - 4), base) >= (int)sizeof(plain))
		return (0);
	fd = j->io->openat(j->dirfd, plain, O_RDONLY | O_NOFOLLOW | O_CLOEXEC,
	    0);
	if (fd == -1)
		return (errno == ENOENT ? 0 : -1);
	(void)j->io->close(fd);
	return (1);
}

static int
tidy(const struct journal *j, DIR *d)
{
	char name[512];
	struct dirent *e;
	bool removed = false;
	int second;

	for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
		if ((second = is_second(j, e->d_name)) == -1)
			return (-1);
		if (!is_part(e->d_name) && second == 0)
			continue;
		(void)snprintf(name, sizeof(name), JOURNAL_ARCHIVE "/%s",
		    e->d_name);
		if (j->io->unlinkat(j->dirfd, name, 0) == -1)
			return (-1);
		log_info("journal: removed %s, left behind by an archiving "
			 "that was cut short",
		    name);
		removed = true;
	}
	if (errno != 0)
		return (-1);
	return (removed ? jio_sync_dir(j->io, j->dirfd, JOURNAL_ARCHIVE) : 0);
}

int
journal_tidy_archive(struct journal *j, char *err, size_t errlen)
{
	DIR *d = NULL;
	int fd, r = -1, saved;

	fd = j->io->openat(j->dirfd, JOURNAL_ARCHIVE,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd != -1 && (d = fdopendir(fd)) != NULL)
		r = tidy(j, d);
	saved = errno;
	if (d != NULL)
		(void)closedir(d);
	else if (fd != -1)
		(void)j->io->close(fd);
	if (r == -1)
		(void)snprintf(err, errlen, JOURNAL_ARCHIVE ": %s",
		    strerror(saved));
	errno = saved;
	return (r);
}
