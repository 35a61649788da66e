/* SPDX-License-Identifier: ISC */
/*
 * The notary without its sockets, over files and a disk that fails as told:
 * every tile and every checkpoint is compared with a tree that is computed
 * naively, and it is started again wherever it may have been stopped.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/jfault.h"
#include "workers/notary/checkpoint.h"
#include "workers/notary/keeper.h"
#include "workers/notary/notary.h"
#include "workers/notary/tilefile.h"

#define SEGMENTS 4

struct box {
	char path[64];
	int top, log;
	struct skey key;
	struct notary *n;
	struct notary_conf conf;
	struct metrics_slot slot;
	/* the journal: "line N" */
	uint64_t lines;
	uint64_t first[SEGMENTS]; /* of each segment */
	unsigned nsegs;
	/* what the notary said */
	uint64_t covered;
	unsigned notes;
};

static void
leaf_of(uint64_t seq, uint8_t out[MERKLE_HASH])
{
	char b[40];

	merkle_leaf(b, (size_t)snprintf(b, sizeof(b), "line %" PRIu64, seq),
	    out);
}

/* MTH(D[from:from + n]), as the RFC writes it. */
static void
naive(uint64_t from, uint64_t n, uint8_t out[MERKLE_HASH])
{
	uint8_t l[MERKLE_HASH], r[MERKLE_HASH];
	uint64_t k = 1;

	if (n == 1) {
		leaf_of(from + 1, out);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	naive(from, k, l);
	naive(from + k, n - k, r);
	merkle_node(l, r, out);
}

static void
on_covered(void *arg, uint64_t size, const char *note)
{
	struct box *x = arg;

	assert_true(size >= x->covered);
	x->covered = size;
	x->notes += note != NULL;
}

static const struct notary_ops ops = { .covered = on_covered };

/*
 * jfault knows writes to the journal alone: those of tiles fail here. From
 * the nth one on, count of them (0: for ever); half of it was written.
 */
static struct {
	unsigned calls, nth, count;
} writes;

static ssize_t
failing_writev(int fd, const struct iovec *iov, int n)
{
	struct iovec half = { iov[0].iov_base, (iov[0].iov_len + 1) / 2 };

	writes.calls++;
	if (writes.nth == 0 || writes.calls < writes.nth ||
	    (writes.count != 0 && writes.calls >= writes.nth + writes.count))
		return (writev(fd, &half, n)); /* short, always */
	assert_int_not_equal(writev(fd, &half, 1), -1);
	errno = ENOSPC;
	return (-1);
}

static struct jio disk;

static void
faults(const char *spec)
{
	char err[100];

	memset(&writes, 0, sizeof(writes));
	if (jfault_set(spec, err, sizeof(err)) == -1)
		fail_msg("%s", err);
}

static void
start(struct box *x)
{
	x->n = notary_new(&x->conf, &ops, x, &x->slot);
	assert_non_null(x->n);
}

static int
set_up(void **state)
{
	struct box *x = calloc(1, sizeof(*x));

	log_set_level(LOG_L_ERROR);
	snprintf(x->path, sizeof(x->path), "/tmp/ax-notary-XXXXXX");
	assert_non_null(mkdtemp(x->path));
	x->top = open(x->path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(x->top, "log", 0755), 0);
	x->log = openat(x->top, "log", O_RDONLY | O_DIRECTORY);
	assert_int_equal(skey_new(&x->key, "test/notary"), 0);
	disk = jio_fault;
	disk.writev = failing_writev;
	x->conf.io = &disk;
	x->conf.dirfd = x->log;
	x->conf.key = &x->key;
	x->first[0] = 1;
	x->nsegs = 1;
	faults("");
	start(x);
	*state = x;
	return (0);
}

static int
tear_down(void **state)
{
	struct box *x = *state;
	char cmd[100];

	faults("");
	notary_free(x->n);
	close(x->log);
	close(x->top);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", x->path);
	assert_int_equal(system(cmd), 0);
	free(x);
	return (0);
}

/* ---- the journal ---- */

static void
seg_name(char out[16], unsigned i)
{
	snprintf(out, 16, "seg%u", i);
}

static void
add_lines(struct box *x, uint64_t n)
{
	char name[16], b[40];
	FILE *f;
	int fd;

	seg_name(name, x->nsegs - 1);
	fd = openat(x->top, name, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_non_null(f = fdopen(fd, "a"));
	while (n-- > 0) {
		snprintf(b, sizeof(b), "line %" PRIu64 "\n", ++x->lines);
		fputs(b, f);
	}
	fclose(f);
}

static void
rotate(struct box *x)
{
	x->first[x->nsegs++] = x->lines + 1;
}

static void
send_segment(struct box *x, unsigned i)
{
	char name[16];
	int fd;

	seg_name(name, i);
	fd = openat(x->top, name, O_RDONLY | O_CREAT, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(notary_segment(x->n, i + 1, x->first[i],
			     i + 1 == x->nsegs, fd),
	    0);
}

static void
tell(struct box *x)
{
	char name[16];
	struct stat st;

	seg_name(name, x->nsegs - 1);
	assert_int_equal(fstatat(x->top, name, &st, 0), 0);
	notary_journal_at(x->n, x->nsegs, (uint64_t)st.st_size, x->lines + 1);
}

/* Audit's side of a new channel. */
static void
attach(struct box *x)
{
	unsigned i;

	notary_begin(x->n);
	for (i = 0; i < x->nsegs; i++)
		send_segment(x, i);
	tell(x);
}

/* Until there is nothing to do; false: it is broken or fails. */
static bool
run(struct box *x)
{
	unsigned i;
	uint64_t wait;

	for (i = 0; i < 1000000; i++) {
		wait = notary_step(x->n);
		if (wait == UINT64_MAX)
			return (notary_state(x->n) == NOTARY_FOLLOW);
		if (wait > 0 && x->slot.gauge[MG_SIGNING_OK] == 0)
			return (false);
	}
	fail_msg("it never rests");
	return (false);
}

/* ---- what must be on the disk ---- */

static void
check_tile(struct box *x, unsigned level, uint64_t index, unsigned width)
{
	uint8_t *want = malloc((size_t)width * MERKLE_HASH);
	uint64_t span = 1ull << (8 * level);
	char path[TILE_PATH_MAX];
	unsigned i;

	for (i = 0; i < width; i++)
		naive((index * TILE_WIDTH + i) * span, span,
		    want + i * MERKLE_HASH);
	tile_path(path, level, index, width);
	if (!tilefile_same(&jio_real, x->log, path, want,
		(size_t)width * MERKLE_HASH))
		fail_msg("%s", path);
	free(want);
}

static void
check_tiles(struct box *x, uint64_t size)
{
	uint64_t hashes, i;
	unsigned level;

	for (level = 0; (hashes = size >> (8 * level)) > 0; level++) {
		for (i = 0; i < hashes / TILE_WIDTH; i++)
			check_tile(x, level, i, TILE_WIDTH);
		if (hashes % TILE_WIDTH != 0)
			check_tile(x, level, i,
			    (unsigned)(hashes % TILE_WIDTH));
	}
}

static void
check_note(struct box *x, const char *path, uint64_t size)
{
	struct checkpoint c;
	uint8_t root[MERKLE_HASH];
	size_t len, text;
	char *note = ax_read_file(x->log, path, NOTE_MAX, &len);

	assert_non_null(note);
	assert_int_equal(note_verify(note, len, &x->key.pub, 1, &text, NULL),
	    1);
	assert_int_equal(checkpoint_parse(note, text, &c), 0);
	assert_int_equal(c.size, size);
	assert_string_equal(c.origin, "test/notary");
	naive(0, size, root);
	assert_memory_equal(c.root, root, sizeof(root));
	free(note);
}

static void
check_all(struct box *x, uint64_t size)
{
	struct history h;
	char path[TILE_PATH_MAX];
	size_t i;

	check_note(x, LOG_CHECKPOINT, size);
	assert_int_equal(history_load(&h, &jio_real, x->log), 0);
	assert_true(h.n > 0);
	assert_int_equal(h.v[h.n - 1].size, size);
	for (i = 0; i < h.n; i++) {
		history_path(path, h.v[i].size);
		check_note(x, path, h.v[i].size);
	}
	history_free(&h);
	check_tiles(x, size);
}

static void
restart(struct box *x)
{
	notary_free(x->n);
	jfault_forget();
	faults("");
	x->covered = 0;
	start(x);
	attach(x);
}

/* ---- all is well ---- */

static void
each_size_across_the_edges(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 7, 8, 255, 256, 257, 511,
		512, 513, 65535, 65536, 65537, 65792, 66000 };
	struct box *x = *state;
	size_t i;

	add_lines(x, 1);
	attach(x);
	for (i = 0; i < AX_NELEM(sizes); i++) {
		add_lines(x, sizes[i] - x->lines);
		tell(x);
		assert_true(run(x));
		assert_int_equal(x->covered, sizes[i]);
		assert_int_equal(notary_covered(x->n), sizes[i]);
		assert_true(x->notes > i);
		check_note(x, LOG_CHECKPOINT, sizes[i]);
		if (sizes[i] < 1000 || sizes[i] > 65535)
			check_tiles(x, sizes[i]);
	}
	assert_int_equal(x->slot.gauge[MG_CHECKPOINT_SEQ], 66000);
	assert_int_equal(x->slot.gauge[MG_SIGNING_OK], 1);
	check_all(x, 66000);
}

static void
no_old_partial_tiles_are_left(void **state)
{
	struct box *x = *state;
	unsigned i;

	attach(x);
	for (i = 0; i < 300; i++) {
		add_lines(x, 1);
		tell(x);
		assert_true(run(x));
	}
	/* this one and the one before */
	assert_true(tilefile_there(&jio_real, x->log, "tile/0/001.p/44",
	    (size_t)44 * MERKLE_HASH));
	assert_true(tilefile_there(&jio_real, x->log, "tile/0/001.p/43",
	    (size_t)43 * MERKLE_HASH));
	assert_int_equal(faccessat(x->log, "tile/0/001.p/42", F_OK, 0), -1);
	assert_int_equal(faccessat(x->log, "tile/0/000.p", F_OK, 0), -1);
}

static void
resumes_anywhere(void **state)
{
	struct box *x = *state;
	unsigned i;

	for (i = 0; i < 40; i++) {
		add_lines(x, 1 + i * 7 % 61);
		restart(x);
		assert_true(run(x));
		assert_int_equal(x->covered, x->lines);
		check_all(x, x->lines);
		restart(x); /* nothing new: nothing is signed */
		x->notes = 0;
		assert_true(run(x));
		assert_int_equal(x->notes, 0);
		assert_int_equal(x->covered, x->lines);
	}
}

static bool
kept(struct box *x, uint64_t size)
{
	const struct history_entry *e;
	struct history h;
	bool r;

	assert_int_equal(history_load(&h, &jio_real, x->log), 0);
	e = history_find(&h, size);
	r = e != NULL && e->kept;
	history_free(&h);
	return (r);
}

static void
boundaries_and_the_end_are_kept(void **state)
{
	struct box *x = *state;

	add_lines(x, 100);
	rotate(x);
	add_lines(x, 200);
	rotate(x);
	add_lines(x, 5);
	attach(x);
	assert_true(run(x));
	check_all(x, 305);
	assert_true(kept(x, 100));
	assert_true(kept(x, 300));
	assert_false(kept(x, 305));
	add_lines(x, 1);
	notary_drain(x->n, x->lines);
	assert_false(notary_drained(x->n)); /* line 306 is yet to be told */
	tell(x);
	assert_true(run(x));
	assert_true(notary_drained(x->n));
	assert_true(kept(x, 306));
	check_all(x, 306);
}

static void
an_old_checkpoint_becomes_the_last(void **state)
{
	struct box *x = *state;

	add_lines(x, 10);
	attach(x);
	assert_true(run(x));
	assert_false(kept(x, 10));
	notary_drain(x->n, 10);
	assert_true(run(x));
	assert_true(notary_drained(x->n));
	assert_true(kept(x, 10));
	assert_int_equal(x->notes, 1);
}

static void
tiles_without_a_key(void **state)
{
	struct box *x = *state;

	notary_free(x->n);
	x->conf.key = NULL;
	start(x);
	add_lines(x, 700);
	attach(x);
	assert_false(run(x) && x->slot.gauge[MG_SIGNING_OK]);
	assert_int_equal(x->covered, 700);
	assert_int_equal(x->notes, 0);
	check_tiles(x, 700);
	assert_int_equal(faccessat(x->log, LOG_CHECKPOINT, F_OK, 0), -1);
}

/* ---- the evidence disagrees ---- */

static void
overwrite(struct box *x, const char *name, off_t at, const char *text)
{
	int fd = openat(x->top, name, O_WRONLY);

	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	close(fd);
}

static void
an_edited_line_is_named(void **state)
{
	struct box *x = *state;

	add_lines(x, 600);
	attach(x);
	assert_true(run(x));
	overwrite(x, "seg0", 7 * 2, "lime"); /* line 3 */
	restart(x);
	assert_false(run(x));
	assert_int_equal(notary_state(x->n), NOTARY_BROKEN);
	assert_non_null(strstr(notary_why(x->n), "line 3 of the journal"));
	check_note(x, LOG_CHECKPOINT, 600);
	/* and again after the channel came anew */
	attach(x);
	assert_false(run(x));
	assert_true(notary_drained(x->n));
}

static void
a_shorter_journal_is_refused(void **state)
{
	struct box *x = *state;

	add_lines(x, 600);
	attach(x);
	assert_true(run(x));
	x->lines = 599;
	assert_int_equal(ftruncate(openat(x->top, "seg0", O_WRONLY), 5000), 0);
	restart(x);
	assert_false(run(x));
	assert_non_null(strstr(notary_why(x->n), "ends with line 599"));
}

static void
tiles_come_back(void **state)
{
	static const char *const gone[] = { "log/tile", "log/tile/0/000",
		"log/tile/0/002.p", "log/tile/1" };
	struct box *x = *state;
	char cmd[200];
	size_t i;

	add_lines(x, 300);
	rotate(x);
	add_lines(x, 300);
	attach(x);
	assert_true(run(x));
	for (i = 0; i < AX_NELEM(gone); i++) {
		snprintf(cmd, sizeof(cmd), "rm -r %s/%s", x->path, gone[i]);
		assert_int_equal(system(cmd), 0);
		restart(x);
		assert_true(run(x));
		check_all(x, 600);
	}
	overwrite(x, "log/tile/0/001", 44 * MERKLE_HASH, "damaged");
	restart(x);
	assert_true(run(x));
	check_all(x, 600);
}

static void
in_log(struct box *x, const char *what)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "cd %s/log && { %s; }", x->path, what);
	assert_int_equal(system(cmd), 0);
}

