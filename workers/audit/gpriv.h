/* SPDX-License-Identifier: ISC */
#ifndef AX_GPRIV_H
#define AX_GPRIV_H

#include <sys/queue.h>

#include "workers/audit/denials.h"
#include "workers/audit/gate.h"

/* What the gate_*.c files share; nobody else includes it. */

enum gate_phase {
	GATE_WAITING,  /* for the lock, the journal, the sweep */
	GATE_SETTLING, /* the start and interrupted runs are being recorded */
	GATE_OPEN,
	GATE_DRAINING,
	GATE_STOPPING, /* the last line is being recorded */
	GATE_DRAINED
};

struct gate {
	const struct gate_ops *ops;
	void *arg;
	struct metrics_slot *slot;
	struct gate_conf *conf;
	struct journal *journal;   /* NULL until attached */
	struct journal_stats seen; /* already in the metrics */
	uint64_t epoch;

	enum gate_phase phase;
	bool recovered; /* journal attached */
	bool swept;
	bool announced; /* the start's line is durable or waits */
	struct {
		const char *why; /* closed for want of space, or NULL */
		uint64_t since, refused;
		uint64_t free; /* bytes, when last looked at */
	} space;

	struct permits permits;
	size_t nkept; /* permits in PERMIT_KEPT */
	struct flags flags;
	struct idems idems;
	uint64_t drain_since;

	TAILQ_HEAD(, closing) closings; /* of the live file, asked for */

	struct denials *denials;
	struct secret_key secrets;
	bool missed_reload; /* could not be recorded while closed */
};

/* One request while it is looked at. */
struct asking {
	struct gate *g;
	const struct origin *origin;
	uint64_t id;
	uint64_t started;
	const struct gate_request *req;
	char actor[LINE_ACTOR_MAX + 1];
	char role[33];
	const struct skill *skill;
	unsigned index;			  /* of the skill, for metrics */
	json_t *inputs;			  /* as they came */
	json_t *shown;			  /* as the journal may hold them */
	char idem_key[65], idem_body[65]; /* "" when there is none */
};

/* gate.c */
uint64_t gate_append(struct gate *, const struct line *, journal_done, void *);
void gate_check_drained(struct gate *);
void gate_gauges(struct gate *);

/* gate_reply.c: answers, at once or when a line is durable */
struct reply; /* waits; owned by what it waits for */
void gate_answer(struct gate *, const struct origin *, uint64_t id,
    const struct gate_result *);
/* Appends the line and answers with `r` once it is durable; at once with
 * GS_UNAVAILABLE when it cannot be, or is NULL. Nothing is kept of r but
 * copies. */
void gate_answer_after(struct gate *, const struct origin *, uint64_t id,
    const struct line *, const struct gate_result *r, const char *flag,
    bool flag_value);
void gate_unavailable(struct gate *, const struct origin *, uint64_t id);
/* With copies of r; NULL with ENOMEM. */
struct reply *gate_reply_new(struct gate *, const struct origin *, uint64_t id,
    const struct gate_result *r, const char *flag);
/* Puts it before the rest of a list. */
struct reply *gate_reply_chain(struct reply *, struct reply *rest);
/* Answers all of a list: with the line's seq, or that nothing started. */
void gate_reply_all(struct reply *, bool ok, uint64_t seq);

/* gate_deny.c */
/* Refused before the governor was asked; recorded, nobody waits for it. */
void gate_deny_asked(struct asking *, enum denial_kind, const char *reason);
/* The same with the answer. */
void gate_deny_acl(struct asking *, const char *rule);
void gate_deny_disabled(struct asking *);
/* Records the counts of windows that are over, or all. */
void gate_deny_flush(struct gate *, bool all);

/* gate_run.c */
/* The decision of p is durable, or was refused. */
void gate_decided(void *permit, bool ok, uint64_t seq);
/* Gives p the end of a run that no executor reported. */
void gate_end_without(struct permit *, enum end_state, const char *state,
    const char *error);
/* Appends the outcome of p (context and result are set). */
void gate_record_outcome(struct permit *);
/* After a repair: tries all kept outcomes again. */
void gate_record_kept(struct gate *);

/* gate_space.c */
/* True when an action may be recorded now, and its outcome later. */
bool gate_room(struct gate *);
bool gate_has_space(const struct gate *);
/* Every tick: closes and opens by what is free. */
void gate_watch_space(struct gate *);

/* gate_archive.c */
void gate_ask_archive(struct asking *);
void gate_ctl_archive(struct gate *, const struct origin *, uint64_t id,
    const char *actor);
/* After a commit or a repair: answers whose segment is closed. */
void gate_archive_answer(struct gate *);
void gate_archive_forget(struct gate *);

/* gate_flag.c */
void gate_ask_flag(struct asking *);
/* Once open again: a reload that came while nothing could be recorded. */
void gate_record_missed(struct gate *);

#endif
