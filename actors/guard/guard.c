// SPDX-License-Identifier: Apache-2.0
#include "guard.h"

#include "../../src/flow/packet.h"
#include "../cookie/cookie.h"
#include "../cut/cut.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FILE (4u << 20)
#define LOOK 1000000000u /* ns */

struct wr_guard {
	struct wr_guard_config c;
	char host[64], interfaces[256];
	struct wr_guard_kern *kern; /* NULL: not loaded */
	struct wr_cut *cut;
	struct wr_guard_rule *rule[WR_G_SLOTS];
	unsigned n;
	uint32_t next_id;
	bool used[WR_G_SLOTS];
	bool chosen; /* the interfaces were named by a command: no others */
	uint64_t looked; /* for new interfaces */
	bool stale; /* its file shall be read again */
	uint32_t list; /* the rule whose list the kernel has; 0: none */
};

static uint64_t mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t utc(void)
{
	return wr_now() + (uint64_t)wr_utc_offset();
}

/* --- the language */

/* "1000/s", "10k", "2M/s" packets; "10mbit", "2MB/s", "64kB" bytes; k, M, G are 1,000s. */
static int rate(struct wr_str s, uint64_t *ret_packets, uint64_t *ret_bytes)
{
	uint64_t v = 0, k = 1;
	size_t i = 0;
	bool bits = false, bytes = false;

	if (s.n > 2 && s.p[s.n - 2] == '/' && s.p[s.n - 1] == 's')
		s.n -= 2;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && v < UINT64_MAX / 100; i++)
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	if (!i || !v)
		return -EINVAL;
	if (i < s.n && strchr("kKmMgG", s.p[i])) {
		k = strchr("kK", s.p[i]) ? 1000 : strchr("mM", s.p[i]) ? 1000000 : 1000000000;
		i++;
	}
	bits = s.n - i == 3 && !strncasecmp(s.p + i, "bit", 3);
	bytes = s.n - i == 1 && s.p[i] == 'B';
	if ((i < s.n && !bits && !bytes) || v > 1000000000000ull / k)
		return -EINVAL;
	*ret_packets = bits || bytes ? 0 : v * k;
	*ret_bytes = bits ? wr_max(v * k / 8, (uint64_t)1) : bytes ? v * k : 0;
	return 0;
}

static int per(struct wr_str s, struct wr_guard_rule *r)
{
	struct wr_str f[3] = {s, {NULL, 0}, {NULL, 0}};
	uint64_t v;

	for (unsigned i = 0; i < 2; i++) {
		const char *slash = memchr(f[i].p, '/', f[i].n);

		if (!slash)
			break;
		f[i + 1] = (struct wr_str){slash + 1, f[i].n - (size_t)(slash - f[i].p) - 1};
		f[i].n = (size_t)(slash - f[i].p);
	}
	r->bits4 = 32;
	r->bits6 = 64; /* one customer: RFC 6177 */
	if (wr_str_eq(f[0], WR_STR("total")))
		r->per = WR_G_PER_TOTAL;
	else if (wr_str_eq(f[0], WR_STR("src")))
		r->per = WR_G_PER_SRC;
	else if (wr_str_eq(f[0], WR_STR("dst")))
		r->per = WR_G_PER_DST;
	else
		return -EINVAL;
	if (f[1].p) {
		if (wr_parse_u64(f[1], &v) || !v || v > 32)
			return -EINVAL;
		r->bits4 = (uint8_t)v;
	}
	if (f[2].p) {
		if (wr_parse_u64(f[2], &v) || !v || v > 128)
			return -EINVAL;
		r->bits6 = (uint8_t)v;
	}
	return 0;
}

/* Whether it is the hour of a rule, and until when. True: that is not what is in force. */
static bool hours(struct wr_guard_rule *r)
{
	time_t t = time(NULL);
	uint64_t until = 0, was = r->until;
	bool idle = r->idle;
	struct tm now;
	uint32_t left;

	left = localtime_r(&t, &now) ? wr_guard_when_left(&r->when, &now) : 0;
	if (left && left != UINT32_MAX)
		until = mono() + left * 1000000000ull;
	r->idle = !left;
	if (r->idle == idle && !until == !was &&
		(until > was ? until - was : was - until) < 2 * LOOK)
		return false; /* a clock of whole seconds */
	r->until = until;
	return true;
}

