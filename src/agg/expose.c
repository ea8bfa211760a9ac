// SPDX-License-Identifier: Apache-2.0
#include "expose.h"
#include "../base/htab.h"

#define LABELS 3
#define BUCKETS 14
#define INCIDENTS 256 /* whose id is known: told again they are not counted again */

/* s; what is above the last one is in +Inf */
static const double bound[BUCKETS] = {
	0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

enum { REQUESTS, CONNS, DROPS, ALERTS, FAMILIES };

static const char *const labels[FAMILIES][LABELS] = {{"service", "protocol", NULL},
	{"service", "transport", "reason"}, {"reason", "class", NULL},
	{"detector", "severity", NULL}};

/* An example of a bucket: a trace that was in it (OpenMetrics, exemplars). */
struct exemplar {
	char trace[33];
	double seconds;
	uint64_t at;
};

struct hist {
	uint64_t n[BUCKETS + 1];
	double sum;
	struct exemplar example[BUCKETS + 1];
};

struct series {
	struct wr_hnode node;
	struct series *next;
	unsigned family;
	char *label[LABELS];
	uint64_t count, errors, in, out, retransmits;
	struct hist *h; /* of requests */
};

struct wr_expose {
	struct wr_htab t;
	struct series *first[FAMILIES], **last[FAMILIES];
	unsigned n[FAMILIES];
	uint64_t incident[INCIDENTS];
	unsigned at;
};

struct wr_expose *wr_expose_new(void)
{
	struct wr_expose *x = wr_alloc(sizeof(*x));

	for (unsigned i = 0; x && i < FAMILIES; i++)
		x->last[i] = &x->first[i];
	return x;
}

void wr_expose_free(struct wr_expose *x)
{
	for (unsigned i = 0; x && i < FAMILIES; i++) {
		while (x->first[i]) {
			struct series *s = x->first[i];

			x->first[i] = s->next;
			for (unsigned k = 0; k < LABELS; k++)
				free(s->label[k]);
			free(s->h);
			free(s);
		}
	}
	if (x)
		wr_htab_free(&x->t);
	free(x);
}

static struct series *find(
	struct wr_expose *x, unsigned family, const struct wr_str *v, uint64_t hash)
{
	for (struct wr_hnode *n = wr_htab_first(&x->t, hash); n; n = wr_htab_next(n->next, hash)) {
		struct series *s = wr_container(n, struct series, node);
		bool same = s->family == family;

		for (unsigned i = 0; i < LABELS && labels[family][i] && same; i++)
			same = wr_str_eq(v[i], wr_str(s->label[i]));
		if (same)
			return s;
	}
	return NULL;
}

/* The series of these labels; of "(other)" where there is no room. NULL: no memory. */
static struct series *series(struct wr_expose *x, unsigned family, const struct wr_str *v)
{
	static const struct wr_str other[LABELS] = {{"(other)", 7}, {"(other)", 7}, {"(other)", 7}};
	uint64_t hash = family;
	struct series *s;

	for (unsigned i = 0; i < LABELS && labels[family][i]; i++)
		hash = wr_hash(v[i].p, v[i].n, hash);
	s = find(x, family, v, hash);
	if (s)
		return s;
	if (x->n[family] >= WR_EXPOSE_SERIES && v != other)
		return series(x, family, other);
	s = wr_alloc(sizeof(*s));
	if (!s)
		return NULL;
	s->family = family;
	for (unsigned i = 0; i < LABELS && labels[family][i]; i++) {
		s->label[i] = strndup(v[i].n ? v[i].p : "", v[i].n);
		if (!s->label[i])
			goto out;
	}
	if (family == REQUESTS && !(s->h = wr_alloc(sizeof(*s->h))))
		goto out;
	if (wr_htab_add(&x->t, &s->node, hash))
		goto out;
	*x->last[family] = s;
	x->last[family] = &s->next;
	x->n[family]++;
	return s;
out:
	for (unsigned i = 0; i < LABELS; i++)
		free(s->label[i]);
	free(s->h);
	free(s);
	return NULL;
}

static void request(struct wr_expose *x, const struct wr_ev_request *r)
{
	const struct wr_str v[LABELS] = {r->server_service, r->protocol};
	struct series *s = series(x, REQUESTS, v);
	double seconds = (double)r->duration_us / 1e6;
	unsigned i = 0;

	if (!s)
		return;
	s->count++;
	s->errors += wr_ev_has(&r->ev, WR_I_request_error) && r->error;
	s->in += r->request_bytes;
	s->out += r->response_bytes;
	while (i < BUCKETS && seconds > bound[i])
		i++;
	s->h->n[i]++;
	s->h->sum += seconds;
	if (r->trace_id.n == 32) {
		struct exemplar *e = &s->h->example[i];

		wr_copy(e->trace, sizeof(e->trace), r->trace_id);
		e->seconds = seconds;
		e->at = r->time;
	}
}

void wr_expose_event(struct wr_expose *x, const struct wr_event *e)
{
	struct series *s;

	if (e->kind == WR_KIND_request) {
		request(x, (const void *)e);
	} else if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;
		const struct wr_str v[LABELS] = {r->server_service, r->transport, r->close_reason};

		if (!wr_str_eq(r->event, WR_STR("close")))
			return;
		s = series(x, CONNS, v);
		if (!s)
			return;
		s->count++;
		s->in += r->bytes_to_server;
		s->out += r->bytes_to_client;
		s->retransmits += r->retransmits;
	} else if (e->kind == WR_KIND_drop) {
		const struct wr_ev_drop *r = (const void *)e;
		const struct wr_str v[LABELS] = {r->reason, r->class};

		s = wr_str_eq(r->class, WR_STR("noise")) ? NULL : series(x, DROPS, v);
		if (s)
			s->count += r->count;
	} else if (e->kind == WR_KIND_alert) {
		const struct wr_ev_alert *r = (const void *)e;
		const struct wr_str v[LABELS] = {r->detector, r->severity};
		uint64_t id = wr_hash(r->id.p, r->id.n, 1);

		for (unsigned i = 0; i < INCIDENTS; i++) {
			if (x->incident[i] == id)
				return;
		}
		x->incident[x->at++ % INCIDENTS] = id;
		s = series(x, ALERTS, v);
		if (s)
			s->count++;
	}
}

