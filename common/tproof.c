/* SPDX-License-Identifier: ISC */
/*
 * C2SP tlog-proof files: https://c2sp.org/tlog-proof. Judges a file that
 * anyone may have written. What it carries as "extra" is a claim until
 * tproof_check() has found it under a root that the log has signed.
 */
#include <inttypes.h>
#include <string.h>

#include "common/tproof.h"

#define HEADER "c2sp.org/tlog-proof@v1"
#define EXTRA  "extra "
#define INDEX  "index "
#define LEN(s) (sizeof(s) - 1)

static void
put_b64(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, B64_LEN(n));

	if (at == NULL)
		return;
	b64_encode(p, n, at);
	b->len += B64_LEN(n) - 1;
	buf_addc(b, '\n');
}

int
tproof_put(struct buf *b, const struct tproof *t)
{
	size_t i;

	buf_adds(b, HEADER "\n");
	if (t->extra != NULL && t->extra_len > 0) {
		buf_adds(b, EXTRA);
		put_b64(b, t->extra, t->extra_len);
	}
	buf_printf(b, INDEX "%" PRIu64 "\n", t->index);
	for (i = 0; i < t->npath; i++)
		put_b64(b, t->path[i], MERKLE_HASH);
	buf_addc(b, '\n');
	buf_add(b, t->note, t->note_len);
	return (b->err ? -1 : 0);
}

/* ---- reading ---- */

struct text {
	const char *p;
	size_t n;
};

/* The next line, without its newline. */
static int
next_line(struct text *t, struct text *line)
{
	const char *nl = t->n == 0 ? NULL : memchr(t->p, '\n', t->n);

	if (nl == NULL)
		return (-1);
	line->p = t->p;
	line->n = (size_t)(nl - t->p);
	t->p += line->n + 1;
	t->n -= line->n + 1;
	return (0);
}

/* True, and the prefix taken off, if the line begins with it. */
static int
take(struct text *line, const char *prefix, size_t n)
{
	if (line->n < n || memcmp(line->p, prefix, n) != 0)
		return (0);
	line->p += n;
	line->n -= n;
	return (1);
}

static int
parse_extra(const struct text *line, struct tproof *t, struct buf *scratch)
{
	size_t max = line->n / 4 * 3;
	char *at;
	long n;

	buf_reset(scratch);
	if (max == 0 || (at = buf_reserve(scratch, max)) == NULL ||
	    (n = b64_decode(line->p, line->n, at, max)) <= 0)
		return (-1);
	scratch->len = (size_t)n;
	t->extra = at;
	t->extra_len = (size_t)n;
	return (0);
}

/* The hashes and the empty line behind them. */
static int
parse_path(struct text *rest, struct tproof *t)
{
	struct text line;

	while (next_line(rest, &line) == 0) {
		if (line.n == 0)
			return (0);
		if (t->npath == MERKLE_PATH ||
		    b64_decode(line.p, line.n, t->path[t->npath],
			MERKLE_HASH) != MERKLE_HASH)
			return (-1);
		t->npath++;
	}
	return (-1);
}

int
tproof_parse(const char *text, size_t n, struct tproof *t, struct buf *scratch,
    const char **why)
{
	struct text rest = { text, n }, line;

	memset(t, 0, sizeof(*t));
	*why = "it does not begin with " HEADER;
	if (next_line(&rest, &line) == -1 || line.n != LEN(HEADER) ||
	    memcmp(line.p, HEADER, LEN(HEADER)) != 0)
		return (-1);
	*why = "it ends early";
	if (next_line(&rest, &line) == -1)
		return (-1);
	if (take(&line, EXTRA, LEN(EXTRA))) {
		*why = "its extra line is not base64";
		if (parse_extra(&line, t, scratch) == -1)
			return (-1);
		*why = "it ends early";
		if (next_line(&rest, &line) == -1)
			return (-1);
	}
	*why = "it has no index line";
	if (!take(&line, INDEX, LEN(INDEX)) ||
	    note_number(line.p, line.n, &t->index) == -1)
		return (-1);
	*why = "a line of its proof is not a hash";
	if (parse_path(&rest, t) == -1)
		return (-1);
	*why = "it has no checkpoint";
	if (rest.n == 0)
		return (-1);
	t->note = rest.p;
	t->note_len = rest.n;
	*why = NULL;
	return (0);
}

int
tproof_check(const struct tproof *t, const char *leaf, size_t leaf_len,
    const struct vkey *keys, size_t nkeys, struct checkpoint *c,
    const char **why)
{
	uint8_t hash[MERKLE_HASH];

	if (checkpoint_open(t->note, t->note_len, keys, nkeys, c, why) == -1)
		return (-1);
	merkle_leaf(leaf, leaf_len, hash);
	if (t->index >= c->size) {
		*why = "the line lies above the checkpoint";
		return (-1);
	}
	if (merkle_check_inclusion(t->index, c->size, hash,
		(const uint8_t(*)[MERKLE_HASH])t->path, t->npath,
		c->root) == -1) {
		*why = "the line is not the one that the checkpoint covers";
		return (-1);
	}
	*why = NULL;
	return (0);
}
