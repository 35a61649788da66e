/* SPDX-License-Identifier: ISC */
/*
 * A skill's manifest: parsed and checked once, described by tables of keys.
 *
 * A manifest decides who may run what, so nothing in it is guessed or
 * ignored: an unknown key, role, source, permission or schema keyword is an
 * error that names its place and what would be right. Pure: never opens the
 * paths that it reads.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/manifest.h"
#include "common/schema.h"
#include "common/secret.h"
#include "common/util.h"

#define MANIFEST_MAX   (256 * 1024)
#define LIST_MAX       64
#define ARG_MAX_BYTES  16384
#define PATH_MAX_BYTES 3000

struct parse {
	struct skill *s;
	char *err;
	size_t errlen;
};

/* One key of an object: where it goes and who takes it in. */
struct field {
	const char *key;
	int (*load)(struct parse *, const struct field *, const json_t *);
	size_t offset;		  /* in struct skill */
	const char *const *words; /* lists: what may stand in them */
	int64_t min, max;
	const char *section; /* "acl." for messages; NULL: top */
};

static int fail(struct parse *, const struct field *, const char *, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail(struct parse *p, const struct field *f, const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (f == NULL)
		(void)snprintf(p->err, p->errlen, "%s", msg);
	else
		(void)snprintf(p->err, p->errlen, "%s%s: %s",
		    f->section == NULL ? "" : f->section, f->key, msg);
	return (-1);
}

static const char *const permission_words[] = { "exec", "filesystem", "network",
	NULL };
static const char *const role_words[] = { "anonymous", "api_key", "admin",
	"system", NULL };
static const char *const source_words[] = { "api", "cron", "ctl", "agent",
	NULL };
static const char *const runtime_words[] = { "code", "program", "files", NULL };

static int
word_index(const char *const *words, const char *w)
{
	int i;

	for (i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], w) == 0)
			return (i);
	return (-1);
}

static const char *
words_text(const char *const *words, char *out, size_t size)
{
	size_t i, len = 0;

	out[0] = '\0';
	for (i = 0; words[i] != NULL && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s",
		    i == 0 ? "" : ", ", words[i]);
	return (out);
}

/* ---- loaders: one kind of value each ---- */

static int
load_string(struct parse *p, const struct field *f, const json_t *v)
{
	char **dst = (char **)((char *)p->s + f->offset);
	size_t n = json_string_length(v);

	if (!json_is_string(v))
		return (fail(p, f, "must be a string"));
	if ((int64_t)n < f->min || (int64_t)n > f->max)
		return (fail(p, f, "must be %lld to %lld bytes long",
		    (long long)f->min, (long long)f->max));
	free(*dst);
	if ((*dst = strdup(json_string_value(v))) == NULL)
		return (fail(p, f, "out of memory"));
	return (0);
}

