/* SPDX-License-Identifier: ISC */
/*
 * Configuration generations: loaded and validated as a whole, sent item by
 * item. A worker gets only the settings whose row names it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/governor.h"
#include "common/log.h"
#include "common/manifest.h"
#include "common/msg.h"
#include "common/util.h"
#include "generation.h"
#include "parent.h"
#include "sink.h"

#define TEXT_MAX (1u << 20)
#define KEYS_MAX 256

static void
texts_free(struct conf_text *t, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		free(t[i].name);
		if (t[i].text != NULL)
			explicit_bzero(t[i].text, strlen(t[i].text));
		free(t[i].text);
	}
	free(t);
}

void
generation_free(struct generation *g)
{
	if (g == NULL)
		return;
	settings_free(g->settings);
	texts_free(g->skills, g->nskills);
	texts_free(g->rules, g->nrules);
	texts_free(g->keys, g->nkeys);
	free(g);
}

/* Takes text over. -1: out of memory. */
static int
texts_add(struct conf_text **t, unsigned *n, const char *name, char *text)
{
	struct conf_text *grown;
	char *copy = strdup(name);

	grown = realloc(*t, (*n + 1) * sizeof(**t));
	if (grown != NULL)
		*t = grown;
	if (grown == NULL || copy == NULL || text == NULL) {
		free(copy);
		free(text);
		return (-1);
	}
	(*t)[*n].name = copy;
	(*t)[*n].text = text;
	(*n)++;
	return (0);
}

static int
is_json(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return (d->d_name[0] != '.' && n > 5 &&
	    strcmp(d->d_name + n - 5, ".json") == 0);
}

/* Every *.json of a folder in name order, as text. */
static void
load_folder(const char *dir, struct conf_text **t, unsigned *n,
    struct conf_errors *errs)
{
	struct dirent **names;
	char path[4400], *text;
	int count, i;
	size_t len;

	if ((count = scandir(dir, &names, is_json, alphasort)) == -1) {
		conf_error(errs, dir, 0, "cannot read: %s", strerror(errno));
		return;
	}
	for (i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir,
		    names[i]->d_name);
		text = ax_read_file(AT_FDCWD, path, TEXT_MAX, &len);
		if (text == NULL)
			conf_error(errs, path, 0, "cannot read: %s",
			    strerror(errno));
		else if (strlen(text) != len) {
			conf_error(errs, path, 0, "a NUL byte in the file");
			free(text);
		} else if (texts_add(t, n, names[i]->d_name, text) == -1)
			conf_error(errs, path, 0, "out of memory");
		free(names[i]);
	}
	free(names);
}

static void
check_skills(struct generation *g, const char *dir, struct conf_errors *errs)
{
	struct skill *s;
	char err[512], where[4400];
	unsigned i;
	size_t n;

	if (g->nskills == 0)
		conf_error(errs, dir, 0, "no skill manifest (*.json)");
	if (g->nskills > METRICS_SKILLS)
		conf_error(errs, dir, 0, "%u skills, at most %d", g->nskills,
		    METRICS_SKILLS);
	for (i = 0; i < g->nskills; i++) {
		(void)snprintf(where, sizeof(where), "%s/%s", dir,
		    g->skills[i].name);
		n = strlen(g->skills[i].name) - 5;
		g->skills[i].name[n] = '\0'; /* without .json */
		s = skill_parse(g->skills[i].text, strlen(g->skills[i].text),
		    g->skills[i].name, err, sizeof(err));
		if (s == NULL)
			conf_error(errs, where, 0, "%s", err);
		skill_free(s);
	}
}

static void
check_rules(const struct generation *g, const char *dir,
    struct conf_errors *errs)
{
	struct governor *gov = governor_new();
	char err[512], where[4400];
	unsigned i;

	if (g->nrules == 0)
		conf_error(errs, dir, 0, "no governor rules (*.json)");
	for (i = 0; gov != NULL && i < g->nrules; i++) {
		(void)snprintf(where, sizeof(where), "%s/%s", dir,
		    g->rules[i].name);
		if (governor_add(gov, g->rules[i].name, g->rules[i].text,
			strlen(g->rules[i].text), err, sizeof(err)) == -1)
			conf_error(errs, where, 0, "%s", err);
	}
	governor_free(gov);
}

