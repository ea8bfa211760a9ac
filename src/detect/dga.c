// SPDX-License-Identifier: Apache-2.0
#include "dga.h"
#include "detect.h"

#define QUIET 600000000000ull /* ns */
#define SHORTEST 7
#define LETTERS 29
#define EDGE 28
#define LIMIT                                                                                      \
	79 /* sixteenths of a bit a letter: of names in use one of fifty has more, of random ones 95 % */
#define HEX 10 /* a label of so many hexadecimal digits, some letters and some not, is a hash */

static const uint8_t surprise[LETTERS][LETTERS] = {
#include "bigrams.def"
};

static unsigned place(char c)
{
	c |= 32;
	return c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') : c >= '0' && c <= '9' ? 26 : 27;
}

bool wr_dga_like(struct wr_str label)
{
	unsigned sum = 0, before = EDGE, hex = 0, digits = 0, turns = 0;

	if (label.n < SHORTEST || (label.n > 4 && !memcmp(label.p, "xn--", 4)))
		return false;
	for (size_t i = 0; i < label.n; i++) {
		unsigned at = place(label.p[i]);

		if (at == 27 && label.p[i] != '-')
			return false; /* no host's name (RFC 952, RFC 1123) */
		sum += surprise[before][at];
		turns += i && (at == 26) != (before == 26);
		hex += at == 26 || at < 6;
		digits += at == 26;
		before = at;
	}
	sum += surprise[before][EDGE];
	if (label.n >= HEX && hex == label.n && digits && digits < label.n && turns >= 3)
		return true;
	return sum > LIMIT * (label.n + 1);
}

struct wr_str wr_dga_label(struct wr_str name)
{
	/* second-level domains that sell names below them */
	static const char *const shared[] = {
		"co", "com", "org", "net", "ac", "gov", "edu", "ne", "or"};
	struct wr_str label = {"", 0};
	size_t end = name.n && name.p[name.n - 1] == '.' ? name.n - 1 : name.n;
	unsigned n = 0;

	for (size_t i = end; i-- > 0;) {
		bool begins = !i || name.p[i - 1] == '.';

		if (!begins)
			continue;
		label = (struct wr_str){name.p + i, end - i};
		n++;
		if (n == 2) {
			bool is_shared = false;

			for (unsigned k = 0; k < WR_N(shared); k++)
				is_shared |= wr_str_eq(label, wr_str(shared[k]));
			if (!is_shared)
				return label;
		} else if (n == 3) {
			return label;
		}
		end = i ? i - 1 : 0;
	}
	return n == 2 ? label : (struct wr_str){"", 0};
}

struct client {
	struct wr_distinct odd, all; /* labels that did not exist */
	uint64_t n, first, last;
	char example[3][40];
};

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	struct wr_incident *i;
	struct wr_str label;
	struct client *c;
	char ip[WR_IP_TEXT];
	unsigned odd, all;

	if (e->kind != WR_KIND_request || !wr_str_eq(r->protocol, WR_STR("dns")) ||
		!r->resource.n || !wr_str_eq(r->status, WR_STR("NXDOMAIN")) ||
		!wr_ev_has(e, WR_I_request_client_ip))
		return;
	label = wr_dga_label(r->resource);
	if (!label.n ||
		(r->resource.n > 5 && !memcmp(r->resource.p + r->resource.n - 5, ".arpa", 5)))
		return;
	c = wr_detect_entry(d, self, wr_hash(&r->client_ip, 16, 1), r->time);
	if (!c)
		return;
	wr_distinct_add(&c->all, wr_hash(label.p, label.n, 1));
	if (!wr_dga_like(label))
		return;
	c->first = c->n++ ? c->first : r->time;
	c->last = wr_max(c->last, r->time);
	wr_distinct_add(&c->odd, wr_hash(label.p, label.n, 1));
	wr_copy(c->example[c->n % 3], sizeof(c->example[0]), label);
	odd = wr_distinct_count(&c->odd);
	all = wr_distinct_count(&c->all);
	/* a browser tries three random names at its start; a typing error is not random */
	if (odd < wr_detect_limits(d)->dga_names || odd * 10 < all * 4)
		return;
	ip[wr_ip_text(&r->client_ip, ip)] = 0;
	i = wr_incident(d, self, ip, "");
	if (!i)
		return;
	wr_incident_is(i, c->first, c->last, odd, "high", odd * 10 > all * 8 ? 0.9 : 0.75);
	snprintf(i->summary, sizeof(i->summary),
		"%s asked for %u names that look made by a program, and none exists: %s, %s, %s, ...",
		ip, odd, c->example[0], c->example[1], c->example[2]);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"names\":%u,\"of\":%u,\"examples\":[\"%s\",\"%s\",\"%s\"]}", odd, all,
		c->example[0], c->example[1], c->example[2]);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_dga = {
	.name = "dga",
	.help = "names made by a program that do not exist: malware looks for its server",
	.attack_id = "T1568.002",
	.advice =
		"look which process asks (`weir requests -w 'protocol = dns and status = NXDOMAIN'`); isolate the host",
	.impact = "an isolated host loses its other work",
	.entry = sizeof(struct client),
	.entries = 2048,
	.quiet = QUIET,
	.event = event,
};
