/* SPDX-License-Identifier: ISC */
/*
 * archillxd: options and the order of start and stop. The parent supervisor;
 * what it may and may not do is in docs/PRIVSEP.md.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/util.h"
#include "evidence.h"
#include "generation.h"
#include "notify.h"
#include "parent.h"

struct parent parent = { .ready_fd = -1,
	.listen_fd = -1,
	.lock_fd = -1,
	.rate_fd = -1,
	.evidence_fd = -1,
	.db_fd = -1,
	.signing_fd = -1,
	.secrets_fd = -1,
	.cgroup_kind = "none" };

static const char usage_text[] =
    "usage: archillxd [-dnv] [-f FILE] [-D KEY=VALUE]...\n"
    "\n"
    "The ArcHillx service: a supervisor and its privilege-separated workers.\n"
    "\n"
    "  -d, --foreground    stay in the foreground, log to stderr\n"
    "  -n, --check         check the configuration and exit (0 good, 1 not)\n"
    "  -v, --verbose       log more\n"
    "  -f, --file FILE     configuration instead of " AX_CONFDIR
    "/archillx.conf\n"
    "  -D, --set KEY=VALUE override one setting; the last wins\n"
    "  -V, --version       print the version\n"
    "  -h, --help          this text\n"
    "\n"
    "Signals: SIGHUP reloads, SIGTERM and SIGINT stop after finishing work.\n"
    "Exit status: 0 stopped, 1 could not start, 2 usage, 70 a worker kept\n"
    "dying, 78 a worker cannot run with this configuration.\n";

struct options {
	bool check, verbose;
	char *overrides[256];
	unsigned noverrides;
};

static void
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "foreground", no_argument, NULL, 'd' },
		{ "check", no_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "file", required_argument, NULL, 'f' },
		{ "set", required_argument, NULL, 'D' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int ch;

	while ((ch = getopt_long(argc, argv, "dnvf:D:Vh", longs, NULL)) != -1) {
		switch (ch) {
		case 'd':
			parent.foreground = true;
			break;
		case 'n':
			o->check = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'f':
			parent.conf_file = optarg;
			break;
		case 'D':
			if (o->noverrides < AX_NELEM(o->overrides))
				o->overrides[o->noverrides++] = optarg;
			break;
		case 'V':
			(void)printf("archillxd %s\n", PACKAGE_VERSION);
			exit(0);
		case 'h':
			(void)fputs(usage_text, stdout);
			exit(0);
		default:
			(void)fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "archillxd: unexpected \"%s\"\n%s",
		    argv[optind], usage_text);
		exit(2);
	}
	parent.overrides = o->overrides;
	parent.noverrides = o->noverrides;
}

static void
give_up(const struct conf_errors *errs, int status)
{
	(void)fputs(errs->text != NULL ? errs->text : "out of memory\n",
	    stderr);
	exit(status);
}

static void
load_first_generation(bool check)
{
	struct conf_errors errs = { 0 };

	parent.gen = generation_load(parent.conf_file, parent.overrides,
	    parent.noverrides, &errs);
	if (parent.gen == NULL)
		give_up(&errs, 1);
	parent.gen->number = 1;
	parent.settings = parent.gen->settings;
	evidence_check(parent.settings, &errs);
	if (errs.n > 0)
		give_up(&errs, check ? 1 : EX_CONFIG_STATUS);
	if (check) {
		(void)printf("configuration OK\n");
		exit(0);
	}
}

/* Workers stand beside us in a build tree, else where they were installed. */
static void
find_workers(void)
{
	char self[4096], *slash, probe[4300];
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')) != NULL)
			*slash = '\0';
		if ((slash = strrchr(self, '/')) != NULL &&
		    strcmp(slash, "/daemon") == 0) {
			*slash = '\0';
			(void)snprintf(probe, sizeof(probe),
			    "%s/workers/audit/archillx-audit", self);
			if (access(probe, X_OK) == 0) {
				(void)snprintf(parent.workers_dir,
				    sizeof(parent.workers_dir),
				    "%.4000s/"
				    "workers",
				    self);
				parent.in_build_tree = true;
				return;
			}
		}
	}
	(void)snprintf(parent.workers_dir, sizeof(parent.workers_dir), "%s",
	    AX_WORKERSDIR);
}

/* The starting process waits for READY or the end, and says which. */
static void
await_ready(int fd, pid_t child)
{
	char ok;
	ssize_t n;

	do
		n = read(fd, &ok, 1);
	while (n == -1 && errno == EINTR);
	if (n == 1)
		_exit(0);
	(void)fprintf(stderr,
	    "archillxd: did not start; see %s/archillxd.log\n",
	    settings_str(parent.settings, SET_RUN_DIR));
	_exit(1);
}

static void
into_background(void)
{
	char path[4200];
	int fds[2], null, log;
	pid_t pid;

	if (mkdir(settings_str(parent.settings, SET_RUN_DIR), 0755) == -1 &&
	    errno != EEXIST)
		fatal("cannot make %s",
		    settings_str(parent.settings, SET_RUN_DIR));
	(void)snprintf(path, sizeof(path), "%s/archillxd.log",
	    settings_str(parent.settings, SET_RUN_DIR));
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
	    0640);
	if (log == -1)
		fatal("cannot open %s", path);
	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		fatal("cannot go into the background");
	if (pid != 0) {
		(void)close(fds[1]);
		await_ready(fds[0], pid);
	}
	(void)close(fds[0]);
	parent.ready_fd = fds[1];
	(void)setsid();
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
	    dup2(null, 0) == -1 || dup2(null, 1) == -1 || dup2(log, 2) == -1)
		fatal("cannot go into the background");
	(void)close(null);
	(void)close(log);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	switch (sig) {
	case SIGHUP:
		reload_start(NULL, NULL);
		break;
	case SIGQUIT:
		parent_abort(0, "SIGQUIT");
		break;
	default:
		stop_start(sig == SIGINT ? "SIGINT" : "SIGTERM");
	}
}

static void
watch_signals(void)
{
	static const int sigs[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT };
	struct event *ev;
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < AX_NELEM(sigs); i++) {
		ev = evsignal_new(parent.base, sigs[i], on_signal, NULL);
		if (ev == NULL || event_add(ev, NULL) == -1)
			fatalx("cannot watch signals");
	}
}

static void
raise_descriptor_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	enum log_level level;

	(void)close_range(3, ~0U, 0);
	(void)umask(077);
	log_init("archillxd");
	parse_options(argc, argv, &o);
	json_object_seed(0);
	load_first_generation(o.check);
	if (log_level_parse(settings_str(parent.settings, SET_LOG_LEVEL),
		&level) == 0)
		log_set_level(level);
	if (o.verbose)
		log_set_level(LOG_L_DEBUG);
	parent.as_root = geteuid() == 0;
	find_workers();
	raise_descriptor_limit();
	notify_open();
	if (!parent.foreground)
		into_background();
	if ((parent.base = event_base_new()) == NULL)
		fatalx("event_base_new");
	watch_signals();
	proc_init_all();
	resources_open();
	control_open();
	privdrop_parent();
	proc_start_all();
	(void)event_base_dispatch(parent.base);
	proc_reap_all();
	control_on_stopped();
	control_close();
	resources_close();
	generation_free(parent.gen);
	return (parent.exit_status);
}
