/* SPDX-License-Identifier: ISC */
/*
 * Makes evidence folders for tests of the verifier. Naive on purpose: all leaf
 * hashes stand in one array, tiles and roots are computed by the recursive
 * definition of RFC 6962. Aborts on any failure.
 */
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/line.h"
#include "common/tiles.h"
#include "common/util.h"
#include "verify_help.h"

#define MADE_TIME UINT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

static void
parents(char *path)
{
	char *p;

	for (p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0755) == -1 && errno != EEXIST)
			err(1, "%s", path);
		*p = '/';
	}
}

void
write_file(const char *dir, const char *name, const void *data, size_t n)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd == -1 && errno == ENOENT) {
		parents(path);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	}
	if (fd == -1 || ax_write_all(fd, data, n) == -1 || close(fd) == -1)
		err(1, "%s", path);
}

uint8_t *
read_file(const char *dir, const char *name, size_t *len)
{
	char path[512], *d;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((d = ax_read_file(AT_FDCWD, path, 1u << 30, len)) == NULL)
		err(1, "%s", path);
	return ((uint8_t *)d);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

void
remove_tree(const char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

size_t
made_line(unsigned salt, uint64_t seq, char *out, size_t size)
{
	char context[160];
	struct line l = { .kind = seq % 2 == 1 ? LK_DECISION : LK_OUTCOME,
		.action = "api:execute_skill:code_exec",
		.decision = "APPROVED",
		.risk_score = (int)(seq * 7 % 40),
		.reason = "score below the threshold of 40",
		.actor = "key:ops",
		.request_id = "0192f5c4-7f2b-4c1e-8e6c-3f1d0b6a9c55",
		.permit = seq % 2 == 1 ? seq : seq - 1 };
	struct buf b = BUF_INITIALIZER;
	size_t n;
	int len;

	len = snprintf(context, sizeof(context),
	    "{\"inputs\": {\"code\": \"print(%" PRIu64
	    ")\", \"language\": \"python\", \"timeout\": %u}, \"skill\": "
	    "\"code_exec\", \"source\": \"api\"}",
	    seq * 2654435761u % 1000003, salt);
	l.context = context;
	l.context_len = (size_t)len;
	if (line_build(&b, &l, "node1", seq, MADE_TIME + seq * 1000) == -1 ||
	    b.len > size)
		errx(1, "line");
	n = b.len - 1;
	memcpy(out, b.d, n);
	buf_free(&b);
	return (n);
}

/* ---- the tree ---- */

struct leaves {
	uint8_t (*h)[MERKLE_HASH];
	uint64_t n;
};

static void
subroot(const struct leaves *l, uint64_t from, uint64_t n,
    uint8_t out[MERKLE_HASH])
{
	uint8_t a[MERKLE_HASH], b[MERKLE_HASH];
	uint64_t k = 1;

	if (n == 0)
		ax_sha256("", 0, out);
	else if (n == 1)
		memcpy(out, l->h[from], MERKLE_HASH);
	else {
		while (k * 2 < n)
			k *= 2;
		subroot(l, from, k, a);
		subroot(l, from + k, n - k, b);
		merkle_node(a, b, out);
	}
}

static void
hash_lines(struct leaves *l, unsigned salt, uint64_t n)
{
	char line[2048];
	uint64_t i;

	l->n = n;
	if ((l->h = calloc(n + 1, MERKLE_HASH)) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++)
		merkle_leaf(line, made_line(salt, i + 1, line, sizeof(line)),
		    l->h[i]);
}

/* Level by level: what is one tile's root is the next level's hash. */
static void
write_tiles(const char *dir, const struct leaves *leaves)
{
	char path[TILE_PATH_MAX], name[TILE_PATH_MAX + 8];
	struct leaves l = *leaves;
	unsigned level, width;
	uint64_t i, full;

	for (level = 0; l.n > 0; level++) {
		for (i = 0; i * TILE_WIDTH < l.n; i++) {
			width = l.n - i * TILE_WIDTH < TILE_WIDTH ?
			    (unsigned)(l.n - i * TILE_WIDTH) :
			    TILE_WIDTH;
			tile_path(path, level, i, width);
			(void)snprintf(name, sizeof(name), "log/%s", path);
			write_file(dir, name, l.h[i * TILE_WIDTH],
			    (size_t)width * MERKLE_HASH);
		}
		full = l.n / TILE_WIDTH;
		for (i = 0; i < full; i++) {
			uint8_t h[MERKLE_HASH];

			subroot(&l, i * TILE_WIDTH, TILE_WIDTH, h);
			memcpy(l.h[i], h, sizeof(h));
		}
		l.n = full;
	}
}

static void
sign(const struct made *m, const struct leaves *l, uint64_t size,
    const char *dir, const char *name)
{
	struct buf text = BUF_INITIALIZER, note = BUF_INITIALIZER;
	struct checkpoint cp = { .size = size };

	(void)snprintf(cp.origin, sizeof(cp.origin), "%s", m->key.pub.name);
	subroot(l, 0, size, cp.root);
	if (checkpoint_put(&text, &cp) == -1 ||
	    note_sign(&note, text.d, text.len, &m->key) == -1)
		errx(1, "checkpoint");
	write_file(dir, name, note.d, note.len);
	buf_free(&text);
	buf_free(&note);
}

void
made_checkpoint(const struct made *m, uint64_t size, const char *file)
{
	struct leaves l;

	hash_lines(&l, m->salt, size);
	sign(m, &l, size, "", file);
	free(l.h);
}

/* ---- segments ---- */

static void
compress(const struct made *m, const char *name, const void *data, size_t n)
{
	size_t cap = ZSTD_compressBound(n), len;
	ZSTD_CCtx *c = ZSTD_createCCtx();
	void *out = malloc(cap);

	if (c == NULL || out == NULL)
		err(1, NULL);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	len = ZSTD_compress2(c, out, cap, data, n);
	if (ZSTD_isError(len))
		errx(1, "zstd");
	write_file(m->dir, name, out, len);
	ZSTD_freeCCtx(c);
	free(out);
}

static void
close_archive(const struct made *m, unsigned num, const void *data, size_t n)
{
	char name[96];

	(void)snprintf(name, sizeof(name),
	    "archive/security_audit.%08u.20260101T%06uZ.jsonl%s", num,
	    num % 1000000, m->zstd && num % 2 == 1 ? ".zst" : "");
	if (m->zstd && num % 2 == 1)
		compress(m, name, data, n);
	else
		write_file(m->dir, name, data, n);
}

static void
write_lines(const struct made *m)
{
	uint64_t seq, all = m->lines + m->above;
	struct buf b = BUF_INITIALIZER;
	char line[2048];
	unsigned num = 1;
	size_t n;

	for (seq = 1; seq <= all; seq++) {
		n = made_line(m->salt, seq, line, sizeof(line));
		line[n++] = '\n';
		buf_add(&b, line, n);
		if (m->rotate == 0 || seq % m->rotate != 0)
			continue;
		if (seq >= m->first)
			close_archive(m, num, b.d, b.len);
		num++;
		buf_reset(&b);
	}
	if (m->partial)
		buf_add(&b, line, 40);
	write_file(m->dir, "security_audit.jsonl", b.d, b.len);
	buf_free(&b);
}

void
made_log(const struct made *m)
{
	char name[64];
	struct leaves l;
	uint64_t i;

	write_lines(m);
	hash_lines(&l, m->salt, m->lines);
	for (i = m->history; m->history != 0 && i <= m->lines;
	     i += m->history) {
		(void)snprintf(name, sizeof(name),
		    "log/checkpoints/%020" PRIu64, i);
		sign(m, &l, i, m->dir, name);
	}
	sign(m, &l, m->lines, m->dir, "log/checkpoint");
	if (!m->no_tiles)
		write_tiles(m->dir, &l);
	free(l.h);
}
