/* SPDX-License-Identifier: ISC */
/*
 * Settings: their table, their values and the grammar of a file. Pure; files
 * are read in conf.c. Every mistake is reported with file and line, none is
 * passed over.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "ipc.h"
#include "jw.h"
#include "settings.h"
#include "util.h"

struct value {
	char *str;    /* as given, never NULL */
	char *origin; /* NULL: default */
	int64_t num;
	char **items; /* ST_LIST: NULL-terminated, into one block */
	char *block;
};

struct settings {
	struct value v[SET_MAX];
	char *base; /* folder that relative paths start from */
};

const struct setting_def setting_defs[SET_MAX] = {
#define SETTING(id, name, type, dflt, min, max, words, flags, procs, help) \
	[SET_##id] = { SET_##id, name, type, dflt, min, max, words, flags, \
		procs, help },
#include "settings.def.h"
#undef SETTING
};

/* ---- values ---- */

static void
value_clear(struct value *v)
{
	if (v->str != NULL)
		explicit_bzero(v->str, strlen(v->str));
	free(v->str);
	free(v->origin);
	free(v->items);
	free(v->block);
	memset(v, 0, sizeof(*v));
}

static int
parse_bool(const char *s, int64_t *out)
{
	static const char *const yes[] = { "1", "true", "yes", "on" };
	static const char *const no[] = { "0", "false", "no", "off" };
	size_t i;

	for (i = 0; i < AX_NELEM(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*out = 1;
			return (0);
		}
		if (strcasecmp(s, no[i]) == 0) {
			*out = 0;
			return (0);
		}
	}
	return (-1);
}

/* "4096", "16K", "128m", "1G": bytes. */
static int
parse_size(const char *s, int64_t *out)
{
	char num[24];
	size_t n = strlen(s);
	int64_t v, mul = 1;

	if (n == 0 || n >= sizeof(num))
		return (-1);
	memcpy(num, s, n + 1);
	switch (num[n - 1]) {
	case 'k':
	case 'K':
		mul = 1024;
		break;
	case 'm':
	case 'M':
		mul = 1024 * 1024;
		break;
	case 'g':
	case 'G':
		mul = 1024 * 1024 * 1024;
		break;
	default:
		n++;
	}
	num[n - 1] = '\0';
	if (ax_strtonum(num, 0, INT64_MAX / mul, &v) == -1)
		return (-1);
	*out = v * mul;
	return (0);
}

/* Position of s in "a|b|c", any case; -1 if it is not there. */
static int
word_index(const char *words, const char *s)
{
	size_t n = strlen(s), len;
	int i = 0;

	for (; *words != '\0'; words += len, i++) {
		if (*words == '|')
			words++;
		len = strcspn(words, "|");
		if (len == n && strncasecmp(words, s, n) == 0)
			return (i);
	}
	return (-1);
}

static int
split_list(struct value *v)
{
	size_t n = 2, k = 0;
	char *p, *end;

	for (p = v->str; *p != '\0'; p++)
		n += *p == ',';
	if ((v->block = strdup(v->str)) == NULL ||
	    (v->items = calloc(n, sizeof(*v->items))) == NULL)
		return (-1);
	for (p = v->block; p != NULL;) {
		char *next = strchr(p, ',');

		if (next != NULL)
			*next++ = '\0';
		while (*p == ' ')
			p++;
		end = p + strlen(p);
		while (end > p && end[-1] == ' ')
			*--end = '\0';
		if (*p != '\0')
			v->items[k++] = p;
		p = next;
	}
	return (0);
}

/* A path without trailing slash, absolute. */
static char *
make_path(const char *base, const char *s)
{
	struct buf b = BUF_INITIALIZER;

	if (*s == '\0')
		return (strdup(s));
	if (*s != '/' && base != NULL) {
		while (strncmp(s, "./", 2) == 0)
			s += 2;
		buf_adds(&b, base);
		buf_addc(&b, '/');
	}
	buf_adds(&b, s);
	while (b.len > 1 && b.d[b.len - 1] == '/')
		b.len--;
	if (buf_str(&b) == NULL) {
		buf_free(&b);
		return (NULL);
	}
	return (b.d);
}

