/* SPDX-License-Identifier: ISC */
/*
 * The server around the connections: accepting, the cap, one periodic timer
 * that looks at all deadlines (a timer per connection would cost system calls
 * and a heap operation per request), the date, draining. It must never stop
 * accepting for good because descriptors or memory ran out for a moment.
 */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/http/conn.h"
#include "workers/http/server.h"

#define TICK_US	    250000
#define ACCEPT_TURN 64

/* ---- date and request ids ---- */

static void
date_update(struct http_server *s)
{
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT",
		    &tm);
}

void
server_uuid(struct http_server *s, char out[37])
{
	static const char hex[] = "0123456789abcdef";
	/* Where the groups end: 8-4-4-4-12. */
	static const uint8_t dash[16] = { 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1 };
	uint8_t *r;
	size_t i;

	if (s->random_left < 16) {
		ax_random(s->random, sizeof(s->random));
		s->random_left = sizeof(s->random);
	}
	s->random_left -= 16;
	r = s->random + s->random_left;
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	for (i = 0; i < 16; i++) {
		if (dash[i])
			*out++ = '-';
		*out++ = hex[r[i] >> 4];
		*out++ = hex[r[i] & 15];
	}
	*out = '\0';
}

/* ---- accepting ---- */

static void
peer_text(const struct sockaddr_storage *ss, char *out, socklen_t size)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const void *addr = &in6->sin6_addr;
	int family = ss->ss_family;

	if (family == AF_INET)
		addr = &in->sin_addr;
	else if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		addr = &in6->sin6_addr.s6_addr[12];
		family = AF_INET;
	}
	if (inet_ntop(family, addr, out, size) == NULL)
		snprintf(out, size, "unknown");
}

static void
connection(struct http_server *s, int fd, const struct sockaddr_storage *ss)
{
	char peer[INET6_ADDRSTRLEN];
	bool over = s->nconns >= s->max_conns;
	struct conn *c;

	metric_inc(s->ctx->slot, MC_HTTP_CONNECTIONS);
	if (s->nconns >= s->max_conns + CONN_OVER) {
		close(fd);
		return;
	}
	peer_text(ss, peer, sizeof(peer));
	if ((c = conn_new(s, fd, peer)) == NULL)
		return;
	TAILQ_INSERT_TAIL(&s->conns, c, entry);
	s->nconns++;
	metric_set(s->ctx->slot, MG_HTTP_OPEN, s->nconns);
	if (over)
		conn_refuse(c);
}

/* No descriptor or no memory for one more: the next tick tries again. */
static void
accept_pause(struct http_server *s)
{
	if (!s->accept_paused)
		log_warn("http: accept");
	s->accept_paused = true;
	event_del(s->ev_accept);
}

static void
on_acceptable(evutil_socket_t listener, short what, void *arg)
{
	struct http_server *s = arg;
	struct sockaddr_storage ss;
	socklen_t len;
	int i, fd;

	for (i = 0; i < ACCEPT_TURN; i++) {
		len = sizeof(ss);
		fd = accept4(listener, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			s->accept_paused = false;
			connection(s, fd, &ss);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			accept_pause(s);
			return;
		}
	}
}

/* ---- time ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct conn *c, *next;

	s->now_us = ax_mono_us();
	date_update(s);
	for (c = TAILQ_FIRST(&s->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->deadline != 0 && c->deadline <= s->now_us)
			conn_expired(c);
	}
	if (!s->ctx->draining && !event_pending(s->ev_accept, EV_READ, NULL))
		event_add(s->ev_accept, NULL);
	api_tick(s->ctx, s->now_us);
}

/* ---- connections that go on by themselves ---- */

void
server_again(struct http_server *s, struct conn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	if (TAILQ_EMPTY(&s->again))
		event_active(s->ev_again, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&s->again, c, again_entry);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct conn *c, *last = TAILQ_LAST(&s->again, conn_list);

	/* Who queues itself again waits for the next round of the loop. */
	do {
		if ((c = TAILQ_FIRST(&s->again)) == NULL)
			return;
		TAILQ_REMOVE(&s->again, c, again_entry);
		c->queued = false;
		conn_resume(c);
	} while (c != last);
	if (!TAILQ_EMPTY(&s->again))
		event_active(s->ev_again, EV_TIMEOUT, 0);
}

