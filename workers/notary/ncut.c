/* SPDX-License-Identifier: ISC */
/*
 * From the tree to the disk: full tiles in batches, and checkpoints, each over
 * the tree as it was at one size: its full tiles first, then its partial ones,
 * then the note, each durable before the next begins. Must never let a
 * checkpoint appear before its tiles, never sign one size twice, and never a
 * size below one that was signed.
 */
#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "workers/notary/npriv.h"

#define TILE_MODE  0644
#define BATCH_FROM TILEFILE_MAX /* full tiles that wait for no checkpoint */
#define PRUNE_LOOK 64

void
ncut_take(void *arg, unsigned level, uint64_t index,
    const uint8_t (*hash)[MERKLE_HASH])
{
	struct notary *n = arg;
	struct full_tile *t = &n->queue[(n->qhead + n->qn++) % QUEUE_MAX];

	t->level = level;
	t->index = index;
	memcpy(t->hash, hash, sizeof(t->hash));
}

void
ncut_drop(struct notary *n)
{
	tilefile_drop(&n->files);
	n->cut.active = false;
	n->qn = n->taking = 0;
}

/* ---- when ---- */

/* Does a segment end exactly here? */
static bool
at_boundary(const struct notary *n)
{
	const struct nsegment *s = notary_segment_of(n, notary_size(n) + 1);

	return (s != NULL && s->first_seq == notary_size(n) + 1);
}

/* The tree as it is deserves a checkpoint that is kept for good. */
static bool
at_landmark(const struct notary *n)
{
	return (notary_size(n) > 0 &&
	    (at_boundary(n) ||
		(n->draining && !n->more && notary_size(n) >= n->drain_to)));
}

/* The newest checkpoint's place in the history is empty, or not for good. */
static bool
history_lacks(const struct notary *n, bool kept)
{
	const struct history_entry *e;

	if (n->conf.key == NULL || n->newest.c.size == 0)
		return (false);
	e = history_find(&n->history, n->newest.c.size);
	return (e == NULL || (kept && !e->kept));
}

static bool
rebuilding(const struct notary *n)
{
	return (n->rebuild_to > 0 && notary_size(n) <= n->rebuild_to);
}

static bool
landmark_undone(const struct notary *n)
{
	if (!at_landmark(n) || notary_size(n) < n->covered)
		return (false);
	return (notary_size(n) > n->covered || history_lacks(n, true));
}

bool
ncut_hold(const struct notary *n)
{
	if (n->cut.active && n->cut.size == notary_size(n) &&
	    (n->cut.kept || !landmark_undone(n)))
		return (false);
	if (n->rebuild_to > 0 && notary_size(n) == n->rebuild_to)
		return (true);
	return (landmark_undone(n));
}

/* ---- a cut ---- */

static void
copy_partials(struct notary *n)
{
	struct cut *c = &n->cut;
	unsigned i;

	c->npartials = 0;
	for (i = 0; i < TILE_LEVELS; i++) {
		if (n->keeper.open[i].n == 0 ||
		    (n->ondisk[i].index == n->keeper.open[i].index &&
			n->ondisk[i].width == n->keeper.open[i].n))
			continue;
		c->partial[c->npartials].level = i;
		c->partial[c->npartials].index = n->keeper.open[i].index;
		c->partial[c->npartials].width = n->keeper.open[i].n;
		memcpy(c->partial[c->npartials].hash, n->keeper.open[i].hash,
		    sizeof(c->partial[0].hash));
		c->npartials++;
	}
}

static void
begin_cut(struct notary *n, bool sign, bool kept, uint64_t now)
{
	struct cut *c = &n->cut;

	c->active = true;
	c->sign = sign;
	c->kept = kept;
	c->only_note = false;
	c->size = notary_size(n);
	merkle_root(&n->keeper.tree, c->root);
	c->ahead = n->qn;
	c->stage = CUT_TILES;
	buf_reset(&c->note);
	copy_partials(n);
	n->next_cut = now + n->conf.interval_us;
}

