// SPDX-License-Identifier: Apache-2.0
/*
 * What a packet costs in the guard, and in xdp-filter (xdp-tools) on the same packets: BPF_PROG_TEST_RUN, min and
 * median of ROUNDS runs of a million, all cases in turn. A small program before each changes the source address of
 * the packet, so that no case lives on one hot entry; its own cost is the row "floor". Prints Markdown.
 */
#include "../actors/cookie/cookie.h"
#include "../actors/guard/guard.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RUNS 1000000
#define MAX_CASES 40
#define MAX_ROUNDS 31

struct one {
	char name[96], group[16];
	int fd; /* of the program before it */
	bool udp, syn, six;
	uint32_t ns[MAX_ROUNDS];
};
static struct one cases[MAX_CASES];
static unsigned n_cases;

static struct bpf_insn insn(int code, int dst, int src, int off, int imm)
{
	return (struct bpf_insn){.code = (uint8_t)code, .dst_reg = (uint8_t)dst & 15, .src_reg = (uint8_t)src & 15, .off = (int16_t)off, .imm = imm};
}

static const struct wr_guard_clock now = {.tick = 4000000};
static int base = 10; /* of the addresses */

/*
 * Sets the source address to BASE.x.y.z (in IPv6: the second half of the /64), one of @spread (a power of two) in a
 * full turn, and goes on in @prog.
 */
static int before(int prog, uint32_t spread)
{
	LIBBPF_OPTS(bpf_prog_load_opts, xdp, .expected_attach_type = BPF_XDP);
	int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "next", 4, 4, 1, NULL), fd;
	uint32_t zero = 0;
	struct bpf_insn p[] = {
		insn(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		insn(BPF_LDX | BPF_W | BPF_MEM, 2, 1, 0, 0),
		insn(BPF_LDX | BPF_W | BPF_MEM, 3, 1, 4, 0),
		insn(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
		insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, 34),
		insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 13, 0),
		insn(BPF_LDX | BPF_W | BPF_MEM, 5, 2, 26, 0),
		insn(BPF_ALU | BPF_END | BPF_TO_BE, 5, 0, 0, 32),
		insn(BPF_ALU | BPF_MUL | BPF_K, 5, 0, 0, 1664525),
		insn(BPF_ALU | BPF_ADD | BPF_K, 5, 0, 0, 1013904223),
		insn(BPF_ALU | BPF_AND | BPF_K, 5, 0, 0, (int)(spread - 1)),
		insn(BPF_ALU | BPF_OR | BPF_K, 5, 0, 0, base << 24),
		insn(BPF_ALU | BPF_END | BPF_TO_BE, 5, 0, 0, 32),
		insn(BPF_STX | BPF_W | BPF_MEM, 2, 5, 26, 0),
		insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0),
		insn(BPF_LD | BPF_DW | BPF_IMM, 2, BPF_PSEUDO_MAP_FD, 0, map),
		insn(0, 0, 0, 0, 0),
		insn(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
		insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call),
		insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 2),
		insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};

	if (map < 0 || bpf_map_update_elem(map, &zero, &prog, BPF_ANY))
		return -1;
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "before", "GPL", p, sizeof(p) / sizeof(p[0]), &xdp);
	return fd;
}

/* A SYN as Linux sends it, to a socket of this process that listens on loopback. */
static uint8_t syn[76] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 0, 127, 0, 0, 1,
	0x27, 0x0f, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};

