/* SPDX-License-Identifier: ISC */
/*
 * The governor: rules that are data, compiled once into matches, and the
 * decision by mode and thresholds (contract 5.3).
 *
 * A rule compares whole values: names, words, path components. It must never
 * look for substrings: the reference found "kill" in "skill". Every rule adds
 * its points at most once, whatever the order of rules and files. Pure: no
 * I/O, no clock; the same rules and request always give the same verdict.
 */
#include <openssl/evp.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/governor.h"
#include "common/util.h"

#define RULES_MAX      1024
#define RULES_TEXT_MAX (1024 * 1024)
#define MATCH_DEPTH    8
#define WORDS_MAX      128
#define POINTS_MAX     100
#define PATH_TEXT_MAX  4096
#define OPERATION_MAX  64

struct words {
	char **w;
	size_t n;
};

/* All that is present must hold. */
struct match {
	struct words action; /* a trailing * makes a prefix */
	struct words skill;
	struct words operation;
	struct words source;
	struct words role;
	struct words path_under;     /* normalised */
	struct words path_component; /* a name anywhere in the path */
	json_t *input;		     /* name: value or alternatives */
	struct match *any, *all, *not ;
	size_t nany, nall, nnot;
};

struct rule {
	char *id;
	char *description;
	int points;
	struct match match;
};

struct governor {
	struct rule *rules;
	size_t nrules;
	EVP_MD_CTX *md; /* over the rules added so far */
};

const char *
gov_decision_name(enum gov_decision d)
{
	static const char *const names[] = { "APPROVED", "WARNED", "BLOCKED" };

	return ((unsigned)d < AX_NELEM(names) ? names[d] : "?");
}

/* ---- paths ---- */

/*
 * Lexically normal form: no empty, "." or ".." component. A relative path
 * stays relative, but one that climbs out of where it starts is taken for an
 * absolute one, whatever it started from. False if it does not fit.
 */
static bool
path_normalise(const char *in, char *out, size_t size)
{
	size_t len = 0, n;
	bool absolute = *in == '/';

	out[0] = '\0';
	while (*in != '\0') {
		in += strspn(in, "/");
		n = strcspn(in, "/");
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			absolute = absolute || len == 0;
			while (len > 0 && out[--len] != '/')
				;
			out[len] = '\0';
		} else if (n > 0 && !(n == 1 && in[0] == '.')) {
			if (len + n + 2 > size)
				return (false);
			out[len++] = '/';
			memcpy(out + len, in, n);
			out[len += n] = '\0';
		}
		in += n;
	}
	if (!absolute && len > 0)
		memmove(out, out + 1, len); /* takes the NUL along */
	else if (absolute && len == 0)
		(void)snprintf(out, size, "/");
	return (true);
}

/* Both normalised; under itself, too. */
static bool
path_is_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return (path[0] == '/');
	return (
	    strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

static bool
path_has_component(const char *path, const char *name)
{
	size_t n, want = strlen(name);

	while (*path != '\0') {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == want && memcmp(path, name, n) == 0)
			return (true);
		path += n;
	}
	return (false);
}

/* ---- loading ---- */

struct load {
	char place[256]; /* "10-base.json: rule \"id\": match" */
	char *err;
	size_t errlen;
	unsigned depth;
};

static int match_load(struct load *, struct match *, const json_t *);

static int fail(struct load *, const char *, const char *, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail(struct load *l, const char *key, const char *fmt, ...)
{
	char msg[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	(void)snprintf(l->err, l->errlen, "%s%s%.64s: %s", l->place,
	    key == NULL ? "" : ".", key == NULL ? "" : key, msg);
	return (-1);
}

static void
words_free(struct words *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->w[i]);
	free(w->w);
}

static void
matches_free(struct match *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		words_free(&m[i].action);
		words_free(&m[i].skill);
		words_free(&m[i].operation);
		words_free(&m[i].source);
		words_free(&m[i].role);
		words_free(&m[i].path_under);
		words_free(&m[i].path_component);
		json_decref(m[i].input);
		matches_free(m[i].any, m[i].nany);
		matches_free(m[i].all, m[i].nall);
		matches_free(m[i].not, m[i].nnot);
		free(m[i].any);
		free(m[i].all);
		free(m[i].not );
	}
}

