/* SPDX-License-Identifier: ISC */
/*
 * Builds and reads journal lines. Pure. The bytes are what the Merkle leaf is
 * taken over and what strangers verify, so the builder has exactly one way to
 * write a line, and the reader accepts nothing else. Neither may ever guess.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/jw.h"
#include "common/log.h"
#include "common/util.h"
#include "common/line.h"

#define PARSE_DEPTH 32

static const char *const kind_names[LK_MAX] = {
	[LK_DECISION] = "decision",
	[LK_OUTCOME] = "outcome",
	[LK_EVENT] = "event",
	[LK_IMPORT] = "import",
};

const char *
line_kind_name(enum line_kind k)
{
	return (k < LK_MAX ? kind_names[k] : "unknown");
}

/* ---- building ---- */

size_t
line_cut(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return (n);
	n = max;
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return (n);
}

void
line_put_text(struct jw *w, const char *key, const char *text, size_t max)
{
	jw_key(w, key);
	if (text == NULL)
		jw_null(w);
	else
		jw_strn(w, text, line_cut(text, max));
}

static void
put_idem(struct jw *w, const struct line *l)
{
	jw_key(w, "idem");
	if (l->idem_key == NULL) {
		jw_null(w);
		return;
	}
	jw_obj(w);
	jw_kstr(w, "body", l->idem_body);
	jw_kstr(w, "key", l->idem_key);
	jw_obj_end(w);
}

static void
put_line(struct jw *w, const struct line *l, const char *node, uint64_t seq,
    const char *ts)
{
	char id[LINE_NODE_MAX + 24];

	(void)snprintf(id, sizeof(id), "%.*s-%" PRIu64, LINE_NODE_MAX, node,
	    seq);
	jw_obj(w);
	line_put_text(w, "action", l->action, LINE_ACTION_MAX);
	line_put_text(w, "actor", l->actor, LINE_ACTOR_MAX);
	jw_key(w, "context");
	if (l->context == NULL)
		jw_raw(w, "{}", 2);
	else
		jw_raw(w, l->context, l->context_len);
	jw_kstr(w, "decision", l->decision);
	jw_kstr(w, "id", id);
	put_idem(w, l);
	jw_kstr(w, "kind", line_kind_name(l->kind));
	line_put_text(w, "node", node, LINE_NODE_MAX);
	jw_key(w, "permit");
	if (l->permit == 0)
		jw_null(w);
	else
		jw_uint(w, l->permit);
	line_put_text(w, "reason", l->reason, LINE_REASON_MAX);
	line_put_text(w, "request_id", l->request_id, LINE_REQUEST_MAX);
	jw_kint(w, "risk_score",
	    l->risk_score < 0	    ? 0 :
		l->risk_score > 100 ? 100 :
				      l->risk_score);
	jw_kuint(w, "seq", seq);
	jw_kstr(w, "ts", ts);
	jw_obj_end(w);
}

int
line_build(struct buf *b, const struct line *l, const char *node, uint64_t seq,
    uint64_t real_us)
{
	char ts[AX_TS_LEN];
	struct jw w;
	size_t start = b->len;

	if (l->context != NULL && l->context_len > LINE_CONTEXT_MAX) {
		errno = EMSGSIZE;
		return (-1);
	}
	ax_ts_format(real_us, ts);
	jw_init(&w, b, true);
	put_line(&w, l, node, seq, ts);
	buf_addc(b, '\n');
	if (b->err) {
		b->len = start;
		errno = ENOMEM;
		return (-1);
	}
	if (b->len - start > LINE_MAX_BYTES) {
		b->len = start;
		errno = EMSGSIZE;
		return (-1);
	}
	return (0);
}

/* ---- reading ---- */

struct cur {
	const char *p, *end;
};

static inline int
eat(struct cur *c, const char *lit)
{
	size_t n = strlen(lit);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, lit, n) != 0)
		return (-1);
	c->p += n;
	return (0);
}