static void
check_drained(struct http_server *s)
{
	void (*done)(void *) = s->drained;

	if (!s->ctx->draining || s->nconns > 0 || done == NULL)
		return;
	s->drained = NULL;
	done(s->drained_arg);
}

void
server_forget(struct http_server *s, struct conn *c)
{
	if (c->queued)
		TAILQ_REMOVE(&s->again, c, again_entry);
	TAILQ_REMOVE(&s->conns, c, entry);
	s->nconns--;
	metric_set(s->ctx->slot, MG_HTTP_OPEN, s->nconns);
	check_drained(s);
}

/* ---- for main.c ---- */

struct http_server *
server_new(struct http_ctx *ctx, int listener, struct rate_table *rate,
    int max_connections)
{
	struct http_server *s;
	int on = 1;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->in = malloc(CONN_SCRATCH + 1)) == NULL) {
		free(s);
		return (NULL);
	}
	s->ctx = ctx;
	s->listener = listener;
	s->rate = rate;
	s->max_conns = (unsigned)max_connections;
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->again);
	/* Accepted sockets inherit it: an answer is one write. */
	(void)setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->ev_accept = event_new(ctx->base, listener, EV_READ | EV_PERSIST,
	    on_acceptable, s);
	s->ev_tick = event_new(ctx->base, -1, EV_PERSIST, on_tick, s);
	s->ev_again = event_new(ctx->base, -1, 0, on_again, s);
	if (s->ev_accept == NULL || s->ev_tick == NULL || s->ev_again == NULL)
		fatalx("http: no memory for events");
	return (s);
}

static const struct {
	enum conn_phase phase;
	enum setting_id setting;
} timeouts[] = {
	{ PH_FIRST, SET_HTTP_HEADER_TIMEOUT },
	{ PH_HEAD, SET_HTTP_HEADER_TIMEOUT },
	{ PH_BODY, SET_HTTP_BODY_TIMEOUT },
	{ PH_WRITE, SET_HTTP_BODY_TIMEOUT },
	{ PH_STREAM, SET_HTTP_IDLE_TIMEOUT },
	{ PH_IDLE, SET_HTTP_IDLE_TIMEOUT },
};

void
server_configure(struct http_server *s, struct auth_table *auth)
{
	const struct settings *set = s->ctx->settings;
	size_t i;

	auth_free(s->auth);
	s->auth = auth;
	s->auth_off = settings_enum(set, SET_AUTH) == 1;
	s->rate_on = settings_bool(set, SET_ENABLE_RATE_LIMIT);
	s->rate_limit[HTTP_BUCKET_DEFAULT] =
	    (unsigned)settings_int(set, SET_RATE_LIMIT_PER_MIN);
	s->rate_limit[HTTP_BUCKET_HIGH_RISK] =
	    (unsigned)settings_int(set, SET_HIGH_RISK_RATE_LIMIT_PER_MIN);
	s->max_streams = (unsigned)settings_int(set, SET_HTTP_MAX_STREAMS);
	s->limits.max_head = (size_t)settings_int(set, SET_HTTP_MAX_HEADER);
	s->limits.max_body = (size_t)settings_int(set, SET_HTTP_MAX_BODY);
	for (i = 0; i < AX_NELEM(timeouts); i++)
		s->limits.timeout_us[timeouts[i].phase] =
		    (uint64_t)settings_int(set, timeouts[i].setting) * 1000000;
}

void
server_start(struct http_server *s)
{
	const struct timeval tick = { 0, TICK_US };

	s->now_us = ax_mono_us();
	date_update(s);
	event_add(s->ev_accept, NULL);
	event_add(s->ev_tick, &tick);
}

void
server_drain(struct http_server *s, void (*done)(void *), void *arg)
{
	struct conn *c, *next;

	s->ctx->draining = true;
	event_del(s->ev_accept);
	close(s->listener);
	for (c = TAILQ_FIRST(&s->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (conn_is_idle(c))
			conn_close(c);
	}
	s->drained = done;
	s->drained_arg = arg;
	check_drained(s);
}
