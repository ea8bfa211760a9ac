// SPDX-License-Identifier: Apache-2.0
/* What was seen: records in, as flows, drops, requests. */
#include "why.h"

#define NET_TCP 6
#define NET_UDP 17

struct wr_case *wr_case_new(void)
{
	return wr_alloc(sizeof(struct wr_case));
}

void wr_case_free(struct wr_case *c)
{
	for (unsigned i = 0; c && i < c->n_places; i++) {
		struct why_place *p = &c->place[i];

		free(p->links);
		free(p->addrs);
		free(p->qdiscs);
		free(p->counters);
		if (p->rtnl >= 0)
			close(p->rtnl);
		if (p->arp >= 0)
			close(p->arp);
		if (p->ns_fd >= 0)
			close(p->ns_fd);
	}
	free(c);
}

#define TEXT(dst, src) wr_copy((dst), sizeof(dst), (src))

void wr_case_rule(struct wr_case *c, const struct wr_ev_rule *r, bool after)
{
	struct why_rule *k = c->rule;

	while (k < c->rule + c->n_rules && k->id != r->id)
		k++;
	if (k == c->rule + WHY_RULES) {
		c->not_kept++;
		return;
	}
	if (k == c->rule + c->n_rules) {
		c->n_rules++;
		k->id = r->id;
		TEXT(k->action, r->action);
		TEXT(k->text, r->text);
		TEXT(k->where, r->interfaces);
		k->before = after ? 0 : r->hits;
	}
	k->after = r->hits;
}

/*
 * May the process be one that serves a flow of the subject, or one that this one asked? By its name as well: a
 * connection is its listener's before it is the worker's that reads it. While no server is known, any may.
 */
static bool may_help(const struct wr_case *c, uint64_t pid, struct wr_str process)
{
	bool known = false;

	for (unsigned i = 0; i < c->n_flows; i++) {
		const struct why_flow *f = &c->flow[i];

		if (pid && (f->server_pid == pid || wr_str_eq(process, wr_str(f->server_process))))
			return true;
		known |= f->server_pid != 0;
	}
	for (unsigned i = 0; pid && i < wr_min(c->n_aside, (uint64_t)WHY_ASIDE); i++) {
		if (c->aside[i].server_pid == pid)
			return true;
	}
	return pid && !known;
}

static bool is_subject(const struct wr_case *c, const struct wr_ev_conn *r)
{
	if (c->cgroup[0])
		return wr_str_eq(r->client_cgroup, wr_str(c->cgroup)) ||
		       wr_str_eq(r->server_cgroup, wr_str(c->cgroup));
	if (c->process[0])
		return wr_str_eq(r->client_process, wr_str(c->process)) ||
		       wr_str_eq(r->server_process, wr_str(c->process));
	return c->pid && (r->client_pid == c->pid || r->server_pid == c->pid);
}

static void take_listener(struct wr_case *c, const struct wr_ev_conn *r)
{
	struct why_listener *l = NULL;

	for (unsigned i = 0; i < c->n_listeners && !l; i++) {
		struct why_listener *o = &c->listener[i];

		if (o->netns == r->netns && o->port == r->server_port &&
			!memcmp(&o->ip, &r->server_ip, 16) && o->proto == NET_TCP)
			l = o;
	}
	if (!l) {
		if (c->n_listeners == WHY_LISTENERS) {
			c->not_kept++;
			return;
		}
		l = &c->listener[c->n_listeners++];
		*l = (struct why_listener){.netns = r->netns,
			.ip = r->server_ip,
			.port = (uint16_t)r->server_port,
			.proto = NET_TCP};
	}
	l->pid = r->server_pid;
	TEXT(l->process, r->server_process);
	l->queue = wr_max(l->queue, r->recv_queue);
}

