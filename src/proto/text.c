// SPDX-License-Identifier: Apache-2.0
/* The texts of a request, and what parsers of text share. */
#include "raw.h"

#include <strings.h>

/* Texts go one behind the other; only detail grows, so it is moved to the end when something is in the way. */
static void text(struct wr_request *r, uint16_t *at, uint16_t *len, struct wr_str v)
{
	size_t room = WR_REQ_TEXT - r->used, n = wr_min(v.n, room);

	if (n < v.n)
		r->truncated = true;
	*at = r->used;
	*len = (uint16_t)n;
	if (n)
		memcpy(r->text + r->used, v.p, n);
	r->used = (uint16_t)(r->used + n);
}

static void mark(struct wr_request *r, const char *name, struct wr_str v)
{
	if (r->raw)
		wr_raw_mark(r, name, v);
}

void wr_req_op(struct wr_request *r, struct wr_str v)
{
	mark(r, "operation", v);
	text(r, &r->op, &r->op_n, (struct wr_str){v.p, wr_min(v.n, (size_t)64)});
}

void wr_req_resource(struct wr_request *r, struct wr_str v)
{
	mark(r, "resource", v);
	r->truncated |= v.n > WR_REQ_TEXT / 2;
	text(r, &r->resource, &r->resource_n,
		(struct wr_str){v.p, wr_min(v.n, (size_t)WR_REQ_TEXT / 2)});
}

void wr_req_url(struct wr_session *s, struct wr_request *r, struct wr_str url)
{
	struct wr_buf b = WR_BUF(WR_MAX_MESSAGE);

	/* most have neither parameters nor a host with a user before it: nothing to mask, nothing to copy */
	if (wr_unmasked(s, r, url) || !url.n ||
		!(memchr(url.p, '?', url.n) || memchr(url.p, '@', url.n))) {
		wr_req_resource(r, url);
		return;
	}
	wr_mask_url(&b, url);
	wr_req_resource(r, wr_buf_view(&b));
	wr_buf_free(&b);
}

void wr_req_status(struct wr_request *r, struct wr_str v)
{
	mark(r, "status", v);
	text(r, &r->status, &r->status_n, (struct wr_str){v.p, wr_min(v.n, (size_t)128)});
}

void wr_req_trace(struct wr_request *r, struct wr_str v)
{
	mark(r, "trace_id", v);
	text(r, &r->trace, &r->trace_n, (struct wr_str){v.p, wr_min(v.n, (size_t)64)});
}

static void detail_raw(struct wr_request *r, const char *name, struct wr_str json)
{
	size_t k = strlen(name), want = k + json.n + 4;
	bool moves = r->detail_n && r->detail + r->detail_n != r->used;

	if (r->used + (moves ? r->detail_n : 0u) + want > WR_REQ_TEXT) {
		r->truncated = true; /* without this member, but whole */
		return;
	}
	if (moves) {
		uint16_t at, n;

		text(r, &at, &n, (struct wr_str){r->text + r->detail, r->detail_n});
		r->detail = at;
		r->detail_n = n;
	}
	if (!r->detail_n)
		r->detail = r->used;
	else
		r->text[r->used++] = ',';
	r->text[r->used++] = '"';
	memcpy(r->text + r->used, name, k);
	r->used = (uint16_t)(r->used + k);
	r->text[r->used++] = '"';
	r->text[r->used++] = ':';
	memcpy(r->text + r->used, json.p, json.n);
	r->used = (uint16_t)(r->used + json.n);
	r->detail_n = (uint16_t)(r->used - r->detail);
}

