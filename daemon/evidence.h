/* SPDX-License-Identifier: ISC */
#ifndef AX_EVIDENCE_H
#define AX_EVIDENCE_H

#include <stdbool.h>
#include "common/settings.h"

/* True if AUDIT_SIGNING asks for a signing key. */
bool evidence_signing(const struct settings *);
/*
 * Adds an error if a key that is there, or asked for, cannot be used. Who is not
 * root and may not look at them learns nothing.
 */
void evidence_check(const struct settings *, struct conf_errors *);
/*
 * Before READY: opens parent.signing_fd (if asked for) and parent.secrets_fd,
 * makes the links EVIDENCE_DIR/checkpoint and checkpoints. Ends the start if a
 * key cannot be used.
 */
void evidence_open(void);

#endif
