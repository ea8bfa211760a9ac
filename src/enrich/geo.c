// SPDX-License-Identifier: Apache-2.0
#include "geo.h"
#include "../base/buf.h"

#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>

#define MAX_OF 64 /* countries and networks of a list */
#define MAX_STEPS (1u << 26) /* nodes of a tree that are looked at; more: it is none */
#define CACHE 1024 /* a power of two; the same few peers come again and again */

struct wr_geo {
	MMDB_s file[WR_GEO_FILES];
	unsigned n;
	struct {
		struct wr_ip ip;
		struct wr_place place;
		bool used;
	} cache[CACHE];
};

void wr_geo_free(struct wr_geo *g)
{
	if (!g)
		return;
	for (unsigned i = 0; i < g->n; i++)
		MMDB_close(&g->file[i]);
	free(g);
}

static int open_one(struct wr_geo *g, struct wr_str path, struct wr_err *e)
{
	char name[512];
	int rc;

	if (!wr_copy(name, sizeof(name), path))
		return wr_fail(e, -ENAMETOOLONG, "the path is too long: %.*s", (int)path.n, path.p);
	if (g->n == WR_GEO_FILES)
		return wr_fail(e, -E2BIG, "%s: more than %d files", name, WR_GEO_FILES);
	rc = MMDB_open(name, MMDB_MODE_MMAP, &g->file[g->n]);
	if (rc == MMDB_FILE_OPEN_ERROR)
		return wr_fail(e, -errno, "%s: %s", name, strerror(errno));
	if (rc)
		return wr_fail(e, -EBADMSG, "%s: not a file in MaxMind's DB format: %s", name,
			MMDB_strerror(rc));
	g->n++;
	return 0;
}

int wr_geo_open(const char *files, struct wr_geo **ret, struct wr_err *e)
{
	struct wr_str rest = wr_str(files), path;
	struct wr_geo *g;
	int rc = 0;

	*ret = NULL;
	if (!files[0])
		return 0;
	g = wr_alloc(sizeof(*g));
	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	while (!rc && wr_next_word(&rest, &path))
		rc = open_one(g, path, e);
	if (rc) {
		wr_geo_free(g);
		return rc;
	}
	*ret = g;
	return 0;
}

static bool text(MMDB_entry_s *at, const char *const *path, struct wr_str *ret)
{
	MMDB_entry_data_s v;

	if (MMDB_aget_value(at, &v, path) || !v.has_data || v.type != MMDB_DATA_TYPE_UTF8_STRING ||
		!v.data_size)
		return false;
	*ret = (struct wr_str){v.utf8_string, v.data_size};
	return true;
}

/* MaxMind and DB-IP nest it, IPinfo does not. */
static void country_of(MMDB_entry_s *at, struct wr_str *ret)
{
	static const char *const paths[][3] = {{"country", "iso_code"}, {"country_code"},
		{"country"}, {"registered_country", "iso_code"}};

	for (unsigned i = 0; i < WR_N(paths); i++) {
		struct wr_str v;

		if (text(at, paths[i], &v) && v.n == 2) {
			*ret = v;
			return;
		}
	}
}

static void network_of(MMDB_entry_s *at, struct wr_place *ret)
{
	static const char *const number[] = {"autonomous_system_number", NULL},
				 *const as[] = {"asn", NULL},
				 *const names[][2] = {
					 {"autonomous_system_organization"}, {"as_name"}};
	MMDB_entry_data_s v;
	struct wr_str t;

	if (!MMDB_aget_value(at, &v, number) && v.has_data && v.type == MMDB_DATA_TYPE_UINT32)
		ret->asn = v.uint32;
	else if (text(at, as, &t) && t.n > 2 && t.n < 13 && !strncmp(t.p, "AS", 2)) /* "AS64500" */
		for (size_t i = 2; i < t.n && t.p[i] >= '0' && t.p[i] <= '9'; i++)
			ret->asn = ret->asn * 10 + (uint64_t)(t.p[i] - '0');
	for (unsigned i = 0; ret->asn && !ret->as_name.n && i < WR_N(names); i++)
		text(at, names[i], &ret->as_name);
}

static void look_up(struct wr_geo *g, const struct wr_ip *ip, struct wr_place *ret)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
	const void *sa = &a6;

	if (wr_ip_is4(ip)) {
		memcpy(&a4.sin_addr, ip->b + 12, 4);
		sa = &a4;
	} else {
		memcpy(&a6.sin6_addr, ip->b, 16);
	}
	for (unsigned i = 0; i < g->n; i++) {
		int rc = 0;
		MMDB_lookup_result_s r = MMDB_lookup_sockaddr(&g->file[i], sa, &rc);

		if (rc || !r.found_entry)
			continue;
		if (!ret->country.n)
			country_of(&r.entry, &ret->country);
		if (!ret->asn)
			network_of(&r.entry, ret);
	}
}

void wr_geo_find(struct wr_geo *g, const struct wr_ip *ip, struct wr_place *ret)
{
	unsigned at = (unsigned)wr_hash(ip, sizeof(*ip), 0) & (CACHE - 1);

	if (!g->cache[at].used || memcmp(&g->cache[at].ip, ip, sizeof(*ip))) {
		struct wr_place p = {.asn = 0};

		look_up(g, ip, &p);
		g->cache[at].place = p;
		g->cache[at].ip = *ip;
		g->cache[at].used = true;
	}
	*ret = g->cache[at].place;
}

