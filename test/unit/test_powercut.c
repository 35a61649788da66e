/* SPDX-License-Identifier: ISC */
/*
 * Power cuts. A script of appends, rotations, a failed fdatasync, archiving and
 * snapshots runs on a model of a disk, and the power goes before each call that
 * changes something, one after the other. What was not synced, data and names
 * alike, is then lost, or was written, or partly so, in several ways. From each
 * of the disks that are left the journal must start by itself, with every line
 * that was promised, once, in order, and go on; so also when the power goes
 * again during that start.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "test/unit/disk_model.h"
#include "workers/audit/archive.h"
#include "workers/audit/journal.h"
#include "workers/audit/snapshot.h"

#define LINES 64
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 5 /* a fork costs more */
#else
#define STRIDE 1
#endif

/* What the parent must know after the child is gone. */
static struct told {
	unsigned lines;	     /* promised */
	uint64_t seq[LINES]; /* of line i */
	char packed[100];    /* by the archiver: segment, bytes, bytes */
} * told;

/* ---- the script ---- */

static struct metrics_slot slot;
static struct archive *archive;

static void
promised(void *arg, bool ok, uint64_t seq)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	told->seq[i] = ok ? seq : 0;
}

static void
add(struct journal *j, unsigned i)
{
	char id[24];
	const struct line l = { .kind = LK_EVENT,
		.action = "scripted",
		.decision = "APPROVED",
		.reason = "some words, so that a segment is soon full",
		.request_id = id };

	snprintf(id, sizeof(id), "line-%u", i);
	told->lines = i + 1;
	(void)journal_append(j, &l, promised, (void *)(uintptr_t)i);
}

/* The archiver: at once, through the same disk. */
static int
compress_now(void *arg, uint64_t segment, int in, int out)
{
	size_t n, len, room;
	char *text = model_content(in, &n), *b;

	(void)arg;
	room = ZSTD_compressBound(n);
	if ((b = malloc(room)) == NULL)
		model_give_up("malloc");
	len = ZSTD_compress(b, room, text, n, 3);
	if (jio_write_all(&model_io, out, b, len) == -1 ||
	    model_io.fdatasync(out) == -1)
		model_give_up("archiver");
	close(in);
	close(out);
	free(text);
	free(b);
	told->packed[0] = '\0';
	snprintf(told->packed, sizeof(told->packed), "%llu %zu %zu",
	    (unsigned long long)segment, n, len);
	return (0);
}

static bool step_due;

static void
step_later(void *arg, unsigned ms)
{
	(void)arg;
	(void)ms;
	step_due = true;
}

static void
segment_replaced(void *arg, uint64_t segment)
{
	(void)arg;
	(void)segment;
}

static void
archive_all(const struct journal *j)
{
	unsigned long long segment;
	size_t n, len;

	archive_tick(archive, true, journal_seq(j));
	if (sscanf(told->packed, "%llu %zu %zu", &segment, &n, &len) != 3)
		return;
	told->packed[0] = '\0';
	if (archive_answer(archive, segment, true, n, len, "") == -1)
		model_give_up("archive");
	while (step_due) {
		step_due = false;
		archive_step(archive);
	}
}

static void
save(const struct journal *j, struct flags *flags, struct idems *idems)
{
	const struct snapshot s = { .seq = journal_seq(j),
		.replay_from = journal_seq(j) + 1 };

	if (snapshot_save(&model_io, model_root(), &s, flags, idems) == -1)
		model_give_up("snapshot");
}

static struct journal *
start(const struct jio *io, int root, journal_visit visit, void *arg, char *err,
    size_t errlen)
{
	const struct journal_conf c = { .io = io,
		.dirfd = root,
		.node = "n",
		.reserve = 4096,
		.max_bytes = 1500 };

	return (journal_open(&c, visit, arg, err, errlen));
}

