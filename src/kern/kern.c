// SPDX-License-Identifier: Apache-2.0
#include "kern.h"
#include "../base/log.h"
#include "uprobe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <mntent.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <zlib.h>

#define MAX_SENSORS 16
#define MAX_PROGS 16
#define MAX_SHARED 16
#define MAX_KEPT 1024 /* descriptors of sensors: raw sockets, probes of applications */

struct loaded {
	struct bpf_object *obj;
	struct bpf_link *links[MAX_PROGS];
	int progs[MAX_PROGS];
	unsigned n_links, n_progs;
	enum wr_sensor_state state;
	const char *variant;
	char needs[320];
};

struct wr_kern {
	struct wr_kern_config cfg;
	struct loaded s[MAX_SENSORS];
	struct {
		const char *name;
		int fd;
	} shared[MAX_SHARED];
	unsigned n_shared, n_kept, ncpu;
	struct kept {
		int fd;
		uint32_t file; /* whose probe it is; 0: of a sensor itself */
	} kept[MAX_KEPT];
	uint32_t file, n_files; /* that is being probed, 0 = none; how many were so far */
	bool uprobe_multi;
	int cgroup_fd, epoll_fd, state_prog;
	char cgroup[256];
	struct ring_buffer *rings[2];
	struct bpf_link *seed, *dump;
	uint64_t hz;
	wr_rec_fn fn;
	void *ctx;
	uint32_t gen;
	uint32_t drop_turn; /* the half of the drops' entries that is counted in */
	uint32_t stage_turn, syscall_turn;
	uint64_t drops; /* at their last reading */
	const volatile uint64_t *drop_seq; /* NULL: not mapped */
};

#define MAX_PASSES 1024

void wr_kern_find_cgroup2(char *ret, size_t n)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent m;
	char line[4096];

	ret[0] = 0;
	if (!f)
		return;
	while (getmntent_r(f, &m, line, sizeof(line))) {
		if (!strcmp(m.mnt_type, "cgroup2")) {
			wr_copy(ret, n, wr_str(m.mnt_dir));
			break;
		}
	}
	endmntent(f);
}

/* CONFIG_HZ: the unit of the kernel's stopwatches (chrono_stat is in jiffies). */
static uint64_t find_hz(void)
{
	char line[256];
	struct utsname u;
	uint64_t hz = 0;
	gzFile f;

	uname(&u);
	snprintf(line, sizeof(line), "/boot/config-%s", u.release);
	f = gzopen(line, "re"); /* reads plain files too */
	if (!f)
		f = gzopen("/proc/config.gz", "re");
	if (!f)
		return 250; /* Debian's */
	while (gzgets(f, line, sizeof(line))) {
		if (!strncmp(line, "CONFIG_HZ=", 10))
			hz = strtoul(line + 10, NULL, 10);
	}
	gzclose(f);
	return hz ? hz : 250;
}

static uint64_t own_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char t[768];

	if (level > LIBBPF_WARN || wr_log_levels[WR_MOD_kern] < WR_DEBUG)
		return 0;
	vsnprintf(t, sizeof(t), fmt, ap);
	t[strcspn(t, "\n")] = 0;
	wr_log(kern, WR_DEBUG, "%s", t);
	return 0;
}

/* Sets a `const volatile` variable of the object by its name in BTF. */
static void set_rodata(struct bpf_object *o, const char *name, uint64_t v)
{
	struct btf *btf = bpf_object__btf(o);
	struct bpf_map *m = bpf_object__find_map_by_name(o, ".rodata");
	size_t size;
	char *data;
	int sec;

	if (!m || !btf)
		return;
	data = (char *)(uintptr_t)bpf_map__initial_value(
		m, &size); /* const in libbpf 1.1, yet ours until the load */
	sec = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	if (!data || sec < 0)
		return;
	for (int i = 0; i < btf_vlen(btf__type_by_id(btf, (uint32_t)sec)); i++) {
		const struct btf_var_secinfo *v_i =
			btf_var_secinfos(btf__type_by_id(btf, (uint32_t)sec)) + i;
		const struct btf_type *t = btf__type_by_id(btf, v_i->type);

		if (!strcmp(btf__name_by_offset(btf, t->name_off), name) && v_i->offset + 8 <= size)
			memcpy(data + v_i->offset, &v, 8);
	}
}

static bool in_list(const char *const *list, const char *name)
{
	for (; *list; list++) {
		if (!strcmp(*list, name))
			return true;
	}
	return false;
}

static int shared_fd(const struct wr_kern *k, const char *name)
{
	for (unsigned i = 0; i < k->n_shared; i++) {
		if (!strcmp(k->shared[i].name, name))
			return k->shared[i].fd;
	}
	return -ENOENT;
}

