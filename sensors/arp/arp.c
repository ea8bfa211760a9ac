// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

static const char *const progs[] = {"arp_packet", NULL};

static const struct wr_variant variants[] = {
	{"socket filter on a packet socket (namespace of the agent)",
		WR_FEAT_SOCKET_FILTER | WR_FEAT_RINGBUF | WR_FEAT_BTF, progs},
};

static int start(struct wr_kern *k, struct bpf_object *o, struct wr_err *e)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	int fd, rc;

	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return wr_fail(e, -errno, "packet socket: %s", strerror(errno));
	rc = wr_kern_filter(k, fd, wr_kern_prog(o, "arp_packet"), &a);
	return rc ? wr_fail(e, rc, "packet socket: %s", strerror(-rc)) : 0;
}

struct wr_sensor wr_sensor_arp = {
	.name = "arp",
	.help = "who asks by ARP for whom",
	.without = "scans by ARP are not seen",
	.variants = variants,
	.n_variants = WR_N(variants),
	.start = start,
};
