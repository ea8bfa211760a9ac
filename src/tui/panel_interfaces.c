// SPDX-License-Identifier: Apache-2.0
/* What the devices of this namespace count, from /proc/net/dev: all traffic, with its headers. */
#include "tui.h"

struct iface {
	char name[32];
	uint64_t rx, tx, rx_drop, tx_drop, rx_err, at;
	double rx_rate, tx_rate;
};

static struct iface ifaces[WR_MAX_IFACES];
static unsigned n_ifaces;

static struct iface *find(const char *name)
{
	for (unsigned i = 0; i < n_ifaces; i++) {
		if (!strcmp(ifaces[i].name, name))
			return &ifaces[i];
	}
	if (n_ifaces == WR_MAX_IFACES)
		return NULL;
	wr_copy(ifaces[n_ifaces].name, sizeof(ifaces[n_ifaces].name), wr_str(name));
	return &ifaces[n_ifaces++];
}

static void lines(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	FILE *f = fopen("/proc/net/dev", "re");
	char line[512], name[32];
	uint64_t now = wr_now();

	while (f && fgets(line, sizeof(line), f)) {
		uint64_t v[16] = {0};
		struct wr_tui_line l = {.row = NULL};
		struct iface *i;

		if (sscanf(line,
			    " %31[^:]: %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			    " %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
			    name, &v[0], &v[1], &v[2], &v[3], &v[8], &v[9], &v[10], &v[11]) != 9)
			continue;
		i = find(name);
		if (!i)
			continue;
		if (i->at && now > i->at + 200000000) {
			double dt = (double)(now - i->at) / 1e9;

			i->rx_rate = v[0] > i->rx ? (double)(v[0] - i->rx) / dt : 0;
			i->tx_rate = v[8] > i->tx ? (double)(v[8] - i->tx) / dt : 0;
		}
		if (!i->at || now > i->at + 200000000) {
			i->rx = v[0];
			i->tx = v[8];
			i->at = now;
		}
		wr_copy(l.key, sizeof(l.key), wr_str(name));
		l.rx = v[0];
		l.tx = v[8];
		l.rx_rate = i->rx_rate;
		l.tx_rate = i->tx_rate;
		l.conns = v[1] + v[9];
		l.errors = v[2] + v[3] + v[10] + v[11];
		add(t, &l);
	}
	if (f)
		fclose(f);
}

static void c_name(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->key));
}

static void c_send(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_tui_rate(b, l->tx_rate);
}

static void c_recv(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_tui_rate(b, l->rx_rate);
}

static void c_sent(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_bytes(b, l->tx);
}

static void c_rcvd(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_bytes(b, l->rx);
}

static void c_packets(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_u64(b, l->conns);
}

static void c_errors(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_u64(b, l->errors);
}

static int by_name(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return strcmp(a->key, b->key);
}

static int by_rate(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	double x = a->tx_rate + a->rx_rate, y = b->tx_rate + b->rx_rate;

	return x < y ? -1 : x > y;
}

static int by_sum(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	uint64_t x = a->tx + a->rx, y = b->tx + b->rx;

	return x < y ? -1 : x > y;
}

static const struct wr_tui_col cols[] = {
	{"INTERFACE", 16, 0, false, true, c_name, by_name},
	{"SENDS", 10, 0, true, false, c_send, by_rate},
	{"RECEIVES", 10, 0, true, false, c_recv, by_rate},
	{"SENT", 8, 1, true, false, c_sent, by_sum},
	{"RECEIVED", 8, 1, true, false, c_rcvd, by_sum},
	{"PACKETS", 12, 3, true, false, c_packets, NULL},
	{"DROPS+ERRORS", 12, 2, true, false, c_errors, NULL},
};

const struct wr_panel wr_panel_interfaces = {
	.name = "interfaces",
	.empty = "/proc/net/dev cannot be read",
	.cols = cols,
	.n_cols = WR_N(cols),
	.sort = 1,
	.lines = lines,
};