/* The newest checkpoint once more, into the history. */
static void
begin_history(struct notary *n, bool kept)
{
	struct cut *c = &n->cut;

	c->active = true;
	c->sign = false;
	c->only_note = true;
	c->kept = kept;
	c->size = n->newest.c.size;
	c->npartials = 0;
	c->ahead = 0;
	c->stage = CUT_NOTE;
	buf_reset(&c->note);
	buf_add(&c->note, n->newest.note, n->newest.len);
}

/* The tiles are whole again; the tree must still be the one that was signed. */
static void
end_rebuild(struct notary *n, uint64_t now)
{
	uint8_t root[MERKLE_HASH];

	merkle_root(&n->keeper.tree, root);
	if (memcmp(root, n->newest.c.root, sizeof(root)) != 0) {
		notary_broken(n,
		    "the journal has changed while its tiles were "
		    "made anew");
		return;
	}
	begin_cut(n, false, false, now);
}

static void
begin_if_due(struct notary *n, uint64_t now)
{
	uint64_t size = notary_size(n);

	if (rebuilding(n)) {
		if (size == n->rebuild_to)
			end_rebuild(n, now);
		return;
	}
	if (landmark_undone(n)) {
		if (size > n->covered)
			begin_cut(n, n->conf.key != NULL, true, now);
		else
			begin_history(n, true);
	} else if (history_lacks(n, false))
		begin_history(n, false);
	else if (size > n->covered && now >= n->next_cut)
		begin_cut(n, n->conf.key != NULL, false, now);
}

/* ---- batches ---- */

/*
 * A tile with the right content is durable only if a checkpoint was signed over
 * it: one of an earlier life may stand there by name alone. Where nothing is
 * signed it is good enough.
 */
static bool
is_durable(const struct notary *n, const struct full_tile *t, const char *path)
{
	if (n->conf.key != NULL &&
	    t->index >= (n->newest.c.size >> (8 * t->level)) / TILE_WIDTH)
		return (false);
	return (tilefile_same(n->conf.io, n->conf.dirfd, path, t->hash,
	    sizeof(t->hash)));
}

/* Tiles that stand there already, as after a rebuild, are left alone. */
static void
add_full_tiles(struct notary *n, size_t most)
{
	const struct full_tile *t;
	char path[TILE_PATH_MAX];

	for (n->taking = 0; n->taking < most; n->taking++) {
		t = &n->queue[(n->qhead + n->taking) % QUEUE_MAX];
		tile_path(path, t->level, t->index, TILE_WIDTH);
		if (is_durable(n, t, path))
			continue;
		if (!tilefile_add(&n->files, path, t->hash, sizeof(t->hash),
			TILE_MODE))
			break;
	}
}

static void
full_tiles_done(struct notary *n)
{
	const struct full_tile *t;

	for (; n->taking > 0; n->taking--) {
		t = &n->queue[n->qhead];
		tilefile_drop_partials(n->conf.io, n->conf.dirfd, t->level,
		    t->index, 0, 0);
		n->qhead = (n->qhead + 1) % QUEUE_MAX;
		n->qn--;
		if (n->cut.active)
			n->cut.ahead--;
	}
}

static void
add_partials(struct notary *n)
{
	struct cut *c = &n->cut;
	char path[TILE_PATH_MAX];
	unsigned i;

	for (i = 0; i < c->npartials; i++) {
		tile_path(path, c->partial[i].level, c->partial[i].index,
		    c->partial[i].width);
		(void)tilefile_add(&n->files, path, c->partial[i].hash,
		    (size_t)c->partial[i].width * MERKLE_HASH, TILE_MODE);
	}
}

/* The one before stays for readers that have the checkpoint before. */
static void
partials_done(struct notary *n)
{
	const struct cut *c = &n->cut;
	unsigned i, level, older;

	for (i = 0; i < c->npartials; i++) {
		level = c->partial[i].level;
		older = n->ondisk[level].index == c->partial[i].index ?
		    n->ondisk[level].width :
		    0;
		tilefile_drop_partials(n->conf.io, n->conf.dirfd, level,
		    c->partial[i].index, c->partial[i].width, older);
		n->ondisk[level].index = c->partial[i].index;
		n->ondisk[level].width = c->partial[i].width;
	}
}