/* As before(), for an answer that is made of the packet itself: the SYN is written anew, from another source. */
static int before_syn(int prog, uint32_t spread)
{
	LIBBPF_OPTS(bpf_prog_load_opts, xdp, .expected_attach_type = BPF_XDP);
	int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "next", 4, 4, 1, NULL);
	struct bpf_insn p[64];
	uint32_t zero = 0, w;
	unsigned n = 0;

	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
	p[n++] = insn(BPF_LDX | BPF_W | BPF_MEM, 2, 1, 0, 0);
	p[n++] = insn(BPF_LDX | BPF_W | BPF_MEM, 3, 1, 4, 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, 74);
	p[n++] = insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 28, 0);
	p[n++] = insn(BPF_LDX | BPF_W | BPF_MEM, 5, 2, 30, 0); /* where the answer has the source */
	p[n++] = insn(BPF_ALU | BPF_END | BPF_TO_BE, 5, 0, 0, 32);
	p[n++] = insn(BPF_ALU | BPF_MUL | BPF_K, 5, 0, 0, 1664525);
	p[n++] = insn(BPF_ALU | BPF_ADD | BPF_K, 5, 0, 0, 1013904223);
	p[n++] = insn(BPF_ALU | BPF_AND | BPF_K, 5, 0, 0, (int)(spread - 1));
	p[n++] = insn(BPF_ALU | BPF_OR | BPF_K, 5, 0, 0, 10 << 24);
	p[n++] = insn(BPF_ALU | BPF_END | BPF_TO_BE, 5, 0, 0, 32);
	for (int at = 14; at < 74; at += 4) {
		memcpy(&w, syn + at, 4);
		p[n++] = at == 26 ? insn(BPF_STX | BPF_W | BPF_MEM, 2, 5, 26, 0) : insn(BPF_ST | BPF_W | BPF_MEM, 2, 0, at, (int)w);
	}
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0);
	p[n++] = insn(BPF_LD | BPF_DW | BPF_IMM, 2, BPF_PSEUDO_MAP_FD, 0, map);
	p[n++] = insn(0, 0, 0, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0);
	p[n++] = insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 2);
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	p[5].off = (short)(n - 2 - 6);
	if (map < 0 || bpf_map_update_elem(map, &zero, &prog, BPF_ANY))
		return -1;
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "before", "GPL", p, n, &xdp);
}

static void add(const char *group, int prog, uint32_t spread, bool udp, const char *fmt, ...)
{
	struct one *o = &cases[n_cases];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->name, sizeof(o->name), fmt, ap);
	va_end(ap);
	if (getenv("ONLY") && !strstr(o->name, getenv("ONLY")))
		return;
	snprintf(o->group, sizeof(o->group), "%s", group);
	o->udp = udp;
	o->syn = !strcmp(group, "guard, a SYN");
	o->six = !strcmp(group, "guard, IPv6");
	o->fd = prog < 0 ? -1 : o->syn ? before_syn(prog, spread) : before(prog, spread);
	if (o->fd < 0)
		fprintf(stderr, "%s: not run\n", o->name);
	else
		n_cases++;
}

static int pass_prog(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, xdp, .expected_attach_type = BPF_XDP);
	struct bpf_insn p[] = {insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 2), insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", p, 2, &xdp);
}

