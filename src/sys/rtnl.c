// SPDX-License-Identifier: Apache-2.0
#include "rtnl.h"
#include "nl.h"

#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

int wr_rtnl_open(void)
{
	return wr_nl_open(NETLINK_ROUTE);
}

static void mac_of(char *dst, const struct rtattr *a)
{
	if (RTA_PAYLOAD(a) == 6)
		wr_mac_text(wr_nl_data(a), dst);
}

static void route_metrics(struct wr_route *r, const struct rtattr *metrics)
{
	WR_NL_EACH_IN(k, metrics)
	{
		if (k->rta_type == RTAX_MTU)
			r->mtu = wr_nl_u32(k);
	}
}

static void on_route(void *ctx, const struct nlmsghdr *h)
{
	struct wr_route *r = ctx;
	const struct rtmsg *m = wr_nl_body(h);

	r->type = m->rtm_type;
	r->table = m->rtm_table;
	WR_NL_EACH(a, h, struct rtmsg)
	{
		switch (a->rta_type) {
		case RTA_OIF:
			r->oif = wr_nl_u32(a);
			break;
		case RTA_GATEWAY:
			r->gateway = wr_nl_ip(a);
			r->via = true;
			break;
		case RTA_VIA: /* family, then the address */
			if (RTA_PAYLOAD(a) >= 18)
				r->gateway = wr_ip6((const char *)wr_nl_data(a) + 2);
			r->via = true;
			break;
		case RTA_PREFSRC:
			r->src = wr_nl_ip(a);
			break;
		case RTA_TABLE:
			r->table = wr_nl_u32(a);
			break;
		case RTA_METRICS:
			route_metrics(r, a);
			break;
		}
	}
}

int wr_rtnl_route(int fd, const struct wr_ip *dst, const struct wr_ip *src, uint32_t iif,
	struct wr_route *ret)
{
	bool v4 = wr_ip_is4(dst);
	struct rtmsg m = {.rtm_family = v4 ? AF_INET : AF_INET6,
		.rtm_dst_len = v4 ? 32 : 128,
		.rtm_src_len = src ? (v4 ? 32 : 128) : 0};
	struct wr_nl_request q;
	int rc;

	memset(ret, 0, sizeof(*ret));
	wr_nl_begin(&q, RTM_GETROUTE, 0, &m, sizeof(m));
	wr_nl_put_ip(&q, RTA_DST, dst);
	if (src)
		wr_nl_put_ip(&q, RTA_SRC, src);
	if (iif)
		wr_nl_put(&q, RTA_IIF, &iif, sizeof(iif));
	rc = wr_nl_ask(fd, &q, on_route, ret);
	switch (rc) {
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EACCES:
	case -EINVAL:
	case -EXDEV: /* the reverse path filter (or a martian): would not be let in */
		ret->err = -rc;
		return 0;
	}
	return rc;
}

static void on_neigh(void *ctx, const struct nlmsghdr *h)
{
	struct wr_neigh *r = ctx;

	r->state = ((const struct ndmsg *)wr_nl_body(h))->ndm_state;
	WR_NL_EACH(a, h, struct ndmsg)
	{
		if (a->rta_type == NDA_LLADDR)
			mac_of(r->mac, a);
	}
}

int wr_rtnl_neigh(int fd, uint32_t ifindex, const struct wr_ip *ip, struct wr_neigh *ret)
{
	struct ndmsg m = {
		.ndm_family = wr_ip_is4(ip) ? AF_INET : AF_INET6, .ndm_ifindex = (int)ifindex};
	struct wr_nl_request q;
	int rc;

	memset(ret, 0, sizeof(*ret));
	wr_nl_begin(&q, RTM_GETNEIGH, 0, &m, sizeof(m));
	wr_nl_put_ip(&q, NDA_DST, ip);
	rc = wr_nl_ask(fd, &q, on_neigh, ret);
	return rc == -ENOENT ? 0 : rc;
}

struct list {
	void *to;
	unsigned n, max;
};

static void link_kind(struct wr_link *l, const struct rtattr *info)
{
	WR_NL_EACH_IN(k, info)
	{
		if (k->rta_type == IFLA_INFO_KIND)
			wr_nl_text(l->kind, sizeof(l->kind), k);
	}
}

static void link_xdp(struct wr_link *l, const struct rtattr *xdp)
{
	WR_NL_EACH_IN(k, xdp)
	{
		if (k->rta_type == IFLA_XDP_ATTACHED)
			l->xdp = *(const char *)wr_nl_data(k);
	}
}

static void link_lost(struct wr_link *l, const struct rtattr *a)
{
	struct rtnl_link_stats64 s = {0};

	memcpy(&s, wr_nl_data(a), wr_min((size_t)RTA_PAYLOAD(a), sizeof(s)));
	l->lost = (struct wr_link_lost){.rx_errors = s.rx_errors,
		.rx_dropped = s.rx_dropped,
		.rx_missed = s.rx_missed_errors,
		.rx_crc = s.rx_crc_errors,
		.tx_errors = s.tx_errors,
		.tx_dropped = s.tx_dropped};
}

