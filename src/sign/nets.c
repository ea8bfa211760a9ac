// SPDX-License-Identifier: Apache-2.0
/* Addresses and ports of rules, with their variables. */
#include "sign_priv.h"

#define MAX_DEPTH 16 /* of lists and variables in each other */

struct list {
	uint32_t n;
	bool ports;
	struct vars *vars;
};

bool vars_set(struct vars *v, struct wr_str name, struct wr_str value)
{
	unsigned i = 0;

	while (i < v->n && !wr_str_eq(wr_str(v->v[i].name), name))
		i++;
	if (i == WR_N(v->v) || !wr_copy(v->v[i].name, sizeof(v->v[i].name), name) ||
		!wr_copy(v->v[i].value, sizeof(v->v[i].value), value))
		return false;
	v->n += i == v->n;
	return true;
}

/* Attacks come from within, too: outside is everywhere. Protocols are known on any port. */
void vars_default(struct vars *v)
{
	static const char *const servers[] = {"HTTP_SERVERS", "SMTP_SERVERS", "SQL_SERVERS",
		"DNS_SERVERS", "TELNET_SERVERS", "AIM_SERVERS", "DC_SERVERS", "DNP3_SERVER",
		"DNP3_CLIENT", "MODBUS_CLIENT", "MODBUS_SERVER", "ENIP_CLIENT", "ENIP_SERVER",
		"SSH_SERVERS", "FTP_SERVERS", "SIP_SERVERS"};
	static const char *const ports[][2] = {{"HTTP_PORTS", "any"}, {"SHELLCODE_PORTS", "!80"},
		{"ORACLE_PORTS", "1521"}, {"SSH_PORTS", "any"}, {"DNP3_PORTS", "20000"},
		{"MODBUS_PORTS", "502"}, {"FILE_DATA_PORTS", "any"}, {"FTP_PORTS", "any"},
		{"GENEVE_PORTS", "6081"}, {"VXLAN_PORTS", "4789"}, {"TEREDO_PORTS", "3544"},
		{"SIP_PORTS", "any"}};

	vars_set(v, WR_STR("HOME_NET"),
		WR_STR("[10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,169.254.0.0/16,"
		       "127.0.0.0/8,::1,fc00::/7,fe80::/10]"));
	vars_set(v, WR_STR("EXTERNAL_NET"), WR_STR("any"));
	for (unsigned i = 0; i < WR_N(servers); i++)
		vars_set(v, wr_str(servers[i]), WR_STR("$HOME_NET"));
	for (unsigned i = 0; i < WR_N(ports); i++)
		vars_set(v, wr_str(ports[i][0]), wr_str(ports[i][1]));
}

static struct wr_str trim(struct wr_str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static const char *port_range(struct wr_str s, struct range *r)
{
	const char *colon = memchr(s.p, ':', s.n);
	struct wr_str a = {s.p, colon ? (size_t)(colon - s.p) : s.n};
	struct wr_str b = colon ? (struct wr_str){colon + 1, s.n - a.n - 1} : a;
	uint64_t low = 0, high = UINT16_MAX;

	if ((a.n && wr_parse_u64(a, &low)) || (b.n && wr_parse_u64(b, &high)) || !(a.n + b.n) ||
		low > high || high > UINT16_MAX)
		return "not a port or a range of ports";
	r->low = (uint16_t)low;
	r->high = (uint16_t)high;
	return NULL;
}

static const char *add(struct list *l, struct wr_str s, bool negated, unsigned depth, bool *any);

/* "[a,[b,c],!d]" without its brackets */
static const char *members(struct list *l, struct wr_str s, bool negated, unsigned depth, bool *any)
{
	unsigned open = 0;
	size_t from = 0;

	for (size_t i = 0; i <= s.n; i++) {
		const char *why;

		if (i < s.n && s.p[i] == '[')
			open++;
		else if (i < s.n && s.p[i] == ']' && !open--)
			return "brackets that do not match";
		if (i < s.n && (s.p[i] != ',' || open))
			continue;
		why = open && i == s.n
			      ? "brackets that do not match"
			      : add(l, (struct wr_str){s.p + from, i - from}, negated, depth, any);
		if (why)
			return why;
		from = i + 1;
	}
	return NULL;
}

static const char *add(struct list *l, struct wr_str s, bool negated, unsigned depth, bool *any)
{
	struct range r = {.negated = negated};
	const char *why;

	s = trim(s);
	if (depth > MAX_DEPTH)
		return "lists or variables too deep in each other";
	if (s.n && *s.p == '!') {
		if (negated)
			return "not of not";
		return add(l, (struct wr_str){s.p + 1, s.n - 1}, true, depth + 1, any);
	}
	if (wr_str_eq(s, WR_STR("any"))) {
		*any = true;
		return negated ? "not any: nothing can match" : NULL;
	}
	if (s.n && *s.p == '$') {
		struct wr_str name = {s.p + 1, s.n - 1};

		for (unsigned i = 0; i < l->vars->n; i++) {
			if (wr_str_eq(name, wr_str(l->vars->v[i].name)))
				return add(l, wr_str(l->vars->v[i].value), negated, depth + 1, any);
		}
		return "a variable that is not set";
	}
	if (s.n && *s.p == '[') {
		if (s.p[s.n - 1] != ']')
			return "brackets that do not match";
		return members(l, (struct wr_str){s.p + 1, s.n - 2}, negated, depth + 1, any);
	}
	why = l->ports			       ? port_range(s, &r)
	      : wr_ip_parse(s, &r.ip, &r.mask) ? "not an address or a network"
					       : NULL;
	if (!why && l->n == WR_N(l->vars->scratch))
		why = "a list that is too long";
	if (!why)
		l->vars->scratch[l->n++] = r;
	return why;
}

const char *ranges_parse(
	struct arena *a, struct vars *v, struct wr_str s, bool ports, struct ranges *ret)
{
	struct list l = {.ports = ports, .vars = v};
	struct range *kept;
	bool any = false;
	const char *why = add(&l, s, false, 0, &any);
	uint32_t n = 0;

	if (why)
		return why;
	/* beside "any" only what is left out counts */
	for (uint32_t i = 0; i < l.n; i++) {
		if (!any || v->scratch[i].negated)
			v->scratch[n++] = v->scratch[i];
	}
	*ret = (struct ranges){NULL, 0};
	if (!n)
		return NULL;
	kept = arena_get(a, n * sizeof(*kept));
	if (!kept)
		return "no memory";
	memcpy(kept, v->scratch, n * sizeof(*kept));
	*ret = (struct ranges){kept, n};
	return NULL;
}

bool ranges_have_ip(const struct ranges *r, const struct wr_ip *ip)
{
	bool in = false, positive = false;

	for (uint32_t i = 0; i < r->n; i++) {
		bool hit = wr_ip_in(ip, &r->v[i].ip, &r->v[i].mask);

		if (hit && r->v[i].negated)
			return false;
		positive |= !r->v[i].negated;
		in |= hit;
	}
	return in || !positive;
}

bool ranges_have_port(const struct ranges *r, uint16_t port)
{
	bool in = false, positive = false;

	for (uint32_t i = 0; i < r->n; i++) {
		bool hit = port >= r->v[i].low && port <= r->v[i].high;

		if (hit && r->v[i].negated)
			return false;
		positive |= !r->v[i].negated;
		in |= hit;
	}
	return in || !positive;
}
