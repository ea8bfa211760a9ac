// SPDX-License-Identifier: Apache-2.0
#include "rtnl.h"

#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#define REPLY 32768
#define MAX_MESSAGES 1024 /* of one dump */

int wr_rtnl_open(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	struct timeval patience = {2, 0};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (const void *)&a, sizeof(a))) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

struct request {
	struct nlmsghdr h;
	char body[256];
};

static void begin(struct request *q, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	memset(q, 0, sizeof(*q));
	q->h.nlmsg_type = type;
	q->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memcpy(q->body, body, n);
	q->h.nlmsg_len = (uint32_t)(sizeof(q->h) + NLMSG_ALIGN(n));
}

static void put(struct request *q, uint16_t type, const void *p, uint16_t n)
{
	struct rtattr *a = (void *)((char *)q + q->h.nlmsg_len);

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), p, n);
	q->h.nlmsg_len += (uint32_t)RTA_SPACE(n);
}

static void put_ip(struct request *q, uint16_t type, const struct wr_ip *ip)
{
	if (wr_ip_is4(ip))
		put(q, type, ip->b + 12, 4);
	else
		put(q, type, ip->b, 16);
}

/* Hands each message of the answer to @fn; 0, or the kernel's -errno. */
static int ask(
	int fd, struct request *q, void (*fn)(void *ctx, const struct nlmsghdr *h), void *ctx)
{
	wr_free_ char *b = wr_alloc(REPLY);
	bool dump = (q->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	static uint32_t seq;

	if (!b)
		return -ENOMEM;
	q->h.nlmsg_seq = ++seq;
	if (send(fd, q, q->h.nlmsg_len, 0) < 0)
		return -errno;
	for (unsigned i = 0; i < MAX_MESSAGES; i++) {
		ssize_t n = recv(fd, b, REPLY, 0);
		struct nlmsghdr *h = (void *)b;

		if (n < 0)
			return -errno;
		for (unsigned left = (unsigned)n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_seq != q->h.nlmsg_seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			fn(ctx, h);
			if (!dump)
				return 0;
		}
	}
	return -EMSGSIZE;
}

/* The kernel's own macros for this cast const away. */
static const void *data(const struct rtattr *a)
{
	return (const char *)a + RTA_LENGTH(0);
}

static const void *body(const struct nlmsghdr *h)
{
	return (const char *)h + NLMSG_LENGTH(0);
}

static const struct rtattr *next(const struct rtattr *a, unsigned *left)
{
	unsigned step = wr_min((unsigned)RTA_ALIGN(a->rta_len), *left);

	*left -= step;
	return (const void *)((const char *)a + step);
}

#define EACH(a, first, len)                                                                        \
	for (unsigned left_ = (unsigned)(len), go_ = 1; go_; go_ = 0)                              \
		for (const struct rtattr *a = (first); RTA_OK(a, left_); a = next(a, &left_))
#define EACH_ATTR(a, h, T)                                                                         \
	EACH(a, (const void *)((const char *)(h) + NLMSG_SPACE(sizeof(T))),                        \
		(h)->nlmsg_len - NLMSG_SPACE(sizeof(T)))
#define EACH_INNER(k, a) EACH(k, data(a), RTA_PAYLOAD(a))

static uint32_t u32_of(const struct rtattr *a)
{
	uint32_t v = 0;

	memcpy(&v, data(a), wr_min(RTA_PAYLOAD(a), sizeof(v)));
	return v;
}

static struct wr_ip ip_of(const struct rtattr *a)
{
	static const struct wr_ip none;

	return RTA_PAYLOAD(a) == 4    ? wr_ip4(data(a))
	       : RTA_PAYLOAD(a) == 16 ? wr_ip6(data(a))
				      : none;
}

static void text_of(char *dst, size_t n, const struct rtattr *a)
{
	const char *p = data(a);

	wr_copy(dst, n, (struct wr_str){p, strnlen(p, RTA_PAYLOAD(a))});
}

static void mac_of(char *dst, const struct rtattr *a)
{
	const uint8_t *m = data(a);

	if (RTA_PAYLOAD(a) == 6)
		snprintf(dst, WR_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
			m[4], m[5]);
}

static void route_metrics(struct wr_route *r, const struct rtattr *metrics)
{
	EACH_INNER(k, metrics)
	{
		if (k->rta_type == RTAX_MTU)
			r->mtu = u32_of(k);
	}
}

static void on_route(void *ctx, const struct nlmsghdr *h)
{
	struct wr_route *r = ctx;
	const struct rtmsg *m = body(h);

	r->type = m->rtm_type;
	r->table = m->rtm_table;
	EACH_ATTR(a, h, struct rtmsg)
	{
		switch (a->rta_type) {
		case RTA_OIF:
			r->oif = u32_of(a);
			break;
		case RTA_GATEWAY:
			r->gateway = ip_of(a);
			r->via = true;
			break;
		case RTA_VIA: /* family, then the address */
			if (RTA_PAYLOAD(a) >= 18)
				r->gateway = wr_ip6((const char *)data(a) + 2);
			r->via = true;
			break;
		case RTA_PREFSRC:
			r->src = ip_of(a);
			break;
		case RTA_TABLE:
			r->table = u32_of(a);
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
	struct request q;
	int rc;

	memset(ret, 0, sizeof(*ret));
	begin(&q, RTM_GETROUTE, 0, &m, sizeof(m));
	put_ip(&q, RTA_DST, dst);
	if (src)
		put_ip(&q, RTA_SRC, src);
	if (iif)
		put(&q, RTA_IIF, &iif, sizeof(iif));
	rc = ask(fd, &q, on_route, ret);
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

	r->state = ((const struct ndmsg *)body(h))->ndm_state;
	EACH_ATTR(a, h, struct ndmsg)
	{
		if (a->rta_type == NDA_LLADDR)
			mac_of(r->mac, a);
	}
}

int wr_rtnl_neigh(int fd, uint32_t ifindex, const struct wr_ip *ip, struct wr_neigh *ret)
{
	struct ndmsg m = {
		.ndm_family = wr_ip_is4(ip) ? AF_INET : AF_INET6, .ndm_ifindex = (int)ifindex};
	struct request q;
	int rc;

	memset(ret, 0, sizeof(*ret));
	begin(&q, RTM_GETNEIGH, 0, &m, sizeof(m));
	put_ip(&q, NDA_DST, ip);
	rc = ask(fd, &q, on_neigh, ret);
	return rc == -ENOENT ? 0 : rc;
}

struct list {
	void *to;
	unsigned n, max;
};

static void link_kind(struct wr_link *l, const struct rtattr *info)
{
	EACH_INNER(k, info)
	{
		if (k->rta_type == IFLA_INFO_KIND)
			text_of(l->kind, sizeof(l->kind), k);
	}
}

static void link_xdp(struct wr_link *l, const struct rtattr *xdp)
{
	EACH_INNER(k, xdp)
	{
		if (k->rta_type == IFLA_XDP_ATTACHED)
			l->xdp = *(const char *)data(k);
	}
}

static void on_link(void *ctx, const struct nlmsghdr *h)
{
	struct list *o = ctx;
	const struct ifinfomsg *m = body(h);
	struct wr_link *l;

	if (o->n == o->max)
		return;
	l = (struct wr_link *)o->to + o->n++;
	*l = (struct wr_link){
		.index = (uint32_t)m->ifi_index, .flags = m->ifi_flags, .peer_ns = -1};
	EACH_ATTR(a, h, struct ifinfomsg)
	{
		switch (a->rta_type) {
		case IFLA_IFNAME:
			text_of(l->name, sizeof(l->name), a);
			break;
		case IFLA_MTU:
			l->mtu = u32_of(a);
			break;
		case IFLA_LINK:
			l->peer = u32_of(a);
			break;
		case IFLA_LINK_NETNSID:
			l->peer_ns = (int32_t)u32_of(a);
			break;
		case IFLA_MASTER:
			l->master = u32_of(a);
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
		}
	}
}

int wr_rtnl_links(int fd, struct wr_link *ret, unsigned max)
{
	struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
	struct list o = {ret, 0, max};
	struct request q;
	int rc;

	begin(&q, RTM_GETLINK, NLM_F_DUMP, &m, sizeof(m));
	rc = ask(fd, &q, on_link, &o);
	return rc ? rc : (int)o.n;
}

static void on_addr(void *ctx, const struct nlmsghdr *h)
{
	struct list *o = ctx;
	const struct ifaddrmsg *m = body(h);
	struct wr_addr *d;

	if (o->n == o->max)
		return;
	d = (struct wr_addr *)o->to + o->n++;
	*d = (struct wr_addr){.ifindex = m->ifa_index, .prefix = m->ifa_prefixlen};
	EACH_ATTR(a, h, struct ifaddrmsg)
	{
		/* of a point-to-point link the local one is this host's */
		if (a->rta_type == IFA_LOCAL ||
			(a->rta_type == IFA_ADDRESS && m->ifa_family == AF_INET6))
			d->ip = ip_of(a);
	}
}

int wr_rtnl_addrs(int fd, struct wr_addr *ret, unsigned max)
{
	struct ifaddrmsg m = {.ifa_family = AF_UNSPEC};
	struct list o = {ret, 0, max};
	struct request q;
	int rc;

	begin(&q, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m));
	rc = ask(fd, &q, on_addr, &o);
	return rc ? rc : (int)o.n;
}

static void on_qdisc(void *ctx, const struct nlmsghdr *h)
{
	struct list *o = ctx;
	const struct tcmsg *m = body(h);
	struct wr_qdisc *d;

	if (o->n == o->max)
		return;
	d = (struct wr_qdisc *)o->to + o->n++;
	*d = (struct wr_qdisc){.ifindex = (uint32_t)m->tcm_ifindex};
	EACH_ATTR(a, h, struct tcmsg)
	{
		struct tc_stats s = {0};

		if (a->rta_type == TCA_KIND)
			text_of(d->kind, sizeof(d->kind), a);
		if (a->rta_type == TCA_STATS) {
			memcpy(&s, data(a), wr_min(RTA_PAYLOAD(a), sizeof(s)));
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
	struct request q;
	int rc;

	begin(&q, RTM_GETQDISC, NLM_F_DUMP, &m, sizeof(m));
	rc = ask(fd, &q, on_qdisc, &o);
	return rc ? rc : (int)o.n;
}

static void on_nsid(void *ctx, const struct nlmsghdr *h)
{
	EACH_ATTR(a, h, struct rtgenmsg)
	{
		if (a->rta_type == NETNSA_NSID)
			*(int32_t *)ctx = (int32_t)u32_of(a);
	}
}

int32_t wr_rtnl_nsid(int fd, int netns)
{
	struct rtgenmsg m = {.rtgen_family = AF_UNSPEC};
	uint32_t v = (uint32_t)netns;
	int32_t id = -1;
	struct request q;

	begin(&q, RTM_GETNSID, 0, &m, sizeof(m));
	put(&q, NETNSA_FD, &v, sizeof(v));
	return ask(fd, &q, on_nsid, &id) ? -1 : id;
}