int wr_guard_parse(struct wr_str line, struct wr_guard_rule *r, struct wr_err *e)
{
	struct wr_str rest = line, verb = wr_next_token(&rest), w, look, file = {NULL, 0};
	uint64_t ttl, now = mono();

	memset(r, 0, sizeof(*r));
	r->bits4 = 32;
	r->bits6 = 64;
	r->made = utc();
	if (wr_str_eq(verb, WR_STR("drop"))) {
		r->action = WR_G_DROP;
	} else if (wr_str_eq(verb, WR_STR("allow")) || wr_str_eq(verb, WR_STR("keep"))) {
		r->action = WR_G_ALLOW;
		r->automatic = verb.p[0] == 'k';
	} else if (wr_str_eq(verb, WR_STR("limit"))) {
		r->action = WR_G_LIMIT;
	} else if (wr_str_eq(verb, WR_STR("cookie"))) {
		r->action = WR_G_COOKIE;
	} else if (wr_str_eq(verb, WR_STR("reject"))) {
		r->action = WR_G_REJECT;
	} else if (wr_str_eq(verb, WR_STR("tarpit"))) {
		r->action = WR_G_TARPIT;
	} else {
		e->at = (size_t)(verb.p - line.p);
		return wr_fail(e, -EINVAL,
			"a rule begins with drop, reject, tarpit, limit, cookie or allow, not '%.*s'",
			(int)verb.n, verb.p);
	}
	ttl = r->automatic ? 0 : WR_GUARD_TTL;
	for (look = rest, w = wr_next_token(&look); w.n; look = rest, w = wr_next_token(&look)) {
		struct wr_str v = wr_next_token(&look);
		int rc;

		if (wr_str_eq(w, WR_STR("rate")))
			rc = rate(v, &r->packets, &r->bytes);
		else if (wr_str_eq(w, WR_STR("per")))
			rc = per(v, r);
		else if (wr_str_eq(w, WR_STR("burst")))
			rc = wr_parse_size(v, &r->burst);
		else if (wr_str_eq(w, WR_STR("list")) && r->action == WR_G_DROP)
			rc = v.n && v.n < sizeof(r->text) ? (r->list = true, file = v, 0) : -EINVAL;
		else if (wr_str_eq(w, WR_STR("of")) && r->list)
			rc = v.n && wr_copy(r->of, sizeof(r->of), v) ? 0 : -EINVAL;
		else if (wr_str_eq(w, WR_STR("when")))
			rc = wr_guard_when_parse(v, &r->when);
		else if (wr_str_eq(w, WR_STR("ttl")))
			rc = wr_str_eq(v, WR_STR("0")) ? (ttl = 0, 0) : wr_parse_duration(v, &ttl);
		else
			break;
		if (rc) {
			e->at = (size_t)(v.p - line.p);
			return wr_fail(e, rc,
				wr_str_eq(w, WR_STR("rate"))
					? "a rate is packets (1000/s, 10k/s) or bits or bytes (10mbit, 2MB/s), not '%.*s'"
				: wr_str_eq(w, WR_STR("per"))
					? "a limit counts per total, src, dst, or a prefix: src/24, src/24/56; not '%.*s'"
				: wr_str_eq(w, WR_STR("of"))
					? "of what? Countries and networks: KP,AS64500; not '%.*s'"
				: wr_str_eq(w, WR_STR("when"))
					? "'%.*s' is no time of day: 22:00-06:00, mon-fri, sat,sun@08:00-18:00"
				: wr_str_eq(w, WR_STR("ttl"))
					? "'%.*s' is not a duration (30s, 10m, 1h; 0: without end)"
					: "'%.*s' is not a number of packets or bytes",
				(int)v.n, v.p);
		}
		rest = look;
	}
	if (r->action == WR_G_LIMIT && !r->packets && !r->bytes)
		return wr_fail(
			e, -EINVAL, "a limit needs a rate: packets (1000/s) or bits (10mbit)");
	if (r->action == WR_G_COOKIE && r->bytes)
		return wr_fail(
			e, -EINVAL, "the rate of cookies is SYNs (1000/s), not bits or bytes");
	if (r->action != WR_G_LIMIT && (r->packets || r->bytes || r->burst) &&
		(r->action != WR_G_COOKIE || !r->packets))
		return wr_fail(e, -EINVAL, "only a limit, or cookies, have a rate and a burst");
	while (rest.n && (rest.p[0] == ' ' || rest.p[0] == '\t')) {
		rest.p++;
		rest.n--;
	}
	while (rest.n && (rest.p[rest.n - 1] == ' ' || rest.p[rest.n - 1] == '\t' ||
				 rest.p[rest.n - 1] == '\r'))
		rest.n--;
	if (rest.n > WR_MAX_EXPR)
		return wr_fail(e, -EINVAL, "an expression of more than %d bytes", WR_MAX_EXPR);
	if (r->list && rest.n)
		return wr_fail(e, -EINVAL, "a list takes no expression beside it");
	if (r->list)
		rest = file;
	if (!rest.n && r->action != WR_G_LIMIT)
		return wr_fail(e, -EINVAL,
			"which packets? An expression is missing, as in: drop 'src 203.0.113.0/24 and udp'");
	e->at = (size_t)(rest.p - line.p);
	wr_copy(r->text, sizeof(r->text), rest);
	r->expires = ttl ? now + ttl : 0;
	r->expires_utc = ttl ? r->made + ttl : 0;
	if (r->when.days)
		hours(r);
	return 0;
}

