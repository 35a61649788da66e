/* SPDX-License-Identifier: ISC */
/*
 * archillx-http: the front. It holds a listening socket, digests of
 * credentials, its metrics slot and views of the others', and two channels: to
 * audit, which acts, and to store, which reads. Nothing that it could lose
 * here would let anyone act.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <seccomp.h>

#include "common/ipc.h"
#include "common/log.h"
#include "common/manifest.h"
#include "common/rate_table.h"
#include "common/util.h"
#include "workers/http/auth.h"
#include "workers/http/http.h"
#include "workers/http/server.h"
#include "workers/worker.h"

#define NOFILE 65536 /* descriptors: above the most HTTP_MAX_CONNECTIONS */

/* One generation of what the parent sends besides settings. */
struct generation {
	uint64_t number;
	struct auth_table *auth;
	struct skill **skills;
	struct http_conf_item *rules, *facts;
	unsigned nskills, nrules, nfacts;
};

static struct {
	struct http_ctx ctx;
	struct http_server *server;
	struct rate_table *rate;
	int listener;
	struct generation *gen, *next;
	bool serving;
} front = { .listener = -1 };

const char *
http_fact(const struct http_ctx *ctx, const char *name)
{
	unsigned i;

	for (i = 0; i < ctx->nfacts; i++) {
		if (strcmp(ctx->facts[i].name, name) == 0)
			return (ctx->facts[i].value);
	}
	return (NULL);
}

/* ---- configuration ---- */

static void
items_free(struct http_conf_item *items, unsigned n)
{
	while (n-- > 0) {
		free(items[n].name);
		free(items[n].value);
	}
	free(items);
}

static void
generation_free(struct generation *g)
{
	if (g == NULL)
		return;
	auth_free(g->auth);
	while (g->nskills > 0)
		skill_free(g->skills[--g->nskills]);
	free(g->skills);
	items_free(g->rules, g->nrules);
	items_free(g->facts, g->nfacts);
	free(g);
}

static int
item_add(struct http_conf_item **items, unsigned *n, const char *name,
    const char *value)
{
	struct http_conf_item *p;

	if ((p = reallocarray(*items, *n + 1, sizeof(*p))) == NULL)
		return (-1);
	*items = p;
	p[*n].name = strdup(name);
	p[*n].value = strdup(value);
	(*n)++;
	return (p[*n - 1].name != NULL && p[*n - 1].value != NULL ? 0 : -1);
}

static int
skill_add(struct generation *g, const char *name, const char *text, char *err,
    size_t errlen)
{
	struct skill **p, *s;

	s = skill_parse(text, strlen(text), name, err, errlen);
	if (s == NULL)
		return (-1);
	p = reallocarray(g->skills, g->nskills + 1, sizeof(*p));
	if (p == NULL) {
		skill_free(s);
		return (-1);
	}
	g->skills = p;
	p[g->nskills++] = s;
	return (0);
}

static int
http_conf_begin(struct worker *w, uint64_t number)
{
	generation_free(front.next);
	if ((front.next = calloc(1, sizeof(*front.next))) == NULL)
		return (-1);
	front.next->number = number;
	if ((front.next->auth = auth_new()) == NULL)
		return (-1);
	return (0);
}

static int
http_conf_item(struct worker *w, enum conf_kind kind, const char *name,
    const char *value, char **why)
{
	struct generation *g = front.next;
	char err[256] = "out of memory";
	int ret = 0;

	if (g == NULL)
		return (-1);
	if (kind == CONF_KEY)
		ret = auth_add(g->auth, name, value, err, sizeof(err));
	else if (kind == CONF_SKILL)
		ret = skill_add(g, name, value, err, sizeof(err));
	else if (kind == CONF_GOVERNOR)
		ret = item_add(&g->rules, &g->nrules, name, value);
	else if (kind == CONF_FACT)
		ret = item_add(&g->facts, &g->nfacts, name, value);
	if (ret == -1)
		*why = strdup(err);
	return (ret);
}

static void
http_conf_abort(struct worker *w)
{
	generation_free(front.next);
	front.next = NULL;
}

/* The new generation for those who look at it. */
static void
publish(void)
{
	struct http_ctx *ctx = &front.ctx;
	struct generation *g = front.gen;

	ctx->skills = g->skills;
	ctx->nskills = g->nskills;
	ctx->rules = g->rules;
	ctx->nrules = g->nrules;
	ctx->facts = g->facts;
	ctx->nfacts = g->nfacts;
	ctx->conf_generation = g->number;
	server_configure(front.server, g->auth);
	g->auth = NULL;
	api_conf_changed(ctx);
}

static void
http_conf_commit(struct worker *w)
{
	struct generation *old = front.gen;

	/* An old manifest is in nobody's hands between two requests. */
	front.ctx.settings = w->settings;
	front.gen = front.next;
	front.next = NULL;
	if (front.serving)
		publish();
	generation_free(old);
}