static void fill_flow(struct why_flow *f, const struct wr_ev_conn *r)
{
	bool tcp = wr_str_eq(r->transport, WR_STR("tcp"));

	f->proto = tcp ? NET_TCP : NET_UDP;
	f->client = r->client_ip;
	f->server = r->server_ip;
	f->client_port = (uint16_t)r->client_port;
	f->server_port = (uint16_t)r->server_port;
	f->netns = r->netns;
	f->client_pid = r->client_pid;
	f->server_pid = r->server_pid;
	TEXT(f->client_process, r->client_process);
	TEXT(f->server_process, r->server_process);
	TEXT(f->server_cgroup, r->server_cgroup);
	f->closed = wr_str_eq(r->event, WR_STR("close"));
	TEXT(f->state, r->state);
	/* a closed one says nothing of its states: that it had a round trip or bytes does */
	f->established |= (tcp && !f->closed && !strstr(f->state, "syn_")) || r->bytes_to_client ||
			  r->bytes_to_server || r->handshake_us;
	TEXT(f->close_reason, r->close_reason);
	TEXT(f->closed_by, r->closed_by);
	TEXT(f->reset_reason, r->reset_reason);
	TEXT(f->icmp, r->icmp);
	f->err = (int)r->error;
	f->bytes_to_server = r->bytes_to_server;
	f->bytes_to_client = r->bytes_to_client;
	f->retransmits = r->retransmits;
	f->re_timeout = r->re_timeout;
	f->re_fast = r->re_fast;
	f->re_syn = r->re_syn;
	f->out_of_order = r->out_of_order;
	f->rtt = r->rtt_us;
	f->rtt_min = r->rtt_min_us;
	f->mss = r->mss;
	f->handshake_us = r->handshake_us;
	f->duration_ms = r->duration_ms;
	f->zero_window_ms = r->zero_window_ms;
	f->lim_receiver = r->lim_receiver;
	f->lim_send_buffer = r->lim_send_buffer;
	f->lim_congestion = r->lim_congestion;
	f->send_queue = r->send_queue;
	f->recv_queue = r->recv_queue;
	f->stalled_ms = r->stalled_ms;
	if (r->stalled_ms) {
		TEXT(f->stalled_by, r->stalled_by);
		TEXT(f->stalled_end, r->stalled_end);
	}
	f->max_stalled_ms = wr_max(f->max_stalled_ms, r->stalled_ms);
	f->max_send_queue = wr_max(f->max_send_queue, r->send_queue);
	f->max_recv_queue = wr_max(f->max_recv_queue, r->recv_queue);
	f->max_rtt = wr_max(f->max_rtt, r->rtt_us);
}

/* Of another process, which may work for the subject: the last ones are kept. */
static void take_aside(struct wr_case *c, const struct wr_ev_conn *r)
{
	struct why_flow *f = NULL;

	for (unsigned i = 0; i < wr_min(c->n_aside, (uint64_t)WHY_ASIDE) && !f; i++) {
		if (wr_str_eq(r->conn, wr_str(c->aside[i].id)))
			f = &c->aside[i];
	}
	if (!f) {
		if (!may_help(c, r->client_pid, r->client_process))
			return;
		f = &c->aside[c->n_aside++ % WHY_ASIDE];
		memset(f, 0, sizeof(*f));
		TEXT(f->id, r->conn);
	}
	fill_flow(f, r);
}

static void take_conn(struct wr_case *c, const struct wr_ev_conn *r)
{
	struct why_flow *f = NULL;

	if (wr_str_eq(r->state, WR_STR("listen"))) {
		take_listener(c, r);
		return;
	}
	if (!wr_str_eq(r->transport, WR_STR("tcp")) && !wr_str_eq(r->transport, WR_STR("udp")))
		return;
	if (!is_subject(c, r)) {
		take_aside(c, r);
		return;
	}
	for (unsigned i = 0; i < c->n_flows && !f; i++) {
		if (wr_str_eq(r->conn, wr_str(c->flow[i].id)))
			f = &c->flow[i];
	}
	if (!f) {
		if (c->n_flows == WHY_FLOWS) {
			c->not_kept++;
			return;
		}
		f = &c->flow[c->n_flows++];
		memset(f, 0, sizeof(*f));
		TEXT(f->id, r->conn);
	}
	fill_flow(f, r);
}

static uint8_t proto_of(struct wr_str t)
{
	return wr_str_eq(t, WR_STR("tcp"))     ? NET_TCP
	       : wr_str_eq(t, WR_STR("udp"))   ? NET_UDP
	       : wr_str_eq(t, WR_STR("icmp"))  ? 1
	       : wr_str_eq(t, WR_STR("icmp6")) ? 58
					       : 0;
}

