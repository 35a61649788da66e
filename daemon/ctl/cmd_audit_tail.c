/* SPDX-License-Identifier: ISC */
/*
 * audit tail: the newest records out of the files, across rotations, and with
 * -f those that come. While the daemon runs it tells how far the journal is
 * durable, and nothing beyond that is shown: what an unlucky write leaves in
 * the file was never a record. Must never write, and never hand control bytes
 * of a record to a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/line.h"
#include "common/util.h"
#include "ctl.h"
#include "lines.h"

#define TAIL_DEFAULT 10
#define TAIL_MAX     100000
#define POLL_NS	     200000000L

struct tail {
	struct ctl *ctl;
	bool follow, json;
	bool mute; /* -n 0: where the end is, is all that is wanted */
	int64_t lines;
	const char *decision, *action, *prefix, *actor;

	int dirfd;
	uint64_t durable; /* UINT64_MAX: there is no daemon to ask */
	uint64_t next;	  /* the seq that comes next */
	struct lines *at; /* where it is expected, or NULL */
};

/* ---- one record ---- */

static bool
starts_with(struct slice s, const char *text)
{
	size_t n = strlen(text);

	return (s.n >= n && memcmp(s.p, text, n) == 0);
}

static bool
wanted(const struct tail *t, const struct line_view *v)
{
	return ((t->decision == NULL || slice_is(v->decision, t->decision)) &&
	    (t->action == NULL || slice_is(v->action, t->action)) &&
	    (t->prefix == NULL || starts_with(v->action, t->prefix)) &&
	    (t->actor == NULL || slice_is(v->actor, t->actor)));
}

/* The text as it is written in JSON, where most control bytes are escaped. */
static void
put_text(struct slice s)
{
	size_t i;

	if (s.p == NULL) {
		(void)putchar('-');
		return;
	}
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool c1 = c == 0xc2 && i + 1 < s.n &&
		    (unsigned char)s.p[i + 1] < 0xa0;

		(void)putchar(c < ' ' || c == 0x7f || c1 ? '?' : c);
		i += c1;
	}
}

static void
show(const struct tail *t, const char *line, size_t n)
{
	struct line_view v;

	if (t->mute)
		return;
	if (t->json || line_parse(line, n, &v) == -1) {
		(void)fwrite(line, 1, n, stdout);
		(void)putchar('\n');
		return;
	}
	put_text(v.ts);
	(void)printf(" %" PRIu64 " ", v.seq);
	put_text(v.decision);
	(void)printf(" %d ", v.risk_score);
	put_text(v.actor);
	(void)putchar(' ');
	put_text(v.action);
	(void)putchar(' ');
	put_text(v.reason);
	(void)putchar('\n');
}

/* ---- the newest ones ---- */

/* The last matches of one segment: a ring of copies. */
struct ring {
	struct buf *line;
	size_t max, n; /* n: all that were put in */
};

static void
ring_put(struct ring *r, const char *line, size_t n)
{
	struct buf *b = &r->line[r->n++ % r->max];

	buf_reset(b);
	buf_add(b, line, n);
}

static int
damaged(const char *name)
{
	(void)fprintf(stderr,
	    "archillxctl: %s: a line is damaged; see archillxctl audit "
	    "verify\n",
	    name);
	return (-1);
}

/*
 * Reads a whole segment: lines with seq below `below` that match go into the
 * ring. *first and *last: the seqs it holds (unchanged when it holds none).
 */
static int
scan(struct tail *t, const char *name, uint64_t below, struct ring *r,
    uint64_t *first, uint64_t *last)
{
	struct line_view v;
	const char *line;
	struct lines *l;
	bool begun = false;
	size_t n;
	int got;

	if ((l = lines_open(t->dirfd, name)) == NULL && errno == ENOENT)
		return (0);
	if (l == NULL) {
		(void)fprintf(stderr, "archillxctl: %s: %s\n", name,
		    strerror(errno));
		return (-1);
	}
	while ((got = lines_next(l, &line, &n)) == 1) {
		if (line_parse(line, n, &v) == -1) {
			got = damaged(name);
			break;
		}
		if (v.seq >= below || v.seq > t->durable)
			break;
		if (!begun)
			*first = v.seq;
		begun = true;
		if (v.seq > *last)
			*last = v.seq;
		if (wanted(t, &v))
			ring_put(r, line, n);
	}
	lines_close(l);
	return (got == -1 ? -1 : 0);
}

/* Older segments first, then what this one gave. */
static int
newest(struct tail *t, char **names, int i, size_t want, uint64_t below)
{
	const char *name = i >= 0 ? names[i] : NULL;
	struct ring r = { .max = want };
	uint64_t first = below, last = t->next - 1;
	size_t k, have;
	int rc = 0;

	if (name == NULL || want == 0)
		return (0);
	if ((r.line = calloc(want, sizeof(*r.line))) == NULL ||
	    scan(t, name, below, &r, &first, &last) == -1)
		rc = -1;
	if (rc == 0 && last >= t->next)
		t->next = last + 1;
	have = r.n < want ? r.n : want;
	if (rc == 0)
		rc = newest(t, names, i - 1, want - have, first);
	for (k = r.n - have; rc == 0 && k < r.n; k++)
		show(t, r.line[k % want].d, r.line[k % want].len);
	for (k = 0; r.line != NULL && k < have; k++)
		buf_free(&r.line[k]);
	free(r.line);
	return (rc);
}

