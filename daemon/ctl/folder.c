/* SPDX-License-Identifier: ISC */
/*
 * The JSON files of a configuration folder, for verbs that need no daemon.
 * Reads only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "folder.h"

#define TEXT_MAX (1u << 20)

static int
is_json(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return (d->d_name[0] != '.' && n > 5 &&
	    strcmp(d->d_name + n - 5, ".json") == 0);
}

int
folder_file(const char *path, folder_fn fn, void *arg)
{
	const char *slash = strrchr(path, '/');
	char *text;
	size_t len;
	int r;

	if ((text = ax_read_file(AT_FDCWD, path, TEXT_MAX, &len)) == NULL) {
		(void)fprintf(stderr, "%s: cannot read: %s\n", path,
		    strerror(errno));
		return (-1);
	}
	r = fn(path, slash == NULL ? path : slash + 1, text, len, arg);
	free(text);
	return (r == 0 ? 0 : -1);
}

int
folder_each(const char *dir, folder_fn fn, void *arg)
{
	struct dirent **names;
	char path[4400];
	int count, i, failed = 0;

	if ((count = scandir(dir, &names, is_json, alphasort)) == -1) {
		(void)fprintf(stderr, "%s: cannot read: %s\n", dir,
		    strerror(errno));
		return (-1);
	}
	for (i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir,
		    names[i]->d_name);
		failed += folder_file(path, fn, arg) == -1;
		free(names[i]);
	}
	free(names);
	return (failed);
}
