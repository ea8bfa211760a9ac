// SPDX-License-Identifier: Apache-2.0
/* The tables against the filter itself: random rules, random packets, every verdict the same. */
#include "../../tests/lib/test.h"
#include "list.h"
#include "plan.h"

#include "../../src/flow/packet.h"
#include "../../src/kern/guard.h"

#include <bpf/bpf.h>
#include <unistd.h>

static const struct wr_guard_clock now = {.jiffies = 1000, .tick = 4000000};
static uint64_t seed = 88172645463325252ull;

static uint32_t any(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % n);
}

static const char *const ips[] = {"10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.0", "11.0.0.0",
	"0.0.0.0", "255.255.255.255", "2001:db8::1", "2001:db8::2", "2001:db9::", "::1", "fe80::1"};
static const char *const nets[] = {"10.0.0.0/24", "10.0.0.0/8", "10.0.0.1", "0.0.0.0/1",
	"2001:db8::/32", "2001:db8::1", "10.0.0.0/31", "255.255.255.255", "::/0", "fe80::/10"};
static const char *const simple[] = {"src %s", "dst %s", "host %s", "src.ip != %s", "not dst %s"};
static const char *const checks[] = {"tcp", "udp", "not udp", "icmp", "port 53", "src port 53",
	"dst.port = 80-443", "src.port > 1024", "dst.port != 80", "not dst.port = 80", "ip.ttl < 5",
	"tcp.flags = S", "tcp.flags ~ R", "length >= 1000", "vlan.id = 7", "vlan.id",
	"ip.version = 6", "ip.proto in (6, 17, 47)", "icmp.type = 8", "ip.mf",
	"ip.fragment_offset > 0", "ip.dscp = 46", "dst.port < 1", "dst.port in (22, 80, 8080-8090)",
	"not (tcp or udp)", "transport = sctp", "payload[0] = 1", "payload[0:2] != 0x0100",
	"not payload[1] = 0x02/0x03", "payload[2] = 0x00/0x02",
	"payload[0:3] in (0x010101, 0x000000)", "payload[2:2]"};

static void expression(char *t, size_t n, unsigned depth)
{
	char a[600], b[600];

	switch (depth ? any(5) : 3 + any(2)) {
	case 0:
	case 1:
	case 2:
		expression(a, sizeof(a), depth - 1);
		expression(b, sizeof(b), depth - 1);
		snprintf(t, n, "%s(%s %s %s)", any(6) ? "" : "not ", a, any(2) ? "and" : "or", b);
		return;
	case 3:
		snprintf(t, n, simple[any(WR_N(simple))], nets[any(WR_N(nets))]);
		return;
	default:
		snprintf(t, n, "%s", checks[any(WR_N(checks))]);
	}
}

