// SPDX-License-Identifier: Apache-2.0
#include "isolated.h"
#include "../sys/netns.h"
#include "../sys/netstat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES 16
#define PORTS 24
#define TRIES (ADDRESSES * (PORTS + 2))
#define WAIT_MS 1500 /* the SYN goes out at 0 and 1 s */
#define NOBODY 64999 /* a port, if nobody has it: its reset comes from there, too */

struct place {
	const char *name;
	int fd;
	struct sockaddr_in6 addr[ADDRESSES]; /* IPv4 as sockaddr_in inside */
	unsigned n_addr;
	uint16_t port[PORTS];
	unsigned n_ports;
};

/* One attempt from outside. */
struct
try {
	const struct sockaddr_in6 *to;
	uint16_t port; /* 0: an echo request */
	int fd, err; /* err: 0 = connected, or answered; -1 = no answer */
};

static socklen_t size_of(const struct sockaddr_in6 *a)
{
	return a->sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(*a);
}

static void read_ports(struct place *p, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f) && p->n_ports < PORTS) {
		unsigned port, state;
		bool known = false;

		if (sscanf(line, "%*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) !=
				2 ||
			state != 10)
			continue;
		for (unsigned i = 0; i < p->n_ports; i++)
			known |= p->port[i] == port;
		if (!known)
			p->port[p->n_ports++] = (uint16_t)port;
	}
	if (f)
		fclose(f);
}

