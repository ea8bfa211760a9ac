// SPDX-License-Identifier: Apache-2.0
#include "conntrack.h"
#include "nl.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#define ROOM (8 << 20) /* bytes of events that may wait */

struct tuple {
	struct wr_ip src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

static uint16_t type_of(const struct rtattr *a)
{
	return a->rta_type & NLA_TYPE_MASK;
}

static uint16_t port_of(const struct rtattr *a)
{
	uint16_t v = 0;

	memcpy(&v, wr_nl_data(a), wr_min(RTA_PAYLOAD(a), sizeof(v)));
	return ntohs(v);
}

static void read_ip(struct tuple *t, const struct rtattr *outer)
{
	WR_NL_EACH_IN(a, outer)
	{
		switch (type_of(a)) {
		case CTA_IP_V4_SRC:
		case CTA_IP_V6_SRC:
			t->src = wr_nl_ip(a);
			break;
		case CTA_IP_V4_DST:
		case CTA_IP_V6_DST:
			t->dst = wr_nl_ip(a);
			break;
		}
	}
}

static void read_proto(struct tuple *t, const struct rtattr *outer)
{
	WR_NL_EACH_IN(a, outer)
	{
		switch (type_of(a)) {
		case CTA_PROTO_NUM:
			t->proto = RTA_PAYLOAD(a) ? *(const uint8_t *)wr_nl_data(a) : 0;
			break;
		case CTA_PROTO_SRC_PORT:
			t->sport = port_of(a);
			break;
		case CTA_PROTO_DST_PORT:
			t->dport = port_of(a);
			break;
		}
	}
}

static void read_tuple(struct tuple *t, const struct rtattr *outer)
{
	WR_NL_EACH_IN(a, outer)
	{
		if (type_of(a) == CTA_TUPLE_IP)
			read_ip(t, a);
		else if (type_of(a) == CTA_TUPLE_PROTO)
			read_proto(t, a);
	}
}

static uint64_t read_bytes(const struct rtattr *outer)
{
	uint64_t v = 0;

	WR_NL_EACH_IN(a, outer)
	{
		if (type_of(a) == CTA_COUNTERS_BYTES && RTA_PAYLOAD(a) >= sizeof(v))
			memcpy(&v, wr_nl_data(a), sizeof(v));
	}
	return be64toh(v);
}

static const struct rtattr *inside(const struct rtattr *outer, uint16_t type)
{
	WR_NL_EACH_IN(a, outer)
	{
		if (type_of(a) == type)
			return a;
	}
	return NULL;
}

/* TCP: its state in the table; else 0. */
static uint8_t tcp_state(const struct rtattr *info)
{
	const struct rtattr *tcp = inside(info, CTA_PROTOINFO_TCP);
	const struct rtattr *state = tcp ? inside(tcp, CTA_PROTOINFO_TCP_STATE) : NULL;

	return state && RTA_PAYLOAD(state) ? *(const uint8_t *)wr_nl_data(state) : 0;
}

static bool parse(const struct nlmsghdr *h, struct wr_ct *c)
{
	struct tuple asked = {.proto = 0}, answer = {.proto = 0};
	uint32_t status = 0;
	uint8_t state = 0;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_CTNETLINK ||
		h->nlmsg_len < NLMSG_SPACE(sizeof(struct nfgenmsg)))
		return false;
	*c = (struct wr_ct){.event = NFNL_MSG_TYPE(h->nlmsg_type) == IPCTNL_MSG_CT_DELETE
					     ? WR_CT_GONE
				     : h->nlmsg_flags & NLM_F_CREATE ? WR_CT_NEW
								     : WR_CT_CHANGED};
	WR_NL_EACH(a, h, struct nfgenmsg)
	{
		switch (type_of(a)) {
		case CTA_TUPLE_ORIG:
			read_tuple(&asked, a);
			break;
		case CTA_TUPLE_REPLY:
			read_tuple(&answer, a);
			break;
		case CTA_STATUS:
			status = ntohl(wr_nl_u32(a));
			break;
		case CTA_PROTOINFO:
			state = tcp_state(a);
			break;
		case CTA_ID:
			c->id = ntohl(wr_nl_u32(a));
			break;
		case CTA_COUNTERS_ORIG:
			c->bytes_to_server = read_bytes(a);
			break;
		case CTA_COUNTERS_REPLY:
			c->bytes_to_client = read_bytes(a);
			break;
		}
	}
	c->proto = asked.proto;
	c->client = asked.src;
	c->client_port = asked.sport;
	c->front = asked.dst;
	c->front_port = asked.dport;
	c->back = answer.src;
	c->back_port = answer.sport;
	c->balanced = status & IPS_DST_NAT;
	c->replied = status & IPS_SEEN_REPLY;
	c->up = c->proto == IPPROTO_TCP
			? state >= TCP_CONNTRACK_ESTABLISHED && state <= TCP_CONNTRACK_TIME_WAIT
			: c->replied;
	return true;
}

int wr_ct_open(void)
{
	static const int groups[] = {
		NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY};
	int fd = wr_nl_open(NETLINK_NETFILTER), room = ROOM, rc = 0;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (unsigned i = 0; i < WR_N(groups) && !rc; i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(int)))
			rc = -errno;
	}
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int wr_ct_read(int fd, void (*fn)(void *ctx, const struct wr_ct *c), void *ctx)
{
	_Alignas(struct nlmsghdr) char b[16384];

	for (unsigned i = 0; i < 65536; i++) {
		ssize_t n = recv(fd, b, sizeof(b), MSG_DONTWAIT);
		struct nlmsghdr *h = (void *)b;
		struct wr_ct c;

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		for (unsigned left = (unsigned)n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (parse(h, &c))
				fn(ctx, &c);
		}
	}
	return 0;
}

struct dump {
	void (*fn)(void *ctx, const struct wr_ct *c);
	void *ctx;
};

static void dumped(void *ctx, const struct nlmsghdr *h)
{
	const struct dump *d = ctx;
	struct wr_ct c;

	if (!parse(h, &c))
		return;
	c.event = WR_CT_THERE;
	d->fn(d->ctx, &c);
}

int wr_ct_dump(void (*fn)(void *ctx, const struct wr_ct *c), void *ctx)
{
	struct nfgenmsg body = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	struct dump d = {fn, ctx};
	struct wr_nl_request q;
	int fd = wr_nl_open(NETLINK_NETFILTER), rc;

	if (fd < 0)
		return fd;
	wr_nl_begin(&q, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, &body,
		sizeof(body));
	rc = wr_nl_ask(fd, &q, dumped, &d);
	close(fd);
	return rc;
}
