/* SPDX-License-Identifier: ISC */
/*
 * Grows the tree of the lines and holds it against what is signed: the newest
 * checkpoint, the older ones, the kept one, and the tiles under them. Says what
 * is proven, what is refuted and what is not known. Must never count a line as
 * verified whose hash did not go into a signed root.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/verify/proof.h"

#define PROGRESS_NOTES 4096

/* ---- tiles that are not what they should be ---- */

static void
tile_name(const struct proof *p, unsigned level, uint64_t index,
    char out[VERIFY_FILE_MAX])
{
	char path[TILE_PATH_MAX];
	uint64_t there = (p->trust->size >> (8 * level)) -
	    index / TILE_WIDTH * TILE_WIDTH;

	tile_path(path, level, index / TILE_WIDTH,
	    there < TILE_WIDTH ? (unsigned)there : TILE_WIDTH);
	(void)snprintf(out, VERIFY_FILE_MAX, LOG_DIR "/%s", path);
}

/* True the first time that something is said of this tile. */
static bool
tell_once(struct proof *p, unsigned level, uint64_t index)
{
	if (p->told[level] == index / TILE_WIDTH + 1)
		return (false);
	p->told[level] = index / TILE_WIDTH + 1;
	return (true);
}

static void
tile_absent(struct proof *p, unsigned level, uint64_t index)
{
	const struct trust_tile *t = trust_tile(p->trust, level, index);
	char name[VERIFY_FILE_MAX];

	if (t == NULL || t->error == 0 || !p->r->have_tiles ||
	    !tell_once(p, level, index))
		return;
	tile_name(p, level, index, name);
	verify_found(p->r, VK_TILE_DAMAGED, 0, 0, name, -1, "%s",
	    t->error == ENOENT	    ? "it is missing" :
		t->error == EBADMSG ? "it is not of its size" :
				      strerror(t->error));
}

/* A tile says something else than the lines; who is right shows later. */
static void
suspect(struct proof *p, unsigned level, uint64_t index, uint64_t from,
    uint64_t seq, const struct place *at)
{
	struct suspect *s;
	unsigned i;

	for (i = 0; i < p->nsuspect; i++) {
		s = &p->suspect[i];
		if (s->level == level &&
		    s->index / TILE_WIDTH == index / TILE_WIDTH)
			return;
	}
	if (p->nsuspect == PROOF_SUSPECTS)
		return;
	s = &p->suspect[p->nsuspect++];
	*s = (struct suspect){ .level = level,
		.index = index,
		.from = from,
		.seq = seq };
	if (at != NULL)
		s->at = *at;
}

static void
forget(struct proof *p, unsigned i)
{
	p->suspect[i] = p->suspect[--p->nsuspect];
}

/* Lines from..to are what was signed: so it is the tiles. */
static void
lines_are_right(struct proof *p, uint64_t from, uint64_t to)
{
	char name[VERIFY_FILE_MAX];
	struct suspect *s;
	unsigned i = 0;

	while (i < p->nsuspect) {
		s = &p->suspect[i];
		if (s->from < from || s->seq > to) {
			i++;
			continue;
		}
		if (tell_once(p, s->level, s->index)) {
			tile_name(p, s->level, s->index, name);
			verify_found(p->r, VK_TILE_DAMAGED, s->from, s->seq,
			    name,
			    (int64_t)(s->index % TILE_WIDTH * MERKLE_HASH),
			    "the lines are what was signed, this hash is not "
			    "theirs");
		}
		forget(p, i);
	}
}

/* Something in lines from..to is not what was signed. */
static void
lines_are_wrong(struct proof *p, uint64_t from, uint64_t to)
{
	const struct suspect *s, *first = NULL;
	unsigned i = 0;

	if (from <= p->proven)
		from = p->proven + 1;
	while (i < p->nsuspect) {
		s = &p->suspect[i];
		if (s->seq < from || s->from > to || s->level != 0) {
			i++;
			continue;
		}
		if (first == NULL || s->seq < first->seq)
			first = s;
		i++;
	}
	if (first != NULL)
		verify_found(p->r, VK_EDITED, first->seq, first->seq,
		    first->at.file, (int64_t)first->at.offset,
		    "at least one of lines %" PRIu64 " to %" PRIu64
		    " is not what was signed; this is the first that its tile "
		    "does not know, but the tile is not proven either",
		    from, to);
	else
		verify_found(p->r, VK_EDITED, from, to, "", -1,
		    "at least one of these lines is not what was signed; no "
		    "proven tile says which");
	for (i = 0; i < p->nsuspect;) {
		if (p->suspect[i].seq >= from && p->suspect[i].from <= to)
			forget(p, i);
		else
			i++;
	}
}

/* ---- signed roots ---- */

static uint64_t
take_pending(struct proof *p, unsigned levels)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < levels; i++) {
		n += p->pending[i];
		p->pending[i] = 0;
	}
	return (n);
}

