// SPDX-License-Identifier: Apache-2.0
#include "../audit/audit.h"
#include "../ctl/ctl.h"
#include "cmd.h"

#include <errno.h>

struct audit_config {
	const char *path, *key, *socket, *what;
	bool json, offline;
};
#define O(field) offsetof(struct audit_config, field)
static const struct wr_opt rows[] = {
	{"path", 0, WR_OPT_TEXT, O(path), "/var/lib/weir/audit", "PATH", "folder of the trail", 0,
		0},
	{"key", 0, WR_OPT_TEXT, O(key), NULL, "HEX",
		"verify: the public key as it was noted elsewhere; without it the one in the folder",
		0, 0},
	{"what", 0, WR_OPT_TEXT, O(what), NULL, "LIST",
		"show: only alert, action, conn, rule_ended, start, stop, unmasked, signature", 0,
		0},
	{"json", 0, WR_OPT_BOOL, O(json), NULL, NULL, "entries, or the verdict, as JSON", 0, 0},
	{"offline", 0, WR_OPT_BOOL, O(offline), NULL, NULL,
		"verify: do not ask a running agent for its last entry", 0, 0},
	{"socket", 0, WR_OPT_TEXT, O(socket), WR_SOCKET, "PATH", "socket of the agent", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

/* The text of a member, "" where it is not there; numbers as they stand. */
static struct wr_str member(struct wr_str line, const char *name)
{
	char key[40];
	int n = snprintf(key, sizeof(key), "\"%s\":", name);
	const char *at = memmem(line.p, line.n, key, (size_t)n), *end;

	if (!at)
		return (struct wr_str){"", 0};
	at += n;
	end = line.p + line.n;
	if (*at == '"') {
		const char *p = ++at;

		while (p < end && *p != '"')
			p += *p == '\\' && p + 1 < end ? 2 : 1;
		return (struct wr_str){at, (size_t)(wr_min(p, end) - at)};
	}
	return (struct wr_str){at, strcspn(at, ",}")};
}

static void part(struct wr_str line, const char *name, const char *before)
{
	struct wr_str v = member(line, name);

	if (v.n)
		printf("%s%.*s", before, (int)v.n, v.p);
}

static bool show(void *ctx, const char *file, unsigned n, struct wr_str line)
{
	const struct audit_config *o = ctx;
	struct wr_str what = member(line, "what"), list = wr_str(o->what ? o->what : ""), w;
	struct wr_str time = member(line, "time");
	bool wanted = !list.n && !wr_str_eq(what, WR_STR("signature"));

	while (wr_next_word(&list, &w))
		wanted |= wr_str_eq(w, what);
	if (!line.n) {
		fprintf(stderr, "weir audit: %s:%u: no whole entry\n", file, n);
		return true;
	}
	if (!wanted)
		return true;
	if (o->json) {
		printf("%.*s\n", (int)line.n, line.p);
		return !ferror(stdout);
	}
	part(line, "seq", "");
	printf("  %.19s  %-10.*s", time.p, (int)what.n, what.p);
	part(line, "who", " ");
	part(line, "process", "/");
	part(line, "severity", " ");
	part(line, "detector", " ");
	part(line, "action", " ");
	part(line, "text", " ");
	part(line, "routes", " ");
	part(line, "summary", ": ");
	part(line, "result", ": ");
	if (wr_str_eq(what, WR_STR("conn"))) {
		part(line, "transport", " ");
		part(line, "close_reason", " ");
		part(line, "conn\":{\"kind\":\"conn\",\"time", " at ");
	}
	putchar('\n');
	return !ferror(stdout);
}

static int verify(const struct audit_config *o)
{
	struct wr_audit_report r;
	struct wr_buf head = WR_BUF(4096);
	struct wr_err e = {.text = ""};
	char hash[WR_AUDIT_HEX] = "";
	unsigned long long seq = 0;
	int rc;

	/* first: what the agent writes meanwhile is more, not less */
	if (!o->offline && !wr_client_ask(o->socket, "get audit\n", &head, &e)) {
		wr_buf_c(&head, 0);
		if (head.cut || sscanf(head.p, "%llu %64s", &seq, hash) != 2)
			hash[0] = 0;
	}
	wr_buf_free(&head);
	rc = wr_audit_verify(o->path, o->key, seq, hash, &r, &e);
	if (rc)
		return wr_die("audit", rc == -EINVAL ? WR_EXIT_USAGE : WR_EXIT_LACKS, "%s", e.text);
	if (o->json) {
		struct wr_buf b = WR_BUF(4096);

		wr_buf_printf(&b,
			"{\"kind\":\"audit\",\"whole\":%s,\"entries\":%" PRIu64 ",\"last\":%" PRIu64
			",\"hash\":\"%s\",\"signatures\":%" PRIu64 ",\"signed_upto\":%" PRIu64
			",\"key\":\"%s\",\"agent_asked\":%s,\"fault\":",
			r.fault[0] ? "false" : "true", r.entries, r.last, r.hash, r.signatures,
			r.signed_upto, r.key, hash[0] ? "true" : "false");
		wr_buf_json(&b, wr_str(r.fault));
		printf("%.*s}\n", (int)b.n, b.p);
		wr_buf_free(&b);
	} else if (r.fault[0]) {
		printf("NOT as it was written: %s\n%" PRIu64 " entries before it are whole\n",
			r.fault, r.entries);
	} else {
		printf("%" PRIu64 " entries, whole and in order; %" PRIu64
		       " signatures, the last of all up to %" PRIu64 "\nlast entry %" PRIu64
		       " %s\nkey %s%s\n",
			r.entries, r.signatures, r.signed_upto, r.last, r.hash, r.key,
			hash[0] ? ""
				: "\nno agent was asked: entries cut off at the end would not be seen");
	}
	return r.fault[0] ? WR_EXIT_FOUND : WR_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct audit_config o = {.json = false};
	struct wr_opt_set set = {opts, &o};
	struct wr_err e = {.text = ""};
	const char *verb;
	int n, rc;

	wr_opt_defaults(&opts, &o);
	n = wr_opt_parse(&set, 1, argc, argv, &e);
	if (n < 0)
		return wr_die("audit", WR_EXIT_USAGE, "%s", e.text);
	verb = n ? argv[0] : "show";
	if (n > 1 || (strcmp(verb, "show") && strcmp(verb, "verify")))
		return wr_die("audit", WR_EXIT_USAGE, "wants show or verify, not '%s'",
			n > 1 ? argv[1] : verb);
	if (!strcmp(verb, "verify"))
		return verify(&o);
	rc = wr_audit_each(o.path, show, &o, &e);
	return rc ? wr_die("audit", WR_EXIT_LACKS, "%s", e.text) : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_audit = {
	.name = "audit",
	.args = "[show | verify]",
	.help = "the trail: alerts, what weir did and who asked for it; is it as it was written?",
	.more = "Entries are chained by hashes and signed; verify finds what was changed, removed, or put into another\n"
		"order, and says where (status 1). What is cut off at the end is found while the agent runs, which knows its\n"
		"last entry; else note the number and the hash that verify prints. The key is made at the first start: note its\n"
		"public half elsewhere and give it by --key, so that a trail with another key is found out.",
	.examples = "  weir audit\n"
		    "  weir audit show --what action --json\n"
		    "  weir audit verify --key 3b6a27bc...",
	.opts = &opts,
	.run = run,
};
