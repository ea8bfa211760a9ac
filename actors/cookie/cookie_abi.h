/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYN cookies (RFC 4987 3.6): a SYN is answered where it arrives and nothing of it is kept; what was agreed is in
 * the numbers of the answer, which the client's ACK brings back. Shared by guard.bpf.c, which answers, by
 * cookie.bpf.c, which lets the ACK in, and by user space. The sequence number is a keyed hash of both ends, the
 * client's sequence number and the minute, plus an index of its MSS: a forged ACK has a chance of 1 in 2^29.
 * Window scale and SACK are in the low bits of the time stamp (RFC 7323), as the kernel's own cookies have them.
 */
#ifndef WR_COOKIE_ABI_H
#define WR_COOKIE_ABI_H

#include "../guard/guard_abi.h"

/* What this host's TCP does: options it does not know would not be accepted later. */
enum { WR_COOKIE_STAMPS = 1, WR_COOKIE_SCALING = 2, WR_COOKIE_SACK = 4 };
#define WR_COOKIE_WSCALE 7 /* of this host's window */
#define WR_COOKIE_AGE 2 /* periods of 2^36 ns (69 s) that a cookie is good for */

struct wr_cookie_ctl {
	wr_g_u64 key[2];
	wr_g_u32 flags;
	wr_g_u16 mss4, mss6; /* of this host */
	wr_g_u64 last; /* period in which a SYN was answered last, 0: never */
	wr_g_u64 made; /* connections */
};

/* A connection as the client sends: addresses (IPv4: a[1] and a[3]), ports, its first sequence number. */
struct wr_cookie_of {
	wr_g_u64 a[4];
	wr_g_u16 sport, dport;
	wr_g_u32 seq;
	wr_g_u32 v6;
};

