/* SPDX-License-Identifier: ISC */
/*
 * The kinds of damage, told from the order in which genuine and forged lines
 * come. Must never accept a line that a proven tile knows differently, and
 * never call something by a name that the order does not show.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/line.h"
#include "common/util.h"
#include "daemon/verify/judge.h"

void
judge_init(struct judge *j, struct verify_report *r, struct proof *p,
    uint64_t from)
{
	memset(j, 0, sizeof(*j));
	j->r = r;
	j->proof = p;
	j->trust = p->trust;
	j->size = r->newest.size;
	j->begin = from > 0 ? from : 1;
}

/* ---- what a line is ---- */

/* Does the id end with the number? Only forged lines contradict themselves. */
static bool
id_fits(const struct line_view *v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "-%" PRIu64, v->seq);

	return (v->id.n > (size_t)n &&
	    memcmp(v->id.p + v->id.n - (size_t)n, text, (size_t)n) == 0);
}

/* A proven tile gives line `seq` another hash. */
static bool
refuted(struct judge *j, uint64_t seq, const struct item *it)
{
	return (seq >= 1 && seq <= j->size &&
	    trust_raw(j->trust, 0, seq - 1, it->hash) == 0 &&
	    trust_proven(j->trust, 0, seq - 1, NULL));
}

static void
genuine(struct judge *j, struct item *it, uint64_t says)
{
	if (says != it->seq)
		verify_found(j->r, VK_MALFORMED, it->seq, it->seq, it->at.file,
		    (int64_t)it->at.offset,
		    says == 0 ?
			"signed as it stands, but no line of a journal" :
			"signed as it stands, but it bears another "
			"number");
	it->kind = IT_GENUINE;
}

static void
classify(struct judge *j, const char *s, size_t n, struct item *it)
{
	uint64_t e = j->expect > 0 ? j->expect : j->begin, says = 0;
	struct line_view v;

	merkle_leaf(s, n, it->hash);
	if (line_parse(s, n, &v) == 0)
		says = v.seq;
	it->seq = e;
	if (e <= j->size && trust_raw(j->trust, 0, e - 1, it->hash) == 1) {
		genuine(j, it, says);
		return;
	}
	it->seq = says;
	if (says != 0 && says != e && says <= j->size &&
	    trust_raw(j->trust, 0, says - 1, it->hash) == 1) {
		it->kind = IT_GENUINE;
		return;
	}
	it->kind = IT_CLAIM;
	if (says == 0 || (says != e && !id_fits(&v)) || refuted(j, says, it))
		it->kind = IT_FORGED;
}

/* ---- accepting ---- */

static void
found(struct judge *j, enum verify_kind kind, uint64_t seq, uint64_t last,
    const struct place *at, const char *text)
{
	size_t n = j->r->nfindings;

	verify_found(j->r, kind, seq, last, at->file, (int64_t)at->offset, "%s",
	    text);
	if (j->r->nfindings > n && seq > j->size)
		j->r->findings[n].uncovered = true;
}

static int
fail(struct judge *j)
{
	j->error = errno;
	return (-1);
}

/* The lines expect..upto are not here as they were signed. */
static int
missing(struct judge *j, uint64_t upto)
{
	uint64_t signed_to = j->size > j->r->old.size ? j->size :
							j->r->old.size;

	if (upto < j->expect)
		return (0);
	j->expect = upto + 1;
	if (upto > signed_to)
		upto = signed_to;
	return (proof_missing(j->proof, upto) == -1 ? fail(j) : 0);
}

static int
take_early(struct judge *j, uint64_t seq, struct astray *out)
{
	size_t i;

	for (i = 0; i < j->nearly; i++) {
		if (j->early[i].seq == seq) {
			*out = j->early[i];
			j->early[i] = j->early[--j->nearly];
			return (1);
		}
	}
	return (0);
}

static int
take_exchange(struct judge *j, uint64_t seq, struct astray *out)
{
	size_t i;

	for (i = 0; i < j->nexchange; i++) {
		if (j->exchange[i].seq == seq) {
			*out = j->exchange[i];
			j->exchange[i] = j->exchange[--j->nexchange];
			return (1);
		}
	}
	return (0);
}

