/* SPDX-License-Identifier: ISC */
#ifndef AX_IPC_H
#define AX_IPC_H

#include <stddef.h>
#include <stdint.h>
#include "buf.h"
#include "messages.h"

/*
 * Channels: SOCK_SEQPACKET socketpairs, one frame a message, at most
 * IPC_FRAME_MAX bytes; a larger body travels as a sealed memfd and arrives
 * mapped read-only. Each frame is checked against its row in messages.c before
 * any handler sees it. Identity is the channel, never the header.
 */

#define IPC_FRAME_MAX 16384
#define IPC_BODY_MAX  (IPC_FRAME_MAX - 16) /* inline */
#define IPC_BIG_MAX   (8u << 20)	   /* memfd */
#define IPC_FDS_MAX   4
#define IPC_HIGH_MARK 1024 /* queued frames: ipc_congested() becomes true */
#define IPC_HARD_CAP  8192 /* queued frames: ipc_send() fails with ENOBUFS */

struct event_base;
struct ipc;

struct ipc_msg {
	enum msg_type type;
	uint64_t id; /* request id; answers carry the request's */
	const uint8_t *body;
	size_t len;
	int fds[IPC_FDS_MAX]; /* a handler that keeps one sets it to -1 */
	unsigned nfds;
};

/* Called once per good frame. The body lives until it returns. */
typedef void (*ipc_handler)(struct ipc *, struct ipc_msg *, void *arg);

struct ipc_route {
	enum msg_type type;
	ipc_handler fn;
};

enum ipc_lost { IPC_EOF, IPC_VIOLATION, IPC_ERROR };
/* The channel is dead already; the callback frees it with ipc_free(). */
typedef void (
    *ipc_lost_fn)(struct ipc *, enum ipc_lost, const char *why, void *arg);

/*
 * Takes over fd (made non-blocking). `self` receives, `peer`/`instance` sends.
 * `routes` must have a row for each type that messages.c lets peer send to
 * self, else this is a broken invariant: fatalx(). base NULL: no events,
 * use ipc_recv_blocking()/ipc_flush_blocking() (worker set-up only).
 */
struct ipc *ipc_new(struct event_base *base, int fd, enum proc_role self,
    enum proc_role peer, unsigned instance, const struct ipc_route *routes,
    size_t nroutes, ipc_lost_fn lost, void *arg);
void ipc_attach(struct ipc *, struct event_base *);
void ipc_free(struct ipc *); /* closes; safe inside its own handlers */

/*
 * Queues one message and tries to send it at once. fds are dup'ed by the
 * kernel when sent and closed here in every case. -1 with ENOBUFS (queue
 * full), EMSGSIZE, EPIPE (dead) or ENOMEM; nothing was sent then.
 */
int ipc_send(struct ipc *, enum msg_type, uint64_t id, const void *body,
    size_t len);
int ipc_send_buf(struct ipc *, enum msg_type, uint64_t id, struct buf *);
int ipc_send_fds(struct ipc *, enum msg_type, uint64_t id, const void *body,
    size_t len, const int *fds, unsigned nfds);

enum proc_role ipc_peer(const struct ipc *);
unsigned ipc_instance(const struct ipc *);
void ipc_set_state(struct ipc *, uint32_t ps); /* PS_*: the receiver's life */
int ipc_congested(const struct ipc *);
size_t ipc_queued(const struct ipc *);
/* Closes the channel as if the peer had broken a rule; calls lost(). */
void ipc_violation(struct ipc *, const char *why);

/* Set-up only: waits for one frame and runs its handler; -1 on loss/timeout. */
int ipc_recv_blocking(struct ipc *, int timeout_ms);
int ipc_flush_blocking(struct ipc *, int timeout_ms);

#endif