/* What one word of a list must look like; may change it. */
typedef int (*word_check)(struct load *, const char *key, char *word);

static int
check_plain(struct load *l, const char *key, char *word)
{
	if (strchr(word, '*') != NULL)
		return (fail(l, key, "\"%.64s\": only an action may end in *",
		    word));
	return (0);
}

static int
check_lower(struct load *l, const char *key, char *word)
{
	char *s;

	if (strlen(word) >= OPERATION_MAX)
		return (fail(l, key, "\"%.64s\" is too long", word));
	for (s = word; *s != '\0'; s++)
		*s = (char)tolower((unsigned char)*s);
	return (check_plain(l, key, word));
}

static int
check_action(struct load *l, const char *key, char *word)
{
	const char *star = strchr(word, '*');

	if (star != NULL && (star[1] != '\0' || star == word))
		return (fail(l, key,
		    "\"%.64s\": a * may only stand at the "
		    "end, behind something",
		    word));
	return (0);
}

static int
check_path(struct load *l, const char *key, char *word)
{
	char norm[PATH_TEXT_MAX];

	if (word[0] != '/' && strncmp(word, "~/", 2) != 0)
		return (
		    fail(l, key, "\"%.64s\" must start with / or ~/", word));
	if (!path_normalise(word, norm, sizeof(norm)))
		return (fail(l, key, "is too long"));
	/* the normal form is never longer */
	(void)snprintf(word, strlen(word) + 1, "%s", norm);
	return (0);
}

static int
check_component(struct load *l, const char *key, char *word)
{
	if (strchr(word, '/') != NULL)
		return (fail(l, key, "\"%.64s\" must be one name, without /",
		    word));
	return (0);
}

static int
words_load(struct load *l, const char *key, const json_t *v, word_check check,
    struct words *out)
{
	size_t i, n = json_is_array(v) ? json_array_size(v) : 1;
	const json_t *e;

	if (n == 0 || n > WORDS_MAX)
		return (fail(l, key, "must hold 1 to %d strings", WORDS_MAX));
	if ((out->w = calloc(n, sizeof(*out->w))) == NULL)
		return (fail(l, key, "out of memory"));
	for (i = 0; i < n; i++) {
		e = json_is_array(v) ? json_array_get(v, i) : v;
		if (!json_is_string(e) || json_string_length(e) == 0 ||
		    json_string_length(e) >= PATH_TEXT_MAX)
			return (fail(l, key,
			    "must be a string or a list of strings"));
		if ((out->w[i] = strdup(json_string_value(e))) == NULL)
			return (fail(l, key, "out of memory"));
		out->n = i + 1;
		if (check(l, key, out->w[i]) == -1)
			return (-1);
	}
	return (0);
}

static int
input_load(struct load *l, const json_t *v, json_t **out)
{
	const char *name;
	json_t *want;

	if (!json_is_object(v) || json_object_size(v) == 0)
		return (fail(l, "input",
		    "must be an object: name of the "
		    "input, and its value or a list of values"));
	json_object_foreach((json_t *)(uintptr_t)v, name, want)
		if (json_is_object(want) ||
		    (json_is_array(want) && json_array_size(want) == 0))
			return (fail(l, "input",
			    "\"%.64s\" must be a plain "
			    "value or a list of them",
			    name));
	*out = json_incref((json_t *)(uintptr_t)v);
	return (0);
}

