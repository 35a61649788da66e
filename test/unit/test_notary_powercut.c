/* SPDX-License-Identifier: ISC */
/*
 * Power cuts under the notary. A script of lines, checkpoints across the edges
 * of tiles, rotations, the thinning of the history and a clean stop runs on the
 * model of a disk, and the power goes before each call that changes something.
 * On each of the disks that are left, every checkpoint that can be seen must be
 * signed, and its tiles give its root; what was told to others must be there;
 * and a new notary must go on by itself, never with less. So also when the
 * power goes again during that start, and when the notary was killed first and
 * its successor has just told of a checkpoint.
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
#include "test/unit/disk_model.h"
#include "workers/notary/checkpoint.h"
#include "workers/notary/notary.h"
#include "workers/notary/tilefile.h"

#define LAST 530 /* line of the script */
#define OLD  40	 /* lines covered before the script */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 23 /* a fork costs more */
#else
#define STRIDE 5 /* AX_POWER_STRIDE=1: each call, some minutes */
#endif

/* First lines of the segments; they never change here. */
static const uint64_t first[] = { 1, 301, 521, LAST + 1 };
#define SEGMENTS 3

/* What the script has said when the power goes. */
static struct told {
	uint64_t lines;	   /* durable, as audit said */
	uint64_t covered;  /* by a checkpoint, as the notary said */
	uint64_t landmark; /* a boundary that is kept for good */
} * told;

static struct skey key;
static char base[48], journal[80];
static uint8_t roots[LAST + 1][MERKLE_HASH];
static size_t ends[LAST + 1]; /* of line i in its segment */
static struct metrics_slot slot;
static unsigned stride = STRIDE;

/* ---- the journal: all of it is there, and told of little by little ---- */

static void
write_journal(void)
{
	struct merkle tree = { 0 };
	uint8_t leaf[MERKLE_HASH];
	char path[120], line[40];
	unsigned seg;
	uint64_t i;
	size_t at, n;
	FILE *f;

	for (seg = 0; seg < SEGMENTS; seg++) {
		snprintf(path, sizeof(path), "%s/%u", journal, seg + 1);
		assert_non_null(f = fopen(path, "w"));
		for (at = 0, i = first[seg]; i < first[seg + 1]; i++) {
			n = (size_t)snprintf(line, sizeof(line),
			    "line %" PRIu64, i);
			fprintf(f, "%s\n", line);
			merkle_leaf(line, n, leaf);
			merkle_append(&tree, leaf);
			merkle_root(&tree, roots[i]);
			ends[i] = at += n + 1;
		}
		assert_int_equal(fclose(f), 0);
	}
}

static unsigned
segment_of(uint64_t line)
{
	unsigned i = SEGMENTS - 1;

	while (first[i] > line)
		i--;
	return (i);
}

static int
send_segment(struct notary *n, unsigned i, bool live)
{
	char path[120];
	int fd;

	snprintf(path, sizeof(path), "%s/%u", journal, i + 1);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	return (notary_segment(n, i + 1, first[i], live, fd));
}

static void
tell(struct notary *n, uint64_t line)
{
	told->lines = line;
	notary_journal_at(n, segment_of(line) + 1, ends[line], line + 1);
}

/* ---- a notary ---- */

struct run {
	uint64_t covered; /* the last it told of */
	bool less;	  /* than before */
};

static void
on_covered(void *arg, uint64_t size, const char *note)
{
	struct run *r = arg;

	(void)note;
	r->less |= size < r->covered;
	r->covered = size;
}

static const struct notary_ops ops = { .covered = on_covered };

/* Audit is there, and tells of what it had told before. */
static struct notary *
notary_over(const struct jio *io, int root, struct run *r)
{
	const struct notary_conf c = { .io = io, .dirfd = root, .key = &key };
	struct notary *n = notary_new(&c, &ops, r, &slot);
	unsigned i, live = segment_of(told->lines);

	if (n == NULL)
		return (NULL);
	notary_begin(n);
	for (i = 0; i <= live; i++) {
		if (send_segment(n, i, i == live) == -1)
			return (NULL);
	}
	tell(n, told->lines);
	return (n);
}