static void on_link(void *ctx, const struct nlmsghdr *h)
{
	struct list *o = ctx;
	const struct ifinfomsg *m = wr_nl_body(h);
	struct wr_link *l;

	if (o->n == o->max)
		return;
	l = (struct wr_link *)o->to + o->n++;
	*l = (struct wr_link){
		.index = (uint32_t)m->ifi_index, .flags = m->ifi_flags, .peer_ns = -1};
	WR_NL_EACH(a, h, struct ifinfomsg)
	{
		switch (a->rta_type) {
		case IFLA_IFNAME:
			wr_nl_text(l->name, sizeof(l->name), a);
			break;
		case IFLA_MTU:
			l->mtu = wr_nl_u32(a);
			break;
		case IFLA_LINK:
			l->peer = wr_nl_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			l->peer_ns = (int32_t)wr_nl_u32(a);
			break;
		case IFLA_MASTER:
			l->master = wr_nl_u32(a);
			break;
		case IFLA_ADDRESS:
			mac_of(l->mac, a);
			break;
		case IFLA_LINKINFO:
			link_kind(l, a);
			break;
		case IFLA_XDP:
			link_xdp(l, a);
			break;
		case IFLA_STATS64:
			link_lost(l, a);
			break;
		}
	}
}

int wr_rtnl_links(int fd, struct wr_link *ret, unsigned max)
{
	struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
	struct list o = {ret, 0, max};
	struct wr_nl_request q;
	int rc;

	wr_nl_begin(&q, RTM_GETLINK, NLM_F_DUMP, &m, sizeof(m));
	rc = wr_nl_ask(fd, &q, on_link, &o);
	return rc ? rc : (int)o.n;
}

static void on_addr(void *ctx, const struct nlmsghdr *h)
{
	struct list *o = ctx;
	const struct ifaddrmsg *m = wr_nl_body(h);
	struct wr_addr *d;

	if (o->n == o->max)
		return;
	d = (struct wr_addr *)o->to + o->n++;
	*d = (struct wr_addr){.ifindex = m->ifa_index, .prefix = m->ifa_prefixlen};
	WR_NL_EACH(a, h, struct ifaddrmsg)
	{
		/* of a point-to-point link the local one is this host's */
		if (a->rta_type == IFA_LOCAL ||
			(a->rta_type == IFA_ADDRESS && m->ifa_family == AF_INET6))
			d->ip = wr_nl_ip(a);
	}
}

int wr_rtnl_addrs(int fd, struct wr_addr *ret, unsigned max)
{
	struct ifaddrmsg m = {.ifa_family = AF_UNSPEC};
	struct list o = {ret, 0, max};
	struct wr_nl_request q;
	int rc;

	wr_nl_begin(&q, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m));
	rc = wr_nl_ask(fd, &q, on_addr, &o);
	return rc ? rc : (int)o.n;
}

static void on_qdisc(void *ctx, const struct nlmsghdr *h)
{
	struct list *o = ctx;
	const struct tcmsg *m = wr_nl_body(h);
	struct wr_qdisc *d;

	if (o->n == o->max)
		return;
	d = (struct wr_qdisc *)o->to + o->n++;
	*d = (struct wr_qdisc){.handle = m->tcm_handle, .ifindex = (uint32_t)m->tcm_ifindex};
	WR_NL_EACH(a, h, struct tcmsg)
	{
		struct tc_stats s = {0};

		if (a->rta_type == TCA_KIND)
			wr_nl_text(d->kind, sizeof(d->kind), a);
		if (a->rta_type == TCA_STATS) {
			memcpy(&s, wr_nl_data(a), wr_min(RTA_PAYLOAD(a), sizeof(s)));
			d->qlen = s.qlen;
			d->backlog = s.backlog;
			d->drops = s.drops;
			d->overlimits = s.overlimits;
		}
	}
}

int wr_rtnl_qdiscs(int fd, struct wr_qdisc *ret, unsigned max)
{
	struct tcmsg m = {.tcm_family = AF_UNSPEC};
	struct list o = {ret, 0, max};
	struct wr_nl_request q;
	int rc;

	wr_nl_begin(&q, RTM_GETQDISC, NLM_F_DUMP, &m, sizeof(m));
	rc = wr_nl_ask(fd, &q, on_qdisc, &o);
	return rc ? rc : (int)o.n;
}

static void on_nsid(void *ctx, const struct nlmsghdr *h)
{
	WR_NL_EACH(a, h, struct rtgenmsg)
	{
		if (a->rta_type == NETNSA_NSID)
			*(int32_t *)ctx = (int32_t)wr_nl_u32(a);
	}
}

int32_t wr_rtnl_nsid(int fd, int netns)
{
	struct rtgenmsg m = {.rtgen_family = AF_UNSPEC};
	uint32_t v = (uint32_t)netns;
	int32_t id = -1;
	struct wr_nl_request q;

	wr_nl_begin(&q, RTM_GETNSID, 0, &m, sizeof(m));
	wr_nl_put(&q, NETNSA_FD, &v, sizeof(v));
	return wr_nl_ask(fd, &q, on_nsid, &id) ? -1 : id;
}
