/* SPDX-License-Identifier: ISC */
/*
 * The command line of the verifier, for both programs that have it. Keys are
 * public: they come as arguments or in files. Must never guess a key from the
 * folder that is to be judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/verify/cli.h"
#include "daemon/verify/layout.h"
#include "daemon/verify/report.h"

#define KEY_FILE_MAX 65536

static int
take_key(struct verify_args *a, const char *text, char *why, size_t size)
{
	if (a->nkeys == VERIFY_KEYS_MAX) {
		(void)snprintf(why, size, "more than %d keys", VERIFY_KEYS_MAX);
		return (-1);
	}
	if (vkey_parse(text, &a->keys[a->nkeys]) == -1) {
		(void)snprintf(why, size,
		    "%.100s: not a public key (name+id+base64, as "
		    "archillxctl key show-signing prints it)",
		    text);
		return (-1);
	}
	a->nkeys++;
	return (0);
}

int
verify_add_key(struct verify_args *a, const char *arg, char *why, size_t size)
{
	struct vkey key;
	char *text, *line, *rest;
	size_t len, before = a->nkeys;
	int r = 0;

	if (vkey_parse(arg, &key) == 0)
		return (take_key(a, arg, why, size));
	text = layout_read(AT_FDCWD, arg, KEY_FILE_MAX, &len);
	if (text == NULL) {
		(void)snprintf(why, size,
		    "--key %.100s: neither a public key nor a file that can "
		    "be read: %s",
		    arg, strerror(errno));
		return (-1);
	}
	for (rest = text; r == 0 && (line = strsep(&rest, "\n")) != NULL;) {
		if (*line != '\0' && *line != '#')
			r = take_key(a, line, why, size);
	}
	free(text);
	if (r == 0 && a->nkeys == before) {
		(void)snprintf(why, size, "--key %.100s: no key in it", arg);
		r = -1;
	}
	return (r);
}

static int
take_from(struct verify_args *a, const char *arg, char *why, size_t size)
{
	int64_t v;

	if (ax_strtonum(arg, 1, INT64_MAX, &v) == -1) {
		(void)snprintf(why, size, "--from %.40s: not a line's number",
		    arg);
		return (-1);
	}
	a->from = (uint64_t)v;
	return (0);
}

/* Options with a value: 1 and done, 0: not one of them, -1 with why. */
static int
take_option(struct verify_args *a, const char *name, const char *value,
    char *why, size_t size)
{
	if (strcmp(name, "--key") != 0 && strcmp(name, "--checkpoint") != 0 &&
	    strcmp(name, "--from") != 0)
		return (0);
	if (value == NULL) {
		(void)snprintf(why, size, "%s needs a value", name);
		return (-1);
	}
	if (strcmp(name, "--checkpoint") == 0) {
		a->old = value;
		return (1);
	}
	if ((strcmp(name, "--key") == 0 ? verify_add_key(a, value, why, size) :
					  take_from(a, value, why, size)) == -1)
		return (-1);
	return (1);
}

int
verify_args(struct verify_args *a, int argc, char **argv, char *why,
    size_t size)
{
	int i, r;

	for (i = 0; i < argc; i++) {
		r = take_option(a, argv[i], i + 1 < argc ? argv[i + 1] : NULL,
		    why, size);
		if (r == -1)
			return (-1);
		if (r == 1)
			i++;
		else if (strcmp(argv[i], "--json") == 0)
			a->json = true;
		else if (strcmp(argv[i], "--quiet") == 0)
			a->quiet = true;
		else if (strcmp(argv[i], "--help") == 0)
			a->help = true;
		else if (argv[i][0] == '-' || a->dir != NULL) {
			(void)snprintf(why, size, "%.100s: not understood",
			    argv[i]);
			return (-1);
		} else
			a->dir = argv[i];
	}
	if (a->nkeys == 0 && !a->help) {
		(void)snprintf(why, size,
		    "--key is needed: the public key, got from where the log "
		    "is not");
		return (-1);
	}
	return (0);
}

static void
progress(void *arg, uint64_t lines, uint64_t of)
{
	(void)fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " lines", lines, of);
}

int
verify_cli(const struct verify_args *a)
{
	struct verify_report *r = calloc(1, sizeof(*r));
	struct verify_options o = { .dir = a->dir,
		.keys = a->keys,
		.nkeys = a->nkeys,
		.old = a->old,
		.from = a->from };
	struct buf b = BUF_INITIALIZER;
	bool terminal = isatty(STDERR_FILENO) == 1 && !a->quiet;
	int status;

	if (r == NULL) {
		(void)fprintf(stderr, "verify: %s\n", strerror(errno));
		return (VERIFY_USAGE);
	}
	if (terminal)
		o.progress = progress;
	status = verify_run(&o, r);
	if (terminal)
		(void)fputs("\r\033[K", stderr);
	if (a->json) {
		report_json(&b, r);
		if (b.err || fwrite(b.d, 1, b.len, stdout) != b.len)
			status = VERIFY_USAGE;
	} else
		report_text(stdout, r);
	if (fflush(stdout) != 0)
		status = VERIFY_USAGE;
	buf_free(&b);
	free(r);
	return (status);
}