static int
hex4(const char *p)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (strchr("0123456789abcdefABCDEF", p[i]) == NULL ||
		    p[i] == '\0')
			return (-1);
	}
	return (0);
}

/* A backslash and what follows it. */
static int
eat_escape(struct cur *c)
{
	if (c->end - c->p < 2)
		return (-1);
	if (c->p[1] == 'u') {
		if (c->end - c->p < 6 || hex4(c->p + 2) == -1)
			return (-1);
		c->p += 6;
		return (0);
	}
	if (c->p[1] == '\0' || strchr("\"\\/bfnrt", c->p[1]) == NULL)
		return (-1);
	c->p += 2;
	return (0);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * The first byte of p that wants a look: a quote, a backslash, a control
 * character, one that is not ASCII; or one of the last seven. Eight at a time:
 * most of every line is plain text.
 */
static const char *
skip_plain(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint64_t x, quote, slash, stop;

	while (end - p >= 8) {
		memcpy(&x, p, sizeof(x));
		quote = x ^ EACH('"');
		slash = x ^ EACH('\\');
		/* Borrows reach only bytes above the first true hit. */
		stop = ((quote - EACH(1)) & ~quote) |
		    ((slash - EACH(1)) & ~slash) | ((x - EACH(0x20)) & ~x) | x;
		if ((stop &= EACH(0x80)) != 0)
			return (p + (__builtin_ctzll(stop) >> 3));
		p += 8;
	}
#endif
	(void)end;
	return (p);
}

/* A JSON string; its inside goes to *s. */
static int
eat_string(struct cur *c, struct slice *s)
{
	const char *from;
	bool ascii = true;

	if (eat(c, "\"") == -1)
		return (-1);
	from = c->p;
	for (;;) {
		c->p = skip_plain(c->p, c->end);
		if (c->p == c->end || *c->p == '"')
			break;
		if ((unsigned char)*c->p < 0x20)
			return (-1);
		if (*c->p == '\\') {
			if (eat_escape(c) == -1)
				return (-1);
		} else {
			ascii = ascii && (unsigned char)*c->p < 0x80;
			c->p++;
		}
	}
	s->p = from;
	s->n = (size_t)(c->p - from);
	if (!ascii && !utf8_valid(from, s->n))
		return (-1);
	return (eat(c, "\""));
}

static int
eat_string_or_null(struct cur *c, struct slice *s)
{
	if (eat(c, "null") == 0) {
		s->p = NULL;
		s->n = 0;
		return (0);
	}
	return (eat_string(c, s));
}

/* Plain decimal, no sign, no leading zero. */
static int
eat_uint(struct cur *c, uint64_t *out)
{
	const char *from = c->p;
	uint64_t v = 0, d;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
		d = (uint64_t)(*c->p - '0');
		if (v > (UINT64_MAX - d) / 10)
			return (-1);
		v = v * 10 + d;
		c->p++;
	}
	if (c->p == from || (*from == '0' && c->p - from > 1))
		return (-1);
	*out = v;
	return (0);
}

static size_t
eat_digits(struct cur *c)
{
	const char *from = c->p;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return ((size_t)(c->p - from));
}

static int
eat_number(struct cur *c)
{
	const char *from;
	size_t n;

	(void)eat(c, "-");
	from = c->p;
	if ((n = eat_digits(c)) == 0 || (n > 1 && *from == '0'))
		return (-1);
	if (eat(c, ".") == 0 && eat_digits(c) == 0)
		return (-1);
	if (eat(c, "e") == 0 || eat(c, "E") == 0) {
		if (eat(c, "+") == -1)
			(void)eat(c, "-");
		if (eat_digits(c) == 0)
			return (-1);
	}
	return (0);
}

static int eat_value(struct cur *, unsigned depth);

