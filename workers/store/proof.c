/* SPDX-License-Identifier: ISC */
/*
 * Proofs out of the notary's tiles. The store is no judge of them, whoever asks
 * is: but what does not hash up to the newest checkpoint's root is damage, and
 * must never leave as a proof. Signatures are not looked at here, for want of a
 * key. Only ever reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/note.h"
#include "common/tiles.h"
#include "common/tproof.h"
#include "common/util.h"
#include "workers/store/proof.h"

/* The newest checkpoint, and the tree that it is about. */
struct log {
	struct buf note;
	struct checkpoint cp;
	struct tiles tiles;
};

typedef uint8_t hashes[MERKLE_PATH][MERKLE_HASH];

static enum rows_status
damaged(const char *what, uint64_t at)
{
	log_warnx("proof: %s (at %" PRIu64 ")", what, at);
	return (ROWS_UNAVAILABLE);
}

static int
read_all(int fd, struct buf *b)
{
	char *p;
	ssize_t n;

	do {
		if (b->len >= NOTE_READ_MAX) {
			errno = EFBIG;
			return (-1);
		}
		if ((p = buf_reserve(b, NOTE_MAX)) == NULL)
			return (-1);
		n = read(fd, p, NOTE_MAX);
		if (n > 0)
			b->len += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	return (n == 0 ? 0 : -1);
}

/* log_close() in any case. */
static enum rows_status
log_open(struct log *l, int dirfd)
{
	int fd, r;

	memset(&l->note, 0, sizeof(l->note));
	fd = openat(dirfd, LOG_CHECKPOINT,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return (ROWS_NOT_FOUND);
	if (fd == -1) {
		log_warn("proof: " LOG_CHECKPOINT);
		return (ROWS_UNAVAILABLE);
	}
	if ((r = read_all(fd, &l->note)) == -1)
		log_warn("proof: " LOG_CHECKPOINT);
	(void)close(fd);
	if (r == -1)
		return (ROWS_UNAVAILABLE);
	if (checkpoint_parse(l->note.d, l->note.len, &l->cp) == -1 ||
	    memchr(l->note.d, '\0', l->note.len) != NULL)
		return (damaged("the checkpoint cannot be read", 0));
	tiles_init(&l->tiles, dirfd, l->cp.size);
	return (ROWS_OK);
}

static void
log_close(struct log *l)
{
	buf_free(&l->note);
}

/* ---- one line ---- */

/* Fills path and finds that the line stands in the tree at this index. */
static enum rows_status
include(struct log *l, uint64_t index, const struct buf *line, struct tproof *t)
{
	uint8_t leaf[MERKLE_HASH], tile[MERKLE_HASH];
	int n;

	merkle_leaf(line->d, line->len, leaf);
	if (tiles_hash(&l->tiles, 0, index, tile) == -1)
		return (damaged("a tile of its line is missing", index));
	if (memcmp(leaf, tile, sizeof(leaf)) != 0)
		return (damaged("the line is not the one in its tile", index));
	n = merkle_inclusion(index, l->cp.size, tiles_get, &l->tiles, t->path);
	if (n == -1)
		return (damaged("a tile is missing", index));
	t->index = index;
	t->npath = (size_t)n;
	if (merkle_check_inclusion(index, l->cp.size, leaf,
		(const uint8_t(*)[MERKLE_HASH])t->path, t->npath,
		l->cp.root) == -1)
		return (damaged("the tiles do not make the checkpoint's root",
		    index));
	return (ROWS_OK);
}

static enum rows_status
put_proof(struct log *l, struct reader *reader, const struct query_args *q,
    struct buf *out)
{
	struct buf line = BUF_INITIALIZER;
	struct tproof t = { .note = l->note.d, .note_len = l->note.len };
	enum rows_status status;
	int found;

	if (q->from == 0 || q->from > l->cp.size)
		return (ROWS_NOT_FOUND);
	if (reader == NULL)
		return (ROWS_UNAVAILABLE);
	if ((found = reader_find(reader, q->from, &line)) == -1)
		log_warn("proof: line %" PRIu64, q->from);
	else if (found == 0)
		log_info("proof: line %" PRIu64 " is in no segment", q->from);
	status = found == 1 ? include(l, q->from - 1, &line, &t) :
			      ROWS_UNAVAILABLE;
	t.extra = line.d;
	t.extra_len = line.len;
	if (status == ROWS_OK && tproof_put(out, &t) == -1)
		status = ROWS_UNAVAILABLE;
	buf_free(&line);
	return (status);
}

/* ---- two trees ---- */

/* The root of the first `size` lines, which the checkpoint covers. */
static int
root_at(struct log *l, uint64_t size, uint8_t root[MERKLE_HASH])
{
	struct merkle m;

	if (merkle_load(&m, size, tiles_get, &l->tiles) == -1)
		return (-1);
	merkle_root(&m, root);
	return (0);
}

/* A proof from size to size that holds; its hashes, or -1. */
static int
extend(struct log *l, uint64_t from, const uint8_t from_root[MERKLE_HASH],
    uint64_t to, const uint8_t to_root[MERKLE_HASH], hashes path)
{
	int n = merkle_consistency(from, to, tiles_get, &l->tiles, path);

	if (n == -1 ||
	    merkle_check_consistency(from, to, from_root, to_root,
		(const uint8_t(*)[MERKLE_HASH])path, (size_t)n) == -1)
		return (-1);
	return (n);
}

static void
put_hash(struct jw *w, const uint8_t hash[MERKLE_HASH])
{
	char text[B64_LEN(MERKLE_HASH)];

	b64_encode(hash, MERKLE_HASH, text);
	jw_str(w, text);
}

static enum rows_status
put_consistency(struct log *l, const struct query_args *q, struct buf *out)
{
	uint64_t from = q->from, to = q->to == 0 ? l->cp.size : q->to;
	uint8_t root[2][MERKLE_HASH];
	hashes path;
	struct jw w;
	int i, n;

	if (from == 0 || from > to || to > l->cp.size)
		return (ROWS_BAD_RANGE);
	if (root_at(l, from, root[0]) == -1 || root_at(l, to, root[1]) == -1)
		return (damaged("a tile is missing", to));
	if (extend(l, to, root[1], l->cp.size, l->cp.root, path) == -1 ||
	    (n = extend(l, from, root[0], to, root[1], path)) == -1)
		return (
		    damaged("the tiles do not make the checkpoint's root", to));
	jw_init(&w, out, false);
	jw_obj(&w);
	jw_kuint(&w, "from", from);
	jw_kuint(&w, "to", to);
	jw_key(&w, "path");
	jw_arr(&w);
	for (i = 0; i < n; i++)
		put_hash(&w, path[i]);
	jw_arr_end(&w);
	jw_key(&w, "from_root");
	put_hash(&w, root[0]);
	jw_key(&w, "to_root");
	put_hash(&w, root[1]);
	jw_key(&w, "checkpoint");
	jw_strn(&w, l->note.d, l->note.len);
	jw_obj_end(&w);
	return (ROWS_OK);
}

static enum rows_status
put_answer(struct log *l, struct reader *reader, const struct query_args *q,
    struct buf *out)
{
	if (q->query == Q_PROOF)
		return (put_proof(l, reader, q, out));
	if (q->query == Q_CONSISTENCY)
		return (put_consistency(l, q, out));
	buf_add(out, l->note.d, l->note.len);
	return (ROWS_OK);
}

void
proof_run(int dirfd, struct reader *reader, const struct query_args *q,
    struct query_result *res)
{
	struct log l;

	memset(res, 0, sizeof(*res));
	res->status = ROWS_UNAVAILABLE;
	if (dirfd == -1)
		return;
	if ((res->status = log_open(&l, dirfd)) == ROWS_OK)
		res->status = put_answer(&l, reader, q, &res->json);
	log_close(&l);
	if (res->status != ROWS_OK || res->json.err) {
		if (res->status == ROWS_OK)
			res->status = ROWS_UNAVAILABLE;
		buf_free(&res->json);
		memset(&res->json, 0, sizeof(res->json));
	}
}
