/* SPDX-License-Identifier: ISC */
/*
 * Idempotency keys. Pure. A key that has a permit must never be given a second
 * one as long as it is remembered, whatever its run came to.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/idem.h"

#define HASH_SIZE  4096
#define ANSWER_MAX (256u << 10)

int
idems_init(struct idems *t)
{
	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->list);
	t->hash = calloc(HASH_SIZE, sizeof(*t->hash));
	return (t->hash != NULL ? 0 : -1);
}

/* Each text with its NUL, so that none runs into the next. */
static void
digest(const char *const *texts, size_t n, char out[65])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sum[32];
	size_t i;

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		fatalx("idem: SHA-256 failed");
	for (i = 0; i < n; i++)
		(void)EVP_DigestUpdate(ctx, texts[i], strlen(texts[i]) + 1);
	if (EVP_DigestFinal_ex(ctx, sum, NULL) != 1)
		fatalx("idem: SHA-256 failed");
	EVP_MD_CTX_free(ctx);
	ax_hex(sum, sizeof(sum), out);
}

void
idem_digest_key(const char *actor, const char *route, const char *key,
    char out[65])
{
	const char *const texts[] = { actor, route, key };

	digest(texts, AX_NELEM(texts), out);
}

void
idem_digest_body(const char *skill, const char *inputs, char out[65])
{
	const char *const texts[] = { skill, inputs };

	digest(texts, AX_NELEM(texts), out);
}

static struct idem **
slot(const struct idems *t, const char *key)
{
	uint8_t b[2] = { 0, 0 };
	char four[5];

	(void)ax_strlcpy(four, key, sizeof(four));
	(void)ax_unhex(four, b, sizeof(b));
	return (&t->hash[((unsigned)b[0] << 8 | b[1]) & (HASH_SIZE - 1)]);
}

static void
forget_answer(struct idems *t, struct idem *e)
{
	t->answers -= e->answer_len;
	free(e->answer);
	e->answer = NULL;
	e->answer_len = 0;
}

static void
forget(struct idems *t, struct idem *e)
{
	struct idem **pp = slot(t, e->key);

	while (*pp != e)
		pp = &(*pp)->hash_next;
	*pp = e->hash_next;
	if (t->holder == e)
		t->holder = TAILQ_NEXT(e, entry);
	TAILQ_REMOVE(&t->list, e, entry);
	t->n--;
	forget_answer(t, e);
	free(e);
}

void
idems_clear(struct idems *t)
{
	struct idem *e;

	while ((e = TAILQ_FIRST(&t->list)) != NULL)
		forget(t, e);
	free(t->hash);
	t->hash = NULL;
}

static struct idem *
lookup(const struct idems *t, const char *key)
{
	struct idem *e = *slot(t, key);

	while (e != NULL && strcmp(e->key, key) != 0)
		e = e->hash_next;
	return (e);
}

/* Drops what is too old or too much, never what still runs. */
static void
expire(struct idems *t, uint64_t now)
{
	struct idem *e, *next;

	for (e = TAILQ_FIRST(&t->list); e != NULL; e = next) {
		next = TAILQ_NEXT(e, entry);
		if (t->n <= IDEM_MAX && now < e->at + IDEM_KEEP_US)
			break;
		if (e->state != IDEM_RUNNING)
			forget(t, e);
	}
}

struct idem *
idems_find(struct idems *t, const char *key, uint64_t now)
{
	expire(t, now);
	return (lookup(t, key));
}

struct idem *
idems_put(struct idems *t, const char *key, const char *body, uint64_t permit,
    uint64_t at)
{
	struct idem *e;

	if ((e = lookup(t, key)) != NULL)
		forget(t, e);
	expire(t, at);
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return (NULL);
	(void)ax_strlcpy(e->key, key, sizeof(e->key));
	(void)ax_strlcpy(e->body, body, sizeof(e->body));
	e->permit = permit;
	e->at = at;
	e->hash_next = *slot(t, key);
	*slot(t, key) = e;
	TAILQ_INSERT_TAIL(&t->list, e, entry);
	t->n++;
	return (e);
}

/* Room for n more bytes of answers: the oldest go first. */
static void
make_room(struct idems *t, size_t n)
{
	while (t->holder != NULL && t->answers + n > IDEM_ANSWERS_MAX) {
		forget_answer(t, t->holder);
		t->holder = TAILQ_NEXT(t->holder, entry);
	}
}

void
idems_end(struct idems *t, const char *key, uint64_t permit,
    enum idem_state state, bool success, const void *answer, size_t n)
{
	struct idem *e = lookup(t, key);

	if (e == NULL || e->permit != permit)
		return;
	e->state = state;
	e->success = success;
	if (n == 0 || n > ANSWER_MAX)
		return;
	make_room(t, n);
	if (t->answers + n > IDEM_ANSWERS_MAX)
		return;
	if ((e->answer = malloc(n)) == NULL)
		return;
	memcpy(e->answer, answer, n);
	e->answer_len = n;
	t->answers += n;
	if (t->holder == NULL || e->at < t->holder->at)
		t->holder = e;
}

void
idems_drop(struct idems *t, const char *key, uint64_t permit)
{
	struct idem *e = lookup(t, key);

	if (e != NULL && e->permit == permit)
		forget(t, e);
}
