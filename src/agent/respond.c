// SPDX-License-Identifier: Apache-2.0
#include "respond.h"
#include "../detect/detect.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MAX_ROWS 32
#define MAX_SOURCES 256
#define DAY (86400ull * 1000000000u)

/* What can be done: against the address that did it, or the process of this host that did. */
enum act { DROP, LIMIT, RESET, BLOCK, ISOLATE, CAPTURE, COOKIE, REJECT, TARPIT };
static const char *const acts[] = {
	"drop", "limit", "reset", "block", "isolate", "capture", "cookie", "reject", "tarpit"};

struct row {
	const char *detector;
	enum act act;
	char rate[32]; /* of a limit */
	uint64_t ttl; /* ns, of the first time; 0: it is done once */
};

/* Against whom something was done, or would have been. */
struct past {
	const char *detector;
	enum act act;
	char who[96];
	uint64_t until, ttl; /* wr_now() */
	char words[768];
};

struct wr_respond {
	struct wr_guard *g;
	bool dry;
	struct row row[MAX_ROWS];
	unsigned n_rows, n;
	struct past past[MAX_SOURCES];
	int (*capture)(void *ctx, struct wr_str id, const struct wr_ip *a, uint64_t ns, char *ret,
		size_t n, struct wr_err *e);
	void *capture_ctx;
	char words[2048];
};

/* "drop:10m", "limit:1000/s:10m", "reset", "block:30m", "isolate:30m", "cookie:10m", "tarpit:10m" */
static int what_of(struct row *row, struct wr_str s)
{
	struct wr_str part[3] = {{NULL, 0}};
	unsigned n = 0, act = 0, want;

	for (; n < WR_N(part); n++) {
		const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;

		part[n] = (struct wr_str){s.p, colon ? (size_t)(colon - s.p) : s.n};
		if (!colon)
			break;
		s = (struct wr_str){colon + 1, s.n - part[n].n - 1};
	}
	while (act < WR_N(acts) && !wr_str_eq(part[0], wr_str(acts[act])))
		act++;
	if (act == WR_N(acts))
		return -EINVAL;
	row->act = (enum act)act;
	want = act == RESET ? 0 : act == LIMIT ? 2 : 1;
	if (n != want)
		return -EINVAL;
	if (act == LIMIT && !wr_copy(row->rate, sizeof(row->rate), part[1]))
		return -EINVAL;
	if (want && (wr_parse_duration(part[want], &row->ttl) || !row->ttl || row->ttl > DAY))
		return -EINVAL;
	return 0;
}

static int add_row(struct wr_respond *r, struct wr_str w, struct wr_err *e)
{
	const char *eq = memchr(w.p, '=', w.n);
	struct row *row = &r->row[r->n_rows];
	struct wr_str name, what;

	if (!eq)
		return wr_fail(e, -EINVAL, "guard.respond: '%.*s' is not like port_scan=drop:10m",
			(int)w.n, w.p);
	name = (struct wr_str){w.p, (size_t)(eq - w.p)};
	what = (struct wr_str){eq + 1, w.n - name.n - 1};
	row->detector = wr_detector_name(name);
	if (!row->detector)
		return wr_fail(e, -EINVAL, "guard.respond: there is no detector '%.*s'",
			(int)name.n, name.p);
	if (what_of(row, what))
		return wr_fail(e, -EINVAL,
			"guard.respond: '%.*s': a detector can drop:10m, reject:10m, tarpit:10m, limit:1000/s:10m, reset, "
			"block:10m (its process), isolate:10m (its container), capture:10s, cookie:10m "
			"(SYNs to its target), for up to a day",
			(int)w.n, w.p);
	if (row->act == LIMIT) {
		struct wr_guard_rule rule;
		struct wr_err why = {.text = ""};
		char line[96];

		snprintf(line, sizeof(line), "limit rate %s per src", row->rate);
		if (wr_guard_parse(wr_str(line), &rule, &why))
			return wr_fail(e, -EINVAL, "guard.respond: %s", why.text);
	}
	if (++r->n_rows == MAX_ROWS)
		return wr_fail(e, -E2BIG, "guard.respond: more than %d rows", MAX_ROWS - 1);
	return 0;
}

int wr_respond_new(
	const char *table, bool dry, struct wr_guard *g, struct wr_respond **ret, struct wr_err *e)
{
	struct wr_respond *r = wr_alloc(sizeof(*r));
	struct wr_str rest = wr_str(table), w;
	int rc = r ? 0 : wr_fail(e, -ENOMEM, "no memory");

	while (!rc && wr_next_word(&rest, &w))
		rc = add_row(r, w, e);
	if (rc) {
		free(r);
		return rc;
	}
	r->g = g;
	r->dry = dry;
	*ret = r;
	return 0;
}

