/* SPDX-License-Identifier: ISC */
/*
 * The start of the journal: which segments there are, whether their lines are
 * whole and follow one another, and what to do with a torn end. Bytes behind
 * the last valid line are kept under recovered/ and cut; anything else that is
 * wrong stops the start, because an operator must see it. Must never cut a
 * valid line.
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
#include "workers/audit/jproof.h"

#define COPY_CHUNK 65536

struct scan {
	struct journal *j;
	journal_visit visit;
	void *arg;
	uint64_t expect; /* seq of the next line; 0: whatever it is */
	bool hash;	 /* into j->sum */
	bool shape;	 /* stopped at a line that is none */
	struct jproof proof;
	const char *name; /* of the segment that is scanned */
	char *err;
	size_t errlen;
};

static int
scan_line(void *arg, const char *s, size_t n, uint64_t at)
{
	struct scan *sc = arg;
	struct line_view v;

	if (line_parse(s, n, &v) == -1) {
		sc->shape = true;
		return (-1);
	}
	if (sc->expect != 0 && v.seq != sc->expect) {
		(void)snprintf(sc->err, sc->errlen,
		    "byte %" PRIu64 ": line "
		    "%" PRIu64 " where line %" PRIu64 " belongs",
		    at, v.seq, sc->expect);
		sc->proof.failed = jproof_covers(&sc->proof, sc->expect);
		return (-1);
	}
	if (jproof_line(&sc->proof, sc->name, at, s, n, sc->err, sc->errlen) ==
	    -1)
		return (-1);
	sc->expect = v.seq + 1;
	if (v.seq >= sc->j->conf.replay_from && sc->visit != NULL &&
	    sc->visit(sc->arg, &v) == -1) {
		(void)snprintf(sc->err, sc->errlen,
		    "byte %" PRIu64 ": line "
		    "%" PRIu64 " cannot be taken in",
		    at, v.seq);
		return (-1);
	}
	/* s is followed by its newline. */
	if (sc->hash && EVP_DigestUpdate(sc->j->sum, s, n + 1) != 1)
		return (-1);
	return (0);
}

static int
is_line(void *arg, const char *s, size_t n, uint64_t at)
{
	struct line_view v;

	(void)at;
	if (line_parse(s, n, &v) == -1)
		return (0);
	*(bool *)arg = true;
	return (-1);
}

/* Is there a valid line behind the broken place at `at`? */
static bool
line_behind(const struct journal *j, uint64_t at, uint64_t size)
{
	bool found = false;
	uint64_t stop = at;
	int r;

	/* A ragged stretch is longer than a line: look behind it. */
	while ((r = segment_scan(j->io, j->fd, at, size, is_line, &found,
		    &stop)) == SCAN_RAGGED &&
	    size - stop > LINE_MAX_BYTES)
		at = stop + LINE_MAX_BYTES;
	return (found || r == SCAN_ERROR);
}

/* ---- the torn end ---- */

static int
copy_bytes(const struct jio *io, int from, uint64_t at, uint64_t end, int to)
{
	char *b = malloc(COPY_CHUNK);
	ssize_t r = 0;

	while (b != NULL && at < end) {
		r = io->pread(from, b,
		    end - at < COPY_CHUNK ? (size_t)(end - at) : COPY_CHUNK,
		    (off_t)at);
		if (r <= 0 || jio_write_all(io, to, b, (size_t)r) == -1)
			break;
		at += (uint64_t)r;
	}
	free(b);
	return (at == end ? 0 : -1);
}

