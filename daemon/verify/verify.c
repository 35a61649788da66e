/* SPDX-License-Identifier: ISC */
/*
 * The verifier from end to end: which checkpoint to judge by, the walk over
 * the lines, and the two verdicts. Must never say more than was shown: what
 * the kept checkpoint would have to prove is not claimed without one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/verify/judge.h"
#include "daemon/verify/twin.h"

#define PROGRESS_LINES 65536
#define TRIES	       64

/* What a kind of damage speaks against. */
#define AGAINST_INTEGRITY    1u
#define AGAINST_COMPLETENESS 2u

static const struct {
	const char *name;
	unsigned against;
} kinds[VK_MAX] = {
	[VK_EDITED] = { "edited", AGAINST_INTEGRITY },
	[VK_INSERTED] = { "inserted", AGAINST_INTEGRITY },
	[VK_DELETED] = { "deleted", AGAINST_INTEGRITY | AGAINST_COMPLETENESS },
	[VK_SWAPPED] = { "swapped", AGAINST_INTEGRITY },
	[VK_DUPLICATED] = { "duplicated", AGAINST_INTEGRITY },
	[VK_CUT_TAIL] = { "cut tail", AGAINST_COMPLETENESS },
	[VK_CUT_HEAD] = { "cut head", AGAINST_COMPLETENESS },
	[VK_ROLLED_BACK] = { "rolled back",
	    AGAINST_INTEGRITY | AGAINST_COMPLETENESS },
	[VK_REPLACED] = { "replaced", AGAINST_INTEGRITY },
	[VK_WRONG_KEY] = { "wrong key", AGAINST_INTEGRITY },
	[VK_ARCHIVE_DAMAGED] = { "archive damaged",
	    AGAINST_INTEGRITY | AGAINST_COMPLETENESS },
	[VK_CHECKPOINT_EDITED] = { "checkpoint edited", AGAINST_INTEGRITY },
	[VK_TILE_DAMAGED] = { "tile damaged", AGAINST_INTEGRITY },
	[VK_MALFORMED] = { "malformed", AGAINST_INTEGRITY },
};

const char *
verify_kind_name(enum verify_kind k)
{
	return (k < VK_MAX ? kinds[k].name : "unknown");
}

void
verify_found(struct verify_report *r, enum verify_kind kind, uint64_t seq,
    uint64_t last, const char *file, int64_t offset, const char *fmt, ...)
{
	struct verify_finding *f;
	va_list ap;

	r->count[kind]++;
	if (r->nfindings == VERIFY_FINDINGS)
		return;
	f = &r->findings[r->nfindings++];
	*f = (struct verify_finding){ .kind = kind,
		.seq = seq,
		.last = last,
		.offset = offset };
	(void)snprintf(f->file, sizeof(f->file), "%s", file);
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void
verify_note(struct verify_report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->nnotes == VERIFY_NOTES)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(r->notes[r->nnotes++], VERIFY_TEXT_MAX, fmt, ap);
	va_end(ap);
}

static int
cannot(struct verify_report *r, const char *what)
{
	if (r->error[0] == '\0')
		(void)snprintf(r->error, sizeof(r->error), "%s: %s", what,
		    strerror(errno));
	return (r->status = VERIFY_USAGE);
}

/* ---- the checkpoint to judge by ---- */

static void
adopt(struct verify_report *r, const struct checkpoint *cp,
    const struct vkey *key, const char *file)
{
	r->have_checkpoint = true;
	r->newest = *cp;
	r->key = *key;
	(void)ax_strlcpy(r->newest_file, file, sizeof(r->newest_file));
}

/* Says what is wrong with a note that is not well signed. */
static void
blame(struct verify_report *r, enum note_state s, const char *file)
{
	if (s == NS_FOREIGN)
		verify_found(r, VK_WRONG_KEY, 0, 0, file, -1,
		    "none of the keys given has signed it");
	else
		verify_found(r, VK_CHECKPOINT_EDITED, 0, 0, file, -1, "%s",
		    s == NS_EDITED ? "its signature does not hold" :
				     strerror(errno));
}

