// SPDX-License-Identifier: Apache-2.0
#include "insn.h"

#include <Zydis/Zydis.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>

#define NEAR 64 /* bytes from a function's begin that are looked at */

static struct {
	ZyanStatus (*init)(ZydisDecoder *, ZydisMachineMode, ZydisStackWidth);
	ZyanStatus (*insn)(const ZydisDecoder *, ZydisDecoderContext *, const void *, ZyanUSize,
		ZydisDecodedInstruction *);
	ZyanStatus (*operands)(const ZydisDecoder *, const ZydisDecoderContext *,
		const ZydisDecodedInstruction *, ZydisDecodedOperand *, ZyanU8);
	ZydisRegister (*whole)(ZydisMachineMode, ZydisRegister);
	ZydisDecoder d;
	void *lib;
	bool missing;
} z;

static int load(void)
{
	char name[32];
	void *lib;

	if (z.lib || z.missing)
		return z.lib ? 0 : -ENOSYS;
	snprintf(name, sizeof(name), "libZydis.so.%u.%u",
		(unsigned)ZYDIS_VERSION_MAJOR(ZYDIS_VERSION),
		(unsigned)ZYDIS_VERSION_MINOR(ZYDIS_VERSION));
	lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (lib) {
		*(void **)&z.init = dlsym(lib, "ZydisDecoderInit");
		*(void **)&z.insn = dlsym(lib, "ZydisDecoderDecodeInstruction");
		*(void **)&z.operands = dlsym(lib, "ZydisDecoderDecodeOperands");
		*(void **)&z.whole = dlsym(lib, "ZydisRegisterGetLargestEnclosing");
	}
	if (lib && z.init && z.insn && z.operands && z.whole &&
		ZYAN_SUCCESS(z.init(&z.d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64))) {
		z.lib = lib;
		return 0;
	}
	z.missing = true;
	if (lib)
		dlclose(lib);
	return -ENOSYS;
}

void wr_insn_done(void)
{
	if (z.lib)
		dlclose(z.lib);
	z.lib = NULL;
}

int wr_insn_ready(uint16_t machine)
{
	return machine == EM_X86_64 ? load() : machine == EM_AARCH64 ? 0 : -ENOTSUP;
}

static uint32_t bit_of(ZydisRegister r)
{
	switch (z.whole(ZYDIS_MACHINE_MODE_LONG_64, r)) {
	case ZYDIS_REGISTER_RSP:
		return WR_INSN_SP;
	case ZYDIS_REGISTER_RDI:
		return WR_INSN_C_ARG(0);
	case ZYDIS_REGISTER_RSI:
		return WR_INSN_C_ARG(1);
	case ZYDIS_REGISTER_RDX:
		return WR_INSN_C_ARG(2);
	case ZYDIS_REGISTER_RCX:
		return WR_INSN_C_ARG(3);
	case ZYDIS_REGISTER_RAX:
		return WR_INSN_GO_ARG;
	default:
		return 0;
	}
}

/* Without a prefix: what the kernel emulates since Linux 3.15, pushes since 5.1. */
static bool is_emulated(const uint8_t *b, unsigned len)
{
	if (b[0] == 0x41 && len == 2)
		return b[1] >= 0x50 && b[1] <= 0x57;
	return (b[0] >= 0x50 && b[0] <= 0x57) || b[0] == 0xe8 || b[0] == 0xe9 || b[0] == 0xeb ||
	       b[0] == 0x90 || (b[0] >= 0x70 && b[0] <= 0x7f) ||
	       (b[0] == 0x0f && len == 6 && b[1] >= 0x80 && b[1] <= 0x8f);
}

static enum wr_insn_kind kind_of(const ZydisDecodedInstruction *i, bool direct)
{
	switch (i->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		return direct ? WR_INSN_CALL : WR_INSN_OTHER;
	case ZYDIS_CATEGORY_UNCOND_BR:
		return direct ? WR_INSN_JUMP : WR_INSN_AWAY;
	case ZYDIS_CATEGORY_COND_BR:
		return i->mnemonic == ZYDIS_MNEMONIC_JBE ? WR_INSN_BRANCH_LS : WR_INSN_BRANCH;
	case ZYDIS_CATEGORY_RET:
		return WR_INSN_AWAY;
	default:
		return WR_INSN_OTHER;
	}
}