static void
remember(struct astray *table, size_t *n, uint64_t seq, uint64_t stead,
    const struct place *at)
{
	if (*n < JUDGE_TABLE)
		table[(*n)++] = (struct astray){ seq, stead, *at };
}

/* The reading of a segment broke off, and yet nothing was lost by it. */
static void
damage_without_loss(struct judge *j)
{
	if (!j->damaged)
		return;
	j->damaged = false;
	found(j, VK_ARCHIVE_DAMAGED, 0, 0, &j->damage,
	    "it cannot be read to its end, and no line is missing");
}

/* Line `expect` stands where it belongs. */
static int
accept(struct judge *j, const struct item *it)
{
	struct astray a;
	char text[VERIFY_TEXT_MAX];

	if (j->tail_bad) {
		found(j, VK_EDITED, j->expect, j->expect, &j->bad_at,
		    "not a line of a journal, and a line follows");
		j->tail_bad = false;
	}
	damage_without_loss(j);
	if (take_early(j, it->seq, &a) || take_exchange(j, it->seq, &a)) {
		(void)snprintf(text, sizeof(text),
		    "a second copy of it stands before line %" PRIu64, a.stead);
		found(j, VK_DUPLICATED, it->seq, it->seq, &a.at, text);
	}
	j->accepted++;
	if (j->r->first_seq == 0)
		j->r->first_seq = it->seq;
	j->r->last_seq = it->seq;
	if (it->seq > j->size)
		j->r->uncovered++;
	memcpy(j->last_hash, it->hash, sizeof(j->last_hash));
	j->last_segment = it->segment;
	j->expect++;
	return (proof_line(j->proof, it->hash, &it->at) == -1 ? fail(j) : 0);
}

/* ---- gaps ---- */

static void
gap_add(struct judge *j, enum verify_kind kind, uint64_t from, uint64_t to,
    const struct place *at, const char *text)
{
	struct gap *g;

	if (j->ngap == JUDGE_TABLE) { /* nothing can come back to it */
		found(j, kind, from, to, at, text);
		return;
	}
	g = &j->gap[j->ngap++];
	*g = (struct gap){ .kind = kind, .from = from, .to = to, .at = *at };
	(void)ax_strlcpy(g->text, text, sizeof(g->text));
}

/* Lines expect..to-1 are not before this place. */
static int
leave_out(struct judge *j, uint64_t to, const struct item *next)
{
	enum verify_kind kind = VK_DELETED;
	struct place at = next->at;
	char text[VERIFY_TEXT_MAX] = "missing before this place";
	uint64_t from = j->expect;

	if (to <= from)
		return (0);
	if (j->accepted == 0 && from == j->begin) {
		kind = VK_CUT_HEAD;
		(void)snprintf(text, sizeof(text),
		    "the log begins here with line %" PRIu64, to);
	} else if (next->segment != j->last_segment &&
	    next->segment - j->last_segment > 1 && j->last_segment != 0 &&
	    next->segment != UINT64_MAX)
		(void)snprintf(text, sizeof(text),
		    "missing before this place; so are the archives with "
		    "numbers %" PRIu64 " to %" PRIu64,
		    j->last_segment + 1, next->segment - 1);
	if (j->damaged) {
		kind = VK_ARCHIVE_DAMAGED;
		at = j->damage;
		j->damaged = false;
		(void)snprintf(text, sizeof(text),
		    "it cannot be read beyond this place: these lines are "
		    "lost");
	}
	gap_add(j, kind, from, to - 1, &at, text);
	return (missing(j, to - 1));
}

/* Takes line seq out of the gap that has it. */
static bool
gap_take(struct judge *j, uint64_t seq)
{
	struct gap *g, low;
	size_t i;

	for (i = 0; i < j->ngap; i++) {
		g = &j->gap[i];
		if (seq < g->from || seq > g->to)
			continue;
		low = *g;
		low.to = seq - 1;
		if (seq == g->to)
			g->to--;
		else if (seq == g->from)
			g->from++;
		else if (j->ngap < JUDGE_TABLE) {
			g->from = seq + 1;
			j->gap[j->ngap++] = low;
		} else
			return (false);
		if (g->from > g->to)
			*g = j->gap[--j->ngap];
		return (true);
	}
	return (false);
}

