/* SPDX-License-Identifier: ISC */
/*
 * The model: a file's data is as of its last fsync, a name as of the last fsync
 * of a folder it is in, and there only if the folder's own name is. A rename is
 * one act: it is done or it is not. Knows nothing of what is written.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "test/unit/disk_model.h"

#define FILES 1024
#define OPS   2048
#define NAME  160

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
struct word {
	unsigned calls;
	char text[200];
};

static struct {
	int root;
	char path[64];	 /* of root */
	char left[100];	 /* where the disks go that are left; + variant */
	unsigned cut_at; /* 0: never */
	void (*instead)(void);
	unsigned fail_sync_at, syncs;
	struct file files[FILES];
	unsigned nfiles;
	struct names durable;
	struct op ops[OPS];
	unsigned nops;
	uint64_t rng;
	struct word *word;
} D;

void
model_give_up(const char *what)
{
	snprintf(D.word->text, sizeof(D.word->text), "%s: %s", what,
	    strerror(errno));
	_exit(MODEL_WORSE);
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
		model_give_up("too many names");
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

/* Is `path` somewhere below `folder`? */
static bool
below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return (strncmp(path, folder, n) == 0 && path[n] == '/');
}

/* What was in a folder that is gone, or again in one that was. */
static void
names_del_below(struct names *t, const char *folder)
{
	unsigned i;

	for (i = 0; i < t->n;) {
		if (below(t->v[i].path, folder))
			t->v[i] = t->v[--t->n];
		else
			i++;
	}
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
		names_del_below(t, o->a);
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
		model_give_up("too many changes of names");
	o->what = what;
	ax_strlcpy(o->a, a, NAME);
	ax_strlcpy(o->b, b, NAME);
	o->file = file;
	return (o);
}

static void
folder_of(const char *path, char out[NAME])
{
	char *slash;

	ax_strlcpy(out, path, NAME);
	if ((slash = strrchr(out, '/')) != NULL)
		*slash = '\0';
	else
		ax_strlcpy(out, ".", NAME);
}

static bool
in_folder(const char *path, const char *folder)
{
	char up[NAME];

	folder_of(path, up);
	return (path[0] != '\0' && strcmp(up, folder) == 0);
}

/* fsync of a folder: what changed in it is there, and what that rests on. */
static void
settle(const char *folder)
{
	static bool now[OPS];
	unsigned i, k, left = 0;

	memset(now, 0, sizeof(now));
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
		model_give_up("content");
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
		model_give_up("too many files");
	f->fd = openat(D.root, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd == -1 || fstat(f->fd, &st) == -1)
		model_give_up(path);
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
			model_give_up("calloc");
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

/* Is every folder above it there? */
static bool
reachable(const struct names *t, const char *path)
{
	char up[NAME];

	ax_strlcpy(up, path, sizeof(up));
	for (;;) {
		folder_of(up, up);
		if (strcmp(up, ".") == 0)
			return (true);
		if (names_find(t, up) == -1)
			return (false);
	}
}

static int
by_path(const void *a, const void *b)
{
	return (strcmp(((const struct name *)a)->path,
	    ((const struct name *)b)->path));
}

static void
write_file(const struct file *f, const char *path, unsigned how)
{
	struct timespec ts[2];
	struct stat st;
	size_t len;
	char *b = what_is_left(f, how, &len);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd == -1 || ax_write_all(fd, b, len) == -1 ||
	    fstat(f->fd, &st) == -1)
		model_give_up(path);
	ts[0] = ts[1] = st.st_mtim;
	if (fchmod(fd, st.st_mode & 07777) == -1 || futimens(fd, ts) == -1)
		model_give_up(path);
	close(fd);
	free(b);
}

/* What is in a folder that is gone is gone. */
static void
write_left(struct names *t, const char *dir, unsigned how)
{
	char path[300];
	unsigned i;

	if (mkdir(dir, 0700) == -1)
		model_give_up(dir);
	qsort(t->v, t->n, sizeof(t->v[0]), by_path); /* folders first */
	for (i = 0; i < t->n; i++) {
		if (!reachable(t, t->v[i].path))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, t->v[i].path);
		if (t->v[i].file != -1)
			write_file(&D.files[t->v[i].file], path, how);
		else if (mkdir(path, 0700) == -1)
			model_give_up(path);
	}
}

void
model_cut(void)
{
	/* names, data: 0 nothing came, 1 all, 2 some of the first, 3 any */
	static const unsigned how[MODEL_VARIANTS][2] = { { 0, 0 }, { 1, 0 },
		{ 0, 1 }, { 1, 1 }, { 2, 2 }, { 3, 2 }, { 3, 3 }, { 2, 3 } };
	static struct names t;
	char dir[120];
	unsigned i;

	for (i = 0; i < MODEL_VARIANTS; i++) {
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
	if (++D.word->calls != D.cut_at)
		return;
	if (D.instead != NULL)
		D.instead();
	else
		model_cut();
}

/* ---- the calls ---- */

/* The name below the root of `path` in a folder; of the folder with "". */
static void
path_at(int dirfd, const char *path, char out[NAME])
{
	char link[40], dir[300];
	size_t n = strlen(D.path);
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = readlink(link, dir, sizeof(dir) - 1);
	if (len < (ssize_t)n)
		model_give_up("a folder of another disk");
	dir[len] = '\0';
	if (strncmp(dir, D.path, n) != 0 || (dir[n] != '/' && dir[n] != '\0'))
		model_give_up("a folder of another disk");
	if (dir[n] == '\0')
		ax_strlcpy(out, path[0] == '\0' ? "." : path, NAME);
	else
		snprintf(out, NAME, "%s%s%s", dir + n + 1,
		    path[0] == '\0' ? "" : "/", path);
}

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
		model_give_up("fdatasync of what?");
	file_durable(f);
	return (0);
}

