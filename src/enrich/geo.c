// SPDX-License-Identifier: Apache-2.0
#include "geo.h"

#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>

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
	struct wr_geo *g;
	int rc = 0;

	*ret = NULL;
	if (!files[0])
		return 0;
	g = wr_alloc(sizeof(*g));
	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	for (const char *p = files; !rc && *p;) {
		size_t n = strcspn(p, ",");

		if (n)
			rc = open_one(g, (struct wr_str){p, n}, e);
		p += n + (p[n] == ',');
	}
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