static bool same_rule(const struct wr_guard_rule *a, const struct wr_guard_rule *b)
{
	return a->action == b->action && a->list == b->list && a->per == b->per &&
	       a->bits4 == b->bits4 && a->bits6 == b->bits6 && a->automatic == b->automatic &&
	       a->packets == b->packets && a->bytes == b->bytes && a->burst == b->burst &&
	       !strcmp(a->text, b->text) && !strcmp(a->of, b->of) && a->when.days == b->when.days &&
	       a->when.from == b->when.from && a->when.to == b->when.to;
}

/* --- the interfaces */

static int attach_all(struct wr_guard *g, struct wr_err *e)
{
	struct wr_str list = wr_str(g->interfaces), w;
	struct if_nameindex *all;
	struct wr_err why = {.text = "no interface is up, but loopback"};
	unsigned tried = 0, works = 0;
	int s, rc;

	while (wr_next_word(&list, &w)) {
		char name[IFNAMSIZ];

		wr_copy(name, sizeof(name), w);
		rc = wr_guard_kern_attach(g->kern, name, g->c.mode, e);
		if (rc && rc != -EEXIST)
			return rc;
		tried++;
	}
	if (tried || g->chosen)
		return 0;
	all = if_nameindex();
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (struct if_nameindex *i = all; s >= 0 && i && i->if_index; i++) {
		struct ifreq r = {.ifr_flags = 0};

		wr_copy(r.ifr_name, sizeof(r.ifr_name), wr_str(i->if_name));
		if (ioctl(s, SIOCGIFFLAGS, &r) || !(r.ifr_flags & IFF_UP) ||
			(r.ifr_flags & IFF_LOOPBACK))
			continue;
		rc = wr_guard_kern_attach(g->kern, i->if_name, g->c.mode, &why);
		works += !rc || rc == -EEXIST;
	}
	if (s >= 0)
		close(s);
	if (all)
		if_freenameindex(all);
	return works ? 0 : wr_fail(e, -ENODEV, "nothing to guard: %s", why.text);
}

/* --- never blocked: who routes for this host and who resolves its names */

static void keep(struct wr_guard *g, const char *text)
{
	struct wr_guard_rule *r;
	struct wr_err e = {.text = ""};
	char line[160];

	snprintf(line, sizeof(line), "keep %s", text);
	r = wr_alloc(sizeof(*r));
	if (!r || g->n == WR_G_SLOTS || wr_guard_parse(wr_str(line), r, &e)) {
		free(r);
		return;
	}
	for (unsigned i = 0; i < g->n; i++) {
		if (same_rule(g->rule[i], r)) {
			free(r);
			return;
		}
	}
	for (r->slot = 0; g->used[r->slot]; r->slot++)
		;
	g->used[r->slot] = true;
	r->id = ++g->next_id;
	r->fresh = true;
	g->rule[g->n++] = r;
}

static void keep_neighbours(struct wr_guard *g)
{
	char line[256], text[128];
	FILE *f = fopen("/proc/net/route", "re");
	unsigned to, via;

	while (f && fgets(line, sizeof(line), f)) {
		struct in_addr a;
		char ip[INET_ADDRSTRLEN];

		if (sscanf(line, "%*s %x %x", &to, &via) != 2 || to || !via)
			continue;
		a.s_addr = via;
		snprintf(text, sizeof(text), "src %s", inet_ntop(AF_INET, &a, ip, sizeof(ip)));
		keep(g, text);
	}
	if (f)
		fclose(f);
	f = fopen("/etc/resolv.conf", "re");
	while (f && fgets(line, sizeof(line), f)) {
		char ip[64];
		struct wr_ip a;

		if (sscanf(line, "nameserver %63s", ip) != 1 || wr_ip_parse(wr_str(ip), &a, NULL) ||
			(wr_ip_is4(&a) && a.b[12] == 127))
			continue;
		snprintf(text, sizeof(text), "src %s and src.port = 53", ip);
		keep(g, text);
	}
	if (f)
		fclose(f);
}

static const char *rate_text(const struct wr_guard_rule *r, char t[48])
{
	uint64_t v = r->packets ? r->packets : r->bytes * 8;

	snprintf(t, 48, "%" PRIu64 "%s", v, r->packets ? "/s" : "bit");
	return t;
}

/* What all rules of a listing share. */
struct listing {
	uint64_t utc, jiffies, tick;
	struct wr_buf where;
};

static void list_begin(struct wr_guard *g, struct listing *l)
{
	*l = (struct listing){.utc = utc(), .where = WR_BUF(8192)};
	wr_guard_where(g, &l->where);
	if (g->kern && wr_guard_kern_clock(g->kern, &l->jiffies, &l->tick))
		l->tick = 0;
}

