/* SPDX-License-Identifier: ISC */
/*
 * The verifier's findings as text and as JSON. Pure. Must never leave out what
 * was not shown: the limits of the proof stand in every answer.
 */
#include <inttypes.h>
#include <string.h>

#include "common/jw.h"
#include "daemon/verify/report.h"

#define TEXT_FINDINGS 100

static const char *const verdicts[] = {
	[VV_UNPROVEN] = "not proven",
	[VV_OK] = "ok",
	[VV_DAMAGED] = "damaged",
};

static const char no_kept[] =
    "Without a checkpoint kept off the host (--checkpoint), a roll-back to an "
    "older copy,\nthe replacement of the whole log and a new signature by the "
    "holder of the key cannot be excluded.";

static const char *
result(const struct verify_report *r)
{
	switch (r->status) {
	case VERIFY_OK:
		return ("ok");
	case VERIFY_DAMAGED:
		return ("not ok");
	case VERIFY_NOTHING:
		return ("nothing to verify against");
	default:
		return ("could not be read");
	}
}

static void
root_text(const struct checkpoint *c, char out[B64_LEN(MERKLE_HASH)])
{
	b64_encode(c->root, sizeof(c->root), out);
}

/* ---- text ---- */

static void
text_finding(FILE *f, const struct verify_finding *d)
{
	(void)fprintf(f, "  %s:", verify_kind_name(d->kind));
	if (d->seq != 0 && d->last > d->seq)
		(void)fprintf(f, " lines %" PRIu64 " to %" PRIu64, d->seq,
		    d->last);
	else if (d->seq != 0)
		(void)fprintf(f, " line %" PRIu64, d->seq);
	if (d->file[0] != '\0')
		(void)fprintf(f, "%s %s", d->seq != 0 ? "," : "", d->file);
	if (d->offset >= 0)
		(void)fprintf(f, " byte %" PRId64, d->offset);
	(void)fprintf(f, ": %s%s\n", d->text,
	    d->uncovered ? " (above the checkpoint)" : "");
}

static void
text_judged_by(FILE *f, const struct verify_report *r)
{
	char root[B64_LEN(MERKLE_HASH)], key[VKEY_TEXT_MAX];

	if (!r->have_checkpoint) {
		(void)fputs("checkpoint    none that the keys given have "
			    "signed\n",
		    f);
		return;
	}
	root_text(&r->newest, root);
	vkey_format(&r->key, key);
	(void)fprintf(f,
	    "key           %s\n"
	    "checkpoint    %s: %" PRIu64 " lines, root %s\n"
	    "history       %" PRIu64 " checkpoints of this log",
	    key, r->newest_file, r->newest.size, root, r->history);
	if (r->history_unproven > 0)
		(void)fprintf(f,
		    ", and %" PRIu64 " signed ones that could not "
		    "be compared",
		    r->history_unproven);
	(void)fputc('\n', f);
	if (r->have_old)
		(void)fprintf(f, "kept          %" PRIu64 " lines: %s\n",
		    r->old.size,
		    r->extends_old ? "this log extends it" :
				     "NOT SHOWN that this log extends it");
}

static void
text_verdicts(FILE *f, const struct verify_report *r)
{
	(void)fprintf(f, "lines         %" PRIu64 " read from %u files",
	    r->lines, r->segments);
	if (r->first_seq != 0)
		(void)fprintf(f, ", %" PRIu64 " to %" PRIu64, r->first_seq,
		    r->last_seq);
	(void)fprintf(f,
	    "\nintegrity     %s: %" PRIu64 " lines are shown to be what was "
	    "signed\n"
	    "completeness  %s: %s\n"
	    "uncovered: %" PRIu64 " lines above the newest checkpoint, which "
	    "nobody vouches for yet\n",
	    verdicts[r->integrity], r->verified, verdicts[r->completeness],
	    r->completeness != VV_OK ? "lines are missing" :
		r->first_seq > 1     ? "begins where it was said to begin, "
				       "reaches the checkpoint" :
				       "begins at line 1, reaches the "
				       "checkpoint",
	    r->uncovered);
}

