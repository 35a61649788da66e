/* SPDX-License-Identifier: ISC */
/*
 * What this machine's disk and scheduler allow at best, for make bench: records
 * a second that are appended and made durable by fdatasync before they are
 * answered. Alone: one process, one record, one fdatasync. Group: N clients
 * over a socket to one writer that commits what has arrived with one writev and
 * one fdatasync, as the audit process does, but without anything else of its
 * work. Prints "name value" lines; measures, judges nothing.
 *
 * usage: fsync_floor DIR [SECONDS [CLIENTS...]]	(default: 3 s; 1 16 64)
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"

#define RECORD	   600 /* a decision's line and an outcome's are about that */
#define CLIENT_MAX 256

static char record[RECORD];

static int
open_log(const char *dir)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/fsync-floor.%d", dir,
		(int)getpid()) >= (int)sizeof(path))
		errx(1, "%s: too long", dir);
	if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600)) ==
	    -1)
		err(1, "%s", path);
	(void)unlink(path);
	/* As the journal does: space ahead, so that only data is synced. */
	(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 64 << 20);
	return (fd);
}

static double
alone(const char *dir, uint64_t usec)
{
	uint64_t t0, n = 0;
	int fd = open_log(dir);

	t0 = ax_mono_us();
	while (ax_mono_us() - t0 < usec) {
		if (ax_write_all(fd, record, sizeof(record)) == -1 ||
		    fdatasync(fd) == -1)
			err(1, "write");
		n++;
	}
	(void)close(fd);
	return ((double)n * 1e6 / (double)(ax_mono_us() - t0));
}

/* Asks, waits for the answer, asks again, until its parent ends it. */
static void
client(int s)
{
	char b;

	for (;;) {
		if (send(s, record, sizeof(record), MSG_NOSIGNAL) == -1 ||
		    recv(s, &b, 1, 0) != 1)
			_exit(0);
	}
}

static pid_t
client_start(int *s)
{
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		(void)close(sv[0]);
		client(sv[1]);
	}
	(void)close(sv[1]);
	*s = sv[0];
	return (pid);
}

/* One commit of all that has arrived; the number of records in it. */
static unsigned
commit(int fd, struct pollfd *p, unsigned n)
{
	static char in[CLIENT_MAX][RECORD];
	struct iovec iov[CLIENT_MAX];
	unsigned who[CLIENT_MAX], i, k = 0;

	for (i = 0; i < n; i++) {
		if ((p[i].revents & POLLIN) == 0 ||
		    recv(p[i].fd, in[k], RECORD, 0) != RECORD)
			continue;
		iov[k].iov_base = in[k];
		iov[k].iov_len = RECORD;
		who[k++] = i;
	}
	if (k == 0)
		return (0);
	if (writev(fd, iov, (int)k) != (ssize_t)(k * RECORD) ||
	    fdatasync(fd) == -1)
		err(1, "commit");
	for (i = 0; i < k; i++)
		(void)send(p[who[i]].fd, "", 1, MSG_NOSIGNAL);
	return (k);
}

static double
group(const char *dir, unsigned clients, uint64_t usec)
{
	struct pollfd p[CLIENT_MAX];
	pid_t pids[CLIENT_MAX];
	uint64_t t0, n = 0;
	double rate;
	unsigned i;
	int fd = open_log(dir);

	for (i = 0; i < clients; i++) {
		pids[i] = client_start(&p[i].fd);
		p[i].events = POLLIN;
	}
	t0 = ax_mono_us();
	while (ax_mono_us() - t0 < usec) {
		if (poll(p, clients, 1000) > 0)
			n += commit(fd, p, clients);
	}
	rate = (double)n * 1e6 / (double)(ax_mono_us() - t0);
	for (i = 0; i < clients; i++) {
		(void)close(p[i].fd);
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	(void)close(fd);
	return (rate);
}

static void
groups(const char *dir, uint64_t usec, int n, char *const *given)
{
	static char *const usual[] = { "1", "16", "64" };
	int64_t clients;
	int i;

	if (n == 0) {
		given = usual;
		n = (int)AX_NELEM(usual);
	}
	for (i = 0; i < n; i++) {
		if (ax_strtonum(given[i], 1, CLIENT_MAX, &clients) == -1)
			errx(2, "clients: 1 to %d", CLIENT_MAX);
		printf("group_%d %.0f\n", (int)clients,
		    group(dir, (unsigned)clients, usec));
	}
}

int
main(int argc, char **argv)
{
	int64_t seconds = 3;
	uint64_t usec;

	if (argc < 2 ||
	    (argc > 2 && ax_strtonum(argv[2], 1, 600, &seconds) == -1)) {
		(void)fprintf(stderr,
		    "usage: fsync_floor DIR [SECONDS [CLIENTS...]]\n");
		return (2);
	}
	usec = (uint64_t)seconds * 1000000;
	memset(record, 'x', sizeof(record));
	record[sizeof(record) - 1] = '\n';
	printf("alone %.0f\n", alone(argv[1], usec));
	groups(argv[1], usec, argc > 3 ? argc - 3 : 0, argv + 3);
	return (0);
}
