// SPDX-License-Identifier: Apache-2.0
#include "../base/log.h"
#include "../sys/netns.h"
#include "../why/why.h"
#include "cells.h"
#include "isolated.h"
#include "rules.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TRY_MS 7000 /* a connect() of our own: the SYN goes out at 0, 1, 3 s */
#define RETRY 600000000ull /* ns */
#define LONGEST 30000000000ull /* ns a command may take */
#define WATCH 10000000000ull
#define SETTLE 700000000ull /* behind the end: what the kernel counted is read */
#define GROUP "weir-why-" /* and our pid: the control group of what is tried */
#define LOOK 1000000000ull
#define ENOUGH 0.5 /* a finding that is less sure is not told */

struct why_config {
	const char *process;
	bool isolated;
};
#define O(field) offsetof(struct why_config, field)
static const struct wr_opt rows[] = {
	{"process", 'p', WR_OPT_TEXT, O(process), NULL, "NAME",
		"watch what the processes of this name do, instead of trying something", 0, 0},
	{"isolated", 0, WR_OPT_BOOL, O(isolated), NULL, NULL,
		"two namespaces (names or pids): does anything get from one into the other?", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

struct why {
	struct wr_view v;
	struct why_config o;
	struct wr_case *c;
	struct wr_rules *rules;
	char group[300]; /* folder of the control group; "" = none */
	pid_t child;
	int netns; /* descriptor of --netns, -1 = here */
	int told; /* pipe: what the attempt tells */
	int sig; /* Ctrl-C ends the looking, not the judging */
	int status;
	bool judging; /* it was tried: what comes now is of afterwards */
	uint64_t looked;
	struct why_finding found[WHY_FINDINGS];
};

/* What a process of our own tells about its attempt. */
struct attempt {
	int err; /* errno, 0 = it worked */
	int name; /* EAI_* of getaddrinfo(), 0 = fine */
	uint8_t proto;
	struct wr_ip ip;
	uint16_t port;
	uint64_t us;
};

struct target {
	char host[256], port[8];
	bool udp;
};

/* HOST:PORT, [IPv6]:PORT, with /udp or /tcp. False: it is a command. */
static bool parse_target(const char *s, struct target *ret)
{
	const char *slash = strchr(s, '/');
	struct wr_str host, port;
	uint64_t n;

	if (slash && strcmp(slash, "/udp") && strcmp(slash, "/tcp"))
		return false;
	if (!wr_host_port(
		    (struct wr_str){s, slash ? (size_t)(slash - s) : strlen(s)}, &host, &port) ||
		wr_parse_u64(port, &n) || !n || n > 65535)
		return false;
	*ret = (struct target){.udp = slash && slash[1] == 'u'};
	return host.n && wr_copy(ret->host, sizeof(ret->host), host) &&
	       wr_copy(ret->port, sizeof(ret->port), port);
}

static uint64_t ms_since(uint64_t begin)
{
	return (wr_now() - begin) / 1000000;
}

/* TCP: connects. UDP: asks three times, and waits for an answer or an error. 0 or errno. */
static int one_try(const struct addrinfo *a, bool udp)
{
	int fd = socket(a->ai_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0), err = 0;
	uint64_t begin = wr_now();
	socklen_t len = sizeof(err);
	struct pollfd p = {fd, udp ? POLLIN : POLLOUT, 0};
	char b[16];

	if (fd < 0)
		return errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS) {
		err = errno;
		close(fd);
		return err;
	}
	for (unsigned i = 0; udp && i < 4; i++) {
		if (send(fd, "\n", 1, 0) < 0 || poll(&p, 1, 1000) > 0) {
			if (recv(fd, b, sizeof(b), 0) < 0)
				err = errno;
			close(fd);
			return err == EAGAIN ? 0 : err;
		}
	}
	if (udp) {
		close(fd);
		return 0; /* no answer is no error: many servers do not answer a line feed */
	}
	do {
		int left = TRY_MS - (int)ms_since(begin);

		if (left <= 0) {
			close(fd);
			return ETIMEDOUT;
		}
		if (poll(&p, 1, left) > 0 && !getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len)) {
			if (!err) {
				usleep(100000); /* so that a reset behind the handshake is seen */
				poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0);
			}
			close(fd);
			return err;
		}
	} while (1);
}

