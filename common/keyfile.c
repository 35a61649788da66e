/* SPDX-License-Identifier: ISC */
/*
 * Opening and making the key files. A key that others could have read or put
 * there is refused; a key that exists is never written to again; no key's bytes
 * stay in memory behind a call.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/keyfile.h"
#include "common/util.h"

#define PATH_SIZE 4200

/* Opened and judged by its metadata; -1 with errno and err. */
static int
open_private(const char *path, char *err, size_t errlen)
{
	struct stat st;
	int fd;

	fd = open(path,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1) {
		(void)snprintf(err, errlen, "%s: %s", path, strerror(errno));
		return (-1);
	}
	if (fstat(fd, &st) == -1)
		(void)snprintf(err, errlen, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		(void)snprintf(err, errlen, "%s: not a regular file", path);
	else if ((st.st_mode & 077) != 0)
		(void)snprintf(err, errlen,
		    "%s: its mode %04o lets others in: chmod 600, and make a "
		    "new one if somebody may have read it",
		    path, (unsigned)st.st_mode & 07777);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		(void)snprintf(err, errlen,
		    "%s: belongs to uid %u: chown it to root", path,
		    (unsigned)st.st_uid);
	else
		return (fd);
	(void)close(fd);
	errno = EINVAL;
	return (-1);
}

/* At most size bytes from the start; more is reported as size + 1. */
static ssize_t
contents(int fd, char *out, size_t size)
{
	size_t have = 0;
	ssize_t n;
	char more;

	while (have < size) {
		n = pread(fd, out + have, size - have, (off_t)have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (-1);
		if (n == 0)
			return ((ssize_t)have);
		have += (size_t)n;
	}
	n = pread(fd, &more, 1, (off_t)have);
	explicit_bzero(&more, sizeof(more));
	return (n == -1 ? -1 : (ssize_t)have + n);
}

static int
wrong(int fd, const char *path, const char *what, char *err, size_t errlen)
{
	(void)snprintf(err, errlen, "%s: %s", path, what);
	(void)close(fd);
	errno = EINVAL;
	return (-1);
}

int
keyfile_open_signing(const char *state_dir, struct vkey *pub, char *err,
    size_t errlen)
{
	char path[PATH_SIZE], text[SKEY_TEXT_MAX + 2];
	struct skey key;
	ssize_t n;
	int fd, r = -1;

	(void)snprintf(path, sizeof(path), "%s/" KEYFILE_SIGNING, state_dir);
	if ((fd = open_private(path, err, errlen)) == -1)
		return (-1);
	n = contents(fd, text, sizeof(text) - 1);
	if (n > 0 && n < (ssize_t)sizeof(text)) {
		text[n] = '\0';
		if (strlen(text) == (size_t)n)
			r = skey_parse(text, &key);
	}
	explicit_bzero(text, sizeof(text));
	if (r == -1)
		return (wrong(fd, path,
		    "not a signing key as archillxctl key new-signing makes it",
		    err, errlen));
	if (pub != NULL)
		*pub = key.pub;
	skey_wipe(&key);
	return (fd);
}

int
keyfile_open_secrets(const char *state_dir, char *err, size_t errlen)
{
	char path[PATH_SIZE], key[SECRETS_KEY_LEN];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/" KEYFILE_SECRETS, state_dir);
	if ((fd = open_private(path, err, errlen)) == -1)
		return (-1);
	n = contents(fd, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	if (n != SECRETS_KEY_LEN)
		return (wrong(fd, path, "not a key of 32 bytes", err, errlen));
	return (fd);
}

/* ---- making ---- */

/* A new file with the text, synced. */
static int
write_new(int dirfd, const char *name, const void *text, size_t n)
{
	int fd, r, save;

	fd = openat(dirfd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return (-1);
	r = fchmod(fd, 0600);
	if (r == 0)
		r = ax_write_all(fd, text, n);
	if (r == 0)
		r = fsync(fd);
	save = errno;
	(void)close(fd);
	errno = save;
	return (r);
}

int
keyfile_make(const char *state_dir, const char *name, const void *text,
    size_t n)
{
	char temp[64], hex[17];
	uint8_t rnd[8];
	int dirfd, r, save;

	dirfd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd == -1)
		return (-1);
	ax_random(rnd, sizeof(rnd));
	ax_hex(rnd, sizeof(rnd), hex);
	(void)snprintf(temp, sizeof(temp), ".%.32s.%s", name, hex);
	r = write_new(dirfd, temp, text, n);
	if (r == 0)
		r = renameat2(dirfd, temp, dirfd, name, RENAME_NOREPLACE);
	save = errno;
	if (r == -1)
		(void)unlinkat(dirfd, temp, 0);
	else if ((r = fsync(dirfd)) == -1)
		save = errno;
	(void)close(dirfd);
	errno = save;
	return (r);
}