/* ---- forged lines ---- */

/* Behind the table's end only the last place is known. */
static const struct item *
run_at(const struct judge *j, uint64_t i)
{
	return (&j->run[i < JUDGE_TABLE ? i : JUDGE_TABLE - 1]);
}

static int
edited(struct judge *j, const struct item *it)
{
	found(j, VK_EDITED, j->expect, j->expect, &it->at,
	    it->seq == 0	     ? "it is no line of a journal any more" :
		it->seq != j->expect ? "it is not what was signed, and bears "
				       "another number" :
				       "it is not what was signed");
	return (missing(j, j->expect));
}

static void
inserted(struct judge *j, const struct item *it)
{
	char text[VERIFY_TEXT_MAX];

	if (it->seq != 0)
		(void)snprintf(text, sizeof(text),
		    "a line that was never signed stands before line %" PRIu64
		    "; it calls itself line %" PRIu64,
		    j->expect, it->seq);
	else
		(void)snprintf(text, sizeof(text),
		    "something that is no line stands before line %" PRIu64,
		    j->expect);
	found(j, VK_INSERTED, j->expect, j->expect, &it->at, text);
}

/* Which line the forged one i of the run stands for; 0: for none. */
static uint64_t
stands_for(const struct judge *j, uint64_t i, uint64_t to)
{
	uint64_t left = j->nrun - i, room = to - j->expect;
	uint64_t says = run_at(j, i)->seq;

	if (room == 0)
		return (0);
	if (left == room)
		return (j->expect);
	if (left < room) /* some are missing: its number says which */
		return (
		    says >= j->expect && says <= to - left ? says : j->expect);
	return (says == j->expect ? says : 0);
}

/*
 * The next good line is `to`: the forged ones before it stand for lines that
 * are missing, or for nothing.
 */
static int
settle_run(struct judge *j, uint64_t to, const struct item *next)
{
	const struct item *it;
	uint64_t i, seq;

	for (i = 0; i < j->nrun; i++) {
		it = run_at(j, i);
		if ((seq = stands_for(j, i, to)) == 0) {
			inserted(j, it);
			continue;
		}
		if (leave_out(j, seq, it) == -1 || edited(j, it) == -1)
			return (-1);
	}
	j->nrun = 0;
	return (leave_out(j, to, next));
}

static void
run_add(struct judge *j, const struct item *it)
{
	j->run[j->nrun < JUDGE_TABLE ? j->nrun : JUDGE_TABLE - 1] = *it;
	j->nrun++;
	j->forged++;
}

/* ---- lines out of order ---- */

/* Lines that were seen before their place, and are not in it. */
static int
pass_early(struct judge *j)
{
	struct astray a;
	char text[VERIFY_TEXT_MAX];

	while (take_early(j, j->expect, &a)) {
		(void)snprintf(text, sizeof(text),
		    "line %" PRIu64 " stands before line %" PRIu64, a.seq,
		    a.stead);
		found(j, VK_SWAPPED, a.stead, a.seq, &a.at, text);
		if (missing(j, j->expect) == -1)
			return (-1);
	}
	return (0);
}

