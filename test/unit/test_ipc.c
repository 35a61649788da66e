/* SPDX-License-Identifier: ISC */
/*
 * What a channel does with a peer that breaks the rules: on every channel
 * there is (each of proc_channels both ways, and the parent's to each worker),
 * frames that are truncated, oversized, of a wrong type, in a wrong state,
 * with too many, too few or the wrong descriptors must close the channel as a
 * violation, must never reach a handler and must not leak a descriptor.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ipc.h"
#include "common/messages.h"
#include "common/util.h"

#define MEMFD_FLAG 1u /* F_MEMFD of ipc.c: part of the wire format */
#define ALL_SEALS  (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct hdr {
	uint16_t type, flags;
	uint32_t len;
	uint64_t id;
};

/* One end is an ipc under test, the other a bare socket that misbehaves. */
struct rig {
	struct ipc *c;
	enum proc_role self, peer;
	int raw;
	unsigned delivered, lost;
	enum ipc_lost how;
	uint64_t last_id;
	size_t last_len;
	uint8_t last_sum;
	char why[80];
};

static uint8_t junk[IPC_FRAME_MAX + 4096];

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return (n);
}

static void
on_any(struct ipc *c, struct ipc_msg *m, void *arg)
{
	struct rig *r = arg;
	size_t i;

	r->delivered++;
	r->last_id = m->id;
	r->last_len = m->len;
	r->last_sum = 0;
	for (i = 0; i < m->len; i++)
		r->last_sum = (uint8_t)(r->last_sum + m->body[i]);
}

static void
on_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
	struct rig *r = arg;

	r->lost++;
	r->how = how;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
}

static struct ipc *
make_ipc(int fd, enum proc_role self, enum proc_role peer, struct rig *r)
{
	struct ipc_route routes[MSG_MAX];
	struct ipc *c;
	unsigned t;

	for (t = 0; t < MSG_MAX; t++) {
		routes[t].type = t;
		routes[t].fn = on_any;
	}
	c = ipc_new(NULL, fd, self, peer, 0, routes, MSG_MAX, on_lost, r);
	assert_non_null(c);
	ipc_set_state(c, PS_RUN);
	return (c);
}

static void
rig_up(struct rig *r, enum proc_role self, enum proc_role peer)
{
	int sv[2], big = 1 << 20;

	memset(r, 0, sizeof(*r));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     sv),
	    0);
	(void)setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	r->self = self;
	r->peer = peer;
	r->raw = sv[1];
	r->c = make_ipc(sv[0], self, peer, r);
}

static void
rig_down(struct rig *r)
{
	ipc_free(r->c);
	(void)close(r->raw);
}

/* See send_raw(). */
static int rest_fd = -1;

/*
 * Sends one raw frame with nfds copies of the descriptor fd, or with fd and
 * then copies of rest_fd if there is one.
 */
static void
send_raw(int s, const struct hdr *h, size_t hlen, size_t blen, int fd,
    unsigned nfds)
{
	union {
		char b[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)h, .iov_len = hlen },
		{ .iov_base = junk, .iov_len = blen },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cm;
	unsigned i;

	if (nfds > 0) {
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.b;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(cm) + i * sizeof(int),
			    i > 0 && rest_fd != -1 ? &rest_fd : &fd,
			    sizeof(int));
	}
	assert_int_equal(sendmsg(s, &mh, MSG_NOSIGNAL), (ssize_t)(hlen + blen));
}

static int
memfd_of(size_t len, unsigned seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	if (seals != 0)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return (fd);
}

/*
 * Sends the frame on a fresh channel and expects a violation, no delivery and
 * every descriptor closed again.
 */
static void
expect_refused(enum proc_role self, enum proc_role peer, uint32_t state,
    const struct hdr *h, size_t hlen, size_t blen, int fd, unsigned nfds)
{
	struct rig r;
	int before = count_fds();

	rig_up(&r, self, peer);
	ipc_set_state(r.c, state);
	send_raw(r.raw, h, hlen, blen, fd, nfds);
	(void)ipc_recv_blocking(r.c, 1000);
	if (r.delivered != 0 || r.lost != 1 || r.how != IPC_VIOLATION)
		fail_msg("%s from %s to %s, len %u, %zu+%zu bytes, %u fds: "
			 "delivered %u, lost %u, how %d (%s)",
		    msg_name(h->type), proc_name(peer), proc_name(self), h->len,
		    hlen, blen, nfds, r.delivered, r.lost, (int)r.how, r.why);
	rig_down(&r);
	assert_int_equal(count_fds(), before);
}

