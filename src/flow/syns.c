// SPDX-License-Identifier: Apache-2.0
/* SYNs that do not become connections: of a flood that the kernel's cookies absorb nothing else is left. */
#include "../base/distinct.h"
#include "conn_priv.h"

#define TOLD 256 /* ports that are looked at, by hash; of two in one place neither is told */
#define LEAST 50 /* SYNs that became nothing: a record */
#define WINDOW 10000000000ull /* ns within which so many come */

static void emit(struct wr_conns *t, const struct wr_syn_key *k, const struct wr_syns *v,
	const struct syns_told *was)
{
	const struct side *s = conn_listener(t, k->port, k->netns);
	struct wr_distinct sources;
	struct wr_ev_syns r;

	memcpy(sources.bit, v->sources, sizeof(sources.bit));
	WR_INIT(&r, syns);
	WR_SET(&r, syns, time, t->now + (uint64_t)t->utc);
	WR_SET(&r, syns, host, wr_str(t->cfg.host));
	WR_SET(&r, syns, netns, k->netns);
	WR_SET(&r, syns, client_ip, wr_ip6(v->from));
	WR_SET(&r, syns, server_ip, wr_ip6(v->to));
	WR_SET(&r, syns, server_port, k->port);
	if (s)
		conn_fill_owner(t, &r.ev, WR_I_syns_server_ip, s);
	WR_SET(&r, syns, count, v->syns - was->syns);
	WR_SET(&r, syns, established, v->established - was->established);
	WR_SET(&r, syns, sources, wr_distinct_count(&sources));
	WR_SET(&r, syns, from, was->at + (uint64_t)t->utc);
	WR_SET(&r, syns, to, t->now + (uint64_t)t->utc);
	conn_tell(t, &r.ev);
}

void wr_conns_syns(struct wr_conns *t, const struct wr_syn_key *k, const struct wr_syns *v)
{
	struct syns_told *was, now = {*k, v->syns, v->established, t->now};

	t->syns = t->syns ? t->syns : wr_alloc(TOLD * sizeof(*t->syns));
	if (!t->syns || !t->cfg.sink)
		return;
	was = &t->syns[wr_hash(k, sizeof(*k), 0) % TOLD];
	if (!was->at) /* the kernel's counts began not long ago, too */
		*was = (struct syns_told){*k, 0, 0, t->now - wr_min(t->now, 1000000000ull)};
	if (memcmp(&was->key, k, sizeof(*k)) || v->syns < was->syns ||
		v->established < was->established) { /* the kernel forgot it */
		*was = now;
		return;
	}
	if (v->syns - was->syns >= v->established - was->established + LEAST)
		emit(t, k, v, was);
	else if (t->now < was->at + WINDOW)
		return;
	*was = now;
}