/* The newest of the history that is well signed, if newer than what we have. */
static int
from_history(struct verify_report *r, const struct verify_options *o,
    const struct history *h, const char *folder)
{
	char name[24], file[VERIFY_FILE_MAX];
	uint64_t below = UINT64_MAX, size = 0;
	struct checkpoint cp;
	enum note_state s;
	struct vkey key;
	unsigned i;
	int n;

	for (i = 0; i < TRIES; i++) {
		if ((n = history_largest(h, below, &size)) <= 0)
			return (n);
		if (r->have_checkpoint && size <= r->newest.size)
			return (0);
		history_name(size, name);
		(void)snprintf(file, sizeof(file), "%s/%s", folder, name);
		s = note_judge_file(h->fd, name, o, &cp, &key);
		if (s == NS_SIGNED && cp.size == size) {
			adopt(r, &cp, &key, file);
			return (1);
		}
		blame(r, s == NS_SIGNED ? NS_EDITED : s, file);
		below = size;
	}
	return (0);
}

static int
find_newest(struct verify_report *r, const struct verify_options *o,
    const struct layout *l, const struct history *h)
{
	const char *file = l->checkpoint != NULL ? l->checkpoint : "checkpoint";
	enum note_state s = NS_UNREADABLE;
	struct checkpoint cp;
	struct vkey key;
	bool had;
	int n;

	errno = ENOENT;
	if (l->checkpoint != NULL)
		s = note_judge_file(l->dirfd, file, o, &cp, &key);
	if (s == NS_SIGNED)
		adopt(r, &cp, &key, file);
	else if (l->checkpoint != NULL || h->fd != -1)
		blame(r, s, file);
	had = r->have_checkpoint;
	/*
	 * A copy that took its time has newer ones in the history. Nothing is
	 * lost by judging by the newest.
	 */
	if ((n = from_history(r, o, h, l->history)) == 1 && had)
		verify_note(r,
		    "%s is over %" PRIu64 " lines; the log is "
		    "judged by a newer one of the history",
		    file, cp.size);
	return (n == -1 ? -1 : 0);
}

/* The checkpoint that was kept off the host. */
static int
read_old(struct verify_report *r, const struct verify_options *o)
{
	struct vkey key;
	enum note_state s;

	if (o->old == NULL)
		return (0);
	s = note_judge_file(AT_FDCWD, o->old, o, &r->old, &key);
	if (s == NS_UNREADABLE)
		return (-1);
	if (s != NS_SIGNED) {
		memset(&r->old, 0, sizeof(r->old));
		blame(r, s, o->old);
		return (0);
	}
	r->have_old = true;
	if (!r->have_checkpoint)
		adopt(r, &r->old, &key, o->old);
	return (0);
}

/* ---- the verdicts ---- */

static void
judge_old(struct verify_report *r, const struct verify_options *o,
    const struct proof *p)
{
	if (!r->have_old)
		return;
	if (r->old.size > r->newest.size && r->extends_old)
		verify_found(r, VK_ROLLED_BACK, 0, 0, r->newest_file, -1,
		    "the kept checkpoint is over %" PRIu64 " lines; they are "
		    "here and are what it signs, but the newest checkpoint "
		    "here is over %" PRIu64,
		    r->old.size, r->newest.size);
	else if (r->old.size > r->newest.size && p->nagainst == 0)
		verify_found(r, VK_ROLLED_BACK, r->newest.size + 1, r->old.size,
		    o->old, -1,
		    "the kept checkpoint is over %" PRIu64 " lines, the "
		    "newest here over %" PRIu64,
		    r->old.size, r->newest.size);
	else if (!r->extends_old && p->newest != 1)
		verify_note(r,
		    "whether the log extends the kept checkpoint is "
		    "not known: lines below it are missing or not "
		    "what was signed");
}

static int
by_seq(const void *a, const void *b)
{
	const struct verify_finding *x = a, *y = b;

	if (x->seq != y->seq)
		return (x->seq < y->seq ? -1 : 1);
	return (x->offset < y->offset ? -1 : x->offset > y->offset);
}

