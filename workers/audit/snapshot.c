/* SPDX-License-Identifier: ISC */
/*
 * The gate's snapshot on the disk. Must never tell of a line that is not
 * durable: the caller takes it after a commit. A snapshot that cannot be read
 * is not repaired; the journal is read instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/jw.h"
#include "common/util.h"
#include "workers/audit/snapshot.h"

#define TEMP_NAME    ".gate/snapshot.tmp"
#define SNAPSHOT_MAX (16u << 20)

static const char *const state_names[] = {
	[IDEM_RUNNING] = "running",
	[IDEM_DONE] = "done",
	[IDEM_INTERRUPTED] = "interrupted",
};

/* ---- writing ---- */

static void
put_idem(struct jw *w, const struct idem *e)
{
	jw_obj(w);
	jw_kuint(w, "at", e->at);
	jw_kstr(w, "body", e->body);
	jw_kstr(w, "key", e->key);
	jw_kuint(w, "permit", e->permit);
	jw_kstr(w, "state", state_names[e->state]);
	jw_kbool(w, "success", e->success);
	jw_obj_end(w);
}

static void
put_snapshot(struct buf *b, const struct snapshot *s, const struct flags *f,
    const struct idems *t)
{
	const struct idem *e;
	struct jw w;
	size_t i;

	jw_init(&w, b, true);
	jw_obj(&w);
	jw_key(&w, "flags");
	jw_obj(&w);
	for (i = 0; i < f->n; i++)
		jw_kbool(&w, f->v[i].name, f->v[i].enabled);
	jw_obj_end(&w);
	jw_key(&w, "idempotency");
	jw_arr(&w);
	TAILQ_FOREACH(e, &t->list, entry)
		put_idem(&w, e);
	jw_arr_end(&w);
	jw_kuint(&w, "replay_from", s->replay_from);
	jw_kuint(&w, "seq", s->seq);
	jw_kuint(&w, "version", 1);
	jw_obj_end(&w);
	buf_addc(b, '\n');
}

static int
write_temp(const struct jio *io, int dirfd, const struct buf *b)
{
	int fd, r;

	fd = io->openat(dirfd, TEMP_NAME,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return (-1);
	r = jio_write_all(io, fd, b->d, b->len);
	if (r == 0)
		r = io->fsync(fd);
	(void)io->close(fd);
	return (r);
}

int
snapshot_save(const struct jio *io, int dirfd, const struct snapshot *s,
    const struct flags *f, const struct idems *t)
{
	struct buf b = BUF_INITIALIZER;
	int r = -1;

	put_snapshot(&b, s, f, t);
	if (b.err)
		errno = ENOMEM;
	else if (io->mkdirat(dirfd, SNAPSHOT_DIR, 0700) == 0 || errno == EEXIST)
		r = write_temp(io, dirfd, &b);
	if (r == 0)
		r = io->renameat2(dirfd, TEMP_NAME, dirfd, SNAPSHOT_NAME, 0);
	if (r == 0)
		r = jio_sync_dir(io, dirfd, SNAPSHOT_DIR);
	buf_free(&b);
	return (r);
}

/* ---- reading ---- */

static char *
read_all(const struct jio *io, int dirfd, size_t *n)
{
	struct stat st;
	char *b = NULL;
	ssize_t r;
	int fd;

	fd = io->openat(dirfd, SNAPSHOT_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC,
	    0);
	if (fd == -1)
		return (NULL);
	*n = 0;
	if (io->fstat(fd, &st) == 0 && st.st_size <= SNAPSHOT_MAX)
		b = malloc((size_t)st.st_size + 1);
	else
		errno = EFBIG;
	while (b != NULL && *n < (size_t)st.st_size) {
		r = io->pread(fd, b + *n, (size_t)st.st_size - *n, (off_t)*n);
		if (r <= 0)
			break;
		*n += (size_t)r;
	}
	(void)io->close(fd);
	return (b);
}

static int
get_number(const json_t *o, const char *key, uint64_t *out)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return (-1);
	*out = (uint64_t)json_integer_value(v);
	return (0);
}

static int
get_state(const json_t *e, enum idem_state *state)
{
	const char *s = json_string_value(json_object_get(e, "state"));
	size_t i;

	for (i = 0; s != NULL && i < AX_NELEM(state_names); i++) {
		if (strcmp(s, state_names[i]) == 0) {
			*state = (enum idem_state)i;
			return (0);
		}
	}
	return (-1);
}

static int
get_idem(const json_t *e, struct idems *t)
{
	const char *key = json_string_value(json_object_get(e, "key"));
	const char *body = json_string_value(json_object_get(e, "body"));
	enum idem_state state;
	uint64_t at, permit;
	struct idem *n;

	if (key == NULL || body == NULL || strlen(key) != 64 ||
	    get_number(e, "at", &at) == -1 ||
	    get_number(e, "permit", &permit) == -1 ||
	    get_state(e, &state) == -1 ||
	    (n = idems_put(t, key, body, permit, at)) == NULL)
		return (-1);
	n->state = state;
	n->success = json_is_true(json_object_get(e, "success"));
	return (0);
}

static int
get_all(const json_t *o, struct snapshot *s, struct flags *f, struct idems *t)
{
	json_t *flags = json_object_get(o, "flags"), *v;
	json_t *list = json_object_get(o, "idempotency");
	const char *name;
	uint64_t version;
	size_t i;

	if (get_number(o, "version", &version) == -1 || version != 1 ||
	    get_number(o, "seq", &s->seq) == -1 ||
	    get_number(o, "replay_from", &s->replay_from) == -1 ||
	    s->replay_from > s->seq + 1 || !json_is_object(flags) ||
	    !json_is_array(list))
		return (-1);
	json_object_foreach(flags, name, v) {
		if (!json_is_boolean(v) ||
		    flags_set(f, name, json_is_true(v)) == -1)
			return (-1);
	}
	json_array_foreach(list, i, v) {
		if (get_idem(v, t) == -1)
			return (-1);
	}
	return (0);
}

int
snapshot_load(const struct jio *io, int dirfd, struct snapshot *s,
    struct flags *f, struct idems *t, char *err, size_t errlen)
{
	json_error_t je;
	json_t *o;
	size_t n = 0;
	char *text;
	int r;

	memset(s, 0, sizeof(*s));
	if ((text = read_all(io, dirfd, &n)) == NULL) {
		if (errno == ENOENT)
			return (0);
		(void)snprintf(err, errlen, "%s", strerror(errno));
		return (-1);
	}
	o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	free(text);
	if (o == NULL) {
		(void)snprintf(err, errlen, "%s", je.text);
		return (-1);
	}
	r = get_all(o, s, f, t);
	json_decref(o);
	if (r == -1) {
		(void)snprintf(err, errlen, "not a snapshot of ours");
		memset(s, 0, sizeof(*s));
		flags_clear(f);
		idems_clear(t);
		(void)idems_init(t);
		return (-1);
	}
	return (0);
}
