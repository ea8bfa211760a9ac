// SPDX-License-Identifier: Apache-2.0
#include "../kern/progs.h"
#include "../kern/run.h"
#include "../sys/loop.h"
#include "grid.h"

#include <time.h>

struct bpf_opts {
	bool maps;
	const char *types;
};
static const struct wr_opt rows[] = {
	{"maps", 'm', WR_OPT_BOOL, offsetof(struct bpf_opts, maps), NULL, NULL,
		"list: maps instead, what they hold, how full they are; run: their entries at the end",
		0, 0},
	{"type", 0, WR_OPT_TEXT, offsetof(struct bpf_opts, types), NULL, "MAP=STRUCT,...",
		"run: what the records of a ring are, where its name does not say it", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

struct listing {
	struct wr_out_grid g;
	double seconds;
};

static void put_prog(void *ctx, const struct wr_prog *p)
{
	static const bool number[] = {
		true, false, false, false, false, true, true, true, true, true, true};
	struct listing *l = ctx;
	char t[7][32];
	struct wr_str v[11];
	double ns = p->runs ? (double)p->run_ns / (double)p->runs : 0;

	snprintf(t[0], 32, "%u", p->id);
	snprintf(t[1], 32, "%.1f", ns);
	snprintf(t[2], 32, "%.0f", (double)p->runs / l->seconds);
	snprintf(t[3], 32, "%.6f", (double)p->run_ns / 1e9 / l->seconds);
	snprintf(t[4], 32, "%u", p->bytes);
	snprintf(t[5], 32, "%u", p->maps);
	snprintf(t[6], 32, "%u", p->uid);
	v[0] = wr_str(t[0]);
	v[1] = wr_str(p->type);
	v[2] = wr_str(p->name);
	v[3] = p->hook[0] ? wr_str(p->hook) : (struct wr_str){NULL, 0};
	v[4] = p->owner[0] ? wr_str(p->owner) : (struct wr_str){NULL, 0};
	v[5] = p->runs ? wr_str(t[1]) : (struct wr_str){NULL, 0};
	for (unsigned i = 6; i < 11; i++)
		v[i] = wr_str(t[i - 4]);
	l->g.grid.row(l->g.grid.ctx, 11, v, number);
}

static void put_map(void *ctx, const struct wr_bpf_map *m)
{
	static const bool number[] = {true, false, false, false, true, true, true, true};
	struct listing *l = ctx;
	char t[5][32];
	struct wr_str v[8];

	snprintf(t[0], 32, "%u", m->id);
	snprintf(t[1], 32, "%" PRId64, m->entries);
	snprintf(t[2], 32, "%u", m->max);
	snprintf(t[3], 32, "%.3f", m->max ? (double)m->entries / m->max : 0);
	snprintf(t[4], 32, "%" PRIu64, m->bytes);
	v[0] = wr_str(t[0]);
	v[1] = wr_str(m->type);
	v[2] = wr_str(m->name);
	v[3] = m->owner[0] ? wr_str(m->owner) : (struct wr_str){NULL, 0};
	v[4] = m->entries >= 0 ? wr_str(t[1]) : (struct wr_str){NULL, 0};
	v[5] = wr_str(t[2]);
	v[6] = m->entries >= 0 && m->max ? wr_str(t[3]) : (struct wr_str){NULL, 0};
	v[7] = wr_str(t[4]);
	l->g.grid.row(l->g.grid.ctx, 8, v, number);
}

static void put_json(void *ctx, struct wr_str map, struct wr_str json)
{
	struct wr_view *v = ctx;

	(void)map;
	if (v->done)
		return;
	wr_buf_str(&v->out, json);
	wr_buf_c(&v->out, '\n');
	if (++v->emitted == v->cfg.count)
		v->done = true;
	if (v->out.n > 65536)
		wr_view_flush(v);
}

/* Exit status + 1. */
static int run_object(struct wr_view *v, const struct bpf_opts *o, const char *path)
{
	const struct wr_run_config c = {path, v->cfg.interfaces, o->types};
	struct wr_buf told = WR_BUF(65536);
	struct wr_err e = {.text = ""};
	struct wr_run *r;
	uint64_t ends;
	int sig, rc;

	if (geteuid())
		return 1 + wr_die("bpf", WR_EXIT_LACKS, "loading a BPF object needs root");
	sig = wr_loop_signals();
	rc = wr_run_open(&c, &r, &e);
	if (rc) {
		close(sig);
		return 1 + wr_die("bpf",
				   rc == -EPERM || rc == -ENOTSUP ? WR_EXIT_LACKS : WR_EXIT_USAGE,
				   "%s", e.text);
	}
	wr_run_told(r, &told);
	fprintf(stderr, "%.*s", (int)told.n, told.p ? told.p : "");
	wr_buf_free(&told);
	ends = v->cfg.duration ? wr_now() + v->cfg.duration : UINT64_MAX;
	while (!v->done && !v->broken && wr_now() < ends && !wr_loop_signal(sig)) {
		rc = wr_run_poll(r, 100, put_json, v);
		wr_view_flush(v);
		if (rc < 0)
			break;
	}
	if (o->maps)
		wr_run_maps(r, put_json, v);
	wr_view_flush(v);
	if (wr_run_lost(r))
		fprintf(stderr,
			"weir bpf: %" PRIu64 " events were lost: the perf buffers were full\n",
			wr_run_lost(r));
	wr_run_close(r);
	close(sig);
	return rc < 0 ? 1 + wr_die("bpf", WR_EXIT_LACKS, "reading the rings: %s", strerror(-rc))
		      : 0;
}

static int run(int argc, char **argv)
{
	static const char *const of_prog[] = {"id", "type", "name", "hook", "owner", "ns_per_run",
		"runs_per_s", "cpu_share", "bytes", "maps", "uid"};
	static const char *const of_map[] = {
		"id", "type", "name", "owner", "entries", "max", "fill", "bytes"};
	struct bpf_opts o = {.maps = false};
	struct listing l = {.seconds = 1};
	struct wr_progs *p = NULL;
	struct wr_err e = {.text = ""};
	struct wr_view v;
	uint64_t began;
	int n, rc = wr_view_init(
		       &v, &wr_cmd_bpf, WR_KIND_sensor, WR_KIND_sensor, &o, argc, argv, &n);

	if (!rc && n == 2 && !strcmp(argv[0], "run")) {
		rc = run_object(&v, &o, argv[1]);
		goto out;
	}
	if (!rc && (n != 1 || strcmp(argv[0], "list") != 0))
		rc = 1 + wr_die("bpf", WR_EXIT_USAGE,
				 "say `weir bpf list` or `weir bpf run FILE.bpf.o`");
	if (rc)
		goto out;
	rc = wr_progs_begin(&p, &e);
	if (rc) {
		rc = 1 + wr_die("bpf", wr_exit_of(rc), "%s", e.text);
		goto out;
	}
	began = wr_now();
	if (!o.maps) {
		uint64_t ns = v.cfg.duration ? v.cfg.duration : 1000000000u;
		struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

		nanosleep(&t, NULL);
	}
	l.seconds = wr_max((double)(wr_now() - began) / 1e9, 1e-3);
	wr_grid_init(&l.g, &v, o.maps ? "map" : "program");
	l.g.grid.head(
		l.g.grid.ctx, o.maps ? WR_N(of_map) : WR_N(of_prog), o.maps ? of_map : of_prog);
	rc = o.maps ? wr_progs_maps(p, put_map, &l, &e) : wr_progs_each(p, put_prog, &l, &e);
	wr_grid_end(&l.g);
	wr_view_flush(&v);
	rc = rc ? 1 + wr_die("bpf", wr_exit_of(rc), "%s", e.text) : 0;
out:
	wr_progs_end(p);
	wr_view_free(&v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_bpf = {
	.name = "bpf",
	.args = "list | run FILE.bpf.o",
	.help = "BPF programs and maps of the host: hook, owner, cost, fill; and running one's own",
	.more = "Every program that is loaded, whoever loaded it: what it hangs on (where the kernel tells: filters of the\n"
		"older tc are not), which processes hold it, and what a run and a second cost, measured for one second or\n"
		"--for. A program without an owner is pinned, or held by its hook alone. Needs root.\n"
		"\n"
		"run loads an object of your own, attaches its programs by their sections (cgroup programs at the root, XDP and\n"
		"tc on --interface), and prints what comes out of its ring and perf buffers as JSON, typed by its BTF: a ring\n"
		"`events` carries `struct events`, `struct event`, or what --type says. With --maps the entries of its maps and\n"
		"its global variables follow at the end. What the verifier refuses is put into plain words. Nothing stays.",
	.examples = "  weir bpf list\n"
		    "  weir bpf list --for 10s --json | jq 'select(.cpu_share > 0.01)'\n"
		    "  weir bpf list --maps\n"
		    "  weir bpf run opens.bpf.o --for 10s --maps",
	.opts = &opts,
	.view = true,
	.run = run,
};
