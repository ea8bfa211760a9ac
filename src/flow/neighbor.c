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

static struct wr_str mac_text(char *to, size_t n, const uint8_t *m)
{
	snprintf(to, n, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return wr_str(to);
}

static void emit(const struct wr_neighbors *t, struct pair *p, wr_sink_fn sink, void *ctx)
{
	char mac[18], target[18], name[IF_NAMESIZE];
	struct wr_ev_neighbor r;

	p->changed = false;
	if (!sink)
		return;
	WR_INIT(&r, neighbor);
	WR_SET(&r, neighbor, time, p->last);
	WR_SET(&r, neighbor, host, wr_str(t->host));
	WR_SET(&r, neighbor, protocol, WR_STR("arp"));
	WR_SET(&r, neighbor, ip, p->ip);
	WR_SET(&r, neighbor, mac, mac_text(mac, sizeof(mac), p->mac));
	WR_SET(&r, neighbor, target_ip, p->target);
	if (p->answered)
		WR_SET(&r, neighbor, target_mac, mac_text(target, sizeof(target), p->target_mac));
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
	static const uint8_t none[4];
	struct pair *set, *p;

	if (!memcmp(&a->sender, &a->target, sizeof(a->sender)) ||
		!memcmp((const uint8_t *)&a->sender + 12, none, sizeof(none)))
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
