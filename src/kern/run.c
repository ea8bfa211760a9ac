// SPDX-License-Identifier: Apache-2.0
#include "run.h"
#include "kern.h"
#include "silent.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LINKS 128
#define MAX_BUFFERS 16
#define MAX_DEPTH 16
#define MAX_ENTRIES 100000 /* of a map that are shown */
#define MAX_JSON (1u << 20)
#define LOG_SIZE (1u << 22)
#define PERF_PAGES 64

struct buffer {
	struct wr_run *r;
	const struct bpf_map *map;
	uint32_t type; /* of an event; 0: not known */
	struct perf_buffer *perf;
};

struct wr_run {
	struct bpf_object *obj;
	const struct btf *btf;
	struct bpf_link *link[MAX_LINKS];
	int fd[MAX_LINKS]; /* links that libbpf does not make */
	unsigned n_links, n_fds;
	struct ring_buffer *rings;
	struct buffer buffer[MAX_BUFFERS];
	unsigned n_buffers;
	struct wr_buf told;
	wr_run_fn fn;
	void *ctx;
	uint64_t lost;
	unsigned got;
};

/* --- JSON by BTF */

static uint32_t plain(const struct btf *b, uint32_t id)
{
	for (unsigned i = 0; i < 32; i++) {
		const struct btf_type *t = btf__type_by_id(b, id);

		if (!t || !(btf_is_mod(t) || btf_is_typedef(t) || btf_kind(t) == BTF_KIND_TYPE_TAG))
			break;
		id = t->type;
	}
	return id;
}

static void json_text(struct wr_buf *out, const char *s, size_t n)
{
	wr_buf_json(out, (struct wr_str){s, strnlen(s, n)});
}

static void json_value(struct wr_buf *out, const struct btf *b, uint32_t id, const uint8_t *p,
	size_t n, unsigned bit, unsigned bits, unsigned depth);

static uint64_t number(const uint8_t *p, size_t n, unsigned bit, unsigned bits)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bits && i < 64; i++) {
		unsigned at = bit + i;

		if (at / 8 < n &&
			(p[at / 8] >> (at & 7) &
				1)) /* little-endian, as the hosts that BPF runs on here */
			v |= 1ull << i;
	}
	return v;
}

static void json_int(struct wr_buf *out, const struct btf_type *t, const uint8_t *p, size_t n,
	unsigned bit, unsigned bits)
{
	uint32_t enc = btf_int_encoding(t);
	uint64_t v;

	if (!bits)
		bits = t->size * 8;
	if (bits > 64) {
		wr_buf_lit(out, "null");
		return;
	}
	v = number(p, n, bit, bits);
	if (enc & BTF_INT_BOOL)
		wr_buf_printf(out, "%s", v ? "true" : "false");
	else if (enc & BTF_INT_SIGNED && bits < 64 && v >> (bits - 1))
		wr_buf_printf(out, "%" PRId64, (int64_t)(v | ~0ull << bits));
	else if (enc & BTF_INT_SIGNED)
		wr_buf_printf(out, "%" PRId64, (int64_t)v);
	else
		wr_buf_u64(out, v);
}

static bool is_char(const struct btf *b, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(b, plain(b, id));

	return t && btf_is_int(t) && t->size == 1 &&
	       (btf_int_encoding(t) & (BTF_INT_CHAR | BTF_INT_SIGNED) ||
		       !strcmp(btf__name_by_offset(b, t->name_off), "char"));
}

static void json_array(struct wr_buf *out, const struct btf *b, const struct btf_type *t,
	const uint8_t *p, size_t n, unsigned depth)
{
	const struct btf_array *a = btf_array(t);
	long long size = btf__resolve_size(b, a->type);

	if (is_char(b, a->type)) {
		json_text(out, (const char *)p, wr_min(n, (size_t)a->nelems));
		return;
	}
	wr_buf_c(out, '[');
	for (uint32_t i = 0; size > 0 && i < a->nelems && (size_t)size * (i + 1) <= n; i++) {
		if (i)
			wr_buf_c(out, ',');
		json_value(out, b, a->type, p + (size_t)size * i, (size_t)size, 0, 0, depth + 1);
	}
	wr_buf_c(out, ']');
}

