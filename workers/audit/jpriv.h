/* SPDX-License-Identifier: ISC */
#ifndef AX_JPRIV_H
#define AX_JPRIV_H

#include <openssl/evp.h>
#include "common/buf.h"
#include "workers/audit/journal.h"
#include "workers/audit/jseg.h"

/* What the j*.c files of the journal share; nobody else includes it. */

/* A copy that a repair is making of the live file. */
#define JOURNAL_COPY_BASE "copy.tmp"
#define JOURNAL_COPY	  JOURNAL_ARCHIVE "/" JOURNAL_COPY_BASE

struct ticket {
	journal_done fn;
	void *arg;
};

struct tickets {
	struct ticket *v;
	size_t n, cap;
};

struct journal {
	struct journal_conf conf;
	const struct jio *io;
	int dirfd;
	int fd; /* the last segment; -1 while there is none */
	enum journal_state state;
	char why[96];
	struct segment_list segs;
	uint64_t next_seq; /* of the next line to append */
	uint64_t durable;  /* last seq covered by an fdatasync */
	uint64_t reserved; /* allocated up to this offset */
	bool no_reserve;   /* the file system cannot */
	EVP_MD_CTX *sum;   /* SHA-256 over the committed bytes of fd */

	struct buf batch;
	struct tickets waiting, calling;
	bool busy; /* inside callbacks */

	uint64_t down_since; /* CLOCK_MONOTONIC us; 0: not down */
	uint64_t refused;    /* lines, since then */
	char moved[112];     /* where the repair put the old segment */
	char kept[112];	     /* and the file that bore its name */
	const char *found;   /* what somebody else did to the file, or NULL */
	dev_t dev;	     /* the live file, as we wrote it last */
	ino_t ino;
	struct timespec written;
	uint64_t rotate_at;
	bool rotate_soon;

	uint64_t cut_bytes;
	struct journal_stats stats;
};

static inline struct segment *
journal_active(const struct journal *j)
{
	return (&j->segs.v[j->segs.n - 1]);
}

/* Closes the journal in `state` because of errno. */
void journal_fail(struct journal *, enum journal_state, const char *what);
/* Makes space up to `end` allocated; 0, or -1 with ENOSPC or EDQUOT. */
int journal_reserve(struct journal *, uint64_t end);
/* Creates the file of the last segment in the list, empty. */
int journal_create(struct journal *);
/* SHA-256 of the first `len` bytes, which also go to `to` (-1: nowhere). -1
 * with errno; EBADMSG: the file is shorter. */
int journal_hash_file(const struct jio *, int fd, uint64_t len, int to,
    uint8_t out[32]);
/* After the archive has a copy of it: moves the file into recovered/. */
int journal_retire(struct journal *, uint64_t num);
/* jwatch.c. Our last write to the live file was now. */
void journal_note_written(struct journal *);
/* Is fd the live file that we wrote? */
bool journal_is_live(const struct journal *, int fd);
/* Before a write: -1 and closed when somebody else touched the file. */
int journal_check_file(struct journal *);
/* jrepair.c: puts a healthy, full segment aside and starts the next. */
void journal_rotate(struct journal *);
/* jarch.c: clears up behind an archiving or a copy that was cut short. */
int journal_tidy_archive(struct journal *, char *err, size_t errlen);
/* jrecover.c */
int journal_recover(struct journal *, journal_visit, void *arg, char *err,
    size_t errlen);

#endif
