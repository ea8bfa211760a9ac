// SPDX-License-Identifier: Apache-2.0
#include "explain.h"
#include "../ctl/config.h"
#include "../ctl/ctl.h"
#include "../event/event.h"
#include "../store/store.h"
#include "cmd.h"

#define SECOND 1000000000ull
#define SHOWN 8 /* records of a kind */

struct search {
	const char *id;
	size_t n;
	unsigned found; /* different alerts whose id begins so */
	char full[24];
	struct wr_buf packed; /* the last record of it */
	unsigned told;
};

static bool on_alert(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_alert *a = (const void *)e;
	struct search *s = ctx;

	if (a->id.n < s->n || memcmp(a->id.p, s->id, s->n) != 0)
		return true;
	if (!wr_str_eq(a->id, wr_str(s->full))) {
		s->found++;
		wr_copy(s->full, sizeof(s->full), a->id);
		s->told = 0;
	}
	s->told++;
	s->packed.n = 0;
	wr_pack(&s->packed, e);
	return true;
}

static void line(const char *name, struct wr_str v)
{
	if (v.n)
		printf("  %-11s %.*s\n", name, (int)v.n, v.p);
}

struct related {
	const struct wr_ev_alert *a;
	struct wr_ip source;
	bool by_source, by_target;
	struct wr_pick pick;
	uint64_t n;
};

/* "10.0.0.1:80", "[::1]:80", "10.0.0.1"; what is behind a blank says more than where. */
static bool names(struct wr_str target, const struct wr_ip *a, uint64_t port)
{
	const char *blank = target.n ? memchr(target.p, ' ', target.n) : NULL;
	char ip[WR_IP_TEXT], full[WR_IP_TEXT + 8];
	int n = (int)wr_ip_text(a, ip);

	target.n = blank ? (size_t)(blank - target.p) : target.n;
	snprintf(full, sizeof(full), wr_ip_is4(a) ? "%.*s:%" PRIu64 : "[%.*s]:%" PRIu64, n, ip,
		port);
	return wr_str_eq(target, wr_str(full)) || wr_str_eq(target, (struct wr_str){ip, (size_t)n});
}

/* Of the source or, without one, to the target; who did it may be the one that was asked. */
static bool belongs(const struct related *r, const struct wr_event *e)
{
	const struct wr_ip *end[2];
	uint64_t port[2];

#define ENDS(kind_)                                                                                \
	do {                                                                                       \
		const struct wr_ev_##kind_ *k = (const void *)e;                                   \
                                                                                                   \
		end[0] = &k->client_ip;                                                            \
		end[1] = &k->server_ip;                                                            \
		port[0] = k->client_port;                                                          \
		port[1] = k->server_port;                                                          \
	} while (0)
	if (e->kind == WR_KIND_conn)
		ENDS(conn);
	else if (e->kind == WR_KIND_request)
		ENDS(request);
	else if (e->kind == WR_KIND_match)
		ENDS(match);
	else
		ENDS(drop);
#undef ENDS
	for (unsigned i = 0; i < (r->by_source && r->by_target ? 2u : 1u); i++) {
		if ((!r->by_source || !memcmp(end[i], &r->source, sizeof(r->source))) &&
			(!r->by_target || names(r->a->target, end[!i], port[!i])))
			return true;
	}
	return false;
}

static bool on_record(void *ctx, const struct wr_event *e)
{
	struct related *r = ctx;
	struct wr_buf b = WR_BUF(WR_MAX_LINE);

	if (!belongs(r, e) || ++r->n > SHOWN)
		return true;
	wr_json(&b, e, &r->pick);
	printf("  %.*s", (int)b.n, b.p);
	wr_buf_free(&b);
	return true;
}

static void records(struct wr_history *h, const struct wr_ev_alert *a)
{
	static const enum wr_kind_id kinds[] = {
		WR_KIND_match, WR_KIND_conn, WR_KIND_request, WR_KIND_drop};
	static const char *const fields[] = {"time,sid,message,client,server,sender,offset",
		"time,transport,client,server,bytes_to_server,bytes_to_client,close_reason",
		"time,protocol,client,server,operation,resource,status,duration_us",
		"time,reason,client,server,count,interface"};
	struct related r = {.a = a};
	uint64_t all[2] = {UINT64_MAX, UINT64_MAX};

	r.by_source = a->source.n && !wr_ip_parse(a->source, &r.source, NULL);
	r.by_target = a->target.n && (memchr(a->target.p, '.', a->target.n) || *a->target.p == '[');
	if (!r.by_source && !r.by_target)
		return;
	for (unsigned i = 0; i < WR_N(kinds); i++) {
		struct wr_range range = {
			.kind = kinds[i], .from = a->first - SECOND, .to = a->last + SECOND};

		if (!wr_store_keeps(kinds[i]) ||
			(kinds[i] == WR_KIND_match && !wr_str_eq(a->detector, WR_STR("signature"))))
			continue;
		r.n = 0;
		wr_pick_parse(&wr_kinds[kinds[i]], wr_str(fields[i]), &r.pick, NULL);
		printf("%s records behind it:\n", wr_kinds[kinds[i]].name);
		if (wr_history_read(h, &range, all, on_record, &r) < 0)
			printf("  cannot be read\n");
		else if (!r.n)
			printf("  none\n");
		else if (r.n > SHOWN)
			printf("  ... and %" PRIu64 " more\n", r.n - SHOWN);
	}
}

