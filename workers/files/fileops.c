/* SPDX-License-Identifier: ISC */
/*
 * file_ops below open directories.
 *
 * A path is brought into its normal form as text, matched with a root's name,
 * and what is left of it is resolved by the kernel below that root's
 * descriptor (RESOLVE_BENEATH, no symbolic and no magic links). Nothing here
 * may use a path in any other way: no open(2), stat(2) or realpath(3), and no
 * *at call on more than one component.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/openat2.h>
#include <openssl/evp.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/jw.h"
#include "common/util.h"
#include "workers/files/fileops.h"

#define RESULT_MAX (6 * 1024 * 1024) /* text longer than this: base64 */
#define TEMP_TRIES 8
#define RACE_TRIES 16
#define RESOLVE_FLAGS \
	(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

struct root {
	int fd;
	char *name; /* normal form */
	bool rw;
};

struct fileops {
	struct root roots[FILEOPS_ROOTS];
	unsigned nroots;
	size_t max_read, max_write;
};

/* One operation under way. */
struct op {
	const struct fileops *f;
	const struct root *root;
	char path[FILEOPS_PATH_MAX]; /* absolute, normal form */
	char *rest; /* below the root, in path; "" is the root */
	const char *content;
	size_t content_len;
	struct buf *out;
};

struct fileops *
fileops_new(void)
{
	struct fileops *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->max_read = f->max_write = 1024 * 1024;
	return (f);
}

void
fileops_free(struct fileops *f)
{
	unsigned i;

	if (f == NULL)
		return;
	for (i = 0; i < f->nroots; i++) {
		(void)close(f->roots[i].fd);
		free(f->roots[i].name);
	}
	free(f);
}

void
fileops_set_limits(struct fileops *f, size_t max_read, size_t max_write)
{
	f->max_read = max_read;
	f->max_write = max_write;
}

/* ---- paths as text ---- */

/*
 * Appends the components of `in` to the absolute path in out (which may be
 * empty), without "", "." and ".."; false if it does not fit.
 */
static bool
path_append(char *out, size_t size, const char *in)
{
	size_t len = strlen(out), n;

	while (*in != '\0') {
		in += strspn(in, "/");
		n = strcspn(in, "/");
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (len > 0 && out[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && in[0] == '.')) {
			if (len + n + 2 > size)
				return (false);
			out[len++] = '/';
			memcpy(out + len, in, n);
			len += n;
		}
		out[len] = '\0';
		in += n;
	}
	return (true);
}

int
fileops_add_root(struct fileops *f, int dirfd, const char *name, bool rw)
{
	char norm[FILEOPS_PATH_MAX] = "";
	struct root *r = &f->roots[f->nroots];
	struct stat st;

	if (f->nroots == FILEOPS_ROOTS || name[0] != '/' ||
	    !path_append(norm, sizeof(norm), name) || fstat(dirfd, &st) == -1 ||
	    !S_ISDIR(st.st_mode)) {
		(void)close(dirfd);
		errno = EINVAL;
		return (-1);
	}
	if ((r->name = strdup(norm)) == NULL) {
		(void)close(dirfd);
		return (-1);
	}
	r->fd = dirfd;
	r->rw = rw;
	f->nroots++;
	return (0);
}

/* The path for people: its normal form has no trailing slash, so / is "". */
static const char *
shown(const struct op *o)
{
	return (o->path[0] == '\0' ? "/" : o->path);
}

static int
fail_path(struct op *o, const char *before, const char *after)
{
	buf_adds(o->out, before);
	buf_adds(o->out, shown(o));
	buf_adds(o->out, after);
	return (-1);
}

static int
fail_outside(struct op *o)
{
	return (fail_path(o, "Path '", "' not in allowed whitelist."));
}

static int
fail_special(struct op *o)
{
	return (fail_path(o, "'", "' is not a file"));
}

/* The contract's text for what a system call said. */
static int
fail_errno(struct op *o, int e)
{
	switch (e) {
	case ELOOP:
		return (fail_path(o, "Path '",
		    "' rejected because symlink "
		    "traversal is not allowed."));
	case EXDEV:
		return (fail_outside(o));
	case ENOENT:
		return (fail_path(o, "'", "' not found"));
	case ENOTDIR:
		return (fail_path(o, "Path not found: '",
		    "' leads through something that is not a directory"));
	case EACCES:
	case EPERM:
	case EROFS:
		return (fail_path(o, "Permission denied: '", "'"));
	case ENAMETOOLONG:
		return (fail_path(o, "Path '", "' is too long."));
	default:
		buf_adds(o->out, strerror(e));
		return (fail_path(o, ": '", "'"));
	}
}

/* The root with the longest name that the path is in; false: in none. */
static bool
root_find(struct op *o)
{
	const struct root *r;
	size_t n, best = 0;

	for (r = o->f->roots; r < o->f->roots + o->f->nroots; r++) {
		n = strlen(r->name);
		if (strncmp(o->path, r->name, n) != 0 ||
		    (o->path[n] != '/' && o->path[n] != '\0'))
			continue;
		if (o->root != NULL && n < best)
			continue;
		o->root = r;
		best = n;
		o->rest = o->path + n + (o->path[n] == '/');
	}
	return (o->root != NULL);
}

static int
op_path(struct op *o, const char *path)
{
	char text[FILEOPS_PATH_MAX];
	size_t n;

	path += strspn(path, " \t\r\n");
	n = strlen(path);
	while (n > 0 && strchr(" \t\r\n", path[n - 1]) != NULL)
		n--;
	if (n == 0) {
		buf_adds(o->out, "operation and path required");
		return (-1);
	}
	if (n >= sizeof(text)) {
		buf_adds(o->out, "The path is too long.");
		return (-1);
	}
	memcpy(text, path, n);
	text[n] = '\0';
	if (o->f->nroots > 0 && text[0] != '/')
		(void)ax_strlcpy(o->path, o->f->roots[0].name, sizeof(o->path));
	if (!path_append(o->path, sizeof(o->path), text)) {
		buf_adds(o->out, "The path is too long.");
		return (-1);
	}
	return (root_find(o) ? 0 : fail_outside(o));
}

/* ---- the kernel's side ---- */

static int
open_below(int dirfd, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_FLAGS };
	int fd, i;

	/* EAGAIN: a rename somewhere made the kernel unsure; it is retried */
	for (i = 0; i < RACE_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, dirfd,
		    path[0] == '\0' ? "." : path, &how, sizeof(how));
		if (fd != -1 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (fd);
}

/* What the path names now; -1 with errno. Opens nothing. */
static int
stat_below(const struct op *o, struct stat *st)
{
	int fd = open_below(o->root->fd, o->rest, O_PATH), r;

	if (fd == -1)
		return (-1);
	r = fstat(fd, st);
	(void)close(fd);
	return (r);
}

/* Opens or makes one directory inside dirfd, which is closed. */
static int
descend(int dirfd, const char *name)
{
	bool made = mkdirat(dirfd, name, 0777) == 0;
	int why = made ? 0 : errno, fd, e;

	fd = open_below(dirfd, name, O_RDONLY | O_DIRECTORY);
	e = fd == -1 && errno == ENOENT && !made ? why : errno;
	if (made && fd != -1 && fsync(dirfd) == -1) {
		e = errno;
		(void)close(fd);
		fd = -1;
	}
	(void)close(dirfd);
	errno = e;
	return (fd);
}

/* The directory `path` below the root, made with its parents if need be. */
static int
make_path(const struct op *o, const char *path)
{
	char name[FILEOPS_PATH_MAX];
	size_t n;
	int fd;

	fd = open_below(o->root->fd, path, O_RDONLY | O_DIRECTORY);
	if (fd != -1 || errno != ENOENT)
		return (fd);
	fd = open_below(o->root->fd, ".", O_RDONLY | O_DIRECTORY);
	while (fd != -1 && *path != '\0') {
		n = strcspn(path, "/");
		memcpy(name, path, n);
		name[n] = '\0';
		fd = descend(fd, name);
		path += n + (path[n] == '/');
	}
	return (fd);
}

/*
 * Splits into the directory and the last name, and opens the directory
 * (`make`: with its parents). The root itself has no parent: -1 with EBUSY.
 */
static int
open_parent(const struct op *o, bool make, const char **leaf)
{
	char dir[FILEOPS_PATH_MAX];
	const char *slash = strrchr(o->rest, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - o->rest);

	if (o->rest[0] == '\0') {
		errno = EBUSY;
		return (-1);
	}
	*leaf = slash == NULL ? o->rest : slash + 1;
	memcpy(dir, o->rest, n);
	dir[n] = '\0';
	return (make ? make_path(o, dir) :
		       open_below(o->root->fd, dir, O_RDONLY | O_DIRECTORY));
}

/* ---- read ---- */

static void
result_begin(struct op *o, struct jw *j)
{
	jw_init(j, o->out, false);
	jw_obj(j);
}

static int
result_end(struct op *o, struct jw *j)
{
	jw_kstr(j, "path", shown(o));
	jw_obj_end(j);
	return (0);
}

static void
base64_add(struct jw *j, const char *data, size_t len)
{
	unsigned char *text = malloc(len / 3 * 4 + 8);
	int n;

	if (text == NULL) {
		j->b->err = 1;
		return;
	}
	n = EVP_EncodeBlock(text, (const unsigned char *)data, (int)len);
	jw_key(j, "content_b64");
	jw_strn(j, (const char *)text, (size_t)n);
	free(text);
}

/*
 * Text stands as it is; anything else, and text whose escapes would be too
 * long for one message, as base64.
 */
static int
read_result(struct op *o, const char *data, size_t len)
{
	bool text = utf8_valid(data, len) && memchr(data, '\0', len) == NULL;
	struct jw j;

	result_begin(o, &j);
	if (text) {
		jw_key(&j, "content");
		jw_strn(&j, data, len);
		if (o->out->len > RESULT_MAX) {
			buf_reset(o->out);
			result_begin(o, &j);
			text = false;
		}
	}
	if (!text)
		base64_add(&j, data, len);
	jw_kuint(&j, "size", len);
	return (result_end(o, &j));
}

static int
fail_too_large(struct op *o, const char *what, const char *verb, uint64_t n,
    size_t max)
{
	buf_printf(o->out,
	    "%s too large to %s safely (%llu bytes > %zu "
	    "bytes).",
	    what, verb, (unsigned long long)n, max);
	return (-1);
}

/* Reads at most max_read + 1 bytes, to see a file that grows. */
static int
read_fd(struct op *o, int fd)
{
	size_t max = o->f->max_read, len = 0;
	char *data = malloc(max + 1);
	ssize_t n = 1;
	int r;

	if (data == NULL)
		return (fail_errno(o, ENOMEM));
	while (len <= max && n > 0) {
		n = read(fd, data + len, max + 1 - len);
		if (n == -1 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	if (n == -1)
		r = fail_errno(o, errno);
	else if (len > max)
		r = fail_too_large(o, "File", "read", len, max);
	else
		r = read_result(o, data, len);
	free(data);
	return (r);
}

static int
op_read(struct op *o)
{
	struct stat st;
	int fd, r;

	/* only a regular file is ever opened: a device's open may do things */
	if (stat_below(o, &st) == -1)
		return (fail_errno(o, errno));
	if (!S_ISREG(st.st_mode))
		return (fail_special(o));
	fd = open_below(o->root->fd, o->rest, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return (fail_errno(o, errno));
	if (fstat(fd, &st) == -1)
		r = fail_errno(o, errno);
	else if (!S_ISREG(st.st_mode))
		r = fail_special(o);
	else if ((uint64_t)st.st_size > o->f->max_read)
		r = fail_too_large(o, "File", "read", (uint64_t)st.st_size,
		    o->f->max_read);
	else
		r = read_fd(o, fd);
	(void)close(fd);
	return (r);
}

/* ---- write ---- */

static int
temp_create(int dirfd, char *name, size_t size)
{
	char hex[17];
	uint8_t raw[8];
	int fd = -1, i;

	for (i = 0; i < TEMP_TRIES; i++) {
		ax_random(raw, sizeof(raw));
		ax_hex(raw, sizeof(raw), hex);
		(void)snprintf(name, size, ".archillx-%s.part", hex);
		fd = (int)syscall(SYS_openat2, dirfd, name,
		    &(struct open_how){ .flags = O_WRONLY | O_CREAT | O_EXCL |
			    O_NOFOLLOW | O_CLOEXEC,
			.mode = 0666,
			.resolve = RESOLVE_FLAGS },
		    sizeof(struct open_how));
		if (fd != -1 || errno != EEXIST)
			break;
	}
	return (fd);
}

/* Contents and, for a file that was there, its permissions; on disk. */
static int
temp_fill(const struct op *o, int fd, const struct stat *old)
{
	if (old != NULL && fchmod(fd, old->st_mode & 0777) == -1)
		return (-1);
	if (ax_write_all(fd, o->content, o->content_len) == -1)
		return (-1);
	return (fsync(fd));
}

/* Replaces dirfd/leaf by the new contents, or leaves it as it was. */
static int
replace(struct op *o, int dirfd, const char *leaf, const struct stat *old)
{
	char temp[64];
	int fd, r, e;

	if ((fd = temp_create(dirfd, temp, sizeof(temp))) == -1)
		return (fail_errno(o, errno));
	r = temp_fill(o, fd, old);
	e = errno;
	if (close(fd) == -1 && r == 0) {
		r = -1;
		e = errno;
	}
	if (r == 0 && renameat(dirfd, temp, dirfd, leaf) == -1) {
		r = -1;
		e = errno;
	}
	if (r == -1) {
		(void)unlinkat(dirfd, temp, 0);
		return (fail_errno(o, e));
	}
	if (fsync(dirfd) == -1)
		return (fail_path(o,
		    "Written, but perhaps not on the disk "
		    "yet: '",
		    "'"));
	return (0);
}

static uint64_t
characters(const char *s, size_t n)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < n; i++)
		count += ((unsigned char)s[i] & 0xc0) != 0x80;
	return (count);
}

/* What stands in the way of writing dirfd/leaf; *old if there is a file. */
static int
write_target(struct op *o, int dirfd, const char *leaf, struct stat *old,
    bool *exists)
{
	*exists = fstatat(dirfd, leaf, old, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*exists)
		return (errno == ENOENT ? 0 : fail_errno(o, errno));
	if (S_ISLNK(old->st_mode))
		return (fail_errno(o, ELOOP));
	if (S_ISDIR(old->st_mode))
		return (
		    fail_path(o, "Expected file but got directory: '", "'"));
	return (S_ISREG(old->st_mode) ? 0 : fail_special(o));
}

static int
op_write(struct op *o)
{
	const char *leaf;
	struct stat old;
	struct jw j;
	bool exists;
	int dirfd, r;

	if (o->content_len > o->f->max_write)
		return (fail_too_large(o, "Content", "write", o->content_len,
		    o->f->max_write));
	if ((dirfd = open_parent(o, true, &leaf)) == -1)
		return (errno == EBUSY ?
			fail_path(o, "Expected file but got directory: '",
			    "'") :
			fail_errno(o, errno));
	r = write_target(o, dirfd, leaf, &old, &exists);
	if (r == 0)
		r = replace(o, dirfd, leaf, exists ? &old : NULL);
	(void)close(dirfd);
	if (r == -1)
		return (-1);
	result_begin(o, &j);
	jw_kuint(&j, "written", characters(o->content, o->content_len));
	return (result_end(o, &j));
}

/* ---- list ---- */

struct names {
	char **v;
	size_t n, cap;
	bool more; /* there were too many */
};

static int
names_add(struct names *l, const char *name)
{
	size_t cap = l->cap == 0 ? 64 : l->cap * 2;
	char **grown;

	if (l->n == FILEOPS_LIST_MAX) {
		l->more = true;
		return (0);
	}
	if (l->n == l->cap) {
		if ((grown = realloc(l->v, cap * sizeof(*grown))) == NULL)
			return (-1);
		l->v = grown;
		l->cap = cap;
	}
	if ((l->v[l->n] = strdup(name)) == NULL)
		return (-1);
	l->n++;
	return (0);
}

static int
by_name(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

static void
names_free(struct names *l)
{
	while (l->n > 0)
		free(l->v[--l->n]);
	free(l->v);
}

static int
names_read(DIR *d, struct names *l)
{
	const struct dirent *e;

	for (errno = 0; !l->more && (e = readdir(d)) != NULL; errno = 0) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (names_add(l, e->d_name) == -1)
			return (-1);
	}
	if (errno != 0)
		return (-1);
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
	return (0);
}

static void
list_entry(struct jw *j, int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		memset(&st, 0, sizeof(st)); /* gone meanwhile */
	jw_obj(j);
	jw_kstr(j, "name", name);
	jw_kbool(j, "is_dir", S_ISDIR(st.st_mode));
	jw_kuint(j, "size", S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	jw_obj_end(j);
}

static int
list_result(struct op *o, int dirfd, struct names *l)
{
	struct jw j;
	size_t i;

	result_begin(o, &j);
	jw_key(&j, "entries");
	jw_arr(&j);
	for (i = 0; i < l->n && o->out->len < FILEOPS_LIST_BYTES; i++)
		list_entry(&j, dirfd, l->v[i]);
	jw_arr_end(&j);
	jw_kuint(&j, "count", i);
	if (l->more || i < l->n)
		jw_kbool(&j, "truncated", true);
	return (result_end(o, &j));
}

static int
op_list(struct op *o)
{
	struct names l = { 0 };
	struct stat st;
	DIR *d = NULL;
	int fd, r, e;

	fd = open_below(o->root->fd, o->rest, O_RDONLY | O_DIRECTORY);
	if (fd == -1 && errno == ENOTDIR && stat_below(o, &st) == 0)
		return (fail_path(o, "'", "' is not a directory"));
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		e = errno;
		if (fd != -1)
			(void)close(fd);
		return (fail_errno(o, e));
	}
	if (names_read(d, &l) == -1)
		r = fail_errno(o, errno);
	else
		r = list_result(o, dirfd(d), &l);
	names_free(&l);
	(void)closedir(d);
	return (r);
}

/* ---- delete ---- */

static int
remove_entry(struct op *o, int dirfd, const char *leaf, bool *was_dir)
{
	struct stat st;

	if (fstatat(dirfd, leaf, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return (fail_errno(o, errno));
	if (S_ISLNK(st.st_mode))
		return (fail_errno(o, ELOOP));
	*was_dir = S_ISDIR(st.st_mode);
	if (!*was_dir && !S_ISREG(st.st_mode))
		return (fail_special(o));
	if (unlinkat(dirfd, leaf, *was_dir ? AT_REMOVEDIR : 0) == -1)
		return (errno == ENOTEMPTY || errno == EEXIST ?
			fail_path(o, "'",
			    "' is a directory that is not empty") :
			fail_errno(o, errno));
	if (fsync(dirfd) == -1)
		return (fail_path(o,
		    "Deleted, but perhaps not on the disk "
		    "yet: '",
		    "'"));
	return (0);
}

/* Another root may lie below this one: it may not be pulled from under. */
static bool
holds_root(const struct op *o)
{
	const struct root *r;
	size_t n = strlen(o->path);

	for (r = o->f->roots; r < o->f->roots + o->f->nroots; r++)
		if (strncmp(r->name, o->path, n) == 0 &&
		    (r->name[n] == '\0' || r->name[n] == '/'))
			return (true);
	return (false);
}

static int
op_delete(struct op *o)
{
	const char *leaf;
	struct jw j;
	bool was_dir = false;
	int dirfd, r;

	if (holds_root(o))
		return (
		    fail_path(o, "Refusing to delete whitelist root: '", "'"));
	if ((dirfd = open_parent(o, false, &leaf)) == -1)
		return (fail_errno(o, errno));
	r = remove_entry(o, dirfd, leaf, &was_dir);
	(void)close(dirfd);
	if (r == -1)
		return (-1);
	jw_init(&j, o->out, false);
	jw_obj(&j);
	jw_kstr(&j, "deleted", o->path);
	if (was_dir)
		jw_kstr(&j, "type", "directory");
	jw_obj_end(&j);
	return (0);
}

/* ---- the rest ---- */

static int
op_exists(struct op *o)
{
	struct stat st = { 0 };
	struct jw j;
	bool is = stat_below(o, &st) == 0;

	if (!is && errno != ENOENT && errno != ENOTDIR)
		return (fail_errno(o, errno));
	result_begin(o, &j);
	jw_kbool(&j, "exists", is);
	jw_kbool(&j, "is_file", is && S_ISREG(st.st_mode));
	jw_kbool(&j, "is_dir", is && S_ISDIR(st.st_mode));
	return (result_end(o, &j));
}

static int
op_mkdir(struct op *o)
{
	struct jw j;
	int fd = make_path(o, o->rest);

	if (fd == -1 && (errno == ENOTDIR || errno == EEXIST))
		return (fail_path(o, "'", "' is not a directory"));
	if (fd == -1)
		return (fail_errno(o, errno));
	(void)close(fd);
	jw_init(&j, o->out, false);
	jw_obj(&j);
	jw_kstr(&j, "created", shown(o));
	jw_obj_end(&j);
	return (0);
}

static int
op_stat(struct op *o)
{
	char mode[8], when[AX_TS_LEN];
	struct stat st;
	struct jw j;

	if (stat_below(o, &st) == -1)
		return (fail_errno(o, errno));
	(void)snprintf(mode, sizeof(mode), "%04o",
	    (unsigned)st.st_mode & 07777u);
	ax_ts_format(st.st_mtim.tv_sec < 0 ?
		0 :
		(uint64_t)st.st_mtim.tv_sec * 1000000 +
		    (uint64_t)st.st_mtim.tv_nsec / 1000,
	    when);
	result_begin(o, &j);
	jw_kstr(&j, "type",
	    S_ISREG(st.st_mode)	    ? "file" :
		S_ISDIR(st.st_mode) ? "directory" :
				      "other");
	jw_kuint(&j, "size", S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	jw_kstr(&j, "mode", mode);
	jw_kstr(&j, "modified", when);
	return (result_end(o, &j));
}

static const struct operation {
	int (*run)(struct op *);
	bool writes;
} operations[FOP_MAX] = {
	[FOP_READ] = { op_read, false },
	[FOP_WRITE] = { op_write, true },
	[FOP_LIST] = { op_list, false },
	[FOP_DELETE] = { op_delete, true },
	[FOP_EXISTS] = { op_exists, false },
	[FOP_MKDIR] = { op_mkdir, true },
	[FOP_STAT] = { op_stat, false },
};

int
fileops_run(struct fileops *f, enum file_op op, const char *path,
    const void *content, size_t content_len, struct buf *out)
{
	struct op o = { .f = f,
		.out = out,
		.content = content == NULL ? "" : content,
		.content_len = content == NULL ? 0 : content_len };

	if ((unsigned)op >= FOP_MAX) {
		buf_adds(out, "unknown operation");
		return (-1);
	}
	if (op_path(&o, path) == -1)
		return (-1);
	if (operations[op].writes && !o.root->rw)
		return (fail_path(&o, "Permission denied: '",
		    "' lies in a folder that is read-only"));
	return (operations[op].run(&o));
}
