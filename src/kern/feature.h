/* SPDX-License-Identifier: Apache-2.0 */
/* Features by name. The proof that one works is that a variant loads and attaches; what is looked at
 * beforehand is cheap. WR_DENY=name,name denies features, so that fallbacks can be tested here. */
#ifndef WR_FEATURE_H
#define WR_FEATURE_H

#include "../base/base.h"

#define WR_FEATURE(id, ...) WR_FEATBIT_##id,
enum {
#include "features.def"
	WR_FEATURES,
};
#undef WR_FEATURE
#define WR_FEATURE(id, ...) WR_FEAT_##id = 1u << WR_FEATBIT_##id,
enum {
#include "features.def"
};
#undef WR_FEATURE

const char *wr_feature_name(unsigned bit);
const char *wr_feature_help(unsigned bit);
/* Names separated by commas to bits; an unknown name is -EINVAL. */
int wr_feature_parse(struct wr_str list, uint32_t *ret, struct wr_err *e);

#endif