static void tell_rule(struct wr_guard *g, const struct listing *l, const struct wr_guard_rule *r,
	wr_sink_fn fn, void *ctx)
{
	static const char *const actions[] = {
		"", "allow", "drop", "cookie", "limit", "reject", "tarpit"};
	static const char *const pers[] = {"total", "src", "dst"};
	struct wr_g_count c = {.packets = 0};
	struct wr_ev_rule ev;
	char rt[48], pt[24], lt[600], wt[WR_GUARD_WHEN_TEXT];

	if (g->kern)
		wr_guard_kern_count(g->kern, r->slot, &c);
	WR_INIT(&ev, rule);
	WR_SET(&ev, rule, time, l->utc);
	WR_SET(&ev, rule, host, wr_str(g->host));
	WR_SET(&ev, rule, id, r->id);
	if (r->list)
		snprintf(lt, sizeof(lt),
			r->of[0] ? "src of %s%s%.400s (%u networks)"
				 : "src in %s%s%.400s (%u networks)",
			r->of, r->of[0] ? " in " : "", r->text, r->networks);
	WR_SET(&ev, rule, text, wr_str(r->list ? lt : r->text));
	WR_SET(&ev, rule, action, wr_str(actions[r->action]));
	if (r->packets || r->bytes) {
		WR_SET(&ev, rule, rate, wr_str(rate_text(r, rt)));
		snprintf(pt, sizeof(pt), r->bits4 < 32 && r->per ? "%s/%u" : "%s", pers[r->per],
			r->bits4);
		WR_SET(&ev, rule, per, wr_str(pt));
		WR_SET(&ev, rule, matched, c.matched);
	}
	WR_SET(&ev, rule, hits, c.packets);
	WR_SET(&ev, rule, bytes, c.bytes);
	if (c.last && l->tick)
		WR_SET(&ev, rule, last,
			l->utc - (l->jiffies - wr_min(l->jiffies, c.last)) * l->tick);
	WR_SET(&ev, rule, since, r->made);
	if (r->expires)
		WR_SET(&ev, rule, expires, r->expires_utc);
	if (r->automatic)
		WR_SET(&ev, rule, automatic, 1);
	if (r->when.days) {
		wr_guard_when_text(&r->when, wt);
		WR_SET(&ev, rule, when, wr_str(wt));
		WR_SET(&ev, rule, idle, r->idle);
	}
	if (r->example[0])
		WR_SET(&ev, rule, example, wr_str(r->example));
	WR_SET(&ev, rule, interfaces, wr_buf_view(&l->where));
	fn(ctx, &ev.ev);
}

/* A dropped packet, for the rule that did it. */
static void on_sample(void *ctx, const struct wr_g_sample *s)
{
	struct wr_guard *g = ctx;
	struct wr_guard_rule *r = NULL;
	char from[WR_IP_TEXT], to[WR_IP_TEXT], dev[IFNAMSIZ] = "?";
	struct wr_pkt p;

	for (unsigned i = 0; i < g->n; i++) {
		if (g->rule[i]->slot == s->slot)
			r = g->rule[i];
	}
	if (!r || s->n > sizeof(s->head))
		return;
	wr_packet_decode(s->head, s->n, s->bytes, WR_LINK_ETHERNET, &p);
	if (!p.ip_version)
		return;
	wr_ip_text(&p.src, from);
	wr_ip_text(&p.dst, to);
	if_indextoname(s->ifindex, dev);
	if (p.has_ports)
		snprintf(r->example, sizeof(r->example),
			"%s %s port %u to %s port %u, %u bytes, on %s", wr_proto_name(p.proto),
			from, p.sport, to, p.dport, s->bytes, dev);
	else
		snprintf(r->example, sizeof(r->example), "%s %s to %s, %u bytes, on %s",
			wr_proto_name(p.proto), from, to, s->bytes, dev);
}

/* --- the set */

static int clock_of(struct wr_guard *g, struct wr_guard_clock *ret, struct wr_err *e)
{
	int rc = wr_guard_kern_clock(g->kern, &ret->jiffies, &ret->tick);

	ret->ns = mono();
	return rc ? wr_fail(e, rc, "cannot read the kernel's clock: %s", strerror(-rc)) : 0;
}

