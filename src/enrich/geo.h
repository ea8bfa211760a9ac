/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an address is, and whose network: by files in MaxMind's DB format (its GeoLite2 and GeoIP2, DB-IP, IPinfo).
 * The files are mapped: whoever replaces one renames the new one over it, as geoipupdate does.
 */
#ifndef WR_GEO_H
#define WR_GEO_H

#include "../base/ip.h"

struct wr_geo;

#define WR_GEO_FILES 4

/* Views into the files, as long as the struct wr_geo is; empty, 0: not known. */
struct wr_place {
	struct wr_str country; /* ISO 3166-1 alpha-2 */
	uint64_t asn; /* number of the autonomous system (RFC 6793) */
	struct wr_str as_name;
};

/*
 * @files: at most WR_GEO_FILES paths with commas between, "": none, then @ret is NULL. Of each fact the first file that
 * has it counts. 0 or -errno.
 */
int wr_geo_open(const char *files, struct wr_geo **ret, struct wr_err *e);
void wr_geo_free(struct wr_geo *g);
void wr_geo_find(struct wr_geo *g, const struct wr_ip *ip, struct wr_place *ret);

/*
 * The networks of a file that are of @of, "KP,AS64500": countries and autonomous systems with commas between;
 * a line each, added to @ret. -EINVAL: @of is no such list; -ENOENT: there are none; -E2BIG, -EBADMSG,
 * -errno of the file.
 */
struct wr_buf;
int wr_geo_list(const char *file, struct wr_str of, struct wr_buf *ret, struct wr_err *e);

#endif
