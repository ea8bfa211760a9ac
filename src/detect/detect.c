// SPDX-License-Identifier: Apache-2.0
#include "detect_priv.h"

#define MAX_INCIDENTS 1024
#define AGAIN 10000000000ull /* ns between two records of an incident that grows */
#define KEPT_QUIET (30 * 86400000000000ull)
#define TURN 1000000000ull
#define OVER 600000000000ull /* quiet so long: what comes then is another incident */

#define WR_DETECTOR(n) extern const struct wr_detector wr_detector_##n;
#include "detectors.def"
#undef WR_DETECTOR
#define WR_DETECTOR(n) &wr_detector_##n,
static const struct wr_detector *const detectors[WR_DETECTORS] = {
#include "detectors.def"
};
#undef WR_DETECTOR

const struct wr_detector *wr_detector_row(unsigned i)
{
	return i < WR_N(detectors) ? detectors[i] : NULL;
}

const char *wr_detector_name(struct wr_str name)
{
	for (unsigned i = 0; i < WR_N(detectors); i++) {
		if (wr_str_eq(name, wr_str(detectors[i]->name)))
			return detectors[i]->name;
	}
	return NULL;
}

const struct wr_limits wr_limits_default = {
#define WR_LIMIT(name, def, least, help) .name = def,
#define WR_LIMIT_TEXT(name, value, help)
#include "limits.def"
#undef WR_LIMIT
#undef WR_LIMIT_TEXT
};

/* What was told of a connection last. */
struct told {
	struct wr_moved sum;
	bool before;
};
#define TOLD 65536 /* connections whose scans, ... were told */
#define LEAST 64 /* places of a table */

struct wr_detect *wr_detect_new(const char *host, bool capture, wr_sink_fn sink, void *ctx)
{
	struct wr_detect *d = wr_alloc(sizeof(*d));
	struct wr_err e = {.text = ""};

	if (!d)
		return NULL;
	*d = (struct wr_detect){.host = host, .capture = capture, .sink = sink, .ctx = ctx};
	d->seed = wr_seed;
	d->room = 100;
	d->incident = wr_alloc(MAX_INCIDENTS * sizeof(*d->incident));
	if (!d->incident || wr_detect_limit(d, &wr_limits_default, &e)) {
		wr_detect_free(d);
		return NULL;
	}
	return d;
}

void wr_detect_free(struct wr_detect *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < WR_N(detectors); i++) {
		wr_entries_free(&d->table[i]);
		wr_entries_free(&d->kept[i]);
		if (d->state[i])
			detectors[i]->unset(d->state[i]);
	}
	wr_entries_free(&d->told);
	free(d->incident);
	free(d);
}

int wr_detect_limit(struct wr_detect *d, const struct wr_limits *l, struct wr_err *e)
{
	void *fresh[WR_N(detectors)] = {NULL};
	int rc = 0;

	for (unsigned i = 0; i < WR_N(detectors) && !rc; i++) {
		if (detectors[i]->setup)
			rc = detectors[i]->setup(l, &fresh[i], e);
	}
	for (unsigned i = 0; i < WR_N(detectors); i++) {
		void *gone = rc ? fresh[i] : d->state[i];

		if (gone)
			detectors[i]->unset(gone);
		if (!rc)
			d->state[i] = fresh[i];
	}
	if (!rc)
		d->limits = *l;
	return rc;
}

static unsigned row_of(const struct wr_detect *d, const struct wr_detector *self)
{
	unsigned i = 0;

	if (detectors[d->at] == self)
		return d->at;
	while (i < WR_N(detectors) && detectors[i] != self)
		i++;
	return i;
}

const struct wr_limits *wr_detect_limits(const struct wr_detect *d)
{
	return &d->limits;
}

uint64_t wr_detect_began(const struct wr_detect *d)
{
	return d->began;
}

void *wr_detect_state(struct wr_detect *d, const struct wr_detector *self)
{
	return d->state[row_of(d, self)];
}

const struct wr_moved *wr_detect_moved(const struct wr_detect *d)
{
	return &d->moved;
}