static void unload(struct loaded *l)
{
	for (unsigned i = 0; i < l->n_links; i++)
		bpf_link__destroy(l->links[i]);
	l->n_links = l->n_progs = 0;
	bpf_object__close(l->obj);
	l->obj = NULL;
}

static bool is_uprobe(const struct bpf_program *p)
{
	return !strcmp(bpf_program__section_name(p), "uprobe.multi");
}

static struct bpf_link *attach(struct wr_kern *k, struct bpf_program *p)
{
	const char *sec = bpf_program__section_name(p);

	if (!strncmp(sec, "cgroup", 6) || !strcmp(sec, "sockops"))
		return bpf_program__attach_cgroup(p, k->cgroup_fd);
	if (!strcmp(sec, "iter/bpf_sk_storage_map")) {
		union bpf_iter_link_info info = {.map.map_fd = (uint32_t)shared_fd(k, "wr_socks")};
		LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info,
			.link_info_len = sizeof(info));

		return bpf_program__attach_iter(p, &opts);
	}
	return bpf_program__attach(p);
}

/* As many as fit into the memory that was given, a power of two. */
static uint32_t recent_places(const struct wr_kern *k)
{
	uint32_t n = WR_RECENT_CHUNK;

	while (n < 1u << 24 && n * 2 * sizeof(struct wr_recent) <= k->cfg.recent)
		n *= 2;
	return n;
}

static int load_variant(struct wr_kern *k, const struct wr_sensor *s, const struct wr_variant *v,
	struct loaded *l, struct wr_err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = s->name);
	static const uint64_t zero;
	struct bpf_program *p;
	struct bpf_map *m;
	int rc;

	l->obj = bpf_object__open_mem(s->obj, (size_t)(s->obj_end - s->obj), &opts);
	if (!l->obj)
		return wr_fail(e, -errno, "cannot open the object: %s", strerror(errno));
	bpf_object__for_each_program(p, l->obj)
	{
		bpf_program__set_autoload(p, in_list(v->progs, bpf_program__name(p)));
		if (is_uprobe(p)) { /* libbpf 1.1 does not know the section */
			bpf_program__set_type(p, BPF_PROG_TYPE_KPROBE);
			if (v->needs & WR_FEAT_UPROBE_MULTI)
				bpf_program__set_expected_attach_type(
					p, (enum bpf_attach_type)WR_TRACE_UPROBE_MULTI);
		}
	}
	if (v->needs & (WR_FEAT_UPROBE | WR_FEAT_UPROBE_MULTI))
		k->uprobe_multi = v->needs & WR_FEAT_UPROBE_MULTI;
	bpf_object__for_each_map(m, l->obj)
	{
		const char *name = bpf_map__name(m);
		int fd = shared_fd(k, name);

		if (fd >= 0)
			bpf_map__reuse_fd(m, fd);
		else if (!strcmp(name, "wr_state") && k->cfg.state_ring)
			bpf_map__set_max_entries(m, k->cfg.state_ring);
		else if (!strcmp(name, "wr_data") && k->cfg.data_ring)
			bpf_map__set_max_entries(m, k->cfg.data_ring);
		else if (!strcmp(name, "wr_flows") && k->cfg.flows)
			bpf_map__set_max_entries(m, k->cfg.flows);
		else if (!strcmp(name, "recent_packets"))
			bpf_map__set_max_entries(m, recent_places(k));
	}
	set_rodata(l->obj, "recent_mask", recent_places(k) - 1);
	set_rodata(l->obj, "wr_hz", k->hz);
	set_rodata(l->obj, "wr_netns", own_netns());
	set_rodata(l->obj, "wr_reads", k->cfg.requests);
	set_rodata(l->obj, "wr_tls", k->cfg.tls);
	rc = bpf_object__load(l->obj);
	if (rc)
		return wr_fail(e, rc, "load refused: %s", strerror(-rc));
	bpf_object__for_each_map(m, l->obj)
	{
		const char *name = bpf_map__name(m);

		if (!strncmp(name, "wr_", 3) && shared_fd(k, name) < 0 &&
			k->n_shared < MAX_SHARED) {
			/* a duplicate, so that the map outlives this object when the variant fails */
			k->shared[k->n_shared].name = strdup(name);
			k->shared[k->n_shared++].fd = fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 0);
		}
	}
	for (unsigned i = 0; v->progs[i]; i++) {
		struct bpf_link *link;

		p = bpf_object__find_program_by_name(l->obj, v->progs[i]);
		if (!p || l->n_progs == MAX_PROGS)
			return wr_fail(e, -ENOENT, "no program '%s' in the object", v->progs[i]);
		l->progs[l->n_progs++] = bpf_program__fd(p);
		/* older kernels load such a program and attach it nowhere: ask with a file that is not there */
		if (is_uprobe(p) && k->uprobe_multi &&
			wr_uprobe_link(l->progs[i], "/proc/none", &zero, NULL, 1, false) != -ENOENT)
			return wr_fail(e, -ENOTSUP, "attaching refused");
		if (!strncmp(bpf_program__section_name(p), "socket", 6) || is_uprobe(p))
			continue; /* its sensor attaches it */
		link = attach(k, p);
		if (!link)
			return wr_fail(e, -errno, "attaching %s refused: %s",
				bpf_program__section_name(p), strerror(errno));
		l->links[l->n_links++] = link;
		if (!strcmp(v->progs[i], "own_seed"))
			k->seed = link;
		else if (!strncmp(v->progs[i], "tcp_state", 9))
			k->state_prog = bpf_program__fd(p);
		else if (!strcmp(v->progs[i], "tcp_dump"))
			k->dump = link;
	}
	return s->start ? s->start(k, l->obj, e) : 0;
}

