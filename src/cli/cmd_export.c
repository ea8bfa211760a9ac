// SPDX-License-Identifier: Apache-2.0
#include "../ctl/ctl.h"
#include "../event/filter.h"
#include "../export/export.h"
#include "../store/traffic.h"
#include "cmd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define MAX_SOURCES 8 /* kinds at once */
#define METRICS_EVERY 10000000000ull /* ns */
#define PATIENCE 5000000000ull /* ns to send what waits at the end */
#define MINUTE 60000000000ull /* ns */
#define ROW 700 /* bytes of a sum, until some have been measured */
#define AGAIN 1000000000ull /* ns until an agent that went away is looked for again */
#define MAX_TEMPLATE 65536

struct export_config {
	const char *socket, *kinds, *expr, *header, *template, *config, *ca, *certificate, *key;
	const char *spool;
	uint64_t duration, queue, spool_max, sums, budget;
	bool list, quiet;
};
#define O(field) offsetof(struct export_config, field)
static const struct wr_opt rows[] = {
	{"kinds", 'k', WR_OPT_TEXT, O(kinds), NULL, "LIST",
		"kinds of records; without it what the exporter is for", 0, 0},
	{"where", 'w', WR_OPT_TEXT, O(expr), NULL, "EXPR",
		"only records that it is true for; with one kind", 0, 0},
	{"header", 0, WR_OPT_TEXT, O(header), NULL, "LINE",
		"a header of each POST: 'Authorization: Bearer ...'; @FILE reads it from there", 0,
		0},
	{"ca", 0, WR_OPT_TEXT, O(ca), NULL, "FILE",
		"https, tls: whom to believe (PEM), instead of the system's", 0, 0},
	{"certificate", 0, WR_OPT_TEXT, O(certificate), NULL, "FILE",
		"https, tls: who this is (PEM), if the server asks", 0, 0},
	{"key", 0, WR_OPT_TEXT, O(key), NULL, "FILE", "the key of the certificate (PEM)", 0, 0},
	{"template", 0, WR_OPT_TEXT, O(template), NULL, "FILE",
		"body of a webhook: {summary} stands for the field", 0, 0},
	{"queue", 0, WR_OPT_SIZE, O(queue), "8M", "SIZE",
		"what waits at most while the target does not answer", 65536, 1ull << 30},
	{"spool", 0, WR_OPT_TEXT, O(spool), NULL, "FOLDER",
		"what finds no room in it waits here, and so does what is left at the end: it goes first next time",
		0, 0},
	{"spool-max", 0, WR_OPT_SIZE, O(spool_max), "1G", "SIZE", "what waits there at most", 65536,
		0},
	{"sums", 0, WR_OPT_DURATION, O(sums), NULL, "TIME",
		"connections and requests not one by one, but what passed between two services in each such window",
		1000000000, 86400000000000},
	{"budget", 0, WR_OPT_SIZE, O(budget), NULL, "SIZE",
		"bytes in any minute at most, with headers; of sums the small ones become one, '(other)'",
		8192, 1ull << 30},
	{"for", 0, WR_OPT_DURATION, O(duration), NULL, "TIME", "end after this time", 0, 0},
	{"list", 0, WR_OPT_BOOL, O(list), NULL, NULL, "lists the exporters", 0, 0},
	{"quiet", 'q', WR_OPT_BOOL, O(quiet), NULL, NULL, "no summary at the end", 0, 0},
	{"socket", 0, WR_OPT_TEXT, O(socket), WR_SOCKET, "PATH", "socket of the agent", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

struct source {
	const struct wr_kind *kind;
	struct wr_client c; /* fd -1: the agent is not there */
	uint64_t again;
};

struct out {
	struct export_config o;
	const char *to;
	struct wr_export *x;
	struct source *source[MAX_SOURCES];
	unsigned n;
	bool metrics;
	uint64_t next_metrics, lost; /* lost: that the agent had no room for */
	struct wr_traffic *sums; /* NULL: records go one by one */
	uint64_t started, since, row; /* since: the window began (UTC); row: bytes of a sum */
	char host[64];
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct out *x = ctx;

	if (e->kind == WR_KIND_loss)
		x->lost += ((const struct wr_ev_loss *)(const void *)e)->count;
	if (x->sums && (e->kind == WR_KIND_conn || e->kind == WR_KIND_request))
		wr_traffic_event(x->sums, e, x->started);
	else
		wr_export_put(x->x, e);
}

static void on_sum(void *ctx, const struct wr_event *e)
{
	struct out *x = ctx;

	wr_export_put(x->x, e);
}

static uint64_t utc(void)
{
	return wr_now() + (uint64_t)wr_utc_offset();
}

/* A window ends: its sums go, as many as the budget has room for. */
static void tell_sums(struct out *x)
{
	uint64_t now = utc(), room = wr_export_room(x->x);
	struct wr_export_stats before, after;
	unsigned n;

	if (x->o.budget)
		wr_traffic_fold(
			x->sums, (unsigned)(room * wr_max(x->o.sums / MINUTE, 1ull) / x->row));
	wr_export_stats(x->x, &before);
	n = wr_traffic_tell(x->sums, wr_str(x->host), x->since, now, on_sum, x);
	wr_export_stats(x->x, &after);
	if (n && after.bytes > before.bytes)
		x->row = (after.bytes - before.bytes) / n + 1;
	x->since = now;
}

static int attach(struct out *x, struct source *s, struct wr_err *e)
{
	char line[WR_MAX_EXPR + 64];

	snprintf(line, sizeof(line), "watch %s %016" PRIx64 " %s\n", s->kind->name,
		wr_schema_hash(), x->o.expr ? x->o.expr : "");
	s->c.n = 0;
	s->c.fd = wr_client_open(x->o.socket, line, e);
	return s->c.fd < 0 ? s->c.fd : 0;
}

static int add_source(struct out *x, struct wr_str name, struct wr_err *e)
{
	if (wr_str_eq(name, WR_STR("metric"))) {
		x->metrics = true;
		return 0;
	}
	for (unsigned i = 0; i < WR_KINDS; i++) {
		struct source *s;
		int rc;

		if (!wr_str_eq(name, wr_str(wr_kinds[i].name)))
			continue;
		if (x->n == MAX_SOURCES)
			return wr_fail(e, -EINVAL, "at most %d kinds", MAX_SOURCES);
		s = wr_alloc(sizeof(*s));
		if (!s)
			return wr_fail(e, -ENOMEM, "no memory");
		s->kind = &wr_kinds[i];
		rc = attach(x, s, e);
		if (rc) {
			free(s);
			return rc;
		}
		x->source[x->n++] = s;
		return 0;
	}
	return wr_fail(
		e, -EINVAL, "there is no kind '%.*s' (docs/RECORDS.md)", (int)name.n, name.p);
}

/* Counters are asked for; everything else comes by itself. */
static void read_metrics(struct out *x)
{
	struct wr_client *c = wr_alloc(sizeof(*c));
	struct wr_err e = {.text = ""};
	uint64_t end = wr_now() + 1000000000ull;

	if (!c)
		return;
	c->fd = wr_client_open(x->o.socket, "get counters\n", &e);
	while (c->fd >= 0 && wr_now() < end) {
		struct pollfd p = {c->fd, POLLIN, 0};

		if (poll(&p, 1, 200) < 0 || (p.revents && wr_client_read(c, on_event, x) < 0))
			break;
	}
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void turn(struct out *x, uint64_t wait_ns)
{
	struct pollfd p[MAX_SOURCES];
	struct wr_err e = {.text = ""};
	uint64_t now = wr_now();

	for (unsigned i = 0; i < x->n; i++)
		p[i] = (struct pollfd){x->source[i]->c.fd, POLLIN, 0};
	if (poll(p, x->n, (int)wr_min(wait_ns / 1000000 + 1, 250ull)) < 0 && errno != EINTR)
		return;
	for (unsigned i = 0; i < x->n; i++) {
		struct source *s = x->source[i];

		if (s->c.fd < 0 && now >= s->again && attach(x, s, &e))
			s->again = now + AGAIN;
		if (p[i].fd < 0 || !p[i].revents)
			continue;
		if (wr_client_read(&s->c, on_event, x) <
			0) { /* the agent ended; it may come again */
			close(s->c.fd);
			s->c.fd = -1;
			s->again = now + AGAIN;
		}
	}
	if (x->sums && utc() >= x->since + x->o.sums)
		tell_sums(x);
	if (x->metrics && wr_now() >= x->next_metrics) {
		read_metrics(x);
		x->next_metrics = wr_now() + METRICS_EVERY;
	}
}

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* Small files: a template, a header with a secret that must not stand in the list of processes. */
static int read_file(const char *path, struct wr_buf *b, struct wr_err *e)
{
	int rc = wr_buf_file(b, path);

	if (rc == -E2BIG)
		return wr_fail(e, rc, "%s is larger than %d bytes", path, MAX_TEMPLATE);
	return rc ? wr_fail(e, rc, "cannot open %s: %s", path, strerror(-rc)) : 0;
}

static void list(void)
{
	const struct wr_exporter *x;

	for (unsigned i = 0; (x = wr_exporter_row(i)); i++)
		printf("%-14s %s\n%-14s   %s:%s; kinds %s\n", x->name, x->help, "", x->name,
			x->example, x->kinds);
	puts("\njson, ecs and ocsf: also into a topic of Kafka, NAME:kafka://HOST:PORT/TOPIC; otlp: also over gRPC,\n"
	     "otlp:grpc://HOST:PORT, grpcs:// with TLS.");
}

static int summary(const struct out *x)
{
	struct wr_export_stats s;

	wr_export_stats(x->x, &s);
	if (!x->o.quiet)
		fprintf(stderr,
			"%" PRIu64 " records in, %" PRIu64 " sent, %" PRIu64
			" dropped (queue full %" PRIu64 ", refused %" PRIu64
			", no form for them %" PRIu64 "), %" PRIu64
			" held back at the end; %" PRIu64 " lost before\n",
			s.in, s.sent, s.queue_full + s.refused + s.no_form, s.queue_full, s.refused,
			s.no_form, s.held, x->lost);
	if (!x->o.quiet && s.resumed)
		fprintf(stderr, "%" PRIu64 " of those that came in had waited in %s\n", s.resumed,
			x->o.spool);
	if (!x->o.quiet && s.damaged)
		fprintf(stderr, "%" PRIu64 " damaged files in %s were put aside (.bad)\n",
			s.damaged, x->o.spool);
	if (!x->o.quiet && s.spooled)
		fprintf(stderr,
			"%" PRIu64 " of those held back wait in %s for the next export to %s\n",
			s.spooled, x->o.spool, x->to);
	s.held -= s.spooled; /* they are not lost */
	if (s.last[0] && (s.held || s.refused || s.queue_full))
		wr_die("export", WR_EXIT_FOUND, "%s", s.last);
	return s.held || s.refused || s.queue_full || s.damaged ? WR_EXIT_FOUND : WR_EXIT_OK;
}

static int run(int argc, char **argv)
{
	static struct out x; /* large */
	struct wr_opt_set set = {opts, &x.o};
	struct wr_buf template = WR_BUF(MAX_TEMPLATE), header = WR_BUF(MAX_TEMPLATE);
	struct wr_export_config c = {.to = NULL};
	const struct wr_exporter *form;
	struct wr_err e = {.text = ""};
	struct sigaction sa = {.sa_handler = on_signal};
	struct wr_export_stats s = {.in = 0};
	struct wr_str kinds, w;
	uint64_t end;
	int n, rc;

	wr_opt_defaults(&opts, &x.o);
	n = wr_opt_parse(&set, 1, argc, argv, &e);
	if (n < 0)
		return wr_die("export", WR_EXIT_USAGE, "%s", e.text);
	if (x.o.list) {
		list();
		return WR_EXIT_OK;
	}
	if (n != 1)
		return wr_die("export", WR_EXIT_USAGE,
			"wants NAME:WHERE; `weir export --list` shows what there is");
	form = wr_exporter_find((struct wr_str){argv[0], strcspn(argv[0], ":")});
	if (x.o.template && (!form || strcmp(form->name, "webhook")))
		return wr_die("export", WR_EXIT_USAGE, "--template is for webhook");
	gethostname(x.host, sizeof(x.host) - 1);
	c.to = argv[0];
	c.header = x.o.header;
	c.ca = x.o.ca;
	c.certificate = x.o.certificate;
	c.key = x.o.key;
	c.queue = x.o.queue;
	c.spool = x.o.spool;
	c.spool_max = x.o.spool_max;
	x.to = argv[0];
	c.form.host = x.host;
	c.budget = x.o.budget;
	rc = 0;
	if (x.o.template) {
		rc = read_file(x.o.template, &template, &e);
		c.form.pattern = template.p;
	}
	if (!rc && x.o.header && x.o.header[0] == '@') {
		rc = read_file(x.o.header + 1, &header, &e);
		if (!rc)
			header.p[strcspn(header.p, "\r\n")] = 0;
		c.header = header.p;
	}
	if (!rc)
		rc = wr_export_open(&c, &x.x, &e);
	if (rc) {
		rc = wr_die("export", rc == -ENOSYS ? WR_EXIT_LACKS : WR_EXIT_USAGE, "%s", e.text);
		goto out;
	}
	if (x.o.sums) {
		x.sums = wr_traffic_new();
		x.started = x.since = utc();
		x.row = ROW;
		rc = x.sums ? 0 : wr_fail(&e, -ENOMEM, "no memory");
	}
	if (x.o.sums && !rc)
		rc = add_source(&x, WR_STR("conn"), &e);
	if (x.o.sums && !rc &&
		add_source(&x, WR_STR("request"), &e)) /* they can be sums of connections alone */
		wr_die("export", WR_EXIT_OK, "no requests in the sums: %s", e.text);
	kinds = wr_str(x.o.kinds ? x.o.kinds : x.o.sums ? "alert" : form->kinds);
	if (x.o.expr && x.o.sums)
		rc = wr_fail(&e, -EINVAL, "sums are of everything: no --where with --sums");
	else if (x.o.expr && memchr(kinds.p, ',', kinds.n))
		rc = wr_fail(&e, -EINVAL, "a filter needs one kind: --kinds request -w '...'");
	while (!rc && wr_next_word(&kinds, &w)) {
		if (!x.o.sums ||
			(!wr_str_eq(w, WR_STR("conn")) && !wr_str_eq(w, WR_STR("request"))))
			rc = add_source(&x, w, &e);
	}
	if (rc) {
		rc = wr_die("export", rc == -EINVAL ? WR_EXIT_USAGE : WR_EXIT_LACKS, "%s%s", e.text,
			rc == -ENOENT ? "; `weir run` starts it" : "");
		goto out;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	end = x.o.duration ? wr_now() + x.o.duration : UINT64_MAX;
	while (!stop && !s.closed && wr_now() < end) {
		turn(&x, wr_export_step(x.x, wr_now()));
		wr_export_stats(x.x, &s);
	}
	if (s.closed) { /* as every command: a pipe that closes ends it quietly */
		rc = WR_EXIT_OK;
		goto out;
	}
	for (unsigned i = 0; i < x.n; i++) { /* what is on its way from the agent */
		while (x.source[i]->c.fd >= 0 && wr_client_read(&x.source[i]->c, on_event, &x) > 0)
			;
	}
	if (x.sums)
		tell_sums(&x);
	wr_export_flush(x.x, PATIENCE);
	rc = summary(&x);
out:
	for (unsigned i = 0; i < x.n; i++) {
		if (x.source[i]->c.fd >= 0)
			close(x.source[i]->c.fd);
		free(x.source[i]);
	}
	wr_export_free(x.x);
	wr_traffic_free(x.sums);
	wr_buf_free(&template);
	wr_buf_free(&header);
	return rc;
}

const struct wr_cmd wr_cmd_export = {
	.name = "export",
	.args = "NAME:WHERE",
	.help = "records of the running agent to a SIEM, a collector, a chat, a file",
	.more = "Attaches to the agent and sends what it tells, as it comes: in batches, with growing pauses while the target\n"
		"does not answer, from a queue of bounded size. Ctrl-C ends it; it says then how many records came, went,\n"
		"were dropped and why, and they add up. Status 1: not everything arrived. Prometheus scrapes the agent itself\n"
		"(`/metrics` of the API). With --spool what cannot be sent waits on the disk, also when the command ends or is\n"
		"killed, and goes first when it starts again (a batch that was on its way may then come twice).\n"
		"An agent that is started again is found again. With --budget neither sums nor single records take more than\n"
		"three quarters of it; what has no room waits in the queue.",
	.examples = "  weir export --list\n"
		    "  weir export syslog:udp://10.0.0.9:514 --kinds alert -w 'severity = high'\n"
		    "  weir export syslog:tls://siem.example:6514 --ca /etc/ssl/siem.pem\n"
		    "  weir export otlp:http://127.0.0.1:4318\n"
		    "  weir export otlp:grpc://127.0.0.1:4317\n"
		    "  weir export json:kafka://10.0.0.7:9092,10.0.0.8:9092/weir\n"
		    "  weir export otlp:http://collector:4318 --spool /var/spool/weir-otlp\n"
		    "  weir export ecs:/var/log/weir-ecs.json\n"
		    "  weir export otlp:http://hub:4318 --sums 1m --budget 64k\n"
		    "  weir export webhook:https://chat.example/hooks/x --template mail.json",
	.opts = &opts,
	.run = run,
};
