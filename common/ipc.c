/* SPDX-License-Identifier: ISC */
/*
 * Channels between processes. One frame is one message:
 *
 *	u16 type, u16 flags, u32 body length, u64 request id, body
 *
 * in host order (both ends are one build). With F_MEMFD the body is not in the
 * frame but in the first descriptor, a sealed memfd. Receiving never blocks,
 * never allocates for the peer, and closes every descriptor it was not
 * promised. Nothing here knows what a message means.
 */
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc.h"
#include "log.h"

#define F_MEMFD	  1u
#define HDR_LEN	  16
#define BURST	  64 /* frames handled before other events get their turn */
#define MEM_SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct ipc_hdr {
	uint16_t type;
	uint16_t flags;
	uint32_t len;
	uint64_t id;
};

struct frame {
	STAILQ_ENTRY(frame) entry;
	struct ipc_hdr hdr;
	int fds[IPC_FDS_MAX + 1];
	unsigned nfds;
	size_t inline_len;
	uint8_t body[];
};

struct ipc {
	int fd;
	struct event_base *base;
	struct event *rev, *wev;
	enum proc_role self, peer;
	unsigned instance;
	uint32_t state;
	ipc_handler handlers[MSG_MAX];
	ipc_lost_fn lost;
	void *arg;
	STAILQ_HEAD(, frame) queue;
	size_t queued;
	unsigned busy; /* inside a handler */
	int dead;      /* lost() was called or is due */
	int freed;
};

static void ipc_readable(evutil_socket_t, short, void *);
static void ipc_writable(evutil_socket_t, short, void *);

static void
close_fds(int *fds, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (fds[i] != -1)
			(void)close(fds[i]);
		fds[i] = -1;
	}
}

/* Every type that the table lets peer send to self needs a handler. */
static void
ipc_check_routes(const struct ipc *c)
{
	const struct msg_rule *r;
	unsigned t;

	for (t = 0; t < MSG_MAX; t++) {
		if ((r = msg_rule(t)) == NULL ||
		    (r->from & PROC_BIT(c->peer)) == 0 ||
		    (r->to & PROC_BIT(c->self)) == 0)
			continue;
		if (c->handlers[t] == NULL)
			fatalx("ipc: %s has no handler for %s from %s",
			    proc_name(c->self), r->name, proc_name(c->peer));
	}
}

struct ipc *
ipc_new(struct event_base *base, int fd, enum proc_role self,
    enum proc_role peer, unsigned instance, const struct ipc_route *routes,
    size_t nroutes, ipc_lost_fn lost, void *arg)
{
	struct ipc *c;
	size_t i;
	int fl;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return (NULL);
	c->fd = fd;
	c->self = self;
	c->peer = peer;
	c->instance = instance;
	c->state = PS_SETUP;
	c->lost = lost;
	c->arg = arg;
	STAILQ_INIT(&c->queue);
	for (i = 0; i < nroutes; i++)
		c->handlers[routes[i].type] = routes[i].fn;
	ipc_check_routes(c);
	fl = fcntl(fd, F_GETFL);
	if (fl == -1 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) == -1) {
		free(c);
		return (NULL);
	}
	if (base != NULL)
		ipc_attach(c, base);
	return (c);
}

void
ipc_attach(struct ipc *c, struct event_base *base)
{
	c->base = base;
	c->rev = event_new(base, c->fd, EV_READ | EV_PERSIST, ipc_readable, c);
	c->wev = event_new(base, c->fd, EV_WRITE | EV_PERSIST, ipc_writable, c);
	if (c->rev == NULL || c->wev == NULL || event_add(c->rev, NULL) == -1)
		fatalx("ipc: cannot watch the channel to %s",
		    proc_name(c->peer));
	if (!STAILQ_EMPTY(&c->queue))
		(void)event_add(c->wev, NULL);
}

static void
frame_free(struct frame *f)
{
	close_fds(f->fds, f->nfds);
	explicit_bzero(f->body, f->inline_len);
	free(f);
}