static void json_members(struct wr_buf *out, const struct btf *b, const struct btf_type *t,
	const uint8_t *p, size_t n, unsigned depth, bool *first)
{
	const struct btf_member *m = btf_members(t);

	for (unsigned i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(b, m[i].name_off);
		uint32_t off = btf_member_bit_offset(t, i), bits = btf_member_bitfield_size(t, i);
		const struct btf_type *in = btf__type_by_id(b, plain(b, m[i].type));

		if (off / 8 >= n)
			continue;
		if (!name[0] && in && btf_is_composite(in)) { /* its members are ours */
			if (depth < MAX_DEPTH)
				json_members(
					out, b, in, p + off / 8, n - off / 8, depth + 1, first);
			continue;
		}
		if (!name[0])
			continue; /* padding */
		if (!*first)
			wr_buf_c(out, ',');
		*first = false;
		json_text(out, name, strlen(name));
		wr_buf_c(out, ':');
		json_value(out, b, m[i].type, p + off / 8, n - off / 8, off & 7, bits, depth + 1);
	}
}

static void json_enum(struct wr_buf *out, const struct btf *b, const struct btf_type *t, uint64_t v)
{
	for (unsigned i = 0; i < btf_vlen(t); i++) {
		bool is = btf_is_enum64(t) ? btf_enum64_value(btf_enum64(t) + i) == v
					   : (uint32_t)btf_enum(t)[i].val == (uint32_t)v;
		uint32_t name =
			btf_is_enum64(t) ? btf_enum64(t)[i].name_off : btf_enum(t)[i].name_off;

		if (is) {
			json_text(out, btf__name_by_offset(b, name), 256);
			return;
		}
	}
	wr_buf_u64(out, v);
}

static void json_value(struct wr_buf *out, const struct btf *b, uint32_t id, const uint8_t *p,
	size_t n, unsigned bit, unsigned bits, unsigned depth)
{
	const struct btf_type *t = btf__type_by_id(b, plain(b, id));
	long long size = t ? btf__resolve_size(b, id) : -1;
	bool first = true;

	if (depth > MAX_DEPTH || size <= 0 || (!bits && (size_t)size > n)) {
		wr_buf_lit(out, "null");
		return;
	}
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		json_int(out, t, p, n, bit, bits);
		return;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		json_enum(out, b, t, number(p, n, bit, bits ? bits : t->size * 8));
		return;
	case BTF_KIND_PTR:
		wr_buf_printf(out, "\"0x%" PRIx64 "\"", number(p, n, 0, 64));
		return;
	case BTF_KIND_ARRAY:
		json_array(out, b, t, p, (size_t)size, depth);
		return;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		wr_buf_c(out, '{');
		json_members(out, b, t, p, (size_t)size, depth, &first);
		wr_buf_c(out, '}');
		return;
	case BTF_KIND_FLOAT:
		if (size == 8) {
			double d;

			memcpy(&d, p, 8);
			wr_buf_printf(out, "%.17g", d);
			return;
		}
	}
	wr_buf_lit(out, "null");
}

static void json_hex(struct wr_buf *out, const uint8_t *p, size_t n)
{
	wr_buf_c(out, '"');
	for (size_t i = 0; i < n && i < 4096; i++)
		wr_buf_printf(out, "%02x", p[i]);
	wr_buf_c(out, '"');
}

/* --- what the verifier means */

