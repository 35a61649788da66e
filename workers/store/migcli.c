/* SPDX-License-Identifier: ISC */
/*
 * The operator's side of the migrator: verbs, users and folders, what is
 * printed. Runs as root only as long as it takes to read the migrations and to
 * make the database's folder; it never opens the database as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/jw.h"
#include "common/util.h"
#include "workers/store/migcli.h"
#include "workers/store/migrate.h"

#define BUSY_MS	      5000
#define OPEN_TRIES    50 /* 100 ms apart */
#define DESTROY_AUDIT "--yes-destroy-audit"

struct cli {
	const char *dir, *name, *engine, *user;
	bool json, check_off, not_required;
	const char *verb, *target;
	struct migrate_opts opts;
	struct migset set;
	struct db *db;
	char file[160];
	char err[MIG_ERR_LEN];
};

struct verb {
	const char *name;
	const char *target; /* default; NULL: takes none */
	bool writes;
	int (*fn)(struct cli *);
};

static int
complain(struct cli *c)
{
	struct buf b = BUF_INITIALIZER;
	struct jw w;

	if (!c->json) {
		(void)fprintf(stderr, "migrate: %s\n", c->err);
		return (1);
	}
	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kbool(&w, "ok", false);
	jw_kstr(&w, "error", c->err);
	jw_obj_end(&w);
	(void)printf("%s\n", buf_str(&b));
	buf_free(&b);
	return (1);
}

static void
print_note(void *arg, const char *text)
{
	if (!((struct cli *)arg)->json)
		(void)printf("%s\n", text);
	(void)fflush(stdout);
}

/* ---- folder, user, database ---- */