/* The closed segments and the live one, oldest first. */
static int
all_segments(int dirfd, char ***names)
{
	int n = lines_archived(dirfd, names);

	if (n == -1 && errno == ENOENT &&
	    (*names = calloc(1, sizeof(**names))) != NULL)
		n = 0;
	if (n == -1)
		return (-1);
	/* there is room for one more */
	if (((*names)[n] = strdup(LINES_LIVE)) == NULL)
		return (-1);
	return (n + 1);
}

/* ---- those that come ---- */

/* False: nobody answers; what was known before stays. */
static bool
ask_durable(struct tail *t)
{
	json_t *r, *seq;
	bool ok = false;

	t->ctl->quiet = true;
	if (ctl_request(t->ctl, "status", json_object(), &r) != CTL_DONE)
		return (false);
	seq = json_object_get(r, "journal_seq");
	/* 0: the gate has not opened its journal yet */
	if (json_integer_value(seq) > 0) {
		t->durable = (uint64_t)json_integer_value(seq);
		ok = true;
	}
	json_decref(r);
	return (ok);
}

/* Shows from an open segment; true when it has got all that is durable. */
static bool
drain(struct tail *t)
{
	struct line_view v;
	const char *line;
	size_t n;

	while (t->next <= t->durable && lines_next(t->at, &line, &n) == 1) {
		if (line_parse(line, n, &v) == -1 || v.seq > t->next)
			return (false);
		if (v.seq < t->next)
			continue;
		t->next++;
		if (wanted(t, &v))
			show(t, line, n);
	}
	return (t->next > t->durable);
}

/* The segment that holds the next line: the newest that begins before it. */
static void
reopen(struct tail *t)
{
	struct line_view v;
	const char *line;
	char **names;
	size_t len;
	int n, i;

	lines_close(t->at);
	t->at = NULL;
	if ((n = all_segments(t->dirfd, &names)) == -1)
		return;
	for (i = n - 1; i >= 0 && t->at == NULL; i--) {
		t->at = lines_open(t->dirfd, names[i]);
		if (t->at == NULL)
			continue;
		if (lines_next(t->at, &line, &len) != 1 ||
		    line_parse(line, len, &v) == -1 || v.seq > t->next) {
			lines_close(t->at);
			t->at = NULL;
			continue;
		}
		/* from its beginning again */
		lines_close(t->at);
		t->at = lines_open(t->dirfd, names[i]);
		break;
	}
	lines_names_free(names, n);
}

static int
follow(struct tail *t)
{
	const struct timespec pause = { 0, POLL_NS };
	bool told = false;

	t->mute = false;
	for (;;) {
		if (fflush(stdout) == EOF)
			return (CTL_FAILED);
		if (!ask_durable(t)) {
			if (!told)
				(void)fprintf(stderr,
				    "archillxctl: no answer from the daemon; "
				    "waiting for it\n");
			told = true;
		} else {
			told = false;
			if (t->at == NULL ||
			    (t->next <= t->durable && !drain(t)))
				reopen(t);
			if (t->at != NULL)
				(void)drain(t);
		}
		(void)nanosleep(&pause, NULL);
	}
}

/* ---- the verb ---- */

static bool
option(struct tail *t, const char *name, const char *value)
{
	const struct {
		const char *name;
		const char **to;
	} options[] = {
		{ "--decision", &t->decision },
		{ "--action", &t->action },
		{ "--action-prefix", &t->prefix },
		{ "--actor", &t->actor },
	};
	size_t i;

	if (strcmp(name, "-n") == 0)
		return (ax_strtonum(value, 0, TAIL_MAX, &t->lines) == 0);
	for (i = 0; i < AX_NELEM(options); i++) {
		if (strcmp(options[i].name, name) == 0) {
			*options[i].to = value;
			return (true);
		}
	}
	return (false);
}

static bool
arguments(struct tail *t, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-f") == 0)
			t->follow = true;
		else if (strcmp(argv[i], "--json") == 0)
			t->json = true;
		else if (i + 1 < argc && option(t, argv[i], argv[i + 1]))
			i++;
		else
			return (false);
	}
	t->mute = t->lines == 0;
	if (t->mute)
		t->lines = 1;
	return (true);
}

int
cmd_audit_tail(struct ctl *c, int argc, char **argv)
{
	struct tail t = { .ctl = c,
		.json = c->json,
		.lines = TAIL_DEFAULT,
		.durable = UINT64_MAX,
		.next = 1 };
	const char *dir;
	char **names;
	int n, rc;

	if (!arguments(&t, argc, argv))
		return (
		    ctl_usage("audit tail [-f] [-n N, at most 100000] [--json] "
			      "[--decision D] [--action A] [--action-prefix P] "
			      "[--actor A]"));
	if ((dir = ctl_evidence_dir(c)) == NULL)
		return (CTL_FAILED);
	t.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.dirfd == -1 || (n = all_segments(t.dirfd, &names)) == -1) {
		(void)fprintf(stderr, "archillxctl: %s: %s\n", dir,
		    strerror(errno));
		return (CTL_FAILED);
	}
	(void)ask_durable(&t);
	rc = newest(&t, names, n - 1, (size_t)t.lines, UINT64_MAX);
	lines_names_free(names, n);
	if (rc == 0 && t.follow)
		return (follow(&t));
	(void)close(t.dirfd);
	return (rc == 0 && fflush(stdout) == 0 ? CTL_DONE : CTL_FAILED);
}