/* Goes one level down into any_of, all_of (lists) or not (one match). */
static int
group_load(struct load *l, const char *key, const json_t *v, struct match **out,
    size_t *nout)
{
	size_t i, n = json_is_array(v) ? json_array_size(v) : 1;
	size_t was = strlen(l->place);
	bool list = strcmp(key, "not") != 0;

	if (list != json_is_array(v) || n == 0 || n > WORDS_MAX)
		return (fail(l, key,
		    list ? "must be a list of matches" : "must be one match"));
	if (l->depth == MATCH_DEPTH)
		return (fail(l, key, "nested deeper than %d", MATCH_DEPTH));
	if ((*out = calloc(n, sizeof(**out))) == NULL)
		return (fail(l, key, "out of memory"));
	*nout = n;
	l->depth++;
	for (i = 0; i < n; i++) {
		(void)snprintf(l->place + was, sizeof(l->place) - was,
		    list ? ".%s[%zu]" : ".%s", key, i);
		if (match_load(l, &(*out)[i],
			list ? json_array_get(v, i) : v) == -1)
			return (-1);
	}
	l->place[was] = '\0';
	l->depth--;
	return (0);
}

#define WORDS(member, check)                                   \
	{                                                      \
#member, offsetof(struct match, member), check \
	}

static const struct word_key {
	const char *key;
	size_t offset;
	word_check check;
} word_keys[] = {
	WORDS(action, check_action),
	WORDS(skill, check_plain),
	WORDS(operation, check_lower),
	WORDS(source, check_plain),
	WORDS(role, check_plain),
	WORDS(path_under, check_path),
	WORDS(path_component, check_component),
};

static int
match_key(struct load *l, struct match *m, const char *key, const json_t *v)
{
	const struct word_key *k;

	for (k = word_keys; k < word_keys + AX_NELEM(word_keys); k++)
		if (strcmp(k->key, key) == 0)
			return (words_load(l, key, v, k->check,
			    (struct words *)(void *)((char *)m + k->offset)));
	if (strcmp(key, "input") == 0)
		return (input_load(l, v, &m->input));
	if (strcmp(key, "any_of") == 0)
		return (group_load(l, key, v, &m->any, &m->nany));
	if (strcmp(key, "all_of") == 0)
		return (group_load(l, key, v, &m->all, &m->nall));
	if (strcmp(key, "not") == 0)
		return (group_load(l, key, v, &m->not, &m->nnot));
	return (fail(l, key,
	    "unknown key; one of action, skill, operation, "
	    "source, role, path_under, path_component, input, any_of, "
	    "all_of, not"));
}

static int
match_load(struct load *l, struct match *m, const json_t *v)
{
	const char *key;
	json_t *e;

	if (!json_is_object(v))
		return (fail(l, NULL, "must be an object"));
	if (json_object_size(v) == 0)
		return (
		    fail(l, NULL, "is empty, so it would match every request"));
	json_object_foreach((json_t *)(uintptr_t)v, key, e)
		if (match_key(l, m, key, e) == -1)
			return (-1);
	return (0);
}

static bool
id_valid(const json_t *v)
{
	const char *s = json_string_value(v);

	return (s != NULL && *s != '\0' && json_string_length(v) <= 64 &&
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789_.-") == json_string_length(v));
}

static int
rule_keys_check(struct load *l, const json_t *v)
{
	static const char *const keys[] = { "id", "description", "points",
		"match" };
	const char *key;
	json_t *e;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)v, key, e) {
		for (i = 0; i < AX_NELEM(keys); i++)
			if (strcmp(keys[i], key) == 0)
				break;
		if (i == AX_NELEM(keys))
			return (fail(l, key,
			    "unknown key; one of id, "
			    "description, points, match"));
	}
	return (0);
}

