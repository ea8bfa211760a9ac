/* SPDX-License-Identifier: Apache-2.0 */
/* `weir why --isolated A B`: does anything get from one namespace into the other? */
#ifndef WR_ISOLATED_H
#define WR_ISOLATED_H

#include "view.h"

/* Tries both directions and puts one diagnosis into @v. An exit status: 0 isolated, 1 not, 2 wrong names. */
int wr_isolated(struct wr_view *v, const char *a, const char *b);

#endif
