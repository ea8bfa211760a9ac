// SPDX-License-Identifier: Apache-2.0
#include "pipeline.h"
#include "../base/log.h"
#include "../flow/drop.h"
#include "../kern/enums.h"
#include "../sys/ksyms.h"
#include "libs.h"

#include <ifaddrs.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define SECOND 1000000000ull
/* The rings are looked at after 10 to 100 ms, by what the last look found: an idle host costs little. */
#define WAIT_MIN 10
#define WAIT_MAX 100
/* with very many sockets a walk takes its time: at most a fiftieth of a core for it */
#define READ_SHARE 50
#define DROPS_EVERY 200000000ull /* ns */
#define BURST 16384 /* bytes of a turn that are copied where heads are enough */
#define FIRST 16 /* datagrams of a flow by which its protocol is known */
#define MAX_CLOSES 16384 /* closes put off within one step; more: not put off */

struct dropped {
	struct wr_drop_key key;
	struct wr_drop v;
};

struct wr_pipe {
	struct wr_pipe_config cfg;
	struct wr_kern *kern;
	struct wr_enrich *enrich;
	struct wr_ends *ends;
	struct wr_conns *conns;
	struct wr_libs *libs; /* NULL: what is inside TLS is not read */
	uint64_t next_tick, next_drops, last_full, last_read, read_cost;
	uint64_t kc[WR_KC_N]; /* kernel counters at the last tick */
	uint64_t records, packets; /* taken from the rings */
	uint64_t told_conn, skipped, told_skipped; /* skipped: of the kernel's state program */
	struct wr_ledger
		payload; /* segments for the parsers; dropped: of sockets that nobody knows */
	struct wr_rec_sock *closes;
	uint32_t n_closes, cap_closes;
	struct wr_ksyms *ksyms; /* NULL: drops have no place */
	struct dropped *drops;
	uint32_t n_drops, cap_drops;
	bool payload_on;
	int wait;
	bool listeners_only, links;
	struct wr_ip addrs[512];
	unsigned n_addrs;
	uint64_t addrs_read;
};

/*
 * Closes wait until the payload that passed before them is read: it is in the other ring. And until it is known
 * whether a reset follows them.
 */
static bool put_off(struct wr_pipe *p, const struct wr_rec *r, size_t len)
{
	const struct wr_rec_sock *k = (const void *)r;

	if (r->type != WR_REC_SOCK || len < sizeof(*k) || k->event != WR_EV_CLOSE)
		return false;
	if (p->n_closes == p->cap_closes) {
		uint32_t cap = p->cap_closes ? p->cap_closes * 2 : 64;
		void *q =
			cap <= MAX_CLOSES ? wr_realloc(p->closes, cap * sizeof(*p->closes)) : NULL;

		if (!q)
			return false;
		p->closes = q;
		p->cap_closes = cap;
	}
	p->closes[p->n_closes++] = *k;
	return true;
}

/* The close it belongs to came just before. */
static bool reset_of_close(struct wr_pipe *p, const struct wr_rec *r, size_t len)
{
	const struct wr_rec_reset *k = (const void *)r;

	if (r->type != WR_REC_RESET || len < sizeof(*k))
		return false;
	for (uint32_t i = p->n_closes; i-- > 0 && i + 64 > p->n_closes;) {
		struct wr_sock *s = &p->closes[i].s;

		if (p->closes[i].cookie != k->cookie)
			continue;
		s->flags |= WR_F_RST_OUT;
		s->rst_reason = k->reason;
		wr_conns_record(p->conns, r, len); /* it is counted there */
		return true;
	}
	return false;
}

static void do_closes(struct wr_pipe *p)
{
	for (uint32_t i = 0; i < p->n_closes; i++)
		wr_conns_record(p->conns, &p->closes[i].h, sizeof(p->closes[i]));
	p->n_closes = 0;
}