/* From inside: where it can be reached, and what listens there. */
static void look(struct place *p)
{
	struct ifaddrs *list = NULL;

	if (getifaddrs(&list))
		return;
	for (struct ifaddrs *i = list; i && p->n_addr < ADDRESSES; i = i->ifa_next) {
		struct sockaddr_in6 *to = &p->addr[p->n_addr];
		const struct sockaddr_in6 *six = (const void *)i->ifa_addr;

		if (!i->ifa_addr || i->ifa_flags & IFF_LOOPBACK)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			memcpy(to, i->ifa_addr, sizeof(struct sockaddr_in));
		else if (i->ifa_addr->sa_family == AF_INET6 &&
			 !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
			memcpy(to, i->ifa_addr, sizeof(*to));
		else
			continue;
		p->n_addr++;
	}
	freeifaddrs(list);
	read_ports(p, "/proc/thread-self/net/tcp");
	read_ports(p, "/proc/thread-self/net/tcp6");
}

static void on_counter(void *ctx, struct wr_str prefix, struct wr_str name, uint64_t v)
{
	if (wr_str_eq(prefix, WR_STR("Tcp")) && wr_str_eq(name, WR_STR("OutRsts")))
		*(uint64_t *)ctx = v;
}

/* Resets that its TCP sent: a refusal of its own, not of a firewall on the way. */
static uint64_t resets(void)
{
	uint64_t n = 0;

	wr_netstat_each(on_counter, &n);
	return n;
}

static void set_port(struct sockaddr_in6 *a, uint16_t port)
{
	if (a->sin6_family == AF_INET)
		((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
	else
		a->sin6_port = htons(port);
}

static void begin(struct try *t)
{
	struct sockaddr_in6 to = *t->to;
	bool six = to.sin6_family == AF_INET6;

	t->err = -1;
	if (t->port) {
		t->fd = socket(to.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		set_port(&to, t->port);
	} else {
		t->fd = socket(to.sin6_family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	}
	if (t->fd < 0) {
		t->err = errno;
		return;
	}
	if (connect(t->fd, (void *)&to, size_of(&to)) && errno != EINPROGRESS) {
		t->err = errno;
		return;
	}
	if (!t->port) { /* the sum over zeros and the type; ICMPv6's is the kernel's work */
		struct icmphdr echo = {.type = six ? 128 : ICMP_ECHO, .checksum = htons(0xf7ff)};

		if (send(t->fd, &echo, sizeof(echo), MSG_NOSIGNAL) < 0)
			t->err = errno;
	}
}

static void look_at(struct try *t)
{
	socklen_t n = sizeof(t->err);
	uint8_t b[256];
	ssize_t got;

	if (t->port) {
		if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &t->err, &n))
			t->err = errno;
		return;
	}
	got = recv(t->fd, b, sizeof(b), MSG_DONTWAIT);
	if (got < 0) {
		t->err = errno == EAGAIN ? -1 : errno;
		return;
	}
	if (t->to->sin6_family == AF_INET)
		t->err = got >= 28 && b[(b[0] & 15) * 4] == ICMP_ECHOREPLY ? 0 : -1;
	else
		t->err = got >= 8 && b[0] == 129 ? 0 : -1;
}

static void wait_for(struct try *t, unsigned n)
{
	uint64_t end = wr_now() + WAIT_MS * 1000000ull;
	static struct pollfd p[TRIES];

	for (;;) {
		uint64_t now = wr_now();
		unsigned open = 0;

		for (unsigned i = 0; i < n; i++) {
			bool waits = t[i].fd >= 0 && t[i].err == -1;

			p[i] = (struct pollfd){
				waits ? t[i].fd : -1, t[i].port ? POLLOUT : POLLIN, 0};
			open += waits;
		}
		if (!open || now >= end || poll(p, n, (int)((end - now) / 1000000) + 1) < 0)
			break;
		for (unsigned i = 0; i < n; i++) {
			if (p[i].fd >= 0 && p[i].revents)
				look_at(&t[i]);
		}
	}
}

struct result {
	unsigned tried, connected, refused, echoed, no_route, silent, other;
	uint64_t resets;
	char first[80]; /* that got through */
};

/* Out of @a into @b. */
static int attempt(struct place *a, struct place *b, struct result *r)
{
	static struct try t[TRIES];
	unsigned n = 0;
	int back;

	for (unsigned i = 0; i < b->n_addr; i++) {
		for (unsigned k = 0; k < b->n_ports + 2; k++)
			t[n++] = (struct try){&b->addr[i],
				k < b->n_ports	  ? b->port[k]
				: k == b->n_ports ? NOBODY
						  : 0,
				-1, -1};
	}
	back = wr_netns_enter(b->fd);
	if (back < 0)
		return back;
	r->resets = resets();
	wr_netns_leave(back);
	back = wr_netns_enter(a->fd);
	if (back < 0)
		return back;
	for (unsigned i = 0; i < n; i++)
		begin(&t[i]);
	wait_for(t, n);
	wr_netns_leave(back);
	for (unsigned i = 0; i < n; i++) {
		char ip[INET6_ADDRSTRLEN];
		const void *at =
			t[i].to->sin6_family == AF_INET
				? (const void *)&((const struct sockaddr_in *)(const void *)t[i].to)
					  ->sin_addr
				: (const void *)&t[i].to->sin6_addr;
		unsigned *count = t[i].err == -1	     ? &r->silent
				  : t[i].err == ECONNREFUSED ? &r->refused
				  : t[i].err == ENETUNREACH || t[i].err == EHOSTUNREACH
					  ? &r->no_route
				  : t[i].err  ? &r->other
				  : t[i].port ? &r->connected
					      : &r->echoed;

		++*count;
		r->tried++;
		inet_ntop(t[i].to->sin6_family, at, ip, sizeof(ip));
		if (!t[i].err && !r->first[0])
			snprintf(r->first, sizeof(r->first),
				t[i].port ? "%s port %u takes connections"
					  : "%s answers echo requests",
				ip, t[i].port);
		if (t[i].fd >= 0)
			close(t[i].fd);
	}
	back = wr_netns_enter(b->fd);
	if (back < 0)
		return back;
	r->resets = resets() - r->resets;
	wr_netns_leave(back);
	if (r->refused && r->resets && !r->first[0])
		snprintf(r->first, sizeof(r->first),
			"its TCP answered %" PRIu64 " of %u attempts with a reset", r->resets,
			r->refused);
	return 0;
}

static bool open_place(struct wr_view *v, struct place *p, const char *name, uint64_t *ret_inode)
{
	int back;

	*p = (struct place){.name = name, .fd = -1};
	if (!wr_netns_inode(name, ret_inode))
		p->fd = wr_netns_open(*ret_inode);
	if (p->fd < 0) {
		wr_die(v->cmd, WR_EXIT_USAGE,
			"there is no network namespace '%s' (a name of `ip netns`, a pid, or self)",
			name);
		return false;
	}
	back = wr_netns_enter(p->fd);
	if (back < 0) {
		wr_die(v->cmd, WR_EXIT_LACKS, "cannot enter namespace '%s': %s", name,
			strerror(-back));
		return false;
	}
	look(p);
	wr_netns_leave(back);
	return true;
}

static void put(struct wr_view *v, const struct place *p, const struct result *r, int status)
{
	struct wr_buf subject = WR_BUF(256), words = WR_BUF(1024), evidence = WR_BUF(4096),
		      fix = WR_BUF(512), counts[2] = {WR_BUF(512), WR_BUF(512)};
	struct wr_ev_diagnosis d;

	wr_buf_printf(&subject, "isolation of %s and %s", p[0].name, p[1].name);
	wr_buf_c(&evidence, '[');
	for (unsigned i = 0; i < 2; i++) {
		wr_buf_printf(&counts[i],
			"%s to %s: %u attempts at %u addresses: %u connected, %u refused (%" PRIu64
			" by itself), %u echoes answered, %u without a way, %u without an answer",
			p[i].name, p[!i].name, r[i].tried, p[!i].n_addr, r[i].connected,
			r[i].refused, r[i].resets, r[i].echoed, r[i].no_route + r[i].other,
			r[i].silent);
		if (i)
			wr_buf_c(&evidence, ',');
		wr_buf_json(&evidence, wr_buf_view(&counts[i]));
		if (!r[i].first[0])
			continue;
		wr_buf_printf(&words, "%s%s reaches %s: %s", words.n ? "; " : "", p[i].name,
			p[!i].name, r[i].first);
		if (!fix.n)
			wr_buf_printf(&fix,
				"`weir journey --netns %s` while it is tried shows the way; a drop between the two ends it",
				p[i].name);
	}
	wr_buf_c(&evidence, ']');
	if (!words.n)
		wr_buf_printf(&words, "nothing gets from %s to %s, or back", p[0].name, p[1].name);
	WR_INIT(&d, diagnosis);
	WR_SET(&d, diagnosis, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&d, diagnosis, host, wr_str(v->host));
	WR_SET(&d, diagnosis, subject, wr_buf_view(&subject));
	WR_SET(&d, diagnosis, verdict, status ? WR_STR("fault") : WR_STR("healthy"));
	if (status)
		WR_SET(&d, diagnosis, cause, WR_STR("not_isolated"));
	WR_SET(&d, diagnosis, confidence, status ? 1 : p[0].n_addr && p[1].n_addr ? 0.9 : 0.5);
	WR_SET(&d, diagnosis, summary, wr_buf_view(&words));
	WR_SET(&d, diagnosis, evidence, wr_buf_view(&evidence));
	if (fix.n)
		WR_SET(&d, diagnosis, fix, wr_buf_view(&fix));
	if (v->cfg.json || v->cfg.csv) {
		wr_view_put(v, &d.ev);
	} else {
		printf("%.*s: %s\n  %.*s\n", (int)subject.n, subject.p,
			status ? "fault, not_isolated" : "healthy", (int)words.n, words.p);
		for (unsigned i = 0; i < 2; i++)
			printf("  - %.*s\n", (int)counts[i].n, counts[i].p);
		if (fix.n)
			printf("  fix: %.*s\n", (int)fix.n, fix.p);
	}
	wr_view_flush(v);
	wr_buf_free(&subject);
	wr_buf_free(&words);
	wr_buf_free(&evidence);
	wr_buf_free(&fix);
	wr_buf_free(&counts[0]);
	wr_buf_free(&counts[1]);
}

int wr_isolated(struct wr_view *v, const char *a, const char *b)
{
	static struct place p[2];
	struct result r[2] = {{.tried = 0}};
	uint64_t inode[2] = {0, 0};
	int rc = WR_EXIT_USAGE;

	p[1].fd = -1;
	if (!open_place(v, &p[0], a, &inode[0]) || !open_place(v, &p[1], b, &inode[1]))
		goto out;
	if (inode[0] == inode[1]) {
		rc = wr_die(v->cmd, WR_EXIT_USAGE, "'%s' and '%s' are the same namespace", a, b);
		goto out;
	}
	rc = attempt(&p[0], &p[1], &r[0]);
	if (!rc)
		rc = attempt(&p[1], &p[0], &r[1]);
	if (rc) {
		rc = wr_die(v->cmd, WR_EXIT_LACKS, "cannot enter a namespace: %s", strerror(-rc));
		goto out;
	}
	rc = r[0].first[0] || r[1].first[0] ? WR_EXIT_FOUND : WR_EXIT_OK;
	put(v, p, r, rc);
out:
	for (unsigned i = 0; i < 2; i++) {
		if (p[i].fd >= 0)
			close(p[i].fd);
	}
	return rc;
}
