// SPDX-License-Identifier: Apache-2.0
#include "log.h"
#include "buf.h"

#define WR_MODULE(name) #name,
static const char *const names[] = {
#include "modules.def"
};
#undef WR_MODULE
static const char *const level_names[] = {"error", "warn", "info", "debug"};

#define WR_MODULE(name) WR_WARN,
uint8_t wr_log_levels[WR_MODULES] = {
#include "modules.def"
};
#undef WR_MODULE

const char *wr_module_name(enum wr_module m)
{
	return m < WR_MODULES ? names[m] : "?";
}

const char *wr_level_name(enum wr_level l)
{
	return l < WR_N(level_names) ? level_names[l] : "?";
}

int wr_log_set(struct wr_str module, struct wr_str level)
{
	bool all = wr_str_eq(module, WR_STR("all")), found = false;
	unsigned l;

	for (l = 0; l < WR_N(level_names); l++) {
		if (wr_str_eq(level, wr_str(level_names[l])))
			break;
	}
	if (l == WR_N(level_names))
		return -EINVAL;
	for (unsigned m = 0; m < WR_MODULES; m++) {
		if (all || wr_str_eq(module, wr_str(names[m]))) {
			wr_log_levels[m] = (uint8_t)l;
			found = true;
		}
	}
	return found ? 0 : -ENOENT;
}

void wr_log_(struct wr_site *site, enum wr_module m, enum wr_level l, const char *fmt, ...)
{
	char raw[1024], hid[48] = "";
	uint64_t now = wr_now() / 1000000000u;
	struct wr_buf b = WR_BUF(2048);
	va_list ap;

	if (site->second != now) {
		if (site->hidden)
			snprintf(hid, sizeof(hid), " (%u more of these hidden)", site->hidden);
		site->second = now;
		site->said = site->hidden = 0;
	}
	if (site->said >= 10) {
		site->hidden++;
		return;
	}
	site->said++;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	wr_buf_text(&b, wr_str(raw), sizeof(raw)); /* names from the network are hostile */
	fprintf(stderr, "weir: %s%s: %.*s%s\n", l < WR_INFO ? level_names[l] : "",
		l < WR_INFO ? "" : names[m], (int)b.n, b.p ? b.p : "", hid);
	wr_buf_free(&b);
}
