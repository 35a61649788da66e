/* SPDX-License-Identifier: ISC */
/*
 * Power cuts. A script of appends, rotations, a failed fdatasync, archiving and
 * snapshots runs on a model of a disk, and the power goes before each call that
 * changes something, one after the other. What was not synced, data and names
 * alike, is then lost, or was written, or partly so, in several ways. From each
 * of the disks that are left the journal must start by itself, with every line
 * that was promised, once, in order, and go on; so also when the power goes
 * again during that start.
 *
 * The model: a file's data is as of its last fdatasync, a name as of the last
 * fsync of a folder it is in. A rename is one act: it is done or it is not.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "workers/audit/archive.h"
#include "workers/audit/journal.h"
#include "workers/audit/snapshot.h"

#define FILES	 256
#define OPS	 512
#define NAME	 160
#define LINES	 64
#define VARIANTS 8
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 5 /* a fork costs more */
#else
#define STRIDE 1
#endif
#define FINISHED 7 /* exit status: the power never went */
#define WORSE	 8 /* ... the script itself failed */

/* ---- the model ---- */

struct file {
	ino_t ino;
	int fd; /* keeps the number ours */
	char *durable;
	size_t len;
};

enum what { OP_LINK, OP_RENAME, OP_UNLINK, OP_MKDIR };

struct op {
	enum what what;
	char a[NAME], b[NAME];
	int file;
};

struct name {
	char path[NAME];
	int file; /* -1: a folder */
};

struct names {
	struct name v[FILES];
	unsigned n;
};

/* What the parent must know after the child is gone. */
struct told {
	unsigned lines;	     /* promised */
	uint64_t seq[LINES]; /* of line i */
	unsigned calls;
	char text[200];
};

static struct {
	int root;
	char path[64];	 /* of root */
	char left[100];	 /* where the disks go that are left; + variant */
	unsigned cut_at; /* 0: never */
	unsigned fail_sync_at, syncs;
	struct file files[FILES];
	unsigned nfiles;
	struct names durable;
	struct op ops[OPS];
	unsigned nops;
	uint64_t rng;
	struct told *told;
} D;

static void __attribute__((noreturn)) give_up(const char *what)
{
	snprintf(D.told->text, sizeof(D.told->text), "%s: %s", what,
	    strerror(errno));
	_exit(WORSE);
}

static uint32_t
dice(uint32_t n)
{
	D.rng ^= D.rng << 13;
	D.rng ^= D.rng >> 7;
	D.rng ^= D.rng << 17;
	return ((uint32_t)(D.rng >> 11) % n);
}

static int
names_find(const struct names *t, const char *path)
{
	unsigned i;

	for (i = 0; i < t->n; i++) {
		if (strcmp(t->v[i].path, path) == 0)
			return ((int)i);
	}
	return (-1);
}

static void
names_put(struct names *t, const char *path, int file)
{
	int i = names_find(t, path);

	if (i == -1 && t->n == FILES)
		give_up("too many names");
	if (i == -1)
		i = (int)t->n++;
	ax_strlcpy(t->v[i].path, path, NAME);
	t->v[i].file = file;
}

static void
names_del(struct names *t, const char *path)
{
	int i = names_find(t, path);

	if (i != -1)
		t->v[i] = t->v[--t->n];
}

/* What does not find what it needs was lost with that. */
static void
apply(struct names *t, const struct op *o)
{
	int i;

	switch (o->what) {
	case OP_LINK:
	case OP_MKDIR:
		names_put(t, o->a, o->file);
		break;
	case OP_UNLINK:
		names_del(t, o->a);
		break;
	case OP_RENAME:
		if ((i = names_find(t, o->a)) != -1 &&
		    t->v[i].file == o->file) {
			names_del(t, o->a);
			names_put(t, o->b, o->file);
		}
		break;
	}
}

static struct op *
op_add(enum what what, const char *a, const char *b, int file)
{
	struct op *o = &D.ops[D.nops++];

	if (D.nops == OPS)
		give_up("too many changes of names");
	o->what = what;
	ax_strlcpy(o->a, a, NAME);
	ax_strlcpy(o->b, b, NAME);
	o->file = file;
	return (o);
}