/* 1: the tree has this root now; 0: another; -1: it is not known. */
static int
compare(const struct proof *p, const uint8_t root[MERKLE_HASH])
{
	uint8_t got[MERKLE_HASH];

	if ((p->unknown & p->tree.size) != 0)
		return (-1);
	merkle_root(&p->tree, got);
	return (memcmp(got, root, sizeof(got)) == 0);
}

static void
root_met(struct proof *p)
{
	p->r->verified += take_pending(p, TILE_LEVELS + 1);
	lines_are_right(p, 1, p->tree.size);
	p->proven = p->tree.size;
}

static void
root_not_met(struct proof *p, bool old)
{
	if (p->nagainst < PROOF_AGAINST) {
		p->against[p->nagainst].size = p->tree.size;
		p->against[p->nagainst].old = old;
	}
	p->nagainst++;
}

/* The next name in the history; sizes above the newest one were judged
 * already. */
static int
next_older(struct proof *p)
{
	int n = history_next(p->history, &p->next);

	p->more = n == 1 && p->next <= p->r->newest.size;
	return (n == -1 ? -1 : 0);
}

static void
judge_older(struct proof *p)
{
	char name[24], file[VERIFY_FILE_MAX];
	enum note_state s;
	struct checkpoint cp;
	struct vkey key;
	int met;

	/* A signature takes longer than many lines. */
	if (++p->judged % PROGRESS_NOTES == 0 && p->o->progress != NULL)
		p->o->progress(p->o->arg, p->tree.size, p->r->newest.size);
	history_name(p->next, name);
	(void)snprintf(file, sizeof(file), "%s/%s", p->history_name, name);
	s = note_judge_file(p->history->fd, name, p->o, &cp, &key);
	if (s == NS_SIGNED && cp.size != p->next)
		s = NS_EDITED;
	if (s == NS_FOREIGN) {
		verify_found(p->r, VK_WRONG_KEY, 0, 0, file, -1,
		    "none of the keys given has signed it");
		return;
	}
	if (s != NS_SIGNED) {
		/* A daemon at work may take old ones away. */
		if (s == NS_UNREADABLE && errno == ENOENT)
			return;
		verify_found(p->r, VK_CHECKPOINT_EDITED, 0, 0, file, -1, "%s",
		    s == NS_EDITED ? "its signature does not hold" :
				     strerror(errno));
		return;
	}
	if ((met = compare(p, cp.root)) == -1)
		p->r->history_unproven++;
	else if (met == 0)
		root_not_met(p, false);
	else {
		p->r->history++;
		root_met(p);
	}
}

/* The tree has a new size: is something signed over it? */
static int
check_size(struct proof *p)
{
	while (p->more && p->next <= p->tree.size) {
		if (p->next == p->tree.size)
			judge_older(p);
		if (next_older(p) == -1)
			return (-1);
	}
	if (p->tree.size == p->r->newest.size) {
		p->newest_seen = true;
		p->newest = compare(p, p->r->newest.root);
		if (p->newest == 1)
			root_met(p);
	}
	if (p->r->have_old && p->tree.size == p->r->old.size) {
		switch (compare(p, p->r->old.root)) {
		case 1:
			p->r->extends_old = true;
			root_met(p);
			break;
		case 0:
			root_not_met(p, true);
			break;
		default:
			break;
		}
	}
	return (0);
}

int
proof_init(struct proof *p, struct verify_report *r,
    const struct verify_options *o, struct trust *t, struct history *h,
    const char *history_folder)
{
	memset(p, 0, sizeof(*p));
	p->r = r;
	p->o = o;
	p->trust = t;
	p->history = h;
	p->history_name = history_folder;
	p->newest = -1;
	if (next_older(p) == -1)
		return (-1);
	return (check_size(p));
}

/* ---- growing ---- */

/*
 * A subtree of 256^level lines is complete, and its root is *h, if known. A
 * proven tile has the last word.
 */
static void
subtree(struct proof *p, unsigned level, uint8_t h[MERKLE_HASH], bool *unknown,
    uint64_t end)
{
	uint64_t index = (end >> (8 * level)) - 1;
	uint64_t from = (index << (8 * level)) + 1, n;
	uint8_t want[MERKLE_HASH];

	n = take_pending(p, level);
	if (end > p->r->newest.size) {
		p->pending[level] += n;
		return;
	}
	tile_absent(p, level, index);
	if (!trust_proven(p->trust, level, index, want)) {
		p->pending[level] += n;
		if (!*unknown && trust_raw(p->trust, level, index, h) == 0)
			suspect(p, level, index, from, end, NULL);
		return;
	}
	if (!*unknown && memcmp(h, want, sizeof(want)) == 0) {
		p->r->verified += n;
		lines_are_right(p, from, end);
	} else if (!*unknown)
		lines_are_wrong(p, from, end);
	memcpy(h, want, sizeof(want));
	*unknown = false;
}