/* Puts the @n rules of @list in force. */
static int apply(struct wr_guard *g, struct wr_guard_rule *const *list, unsigned n,
	unsigned *ret_bad, struct wr_err *e)
{
	struct wr_g_set *s = wr_alloc(sizeof(*s));
	struct wr_guard_list l = {.lines = 0};
	struct wr_guard_rule *listed = NULL;
	struct wr_guard_clock now;
	struct wr_cookie_ctl host;
	bool cookies = false, answers = false;
	int rc = s ? 0 : wr_fail(e, -ENOMEM, "no memory");

	if (!rc && !g->kern)
		rc = wr_guard_kern_open(&g->kern, e);
	if (!rc)
		rc = clock_of(g, &now, e);
	if (!rc)
		rc = wr_guard_plan((const struct wr_guard_rule *const *)list, n,
			g->c.drop_unparsed ? WR_G_DROP_UNPARSED : 0, &now, s, ret_bad, e);

	for (unsigned i = 0; i < n && !rc; i++) {
		if (!list[i]->list)
			continue;
		*ret_bad = i;
		if (listed)
			rc = wr_fail(e, -EINVAL,
				"one list at a time: '%s' and '%s'; put them into one file",
				listed->text, list[i]->text);
		listed = list[i];
	}
	for (unsigned i = 0; i < n; i++) {
		cookies |= list[i]->action == WR_G_COOKIE;
		answers |= list[i]->action == WR_G_REJECT || list[i]->action == WR_G_TARPIT;
	}
	if (!rc && answers)
		rc = wr_guard_kern_answer(g->kern, e);
	if (!rc && cookies) { /* where they are refused, nothing has changed yet */
		rc = wr_cookie_host(&host, e);
		rc = rc ? rc : wr_guard_kern_cookies(g->kern, &host, e);
	}
	if (!rc && listed && (listed->fresh || listed->id != g->list || g->stale)) {
		rc = listed->of[0] ? wr_guard_list_places(listed->text, wr_str(listed->of), &l, e)
				   : wr_guard_list_read(listed->text, &l, e);
		if (!rc)
			listed->networks = l.lines;
	}
	g->stale = false;
	if (!rc && (l.in.of || (!listed && g->list))) {
		rc = wr_guard_kern_list(g->kern, l.in.of ? &l.in : NULL, e);
		g->list = rc || !listed ? 0 : listed->id;
	}
	wr_guard_list_free(&l);
	for (unsigned i = 0; i < n && !rc; i++) {
		if (list[i]->fresh) /* what a rule before it in this slot did is not its own */
			wr_guard_kern_clear(g->kern, list[i]->slot);
	}
	if (!rc)
		rc = wr_guard_kern_set(g->kern, s, e);
	for (unsigned i = 0; i < n && !rc; i++)
		list[i]->fresh = false;
	free(s);
	return rc;
}

/* Rules about packets. */
static unsigned count(const struct wr_guard *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		n += !g->rule[i]->automatic;
	return n;
}

unsigned wr_guard_count(const struct wr_guard *g)
{
	return g ? count(g) + wr_cut_count(g->cut) : 0;
}

static void let_go(struct wr_guard *g)
{
	if (g->kern)
		wr_guard_kern_detach(g->kern);
	g->chosen = false;
}

/* The rules that are known are in force again. */
static void back(struct wr_guard *g)
{
	struct wr_err e = {.text = ""};
	unsigned bad = 0;

	apply(g, g->rule, g->n, &bad, &e);
}

/* Takes the rules away for which @gone says so, and lets go of the interfaces when none is left. */
static void forget(
	struct wr_guard *g, bool (*gone)(const struct wr_guard_rule *r, uint64_t x), uint64_t x)
{
	struct listing l = {.utc = 0};
	unsigned n = 0, was = g->n;

	for (unsigned i = 0; i < g->n; i++) {
		if (gone(g->rule[i], x)) {
			if (g->c.ended && !l.utc)
				list_begin(g, &l);
			if (g->c.ended && !g->rule[i]->automatic)
				tell_rule(g, &l, g->rule[i], g->c.ended, g->c.ctx);
			g->used[g->rule[i]->slot] = false;
			free(g->rule[i]);
		} else {
			g->rule[n++] = g->rule[i];
		}
	}
	wr_buf_free(&l.where);
	g->n = n;
	if (n == was || !g->kern)
		return;
	if (!count(g))
		let_go(g);
	else
		back(g); /* a part of what was in force: it fits */
}

