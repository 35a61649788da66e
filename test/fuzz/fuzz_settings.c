/* SPDX-License-Identifier: ISC */
/*
 * The configuration's grammar under hostile text: never a crash, every error
 * counted and with its line, and every value that was taken stays within the
 * bounds of its row.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_values(const struct settings *s)
{
	const struct setting_def *d;
	int64_t v;
	unsigned i, k;

	for (i = 0; i < SET_MAX; i++) {
		d = &setting_defs[i];
		if (settings_str(s, i) == NULL || settings_origin(s, i) == NULL)
			abort();
		switch (d->type) {
		case ST_INT:
		case ST_SIZE:
			v = settings_int(s, i);
			if (v < d->min || v > d->max)
				abort();
			break;
		case ST_BOOL:
			(void)settings_bool(s, i);
			break;
		case ST_ENUM:
			if (settings_enum(s, i) < 0)
				abort();
			break;
		case ST_LIST:
			for (k = 0; settings_item(s, i, k) != NULL; k++)
				;
			break;
		default:
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct conf_errors errs = { 0 };
	struct settings *s = settings_new();
	unsigned bad;

	if (s == NULL)
		return (0);
	bad = settings_parse(s, "fuzz.conf", (const char *)d, n, &errs);
	if (bad != errs.n || (bad > 0) != (errs.len > 0))
		abort();
	if (bad > 0 && strncmp(errs.text, "fuzz.conf:", 10) != 0)
		abort();
	check_values(s);
	conf_errors_free(&errs);
	settings_free(s);
	return (0);
}