static bool
in_folder(const char *path, const char *folder)
{
	const char *slash = strchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	if (strcmp(folder, ".") == 0)
		return (slash == NULL && path[0] != '\0');
	return (n == strlen(folder) && strncmp(path, folder, n) == 0);
}

/* fsync of a folder: what changed in it is there, and what that rests on. */
static void
settle(const char *folder)
{
	bool now[OPS] = { false };
	unsigned i, k, left = 0;

	for (i = 0; i < D.nops; i++) {
		if (!in_folder(D.ops[i].a, folder) &&
		    !in_folder(D.ops[i].b, folder))
			continue;
		now[i] = true;
		for (k = 0; k < i; k++)
			now[k] |= D.ops[i].file != -1 &&
			    D.ops[k].file == D.ops[i].file;
	}
	for (i = 0; i < D.nops; i++) {
		if (now[i])
			apply(&D.durable, &D.ops[i]);
		else
			D.ops[left++] = D.ops[i];
	}
	D.nops = left;
}

static struct file *
file_of(int fd)
{
	struct stat st;
	unsigned i;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		return (NULL);
	for (i = 0; i < D.nfiles; i++) {
		if (D.files[i].ino == st.st_ino)
			return (&D.files[i]);
	}
	return (NULL);
}

static char *
content(int fd, size_t *len)
{
	struct stat st;
	char *b;

	if (fstat(fd, &st) == -1 ||
	    (b = malloc((size_t)st.st_size + 1)) == NULL ||
	    pread(fd, b, (size_t)st.st_size, 0) != st.st_size)
		give_up("content");
	*len = (size_t)st.st_size;
	return (b);
}

static void
file_durable(struct file *f)
{
	free(f->durable);
	f->durable = content(f->fd, &f->len);
}

static int
file_new(const char *path)
{
	struct file *f = &D.files[D.nfiles];
	struct stat st;

	if (D.nfiles == FILES)
		give_up("too many files");
	f->fd = openat(D.root, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd == -1 || fstat(f->fd, &st) == -1)
		give_up(path);
	f->ino = st.st_ino;
	return ((int)D.nfiles++);
}

/* ---- the power goes ---- */

/* What is left of a file that was changed since its last fdatasync. */
static char *
what_is_left(const struct file *f, unsigned how, size_t *len)
{
	size_t n, keep;
	char *now = content(f->fd, &n);

	if (n < f->len || (f->len > 0 && memcmp(now, f->durable, f->len) != 0))
		keep = how == 1 || (how > 1 && dice(2) == 0) ? n : SIZE_MAX;
	else if (how == 0)
		keep = f->len;
	else
		keep = how == 1 ? n : f->len + dice((uint32_t)(n - f->len) + 1);
	if (keep == SIZE_MAX) {
		keep = f->len;
		free(now);
		if ((now = calloc(1, keep + 1)) == NULL)
			give_up("calloc");
		if (keep > 0)
			memcpy(now, f->durable, keep);
	}
	if (how == 3 && keep > f->len) /* its length came, its bytes did not */
		memset(now + f->len, 0, keep - f->len);
	*len = keep;
	return (now);
}

static void
names_left(struct names *t, unsigned how)
{
	unsigned i, n = how == 2 ? dice(D.nops + 1) : D.nops;

	*t = D.durable;
	for (i = 0; i < n; i++) {
		if (how == 1 || how == 2 || (how == 3 && dice(2) == 0))
			apply(t, &D.ops[i]);
	}
}

static void
write_left(const struct names *t, const char *dir, unsigned how)
{
	const char *slash;
	char path[300], up[NAME], *b;
	size_t len;
	unsigned i;
	int fd;

	if (mkdir(dir, 0700) == -1)
		give_up(dir);
	for (i = 0; i < t->n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, t->v[i].path);
		if (t->v[i].file == -1 && mkdir(path, 0700) == -1)
			give_up(path);
	}
	for (i = 0; i < t->n; i++) {
		if (t->v[i].file == -1)
			continue;
		/* What is in a folder that is gone is gone. */
		if ((slash = strchr(t->v[i].path, '/')) != NULL) {
			ax_strlcpy(up, t->v[i].path,
			    (size_t)(slash - t->v[i].path) + 1);
			if (names_find(t, up) == -1)
				continue;
		}
		snprintf(path, sizeof(path), "%s/%s", dir, t->v[i].path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		b = what_is_left(&D.files[t->v[i].file], how, &len);
		if (fd == -1 || ax_write_all(fd, b, len) == -1)
			give_up(path);
		close(fd);
		free(b);
	}
}