static ino_t
inode_of_tile(struct box *x)
{
	struct stat st;

	assert_int_equal(fstatat(x->log, "tile/0/000", &st, 0), 0);
	return (st.st_ino);
}

/* That a tile is there does not mean that its name outlives a power cut. */
static void
what_no_checkpoint_covers_is_written_again(void **state)
{
	struct box *x = *state;
	ino_t was;

	add_lines(x, 255);
	attach(x);
	assert_true(run(x));
	add_lines(x, 1);
	tell(x);
	assert_true(run(x));
	was = inode_of_tile(x);
	/* Died before it had synced the folder. */
	assert_int_equal(unlinkat(x->log,
			     LOG_CHECKPOINTS "/00000000000000000256", 0),
	    0);
	assert_int_equal(renameat(x->log,
			     LOG_CHECKPOINTS "/00000000000000000255", x->log,
			     LOG_CHECKPOINT),
	    0);
	restart(x);
	assert_true(run(x));
	assert_int_equal(x->covered, 256);
	assert_int_not_equal(inode_of_tile(x), was);
	was = inode_of_tile(x);
	/* What was signed may stay when others are made anew. */
	in_log(x, "rm -r tile/1 tile/0/001*; true");
	add_lines(x, 300);
	restart(x);
	assert_true(run(x));
	assert_int_equal(inode_of_tile(x), was);
	check_all(x, 556);
}

