// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guard in the kernel: a packet's headers are walked once (walk.h), its rule is found (guard_abi.h), and what
 * the rule says is done and counted. The same program at XDP (native or generic) and at tc ingress. What cannot
 * be parsed has counters and a verdict of its own: it never passes unseen. Memory is fixed: nothing is kept per
 * source.
 */
#include "../../bpf/wr_kernel.h"
#include "../../bpf/wr_bytes.h"
#include "../../bpf/wr_mark.h"
#include "../cookie/cookie_abi.h"
#include <bpf/bpf_helpers.h>
#include "walk.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_LAYERS 3 /* a packet, and what is in up to two tunnels */
#define MAX_MATCHES 8 /* rules that are asked about a packet: the first ones */
#define SAMPLE 1024 /* of the packets that a rule drops the first is shown, then one of so many */
#define SHOWN 128 /* with a verdict: this one */

enum { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3 };
enum { BPF_F_RECOMPUTE_CSUM = 1 };
enum { TCX_NEXT = -1, TCX_DROP = 2 };

/*
 * Maps that are swapped whole, each in the one place of an outer map. Inner maps are told by sizes: user space
 * makes theirs without BTF, and 6.1 wants both alike.
 */
#define SWAPPED(name, inner, entries, flags, size)                                                 \
	struct inner {                                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, entries);                                                      \
		__uint(map_flags, flags);                                                          \
		__uint(key_size, 4);                                                               \
		__uint(value_size, size);                                                          \
	};                                                                                         \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                          \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__array(values, struct inner);                                                     \
	} name SEC(".maps")

SWAPPED(wr_g_sets, set_map, 1, 0, sizeof(struct wr_g_set));
SWAPPED(wr_g_lists, list_map, 65536, 0, sizeof(struct wr_g_16));
SWAPPED(wr_g_parts, part_map, 1, BPF_F_INNER_MAP, sizeof(struct wr_g_24));
SWAPPED(wr_g_sixes, six_map, 1, BPF_F_INNER_MAP, sizeof(struct wr_g_6));

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WR_G_SLOTS);
	__type(key, __u32);
	__type(value, struct wr_g_count);
} wr_g_counts SEC(".maps");

struct stats {
	__u64 n[WR_G_STATS];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stats);
} wr_g_stats SEC(".maps");

struct buckets {
	__u64 t[2][WR_G_BUCKETS]; /* when each is empty again, 1/256 ns */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct buckets);
} wr_g_buckets SEC(".maps");

struct frag {
	__u64 addr[2][2];
	__u32 id;
	__u16 proto, v6;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct frag);
	__type(value, __u32); /* the slot of the rule that dropped the first fragment */
} wr_g_frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_cookie_ctl);
} wr_cookie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} wr_g_samples SEC(".maps");

enum {
	VERDICT_NONE,
	VERDICT_ALLOW,
	VERDICT_DROP,
	VERDICT_COOKIE,
	VERDICT_REJECT,
	VERDICT_TARPIT,
	VERDICT_LIMIT,
	VERDICT_LATER,
};

/* Eight bytes at @off, the first one highest; what is not there is 0. Not static: walked once. */
__noinline __u64 word_xdp(struct xdp_md *ctx, __u32 off)
{
	__u8 *h = (void *)(long)ctx->data + (off & 8191), *end = (void *)(long)ctx->data_end;
	__u64 v = 0;

	if (h + 8 <= end)
		return be64_at(h);
	for (int i = 0; i < 7; i++) {
		if (h + i + 1 <= end)
			v |= (__u64)h[i] << (56 - 8 * i);
	}
	return v;
}

__noinline __u64 word_tc(struct __sk_buff *ctx, __u32 off)
{
	__u64 v = 0;
	__u32 n = ctx->len - off;

	if (off >= ctx->len)
		return 0;
	if (n >= 8 ? bpf_skb_load_bytes(ctx, off, &v, 8)
		   : bpf_skb_load_bytes(ctx, off, &v, ((n - 1) & 7) + 1))
		return 0;
	return __builtin_bswap64(v);
}

/* Which tests of bytes hold. */
static __always_inline void test_bytes(
	void *ctx, int tc, const struct wr_g_set *s, const struct walk *w, struct wr_g_packet *p)
{
	for (int i = 0; i < WR_G_TESTS; i++) {
		const struct wr_g_test *t = &s->test[i];
		__u32 off = w->payload + t->off;
		__u64 v;

		if (!t->len)
			break;
		if (off + t->len > w->top || off + t->len > p->bytes)
			continue;
		v = tc ? word_tc(ctx, off) : word_xdp(ctx, off);
		p->is ^= (__u32)((v & t->mask) == t->value ? WR_G_NONE ^ WR_G_IS
							  : WR_G_NONE ^ WR_G_DIFFERS)
			 << 2 * i;
	}
}

