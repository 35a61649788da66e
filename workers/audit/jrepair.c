/* SPDX-License-Identifier: ISC */
/*
 * The journal after an error. A failed write is cut back to what was
 * committed. A failed fdatasync ends the file: ext4 reports the error once and
 * success from then on over pages that never reached the disk, so what was
 * committed is read back past the cache, compared with its running hash and
 * copied into the archive; the failed file goes to recovered/ as it is, and a
 * new segment begins. Must never write again to a file whose fdatasync failed,
 * and never open the journal while a step is undone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/event.h"
#include "workers/audit/jpriv.h"

#define READ_CHUNK    (1u << 20)
#define READ_ALIGN    4096
#define RISK_REPLACED 95

/* ---- steps: 0 and the next state set, or -1 ---- */

static int
step_cut(struct journal *j)
{
	if (j->io->ftruncate(j->fd, (off_t)journal_active(j)->committed) ==
	    -1) {
		journal_fail(j, JOURNAL_CUT, "ftruncate");
		return (-1);
	}
	/* Truncating gave the reserve back, too. */
	j->reserved = 0;
	if (j->io->fdatasync(j->fd) == -1) {
		journal_fail(j, JOURNAL_VERIFY, "fdatasync");
		return (-1);
	}
	journal_note_written(j);
	j->state = JOURNAL_OK;
	return (0);
}

/* A descriptor by name whose reads come from the disk as far as that can be
 * had. */
static int
open_uncached(const struct journal *j)
{
	const char *name = journal_active(j)->name;
	int fd;

	fd = j->io->openat(j->dirfd, name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_DIRECT, 0);
	if (fd != -1 || errno != EINVAL)
		return (fd);
	fd =
	    j->io->openat(j->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd != -1)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return (fd);
}

/* The file with the committed bytes: by name, or the one that we hold when the
 * name is gone or another's. */
static int
open_committed(const struct journal *j)
{
	int fd = open_uncached(j);

	if (fd != -1 && journal_is_live(j, fd))
		return (fd);
	if (fd != -1)
		(void)j->io->close(fd);
	else if (j->found == NULL)
		return (-1);
	(void)posix_fadvise(j->fd, 0, 0, POSIX_FADV_DONTNEED);
	return (j->fd);
}

/* Reads the first `len` bytes, writes them to `to` (-1: nowhere). */
static int
read_through(const struct jio *io, int fd, uint64_t len, int to, void *b,
    EVP_MD_CTX *ctx)
{
	uint64_t at = 0;
	ssize_t r;

	while (at < len) {
		/* O_DIRECT reads at multiples only; a short read is the end. */
		if (at % READ_ALIGN != 0)
			r = 0;
		else
			r = io->pread(fd, b, READ_CHUNK, (off_t)at);
		if (r == -1)
			return (-1);
		if (r == 0) {
			errno = EBADMSG;
			return (-1);
		}
		if ((uint64_t)r > len - at)
			r = (ssize_t)(len - at);
		if (EVP_DigestUpdate(ctx, b, (size_t)r) != 1 ||
		    (to != -1 && jio_write_all(io, to, b, (size_t)r) == -1))
			return (-1);
		at += (uint64_t)r;
	}
	return (0);
}

