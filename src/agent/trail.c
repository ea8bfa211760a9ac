// SPDX-License-Identifier: Apache-2.0
#include "trail.h"
#include "../audit/audit.h"
#include "../event/filter.h"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

struct wr_trail {
	struct wr_audit *a;
	struct wr_filter *conns; /* NULL: none are chosen */
};

static void text(struct wr_buf *b, const char *name, struct wr_str v)
{
	if (!v.n)
		return;
	wr_buf_printf(b, "%s\"%s\":", b->n ? "," : "", name);
	wr_buf_json(b, v);
}

static void put(struct wr_trail *t, const char *what, struct wr_buf *b)
{
	if (!b->cut)
		wr_audit_put(t->a, what, wr_buf_view(b));
	wr_buf_free(b);
}

int wr_trail_open(const struct wr_config *c, struct wr_trail **ret, struct wr_err *e)
{
	struct wr_trail *t;
	struct wr_buf b = WR_BUF(4096);
	int rc = 0;

	*ret = NULL;
	if (!c->audit[0])
		return 0;
	t = wr_alloc(sizeof(*t));
	if (!t)
		return wr_fail(e, -ENOMEM, "no memory");
	if (c->audit_conns[0]) {
		struct wr_err why = {.text = ""};

		rc = wr_filter_compile(&wr_kinds[WR_KIND_conn], c->audit_conns, &t->conns, &why);
		if (rc)
			rc = wr_fail(e, -EINVAL, "audit.conns: %s", why.text);
	}
	if (!rc)
		rc = wr_audit_open(c->audit, &t->a, e);
	if (rc) {
		wr_filter_free(t->conns);
		free(t);
		return rc;
	}
	text(&b, "version", WR_STR(WR_VERSION));
	wr_buf_printf(&b, ",\"pid\":%d", getpid());
	put(t, "start", &b);
	if (c->requests && (c->unmasked || c->unmasked_routes[0])) {
		b = WR_BUF(8192);
		text(&b, "routes", c->unmasked ? WR_STR("all") : wr_str(c->unmasked_routes));
		put(t, "unmasked", &b);
	}
	*ret = t;
	return 0;
}

void wr_trail_close(struct wr_trail *t)
{
	struct wr_buf b = WR_BUF(256);

	if (!t)
		return;
	wr_buf_printf(&b, "\"pid\":%d", getpid());
	put(t, "stop", &b);
	wr_audit_close(t->a);
	wr_filter_free(t->conns);
	free(t);
}

void wr_trail_alert(struct wr_trail *t, const struct wr_ev_alert *a)
{
	struct wr_buf b = WR_BUF(8192);

	if (!t)
		return;
	text(&b, "id", a->id);
	text(&b, "detector", a->detector);
	text(&b, "severity", a->severity);
	text(&b, "source", a->source);
	text(&b, "target", a->target);
	wr_buf_printf(&b, ",\"count\":%" PRIu64, a->count);
	text(&b, "summary", a->summary);
	text(&b, "process", a->owner_process);
	text(&b, "action", a->action);
	put(t, "alert", &b);
}

void wr_trail_event(struct wr_trail *t, const struct wr_event *e)
{
	struct wr_buf b = WR_BUF(WR_MAX_LINE);

	if (!t)
		return;
	if (e->kind == WR_KIND_rule) {
		const struct wr_ev_rule *r = (const void *)e;

		wr_buf_printf(&b, "\"rule\":%" PRIu64, r->id);
		text(&b, "action", r->action);
		text(&b, "text", r->text);
		wr_buf_printf(&b, ",\"hits\":%" PRIu64 ",\"bytes\":%" PRIu64, r->hits, r->bytes);
		put(t, "rule_ended", &b);
		return;
	}
	if (e->kind != WR_KIND_conn || !t->conns ||
		!wr_str_eq(((const struct wr_ev_conn *)(const void *)e)->event, WR_STR("close")) ||
		!wr_filter_match(t->conns, e))
		return;
	wr_buf_lit(&b, "\"conn\":");
	wr_json(&b, e, NULL);
	if (b.n && b.p[b.n - 1] == '\n')
		b.n--;
	put(t, "conn", &b);
}

/* The name of a process that asks: it waits for its answer, so it is there. */
static void comm_of(uint32_t pid, char *ret, size_t n)
{
	char path[40];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, ret, n - 1);
	if (fd >= 0)
		close(fd);
	ret[got > 0 ? got : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

void wr_trail_action(
	struct wr_trail *t, const struct wr_peer *who, struct wr_str action, const char *error)
{
	struct wr_buf b = WR_BUF(16384);
	char comm[32];

	if (!t)
		return;
	text(&b, "action", action);
	if (who->pid == (uint32_t)getpid()) {
		text(&b, "who", WR_STR("api")); /* with the token to control */
	} else {
		const struct passwd *p = getpwuid(who->uid);

		comm_of(who->pid, comm, sizeof(comm));
		text(&b, "who", p ? wr_str(p->pw_name) : WR_STR("?"));
		wr_buf_printf(&b, ",\"uid\":%u,\"pid\":%u", who->uid, who->pid);
		text(&b, "process", wr_str(comm));
	}
	text(&b, "result", wr_str(error ? error : "done"));
	put(t, "action", &b);
}

void wr_trail_turn(struct wr_trail *t, uint64_t now)
{
	if (t)
		wr_audit_turn(t->a, now);
}

void wr_trail_head(const struct wr_trail *t, struct wr_buf *ret)
{
	char hash[WR_AUDIT_HEX];
	uint64_t seq, lost;

	if (!t)
		return;
	wr_audit_head(t->a, &seq, hash, &lost);
	wr_buf_printf(ret, "%" PRIu64 " %s\n", seq, hash);
}

void wr_trail_stats(const struct wr_trail *t, uint64_t *ret_entries, uint64_t *ret_lost)
{
	char hash[WR_AUDIT_HEX];

	wr_audit_head(t->a, ret_entries, hash, ret_lost);
}
