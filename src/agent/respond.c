// SPDX-License-Identifier: Apache-2.0
#include "respond.h"
#include "../detect/detect.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MAX_ROWS 32
#define MAX_SOURCES 256
#define DAY (86400ull * 1000000000u)

struct row {
	const char *detector;
	uint64_t ttl; /* ns, of the first time */
};

/* A source that was dropped, or would have been. */
struct past {
	const char *detector;
	char source[WR_IP_TEXT];
	uint64_t until, ttl; /* wr_now() */
	char words[256];
};

struct wr_respond {
	struct wr_guard *g;
	bool dry;
	struct row row[MAX_ROWS];
	unsigned n_rows, n;
	struct past past[MAX_SOURCES];
	char words[256];
};

static int add_row(struct wr_respond *r, struct wr_str w, struct wr_err *e)
{
	const char *eq = memchr(w.p, '=', w.n), *colon = memchr(w.p, ':', w.n);
	struct row *row = &r->row[r->n_rows];
	struct wr_str name;

	if (!eq || !colon || colon < eq)
		return wr_fail(e, -EINVAL, "guard.respond: '%.*s' is not like port_scan=drop:10m",
			(int)w.n, w.p);
	name = (struct wr_str){w.p, (size_t)(eq - w.p)};
	row->detector = wr_detector_name(name);
	if (!row->detector)
		return wr_fail(e, -EINVAL, "guard.respond: there is no detector '%.*s'",
			(int)name.n, name.p);
	if (!wr_str_eq((struct wr_str){eq + 1, (size_t)(colon - eq) - 1}, WR_STR("drop")) ||
		wr_parse_duration(
			(struct wr_str){colon + 1, w.n - (size_t)(colon - w.p) - 1}, &row->ttl) ||
		!row->ttl || row->ttl > DAY)
		return wr_fail(e, -EINVAL,
			"guard.respond: '%.*s': a detector can drop, for up to a day: drop:10m",
			(int)w.n, w.p);
	if (++r->n_rows == MAX_ROWS)
		return wr_fail(e, -E2BIG, "guard.respond: more than %d rows", MAX_ROWS - 1);
	return 0;
}

int wr_respond_new(
	const char *table, bool dry, struct wr_guard *g, struct wr_respond **ret, struct wr_err *e)
{
	struct wr_respond *r = wr_alloc(sizeof(*r));
	struct wr_str rest = wr_str(table), w;
	int rc = r ? 0 : wr_fail(e, -ENOMEM, "no memory");

	while (!rc && wr_next_word(&rest, &w))
		rc = add_row(r, w, e);
	if (rc) {
		free(r);
		return rc;
	}
	r->g = g;
	r->dry = dry;
	*ret = r;
	return 0;
}

void wr_respond_free(struct wr_respond *r)
{
	free(r);
}

/* Is it an address of this host? What the host itself does is for its owner to stop. */
static bool is_own(const struct wr_ip *a)
{
	struct ifaddrs *all, *i;
	bool own = false;

	if (getifaddrs(&all))
		return false;
	for (i = all; i && !own; i = i->ifa_next) {
		const struct sockaddr *s = i->ifa_addr;
		struct wr_ip b;

		if (!s || (s->sa_family != AF_INET && s->sa_family != AF_INET6))
			continue;
		b = s->sa_family == AF_INET
			    ? wr_ip4(&((const struct sockaddr_in *)(const void *)s)->sin_addr)
			    : wr_ip6(&((const struct sockaddr_in6 *)(const void *)s)->sin6_addr);
		own = !memcmp(&b, a, sizeof(b));
	}
	freeifaddrs(all);
	return own;
}

/* The entry of this source: known, free, or the one whose time is over longest. */
static struct past *entry(
	struct wr_respond *r, const char *detector, struct wr_str source, bool *ret_known)
{
	struct past *oldest = &r->past[0];

	*ret_known = true;
	for (unsigned i = 0; i < r->n; i++) {
		if (r->past[i].detector == detector && wr_str_eq(source, wr_str(r->past[i].source)))
			return &r->past[i];
		if (r->past[i].until < oldest->until)
			oldest = &r->past[i];
	}
	*ret_known = false;
	if (r->n < MAX_SOURCES)
		oldest = &r->past[r->n++];
	*oldest = (struct past){.detector = detector};
	wr_copy(oldest->source, sizeof(oldest->source), source);
	return oldest;
}

static unsigned in_force(const struct wr_respond *r, uint64_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++)
		n += r->past[i].until > now;
	return n;
}

const char *wr_respond_alert(struct wr_respond *r, const struct wr_ev_alert *a)
{
	const struct row *row = NULL;
	struct wr_buf said = WR_BUF(4096);
	struct wr_err e = {.text = ""};
	uint64_t now = wr_now();
	struct past *p;
	struct wr_ip ip;
	char line[200];
	bool known;
	int rc;

	r->words[0] = 0;
	for (unsigned i = 0; i < r->n_rows; i++) {
		if (wr_str_eq(a->detector, wr_str(r->row[i].detector)))
			row = &r->row[i];
	}
	if (!row || wr_ip_parse(a->source, &ip, NULL) || a->source.n >= WR_IP_TEXT)
		return r->words;
	if (is_own(&ip)) {
		wr_copy(r->words, sizeof(r->words), WR_STR("nothing: the source is this host"));
		return r->words;
	}
	p = entry(r, row->detector, a->source, &known);
	if (known && p->until > now) { /* the incident grew before the rule took hold */
		wr_copy(r->words, sizeof(r->words), wr_str(p->words));
		return r->words;
	}
	if (in_force(r, now) >= WR_RESPOND_MAX) {
		snprintf(r->words, sizeof(r->words), "nothing: %d sources are dropped already",
			WR_RESPOND_MAX);
		return r->words;
	}
	p->ttl = p->ttl ? wr_min(p->ttl * 2, DAY) : row->ttl;
	snprintf(line, sizeof(line), "drop ttl %" PRIu64 "s src %s",
		wr_max(p->ttl / 1000000000u, (uint64_t)1), p->source);
	if (r->dry) {
		snprintf(p->words, sizeof(p->words), "would %s (guard.dry_run)", line);
		rc = 0;
	} else {
		rc = wr_guard_do(r->g, wr_str(line), &said, &e);
		snprintf(p->words, sizeof(p->words), "rule %.*s: %s",
			(int)(said.n ? said.n - 1 : 0), said.p ? said.p : "", line);
	}
	if (rc)
		snprintf(r->words, sizeof(r->words), "not done: %.200s", e.text);
	else
		wr_copy(r->words, sizeof(r->words), wr_str(p->words));
	p->until = rc ? 0 : now + p->ttl;
	wr_buf_free(&said);
	return r->words;
}
