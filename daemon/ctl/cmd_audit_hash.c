/* SPDX-License-Identifier: ISC */
/*
 * "audit hash": what the journal would hold for a secret input, so that who
 * has the secrets key can check a guess. Needs no daemon. Must never print
 * the value or the key, and takes the value from its standard input when told
 * to: an argument stands in the list of processes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/keyfile.h"
#include "common/secret.h"
#include "ctl.h"

#define VALUE_MAX (1u << 20)

/* All of standard input without its last newline, or NULL. */
static char *
read_value(struct buf *b)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
		buf_add(b, chunk, n);
		if (b->len > VALUE_MAX) {
			(void)fprintf(stderr,
			    "archillxctl: a value has at most %u bytes\n",
			    VALUE_MAX);
			return (NULL);
		}
	}
	explicit_bzero(chunk, sizeof(chunk));
	if (b->len > 0 && b->d[b->len - 1] == '\n')
		b->len--;
	return (buf_str(b));
}

static json_t *
value_of(const char *text, size_t len, bool is_json)
{
	json_error_t je;
	json_t *v;

	v = is_json ? json_loadb(text, len,
			  JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &je) :
		      json_stringn(text, len);
	if (v == NULL)
		(void)fprintf(stderr,
		    is_json ? "archillxctl: the value is not JSON\n" :
			      "archillxctl: the value is not UTF-8\n");
	return (v);
}

static int
print_hash(struct ctl *c, const json_t *value)
{
	struct secret_key key = { 0 };
	char text[SECRET_TEXT_MAX], err[300];
	int fd;

	fd = keyfile_open_secrets(settings_str(c->settings, SET_STATE_DIR), err,
	    sizeof(err));
	if (fd == -1 || secret_key_read(&key, fd) == -1) {
		(void)fprintf(stderr, "archillxctl: %s\n",
		    fd == -1 ? err : strerror(errno));
		if (fd != -1)
			(void)close(fd);
		return (CTL_FAILED);
	}
	(void)close(fd);
	secret_text(&key, value, text);
	explicit_bzero(&key, sizeof(key));
	(void)printf(c->json ? "{\"text\": \"%s\"}\n" : "%s\n", text);
	return (CTL_DONE);
}

int
cmd_audit_hash(struct ctl *c, int argc, char **argv)
{
	struct buf b = BUF_INITIALIZER;
	const char *text = NULL;
	bool is_json = false;
	json_t *value = NULL;
	int i, r = CTL_FAILED;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json-value") == 0)
			is_json = true;
		else if (text == NULL)
			text = argv[i];
		else
			return (ctl_usage("audit hash [--json-value] VALUE|-"));
	}
	if (text == NULL)
		return (ctl_usage("audit hash needs a value, or - to read it"));
	if (strcmp(text, "-") == 0)
		text = read_value(&b);
	if (text != NULL)
		value =
		    value_of(text, b.d != NULL ? b.len : strlen(text), is_json);
	if (value != NULL)
		r = print_hash(c, value);
	json_decref(value);
	buf_wipe(&b);
	return (r);
}