static void
power_cut(void)
{
	/* names, data: 0 nothing came, 1 all, 2 some of the first, 3 any */
	static const unsigned how[VARIANTS][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 },
		{ 1, 1 }, { 2, 2 }, { 3, 2 }, { 3, 3 }, { 2, 3 } };
	struct names t;
	char dir[120];
	unsigned i;

	for (i = 0; i < VARIANTS; i++) {
		names_left(&t, how[i][0]);
		snprintf(dir, sizeof(dir), "%s%u", D.left, i);
		write_left(&t, dir, how[i][1]);
	}
	_exit(0);
}

/* Before every call that changes something. */
static void
tick(void)
{
	if (++D.told->calls == D.cut_at)
		power_cut();
}

/* ---- the calls ---- */

static ssize_t
m_writev(int fd, const struct iovec *iov, int n)
{
	tick();
	return (writev(fd, iov, n));
}

static int
m_fdatasync(int fd)
{
	struct file *f = file_of(fd);

	tick();
	if (++D.syncs == D.fail_sync_at) {
		errno = EIO;
		return (-1);
	}
	if (f == NULL)
		give_up("fdatasync of what?");
	file_durable(f);
	return (0);
}

static int
m_fsync(int fd)
{
	static const char *const folders[] = { ".", JOURNAL_ARCHIVE,
		JOURNAL_RECOVERED, SNAPSHOT_DIR };
	struct file *f = file_of(fd);
	struct stat a, b;
	size_t i;

	tick();
	if (f != NULL) {
		file_durable(f);
		return (0);
	}
	if (fstat(fd, &a) == -1)
		return (-1);
	for (i = 0; i < AX_NELEM(folders); i++) {
		if (fstatat(D.root, folders[i], &b, 0) == 0 &&
		    a.st_ino == b.st_ino)
			settle(folders[i]);
	}
	return (0);
}

static int
m_ftruncate(int fd, off_t n)
{
	tick();
	return (ftruncate(fd, n));
}

static int
m_fallocate(int fd, int mode, off_t at, off_t n)
{
	(void)fd;
	(void)mode;
	(void)at;
	(void)n;
	return (0); /* it leaves nothing behind that counts */
}

static int
m_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	bool isnew = (flags & O_CREAT) != 0 &&
	    faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == -1;
	int fd;

	if (isnew || (flags & O_TRUNC) != 0)
		tick();
	fd = openat(dirfd, path, flags, mode);
	if (fd != -1 && isnew)
		op_add(OP_LINK, path, "", file_new(path));
	return (fd);
}

static int
m_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	int fd, file, r;

	tick();
	fd = openat(a, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	file = fd != -1 && file_of(fd) != NULL ? (int)(file_of(fd) - D.files) :
						 -1;
	if (fd != -1)
		close(fd);
	r = renameat2(a, from, b, to, flags);
	if (r == 0)
		op_add(OP_RENAME, from, to, file);
	return (r);
}

static int
m_unlinkat(int dirfd, const char *path, int flags)
{
	int r;

	tick();
	r = unlinkat(dirfd, path, flags);
	if (r == 0)
		op_add(OP_UNLINK, path, "", -1);
	return (r);
}

static int
m_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int r = mkdirat(dirfd, path, mode);

	if (r == 0)
		op_add(OP_MKDIR, path, "", -1);
	return (r);
}

static int
nothing(int fd)
{
	(void)fd;
	return (0);
}

static struct jio model, quick;

