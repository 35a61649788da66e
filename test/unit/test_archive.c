/* SPDX-License-Identifier: ISC */
/*
 * The exchange of closed segments by compressed ones, from both sides: the
 * archiver's own work (pack.c), and audit's distrust of it (archive.c). Whatever
 * an archiver delivers or a disk refuses, a segment never has another text.
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
#include "common/zread.h"
#include "workers/archiver/pack.h"
#include "workers/audit/archive.h"
#include "workers/audit/jfault.h"

struct box {
	char path[64];
	int dirfd;
	struct journal *j;
	struct archive *a;
	struct metrics_slot slot;
	uint64_t segment; /* asked for */
	int in, out;
	bool refuse, due;
	unsigned asked, replaced;
	char *text; /* of the first segment */
	size_t len;
	char name[112];
};

static int
request(void *arg, uint64_t segment, int in, int out)
{
	struct box *x = arg;

	x->asked++;
	if (x->refuse) {
		close(in);
		close(out);
		return (-1);
	}
	x->segment = segment;
	x->in = in;
	x->out = out;
	return (0);
}

static void
later(void *arg, unsigned ms)
{
	(void)ms;
	((struct box *)arg)->due = true;
}

static void
replaced(void *arg, uint64_t segment)
{
	(void)segment;
	((struct box *)arg)->replaced++;
}

static const struct archive_ops ops = { request, later, replaced };

static void
faults(const char *spec)
{
	char err[100];

	if (jfault_set(spec, err, sizeof(err)) == -1)
		fail_msg("%s", err);
}

