/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's rules as the kernel reads them, and how a packet finds its rule: shared by guard.bpf.c and by user
 * space, where the same code runs in tests against a slow reference.
 *
 * A rule is a set of terms: conjunctions of tests. A term has a bit. Each dimension (an address, a port, the
 * flags...) has a table from the packet's value to a row: the terms that allow this value. The rows of a packet,
 * combined with AND, leave the terms that it matches; the lowest bit wins. So the cost of a packet depends on how
 * many dimensions the rules use, not on how many rules there are (bit vectors: Lakshman and Stiliadis, SIGCOMM 98).
 */
#ifndef WR_GUARD_ABI_H
#define WR_GUARD_ABI_H

#ifdef __BPF__
typedef __u8 wr_g_u8;
typedef __u16 wr_g_u16;
typedef __u32 wr_g_u32;
typedef __u64 wr_g_u64;
#define WR_G_FN static inline __attribute__((always_inline))
#define WR_G_UNROLL _Pragma("unroll")
#define WR_G_ROLL _Pragma("nounroll") /* unrolled it would need more stack than there is */
#define WR_G_CALL __attribute__((noinline)) /* not static: the verifier walks it once, by itself */
#else
#include <stdint.h>
typedef uint8_t wr_g_u8;
typedef uint16_t wr_g_u16;
typedef uint32_t wr_g_u32;
typedef uint64_t wr_g_u64;
#define WR_G_FN static inline
#define WR_G_CALL static inline
#define WR_G_UNROLL
#define WR_G_ROLL
#endif

#define WR_G_TERMS 1024
#define WR_G_WORDS (WR_G_TERMS / 64)
#define WR_G_ROWS 8192 /* different sets of terms; row 0: all of them */
#define WR_G_CUTS 4096 /* where an address dimension changes its row */
#define WR_G_SLOTS 1024 /* rules with counters */
#define WR_G_TESTS 16 /* of bytes of the payload */
#define WR_G_FAR 2000 /* the last place that such a test may begin at */
#define WR_G_BUCKETS 65536 /* of rate limits, in each of two tables */

/* Dimensions: of 256 values, of 4096, of 65536, addresses, and yes or no. */
enum wr_g_dim {
	WR_G_VERSION,
	WR_G_PROTO,
	WR_G_TTL,
	WR_G_DSCP,
	WR_G_FLAGS,
	WR_G_ITYPE,
	WR_G_ICODE,
	WR_G_FRAG, /* bit 0: more fragments, bit 1: not the first */
	WR_G_VLAN,
	WR_G_SPORT,
	WR_G_DPORT,
	WR_G_LENGTH,
	WR_G_SRC,
	WR_G_DST,
	WR_G_BYTES, /* whether a place of the payload holds what test 0 says; and so on */
	WR_G_DIMS = WR_G_BYTES + WR_G_TESTS,
	WR_G_SMALL = WR_G_VLAN, /* so many have 256 values */
};

/* Eight bytes of the payload from @off on, the first one highest: are those under @mask @value? */
struct wr_g_test {
	wr_g_u64 value, mask;
	wr_g_u32 off, len;
};

enum wr_g_is { WR_G_DIFFERS, WR_G_IS, WR_G_NONE };
#define WR_G_ALL_NONE 0xaaaaaaaau

struct wr_g_row {
	wr_g_u64 words; /* which of them are not zero */
	wr_g_u64 w[WR_G_WORDS];
};

/* A table of addresses: cuts in rising order, each with the row of what begins there; [0] begins at zero. */
struct wr_g_addr {
	wr_g_u16 first
		[65537]; /* IPv4: the last cut at or below the address with these high 16 bits */
	wr_g_u16 zero, pad[2];
	wr_g_u32 cut4[WR_G_CUTS];
	wr_g_u64 cut6[WR_G_CUTS][2];
	wr_g_u16 row4[WR_G_CUTS], row6[WR_G_CUTS];
};

enum wr_g_action {
	WR_G_ALLOW = 1,
	WR_G_DROP,
	WR_G_COOKIE,
	WR_G_LIMIT,
	WR_G_REJECT,
	WR_G_TARPIT
};
enum wr_g_per { WR_G_PER_TOTAL, WR_G_PER_SRC, WR_G_PER_DST };

struct wr_g_term {
	wr_g_u32 slot; /* of its counters */
	wr_g_u8 action, per;
	wr_g_u8 bits6, pad; /* of the address that a bucket stands for; of IPv4 @mask4 */
	wr_g_u64 expires; /* jiffies; 0: never */
	wr_g_u64 packet_cost, byte_cost; /* of a rate, in 1/256 ns; cookies: 0, no rate */
	wr_g_u64 burst; /* 1/256 ns */
	wr_g_u64 mask4;
};