static int
range_error(const struct setting_def *d, const char *what, int64_t v, char *err,
    size_t errlen)
{
	(void)snprintf(err, errlen, "%s: %" PRId64 "%s is %s %" PRId64, d->name,
	    v, what, v < d->min ? "below the minimum" : "above the maximum",
	    v < d->min ? d->min : d->max);
	return (-1);
}

static int
check_number(const struct setting_def *d, struct value *v, char *err,
    size_t errlen)
{
	int bad;

	if (d->type == ST_BOOL) {
		if (parse_bool(v->str, &v->num) == 0)
			return (0);
		(void)snprintf(err, errlen, "%s: \"%s\" is not yes or no",
		    d->name, v->str);
		return (-1);
	}
	bad = d->type == ST_SIZE ?
	    parse_size(v->str, &v->num) :
	    ax_strtonum(v->str, INT64_MIN, INT64_MAX, &v->num);
	if (bad == -1) {
		(void)snprintf(err, errlen, "%s: \"%s\" is not a %s", d->name,
		    v->str,
		    d->type == ST_SIZE ?
			"size (a number, or one with K, M or G)" :
			"number");
		return (-1);
	}
	if (v->num < d->min || v->num > d->max)
		return (range_error(d, d->type == ST_SIZE ? " bytes" : "",
		    v->num, err, errlen));
	return (0);
}

static int
check_text(const struct setting_def *d, struct value *v, char *err,
    size_t errlen)
{
	size_t n = strlen(v->str);

	if (d->type == ST_ENUM) {
		v->num = word_index(d->words, v->str);
		if (v->num >= 0)
			return (0);
		(void)snprintf(err, errlen, "%s: \"%s\" is not one of %s",
		    d->name, v->str, d->words);
		return (-1);
	}
	if (n < (size_t)d->min || n > (size_t)d->max) {
		(void)snprintf(err, errlen,
		    "%s: %s (%zu bytes, %s %" PRId64 ")", d->name,
		    n < (size_t)d->min ? "too short" : "too long", n,
		    n < (size_t)d->min ? "least" : "most",
		    n < (size_t)d->min ? d->min : d->max);
		return (-1);
	}
	if (d->type == ST_LIST && split_list(v) == -1) {
		(void)snprintf(err, errlen, "%s: out of memory", d->name);
		return (-1);
	}
	return (0);
}

int
settings_set(struct settings *s, enum setting_id id, const char *text,
    const char *origin, char *err, size_t errlen)
{
	const struct setting_def *d = &setting_defs[id];
	struct value v = { 0 };
	const char *p;
	int bad;

	for (p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			(void)snprintf(err, errlen,
			    "%s: control characters are not allowed", d->name);
			return (-1);
		}
	}
	if (!utf8_valid(text, strlen(text))) {
		(void)snprintf(err, errlen, "%s: not valid UTF-8", d->name);
		return (-1);
	}
	v.str = d->type == ST_PATH ? make_path(s->base, text) : strdup(text);
	if (origin != NULL)
		v.origin = strdup(origin);
	if (v.str == NULL || (origin != NULL && v.origin == NULL)) {
		value_clear(&v);
		(void)snprintf(err, errlen, "%s: out of memory", d->name);
		return (-1);
	}
	bad = d->type == ST_BOOL || d->type == ST_INT || d->type == ST_SIZE ?
	    check_number(d, &v, err, errlen) :
	    check_text(d, &v, err, errlen);
	if (bad == -1) {
		value_clear(&v);
		return (-1);
	}
	value_clear(&s->v[id]);
	s->v[id] = v;
	return (0);
}

struct settings *
settings_new(void)
{
	struct settings *s;
	char err[256];
	unsigned i;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return (NULL);
	for (i = 0; i < SET_MAX; i++) {
		if (settings_set(s, (enum setting_id)i, setting_defs[i].dflt,
			NULL, err, sizeof(err)) == -1) {
			settings_free(s);
			return (NULL);
		}
	}
	return (s);
}

struct settings *
settings_dup(const struct settings *from)
{
	struct settings *s;
	char err[256];
	unsigned i;

	if ((s = settings_new()) == NULL)
		return (NULL);
	for (i = 0; i < SET_MAX; i++) {
		if (settings_set(s, (enum setting_id)i, from->v[i].str,
			from->v[i].origin, err, sizeof(err)) == -1) {
			settings_free(s);
			return (NULL);
		}
	}
	if (from->base != NULL)
		(void)settings_set_base(s, from->base);
	return (s);
}

