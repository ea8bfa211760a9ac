// SPDX-License-Identifier: Apache-2.0
#include "gateway.h"

#define CALLS 4096 /* remembered; more: the oldest is forgotten */
#define BUCKETS 1024
#define SLACK                                                                                      \
	2000000ull /* ns: the answer may pass the gateway a little later than its end is seen */

struct call {
	struct call *next, *newer; /* of the same bucket, newest first */
	uint32_t pid; /* 0: joined already */
	uint64_t first, last;
	struct wr_ip ip;
	uint16_t port;
	bool tls;
	uint64_t us;
	char status[12], trace[36], resource[192], name[64], by[8];
	uint64_t hash; /* of the whole resource */
};

struct wr_gateway {
	struct call call[CALLS];
	struct call *bucket[BUCKETS];
	uint32_t n;
	struct call told; /* whose texts the last record shows */
};

struct wr_gateway *wr_gateway_new(void)
{
	return wr_alloc(sizeof(struct wr_gateway));
}

void wr_gateway_free(struct wr_gateway *g)
{
	free(g);
}

static struct call **bucket(struct wr_gateway *g, uint32_t pid)
{
	return &g->bucket[wr_hash64(pid) % BUCKETS];
}

static bool is_http(struct wr_str p)
{
	return wr_str_eq(p, WR_STR("http")) || wr_str_eq(p, WR_STR("http2")) ||
	       wr_str_eq(p, WR_STR("grpc")) || wr_str_eq(p, WR_STR("fastcgi"));
}

static void unlink_(struct wr_gateway *g, struct call *c)
{
	*(c->newer ? &c->newer->next : bucket(g, c->pid)) = c->next;
	if (c->next)
		c->next->newer = c->newer;
	c->pid = 0;
}

static uint64_t end_of(const struct wr_ev_request *r)
{
	return r->time + (wr_ev_has(&r->ev, WR_I_request_duration_us) ? r->duration_us * 1000 : 0);
}

static void remember(struct wr_gateway *g, const struct wr_ev_request *r, uint32_t pid)
{
	struct call *c = &g->call[g->n++ % CALLS], **at = bucket(g, pid);

	if (c->pid)
		unlink_(g, c);
	*c = (struct call){.next = *at,
		.pid = pid,
		.first = r->time,
		.last = end_of(r),
		.ip = r->server_ip,
		.port = (uint16_t)r->server_port,
		.us = wr_ev_has(&r->ev, WR_I_request_duration_us) ? r->duration_us : 0,
		.tls = wr_ev_has(&r->ev, WR_I_request_tls) && r->tls,
		.hash = wr_hash(r->resource.p, r->resource.n, 5)};
	wr_copy(c->status, sizeof(c->status), r->status);
	wr_copy(c->trace, sizeof(c->trace), r->trace_id);
	wr_copy(c->resource, sizeof(c->resource), r->resource);
	if (wr_ev_has(&r->ev, WR_I_request_server_service))
		wr_copy(c->name, sizeof(c->name), r->server_service);
	if (*at)
		(*at)->newer = c;
	*at = c;
}

/* The call that was made for @r, and by what it is known; NULL: none, or several could be. */
static struct call *find(
	struct wr_gateway *g, const struct wr_ev_request *r, uint32_t pid, const char **ret_by)
{
	uint64_t hash = wr_hash(r->resource.p, r->resource.n, 5), end = end_of(r) + SLACK;
	struct call *by_path = NULL, *by_time = NULL;
	unsigned paths = 0, times = 0;

	for (struct call *c = *bucket(g, pid); c; c = c->next) {
		/* told in the order in which they ended: those behind ended before the request came */
		if (c->last + SLACK < r->time)
			break;
		if (c->pid != pid || c->first < r->time || c->last > end)
			continue;
		if (r->trace_id.n && wr_str_eq(r->trace_id, wr_str(c->trace))) {
			*ret_by = "trace";
			return c;
		}
		times++;
		by_time = c;
		if (c->hash == hash) {
			paths++;
			by_path = c;
		}
	}
	*ret_by = paths ? "path" : "time";
	return paths ? (paths == 1 ? by_path : NULL) : times == 1 ? by_time : NULL;
}

void wr_gateway_request(
	struct wr_gateway *g, struct wr_ev_request *r, uint32_t client, uint32_t server)
{
	const char *by;
	struct call *c;

	if (!is_http(r->protocol))
		return;
	if (server && !wr_str_eq(r->protocol, WR_STR("fastcgi"))) {
		c = find(g, r, server, &by);
		if (c) {
			g->told = *c;
			unlink_(g, c); /* of one request only */
			c = &g->told;
			WR_SET(r, request, up_ip, c->ip);
			WR_SET(r, request, up_port, c->port);
			if (c->name[0])
				WR_SET(r, request, up_service, wr_str(c->name));
			if (c->resource[0])
				WR_SET(r, request, up_resource, wr_str(c->resource));
			if (c->status[0])
				WR_SET(r, request, up_status, wr_str(c->status));
			WR_SET(r, request, up_us, c->us);
			if (c->us && wr_ev_has(&r->ev, WR_I_request_duration_us))
				WR_SET(r, request, up_added,
					r->duration_us - wr_min(r->duration_us, c->us));
			if (c->tls)
				WR_SET(r, request, up_tls, true);
			wr_copy(c->by, sizeof(c->by), wr_str(by));
			WR_SET(r, request, up_by, wr_str(c->by));
		}
	}
	if (client)
		remember(g, r, client);
}
