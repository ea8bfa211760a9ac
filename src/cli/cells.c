// SPDX-License-Identifier: Apache-2.0
#include "cells.h"

#define HAS(f) wr_ev_has(e, WR_I_conn_##f)
#define CELL(name)                                                                                 \
	static void name(struct wr_buf *b, const struct wr_event *e)                               \
	{                                                                                          \
		const struct wr_ev_conn *r = (const void *)e;
#define END }

CELL(c_time) (void)r;
wr_text(b, e, WR_I_conn_time);
END

CELL(c_event) wr_buf_str(b, r->event);
END

CELL(c_proto) wr_buf_str(b, r->transport);
END

CELL(c_state) if (wr_str_eq(r->event, WR_STR("close")) && HAS(close_reason))
{
	wr_buf_str(b, r->close_reason);
	if (HAS(closed_by)) {
		wr_buf_lit(b, " by ");
		wr_buf_str(b, r->closed_by);
	}
}
else if (HAS(state)) wr_buf_str(b, r->state);
END

CELL(c_client) if (HAS(client_ip)) wr_cell_addr(b, &r->client_ip, r->client_port);
else wr_buf_c(b, '*');
END

CELL(c_server) wr_cell_addr(b, &r->server_ip, r->server_port);
(void)e;
END

void wr_cell_owner(struct wr_buf *b, const struct wr_ev_conn *r)
{
	const struct wr_event *e = &r->ev;

	if (HAS(client_process)) {
		wr_buf_str(b, HAS(client_container) ? r->client_container : r->client_process);
		wr_buf_printf(b, "[%" PRIu64 "]", r->client_pid);
	}
	if (HAS(client_process) && HAS(server_process))
		wr_buf_lit(b, " > ");
	else if (HAS(server_process))
		wr_buf_lit(b, "> ");
	if (HAS(server_process)) {
		wr_buf_str(b, HAS(server_container) ? r->server_container : r->server_process);
		wr_buf_printf(b, "[%" PRIu64 "]", r->server_pid);
	}
}

CELL(c_owner) (void)e;
wr_cell_owner(b, r);
END

CELL(c_up) (void)r;
wr_text(b, e, WR_I_conn_bytes_to_server);
END

CELL(c_down) (void)r;
wr_text(b, e, WR_I_conn_bytes_to_client);
END

CELL(c_rtt) (void)r;
wr_text(b, e, WR_I_conn_rtt_us);
END

CELL(c_retr) if (HAS(retransmits) && r->retransmits) wr_buf_u64(b, r->retransmits);
END

CELL(c_dur) if (!wr_str_eq(r->event, WR_STR("open"))) wr_text(b, e, WR_I_conn_duration_ms);
END

const struct wr_col wr_conn_cols[] = {
	{"TIME", 12, false, 8, c_time},
	{"EVENT", 6, false, 3, c_event},
	{"PROTO", 5, false, 4, c_proto},
	{"CLIENT", 21, false, 0, c_client},
	{"SERVER", 21, false, 0, c_server},
	{"TO-SERVER", 9, true, 1, c_up},
	{"TO-CLIENT", 9, true, 2, c_down},
	{"RTT", 7, true, 7, c_rtt},
	{"RETR", 4, true, 9, c_retr},
	{"DURATION", 8, true, 10, c_dur},
	{"STATE", 15, false, 6, c_state},
	{"OWNER", 16, false, 5, c_owner},
};
const unsigned wr_n_conn_cols = WR_N(wr_conn_cols);
