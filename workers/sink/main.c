/* SPDX-License-Identifier: ISC */
/*
 * archillx-sink DIR: puts the checkpoint on standard input into a folder, which
 * is often a mount of another host: DIR/checkpoints/SIZE, never replaced, and
 * DIR/checkpoint, the newest. Started by the parent for each checkpoint, as the
 * notary's user. What lies there already is the memory that the log's host
 * cannot change: it is never overwritten with something that contradicts it.
 */
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/note.h"
#include "common/util.h"

#define NEWEST "checkpoint"
#define ALL    "checkpoints"
#define PART   ".checkpoint.part"

struct given {
	char text[NOTE_READ_MAX];
	size_t n;
	struct checkpoint c;
};

static void
read_note(struct given *g)
{
	ssize_t n;

	while (g->n < sizeof(g->text)) {
		n = read(STDIN_FILENO, g->text + g->n, sizeof(g->text) - g->n);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			err(1, "standard input");
		if (n == 0)
			break;
		g->n += (size_t)n;
	}
	if (checkpoint_parse(g->text, g->n, &g->c) == -1)
		errx(1, "standard input is not a checkpoint");
}

/* 1 and *c, 0 there is none, -1 with errno (EBADMSG: it is something else). */
static int
look(int dirfd, const char *name, struct checkpoint *c)
{
	char *text;
	size_t n;
	int r;

	if ((text = ax_read_file(dirfd, name, NOTE_READ_MAX, &n)) == NULL)
		return (errno == ENOENT ? 0 : -1);
	r = checkpoint_parse(text, n, c) == 0 ? 1 : -1;
	free(text);
	errno = EBADMSG;
	return (r);
}

/* A new file of this name, synced. */
static void
write_part(int dirfd, const char *dir, const struct given *g)
{
	int fd;

	/* Of a run that was killed. */
	if (unlinkat(dirfd, PART, 0) == -1 && errno != ENOENT)
		err(1, "%s/" PART, dir);
	fd = openat(dirfd, PART,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1 || ax_write_all(fd, g->text, g->n) == -1 ||
	    fsync(fd) == -1 || close(fd) == -1)
		err(1, "%s/" PART, dir);
}

/* Renames without replacing, as far as the file system can. */
static int
keep(int from, int to, const char *name)
{
	if (renameat2(from, PART, to, name, RENAME_NOREPLACE) == 0)
		return (0);
	if (errno != EINVAL && errno != ENOSYS)
		return (-1);
	/* Network file systems: a link never replaces either. */
	if (linkat(from, PART, to, name, 0) == -1)
		return (-1);
	return (unlinkat(from, PART, 0));
}

static void
put_history(int dirfd, const char *dir, const struct given *g)
{
	struct checkpoint old;
	char name[32];
	int all, r;

	if (mkdirat(dirfd, ALL, 0755) == -1 && errno != EEXIST)
		err(1, "%s/" ALL, dir);
	all = openat(dirfd, ALL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (all == -1)
		err(1, "%s/" ALL, dir);
	(void)snprintf(name, sizeof(name), "%020" PRIu64, g->c.size);
	if ((r = look(all, name, &old)) == -1)
		err(1, "%s/" ALL "/%s", dir, name);
	if (r == 1 &&
	    (strcmp(old.origin, g->c.origin) != 0 ||
		memcmp(old.root, g->c.root, sizeof(old.root)) != 0))
		errx(1,
		    "%s/" ALL "/%s holds another root for as many records: "
		    "the log was rewritten, or is another one; ask "
		    "archillxctl audit verify --checkpoint",
		    dir, name);
	if (r == 0) {
		write_part(dirfd, dir, g);
		if (keep(dirfd, all, name) == -1)
			err(1, "%s/" ALL "/%s", dir, name);
	}
	if (fsync(all) == -1 || fsync(dirfd) == -1)
		err(1, "%s", dir);
	(void)close(all);
}

static void
put_newest(int dirfd, const char *dir, const struct given *g)
{
	write_part(dirfd, dir, g);
	if (renameat(dirfd, PART, dirfd, NEWEST) == -1 || fsync(dirfd) == -1)
		err(1, "%s/" NEWEST, dir);
}

/* What lies there must be older, and of the same log. */
static void
compare(int dirfd, const char *dir, const struct given *g)
{
	struct checkpoint old;
	int r = look(dirfd, NEWEST, &old);

	if (r == -1)
		err(1, "%s/" NEWEST, dir);
	if (r == 0)
		return;
	if (strcmp(old.origin, g->c.origin) != 0)
		errx(1,
		    "%s/" NEWEST " is of another log, %s: give each log a "
		    "folder of its own",
		    dir, old.origin);
	if (old.size > g->c.size)
		errx(1,
		    "%s/" NEWEST " covers %" PRIu64 " records, the log has "
		    "%" PRIu64 " now: it was rolled back; ask archillxctl "
		    "audit verify --checkpoint, and move the folder's files "
		    "away if that was meant",
		    dir, old.size, g->c.size);
}

int
main(int argc, char **argv)
{
	static struct given g;
	int dirfd;

	(void)umask(022);
	if (argc != 2)
		errx(2,
		    "usage: archillx-sink DIR <CHECKPOINT (archillxd starts it)");
	read_note(&g);
	dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd == -1)
		err(1, "%s", argv[1]);
	compare(dirfd, argv[1], &g);
	put_history(dirfd, argv[1], &g);
	put_newest(dirfd, argv[1], &g);
	return (0);
}