static uint32_t missing(const struct wr_kern *k, uint32_t needs)
{
	uint32_t m = needs & k->cfg.deny;

	if ((needs & WR_FEAT_CGROUP2) && k->cgroup_fd < 0)
		m |= WR_FEAT_CGROUP2;
	if ((needs & WR_FEAT_BTF) && access("/sys/kernel/btf/vmlinux", R_OK))
		m |= WR_FEAT_BTF;
	return m;
}

static void add_why(char *t, size_t n, const char *fmt, ...) WR_PRINTF(3, 4);
static void add_why(char *t, size_t n, const char *fmt, ...)
{
	size_t at = strlen(t);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t + at, n - at, fmt, ap);
	va_end(ap);
}

static void load_sensor(struct wr_kern *k, unsigned i)
{
	const struct wr_sensor *s = wr_sensors[i];
	struct loaded *l = &k->s[i];

	for (unsigned v = 0; v < s->n_variants; v++) {
		const struct wr_variant *var = &s->variants[v];
		uint32_t miss = missing(k, var->needs);
		struct wr_err why = {.text = ""};

		if (!miss && !load_variant(k, s, var, l, &why)) {
			l->variant = var->name;
			l->state = v ? WR_FALLBACK : WR_ACTIVE;
			return;
		}
		unload(l);
		if (l->needs[0])
			add_why(l->needs, sizeof(l->needs), "; ");
		add_why(l->needs, sizeof(l->needs), "%s: ", var->name);
		for (unsigned b = 0; miss && b < WR_FEATURES; b++) {
			if (miss >> b & 1)
				add_why(l->needs, sizeof(l->needs), "%s %s%s",
					k->cfg.deny >> b & 1 ? "denied" : "no", wr_feature_name(b),
					miss >> (b + 1) ? ", " : "");
		}
		add_why(l->needs, sizeof(l->needs), "%s", why.text);
	}
	l->state = WR_UNAVAILABLE;
}

static int on_record(void *ctx, void *data, size_t size)
{
	struct wr_kern *k = ctx;
	const struct wr_rec *r = data;

	if (size >= sizeof(*r) && k->fn)
		k->fn(k->ctx, r, wr_min(size, (size_t)r->len));
	return 0;
}

static int add_ring(struct wr_kern *k, unsigned i, const char *map)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
	int fd = shared_fd(k, map);

	if (fd < 0)
		return 0;
	k->rings[i] = ring_buffer__new(fd, on_record, k, NULL);
	if (!k->rings[i])
		return -errno;
	epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, ring_buffer__epoll_fd(k->rings[i]), &ev);
	return 0;
}

