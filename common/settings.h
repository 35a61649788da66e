/* SPDX-License-Identifier: ISC */
#ifndef AX_SETTINGS_H
#define AX_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "procs.h"

/*
 * One row per setting, in settings.def.h: the parser, archillxd -n,
 * archillxctl config show, reload and the manual page all read it.
 */
enum setting_id {
#define SETTING(id, name, type, dflt, min, max, words, flags, procs, help) \
	SET_##id,
#include "settings.def.h"
#undef SETTING
	SET_MAX
};

enum setting_type {
	ST_BOOL, /* 1 true yes on / 0 false no off */
	ST_INT,	 /* min..max */
	ST_SIZE, /* bytes, with K M G (also k m g, 128m); min..max */
	ST_STR,	 /* min..max bytes long */
	ST_ENUM, /* one of words, "a|b|c" */
	ST_PATH, /* absolute after resolving against the config's folder */
	ST_LIST	 /* comma separated strings */
};

#define SF_LIVE	  1u /* changes on reload; others need a restart */
#define SF_SECRET 2u /* never printed, wiped */

struct setting_def {
	enum setting_id id;
	const char *name;
	enum setting_type type;
	const char *dflt;
	int64_t min, max;
	const char *words;
	uint32_t flags;
	uint32_t procs; /* who receives it */
	const char *help;
};

extern const struct setting_def setting_defs[SET_MAX];

struct settings;

struct settings *settings_new(void); /* all defaults; NULL with ENOMEM */
struct settings *settings_dup(const struct settings *);
void settings_free(struct settings *); /* wipes secrets; NULL is fine */

/* Relative ST_PATH values set from now on start at `base`. -1: ENOMEM. */
int settings_set_base(struct settings *, const char *base);

/* SET_MAX when unknown. */
enum setting_id settings_lookup(const char *name);
/*
 * Checks and sets one value. On error -1 and a message for the operator in
 * err ("PORT: 70000 is above the maximum 65535"). origin is copied.
 */
int settings_set(struct settings *, enum setting_id, const char *value,
    const char *origin, char *err, size_t errlen);

bool settings_bool(const struct settings *, enum setting_id);
int64_t settings_int(const struct settings *, enum setting_id); /* and SIZE */
const char *settings_str(const struct settings *, enum setting_id); /* any */
/* Index in words of an ST_ENUM. */
int settings_enum(const struct settings *, enum setting_id);
/* i-th element of an ST_LIST, or NULL behind the last. */
const char *settings_item(const struct settings *, enum setting_id, unsigned i);
/* "file:line", "environment", "-D", "default". */
const char *settings_origin(const struct settings *, enum setting_id);
bool settings_equal(const struct settings *, const struct settings *,
    enum setting_id);

/* One error of a configuration: where, what. */
struct conf_errors {
	char *text; /* lines "file:line: message\n" */
	size_t len;
	unsigned n;
};
void conf_error(struct conf_errors *, const char *file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_errors_free(struct conf_errors *);

/*
 * Parses one file's text (the grammar is in archillx.conf(5)): pure. Every bad
 * line is reported; returns the number of errors added. Names starting with
 * "COMPOSE_", "MYSQL_", "BACKUP_", "DRILL_" belong to the scripts and are
 * accepted unread.
 */
unsigned settings_parse(struct settings *, const char *file, const char *text,
    size_t len, struct conf_errors *);

#endif
