/* SPDX-License-Identifier: ISC */
/* How the ends of a run are told apart, as a table. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "workers/broker/verdict.h"

#define EXIT(n) ((n) << 8)

static const struct {
	int status;
	enum end_hint hint;
	enum end_state killed;
	uint32_t wall_ms;
	const char *err;
	enum end_state state;
	int exit_code, signal;
	const char *error;
} table[] = {
	{ 0, 0, 0, 5000, "", END_OK, 0, 0, "" },
	/* what the kernel counted does not spoil a good end */
	{ 0, HINT_OOM, 0, 5000, "", END_OK, 0, 0, "" },
	{ 0, HINT_PIDS, 0, 5000, "", END_OK, 0, 0, "" },
	{ EXIT(1), 0, 0, 5000, "", END_NONZERO, 1, 0, "sandbox worker exit 1" },
	{ EXIT(137), 0, 0, 5000, "", END_NONZERO, 137, 0,
	    "sandbox worker exit 137" },
	{ EXIT(125), 0, 0, 5000, "bwrap: x", END_NONZERO, 125, 0, "exit 125" },
	{ SIGKILL, 0, 0, 5000, "", END_SIGNAL, -1, 9, "signal 9, SIGKILL" },
	{ SIGSEGV, 0, 0, 5000, "", END_SIGNAL, -1, 11, "SIGSEGV" },
	{ SIGSEGV | 0x80, 0, 0, 5000, "", END_SIGNAL, -1, 11, "SIGSEGV" },
	{ SIGSYS, 0, 0, 5000, "", END_SIGNAL, -1, 31, "forbidden system call" },
	{ SIGXCPU, 0, 0, 2500, "", END_TIMEOUT_CPU, -1, 24,
	    "timeout after 3s" },
	{ SIGXFSZ, 0, 0, 5000, "", END_FILE_LIMIT, -1, 25, "file size" },
	{ SIGKILL, HINT_OOM, 0, 5000, "", END_OUT_OF_MEMORY, -1, 9,
	    "limit 1048576 bytes" },
	{ EXIT(1), HINT_OOM, 0, 5000, "", END_OUT_OF_MEMORY, 1, 0, "memory" },
	{ EXIT(1), HINT_PIDS, 0, 5000, "", END_PROCESS_LIMIT, 1, 0,
	    "process limit reached (7)" },
	{ EXIT(137), HINT_WALL, 0, 5000, "", END_TIMEOUT_WALL, -1, 0,
	    "timeout after 5s" },
	{ SIGKILL, HINT_WALL, 0, 1500, "", END_TIMEOUT_WALL, -1, 0,
	    "timeout after 1.5s" },
	{ SIGKILL, HINT_KILLED, 0, 5000, "", END_KILLED, -1, 0, "request" },
	{ SIGKILL, HINT_KILLED, END_INTERRUPTED, 5000, "", END_INTERRUPTED, -1,
	    0, "request" },
	{ SIGKILL, HINT_KILLED, END_OUTPUT_LIMIT, 5000, "", END_OUTPUT_LIMIT,
	    -1, 0, "output limit" },
	{ SIGKILL, HINT_KILLED, END_TIMEOUT_WALL, 5000, "", END_TIMEOUT_WALL,
	    -1, 0, "timeout after 5s" },
	{ EXIT(1), HINT_SETUP, 0, 5000, "bwrap: no\nmore", END_SANDBOX_ERROR,
	    -1, 0, "sandbox set-up failed: bwrap: no" },
	{ EXIT(1), HINT_SETUP, 0, 5000, "", END_SANDBOX_ERROR, -1, 0,
	    "without a message" },
	{ EXIT(1), HINT_SETUP, 0, 5000, NULL, END_SANDBOX_ERROR, -1, 0,
	    "without a message" },
};

static void
ends(void **state)
{
	struct verdict v;
	size_t i;

	for (i = 0; i < AX_NELEM(table); i++) {
		struct verdict_facts f = { table[i].status, table[i].hint,
			table[i].killed, table[i].wall_ms, 1048576, 7,
			table[i].err };

		verdict_of(&f, &v);
		if (v.state != table[i].state ||
		    v.exit_code != table[i].exit_code ||
		    v.signal != table[i].signal ||
		    strstr(v.error, table[i].error) == NULL ||
		    (v.state == END_OK) != (v.error[0] == '\0'))
			fail_msg("row %zu: state %d exit %d signal %d \"%s\"",
			    i, v.state, v.exit_code, v.signal, v.error);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ends) };

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
