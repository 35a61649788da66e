/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_TWIN_H
#define AX_VERIFY_TWIN_H

#include "daemon/verify/layout.h"

/*
 * The file being written may be in archive/ already: it was rotated while the
 * folder was copied, or the daemon died while it put a copy in the place of a
 * file that failed. If it is byte for byte the archive as far as the shorter
 * one goes, it is left out of the layout. Name of the archive, or NULL.
 */
const char *twin_leave_out(struct layout *);

#endif