int wr_kern_open(const struct wr_kern_config *cfg, struct wr_kern **ret, struct wr_err *e)
{
	struct wr_kern *k;
	unsigned works = 0;
	int rc;

	if (geteuid())
		return wr_fail(e, -EPERM,
			"loading sensors needs root (CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN).\n"
			"Without it: `weir read FILE` analyses captures; every view works beside a running agent");
	k = wr_alloc(sizeof(*k));
	if (!k)
		return wr_fail(e, -ENOMEM, "no memory");
	k->cfg = *cfg;
	k->cgroup_fd = k->epoll_fd = k->state_prog = -1;
	k->ncpu = (unsigned)libbpf_num_possible_cpus();
	k->hz = find_hz();
	libbpf_set_print(quiet);
	wr_kern_find_cgroup2(k->cgroup, sizeof(k->cgroup));
	if (k->cgroup[0])
		k->cgroup_fd = open(k->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll_fd < 0) {
		wr_kern_close(k);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	for (unsigned i = 0; i < wr_n_sensors && i < MAX_SENSORS; i++) {
		if (cfg->sensors && !(cfg->sensors >> i & 1)) {
			k->s[i].state = WR_OFF;
			continue;
		}
		if (wr_sensors[i]->wanted && !wr_sensors[i]->wanted(k)) {
			k->s[i].state = WR_OFF;
			continue;
		}
		load_sensor(k, i);
		works += k->s[i].state != WR_UNAVAILABLE;
	}
	rc = add_ring(k, 0, "wr_state");
	if (!rc)
		rc = add_ring(k, 1, "wr_data");
	if (rc) {
		wr_kern_close(k);
		return wr_fail(e, rc, "cannot map a ring: %s", strerror(-rc));
	}
	if (!works) {
		wr_fail(e, -ENOSYS,
			"no sensor works here: %s.\n`weir doctor` has the table; `weir read FILE` works",
			k->s[0].needs);
		wr_kern_close(k);
		return -ENOSYS;
	}
	*ret = k;
	return 0;
}

void wr_kern_close(struct wr_kern *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < wr_n_sensors && i < MAX_SENSORS; i++) {
		if (k->s[i].obj && wr_sensors[i]->stop)
			wr_sensors[i]->stop(k);
	}
	for (unsigned i = 0; i < k->n_kept; i++)
		close(k->kept[i].fd);
	if (k->drop_seq)
		munmap((void *)(uintptr_t)k->drop_seq, (size_t)getpagesize());
	for (unsigned i = 0; i < WR_N(k->rings); i++)
		ring_buffer__free(k->rings[i]);
	for (unsigned i = 0; i < MAX_SENSORS; i++)
		unload(&k->s[i]);
	for (unsigned i = 0; i < k->n_shared; i++) {
		close(k->shared[i].fd);
		free((void *)(uintptr_t)k->shared[i].name);
	}
	if (k->cgroup_fd >= 0)
		close(k->cgroup_fd);
	if (k->epoll_fd >= 0)
		close(k->epoll_fd);
	free(k);
}

unsigned wr_kern_info(struct wr_kern *k, struct wr_sensor_info *ret, unsigned max)
{
	unsigned n = wr_min(wr_min(max, wr_n_sensors), (unsigned)MAX_SENSORS);

	for (unsigned i = 0; i < n; i++) {
		struct loaded *l = &k->s[i];

		ret[i] = (struct wr_sensor_info){
			.sensor = wr_sensors[i], .state = l->state, .variant = l->variant};
		wr_copy(ret[i].needs, sizeof(ret[i].needs), wr_str(l->needs));
		for (unsigned p = 0; p < l->n_progs; p++) {
			struct bpf_prog_info info = {0};
			uint32_t len = sizeof(info);

			if (!bpf_obj_get_info_by_fd(l->progs[p], &info, &len)) {
				ret[i].runs += info.run_cnt;
				ret[i].run_ns += info.run_time_ns;
			}
		}
	}
	return n;
}

int wr_kern_stats_on(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}

int wr_kern_fd(struct wr_kern *k)
{
	return k->epoll_fd;
}

int wr_kern_drain(struct wr_kern *k, wr_rec_fn fn, void *ctx)
{
	int n = 0;

	k->fn = fn;
	k->ctx = ctx;
	for (unsigned i = 0; i < WR_N(k->rings); i++) {
		int rc = k->rings[i] ? ring_buffer__consume(k->rings[i]) : 0;

		if (rc > 0)
			n += rc;
	}
	return n;
}

