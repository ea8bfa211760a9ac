// SPDX-License-Identifier: Apache-2.0
#include "cut.h"
#include "kern.h"
#include "silent.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#define MAX_PROGS 8

extern const uint8_t wr_obj_cut[], wr_obj_cut_end[];

struct wr_cut_kern {
	struct bpf_object *obj;
	struct bpf_link *link[MAX_PROGS];
	unsigned n;
	int map[WR_CUTK_SPARE + 1], counts;
};

static int attach(struct wr_cut_kern *b, struct wr_err *e)
{
	wr_close_ int root = -1;
	struct bpf_program *p;
	char path[4096];

	wr_kern_find_cgroup2(path, sizeof(path));
	root = path[0] ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (root < 0)
		return wr_fail(e, -ENOENT, "no control groups v2 are mounted: a block needs them");
	bpf_object__for_each_program(p, b->obj)
	{
		struct bpf_link *l = bpf_program__attach_cgroup(p, root);

		if (!l)
			return wr_fail(e, -errno, "cannot attach %s to %s: %s",
				bpf_program__section_name(p), path, strerror(errno));
		b->link[b->n++] = l;
	}
	return 0;
}

int wr_cut_kern_open(struct wr_cut_kern **ret, struct wr_err *e)
{
	static const char *const maps[] = {
		"wr_cut_pids", "wr_cut_names", "wr_cut_groups", "wr_cut_spared"};
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "cut");
	struct wr_cut_kern *b = wr_alloc(sizeof(*b));
	libbpf_print_fn_t before;
	int rc;

	if (!b)
		return wr_fail(e, -ENOMEM, "no memory");
	before = libbpf_set_print(wr_silent);
	b->obj = bpf_object__open_mem(wr_obj_cut, (size_t)(wr_obj_cut_end - wr_obj_cut), &opts);
	rc = b->obj ? bpf_object__load(b->obj) : -errno;
	libbpf_set_print(before);
	if (rc) {
		rc = wr_fail(e, rc, "the kernel refused the block's programs: %s%s", strerror(-rc),
			rc == -EPERM ? " (needs root: CAP_BPF, CAP_NET_ADMIN)" : "");
	} else {
		for (unsigned i = 0; i < WR_N(maps); i++)
			b->map[i] = bpf_object__find_map_fd_by_name(b->obj, maps[i]);
		b->counts = bpf_object__find_map_fd_by_name(b->obj, "wr_cut_counts");
		rc = attach(b, e);
	}
	if (rc)
		wr_cut_kern_close(b);
	else
		*ret = b;
	return rc;
}

void wr_cut_kern_close(struct wr_cut_kern *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < b->n; i++)
		bpf_link__destroy(b->link[i]);
	bpf_object__close(b->obj);
	free(b);
}

int wr_cut_kern_put(
	struct wr_cut_kern *b, enum wr_cut_map m, const void *key, const struct wr_cut_entry *entry)
{
	int rc = entry ? bpf_map_update_elem(b->map[m], key, entry, BPF_ANY)
		       : bpf_map_delete_elem(b->map[m], key);

	return rc ? -errno : 0;
}

/* Takes the keys of a rule out of a map: all, or those of which @about says no. Not while walking: that ends it. */
static void take_out(struct wr_cut_kern *b, enum wr_cut_map m, uint32_t rule,
	bool (*about)(void *ctx, uint32_t pid), void *ctx)
{
	uint8_t(*found)[16] = wr_alloc(WR_CUTK_PIDS * sizeof(*found)), key[16] = {0};
	void *from = NULL;
	unsigned n = 0;

	while (found && n < WR_CUTK_PIDS && !bpf_map_get_next_key(b->map[m], from, key)) {
		struct wr_cut_entry v;
		uint32_t pid;

		from = key;
		memcpy(&pid, key, sizeof(pid));
		if (!bpf_map_lookup_elem(b->map[m], key, &v) && v.rule == rule &&
			!(about && about(ctx, pid)))
			memcpy(found[n++], key, sizeof(key));
	}
	while (n)
		bpf_map_delete_elem(b->map[m], found[--n]);
	free(found);
}

void wr_cut_kern_prune(
	struct wr_cut_kern *b, uint32_t rule, bool (*about)(void *ctx, uint32_t pid), void *ctx)
{
	take_out(b, WR_CUTK_PID, rule, about, ctx);
}

void wr_cut_kern_forget(struct wr_cut_kern *b, uint32_t rule)
{
	for (unsigned m = 0; m < WR_N(b->map); m++)
		take_out(b, m, rule, NULL, NULL);
	bpf_map_update_elem(b->counts, &rule, &(struct wr_cut_hits){.hits = 0}, BPF_ANY);
}

void wr_cut_kern_count(const struct wr_cut_kern *b, uint32_t rule, struct wr_cut_hits *ret)
{
	if (bpf_map_lookup_elem(b->counts, &rule, ret))
		memset(ret, 0, sizeof(*ret));
}