/* Items between `open` (eaten) and `close`, with keys in an object. */
static int
eat_items(struct cur *c, const char *close, bool keys, unsigned depth)
{
	struct slice s;

	if (eat(c, close) == 0)
		return (0);
	for (;;) {
		if (keys && (eat_string(c, &s) == -1 || eat(c, ": ") == -1))
			return (-1);
		if (eat_value(c, depth) == -1)
			return (-1);
		if (eat(c, close) == 0)
			return (0);
		if (eat(c, ", ") == -1)
			return (-1);
	}
}

static int
eat_value(struct cur *c, unsigned depth)
{
	struct slice s;

	if (c->p == c->end || depth > PARSE_DEPTH)
		return (-1);
	switch (*c->p) {
	case '{':
		c->p++;
		return (eat_items(c, "}", true, depth + 1));
	case '[':
		c->p++;
		return (eat_items(c, "]", false, depth + 1));
	case '"':
		return (eat_string(c, &s));
	case 't':
		return (eat(c, "true"));
	case 'f':
		return (eat(c, "false"));
	case 'n':
		return (eat(c, "null"));
	default:
		return (eat_number(c));
	}
}

static int
eat_context(struct cur *c, struct slice *s)
{
	s->p = c->p;
	if (c->p == c->end || *c->p != '{' || eat_value(c, 1) == -1)
		return (-1);
	s->n = (size_t)(c->p - s->p);
	return (0);
}

static int
eat_kind(struct cur *c, enum line_kind *k)
{
	struct slice s;
	unsigned i;

	if (eat_string(c, &s) == -1)
		return (-1);
	for (i = 0; i < LK_MAX; i++) {
		if (slice_is(s, kind_names[i])) {
			*k = (enum line_kind)i;
			return (0);
		}
	}
	return (-1);
}

static int
eat_idem(struct cur *c, struct line_view *v)
{
	if (eat(c, "null") == 0)
		return (0);
	if (eat(c, "{\"body\": ") == -1 ||
	    eat_string_or_null(c, &v->idem_body) == -1 ||
	    eat(c, ", \"key\": ") == -1 || eat_string(c, &v->idem_key) == -1)
		return (-1);
	return (eat(c, "}"));
}

static int
eat_permit(struct cur *c, uint64_t *permit)
{
	*permit = 0;
	if (eat(c, "null") == 0)
		return (0);
	return (eat_uint(c, permit));
}

int
line_parse(const char *s, size_t n, struct line_view *v)
{
	struct cur c = { s, s + n };
	uint64_t risk;

	memset(v, 0, sizeof(*v));
	if (eat(&c, "{\"action\": ") || eat_string(&c, &v->action) ||
	    eat(&c, ", \"actor\": ") || eat_string_or_null(&c, &v->actor) ||
	    eat(&c, ", \"context\": ") || eat_context(&c, &v->context) ||
	    eat(&c, ", \"decision\": ") || eat_string(&c, &v->decision) ||
	    eat(&c, ", \"id\": ") || eat_string(&c, &v->id) ||
	    eat(&c, ", \"idem\": ") || eat_idem(&c, v) ||
	    eat(&c, ", \"kind\": ") || eat_kind(&c, &v->kind) ||
	    eat(&c, ", \"node\": ") || eat_string(&c, &v->node) ||
	    eat(&c, ", \"permit\": ") || eat_permit(&c, &v->permit) ||
	    eat(&c, ", \"reason\": ") || eat_string_or_null(&c, &v->reason) ||
	    eat(&c, ", \"request_id\": ") ||
	    eat_string_or_null(&c, &v->request_id) ||
	    eat(&c, ", \"risk_score\": ") || eat_uint(&c, &risk) ||
	    eat(&c, ", \"seq\": ") || eat_uint(&c, &v->seq) ||
	    eat(&c, ", \"ts\": ") || eat_string(&c, &v->ts) || eat(&c, "}"))
		return (-1);
	if (c.p != c.end || v->seq == 0 || risk > 100)
		return (-1);
	v->risk_score = (int)risk;
	return (0);
}

bool
slice_is(struct slice s, const char *text)
{
	return (
	    s.p != NULL && strlen(text) == s.n && memcmp(s.p, text, s.n) == 0);
}
