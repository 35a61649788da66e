/* SPDX-License-Identifier: ISC */
/*
 * One run: the descriptors of a sandbox, what comes out of it, its result.
 * Keeps the first bytes of each stream exactly and counts the rest, so that
 * memory is bounded by the limits, whatever a program writes.
 *
 * It must never wait for a pipe, and never look at what a program wrote.
 */
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/ipc.h"
#include "common/msg.h"
#include "common/util.h"
#include "bwrap.h"
#include "run.h"

#define CHUNK 65536
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct run *
run_new(uint64_t id, uint64_t permit, struct job *job)
{
	struct run *r;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		policy_job_free(job);
		return (NULL);
	}
	r->id = id;
	r->permit = permit;
	r->job = job;
	r->out.run = r->err.run = r;
	r->out.fd = r->err.fd = -1;
	r->out.max = job->max_stdout;
	r->err.max = job->max_stderr;
	r->out.kept = malloc(r->out.max + 1);
	r->err.kept = malloc(r->err.max + 1);
	if (r->out.kept == NULL || r->err.kept == NULL) {
		run_free(r);
		return (NULL);
	}
	return (r);
}

static void
capture_close(struct capture *c)
{
	if (c->ev != NULL)
		event_free(c->ev);
	c->ev = NULL;
	if (c->fd != -1)
		(void)close(c->fd);
	c->fd = -1;
}

void
run_free(struct run *r)
{
	capture_close(&r->out);
	capture_close(&r->err);
	free(r->out.kept);
	free(r->err.kept);
	policy_job_free(r->job);
	free(r);
}

/* ---- output ---- */

/* One read; false when there is nothing more now or ever. */
static bool
capture_read(struct capture *c)
{
	static char chunk[CHUNK];
	size_t room = c->max - c->len;
	ssize_t n;

	if (c->fd == -1)
		return (false);
	if ((n = read(c->fd, chunk, sizeof(chunk))) <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			capture_close(c);
		return (false);
	}
	c->total += (uint64_t)n;
	if (room > (size_t)n)
		room = (size_t)n;
	memcpy(c->kept + c->len, chunk, room);
	c->len += room;
	return (true);
}

static void
capture_event(evutil_socket_t fd, short what, void *arg)
{
	struct capture *c = arg;

	if (capture_read(c) && c->total > RUN_FLOOD &&
	    c->run->killed == END_OK) {
		c->run->killed = END_OUTPUT_LIMIT;
		c->run->flooded(c->run);
	}
}

/* The write end; the read end is watched. */
static int
capture_open(struct capture *c, struct event_base *base)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return (-1);
	c->fd = p[0];
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	c->ev = event_new(base, p[0], EV_READ | EV_PERSIST, capture_event, c);
	if (c->ev == NULL || event_add(c->ev, NULL) == -1) {
		(void)close(p[1]);
		errno = ENOMEM;
		return (-1);
	}
	return (p[1]);
}

/* ---- start ---- */

/* A file in memory that nobody can change any more, read from its start. */
static int
sealed(const char *name, const void *d, size_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return (-1);
	if ((n > 0 && ax_write_all(fd, d, n) == -1) ||
	    fcntl(fd, F_ADD_SEALS, SEALS) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

static int
job_memfd(const struct run *r, const struct run_env *e)
{
	struct buf b = BUF_INITIALIZER;
	int fd = -1;

	policy_encode(&b, r->job, e->filter, e->nfilter);
	if (b.err)
		errno = ENOMEM;
	else
		fd = sealed("ax-job", b.d, b.len);
	buf_free(&b);
	return (fd);
}

static int
send_launch(const struct run *r, const struct run_env *e, struct ipc *to,
    const int *fds)
{
	struct bwrap_view v = { e->runner, r->job->disk, r->job->host_path };
	struct buf b = BUF_INITIALIZER;
	struct bwrap_args a;
	unsigned i;
	int rc = -1;

	bwrap_args(&a, &v);
	mw_u64(&b, r->id);
	mw_u64(&b, e->epoch);
	mw_u64(&b, r->job->memory);
	mw_u32(&b, r->job->pids);
	mw_u32(&b, r->job->cpu_percent);
	mw_u32(&b, r->job->wall_ms);
	mw_u16(&b, (uint16_t)a.argc);
	for (i = 0; i < a.argc; i++)
		mw_str(&b, a.argv[i]);
	if (b.err) {
		for (i = 0; i < 4; i++)
			(void)close(fds[i]);
		errno = ENOMEM;
	} else
		rc = ipc_send_fds(to, MSG_LAUNCH, r->id, b.d, b.len, fds, 4);
	buf_free(&b);
	return (rc);
}

int
run_launch(struct run *r, const struct run_env *e, struct ipc *launcher,
    const char **what)
{
	int fds[4] = { -1, -1, -1, -1 }, save;
	unsigned i;

	*what = "job";
	if ((fds[0] = job_memfd(r, e)) == -1)
		goto fail;
	*what = "stdin";
	fds[1] = sealed("ax-stdin", r->job->input, r->job->input_len);
	if (fds[1] == -1)
		goto fail;
	*what = "pipes";
	if ((fds[2] = capture_open(&r->out, e->base)) == -1 ||
	    (fds[3] = capture_open(&r->err, e->base)) == -1)
		goto fail;
	*what = "LAUNCH";
	if (send_launch(r, e, launcher, fds) == -1)
		return (-1);
	r->running = true;
	return (0);
fail:
	save = errno;
	for (i = 0; i < AX_NELEM(fds); i++) {
		if (fds[i] != -1)
			(void)close(fds[i]);
	}
	errno = save;
	return (-1);
}

/* ---- the end ---- */

static void
drain(struct capture *c)
{
	while (c->total <= RUN_FLOOD && capture_read(c))
		;
	capture_close(c);
	c->kept[c->len] = '\0';
}

void
run_result(struct run *r, const struct run_exit *x, struct verdict *v,
    struct exec_done *d)
{
	struct verdict_facts f = { .wait_status = x->status,
		.hint = x->hint,
		.killed = r->killed,
		.wall_ms = r->job->wall_ms,
		.memory = r->job->memory,
		.pids = r->job->pids };

	drain(&r->out);
	drain(&r->err);
	f.stderr_text = r->err.kept;
	verdict_of(&f, v);
	d->permit = r->permit;
	d->state = v->state;
	d->exit_code = v->exit_code;
	d->signal = v->signal;
	d->wall_us = x->wall_us;
	d->cpu_us = x->cpu_us;
	d->peak_mem = x->peak;
	d->stdout_total = r->out.total;
	d->stderr_total = r->err.total;
	d->out = r->out.kept;
	d->out_len = r->out.len;
	d->err = r->err.kept;
	d->err_len = r->err.len;
	d->error = v->error[0] != '\0' ? v->error : NULL;
}