/* What a verifier's log means; NULL: not known. @ret_line: the source line it was at, "" = not told. */
static const char *explain(const char *log, char *ret_line, size_t n)
{
	static const struct {
		const char *says, *means;
	} words[] = {
		{"map_value_or_null'",
			"a look-up in a map may find nothing: compare its result with NULL before it is used"},
		{"_or_null_'", "this pointer may be NULL: compare it before it is used"},
		{"mem_or_null'", "this pointer may be NULL: compare it before it is used"},
		{"invalid access to packet",
			"the packet may be shorter: compare with data_end before the bytes are read"},
		{"is too large. Processed",
			"the verifier gave up: fewer branches in loops, bpf_loop(), or functions that are not static"},
		{"jumps is too complex",
			"the verifier gave up: fewer branches, or functions that are not static"},
		{"back-edge",
			"this loop has no bound that the verifier sees: give it a constant one, or use bpf_loop()"},
		{"infinite loop detected",
			"this loop has no bound that the verifier sees: give it a constant one, or use bpf_loop()"},
		{"R0 !read_ok", "the program ends without a return value on some path"},
		{"!read_ok", "a variable is used before it has a value (a call clears r1 to r5)"},
		{"invalid indirect read from stack",
			"a part of this variable was not set, padding included: clear it with = {} or memset"},
		{"invalid read from stack",
			"a part of this variable was not set, padding included: clear it with = {} or memset"},
		{"Unreleased reference",
			"what was taken is not given back on some path: submit or discard it, release it"},
		{"unknown func", "this kernel does not have that helper for this type of program"},
		{"cannot use helper", "a program of this type may not call that helper"},
		{"GPL-restricted",
			"that helper is for GPL programs: char LICENSE[] SEC(\"license\") = \"GPL\""},
		{"combined stack size",
			"more than 512 bytes of stack: put large variables into a per-CPU array map"},
		{"invalid bpf_context access",
			"this field of the context cannot be read or written by this type of program"},
		{"min value is negative",
			"an offset may be negative: make it unsigned, or compare it with 0"},
		{"unbounded memory access",
			"an offset or a length has no upper bound: compare it, or mask it with & (SIZE - 1)"},
		{"outside of the allowed memory range",
			"an index may be beyond the end: compare it, or mask it with & (SIZE - 1)"},
		{"invalid access to map value",
			"an index may be beyond the end of the map's value: compare it, or mask it with & (SIZE - 1)"},
		{"pointer arithmetic",
			"the verifier does not follow such arithmetic with a pointer: calculate with numbers, then add once"},
		{"invalid mem access 'scalar'",
			"to the verifier this is no pointer: read it with bpf_probe_read_kernel() or BPF_CORE_READ()"},
		{"invalid mem access 'inv'",
			"to the verifier this is no pointer: read it with bpf_probe_read_kernel() or BPF_CORE_READ()"},
		{"unreachable insn", "a part of the program can never run"},
		{"At program exit the register R0",
			"this type of program may return certain values only"},
		{"sleepable",
			"this helper may sleep: the program must be sleepable (section with .s)"},
	};
	const char *line = NULL;

	ret_line[0] = 0;
	for (const char *p = log; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (p[0] == ';' && p[1] == ' ')
			line = p + 2;
	}
	if (line)
		wr_copy(ret_line, n, (struct wr_str){line, wr_min(strcspn(line, "\n"), n - 1)});
	for (unsigned i = 0; i < WR_N(words); i++) {
		if (strstr(log, words[i].says))
			return words[i].means;
	}
	return NULL;
}

/* The last line of a log that says something. */
static void last_words(const char *log, char *ret, size_t n)
{
	const char *best = "";

	for (const char *p = log; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, "processed ", 10) && strncmp(p, "verification time", 17) &&
			strncmp(p, "stack depth", 11) && *p != '\n' && *p != ';')
			best = p;
	}
	wr_copy(ret, n, (struct wr_str){best, wr_min(strcspn(best, "\n"), n - 1)});
}

/* --- loading */

