// SPDX-License-Identifier: Apache-2.0
#include "neighbor.h"

#include <net/if.h>

#define SETS 512
#define WAYS 8

struct pair {
	struct wr_ip ip, target;
	uint8_t mac[6], target_mac[6];
	unsigned ifindex;
	uint64_t asked, answered, first, last;
	bool used, changed;
};

struct wr_neighbors {
	const char *host;
	bool changed;
	struct pair pair[SETS * WAYS];
};

struct wr_neighbors *wr_neighbors_new(const char *host)
{
	struct wr_neighbors *t = wr_alloc(sizeof(*t));

	if (t)
		t->host = host;
	return t;
}

void wr_neighbors_free(struct wr_neighbors *t)
{
	free(t);
}

static void emit(const struct wr_neighbors *t, struct pair *p, wr_sink_fn sink, void *ctx)
{
	char mac[WR_MAC_TEXT], target[WR_MAC_TEXT], name[IF_NAMESIZE];
	struct wr_ev_neighbor r;

	p->changed = false;
	if (!sink)
		return;
	WR_INIT(&r, neighbor);
	WR_SET(&r, neighbor, time, p->last);
	WR_SET(&r, neighbor, host, wr_str(t->host));
	WR_SET(&r, neighbor, protocol, WR_STR("arp"));
	WR_SET(&r, neighbor, ip, p->ip);
	WR_SET(&r, neighbor, mac, wr_str(wr_mac_text(p->mac, mac)));
	WR_SET(&r, neighbor, target_ip, p->target);
	if (p->answered)
		WR_SET(&r, neighbor, target_mac, wr_str(wr_mac_text(p->target_mac, target)));
	if (p->ifindex && if_indextoname(p->ifindex, name))
		WR_SET(&r, neighbor, interface, wr_str(name));
	WR_SET(&r, neighbor, asked, p->asked);
	WR_SET(&r, neighbor, answered, p->answered);
	WR_SET(&r, neighbor, first, p->first);
	WR_SET(&r, neighbor, last, p->last);
	sink(ctx, &r.ev);
}

static struct pair *set_of(
	struct wr_neighbors *t, const struct wr_ip *ip, const struct wr_ip *target)
{
	return t->pair +
	       wr_hash(ip, sizeof(*ip), wr_hash(target, sizeof(*target), 0)) % SETS * WAYS;
}

static struct pair *find(
	struct pair *set, const struct wr_ip *ip, const struct wr_ip *target, unsigned ifindex)
{
	for (struct pair *p = set; p < set + WAYS; p++) {
		if (p->used && p->ifindex == ifindex && !memcmp(&p->ip, ip, sizeof(*ip)) &&
			!memcmp(&p->target, target, sizeof(*target)))
			return p;
	}
	return NULL;
}

static void answer(struct wr_neighbors *t, const struct wr_arp *a)
{
	struct pair *p =
		find(set_of(t, &a->target, &a->sender), &a->target, &a->sender, a->ifindex);

	if (!p) /* nobody asked, or it was too long ago */
		return;
	p->answered++;
	memcpy(p->target_mac, a->mac, sizeof(p->target_mac));
	p->last = wr_max(p->last, a->ts);
	p->changed = t->changed = true;
}

void wr_neighbors_packet(struct wr_neighbors *t, const struct wr_arp *a, wr_sink_fn sink, void *ctx)
{
	struct pair *set, *p;

	if (!memcmp(&a->sender, &a->target, sizeof(a->sender)) || wr_ip_any(&a->sender))
		return;
	if (a->op == 2)
		answer(t, a);
	if (a->op != 1)
		return;
	set = set_of(t, &a->sender, &a->target);
	p = find(set, &a->sender, &a->target, a->ifindex);
	if (!p) {
		p = set;
		for (struct pair *i = set; i < set + WAYS && p->used; i++) {
			if (!i->used || i->last < p->last)
				p = i;
		}
		if (p->changed)
			emit(t, p, sink, ctx);
		*p = (struct pair){.ip = a->sender,
			.target = a->target,
			.ifindex = a->ifindex,
			.first = a->ts,
			.used = true};
		memcpy(p->mac, a->mac, sizeof(p->mac));
	}
	p->asked++;
	p->last = wr_max(p->last, a->ts);
	p->changed = t->changed = true;
}

void wr_neighbors_flush(struct wr_neighbors *t, wr_sink_fn sink, void *ctx)
{
	if (!t || !t->changed)
		return;
	t->changed = false;
	for (struct pair *p = t->pair; p < t->pair + SETS * WAYS; p++) {
		if (p->changed)
			emit(t, p, sink, ctx);
	}
}