void
report_text(FILE *f, const struct verify_report *r)
{
	uint64_t all = 0;
	size_t i;

	if (r->status == VERIFY_USAGE) {
		(void)fprintf(f, "cannot read: %s\n", r->error);
		return;
	}
	text_judged_by(f, r);
	if (r->status != VERIFY_NOTHING)
		text_verdicts(f, r);
	for (i = 0; i < VK_MAX; i++)
		all += r->count[i];
	if (all > 0)
		(void)fprintf(f, "found         %" PRIu64 "\n", all);
	for (i = 0; i < r->nfindings && i < TEXT_FINDINGS; i++)
		text_finding(f, &r->findings[i]);
	if (all > i)
		(void)fprintf(f, "  ... and %" PRIu64 " more\n", all - i);
	for (i = 0; i < r->nnotes; i++)
		(void)fprintf(f, "note: %s\n", r->notes[i]);
	if (!r->have_old && r->have_checkpoint)
		(void)fprintf(f, "%s\n", no_kept);
	(void)fprintf(f, "result: %s\n", result(r));
}

/* ---- JSON ---- */

static void
json_checkpoint(struct jw *w, const char *name, const struct checkpoint *c,
    bool have, const char *file)
{
	char root[B64_LEN(MERKLE_HASH)];

	jw_key(w, name);
	if (!have) {
		jw_null(w);
		return;
	}
	root_text(c, root);
	jw_obj(w);
	if (file != NULL)
		jw_kstr(w, "file", file);
	jw_kstr(w, "origin", c->origin);
	jw_kuint(w, "size", c->size);
	jw_kstr(w, "root", root);
	jw_obj_end(w);
}

static void
json_finding(struct jw *w, const struct verify_finding *d)
{
	jw_obj(w);
	jw_kstr(w, "kind", verify_kind_name(d->kind));
	if (d->seq != 0) {
		jw_kuint(w, "seq", d->seq);
		jw_kuint(w, "last", d->last);
	} else {
		jw_knull(w, "seq");
		jw_knull(w, "last");
	}
	jw_kstr(w, "file", d->file);
	if (d->offset >= 0)
		jw_kint(w, "offset", d->offset);
	else
		jw_knull(w, "offset");
	jw_kbool(w, "uncovered", d->uncovered);
	jw_kstr(w, "detail", d->text);
	jw_obj_end(w);
}

static void
json_numbers(struct jw *w, const struct verify_report *r)
{
	const struct {
		const char *name;
		uint64_t v;
	} n[] = {
		{ "first_seq", r->first_seq },
		{ "last_seq", r->last_seq },
		{ "lines", r->lines },
		{ "verified", r->verified },
		{ "uncovered", r->uncovered },
		{ "history", r->history },
		{ "history_unproven", r->history_unproven },
		{ "files", r->segments },
	};
	size_t i;

	for (i = 0; i < sizeof(n) / sizeof(n[0]); i++)
		jw_kuint(w, n[i].name, n[i].v);
}

static void
json_findings(struct jw *w, const struct verify_report *r)
{
	size_t i;

	jw_key(w, "counts");
	jw_obj(w);
	for (i = 0; i < VK_MAX; i++) {
		if (r->count[i] > 0)
			jw_kuint(w, verify_kind_name((enum verify_kind)i),
			    r->count[i]);
	}
	jw_obj_end(w);
	jw_key(w, "findings");
	jw_arr(w);
	for (i = 0; i < r->nfindings; i++)
		json_finding(w, &r->findings[i]);
	jw_arr_end(w);
	jw_key(w, "notes");
	jw_arr(w);
	for (i = 0; i < r->nnotes; i++)
		jw_str(w, r->notes[i]);
	jw_arr_end(w);
}

void
report_json(struct buf *b, const struct verify_report *r)
{
	char key[VKEY_TEXT_MAX];
	struct jw w;

	jw_init(&w, b, true);
	jw_obj(&w);
	jw_kstr(&w, "result", result(r));
	jw_kint(&w, "status", r->status);
	if (r->status == VERIFY_USAGE)
		jw_kstr(&w, "error", r->error);
	jw_key(&w, "key");
	if (r->have_checkpoint) {
		vkey_format(&r->key, key);
		jw_str(&w, key);
	} else
		jw_null(&w);
	json_checkpoint(&w, "checkpoint", &r->newest, r->have_checkpoint,
	    r->newest_file);
	json_checkpoint(&w, "kept", &r->old, r->have_old, NULL);
	jw_key(&w, "extends_kept");
	if (r->have_old)
		jw_bool(&w, r->extends_old);
	else
		jw_null(&w);
	jw_kstr(&w, "integrity", verdicts[r->integrity]);
	jw_kstr(&w, "completeness", verdicts[r->completeness]);
	json_numbers(&w, r);
	json_findings(&w, r);
	jw_kstr(&w, "cannot_exclude",
	    r->have_old ? NULL : "roll-back, replacement, re-signing");
	jw_obj_end(&w);
	buf_addc(b, '\n');
}
