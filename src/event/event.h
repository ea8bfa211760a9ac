/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: what leaves the pipeline. One struct and one field table a kind, both from kinds.def. A
 * field that is not known is absent: its bit in `has` is clear. Strings and JSON are borrowed views
 * that live as long as the call that hands the record on.
 */
#ifndef WR_EVENT_H
#define WR_EVENT_H

#include "../base/base.h"
#include "../base/buf.h"
#include "../base/ip.h"

enum wr_type { WR_U64, WR_F64, WR_BOOL, WR_STRING, WR_ADDR, WR_TIME, WR_JSON };

#define WR_T_U64 WR_U64
#define WR_T_F64 WR_F64
#define WR_T_BOOL WR_BOOL
#define WR_T_STR WR_STRING
#define WR_T_IP WR_ADDR
#define WR_T_TIME WR_TIME
#define WR_T_JSON WR_JSON
#define WR_C_U64 uint64_t
#define WR_C_F64 double
#define WR_C_BOOL uint64_t
#define WR_C_STR struct wr_str
#define WR_C_IP struct wr_ip
#define WR_C_TIME uint64_t
#define WR_C_JSON struct wr_str

/* The head of every record; then the common fields, then the kind's own. */
struct wr_event {
	uint16_t kind;
	uint64_t has[2];
};

#define WR_MEMBER(t, c, ...) WR_C_##t c;
#define WR_KIND(k, a, b, fields, help)                                                             \
	struct wr_ev_##k {                                                                         \
		struct wr_event ev;                                                                \
		WR_COMMON_FIELDS(WR_MEMBER) fields(WR_MEMBER)                                      \
	};
#include "kinds.def"
#undef WR_KIND

#define WR_KIND(k, ...) WR_KIND_##k,
enum wr_kind_id {
#include "kinds.def"
	WR_KINDS,
};
#undef WR_KIND