static void
expect_taken(enum proc_role self, enum proc_role peer, const struct hdr *h,
    size_t blen, int fd, unsigned nfds)
{
	struct rig r;
	int before = count_fds();

	rig_up(&r, self, peer);
	send_raw(r.raw, h, sizeof(*h), blen, fd, nfds);
	assert_int_equal(ipc_recv_blocking(r.c, 1000), 0);
	if (r.delivered != 1 || r.lost != 0 || r.last_len != h->len)
		fail_msg("good %s from %s was refused: %s", msg_name(h->type),
		    proc_name(peer), r.why);
	rig_down(&r);
	assert_int_equal(count_fds(), before);
}

/* Calls fn(self, peer) for each direction of each channel. */
static void
each_channel(void (*fn)(enum proc_role, enum proc_role))
{
	unsigned i;

	assert_true(proc_nchannels >= 7);
	for (i = 0; i < proc_nchannels; i++) {
		fn(proc_channels[i].a, proc_channels[i].b);
		fn(proc_channels[i].b, proc_channels[i].a);
	}
	for (i = PROC_PARENT + 1; i < PROC_MAX; i++) {
		fn((enum proc_role)i, PROC_PARENT);
		fn(PROC_PARENT, (enum proc_role)i);
	}
}

static int
allowed(const struct msg_rule *ru, enum proc_role self, enum proc_role peer)
{
	return (ru != NULL && (ru->from & PROC_BIT(peer)) != 0 &&
	    (ru->to & PROC_BIT(self)) != 0);
}

/* ---- the cases ---- */

static void
short_frames(enum proc_role self, enum proc_role peer)
{
	struct hdr h = { .type = MSG_PING, .len = 8 };
	size_t n;

	for (n = 1; n < sizeof(h); n++)
		expect_refused(self, peer, PS_RUN, &h, n, 0, -1, 0);
}

static void
wrong_types(enum proc_role self, enum proc_role peer)
{
	const struct msg_rule *ru;
	struct hdr h = { 0 };
	unsigned t;

	for (t = 0; t < MSG_MAX + 3; t++) {
		ru = msg_rule(t);
		if (allowed(ru, self, peer))
			continue;
		h.type = (uint16_t)t;
		h.len = ru != NULL ? ru->min : 0;
		expect_refused(self, peer, PS_RUN, &h, sizeof(h), h.len, 0,
		    ru != NULL ? ru->nfds : 0);
	}
	h.type = UINT16_MAX;
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, -1, 0);
}

static void
sizes_of(enum proc_role self, enum proc_role peer, const struct msg_rule *ru)
{
	struct hdr h = { .type = (uint16_t)ru->type };

	if (ru->min > 0) {
		h.len = ru->min - 1;
		expect_refused(self, peer, PS_RUN, &h, sizeof(h), h.len, 0,
		    ru->nfds);
	}
	if (ru->max < IPC_BODY_MAX) {
		h.len = ru->max + 1;
		expect_refused(self, peer, PS_RUN, &h, sizeof(h), h.len, 0,
		    ru->nfds);
	}
	h.len = ru->min + 1; /* says one more than there is */
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), ru->min, 0, ru->nfds);
	h.len = ru->min; /* one more than it says */
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), ru->min + 1u, 0,
	    ru->nfds);
	h.len = UINT32_MAX;
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), ru->min, 0, ru->nfds);
	if (ru->max >= IPC_BODY_MAX) {
		h.len = IPC_BODY_MAX; /* right but for what was cut off */
		expect_refused(self, peer, PS_RUN, &h, sizeof(h),
		    IPC_BODY_MAX + 100, 0, ru->nfds);
	}
	h.len = ru->min; /* more than any frame may have */
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), IPC_FRAME_MAX, 0,
	    ru->nfds);
}

