// SPDX-License-Identifier: Apache-2.0
#include "agent.h"
#include "../../actors/guard/guard.h"
#include "../api/api.h"
#include "../base/log.h"
#include "../detect/detect.h"
#include "../own/own.h"
#include "../sign/sign.h"
#include "../agg/expose.h"
#include "../enrich/geo.h"
#include "../flow/owner.h"
#include "../store/store.h"
#include "../sys/priv.h"
#include "evidence.h"
#include "memory.h"
#include "respond.h"
#include "trail.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/epoll.h>

struct agent {
	struct wr_config *cfg;
	const char *path;
	struct wr_pipe *pipe;
	struct wr_server *server;
	struct wr_loop *loop;
	struct wr_store *store; /* NULL: no history */
	struct wr_api *api; /* NULL: no HTTP */
	struct wr_detect *detect; /* NULL: no detectors */
	struct wr_sign *sign; /* signatures; of none at first */
	struct wr_memory *memory; /* NULL: it forgets what it learned */
	struct wr_guard *guard;
	struct wr_expose *expose; /* NULL: nobody can scrape */
	struct wr_trail *trail; /* NULL: none is kept */
	struct wr_routes *unmasked_routes; /* NULL: none */
	struct wr_evidence *evidence; /* NULL: no packets are kept */
	struct wr_respond *respond; /* NULL: alerts are only told */
	uint64_t told; /* when the detectors and the guard were asked last */
	char host[64];
	bool stop;
};

struct rows {
	const char *host;
	wr_sink_fn fn;
	void *ctx;
};

int wr_sensor_mask(struct wr_str list, uint32_t *ret, struct wr_err *e)
{
	uint32_t mask = 0;
	struct wr_str w;
	unsigned k;

	while (wr_next_word(&list, &w)) {
		for (k = 0; k < wr_n_sensors; k++) {
			if (wr_str_eq(w, wr_str(wr_sensors[k]->name)))
				break;
		}
		if (k == wr_n_sensors)
			return wr_fail(e, -EINVAL, "there is no sensor '%.*s'", (int)w.n, w.p);
		mask |= 1u << k;
	}
	*ret = mask;
	return 0;
}

/* A protocol as a row of the sensors: its parser, what came out of it, and how much of its bytes were read. */
static void parser(void *ctx, const struct wr_proto *p, const struct wr_proto_stats *s)
{
	const struct rows *o = ctx;
	struct wr_ev_sensor r;

	if (!s->sessions)
		return;
	WR_INIT(&r, sensor);
	WR_SET(&r, sensor, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&r, sensor, host, wr_str(o->host));
	WR_SET(&r, sensor, name, wr_str(p->name));
	WR_SET(&r, sensor, state, WR_STR("active"));
	WR_SET(&r, sensor, variant, WR_STR("parser"));
	WR_SET(&r, sensor, events, s->requests);
	WR_SET(&r, sensor, lost, s->lost + s->unread);
	WR_SET(&r, sensor, completeness,
		s->bytes + s->lost
			? 1 - (double)(s->lost + s->unread) / (double)(s->bytes + s->lost)
			: 1);
	WR_SET(&r, sensor, help, wr_str(p->help));
	o->fn(o->ctx, &r.ev);
}