#define WR_COOKIE_ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))
#define WR_COOKIE_ROUND(v)                                                                         \
	do {                                                                                       \
		(v)[0] += (v)[1];                                                                  \
		(v)[1] = WR_COOKIE_ROTL((v)[1], 13) ^ (v)[0];                                      \
		(v)[0] = WR_COOKIE_ROTL((v)[0], 32);                                               \
		(v)[2] += (v)[3];                                                                  \
		(v)[3] = WR_COOKIE_ROTL((v)[3], 16) ^ (v)[2];                                      \
		(v)[0] += (v)[3];                                                                  \
		(v)[3] = WR_COOKIE_ROTL((v)[3], 21) ^ (v)[0];                                      \
		(v)[2] += (v)[1];                                                                  \
		(v)[1] = WR_COOKIE_ROTL((v)[1], 17) ^ (v)[2];                                      \
		(v)[2] = WR_COOKIE_ROTL((v)[2], 32);                                               \
	} while (0)

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of @n words of 64 bits. */
WR_G_FN wr_g_u64 wr_cookie_sip(const wr_g_u64 key[2], const wr_g_u64 *m, int n)
{
	wr_g_u64 v[4] = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
		key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull};
	wr_g_u64 last = (wr_g_u64)n << 59; /* bytes modulo 256, in the highest byte */

	for (int i = 0; i < n; i++) {
		v[3] ^= m[i];
		WR_COOKIE_ROUND(v);
		WR_COOKIE_ROUND(v);
		v[0] ^= m[i];
	}
	v[3] ^= last;
	WR_COOKIE_ROUND(v);
	WR_COOKIE_ROUND(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	WR_COOKIE_ROUND(v);
	WR_COOKIE_ROUND(v);
	WR_COOKIE_ROUND(v);
	WR_COOKIE_ROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

WR_G_FN wr_g_u32 wr_cookie_hash(
	const struct wr_cookie_ctl *c, const struct wr_cookie_of *o, wr_g_u64 period)
{
	wr_g_u64 ends = (wr_g_u64)o->sport << 48 | (wr_g_u64)o->dport << 32 | o->seq;

	if (!o->v6) {
		wr_g_u64 m[3] = {o->a[1] << 32 | o->a[3], ends, period};

		return (wr_g_u32)wr_cookie_sip(c->key, m, 3);
	} else {
		wr_g_u64 m[6] = {o->a[0], o->a[1], o->a[2], o->a[3], ends, period};

		return (wr_g_u32)wr_cookie_sip(c->key, m, 6);
	}
}

/* MSS that a cookie can hold; the largest that the client's is not below. */
WR_G_FN wr_g_u32 wr_cookie_mss(wr_g_u32 v6, wr_g_u32 i)
{
	if (v6)
		return i == 3 ? 8940 : i == 2 ? 1440 : i == 1 ? 1420 : 1220;
	return i == 3 ? 1460 : i == 2 ? 1440 : i == 1 ? 1300 : 536;
}

WR_G_FN wr_g_u32 wr_cookie_mss_index(wr_g_u32 v6, wr_g_u32 mss)
{
	return mss >= wr_cookie_mss(v6, 3)   ? 3
	       : mss >= wr_cookie_mss(v6, 2) ? 2
	       : mss >= wr_cookie_mss(v6, 1) ? 1
					     : 0;
}

/* The sequence number of the answer. */
WR_G_FN wr_g_u32 wr_cookie_make(
	const struct wr_cookie_ctl *c, const struct wr_cookie_of *o, wr_g_u64 period, wr_g_u32 mss)
{
	return wr_cookie_hash(c, o, period) + wr_cookie_mss_index(o->v6, mss);
}

/* The MSS in a cookie that was made here not long ago; 0: it was not. */
WR_G_FN wr_g_u32 wr_cookie_check(const struct wr_cookie_ctl *c, const struct wr_cookie_of *o,
	wr_g_u64 period, wr_g_u32 cookie)
{
	for (int i = 0; i < WR_COOKIE_AGE; i++) {
		wr_g_u32 d = cookie - wr_cookie_hash(c, o, period - (wr_g_u64)i);

		if (d < 4)
			return wr_cookie_mss(o->v6, d);
	}
	return 0;
}

/* What a SYN's options say; an ACK's time stamp brings back bits 0 to 3 window scale (15: none), 4 SACK. */
struct wr_cookie_opts {
	wr_g_u32 mss, tsval, tsecr;
	wr_g_u8 stamp, sack, wscale, pad; /* wscale 15: none */
};

/* TCP options; what stands behind them does not matter. */
struct wr_cookie_bytes {
	wr_g_u8 b[64];
};

/* The option at @at of @n bytes; where the next one is, 64: there is none. What is not well formed ends them. */
WR_G_CALL wr_g_u32 wr_cookie_option(
	const struct wr_cookie_bytes *o, wr_g_u32 at, wr_g_u32 n, struct wr_cookie_opts *r)
{
	wr_g_u8 kind, len;

	if (!o || !r || at >= 40 || at >= n)
		return 64;
#define WR_COOKIE_BYTE(i) ((wr_g_u32)o->b[(at + (i)) & 63])
#define WR_COOKIE_32(i)                                                                            \
	(WR_COOKIE_BYTE(i) << 24 | WR_COOKIE_BYTE((i) + 1) << 16 | WR_COOKIE_BYTE((i) + 2) << 8 |  \
		WR_COOKIE_BYTE((i) + 3))
	kind = WR_COOKIE_BYTE(0);
	len = WR_COOKIE_BYTE(1);
	if (kind == 1)
		return at + 1;
	if (!kind || len < 2 || at + len > n)
		return 64;
	if (kind == 2 && len == 4) {
		r->mss = WR_COOKIE_BYTE(2) << 8 | WR_COOKIE_BYTE(3);
	} else if (kind == 3 && len == 3) {
		r->wscale = WR_COOKIE_BYTE(2) > 14 ? 14 : WR_COOKIE_BYTE(2); /* RFC 7323 2.3 */
	} else if (kind == 4 && len == 2) {
		r->sack = 1;
	} else if (kind == 8 && len == 10) {
		r->stamp = 1;
		r->tsval = WR_COOKIE_32(2);
		r->tsecr = WR_COOKIE_32(6);
	}
	return at + len;
#undef WR_COOKIE_BYTE
#undef WR_COOKIE_32
}

/*
 * Of 20 bytes that are MSS, SACK, time stamps, a pad and window scale in this order, as Linux sends them: five
 * words as on the wire. 0: they are others, and @r is as before.
 */
WR_G_FN int wr_cookie_read_usual(const wr_g_u32 *o, struct wr_cookie_opts *r)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WR_COOKIE_WORD(i) __builtin_bswap32(o[i])
#else
#define WR_COOKIE_WORD(i) (o[i])
#endif
	wr_g_u32 mss = WR_COOKIE_WORD(0), scale = WR_COOKIE_WORD(4);

	if (mss >> 16 != 0x0204 || WR_COOKIE_WORD(1) != 0x0402080a || scale >> 8 != 0x010303)
		return 0;
	r->mss = mss & 0xffff;
	r->stamp = r->sack = 1;
	r->pad = 0;
	r->wscale = (scale & 0xff) > 14 ? 14 : scale & 0xff;
	r->tsval = WR_COOKIE_WORD(2);
	r->tsecr = WR_COOKIE_WORD(3);
	return 1;
#undef WR_COOKIE_WORD
}

WR_G_FN void wr_cookie_read(const struct wr_cookie_bytes *o, wr_g_u32 n, struct wr_cookie_opts *r)
{
	wr_g_u32 at = 0;

	r->mss = 536; /* RFC 9293 3.7.1 */
	r->wscale = 15;
	r->stamp = r->sack = r->pad = 0;
	r->tsval = r->tsecr = 0;
	for (int i = 0; i < 20 && at < 40; i++)
		at = wr_cookie_option(o, at, n, r);
}

#endif