struct of {
	struct wr_str word[MAX_OF];
	unsigned n;
	/* data stands in the tree again and again: what was found of the last one */
	uint32_t at;
	bool known, is;
};

static bool parse_of(struct wr_str list, struct of *o)
{
	struct wr_str w;
	uint64_t number;

	while (wr_next_word(&list, &w)) {
		bool as = w.n > 2 && (w.p[0] | 32) == 'a' && (w.p[1] | 32) == 's';

		if (o->n == MAX_OF || (!as && w.n != 2) ||
			(as && wr_parse_u64((struct wr_str){w.p + 2, w.n - 2}, &number)))
			return false;
		o->word[o->n++] = w;
	}
	return o->n;
}

static bool is_of(struct of *o, MMDB_entry_s *at)
{
	struct wr_place p = {.asn = 0};
	char as[24];

	if (o->known && o->at == at->offset)
		return o->is;
	country_of(at, &p.country);
	network_of(at, &p);
	o->known = true;
	o->at = at->offset;
	o->is = false;
	snprintf(as, sizeof(as), "AS%" PRIu64, p.asn);
	for (unsigned i = 0; i < o->n && !o->is; i++) {
		struct wr_str w = o->word[i];

		o->is = w.n == 2 ? p.country.n == 2 && !strncasecmp(w.p, p.country.p, 2)
				 : p.asn && strlen(as) == w.n && !strncasecmp(w.p, as, w.n);
	}
	return o->is;
}

static void network(struct wr_buf *ret, wr_u128 a, unsigned bits, unsigned length)
{
	char text[WR_IP_TEXT];
	uint32_t be = htonl((uint32_t)a);
	struct wr_ip ip = bits == 32 ? wr_ip4(&be) : wr_ip_numbered(a);

	wr_ip_text(&ip, text);
	wr_buf_printf(ret, "%s/%u\n", text, length);
}

/*
 * The tree below @root of addresses of @bits, depth first, in no order of addresses; not what is below @not, the
 * root of the IPv4 addresses, at which those that stand for them (2002::/16, RFC 3056) end, too.
 */
static int walk(
	MMDB_s *m, uint32_t root, unsigned bits, uint32_t not, struct of *o, struct wr_buf *ret)
{
	struct {
		wr_u128 addr;
		uint32_t node;
		unsigned depth;
	} stack[130];
	uint32_t steps = 0;
	unsigned n = 0;

	stack[n].node = root;
	stack[n].addr = 0;
	stack[n++].depth = 0;
	while (n) {
		wr_u128 addr = stack[--n].addr;
		uint32_t node = stack[n].node;
		unsigned depth = stack[n].depth;
		MMDB_search_node_s s;

		if (depth >= bits || ++steps > MAX_STEPS || MMDB_read_node(m, node, &s))
			return -EBADMSG;
		for (unsigned bit = 0; bit < 2; bit++) {
			uint8_t type = bit ? s.right_record_type : s.left_record_type;
			MMDB_entry_s *at = bit ? &s.right_record_entry : &s.left_record_entry;
			uint32_t to = (uint32_t)(bit ? s.right_record : s.left_record);
			wr_u128 a = addr | (wr_u128)bit << (bits - 1 - depth);

			if (type == MMDB_RECORD_TYPE_SEARCH_NODE) {
				if (to == not )
					continue;
				stack[n].node = to;
				stack[n].addr = a;
				stack[n++].depth = depth + 1;
			} else if (type == MMDB_RECORD_TYPE_DATA && is_of(o, at)) {
				network(ret, a, bits, depth + 1);
			} else if (type == MMDB_RECORD_TYPE_INVALID) {
				return -EBADMSG;
			}
		}
	}
	return ret->cut ? -E2BIG : 0;
}

static int walk_all(MMDB_s *m, struct of *o, struct wr_buf *ret)
{
	uint32_t four = m->ipv4_start_node.node_value;
	bool has4 = m->metadata.ip_version == 6 && m->ipv4_start_node.netmask == 96;
	int rc;

	if (m->metadata.ip_version == 4)
		return walk(m, 0, 32, 0, o, ret);
	rc = has4 ? walk(m, four, 32, 0, o, ret) : 0;
	return rc ? rc : walk(m, 0, 128, has4 ? four : 0, o, ret);
}

int wr_geo_list(const char *file, struct wr_str of, struct wr_buf *ret, struct wr_err *e)
{
	struct wr_geo *g = NULL;
	struct of o = {.n = 0};
	size_t before = ret->n;
	int rc;

	if (!parse_of(of, &o))
		return wr_fail(e, -EINVAL,
			"'%.*s': write countries and networks, KP,AS64500, at most %d of them",
			(int)of.n, of.p, MAX_OF);
	rc = wr_geo_open(file, &g, e);
	if (rc)
		return rc;
	if (!g || g->n != 1)
		rc = wr_fail(e, -EINVAL, "one file, please");
	else
		rc = walk_all(&g->file[0], &o, ret);
	if (rc == -EBADMSG)
		wr_fail(e, rc, "%s: is damaged", file);
	else if (rc == -E2BIG)
		wr_fail(e, rc, "%s: more networks than can be taken", file);
	else if (!rc && ret->n == before)
		rc = wr_fail(e, -ENOENT, "%s has no network of %.*s", file, (int)of.n, of.p);
	wr_geo_free(g);
	return rc;
}
