// SPDX-License-Identifier: Apache-2.0
#include "export.h"

#include <time.h>

/* RFC 7011; elements by the IANA registry of IPFIX. Two records a connection, one for each direction. */
#define VERSION 10
#define DOMAIN 1
#define TEMPLATE4 256
#define TEMPLATE6 257

static const uint16_t elements[][2] = {/* id, length; the addresses come before them */
	{7, 2}, {11, 2}, {4, 1}, {1, 8}, {2, 8}, {152, 8}, {153, 8}};

static void be(struct wr_buf *b, uint64_t v, unsigned n)
{
	uint8_t t[8];

	for (unsigned i = 0; i < n; i++)
		t[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	wr_buf_put(b, t, n);
}

static void one(struct wr_buf *b, const struct wr_ev_conn *r, bool up)
{
	const struct wr_ip *from = up ? &r->client_ip : &r->server_ip;
	const struct wr_ip *to = up ? &r->server_ip : &r->client_ip;
	bool v4 = wr_ip_is4(from);
	unsigned skip = v4 ? 12 : 0;

	wr_buf_put(b, (const uint8_t *)from + skip, 16 - skip);
	wr_buf_put(b, (const uint8_t *)to + skip, 16 - skip);
	be(b, up ? r->client_port : r->server_port, 2);
	be(b, up ? r->server_port : r->client_port, 2);
	be(b,
		wr_str_eq(r->transport, WR_STR("tcp"))	   ? 6
		: wr_str_eq(r->transport, WR_STR("udp"))   ? 17
		: wr_str_eq(r->transport, WR_STR("icmp"))  ? 1
		: wr_str_eq(r->transport, WR_STR("icmp6")) ? 58
							   : 255,
		1);
	be(b, up ? r->bytes_to_server : r->bytes_to_client, 8);
	be(b, up ? r->packets_to_server : r->packets_to_client, 8);
	be(b, r->first / 1000000, 8);
	be(b, r->last / 1000000, 8);
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	const struct wr_ev_conn *r = (const void *)e;
	size_t at;

	(void)first;
	(void)f;
	if (e->kind != WR_KIND_conn || !wr_str_eq(r->event, WR_STR("close")) ||
		!wr_ev_has(e, WR_I_conn_client_ip) || !wr_ev_has(e, WR_I_conn_server_ip) ||
		wr_ip_is4(&r->client_ip) != wr_ip_is4(&r->server_ip))
		return false;
	at = wr_message_begin(b);
	wr_buf_c(b, wr_ip_is4(&r->client_ip) ? 4 : 6);
	one(b, r, true);
	one(b, r, false);
	wr_message_end(b, at);
	return true;
}

static void template(struct wr_buf *b, unsigned id, bool v4)
{
	be(b, id, 2);
	be(b, WR_N(elements) + 2, 2);
	be(b, v4 ? 8 : 27, 2);
	be(b, v4 ? 4 : 16, 2);
	be(b, v4 ? 12 : 28, 2);
	be(b, v4 ? 4 : 16, 2);
	for (unsigned i = 0; i < WR_N(elements); i++) {
		be(b, elements[i][0], 2);
		be(b, elements[i][1], 2);
	}
}

/* The length stands behind the first two bytes of what begins at @at. */
static void measure(struct wr_buf *b, size_t at)
{
	size_t n = b->n - at;

	if (b->cut)
		return;
	b->p[at + 2] = (char)(n >> 8);
	b->p[at + 3] = (char)n;
}

/* A message with both templates: over UDP whoever listens later must know them (RFC 7011 8.4). */
static void pack(struct wr_buf *b, struct wr_bytes messages, uint32_t sequence)
{
	size_t set;

	be(b, VERSION, 2);
	be(b, 0, 2);
	be(b, (uint64_t)time(NULL), 4);
	be(b, (uint64_t)sequence * 2, 4); /* data records sent before */
	be(b, DOMAIN, 4);
	set = b->n;
	be(b, 2, 2);
	be(b, 0, 2);
	template(b, TEMPLATE4, true);
	template(b, TEMPLATE6, false);
	measure(b, set);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct wr_bytes rest = messages, m;

		set = b->n;
		be(b, v6 ? TEMPLATE6 : TEMPLATE4, 2);
		be(b, 0, 2);
		while (wr_message_next(&rest, &m)) {
			if (m.n && (m.p[0] == 6) == v6)
				wr_buf_put(b, m.p + 1, m.n - 1);
		}
		if (b->n == set + 4)
			b->n = set;
		else
			measure(b, set);
	}
	measure(b, 0);
}

const struct wr_exporter wr_exporter_ipfix = {
	.name = "ipfix",
	.help = "IPFIX (RFC 7011) over UDP: a flow for each direction of a connection, at its end",
	.example = "udp://127.0.0.1:4739",
	.kinds = "conn",
	.port = "4739",
	.put = put,
	.pack = pack,
};
