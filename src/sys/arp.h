/* SPDX-License-Identifier: Apache-2.0 */
/* Asking by ARP (RFC 826) who has an address: two stations that answer are one too many (RFC 5227). */
#ifndef WR_ARP_H
#define WR_ARP_H

#include "../base/base.h"
#include "../base/ip.h"

/* A packet socket of the current namespace, which takes nothing yet; or -errno. */
int wr_arp_open(void);
/*
 * Asks on interface @ifindex once, as @from with @mac, and waits @wait_ms for all who answer: their addresses,
 * at most @max different ones. Their number; -errno.
 */
int wr_arp_ask(int fd, uint32_t ifindex, const uint8_t mac[6], const struct wr_ip *from,
	const struct wr_ip *who, unsigned wait_ms, uint8_t (*ret)[6], unsigned max);

#endif
