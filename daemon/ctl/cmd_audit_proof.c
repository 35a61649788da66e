/* SPDX-License-Identifier: ISC */
/*
 * audit prove and audit check-proof: one record as a file that a stranger can
 * check. prove reads the evidence as it lies there, without the daemon, and
 * gives nothing out that it has not checked itself; check-proof trusts nothing
 * but the key.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/line.h"
#include "common/tiles.h"
#include "common/tproof.h"
#include "common/util.h"
#include "daemon/verify/cli.h"
#include "ctl.h"
#include "find_line.h"

#define PROOF_MAX (NOTE_READ_MAX + 2 * LINE_MAX_BYTES + 8192)

/* ---- check-proof ---- */

/* The keys as audit verify takes them; -1 and a text for the user. */
static int
check_args(int argc, char **argv, struct verify_args *a, const char **file,
    char *why, size_t size)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--key") == 0 && i + 1 < argc) {
			if (verify_add_key(a, argv[++i], why, size) == -1)
				return (-1);
		} else if (argv[i][0] != '-' && *file == NULL)
			*file = argv[i];
		else
			break;
	}
	if (i == argc && *file != NULL && a->nkeys > 0)
		return (0);
	(void)snprintf(why, size,
	    "audit check-proof needs --key PUB and one file");
	return (-1);
}

/* NULL, or why the proof proves nothing. */
static const char *
judge(const char *text, size_t n, const struct verify_args *a, struct tproof *t,
    struct buf *record, struct checkpoint *c)
{
	struct line_view v;
	const char *why;

	if (tproof_parse(text, n, t, record, &why) == -1)
		return (why);
	if (t->extra == NULL)
		return ("it does not carry the record (no extra line)");
	if (tproof_check(t, t->extra, t->extra_len, a->keys, a->nkeys, c,
		&why) == -1)
		return (why);
	if (line_parse(t->extra, t->extra_len, &v) == -1)
		return ("what it proves is no line of a journal");
	if (v.seq != t->index + 1)
		return ("the record's seq is not its place in the tree");
	return (NULL);
}

static json_t *
verdict_json(const char *why, const struct tproof *t,
    const struct checkpoint *c)
{
	if (why != NULL)
		return (json_pack("{s:b, s:s}", "ok", 0, "error", why));
	return (
	    json_pack("{s:b, s:s, s:I, s:I, s:o}", "ok", 1, "origin", c->origin,
		"size", (json_int_t)c->size, "seq", (json_int_t)(t->index + 1),
		"record", json_loadb(t->extra, t->extra_len, 0, NULL)));
}

static void
print_verdict(const char *file, const char *why, const struct tproof *t,
    const struct checkpoint *c)
{
	if (why != NULL) {
		(void)fprintf(stderr, "archillxctl: %s proves nothing: %s\n",
		    file, why);
		return;
	}
	(void)printf("proved: record %" PRIu64 " of %s, under its checkpoint "
		     "of %" PRIu64 " records\n%.*s\n",
	    t->index + 1, c->origin, c->size, (int)t->extra_len, t->extra);
}

int
cmd_audit_check_proof(struct ctl *ctl, int argc, char **argv)
{
	struct buf record = BUF_INITIALIZER;
	static struct verify_args a;
	char usage[200];
	struct checkpoint c;
	struct tproof t;
	const char *file = NULL, *why;
	char *text;
	size_t n;
	json_t *j;

	if (check_args(argc, argv, &a, &file, usage, sizeof(usage)) == -1)
		return (ctl_usage(usage));
	text = ax_read_file(AT_FDCWD, file, PROOF_MAX, &n);
	if (text == NULL) {
		(void)fprintf(stderr, "archillxctl: %s: %s\n", file,
		    strerror(errno));
		return (CTL_USAGE);
	}
	why = judge(text, n, &a, &t, &record, &c);
	if (ctl->json) {
		j = verdict_json(why, &t, &c);
		(void)ctl_print_json(j);
		json_decref(j);
	} else
		print_verdict(file, why, &t, &c);
	buf_free(&record);
	free(text);
	return (why == NULL ? CTL_DONE : CTL_FAILED);
}

/* ---- prove ---- */

struct prove {
	const char *dir, *out;
	uint64_t seq;
};

static const char *
prove_args(int argc, char **argv, struct prove *p)
{
	int64_t seq = 0;
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
			p->dir = argv[++i];
		else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
			p->out = argv[++i];
		else if (seq != 0 ||
		    ax_strtonum(argv[i], 1, INT64_MAX, &seq) == -1)
			return ("audit prove [--dir DIR] [-o FILE] SEQ");
	}
	p->seq = (uint64_t)seq;
	return (seq == 0 ? "audit prove needs the seq of a record" : NULL);
}

