// SPDX-License-Identifier: Apache-2.0
#include "dnshealth.h"
#include "../base/htab.h"
#include "../base/slab.h"
#include "hist.h"

#define MAX_ROWS 1024 /* process and resolver; more: not told */
#define RECENT 16 /* names that did not exist, for the search list */
#define TOGETHER 5000000000ull /* ns: so long a resolver library tries its search list */
#define ENOUGH 10 /* queries below which nothing is said of shares */
#define SLOW 100000 /* us */

struct row {
	struct wr_hnode node;
	char process[32];
	struct wr_ip server;
	uint64_t n, nx, servfail, refused, unanswered, wasted;
	struct wr_hist took;
	struct {
		char name[128];
		uint64_t time;
	} recent[RECENT];
	char example[128]; /* a name of the worst kind */
};

struct wr_dnshealth {
	struct wr_htab rows;
	struct wr_slab slab;
};

struct wr_dnshealth *wr_dnshealth_new(void)
{
	struct wr_dnshealth *h = wr_alloc(sizeof(*h));

	if (h)
		h->slab = WR_SLAB(struct row, MAX_ROWS);
	return h;
}

void wr_dnshealth_free(struct wr_dnshealth *h)
{
	if (!h)
		return;
	wr_htab_free(&h->rows);
	wr_slab_free(&h->slab);
	free(h);
}

static struct row *row_of(struct wr_dnshealth *h, const struct wr_ev_request *r)
{
	struct wr_str process =
		wr_ev_has(&r->ev, WR_I_request_client_process) ? r->client_process : WR_STR("");
	uint64_t hash = wr_hash(
		process.p, process.n, wr_hash(&r->server_ip, sizeof(r->server_ip), wr_seed));
	struct row *w;

	for (struct wr_hnode *n = wr_htab_first(&h->rows, hash); n;
		n = wr_htab_next(n->next, hash)) {
		w = wr_container(n, struct row, node);
		if (wr_str_eq(process, wr_str(w->process)) &&
			!memcmp(&w->server, &r->server_ip, sizeof(w->server)))
			return w;
	}
	w = wr_slab_get(&h->slab);
	if (!w)
		return NULL;
	wr_copy(w->process, sizeof(w->process), process);
	w->server = r->server_ip;
	if (wr_htab_add(&h->rows, &w->node, hash)) {
		wr_slab_put(&h->slab, w);
		return NULL;
	}
	return w;
}

/* "a.b.search.list" did not exist, "a.b" does: that query was the search list's. */
static bool extends(const char *longer, struct wr_str name)
{
	return name.n && strlen(longer) > name.n && !strncmp(longer, name.p, name.n) &&
	       longer[name.n] == '.';
}

void wr_dnshealth_add(struct wr_dnshealth *h, const struct wr_ev_request *r)
{
	struct wr_str status = wr_ev_has(&r->ev, WR_I_request_status) ? r->status : WR_STR(""),
		      name = r->resource;
	struct row *w;

	if (!wr_str_eq(r->protocol, WR_STR("dns")) ||
		!wr_ev_has(&r->ev, WR_I_request_request_bytes))
		return;
	w = row_of(h, r);
	if (!w)
		return;
	w->n++;
	if (wr_ev_has(&r->ev, WR_I_request_duration_us))
		wr_hist_add(&w->took, r->duration_us);
	if (!status.n) {
		w->unanswered++;
		wr_copy(w->example, sizeof(w->example), name);
	} else if (wr_str_eq(status, WR_STR("SERVFAIL"))) {
		w->servfail++;
		wr_copy(w->example, sizeof(w->example), name);
	} else if (wr_str_eq(status, WR_STR("REFUSED"))) {
		w->refused++;
		wr_copy(w->example, sizeof(w->example), name);
	} else if (wr_str_eq(status, WR_STR("NXDOMAIN"))) {
		unsigned i = (unsigned)(w->nx++ % RECENT);

		wr_copy(w->recent[i].name, sizeof(w->recent[i].name), name);
		w->recent[i].time = r->time;
	} else if (wr_str_eq(status, WR_STR("NOERROR"))) {
		for (unsigned i = 0; i < RECENT; i++) {
			if (!w->recent[i].name[0] || !extends(w->recent[i].name, name) ||
				w->recent[i].time + TOGETHER < r->time)
				continue;
			w->wasted++;
			if (!w->example[0])
				wr_copy(w->example, sizeof(w->example), wr_str(w->recent[i].name));
			w->recent[i].name[0] = 0;
		}
	}
}

