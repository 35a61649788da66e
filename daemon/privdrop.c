/* SPDX-License-Identifier: ISC */
/*
 * The parent's own privileges: the capabilities it needs to own folders, bind,
 * change its children's identity and end them; nothing else, for it or for
 * anything it will ever start. No filter, no landlock, no MDWE: those would be
 * inherited by workers that have to set up more than they keep.
 */
#include <sys/capability.h>
#include <sys/prctl.h>

#include <errno.h>

#include "common/log.h"
#include "common/util.h"
#include "parent.h"

static const cap_value_t kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
	CAP_KILL, CAP_NET_BIND_SERVICE, CAP_SETGID, CAP_SETPCAP, CAP_SETUID,
	CAP_SYS_CHROOT };

static bool
is_kept(cap_value_t c)
{
	size_t i;

	for (i = 0; i < AX_NELEM(kept); i++) {
		if (kept[i] == c)
			return (true);
	}
	return (false);
}

void
privdrop_parent(void)
{
	cap_flag_value_t have;
	cap_t now, want;
	cap_value_t c;
	size_t i;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	if (!parent.as_root)
		return;
	for (c = 0; cap_get_bound(c) >= 0; c++) {
		if (cap_get_bound(c) == 1 && !is_kept(c) &&
		    cap_drop_bound(c) == -1)
			fatal("bounding set");
	}
	if ((now = cap_get_proc()) == NULL || (want = cap_init()) == NULL)
		fatal("capabilities");
	for (i = 0; i < AX_NELEM(kept); i++) {
		if (cap_get_flag(now, kept[i], CAP_PERMITTED, &have) == -1 ||
		    have != CAP_SET)
			continue;
		if (cap_set_flag(want, CAP_PERMITTED, 1, &kept[i], CAP_SET) ==
			-1 ||
		    cap_set_flag(want, CAP_EFFECTIVE, 1, &kept[i], CAP_SET) ==
			-1)
			fatal("capabilities");
	}
	if (cap_set_proc(want) == -1)
		fatal("cannot give up capabilities");
	(void)cap_free(now);
	(void)cap_free(want);
}