int
journal_hash_file(const struct jio *io, int fd, uint64_t len, int to,
    uint8_t out[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	void *b = NULL;
	int r = -1;

	if (ctx == NULL || posix_memalign(&b, READ_ALIGN, READ_CHUNK) != 0 ||
	    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
		b = NULL;
		errno = ENOMEM;
	} else
		r = read_through(io, fd, len, to, b, ctx);
	if (r == 0 && EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		r = -1;
	free(b);
	EVP_MD_CTX_free(ctx);
	return (r);
}

static void
hash_expected(const struct journal *j, uint8_t out[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_MD_CTX_copy_ex(ctx, j->sum) != 1 ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		fatalx("journal: SHA-256 failed");
	EVP_MD_CTX_free(ctx);
}

/* The committed bytes to `to`; -1 also when they are not what they were. */
static int
copy_committed(struct journal *j, int to)
{
	uint8_t want[32], have[32];
	int fd, r;

	if ((fd = open_committed(j)) == -1) {
		journal_fail(j, JOURNAL_VERIFY, "open to read back");
		return (-1);
	}
	r = journal_hash_file(j->io, fd, journal_active(j)->committed, to,
	    have);
	if (fd != j->fd)
		(void)j->io->close(fd);
	if (r == -1 && errno != EBADMSG) {
		journal_fail(j, JOURNAL_VERIFY, "copy of what was committed");
		return (-1);
	}
	hash_expected(j, want);
	if (r == 0 && memcmp(want, have, sizeof(want)) == 0)
		return (0);
	errno = EBADMSG;
	journal_fail(j, JOURNAL_DAMAGED, "committed lines are not on the disk");
	return (-1);
}

/* All of its space at once, so that a full disk is not filled to the brim with
 * a part of it, over and over. */
static int
reserve_copy(struct journal *j, int fd)
{
	int r;

	do
		r = j->io->fallocate(fd, FALLOC_FL_KEEP_SIZE, 0,
		    (off_t)journal_active(j)->committed);
	while (r == -1 && errno == EINTR);
	if (r == 0 || (errno != ENOSPC && errno != EDQUOT))
		return (0); /* the write will tell */
	journal_fail(j, JOURNAL_VERIFY, "space for a copy");
	return (-1);
}

/* A new file every time: also this one's fsync may have failed. */
static int
write_copy(struct journal *j)
{
	int fd, r;

	if (j->io->unlinkat(j->dirfd, JOURNAL_COPY, 0) == -1 &&
	    errno != ENOENT) {
		journal_fail(j, JOURNAL_VERIFY, "unlink of a copy");
		return (-1);
	}
	fd = j->io->openat(j->dirfd, JOURNAL_COPY,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1) {
		journal_fail(j, JOURNAL_VERIFY, "create a copy");
		return (-1);
	}
	if ((r = reserve_copy(j, fd)) == 0 &&
	    (r = copy_committed(j, fd)) == 0 && (r = j->io->fsync(fd)) == -1)
		journal_fail(j, JOURNAL_VERIFY, "fsync of a copy");
	(void)j->io->close(fd);
	if (r == -1) /* its space may be what the disk is short of */
		(void)j->io->unlinkat(j->dirfd, JOURNAL_COPY, 0);
	return (r);
}

static int
step_verify(struct journal *j)
{
	struct segment *s = journal_active(j);
	char name[sizeof(s->name)];

	if (s->committed == 0) {
		/* Nothing to save; but what lies there is not ours to
		 * remove. */
		if (j->found != NULL && journal_retire(j, s->num) == -1) {
			journal_fail(j, JOURNAL_VERIFY,
			    "putting the file aside");
			return (-1);
		}
		j->state = JOURNAL_MOVE;
		return (0);
	}
	if (write_copy(j) == -1)
		return (-1);
	segment_name(name, sizeof(name), JOURNAL_ARCHIVE, s->num, ax_real_us(),
	    "jsonl");
	if (j->io->renameat2(j->dirfd, JOURNAL_COPY, j->dirfd, name,
		RENAME_NOREPLACE) == -1) {
		journal_fail(j, JOURNAL_VERIFY, "rename of a copy");
		return (-1);
	}
	memcpy(s->name, name, sizeof(name));
	memcpy(j->moved, name, sizeof(name));
	j->state = JOURNAL_RETIRE;
	return (0);
}

static int
sync_folders(struct journal *j)
{
	if (jio_sync_dir(j->io, j->dirfd, JOURNAL_ARCHIVE) == -1)
		return (-1);
	return (jio_sync_dir(j->io, j->dirfd, "."));
}

int
journal_retire(struct journal *j, uint64_t num)
{
	char name[112];

	/* The copy first, for good; only then the file may go. */
	if (jio_sync_dir(j->io, j->dirfd, JOURNAL_ARCHIVE) == -1)
		return (-1);
	segment_name(name, sizeof(name), JOURNAL_RECOVERED, num, ax_real_us(),
	    j->found != NULL ? "found.jsonl" : "failed.jsonl");
	/* ENOENT: it went with an earlier try, or somebody removed it. */
	if (j->io->renameat2(j->dirfd, JOURNAL_NAME, j->dirfd, name,
		RENAME_NOREPLACE) == 0)
		(void)ax_strlcpy(j->kept, name, sizeof(j->kept));
	else if (errno != ENOENT)
		return (-1);
	if (jio_sync_dir(j->io, j->dirfd, JOURNAL_RECOVERED) == -1)
		return (-1);
	return (jio_sync_dir(j->io, j->dirfd, "."));
}

/* Renames the active file into the archive, never over another. */
static int
put_aside(struct journal *j)
{
	struct segment *s = journal_active(j);
	char name[sizeof(s->name)];

	segment_name(name, sizeof(name), JOURNAL_ARCHIVE, s->num, ax_real_us(),
	    "jsonl");
	if (j->io->renameat2(j->dirfd, JOURNAL_NAME, j->dirfd, name,
		RENAME_NOREPLACE) == -1)
		return (-1);
	memcpy(s->name, name, sizeof(name));
	memcpy(j->moved, name, sizeof(name));
	return (0);
}

/* Opens the list's next row: the file itself comes in step_create(). */
static int
next_segment(struct journal *j)
{
	struct segment s = { .num = journal_active(j)->num + 1,
		.first_seq = j->durable + 1 };

	(void)snprintf(s.name, sizeof(s.name), JOURNAL_NAME);
	return (segment_add(&j->segs, &s));
}

static int
step_retire(struct journal *j)
{
	if (journal_retire(j, journal_active(j)->num) == -1) {
		journal_fail(j, JOURNAL_RETIRE,
		    "putting the failed file aside");
		return (-1);
	}
	if (j->fd != -1)
		(void)j->io->close(j->fd);
	j->fd = -1;
	if (next_segment(j) == -1) {
		journal_fail(j, JOURNAL_RETIRE, "list of segments");
		return (-1);
	}
	j->state = JOURNAL_CREATE;
	return (0);
}

static int
step_move(struct journal *j)
{
	struct segment *s = journal_active(j);

	/* A file without one committed line is evidence of nothing. */
	if (s->committed == 0) {
		if (j->io->unlinkat(j->dirfd, JOURNAL_NAME, 0) == -1 &&
		    errno != ENOENT) {
			journal_fail(j, JOURNAL_MOVE, "unlink");
			return (-1);
		}
	} else if (strcmp(s->name, JOURNAL_NAME) == 0 && put_aside(j) == -1) {
		journal_fail(j, JOURNAL_MOVE, "rename into the archive");
		return (-1);
	}
	if (j->fd != -1)
		(void)j->io->close(j->fd);
	j->fd = -1;
	if (sync_folders(j) == -1) {
		journal_fail(j, JOURNAL_MOVE, "fsync of the folder");
		return (-1);
	}
	if (s->committed != 0 && next_segment(j) == -1) {
		journal_fail(j, JOURNAL_MOVE, "list of segments");
		return (-1);
	}
	j->state = JOURNAL_CREATE;
	return (0);
}

int
journal_create(struct journal *j)
{
	if (j->fd == -1)
		j->fd = j->io->openat(j->dirfd, JOURNAL_NAME,
		    O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW |
			O_CLOEXEC,
		    0600);
	if (j->fd == -1 || jio_sync_dir(j->io, j->dirfd, ".") == -1)
		return (-1);
	if (EVP_DigestInit_ex(j->sum, EVP_sha256(), NULL) != 1)
		return (-1);
	journal_note_written(j);
	j->reserved = 0;
	j->rotate_at = j->conf.max_bytes;
	return (0);
}

static int
step_create(struct journal *j)
{
	if (journal_create(j) == -1 ||
	    journal_reserve(j, j->conf.reserve) == -1) {
		journal_fail(j, JOURNAL_CREATE, "new segment");
		return (-1);
	}
	j->state = JOURNAL_OK;
	return (0);
}

/* ---- the record of it ---- */

/* The first line after an outage tells of it. */
static int
record_outage(struct journal *j)
{
	const struct line *l;
	struct event e;
	int r = -1;

	if (j->found != NULL)
		event_begin(&e, "journal_replaced", "WARNED", RISK_REPLACED);
	else
		event_begin(&e, "audit_unavailable", "WARNED", 70);
	e.line.reason = j->why;
	jw_kstr(&e.ctx, "archived", j->moved[0] != '\0' ? j->moved : NULL);
	if (j->found != NULL) {
		jw_kstr(&e.ctx, "found", j->found);
		jw_kstr(&e.ctx, "kept_in", j->kept[0] != '\0' ? j->kept : NULL);
	}
	jw_kuint(&e.ctx, "refused_lines", j->refused);
	jw_key(&e.ctx, "seconds");
	jw_seconds3(&e.ctx, ax_mono_us() - j->down_since);
	jw_kuint(&e.ctx, "segment", journal_active(j)->num);
	if ((l = event_line(&e)) != NULL &&
	    journal_append(j, l, NULL, NULL) != 0)
		r = journal_commit(j);
	event_done(&e);
	return (r);
}

int
journal_repair(struct journal *j)
{
	static int (*const steps[])(struct journal *) = {
		[JOURNAL_CUT] = step_cut,
		[JOURNAL_VERIFY] = step_verify,
		[JOURNAL_RETIRE] = step_retire,
		[JOURNAL_MOVE] = step_move,
		[JOURNAL_CREATE] = step_create,
	};

	if (j->busy)
		fatalx("journal: repair inside a callback");
	if (j->state == JOURNAL_OK && j->down_since == 0)
		return (0);
	while (j->state != JOURNAL_OK) {
		if (j->state == JOURNAL_DAMAGED || steps[j->state](j) == -1)
			return (-1);
	}
	if (record_outage(j) == -1)
		return (-1);
	log_info("journal: open again after %.3f s (%s)",
	    (double)(ax_mono_us() - j->down_since) / 1e6, j->why);
	j->down_since = 0;
	j->refused = 0;
	j->moved[0] = '\0';
	j->kept[0] = '\0';
	j->found = NULL;
	j->why[0] = '\0';
	return (0);
}

/* ---- rotation ---- */

static void
record_rotation(struct journal *j)
{
	const struct line *l;
	struct event e;

	event_begin(&e, "journal_rotated", "APPROVED", 0);
	jw_kstr(&e.ctx, "archived", j->moved);
	jw_kuint(&e.ctx, "segment", journal_active(j)->num);
	/* Goes out with the next commit, or tells of the error by itself. */
	if ((l = event_line(&e)) != NULL)
		(void)journal_append(j, l, NULL, NULL);
	event_done(&e);
}

void
journal_rotate(struct journal *j)
{
	uint64_t size = journal_active(j)->committed;

	/* Not somebody else's file into the archive. */
	if (journal_watch(j) == -1)
		return;
	j->rotate_soon = false;
	/* Frees what is reserved behind the end; the lines stay. */
	(void)j->io->ftruncate(j->fd, (off_t)size);
	journal_note_written(j);
	j->reserved = 0;
	if (put_aside(j) == -1) {
		log_warn("journal: cannot rotate");
		j->rotate_at = size + j->conf.max_bytes / 16 + 1;
		return;
	}
	if (step_move(j) == -1 || step_create(j) == -1)
		return;
	j->stats.rotations++;
	log_info("journal: rotated to %s", j->moved);
	record_rotation(j);
	j->moved[0] = '\0';
}
