// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define TIMES 64
#define LEAST 12 /* connections */
#define FASTEST 1000000000ull /* ns: a strobe is no beacon */

/* One client and one server outside: when its last connections began. */
struct beacon {
	uint64_t at[TIMES], n, first, last;
};

static int earlier(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Not of the ranges for private use, link and loopback (RFC 1918, 6598, 3927, 4193, 4291). */
static bool is_outside(const struct wr_ip *ip)
{
	const uint8_t *a = ip->b + 12;

	if (!wr_ip_is4(ip))
		return ip->b[0] >= 0x20 && ip->b[0] < 0x40;
	return a[0] && a[0] != 10 && a[0] != 127 && a[0] < 224 &&
	       !(a[0] == 172 && (a[1] & 0xf0) == 16) && !(a[0] == 192 && a[1] == 168) &&
	       !(a[0] == 169 && a[1] == 254) && !(a[0] == 100 && (a[1] & 0xc0) == 64);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	uint64_t gap[TIMES], off[TIMES], median, mad;
	char source[WR_IP_TEXT], target[WR_TARGET_TEXT];
	struct wr_incident *i;
	struct beacon *b;
	unsigned n, k = 0;

	if (e->kind != WR_KIND_conn || !wr_str_eq(r->transport, WR_STR("tcp")) ||
		!wr_ev_has(e, WR_I_conn_client_ip) || !is_outside(&r->server_ip) ||
		!r->bytes_to_server)
		return;
	b = wr_detect_entry(d, self,
		wr_hash(&r->client_ip, 16, wr_hash(&r->server_ip, 16, r->server_port)), r->first);
	if (!b)
		return;
	b->at[b->n++ % TIMES] = r->first;
	b->first = b->first ? wr_min(b->first, r->first) : r->first;
	b->last = wr_max(b->last, r->first);
	n = (unsigned)wr_min(b->n, (uint64_t)TIMES);
	if (n < LEAST)
		return;
	memcpy(off, b->at, sizeof(off)); /* connections end in another order than they began */
	qsort(off, n, sizeof(*off), earlier);
	for (unsigned j = 1; j < n; j++) {
		if (off[j] - off[j - 1] > FASTEST / 20) /* several at once are one beat */
			gap[k++] = off[j] - off[j - 1];
	}
	if (k + 1 < LEAST)
		return;
	qsort(gap, k, sizeof(*gap), earlier);
	median = gap[k / 2];
	for (unsigned j = 0; j < k; j++)
		off[j] = gap[j] > median ? gap[j] - median : median - gap[j];
	qsort(off, k, sizeof(*off), earlier);
	mad = off[k / 2];
	/* people are irregular: half of the gaps within a quarter of the median are a machine's */
	if (median < FASTEST || mad * 4 > median || gap[k * 9 / 10] > median * 3)
		return;
	source[wr_ip_text(&r->client_ip, source)] = 0;
	wr_detect_target(target, &r->server_ip, (uint16_t)r->server_port);
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	i->first = b->first;
	i->last = b->last;
	i->count = b->n;
	i->severity = "medium";
	i->confidence = mad * 20 < median && b->n > 30 ? 0.9 : 0.7;
	snprintf(i->summary, sizeof(i->summary),
		"%s connects to %s every %.1f s (half of the gaps within %.1f s), %" PRIu64
		" times so far",
		source, target, (double)median / 1e9, (double)mad / 1e9, b->n);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"period_s\":%.3f,\"deviation_s\":%.3f,\"connections\":%" PRIu64 "}",
		(double)median / 1e9, (double)mad / 1e9, b->n);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_beaconing = {
	.name = "beaconing",
	.help = "connections to one address outside, at regular times",
	.attack_id = "T1071.001",
	.advice =
		"look which process it is: updates and monitoring beat as well; where nobody knows it, isolate the host",
	.impact = "updates and monitoring call home, too: a drop ends them",
	.entry = sizeof(struct beacon),
	.entries = 4096,
	.event = event,
};
