/* SPDX-License-Identifier: ISC */
#ifndef AX_HTTP_SERVER_H
#define AX_HTTP_SERVER_H

#include <stdint.h>
#include "workers/http/http.h"

/*
 * The server: the shared listening socket, the connections and their limits.
 * One per process, driven by ctx->base.
 */
struct auth_table;
struct http_server;
struct rate_table;

/*
 * Takes over the listening socket (non-blocking) and the mapped rate table
 * (NULL: limiting counts nothing). NULL with errno when there is no memory.
 */
struct http_server *server_new(struct http_ctx *, int listener,
    struct rate_table *, int max_connections);

/*
 * Takes over a table of credentials and reads the limits again from
 * ctx->settings. Requests already begun keep what they have.
 */
void server_configure(struct http_server *, struct auth_table *);

/* Opens the gate: accepts connections. */
void server_start(struct http_server *);

/*
 * Stops accepting, closes idle connections, lets requests finish with
 * "connection: close". done() is called once, when the last one is gone.
 */
void server_drain(struct http_server *, void (*done)(void *), void *arg);

#endif
