/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_MIGSET_H
#define AX_STORE_MIGSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The migrations as they stand on disk: sql/ENGINE/REVISION_name/ with up.sql,
 * down.sql and fingerprint. A revision is YYYYMMDD_NNNNNN; their order is that
 * of the text. In the .sql files a line "-- step" starts each statement; what
 * stands before the first is a comment, in which "-- destroys: audit" says
 * that the direction drops audit rows.
 */
#define MIG_REV_LEN   15
#define MIG_STEPS_MAX 64
#define MIG_ERR_LEN   512

struct mig_step {
	char *sql;
	unsigned line; /* in its file */
	char sha256[65];
};

enum mig_dir { MIG_UP, MIG_DOWN };
const char *mig_dir_name(enum mig_dir); /* "up", "down" */

struct migration {
	char rev[MIG_REV_LEN + 1];
	char *name; /* of its folder */
	struct mig_step *step[2];
	unsigned nsteps[2];
	bool destroys_audit;  /* its down does */
	char fingerprint[65]; /* expected after up; "" if not recorded */
};

struct migset {
	struct migration *v; /* by revision */
	size_t n;
};

/*
 * Reads all migrations of one folder. 0, or -1 and a message that names file
 * and line. Blocks on files.
 */
int migset_load(struct migset *, const char *dir, char *err, size_t errlen);
void migset_free(struct migset *);
/* Index of a revision, or -1. */
int migset_find(const struct migset *, const char *rev);
/*
 * Where the migrations of an engine are: installed (AX_DATADIR), or in the
 * source tree when this program runs from its build tree. 0 and a path, or -1:
 * there are none.
 */
int migset_dir(const char *engine, char *out, size_t outlen);

#endif