/* The same packet twice: as the kernel has it, as a record. */
static void packet(struct wr_g_packet *p, struct wr_ev_packet *r, char flags[12], char data[4])
{
	static const uint8_t protos[] = {6, 6, 17, 17, 1, 58, 47, 132, 0, 255};
	static const uint16_t ports[] = {22, 53, 80, 443, 1024, 8085, 0, 65535};
	static const char letters[] = "FSRPAUEC";
	uint8_t proto = protos[any(WR_N(protos))], frag = any(4) ? 0 : (uint8_t)any(4);
	struct wr_ip ip[2];
	bool six = any(3) == 0;

	memset(p, 0, sizeof(*p));
	WR_INIT(r, packet);
	for (unsigned i = 0; i < 2; i++) {
		do
			wr_ip_parse(wr_str(ips[any(WR_N(ips))]), &ip[i], NULL);
		while (wr_ip_is4(&ip[i]) == six);
		for (unsigned k = 0; k < 8 && six; k++) {
			p->addr[i][0] = p->addr[i][0] << 8 | ip[i].b[k];
			p->addr[i][1] = p->addr[i][1] << 8 | ip[i].b[k + 8];
		}
		if (!six)
			p->addr[i][1] = (uint64_t)ip[i].b[12] << 24 | ip[i].b[13] << 16 |
					ip[i].b[14] << 8 | ip[i].b[15];
	}
	p->v6 = six;
	p->has = 1u << WR_G_SRC | 1u << WR_G_DST;
	WR_SET(r, packet, src_ip, ip[0]);
	WR_SET(r, packet, dst_ip, ip[1]);
#define BOTH(d, f, value)                                                                          \
	do {                                                                                       \
		p->v[d] = (uint16_t)(value);                                                       \
		p->has |= 1u << (d);                                                               \
		WR_SET(r, packet, f, p->v[d]);                                                     \
	} while (0)
	BOTH(WR_G_VERSION, ip_version, six ? 6 : 4);
	BOTH(WR_G_PROTO, ip_proto, proto);
	WR_SET(r, packet, transport, wr_str(wr_proto_name(proto)));
	BOTH(WR_G_TTL, ttl, any(8));
	BOTH(WR_G_DSCP, dscp, any(2) * 46);
	BOTH(WR_G_LENGTH, length, 900 + any(200));
	if (!any(3))
		BOTH(WR_G_VLAN, vlan, any(10));
	p->v[WR_G_FRAG] = frag;
	p->has |= 1u << WR_G_FRAG;
	if (!(frag & 2) && any(4)) {
		for (unsigned i = 0; i < 4; i++)
			data[i] = (char)any(3);
		WR_SET(r, packet, payload_data, ((struct wr_str){data, 1 + any(4)}));
	}
	WR_SET(r, packet, mf, frag & 1);
	WR_SET(r, packet, frag_off, frag & 2 ? 8 * (1 + any(8000)) : 0);
	if (frag & 2)
		return;
	if (proto == 6 || proto == 17 || proto == 132) {
		BOTH(WR_G_SPORT, src_port, ports[any(WR_N(ports))]);
		BOTH(WR_G_DPORT, dst_port, ports[any(WR_N(ports))]);
	}
	if (proto == 6) {
		char *f = flags;

		p->v[WR_G_FLAGS] = (uint16_t)(any(2) ? 2 : any(256));
		p->has |= 1u << WR_G_FLAGS;
		for (unsigned i = 0; i < 8; i++) {
			if (p->v[WR_G_FLAGS] >> i & 1)
				*f++ = letters[i];
		}
		*f = 0;
		WR_SET(r, packet, flags, wr_str(flags));
	}
	if (proto == 1 || proto == 58) {
		BOTH(WR_G_ITYPE, icmp_type, any(10));
		BOTH(WR_G_ICODE, icmp_code, any(4));
	}
}

/* What the kernel's test_bytes() does. */
static void bytes(const struct wr_g_set *s, struct wr_g_packet *p, const struct wr_ev_packet *r)
{
	p->is = WR_G_ALL_NONE;
	for (unsigned i = 0; i < WR_G_TESTS && s->test[i].len; i++) {
		const struct wr_g_test *t = &s->test[i];
		uint64_t v = 0;

		if (!wr_ev_has(&r->ev, WR_I_packet_payload_data) ||
			t->off + t->len > r->payload_data.n)
			continue;
		for (unsigned k = 0; k < 8 && t->off + k < r->payload_data.n; k++)
			v |= (uint64_t)(uint8_t)r->payload_data.p[t->off + k] << (56 - 8 * k);
		p->is &= ~(3u << 2 * i);
		p->is |= ((v & t->mask) == t->value ? WR_G_IS : WR_G_DIFFERS) << 2 * i;
	}
}

