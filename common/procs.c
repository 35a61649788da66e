/* SPDX-License-Identifier: ISC */
/* The processes' names and the whole list of channels between them. */
#include "procs.h"
#include "util.h"

static const struct {
	const char *name, *exec;
} names[PROC_MAX] = {
	[PROC_PARENT] = { "parent", "archillxd" },
	[PROC_AUDIT] = { "audit", "archillx-audit" },
	[PROC_NOTARY] = { "notary", "archillx-notary" },
	[PROC_STORE] = { "store", "archillx-store" },
	[PROC_FILES] = { "files", "archillx-files" },
	[PROC_LAUNCHER] = { "launcher", "archillx-launcher" },
	[PROC_BROKER] = { "broker", "archillx-broker" },
	[PROC_SCHEDULER] = { "scheduler", "archillx-scheduler" },
	[PROC_HTTP] = { "http", "archillx-http" },
	[PROC_ARCHIVER] = { "archiver", "archillx-archiver" },
};

const struct proc_channel proc_channels[] = {
	{ PROC_HTTP, PROC_AUDIT },
	{ PROC_HTTP, PROC_STORE },
	{ PROC_SCHEDULER, PROC_AUDIT },
	{ PROC_AUDIT, PROC_BROKER },
	{ PROC_BROKER, PROC_LAUNCHER },
	{ PROC_AUDIT, PROC_FILES },
	{ PROC_AUDIT, PROC_STORE },
	{ PROC_AUDIT, PROC_NOTARY },
};
const unsigned proc_nchannels = AX_NELEM(proc_channels);

const char *
proc_name(enum proc_role r)
{
	return ((unsigned)r < PROC_MAX ? names[r].name : "?");
}

const char *
proc_exec_name(enum proc_role r)
{
	return ((unsigned)r < PROC_MAX ? names[r].exec : "?");
}
