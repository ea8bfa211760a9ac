// SPDX-License-Identifier: Apache-2.0
#include "guard.h"
#include "silent.h"

#include <bpf/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 1024

extern const uint8_t wr_obj_guard[], wr_obj_guard_end[], wr_obj_cookie[], wr_obj_cookie_end[];

struct wr_guard_kern {
	struct bpf_object *obj;
	int xdp, tc, clock, sets, counts, stats, cookie;
	struct bpf_object *acks; /* lets in what was answered with cookies; NULL: not needed yet */
	bool cookies, answering; /* are in use */
	bool answers; /* both can be */
	struct ring_buffer *samples;
	int inner; /* the set in force; -1: none yet */
	unsigned ncpu, n;
	struct {
		int fd, ack_fd, ifindex; /* ack_fd -1: none */
		char name[16];
		const char *mode;
	} link[WR_GUARD_LINKS];
	void (*fn)(void *ctx, const struct wr_g_sample *s);
	void *ctx;
};

static int on_sample(void *ctx, void *data, size_t n)
{
	struct wr_guard_kern *g = ctx;

	if (n >= sizeof(struct wr_g_sample) && g->fn)
		g->fn(g->ctx, data);
	return 0;
}

static int new_set(void)
{
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "wr_g_set", 4, sizeof(struct wr_g_set), 1, NULL);
}

static int load(struct wr_guard_kern *g, bool cookies)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "guard");
	uint8_t flag = cookies;
	struct bpf_map *m;

	g->obj = bpf_object__open_mem(
		wr_obj_guard, (size_t)(wr_obj_guard_end - wr_obj_guard), &opts);
	if (!g->obj)
		return -errno;
	m = bpf_object__find_map_by_name(g->obj, ".rodata.cookies");
	g->answers = m && !bpf_map__set_initial_value(m, &flag, sizeof(flag)) && cookies;
	return bpf_object__load(g->obj);
}

int wr_guard_kern_open(struct wr_guard_kern **ret, struct wr_err *e)
{
	struct wr_guard_kern *g = wr_alloc(sizeof(*g));
	libbpf_print_fn_t before;
	struct bpf_program *p;
	int rc;

	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	g->inner = -1;
	before = libbpf_set_print(wr_silent);
	rc = load(g, true);
	if (rc && rc != -EPERM) { /* a kernel that does not understand cookies */
		bpf_object__close(g->obj);
		rc = load(g, false);
	}
	libbpf_set_print(before);
	if (rc) {
		wr_guard_kern_close(g);
		return wr_fail(e, rc, "the kernel refused the guard's program: %s%s", strerror(-rc),
			rc == -EPERM ? " (needs root: CAP_BPF, CAP_NET_ADMIN)" : "");
	}
	p = bpf_object__find_program_by_name(g->obj, "guard_xdp");
	g->xdp = bpf_program__fd(p);
	p = bpf_object__find_program_by_name(g->obj, "guard_tc");
	g->tc = bpf_program__fd(p);
	p = bpf_object__find_program_by_name(g->obj, "guard_clock");
	g->clock = bpf_program__fd(p);
	g->sets = bpf_object__find_map_fd_by_name(g->obj, "wr_g_sets");
	g->counts = bpf_object__find_map_fd_by_name(g->obj, "wr_g_counts");
	g->stats = bpf_object__find_map_fd_by_name(g->obj, "wr_g_stats");
	g->cookie = bpf_object__find_map_fd_by_name(g->obj, "wr_cookie");
	g->ncpu = (unsigned)libbpf_num_possible_cpus();
	g->samples = ring_buffer__new(
		bpf_object__find_map_fd_by_name(g->obj, "wr_g_samples"), on_sample, g, NULL);
	if (!g->samples || g->ncpu > MAX_CPUS) {
		wr_guard_kern_close(g);
		return wr_fail(e, -ENOMEM, "no memory for the guard's ring");
	}
	*ret = g;
	return 0;
}

