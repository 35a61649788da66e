/* SPDX-License-Identifier: ISC */
#ifndef AX_KEYFILE_H
#define AX_KEYFILE_H

#include <stddef.h>
#include "common/note.h"

/*
 * The two keys of the evidence, in STATE_DIR: signing.key signs checkpoints
 * (the text of an skey), secrets.key stands behind the digests of secret inputs
 * (32 bytes). For the parent and archillxctl; workers get open descriptors.
 */
#define KEYFILE_SIGNING "signing.key"
#define KEYFILE_SECRETS "secrets.key"
#define SECRETS_KEY_LEN 32

/*
 * Opens the file for reading if it may be trusted: a regular file, not a link,
 * that nobody but its owner can read or write, the owner being root or us, and
 * of the right contents. The descriptor, at offset 0, or -1 with errno and a
 * sentence in err; errno is ENOENT or EACCES only if the file is not there or
 * not ours to look at. *pub may be NULL.
 */
int keyfile_open_signing(const char *state_dir, struct vkey *pub, char *err,
    size_t errlen);
int keyfile_open_secrets(const char *state_dir, char *err, size_t errlen);

/*
 * Makes the file with mode 0600, durable when 0 is returned; never replaces
 * one. -1 with errno: EEXIST if there is one, else what failed.
 */
int keyfile_make(const char *state_dir, const char *name, const void *text,
    size_t n);

#endif
