// SPDX-License-Identifier: Apache-2.0
/* What the servers of the subject's flows asked of others: the fault may be behind a proxy. */
#include "why.h"

#define MOST 16 /* flows that are taken for one in front */
#define SLOW 300000 /* us */

static bool asked_of(const struct why_request *q, const struct why_flow *f)
{
	return q->server_port == f->server_port && !memcmp(&q->server, &f->server, 16);
}

/* Does it suffer in a way that its server may not be to blame for? @ret_slow: us; 0: it is not slowness alone. */
static bool suffers(const struct wr_case *c, const struct why_flow *f, uint64_t *ret_slow)
{
	bool bad = f->established && f->closed && !f->bytes_to_client;
	uint64_t longest = 0;

	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *q = &c->request[i];

		if (!asked_of(q, f))
			continue;
		bad |= q->error || !q->answered;
		longest = wr_max(longest, q->duration_us);
	}
	*ret_slow = bad ? 0 : longest;
	return bad || longest >= SLOW;
}

/* Can this one, made by a server, explain it? @slow: that it took so long, and no more. */
static bool explains(const struct wr_case *c, const struct why_flow *f, uint64_t slow)
{
	if (why_failed(f) || why_slow(f) || why_delayed(f))
		return true;
	for (unsigned i = 0; i < wr_min(c->n_aside_requests, (uint64_t)WHY_ASIDE); i++) {
		const struct why_request *q = &c->aside_request[i];

		if (q->client_pid == f->client_pid && asked_of(q, f) &&
			(slow ? q->duration_us * 2 >= slow : q->error || !q->answered))
			return true;
	}
	return !slow && f->established && f->closed && !f->bytes_to_client;
}

static bool taken(const struct wr_case *c, const char *id)
{
	for (unsigned i = 0; i < c->n_flows; i++) {
		if (!strcmp(c->flow[i].id, id))
			return true;
	}
	return false;
}

void wr_case_behind(struct wr_case *c)
{
	/* what is found joins the flows, and is looked behind too */
	for (unsigned i = 0; i < c->n_flows; i++) {
		uint64_t slow, pid = c->flow[i].server_pid;

		if (!pid || !suffers(c, &c->flow[i], &slow))
			continue;
		for (unsigned k = 0, n = 0; k < wr_min(c->n_aside, (uint64_t)WHY_ASIDE) && n < MOST;
			k++) {
			const struct why_flow *f = &c->aside[k];

			if (f->client_pid != pid || taken(c, f->id) || !explains(c, f, slow))
				continue;
			if (c->n_flows == WHY_FLOWS) {
				c->not_kept++;
				return;
			}
			c->flow[c->n_flows] = *f;
			c->flow[c->n_flows++].front = i + 1;
			n++;
		}
		for (unsigned k = 0; k < wr_min(c->n_aside_requests, (uint64_t)WHY_ASIDE); k++) {
			struct why_request *q = &c->aside_request[k];

			if (q->client_pid != pid)
				continue;
			if (c->n_requests == WHY_REQUESTS) {
				c->not_kept++;
				return;
			}
			c->request[c->n_requests++] = *q;
			q->client_pid = 0; /* moved */
		}
	}
}

const struct why_request *why_handed_on(const struct wr_case *c, const struct why_flow *f)
{
	for (unsigned i = 0; f->server_pid && i < c->n_requests; i++) {
		const struct why_request *in = &c->request[i];

		if (!asked_of(in, f))
			continue;
		for (unsigned k = 0; k < c->n_requests; k++) {
			const struct why_request *on = &c->request[k];

			if (on->client_pid == f->server_pid &&
				!strcmp(on->operation, in->operation) &&
				!strcmp(on->resource, in->resource))
				return on;
		}
	}
	return NULL;
}