/* One walk of an iterator; what it found is in maps, not in its output. */
static int run_iter(struct bpf_link *link)
{
	char none[64];
	ssize_t n;
	int fd, rc = 0;

	if (!link)
		return -ENOENT;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, none, sizeof(none));
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	if (n < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int wr_kern_seed(struct wr_kern *k)
{
	return run_iter(k->seed);
}

static int sensor_map(struct wr_kern *k, const char *name)
{
	for (unsigned i = 0; i < wr_n_sensors && i < MAX_SENSORS; i++) {
		int fd = k->s[i].obj ? bpf_object__find_map_fd_by_name(k->s[i].obj, name) : -1;

		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

/* Hands on the first @n records of the map that a reading filled. */
static int take_reading(int fd, uint32_t n, wr_rec_fn fn, void *ctx)
{
	enum { BATCH = 128 };
	wr_free_ struct wr_rec_sock *r = wr_alloc(BATCH * sizeof(*r));
	uint32_t keys[BATCH], batch = 0, next;

	if (!r)
		return -ENOMEM;
	for (uint32_t done = 0; done < n;) {
		uint32_t count = wr_min(n - done, (uint32_t)BATCH);

		if (bpf_map_lookup_batch(fd, done ? &batch : NULL, &next, keys, r, &count, NULL) &&
			errno != ENOENT)
			return -errno;
		if (!count)
			break;
		for (uint32_t i = 0; i < count; i++)
			fn(ctx, &r[i].h, sizeof(r[i]));
		batch = next;
		done += count;
	}
	return 0;
}

int wr_kern_read_socks(struct wr_kern *k, bool all, wr_rec_fn fn, void *ctx)
{
	int ctl_fd = sensor_map(k, "tcp_ctl"), out_fd = sensor_map(k, "tcp_out"), rc = 0;
	struct wr_read_ctl ctl;
	uint32_t zero = 0;

	if (!k->dump || ctl_fd < 0 || out_fd < 0)
		return -ENOENT;
	k->gen += all;
	for (unsigned pass = 0; pass < MAX_PASSES && !rc; pass++) {
		ctl = (struct wr_read_ctl){.all = all ? k->gen : 0};
		bpf_map_update_elem(ctl_fd, &zero, &ctl, 0);
		rc = run_iter(k->dump);
		if (rc || bpf_map_lookup_elem(ctl_fd, &zero, &ctl))
			return rc ? rc : -errno;
		rc = take_reading(out_fd, wr_min(ctl.n, (uint32_t)WR_READ_MAX), fn, ctx);
		if (!ctl.more)
			break;
	}
	return rc;
}

typedef bool (*entry_fn)(void *ctx, const void *key, const void *val);

/*
 * Hands every entry of a hash to @fn; those that it answers true for are removed, and handed to @last (MAY be
 * NULL) with the value that they had then: what came between the reading and the removal is in it.
 */
static int read_hash(
	int fd, size_t key_size, size_t val_size, entry_fn fn, entry_fn last, void *ctx)
{
	enum { BATCH = 256 };
	wr_free_ uint8_t *keys = wr_alloc(BATCH * key_size), *vals = wr_alloc(BATCH * val_size);
	uint8_t *dead = NULL;
	uint32_t batch = 0, count, n_dead = 0, cap = 0;
	bool first = true;
	int rc;

	if (fd < 0)
		return fd;
	if (!keys || !vals)
		return -ENOMEM;
	do {
		uint32_t next = 0;

		count = BATCH;
		rc = bpf_map_lookup_batch(
			fd, first ? NULL : &batch, &next, keys, vals, &count, NULL);
		if (rc && errno != ENOENT)
			break;
		first = false;
		batch = next;
		for (uint32_t i = 0; i < count; i++) {
			if (!fn(ctx, keys + i * key_size, vals + i * val_size))
				continue;
			if (n_dead == cap) {
				void *p = wr_realloc(dead, (cap ? cap * 2 : 256) * key_size);

				if (!p)
					continue; /* next time */
				dead = p;
				cap = cap ? cap * 2 : 256;
			}
			memcpy(dead + n_dead++ * key_size, keys + i * key_size, key_size);
		}
	} while (!rc);
	for (uint32_t i = 0; i < n_dead; i++) {
		if (!bpf_map_lookup_and_delete_elem(fd, dead + i * key_size, vals) && last)
			last(ctx, dead + i * key_size, vals);
	}
	free(dead);
	return 0;
}

struct flow_call {
	wr_flow_fn fn;
	void *ctx;
};

static bool on_flow(void *ctx, const void *key, const void *val)
{
	const struct flow_call *c = ctx;

	return c->fn(c->ctx, key, val, false);
}

static bool last_flow(void *ctx, const void *key, const void *val)
{
	const struct flow_call *c = ctx;

	return c->fn(c->ctx, key, val, true);
}

int wr_kern_read_flows(struct wr_kern *k, wr_flow_fn fn, void *ctx)
{
	return read_hash(shared_fd(k, "wr_flows"), sizeof(struct wr_flow_key),
		sizeof(struct wr_flow), on_flow, last_flow, &(struct flow_call){fn, ctx});
}

struct syns_call {
	wr_syns_fn fn;
	void *ctx;
};

static bool on_syns(void *ctx, const void *key, const void *val)
{
	const struct syns_call *c = ctx;

	c->fn(c->ctx, key, val);
	return false;
}

int wr_kern_read_syns(struct wr_kern *k, wr_syns_fn fn, void *ctx)
{
	return read_hash(shared_fd(k, "wr_syns"), sizeof(struct wr_syn_key), sizeof(struct wr_syns),
		on_syns, NULL, &(struct syns_call){fn, ctx});
}

struct drop_call {
	uint8_t turn;
	wr_drop_fn fn;
	void *ctx;
};

static bool on_drop(void *ctx, const void *key, const void *val)
{
	const struct drop_call *c = ctx;

	if (((const struct wr_drop_key *)key)->turn != c->turn)
		return false;
	c->fn(c->ctx, key, val);
	return true;
}

static uint64_t counter(struct wr_kern *k, uint32_t i)
{
	uint64_t v[1024], sum = 0; /* one a possible CPU */
	int fd = shared_fd(k, "wr_count");

	if (fd < 0 || k->ncpu > WR_N(v) || bpf_map_lookup_elem(fd, &i, v))
		return 0;
	for (unsigned c = 0; c < k->ncpu; c++)
		sum += v[c];
	return sum;
}

int wr_kern_read_drops(struct wr_kern *k, wr_drop_fn fn, void *ctx)
{
	int fd = sensor_map(k, "drop_entries"), turn_fd = sensor_map(k, "drop_turn");
	uint32_t zero = 0, turn = k->drop_turn;
	uint64_t drops;

	if (fd < 0 || turn_fd < 0)
		return -ENOENT;
	drops = counter(k, WR_KC_DROPS);
	if (drops == k->drops)
		return 0;
	k->drops = drops;
	k->drop_turn = !turn;
	if (bpf_map_update_elem(turn_fd, &zero, &k->drop_turn, 0))
		return -errno;
	usleep(1000); /* whoever began before the turn has counted by then */
	return read_hash(fd, sizeof(struct wr_drop_key), sizeof(struct wr_drop), on_drop, NULL,
		&(struct drop_call){(uint8_t)turn, fn, ctx});
}

struct stage_call {
	uint32_t turn;
	wr_stage_fn fn;
	void *ctx;
};

static bool on_stage(void *ctx, const void *key, const void *val)
{
	const struct stage_call *c = ctx;

	if (((const struct wr_stage_key *)key)->turn != c->turn)
		return false;
	c->fn(c->ctx, key, val);
	return true;
}

uint32_t wr_kern_stage_shift(struct wr_kern *k)
{
	int fd = sensor_map(k, "stage_ctl");
	struct wr_stage_ctl c = {0};
	uint32_t zero = 0;

	if (fd >= 0)
		bpf_map_lookup_elem(fd, &zero, &c);
	return c.shift;
}

int wr_kern_read_stages(struct wr_kern *k, uint32_t shift, uint32_t most, wr_stage_fn fn, void *ctx)
{
	int fd = sensor_map(k, "stage_hist"), ctl_fd = sensor_map(k, "stage_ctl");
	struct stage_call call = {k->stage_turn, fn, ctx};
	struct wr_stage_ctl c = {.turn = !k->stage_turn, .shift = shift, .most = most};
	uint32_t zero = 0;

	if (fd < 0 || ctl_fd < 0)
		return -ENOENT;
	k->stage_turn = !k->stage_turn;
	if (bpf_map_update_elem(ctl_fd, &zero, &c, 0))
		return -errno;
	usleep(1000); /* as with drops */
	return read_hash(
		fd, sizeof(struct wr_stage_key), sizeof(struct wr_stage), on_stage, NULL, &call);
}

int wr_kern_syscalls(struct wr_kern *k, const uint32_t table[WR_SYSCALL_NUMBERS])
{
	int fd = sensor_map(k, "syscall_table");

	if (fd < 0)
		return fd;
	for (uint32_t i = 0; i < WR_SYSCALL_NUMBERS; i++) {
		if (table[i] && bpf_map_update_elem(fd, &i, &table[i], 0))
			return -errno;
	}
	return 0;
}

struct syscall_call {
	uint32_t turn;
	wr_syscall_fn fn;
	wr_syscall_error_fn error;
	void *ctx;
};

static bool on_syscall(void *ctx, const void *key, const void *val)
{
	const struct syscall_call *c = ctx;

	if (((const struct wr_syscall_key *)key)->turn != c->turn)
		return false;
	c->fn(c->ctx, key, val);
	return true;
}

static bool on_syscall_error(void *ctx, const void *key, const void *val)
{
	const struct syscall_call *c = ctx;

	if (((const struct wr_syscall_key *)key)->turn != c->turn)
		return false;
	c->error(c->ctx, key, *(const uint64_t *)val);
	return true;
}

int wr_kern_read_syscalls(struct wr_kern *k, wr_syscall_fn fn, wr_syscall_error_fn error, void *ctx)
{
	int sums = sensor_map(k, "syscall_sums"), errors = sensor_map(k, "syscall_errors"),
	    turn = sensor_map(k, "syscall_turn");
	struct syscall_call call = {k->syscall_turn, fn, error, ctx};
	uint32_t zero = 0;
	int rc;

	if (sums < 0 || errors < 0 || turn < 0)
		return -ENOENT;
	k->syscall_turn = !k->syscall_turn;
	if (bpf_map_update_elem(turn, &zero, &k->syscall_turn, 0))
		return -errno;
	usleep(1000); /* as with drops */
	rc = read_hash(sums, sizeof(struct wr_syscall_key), sizeof(struct wr_syscall), on_syscall,
		NULL, &call);
	return rc ? rc
		  : read_hash(errors, sizeof(struct wr_syscall_key), sizeof(uint64_t),
			    on_syscall_error, NULL, &call);
}

int wr_kern_recent(struct wr_kern *k, wr_recent_fn fn, void *ctx)
{
	enum { BATCH = 1024 };
	int fd = sensor_map(k, "recent_packets"), chunks = sensor_map(k, "recent_chunks");
	uint32_t places = recent_places(k), zero = 0, key[BATCH], n;
	struct wr_recent *r;
	uint64_t from;
	int rc = 0;

	if (fd < 0 || chunks < 0)
		return -ENOENT;
	if (bpf_map_lookup_elem(chunks, &zero, &from))
		return -errno;
	r = wr_alloc(BATCH * sizeof(*r));
	if (!r)
		return -ENOMEM;
	/* the place that is written over next is the oldest */
	for (uint32_t done = 0; done < places && !rc; done += n) {
		uint32_t at = (uint32_t)((from + 1) * WR_RECENT_CHUNK + done) & (places - 1), next;

		n = wr_min((uint32_t)BATCH, wr_min(places - at, places - done));
		at--; /* the key before: the batch begins behind it */
		if (bpf_map_lookup_batch(fd, at + 1 ? &at : NULL, &next, key, r, &n, NULL) &&
			errno != ENOENT)
			rc = -errno;
		for (uint32_t i = 0; i < n && !rc; i++) {
			if (r[i].end && r[i].end == r[i].ts && r[i].cap <= WR_RECENT_BYTES)
				fn(ctx, &r[i]);
		}
		if (!n)
			break;
	}
	free(r);
	return rc;
}

struct burst_call {
	wr_burst_fn fn;
	wr_talker_fn talker;
	void *ctx;
};

static bool on_burst(void *ctx, const void *key, const void *val)
{
	const struct burst_call *c = ctx;

	c->fn(c->ctx, key, val);
	return false;
}

static bool is_talker(void *ctx, const void *key, const void *val)
{
	(void)ctx;
	(void)key;
	(void)val;
	return true;
}

static bool on_talker(void *ctx, const void *key, const void *val)
{
	const struct burst_call *c = ctx;

	c->talker(c->ctx, key, val);
	return true;
}

int wr_kern_read_bursts(struct wr_kern *k, wr_burst_fn fn, wr_talker_fn talker, void *ctx)
{
	int fd = sensor_map(k, "burst_links"), talkers = sensor_map(k, "burst_talkers");
	struct burst_call call = {fn, talker, ctx};
	int rc;

	if (fd < 0 || talkers < 0)
		return -ENOENT;
	/* first who spoke: whoever is in a millisecond that is read then is known */
	rc = read_hash(talkers, sizeof(struct wr_talker_key), sizeof(struct wr_talker), is_talker,
		on_talker, &call);
	return rc || !fn ? rc
			 : read_hash(fd, sizeof(struct wr_burst_key), sizeof(struct wr_burst),
				   on_burst, NULL, &call);
}

int wr_kern_drop_quiet(struct wr_kern *k, const struct wr_drop_place *p)
{
	int fd = sensor_map(k, "drop_quiet");
	uint32_t one = 1;

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, p, &one, 0) ? -errno : 0;
}

const volatile uint64_t *wr_kern_drop_seq(struct wr_kern *k)
{
	int fd = sensor_map(k, "drop_seq");
	void *p = MAP_FAILED;

	if (k->drop_seq)
		return k->drop_seq;
	if (fd >= 0)
		p = mmap(NULL, (size_t)getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
	k->drop_seq = p == MAP_FAILED ? NULL : p;
	return k->drop_seq;
}

bool wr_kern_flow_drops(struct wr_kern *k, const struct wr_flow_id *id, struct wr_flow_drops *ret)
{
	int fd = sensor_map(k, "drop_flows");

	return fd >= 0 && !bpf_map_lookup_elem(fd, id, ret);
}

void wr_kern_counters(struct wr_kern *k, uint64_t ret[WR_KC_N])
{
	for (uint32_t i = 0; i < WR_KC_N; i++)
		ret[i] = counter(k, i);
}

uint64_t wr_kern_skipped(struct wr_kern *k)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	if (k->state_prog < 0 || bpf_obj_get_info_by_fd(k->state_prog, &info, &len))
		return 0;
	return info.recursion_misses;
}

static int set_filter(struct wr_kern *k, const char *map, const struct wr_kfilter *f)
{
	static const struct wr_kfilter off;
	int fd = sensor_map(k, map);
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &zero, f ? f : &off, 0) ? -errno : 0;
}

int wr_kern_capture(struct wr_kern *k, const struct wr_kfilter *f)
{
	return set_filter(k, "tap_filter", f);
}

int wr_kern_capture_drops(struct wr_kern *k, const struct wr_kfilter *f)
{
	return set_filter(k, "drop_filter", f);
}

int wr_kern_journey(struct wr_kern *k, const struct wr_kfilter *f)
{
	return set_filter(k, "journey_filter", f);
}

int wr_kern_payload(struct wr_kern *k, const struct wr_payload_ctl *c)
{
	static const struct wr_payload_ctl off;
	int fd = sensor_map(k, "tls_payload");
	uint32_t zero = 0;

	if (fd >= 0)
		bpf_map_update_elem(fd, &zero, c ? c : &off, 0);
	fd = sensor_map(k, "tap_payload");
	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &zero, c ? c : &off, 0) ? -errno : 0;
}