static void
ipc_close(struct ipc *c)
{
	struct frame *f;

	if (c->rev != NULL)
		event_free(c->rev);
	if (c->wev != NULL)
		event_free(c->wev);
	c->rev = c->wev = NULL;
	if (c->fd != -1)
		(void)close(c->fd);
	c->fd = -1;
	while ((f = STAILQ_FIRST(&c->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->queue, entry);
		frame_free(f);
	}
	c->queued = 0;
}

void
ipc_free(struct ipc *c)
{
	if (c == NULL)
		return;
	ipc_close(c);
	c->dead = 1;
	if (c->busy) {
		c->freed = 1;
		return;
	}
	free(c);
}

static void
ipc_lose(struct ipc *c, enum ipc_lost how, const char *why)
{
	if (c->dead)
		return;
	c->dead = 1;
	ipc_close(c);
	if (c->lost != NULL)
		c->lost(c, how, why, c->arg);
}

void
ipc_violation(struct ipc *c, const char *why)
{
	c->busy++;
	ipc_lose(c, IPC_VIOLATION, why);
	if (--c->busy == 0 && c->freed)
		free(c);
}

enum proc_role
ipc_peer(const struct ipc *c)
{
	return (c->peer);
}

unsigned
ipc_instance(const struct ipc *c)
{
	return (c->instance);
}

void
ipc_set_state(struct ipc *c, uint32_t ps)
{
	c->state = ps;
}

int
ipc_congested(const struct ipc *c)
{
	return (c->queued >= IPC_HIGH_MARK);
}

size_t
ipc_queued(const struct ipc *c)
{
	return (c->queued);
}

/* ---- sending ---- */

/* A sealed memfd that holds the body; -1 with errno. */
static int
body_memfd(const void *body, size_t len)
{
	const uint8_t *p = body;
	ssize_t n;
	int fd;

	if ((fd = memfd_create("ax-body", MFD_CLOEXEC | MFD_ALLOW_SEALING)) ==
	    -1)
		return (-1);
	while (len > 0) {
		if ((n = write(fd, p, len)) == -1) {
			if (errno == EINTR)
				continue;
			(void)close(fd);
			return (-1);
		}
		p += n;
		len -= (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, MEM_SEALS) == -1) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

/* 1 sent, 0 would block, -1 dead. */
static int
frame_send(struct ipc *c, const struct ipc_hdr *hdr, const void *body,
    size_t inline_len, const int *fds, unsigned nfds)
{
	union {
		char b[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 1))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)hdr, .iov_len = HDR_LEN },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = inline_len },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cm;

	if (nfds > 0) {
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.b;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
	}
	while (sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) == -1) {
		if (errno == EINTR)
			continue;
		/* Not now: it stays queued until the socket takes it. */
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ||
		    errno == ETOOMANYREFS)
			return (0);
		return (-1);
	}
	return (1);
}

static int
frame_queue(struct ipc *c, const struct ipc_hdr *hdr, const void *body,
    size_t inline_len, int *fds, unsigned nfds)
{
	struct frame *f;

	if (c->queued >= IPC_HARD_CAP) {
		errno = ENOBUFS;
		return (-1);
	}
	if ((f = malloc(sizeof(*f) + inline_len)) == NULL)
		return (-1);
	f->hdr = *hdr;
	f->inline_len = inline_len;
	if (inline_len > 0)
		memcpy(f->body, body, inline_len);
	f->nfds = nfds;
	memcpy(f->fds, fds, sizeof(int) * nfds);
	STAILQ_INSERT_TAIL(&c->queue, f, entry);
	if (c->queued++ == 0 && c->wev != NULL)
		(void)event_add(c->wev, NULL);
	return (0);
}

static int
ipc_post(struct ipc *c, const struct ipc_hdr *hdr, const void *body,
    size_t inline_len, int *fds, unsigned nfds)
{
	int sent = 0;

	if (c->dead || c->fd == -1) {
		errno = EPIPE;
		goto fail;
	}
	if (STAILQ_EMPTY(&c->queue))
		sent = frame_send(c, hdr, body, inline_len, fds, nfds);
	if (sent == -1) {
		/* The read side will see the end and tell the owner. */
		errno = EPIPE;
		goto fail;
	}
	if (sent == 0) {
		if (frame_queue(c, hdr, body, inline_len, fds, nfds) == -1)
			goto fail;
		return (0);
	}
	close_fds(fds, nfds);
	return (0);
fail:
	close_fds(fds, nfds);
	return (-1);
}

