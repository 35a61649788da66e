/* SPDX-License-Identifier: ISC */
/*
 * The table of the audit verbs: what an operator, or a stranger with a copy of
 * the evidence, does with the journal. One row each; the work is in the
 * cmd_audit_*.c. Those that work on files alone say so by needs_settings false
 * and take the configuration only when they miss an argument.
 */
#include "common/util.h"
#include "ctl.h"

const struct ctl_verb audit_verbs[] = {
	{ "audit", "archive", "",
	    "close the journal's live file and put it into archive/", false,
	    cmd_audit_archive },
	{ "audit", "tail",
	    "[-f] [-n N] [--json] [--decision D] [--action A] ...",
	    "the newest records, and with -f those that come", false,
	    cmd_audit_tail },
	{ "audit", "prove", "[--dir DIR] [-o FILE] SEQ",
	    "write a record, its proof and the checkpoint as a C2SP tlog-proof",
	    false, cmd_audit_prove },
	{ "audit", "check-proof", "--key PUB... FILE",
	    "check such a file, offline, and print the record", false,
	    cmd_audit_check_proof },
	{ "audit", "verify", "--key PUB [--checkpoint OLD] [--from SEQ] [DIR]",
	    "judge a copy of the evidence, offline", false, cmd_audit_verify },
	{ "audit", "export", "--tiles OUT [DIR]",
	    "the log as static files, a C2SP tlog-tiles tree", false,
	    cmd_audit_export },
	{ "audit", "hash", "[--json-value] VALUE|-",
	    "print what the journal holds for a secret input of this value",
	    true, cmd_audit_hash },
};
const size_t naudit_verbs = AX_NELEM(audit_verbs);