struct wr_g_set {
	wr_g_u32 dims; /* that a term looks at: bit per dimension */
	wr_g_u32 terms;
	wr_g_u32 flags;
	wr_g_u32 list_slot; /* of the rule whose list is in force */
	wr_g_u64 list_expires; /* jiffies; 0: never */
	wr_g_u64 tick; /* a jiffy, in 1/256 ns */
	wr_g_u32 id[WR_G_SLOTS]; /* number of the rule that counts there */
	wr_g_u16 absent[16]; /* row of a packet without the value */
	wr_g_u16 small[WR_G_SMALL][256];
	wr_g_u16 vlan[4096];
	wr_g_u16 wide[3][65536]; /* source port, destination port, length */
	wr_g_u16 bytes[WR_G_TESTS][4]; /* by enum wr_g_is */
	struct wr_g_test test[WR_G_TESTS];
	struct wr_g_addr addr[2];
	struct wr_g_term term[WR_G_TERMS];
	struct wr_g_row row[WR_G_ROWS];
};
/* flags of a set */
enum {
	WR_G_DROP_UNPARSED = 1, /* what cannot be parsed is dropped, not passed */
	WR_G_FRAGMENTS =
		2, /* a rule looks behind the IP header: later fragments share the first's verdict */
	WR_G_LIST = 4, /* sources of the list are dropped */
};

/*
 * A list of IPv4 networks, exact, of any length and number: for each /16 a bit for each /24 that is listed whole,
 * and one for each that is listed in part; the part is a block of 256 bits, found by the rank of its bit. Two or
 * three loads a packet, whatever is in it (figures: bench/guard.c).
 */
struct wr_g_16 {
	wr_g_u64 whole[4], part[4];
	wr_g_u32 rank[4]; /* parts before this word */
};
struct wr_g_24 {
	wr_g_u64 bit[4];
};

/*
 * IPv6 networks as ranges, in a tree of five ways without pointers: node 0 is the root, 5n + 1 to 5n + 5 are what
 * is below node n. A load a level, and one for the end of the range: 1 M ranges are 9 levels, of any lengths.
 */
struct wr_g_6 {
	wr_g_u64 from[4][2]; /* in rising order; unused ones are the highest address, with the last end */
	wr_g_u64 to[4][2];
};
#define WR_G_LEVELS 11 /* 48 M ranges */

/* A list as it lies in memory. */
struct wr_g_list {
	struct wr_g_16 *of; /* 65,536 */
	struct wr_g_24 *part;
	struct wr_g_6 *six;
	wr_g_u32 parts, sixes;
};

WR_G_FN wr_g_u32 wr_g_ones(wr_g_u64 x)
{
	x -= x >> 1 & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (wr_g_u32)(x * 0x0101010101010101ull >> 56);
}

/* 1: listed, 0: not, 2: as the block *@ret_part says. */
WR_G_FN int wr_g_listed(const struct wr_g_16 *b, wr_g_u32 src, wr_g_u32 *ret_part)
{
	wr_g_u32 w = src >> 14 & 3, i = src >> 8 & 63;

	if (b->whole[w] >> i & 1)
		return 1;
	if (!(b->part[w] >> i & 1))
		return 0;
	*ret_part = b->rank[w] + wr_g_ones(b->part[w] & ((1ull << i) - 1));
	return 2;
}

/* Is the 128-bit @x, @y less than @than? The borrow of a subtraction, without branches. */
WR_G_FN wr_g_u64 wr_g_less(wr_g_u64 x, wr_g_u64 y, const wr_g_u64 than[2])
{
	wr_g_u64 less = ((~y & than[1]) | ((~y | than[1]) & (y - than[1]))) >> 63;

	return ((~x & than[0]) | ((~x | than[0]) & (x - than[0] - less))) >> 63;
}

/* How many of the ranges of a node begin at or below the address. */
WR_G_FN wr_g_u32 wr_g_below(const struct wr_g_6 *n, wr_g_u64 x, wr_g_u64 y)
{
	wr_g_u32 above = 0;

	WR_G_UNROLL
	for (int i = 0; i < 4; i++)
		above += (wr_g_u32)wr_g_less(x, y, n->from[i]);
	return 4 - above;
}

/* What the rules look at in a packet. */
struct wr_g_packet {
	wr_g_u64 addr[2][2]; /* host order; IPv4: [..][1] */
	wr_g_u32 has; /* bit per dimension */
	wr_g_u32 bytes;
	wr_g_u16 v[WR_G_SRC];
	wr_g_u16 v6, looked; /* looked: @row holds the rows of its addresses */
	wr_g_u16 row[2];
	wr_g_u32 is; /* of each test of bytes two bits: enum wr_g_is */
};

