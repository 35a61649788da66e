/* SPDX-License-Identifier: ISC */
#ifndef AX_STORE_MIGCLI_H
#define AX_STORE_MIGCLI_H

/*
 * `archillx-store -m`: the migrator as a program, started by archillxctl
 * (daemon/ctl/cmd_migrate.c), which tells it all it needs:
 *
 *	-m -d STATE_DIR -n DB_NAME [-e ENGINE] [-u USER] [-j] [-C] [-R]
 *	   VERB [TARGET] [--yes-destroy-audit]
 *
 * -u: make STATE_DIR/db that user's and become that user (root only);
 * -j: JSON; -C: ENABLE_MIGRATION_CHECK is off; -R: REQUIRE_MIGRATION_HEAD is
 * off. argv[0] is the "-m". Returns the exit status: 0 done, 1 failed or
 * refused, 2 usage.
 */
int migcli_main(int argc, char **argv);

#endif
