/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people, on stderr. Each module has a level that can change while running
 * (`weir ctl log MODULE LEVEL`); each call site may speak 10 times a second, then it is quiet and
 * says how much it hid.
 */
#ifndef WR_LOG_H
#define WR_LOG_H

#include "base.h"

enum wr_level { WR_ERROR, WR_WARN, WR_INFO, WR_DEBUG };

#define WR_MODULE(name) WR_MOD_##name,
enum wr_module {
#include "modules.def"
	WR_MODULES,
};
#undef WR_MODULE

struct wr_site {
	uint64_t second;
	uint32_t said, hidden;
};

extern uint8_t wr_log_levels[WR_MODULES];
const char *wr_module_name(enum wr_module m);
/* 0, or -ENOENT for an unknown module, -EINVAL for an unknown level; "all" names every module. */
int wr_log_set(struct wr_str module, struct wr_str level);
const char *wr_level_name(enum wr_level l);
void wr_log_(struct wr_site *site, enum wr_module m, enum wr_level l, const char *fmt, ...)
	WR_PRINTF(4, 5);

#define wr_log(mod, lvl, ...)                                                                      \
	do {                                                                                       \
		static struct wr_site site_;                                                       \
		if ((lvl) <= wr_log_levels[WR_MOD_##mod])                                          \
			wr_log_(&site_, WR_MOD_##mod, (lvl), __VA_ARGS__);                         \
	} while (0)

#endif
