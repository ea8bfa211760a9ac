// SPDX-License-Identifier: Apache-2.0
#include "arp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

struct arp {
	uint16_t hardware, protocol;
	uint8_t hardware_len, protocol_len;
	uint16_t op;
	uint8_t mac[6], ip[4], target_mac[6], target[4];
} __attribute__((packed));

int wr_arp_open(void)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* One that is new among @n of them. */
static unsigned note(uint8_t (*ret)[6], unsigned n, unsigned max, const uint8_t *mac)
{
	for (unsigned i = 0; i < n; i++) {
		if (!memcmp(ret[i], mac, 6))
			return n;
	}
	if (n < max)
		memcpy(ret[n++], mac, 6);
	return n;
}

int wr_arp_ask(int fd, uint32_t ifindex, const uint8_t mac[6], const struct wr_ip *from,
	const struct wr_ip *who, unsigned wait_ms, uint8_t (*ret)[6], unsigned max)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = (int)ifindex,
		.sll_halen = 6,
		.sll_addr = {255, 255, 255, 255, 255, 255}};
	struct arp a = {.hardware = htons(ARPHRD_ETHER),
		.protocol = htons(ETH_P_IP),
		.hardware_len = 6,
		.protocol_len = 4,
		.op = htons(ARPOP_REQUEST)};
	uint64_t now = wr_now(), end = now + wait_ms * 1000000ull;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	unsigned n = 0;

	if (!wr_ip_is4(from) || !wr_ip_is4(who))
		return -EAFNOSUPPORT;
	memcpy(a.mac, mac, 6);
	memcpy(a.ip, (const uint8_t *)from + 12, 4);
	memcpy(a.target, (const uint8_t *)who + 12, 4);
	if (bind(fd, (void *)&to, sizeof(to)) ||
		sendto(fd, &a, sizeof(a), 0, (void *)&to, sizeof(to)) < 0)
		return -errno;
	for (; now < end; now = wr_now()) {
		struct arp got;

		if (recv(fd, &got, sizeof(got), 0) == sizeof(got)) {
			if (got.op == htons(ARPOP_REPLY) && !memcmp(got.ip, a.target, 4))
				n = note(ret, n, max, got.mac);
		} else if (poll(&p, 1, (int)((end - now) / 1000000 + 1)) < 0 && errno != EINTR) {
			break;
		}
	}
	/* of all protocols and interfaces nothing more is taken */
	to = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
	bind(fd, (void *)&to, sizeof(to));
	return (int)n;
}