static int
keep_tail(struct journal *j, uint64_t at, uint64_t size)
{
	const struct jio *io = j->io;
	char name[128];
	int fd, r;

	(void)snprintf(name, sizeof(name),
	    JOURNAL_RECOVERED "/security_audit.%08" PRIu64 ".%" PRIu64
			      ".%" PRIu64 ".tail",
	    journal_active(j)->num, at, ax_real_us());
	fd = io->openat(j->dirfd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return (-1);
	r = copy_bytes(io, j->fd, at, size, fd);
	if (r == 0)
		r = io->fsync(fd);
	(void)io->close(fd);
	if (r == 0)
		r = jio_sync_dir(io, j->dirfd, JOURNAL_RECOVERED);
	if (r == 0) {
		log_warnx("journal: %" PRIu64 " bytes behind the last line "
			  "are kept in %s",
		    size - at, name);
		(void)ax_strlcpy(j->moved, name, sizeof(j->moved));
	}
	return (r);
}

static int
cut_tail(struct scan *sc, uint64_t at, uint64_t size)
{
	struct journal *j = sc->j;

	if (jproof_covers(&sc->proof, sc->expect != 0 ? sc->expect : 1)) {
		(void)snprintf(sc->err, sc->errlen,
		    "byte %" PRIu64 ": not a line, but a checkpoint covers "
		    "line %" PRIu64 ": archillxctl audit verify tells more",
		    at, sc->expect != 0 ? sc->expect : 1);
		sc->proof.failed = true;
		return (-1);
	}
	if (line_behind(j, at, size)) {
		(void)snprintf(sc->err, sc->errlen,
		    "byte %" PRIu64 ": not a "
		    "line, and valid lines follow: the journal is damaged in "
		    "the middle",
		    at);
		return (-1);
	}
	if (keep_tail(j, at, size) == -1 ||
	    j->io->ftruncate(j->fd, (off_t)at) == -1 ||
	    j->io->fdatasync(j->fd) == -1) {
		(void)snprintf(sc->err, sc->errlen, "cutting a torn end: %s",
		    strerror(errno));
		return (-1);
	}
	journal_note_written(j);
	j->cut_bytes = size - at;
	return (0);
}

static void
record_cut(struct journal *j)
{
	const struct line *l;
	struct event e;

	event_begin(&e, "journal_recovered", "WARNED", 40);
	e.line.reason = "bytes behind the last valid line were put aside";
	jw_kuint(&e.ctx, "bytes", j->cut_bytes);
	jw_kstr(&e.ctx, "kept_in", j->moved);
	if ((l = event_line(&e)) != NULL)
		(void)journal_append(j, l, NULL, NULL);
	event_done(&e);
	j->moved[0] = '\0';
}

/* ---- segments ---- */

/* An error within one segment gets the segment's name in front. */
static int
name_error(struct scan *sc, const struct segment *s)
{
	char text[400];

	(void)ax_strlcpy(text, sc->err, sizeof(text));
	(void)snprintf(sc->err, sc->errlen, "%s: %s", s->name, text);
	return (-1);
}

static int
scan_closed(struct scan *sc, const struct segment *s)
{
	uint64_t at;
	int r;

	sc->shape = false;
	sc->name = s->name;
	r = segment_scan_closed(sc->j->io, sc->j->dirfd, s, scan_line, sc, &at);
	if (r == SCAN_END)
		return (0);
	if (r == SCAN_ERROR)
		(void)snprintf(sc->err, sc->errlen, "%s", segment_error(errno));
	else if (r == SCAN_RAGGED || sc->shape) {
		(void)snprintf(sc->err, sc->errlen,
		    "byte %" PRIu64 ": not a "
		    "journal line",
		    at);
		sc->proof.failed = jproof_covers(&sc->proof, sc->expect);
	}
	return (name_error(sc, s));
}

static int
scan_active(struct scan *sc, uint64_t size)
{
	struct journal *j = sc->j;
	struct segment *s = journal_active(j);
	uint64_t at;
	int r;

	sc->shape = false;
	sc->name = s->name;
	sc->hash = true;
	r = segment_scan(j->io, j->fd, 0, size, scan_line, sc, &at);
	if (r == SCAN_ERROR)
		(void)snprintf(sc->err, sc->errlen, "%s", strerror(errno));
	if (r == SCAN_ERROR || (r == SCAN_STOPPED && !sc->shape))
		return (name_error(sc, s));
	if (r != SCAN_END && cut_tail(sc, at, size) == -1)
		return (name_error(sc, s));
	s->committed = at;
	return (0);
}

/*
 * Opens the active file. What an earlier life wrote is made durable first and
 * then dropped from the cache, so that what is read is what the disk has.
 */
static int
open_active(struct journal *j, uint64_t *size, char *err, size_t errlen)
{
	struct stat st;

	j->fd = j->io->openat(j->dirfd, JOURNAL_NAME,
	    O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0);
	if (j->fd == -1 && errno == ENOENT) {
		*size = 0;
		if (journal_create(j) == 0)
			return (0);
		(void)snprintf(err, errlen, "creating " JOURNAL_NAME ": %s",
		    strerror(errno));
		return (-1);
	}
	if (j->fd == -1 || j->io->fstat(j->fd, &st) == -1 ||
	    j->io->fdatasync(j->fd) == -1) {
		(void)snprintf(err, errlen, JOURNAL_NAME ": %s",
		    strerror(errno));
		return (-1);
	}
	if (!S_ISREG(st.st_mode)) {
		(void)snprintf(err, errlen,
		    JOURNAL_NAME ": not a regular file");
		return (-1);
	}
	(void)posix_fadvise(j->fd, 0, 0, POSIX_FADV_DONTNEED);
	*size = (uint64_t)st.st_size;
	journal_note_written(j);
	if (EVP_DigestInit_ex(j->sum, EVP_sha256(), NULL) != 1)
		return (-1);
	return (0);
}

static int
load_segments(struct journal *j, uint64_t *size, char *err, size_t errlen)
{
	struct segment s = { .num = 1 };
	struct segment *a;
	size_t i;

	if (segment_list_load(&j->segs, j->io, j->dirfd, err, errlen) == -1)
		return (-1);
	for (i = 0; i < j->segs.n; i++) {
		a = &j->segs.v[i];
		a->first_seq = segment_closed_first_seq(j->io, j->dirfd, a);
		if (a->first_seq == 0) {
			(void)snprintf(err, errlen,
			    "%s: its first line is "
			    "not a journal line",
			    a->name);
			return (-1);
		}
		s.num = a->num + 1;
	}
	(void)snprintf(s.name, sizeof(s.name), JOURNAL_NAME);
	if (segment_add(&j->segs, &s) == -1 ||
	    open_active(j, size, err, errlen) == -1)
		return (-1);
	if (*size > 0)
		journal_active(j)->first_seq =
		    segment_first_seq(j->io, j->fd, *size);
	return (0);
}

/*
 * The process died while it replaced a file whose fdatasync had failed: the
 * archive has the copy already, and the file still lies there. What of it was
 * committed is the same; the rest was refused.
 */
static int
finish_replacement(struct journal *j, uint64_t *size, char *err, size_t errlen)
{
	struct segment *old, *s = journal_active(j);
	uint8_t a[32], b[32];
	int fd, r;

	if (j->segs.n < 2 || s->first_seq == 0)
		return (0);
	old = s - 1;
	if (old->first_seq != s->first_seq)
		return (0);
	if ((fd = journal_segment_fd(j, j->segs.n - 2)) == -1)
		return (-1);
	r = journal_hash_file(j->io, fd, old->committed, -1, a);
	(void)j->io->close(fd);
	if (r == 0)
		r = journal_hash_file(j->io, j->fd, old->committed, -1, b);
	if (r == -1 || memcmp(a, b, sizeof(a)) != 0) {
		(void)snprintf(err, errlen,
		    "%s and %s begin with the same "
		    "line and are not the same",
		    old->name, s->name);
		return (-1);
	}
	log_warnx("journal: finishes the replacement by %s", old->name);
	(void)j->io->close(j->fd);
	j->fd = -1;
	*size = 0;
	s->first_seq = 0;
	if (journal_retire(j, old->num) == -1 || journal_create(j) == -1) {
		(void)snprintf(err, errlen, "replacing " JOURNAL_NAME ": %s",
		    strerror(errno));
		return (-1);
	}
	return (0);
}

/* The last segment that begins at or before replay_from; the first: 0. */
static size_t
where_to_begin(const struct journal *j)
{
	size_t i, start = 0;

	for (i = 0; i < j->segs.n; i++) {
		if (j->segs.v[i].first_seq != 0 &&
		    j->segs.v[i].first_seq <= j->conf.replay_from)
			start = i;
	}
	return (start);
}

static int
make_folders(const struct journal *j, char *err, size_t errlen)
{
	static const char *const names[] = { JOURNAL_ARCHIVE,
		JOURNAL_RECOVERED };
	size_t i;

	for (i = 0; i < AX_NELEM(names); i++) {
		if (j->io->mkdirat(j->dirfd, names[i], 0700) == -1 &&
		    errno != EEXIST) {
			(void)snprintf(err, errlen, "%s: %s", names[i],
			    strerror(errno));
			return (-1);
		}
	}
	return (0);
}

/* The segments from `start` on, and the checkpoint with them. */
static int
scan_all(struct scan *sc, size_t start, uint64_t size)
{
	struct journal *j = sc->j;
	size_t i;

	sc->expect = j->segs.v[start].first_seq;
	if (sc->expect > 1 && start == 0)
		log_warnx("journal: begins at line %" PRIu64 ": older "
			  "segments are not here",
		    sc->expect);
	for (i = start; i + 1 < j->segs.n; i++) {
		if (scan_closed(sc, &j->segs.v[i]) == -1)
			return (-1);
	}
	if (scan_active(sc, size) == -1)
		return (-1);
	return (jproof_end(&sc->proof, sc->err, sc->errlen));
}

int
journal_recover(struct journal *j, journal_visit visit, void *arg, char *err,
    size_t errlen)
{
	struct scan sc = { .j = j,
		.visit = visit,
		.arg = arg,
		.err = err,
		.errlen = errlen };
	uint64_t size = 0;
	size_t start;
	int r;

	(void)snprintf(err, errlen, "out of memory");
	if (make_folders(j, err, errlen) == -1 ||
	    journal_tidy_archive(j, err, errlen) == -1 ||
	    load_segments(j, &size, err, errlen) == -1)
		return (-1);
	if (finish_replacement(j, &size, err, errlen) == -1)
		return (-1);
	start = where_to_begin(j);
	r = jproof_open(&sc.proof, j->io, j->dirfd, err, errlen);
	if (r == 0)
		r = jproof_begin(&sc.proof, &j->segs, &start, err, errlen);
	if (r == 0)
		r = scan_all(&sc, start, size);
	jproof_close(&sc.proof);
	if (r == -1) {
		if (sc.proof.failed)
			errno = ENOTRECOVERABLE;
		return (-1);
	}
	j->next_seq = sc.expect != 0 ? sc.expect : 1;
	j->durable = j->next_seq - 1;
	if (journal_active(j)->committed == 0)
		journal_active(j)->first_seq = j->next_seq;
	if (j->cut_bytes > 0)
		record_cut(j);
	return (0);
}
