/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the running kernel's enums, by its type information: numbers differ between kernels, names do not. */
#ifndef WR_ENUMS_H
#define WR_ENUMS_H

#include "../base/base.h"

/*
 * The name of value @v of enum @type, lower case, without @prefix; NULL where the kernel has no such enum
 * or value. The type information (some MiB) is read at the first question for a @type and let go; the names stay
 * until wr_enums_free(). @type and @prefix are literals.
 */
const char *wr_enum_name(const char *type, const char *prefix, uint32_t v);
void wr_enums_free(void);

#endif