/* Until there is nothing more to do: NULL, or why it stopped. */
static const char *
work(struct notary *n)
{
	uint64_t wait;

	do {
		wait = notary_step(n);
		if (notary_state(n) == NOTARY_BROKEN)
			return (notary_why(n));
	} while (wait == 0);
	if (wait != UINT64_MAX || notary_state(n) != NOTARY_FOLLOW)
		return ("it cannot go on");
	return (NULL);
}

/* ---- the script ---- */

static struct run script;
static bool killed;
static jmp_buf dead;

static void
script_work(struct notary *n)
{
	const char *wrong = work(n);

	errno = 0;
	if (wrong != NULL)
		model_give_up(wrong);
	if (script.covered > told->covered)
		told->covered = script.covered;
	told->landmark = first[segment_of(told->lines)] - 1;
	if (killed && script.covered > 0)
		model_cut(); /* with what it has just told of */
}

static void
script_lines(struct notary *n)
{
	static const uint64_t stop[] = { 41, 100, 200, 255, 257, 300, 310, 400,
		511, 513, 520, 522, LAST };
	struct history h;
	size_t i;

	script_work(n);
	for (i = 0; i < AX_NELEM(stop); i++) {
		if (stop[i] <= told->lines)
			continue;
		if (segment_of(stop[i]) > segment_of(told->lines) &&
		    send_segment(n, segment_of(stop[i]), true) == -1)
			model_give_up("segment");
		tell(n, stop[i]);
		script_work(n);
	}
	notary_drain(n, LAST);
	script_work(n);
	told->landmark = LAST;
	/* The script does what it is for. */
	if (!notary_drained(n) || told->covered != LAST ||
	    history_load(&h, &model_io, model_root()) == -1 ||
	    history_find(&h, 10) != NULL || history_find(&h, 30) != NULL ||
	    history_find(&h, OLD) == NULL || h.n < 10)
		model_give_up("the script");
	_exit(MODEL_FINISHED);
}

static void
script_start(void)
{
	struct notary *n;

	script.covered = 0;
	if ((n = notary_over(&model_io, model_root(), &script)) == NULL)
		model_give_up("start");
	script_lines(n);
}

/* SIGKILL: what it did stays, and what it had in mind is gone. */
static void
killed_now(void)
{
	longjmp(dead, 1);
}

static void
script_killed(void)
{
	model_instead(killed_now);
	if (setjmp(dead) != 0)
		killed = true;
	script_start();
}

/* ---- what must be on a disk ---- */

static const char *
tiles_wrong(int root, uint64_t size, uint64_t newest)
{
	static struct tiles t;
	struct merkle tree;
	uint8_t hash[MERKLE_HASH];

	/* Of an older checkpoint, a wider tile may have taken the place. */
	tiles_init(&t, root, newest);
	if (merkle_load(&tree, size, tiles_get, &t) == -1)
		return ("tiles are missing");
	merkle_root(&tree, hash);
	if (memcmp(hash, roots[size], sizeof(hash)) != 0)
		return ("tiles give another root");
	return (NULL);
}

static const char *
note_wrong(int root, const char *path, uint64_t *size)
{
	struct checkpoint c;
	size_t len, text;
	char *note = ax_read_file(root, path, NOTE_MAX, &len);
	bool good;

	if (note == NULL)
		return ("a checkpoint cannot be read");
	good = note_verify(note, len, &key.pub, 1, &text, NULL) == 1 &&
	    checkpoint_parse(note, text, &c) == 0;
	free(note);
	if (!good)
		return ("a checkpoint is not whole");
	if (c.size == 0 || c.size > told->lines)
		return ("a checkpoint counts lines that are not there");
	*size = c.size;
	return (memcmp(c.root, roots[c.size], MERKLE_HASH) == 0 ?
		NULL :
		"a checkpoint contradicts the journal");
}

static const char *
history_wrong(int root, const struct history *h, uint64_t newest)
{
	char path[TILE_PATH_MAX];
	const char *wrong = NULL;
	uint64_t size;
	size_t i;

	for (i = 0; i < h->n && wrong == NULL; i++) {
		history_path(path, h->v[i].size);
		wrong = note_wrong(root, path, &size);
		if (wrong == NULL && size != h->v[i].size)
			wrong = "a checkpoint has another's name";
		if (wrong == NULL)
			wrong = tiles_wrong(root, size, newest);
	}
	return (wrong);
}

