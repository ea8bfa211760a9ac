// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

static const char *const progs[] = {"link_flow", NULL};

static const struct wr_variant variants[] = {
	{"socket filter on packet sockets", WR_FEAT_SOCKET_FILTER | WR_FEAT_RINGBUF | WR_FEAT_BTF,
		progs},
};

static int watch(struct wr_kern *k, struct bpf_object *o, const char *name, struct wr_err *e)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd, rc;

	a.sll_ifindex = (int)if_nametoindex(name);
	if (!a.sll_ifindex)
		return wr_fail(e, -ENODEV, "there is no interface '%s' here", name);
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return wr_fail(e, -errno, "packet socket: %s", strerror(errno));
	rc = wr_kern_filter(k, fd, wr_kern_prog(o, "link_flow"), &a);
	return rc ? wr_fail(e, rc, "watching %s: %s", name, strerror(-rc)) : 0;
}

static int start(struct wr_kern *k, struct bpf_object *o, struct wr_err *e)
{
	char list[512], *at = list, *name;
	int rc = 0;

	wr_copy(list, sizeof(list), wr_str(wr_kern_interfaces(k)));
	while (!rc && (name = strsep(&at, ",")))
		rc = name[0] ? watch(k, o, name, e) : 0;
	return rc;
}

static bool wanted(struct wr_kern *k)
{
	return wr_kern_interfaces(k)[0] != 0;
}

struct wr_sensor wr_sensor_link = {
	.name = "link",
	.help = "flows that pass the chosen interfaces without a local socket",
	.without = "forwarded and bridged traffic is not counted",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
	.start = start,
};
