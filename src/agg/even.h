/* SPDX-License-Identifier: Apache-2.0 */
/* Is a spread even? Pearson's chi-square against equal shares. */
#ifndef WR_EVEN_H
#define WR_EVEN_H

#include "../base/base.h"

/*
 * The probability that chance alone spreads @n so unevenly (or more) over @k places that are chosen alike. Below 5
 * a place it says nothing: -1.
 */
double wr_even_p(const uint64_t *n, unsigned k);

#endif
