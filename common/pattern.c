/* SPDX-License-Identifier: ISC */
/*
 * Which regular expressions a schema may use.
 *
 * The C library's matcher is linear in the text only where a match can start
 * at one place, and not always in the pattern. It copies what a "+" or a
 * "{m,n}" stands behind, and copies copies; and it takes exponential time over
 * a repetition of what may be empty. So the shape of a pattern is followed
 * here before it is compiled: how large each part is once it is written out,
 * and whether it can match nothing. Pure; never compiles the pattern itself.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/pattern.h"

#define PATTERN_SIZE  2048 /* with its repetitions written out */
#define PATTERN_DEPTH 16

struct level {		  /* inside one pair of parentheses */
	long size;	  /* of all but the last atom */
	bool empty;	  /* this alternative so far may be empty */
	bool other_empty; /* an earlier one may */
};

struct shape {
	struct level level[PATTERN_DEPTH + 1];
	unsigned depth;
	long last; /* size of the last atom: what a repetition repeats */
	bool last_empty;
};

/* The last atom becomes a part of its level; the next is as given. */
static void
shape_atom(struct shape *s, long size, bool empty)
{
	struct level *l = &s->level[s->depth];

	l->size += s->last;
	l->empty = l->empty && s->last_empty;
	s->last = size;
	s->last_empty = empty;
}

static void
shape_alternative(struct shape *s)
{
	struct level *l = &s->level[s->depth];

	shape_atom(s, 0, true);
	l->other_empty = l->other_empty || l->empty;
	l->empty = true;
}

static const char *
shape_open(struct shape *s)
{
	shape_atom(s, 0, true);
	if (s->depth == PATTERN_DEPTH)
		return ("parentheses are nested too deep");
	s->level[++s->depth] = (struct level){ 0, true, false };
	return (NULL);
}

static void
shape_close(struct shape *s)
{
	const struct level *l = &s->level[s->depth];

	if (s->depth == 0)
		return; /* regcomp() will have its say */
	shape_alternative(s);
	s->depth--;
	s->last = l->size + 1;
	s->last_empty = l->other_empty;
}

/* The counts of the "{m,n}" at *p, which moves to its end; false if it is
 * none. An open end counts as one more than m. */
static bool
interval(const char **p, long *min, long *max)
{
	long n[2] = { 0, -1 };
	const char *s;
	int i = 0;

	for (s = *p + 1; *s != '\0' && *s != '}'; s++) {
		if (isdigit((unsigned char)*s)) {
			n[i] = (n[i] < 0 ? 0 : n[i]) * 10 + (*s - '0');
			n[i] = n[i] > PATTERN_SIZE ? PATTERN_SIZE + 1 : n[i];
		} else if (*s == ',' && i == 0)
			i = 1;
		else
			return (false);
	}
	if (*s == '\0')
		return (false);
	*p = s;
	*min = n[0];
	*max = i == 0 ? n[0] : n[1] < 0 ? n[0] + 1 : n[1];
	return (true);
}

/* The repetition at *p, which moves to its end. */
static const char *
shape_repeat(struct shape *s, const char **p)
{
	long min = 0, max = 1;

	if (**p == '+')
		min = max = 2;
	else if (**p == '{' && !interval(p, &min, &max)) {
		shape_atom(s, 1, false);
		return (NULL);
	}
	if (s->last_empty)
		return ("repeats what may be empty");
	s->last *= max > 1 ? max : 1;
	s->last_empty = min == 0;
	return (NULL);
}

/* Past a bracket expression, to its "]". */
static const char *
set_end(const char *p)
{
	p += p[1] == '^';
	p += p[1] == ']';
	while (p[1] != '\0' && *++p != ']')
		;
	return (p);
}

static const char *
shape_plain(struct shape *s, const char **p)
{
	if (**p == '\\' && isdigit((unsigned char)(*p)[1]))
		return ("back-references are not allowed");
	if (**p == '\\' && (*p)[1] != '\0') {
		(*p)++;
		shape_atom(s, 1, strchr("<>bB`'", **p) != NULL);
		return (NULL);
	}
	shape_atom(s, 1, **p == '^' || **p == '$');
	if (**p == '[')
		*p = set_end(*p);
	return (NULL);
}

const char *
pattern_costly(const char *pattern)
{
	struct shape s = { .level = { { 0, true, false } },
		.last_empty = true };
	const char *p, *why = NULL;

	if (*pattern != '^')
		return ("must begin with ^ (\"^.*\" for anywhere)");
	for (p = pattern; *p != '\0' && why == NULL; p++) {
		if (strchr("*?+{", *p) != NULL)
			why = shape_repeat(&s, &p);
		else if (*p == '(')
			why = shape_open(&s);
		else if (*p == ')')
			shape_close(&s);
		else if (*p == '|' && s.depth == 0)
			why = "put the alternatives in parentheses, behind ^";
		else if (*p == '|')
			shape_alternative(&s);
		else
			why = shape_plain(&s, &p);
		if (s.last + s.level[s.depth].size > PATTERN_SIZE)
			why = "the repetitions are too large";
	}
	return (why);
}
