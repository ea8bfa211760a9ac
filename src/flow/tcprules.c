// SPDX-License-Identifier: Apache-2.0
#include "tcprules.h"

#define FAR 65536u /* so far beyond a window no loss in the capture explains a number */

enum { MSS = 1, SCALE = 2, SACK = 4, STAMPS = 8 };

enum rule {
	RESERVED,
	MSS_LATER,
	SACK_LATER,
	SCALE_LATER,
	SCALE_UNASKED,
	NO_STAMPS,
	SACK_UNASKED,
	NO_ACK,
	WRONG_ACK,
	BEHIND_FIN,
	FAR_RESET,
	RULES,
};
static const char *const rules[RULES] = {
	[RESERVED] = "RFC 9293 3.1: reserved bits that are not zero",
	[MSS_LATER] = "RFC 9293 3.2: the maximum segment size outside of a SYN",
	[SACK_LATER] = "RFC 2018 2: SACK-permitted outside of a SYN",
	[SCALE_LATER] = "RFC 7323 2.2: a window scale outside of a SYN",
	[SCALE_UNASKED] = "RFC 7323 2.2: a window scale in the answer to a SYN without one",
	[NO_STAMPS] = "RFC 7323 3.2: no timestamp, though both sides agreed on them",
	[SACK_UNASKED] =
		"RFC 2018 4: selective acknowledgements that the other side did not permit",
	[NO_ACK] = "RFC 9293 3.1: no ACK on a connection that is established",
	[WRONG_ACK] = "RFC 9293 3.10.7.3: a SYN+ACK that acknowledges something else than the SYN",
	[BEHIND_FIN] = "RFC 9293 3.6: data behind the FIN",
	[FAR_RESET] =
		"RFC 9293 3.5.3: a reset far outside of the window: not from the other end, it seems",
};

static uint32_t distance(uint32_t a, uint32_t b)
{
	return wr_seq_before(a, b) ? b - a : a - b;
}

static uint8_t options(const struct wr_pkt *p)
{
	return (uint8_t)((p->has_mss ? MSS : 0) | (p->has_wscale ? SCALE : 0) |
			 (p->has_sack ? SACK : 0) | (p->has_ts ? STAMPS : 0));
}

static enum rule of_syn(const struct wr_tcp_side *o, const struct wr_pkt *p)
{
	/* of a port that is used again, an answer to the try before may be late */
	if (!(p->flags & WR_TCP_ACK) || o->syns != 1)
		return RULES;
	if (p->ack == o->isn || wr_seq_before(p->ack, o->isn) || wr_seq_before(o->next, p->ack))
		return WRONG_ACK;
	return p->has_wscale && !(o->any & SCALE) ? SCALE_UNASKED : RULES;
}

static enum rule of_segment(
	const struct wr_tcp_side *s, const struct wr_tcp_side *o, const struct wr_pkt *p)
{
	uint32_t end = p->seq + p->payload_len;
	bool both = s->syns && o->syns;

	if (p->has_mss)
		return MSS_LATER;
	if (p->has_sack)
		return SACK_LATER;
	if (p->has_wscale)
		return SCALE_LATER;
	if (p->flags & WR_TCP_RST) {
		uint32_t room = wr_max(o->window, FAR) + FAR;

		return s->syns == 1 && o->syns == 1 && distance(p->seq, s->next) > room ? FAR_RESET
											: RULES;
	}
	if (!(p->flags & WR_TCP_ACK) && s->seen && o->seen)
		return NO_ACK;
	if (both && s->all & o->all & STAMPS && !p->has_ts)
		return NO_STAMPS;
	if (both && p->has_sack_blocks && !(o->any & SACK))
		return SACK_UNASKED;
	/* one byte at its number is a keep-alive (RFC 9293 3.8.4) */
	if (s->finished && p->payload_len && wr_seq_before(s->fin, end) &&
		end - s->fin < 1u << 20 && !(p->payload_len == 1 && p->seq == s->fin))
		return BEHIND_FIN;
	return RULES;
}

static void note(struct wr_tcp_side *s, const struct wr_tcp_side *o, const struct wr_pkt *p)
{
	uint32_t end = p->seq + p->payload_len + !!(p->flags & WR_TCP_SYN);
	bool scaled = !(p->flags & WR_TCP_SYN) && s->any & o->any & SCALE;

	if (p->flags & WR_TCP_RST)
		return;
	if (p->flags & WR_TCP_SYN) {
		if (!s->syns || s->isn != p->seq) {
			s->syns = (uint8_t)(s->syns ? 2 : 1);
			s->next = end;
		}
		s->isn = p->seq;
		s->any |= options(p);
		s->all = (uint8_t)((s->all | (s->seen ? 0 : 255)) & options(p));
		s->scale = p->wscale;
	}
	s->window = wr_max(s->window, (uint32_t)p->window << (scaled ? s->scale : 0));
	if (p->flags & WR_TCP_FIN && !s->finished) {
		s->finished = true;
		s->fin = end++;
	}
	if (!s->seen || wr_seq_before(s->next, end))
		s->next = end;
	s->seen = true;
}

const char *wr_tcp_rules_see(
	struct wr_tcp_rules *r, unsigned dir, const struct wr_pkt *p, bool *ret_ignored)
{
	struct wr_tcp_side *s = &r->side[dir], *o = &r->side[!dir];
	enum rule broken = RULES;

	*ret_ignored = false;
	if (p->bad || p->cut) /* told as malformed; or not all of it is here */
		return NULL;
	if (p->reserved)
		broken = RESERVED;
	else
		broken = p->flags & WR_TCP_SYN ? of_syn(o, p) : of_segment(s, o, p);
	*ret_ignored = broken == FAR_RESET;
	note(s, o, p);
	if (broken == RULES || s->told >> broken & 1)
		return NULL;
	s->told = (uint16_t)(s->told | 1u << broken);
	return rules[broken];
}