static int
rule_load(struct load *l, struct rule *r, const json_t *v)
{
	const json_t *points = json_object_get(v, "points");
	const json_t *why = json_object_get(v, "description");
	size_t was = strlen(l->place);

	if (!json_is_object(v) || !id_valid(json_object_get(v, "id")))
		return (fail(l, "id",
		    "must be 1 to 64 letters, digits, "
		    "_ . -"));
	r->id = strdup(json_string_value(json_object_get(v, "id")));
	(void)snprintf(l->place + was, sizeof(l->place) - was, ": rule \"%s\"",
	    r->id == NULL ? "" : r->id);
	if (rule_keys_check(l, v) == -1)
		return (-1);
	if (!json_is_integer(points) ||
	    json_integer_value(points) < -POINTS_MAX ||
	    json_integer_value(points) > POINTS_MAX)
		return (fail(l, "points", "must be an integer in %d..%d",
		    -POINTS_MAX, POINTS_MAX));
	if (why != NULL && !json_is_string(why))
		return (fail(l, "description", "must be a string"));
	r->points = (int)json_integer_value(points);
	r->description = strdup(why == NULL ? "" : json_string_value(why));
	if (r->id == NULL || r->description == NULL)
		return (fail(l, NULL, "out of memory"));
	(void)strncat(l->place, ": match",
	    sizeof(l->place) - strlen(l->place) - 1);
	if (json_object_get(v, "match") == NULL)
		return (fail(l, NULL, "missing"));
	if (match_load(l, &r->match, json_object_get(v, "match")) == -1)
		return (-1);
	l->place[was] = '\0';
	return (0);
}

static void
rules_free(struct rule *r, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free(r[i].id);
		free(r[i].description);
		matches_free(&r[i].match, 1);
	}
}

static const json_t *
document_rules(struct load *l, const json_t *doc)
{
	const json_t *rules = json_object_get(doc, "rules");
	const char *key;
	json_t *v;

	if (!json_is_object(doc)) {
		(void)fail(l, NULL,
		    "must be an object with version and "
		    "rules");
		return (NULL);
	}
	json_object_foreach((json_t *)(uintptr_t)doc, key, v) {
		if (strcmp(key, "version") != 0 && strcmp(key, "rules") != 0 &&
		    strcmp(key, "description") != 0) {
			(void)fail(l, key,
			    "unknown key; one of version, "
			    "description, rules");
			return (NULL);
		}
	}
	v = json_object_get(doc, "version");
	if (!json_is_integer(v) || json_integer_value(v) != 1) {
		(void)fail(l, "version", "must be 1");
		return (NULL);
	}
	if (!json_is_array(rules)) {
		(void)fail(l, "rules", "must be a list of rules");
		return (NULL);
	}
	return (rules);
}

static int
id_unique(struct load *l, const struct governor *g, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(g->rules[i].id, g->rules[n].id) == 0)
			return (fail(l, "id",
			    "\"%s\" is taken by an earlier "
			    "rule",
			    g->rules[n].id));
	return (0);
}

/* One line of canonical JSON for each rule. */
static int
digest_add(struct governor *g, const json_t *rules)
{
	const json_t *r;
	char *text;
	size_t i;
	int ok;

	json_array_foreach(rules, i, r) {
		if ((text = json_dumps(r, JSON_COMPACT | JSON_SORT_KEYS)) ==
		    NULL)
			return (-1);
		ok = EVP_DigestUpdate(g->md, text, strlen(text)) == 1 &&
		    EVP_DigestUpdate(g->md, "\n", 1) == 1;
		free(text);
		if (!ok)
			return (-1);
	}
	return (0);
}

static int
rules_add(struct load *l, struct governor *g, const json_t *rules)
{
	size_t i, n = json_array_size(rules);
	struct rule *grown;

	if (n + g->nrules > RULES_MAX)
		return (fail(l, "rules", "more than %d in all", RULES_MAX));
	grown = realloc(g->rules, (g->nrules + n + 1) * sizeof(*grown));
	if (grown == NULL)
		return (fail(l, NULL, "out of memory"));
	g->rules = grown;
	memset(g->rules + g->nrules, 0, n * sizeof(*grown));
	for (i = 0; i < n; i++)
		if (rule_load(l, &g->rules[g->nrules + i],
			json_array_get(rules, i)) == -1 ||
		    id_unique(l, g, g->nrules + i) == -1)
			break;
	if (i < n || digest_add(g, rules) == -1) {
		rules_free(g->rules + g->nrules, n);
		return (i < n ? -1 : fail(l, NULL, "out of memory"));
	}
	g->nrules += n;
	return (0);
}

