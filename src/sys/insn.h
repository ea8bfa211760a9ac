/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine code, one instruction at a time, as far as it matters for where a probe is put: x86-64 by libzydis, which
 * is loaded when it is needed, and the few forms of arm64 that are asked for.
 */
#ifndef WR_INSN_H
#define WR_INSN_H

#include "../base/base.h"

struct wr_code {
	const uint8_t *b; /* the caller's */
	size_t n;
	uint64_t v; /* virtual address of the first byte */
	uint16_t machine; /* EM_X86_64, EM_AARCH64 */
};

enum wr_insn_kind {
	WR_INSN_OTHER,
	WR_INSN_CALL, /* direct: target */
	WR_INSN_JUMP, /* direct: target */
	WR_INSN_BRANCH, /* direct, on a condition: target */
	WR_INSN_BRANCH_LS, /* ... unsigned lower or same (x86: jbe): target */
	WR_INSN_AWAY, /* returns, or goes where a register says */
};

/* Bits of `writes`. */
#define WR_INSN_SP 1u
#define WR_INSN_C_ARG(i) (2u << (i)) /* i: 0 to 3: arguments of C functions */
#define WR_INSN_GO_ARG (32u) /* the first argument of Go's functions */

struct wr_insn {
	enum wr_insn_kind kind;
	unsigned len;
	/*
	 * The kernel does by itself what it does when a probe stands there, and so takes no second exception to
	 * step over it (arch/x86/kernel/uprobes.c: branch_setup_xol_ops, push_setup_xol_ops). Of a guest the second
	 * one costs most: its hypervisor takes it first.
	 */
	bool emulated;
	bool stores; /* to [stack pointer + slot], 8 bytes */
	bool stores_go_arg; /* ... of that argument's register */
	uint32_t writes; /* registers, of those above */
	int64_t slot;
	uint64_t target;
};

/* Whether code of this machine can be read: 0, -ENOSYS: no libzydis, -ENOTSUP: another machine. */
int wr_insn_ready(uint16_t machine);
/* No code is read for now: what was loaded for it goes. */
void wr_insn_done(void);

/* The instruction at @at of the code. 0, or -EINVAL: none that is known. Only after wr_insn_ready(). */
int wr_insn_at(const struct wr_code *c, size_t at, struct wr_insn *ret);

/*
 * Where in a function of C a probe costs least and still finds the stack pointer as the caller left it, and the
 * first @args (up to 4) arguments: @ret bytes behind its begin. False: the kernel has to step there; @ret is 0.
 */
bool wr_insn_site(const struct wr_code *c, unsigned args, size_t *ret);

/*
 * The function that this one calls, or goes on in, before it does anything with its first @args arguments: a
 * virtual address, or 0.
 */
uint64_t wr_insn_callee(const struct wr_code *c, unsigned args);

#endif
