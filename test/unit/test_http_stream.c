/* SPDX-License-Identifier: ISC */
/*
 * Streams over real sockets: their framing, that the producer is asked only
 * when there is room, that a client which goes away or does not read is told
 * to it at once, that an aborted stream does not look complete, and how many
 * there may be. The server runs in a child, so that a client may block.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>

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
#include "workers/http/stream.h"

#define PIECE	    10000
#define MAX_STREAMS 8

/* ---- the API of the child: /s/PIECES/END, END: end, abort, never ---- */

struct work {
	struct event *timer;
	unsigned left;
	char end;
};

static struct http_ctx ctx;
static unsigned live, gone;
static uint64_t written;

static void
work_free(struct work *w)
{
	live--;
	event_free(w->timer);
	free(w);
}

static void
on_gone(struct http_req *req)
{
	gone++;
	work_free(req->app);
}

static void
finish(struct http_req *req, char how)
{
	work_free(req->app);
	req->on_gone = NULL;
	if (how == 'e')
		http_stream_end(req);
	else
		http_stream_abort(req);
}

static void
produce(struct http_req *req)
{
	static char piece[PIECE];
	struct work *w = req->app;

	memset(piece, 'x', sizeof(piece));
	while (w->left > 0 && http_stream_room(req)) {
		w->left--;
		written += sizeof(piece);
		http_stream_write(req, piece, sizeof(piece));
	}
	http_stream_write(req, piece, 0);
	if (w->left == 0 && w->end != 'n')
		finish(req, w->end);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	produce(arg);
}

static void
stream(struct http_req *req, const char *spec)
{
	const struct timeval soon = { 0, 1000 };
	struct work *w = calloc(1, sizeof(*w));
	enum stream_begun begun;
	char *end;

	if (w == NULL)
		abort();
	w->left = (unsigned)strtoul(spec, &end, 10);
	w->end = end[1];
	begun = http_stream_begin(req, 200, "text/plain", produce);
	if (begun == STREAM_FULL)
		http_reply(req, 503, NULL, NULL, 0);
	if (begun != STREAM_OPEN) {
		free(w);
		return;
	}
	w->timer = evtimer_new(ctx.base, on_time, req);
	if (req->token != NULL || w->timer == NULL)
		abort();
	live++;
	req->app = w;
	req->on_gone = on_gone;
	req->gone_on_eof = true;
	/* at once, and from the loop */
	if (w->left % 2 == 0)
		produce(req);
	else
		evtimer_add(w->timer, &soon);
}

int
api_head(struct http_req *req)
{
	return (0);
}

void
api_request(struct http_req *req)
{
	char text[128];

	if (strncmp(req->path, "/s/", 3) == 0) {
		stream(req, req->path + 3);
		return;
	}
	if (strcmp(req->path, "/drain") == 0)
		ctx.draining = true;
	snprintf(text, sizeof(text), "%u %u %" PRIu64 " %" PRIu64 " %" PRIu64,
	    live, gone, written,
	    metric_gauge_get(ctx.slot, MG_HTTP_STREAMS_OPEN),
	    ctx.slot->counter[MC_HTTP_STREAMS_REFUSED]);
	http_reply(req, 200, "text/plain", text, strlen(text));
}

void
api_tick(struct http_ctx *c, uint64_t now)
{
}

static void
serve(int listener)
{
	static struct metrics_slot slot;
	struct http_server *s;
	struct settings *set = settings_new();
	struct auth_table *auth = auth_new();
	char err[128];
	int small = 4096;

	/* accepted sockets inherit it */
	setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (set == NULL || auth == NULL ||
	    settings_set(set, SET_HTTP_MAX_STREAMS, "8", "", err,
		sizeof(err)) == -1 ||
	    settings_set(set, SET_HTTP_IDLE_TIMEOUT, "3", "", err,
		sizeof(err)) == -1 ||
	    settings_set(set, SET_AUTH, "off", "", err, sizeof(err)) == -1 ||
	    (ctx.base = event_base_new()) == NULL)
		abort();
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

	if (waitpid(child, &status, WNOHANG) != 0)
		return (-1);
	kill(child, SIGKILL);
	return (waitpid(child, &status, 0) == child ? 0 : -1);
}

static int
ask(const char *request)
{
	struct timeval tv = { 20, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

	assert_int_not_equal(fd, -1);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL),
	    strlen(request));
	return (fd);
}

/* Everything up to the end of the connection. */
static char *
all(int fd, struct buf *in)
{
	ssize_t r;

	buf_reset(in);
	do {
		assert_non_null(buf_reserve(in, 65536));
		r = recv(fd, in->d + in->len, 65536, 0);
		in->len += r > 0 ? (size_t)r : 0;
	} while (r > 0);
	close(fd);
	return (buf_str(in));
}

/* Up to the first bytes of the answer. */
static void
first_byte(int fd)
{
	char c;

	assert_int_equal(recv(fd, &c, 1, MSG_PEEK), 1);
}

