/* SPDX-License-Identifier: ISC */
/*
 * archillx-archiver: one-shot. Gets a closed segment and an empty file as two
 * descriptors, compresses the one into the other, reads it back, tells the
 * parent, ends when the parent hangs up. It has no channel to anybody else and
 * no folder at all, and stands back for everybody who wants the processor or
 * the disk.
 */
#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "workers/archiver/pack.h"
#include "workers/worker.h"

#define NICE 10
/* ioprio_set(2) has no header: best effort, lowest. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_BE_LOWEST   (2 << 13 | 7)

static struct {
	struct worker *w;
	int in, out;
	uint64_t segment;
	struct pack *pack;
	struct event *next;
} X = { .in = -1, .out = -1 };

static void
archiver_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	int64_t n;

	if (kind == RES_ARCHIVE_IN && X.in == -1 &&
	    ax_strtonum(name, 1, INT64_MAX, &n) == 0) {
		X.segment = (uint64_t)n;
		X.in = fd;
	} else if (kind == RES_ARCHIVE_OUT && X.out == -1)
		X.out = fd;
	else
		(void)close(fd);
}

static void
archiver_start(struct worker *w)
{
	X.w = w;
	if (X.in == -1 || X.out == -1)
		fatalx("set-up: no segment or no file");
	if (setpriority(PRIO_PROCESS, 0, NICE) == -1 ||
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BE_LOWEST) ==
		-1)
		log_warn("priority");
	/* Here, because libcrypto reads a file of its own first. */
	if ((X.pack = pack_new(X.in, X.out)) == NULL)
		fatal("set-up");
}

static void
report(const char *error)
{
	struct buf b = BUF_INITIALIZER;

	mw_u64(&b, X.segment);
	mw_u8(&b, error == NULL);
	mw_u64(&b, pack_text_size(X.pack));
	mw_u64(&b, pack_file_size(X.pack));
	mw_str(&b, error != NULL ? error : "");
	if (ipc_send_buf(X.w->parent, MSG_ARCHIVED, 0, &b) == -1)
		fatal("answer to the parent");
	buf_free(&b);
	(void)close(X.in);
	(void)close(X.out);
}

static void
next_piece(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0, 0 };
	int r = pack_step(X.pack);

	if (r == 1 && evtimer_add(X.next, &now) == 0)
		return;
	if (r == 0)
		report(NULL);
	else
		report(errno == EBADMSG ? "what was read back is not the text" :
					  strerror(errno));
}

static void
archiver_confined(struct worker *w)
{
	static const struct timeval now = { 0, 0 };

	X.next = evtimer_new(w->base, next_piece, NULL);
	if (X.next == NULL || evtimer_add(X.next, &now) == -1)
		fatalx("event_new");
}

/* A file and a frame: nothing is opened, nothing has a name. */
static const int extra_syscalls[] = { SYS_pread64, SYS_fdatasync, SYS_fadvise64,
	SYS_newfstatat, -1 };

static const struct worker_ops ops = {
	.role = PROC_ARCHIVER,
	.resource = archiver_resource,
	.start = archiver_start,
	.confined = archiver_confined,
	.extra_syscalls = extra_syscalls,
	.rlimit_fsize = UINT64_MAX,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops, NULL));
}