/* ---- resources ---- */

/* Maps a descriptor of at least that size; NULL with errno. Closes it. */
static void *
map_shared(int fd, size_t size, int prot)
{
	struct stat st;
	void *p = NULL;

	if (fstat(fd, &st) == -1 || st.st_size < (off_t)size)
		errno = EINVAL;
	else if ((p = mmap(NULL, size, prot, MAP_SHARED, fd, 0)) == MAP_FAILED)
		p = NULL;
	(void)close(fd);
	return (p);
}

static void
take_peer_slot(uint32_t arg, int fd)
{
	unsigned role = arg >> 16, instance = arg & 0xffff;

	if (role >= PROC_MAX || instance >= PROC_HTTP_MAX)
		fatalx("set-up: a slot of nobody");
	front.ctx.slots[role][instance] =
	    map_shared(fd, sizeof(struct metrics_slot), PROT_READ);
	if (front.ctx.slots[role][instance] == NULL)
		fatal("set-up: cannot map a metrics slot");
}

static void
http_resource(struct worker *w, enum res_kind kind, uint32_t arg,
    const char *name, int fd)
{
	if (kind == RES_LISTENER) {
		front.listener = fd;
	} else if (kind == RES_SLOT_PEER) {
		take_peer_slot(arg, fd);
	} else if (kind == RES_RATE_TABLE) {
		front.rate =
		    map_shared(fd, rate_table_size(), PROT_READ | PROT_WRITE);
		if (front.rate == NULL)
			fatal("set-up: cannot map the rate table");
	} else {
		(void)close(fd);
	}
}

/* ---- life ---- */

static void
http_start(struct worker *w)
{
	struct http_ctx *ctx = &front.ctx;

	if (front.listener == -1 || front.rate == NULL || front.gen == NULL)
		fatalx("set-up: the parent left something out");
	ctx->base = w->base;
	ctx->slot = w->slot;
	ctx->slots[PROC_HTTP][w->instance] = w->slot;
	/* Answers to an earlier life of this worker must fit no request. */
	ax_random(&ctx->next_id, sizeof(ctx->next_id));
	ctx->next_id >>= 1;
	front.server = server_new(ctx, front.listener, front.rate,
	    (int)settings_int(w->settings, SET_HTTP_MAX_CONNECTIONS));
	if (front.server == NULL)
		fatal("set-up: no memory");
	api_init(ctx);
	front.serving = true;
	publish();
}

static void
http_confined(struct worker *w)
{
	server_start(front.server);
}

static void
http_drained(void *arg)
{
	api_event_flush();
	worker_drained(arg);
}

static void
http_drain(struct worker *w)
{
	server_drain(front.server, http_drained, w);
}

static struct ipc **
channel_of(enum proc_role role)
{
	if (role == PROC_AUDIT)
		return (&front.ctx.audit);
	return (role == PROC_STORE ? &front.ctx.store : NULL);
}

static void
http_peer_up(struct worker *w, struct ipc *c, enum proc_role role,
    unsigned instance, uint64_t epoch)
{
	struct ipc **channel = channel_of(role);

	if (channel == NULL)
		return;
	*channel = c;
	api_peer_up(&front.ctx, role);
}

static void
http_peer_down(struct worker *w, enum proc_role role, unsigned instance)
{
	struct ipc **channel = channel_of(role);

	if (channel == NULL)
		return;
	*channel = NULL;
	api_peer_down(&front.ctx, role);
}

static void
on_gate_result(struct ipc *c, struct ipc_msg *m, void *arg)
{
	http_on_gate_result(c, m, &front.ctx);
}

static void
on_rows(struct ipc *c, struct ipc_msg *m, void *arg)
{
	http_on_rows(c, m, &front.ctx);
}

static const struct ipc_route routes[] = {
	{ MSG_GATE_RESULT, on_gate_result },
	{ MSG_ROWS, on_rows },
};

static const int extra_syscalls[] = { SCMP_SYS(accept4), -1 };

static struct worker_ops ops = {
	.role = PROC_HTTP,
	.resource = http_resource,
	.conf_begin = http_conf_begin,
	.conf_item = http_conf_item,
	.conf_commit = http_conf_commit,
	.conf_abort = http_conf_abort,
	.start = http_start,
	.confined = http_confined,
	.peer_up = http_peer_up,
	.peer_down = http_peer_down,
	.drain = http_drain,
	.peer_routes = routes,
	.npeer_routes = AX_NELEM(routes),
	.extra_syscalls = extra_syscalls,
	.rlimit_fsize = 0,
};

int
main(int argc, char **argv)
{
	struct rlimit rl;

	/* Without privilege the limit can only go down. */
	ops.rlimit_nofile = NOFILE;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max < NOFILE)
		ops.rlimit_nofile = rl.rlim_max;
	return (worker_main(argc, argv, &ops, NULL));
}
