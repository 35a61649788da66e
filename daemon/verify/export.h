/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_EXPORT_H
#define AX_VERIFY_EXPORT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes a static C2SP tlog-tiles tree (tlog-tiles.md) of the log in `dir`:
 * checkpoint, tile/L/N, tile/entries/N. Every tile is proven under the root of
 * the newest checkpoint and every entry under its tile before it is written;
 * the checkpoint comes last, by rename. Whose signature it bears is for the
 * reader to check. A log whose older archives were put away gives the bundles
 * that are whole. Blocks for the disk.
 */
struct export_result {
	uint64_t size;	  /* lines of the tree */
	uint64_t entries; /* lines written into bundles */
};

/* 0, or -1 and a text for the operator in err. */
int export_tiles(const char *dir, const char *out, struct export_result *,
    char *err, size_t errlen);

#endif