static int add(struct wr_guard *g, struct wr_str line, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_guard_rule *r = wr_alloc(sizeof(*r));
	size_t at;
	unsigned bad = 0;
	int rc = r ? wr_guard_parse(line, r, e) : wr_fail(e, -ENOMEM, "no memory");

	at = e->at;
	for (unsigned i = 0; !rc && i < g->n; i++) {
		if (!same_rule(g->rule[i], r))
			continue;
		/* said again: it lives longer, and keeps its number and its counters */
		g->rule[i]->expires = r->expires;
		g->rule[i]->expires_utc = r->expires_utc;
		g->stale = r->list; /* the file may be another now */
		rc = apply(g, g->rule, g->n, &bad, e);
		if (!rc && !r->automatic)
			wr_buf_printf(ret, "%u\n", g->rule[i]->id);
		free(r);
		return rc;
	}
	if (!rc && !count(g) && !r->automatic)
		keep_neighbours(g);
	if (!rc && g->n == WR_G_SLOTS)
		rc = wr_fail(e, -E2BIG, "more than %d rules", WR_G_SLOTS);
	if (rc) {
		free(r);
		return rc;
	}
	for (r->slot = 0; g->used[r->slot]; r->slot++)
		;
	r->id = g->next_id + 1;
	r->fresh = true;
	g->rule[g->n] = r;
	rc = apply(g, g->rule, g->n + 1, &bad, e);
	if (!rc && !r->automatic) {
		rc = attach_all(g, e);
		if (rc)
			back(g);
	}
	if (rc) {
		if (!count(g))
			let_go(g);
		e->at += at;
		free(r);
		return rc;
	}
	g->used[r->slot] = true;
	g->next_id++;
	g->n++;
	if (!r->automatic)
		wr_buf_printf(ret, "%u\n", r->id);
	return 0;
}

static bool by_id(const struct wr_guard_rule *r, uint64_t id)
{
	return r->id == id;
}

static bool all(const struct wr_guard_rule *r, uint64_t x)
{
	(void)r;
	(void)x;
	return true;
}

static bool over(const struct wr_guard_rule *r, uint64_t now)
{
	return r->expires && r->expires <= now;
}

static int clear(struct wr_guard *g, struct wr_str rest, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_str look = rest, w = wr_next_token(&look);
	unsigned n = g->n, cuts = 0;
	uint64_t id;

	if (!w.n) {
		n = wr_guard_count(g);
		forget(g, all, 0);
		wr_cut_clear_all(g->cut, g->c.ended, g->c.ctx);
		wr_buf_printf(ret, "%u rule%s cleared\n", n, n == 1 ? "" : "s");
		return 0;
	}
	for (; w.n; w = wr_next_token(&look)) {
		unsigned i;

		if (wr_parse_u64(w, &id))
			return wr_fail(
				e, -EINVAL, "'%.*s' is not the number of a rule", (int)w.n, w.p);
		for (i = 0; i < g->n && g->rule[i]->id != id; i++)
			;
		if (i == g->n && !wr_cut_has(g->cut, (uint32_t)id))
			return wr_fail(
				e, -ENOENT, "there is no rule %" PRIu64 " (`weir guard list`)", id);
	}
	for (w = wr_next_token(&rest); w.n; w = wr_next_token(&rest)) {
		if (wr_parse_u64(w, &id))
			continue;
		if (wr_cut_clear(g->cut, (uint32_t)id, g->c.ended, g->c.ctx))
			cuts++;
		else
			forget(g, by_id, id);
	}
	n = n - g->n + cuts;
	wr_buf_printf(ret, "%u rule%s cleared\n", n, n == 1 ? "" : "s");
	return 0;
}

/* The text of a file, with a zero at its end. */
static char *text_of(const char *path, struct wr_err *e)
{
	FILE *f = fopen(path, "re");
	char *t = f ? wr_alloc(MAX_FILE + 1) : NULL;
	size_t n = t ? fread(t, 1, MAX_FILE, f) : 0;

	if (!f || !t || ferror(f) || n == MAX_FILE) {
		wr_fail(e, f && n == MAX_FILE ? -EFBIG : -EIO, "cannot read the rules of %s: %s",
			path, f && n == MAX_FILE ? "more than 4 MiB" : strerror(errno));
		free(t);
		t = NULL;
	}
	if (f)
		fclose(f);
	return t;
}

