// SPDX-License-Identifier: Apache-2.0
/* The namespaces of the host: what their tables say, which of their counters moved, and the way through them. */
#include "../sys/arp.h"
#include "../sys/netns.h"
#include "../sys/netstat.h"
#include "../sys/proc.h"
#include "why.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#define LINKS 256
#define ADDRS 512
#define QDISCS 512
#define COUNTERS 700

static void set_counter(
	struct why_place *p, struct wr_str prefix, struct wr_str name, uint64_t v, bool after)
{
	char full[40];
	struct why_counter *k = NULL;

	snprintf(full, sizeof(full), "%.*s%.*s", (int)wr_min(prefix.n, (size_t)12), prefix.p,
		(int)wr_min(name.n, (size_t)32), name.p);
	for (unsigned i = 0; after && i < p->n_counters && !k; i++) {
		if (!strcmp(p->counters[i].name, full))
			k = &p->counters[i];
	}
	if (!k) {
		if (p->n_counters == COUNTERS)
			return;
		k = &p->counters[p->n_counters++];
		wr_copy(k->name, sizeof(k->name), wr_str(full));
		k->before = after ? 0 : v; /* a namespace that came meanwhile began with zero */
	}
	k->after = v;
}

struct counting {
	struct why_place *p;
	bool after;
};

static void on_counter(void *ctx, struct wr_str prefix, struct wr_str name, uint64_t v)
{
	const struct counting *c = ctx;

	set_counter(c->p, prefix, name, v, c->after);
}

/* The longest that each queue was of all looks. */
static void queues(struct why_place *p)
{
	struct wr_qdisc *now = wr_alloc(QDISCS * sizeof(*now));
	int n = now ? wr_rtnl_qdiscs(p->rtnl, now, QDISCS) : 0;

	for (int i = 0; i < n; i++) {
		for (unsigned k = 0; k < p->n_qdiscs; k++) {
			const struct wr_qdisc *q = &p->qdiscs[k];

			if (q->ifindex != now[i].ifindex || strcmp(q->kind, now[i].kind))
				continue;
			now[i].qlen = wr_max(now[i].qlen, q->qlen);
			now[i].backlog = wr_max(now[i].backlog, q->backlog);
		}
	}
	free(p->qdiscs);
	p->qdiscs = now;
	p->n_qdiscs = n > 0 ? (unsigned)n : 0;
}

static void tables(struct why_place *p)
{
	int n;

	if (!p->links)
		p->links = wr_alloc(LINKS * sizeof(*p->links));
	if (!p->addrs)
		p->addrs = wr_alloc(ADDRS * sizeof(*p->addrs));
	n = p->links ? wr_rtnl_links(p->rtnl, p->links, LINKS) : 0;
	p->n_links = n > 0 ? (unsigned)n : 0;
	n = p->addrs ? wr_rtnl_addrs(p->rtnl, p->addrs, ADDRS) : 0;
	p->n_addrs = n > 0 ? (unsigned)n : 0;
	queues(p);
}

/* Called inside of the namespace. */
static void look(struct why_place *p, bool after)
{
	struct wr_buf range = WR_BUF(256);
	char *end;

	if (!p->counters)
		p->counters = wr_alloc(COUNTERS * sizeof(*p->counters));
	if (p->counters)
		wr_netstat_each(on_counter, &(struct counting){p, after});
	if (p->rtnl >= 0)
		tables(p);
	p->forward4 = wr_proc_number("/proc/sys/net/ipv4/ip_forward", 0);
	p->forward6 = wr_proc_number("/proc/sys/net/ipv6/conf/all/forwarding", 0);
	p->syncookies = wr_proc_number("/proc/sys/net/ipv4/tcp_syncookies", 1);
	p->conntrack = wr_proc_number("/proc/sys/net/netfilter/nf_conntrack_count", 0);
	p->conntrack_max = wr_proc_number("/proc/sys/net/netfilter/nf_conntrack_max", 0);
	p->time_wait = wr_sockstat("TCP", "tw");
	if (!wr_buf_file(&range, "/proc/sys/net/ipv4/ip_local_port_range")) {
		p->port_low = strtoull(range.p, &end, 10);
		p->port_high = strtoull(end, NULL, 10);
	}
	wr_buf_free(&range);
}

struct looking {
	struct wr_case *c;
	bool after;
};