static void try_target(const struct target *t, int tell)
{
	struct addrinfo hints = {.ai_socktype = t->udp ? SOCK_DGRAM : SOCK_STREAM}, *list = NULL;
	struct attempt a = {.proto = t->udp ? 17 : 6};
	uint64_t begin = wr_now();

	a.name = getaddrinfo(t->host, t->port, &hints, &list);
	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		if (wr_ip_of(
			    i->ai_addr, &a.ip)) /* the port is at the same place in both families */
			a.port = ntohs(
				((const struct sockaddr_in *)(const void *)i->ai_addr)->sin_port);
		a.err = one_try(i, t->udp);
		/* once more, when the rule that may have done it is traced */
		if (a.err && wr_now() - begin < RETRY) {
			usleep(RETRY / 1000);
			a.err = one_try(i, t->udp);
		}
		a.us = (wr_now() - begin) / 1000;
		if (!a.err || i->ai_next == NULL)
			break;
	}
	if (write(tell, &a, sizeof(a)) != sizeof(a))
		_exit(2);
	_exit(a.err || a.name);
}

/* The child: into the control group and the namespace, then it tries. */
static int start(struct why *w, const struct target *t, char **argv)
{
	char path[320];
	int fd[2], go[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) || pipe2(go, O_CLOEXEC))
		return -errno;
	snprintf(path, sizeof(path), "%s/cgroup.procs", w->group);
	w->child = fork();
	if (w->child < 0)
		return -errno;
	if (!w->child) {
		int procs = w->group[0] ? open(path, O_WRONLY | O_CLOEXEC) : -1;
		sigset_t none;
		char c;

		close(go[1]); /* or it would never see that we are gone */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (procs >= 0 && write(procs, "0", 1) != 1)
			_exit(126);
		if (w->netns >= 0 && setns(w->netns, CLONE_NEWNET))
			_exit(126);
		dup2(2, 1); /* stdout is for the diagnosis */
		if (read(go[0], &c, 1) != 1)
			_exit(126);
		if (t)
			try_target(t, fd[1]);
		execvp(argv[0], argv);
		fprintf(stderr, "weir why: cannot run '%s': %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(fd[1]);
	close(go[0]);
	w->c->pid = (uint64_t)w->child;
	w->told = fd[0];
	if (write(go[1], "g", 1) != 1)
		return -EPIPE;
	close(go[1]);
	return 0;
}

/* What one left behind that was killed: it is empty by now. */
static void sweep(const char *root)
{
	DIR *d = opendir(root);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		uint64_t pid;
		char path[600];

		if (strncmp(e->d_name, GROUP, sizeof(GROUP) - 1) ||
			wr_parse_u64(wr_str(e->d_name + sizeof(GROUP) - 1), &pid) ||
			!kill((pid_t)pid, 0))
			continue;
		snprintf(path, sizeof(path), "%.300s/%s", root, e->d_name);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

static void make_group(struct why *w)
{
	const char *root = wr_kern_cgroup_root(wr_pipe_kern(w->v.pipe));
	struct stat st;

	if (!root[0])
		return;
	sweep(root);
	snprintf(w->group, sizeof(w->group), "%.200s/" GROUP "%d", root, (int)getpid());
	if (mkdir(w->group, 0755) || stat(w->group, &st)) {
		w->group[0] = 0;
		return;
	}
	snprintf(w->c->cgroup, sizeof(w->c->cgroup), "/" GROUP "%d", (int)getpid());
	wr_kern_calls(wr_pipe_kern(w->v.pipe), st.st_ino);
}

static void on_event(void *ctx, const struct wr_event *e)
{
	struct why *w = ctx;

	if (e->kind == WR_KIND_drop) {
		struct wr_ev_drop d = *(const struct wr_ev_drop *)(const void *)e;
		const struct wr_nft_drop *rule = wr_rules_find(w->rules, &d);

		if (rule)
			wr_rules_fill(&d, rule);
		wr_case_take(w->c, &d.ev);
		return;
	}
	wr_case_take(w->c, e);
}

static void on_rule(void *ctx, const struct wr_event *e)
{
	struct why *w = ctx;

	if (e->kind == WR_KIND_rule)
		wr_case_rule(w->c, (const struct wr_ev_rule *)(const void *)e, w->judging);
}

/* The rules of the guard, where an agent keeps some. */
static void look_at_guard(struct why *w)
{
	struct wr_err e = {.text = ""};

	wr_rules_of_guard(w->v.cfg.socket, on_rule, w, &e);
}

static void on_talker(void *ctx, const struct wr_talker_key *k, const struct wr_talker *v)
{
	struct why *w = ctx;
	struct why_talker t = {.ifindex = k->ifindex,
		.netns = k->netns,
		.from_port = k->sport,
		.to_port = k->dport,
		.proto = k->proto,
		.bytes = v->bytes};
	const struct wr_proc *p;

	if (!k->out || !k->family || !v->bytes)
		return;
	memcpy(&t.from, k->saddr, 16);
	memcpy(&t.to, k->daddr, 16);
	p = wr_conns_owner(
		wr_pipe_conns(w->v.pipe), &t.from, k->sport, &t.to, k->dport, k->proto, k->netns);
	if (p) {
		t.pid = p->pid;
		wr_copy(t.process, sizeof(t.process), wr_str(p->comm));
	}
	wr_case_talker(w->c, &t);
}

/* Who sends how much by which interface, where the kernel counts it. */
static void take_talkers(struct why *w)
{
	wr_kern_read_bursts(wr_pipe_kern(w->v.pipe), NULL, on_talker, w);
}

/* Runs the pipeline until @until, a signal, or until the child has ended. */
static void run_until(struct why *w, uint64_t until, bool child)
{
	while (wr_now() < until) {
		int wait = wr_pipe_step(w->v.pipe);

		if (wr_loop_signal(w->sig))
			return;
		if (child && waitpid(w->child, &w->status, WNOHANG) == w->child) {
			w->child = 0;
			return;
		}
		if (wr_now() > w->looked + LOOK) {
			wr_case_look(w->c, true);
			take_talkers(w);
			w->looked = wr_now();
		}
		poll(&(struct pollfd){wr_pipe_fd(w->v.pipe), POLLIN, 0}, 1, wr_min(wait, 50));
	}
}

static void end_child(struct why *w)
{
	char path[320];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", w->group);
	for (unsigned i = 0; i < 20 && (w->child || w->group[0]); i++) {
		bool empty = true;

		/* what it started goes with it: all of the group */
		f = w->group[0] ? fopen(path, "re") : NULL;
		while (f && fscanf(f, "%d", &pid) == 1) {
			empty = false;
			kill(pid, i < 10 ? SIGTERM : SIGKILL);
		}
		if (f)
			fclose(f);
		else if (w->child)
			kill(w->child, i < 10 ? SIGTERM : SIGKILL);
		if (w->child && waitpid(w->child, &w->status, WNOHANG) == w->child)
			w->child = 0;
		if (empty && !w->child && (!w->group[0] || !rmdir(w->group)))
			return;
		usleep(50000);
	}
}

/* An attempt that failed before there was a connection is a flow too. */
static void take_attempt(struct why *w, uint64_t netns)
{
	struct why_flow *f;
	struct attempt a;

	if (read(w->told, &a, sizeof(a)) != sizeof(a) || !a.port)
		return;
	f = wr_case_flow(w->c, a.proto, &a.ip, a.port);
	if (!f)
		return;
	if (!f->netns)
		f->netns = netns;
	if (a.err && (!f->err || a.err != ETIMEDOUT))
		f->err = a.err;
}

static void take_calls(struct why *w)
{
	for (unsigned i = 0; i < w->c->n_calls; i++) {
		const struct why_call *k = &w->c->call[i];
		struct why_flow *f;

		/* bind() to an address that is not here needs no port */
		if (!k->port && (strcmp(k->name, "bind") || k->err != EADDRNOTAVAIL))
			continue;
		f = wr_case_flow(w->c, !strncmp(k->name, "send", 4) ? 17 : 6, &k->ip, k->port);
		if (!f)
			return;
		if (!f->netns)
			f->netns = k->netns;
		if (!f->err) {
			f->err = k->err;
			wr_copy(f->call, sizeof(f->call), wr_str(k->name));
		}
	}
}

static void diagnosis(struct why *w, struct wr_ev_diagnosis *d, const char *verdict)
{
	WR_INIT(d, diagnosis);
	WR_SET(d, diagnosis, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(d, diagnosis, host, wr_str(w->v.host));
	WR_SET(d, diagnosis, subject, wr_str(w->c->subject));
	WR_SET(d, diagnosis, verdict, wr_str(verdict));
}

static void say(struct why *w, const struct wr_ev_diagnosis *d, const struct why_finding *f)
{
	struct wr_buf *b = &w->v.out;

	if (w->v.cfg.json || w->v.cfg.csv || w->v.cfg.fields) {
		wr_view_put(&w->v, &d->ev);
		return;
	}
	wr_buf_printf(
		b, "%.*s: %.*s", (int)d->subject.n, d->subject.p, (int)d->verdict.n, d->verdict.p);
	if (f)
		wr_buf_printf(b, ", %s (%.0f %% sure)", f->cause->name, f->confidence * 100);
	wr_buf_printf(b, "\n  %.*s\n", (int)d->summary.n, d->summary.p);
	for (unsigned i = 0; f && i < f->n_evidence; i++)
		wr_buf_printf(b, "  - %s\n", f->evidence[i]);
	if (f)
		wr_buf_printf(b, "  layer: %s\n", f->layer);
	if (f && f->route[0])
		wr_buf_printf(b, "  way: %s\n", f->route);
	if (f && f->fix[0])
		wr_buf_printf(b, "  fix: %s\n", f->fix);
}

static void put_finding(struct why *w, const struct why_finding *f)
{
	struct wr_buf evidence = WR_BUF(8192);
	struct wr_ev_diagnosis d;

	diagnosis(w, &d, "fault");
	for (unsigned i = 0; i < f->n_evidence; i++) {
		wr_buf_c(&evidence, i ? ',' : '[');
		wr_buf_json(&evidence, wr_str(f->evidence[i]));
	}
	wr_buf_lit(&evidence, "]");
	WR_SET(&d, diagnosis, cause, wr_str(f->cause->name));
	WR_SET(&d, diagnosis, layer, wr_str(f->layer));
	WR_SET(&d, diagnosis, confidence, f->confidence);
	WR_SET(&d, diagnosis, summary, wr_str(f->summary));
	if (f->n_evidence)
		WR_SET(&d, diagnosis, evidence, wr_buf_view(&evidence));
	if (f->fix[0])
		WR_SET(&d, diagnosis, fix, wr_str(f->fix));
	if (f->rule[0])
		WR_SET(&d, diagnosis, rule, wr_str(f->rule));
	if (f->route[0])
		WR_SET(&d, diagnosis, route, wr_str(f->route));
	if (f->flow && f->flow->id[0])
		WR_SET(&d, diagnosis, conn, wr_str(f->flow->id));
	if (f->flow && f->flow->netns)
		WR_SET(&d, diagnosis, netns, f->flow->netns);
	say(w, &d, f);
	wr_buf_free(&evidence);
}

/* Nothing was found: is all well, or is it only not known? */
static int put_rest(struct why *w)
{
	const struct why_flow *bad = NULL;
	struct wr_ev_diagnosis d;
	char text[256], ip[WR_IP_TEXT];

	for (unsigned i = 0; i < w->c->n_flows && !bad; i++) {
		const struct why_flow *f = &w->c->flow[i];

		if (f->proto == 6 && why_failed(f))
			bad = f;
	}
	if (!w->c->n_flows) {
		diagnosis(w, &d, "unknown");
		WR_SET(&d, diagnosis, summary,
			WR_STR("nothing was sent or received meanwhile: there is nothing to judge"));
		say(w, &d, NULL);
		return WR_EXIT_UNVERIFIED;
	}
	if (bad) {
		diagnosis(w, &d, "fault");
		snprintf(text, sizeof(text),
			"%s:%u failed (%s), and no known cause fits what was seen",
			why_ip(&bad->server, ip), bad->server_port,
			bad->err ? strerror(bad->err) : "no answer");
		WR_SET(&d, diagnosis, cause, WR_STR("unexplained"));
		WR_SET(&d, diagnosis, confidence, 0.3);
		WR_SET(&d, diagnosis, summary, wr_str(text));
		if (bad->id[0])
			WR_SET(&d, diagnosis, conn, wr_str(bad->id));
		say(w, &d, NULL);
		return WR_EXIT_FOUND;
	}
	diagnosis(w, &d, "healthy");
	snprintf(text, sizeof(text), "nothing wrong: %u connection%s and %u request%s looked at",
		w->c->n_flows, w->c->n_flows == 1 ? "" : "s", w->c->n_requests,
		w->c->n_requests == 1 ? "" : "s");
	WR_SET(&d, diagnosis, summary, wr_str(text));
	WR_SET(&d, diagnosis, confidence, 0.9);
	say(w, &d, NULL);
	return WR_EXIT_OK;
}

static int judge(struct why *w)
{
	unsigned n = wr_case_judge(w->c, w->found, WHY_FINDINGS), told = 0;

	for (unsigned i = 0; i < n && w->found[i].confidence >= ENOUGH; i++, told++) {
		if (told && !w->v.cfg.json)
			wr_buf_c(&w->v.out, '\n');
		put_finding(w, &w->found[i]);
	}
	return told ? WR_EXIT_FOUND : put_rest(w);
}

static void set_subject(struct why *w, int n, char **argv)
{
	struct wr_buf b = WR_BUF(sizeof(w->c->subject));

	if (w->o.process)
		wr_buf_printf(&b, "process %s", w->o.process);
	for (int i = 0; i < n; i++)
		wr_buf_printf(&b, "%s%s", i ? " " : "", argv[i]);
	wr_copy(w->c->subject, sizeof(w->c->subject), wr_buf_view(&b));
	wr_buf_free(&b);
}

static int look_and_judge(struct why *w, const struct target *t, int n, char **argv)
{
	uint64_t netns = w->v.netns, limit = w->v.cfg.duration;
	int rc;

	if (!netns)
		wr_netns_inode("self", &netns);
	wr_case_look(w->c, false);
	look_at_guard(w);
	w->looked = wr_now();
	if (w->o.process) {
		wr_copy(w->c->process, sizeof(w->c->process), wr_str(w->o.process));
		wr_conns_each(wr_pipe_conns(w->v.pipe), on_event, w);
		run_until(w, wr_now() + (limit ? limit : WATCH), false);
	} else {
		make_group(w);
		wr_conns_each(wr_pipe_conns(w->v.pipe), on_event, w); /* who listens */
		rc = start(w, t, argv);
		if (rc) {
			end_child(w);
			return wr_die(w->v.cmd, WR_EXIT_LACKS, "cannot start '%s': %s",
				n ? argv[0] : "", strerror(-rc));
		}
		run_until(w, wr_now() + (limit ? limit : LONGEST), true);
		wr_case_look(w->c, true);
		end_child(w);
		if (WIFEXITED(w->status) && WEXITSTATUS(w->status) == 127 && !t)
			return WR_EXIT_USAGE;
		w->c->failed = WIFEXITED(w->status) && WEXITSTATUS(w->status);
	}
	run_until(w, wr_now() + SETTLE, false);
	take_talkers(w); /* while their owners are known */
	wr_pipe_flush(w->v.pipe);
	wr_case_behind(w->c);
	wr_case_look(w->c, true);
	w->judging = true;
	look_at_guard(w);
	take_attempt(w, netns);
	take_calls(w);
	wr_case_certs(w->c);
	return judge(w);
}

static int run(int argc, char **argv)
{
	static struct why w; /* large */
	struct target target;
	bool is_target;
	int n, rc = wr_view_init(&w.v, &wr_cmd_why, WR_KIND_diagnosis, WR_KIND_diagnosis, &w.o,
		       argc, argv, &n);

	w.netns = w.told = w.sig = -1;
	if (rc)
		goto out;
	if (w.o.isolated) {
		rc = 1 + (n != 2	     ? wr_die(w.v.cmd, WR_EXIT_USAGE,
						       "--isolated wants two namespaces: A B")
				 : geteuid() ? wr_die(w.v.cmd, WR_EXIT_LACKS,
						       "entering namespaces needs root")
					     : wr_isolated(&w.v, argv[0], argv[1]));
		goto out;
	}
	if (!n == !w.o.process) {
		rc = 1 +
		     wr_die(w.v.cmd, WR_EXIT_USAGE,
			     "say what to try: HOST:PORT, HOST:PORT/udp, or a command; or --process NAME");
		goto out;
	}
	argv[n] = NULL; /* they were moved to the front */
	is_target = n == 1 && parse_target(argv[0], &target);
	if (geteuid()) {
		rc = 1 +
		     wr_die(w.v.cmd, WR_EXIT_LACKS,
			     "a diagnosis loads sensors and looks into other namespaces: that needs root");
		goto out;
	}
	if (w.v.netns) {
		w.netns = wr_netns_open(w.v.netns);
		if (w.netns < 0) {
			rc = 1 + wr_die(w.v.cmd, WR_EXIT_USAGE, "cannot open namespace '%s': %s",
					 w.v.cfg.netns, strerror(-w.netns));
			goto out;
		}
	}
	w.c = wr_case_new();
	w.rules = wr_rules_new();
	if (!w.c || !w.rules) {
		rc = 1 + wr_die(w.v.cmd, WR_EXIT_LACKS, "no memory");
		goto out;
	}
	w.sig = wr_loop_signals();
	set_subject(&w, n, argv);
	w.v.sink = on_event;
	w.v.sink_ctx = &w;
	w.v.cfg.standalone = w.v.requests = w.v.calls = w.v.bursts = true;
	rc = wr_view_open(&w.v,
		WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_ICMP | WR_NEED_DROP |
			WR_NEED_CALL | WR_NEED_BURST,
		true);
	if (!rc)
		rc = 1 + look_and_judge(&w, is_target ? &target : NULL, n, argv);
out:
	wr_rules_free(w.rules);
	wr_view_free(&w.v);
	wr_case_free(w.c);
	if (w.netns >= 0)
		close(w.netns);
	if (w.sig >= 0)
		close(w.sig);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_why = {
	.name = "why",
	.args = "HOST:PORT[/udp] | COMMAND ... | --isolated A B",
	.help = "why a connection fails or is slow: cause, evidence, fix",
	.more = "Tries it (HOST:PORT, or a command with its arguments) or watches (--process), and looks meanwhile at every\n"
		"packet that the host drops, at system calls that fail, at the counters, routes and neighbours of every\n"
		"namespace on the way. The surest cause comes first. With --netns it is tried from inside of a namespace.\n"
		"--isolated tries every address and listening port of each namespace from the other, and echo requests.\n"
		"What the command writes goes to stderr. A command is ended after 30 s (--for).\n"
		"Status 0: nothing wrong; 1: a fault; 4: nothing was seen.",
	.examples = "  weir why 10.0.0.5:8080\n"
		    "  weir why 10.0.0.5:53/udp\n"
		    "  weir why curl -s http://10.0.0.5:8080/\n"
		    "  weir why --isolated blue green\n"
		    "  weir why --process nginx --for 30s\n"
		    "  weir why --netns blue --json 10.0.0.5:5432",
	.opts = &opts,
	.command = true,
	.view = true,
	.run = run,
};