void wr_req_detail(struct wr_request *r, const char *name, struct wr_str v)
{
	struct wr_buf b = WR_BUF(2 * WR_REQ_TEXT);
	size_t max = WR_REQ_TEXT / 2;
	char quoted[128];

	mark(r, name, v);
	if (v.n > max) {
		v.n = max;
		r->truncated = true;
	}
	if (v.n <= sizeof(quoted) - 2 && wr_json_plain(v)) { /* nearly always */
		quoted[0] = quoted[v.n + 1] = '"';
		memcpy(quoted + 1, v.n ? v.p : "", v.n);
		detail_raw(r, name, (struct wr_str){quoted, v.n + 2});
		return;
	}
	wr_buf_json(&b, v);
	if (!b.cut)
		detail_raw(r, name, wr_buf_view(&b));
	wr_buf_free(&b);
}

void wr_req_detail_json(struct wr_request *r, const char *name, struct wr_str json)
{
	detail_raw(r, name, json);
}

/* W3C Trace Context 3.2: version, trace-id, parent-id, flags: 2, 32, 16 and 2 digits with dashes between. */
bool wr_req_traceparent(struct wr_request *r, struct wr_str v)
{
	if (v.n < 55 || v.p[2] != '-' || v.p[35] != '-' || v.p[52] != '-')
		return false;
	wr_req_trace(r, (struct wr_str){v.p + 3, 32});
	wr_req_detail(r, "parent_id", (struct wr_str){v.p + 36, 16});
	return true;
}

/* B3: a trace of 16 or 32 digits; in the single form with the span behind a dash. */
void wr_req_b3(struct wr_request *r, struct wr_str v, struct wr_str span)
{
	const char *dash = v.n ? memchr(v.p, '-', v.n) : NULL;
	size_t n = dash ? (size_t)(dash - v.p) : v.n;

	if (n != 16 && n != 32)
		return;
	wr_req_trace(r, (struct wr_str){v.p, n});
	if (v.n >= n + 17)
		span = (struct wr_str){v.p + n + 1, 16};
	if (span.n == 16)
		wr_req_detail(r, "parent_id", span);
}

size_t wr_line(struct wr_bytes b, size_t max, struct wr_str *ret)
{
	const uint8_t *lf = memchr(b.p, '\n', wr_min(b.n, max));
	size_t n;

	if (!lf)
		return 0;
	n = (size_t)(lf - b.p);
	*ret = (struct wr_str){(const char *)b.p, n && b.p[n - 1] == '\r' ? n - 1 : n};
	return n + 1;
}

const char *wr_verb(const char *const *verbs, unsigned n, struct wr_str line)
{
	for (unsigned i = 0; i < n; i++) {
		size_t k = strlen(verbs[i]);

		if (line.n >= k && !strncasecmp(line.p, verbs[i], k) &&
			(line.n == k || line.p[k] == ' '))
			return verbs[i];
	}
	return NULL;
}

void wr_req_sql(
	struct wr_session *s, struct wr_request *r, const char *command, struct wr_str sql, bool dq)
{
	enum { MAX = 1024 };
	struct wr_buf b = WR_BUF(MAX);
	char verb[32];
	size_t n = 0;

	wr_mask_sql(&b, sql, dq);
	r->truncated |= b.cut || sql.n > MAX;
	for (; n < b.n && n < sizeof(verb) && ((b.p[n] | 32) >= 'a' && (b.p[n] | 32) <= 'z'); n++)
		verb[n] = (char)(b.p[n] & ~32);
	if (n)
		wr_req_op(r, (struct wr_str){verb, n});
	else
		wr_req_op(r, wr_str(command));
	wr_req_resource(r, wr_buf_view(&b));
	wr_req_detail(r, "command", wr_str(command));
	if (sql.n)
		wr_req_detail(r, "statement",
			wr_unmasked(s, r, (struct wr_str){NULL, 0})
				? (struct wr_str){sql.p, wr_min(sql.n, (size_t)MAX)}
				: wr_buf_view(&b));
	wr_buf_free(&b);
}

void wr_req_detail_u64(struct wr_request *r, const char *name, uint64_t v)
{
	char t[24];
	int n = snprintf(t, sizeof(t), "%" PRIu64, v);

	detail_raw(r, name, (struct wr_str){t, (size_t)n});
}