/* Index of each field in its table: WR_I_conn_state. */
#define WR_KIND(k, a, b, fields, help)                                                             \
	enum { WR_COMMON_FIELDS(WR_INDEX_##k) fields(WR_INDEX_##k) WR_I_##k##_n };
#define WR_INDEX_conn(t, c, ...) WR_I_conn_##c,
#define WR_INDEX_flow(t, c, ...) WR_I_flow_##c,
#define WR_INDEX_request(t, c, ...) WR_I_request_##c,
#define WR_INDEX_requests(t, c, ...) WR_I_requests_##c,
#define WR_INDEX_edge(t, c, ...) WR_I_edge_##c,
#define WR_INDEX_traffic(t, c, ...) WR_I_traffic_##c,
#define WR_INDEX_drop(t, c, ...) WR_I_drop_##c,
#define WR_INDEX_violation(t, c, ...) WR_I_violation_##c,
#define WR_INDEX_message(t, c, ...) WR_I_message_##c,
#define WR_INDEX_log(t, c, ...) WR_I_log_##c,
#define WR_INDEX_match(t, c, ...) WR_I_match_##c,
#define WR_INDEX_backend(t, c, ...) WR_I_backend_##c,
#define WR_INDEX_syns(t, c, ...) WR_I_syns_##c,
#define WR_INDEX_neighbor(t, c, ...) WR_I_neighbor_##c,
#define WR_INDEX_syscall(t, c, ...) WR_I_syscall_##c,
#define WR_INDEX_burst(t, c, ...) WR_I_burst_##c,
#define WR_INDEX_call(t, c, ...) WR_I_call_##c,
#define WR_INDEX_latency(t, c, ...) WR_I_latency_##c,
#define WR_INDEX_queue(t, c, ...) WR_I_queue_##c,
#define WR_INDEX_journey(t, c, ...) WR_I_journey_##c,
#define WR_INDEX_packet(t, c, ...) WR_I_packet_##c,
#define WR_INDEX_sensor(t, c, ...) WR_I_sensor_##c,
#define WR_INDEX_alert(t, c, ...) WR_I_alert_##c,
#define WR_INDEX_diagnosis(t, c, ...) WR_I_diagnosis_##c,
#define WR_INDEX_rule(t, c, ...) WR_I_rule_##c,
#define WR_INDEX_metric(t, c, ...) WR_I_metric_##c,
#define WR_INDEX_loss(t, c, ...) WR_I_loss_##c,
#include "kinds.def"
#undef WR_KIND

struct wr_field {
	const char *name, *unit, *otel, *help;
	uint16_t off;
	uint8_t type; /* enum wr_type */
};

struct wr_kind {
	const char *name, *end_a, *end_b, *help;
	const struct wr_field *fields;
	unsigned n;
	size_t size;
};

extern const struct wr_kind wr_kinds[WR_KINDS];

/* Changes when any field table does: agent and client of different versions notice. */
uint64_t wr_schema_hash(void);

static inline void wr_ev_mark(struct wr_event *e, unsigned i)
{
	e->has[i >> 6] |= 1ull << (i & 63);
}
static inline void wr_ev_unmark(struct wr_event *e, unsigned i)
{
	e->has[i >> 6] &= ~(1ull << (i & 63));
}
static inline bool wr_ev_has(const struct wr_event *e, unsigned i)
{
	return e->has[i >> 6] >> (i & 63) & 1;
}
/* The first field that is there, from @i on; 128: no more. */
static inline unsigned wr_ev_next(const struct wr_event *e, unsigned i)
{
	uint64_t bits = i < 64 ? e->has[0] >> i : 0;

	if (bits)
		return i + (unsigned)__builtin_ctzll(bits);
	i = i < 64 ? 64 : i;
	bits = i < 128 ? e->has[1] >> (i - 64) : 0;
	return bits ? i + (unsigned)__builtin_ctzll(bits) : 128;
}
/* Each field of the kind @k that @e has. */
#define wr_ev_each(e, k, i)                                                                        \
	for (unsigned i = wr_ev_next(e, 0); i < (k)->n; i = wr_ev_next(e, i + 1))
static inline const void *wr_ev_at(const struct wr_event *e, const struct wr_field *f)
{
	return (const char *)e + f->off;
}

/* WR_SET(&rec, conn, state, WR_STR("listen")) */
#define WR_SET(r, k, f, v)                                                                         \
	do {                                                                                       \
		(r)->f = (v);                                                                      \
		wr_ev_mark(&(r)->ev, WR_I_##k##_##f);                                              \
	} while (0)
#define WR_UNSET(r, k, f) wr_ev_unmark(&(r)->ev, WR_I_##k##_##f)
#define WR_INIT(r, k) (*(r) = (struct wr_ev_##k){.ev.kind = WR_KIND_##k})

/* Of any kind: host and connection (views); of one with ends: the address of that which begins at field @first. */
void wr_ev_of(struct wr_event *e, const char *host, struct wr_str conn);
void wr_ev_end(struct wr_event *e, unsigned first, const struct wr_ip *ip, uint64_t port);

/* Index of a field by its outside name, or -1. */
int wr_field_find(const struct wr_kind *k, struct wr_str name);
/* "detail.user": the row of a field of JSON, and a member in it; < 0: it is none. */
int wr_field_member(const struct wr_kind *k, struct wr_str name, struct wr_str *ret_member);
/* The nearest name of the table for "did you mean", or NULL. */
const char *wr_field_near(const struct wr_kind *k, struct wr_str name);

/* Who takes records. Must not keep views of the record. */
typedef void (*wr_sink_fn)(void *ctx, const struct wr_event *e);

/* codecs ------------------------------------------------------------------------------------ */

/* A choice of fields in order; n = 0 means all. */
struct wr_pick {
	uint8_t f[128];
	unsigned n;
};
/* "a,b,client.ip"; a bare end name stands for its ip and port. -EINVAL and @e on an unknown one. */
int wr_pick_parse(
	const struct wr_kind *k, struct wr_str list, struct wr_pick *ret, struct wr_err *e);

/* One line of JSON with the newline; nested objects for dotted names. */
void wr_json(struct wr_buf *b, const struct wr_event *e, const struct wr_pick *pick);
/* RFC 4180. */
void wr_csv_head(struct wr_buf *b, const struct wr_kind *k, const struct wr_pick *pick);
void wr_csv(struct wr_buf *b, const struct wr_event *e, const struct wr_pick *pick);
/* One value as text for a person: "1.2 MB", "340 us". */
void wr_text(struct wr_buf *b, const struct wr_event *e, unsigned field);
/* One value as it is, without quotes: for keys and CSV. */
void wr_plain(struct wr_buf *b, const struct wr_event *e, unsigned field);

/* Binary form between agent and client, same version on both sides (wr_schema_hash()). */
void wr_pack(struct wr_buf *b, const struct wr_event *e);
#define WR_EVENT_MAX 2048 /* bytes of the largest record struct */
/* Decodes one record at @b; strings point into it. Bytes taken, or -EAGAIN, -EBADMSG. */
ssize_t wr_unpack(struct wr_bytes b, void *ret_event, size_t size);

void wr_human_bytes(struct wr_buf *b, uint64_t v);
void wr_human_us(struct wr_buf *b, double us);

/* Counts the ledger of one stage. */
struct wr_ledger {
	uint64_t in, out, dropped;
};

#endif
