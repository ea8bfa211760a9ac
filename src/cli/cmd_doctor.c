// SPDX-License-Identifier: Apache-2.0
#include "../agent/agent.h"
#include "view.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

struct doctor {
	struct wr_view *v;
	unsigned unavailable, sensors;
	struct wr_buf notes;
};

static void cell_name(struct wr_buf *b, const struct wr_event *e)
{
	wr_plain(b, e, WR_I_sensor_name);
}
static void cell_state(struct wr_buf *b, const struct wr_event *e)
{
	wr_plain(b, e, WR_I_sensor_state);
}
static void cell_cost(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_sensor *s = (const void *)e;

	if (wr_ev_has(e, WR_I_sensor_cost_ns))
		wr_buf_printf(b, "%.0f ns", s->cost_ns);
}
static void cell_events(struct wr_buf *b, const struct wr_event *e)
{
	wr_plain(b, e, WR_I_sensor_events);
}
static void cell_complete(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_sensor *s = (const void *)e;

	if (wr_ev_has(e, WR_I_sensor_completeness))
		wr_buf_printf(b, "%.4g %%", s->completeness * 100);
}
static void cell_variant(struct wr_buf *b, const struct wr_event *e)
{
	wr_plain(b, e, WR_I_sensor_variant);
	if (!wr_ev_has(e, WR_I_sensor_variant))
		wr_plain(b, e, WR_I_sensor_needs);
}

static const struct wr_col cols[] = {
	{"SENSOR", 8, false, 0, cell_name},
	{"STATE", 11, false, 0, cell_state},
	{"COST/RUN", 8, true, 3, cell_cost},
	{"EVENTS", 9, true, 4, cell_events},
	{"COMPLETE", 8, true, 1, cell_complete},
	{"HOOK", 20, false, 2, cell_variant},
};

static void on_sensor(void *ctx, const struct wr_event *e)
{
	struct doctor *d = ctx;
	const struct wr_ev_sensor *s = (const void *)e;

	if (e->kind != WR_KIND_sensor || !wr_view_wants(d->v, e))
		return;
	d->sensors++;
	if (wr_str_eq(s->state, WR_STR("unavailable"))) {
		d->unavailable++;
		wr_buf_printf(&d->notes, "%.*s: %.*s\n", (int)s->name.n, s->name.p, (int)s->help.n,
			s->help.p);
	}
	if (s->needs.n)
		wr_buf_printf(&d->notes, "%.*s: better variant not taken: %.*s\n", (int)s->name.n,
			s->name.p, (int)s->needs.n, s->needs.p);
	wr_view_put(d->v, e);
}

static bool mounted(const char *path, long magic)
{
	struct statfs s;

	return !statfs(path, &s) && s.f_type == magic;
}

static void machine(struct wr_kern *k, const char *cgroup)
{
	struct utsname u;

	uname(&u);
	fprintf(stderr, "kernel    %s %s\n", u.release, u.machine);
	fprintf(stderr, "BTF       %s\n",
		access("/sys/kernel/btf/vmlinux", R_OK)
			? "missing: rebuild the kernel with CONFIG_DEBUG_INFO_BTF"
			: "/sys/kernel/btf/vmlinux");
	if (k)
		cgroup = wr_kern_cgroup_root(k);
	if (cgroup)
		fprintf(stderr, "cgroup v2 %s\n",
			cgroup[0] ? cgroup : "not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	fprintf(stderr, "tracefs   %s\n",
		mounted("/sys/kernel/tracing", 0x74726163) ||
				mounted("/sys/kernel/debug/tracing", 0x74726163)
			? "mounted"
			: "not mounted (not needed)");
	fprintf(stderr, "rights    %s\n\n",
		geteuid() ? "not root: sensors cannot be loaded; captures can be read" : "root");
}

/* Sensors of a running agent, with statistics on for @v->cfg.duration. */
static int from_agent(struct doctor *d)
{
	struct wr_client *c = wr_alloc(sizeof(*c));
	struct wr_err e = {.text = ""};
	int stats = wr_kern_stats_on();

	if (!c)
		return -ENOMEM;
	if (stats >= 0)
		usleep((useconds_t)(d->v->cfg.duration ? d->v->cfg.duration / 1000 : 1000000));
	c->fd = wr_client_open(d->v->cfg.socket, "get sensors\n", &e);
	if (stats >= 0)
		close(stats);
	if (c->fd < 0) {
		int rc = c->fd;

		free(c);
		return rc;
	}
	machine(NULL, NULL);
	fprintf(stderr, "from the agent on %s:\n", d->v->cfg.socket);
	for (;;) {
		char peek;

		if (recv(c->fd, &peek, 1, MSG_PEEK) <= 0 || wr_client_read(c, on_sensor, d) < 0)
			break;
	}
	close(c->fd);
	free(c);
	return 0;
}

static int alone(struct doctor *d)
{
	struct wr_pipe_config pc = {
		.host = d->v->host, .kern = {.interfaces = d->v->cfg.interfaces, .tls = true}};
	const char *deny = getenv("WR_DENY");
	struct wr_err e = {.text = ""};
	struct wr_pipe *p = NULL;
	uint64_t end;
	int rc, stats;

	if (deny && wr_feature_parse(wr_str(deny), &pc.kern.deny, &e))
		return 1 + wr_die("doctor", WR_EXIT_USAGE, "WR_DENY: %s", e.text);
	stats = wr_kern_stats_on();
	rc = wr_pipe_open(&pc, &p, &e);
	machine(p ? wr_pipe_kern(p) : NULL, NULL);
	if (rc) {
		if (stats >= 0)
			close(stats);
		return 1 + wr_die("doctor", WR_EXIT_LACKS, "%s", e.text);
	}
	end = wr_now() + (d->v->cfg.duration ? d->v->cfg.duration : 1000000000u);
	while (wr_now() < end)
		usleep((useconds_t)wr_pipe_step(p) * 1000);
	wr_agent_sensors(p, d->v->host, on_sensor, d);
	wr_pipe_close(p);
	if (stats >= 0)
		close(stats);
	return 0;
}

static int run(int argc, char **argv)
{
	struct wr_view v;
	struct doctor d = {.v = &v, .notes = WR_BUF(65536)};
	int n, rc = wr_view_init(
		       &v, &wr_cmd_doctor, WR_KIND_sensor, WR_KIND_sensor, NULL, argc, argv, &n);

	if (rc) {
		wr_view_free(&v);
		return rc - 1;
	}
	v.cols = cols;
	v.n_cols = WR_N(cols);
	if (v.cfg.standalone || from_agent(&d))
		rc = alone(&d);
	wr_view_flush(&v);
	if (d.notes.n)
		fprintf(stderr, "\n%.*s", (int)d.notes.n, d.notes.p);
	wr_buf_free(&d.notes);
	wr_view_free(&v);
	if (rc)
		return rc - 1;
	return d.unavailable ? WR_EXIT_LACKS : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_doctor = {
	.name = "doctor",
	.args = "",
	.help = "what works here, what does not, why; how complete the capture is",
	.more = "Lists every sensor with the hook it got, what a run of its programs costs (measured for a second), and\n"
		"what is missing without it. Status 3 when a sensor is unavailable.\n"
		"WR_DENY=name,name denies kernel features, to see what remains without them.",
	.examples = "  weir doctor\n  WR_DENY=cgroup_skb weir doctor --standalone",
	.view = true,
	.run = run,
};