/*
 * Takes chunks off *p: the bytes in them; *whole tells whether the last one
 * was there. Leaves *p behind what belonged to the body.
 */
static size_t
dechunk(char **p, bool *whole)
{
	size_t n, sum = 0;
	char *end;

	*whole = false;
	while (**p != '\0') {
		n = strtoul(*p, &end, 16);
		assert_memory_equal(end, "\r\n", 2);
		if (n == 0) {
			assert_memory_equal(end + 2, "\r\n", 2);
			*whole = true;
			*p = end + 4;
			break;
		}
		if (strlen(end + 2) < n + 2)
			break; /* cut */
		assert_int_equal(strspn(end + 2, "x"), n);
		assert_memory_equal(end + 2 + n, "\r\n", 2);
		sum += n;
		*p = end + 4 + n;
	}
	return (sum);
}

static char *
body_of(char *answer)
{
	char *p = strstr(answer, "\r\n\r\n");

	assert_non_null(p);
	return (p + 4);
}

enum { V_LIVE, V_GONE, V_WRITTEN, V_OPEN, V_REFUSED, V_MAX };

static void
values(uint64_t v[V_MAX])
{
	struct buf in = BUF_INITIALIZER;
	char *p = all(ask("GET /v HTTP/1.0\r\n\r\n"), &in);

	assert_int_equal(sscanf(body_of(p),
			     "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			     " %" SCNu64,
			     &v[0], &v[1], &v[2], &v[3], &v[4]),
	    V_MAX);
	buf_free(&in);
}

static void
wait_for(unsigned which, uint64_t what)
{
	uint64_t v[V_MAX];
	unsigned i;

	for (i = 0; i < 20000; i++) {
		values(v);
		if (v[which] == what)
			return;
		(void)poll(NULL, 0, 5);
	}
	fail_msg("value %u: %" PRIu64 ", not %" PRIu64, which, v[which], what);
}

static void
test_chunked(void **state)
{
	static const unsigned pieces[] = { 0, 1, 2, 7, 300 };
	struct buf in = BUF_INITIALIZER;
	char request[128], *p;
	bool whole;
	size_t i;

	for (i = 0; i < AX_NELEM(pieces); i++) {
		snprintf(request, sizeof(request),
		    "GET /s/%u/end HTTP/1.1\r\nHost: a\r\n"
		    "X-Api-Key: secret\r\nConnection: close\r\n\r\n",
		    pieces[i]);
		p = all(ask(request), &in);
		assert_non_null(
		    strstr(p, "\r\ntransfer-encoding: chunked\r\n"));
		assert_null(strstr(p, "content-length"));
		p = body_of(p);
		assert_int_equal(dechunk(&p, &whole), pieces[i] * PIECE);
		assert_true(whole);
		assert_int_equal(*p, '\0');
	}
	wait_for(V_OPEN, 0);
	buf_free(&in);
}

static void
test_http10(void **state)
{
	struct buf in = BUF_INITIALIZER;
	char *p = all(ask("GET /s/7/end HTTP/1.0\r\n"
			  "Connection: keep-alive\r\n\r\n"),
	    &in);

	assert_null(strstr(p, "transfer-encoding"));
	assert_non_null(strstr(p, "\r\nconnection: close\r\n"));
	assert_int_equal(strspn(body_of(p), "x"), 7 * PIECE);
	assert_int_equal(strlen(body_of(p)), 7 * PIECE);
	buf_free(&in);
}

/* What is sent behind a stream waits for its end; HEAD has no body. */
static void
test_pipelined(void **state)
{
	struct buf in = BUF_INITIALIZER;
	char *p = all(ask("GET /s/30/end HTTP/1.1\r\nHost: a\r\n\r\n"
			  "HEAD /s/30/end HTTP/1.1\r\nHost: a\r\n\r\n"
			  "GET /s/3/end HTTP/1.1\r\nHost: a\r\n"
			  "Connection: close\r\n\r\n"),
	    &in);
	bool whole;

	p = body_of(p);
	assert_int_equal(dechunk(&p, &whole), 30 * PIECE);
	assert_true(whole);
	assert_memory_equal(p, "HTTP/1.1 200 OK\r\n", 17);
	p = body_of(p);
	assert_memory_equal(p, "HTTP/1.1 200 OK\r\n", 17);
	p = body_of(p);
	assert_int_equal(dechunk(&p, &whole), 3 * PIECE);
	assert_true(whole);
	buf_free(&in);
}

static void
test_aborted(void **state)
{
	struct buf in = BUF_INITIALIZER;
	char *p = all(ask("GET /s/3/abort HTTP/1.1\r\nHost: a\r\n\r\n"), &in);
	bool whole = false;

	if (strstr(p, "\r\n\r\n") != NULL) {
		p = body_of(p);
		(void)dechunk(&p, &whole);
	}
	assert_false(whole);
	wait_for(V_OPEN, 0);
	buf_free(&in);
}