static void
a_lost_checkpoint_is_in_the_history(void **state)
{
	struct box *x = *state;

	add_lines(x, 30);
	attach(x);
	assert_true(run(x));
	assert_int_equal(unlinkat(x->log, LOG_CHECKPOINT, 0), 0);
	overwrite(x, "seg0", 0, "lime");
	restart(x);
	assert_false(run(x)); /* not signed anew over other lines */
	overwrite(x, "seg0", 0, "line");
	add_lines(x, 1);
	restart(x);
	assert_true(run(x));
	check_all(x, 31);
}

/* ---- the disk fails ---- */

/*
 * Each kind of call fails at its k-th time, for all k there are: what is
 * visible is always whole, and the work is finished when the disk works again.
 */
static void
each_call_fails_once(void **state)
{
	static const char *const calls[] = { "fsync", "open", "rename",
		"unlink", "mkdir", "read" };
	struct box *x = *state;
	char spec[64];
	unsigned k;
	size_t i;
	bool hit;

	add_lines(x, 250);
	attach(x);
	assert_true(run(x));
	for (i = 0; i < AX_NELEM(calls); i++) {
		for (k = 1, hit = true; hit && k < 60; k++) {
			add_lines(x, 3);
			restart(x);
			snprintf(spec, sizeof(spec), "op=%s,nth=%u,err=EIO",
			    calls[i], k);
			faults(spec);
			(void)run(x);
			hit = jfault_calls(calls[i]) >= k;
			assert_int_not_equal(notary_state(x->n), NOTARY_BROKEN);
			restart(x);
			assert_true(run(x));
			assert_int_equal(x->covered, x->lines);
			check_note(x, LOG_CHECKPOINT, x->lines);
		}
		check_all(x, x->lines);
	}
}

