/* SPDX-License-Identifier: ISC */
/*
 * Message bodies: a writer that appends typed fields and a reader that never
 * goes past the frame's end whatever the peer sent.
 */
#include <string.h>

#include "msg.h"

#define NULL_STR UINT32_MAX

#define MW_FN(name, type)                  \
	void name(struct buf *b, type v)   \
	{                                  \
		buf_add(b, &v, sizeof(v)); \
	}
MW_FN(mw_u8, uint8_t)
MW_FN(mw_u16, uint16_t)
MW_FN(mw_u32, uint32_t)
MW_FN(mw_u64, uint64_t)
MW_FN(mw_i32, int32_t)

void
mw_str(struct buf *b, const char *s)
{
	size_t n;

	if (s == NULL) {
		mw_u32(b, NULL_STR);
		return;
	}
	n = strlen(s);
	if (n >= NULL_STR) {
		b->err = 1;
		return;
	}
	mw_u32(b, (uint32_t)n);
	buf_add(b, s, n + 1);
}

void
mw_blob(struct buf *b, const void *p, size_t n)
{
	if (n >= NULL_STR) {
		b->err = 1;
		return;
	}
	mw_u32(b, (uint32_t)n);
	buf_add(b, p, n);
}

void
mr_init(struct msg_r *r, const void *p, size_t n)
{
	r->p = p;
	r->end = r->p + n;
	r->bad = 0;
}

static const uint8_t *
mr_take(struct msg_r *r, size_t n)
{
	const uint8_t *at = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = 1;
		return (NULL);
	}
	r->p += n;
	return (at);
}

#define MR_FN(name, type)                                     \
	type name(struct msg_r *r)                            \
	{                                                     \
		const uint8_t *at = mr_take(r, sizeof(type)); \
		type v = 0;                                   \
		if (at != NULL)                               \
			memcpy(&v, at, sizeof(v));            \
		return (v);                                   \
	}
MR_FN(mr_u8, uint8_t)
MR_FN(mr_u16, uint16_t)
MR_FN(mr_u32, uint32_t)
MR_FN(mr_u64, uint64_t)
MR_FN(mr_i32, int32_t)

const char *
mr_str(struct msg_r *r)
{
	uint32_t n = mr_u32(r);
	const uint8_t *at;

	if (r->bad || n == NULL_STR)
		return (NULL);
	if ((at = mr_take(r, (size_t)n + 1)) == NULL)
		return (NULL);
	if (memchr(at, '\0', (size_t)n + 1) != at + n) {
		r->bad = 1;
		return (NULL);
	}
	return ((const char *)at);
}

const char *
mr_str_req(struct msg_r *r)
{
	const char *s = mr_str(r);

	if (s == NULL) {
		r->bad = 1;
		return ("");
	}
	return (s);
}

const void *
mr_blob(struct msg_r *r, size_t *len)
{
	uint32_t n = mr_u32(r);
	const uint8_t *at;

	*len = 0;
	if (r->bad || (at = mr_take(r, n)) == NULL)
		return (NULL);
	*len = n;
	return (at);
}

int
mr_end(const struct msg_r *r)
{
	return (!r->bad && r->p == r->end ? 0 : -1);
}