static int x86_at(const struct wr_code *c, size_t at, struct wr_insn *ret)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction i;
	ZydisDecoderContext ctx;
	bool direct;

	if (!ZYAN_SUCCESS(z.insn(&z.d, &ctx, c->b + at, c->n - at, &i)) ||
		!ZYAN_SUCCESS(z.operands(&z.d, &ctx, &i, op, i.operand_count)))
		return -EINVAL;
	ret->len = i.length;
	ret->emulated = is_emulated(c->b + at, i.length);
	direct = i.operand_count && op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		 op[0].imm.is_relative;
	ret->kind = kind_of(&i, direct);
	if (direct)
		ret->target = c->v + at + i.length + op[0].imm.value.u;
	for (unsigned k = 0; k < i.operand_count; k++) {
		if (op[k].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			op[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			ret->writes |= bit_of(op[k].reg.value);
	}
	if (i.operand_count < 2 || op[0].type != ZYDIS_OPERAND_TYPE_MEMORY ||
		op[0].mem.base != ZYDIS_REGISTER_RSP || op[0].mem.index != ZYDIS_REGISTER_NONE ||
		!(op[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return 0;
	ret->stores = true;
	ret->slot = op[0].mem.disp.value;
	ret->stores_go_arg = i.mnemonic == ZYDIS_MNEMONIC_MOV &&
			     op[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			     op[1].reg.value == ZYDIS_REGISTER_RAX;
	return 0;
}

/* Arm Architecture Reference Manual, C4.1; what is not asked for is OTHER and may write anything. */
static int arm64_at(const struct wr_code *c, size_t at, struct wr_insn *ret)
{
	uint32_t i;

	if (at % 4 || c->n - at < 4)
		return -EINVAL;
	memcpy(&i, c->b + at, 4);
	ret->len = 4;
	if (i >> 26 == 0x25 || i >> 26 == 5) { /* BL, B */
		ret->kind = i >> 26 == 0x25 ? WR_INSN_CALL : WR_INSN_JUMP;
		ret->target = c->v + at + (uint64_t)((int64_t)((uint64_t)i << 38) >> 36);
	} else if (i >> 24 == 0x54) { /* B.cond; 9: LS */
		ret->kind = (i & 0x1f) == 9 ? WR_INSN_BRANCH_LS : WR_INSN_BRANCH;
		ret->target =
			c->v + at + (uint64_t)((int64_t)((uint64_t)(i >> 5 & 0x7ffff) << 45) >> 43);
	} else if ((i & 0xfffffc1f) == 0xd65f0000 || (i & 0xfffffc1f) == 0xd61f0000) { /* RET, BR */
		ret->kind = WR_INSN_AWAY;
	} else if ((i & 0xffc003e0) == 0xf90003e0) { /* STR Xt, [SP, #imm] */
		ret->stores = true;
		ret->slot = (int64_t)(i >> 10 & 0xfff) * 8;
		ret->stores_go_arg = !(i & 0x1f);
	} else {
		/* Rd = 0, or 31 (the stack pointer in those forms that change it) */
		ret->writes = (i & 0x1f) == 0 ? WR_INSN_GO_ARG : 0;
		if ((i & 0xbf80001f) == 0x9100001f || (i & 0xffc003e0) == 0xf80003e0 ||
			(i & 0x3a0003e0) == 0x280003e0)
			ret->writes |= WR_INSN_SP; /* ADD, SUB SP; pairs and STR that move it */
	}
	/* simulate-insn.c of arch/arm64/kernel/probes */
	ret->emulated = ret->kind != WR_INSN_OTHER;
	return 0;
}

int wr_insn_at(const struct wr_code *c, size_t at, struct wr_insn *ret)
{
	*ret = (struct wr_insn){.len = 0};
	if (at >= c->n)
		return -EINVAL;
	return c->machine == EM_X86_64 ? x86_at(c, at, ret) : arm64_at(c, at, ret);
}

static uint32_t args_bits(unsigned args)
{
	return WR_INSN_C_ARG(args < 4 ? args : 4) - WR_INSN_C_ARG(0);
}

bool wr_insn_site(const struct wr_code *c, unsigned args, size_t *ret)
{
	struct wr_insn i;

	*ret = 0;
	if (c->machine != EM_X86_64)
		return false;
	for (size_t at = 0; at < NEAR && !wr_insn_at(c, at, &i); at += i.len) {
		if (i.emulated) {
			*ret = at;
			return true;
		}
		if (i.kind != WR_INSN_OTHER || i.writes & (WR_INSN_SP | args_bits(args)))
			break;
	}
	return false;
}

uint64_t wr_insn_callee(const struct wr_code *c, unsigned args)
{
	struct wr_insn i;

	if (c->machine != EM_X86_64)
		return 0;
	for (size_t at = 0; at < NEAR && !wr_insn_at(c, at, &i); at += i.len) {
		if (i.kind == WR_INSN_CALL || i.kind == WR_INSN_JUMP)
			return i.target;
		if (i.kind == WR_INSN_AWAY || i.writes & args_bits(args))
			break;
	}
	return 0;
}