static void
each_write_fails_once(void **state)
{
	struct box *x = *state;
	unsigned k;

	add_lines(x, 250);
	attach(x);
	assert_true(run(x));
	for (k = 1; k < 40; k++) {
		add_lines(x, 2);
		restart(x);
		writes.nth = k;
		writes.count = 1;
		(void)run(x);
		assert_int_not_equal(notary_state(x->n), NOTARY_BROKEN);
		restart(x);
		assert_true(run(x));
		check_all(x, x->lines);
	}
}

static void
recovers_by_itself(void **state)
{
	struct box *x = *state;
	uint64_t wait, slept = 0;

	add_lines(x, 20);
	attach(x);
	assert_true(run(x));
	faults("");
	writes.nth = 1;
	add_lines(x, 5);
	tell(x);
	assert_false(run(x));
	assert_int_equal(x->slot.gauge[MG_SIGNING_OK], 0);
	assert_true(x->slot.counter[MC_CHECKPOINT_FAILURES] > 0);
	check_all(x, 20);
	faults("");
	while (x->covered < 25 && slept < 60000000) {
		wait = notary_step(x->n);
		if (wait > 0 && wait != UINT64_MAX) {
			usleep((useconds_t)wait);
			slept += wait;
		}
	}
	assert_int_equal(x->slot.gauge[MG_SIGNING_OK], 1);
	check_all(x, 25);
}

