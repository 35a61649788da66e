/* SPDX-License-Identifier: ISC */
/*
 * The reader of journal lines. Audit wrote them, in a form of its own making
 * (one flat object), so this is a strict scanner over the bytes instead of a
 * general parser: one pass, no allocation per member, and the context's exact
 * text as a slice, which a parser that builds a tree would have lost. It must
 * never accept what is not JSON: a context is handed on as raw text.
 */
#include <openssl/evp.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/store/record.h"

struct scan {
	const char *p, *end;
};

enum field_kind { FIELD_STR, FIELD_UINT, FIELD_RAW, FIELD_SKIP };

struct field {
	const char *name;
	enum field_kind kind;
	size_t off;
	uint64_t max; /* FIELD_UINT */
	bool required;
};

#define STR(n, req)                                               \
	{                                                         \
#n, FIELD_STR, offsetof(struct record, n), 0, req \
	}
#define UINT(n, mx, req)                                            \
	{                                                           \
#n, FIELD_UINT, offsetof(struct record, n), mx, req \
	}

/* seq stays below 2^40 so that (node, seq) fits a JSON-safe integer. */
static const struct field fields[] = {
	STR(action, true),
	STR(actor, false),
	{ "context", FIELD_RAW, offsetof(struct record, context), 0, false },
	STR(decision, false),
	{ "id", FIELD_SKIP, 0, 0, false },
	{ "idem", FIELD_SKIP, 0, 0, false },
	STR(kind, true),
	STR(node, true),
	UINT(permit, INT64_MAX, false),
	STR(reason, false),
	STR(request_id, false),
	UINT(risk_score, 100, false),
	UINT(seq, (UINT64_C(1) << 40) - 1, true),
	STR(ts, true),
};

static void
skip_ws(struct scan *s)
{
	while (s->p < s->end &&
	    (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

static bool
take(struct scan *s, char c)
{
	skip_ws(s);
	if (s->p == s->end || *s->p != c)
		return (false);
	s->p++;
	return (true);
}

static bool
is_hex4(const char *p, const char *end)
{
	int i;

	if (end - p < 4)
		return (false);
	for (i = 0; i < 4; i++)
		if (strchr("0123456789abcdefABCDEF", p[i]) == NULL ||
		    p[i] == '\0')
			return (false);
	return (true);
}

/* A string with its quotes: *raw gets what stands between them. */
static int
scan_string(struct scan *s, struct slice *raw, bool *escaped)
{
	const char *p;

	*escaped = false;
	if (!take(s, '"'))
		return (-1);
	raw->p = s->p;
	for (p = s->p; p < s->end; p++) {
		if (*p == '"') {
			raw->n = (size_t)(p - raw->p);
			s->p = p + 1;
			return (0);
		}
		if ((unsigned char)*p < 0x20)
			return (-1);
		if (*p != '\\')
			continue;
		*escaped = true;
		if (++p == s->end)
			return (-1);
		if (*p == 'u') {
			if (!is_hex4(p + 1, s->end))
				return (-1);
			p += 4;
		} else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL) {
			return (-1);
		}
	}
	return (-1);
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return (p);
}

static int
scan_number(struct scan *s)
{
	const char *p = s->p, *q;

	if (p < s->end && *p == '-')
		p++;
	q = skip_digits(p, s->end);
	if (q == p || (*p == '0' && q - p > 1))
		return (-1);
	p = q;
	if (p < s->end && *p == '.') {
		q = skip_digits(p + 1, s->end);
		if (q == p + 1)
			return (-1);
		p = q;
	}
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		q = skip_digits(p, s->end);
		if (q == p)
			return (-1);
		p = q;
	}
	s->p = p;
	return (0);
}

static int
scan_word(struct scan *s)
{
	static const char *const words[] = { "null", "true", "false" };
	size_t i, n;

	for (i = 0; i < AX_NELEM(words); i++) {
		n = strlen(words[i]);
		if ((size_t)(s->end - s->p) >= n &&
		    memcmp(s->p, words[i], n) == 0) {
			s->p += n;
			return (0);
		}
	}
	return (-1);
}

static int
scan_scalar(struct scan *s)
{
	struct slice raw;
	bool escaped;

	if (s->p == s->end)
		return (-1);
	if (*s->p == '"')
		return (scan_string(s, &raw, &escaped));
	if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
		return (scan_number(s));
	return (scan_word(s));
}

static int
scan_key(struct scan *s, struct slice *key)
{
	bool escaped;

	if (scan_string(s, key, &escaped) == -1)
		return (-1);
	return (take(s, ':') ? 0 : -1);
}

/*
 * Behind a value inside `depth` containers: closes what closes here. 1 when
 * another value follows, 0 at the end of everything, -1.
 */
static int
scan_after(struct scan *s, uint64_t objs, unsigned *depth)
{
	struct slice key;
	bool obj;

	while (*depth > 0) {
		obj = (objs >> (*depth - 1)) & 1;
		if (take(s, ','))
			return (obj && scan_key(s, &key) == -1 ? -1 : 1);
		if (!take(s, obj ? '}' : ']'))
			return (-1);
		(*depth)--;
	}
	return (0);
}

/* Any value, checked; *raw gets its text. Not recursive. */
static int
scan_value(struct scan *s, struct slice *raw)
{
	struct slice key;
	uint64_t objs = 0; /* bit d: container d is an object */
	unsigned depth = 0;
	bool obj;
	int more;

	skip_ws(s);
	raw->p = s->p;
	do {
		skip_ws(s);
		if (s->p < s->end && (*s->p == '{' || *s->p == '[')) {
			if (depth == RECORD_DEPTH_MAX)
				return (-1);
			obj = *s->p++ == '{';
			objs &= ~(UINT64_C(1) << depth);
			objs |= (uint64_t)obj << depth;
			depth++;
			skip_ws(s);
			if (s->p < s->end && *s->p == (obj ? '}' : ']')) {
				s->p++;
				depth--;
			} else {
				if (obj && scan_key(s, &key) == -1)
					return (-1);
				more = 1;
				continue;
			}
		} else if (scan_scalar(s) == -1) {
			return (-1);
		}
		if ((more = scan_after(s, objs, &depth)) == -1)
			return (-1);
	} while (more);
	raw->n = (size_t)(s->p - raw->p);
	return (0);
}

static unsigned
hex4(const char *p)
{
	unsigned v = 0, i;

	for (i = 0; i < 4; i++)
		v = v << 4 |
		    (unsigned)(p[i] <= '9' ? p[i] - '0' :
					     (p[i] | 32) - 'a' + 10);
	return (v);
}

static void
put_utf8(struct buf *b, unsigned c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
	} else if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_addc(b, (char)(0xe0 | c >> 12));
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_addc(b, (char)(0xf0 | c >> 18));
		buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	}
}

