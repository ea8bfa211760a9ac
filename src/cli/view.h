/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every view shares: the options, where records come from (a running agent, sensors of its own),
 * filter, field choice, output as table, JSON lines or CSV, and when to end.
 */
#ifndef WR_VIEW_H
#define WR_VIEW_H

#include "../agent/pipeline.h"
#include "../base/opt.h"
#include "../ctl/ctl.h"
#include "../event/filter.h"
#include "../store/store.h"
#include "cmd.h"

struct wr_view_config {
	bool json, csv, once, standalone;
	const char *fields, *expr, *netns, *socket, *since, *until, *store, *interfaces, *protocols;
	uint64_t duration, count;
};
extern const struct wr_opts wr_view_opts;

/* A column of the table for people. */
struct wr_col {
	const char *title;
	uint8_t width; /* at least; the last shown column takes the rest */
	bool right;
	uint8_t rank; /* dropped first on a narrow terminal: the highest */
	void (*cell)(struct wr_buf *b, const struct wr_event *e);
};

struct wr_view {
	struct wr_view_config cfg;
	const char *cmd;
	const struct wr_kind *kind; /* of the records that come in and are filtered */
	const struct wr_kind *shown_kind; /* of the records that go out */
	struct wr_filter *filter;
	struct wr_pick pick;
	const struct wr_col *cols;
	unsigned n_cols;
	bool shown[24];
	unsigned width;
	bool tty, color, head, done, broken;
	bool cmd_waits; /* a file is read: the output may slow it down */
	/* of a source of its own: failed system calls can be watched; time by stage; bursts */
	bool calls, stages, bursts, syscalls;
	uint64_t own_netns; /* of this process, where a view needs it */
	bool requests, unmasked; /* of a source of its own: read payload too; show secrets in it */
	size_t raw; /* ... MAY: bytes of each message that are wanted (records message) */
	struct wr_sign *sign; /* ... MAY: signatures that are looked for in it */
	unsigned stalls;
	uint64_t unread; /* records dropped because the reader is slow */
	uint64_t emitted, netns, started, ends;
	struct wr_buf out;
	char host[64];
	/* the source: one of them */
	struct wr_pipe *pipe;
	struct wr_client *client;
	struct wr_history *history;
	bool past; /* --since, --until: from history; the clock is that of the records */
	uint64_t from, to, clock; /* of the past, UTC ns */
	wr_sink_fn sink;
	void *sink_ctx;
	wr_packet_fn packet;
	wr_step_fn step; /* of a source of its own: single packets on their way */
};

/*
 * Parses options (own table @own into @own_to may be empty), compiles the filter, prepares output.
 * Returns 0 or an exit status + 1 when the command shall end at once.
 */
int wr_view_init(struct wr_view *v, const struct wr_cmd *c, enum wr_kind_id in, enum wr_kind_id out,
	void *own_to, int argc, char **argv, int *ret_args);
/* Opens a source; @sensors: bit per row of sensors.def, needed when there is no agent. Exit status + 1. */
int wr_view_open(struct wr_view *v, uint32_t sensors, bool live_first);
/* Runs until Ctrl-C, --for, --count, the pipe closes. @tick (may be NULL) is called about every @every ns. */
void wr_view_run(struct wr_view *v, uint64_t every, void (*tick)(void *ctx), void *ctx);
/* UTC ns: now, or where the reading of the past has come to. */
uint64_t wr_view_utc(const struct wr_view *v);
/* Does the record pass the filter and the namespace? */
bool wr_view_wants(const struct wr_view *v, const struct wr_event *e);
/* Writes one record in the chosen form and counts it. */
void wr_view_put(struct wr_view *v, const struct wr_event *e);
void wr_view_flush(struct wr_view *v);
/* Records of another kind behind those that are shown: for people and as JSON only. Exit status + 1. */
int wr_view_with(const struct wr_view *v, const char *option);
void wr_view_free(struct wr_view *v);

/* Cells that several views share. */
void wr_cell_addr(struct wr_buf *b, const struct wr_ip *ip, uint64_t port);
void wr_cell_name(struct wr_buf *b, struct wr_str name, uint64_t port);

enum {
	WR_NEED_OWNER = 1u << 0,
	WR_NEED_TCP = 1u << 1,
	WR_NEED_TAP = 1u << 2,
	WR_NEED_ICMP = 1u << 3,
	WR_NEED_LINK = 1u << 4,
	WR_NEED_TLS = 1u << 5,
	WR_NEED_DROP = 1u << 6,
	WR_NEED_CALL = 1u << 7,
	WR_NEED_STAGE = 1u << 8,
	WR_NEED_JOURNEY = 1u << 9,
	WR_NEED_BURST = 1u << 10,
	WR_NEED_SYSCALL = 1u << 11,
	WR_NEED_ARP = 1u << 12,
	WR_NEED_ALL = 0,
};

#endif