/* ---- pruning ---- */

static void
the_history_thins_out(void **state)
{
	struct box *x = *state;
	struct timespec ts[2] = { { 0, 0 }, { 0, 0 } };
	const uint64_t now = 2000000000, hour = 3600, day = 86400;
	struct history h;
	char path[TILE_PATH_MAX];
	uint64_t i;

	assert_int_equal(mkdirat(x->log, LOG_CHECKPOINTS, 0755), 0);
	for (i = 1; i <= 2000; i++) { /* one each 31 minutes */
		history_path(path, i);
		close(openat(x->log, path, O_CREAT | O_WRONLY,
		    i == 7 ? 0444 : 0644));
		ts[1].tv_sec = (time_t)(now - (2000 - i) * 1860);
		assert_int_equal(utimensat(x->log, path, ts, 0), 0);
	}
	assert_int_equal(history_load(&h, &jio_real, x->log), 0);
	assert_int_equal(h.n, 2000);
	while (history_prune(&h, now, 4096) > 0)
		continue;
	assert_non_null(history_find(&h, 2000));
	assert_non_null(history_find(&h, 7));
	for (i = 1; i < h.n; i++) {
		if (now - h.v[i].at <= hour || h.v[i - 1].kept)
			continue;
		if (now - h.v[i - 1].at > 30 * day)
			assert_int_not_equal(h.v[i].at / day,
			    h.v[i - 1].at / day);
		else
			assert_int_not_equal(h.v[i].at / hour,
			    h.v[i - 1].at / hour);
	}
	assert_in_range(h.n, 30 * 24, 30 * 24 + 20);
	history_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		T(each_size_across_the_edges),
		T(no_old_partial_tiles_are_left),
		T(resumes_anywhere),
		T(boundaries_and_the_end_are_kept),
		T(an_old_checkpoint_becomes_the_last),
		T(tiles_without_a_key),
		T(an_edited_line_is_named),
		T(a_shorter_journal_is_refused),
		T(tiles_come_back),
		T(what_no_checkpoint_covers_is_written_again),
		T(a_lost_checkpoint_is_in_the_history),
		T(each_call_fails_once),
		T(each_write_fails_once),
		T(recovers_by_itself),
		T(the_history_thins_out),
#undef T
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
