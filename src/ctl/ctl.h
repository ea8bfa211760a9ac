/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's unix socket. A client sends one line; the agent answers "ok\n" or "error: why\n", then
 *   stream KIND SCHEMA [EXPR]  wr_pack() frames until either side closes; live connections first
 *   watch KIND SCHEMA [EXPR]   the same without the live connections; SCHEMA is wr_schema_hash() in hex
 *   get NAME             frames of "sensors", "counters" or "rules", or text of "config", "log", "audit", "metrics";
 *                        then the end
 *   set NAME VALUE...    "log MODULE LEVEL", "reload", "stop", "guard LINE" (actors/guard/guard.h): root and the
 *                        agent's own user only
 *   hello                text: version, schema hash, pid
 * Every client has a bounded queue: when it is full, records are dropped and counted for that client,
 * nobody else waits. Peer credentials are checked: root, the agent's user, and members of its group.
 */
#ifndef WR_CTL_H
#define WR_CTL_H

#include "../event/event.h"
#include "../event/filter.h"
#include "../sys/loop.h"

#define WR_SOCKET "/run/weir/weir.sock"

struct wr_server;

/* Who is at the other end, by its credentials (SO_PEERCRED). */
struct wr_peer {
	uint32_t uid, pid;
};

struct wr_server_hooks {
	void *ctx;
	/* Records for a new stream or for "get": hands each to @fn. */
	void (*snapshot)(void *ctx, struct wr_str name, wr_sink_fn fn, void *fn_ctx);
	/* Why no record of this kind will come, NULL = they come. */
	const char *(*missing)(void *ctx, enum wr_kind_id kind);
	/* Text for "get" or the effect of "set"; -errno and @e when refused. */
	int (*text)(void *ctx, struct wr_str name, struct wr_buf *ret);
	int (*set)(void *ctx, const struct wr_peer *who, struct wr_str what, struct wr_buf *ret,
		struct wr_err *e);
};

/* Takes over a socket that nobody answers on; -EADDRINUSE when an agent does. */
int wr_server_open(const char *path, struct wr_loop *l, const struct wr_server_hooks *h,
	struct wr_server **ret, struct wr_err *e);
void wr_server_close(struct wr_server *s);
/* Hands one record to every client that asked for it. */
void wr_server_publish(struct wr_server *s, const struct wr_event *e);
struct wr_server_stats {
	uint32_t clients;
	uint64_t sent, dropped, refused;
};
void wr_server_stats(const struct wr_server *s, struct wr_server_stats *ret);

/* Connects and sends @line. A descriptor, or -ENOENT (no agent), -EACCES, -EPROTO with the agent's words. */
int wr_client_open(const char *path, const char *line, struct wr_err *e);
/* Sends @line and adds the text of the answer to @ret. As wr_client_open(). */
int wr_client_ask(const char *path, const char *line, struct wr_buf *ret, struct wr_err *e);
/* Reads frames from a connected socket as they come. */
struct wr_client {
	int fd;
	size_t n;
	uint8_t buf[65536];
};
/* Reads once and hands the records on. Their number, 0 = nothing now, -EPIPE = the agent closed. */
int wr_client_read(struct wr_client *c, wr_sink_fn fn, void *ctx);

#endif
