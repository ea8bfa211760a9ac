// SPDX-License-Identifier: Apache-2.0
#include "event.h"

#define WR_KIND(k, a, b, fields, help)                                                             \
	static const struct wr_field fields_##k[] = {                                              \
		WR_COMMON_FIELDS(WR_ROW_##k) fields(WR_ROW_##k)};                                  \
	_Static_assert(WR_N(fields_##k) <= 128, #k " has more than 128 fields");                   \
	_Static_assert(sizeof(struct wr_ev_##k) <= WR_EVENT_MAX, #k " is too large");
#define WR_ROW(k, t, c, name, unit, otel, help)                                                    \
	{name, unit, otel, help, offsetof(struct wr_ev_##k, c), WR_T_##t},
#define WR_ROW_conn(...) WR_ROW(conn, __VA_ARGS__)
#define WR_ROW_flow(...) WR_ROW(flow, __VA_ARGS__)
#define WR_ROW_request(...) WR_ROW(request, __VA_ARGS__)
#define WR_ROW_requests(...) WR_ROW(requests, __VA_ARGS__)
#define WR_ROW_edge(...) WR_ROW(edge, __VA_ARGS__)
#define WR_ROW_traffic(...) WR_ROW(traffic, __VA_ARGS__)
#define WR_ROW_drop(...) WR_ROW(drop, __VA_ARGS__)
#define WR_ROW_violation(...) WR_ROW(violation, __VA_ARGS__)
#define WR_ROW_message(...) WR_ROW(message, __VA_ARGS__)
#define WR_ROW_log(...) WR_ROW(log, __VA_ARGS__)
#define WR_ROW_match(...) WR_ROW(match, __VA_ARGS__)
#define WR_ROW_backend(...) WR_ROW(backend, __VA_ARGS__)
#define WR_ROW_syns(...) WR_ROW(syns, __VA_ARGS__)
#define WR_ROW_neighbor(...) WR_ROW(neighbor, __VA_ARGS__)
#define WR_ROW_syscall(...) WR_ROW(syscall, __VA_ARGS__)
#define WR_ROW_burst(...) WR_ROW(burst, __VA_ARGS__)
#define WR_ROW_call(...) WR_ROW(call, __VA_ARGS__)
#define WR_ROW_latency(...) WR_ROW(latency, __VA_ARGS__)
#define WR_ROW_queue(...) WR_ROW(queue, __VA_ARGS__)
#define WR_ROW_journey(...) WR_ROW(journey, __VA_ARGS__)
#define WR_ROW_packet(...) WR_ROW(packet, __VA_ARGS__)
#define WR_ROW_sensor(...) WR_ROW(sensor, __VA_ARGS__)
#define WR_ROW_alert(...) WR_ROW(alert, __VA_ARGS__)
#define WR_ROW_diagnosis(...) WR_ROW(diagnosis, __VA_ARGS__)
#define WR_ROW_rule(...) WR_ROW(rule, __VA_ARGS__)
#define WR_ROW_metric(...) WR_ROW(metric, __VA_ARGS__)
#define WR_ROW_loss(...) WR_ROW(loss, __VA_ARGS__)
#include "kinds.def"
#undef WR_KIND

#define WR_KIND(k, a, b, fields, help)                                                             \
	{#k, a, b, help, fields_##k, WR_N(fields_##k), sizeof(struct wr_ev_##k)},
const struct wr_kind wr_kinds[WR_KINDS] = {
#include "kinds.def"
};
#undef WR_KIND

uint64_t wr_schema_hash(void)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (unsigned k = 0; k < WR_KINDS; k++) {
		for (unsigned i = 0; i < wr_kinds[k].n; i++) {
			for (const char *p = wr_kinds[k].fields[i].name; *p; p++)
				h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
			h = (h ^ wr_kinds[k].fields[i].type) * 0x100000001b3ull;
		}
	}
	return h;
}

/* The common fields are the same in all kinds. */
void wr_ev_of(struct wr_event *e, const char *host, struct wr_str conn)
{
	struct wr_ev_conn *c = (void *)e;

	WR_SET(c, conn, host, wr_str(host));
	WR_SET(c, conn, conn, conn);
}

void wr_ev_end(struct wr_event *e, unsigned first, const struct wr_ip *ip, uint64_t port)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[first];

	memcpy((char *)e + f[0].off, ip, sizeof(*ip));
	memcpy((char *)e + f[1].off, &port, sizeof(port));
	wr_ev_mark(e, first);
	wr_ev_mark(e, first + 1);
}

int wr_field_find(const struct wr_kind *k, struct wr_str name)
{
	for (unsigned i = 0; i < k->n; i++) {
		if (wr_str_eq(name, wr_str(k->fields[i].name)))
			return (int)i;
	}
	return -1;
}

int wr_field_member(const struct wr_kind *k, struct wr_str name, struct wr_str *ret_member)
{
	const char *dot = memchr(name.p, '.', name.n);
	int f = dot ? wr_field_find(k, (struct wr_str){name.p, (size_t)(dot - name.p)}) : -1;

	if (f < 0 || k->fields[f].type != WR_JSON)
		return -1;
	*ret_member = (struct wr_str){dot + 1, (size_t)(name.p + name.n - dot) - 1};
	return ret_member->n ? f : -1;
}

const char *wr_field_near(const struct wr_kind *k, struct wr_str name)
{
	const char *best = NULL;
	unsigned min = 4;

	for (unsigned i = 0; i < k->n; i++) {
		unsigned d = wr_distance(name, wr_str(k->fields[i].name), min);

		if (d < min) {
			min = d;
			best = k->fields[i].name;
		}
	}
	return best;
}

int wr_pick_parse(
	const struct wr_kind *k, struct wr_str list, struct wr_pick *ret, struct wr_err *e)
{
	struct wr_pick pick = {.n = 0};
	struct wr_str w;

	while (wr_next_word(&list, &w)) {
		int f;

		if (pick.n + 2 > WR_N(pick.f))
			return wr_fail(e, -EINVAL, "too many fields");
		f = wr_field_find(k, w);
		if (f < 0) { /* "client": its address and port; "process": of both ends */
			char a[80], b[80];
			int fa, fb;

			snprintf(a, sizeof(a), "%.*s.ip", (int)wr_min(w.n, 64u), w.p);
			snprintf(b, sizeof(b), "%.*s.port", (int)wr_min(w.n, 64u), w.p);
			fa = wr_field_find(k, wr_str(a));
			fb = wr_field_find(k, wr_str(b));
			if (fa < 0) {
				snprintf(a, sizeof(a), "%s.%.*s", k->end_a, (int)wr_min(w.n, 64u),
					w.p);
				snprintf(b, sizeof(b), "%s.%.*s", k->end_b, (int)wr_min(w.n, 64u),
					w.p);
				fa = wr_field_find(k, wr_str(a));
				fb = wr_field_find(k, wr_str(b));
			}
			if (fa < 0 || fb < 0) {
				const char *near = wr_field_near(k, w);

				return wr_fail(e, -EINVAL, "a %s record has no field '%.*s'%s%s%s",
					k->name, (int)w.n, w.p, near ? "; did you mean '" : "",
					near ? near : "", near ? "'?" : "");
			}
			pick.f[pick.n++] = (uint8_t)fa;
			pick.f[pick.n++] = (uint8_t)fb;
			continue;
		}
		pick.f[pick.n++] = (uint8_t)f;
	}
	if (!pick.n)
		return wr_fail(e, -EINVAL, "the list of fields is empty");
	*ret = pick;
	return 0;
}
