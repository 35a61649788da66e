/* SPDX-License-Identifier: ISC */
/*
 * Connections against an API made for the purpose: answers at once, from the
 * head, later and in any order, never; bodies of all sizes and framings, cut
 * anywhere, pipelined, clients that vanish. Every request must get its own
 * answer, in order and with its body, or on_gone; exactly one of the two.
 *
 * The server runs in a child, so that a client may block.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/util.h"
#include "workers/http/auth.h"
#include "workers/http/server.h"

/* ---- the API of the child ---- */

struct work {
	struct http_req *req;
	struct event *timer;
};

static struct http_ctx ctx;
static unsigned live, gone;

static void
echo(struct http_req *req, int status)
{
	http_reply(req, status, "text/plain", req->body, req->body_len);
}

static void
work_free(struct work *w)
{
	event_free(w->timer);
	free(w);
	live--;
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct work *w = arg;
	struct http_req *req = w->req;

	work_free(w);
	echo(req, 202);
}

static void
on_gone(struct http_req *req)
{
	gone++;
	work_free(req->app);
}

/* Answers after that many milliseconds; 0: never. */
static void
later(struct http_req *req, unsigned ms)
{
	const struct timeval tv = { 0, (suseconds_t)ms * 1000 };
	struct work *w = calloc(1, sizeof(*w));

	if (w == NULL || (w->timer = evtimer_new(ctx.base, on_time, w)) == NULL)
		abort();
	w->req = req;
	if (ms > 0)
		evtimer_add(w->timer, &tv);
	req->app = w;
	req->on_gone = on_gone;
	req->gone_on_eof = ms == 0;
	live++;
}

int
api_head(struct http_req *req)
{
	if (strcmp(req->path, "/head") != 0)
		return (0);
	http_reply_header(req, "x-mark", "head");
	http_reply(req, 404, "text/plain", "no", 2);
	return (-1);
}

void
api_request(struct http_req *req)
{
	char text[64];

	if (req->token != NULL && strcmp(req->token, "a-good-token") != 0)
		abort();
	if (strcmp(req->path, "/now") == 0) {
		echo(req, 200);
	} else if (strncmp(req->path, "/later/", 7) == 0) {
		later(req, (unsigned)strtoul(req->path + 7, NULL, 10));
	} else if (strcmp(req->path, "/stats") == 0) {
		snprintf(text, sizeof(text), "%u %u %" PRIu64, live, gone,
		    metric_gauge_get(ctx.slot, MG_HTTP_OPEN));
		http_reply(req, 200, "text/plain", text, strlen(text));
	} else {
		abort();
	}
}

void
api_tick(struct http_ctx *c, uint64_t now)
{
}

/* A token that matches is wiped behind its request: in the right place. */
static void
add_key(struct auth_table *auth)
{
	uint8_t digest[AUTH_DIGEST];
	char spec[80] = "admin ", err[128];

	ax_sha256("a-good-token", 12, digest);
	ax_hex(digest, sizeof(digest), spec + 6);
	if (auth_add(auth, "test", spec, err, sizeof(err)) == -1)
		abort();
}

static void
serve(int listener)
{
	static struct metrics_slot slot;
	struct http_server *s;
	struct settings *set = settings_new();
	struct auth_table *auth = auth_new();
	char err[128];

	if (set == NULL || auth == NULL ||
	    settings_set(set, SET_HTTP_MAX_BODY, "1M", "", err, sizeof(err)) ==
		-1 ||
	    settings_set(set, SET_HTTP_BODY_TIMEOUT, "600", "", err,
		sizeof(err)) == -1 ||
	    (ctx.base = event_base_new()) == NULL)
		abort();
	add_key(auth);
	ctx.settings = set;
	ctx.slot = &slot;
	if ((s = server_new(&ctx, listener, NULL, 256)) == NULL)
		abort();
	server_configure(s, auth);
	server_start(s);
	event_base_dispatch(ctx.base);
	_exit(1);
}

/* ---- the client ---- */

static pid_t child;
static struct sockaddr_in address;

static int
start(void **state)
{
	socklen_t len = sizeof(address);
	int fd;

	log_init("test");
	srandom(4711);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 128) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		return (-1);
	if ((child = fork()) == 0)
		serve(fd);
	close(fd);
	return (child == -1 ? -1 : 0);
}

static int
stop(void **state)
{
	int status;

	/* It must still be there: an abort or a sanitizer's exit shows here. */
	if (waitpid(child, &status, WNOHANG) != 0)
		return (-1);
	kill(child, SIGKILL);
	return (waitpid(child, &status, 0) == child ? 0 : -1);
}

