/* SPDX-License-Identifier: ISC */
#ifndef AX_CTL_FOLDER_H
#define AX_CTL_FOLDER_H

#include <stddef.h>

/* One file's text (NUL behind it); non-zero counts as a failure. */
typedef int (*folder_fn)(const char *path, const char *name, const char *text,
    size_t len, void *arg);

/* One file; a file that cannot be read is told on stderr. -1 if it or fn
 * failed. */
int folder_file(const char *path, folder_fn, void *arg);
/*
 * Every *.json of a folder that does not begin with a dot, in the order of
 * their names, as the service reads them. Returns how many failed, or -1 (told
 * on stderr) if the folder cannot be read.
 */
int folder_each(const char *dir, folder_fn, void *arg);

#endif
