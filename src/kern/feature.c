// SPDX-License-Identifier: Apache-2.0
#include "feature.h"

#define WR_FEATURE(id, name, help) {name, help},
static const struct {
	const char *name, *help;
} rows[] = {
#include "features.def"
};
#undef WR_FEATURE

const char *wr_feature_name(unsigned bit)
{
	return bit < WR_N(rows) ? rows[bit].name : "?";
}

const char *wr_feature_help(unsigned bit)
{
	return bit < WR_N(rows) ? rows[bit].help : "?";
}

int wr_feature_parse(struct wr_str list, uint32_t *ret, struct wr_err *e)
{
	uint32_t bits = 0;
	struct wr_str w;
	unsigned k;

	while (wr_next_word(&list, &w)) {
		for (k = 0; k < WR_N(rows); k++) {
			if (wr_str_eq(w, wr_str(rows[k].name)))
				break;
		}
		if (k == WR_N(rows))
			return wr_fail(
				e, -EINVAL, "there is no kernel feature '%.*s'", (int)w.n, w.p);
		bits |= 1u << k;
	}
	*ret = bits;
	return 0;
}