static int
conclude(struct verify_report *r, const struct proof *p)
{
	unsigned against = 0, k;

	for (k = 0; k < VK_MAX; k++) {
		if (r->count[k] > 0)
			against |= kinds[k].against;
	}
	r->integrity = (against & AGAINST_INTEGRITY) != 0 ? VV_DAMAGED :
	    p->newest == 1				  ? VV_OK :
							    VV_UNPROVEN;
	r->completeness = (against & AGAINST_COMPLETENESS) != 0 ? VV_DAMAGED :
								  VV_OK;
	if (p->newest == -1)
		verify_note(r,
		    "no more than lines 1 to %" PRIu64 " could be "
		    "held against a signed root as a whole",
		    p->proven);
	if (r->nfindings > 1)
		qsort(r->findings, r->nfindings, sizeof(*r->findings), by_seq);
	r->status = against == 0 && r->integrity == VV_OK &&
		(!r->have_old || r->extends_old) ?
	    VERIFY_OK :
	    VERIFY_DAMAGED;
	return (r->status);
}

/* ---- the run ---- */

struct run {
	struct layout layout;
	struct history history;
	struct trust trust;
	struct proof proof;
	struct judge judge;
};

static int
walk_all(struct run *x, const struct verify_options *o, struct verify_report *r)
{
	struct walk *w = walk_new(&x->layout);
	struct walk_line l;
	enum walk_event e;
	uint64_t n = 0;

	if (w == NULL)
		return (-1);
	while ((e = walk_next(w, &l)) != WALK_END) {
		if (judge_event(&x->judge, e, &l) == -1)
			break;
		if (++n % PROGRESS_LINES == 0 && o->progress != NULL)
			o->progress(o->arg, n, r->newest.size);
	}
	walk_free(w);
	return (e == WALK_END ? 0 : -1);
}

static int
judge_all(struct run *x, const struct verify_options *o,
    struct verify_report *r)
{
	const char *twin = twin_leave_out(&x->layout);

	if (twin != NULL)
		verify_note(r, "the file being written is %s already", twin);
	trust_init(&x->trust, x->layout.have_tiles ? x->layout.logfd : -1,
	    r->newest.size, r->newest.root);
	r->have_tiles = x->layout.have_tiles;
	r->segments = (unsigned)x->layout.nseg;
	if (proof_init(&x->proof, r, o, &x->trust, &x->history,
		x->layout.history) == -1)
		return (cannot(r, x->layout.history));
	judge_init(&x->judge, r, &x->proof, o->from);
	if (walk_all(x, o, r) == -1 || judge_end(&x->judge) == -1 ||
	    proof_end(&x->proof) == -1)
		return (cannot(r, "reading the log"));
	if (!r->have_tiles && r->newest.size > 0)
		verify_note(r,
		    "there are no tiles: damage can be narrowed to "
		    "a range of lines only");
	judge_old(r, o, &x->proof);
	return (conclude(r, &x->proof));
}

static int
run(struct run *x, const struct verify_options *o, struct verify_report *r)
{
	if (history_init(&x->history, &x->layout) == -1)
		return (cannot(r, "history"));
	if (find_newest(r, o, &x->layout, &x->history) == -1)
		return (cannot(r, x->layout.history));
	if (read_old(r, o) == -1)
		return (cannot(r, o->old));
	if (!r->have_checkpoint || (o->old != NULL && !r->have_old)) {
		r->status = VERIFY_NOTHING;
		return (r->status);
	}
	return (judge_all(x, o, r));
}

int
verify_run(const struct verify_options *o, struct verify_report *r)
{
	struct run *x = calloc(1, sizeof(*x));
	const char *what;

	memset(r, 0, sizeof(*r));
	if (x == NULL)
		return (cannot(r, o->dir));
	if (layout_open(&x->layout, o->dir, &what) == -1)
		(void)cannot(r, what);
	else
		(void)run(x, o, r);
	history_free(&x->history);
	layout_close(&x->layout);
	free(x);
	return (r->status);
}
