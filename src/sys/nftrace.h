/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nftables rule dropped a packet, by the kernel's own tracing: a table of ours marks what shall be traced and
 * decides nothing. The table belongs to a socket of this process (NFT_TABLE_F_OWNER, 5.12): the kernel removes it
 * when the process ends, however it ends.
 */
#ifndef WR_NFTRACE_H
#define WR_NFTRACE_H

#include "../base/base.h"
#include "../base/ip.h"

#define WR_NFTRACE_RATE 20u /* packets a second that one match traces: a flood costs little */

struct wr_nft_drop {
	char family[8], table[64], chain[64];
	uint64_t handle; /* 0: the chain's policy */
	char text[256]; /* the rule as nft lists it, or "policy drop" */
	struct wr_ip src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct wr_nftrace;

/* In the namespace @netns (a descriptor). -EPERM, -EOPNOTSUPP... with words in @e. */
int wr_nftrace_open(int netns, struct wr_nftrace **ret, struct wr_err *e);
void wr_nftrace_close(struct wr_nftrace *t);
/* Traces packets to @dst, of @proto and to @port (0: any); at most 32 matches. */
int wr_nftrace_match(struct wr_nftrace *t, const struct wr_ip *dst, uint8_t proto, uint16_t port,
	struct wr_err *e);
/* Hands on the drops that were seen since the last call; never waits. */
void wr_nftrace_read(
	struct wr_nftrace *t, void (*fn)(void *ctx, const struct wr_nft_drop *d), void *ctx);

#endif
