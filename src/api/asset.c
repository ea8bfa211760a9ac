// SPDX-License-Identifier: Apache-2.0
#include "http.h"

/* The page, as build/embed.S carries it (mk/web.mk): web/dist, each file compressed. */
#define WR_ASSET(n, path, type) extern const unsigned char wr_web_##n[], wr_web_##n##_end[];
#include "assets.def"
#undef WR_ASSET

#define WR_ASSET(n, path, type) {path, type, wr_web_##n, wr_web_##n##_end},
static const struct wr_asset assets[] = {
#include "assets.def"
};
#undef WR_ASSET

const struct wr_asset *wr_asset_find(const char *path)
{
	for (unsigned i = 0; i < WR_N(assets); i++) {
		if (!strcmp(path, assets[i].path))
			return &assets[i];
	}
	return NULL;
}