void wr_agent_sensors(struct wr_pipe *p, const char *host, wr_sink_fn fn, void *ctx)
{
	struct wr_kern *k = wr_pipe_kern(p);
	struct rows rows = {host, fn, ctx};
	static const char *const states[] = {"unavailable", "fallback", "active", "off"};
	struct wr_sensor_info info[16];
	uint64_t kc[WR_KC_N];
	unsigned n = wr_kern_info(k, info, WR_N(info));

	wr_kern_counters(k, kc);
	for (unsigned i = 0; i < n; i++) {
		const struct wr_sensor_info *s = &info[i];
		struct wr_ev_sensor r;
		uint64_t events = 0, lost = 0;

		WR_INIT(&r, sensor);
		WR_SET(&r, sensor, time, wr_now() + (uint64_t)wr_utc_offset());
		WR_SET(&r, sensor, host, wr_str(host));
		WR_SET(&r, sensor, name, wr_str(s->sensor->name));
		WR_SET(&r, sensor, state, wr_str(states[s->state]));
		if (s->variant)
			WR_SET(&r, sensor, variant, wr_str(s->variant));
		if (s->needs[0])
			WR_SET(&r, sensor, needs, wr_str(s->needs));
		if (s->runs)
			WR_SET(&r, sensor, cost_ns, (double)s->run_ns / (double)s->runs);
		if (!strcmp(s->sensor->name, "tcp")) {
			events = kc[WR_KC_STATE_IN];
			lost = kc[WR_KC_STATE_LOST];
		} else if (!strcmp(s->sensor->name, "tap")) {
			events = kc[WR_KC_DATA_IN] + kc[WR_KC_FLOW_PACKETS] + kc[WR_KC_FLOW_FULL];
			lost = kc[WR_KC_DATA_LOST] + kc[WR_KC_FLOW_FULL];
		} else if (!strcmp(s->sensor->name, "drop")) {
			events = kc[WR_KC_DROPS];
			lost = kc[WR_KC_DROPS_FULL];
		} else if (!strcmp(s->sensor->name, "arp")) {
			events = kc[WR_KC_ARP];
			lost = kc[WR_KC_ARP_LOST];
		}
		WR_SET(&r, sensor, events, events);
		WR_SET(&r, sensor, lost, lost);
		if (s->state == WR_ACTIVE || s->state == WR_FALLBACK)
			WR_SET(&r, sensor, completeness,
				events ? 1 - (double)lost / (double)events : 1);
		WR_SET(&r, sensor, help,
			wr_str(s->state == WR_UNAVAILABLE ? s->sensor->without : s->sensor->help));
		fn(ctx, &r.ev);
	}
	if (wr_conns_sessions(wr_pipe_conns(p)))
		wr_sessions_each_proto(wr_conns_sessions(wr_pipe_conns(p)), parser, &rows);
}

static void publish(void *ctx, const struct wr_event *e)
{
	struct agent *a = ctx;

	wr_server_publish(a->server, e);
	wr_store_put(a->store, e);
	wr_trail_event(a->trail, e);
	if (a->expose)
		wr_expose_event(a->expose, e);
	if (a->detect && e->kind != WR_KIND_alert)
		wr_detect_event(a->detect, e);
}

static void on_packet(void *ctx, const struct wr_rec_packet *p, const uint8_t *data)
{
	struct agent *a = ctx;

	if (a->evidence)
		wr_evidence_packet(a->evidence, p, data);
}

static int capture(void *ctx, struct wr_str id, const struct wr_ip *ip, uint64_t ns, char *ret,
	size_t n, struct wr_err *e)
{
	struct agent *a = ctx;

	return wr_evidence_begin(a->evidence, id, ip, ns, ret, n, e);
}

/* Packets are kept beside the history. */
static void open_evidence(struct agent *a)
{
	char folder[600];

	if (!a->cfg->store[0])
		return;
	snprintf(folder, sizeof(folder), "%s/evidence", a->cfg->store);
	a->evidence = wr_evidence_new(a->pipe, folder);
	if (a->evidence && a->respond)
		wr_respond_capture(a->respond, capture, a);
}

/* The last packets of who did it; where that is not known, or all of it is this host: of the source. */
static void keep_packets(struct agent *a, struct wr_ev_alert *r, char *path, size_t n)
{
	struct wr_err e = {.text = ""};
	struct wr_ip ip;

	if (!a->evidence || !a->cfg->packets ||
		(!wr_respond_other(r, &ip) && wr_ip_parse(r->source, &ip, NULL)))
		return;
	if (!wr_evidence_recent(a->evidence, r->id, &ip, path, n, &e))
		WR_SET(r, alert, packets, wr_str(path));
	else
		wr_log(capture, WR_DEBUG, "%.*s: %s", (int)r->id.n, r->id.p, e.text);
}