/* A disk that holds what is in `path`, all of it durable. */
static void
model_start(const char *path, const char *left, unsigned cut_at, uint64_t seed)
{
	static const char *const folders[] = { ".", JOURNAL_ARCHIVE,
		JOURNAL_RECOVERED, SNAPSHOT_DIR };
	struct names names = { .n = 0 };
	char cmd[200], line[NAME];
	FILE *p;
	size_t i;

	memset(&D.durable, 0, sizeof(D.durable));
	D.nfiles = D.nops = D.syncs = D.fail_sync_at = 0;
	D.told->calls = 0;
	D.cut_at = cut_at;
	D.rng = seed * 2654435761u + 88172645463325252ull;
	ax_strlcpy(D.path, path, sizeof(D.path));
	ax_strlcpy(D.left, left, sizeof(D.left));
	D.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (D.root == -1)
		give_up(path);
	snprintf(cmd, sizeof(cmd), "cd %s && find . -type f -printf '%%P\\n'",
	    path);
	if ((p = popen(cmd, "r")) == NULL)
		give_up("find");
	while (fgets(line, sizeof(line), p) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		names_put(&names, line, 0);
	}
	pclose(p);
	for (i = 0; i < names.n; i++) {
		names_put(&D.durable, names.v[i].path,
		    file_new(names.v[i].path));
		file_durable(&D.files[D.nfiles - 1]);
	}
	for (i = 1; i < AX_NELEM(folders); i++) {
		if (faccessat(D.root, folders[i], F_OK, 0) == 0)
			names_put(&D.durable, folders[i], -1);
	}
}

/* ---- the script ---- */

static struct metrics_slot slot;
static struct archive *archive;

static void
promised(void *arg, bool ok, uint64_t seq)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	D.told->seq[i] = ok ? seq : 0;
}

static void
add(struct journal *j, unsigned i)
{
	char id[24];
	const struct line l = { .kind = LK_EVENT,
		.action = "scripted",
		.decision = "APPROVED",
		.reason = "some words, so that a segment is soon full",
		.request_id = id };

	snprintf(id, sizeof(id), "line-%u", i);
	D.told->lines = i + 1;
	(void)journal_append(j, &l, promised, (void *)(uintptr_t)i);
}

/* The archiver: at once, through the same disk. */
static int
compress_now(void *arg, uint64_t segment, int in, int out)
{
	size_t n, len, room;
	char *text = content(in, &n), *b;

	(void)arg;
	room = ZSTD_compressBound(n);
	if ((b = malloc(room)) == NULL)
		give_up("malloc");
	len = ZSTD_compress(b, room, text, n, 3);
	if (jio_write_all(&model, out, b, len) == -1 ||
	    model.fdatasync(out) == -1)
		give_up("archiver");
	close(in);
	close(out);
	free(text);
	free(b);
	D.told->text[0] = '\0';
	snprintf(D.told->text, sizeof(D.told->text), "%llu %zu %zu",
	    (unsigned long long)segment, n, len);
	return (0);
}

static bool step_due;

static void
step_later(void *arg, unsigned ms)
{
	(void)arg;
	(void)ms;
	step_due = true;
}

static void
segment_replaced(void *arg, uint64_t segment)
{
	(void)arg;
	(void)segment;
}

static void
archive_all(const struct journal *j)
{
	unsigned long long segment;
	size_t n, len;

	archive_tick(archive, true, journal_seq(j));
	if (sscanf(D.told->text, "%llu %zu %zu", &segment, &n, &len) != 3)
		return;
	D.told->text[0] = '\0';
	if (archive_answer(archive, segment, true, n, len, "") == -1)
		give_up("archive");
	while (step_due) {
		step_due = false;
		archive_step(archive);
	}
}

static void
save(const struct journal *j, struct flags *flags, struct idems *idems)
{
	const struct snapshot s = { .seq = journal_seq(j),
		.replay_from = journal_seq(j) + 1 };

	if (snapshot_save(&model, D.root, &s, flags, idems) == -1)
		give_up("snapshot");
}

static struct journal *
start(const struct jio *io, int root, journal_visit visit, void *arg, char *err,
    size_t errlen)
{
	const struct journal_conf c = { .io = io,
		.dirfd = root,
		.node = "n",
		.reserve = 4096,
		.max_bytes = 1500 };

	return (journal_open(&c, visit, arg, err, errlen));
}