/* Everything of a proof, until it is written. */
struct made {
	struct buf line, text;
	char *note;
	size_t note_len;
	struct checkpoint c;
	struct tproof t;
	struct tiles tiles;
};

static int
refuse(const char *dir, const char *what, const char *why)
{
	(void)fprintf(stderr, "archillxctl: %s: %s: %s\n", dir, what, why);
	return (-1);
}

/* The newest checkpoint; it must cover the record. */
static int
read_checkpoint(const struct prove *p, int logfd, struct made *m)
{
	m->note =
	    ax_read_file(logfd, LOG_CHECKPOINT, NOTE_READ_MAX, &m->note_len);
	if (m->note == NULL)
		return (refuse(p->dir, LOG_DIR "/" LOG_CHECKPOINT,
		    strerror(errno)));
	if (checkpoint_parse(m->note, m->note_len, &m->c) == -1)
		return (refuse(p->dir, LOG_DIR "/" LOG_CHECKPOINT,
		    "not a checkpoint"));
	if (p->seq <= m->c.size)
		return (0);
	(void)fprintf(stderr,
	    "archillxctl: record %" PRIu64 " is not covered yet: the newest "
	    "checkpoint covers %" PRIu64 " records\n",
	    p->seq, m->c.size);
	return (-1);
}

/* The path out of the tiles; it must lead from the line to the root. */
static int
make_path(const struct prove *p, int logfd, struct made *m)
{
	uint8_t leaf[MERKLE_HASH];
	int n;

	tiles_init(&m->tiles, logfd, m->c.size);
	m->t.index = p->seq - 1;
	errno = 0;
	n = merkle_inclusion(m->t.index, m->c.size, tiles_get, &m->tiles,
	    m->t.path);
	if (n == -1)
		return (refuse(p->dir, LOG_DIR "/tile", strerror(errno)));
	m->t.npath = (size_t)n;
	merkle_leaf(m->line.d, m->line.len, leaf);
	if (merkle_check_inclusion(m->t.index, m->c.size, leaf,
		(const uint8_t(*)[MERKLE_HASH])m->t.path, m->t.npath,
		m->c.root) == 0)
		return (0);
	return (refuse(p->dir,
	    "the record is not the one that the checkpoint "
	    "covers",
	    "see archillxctl audit verify"));
}

static int
make_proof(const struct prove *p, int dirfd, int logfd, struct made *m)
{
	char err[512];

	if (read_checkpoint(p, logfd, m) == -1)
		return (-1);
	if (find_line(dirfd, p->seq, &m->line, err, sizeof(err)) == -1)
		return (refuse(p->dir, "no such record", err));
	if (make_path(p, logfd, m) == -1)
		return (-1);
	m->t.extra = m->line.d;
	m->t.extra_len = m->line.len;
	m->t.note = m->note;
	m->t.note_len = m->note_len;
	if (tproof_put(&m->text, &m->t) == -1)
		return (refuse(p->dir, "proof", strerror(ENOMEM)));
	return (0);
}

/* To a new file, or standard output. */
static int
write_out(const char *path, const struct buf *b)
{
	int fd = STDOUT_FILENO, r;

	if (path != NULL &&
	    (fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) ==
		-1) {
		(void)fprintf(stderr, "archillxctl: %s: %s\n", path,
		    strerror(errno));
		return (-1);
	}
	r = ax_write_all(fd, b->d, b->len);
	if (r == 0 && path != NULL)
		r = fsync(fd);
	if (r == -1)
		(void)fprintf(stderr, "archillxctl: %s: %s\n",
		    path != NULL ? path : "standard output", strerror(errno));
	if (path != NULL)
		(void)close(fd);
	return (r);
}

int
cmd_audit_prove(struct ctl *ctl, int argc, char **argv)
{
	struct prove p = { 0 };
	struct made m = { 0 };
	const char *why;
	int dirfd, logfd = -1, r = -1;

	if ((why = prove_args(argc, argv, &p)) != NULL)
		return (ctl_usage(why));
	if (p.dir == NULL && (p.dir = ctl_evidence_dir(ctl)) == NULL)
		return (CTL_FAILED);
	dirfd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd == -1 ||
	    (logfd = openat(dirfd, LOG_DIR,
		 O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		(void)refuse(p.dir, dirfd == -1 ? "evidence" : LOG_DIR,
		    strerror(errno));
	else if ((r = make_proof(&p, dirfd, logfd, &m)) == 0)
		r = write_out(p.out, &m.text);
	if (logfd != -1)
		(void)close(logfd);
	if (dirfd != -1)
		(void)close(dirfd);
	buf_free(&m.line);
	buf_free(&m.text);
	free(m.note);
	return (r == 0 ? CTL_DONE : CTL_FAILED);
}