int wr_kern_limit(struct wr_kern *k, uint64_t cookie, uint32_t bytes)
{
	int fd = shared_fd(k, "wr_limit");

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &cookie, &bytes, 0) ? -errno : 0;
}

int wr_kern_drain_state(struct wr_kern *k)
{
	return k->rings[0] ? ring_buffer__consume(k->rings[0]) : 0;
}

int wr_kern_prog(struct bpf_object *o, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(o, name);

	return p ? bpf_program__fd(p) : -ENOENT;
}

int wr_kern_uprobe(struct wr_kern *k, int prog, const char *path, const uint64_t *offset,
	const uint64_t *cookie, unsigned n, bool ret)
{
	int fd[2], rc;

	if (k->n_kept + (k->uprobe_multi ? 1 : 2 * n) > MAX_KEPT)
		return -ENOSPC;
	if (k->uprobe_multi) {
		fd[0] = wr_uprobe_link(prog, path, offset, cookie, n, ret);
		if (fd[0] < 0)
			return fd[0];
		wr_kern_keep(k, fd[0]);
		return 0;
	}
	for (unsigned i = 0; i < n; i++) {
		rc = wr_uprobe_perf(prog, path, offset[i], cookie ? cookie[i] : 0, ret, fd);
		if (rc)
			return rc;
		wr_kern_keep(k, fd[1]);
		wr_kern_keep(k, fd[0]);
	}
	return 0;
}

