// SPDX-License-Identifier: Apache-2.0
#include "progs.h"
#include "../base/htab.h"
#include "silent.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <net/if.h>

#define MAX_COUNTED 100000 /* keys of a map that are counted; more: at least so many */

/* Something that a program's or map's id has. */
struct note {
	struct wr_hnode node;
	uint32_t id;
	char hook[160], owner[96];
	uint64_t runs, run_ns; /* at the begin */
};

struct wr_progs {
	int stats;
	struct wr_htab progs, maps;
	struct btf *btf;
	uint32_t kernel_btf; /* its id, once it is known */
};

static struct note *note_of(struct wr_htab *t, uint32_t id)
{
	uint64_t h = wr_hash64(id);
	struct note *n;

	for (struct wr_hnode *at = wr_htab_first(t, h); at; at = wr_htab_next(at->next, h)) {
		n = wr_container(at, struct note, node);
		if (n->id == id)
			return n;
	}
	n = wr_alloc(sizeof(*n));
	if (!n)
		return NULL;
	n->id = id;
	if (wr_htab_add(t, &n->node, h)) {
		free(n);
		return NULL;
	}
	return n;
}

/* Appends to a list with commas; what does not fit is left out. */
static void append(char *list, size_t max, const char *word)
{
	size_t n = strlen(list);

	if (strstr(list, word) || n + strlen(word) + 3 > max)
		return;
	snprintf(list + n, max - n, "%s%s", n ? ", " : "", word);
}

/* who holds what ----------------------------------------------------------------------------------- */

static uint32_t number_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? (uint32_t)strtoul(at + strlen(key), NULL, 10) : 0;
}

static void look_at_fd(struct wr_progs *p, const char *pid, const char *fd, const char *who)
{
	char path[64], text[2048];
	struct note *n;
	ssize_t got;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.10s/fd/%.10s", pid, fd);
	got = readlink(path, text, sizeof(text) - 1);
	if (got <= 0)
		return;
	text[got] = 0;
	if (strncmp(text, "anon_inode:bpf", 14) != 0)
		return;
	snprintf(path, sizeof(path), "/proc/%.10s/fdinfo/%.10s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return;
	got = (ssize_t)fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[got > 0 ? got : 0] = 0;
	if (number_of(text, "prog_id:")) {
		n = note_of(&p->progs, number_of(text, "prog_id:"));
		if (n)
			append(n->owner, sizeof(n->owner), who);
	}
	if (number_of(text, "map_id:")) {
		n = note_of(&p->maps, number_of(text, "map_id:"));
		if (n)
			append(n->owner, sizeof(n->owner), who);
	}
}

static void look_at_process(struct wr_progs *p, const char *pid)
{
	char path[64], comm[20] = "?", who[40];
	struct dirent *d;
	FILE *f;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	snprintf(path, sizeof(path), "/proc/%.10s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(comm, sizeof(comm), f))
			comm[strcspn(comm, "\n")] = 0;
		fclose(f);
	}
	snprintf(who, sizeof(who), "%s/%.10s", comm, pid);
	while ((d = readdir(dir))) {
		if (d->d_name[0] != '.')
			look_at_fd(p, pid, d->d_name, who);
	}
	closedir(dir);
}

static void look_at_processes(struct wr_progs *p)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
			look_at_process(p, d->d_name);
	}
	if (dir)
		closedir(dir);
}

/* where they hang ---------------------------------------------------------------------------------- */

static const char *or_number(const char *name, unsigned n, char *buf, size_t max)
{
	snprintf(buf, max, "%u", n);
	return name ? name : buf;
}

/* Types of links that libbpf 1.1 does not know: include/uapi/linux/bpf.h of 6.18. */
enum { LINK_NETFILTER = 10, LINK_TCX, LINK_UPROBE_MULTI, LINK_NETKIT, LINK_SOCKMAP };

static const char *link_type(unsigned type)
{
	static const char *const newer[] = {
		"netfilter", "tcx", "uprobe_multi", "netkit", "sockmap"};

	return type >= LINK_NETFILTER && type <= LINK_SOCKMAP ? newer[type - LINK_NETFILTER]
							      : libbpf_bpf_link_type_str(type);
}

/*
 * "eth0", if what hangs there is @prog; else the interface is in another namespace, of which the kernel does not
 * tell which. @ifindex 0: it is gone.
 */
static const char *device(uint32_t ifindex, uint32_t attach_type, uint32_t prog, char buf[48])
{
	uint32_t on[64], n = WR_N(on), one = 0;

	if (attach_type == BPF_XDP) {
		n = !bpf_xdp_query_id((int)ifindex, 0, &one);
		on[0] = one;
	} else if (bpf_prog_query(
			   (int)ifindex, (enum bpf_attach_type)attach_type, 0, NULL, on, &n)) {
		n = 0;
	}
	while (n && on[n - 1] != prog)
		n--;
	if (!n || !if_indextoname(ifindex, buf))
		snprintf(buf, 48, ifindex ? "interface %u of another netns" : "gone", ifindex);
	return buf;
}

