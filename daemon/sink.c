/* SPDX-License-Identifier: ISC */
/*
 * Handing checkpoints to the operator's sink, so that copies leave the host. A
 * mount or a command may hang or fail as long as it likes: the parent only
 * forks, watches a pidfd and a timer, and never touches the sink's path itself.
 * What runs is the notary's user with the checkpoint on standard input and no
 * other descriptor of ours.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/note.h"
#include "common/tiles.h"
#include "common/util.h"
#include "parent.h"
#include "sink.h"

#define RUN_LIMIT_S   30
#define LAST_LIMIT_S  5 /* of the last run of all, which a stop waits for */
#define CHECK_LIMIT_S 5
#define SECOND	      UINT64_C(1000000)
#define GAP_US	      200000 /* between two starts, however fast news comes */
#define RETRY_MAX_S   60
#define WORDS_MAX     64
#define OUTPUT_MAX    4096 /* of what it says, the first bytes are kept */
#define VALUE_MAX     1024

static struct {
	char *note; /* the newest; NULL: none yet */
	size_t n;
	bool due; /* the sink has not taken it yet */

	pid_t pid; /* of the one that runs, not reaped; 0: none */
	int pidfd;
	int out_fd;	       /* what it writes to 1 and 2 */
	struct event *exit_ev; /* while one runs */
	bool late;	       /* killed for taking too long */
	bool covers;	       /* what it was given is still the newest */

	struct event *timer; /* limit of a run, or the next try */
	unsigned delay_s;
	uint64_t started_us;
	enum { SINK_UNKNOWN, SINK_GOOD, SINK_BAD } state;
	char value[VALUE_MAX]; /* of the setting, when it was last looked at */
	bool ending;
} S;

static void sink_start(void);

static const char *
value(void)
{
	return (settings_str(parent.settings, SET_CHECKPOINT_SINK));
}

static int
pidfd_of(pid_t pid)
{
	return ((int)syscall(SYS_pidfd_open, pid, 0));
}

/* ---- the child ---- */