bool wr_kern_takes_files(struct wr_kern *k)
{
	for (unsigned i = 0; i < wr_n_sensors && i < MAX_SENSORS; i++) {
		if (wr_sensors[i]->file && k->s[i].obj)
			return true;
	}
	return false;
}

void wr_kern_file_end(struct wr_kern *k, uint32_t file)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->n_kept; i++) {
		if (k->kept[i].file == file)
			close(k->kept[i].fd);
		else
			k->kept[n++] = k->kept[i];
	}
	k->n_kept = n;
}

static int probe_file(struct wr_kern *k, const char *path)
{
	int n = -ENOENT;

	for (unsigned i = 0; i < wr_n_sensors && i < MAX_SENSORS; i++) {
		int rc = wr_sensors[i]->file && k->s[i].obj
				 ? wr_sensors[i]->file(k, k->s[i].obj, path)
				 : -ENOENT;

		if (rc >= 0)
			n = n < 0 ? rc : n + rc;
		else if (rc != -ENOENT)
			return rc;
	}
	return n;
}

int wr_kern_file(struct wr_kern *k, const char *path, uint32_t *ret_file)
{
	int rc;

	*ret_file = k->file = ++k->n_files;
	rc = probe_file(k, path);
	k->file = 0;
	if (rc < 0)
		wr_kern_file_end(k, *ret_file);
	return rc;
}

