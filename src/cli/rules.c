// SPDX-License-Identifier: Apache-2.0
#include "rules.h"
#include "../ctl/ctl.h"
#include "../sys/netns.h"

#include <sys/socket.h>

#define MAX_PLACES 16 /* namespaces with traces */
#define MAX_HITS 256
#define MAX_ASKED 64

struct place {
	uint64_t inode;
	struct wr_nftrace *trace; /* NULL: cannot be traced */
};

struct hit {
	uint64_t netns;
	struct wr_nft_drop d;
};

struct asked {
	uint64_t netns;
	struct wr_ip dst;
	uint16_t port;
	uint8_t proto;
};

struct wr_rules {
	struct place places[MAX_PLACES];
	struct hit hits[MAX_HITS];
	struct asked asked[MAX_ASKED];
	unsigned n_places, n_hits, n_asked;
	struct wr_err why;
};

struct wr_rules *wr_rules_new(void)
{
	return wr_alloc(sizeof(struct wr_rules));
}

void wr_rules_free(struct wr_rules *r)
{
	for (unsigned i = 0; r && i < r->n_places; i++)
		wr_nftrace_close(r->places[i].trace);
	free(r);
}

const char *wr_rules_why(const struct wr_rules *r)
{
	return r->why.text;
}

static struct place *place_of(struct wr_rules *r, uint64_t inode)
{
	struct wr_err e = {.text = ""};
	struct place *p;
	int fd;

	for (unsigned i = 0; i < r->n_places; i++) {
		if (r->places[i].inode == inode)
			return &r->places[i];
	}
	if (r->n_places == MAX_PLACES)
		return NULL;
	p = &r->places[r->n_places++];
	p->inode = inode;
	fd = wr_netns_open(inode);
	if (fd < 0)
		wr_fail(&e, fd, "the namespace is gone");
	else
		wr_nftrace_open(fd, &p->trace, &e);
	if (fd >= 0)
		close(fd);
	if (e.text[0] && !r->why.text[0])
		r->why = e;
	return p;
}

struct reading {
	struct wr_rules *r;
	uint64_t netns;
};

static void on_hit(void *ctx, const struct wr_nft_drop *d)
{
	struct reading *a = ctx;
	struct hit *h = NULL;

	/* the newest of a flow: its rules may have changed */
	for (unsigned i = 0; i < wr_min(a->r->n_hits, (unsigned)MAX_HITS) && !h; i++) {
		struct hit *o = &a->r->hits[i];

		if (o->netns == a->netns && o->d.proto == d->proto && o->d.dport == d->dport &&
			!memcmp(&o->d.src, &d->src, 16) && !memcmp(&o->d.dst, &d->dst, 16))
			h = o;
	}
	if (!h)
		h = &a->r->hits[a->r->n_hits++ % MAX_HITS];
	h->netns = a->netns;
	h->d = *d;
}

static uint8_t proto_of(struct wr_str transport)
{
	static const struct {
		const char *name;
		uint8_t n;
	} known[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmp6", 58}};
	uint64_t n;

	for (unsigned i = 0; i < WR_N(known); i++) {
		if (wr_str_eq(transport, wr_str(known[i].name)))
			return known[i].n;
	}
	if (transport.n > 3 && !memcmp(transport.p, "ip-", 3) &&
		!wr_parse_u64((struct wr_str){transport.p + 3, transport.n - 3}, &n))
		return (uint8_t)n;
	return 0;
}

const struct wr_nft_drop *wr_rules_of(struct wr_rules *r, uint64_t netns, const char *reason,
	uint8_t proto, const struct wr_ip *src, const struct wr_ip *dst, uint16_t dport)
{
	struct place *p;

	if (strcmp(reason, "NETFILTER_DROP") || !proto)
		return NULL;
	p = place_of(r, netns);
	if (!p || !p->trace)
		return NULL;
	wr_nftrace_read(p->trace, on_hit, &(struct reading){r, netns});
	for (unsigned i = 0; i < wr_min(r->n_hits, (unsigned)MAX_HITS); i++) {
		const struct hit *h = &r->hits[i];

		if (h->netns == netns && h->d.proto == proto && (h->d.dport == dport || !dport) &&
			!memcmp(&h->d.src, src, 16) && !memcmp(&h->d.dst, dst, 16))
			return &h->d;
	}
	for (unsigned i = 0; i < r->n_asked; i++) {
		const struct asked *a = &r->asked[i];

		if (a->netns == netns && a->proto == proto && a->port == dport &&
			!memcmp(&a->dst, dst, 16))
			return NULL;
	}
	if (r->n_asked < MAX_ASKED) {
		r->asked[r->n_asked++] = (struct asked){netns, *dst, dport, proto};
		wr_nftrace_match(p->trace, dst, proto, dport, r->why.text[0] ? NULL : &r->why);
	}
	return NULL;
}

const struct wr_nft_drop *wr_rules_find(struct wr_rules *r, const struct wr_ev_drop *d)
{
	bool up = wr_str_eq(d->sender, WR_STR("client"));
	char reason[40];

	wr_copy(reason, sizeof(reason), d->reason);
	return wr_rules_of(r, d->netns, reason, proto_of(d->transport),
		up ? &d->client_ip : &d->server_ip, up ? &d->server_ip : &d->client_ip,
		(uint16_t)(up ? d->server_port : d->client_port));
}

void wr_rules_fill(struct wr_ev_drop *d, const struct wr_nft_drop *rule)
{
	WR_SET(d, drop, rule_family, wr_str(rule->family));
	WR_SET(d, drop, rule_table, wr_str(rule->table));
	WR_SET(d, drop, rule_chain, wr_str(rule->chain));
	if (rule->handle)
		WR_SET(d, drop, rule_handle, rule->handle);
	if (rule->text[0])
		WR_SET(d, drop, rule_text, wr_str(rule->text));
}

int wr_rules_of_guard(const char *socket, wr_sink_fn fn, void *ctx, struct wr_err *e)
{
	struct wr_client c = {.n = 0};
	char wait;

	c.fd = wr_client_open(socket, "get rules\n", e);
	if (c.fd < 0)
		return c.fd;
	while (recv(c.fd, &wait, 1, MSG_PEEK) > 0 && wr_client_read(&c, fn, ctx) >= 0)
		;
	close(c.fd);
	return 0;
}
