// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define MAX_LISTENERS 256

struct listener {
	char process[32]; /* "*": any */
	uint16_t port; /* 0: any */
};

struct listeners {
	struct listener l[MAX_LISTENERS];
	unsigned n;
};

struct seen {
	uint64_t n, first;
};

/* PROCESS:PORT, PROCESS:* */
static bool add(void *state, struct wr_str w)
{
	struct listeners *s = state;
	struct listener *x = &s->l[s->n];
	const char *colon = memrchr(w.p, ':', w.n);
	char port[8];
	char *end = port;
	unsigned long v = 0;

	if (!colon || s->n == MAX_LISTENERS ||
		!wr_copy(x->process, sizeof(x->process),
			(struct wr_str){w.p, (size_t)(colon - w.p)}) ||
		!wr_copy(port, sizeof(port),
			(struct wr_str){colon + 1, (size_t)(w.p + w.n - colon - 1)}))
		return false;
	if (strcmp(port, "*")) {
		v = strtoul(port, &end, 10);
		if (!v || v > 65535 || *end)
			return false;
	}
	x->port = (uint16_t)v;
	s->n++;
	return true;
}

/* Without a list everything is sanctioned. */
static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	return wr_detect_list("listeners", l->listeners, sizeof(struct listeners), add,
		"write PROCESS:PORT or PROCESS:*, at most 256 of them", ret_state, e);
}

static bool allowed(const struct listeners *s, struct wr_str process, uint64_t port)
{
	for (unsigned i = 0; i < s->n; i++) {
		if ((!s->l[i].port || s->l[i].port == port) &&
			(!strcmp(s->l[i].process, "*") ||
				wr_str_eq(process, wr_str(s->l[i].process))))
			return true;
	}
	return false;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	char source[64], target[WR_TARGET_TEXT], client[WR_IP_TEXT];
	struct wr_incident *i;
	struct wr_attempt a;
	struct seen *s;

	if (e->kind != WR_KIND_conn || !wr_attempt_of(e, &a) || !a.answered ||
		!r->server_process.n ||
		allowed(wr_detect_state(d, self), r->server_process, r->server_port))
		return;
	s = wr_detect_entry(d, self,
		wr_hash(r->server_process.p, r->server_process.n, r->server_port), r->last);
	if (!s)
		return;
	s->first = s->n++ ? s->first : r->first;
	snprintf(source, sizeof(source), "%.*s", (int)wr_min(r->server_process.n, (size_t)32),
		r->server_process.p);
	snprintf(target, sizeof(target), "%s port %" PRIu64, a.tcp ? "tcp" : "udp", r->server_port);
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	client[wr_ip_text(&r->client_ip, client)] = 0;
	wr_incident_is(i, s->first, r->last, s->n, "medium", 0.95);
	snprintf(i->summary, sizeof(i->summary),
		"%s serves on %s, which nobody sanctioned; %" PRIu64
		" connections, the last from %s",
		source, target, s->n, client);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"connections\":%" PRIu64 ",\"port\":%" PRIu64 ",\"protocol\":\"%.*s\"}", s->n,
		r->server_port, (int)wr_min(r->protocol.n, (size_t)20), r->protocol.p);
	wr_incident_owner(i, e, true);
}

const struct wr_detector wr_detector_shadow_service = {
	.name = "shadow_service",
	.help = "a process serves that is not in the list of those that may (detect.listeners)",
	.attack_id = "T1571",
	.advice = "stop it, or add it to detect.listeners",
	.impact = "its clients lose it",
	.entry = sizeof(struct seen),
	.entries = 1024,
	.setup = setup,
	.unset = free,
	.event = event,
};
