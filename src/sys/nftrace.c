// SPDX-License-Identifier: Apache-2.0
#include "nftrace.h"
#include "netns.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#define MAX_MATCHES 32
#define MAX_READ 256 /* messages a call */
#define TRACED 64

/* The first message about a packet in a chain has its headers, later ones have its id. */
struct traced {
	uint32_t id;
	struct wr_ip src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct wr_nftrace {
	struct nft_ctx *nft;
	struct traced seen[TRACED];
	unsigned n_seen;
	int fd;
	unsigned n;
	char table[32];
	struct wr_nft_drop last; /* its text is known */
};

static int command(struct wr_nftrace *t, const char *text, struct wr_err *e)
{
	if (!nft_run_cmd_from_buffer(t->nft, text))
		return 0;
	return wr_fail(e, -EOPNOTSUPP, "nftables: %.300s", nft_ctx_get_error_buffer(t->nft));
}

static int subscribe(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	int group = NFNLGRP_NFTRACE, size = 1 << 20;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (const void *)&a, sizeof(a)) ||
		setsockopt(
			fd, 270 /* SOL_NETLINK */, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

int wr_nftrace_open(int netns, struct wr_nftrace **ret, struct wr_err *e)
{
	struct wr_nftrace *t = wr_alloc(sizeof(*t));
	int back = t ? wr_netns_enter(netns) : -ENOMEM, rc;
	char text[512];

	if (back < 0) {
		free(t);
		return wr_fail(e, back, "cannot look into the namespace: %s", strerror(-back));
	}
	t->fd = subscribe();
	t->nft = t->fd < 0 ? NULL : nft_ctx_new(NFT_CTX_DEFAULT);
	wr_netns_leave(back);
	if (!t->nft) {
		rc = t->fd < 0 ? t->fd : -ENOMEM;
		wr_nftrace_close(t);
		return wr_fail(e, rc, "no nftables tracing: %s", strerror(-rc));
	}
	nft_ctx_buffer_output(t->nft);
	nft_ctx_buffer_error(t->nft);
	nft_ctx_output_set_flags(t->nft, NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_NUMERIC_ALL);
	snprintf(t->table, sizeof(t->table), "weir_trace_%d", (int)getpid());
	/* before every other table, the raw one (-300) too */
	snprintf(text, sizeof(text),
		"add table inet %s { flags owner; }\n"
		"add chain inet %s in { type filter hook prerouting priority -401; }\n"
		"add chain inet %s out { type filter hook output priority -401; }\n",
		t->table, t->table, t->table);
	rc = command(t, text, e);
	if (rc) {
		wr_nftrace_close(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void wr_nftrace_close(struct wr_nftrace *t)
{
	if (!t)
		return;
	if (t->nft)
		nft_ctx_free(t->nft); /* the table goes with its socket */
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

int wr_nftrace_match(struct wr_nftrace *t, const struct wr_ip *dst, uint8_t proto, uint16_t port,
	struct wr_err *e)
{
	static const char *const chains[] = {"in", "out"};
	char text[1024], ip[WR_IP_TEXT], what[160];
	size_t n = 0, len = wr_ip_text(dst, ip);

	if (t->n == MAX_MATCHES)
		return wr_fail(e, -ENOSPC, "too many flows to trace");
	snprintf(what, sizeof(what), "%s daddr %.*s meta l4proto %u", wr_ip_is4(dst) ? "ip" : "ip6",
		(int)len, ip, proto);
	if (port && (proto == 6 || proto == 17)) {
		size_t at = strlen(what);

		snprintf(what + at, sizeof(what) - at, " th dport %u", port);
	}
	for (unsigned i = 0; i < WR_N(chains); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"add rule inet %s %s %s limit rate %u/second burst %u packets meta nftrace set 1\n",
			t->table, chains[i], what, WR_NFTRACE_RATE, WR_NFTRACE_RATE);
	t->n++;
	return command(t, text, e);
}

/* The rule's line in the listing of its chain: "... # handle 7". */
static void find_text(struct wr_nftrace *t, struct wr_nft_drop *d)
{
	char text[256], handle[40];
	const char *out, *at, *begin;

	if (!strcmp(d->table, t->last.table) && !strcmp(d->chain, t->last.chain) &&
		!strcmp(d->family, t->last.family) && d->handle == t->last.handle) {
		memcpy(d->text, t->last.text, sizeof(d->text));
		return;
	}
	if (!d->handle) {
		wr_copy(d->text, sizeof(d->text), WR_STR("policy drop"));
		return;
	}
	snprintf(text, sizeof(text), "list chain %s %s %s", d->family, d->table, d->chain);
	if (nft_run_cmd_from_buffer(t->nft, text))
		return;
	out = nft_ctx_get_output_buffer(t->nft);
	snprintf(handle, sizeof(handle), "# handle %" PRIu64 "\n", d->handle);
	at = out ? strstr(out, handle) : NULL;
	if (!at)
		return;
	for (begin = at; begin > out && begin[-1] != '\n'; begin--)
		;
	begin += strspn(begin, " \t");
	while (at > begin && at[-1] == ' ')
		at--;
	wr_copy(d->text, sizeof(d->text), (struct wr_str){begin, (size_t)(at - begin)});
	t->last = *d;
}

static const char *family_name(uint8_t f)
{
	return f == NFPROTO_INET     ? "inet"
	       : f == NFPROTO_IPV4   ? "ip"
	       : f == NFPROTO_IPV6   ? "ip6"
	       : f == NFPROTO_BRIDGE ? "bridge"
	       : f == NFPROTO_NETDEV ? "netdev"
				     : "arp";
}

static uint32_t be32(const struct nlattr *a)
{
	uint32_t v;

	memcpy(&v, a + 1, 4);
	return ntohl(v);
}

static void text_of(char *dst, size_t n, const struct nlattr *a)
{
	wr_copy(dst, n,
		(struct wr_str){(const char *)(a + 1),
			strnlen((const char *)(a + 1), a->nla_len - sizeof(*a))});
}

/* Addresses and ports of the packet, from the headers in the message or from an earlier one about it. */
static void packet(struct wr_nftrace *t, uint32_t id, struct wr_nft_drop *d, const uint8_t *net,
	size_t n, const uint8_t *th, size_t m)
{
	if (!net) {
		for (unsigned i = 0; i < TRACED && i < t->n_seen; i++) {
			const struct traced *s = &t->seen[(t->n_seen - 1 - i) % TRACED];

			if (s->id != id)
				continue;
			d->src = s->src;
			d->dst = s->dst;
			d->sport = s->sport;
			d->dport = s->dport;
			d->proto = s->proto;
			return;
		}
		return;
	}
	if (n >= 20 && net[0] >> 4 == 4) {
		d->src = wr_ip4(net + 12);
		d->dst = wr_ip4(net + 16);
		d->proto = net[9];
	} else if (n >= 40 && net[0] >> 4 == 6) {
		d->src = wr_ip6(net + 8);
		d->dst = wr_ip6(net + 24);
		d->proto = net[6];
	}
	if (m >= 4 && (d->proto == 6 || d->proto == 17)) {
		d->sport = (uint16_t)(th[0] << 8 | th[1]);
		d->dport = (uint16_t)(th[2] << 8 | th[3]);
	}
	t->seen[t->n_seen++ % TRACED] =
		(struct traced){id, d->src, d->dst, d->sport, d->dport, d->proto};
}

/* Did this message drop its packet? Attributes: enum nft_trace_attributes of linux/netfilter/nf_tables.h. */
static bool parse(struct wr_nftrace *t, const struct nlmsghdr *h, struct wr_nft_drop *d)
{
	const struct nfgenmsg *g = (const void *)(h + 1);
	const uint8_t *p = (const uint8_t *)(g + 1), *end = (const uint8_t *)h + h->nlmsg_len;
	const uint8_t *net = NULL, *th = NULL;
	size_t n = 0, m = 0;
	uint32_t id = 0, type = 0, verdict = NF_ACCEPT, policy = NF_ACCEPT;

	if (h->nlmsg_len < sizeof(*h) + sizeof(*g))
		return false;
	*d = (struct wr_nft_drop){.handle = 0};
	wr_copy(d->family, sizeof(d->family), wr_str(family_name(g->nfgen_family)));
	while (end - p >= (ptrdiff_t)sizeof(struct nlattr)) {
		const struct nlattr *a = (const void *)p;
		size_t len = a->nla_len, body = len - sizeof(*a);

		if (len < sizeof(*a) || len > (size_t)(end - p))
			return false;
		switch (a->nla_type & NLA_TYPE_MASK) {
		case NFTA_TRACE_TABLE:
			text_of(d->table, sizeof(d->table), a);
			break;
		case NFTA_TRACE_CHAIN:
			text_of(d->chain, sizeof(d->chain), a);
			break;
		case NFTA_TRACE_RULE_HANDLE:
			for (unsigned i = 0; i < 8 && body >= 8; i++)
				d->handle = d->handle << 8 | p[sizeof(*a) + i];
			break;
		case NFTA_TRACE_ID:
			id = body >= 4 ? be32(a) : 0;
			break;
		case NFTA_TRACE_TYPE:
			type = body >= 4 ? be32(a) : 0;
			break;
		case NFTA_TRACE_VERDICT: /* nested; its code comes first */
			if (body >= 8 && (((const struct nlattr *)(a + 1))->nla_type &
						 NLA_TYPE_MASK) == NFTA_VERDICT_CODE)
				verdict = be32(a + 1);
			break;
		case NFTA_TRACE_POLICY:
			policy = body >= 4 ? be32(a) : NF_ACCEPT;
			break;
		case NFTA_TRACE_NETWORK_HEADER:
			net = p + sizeof(*a);
			n = body;
			break;
		case NFTA_TRACE_TRANSPORT_HEADER:
			th = p + sizeof(*a);
			m = body;
			break;
		}
		p += wr_min(NLA_ALIGN(len), (size_t)(end - p));
	}
	packet(t, id, d, net, n, th, m);
	if (type == NFT_TRACETYPE_POLICY) {
		d->handle = 0;
		return policy == NF_DROP;
	}
	return type == NFT_TRACETYPE_RULE && verdict == NF_DROP;
}

void wr_nftrace_read(
	struct wr_nftrace *t, void (*fn)(void *ctx, const struct wr_nft_drop *d), void *ctx)
{
	_Alignas(struct nlmsghdr) char b[16384];

	for (unsigned i = 0; i < MAX_READ; i++) {
		ssize_t n = recv(t->fd, b, sizeof(b), 0);
		struct nlmsghdr *h = (void *)b;

		if (n < 0 && (errno == ENOBUFS || errno == EINTR))
			continue; /* some traces are lost: the next packet has another */
		if (n <= 0)
			return;
		for (size_t left = (size_t)n;
			left >= sizeof(*h) && h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= left;) {
			struct wr_nft_drop d;
			size_t step = wr_min((size_t)NLMSG_ALIGN(h->nlmsg_len), left);

			if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE) &&
				parse(t, h, &d) && strcmp(d.table, t->table)) {
				find_text(t, &d);
				fn(ctx, &d);
			}
			left -= step;
			h = (void *)((char *)h + step);
		}
	}
}
