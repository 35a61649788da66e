/* SPDX-License-Identifier: ISC */
/*
 * Credentials: made here, printed once; only the SHA-256 is kept. The daemon
 * reads the file at start and on reload.
 */
#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "ctl.h"

#define KEY_FILE_MAX (1u << 20)

static void
key_file(const struct ctl *c, char *out, size_t size)
{
	const char *set = settings_str(c->settings, SET_KEY_FILE);

	if (*set != '\0')
		(void)snprintf(out, size, "%s", set);
	else
		(void)snprintf(out, size, "%s/keys",
		    settings_str(c->settings, SET_STATE_DIR));
}

static bool
name_ok(const char *s)
{
	size_t n = strlen(s);

	return (n >= 1 && n <= 64 &&
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789_.-") == n);
}

/* True if a line of the file starts with the name. */
static bool
name_taken(const char *text, const char *name)
{
	size_t n = strlen(name);

	while (text != NULL && *text != '\0') {
		if (strncmp(text, name, n) == 0 &&
		    (text[n] == ' ' || text[n] == '\t'))
			return (true);
		if ((text = strchr(text, '\n')) != NULL)
			text++;
	}
	return (false);
}

/* Appends one line under a lock, synced. 0, or -1 and said why. */
static int
append_key(const char *path, const char *name, const char *role,
    const char *hex)
{
	char line[256], *text;
	size_t len;
	int fd, n, r = -1;

	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd == -1 || flock(fd, LOCK_EX) == -1) {
		(void)fprintf(stderr, "archillxctl: %s: %s\n", path,
		    strerror(errno));
		return (-1);
	}
	text = ax_read_file(AT_FDCWD, path, KEY_FILE_MAX, &len);
	n = snprintf(line, sizeof(line), "%s %s %s\n", name, role, hex);
	if (name_taken(text, name))
		(void)fprintf(stderr,
		    "archillxctl: there is a key %s already "
		    "in %s\n",
		    name, path);
	else if (ax_write_all(fd, line, (size_t)n) == -1 || fsync(fd) == -1)
		(void)fprintf(stderr, "archillxctl: %s: %s\n", path,
		    strerror(errno));
	else
		r = 0;
	free(text);
	(void)close(fd);
	return (r);
}

/* 32 random bytes; the prefix lets scanners of source code find a leak. */
static void
make_token(char out[80], char hex[65])
{
	uint8_t raw[32], digest[32];

	ax_random(raw, sizeof(raw));
	(void)ax_strlcpy(out, "axk_", 80);
	ax_hex(raw, sizeof(raw), out + 4);
	ax_sha256(out, strlen(out), digest);
	ax_hex(digest, sizeof(digest), hex);
	explicit_bzero(raw, sizeof(raw));
}

/* [--role R] [--name] NAME; a usage message, or NULL. */
static const char *
parse_new(int argc, char **argv, const char **role, const char **name)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--role") == 0 && i + 1 < argc)
			*role = argv[++i];
		else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
			*name = argv[++i];
		else if (argv[i][0] != '-' && *name == NULL)
			*name = argv[i];
		else
			return ("key new [--role admin|api_key] NAME");
	}
	if (*name == NULL || !name_ok(*name))
		return ("key new needs a name of letters, digits, _ . and -");
	if (strcmp(*role, "admin") != 0 && strcmp(*role, "api_key") != 0)
		return ("the role is admin or api_key");
	return (NULL);
}

int
cmd_key_new(struct ctl *c, int argc, char **argv)
{
	const char *role = "api_key", *name = NULL, *why;
	char path[4200], token[80], hex[65];

	if ((why = parse_new(argc, argv, &role, &name)) != NULL)
		return (ctl_usage(why));
	key_file(c, path, sizeof(path));
	make_token(token, hex);
	if (append_key(path, name, role, hex) == -1)
		return (CTL_FAILED);
	if (c->json)
		(void)printf("{\"name\": \"%s\", \"role\": \"%s\", \"token\": "
			     "\"%s\"}\n",
		    name, role, token);
	else {
		(void)printf("%s\n", token);
		(void)fprintf(stderr,
		    "This is the only time the key is shown. "
		    "It counts after the next reload:\narchillxctl reload\n");
	}
	explicit_bzero(token, sizeof(token));
	return (CTL_DONE);
}

static json_t *
read_keys(char *text)
{
	json_t *list = json_array();
	char name[80], role[16], *p;

	for (p = text; p != NULL && *p != '\0';) {
		if (sscanf(p, "%79s %15s", name, role) == 2 && *name != '#')
			(void)json_array_append_new(list,
			    json_pack("{s:s, s:s}", "name", name, "role",
				role));
		if ((p = strchr(p, '\n')) != NULL)
			p++;
	}
	return (list);
}

int
cmd_key_list(struct ctl *c, int argc, char **argv)
{
	char path[4200], *text;
	json_t *list, *k;
	size_t len, i;

	key_file(c, path, sizeof(path));
	text = ax_read_file(AT_FDCWD, path, KEY_FILE_MAX, &len);
	if (text == NULL && errno != ENOENT) {
		(void)fprintf(stderr, "archillxctl: %s: %s\n", path,
		    strerror(errno));
		return (CTL_FAILED);
	}
	list = read_keys(text);
	free(text);
	if (c->json)
		(void)ctl_print_json(list);
	else
		json_array_foreach(list, i, k)
			(void)printf("%-24s %s\n",
			    json_string_value(json_object_get(k, "name")),
			    json_string_value(json_object_get(k, "role")));
	json_decref(list);
	return (CTL_DONE);
}