static bool
kept(const struct history *h, uint64_t size)
{
	const struct history_entry *e = history_find(h, size);

	return (e != NULL && e->kept);
}

/* All that can be seen; *newest: the newest checkpoint's size. */
static const char *
disk_wrong(int root, uint64_t *newest)
{
	const char *wrong = note_wrong(root, LOG_CHECKPOINT, newest);
	struct history h;

	if (wrong != NULL)
		return (wrong);
	if (*newest < told->covered)
		return ("a checkpoint that was told of is not there");
	if (history_load(&h, &model_quick, root) == -1)
		return ("history");
	/* Two folders: the history's name may have come alone. */
	if (h.n > 0 && h.v[h.n - 1].size > *newest)
		*newest = h.v[h.n - 1].size;
	wrong = tiles_wrong(root, *newest, *newest);
	if (wrong == NULL)
		wrong = history_wrong(root, &h, *newest);
	if (wrong == NULL && told->landmark > 0 && !kept(&h, told->landmark))
		wrong = "a checkpoint that is kept for good is not there";
	if (wrong == NULL && !kept(&h, 20))
		wrong = "an old checkpoint that is kept for good is gone";
	history_free(&h);
	return (wrong);
}

/* A new notary over it, to its clean stop. */
static const char *
goes_on(int root, uint64_t newest)
{
	struct run r = { .covered = newest };
	struct notary *n = notary_over(&model_quick, root, &r);
	static char why[400];
	const char *wrong;
	uint64_t now;

	if (n == NULL)
		return ("no notary");
	if ((wrong = work(n)) == NULL) {
		notary_drain(n, told->lines);
		wrong = work(n);
	}
	if (wrong != NULL) {
		ax_strlcpy(why, wrong, sizeof(why));
		wrong = why;
	} else if (r.less || !notary_drained(n) || r.covered != told->lines)
		wrong = "it does not come to the last line";
	notary_free(n);
	if (wrong == NULL)
		wrong = disk_wrong(root, &now);
	if (wrong == NULL && now != told->lines)
		wrong = "the new checkpoint is not there";
	return (wrong);
}

static const char *
judge(const char *dir)
{
	int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *wrong;
	uint64_t newest;

	if (root == -1)
		return ("nothing was left");
	if ((wrong = disk_wrong(root, &newest)) == NULL)
		wrong = goes_on(root, newest);
	close(root);
	return (wrong);
}

/* ---- the tests ---- */

/* A log that exists: checkpoints of one hour, long ago; 20 is for good. */
static void
make_old(const char *dir)
{
	static const uint64_t size[] = { 10, 20, 30, OLD };
	const time_t then = 1700000000 / 3600 * 3600;
	struct timespec ts[2] = { { .tv_sec = then }, { .tv_sec = then } };
	struct run r = { 0 };
	struct notary *n;
	char path[TILE_PATH_MAX];
	size_t i;
	int root;

	assert_int_equal(mkdir(dir, 0700), 0);
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	told->lines = size[0];
	assert_non_null(n = notary_over(&jio_real, root, &r));
	for (i = 0; i < AX_NELEM(size); i++) {
		tell(n, size[i]);
		assert_null(work(n));
		history_path(path, size[i]);
		if (size[i] == 20)
			assert_int_equal(fchmodat(root, path, 0444, 0), 0);
		assert_int_equal(utimensat(root, path, ts, 0), 0);
	}
	notary_free(n);
	close(root);
}

static void
begin(const char *run)
{
	model_shell("rm -rf %s/left? && rm -rf %s && cp -a %s/old %s", base,
	    run, base, run);
	*told = (struct told){ .lines = OLD, .covered = OLD };
}

static int
run_until(void (*fn)(void), const char *path, const char *left, unsigned cut)
{
	int r = model_run(fn, path, left, cut);

	if (r == MODEL_WORSE)
		fail_msg("call %u: %s", cut, model_text());
	return (r);
}

/* Wrong disks of a cut; NULL or the last's fault in *wrong. */
static unsigned
judge_all(const char *left, const char **wrong)
{
	char dir[120];
	const char *w;
	unsigned i, n = 0;

	for (i = 0; i < MODEL_VARIANTS; i++) {
		snprintf(dir, sizeof(dir), "%s%u", left, i);
		if ((w = judge(dir)) == NULL)
			continue;
		*wrong = w;
		n++;
	}
	return (n);
}

