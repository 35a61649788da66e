/* SPDX-License-Identifier: ISC */
/*
 * archillxctl migrate: starts the store's migrator with what the configuration
 * says. Nothing of the database is linked in here, and as root nothing of it
 * is opened: the migrator gives root up before it does that.
 */
#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/procs.h"
#include "common/util.h"
#include "ctl.h"

#define ARGS_MAX 32

/* In a build tree the migrator is ../workers/store/ beside us. */
static void
find_migrator(char *out, size_t size)
{
	const char *name = proc_exec_name(PROC_STORE);
	char self[PATH_MAX], *slash;
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')) != NULL)
			*slash = '\0';
		if (slash != NULL && (slash = strrchr(self, '/')) != NULL &&
		    strcmp(slash, "/daemon") == 0) {
			*slash = '\0';
			(void)snprintf(out, size, "%.3900s/workers/store/%s",
			    self, name);
			if (access(out, X_OK) == 0)
				return;
		}
	}
	(void)snprintf(out, size, "%s/%s", AX_WORKERSDIR, name);
}

static int
run_and_wait(const char *path, const char *const *argv)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	if ((pid = fork()) == 0) {
		(void)execv(path, (char *const *)(uintptr_t)argv);
		(void)fprintf(stderr, "archillxctl: cannot run %s: %s\n", path,
		    strerror(errno));
		_exit(CTL_FAILED);
	}
	if (pid == -1) {
		(void)fprintf(stderr, "archillxctl: fork: %s\n",
		    strerror(errno));
		return (CTL_FAILED);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return (CTL_FAILED);
	if (WIFSIGNALED(status)) {
		(void)fprintf(stderr,
		    "archillxctl: the migrator was killed by "
		    "signal %d: run the same command again\n",
		    WTERMSIG(status));
		return (CTL_FAILED);
	}
	return (WEXITSTATUS(status));
}

int
cmd_migrate(struct ctl *c, int argc, char **argv)
{
	const struct settings *s = c->settings;
	const char *args[ARGS_MAX];
	char path[PATH_MAX], user[64];
	int i, n = 0;

	if (argc > 8)
		return (ctl_usage("migrate: too many words"));
	find_migrator(path, sizeof(path));
	(void)snprintf(user, sizeof(user), "%sstore",
	    settings_str(s, SET_USER_PREFIX));
	args[n++] = path;
	args[n++] = "-m";
	args[n++] = "-d";
	args[n++] = settings_str(s, SET_STATE_DIR);
	args[n++] = "-n";
	args[n++] = settings_str(s, SET_DB_NAME);
	args[n++] = "-e";
	args[n++] = settings_str(s, SET_DB_TYPE);
	if (geteuid() == 0) {
		args[n++] = "-u";
		args[n++] = user;
	}
	if (c->json)
		args[n++] = "-j";
	if (!settings_bool(s, SET_ENABLE_MIGRATION_CHECK))
		args[n++] = "-C";
	if (!settings_bool(s, SET_REQUIRE_MIGRATION_HEAD))
		args[n++] = "-R";
	for (i = 0; i < argc; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	return (run_and_wait(path, args));
}