/* text ----------------------------------------------------------------------------------------------- */

static void put_labels(struct wr_buf *b, const struct series *s, const char *more)
{
	wr_buf_c(b, '{');
	for (unsigned i = 0; i < LABELS && labels[s->family][i]; i++) {
		wr_buf_printf(b, "%s%s=\"", i ? "," : "", labels[s->family][i]);
		for (const char *p = s->label[i]; *p; p++) {
			if (*p == '"' || *p == '\\')
				wr_buf_c(b, '\\');
			wr_buf_c(b, *p == '\n' ? ' ' : *p);
		}
		wr_buf_c(b, '"');
	}
	wr_buf_printf(b, "%s}", more);
}

enum { COUNT, ERRORS, IN, OUT, RETRANSMITS };

static void counter(const struct wr_expose *x, struct wr_buf *b, unsigned family, unsigned which,
	const char *name, const char *unit, const char *help)
{
	wr_buf_printf(b, "# TYPE %s counter\n", name);
	if (unit[0])
		wr_buf_printf(b, "# UNIT %s %s\n", name, unit);
	wr_buf_printf(b, "# HELP %s %s\n", name, help);
	for (const struct series *s = x->first[family]; s; s = s->next) {
		const uint64_t v[] = {s->count, s->errors, s->in, s->out, s->retransmits};

		wr_buf_printf(b, "%s_total", name);
		put_labels(b, s, "");
		wr_buf_printf(b, " %" PRIu64 "\n", v[which]);
	}
}

static void histogram(const struct wr_expose *x, struct wr_buf *b)
{
	static const char name[] = "weir_request_duration_seconds";
	char le[40];

	wr_buf_printf(b,
		"# TYPE %s histogram\n# UNIT %s seconds\n"
		"# HELP %s From the first byte of a request to the last of its response.\n",
		name, name, name);
	for (const struct series *s = x->first[REQUESTS]; s; s = s->next) {
		uint64_t sum = 0;

		for (unsigned i = 0; i <= BUCKETS; i++) {
			const struct exemplar *e = &s->h->example[i];

			sum += s->h->n[i];
			if (i < BUCKETS)
				snprintf(le, sizeof(le), ",le=\"%g\"", bound[i]);
			wr_buf_printf(b, "%s_bucket", name);
			put_labels(b, s, i < BUCKETS ? le : ",le=\"+Inf\"");
			wr_buf_printf(b, " %" PRIu64, sum);
			if (e->trace[0])
				wr_buf_printf(b, " # {trace_id=\"%s\"} %.6f %.3f", e->trace,
					e->seconds, (double)e->at / 1e9);
			wr_buf_c(b, '\n');
		}
		wr_buf_printf(b, "%s_sum", name);
		put_labels(b, s, "");
		wr_buf_printf(b, " %.6f\n%s_count", s->h->sum, name);
		put_labels(b, s, "");
		wr_buf_printf(b, " %" PRIu64 "\n", sum);
	}
}

void wr_expose_text(const struct wr_expose *x, struct wr_buf *b)
{
	counter(x, b, REQUESTS, COUNT, "weir_requests", "",
		"Requests by the service that answers.");
	counter(x, b, REQUESTS, ERRORS, "weir_request_errors", "",
		"Requests that failed, by what the server said.");
	counter(x, b, REQUESTS, IN, "weir_request_bytes", "bytes", "Bytes of requests.");
	counter(x, b, REQUESTS, OUT, "weir_response_bytes", "bytes", "Bytes of responses.");
	histogram(x, b);
	counter(x, b, CONNS, COUNT, "weir_connections_closed", "",
		"Connections that ended, and how.");
	counter(x, b, CONNS, IN, "weir_connection_to_server_bytes", "bytes",
		"Payload to servers, of connections that ended.");
	counter(x, b, CONNS, OUT, "weir_connection_to_client_bytes", "bytes",
		"Payload to clients, of connections that ended.");
	counter(x, b, CONNS, RETRANSMITS, "weir_retransmits", "",
		"Segments sent again, of connections that ended.");
	counter(x, b, DROPS, COUNT, "weir_drops", "", "Packets that the kernel dropped.");
	counter(x, b, ALERTS, COUNT, "weir_alerts", "", "Incidents.");
}
