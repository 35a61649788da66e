/* SPDX-License-Identifier: ISC */
/* The body of MSG_SETUP. */
#include "msg.h"
#include "setup.h"

void
worker_setup_put(struct buf *b, const struct worker_setup *s)
{
	mw_u16(b, (uint16_t)s->role);
	mw_u16(b, (uint16_t)s->instance);
	mw_u64(b, s->epoch);
	mw_u32(b, s->uid);
	mw_u32(b, s->gid);
	mw_u8(b, s->as_root != 0);
	mw_u8(b, (uint8_t)s->confinement);
	mw_u8(b, s->log_level);
	mw_u32(b, s->parent_pid);
	mw_str(b, s->root);
}

int
worker_setup_get(const void *p, size_t n, struct worker_setup *s)
{
	struct msg_r r;
	uint16_t role;
	uint8_t conf;

	mr_init(&r, p, n);
	role = mr_u16(&r);
	s->role = (enum proc_role)role;
	s->instance = mr_u16(&r);
	s->epoch = mr_u64(&r);
	s->uid = mr_u32(&r);
	s->gid = mr_u32(&r);
	s->as_root = mr_u8(&r);
	conf = mr_u8(&r);
	s->confinement = (enum confinement)conf;
	s->log_level = mr_u8(&r);
	s->parent_pid = mr_u32(&r);
	s->root = mr_str(&r);
	if (role >= PROC_MAX || conf >= CF_MAX)
		return (-1);
	return (mr_end(&r));
}
