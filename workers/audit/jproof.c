/* SPDX-License-Identifier: ISC */
/*
 * Holds the journal against its newest checkpoint before anything is appended:
 * the right edge from the tiles where the scan begins, the lines on top, and
 * the root that was signed. What the checkpoint covers must be there, whole and
 * unchanged, or the service does not start. Must never write.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/jproof.h"

#define WHAT_TO_DO "; archillxctl audit verify tells more"

/* The note's length, 0 without one, or -1 with errno. */
static ssize_t
read_note(const struct jio *io, int dirfd, char *b, size_t size)
{
	ssize_t n;
	int fd, saved;

	fd = io->openat(dirfd, LOG_CHECKPOINT,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd == -1)
		return (errno == ENOENT ? 0 : -1);
	n = io->pread(fd, b, size, 0);
	saved = errno;
	(void)io->close(fd);
	errno = n == 0 ? EBADMSG : saved;
	return (n == 0 ? -1 : n);
}

int
jproof_open(struct jproof *p, const struct jio *io, int dirfd, char *err,
    size_t errlen)
{
	char note[NOTE_MAX];
	ssize_t n;

	memset(p, 0, sizeof(*p));
	p->logfd =
	    io->openat(dirfd, LOG_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (p->logfd == -1 && errno == ENOENT)
		return (0);
	n = p->logfd == -1 ? -1 : read_note(io, p->logfd, note, sizeof(note));
	if (n == 0)
		return (0);
	if (n == -1 && errno != EBADMSG) {
		(void)snprintf(err, errlen, LOG_DIR "/" LOG_CHECKPOINT ": %s",
		    strerror(errno));
		return (-1);
	}
	if (n == -1 || checkpoint_parse(note, (size_t)n, &p->c) == -1) {
		(void)snprintf(err, errlen,
		    LOG_DIR "/" LOG_CHECKPOINT
			    " is damaged: it is no checkpoint" WHAT_TO_DO);
		p->failed = true;
		return (-1);
	}
	if ((p->tiles = malloc(sizeof(*p->tiles))) == NULL) {
		(void)snprintf(err, errlen, "out of memory");
		return (-1);
	}
	tiles_init(p->tiles, p->logfd, p->c.size);
	p->on = true;
	return (0);
}

void
jproof_close(struct jproof *p)
{
	free(p->tiles);
	p->tiles = NULL;
	if (p->logfd > 0)
		(void)close(p->logfd);
	p->logfd = -1;
	p->on = false;
}

/* The last segment that begins under the checkpoint; false: none. */
static bool
segment_below(const struct jproof *p, const struct segment_list *l, size_t *at)
{
	size_t i = l->n;

	while (i > 0 &&
	    (l->v[i - 1].first_seq == 0 || l->v[i - 1].first_seq > p->c.size))
		i--;
	*at = i - 1;
	return (i > 0);
}

int
jproof_begin(struct jproof *p, const struct segment_list *l, size_t *start,
    char *err, size_t errlen)
{
	size_t last;

	if (!p->on || !segment_below(p, l, &last))
		return (0);
	if (*start > last)
		*start = last;
	if (merkle_load(&p->tree, l->v[*start].first_seq - 1, tiles_get,
		p->tiles) == 0)
		return (0);
	log_warnx("journal: tiles are missing: the checkpoint is compared "
		  "with every line");
	*start = 0;
	memset(&p->tree, 0, sizeof(p->tree));
	if (l->v[0].first_seq == 1)
		return (0);
	(void)snprintf(err, errlen,
	    "the checkpoint over %" PRIu64 " lines cannot be compared: line 1 "
	    "to %" PRIu64 " are not here, and tiles are missing" WHAT_TO_DO,
	    p->c.size, l->v[0].first_seq - 1);
	p->failed = true;
	return (-1);
}

bool
jproof_covers(const struct jproof *p, uint64_t seq)
{
	return (p->on && seq <= p->c.size);
}

static void
look_at_tile(struct jproof *p, const uint8_t leaf[MERKLE_HASH],
    const char *name, uint64_t at)
{
	uint8_t was[MERKLE_HASH];

	if (p->diff != 0 || tiles_hash(p->tiles, 0, p->tree.size, was) == -1 ||
	    memcmp(was, leaf, sizeof(was)) == 0)
		return;
	p->diff = p->tree.size + 1;
	p->diff_at = at;
	(void)ax_strlcpy(p->diff_name, name, sizeof(p->diff_name));
}

static int
contradicted(struct jproof *p, char *err, size_t errlen)
{
	p->failed = true;
	if (p->diff != 0)
		(void)snprintf(err, errlen,
		    "line %" PRIu64 " (%s, byte %" PRIu64 ") is not the one "
		    "that the checkpoint over %" PRIu64
		    " lines covers" WHAT_TO_DO,
		    p->diff, p->diff_name, p->diff_at, p->c.size);
	else
		(void)snprintf(err, errlen,
		    "lines 1 to %" PRIu64 " are not those that the checkpoint "
		    "covers, and no tile tells which differ" WHAT_TO_DO,
		    p->c.size);
	return (-1);
}

int
jproof_line(struct jproof *p, const char *name, uint64_t at, const char *line,
    size_t n, char *err, size_t errlen)
{
	uint8_t leaf[MERKLE_HASH], root[MERKLE_HASH];

	if (!p->on || p->tree.size >= p->c.size)
		return (0);
	merkle_leaf(line, n, leaf);
	look_at_tile(p, leaf, name, at);
	merkle_append(&p->tree, leaf);
	if (p->tree.size < p->c.size)
		return (0);
	merkle_root(&p->tree, root);
	if (memcmp(root, p->c.root, sizeof(root)) == 0)
		return (0);
	return (contradicted(p, err, errlen));
}

int
jproof_end(struct jproof *p, char *err, size_t errlen)
{
	if (!p->on || p->tree.size >= p->c.size)
		return (0);
	/* A line that was changed says more than those that are missing. */
	if (p->diff != 0)
		return (contradicted(p, err, errlen));
	p->failed = true;
	(void)snprintf(err, errlen,
	    "the journal ends with line %" PRIu64 ", but the checkpoint counts "
	    "%" PRIu64 ": line %" PRIu64 " and those behind it were "
	    "removed" WHAT_TO_DO,
	    p->tree.size, p->c.size, p->tree.size + 1);
	return (-1);
}
