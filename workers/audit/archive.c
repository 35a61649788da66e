/* SPDX-License-Identifier: ISC */
/*
 * See archive.h. The plain file is the truth until the compressed one has
 * proven to hold the same bytes and is durable under its own name; every
 * failure before that removes the compressed one and leaves the plain one
 * alone. Must never unlink a plain segment on somebody's word, and never hold
 * up the gate for longer than a commit does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "common/zread.h"
#include "workers/audit/archive.h"

#define SLICE	    (256u << 10)
#define PAUSE_MS    2
#define RETRY_FIRST 10000000u	/* us */
#define RETRY_MAX   1200000000u /* us */
#define ANSWER_MAX  700000000u	/* us; the parent's limit is shorter */
#define PATH_SIZE   112

struct archive {
	const struct archive_ops *ops;
	void *arg;
	struct journal *journal;
	const struct jio *io;
	int dirfd;
	struct metrics_slot *slot;

	void (*step)(struct archive *); /* NULL: waits for the archiver */
	bool busy;
	uint64_t segment, size, file_size, asked;
	char plain[PATH_SIZE], zst[PATH_SIZE], part[PATH_SIZE];
	bool named; /* the file is `zst`, not `part` */
	int in, out;
	struct zread *text; /* of out */
	uint64_t at;

	uint64_t delay, not_before;
	char *a, *b; /* SLICE each */
};

static void sync_part(struct archive *);
static void compare(struct archive *);
static void publish(struct archive *);
static void remove_plain(struct archive *);

struct archive *
archive_new(const struct archive_ops *ops, void *arg, struct journal *j,
    const struct jio *io, int dirfd, struct metrics_slot *slot)
{
	struct archive *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return (NULL);
	v->ops = ops;
	v->arg = arg;
	v->journal = j;
	v->io = io;
	v->dirfd = dirfd;
	v->slot = slot;
	v->in = v->out = -1;
	return (v);
}

static void
let_go(struct archive *v)
{
	if (v->in != -1)
		(void)v->io->close(v->in);
	if (v->out != -1)
		(void)v->io->close(v->out);
	v->in = v->out = -1;
	zread_free(v->text);
	v->text = NULL;
	free(v->a);
	free(v->b);
	v->a = v->b = NULL;
	v->busy = false;
	v->step = NULL;
}

void
archive_free(struct archive *v)
{
	if (v == NULL)
		return;
	let_go(v);
	free(v);
}

/* Certainly there, under its name. */
static bool
has_plain(const struct archive *v)
{
	struct stat st;

	return (
	    v->io->fstatat(v->dirfd, v->plain, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode));
}

/* The segment stays plain; tried again later, and later still. */
static void
give_up(struct archive *v, const char *what, const char *why)
{
	const char *name = v->named ? v->zst : v->part;

	log_warnx("archive: %s stays as it is: %s: %s", v->plain, what, why);
	if (v->named && !has_plain(v))
		log_warnx("archive: %s is kept: it may be the only one", name);
	else if (v->io->unlinkat(v->dirfd, name, 0) == -1 && errno != ENOENT)
		log_warn("archive: %s", name);
	let_go(v);
	metric_inc(v->slot, MC_ARCHIVE_FAILURES);
	v->delay = v->delay == 0 ? RETRY_FIRST : v->delay * 2;
	if (v->delay > RETRY_MAX)
		v->delay = RETRY_MAX;
	v->not_before = ax_mono_us() + v->delay;
}

/* ---- asking ---- */

/* The oldest closed segment that is plain and covered; NULL: none. */
static const struct segment *
candidate(const struct archive *v, uint64_t covered)
{
	const struct segment *s, *next;
	size_t i, n = journal_nsegments(v->journal);

	for (i = 0; i + 1 < n; i++) {
		s = journal_segment(v->journal, i);
		next = journal_segment(v->journal, i + 1);
		if (next->first_seq == 0 || next->first_seq - 1 > covered)
			return (NULL);
		if (!zread_is_zstd(s->name))
			return (s);
	}
	return (NULL);
}

static int
set_names(struct archive *v, const struct segment *s)
{
	const char *base = strrchr(s->name, '/');
	int n;

	if (base == NULL)
		return (-1);
	(void)ax_strlcpy(v->plain, s->name, sizeof(v->plain));
	n = snprintf(v->zst, sizeof(v->zst), "%s.zst", s->name);
	if (n >= (int)sizeof(v->zst))
		return (-1);
	n = snprintf(v->part, sizeof(v->part), "%.*s/.%s.zst.part",
	    (int)(base - s->name), s->name, base + 1);
	return (n < (int)sizeof(v->part) ? 0 : -1);
}