static bool
name_valid(const char *s)
{
	size_t n = strlen(s);

	return (n >= 1 && n <= 64 && isalnum((unsigned char)s[0]) &&
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789_.-") == n);
}

static int
load_name(struct parse *p, const struct field *f, const json_t *v)
{
	if (load_string(p, f, v) == -1)
		return (-1);
	if (!name_valid(p->s->name))
		return (fail(p, f,
		    "\"%.64s\" must be letters, digits, _ . - "
		    "(at most 64, the first a letter or digit)",
		    p->s->name));
	return (0);
}

static int
load_bool(struct parse *p, const struct field *f, const json_t *v)
{
	if (!json_is_boolean(v))
		return (fail(p, f, "must be true or false"));
	*(bool *)((char *)p->s + f->offset) = json_is_true(v);
	return (0);
}

static int
list_item(struct parse *p, const struct field *f, const json_t *v, size_t i,
    char **dst)
{
	char known[160];

	if (!json_is_string(v) || json_string_length(v) == 0)
		return (fail(p, f, "item %zu must be a string, not empty", i));
	if ((int64_t)json_string_length(v) > f->max)
		return (fail(p, f, "item %zu is longer than %lld bytes", i,
		    (long long)f->max));
	if (f->words != NULL &&
	    word_index(f->words, json_string_value(v)) == -1)
		return (fail(p, f, "\"%.64s\" is not one of %s",
		    json_string_value(v),
		    words_text(f->words, known, sizeof(known))));
	if ((*dst = strdup(json_string_value(v))) == NULL)
		return (fail(p, f, "out of memory"));
	return (0);
}

static void
list_free(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

/* A list of strings, or one string. */
static int
load_list(struct parse *p, const struct field *f, const json_t *v)
{
	char **list;
	size_t i, n = json_is_array(v) ? json_array_size(v) : 1;

	if (!json_is_array(v) && !json_is_string(v))
		return (fail(p, f, "must be a list of strings"));
	if (n == 0)
		return (fail(p, f, "is empty; leave it out to have no list"));
	if (n > LIST_MAX)
		return (fail(p, f, "has more than %d items", LIST_MAX));
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return (fail(p, f, "out of memory"));
	for (i = 0; i < n; i++) {
		if (list_item(p, f, json_is_array(v) ? json_array_get(v, i) : v,
			i, &list[i]) == -1) {
			list_free(list);
			return (-1);
		}
	}
	*(char ***)((char *)p->s + f->offset) = list;
	return (0);
}

/* tags: only shown, so only their shape is checked. */
static int
load_tags(struct parse *p, const struct field *f, const json_t *v)
{
	const json_t *e;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > LIST_MAX)
		return (fail(p, f, "must be a list of at most %d strings",
		    LIST_MAX));
	json_array_foreach(v, i, e)
		if (!json_is_string(e))
			return (fail(p, f, "item %zu must be a string", i));
	return (0);
}

/* Bytes: an integer, or a string such as "64M". */
static int
size_value(const json_t *v, int64_t *out)
{
	const char *s = json_string_value(v), *unit;
	static const char units[] = "kKmMgG";
	int64_t n = 0;

	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return (0);
	}
	if (s == NULL || !isdigit((unsigned char)*s))
		return (-1);
	for (; isdigit((unsigned char)*s); s++) {
		if (n > INT64_MAX / 4096)
			return (-1);
		n = n * 10 + (*s - '0');
	}
	if (*s != '\0') {
		if ((unit = strchr(units, *s)) == NULL || s[1] != '\0' ||
		    n > INT64_MAX >> 30)
			return (-1);
		n <<= 10 * ((unit - units) / 2 + 1);
	}
	*out = n;
	return (0);
}

static int
number_in_range(struct parse *p, const struct field *f, int64_t n)
{
	if (n < f->min || n > f->max)
		return (fail(p, f, "%lld is not in %lld..%lld", (long long)n,
		    (long long)f->min, (long long)f->max));
	return (0);
}

static int
load_size(struct parse *p, const struct field *f, const json_t *v)
{
	int64_t n;

	if (size_value(v, &n) == -1)
		return (fail(p, f, "must be a number of bytes, or \"64M\""));
	if (number_in_range(p, f, n) == -1)
		return (-1);
	*(uint64_t *)((char *)p->s + f->offset) = (uint64_t)n;
	return (0);
}

static int
load_u32(struct parse *p, const struct field *f, const json_t *v)
{
	if (!json_is_integer(v))
		return (fail(p, f, "must be an integer"));
	if (number_in_range(p, f, json_integer_value(v)) == -1)
		return (-1);
	*(uint32_t *)((char *)p->s + f->offset) = (uint32_t)json_integer_value(
	    v);
	return (0);
}

static int
load_kind(struct parse *p, const struct field *f, const json_t *v)
{
	char known[64];
	int i;

	(void)words_text(runtime_words, known, sizeof(known));
	if (!json_is_string(v))
		return (fail(p, f, "must be one of %s", known));
	if ((i = word_index(runtime_words, json_string_value(v))) == -1)
		return (fail(p, f, "\"%.40s\" is not one of %s",
		    json_string_value(v), known));
	p->s->runtime = (enum skill_runtime)i;
	return (0);
}

/* Absolute, and already in its simplest form: what is mounted is what it
 * says. */
static bool
path_plain(const char *s)
{
	size_t n;

	if (*s != '/' || s[1] == '\0')
		return (false);
	while (*s == '/') {
		n = strcspn(++s, "/");
		if (n == 0 || (n == 1 && s[0] == '.') ||
		    (n == 2 && s[0] == '.' && s[1] == '.'))
			return (false);
		s += n;
	}
	return (true);
}

static int
load_path(struct parse *p, const struct field *f, const json_t *v)
{
	if (load_string(p, f, v) == -1)
		return (-1);
	if (!path_plain(p->s->host_path))
		return (fail(p, f,
		    "\"%.80s\" must be an absolute path "
		    "without //, . or .., and not /",
		    p->s->host_path));
	return (0);
}