void wr_guard_kern_close(struct wr_guard_kern *g)
{
	if (!g)
		return;
	wr_guard_kern_detach(g);
	ring_buffer__free(g->samples);
	if (g->inner >= 0)
		close(g->inner);
	bpf_object__close(g->acks);
	bpf_object__close(g->obj);
	free(g);
}

int wr_guard_kern_set(struct wr_guard_kern *g, const struct wr_g_set *s, struct wr_err *e)
{
	uint32_t zero = 0;
	int fd = new_set(), rc;

	if (fd < 0)
		return wr_fail(e, -errno, "no memory for the rules: %s", strerror(errno));
	rc = bpf_map_update_elem(fd, &zero, s, BPF_ANY);
	if (!rc)
		rc = bpf_map_update_elem(g->sets, &zero, &fd, BPF_ANY);
	if (rc) {
		rc = -errno;
		close(fd);
		return wr_fail(e, rc, "the kernel refused the rules: %s", strerror(-rc));
	}
	if (g->inner >= 0)
		close(g->inner);
	g->inner = fd;
	return 0;
}

/* A map of @n values in the first place of @outer; values go in batches (5.6). */
static int swap_in(
	int outer, const char *name, const void *v, uint32_t size, uint32_t n, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = flags);
	LIBBPF_OPTS(bpf_map_batch_opts, b);
	uint32_t zero = 0, *keys = calloc(n, sizeof(*keys)), done = n;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, size, n, &o), rc = -ENOMEM;

	for (uint32_t i = 0; keys && i < n; i++)
		keys[i] = i;
	if (keys && fd >= 0)
		rc = bpf_map_update_batch(fd, keys, v, &done, &b) ||
				     bpf_map_update_elem(outer, &zero, &fd, BPF_ANY)
			     ? -errno
			     : 0;
	free(keys);
	if (fd >= 0)
		close(fd); /* the outer map holds it */
	return rc;
}

int wr_guard_kern_list(struct wr_guard_kern *g, const struct wr_g_list *l, struct wr_err *e)
{
	int lists = bpf_object__find_map_fd_by_name(g->obj, "wr_g_lists"),
	    blocks = bpf_object__find_map_fd_by_name(g->obj, "wr_g_parts"),
	    sixes = bpf_object__find_map_fd_by_name(g->obj, "wr_g_sixes"), rc = 0;
	uint32_t zero = 0;

	bpf_map_delete_elem(
		lists, &zero); /* first, so that no part is read with the other's ranks */
	bpf_map_delete_elem(blocks, &zero);
	bpf_map_delete_elem(sixes, &zero);
	if (l && l->sixes)
		rc = swap_in(sixes, "wr_g_six", l->six, sizeof(*l->six), l->sixes, BPF_F_INNER_MAP);
	if (l && l->parts && !rc)
		rc = swap_in(
			blocks, "wr_g_parts", l->part, sizeof(*l->part), l->parts, BPF_F_INNER_MAP);
	if (l && !rc)
		rc = swap_in(lists, "wr_g_list", l->of, sizeof(*l->of), 65536, 0);
	return rc ? wr_fail(e, rc, "the kernel refused the list: %s", strerror(-rc)) : 0;
}

static const char *const names[] = {"auto", "native", "generic", "tc"};