/* A new file every time: nobody else can have it open. */
static int
open_files(struct archive *v)
{
	v->in = v->io->openat(v->dirfd, v->plain,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (v->in == -1 ||
	    (v->io->unlinkat(v->dirfd, v->part, 0) == -1 && errno != ENOENT))
		return (-1);
	v->out = v->io->openat(v->dirfd, v->part,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return (v->out == -1 ? -1 : 0);
}

static int
ask(struct archive *v)
{
	int in, out;

	in = fcntl(v->in, F_DUPFD_CLOEXEC, 4);
	out = fcntl(v->out, F_DUPFD_CLOEXEC, 4);
	if (in != -1 && out != -1)
		return (v->ops->request(v->arg, v->segment, in, out));
	if (in != -1)
		(void)v->io->close(in);
	if (out != -1)
		(void)v->io->close(out);
	return (-1);
}

/* An operator has put it away: those behind it must not wait for it. */
static void
pass_over(struct archive *v)
{
	log_info("archive: %s is not there any more", v->plain);
	journal_archived(v->journal, v->segment, v->zst);
	let_go(v);
}

static void
begin(struct archive *v, const struct segment *s)
{
	if (set_names(v, s) == -1) {
		v->not_before = ax_mono_us() + RETRY_MAX;
		return;
	}
	v->busy = true;
	v->named = false;
	v->step = NULL;
	v->segment = s->num;
	v->size = s->committed;
	v->asked = ax_mono_us();
	if (open_files(v) == -1 && v->in == -1 && errno == ENOENT)
		pass_over(v);
	else if (v->in == -1 || v->out == -1)
		give_up(v, "open", strerror(errno));
	else if (ask(v) == -1)
		give_up(v, "asking for it", strerror(errno));
}

void
archive_tick(struct archive *v, bool on, uint64_t covered)
{
	const struct segment *s;
	uint64_t now = ax_mono_us();

	if (v->busy) {
		if (v->step == NULL && now - v->asked > ANSWER_MAX)
			give_up(v, "archiver", "no answer");
		return;
	}
	if (!on || now < v->not_before ||
	    journal_state(v->journal) != JOURNAL_OK)
		return;
	if ((s = candidate(v, covered)) != NULL)
		begin(v, s);
}

/* ---- what came of it ---- */

static void
next(struct archive *v, void (*step)(struct archive *), unsigned ms)
{
	v->step = step;
	v->ops->later(v->arg, ms);
}

int
archive_answer(struct archive *v, uint64_t segment, bool ok, uint64_t text,
    uint64_t file, const char *error)
{
	if (!v->busy || v->step != NULL || segment != v->segment)
		return (-1);
	v->file_size = file;
	if (!ok)
		give_up(v, "archiver", error);
	else if (text != v->size)
		give_up(v, "archiver", "it compressed another length");
	else
		next(v, sync_part, 0);
	return (0);
}

void
archive_step(struct archive *v)
{
	if (v->busy && v->step != NULL)
		v->step(v);
}

/* The archiver has done that; if so, it costs nothing. */
static void
sync_part(struct archive *v)
{
	struct stat st;

	if (v->io->fsync(v->out) == -1 || v->io->fstat(v->out, &st) == -1) {
		give_up(v, "fsync", strerror(errno));
		return;
	}
	v->text = zread_open(v->out, true, v->io->pread);
	v->a = malloc(SLICE);
	v->b = malloc(SLICE);
	if (v->text == NULL || v->a == NULL || v->b == NULL)
		give_up(v, "read back", strerror(errno));
	else if (zread_size(v->text) != v->size ||
	    (uint64_t)st.st_size != v->file_size)
		give_up(v, "read back", "not the length it should have");
	else {
		v->at = 0;
		next(v, compare, PAUSE_MS);
	}
}

static int
read_plain(const struct archive *v, size_t n)
{
	size_t have = 0;
	ssize_t r;

	while (have < n) {
		r = v->io->pread(v->in, v->a + have, n - have,
		    (off_t)(v->at + have));
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (r == 0)
				errno = EBADMSG;
			return (-1);
		}
		have += (size_t)r;
	}
	return (0);
}

static void
compare(struct archive *v)
{
	uint64_t left = v->size - v->at;
	size_t n = left < SLICE ? (size_t)left : SLICE;
	ssize_t r;

	if (read_plain(v, n) == -1 ||
	    (r = zread_read(v->text, v->b, n)) == -1) {
		give_up(v, "read back", strerror(errno));
		return;
	}
	if ((size_t)r != n || memcmp(v->a, v->b, n) != 0) {
		give_up(v, "read back", "it holds another text");
		return;
	}
	v->at += n;
	next(v, v->at < v->size ? compare : publish, PAUSE_MS);
}

static void
publish(struct archive *v)
{
	if (v->io->renameat2(v->dirfd, v->part, v->dirfd, v->zst,
		RENAME_NOREPLACE) == -1) {
		give_up(v, v->zst, strerror(errno));
		return;
	}
	v->named = true;
	if (jio_sync_dir(v->io, v->dirfd, JOURNAL_ARCHIVE) == -1)
		give_up(v, "fsync of the folder", strerror(errno));
	else
		next(v, remove_plain, PAUSE_MS);
}

static void
remove_plain(struct archive *v)
{
	int saved;

	if (v->io->unlinkat(v->dirfd, v->plain, 0) == -1 && errno != ENOENT) {
		saved = errno;
		if (has_plain(v)) {
			give_up(v, "unlink", strerror(saved));
			return;
		}
	}
	/* Gone, by whomever: then what we have is the only one. */
	/* A power cut may bring it back: then it counts, and so on again. */
	if (jio_sync_dir(v->io, v->dirfd, JOURNAL_ARCHIVE) == -1)
		log_warn("archive: fsync of the folder");
	journal_archived(v->journal, v->segment, v->zst);
	log_info("archive: %s, %" PRIu64 " bytes of %" PRIu64, v->zst,
	    v->file_size, v->size);
	metric_inc(v->slot, MC_ARCHIVED);
	v->delay = v->not_before = 0;
	let_go(v);
	v->ops->replaced(v->arg, v->segment);
}