TEST(every_verdict_is_that_of_the_filter)
{
	struct wr_g_set *s = wr_alloc(sizeof(*s));
	struct wr_guard_rule *rule = wr_alloc(40 * sizeof(*rule));
	const struct wr_guard_rule *list[40];
	unsigned matched = 0;

	assert_non_null(s);
	assert_non_null(rule);
	for (unsigned turn = 0; turn < 120; turn++) {
		unsigned n = 1 + any(40), bad = 0;
		struct wr_filter *f[40];
		struct wr_err e = {.text = ""};

		for (unsigned i = 0; i < n; i++) {
			memset(&rule[i], 0, sizeof(rule[i]));
			rule[i].slot = i;
			rule[i].action = WR_G_ALLOW + any(2);
			list[i] = &rule[i];
			expression(rule[i].text, sizeof(rule[i].text), any(3));
			assert_int_equal(wr_filter_compile(&wr_kinds[WR_KIND_packet], rule[i].text,
						 &f[i], &e),
				0);
		}
		if (wr_guard_plan(list, n, 0, &now, s, &bad, &e))
			fail_msg("%s: %s", rule[bad].text, e.text);
		for (unsigned k = 0; k < 300; k++) {
			struct wr_g_rows r = {.words = 0};
			struct wr_g_packet p;
			struct wr_ev_packet ev;
			char flags[12], data[4];
			int got, want = -1;

			packet(&p, &ev, flags, data);
			bytes(s, &p, &ev);
			for (unsigned a = WR_G_ALLOW; a <= WR_G_DROP && want < 0; a++) {
				for (unsigned i = 0; i < n && want < 0; i++) {
					if (rule[i].action == a && wr_filter_match(f[i], &ev.ev))
						want = (int)i;
				}
			}
			wr_g_rows(s, &p, &r);
			got = wr_g_next(s, &r);
			if (got >= 0) {
				got = (int)s->term[got].slot;
				matched++;
			}
			if (got != want)
				fail_msg("rule %d instead of %d: %s | %s", got, want,
					got < 0 ? "none" : rule[got].text,
					want < 0 ? "none" : rule[want].text);
		}
		for (unsigned i = 0; i < n; i++)
			wr_filter_free(f[i]);
	}
	assert_true(matched > 1000);
	free(s);
	free(rule);
}

/* A frame with random headers: tags, options, fragments, extension headers or none of them. Its length. */
static uint32_t frame(uint8_t *f, uint32_t id)
{
	static const uint8_t protos[] = {6, 6, 6, 17, 17, 17, 1, 58, 132, 255};
	static const uint16_t ports[] = {22, 53, 80, 443, 1024, 8085, 0, 65535};
	uint8_t proto = protos[any(WR_N(protos))], frag = any(4) ? 0 : (uint8_t)any(4);
	uint32_t n = any(4) ? 900 + any(200) : 90 + any(20), at = 14;
	struct wr_ip ip[2];
	bool six = any(3) == 0;
	uint8_t *h;

	for (uint32_t i = 0; i < n; i++)
		f[i] = (uint8_t)any(3);
	for (unsigned i = 0; i < 2; i++) {
		do
			wr_ip_parse(wr_str(ips[any(WR_N(ips))]), &ip[i], NULL);
		while (wr_ip_is4(&ip[i]) == six);
	}
	if (!any(4)) {
		put16(f + 12, 0x8100);
		put16(f + 14, any(10));
		at += 4;
	}
	put16(f + at - 2, six ? 0x86dd : 0x0800);
	h = f + at;
	if (six) {
		put32(h, 6u << 28 | (any(2) * 46) << 22);
		put16(h + 4, n - at - 40);
		h[7] = (uint8_t)any(8);
		memcpy(h + 8, ip[0].b, 16);
		memcpy(h + 24, ip[1].b, 16);
		at += 40;
		if (frag) {
			h[6] = 44;
			h[40] = proto;
			h[41] = 0;
			put16(h + 42, (frag & 2 ? 64 : 0) | (frag & 1));
			put32(h + 44, id);
			at += 8;
		} else {
			h[6] = proto;
		}
	} else {
		h[0] = any(5) ? 0x45 : 0x46;
		h[1] = (uint8_t)(any(2) * 46 << 2);
		put16(h + 2, n - at);
		put16(h + 4, id);
		put16(h + 6, (frag & 1) << 13 | (frag & 2 ? 8 : 0));
		h[8] = (uint8_t)any(8);
		h[9] = proto;
		memcpy(h + 12, ip[0].b + 12, 4);
		memcpy(h + 16, ip[1].b + 12, 4);
		memset(h + 20, 1, 4); /* no operation */
		ip4_sum(h);
		at += (h[0] & 15) * 4;
	}
	h = f + at;
	if (frag & 2)
		return n;
	put16(h, ports[any(WR_N(ports))]);
	put16(h + 2, ports[any(WR_N(ports))]);
	if (proto == 6) {
		h[12] = 0x50;
		h[13] = (uint8_t)(any(2) ? 2 : any(256));
	} else if (proto == 17) {
		put16(h + 4, n - at);
	}
	return n;
}