struct wr_g_count {
	wr_g_u64 packets, bytes, last; /* that the rule acted on; last: jiffies */
	wr_g_u64 matched; /* of a limit, cookies, a tarpit: with those that passed */
};

/* Counters of the guard itself: index into wr_g_stats. */
enum wr_g_stat {
	WR_G_PASSED,
	WR_G_ALLOWED, /* by an allow rule, in PASSED too */
	WR_G_DROPPED,
	WR_G_LIMITED, /* of DROPPED: over the rate of a limit */
	WR_G_LATER, /* of DROPPED: later fragments */
	WR_G_NOT_IP, /* of PASSED: ARP and other protocols */
	WR_G_CUT, /* not parsed: the headers end early */
	WR_G_CHAIN, /* not parsed: more extension headers, tags or tunnels than are followed */
	WR_G_INNER, /* packets inside tunnels that were looked at */
	/* neither PASSED nor DROPPED: */
	WR_G_ANSWERED, /* SYNs that got a cookie */
	WR_G_RESETS, /* segments that were answered with a reset */
	WR_G_TARPITS, /* SYNs that were answered where nobody listens */
	WR_G_STATS,
};

/* A dropped packet (ring wr_g_samples). */
struct wr_g_sample {
	wr_g_u32 slot, ifindex, bytes, n;
	wr_g_u8 head[96];
};

WR_G_CALL wr_g_u32 wr_g_find4(const struct wr_g_addr *a, wr_g_u32 x)
{
	wr_g_u32 at, n;

	if (!a)
		return 0;
	at = a->first[x >> 16];
	n = a->first[(x >> 16) + 1] - at;
	/* the last cut at or below it is in [at, at + n]: halved without a branch that could be guessed wrong */
	for (int i = 0; i < 12 && n; i++) {
		wr_g_u32 half = (n + 1) >> 1;
		wr_g_u64 less = ((wr_g_u64)x - a->cut4[(at + half) & (WR_G_CUTS - 1)]) >> 63;

		__asm__ volatile("" : "+r"(less)); /* the compiler would make a branch of it */
		at += half & ((wr_g_u32)less - 1);
		n -= half;
	}
	return a->row4[at & (WR_G_CUTS - 1)];
}

/* Unused cuts are the highest address, with the row of the last used one. */
WR_G_CALL wr_g_u32 wr_g_find6(const struct wr_g_addr *a, wr_g_u64 x, wr_g_u64 y)
{
	wr_g_u32 at;

	if (!a)
		return 0;
	at = a->zero; /* the verifier must not know: it would follow each value of its own */
	for (wr_g_u32 step = WR_G_CUTS / 2; step; step >>= 1) {
		wr_g_u64 less = wr_g_less(x, y, a->cut6[(at | step) & (WR_G_CUTS - 1)]);

		at |= step & ((wr_g_u32)less - 1);
	}
	return a->row6[at & (WR_G_CUTS - 1)];
}

#define WR_G_ROW(s, r) (&(s)->row[(r) & (WR_G_ROWS - 1)])

struct wr_g_rows {
	wr_g_u64 words; /* that are left */
	wr_g_u64 m; /* of word @w, what is left */
	wr_g_u32 w;
	wr_g_u32 is; /* as of the packet */
	wr_g_u16 row[16];
};

/* Of a test of bytes; of one that no term makes it is row 0. */
#define WR_G_BYTES_ROW(s, r, i)                                                                    \
	WR_G_ROW(s, (s)->bytes[i][(r)->is >> 2 * (i)&3])

/* A value within its table, where the verifier sees it: 6.1 forgets the bounds of what was on the stack. */
WR_G_FN wr_g_u32 wr_g_within(wr_g_u32 v, wr_g_u32 last)
{
	__asm__ volatile("" : "+r"(v));
	return v & last;
}

/*
 * What the rows of a packet have in common, as @part of a row says: 0, the words that may not be zero; 1, the
 * first word itself, which is all there is of up to 64 terms. The rows go to @ret; those of dimensions that no term
 * looks at are row 0. Inline, so that of a packet whose values are in registers none is stored.
 */