static int refused(struct bpf_object *o, const char *log, int rc, struct wr_err *e)
{
	char line[200], last[240];
	const char *means = explain(log, line, sizeof(line));
	struct bpf_program *p, *which = NULL;

	/* programs are loaded in order: the first without a descriptor is it */
	bpf_object__for_each_program(p, o)
	{
		if (!which && bpf_program__autoload(p) && bpf_program__fd(p) < 0)
			which = p;
	}
	last_words(log, last, sizeof(last));
	if (!log[0])
		return wr_fail(e, rc, "the kernel refused it: %s%s", strerror(-rc),
			rc == -ESRCH || rc == -ENOENT
				? "; a function, tracepoint or type that it names is not in this kernel"
				: "");
	return wr_fail(e, -EACCES, "the verifier refused '%s': %s%s%s%s%s",
		which ? bpf_program__name(which) : "?", last, line[0] ? "\n  at: " : "", line,
		means ? "\n  that is: " : "", means ? means : "");
}

static int cgroup_root(void)
{
	char path[256];

	wr_kern_find_cgroup2(path, sizeof(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void keep(struct wr_run *r, struct bpf_program *p, struct bpf_link *l, const char *where)
{
	wr_buf_printf(&r->told, "%s: %s%s%s\n", bpf_program__name(p), bpf_program__section_name(p),
		where ? " on " : "", where ? where : "");
	r->link[r->n_links++] = l;
}

/* The programs that want an interface, on each of those that were named. */
static int on_interfaces(struct wr_run *r, struct bpf_program *p, const char *list)
{
	struct wr_str rest = wr_str(list ? list : ""), w;
	bool xdp = bpf_program__type(p) == BPF_PROG_TYPE_XDP;
	int n = 0;

	while (wr_next_word(&rest, &w)) {
		char name[IFNAMSIZ];
		int index;

		wr_copy(name, sizeof(name), w);
		index = (int)if_nametoindex(name);
		if (!index || r->n_links == MAX_LINKS || r->n_fds == MAX_LINKS)
			return -ENODEV;
		if (xdp) {
			struct bpf_link *l = bpf_program__attach_xdp(p, index);

			if (!l)
				return -errno;
			keep(r, p, l, name);
		} else {
			int fd = bpf_link_create(bpf_program__fd(p), index,
				(enum bpf_attach_type)WR_ATTACH_TCX_INGRESS, NULL);

			if (fd < 0)
				return -errno;
			r->fd[r->n_fds++] = fd;
			wr_buf_printf(
				&r->told, "%s: tc ingress on %s\n", bpf_program__name(p), name);
		}
		n++;
	}
	return n ? n : -EDESTADDRREQ;
}

static void attach(struct wr_run *r, struct bpf_program *p, const struct wr_run_config *c)
{
	enum bpf_prog_type t = bpf_program__type(p);
	const char *why = NULL;
	struct bpf_link *l;
	int rc;

	if (r->n_links == MAX_LINKS)
		return;
	if (t == BPF_PROG_TYPE_XDP || t == BPF_PROG_TYPE_SCHED_CLS) {
		rc = on_interfaces(r, p, c->interfaces);
		if (rc > 0)
			return;
		why = rc == -EDESTADDRREQ ? "name its interface with --interface" : strerror(-rc);
	} else if (t == BPF_PROG_TYPE_CGROUP_SKB || t == BPF_PROG_TYPE_CGROUP_SOCK ||
		   t == BPF_PROG_TYPE_CGROUP_SOCK_ADDR || t == BPF_PROG_TYPE_SOCK_OPS ||
		   t == BPF_PROG_TYPE_CGROUP_SOCKOPT) {
		int fd = cgroup_root();

		l = fd >= 0 ? bpf_program__attach_cgroup(p, fd) : NULL;
		if (fd >= 0)
			close(fd);
		if (l) {
			keep(r, p, l, "the root of cgroup v2");
			return;
		}
		why = strerror(errno);
	} else {
		l = bpf_program__attach(p);
		if (l) {
			keep(r, p, l, NULL);
			return;
		}
		why = errno == EOPNOTSUPP
			      ? "its section does not say where; nothing attaches it by itself"
			      : strerror(errno);
	}
	wr_buf_printf(&r->told, "%s: %s is not attached: %s\n", bpf_program__name(p),
		bpf_program__section_name(p), why);
}

/* --- events */

static void event(struct buffer *b, const void *data, size_t n)
{
	struct wr_buf out = WR_BUF(MAX_JSON);
	const char *name = bpf_map__name(b->map);

	wr_buf_lit(&out, "{\"map\":");
	json_text(&out, name, strlen(name));
	if (b->type) {
		wr_buf_lit(&out, ",\"event\":");
		json_value(&out, b->r->btf, b->type, data, n, 0, 0, 0);
	} else {
		wr_buf_printf(&out, ",\"size\":%zu,\"bytes\":", n);
		json_hex(&out, data, n);
	}
	wr_buf_c(&out, '}');
	b->r->got++;
	if (b->r->fn)
		b->r->fn(b->r->ctx, wr_str(name), wr_buf_view(&out));
	wr_buf_free(&out);
}

static int on_ring(void *ctx, void *data, size_t n)
{
	event(ctx, data, n);
	return 0;
}

static void on_perf(void *ctx, int cpu, void *data, __u32 n)
{
	(void)cpu;
	event(ctx, data, n);
}

static void on_lost(void *ctx, int cpu, __u64 n)
{
	struct buffer *b = ctx;

	(void)cpu;
	b->r->lost += n;
}

static uint32_t struct_of(const struct btf *b, struct wr_str name)
{
	char t[128];
	int id;

	wr_copy(t, sizeof(t), name);
	id = btf__find_by_name_kind(b, t, BTF_KIND_STRUCT);
	return id > 0 ? (uint32_t)id : 0;
}

/* What a ring carries: as it was said, or a structure with the map's name, its singular, "event". */
static uint32_t type_of(
	const struct wr_run *r, const char *map, const char *types, struct wr_err *e)
{
	struct wr_str rest = wr_str(types ? types : ""), w;
	size_t n = strlen(map);
	uint32_t id;

	while (wr_next_word(&rest, &w)) {
		if (w.n > n + 1 && !memcmp(w.p, map, n) && w.p[n] == '=') {
			id = r->btf ? struct_of(r->btf, (struct wr_str){w.p + n + 1, w.n - n - 1})
				    : 0;
			if (!id)
				wr_fail(e, -EINVAL,
					"the object's BTF has no structure '%.*s'; a global `struct X *unused;` keeps it there",
					(int)(w.n - n - 1), w.p + n + 1);
			return id;
		}
	}
	if (!r->btf)
		return 0;
	id = struct_of(r->btf, wr_str(map));
	if (!id && n > 1 && map[n - 1] == 's')
		id = struct_of(r->btf, (struct wr_str){map, n - 1});
	return id ? id : struct_of(r->btf, WR_STR("event"));
}

static int open_buffers(struct wr_run *r, const struct wr_run_config *c, struct wr_err *e)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, r->obj)
	{
		struct buffer *b = &r->buffer[r->n_buffers];
		enum bpf_map_type t = bpf_map__type(m);
		int rc = 0;

		if ((t != BPF_MAP_TYPE_RINGBUF && t != BPF_MAP_TYPE_PERF_EVENT_ARRAY) ||
			r->n_buffers == MAX_BUFFERS)
			continue;
		*b = (struct buffer){.r = r, .map = m};
		e->text[0] = 0;
		b->type = type_of(r, bpf_map__name(m), c->types, e);
		if (e->text[0])
			return -EINVAL;
		if (t == BPF_MAP_TYPE_PERF_EVENT_ARRAY) {
			b->perf = perf_buffer__new(
				bpf_map__fd(m), PERF_PAGES, on_perf, on_lost, b, NULL);
			rc = b->perf ? 0 : -errno;
		} else if (!r->rings) {
			r->rings = ring_buffer__new(bpf_map__fd(m), on_ring, b, NULL);
			rc = r->rings ? 0 : -errno;
		} else {
			rc = ring_buffer__add(r->rings, bpf_map__fd(m), on_ring, b);
		}
		if (rc)
			return wr_fail(e, rc, "cannot read the ring '%s': %s", bpf_map__name(m),
				strerror(-rc));
		r->n_buffers++;
		if (!b->type)
			wr_buf_printf(&r->told,
				"%s: its events have no known type, shown as bytes; --type %s=STRUCT says it\n",
				bpf_map__name(m), bpf_map__name(m));
	}
	return 0;
}

int wr_run_open(const struct wr_run_config *c, struct wr_run **ret, struct wr_err *e)
{
	struct wr_run *r = wr_alloc(sizeof(*r));
	char *log = wr_alloc(LOG_SIZE);
	LIBBPF_OPTS(bpf_object_open_opts, o, .kernel_log_buf = log, .kernel_log_size = LOG_SIZE,
		.kernel_log_level = 1);
	libbpf_print_fn_t before = libbpf_set_print(wr_silent);
	struct bpf_program *p;
	int rc = 0;

	if (!r || !log) {
		rc = wr_fail(e, -ENOMEM, "no memory");
		goto out;
	}
	r->told = WR_BUF(65536);
	r->obj = bpf_object__open_file(c->path, &o);
	if (!r->obj) {
		rc = wr_fail(
			e, -errno, "cannot open %s as a BPF object: %s", c->path, strerror(errno));
		goto out;
	}
	r->btf = bpf_object__btf(r->obj);
	rc = bpf_object__load(r->obj);
	if (rc) {
		rc = refused(r->obj, log, rc, e);
		goto out;
	}
	rc = open_buffers(r, c, e); /* before the first event */
	if (rc)
		goto out;
	bpf_object__for_each_program(p, r->obj)
	{
		if (bpf_program__autoload(p))
			attach(r, p, c);
	}
	if (!r->n_links && !r->n_fds)
		rc = wr_fail(e, -ENOTSUP, "nothing of it is attached:\n%.*s", (int)r->told.n,
			r->told.p ? r->told.p : "");
out:
	libbpf_set_print(before);
	free(log);
	if (rc)
		wr_run_close(r);
	else
		*ret = r;
	return rc;
}

void wr_run_close(struct wr_run *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->n_links; i++)
		bpf_link__destroy(r->link[i]);
	for (unsigned i = 0; i < r->n_fds; i++)
		close(r->fd[i]);
	ring_buffer__free(r->rings);
	for (unsigned i = 0; i < r->n_buffers; i++)
		perf_buffer__free(r->buffer[i].perf);
	bpf_object__close(r->obj);
	wr_buf_free(&r->told);
	free(r);
}

