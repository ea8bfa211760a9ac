// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 600000000000ull /* ns */
#define LONG 24 /* bytes of a label */

/* One client and one domain (the last two labels), or one client and all that it asks. */
struct asker {
	struct wr_distinct names;
	uint64_t queries, bulk, odd, bytes, first,
		last; /* bulk: long names; odd: of types that carry data */
};

/*
 * No language writes so: many digits, hardly a vowel, letters and digits in turns, or no end without a hyphen.
 */
static bool is_coded(struct wr_str s)
{
	unsigned digits = 0, vowels = 0, letters = 0, turns = 0, hyphens = 0;
	bool was = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = (char)(s.p[i] | 32);
		bool digit = s.p[i] >= '0' && s.p[i] <= '9';

		turns += i && digit != was;
		was = digit;
		digits += digit;
		hyphens += s.p[i] == '-';
		letters += c >= 'a' && c <= 'z';
		vowels += c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
	}
	return digits * 5 > s.n || vowels * 6 < letters || turns * 6 > s.n ||
	       (s.n >= 40 && !hyphens);
}

/* Has it a label that carries data? People's names are shorter, and have vowels. */
static bool has_data(struct wr_str name)
{
	for (size_t i = 0, begin = 0; i <= name.n; i++) {
		struct wr_str label = {name.p + begin, i - begin};

		if (i < name.n && name.p[i] != '.')
			continue;
		if (label.n >= LONG && is_coded(label))
			return true;
		begin = i + 1;
	}
	return false;
}

static struct wr_str domain_of(struct wr_str name)
{
	unsigned dots = 0;

	for (size_t i = name.n; i > 0; i--) {
		if (name.p[i - 1] == '.' && ++dots == 2)
			return (struct wr_str){name.p + i, name.n - i};
	}
	return name;
}

static void count(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_ev_request *r, struct wr_str domain, bool bulk)
{
	struct asker *a = wr_detect_entry(d, self,
		wr_hash(domain.p, domain.n, wr_hash(&r->client_ip, 16, domain.n)), r->time);
	char ip[WR_IP_TEXT], target[96];
	struct wr_incident *i;
	unsigned names;

	if (!a)
		return;
	a->first = a->first ? wr_min(a->first, r->time) : r->time;
	a->last = wr_max(a->last, r->time);
	a->queries++;
	a->odd += wr_str_eq(r->operation, WR_STR("TXT")) ||
		  wr_str_eq(r->operation, WR_STR("NULL")) ||
		  wr_str_eq(r->operation, WR_STR("MX")) || wr_str_eq(r->operation, WR_STR("CNAME"));
	if (bulk) {
		a->bulk++;
		a->bytes += r->resource.n;
		wr_distinct_add(&a->names, wr_hash(r->resource.p, r->resource.n, 5));
	}
	names = wr_distinct_count(&a->names);
	if (names < wr_detect_limits(d)->dns_tunnel_names || a->bulk * 10 < a->queries * 7)
		return;
	ip[wr_ip_text(&r->client_ip, ip)] = 0;
	i = wr_incident(d, self, ip,
		""); /* one a client: of several domains it is the same tunnel or several alike */
	if (!i || i->count > a->bulk)
		return;
	target[wr_ip_text(&r->server_ip, target)] = 0;
	i->first = a->first;
	i->last = a->last;
	i->count = a->bulk;
	i->severity = "high";
	i->confidence = a->odd * 2 > a->queries ? 0.95 : 0.85;
	snprintf(i->summary, sizeof(i->summary),
		"%s asked for %u long coded names%s%.*s, %" PRIu64 " bytes a name, %" PRIu64
		" %% of types that carry data: a tunnel in DNS",
		ip, names, domain.n ? " under " : "", (int)wr_min(domain.n, (size_t)60), domain.p,
		a->bytes / a->bulk, a->odd * 100 / a->queries);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"names\":%u,\"queries\":%" PRIu64 ",\"mean_length\":%" PRIu64
		",\"resolver\":\"%s\"}",
		names, a->queries, a->bytes / a->bulk, target);
	wr_incident_owner(i, &r->ev, false);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	static const struct wr_str all = {"", 0};
	const struct wr_ev_request *r = (const void *)e;
	bool bulk;

	if (e->kind != WR_KIND_request || !wr_str_eq(r->protocol, WR_STR("dns")) ||
		!r->resource.n || !wr_ev_has(e, WR_I_request_client_ip))
		return;
	/* addresses spelled backwards are long and coded, and no tunnel */
	if (r->resource.n > 5 && !memcmp(r->resource.p + r->resource.n - 5, ".arpa", 5))
		return;
	bulk = has_data(r->resource);
	count(d, self, r, domain_of(r->resource), bulk);
	count(d, self, r, all,
		bulk); /* without a domain of its own the last labels are data, too */
}

const struct wr_detector wr_detector_dns_tunnel = {
	.name = "dns_tunnel",
	.help = "data in the names of DNS queries",
	.attack_id = "T1071.004",
	.advice =
		"look which process asks; let clients use your resolver only, and refuse the domain there",
	.impact = "names below the domain are not found any more",
	.entry = sizeof(struct asker),
	.entries = 4096,
	.quiet = QUIET,
	.event = event,
};
