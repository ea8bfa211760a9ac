/* SPDX-License-Identifier: Apache-2.0 */
/* Names that look made by a program. Pure. */
#ifndef WR_DGA_H
#define WR_DGA_H

#include "../base/base.h"

/* The label of a name that is sold: "example" of "www.example.co.uk". "" where there is none. */
struct wr_str wr_dga_label(struct wr_str name);
/* By how surprising its letters are one behind the other, and whether it is a hash. */
bool wr_dga_like(struct wr_str label);

#endif
