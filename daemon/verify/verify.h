/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_H
#define AX_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/merkle.h"
#include "common/note.h"

/*
 * The offline verifier: judges a copy of EVIDENCE_DIR (or the live one) by
 * public keys and, if there is one, by a checkpoint that was kept off the
 * host. It claims nothing that it has not seen hashed into a signed root.
 * Memory is bounded whatever the size of the log. Reads files, never writes.
 */
#define VERIFY_KEYS_MAX 64 /* as many as note_verify() takes */
#define VERIFY_FINDINGS 512
#define VERIFY_NOTES	16
#define VERIFY_FILE_MAX 128
#define VERIFY_TEXT_MAX 240

/* Exit statuses. */
#define VERIFY_OK      0
#define VERIFY_DAMAGED 1 /* or incomplete below the checkpoint */
#define VERIFY_USAGE   2 /* or something cannot be read */
#define VERIFY_NOTHING 3 /* no key matched, no checkpoint */

/* What was done to the log; names by verify_kind_name(). */
enum verify_kind {
	VK_EDITED,
	VK_INSERTED,
	VK_DELETED,
	VK_SWAPPED,
	VK_DUPLICATED,
	VK_CUT_TAIL,
	VK_CUT_HEAD,
	VK_ROLLED_BACK,
	VK_REPLACED,
	VK_WRONG_KEY,
	VK_ARCHIVE_DAMAGED,
	VK_CHECKPOINT_EDITED,
	VK_TILE_DAMAGED,
	VK_MALFORMED, /* signed as it stands, but not a line of a journal */
	VK_MAX
};
const char *verify_kind_name(enum verify_kind);

struct verify_finding {
	enum verify_kind kind;
	uint64_t seq, last; /* lines seq to last; 0: no line */
	char file[VERIFY_FILE_MAX];
	int64_t offset; /* of the text; -1: none */
	bool uncovered; /* above the newest checkpoint */
	char text[VERIFY_TEXT_MAX];
};

enum verify_verdict {
	VV_UNPROVEN, /* neither shown nor refuted */
	VV_OK,
	VV_DAMAGED
};

struct verify_report {
	/* What it was judged by; valid when have_checkpoint. */
	bool have_checkpoint;
	struct checkpoint newest;
	char newest_file[VERIFY_FILE_MAX];
	struct vkey key; /* that has signed it */
	bool have_old;	 /* a kept checkpoint was given, and is signed */
	struct checkpoint old;
	bool extends_old; /* its root was found at its size */

	enum verify_verdict integrity, completeness;
	uint64_t first_seq;	   /* of the first line here; 0: no line */
	uint64_t last_seq;	   /* of the last line that follows in order */
	uint64_t lines;		   /* read */
	uint64_t verified;	   /* shown to be what was signed */
	uint64_t uncovered;	   /* above the newest checkpoint, in order */
	uint64_t history;	   /* older checkpoints that fit */
	uint64_t history_unproven; /* signed, but could not be compared */
	bool have_tiles;
	unsigned segments;

	struct verify_finding findings[VERIFY_FINDINGS]; /* the first ones */
	size_t nfindings;
	uint64_t count[VK_MAX]; /* all of them */
	char notes[VERIFY_NOTES][VERIFY_TEXT_MAX];
	size_t nnotes;
	char error[VERIFY_TEXT_MAX]; /* of status VERIFY_USAGE */
	int status;
};

struct verify_options {
	const char *dir; /* EVIDENCE_DIR or a copy */
	const struct vkey *keys;
	size_t nkeys;
	const char *old; /* file with a kept checkpoint, or NULL */
	uint64_t from;	 /* the copy begins at this line; 0: at 1 */
	/* Called about every 65 536 lines, and every 4096 older checkpoints;
	 * may be NULL. */
	void (*progress)(void *arg, uint64_t lines, uint64_t of);
	void *arg;
};

/* Fills in the report and returns its status. Blocks for the disk. */
int verify_run(const struct verify_options *, struct verify_report *);

/* ---- for the modules of the verifier ---- */

/* Adds a finding; text as of printf. */
void verify_found(struct verify_report *, enum verify_kind, uint64_t seq,
    uint64_t last, const char *file, int64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
void verify_note(struct verify_report *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