static void
fds_of(enum proc_role self, enum proc_role peer, const struct msg_rule *ru)
{
	struct hdr h = { .type = (uint16_t)ru->type, .len = ru->min };
	unsigned n;

	for (n = 0; n <= IPC_FDS_MAX + 4; n++) {
		if (n == ru->nfds)
			expect_taken(self, peer, &h, h.len, 0, n);
		else
			expect_refused(self, peer, PS_RUN, &h, sizeof(h), h.len,
			    0, n);
	}
}

static void
memfds_of(enum proc_role self, enum proc_role peer, const struct msg_rule *ru)
{
	struct hdr h = { .type = (uint16_t)ru->type,
		.flags = MEMFD_FLAG,
		.len = ru->min + 1 };
	unsigned n = ru->nfds + 1u;
	int fd;

	fd = memfd_of(h.len, ALL_SEALS);
	if (!ru->memfd_ok) {
		expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n);
		(void)close(fd);
		return;
	}
	rest_fd = 0;
	expect_taken(self, peer, &h, 0, fd, n);
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 1, fd, n);
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n - 1);
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n + 1);
	h.len++; /* longer than the file: reading it would be SIGBUS */
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n);
	h.len--;
	h.flags |= 0x8000;
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n);
	h.flags = MEMFD_FLAG;
	(void)close(fd);
	fd = memfd_of(h.len, ALL_SEALS & ~(unsigned)F_SEAL_WRITE);
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n);
	(void)close(fd);
	fd = memfd_of(h.len, F_SEAL_WRITE);
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, fd, n);
	(void)close(fd);
	/* not a memfd at all */
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), 0, 0, n);
	rest_fd = -1;
}

static void
states_of(enum proc_role self, enum proc_role peer, const struct msg_rule *ru)
{
	static const uint32_t states[] = { PS_SETUP, PS_RUN, PS_DRAIN };
	struct hdr h = { .type = (uint16_t)ru->type, .len = ru->min };
	size_t i;

	for (i = 0; i < AX_NELEM(states); i++) {
		if ((ru->states & states[i]) == 0)
			expect_refused(self, peer, states[i], &h, sizeof(h),
			    h.len, 0, ru->nfds);
	}
}

static void
flags_of(enum proc_role self, enum proc_role peer, const struct msg_rule *ru)
{
	struct hdr h = { .type = (uint16_t)ru->type, .len = ru->min };

	h.flags = 2;
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), h.len, 0, ru->nfds);
	h.flags = UINT16_MAX;
	expect_refused(self, peer, PS_RUN, &h, sizeof(h), h.len, 0, ru->nfds);
}

static void (
    *per_rule)(enum proc_role, enum proc_role, const struct msg_rule *);

static void
run_rules(enum proc_role self, enum proc_role peer)
{
	const struct msg_rule *ru;
	unsigned t, n = 0;

	for (t = 0; t < MSG_MAX; t++) {
		ru = msg_rule(t);
		if (!allowed(ru, self, peer) || (ru->states & PS_RUN) == 0)
			continue;
		per_rule(self, peer, ru);
		n++;
	}
	assert_true(n > 0); /* a channel on which nothing may be said */
}

static void
test_truncated(void **st)
{
	each_channel(short_frames);
}

static void
test_wrong_type(void **st)
{
	each_channel(wrong_types);
}

static void
test_wrong_size(void **st)
{
	per_rule = sizes_of;
	each_channel(run_rules);
}

static void
test_wrong_fds(void **st)
{
	per_rule = fds_of;
	each_channel(run_rules);
}

static void
test_bad_memfd(void **st)
{
	per_rule = memfds_of;
	each_channel(run_rules);
}

static void
test_wrong_state(void **st)
{
	per_rule = states_of;
	each_channel(run_rules);
}

static void
test_unknown_flags(void **st)
{
	per_rule = flags_of;
	each_channel(run_rules);
}

static void
test_eof(void **st)
{
	struct rig r;

	rig_up(&r, PROC_AUDIT, PROC_HTTP);
	assert_int_equal(shutdown(r.raw, SHUT_RDWR), 0);
	(void)ipc_recv_blocking(r.c, 1000);
	assert_int_equal(r.lost, 1);
	assert_int_equal(r.how, IPC_EOF);
	rig_down(&r);
}