int
ipc_send_fds(struct ipc *c, enum msg_type type, uint64_t id, const void *body,
    size_t len, const int *fds, unsigned nfds)
{
	struct ipc_hdr hdr = { .type = (uint16_t)type,
		.len = (uint32_t)len,
		.id = id };
	int all[IPC_FDS_MAX + 1], mem;
	unsigned n = 0;

	if (nfds > IPC_FDS_MAX) {
		errno = EMSGSIZE;
		return (-1);
	}
	if (nfds > 0)
		memcpy(all + 1, fds, sizeof(int) * nfds);
	if (len > IPC_BIG_MAX) {
		close_fds(all + 1, nfds);
		errno = EMSGSIZE;
		return (-1);
	}
	if (len <= IPC_BODY_MAX)
		return (ipc_post(c, &hdr, body, len, all + 1, nfds));
	if ((mem = body_memfd(body, len)) == -1) {
		close_fds(all + 1, nfds);
		return (-1);
	}
	hdr.flags = F_MEMFD;
	all[n++] = mem;
	return (ipc_post(c, &hdr, NULL, 0, all, n + nfds));
}

int
ipc_send(struct ipc *c, enum msg_type type, uint64_t id, const void *body,
    size_t len)
{
	return (ipc_send_fds(c, type, id, body, len, NULL, 0));
}

int
ipc_send_buf(struct ipc *c, enum msg_type type, uint64_t id, struct buf *b)
{
	if (b->err) {
		errno = ENOMEM;
		return (-1);
	}
	return (ipc_send(c, type, id, b->d, b->len));
}

/* Sends what waits; 0 when the socket is full or all is sent, -1 dead. */
static int
ipc_flush(struct ipc *c)
{
	struct frame *f;
	int sent;

	while ((f = STAILQ_FIRST(&c->queue)) != NULL) {
		sent = frame_send(c, &f->hdr, f->body, f->inline_len, f->fds,
		    f->nfds);
		if (sent == 0)
			return (0);
		if (sent == -1)
			return (-1);
		STAILQ_REMOVE_HEAD(&c->queue, entry);
		c->queued--;
		frame_free(f);
	}
	return (0);
}

static void
ipc_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;

	if (ipc_flush(c) == -1 || STAILQ_EMPTY(&c->queue))
		(void)event_del(c->wev);
}

/* ---- receiving ---- */

static unsigned
take_fds(struct msghdr *mh, int *fds, unsigned max, int *surplus)
{
	struct cmsghdr *cm;
	unsigned n = 0, i, k;
	int fd;

	*surplus = (mh->msg_flags & MSG_CTRUNC) != 0;
	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		k = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < k; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int),
			    sizeof(fd));
			if (n < max)
				fds[n++] = fd;
			else {
				(void)close(fd);
				*surplus = 1;
			}
		}
	}
	return (n);
}

/* Maps a body memfd after checking that nobody can change it any more. */
static const uint8_t *
map_body(int fd, uint32_t len)
{
	struct stat st;
	void *p;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals == -1 || (seals & MEM_SEALS) != MEM_SEALS)
		return (NULL);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)len || len == 0)
		return (NULL);
	p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	return (p == MAP_FAILED ? NULL : p);
}

/* The row's verdict on one frame; NULL if it may pass. */
static const char *
frame_check(const struct ipc *c, const struct ipc_hdr *h, size_t got,
    unsigned nfds)
{
	const struct msg_rule *r = msg_rule(h->type);
	int mem = (h->flags & F_MEMFD) != 0;

	if (r == NULL)
		return ("unknown message type");
	if ((h->flags & ~F_MEMFD) != 0)
		return ("unknown flags");
	if ((r->from & PROC_BIT(c->peer)) == 0 ||
	    (r->to & PROC_BIT(c->self)) == 0 || c->handlers[h->type] == NULL)
		return ("message not allowed on this channel");
	if ((r->states & c->state) == 0)
		return ("message not allowed in this state");
	if (h->len < r->min || h->len > r->max)
		return ("message of the wrong size");
	if (mem ? !r->memfd_ok : got - HDR_LEN != h->len)
		return ("frame and body disagree");
	if (mem && got != HDR_LEN)
		return ("frame and body disagree");
	if (nfds != (unsigned)r->nfds + (mem ? 1 : 0))
		return ("wrong number of descriptors");
	return (NULL);
}

