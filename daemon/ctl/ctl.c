/* SPDX-License-Identifier: ISC */
/*
 * archillxctl: noun and verb from one table, to the daemon over its control
 * socket or, where the daemon is not needed, on the configuration itself.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/util.h"
#include "ctl.h"

#define REPLY_MAX (4u << 20)

static const struct ctl_verb verbs[] = {
	{ "status", NULL, "", "the processes and what they can do", false,
	    cmd_status },
	{ "version", NULL, "", "version of the tool and the daemon", false,
	    cmd_version },
	{ "reload", NULL, "", "read the configuration again, or say why not",
	    false, cmd_reload },
	{ "stop", NULL, "", "finish work and stop the service", false,
	    cmd_stop },
	{ "log", "level", "ERROR|WARNING|INFO|DEBUG",
	    "change what is logged until the next reload", false,
	    cmd_log_level },
	{ "config", "show", "[NAME]...",
	    "effective settings and where each comes from", true,
	    cmd_config_show },
	{ "config", "check", "", "check the configuration (as archillxd -n)",
	    false, cmd_config_check },
	{ "config", "doc", "", "the settings as a manual page", false,
	    cmd_config_doc },
	{ "key", "new", "[--role admin|api_key] NAME",
	    "make a credential, print it once, keep its digest", true,
	    cmd_key_new },
	{ "key", "list", "", "names and roles of the key file", true,
	    cmd_key_list },
	{ "key", "new-signing", "[--name ORIGIN]",
	    "make the key that signs checkpoints; print its public half", true,
	    cmd_key_new_signing },
	{ "key", "show-signing", "", "the public half, for who checks evidence",
	    true, cmd_key_show_signing },
	{ "skill", "enable", "NAME", "let a skill be called again", false,
	    cmd_skill_enable },
	{ "skill", "disable", "NAME", "stop a skill from being called", false,
	    cmd_skill_disable },
	{ "migrate", NULL,
	    "upgrade|downgrade|stamp|plan [TARGET], current, "
	    "history, check",
	    "the database's schema", true, cmd_migrate },
	{ "skill", "list", "", "the manifests, and what they start as", true,
	    cmd_skill_list },
	{ "skill", "lint", "FILE...", "check manifests", false,
	    cmd_skill_lint },
	{ "governor", "check", "", "check and list the governor's rules", true,
	    cmd_governor_check },
	{ "governor", "test",
	    "[--skill S] [--operation O] [--path P] "
	    "[--source S] [--role R]\n      [--inputs JSON] [--action A] | FILE",
	    "score and decision of a request, rule by rule; nothing is run",
	    true, cmd_governor_test },
	{ "probe", NULL, "", "test builds: what confined workers can do", false,
	    cmd_probe },
};

static void
print_verb(FILE *out, const struct ctl_verb *v)
{
	(void)fprintf(out, "  %s%s%s %s\n        %s\n", v->noun,
	    v->verb != NULL ? " " : "", v->verb != NULL ? v->verb : "", v->args,
	    v->help);
}

static void
print_usage(FILE *out)
{
	size_t i;

	(void)fputs(
	    "usage: archillxctl [-f FILE] [-s SOCKET] [--json] NOUN "
	    "[VERB] [ARG]...\n\n"
	    "  -f, --file FILE      configuration instead of " AX_CONFDIR
	    "/archillx.conf\n"
	    "  -s, --socket SOCKET  control socket (also ARCHILLX_SOCKET)\n"
	    "      --json           machine-readable output\n"
	    "  -h, --help           this text\n\n",
	    out);
	for (i = 0; i < AX_NELEM(verbs); i++)
		print_verb(out, &verbs[i]);
	for (i = 0; i < naudit_verbs; i++)
		print_verb(out, &audit_verbs[i]);
	(void)fputs("\nExit status: 0 done, 1 refused or failed (the reason is "
		    "on stderr), 2 usage,\n3 the daemon cannot be reached.\n",
	    out);
}

int
ctl_usage(const char *why)
{
	(void)fprintf(stderr, "archillxctl: %s\nTry archillxctl --help.\n",
	    why);
	return (CTL_USAGE);
}

int
ctl_print_json(const json_t *j)
{
	(void)json_dumpf(j, stdout, JSON_INDENT(2));
	(void)putchar('\n');
	return (CTL_DONE);
}

/* ---- the daemon ---- */

static int
dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (ax_strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		(void)close(fd);
		fd = -1;
	}
	return (fd);
}

