// SPDX-License-Identifier: Apache-2.0
#include "routes.h"
#include "proto.h"

#include <errno.h>

#define MAX_ROUTES 64

struct wr_routes {
	unsigned n;
	struct {
		char protocol[24], path[256]; /* empty: any */
		uint16_t port; /* 0: any */
	} r[MAX_ROUTES];
};

static int add(struct wr_routes *r, struct wr_str w, struct wr_err *e)
{
	const char *slash = memchr(w.p, '/', w.n), *colon;
	struct wr_str head = {w.p, slash ? (size_t)(slash - w.p) : w.n}, port = {NULL, 0};
	uint64_t n = 0;

	if (r->n == MAX_ROUTES)
		return wr_fail(e, -E2BIG, "more than %d routes", MAX_ROUTES);
	colon = memchr(head.p, ':', head.n);
	if (colon) {
		port = (struct wr_str){colon + 1, head.n - (size_t)(colon + 1 - head.p)};
		head.n = (size_t)(colon - head.p);
		if (wr_parse_u64(port, &n) || !n || n > 65535)
			return wr_fail(
				e, -EINVAL, "route '%.*s': a port is 1 to 65535", (int)w.n, w.p);
	}
	if (!wr_copy(r->r[r->n].protocol, sizeof(r->r[0].protocol), head) ||
		(head.n && !wr_proto_named(r->r[r->n].protocol)))
		return wr_fail(e, -EINVAL,
			"route '%.*s': '%.*s' is no protocol that is read (weir requests --help)",
			(int)w.n, w.p, (int)head.n, head.p);
	if (slash && !wr_copy(r->r[r->n].path, sizeof(r->r[0].path),
			     (struct wr_str){slash, w.n - (size_t)(slash - w.p)}))
		return wr_fail(e, -EINVAL, "route '%.*s': its path is too long", (int)w.n, w.p);
	r->r[r->n++].port = (uint16_t)n;
	return 0;
}

int wr_routes_new(const char *list, struct wr_routes **ret, struct wr_err *e)
{
	struct wr_str rest = wr_str(list), w;
	struct wr_routes *r = NULL;
	int rc = 0;

	*ret = NULL;
	while (!rc && wr_next_word(&rest, &w)) {
		if (!r)
			r = wr_alloc(sizeof(*r));
		rc = r ? add(r, w, e) : wr_fail(e, -ENOMEM, "no memory");
	}
	if (rc)
		wr_routes_free(r);
	else
		*ret = r;
	return rc;
}

void wr_routes_free(struct wr_routes *r)
{
	free(r);
}

/* Without scheme and host, without what follows the path. */
static struct wr_str path_of(struct wr_str u)
{
	const char *p = memmem(u.p, u.n, "://", 3);
	size_t at = 0, n;

	if (p && u.n && u.p[0] != '/') {
		p = memchr(p + 3, '/', u.n - (size_t)(p + 3 - u.p));
		if (!p)
			return wr_str("/");
		at = (size_t)(p - u.p);
	}
	for (n = at; n < u.n && u.p[n] != '?' && u.p[n] != '#';)
		n++;
	return (struct wr_str){u.p + at, n - at};
}

/* A path that some servers take for another one. */
static bool is_plain(struct wr_str p)
{
	return !memmem(p.p, p.n, "..", 2) && !memchr(p.p, '%', p.n) && !memchr(p.p, '\\', p.n);
}

static bool is_below(struct wr_str p, const char *prefix)
{
	size_t n = strlen(prefix);

	if (p.n < n || memcmp(p.p, prefix, n))
		return false;
	return p.n == n || prefix[n - 1] == '/' || p.p[n] == '/';
}

bool wr_routes_match(
	const struct wr_routes *r, const char *protocol, uint16_t port, struct wr_str url)
{
	struct wr_str path = {NULL, 0};

	if (!r)
		return false;
	if (url.n)
		path = path_of(url);
	for (unsigned i = 0; i < r->n; i++) {
		if ((r->r[i].port && r->r[i].port != port) ||
			(r->r[i].protocol[0] && (!protocol || strcmp(r->r[i].protocol, protocol))))
			continue;
		if (!r->r[i].path[0] || (path.n && is_plain(path) && is_below(path, r->r[i].path)))
			return true;
	}
	return false;
}
