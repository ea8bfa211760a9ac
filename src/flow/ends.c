// SPDX-License-Identifier: Apache-2.0
#include "ends.h"
#include "../enrich/geo.h"
#include "../enrich/names.h"

/* Where a kind of records has its ends; the fields behind an address are in the order of WR_END_FIELDS. */
struct place {
	bool has;
	uint8_t ip[2], name[2]; /* indexes; of client and server */
	uint8_t first; /* when it began; else `time` counts */
};

struct wr_ends {
	struct wr_names *names;
	struct wr_geo *geo; /* NULL: no files */
	struct place of[WR_KINDS];
};

static void find_places(struct wr_ends *n)
{
	for (unsigned i = 0; i < WR_KINDS; i++) {
		const struct wr_kind *k = &wr_kinds[i];
		struct place *p = &n->of[i];
		int c = wr_field_find(k, WR_STR("client.host_name"));
		int s = wr_field_find(k, WR_STR("server.host_name"));
		int first = wr_field_find(k, WR_STR("first"));

		p->has = c >= 0 && s >= 0;
		if (!p->has)
			continue;
		p->name[0] = (uint8_t)c;
		p->name[1] = (uint8_t)s;
		p->ip[0] = (uint8_t)wr_field_find(k, WR_STR("client.ip"));
		p->ip[1] = (uint8_t)wr_field_find(k, WR_STR("server.ip"));
		p->first = (uint8_t)(first > 0 ? first : wr_field_find(k, WR_STR("time")));
	}
}

struct wr_ends *wr_ends_new(void)
{
	struct wr_ends *n = wr_alloc(sizeof(*n));

	if (!n)
		return NULL;
	n->names = wr_names_new();
	if (!n->names) {
		free(n);
		return NULL;
	}
	find_places(n);
	return n;
}

void wr_ends_free(struct wr_ends *n)
{
	if (!n)
		return;
	wr_names_free(n->names);
	wr_geo_free(n->geo);
	free(n);
}

void wr_ends_geo(struct wr_ends *n, struct wr_geo *g)
{
	wr_geo_free(n->geo);
	n->geo = g;
}

/* Answers that were asked for: what comes unasked names nothing, whoever sent it. */
static void learn(struct wr_ends *n, const struct wr_ev_request *r)
{
	struct wr_str list;

	if (!wr_str_eq(r->protocol, WR_STR("dns")) || r->error ||
		!wr_ev_has(&r->ev, WR_I_request_duration_us) || !r->resource.n)
		return;
	list = wr_json_text(r->detail, "addresses");
	for (struct wr_str one = wr_next_token(&list); one.n; one = wr_next_token(&list)) {
		struct wr_ip ip, mask;

		if (!wr_ip_parse(one, &ip, &mask))
			wr_names_add(n->names, &r->client_ip, &ip, r->resource, r->time);
	}
}

static void set_text(struct wr_event *e, unsigned field, struct wr_str v)
{
	if (!v.n)
		return;
	*(struct wr_str *)((char *)e + wr_kinds[e->kind].fields[field].off) = v;
	wr_ev_mark(e, field);
}

static void fill(const struct wr_ends *n, struct wr_event *e, const struct place *at, unsigned end)
{
	const struct wr_field *f = wr_kinds[e->kind].fields;
	const struct wr_ip *client = wr_ev_at(e, &f[at->ip[0]]), *ip = wr_ev_at(e, &f[at->ip[end]]);
	uint64_t when = *(const uint64_t *)wr_ev_at(e, &f[at->first]);
	unsigned name = at->name[end];
	struct wr_place p;

	if (!wr_ev_has(e, at->ip[end]))
		return;
	set_text(e, name, wr_names_find(n->names, client, ip, when));
	if (!n->geo)
		return;
	wr_geo_find(n->geo, ip, &p);
	set_text(e, name + 1, p.country);
	if (p.asn) {
		*(uint64_t *)((char *)e + f[name + 2].off) = p.asn;
		wr_ev_mark(e, name + 2);
	}
	set_text(e, name + 3, p.as_name);
}

void wr_ends_hand(struct wr_ends *n, struct wr_event *e, wr_sink_fn sink, void *ctx)
{
	if (n) {
		const struct place *at = &n->of[e->kind];

		if (e->kind == WR_KIND_request)
			learn(n, (const void *)e);
		if (at->has && (n->geo || wr_names_count(n->names))) {
			fill(n, e, at, 0);
			fill(n, e, at, 1);
		}
	}
	sink(ctx, e);
}

unsigned wr_ends_names(const struct wr_ends *n)
{
	return wr_names_count(n->names);
}
