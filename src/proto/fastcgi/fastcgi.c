// SPDX-License-Identifier: Apache-2.0
/* FastCGI 1.0 (fastcgi-archives.github.io): a request of a web server to its application. */
#include "../proto.h"

#define MAX_PARAMS 65536

enum {
	BEGIN = 1,
	ABORT,
	END,
	PARAMS,
	STDIN,
	STDOUT,
	STDERR,
	DATA,
	GET_VALUES,
	GET_VALUES_RESULT,
	UNKNOWN
};

struct fastcgi {
	struct wr_buf params; /* of the request whose parameters come now */
	uint16_t params_id;
	bool lost[2];
};

static uint32_t length(struct wr_rd *r)
{
	uint8_t n = wr_rd_u8(r);

	if (!(n & 0x80))
		return n;
	n &= 0x7f;
	return (uint32_t)n << 24 | (uint32_t)wr_rd_u8(r) << 16 | wr_rd_be16(r);
}

static void params(struct wr_session *s, struct wr_request *q, struct wr_buf *b)
{
	struct wr_rd r = wr_rd(b->p, b->n);
	struct wr_str uri = {0}, script = {0};

	while (wr_rd_left(&r)) {
		uint32_t n = length(&r), m = length(&r);
		const char *name = (const char *)wr_rd_take(&r, n),
			   *v = (const char *)wr_rd_take(&r, m);
		struct wr_str key, val;

		if (!name || !v)
			break;
		key = (struct wr_str){name, n};
		val = (struct wr_str){v, m};
		if (wr_str_eq(key, WR_STR("REQUEST_METHOD")))
			wr_req_op(q, val);
		else if (wr_str_eq(key, WR_STR("REQUEST_URI")))
			uri = val;
		else if (wr_str_eq(key, WR_STR("SCRIPT_NAME")) && !uri.n)
			uri = val;
		else if (wr_str_eq(key, WR_STR("SCRIPT_FILENAME")))
			script = val;
		else if (wr_str_eq(key, WR_STR("HTTP_HOST")))
			wr_req_detail(q, "host", val);
		else if (wr_str_eq(key, WR_STR("HTTP_TRACEPARENT")))
			wr_req_traceparent(q, val);
	}
	wr_req_url(s, q, uri);
	if (script.n)
		wr_req_detail(q, "script", script);
	if (!q->op_n)
		wr_req_op(q, WR_STR("request"));
}

/* "Status: 404 Not Found" in the head that the application writes; without one it is 200. */
static void status(struct wr_request *q, struct wr_bytes b)
{
	struct wr_str l;
	size_t n;

	while (b.n && (n = wr_line(b, 4096, &l)) && l.n) {
		if (l.n > 10 && !memcmp(l.p, "Status: ", 8)) {
			wr_req_status(q, (struct wr_str){l.p + 8, wr_min(l.n - 8, (size_t)3)});
			q->error = l.p[8] >= '4';
			return;
		}
		b.p += n;
		b.n -= n;
	}
}

static bool plausible(struct wr_bytes b, unsigned dir)
{
	unsigned type = b.p[1];

	if (b.p[0] != 1 || b.p[7])
		return false;
	return dir ? type == END || type == STDOUT || type == STDERR || type == GET_VALUES_RESULT ||
			       type == UNKNOWN
		   : type == BEGIN || type == ABORT || type == PARAMS || type == STDIN ||
			       type == DATA || type == GET_VALUES;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct fastcgi *st = wr_state(s);
	uint32_t len, all;
	struct wr_request *q;
	uint16_t id;

	if (b.n < 8)
		return 0;
	if (!plausible(b, dir))
		return st->lost[dir] ? 1 : -EBADMSG;
	id = wr_be16(b.p + 2);
	len = wr_be16(b.p + 4);
	all = 8 + len + b.p[6];
	q = wr_req_find(s, id);
	if (st->lost[dir]) { /* only what begins anew, or belongs to what is known */
		if (dir ? !q : b.p[1] != BEGIN || len != 8 || b.p[6])
			return 1;
		st->lost[dir] = false;
	}
	/* bodies are skipped; what is read must be here */
	if (b.p[1] == STDIN || b.p[1] == DATA || b.p[1] == STDERR ||
		(b.p[1] == STDOUT && q && q->n)) {
		if (q && dir)
			wr_req_answer(s, q, 8);
		else if (q)
			q->request_bytes += 8;
		if (q && b.p[1] == STDERR && len && !(q->flags & 1)) {
			q->flags |= 1;
			wr_req_detail(q, "stderr", WR_STR("true"));
		}
		if (all > 8)
			wr_session_skip(s, dir, all - 8, q);
		return 8;
	}
	if (b.n < all)
		return 0;
	if (dir && q)
		wr_req_answer(s, q, all);
	switch (b.p[1]) {
	case BEGIN:
		if (len != 8)
			return -EBADMSG;
		q = wr_req_new(s, id);
		if (q)
			q->request_bytes = all;
		wr_buf_free(&st->params);
		st->params_id = id;
		st->params.max = MAX_PARAMS;
		break;
	case PARAMS:
		if (!q)
			break;
		q->request_bytes += all;
		q->t_last = wr_ts(s);
		if (id !=
			st->params_id) /* mixed with another's: nobody does that, and its texts stay empty */
			break;
		wr_buf_put(&st->params, b.p + 8, len);
		if (!len) {
			params(s, q, &st->params);
			wr_buf_free(&st->params);
		}
		break;
	case STDOUT:
		if (q && len) {
			q->n = 1;
			status(q, (struct wr_bytes){b.p + 8, len});
		}
		break;
	case END:
		if (!q || len < 8)
			break;
		if (b.p[12]) { /* protocol status: cannot multiplex, overloaded, unknown role */
			wr_req_status(q, WR_STR("refused"));
			q->error = true;
		} else if (!q->status_n) {
			wr_req_status(q, WR_STR("200"));
		}
		if (wr_be32(b.p + 8))
			wr_req_detail_u64(q, "exit_status", wr_be32(b.p + 8));
		wr_req_done(s, q);
		break;
	}
	return (ssize_t)all;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	if (b.n < 8)
		return b.p[0] == 1 ? WR_PROBE_MORE : WR_PROBE_NO;
	if (!plausible(b, dir))
		return WR_PROBE_NO;
	if (!dir)
		return b.p[1] == BEGIN && wr_be16(b.p + 4) == 8 ? 75 : joined ? 30 : WR_PROBE_NO;
	return wr_be16(b.p + 2) ? 40 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct fastcgi *st = wr_state(s);

	wr_req_give_up(s, lost);
	wr_buf_free(&st->params);
	st->lost[dir] = true;
	return true;
}

static void fini(void *state)
{
	wr_buf_free(&((struct fastcgi *)state)->params);
}

const struct wr_proto wr_proto_fastcgi = {
	.name = "fastcgi",
	.help = "a request of a web server to its application",
	.over = WR_TCP,
	.ports = {9000, 9001},
	.state = sizeof(struct fastcgi),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.fini = fini,
};