static void
run_script(void)
{
	static const struct archive_ops ops = { compress_now, step_later,
		segment_replaced };
	struct flags flags = { 0 };
	struct idems idems;
	struct journal *j;
	unsigned i;
	char err[300];

	if (idems_init(&idems) == -1 ||
	    (j = start(&model_io, model_root(), NULL, NULL, err,
		 sizeof(err))) == NULL)
		model_give_up(err);
	archive = archive_new(&ops, NULL, j, &model_io, model_root(), &slot);
	model_fail_sync(14);
	for (i = 0; i < 40; i++) {
		add(j, i);
		if (i % 3 == 0)
			add(j, ++i);
		if (i % 11 == 10)
			journal_rotate_soon(j);
		if (journal_commit(j) == -1 && journal_repair(j) == -1)
			model_give_up(journal_why(j));
		if (i % 7 == 6)
			save(j, &flags, &idems);
		if (i % 2 == 1)
			archive_all(j);
	}
	(void)journal_commit(j);
	archive_all(j);
	/* The script does what it is for. */
	if (slot.counter[MC_ARCHIVED] < 5 ||
	    slot.counter[MC_ARCHIVE_FAILURES] != 0 ||
	    journal_stats(j)->failures != 1 || journal_nsegments(j) < 7)
		model_give_up("the script");
	_exit(MODEL_FINISHED);
}

/* ---- the next start ---- */

struct seen {
	uint64_t last, n;
	unsigned found[LINES];
	const char *wrong;
};

static int
visit(void *arg, const struct line_view *v)
{
	struct seen *s = arg;
	char id[40];
	unsigned i;

	if (v->seq != s->last + 1)
		s->wrong = "a line is missing";
	s->last = v->seq;
	s->n++;
	if (!slice_is(v->action, "scripted"))
		return (0);
	snprintf(id, sizeof(id), "%.*s", (int)v->request_id.n, v->request_id.p);
	if (sscanf(id, "line-%u", &i) != 1 || i >= LINES)
		return (-1);
	if (++s->found[i] > 1)
		s->wrong = "a line is there twice";
	if (told->seq[i] != 0 && told->seq[i] != v->seq)
		s->wrong = "a line has another number";
	return (0);
}

/* Opens, looks at all, writes one more line. NULL, or what is wrong. */
static const char *
start_and_judge(const struct jio *io, int root)
{
	static char err[300];
	struct seen s = { 0 };
	struct journal *j;
	unsigned i;

	if ((j = start(io, root, visit, &s, err, sizeof(err))) == NULL)
		return (err);
	for (i = 0; i < told->lines; i++) {
		if (told->seq[i] != 0 && s.found[i] != 1)
			s.wrong = "a promised line is not there";
	}
	if (journal_commit(j) == -1)
		s.wrong = "it cannot go on";
	journal_close(j);
	return (s.wrong);
}

static const char *
snapshot_wrong(int root)
{
	struct flags flags = { 0 };
	struct snapshot snap = { 0, 0 };
	struct seen s = { 0 };
	struct idems idems;
	struct journal *j;
	static char err[300];
	uint64_t last = 0;

	if (idems_init(&idems) == -1 ||
	    snapshot_load(&model_quick, root, &snap, &flags, &idems, err,
		sizeof(err)) == -1)
		return (err);
	j = start(&model_quick, root, visit, &s, err, sizeof(err));
	if (j != NULL)
		last = journal_seq(j);
	journal_close(j);
	idems_clear(&idems);
	flags_clear(&flags);
	return (
	    snap.seq > last ? "the snapshot is ahead of the journal" : NULL);
}

static const char *
judge(const char *dir)
{
	int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *wrong;

	if (root == -1)
		return ("nothing was left");
	if ((wrong = snapshot_wrong(root)) == NULL &&
	    (wrong = start_and_judge(&model_quick, root)) == NULL)
		/* and once more, with what that start has written */
		wrong = start_and_judge(&model_quick, root);
	close(root);
	return (wrong);
}