TEST(the_kernel_says_the_same_of_real_frames)
{
	struct wr_g_set *s = wr_alloc(sizeof(*s));
	struct wr_guard_rule *rule = wr_alloc(90 * sizeof(*rule));
	const struct wr_guard_rule *list[90];
	struct wr_filter *f[90];
	struct wr_guard_kern *g;
	struct wr_err e = {.text = ""};
	unsigned dropped = 0, passed = 0, id = 0, bad;
	int rc;

	if (geteuid() != 0)
		skip();
	rc = wr_guard_kern_open(&g, &e);
	if (rc == -ENOSYS)
		skip(); /* an emulator of programs: it has no bpf(2) */
	if (rc)
		fail_msg("%s", e.text);
	for (unsigned turn = 0; turn < 40; turn++) {
		/* few, and more than one word of terms has bits for */
		unsigned n = turn & 1 ? 1 + any(5) : 60 + any(30);

		for (unsigned i = 0; i < n; i++) {
			memset(&rule[i], 0, sizeof(rule[i]));
			rule[i].slot = i;
			rule[i].action = i % 3 ? WR_G_DROP : WR_G_ALLOW;
			list[i] = &rule[i];
			do
				expression(rule[i].text, sizeof(rule[i].text), n > 5 ? 0 : any(3));
			while (n > 5 && strstr(rule[i].text, "not "));
			if (turn & 2 && strstr(rule[i].text, "payload"))
				wr_copy(rule[i].text, sizeof(rule[i].text), WR_STR("dst 10.0.0.77"));
			assert_int_equal(wr_filter_compile(&wr_kinds[WR_KIND_packet], rule[i].text,
						 &f[i], &e),
				0);
		}
		if (wr_guard_plan(list, n, 0, &now, s, &bad, &e) || wr_guard_kern_set(g, s, &e))
			fail_msg("%s: %s", rule[bad].text, e.text);
		for (unsigned k = 0; k < 300; k++) {
			uint8_t data[1200];
			uint32_t len = frame(data, ++id);
			LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = data, .data_size_in = len,
				.repeat = 1);
			struct wr_packet_text text;
			struct wr_ev_packet ev;
			struct wr_pkt pkt;
			int want = -1;

			wr_packet_decode(data, len, len, WR_LINK_ETHERNET, &pkt);
			wr_packet_event(&pkt, 0, &text, &ev);
			for (unsigned a = WR_G_ALLOW; a <= WR_G_DROP && want < 0; a++) {
				for (unsigned i = 0; i < n && want < 0; i++) {
					if (rule[i].action == a && wr_filter_match(f[i], &ev.ev))
						want = (int)i;
				}
			}
			assert_int_equal(bpf_prog_test_run_opts(wr_guard_kern_prog(g), &o), 0);
			if ((o.retval == 1) != (want >= 0 && rule[want].action == WR_G_DROP))
				fail_msg("%s (%u rules) of a frame of %u bytes, type %04x, %s %02x",
					want < 0 ? "no rule" : rule[want].text, n, len,
					data[12] << 8 | data[13], wr_proto_name(pkt.proto),
					pkt.flags);
			*(o.retval == 1 ? &dropped : &passed) += 1;
		}
		for (unsigned i = 0; i < n; i++)
			wr_filter_free(f[i]);
	}
	assert_true(dropped > 1000 && passed > 1000);
	wr_guard_kern_close(g);
	free(s);
	free(rule);
}

