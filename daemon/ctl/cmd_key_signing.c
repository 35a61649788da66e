/* SPDX-License-Identifier: ISC */
/*
 * The keys behind the evidence: made here, once, and never replaced: what a
 * lost key has signed could not be told from what it has not. The private
 * halves are never printed.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/keyfile.h"
#include "common/util.h"
#include "ctl.h"

static const char *
state_dir(const struct ctl *c)
{
	return (settings_str(c->settings, SET_STATE_DIR));
}

/* mkdir -p; an error shows when the key is made. */
static void
make_state_dir(const char *path)
{
	char part[4200];
	size_t i, n = ax_strlcpy(part, path, sizeof(part));
	mode_t old = umask(022);

	for (i = 1; n < sizeof(part) && i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		(void)mkdir(part, 0755);
		part[i] = path[i];
	}
	(void)umask(old);
}

/* NAME as given, else "<node>/archillx" as the daemon names its node. */
static void
default_name(const struct ctl *c, char *out, size_t size)
{
	const char *node = settings_str(c->settings, SET_NODE_NAME);
	char host[65] = "localhost";

	if (*node == '\0' && gethostname(host, sizeof(host) - 1) == 0)
		node = host;
	(void)snprintf(out, size, "%s/archillx", *node != '\0' ? node : host);
}

static int
failed(const struct ctl *c, const char *name)
{
	(void)fprintf(stderr, "archillxctl: cannot make %s/%s: %s\n",
	    state_dir(c), name, strerror(errno));
	return (CTL_FAILED);
}

/* The other key, which a service with a signing key needs as well. */
static int
make_secrets(const struct ctl *c)
{
	uint8_t key[SECRETS_KEY_LEN];
	int r;

	ax_random(key, sizeof(key));
	r = keyfile_make(state_dir(c), KEYFILE_SECRETS, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	return (r == -1 && errno == EEXIST ? 0 : r);
}

static void
print_public(const struct ctl *c, const struct vkey *v)
{
	char text[VKEY_TEXT_MAX], id[16];
	json_t *j;

	vkey_format(v, text);
	if (!c->json) {
		(void)printf("%s\n", text);
		return;
	}
	(void)snprintf(id, sizeof(id), "%08x", (unsigned)v->id);
	j = json_pack("{s:s, s:s, s:s}", "name", v->name, "id", id, "vkey",
	    text);
	(void)ctl_print_json(j);
	json_decref(j);
}

static int
make_signing(const struct ctl *c, const char *name)
{
	char text[SKEY_TEXT_MAX + 1];
	struct skey key;
	size_t n;
	int r;

	if (skey_new(&key, name) == -1) {
		(void)fprintf(stderr,
		    "archillxctl: \"%s\" cannot name a key: give --name "
		    "ORIGIN without spaces and \"+\", at most %d bytes\n",
		    name, NOTE_NAME_MAX);
		return (CTL_FAILED);
	}
	skey_format(&key, text);
	n = strlen(text);
	text[n++] = '\n';
	r = keyfile_make(state_dir(c), KEYFILE_SIGNING, text, n);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(key.seed, sizeof(key.seed));
	if (r == 0) {
		print_public(c, &key.pub);
		(void)fprintf(stderr,
		    "This public key checks the evidence: keep it, and every "
		    "checkpoint you can, off this host.\nThe private one is "
		    "in %s/" KEYFILE_SIGNING "; it counts after the next "
		    "start.\n",
		    state_dir(c));
		return (CTL_DONE);
	}
	if (errno != EEXIST)
		return (failed(c, KEYFILE_SIGNING));
	(void)fprintf(stderr,
	    "archillxctl: %s/" KEYFILE_SIGNING " exists, and a key is never "
	    "overwritten: archillxctl key show-signing prints its public "
	    "half.\nFor a new one stop the service, move that file to a safe "
	    "place, keep its public half (it goes on checking what it has "
	    "signed), and run this again.\n",
	    state_dir(c));
	return (CTL_FAILED);
}

int
cmd_key_new_signing(struct ctl *c, int argc, char **argv)
{
	char dflt[128];
	const char *name = dflt;
	int i;

	default_name(c, dflt, sizeof(dflt));
	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--name") != 0 || i + 1 == argc)
			return (ctl_usage("key new-signing [--name ORIGIN]"));
		name = argv[++i];
	}
	make_state_dir(state_dir(c));
	if (make_secrets(c) == -1)
		return (failed(c, KEYFILE_SECRETS));
	return (make_signing(c, name));
}

int
cmd_key_show_signing(struct ctl *c, int argc, char **argv)
{
	struct vkey v;
	char err[4400];
	int fd;

	(void)argv;
	if (argc != 0)
		return (ctl_usage("key show-signing takes no argument"));
	fd = keyfile_open_signing(state_dir(c), &v, err, sizeof(err));
	if (fd == -1) {
		(void)fprintf(stderr, "archillxctl: %s%s\n", err,
		    errno == ENOENT ? ": archillxctl key new-signing makes it" :
				      "");
		return (CTL_FAILED);
	}
	(void)close(fd);
	print_public(c, &v);
	return (CTL_DONE);
}
