/* SPDX-License-Identifier: ISC */
/*
 * The parent's part in the evidence: it opens the keys, which nobody else may
 * reach by name, and makes the names under which the checkpoints are found.
 * It signs nothing and keeps no key's bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/keyfile.h"
#include "common/log.h"
#include "common/tiles.h"
#include "common/util.h"
#include "evidence.h"
#include "parent.h"

bool
evidence_signing(const struct settings *s)
{
	return (settings_enum(s, SET_AUDIT_SIGNING) == 0);
}

/* -1 with errno, and the sentence for the operator in err. */
static int
open_signing(const struct settings *s, struct vkey *pub, char *err,
    size_t errlen)
{
	const char *dir = settings_str(s, SET_STATE_DIR);
	char why[4400];
	int fd, save;

	fd = keyfile_open_signing(dir, pub, why, sizeof(why));
	if (fd != -1)
		return (fd);
	save = errno;
	if (errno == ENOENT)
		(void)snprintf(err, errlen,
		    "AUDIT_SIGNING=required but there is no %s/" KEYFILE_SIGNING
		    ": make it with archillxctl key new-signing, or say "
		    "AUDIT_SIGNING=off",
		    dir);
	else
		(void)snprintf(err, errlen,
		    "AUDIT_SIGNING=required but the key cannot be used: %s",
		    why);
	errno = save;
	return (-1);
}

/* Of the error in errno: one who may not look at the keys knows nothing. */
static bool
may_tell(void)
{
	return (errno != EACCES || geteuid() == 0);
}

void
evidence_check(const struct settings *s, struct conf_errors *errs)
{
	char err[4800];
	int fd;

	fd = keyfile_open_secrets(settings_str(s, SET_STATE_DIR), err,
	    sizeof(err));
	if (fd != -1)
		(void)close(fd);
	else if (errno != ENOENT && may_tell())
		conf_error(errs, settings_origin(s, SET_STATE_DIR), 0, "%s",
		    err);
	if (!evidence_signing(s))
		return;
	fd = open_signing(s, NULL, err, sizeof(err));
	if (fd != -1)
		(void)close(fd);
	else if (may_tell())
		conf_error(errs, settings_origin(s, SET_AUDIT_SIGNING), 0, "%s",
		    err);
}

/* The checkpoints' names at the top of the evidence. */
static void
make_links(void)
{
	static const struct {
		const char *to, *name;
	} links[] = {
		{ LOG_DIR "/" LOG_CHECKPOINT, LOG_CHECKPOINT },
		{ LOG_DIR "/" LOG_CHECKPOINTS, LOG_CHECKPOINTS },
	};
	unsigned i;

	for (i = 0; i < AX_NELEM(links); i++) {
		if (symlinkat(links[i].to, parent.evidence_fd, links[i].name) ==
			-1 &&
		    errno != EEXIST)
			log_warn("cannot make the link %s/%s",
			    settings_str(parent.settings, SET_EVIDENCE_DIR),
			    links[i].name);
	}
}

static void
open_secrets(void)
{
	char err[4400];

	parent.secrets_fd =
	    keyfile_open_secrets(settings_str(parent.settings, SET_STATE_DIR),
		err, sizeof(err));
	if (parent.secrets_fd != -1)
		return;
	if (errno != ENOENT)
		fatalx("%s", err);
	log_warnx("there is no %s/" KEYFILE_SECRETS ": archillxctl key "
		  "new-signing makes it",
	    settings_str(parent.settings, SET_STATE_DIR));
}

void
evidence_open(void)
{
	char err[4800];
	struct vkey pub;

	make_links();
	open_secrets();
	if (!evidence_signing(parent.settings)) {
		log_warnx("AUDIT_SIGNING=off: there are no checkpoints, and "
			  "nothing proves the journal");
		return;
	}
	parent.signing_fd =
	    open_signing(parent.settings, &pub, err, sizeof(err));
	if (parent.signing_fd == -1)
		fatalx("%s", err);
	vkey_format(&pub, parent.signing);
	log_info("checkpoints are signed with %s", parent.signing);
}