/* Line it->seq comes although its place is behind us. */
static int
behind(struct judge *j, const struct item *it)
{
	struct astray a;
	char text[VERIFY_TEXT_MAX];
	size_t i;

	for (i = 0; i < j->nexchange; i++) {
		a = j->exchange[i];
		if (a.stead != it->seq)
			continue;
		j->exchange[i] = j->exchange[--j->nexchange];
		(void)snprintf(text, sizeof(text),
		    "lines %" PRIu64 " and %" PRIu64
		    " are exchanged; the first stands at byte %" PRIu64
		    " of %s",
		    a.stead, a.seq, it->at.offset, it->at.file);
		found(j, VK_SWAPPED, a.stead, a.seq, &a.at, text);
		return (a.seq == j->expect ? missing(j, j->expect) : 0);
	}
	if (gap_take(j, it->seq)) {
		(void)snprintf(text, sizeof(text),
		    "line %" PRIu64 " stands behind line %" PRIu64, it->seq,
		    j->expect - 1);
		found(j, VK_SWAPPED, it->seq, j->expect - 1, &it->at, text);
		return (0);
	}
	(void)snprintf(text, sizeof(text),
	    "a second line %" PRIu64 " stands before line %" PRIu64, it->seq,
	    j->expect);
	if (it->kind == IT_CLAIM && it->seq + 1 == j->expect &&
	    memcmp(it->hash, j->last_hash, sizeof(it->hash)) != 0)
		found(j, VK_INSERTED, it->seq, it->seq, &it->at,
		    "two different lines bear this number; no tile tells "
		    "which is the signed one");
	else
		found(j, VK_DUPLICATED, it->seq, it->seq, &it->at, text);
	return (0);
}

/*
 * A line from further on was held until the next one is seen; NULL: there is
 * none.
 */
static int
release(struct judge *j, const struct item *next)
{
	struct item it = j->held;
	uint64_t e = j->expect;
	uint64_t then = next != NULL && next->kind != IT_FORGED ? next->seq : 0;

	j->holding = false;
	if (it.kind == IT_CLAIM && it.seq > j->size && e <= j->size &&
	    (then == e || then == e + 1)) {
		/* Nobody vouches for it, and the order goes on without it. */
		run_add(j, &it);
		return (0);
	}
	if (then == e) {
		remember(j->early, &j->nearly, it.seq, e, &it.at);
		return (0);
	}
	if (then == e + 1 && it.seq != e + 1) {
		remember(j->exchange, &j->nexchange, it.seq, e, &it.at);
		return (missing(j, e));
	}
	if (leave_out(j, it.seq, &it) == -1)
		return (-1);
	return (accept(j, &it));
}

/* ---- one line after the other ---- */

static int
start(struct judge *j, const struct item *it)
{
	uint64_t first = j->begin;

	if (it->kind != IT_FORGED && it->seq < first)
		first = it->seq;
	j->expect = 1;
	return (missing(j, first - 1));
}

/* Above the newest checkpoint nothing is known but what lines say. */
static int
tail(struct judge *j, const struct item *it)
{
	if (it->kind == IT_FORGED && it->seq >= 1 && it->seq < j->expect) {
		inserted(j, it);
		return (0);
	}
	if (it->kind == IT_FORGED) {
		if (!j->tail_bad)
			j->bad_at = it->at;
		j->tail_bad = true;
		return (0);
	}
	if (it->seq < j->expect)
		return (behind(j, it));
	if (leave_out(j, it->seq, it) == -1)
		return (-1);
	return (accept(j, it));
}

static int
feed(struct judge *j, const struct item *it)
{
	if (j->expect == 0 && start(j, it) == -1)
		return (-1);
	if (j->holding && release(j, it) == -1)
		return (-1);
	if (it->kind != IT_FORGED && it->seq > j->expect && pass_early(j) == -1)
		return (-1);
	if (j->nrun == 0 && j->expect > j->size)
		return (tail(j, it));
	if (it->kind == IT_FORGED) {
		run_add(j, it);
		return (0);
	}
	if (it->seq < j->expect)
		return (behind(j, it));
	if (j->nrun > 0) {
		if (settle_run(j, it->seq, it) == -1)
			return (-1);
	} else if (it->seq > j->expect) {
		j->held = *it;
		j->holding = true;
		return (0);
	}
	return (accept(j, it));
}

static int
segment_damaged(struct judge *j, const struct walk_line *l)
{
	static const int of_the_file[] = { EBADMSG, EINVAL, ELOOP, ENOENT };
	size_t i;

	for (i = 0; i < AX_NELEM(of_the_file); i++) {
		if (l->error != of_the_file[i])
			continue;
		damage_without_loss(j);
		j->damaged = true;
		j->damage = (struct place){ l->seg->name, l->offset };
		return (0);
	}
	(void)snprintf(j->r->error, sizeof(j->r->error), "%s: %s", l->seg->name,
	    strerror(l->error));
	errno = l->error;
	return (fail(j));
}