static int
dial(void)
{
	struct timeval tv = { 120, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return (fd);
}

static unsigned
pick(unsigned n)
{
	return ((unsigned)random() % n);
}

#define REQUESTS 24

struct script {
	struct buf out, in;
	struct buf body[REQUESTS];
	int status[REQUESTS];
	unsigned n;
};

static void
add_body(struct buf *out, const struct buf *body)
{
	size_t at = 0, n;

	if (pick(2) == 0) {
		buf_printf(out, "Content-Length: %zu\r\n\r\n", body->len);
		buf_add(out, body->d, body->len);
		return;
	}
	buf_adds(out, "Transfer-Encoding: chunked\r\n\r\n");
	for (; at < body->len; at += n) {
		n = 1 + pick((unsigned)(body->len - at));
		buf_printf(out, "%zx%s\r\n", n, pick(4) == 0 ? ";x=y" : "");
		buf_add(out, body->d + at, n);
		buf_adds(out, "\r\n");
	}
	buf_adds(out, pick(4) == 0 ? "0\r\nA: b\r\n\r\n" : "0\r\n\r\n");
}

static void
add_request(struct script *s)
{
	static const unsigned sizes[] = { 0, 1, 100, 3000, 20000, 200000 };
	struct buf *body = &s->body[s->n];
	unsigned size = sizes[pick(AX_NELEM(sizes))], i, kind = pick(8);

	size = size > 0 ? 1 + pick(size) : 0;
	for (i = 0; i < size; i++)
		buf_addc(body, (char)('a' + random() % 26));
	s->status[s->n] = kind == 0 ? 404 : kind < 3 ? 202 : 200;
	if (kind == 0)
		buf_adds(&s->out, "GET /head HTTP/1.1\r\n");
	else if (kind < 3)
		buf_printf(&s->out, "POST /later/%u HTTP/1.1\r\n", 1 + pick(5));
	else
		buf_printf(&s->out, "%s HTTP/1.1\r\n",
		    pick(2) ? "PUT /now" : "PUT /%6eow");
	buf_adds(&s->out, "Host: a\r\nX-Api-Key: a-good-token\r\n");
	if (kind == 0) {
		buf_reset(body);
		buf_adds(body, "no");
		buf_adds(&s->out, "Content-Length: 9\r\n\r\ndiscarded");
	} else {
		add_body(&s->out, body);
	}
	s->n++;
}

static void
script_free(struct script *s)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		buf_free(&s->body[i]);
	buf_free(&s->out);
	buf_free(&s->in);
}

