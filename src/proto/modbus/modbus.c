// SPDX-License-Identifier: Apache-2.0
/* Modbus/TCP (Modbus Application Protocol 1.1b3, Messaging on TCP/IP 1.0b): a function and its result. */
#include "../proto.h"

static const struct {
	uint8_t code;
	const char *name;
	uint8_t range; /* address and count follow */
} functions[] = {{1, "read_coils", 2}, {2, "read_discrete_inputs", 2},
	{3, "read_holding_registers", 2}, {4, "read_input_registers", 2},
	{5, "write_single_coil", 1}, {6, "write_single_register", 1},
	{7, "read_exception_status", 0}, {8, "diagnostics", 0}, {11, "get_comm_event_counter", 0},
	{12, "get_comm_event_log", 0}, {15, "write_multiple_coils", 2},
	{16, "write_multiple_registers", 2}, {17, "report_server_id", 0},
	{20, "read_file_record", 0}, {21, "write_file_record", 0}, {22, "mask_write_register", 1},
	{23, "read_write_multiple_registers", 2}, {24, "read_fifo_queue", 1},
	{43, "encapsulated_interface", 0}};
static const char *const exceptions[] = {"", "illegal_function", "illegal_data_address",
	"illegal_data_value", "server_device_failure", "acknowledge", "server_device_busy", "",
	"memory_parity_error", "", "gateway_path_unavailable", "gateway_target_failed"};

struct modbus {
	bool lost[2];
	uint16_t last; /* transaction */
};

static int find(uint8_t code)
{
	for (unsigned i = 0; i < WR_N(functions); i++) {
		if (functions[i].code == code)
			return (int)i;
	}
	return -1;
}

/* 0: more is needed; -EBADMSG; else the bytes of the message. */
static ssize_t message(struct wr_bytes b)
{
	uint16_t len;

	if (b.n < 8)
		return b.n < 4 || !wr_be16(b.p + 2) ? 0 : -EBADMSG;
	len = wr_be16(b.p + 4);
	if (wr_be16(b.p + 2) || len < 2 || len > 254)
		return -EBADMSG;
	return b.n < 6u + len ? 0 : 6 + len;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct modbus *st = wr_state(s);
	ssize_t n = message(b);
	struct wr_request *r;
	char t[64];
	int f;

	if (n <= 0) {
		if (n < 0 && st->lost[dir])
			return 1; /* the next head is somewhere behind */
		return n;
	}
	f = find(b.p[7] & 0x7f);
	if (st->lost[dir]) { /* registers look like anything: only what is next, or was asked for */
		r = wr_req_find(s, wr_be16(b.p));
		if (f < 0 || (dir ? !r || r->n != (b.p[7] & 0x7f)
				  : wr_be16(b.p) != (uint16_t)(st->last + 1)))
			return 1;
	}
	st->lost[dir] = false;
	if (!dir) {
		if (b.p[7] & 0x80)
			return -EBADMSG;
		st->last = wr_be16(b.p);
		r = wr_req_new(s, wr_be16(b.p));
		if (!r)
			return n;
		r->request_bytes = (uint64_t)n;
		r->n = b.p[7];
		snprintf(t, sizeof(t), "function_%u", b.p[7]);
		wr_req_op(r, wr_str(f >= 0 ? functions[f].name : t));
		if (f >= 0 && functions[f].range == 2 && n >= 12)
			snprintf(t, sizeof(t), "unit %u address %u count %u", b.p[6],
				wr_be16(b.p + 8), wr_be16(b.p + 10));
		else if (f >= 0 && functions[f].range && n >= 10)
			snprintf(t, sizeof(t), "unit %u address %u", b.p[6], wr_be16(b.p + 8));
		else
			snprintf(t, sizeof(t), "unit %u", b.p[6]);
		wr_req_resource(r, wr_str(t));
		return n;
	}
	r = wr_req_find(s, wr_be16(b.p));
	if (!r || r->n != (b.p[7] & 0x7f))
		return n;
	wr_req_answer(s, r, (uint64_t)n);
	r->error = b.p[7] & 0x80;
	if (r->error) {
		uint8_t e = n > 8 ? b.p[8] : 0;

		snprintf(t, sizeof(t), "exception_%u", e);
		wr_req_status(
			r, wr_str(e < WR_N(exceptions) && exceptions[e][0] ? exceptions[e] : t));
	} else {
		wr_req_status(r, WR_STR("ok"));
	}
	wr_req_done(s, r);
	return n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	ssize_t n = message(b);

	(void)joined;
	if (n < 0)
		return WR_PROBE_NO;
	if (!n)
		return WR_PROBE_MORE;
	if (find(b.p[7] & 0x7f) < 0 || (!dir && b.p[7] & 0x80))
		return WR_PROBE_NO;
	return 46; /* with the port, or with both directions */
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct modbus *st = wr_state(s);

	wr_req_give_up(s, lost);
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_modbus = {
	.name = "modbus",
	.help = "a function of a unit and its result",
	.over = WR_TCP,
	.whole = true,
	.ports = {502},
	.state = sizeof(struct modbus),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