static void take_drop(struct wr_case *c, const struct wr_ev_drop *r)
{
	struct why_drop d = {.netns = r->netns,
		.count = r->count,
		.pid = r->owner_pid,
		.proto = proto_of(r->transport),
		.by_client = wr_str_eq(r->sender, WR_STR("client")),
		.arp = wr_str_eq(r->transport, WR_STR("arp")),
		.tuple = wr_ev_has(&r->ev, WR_I_drop_client_ip),
		.client = r->client_ip,
		.server = r->server_ip,
		.client_port = (uint16_t)r->client_port,
		.server_port = (uint16_t)r->server_port,
		.icmp_type = (uint16_t)r->icmp_type,
		.icmp_code = (uint16_t)r->icmp_code,
		.handle = r->rule_handle};
	struct why_drop *o;

	TEXT(d.class, r->class);
	if (!strcmp(d.class, "noise"))
		return;
	TEXT(d.reason, r->reason);
	TEXT(d.location, r->location);
	TEXT(d.interface, r->interface);
	TEXT(d.meaning, r->meaning);
	TEXT(d.process, r->owner_process);
	TEXT(d.flags, r->tcp_flags);
	TEXT(d.family, r->rule_family);
	TEXT(d.table, r->rule_table);
	TEXT(d.chain, r->rule_chain);
	TEXT(d.rule, r->rule_text);
	for (unsigned i = 0; i < c->n_drops; i++) {
		o = &c->drop[i];
		if (o->netns == d.netns && o->proto == d.proto && o->tuple == d.tuple &&
			o->client_port == d.client_port && o->server_port == d.server_port &&
			!memcmp(&o->client, &d.client, 16) && !memcmp(&o->server, &d.server, 16) &&
			!strcmp(o->reason, d.reason) && !strcmp(o->location, d.location) &&
			!strcmp(o->flags, d.flags) && o->icmp_type == d.icmp_type &&
			o->by_client == d.by_client) {
			o->count += d.count;
			if (!o->rule[0] && d.rule[0]) {
				d.count = o->count;
				*o = d;
			}
			return;
		}
	}
	if (c->n_drops == WHY_DROPS)
		c->not_kept++;
	else
		c->drop[c->n_drops++] = d;
}

static void take_request(struct wr_case *c, const struct wr_ev_request *r)
{
	struct wr_ev_conn ends = {.client_cgroup = r->client_cgroup,
		.server_cgroup = r->server_cgroup,
		.client_process = r->client_process,
		.server_process = r->server_process,
		.client_pid = r->client_pid,
		.server_pid = r->server_pid};
	struct why_request *q;

	if (!is_subject(c, &ends)) {
		if (!may_help(c, r->client_pid, r->client_process))
			return;
		q = &c->aside_request[c->n_aside_requests++ % WHY_ASIDE];
	} else if (c->n_requests == WHY_REQUESTS) {
		c->not_kept++;
		return;
	} else {
		q = &c->request[c->n_requests++];
	}
	*q = (struct why_request){.duration_us = r->duration_us,
		.queue_us = r->st_queue,
		.application_us = r->st_application,
		.response_us = r->st_response,
		.first_byte_us = r->first_byte_us,
		.error = r->error,
		.answered = wr_ev_has(&r->ev, WR_I_request_status) &&
			    !wr_str_eq(r->status, WR_STR("no_response")),
		.tls = r->tls,
		.truncated =
			r->detail.n && memmem(r->detail.p, r->detail.n, "\"truncated\":\"tc\"", 16),
		.server = r->server_ip,
		.server_port = (uint16_t)r->server_port,
		.client_pid = r->client_pid};
	TEXT(q->protocol, r->protocol);
	TEXT(q->operation, r->operation);
	TEXT(q->resource, r->resource);
	TEXT(q->status, r->status);
	TEXT(q->server_process, r->server_process);
}