WR_G_FN wr_g_u64 wr_g_look(const struct wr_g_set *s, const struct wr_g_packet *p, wr_g_u32 part,
	struct wr_g_rows *ret)
{
	wr_g_u64 left = ((const wr_g_u64 *)&s->row[0])[part];

#define WR_G_LOOK(d, table)                                                                        \
	do {                                                                                       \
		wr_g_u16 _row = 0;                                                                 \
		if (s->dims & 1u << (d)) {                                                         \
			_row = p->has & 1u << (d) ? (wr_g_u16)(table) : s->absent[d];              \
			left &= ((const wr_g_u64 *)WR_G_ROW(s, _row))[part];                       \
		}                                                                                  \
		ret->row[d] = _row;                                                                \
	} while (0)
#define WR_G_LOOK_SMALL(d) WR_G_LOOK(d, s->small[d][wr_g_within(p->v[d], 255)])
	WR_G_LOOK_SMALL(WR_G_VERSION);
	WR_G_LOOK_SMALL(WR_G_PROTO);
	WR_G_LOOK_SMALL(WR_G_TTL);
	WR_G_LOOK_SMALL(WR_G_DSCP);
	WR_G_LOOK_SMALL(WR_G_FLAGS);
	WR_G_LOOK_SMALL(WR_G_ITYPE);
	WR_G_LOOK_SMALL(WR_G_ICODE);
	WR_G_LOOK_SMALL(WR_G_FRAG);
	WR_G_LOOK(WR_G_VLAN, s->vlan[wr_g_within(p->v[WR_G_VLAN], 4095)]);
	WR_G_LOOK(WR_G_SPORT, s->wide[0][wr_g_within(p->v[WR_G_SPORT], 65535)]);
	WR_G_LOOK(WR_G_DPORT, s->wide[1][wr_g_within(p->v[WR_G_DPORT], 65535)]);
	WR_G_LOOK(WR_G_LENGTH, s->wide[2][wr_g_within(p->v[WR_G_LENGTH], 65535)]);
#define WR_G_LOOK_ADDRESS(d, i)                                                                    \
	WR_G_LOOK(d, p->looked ? p->row[i]                                                         \
		     : p->v6   ? wr_g_find6(&s->addr[i], p->addr[i][0], p->addr[i][1])             \
			       : wr_g_find4(&s->addr[i], (wr_g_u32)p->addr[i][1]))
	WR_G_LOOK_ADDRESS(WR_G_SRC, 0);
	WR_G_LOOK_ADDRESS(WR_G_DST, 1);
	return left;
}

/* The rows of a packet, and the words that they leave. */
WR_G_CALL int wr_g_rows(
	const struct wr_g_set *s, const struct wr_g_packet *p, struct wr_g_rows *ret)
{
	if (!s || !p || !ret)
		return 0;
	ret->words = wr_g_look(s, p, 0, ret);
	if (s->dims >> WR_G_BYTES) {
		ret->is = p->is;
		WR_G_ROLL
		for (int i = 0; i < WR_G_TESTS; i++)
			ret->words &= WR_G_BYTES_ROW(s, ret, i)->words;
	}
	ret->m = 0;
	return 0;
}

/* The index of the lowest bit of @x, not 0. BPF has no instruction for it, and branches would cost the verifier. */
WR_G_FN wr_g_u32 wr_g_lowest(wr_g_u64 x)
{
	static const wr_g_u8 at[64] = {0, 1, 2, 53, 3, 7, 54, 27, 4, 38, 41, 8, 34, 55, 48, 28, 62,
		5, 39, 46, 44, 42, 22, 9, 24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6, 26, 37, 40, 33,
		47, 61, 45, 43, 21, 23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15,
		30, 14, 13, 12};

	return at[(x & -x) * 0x022fdd63cc95386dull >> 58 & 63]; /* a de Bruijn sequence */
}

/* Goes on to the next word with terms that the packet matches; 0: there is none. */
WR_G_CALL int wr_g_more(const struct wr_g_set *s, struct wr_g_rows *r)
{
	wr_g_u64 m = 0;
	wr_g_u32 w;

	if (!s || !r)
		return 0;
	for (int i = 0; i < WR_G_WORDS && !m && r->words; i++) {
		w = wr_g_lowest(r->words) & (WR_G_WORDS - 1);
		r->words &= r->words - 1;
		m = s->row[0].w[w];
		WR_G_UNROLL
		for (int d = 0; d < WR_G_BYTES; d++)
			m &= WR_G_ROW(s, r->row[d])->w[w];
		if (s->dims >> WR_G_BYTES) {
			WR_G_ROLL
			for (int t = 0; t < WR_G_TESTS; t++)
				m &= WR_G_BYTES_ROW(s, r, t)->w[w];
		}
		r->w = w; /* a store here keeps the compiler from holding all rows at once */
	}
	r->m = m;
	return m != 0;
}

/* The next term that the packet matches, in order; -1: no more. */
WR_G_FN int wr_g_next(const struct wr_g_set *s, struct wr_g_rows *r)
{
	wr_g_u64 m;

	if (!r->m && !wr_g_more(s, r))
		return -1;
	m = r->m;
	r->m = m & (m - 1);
	return (int)(r->w * 64 + wr_g_lowest(m));
}

#endif
