/* SPDX-License-Identifier: ISC */
/*
 * The live file under somebody else's hands: deleted, renamed, replaced, grown,
 * written, truncated. What is committed survives whatever leaves it in the
 * file; what does not is fatal.
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

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/journal.h"

struct box {
	char path[64];
	int dirfd;
	struct journal *j;
	uint64_t visited, last;
	char event[2048]; /* the last journal_replaced */
};

static struct jio io;

/* ext4 sets a file's time before it finds that there is no space. */
static int
full_disk(int fd, int mode, off_t at, off_t n)
{
	(void)mode;
	(void)at;
	(void)n;
	usleep(20000);
	assert_int_equal(futimens(fd, NULL), 0);
	errno = ENOSPC;
	return (-1);
}

static int
visit(void *arg, const struct line_view *v)
{
	struct box *x = arg;

	assert_int_equal(v->seq, x->last + 1);
	x->last = v->seq;
	x->visited++;
	if (slice_is(v->action, "journal_replaced"))
		snprintf(x->event, sizeof(x->event), "%.*s %d",
		    (int)v->context.n, v->context.p, v->risk_score);
	return (0);
}

static void
open_it(struct box *x)
{
	const struct journal_conf c = { .io = &io,
		.dirfd = x->dirfd,
		.node = "n",
		.reserve = 65536,
		.max_bytes = 1u << 30 };
	char err[300];

	x->visited = x->last = 0;
	x->event[0] = '\0';
	if ((x->j = journal_open(&c, visit, x, err, sizeof(err))) == NULL)
		fail_msg("%s", err);
}

static void
add(struct box *x, int n)
{
	const struct line l = { .kind = LK_EVENT,
		.action = "t",
		.decision = "APPROVED" };

	while (n-- > 0)
		assert_int_not_equal(journal_append(x->j, &l, NULL, NULL), 0);
	assert_int_equal(journal_commit(x->j), 0);
}