/* Everything until the daemon hangs up. */
static int
read_reply(int fd, struct buf *b)
{
	ssize_t n;
	char *at;

	while (b->len < REPLY_MAX) {
		if ((at = buf_reserve(b, 4096)) == NULL)
			return (-1);
		n = read(fd, at, 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		b->len += (size_t)n;
	}
	return (b->len > 0 ? 0 : -1);
}

static int
exchange(struct ctl *c, const char *verb, json_t *args, struct buf *reply)
{
	json_t *req = json_pack("{s:s, s:o}", "verb", verb, "args", args);
	char *text = json_dumps(req, JSON_COMPACT);
	int fd = -1, r = -1;

	if (text != NULL && (fd = dial(c->socket)) != -1 &&
	    ax_write_all(fd, text, strlen(text)) == 0 &&
	    ax_write_all(fd, "\n", 1) == 0)
		r = read_reply(fd, reply);
	if (r == -1 && !c->quiet)
		(void)fprintf(stderr,
		    "archillxctl: the daemon does not answer "
		    "on %s: %s\n",
		    c->socket,
		    fd == -1 ? strerror(errno) :
			       "it hung up (are you root or its user?)");
	if (fd != -1)
		(void)close(fd);
	free(text);
	json_decref(req);
	return (r);
}

int
ctl_request(struct ctl *c, const char *verb, json_t *args, json_t **result)
{
	struct buf reply = BUF_INITIALIZER;
	json_t *j;
	int status = CTL_FAILED;

	*result = NULL;
	if (exchange(c, verb, args, &reply) == -1) {
		buf_free(&reply);
		return (CTL_UNREACHABLE);
	}
	j = json_loadb(reply.d, reply.len, 0, NULL);
	if (json_is_true(json_object_get(j, "ok"))) {
		*result = json_incref(json_object_get(j, "result"));
		status = CTL_DONE;
	} else if (json_is_string(json_object_get(j, "error")))
		(void)fprintf(stderr, "archillxctl: %s\n",
		    json_string_value(json_object_get(j, "error")));
	else
		(void)fprintf(stderr,
		    "archillxctl: the daemon's answer cannot "
		    "be read\n");
	json_decref(j);
	buf_free(&reply);
	return (status);
}

/* ---- options ---- */

static int
load_settings(struct ctl *c, bool quiet)
{
	struct conf_errors errs = { 0 };

	if ((c->settings = settings_new()) == NULL)
		return (-1);
	if (conf_load(c->settings, c->conf_file, NULL, 0, &errs) > 0 &&
	    !quiet) {
		(void)fputs(errs.text, stderr);
		conf_errors_free(&errs);
		return (-1);
	}
	conf_errors_free(&errs);
	return (0);
}

const char *
ctl_evidence_dir(struct ctl *c)
{
	if (c->settings == NULL && load_settings(c, false) == -1)
		return (NULL);
	return (settings_str(c->settings, SET_EVIDENCE_DIR));
}

/* The socket: -s, the environment, else RUN_DIR of the configuration. */
static void
find_socket(struct ctl *c, char *path, size_t size)
{
	const char *env = getenv("ARCHILLX_SOCKET");

	if (c->socket != NULL)
		return;
	if (env != NULL && *env != '\0') {
		c->socket = env;
		return;
	}
	if (c->settings == NULL)
		(void)load_settings(c, true);
	(void)snprintf(path, size, "%s/archillx.sock",
	    c->settings != NULL ? settings_str(c->settings, SET_RUN_DIR) :
				  "/run/archillx");
	c->socket = path;
}

static const struct ctl_verb *
find_in(const struct ctl_verb *table, size_t n, int argc, char **argv,
    int *used)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct ctl_verb *v = &table[i];

		if (strcmp(v->noun, argv[0]) != 0)
			continue;
		*used = v->verb == NULL ? 1 : 2;
		if (v->verb == NULL ||
		    (argc > 1 && strcmp(v->verb, argv[1]) == 0))
			return (v);
	}
	return (NULL);
}

static const struct ctl_verb *
find_verb(int argc, char **argv, int *used)
{
	const struct ctl_verb *v;

	v = find_in(verbs, AX_NELEM(verbs), argc, argv, used);
	return (v != NULL ?
		v :
		find_in(audit_verbs, naudit_verbs, argc, argv, used));
}

/* --json may stand anywhere: takes it out; returns the new argc. */
static int
take_json(struct ctl *c, int argc, char **argv)
{
	int i, n = 1;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			c->json = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return (n);
}

static int
run(struct ctl *c, int argc, char **argv)
{
	const struct ctl_verb *v;
	char path[4200];
	int used = 0, status;

	if (argc == 0) {
		print_usage(stderr);
		return (CTL_USAGE);
	}
	if (strcmp(argv[0], "help") == 0) {
		print_usage(stdout);
		return (CTL_DONE);
	}
	if ((v = find_verb(argc, argv, &used)) == NULL)
		return (ctl_usage("no such noun and verb"));
	if (v->needs_settings && load_settings(c, false) == -1)
		return (CTL_FAILED);
	find_socket(c, path, sizeof(path));
	status = v->fn(c, argc - used, argv + used);
	settings_free(c->settings);
	return (status);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl c = { 0 };
	int ch;

	log_init("archillxctl");
	argc = take_json(&c, argc, argv);
	while ((ch = getopt_long(argc, argv, "+f:s:h", longs, NULL)) != -1) {
		switch (ch) {
		case 'f':
			c.conf_file = optarg;
			break;
		case 's':
			c.socket = optarg;
			break;
		case 'h':
			print_usage(stdout);
			return (CTL_DONE);
		default:
			print_usage(stderr);
			return (CTL_USAGE);
		}
	}
	return (run(&c, argc - optind, argv + optind));
}
