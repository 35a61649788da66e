/* SPDX-License-Identifier: ISC */
/*
 * What a death in the middle of an archiving or a repair leaves behind in
 * archive/: files that were still being written (".NAME.zst.part", "copy.tmp"),
 * and a compressed file whose plain one was not removed yet. The plain one
 * counts then; the other is made again. Must never remove a file that ends in
 * ".jsonl", nor a compressed one that stands alone, nor one that holds more
 * than the plain one beside it: a power cut leaves no such pair.
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

	return (strcmp(base, JOURNAL_COPY_BASE) == 0 ||
	    (base[0] == '.' && n > tail &&
		strcmp(base + n - tail, PART_TAIL) == 0));
}

static int
cannot(const char *name, char *err, size_t errlen)
{
	(void)snprintf(err, errlen, "%s: %s", name, strerror(errno));
	return (-1);
}

/* How much text a whole compressed segment has; 0: it is not one. */
static uint64_t
text_size(const struct journal *j, const char *name)
{
	struct zread *z = NULL;
	uint64_t size = 0;
	int fd;

	fd =
	    j->io->openat(j->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd != -1 && (z = zread_open(fd, true, j->io->pread)) != NULL)
		size = zread_size(z);
	zread_free(z);
	if (fd != -1)
		(void)j->io->close(fd);
	return (size);
}

/* Whether the compressed segment stands beside the plain one; -1 when that
 * cannot be known, or when it may be the only whole one. */
static int
is_second(const struct journal *j, const char *base, char *err, size_t errlen)
{
	char plain[sizeof(((struct segment *)NULL)->name)], zst[512];
	struct stat st;
	uint64_t num;
	int fd, r;

	if (!zread_is_zstd(base) || segment_parse(base, &num) == -1 ||
	    snprintf(plain, sizeof(plain), JOURNAL_ARCHIVE "/%.*s",
		(int)(strlen(base) - 4), base) >= (int)sizeof(plain))
		return (0);
	fd = j->io->openat(j->dirfd, plain, O_RDONLY | O_NOFOLLOW | O_CLOEXEC,
	    0);
	if (fd == -1)
		return (errno == ENOENT ? 0 : cannot(plain, err, errlen));
	if ((r = j->io->fstat(fd, &st)) == -1)
		(void)cannot(plain, err, errlen);
	(void)j->io->close(fd);
	if (r == -1)
		return (-1);
	(void)snprintf(zst, sizeof(zst), "%s.zst", plain);
	if (text_size(j, zst) <= (uint64_t)st.st_size)
		return (1);
	(void)snprintf(err, errlen,
	    "%s is shorter than what %s holds: put away the one that is not "
	    "whole (archillxctl audit verify tells which)",
	    plain, zst);
	errno = EBADMSG;
	return (-1);
}

static int
tidy(const struct journal *j, DIR *d, char *err, size_t errlen)
{
	char name[512];
	struct dirent *e;
	bool removed = false;
	int second;

	for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
		second = is_second(j, e->d_name, err, errlen);
		if (second == -1)
			return (-1);
		if (second == 0 && !is_part(e->d_name))
			continue;
		(void)snprintf(name, sizeof(name), JOURNAL_ARCHIVE "/%s",
		    e->d_name);
		if (j->io->unlinkat(j->dirfd, name, 0) == -1)
			return (cannot(name, err, errlen));
		log_info("journal: removed %s, left behind by work that was "
			 "cut short",
		    name);
		removed = true;
	}
	if (errno == 0 &&
	    (!removed || jio_sync_dir(j->io, j->dirfd, JOURNAL_ARCHIVE) == 0))
		return (0);
	return (cannot(JOURNAL_ARCHIVE, err, errlen));
}

int
journal_tidy_archive(struct journal *j, char *err, size_t errlen)
{
	DIR *d = NULL;
	int fd, r, saved;

	fd = j->io->openat(j->dirfd, JOURNAL_ARCHIVE,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd != -1 && (d = fdopendir(fd)) != NULL)
		r = tidy(j, d, err, errlen);
	else
		r = cannot(JOURNAL_ARCHIVE, err, errlen);
	saved = errno;
	if (d != NULL)
		(void)closedir(d);
	else if (fd != -1)
		(void)j->io->close(fd);
	errno = saved;
	return (r);
}
