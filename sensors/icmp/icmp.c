// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

#include <netinet/in.h>
#include <sys/socket.h>

static const char *const both[] = {"icmp_v4", "icmp_v6", NULL};

static const struct wr_variant variants[] = {
	{"socket filter on raw ICMP sockets (namespace of the agent)",
		WR_FEAT_SOCKET_FILTER | WR_FEAT_RINGBUF | WR_FEAT_BTF, both},
};

static int add(struct wr_kern *k, struct bpf_object *o, int family, int proto, const char *prog)
{
	int small = 1, fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return wr_kern_filter(k, fd, wr_kern_prog(o, prog), NULL);
}

static int start(struct wr_kern *k, struct bpf_object *o, struct wr_err *e)
{
	int rc = add(k, o, AF_INET, IPPROTO_ICMP, "icmp_v4");

	if (rc)
		return wr_fail(e, rc, "raw ICMP socket: %s", strerror(-rc));
	rc = add(k, o, AF_INET6, IPPROTO_ICMPV6, "icmp_v6");
	return rc == -EAFNOSUPPORT ? 0 : rc; /* IPv6 may be off */
}

struct wr_sensor wr_sensor_icmp = {
	.name = "icmp",
	.help = "ICMP errors, joined to the flow that they speak about",
	.without = "failed connects have an errno but not the router that refused",
	.variants = variants,
	.n_variants = WR_N(variants),
	.start = start,
};
