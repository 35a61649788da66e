/* SPDX-License-Identifier: ISC */
/* The service manager's notification socket; see notify.h. */
#include <sys/socket.h>
#include <sys/un.h>

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "notify.h"

static int notify_fd = -1;

void
notify_open(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n;

	if (path == NULL || (*path != '/' && *path != '@'))
		return;
	n = ax_strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if (n >= sizeof(sun.sun_path)) {
		log_warnx("NOTIFY_SOCKET is too long");
		return;
	}
	if (*path == '@')
		sun.sun_path[0] = '\0';
	notify_fd =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify_fd == -1 ||
	    connect(notify_fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) ==
		-1) {
		log_warn("NOTIFY_SOCKET");
		if (notify_fd != -1)
			(void)close(notify_fd);
		notify_fd = -1;
	}
	(void)unsetenv("NOTIFY_SOCKET");
}

void
notify_send(const char *state)
{
	if (notify_fd != -1 &&
	    send(notify_fd, state, strlen(state), MSG_NOSIGNAL) == -1)
		log_debug("notify: not sent");
}

void
notify_reloading(void)
{
	char text[80];

	(void)snprintf(text, sizeof(text),
	    "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, ax_mono_us());
	notify_send(text);
}