static int
make_dir(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	char *p;

	if (ax_strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	for (p = part + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			return (-1);
		*p = '/';
	}
	return (mkdir(part, mode) == -1 && errno != EEXIST ? -1 : 0);
}

static int
become(struct cli *c, const struct passwd *pw)
{
	if (setgroups(1, &pw->pw_gid) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1 ||
	    setuid(0) == 0) {
		(void)snprintf(c->err, sizeof(c->err), "cannot become user %s",
		    c->user);
		return (-1);
	}
	return (0);
}

static int
enter_folder(struct cli *c, bool make)
{
	const struct passwd *pw = NULL;
	char path[PATH_MAX];
	int fd;

	if (c->user != NULL && geteuid() == 0 &&
	    (pw = getpwnam(c->user)) == NULL) {
		(void)snprintf(c->err, sizeof(c->err), "there is no user %s",
		    c->user);
		return (-1);
	}
	(void)snprintf(path, sizeof(path), "%s/db", c->dir);
	(void)umask(022);
	if (make && make_dir(path, 0700) == -1)
		goto bad;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		goto bad;
	if (pw != NULL && make &&
	    (fchown(fd, pw->pw_uid, pw->pw_gid) == -1 ||
		fchmod(fd, 0700) == -1))
		goto bad;
	(void)umask(077);
	if (fchdir(fd) == -1)
		goto bad;
	(void)close(fd);
	return (pw != NULL ? become(c, pw) : 0);
bad:
	(void)snprintf(c->err, sizeof(c->err), "%.400s: %s", path,
	    strerror(errno));
	return (-1);
}

/* Switching a new file to WAL needs it alone: another migrator may be at it. */
static void
open_db(struct cli *c, bool create)
{
	struct timespec nap = { 0, 100000000 };
	int i;

	for (i = 0; i < OPEN_TRIES && c->db == NULL; i++) {
		if (i > 0)
			(void)nanosleep(&nap, NULL);
		c->db = db_open(c->engine, c->file, create ? DB_CREATE : 0,
		    BUSY_MS, c->err, sizeof(c->err));
		if (c->db == NULL && strstr(c->err, "locked") == NULL)
			return;
	}
}

/* ---- verbs ---- */

static void
read_state(struct cli *c, struct migrate_state *s)
{
	migrate_state_read(s, c->db, c->err, STORE_REVISION, !c->check_off,
	    !c->not_required);
}

static int
print_state(struct cli *c)
{
	struct buf b = BUF_INITIALIZER;
	struct migrate_state s;

	read_state(c, &s);
	migrate_state_json(&s, &b);
	(void)printf("%s\n", buf_str(&b));
	buf_free(&b);
	return (s.ok ? 0 : 1);
}

/* What the runbook looks at: "REVISION (head)". */
static int
do_current(struct cli *c)
{
	struct migrate_state s;

	c->check_off = false;
	read_state(c, &s);
	if (c->json)
		return (print_state(c) == 0 || s.current[0] != '\0' ? 0 : 1);
	if (c->db == NULL ||
	    (s.error[0] != '\0' && strstr(s.error, "no such table") == NULL)) {
		(void)snprintf(c->err, sizeof(c->err), "%.400s", s.error);
		return (complain(c));
	}
	if (s.current[0] != '\0')
		(void)printf("%s%s%s\n", s.current,
		    strcmp(s.status, "head") == 0 ? " (head)" : "",
		    s.drift ? " (drift)" : "");
	return (0);
}

static int
do_check(struct cli *c)
{
	int rc = print_state(c);

	if (c->db != NULL &&
	    migrate_check_past(c->db, &c->set, c->err, sizeof(c->err)) == -1 &&
	    rc == 0) {
		(void)fprintf(stderr, "migrate: %s\n", c->err);
		rc = 1;
	}
	return (rc);
}

/* Newest first, as Alembic prints it. */
static int
do_history(struct cli *c)
{
	struct buf b = BUF_INITIALIZER;
	struct migrate_state s;
	const char *rev;
	struct jw w;
	size_t i;

	read_state(c, &s);
	jw_init(&w, &b, false);
	jw_arr(&w);
	for (i = c->set.n; i-- > 0;) {
		rev = c->set.v[i].rev;
		jw_obj(&w);
		jw_kstr(&w, "revision", rev);
		jw_kstr(&w, "parent", i > 0 ? c->set.v[i - 1].rev : NULL);
		jw_kstr(&w, "name", c->set.v[i].name + MIG_REV_LEN + 1);
		jw_kbool(&w, "current", strcmp(rev, s.current) == 0);
		jw_obj_end(&w);
		if (!c->json)
			(void)printf("%s -> %s%s%s, %s\n",
			    i > 0 ? c->set.v[i - 1].rev : "<base>", rev,
			    i == c->set.n - 1 ? " (head)" : "",
			    strcmp(rev, s.current) == 0 ? " (current)" : "",
			    c->set.v[i].name + MIG_REV_LEN + 1);
	}
	jw_arr_end(&w);
	if (c->json)
		(void)printf("%s\n", buf_str(&b));
	buf_free(&b);
	return (0);
}

static int
do_plan(struct cli *c)
{
	struct buf b = BUF_INITIALIZER;
	int rc;

	rc =
	    migrate_plan(c->db, &c->set, c->target, &b, c->err, sizeof(c->err));
	if (rc == 0)
		(void)fputs(buf_str(&b), stdout);
	buf_free(&b);
	return (rc == 0 ? 0 : complain(c));
}

static int
finish(struct cli *c, int rc)
{
	if (rc == -1)
		return (complain(c));
	if (c->json) {
		(void)print_state(c);
		return (0);
	}
	return (do_current(c));
}

static int
do_upgrade(struct cli *c)
{
	return (finish(c,
	    migrate_upgrade(c->db, &c->set, c->target, &c->opts, c->err,
		sizeof(c->err))));
}

static int
do_downgrade(struct cli *c)
{
	return (finish(c,
	    migrate_downgrade(c->db, &c->set, c->target, &c->opts, c->err,
		sizeof(c->err))));
}

static int
do_stamp(struct cli *c)
{
	return (finish(c,
	    migrate_stamp(c->db, &c->set, c->target, &c->opts, c->err,
		sizeof(c->err))));
}

static const struct verb verbs[] = {
	{ "upgrade", "head", true, do_upgrade },
	{ "downgrade", "", true, do_downgrade },
	{ "stamp", "", true, do_stamp },
	{ "current", NULL, false, do_current },
	{ "history", NULL, false, do_history },
	{ "plan", "head", false, do_plan },
	{ "check", NULL, false, do_check },
	{ "state", NULL, false, do_check },
};

/* ---- the command line ---- */

static int
usage(const char *why)
{
	(void)fprintf(stderr,
	    "migrate: %s\n"
	    "usage: archillxctl migrate upgrade [head|+N|REVISION]\n"
	    "                           downgrade -N|base|REVISION [%s]\n"
	    "                           stamp head|base|REVISION\n"
	    "                           current | history | check\n"
	    "                           plan [head|+N|REVISION]\n",
	    why, DESTROY_AUDIT);
	return (2);
}

/* Options stop at the verb: "-1" behind it is a target. */
static int
parse_options(struct cli *c, int argc, char **argv)
{
	int ch;

	opterr = 0; /* it would name us "-m" */
	while ((ch = getopt(argc, argv, "+d:n:e:u:jCR")) != -1) {
		switch (ch) {
		case 'd':
			c->dir = optarg;
			break;
		case 'n':
			c->name = optarg;
			break;
		case 'e':
			c->engine = optarg;
			break;
		case 'u':
			c->user = optarg;
			break;
		case 'j':
			c->json = true;
			break;
		case 'C':
			c->check_off = true;
			break;
		case 'R':
			c->not_required = true;
			break;
		default:
			return (-1);
		}
	}
	return (c->dir == NULL || c->name == NULL ? -1 : optind);
}

static const struct verb *
parse_verb(struct cli *c, int argc, char **argv)
{
	const struct verb *v = NULL;
	size_t i;
	int k;

	for (i = 0; argc > 0 && i < AX_NELEM(verbs); i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			v = &verbs[i];
	if (v == NULL)
		return (NULL);
	for (k = 1; k < argc; k++) {
		if (strcmp(argv[k], DESTROY_AUDIT) == 0)
			c->opts.destroy_audit = true;
		else if (c->target == NULL && v->target != NULL)
			c->target = argv[k];
		else
			return (NULL);
	}
	if (c->target == NULL)
		c->target = v->target;
	if (c->target != NULL && *c->target == '\0')
		return (NULL);
	return (v);
}

static int
run_verb(struct cli *c, const struct verb *v)
{
	char dir[PATH_MAX];
	int rc;

	if (migset_dir(c->engine, dir, sizeof(dir)) == -1) {
		(void)snprintf(c->err, sizeof(c->err),
		    "the migrations are not installed");
		return (complain(c));
	}
	if (migset_load(&c->set, dir, c->err, sizeof(c->err)) == -1)
		return (complain(c));
	if (enter_folder(c, v->writes) == 0) {
		c->err[0] = '\0';
		open_db(c, v->writes);
	} else if (!v->writes && errno != ENOENT) {
		return (complain(c));
	}
	if (c->db == NULL && v->writes)
		rc = complain(c);
	else
		rc = v->fn(c);
	db_close(c->db);
	migset_free(&c->set);
	return (rc);
}

int
migcli_main(int argc, char **argv)
{
	struct cli c = { .engine = "sqlite", .opts = migrate_defaults };
	const struct verb *v;
	int at;

	c.opts.note = print_note;
	c.opts.arg = &c;
	if ((at = parse_options(&c, argc, argv)) == -1)
		return (usage("bad options"));
	if ((v = parse_verb(&c, argc - at, argv + at)) == NULL)
		return (usage("what is to be done?"));
	(void)snprintf(c.file, sizeof(c.file), "%s.db", c.name);
	return (run_verb(&c, v));
}