static void on_payload(struct wr_pipe *p, const struct wr_rec_payload *r, size_t len)
{
	const struct wr_payload_udp *u = r->proto == 17 ? (const void *)(r + 1) : NULL;
	size_t head = sizeof(*r) + (u ? sizeof(*u) : 0);

	if (len < head || r->cap > len - head) {
		p->payload.dropped++;
		return;
	}
	if (wr_conns_payload(p->conns, r, u, (const uint8_t *)r + head) == -ENOENT) {
		/* its open record may have come behind the last look at the other ring */
		wr_kern_drain_state(p->kern);
		if (wr_conns_payload(p->conns, r, u, (const uint8_t *)r + head)) {
			p->payload.dropped++;
			return;
		}
	}
	p->payload.out++;
}

static void on_tls(struct wr_pipe *p, const struct wr_rec_tls *r, size_t len)
{
	const uint8_t *data = (const uint8_t *)(r + 1);

	if (len < sizeof(*r) || r->cap > len - sizeof(*r) || r->cap > r->len) {
		p->payload.dropped++;
		return;
	}
	if (wr_conns_tls(p->conns, r, data) == -ENOENT) {
		wr_kern_drain_state(p->kern);
		if (wr_conns_tls(p->conns, r, data)) {
			p->payload.dropped++;
			return;
		}
	}
	p->payload.out++;
}

static void tls_spoken(void *ctx, uint32_t pid)
{
	struct wr_pipe *p = ctx;

	if (p->libs)
		wr_libs_process(p->libs, pid, true, wr_now());
}

static void on_record(void *ctx, const struct wr_rec *r, size_t len)
{
	struct wr_pipe *p = ctx;

	if (r->type == WR_REC_PAYLOAD) {
		p->payload.in++;
		if (len >= sizeof(struct wr_rec_payload))
			on_payload(p, (const void *)r, len);
		else
			p->payload.dropped++;
		return;
	}

	if (r->type == WR_REC_TLS) {
		p->payload.in++;
		on_tls(p, (const void *)r, len);
		return;
	}

	if (r->type == WR_REC_PACKET) {
		const struct wr_rec_packet *k = (const void *)r;

		p->packets++;
		if (p->cfg.packet && len >= sizeof(*k) && k->cap <= len - sizeof(*k))
			p->cfg.packet(p->cfg.ctx, k, (const uint8_t *)(k + 1));
		return;
	}
	if (r->type == WR_REC_JOURNEY) {
		p->packets++;
		if (p->cfg.step && len >= sizeof(struct wr_rec_journey))
			p->cfg.step(p->cfg.ctx, (const void *)r);
		return;
	}
	p->records++;
	if (r->type == WR_REC_EXEC && p->libs && len >= sizeof(struct wr_rec_exec))
		wr_libs_process(
			p->libs, ((const struct wr_rec_exec *)r)->owner.tgid, false, wr_now());
	if (!put_off(p, r, len) && !reset_of_close(p, r, len))
		wr_conns_record(p->conns, r, len);
}

static void on_reading(void *ctx, const struct wr_rec *r, size_t len)
{
	struct wr_pipe *p = ctx;

	if (p->listeners_only && ((const struct wr_rec_sock *)r)->s.role != WR_ROLE_LISTENER)
		return;
	wr_conns_record(p->conns, r, len);
}

/* Sockets first, then what passed interfaces: what a socket counts must not be counted there again. */
static bool on_flow(void *ctx, const struct wr_flow_key *k, const struct wr_flow *v, bool last)
{
	struct wr_pipe *p = ctx;

	if (!last && !k->cookie != p->links)
		return false;
	return wr_conns_flow(p->conns, k, v, last);
}