static int
set_up(void **state)
{
	struct box *x = calloc(1, sizeof(*x));
	struct line l = { .kind = LK_EVENT,
		.action = "t",
		.decision = "APPROVED" };
	struct journal_conf c = { .io = &jio_fault,
		.node = "n",
		.reserve = 4096,
		.max_bytes = 300000 };
	char err[300];

	faults("");
	snprintf(x->path, sizeof(x->path), "/tmp/ax-archive-XXXXXX");
	assert_non_null(mkdtemp(x->path));
	c.dirfd = x->dirfd = open(x->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	x->j = journal_open(&c, NULL, NULL, err, sizeof(err));
	assert_non_null(x->j);
	while (journal_nsegments(x->j) < 2) {
		assert_int_not_equal(journal_append(x->j, &l, NULL, NULL), 0);
		if (journal_pending(x->j) > 100)
			assert_int_equal(journal_commit(x->j), 0);
	}
	assert_int_equal(journal_commit(x->j), 0);
	ax_strlcpy(x->name, journal_segment(x->j, 0)->name, sizeof(x->name));
	x->text = ax_read_file(x->dirfd, x->name, 1 << 20, &x->len);
	assert_non_null(x->text);
	x->a = archive_new(&ops, x, x->j, &jio_fault, x->dirfd, &x->slot);
	assert_non_null(x->a);
	*state = x;
	return (0);
}

static int
tear_down(void **state)
{
	struct box *x = *state;
	char cmd[100];

	archive_free(x->a);
	journal_close(x->j);
	close(x->dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", x->path);
	assert_int_equal(system(cmd), 0);
	free(x->text);
	free(x);
	return (0);
}

/* What an honest archiver does. */
static void
pack_it(struct box *x)
{
	struct pack *p = pack_new(x->in, x->out);
	int r;

	assert_non_null(p);
	while ((r = pack_step(p)) == 1)
		;
	assert_int_equal(r, 0);
	assert_int_equal(pack_text_size(p), x->len);
	pack_free(p);
	close(x->in);
}

static uint64_t
out_size(const struct box *x)
{
	struct stat st;

	assert_int_equal(fstat(x->out, &st), 0);
	return ((uint64_t)st.st_size);
}

static void
answer(struct box *x)
{
	uint64_t n = out_size(x);

	close(x->out);
	assert_int_equal(archive_answer(x->a, x->segment, true, x->len, n, ""),
	    0);
	while (x->due) {
		x->due = false;
		archive_step(x->a);
	}
}

static bool
there(const struct box *x, const char *name)
{
	return (faccessat(x->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

static bool
parts(const struct box *x)
{
	char cmd[120];

	snprintf(cmd, sizeof(cmd), "ls -A %s/archive | grep -q part", x->path);
	return (system(cmd) == 0);
}

/* The plain file stands, nothing else is left, and it will be tried again. */
static void
stays(struct box *x)
{
	char zst[120], *now;
	size_t n;

	snprintf(zst, sizeof(zst), "%s.zst", x->name);
	assert_false(there(x, zst));
	assert_false(parts(x));
	now = ax_read_file(x->dirfd, x->name, 1 << 20, &n);
	assert_non_null(now);
	assert_int_equal(n, x->len);
	assert_memory_equal(now, x->text, n);
	free(now);
	assert_string_equal(journal_segment(x->j, 0)->name, x->name);
	assert_int_equal(x->replaced, 0);
	assert_int_not_equal(x->slot.counter[MC_ARCHIVE_FAILURES], 0);
	assert_int_equal(x->slot.counter[MC_ARCHIVED], 0);
	/* ... but not at once */
	x->asked = 0;
	archive_tick(x->a, true, journal_seq(x->j));
	assert_int_equal(x->asked, 0);
}

static void
ask(struct box *x)
{
	archive_tick(x->a, true, journal_seq(x->j));
	assert_int_equal(x->asked, 1);
	assert_true(parts(x));
}

static void
exchanged(void **state)
{
	struct box *x = *state;
	char zst[120], *b = malloc(1 << 20);
	struct zread *z;
	int fd;

	assert_non_null(b);
	ask(x);
	pack_it(x);
	answer(x);
	snprintf(zst, sizeof(zst), "%s.zst", x->name);
	assert_string_equal(journal_segment(x->j, 0)->name, zst);
	assert_false(there(x, x->name));
	assert_false(parts(x));
	assert_int_equal(x->replaced, 1);
	assert_int_equal(x->slot.counter[MC_ARCHIVED], 1);
	fd = openat(x->dirfd, zst, O_RDONLY);
	z = zread_open(fd, true, NULL);
	assert_non_null(z);
	assert_int_equal(zread_size(z), x->len);
	assert_int_equal(zread_read(z, b, 1 << 20), x->len);
	assert_memory_equal(b, x->text, x->len);
	zread_free(z);
	close(fd);
	free(b);
	/* and that was all there is to do */
	archive_tick(x->a, true, journal_seq(x->j));
	assert_int_equal(x->asked, 1);
}

static void
waits_for_its_cover(void **state)
{
	struct box *x = *state;
	uint64_t last = journal_segment(x->j, 1)->first_seq - 1;

	archive_tick(x->a, true, 0);
	archive_tick(x->a, true, last - 1);
	archive_tick(x->a, false, last);
	assert_int_equal(x->asked, 0);
	archive_tick(x->a, true, last);
	assert_int_equal(x->asked, 1);
	archive_tick(x->a, true, last); /* one at a time */
	assert_int_equal(x->asked, 1);
	close(x->in);
	close(x->out);
	/* an answer for another one is nobody's */
	assert_int_equal(archive_answer(x->a, 77, true, 1, 1, ""), -1);
	assert_int_equal(archive_answer(x->a, x->segment, false, 0, 0, "no"),
	    0);
	assert_int_equal(archive_answer(x->a, x->segment, true, 1, 1, ""), -1);
	stays(x);
}

/* ---- an archiver that cannot be trusted ---- */

static void
deliver(struct box *x, const char *text, size_t n, const char *behind)
{
	size_t room = ZSTD_compressBound(n), len;
	char *b = malloc(room);

	assert_non_null(b);
	len = ZSTD_compress(b, room, text, n, 3);
	assert_int_equal(ax_write_all(x->out, b, len), 0);
	assert_int_equal(ax_write_all(x->out, behind, strlen(behind)), 0);
	free(b);
	close(x->in);
	answer(x);
}

static void
another_text(void **state)
{
	struct box *x = *state;
	char *t = malloc(x->len);

	assert_non_null(t);
	memcpy(t, x->text, x->len);
	t[x->len - 2] ^= 1;
	ask(x);
	deliver(x, t, x->len, "");
	free(t);
	stays(x);
}

static void
a_shorter_text(void **state)
{
	struct box *x = *state;

	ask(x);
	deliver(x, x->text, x->len - 1, "");
	stays(x);
}

static void
something_behind(void **state)
{
	struct box *x = *state;

	ask(x);
	deliver(x, x->text, x->len, "x");
	stays(x);
}

static void
nothing_at_all(void **state)
{
	struct box *x = *state;

	ask(x);
	close(x->in);
	answer(x);
	stays(x);
}

static void
nobody_to_ask(void **state)
{
	struct box *x = *state;

	x->refuse = true;
	archive_tick(x->a, true, journal_seq(x->j));
	stays(x);
}

/* ---- a disk that refuses ---- */

static void
each_call_fails(void **state)
{
	static const char *const how[] = { "op=fsync,nth=1,err=EIO",
		"op=fsync,nth=2,err=EIO", "op=rename,err=EIO",
		"op=rename,err=EEXIST", "op=unlink,err=EIO",
		"op=read,nth=3,err=EIO" };
	struct box *x;
	void *own;
	size_t i;

	(void)state;
	for (i = 0; i < AX_NELEM(how); i++) {
		assert_int_equal(set_up(&own), 0);
		x = own;
		ask(x);
		pack_it(x);
		faults(how[i]);
		answer(x);
		faults("");
		stays(x);
		tear_down(&own);
	}
}

/* The plain file went by other hands: what we have is the only one. */
static void
the_plain_one_is_gone(void **state)
{
	struct box *x = *state;
	char zst[120];

	ask(x);
	pack_it(x);
	assert_int_equal(unlinkat(x->dirfd, x->name, 0), 0);
	answer(x);
	snprintf(zst, sizeof(zst), "%s.zst", x->name);
	assert_true(there(x, zst));
	assert_string_equal(journal_segment(x->j, 0)->name, zst);
}

static int
unlink_and_fail(int dirfd, const char *path, int flags)
{
	int r = unlinkat(dirfd, path, flags);

	if (r == 0 && zread_is_zstd(path))
		fail_msg("%s was removed", path);
	if (r == 0 && strchr(path, '/')[1] != '.')
		errno = EIO;
	return (r == 0 && strchr(path, '/')[1] == '.' ? 0 : -1);
}

/* An error is no proof that the plain file is still there. */
static void
removed_in_spite_of_the_error(void **state)
{
	struct box *x = *state;
	struct jio io = jio_fault;
	char zst[120];

	io.unlinkat = unlink_and_fail;
	archive_free(x->a);
	x->a = archive_new(&ops, x, x->j, &io, x->dirfd, &x->slot);
	assert_non_null(x->a);
	ask(x);
	pack_it(x);
	answer(x);
	snprintf(zst, sizeof(zst), "%s.zst", x->name);
	assert_true(there(x, zst));
	assert_false(there(x, x->name));
	assert_string_equal(journal_segment(x->j, 0)->name, zst);
	archive_free(x->a);
	x->a = NULL;
}

/* A name that is taken is never taken over. */
static void
the_name_is_taken(void **state)
{
	struct box *x = *state;
	char zst[120], *b;
	size_t n;
	int fd;

	snprintf(zst, sizeof(zst), "%s.zst", x->name);
	fd = openat(x->dirfd, zst, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(ax_write_all(fd, "mine", 4), 0);
	close(fd);
	ask(x);
	pack_it(x);
	answer(x);
	b = ax_read_file(x->dirfd, zst, 100, &n);
	assert_non_null(b);
	assert_string_equal(b, "mine");
	free(b);
	assert_int_equal(unlinkat(x->dirfd, zst, 0), 0);
	stays(x);
}

/* ---- the archiver's own doubts ---- */

static void
sizes(void **state)
{
	static const size_t n[] = { 0, 1, 262143, 262144, 262145, 3000000 };
	struct box *x = *state;
	struct pack *p;
	size_t i, k;
	int in, out, r;

	for (i = 0; i < AX_NELEM(n); i++) {
		in = openat(x->dirfd, "in", O_RDWR | O_CREAT | O_TRUNC, 0600);
		out = openat(x->dirfd, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
		for (k = 0; k < n[i]; k += 1000)
			assert_int_equal(ax_write_all(in, x->text + k % 7,
					     n[i] - k < 1000 ? n[i] - k : 1000),
			    0);
		p = pack_new(in, out);
		assert_non_null(p);
		while ((r = pack_step(p)) == 1)
			;
		assert_int_equal(r, 0);
		pack_free(p);
		close(in);
		close(out);
	}
}

static void
what_it_cannot_do(void **state)
{
	struct box *x = *state;
	struct pack *p;
	int in, out, r;

	/* the segment becomes shorter meanwhile */
	in = openat(x->dirfd, "in", O_RDWR | O_CREAT | O_TRUNC, 0600);
	out = openat(x->dirfd, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(ftruncate(in, 1 << 20), 0);
	p = pack_new(in, out);
	assert_int_equal(ftruncate(in, 1000), 0);
	while ((r = pack_step(p)) == 1)
		;
	assert_int_equal(r, -1);
	assert_int_equal(errno, EBADMSG);
	pack_free(p);
	close(out);
	/* a file that cannot be written */
	out = openat(x->dirfd, "out", O_RDONLY);
	p = pack_new(in, out);
	while ((r = pack_step(p)) == 1)
		;
	assert_int_equal(r, -1);
	assert_int_equal(errno, EBADF);
	pack_free(p);
	close(out);
	/* one that is not empty: what is read back is not one frame */
	out = openat(x->dirfd, "out", O_RDWR | O_CREAT | O_APPEND, 0600);
	assert_int_equal(ax_write_all(out, "junk", 4), 0);
	p = pack_new(in, out);
	while ((r = pack_step(p)) == 1)
		;
	assert_int_equal(r, -1);
	assert_int_equal(errno, EBADMSG);
	pack_free(p);
	close(in);
	close(out);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(exchanged),
		T(waits_for_its_cover),
		T(another_text),
		T(a_shorter_text),
		T(something_behind),
		T(nothing_at_all),
		T(nobody_to_ask),
		cmocka_unit_test(each_call_fails),
		T(the_plain_one_is_gone),
		T(removed_in_spite_of_the_error),
		T(the_name_is_taken),
		T(sizes),
		T(what_it_cannot_do),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
