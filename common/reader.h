/* SPDX-License-Identifier: ISC */
#ifndef AX_READER_H
#define AX_READER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads the committed bytes of the journal, line by line, from read-only
 * descriptors of its segments, with pread(2) and one fixed buffer. A line is
 * returned only when its newline is committed. A segment may be one zstd frame
 * (its first bytes tell, not a name); offsets are those of the text then.
 *
 * The newest segment ends at `committed`. One that has a successor ends where
 * the line with the successor's first seq minus one ends: what an unlucky
 * write left behind it is no part of the journal.
 */
struct reader;

struct reader_line {
	const char *p; /* without the newline; until the next call */
	size_t n;
	uint64_t segment;
	uint64_t end; /* offset behind the newline */
};

#define READER_SEGMENTS 4096
/*
 * For at most `max` segments, a descriptor each (0: READER_SEGMENTS). NULL with
 * ENOMEM.
 */
struct reader *reader_new(size_t max);
/* How many a process may have whose limit of descriptors is `nofile`: a
 * descriptor that no longer fits breaks the channel that it comes on. */
size_t reader_segments(size_t nofile);
void reader_free(struct reader *); /* closes all segments */
/*
 * A segment; takes fd over in every case. One known already is replaced.
 * -1 with ENOMEM, or EMFILE when there are too many.
 */
int
reader_segment(struct reader *, uint64_t segment, uint64_t first_seq, int fd);
/* The segment is durable up to `committed` bytes; never goes back. It may be
 * given later. */
void reader_committed(struct reader *, uint64_t segment, uint64_t committed);
/*
 * Next comes the line at `offset` of `segment`, which has seq `next_seq`.
 * Segment 0: the first one. Segments stay open, so that a rebuild can start
 * over.
 */
void reader_seek(struct reader *, uint64_t segment, uint64_t offset,
    uint64_t next_seq);
/*
 * 1 and a line (of any length up to 128 KiB: record_parse() judges it), 0 when
 * all that is committed was read or the segment is yet to come, -1 with errno:
 * EBADMSG when there is no end of line in 128 KiB or a frame is damaged, ENOENT
 * when the segment is missing between others, else of pread(2). The position is
 * unchanged then.
 */
int reader_next(struct reader *, struct reader_line *);
/*
 * After ENOENT: goes on with the oldest segment behind the missing one. The seq
 * that its first line should have, which is that of the next line if nothing
 * was lost; 0 when there is none.
 */
uint64_t reader_pass_gap(struct reader *);
/*
 * The line with this seq, appended to `line`, wherever reader_next() is. Reads
 * its segment from the beginning. 1, 0 when it is not there or not committed,
 * -1 as reader_next() or with ENOMEM.
 */
struct buf;
int reader_find(struct reader *, uint64_t seq, struct buf *line);
/* The first seq of the oldest segment; 0 without one. */
uint64_t reader_first_seq(const struct reader *);

#endif