/* A guard with @n rules, made by @fmt with the number of the rule; its program. */
static int guard(const char *action, const char *fmt, unsigned n)
{
	struct wr_guard_rule **list = calloc(n ? n : 1, sizeof(*list));
	struct wr_g_set *s = calloc(1, sizeof(*s));
	struct wr_guard_kern *g;
	struct wr_cookie_ctl host;
	struct wr_err e = {.text = ""};
	char line[512], text[400];
	unsigned bad = 0;

	if (!list || !s || wr_guard_kern_open(&g, &e))
		return -1;
	for (unsigned i = 0; i < n; i++) {
		list[i] = calloc(1, sizeof(**list));
		if (!list[i])
			return -1;
		snprintf(text, sizeof(text), fmt, i / 250, i % 250);
		snprintf(line, sizeof(line), "%s ttl 0 %s", action, text);
		if (wr_guard_parse(wr_str(line), list[i], &e)) {
			fprintf(stderr, "%s: %s\n", line, e.text);
			return -1;
		}
		list[i]->slot = i;
	}
	if (wr_guard_plan((const struct wr_guard_rule *const *)list, n, 0, &now, s, &bad, &e) ||
		(!strcmp(action, "cookie") && (wr_cookie_host(&host, &e) || wr_guard_kern_cookies(g, &host, &e))) || wr_guard_kern_set(g, s, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	return wr_guard_kern_prog(g);
}

/* A list of @n networks, each line as @fmt says with three numbers from 16.0.0 on. */
static int listed(unsigned n, const char *fmt, const char *what)
{
	struct wr_buf t = WR_BUF(64u << 20);
	struct wr_guard_rule r = {.action = WR_G_DROP, .list = true}, *list[1] = {&r};
	struct wr_g_set *s = calloc(1, sizeof(*s));
	struct wr_guard_list l;
	struct wr_guard_kern *g;
	struct wr_err e = {.text = ""};
	uint64_t t0, t1, t2;
	unsigned bad;

	for (unsigned i = 0; i < n; i++)
		wr_buf_printf(&t, fmt, 16 + (i >> 16), i >> 8 & 255, i & 255);
	wr_buf_c(&t, 0);
	t0 = wr_now();
	if (!s || wr_guard_kern_open(&g, &e) || wr_guard_list_parse("list", t.p, &l, &e))
		return -1;
	t1 = wr_now();
	if (wr_guard_kern_list(g, &l.in, &e) ||
		wr_guard_plan((const struct wr_guard_rule *const *)list, 1, 0, &now, s, &bad, &e) || wr_guard_kern_set(g, s, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	t2 = wr_now();
	fprintf(stderr, "%u networks: read in %.0f ms, in the kernel after %.0f ms more\n", n, (double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6);
	if (n >= 1000000)
		printf("A list of %u %s: read in %.0f ms, in the kernel after %.0f ms more.\n\n", n, what,
			(double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6);
	wr_guard_list_free(&l);
	wr_buf_free(&t);
	return wr_guard_kern_prog(g);
}

/* xdp-filter's program with @n addresses or a port in its maps. */
static int filter(const char *file, unsigned n, uint32_t from, unsigned port)
{
	char path[256];
	struct bpf_object *o;
	struct bpf_program *p;
	uint64_t v[256];

#ifdef __x86_64__
	snprintf(path, sizeof(path), "/usr/lib/x86_64-linux-gnu/bpf/%s", file);
#else
	snprintf(path, sizeof(path), "/usr/lib/aarch64-linux-gnu/bpf/%s", file);
#endif
	o = bpf_object__open(path);
	if (!o)
		return -1;
	bpf_object__for_each_program(p, o)
	{
		bpf_program__set_type(p, BPF_PROG_TYPE_XDP);
		bpf_program__set_expected_attach_type(p, BPF_XDP);
	}
	struct bpf_map *m = bpf_object__find_map_by_name(o, "filter_ipv4");

	if (m && n)
		bpf_map__set_max_entries(m, n + 1);
	if (bpf_object__load(o))
		return -1;
	for (unsigned i = 0; i < 256; i++)
		v[i] = 1; /* the source address */
	for (unsigned i = 0; i < n; i++) {
		uint32_t a = __builtin_bswap32(from + i);

		if (bpf_map_update_elem(bpf_map__fd(m), &a, v, BPF_ANY))
			return -1;
	}
	m = bpf_object__find_map_by_name(o, "filter_ports");
	if (port && m) {
		uint32_t k = __builtin_bswap16((uint16_t)port);

		for (unsigned i = 0; i < 256; i++)
			v[i] = 2 | 4 | 8; /* destination, TCP, UDP */
		if (bpf_map_update_elem(bpf_map__fd(m), &k, v, BPF_ANY))
			return -1;
	}
	return bpf_program__fd(bpf_object__next_program(o, NULL));
}

static int by_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}


int main(void)
{
	uint8_t frame[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 0, 10, 99, 0, 2,
		0x27, 0x0f, 0, 7, 0, 30};
	uint8_t frame6[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 10, 17, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0,
		[53] = 2, 0x27, 0x0f, 0, 7, 0, 10};
	const char *env = getenv("ROUNDS");
	unsigned rounds = env ? (unsigned)strtoul(env, NULL, 10) : 7;

	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(any);
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (!rounds || rounds > MAX_ROUNDS)
		rounds = 7;
	libbpf_set_print(NULL);
	if (bind(s, (struct sockaddr *)&any, n) || listen(s, 8) || getsockname(s, (struct sockaddr *)&any, &n))
		return 1;
	memcpy(syn + 36, &any.sin_port, 2);
	add("floor", pass_prog(), 1 << 16, true, "the program before it, and a pass");
	add("guard", guard("drop", "", 0), 1 << 16, true, "no rules: pass");
	add("guard", guard("drop", "src 10.%u.%u.0/24", 10), 1 << 24, true, "10 rules by network, most packets pass");
	add("guard", guard("drop", "src 10.%u.%u.0/24", 1000), 1 << 24, true, "1,000 rules by network, most packets pass");
	add("guard", guard("drop", "src 10.0.%u.%u", 1000), 1 << 10, true, "1,000 rules by address, nearly all are dropped");
	add("guard", guard("drop", "src 10.%u.%u.0/24 and tcp and dst.port = 80", 1000), 1 << 24, true, "1,000 rules by network, protocol and port: pass");
	add("guard", guard("drop", "udp and dst.port = 7", 1), 1 << 16, true, "a port: drop");
	add("guard", guard("drop", "udp and dst.port = 8", 1), 1 << 16, true, "another port: pass");
	add("guard", guard("drop", "udp and payload[0:4] = 0x01020304", 1), 1 << 16, true, "four bytes of the payload: pass");
	add("guard", guard("limit rate 1k/s per src", "udp", 1), 1 << 16, true, "a rate for each of 65,536 sources");
	add("guard, a SYN", pass_prog(), 1 << 24, false, "the program that makes it, and a pass");
	add("guard, a SYN", guard("cookie", "tcp and dst.port = 0", 1), 1 << 24, false, "cookies for another port: pass");
	add("guard, a SYN", guard("cookie", "tcp", 1), 1 << 24, false, "SYN cookies: answered");
	base = 16;
	add("guard", listed(131072, "%u.%u.%u.7\n", "addresses"), 1 << 25, true, "a list of 131,072 addresses, one in each /24: most pass");
	add("guard", listed(1 << 20, "%u.%u.%u.0/24\n", "networks"), 1 << 28, true, "a list of 1,048,576 networks of /24: drop");
	add("guard", listed(1 << 20, "%u.%u.%u.7\n", "addresses"), 1 << 28, true, "a list of 1,048,576 addresses, one in each /24: most pass");
	add("guard, IPv6", pass_prog(), 1 << 28, true, "the program before it, and a pass");
	add("guard, IPv6", guard("drop", "", 0), 1 << 28, true, "no rules: pass");
	add("guard, IPv6", listed(1 << 20, "2001:db8:%02x%02x:%02x00::/56\n", "networks of IPv6"), 1 << 28, true, "a list of 1,048,576 networks of /56: drop");
	add("guard, IPv6", listed(1 << 20, "2001:db8:%02x%02x:%02x07::1\n", "addresses of IPv6"), 1 << 28, true,
		"a list of 1,048,576 addresses, one in each /56: pass");
	base = 10;
	add("xdp-filter", filter("xdpfilt_alw_ip.o", 1, 10 << 24, 0), 1 << 16, true, "1 address: pass");
	add("xdp-filter", filter("xdpfilt_alw_ip.o", 1024, 10 << 24, 0), 1 << 10, true, "1,024 addresses: drop");
	add("xdp-filter", filter("xdpfilt_alw_ip.o", 131072, 10 << 24, 0), 1 << 17, true, "131,072 addresses: drop");
	add("xdp-filter", filter("xdpfilt_alw_udp.o", 0, 0, 7), 1 << 16, true, "a port: drop");
	add("xdp-filter", filter("xdpfilt_alw_all.o", 1024, 10 << 24, 7), 1 << 10, true, "1,024 addresses and a port: drop");
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < n_cases; i++) {
			LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = cases[i].syn ? syn : cases[i].six ? frame6 : frame,
				.data_size_in = cases[i].syn ? 74 : sizeof(frame), .repeat = RUNS);

			if (bpf_prog_test_run_opts(cases[i].fd, &o)) {
				perror(cases[i].name);
				return 1;
			}
			cases[i].ns[r] = o.duration;
		}
	}
	printf("| program | case | ns a packet, min of %u | median |\n| --- | --- | --- | --- |\n", rounds);
	for (unsigned i = 0; i < n_cases; i++) {
		qsort(cases[i].ns, rounds, sizeof(cases[i].ns[0]), by_ns);
		printf("| %s | %s | %u | %u |\n", cases[i].group, cases[i].name, cases[i].ns[0], cases[i].ns[rounds / 2]);
	}
	return 0;
}