struct finding {
	const char *cause, *fix;
	uint64_t n;
	const char *what;
};

/* The worst that is there; nothing: healthy. */
static struct finding judge(const struct row *w)
{
	uint64_t other = w->nx > w->wasted ? w->nx - w->wasted : 0;

	if (w->unanswered * 20 >= w->n)
		return (struct finding){"resolver_unanswering",
			"is the resolver up and reachable? Another one in /etc/resolv.conf, and `options timeout:1 attempts:2`",
			w->unanswered, "were not answered"};
	if ((w->servfail + w->refused) * 20 >= w->n)
		return (struct finding){
			w->servfail >= w->refused ? "resolver_servfail" : "resolver_refused",
			"the resolver cannot or will not answer: ask its forwarders and its log; DNSSEC, access list",
			w->servfail + w->refused, "were answered with an error"};
	if (w->n < ENOUGH)
		return (struct finding){0};
	if (w->wasted * 10 >= w->n * 3)
		return (struct finding){"search_list_waste",
			"a final dot behind complete names, or `options ndots:1` in resolv.conf (Kubernetes: dnsConfig)",
			w->wasted, "were made by the search list for names that exist without it"};
	if (other * 2 >= w->n && other >= 50)
		return (struct finding){"nxdomain_storm",
			"which names? A removed service, a typing error, or generated names of malware",
			other, "asked for names that do not exist"};
	if (wr_hist_quantile(&w->took, 0.5) > SLOW)
		return (struct finding){"resolver_slow", "a cache nearer by, or another forwarder",
			w->n, "took long"};
	return (struct finding){0};
}

static void put(
	const struct row *w, const struct finding *f, const char *host, wr_sink_fn fn, void *ctx)
{
	const char *who = w->process[0] ? w->process : "(other hosts)";
	char server[WR_IP_TEXT], subject[128], sum[320];
	struct wr_buf ev = WR_BUF(1024);
	struct wr_ev_diagnosis r;

	wr_ip_text(&w->server, server);
	snprintf(subject, sizeof(subject), "dns %s -> %s", who, server);
	if (f->cause)
		snprintf(sum, sizeof(sum), "%" PRIu64 " of %" PRIu64 " queries of %s to %s %s%s%s",
			f->n, w->n, who, server, f->what, w->example[0] ? ", as " : "", w->example);
	else
		snprintf(sum, sizeof(sum), "%" PRIu64 " queries of %s to %s: as they should be",
			w->n, who, server);
	wr_buf_printf(&ev,
		"[{\"queries\":%" PRIu64 ",\"nxdomain\":%" PRIu64 ",\"servfail\":%" PRIu64
		",\"refused\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\"search_list\":%" PRIu64
		",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 "}]",
		w->n, w->nx, w->servfail, w->refused, w->unanswered, w->wasted,
		wr_hist_quantile(&w->took, 0.5), wr_hist_quantile(&w->took, 0.99));
	WR_INIT(&r, diagnosis);
	WR_SET(&r, diagnosis, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&r, diagnosis, host, wr_str(host));
	WR_SET(&r, diagnosis, subject, wr_str(subject));
	WR_SET(&r, diagnosis, verdict, f->cause ? WR_STR("fault") : WR_STR("healthy"));
	if (f->cause) {
		WR_SET(&r, diagnosis, cause, wr_str(f->cause));
		WR_SET(&r, diagnosis, fix, wr_str(f->fix));
	}
	WR_SET(&r, diagnosis, confidence, w->n >= 50 ? 0.9 : w->n >= ENOUGH ? 0.7 : 0.5);
	WR_SET(&r, diagnosis, summary, wr_str(sum));
	WR_SET(&r, diagnosis, evidence, wr_buf_view(&ev));
	fn(ctx, &r.ev);
	wr_buf_free(&ev);
}

unsigned wr_dnshealth_report(struct wr_dnshealth *h, const char *host, wr_sink_fn fn, void *ctx)
{
	unsigned faults = 0;

	for (unsigned healthy = 0; healthy < 2; healthy++) {
		wr_htab_each (&h->rows, i, n) {
			const struct row *w = wr_container(n, struct row, node);
			struct finding f = judge(w);

			if (!f.cause != !!healthy)
				continue;
			put(w, &f, host, fn, ctx);
			faults += !healthy;
		}
	}
	return faults;
}
