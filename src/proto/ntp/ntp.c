// SPDX-License-Identifier: Apache-2.0
/* NTP (RFC 5905): a client's question and the server's answer. */
#include "../proto.h"

#define SIZE 48

enum { SYMMETRIC = 1, PASSIVE, CLIENT, SERVER, BROADCAST, CONTROL, PRIVATE };

static const char *mode_name(unsigned m)
{
	static const char *const names[] = {"reserved", "symmetric_active", "symmetric_passive",
		"client", "server", "broadcast", "control", "private"};

	return names[m & 7];
}

static uint64_t stamp(const uint8_t *p)
{
	return (uint64_t)wr_be32(p) << 32 | wr_be32(p + 4);
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	unsigned mode = b.p[0] & 7, stratum;
	struct wr_request *r;
	char ref[24];

	if (mode == CONTROL || mode == PRIVATE) { /* by order: a question of these has no stamp */
		bool answer = mode == CONTROL ? b.n > 1 && b.p[1] & 0x80 : b.p[0] & 0x80;

		if (answer) {
			r = wr_req_oldest(s);
			if (r)
				wr_req_answer(s, r, b.n);
			return (ssize_t)b.n;
		}
		r = wr_req_new(s, 0);
		if (r) {
			r->request_bytes = b.n;
			wr_req_op(r, wr_str(mode_name(mode)));
		}
		return (ssize_t)b.n;
	}
	if (b.n < SIZE)
		return -EBADMSG;
	if (mode == CLIENT || mode == SYMMETRIC) {
		r = wr_req_new(s, stamp(b.p + 40)); /* the answer carries it back as its origin */
		if (!r)
			return (ssize_t)b.n;
		r->request_bytes = b.n;
		r->reversed = dir;
		wr_req_op(r, wr_str(mode_name(mode)));
		wr_req_detail_u64(r, "version", (b.p[0] >> 3) & 7);
		return (ssize_t)b.n;
	}
	r = wr_req_find(s, stamp(b.p + 24));
	if (mode == BROADCAST || !r) {
		r = wr_req_new(s, 0);
		if (!r)
			return (ssize_t)b.n;
		r->no_request = true;
		wr_req_op(r, wr_str(mode_name(mode)));
	}
	wr_req_answer(s, r, b.n);
	stratum = b.p[1];
	wr_req_detail_u64(r, "stratum", stratum);
	/* stratum 0: a kiss-o'-death code; 1: the clock's name; else the address of its server (7.3) */
	if (stratum <= 1) {
		size_t n = strnlen((const char *)b.p + 12, 4);

		wr_copy(ref, sizeof(ref), (struct wr_str){(const char *)b.p + 12, n});
	} else {
		snprintf(ref, sizeof(ref), "%u.%u.%u.%u", b.p[12], b.p[13], b.p[14], b.p[15]);
	}
	wr_req_detail(r, "reference", wr_str(ref));
	r->error = !stratum || (b.p[0] >> 6) == 3;
	wr_req_status(r, !stratum	      ? wr_str(ref)
			 : (b.p[0] >> 6) == 3 ? WR_STR("unsynchronized")
					      : WR_STR("ok"));
	wr_req_done(s, r);
	return (ssize_t)b.n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	unsigned version = (b.p[0] >> 3) & 7, mode = b.p[0] & 7;

	(void)joined;
	if (version < 1 || version > 4 || !mode)
		return WR_PROBE_NO;
	if (mode >= CONTROL) /* only where the port says so too */
		return b.n >= (mode == CONTROL ? 12 : 8) && version >= 2 ? 45 : WR_PROBE_NO;
	if (b.n < SIZE || b.n > 512 || b.p[1] > 16)
		return WR_PROBE_NO;
	if (mode == (dir ? SERVER : CLIENT))
		return 50; /* and the port */
	return mode == SYMMETRIC || mode == PASSIVE || mode == BROADCAST ? 45 : WR_PROBE_NO;
}

const struct wr_proto wr_proto_ntp = {
	.name = "ntp",
	.help = "a question for the time and its answer",
	.over = WR_UDP,
	.fixed_roles = true,
	.ports = {123},
	.probe = probe,
	.feed = feed,
};