static int
m_fsync(int fd)
{
	struct file *f = file_of(fd);
	char path[NAME];

	tick();
	if (f != NULL) {
		file_durable(f);
		return (0);
	}
	path_at(fd, "", path);
	settle(path);
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
	char full[NAME];
	int fd;

	if (isnew || (flags & O_TRUNC) != 0)
		tick();
	fd = openat(dirfd, path, flags, mode);
	if (fd != -1 && isnew) {
		path_at(dirfd, path, full);
		op_add(OP_LINK, full, "", file_new(full));
	}
	return (fd);
}

static int
m_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	char full[2][NAME];
	int fd, file, r;

	tick();
	fd = openat(a, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	file = fd != -1 && file_of(fd) != NULL ? (int)(file_of(fd) - D.files) :
						 -1;
	if (fd != -1)
		close(fd);
	r = renameat2(a, from, b, to, flags);
	if (r == 0) {
		path_at(a, from, full[0]);
		path_at(b, to, full[1]);
		op_add(OP_RENAME, full[0], full[1], file);
	}
	return (r);
}

static int
m_unlinkat(int dirfd, const char *path, int flags)
{
	char full[NAME];
	int r;

	tick();
	r = unlinkat(dirfd, path, flags);
	if (r == 0) {
		path_at(dirfd, path, full);
		op_add(OP_UNLINK, full, "", -1);
	}
	return (r);
}

static int
m_mkdirat(int dirfd, const char *path, mode_t mode)
{
	char full[NAME];
	int r;

	tick();
	r = mkdirat(dirfd, path, mode);
	if (r == 0) {
		path_at(dirfd, path, full);
		op_add(OP_MKDIR, full, "", -1);
	}
	return (r);
}

int
model_nothing(int fd)
{
	(void)fd;
	return (0);
}

struct jio model_io, model_quick;

static void
take_in(const char *path, bool folder)
{
	names_put(&D.durable, path, folder ? -1 : file_new(path));
	if (!folder)
		file_durable(&D.files[D.nfiles - 1]);
}

/* A disk that holds what is in `path`, all of it durable. */
static void
start_on(const char *path, const char *left, unsigned cut_at)
{
	char cmd[200], line[NAME];
	FILE *p;

	memset(&D.durable, 0, sizeof(D.durable));
	D.nfiles = D.nops = D.syncs = D.fail_sync_at = 0;
	D.word->calls = 0;
	D.word->text[0] = '\0';
	D.cut_at = cut_at;
	D.instead = NULL;
	D.rng = cut_at * 2654435761u + 88172645463325252ull;
	ax_strlcpy(D.path, path, sizeof(D.path));
	ax_strlcpy(D.left, left, sizeof(D.left));
	D.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (D.root == -1)
		model_give_up(path);
	snprintf(cmd, sizeof(cmd),
	    "cd %s && find . -mindepth 1 -printf '%%y%%P\\n'", path);
	if ((p = popen(cmd, "r")) == NULL)
		model_give_up("find");
	while (fgets(line, sizeof(line), p) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		take_in(line + 1, line[0] == 'd');
	}
	pclose(p);
}

/* ---- for the tests ---- */

int
model_root(void)
{
	return (D.root);
}

void
model_fail_sync(unsigned nth)
{
	D.fail_sync_at = nth;
}

void
model_instead(void (*fn)(void))
{
	D.instead = fn;
}

const char *
model_text(void)
{
	return (D.word->text);
}

char *
model_content(int fd, size_t *len)
{
	return (content(fd, len));
}

int
model_run(void (*fn)(void), const char *path, const char *left, unsigned cut)
{
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		start_on(path, left, cut);
		fn();
		_exit(MODEL_WORSE);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return (MODEL_WORSE);
	return (WEXITSTATUS(status));
}

void
model_shell(const char *fmt, ...)
{
	char cmd[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0) {
		fprintf(stderr, "%s\n", cmd);
		abort();
	}
}

int
model_folder(char *path, size_t size)
{
	snprintf(path, size, "%s/ax-power-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	return (mkdtemp(path) != NULL ? 0 : -1);
}

void *
model_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return (p == MAP_FAILED ? NULL : p);
}

int
model_setup(void)
{
	if ((D.word = model_shared(sizeof(*D.word))) == NULL)
		return (-1);
	model_io = model_quick = jio_real;
	model_quick.fdatasync = model_quick.fsync = model_nothing;
	model_io.writev = m_writev;
	model_io.fdatasync = m_fdatasync;
	model_io.fsync = m_fsync;
	model_io.ftruncate = m_ftruncate;
	model_io.fallocate = m_fallocate;
	model_io.openat = m_openat;
	model_io.renameat2 = m_renameat2;
	model_io.unlinkat = m_unlinkat;
	model_io.mkdirat = m_mkdirat;
	return (0);
}