void
settings_free(struct settings *s)
{
	unsigned i;

	if (s == NULL)
		return;
	for (i = 0; i < SET_MAX; i++)
		value_clear(&s->v[i]);
	free(s->base);
	free(s);
}

int
settings_set_base(struct settings *s, const char *base)
{
	char *copy;

	if ((copy = strdup(base)) == NULL)
		return (-1);
	free(s->base);
	s->base = copy;
	return (0);
}

enum setting_id
settings_lookup(const char *name)
{
	unsigned i;

	for (i = 0; i < SET_MAX; i++) {
		if (strcmp(setting_defs[i].name, name) == 0)
			break;
	}
	return ((enum setting_id)i);
}

bool
settings_bool(const struct settings *s, enum setting_id id)
{
	return (s->v[id].num != 0);
}

int64_t
settings_int(const struct settings *s, enum setting_id id)
{
	return (s->v[id].num);
}

const char *
settings_str(const struct settings *s, enum setting_id id)
{
	return (s->v[id].str);
}

int
settings_enum(const struct settings *s, enum setting_id id)
{
	return ((int)s->v[id].num);
}

const char *
settings_item(const struct settings *s, enum setting_id id, unsigned i)
{
	char **p = s->v[id].items;

	for (; p != NULL && *p != NULL; p++) {
		if (i-- == 0)
			return (*p);
	}
	return (NULL);
}

const char *
settings_origin(const struct settings *s, enum setting_id id)
{
	return (s->v[id].origin != NULL ? s->v[id].origin : "default");
}

bool
settings_equal(const struct settings *a, const struct settings *b,
    enum setting_id id)
{
	return (strcmp(a->v[id].str, b->v[id].str) == 0);
}

/* ---- errors ---- */