/* The addresses of this namespace, read again every few seconds while interfaces are watched. */
static bool is_local(void *ctx, const struct wr_ip *a)
{
	struct wr_pipe *p = ctx;
	uint64_t now = wr_now();

	if (now > p->addrs_read + 5 * SECOND || !p->addrs_read) {
		struct ifaddrs *list = NULL;

		p->addrs_read = now;
		p->n_addrs = 0;
		if (getifaddrs(&list))
			return false;
		for (struct ifaddrs *i = list; i && p->n_addrs < WR_N(p->addrs); i = i->ifa_next)
			p->n_addrs += wr_ip_of(i->ifa_addr, &p->addrs[p->n_addrs]);
		freeifaddrs(list);
	}
	for (unsigned i = 0; i < p->n_addrs; i++) {
		if (!memcmp(&p->addrs[i], a, sizeof(*a)))
			return true;
	}
	return false;
}

static const char *reset_name(uint32_t reason)
{
	return wr_enum_name("sk_rst_reason", "SK_RST_REASON_", reason);
}

static void limit(void *ctx, uint64_t cookie, enum wr_wanted w)
{
	wr_kern_limit(((struct wr_pipe *)ctx)->kern, cookie,
		w == WR_WANT_ALL       ? WR_PAYLOAD_ALL
		: w == WR_WANT_FRAMES  ? WR_PAYLOAD_FRAMES
		: w == WR_WANT_SILENCE ? WR_PAYLOAD_SILENT
		: w == WR_WANT_HEADS   ? BURST
				       : 0);
}

static void sink_loss(struct wr_pipe *p, wr_sink_fn fn, void *ctx, const char *where,
	const char *reason, uint64_t n, uint64_t bytes)
{
	struct wr_ev_loss l;

	if (!n)
		return;
	WR_INIT(&l, loss);
	WR_SET(&l, loss, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&l, loss, host, wr_str(p->cfg.host));
	WR_SET(&l, loss, where, wr_str(where));
	WR_SET(&l, loss, reason, wr_str(reason));
	WR_SET(&l, loss, count, n);
	if (bytes)
		WR_SET(&l, loss, bytes, bytes);
	fn(ctx, &l.ev);
}

/* New losses since the last tick become records; the totals are in the report. */
static void tell_losses(struct wr_pipe *p)
{
	struct wr_conns_stats s;
	uint64_t *c = p->kc, was[WR_KC_N];

	memcpy(was, c, sizeof(was));
	wr_kern_counters(p->kern, c);
	wr_conns_stats(p->conns, &s);
	if (!p->cfg.sink)
		return;
#define LOST(i) (c[i] - was[i])
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "state_ring", "full", LOST(WR_KC_STATE_LOST),
		LOST(WR_KC_LOST_BYTES_OUT) + LOST(WR_KC_LOST_BYTES_IN));
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "data_ring", "full", LOST(WR_KC_DATA_LOST), 0);
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "flow_map", "full", LOST(WR_KC_FLOW_FULL),
		LOST(WR_KC_FLOW_FULL_BYTES));
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "socket_storage", "no_memory", LOST(WR_KC_NO_STORAGE),
		0);
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "drop_map", "full", LOST(WR_KC_DROPS_FULL), 0);
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "arp", "rate", LOST(WR_KC_ARP_LOST), 0);
	sink_loss(p, p->cfg.sink, p->cfg.ctx, "conn_table", "full", s.refused - p->told_conn, 0);
	p->told_conn = s.refused;
	/* closes were lost, or may be: a reading of everything finds which sockets are gone */
	p->skipped = wr_kern_skipped(p->kern);
	if (LOST(WR_KC_STATE_LOST) ||
		(p->skipped != p->told_skipped && wr_now() > p->last_full + 10 * SECOND))
		p->last_full = 0;
#undef LOST
}

static void on_syns(void *ctx, const struct wr_syn_key *k, const struct wr_syns *v)
{
	wr_conns_syns(((struct wr_pipe *)ctx)->conns, k, v);
}