static void
frame_deliver(struct ipc *c, const struct ipc_hdr *h, const uint8_t *inl,
    int *fds, unsigned nfds)
{
	struct ipc_msg m = { .type = (enum msg_type)h->type,
		.id = h->id,
		.len = h->len,
		.body = inl };
	const uint8_t *mapped = NULL;
	unsigned skip = 0;

	if (h->flags & F_MEMFD) {
		mapped = map_body(fds[0], h->len);
		(void)close(fds[0]);
		fds[0] = -1;
		if (mapped == NULL) {
			close_fds(fds, nfds);
			ipc_lose(c, IPC_VIOLATION, "body memfd is not sealed");
			return;
		}
		m.body = mapped;
		skip = 1;
	}
	m.nfds = nfds - skip;
	memcpy(m.fds, fds + skip, sizeof(int) * m.nfds);
	c->handlers[h->type](c, &m, c->arg);
	close_fds(m.fds, m.nfds);
	if (mapped != NULL)
		(void)munmap((void *)(uintptr_t)mapped, h->len);
}

/* Reads and handles one frame: 1 done, 0 nothing there, -1 lost. */
static int
ipc_one(struct ipc *c)
{
	static uint8_t rx[IPC_FRAME_MAX] __attribute__((aligned(16)));
	union {
		char b[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 2))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = rx, .iov_len = sizeof(rx) };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.b,
		.msg_controllen = sizeof(ctl.b) };
	int fds[IPC_FDS_MAX + 1], surplus;
	struct ipc_hdr h;
	const char *why;
	unsigned nfds;
	ssize_t n;

	n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n == -1) {
		/* It is still there to be read. */
		if (errno == EAGAIN || errno == EINTR || errno == ENOMEM ||
		    errno == ENOBUFS)
			return (0);
		ipc_lose(c, errno == ECONNRESET ? IPC_EOF : IPC_ERROR,
		    strerror(errno));
		return (-1);
	}
	nfds = take_fds(&mh, fds, IPC_FDS_MAX + 1, &surplus);
	if (n == 0 && nfds == 0) {
		ipc_lose(c, IPC_EOF, "closed by the peer");
		return (-1);
	}
	if (surplus)
		why = "surplus descriptors";
	else if ((mh.msg_flags & MSG_TRUNC) != 0)
		why = "frame too long";
	else if (n < HDR_LEN)
		why = "frame too short";
	else {
		memcpy(&h, rx, HDR_LEN);
		why = frame_check(c, &h, (size_t)n, nfds);
	}
	if (why != NULL) {
		close_fds(fds, nfds);
		ipc_lose(c, IPC_VIOLATION, why);
		return (-1);
	}
	frame_deliver(c, &h, rx + HDR_LEN, fds, nfds);
	return (c->dead ? -1 : 1);
}

static void
ipc_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;
	unsigned i;

	c->busy++;
	for (i = 0; i < BURST && !c->dead; i++) {
		if (ipc_one(c) != 1)
			break;
	}
	if (--c->busy == 0 && c->freed)
		free(c);
}

/* ---- set-up ---- */

int
ipc_recv_blocking(struct ipc *c, int timeout_ms)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	int n;

	do
		n = poll(&pfd, 1, timeout_ms);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		if (n == 0)
			errno = ETIMEDOUT;
		return (-1);
	}
	c->busy++;
	n = ipc_one(c);
	if (--c->busy == 0 && c->freed) {
		free(c);
		return (-1);
	}
	return (n == -1 ? -1 : 0);
}

int
ipc_flush_blocking(struct ipc *c, int timeout_ms)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLOUT };

	while (ipc_flush(c) == 0 && !STAILQ_EMPTY(&c->queue)) {
		if (poll(&pfd, 1, timeout_ms) <= 0)
			return (-1);
	}
	return (STAILQ_EMPTY(&c->queue) ? 0 : -1);
}