static void take_call(struct wr_case *c, const struct wr_ev_call *r)
{
	struct why_call *k;

	if (c->n_calls == WHY_CALLS) {
		c->not_kept++;
		return;
	}
	k = &c->call[c->n_calls++];
	*k = (struct why_call){.err = (int)r->error,
		.pid = r->owner_pid,
		.netns = r->netns,
		.ip = r->ip,
		.port = (uint16_t)r->port};
	TEXT(k->name, r->name);
	TEXT(k->process, r->owner_process);
}

void wr_case_take(struct wr_case *c, const struct wr_event *e)
{
	if (e->kind == WR_KIND_conn)
		take_conn(c, (const void *)e);
	else if (e->kind == WR_KIND_drop)
		take_drop(c, (const void *)e);
	else if (e->kind == WR_KIND_request)
		take_request(c, (const void *)e);
	else if (e->kind == WR_KIND_call)
		take_call(c, (const void *)e);
}

void wr_case_talker(struct wr_case *c, const struct why_talker *t)
{
	const size_t n = offsetof(struct why_talker, bytes);
	uint64_t at = wr_hash(t, n, 0);

	for (unsigned i = 0; i < 16; i++) {
		struct why_talker *to = &c->talker[(at + i) % WHY_TALKERS];

		if (to->bytes && memcmp(to, t, n) != 0)
			continue;
		if (!to->bytes || (!to->pid && t->pid)) {
			uint64_t had = to->bytes;

			*to = *t;
			to->bytes = had;
		}
		to->bytes += t->bytes;
		return;
	}
	c->not_kept++;
}

struct why_flow *wr_case_flow(
	struct wr_case *c, uint8_t proto, const struct wr_ip *ip, uint16_t port)
{
	struct why_flow *f;

	for (unsigned i = 0; i < c->n_flows; i++) {
		f = &c->flow[i];
		if (f->proto == proto && f->server_port == port && !memcmp(&f->server, ip, 16))
			return f;
	}
	if (c->n_flows == WHY_FLOWS)
		return NULL;
	f = &c->flow[c->n_flows++];
	memset(f, 0, sizeof(*f));
	f->proto = proto;
	f->server = *ip;
	f->server_port = port;
	return f;
}

/* for causes --------------------------------------------------------------------------------------- */