static void link_text(const struct bpf_link_info *i, const char *buf, char *to, size_t max)
{
	char t[32], dev[48];
	const char *type = or_number(link_type(i->type), i->type, t, sizeof(t));

	switch ((unsigned)i->type) {
	case LINK_TCX: /* its part of the union: the interface, the type of attachment */
		snprintf(to, max, "tcx %s %s",
			i->netns.attach_type == WR_ATTACH_TCX_INGRESS ? "ingress" : "egress",
			device(i->xdp.ifindex, i->netns.attach_type, i->prog_id, dev));
		break;
	case BPF_LINK_TYPE_RAW_TRACEPOINT:
		snprintf(to, max, "raw_tp %s", buf);
		break;
	case BPF_LINK_TYPE_CGROUP:
		snprintf(to, max, "%s cgroup %llu",
			or_number(libbpf_bpf_attach_type_str(i->cgroup.attach_type),
				i->cgroup.attach_type, t, sizeof(t)),
			(unsigned long long)i->cgroup.cgroup_id);
		break;
	case BPF_LINK_TYPE_ITER:
		snprintf(to, max, "iter %s", buf);
		break;
	case BPF_LINK_TYPE_XDP:
		snprintf(to, max, "xdp %s", device(i->xdp.ifindex, BPF_XDP, i->prog_id, dev));
		break;
	case BPF_LINK_TYPE_NETNS:
		snprintf(to, max, "%s netns %u",
			or_number(libbpf_bpf_attach_type_str(i->netns.attach_type),
				i->netns.attach_type, t, sizeof(t)),
			i->netns.netns_ino);
		break;
	default:
		snprintf(to, max, "%s", type);
	}
}

static void look_at_links(struct wr_progs *p)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		char buf[128] = "", text[160];
		struct bpf_link_info i = {.type = 0};
		uint32_t n = sizeof(i);
		struct note *at;
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &i, &n)) {
			if (i.type == BPF_LINK_TYPE_RAW_TRACEPOINT ||
				i.type == BPF_LINK_TYPE_ITER) {
				uint32_t type = i.type;

				memset(&i, 0, sizeof(i));
				n = sizeof(i);
				if (type == BPF_LINK_TYPE_ITER) {
					i.iter.target_name = (uint64_t)(uintptr_t)buf;
					i.iter.target_name_len = sizeof(buf);
				} else {
					i.raw_tracepoint.tp_name = (uint64_t)(uintptr_t)buf;
					i.raw_tracepoint.tp_name_len = sizeof(buf);
				}
				if (bpf_obj_get_info_by_fd(fd, &i, &n))
					i.type = type;
			}
			link_text(&i, buf, text, sizeof(text));
			at = note_of(&p->progs, i.prog_id);
			/* a tracing link's type says less than its function, which the program itself has */
			if (at && i.type != BPF_LINK_TYPE_TRACING)
				append(at->hook, sizeof(at->hook), text);
		}
		close(fd);
	}
}

/* XDP that was attached by netlink has no link. */
static void look_at_devices(struct wr_progs *p)
{
	struct if_nameindex *all = if_nameindex();

	for (unsigned i = 0; all && all[i].if_index; i++) {
		uint32_t id = 0;
		char text[64];
		struct note *n;

		if (bpf_xdp_query_id((int)all[i].if_index, 0, &id) || !id)
			continue;
		snprintf(text, sizeof(text), "xdp %s", all[i].if_name);
		n = note_of(&p->progs, id);
		if (n)
			append(n->hook, sizeof(n->hook), text);
	}
	if (all)
		if_freenameindex(all);
}

/* programs ----------------------------------------------------------------------------------------- */

static int info_of(uint32_t id, struct bpf_prog_info *i)
{
	uint32_t n = sizeof(*i);
	int fd = bpf_prog_get_fd_by_id(id), rc;

	memset(i, 0, sizeof(*i));
	if (fd < 0)
		return fd;
	rc = bpf_obj_get_info_by_fd(fd, i, &n);
	close(fd);
	return rc;
}

int wr_progs_begin(struct wr_progs **ret, struct wr_err *e)
{
	struct wr_progs *p = wr_alloc(sizeof(*p));
	struct bpf_prog_info i;
	uint32_t id = 0;

	if (!p)
		return wr_fail(e, -ENOMEM, "no memory");
	p->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (p->stats < 0) {
		int rc = p->stats;

		free(p);
		return wr_fail(e, rc,
			rc == -EPERM ? "looking at all BPF programs needs root"
				     : "the kernel does not count runs of BPF programs: %s",
			strerror(-rc));
	}
	while (!bpf_prog_get_next_id(id, &id)) {
		struct note *n = info_of(id, &i) ? NULL : note_of(&p->progs, id);

		if (!n)
			continue;
		n->runs = i.run_cnt;
		n->run_ns = i.run_time_ns;
	}
	*ret = p;
	return 0;
}