int wr_guard_mode_of(const char *s, enum wr_guard_mode *ret)
{
	for (unsigned i = 0; i < WR_N(names); i++) {
		if (!strcmp(s, names[i])) {
			*ret = (enum wr_guard_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Would XDP in this driver cost the traffic its offloads? (GRO, GSO: measured in docs/adr/0010-guard.md) */
static bool harms(const char *name)
{
	static const char *const drivers[] = {
		"veth", "virtio_net", "tun", "hv_netvsc", "xen_netfront"};
	char path[96], to[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", name);
	n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return true; /* not a device of hardware: veth, bridge, tunnel */
	to[n] = 0;
	for (unsigned i = 0; i < WR_N(drivers); i++) {
		if (strrchr(to, '/') && !strcmp(strrchr(to, '/') + 1, drivers[i]))
			return true;
	}
	return false;
}

static bool is_veth(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq r = {.ifr_data = (void *)&info};
	wr_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	wr_copy(r.ifr_name, sizeof(r.ifr_name), wr_str(name));
	return s >= 0 && !ioctl(s, SIOCETHTOOL, &r) && !strcmp(info.driver, "veth");
}

static int link_xdp(const struct wr_guard_kern *g, int ifindex, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = flags);
	int fd = bpf_link_create(g->xdp, ifindex, BPF_XDP, &o);

	return fd < 0 ? -errno : fd;
}

static int link_one(const struct wr_guard_kern *g, int ifindex, enum wr_guard_mode m)
{
	int fd;

	if (m == WR_GUARD_NATIVE)
		return link_xdp(g, ifindex, XDP_FLAGS_DRV_MODE);
	if (m == WR_GUARD_GENERIC)
		return link_xdp(g, ifindex, XDP_FLAGS_SKB_MODE);
	fd = bpf_link_create(g->tc, ifindex, (enum bpf_attach_type)WR_ATTACH_TCX_INGRESS, NULL);
	return fd < 0 ? -errno : fd;
}

/* The smallest of the guarded interfaces. */
static unsigned mtu_of(const struct wr_guard_kern *g)
{
	unsigned mtu = 1500;
	wr_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned i = 0; s >= 0 && i < g->n; i++) {
		struct ifreq r = {.ifr_mtu = 0};

		wr_copy(r.ifr_name, sizeof(r.ifr_name), wr_str(g->link[i].name));
		if (!ioctl(s, SIOCGIFMTU, &r) && r.ifr_mtu >= 576)
			mtu = wr_min(mtu, (unsigned)r.ifr_mtu);
	}
	return mtu;
}

/* A key that is in use stays: cookies are on their way. @host NULL: only the interfaces are new. */
static int set_cookies(const struct wr_guard_kern *g, const struct wr_cookie_ctl *host)
{
	uint32_t zero = 0;
	unsigned mtu = mtu_of(g);
	struct wr_cookie_ctl c;

	if (bpf_map_lookup_elem(g->cookie, &zero, &c))
		return -errno;
	if (host && !c.key[0] && !c.key[1])
		memcpy(c.key, host->key, sizeof(c.key));
	c.flags = host ? host->flags : c.flags;
	c.mss4 = (uint16_t)(mtu - 40);
	c.mss6 = (uint16_t)(wr_max(mtu, 1280u) - 60);
	return bpf_map_update_elem(g->cookie, &zero, &c, BPF_ANY) ? -errno : 0;
}

static int load_acks(struct wr_guard_kern *g, struct wr_err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "cookie");
	libbpf_print_fn_t before = libbpf_set_print(wr_silent);
	struct bpf_object *o = bpf_object__open_mem(
		wr_obj_cookie, (size_t)(wr_obj_cookie_end - wr_obj_cookie), &opts);
	int rc = o ? bpf_map__reuse_fd(bpf_object__find_map_by_name(o, "wr_cookie"), g->cookie)
		   : -errno;

	if (!g->answers)
		rc = -ENOTSUP;
	rc = rc ? rc : bpf_object__load(o);
	libbpf_set_print(before);
	if (rc) {
		bpf_object__close(o);
		return wr_fail(e, -ENOTSUP,
			"SYN cookies need Linux 6.8 with CONFIG_SYN_COOKIES (bpf_sk_assign_tcp_reqsk): %s; "
			"a limit on SYNs works here",
			strerror(-rc));
	}
	g->acks = o;
	return 0;
}

/* What XDP sends back goes to the peer's NAPI, which a veth has not as long as it has no XDP itself. */
static int can_answer(const struct wr_guard_kern *g, unsigned i, struct wr_err *e)
{
	return strcmp(g->link[i].mode, "native") || !is_veth(g->link[i].name)
		       ? 0
		       : wr_fail(e, -ENOTSUP,
				 "answers from native XDP may get lost on %s (veth): --mode tc or generic",
				 g->link[i].name);
}

static int attach_acks(struct wr_guard_kern *g, unsigned i, struct wr_err *e)
{
	struct bpf_program *p = bpf_object__find_program_by_name(g->acks, "cookie_tc");
	int fd = can_answer(g, i, e);

	if (fd)
		return fd;
	fd = bpf_link_create(bpf_program__fd(p), g->link[i].ifindex,
		(enum bpf_attach_type)WR_ATTACH_TCX_INGRESS, NULL);

	if (fd < 0)
		return wr_fail(e, -errno, "cannot let answers to SYN cookies in on %s: %s",
			g->link[i].name, strerror(errno));
	g->link[i].ack_fd = fd;
	return 0;
}

static void detach_acks(struct wr_guard_kern *g, unsigned i)
{
	if (g->link[i].ack_fd >= 0)
		close(g->link[i].ack_fd);
	g->link[i].ack_fd = -1;
}

int wr_guard_kern_cookies(
	struct wr_guard_kern *g, const struct wr_cookie_ctl *host, struct wr_err *e)
{
	int rc = 0;

	if (!g->acks)
		rc = load_acks(g, e);
	if (rc)
		return rc;
	rc = set_cookies(g, host);
	if (rc)
		return wr_fail(e, rc, "cannot set up SYN cookies: %s", strerror(-rc));
	for (unsigned i = 0; i < g->n && !rc; i++) {
		if (g->link[i].ack_fd < 0)
			rc = attach_acks(g, i, e);
	}
	g->cookies = !rc;
	return rc;
}

int wr_guard_kern_answer(struct wr_guard_kern *g, struct wr_err *e)
{
	int rc = 0;

	if (!g->answers)
		return wr_fail(e, -ENOTSUP,
			"this kernel does not understand the program that answers: drop is what is left");
	for (unsigned i = 0; i < g->n && !rc; i++)
		rc = can_answer(g, i, e);
	g->answering = !rc;
	return rc;
}

uint64_t wr_guard_kern_cookies_made(const struct wr_guard_kern *g)
{
	uint32_t zero = 0;
	struct wr_cookie_ctl c;

	return bpf_map_lookup_elem(g->cookie, &zero, &c) ? 0 : c.made;
}

int wr_guard_kern_attach(
	struct wr_guard_kern *g, const char *interface, enum wr_guard_mode m, struct wr_err *e)
{
	static const enum wr_guard_mode fast[] = {WR_GUARD_NATIVE, WR_GUARD_GENERIC, WR_GUARD_TC},
					gentle[] = {WR_GUARD_TC, WR_GUARD_GENERIC, WR_GUARD_NATIVE};
	const enum wr_guard_mode *order = harms(interface) ? gentle : fast;
	int ifindex = (int)if_nametoindex(interface), fd = -EINVAL;
	unsigned i;

	for (i = 0; i < g->n; i++) {
		if (strcmp(g->link[i].name, interface) != 0)
			continue;
		if (g->link[i].ifindex == ifindex)
			return -EEXIST;
		detach_acks(g, i);
		close(g->link[i].fd); /* it went, with what was on it; this is another of its name */
		g->link[i] = g->link[--g->n];
	}
	if (!ifindex)
		return wr_fail(e, -ENODEV, "there is no interface '%s' here", interface);
	if (g->n == WR_GUARD_LINKS)
		return wr_fail(e, -E2BIG, "more than %d guarded interfaces", WR_GUARD_LINKS);
	if (m != WR_GUARD_AUTO) {
		fd = link_one(g, ifindex, m);
	} else {
		for (i = 0; i < 3 && fd < 0; i++) {
			m = order[i];
			fd = link_one(g, ifindex, m);
		}
	}
	if (fd < 0)
		return wr_fail(e, fd, "cannot guard %s (%s): %s%s", interface, names[m],
			strerror(-fd),
			fd == -EBUSY || fd == -EEXIST
				? "; another XDP program is there, --mode tc goes beside it"
			: fd == -EOPNOTSUPP ? "; its driver has no XDP, try --mode generic or tc"
					    : "");
	g->link[g->n].fd = fd;
	g->link[g->n].ack_fd = -1;
	g->link[g->n].ifindex = ifindex;
	g->link[g->n].mode = names[m];
	wr_copy(g->link[g->n++].name, sizeof(g->link[0].name), wr_str(interface));
	if (g->answering && can_answer(g, g->n - 1, e))
		return -ENOTSUP;
	if (!g->cookies)
		return 0;
	set_cookies(g, NULL); /* of its MTU */
	return attach_acks(g, g->n - 1, e);
}

void wr_guard_kern_detach(struct wr_guard_kern *g)
{
	while (g->n) {
		detach_acks(g, g->n - 1);
		close(g->link[--g->n].fd);
	}
	g->cookies = g->answering = false;
}

unsigned wr_guard_kern_links(const struct wr_guard_kern *g, struct wr_guard_link *ret, unsigned max)
{
	for (unsigned i = 0; i < g->n && i < max; i++) {
		memcpy(ret[i].interface, g->link[i].name, sizeof(ret[i].interface));
		ret[i].mode = g->link[i].mode;
	}
	return g->n;
}

int wr_guard_kern_clock(struct wr_guard_kern *g, uint64_t *ret_jiffies, uint64_t *ret_tick)
{
	static const uint8_t frame[64];
	LIBBPF_OPTS(
		bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);
	struct timespec tick, up;
	uint64_t j;

	/* the coarse clock's step is the jiffy, whatever CONFIG_HZ is */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || clock_gettime(CLOCK_MONOTONIC, &up) ||
		bpf_prog_test_run_opts(g->clock, &o))
		return -errno;
	*ret_tick = wr_max((uint64_t)tick.tv_nsec, (uint64_t)1000);
	/* jiffies begin 300 s before their 32nd bit (INITIAL_JIFFIES): the high half by the time since then */
	j = (1ull << 32) - 300 * (1000000000u / *ret_tick) +
	    ((uint64_t)up.tv_sec * 1000000000u + (uint64_t)up.tv_nsec) / *ret_tick;
	*ret_jiffies = j + (uint64_t)(int64_t)(int32_t)(o.retval - (uint32_t)j);
	return 0;
}

int wr_guard_kern_count(struct wr_guard_kern *g, uint32_t slot, struct wr_g_count *ret)
{
	static struct wr_g_count c[MAX_CPUS];

	*ret = (struct wr_g_count){.packets = 0};
	if (bpf_map_lookup_elem(g->counts, &slot, c))
		return -errno;
	for (unsigned i = 0; i < g->ncpu; i++) {
		ret->packets += c[i].packets;
		ret->bytes += c[i].bytes;
		ret->matched += c[i].matched;
		ret->last = wr_max(ret->last, c[i].last);
	}
	return 0;
}

int wr_guard_kern_clear(struct wr_guard_kern *g, uint32_t slot)
{
	static const struct wr_g_count zero[MAX_CPUS];

	return bpf_map_update_elem(g->counts, &slot, zero, BPF_ANY) ? -errno : 0;
}

void wr_guard_kern_stats(struct wr_guard_kern *g, uint64_t ret[WR_G_STATS])
{
	static uint64_t v[MAX_CPUS][WR_G_STATS];
	uint32_t zero = 0;

	memset(ret, 0, WR_G_STATS * sizeof(*ret));
	if (bpf_map_lookup_elem(g->stats, &zero, v))
		return;
	for (unsigned i = 0; i < g->ncpu; i++) {
		for (unsigned k = 0; k < WR_G_STATS; k++)
			ret[k] += v[i][k];
	}
}

int wr_guard_kern_samples(
	struct wr_guard_kern *g, void (*fn)(void *ctx, const struct wr_g_sample *s), void *ctx)
{
	g->fn = fn;
	g->ctx = ctx;
	return ring_buffer__consume(g->samples);
}

int wr_guard_kern_prog(const struct wr_guard_kern *g)
{
	return g->xdp;
}
