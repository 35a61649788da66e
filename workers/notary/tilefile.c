/* SPDX-License-Identifier: ISC */
/*
 * Files of the log, written so that a reader, a crash or a full disk never
 * sees half of one. A file whose fsync failed is thrown away and written anew:
 * the kernel tells such an error once. Must never write in place, and never
 * outside the folder it was given.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "workers/notary/tilefile.h"

#define FOLDER_MODE 0755

void
tilefile_init(struct tilefile *t, const struct jio *io, int dirfd)
{
	memset(t, 0, sizeof(*t));
	t->io = io;
	t->dirfd = dirfd;
}

static void
tmp_name(char out[TILE_PATH_MAX], unsigned i)
{
	(void)snprintf(out, TILE_PATH_MAX, TILEFILE_TMP "/%u", i);
}

/* "tile/0/x001/234" is in "tile/0/x001", "checkpoint" in ".". */
static void
parent_of(const char *path, char out[TILE_PATH_MAX])
{
	char *slash;

	(void)ax_strlcpy(out, path, TILE_PATH_MAX);
	if ((slash = strrchr(out, '/')) != NULL)
		*slash = '\0';
	else
		(void)ax_strlcpy(out, ".", TILE_PATH_MAX);
}

bool
tilefile_add(struct tilefile *t, const char *path, const void *data, size_t len,
    mode_t mode)
{
	if (t->n == TILEFILE_MAX)
		return (false);
	(void)ax_strlcpy(t->v[t->n].path, path, sizeof(t->v[t->n].path));
	t->v[t->n].data = data;
	t->v[t->n].len = len;
	t->v[t->n].mode = mode;
	t->v[t->n].fd = -1;
	t->n++;
	return (true);
}

/* ---- the steps: 0, or -1 with errno and t->what ---- */