static bool same_ip(const struct wr_ip *a, const struct wr_ip *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Is the drop of a packet of this flow? NAT may have changed one of its ends, and fragments have no ports. */
static bool of_flow(const struct why_flow *f, const struct why_drop *d)
{
	bool server = same_ip(&d->server, &f->server), client = same_ip(&d->client, &f->client);

	if (!d->tuple || d->arp || d->proto != f->proto)
		return false;
	if (wr_ip_any(&f->client))
		client = server; /* it was never known */
	if (!d->client_port && !d->server_port)
		return (server && client) ||
		       (same_ip(&d->server, &f->client) && same_ip(&d->client, &f->server));
	if (server && d->server_port == f->server_port)
		return client && (!f->client_port || d->client_port == f->client_port);
	return client && f->client_port && d->client_port == f->client_port;
}

static bool on_way(const struct why_way *w, const struct wr_ip *ip)
{
	for (unsigned i = 0; i < w->n; i++) {
		if (same_ip(&w->hop[i].next, ip))
			return true;
		for (unsigned k = 0; k < w->hop[i].place->n_addrs; k++) {
			if (same_ip(&w->hop[i].place->addrs[k].ip, ip))
				return true;
		}
	}
	return false;
}

static bool place_on_way(const struct why_way *w, uint64_t inode)
{
	for (unsigned i = 0; i < w->n; i++) {
		if (w->hop[i].place->inode == inode ||
			(w->hop[i].bridge && w->hop[i].bridge->inode == inode))
			return true;
	}
	return false;
}

static bool near_flow(const struct wr_case *c, const struct why_flow *f, const struct why_drop *d)
{
	if (of_flow(f, d))
		return true;
	/* translated on the way: from the address of a hop */
	if (d->tuple && d->proto == f->proto && d->by_client && same_ip(&d->server, &f->server) &&
		d->server_port == f->server_port && on_way(&c->there, &d->client))
		return true;
	if (!d->tuple || (!d->arp && d->proto != 1 && d->proto != 58))
		return false;
	if (!place_on_way(&c->there, d->netns) && !place_on_way(&c->back, d->netns))
		return false;
	return same_ip(&d->server, &f->server) || same_ip(&d->client, &f->server) ||
	       same_ip(&d->server, &f->client) || on_way(&c->there, &d->server) ||
	       on_way(&c->back, &d->server);
}

static bool reason_fits(const struct why_drop *d, const char *reason)
{
	return !reason || !strcmp(d->reason, reason);
}

const struct why_drop *why_drop(const struct wr_case *c, const struct why_flow *f,
	const char *reason, const struct why_drop *after)
{
	for (const struct why_drop *d = after ? after + 1 : c->drop; d < c->drop + c->n_drops;
		d++) {
		if (reason_fits(d, reason) && of_flow(f, d))
			return d;
	}
	return NULL;
}

const struct why_drop *why_drop_near(const struct wr_case *c, const struct why_flow *f,
	const char *reason, const struct why_drop *after)
{
	for (const struct why_drop *d = after ? after + 1 : c->drop; d < c->drop + c->n_drops;
		d++) {
		if (reason_fits(d, reason) && near_flow(c, f, d))
			return d;
	}
	return NULL;
}

uint64_t why_dropped(const struct wr_case *c, const struct why_flow *f, const char *reason)
{
	const struct why_drop *d = NULL;
	uint64_t n = 0;

	while ((d = why_drop(c, f, reason, d)))
		n += d->count;
	return n;
}

bool why_on_way(const struct wr_case *c, uint64_t inode)
{
	return place_on_way(&c->there, inode) || place_on_way(&c->back, inode);
}

const struct why_place *why_place(const struct wr_case *c, uint64_t inode)
{
	for (unsigned i = 0; i < c->n_places; i++) {
		if (c->place[i].inode == inode)
			return &c->place[i];
	}
	return NULL;
}

const char *why_place_name(const struct wr_case *c, uint64_t inode)
{
	const struct why_place *p = why_place(c, inode);

	return p ? p->name : "a namespace that is gone";
}

const struct why_place *why_server(const struct wr_case *c)
{
	const struct why_hop *h = c->there.n ? &c->there.hop[c->there.n - 1] : NULL;

	return h && h->local ? h->place : NULL;
}

bool why_has_addr(const struct why_place *p, const struct wr_ip *ip)
{
	for (unsigned i = 0; p && i < p->n_addrs; i++) {
		if (same_ip(&p->addrs[i].ip, ip))
			return true;
	}
	return false;
}

static bool same_prefix(const struct wr_ip *a, const struct wr_ip *b, unsigned bits)
{
	return !memcmp(a, b, bits / 8) &&
	       (!(bits % 8) || !((a->b[bits / 8] ^ b->b[bits / 8]) >> (8 - bits % 8)));
}

bool why_on_link(const struct why_place *p, const struct wr_ip *ip)
{
	for (unsigned i = 0; p && i < p->n_addrs; i++) {
		const struct wr_addr *a = &p->addrs[i];

		if (wr_ip_is4(&a->ip) == wr_ip_is4(ip) &&
			same_prefix(&a->ip, ip, a->prefix + (wr_ip_is4(ip) ? 96u : 0)))
			return true;
	}
	return false;
}

const struct why_drop *why_refused(const struct wr_case *c, const struct why_flow *f)
{
	const struct why_drop *d = NULL;

	/* nf_conntrack_in() and nf_nat_*() answer NF_DROP: nothing else tells them apart from a rule */
	while ((d = why_drop_near(c, f, "NETFILTER_DROP", d)) &&
		(strncmp(d->location, "nf_hook_slow", 12) || d->table[0]))
		;
	return d;
}

const struct why_drop *why_queue_drop(const struct wr_case *c, const struct why_flow *f)
{
	const struct why_drop *d = NULL, *best = NULL;

	while ((d = why_drop(c, f, NULL, d))) {
		if (!strcmp(d->class, "queue") && (!best || d->count > best->count))
			best = d;
	}
	return best;
}

const struct wr_qdisc *why_long_queue(const struct wr_case *c, const struct why_hop **ret_hop)
{
	for (unsigned i = 0; i < c->there.n + c->back.n; i++) {
		const struct why_hop *h =
			i < c->there.n ? &c->there.hop[i] : &c->back.hop[i - c->there.n];

		for (unsigned k = 0; h->out && k < h->place->n_qdiscs; k++) {
			const struct wr_qdisc *q = &h->place->qdiscs[k];

			if (q->ifindex == h->out->index && q->backlog >= 20000) {
				*ret_hop = h;
				return q;
			}
		}
	}
	return NULL;
}

const struct why_drop *why_foreign_answer(const struct wr_case *c, const struct why_flow *f)
{
	if (f->proto != NET_TCP || f->established || !f->client_port)
		return NULL;
	for (const struct why_drop *d = c->drop; d < c->drop + c->n_drops; d++) {
		if (!strcmp(d->reason, "NO_SOCKET") && !strcmp(d->flags, "SA") &&
			same_ip(&d->client, &f->client) && d->client_port == f->client_port &&
			!same_ip(&d->server, &f->server))
			return d;
	}
	return NULL;
}

uint64_t why_grew(const struct why_place *p, const char *counter)
{
	for (unsigned i = 0; p && i < p->n_counters; i++) {
		const struct why_counter *k = &p->counters[i];

		if (!strcmp(k->name, counter))
			return k->after > k->before ? k->after - k->before : 0;
	}
	return 0;
}

bool why_failed(const struct why_flow *f)
{
	if (f->err)
		return true;
	if (f->proto == NET_UDP)
		return !f->bytes_to_client;
	if (f->established)
		return f->closed && !strcmp(f->close_reason, "timed_out");
	return f->closed || f->re_syn;
}

bool why_delayed(const struct why_flow *f)
{
	return f->proto == NET_TCP && f->established && f->max_rtt >= 50000 && f->rtt_min &&
	       f->max_rtt >= f->rtt_min * 10;
}

bool why_slow(const struct why_flow *f)
{
	return f->re_timeout || f->max_stalled_ms || f->zero_window_ms > 100;
}

const char *why_ip(const struct wr_ip *ip, char *buf)
{
	buf[wr_ip_text(ip, buf)] = 0;
	return buf;
}

bool why_say(struct why_finding *r, double confidence, const char *fmt, ...)
{
	va_list ap;

	r->confidence = confidence;
	va_start(ap, fmt);
	vsnprintf(r->summary, sizeof(r->summary), fmt, ap);
	va_end(ap);
	return true;
}

void why_evidence(struct why_finding *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n_evidence == WR_N(r->evidence))
		return;
	va_start(ap, fmt);
	vsnprintf(r->evidence[r->n_evidence++], sizeof(r->evidence[0]), fmt, ap);
	va_end(ap);
}

