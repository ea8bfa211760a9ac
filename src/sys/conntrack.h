/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's table of tracked connections (ctnetlink): what is in it, and what happens to it. */
#ifndef WR_CONNTRACK_H
#define WR_CONNTRACK_H

#include "../base/base.h"
#include "../base/ip.h"

/* A tracked connection. As it was asked for, and who answers: another one where its destination was changed. */
struct wr_ct {
	enum { WR_CT_THERE, WR_CT_NEW, WR_CT_CHANGED, WR_CT_GONE } event;
	uint32_t id; /* unique while it is in the table */
	uint8_t proto;
	struct wr_ip client, front, back;
	uint16_t client_port, front_port, back_port; /* 0 where the protocol has none */
	bool balanced; /* its destination was changed (DNAT) */
	bool replied; /* something came back */
	bool up; /* and it was no refusal: TCP came up */
	uint64_t bytes_to_server, bytes_to_client; /* 0 without nf_conntrack_acct */
};

/* Events from now on, of the current namespace; a descriptor for poll(), -errno. */
int wr_ct_open(void);
/* Takes what is there without waiting; 0, -ENOBUFS: some were lost, -errno. */
int wr_ct_read(int fd, void (*fn)(void *ctx, const struct wr_ct *c), void *ctx);
/* Every one that is in the table now; 0 or -errno. */
int wr_ct_dump(void (*fn)(void *ctx, const struct wr_ct *c), void *ctx);

#endif