uint64_t wr_detect_evicted(const struct wr_detect *d)
{
	uint64_t n = d->told.evicted;

	for (unsigned i = 0; i < WR_N(detectors); i++)
		n += d->table[i].evicted + d->kept[i].evicted;
	return n;
}

void wr_detect_room(struct wr_detect *d, unsigned percent)
{
	d->room = percent;
}

static size_t places(const struct wr_detect *d, size_t usual)
{
	return wr_max(usual * d->room / 100, (size_t)LEAST);
}

void *wr_detect_entry(
	struct wr_detect *d, const struct wr_detector *self, uint64_t key, uint64_t now)
{
	const struct wr_entries_shape s = {
		self->entry, places(d, self->entries), self->quiet, false};
	unsigned i = row_of(d, self);

	return i < WR_N(detectors) ? wr_entries_get(&d->table[i], &s, key, now) : NULL;
}

struct wr_entries_shape wr_detect_kept_shape(
	const struct wr_detect *d, const struct wr_detector *self)
{
	return (struct wr_entries_shape){self->kept, places(d, self->kepts), KEPT_QUIET, true};
}

void *wr_detect_kept(
	struct wr_detect *d, const struct wr_detector *self, uint64_t key, uint64_t now)
{
	const struct wr_entries_shape s = wr_detect_kept_shape(d, self);
	unsigned i = row_of(d, self);

	return i < WR_N(detectors) ? wr_entries_get(&d->kept[i], &s, key, now) : NULL;
}

uint64_t wr_detect_key(const struct wr_detect *d, const void *p, size_t n, uint64_t salt)
{
	return wr_hash(p, n, salt ^ wr_seed ^ d->seed);
}

struct wr_entries *wr_detect_entries(struct wr_detect *d, const struct wr_detector *self)
{
	return &d->table[row_of(d, self)];
}

struct wr_incident *wr_incident(
	struct wr_detect *d, const struct wr_detector *self, const char *source, const char *target)
{
	struct wr_incident *i;

	for (unsigned k = 0; k < d->n; k++) {
		i = &d->incident[k];
		if (i->detector == self && !strcmp(i->source, source) && !strcmp(i->target, target))
			return i;
	}
	if (d->n == MAX_INCIDENTS) {
		d->refused++;
		return NULL;
	}
	i = &d->incident[d->n++];
	*i = (struct wr_incident){.detector = self, .severity = "medium", .confidence = 0.5};
	wr_copy(i->source, sizeof(i->source), wr_str(source));
	wr_copy(i->target, sizeof(i->target), wr_str(target));
	return i;
}

void wr_incident_is(struct wr_incident *i, uint64_t first, uint64_t last, uint64_t count,
	const char *severity, double confidence)
{
	i->first = first;
	i->last = last;
	i->count = count;
	i->severity = severity;
	i->confidence = confidence;
}

