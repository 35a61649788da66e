/* SPDX-License-Identifier: ISC */
/*
 * TEST BUILDS ONLY (--enable-probe): a confined worker tries what it must not
 * be able to do and tells the errno of each attempt. Run with CONFINEMENT=errno
 * to see the filter answer, with CONFINEMENT=off to see landlock, the chroot
 * and the lost capabilities answer by themselves.
 */
#ifdef AX_PROBE
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/jw.h"
#include "common/util.h"
#include "confine.h"

static int
try_open_root(void)
{
	return (open("/", O_RDONLY | O_DIRECTORY));
}

static int
try_open_passwd(void)
{
	return (open("/etc/passwd", O_RDONLY));
}

static int
try_create(void)
{
	return (open("/tmp/archillx-probe", O_WRONLY | O_CREAT, 0600));
}

static int
try_connect_tcp(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	if (fd == -1)
		return (-1);
	r = connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	/* Refused by the other side means that nothing stopped us. */
	if (r == -1 && errno == ECONNREFUSED)
		r = 0;
	(void)close(fd);
	return (r);
}

static int
try_connect_unix(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), r;

	if (fd == -1)
		return (-1);
	(void)ax_strlcpy(sun.sun_path, "/run/docker.sock",
	    sizeof(sun.sun_path));
	r = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	(void)close(fd);
	return (r);
}

static int
try_mount(void)
{
	return (mount("none", "/", "tmpfs", 0, NULL));
}

static int
try_chroot(void)
{
	return (chroot("/"));
}

static int
try_setuid(void)
{
	return (setuid(0) == -1 || geteuid() != 0 ? -1 : 0);
}

static int
try_kill_parent(void)
{
	return (kill(getppid(), 0));
}

static int
try_unshare(void)
{
	return (unshare(CLONE_NEWNET));
}

void
confine_probe(struct buf *b)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} tries[] = {
		{ "open_root", try_open_root },
		{ "open_passwd", try_open_passwd },
		{ "create_file", try_create },
		{ "connect_tcp", try_connect_tcp },
		{ "connect_unix", try_connect_unix },
		{ "mount", try_mount },
		{ "chroot", try_chroot },
		{ "setuid", try_setuid },
		{ "kill_parent", try_kill_parent },
		{ "unshare_net", try_unshare },
	};
	struct jw w;
	size_t i;
	int r;

	jw_init(&w, b, false);
	jw_obj(&w);
	for (i = 0; i < AX_NELEM(tries); i++) {
		errno = 0;
		r = tries[i].fn();
		jw_kint(&w, tries[i].name,
		    r == -1 ? (errno != 0 ? errno : EPERM) : 0);
	}
	jw_obj_end(&w);
}
#endif
