/* SPDX-License-Identifier: ISC */
#ifndef AX_MSG_H
#define AX_MSG_H

#include <stdint.h>
#include <stddef.h>
#include "buf.h"

/*
 * The bodies of messages: fields in a fixed order, host byte order (both ends
 * are the same build), no padding. A string is u32 length + bytes + NUL; NULL
 * has length UINT32_MAX and nothing behind. A blob is u32 length + bytes.
 * The writer is a struct buf: check b->err once, before sending.
 */
void mw_u8(struct buf *, uint8_t);
void mw_u16(struct buf *, uint16_t);
void mw_u32(struct buf *, uint32_t);
void mw_u64(struct buf *, uint64_t);
void mw_i32(struct buf *, int32_t);
void mw_str(struct buf *, const char *);
void mw_blob(struct buf *, const void *, size_t);

/*
 * The reader: every get is bounded; after the first error all gets return 0 or
 * NULL, and mr_end() tells. Pointers point into the frame and live as long as
 * the handler runs.
 */
struct msg_r {
	const uint8_t *p;
	const uint8_t *end;
	int bad;
};

void mr_init(struct msg_r *, const void *, size_t);
uint8_t mr_u8(struct msg_r *);
uint16_t mr_u16(struct msg_r *);
uint32_t mr_u32(struct msg_r *);
uint64_t mr_u64(struct msg_r *);
int32_t mr_i32(struct msg_r *);
/* NUL inside the string, or none behind it, is an error. */
const char *mr_str(struct msg_r *);	/* may return NULL: a null string */
const char *mr_str_req(struct msg_r *); /* null is an error; returns "" */
const void *mr_blob(struct msg_r *, size_t *len);
/* 0 if everything was read without error and nothing is left over, else -1. */
int mr_end(const struct msg_r *);

#endif