/* An alert goes out with what was done about it. */
static void on_alert(void *ctx, const struct wr_event *e)
{
	struct agent *a = ctx;
	struct wr_ev_alert r = *(const struct wr_ev_alert *)(const void *)e;
	const char *did = a->respond ? wr_respond_alert(a->respond, &r) : "";
	struct wr_buf parents = WR_BUF(2048);
	char path[640];

	keep_packets(a, &r, path, sizeof(path));
	wr_owner_parents(&r, &parents);
	if (did[0])
		WR_SET(&r, alert, action, wr_str(did));
	wr_trail_alert(a->trail, &r);
	publish(a, &r.ev);
	wr_buf_free(&parents);
}

static void metric(struct agent *a, const char *name, uint64_t v, wr_sink_fn fn, void *ctx)
{
	struct wr_ev_metric m;

	WR_INIT(&m, metric);
	WR_SET(&m, metric, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&m, metric, host, wr_str(a->host));
	WR_SET(&m, metric, name, wr_str(name));
	WR_SET(&m, metric, value, (double)v);
	fn(ctx, &m.ev);
}

static void report_store(struct agent *a, wr_sink_fn fn, void *ctx)
{
	struct wr_store_stats s;

	if (!a->store)
		return;
	wr_store_stats(a->store, &s);
	metric(a, "store.in", s.in, fn, ctx);
	metric(a, "store.kept", s.stored, fn, ctx);
	metric(a, "store.dropped", s.dropped, fn, ctx);
	metric(a, "store.blocks", s.blocks, fn, ctx);
	metric(a, "store.bytes", s.bytes, fn, ctx);
	metric(a, "store.failed_writes", s.failed, fn, ctx);
	metric(a, "store.traffic", s.traffic, fn, ctx);
}

static void report_trail(struct agent *a, wr_sink_fn fn, void *ctx)
{
	uint64_t entries, lost;

	if (!a->trail)
		return;
	wr_trail_stats(a->trail, &entries, &lost);
	metric(a, "audit.entries", entries, fn, ctx);
	metric(a, "audit.lost", lost, fn, ctx);
}

static void report_signatures(const struct agent *a, wr_sink_fn fn, void *ctx)
{
	struct wr_sign_stats s;
	struct wr_ev_sensor r;
	char help[128];

	wr_sign_stats(a->sign, &s);
	if (!s.rules && !s.refused)
		return;
	WR_INIT(&r, sensor);
	WR_SET(&r, sensor, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&r, sensor, host, wr_str(a->host));
	WR_SET(&r, sensor, name, WR_STR("signatures"));
	WR_SET(&r, sensor, state, WR_STR("active"));
	WR_SET(&r, sensor, variant, WR_STR("vectorscan"));
	WR_SET(&r, sensor, events, s.matches);
	WR_SET(&r, sensor, lost, s.unseen);
	WR_SET(&r, sensor, completeness,
		s.bytes + s.unseen ? (double)s.bytes / (double)(s.bytes + s.unseen) : 1);
	snprintf(help, sizeof(help), "%" PRIu64 " rules in force, %" PRIu64 " that cannot be used",
		s.rules, s.refused);
	WR_SET(&r, sensor, help, wr_str(help));
	fn(ctx, &r.ev);
}

static void report_sign(struct agent *a, wr_sink_fn fn, void *ctx)
{
	struct wr_sign_stats s;

	wr_sign_stats(a->sign, &s);
	metric(a, "signatures.rules", s.rules, fn, ctx);
	metric(a, "signatures.refused", s.refused, fn, ctx);
	metric(a, "signatures.bytes", s.bytes, fn, ctx);
	metric(a, "signatures.unseen", s.unseen, fn, ctx);
	metric(a, "signatures.evaluated", s.evaluated, fn, ctx);
	metric(a, "signatures.given_up", s.given_up, fn, ctx);
	metric(a, "signatures.matches", s.matches, fn, ctx);
}