TEST(many_rules_and_none)
{
	struct wr_g_set *s = wr_alloc(sizeof(*s));
	struct wr_guard_rule *rule = wr_alloc(1100 * sizeof(*rule));
	const struct wr_guard_rule *list[1100];
	struct wr_g_packet p = {.has = 1u << WR_G_SRC | 1u << WR_G_DST};
	struct wr_g_rows r = {.words = 0};
	struct wr_err e = {.text = ""};
	unsigned bad;

	assert_int_equal(wr_guard_plan(list, 0, 0, &now, s, &bad, &e), 0);
	wr_g_rows(s, &p, &r);
	assert_int_equal(wr_g_next(s, &r), -1);
	for (unsigned i = 0; i < 1100; i++) {
		rule[i].slot = i;
		rule[i].action = WR_G_DROP;
		snprintf(rule[i].text, 64, "src 10.%u.%u.0/24 and tcp", i / 200, i % 200);
		list[i] = &rule[i];
	}
	assert_int_equal(wr_guard_plan(list, 1000, 0, &now, s, &bad, &e), 0);
	p.has |= 1u << WR_G_PROTO;
	p.v[WR_G_PROTO] = 6;
	for (unsigned i = 0; i < 1000; i++) {
		p.addr[0][1] = 10u << 24 | (i / 200) << 16 | (i % 200) << 8 | 9;
		wr_g_rows(s, &p, &r);
		assert_int_equal(wr_g_next(s, &r), (int)i);
		assert_int_equal(wr_g_next(s, &r), -1);
	}
	assert_int_equal(wr_guard_plan(list, 1100, 0, &now, s, &bad, &e), -E2BIG);
	assert_non_null(strstr(e.text, "1,024"));
	/* a thousand networks are one term */
	snprintf(rule[0].text, sizeof(rule[0].text), "src in (10.0.0.0/24");
	for (unsigned i = 1; i < 150; i++)
		snprintf(rule[0].text + strlen(rule[0].text), 24, ", 10.%u.%u.0/24", i, i);
	snprintf(rule[0].text + strlen(rule[0].text), 2, ")");
	assert_int_equal(wr_guard_plan(list, 1, 0, &now, s, &bad, &e), 0);
	assert_int_equal(s->terms, 1);
	free(s);
	free(rule);
}

TEST(what_it_cannot_test_is_told)
{
	struct wr_g_set *s = wr_alloc(sizeof(*s));
	struct wr_guard_rule *rule = wr_alloc(sizeof(*rule));
	const struct wr_guard_rule *list[1] = {rule};
	struct wr_err e = {.text = ""};
	unsigned bad = 9;

	rule->action = WR_G_DROP;
	wr_copy(rule->text, sizeof(rule->text), WR_STR("tcp and tcp.seq = 1"));
	assert_int_equal(wr_guard_plan(list, 1, 0, &now, s, &bad, &e), -EINVAL);
	assert_int_equal(bad, 0);
	assert_int_equal(e.at, 8);
	assert_non_null(strstr(e.text, "cannot test 'tcp.seq'"));
	wr_copy(rule->text, sizeof(rule->text), WR_STR("ip.fragment_offset > 100"));
	assert_int_equal(wr_guard_plan(list, 1, 0, &now, s, &bad, &e), -EINVAL);
	wr_copy(rule->text, sizeof(rule->text), WR_STR("src 10.0.0.0/24 and"));
	assert_int_equal(wr_guard_plan(list, 1, 0, &now, s, &bad, &e), -EINVAL);
	free(s);
	free(rule);
}

static bool listed(const struct wr_guard_list *l, const char *ip)
{
	struct wr_ip a;

	assert_int_equal(wr_ip_parse(wr_str(ip), &a, NULL), 0);
	return wr_guard_list_has(l, &a);
}

/* Networks in one another, beside one another and of one address; lists of one, of full nodes and of one more. */
TEST(a_list_of_ipv6_is_exact)
{
	static const unsigned sizes[] = {1, 3, 4, 5, 20, 24, 25, 124, 125, 400};
	static const uint8_t lengths[] = {32, 33, 48, 64, 112, 120, 127, 128};

	for (unsigned k = 0; k < WR_N(sizes); k++) {
		struct wr_guard_list l;
		struct wr_err e = {.text = ""};
		struct wr_buf t = WR_BUF(1 << 20);
		struct wr_ip net[400], mask[400];
		unsigned in = 0;

		for (unsigned i = 0; i < sizes[k]; i++) {
			char line[80];

			snprintf(line, sizeof(line), "2001:db%x:%x::%x:%x/%u", any(4), any(3),
				any(2), any(300), lengths[any(WR_N(lengths))]);
			wr_ip_parse(wr_str(line), &net[i], &mask[i]);
			wr_buf_printf(&t, "%s\n", line);
		}
		wr_buf_c(&t, 0);
		assert_int_equal(wr_guard_list_parse("t", t.p, &l, &e), 0);
		assert_int_equal(l.lines, sizes[k]);
		for (unsigned i = 0; i < 20000; i++) {
			char text[80];
			struct wr_ip ip;
			bool want = false;

			snprintf(text, sizeof(text), "2001:db%x:%x::%x:%x", any(5), any(4), any(3),
				any(310));
			wr_ip_parse(wr_str(text), &ip, NULL);
			for (unsigned m = 0; m < sizes[k] && !want; m++)
				want = wr_ip_in(&ip, &net[m], &mask[m]);
			in += want;
			if (wr_guard_list_has(&l, &ip) != want)
				fail_msg("%s: %d of %u", text, want, sizes[k]);
		}
		assert_true(in < 20000 && (in || k < 4));
		wr_guard_list_free(&l);
		wr_buf_free(&t);
	}
}