static int
step_write(struct tilefile *t, unsigned i)
{
	char tmp[TILE_PATH_MAX];

	tmp_name(tmp, i);
	t->what = "create";
	if (t->io->unlinkat(t->dirfd, tmp, 0) == -1 && errno != ENOENT)
		return (-1);
	t->v[i].fd = t->io->openat(t->dirfd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, t->v[i].mode);
	if (t->v[i].fd == -1)
		return (-1);
	t->what = "write";
	if (jio_write_all(t->io, t->v[i].fd, t->v[i].data, t->v[i].len) == -1)
		return (-1);
	/* A hint: what it could not do, fsync does, and says. */
	(void)sync_file_range(t->v[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return (0);
}

static int
step_sync(struct tilefile *t, unsigned i)
{
	t->what = "fsync";
	if (t->io->fsync(t->v[i].fd) == -1)
		return (-1);
	(void)t->io->close(t->v[i].fd);
	t->v[i].fd = -1;
	return (0);
}

/* mkdir -p of the folder that `path` is in. */
static int
make_folders(struct tilefile *t, const char *path)
{
	char part[TILE_PATH_MAX];
	size_t i;

	t->deep = true;
	(void)ax_strlcpy(part, path, sizeof(part));
	for (i = 0; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		part[i] = '\0';
		if (t->io->mkdirat(t->dirfd, part, FOLDER_MODE) == -1 &&
		    errno != EEXIST)
			return (-1);
		part[i] = '/';
	}
	return (0);
}

static void
note_folder(struct tilefile *t, const char *dir)
{
	unsigned i;

	for (i = 0; i < t->ndirs; i++)
		if (strcmp(t->dir[i], dir) == 0)
			return;
	if (t->ndirs < AX_NELEM(t->dir))
		(void)ax_strlcpy(t->dir[t->ndirs++], dir, sizeof(t->dir[0]));
}

static int
step_rename(struct tilefile *t, unsigned i)
{
	char tmp[TILE_PATH_MAX], dir[TILE_PATH_MAX];

	parent_of(t->v[i].path, dir);
	note_folder(t, dir);
	tmp_name(tmp, i);
	t->what = "rename";
	if (t->io->renameat2(t->dirfd, tmp, t->dirfd, t->v[i].path, 0) == -1) {
		if (errno != ENOENT)
			return (-1);
		t->what = "folder";
		if (make_folders(t, t->v[i].path) == -1 ||
		    t->io->renameat2(t->dirfd, tmp, t->dirfd, t->v[i].path,
			0) == -1)
			return (-1);
	}
	return (0);
}

/* An earlier life may have made a folder and not have synced those above. */
static bool
is_known(const struct tilefile *t, const char *dir)
{
	unsigned i;

	for (i = 0; i < TILEFILE_KNOWN; i++)
		if (strcmp(t->known[i], dir) == 0)
			return (true);
	return (false);
}

static int
step_folder(struct tilefile *t, unsigned i)
{
	char dir[TILE_PATH_MAX], up[TILE_PATH_MAX];
	bool deep = t->deep || !is_known(t, t->dir[i]), more = true;

	t->what = "fsync of a folder";
	(void)ax_strlcpy(dir, t->dir[i], sizeof(dir));
	do {
		if (jio_sync_dir(t->io, t->dirfd, dir) == -1)
			return (-1);
		more = deep && strcmp(dir, ".") != 0;
		parent_of(dir, up);
		memcpy(dir, up, sizeof(dir));
	} while (more);
	if (!is_known(t, t->dir[i]))
		memcpy(t->known[t->nknown++ % TILEFILE_KNOWN], t->dir[i],
		    sizeof(t->known[0]));
	return (0);
}

/* ---- the batch ---- */

static void
close_all(struct tilefile *t)
{
	unsigned i;

	for (i = 0; i < t->n; i++) {
		if (t->v[i].fd != -1)
			(void)t->io->close(t->v[i].fd);
		t->v[i].fd = -1;
	}
	t->phase = TF_WRITE;
	t->at = t->ndirs = 0;
}

void
tilefile_drop(struct tilefile *t)
{
	char tmp[TILE_PATH_MAX];
	unsigned i;

	close_all(t);
	for (i = 0; i < t->n; i++) {
		tmp_name(tmp, i);
		(void)t->io->unlinkat(t->dirfd, tmp, 0);
	}
	t->n = 0;
}

static void
remove_temporaries(struct tilefile *t)
{
	unsigned n = t->n;

	tilefile_drop(t);
	t->n = n;
}

int
tilefile_step(struct tilefile *t)
{
	static int (*const steps[])(struct tilefile *, unsigned) = {
		[TF_WRITE] = step_write,
		[TF_SYNC] = step_sync,
		[TF_RENAME] = step_rename,
		[TF_FOLDERS] = step_folder,
	};
	unsigned end = t->phase == TF_FOLDERS ? t->ndirs : t->n;
	int saved;

	if (t->at < end) {
		if (steps[t->phase](t, t->at) == -1) {
			saved = errno;
			remove_temporaries(t);
			errno = saved;
			return (-1);
		}
		t->at++;
		return (0);
	}
	t->at = 0;
	if (t->phase != TF_FOLDERS) {
		t->phase++;
		return (0);
	}
	t->phase = TF_WRITE;
	t->n = t->ndirs = 0;
	t->deep = false;
	return (1);
}

/* ---- looking and removing ---- */

static int
open_file(const struct jio *io, int dirfd, const char *path, size_t len)
{
	struct stat st;
	int fd;

	fd = io->openat(dirfd, path,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	if (io->fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)len) {
		(void)io->close(fd);
		return (-1);
	}
	return (fd);
}

bool
tilefile_there(const struct jio *io, int dirfd, const char *path, size_t len)
{
	int fd = open_file(io, dirfd, path, len);

	if (fd != -1)
		(void)io->close(fd);
	return (fd != -1);
}

bool
tilefile_same(const struct jio *io, int dirfd, const char *path,
    const void *data, size_t len)
{
	char b[TILE_WIDTH * MERKLE_HASH];
	bool same;
	int fd;

	if (len > sizeof(b) || (fd = open_file(io, dirfd, path, len)) == -1)
		return (false);
	same = io->pread(fd, b, len, 0) == (ssize_t)len &&
	    memcmp(b, data, len) == 0;
	(void)io->close(fd);
	return (same);
}

/* Unlinks what is in a folder and is none of the two names. */
static int
empty_folder(const struct jio *io, int dirfd, const char *path,
    const char *keep, const char *keep2)
{
	struct dirent *e;
	int fd, r = 0;
	DIR *d;

	fd = io->openat(dirfd, path,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	if ((d = fdopendir(fd)) == NULL) {
		(void)io->close(fd);
		return (-1);
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, keep) == 0 ||
		    strcmp(e->d_name, keep2) == 0)
			continue;
		if (io->unlinkat(fd, e->d_name, 0) == -1)
			r = -1;
	}
	(void)closedir(d);
	return (r);
}

int
tilefile_sweep(const struct jio *io, int dirfd)
{
	if (io->mkdirat(dirfd, TILEFILE_TMP, 0700) == -1 && errno != EEXIST)
		return (-1);
	return (empty_folder(io, dirfd, TILEFILE_TMP, "", ""));
}

void
tilefile_drop_partials(const struct jio *io, int dirfd, unsigned level,
    uint64_t index, unsigned keep, unsigned keep2)
{
	char path[TILE_PATH_MAX], dir[TILE_PATH_MAX], a[12] = "", b[12] = "";

	tile_path(path, level, index, 1);
	parent_of(path, dir);
	if (keep > 0)
		(void)snprintf(a, sizeof(a), "%u", keep);
	if (keep2 > 0)
		(void)snprintf(b, sizeof(b), "%u", keep2);
	if (empty_folder(io, dirfd, dir, a, b) == 0 && keep == 0 && keep2 == 0)
		(void)io->unlinkat(dirfd, dir, AT_REMOVEDIR);
}