static int
grow(struct proof *p, const uint8_t leaf[MERKLE_HASH], bool unknown)
{
	uint8_t h[MERKLE_HASH];
	unsigned k;

	memcpy(h, leaf, sizeof(h));
	for (k = 0; (p->tree.size >> k & 1) != 0; k++) {
		unknown = unknown || (p->unknown >> k & 1) != 0;
		if (!unknown)
			merkle_node(p->tree.edge[k], h, h);
		if ((k + 1) % 8 == 0 && (k + 1) / 8 < TILE_LEVELS)
			subtree(p, (k + 1) / 8, h, &unknown, p->tree.size + 1);
	}
	memcpy(p->tree.edge[k], h, sizeof(h));
	p->unknown &= ~(UINT64_C(1) << k);
	if (unknown)
		p->unknown |= UINT64_C(1) << k;
	p->tree.size++;
	if (p->tree.size == p->next || p->tree.size == p->r->newest.size ||
	    p->tree.size == p->r->old.size)
		return (check_size(p));
	return (0);
}

int
proof_line(struct proof *p, const uint8_t hash[MERKLE_HASH],
    const struct place *at)
{
	uint64_t index = p->tree.size;

	p->pending[0]++;
	if (index < p->r->newest.size) {
		switch (trust_raw(p->trust, 0, index, hash)) {
		case 0:
			suspect(p, 0, index, index + 1, index + 1, at);
			break;
		case -1:
			tile_absent(p, 0, index);
			break;
		default:
			break;
		}
	}
	return (grow(p, hash, false));
}

/*
 * Without tiles nothing is known of what is missing: goes at once to the next
 * size that something is signed over, however far that is.
 */
static int
skip(struct proof *p, uint64_t upto)
{
	const uint64_t stops[] = { p->more ? p->next : 0, p->r->newest.size,
		p->r->old.size };
	size_t i;

	for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		if (stops[i] > p->tree.size && stops[i] < upto)
			upto = stops[i];
	}
	p->tree.size = upto;
	p->unknown = UINT64_MAX;
	return (check_size(p));
}

int
proof_missing(struct proof *p, uint64_t upto)
{
	uint8_t h[MERKLE_HASH] = { 0 };
	bool known;

	while (p->tree.size < upto) {
		tile_absent(p, 0, p->tree.size);
		known = trust_proven(p->trust, 0, p->tree.size, h);
		if ((p->trust->usable ? grow(p, h, !known) : skip(p, upto)) ==
		    -1)
			return (-1);
	}
	return (0);
}

/* ---- the end ---- */

/* Roots that are signed and are not this log's, although the newest is. */
static void
other_histories(struct proof *p)
{
	char name[24], file[VERIFY_FILE_MAX];
	uint64_t i;

	for (i = 0; i < p->nagainst; i++) {
		if (i >= PROOF_AGAINST)
			break;
		if (p->against[i].old) {
			verify_found(p->r, VK_REPLACED, 1, p->against[i].size,
			    p->o->old, -1,
			    "the kept checkpoint is of another log: some of "
			    "these lines were replaced and signed again");
			continue;
		}
		history_name(p->against[i].size, name);
		(void)snprintf(file, sizeof(file), "%s/%s", p->history_name,
		    name);
		verify_found(p->r, VK_REPLACED, 1, p->against[i].size, file, -1,
		    "it is validly signed and is not of this log: two "
		    "histories were signed with this key");
	}
	if (p->nagainst > PROOF_AGAINST)
		verify_note(p->r,
		    "%" PRIu64 " signed checkpoints are not of "
		    "this log; the first are named",
		    p->nagainst);
}

/*
 * A signed root was not met, and lines were not named: between the last root
 * that was met and the first that was not.
 */
static void
narrow(struct proof *p)
{
	uint64_t to = p->r->newest.size;

	if (p->nagainst > 0 && p->against[0].size < to)
		to = p->against[0].size;
	lines_are_wrong(p, p->proven + 1, to);
	if (to < p->r->newest.size && p->newest == 0)
		verify_note(p->r,
		    "lines %" PRIu64 " to %" PRIu64
		    ": nothing is known of them, because "
		    "something below them is wrong and no tile "
		    "tells what",
		    to + 1, p->r->newest.size);
}

/* Partial tiles of earlier checkpoints, which readers of those still need. */
static void
older_partials(struct proof *p)
{
	char name[TILE_PATH_MAX], file[VERIFY_FILE_MAX];
	unsigned level;

	for (level = 0; level < TILE_LEVELS; level++) {
		if (trust_partials(p->trust, level, name) == 0)
			continue;
		(void)snprintf(file, sizeof(file), LOG_DIR "/%s", name);
		verify_found(p->r, VK_TILE_DAMAGED, 0, 0, file, -1,
		    "a partial tile that is not the beginning of the one of "
		    "the newest checkpoint");
	}
}

int
proof_end(struct proof *p)
{
	if (proof_missing(p, p->r->newest.size) == -1)
		return (-1);
	older_partials(p);
	if (p->newest == 1)
		other_histories(p);
	else if (p->newest == 0 || p->nagainst > 0)
		narrow(p);
	return (0);
}
