/* SPDX-License-Identifier: ISC */
#ifndef AX_VERIFY_REPORT_H
#define AX_VERIFY_REPORT_H

#include <stdio.h>
#include "common/buf.h"
#include "daemon/verify/verify.h"

/* For people: what was judged by what, both verdicts, every finding. */
void report_text(FILE *, const struct verify_report *);
/* The same as one JSON object with a newline. */
void report_json(struct buf *, const struct verify_report *);

#endif