struct governor *
governor_new(void)
{
	struct governor *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return (NULL);
	if ((g->md = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(g->md, EVP_sha256(), NULL) != 1) {
		governor_free(g);
		return (NULL);
	}
	return (g);
}

void
governor_free(struct governor *g)
{
	if (g == NULL)
		return;
	rules_free(g->rules, g->nrules);
	free(g->rules);
	EVP_MD_CTX_free(g->md);
	free(g);
}

int
governor_add(struct governor *g, const char *file, const char *text, size_t len,
    char *err, size_t errlen)
{
	struct load l = { .err = err, .errlen = errlen };
	const json_t *rules;
	json_error_t je;
	json_t *doc;
	int r;

	(void)snprintf(l.place, sizeof(l.place), "%.80s", file);
	if (len > RULES_TEXT_MAX)
		return (fail(&l, NULL, "larger than %d bytes", RULES_TEXT_MAX));
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (doc == NULL)
		return (fail(&l, NULL, "line %d, column %d: %s", je.line,
		    je.column, je.text));
	rules = document_rules(&l, doc);
	r = rules == NULL ? -1 : rules_add(&l, g, rules);
	json_decref(doc);
	return (r);
}

void
governor_digest(const struct governor *g, uint8_t out[32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	memset(out, 0, 32);
	if (md != NULL && EVP_MD_CTX_copy_ex(md, g->md) == 1)
		(void)EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
}

unsigned
governor_nrules(const struct governor *g)
{
	return ((unsigned)g->nrules);
}

/* ---- evaluating ---- */

/* A request, as the rules look at it. */
struct view {
	const struct gov_request *rq;
	char operation[OPERATION_MAX]; /* trimmed, lower case; empty: none */
	bool has_path;
	bool path_unclear;	  /* too long to tell: every path rule holds */
	char path[PATH_TEXT_MAX]; /* normalised */
};

static void
view_operation(struct view *w, const json_t *v)
{
	const char *s = json_string_value(v);
	size_t i, n;

	if (s == NULL)
		return;
	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	if (n >= sizeof(w->operation))
		return; /* longer than any word of a rule */
	for (i = 0; i < n; i++)
		w->operation[i] = (char)tolower((unsigned char)s[i]);
}

static void
view_path(struct view *w, const char *path)
{
	char joined[PATH_TEXT_MAX];
	int n;

	w->has_path = path != NULL;
	if (path == NULL)
		return;
	path += strspn(path, " \t\r\n");
	if (*path != '/' && strncmp(path, "~/", 2) != 0 &&
	    w->rq->base != NULL) {
		n = snprintf(joined, sizeof(joined), "%s/%s", w->rq->base,
		    path);
		w->path_unclear = n < 0 || (size_t)n >= sizeof(joined);
		path = joined;
	}
	if (!w->path_unclear)
		w->path_unclear =
		    !path_normalise(path, w->path, sizeof(w->path));
}

static void
view_init(struct view *w, const struct gov_request *rq)
{
	w->rq = rq;
	memset(w->operation, 0, sizeof(w->operation));
	w->path_unclear = false;
	view_operation(w, json_object_get(rq->inputs, "operation"));
	view_path(w, json_string_value(json_object_get(rq->inputs, "path")));
}

static bool
word_in(const struct words *list, const char *s)
{
	size_t i;

	if (list->n == 0)
		return (true);
	for (i = 0; s != NULL && i < list->n; i++)
		if (strcmp(list->w[i], s) == 0)
			return (true);
	return (false);
}

static bool
action_in(const struct words *list, const char *s)
{
	size_t i, n;

	if (list->n == 0)
		return (true);
	for (i = 0; s != NULL && i < list->n; i++) {
		n = strlen(list->w[i]);
		if (list->w[i][n - 1] == '*' ?
			strncmp(list->w[i], s, n - 1) == 0 :
			strcmp(list->w[i], s) == 0)
			return (true);
	}
	return (false);
}

static bool
path_in(const struct match *m, const struct view *w)
{
	const struct words *u = &m->path_under, *c = &m->path_component;
	bool under = u->n == 0, has = c->n == 0;
	size_t i;

	if (w->path_unclear || (under && has))
		return (true);
	if (!w->has_path)
		return (false);
	for (i = 0; !under && i < u->n; i++)
		under = path_is_under(w->path, u->w[i]);
	for (i = 0; !has && i < c->n; i++)
		has = path_has_component(w->path, c->w[i]);
	return (under && has);
}

static bool
input_is(const json_t *want, const json_t *got)
{
	const json_t *e;
	size_t i;

	if (got == NULL)
		return (false);
	if (!json_is_array(want))
		return (json_equal(want, got));
	json_array_foreach(want, i, e)
		if (json_equal(e, got))
			return (true);
	return (false);
}

static bool
inputs_are(const json_t *want, const json_t *inputs)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)want, name, v)
		if (!input_is(v, json_object_get(inputs, name)))
			return (false);
	return (true);
}