static void
only_start(void)
{
	struct run r = { 0 };
	struct notary *n = notary_over(&model_io, model_root(), &r);
	const char *wrong = n != NULL ? work(n) : "no notary";

	errno = 0;
	if (wrong != NULL)
		model_give_up(wrong);
	_exit(MODEL_FINISHED);
}

/* The power goes again, before each call of the start that follows. */
static unsigned
cut_the_start(const char *disk)
{
	char again[80], left[80];
	const char *wrong = NULL;
	unsigned cut, n = 0;
	int r;

	snprintf(again, sizeof(again), "%s/again", base);
	snprintf(left, sizeof(left), "%s/twice", base);
	for (cut = 1, r = 0; r != MODEL_FINISHED; cut += stride) {
		model_shell("rm -rf %s %s? && cp -a %s %s", again, left, disk,
		    again);
		r = run_until(only_start, again, left, cut);
		if (r == MODEL_FINISHED)
			break;
		n += MODEL_VARIANTS;
		if (judge_all(left, &wrong) > 0)
			fail_msg("start cut before call %u: %s", cut, wrong);
	}
	return (n);
}

/* Disks; the script `fn` on each, until it comes to its end. */
static unsigned
each_call(void (*fn)(void), unsigned *again)
{
	char run[80], left[80], dir[100];
	const char *wrong = NULL;
	unsigned cut, n = 0;

	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(left, sizeof(left), "%s/left", base);
	for (cut = 1;; cut += stride) {
		begin(run);
		if (run_until(fn, run, left, cut) == MODEL_FINISHED)
			return (n);
		n += MODEL_VARIANTS;
		snprintf(dir, sizeof(dir), "%s%u", left,
		    cut / 32 % MODEL_VARIANTS);
		if (again != NULL && cut / stride % 32 == 1)
			*again += cut_the_start(dir);
		if (judge_all(left, &wrong) > 0)
			fail_msg("call %u: %s", cut, wrong);
	}
}

static void
every_call(void **state)
{
	unsigned n, again = 0;

	(void)state;
	n = each_call(script_start, &again);
	print_message("%u disks; %u of a start cut in its turn\n", n, again);
	assert_true(n / MODEL_VARIANTS * stride > 150);
}

/* Killed before any call, and the power goes after the next checkpoint. */
static void
a_kill_before_the_cut(void **state)
{
	unsigned n;

	(void)state;
	n = each_call(script_killed, NULL);
	print_message("%u disks\n", n);
	assert_true(n / MODEL_VARIANTS * stride > 150);
}

/* The model must be able to lose: a notary whose syncs do nothing fails. */
static void
lost_without_syncs(void **state)
{
	char run[80], left[80];
	const char *wrong = NULL;
	unsigned cut, lost = 0;
	int (*fsync_was)(int) = model_io.fsync;

	(void)state;
	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(left, sizeof(left), "%s/left", base);
	model_io.fsync = model_nothing;
	for (cut = 60; cut < 100; cut += 10) {
		begin(run);
		assert_int_equal(run_until(script_start, run, left, cut), 0);
		lost += judge_all(left, &wrong) > 0;
	}
	model_io.fsync = fsync_was;
	assert_int_equal(lost, 4);
}

static int
set_up(void **state)
{
	char dir[80];

	(void)state;
	assert_int_equal(model_folder(base, sizeof(base)), 0);
	snprintf(journal, sizeof(journal), "%s/journal", base);
	assert_int_equal(mkdir(journal, 0700), 0);
	assert_int_equal(skey_new(&key, "test/power"), 0);
	write_journal();
	snprintf(dir, sizeof(dir), "%s/old", base);
	make_old(dir);
	return (0);
}

static int
tear_down(void **state)
{
	(void)state;
	model_shell("rm -rf %s", base);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(a_kill_before_the_cut),
		cmocka_unit_test(lost_without_syncs),
	};
	const char *every = getenv("AX_POWER_STRIDE");
	int64_t n;

	if (every != NULL && ax_strtonum(every, 1, INT32_MAX, &n) == 0)
		stride = (unsigned)n;
	log_init("test");
	log_set_level(LOG_L_ERROR);
	umask(022);
	if (model_setup() == -1 || (told = model_shared(sizeof(*told))) == NULL)
		return (1);
	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