void wr_run_told(const struct wr_run *r, struct wr_buf *b)
{
	wr_buf_str(b, wr_buf_view(&r->told));
}

int wr_run_poll(struct wr_run *r, int ms, wr_run_fn fn, void *ctx)
{
	bool perf = false;
	int rc = 0;

	r->fn = fn;
	r->ctx = ctx;
	r->got = 0;
	for (unsigned i = 0; i < r->n_buffers && rc >= 0; i++) {
		if (!r->buffer[i].perf)
			continue;
		rc = perf_buffer__poll(r->buffer[i].perf, r->rings ? 0 : ms);
		perf = true;
	}
	if (rc >= 0 && r->rings)
		rc = ring_buffer__poll(r->rings, ms);
	if (!perf && !r->rings)
		usleep((useconds_t)ms * 1000);
	return rc < 0 && rc != -EINTR ? rc : (int)r->got;
}

/* --- maps */

static bool countable(enum bpf_map_type t)
{
	return t == BPF_MAP_TYPE_HASH || t == BPF_MAP_TYPE_ARRAY || t == BPF_MAP_TYPE_LRU_HASH ||
	       t == BPF_MAP_TYPE_PERCPU_HASH || t == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       t == BPF_MAP_TYPE_LRU_PERCPU_HASH || t == BPF_MAP_TYPE_LPM_TRIE;
}