static void read_all(struct wr_pipe *p, uint64_t now)
{
	bool full = !p->last_full;

	wr_conns_tick(p->conns, now, wr_utc_offset());
	if (full)
		wr_conns_mark(p->conns);
	wr_kern_read_socks(p->kern, full, on_reading, p);
	p->links = false;
	wr_kern_read_flows(p->kern, on_flow, p);
	if (wr_kern_interfaces(p->kern)[0]) {
		p->links = true;
		wr_kern_read_flows(p->kern, on_flow, p);
	}
	wr_conns_settle(p->conns);
	wr_kern_read_syns(p->kern, on_syns, p);
	p->last_read = now;
	if (full) {
		wr_conns_sweep(p->conns);
		p->last_full = now;
		p->told_skipped = p->skipped;
	} else {
		p->read_cost = wr_now() - now;
	}
}

static void on_drop(void *ctx, const struct wr_drop_key *k, const struct wr_drop *v)
{
	struct wr_pipe *p = ctx;

	if (p->n_drops == p->cap_drops) {
		uint32_t cap = p->cap_drops ? p->cap_drops * 2 : 64;
		void *q = wr_realloc(p->drops, cap * sizeof(*p->drops));

		if (!q) { /* told without its place */
			wr_conns_drop(p->conns, k, v, NULL, NULL);
			return;
		}
		p->drops = q;
		p->cap_drops = cap;
	}
	p->drops[p->n_drops++] = (struct dropped){*k, *v};
	if (p->ksyms)
		wr_ksyms_want(p->ksyms, k->location);
}

/* What was lost of a flow in that time; what its reason alone says was no loss does not count. */
static bool flow_drops(
	void *ctx, const struct wr_flow_id *id, uint64_t from, uint64_t to, uint64_t *ret_n)
{
	enum { UNNAMED = 2 }; /* of old kernels, mostly: a segment that needs no answer */
	struct wr_pipe *p = ctx;
	struct wr_flow_drops d;
	char name[WR_DROP_NAME];

	*ret_n = 0;
	if (!wr_kern_flow_drops(p->kern, id, &d))
		return false;
	for (unsigned i = 0; i < WR_FLOW_DROPS; i++) {
		uint64_t at = d.at[i] >> 8 << 4;
		uint32_t reason = d.at[i] & 255;

		if (!at || at < from >> 4 << 4 || at > to || reason == UNNAMED)
			continue;
		wr_drop_name(wr_pipe_drop_reason(reason), reason, name);
		*ret_n += strcmp(wr_drop_words(name, "", WR_DROP_OTHER).class, "noise") != 0;
	}
	return true;
}

/* Sockets and flows are read first, as far as that is cheap: the ends of a young connection are known then. */
static void read_drops(struct wr_pipe *p, uint64_t now)
{
	bool flows = false;

	wr_kern_read_drops(p->kern, on_drop, p);
	for (uint32_t i = 0; i < p->n_drops && !flows; i++)
		flows = p->drops[i].key.family && !p->drops[i].key.quiet;
	if (flows && now >= p->last_read + p->read_cost * READ_SHARE)
		read_all(p, now);
	if (p->ksyms)
		wr_ksyms_read(p->ksyms);
	for (uint32_t i = 0; i < p->n_drops; i++) {
		const struct dropped *d = &p->drops[i];
		const struct wr_drop_place at = {
			d->key.location, d->key.reason, wr_drop_kind(&d->key)};

		if (wr_conns_drop(p->conns, &d->key, &d->v, wr_pipe_drop_reason(d->key.reason),
			    wr_ksyms_name(p->ksyms, d->key.location)) &&
			d->key.family)
			wr_kern_drop_quiet(p->kern, &at);
	}
	p->n_drops = 0;
	if (p->cap_drops > 1024) { /* a flood is over */
		free(p->drops);
		p->drops = NULL;
		p->cap_drops = 0;
	}
}

