/* SPDX-License-Identifier: ISC */
/*
 * How a run ended, in one of the words that operators and clients act on. The
 * order of the tests is the order of certainty: what we did ourselves, what
 * the kernel counted, what the wait status says.
 *
 * It must never guess: 137 is an exit code, not a sign of anything.
 */
#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "verdict.h"

static void
say(struct verdict *v, enum end_state s, const char *text)
{
	v->state = s;
	(void)snprintf(v->error, sizeof(v->error), "%s", text);
}

static void
say_timeout(struct verdict *v, enum end_state s, uint32_t ms)
{
	v->state = s;
	if (ms % 1000 == 0)
		(void)snprintf(v->error, sizeof(v->error), "timeout after %us",
		    ms / 1000);
	else
		(void)snprintf(v->error, sizeof(v->error),
		    "timeout after %u.%us", ms / 1000, ms % 1000 / 100);
}

/* We, or the operator, ended it. */
static bool
was_killed(const struct verdict_facts *f, struct verdict *v)
{
	if (f->killed == END_OUTPUT_LIMIT)
		say(v, END_OUTPUT_LIMIT, "output limit exceeded");
	else if (f->killed == END_TIMEOUT_WALL || f->hint == HINT_WALL)
		say_timeout(v, END_TIMEOUT_WALL, f->wall_ms);
	else if (f->killed != END_OK || f->hint == HINT_KILLED)
		say(v, f->killed != END_OK ? f->killed : END_KILLED,
		    "killed on request");
	else
		return (false);
	v->exit_code = -1; /* whatever it was: it is not the program's */
	v->signal = 0;
	return (true);
}

/* The kernel counted a refusal, and the program did not end well. */
static bool
hit_limit(const struct verdict_facts *f, struct verdict *v)
{
	if (v->exit_code == 0)
		return (false);
	if (f->hint == HINT_OOM) {
		v->state = END_OUT_OF_MEMORY;
		(void)snprintf(v->error, sizeof(v->error),
		    "out of memory (limit %llu bytes)",
		    (unsigned long long)f->memory);
	} else if (f->hint == HINT_PIDS) {
		v->state = END_PROCESS_LIMIT;
		(void)snprintf(v->error, sizeof(v->error),
		    "process limit reached (%u)", f->pids);
	} else
		return (false);
	return (true);
}

static void
by_signal(const struct verdict_facts *f, struct verdict *v)
{
	const char *name = sigabbrev_np(v->signal);

	if (v->signal == SIGXCPU) {
		say_timeout(v, END_TIMEOUT_CPU,
		    (f->wall_ms + 999) / 1000 * 1000);
		return;
	}
	v->state = v->signal == SIGXFSZ ? END_FILE_LIMIT : END_SIGNAL;
	(void)snprintf(v->error, sizeof(v->error), "%s (signal %d, SIG%s)",
	    v->state == END_FILE_LIMIT ? "file size limit exceeded" :
		v->signal == SIGSYS    ? "forbidden system call" :
					 "sandbox worker killed",
	    v->signal, name != NULL ? name : "RT");
}

static void
setup_failed(const struct verdict_facts *f, struct verdict *v)
{
	const char *t = f->stderr_text != NULL ? f->stderr_text : "";
	int n = (int)strcspn(t, "\n");

	v->state = END_SANDBOX_ERROR;
	(void)snprintf(v->error, sizeof(v->error),
	    "sandbox set-up failed: %.*s", n > 200 ? 200 : n,
	    n > 0 ? t : "no message");
	if (n == 0)
		(void)snprintf(v->error, sizeof(v->error),
		    "sandbox set-up failed without a message");
}

void
verdict_of(const struct verdict_facts *f, struct verdict *v)
{
	memset(v, 0, sizeof(*v));
	v->exit_code = -1;
	if (f->hint != HINT_SETUP && WIFEXITED(f->wait_status))
		v->exit_code = WEXITSTATUS(f->wait_status);
	else if (f->hint != HINT_SETUP && WIFSIGNALED(f->wait_status))
		v->signal = WTERMSIG(f->wait_status);
	if (was_killed(f, v) || hit_limit(f, v))
		return;
	if (f->hint == HINT_SETUP)
		setup_failed(f, v);
	else if (v->signal != 0)
		by_signal(f, v);
	else if (v->exit_code != 0) {
		v->state = END_NONZERO;
		(void)snprintf(v->error, sizeof(v->error),
		    "sandbox worker exit %d", v->exit_code);
	} else
		v->state = END_OK;
}