static void on_netns(void *ctx, uint64_t inode, int fd)
{
	struct looking *l = ctx;
	struct wr_case *c = l->c;
	struct why_place *p = NULL;
	int back;

	for (unsigned i = 0; i < c->n_places && !p; i++) {
		if (c->place[i].inode == inode)
			p = &c->place[i];
	}
	if (!p && c->n_places == WHY_PLACES) {
		c->not_kept++;
		return;
	}
	back = wr_netns_enter(fd);
	if (back < 0)
		return;
	if (!p) {
		p = &c->place[c->n_places++];
		*p = (struct why_place){
			.inode = inode, .rtnl = wr_rtnl_open(), .arp = wr_arp_open()};
		p->ns_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	look(p, l->after);
	wr_netns_leave(back);
	wr_netns_name(inode, p->name, sizeof(p->name));
}

void wr_case_look(struct wr_case *c, bool after)
{
	wr_netns_each(on_netns, &(struct looking){c, after});
	why_quota_look(c, after);
}

/* the way ------------------------------------------------------------------------------------------- */

static const struct wr_link *link_by_index(const struct why_place *p, uint32_t index)
{
	for (unsigned i = 0; i < p->n_links; i++) {
		if (p->links[i].index == index)
			return &p->links[i];
	}
	return NULL;
}

/* The other end of a veth pair: by the number that this namespace gives the other one. */
static const struct wr_link *peer_of(const struct wr_case *c, const struct why_place *p,
	const struct wr_link *l, const struct why_place **ret)
{
	if (!l->peer || strcmp(l->kind, "veth"))
		return NULL;
	if (l->peer_ns < 0) {
		*ret = p;
		return link_by_index(p, l->peer);
	}
	for (unsigned i = 0; i < c->n_places; i++) {
		const struct why_place *q = &c->place[i];
		const struct wr_link *m = link_by_index(q, l->peer);

		if (m && m->peer == l->index && q->ns_fd >= 0 &&
			wr_rtnl_nsid(p->rtnl, q->ns_fd) == l->peer_ns) {
			*ret = q;
			return m;
		}
	}
	return NULL;
}

/* Through the bridge @master of @p: the port behind which @next is; NULL: the bridge itself, or nobody. */
static const struct wr_link *through_bridge(const struct wr_case *c, const struct why_place *p,
	uint32_t master, const struct wr_link *from, const struct wr_ip *next,
	const struct why_place **ret)
{
	for (unsigned i = 0; i < p->n_links; i++) {
		const struct wr_link *port = &p->links[i], *far;

		if (port->master != master || port == from)
			continue;
		far = peer_of(c, p, port, ret);
		if (far && why_has_addr(*ret, next))
			return far;
	}
	return NULL;
}

/* Where a packet for @next comes in that leaves @p by @out; NULL: it leaves the host, or is lost. */
static const struct wr_link *arrives(const struct wr_case *c, const struct why_place *p,
	const struct wr_link *out, const struct wr_ip *next, const struct why_place **ret,
	const struct why_place **ret_bridge)
{
	const struct wr_link *in, *master;

	*ret_bridge = strcmp(out->kind, "bridge") ? NULL : p;
	if (*ret_bridge)
		return through_bridge(c, p, out->index, NULL, next, ret);
	in = peer_of(c, p, out, ret);
	if (!in || !in->master)
		return in;
	master = link_by_index(*ret, in->master);
	if (!master || strcmp(master->kind, "bridge") || why_has_addr(*ret, next))
		return master ? master : in;
	*ret_bridge = *ret;
	return through_bridge(c, *ret, master->index, in, next, ret);
}

static void walk(struct wr_case *c, const struct why_place *p, const struct wr_ip *dst,
	const struct wr_ip *src, struct why_way *w)
{
	const struct wr_link *in = NULL;

	w->n = 0;
	while (p && w->n < WHY_HOPS) {
		struct why_hop *h = &w->hop[w->n++];
		const struct why_place *to = NULL;

		*h = (struct why_hop){.place = p, .in = in};
		if (p->rtnl < 0 || wr_rtnl_route(p->rtnl, dst, src, in ? in->index : 0, &h->route))
			return;
		if (h->route.err && in && why_has_addr(p, dst))
			h->route.err =
				0; /* it is for this place, which refuses its source: no matter of the route */
		if (h->route.err)
			return;
		if (h->route.type == RTN_LOCAL || why_has_addr(p, dst)) {
			h->local = true;
			return;
		}
		if (h->route.type != RTN_UNICAST)
			return;
		h->out = link_by_index(p, h->route.oif);
		h->next = h->route.via ? h->route.gateway : *dst;
		if (!h->out)
			return;
		if (!(h->out->flags & IFF_NOARP))
			wr_rtnl_neigh(p->rtnl, h->out->index, &h->next, &h->neigh);
		if (!src && !wr_ip_any(&h->route.src))
			src = &w->hop[w->n - 1].route.src;
		in = arrives(c, p, h->out, &h->next, &to, &h->bridge);
		if (!in) {
			h->leaves = !h->out->kind[0] && !(h->out->flags & IFF_LOOPBACK);
			return;
		}
		p = to;
	}
}

#define ARP_WAIT 100 /* ms */

/* An address of its own on that link; NULL: it has none. */
static const struct wr_ip *own_address(const struct why_place *p, uint32_t ifindex)
{
	for (unsigned i = 0; i < p->n_addrs; i++) {
		if (p->addrs[i].ifindex == ifindex && wr_ip_is4(&p->addrs[i].ip))
			return &p->addrs[i].ip;
	}
	return NULL;
}

static const struct why_asked *ask(struct wr_case *c, const struct why_hop *h)
{
	const struct wr_ip *from = own_address(h->place, h->out->index);
	struct why_asked *a = c->asked;
	uint8_t mac[6], answer[2][6];
	unsigned m[6];
	int n;

	for (; a < c->asked + c->n_asked; a++) {
		if (a->place == h->place && !memcmp(&a->ip, &h->next, sizeof(a->ip)))
			return a;
	}
	if (c->n_asked == WHY_ASKED || !from || h->place->arp < 0 ||
		sscanf(h->out->mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4],
			&m[5]) != 6)
		return NULL;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	n = wr_arp_ask(h->place->arp, h->out->index, mac, from, &h->next, ARP_WAIT, answer, 2);
	c->n_asked++;
	*a = (struct why_asked){.place = h->place, .ip = h->next};
	for (; n > 0 && a->stations < (unsigned)n; a->stations++)
		wr_mac_text(answer[a->stations], a->station[a->stations]);
	return a;
}