/* A whole set from a file. Rules that were there keep their numbers and counters; a wrong file changes nothing. */
static int load(struct wr_guard *g, const char *path, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_guard_rule **list = wr_alloc(WR_G_SLOTS * sizeof(struct wr_guard_rule *));
	unsigned *line_of = wr_alloc(WR_G_SLOTS * sizeof(*line_of));
	bool used[WR_G_SLOTS];
	char *text = text_of(path, e), *at = text, *end;
	unsigned n = 0, line = 0, bad = 0, fresh = 0;
	int rc = text ? (list && line_of ? 0 : wr_fail(e, -ENOMEM, "no memory")) : -EIO;

	if (!rc && !g->n)
		keep_neighbours(g);
	memcpy(used, g->used, sizeof(used));
	for (unsigned i = 0; !rc && i < g->n; i++) {
		if (g->rule[i]->automatic)
			list[n++] = g->rule[i];
	}
	for (; !rc && at && *at; at = end) {
		struct wr_str l, look;
		struct wr_guard_rule *r;
		struct wr_err why = {.text = ""};

		line++;
		l = (struct wr_str){at, strcspn(at, "\n")};
		end = at + l.n + (at[l.n] == '\n');
		look = l;
		if (!wr_next_token(&look).n || l.p[strspn(l.p, " \t")] == '#')
			continue;
		r = n < WR_G_SLOTS ? wr_alloc(sizeof(*r)) : NULL;
		if (!r) {
			rc = wr_fail(
				e, -E2BIG, "%s:%u: more than %d rules", path, line, WR_G_SLOTS);
			break;
		}
		rc = wr_guard_parse(l, r, &why);
		if (rc) {
			wr_fail(e, rc, "%s:%u: %s", path, line, why.text);
			free(r);
			break;
		}
		for (unsigned i = 0; i < n && r; i++) {
			if (same_rule(list[i], r)) {
				free(r);
				r = NULL;
			}
		}
		if (!r)
			continue;
		line_of[n] = line;
		list[n++] = r;
		for (unsigned i = 0; i < g->n; i++) {
			if (same_rule(g->rule[i], r)) {
				r->id = g->rule[i]->id;
				r->slot = g->rule[i]->slot;
			}
		}
		if (!r->id) {
			for (r->slot = 0; r->slot < WR_G_SLOTS && used[r->slot]; r->slot++)
				;
			if (r->slot == WR_G_SLOTS)
				rc = wr_fail(e, -E2BIG,
					"%s:%u: too many rules beside those in force", path, line);
			else
				used[r->slot] = true;
			r->id = g->next_id + ++fresh;
			r->fresh = true;
		}
	}
	if (!rc) {
		struct wr_err why = {.text = ""};

		rc = apply(g, list, n, &bad, &why);
		if (rc)
			wr_fail(e, rc, "%s:%u: %s", path, rc == -EINVAL ? line_of[bad] : line,
				why.text);
	}
	if (!rc) {
		rc = attach_all(g, e);
		if (rc)
			back(g);
	}
	for (unsigned i = 0; i < n && rc; i++) {
		if (!list[i]->automatic)
			free(list[i]);
	}
	if (!rc) {
		for (unsigned i = 0; i < g->n; i++) {
			if (!g->rule[i]->automatic)
				free(g->rule[i]);
		}
		memset(g->used, 0, sizeof(g->used));
		for (unsigned i = 0; i < n; i++) {
			g->rule[i] = list[i];
			g->used[list[i]->slot] = true;
		}
		g->next_id += fresh;
		g->n = n;
		wr_buf_printf(ret, "%u rules in force, %u of them new\n", count(g), fresh);
	}
	free(text);
	free(list);
	free(line_of);
	return rc;
}

/* Who shall not talk any more. A port is closed by a rule about packets; what is open on it ends. */
static int block(struct wr_guard *g, struct wr_str rest, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_cut_rule r;
	unsigned ended = 0;
	char line[96];
	int rc = wr_cut_parse(rest, &r, e);

	if (rc)
		return rc;
	if (r.what == WR_CUT_PORT) {
		snprintf(line, sizeof(line), "drop ttl %" PRIu64 "%s dst.port = %u", r.ttl,
			r.ttl ? "ns" : "", r.number);
		rc = add(g, wr_str(line), ret, e);
		if (!rc)
			ended = wr_cut_end((uint16_t)r.number, NULL, &r);
	} else {
		rc = wr_cut_add(g->cut, &r, g->next_id + 1, &ended, e);
		if (!rc)
			wr_buf_printf(ret, "%u\n", ++g->next_id);
	}
	if (!rc)
		wr_buf_printf(ret, "%u socket%s ended\n", ended, ended == 1 ? "" : "s");
	return rc;
}

/* What is open with this address ends; nothing stays in force. */
static int reset(struct wr_str rest, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_str w = wr_next_token(&rest);
	struct wr_ip ip, mask;
	unsigned n;

	if (wr_ip_parse(w, &ip, &mask) || memchr(w.p, '/', w.n) || wr_next_token(&rest).n)
		return wr_fail(e, -EINVAL, "reset wants one address, not '%.*s'", (int)w.n, w.p);
	n = wr_cut_end(0, &ip, NULL);
	wr_buf_printf(ret, "%u socket%s ended\n", n, n == 1 ? "" : "s");
	return 0;
}