int
judge_event(struct judge *j, enum walk_event e, const struct walk_line *l)
{
	struct item it = { .kind = IT_FORGED };

	if (e == WALK_DAMAGED)
		return (segment_damaged(j, l));
	it.at = (struct place){ l->seg->name, l->offset };
	it.segment = l->seg->num;
	j->end = (struct place){ l->seg->name, l->offset + l->n };
	if (e == WALK_TORN && l->seg->num == UINT64_MAX) {
		j->end.offset = l->offset;
		verify_note(j->r,
		    "%s ends with %zu bytes of a line that is "
		    "not finished",
		    l->seg->name, l->n);
		return (0);
	}
	if (e == WALK_LINE) {
		j->r->lines++;
		j->end.offset++;
		classify(j, l->p, l->n, &it);
	}
	return (feed(j, &it));
}

/* ---- the end ---- */

static int
cut_tail(struct judge *j)
{
	uint64_t from = j->expect;

	if (j->damaged) {
		j->damaged = false;
		found(j, VK_ARCHIVE_DAMAGED, from, j->size, &j->damage,
		    "it cannot be read beyond this place: these lines are "
		    "lost");
	} else
		found(j, VK_CUT_TAIL, from, j->size, &j->end,
		    "the log ends here, and the checkpoint is above it");
	return (missing(j, j->size));
}

static void
tell_gaps(struct judge *j)
{
	const struct gap *g;
	size_t i;

	for (i = 0; i < j->ngap; i++) {
		g = &j->gap[i];
		found(j, g->kind, g->from, g->to, &g->at, g->text);
	}
}

static void
tell_astray(struct judge *j)
{
	const struct astray *a;
	char text[VERIFY_TEXT_MAX];
	size_t i;

	for (i = 0; i < j->nexchange + j->nearly; i++) {
		a = i < j->nexchange ? &j->exchange[i] :
				       &j->early[i - j->nexchange];
		(void)snprintf(text, sizeof(text),
		    "line %" PRIu64 " stands where line %" PRIu64 " belongs",
		    a->seq, a->stead);
		found(j, VK_SWAPPED, a->stead, a->seq, &a->at, text);
		if (i < j->nexchange)
			found(j, VK_DELETED, a->stead, a->stead, &a->at,
			    "another line stands in its place");
	}
}

/* Not one line of a long log is what was signed: it was put in its place. */
static void
whole_log(struct judge *j)
{
	struct verify_report *r = j->r;
	struct place at;

	if (j->accepted > r->uncovered || j->forged < 8 || !j->trust->usable)
		return;
	at = j->run[0].at;
	memset(r->count, 0, sizeof(r->count));
	r->nfindings = 0;
	found(j, VK_REPLACED, 1, j->size, &at,
	    "not one line is what was signed: the whole log was replaced");
}

int
judge_end(struct judge *j)
{
	struct item end = { .kind = IT_FORGED };

	if (j->expect == 0 && start(j, &end) == -1)
		return (-1);
	if (j->holding && release(j, NULL) == -1)
		return (-1);
	if (j->nrun > 0) {
		end.at = j->end;
		end.segment = j->last_segment;
		/* Those at the end stand for lines in order. */
		if (settle_run(j,
			j->expect + j->nrun <= j->size + 1 ?
			    j->expect + j->nrun :
			    j->size + 1,
			&end) == -1)
			return (-1);
	}
	if (pass_early(j) == -1)
		return (-1);
	if (j->expect <= j->size && cut_tail(j) == -1)
		return (-1);
	damage_without_loss(j);
	if (j->tail_bad)
		verify_note(j->r,
		    "%s byte %" PRIu64 ": above the checkpoint, "
		    "at the end: not a line",
		    j->bad_at.file, j->bad_at.offset);
	tell_gaps(j);
	tell_astray(j);
	whole_log(j);
	return (0);
}