static int
set_up(void **state)
{
	struct box *x = calloc(1, sizeof(*x));

	io = jio_real;
	snprintf(x->path, sizeof(x->path), "/tmp/ax-watch-XXXXXX");
	assert_non_null(mkdtemp(x->path));
	x->dirfd = open(x->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(x->dirfd, -1);
	open_it(x);
	add(x, 5);
	assert_int_equal(journal_watch(x->j), 0);
	/* another tick of the kernel's clock */
	usleep(20000);
	*state = x;
	return (0);
}

static int
tear_down(void **state)
{
	struct box *x = *state;
	char cmd[100];

	journal_close(x->j);
	close(x->dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", x->path);
	assert_int_equal(system(cmd), 0);
	free(x);
	return (0);
}

static void
in_box(const struct box *x, const char *fmt)
{
	char cmd[400];

	snprintf(cmd, sizeof(cmd), "cd %s && %s", x->path, fmt);
	assert_int_equal(system(cmd), 0);
}

/* Noticed, repaired, told of; and the next start finds all lines. */
static void
survives(struct box *x, const char *act, const char *found, const char *kept)
{
	char want[64];
	uint64_t n = journal_seq(x->j) + journal_pending(x->j);

	in_box(x, act);
	assert_int_equal(journal_watch(x->j), -1);
	assert_int_not_equal(journal_state(x->j), JOURNAL_OK);
	assert_int_equal(journal_repair(x->j), 0);
	assert_int_equal(journal_seq(x->j), n + 1);
	assert_int_equal(journal_watch(x->j), 0);
	add(x, 3);
	journal_close(x->j);
	open_it(x);
	assert_int_equal(x->visited, n + 4);
	snprintf(want, sizeof(want), "\"found\": \"%s\"", found);
	assert_non_null(strstr(x->event, want));
	assert_non_null(strstr(x->event, kept));
	assert_non_null(strstr(x->event, " 95"));
	if (kept[0] == '"' && kept[1] == 'r')
		in_box(x, "test -n \"$(ls recovered)\"");
}

#define LIVE "security_audit.jsonl"

static void
deleted(void **state)
{
	survives(*state, "rm " LIVE, "deleted", "\"kept_in\": null");
}

static void
renamed(void **state)
{
	survives(*state, "mv " LIVE " elsewhere", "deleted",
	    "\"kept_in\": null");
}

static void
replaced_by_a_copy(void **state)
{
	survives(*state, "cp " LIVE " b && mv b " LIVE, "replaced",
	    "\"recovered/");
}

static void
replaced_by_junk(void **state)
{
	survives(*state, "echo junk > b && mv b " LIVE, "replaced",
	    "\"recovered/");
}

static void
replaced_by_a_folder(void **state)
{
	survives(*state, "rm " LIVE " && mkdir " LIVE, "replaced",
	    "\"recovered/");
}

static void
replaced_by_a_link(void **state)
{
	survives(*state, "mv " LIVE " b && ln -s b " LIVE, "replaced",
	    "\"recovered/");
}

static void
grown(void **state)
{
	survives(*state, "echo '{\"a\": 1}' >> " LIVE, "written to",
	    "\"recovered/");
}

static void
touched(void **state)
{
	survives(*state, "touch " LIVE, "written to", "\"recovered/");
}

/* Also when the segment has no committed line yet. */
static void
an_empty_one(void **state)
{
	struct box *x = *state;

	journal_rotate_soon(x->j);
	add(x, 1);
	assert_int_equal(journal_nsegments(x->j), 2);
	assert_int_equal(journal_committed(x->j), 0);
	survives(x, "echo junk > " LIVE, "written to", "\"recovered/");
}

/* A commit comes before the next look. */
static void
seen_by_a_commit(void **state)
{
	const struct line l = { .kind = LK_EVENT,
		.action = "t",
		.decision = "APPROVED" };
	struct box *x = *state;

	in_box(x, "rm " LIVE);
	assert_int_not_equal(journal_append(x->j, &l, NULL, NULL), 0);
	assert_int_equal(journal_commit(x->j), -1);
	assert_int_equal(journal_repair(x->j), 0);
	add(x, 1);
	journal_close(x->j);
	open_it(x);
	assert_int_equal(x->visited, 7);
}

/* Readers never get the file that somebody put there. */
static void
not_to_the_readers(void **state)
{
	struct box *x = *state;
	int fd;

	assert_int_not_equal(fd = journal_segment_fd(x->j, 0), -1);
	close(fd);
	in_box(x, "cp " LIVE " b && mv b " LIVE);
	assert_int_equal(journal_segment_fd(x->j, 0), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(journal_watch(x->j), -1);
	assert_int_equal(journal_repair(x->j), 0);
	assert_int_equal(journal_nsegments(x->j), 2);
	assert_int_not_equal(fd = journal_segment_fd(x->j, 0), -1);
	close(fd);
	assert_int_not_equal(fd = journal_segment_fd(x->j, 1), -1);
	close(fd);
}

/* What was done to the file while a rotation is due. */
static void
not_into_the_archive(void **state)
{
	struct box *x = *state;

	journal_rotate_soon(x->j);
	in_box(x, "mv " LIVE " b && echo junk > " LIVE);
	add(x, 1); /* that goes to the file that we hold */
	assert_int_not_equal(journal_state(x->j), JOURNAL_OK);
	assert_int_equal(journal_repair(x->j), 0);
	in_box(x, "! grep -rl junk archive");
	in_box(x, "grep -rq junk recovered");
	journal_close(x->j);
	open_it(x);
	assert_int_equal(x->visited, 7);
}

static void
is_fatal(struct box *x, const char *act)
{
	in_box(x, act);
	assert_int_equal(journal_watch(x->j), -1);
	assert_int_equal(journal_repair(x->j), -1);
	assert_int_equal(journal_state(x->j), JOURNAL_DAMAGED);
	assert_non_null(strstr(journal_why(x->j), "not on the disk"));
	assert_int_equal(journal_repair(x->j), -1);
}

static void
truncated(void **state)
{
	is_fatal(*state, "truncate -s 100 " LIVE);
}

static void
emptied(void **state)
{
	is_fatal(*state, ": > " LIVE);
}

static void
overwritten(void **state)
{
	is_fatal(*state,
	    "printf X | dd of=" LIVE " conv=notrunc bs=1 seek=40 status=none");
}

static void
deleted_and_overwritten(void **state)
{
	is_fatal(*state, "exec 3<>" LIVE "; rm " LIVE "; printf 'XX' >&3");
}

/* Our own call, though in vain, is nobody else's hand. */
static void
no_space_for_the_reserve(void **state)
{
	struct box *x = *state;

	io.fallocate = full_disk;
	assert_int_equal(journal_room(x->j, 1u << 20), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(journal_watch(x->j), 0);
	assert_int_equal(journal_state(x->j), JOURNAL_OK);
	add(x, 3); /* into what is reserved */
	assert_int_equal(journal_watch(x->j), 0);
	io.fallocate = jio_real.fallocate;
	assert_int_equal(journal_room_again(x->j, 1u << 20), 0);
	add(x, 1);
	assert_int_equal(journal_watch(x->j), 0);
	journal_close(x->j);
	open_it(x);
	assert_int_equal(x->visited, 9);
	assert_string_equal(x->event, "");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(deleted),
		T(renamed),
		T(replaced_by_a_copy),
		T(replaced_by_junk),
		T(replaced_by_a_folder),
		T(replaced_by_a_link),
		T(grown),
		T(touched),
		T(an_empty_one),
		T(seen_by_a_commit),
		T(not_to_the_readers),
		T(not_into_the_archive),
		T(truncated),
		T(emptied),
		T(overwritten),
		T(deleted_and_overwritten),
		T(no_space_for_the_reserve),
	};
#undef T

	log_init("test");
	log_set_level(LOG_L_ERROR);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
