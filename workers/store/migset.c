/* SPDX-License-Identifier: ISC */
/*
 * Reads the migrations from disk and splits them into steps. It touches no
 * database, and must never guess where a statement ends: the marker lines say.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "workers/store/migset.h"

#define SQL_MAX	  (256 * 1024)
#define STEP_MARK "-- step"

const char *
mig_dir_name(enum mig_dir d)
{
	return (d == MIG_UP ? "up" : "down");
}

static bool
is_revision(const char *name)
{
	int i;

	for (i = 0; i < MIG_REV_LEN; i++)
		if (i == 8 ? name[i] != '_' : name[i] < '0' || name[i] > '9')
			return (false);
	return (name[i] == '_' && name[i + 1] != '\0');
}

static int
by_rev(const void *a, const void *b)
{
	return (strcmp(((const struct migration *)a)->rev,
	    ((const struct migration *)b)->rev));
}

static int
step_add(struct migration *m, enum mig_dir d, const char *p, size_t n,
    unsigned line)
{
	struct mig_step *s;
	uint8_t hash[32];

	while (n > 0 && strchr(" \t\r\n;", p[n - 1]) != NULL)
		n--;
	if (n == 0 || m->nsteps[d] == MIG_STEPS_MAX)
		return (-1);
	s = realloc(m->step[d], (m->nsteps[d] + 1) * sizeof(*s));
	if (s == NULL)
		return (-1);
	m->step[d] = s;
	s += m->nsteps[d];
	if ((s->sql = strndup(p, n)) == NULL)
		return (-1);
	s->line = line;
	ax_sha256(p, n, hash);
	ax_hex(hash, sizeof(hash), s->sha256);
	m->nsteps[d]++;
	return (0);
}

/* Splits the text at its marker lines. The line of a bad step, or 0. */
static unsigned
split(struct migration *m, enum mig_dir d, const char *text)
{
	const char *p = text, *start = NULL, *eol;
	unsigned line = 1, from = 0;
	size_t n;

	for (;; p = eol + 1, line++) {
		eol = strchr(p, '\n');
		n = eol != NULL ? (size_t)(eol - p) : strlen(p);
		if (start == NULL && n == strlen("-- destroys: audit") &&
		    strncmp(p, "-- destroys: audit", n) == 0)
			m->destroys_audit = true;
		if ((n == strlen(STEP_MARK) && strncmp(p, STEP_MARK, n) == 0) ||
		    eol == NULL) {
			if (start != NULL &&
			    step_add(m, d, start,
				(size_t)((eol == NULL ? p + n : p) - start),
				from) == -1)
				return (from);
			if (eol == NULL)
				return (m->nsteps[d] == 0 ? 1 : 0);
			start = eol + 1;
			from = line + 1;
		}
	}
}

static int
load_steps(struct migration *m, int dirfd, enum mig_dir d, char *err,
    size_t errlen)
{
	char path[300], *text;
	unsigned line;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/%s.sql", m->name,
	    mig_dir_name(d));
	if ((text = ax_read_file(dirfd, path, SQL_MAX, &len)) == NULL) {
		(void)snprintf(err, errlen, "%s: %s", path, strerror(errno));
		return (-1);
	}
	line = split(m, d, text);
	free(text);
	if (line != 0) {
		(void)snprintf(err, errlen, "%s:%u: no statement, or too many",
		    path, line);
		return (-1);
	}
	return (0);
}

static int
load_fingerprint(struct migration *m, int dirfd, char *err, size_t errlen)
{
	char path[300], *text;
	uint8_t raw[32];
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/fingerprint", m->name);
	text = ax_read_file(dirfd, path, 200, &len);
	if (text == NULL && errno == ENOENT)
		return (0);
	if (text != NULL && len >= 64)
		text[64] = '\0';
	if (text == NULL || ax_unhex(text, raw, 32) == -1) {
		(void)snprintf(err, errlen, "%s: not a SHA-256 in hex", path);
		free(text);
		return (-1);
	}
	(void)ax_strlcpy(m->fingerprint, text, sizeof(m->fingerprint));
	free(text);
	return (0);
}