__noinline int bytes_xdp(
	struct xdp_md *ctx, const struct wr_g_set *s, const struct walk *w, struct wr_g_packet *p)
{
	if (s && w && p)
		test_bytes(ctx, 0, s, w, p);
	return 0;
}

__noinline int bytes_tc(struct __sk_buff *ctx, const struct wr_g_set *s, const struct walk *w,
	struct wr_g_packet *p)
{
	if (s && w && p)
		test_bytes(ctx, 1, s, w, p);
	return 0;
}

static __always_inline __u64 mix(__u64 a, __u64 b)
{
	__u64 x = (a ^ 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;

	x = (x ^ x >> 32 ^ b) * 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 29;
}

/* When a bucket that takes this packet is empty again; 0: it is full. Any room takes a packet of any size. */
static __always_inline __u64 room(__u64 at, __u64 now, __u64 cost, __u64 burst)
{
	if ((__s64)(at - now) < 0)
		at = now;
	return at - now > burst ? 0 : at + cost;
}

/*
 * Is the packet over the rate? Leaky buckets (the generic cell rate algorithm, ITU-T I.371), two for each key:
 * a quiet source is held back only when both of its buckets are shared with loud ones.
 */
__noinline int over(const struct wr_g_term *t, const struct wr_g_packet *p, __u64 now)
{
	__u32 zero = 0, i, j;
	struct buckets *b = bpf_map_lookup_elem(&wr_g_buckets, &zero);
	__u64 hi = 0, lo = 0, key, cost, x, y, a, c;

	if (!b || !t || !p)
		return 0;
	cost = t->packet_cost + t->byte_cost * p->bytes;
	if (t->per) {
		__u32 d = t->per == WR_G_PER_DST, bits = t->bits6;

		hi = d ? p->addr[1][0] : p->addr[0][0];
		lo = d ? p->addr[1][1] : p->addr[0][1];
		if (!p->v6) {
			lo &= t->mask4;
		} else if (bits <= 64) {
			hi &= ~0ull << (64 - (bits & 63)) | -(__u64)(bits >= 64);
			lo = 0;
		} else {
			lo &= ~0ull << (128 - bits & 63) | -(__u64)(bits >= 128);
		}
	}
	lo ^= (__u64)t->slot << 40;
	key = mix(hi, lo);
	i = key >> 16 & (WR_G_BUCKETS - 1);
	j = key >> 44 & (WR_G_BUCKETS - 1);
	x = b->t[0][i];
	y = b->t[1][j];
	a = room(x, now, cost, t->burst);
	c = room(y, now, cost, t->burst);
	/* packets that two CPUs let in at a time share the room: at most one a CPU is too many */
	if (a)
		*(volatile __u64 *)&b->t[0][i] = a;
	if (c)
		*(volatile __u64 *)&b->t[1][j] = c;
	return !a && !c;
}

/* Counts for the rule; which of its packets on this CPU is it? */
static __always_inline __u64 hit(__u32 slot, __u32 bytes, __u64 now, int acted)
{
	struct wr_g_count *c = bpf_map_lookup_elem(&wr_g_counts, &slot);

	if (!c)
		return 1;
	c->matched++;
	if (!acted)
		return 1;
	c->bytes += bytes;
	c->last = now;
	return c->packets++;
}

static __always_inline __u32 verdict_of(__u8 action)
{
	return action == WR_G_ALLOW  ? VERDICT_ALLOW
	       : action == WR_G_DROP ? VERDICT_DROP
	       : action == WR_G_COOKIE ? VERDICT_COOKIE
	       : action == WR_G_REJECT ? VERDICT_REJECT
	       : action == WR_G_TARPIT ? VERDICT_TARPIT
				     : VERDICT_LIMIT;
}

/* Does it depend on sockets what becomes of a packet? Then it is counted when that is known. */
static __always_inline int asks_sockets(__u8 action)
{
	return action == WR_G_COOKIE || action == WR_G_TARPIT;
}

static __always_inline int is_syn(const struct wr_g_packet *p)
{
	return p->has & 1u << WR_G_FLAGS && (p->v[WR_G_FLAGS] & 0x17) == 2; /* no FIN, RST, ACK */
}

/*
 * What the rules say: allow wins, then drop, then the limits; in the order of their bits. The verdict, with the
 * slot above bit 8. @found: the terms that match, if they are known. Not static, so that the verifier walks it once
 * and not for each layer.
 */
__noinline int judge(const struct wr_g_set *s, const struct wr_g_packet *p, __u64 found)
{
	struct wr_g_rows r = {.m = found};
	__u32 done = ~0u;
	__u64 now, nth;

	if (!s || !p)
		return VERDICT_NONE;
	if (!found)
		wr_g_rows(s, p, &r);
	if (!r.words && !r.m)
		return VERDICT_NONE;
	now = bpf_jiffies64();
	WR_G_ROLL
	for (int i = 0; i < MAX_MATCHES; i++) {
		const struct wr_g_term *t;
		int at = wr_g_next(s, &r), acted = 1;

		if (at < 0)
			break;
		t = &s->term[at & (WR_G_TERMS - 1)];
		if (t->slot == done || (t->expires && now > t->expires))
			continue;
		if (t->action == WR_G_COOKIE && !is_syn(p))
			continue;
		if (t->action == WR_G_TARPIT && !(p->has & 1u << WR_G_FLAGS))
			continue;
		if (t->action == WR_G_LIMIT || t->packet_cost)
			acted = over(t, p, now * s->tick);
		/* of those that are answered by themselves: they have no example */
		nth = hit(t->slot, p->bytes, now, acted && !asks_sockets(t->action));
		done = t->slot;
		if (acted)
			return (int)(t->slot << 8 | verdict_of(t->action) |
				     (nth & (SAMPLE - 1) ? 0 : SHOWN));
	}
	return VERDICT_NONE;
}

/* Is the IPv6 source on the list? Not static: the verifier walks it once, by itself. */
__noinline int listed6(const struct wr_g_packet *p)
{
	__u32 zero = 0, at = 0, last = ~0u;
	void *six = bpf_map_lookup_elem(&wr_g_sixes, &zero);
	const struct wr_g_6 *n;
	__u64 x, y;

	if (!six || !p)
		return 0;
	x = p->addr[0][0];
	y = p->addr[0][1];
	for (int i = 0; i < WR_G_LEVELS; i++) {
		__u32 below;

		n = bpf_map_lookup_elem(six, &at);
		if (!n)
			break;
		below = wr_g_below(n, x, y);
		last = below ? at * 4 + below - 1 : last;
		at = at * 5 + 1 + below;
	}
	at = last >> 2; /* the last range that begins at or below it */
	n = last == ~0u ? 0 : bpf_map_lookup_elem(six, &at);
	return n && !wr_g_less(n->to[last & 3][0], n->to[last & 3][1], p->addr[0]);
}

static __always_inline int listed4(__u32 src)
{
	__u32 zero = 0, hi = src >> 16, part = 0;
	void *list = bpf_map_lookup_elem(&wr_g_lists, &zero);
	const struct wr_g_16 *b = list ? bpf_map_lookup_elem(list, &hi) : 0;
	int is = b ? wr_g_listed(b, src, &part) : 0;

	if (is == 2) {
		void *parts = bpf_map_lookup_elem(&wr_g_parts, &zero);
		const struct wr_g_24 *bits = parts ? bpf_map_lookup_elem(parts, &part) : 0;

		is = bits && bits->bit[src >> 6 & 3] >> (src & 63) & 1;
	}
	return is;
}

/* The source is on the list: is that in force? Then it is counted for the rule. */
static __always_inline int listed(const struct wr_g_set *s, const struct wr_g_packet *p)
{
	__u32 slot = s->list_slot;
	__u64 now;

	now = bpf_jiffies64();
	if (s->list_expires && now > s->list_expires)
		return 0;
	return hit(slot, p->bytes, now, 1) & (SAMPLE - 1) ? 1 : 1 | SHOWN;
}

static __always_inline void key_of(const struct walk *w, const struct wr_g_packet *p, struct frag *f)
{
	__builtin_memcpy(f->addr, p->addr, sizeof(p->addr));
	f->id = w->id;
	f->proto = p->v[WR_G_PROTO];
	f->v6 = p->v6;
}

/* A later fragment has no ports: the verdict of the first holds for it. Its slot and one; 0: it passed. */
static __noinline __u32 later(const struct walk *w, const struct wr_g_packet *p)
{
	struct frag f = {};
	__u32 *slot;

	key_of(w, p, &f);
	slot = bpf_map_lookup_elem(&wr_g_frags, &f);
	return slot ? *slot + 1 : 0;
}

/* The first fragment was dropped. */
static __noinline void dropped(const struct walk *w, const struct wr_g_packet *p, __u32 slot)
{
	struct frag f = {};

	key_of(w, p, &f);
	bpf_map_update_elem(&wr_g_frags, &f, &slot, BPF_ANY);
}

static __always_inline void sample(
	void *data, void *end, __u32 slot, __u32 ifindex, __u32 bytes)
{
	struct wr_g_sample *r;

	r = bpf_ringbuf_reserve(&wr_g_samples, sizeof(*r), 0);
	if (!r)
		return;
	r->slot = slot;
	r->ifindex = ifindex;
	r->bytes = bytes;
	r->n = 0;
	if (data + sizeof(r->head) <= end) {
		__builtin_memcpy(r->head, data, sizeof(r->head));
		r->n = sizeof(r->head);
	} else if (data + 42 <= end) { /* Ethernet, IPv4, UDP */
		__builtin_memcpy(r->head, data, 42);
		r->n = 42;
	}
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

/*
 * Not on the stack, which has no room (512 bytes with those who call): options of a SYN that are in no usual order,
 * and the headers of the answer where they cannot be written into the packet.
 */
struct answer {
	struct wr_cookie_bytes opt;
	__u32 head[20];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer);
} wr_g_answer SEC(".maps");

#define DATA(ctx, tc)                                                                              \
	((void *)(long)(tc ? ((struct __sk_buff *)ctx)->data : ((struct xdp_md *)ctx)->data))
#define DATA_END(ctx, tc)                                                                          \
	((void *)(long)(tc ? ((struct __sk_buff *)ctx)->data_end                                   \
			   : ((struct xdp_md *)ctx)->data_end))

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* One of the packet's ends, in words as on the wire: IPv4 one, IPv6 four. Their sum. */
static __always_inline __u64 address(const struct wr_g_packet *p, int end, int v6, __u32 *to)
{
	if (!v6) {
		to[0] = bpf_htonl((__u32)p->addr[end][1]);
		return to[0];
	}
	to[0] = bpf_htonl((__u32)(p->addr[end][0] >> 32));
	to[1] = bpf_htonl((__u32)p->addr[end][0]);
	to[2] = bpf_htonl((__u32)(p->addr[end][1] >> 32));
	to[3] = bpf_htonl((__u32)p->addr[end][1]);
	return (__u64)to[0] + to[1] + to[2] + to[3];
}

/* The state of the socket of this host that it is for; 0: there is none. */
static __always_inline __u32 socket_of(void *ctx, const struct wr_g_packet *p, int v6)
{
	__u32 ports = bpf_htonl((__u32)p->v[WR_G_SPORT] << 16 | p->v[WR_G_DPORT]);
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 state;

	if (v6) {
		address(p, 0, 1, t.ipv6.saddr);
		address(p, 1, 1, t.ipv6.daddr);
		__builtin_memcpy(&t.ipv6.sport, &ports, 4);
	} else {
		address(p, 0, 0, &t.ipv4.saddr);
		address(p, 1, 0, &t.ipv4.daddr);
		__builtin_memcpy(&t.ipv4.sport, &ports, 4);
	}
	sk = bpf_skc_lookup_tcp(ctx, &t, v6 ? sizeof(t.ipv6) : sizeof(t.ipv4), -1, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

/* Sequence number and options of the SYN at @at. -1: not whole. */
static __always_inline int read_syn(void *ctx, int tc, __u32 at, __u32 bytes, struct answer *a,
	struct wr_cookie_opts *q, __u32 *ret_seq)
{
	void *end = DATA_END(ctx, tc);
	__u8 *h = DATA(ctx, tc) + at;
	__u32 n;

	if ((void *)h + 20 > end)
		return -1;
	n = (h[12] >> 4) * 4;
	if (n < 20 || at + n > bytes)
		return -1;
	*ret_seq = bpf_ntohl(*(__u32 *)(h + 4));
	if (n == 40 && (void *)h + 40 <= end && wr_cookie_read_usual((__u32 *)(h + 20), q))
		return 0;
	n -= 20;
	/* sizes that the verifier can see */
#define LOAD(off, to, n)                                                                           \
	(tc ? bpf_skb_load_bytes(ctx, off, to, n) : bpf_xdp_load_bytes(ctx, off, to, n))
	if (n >= 40 ? LOAD(at + 20, a->opt.b, 40)
		    : n && LOAD(at + 20, a->opt.b, ((n - 1) & 63) + 1))
		return -1;
#undef LOAD
	wr_cookie_read(&a->opt, n, q);
	return 0;
}

/*
 * The IP header of an answer with @len bytes of TCP behind it, the ends changed over: the sum that its TCP checksum
 * begins with. Checksums are sums of words: the order of bytes does not matter (RFC 1071 2).
 */
static __always_inline __u64 write_ip(__u32 *o, const struct wr_g_packet *p, int v6, __u32 len)
{
	__u64 sum = address(p, 1, v6, o + (v6 ? 2 : 3)), ip;

	sum += address(p, 0, v6, o + (v6 ? 6 : 4));
	if (v6) {
		o[0] = bpf_htonl(0x60000000);
		o[1] = bpf_htonl(len << 16 | IPPROTO_TCP << 8 | 64);
	} else {
		o[0] = bpf_htonl(0x45000000 | (20 + len));
		o[1] = bpf_htonl(0x4000); /* do not fragment */
		o[2] = bpf_htonl(64 << 24 | IPPROTO_TCP << 16);
		ip = sum + o[0] + o[1] + o[2];
		*((__u16 *)o + 5) = fold(ip);
	}
	return sum + bpf_htonl(len) + (__u64)bpf_htonl(IPPROTO_TCP);
}

/*
 * The headers of the answer, at @o of which @end is the end: 20 bytes of options when the client has time stamps,
 * else its MSS alone. -1: no room.
 */
static __always_inline int write_answer(__u32 *o, void *end, const struct wr_cookie_ctl *c,
	const struct wr_g_packet *p, int v6, const struct wr_cookie_opts *q, __u32 seq, __u64 now)
{
	struct wr_cookie_of of = {.sport = p->v[WR_G_SPORT], .dport = p->v[WR_G_DPORT], .v6 = v6};
	__u32 *t = o + (v6 ? 10 : 5), len = q->stamp ? 40 : 24;
	__u64 sum;

	if ((void *)(t + 6) > end)
		return -1;
	of.a[0] = p->addr[0][0];
	of.a[1] = p->addr[0][1];
	of.a[2] = p->addr[1][0];
	of.a[3] = p->addr[1][1];
	of.seq = seq;
	sum = write_ip(o, p, v6, len);
#define PUT(i, v) sum += t[i] = bpf_htonl(v)
	PUT(0, (__u32)of.dport << 16 | of.sport);
	PUT(1, wr_cookie_make(c, &of, now >> 36, q->mss));
	PUT(2, seq + 1);
	PUT(3, len << 26 | 0x12 << 16 | 65535); /* SYN, ACK */
	PUT(4, 0);
	PUT(5, 2 << 24 | 4 << 16 | (v6 ? c->mss6 : c->mss4));
	if (q->stamp) {
		if ((void *)(t + 10) > end)
			return -1;
		PUT(6, (q->sack ? 0x0402 : 0x0101) << 16 | 8 << 8 | 10);
		PUT(7, (__u32)(now >> 20) << 6 | q->sack << 4 | q->wscale);
		PUT(8, q->tsval);
		PUT(9, q->wscale < 15 ? 0x01030300 | WR_COOKIE_WSCALE : 0x01010101);
	}
#undef PUT
	*((__u16 *)t + 8) = fold(sum);
	return 0;
}

/* Set by the loader: a kernel that takes no cookies need not understand how they are made (6.1 does not). */
const volatile __u8 wr_g_cookies SEC(".rodata.cookies") = 0;

enum { ANSWER_PASS, ANSWER_DROP, ANSWERED };

static __always_inline void acted_on(__u32 slot, __u32 bytes, __u64 now)
{
	struct wr_g_count *c = bpf_map_lookup_elem(&wr_g_counts, &slot);

	if (!c)
		return;
	c->packets++;
	c->bytes += bytes;
	c->last = now;
}

/* Ethernet's addresses, changed over. */
struct turned {
	__u32 a;
	__u16 b, c;
	__u32 d;
};

static __always_inline int answer(
	void *ctx, int tc, const struct walk *w, const struct wr_g_packet *p, int v6)
{
	__u32 zero = 0, ip = w->ip, head = v6 ? 40 : 20, seq, len, bytes = p->bytes;
	struct wr_cookie_ctl *c = bpf_map_lookup_elem(&wr_cookie, &zero);
	__u64 now = bpf_ktime_get_coarse_ns();
	struct answer *a = bpf_map_lookup_elem(&wr_g_answer, &zero);
	struct wr_cookie_opts q;
	struct turned m;
	__u8 *d;

	/* options of IPv4, extension headers, the inside of tunnels, fragments: no place to answer from */
	if (!c || !a || w->off != ip + head || w->first || w->later || ip > 64)
		return ANSWER_DROP;
	barrier_var(ip); /* of this one the verifier knows the bound */
	if (read_syn(ctx, tc, ip + head, bytes, a, &q, &seq))
		return ANSWER_DROP;
	if (socket_of(ctx, p, v6) != TCP_LISTEN)
		return ANSWER_PASS;
	q.stamp &= (c->flags & WR_COOKIE_STAMPS) != 0;
	q.sack &= (c->flags & WR_COOKIE_SACK) != 0;
	if (!(c->flags & WR_COOKIE_SCALING))
		q.wscale = 15;
	len = ip + head + (q.stamp ? 40 : 24);
	/* written into the packet at tc, it would be copied for every reader, whatever becomes of it */
	if (tc && write_answer(a->head, a->head + 20, c, p, v6, &q, seq, now))
		return ANSWER_DROP;
	if (len != bytes && (tc ? bpf_skb_change_tail(ctx, len, 0)
				: bpf_xdp_adjust_tail(ctx, (int)len - (int)bytes)))
		return ANSWER_DROP;
	d = DATA(ctx, tc);
	if ((void *)d + 14 > DATA_END(ctx, tc))
		return ANSWER_DROP;
	m = (struct turned){
		*(__u32 *)(d + 6), *(__u16 *)(d + 10), *(__u16 *)d, *(__u32 *)(d + 2)};
	if (tc) {
#define STORE(off, from, n) bpf_skb_store_bytes(ctx, off, from, n, BPF_F_RECOMPUTE_CSUM)
		if (STORE(0, &m, 12) || (q.stamp ? STORE(ip, a->head, v6 ? 80 : 60)
						 : STORE(ip, a->head, v6 ? 64 : 44)))
			return ANSWER_DROP;
#undef STORE
	} else {
		*(__u32 *)d = m.a;
		*(__u16 *)(d + 4) = m.b;
		*(__u16 *)(d + 6) = m.c;
		*(__u32 *)(d + 8) = m.d;
		if (write_answer((void *)d + ip, DATA_END(ctx, tc), c, p, v6, &q, seq, now))
			return ANSWER_DROP;
	}
	if (c->last != now >> 36)
		c->last = now >> 36;
	return ANSWERED;
}

static __noinline int answer_xdp(struct xdp_md *ctx, struct walk *w, struct wr_g_packet *p)
{
	if (!w || !p)
		return ANSWER_DROP;
	return p->v6 ? answer(ctx, 0, w, p, 1) : answer(ctx, 0, w, p, 0);
}

static __noinline int answer_tc(struct __sk_buff *ctx, struct walk *w, struct wr_g_packet *p)
{
	if (!w || !p)
		return ANSWER_DROP;
	return p->v6 ? answer(ctx, 1, w, p, 1) : answer(ctx, 1, w, p, 0);
}

/* include/uapi/linux/bpf.h */
struct bpf_fib_lookup {
	__u8 family, l4_protocol;
	__be16 sport, dport;
	__u16 tot_len;
	__u32 ifindex, flowinfo;
	__u32 src[4], dst[4]; /* IPv4: the first */
	__u32 tbid, mark[3];
};
enum { FIB_NOT_FWDED = 4, FIB_FWD_DISABLED = 5 };

/* Would this host send it onward? Then it is not for us to answer. */
static __always_inline int forwarded(void *ctx, const struct wr_g_packet *p, int v6, __u32 ifindex)
{
	struct bpf_fib_lookup f = {.family = v6 ? AF_INET6 : AF_INET,
		.l4_protocol = IPPROTO_TCP,
		.ifindex = ifindex};
	long rc;

	address(p, 0, v6, f.src);
	address(p, 1, v6, f.dst);
	rc = bpf_fib_lookup(ctx, &f, sizeof(f), 0);
	return rc != FIB_NOT_FWDED && rc != FIB_FWD_DISABLED;
}

/*
 * An answer of which nobody remembers anything. reject: a reset (RFC 9293 3.10.7.1), for what is no reset itself.
 * tarpit: a SYN+ACK with a closed window, where no socket of this host is; what comes behind it is lost. What this
 * host would forward passes.
 */
static __always_inline int answer_plain(
	void *ctx, int tc, const struct walk *w, const struct wr_g_packet *p, int tarpit, int v6)
{
	__u32 zero = 0, ip = w->ip, head = v6 ? 40 : 20, len, bytes = p->bytes;
	__u32 flags = p->v[WR_G_FLAGS];
	struct answer *a = bpf_map_lookup_elem(&wr_g_answer, &zero);
	__u32 *o, *t, from[2]; /* its numbers: sequence, acknowledgement */
	__u32 ifindex = tc ? ((struct __sk_buff *)ctx)->ifindex
			   : ((struct xdp_md *)ctx)->ingress_ifindex;
	__u16 mac[9];
	__u64 sum;

	if (!a || w->off != ip + head || w->first || w->later || ip > 64 ||
		!(p->has & 1u << WR_G_FLAGS))
		return ANSWER_DROP;
	barrier_var(ip);
	if (tarpit && (socket_of(ctx, p, v6) || forwarded(ctx, p, v6, ifindex)))
		return ANSWER_PASS;
	if (tarpit ? !is_syn(p) : flags & 4)
		return ANSWER_DROP;
#define LOAD(off, to, n)                                                                           \
	(tc ? bpf_skb_load_bytes(ctx, off, to, n) : bpf_xdp_load_bytes(ctx, off, to, n))
#define STORE(off, from, n)                                                                        \
	(tc ? bpf_skb_store_bytes(ctx, off, from, n, BPF_F_RECOMPUTE_CSUM)                         \
	    : bpf_xdp_store_bytes(ctx, off, from, n))
	if (LOAD(ip + head + 4, from, 8) || LOAD(0, mac, 12))
		return ANSWER_DROP;
	o = a->head;
	t = o + (v6 ? 10 : 5);
	len = tarpit ? 24 : 20;
	sum = write_ip(o, p, v6, len);
#define PUT(i, v) sum += t[i] = bpf_htonl(v)
	PUT(0, (__u32)p->v[WR_G_DPORT] << 16 | p->v[WR_G_SPORT]);
	if (tarpit) {
		PUT(1, bpf_get_prandom_u32());
		PUT(2, bpf_ntohl(from[0]) + 1);
		PUT(3, 6 << 28 | 0x12 << 16);
		PUT(5, 2 << 24 | 4 << 16 | (v6 ? 1220 : 536));
	} else if (flags & 0x10) {
		PUT(1, bpf_ntohl(from[1]));
		PUT(2, 0);
		PUT(3, 5 << 28 | 0x04 << 16);
	} else { /* padding could be taken for data: as if it had none */
		PUT(1, 0);
		PUT(2, bpf_ntohl(from[0]) + (flags & 1) + (flags >> 1 & 1));
		PUT(3, 5 << 28 | 0x14 << 16);
	}
	PUT(4, 0);
#undef PUT
	*((__u16 *)t + 8) = fold(sum);
	len += ip + head;
	if (len != bytes && (tc ? bpf_skb_change_tail(ctx, len, 0)
				: bpf_xdp_adjust_tail(ctx, (int)len - (int)bytes)))
		return ANSWER_DROP;
	for (int k = 0; k < 3; k++) { /* Ethernet's addresses, changed over */
		mac[6 + k] = mac[k];
		mac[k] = mac[3 + k];
		mac[3 + k] = mac[6 + k];
	}
	if (STORE(0, mac, 12) || (tarpit ? STORE(ip, o, v6 ? 64 : 44) : STORE(ip, o, v6 ? 60 : 40)))
		return ANSWER_DROP;
#undef LOAD
#undef STORE
	return ANSWERED;
}

static __noinline int plain_xdp(
	struct xdp_md *ctx, struct walk *w, struct wr_g_packet *p, int tarpit)
{
	if (!w || !p)
		return ANSWER_DROP;
	return p->v6 ? answer_plain(ctx, 0, w, p, tarpit, 1)
		     : answer_plain(ctx, 0, w, p, tarpit, 0);
}

static __noinline int plain_tc(
	struct __sk_buff *ctx, struct walk *w, struct wr_g_packet *p, int tarpit)
{
	if (!w || !p)
		return ANSWER_DROP;
	return p->v6 ? answer_plain(ctx, 1, w, p, tarpit, 1)
		     : answer_plain(ctx, 1, w, p, tarpit, 0);
}

static __always_inline int answers(int verdict)
{
	return verdict == VERDICT_COOKIE || verdict == VERDICT_REJECT || verdict == VERDICT_TARPIT;
}

/* 1: drop it; 2: it became an answer. @vlan: its tag, where the kernel took it off already; else -1. */
static __always_inline int guard(void *ctx, int tc, __u32 bytes, int vlan)
{
	struct wr_g_packet p = {}, q = {};
	struct wr_g_rows rows = {};
	struct walk w = {};
	__u32 zero = 0, slot = 0;
	__u64 found = 0;
	struct stats *st = bpf_map_lookup_elem(&wr_g_stats, &zero);
	void *inner = bpf_map_lookup_elem(&wr_g_sets, &zero);
	const struct wr_g_set *s = inner ? bpf_map_lookup_elem(inner, &zero) : 0;
	int v = VERDICT_NONE, rc = 0, show = 0, known, on_list = 0;

	if (!st || !s)
		return 0;
	if (!s->terms && !(s->flags & WR_G_LIST)) { /* no rules */
		st->n[WR_G_PASSED]++;
		return 0;
	}
	known = vlan < 0 && !(s->dims >> WR_G_BYTES) &&
		read_plain(DATA(ctx, tc), DATA_END(ctx, tc), bytes, &q);
	if (known) { /* most packets end here */
		if (s->terms)
			found = wr_g_look(s, &q, s->terms <= 64, &rows);
		if (s->flags & WR_G_LIST)
			on_list = listed4(q.addr[0][1]);
		if (!found && !on_list) {
			st->n[WR_G_PASSED]++;
			return 0;
		}
		p.looked = 1;
		p.row[0] = rows.row[WR_G_SRC];
		p.row[1] = rows.row[WR_G_DST];
	}
	p.bytes = bytes;
	for (int i = 0; i < MAX_LAYERS; i++) {
		p.has = 0;
		set16(&p, WR_G_LENGTH, bytes > 65535 ? 65535 : bytes);
		if (vlan >= 0 && !i)
			set16(&p, WR_G_VLAN, vlan);
		p.addr[0][0] = p.addr[1][0] = 0;
		if (known)
			walk_plain(DATA(ctx, tc), DATA_END(ctx, tc), &w, &p);
		else
			rc = tc ? layer_tc(ctx, &w, &p) : layer_xdp(ctx, &w, &p);
		if (rc)
			break;
		if (i)
			st->n[WR_G_INNER]++;
		p.is = WR_G_ALL_NONE;
		if (s->dims >> WR_G_BYTES && w.payload) {
			if (tc)
				bytes_tc(ctx, s, &w, &p);
			else
				bytes_xdp(ctx, s, &w, &p);
		}
		v = VERDICT_NONE;
		if (known ? found : s->terms)
			v = judge(s, &p, s->terms <= 64 ? found : 0);
		slot = (__u32)v >> 8;
		show = v & SHOWN;
		v &= SHOWN - 1;
		if (v == VERDICT_NONE && (s->flags & WR_G_LIST) && !known)
			on_list = p.v6 ? listed6(&p) : listed4(p.addr[0][1]);
		if (v == VERDICT_NONE && on_list) {
			show = listed(s, &p);
			v = show ? VERDICT_DROP : VERDICT_NONE;
			show &= SHOWN;
			slot = s->list_slot;
		}
		if (v == VERDICT_NONE && w.later && (s->flags & WR_G_FRAGMENTS)) {
			__u32 first = later(&w, &p);

			slot = first ? first - 1 : slot;
			v = first ? VERDICT_LATER : VERDICT_NONE;
		}
		if ((v == VERDICT_DROP || v == VERDICT_LIMIT) && w.first &&
			(s->flags & WR_G_FRAGMENTS))
			dropped(&w, &p, slot);
		if (answers(v) && i)
			v = VERDICT_DROP; /* it would have to leave by the tunnel */
		if (v != VERDICT_NONE || !w.more)
			break;
		if (i == MAX_LAYERS - 1)
			rc = BAD_CHAIN;
	}
	/* at tc a packet has a mark, which the drop sensor reads when it is freed */
	if (tc && !rc && v != VERDICT_NONE && v != VERDICT_ALLOW && !answers(v))
		mark_rule(ctx, s->id[slot & (WR_G_SLOTS - 1)]);
	if (rc == BAD_CUT || rc == BAD_CHAIN) {
		st->n[rc == BAD_CUT ? WR_G_CUT : WR_G_CHAIN]++;
		v = s->flags & WR_G_DROP_UNPARSED ? VERDICT_DROP : VERDICT_NONE;
	} else if (rc) {
		st->n[WR_G_NOT_IP]++;
	}
	if (v == VERDICT_NONE || v == VERDICT_ALLOW) {
		st->n[WR_G_PASSED]++;
		if (v == VERDICT_ALLOW)
			st->n[WR_G_ALLOWED]++;
		return 0;
	}
	if (wr_g_cookies && answers(v)) {
		int tarpit = v == VERDICT_TARPIT;

		if (v == VERDICT_COOKIE)
			rc = tc ? answer_tc(ctx, &w, &p) : answer_xdp(ctx, &w, &p);
		else
			rc = tc ? plain_tc(ctx, &w, &p, tarpit) : plain_xdp(ctx, &w, &p, tarpit);
		if (rc == ANSWER_PASS) {
			st->n[WR_G_PASSED]++;
			return 0;
		}
		if (v != VERDICT_REJECT)
			acted_on(slot, bytes, bpf_jiffies64());
		if (tc && rc != ANSWERED)
			mark_rule(ctx, s->id[slot & (WR_G_SLOTS - 1)]);
		st->n[rc != ANSWERED	      ? WR_G_DROPPED
			: v == VERDICT_COOKIE ? WR_G_ANSWERED
			: tarpit	      ? WR_G_TARPITS
					      : WR_G_RESETS]++;
		return rc == ANSWERED ? 2 : 1;
	}
	st->n[WR_G_DROPPED]++;
	if (v == VERDICT_LIMIT) {
		st->n[WR_G_LIMITED]++;
	} else if (v == VERDICT_LATER) {
		st->n[WR_G_LATER]++;
		hit(slot, bytes, bpf_jiffies64(), 1);
	}
	if (show)
		sample(DATA(ctx, tc), DATA_END(ctx, tc), slot,
			tc ? ((struct __sk_buff *)ctx)->ifindex
			   : ((struct xdp_md *)ctx)->ingress_ifindex,
			bytes);
	return 1;
}

SEC("xdp")
int guard_xdp(struct xdp_md *x)
{
	int v = guard(x, 0, x->data_end - x->data, -1);

	return v == 2 ? XDP_TX : v ? XDP_DROP : XDP_PASS;
}

/* What time it is: jiffies cost a load, any other clock tens of ns a packet. Their low half. */
SEC("xdp")
int guard_clock(struct xdp_md *x)
{
	return bpf_jiffies64();
}

SEC("tc")
int guard_tc(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int vlan, v;

	/* headers that lie in pages are brought where they can be read */
	if (data + 256 > end && skb->len > end - data)
		bpf_skb_pull_data(skb, skb->len < 256 ? skb->len : 256);
	vlan = skb->vlan_present ? skb->vlan_tci & 0xfff : -1;
	v = guard(skb, 1, skb->len, vlan);
	return v == 2 ? (int)bpf_redirect(skb->ifindex, 0) : v ? TCX_DROP : TCX_NEXT;
}
