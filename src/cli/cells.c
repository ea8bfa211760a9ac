// SPDX-License-Identifier: Apache-2.0
#include "cells.h"

#define HAS(f) wr_ev_has(e, WR_I_conn_##f)
#define TEXT_CELL(name, field)                                                                     \
	static void name(struct wr_buf *b, const struct wr_event *e)                               \
	{                                                                                          \
		wr_text(b, e, WR_I_conn_##field);                                                  \
	}
TEXT_CELL(c_time, time)
TEXT_CELL(c_event, event)
TEXT_CELL(c_proto, transport)
TEXT_CELL(c_up, bytes_to_server)
TEXT_CELL(c_down, bytes_to_client)
TEXT_CELL(c_rtt, rtt_us)

static void c_state(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;

	if (!HAS(close_reason)) {
		wr_text(b, e, WR_I_conn_state);
		return;
	}
	wr_buf_str(b, r->close_reason);
	if (HAS(closed_by)) {
		wr_buf_lit(b, " by ");
		wr_buf_str(b, r->closed_by);
	}
}

static void c_client(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;

	if (HAS(client_ip))
		wr_cell_addr(b, &r->client_ip, r->client_port);
	else
		wr_buf_c(b, '*');
}

static void c_server(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;

	wr_cell_addr(b, &r->server_ip, r->server_port);
}

void wr_cell_owner(struct wr_buf *b, const struct wr_ev_conn *r)
{
	const struct wr_event *e = &r->ev;

	if (HAS(client_process)) {
		wr_buf_str(b, HAS(client_container) ? r->client_container : r->client_process);
		wr_buf_printf(b, "[%" PRIu64 "]", r->client_pid);
	}
	if (!HAS(server_process) && !HAS(server_host_name))
		return;
	wr_buf_str(b, HAS(client_process) ? WR_STR(" > ") : WR_STR("> "));
	if (HAS(server_process)) {
		wr_buf_str(b, HAS(server_container) ? r->server_container : r->server_process);
		wr_buf_printf(b, "[%" PRIu64 "]", r->server_pid);
	} else {
		wr_buf_str(b, r->server_host_name);
	}
}

static void c_owner(struct wr_buf *b, const struct wr_event *e)
{
	wr_cell_owner(b, (const void *)e);
}

static void c_retr(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;

	if (HAS(retransmits) && r->retransmits)
		wr_buf_u64(b, r->retransmits);
}

static void c_dur(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;

	if (!wr_str_eq(r->event, WR_STR("open")))
		wr_text(b, e, WR_I_conn_duration_ms);
}

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

#undef HAS
#undef TEXT_CELL
#define HAS(f) wr_ev_has(e, WR_I_request_##f)
#define TEXT_CELL(name, field)                                                                     \
	static void name(struct wr_buf *b, const struct wr_event *e)                               \
	{                                                                                          \
		wr_text(b, e, WR_I_request_##field);                                               \
	}
TEXT_CELL(q_time, time)
TEXT_CELL(q_proto, protocol)
TEXT_CELL(q_op, operation)
TEXT_CELL(q_up, request_bytes)
TEXT_CELL(q_down, response_bytes)
TEXT_CELL(q_dur, duration_us)
TEXT_CELL(q_res, resource)

static void q_status(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;

	if (HAS(status) && wr_str_eq(r->status, WR_STR("no_response")))
		wr_buf_c(b, '-'); /* none is due */
	else if (HAS(status))
		wr_buf_str(b, r->status);
	else
		wr_buf_c(b, '?');
	if (HAS(error) && r->error)
		wr_buf_c(b, '!');
}

static void q_from(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;

	if (HAS(client_process))
		wr_buf_str(b, HAS(client_container) ? r->client_container : r->client_process);
	else
		wr_cell_addr(b, &r->client_ip, 0);
}

static void q_to(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;

	if (HAS(server_process)) {
		wr_buf_str(b, HAS(server_container) ? r->server_container : r->server_process);
		wr_buf_printf(b, ":%" PRIu64, r->server_port);
	} else if (HAS(server_host_name)) {
		wr_cell_name(b, r->server_host_name, r->server_port);
	} else {
		wr_cell_addr(b, &r->server_ip, r->server_port);
	}
}

const struct wr_col wr_request_cols[] = {
	{"TIME", 12, false, 4, q_time},
	{"PROTO", 10, false, 2, q_proto},
	{"FROM", 16, false, 3, q_from},
	{"TO", 18, false, 1, q_to},
	{"STATUS", 8, false, 0, q_status},
	{"DURATION", 8, true, 0, q_dur},
	{"SENT", 8, true, 6, q_up},
	{"RECEIVED", 8, true, 5, q_down},
	{"OPERATION", 9, false, 0, q_op},
	{"RESOURCE", 20, false, 0, q_res},
};
const unsigned wr_n_request_cols = WR_N(wr_request_cols);

/* rate, errors, duration: the same columns for requests by keys and for the edges of the map */
#define RED_CELLS(k)                                                                               \
	static void k##_rate(struct wr_buf *b, const struct wr_event *e)                           \
	{                                                                                          \
		wr_buf_printf(b, "%.*f", ((const struct wr_ev_##k *)(const void *)e)->rate < 10,   \
			((const struct wr_ev_##k *)(const void *)e)->rate);                        \
	}                                                                                          \
	static void k##_errors(struct wr_buf *b, const struct wr_event *e)                         \
	{                                                                                          \
		double v = 100 * ((const struct wr_ev_##k *)(const void *)e)->error_rate;          \
                                                                                                   \
		if (v > 0)                                                                         \
			wr_buf_printf(b, "%.*f %%", v < 10, v);                                    \
	}                                                                                          \
	static void k##_count(struct wr_buf *b, const struct wr_event *e)                          \
	{                                                                                          \
		wr_buf_u64(b, ((const struct wr_ev_##k *)(const void *)e)->count);                 \
	}                                                                                          \
	static void k##_p50(struct wr_buf *b, const struct wr_event *e)                            \
	{                                                                                          \
		wr_text(b, e, WR_I_##k##_p50_us);                                                  \
	}                                                                                          \
	static void k##_p90(struct wr_buf *b, const struct wr_event *e)                            \
	{                                                                                          \
		wr_text(b, e, WR_I_##k##_p90_us);                                                  \
	}                                                                                          \
	static void k##_p99(struct wr_buf *b, const struct wr_event *e)                            \
	{                                                                                          \
		wr_text(b, e, WR_I_##k##_p99_us);                                                  \
	}                                                                                          \
	static void k##_max(struct wr_buf *b, const struct wr_event *e)                            \
	{                                                                                          \
		wr_text(b, e, WR_I_##k##_max_us);                                                  \
	}
#define RED_COLS(k)                                                                                \
	{"COUNT", 7, true, 3, k##_count}, {"RATE/S", 7, true, 2, k##_rate},                        \
		{"ERRORS", 7, true, 1, k##_errors}, {"P50", 7, true, 4, k##_p50},                  \
		{"P90", 7, true, 7, k##_p90}, {"P99", 7, true, 5, k##_p99},                        \
	{                                                                                          \
		"MAX", 7, true, 6, k##_max                                                         \
	}
RED_CELLS(requests)
RED_CELLS(edge)

static void r_key(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_str(b, ((const struct wr_ev_requests *)(const void *)e)->key);
}

const struct wr_col wr_red_cols[] = {RED_COLS(requests), {"KEY", 20, false, 0, r_key}};
const unsigned wr_n_red_cols = WR_N(wr_red_cols);

static void e_from(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_edge *r = (const void *)e;

	if (wr_ev_has(e, WR_I_edge_client_service))
		wr_buf_str(b, r->client_service);
	else
		wr_cell_addr(b, &r->client_ip, 0);
}

static void e_to(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_edge *r = (const void *)e;

	if (wr_ev_has(e, WR_I_edge_server_service))
		wr_buf_str(b, r->server_service);
	else if (wr_ev_has(e, WR_I_edge_server_host_name))
		wr_cell_name(b, r->server_host_name, r->server_port);
	else
		wr_cell_addr(b, &r->server_ip, r->server_port);
}

static void e_proto(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_str(b, ((const struct wr_ev_edge *)(const void *)e)->protocol);
}

const struct wr_col wr_edge_cols[] = {{"FROM", 18, false, 0, e_from}, {"TO", 20, false, 0, e_to},
	{"PROTO", 10, false, 0, e_proto}, RED_COLS(edge)};
const unsigned wr_n_edge_cols = WR_N(wr_edge_cols);

static void d_verdict(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_diagnosis_verdict);
}
static void d_cause(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_diagnosis_cause);
}
static void d_summary(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_diagnosis *d = (const void *)e;

	wr_buf_str(b, d->summary);
	if (wr_ev_has(e, WR_I_diagnosis_fix)) {
		wr_buf_lit(b, ". Fix: ");
		wr_buf_str(b, d->fix);
	}
}

const struct wr_col wr_diagnosis_cols[] = {{"VERDICT", 8, false, 1, d_verdict},
	{"CAUSE", 20, false, 2, d_cause}, {"SUMMARY", 40, false, 0, d_summary}};
const unsigned wr_n_diagnosis_cols = WR_N(wr_diagnosis_cols);