int wr_pipe_open(const struct wr_pipe_config *cfg, struct wr_pipe **ret, struct wr_err *e)
{
	struct wr_pipe *p = wr_alloc(sizeof(*p));
	struct wr_conns_config cc = {.host = cfg->host,
		.udp_idle = cfg->udp_idle,
		.max = cfg->max_conns,
		.requests = cfg->requests,
		.unmasked = cfg->unmasked,
		.unmasked_routes = cfg->unmasked_routes,
		.raw = cfg->raw,
		.sign = cfg->sign};
	int rc;

	if (!p)
		return wr_fail(e, -ENOMEM, "no memory");
	p->cfg = *cfg;
	p->wait = WAIT_MIN;
	p->cfg.kern.requests = cfg->requests;
	rc = wr_kern_open(&p->cfg.kern, &p->kern, e);
	if (rc) {
		free(p);
		return rc;
	}
	p->ksyms = wr_ksyms_new();
	p->enrich = wr_enrich_new(wr_kern_cgroup_root(p->kern));
	cc.enrich = p->enrich;
	cc.ends = p->ends = wr_ends_new();
	cc.limit = limit;
	cc.limit_ctx = p;
	cc.tls = tls_spoken;
	cc.local = is_local;
	cc.local_ctx = p;
	cc.reset_name = reset_name;
	cc.drop_seq = wr_kern_drop_seq(p->kern);
	cc.drops = flow_drops;
	p->conns = p->enrich && p->ends ? wr_conns_new(&cc) : NULL;
	if (!p->conns) {
		wr_pipe_close(p);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	wr_kern_seed(p->kern);
	/* listeners first: they tell which end of an older connection is the server */
	p->listeners_only = true;
	wr_conns_tick(p->conns, wr_now(), wr_utc_offset());
	wr_kern_read_socks(p->kern, true, on_reading, p);
	p->listeners_only = false;
	wr_kern_read_socks(p->kern, true, on_reading, p);
	wr_conns_sink(p->conns, cfg->sink, cfg->ctx); /* what was there is a snapshot, not news */
	if (cfg->requests) {
		struct wr_payload_ctl pl = {.burst = BURST,
			.unknown = 1u << 20,
			.wake = (cfg->kern.data_ring ? cfg->kern.data_ring : 1u << 20) / 4,
			.udp = 4096,
			.udp_port = {53, 5353, 5355},
			.udp_first = FIRST};

		p->payload_on = !wr_kern_payload(p->kern, &pl);
	}
	if (cfg->kern.tls && wr_kern_takes_files(p->kern)) {
		p->libs = wr_libs_new(p->kern, cfg->tls_leave);
		if (p->libs)
			wr_libs_scan(p->libs);
	}
	p->next_tick = wr_now() + SECOND;
	p->last_full = wr_now();
	malloc_trim(0); /* the kernel's type information was large */
	wr_kern_give_back();
	*ret = p;
	return 0;
}

void wr_pipe_close(struct wr_pipe *p)
{
	if (!p)
		return;
	wr_libs_free(p->libs);
	wr_kern_close(p->kern);
	wr_ksyms_free(p->ksyms);
	free(p->drops);
	free(p->closes);
	wr_conns_free(p->conns);
	wr_enrich_free(p->enrich);
	wr_ends_free(p->ends);
	wr_enums_free();
	free(p);
}

int wr_pipe_fd(struct wr_pipe *p)
{
	return wr_kern_fd(p->kern);
}

int wr_pipe_step(struct wr_pipe *p)
{
	uint64_t now = wr_now();
	int n;

	wr_conns_tick(p->conns, now, wr_utc_offset()); /* the wall clock may have been set */
	n = wr_kern_drain(p->kern, on_record, p);
	do_closes(p);
	if (p->libs)
		wr_libs_step(p->libs, now);
	if (n > 256)
		p->wait = WAIT_MIN;
	else if (!n)
		p->wait = wr_min(p->wait * 2, WAIT_MAX);
	else
		p->wait = wr_min(p->wait + 1, WAIT_MAX / 2);
	if (now >= p->next_drops) { /* while their connection is still known */
		read_drops(p, now);
		p->next_drops = now + DROPS_EVERY;
	}
	if (now >= p->next_tick) {
		tell_losses(p);
		read_all(p, now);
		p->next_tick = now + wr_min(wr_max(p->read_cost * READ_SHARE, SECOND), 10 * SECOND);
	}
	return p->wait;
}

void wr_pipe_flush(struct wr_pipe *p)
{
	wr_kern_drain(p->kern, on_record, p);
	do_closes(p);
	tell_losses(p);
	read_all(p, wr_now());
	read_drops(p, wr_now());
}

const char *wr_pipe_no_requests(struct wr_pipe *p)
{
	if (!p->cfg.requests)
		return "the agent does not read requests: requests.read is off";
	return p->payload_on
		       ? NULL
		       : "requests are read by the tap, which this kernel does not give: `weir doctor` says why";
}

const char *wr_pipe_drop_reason(uint32_t reason)
{
	return wr_enum_name("skb_drop_reason", "SKB_DROP_REASON_", reason);
}

const char *wr_pipe_symbol(struct wr_pipe *p, uint64_t addr)
{
	if (!p->ksyms)
		return NULL;
	if (!wr_ksyms_name(p->ksyms, addr)) {
		wr_ksyms_want(p->ksyms, addr);
		wr_ksyms_read(p->ksyms);
	}
	return wr_ksyms_name(p->ksyms, addr);
}

struct wr_kern *wr_pipe_kern(struct wr_pipe *p)
{
	return p->kern;
}

struct wr_conns *wr_pipe_conns(struct wr_pipe *p)
{
	return p->conns;
}

struct wr_enrich *wr_pipe_enrich(struct wr_pipe *p)
{
	return p->enrich;
}

struct wr_ends *wr_pipe_ends(struct wr_pipe *p)
{
	return p->ends;
}

static void metric(
	struct wr_pipe *p, wr_sink_fn fn, void *ctx, const char *name, double v, const char *unit)
{
	struct wr_ev_metric m;

	WR_INIT(&m, metric);
	WR_SET(&m, metric, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&m, metric, host, wr_str(p->cfg.host));
	WR_SET(&m, metric, name, wr_str(name));
	WR_SET(&m, metric, value, v);
	WR_SET(&m, metric, unit, wr_str(unit));
	fn(ctx, &m.ev);
}

struct report {
	struct wr_pipe *p;
	wr_sink_fn fn;
	void *ctx;
};

static void report_proto(void *ctx, const struct wr_proto *p, const struct wr_proto_stats *s)
{
	struct report *r = ctx;
	char t[64];

	if (!s->sessions && !s->requests && !s->unread)
		return;
#define P(what, unit)                                                                              \
	do {                                                                                       \
		snprintf(t, sizeof(t), "weir.protocol.%s." #what, p->name);                        \
		metric(r->p, r->fn, r->ctx, t, (double)s->what, unit);                             \
	} while (0)
	P(sessions, "{session}");
	P(requests, "{request}");
	P(bytes, "By");
	P(lost, "By");
	P(unread, "By");
#undef P
}

void wr_pipe_report(struct wr_pipe *p, wr_sink_fn fn, void *ctx)
{
	struct wr_conns_stats s;
	struct wr_enrich_stats x;
	uint64_t *c = p->kc;

	tell_losses(p);
	wr_conns_stats(p->conns, &s);
	wr_enrich_stats(p->enrich, &x);
#define M(name, v, unit) metric(p, fn, ctx, name, (double)(v), unit)
	M("weir.kernel.state_records", c[WR_KC_STATE_IN], "{record}");
	M("weir.kernel.state_lost", c[WR_KC_STATE_LOST], "{record}");
	M("weir.kernel.data_packets", c[WR_KC_DATA_IN], "{packet}");
	M("weir.kernel.data_lost", c[WR_KC_DATA_LOST], "{packet}");
	M("weir.kernel.flow_packets", c[WR_KC_FLOW_PACKETS], "{packet}");
	M("weir.kernel.flow_map_full", c[WR_KC_FLOW_FULL], "{packet}");
	M("weir.kernel.filtered", c[WR_KC_FILTERED], "{packet}");
	M("weir.kernel.drops", c[WR_KC_DROPS], "{packet}");
	M("weir.kernel.drops_uncounted", c[WR_KC_DROPS_FULL], "{packet}");
	M("weir.kernel.unreadable", c[WR_KC_BAD_PACKET], "{packet}");
	M("weir.kernel.no_socket", c[WR_KC_NO_OWNER], "{packet}");
	M("weir.reader.records", p->records, "{record}");
	M("weir.reader.packets", p->packets, "{packet}");
	if (p->libs) {
		struct wr_libs_stats l;

		wr_libs_stats(p->libs, &l);
		M("weir.tls.files", l.files, "{file}");
		M("weir.tls.functions", l.functions, "{function}");
		M("weir.tls.refused", l.refused, "{file}");
		M("weir.tls.left_alone", l.left, "{file}");
	}
	M("weir.conns.in", s.records.in, "{record}");
	M("weir.conns.out", s.records.out, "{record}");
	M("weir.conns.dropped", s.records.dropped, "{record}");
	M("weir.conns.live", s.live, "{connection}");
	M("weir.conns.opened", s.opened, "{connection}");
	M("weir.conns.closed", s.closed, "{connection}");
	M("weir.conns.sides_named", s.named, "{socket}");
	M("weir.conns.sides_unnamed", s.unnamed, "{socket}");
	M("weir.kernel.payload_cut", c[WR_KC_PAYLOAD_CUT], "By");
	M("weir.kernel.udp_unread", c[WR_KC_UDP_UNREAD], "{packet}");
	M("weir.payload.in", p->payload.in, "{segment}");
	M("weir.payload.out", p->payload.out, "{segment}");
	M("weir.payload.dropped", p->payload.dropped, "{segment}");
	if (wr_conns_sessions(p->conns)) {
		const struct wr_session_stats *q = wr_sessions_stats(wr_conns_sessions(p->conns));

		M("weir.sessions.bytes", q->bytes, "By");
		M("weir.sessions.skipped", q->skipped, "By");
		M("weir.sessions.lost", q->lost, "By");
		M("weir.sessions.unknown", q->unknown, "By");
		M("weir.sessions.requests", q->requests, "{request}");
		M("weir.sessions.unanswered", q->unpaired, "{request}");
		M("weir.sessions.violations", q->violations, "{message}");
		M("weir.sessions.refused", q->refused, "{session}");
		wr_sessions_each_proto(
			wr_conns_sessions(p->conns), report_proto, &(struct report){p, fn, ctx});
	}
	M("weir.enrich.processes", x.procs, "{process}");
	M("weir.enrich.cgroups", x.cgroups, "{cgroup}");
	M("weir.enrich.gone", x.gone, "{process}");
	M("weir.enrich.names", wr_ends_names(p->ends), "{address}");
#undef M
	sink_loss(p, fn, ctx, "state_ring", "full", c[WR_KC_STATE_LOST],
		c[WR_KC_LOST_BYTES_OUT] + c[WR_KC_LOST_BYTES_IN]);
	sink_loss(p, fn, ctx, "data_ring", "full", c[WR_KC_DATA_LOST], 0);
	sink_loss(p, fn, ctx, "flow_map", "full", c[WR_KC_FLOW_FULL], c[WR_KC_FLOW_FULL_BYTES]);
	sink_loss(p, fn, ctx, "conn_table", "full", s.refused, 0);
}
