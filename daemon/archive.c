/* SPDX-License-Identifier: ISC */
/*
 * The archiver's life: audit hands over a closed segment and an empty file, the
 * parent starts the one-shot with these two and nothing else, and tells audit
 * how it ended once it is reaped, so that nobody can write to the file any
 * more. One at a time. Must never read or write the files itself, and never
 * pass on an answer to another life of audit than the one that asked.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "parent.h"

#define LIMIT_S 600

static struct {
	bool running; /* from MSG_ARCHIVE until it is reaped */
	int in, out;  /* -1 once it has them */
	uint64_t segment;
	uint64_t epoch; /* of the audit that asked */
	bool ok;	/* what it said */
	uint64_t text, file;
	char error[200];
	struct event *limit;
} job = { .in = -1, .out = -1 };

static void
close_fds(void)
{
	if (job.in != -1)
		(void)close(job.in);
	if (job.out != -1)
		(void)close(job.out);
	job.in = job.out = -1;
}

static void
tell_audit(uint64_t segment, bool ok, const char *error)
{
	struct proc *audit = proc_find(PROC_AUDIT, 0);
	struct buf b = BUF_INITIALIZER;

	if (audit == NULL || audit->chan == NULL)
		return;
	mw_u64(&b, segment);
	mw_u8(&b, ok);
	mw_u64(&b, ok ? job.text : 0);
	mw_u64(&b, ok ? job.file : 0);
	mw_str(&b, error);
	if (ipc_send_buf(audit->chan, MSG_ARCHIVED, 0, &b) == -1)
		log_warn("archive: answer to audit");
	buf_free(&b);
}

static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	(void)snprintf(job.error, sizeof(job.error),
	    "the archiver was not finished after %d s", LIMIT_S);
	job.ok = false;
	archive_kill();
}

static int
begin(struct proc *p)
{
	static const struct timeval limit = { LIMIT_S, 0 };

	if (job.limit == NULL)
		job.limit = evtimer_new(parent.base, too_late, NULL);
	if (job.limit == NULL || evtimer_add(job.limit, &limit) == -1)
		return (-1);
	job.running = true;
	job.ok = false;
	job.epoch = parent.epoch;
	(void)ax_strlcpy(job.error, "the archiver died", sizeof(job.error));
	proc_start(p);
	return (0);
}

void
archive_on_request(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = proc_find(PROC_ARCHIVER, 0);
	struct msg_r r;
	uint64_t segment;

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	if (mr_end(&r) == -1)
		return;
	if (parent.ending || job.running || p == NULL ||
	    p->state != PROC_DOWN) {
		tell_audit(segment, false, "another archiver is running");
		return;
	}
	job.segment = segment;
	job.in = m->fds[0];
	job.out = m->fds[1];
	m->fds[0] = m->fds[1] = -1;
	if (begin(p) == -1) {
		close_fds();
		tell_audit(segment, false, "out of memory");
	}
}

void
archive_equip(struct proc *p)
{
	char num[24];

	(void)snprintf(num, sizeof(num), "%" PRIu64, job.segment);
	if (job.in != -1 && job.out != -1) {
		equip_resource(p, RES_ARCHIVE_IN, num, job.in);
		equip_resource(p, RES_ARCHIVE_OUT, "", job.out);
	}
	close_fds();
}

/* Its word counts once it is gone: it ends when its channel ends. */
void
archive_on_answer(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct proc *p = proc_find(PROC_ARCHIVER, 0);
	struct msg_r r;
	const char *error;
	uint64_t segment;
	uint8_t ok;

	mr_init(&r, m->body, m->len);
	segment = mr_u64(&r);
	ok = mr_u8(&r);
	job.text = mr_u64(&r);
	job.file = mr_u64(&r);
	error = mr_str_req(&r);
	job.ok = mr_end(&r) == 0 && segment == job.segment && ok != 0;
	if (mr_end(&r) == 0 && !job.ok)
		(void)ax_strlcpy(job.error, error, sizeof(job.error));
	ipc_free(p->chan);
	p->chan = NULL;
	p->state = PROC_LOST;
}

void
archive_on_exit(const char *how)
{
	if (!job.running)
		return;
	job.running = false;
	(void)evtimer_del(job.limit);
	close_fds();
	if (parent.ending || job.epoch != parent.epoch)
		return;
	if (!job.ok)
		log_warnx("archive: segment %" PRIu64 ": %s (%s)", job.segment,
		    job.error, how);
	tell_audit(job.segment, job.ok, job.ok ? "" : job.error);
}

void
archive_kill(void)
{
	struct proc *p = proc_find(PROC_ARCHIVER, 0);

	if (job.running && p != NULL)
		proc_kill(p, SIGKILL);
}