static void snapshot(void *ctx, struct wr_str name, wr_sink_fn fn, void *fn_ctx)
{
	struct agent *a = ctx;

	if (wr_str_eq(name, WR_STR("conn"))) {
		wr_conns_each(wr_pipe_conns(a->pipe), fn, fn_ctx);
	} else if (wr_str_eq(name, WR_STR("sensors")) || wr_str_eq(name, WR_STR("sensor"))) {
		wr_agent_sensors(a->pipe, a->host, fn, fn_ctx);
		report_signatures(a, fn, fn_ctx);
	} else if (wr_str_eq(name, WR_STR("counters")) || wr_str_eq(name, WR_STR("metric"))) {
		wr_pipe_report(a->pipe, fn, fn_ctx);
		report_store(a, fn, fn_ctx);
		report_trail(a, fn, fn_ctx);
		report_sign(a, fn, fn_ctx);
		wr_guard_metrics(a->guard, fn, fn_ctx);
	} else if (wr_str_eq(name, WR_STR("rules")) || wr_str_eq(name, WR_STR("rule"))) {
		wr_guard_rules(a->guard, fn, fn_ctx);
	}
}

static const char *missing(void *ctx, enum wr_kind_id kind)
{
	const struct agent *a = ctx;

	if (kind == WR_KIND_alert && !a->detect)
		return "the agent runs no detectors (alerts.detect)";
	return kind == WR_KIND_request ? wr_pipe_no_requests(a->pipe) : NULL;
}

static int text(void *ctx, struct wr_str name, struct wr_buf *ret)
{
	struct agent *a = ctx;

	if (wr_str_eq(name, WR_STR("config"))) {
		wr_config_show(a->cfg, ret);
		return 0;
	}
	if (wr_str_eq(name, WR_STR("log"))) {
		for (unsigned m = 0; m < WR_MODULES; m++)
			wr_buf_printf(ret, "%-10s %s\n", wr_module_name(m),
				wr_level_name(wr_log_levels[m]));
		return 0;
	}
	if (wr_str_eq(name, WR_STR("metrics"))) {
		if (a->expose)
			wr_expose_text(a->expose, ret);
		return 0;
	}
	if (wr_str_eq(name, WR_STR("audit"))) {
		wr_trail_head(a->trail, ret);
		return 0;
	}
	return -ENOENT;
}

static void apply_live(const struct wr_config *c)
{
	wr_log_set(WR_STR("all"), wr_str(c->log));
}

/* The limits of the detectors and the signatures: all of them, or on an error none. */
static int set_limits(struct agent *a, const struct wr_limits *l, struct wr_err *e)
{
	struct wr_sign *fresh = wr_sign_new();
	struct wr_sign_stats s;
	int rc;

	if (!fresh)
		return wr_fail(e, -ENOMEM, "no memory");
	rc = wr_sign_load(fresh, l->signatures ? l->signatures : "", NULL, NULL, e);
	if (!rc && a->detect)
		rc = wr_detect_limit(a->detect, l, e);
	if (rc) {
		wr_sign_free(fresh);
		return rc;
	}
	wr_sign_take(a->sign, fresh);
	wr_sign_stats(a->sign, &s);
	if (s.refused)
		wr_log(config, WR_WARN,
			"%" PRIu64 " of %" PRIu64
			" signatures cannot be used; weir alerts --check-rules FILE tells why",
			s.refused, s.rules + s.refused);
	if (s.rules && !a->cfg->requests)
		wr_log(config, WR_WARN, "signatures find nothing: requests.read is off");
	return 0;
}

/* What can change while running does; the rest is told. A wrong file changes nothing. */
static int reload(struct agent *a, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_geo *geo = NULL;
	struct wr_config fresh;
	unsigned n;
	int rc;

	if (!a->path)
		return wr_fail(e, -ENOENT, "the agent was started without a configuration file");
	rc = wr_config_load(a->path, &fresh, e);
	if (rc)
		return rc;
	rc = wr_geo_open(fresh.geo, &geo, e);
	if (!rc)
		rc = set_limits(a, &fresh.limits, e);
	if (rc) {
		wr_geo_free(geo);
		wr_config_free(&fresh);
		return rc;
	}
	wr_ends_geo(wr_pipe_ends(a->pipe), geo);
	n = wr_config_diff(a->cfg, &fresh, ret);
	if (!n)
		wr_buf_lit(ret, "nothing changed\n");
	else
		wr_buf_lit(ret,
			"log.level, enrich.geo and detect.* are in force; the others take effect at the next start\n");
	apply_live(&fresh);
	wr_config_free(a->cfg);
	*a->cfg = fresh;
	return 0;
}