/* \uXXXX at p (behind the u); returns how many characters were taken. */
static size_t
unescape_u(const char *p, const char *end, struct buf *b)
{
	unsigned c = hex4(p), lo;

	if (c >= 0xd800 && c < 0xdc00 && end - p >= 10 && p[4] == '\\' &&
	    p[5] == 'u') {
		lo = hex4(p + 6);
		if (lo >= 0xdc00 && lo < 0xe000) {
			put_utf8(b,
			    0x10000 + ((c - 0xd800) << 10) + (lo - 0xdc00));
			return (10);
		}
	}
	put_utf8(b, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return (4);
}

/* Decodes a checked string to the end of the buffer, which has room. */
static void
unescape(struct slice raw, struct buf *b)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *p = raw.p, *end = raw.p + raw.n;

	while (p < end) {
		if (*p != '\\') {
			buf_addc(b, *p++);
			continue;
		}
		p++;
		if (*p == 'u') {
			p++;
			p += unescape_u(p, end, b);
		} else {
			buf_addc(b, to[strchr(from, *p) - from]);
			p++;
		}
	}
}

/*
 * A string value or null. Decoding never makes a text longer, and the scratch
 * buffer was given room for the whole line: earlier slices stay valid.
 */
static int
take_str(struct scan *s, struct buf *scratch, struct slice *out)
{
	struct slice raw;
	bool escaped;
	size_t at;

	skip_ws(s);
	if (s->p < s->end && *s->p == 'n') {
		out->p = NULL;
		out->n = 0;
		return (scan_word(s));
	}
	if (scan_string(s, &raw, &escaped) == -1)
		return (-1);
	if (!escaped) {
		*out = raw;
		return (0);
	}
	at = scratch->len;
	unescape(raw, scratch);
	if (scratch->err)
		return (-1);
	out->p = scratch->d + at;
	out->n = scratch->len - at;
	return (0);
}

