// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#include <time.h>

#define MAX_CRITICAL 64

struct critical {
	char protocol[24]; /* "": by address */
	struct wr_ip net, mask;
	uint16_t port; /* 0: any */
};

struct watch {
	struct critical c[MAX_CRITICAL];
	unsigned n;
	bool hours;
	unsigned from, to; /* minutes of the day */
};

/* Who, where, as whom. */
struct visit {
	uint64_t n, failed, first, outside;
};

static bool minutes(const char *t, unsigned *ret)
{
	unsigned h, m;
	int n = 0;

	if (sscanf(t, "%2u:%2u%n", &h, &m, &n) != 2 || t[n] || h > 24 || m > 59 ||
		h * 60 + m > 1440)
		return false;
	*ret = h * 60 + m;
	return true;
}

static bool parse(struct wr_str w, struct critical *c)
{
	struct wr_str host, port;
	uint64_t v;

	if (!wr_ip_parse(w, &c->net, &c->mask))
		return true;
	/* 10.0.0.5:5432, [::1]:22, :22 */
	if (!wr_host_port(w, &host, &port))
		return false;
	if (port.n) {
		if (wr_parse_u64(port, &v) || !v || v > 65535)
			return false;
		c->port = (uint16_t)v;
		return !host.n || !wr_ip_parse(host, &c->net, &c->mask); /* none: on any address */
	}
	return wr_copy(c->protocol, sizeof(c->protocol), w);
}

static bool add(void *state, struct wr_str w)
{
	struct watch *s = state;

	if (s->n == MAX_CRITICAL || !parse(w, &s->c[s->n]))
		return false;
	s->n++;
	return true;
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	const char *hours = l->critical_hours ? l->critical_hours : "";
	struct watch *s;
	int rc = wr_detect_list("critical", l->critical, sizeof(*s), add,
		"write a protocol, an address, a network, ADDRESS:PORT or :PORT", ret_state, e);

	s = *ret_state;
	if (!s)
		return rc;
	if (*hours) {
		char t[16];
		char *dash;

		if (!wr_copy(t, sizeof(t), wr_str(hours)) || !(dash = strchr(t, '-')))
			dash = NULL;
		else
			*dash++ = 0;
		if (!dash || !minutes(t, &s->from) || !minutes(dash, &s->to)) {
			free(s);
			*ret_state = NULL;
			return wr_fail(e, -EINVAL, "detect.critical_hours: '%s': write 08:00-18:00",
				hours);
		}
		s->hours = true;
	}
	return 0;
}

static bool is_critical(
	const struct watch *s, struct wr_str protocol, const struct wr_ip *ip, uint64_t port)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct critical *c = &s->c[i];

		if (c->protocol[0]
				? wr_str_eq(protocol, wr_str(c->protocol))
				: (!c->port || c->port == port) && wr_ip_in(ip, &c->net, &c->mask))
			return true;
	}
	return false;
}

static bool is_outside(const struct watch *s, uint64_t at)
{
	time_t t = (time_t)(at / 1000000000);
	struct tm tm;
	unsigned m;

	if (!s->hours || !localtime_r(&t, &tm))
		return false;
	m = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	return s->from <= s->to ? m < s->from || m >= s->to : m < s->from && m >= s->to;
}

static void visit(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_ip *from, const struct wr_ip *to, uint64_t port, struct wr_str protocol,
	struct wr_str user, uint64_t at, bool failed)
{
	const struct watch *s = wr_detect_state(d, self);
	char ip[WR_IP_TEXT], target[WR_TARGET_TEXT], source[64];
	struct wr_incident *i;
	struct visit *v = wr_detect_entry(
		d, self, wr_hash(user.p, user.n, wr_hash(from, 16, wr_hash(to, 16, port))), at);

	if (!v)
		return;
	v->first = v->n++ ? v->first : at;
	v->failed += failed;
	v->outside += is_outside(s, at);
	ip[wr_ip_text(from, ip)] = 0;
	wr_detect_target(target, to, (uint16_t)port);
	snprintf(source, sizeof(source), "%s%s%.*s", ip, user.n ? " as " : "",
		(int)wr_min(user.n, (size_t)14), user.p);
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	wr_incident_is(i, v->first, at, v->n, v->outside ? "medium" : "low", 1);
	snprintf(i->summary, sizeof(i->summary),
		"%s%s%.*s at the critical service %s%s%.*s%s: %" PRIu64 " times, %" PRIu64
		" failed%s",
		ip, user.n ? " as " : "", (int)wr_min(user.n, (size_t)40), user.p, target,
		protocol.n ? " (" : "", (int)wr_min(protocol.n, (size_t)20), protocol.p,
		protocol.n ? ")" : "", v->n, v->failed,
		v->outside ? ", outside of the allowed hours" : "");
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"accesses\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"outside_hours\":%" PRIu64 "}",
		v->n, v->failed, v->outside);
	wr_incident_owner(i, e, false);
}

/* Logins, where the protocol tells them; else connections. */
static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	static const char *const logins =
		" postgresql mysql redis ldap ftp smtp mongodb nats mqtt rdp smb ";
	const struct watch *s = wr_detect_state(d, self);

	if (e->kind == WR_KIND_request) {
		const struct wr_ev_request *r = (const void *)e;
		struct wr_str user = wr_json_text(r->detail, "user");

		if (!wr_ev_has(e, WR_I_request_client_ip) || (!user.n && !wr_detect_is_login(r)) ||
			!is_critical(s, r->protocol, &r->server_ip, r->server_port))
			return;
		visit(d, self, e, &r->client_ip, &r->server_ip, r->server_port, r->protocol, user,
			r->time, r->error);
	} else if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;
		char word[26];

		if (!wr_ev_has(e, WR_I_conn_client_ip) ||
			!is_critical(s, r->protocol, &r->server_ip, r->server_port))
			return;
		snprintf(word, sizeof(word), " %.*s ", (int)wr_min(r->protocol.n, (size_t)22),
			r->protocol.p);
		if (r->protocol.n && strstr(logins, word))
			return;
		visit(d, self, e, &r->client_ip, &r->server_ip, r->server_port, r->protocol,
			(struct wr_str){"", 0}, r->first,
			!(r->bytes_to_client || r->packets_to_client));
	}
}

const struct wr_detector wr_detector_critical_access = {
	.name = "critical_access",
	.help = "who logs in or connects to critical services, and when (detect.critical)",
	.attack_id = "T1078",
	.advice = "what is expected needs nothing; outside of the hours ask the user",
	.impact = "none: it is told, not stopped",
	.entry = sizeof(struct visit),
	.entries = 2048,
	.quiet = 3600000000000ull,
	.setup = setup,
	.unset = free,
	.event = event,
};
