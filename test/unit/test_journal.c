/* SPDX-License-Identifier: ISC */
/*
 * The journal: commit, recovery at every place it can be torn, and each error
 * a disk can give, one call at a time. What must hold after each of them: every
 * line that was promised is there, in order, once; no line that was refused is.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/merkle.h"
#include "common/util.h"
#include "workers/audit/jfault.h"
#include "workers/audit/journal.h"

struct box {
	char path[64];
	int dirfd;
	struct journal_conf conf;
	char err[300];
	/* promised[i]: line number of `text` i+1 */
	uint64_t ok, refused, last_seq;
	/* found by recovery */
	uint64_t visited, first_visited;
	bool gap;
};

static int
set_up(void **state)
{
	struct box *x = calloc(1, sizeof(*x));
	char err[100];

	snprintf(x->path, sizeof(x->path), "/tmp/ax-journal-XXXXXX");
	assert_non_null(mkdtemp(x->path));
	x->dirfd = open(x->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(x->dirfd, -1);
	x->conf.io = &jio_fault;
	x->conf.dirfd = x->dirfd;
	x->conf.node = "n";
	x->conf.reserve = 65536;
	x->conf.max_bytes = 1u << 30;
	assert_int_equal(jfault_set("", err, sizeof(err)), 0);
	*state = x;
	return (0);
}

static int
tear_down(void **state)
{
	struct box *x = *state;
	char cmd[100];

	close(x->dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", x->path);
	assert_int_equal(system(cmd), 0);
	free(x);
	return (0);
}

static void
faults(const char *spec)
{
	char err[100];

	if (jfault_set(spec, err, sizeof(err)) == -1)
		fail_msg("%s", err);
}

static int
visit(void *arg, const struct line_view *v)
{
	struct box *x = arg;

	if (x->visited == 0)
		x->first_visited = v->seq;
	else if (v->seq != x->last_seq + 1)
		x->gap = true;
	x->last_seq = v->seq;
	x->visited++;
	return (0);
}

static struct journal *
open_it(struct box *x)
{
	x->visited = 0;
	x->gap = false;
	return (journal_open(&x->conf, visit, x, x->err, sizeof(x->err)));
}

static struct journal *
must_open(struct box *x)
{
	struct journal *j = open_it(x);

	if (j == NULL)
		fail_msg("not opened: %s", x->err);
	assert_false(x->gap);
	return (j);
}

static void
told(void *arg, bool ok, uint64_t seq)
{
	struct box *x = arg;

	if (ok)
		x->ok++;
	else
		x->refused++;
}

static uint64_t
add(struct journal *j, struct box *x, const char *reason)
{
	struct line l = { .kind = LK_DECISION,
		.action = "test",
		.decision = "APPROVED",
		.reason = reason,
		.permit = PERMIT_IS_SEQ };

	return (journal_append(j, &l, told, x));
}

static void
add_n(struct journal *j, struct box *x, unsigned n)
{
	while (n-- > 0)
		assert_int_not_equal(add(j, x, "promised"), 0);
	assert_int_equal(journal_commit(j), 0);
}

static char *
slurp(struct box *x, const char *name, size_t *n)
{
	char *s = ax_read_file(x->dirfd, name, 1u << 24, n);

	assert_non_null(s);
	return (s);
}

static void
spill(struct box *x, const char *name, const char *s, size_t n)
{
	int fd = openat(x->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(ax_write_all(fd, s, n), 0);
	close(fd);
}

/* Closes, opens again, and holds the lines against what was promised. */
static struct journal *
reopen(struct journal *j, struct box *x)
{
	journal_close(j);
	jfault_forget();
	faults("");
	j = must_open(x);
	return (j);
}

/* ---- all is well ---- */

static void
nobody_is_told_before_the_sync(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);

	assert_int_equal(add(j, x, "a"), 1);
	assert_int_equal(add(j, x, "b"), 2);
	assert_int_equal(journal_pending(j), 2);
	assert_int_equal(x->ok, 0);
	assert_int_equal(journal_seq(j), 0);
	faults("");
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(jfault_calls("write"), 1);
	assert_int_equal(jfault_calls("fdatasync"), 1);
	assert_int_equal(x->ok, 2);
	assert_int_equal(journal_seq(j), 2);
	/* nothing to do, nothing done */
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(jfault_calls("fdatasync"), 1);
	j = reopen(j, x);
	assert_int_equal(x->visited, 2);
	assert_int_equal(journal_seq(j), 2);
	journal_close(j);
}

static void
append_within_callback(void *arg, bool ok, uint64_t seq)
{
	struct journal *j = arg;
	struct line l = { .kind = LK_OUTCOME,
		.action = "t",
		.decision = "APPROVED",
		.permit = seq };

	assert_true(ok);
	assert_int_equal(journal_append(j, &l, NULL, NULL), seq + 1);
}

static void
callbacks_may_append(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	struct line l = { .kind = LK_DECISION,
		.action = "t",
		.decision = "APPROVED" };

	assert_int_equal(journal_append(j, &l, append_within_callback, j), 1);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(journal_pending(j), 1);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(journal_seq(j), 2);
	journal_close(j);
}

static void
leaf_of_any_line(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	uint8_t a[32], b[32];
	char *s, *nl;
	size_t n;

	add_n(j, x, 3);
	s = slurp(x, JOURNAL_NAME, &n);
	nl = memchr(s, '\n', n);
	merkle_leaf(s, (size_t)(nl - s), a);
	assert_int_equal(journal_leaf_at(j, 1, b), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(journal_leaf_at(j, 3, b), 0);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(journal_leaf_at(j, 4, b), -1);
	assert_int_equal(journal_leaf_at(j, 0, b), -1);
	free(s);
	journal_close(j);
}

static void
rotation(void **state)
{
	struct box *x = *state;
	struct journal *j;
	uint8_t h[32];
	unsigned i;

	x->conf.max_bytes = 4000;
	j = must_open(x);
	for (i = 0; i < 60; i++)
		add_n(j, x, 1);
	assert_true(journal_nsegments(j) > 3);
	assert_int_equal(journal_commit(j), 0);
	for (i = 1; i <= journal_seq(j); i++)
		assert_int_equal(journal_leaf_at(j, i, h), 0);
	i = (unsigned)journal_seq(j);
	assert_true(i > 60); /* rotations are recorded */
	j = reopen(j, x);
	assert_int_equal(x->visited, i);
	journal_close(j);
	/* and from the middle: only what is asked for */
	x->conf.replay_from = 30;
	j = must_open(x);
	assert_int_equal(x->first_visited, 30);
	assert_int_equal(x->visited, i - 29);
	journal_close(j);
}

static void
a_missing_segment_is_seen(void **state)
{
	struct box *x = *state;
	struct journal *j;
	unsigned i;

	x->conf.max_bytes = 2000;
	j = must_open(x);
	for (i = 0; i < 40; i++)
		add_n(j, x, 1);
	assert_true(journal_nsegments(j) > 4);
	assert_int_equal(unlinkat(x->dirfd, journal_segment(j, 1)->name, 0), 0);
	journal_close(j);
	assert_null(open_it(x));
	assert_non_null(strstr(x->err, "missing"));
}

/* ---- recovery ---- */

static void
torn_at_every_byte(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	size_t n, cut, keep;
	char *s;

	add_n(j, x, 2);
	journal_close(j);
	s = slurp(x, JOURNAL_NAME, &n);
	for (cut = 0; cut <= n; cut++) {
		spill(x, JOURNAL_NAME, s, cut);
		j = must_open(x);
		for (keep = cut; keep > 0 && s[keep - 1] != '\n'; keep--)
			;
		assert_int_equal(journal_cut_bytes(j), cut - keep);
		assert_int_equal(x->visited, keep == 0 ? 0 : keep == n ? 2 : 1);
		add_n(j, x, 1);
		j = reopen(j, x);
		assert_int_equal(journal_cut_bytes(j), 0);
		journal_close(j);
	}
	free(s);
}

static void
what_is_cut_is_kept(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	char cmd[120];
	size_t n;
	char *s;

	add_n(j, x, 1);
	journal_close(j);
	s = slurp(x, JOURNAL_NAME, &n);
	s = realloc(s, n + 6);
	memcpy(s + n, "\0torn\n", 6);
	spill(x, JOURNAL_NAME, s, n + 6);
	j = must_open(x);
	assert_int_equal(journal_cut_bytes(j), 6);
	snprintf(cmd, sizeof(cmd), "grep -q torn %s/recovered/*.tail", x->path);
	assert_int_equal(system(cmd), 0);
	/* and recorded */
	assert_int_equal(journal_pending(j), 1);
	journal_close(j);
	free(s);
}

static void
damage_in_the_middle_stops(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	size_t n, i, len;
	char *s, keep;

	add_n(j, x, 3);
	journal_close(j);
	s = slurp(x, JOURNAL_NAME, &n);
	len = (size_t)((char *)memchr(s, '\n', n) - s);
	/* every byte of the first line but the digits of its time */
	for (i = 0; i <= len; i++) {
		keep = s[i];
		s[i] = '\x01';
		spill(x, JOURNAL_NAME, s, n);
		if (open_it(x) != NULL)
			fail_msg("byte %zu", i);
		s[i] = keep;
	}
	/* a line too much, a line too few */
	spill(x, JOURNAL_NAME, s, n);
	assert_int_equal(ax_write_all(openat(x->dirfd, JOURNAL_NAME,
					  O_WRONLY | O_APPEND),
			     s, len + 1),
	    0);
	assert_null(open_it(x));
	assert_non_null(strstr(x->err, "belongs"));
	memmove(s + len + 1, s + 2 * (len + 1), n - 2 * (len + 1));
	spill(x, JOURNAL_NAME, s, n - (len + 1));
	assert_null(open_it(x));
	free(s);
}

/* ---- errors, one call at a time ---- */

/* After any single fault: nothing lost, nothing refused is there. */
static void
one_fault(struct box *x, const char *spec, bool may_refuse)
{
	struct journal *j = must_open(x);
	uint64_t before;
	unsigned i, tries;

	x->ok = x->refused = 0;
	add_n(j, x, 3);
	before = journal_seq(j);
	faults(spec);
	add(j, x, "in doubt");
	add(j, x, "in doubt");
	(void)journal_commit(j);
	if (!may_refuse)
		assert_int_equal(x->refused, 0);
	assert_int_equal(x->ok + x->refused, 5);
	if (x->refused > 0) {
		assert_int_equal(journal_seq(j), before);
		assert_int_equal(add(j, x, "closed"), 0);
		assert_int_equal(errno, EAGAIN);
	}
	for (tries = 0; journal_repair(j) == -1 && tries < 20; tries++)
		;
	if (journal_state(j) != JOURNAL_OK)
		fail_msg("%s: not repaired: %s", spec, journal_why(j));
	for (i = 0; i < 3; i++)
		add_n(j, x, 2);
	before = journal_seq(j);
	j = reopen(j, x);
	assert_int_equal(journal_seq(j), before);
	assert_int_equal(x->visited, before);
	journal_close(j);
}

static void
single_faults(void **state)
{
	static const char *const errs[] = { "EIO", "ENOSPC", "EDQUOT", "EROFS",
		"EACCES" };
	static const char *const forms[] = {
		"op=write,err=%s",
		"op=fdatasync,err=%s",
		"op=write,short=100;op=write,nth=2,err=%s",
		"op=write,err=%s;op=ftruncate,err=%s",
		"op=write,err=%s;op=fdatasync,err=%s",
		"op=fdatasync,err=%s;op=open,err=%s",
		"op=fdatasync,err=%s;op=read,err=%s",
		"op=fdatasync,err=%s;op=rename,err=%s",
		"op=fdatasync,err=%s;op=fsync,err=%s",
		"op=fdatasync,err=%s;op=fsync,nth=2,err=%s",
		"op=fdatasync,err=%s;op=fsync,nth=3,err=%s",
		"op=fdatasync,err=%s;op=open,nth=2,err=%s",
		"op=fdatasync,err=%s;op=open,nth=4,err=%s",
		"op=fdatasync,err=%s;op=fallocate,err=%s",
		"op=fdatasync,count=3,err=%s",
		"op=write,count=5,err=%s",
		"op=fallocate,count=9,err=%s",
	};
	struct box *x = *state;
	char spec[200];
	size_t i, k;

	for (i = 0; i < AX_NELEM(forms); i++) {
		for (k = 0; k < AX_NELEM(errs); k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
			snprintf(spec, sizeof(spec), forms[i], errs[k],
			    errs[k]);
#pragma GCC diagnostic pop
			one_fault(x, spec, true);
		}
	}
}

static void
interrupted_and_short_writes_are_no_errors(void **state)
{
	struct box *x = *state;

	one_fault(x, "op=write,err=EINTR", false);
	one_fault(x, "op=write,short=1", false);
	one_fault(x, "op=write,short=1;op=write,nth=2,err=EINTR", false);
	one_fault(x, "op=fallocate,err=EINTR", false);
}

/* Even EINTR: nobody knows what became of the pages. */
static void
a_file_is_not_written_after_a_failed_sync(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	char cmd[120];
	size_t n, n2;
	char *s;

	add_n(j, x, 1);
	faults("op=fdatasync,err=EINTR");
	add(j, x, "refused");
	assert_int_equal(journal_commit(j), -1);
	assert_int_equal(journal_state(j), JOURNAL_VERIFY);
	assert_int_equal(jfault_calls("fdatasync"), 1);
	s = slurp(x, JOURNAL_NAME, &n);
	faults("");
	assert_int_equal(journal_repair(j), 0);
	assert_int_equal(journal_nsegments(j), 2);
	assert_int_equal(jfault_calls("ftruncate"), 0);
	free(s);
	/* the archive has what was committed and not a byte more */
	s = slurp(x, journal_segment(j, 0)->name, &n2);
	assert_true(journal_segment(j, 0)->committed == n2 && n2 < n);
	free(s);
	/* the file itself is kept as it is */
	snprintf(cmd, sizeof(cmd),
	    "grep -q refused %s/recovered/*.failed.jsonl", x->path);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(journal_seq(j), 2); /* what was refused has no seq */
	add_n(j, x, 1);
	j = reopen(j, x);
	assert_int_equal(x->visited, 3);
	journal_close(j);
}

/* Killed at every call of the replacement: the next start finishes it. */
static void
killed_while_replacing(void **state)
{
	static const char *const ops[] = { "open", "write", "fsync", "rename",
		"unlink", "fdatasync", "fallocate" };
	struct box *x = *state;
	uint64_t seq = 0;
	struct journal *j;
	char spec[60];
	int status;
	unsigned i, nth;
	pid_t pid;

	for (i = 0; i < AX_NELEM(ops) * 6; i++) {
		nth = 1 + i % 6;
		if ((pid = fork()) == 0) {
			j = open_it(x);
			if (j == NULL)
				_exit(9);
			add(j, x, "kept");
			if (journal_commit(j) == -1)
				_exit(8);
			faults("op=fdatasync,err=EIO");
			add(j, x, "refused");
			(void)journal_commit(j);
			snprintf(spec, sizeof(spec), "op=%s,nth=%u,kill=1",
			    ops[i / 6], nth);
			faults(spec);
			(void)journal_repair(j);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		faults("");
		j = must_open(x);
		assert_true(journal_seq(j) > seq);
		assert_int_equal(x->visited, journal_seq(j));
		seq = journal_seq(j);
		journal_close(j);
	}
}

static void
committed_lines_that_vanished_are_fatal(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	size_t n;
	char *s;

	add_n(j, x, 3);
	faults("op=fdatasync,err=EIO");
	add(j, x, "refused");
	assert_int_equal(journal_commit(j), -1);
	s = slurp(x, JOURNAL_NAME, &n);
	s[20] ^= 1;
	spill(x, JOURNAL_NAME, s, n);
	free(s);
	assert_int_equal(journal_repair(j), -1);
	assert_int_equal(journal_state(j), JOURNAL_DAMAGED);
	assert_int_equal(journal_repair(j), -1);
	journal_close(j);
}

static void
a_dropped_write_is_found(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);

	add_n(j, x, 1);
	faults("op=write,drop=1;op=fdatasync,nth=2,err=EIO");
	add_n(j, x, 1);
	add(j, x, "refused");
	assert_int_equal(journal_commit(j), -1);
	assert_int_equal(journal_repair(j), -1);
	assert_int_equal(journal_state(j), JOURNAL_DAMAGED);
	journal_close(j);
}

/* ---- space ---- */

static void
room_is_reserved(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);

	assert_int_equal(journal_room(j, 100000), 0);
	faults("op=fallocate,count=0,err=ENOSPC");
	/* what is reserved is still there, and no more than that */
	assert_int_equal(journal_room(j, 100000), 0);
	assert_int_equal(journal_room(j, 1u << 20), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(journal_state(j), JOURNAL_OK);
	add_n(j, x, 10);
	faults("");
	assert_int_equal(journal_room(j, 1u << 20), 0);
	journal_close(j);
	faults("op=fallocate,err=EOPNOTSUPP");
	j = must_open(x);
	assert_int_equal(journal_room(j, 1u << 20), 0);
	journal_close(j);
}

/* ---- power cuts ---- */

/* Writes for ever, telling the parent each promise, until the power goes. */
static void
victim(struct box *x, int out, unsigned nth)
{
	char spec[60];
	struct journal *j;
	uint64_t seq;

	snprintf(spec, sizeof(spec), "buffer=1;powercut=%u", nth);
	faults(spec);
	if ((j = open_it(x)) == NULL)
		_exit(9);
	for (;;) {
		add(j, x, "x");
		add(j, x, "y");
		if (journal_commit(j) == -1)
			_exit(8);
		seq = journal_seq(j);
		if (write(out, &seq, sizeof(seq)) != sizeof(seq))
			_exit(7);
	}
}

static void
power_cuts(void **state)
{
	struct box *x = *state;
	uint64_t seq, promised = 0;
	struct journal *j;
	int round, p[2], status;
	pid_t pid;

	for (round = 0; round < 60; round++) {
		assert_int_equal(pipe(p), 0);
		if ((pid = fork()) == 0)
			victim(x, p[1], 2 + (unsigned)round % 9);
		close(p[1]);
		while (read(p[0], &seq, sizeof(seq)) == sizeof(seq))
			promised = seq;
		close(p[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		faults("");
		j = must_open(x);
		assert_true(journal_seq(j) >= promised);
		if (journal_pending(j) > 0)
			assert_int_equal(journal_commit(j), 0);
		promised = journal_seq(j);
		journal_close(j);
	}
}

/* ---- compressed segments ---- */

/* Beside closed segment i, its text as one frame. */
static void
compress_segment(struct box *x, const struct journal *j, size_t i, char *zst)
{
	size_t n, room, len;
	char *text, *b;

	text = slurp(x, journal_segment(j, i)->name, &n);
	room = ZSTD_compressBound(n);
	assert_non_null(b = malloc(room));
	len = ZSTD_compress(b, room, text, n, 3);
	assert_false(ZSTD_isError(len));
	snprintf(zst, 120, "%s.zst", journal_segment(j, i)->name);
	spill(x, zst, b, len);
	free(text);
	free(b);
}

static bool
there(struct box *x, const char *name)
{
	return (faccessat(x->dirfd, name, F_OK, 0) == 0);
}

static void
segments_may_be_compressed(void **state)
{
	struct box *x = *state;
	char zst[2][120], plain[2][112];
	uint8_t a[32], b[32];
	struct journal *j;
	size_t i;

	x->conf.max_bytes = 2000;
	j = must_open(x);
	while (journal_nsegments(j) < 4)
		add_n(j, x, 1);
	assert_int_equal(journal_leaf_at(j, 3, a), 0);
	for (i = 0; i < 2; i++) {
		compress_segment(x, j, i, zst[i]);
		snprintf(plain[i], sizeof(plain[i]), "%s",
		    journal_segment(j, i)->name);
	}
	/* One switched over while running, one by the next start. */
	journal_archived(j, journal_segment(j, 0)->num, zst[0]);
	assert_int_equal(unlinkat(x->dirfd, plain[0], 0), 0);
	assert_int_equal(journal_leaf_at(j, 3, b), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(unlinkat(x->dirfd, plain[1], 0), 0);
	spill(x, "archive/.security_audit.x.jsonl.zst.part", "x", 1);
	spill(x, "archive/other.part", "x", 1);
	j = reopen(j, x);
	assert_int_equal(x->visited, journal_seq(j));
	assert_int_equal(x->first_visited, 1);
	assert_string_equal(journal_segment(j, 1)->name, zst[1]);
	assert_int_equal(journal_leaf_at(j, 3, b), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_false(there(x, "archive/.security_audit.x.jsonl.zst.part"));
	assert_true(there(x, "archive/other.part"));
	journal_close(j);
}

static void
the_plain_one_of_two_counts(void **state)
{
	struct box *x = *state;
	struct journal *j;
	char zst[120];
	uint64_t n;

	x->conf.max_bytes = 2000;
	j = must_open(x);
	while (journal_nsegments(j) < 3)
		add_n(j, x, 1);
	n = journal_seq(j);
	compress_segment(x, j, 1, zst);
	spill(x, zst, "half of i", 9);
	j = reopen(j, x);
	assert_true(journal_seq(j) >= n);
	assert_int_equal(x->first_visited, 1);
	assert_false(there(x, zst));
	journal_close(j);
}

/* Somebody unpacked it halfway: the compressed one is the evidence. */
static void
a_shorter_plain_one_stops(void **state)
{
	struct box *x = *state;
	struct journal *j;
	char zst[120], plain[112], *p;
	size_t n;

	x->conf.max_bytes = 2000;
	j = must_open(x);
	while (journal_nsegments(j) < 3)
		add_n(j, x, 1);
	compress_segment(x, j, 1, zst);
	snprintf(plain, sizeof(plain), "%s", journal_segment(j, 1)->name);
	journal_close(j);
	p = slurp(x, plain, &n);
	spill(x, plain, p, n / 2);
	assert_null(open_it(x));
	assert_non_null(strstr(x->err, zst));
	assert_non_null(strstr(x->err, "put away"));
	assert_true(there(x, zst));
	assert_int_equal(unlinkat(x->dirfd, plain, 0), 0);
	journal_close(must_open(x));
	free(p);
}

/* A copy that finds no space leaves none of it behind. */
static void
no_space_for_a_copy(void **state)
{
	struct box *x = *state;
	struct journal *j = must_open(x);
	const struct line l = { .kind = LK_EVENT,
		.action = "t",
		.decision = "APPROVED" };

	add_n(j, x, 10);
	spill(x, "archive/copy.tmp", "x", 1);
	j = reopen(j, x);
	assert_false(there(x, "archive/copy.tmp"));
	assert_int_not_equal(journal_append(j, &l, NULL, NULL), 0);
	faults("op=fdatasync,err=EIO;op=fallocate,count=0,err=ENOSPC");
	assert_int_equal(journal_commit(j), -1);
	assert_int_equal(journal_repair(j), -1);
	assert_string_equal(journal_why(j),
	    "space for a copy: No space left on device");
	assert_false(there(x, "archive/copy.tmp"));
	faults("op=write,err=ENOSPC");
	assert_int_equal(journal_repair(j), -1);
	assert_false(there(x, "archive/copy.tmp"));
	faults("");
	assert_int_equal(journal_repair(j), 0);
	journal_close(j);
}

static void
an_unreadable_segment_stops(void **state)
{
	struct box *x = *state;
	struct journal *j;
	char zst[120], *p;
	size_t n, cut;

	x->conf.max_bytes = 2000;
	j = must_open(x);
	while (journal_nsegments(j) < 3)
		add_n(j, x, 1);
	compress_segment(x, j, 1, zst);
	assert_int_equal(unlinkat(x->dirfd, journal_segment(j, 1)->name, 0), 0);
	journal_close(j);
	p = slurp(x, zst, &n);
	for (cut = 0; cut < n; cut += cut < 20 ? 1 : 50) {
		spill(x, zst, p, cut);
		assert_null(open_it(x));
		assert_non_null(strstr(x->err, zst));
	}
	spill(x, zst, p, n);
	journal_close(must_open(x));
	free(p);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(nobody_is_told_before_the_sync),
		T(callbacks_may_append),
		T(leaf_of_any_line),
		T(rotation),
		T(a_missing_segment_is_seen),
		T(torn_at_every_byte),
		T(what_is_cut_is_kept),
		T(damage_in_the_middle_stops),
		T(single_faults),
		T(interrupted_and_short_writes_are_no_errors),
		T(a_file_is_not_written_after_a_failed_sync),
		T(killed_while_replacing),
		T(committed_lines_that_vanished_are_fatal),
		T(a_dropped_write_is_found),
		T(room_is_reserved),
		T(power_cuts),
		T(segments_may_be_compressed),
		T(the_plain_one_of_two_counts),
		T(a_shorter_plain_one_stops),
		T(no_space_for_a_copy),
		T(an_unreadable_segment_stops),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