/* A memfd at offset 0 that holds the bytes and cannot be changed. */
static int
note_fd(void)
{
	int fd = memfd_create("checkpoint", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return (-1);
	if (ax_write_all(fd, S.note, S.n) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1 ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) ==
		-1) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

/* A memfd of fixed size: whoever writes more is told so, and nobody waits. */
static int
output_fd(void)
{
	int fd = memfd_create("sink-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd != -1 &&
	    (ftruncate(fd, OUTPUT_MAX) == -1 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == -1)) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

static void __attribute__((noreturn)) child_fail(const char *what)
{
	(void)dprintf(STDERR_FILENO, "%s: %s", what, strerror(errno));
	_exit(127);
}

/* The notary's user, no group but its own, nothing to gain by exec. */
static void
child_drop(pid_t above)
{
	const struct ids *id = &parent.ids[PROC_NOTARY];
	static const struct rlimit files = { 1024, 1024 }, core = { 0, 0 };

	(void)setsid();
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_CORE, &core);
	if (parent.as_root &&
	    (setgroups(0, NULL) == -1 ||
		setresgid(id->gid, id->gid, id->gid) == -1 ||
		setresuid(id->uid, id->uid, id->uid) == -1))
		child_fail("cannot become the notary's user");
	/* Behind the change of user, which clears it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != above)
		_exit(127);
	(void)umask(022);
	if (chdir("/") == -1)
		child_fail("/");
}

static void
child_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	(void)sigaction(SIGPIPE, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Words between blanks; there is no quoting. The number. */
static unsigned
split(char *text, char *argv[WORDS_MAX + 1])
{
	char *save = NULL, *w;
	unsigned n = 0;

	for (w = strtok_r(text, " \t", &save); w != NULL && n < WORDS_MAX;
	     w = strtok_r(NULL, " \t", &save))
		argv[n++] = w;
	argv[n] = NULL;
	return (n);
}

/* A folder goes to our own program, anything else is a command line. */
static void __attribute__((noreturn)) child_exec(char *text)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
			     "/usr/bin:/sbin:/bin",
		    lang[] = "LANG=C.UTF-8", home[] = "HOME=/";
	char *envp[] = { path, lang, home, NULL };
	char *argv[WORDS_MAX + 1], own[4200];
	struct stat st;

	if (stat(text, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)snprintf(own, sizeof(own),
		    parent.in_build_tree ? "%s/sink/archillx-sink" :
					   "%s/archillx-sink",
		    parent.workers_dir);
		argv[0] = own;
		argv[1] = text;
		argv[2] = NULL;
	} else if (split(text, argv) == 0)
		_exit(127);
	(void)execve(argv[0], argv, envp);
	child_fail(argv[0]);
}

static void __attribute__((noreturn)) child(int in, int out, pid_t above)
{
	char text[VALUE_MAX];

	(void)ax_strlcpy(text, value(), sizeof(text));
	/* Above what is going to be replaced. */
	if ((in = fcntl(in, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    (out = fcntl(out, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    dup2(in, 0) == -1 || dup2(out, 1) == -1 || dup2(out, 2) == -1)
		_exit(127);
	(void)close_range(3, ~0U, 0);
	child_signals();
	child_drop(above);
	child_exec(text);
}

/* ---- what came of it ---- */

/* The first line that it wrote, or how it ended; log_line() escapes it. */
static void
reason(const siginfo_t *si, char *out, size_t size)
{
	char said[OUTPUT_MAX / 8];
	ssize_t n = pread(S.out_fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (S.late)
		(void)snprintf(out, size, "not done after %d s: killed",
		    RUN_LIMIT_S);
	else if (si->si_code == CLD_EXITED)
		(void)snprintf(out, size, "%s (exit status %d)",
		    said[0] != '\0' ? said : "failed", si->si_status);
	else
		(void)snprintf(out, size, "killed by signal %d", si->si_status);
}

static void
arm(uint64_t us)
{
	struct timeval tv = { (time_t)(us / SECOND),
		(suseconds_t)(us % SECOND) };

	if (S.timer != NULL)
		(void)evtimer_add(S.timer, &tv);
}

static void
succeeded(void)
{
	metric_inc(parent.slot, MC_SINK_SENT);
	metric_set(parent.slot, MG_SINK_OK, 1);
	if (S.state != SINK_GOOD)
		log_info("CHECKPOINT_SINK: %s takes the checkpoints", S.value);
	S.state = SINK_GOOD;
	S.delay_s = 0;
	if (S.covers)
		S.due = false;
	if (S.due)
		sink_start();
}

static void
failed(const char *why)
{
	metric_inc(parent.slot, MC_SINK_FAILURES);
	metric_set(parent.slot, MG_SINK_OK, 0);
	if (S.state != SINK_BAD)
		log_warnx(
		    "CHECKPOINT_SINK: %s did not take a checkpoint: %s. "
		    "It is tried again with the newest, as the user %s%s, "
		    "who needs the right to; nothing is lost on this "
		    "host",
		    S.value, why,
		    parent.as_root ?
			settings_str(parent.settings, SET_USER_PREFIX) :
			"",
		    parent.as_root ? "notary" : "that runs this");
	S.state = SINK_BAD;
	S.delay_s = S.delay_s == 0	? 1 :
	    S.delay_s * 2 > RETRY_MAX_S ? RETRY_MAX_S :
					  S.delay_s * 2;
	if (!S.ending)
		arm(S.delay_s * SECOND);
}

static void
clean_up(void)
{
	event_free(S.exit_ev);
	S.exit_ev = NULL;
	(void)evtimer_del(S.timer);
	(void)close(S.pidfd);
	(void)close(S.out_fd);
	S.pid = 0;
	S.late = false;
}

/* With its descendants: not reaped yet, so the group is ours to name. */
static void
end_run(void)
{
	(void)kill(-S.pid, SIGKILL);
	(void)syscall(SYS_pidfd_send_signal, S.pidfd, SIGKILL, NULL, 0);
}

static void
sink_exited(evutil_socket_t fd, short what, void *arg)
{
	siginfo_t si = { 0 };
	char why[OUTPUT_MAX / 4];
	bool other = strcmp(S.value, value()) != 0;

	end_run();
	if (waitid((idtype_t)P_PIDFD, (id_t)S.pidfd, &si, WEXITED) == -1)
		fatal("sink: waitid");
	reason(&si, why, sizeof(why));
	clean_up();
	if (other) /* changed meanwhile: the new one gets it */
		sink_on_reload();
	else if (si.si_code == CLD_EXITED && si.si_status == 0)
		succeeded();
	else
		failed(why);
	if (S.ending && S.pid == 0) {
		if (!S.covers)
			sink_start();
		S.due = false; /* one try is enough now */
		stop_on_progress();
	}
}

/* The run took too long, or the next try is due. */
static void
sink_timer(evutil_socket_t fd, short what, void *arg)
{
	if (S.pid == 0) {
		sink_start();
		return;
	}
	if (S.ending) {
		sink_abandon();
		stop_on_progress();
		return;
	}
	/* What hangs in the kernel dies when it is let go of, not before. */
	S.late = true;
	end_run();
	if (S.state != SINK_BAD)
		log_warnx("CHECKPOINT_SINK: %s has not taken a checkpoint for "
			  "%d s: killed; tried again when it is gone",
		    S.value, RUN_LIMIT_S);
	S.state = SINK_BAD;
	metric_set(parent.slot, MG_SINK_OK, 0);
}

/* ---- starting ---- */

static int
watch(void)
{
	if ((S.pidfd = pidfd_of(S.pid)) == -1)
		return (-1);
	S.exit_ev = event_new(parent.base, S.pidfd, EV_READ, sink_exited, NULL);
	return (S.exit_ev == NULL ? -1 : event_add(S.exit_ev, NULL));
}

static void
sink_start(void)
{
	uint64_t now = ax_mono_us();
	pid_t me = getpid();
	int in = -1, out = -1;

	if (S.pid != 0 || !S.due || *value() == '\0')
		return;
	if (S.timer == NULL &&
	    (S.timer = evtimer_new(parent.base, sink_timer, NULL)) == NULL)
		return;
	if (!S.ending && now - S.started_us < GAP_US) {
		arm(GAP_US - (now - S.started_us));
		return;
	}
	S.started_us = now;
	(void)ax_strlcpy(S.value, value(), sizeof(S.value));
	if ((in = note_fd()) == -1 || (out = output_fd()) == -1 ||
	    (S.pid = fork()) == -1) {
		S.pid = 0;
		failed(strerror(errno));
		if (out != -1)
			(void)close(out);
	} else if (S.pid == 0)
		child(in, out, me);
	else {
		if (watch() == -1)
			fatal("sink: cannot watch a child");
		S.out_fd = out;
		S.covers = true;
		arm((S.ending ? LAST_LIMIT_S : RUN_LIMIT_S) * SECOND);
	}
	if (in != -1)
		(void)close(in);
}

void
sink_put(const char *note, size_t n)
{
	char *copy;

	if (n > NOTE_READ_MAX || (copy = malloc(n == 0 ? 1 : n)) == NULL)
		return;
	memcpy(copy, note, n);
	free(S.note);
	S.note = copy;
	S.n = n;
	S.due = true;
	S.covers = false;
	/* While one fails, the timer goes on at its own pace. */
	if (S.pid == 0 && (S.delay_s == 0 || S.ending))
		sink_start();
}

void
sink_on_reload(void)
{
	if (strcmp(S.value, value()) == 0)
		return;
	if (S.pid != 0) {
		end_run(); /* and come back when it is gone */
		return;
	}
	if (S.timer != NULL)
		(void)evtimer_del(S.timer);
	(void)ax_strlcpy(S.value, value(), sizeof(S.value));
	S.state = SINK_UNKNOWN;
	S.delay_s = 0;
	metric_set(parent.slot, MG_SINK_OK, 0);
	S.due = S.note != NULL;
	sink_start();
}

/* ---- the end ---- */

/* The last checkpoint may have been written when nobody listened any more. */
static void
fetch_last(void)
{
	char text[NOTE_MAX];
	struct stat st;
	ssize_t n;
	int fd;

	fd = openat(parent.log_fd, LOG_CHECKPOINT,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return;
	n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		st.st_uid == parent.ids[PROC_NOTARY].uid ?
	    pread(fd, text, sizeof(text), 0) :
	    -1;
	(void)close(fd);
	if (n > 0 && n < (ssize_t)sizeof(text) &&
	    (S.note == NULL || S.n != (size_t)n ||
		memcmp(S.note, text, S.n) != 0))
		sink_put(text, (size_t)n);
}

bool
sink_last(void)
{
	if (*value() == '\0')
		return (false);
	if (!S.ending) {
		S.ending = true;
		fetch_last();
		sink_start();
		if (S.pid != 0)
			arm(LAST_LIMIT_S * SECOND);
	}
	return (S.pid != 0);
}

void
sink_abandon(void)
{
	S.ending = true;
	S.due = false;
	if (S.pid == 0)
		return;
	log_warnx("CHECKPOINT_SINK: %s has not taken the last checkpoint",
	    S.value);
	end_run();
	clean_up();
}

/* ---- checking a value ---- */

/* In a child: 0, or the error that the value has. */
static int
look(char *text)
{
	char *argv[WORDS_MAX + 1];
	struct stat st;

	if (stat(text, &st) == 0 && S_ISDIR(st.st_mode))
		return (0);
	if (split(text, argv) == 0 || stat(argv[0], &st) == -1)
		return (errno);
	if (!S_ISREG(st.st_mode) || access(argv[0], X_OK) == -1)
		return (ENOEXEC);
	return (0);
}

static void
reap(evutil_socket_t fd, short what, void *arg)
{
	siginfo_t si;

	(void)waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED);
	(void)close((int)fd);
}

/* An errno; ETIMEDOUT: there is no knowing. */
static int
look_in_child(const char *text)
{
	struct pollfd pfd = { .events = POLLIN };
	siginfo_t si = { 0 };
	char copy[VALUE_MAX];
	pid_t pid;

	(void)ax_strlcpy(copy, text, sizeof(copy));
	if ((pid = fork()) == 0) {
		/* If it hangs, it must not keep a lock or a listener alive. */
		(void)close_range(3, ~0U, 0);
		_exit(look(copy) & 255);
	}
	if (pid == -1 || (pfd.fd = pidfd_of(pid)) == -1)
		return (errno);
	if (poll(&pfd, 1, CHECK_LIMIT_S * 1000) == 1) {
		(void)waitid((idtype_t)P_PIDFD, (id_t)pfd.fd, &si, WEXITED);
		(void)close(pfd.fd);
		return (si.si_code == CLD_EXITED ? si.si_status : EIO);
	}
	(void)syscall(SYS_pidfd_send_signal, pfd.fd, SIGKILL, NULL, 0);
	if (parent.base == NULL ||
	    event_base_once(parent.base, pfd.fd, EV_READ, reap, NULL, NULL) ==
		-1)
		(void)close(pfd.fd);
	return (ETIMEDOUT);
}

void
sink_check(const struct settings *s, struct conf_errors *errs)
{
	const char *text = settings_str(s, SET_CHECKPOINT_SINK), *why;
	int error;

	if (*text == '\0' ||
	    (parent.settings != NULL &&
		settings_equal(parent.settings, s, SET_CHECKPOINT_SINK)))
		return;
	if (*text != '/')
		why = "it does not begin with an absolute path";
	else if ((error = look_in_child(text)) == 0 ||
	    (error == EACCES && geteuid() != 0))
		return;
	else
		why = error == ENOEXEC ?
		    "neither a folder nor a program that can be run" :
		    error == ETIMEDOUT ? "its file system does not answer" :
					 strerror(error);
	conf_error(errs, settings_origin(s, SET_CHECKPOINT_SINK), 0,
	    "CHECKPOINT_SINK: \"%s\": %s", text, why);
}