/* The client reads nothing: some pieces are made, then no more. */
static void
test_back_pressure(void **state)
{
	uint64_t before[V_MAX], now[V_MAX], last;
	struct buf in = BUF_INITIALIZER;
	bool whole;
	unsigned i;
	char *p;
	int fd;

	values(before);
	fd = ask("GET /s/1000/end HTTP/1.1\r\nHost: a\r\n"
		 "Connection: close\r\n\r\n");
	first_byte(fd);
	last = UINT64_MAX;
	for (i = 0; i < 20; i++) {
		values(now);
		if (now[V_WRITTEN] == last)
			break;
		last = now[V_WRITTEN];
		(void)poll(NULL, 0, 20);
	}
	/* the two sockets' buffers, and what the stream may hold */
	assert_in_range(now[V_WRITTEN] - before[V_WRITTEN], 1, 2000000);
	p = body_of(all(fd, &in));
	assert_int_equal(dechunk(&p, &whole), 1000 * PIECE);
	assert_true(whole);
	wait_for(V_OPEN, 0);
	buf_free(&in);
}

/* HTTP_IDLE_TIMEOUT is three seconds here. */
static void
test_reads_nothing(void **state)
{
	uint64_t before[V_MAX];
	int fd;

	values(before);
	fd = ask("GET /s/1000/end HTTP/1.1\r\nHost: a\r\n\r\n");
	first_byte(fd);
	wait_for(V_GONE, before[V_GONE] + 1);
	wait_for(V_OPEN, 0);
	close(fd);
}

static void
test_quiet_is_kept(void **state)
{
	uint64_t before[V_MAX], now[V_MAX];
	unsigned i;
	int fd;

	values(before);
	fd = ask("GET /s/1/never HTTP/1.1\r\nHost: a\r\n\r\n");
	first_byte(fd);
	/* longer than the time-out: there is just nothing to say */
	for (i = 0; i < 40; i++)
		(void)poll(NULL, 0, 100);
	values(now);
	assert_int_equal(now[V_GONE], before[V_GONE]);
	assert_int_equal(now[V_OPEN], 1);
	close(fd);
	wait_for(V_GONE, before[V_GONE] + 1);
	wait_for(V_OPEN, 0);
}

static void
test_gone(void **state)
{
	struct linger l = { 1, 0 };
	uint64_t before[V_MAX];
	unsigned i;
	int fd;

	values(before);
	for (i = 0; i < 10; i++) {
		fd = ask(i % 4 < 2 ?
			"GET /s/2/never HTTP/1.1\r\nHost: a\r\n\r\n" :
			"GET /s/900/end HTTP/1.1\r\nHost: a\r\n\r\n");
		first_byte(fd);
		if (i % 2 == 0)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
		close(fd);
	}
	wait_for(V_GONE, before[V_GONE] + 10);
	wait_for(V_LIVE, 0);
	wait_for(V_OPEN, 0);
}

static void
test_limit(void **state)
{
	static const char more[] = "GET /s/1/never HTTP/1.1\r\nHost: a\r\n"
				   "Connection: close\r\n\r\n";
	struct buf in = BUF_INITIALIZER;
	uint64_t before[V_MAX];
	int fd[MAX_STREAMS];
	unsigned i;
	char *p;

	values(before);
	for (i = 0; i < MAX_STREAMS; i++)
		fd[i] = ask(more);
	wait_for(V_OPEN, MAX_STREAMS);
	p = all(ask(more), &in);
	assert_memory_equal(p, "HTTP/1.1 503 ", 13);
	wait_for(V_REFUSED, before[V_REFUSED] + 1);
	/* a HEAD opens none */
	p = all(ask("HEAD /s/1/never HTTP/1.0\r\n\r\n"), &in);
	assert_memory_equal(p, "HTTP/1.1 200 ", 13);
	for (i = 0; i < MAX_STREAMS; i++)
		close(fd[i]);
	wait_for(V_OPEN, 0);
	buf_free(&in);
}

/* Last: no connection is kept alive from here on. */
static void
test_drain(void **state)
{
	struct buf in = BUF_INITIALIZER;
	bool whole;
	char *p;
	int fd;

	fd = ask("GET /s/200/end HTTP/1.1\r\nHost: a\r\n\r\n");
	first_byte(fd);
	(void)all(ask("GET /drain HTTP/1.0\r\n\r\n"), &in);
	/* begun before: ends whole, and then its connection */
	p = body_of(all(fd, &in));
	assert_int_equal(dechunk(&p, &whole), 200 * PIECE);
	assert_true(whole);
	buf_free(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_http10),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_aborted),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_reads_nothing),
		cmocka_unit_test(test_quiet_is_kept),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_drain),
	};

	return (cmocka_run_group_tests_name("http_stream", tests, start, stop));
}
