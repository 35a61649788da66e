/* SPDX-License-Identifier: ISC */
/*
 * What the parent opens before it starts anybody: users, folders, the
 * listening socket, shared memory, cgroups. Runs before READY: anything that
 * cannot be had ends the start with a sentence for the operator.
 */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cgroup.h"
#include "common/log.h"
#include "common/rate_table.h"
#include "common/util.h"
#include "evidence.h"
#include "parent.h"

#define LISTEN_BACKLOG 1024
#define BIND_TRIES     60 /* of 50 ms each */

static void
find_users(void)
{
	const char *prefix = settings_str(parent.settings, SET_USER_PREFIX);
	struct passwd *pw;
	char name[64];
	unsigned i;

	for (i = PROC_PARENT + 1; i < PROC_MAX; i++) {
		if (!parent.as_root) {
			parent.ids[i].uid = geteuid();
			parent.ids[i].gid = getegid();
			continue;
		}
		(void)snprintf(name, sizeof(name), "%s%s", prefix,
		    proc_table[i].user);
		if ((pw = getpwnam(name)) == NULL)
			fatalx(
			    "there is no user %s: make it with \"useradd "
			    "--system --shell /usr/sbin/nologin %s\", or set "
			    "USER_PREFIX",
			    name, name);
		if (pw->pw_uid == 0)
			fatalx("user %s is root", name);
		parent.ids[i].uid = pw->pw_uid;
		parent.ids[i].gid = pw->pw_gid;
	}
}

/* mkdir -p, without changing what exists. */
static void
make_path(const char *path, mode_t mode)
{
	char part[4096];
	size_t i, n = ax_strlcpy(part, path, sizeof(part));
	mode_t old = umask(022);

	if (n >= sizeof(part))
		fatalx("path too long: %s", path);
	for (i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, i == n ? mode : 0755) == -1 && errno != EEXIST)
			fatal("cannot make the folder %s", part);
		part[i] = i == n ? '\0' : '/';
	}
	(void)umask(old);
}

/* A folder that belongs to one process; opened without following links. */
static int
own_dir(const char *path, enum proc_role owner, mode_t mode)
{
	struct stat st;
	int fd;

	make_path(path, mode);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		fatal("cannot open the folder %s", path);
	if (fstat(fd, &st) == -1)
		fatal("%s", path);
	if (owner != PROC_PARENT && parent.as_root &&
	    st.st_uid != parent.ids[owner].uid &&
	    fchown(fd, parent.ids[owner].uid, parent.ids[owner].gid) == -1)
		fatal("cannot give %s to its user", path);
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) == -1)
		fatal("cannot set the mode of %s", path);
	return (fd);
}

static void
open_folders(void)
{
	const char *run = settings_str(parent.settings, SET_RUN_DIR);
	const char *state = settings_str(parent.settings, SET_STATE_DIR);

	make_path(run, 0755);
	make_path(state, 0755);
	(void)snprintf(parent.empty_root, sizeof(parent.empty_root), "%s/empty",
	    run);
	(void)close(own_dir(parent.empty_root, PROC_PARENT, 0555));
	(void)snprintf(parent.db_dir, sizeof(parent.db_dir), "%s/db", state);
	parent.db_fd = own_dir(parent.db_dir, PROC_STORE, 0700);
	parent.evidence_fd =
	    own_dir(settings_str(parent.settings, SET_EVIDENCE_DIR), PROC_AUDIT,
		0700);
	(void)snprintf(parent.log_dir, sizeof(parent.log_dir), "%s/log",
	    settings_str(parent.settings, SET_EVIDENCE_DIR));
	parent.log_fd = own_dir(parent.log_dir, PROC_NOTARY, 0755);
}