#define CAPTURE_MAX (300 * 1000000000ull) /* ns */

/* "TIME EXPRESSION": the id of its file; "stop ID". */
static int do_capture(struct agent *a, struct wr_str what, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_str word = wr_next_token(&what);
	char id[WR_EVIDENCE_ID + 1], expr[WR_MAX_EXPR + 1];
	uint64_t ns;
	int rc;

	if (!a->evidence)
		return wr_fail(e, -ENOENT,
			"packets are kept beside the history (store.path), which is off");
	if (wr_str_eq(word, WR_STR("stop")))
		return wr_evidence_stop(a->evidence, wr_next_token(&what), e);
	if (wr_parse_duration(word, &ns) || ns < 1000000 || ns > CAPTURE_MAX)
		return wr_fail(e, -EINVAL,
			"a capture takes a time of 5 minutes at most, not '%.*s'", (int)word.n,
			word.p);
	wr_copy(expr, sizeof(expr), what);
	rc = wr_evidence_capture(a->evidence, expr, ns, id, e);
	if (!rc)
		wr_buf_str(ret, wr_str(id));
	return rc;
}

static int do_set(struct agent *a, struct wr_str what, struct wr_buf *ret, struct wr_err *e)
{
	size_t i = 0, k;

	if (wr_str_eq(what, WR_STR("stop"))) {
		a->stop = true;
		return 0;
	}
	if (wr_str_eq(what, WR_STR("reload")))
		return reload(a, ret, e);
	if (what.n > 6 && !memcmp(what.p, "guard ", 6))
		return wr_guard_do(a->guard, (struct wr_str){what.p + 6, what.n - 6}, ret, e);
	if (what.n > 8 && !memcmp(what.p, "capture ", 8))
		return do_capture(a, (struct wr_str){what.p + 8, what.n - 8}, ret, e);
	if (what.n > 4 && !memcmp(what.p, "log ", 4)) {
		struct wr_str rest = {what.p + 4, what.n - 4};
		int rc;

		while (i < rest.n && rest.p[i] != ' ')
			i++;
		k = i < rest.n ? i + 1 : i;
		rc = wr_log_set(
			(struct wr_str){rest.p, i}, (struct wr_str){rest.p + k, rest.n - k});
		if (rc)
			return wr_fail(e, rc,
				rc == -ENOENT
					? "there is no module '%.*s'"
					: "a level is error, warn, info or debug (module '%.*s')",
				(int)i, rest.p);
		return 0;
	}
	return wr_fail(e, -EINVAL, "cannot set that");
}

static int set(void *ctx, const struct wr_peer *who, struct wr_str what, struct wr_buf *ret,
	struct wr_err *e)
{
	struct agent *a = ctx;
	int rc = do_set(a, what, ret, e);

	wr_trail_action(a->trail, who, what, rc ? e->text : NULL);
	return rc;
}

static void nothing(void *ctx, uint32_t events)
{
	(void)ctx;
	(void)events;
}

static int pipe_config(const struct agent *a, struct wr_pipe_config *pc, struct wr_err *e)
{
	const struct wr_config *c = a->cfg;
	const char *deny = getenv("WR_DENY");
	uint32_t more = 0;
	int rc;

	*pc = (struct wr_pipe_config){.host = a->host,
		.udp_idle = c->udp_idle,
		.max_conns = (uint32_t)c->max_conns,
		.requests = c->requests,
		.unmasked = c->unmasked,
		.tls_leave = c->tls_leave,
		.kern = {.state_ring = (uint32_t)c->state_ring,
			.data_ring = (uint32_t)c->data_ring,
			.flows = (uint32_t)c->max_flows,
			.tls = c->requests && c->tls,
			.recent = c->store[0] && c->alerts ? c->packets : 0,
			.interfaces = c->interfaces}};
	rc = wr_sensor_mask(wr_str(c->only), &pc->kern.sensors, e);
	if (!rc)
		rc = wr_feature_parse(wr_str(c->deny), &pc->kern.deny, e);
	if (!rc && deny)
		rc = wr_feature_parse(wr_str(deny), &more, e);
	pc->kern.deny |= more;
	return rc;
}