static void
run_script(void)
{
	static const struct archive_ops ops = { compress_now, step_later,
		segment_replaced };
	struct flags flags = { 0 };
	struct idems idems;
	struct journal *j;
	unsigned i;
	char err[300];

	if (idems_init(&idems) == -1 ||
	    (j = start(&model, D.root, NULL, NULL, err, sizeof(err))) == NULL)
		give_up(err);
	archive = archive_new(&ops, NULL, j, &model, D.root, &slot);
	D.fail_sync_at = 14;
	for (i = 0; i < 40; i++) {
		add(j, i);
		if (i % 3 == 0)
			add(j, ++i);
		if (i % 11 == 10)
			journal_rotate_soon(j);
		if (journal_commit(j) == -1 && journal_repair(j) == -1)
			give_up(journal_why(j));
		if (i % 7 == 6)
			save(j, &flags, &idems);
		if (i % 2 == 1)
			archive_all(j);
	}
	(void)journal_commit(j);
	archive_all(j);
	/* The script does what it is for. */
	if (slot.counter[MC_ARCHIVED] < 5 ||
	    slot.counter[MC_ARCHIVE_FAILURES] != 0 ||
	    journal_stats(j)->failures != 1 || journal_nsegments(j) < 7)
		give_up("the script");
	_exit(FINISHED);
}

/* ---- the next start ---- */

struct seen {
	const struct told *told;
	uint64_t last, n;
	unsigned found[LINES];
	const char *wrong;
};

static int
visit(void *arg, const struct line_view *v)
{
	struct seen *s = arg;
	char id[40];
	unsigned i;

	if (v->seq != s->last + 1)
		s->wrong = "a line is missing";
	s->last = v->seq;
	s->n++;
	if (!slice_is(v->action, "scripted"))
		return (0);
	snprintf(id, sizeof(id), "%.*s", (int)v->request_id.n, v->request_id.p);
	if (sscanf(id, "line-%u", &i) != 1 || i >= LINES)
		return (-1);
	if (++s->found[i] > 1)
		s->wrong = "a line is there twice";
	if (s->told->seq[i] != 0 && s->told->seq[i] != v->seq)
		s->wrong = "a line has another number";
	return (0);
}

/* Opens, looks at all, writes one more line. NULL, or what is wrong. */
static const char *
start_and_judge(const struct jio *io, int root, const struct told *told)
{
	static char err[300];
	struct seen s = { .told = told };
	struct journal *j;
	unsigned i;

	if ((j = start(io, root, visit, &s, err, sizeof(err))) == NULL)
		return (err);
	for (i = 0; i < told->lines; i++) {
		if (told->seq[i] != 0 && s.found[i] != 1)
			s.wrong = "a promised line is not there";
	}
	if (journal_commit(j) == -1)
		s.wrong = "it cannot go on";
	journal_close(j);
	return (s.wrong);
}

static const char *
snapshot_wrong(int root)
{
	struct flags flags = { 0 };
	struct snapshot snap = { 0, 0 };
	struct seen s = { .told = D.told };
	struct idems idems;
	struct journal *j;
	static char err[300];
	uint64_t last = 0;

	if (idems_init(&idems) == -1 ||
	    snapshot_load(&quick, root, &snap, &flags, &idems, err,
		sizeof(err)) == -1)
		return (err);
	j = start(&quick, root, visit, &s, err, sizeof(err));
	if (j != NULL)
		last = journal_seq(j);
	journal_close(j);
	idems_clear(&idems);
	flags_clear(&flags);
	return (
	    snap.seq > last ? "the snapshot is ahead of the journal" : NULL);
}

static const char *
judge(const char *dir)
{
	int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *wrong;

	if (root == -1)
		return ("nothing was left");
	if ((wrong = snapshot_wrong(root)) == NULL &&
	    (wrong = start_and_judge(&quick, root, D.told)) == NULL)
		/* and once more, with what that start has written */
		wrong = start_and_judge(&quick, root, D.told);
	close(root);
	return (wrong);
}