/* A whole number in [0, max], or null which leaves 0. */
static int
take_uint(struct scan *s, uint64_t max, uint64_t *out)
{
	struct slice raw;
	uint64_t v = 0;
	size_t i;

	if (scan_value(s, &raw) == -1)
		return (-1);
	*out = 0;
	if (raw.n == 4 && raw.p[0] == 'n')
		return (0);
	for (i = 0; i < raw.n; i++) {
		if (raw.p[i] < '0' || raw.p[i] > '9')
			return (-1);
		if (v > (max - (uint64_t)(raw.p[i] - '0')) / 10)
			return (-1);
		v = v * 10 + (uint64_t)(raw.p[i] - '0');
	}
	*out = v;
	return (0);
}

/* Keys come sorted, so the search goes on from where the last one ended. */
static const struct field *
field_find(struct slice key, unsigned *at)
{
	unsigned i, k;

	for (i = 0; i < AX_NELEM(fields); i++) {
		k = (*at + i) % AX_NELEM(fields);
		if (strlen(fields[k].name) == key.n &&
		    memcmp(fields[k].name, key.p, key.n) == 0) {
			*at = k + 1;
			return (&fields[k]);
		}
	}
	return (NULL);
}

static int
take_field(struct record *r, const struct field *f, struct scan *s,
    struct buf *scratch)
{
	struct slice ignored;
	char *at = (char *)r;

	if (f == NULL || f->kind == FIELD_SKIP)
		return (scan_value(s, &ignored));
	at += f->off;
	if (f->kind == FIELD_RAW)
		return (scan_value(s, (struct slice *)at));
	if (f->kind == FIELD_UINT)
		return (take_uint(s, f->max, (uint64_t *)at));
	return (take_str(s, scratch, (struct slice *)at));
}

static const char *
record_check(struct record *r, uint32_t seen)
{
	char ts[40];
	unsigned i;

	for (i = 0; i < AX_NELEM(fields); i++)
		if (fields[i].required && !(seen & 1u << i))
			return ("a required key is missing");
	if (r->seq == 0)
		return ("seq is not a positive number");
	if (r->action.p == NULL || r->kind.p == NULL || r->node.p == NULL)
		return ("action, kind or node is null");
	if (r->ts.p == NULL || r->ts.n >= sizeof(ts))
		return ("ts is no time");
	memcpy(ts, r->ts.p, r->ts.n);
	ts[r->ts.n] = '\0';
	if (ax_ts_parse(ts, &r->ts_us) == -1 || r->ts_us > INT64_MAX)
		return ("ts is no time");
	if (r->context.p != NULL && r->context.p[0] == 'n')
		r->context = (struct slice){ NULL, 0 };
	return (NULL);
}

int
record_parse(struct record *r, const char *line, size_t len,
    struct buf *scratch, const char **why)
{
	struct scan s = { line, line + len };
	struct slice key;
	const struct field *f;
	uint32_t seen = 0;
	unsigned at = 0;

	*why = "not one JSON object";
	memset(r, 0, sizeof(*r));
	buf_reset(scratch);
	if (len > RECORD_LINE_MAX) {
		*why = "longer than 32768 bytes";
		return (-1);
	}
	if (buf_reserve(scratch, len) == NULL) {
		*why = "out of memory";
		return (-1);
	}
	if (!take(&s, '{'))
		return (-1);
	do {
		if (scan_key(&s, &key) == -1)
			return (-1);
		if ((f = field_find(key, &at)) != NULL) {
			if (seen & 1u << (f - fields)) {
				*why = "a key stands twice";
				return (-1);
			}
			seen |= 1u << (f - fields);
		}
		if (take_field(r, f, &s, scratch) == -1) {
			*why = f != NULL ? f->name : "a value is malformed";
			return (-1);
		}
	} while (take(&s, ','));
	if (!take(&s, '}'))
		return (-1);
	skip_ws(&s);
	if (s.p != s.end)
		return (-1);
	*why = record_check(r, seen);
	return (*why == NULL ? 0 : -1);
}

int
record_member(struct slice obj, const char *key, struct buf *scratch,
    struct slice *out)
{
	struct scan s = { obj.p, obj.p == NULL ? NULL : obj.p + obj.n };
	struct slice k, v;

	if (obj.p == NULL || !take(&s, '{') ||
	    buf_reserve(scratch, obj.n) == NULL)
		return (-1);
	do {
		if (scan_key(&s, &k) == -1)
			return (-1);
		if (k.n == strlen(key) && memcmp(k.p, key, k.n) == 0) {
			if (take_str(&s, scratch, out) == -1 || out->p == NULL)
				return (-1);
			return (0);
		}
		if (scan_value(&s, &v) == -1)
			return (-1);
	} while (take(&s, ','));
	return (-1);
}
