/* SPDX-License-Identifier: ISC */
#ifndef AX_GATE_STAGE_H
#define AX_GATE_STAGE_H

#include "workers/audit/gate.h"
#include "workers/audit/jfault.h"
#include "workers/audit/snapshot.h"

/* A gate over a journal in a folder of its own and a disk that fails as told;
 * executors, fronts and the loop are the test's. For test_gate*.c only. */
#define ADMIN "admin-token"
#define USER  "user-token"

#define SEEN_MAX 256

struct stage {
	char path[64];
	int dirfd;
	struct metrics_slot slot;
	struct journal *j;
	struct gate *g;
	struct snapshot snap;
	unsigned wakes, drained, flags, overdue;
	bool executors_down;
	/* what executors were given */
	uint64_t exec[SEEN_MAX], files[SEEN_MAX], killed[SEEN_MAX];
	unsigned nexec, nfiles, nkilled;
	/* the answers */
	struct answer {
		uint64_t id;
		enum gate_status status;
		bool success;
		uint64_t permit, seq;
		char *output, *error, *detail;
	} answers[SEEN_MAX];
	unsigned nanswers;
};

extern const struct origin stage_front;

/* For cmocka: *state is the struct stage, with its gate still closed. */
int stage_set_up(void **state);
int stage_tear_down(void **state);
/* One life after another over the same folder. */
void stage_begin(struct stage *);
void stage_end(struct stage *);
void stage_open(struct stage *);
/* As the loop does: commits as long as somebody asks for it. */
void stage_loop(struct stage *);
/* Rules of jfault.h. */
void stage_faults(const char *spec);

void stage_ask(struct stage *, uint64_t id, const char *token,
    const char *skill, const char *inputs, const char *key);
void stage_ask_code(struct stage *, uint64_t id);
void stage_ask_file(struct stage *, uint64_t id, const char *key);
void stage_front_event(struct stage *, enum audit_event, uint64_t n);
/* The end of a run that went well. */
struct exec_done stage_exec_done(uint64_t permit);

/* The i-th answer, which must be this. */
struct answer *
stage_answer(struct stage *, unsigned i, uint64_t id, enum gate_status);
void stage_durable(struct stage *, uint64_t seq);
/* Is the text in the live file? */
bool stage_journal_has(struct stage *, const char *text);

#endif