TEST(a_list_to_the_last_address)
{
	struct wr_guard_list l;
	struct wr_err e = {.text = ""};

	assert_int_equal(wr_guard_list_parse("t",
				 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n::\n1.2.3.4\n", &l, &e),
		0);
	assert_true(listed(&l, "::") && listed(&l, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") &&
		    listed(&l, "1.2.3.4"));
	assert_false(listed(&l, "::1") || listed(&l, "1.2.3.5") ||
		     listed(&l, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
	wr_guard_list_free(&l);
	assert_int_equal(wr_guard_list_parse("t", "::/0", &l, &e), 0);
	assert_true(listed(&l, "::") && listed(&l, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(listed(&l, "1.2.3.4"));
	wr_guard_list_free(&l);
}

TEST(a_list_is_exact)
{
	struct wr_guard_list l;
	struct wr_err e = {.text = ""};
	struct wr_buf t = WR_BUF(1 << 20);
	struct wr_ip net[400], mask[400];
	unsigned in = 0;

	for (unsigned i = 0; i < 400; i++) {
		char line[64];

		snprintf(line, sizeof(line), "10.%u.%u.%u/%u", any(3), any(64), any(256),
			23 + any(10));
		wr_ip_parse(wr_str(line), &net[i], &mask[i]);
		wr_buf_printf(&t, "%s%s\n", line, i % 3 ? "" : i % 2 ? " ; SBL1" : ",US");
		if (i % 50 == 0)
			wr_buf_lit(&t, "# a comment\n\n");
	}
	wr_buf_c(&t, 0);
	assert_int_equal(wr_guard_list_parse("t", t.p, &l, &e), 0);
	assert_int_equal(l.lines, 400);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t a = 10u << 24 | any(3) << 16 | any(64) << 8 | any(256),
			 be = __builtin_bswap32(a);
		struct wr_ip ip = wr_ip4(&be);
		bool want = false;

		for (unsigned k = 0; k < 400 && !want; k++)
			want = wr_ip_in(&ip, &net[k], &mask[k]);
		in += want;
		if (wr_guard_list_has(&l, &ip) != want)
			fail_msg("%u.%u.%u.%u: %d", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
				want);
	}
	assert_true(in > 1000 && in < 199000);
	wr_guard_list_free(&l);
	assert_int_equal(wr_guard_list_parse("t", "0.0.0.0/0\n255.255.255.255", &l, &e), 0);
	assert_true(listed(&l, "0.0.0.0") && listed(&l, "255.255.255.255") && !listed(&l, "::1"));
	wr_guard_list_free(&l);
	assert_int_equal(wr_guard_list_parse("t", "1.2.3.4\n1.2.3.4/33", &l, &e), -EINVAL);
	assert_non_null(strstr(e.text, "t:2: '1.2.3.4/33'"));
	assert_int_equal(wr_guard_list_parse("t", "2001:db8::/129", &l, &e), -EINVAL);
	assert_non_null(strstr(e.text, "t:1: '2001:db8::/129' is no IPv4 or IPv6"));
	assert_int_equal(wr_guard_list_parse("t", "", &l, &e), 0);
	assert_false(listed(&l, "0.0.0.1") || listed(&l, "::1"));
	wr_guard_list_free(&l);
	wr_buf_free(&t);
}

TEST_MAIN(RUN(every_verdict_is_that_of_the_filter),
	RUN(the_kernel_says_the_same_of_real_frames), RUN(many_rules_and_none),
	RUN(what_it_cannot_test_is_told), RUN(a_list_is_exact), RUN(a_list_of_ipv6_is_exact),
	RUN(a_list_to_the_last_address))