static int
load_schema(struct parse *p, const struct field *f, const json_t *v)
{
	const char *type;
	char why[400];

	if (schema_check(v, why, sizeof(why)) == -1) {
		(void)snprintf(p->err, p->errlen, "%s%s", f->key,
		    why[0] == '#' ? why + 1 : why);
		return (-1);
	}
	type = json_string_value(json_object_get(v, "type"));
	if (type == NULL || strcmp(type, "object") != 0)
		return (fail(p, f,
		    "needs \"type\": \"object\": inputs are "
		    "named"));
	p->s->inputs = json_incref((json_t *)(uintptr_t)v);
	return (0);
}

static int load_acl(struct parse *, const struct field *, const json_t *);
static int load_runtime(struct parse *, const struct field *, const json_t *);
static int load_limits(struct parse *, const struct field *, const json_t *);

#define AT(member) offsetof(struct skill, member)

static const struct field top_fields[] = {
	{ "name", load_name, AT(name), NULL, 1, 64, NULL },
	{ "version", load_string, AT(version), NULL, 1, 32, NULL },
	{ "description", load_string, AT(description), NULL, 0, 2000, NULL },
	{ "enabled", load_bool, AT(enabled), NULL, 0, 0, NULL },
	{ "governor_required", load_bool, AT(governor_required), NULL, 0, 0,
	    NULL },
	{ "permissions", load_list, AT(permissions), permission_words, 0, 64,
	    NULL },
	{ "tags", load_tags, 0, NULL, 0, 0, NULL },
	{ "acl", load_acl, 0, NULL, 0, 0, NULL },
	{ "inputs", load_schema, 0, NULL, 0, 0, NULL },
	{ "runtime", load_runtime, 0, NULL, 0, 0, NULL },
	{ "limits", load_limits, 0, NULL, 0, 0, NULL },
};

static const struct field acl_fields[] = {
	{ "allow_roles", load_list, AT(allow_roles), role_words, 0, 64,
	    "acl." },
	{ "allow_sources", load_list, AT(allow_sources), source_words, 0, 64,
	    "acl." },
	{ "deny_sources", load_list, AT(deny_sources), source_words, 0, 64,
	    "acl." },
};

static const struct field runtime_fields[] = {
	{ "kind", load_kind, 0, NULL, 0, 0, "runtime." },
	{ "argv", load_list, AT(argv), NULL, 0, ARG_MAX_BYTES, "runtime." },
	{ "host_path", load_path, AT(host_path), NULL, 2, PATH_MAX_BYTES,
	    "runtime." },
};

static const struct field limits_fields[] = {
	{ "timeout_ms", load_u32, AT(timeout_ms), NULL, 1, 3600000, "limits." },
	{ "memory", load_size, AT(memory), NULL, 16777216, 17179869184,
	    "limits." },
	{ "pids", load_u32, AT(pids), NULL, 2, 4096, "limits." },
	{ "max_stdout", load_size, AT(max_stdout), NULL, 256, 1048576,
	    "limits." },
	{ "max_stderr", load_size, AT(max_stderr), NULL, 256, 1048576,
	    "limits." },
};

static int
fields_load(struct parse *p, const char *section, const struct field *fields,
    size_t n, const json_t *obj)
{
	const char *key;
	json_t *v;
	size_t i;

	if (!json_is_object(obj)) {
		(void)snprintf(p->err, p->errlen, "%s: must be an object",
		    section);
		return (-1);
	}
	json_object_foreach((json_t *)(uintptr_t)obj, key, v) {
		for (i = 0; i < n && strcmp(fields[i].key, key) != 0; i++)
			;
		if (i == n) {
			(void)snprintf(p->err, p->errlen,
			    "%s: unknown key "
			    "\"%.64s\"; archillx-skills(5) lists the keys",
			    section, key);
			return (-1);
		}
		if (fields[i].load(p, &fields[i], v) == -1)
			return (-1);
	}
	return (0);
}

static int
load_acl(struct parse *p, const struct field *f, const json_t *v)
{
	return (fields_load(p, f->key, acl_fields, AX_NELEM(acl_fields), v));
}

static int
load_runtime(struct parse *p, const struct field *f, const json_t *v)
{
	return (fields_load(p, f->key, runtime_fields, AX_NELEM(runtime_fields),
	    v));
}

static int
load_limits(struct parse *p, const struct field *f, const json_t *v)
{
	return (
	    fields_load(p, f->key, limits_fields, AX_NELEM(limits_fields), v));
}

/* ---- what several keys must say together ---- */

static bool
list_has(char *const *list, const char *word)
{
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(*list, word) == 0)
			return (true);
	return (false);
}