/* The tables know one station of each address; the network may know two. */
static void ask_stations(struct wr_case *c, struct why_way *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct why_hop *h = &w->hop[i];
		const struct why_asked *a;

		if (!h->out || h->local || !h->neigh.state || !wr_ip_is4(&h->next))
			continue;
		a = ask(c, h);
		if (!a)
			continue;
		memcpy(h->station, a->station, sizeof(h->station));
		h->stations = a->stations;
	}
}

static void prefer(struct wr_case *c, const struct why_place *p, const struct wr_ip *dst)
{
	struct wr_route r;

	if (p->rtnl >= 0 && !wr_rtnl_route(p->rtnl, dst, NULL, 0, &r) && !r.err)
		c->prefers = r.src;
}

#define HANDSHAKE 2000 /* ms */

void wr_case_certs(struct wr_case *c)
{
	for (unsigned i = 0; i < c->n_requests && c->n_certs < WHY_CERTS; i++) {
		const struct why_request *q = &c->request[i];
		const struct why_flow *f = NULL;
		struct why_cert *k = &c->cert[c->n_certs];
		const struct why_place *p;
		bool asked = false;

		if (strcmp(q->protocol, "tls"))
			continue;
		for (unsigned n = 0; n < c->n_certs; n++)
			asked |= c->cert[n].port == q->server_port &&
				 !memcmp(&c->cert[n].ip, &q->server, 16);
		for (unsigned n = 0; n < c->n_flows && !f; n++) {
			if (c->flow[n].server_port == q->server_port &&
				!memcmp(&c->flow[n].server, &q->server, 16))
				f = &c->flow[n];
		}
		p = f ? why_place(c, f->netns) : NULL;
		*k = (struct why_cert){.ip = q->server, .port = q->server_port};
		/* the client may look at it behind the handshake, and then say nothing but goodbye */
		if (asked || !(q->error || c->failed || (f && why_failed(f))) ||
			wr_cert_ask(p ? p->ns_fd : -1, &q->server, q->server_port, q->resource,
				HANDSHAKE, &k->cert))
			continue;
		wr_copy(k->name, sizeof(k->name), wr_str(q->resource));
		if (q->error)
			wr_copy(k->status, sizeof(k->status), wr_str(q->status));
		c->n_certs++;
	}
}

void wr_case_ways(struct wr_case *c, const struct why_flow *f)
{
	const struct why_place *p = why_place(c, f->netns), *s;
	const struct wr_ip *src = wr_ip_any(&f->client) ? NULL : &f->client;

	c->there.n = c->back.n = 0;
	c->prefers = (struct wr_ip){.b = {0}};
	if (!p)
		return;
	walk(c, p, &f->server, src, &c->there);
	if (why_failed(f))
		ask_stations(c, &c->there);
	prefer(c, p, &f->server);
	s = why_server(c);
	if (!src && c->there.n && !wr_ip_any(&c->there.hop[0].route.src))
		src = &c->there.hop[0].route.src;
	if (s && src)
		walk(c, s, src, &f->server, &c->back);
}