int wr_guard_new(const struct wr_guard_config *c, struct wr_guard **ret, struct wr_err *e)
{
	struct wr_guard *g = wr_alloc(sizeof(*g));

	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	g->c = *c;
	wr_copy(g->host, sizeof(g->host), wr_str(c->host));
	wr_copy(g->interfaces, sizeof(g->interfaces), wr_str(c->interfaces ? c->interfaces : ""));
	g->cut = wr_cut_new(g->host);
	if (!g->cut) {
		free(g);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	*ret = g;
	return 0;
}

void wr_guard_free(struct wr_guard *g)
{
	if (!g)
		return;
	wr_guard_kern_close(g->kern);
	wr_cut_free(g->cut);
	for (unsigned i = 0; i < g->n; i++)
		free(g->rule[i]);
	free(g);
}

int wr_guard_do(struct wr_guard *g, struct wr_str line, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_str rest = line, verb = wr_next_token(&rest), w = rest;
	char path[512];

	wr_guard_turn(g);
	if (wr_str_eq(verb, WR_STR("clear")))
		return clear(g, rest, ret, e);
	if (wr_str_eq(verb, WR_STR("block")))
		return block(g, rest, ret, e);
	if (wr_str_eq(verb, WR_STR("reset")))
		return reset(rest, ret, e);
	w = wr_next_token(&w);
	wr_copy(path, sizeof(path), (struct wr_str){w.p, rest.n - (size_t)(w.p - rest.p)});
	if (wr_str_eq(verb, WR_STR("load")))
		return load(g, path, ret, e);
	if (wr_str_eq(verb, WR_STR("guard"))) {
		int rc = g->kern ? 0 : wr_guard_kern_open(&g->kern, e);

		rc = rc ? rc : wr_guard_kern_attach(g->kern, path, g->c.mode, e);
		g->chosen |= !rc || rc == -EEXIST;
		return rc == -EEXIST ? 0 : rc;
	}
	return add(g, line, ret, e);
}

void wr_guard_turn(struct wr_guard *g)
{
	bool change = false;

	if (g && wr_cut_count(g->cut))
		wr_cut_turn(g->cut, g->c.ended, g->c.ctx);
	if (!g || !g->n)
		return;
	if (g->kern)
		wr_guard_kern_samples(g->kern, on_sample, g);
	forget(g, over, mono());
	for (unsigned i = 0; i < g->n; i++)
		change |= g->rule[i]->when.days && hours(g->rule[i]);
	if (change)
		back(g);
	if (count(g) && mono() > g->looked + LOOK) {
		struct wr_err e = {.text = ""};

		g->looked = mono();
		attach_all(g, &e); /* interfaces that came meanwhile */
	}
}

void wr_guard_rules(struct wr_guard *g, wr_sink_fn fn, void *ctx)
{
	struct listing l;

	if (!g)
		return;
	if (g->kern)
		wr_guard_kern_samples(g->kern, on_sample, g);
	list_begin(g, &l);
	for (unsigned i = 0; i < g->n; i++)
		tell_rule(g, &l, g->rule[i], fn, ctx);
	wr_buf_free(&l.where);
	wr_cut_rules(g->cut, fn, ctx);
}

static void tell_metric(struct wr_guard *g, const char *name, const char *unit, uint64_t v,
	wr_sink_fn fn, void *ctx)
{
	struct wr_ev_metric m;

	WR_INIT(&m, metric);
	WR_SET(&m, metric, time, utc());
	WR_SET(&m, metric, host, wr_str(g->host));
	WR_SET(&m, metric, name, wr_str(name));
	WR_SET(&m, metric, value, (double)v);
	WR_SET(&m, metric, unit, wr_str(unit));
	fn(ctx, &m.ev);
}

void wr_guard_metrics(struct wr_guard *g, wr_sink_fn fn, void *ctx)
{
	static const char *const names[WR_G_STATS] = {[WR_G_PASSED] = "guard.passed",
		[WR_G_ALLOWED] = "guard.passed.allowed",
		[WR_G_DROPPED] = "guard.dropped",
		[WR_G_LIMITED] = "guard.dropped.limited",
		[WR_G_LATER] = "guard.dropped.fragments",
		[WR_G_NOT_IP] = "guard.passed.not_ip",
		[WR_G_CUT] = "guard.unparsed.cut",
		[WR_G_CHAIN] = "guard.unparsed.chain",
		[WR_G_INNER] = "guard.tunnels",
		[WR_G_ANSWERED] = "guard.cookies.sent",
		[WR_G_RESETS] = "guard.resets.sent",
		[WR_G_TARPITS] = "guard.tarpit.sent"};
	uint64_t v[WR_G_STATS];

	if (!g || !g->kern)
		return;
	wr_guard_kern_stats(g->kern, v);
	for (unsigned i = 0; i < WR_G_STATS; i++)
		tell_metric(g, names[i], "{packet}", v[i], fn, ctx);
	tell_metric(g, "guard.cookies.accepted", "{connection}",
		wr_guard_kern_cookies_made(g->kern), fn, ctx);
}

void wr_guard_where(const struct wr_guard *g, struct wr_buf *b)
{
	struct wr_guard_link l[WR_GUARD_LINKS];
	unsigned n = g->kern ? wr_guard_kern_links(g->kern, l, WR_N(l)) : 0;

	for (unsigned i = 0; i < n; i++)
		wr_buf_printf(b, "%s%s %s", i ? ", " : "", l[i].interface, l[i].mode);
}
