/* SPDX-License-Identifier: Apache-2.0 */
/* Every TCP and UDP socket of the current namespace with its queues, as ss shows them (sock_diag(7)). */
#ifndef WR_DIAG_H
#define WR_DIAG_H

#include "../base/base.h"
#include "../base/ip.h"

struct wr_diag_sock {
	uint8_t proto, state; /* IPPROTO_*, TCP_* of netinet/tcp.h; UDP: 1 connected, 7 not */
	struct wr_ip ip, peer;
	uint16_t port, peer_port;
	uint32_t inode, uid; /* inode 0: no process has it (yet, or any more) */
	/* a listener: connections that wait, and how many may; else bytes not read, not acknowledged */
	uint32_t rqueue, wqueue;
	bool memory; /* the following is known */
	uint32_t rmem, rcvbuf, wmem, sndbuf, drops; /* bytes with the kernel's overhead; packets */
	uint32_t expires_ms, retries; /* of a half-open connection: of the SYN+ACK's timer */
};

typedef void (*wr_diag_fn)(void *ctx, const struct wr_diag_sock *s);
/* Hands each one to @fn; 0 or -errno. */
int wr_diag_each(wr_diag_fn fn, void *ctx);

#endif