static int
check_program(struct parse *p)
{
	const struct skill *s = p->s;

	if (s->runtime != RUN_PROGRAM) {
		if (s->argv != NULL || s->host_path != NULL)
			return (fail(p, NULL,
			    "runtime.%s: only for kind "
			    "\"program\"",
			    s->argv != NULL ? "argv" : "host_path"));
		return (0);
	}
	if (s->argv == NULL)
		return (fail(p, NULL,
		    "runtime.argv: missing; kind "
		    "\"program\" needs the program and its arguments"));
	if (s->argv[0][0] != '/')
		return (fail(p, NULL,
		    "runtime.argv: item 0 \"%.80s\" must be "
		    "an absolute path",
		    s->argv[0]));
	return (0);
}

static int
check_whole(struct parse *p, const char *expect_name)
{
	struct skill *s = p->s;

	if (s->name == NULL)
		return (fail(p, NULL, "name: missing"));
	if (expect_name != NULL && strcmp(s->name, expect_name) != 0)
		return (fail(p, NULL,
		    "name: \"%s\" does not match the file "
		    "name, \"%.64s\"",
		    s->name, expect_name));
	if (json_object_get(json_object_get(s->doc, "runtime"), "kind") == NULL)
		return (fail(p, NULL,
		    "runtime.kind: missing; one of code, "
		    "program, files"));
	if (s->runtime == RUN_CODE && !list_has(s->permissions, "exec"))
		return (fail(p, NULL,
		    "permissions: runtime kind \"code\" "
		    "needs \"exec\""));
	if (s->runtime == RUN_FILES && !list_has(s->permissions, "filesystem"))
		return (fail(p, NULL,
		    "permissions: runtime kind \"files\" "
		    "needs \"filesystem\""));
	return (check_program(p));
}

/* What the manifest left out. */
static int
set_defaults(struct skill *s)
{
	if (s->version == NULL && (s->version = strdup("1.0")) == NULL)
		return (-1);
	if (s->description == NULL && (s->description = strdup("")) == NULL)
		return (-1);
	if (s->inputs == NULL &&
	    (s->inputs = json_pack("{s:s}", "type", "object")) == NULL)
		return (-1);
	s->has_secrets = secret_in_schema(s->inputs);
	s->high_risk = list_has(s->permissions, "exec") ||
	    list_has(s->permissions, "filesystem");
	return (0);
}

static json_t *
document_load(struct parse *p, const char *text, size_t len)
{
	json_error_t je;
	json_t *doc;

	if (len > MANIFEST_MAX) {
		(void)fail(p, NULL, "larger than %d bytes", MANIFEST_MAX);
		return (NULL);
	}
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (doc == NULL)
		(void)fail(p, NULL, "line %d, column %d: %s", je.line,
		    je.column, je.text);
	return (doc);
}

struct skill *
skill_parse(const char *text, size_t len, const char *expect_name, char *err,
    size_t errlen)
{
	struct parse p = { .err = err, .errlen = errlen };

	if ((p.s = calloc(1, sizeof(*p.s))) == NULL) {
		(void)fail(&p, NULL, "out of memory");
		return (NULL);
	}
	p.s->enabled = p.s->governor_required = true;
	if ((p.s->doc = document_load(&p, text, len)) == NULL ||
	    fields_load(&p, "manifest", top_fields, AX_NELEM(top_fields),
		p.s->doc) == -1 ||
	    check_whole(&p, expect_name) == -1) {
		skill_free(p.s);
		return (NULL);
	}
	if (set_defaults(p.s) == -1) {
		(void)fail(&p, NULL, "out of memory");
		skill_free(p.s);
		return (NULL);
	}
	return (p.s);
}

void
skill_free(struct skill *s)
{
	if (s == NULL)
		return;
	free(s->name);
	free(s->version);
	free(s->description);
	free(s->host_path);
	list_free(s->permissions);
	list_free(s->allow_roles);
	list_free(s->allow_sources);
	list_free(s->deny_sources);
	list_free(s->argv);
	json_decref(s->inputs);
	json_decref(s->doc);
	free(s);
}

const char *
skill_acl(const struct skill *s, const char *role, const char *source)
{
	if (role == NULL)
		role = "anonymous";
	if (source == NULL)
		source = "unknown";
	if (list_has(s->deny_sources, source))
		return ("deny_sources");
	if (s->allow_sources != NULL && !list_has(s->allow_sources, source))
		return ("allow_sources");
	if (s->allow_roles != NULL && !list_has(s->allow_roles, role))
		return ("allow_roles");
	if (s->high_risk && strcmp(role, "admin") != 0 &&
	    strcmp(role, "system") != 0)
		return ("high_risk_permission");
	return (NULL);
}