void
conf_error(struct conf_errors *e, const char *file, unsigned line,
    const char *fmt, ...)
{
	struct buf b = BUF_INITIALIZER;
	char msg[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	e->n++;
	if (e->text != NULL)
		buf_add(&b, e->text, e->len);
	if (line > 0)
		buf_printf(&b, "%s:%u: %s\n", file, line, msg);
	else
		buf_printf(&b, "%s: %s\n", file, msg);
	if (buf_str(&b) == NULL) {
		buf_free(&b);
		return;
	}
	free(e->text);
	e->text = b.d;
	e->len = b.len;
}

void
conf_errors_free(struct conf_errors *e)
{
	free(e->text);
	memset(e, 0, sizeof(*e));
}

/* ---- grammar ---- */

struct cursor {
	const char *p, *end;
	unsigned line;
};

/* Copies the rest of the line as it is read by eye, for error messages. */
static void
skip_line(struct cursor *c)
{
	while (c->p < c->end && *c->p != '\n')
		c->p++;
}

/* Behind a backslash: what systemd.exec(5) takes off between double quotes. */
static void
double_quoted(struct cursor *c, struct buf *out)
{
	char ch = *c->p;

	if (ch == '\n') {
		c->line++;
		return;
	}
	if (strchr("\"\\`$", ch) == NULL)
		buf_addc(out, '\\');
	buf_addc(out, ch);
}

static const char *
quoted_value(struct cursor *c, char quote, struct buf *out)
{
	for (c->p++; c->p < c->end && *c->p != quote; c->p++) {
		if (*c->p == '\\' && quote == '"' && c->p + 1 < c->end) {
			c->p++;
			double_quoted(c, out);
			continue;
		}
		if (*c->p == '\n')
			return ("a line ends inside quotes");
		buf_addc(out, *c->p);
	}
	if (c->p >= c->end)
		return ("the closing quote is missing");
	c->p++;
	while (
	    c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r'))
		c->p++;
	if (c->p < c->end && *c->p != '\n')
		return ("text behind the closing quote");
	return (NULL);
}

static const char *
plain_value(struct cursor *c, struct buf *out)
{
	const char *bad = NULL;

	for (; c->p < c->end && *c->p != '\n'; c->p++) {
		if (*c->p == '\\' && c->p + 1 < c->end) {
			c->p++;
			if (*c->p == '\n')
				c->line++;
			else
				buf_addc(out, *c->p);
			continue;
		}
		if (*c->p == '#' && out->len > 0 &&
		    isspace((unsigned char)out->d[out->len - 1]))
			bad = "a comment behind a value is part of the value: "
			      "put it on a line of its own, or quote the value";
		if (*c->p == '"' || *c->p == '\'')
			bad = "a quote inside an unquoted value: quote the "
			      "whole value";
		buf_addc(out, *c->p);
	}
	while (out->len > 0 && isspace((unsigned char)out->d[out->len - 1]))
		out->len--;
	return (bad);
}

/* KEY=; the key in name[]. NULL, or what is wrong. */
static const char *
parse_key(struct cursor *c, char name[65])
{
	size_t n = 0;

	if (c->p < c->end && isdigit((unsigned char)*c->p))
		return ("a name cannot start with a digit");
	while (
	    c->p < c->end && (isalnum((unsigned char)*c->p) || *c->p == '_')) {
		if (n == 64)
			return ("the name is too long");
		name[n++] = *c->p++;
	}
	name[n] = '\0';
	if (n == 0)
		return ("expected NAME=VALUE");
	if (c->p >= c->end || *c->p != '=')
		return ("expected = behind the name");
	c->p++;
	return (NULL);
}

static bool
belongs_to_scripts(const char *name)
{
	static const char *const prefix[] = { "COMPOSE_", "MYSQL_", "BACKUP_",
		"DRILL_" };
	size_t i;

	for (i = 0; i < AX_NELEM(prefix); i++) {
		if (strncmp(name, prefix[i], strlen(prefix[i])) == 0)
			return (true);
	}
	return (false);
}

/* The nearest known name, for "did you mean"; NULL if none is near. */
static const char *
nearest_name(const char *name)
{
	unsigned i;

	for (i = 0; i < SET_MAX; i++) {
		const char *s = setting_defs[i].name;

		if (strcasecmp(s, name) == 0 ||
		    (strncmp(s, "ARCHILLX_", 9) == 0 &&
			strcasecmp(s + 9, name) == 0) ||
		    (strlen(name) > 4 && strstr(s, name) != NULL))
			return (s);
	}
	return (NULL);
}

static void
parse_line(struct settings *s, struct cursor *c, const char *file,
    bool seen[SET_MAX], struct conf_errors *errs)
{
	struct buf val = BUF_INITIALIZER;
	char name[65], err[512], origin[4200];
	unsigned line = c->line;
	const char *bad, *near;
	enum setting_id id;

	if ((bad = parse_key(c, name)) == NULL)
		bad = c->p < c->end && (*c->p == '"' || *c->p == '\'') ?
		    quoted_value(c, *c->p, &val) :
		    plain_value(c, &val);
	if (bad == NULL && (buf_str(&val) == NULL || strlen(val.d) != val.len))
		bad = "a NUL byte in the value";
	if (bad != NULL) {
		conf_error(errs, file, line, "%s", bad);
		goto out;
	}
	if ((id = settings_lookup(name)) == SET_MAX) {
		if (belongs_to_scripts(name))
			goto out;
		near = nearest_name(name);
		conf_error(errs, file, line, "unknown setting %s%s%s%s", name,
		    near != NULL ? "; did you mean " : "",
		    near != NULL ? near : "", near != NULL ? "?" : "");
		goto out;
	}
	if (seen[id]) {
		conf_error(errs, file, line, "%s is set twice in this file",
		    name);
		goto out;
	}
	seen[id] = true;
	(void)snprintf(origin, sizeof(origin), "%s:%u", file, line);
	if (settings_set(s, id, val.d, origin, err, sizeof(err)) == -1)
		conf_error(errs, file, line, "%s", err);
out:
	buf_wipe(&val);
	skip_line(c);
}

unsigned
settings_parse(struct settings *s, const char *file, const char *text,
    size_t len, struct conf_errors *errs)
{
	struct cursor c = { text, text + len, 1 };
	bool seen[SET_MAX] = { false };
	unsigned before = errs->n;

	while (c.p < c.end) {
		while (c.p < c.end &&
		    (*c.p == ' ' || *c.p == '\t' || *c.p == '\r'))
			c.p++;
		if (c.p < c.end && (*c.p == '#' || *c.p == ';'))
			skip_line(&c);
		else if (c.p < c.end && *c.p != '\n')
			parse_line(s, &c, file, seen, errs);
		if (c.p < c.end && *c.p == '\n') {
			c.p++;
			c.line++;
		}
	}
	return (errs->n - before);
}
