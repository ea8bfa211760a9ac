// SPDX-License-Identifier: Apache-2.0
#include "../../actors/cut/cut.h"
#include "../../actors/guard/guard.h"
#include "../agent/agent.h"
#include "../enrich/enrich.h"
#include "../sys/loop.h"
#include "../sys/netns.h"
#include "rules.h"
#include "view.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct guard_opts {
	const char *ttl, *when, *rate, *per, *burst, *mode, *unparsed, *list, *of, *process,
		*container, *port;
};
#define O(f) offsetof(struct guard_opts, f)
static const struct wr_opt rows[] = {
	{"ttl", 0, WR_OPT_TEXT, O(ttl), "10m", "TIME",
		"a rule ends after this time; 0: when it is cleared", 0, 0},
	{"when", 0, WR_OPT_TEXT, O(when), NULL, "HOURS",
		"it holds in these hours only: 22:00-06:00, mon-fri, sat,sun@08:00-18:00 (local time)",
		0, 0},
	{"rate", 0, WR_OPT_TEXT, O(rate), NULL, "RATE",
		"limit: packets (1000/s, 10k/s), or bits or bytes a second (10mbit, 2MB/s); cookie: SYNs",
		0, 0},
	{"per", 0, WR_OPT_TEXT, O(per), "total", "WHAT",
		"what has this rate: total, src, dst, or prefixes of them (src/24, src/24/56)", 0,
		0},
	{"burst", 0, WR_OPT_TEXT, O(burst), NULL, "N",
		"packets or bytes at once; as set: those of a tenth of a second", 0, 0},
	{"list", 0, WR_OPT_TEXT, O(list), NULL, "FILE",
		"drop: the sources that the file names, an address or network a line (IPv4, IPv6)",
		0, 0},
	{"of", 0, WR_OPT_TEXT, O(of), NULL, "KP,AS64500",
		"with --list: of a file in MaxMind's format the sources of these countries and networks",
		0, 0},
	{"process", 0, WR_OPT_TEXT, O(process), NULL, "NAME|PID",
		"block: this process, or all of this name, now and while the block lasts", 0, 0},
	{"container", 0, WR_OPT_TEXT, O(container), NULL, "NAME",
		"block: every process of this container", 0, 0},
	{"port", 0, WR_OPT_TEXT, O(port), NULL, "N",
		"block: what is open on this local port ends, what comes to it is dropped", 0, 0},
	{"mode", 0, WR_OPT_TEXT, O(mode), "auto", "MODE",
		"native, generic (both XDP), tc, or auto: what costs the traffic least (without an agent)",
		0, 0},
	{"unparsed", 0, WR_OPT_TEXT, O(unparsed), "pass", "VERDICT",
		"pass or drop what cannot be parsed (without an agent)", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

struct guard {
	struct wr_view v;
	struct guard_opts o;
	struct wr_guard *g; /* of its own; NULL: the agent's */
	uint64_t only; /* the rule that is shown; 0: all */
};

static void c_id(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_rule_id);
}
static void c_action(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_rule *r = (const void *)e;

	wr_buf_str(b, r->action);
	if (r->rate.n)
		wr_buf_printf(
			b, " %.*s per %.*s", (int)r->rate.n, r->rate.p, (int)r->per.n, r->per.p);
	if (r->automatic)
		wr_buf_lit(b, " (kept)");
	if (r->idle)
		wr_buf_lit(b, " (not now)");
}
static void c_text(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_rule_text);
}
static void c_hits(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_rule_hits);
}
static void c_bytes(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_rule_bytes);
}
static void age(struct wr_buf *b, uint64_t from, uint64_t to)
{
	uint64_t s = to > from ? (to - from) / 1000000000u : 0;

	if (s >= 3600)
		wr_buf_printf(b, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else if (s >= 60)
		wr_buf_printf(b, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else
		wr_buf_printf(b, "%" PRIu64 "s", s);
}
static void c_last(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_rule *r = (const void *)e;

	if (r->last)
		age(b, r->last, r->time);
	else
		wr_buf_c(b, '-');
}
static void c_left(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_rule *r = (const void *)e;

	if (r->expires)
		age(b, r->time, r->expires);
	else
		wr_buf_c(b, '-');
}

static const struct wr_col cols[] = {
	{"ID", 4, true, 0, c_id},
	{"ACTION", 21, false, 0, c_action},
	{"HITS", 10, true, 0, c_hits},
	{"BYTES", 8, true, 1, c_bytes},
	{"AGO", 7, true, 3, c_last},
	{"LEFT", 7, true, 2, c_left},
	{"RULE", 30, false, 0, c_text},
};

static void show(void *ctx, const struct wr_event *e)
{
	struct guard *g = ctx;
	const struct wr_ev_rule *r = (const void *)e;

	if (e->kind != WR_KIND_rule || (g->only && r->id != g->only) ||
		!wr_filter_match(g->v.filter, e))
		return;
	wr_view_put(&g->v, e);
}

/* The rules of the agent. An exit status + 1, or 0. */
static int show_agent(struct guard *g)
{
	struct wr_err e = {.text = ""};

	if (wr_rules_of_guard(g->v.cfg.socket, show, g, &e))
		return 1 + wr_die("guard", WR_EXIT_LACKS, "%s", e.text);
	if (!g->v.emitted && !g->v.cfg.json && !g->v.cfg.csv)
		fprintf(stderr, "weir guard: no rules%s\n",
			g->v.cfg.expr ? " match" : "; nothing is guarded");
	return 0;
}

/* The words of a block, and who asks, who shall not lose what he asks with: this command and those above it. */
static int block_line(const struct guard *g, struct wr_buf *line)
{
	const char *const what[] = {g->o.process, g->o.container, g->o.port};
	static const char *const words[] = {"process", "container", "port"};
	struct wr_proc_stat s = {.ppid = (uint32_t)getpid()};
	unsigned n = 0, which = 0;

	for (unsigned i = 0; i < WR_N(what); i++) {
		n += what[i] != NULL;
		which = what[i] ? i : which;
	}
	if (n != 1)
		return 1 + wr_die("guard", WR_EXIT_USAGE,
				   "block wants one of --process, --container, --port");
	wr_buf_printf(line, "block ttl %s spare %u", g->o.ttl, s.ppid);
	for (unsigned i = 0; i < 15 && wr_proc_stat(s.ppid, &s) && s.ppid > 1; i++)
		wr_buf_printf(line, ",%u", s.ppid);
	wr_buf_printf(line, " %s %s", words[which], what[which]);
	wr_buf_c(line, 0);
	return 0;
}

static int check_block(const char *line)
{
	struct wr_cut_rule r;
	struct wr_err e = {.text = ""};
	struct wr_str rest = wr_str(line + strlen("block"));

	return wr_cut_parse(rest, &r, &e) ? 1 + wr_die("guard", WR_EXIT_USAGE, "%s", e.text) : 0;
}

/* A rule is judged here, where a caret can be shown. */
static int check(const char *line)
{
	struct wr_guard_rule *r = wr_alloc(sizeof(*r));
	struct wr_g_set *s = wr_alloc(sizeof(*s));
	const struct wr_guard_rule *list[1] = {r};
	const struct wr_guard_clock now = {.tick = 1000000};
	struct wr_err e = {.text = ""};
	struct wr_buf b = WR_BUF(16384);
	unsigned bad;
	int rc = r && s ? wr_guard_parse(wr_str(line), r, &e) : -ENOMEM;

	if (rc) {
		rc = 1 + wr_die("guard", WR_EXIT_USAGE, "%s", e.text);
	} else if (wr_guard_plan(list, 1, 0, &now, s, &bad, &e)) {
		wr_filter_explain(&e, r->text, &b);
		wr_buf_c(&b, 0);
		rc = 1 + wr_die("guard", WR_EXIT_USAGE, "%s", b.p);
	}
	wr_buf_free(&b);
	free(r);
	free(s);
	return rc;
}

/* Who types this over ssh shall not lock himself out: "" or a line. */
static void own_session(char *line, size_t n)
{
	const char *ssh = getenv("SSH_CONNECTION");
	char from[64], to[64];
	unsigned sport, dport;
	struct wr_ip a;

	line[0] = 0;
	if (!ssh || sscanf(ssh, "%63s %u %63s %u", from, &sport, to, &dport) != 4 ||
		wr_ip_parse(wr_str(from), &a, NULL) || wr_ip_parse(wr_str(to), &a, NULL))
		return;
	snprintf(line, n,
		"keep ttl 24h src %s and dst %s and tcp and src.port = %u and dst.port = %u", from,
		to, sport, dport);
}

/* One line to the agent or to the guard of this process; its answer is added to @ret. */
static int tell(struct guard *g, const char *line, struct wr_buf *ret)
{
	struct wr_err e = {.text = ""};
	struct wr_buf msg = WR_BUF(16384);
	int rc;

	if (g->g) {
		rc = wr_guard_do(g->g, wr_str(line), ret, &e);
		return rc ? 1 + wr_die("guard",
					rc == -EINVAL || rc == -E2BIG || rc == -ENOENT
						? WR_EXIT_USAGE
						: wr_exit_of(rc),
					"%s", e.text)
			  : 0;
	}
	wr_buf_printf(&msg, "set guard %s\n", line);
	wr_buf_c(&msg, 0);
	rc = wr_client_ask(g->v.cfg.socket, msg.p, ret, &e);
	wr_buf_free(&msg);
	return rc ? 1 + wr_die("guard", rc == -EPROTO ? WR_EXIT_USAGE : WR_EXIT_LACKS, "%s", e.text)
		  : 0;
}

static void nothing(void *ctx, uint32_t events)
{
	(void)ctx;
	(void)events;
}

/* Without an agent the rules live as long as this process. */
static void hold(struct guard *g)
{
	struct wr_loop *l = wr_loop_new();
	int sig = wr_loop_signals();
	uint64_t ends = g->v.cfg.duration ? wr_now() + g->v.cfg.duration : UINT64_MAX;
	struct wr_buf where = WR_BUF(8192);

	wr_guard_where(g->g, &where);
	fprintf(stderr,
		"weir guard: in force %s%.*s%suntil Ctrl-C, here: no agent runs that would keep it\n",
		where.n ? "on " : "", (int)where.n, where.p, where.n ? " " : "");
	wr_buf_free(&where);
	if (!l || sig < 0 || wr_loop_add(l, sig, EPOLLIN, nothing, NULL))
		return;
	while (wr_now() < ends && wr_guard_count(g->g) && !wr_loop_signal(sig)) {
		wr_loop_turn(l, 200);
		wr_guard_turn(g->g);
	}
	wr_loop_free(l);
	close(sig);
}

static int mode_of(const struct guard *g, enum wr_guard_mode *ret)
{
	if (!wr_guard_mode_of(g->o.mode, ret))
		return 0;
	return 1 + wr_die("guard", WR_EXIT_USAGE, "--mode is auto, native, generic or tc, not '%s'",
			   g->o.mode);
}

/* A guard of its own where no agent answers, or where the agent cannot look. Exit status + 1. */
static int open_own(struct guard *g)
{
	struct wr_guard_config c = {
		.host = g->v.host, .interfaces = g->v.cfg.interfaces, .ended = show, .ctx = g};
	struct wr_err e = {.text = ""};
	int fd, rc;

	if (!g->v.cfg.standalone && !g->v.cfg.netns) {
		fd = wr_client_open(g->v.cfg.socket, "hello\n", &e);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
	}
	if (geteuid())
		return 1 +
		       wr_die("guard", WR_EXIT_LACKS,
			       "needs root, or a running agent (`weir run`) and the right to change it");
	rc = mode_of(g, &c.mode);
	if (rc)
		return rc;
	c.drop_unparsed = !strcmp(g->o.unparsed, "drop");
	if (!c.drop_unparsed && strcmp(g->o.unparsed, "pass") != 0)
		return 1 + wr_die("guard", WR_EXIT_USAGE, "--unparsed is pass or drop, not '%s'",
				   g->o.unparsed);
	if (g->v.netns) {
		fd = wr_netns_open(g->v.netns);
		if (fd < 0 || setns(fd, CLONE_NEWNET))
			return 1 + wr_die("guard", WR_EXIT_LACKS,
					   "cannot enter the namespace '%s': %s", g->v.cfg.netns,
					   strerror(fd < 0 ? -fd : errno));
		close(fd);
	}
	rc = wr_guard_new(&c, &g->g, &e);
	return rc ? 1 + wr_die("guard", WR_EXIT_LACKS, "%s", e.text) : 0;
}

static int change(struct guard *g, const char *line, bool is_rule)
{
	struct wr_buf b = WR_BUF(65536);
	char keep[256];
	bool is_block = !strncmp(line, "block ", 6);
	int rc = is_block ? check_block(line) : is_rule ? check(line) : 0;

	if (!rc)
		rc = open_own(g);
	if (!rc && g->g && !strncmp(line, "clear", 5))
		rc = 1 + wr_die("guard", WR_EXIT_LACKS,
				 "no agent answers on %s: there are no rules to clear",
				 g->v.cfg.socket);
	own_session(keep, sizeof(keep));
	if (!rc && keep[0] && strncmp(line, "clear", 5) != 0)
		rc = tell(g, keep, &b);
	if (!rc && !g->g && g->v.cfg.interfaces) {
		struct wr_str list = wr_str(g->v.cfg.interfaces), w;
		char name[64];

		while (!rc && wr_next_word(&list, &w)) {
			snprintf(name, sizeof(name), "guard %.*s", (int)w.n, w.p);
			rc = tell(g, name, &b);
		}
	}
	if (!rc)
		rc = tell(g, line, &b);
	if (!rc) {
		const char *lf = is_rule && b.n ? memchr(b.p, '\n', b.n) : NULL;
		size_t n = lf ? (size_t)(lf - b.p) : 0;

		if (is_rule)
			wr_parse_u64((struct wr_str){b.p, n}, &g->only);
		n += lf ? 1 : 0;
		fprintf(stderr, "%.*s", (int)(b.n - n), b.p + n);
	}
	if (!rc && g->g && wr_guard_count(g->g)) {
		g->only = 0;
		hold(g);
		wr_guard_rules(g->g, show, g);
	} else if (!rc && is_rule) {
		rc = show_agent(g);
	}
	wr_buf_free(&b);
	return rc;
}

/* What the rule would have met: the same expression over history. */
static int plan(struct guard *g, const char *expr)
{
	static char name[] = "flows", by[] = "--by",
		    keys[] = "client.ip,server.service,server.port", from[] = "--since",
		    in[] = "--store", w[] = "-w", json[] = "--json";
	char since[64], where[WR_MAX_EXPR + 1], store[512];
	char *argv[] = {name, by, keys, from, since, in, store, w, where,
		g->v.cfg.json ? json : NULL, NULL};

	wr_copy(since, sizeof(since), wr_str(g->v.cfg.since ? g->v.cfg.since : "1h"));
	wr_copy(where, sizeof(where), wr_str(expr));
	wr_copy(store, sizeof(store), wr_str(g->v.cfg.store));
	fprintf(stderr,
		"weir guard: connections of the last %s that the expression names; src is the client, dst the server\n",
		since);
	return wr_cmd_flows.run(g->v.cfg.json ? 10 : 9, argv);
}

static int run(int argc, char **argv)
{
	struct guard *g = wr_alloc(sizeof(*g));
	struct wr_buf expr = WR_BUF(WR_MAX_EXPR + 64), line = WR_BUF(2 * WR_MAX_EXPR);
	const char *verb;
	int n, rc;

	if (!g)
		return wr_die("guard", WR_EXIT_LACKS, "no memory");
	rc = wr_view_init(&g->v, &wr_cmd_guard, WR_KIND_rule, WR_KIND_rule, &g->o, argc, argv, &n);
	if (rc)
		goto out;
	g->v.cols = cols;
	g->v.n_cols = WR_N(cols);
	verb = n ? argv[0] : "list";
	for (int i = 1; i < n; i++)
		wr_buf_printf(&expr, "%s%s", i > 1 ? " " : "", argv[i]);
	wr_buf_c(&expr, 0);
	if (g->o.of && !g->o.list) {
		rc = 1 +
		     wr_die("guard", WR_EXIT_USAGE, "--of is of a --list FILE in MaxMind's format");
	} else if (g->o.when && !strcmp(verb, "block")) {
		rc = 1 +
		     wr_die("guard", WR_EXIT_USAGE,
			     "--when is of rules about packets: drop, reject, tarpit, limit, cookie, allow");
	} else if (!strcmp(verb, "list") && n < 2) {
		rc = show_agent(g);
	} else if (!strcmp(verb, "plan") && n > 1) {
		rc = 1 + plan(g, expr.p);
	} else if (!strcmp(verb, "load") && n == 2) {
		char *full = realpath(argv[1], NULL);

		if (full)
			wr_buf_printf(&line, "load %s", full);
		wr_buf_c(&line, 0);
		rc = full ? change(g, line.p, false)
			  : 1 + wr_die("guard", WR_EXIT_USAGE, "cannot read %s: %s", argv[1],
					strerror(errno));
		free(full);
	} else if (!strcmp(verb, "clear")) {
		wr_buf_printf(&line, "clear %s", expr.p);
		wr_buf_c(&line, 0);
		rc = change(g, line.p, false);
	} else if (!strcmp(verb, "drop") || !strcmp(verb, "allow") || !strcmp(verb, "limit") ||
		   !strcmp(verb, "cookie") || !strcmp(verb, "reject") || !strcmp(verb, "tarpit")) {
		wr_buf_printf(&line, "%s", verb);
		if (g->o.rate)
			wr_buf_printf(&line, " rate %s per %s", g->o.rate, g->o.per);
		if (g->o.burst)
			wr_buf_printf(&line, " burst %s", g->o.burst);
		if (g->o.list) {
			char *full = realpath(g->o.list, NULL);

			wr_buf_printf(&line, " list %s", full ? full : g->o.list);
			free(full);
			if (g->o.of)
				wr_buf_printf(&line, " of %s", g->o.of);
		}
		if (g->o.when)
			wr_buf_printf(&line, " when %s", g->o.when);
		wr_buf_printf(&line, " ttl %s %s", g->o.ttl, expr.p);
		wr_buf_c(&line, 0);
		rc = change(g, line.p, true);
	} else if (!strcmp(verb, "reset") && n == 2) {
		wr_buf_printf(&line, "reset %s", expr.p);
		wr_buf_c(&line, 0);
		rc = change(g, line.p, false);
	} else if (!strcmp(verb, "block") && n == 1) {
		rc = block_line(g, &line);
		rc = rc ? rc : change(g, line.p, true);
	} else {
		rc = 1 +
		     wr_die("guard", WR_EXIT_USAGE,
			     "say drop EXPR, reject EXPR, tarpit EXPR, limit EXPR --rate R, cookie EXPR, allow EXPR, "
			     "block --process X, reset ADDRESS, list, clear [ID ...], load FILE or plan EXPR");
	}
	wr_view_flush(&g->v);
out:
	wr_guard_free(g->g);
	wr_view_free(&g->v);
	wr_buf_free(&expr);
	wr_buf_free(&line);
	free(g);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_guard = {
	.name = "guard",
	.args = "VERB ...",
	.help = "drop, limit or let pass packets where they arrive (XDP, tc); each rule ends by itself",
	.more = "  drop EXPR                drop what matches\n"
		"  reject EXPR              answer TCP with a reset, drop what else matches\n"
		"  tarpit EXPR              answer SYNs to ports where nobody listens, with a closed window, and nothing behind\n"
		"                           them: every port looks open; what has a socket here, or is forwarded, passes\n"
		"  limit EXPR --rate R      drop what is over the rate, in all or per source, destination, prefix\n"
		"  cookie EXPR [--rate R]   SYN cookies: a SYN (over the rate) is answered at once, nothing of it is kept\n"
		"  allow EXPR               let pass, whatever the other rules say\n"
		"  block --process X        what it has open ends, and it gets nothing new; or --container X, --port N\n"
		"  reset ADDRESS            connections with it are ended, once\n"
		"  list                     the rules: hits, bytes, when they acted last, time left\n"
		"  clear [ID ...]           end these rules, or all\n"
		"  load FILE                a whole set, a rule a line: drop EXPR, limit rate 1000/s per src EXPR, allow EXPR\n"
		"  plan EXPR                what it would have met in the last hour (--since), from history\n"
		"\n"
		"Rules test the headers of packets as they come in: src, dst, port, tcp, udp, tcp.flags, icmp.type,\n"
		"ip.ttl, ip.dscp, ip.fragment_offset, vlan.id, length, and bytes of the payload, payload[0:4] = 0x00010203\n"
		"or = \"GET \" or = 0x80/0xc0 under a mask; inside of VLAN tags, IPv6 extension headers and tunnels (IPIP,\n"
		"GRE, VXLAN, Geneve) too. Cookies are for sockets of this host (Linux 6.8). Allow wins,\n"
		"then drop, reject, tarpit, cookies, then the limits. The cost of a packet does not grow with the rules.\n"
		"A block is about sockets, not packets: wherever their namespace is, those\n"
		"of the process are reset or closed, and it may make, connect, bind none of IPv4 or IPv6 until it ends;\n"
		"local sockets stay, and so do this shell and what is above it. Your own ssh session, the gateway and the\n"
		"resolvers are never blocked.\n"
		"A running agent keeps the rules; without one they live as long as the command. Nothing stays when\n"
		"either is gone, killed or not. They hold on every interface that is up, but loopback, or on those of\n"
		"--interface (guard.interfaces).",
	.examples =
		"  weir guard drop 'src 203.0.113.0/24 and udp and dst.port = 123' --ttl 30m\n"
		"  weir guard limit 'tcp.flags = S and dst.port = 443' --rate 200/s --per src/24\n"
		"  weir guard limit 'udp and dst.port = 27015 and payload[0:5] = 0xffffffff54' --rate 50/s --per src\n"
		"  weir guard cookie 'tcp and dst.port = 443' --rate 500/s --ttl 1h\n"
		"  weir guard tarpit 'tcp and src 203.0.113.7' --ttl 1h\n"
		"  weir guard drop 'udp and src.port in (19, 123, 1900, 11211) and length > 200'\n"
		"  weir guard drop --list /etc/weir/blocked.txt --ttl 0\n"
		"  weir guard drop --list /usr/share/GeoIP/GeoLite2-Country.mmdb --of KP,IR --ttl 1h\n"
		"  weir guard block --process cryptominer --ttl 30m\n"
		"  weir guard list --json",
	.opts = &opts,
	.view = true,
	.run = run,
};
