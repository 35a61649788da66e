/* SPDX-License-Identifier: ISC */
#ifndef AX_IDEM_H
#define AX_IDEM_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Idempotency keys: what became of a request that came with one. Entries come
 * from requests, from the journal and from the snapshot; answers are kept in
 * memory only, as far as they fit. The oldest that do not run are forgotten
 * after IDEM_KEEP_US or when there are more than IDEM_MAX.
 */
#define IDEM_MAX	 16384
#define IDEM_KEEP_US	 (24ull * 3600 * 1000000)
#define IDEM_ANSWERS_MAX (16u << 20)

enum idem_state { IDEM_RUNNING, IDEM_DONE, IDEM_INTERRUPTED };

struct idem {
	TAILQ_ENTRY(idem) entry;
	struct idem *hash_next;
	char key[65], body[65]; /* hex digests */
	uint64_t permit;
	enum idem_state state;
	bool success;
	uint64_t at; /* real us of the decision */
	void *answer;
	size_t answer_len;
};

struct idems {
	TAILQ_HEAD(, idem) list; /* by age */
	struct idem **hash;
	struct idem *holder; /* no entry before it holds an answer */
	size_t n, answers;
};

int idems_init(struct idems *); /* -1 ENOMEM */
void idems_clear(struct idems *);
/*
 * The digests: of actor, route and key; of the body (skill and inputs). key
 * and body hold 65 bytes.
 */
void idem_digest_key(const char *actor, const char *route, const char *key,
    char out[65]);
void idem_digest_body(const char *skill, const char *inputs, char out[65]);
/* NULL when unknown or too old at `now` (real us). */
struct idem *idems_find(struct idems *, const char *key, uint64_t now);
/* A running one; an older entry of that key is replaced. NULL ENOMEM. */
struct idem *idems_put(struct idems *, const char *key, const char *body,
    uint64_t permit, uint64_t at);
/* It ended; keeps a copy of the answer's bytes when they fit. */
void idems_end(struct idems *, const char *key, uint64_t permit,
    enum idem_state, bool success, const void *answer, size_t n);
/* The decision was refused: as if it had never been asked. */
void idems_drop(struct idems *, const char *key, uint64_t permit);

#endif
