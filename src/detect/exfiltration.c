// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define HOUR 3600000000000ull /* ns */

/* One client and one outside address. */
struct pair {
	uint64_t begun, first, last, out, in;
	double usual; /* bytes out an hour, of the hours before; forgets slowly */
	unsigned hours;
};

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	const struct wr_limits *l = wr_detect_limits(d);
	const struct wr_moved *m = wr_detect_moved(d);
	char source[WR_IP_TEXT], target[WR_IP_TEXT];
	struct wr_incident *i;
	struct pair *p;
	uint64_t hours;

	if (e->kind != WR_KIND_conn || !wr_ev_has(e, WR_I_conn_client_ip) ||
		!wr_ip_is_public(&r->server_ip) || wr_ip_is_public(&r->client_ip))
		return;
	p = wr_detect_entry(
		d, self, wr_hash(&r->client_ip, 16, wr_hash(&r->server_ip, 16, 1)), r->last);
	if (!p)
		return;
	p->begun = p->begun ? p->begun : r->first;
	hours = r->last > p->begun ? (r->last - p->begun) / HOUR : 0;
	if (hours) {
		/* an hour that raised an alert does not become what is usual at once: a quarter of it does */
		bool odd = p->out >= l->exfiltration_bytes &&
			   (double)p->out >= (double)l->exfiltration_factor * p->usual;
		double sum = (double)p->out * (odd ? 0.25 : 1);

		p->usual = p->hours ? p->usual * 0.75 + sum * 0.25 : sum;
		for (uint64_t h = 1; h < wr_min(hours, 24ull); h++)
			p->usual *= 0.75;
		p->hours += (unsigned)wr_min(hours, 24ull);
		p->begun += hours * HOUR;
		p->out = p->in = p->first = 0;
	}
	p->first = p->first ? p->first : r->first;
	p->last = wr_max(p->last, r->last);
	p->out += m->to_server;
	p->in += m->to_client;
	if (p->out < l->exfiltration_bytes || p->out < p->in * l->exfiltration_factor ||
		(double)p->out < (double)l->exfiltration_factor * p->usual)
		return;
	source[wr_ip_text(&r->client_ip, source)] = 0;
	target[wr_ip_text(&r->server_ip, target)] = 0;
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	wr_incident_is(
		i, p->first, p->last, p->out, p->hours ? "medium" : "high", p->hours ? 0.7 : 0.8);
	snprintf(i->summary, sizeof(i->summary),
		"%s sent %.1f MB to %s in %" PRIu64 " s and got %.1f MB; %s", source,
		(double)p->out / 1e6, target, (p->last - p->first) / 1000000000,
		(double)p->in / 1e6,
		p->hours ? "far more than is usual between them" : "a new destination");
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"bytes_out\":%" PRIu64 ",\"bytes_in\":%" PRIu64
		",\"usual_bytes_an_hour\":%.0f,\"hours_known\":%u}",
		p->out, p->in, p->usual, p->hours);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_exfiltration = {
	.name = "exfiltration",
	.help = "far more than usual goes out to an outside address, and hardly anything comes back",
	.attack_id = "T1048",
	.advice =
		"look which process sends and what it read before; `weir guard drop 'dst ADDRESS'` stops it",
	.impact = "every upload to that address stops",
	.entry = sizeof(struct pair),
	.entries = 16384,
	.quiet = 30 * 24 * HOUR,
	.grows = true,
	.event = event,
};
