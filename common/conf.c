/* SPDX-License-Identifier: ISC */
/*
 * Loading and cross-checking the configuration. For the parent and the tools;
 * no worker reads a configuration file.
 */
#include <sys/stat.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf.h"
#include "util.h"

#define CONF_MAX_BYTES (1u << 20)
#define SECRET_MIN     8

const char *
conf_path(const char *path)
{
	if (path != NULL)
		return (path);
	if (access(AX_CONFDIR "/archillx.conf", F_OK) == 0)
		return (AX_CONFDIR "/archillx.conf");
	return ("");
}

/* The folder of path, absolute as far as the current folder tells. */
static void
folder_of(const char *path, char *out, size_t outlen)
{
	const char *slash = strrchr(path, '/');
	char cwd[2048];

	if (path[0] == '/') {
		(void)snprintf(out, outlen, "%.*s",
		    slash == path ? 1 : (int)(slash - path), path);
		return;
	}
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		(void)snprintf(cwd, sizeof(cwd), ".");
	if (slash == NULL)
		(void)snprintf(out, outlen, "%s", cwd);
	else
		(void)snprintf(out, outlen, "%s/%.*s", cwd, (int)(slash - path),
		    path);
	/* A cut name does not exist, and that is said when it is opened. */
}

static void
load_file(struct settings *s, const char *path, struct conf_errors *errs)
{
	char *text;
	size_t len;

	if ((text = ax_read_file(AT_FDCWD, path, CONF_MAX_BYTES, &len)) ==
	    NULL) {
		conf_error(errs, path, 0, "cannot read: %s", strerror(errno));
		return;
	}
	(void)settings_parse(s, path, text, len, errs);
	explicit_bzero(text, len);
	free(text);
}

static int
is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return (d->d_name[0] != '.' && n > 5 &&
	    strcmp(d->d_name + n - 5, ".conf") == 0);
}

static void
load_conf_d(struct settings *s, const char *folder, struct conf_errors *errs)
{
	struct dirent **names;
	char path[4096 + 300];
	int n, i;

	(void)snprintf(path, sizeof(path), "%s/conf.d", folder);
	if ((n = scandir(path, &names, is_conf, alphasort)) == -1) {
		if (errno != ENOENT && errno != ENOTDIR)
			conf_error(errs, path, 0, "cannot read: %s",
			    strerror(errno));
		return;
	}
	for (i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/conf.d/%s", folder,
		    names[i]->d_name);
		load_file(s, path, errs);
		free(names[i]);
	}
	free(names);
}

static void
load_environment(struct settings *s, struct conf_errors *errs)
{
	const char *v;
	char err[512];
	unsigned i;

	for (i = 0; i < SET_MAX; i++) {
		v = getenv(setting_defs[i].name);
		if (v == NULL || *v == '\0')
			continue;
		if (settings_set(s, (enum setting_id)i, v, "environment", err,
			sizeof(err)) == -1)
			conf_error(errs, "environment", 0, "%s", err);
	}
}

static void
load_override(struct settings *s, const char *text, struct conf_errors *errs)
{
	const char *eq = strchr(text, '=');
	char name[65], err[512];
	enum setting_id id;

	if (eq == NULL || (size_t)(eq - text) >= sizeof(name)) {
		conf_error(errs, "-D", 0, "\"%s\" is not KEY=VALUE", text);
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)(eq - text), text);
	if ((id = settings_lookup(name)) == SET_MAX)
		conf_error(errs, "-D", 0, "unknown setting %s", name);
	else if (settings_set(s, id, eq + 1, "-D", err, sizeof(err)) == -1)
		conf_error(errs, "-D", 0, "%s", err);
}

unsigned
conf_load(struct settings *s, const char *path, char *const *overrides,
    unsigned noverrides, struct conf_errors *errs)
{
	char folder[4096], cwd[4096];
	unsigned before = errs->n, i;

	path = conf_path(path);
	if (*path != '\0') {
		folder_of(path, folder, sizeof(folder));
		if (settings_set_base(s, folder) == -1)
			conf_error(errs, path, 0, "out of memory");
		load_file(s, path, errs);
		load_conf_d(s, folder, errs);
	}
	if (getcwd(cwd, sizeof(cwd)) != NULL)
		(void)settings_set_base(s, cwd);
	load_environment(s, errs);
	for (i = 0; i < noverrides; i++)
		load_override(s, overrides[i], errs);
	return (errs->n - before);
}

/* ---- cross checks ---- */

static void
check_secret(const struct settings *s, enum setting_id id,
    struct conf_errors *errs)
{
	static const char *const placeholders[] = { "changeme", "change-me",
		"change_me", "password", "password1", "secret123", "topsecret",
		"replace-me", "replace_me", "your-api-key", "your-admin-token",
		"archillx", "12345678", "example1" };
	const char *v = settings_str(s, id), *name = setting_defs[id].name;
	size_t i, n = strlen(v);

	if (n == 0)
		return;
	if (n < SECRET_MIN) {
		conf_error(errs, settings_origin(s, id), 0,
		    "%s is too weak: %zu characters, at least %d; make one "
		    "with: archillxctl key new",
		    name, n, SECRET_MIN);
		return;
	}
	for (i = 0; i < AX_NELEM(placeholders); i++) {
		if (strcasecmp(v, placeholders[i]) == 0)
			conf_error(errs, settings_origin(s, id), 0,
			    "%s is a placeholder; make one with: "
			    "archillxctl key new",
			    name);
	}
	if (strspn(v, (const char[]){ v[0], '\0' }) == n)
		conf_error(errs, settings_origin(s, id), 0,
		    "%s is one character repeated", name);
}

