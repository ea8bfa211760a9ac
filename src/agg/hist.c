// SPDX-License-Identifier: Apache-2.0
#include "hist.h"

static unsigned bucket(uint64_t v)
{
	unsigned msb, i;

	if (v < WR_HIST_SUB)
		return (unsigned)v;
	msb = 63 - (unsigned)__builtin_clzll(v);
	i = (msb - 3) * WR_HIST_SUB + (unsigned)(v >> (msb - 4)) - WR_HIST_SUB;
	return wr_min(i, (unsigned)WR_HIST_BUCKETS - 1);
}

uint64_t wr_hist_bound(unsigned i)
{
	unsigned msb = i / WR_HIST_SUB + 3;

	if (i < WR_HIST_SUB)
		return i;
	return ((uint64_t)(i % WR_HIST_SUB + WR_HIST_SUB + 1) << (msb - 4)) - 1;
}

void wr_hist_add(struct wr_hist *h, uint64_t v)
{
	h->n++;
	h->sum += v;
	h->max = wr_max(h->max, v);
	h->b[bucket(v)]++;
}

void wr_hist_merge(struct wr_hist *to, const struct wr_hist *from)
{
	to->n += from->n;
	to->sum += from->sum;
	to->max = wr_max(to->max, from->max);
	for (unsigned i = 0; i < WR_HIST_BUCKETS; i++)
		to->b[i] += from->b[i];
}

uint64_t wr_hist_quantile(const struct wr_hist *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->n + 0.999999), seen = 0;

	if (!h->n)
		return 0;
	want = wr_max(want, (uint64_t)1);
	for (unsigned i = 0; i < WR_HIST_BUCKETS; i++) {
		seen += h->b[i];
		if (seen >= want)
			return wr_min(wr_hist_bound(i), h->max);
	}
	return h->max;
}

void wr_hist_json(const struct wr_hist *h, struct wr_buf *b)
{
	bool any = false;

	wr_buf_c(b, '[');
	for (unsigned i = 0; i < WR_HIST_BUCKETS; i++) {
		if (!h->b[i])
			continue;
		wr_buf_printf(b, "%s[%u,%u]", any ? "," : "", i, h->b[i]);
		any = true;
	}
	wr_buf_c(b, ']');
}

void wr_hist_add_json(struct wr_hist *h, struct wr_str json, uint64_t sum, uint64_t max)
{
	uint64_t v[2] = {0, 0};
	unsigned which = 0;

	for (size_t i = 0; i < json.n; i++) {
		char c = json.p[i];

		if (c >= '0' && c <= '9') {
			v[which] = v[which] * 10 + (uint64_t)(c - '0');
		} else if (c == ',') {
			which = 1;
		} else if (c == ']' && which) {
			if (v[0] < WR_HIST_BUCKETS) {
				h->b[v[0]] += (uint32_t)v[1];
				h->n += v[1];
			}
			v[0] = v[1] = which = 0;
			if (i + 1 < json.n && json.p[i + 1] == ',')
				i++;
		}
	}
	h->sum += sum;
	h->max = wr_max(h->max, max);
}