void wr_whose_is(struct wr_whose *w, const struct wr_event *e, bool server)
{
#define TAKE(r, end)                                                                               \
	do {                                                                                       \
		wr_copy(w->process, sizeof(w->process), (r)->end##_process);                       \
		wr_copy(w->user, sizeof(w->user), (r)->end##_user);                                \
		wr_copy(w->container, sizeof(w->container), (r)->end##_container);                 \
		wr_copy(w->service, sizeof(w->service), (r)->end##_service);                       \
		w->pid = (r)->end##_pid;                                                           \
		w->ip = server ? (r)->server_ip : (r)->client_ip;                                  \
		w->peer = server ? (r)->client_ip : (r)->server_ip;                                \
		w->server = server;                                                                \
	} while (0)
#define OF(kind_)                                                                                  \
	do {                                                                                       \
		const struct wr_ev_##kind_ *r = (const void *)e;                                   \
                                                                                                   \
		if (server && r->server_process.n)                                                 \
			TAKE(r, server);                                                           \
		else if (!server && r->client_process.n)                                           \
			TAKE(r, client);                                                           \
	} while (0)
	if (e->kind == WR_KIND_conn)
		OF(conn);
	else if (e->kind == WR_KIND_request)
		OF(request);
	else if (e->kind == WR_KIND_violation)
		OF(violation);
	else if (e->kind == WR_KIND_match)
		OF(match);
	else if (e->kind == WR_KIND_syns)
		OF(syns);
#undef OF
#undef TAKE
}

/* Is it who did it? Of two ends with one address who asked did. */
static bool is_source(const struct wr_incident *i)
{
	const struct wr_whose *w = &i->whose;
	char ip[WR_IP_TEXT], peer[WR_IP_TEXT];

	if ((w->service[0] && !strcmp(i->source, w->service)) || !strcmp(i->source, w->process))
		return true;
	ip[wr_ip_text(&w->ip, ip)] = 0;
	peer[wr_ip_text(&w->peer, peer)] = 0;
	return !strcmp(i->source, ip) && (strcmp(ip, peer) != 0 || !w->server);
}

void wr_incident_owner(struct wr_incident *i, const struct wr_event *e, bool server)
{
	wr_whose_is(&i->whose, e, server);
}

char *wr_detect_target(char *buf, const struct wr_ip *ip, uint16_t port)
{
	char t[WR_IP_TEXT];

	snprintf(buf, WR_TARGET_TEXT, wr_ip_is4(ip) ? "%.*s:%u" : "[%.*s]:%u",
		(int)wr_ip_text(ip, t), t, port);
	return buf;
}

void wr_detect_sent(char *source, char *target, const struct wr_ip *client,
	const struct wr_ip *server, uint16_t port, bool up)
{
	source[wr_ip_text(up ? client : server, source)] = 0;
	if (up)
		wr_detect_target(target, server, port);
	else
		target[wr_ip_text(client, target)] = 0;
}

static uint64_t owner_key(const struct wr_detect *d, struct wr_str service, const struct wr_ip *ip)
{
	if (service.n)
		return wr_detect_key(d, service.p, service.n, 0);
	return wr_ip_is_public(ip) ? 0 : wr_detect_key(d, ip, sizeof(*ip), 1);
}

static void look_at_ends(struct wr_detect *d, const struct wr_event *e, uint64_t at)
{
	const struct wr_ev_conn *c = (const void *)e;
	const struct wr_ev_request *q = (const void *)e;
	struct wr_pair *p = &d->pair;

	d->has_pair = true;
	if (e->kind == WR_KIND_conn && wr_ev_has(e, WR_I_conn_client_ip))
		*p = (struct wr_pair){&c->client_ip, &c->server_ip, (uint16_t)c->server_port,
			c->client_service, c->server_service, .at = at};
	else if (e->kind == WR_KIND_request && wr_ev_has(e, WR_I_request_client_ip))
		*p = (struct wr_pair){&q->client_ip, &q->server_ip, (uint16_t)q->server_port,
			q->client_service, q->server_service, .at = at};
	else
		d->has_pair = false;
	if (!d->has_pair)
		return;
	p->client_key = owner_key(d, p->client_service, p->client);
	p->server_key = owner_key(d, p->server_service, p->server);
}

const struct wr_pair *wr_detect_pair(const struct wr_detect *d)
{
	return d->has_pair ? &d->pair : NULL;
}

char *wr_pair_owner(char *buf, const struct wr_pair *p, bool server)
{
	struct wr_str service = server ? p->server_service : p->client_service;

	if (service.n)
		wr_copy(buf, WR_OWNER_TEXT, service);
	else
		buf[wr_ip_text(server ? p->server : p->client, buf)] = 0;
	return buf;
}

static bool attempt_of_conn(const struct wr_ev_conn *r, struct wr_attempt *a)
{
	bool tcp = wr_str_eq(r->transport, WR_STR("tcp"));

	if ((!tcp && !wr_str_eq(r->transport, WR_STR("udp"))) ||
		!wr_ev_has(&r->ev, WR_I_conn_client_ip))
		return false;
	*a = (struct wr_attempt){.from = &r->client_ip,
		.to = &r->server_ip,
		.port = (uint16_t)r->server_port,
		.at = r->first,
		.bytes = r->bytes_to_server + r->bytes_to_client,
		.tcp = tcp};
	/* browsers open connections that they close again without a word: that is no probe of a closed port */
	a->answered =
		tcp ? a->bytes || wr_str_eq(r->close_reason, WR_STR("fin")) : r->packets_to_client;
	return true;
}

#define EPHEMERAL 32768 /* where the ports begin from which this host asks (ip_local_port_range) */

/*
 * What asks a port: a SYN; or what no connection begins with, but a port that is closed answers by a reset
 * (RFC 9293 3.10.7.1): FIN, nothing, FIN with PSH and URG; ACK, but not to a port from which this host may have
 * asked: such come late, when a connection is over.
 */
static bool is_probe(const struct wr_ev_drop *r)
{
	if (wr_str_eq(r->tcp_flags, WR_STR("S")))
		return true;
	if (!wr_str_eq(r->reason, WR_STR("NO_SOCKET")))
		return false;
	if (wr_str_eq(r->tcp_flags, WR_STR("A")))
		return r->server_port < EPHEMERAL;
	return !r->tcp_flags.n || (!memchr(r->tcp_flags.p, 'S', r->tcp_flags.n) &&
					  !memchr(r->tcp_flags.p, 'A', r->tcp_flags.n) &&
					  !memchr(r->tcp_flags.p, 'R', r->tcp_flags.n));
}

static bool attempt_of_drop(const struct wr_ev_drop *r, struct wr_attempt *a)
{
	bool tcp = wr_str_eq(r->transport, WR_STR("tcp"));

	/* what no socket of this host saw: it was refused, or a rule took it */
	if (!wr_str_eq(r->sender, WR_STR("client")) || !wr_ev_has(&r->ev, WR_I_drop_client_ip) ||
		r->conn.n) /* the attempt has a record of its own */
		return false;
	if (tcp ? !is_probe(r)
		: !wr_str_eq(r->transport, WR_STR("udp")) ||
				!wr_str_eq(r->reason, WR_STR("NO_SOCKET")))
		return false;
	*a = (struct wr_attempt){.from = &r->client_ip,
		.to = &r->server_ip,
		.port = (uint16_t)r->server_port,
		.at = r->time,
		.tcp = tcp};
	return true;
}

bool wr_attempt_of(const struct wr_event *e, struct wr_attempt *ret)
{
	if (e->kind == WR_KIND_conn)
		return attempt_of_conn((const void *)e, ret);
	if (e->kind == WR_KIND_drop)
		return attempt_of_drop((const void *)e, ret);
	return false;
}

/* A connection is told again and again with its sums: what is new since. */
static void move(struct wr_detect *d, const struct wr_ev_conn *r, bool ends)
{
	const struct wr_moved now = {r->bytes_to_server, r->bytes_to_client, r->packets_to_server,
		r->packets_to_client, true, ends};
	struct told *t = NULL;
	struct wr_entries_shape s;

	d->moved = now;
	if (d->capture)
		return;
	s = (struct wr_entries_shape){.size = sizeof(*t), .count = places(d, TOLD)};
	if (r->conn.n)
		t = wr_entries_get(&d->told, &s, wr_hash(r->conn.p, r->conn.n, 11), r->last);
	if (!t)
		return;
#define NEW(f) (now.f > t->sum.f ? now.f - t->sum.f : 0)
	d->moved = (struct wr_moved){NEW(to_server), NEW(to_client), NEW(packets_to_server),
		NEW(packets_to_client), !t->before, ends};
#undef NEW
	t->sum = now;
	t->before = true;
	if (ends)
		wr_entries_drop(&d->told, t);
}

static void turn(struct wr_detect *d, uint64_t now)
{
	if (now < d->turned + TURN && now + TURN > d->turned) /* else a clock was set back */
		return;
	d->turned = now;
	for (unsigned i = 0; i < WR_N(detectors); i++) {
		d->at = i;
		if (detectors[i]->turn && (!detectors[i]->setup || d->state[i]))
			detectors[i]->turn(d, detectors[i], now);
	}
}

/* Time of the record; 0: it is of a kind that no detector looks at. */
static uint64_t time_of(const struct wr_event *e)
{
	switch (e->kind) {
	case WR_KIND_drop:
		return ((const struct wr_ev_drop *)(const void *)e)->time;
	case WR_KIND_request:
		return ((const struct wr_ev_request *)(const void *)e)->time;
	case WR_KIND_conn:
		return wr_max(((const struct wr_ev_conn *)(const void *)e)->first,
			((const struct wr_ev_conn *)(const void *)e)->last);
	case WR_KIND_violation:
		return ((const struct wr_ev_violation *)(const void *)e)->time;
	case WR_KIND_match:
		return ((const struct wr_ev_match *)(const void *)e)->time;
	case WR_KIND_syns:
		return ((const struct wr_ev_syns *)(const void *)e)->to;
	case WR_KIND_neighbor:
		return ((const struct wr_ev_neighbor *)(const void *)e)->last;
	default:
		return 0;
	}
}

void wr_detect_event(struct wr_detect *d, const struct wr_event *e)
{
	uint64_t at = time_of(e);
	bool ends = true;

	if (!at)
		return;
	d->began = d->began ? d->began : at;
	d->latest = wr_max(d->latest, at);
	if (d->capture)
		turn(d, d->latest);
	if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;

		ends = wr_str_eq(r->event, WR_STR("close")) ||
		       (d->capture && wr_str_eq(r->event, WR_STR("update")));
		move(d, r, ends);
	}
	look_at_ends(d, e, at);
	for (unsigned i = 0; i < WR_N(detectors); i++) {
		d->at = i;
		if ((ends || detectors[i]->grows) && (!detectors[i]->setup || d->state[i]))
			detectors[i]->event(d, detectors[i], e);
	}
}

static void tell(struct wr_detect *d, struct wr_incident *i)
{
	struct wr_ev_alert r;

	WR_INIT(&r, alert);
	if (!i->id[0]) /* stays while it grows */
		snprintf(i->id, sizeof(i->id), "%016" PRIx64,
			wr_hash(i->source, strlen(i->source),
				wr_hash(i->target, strlen(i->target),
					wr_hash(i->detector->name, strlen(i->detector->name),
						i->first ^ wr_seed))));
	WR_SET(&r, alert, time, i->last);
	WR_SET(&r, alert, host, wr_str(d->host));
	WR_SET(&r, alert, id, wr_str(i->id));
	WR_SET(&r, alert, detector, wr_str(i->detector->name));
	WR_SET(&r, alert, severity, wr_str(i->severity));
	WR_SET(&r, alert, confidence, i->confidence);
	WR_SET(&r, alert, attack_id, wr_str(i->detector->attack_id));
	if (i->source[0])
		WR_SET(&r, alert, source, wr_str(i->source));
	if (i->target[0])
		WR_SET(&r, alert, target, wr_str(i->target));
	WR_SET(&r, alert, count, i->count);
	/* connections do not end in the order in which they began */
	WR_SET(&r, alert, first, wr_min(i->first, i->last));
	WR_SET(&r, alert, last, i->last);
	WR_SET(&r, alert, summary, wr_str(i->summary));
	WR_SET(&r, alert, advice, wr_str(i->detector->advice));
	if (i->detector->impact)
		WR_SET(&r, alert, impact, wr_str(i->detector->impact));
	if (i->evidence[0])
		WR_SET(&r, alert, evidence, wr_str(i->evidence));
	if (i->whose.process[0]) {
		WR_SET(&r, alert, owner_process, wr_str(i->whose.process));
		WR_SET(&r, alert, owner_pid, i->whose.pid);
		WR_SET(&r, alert, owner_is, is_source(i) ? WR_STR("source") : WR_STR("target"));
		if (i->whose.user[0])
			WR_SET(&r, alert, owner_user, wr_str(i->whose.user));
		if (i->whose.container[0])
			WR_SET(&r, alert, owner_container, wr_str(i->whose.container));
		if (i->whose.service[0])
			WR_SET(&r, alert, owner_service, wr_str(i->whose.service));
	}
	d->sink(d->ctx, &r.ev);
}

void wr_detect_tell(struct wr_detect *d, uint64_t now, bool all)
{
	unsigned kept = 0;

	turn(d, d->capture ? d->latest : now);
	for (unsigned k = 0; k < d->n; k++) {
		struct wr_incident *i = &d->incident[k];

		if (i->summary[0] && i->count != i->told_count &&
			(all || !i->told || now > i->told + AGAIN)) {
			tell(d, i);
			i->told = now;
			i->told_count = i->count;
		}
		if (now > i->last + OVER && i->count == i->told_count)
			continue; /* it is over */
		d->incident[kept++] = *i;
	}
	d->n = kept;
}

int wr_detect_list(const char *list, const char *text, size_t size,
	bool (*add)(void *state, struct wr_str word), const char *syntax, void **ret_state,
	struct wr_err *e)
{
	struct wr_str rest = wr_str(text), w;

	*ret_state = NULL;
	if (!rest.n)
		return 0;
	*ret_state = wr_alloc(size);
	if (!*ret_state)
		return wr_fail(e, -ENOMEM, "no memory");
	while (wr_next_word(&rest, &w)) {
		if (add(*ret_state, w))
			continue;
		free(*ret_state);
		*ret_state = NULL;
		return wr_fail(e, -EINVAL, "detect.%s: '%.*s': %s", list, (int)w.n, w.p, syntax);
	}
	return 0;
}

bool wr_detect_is_login(const struct wr_ev_request *r)
{
	static const char *const names[] = {"LOGIN", "login", "AUTH", "auth", "PASS", "bind",
		"BIND", "authenticate", "saslStart", "saslContinue", "SessionSetup",
		"session_setup", "CONNECT"};
	bool login = false;

	/* asked for every request: hence the first byte before the rest */
	for (unsigned i = 0; r->operation.n && i < WR_N(names) && !login; i++)
		login = r->operation.p[0] == names[i][0] &&
			wr_str_eq(r->operation, wr_str(names[i]));
	/* MQTT's and NATS's CONNECT are logins, HTTP's is not */
	if (wr_str_eq(r->operation, WR_STR("CONNECT")) && wr_str_eq(r->protocol, WR_STR("http")))
		login = false;
	return login;
}

void wr_detect_sources(char *buf, size_t n, uint64_t sources, const struct wr_ip *last)
{
	char ip[WR_IP_TEXT];

	if (sources > 1)
		snprintf(buf, n, "%s%" PRIu64 " sources", sources > 5000 ? "more than " : "about ",
			wr_min(sources, (uint64_t)5000));
	else
		snprintf(buf, n, "%.*s", (int)wr_ip_text(last, ip), ip);
}

bool wr_ip_is_public(const struct wr_ip *a)
{
	const uint8_t *b = (const uint8_t *)a, *v4 = b + 12;

	if (!wr_ip_is4(a)) /* fc00::/7, fe80::/10, ff00::/8, ::, ::1 */
		return (b[0] & 0xfe) != 0xfc && (b[0] != 0xfe || (b[1] & 0xc0) != 0x80) &&
		       b[0] != 0xff && (b[0] || memcmp(b, b + 1, 14) || b[15] > 1);
	switch (v4[0]) {
	case 0:
	case 10:
	case 127:
		return false;
	case 100:
		return (v4[1] & 0xc0) != 64;
	case 169:
		return v4[1] != 254;
	case 172:
		return (v4[1] & 0xf0) != 16;
	case 192:
		return v4[1] != 168;
	}
	return v4[0] < 224;
}

void *wr_detect_service(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_ev_request *r, char *name)
{
	if (r->server_service.n)
		wr_copy(name, WR_TARGET_TEXT, r->server_service);
	else
		wr_detect_target(name, &r->server_ip, (uint16_t)r->server_port);
	return wr_detect_entry(d, self,
		wr_hash(r->protocol.p, r->protocol.n, wr_hash(name, strlen(name), r->server_port)),
		r->time);
}