static void
empty_folder(const char *path)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf %s/*", path);
	assert_int_equal(system(cmd), 0);
}

/* In memory if possible: what is tried is not this machine's disk. */
static void
make_folder(char *path, size_t size)
{
	snprintf(path, size, "%s/ax-power-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(path));
}

static int
child(void (*fn)(void), const char *path, const char *left, unsigned cut)
{
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		model_start(path, left, cut, cut);
		fn();
		_exit(WORSE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == WORSE)
		fail_msg("before call %u: %s", cut, D.told->text);
	return (WEXITSTATUS(status));
}

static void
only_start(void)
{
	char err[300];
	struct journal *j;

	j = start(&model, D.root, NULL, NULL, err, sizeof(err));
	if (j == NULL) {
		errno = 0;
		give_up(err);
	}
	if (journal_commit(j) == -1)
		give_up("commit");
	_exit(FINISHED);
}

/* The power goes again, before each call of the start that follows. */
static unsigned
cut_the_start(const char *base, const char *disk)
{
	char again[100], left[100], dir[120];
	const char *wrong;
	unsigned cut, i, n = 0;
	int r;

	snprintf(again, sizeof(again), "%s/again", base);
	snprintf(left, sizeof(left), "%s/twice", base);
	for (cut = 1, r = 0; r != FINISHED; cut++) {
		char cmd[700];

		snprintf(cmd, sizeof(cmd), "rm -rf %s %s? && cp -r %s %s",
		    again, left, disk, again);
		assert_int_equal(system(cmd), 0);
		r = child(only_start, again, left, cut);
		for (i = 0; r != FINISHED && i < VARIANTS; i++, n++) {
			snprintf(dir, sizeof(dir), "%s%u", left, i);
			if ((wrong = judge(dir)) != NULL)
				fail_msg("start cut before call %u, %s: %s",
				    cut, dir, wrong);
		}
	}
	return (n);
}

static void
every_call(void **state)
{
	char base[48], run[80], left[80], dir[100];
	const char *wrong;
	unsigned cut, i, n = 0, again = 0;
	int r = 0;

	(void)state;
	make_folder(base, sizeof(base));
	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(left, sizeof(left), "%s/left", base);
	for (cut = 1; r != FINISHED; cut += STRIDE) {
		memset(D.told, 0, sizeof(*D.told));
		empty_folder(base);
		assert_int_equal(mkdir(run, 0700), 0);
		r = child(run_script, run, left, cut);
		for (i = 0; r != FINISHED && i < VARIANTS; i++, n++) {
			snprintf(dir, sizeof(dir), "%s%u", left, i);
			if (cut % 8 == 1 && i == cut / 8 % VARIANTS)
				again += cut_the_start(base, dir);
			if ((wrong = judge(dir)) != NULL)
				fail_msg("cut before call %u, variant %u, "
					 "%s: %s",
				    cut, i, dir, wrong);
		}
	}
	print_message("%u disks; %u of a start cut in its turn\n", n, again);
	assert_true(cut > 150);
	empty_folder(base);
	assert_int_equal(rmdir(base), 0);
}

/* The model must be able to lose: a journal whose syncs do nothing fails. */
static void
lost_without_syncs(void **state)
{
	char base[48], run[80], left[80], dir[100];
	unsigned cut, lost = 0;

	(void)state;
	make_folder(base, sizeof(base));
	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(left, sizeof(left), "%s/left", base);
	model.fdatasync = nothing;
	for (cut = 40; cut < 60; cut += 5) {
		memset(D.told, 0, sizeof(*D.told));
		empty_folder(base);
		assert_int_equal(mkdir(run, 0700), 0);
		assert_int_equal(child(run_script, run, left, cut), 0);
		snprintf(dir, sizeof(dir), "%s0", left);
		lost += judge(dir) != NULL;
	}
	model.fdatasync = m_fdatasync;
	assert_int_equal(lost, 4);
	empty_folder(base);
	assert_int_equal(rmdir(base), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(lost_without_syncs),
	};

	log_init("test");
	log_set_level(LOG_L_ERROR);
	D.told = mmap(NULL, sizeof(*D.told), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (D.told == MAP_FAILED)
		return (1);
	model = quick = jio_real;
	quick.fdatasync = quick.fsync = nothing;
	model.writev = m_writev;
	model.fdatasync = m_fdatasync;
	model.fsync = m_fsync;
	model.ftruncate = m_ftruncate;
	model.fallocate = m_fallocate;
	model.openat = m_openat;
	model.renameat2 = m_renameat2;
	model.unlinkat = m_unlinkat;
	model.mkdirat = m_mkdirat;
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
