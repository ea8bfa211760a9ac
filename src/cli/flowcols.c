// SPDX-License-Identifier: Apache-2.0
#include "flowcols.h"

#define FLOW_CELL(name, field)                                                                     \
	static void name(struct wr_buf *b, const struct wr_event *e)                               \
	{                                                                                          \
		wr_text(b, e, WR_I_flow_##field);                                                  \
	}
FLOW_CELL(f_conns, connections)
FLOW_CELL(f_bytes, bytes)
FLOW_CELL(f_up, bytes_to_server)
FLOW_CELL(f_down, bytes_to_client)
FLOW_CELL(f_packets, packets)
FLOW_CELL(f_retr, retransmits)
FLOW_CELL(f_key, key)

static void f_rate(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_flow *f = (const void *)e;
	double s = f->to > f->from ? (double)(f->to - f->from) / 1e9 : 0;

	if (s > 0) {
		wr_human_bytes(b, (uint64_t)((double)f->bytes / s));
		wr_buf_lit(b, "/s");
	}
}

const struct wr_col wr_flow_cols[] = {
	{"CONNS", 6, true, 5, f_conns},
	{"BYTES", 8, true, 0, f_bytes},
	{"RATE", 10, true, 1, f_rate},
	{"TO-SERVER", 9, true, 3, f_up},
	{"TO-CLIENT", 9, true, 2, f_down},
	{"PACKETS", 9, true, 6, f_packets},
	{"RETR", 5, true, 4, f_retr},
	{"KEY", 20, false, 0, f_key},
};
const unsigned wr_n_flow_cols = WR_N(wr_flow_cols);

#define PKT_CELL(name, field)                                                                      \
	static void name(struct wr_buf *b, const struct wr_event *e)                               \
	{                                                                                          \
		wr_text(b, e, WR_I_packet_##field);                                                \
	}
PKT_CELL(p_number, number)
PKT_CELL(p_time, time)
PKT_CELL(p_proto, transport)
PKT_CELL(p_len, length)
PKT_CELL(p_flags, flags)

static void p_end(struct wr_buf *b, const struct wr_event *e, const struct wr_ip *ip, uint64_t port,
	unsigned has_ip, unsigned has_port)
{
	char t[WR_IP_TEXT];

	if (!wr_ev_has(e, has_ip))
		return;
	if (wr_ev_has(e, has_port))
		wr_cell_addr(b, ip, port);
	else
		wr_buf_put(b, t, wr_ip_text(ip, t));
}

static void p_src(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_packet *p = (const void *)e;

	p_end(b, e, &p->src_ip, p->src_port, WR_I_packet_src_ip, WR_I_packet_src_port);
}

static void p_dst(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_packet *p = (const void *)e;

	p_end(b, e, &p->dst_ip, p->dst_port, WR_I_packet_dst_ip, WR_I_packet_dst_port);
}

static void p_note(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_packet *p = (const void *)e;

	if (wr_ev_has(e, WR_I_packet_malformed)) {
		wr_buf_lit(b, "malformed: ");
		wr_buf_str(b, p->malformed);
	} else if (wr_ev_has(e, WR_I_packet_drop_reason)) {
		wr_buf_printf(b, "drop %.*s", (int)p->drop_reason.n, p->drop_reason.p);
		if (p->drop_rule.n)
			wr_buf_printf(b, " by \"%.*s\"", (int)p->drop_rule.n, p->drop_rule.p);
		if (p->interface.n)
			wr_buf_printf(b, " at %.*s", (int)p->interface.n, p->interface.p);
	} else if (wr_ev_has(e, WR_I_packet_process)) {
		wr_buf_str(b, p->process);
		wr_buf_printf(b, "[%" PRIu64 "]", p->pid);
	} else if (wr_ev_has(e, WR_I_packet_seq)) {
		wr_buf_printf(b, "seq %" PRIu64 " ack %" PRIu64 " win %" PRIu64, p->seq, p->ack,
			p->window);
	}
}

const struct wr_col wr_packet_cols[] = {
	{"NUMBER", 7, true, 6, p_number},
	{"TIME", 12, false, 3, p_time},
	{"PROTO", 5, false, 2, p_proto},
	{"SOURCE", 21, false, 0, p_src},
	{"DESTINATION", 21, false, 0, p_dst},
	{"LENGTH", 7, true, 4, p_len},
	{"FLAGS", 5, false, 5, p_flags},
	{"NOTE", 16, false, 1, p_note},
};
const unsigned wr_n_packet_cols = WR_N(wr_packet_cols);

bool wr_by_packets(int argc, char **argv)
{
	const char *by = NULL;
	struct wr_group *g;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--by") && i + 1 < argc)
			by = argv[i + 1];
		else if (!strncmp(argv[i], "--by=", 5))
			by = argv[i] + 5;
	}
	if (!by || !wr_group_new(&wr_kinds[WR_KIND_conn], wr_str(by), &g, NULL)) {
		if (by)
			wr_group_free(g);
		return false;
	}
	if (wr_group_new(&wr_kinds[WR_KIND_packet], wr_str(by), &g, NULL))
		return false;
	wr_group_free(g);
	return true;
}

void wr_group_put(struct wr_view *v, struct wr_group *g, unsigned top, uint64_t from, uint64_t to)
{
	struct wr_group_row **rows;
	unsigned n = wr_group_top(g, &rows, top);

	for (unsigned i = 0; i < n; i++) {
		struct wr_ev_flow f;

		wr_group_record(g, rows[i], &f);
		WR_SET(&f, flow, time, to);
		WR_SET(&f, flow, host, wr_str(v->host));
		WR_SET(&f, flow, from, from);
		WR_SET(&f, flow, to, to);
		wr_view_put(v, &f.ev);
	}
	wr_group_reset(g);
}