/* Sends in pieces and reads what comes meanwhile; stops after `limit` bytes. */
static void
talk(struct script *s, int fd, size_t limit)
{
	struct pollfd p = { .fd = fd };
	size_t sent = 0, n, piece = pick(3) == 0 ? 7 : 1 + pick(60000);
	ssize_t r;

	while (sent < limit) {
		p.events = POLLOUT | POLLIN;
		assert_true(poll(&p, 1, 20000) > 0);
		if (p.revents & POLLIN) {
			assert_non_null(buf_reserve(&s->in, 65536));
			r = recv(fd, s->in.d + s->in.len, 65536, 0);
			assert_true(r > 0);
			s->in.len += (size_t)r;
		}
		if (!(p.revents & POLLOUT))
			continue;
		n = 1 + pick((unsigned)piece);
		n = n > limit - sent ? limit - sent : n;
		r = send(fd, s->out.d + sent, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		assert_true(r > 0 || errno == EAGAIN);
		sent += r > 0 ? (size_t)r : 0;
		if (piece == 7 && sent > 2000)
			piece = 50000;
	}
}

/* One answer off the front of s->in; reads more while it is not whole. */
static int
answer(struct script *s, int fd, struct buf *body)
{
	char *head, *len;
	size_t at = 0, n = 0;
	ssize_t r;
	int status;

	for (;;) {
		head = strstr(buf_str(&s->in), "\r\n\r\n");
		if (head != NULL) {
			at = (size_t)(head - s->in.d) + 4;
			len = strstr(s->in.d, "content-length: ");
			assert_non_null(len);
			n = strtoul(len + 16, NULL, 10);
			if (s->in.len >= at + n)
				break;
		}
		assert_non_null(buf_reserve(&s->in, 65536));
		r = recv(fd, s->in.d + s->in.len, 65536, 0);
		if (r <= 0)
			return (-1);
		s->in.len += (size_t)r;
	}
	assert_int_equal(sscanf(s->in.d, "HTTP/1.1 %d ", &status), 1);
	buf_reset(body);
	buf_add(body, s->in.d + at, n);
	buf_consume(&s->in, at + n);
	return (status);
}

static void
test_every_request_gets_its_answer(void **state)
{
	struct buf body = BUF_INITIALIZER;
	unsigned round, i, n;
	int fd;

	for (round = 0; round < 150; round++) {
		struct script s = { .n = 0 };

		n = 1 + pick(REQUESTS);
		for (i = 0; i < n; i++)
			add_request(&s);
		fd = dial();
		talk(&s, fd, s.out.len);
		for (i = 0; i < n; i++) {
			assert_int_equal(answer(&s, fd, &body), s.status[i]);
			assert_int_equal(body.len, s.body[i].len);
			if (body.len > 0)
				assert_memory_equal(body.d, s.body[i].d,
				    body.len);
		}
		assert_int_equal(s.in.len, 0);
		close(fd);
		script_free(&s);
	}
	buf_free(&body);
}

/* What the child says: requests waiting, requests gone, connections. */
static void
stats(unsigned out[3])
{
	struct buf body = BUF_INITIALIZER;
	struct script s = { .n = 0 };
	int fd = dial();

	buf_adds(&s.out, "GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
	talk(&s, fd, s.out.len);
	assert_int_equal(answer(&s, fd, &body), 200);
	assert_int_equal(sscanf(buf_str(&body), "%u %u %u", &out[0], &out[1],
			     &out[2]),
	    3);
	buf_free(&body);
	script_free(&s);
	close(fd);
}

/* Until nothing is left but the asking connection. */
static void
wait_empty(void)
{
	unsigned v[3], i;

	for (i = 0; i < 20000; i++) {
		stats(v);
		if (v[0] == 0 && v[2] == 1)
			return;
		(void)poll(NULL, 0, 5);
	}
	fail_msg("%u requests and %u connections were left", v[0], v[2]);
}

static void
hang_up(int fd, bool reset)
{
	struct linger l = { 1, 0 };

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

static void
test_clients_that_vanish(void **state)
{
	unsigned round, i, n;
	int fd;

	for (round = 0; round < 150; round++) {
		struct script s = { .n = 0 };

		n = 1 + pick(REQUESTS);
		for (i = 0; i < n; i++)
			add_request(&s);
		fd = dial();
		talk(&s, fd, 1 + pick((unsigned)s.out.len));
		hang_up(fd, pick(2) == 0);
		script_free(&s);
	}
	wait_empty();
}

static void
test_gone_is_told(void **state)
{
	static const char never[] = "GET /later/0 HTTP/1.1\r\nHost: a\r\n\r\n";
	unsigned before[3], after[3], i;
	int fd;

	wait_empty();
	stats(before);
	for (i = 0; i < 20; i++) {
		fd = dial();
		assert_int_equal(send(fd, never, sizeof(never) - 1, 0),
		    sizeof(never) - 1);
		if (i % 4 == 0)
			(void)poll(NULL, 0, 5);
		hang_up(fd, i % 2 == 0);
	}
	wait_empty();
	stats(after);
	/* One reset at once may never have been read. */
	assert_in_range(after[1] - before[1], 10, 20);
}

/*
 * Was it refused? The server reads on for a while after its answer and then
 * resets the connection, which takes the answer with it on a slow machine.
 */
static bool
is_refused(int fd)
{
	static const char want[] = "HTTP/1.1 503";
	char start[sizeof(want) - 1];
	ssize_t n = recv(fd, start, sizeof(start), MSG_PEEK | MSG_DONTWAIT);

	if (n > 0)
		assert_memory_equal(start, want, (size_t)n);
	return (n != -1 || (errno != EAGAIN && errno != EINTR));
}

/* Bodies that never end: bounded together, and given back. */
static void
test_memory_is_bounded(void **state)
{
	static char part[900000];
	struct script s = { .n = 0 };
	struct buf body = BUF_INITIALIZER;
	bool over[100] = { false };
	int fd[100];
	unsigned i, tries, refused = 0;

	memset(part, 'x', sizeof(part));
	buf_adds(&s.out,
	    "POST /now HTTP/1.1\r\nHost: a\r\n"
	    "Content-Length: 900001\r\n\r\n");
	buf_add(&s.out, part, sizeof(part));
	for (i = 0; i < AX_NELEM(fd); i++) {
		fd[i] = dial();
		/* Refused or not: the server reads on for a while. */
		(void)send(fd[i], s.out.d, s.out.len, MSG_NOSIGNAL);
	}
	/* Each needs more than 1 MiB in the end: 64 cannot have it. */
	for (tries = 0; tries < 20000 && refused < AX_NELEM(fd) - 64; tries++) {
		(void)poll(NULL, 0, 5);
		for (i = refused = 0; i < AX_NELEM(fd); i++) {
			over[i] = over[i] || is_refused(fd[i]);
			refused += over[i];
		}
	}
	assert_in_range(refused, AX_NELEM(fd) - 64, AX_NELEM(fd) - 20);
	for (i = 0; i < AX_NELEM(fd); i++)
		close(fd[i]);
	wait_empty();
	buf_adds(&s.out, "x");
	fd[0] = dial();
	talk(&s, fd[0], s.out.len);
	assert_int_equal(answer(&s, fd[0], &body), 200);
	assert_int_equal(body.len, 900001);
	close(fd[0]);
	buf_free(&body);
	script_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_request_gets_its_answer),
		cmocka_unit_test(test_clients_that_vanish),
		cmocka_unit_test(test_gone_is_told),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return (cmocka_run_group_tests(tests, start, stop));
}
