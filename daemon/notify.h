/* SPDX-License-Identifier: ISC */
#ifndef AX_NOTIFY_H
#define AX_NOTIFY_H

/*
 * sd_notify(3)'s protocol without libsystemd: opens NOTIFY_SOCKET and takes it
 * out of the environment, so that no worker can speak for the service.
 * Everything is a no-op when there is none.
 */
void notify_open(void);
/* One datagram, e.g. "READY=1\nSTATUS=...". Never blocks, never fails. */
void notify_send(const char *state);
/* "RELOADING=1" with the MONOTONIC_USEC that systemd wants beside it. */
void notify_reloading(void);

#endif
