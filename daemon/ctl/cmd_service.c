/* SPDX-License-Identifier: ISC */
/* Verbs about the running service. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const char *
text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return (s != NULL ? s : "");
}

static long long
number(const json_t *o, const char *key)
{
	return ((long long)json_integer_value(json_object_get(o, key)));
}

static const char *
yesno(const json_t *o, const char *key)
{
	return (json_is_true(json_object_get(o, key)) ? "yes" : "no");
}

static void
print_status(const json_t *r)
{
	json_t *p;
	size_t i;

	(void)printf("archillxd %s, pid %lld, listening on %s, generation "
		     "%lld\n",
	    text(r, "version"), number(r, "pid"), text(r, "listen"),
	    number(r, "generation"));
	(void)printf("ready %s, gate open %s, store %s, sandbox %s, cgroup "
		     "%s\n",
	    yesno(r, "ready"), yesno(r, "gate_open"), yesno(r, "store_ok"),
	    yesno(r, "sandbox_ok"), text(r, "cgroup"));
	(void)printf("signing %s%s, checkpoint over %lld lines\n",
	    text(r, "signing"),
	    json_is_true(json_object_get(r, "signing_ok")) ? "" :
							     ": NOT SIGNED NOW",
	    number(r, "checkpoint_seq"));
	if (*text(r, "sink") != '\0')
		(void)printf("sink %s: %s\n", text(r, "sink"),
		    json_is_true(json_object_get(r, "sink_ok")) ?
			"ok" :
			"HAS NOT TAKEN A CHECKPOINT");
	if (*text(r, "reduced") != '\0')
		(void)printf("%s\n", text(r, "reduced"));
	(void)printf("\n%-10s %-3s %-11s %7s %9s %8s %8s %s\n", "PROCESS", "NO",
	    "STATE", "PID", "UPTIME", "RESTARTS", "LANDLOCK", "SECCOMP");
	json_array_foreach(json_object_get(r, "processes"), i, p)
		(void)printf("%-10s %-3lld %-11s %7lld %8llds %8lld %8lld "
			     "%s\n",
		    text(p, "name"), number(p, "instance"), text(p, "state"),
		    number(p, "pid"), number(p, "uptime_s"),
		    number(p, "restarts"), number(p, "landlock_abi"),
		    text(p, "seccomp"));
}

int
cmd_status(struct ctl *c, int argc, char **argv)
{
	json_t *r;
	int status;

	if (argc != 0)
		return (ctl_usage("status takes no argument"));
	if ((status = ctl_request(c, "status", json_object(), &r)) != CTL_DONE)
		return (status);
	if (c->json)
		(void)ctl_print_json(r);
	else
		print_status(r);
	json_decref(r);
	return (CTL_DONE);
}

int
cmd_version(struct ctl *c, int argc, char **argv)
{
	json_t *r;
	int status;

	if (argc != 0)
		return (ctl_usage("version takes no argument"));
	if (!c->json)
		(void)printf("archillxctl %s\n", PACKAGE_VERSION);
	if ((status = ctl_request(c, "version", json_object(), &r)) != CTL_DONE)
		return (status);
	if (c->json)
		(void)ctl_print_json(r);
	else
		(void)printf("archillxd %s (libevent %s, jansson %s)\n",
		    text(r, "version"), text(r, "libevent"),
		    text(r, "jansson"));
	json_decref(r);
	return (CTL_DONE);
}

static void
print_names(const char *what, const json_t *list)
{
	json_t *s;
	size_t i;

	json_array_foreach(list, i, s)
		(void)printf("%s%s", i == 0 ? what : ", ",
		    json_string_value(s));
	if (json_array_size(list) > 0)
		(void)putchar('\n');
}

int
cmd_reload(struct ctl *c, int argc, char **argv)
{
	json_t *r;
	int status;

	if (argc != 0)
		return (ctl_usage("reload takes no argument"));
	if ((status = ctl_request(c, "reload", json_object(), &r)) != CTL_DONE)
		return (status);
	if (c->json)
		(void)ctl_print_json(r);
	else {
		(void)printf("generation %lld is in force\n",
		    number(r, "generation"));
		print_names("changed: ", json_object_get(r, "changed"));
		print_names("needs a restart: ",
		    json_object_get(r, "needs_restart"));
	}
	json_decref(r);
	return (CTL_DONE);
}

/* A verb whose result is of no interest but to programs. */
static int
plain(struct ctl *c, const char *verb, json_t *args, const char *said)
{
	json_t *r;
	int status = ctl_request(c, verb, args, &r);

	if (status == CTL_DONE && c->json)
		(void)ctl_print_json(r);
	else if (status == CTL_DONE)
		(void)printf("%s\n", said);
	json_decref(r);
	return (status);
}

int
cmd_stop(struct ctl *c, int argc, char **argv)
{
	if (argc != 0)
		return (ctl_usage("stop takes no argument"));
	return (plain(c, "stop", json_object(), "stopped"));
}

int
cmd_log_level(struct ctl *c, int argc, char **argv)
{
	if (argc != 1)
		return (ctl_usage("log level takes one word"));
	return (plain(c, "log-level", json_pack("{s:s}", "level", argv[0]),
	    "done"));
}

int
cmd_skill_enable(struct ctl *c, int argc, char **argv)
{
	if (argc != 1)
		return (ctl_usage("skill enable takes one name"));
	return (plain(c, "skill.enable", json_pack("{s:s}", "name", argv[0]),
	    "enabled"));
}

int
cmd_skill_disable(struct ctl *c, int argc, char **argv)
{
	if (argc != 1)
		return (ctl_usage("skill disable takes one name"));
	return (plain(c, "skill.disable", json_pack("{s:s}", "name", argv[0]),
	    "disabled"));
}

int
cmd_probe(struct ctl *c, int argc, char **argv)
{
	json_t *r;
	int status = ctl_request(c, "probe", json_object(), &r);

	if (status == CTL_DONE)
		(void)ctl_print_json(r);
	json_decref(r);
	return (status);
}