static void
open_file_roots(void)
{
	const char *item;
	unsigned n = 0;
	int fd;

	while (settings_item(parent.settings, SET_FILE_WHITELIST, n) != NULL)
		n++;
	parent.nroots = n == 0 ? 1 : n;
	parent.root_fds = calloc(parent.nroots, sizeof(int));
	if (parent.root_fds == NULL)
		fatalx("out of memory");
	if (n == 0) {
		(void)snprintf(parent.files_root, sizeof(parent.files_root),
		    "%s/files", settings_str(parent.settings, SET_STATE_DIR));
		(void)close(own_dir(parent.files_root, PROC_FILES, 0700));
		item = parent.files_root;
	} else {
		item = settings_item(parent.settings, SET_FILE_WHITELIST, 0);
		(void)ax_strlcpy(parent.files_root, item,
		    sizeof(parent.files_root));
	}
	for (n = 0; n < parent.nroots; n++) {
		if (n > 0)
			item = settings_item(parent.settings,
			    SET_FILE_WHITELIST, n);
		fd = open(item, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			fatal("ARCHILLX_FILE_WHITELIST: cannot open %s", item);
		parent.root_fds[n] = fd;
	}
}

static void
name_listener(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[64], port[8];

	if (getsockname(parent.listen_fd, (struct sockaddr *)&ss, &len) == -1 ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port,
		sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		fatal("getsockname");
	(void)snprintf(parent.listen_text, sizeof(parent.listen_text),
	    strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

/*
 * The workers of a parent that was killed hold its listening socket until
 * they are gone themselves, which takes them a moment.
 */
static int
bind_patiently(int fd, const struct addrinfo *ai)
{
	static const struct timespec pause = { 0, 50000000 };
	unsigned tries;

	for (tries = 0; bind(fd, ai->ai_addr, ai->ai_addrlen) == -1; tries++) {
		if (errno != EADDRINUSE || tries == BIND_TRIES)
			return (-1);
		(void)nanosleep(&pause, NULL);
	}
	return (0);
}

static void
open_listener(void)
{
	const char *host = settings_str(parent.settings, SET_HOST);
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *ai;
	int on = 1, fd;

	if (getaddrinfo(host, settings_str(parent.settings, SET_PORT), &hints,
		&ai) != 0)
		fatalx("HOST: \"%s\" is not a numeric address", host);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		fatal("socket");
	if (bind_patiently(fd, ai) == -1)
		fatal("cannot listen on %s port %s", host,
		    settings_str(parent.settings, SET_PORT));
	if (listen(fd, LISTEN_BACKLOG) == -1)
		fatal("listen");
	freeaddrinfo(ai);
	parent.listen_fd = fd;
	name_listener();
}

static int
shared_memory(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || ftruncate(fd, (off_t)size) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		-1)
		fatal("memfd %s", name);
	return (fd);
}

static struct metrics_slot *
make_slot(int *fd)
{
	struct metrics_slot *s;

	*fd = shared_memory("ax-metrics", sizeof(*s));
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (s == MAP_FAILED)
		fatal("mmap metrics");
	s->magic = METRICS_MAGIC;
	return (s);
}

static void
open_shared_memory(void)
{
	unsigned i;

	parent.slot = make_slot(&parent.slot_fd);
	metric_set(parent.slot, MG_STARTED_AT, ax_real_us() / 1000000);
	for (i = 0; i < parent.nprocs; i++)
		parent.procs[i].slot = make_slot(&parent.procs[i].slot_fd);
	parent.rate_fd = shared_memory("ax-rate", rate_table_size());
}

static void
open_cgroups(void)
{
	static struct cgroup_set set;
	char name[256];

	if (*settings_str(parent.settings, SET_CGROUP_DIR) != '\0')
		(void)ax_strlcpy(name,
		    settings_str(parent.settings, SET_CGROUP_DIR),
		    sizeof(name));
	else
		(void)snprintf(name, sizeof(name), "archillx-%d",
		    (int)getpid());
	if (cgroup_prepare(parent.ids[PROC_LAUNCHER].uid, name, &set) == 0)
		parent.cgroup = &set;
	else
		log_warnx("no cgroup for sandboxes (%s): code_exec %s", set.why,
		    settings_bool(parent.settings,
			SET_SANDBOX_ALLOW_NO_CGROUP) ?
			"runs without memory and "
			"process limits" :
			"will refuse to run");
	parent.cgroup_kind = cgroup_variant_name(set.variant);
}

int
resources_lock(void)
{
	int fd, held;

	fd = openat(parent.evidence_fd, ".lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		log_warn("cannot open %s/.lock",
		    settings_str(parent.settings, SET_EVIDENCE_DIR));
		return (-1);
	}
	held = flock(fd, LOCK_EX | LOCK_NB);
	if (held == -1) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

void
resources_open(void)
{
	find_users();
	if (!parent.as_root)
		log_warnx("not started as root: users and chroots are given "
			  "up; no_new_privs, landlock, seccomp and MDWE stay");
	open_folders();
	evidence_open();
	open_file_roots();
	open_listener();
	open_shared_memory();
	open_cgroups();
}

void
resources_close(void)
{
	if (parent.cgroup != NULL)
		cgroup_remove(parent.cgroup);
}