/* History is a help, not the work: without it the agent observes all the same. */
static void open_store(struct agent *a)
{
	const struct wr_config *c = a->cfg;
	struct wr_store_config sc = {
		c->store, c->store_max, c->store_keep, c->store_keep_sums, a->host};
	struct wr_err e = {.text = ""};

	if (c->store[0] && wr_store_open(&sc, &a->store, &e))
		wr_log(store, WR_WARN, "no history is kept: %s", e.text);
}

static void open_api(struct agent *a)
{
	const struct wr_config *c = a->cfg;
	struct wr_api_config ac = {.listen = c->listen,
		.certificate = c->certificate,
		.key = c->key,
		.names = c->names,
		.path = c->api,
		.tokens = c->tokens,
		.agent = c->socket,
		.store = a->store ? c->store : "",
		.host = a->host};
	struct wr_err e = {.text = ""};

	if ((c->listen[0] || c->api[0]) && wr_api_open(&ac, &a->api, &e))
		wr_log(api, WR_WARN, "no page and no HTTP: %s", e.text);
}

static int open_guard(struct agent *a, struct wr_err *e)
{
	const struct wr_config *c = a->cfg;
	struct wr_guard_config gc = {
		.host = a->host, .interfaces = c->guard_interfaces, .ended = publish, .ctx = a};
	int rc;

	if (wr_guard_mode_of(c->guard_mode, &gc.mode))
		return wr_fail(e, -EINVAL, "guard.mode is auto, native, generic or tc, not '%s'",
			c->guard_mode);
	gc.drop_unparsed = !strcmp(c->guard_unparsed, "drop");
	if (!gc.drop_unparsed && strcmp(c->guard_unparsed, "pass") != 0)
		return wr_fail(
			e, -EINVAL, "guard.unparsed is pass or drop, not '%s'", c->guard_unparsed);
	rc = wr_guard_new(&gc, &a->guard, e);
	if (!rc && c->respond[0])
		rc = wr_respond_new(c->respond, c->dry_run, a->guard, &a->respond, e);
	if (rc) {
		wr_guard_free(a->guard);
		a->guard = NULL;
	}
	return rc;
}

static void turn(struct agent *a)
{
	uint64_t now = wr_now();

	wr_store_turn(a->store, now);
	if (now - a->told < 1000000000u)
		return;
	a->told = now;
	wr_guard_turn(a->guard);
	wr_trail_turn(a->trail, now);
	wr_memory_turn(a->memory, now);
	wr_evidence_turn(a->evidence, now);
	if (a->detect)
		wr_detect_tell(a->detect, now + (uint64_t)wr_utc_offset(), false);
}