/* True if `inner` is `outer` or below it, by components. */
static bool
path_below(const char *inner, const char *outer)
{
	size_t n = strlen(outer);

	if (strcmp(outer, "/") == 0)
		return (true);
	return (strncmp(inner, outer, n) == 0 &&
	    (inner[n] == '\0' || inner[n] == '/'));
}

/* The real path where there is one; names can be links. */
static void
real_path(const char *p, char out[4096])
{
	char *r = realpath(p, NULL);

	(void)snprintf(out, 4096, "%s", r != NULL ? r : p);
	free(r);
}

static void
check_file_roots(const struct settings *s, struct conf_errors *errs)
{
	static const enum setting_id own[] = { SET_EVIDENCE_DIR, SET_STATE_DIR,
		SET_RUN_DIR };
	char root[4096], dir[4096];
	const char *item;
	unsigned i;
	size_t k;

	for (i = 0; (item = settings_item(s, SET_FILE_WHITELIST, i)) != NULL;
	     i++) {
		if (item[0] != '/') {
			conf_error(errs, settings_origin(s, SET_FILE_WHITELIST),
			    0,
			    "ARCHILLX_FILE_WHITELIST: \"%s\" is not an "
			    "absolute path",
			    item);
			continue;
		}
		real_path(item, root);
		for (k = 0; k < AX_NELEM(own); k++) {
			real_path(settings_str(s, own[k]), dir);
			if (!path_below(root, dir) && !path_below(dir, root))
				continue;
			conf_error(errs, settings_origin(s, SET_FILE_WHITELIST),
			    0,
			    "ARCHILLX_FILE_WHITELIST: \"%s\" overlaps %s: "
			    "evidence, state and the control socket are never "
			    "open to skills",
			    item, setting_defs[own[k]].name);
		}
	}
}

static void
check_addresses(const struct settings *s, struct conf_errors *errs)
{
	unsigned char addr[sizeof(struct in6_addr)];
	const char *a = settings_str(s, SET_HOST);
	unsigned i;

	if (inet_pton(AF_INET, a, addr) != 1 &&
	    inet_pton(AF_INET6, a, addr) != 1)
		conf_error(errs, settings_origin(s, SET_HOST), 0,
		    "HOST: \"%s\" is not a numeric address", a);
	for (i = 0; (a = settings_item(s, SET_TRUSTED_PROXIES, i)) != NULL;
	     i++) {
		if (inet_pton(AF_INET, a, addr) != 1 &&
		    inet_pton(AF_INET6, a, addr) != 1)
			conf_error(errs,
			    settings_origin(s, SET_TRUSTED_PROXIES), 0,
			    "TRUSTED_PROXIES: \"%s\" "
			    "is not a numeric address",
			    a);
	}
}

unsigned
conf_validate(const struct settings *s, const char *path,
    struct conf_errors *errs)
{
	unsigned before = errs->n;

	if (settings_int(s, SET_RISK_WARN_THRESHOLD) >
	    settings_int(s, SET_RISK_BLOCK_THRESHOLD))
		conf_error(errs, settings_origin(s, SET_RISK_WARN_THRESHOLD), 0,
		    "RISK_WARN_THRESHOLD is above RISK_BLOCK_THRESHOLD");
	check_secret(s, SET_API_KEY, errs);
	check_secret(s, SET_ADMIN_TOKEN, errs);
	if (*settings_str(s, SET_API_KEY) != '\0' &&
	    strcmp(settings_str(s, SET_API_KEY),
		settings_str(s, SET_ADMIN_TOKEN)) == 0)
		conf_error(errs, settings_origin(s, SET_API_KEY), 0,
		    "API_KEY and ADMIN_TOKEN are the same");
	if (strcmp(settings_str(s, SET_EVIDENCE_DIR),
		settings_str(s, SET_STATE_DIR)) == 0)
		conf_error(errs, settings_origin(s, SET_STATE_DIR), 0,
		    "STATE_DIR and EVIDENCE_DIR are the same folder");
	check_addresses(s, errs);
	check_file_roots(s, errs);
	return (errs->n - before);
}

/* ---- folders of data ---- */

static void
data_dir(const struct settings *s, enum setting_id id, const char *path,
    const char *name, char *out, size_t outlen)
{
	char folder[4096];

	if (*settings_str(s, id) != '\0') {
		(void)snprintf(out, outlen, "%s", settings_str(s, id));
		return;
	}
	path = conf_path(path);
	if (*path != '\0') {
		folder_of(path, folder, sizeof(folder));
		(void)snprintf(out, outlen, "%s/%s", folder, name);
		if (access(out, F_OK) == 0)
			return;
	}
	(void)snprintf(out, outlen, "%s/%s", AX_CONFDIR, name);
	if (access(out, F_OK) == 0)
		return;
	(void)snprintf(out, outlen, "%s/etc/%s", AX_SRCDIR, name);
}

void
conf_skills_dir(const struct settings *s, const char *path, char *out,
    size_t outlen)
{
	data_dir(s, SET_SKILLS_DIR, path, "skills.d", out, outlen);
}

void
conf_governor_dir(const struct settings *s, const char *path, char *out,
    size_t outlen)
{
	data_dir(s, SET_GOVERNOR_DIR, path, "governor.d", out, outlen);
}