void why_fix(struct why_finding *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->fix, sizeof(r->fix), fmt, ap);
	va_end(ap);
}

const char *why_inside(const struct wr_case *c, uint64_t inode, char *buf, size_t n)
{
	const struct why_place *p = why_place(c, inode);

	if (!p || !strcmp(p->name, "host"))
		buf[0] = 0;
	else if (!strncmp(p->name, "pid ", 4))
		snprintf(buf, n, "nsenter -t %s -n ", p->name + 4);
	else
		snprintf(buf, n, "ip netns exec %s ", p->name);
	return buf;
}

void why_evidence_drop(struct why_finding *r, const struct wr_case *c, const struct why_drop *d)
{
	why_evidence(r, "%" PRIu64 " packet%s dropped: %s at %s, interface %s, namespace %s",
		d->count, d->count == 1 ? "" : "s", d->reason, d->location[0] ? d->location : "?",
		d->interface[0] ? d->interface : "-", why_place_name(c, d->netns));
}

const struct why_hop *why_route(
	const struct wr_case *c, const struct why_flow *f, int err, struct why_finding *r)
{
	char ip[WR_IP_TEXT];

	for (unsigned i = 0; i < c->there.n && why_failed(f); i++) {
		const struct why_hop *h = &c->there.hop[i];

		if (h->route.err != err)
			continue;
		if (f->err)
			why_evidence(r, "the application got: %s", strerror(f->err));
		why_evidence(r, "the table of namespace %s answers for %s: %s", h->place->name,
			why_ip(&f->server, ip), strerror(err));
		return h;
	}
	return NULL;
}
