// SPDX-License-Identifier: Apache-2.0
#include "copied.h"
#include "../flow/owner.h"

static void fill_owner(struct wr_copied *c, struct wr_enrich *x)
{
	const struct wr_proc *p = c->proc;

	wr_enrich_look(x, c->proc);
	WR_SET(&c->r, packet, pid, p->pid);
	WR_SET(&c->r, packet, process, wr_str(p->comm));
	WR_SET(&c->r, packet, user, wr_str(p->user));
	if (p->cgroup && p->cgroup->path)
		WR_SET(&c->r, packet, cgroup, wr_str(p->cgroup->path));
	if (p->cgroup && p->cgroup->container)
		WR_SET(&c->r, packet, container, wr_str(p->cgroup->container));
}

static void fill_drop(struct wr_copied *c)
{
	const struct wr_dropped *d = &c->drop;

	WR_SET(&c->r, packet, drop_reason, wr_str(d->reason));
	if (d->location)
		WR_SET(&c->r, packet, drop_location, wr_str(d->location));
	if (d->words)
		WR_SET(&c->r, packet, drop_meaning, wr_str(d->words));
	if (d->interface[0])
		WR_SET(&c->r, packet, interface, wr_str(d->interface));
}

bool wr_copied_fill(struct wr_copied *c, struct wr_pipe *p, const struct wr_rec_packet *rec,
	const uint8_t *data, uint64_t n, int64_t utc)
{
	struct wr_enrich *x = wr_pipe_enrich(p);

	c->proc = wr_enrich_proc(x, &rec->owner);
	c->conn = wr_conns_id(wr_pipe_conns(p), rec->cookie);
	c->dropped = rec->dir == WR_DIR_DROPPED;
	c->netns = c->dropped ? rec->netns : rec->owner.netns;
	wr_packet_decode(data, rec->cap, rec->wire_len, WR_LINK_RAW, &c->k);
	c->k.ts = rec->h.ts + (uint64_t)utc;
	wr_packet_event(&c->k, n, &c->text, &c->r);
	WR_SET(&c->r, packet, direction,
		c->dropped ? WR_STR("drop")
		: rec->dir ? WR_STR("out")
			   : WR_STR("in"));
	if (c->dropped) {
		if (!wr_dropped(rec, &c->k, wr_pipe_drop_reason(rec->reason),
			    wr_pipe_symbol(p, rec->location), &c->drop))
			return false;
		fill_drop(c);
	}
	if (c->netns)
		WR_SET(&c->r, packet, netns, c->netns);
	if (c->conn) {
		snprintf(c->id, sizeof(c->id), "%016" PRIx64, c->conn);
		WR_SET(&c->r, packet, conn, wr_str(c->id));
	}
	if (c->proc)
		fill_owner(c, x);
	return true;
}

void wr_copied_done(struct wr_copied *c, struct wr_pipe *p)
{
	wr_enrich_put(wr_pipe_enrich(p), c->proc);
}

void wr_copied_comment(const struct wr_copied *c, struct wr_buf *b)
{
	if (c->dropped)
		wr_dropped_comment(b, &c->drop);
	else
		wr_buf_str(b, c->r.direction);
	wr_owner_comment(b, c->proc, c->conn);
}

void wr_copied_choose(const struct wr_filter *f, uint32_t snap, struct wr_kfilter *ret)
{
	struct wr_filter_hint h;

	wr_filter_hint(f, &h);
	*ret = (struct wr_kfilter){
		.on = 1, .snap = snap, .tgid = h.pid, .proto = h.proto, .addr_on = h.addr_on};
	ret->port_lo = h.port_lo;
	ret->port_hi = h.port_hi;
	memcpy(ret->addr, &h.addr, 16);
	memcpy(ret->mask, &h.mask, 16);
	memcpy(ret->comm, h.process, 16);
}
