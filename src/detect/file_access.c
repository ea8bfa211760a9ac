// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#include <fnmatch.h>

#define MAX_PATTERNS 64

struct patterns {
	char p[MAX_PATTERNS][128];
	unsigned n;
};

struct access {
	uint64_t n, failed, first;
};

static bool add(void *state, struct wr_str w)
{
	struct patterns *s = state;

	if (s->n == MAX_PATTERNS || !wr_copy(s->p[s->n], sizeof(s->p[0]), w))
		return false;
	s->n++;
	return true;
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	return wr_detect_list("files", l->files, sizeof(struct patterns), add,
		"at most 64 patterns of 127 bytes", ret_state, e);
}

static bool matches(const struct patterns *s, const char *name)
{
	const char *base = strrchr(name, '/');

	for (unsigned i = 0; i < s->n; i++) {
		if (!fnmatch(s->p[i], name, 0) ||
			(base && !strchr(s->p[i], '/') && !fnmatch(s->p[i], base + 1, 0)))
			return true;
	}
	return false;
}

/* SMB writes them the other way. */
static void slashes(char *t)
{
	for (; *t; t++)
		*t = *t == '\\' ? '/' : *t;
}

/* The file in full, as far as it is known: of NFS with its folders, of SMB with its share. */
static void full_name(const struct wr_ev_request *r, char *to, size_t n)
{
	char in_share[256], in_full[512];
	struct wr_str path = wr_json_member(r->detail, WR_STR("path"), in_full, sizeof(in_full));
	struct wr_str share =
		wr_json_member(r->detail, WR_STR("share"), in_share, sizeof(in_share));

	if (!path.n)
		path = r->resource;
	snprintf(to, n, "%.*s%s%.*s", (int)share.n, share.p, share.n ? "/" : "", (int)path.n,
		path.p);
	slashes(to);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	char name[512], source[64], ip[WR_IP_TEXT], target[96], file[256];
	struct wr_str user, did;
	struct wr_incident *i;
	struct access *a;

	if (e->kind != WR_KIND_request || !r->resource.n || !wr_ev_has(e, WR_I_request_client_ip) ||
		(!wr_str_eq(r->protocol, WR_STR("nfs")) && !wr_str_eq(r->protocol, WR_STR("smb")) &&
			!wr_str_eq(r->protocol, WR_STR("ftp"))))
		return;
	did = wr_str_eq(r->protocol, WR_STR("ftp")) ? r->operation
						    : wr_json_text(r->detail, "action");
	if (!did.n)
		return; /* looked up, closed, ...: no access yet */
	full_name(r, name, sizeof(name));
	wr_copy(file, sizeof(file), r->resource);
	slashes(file);
	if (!matches(wr_detect_state(d, self), name) && !matches(wr_detect_state(d, self), file))
		return;
	a = wr_detect_entry(d, self,
		wr_hash(did.p, did.n, wr_hash(name, strlen(name), wr_hash(&r->client_ip, 16, 1))),
		r->time);
	if (!a)
		return;
	a->first = a->n++ ? a->first : r->time;
	a->failed += r->error;
	user = wr_json_text(r->detail, "user");
	ip[wr_ip_text(&r->client_ip, ip)] = 0;
	snprintf(source, sizeof(source), "%s %.*s", ip, (int)wr_min(did.n, (size_t)16), did.p);
	wr_copy(target, sizeof(target), wr_str(name));
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	wr_incident_is(i, a->first, r->time, a->n, a->failed == a->n ? "medium" : "low", 1);
	snprintf(i->summary, sizeof(i->summary),
		"%s%s%.*s: %.*s %.*s of %.120s, %" PRIu64 " times, %" PRIu64 " refused", ip,
		user.n ? " as " : "", (int)wr_min(user.n, (size_t)30), user.p,
		(int)wr_min(r->protocol.n, (size_t)8), r->protocol.p,
		(int)wr_min(did.n, (size_t)20), did.p, name, a->n, a->failed);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"accesses\":%" PRIu64 ",\"refused\":%" PRIu64 "}", a->n, a->failed);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_file_access = {
	.name = "file_access",
	.help = "who reads, writes, deletes chosen files over NFS, SMB, FTP (detect.files)",
	.attack_id = "T1039",
	.advice = "`weir requests -w 'resource ~ NAME'` shows each access; restrict the export",
	.impact = "a restricted export stops others who use it as well",
	.entry = sizeof(struct access),
	.entries = 4096,
	.quiet = 3600000000000ull,
	.setup = setup,
	.unset = free,
	.event = event,
};