void wr_respond_free(struct wr_respond *r)
{
	free(r);
}

/* Is it an address of this host? What the host itself does is for its owner to stop. */
static bool is_own(const struct wr_ip *a)
{
	struct ifaddrs *all, *i;
	bool own = false;

	if (getifaddrs(&all))
		return false;
	for (i = all; i && !own; i = i->ifa_next) {
		struct wr_ip b;

		own = wr_ip_of(i->ifa_addr, &b) && !memcmp(&b, a, sizeof(b));
	}
	freeifaddrs(all);
	return own;
}

/* The entry of whom it is about: known, free, or the one whose time is over longest. */
static struct past *entry(
	struct wr_respond *r, const struct row *row, struct wr_str who, bool *ret_known)
{
	struct past *oldest = &r->past[0];

	*ret_known = true;
	for (unsigned i = 0; i < r->n; i++) {
		if (r->past[i].detector == row->detector && r->past[i].act == row->act &&
			wr_str_eq(who, wr_str(r->past[i].who)))
			return &r->past[i];
		if (r->past[i].until < oldest->until)
			oldest = &r->past[i];
	}
	*ret_known = false;
	if (r->n < MAX_SOURCES)
		oldest = &r->past[r->n++];
	*oldest = (struct past){.detector = row->detector, .act = row->act};
	wr_copy(oldest->who, sizeof(oldest->who), who);
	return oldest;
}

static unsigned in_force(const struct wr_respond *r, uint64_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++)
		n += r->past[i].until > now;
	return n;
}

/* Without these nobody could undo it. */
static bool is_vital(struct wr_str process)
{
	static const char *const vital[] = {"sshd", "systemd", "init", "weir", "dbus-daemon",
		"containerd", "dockerd", "crio", "kubelet"};

	for (unsigned i = 0; i < WR_N(vital); i++) {
		if (wr_str_eq(process, wr_str(vital[i])))
			return true;
	}
	return process.n > 8 && !memcmp(process.p, "systemd-", 8);
}

/* "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", and what follows behind a blank; *@ret_port 0: none. */
static bool end_of(struct wr_str s, struct wr_ip *ret, uint64_t *ret_port)
{
	struct wr_str ip, port;

	*ret_port = 0;
	if (!wr_host_port(wr_next_token(&s), &ip, &port) || wr_ip_parse(ip, ret, NULL))
		return false;
	if (wr_parse_u64(port, ret_port))
		*ret_port = 0;
	return true;
}

bool wr_respond_other(const struct wr_ev_alert *a, struct wr_ip *ret)
{
	uint64_t port;

	return (end_of(a->source, ret, &port) && !is_own(ret)) ||
	       (end_of(a->target, ret, &port) && !is_own(ret));
}

/* Against whom, as the guard's language has it: "src 192.0.2.1", "process 4711". NULL, or why against nobody. */
static const char *whom(const struct row *row, const struct wr_ev_alert *a, char *ret, size_t n)
{
	struct wr_ip ip;

	if (row->act == BLOCK || row->act == ISOLATE) {
		if (!wr_str_eq(a->owner_is, WR_STR("source")) || !a->owner_pid)
			return "who did it is no process of this host";
		if (is_vital(a->owner_process))
			return "that process is never blocked by itself";
		if (row->act == ISOLATE && !a->owner_container.n)
			return "its process is in no container";
		if (row->act == BLOCK)
			snprintf(ret, n, "process %" PRIu64, a->owner_pid);
		else
			snprintf(ret, n, "container %.*s", (int)a->owner_container.n,
				a->owner_container.p);
		return NULL;
	}
	if (row->act == COOKIE) {
		char text[WR_IP_TEXT];
		uint64_t port;

		if (!end_of(a->target, &ip, &port) || !port)
			return "its target is no address and port";
		if (!is_own(&ip))
			return "its target is not this host";
		wr_ip_text(&ip, text);
		snprintf(ret, n, "dst %s and tcp and dst.port = %" PRIu64, text, port);
		return NULL;
	}
	if (row->act == CAPTURE) /* what this host does, it does with the target */
		return wr_respond_other(a, &ip) ? (ret[wr_ip_text(&ip, ret)] = 0, NULL)
						: "no address is known";
	if (wr_ip_parse(a->source, &ip, NULL) || a->source.n >= WR_IP_TEXT)
		return "";
	if (is_own(&ip))
		return "the source is this host";
	snprintf(ret, n, "%s%.*s", row->act == RESET ? "" : "src ", (int)a->source.n, a->source.p);
	return NULL;
}

