/* SPDX-License-Identifier: ISC */
#ifndef AX_CONF_H
#define AX_CONF_H

#include "settings.h"

/*
 * Loads the whole configuration: `path` (NULL: AX_CONFDIR/archillx.conf if it
 * exists), conf.d/ beside it in name order, the environment, and the
 * overrides "KEY=VALUE" (-D), the last of which wins. Returns the number of
 * errors; all of them stand in errs with file and line. Reads files, blocks.
 */
unsigned conf_load(struct settings *, const char *path, char *const *overrides,
    unsigned noverrides, struct conf_errors *);

/*
 * What no single setting can tell: thresholds in order, credentials strong
 * enough and present, folders apart. `path` only names the place in errors.
 */
unsigned
conf_validate(const struct settings *, const char *path, struct conf_errors *);

/*
 * Folder of the skill manifests / governor rules: the setting, else skills.d
 * (governor.d) beside the configuration file, else AX_CONFDIR's, else that of
 * the source tree the program was built in. Written to out.
 */
void conf_skills_dir(const struct settings *, const char *path, char *out,
    size_t outlen);
void conf_governor_dir(const struct settings *, const char *path, char *out,
    size_t outlen);

/* The file that `path` stands for: itself, the default, or "" if none. */
const char *conf_path(const char *path);

#endif