/* Is this BTF the kernel's own? A module's has other names behind the same numbers. */
static bool of_kernel(struct wr_progs *p, uint32_t id)
{
	struct bpf_btf_info i = {.id = 0};
	char name[32] = "";
	uint32_t n = sizeof(i);
	int fd;

	if (!id || p->kernel_btf == id)
		return id != 0;
	fd = bpf_btf_get_fd_by_id(id);
	if (fd < 0)
		return false;
	i.name = (uint64_t)(uintptr_t)name;
	i.name_len = sizeof(name);
	if (!bpf_obj_get_info_by_fd(fd, &i, &n) && !strcmp(name, "vmlinux"))
		p->kernel_btf = id;
	close(fd);
	return p->kernel_btf == id;
}

static void fill(
	struct wr_progs *p, const struct bpf_prog_info *i, const struct note *n, struct wr_prog *v)
{
	char t[32];

	*v = (struct wr_prog){.id = i->id,
		.uid = i->created_by_uid,
		.bytes = i->jited_prog_len,
		.maps = i->nr_map_ids,
		.loaded_ns = i->load_time};
	snprintf(v->type, sizeof(v->type), "%s",
		or_number(libbpf_bpf_prog_type_str(i->type), i->type, t, sizeof(t)));
	snprintf(v->name, sizeof(v->name), "%s", i->name);
	if (n) {
		wr_copy(v->hook, sizeof(v->hook), wr_str(n->hook));
		wr_copy(v->owner, sizeof(v->owner), wr_str(n->owner));
		v->runs = i->run_cnt - n->runs;
		v->run_ns = i->run_time_ns - n->run_ns;
	}
	if (i->attach_btf_id && !v->hook[0] && of_kernel(p, i->attach_btf_obj_id)) {
		const struct btf_type *ty;

		if (!p->btf)
			p->btf = btf__load_vmlinux_btf();
		ty = p->btf ? btf__type_by_id(p->btf, i->attach_btf_id) : NULL;
		if (ty)
			snprintf(v->hook, sizeof(v->hook), "%s",
				btf__name_by_offset(p->btf, ty->name_off));
	}
}

int wr_progs_each(struct wr_progs *p, void (*fn)(void *ctx, const struct wr_prog *v), void *ctx,
	struct wr_err *e)
{
	struct bpf_prog_info i;
	uint32_t id = 0;

	(void)e;
	look_at_processes(p);
	look_at_links(p);
	look_at_devices(p);
	while (!bpf_prog_get_next_id(id, &id)) {
		struct wr_prog v;

		if (info_of(id, &i)) /* gone meanwhile */
			continue;
		fill(p, &i, note_of(&p->progs, id), &v);
		fn(ctx, &v);
	}
	return 0;
}

/* maps --------------------------------------------------------------------------------------------- */

static int64_t entries_of(int fd, const struct bpf_map_info *i)
{
	char key[2][512];
	int64_t n = 0;
	bool second = false;

	switch (i->type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
	case BPF_MAP_TYPE_HASH_OF_MAPS:
		break;
	default:
		return -1;
	}
	if (i->key_size > sizeof(key[0]))
		return -1;
	while (n < MAX_COUNTED && !bpf_map_get_next_key(fd, n ? key[!second] : NULL, key[second])) {
		second = !second;
		n++;
	}
	return n;
}

static uint64_t bytes_of(int fd)
{
	char path[64], line[128];
	uint64_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "memlock:", 8))
			n = strtoull(line + 8, NULL, 10);
	}
	if (f)
		fclose(f);
	return n;
}

int wr_progs_maps(struct wr_progs *p, void (*fn)(void *ctx, const struct wr_bpf_map *v), void *ctx,
	struct wr_err *e)
{
	uint32_t id = 0;

	(void)e;
	look_at_processes(p);
	while (!bpf_map_get_next_id(id, &id)) {
		struct bpf_map_info i = {.id = 0};
		uint32_t n = sizeof(i);
		struct wr_bpf_map v;
		const struct note *at;
		char t[32];
		int fd = bpf_map_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &i, &n)) {
			v = (struct wr_bpf_map){.id = i.id,
				.max = i.max_entries,
				.key = i.key_size,
				.value = i.value_size,
				.bytes = bytes_of(fd),
				.entries = entries_of(fd, &i)};
			snprintf(v.type, sizeof(v.type), "%s",
				or_number(libbpf_bpf_map_type_str(i.type), i.type, t, sizeof(t)));
			snprintf(v.name, sizeof(v.name), "%s", i.name);
			at = note_of(&p->maps, id);
			wr_copy(v.owner, sizeof(v.owner), wr_str(at ? at->owner : ""));
			fn(ctx, &v);
		}
		close(fd);
	}
	return 0;
}

void wr_progs_end(struct wr_progs *p)
{
	if (!p)
		return;
	wr_htab_each (&p->progs, i, n)
		free(wr_container(n, struct note, node));
	wr_htab_each (&p->maps, j, m)
		free(wr_container(m, struct note, node));
	wr_htab_free(&p->progs);
	wr_htab_free(&p->maps);
	btf__free(p->btf);
	if (p->stats >= 0)
		close(p->stats);
	free(p);
}