static bool per_cpu(enum bpf_map_type t)
{
	return t == BPF_MAP_TYPE_PERCPU_HASH || t == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       t == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static void put(
	struct wr_buf *out, const struct wr_run *r, uint32_t type, const uint8_t *p, size_t n)
{
	if (type && r->btf)
		json_value(out, r->btf, type, p, n, 0, 0, 0);
	else
		json_hex(out, p, n);
}

/* The variables of .bss and .data, by their names. */
static void globals(struct wr_run *r, const struct bpf_map *m, const uint8_t *v, size_t n,
	wr_run_fn fn, void *ctx)
{
	const struct btf_type *t =
		r->btf ? btf__type_by_id(r->btf, bpf_map__btf_value_type_id(m)) : NULL;
	struct wr_buf out = WR_BUF(MAX_JSON);
	const char *dot = strrchr(bpf_map__name(m), '.');
	bool first = true;

	if (!t || !btf_is_datasec(t) || !dot)
		return;
	wr_buf_lit(&out, "{\"map\":");
	json_text(&out, dot, 64);
	wr_buf_lit(&out, ",\"value\":{");
	for (unsigned i = 0; i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *s = btf_var_secinfos(t) + i;
		const struct btf_type *var = btf__type_by_id(r->btf, s->type);

		if (!var || s->offset + (size_t)s->size > n)
			continue;
		wr_buf_printf(&out, "%s", first ? "" : ",");
		first = false;
		json_text(&out, btf__name_by_offset(r->btf, var->name_off), 128);
		wr_buf_c(&out, ':');
		json_value(&out, r->btf, var->type, v + s->offset, s->size, 0, 0, 0);
	}
	wr_buf_lit(&out, "}}");
	fn(ctx, wr_str(dot), wr_buf_view(&out));
	wr_buf_free(&out);
}

static void one_map(struct wr_run *r, const struct bpf_map *m, wr_run_fn fn, void *ctx)
{
	enum bpf_map_type t = bpf_map__type(m);
	size_t ks = bpf_map__key_size(m), vs = bpf_map__value_size(m), step = (vs + 7) & ~(size_t)7;
	unsigned cpus = per_cpu(t) ? (unsigned)libbpf_num_possible_cpus() : 1;
	uint8_t *key = wr_alloc(ks * 2 + 1), *v = wr_alloc(step * cpus + 1);
	struct wr_buf out = WR_BUF(MAX_JSON);
	bool more = key && v && !bpf_map_get_next_key(bpf_map__fd(m), NULL, key);

	for (unsigned i = 0; more && i < MAX_ENTRIES; i++) {
		if (!bpf_map_lookup_elem(bpf_map__fd(m), key, v)) {
			if (bpf_map__is_internal(m)) {
				globals(r, m, v, vs, fn, ctx);
				break;
			}
			out.n = 0;
			wr_buf_lit(&out, "{\"map\":");
			json_text(&out, bpf_map__name(m), 64);
			wr_buf_lit(&out, ",\"key\":");
			put(&out, r, bpf_map__btf_key_type_id(m), key, ks);
			wr_buf_printf(&out, ",\"value%s\":", cpus > 1 ? "s" : "");
			for (unsigned c = 0; c < cpus; c++) {
				wr_buf_printf(&out, "%s", cpus == 1 ? "" : c ? "," : "[");
				put(&out, r, bpf_map__btf_value_type_id(m), v + c * step, vs);
			}
			wr_buf_printf(&out, "%s}", cpus > 1 ? "]" : "");
			fn(ctx, wr_str(bpf_map__name(m)), wr_buf_view(&out));
		}
		memcpy(key + ks, key, ks);
		more = !bpf_map_get_next_key(bpf_map__fd(m), key + ks, key);
	}
	free(key);
	free(v);
	wr_buf_free(&out);
}

void wr_run_maps(struct wr_run *r, wr_run_fn fn, void *ctx)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, r->obj)
	{
		if (countable(bpf_map__type(m)) && !strstr(bpf_map__name(m), ".rodata") &&
			!strstr(bpf_map__name(m), ".kconfig"))
			one_map(r, m, fn, ctx);
	}
}

uint64_t wr_run_lost(const struct wr_run *r)
{
	return r->lost;
}