/* ---- credentials ---- */

static void
add_secret(struct generation *g, const char *name, const char *role,
    enum setting_id id)
{
	const char *v = settings_str(g->settings, id);
	uint8_t digest[32];
	char hex[65], line[128];

	if (*v == '\0')
		return;
	ax_sha256(v, strlen(v), digest);
	ax_hex(digest, sizeof(digest), hex);
	(void)snprintf(line, sizeof(line), "%s %s", role, hex);
	(void)texts_add(&g->keys, &g->nkeys, name, strdup(line));
}

static bool
key_name_ok(const char *s)
{
	size_t n = strlen(s);

	return (n >= 1 && n <= 64 &&
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789_.-") == n);
}

/* One line "name role sha256hex" of the key file. */
static void
key_line(struct generation *g, const char *file, unsigned line, char *text,
    struct conf_errors *errs)
{
	char *save = NULL, *name, *role, *hex, value[128];
	uint8_t digest[32];
	unsigned i;

	name = strtok_r(text, " \t", &save);
	if (name == NULL || *name == '#')
		return;
	role = strtok_r(NULL, " \t", &save);
	hex = strtok_r(NULL, " \t", &save);
	if (role == NULL || hex == NULL ||
	    strtok_r(NULL, " \t", &save) != NULL) {
		conf_error(errs, file, line,
		    "expected: name role sha256-in-hex");
		return;
	}
	if (!key_name_ok(name))
		conf_error(errs, file, line, "bad key name \"%s\"", name);
	else if (strcmp(role, "admin") != 0 && strcmp(role, "api_key") != 0)
		conf_error(errs, file, line,
		    "role \"%s\" is not admin or api_key", role);
	else if (strlen(hex) != 64 || ax_unhex(hex, digest, 32) == -1)
		conf_error(errs, file, line, "\"%s\" is not a SHA-256 in hex",
		    hex);
	else if (g->nkeys >= KEYS_MAX)
		conf_error(errs, file, line, "more than %d keys", KEYS_MAX);
	else {
		for (i = 0; i < g->nkeys; i++) {
			if (strcmp(g->keys[i].name, name) == 0)
				conf_error(errs, file, line,
				    "key name \"%s\" is used twice", name);
		}
		(void)snprintf(value, sizeof(value), "%s %s", role, hex);
		(void)texts_add(&g->keys, &g->nkeys, name, strdup(value));
	}
}

static void
load_keys(struct generation *g, struct conf_errors *errs)
{
	const char *set = settings_str(g->settings, SET_KEY_FILE);
	char path[4200], *text, *line, *next;
	unsigned n = 0;
	size_t len;

	add_secret(g, "api_key", "api_key", SET_API_KEY);
	add_secret(g, "admin_token", "admin", SET_ADMIN_TOKEN);
	if (*set != '\0')
		(void)snprintf(path, sizeof(path), "%s", set);
	else
		(void)snprintf(path, sizeof(path), "%s/keys",
		    settings_str(g->settings, SET_STATE_DIR));
	text = ax_read_file(AT_FDCWD, path, TEXT_MAX, &len);
	/* A check without root may not look at the keys. */
	if (text == NULL && (*set != '\0' || errno != ENOENT) &&
	    !(errno == EACCES && geteuid() != 0))
		conf_error(errs, path, 0, "cannot read: %s", strerror(errno));
	for (line = text; line != NULL; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		key_line(g, path, ++n, line, errs);
	}
	if (text == NULL && errno == EACCES)
		n = 1;
	free(text);
	if (g->nkeys == 0 && n == 0 &&
	    settings_enum(g->settings, SET_AUTH) == 0)
		conf_error(errs, settings_origin(g->settings, SET_AUTH), 0,
		    "AUTH=required but there is no credential: set API_KEY or "
		    "ADMIN_TOKEN, or run archillxctl key new, or say AUTH=off");
}

struct generation *
generation_load(const char *conf_file, char *const *overrides,
    unsigned noverrides, struct conf_errors *errs)
{
	struct generation *g;
	char dir[4096];

	if ((g = calloc(1, sizeof(*g))) == NULL ||
	    (g->settings = settings_new()) == NULL) {
		conf_error(errs, conf_path(conf_file), 0, "out of memory");
		generation_free(g);
		return (NULL);
	}
	(void)conf_load(g->settings, conf_file, overrides, noverrides, errs);
	(void)conf_validate(g->settings, conf_path(conf_file), errs);
	conf_skills_dir(g->settings, conf_file, dir, sizeof(dir));
	load_folder(dir, &g->skills, &g->nskills, errs);
	check_skills(g, dir, errs);
	conf_governor_dir(g->settings, conf_file, dir, sizeof(dir));
	load_folder(dir, &g->rules, &g->nrules, errs);
	check_rules(g, dir, errs);
	load_keys(g, errs);
	sink_check(g->settings, errs);
	if (errs->n > 0) {
		generation_free(g);
		return (NULL);
	}
	return (g);
}

/* ---- sending ---- */

static void
send_item(struct proc *p, enum conf_kind kind, const char *name,
    const char *value)
{
	struct buf b = BUF_INITIALIZER;

	mw_u16(&b, (uint16_t)kind);
	mw_str(&b, name);
	mw_str(&b, value);
	/* EPIPE: it just died, and that is told when it is reaped. */
	if (ipc_send_buf(p->chan, MSG_CONF_ITEM, 0, &b) == -1 && errno != EPIPE)
		log_warn("configuration for %s", proc_name(p->desc->role));
	buf_wipe(&b);
}

static void
send_number(struct proc *p, enum msg_type type, uint64_t n)
{
	(void)ipc_send(p->chan, type, 0, &n, sizeof(n));
}

static void
send_texts(struct proc *p, enum conf_kind kind, uint32_t who,
    const struct conf_text *t, unsigned n)
{
	unsigned i;

	for (i = 0; (who & PROC_BIT(p->desc->role)) != 0 && i < n; i++)
		send_item(p, kind, t[i].name, t[i].text);
}

static void
send_facts(const struct generation *g, struct proc *p)
{
	char num[24];

	send_item(p, CONF_FACT, "version",
	    *settings_str(g->settings, SET_APP_VERSION) != '\0' ?
		settings_str(g->settings, SET_APP_VERSION) :
		PACKAGE_VERSION);
	send_item(p, CONF_FACT, "cgroup", parent.cgroup_kind);
	(void)snprintf(num, sizeof(num), "%lld",
	    (long long)settings_int(g->settings, SET_HTTP_WORKERS));
	send_item(p, CONF_FACT, "workers", num);
	if (p->desc->role == PROC_AUDIT || p->desc->role == PROC_HTTP) {
		char host[65] = "localhost";
		const char *node = settings_str(g->settings, SET_NODE_NAME);

		if (*node == '\0' && gethostname(host, sizeof(host) - 1) == 0)
			node = host;
		send_item(p, CONF_FACT, "node", *node != '\0' ? node : host);
	}
	/* the governor judges the file that a relative path really names */
	if (p->desc->role == PROC_AUDIT)
		send_item(p, CONF_FACT, "files_root", parent.files_root);
	/* named in answers; it cannot see it */
	if (p->desc->role == PROC_AUDIT)
		send_item(p, CONF_FACT, "evidence_dir",
		    settings_str(g->settings, SET_EVIDENCE_DIR));
}

void
generation_send(const struct generation *g, struct proc *p)
{
	uint32_t bit = PROC_BIT(p->desc->role);
	unsigned i;

	p->gen_sent = g->number;
	p->gen_ready = false;
	send_number(p, MSG_CONF_BEGIN, g->number);
	for (i = 0; i < SET_MAX; i++) {
		if ((setting_defs[i].procs & bit) != 0)
			send_item(p, CONF_SETTING, setting_defs[i].name,
			    settings_str(g->settings, (enum setting_id)i));
	}
	send_texts(p, CONF_SKILL,
	    PROC_BIT(PROC_AUDIT) | PROC_BIT(PROC_HTTP) | PROC_BIT(PROC_BROKER),
	    g->skills, g->nskills);
	send_texts(p, CONF_GOVERNOR, PROC_BIT(PROC_AUDIT) | PROC_BIT(PROC_HTTP),
	    g->rules, g->nrules);
	send_texts(p, CONF_KEY, PROC_BIT(PROC_AUDIT) | PROC_BIT(PROC_HTTP),
	    g->keys, g->nkeys);
	send_facts(g, p);
	send_number(p, MSG_CONF_END, g->number);
}
