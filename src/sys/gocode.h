/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of a program in Go, by its own table of functions (.gopclntab: runtime/symtab.go, debug/gosym), which
 * a stripped program has, too.
 */
#ifndef WR_GOCODE_H
#define WR_GOCODE_H

#include "elf.h"

#define WR_GO_FUNCTIONS 8 /* looked for at once */

struct wr_go_function {
	uint64_t v, size; /* virtual address; 0: it has none of that name */
};

/*
 * The functions of these @n names (up to WR_GO_FUNCTIONS). Only of programs whose functions take their arguments in
 * registers (Go 1.18 and later: cmd/compile/abi-internal.md). How many were found, or -ENOENT: not Go, or none of
 * them; -ENOTSUP: an older Go, or a table that is not understood; -ENOMEM.
 */
int wr_go_find(const struct wr_elf *e, const char *const *names, unsigned n, struct wr_go_function *ret);

#endif