int wr_agent_run(struct wr_config *c, const char *path,
	void (*ready)(struct wr_pipe *p, const char *url), struct wr_err *e)
{
	struct agent a = {.cfg = c, .path = path};
	struct wr_server_hooks h = {&a, snapshot, missing, text, set};
	struct wr_pipe_config pc;
	struct wr_err low = {.text = ""};
	struct wr_geo *geo = NULL;
	int rc, sig, got;

	if (c->host[0])
		wr_copy(a.host, sizeof(a.host), wr_str(c->host));
	else if (gethostname(a.host, sizeof(a.host) - 1))
		wr_copy(a.host, sizeof(a.host), WR_STR("localhost"));
	/* traffic goes first; what the rings cannot hold meanwhile is counted */
	if (setpriority(PRIO_PROCESS, 0, (int)c->nice))
		wr_log(agent, WR_WARN, "cannot set the priority to %d: %s", (int)c->nice,
			strerror(errno));
	rc = pipe_config(&a, &pc, e);
	if (rc)
		return rc;
	rc = open_guard(&a, e);
	if (rc)
		return rc;
	pc.sink = publish;
	pc.packet = on_packet;
	pc.ctx = &a;
	if (c->protocols[0]) {
		rc = wr_own_load(c->protocols, e);
		if (rc)
			return rc;
	}
	rc = wr_routes_new(c->unmasked_routes, &a.unmasked_routes, e);
	if (rc) {
		struct wr_err why = *e;

		wr_own_free();
		return wr_fail(e, rc, "requests.unmasked_routes: %s", why.text);
	}
	pc.unmasked_routes = a.unmasked_routes;
	a.sign = pc.sign = wr_sign_new();
	a.loop = wr_loop_new();
	sig = wr_loop_signals();
	if (!a.sign || !a.loop || sig < 0)
		return wr_fail(e, -ENOMEM, "cannot make the event loop");
	rc = wr_server_open(c->socket, a.loop, &h, &a.server, e);
	if (!rc)
		rc = wr_pipe_open(&pc, &a.pipe, e);
	if (rc)
		goto out;
	apply_live(c);
	if (wr_priv_drop(wr_kern_needs_admin(wr_pipe_kern(a.pipe)), &low))
		wr_log(agent, WR_WARN, "%s; the agent goes on with the rights that it has",
			low.text);
	if (wr_trail_open(c, &a.trail, &low)) /* a help, too, but one that is missed */
		wr_log(agent, WR_WARN, "no audit trail is kept: %s", low.text);
	open_evidence(&a);
	open_store(&a); /* its thread has no more rights than this one now has */
	if (c->alerts)
		a.detect = wr_detect_new(a.host, false, on_alert, &a);
	if (a.detect)
		wr_detect_room(a.detect, (unsigned)c->room);
	rc = set_limits(&a, &c->limits, e);
	if (!rc)
		rc = wr_geo_open(c->geo, &geo, e);
	if (rc)
		goto out;
	wr_ends_geo(wr_pipe_ends(a.pipe), geo);
	if (a.detect && wr_memory_open(c->store, a.detect, &a.memory, &low))
		wr_log(agent, WR_WARN, "what is usual is learned anew, and not kept: %s", low.text);
	wr_loop_add(a.loop, sig, EPOLLIN, nothing, NULL);
	wr_loop_add(a.loop, wr_pipe_fd(a.pipe), EPOLLIN, nothing, NULL);
	open_api(&a);
	if (a.api)
		a.expose = wr_expose_new();
	ready(a.pipe, wr_api_url(a.api));
	while (!a.stop) {
		struct wr_server_stats st;

		/* records are made only while somebody listens */
		wr_server_stats(a.server, &st);
		wr_conns_sink(wr_pipe_conns(a.pipe),
			st.clients || a.store || a.detect || a.expose ? publish : NULL, &a);
		wr_loop_turn(a.loop, wr_pipe_step(a.pipe));
		turn(&a);
		got = wr_loop_signal(sig);
		if (got == SIGHUP) {
			struct wr_buf t = WR_BUF(65536);
			struct wr_err why = {.text = ""};

			if (reload(&a, &t, &why))
				wr_log(config, WR_ERROR, "%s; the running configuration stays",
					why.text);
			wr_buf_free(&t);
		} else if (got) {
			a.stop = true;
		}
	}
	wr_pipe_flush(a.pipe);
	if (a.detect)
		wr_detect_tell(a.detect, wr_now() + (uint64_t)wr_utc_offset(), true);
out:
	wr_server_close(a.server); /* ends what the HTTP threads still follow */
	wr_api_close(a.api);
	wr_store_close(a.store);
	wr_trail_close(a.trail);
	a.trail = NULL;
	wr_expose_free(a.expose);
	a.expose = NULL;
	wr_memory_close(a.memory);
	wr_detect_free(a.detect);
	wr_respond_free(a.respond);
	wr_evidence_free(a.evidence);
	wr_guard_free(a.guard);
	wr_pipe_close(a.pipe);
	wr_sign_free(a.sign); /* behind the connections that it keeps something of */
	wr_routes_free(a.unmasked_routes);
	wr_own_free();
	wr_loop_free(a.loop);
	close(sig);
	return rc;
}