/* Both ends real: bodies of every kind arrive as sent, in order. */
static void
test_round_trip(void **st)
{
	static const size_t sizes[] = { 26, 27, 4096, IPC_BODY_MAX - 1,
		IPC_BODY_MAX, IPC_BODY_MAX + 1, 1 << 20, IPC_BIG_MAX };
	struct rig in, out;
	uint8_t *body = malloc(IPC_BIG_MAX + 1), sum;
	int sv[2], before = count_fds();
	size_t i, k;

	assert_non_null(body);
	memset(&in, 0, sizeof(in));
	memset(&out, 0, sizeof(out));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     sv),
	    0);
	in.c = make_ipc(sv[0], PROC_AUDIT, PROC_HTTP, &in);
	out.c = make_ipc(sv[1], PROC_HTTP, PROC_AUDIT, &out);
	for (i = 0; i < AX_NELEM(sizes); i++) {
		for (k = 0, sum = 0; k < sizes[i]; k++) {
			body[k] = (uint8_t)(k * 7 + i);
			sum = (uint8_t)(sum + body[k]);
		}
		assert_int_equal(ipc_send(out.c, MSG_GATE_REQUEST, i + 1, body,
				     sizes[i]),
		    0);
		assert_int_equal(ipc_recv_blocking(in.c, 1000), 0);
		assert_int_equal(in.last_id, i + 1);
		assert_int_equal(in.last_len, sizes[i]);
		assert_int_equal(in.last_sum, sum);
	}
	assert_int_equal(ipc_send(out.c, MSG_GATE_REQUEST, 1, body,
			     IPC_BIG_MAX + 1),
	    -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(in.lost + out.lost, 0);
	ipc_free(in.c);
	ipc_free(out.c);
	free(body);
	assert_int_equal(count_fds(), before);
}

/* A peer that does not read: a bound, then ENOBUFS; nothing is lost of what
 * was taken. */
static void
test_full_queue(void **st)
{
	struct rig in, out;
	uint64_t sent = 0;
	int sv[2];

	memset(&in, 0, sizeof(in));
	memset(&out, 0, sizeof(out));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     sv),
	    0);
	in.c = make_ipc(sv[0], PROC_AUDIT, PROC_HTTP, &in);
	out.c = make_ipc(sv[1], PROC_HTTP, PROC_AUDIT, &out);
	while (ipc_send(out.c, MSG_GATE_REQUEST, sent + 1, junk, 64) == 0) {
		sent++;
		assert_true(sent < 4 * IPC_HARD_CAP);
		if (ipc_queued(out.c) == IPC_HIGH_MARK)
			assert_true(ipc_congested(out.c));
	}
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(ipc_queued(out.c), IPC_HARD_CAP);
	while (in.delivered < sent) {
		(void)ipc_flush_blocking(out.c, 0);
		assert_int_equal(ipc_recv_blocking(in.c, 1000), 0);
		assert_int_equal(in.last_id, in.delivered);
	}
	assert_false(ipc_congested(out.c));
	assert_int_equal(ipc_queued(out.c), 0);
	ipc_free(in.c);
	ipc_free(out.c);
}

/* Every fd handed to ipc_send_fds() is closed here, whatever becomes of it. */
static void
test_sent_fds_are_closed(void **st)
{
	struct rig r;
	int before = count_fds(), fds[IPC_FDS_MAX + 1];
	unsigned i;

	rig_up(&r, PROC_BROKER, PROC_LAUNCHER);
	for (i = 0; i < IPC_FDS_MAX; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ipc_send_fds(r.c, MSG_LAUNCH, 1, junk, 38, fds,
			     IPC_FDS_MAX),
	    0);
	for (i = 0; i < IPC_FDS_MAX; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ipc_violation(r.c, "test");
	assert_int_equal(ipc_send_fds(r.c, MSG_LAUNCH, 1, junk, 38, fds,
			     IPC_FDS_MAX),
	    -1);
	assert_int_equal(errno, EPIPE);
	rig_down(&r);
	assert_int_equal(count_fds(), before);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_wrong_type),
		cmocka_unit_test(test_wrong_size),
		cmocka_unit_test(test_wrong_fds),
		cmocka_unit_test(test_bad_memfd),
		cmocka_unit_test(test_wrong_state),
		cmocka_unit_test(test_unknown_flags),
		cmocka_unit_test(test_eof),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_sent_fds_are_closed),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