static bool
match_holds(const struct match *m, const struct view *w)
{
	const struct gov_request *rq = w->rq;
	size_t i;

	if (!action_in(&m->action, rq->action) ||
	    !word_in(&m->skill, rq->skill) ||
	    !word_in(&m->operation, w->operation) ||
	    !word_in(&m->source, rq->source) || !word_in(&m->role, rq->role) ||
	    !path_in(m, w) || !inputs_are(m->input, rq->inputs))
		return (false);
	for (i = 0; i < m->nall; i++)
		if (!match_holds(&m->all[i], w))
			return (false);
	for (i = 0; i < m->nnot; i++)
		if (match_holds(&m->not [i], w))
			return (false);
	for (i = 0; i < m->nany; i++)
		if (match_holds(&m->any[i], w))
			break;
	return (m->nany == 0 || i < m->nany);
}

static void
score(const struct governor *g, const struct gov_request *rq,
    struct gov_verdict *v)
{
	const struct rule *r;
	struct view w;
	size_t i;
	int sum = 0;

	view_init(&w, rq);
	for (i = 0; i < g->nrules; i++) {
		r = &g->rules[i];
		if (!match_holds(&r->match, &w))
			continue;
		sum += r->points;
		if (v->nhits == GOV_HITS_MAX)
			continue;
		v->hits[v->nhits].id = r->id;
		v->hits[v->nhits].points = r->points;
		v->hits[v->nhits++].why = r->description;
	}
	v->score = sum < 0 ? 0 : sum > 100 ? 100 : sum;
}

static void decide(struct gov_verdict *, enum gov_decision, const char *, ...)
    __attribute__((format(printf, 3, 4)));

static void
decide(struct gov_verdict *v, enum gov_decision d, const char *fmt, ...)
{
	va_list ap;

	v->decision = d;
	va_start(ap, fmt);
	(void)vsnprintf(v->reason, sizeof(v->reason), fmt, ap);
	va_end(ap);
}

void
governor_evaluate(const struct governor *g, const struct gov_request *rq,
    enum gov_mode mode, int block, int warn, struct gov_verdict *v)
{
	memset(v, 0, sizeof(*v));
	if (mode == GOV_OFF) {
		decide(v, GOV_APPROVED, "governor_off");
		return;
	}
	score(g, rq, v);
	if (mode == GOV_AUDIT_ONLY)
		decide(v, GOV_APPROVED, "audit_only (score=%d)", v->score);
	else if (v->score >= block)
		decide(v, GOV_BLOCKED, "risk_score=%d >= block_threshold=%d",
		    v->score, block);
	else if (v->score < warn)
		decide(v, GOV_APPROVED, "risk_score=%d \xe2\x80\x94 ok",
		    v->score);
	else if (mode == GOV_HARD_BLOCK)
		decide(v, GOV_BLOCKED,
		    "risk_score=%d >= warn_threshold=%d (hard_block)", v->score,
		    warn);
	else
		decide(v, GOV_WARNED,
		    "risk_score=%d \xe2\x80\x94 proceed with caution",
		    v->score);
}