static void
add_note(struct notary *n)
{
	struct cut *c = &n->cut;
	char path[TILE_PATH_MAX];

	if (c->sign && c->note.len == 0 &&
	    checkpoint_sign(&c->note, n->conf.key, c->size, c->root) == -1) {
		errno = ENOMEM;
		notary_failed(n, "signature");
		return;
	}
	/* In this order: nothing stands in the history that never was the
	 * newest. */
	if (c->sign)
		(void)tilefile_add(&n->files, LOG_CHECKPOINT, c->note.d,
		    c->note.len, CHECKPOINT_MODE);
	history_path(path, c->size);
	(void)tilefile_add(&n->files, path, c->note.d, c->note.len,
	    c->kept ? CHECKPOINT_MODE_KEPT : CHECKPOINT_MODE);
}

static void
signed_done(struct notary *n, uint64_t at)
{
	struct cut *c = &n->cut;

	memset(&n->newest, 0, sizeof(n->newest));
	n->newest.c.size = c->size;
	memcpy(n->newest.c.root, c->root, sizeof(c->root));
	n->newest.len = c->note.len;
	n->newest.at = at;
	memcpy(n->newest.note, c->note.d, c->note.len);
	metric_inc(n->slot, MC_CHECKPOINTS);
	metric_set(n->slot, MG_CHECKPOINT_SEQ, c->size);
	metric_set(n->slot, MG_CHECKPOINT_AT, at);
}

static void
end_cut(struct notary *n)
{
	struct cut *c = &n->cut;
	uint64_t at = ax_real_us() / 1000000;

	c->active = false;
	notary_works(n);
	if (c->sign || c->only_note)
		history_add(&n->history, c->size, at, c->kept);
	if (c->sign)
		signed_done(n, at);
	if (c->size == n->rebuild_to)
		n->rebuild_to = 0;
	if (c->size > n->covered) {
		n->covered = c->size;
		n->ops->covered(n->arg, c->size,
		    c->sign ? buf_str(&c->note) : NULL);
	}
	(void)history_prune(&n->history, at, PRUNE_LOOK);
}

/* Puts the next batch together; false: nothing is to be written now. */
static bool
begin_batch(struct notary *n, uint64_t now)
{
	struct cut *c = &n->cut;

	if (!c->active)
		begin_if_due(n, now);
	if (n->state == NOTARY_BROKEN)
		return (false);
	if (!c->active) {
		if (n->qn >= BATCH_FROM)
			add_full_tiles(n, BATCH_FROM);
		return (n->taking > 0);
	}
	if (c->stage == CUT_TILES && c->ahead == 0)
		c->stage = CUT_PARTIALS;
	if (c->stage == CUT_PARTIALS && c->npartials == 0)
		c->stage = c->sign ? CUT_NOTE : CUT_DONE;
	if (c->stage == CUT_TILES)
		add_full_tiles(n, c->ahead);
	else if (c->stage == CUT_PARTIALS)
		add_partials(n);
	else if (c->stage == CUT_NOTE)
		add_note(n);
	else
		end_cut(n);
	/* Else the signature failed. */
	return (n->files.n > 0 || n->taking > 0 || !n->failing);
}

static void
batch_done(struct notary *n, unsigned files)
{
	struct cut *c = &n->cut;

	notary_works(n);
	if (n->taking > 0) {
		full_tiles_done(n);
		metric_add(n->slot, MC_TILES, files);
	} else if (c->stage == CUT_PARTIALS) {
		metric_add(n->slot, MC_TILES, files);
		partials_done(n);
		c->stage = c->sign ? CUT_NOTE : CUT_DONE;
	} else if (c->stage == CUT_NOTE)
		end_cut(n);
}

bool
ncut_step(struct notary *n, uint64_t now)
{
	unsigned files = n->files.n;

	if (files == 0 && n->taking == 0)
		return (begin_batch(n, now));
	switch (tilefile_step(&n->files)) {
	case -1:
		notary_failed(n, n->files.what);
		return (false);
	case 1:
		batch_done(n, files);
		return (true);
	default:
		return (true);
	}
}

bool
ncut_idle(const struct notary *n)
{
	return (!n->cut.active && n->qn == 0 && !rebuilding(n) &&
	    notary_size(n) == n->covered && !landmark_undone(n) &&
	    !history_lacks(n, false));
}