static int
load_one(struct migset *set, int dirfd, const char *name, char *err,
    size_t errlen)
{
	struct migration *m;

	m = realloc(set->v, (set->n + 1) * sizeof(*m));
	if (m == NULL)
		goto nomem;
	set->v = m;
	m += set->n;
	memset(m, 0, sizeof(*m));
	memcpy(m->rev, name, MIG_REV_LEN);
	if ((m->name = strdup(name)) == NULL)
		goto nomem;
	set->n++;
	if (load_steps(m, dirfd, MIG_UP, err, errlen) == -1 ||
	    load_steps(m, dirfd, MIG_DOWN, err, errlen) == -1)
		return (-1);
	return (load_fingerprint(m, dirfd, err, errlen));
nomem:
	(void)snprintf(err, errlen, "out of memory");
	return (-1);
}

static int
check_set(const struct migset *set, const char *dir, char *err, size_t errlen)
{
	size_t i;

	if (set->n == 0) {
		(void)snprintf(err, errlen, "%s: no migrations", dir);
		return (-1);
	}
	for (i = 1; i < set->n; i++)
		if (strcmp(set->v[i - 1].rev, set->v[i].rev) == 0) {
			(void)snprintf(err, errlen,
			    "%s: %s and %s have the same revision", dir,
			    set->v[i - 1].name, set->v[i].name);
			return (-1);
		}
	return (0);
}

int
migset_load(struct migset *set, const char *dir, char *err, size_t errlen)
{
	struct dirent *e;
	DIR *d;
	int rc = 0;

	memset(set, 0, sizeof(*set));
	if ((d = opendir(dir)) == NULL) {
		(void)snprintf(err, errlen, "%s: %s", dir, strerror(errno));
		return (-1);
	}
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (is_revision(e->d_name))
			rc = load_one(set, dirfd(d), e->d_name, err, errlen);
	closedir(d);
	if (rc == 0) {
		qsort(set->v, set->n, sizeof(*set->v), by_rev);
		rc = check_set(set, dir, err, errlen);
	}
	if (rc == -1)
		migset_free(set);
	return (rc);
}

void
migset_free(struct migset *set)
{
	struct migration *m;
	unsigned d, k;
	size_t i;

	for (i = 0; i < set->n; i++) {
		m = &set->v[i];
		for (d = 0; d < 2; d++) {
			for (k = 0; k < m->nsteps[d]; k++)
				free(m->step[d][k].sql);
			free(m->step[d]);
		}
		free(m->name);
	}
	free(set->v);
	memset(set, 0, sizeof(*set));
}

int
migset_find(const struct migset *set, const char *rev)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->v[i].rev, rev) == 0)
			return ((int)i);
	return (-1);
}

static bool
path_make(char *out, size_t outlen, const char *top, const char *engine)
{
	int n = snprintf(out, outlen, "%s/sql/%s", top, engine);

	return (n > 0 && (size_t)n < outlen && access(out, R_OK | X_OK) == 0);
}

/* Only a build tree has programs in a folder of this name. */
static bool
in_build_tree(void)
{
	static const char folder[] = "/workers/store";
	char exe[PATH_MAX], *slash;
	size_t len, n = sizeof(folder) - 1;
	ssize_t r;

	if ((r = readlink("/proc/self/exe", exe, sizeof(exe) - 1)) <= 0)
		return (false);
	exe[r] = '\0';
	if ((slash = strrchr(exe, '/')) == NULL)
		return (false);
	*slash = '\0';
	len = strlen(exe);
	return (len >= n && strcmp(exe + len - n, folder) == 0);
}

int
migset_dir(const char *engine, char *out, size_t outlen)
{
	/* Root runs this: what is installed never looks where it was built. */
	return (path_make(out, outlen, in_build_tree() ? AX_SRCDIR : AX_DATADIR,
		    engine) ?
		0 :
		-1);
}