static void limits(const char *socket, struct wr_str detector)
{
	struct wr_buf text = WR_BUF(1 << 20);
	struct wr_err e = {.text = ""};
	struct wr_config c;
	bool agent = !wr_client_ask(socket, "get config\n", &text, &e) &&
		     !wr_config_parse("the agent", text.p, text.n, &c, &e);
	char begin[64];

	if (!agent)
		wr_config_defaults(&c);
	snprintf(begin, sizeof(begin), "detect.%.*s_", (int)wr_min(detector.n, (size_t)40),
		detector.p);
	printf("limits (%s):\n",
		agent ? "of the running agent" : "as they are without a configuration");
	for (unsigned i = 0; i < wr_config_opts.n; i++) {
		const struct wr_opt *o = &wr_config_opts.v[i];
		struct wr_buf v = WR_BUF(1024);

		if (strncmp(o->name, begin, strlen(begin)) != 0)
			continue;
		wr_opt_show(o, &c, &v);
		printf("  %s: %.*s  # %s\n", o->name, (int)v.n, v.p, o->help);
		wr_buf_free(&v);
	}
	wr_config_free(&c);
	wr_buf_free(&text);
}

int wr_explain(const char *store, const char *socket, const char *id)
{
	struct search s = {.id = id, .n = strlen(id), .packed = WR_BUF(WR_EVENT_MAX * 4)};
	struct wr_range range = {.kind = WR_KIND_alert, .from = 0, .to = INT64_MAX};
	uint64_t all[2] = {UINT64_MAX, UINT64_MAX};
	_Alignas(8) uint8_t ev[WR_EVENT_MAX];
	const struct wr_ev_alert *a = (const void *)ev;
	struct wr_history *h = NULL;
	struct wr_err e = {.text = ""};
	struct wr_buf first = WR_BUF(64), last = WR_BUF(64);
	int rc = wr_history_open(store, &h, &e);

	if (rc)
		return wr_die("alerts", WR_EXIT_LACKS, "%s", e.text);
	if (wr_history_read(h, &range, all, on_alert, &s) < 0) {
		rc = wr_die("alerts", WR_EXIT_LACKS, "the alerts of %s cannot be read", store);
		goto out;
	}
	if (s.found != 1 || wr_unpack((struct wr_bytes){(const uint8_t *)s.packed.p, s.packed.n},
				    ev, sizeof(ev)) <= 0) {
		rc = wr_die("alerts", WR_EXIT_USAGE,
			s.found ? "%u alerts have an id that begins with '%s'"
				: "history has %u alerts with the id '%s'; `weir alerts --since 7d` lists them",
			s.found, id);
		goto out;
	}
	wr_text(&first, &a->ev, WR_I_alert_first);
	wr_text(&last, &a->ev, WR_I_alert_last);
	printf("%.*s: %.*s, %.*s, %.0f %% sure\n", (int)a->id.n, a->id.p, (int)a->detector.n,
		a->detector.p, (int)a->severity.n, a->severity.p, a->confidence * 100);
	line("what", a->summary);
	line("source", a->source);
	line("target", a->target);
	printf("  %-11s %.*s to %.*s, %" PRIu64 " times; told %u times\n", "when", (int)first.n,
		first.p, (int)last.n, last.p, a->count, s.told);
	line("technique", a->attack_id);
	line("process", a->owner_process);
	line("above it", a->parents);
	line("numbers", a->evidence);
	line("what to do", a->advice);
	line("that hits", a->impact);
	line("done", a->action);
	limits(socket, a->detector);
	records(h, a);
out:
	wr_history_close(h);
	wr_buf_free(&s.packed);
	wr_buf_free(&first);
	wr_buf_free(&last);
	return rc;
}