static int
run_until(void (*fn)(void), const char *path, const char *left, unsigned cut)
{
	int r = model_run(fn, path, left, cut);

	if (r == MODEL_WORSE)
		fail_msg("before call %u: %s", cut, model_text());
	return (r);
}

static void
only_start(void)
{
	char err[300];
	struct journal *j;

	j = start(&model_io, model_root(), NULL, NULL, err, sizeof(err));
	if (j == NULL) {
		errno = 0;
		model_give_up(err);
	}
	if (journal_commit(j) == -1)
		model_give_up("commit");
	_exit(MODEL_FINISHED);
}

/* The power goes again, before each call of the start that follows. */
static unsigned
cut_the_start(const char *base, const char *disk)
{
	char again[100], left[100], dir[120];
	const char *wrong;
	unsigned cut, i, n = 0;
	int r;

	snprintf(again, sizeof(again), "%s/again", base);
	snprintf(left, sizeof(left), "%s/twice", base);
	for (cut = 1, r = 0; r != MODEL_FINISHED; cut++) {
		model_shell("rm -rf %s %s? && cp -r %s %s", again, left, disk,
		    again);
		r = run_until(only_start, again, left, cut);
		for (i = 0; r != MODEL_FINISHED && i < MODEL_VARIANTS;
		     i++, n++) {
			snprintf(dir, sizeof(dir), "%s%u", left, i);
			if ((wrong = judge(dir)) != NULL)
				fail_msg("start cut before call %u, %s: %s",
				    cut, dir, wrong);
		}
	}
	return (n);
}

static void
every_call(void **state)
{
	char base[48], run[80], left[80], dir[100];
	const char *wrong;
	unsigned cut, i, n = 0, again = 0;
	int r = 0;

	(void)state;
	assert_int_equal(model_folder(base, sizeof(base)), 0);
	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(left, sizeof(left), "%s/left", base);
	for (cut = 1; r != MODEL_FINISHED; cut += STRIDE) {
		memset(told, 0, sizeof(*told));
		model_shell("rm -rf %s/*", base);
		assert_int_equal(mkdir(run, 0700), 0);
		r = run_until(run_script, run, left, cut);
		for (i = 0; r != MODEL_FINISHED && i < MODEL_VARIANTS;
		     i++, n++) {
			snprintf(dir, sizeof(dir), "%s%u", left, i);
			if (cut % 8 == 1 && i == cut / 8 % MODEL_VARIANTS)
				again += cut_the_start(base, dir);
			if ((wrong = judge(dir)) != NULL)
				fail_msg("cut before call %u, variant %u, "
					 "%s: %s",
				    cut, i, dir, wrong);
		}
	}
	print_message("%u disks; %u of a start cut in its turn\n", n, again);
	assert_true(cut > 150);
	model_shell("rm -rf %s", base);
}

/* The model must be able to lose: a journal whose syncs do nothing fails. */
static void
lost_without_syncs(void **state)
{
	char base[48], run[80], left[80], dir[100];
	unsigned cut, lost = 0;
	int (*fdatasync_was)(int) = model_io.fdatasync;

	(void)state;
	assert_int_equal(model_folder(base, sizeof(base)), 0);
	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(left, sizeof(left), "%s/left", base);
	model_io.fdatasync = model_nothing;
	for (cut = 40; cut < 60; cut += 5) {
		memset(told, 0, sizeof(*told));
		model_shell("rm -rf %s/*", base);
		assert_int_equal(mkdir(run, 0700), 0);
		assert_int_equal(run_until(run_script, run, left, cut), 0);
		snprintf(dir, sizeof(dir), "%s0", left);
		lost += judge(dir) != NULL;
	}
	model_io.fdatasync = fdatasync_was;
	assert_int_equal(lost, 4);
	model_shell("rm -rf %s", base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(lost_without_syncs),
	};

	log_init("test");
	log_set_level(LOG_L_ERROR);
	if (model_setup() == -1 || (told = model_shared(sizeof(*told))) == NULL)
		return (1);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
