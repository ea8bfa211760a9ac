// SPDX-License-Identifier: Apache-2.0
#include "diag.h"
#include "nl.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

struct call {
	wr_diag_fn fn;
	void *ctx;
	uint8_t proto;
};

static struct wr_ip ip_of(uint8_t family, const __be32 *a)
{
	return family == AF_INET ? wr_ip4(a) : wr_ip6(a);
}

static void on_socket(void *ctx, const struct nlmsghdr *h)
{
	const struct call *c = ctx;
	const struct inet_diag_msg *m = wr_nl_body(h);
	struct wr_diag_sock s = {.proto = c->proto,
		.state = m->idiag_state,
		.ip = ip_of(m->idiag_family, m->id.idiag_src),
		.peer = ip_of(m->idiag_family, m->id.idiag_dst),
		.port = ntohs(m->id.idiag_sport),
		.peer_port = ntohs(m->id.idiag_dport),
		.inode = m->idiag_inode,
		.uid = m->idiag_uid,
		.rqueue = m->idiag_rqueue,
		.wqueue = m->idiag_wqueue,
		.expires_ms = m->idiag_expires,
		.retries = m->idiag_retrans};

	WR_NL_EACH(a, h, struct inet_diag_msg)
	{
		uint32_t v[SK_MEMINFO_VARS] = {0};

		if (a->rta_type != INET_DIAG_SKMEMINFO)
			continue;
		memcpy(v, wr_nl_data(a), wr_min(RTA_PAYLOAD(a), sizeof(v)));
		s.memory = true;
		s.rmem = v[SK_MEMINFO_RMEM_ALLOC];
		s.rcvbuf = v[SK_MEMINFO_RCVBUF];
		/* of TCP what is written and not acknowledged, of datagrams what the devices still have */
		s.wmem =
			v[c->proto == IPPROTO_TCP ? SK_MEMINFO_WMEM_QUEUED : SK_MEMINFO_WMEM_ALLOC];
		s.sndbuf = v[SK_MEMINFO_SNDBUF];
		s.drops = v[SK_MEMINFO_DROPS];
	}
	c->fn(c->ctx, &s);
}

int wr_diag_each(wr_diag_fn fn, void *ctx)
{
	static const struct {
		uint8_t family, proto;
	} kinds[] = {{AF_INET, IPPROTO_TCP}, {AF_INET6, IPPROTO_TCP}, {AF_INET, IPPROTO_UDP},
		{AF_INET6, IPPROTO_UDP}};
	int fd = wr_nl_open(NETLINK_SOCK_DIAG), rc = 0;

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < WR_N(kinds) && !rc; i++) {
		struct inet_diag_req_v2 m = {.sdiag_family = kinds[i].family,
			.sdiag_protocol = kinds[i].proto,
			.idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
			.idiag_states = UINT32_MAX};
		struct wr_nl_request q;

		wr_nl_begin(&q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &m, sizeof(m));
		rc = wr_nl_ask(fd, &q, on_socket, &(struct call){fn, ctx, kinds[i].proto});
		if (rc == -ENOENT && kinds[i].proto == IPPROTO_UDP)
			rc = 0; /* udp_diag is a module */
	}
	close(fd);
	return rc;
}
