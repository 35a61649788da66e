/* SPDX-License-Identifier: ISC */
/*
 * The message reader under hostile input. The first byte chooses: a decoder of
 * a shared body, a sequence of single reads, or raw frames into a live channel
 * end, where the rules of messages.c must hold before any handler runs.
 */
#include <sys/socket.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/log.h"
#include "common/messages.h"
#include "common/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Reads as the script's bytes say; strings must end in a NUL in the frame. */
static void
read_script(const uint8_t *d, size_t n)
{
	const uint8_t *script = d, *end;
	size_t k = n / 4, len;
	const char *s;
	struct msg_r r;

	end = d + k;
	mr_init(&r, d + k, n - k);
	for (; script < end; script++) {
		switch (*script % 8) {
		case 0:
			(void)mr_u8(&r);
			break;
		case 1:
			(void)mr_u16(&r);
			break;
		case 2:
			(void)mr_u32(&r);
			break;
		case 3:
			(void)mr_u64(&r);
			break;
		case 4:
			(void)mr_i32(&r);
			break;
		case 5:
			if ((s = mr_str(&r)) != NULL && strlen(s) > n)
				abort();
			break;
		case 6:
			if (mr_str_req(&r) == NULL)
				abort();
			break;
		default:
			if (mr_blob(&r, &len) != NULL && len > n)
				abort();
		}
	}
	if (r.bad && mr_end(&r) == 0)
		abort();
}

struct seen {
	enum proc_role self, peer;
};

/* What reaches a handler must satisfy its row. */
static void
on_any(struct ipc *c, struct ipc_msg *m, void *arg)
{
	const struct msg_rule *ru = msg_rule(m->type);
	const struct seen *s = arg;
	volatile uint8_t sum = 0;
	size_t i;

	if (ru == NULL || (ru->from & PROC_BIT(s->peer)) == 0 ||
	    (ru->to & PROC_BIT(s->self)) == 0 || m->len < ru->min ||
	    m->len > ru->max || m->nfds != ru->nfds)
		abort();
	for (i = 0; i < m->len; i++)
		sum = (uint8_t)(sum + m->body[i]);
}

static void
on_lost(struct ipc *c, enum ipc_lost how, const char *why, void *arg)
{
}

/* u8 channel, then frames: u16 length, bytes. */
static void
feed_channel(const uint8_t *d, size_t n)
{
	struct ipc_route routes[MSG_MAX];
	struct seen s;
	struct ipc *c;
	uint16_t len;
	unsigned t;
	int sv[2];

	if (n < 1 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == -1)
		return;
	t = d[0] % (proc_nchannels * 2);
	s.self = t & 1 ? proc_channels[t / 2].a : proc_channels[t / 2].b;
	s.peer = t & 1 ? proc_channels[t / 2].b : proc_channels[t / 2].a;
	for (t = 0; t < MSG_MAX; t++) {
		routes[t].type = t;
		routes[t].fn = on_any;
	}
	c = ipc_new(NULL, sv[0], s.self, s.peer, 0, routes, MSG_MAX, on_lost,
	    &s);
	if (c == NULL)
		abort();
	ipc_set_state(c, PS_RUN);
	for (d++, n--; n >= 2; d += len, n -= len) {
		memcpy(&len, d, 2);
		d += 2;
		n -= 2;
		if (len > n)
			len = (uint16_t)n;
		if (send(sv[1], d, len, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 ||
		    ipc_recv_blocking(c, 0) == -1)
			break;
	}
	ipc_free(c);
	(void)close(sv[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct gate_request rq;
	struct gate_result rs;
	struct exec_request er;
	struct exec_done ed;
	struct query_args qa;

	if (n < 1)
		return (0);
	switch (d[0] % 7) {
	case 0:
		(void)gate_request_get(d + 1, n - 1, &rq);
		break;
	case 1:
		(void)gate_result_get(d + 1, n - 1, &rs);
		break;
	case 2:
		(void)exec_request_get(d + 1, n - 1, &er);
		break;
	case 3:
		(void)exec_done_get(d + 1, n - 1, &ed);
		break;
	case 4:
		(void)query_args_get(d + 1, n - 1, &qa);
		break;
	case 5:
		read_script(d + 1, n - 1);
		break;
	default:
		feed_channel(d + 1, n - 1);
	}
	return (0);
}