static void line_of(char *line, size_t n, const struct row *row, const struct past *p)
{
	uint64_t s = wr_max(p->ttl / 1000000000u, (uint64_t)1);

	switch (row->act) {
	case DROP:
		snprintf(line, n, "drop ttl %" PRIu64 "s %s", s, p->who);
		break;
	case LIMIT:
		snprintf(
			line, n, "limit rate %s per src ttl %" PRIu64 "s %s", row->rate, s, p->who);
		break;
	case COOKIE:
		snprintf(line, n, "cookie ttl %" PRIu64 "s %s", s, p->who);
		break;
	case REJECT:
	case TARPIT:
		snprintf(line, n, "%s ttl %" PRIu64 "s %s and tcp", acts[row->act], s, p->who);
		break;
	case RESET:
		snprintf(line, n, "reset %s", p->who);
		break;
	case CAPTURE:
		snprintf(line, n, "capture what %s sends and gets for %" PRIu64 " s", p->who, s);
		break;
	default:
		snprintf(line, n, "block ttl %" PRIu64 "s %s", s, p->who);
	}
}

void wr_respond_capture(struct wr_respond *r,
	int (*capture)(void *ctx, struct wr_str id, const struct wr_ip *a, uint64_t ns, char *ret,
		size_t n, struct wr_err *e),
	void *ctx)
{
	r->capture = capture;
	r->capture_ctx = ctx;
}

/* 0 and what was done, in words. */
static int do_it(struct wr_respond *r, const struct row *row, const struct past *p,
	const struct wr_ev_alert *a, char *ret, size_t n, struct wr_err *e)
{
	struct wr_buf said = WR_BUF(4096);
	char line[224], path[640];
	struct wr_ip ip;
	int rc;

	if (row->act == CAPTURE) {
		if (!r->capture || wr_ip_parse(wr_str(p->who), &ip, NULL))
			return wr_fail(e, -ENOENT,
				"packets are kept beside the history (store.path), which is off");
		rc = r->capture(r->capture_ctx, a->id, &ip, row->ttl, path, sizeof(path), e);
		snprintf(ret, n, "packets: %.640s", rc ? "" : path);
		return rc;
	}
	line_of(line, sizeof(line), row, p);
	rc = wr_guard_do(r->g, wr_str(line), &said, e);
	if (said.p) /* the rule's number stands first */
		said.p[strcspn(said.p, "\n")] = 0;
	snprintf(ret, n, row->act == RESET ? "%s: %s" : "rule %s: %s", said.p ? said.p : "", line);
	wr_buf_free(&said);
	return rc;
}

static void respond(struct wr_respond *r, const struct row *row, const struct wr_ev_alert *a,
	char *ret, size_t n)
{
	struct wr_err e = {.text = ""};
	uint64_t now = wr_now();
	char line[224], who[96];
	const char *not_why = whom(row, a, who, sizeof(who));
	struct past *p;
	bool known;
	int rc = 0;

	ret[0] = 0;
	if (not_why) {
		if (not_why[0])
			snprintf(ret, n, "nothing: %s", not_why);
		return;
	}
	p = entry(r, row, wr_str(who), &known);
	if (known && p->until > now) { /* the incident grew before the rule took hold */
		wr_copy(ret, n, wr_str(p->words));
		return;
	}
	if (in_force(r, now) >= WR_RESPOND_MAX) {
		snprintf(ret, n, "nothing: %d sources are dropped already", WR_RESPOND_MAX);
		return;
	}
	p->ttl = p->ttl ? wr_min(p->ttl * 2, DAY) : row->ttl;
	if (r->dry) {
		line_of(line, sizeof(line), row, p);
		snprintf(p->words, sizeof(p->words), "would %s (guard.dry_run)", line);
	} else {
		rc = do_it(r, row, p, a, p->words, sizeof(p->words), &e);
	}
	if (rc)
		snprintf(ret, n, "not done: %.200s", e.text);
	else
		wr_copy(ret, n, wr_str(p->words));
	p->until = rc ? 0 : now + p->ttl;
}

const char *wr_respond_alert(struct wr_respond *r, const struct wr_ev_alert *a)
{
	size_t n = 0;

	r->words[0] = 0;
	for (unsigned i = 0; i < r->n_rows; i++) {
		char one[768];

		if (!wr_str_eq(a->detector, wr_str(r->row[i].detector)))
			continue;
		respond(r, &r->row[i], a, one, sizeof(one));
		if (one[0] && n + strlen(one) + 3 < sizeof(r->words))
			n += (size_t)snprintf(
				r->words + n, sizeof(r->words) - n, "%s%s", n ? "; " : "", one);
	}
	return r->words;
}
