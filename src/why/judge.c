// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#define WR_CAUSE(n, ...) extern const struct wr_cause wr_cause_##n;
#include "causes.def"
#undef WR_CAUSE
#define WR_CAUSE(n, ...) &wr_cause_##n,
const struct wr_cause *const wr_causes[] = {
#include "causes.def"
};
#undef WR_CAUSE
const unsigned wr_n_causes = WR_N(wr_causes);

/* "wa: va via 10.0.0.1; wr: r1; wb: here" */
static void way_text(const struct why_way *w, char *to, size_t n)
{
	struct wr_buf b = WR_BUF(n);
	char ip[WR_IP_TEXT];

	for (unsigned i = 0; i < w->n; i++) {
		const struct why_hop *h = &w->hop[i];

		wr_buf_printf(&b, "%s%s: ", i ? "; " : "", h->place->name);
		if (h->local)
			wr_buf_lit(&b, "here");
		else if (h->route.err)
			wr_buf_printf(&b, "%s", strerror(h->route.err));
		else if (h->out)
			wr_buf_printf(&b, "%s%s%s", h->out->name, h->route.via ? " via " : "",
				h->route.via ? why_ip(&h->next, ip) : "");
	}
	wr_copy(to, n, wr_buf_view(&b));
	wr_buf_free(&b);
}

static int surest_first(const void *a, const void *b)
{
	const struct why_finding *x = a, *y = b;

	return x->confidence < y->confidence ? 1 : x->confidence > y->confidence ? -1 : 0;
}

/* One cause is told once: of the flow of which it is surest. */
static struct why_finding *slot(
	struct why_finding *f, unsigned *n, unsigned max, const struct wr_cause *c)
{
	for (unsigned i = 0; i < *n; i++) {
		if (f[i].cause == c)
			return &f[i];
	}
	return *n < max ? &f[(*n)++] : NULL;
}

/* Of a flow that a server made: whose it is comes first, and it is surer than what its front shows. */
static void behind(const struct wr_case *c, struct why_finding *r)
{
	const struct why_flow *f = r->flow, *front = &c->flow[f->front - 1];
	char text[sizeof(r->summary)], ip[WR_IP_TEXT], to[WR_IP_TEXT];

	snprintf(text, sizeof(text), "%s", r->summary);
	snprintf(r->summary, sizeof(r->summary), "behind %s: %.440s",
		f->client_process[0] ? f->client_process : "the server", text);
	why_evidence(r, "%s, which serves %s:%u, calls %s:%u for it", f->client_process,
		why_ip(&front->server, ip), front->server_port, why_ip(&f->server, to),
		f->server_port);
	r->confidence = wr_min(r->confidence + 0.02, 0.99);
}

unsigned wr_case_judge(struct wr_case *c, struct why_finding *ret, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_flows; i++) {
		wr_case_ways(c, &c->flow[i]);
		for (unsigned k = 0; k < wr_n_causes; k++) {
			struct why_finding found = {.cause = wr_causes[k],
						   .layer = wr_causes[k]->layer,
						   .flow = &c->flow[i]},
					   *to;
			unsigned had = n;

			if (!wr_causes[k]->judge(c, &c->flow[i], &found))
				continue;
			if (found.flow->front)
				behind(c, &found);
			way_text(&c->there, found.route, sizeof(found.route));
			to = slot(ret, &n, max, wr_causes[k]);
			if (to && (n > had || to->confidence < found.confidence))
				*to = found;
		}
	}
	qsort(ret, n, sizeof(*ret), surest_first);
	return n;
}