void wr_kern_keep(struct wr_kern *k, int fd)
{
	if (k->n_kept < MAX_KEPT)
		k->kept[k->n_kept++] = (struct kept){fd, k->file};
	else
		close(fd);
}

int wr_kern_filter(struct wr_kern *k, int fd, int prog, const struct sockaddr_ll *a)
{
	int rc = prog < 0 ? prog : 0;

	if (!rc && setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)))
		rc = -errno;
	if (!rc && a && bind(fd, (const void *)a, sizeof(*a)))
		rc = -errno;
	if (rc)
		close(fd);
	else
		wr_kern_keep(k, fd);
	return rc;
}

const char *wr_kern_interfaces(struct wr_kern *k)
{
	return k->cfg.interfaces ? k->cfg.interfaces : "";
}

bool wr_kern_needs_admin(struct wr_kern *k)
{
	return wr_kern_takes_files(k) && !k->uprobe_multi;
}

bool wr_kern_wants_tls(struct wr_kern *k)
{
	return k->cfg.tls;
}

bool wr_kern_wants_journeys(struct wr_kern *k)
{
	return k->cfg.journeys;
}

bool wr_kern_wants_syscalls(struct wr_kern *k)
{
	return k->cfg.syscalls;
}

bool wr_kern_wants_bursts(struct wr_kern *k)
{
	return k->cfg.bursts;
}

bool wr_kern_wants_recent(struct wr_kern *k)
{
	return k->cfg.recent;
}

bool wr_kern_wants_stages(struct wr_kern *k)
{
	return k->cfg.stages;
}

bool wr_kern_wants_calls(struct wr_kern *k)
{
	return k->cfg.calls;
}

int wr_kern_calls(struct wr_kern *k, uint64_t cgroup)
{
	int fd = sensor_map(k, "call_group");
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &zero, &cgroup, 0) ? -errno : 0;
}

const char *wr_kern_cgroup_root(struct wr_kern *k)
{
	return k->cgroup;
}
