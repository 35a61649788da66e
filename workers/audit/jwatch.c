/* SPDX-License-Identifier: ISC */
/*
 * Is the live file still the one we write, and as we left it? Somebody else may
 * remove, replace, truncate or write it; whoever has the right to, has. What is
 * committed can be read through our descriptor as long as nobody took it out of
 * the file itself, so that such a find ends the file and not the journal: see
 * jrepair.c. Must never write.
 *
 * A foreign write of the same length within one tick of the kernel's clock
 * after our own is not seen here; the tree over the journal will not agree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/jpriv.h"

void
journal_note_written(struct journal *j)
{
	struct stat st;

	if (j->fd == -1 || j->io->fstat(j->fd, &st) == -1)
		return;
	j->written = st.st_mtim;
	j->dev = st.st_dev;
	j->ino = st.st_ino;
}

bool
journal_is_live(const struct journal *j, int fd)
{
	struct stat st;

	return (j->io->fstat(fd, &st) == 0 && st.st_dev == j->dev &&
	    st.st_ino == j->ino);
}

/* What our descriptor tells: NULL when all is well. */
static const char *
look_at_file(const struct journal *j)
{
	uint64_t size = journal_active(j)->committed;
	struct stat st;

	if (j->io->fstat(j->fd, &st) == -1)
		return (NULL); /* the write will tell */
	if ((uint64_t)st.st_size < size)
		return ("truncated");
	if (st.st_nlink == 0)
		return ("deleted");
	if ((uint64_t)st.st_size > size ||
	    st.st_mtim.tv_sec != j->written.tv_sec ||
	    st.st_mtim.tv_nsec != j->written.tv_nsec)
		return ("written to");
	return (NULL);
}

static const char *
look_at_name(const struct journal *j)
{
	struct stat st;

	if (j->io->fstatat(j->dirfd, JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) ==
	    -1)
		return (errno == ENOENT ? "deleted" : NULL);
	if (st.st_dev != j->dev || st.st_ino != j->ino)
		return ("replaced");
	return (NULL);
}

static int
judge(struct journal *j, const char *found)
{
	char what[64];

	if (found == NULL)
		return (0);
	(void)snprintf(what, sizeof(what), "the live file was %s", found);
	j->found = found;
	errno = 0;
	journal_fail(j, JOURNAL_VERIFY, what);
	errno = EAGAIN;
	return (-1);
}

int
journal_check_file(struct journal *j)
{
	return (judge(j, look_at_file(j)));
}

int
journal_watch(struct journal *j)
{
	const char *found;

	if (j->state != JOURNAL_OK || j->fd == -1)
		return (0);
	if ((found = look_at_name(j)) == NULL)
		found = look_at_file(j);
	return (judge(j, found));
}
