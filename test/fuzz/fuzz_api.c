/* SPDX-License-Identifier: ISC */
/*
 * What the API reads beyond HTTP itself: a query string, a body, and the text
 * of the store that it changes the form of. The first byte chooses. Whatever is taken stays within its row's bounds and survives
 * the way back to text; whatever is refused has an item that is JSON.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jw.h"
#include "workers/http/body.h"
#include "workers/http/jtext.h"
#include "workers/http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The items are one JSON array with that many members. */
static void
check_items(struct invalid *inv)
{
	const char *text = invalid_json(inv);
	json_t *v;

	if (text == NULL)
		return;
	v = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (v == NULL || json_array_size(v) != inv->n)
		abort();
	json_decref(v);
}

static void
check_values(const struct query_values *q)
{
	const struct qp_def *d;
	unsigned i;

	for (i = 0; i < QP_MAX; i++) {
		d = &qp_defs[i];
		if (!q->v[i].set)
			continue;
		if ((d->type == QPT_INT || d->type == QPT_COUNT) &&
		    (q->v[i].num < d->min || q->v[i].num > d->max) &&
		    (d->type == QPT_INT || q->v[i].num != QP_ALL))
			abort();
		if (d->type == QPT_WORD &&
		    (q->v[i].str == NULL ||
			strstr(d->words, q->v[i].str) == NULL))
			abort();
		if ((d->type == QPT_STR || d->type == QPT_UPPER) &&
		    (q->v[i].str == NULL || q->v[i].str[0] == '\0' ||
			strlen(q->v[i].str) > (size_t)d->max))
			abort();
	}
}

/* The link to the next page is read back as the same question. */
static void
check_round_trip(const struct query_values *q)
{
	struct buf link = BUF_INITIALIZER;
	struct query_values again;
	struct invalid inv;
	unsigned i;

	invalid_init(&inv);
	query_next(&link, "/x", q, QP_PAGE, "cursor");
	if (buf_str(&link) == NULL)
		abort();
	if (query_parse(&again, link.d + 3, QP_PAGE, &inv) == -1)
		abort();
	for (i = 0; i < QP_MAX; i++) {
		if ((QP_PAGE & QP_BIT(i)) == 0 || i == QP_OFFSET ||
		    i == QP_CURSOR)
			continue;
		if (again.v[i].set != q->v[i].set ||
		    again.v[i].num != q->v[i].num ||
		    again.v[i].us != q->v[i].us)
			abort();
		if (q->v[i].str != NULL &&
		    strcmp(again.v[i].str, q->v[i].str) != 0)
			abort();
	}
	query_free(&again);
	invalid_free(&inv);
	buf_free(&link);
}

/* What is echoed is JSON, whatever was taken. */
static void
check_echo(const struct query_values *q, uint32_t mask)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	json_t *v;

	jw_init(&w, &b, false);
	jw_obj(&w);
	query_filters(&w, q, mask);
	jw_obj_end(&w);
	if (buf_str(&b) == NULL)
		abort();
	v = json_loads(b.d, JSON_REJECT_DUPLICATES, NULL);
	if (v == NULL)
		abort();
	json_decref(v);
	buf_free(&b);
}

static void
fuzz_query(const char *text, uint32_t mask)
{
	struct query_values q;
	struct invalid inv;

	invalid_init(&inv);
	if (query_parse(&q, text, mask, &inv) == 0) {
		check_values(&q);
		check_echo(&q, mask);
		if (mask == QP_PAGE)
			check_round_trip(&q);
	}
	check_items(&inv);
	query_free(&q);
	invalid_free(&inv);
}

/*
 * Any text: nothing is read behind its end and nothing grows without bound.
 * JSON: the same value without blanks, and one member null.
 */
static void
fuzz_text(const char *text, size_t len)
{
	struct buf tight = BUF_INITIALIZER, hidden = BUF_INITIALIZER;
	json_t *v, *w;

	jtext_compact(&tight, text, len);
	jtext_hide(&hidden, text, len, "context");
	if (buf_str(&tight) == NULL || buf_str(&hidden) == NULL ||
	    tight.len > len || hidden.len > len + 4)
		abort();
	v = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (v != NULL) {
		w = json_loadb(tight.d, tight.len, JSON_REJECT_DUPLICATES,
		    NULL);
		if (!json_equal(v, w))
			abort();
		json_decref(w);
	}
	/* keys as they are written here: without escapes */
	if (json_is_object(v) && memchr(text, '\\', len) == NULL) {
		w = json_loadb(hidden.d, hidden.len, 0, NULL);
		if (json_object_get(v, "context") != NULL)
			json_object_set_new(v, "context", json_null());
		if (!json_equal(v, w))
			abort();
		json_decref(w);
	}
	json_decref(v);
	buf_free(&tight);
	buf_free(&hidden);
}

static void
fuzz_body(const char *text, size_t len)
{
	struct body_invoke body;
	struct invalid inv;
	json_t *root;

	invalid_init(&inv);
	root = body_parse(text, len, &inv);
	if (root == NULL && inv.n != 1)
		abort();
	if (root != NULL && body_invoke(root, &body, &inv) == 0 &&
	    (body.name == NULL ||
		(body.inputs != NULL && !json_is_object(body.inputs))))
		abort();
	check_items(&inv);
	json_decref(root);
	invalid_free(&inv);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text;

	if (len == 0)
		return (0);
	if ((text = malloc(len)) == NULL)
		return (0);
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	if (data[0] == '?')
		fuzz_query(text, QP_PAGE);
	else if (data[0] == '!')
		fuzz_query(text, QP_EXPORT);
	else if (data[0] == '#')
		fuzz_query(text,
		    QP_FOLLOW | QP_BIT(QP_SEQ) | QP_BIT(QP_FROM) |
			QP_BIT(QP_TO));
	else if (data[0] == '~')
		fuzz_text(text, len - 1);
	else
		fuzz_body(text, len - 1);
	free(text);
	return (0);
}
