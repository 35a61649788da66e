/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_CLASS_H
#define AX_STORE_CLASS_H

#include <stddef.h>
#include <stdint.h>
#include "workers/store/db.h"
#include "workers/store/record.h"

/*
 * Classes: the distinct (action, decision, risk score) of all rows, and the
 * names of nodes. There are few of them beside the rows, each row carries its
 * class as a number, and every filter of the API is a set of classes.
 * Held in memory, in the order of their numbers, which start at 1; nodes at 0.
 */
struct class
{
	char *action;
	char *decision;
	int risk;
	uint32_t hash;
};

struct classes {
	struct class *v; /* v[i] is class i + 1 */
	size_t n, cap;
	uint32_t *slot; /* open addressing; class number or 0 */
	size_t nslots;
	char **node;
	size_t nnodes;
	size_t clean, clean_nodes; /* of which are committed */
};

/* Reads both tables; replaces what was there. */
enum db_rc classes_load(struct classes *, struct db *);
/*
 * The number of a class or node, inserted into the database (in the caller's
 * transaction) when new. Its number, or -1 and *rc.
 */
int64_t classes_get(struct classes *, struct db *, struct slice action,
    struct slice decision, int risk, enum db_rc *rc);
int64_t
classes_node(struct classes *, struct db *, struct slice name, enum db_rc *rc);
/* After COMMIT / ROLLBACK of that transaction. */
void classes_commit(struct classes *);
void classes_rollback(struct classes *);
void classes_free(struct classes *); /* empty again, and usable */

#endif
