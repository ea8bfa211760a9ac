/* SPDX-License-Identifier: Apache-2.0 */
/* The detectors' limits as one struct, made from limits.def. Texts are borrowed; NULL or "" is empty. */
#ifndef WR_LIMITS_DETECT_H
#define WR_LIMITS_DETECT_H

#include <stdint.h>

struct wr_limits {
#define WR_LIMIT(name, def, least, help) uint64_t name;
#define WR_LIMIT_TEXT(name, value, help) const char *name;
#include "limits.def"
#undef WR_LIMIT
#undef WR_LIMIT_TEXT
};

#endif
